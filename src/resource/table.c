/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource/table.c - workspaces/tables: schema and retention of custom tables
 *
 * The schema lives in the store, sealed: no column name is written anywhere else. A document holds
 * only what the store has no place for: retention and total as the customer set them (-1 = the
 * workspace's) and plan. The store keeps rows for the total: there is no slower tier between the
 * two.
 */
#include "resource/table.h"

#include "ingest/standard_table.h"

#define TABLE_NAME_MAX 63
#define TABLES_MAX     500 /* custom ones of a workspace */

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
    struct table *table;                   /* NULL: not in the store */
    const struct standard_table *standard; /* NULL: none of that name */
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
    const char *name = arm_id_name(c->id);
    if (name != NULL) (void)find_table(c->arm, &t.workspace, name, &t.table);
    if (name != NULL) t.standard = standard_table_find(name);
    *out = t;
    return OK;
}

static bool is_there(const struct target *t)
{
    return t->table != NULL || t->standard != NULL;
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

/* Those of the customer, or those that the table has by itself. */
static json_t *columns_json(const struct schema *s, bool all, bool customs)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < s->n; i++) {
        if (!all && str_ends(s->cols[i].name, "_CF") != customs) continue;
        json_array_append_new(list, json_pack("{s:s, s:s, s:b, s:b}", "name", s->cols[i].name,
                                              "type", arm_type_name(s->cols[i].type),
                                              "isDefaultDisplay", 0, "isHidden", 0));
    }
    return list;
}

int64_t table_setting(const json_t *doc, const char *name)
{
    const json_t *v = json_object_get(doc, name);
    return json_is_integer(v) ? json_integer_value(v) : TABLE_AS_WORKSPACE;
}

struct shown { /* a table as clients see it */
    const char *id, *name;
    const struct schema *schema;
    const json_t *doc; /* NULL: nothing was set */
    int64_t workspace_days;
};

static json_t *schema_json(const struct shown *x)
{
    bool custom = table_is_custom(x->name);
    return json_pack("{s:s, s:o, s:o, s:s, s:s, s:s, s:[s]}", "name", x->name, "columns",
                     columns_json(x->schema, custom, true), "standardColumns",
                     custom ? json_array() : columns_json(x->schema, false, false), "source",
                     custom ? "customer" : "microsoft", "tableType",
                     custom ? "CustomLog" : "Microsoft", "tableSubType",
                     custom ? "DataCollectionRuleBased" : "Any", "solutions", "LogManagement");
}

static json_t *table_json(const struct shown *x)
{
    int64_t retention = table_setting(x->doc, "retention"), total = table_setting(x->doc, "total");
    int64_t days = retention == TABLE_AS_WORKSPACE ? x->workspace_days : retention;
    int64_t all_days = total == TABLE_AS_WORKSPACE ? days : total;
    const char *plan = doc_str(x->doc, "plan");
    json_t *p =
        json_pack("{s:I, s:I, s:I, s:b, s:b, s:s, s:s, s:o}", "retentionInDays", (json_int_t)days,
                  "totalRetentionInDays", (json_int_t)all_days, "archiveRetentionInDays",
                  (json_int_t)(all_days - days), "retentionInDaysAsDefault",
                  retention == TABLE_AS_WORKSPACE, "totalRetentionInDaysAsDefault",
                  total == TABLE_AS_WORKSPACE, "plan", plan[0] != '\0' ? plan : "Analytics",
                  "provisioningState", "Succeeded", "schema", schema_json(x));
    int64_t planned = doc_int(x->doc, "planned");
    if (planned != 0) {
        json_object_set_new(p, "lastPlanModifiedDate", arm_date(ARM_DATES_ISO, planned));
    }
    return json_pack("{s:o, s:s, s:s, s:s}", "properties", p, "id", x->id, "name", x->name, "type",
                     "Microsoft.OperationalInsights/workspaces/tables");
}

/* As 2020-08-01 has it on the wire: one property, in another casing, and no type. */
static json_t *old_json(const struct shown *x)
{
    int64_t days = table_setting(x->doc, "retention");
    return json_pack("{s:{s:I}, s:s, s:s}", "properties", "RetentionInDays",
                     (json_int_t)(days == TABLE_AS_WORKSPACE ? x->workspace_days : days), "id",
                     x->id, "name", x->name);
}

static json_t *show(const struct arm_call *c, const char *id, struct table *t,
                    const struct standard_table *standard, int64_t workspace_days)
{
    CLEANUP_JSON json_t *doc = t != NULL ? doc_of(c->arm, t) : NULL;
    const struct shown x = {.id = id,
                            .name = t != NULL ? store_table_name(t) : standard->name,
                            .schema = t != NULL ? store_table_schema(t) : &standard->schema,
                            .doc = doc,
                            .workspace_days = workspace_days};
    if (!api_version_at_least(c->version, "2021-06-01")) return old_json(&x);
    json_t *j = table_json(&x);
    char key[64] = "";
    if (t != NULL) doc_key(t, key);
    table_show_texts(c->arm, key, doc, json_object_get(json_object_get(j, "properties"), "schema"));
    return j;
}

static enum err reply(struct arm_call *c, const struct target *t, struct diag *d)
{
    return arm_reply(c, 200, show(c, c->id_text, t->table, t->standard, t->workspace_days), d);
}

enum err table_get(struct arm_call *c, struct diag *d)
{
    struct target t = {0};
    TRY(find_target(c, &t, d));
    return is_there(&t) ? reply(c, &t, d) : arm_not_found(c, d);
}

