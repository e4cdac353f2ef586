/* SPDX-License-Identifier: Apache-2.0 */
/* resource/settings_list.c - the settings that are lists of texts */
#include "net/address.h"
#include "resource/plane.h"

#define ITEMS_MAX 100

/* The text as it is kept, in the arena; NULL: it is none of its kind. */
typedef const char *read_item(struct arena *a, const char *text);

static const char *read_region(struct arena *a, const char *text)
{
    return location_canonical(a, text);
}

static const char *read_network(struct arena *a, const char *text)
{
    struct address_range r;
    return address_range_parse(text, &r) ? arena_str(a, bytes_str(text)) : NULL;
}

static const char *read_guid(struct arena *a, const char *text)
{
    struct guid g;
    char *out = guid_parse(text, &g, NULL) == OK ? arena_str(a, bytes_str(text)) : NULL;
    if (out != NULL) str_lower(out);
    return out;
}

static const struct list {
    const char *name, *what;
    read_item *read;
} lists[] = {
    {"regionsWithoutDoubleEncryption", "regions", read_region},
    {"subscriptions", "subscriptions by their ids", read_guid},
    {"privateNetworks", "addresses or ranges as 10.0.0.0/8", read_network},
};

static const struct list *find(const char *name)
{
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        if (str_eq_nocase(lists[i].name, name)) return &lists[i];
    }
    return NULL;
}

bool settings_is_list(const char *name)
{
    return find(name) != NULL;
}

void settings_lists_json(const json_t *doc, json_t *out)
{
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        json_t *v = json_object_get(doc, lists[i].name);
        json_object_set_new(out, lists[i].name, v != NULL ? json_incref(v) : json_array());
    }
}

enum err settings_change_list(json_t *doc, const char *name, const json_t *v, struct diag *d)
{
    const struct list *l = find(name);
    if (json_is_null(v)) {
        json_object_del(doc, l->name);
        return OK;
    }
    if (!json_is_array(v) || json_array_size(v) > ITEMS_MAX) {
        return FAIL(d, ERR_INVALID, "%s is a list of at most %d %s", l->name, ITEMS_MAX, l->what);
    }
    CLEANUP_ARENA struct arena a;
    arena_init(&a, 0);
    json_t *items = json_array();
    TRY(json_put(doc, l->name, items, d));
    size_t i;
    const json_t *item;
    json_array_foreach (v, i, item) {
        const char *text = json_string_value(item);
        const char *kept = text != NULL ? l->read(&a, text) : NULL;
        if (kept == NULL)
            return FAIL(d, ERR_INVALID, "%s holds what is none: %s", l->name, l->what);
        json_array_append_new(items, json_string(kept));
    }
    return OK;
}

/* --- asking ----------------------------------------------------------------------------------- */

bool settings_double_encryption(struct arm *a, const char *location)
{
    CLEANUP_JSON json_t *doc = settings_document(a);
    size_t i;
    json_t *region;
    json_array_foreach (json_object_get(doc, "regionsWithoutDoubleEncryption"), i, region) {
        if (str_eq(json_string_value(region), location)) return false;
    }
    return true;
}

bool settings_is_private(struct arm *a, const char *peer)
{
    struct address_range caller, r;
    if (str_eq(peer, "unix")) return true;
    if (!address_range_parse(peer, &caller)) return false;
    CLEANUP_JSON json_t *doc = settings_document(a);
    size_t i;
    json_t *network;
    json_array_foreach (json_object_get(doc, "privateNetworks"), i, network) {
        const char *text = json_string_value(network);
        if (text != NULL && address_range_parse(text, &r) && address_range_covers(&r, &caller))
            return true;
    }
    return false;
}

json_t *settings_subscriptions(struct arm *a)
{
    CLEANUP_JSON json_t *doc = settings_document(a);
    json_t *all = json_pack("[s]", a->c.subscription_id);
    if (all != NULL) (void)json_array_extend(all, json_object_get(doc, "subscriptions"));
    return all;
}

bool settings_has_subscription(struct arm *a, const char *subscription)
{
    CLEANUP_JSON json_t *all = settings_subscriptions(a);
    size_t i;
    json_t *s;
    json_array_foreach (all, i, s) {
        if (str_eq_nocase(json_string_value(s), subscription)) return true;
    }
    return false;
}

/* One that has a group is not given up. */
enum err settings_check_subscriptions(struct arm *a, const json_t *doc, struct diag *d)
{
    CLEANUP_JSON json_t *old = settings_document(a);
    size_t i, k;
    json_t *was, *is;
    json_array_foreach (json_object_get(old, "subscriptions"), i, was) {
        bool kept = false;
        json_array_foreach (json_object_get(doc, "subscriptions"), k, is)
            kept = kept || str_eq(json_string_value(is), json_string_value(was));
        CLEANUP_FREE char *prefix =
            str_fmt("/subscriptions/%s/resourcegroups/", json_string_value(was));
        if (prefix == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
        if (!kept && docs_any(a->docs, DOC_RESOURCE, prefix)) {
            return FAIL(d, ERR_INVALID, "subscriptions: '%s' has resource groups",
                        json_string_value(was));
        }
    }
    return OK;
}
