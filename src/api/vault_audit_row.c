/* SPDX-License-Identifier: Apache-2.0 */
/* api/vault_audit_row.c - the columns that the documentation gives to both tables */
#include "api/vault_audit_row.h"

#include "base/str.h"

#define CLAIM_OBJECT "http://schemas.microsoft.com/identity/claims/objectidentifier"
#define CLAIM_UPN    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn"

/* A column and where it comes from: a member of the record, of its "properties", or of the claims
 * in its "identity". Rows without a source are filled by hand. */
struct field {
    struct column column;
    enum { BY_HAND, RECORD, PROPERTY, CLAIM } from;
    const char *name;
};

static const struct field shared[] = {
    {{"TimeGenerated", T_DATETIME}, RECORD, "time"},
    {{"TenantId", T_STRING}, BY_HAND, NULL},
    {{"Category", T_STRING}, RECORD, "category"},
    {{"OperationName", T_STRING}, RECORD, "operationName"},
    {{"OperationVersion", T_STRING}, RECORD, "operationVersion"},
    {{"ResultType", T_STRING}, RECORD, "resultType"},
    {{"ResultSignature", T_STRING}, RECORD, "resultSignature"},
    {{"ResultDescription", T_STRING}, RECORD, "resultDescription"},
    {{"DurationMs", T_LONG}, RECORD, "durationMs"},
    {{"CorrelationId", T_STRING}, RECORD, "correlationId"},
    {{VAULT_ROW_SEQUENCE, T_LONG}, RECORD, "sequence"},
    {{"Hash", T_STRING}, RECORD, "hash"},
    {{"SourceSystem", T_STRING}, BY_HAND, NULL},
    {{"Type", T_STRING}, BY_HAND, NULL},
    {{"_ResourceId", T_STRING}, BY_HAND, NULL},
};
static const struct field azure_diagnostics[] = {
    {{"ResourceId", T_STRING}, BY_HAND, NULL},
    {{"ResourceGroup", T_STRING}, BY_HAND, NULL},
    {{"SubscriptionId", T_STRING}, BY_HAND, NULL},
    {{"ResourceProvider", T_STRING}, BY_HAND, NULL},
    {{"ResourceType", T_STRING}, BY_HAND, NULL},
    {{"Resource", T_STRING}, BY_HAND, NULL},
    {{"CallerIPAddress", T_STRING}, RECORD, "callerIpAddress"},
    {{"identity_claim_http_schemas_microsoft_com_identity_claims_objectidentifier_g", T_STRING},
     CLAIM,
     CLAIM_OBJECT},
    {{"identity_claim_http_schemas_xmlsoap_org_ws_2005_05_identity_claims_upn_s", T_STRING},
     CLAIM,
     CLAIM_UPN},
    {{"identity_claim_appid_g", T_STRING}, CLAIM, "appid"},
    {{"clientInfo_s", T_STRING}, PROPERTY, "clientInfo"},
    {{"requestUri_s", T_STRING}, PROPERTY, "requestUri"},
    {{"id_s", T_STRING}, PROPERTY, "id"},
    {{"httpStatusCode_d", T_REAL}, PROPERTY, "httpStatusCode"},
};
static const struct field azkv_audit_logs[] = {
    {{"CallerIpAddress", T_STRING}, RECORD, "callerIpAddress"},
    {{"ClientInfo", T_STRING}, PROPERTY, "clientInfo"},
    {{"RequestUri", T_STRING}, PROPERTY, "requestUri"},
    {{"Id", T_STRING}, PROPERTY, "id"},
    {{"HttpStatusCode", T_INT}, PROPERTY, "httpStatusCode"},
    {{"Identity", T_DYNAMIC}, RECORD, "identity"},
    {{"Properties", T_DYNAMIC}, RECORD, "properties"},
    {{"_SubscriptionId", T_STRING}, BY_HAND, NULL},
};
#define N_SHARED (sizeof shared / sizeof shared[0])
#define N_OF(x)  (sizeof(x) / sizeof(x)[0])

