/* SPDX-License-Identifier: Apache-2.0 */
/* api/kusto.c - the Kusto REST endpoint: its routes, and which workspace a database is */
#include "api/kusto.h"

#include <stdlib.h>

/* Kusto's own desktop client: what clients expect to be told. */
#define CLIENT_APP "db662dc1-0cfe-4e1c-a843-19a68e65be58"
#define NOT_FOUND  "Kusto.Data.Exceptions.EntityNotFoundException"

void kusto_metadata(struct front_call *c)
{
    const struct api_config *a = &c->api->c;
    CLEANUP_JSON json_t *authority = json_sprintf("%s/%s", a->endpoint, a->tenant_id);
    CLEANUP_JSON json_t *j =
        json_pack("{s:{s:s, s:b, s:s, s:s, s:s, s:O}}", "AzureAD", "LoginEndpoint", a->endpoint,
                  "LoginMfaRequired", 0, "KustoClientAppId", CLIENT_APP, "KustoClientRedirectUri",
                  "https://microsoft/kustoclient", "KustoServiceResourceId", a->endpoint,
                  "FirstPartyAuthorityUrl", authority);
    front_json(c->res, 200, j);
}

/* --- databases -------------------------------------------------------------------------------- */

static bool no_database(struct front_call *c, const char *name)
{
    struct kusto_problem p = {
        .status = 400, .code = "BadRequest_EntityNotFound", .type = NOT_FOUND};
    snprintf(p.buffer, sizeof p.buffer, "Entity ID '%.200s' of kind 'Database' was not found.",
             name);
    p.text = p.buffer;
    kusto_error(c, &p);
    return false;
}

static bool find_by_name(struct front_call *c, const char *name, struct workspace *out)
{
    struct workspace *all = NULL;
    uint32_t n = 0;
    struct diag d = DIAG_INIT;
    if (arm_workspaces(c->api->arm, name, &all, &n, &d) != OK) {
        front_unavailable(c->res, "The server is out of memory.", 1);
        return false;
    }
    n = query_keep_seen(c, all, n); /* nobody else's can make his own ambiguous */
    if (n == 1) *out = all[0];
    free(all);
    if (n == 1) return true;
    if (n == 0) return no_database(c, name);
    char text[320];
    snprintf(text, sizeof text,
             "%u workspaces are called '%.100s': name the database by its workspace's customer id.",
             n, name);
    kusto_bad_request(c, text);
    return false;
}

bool kusto_database(struct front_call *c, const char *name, struct workspace *out)
{
    if (name == NULL || name[0] == '\0') {
        kusto_bad_request(c, "The request names no database: 'db' is missing.");
        return false;
    }
    bool found = query_workspace_of(c->api, name, out) ||
                 (name[0] == '/' && arm_workspace_by_id(c->api->arm, name, out));
    if (!found && !find_by_name(c, name, out)) return false;
    return query_allowed(c, out, PLANE_KUSTO);
}

/* --- routes ----------------------------------------------------------------------------------- */

static void run(struct front_call *c, bool v2)
{
    struct kusto_request r;
    struct workspace w;
    if (!front_verify(c, PLANE_KUSTO)) return;
    if (kusto_read(&r, c)) {
        r.v2 = v2;
        if (kusto_database(c, r.db, &w)) kusto_query_run(&r, &w);
    }
    kusto_request_release(&r);
}

void kusto_query_v1(struct front_call *c)
{
    run(c, false);
}

void kusto_query_v2(struct front_call *c)
{
    run(c, true);
}

void kusto_mgmt(struct front_call *c)
{
    struct kusto_request r;
    if (!front_verify(c, PLANE_KUSTO)) return;
    if (kusto_read(&r, c)) kusto_command(&r);
    kusto_request_release(&r);
}
