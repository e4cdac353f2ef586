/* SPDX-License-Identifier: Apache-2.0 */
/* resource/doc.c - documents in two maps: by (kind, id), and grouped by (kind, parent) */
#include "resource/doc.h"

#include "base/map.h"
#include "base/str.h"

#include <stdlib.h>

struct doc {
    char *kind, *id, *parent; /* parent "" = none */
    json_t *j;
    uint32_t place; /* in its group */
};

struct group {
    struct doc **v;
    uint32_t n, cap;
};

struct docs {
    struct catalog *catalog;
    pthread_mutex_t writers;
    pthread_rwlock_t lock; /* over the maps; held for moments */
    struct map by_id, groups;
};

struct change_item {
    char *kind, *id, *parent;
    json_t *j; /* NULL = remove */
};

static const char *const kinds[] = {DOC_RESOURCE, DOC_OPERATION, DOC_ACCOUNT, DOC_COUNTER,
                                    DOC_OUTBOX};

/* --- changes ---------------------------------------------------------------------------------- */

static void change_add(struct change *c, const char *kind, const char *id, const char *parent,
                       json_t *j)
{
    if (c->n == c->cap && c->cap < CHANGE_MAX) {
        uint32_t cap = c->cap == 0 ? 8 : c->cap * 2;
        struct change_item *items = realloc(c->items, cap * sizeof *items);
        if (items != NULL) {
            c->items = items;
            c->cap = cap;
        }
    }
    struct change_item it = {str_dup(kind), str_dup(id), str_dup(parent), j};
    if (c->n == c->cap || it.kind == NULL || it.id == NULL || it.parent == NULL) {
        free(it.kind);
        free(it.id);
        free(it.parent);
        json_decref(j);
        c->bad = true;
        return;
    }
    c->items[c->n++] = it;
}

void change_put(struct change *c, const char *kind, const char *id, const char *parent, json_t *j)
{
    if (j == NULL) {
        c->bad = true;
        return;
    }
    change_add(c, kind, id, parent != NULL ? parent : "", j);
}

void change_remove(struct change *c, const char *kind, const char *id)
{
    change_add(c, kind, id, "", NULL);
}

const char *change_puts(const struct change *c, const char *kind)
{
    for (uint32_t i = 0; i < c->n; i++) {
        if (c->items[i].j != NULL && str_eq(c->items[i].kind, kind)) return c->items[i].id;
    }
    return NULL;
}

void change_release(struct change *c)
{
    for (uint32_t i = 0; i < c->n; i++) {
        free(c->items[i].kind);
        free(c->items[i].id);
        free(c->items[i].parent);
        json_decref(c->items[i].j);
    }
    free(c->items);
    *c = (struct change){0};
}

/* --- memory ----------------------------------------------------------------------------------- */

static struct bytes key_of(struct buf *b, const char *kind, const char *id)
{
    buf_clear(b);
    buf_fmt(b, "%s:%s", kind, id);
    return buf_view(b);
}

static void doc_free(struct doc *x)
{
    if (x == NULL) return;
    free(x->kind);
    free(x->id);
    free(x->parent);
    json_decref(x->j);
    free(x);
}

static void group_remove(struct docs *s, struct doc *x)
{
    CLEANUP_BUF struct buf key = {0};
    struct group *g = map_get(&s->groups, key_of(&key, x->kind, x->parent));
    if (g == NULL || x->place >= g->n || g->v[x->place] != x) return;
    g->v[x->place] = g->v[--g->n];
    g->v[x->place]->place = x->place;
}