struct half {
    const struct field *v;
    size_t n;
};

static struct half own_fields(bool dedicated)
{
    return dedicated ? (struct half){azkv_audit_logs, N_OF(azkv_audit_logs)}
                     : (struct half){azure_diagnostics, N_OF(azure_diagnostics)};
}

const char *vault_row_table(bool dedicated)
{
    return dedicated ? "AZKVAuditLogs" : "AzureDiagnostics";
}

struct schema vault_row_schema(bool dedicated)
{
    static struct column columns[2][N_SHARED + N_OF(azure_diagnostics) + N_OF(azkv_audit_logs)];
    const struct half own = own_fields(dedicated);
    struct column *c = columns[dedicated]; /* filled with the same each time */
    for (size_t i = 0; i < N_SHARED; i++)
        c[i] = shared[i].column;
    for (size_t i = 0; i < own.n; i++)
        c[N_SHARED + i] = own.v[i].column;
    return (struct schema){.cols = c, .n = (uint32_t)(N_SHARED + own.n)};
}

bool vault_row_is_of(const json_t *record, const char *scope)
{
    const char *id = json_get_str(record, "resourceId");
    size_t n = strlen(scope);
    return id != NULL && strncasecmp(id, scope, n) == 0 && (id[n] == '\0' || id[n] == '/');
}

static void fill(json_t *row, const struct half *h, const json_t *record)
{
    const json_t *places[] = {[RECORD] = record,
                              [PROPERTY] = json_get(record, "properties"),
                              [CLAIM] = json_get(json_get(record, "identity"), "claim")};
    for (size_t i = 0; i < h->n; i++) {
        if (h->v[i].from == BY_HAND) continue;
        json_t *v = json_get(places[h->v[i].from], h->v[i].name);
        if (v != NULL) json_object_set(row, h->v[i].column.name, v);
    }
}

static void set(json_t *row, const char *name, const char *text, size_t n, bool upper)
{
    CLEANUP_FREE char *copy = strndup(text, n);
    if (copy == NULL) return;
    for (char *p = copy; upper && *p != '\0'; p++)
        *p = *p >= 'a' && *p <= 'z' ? (char)(*p - 'a' + 'A') : *p;
    json_object_set_new(row, name, json_string(copy));
}

/* "/subscriptions/{s}/resourcegroups/{rg}/providers/{ns}/{type}/{name}": the parts of a vault's id. */
static void set_parts(json_t *row, const char *scope)
{
    static const char *const names[] = {NULL, "SubscriptionId",   NULL,           "ResourceGroup",
                                        NULL, "ResourceProvider", "ResourceType", "Resource"};
    const char *p = scope;
    for (size_t i = 0; i < sizeof names / sizeof names[0] && *p == '/'; i++) {
        size_t n = strcspn(++p, "/");
        if (names[i] != NULL) set(row, names[i], p, n, i != 1);
        p += n;
    }
    set(row, "ResourceId", scope, strlen(scope), true);
}

json_t *vault_row(const json_t *record, const char *scope, const char *workspace, bool dedicated)
{
    const struct half common = {shared, N_SHARED}, own = own_fields(dedicated);
    json_t *row = json_object();
    fill(row, &common, record);
    fill(row, &own, record);
    if (dedicated) {
        const char *id = scope + strlen("/subscriptions/");
        set(row, "_SubscriptionId", id, strcspn(id, "/"), false);
    } else {
        set_parts(row, scope);
    }
    json_object_set_new(row, "TenantId", json_string(workspace));
    json_object_set_new(row, "SourceSystem", json_string("Azure"));
    json_object_set_new(row, "Type", json_string(vault_row_table(dedicated)));
    json_object_set_new(row, "_ResourceId", json_string(scope));
    return row;
}
