/* SPDX-License-Identifier: Apache-2.0 */
/* resource/table_body.c - what the body of a table may say: columns, retention, plan */
#include "resource/table.h"

#define COLUMN_NAME_MAX 45
#define RETENTION_MAX   730
#define TOTAL_MAX       2556
#define PLAN_DAYS       30 /* that rows of the cheaper plans are kept for queries */
#define TIME_COLUMN     "TimeGenerated"
#define CUSTOM_COLUMN   "_CF"

static const char *const reserved[] = {"_ResourceId", "id",   "_SubscriptionId", "TenantId", "Type",
                                       "UniqueId",    "Title"};

/* --- reading a schema ------------------------------------------------------------------------- */

enum err table_bad(struct arm_call *c, struct diag *d, const char *text, const char *name)
{
    return ARM_FAIL(c, d, 400, "InvalidParameter", "%s: '%.80s'.", text, name);
}

bool table_identifier(const char *s, size_t max)
{
    size_t n = strlen(s);
    if (n == 0 || n > max) return false;
    for (size_t i = 0; i < n; i++) {
        char ch = s[i];
        bool letter = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z');
        bool good = letter || ch == '_' || (i > 0 && ch >= '0' && ch <= '9');
        if (!good) return false;
    }
    return true;
}

static enum err read_column(struct arm_call *c, const json_t *j, bool is_custom, struct column *out,
                            struct diag *d)
{
    const char *name = json_get_str(j, "name"), *type = json_get_str(j, "type");
    if (name == NULL || type == NULL) {
        return table_bad(c, d, "A column needs a name and a type", name != NULL ? name : "");
    }
    if (!table_identifier(name, COLUMN_NAME_MAX)) {
        return table_bad(
            c, d,
            "A column's name is not a letter followed by at most 44 letters, digits and "
            "underscores",
            name);
    }
    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++) {
        bool is_reserved = is_custom && str_eq_nocase(name, reserved[i]);
        if (is_reserved) return table_bad(c, d, "A column's name is reserved", name);
    }
    struct diag why = DIAG_INIT;
    enum type t = T_NONE;
    if (type_parse(type, &t, &why) != OK || t == T_NONE || t == T_TIMESPAN || t == T_DECIMAL) {
        return table_bad(
            c, d,
            "A column's type is none of string, int, long, real, boolean, dateTime, guid, "
            "dynamic",
            type);
    }
    if (str_eq(name, TIME_COLUMN) && t != T_DATETIME) {
        return table_bad(c, d, "The column must be of type dateTime", name);
    }
    *out = (struct column){arena_str(c->a, bytes_str(name)), t};
    return out->name != NULL ? OK : arena_full(c->a, d);
}

/* The columns of the body, TimeGenerated first where the body does not name it. n = 0: no schema
 * sent. */
enum err table_read_schema(struct arm_call *c, bool is_new, bool is_custom, struct schema *out,
                           struct diag *d)
{
    const json_t *list = json_at(c->body, "properties", "schema", "columns", NULL);
    if (list == NULL || json_is_null(list)) {
        if (!is_new) return OK;
        return table_bad(c, d, "A new table needs properties.schema.columns", arm_id_name(c->id));
    }
    size_t n = json_array_size(list);
    if (!json_is_array(list) || n > TABLE_COLUMNS_MAX) {
        return table_bad(c, d, "A table has at most 500 columns", arm_id_name(c->id));
    }
    struct column *cols = arena_array(c->a, struct column, n + 1);
    if (cols == NULL) return arena_full(c->a, d);
    struct schema s = {.cols = cols};
    size_t i;
    json_t *j;
    json_array_foreach (list, i, j) {
        struct column col = {0};
        TRY(read_column(c, j, is_custom, &col, d));
        for (uint32_t k = 0; k < s.n; k++) {
            if (str_eq_nocase(cols[k].name, col.name)) {
                return table_bad(c, d, "A column is named twice", col.name);
            }
        }
        cols[s.n++] = col;
    }
    if (is_new && schema_find(&s, TIME_COLUMN) < 0) {
        memmove(cols + 1, cols, s.n++ * sizeof *cols);
        cols[0] = (struct column){TIME_COLUMN, T_DATETIME};
    }
    *out = s;
    return OK;
}

/* What the table does not have yet. A column keeps its type for ever. */
enum err table_new_columns(struct arm_call *c, bool is_custom, const struct schema *has,
                           const struct schema *wanted, struct schema *out, struct diag *d)
{
    struct column *cols = arena_array(c->a, struct column, wanted->n + 1);
    if (cols == NULL) return arena_full(c->a, d);
    struct schema more = {.cols = cols};
    for (uint32_t i = 0; i < wanted->n; i++) {
        int at = schema_find(has, wanted->cols[i].name);
        if (at >= 0 && has->cols[at].type != wanted->cols[i].type) {
            return table_bad(c, d, "A column's type can't be changed", wanted->cols[i].name);
        }
        if (at >= 0) continue;
        if (!is_custom && !str_ends(wanted->cols[i].name, CUSTOM_COLUMN)) {
            return table_bad(c, d, "A column that is added to a standard table ends in _CF",
                             wanted->cols[i].name);
        }
        cols[more.n++] = wanted->cols[i];
    }
    if (has->n + more.n > TABLE_COLUMNS_MAX) {
        return table_bad(c, d, "A table has at most 500 columns", arm_id_name(c->id));
    }
    *out = more;
    return OK;
}