/* What is in the store, then the standard tables that are not. */
enum err table_list(struct arm_call *c, struct diag *d)
{
    struct target t = {0};
    TRY(find_target(c, &t, d));
    CLEANUP_JSON json_t *values = json_array();
    struct table *x;
    for (uint32_t i = 0; (x = store_table_at(c->arm->store, &t.workspace, i)) != NULL; i++) {
        const char *id = arena_fmt(c->a, "%s/%s", c->id_text, store_table_name(x));
        if (id == NULL) return arena_full(c->a, d);
        json_array_append_new(values, show(c, id, x, NULL, t.workspace_days));
    }
    const struct standard_table *s;
    for (uint32_t i = 0; (s = standard_table_at(i)) != NULL; i++) {
        const char *id = arena_fmt(c->a, "%s/%s", c->id_text, s->name);
        if (id == NULL) return arena_full(c->a, d);
        if (find_table(c->arm, &t.workspace, s->name, &x)) continue;
        json_array_append_new(values, show(c, id, NULL, s, t.workspace_days));
    }
    return arm_reply_list(c, TAKE(values), d);
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

bool arm_table_plan(struct arm *a, const struct table *t, char plan[16])
{
    CLEANUP_JSON json_t *doc = doc_of(a, t);
    snprintf(plan, 16, "%s", doc_str(doc, "plan"));
    return plan[0] != '\0' && !str_eq(plan, "Analytics");
}

static uint32_t kept_days(const json_t *doc, int64_t workspace_days)
{
    int64_t days = table_setting(doc, "retention"), total = table_setting(doc, "total");
    if (days == TABLE_AS_WORKSPACE) days = workspace_days;
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

enum err table_ensure(struct arm *a, const struct guid *workspace,
                      const struct standard_table *standard, struct table **out, struct diag *d)
{
    struct diag why = DIAG_INIT;
    if (store_table_find(a->store, workspace, standard->name, out, &why) == OK) return OK;
    enum err e = store_table_create(a->store, workspace, standard->name, &standard->schema, out, d);
    if (e != ERR_CONFLICT) return e;
    diag_reset(d); /* somebody else was first */
    return store_table_find(a->store, workspace, standard->name, out, d);
}

enum err arm_table_of(struct arm *a, const struct guid *workspace, const char *name,
                      struct table **out, struct diag *d)
{
    const struct standard_table *standard = standard_table_find(name);
    return standard != NULL ? table_ensure(a, workspace, standard, out, d)
                            : store_table_find(a->store, workspace, name, out, d);
}

static enum err create(struct arm_call *c, struct target *t, struct diag *d)
{
    const char *name = arm_id_name(c->id);
    const char *in_body = json_string_value(json_at(c->body, "properties", "schema", "name", NULL));
    if (in_body != NULL && str_eq_nocase(in_body, name)) name = in_body;
    if (!table_identifier(name, TABLE_NAME_MAX) || name[0] == '_' || !str_ends(name, "_CL")) {
        return table_bad(
            c, d,
            "The name of a custom table must begin with a letter, hold only letters, digits "
            "and underscores, end in _CL and be at most 63 characters long",
            name);
    }
    if (store_table_at(c->arm->store, &t->workspace, TABLES_MAX - 1) != NULL) {
        return ARM_FAIL(c, d, 409, "QuotaExceeded", "A workspace has at most %d custom tables.",
                        TABLES_MAX);
    }
    struct schema s = {0};
    TRY(table_read_schema(c, true, true, &s, d));
    enum err e = store_table_create(c->arm->store, &t->workspace, name, &s, &t->table, d);
    if (e != ERR_CONFLICT) return e;
    diag_reset(d);
    return store_table_find(c->arm->store, &t->workspace, name, &t->table, d);
}

static enum err grow(struct arm_call *c, struct target *t, struct diag *d)
{
    struct schema wanted = {0}, more = {0};
    bool is_custom = table_is_custom(store_table_name(t->table));
    TRY(table_read_schema(c, false, is_custom, &wanted, d));
    TRY(table_new_columns(c, is_custom, store_table_schema(t->table), &wanted, &more, d));
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
    if (!is_there(&t) && !may_create) return arm_not_found(c, d);
    if (t.table == NULL && t.standard != NULL) {
        TRY(table_ensure(c->arm, &t.workspace, t.standard, &t.table, d));
    }
    DOCS_WRITE(c->arm->docs); /* settings are read, changed and written as one step */
    CLEANUP_JSON json_t *old = t.table != NULL ? doc_of(c->arm, t.table) : NULL;
    CLEANUP_JSON json_t *doc = old != NULL ? json_deep_copy(old) : json_object();
    TRY(table_read_settings(c, t.table == NULL, doc, t.workspace_days, d));
    char key[64] = "";
    CLEANUP_JSON json_t *texts = NULL;
    if (t.table != NULL) doc_key(t.table, key);
    TRY(table_read_texts(c, key, old, &texts,
                         d)); /* what is wrong is said before anything is made */
    TRY(t.table == NULL ? create(c, &t, d) : grow(c, &t, d));
    TRY(store_table_set_retention(c->arm->store, t.table, kept_days(doc, t.workspace_days), d));
    CLEANUP_CHANGE struct change change = {0};
    doc_key(t.table, key);
    TRY(table_keep_texts(c->arm, key, texts, doc, d));
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
    bool is_standard =
        t.standard != NULL || (t.table != NULL && !table_is_custom(store_table_name(t.table)));
    if (is_standard) {
        return table_bad(c, d, "A standard table can't be deleted", arm_id_name(c->id));
    }
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
    return is_there(&t) ? OK : arm_not_found(c, d);
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
    return table_bad(c, d, "The table holds no results of a search job", arm_id_name(c->id));
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
