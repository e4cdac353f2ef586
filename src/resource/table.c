/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource/table.c - workspaces/tables: schema and retention of custom tables
 *
 * The schema lives in the store, sealed: no column name is written anywhere else. A document holds
 * only what the store has no place for: retention and total as the customer set them (-1 = the
 * workspace's) and plan. The store keeps rows for the total: there is no slower tier between the
 * two.
 */
#include "resource/plane.h"

#include "base/log.h"

#define COLUMNS_MAX     500
#define COLUMN_NAME_MAX 45
#define TABLE_NAME_MAX  63
#define RETENTION_MAX   730
#define TOTAL_MAX       2556
#define TABLES_MAX      500
#define TIME_COLUMN     "TimeGenerated"
#define AS_WORKSPACE    (-1)

static const char *const reserved[] = {"_ResourceId", "id",   "_SubscriptionId", "TenantId", "Type",
                                       "UniqueId",    "Title"};

static const struct { /* what ARM calls a type, and ours; input may also be any of ours */
    const char *name;
    enum type type;
} type_names[] = {
    {"string", T_STRING}, {"int", T_INT},           {"long", T_LONG}, {"real", T_REAL},
    {"boolean", T_BOOL},  {"dateTime", T_DATETIME}, {"guid", T_GUID}, {"dynamic", T_DYNAMIC},
};

/* --- finding ---------------------------------------------------------------------------------- */

struct target {
    struct guid workspace;
    int64_t workspace_days;
    struct table *table; /* NULL: not there */
};

static bool find_table(struct arm *a, const struct guid *workspace, const char *name,
                       struct table **out)
{
    for (uint32_t i = 0;; i++) {
        struct table *t = store_table_at(a->store, workspace, i);
        if (t == NULL) return false;
        if (!str_eq_nocase(store_table_name(t), name)) continue;
        *out = t;
        return true;
    }
}

static enum err find_target(struct arm_call *c, struct target *out, struct diag *d)
{
    CLEANUP_JSON json_t *w = arm_doc(c->arm, arm_id_key(c->a, arm_id_parent(c->a, c->id)));
    struct target t = {.workspace_days = doc_int(w, "retention")};
    TRY(guid_parse(doc_str(w, "customerId"), &t.workspace, d));
    if (!str_eq(doc_str(w, "state"), "Succeeded")) {
        return ARM_FAIL(c, d, 409, "Conflict", "The workspace is still being created.");
    }
    if (arm_id_name(c->id) != NULL) {
        (void)find_table(c->arm, &t.workspace, arm_id_name(c->id), &t.table);
    }
    *out = t;
    return OK;
}

static void doc_key(const struct table *t, char out[64])
{
    char id[GUID_TEXT_MAX];
    guid_format(store_table_id(t), id);
    snprintf(out, 64, "table:%s", id);
}

static json_t *doc_of(struct arm *a, const struct table *t)
{
    char key[64];
    doc_key(t, key);
    return arm_doc(a, key);
}

/* --- writing ---------------------------------------------------------------------------------- */

static const char *arm_type_name(enum type t)
{
    for (size_t i = 0; i < sizeof type_names / sizeof type_names[0]; i++) {
        if (type_names[i].type == t) return type_names[i].name;
    }
    return type_name(t);
}

static json_t *columns_json(const struct schema *s)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < s->n; i++) {
        json_array_append_new(list, json_pack("{s:s, s:s, s:b, s:b}", "name", s->cols[i].name,
                                              "type", arm_type_name(s->cols[i].type),
                                              "isDefaultDisplay", 0, "isHidden", 0));
    }
    return list;
}

static int64_t setting(const json_t *doc, const char *name)
{
    const json_t *v = json_object_get(doc, name);
    return json_is_integer(v) ? json_integer_value(v) : AS_WORKSPACE;
}

