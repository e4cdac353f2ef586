/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keyvault/network.c - from where a vault may be reached
 *
 * A trusted service is, as in Azure, one of the platform's own that acts for its customer: here the
 * log service with the managed identity of a cluster. It is told by the claim xms_mirid of a token
 * that has been verified, and passes where bypass says AzureServices.
 */
#include "keyvault/service.h"

#include "base/str.h"
#include "net/address.h"

#define RULES_MAX 1000

#define BAD(d, ...) FAIL_TAG((d), ERR_INVALID, "BadRequest", __VA_ARGS__)

/* --- what a vault says --- */

static enum err choice(const json_t *in, const char *name, const char *const *words,
                       const char **out, struct diag *d)
{
    json_t *v = json_get(in, name);
    if (v == NULL || json_is_null(v)) return OK;
    for (int i = 0; i < 2 && json_is_string(v); i++) {
        if (!str_eq_nocase(json_string_value(v), words[i])) continue;
        *out = words[i];
        return OK;
    }
    return BAD(d, "An invalid value was provided for '%s': %s or %s.", name, words[0], words[1]);
}

static enum err read_rules(const json_t *acls, json_t **out, struct diag *d)
{
    const json_t *rules = json_get(acls, "ipRules");
    CLEANUP_JSON json_t *list = json_array();
    struct address_range r;
    size_t i;
    json_t *rule;
    if (json_array_size(rules) > RULES_MAX)
        return BAD(d, "At most %d 'ipRules' are allowed.", RULES_MAX);
    json_array_foreach ((json_t *)rules, i, rule) {
        const char *value = json_get_str(rule, "value");
        if (value == NULL || !address_range_parse(value, &r)) {
            return BAD(
                d,
                "An invalid value was provided for 'ipRules': '%.60s' is neither an address nor a "
                "range in CIDR notation.",
                value != NULL ? value : "(none)");
        }
        json_array_append_new(list, json_pack("{s:s}", "value", value));
    }
    if (json_array_size(json_get(acls, "virtualNetworkRules")) != 0) {
        return BAD(
            d, "'virtualNetworkRules' are not supported by this vault: it sees addresses only.");
    }
    *out = TAKE(list);
    return OK;
}

static enum err apply_acls(json_t *p, const json_t *acls, struct diag *d)
{
    static const char *const actions[] = {"Allow", "Deny"}, *const bypasses[] = {"AzureServices",
                                                                                 "None"};
    const char *action = "Allow", *bypass = "AzureServices";
    CLEANUP_JSON json_t *rules = NULL;
    TRY(choice(acls, "defaultAction", actions, &action, d));
    TRY(choice(acls, "bypass", bypasses, &bypass, d));
    TRY(read_rules(acls, &rules, d));
    return json_put(p, "networkAcls",
                    json_pack("{s:s, s:s, s:O, s:[]}", "bypass", bypass, "defaultAction", action,
                              "ipRules", rules, "virtualNetworkRules"),
                    d);
}

enum err kv_network_apply(json_t *p, const json_t *in, struct diag *d)
{
    static const char *const accesses[] = {"Enabled", "Disabled"};
    const json_t *acls = json_get(in, "networkAcls");
    const char *access = json_get_str(p, "publicNetworkAccess");
    if (acls != NULL && !json_is_null(acls)) {
        if (!json_is_object(acls))
            return BAD(d, "An invalid value was provided for 'networkAcls'.");
        TRY(apply_acls(p, acls, d));
    }
    if (access == NULL) access = "Enabled";
    TRY(choice(in, "publicNetworkAccess", accesses, &access, d));
    return json_put(p, "publicNetworkAccess", json_string(access), d);
}

/* --- who comes --- */

/* The claim of a token that was verified before. */
static bool is_trusted_service(const struct call *c)
{
    const char *token = http_bearer(c->req);
    const char *payload = token != NULL ? strchr(token, '.') : NULL;
    CLEANUP_BUF struct buf text = {0};
    CLEANUP_JSON json_t *claims = NULL;
    if (payload == NULL) return false;
    payload++;
    if (base64_decode(&text, bytes_of(payload, strcspn(payload, ".")), NULL) != OK ||
        json_read(buf_view(&text), &claims, NULL) != OK) {
        return false;
    }
    const char *id = json_get_str(claims, "xms_mirid");
    for (const char *p = id; p != NULL && (p = strchr(p, '/')) != NULL; p++) {
        if (str_starts_nocase(p, "/providers/Microsoft.OperationalInsights/clusters/")) return true;
    }
    return false;
}

static bool is_in_rules(const json_t *acls, const char *peer)
{
    struct address_range caller, r;
    size_t i;
    json_t *rule;
    if (!address_range_parse(peer, &caller)) return false;
    json_array_foreach (json_get(acls, "ipRules"), i, rule) {
        const char *value = json_get_str(rule, "value");
        if (value != NULL && address_range_parse(value, &r) && address_range_covers(&r, &caller))
            return true;
    }
    return false;
}

enum err kv_network_check(const struct call *c, const json_t *vault, struct diag *d)
{
    const json_t *p = json_get(vault, "properties"), *acls = json_get(p, "networkAcls");
    const char *access = json_get_str(p, "publicNetworkAccess"),
               *action = json_get_str(acls, "defaultAction"),
               *bypass = json_get_str(acls, "bypass");
    bool closed = access != NULL && str_eq(access, "Disabled");
    bool walled = action != NULL && str_eq(action, "Deny");
    if (!closed && (!walled || is_in_rules(acls, c->req->peer))) return OK;
    if (!str_eq(bypass, "None") && is_trusted_service(c)) return OK;
    const char *name = json_get_str(vault, "name"), *location = json_get_str(vault, "location");
    if (closed) {
        return FAIL_TAG(
            d, ERR_DENIED, "ForbiddenByConnection",
            "Public network access is disabled and request is not from a trusted service nor via "
            "an approved private link.\r\nCaller: appid=%s;oid=%s;iss=%s\r\nVault: %s;location=%s",
            c->who.app_id, c->who.object_id, c->who.issuer, name, location);
    }
    return FAIL_TAG(
        d, ERR_DENIED, "ForbiddenByFirewall",
        "Client address is not authorized and caller is not a trusted service.\r\nClient address: "
        "%s\r\nCaller: appid=%s;oid=%s;iss=%s\r\nVault: %s;location=%s",
        c->req->peer, c->who.app_id, c->who.object_id, c->who.issuer, name, location);
}
