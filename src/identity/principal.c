/* SPDX-License-Identifier: Apache-2.0 */
/* identity/principal.c - applications, people, groups, and managed identities of resources */
#include "identity/state.h"

#include "base/log.h"
#include "base/time.h"

#include <stdio.h>
#include <stdlib.h>

#define TABLE          "principal"
#define PRINCIPALS_MAX 20000

/* Lower case: ids and names are compared without it. */
static struct bytes fold(const char *text, char out[RESOURCE_ID_MAX])
{
    snprintf(out, RESOURCE_ID_MAX, "%s", text);
    str_lower(out);
    return bytes_str(out);
}

static struct principal *find(const struct map *m, const char *key)
{
    char folded[RESOURCE_ID_MAX];
    return strlen(key) < sizeof folded ? map_get(m, fold(key, folded)) : NULL;
}

/* The maps that know p, and under what. */
struct place {
    struct map *map;
    const char *key;
};

static size_t places_of(struct identity *id, const struct principal *p, struct place out[4])
{
    size_t n = 0;
    out[n++] = (struct place){&id->by_object, p->object_id};
    if (p->client_id[0] != 0) out[n++] = (struct place){&id->by_client, p->client_id};
    if (p->resource[0] != 0) out[n++] = (struct place){&id->by_resource, p->resource};
    if (p->kind != PRINCIPAL_MANAGED) out[n++] = (struct place){&id->by_name, p->name};
    return n;
}

static void unindex(struct identity *id, struct principal *p)
{
    char folded[RESOURCE_ID_MAX];
    struct place places[4];
    for (size_t i = 0, n = places_of(id, p, places); i < n; i++)
        map_remove(places[i].map, fold(places[i].key, folded));
    wipe(p, sizeof *p);
    free(p);
}