static json_t *table_json(const char *id, struct table *t, const json_t *doc,
                          int64_t workspace_days)
{
    const char *name = store_table_name(t);
    int64_t retention = setting(doc, "retention"), total = setting(doc, "total");
    int64_t days = retention == AS_WORKSPACE ? workspace_days : retention;
    int64_t all_days = total == AS_WORKSPACE ? days : total;
    json_t *schema = json_pack("{s:s, s:o, s:[], s:s, s:s, s:s, s:[s]}", "name", name, "columns",
                               columns_json(store_table_schema(t)), "standardColumns", "source",
                               "customer", "tableType", "CustomLog", "tableSubType",
                               "DataCollectionRuleBased", "solutions", "LogManagement");
    json_t *p =
        json_pack("{s:I, s:I, s:I, s:b, s:b, s:s, s:s, s:o}", "retentionInDays", (json_int_t)days,
                  "totalRetentionInDays", (json_int_t)all_days, "archiveRetentionInDays",
                  (json_int_t)(all_days - days), "retentionInDaysAsDefault",
                  retention == AS_WORKSPACE, "totalRetentionInDaysAsDefault", total == AS_WORKSPACE,
                  "plan", doc != NULL ? doc_str(doc, "plan") : "Analytics", "provisioningState",
                  "Succeeded", "schema", schema);
    return json_pack("{s:o, s:s, s:s, s:s}", "properties", p, "id", id, "name", name, "type",
                     "Microsoft.OperationalInsights/workspaces/tables");
}

/* As 2020-08-01 has it on the wire: one property, in another casing, and no type. */
static json_t *old_json(const char *id, struct table *t, const json_t *doc, int64_t workspace_days)
{
    int64_t days = setting(doc, "retention");
    return json_pack("{s:{s:I}, s:s, s:s}", "properties", "RetentionInDays",
                     (json_int_t)(days == AS_WORKSPACE ? workspace_days : days), "id", id, "name",
                     store_table_name(t));
}

static json_t *show(const struct arm_call *c, const char *id, struct table *t, const json_t *doc,
                    int64_t workspace_days)
{
    return api_version_at_least(c->version, "2021-06-01") ? table_json(id, t, doc, workspace_days)
                                                          : old_json(id, t, doc, workspace_days);
}

static enum err reply(struct arm_call *c, const struct target *t, struct diag *d)
{
    CLEANUP_JSON json_t *doc = doc_of(c->arm, t->table);
    return arm_reply(c, 200, show(c, c->id_text, t->table, doc, t->workspace_days), d);
}

enum err table_get(struct arm_call *c, struct diag *d)
{
    struct target t = {0};
    TRY(find_target(c, &t, d));
    if (t.table == NULL) return arm_not_found(c, d);
    return reply(c, &t, d);
}

enum err table_list(struct arm_call *c, struct diag *d)
{
    struct target t = {0};
    TRY(find_target(c, &t, d));
    json_t *values = json_array();
    for (uint32_t i = 0;; i++) {
        struct table *x = store_table_at(c->arm->store, &t.workspace, i);
        if (x == NULL) break;
        char *id = arena_fmt(c->a, "%s/%s", c->id_text, store_table_name(x));
        if (id == NULL) break;
        CLEANUP_JSON json_t *doc = doc_of(c->arm, x);
        json_array_append_new(values, show(c, id, x, doc, t.workspace_days));
    }
    return arm_reply_list(c, values, d);
}

json_t *tables_schema(struct arm *a, const json_t *workspace)
{
    json_t *list = json_array();
    struct guid g;
    if (guid_parse(doc_str(workspace, "customerId"), &g, NULL) != OK) return list;
    for (uint32_t i = 0;; i++) {
        struct table *t = store_table_at(a->store, &g, i);
        if (t == NULL) return list;
        const struct schema *s = store_table_schema(t);
        for (uint32_t k = 0; k < s->n; k++) {
            json_array_append_new(list,
                                  json_pack("{s:s, s:s, s:s, s:b, s:b, s:b, s:[s]}", "name",
                                            s->cols[k].name, "displayName", s->cols[k].name, "type",
                                            arm_type_name(s->cols[k].type), "indexed", 1, "stored",
                                            1, "facet", 0, "ownerType", store_table_name(t)));
        }
    }
}

