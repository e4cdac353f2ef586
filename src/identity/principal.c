/* SPDX-License-Identifier: Apache-2.0 */
/* identity/principal.c - applications with a secret, and managed identities of resources */
#include "identity/state.h"

#include "base/log.h"
#include "base/rand.h"

#include <stdio.h>
#include <stdlib.h>

#define TABLE "principal"

/* Lower case: object ids, client ids and resource ids are compared without it. */
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

static enum err index_one(struct map *m, const char *key, struct principal *p, struct diag *d)
{
    char folded[RESOURCE_ID_MAX];
    return map_put(m, fold(key, folded), p, NULL, d);
}

static void unindex(struct identity *id, struct principal *p)
{
    char folded[RESOURCE_ID_MAX];
    map_remove(&id->by_object, fold(p->object_id, folded));
    map_remove(&id->by_client, fold(p->client_id, folded));
    if (p->resource[0] != 0) map_remove(&id->by_resource, fold(p->resource, folded));
}

/* Takes a copy into the maps: all of them or none. Under the lock. */
static enum err index_copy(struct identity *id, const struct principal *p, struct diag *d)
{
    struct principal *own = malloc(sizeof *own);
    if (own == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    *own = *p;
    enum err e = index_one(&id->by_object, own->object_id, own, d);
    if (e == OK) e = index_one(&id->by_client, own->client_id, own, d);
    if (e == OK && own->resource[0] != 0) e = index_one(&id->by_resource, own->resource, own, d);
    if (e == OK) return OK;
    unindex(id, own);
    free(own);
    return e;
}

/* --- rows ----------------------------------------------------------------------------------------
 */

static enum err store_one(struct identity *id, const struct principal *p, struct diag *d)
{
    char salt[2 * sizeof p->salt + 1], hash[2 * sizeof p->secret_hash + 1];
    if (p->resource[0] != 0) {
        return row_put(id, TABLE, p->object_id,
                       json_pack("{s:s, s:s, s:s}", "clientId", p->client_id, "name", p->name,
                                 "resource", p->resource),
                       d);
    }
    hex_encode(BYTES_OF(p->salt), salt);
    hex_encode(BYTES_OF(p->secret_hash), hash);
    return row_put(id, TABLE, p->object_id,
                   json_pack("{s:s, s:s, s:s, s:s}", "clientId", p->client_id, "name", p->name,
                             "salt", salt, "hash", hash),
                   d);
}

static bool read_hex(const json_t *j, const char *name, uint8_t *out, size_t len)
{
    const char *text = json_string_value(json_object_get(j, name));
    return text != NULL && hex_decode(bytes_str(text), out, len, NULL) == OK;
}

static enum err load_one(void *ctx, const char *key, struct bytes value, struct diag *d)
{
    struct identity *id = ctx;
    struct principal p = {0};
    CLEANUP_JSON json_t *j = NULL;
    TRY(json_read(value, &j, d));
    snprintf(p.object_id, sizeof p.object_id, "%s", key);
    bool good = row_text(j, "clientId", p.client_id, sizeof p.client_id) &&
                row_text(j, "name", p.name, sizeof p.name);
    if (json_object_get(j, "resource") != NULL) {
        good = good && row_text(j, "resource", p.resource, sizeof p.resource);
    } else {
        good = good && read_hex(j, "salt", p.salt, sizeof p.salt) &&
               read_hex(j, "hash", p.secret_hash, sizeof p.secret_hash);
    }
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
}

/* --- making and removing
 * --------------------------------------------------------------------------- */

static void hash_secret(const struct principal *p, const char *secret, uint8_t out[32])
{
    hmac_sha256(BYTES_OF(p->salt), bytes_str(secret), out);
}

static enum err add(struct identity *id, const struct principal *p, struct diag *d)
{
    TRY(store_one(id, p, d)); /* first: what memory knows is on disk */
    return index_copy(id, p, d);
}

enum err principal_add_app(struct identity *id, const char *name, struct principal *out,
                           char secret[2 * SECRET_LEN + 1], struct diag *d)
{
    struct principal p = {0};
    uint8_t random[SECRET_LEN];
    new_id(p.object_id);
    new_id(p.client_id);
    snprintf(p.name, sizeof p.name, "%s", name);
    rand_bytes(random, sizeof random);
    rand_bytes(p.salt, sizeof p.salt);
    hex_encode(BYTES_OF(random), secret);
    hash_secret(&p, secret, p.secret_hash);
    wipe(random, sizeof random);
    LOCK_SCOPE(&id->lock);
    TRY(add(id, &p, d));
    *out = p;
    return OK;
}

static const char *last_segment(const char *resource)
{
    const char *slash = strrchr(resource, '/');
    return slash != NULL ? slash + 1 : resource;
}

enum err principal_ensure_managed(struct identity *id, const char *resource, struct principal *out,
                                  struct diag *d)
{
    struct principal p = {0};
    LOCK_SCOPE(&id->lock);
    const struct principal *there = find(&id->by_resource, resource);
    if (there != NULL) {
        *out = *there;
        return OK;
    }
    new_id(p.object_id);
    new_id(p.client_id);
    snprintf(p.name, sizeof p.name, "%s", last_segment(resource));
    if ((size_t)snprintf(p.resource, sizeof p.resource, "%s", resource) >= sizeof p.resource) {
        return FAIL(d, ERR_LIMIT, "a resource id of more than %zu bytes", sizeof p.resource - 1);
    }
    TRY(add(id, &p, d));
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
    TRY(kvstore_delete(id->store, TABLE, p->object_id, d));
    LOG(INFO, "identity.managed_deleted", F_STR("resource", resource),
        F_STR("principal", p->object_id));
    unindex(id, p);
    free(p);
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

bool principal_secret_is(const struct principal *p, const char *secret)
{
    uint8_t hash[32];
    if (p->resource[0] != 0) return false; /* a managed identity has none */
    hash_secret(p, secret, hash);
    bool same = secret_eq(BYTES_OF(hash), BYTES_OF(p->secret_hash));
    wipe(hash, sizeof hash);
    return same;
}
