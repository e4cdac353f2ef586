/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource/provider.c - providers: the namespaces, their types and versions, and whether the
 * subscription is registered for them
 */
#include "resource/plane.h"

static const struct {
    const char *name;
    bool is_foreign; /* not served here: registered when somebody says so, as Sentinel asks for */
} namespaces[] = {
    {"Microsoft.OperationalInsights", false},
    {"Microsoft.Insights", false},
    {"Microsoft.KeyVault", false},
    {"Microsoft.Authorization", false},
    {"Microsoft.ManagedIdentity", false},
    {"Microsoft.Resources", false},
    {"Microsoft.Storage", false},
    {"Microsoft.SecurityInsights", false},
    {"Microsoft.CustomerLockbox", false},
    {"Microsoft.DocumentDB", true},
};
#define N_NAMESPACES (sizeof namespaces / sizeof namespaces[0])

static const char *subscription_of(const struct arm_call *c)
{
    return c->id->subscription != NULL ? c->id->subscription : c->id->names[0];
}

/* Its document: id state ("Registered" or "NotRegistered"); none: as it is born. */
static const char *key_of(const struct arm_call *c, const char *ns, char out[ARM_ID_MAX])
{
    snprintf(out, ARM_ID_MAX, "/subscriptions/%s/providers/%s", subscription_of(c), ns);
    str_lower(out);
    return out;
}

static bool is_registered(const struct arm_call *c, size_t i)
{
    char key[ARM_ID_MAX];
    CLEANUP_JSON json_t *doc = arm_doc(c->arm, key_of(c, namespaces[i].name, key));
    if (doc == NULL) return !namespaces[i].is_foreign;
    return str_eq(doc_str(doc, "state"), "Registered");
}

static json_t *versions_json(const char *csv)
{
    json_t *list = json_array();
    for (const char *p = csv; *p != '\0';) {
        size_t n = strcspn(p, ",");
        json_array_append_new(list, json_stringn(p, n));
        p += n;
        while (*p == ',' || *p == ' ')
            p++;
    }
    return list;
}

static json_t *provider_json(const struct arm_call *c, size_t place)
{
    const char *ns = namespaces[place].name;
    json_t *types = json_array();
    size_t n = strlen(ns);
    for (uint32_t i = 0; arm_type_at(i) != NULL; i++) {
        const struct arm_type *t = arm_type_at(i);
        if (!str_starts_nocase(t->type, ns) || t->type[n] != '/') continue;
        json_array_append_new(types,
                              json_pack("{s:s, s:[], s:o}", "resourceType", t->type + n + 1,
                                        "locations", "apiVersions", versions_json(t->versions)));
    }
    if (str_eq(ns, "Microsoft.KeyVault")) { /* served by the vault process */
        json_array_append_new(types,
                              json_pack("{s:s, s:[], s:[s, s]}", "resourceType", "vaults",
                                        "locations", "apiVersions", "2023-07-01", "2022-07-01"));
    }
    return json_pack("{s:o, s:s, s:s, s:s, s:o}", "id",
                     json_sprintf("/subscriptions/%s/providers/%s", subscription_of(c), ns),
                     "namespace", ns, "registrationState",
                     is_registered(c, place) ? "Registered" : "NotRegistered", "registrationPolicy",
                     "RegistrationRequired", "resourceTypes", types);
}

static bool find(const char *name, size_t *out)
{
    for (size_t i = 0; i < N_NAMESPACES; i++) {
        if (!str_eq_nocase(namespaces[i].name, name)) continue;
        *out = i;
        return true;
    }
    return false;
}

enum err provider_list(struct arm_call *c, struct diag *d)
{
    json_t *values = json_array();
    for (size_t i = 0; i < N_NAMESPACES; i++)
        json_array_append_new(values, provider_json(c, i));
    return arm_reply_list(c, values, d);
}

enum err provider_get(struct arm_call *c, struct diag *d)
{
    size_t i;
    if (!find(arm_id_name(c->id), &i)) {
        return ARM_FAIL(c, d, 404, "InvalidResourceNamespace",
                        "The resource namespace '%s' is invalid.", arm_id_name(c->id));
    }
    return arm_reply(c, 200, provider_json(c, i), d);
}

static enum err set_state(struct arm_call *c, const char *state, struct diag *d)
{
    size_t i;
    if (!find(arm_id_name(c->id), &i)) return provider_get(c, d);
    char key[ARM_ID_MAX];
    key_of(c, namespaces[i].name, key);
    DOCS_WRITE(c->arm->docs);
    CLEANUP_CHANGE struct change change = {0};
    change_put(&change, DOC_RESOURCE, key, KIND_PROVIDER,
               json_pack("{s:s, s:s}", "id", key, "state", state));
    TRY(arm_commit(c, &change, d));
    return arm_reply(c, 200, provider_json(c, i), d);
}

static enum err do_register(struct arm_call *c, struct diag *d)
{
    return set_state(c, "Registered", d);
}

static enum err do_unregister(struct arm_call *c, struct diag *d)
{
    return set_state(c, "NotRegistered", d);
}

enum err arm_check_registered(struct arm_call *c, struct diag *d)
{
    size_t i;
    if (!find(c->id->provider, &i) || str_eq(namespaces[i].name, "Microsoft.Resources") ||
        is_registered(c, i)) {
        return OK;
    }
    return ARM_FAIL(c, d, 409, "MissingSubscriptionRegistration",
                    "The subscription is not registered to use namespace '%s'. See "
                    "https://aka.ms/rps-not-found for how to register subscriptions.",
                    namespaces[i].name);
}

const struct arm_action provider_actions[] = {
    {"register", do_register},
    {"unregister", do_unregister},
    {NULL, NULL},
};