/* --- reading a schema ------------------------------------------------------------------------- */

static enum err bad(struct arm_call *c, struct diag *d, const char *text, const char *name)
{
    return ARM_FAIL(c, d, 400, "InvalidParameter", "%s: '%.80s'.", text, name);
}

static bool identifier(const char *s, size_t max)
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

static enum err read_column(struct arm_call *c, const json_t *j, struct column *out, struct diag *d)
{
    const char *name = json_get_str(j, "name"), *type = json_get_str(j, "type");
    if (name == NULL || type == NULL) {
        return bad(c, d, "A column needs a name and a type", name != NULL ? name : "");
    }
    if (!identifier(name, COLUMN_NAME_MAX)) {
        return bad(c, d,
                   "A column's name is not a letter followed by at most 44 letters, digits and "
                   "underscores",
                   name);
    }
    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++) {
        if (str_eq_nocase(name, reserved[i])) return bad(c, d, "A column's name is reserved", name);
    }
    struct diag why = DIAG_INIT;
    enum type t = T_NONE;
    if (type_parse(type, &t, &why) != OK || t == T_NONE || t == T_TIMESPAN || t == T_DECIMAL) {
        return bad(c, d,
                   "A column's type is none of string, int, long, real, boolean, dateTime, guid, "
                   "dynamic",
                   type);
    }
    if (str_eq(name, TIME_COLUMN) && t != T_DATETIME) {
        return bad(c, d, "The column must be of type dateTime", name);
    }
    *out = (struct column){arena_str(c->a, bytes_str(name)), t};
    return out->name != NULL ? OK : arena_full(c->a, d);
}

/* The columns of the body, TimeGenerated first where the body does not name it. n = 0: no schema
 * sent. */
