/* SPDX-License-Identifier: Apache-2.0 */
/* api/query_tables.c - a workspace's tables by number and by name; and as the metadata of the query
 * API */
#include "api/query_tables.h"

#include "api/activity.h"

struct source_tables query_source(struct api *api, const struct workspace *w, struct arena *a)
{
    struct source_tables t = {.store = atomic_load(&api->store),
                              .workspace = w->id,
                              .names = {w->name, w->customer_id, w->arm_id},
                              .a = a,
                              .arm = api->arm};
    t.sees_activity = activity_seen_from(api->activity, w, &t.activity);
    return t;
}

void query_tables_init(struct query_tables *t, struct api *api, const struct workspace *w,
                       struct arena *a)
{
    t->source = query_source(api, w, a);
    t->catalog = source_catalog(&t->source);
}

bool query_table_find(struct query_tables *t, const char *name, const struct schema **schema)
{
    void *table;
    struct diag d = DIAG_INIT;
    return t->catalog->table(t->catalog->ctx, name, schema, &table, &d) == OK;
}

const char *query_table_at(struct query_tables *t, uint32_t i, const struct schema **schema)
{
    const char *name = t->catalog->table_name(t->catalog->ctx, i);
    bool is_end =
        name == NULL && (i == 0 || t->catalog->table_name(t->catalog->ctx, i - 1) != NULL);
    if (is_end && t->source.sees_activity) name = ACTIVITY_TABLE; /* behind the workspace's own */
    return name != NULL && query_table_find(t, name, schema) ? name : NULL;
}

/* --- /v1/workspaces/{id}/metadata ------------------------------------------------------------- */

static json_t *table_json(const char *workspace, const char *name, const struct schema *s)
{
    json_t *columns = json_array();
    const char *time = "";
    for (uint32_t i = 0; i < s->n; i++) {
        if (str_eq(s->cols[i].name, "TimeGenerated")) time = s->cols[i].name;
        json_array_append_new(columns, json_pack("{s:s, s:s}", "name", s->cols[i].name, "type",
                                                 type_name(s->cols[i].type)));
    }
    return json_pack("{s:o, s:s, s:s, s:s, s:[], s:o}", "id",
                     json_sprintf("t/%s/%s", workspace, name), "name", name, "description", "",
                     "timespanColumn", time, "labels", "columns", columns);
}

static json_t *workspace_json(struct api *api, const struct workspace *w)
{
    CLEANUP_FREE char *id = str_dup(w->arm_id);
    if (id != NULL) str_lower(id);
    CLEANUP_JSON json_t *doc = id != NULL ? docs_get(arm_docs(api->arm), DOC_RESOURCE, id) : NULL;
    const char *region = json_get_str(doc, "location");
    return json_pack("{s:s, s:s, s:s, s:s}", "id", w->customer_id, "resourceId", w->arm_id, "name",
                     w->name, "region", region != NULL ? region : "");
}

void query_metadata(struct front_call *c, const struct workspace *w, enum plane plane)
{
    struct query_tables t;
    const struct schema *s;
    const char *name;
    if (!query_allowed(c, w, plane)) return;
    query_tables_init(&t, c->api, w, c->req->a);
    json_t *tables = json_array();
    for (uint32_t i = 0; (name = query_table_at(&t, i, &s)) != NULL; i++)
        json_array_append_new(tables, table_json(w->customer_id, name, s));
    CLEANUP_JSON json_t *j = json_pack(
        "{s:o, s:[], s:[], s:[], s:[], s:[], s:[], s:[], s:[o], s:[{s:[{s:s, s:[]}], s:[], s:[]}]}",
        "tables", tables, "functions", "categories", "resourceTypes", "solutions", "queries",
        "applications", "resources", "workspaces", workspace_json(c->api, w), "permissions",
        "workspaces", "resourceId", w->arm_id, "denyTables", "resources", "applications");
    front_json(c->res, 200, j);
}
