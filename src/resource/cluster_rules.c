/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource/cluster_rules.c - what may stand in the way of a cluster: the subscription, the limits
 * of its region, and a vault that is somewhere else
 */
#include "resource/cluster.h"

#include "base/log.h"

#define VAULT_MS 5000 /* a vault that does not say where it is within this is not asked again */

/* --- limits ----------------------------------------------------------------------------------- */

/* Those of the subscription that were deleted after this moment, or never. */
static int64_t count_in(struct arm_call *c, const char *kind, const char *lead,
                        const char *location, int64_t after_us)
{
    char *prefix = arena_fmt(c->a, "%s/subscriptions/%s/", lead, c->id->subscription);
    if (prefix == NULL) return INT64_MAX / 2;
    str_lower(prefix);
    CLEANUP_JSON json_t *docs = docs_list(c->arm->docs, DOC_RESOURCE, kind, prefix);
    int64_t n = 0;
    size_t i;
    json_t *doc;
    json_array_foreach (docs, i, doc)
        n += str_eq(doc_str(doc, "location"), location) &&
             (json_object_get(doc, "deleted") == NULL || doc_int(doc, "deleted") > after_us);
    return n;
}

enum err cluster_check_allowed(struct arm_call *c, struct diag *d)
{
    if (settings_of(c->arm).subscription_allowed) return OK;
    return ARM_FAIL(c, d, 403, "SubscriptionNotAllowed",
                    "The subscription '%s' is not allowed to create clusters. Subscriptions must "
                    "be allowed beforehand.",
                    c->id->subscription);
}

enum err cluster_check_limits(struct arm_call *c, const char *location, struct diag *d)
{
    struct settings s = settings_of(c->arm);
    int64_t free_since = time_now_us() - deleted_us(c->arm);
    int64_t active = count_in(c, KIND_CLUSTER, "", location, free_since);
    int64_t deleted = count_in(c, KIND_DELETED_CLUSTER, "deleted:", location, free_since);
    if (active >= s.clusters_active_max) {
        return ARM_FAIL(c, d, 409, "QuotaExceeded",
                        "The region '%s' has %lld active clusters in this subscription. At most "
                        "%lld are allowed.",
                        location, (long long)active, (long long)s.clusters_active_max);
    }
    if (active + deleted >= s.clusters_reserved_max) {
        return ARM_FAIL(c, d, 409, "QuotaExceeded",
                        "The region '%s' has %lld reserved clusters (active or recently deleted) "
                        "in this subscription. At most %lld are allowed.",
                        location, (long long)(active + deleted),
                        (long long)s.clusters_reserved_max);
    }
    return OK;
}

/* --- where a vault is ------------------------------------------------------------------------- */

/* The tenant in authorization="https://login/TENANT", or "". */
static void tenant_of(const char *challenge, char out[64])
{
    static const char word[] = "authorization=\"";
    const char *p = challenge != NULL ? strstr(challenge, word) : NULL;
    out[0] = '\0';
    if (p == NULL) return;
    p += sizeof word - 1;
    size_t n = strcspn(p, "\"");
    const char *slash = memrchr(p, '/', n);
    if (slash == NULL) return;
    snprintf(out, 64, "%.*s", (int)(n - (size_t)(slash + 1 - p)), slash + 1);
}

/* Every vault says where it is, and whose, when it asks for a token: no token is sent to learn it.
 * One that does not answer will fail in the check of the key. */
enum err cluster_check_vault(struct arm_call *c, const char *location, const char *vault_uri,
                             struct diag *d)
{
    if (c->arm->c.http == NULL) return OK;
    const char *url = arena_fmt(c->a, "%s/keys?api-version=7.4", vault_uri);
    if (url == NULL) return arena_full(c->a, d);
    const struct http_call call = {.method = "GET", .url = url, .timeout_ms = VAULT_MS};
    CLEANUP_ANSWER struct http_answer answer = {0};
    struct diag why = DIAG_INIT;
    if (http_do(c->arm->c.http, &call, &answer, &why) != OK) {
        LOG(WARN, "cluster.vault_silent", F_STR("vault", vault_uri), F_ERR(&why));
        return OK;
    }
    const char *region = http_answer_header(&answer, "x-ms-keyvault-region");
    if (region != NULL && !str_eq(location_canonical(c->a, region), location)) {
        return ARM_FAIL(c, d, 400, "KeyVaultValidationFailed",
                        "Failed to validate key in Key Vault. The Key Vault is in region '%s' and "
                        "the cluster in '%s'. They must be in the same region.",
                        region, location);
    }
    char tenant[64];
    tenant_of(http_answer_header(&answer, "www-authenticate"), tenant);
    if (tenant[0] != '\0' && !str_eq_nocase(tenant, c->arm->c.tenant_id)) {
        return ARM_FAIL(c, d, 400, "KeyVaultValidationFailed",
                        "Failed to validate key in Key Vault. The Key Vault is in tenant '%s' and "
                        "the cluster in '%s'. They must be in the same tenant.",
                        tenant, c->arm->c.tenant_id);
    }
    return OK;
}
