/* SPDX-License-Identifier: Apache-2.0 */
/* api/kusto_schema.c - databases, tables and columns as .show commands have them */
#include "api/kusto_schema.h"

#include "api/activity.h"
#include "api/query_tables.h"

#include <stdlib.h>

#define SCHEMA_DATABASES_MAX 1000 /* in one answer: each table is looked for among all */

#define SCHEMA(name, ...)                                                                     \
    static const struct column name##_columns[] = {__VA_ARGS__};                              \
    static const struct schema name = {.n = sizeof name##_columns / sizeof name##_columns[0], \
                                       .cols = name##_columns}

/* --- databases -------------------------------------------------------------------------------- */

struct databases {
    struct workspace *list; /* sorted by name */
    uint32_t n;
};

static void databases_release(struct databases *x)
{
    free(x->list);
}
#define CLEANUP_DATABASES __attribute__((cleanup(databases_release)))

/* All that the caller may query. */
static bool visible_databases(struct front_call *c, struct databases *out)
{
    struct diag d = DIAG_INIT;
    if (query_visible(c, &out->list, &out->n, &d) == OK) return true;
    front_unavailable(c->res, "The server is out of memory.", 1);
    return false;
}

static bool named_databases(struct front_call *c, const char *const *names, uint32_t n,
                            struct databases *out)
{
    out->list = calloc(n, sizeof *out->list);
    if (out->list == NULL) return false;
    for (uint32_t i = 0; i < n; i++) {
        if (!kusto_database(c, names[i], &out->list[i])) return false;
        out->n++;
    }
    return true;
}

static bool read_databases(struct front_call *c, const char *const *names, uint32_t n,
                           struct databases *out)
{
    return n == 0 ? visible_databases(c, out) : named_databases(c, names, n, out);
}

SCHEMA(databases_schema, {"DatabaseName", T_STRING}, {"PersistentStorage", T_STRING},
       {"Version", T_STRING}, {"IsCurrent", T_BOOL}, {"DatabaseAccessMode", T_STRING},
       {"PrettyName", T_STRING}, {"ReservedSlot1", T_BOOL}, {"DatabaseId", T_GUID});

bool show_databases(struct kusto_request *r, const char *const *names, uint32_t n,
                    struct shown *out)
{
    CLEANUP_DATABASES struct databases x = {0};
    if (!read_databases(r->front, names, n, &x)) return false;
    out->schema = &databases_schema;
    out->rows = json_array();
    for (uint32_t i = 0; i < x.n; i++) {
        const struct workspace *w = &x.list[i];
        bool current = str_eq_nocase(r->db, w->name) || str_eq_nocase(r->db, w->customer_id);
        json_array_append_new(out->rows, json_pack("[s, s, s, b, s, s, n, s]",
                                                   query_visible_name(x.list, x.n, i), "", "v1.0",
                                                   current, "ReadWrite", w->name, w->customer_id));
    }
    return true;
}

/* --- tables ----------------------------------------------------------------------------------- */

/* False: the answer says why. */
static bool open_tables(struct kusto_request *r, const char *db, struct workspace *w,
                        struct query_tables *t)
{
    if (!kusto_database(r->front, db, w)) return false;
    query_tables_init(t, r->front->api, w, r->front->req->a);
    return true;
}

static bool find_schema(struct front_call *c, struct query_tables *t, const char *name,
                        const struct schema **schema)
{
    if (query_table_find(t, name, schema)) return true;
    struct kusto_problem p = {.status = 400,
                              .code = "BadRequest_EntityNotFound",
                              .type = "Kusto.Data.Exceptions.EntityNotFoundException"};
    snprintf(p.buffer, sizeof p.buffer, "Entity ID '%.200s' of kind 'Table' was not found.", name);
    p.text = p.buffer;
    kusto_error(c, &p);
    return false;
}

SCHEMA(tables_schema, {"TableName", T_STRING}, {"DatabaseName", T_STRING}, {"Folder", T_STRING},
       {"DocString", T_STRING});

bool show_tables(struct kusto_request *r, const char *db, const char *const *names, uint32_t n,
                 struct shown *out)
{
    struct workspace w;
    struct query_tables t;
    const struct schema *s;
    if (!open_tables(r, db, &w, &t)) return false;
    CLEANUP_JSON json_t *rows = json_array();
    const char *name;
    for (uint32_t i = 0; n == 0 && (name = query_table_at(&t, i, &s)) != NULL; i++)
        json_array_append_new(rows, json_pack("[s, s, s, s]", name, w.name, "", ""));
    for (uint32_t i = 0; i < n; i++) {
        if (!find_schema(r->front, &t, names[i], &s)) return false;
        json_array_append_new(rows, json_pack("[s, s, s, s]", names[i], w.name, "", ""));
    }
    *out = (struct shown){&tables_schema, json_incref(rows)};
    return true;
}

/* --- columns ---------------------------------------------------------------------------------- */

static const char *full_type(enum type t)
{
    static const char *const names[N_TYPES] = {
        [T_BOOL] = "System.SByte",        [T_INT] = "System.Int32",
        [T_LONG] = "System.Int64",        [T_REAL] = "System.Double",
        [T_STRING] = "System.String",     [T_DECIMAL] = "System.Data.SqlTypes.SqlDecimal",
        [T_DATETIME] = "System.DateTime", [T_TIMESPAN] = "System.TimeSpan",
        [T_GUID] = "System.Guid",         [T_DYNAMIC] = "System.Object",
    };
    return names[t] != NULL ? names[t] : "System.Object";
}

static json_t *table_json(const char *name, const struct schema *s)
{
    json_t *columns = json_array();
    for (uint32_t i = 0; i < s->n; i++) {
        json_array_append_new(columns, json_pack("{s:s, s:s, s:s}", "Name", s->cols[i].name, "Type",
                                                 full_type(s->cols[i].type), "CslType",
                                                 type_name(s->cols[i].type)));
    }
    return json_pack("{s:s, s:s, s:s, s:o}", "Name", name, "DocString", "", "Folder", "",
                     "OrderedColumns", columns);
}

/* Names that are no plain words stand in brackets. */
static void put_name(struct buf *out, const char *name)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    bool is_plain = name[strspn(name, plain)] == '\0';
    buf_fmt(out, is_plain ? "%s" : "['%s']", name);
}