static enum err read_schema(struct arm_call *c, bool is_new, struct schema *out, struct diag *d)
{
    const json_t *list = json_at(c->body, "properties", "schema", "columns", NULL);
    if (list == NULL || json_is_null(list)) {
        if (!is_new) return OK;
        return bad(c, d, "A new table needs properties.schema.columns", arm_id_name(c->id));
    }
    size_t n = json_array_size(list);
    if (!json_is_array(list) || n > COLUMNS_MAX) {
        return bad(c, d, "A table has at most 500 columns", arm_id_name(c->id));
    }
    struct column *cols = arena_array(c->a, struct column, n + 1);
    if (cols == NULL) return arena_full(c->a, d);
    struct schema s = {.cols = cols};
    size_t i;
    json_t *j;
    json_array_foreach (list, i, j) {
        struct column col = {0};
        TRY(read_column(c, j, &col, d));
        for (uint32_t k = 0; k < s.n; k++) {
            if (str_eq_nocase(cols[k].name, col.name)) {
                return bad(c, d, "A column is named twice", col.name);
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
static enum err new_columns(struct arm_call *c, const struct schema *has,
                            const struct schema *wanted, struct schema *out, struct diag *d)
{
    struct column *cols = arena_array(c->a, struct column, wanted->n + 1);
    if (cols == NULL) return arena_full(c->a, d);
    struct schema more = {.cols = cols};
    for (uint32_t i = 0; i < wanted->n; i++) {
        int at = schema_find(has, wanted->cols[i].name);
        if (at >= 0 && has->cols[at].type != wanted->cols[i].type) {
            return bad(c, d, "A column's type can't be changed", wanted->cols[i].name);
        }
        if (at < 0) cols[more.n++] = wanted->cols[i];
    }
    if (has->n + more.n > COLUMNS_MAX) {
        return bad(c, d, "A table has at most 500 columns", arm_id_name(c->id));
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
    int64_t n = json_is_integer(v) ? json_integer_value(v) : json_is_null(v) ? AS_WORKSPACE : 0;
    if (n != AS_WORKSPACE && (n < 4 || n > max)) {
        return ARM_FAIL(
            c, d, 400, "InvalidParameter",
            "%s must be a whole number from 4 to %d, or -1 for the workspace's default.", name,
            (int)max);
    }
    json_object_set_new(doc, field, json_integer(n));
    return OK;
}

static enum err read_settings(struct arm_call *c, json_t *doc, int64_t workspace_days,
                              struct diag *d)
{
    TRY(read_days(c, "retentionInDays", RETENTION_MAX, "retention", doc, d));
    TRY(read_days(c, "totalRetentionInDays", TOTAL_MAX, "total", doc, d));
    int64_t days = setting(doc, "retention"), total = setting(doc, "total");
    if (days == AS_WORKSPACE) days = workspace_days;
    if (total != AS_WORKSPACE && total < days) {
        return ARM_FAIL(c, d, 400, "InvalidParameter",
                        "totalRetentionInDays (%d) must not be less than retentionInDays (%d).",
                        (int)total, (int)days);
    }
    const char *plan = json_string_value(json_at(c->body, "properties", "plan", NULL));
    if (plan != NULL && !str_eq_nocase(plan, "Analytics")) {
        return bad(c, d, "The table plan is not supported; only Analytics is", plan);
    }
    json_object_set_new(doc, "plan", json_string("Analytics"));
    return OK;
}

static uint32_t kept_days(const json_t *doc, int64_t workspace_days)
{
    int64_t days = setting(doc, "retention"), total = setting(doc, "total");
    if (days == AS_WORKSPACE) days = workspace_days;
    return (uint32_t)(total > days ? total : days);
}

enum err tables_keep(struct arm *a, const json_t *workspace, struct diag *d)
{
    struct guid g;
    TRY(guid_parse(doc_str(workspace, "customerId"), &g, d));
    for (uint32_t i = 0;; i++) {
        struct table *t = store_table_at(a->store, &g, i);
        if (t == NULL) return OK;
        CLEANUP_JSON json_t *doc = doc_of(a, t);
        TRY(store_table_set_retention(a->store, t, kept_days(doc, doc_int(workspace, "retention")),
                                      d));
    }
}

/* --- PUT and PATCH ---------------------------------------------------------------------------- */

static enum err create(struct arm_call *c, struct target *t, struct diag *d)
{
    const char *name = arm_id_name(c->id);
    const char *in_body = json_string_value(json_at(c->body, "properties", "schema", "name", NULL));
    if (in_body != NULL && str_eq_nocase(in_body, name)) name = in_body;
    if (!identifier(name, TABLE_NAME_MAX) || name[0] == '_' || !str_ends(name, "_CL")) {
        return bad(c, d,
                   "The name of a custom table must begin with a letter, hold only letters, digits "
                   "and underscores, end in _CL and be at most 63 characters long",
                   name);
    }
    if (store_table_at(c->arm->store, &t->workspace, TABLES_MAX - 1) != NULL) {
        return ARM_FAIL(c, d, 409, "QuotaExceeded", "A workspace has at most %d custom tables.",
                        TABLES_MAX);
    }
    struct schema s = {0};
    TRY(read_schema(c, true, &s, d));
    enum err e = store_table_create(c->arm->store, &t->workspace, name, &s, &t->table, d);
    if (e != ERR_CONFLICT) return e;
    diag_reset(d);
    return store_table_find(c->arm->store, &t->workspace, name, &t->table, d);
}

static enum err grow(struct arm_call *c, struct target *t, struct diag *d)
{
    struct schema wanted = {0}, more = {0};
    TRY(read_schema(c, false, &wanted, d));
    TRY(new_columns(c, store_table_schema(t->table), &wanted, &more, d));
    return more.n == 0 ? OK : store_table_add_columns(c->arm->store, t->table, &more, d);
}

/* Tables that Azure fills by itself. */
static enum err refuse_jobs(struct arm_call *c, struct diag *d)
{
    static const struct {
        const char *property, *suffix, *what;
    } jobs[] = {{"searchResults", "_SRCH", "Search jobs are"},
                {"restoredLogs", "_RST", "Restored logs are"}};
    for (size_t i = 0; i < sizeof jobs / sizeof jobs[0]; i++) {
        const json_t *v = json_at(c->body, "properties", jobs[i].property, NULL);
        if ((v == NULL || json_is_null(v)) && !str_ends(arm_id_name(c->id), jobs[i].suffix))
            continue;
        return ARM_FAIL(
            c, d, 400, "NotSupported",
            "%s not supported (properties.%s): all rows of a table can be queried as long "
            "as they are kept.",
            jobs[i].what, jobs[i].property);
    }
    return OK;
}

static enum err write_table(struct arm_call *c, bool may_create, struct diag *d)
{
    TRY(arm_need_body(c, d));
    TRY(refuse_jobs(c, d));
    struct target t = {0};
    TRY(find_target(c, &t, d));
    if (t.table == NULL && !may_create) return arm_not_found(c, d);
    DOCS_WRITE(c->arm->docs); /* settings are read, changed and written as one step */
    CLEANUP_JSON json_t *old = t.table != NULL ? doc_of(c->arm, t.table) : NULL;
    CLEANUP_JSON json_t *doc = old != NULL ? json_deep_copy(old) : json_object();
    TRY(read_settings(c, doc, t.workspace_days, d));
    TRY(t.table == NULL ? create(c, &t, d) : grow(c, &t, d));
    TRY(store_table_set_retention(c->arm->store, t.table, kept_days(doc, t.workspace_days), d));
    CLEANUP_CHANGE struct change change = {0};
    char key[64];
    doc_key(t.table, key);
    change_put(&change, DOC_RESOURCE, key, KIND_TABLE, json_incref(doc));
    TRY(arm_commit(c, &change, d));
    return reply(c, &t, d);
}

enum err table_put(struct arm_call *c, struct diag *d)
{
    return write_table(c, true, d);
}

enum err table_patch(struct arm_call *c, struct diag *d)
{
    return write_table(c, false, d);
}

/* --- the rest --------------------------------------------------------------------------------- */

enum err table_remove(struct arm_call *c, struct diag *d)
{
    struct target t = {0};
    DOCS_WRITE(c->arm->docs);
    TRY(find_target(c, &t, d));
    c->res->status = t.table == NULL ? 204 : 200;
    if (t.table == NULL) return OK;
    TRY(store_table_drop(c->arm->store, t.table, d));
    CLEANUP_CHANGE struct change change = {0};
    char key[64];
    doc_key(t.table, key);
    change_remove(&change, DOC_RESOURCE, key);
    return arm_commit(c, &change, d);
}

static enum err find_own(struct arm_call *c, struct diag *d)
{
    struct target t = {0};
    TRY(find_target(c, &t, d));
    return t.table != NULL ? OK : arm_not_found(c, d);
}

/* Every table takes rows by collection rules from the start: there is nothing to migrate. */
static enum err migrate(struct arm_call *c, struct diag *d)
{
    TRY(find_own(c, d));
    c->res->status = 200;
    return OK;
}

static enum err cancel_search(struct arm_call *c, struct diag *d)
{
    TRY(find_own(c, d));
    return bad(c, d, "The table holds no results of a search job", arm_id_name(c->id));
}

static enum err delete_data(struct arm_call *c, struct diag *d)
{
    TRY(find_own(c, d));
    return ARM_FAIL(
        c, d, 400, "NotSupported",
        "Single rows of a table can't be deleted (deleteData): rows go by retention, or "
        "all at once with the table.");
}

const struct arm_action table_actions[] = {
    {"migrate", migrate},
    {"cancelSearch", cancel_search},
    {"deleteData", delete_data},
    {NULL, NULL},
};