/* --- retention -------------------------------------------------------------------------------- */

static enum err read_days(struct arm_call *c, const char *name, int64_t max, const char *field,
                          json_t *doc, struct diag *d)
{
    const json_t *v = json_at(c->body, "properties", name, NULL);
    if (v == NULL) return OK;
    int64_t n = json_is_integer(v) ? json_integer_value(v)
                : json_is_null(v)  ? TABLE_AS_WORKSPACE
                                   : 0;
    if (n != TABLE_AS_WORKSPACE && (n < 4 || n > max)) {
        return ARM_FAIL(
            c, d, 400, "InvalidParameter",
            "%s must be a whole number from 4 to %d, or -1 for the workspace's default.", name,
            (int)max);
    }
    json_object_set_new(doc, field, json_integer(n));
    return OK;
}

static bool is_cheap(const char *plan)
{
    return str_eq(plan, "Basic") || str_eq(plan, "Auxiliary");
}

/* A plan is for a week at least (a setting), Auxiliary from the first day or never. */
static enum err check_plan(struct arm_call *c, const json_t *doc, const char *was, const char *plan,
                           struct diag *d)
{
    if (str_eq(was, "Auxiliary") || str_eq(plan, "Auxiliary")) {
        return table_bad(c, d, "The plan Auxiliary is chosen when a table is made, and kept", plan);
    }
    if (is_cheap(plan) && !table_is_custom(arm_id_name(c->id)) &&
        !str_eq_nocase(arm_id_name(c->id), "AppTraces")) {
        return table_bad(c, d, "The table can't have the plan", plan);
    }
    int64_t days = settings_of(c->arm).table_plan_days;
    if (doc_int(doc, "planned") + days * 86400 * US_PER_S <= time_now_us()) return OK;
    return table_bad(c, d, "The plan of a table can be changed once a week", plan);
}

static enum err read_plan(struct arm_call *c, bool is_new, json_t *doc, struct diag *d)
{
    static const char *const plans[] = {"Analytics", "Basic", "Auxiliary"};
    const json_t *given = json_at(c->body, "properties", "plan", NULL);
    const char *text = json_string_value(given), *plan = NULL;
    for (size_t i = 0; text != NULL && i < sizeof plans / sizeof plans[0]; i++) {
        if (str_eq_nocase(text, plans[i])) plan = plans[i];
    }
    if (given != NULL && !json_is_null(given) && plan == NULL) {
        return table_bad(c, d, "The plan is none of Analytics, Basic, Auxiliary",
                         text != NULL ? text : "");
    }
    const char *was = doc_str(doc, "plan");
    if (was[0] == '\0') was = "Analytics";
    if (plan == NULL) plan = was;
    if (!is_new && !str_eq(plan, was)) TRY(check_plan(c, doc, was, plan, d));
    if (!str_eq(plan, was)) {
        TRY(json_put(doc, "planned", json_integer(time_now_us()), d));
        int64_t days = is_cheap(plan) ? PLAN_DAYS : TABLE_AS_WORKSPACE;
        TRY(json_put(doc, "retention", json_integer(days), d));
    }
    return json_put(doc, "plan", json_string(plan), d);
}

static enum err check_days(struct arm_call *c, const json_t *doc, struct diag *d)
{
    const json_t *days = json_at(c->body, "properties", "retentionInDays", NULL);
    int64_t n = json_is_integer(days) ? json_integer_value(days) : TABLE_AS_WORKSPACE;
    if (!is_cheap(doc_str(doc, "plan")) || n == TABLE_AS_WORKSPACE || n == PLAN_DAYS) return OK;
    return ARM_FAIL(
        c, d, 400, "InvalidParameter",
        "retentionInDays of a table with the plan %s is %d days and can't be changed. Set "
        "totalRetentionInDays to keep rows longer.",
        doc_str(doc, "plan"), PLAN_DAYS);
}

enum err table_read_settings(struct arm_call *c, bool is_new, json_t *doc, int64_t workspace_days,
                             struct diag *d)
{
    TRY(read_plan(c, is_new, doc, d));
    TRY(check_days(c, doc, d));
    if (!is_cheap(doc_str(doc, "plan"))) {
        TRY(read_days(c, "retentionInDays", RETENTION_MAX, "retention", doc, d));
    }
    TRY(read_days(c, "totalRetentionInDays", TOTAL_MAX, "total", doc, d));
    int64_t days = table_setting(doc, "retention"), total = table_setting(doc, "total");
    if (days == TABLE_AS_WORKSPACE) days = workspace_days;
    if (total != TABLE_AS_WORKSPACE && total < days) {
        return ARM_FAIL(c, d, 400, "InvalidParameter",
                        "totalRetentionInDays (%d) must not be less than retentionInDays (%d).",
                        (int)total, (int)days);
    }
    return OK;
}