static json_t *csl_of(const struct schema *s)
{
    CLEANUP_BUF struct buf text = {0};
    for (uint32_t i = 0; i < s->n; i++) {
        if (i != 0) buf_u8(&text, ',');
        put_name(&text, s->cols[i].name);
        buf_fmt(&text, ":%s", type_name(s->cols[i].type));
    }
    return json_stringn((const char *)text.p, text.len);
}

SCHEMA(table_schema, {"TableName", T_STRING}, {"Schema", T_STRING}, {"DatabaseName", T_STRING},
       {"Folder", T_STRING}, {"DocString", T_STRING});

static json_t *dumped(json_t *j)
{
    char *text = json_dumps(j, JSON_COMPACT);
    json_t *out = json_string(text != NULL ? text : "");
    free(text);
    json_decref(j);
    return out;
}

bool show_table_schema(struct kusto_request *r, const char *db, const char *table, bool as_json,
                       struct shown *out)
{
    struct workspace w;
    struct query_tables t;
    const struct schema *s;
    if (!open_tables(r, db, &w, &t)) return false;
    if (!find_schema(r->front, &t, table, &s)) return false;
    json_t *text = as_json ? dumped(table_json(table, s)) : csl_of(s);
    *out =
        (struct shown){&table_schema, json_pack("[[s, o, s, s, s]]", table, text, w.name, "", "")};
    return true;
}

/* --- everything ------------------------------------------------------------------------------- */

SCHEMA(flat_schema, {"DatabaseName", T_STRING}, {"TableName", T_STRING}, {"ColumnName", T_STRING},
       {"ColumnType", T_STRING}, {"IsDefaultTable", T_BOOL}, {"IsDefaultColumn", T_BOOL},
       {"PrettyName", T_STRING}, {"Version", T_STRING}, {"Folder", T_STRING},
       {"DocString", T_STRING});
SCHEMA(json_schema, {"DatabaseSchema", T_STRING});

static json_t *flat_row(const char *db, const char *table, const char *column, const char *type,
                        const char *pretty, const char *version)
{
    return json_pack("[s, s, s, s, b, b, s, s, s, s]", db, table, column, type, 0, 0, pretty,
                     version, "", "");
}

static void add_flat(json_t *rows, const char *db, const struct workspace *w,
                     struct query_tables *t)
{
    const struct schema *s;
    const char *name;
    json_array_append_new(rows, flat_row(db, "", "", "", w->name, "v1.0"));
    for (uint32_t i = 0; (name = query_table_at(t, i, &s)) != NULL; i++) {
        json_array_append_new(rows, flat_row(db, name, "", "", "", ""));
        for (uint32_t c = 0; c < s->n; c++) {
            json_array_append_new(
                rows, flat_row(db, name, s->cols[c].name, full_type(s->cols[c].type), "", ""));
        }
    }
}

