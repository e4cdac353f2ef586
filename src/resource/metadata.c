/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource/metadata.c - /metadata/endpoints: how clients learn where everything is
 *
 * One address serves all; 2019-05-01 is an array, versions before and after it are one object each.
 */
#include "resource/plane.h"

static json_t *classic(const struct arm *a) /* 2015-01-01 */
{
    const char *e = a->c.endpoint;
    return json_pack("{s:s, s:s, s:s, s:{s:o, s:[s, s]}}", "galleryEndpoint", e, "graphEndpoint", e,
                     "portalEndpoint", e, "authentication", "loginEndpoint",
                     json_sprintf("%s/adfs", e), "audiences", e, "https://management.azure.com/");
}

static json_t *full(const struct arm *a, const char *login)
{
    const char *e = a->c.endpoint;
    json_t *authentication =
        json_pack("{s:s, s:[s, s, s], s:s, s:s}", "loginEndpoint", login, "audiences", e,
                  "https://management.core.windows.net/", "https://management.azure.com/", "tenant",
                  a->c.tenant_id, "identityProvider", "AAD");
    json_t *j =
        json_pack("{s:s, s:o, s:{s:s, s:s}}", "name", "Keystead", "authentication", authentication,
                  "suffixes", "keyVaultDns", a->c.vault_suffix, "storage", "localhost");
    static const char *const places[] = {
        "resourceManager",
        "portal",
        "gallery",
        "graph",
        "graphAudience",
        "microsoftGraphResourceId",
        "batch",
        "media",
        "sqlManagement",
        "activeDirectoryDataLake",
        "vmImageAliasDoc",
        "logAnalyticsResourceId",
        "appInsightsResourceId",
    };
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        json_object_set_new(j, places[i], json_string(e));
    }
    return j;
}

void arm_metadata(struct arm *a, const struct http_request *req, struct http_response *res)
{
    const char *text = http_query(req, "api-version");
    struct api_version v = {0};
    if (text == NULL || !api_version_parse(text, &v)) {
        arm_error(res, 400, "MissingApiVersionParameter",
                  "The api-version query parameter (?api-version=) is required for all requests.");
        return;
    }
    CLEANUP_JSON json_t *j = NULL;
    if (!api_version_at_least(v, "2018-01-01")) {
        j = classic(a);
    } else if (!api_version_at_least(v, "2020-01-01")) {
        CLEANUP_FREE char *adfs = str_fmt("%s/adfs", a->c.endpoint);
        j = json_pack("[o]", full(a, adfs != NULL ? adfs : a->c.endpoint));
    } else {
        j = full(a, a->c.endpoint);
    }
    struct diag d = DIAG_INIT;
    res->status = 200;
    http_set(res, "Content-Type", "application/json; charset=utf-8");
    if (json_write(j, &res->body, &d) != OK) arm_error(res, 500, "InternalServerError", d.text);
}