/* Takes a copy into the maps: all of them or none. Under the lock. */
static enum err index_copy(struct identity *id, const struct principal *p, struct diag *d)
{
    char folded[RESOURCE_ID_MAX];
    struct place places[4];
    struct principal *own = malloc(sizeof *own);
    enum err e = OK;
    if (own == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    *own = *p;
    for (size_t i = 0, n = places_of(id, own, places); e == OK && i < n; i++)
        e = map_put(places[i].map, fold(places[i].key, folded), own, NULL, d);
    if (e != OK) unindex(id, own);
    return e;
}

/* --- rows ------------------------------------------------------------------------------------- */

static const char *const kind_names[] = {"app", "managed", "person", "group"};

const char *principal_kind_name(enum principal_kind k)
{
    return kind_names[k];
}

bool principal_kind_parse(const char *name, enum principal_kind *out)
{
    for (size_t i = 0; i < 4; i++) {
        if (!str_eq(name, kind_names[i])) continue;
        *out = (enum principal_kind)i;
        return true;
    }
    return false;
}

static enum err store_one(struct identity *id, const struct principal *p, struct diag *d)
{
    CLEANUP_JSON json_t *credentials = json_array(), *groups = json_array();
    bool good = true;
    for (unsigned i = 0; i < p->n_credentials; i++)
        good = good && json_array_append_new(credentials, credential_row(&p->credentials[i])) == 0;
    for (unsigned i = 0; i < p->n_groups; i++)
        good = good && json_array_append_new(groups, json_string(p->groups[i])) == 0;
    if (!good) return FAIL(d, ERR_LIMIT, "out of memory");
    return row_put(id, TABLE, p->object_id,
                   json_pack("{s:s, s:b, s:s, s:s, s:s, s:s, s:I, s:I, s:O, s:O}", "kind",
                             kind_names[p->kind], "disabled", p->is_disabled, "clientId",
                             p->client_id, "name", p->name, "resource", p->resource, "password",
                             p->password, "createdUs", (json_int_t)p->created_us, "passwordUs",
                             (json_int_t)p->password_us, "credentials", credentials, "groups",
                             groups),
                   d);
}

static bool read_lists(const json_t *j, struct principal *p)
{
    const json_t *credentials = json_object_get(j, "credentials"),
                 *groups = json_object_get(j, "groups");
    if (json_array_size(credentials) > CREDENTIALS_MAX || json_array_size(groups) > GROUPS_MAX) {
        return false;
    }
    for (; p->n_credentials < json_array_size(credentials); p->n_credentials++) {
        if (!credential_read(json_array_get(credentials, p->n_credentials),
                             &p->credentials[p->n_credentials])) {
            return false;
        }
    }
    for (; p->n_groups < json_array_size(groups); p->n_groups++) {
        const char *text = json_string_value(json_array_get(groups, p->n_groups));
        if (text == NULL || strlen(text) >= GUID_TEXT_MAX) return false;
        snprintf(p->groups[p->n_groups], GUID_TEXT_MAX, "%s", text);
    }
    return true;
}

static enum err load_one(void *ctx, const char *key, struct bytes value, struct diag *d)
{
    struct identity *id = ctx;
    struct principal p = {0};
    CLEANUP_JSON json_t *j = NULL;
    TRY(json_read(value, &j, d));
    snprintf(p.object_id, sizeof p.object_id, "%s", key);
    const char *kind = json_string_value(json_object_get(j, "kind"));
    p.is_disabled = json_is_true(json_object_get(j, "disabled"));
    p.created_us = json_integer_value(json_object_get(j, "createdUs"));
    p.password_us = json_integer_value(json_object_get(j, "passwordUs"));
    bool good = kind != NULL && principal_kind_parse(kind, &p.kind) &&
                row_text(j, "clientId", p.client_id, sizeof p.client_id) &&
                row_text(j, "name", p.name, sizeof p.name) &&
                row_text(j, "resource", p.resource, sizeof p.resource) &&
                row_text(j, "password", p.password, sizeof p.password) && read_lists(j, &p);
    if (!good) return FAIL(d, ERR_CORRUPT, "principal %s cannot be read", key);
    return index_copy(id, &p, d);
}

enum err principals_load(struct identity *id, struct diag *d)
{
    return kvstore_each(id->store, TABLE, "", load_one, id, d);
}

void principals_release(struct identity *id)
{
    MAP_EACH (&id->by_object, e) {
        wipe(e->value, sizeof(struct principal));
        free(e->value);
    }
    map_release(&id->by_object);
    map_release(&id->by_client);
    map_release(&id->by_resource);
    map_release(&id->by_name);
}

/* --- making, changing, removing --------------------------------------------------------------- */

enum err principal_add(struct identity *id, struct principal *p, struct diag *d)
{
    struct principal mine = *p;
    LOCK_SCOPE(&id->lock);
    if (mine.kind != PRINCIPAL_MANAGED && find(&id->by_name, mine.name) != NULL) {
        return FAIL_TAG(d, ERR_CONFLICT, "NameExists", "There is an identity '%s' already.",
                        mine.name);
    }
    if (id->by_object.n_live >= PRINCIPALS_MAX) {
        return FAIL_TAG(d, ERR_LIMIT, "QuotaExceeded", "No more than %d identities can be made.",
                        PRINCIPALS_MAX);
    }
    new_id(mine.object_id);
    if (mine.kind == PRINCIPAL_APP || mine.kind == PRINCIPAL_MANAGED) new_id(mine.client_id);
    mine.created_us = time_now_us();
    TRY(store_one(id, &mine, d)); /* (1) */
    TRY(index_copy(id, &mine, d));
    *p = mine;
    wipe(&mine, sizeof mine);
    return OK;
}

enum err principal_change(struct identity *id, const char *object_id, principal_edit *f, void *ctx,
                          struct principal *out, struct diag *d)
{
    LOCK_SCOPE(&id->lock);
    struct principal *there = find(&id->by_object, object_id);
    if (there == NULL) return FAIL(d, ERR_NOT_FOUND, "There is no identity '%.60s'.", object_id);
    struct principal copy = *there;
    enum err e = f(&copy, ctx, d);
    if (e == OK) e = store_one(id, &copy, d); /* (1) */
    if (e == OK) *there = copy;
    if (e == OK && out != NULL) *out = copy;
    wipe(&copy, sizeof copy);
    return e;
}

/* Under the lock, within the transaction that deletes the group. Memory follows: a group that is
 * forgotten too early grants nothing. */
static enum err leave_members(struct identity *id, const char *group, struct diag *d)
{
    MAP_EACH (&id->by_object, e) {
        struct principal *p = e->value;
        for (unsigned i = 0; i < p->n_groups; i++) {
            if (!str_eq_nocase(p->groups[i], group)) continue;
            memmove(p->groups[i], p->groups[p->n_groups - 1], GUID_TEXT_MAX);
            p->n_groups--;
            TRY(store_one(id, p, d));
            break;
        }
    }
    return OK;
}

enum err principal_remove(struct identity *id, const char *object_id, struct diag *d)
{
    LOCK_SCOPE(&id->lock);
    struct principal *p = find(&id->by_object, object_id);
    if (p == NULL) return OK;
    CLEANUP_KVSTORE_TXN struct kvstore_txn t = {0};
    TRY(kvstore_begin(id->store, &t, d));
    TRY(kvstore_delete(id->store, TABLE, p->object_id, d));
    TRY(assignments_forget(id, p->object_id, d));
    if (p->kind == PRINCIPAL_GROUP) TRY(leave_members(id, p->object_id, d));
    TRY(kvstore_commit(&t, d));
    LOG(INFO, "identity.deleted", F_STR("name", p->name), F_STR("principal", p->object_id));
    unindex(id, p);
    return OK;
}

bool principal_is_user_assigned(const struct principal *p)
{
    return p->kind == PRINCIPAL_MANAGED &&
           strcasestr(p->resource, "/providers/Microsoft.ManagedIdentity/"
                                   "userAssignedIdentities/") != NULL;
}

static const char *last_segment(const char *resource)
{
    const char *slash = strrchr(resource, '/');
    return slash != NULL ? slash + 1 : resource;
}

enum err principal_ensure_managed(struct identity *id, const char *resource, struct principal *out,
                                  struct diag *d)
{
    struct principal p = {.kind = PRINCIPAL_MANAGED};
    LOCK_SCOPE(&id->lock);
    if (principal_by_resource(id, resource, out)) return OK;
    snprintf(p.name, sizeof p.name, "%s", last_segment(resource));
    if ((size_t)snprintf(p.resource, sizeof p.resource, "%s", resource) >= sizeof p.resource) {
        return FAIL(d, ERR_LIMIT, "a resource id of more than %zu bytes", sizeof p.resource - 1);
    }
    TRY(principal_add(id, &p, d));
    LOG(INFO, "identity.managed_made", F_STR("resource", resource),
        F_STR("principal", p.object_id));
    *out = p;
    return OK;
}

enum err principal_delete_managed(struct identity *id, const char *resource, struct diag *d)
{
    LOCK_SCOPE(&id->lock);
    struct principal *p = find(&id->by_resource, resource);
    if (p == NULL) return OK;
    CLEANUP_KVSTORE_TXN struct kvstore_txn t = {0};
    TRY(kvstore_begin(id->store, &t, d));
    TRY(kvstore_delete(id->store, TABLE, p->object_id, d));
    TRY(federation_forget(id, p, d));
    TRY(kvstore_commit(&t, d));
    LOG(INFO, "identity.managed_deleted", F_STR("resource", resource),
        F_STR("principal", p->object_id));
    unindex(id, p);
    return OK;
}

/* --- looking up
 * -------------------------------------------------------------------------------------- */

static bool copy_of(struct identity *id, const struct map *m, const char *key,
                    struct principal *out)
{
    LOCK_SCOPE(&id->lock);
    const struct principal *p = find(m, key);
    if (p == NULL) return false;
    *out = *p;
    return true;
}

bool principal_by_object(struct identity *id, const char *object_id, struct principal *out)
{
    return copy_of(id, &id->by_object, object_id, out);
}

bool principal_by_client(struct identity *id, const char *client_id, struct principal *out)
{
    return copy_of(id, &id->by_client, client_id, out);
}

bool principal_by_resource(struct identity *id, const char *resource, struct principal *out)
{
    return copy_of(id, &id->by_resource, resource, out);
}

bool principal_find(struct identity *id, const char *word, struct principal *out)
{
    return copy_of(id, &id->by_object, word, out) || copy_of(id, &id->by_client, word, out) ||
           copy_of(id, &id->by_name, word, out);
}

static int by_kind_and_name(const void *a, const void *b)
{
    const struct principal *x = a, *y = b;
    return x->kind != y->kind ? (int)x->kind - (int)y->kind : strcmp(x->name, y->name);
}

enum err principal_list(struct identity *id, bool with_managed, struct principal **out,
                        size_t *out_n, struct diag *d)
{
    LOCK_SCOPE(&id->lock);
    size_t n = 0;
    struct principal *all = calloc(id->by_object.n_live + 1, sizeof *all);
    if (all == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    MAP_EACH (&id->by_object, e) {
        const struct principal *p = e->value;
        if (with_managed || p->kind != PRINCIPAL_MANAGED) all[n++] = *p;
    }
    qsort(all, n, sizeof *all, by_kind_and_name);
    *out = all;
    *out_n = n;
    return OK;
}