static json_t *database_json(const char *db, const struct workspace *w, struct query_tables *t)
{
    json_t *tables = json_object();
    const struct schema *s;
    const char *name;
    for (uint32_t i = 0; (name = query_table_at(t, i, &s)) != NULL; i++)
        json_object_set_new(tables, name, table_json(name, s));
    return json_pack("{s:s, s:o, s:{}, s:{}, s:{}, s:i, s:i, s:{}, s:s, s:s}", "Name", db, "Tables",
                     tables, "ExternalTables", "MaterializedViews", "EntityGroups", "MajorVersion",
                     1, "MinorVersion", 0, "Functions", "DatabaseAccessMode", "ReadWrite",
                     "PrettyName", w->name);
}

bool show_schema(struct kusto_request *r, const char *const *names, uint32_t n, bool as_json,
                 struct shown *out)
{
    CLEANUP_DATABASES struct databases x = {0};
    if (!read_databases(r->front, names, n, &x)) return false;
    if (x.n > SCHEMA_DATABASES_MAX) {
        char text[128];
        snprintf(text, sizeof text,
                 "There are %u databases, more than %d: name those whose schema "
                 "is wanted.",
                 x.n, SCHEMA_DATABASES_MAX);
        kusto_bad_request(r->front, text);
        return false;
    }
    json_t *rows = json_array(), *all = json_object();
    for (uint32_t i = 0; i < x.n; i++) {
        struct query_tables t;
        query_tables_init(&t, r->front->api, &x.list[i], r->front->req->a);
        if (as_json) {
            json_object_set_new(all, query_visible_name(x.list, x.n, i),
                                database_json(query_visible_name(x.list, x.n, i), &x.list[i], &t));
        } else {
            add_flat(rows, query_visible_name(x.list, x.n, i), &x.list[i], &t);
        }
    }
    json_t *whole = json_pack("{s:o}", "Databases", all);
    if (as_json) {
        json_array_append_new(rows, json_pack("[o]", dumped(whole)));
    } else {
        json_decref(whole);
    }
    *out = (struct shown){as_json ? &json_schema : &flat_schema, rows};
    return true;
}

/* --- what there is one of, or none ------------------------------------------------------------ */

SCHEMA(version_schema, {"BuildVersion", T_STRING}, {"BuildTime", T_DATETIME},
       {"ServiceType", T_STRING}, {"ProductVersion", T_STRING});
SCHEMA(cluster_schema, {"NodeId", T_STRING}, {"Address", T_STRING}, {"Name", T_STRING});
SCHEMA(functions_schema, {"Name", T_STRING}, {"Parameters", T_STRING}, {"Body", T_STRING},
       {"Folder", T_STRING}, {"DocString", T_STRING});
SCHEMA(views_schema, {"Name", T_STRING}, {"SourceTable", T_STRING}, {"Query", T_STRING},
       {"Folder", T_STRING}, {"DocString", T_STRING});
SCHEMA(external_schema, {"TableName", T_STRING}, {"TableType", T_STRING}, {"Folder", T_STRING},
       {"DocString", T_STRING}, {"Properties", T_STRING});

bool show_version(struct kusto_request *r, const char *const *names, uint32_t n, struct shown *out)
{
    (void)r, (void)names, (void)n;
    *out = (struct shown){&version_schema, json_pack("[[s, n, s, s]]", KEYSTEAD_VERSION, "Engine",
                                                     "Keystead " KEYSTEAD_VERSION)};
    return true;
}

bool show_cluster(struct kusto_request *r, const char *const *names, uint32_t n, struct shown *out)
{
    (void)names, (void)n;
    *out = (struct shown){&cluster_schema, json_pack("[[s, s, s]]", "Keystead000000",
                                                     r->front->api->c.endpoint, "Keystead000000")};
    return true;
}

static bool none(const struct schema *s, struct shown *out)
{
    *out = (struct shown){s, json_array()};
    return true;
}

bool show_functions(struct kusto_request *r, const char *const *names, uint32_t n,
                    struct shown *out)
{
    (void)r, (void)names, (void)n;
    return none(&functions_schema, out);
}

bool show_views(struct kusto_request *r, const char *const *names, uint32_t n, struct shown *out)
{
    (void)r, (void)names, (void)n;
    return none(&views_schema, out);
}

bool show_external_tables(struct kusto_request *r, const char *const *names, uint32_t n,
                          struct shown *out)
{
    (void)r, (void)names, (void)n;
    return none(&external_schema, out);
}
