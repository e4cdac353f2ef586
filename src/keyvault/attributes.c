/* SPDX-License-Identifier: Apache-2.0 */
/* keyvault/attributes.c - what a body says about a version of a key */
#include "keyvault/service.h"

#include "base/str.h"

#define TAGS_MAX 15

#define BAD(d, ...) FAIL_TAG((d), ERR_INVALID, "BadParameter", __VA_ARGS__)

static enum err apply_ops(const json_t *body, json_t *doc, struct diag *d)
{
    static const char *const known[] = {"encrypt", "decrypt",   "sign",   "verify",
                                        "wrapKey", "unwrapKey", "import", "export"};
    const json_t *ops = json_get(body, "key_ops");
    if (ops == NULL || json_is_null(ops)) return OK;
    if (!json_is_array(ops)) return BAD(d, "Property key_ops has invalid value");
    CLEANUP_JSON json_t *list = json_array();
    size_t i;
    json_t *op;
    json_array_foreach ((json_t *)ops, i, op) {
        const char *name = NULL;
        for (size_t k = 0; k < sizeof known / sizeof known[0] && json_is_string(op); k++) {
            if (str_eq_nocase(json_string_value(op), known[k])) name = known[k];
        }
        if (name == NULL) return BAD(d, "Property key_ops has invalid value");
        json_array_append_new(list, json_string(name));
    }
    return json_put(doc, "key_ops", json_incref(list), d);
}

static enum err apply_time(const json_t *attributes, const char *name, json_t *doc, struct diag *d)
{
    json_t *v = json_get(attributes, name);
    if (v == NULL) return OK;
    if (json_is_null(v)) {
        json_object_del(doc, name);
        return OK;
    }
    if (!json_is_integer(v) || json_integer_value(v) < 0) {
        return BAD(d, "Property attributes.%s has invalid value", name);
    }
    return json_put(doc, name, json_incref(v), d);
}

static enum err apply_attributes(const json_t *body, json_t *doc, struct diag *d)
{
    const json_t *a = json_get(body, "attributes");
    if (a == NULL || json_is_null(a)) return OK;
    if (!json_is_object(a)) return BAD(d, "Property attributes has invalid value");
    json_t *enabled = json_get(a, "enabled");
    if (enabled != NULL && !json_is_null(enabled)) {
        if (!json_is_boolean(enabled))
            return BAD(d, "Property attributes.enabled has invalid value");
        TRY(json_put(doc, "enabled", json_incref(enabled), d));
    }
    if (json_get_bool(a, "exportable", false)) {
        return BAD(
            d, "Property attributes.exportable has invalid value: this vault's keys stay in it");
    }
    TRY(apply_time(a, "nbf", doc, d));
    return apply_time(a, "exp", doc, d);
}

enum err kv_tags_apply(const json_t *body, json_t *doc, struct diag *d)
{
    json_t *tags = json_get(body, "tags");
    if (tags == NULL || json_is_null(tags)) return OK;
    if (!json_is_object(tags) || json_object_size(tags) > TAGS_MAX) {
        return BAD(d, "Property tags has invalid value: at most %d strings", TAGS_MAX);
    }
    const char *name;
    json_t *v;
    json_object_foreach (tags, name, v) {
        if (!json_is_string(v)) return BAD(d, "Property tags has invalid value");
    }
    if (json_object_size(tags) != 0) return json_put(doc, "tags", json_deep_copy(tags), d);
    json_object_del(doc, "tags"); /* none are not shown */
    return OK;
}

/* No key leaves: a policy that says when one may is refused, not stored. */
static enum err check_release(const json_t *body, struct diag *d)
{
    json_t *policy = json_get(body, "release_policy");
    if (policy == NULL || json_is_null(policy)) return OK;
    return BAD(d,
               "Property release_policy has invalid value: release is not supported by this vault");
}

enum err kv_attributes_apply(const json_t *body, json_t *doc, struct diag *d)
{
    TRY(check_release(body, d));
    TRY(apply_ops(body, doc, d));
    TRY(apply_attributes(body, doc, d));
    return kv_tags_apply(body, doc, d);
}
