/* SPDX-License-Identifier: Apache-2.0 */
/* identity/graph.c - the three calls to Microsoft Graph that az makes on the way to a vault or a
 * role */
#include "identity/endpoint.h"

#define IDS_MAX 1000

static json_t *principal_json(const struct principal *p)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:[s], s:s}", "@odata.type",
                     "#microsoft.graph.servicePrincipal", "id", p->object_id, "appId", p->client_id,
                     "displayName", p->name, "servicePrincipalNames", p->client_id,
                     "servicePrincipalType",
                     p->resource[0] != 0 ? "ManagedIdentity" : "Application");
}

static void serve_me(struct endpoint *e)
{
    struct principal p;
    if (principal_by_object(e->id, e->caller, &p)) {
        answer_json(e, 200, principal_json(&p));
    } else {
        answer_error(e, 404, "Request_ResourceNotFound", "Resource '%s' does not exist.",
                     e->caller);
    }
}

/* The value within the quotes, whatever the filter's form: "appId eq 'x'",
 * "servicePrincipalNames/any(c:c eq 'x')". */
static bool quoted(const char *filter, char out[64])
{
    const char *from = filter != NULL ? strchr(filter, '\'') : NULL;
    const char *to = from != NULL ? strchr(from + 1, '\'') : NULL;
    if (to == NULL || to - from > 64) return false;
    size_t n = (size_t)(to - from - 1);
    memcpy(out, from + 1, n);
    out[n] = 0;
    return true;
}

static void serve_principals(struct endpoint *e)
{
    char asked[64];
    struct principal p;
    const char *filter = http_query(e->req, "$filter");
    if (!quoted(filter, asked)) {
        answer_error(e, 400, "Request_UnsupportedQuery",
                     "A filter by appId or servicePrincipalNames is needed.");
        return;
    }
    bool known = principal_by_client(e->id, asked, &p) || principal_by_object(e->id, asked, &p);
    answer_json(e, 200,
                known ? json_pack("{s:[o]}", "value", principal_json(&p))
                      : json_pack("{s:[]}", "value"));
}

static void serve_by_ids(struct endpoint *e)
{
    CLEANUP_JSON json_t *body = NULL, *found = json_array();
    const json_t *ids = json_read(e->req->body, &body, NULL) == OK ? json_get(body, "ids") : NULL;
    if (!json_is_array(ids) || json_array_size(ids) > IDS_MAX) {
        answer_error(e, 400, "Request_BadRequest", "An array \"ids\" of at most %d ids is needed.",
                     IDS_MAX);
        return;
    }
    bool good = true;
    for (size_t i = 0; good && i < json_array_size(ids); i++) {
        const char *asked = json_string_value(json_array_get(ids, i));
        struct principal p;
        if (asked == NULL || !principal_by_object(e->id, asked, &p)) continue;
        good = json_array_append_new(found, principal_json(&p)) == 0;
    }
    answer_json(e, 200, good ? json_pack("{s:O}", "value", found) : NULL);
}

void serve_graph(struct endpoint *e)
{
    switch (e->at.route) {
    case ROUTE_GRAPH_ME: serve_me(e); return;
    case ROUTE_GRAPH_PRINCIPALS: serve_principals(e); return;
    default: serve_by_ids(e); return;
    }
}