static enum err group_add(struct docs *s, struct doc *x, struct diag *d)
{
    CLEANUP_BUF struct buf key = {0};
    struct bytes k = key_of(&key, x->kind, x->parent);
    struct group *g = map_get(&s->groups, k);
    if (g == NULL) {
        g = calloc(1, sizeof *g);
        if (g == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
        enum err e = map_put(&s->groups, k, g, NULL, d);
        if (e != OK) {
            free(g);
            return e;
        }
    }
    if (g->n == g->cap) {
        uint32_t cap = g->cap == 0 ? 4 : g->cap * 2;
        struct doc **v = realloc(g->v, cap * sizeof(struct doc *));
        if (v == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
        g->v = v;
        g->cap = cap;
    }
    x->place = g->n;
    g->v[g->n++] = x;
    return OK;
}

static void memory_remove(struct docs *s, const char *kind, const char *id)
{
    CLEANUP_BUF struct buf key = {0};
    struct doc *x = map_remove(&s->by_id, key_of(&key, kind, id));
    if (x == NULL) return;
    group_remove(s, x);
    doc_free(x);
}

/* Takes a reference of its own. */
static enum err memory_put(struct docs *s, const char *kind, const char *id, const char *parent,
                           json_t *j, struct diag *d)
{
    CLEANUP_BUF struct buf key = {0};
    struct doc *x = map_get(&s->by_id, key_of(&key, kind, id));
    if (x != NULL && str_eq(x->parent, parent)) {
        json_decref(x->j);
        x->j = json_incref(j);
        return OK;
    }
    memory_remove(s, kind, id);
    x = calloc(1, sizeof *x);
    if (x == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    *x = (struct doc){str_dup(kind), str_dup(id), str_dup(parent), json_incref(j), 0};
    enum err e = x->kind != NULL && x->id != NULL && x->parent != NULL
                     ? group_add(s, x, d)
                     : FAIL(d, ERR_LIMIT, "out of memory");
    if (e == OK) {
        e = map_put(&s->by_id, key_of(&key, kind, id), x, NULL, d);
        if (e != OK) group_remove(s, x);
    }
    if (e != OK) doc_free(x);
    return e;
}

/* --- opening ---------------------------------------------------------------------------------- */

struct loading {
    struct docs *s;
    const char *kind;
};

static enum err load_row(void *ctx, const struct catalog_row *row, struct diag *d)
{
    struct loading *l = ctx;
    json_t *j = NULL;
    if (json_read(row->value, &j, d) != OK) {
        diag_reset(d);
        return FAIL(d, ERR_CORRUPT, "the catalogue's %s %s is not JSON", l->kind, row->id);
    }
    enum err e = memory_put(l->s, l->kind, row->id, row->parent != NULL ? row->parent : "", j, d);
    json_decref(j);
    return e;
}

enum err docs_open(struct docs **out, struct catalog *catalog, struct diag *d)
{
    CLEANUP(docs_close) struct docs *s = calloc(1, sizeof *s);
    if (s == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    s->catalog = catalog;
    pthread_mutex_init(&s->writers, NULL);
    pthread_rwlock_init(&s->lock, NULL);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct loading l = {s, kinds[i]};
        TRY(catalog->ops->list(catalog, NULL, kinds[i], NULL, NULL, load_row, &l, d));
    }
    *out = TAKE(s);
    return OK;
}

void docs_close(struct docs *s)
{
    if (s == NULL) return;
    MAP_EACH (&s->by_id, e)
        doc_free(e->value);
    map_release(&s->by_id);
    MAP_EACH (&s->groups, e) {
        struct group *g = e->value;
        free(g->v);
        free(g);
    }
    map_release(&s->groups);
    pthread_rwlock_destroy(&s->lock);
    pthread_mutex_destroy(&s->writers);
    free(s);
}

pthread_mutex_t *docs_writers(struct docs *s)
{
    return &s->writers;
}

/* --- reading ---------------------------------------------------------------------------------- */

json_t *docs_get(struct docs *s, const char *kind, const char *id)
{
    CLEANUP_BUF struct buf key = {0};
    struct bytes k = key_of(&key, kind, id);
    pthread_rwlock_rdlock(&s->lock);
    struct doc *x = map_get(&s->by_id, k);
    json_t *j = x != NULL ? json_incref(x->j) : NULL;
    pthread_rwlock_unlock(&s->lock);
    return j;
}

static int by_id(const void *a, const void *b)
{
    return strcmp((*(struct doc *const *)a)->id, (*(struct doc *const *)b)->id);
}

static json_t *sorted(struct doc **v, size_t n)
{
    if (n > 1) qsort(v, n, sizeof(struct doc *), by_id);
    json_t *list = json_array();
    for (size_t i = 0; i < n && list != NULL; i++)
        json_array_append(list, v[i]->j);
    return list;
}

static bool wanted(const struct doc *x, const char *kind, const char *prefix)
{
    return str_eq(x->kind, kind) && (prefix == NULL || str_starts(x->id, prefix));
}

/* Under the lock: those that are wanted, in v, which has room. g NULL: of all groups. */
static size_t collect(struct docs *s, const char *kind, const struct group *g, const char *prefix,
                      struct doc **v)
{
    size_t n = 0;
    for (uint32_t i = 0; g != NULL && i < g->n; i++) {
        if (wanted(g->v[i], kind, prefix)) v[n++] = g->v[i];
    }
    if (g != NULL) return n;
    MAP_EACH (&s->by_id, e) {
        if (wanted(e->value, kind, prefix)) v[n++] = e->value;
    }
    return n;
}

json_t *docs_list(struct docs *s, const char *kind, const char *parent, const char *prefix)
{
    static const struct group none;
    CLEANUP_BUF struct buf key = {0};
    json_t *list = NULL;
    pthread_rwlock_rdlock(&s->lock);
    const struct group *g = NULL;
    if (parent != NULL) {
        g = map_get(&s->groups, key_of(&key, kind, parent));
        if (g == NULL) g = &none;
    }
    struct doc **v =
        calloc((g != NULL ? (size_t)g->n : s->by_id.n_entries) + 1, sizeof(struct doc *));
    if (v != NULL) list = sorted(v, collect(s, kind, g, prefix, v));
    free(v);
    pthread_rwlock_unlock(&s->lock);
    return list;
}

bool change_remove_some(struct change *c, struct docs *s, const char *prefix, const char *except,
                        uint32_t max)
{
    uint32_t n = 0;
    pthread_rwlock_rdlock(&s->lock);
    MAP_EACH (&s->by_id, e) {
        const struct doc *x = e->value;
        if (!wanted(x, DOC_RESOURCE, prefix)) continue;
        if (except != NULL && str_starts(x->id, except)) continue;
        if (n++ == max) break;
        change_remove(c, DOC_RESOURCE, x->id);
    }
    pthread_rwlock_unlock(&s->lock);
    return n > max;
}

void change_remove_parts(struct change *c, struct docs *s, const char *prefix)
{
    (void)change_remove_some(c, s, prefix, NULL, CHANGE_MAX);
}

const char *docs_parent(struct docs *s, const char *kind, const char *id)
{
    CLEANUP_BUF struct buf key = {0};
    struct bytes k = key_of(&key, kind, id);
    pthread_rwlock_rdlock(&s->lock);
    const struct doc *x = map_get(&s->by_id, k);
    const char *parent = x != NULL ? x->parent : "";
    pthread_rwlock_unlock(&s->lock);
    return parent;
}

json_t *docs_ids(struct docs *s, const char *kind)
{
    json_t *ids = json_array();
    pthread_rwlock_rdlock(&s->lock);
    MAP_EACH (&s->by_id, e) {
        const struct doc *x = e->value;
        if (str_eq(x->kind, kind)) json_array_append_new(ids, json_string(x->id));
    }
    pthread_rwlock_unlock(&s->lock);
    return ids;
}

bool docs_any(struct docs *s, const char *kind, const char *prefix)
{
    bool found = false;
    pthread_rwlock_rdlock(&s->lock);
    MAP_EACH (&s->by_id, e) {
        if (wanted(e->value, kind, prefix)) {
            found = true;
            break;
        }
    }
    pthread_rwlock_unlock(&s->lock);
    return found;
}

/* --- committing ------------------------------------------------------------------------------- */

static enum err write_items(struct docs *s, const struct change *c, struct catalog_txn *t,
                            struct diag *d)
{
    const struct catalog_ops *ops = s->catalog->ops;
    for (uint32_t i = 0; i < c->n; i++) {
        const struct change_item *it = &c->items[i];
        if (it->j == NULL) {
            TRY(ops->remove(t, it->kind, it->id, d));
            continue;
        }
        CLEANUP_BUF struct buf text = {0};
        TRY(json_write(it->j, &text, d));
        TRY(ops->put(t, it->kind, it->id, it->parent[0] != '\0' ? it->parent : NULL,
                     buf_view(&text), d));
    }
    return OK;
}

static enum err commit(struct docs *s, struct change *c, struct diag *d)
{
    if (c->bad) return FAIL(d, ERR_LIMIT, "out of memory, or more than %d documents", CHANGE_MAX);
    struct catalog_txn *t = NULL;
    TRY(s->catalog->ops->begin(s->catalog, &t, d));
    enum err e = write_items(s, c, t, d);
    if (e != OK) {
        s->catalog->ops->rollback(t);
        return e;
    }
    TRY(s->catalog->ops->commit(t, d));
    pthread_rwlock_wrlock(&s->lock); /* (2) */
    for (uint32_t i = 0; i < c->n && e == OK; i++) {
        const struct change_item *it = &c->items[i];
        if (it->j == NULL) {
            memory_remove(s, it->kind, it->id);
        } else {
            e = memory_put(s, it->kind, it->id, it->parent, it->j, d);
        }
    }
    pthread_rwlock_unlock(&s->lock);
    return e;
}

enum err docs_commit(struct docs *s, struct change *c, struct diag *d)
{
    enum err e = c->n == 0 && !c->bad ? OK : commit(s, c, d);
    change_release(c);
    return e;
}
