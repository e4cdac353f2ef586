/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keyvault/doc_cache.c - documents as they were read last: to open, decrypt and parse three of them
 * costs more than to unwrap a key
 *
 * All are as old as one state of the store: the first change in it empties the cache. What is handed
 * out is shared between threads and must not be changed.
 */
#include "keyvault/service.h"

#include "base/map.h"
#include "base/str.h"
#include "base/thread.h"

#include <stdlib.h>

#define DOCS_MAX 1024

struct doc_cache {
    pthread_mutex_t lock; /* guards all below */
    uint64_t changes;     /* the state of the store that they are of */
    struct map docs;      /* "table/key" to json_t */
};

static void clear(struct doc_cache *c)
{
    MAP_EACH (&c->docs, e)
        json_decref(e->value);
    map_release(&c->docs);
    c->docs = (struct map){0};
}

enum err kv_doc_cache_new(struct doc_cache **out, struct diag *d)
{
    struct doc_cache *c = calloc(1, sizeof *c);
    if (c == NULL) return kv_out_of_memory(d);
    pthread_mutex_init(&c->lock, NULL);
    *out = c;
    return OK;
}

void kv_doc_cache_free(struct doc_cache *c)
{
    if (c == NULL) return;
    clear(c);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

static json_t *find(struct doc_cache *c, const char *name, uint64_t changes)
{
    LOCK_SCOPE(&c->lock);
    json_t *j = c->changes == changes ? map_get(&c->docs, bytes_str(name)) : NULL;
    return json_incref(j);
}

/* changes: from before the document was read. */
static void keep(struct doc_cache *c, const char *name, uint64_t changes, json_t *j)
{
    void *old = NULL;
    LOCK_SCOPE(&c->lock);
    if (changes < c->changes) return; /* others have seen a newer state */
    if (changes != c->changes || c->docs.n_live >= DOCS_MAX) clear(c);
    c->changes = changes;
    if (map_put(&c->docs, bytes_str(name), json_incref(j), &old, NULL) != OK) json_decref(j);
    json_decref(old);
}

enum err kv_doc_look(struct keyvault *kv, const char *table, const char *key, json_t **out,
                     struct diag *d)
{
    char name[KV_NAME_MAX + 16];
    uint64_t changes = kvstore_changes(kv->store);
    if ((size_t)snprintf(name, sizeof name, "%s/%s", table, key) >= sizeof name)
        return kv_doc_get(kv, table, key, out, d);
    *out = find(kv->docs, name, changes);
    if (*out != NULL) return OK;
    TRY(kv_doc_get(kv, table, key, out, d));
    if (*out != NULL) keep(kv->docs, name, changes, *out);
    return OK;
}
