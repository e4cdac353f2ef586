/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity/discovery.c - the documents that tell clients where everything is
 *
 * The issuer is always on the authority's own host: MSAL for JavaScript refuses others.
 */
#include "identity/endpoint.h"

#include "net/url.h"

#include <stdio.h>

/* Adds "name": endpoint + rest. */
static bool add_url(json_t *j, const char *name, const struct identity *id, const char *rest)
{
    char *text = str_fmt("%s%s", id->endpoint, rest);
    bool good = text != NULL && json_object_set_new(j, name, json_string(text)) == 0;
    free(text);
    return good;
}

static json_t *document(const struct identity *id, enum token_kind kind)
{
    static const struct {
        const char *authorize, *token, *device, *keys; /* with the tenant in front, but for ADFS */
    } paths[] = {
        [TOKEN_V1] = {"/oauth2/authorize", "/oauth2/token", "/oauth2/devicecode",
                      "/discovery/keys"},
        [TOKEN_V2] = {"/oauth2/v2.0/authorize", "/oauth2/v2.0/token", "/oauth2/v2.0/devicecode",
                      "/discovery/v2.0/keys"},
        [TOKEN_ADFS] = {"/oauth2/authorize", "/oauth2/token", "/oauth2/devicecode",
                        "/discovery/keys"},
    };
    const struct {
        const char *name, *path;
    } urls[] = {
        {"token_endpoint", paths[kind].token},
        {"authorization_endpoint", paths[kind].authorize},
        {"jwks_uri", paths[kind].keys},
        {"device_authorization_endpoint", paths[kind].device},
    };
    char issuer[ISSUER_MAX], rest[128];
    token_issuer(id, kind, issuer);
    json_t *j = json_pack(
        "{s:s, s:[s, s, s], s:[s], s:[s], s:[s], s:[s, s, s], s:[s, s, s], s:[s], s:[s, s, s, s, "
        "s, s, s, s, s, s], "
        "s:n, s:s}",
        "issuer", issuer, "token_endpoint_auth_methods_supported", "client_secret_post",
        "client_secret_basic", "private_key_jwt", "response_modes_supported", "query",
        "subject_types_supported", "public", "response_types_supported", "code", "scopes_supported",
        "openid", "profile", "offline_access", "token_endpoint_auth_signing_alg_values_supported",
        "RS256", "PS256", "ES256", "id_token_signing_alg_values_supported", "RS256",
        "claims_supported", "sub", "iss", "aud", "exp", "iat", "nbf", "oid", "tid", "appid", "ver",
        "tenant_region_scope", "cloud_instance_name", strstr(id->endpoint, "://") + 3);
    const char *host = strstr(id->endpoint, "://") + 3; /* of the little of Graph that there is */
    bool good = j != NULL &&
                json_object_set_new(j, "cloud_graph_host_name", json_string(host)) == 0 &&
                json_object_set_new(j, "msgraph_host", json_string(host)) == 0 &&
                json_object_set_new(j, "rbac_url", json_string(id->endpoint)) == 0;
    for (size_t i = 0; good && i < sizeof urls / sizeof *urls; i++) {
        snprintf(rest, sizeof rest, "/%s%s", kind == TOKEN_ADFS ? "adfs" : id->tenant_id,
                 urls[i].path);
        good = add_url(j, urls[i].name, id, rest);
    }
    if (good) return j;
    json_decref(j);
    return NULL;
}

void serve_discovery(struct endpoint *e)
{
    if (!check_tenant(e, true)) return;
    answer_json(e, 200,
                document(e->id, e->at.route == ROUTE_DISCOVERY_V1   ? TOKEN_V1
                                : e->at.route == ROUTE_DISCOVERY_V2 ? TOKEN_V2
                                                                    : TOKEN_ADFS));
}

void serve_key_set(struct endpoint *e)
{
    json_t *set = NULL;
    if (!check_tenant(e, true)) return;
    if (signer_key_set(e->id, &set, NULL) != OK) set = NULL;
    answer_json(e, 200, set);
}

/* Does the asked authority lie on our host? Its first path segment is the tenant to answer for. */
static bool read_authority(struct endpoint *e, char tenant[64])
{
    const char *asked = http_query(e->req, "authorization_endpoint");
    struct url u, own;
    struct diag d = DIAG_INIT;
    if (asked == NULL || url_parse(asked, &u, &d) != OK ||
        url_parse(e->id->endpoint, &own, &d) != OK || !str_eq(u.host, own.host) ||
        u.port != own.port || u.path.len < 2) {
        return false;
    }
    const char *text = (const char *)u.path.p + 1;
    size_t n = 0;
    while (n < u.path.len - 1 && text[n] != '/')
        n++;
    if (n == 0 || n >= 64) return false;
    snprintf(tenant, 64, "%.*s", (int)n, text);
    return true;
}

void serve_instance(struct endpoint *e)
{
    char tenant[64];
    if (!read_authority(e, tenant)) {
        answer_oauth_error(e, 400, "invalid_instance", 50049, "Unknown or invalid instance.");
        return;
    }
    const char *host = strstr(e->id->endpoint, "://") + 3;
    char *where = str_fmt("%s/%s/v2.0/.well-known/openid-configuration", e->id->endpoint, tenant);
    answer_json(e, 200,
                where == NULL
                    ? NULL
                    : json_pack("{s:s, s:s, s:[{s:s, s:s, s:[s]}]}", "tenant_discovery_endpoint",
                                where, "api-version", "1.1", "metadata", "preferred_network", host,
                                "preferred_cache", host, "aliases", host));
    free(where);
}
