/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource/subscription.c - Microsoft.Resources: tenants, the subscription, its locations
 *
 * A data directory is born with one subscription; the setting "subscriptions" adds others. Each has
 * groups, lists, limits and rights of its own.
 */
#include "resource/plane.h"

/* --- tenants and subscriptions ---------------------------------------------------------------- */

enum err tenant_list(struct arm_call *c, struct diag *d)
{
    const char *t = c->arm->c.tenant_id;
    json_t *tenant =
        json_pack("{s:o, s:s, s:s, s:s, s:s, s:s}", "id", json_sprintf("/tenants/%s", t),
                  "tenantId", t, "countryCode", "ZZ", "displayName", "Keystead", "defaultDomain",
                  "keystead.localhost", "tenantCategory", "Home");
    return arm_reply_list(c, json_pack("[o]", tenant), d);
}

static json_t *subscription_json(const struct arm *a, const char *s)
{
    return json_pack("{s:o, s:s, s:s, s:s, s:s, s:s, s:[], s:{s:s, s:s, s:s}}", "id",
                     json_sprintf("/subscriptions/%s", s), "authorizationSource", "RoleBased",
                     "subscriptionId", s, "tenantId", a->c.tenant_id, "displayName",
                     str_eq_nocase(s, a->c.subscription_id) ? "Keystead" : s, "state", "Enabled",
                     "managedByTenants", "subscriptionPolicies", "locationPlacementId",
                     "Public_2014-09-01", "quotaId", "PayAsYouGo_2014-09-01", "spendingLimit",
                     "Off");
}

/* Those that the caller may read. */
enum err subscription_list(struct arm_call *c, struct diag *d)
{
    CLEANUP_JSON json_t *all = settings_subscriptions(c->arm), *values = json_array();
    size_t i;
    json_t *s;
    json_array_foreach (all, i, s) {
        const char *scope = arena_fmt(c->a, "/subscriptions/%s", json_string_value(s));
        struct diag why = DIAG_INIT;
        if (scope == NULL) return arena_full(c->a, d);
        enum err e = arm_authorize(c, "Microsoft.Resources/subscriptions/read", scope, &why);
        c->res->status = 0;
        if (e != OK && e != ERR_DENIED) return FAIL_TAG(d, e, why.tag, "%s", why.text);
        if (e == OK) json_array_append_new(values, subscription_json(c->arm, json_string_value(s)));
    }
    int n = (int)json_array_size(values);
    return arm_reply(
        c, 200,
        json_pack("{s:O, s:{s:s, s:i}}", "value", values, "count", "type", "Total", "value", n), d);
}

enum err subscription_get(struct arm_call *c, struct diag *d)
{
    TRY(arm_authorize(c, "Microsoft.Resources/subscriptions/read", c->id_text, d));
    return arm_reply(c, 200, subscription_json(c->arm, arm_id_name(c->id)), d);
}

enum err location_list(struct arm_call *c, struct diag *d)
{
    json_t *values = json_array();
    for (uint32_t i = 0; location_at(i) != NULL; i++) {
        const struct location *x = location_at(i);
        json_array_append_new(
            values,
            json_pack("{s:o, s:s, s:s, s:s, s:s, s:{s:s, s:s}}", "id",
                      json_sprintf("/subscriptions/%s/locations/%s", c->id->names[0], x->name),
                      "name", x->name, "type", "Region", "displayName", x->display,
                      "regionalDisplayName", x->display, "metadata", "regionType", "Physical",
                      "regionCategory", "Recommended"));
    }
    return arm_reply_list(c, values, d);
}
