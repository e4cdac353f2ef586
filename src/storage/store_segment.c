/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage/store_segment.c - segments that are in the catalogue, counted by who needs their file
 *
 * The list of its part holds one reference, each scan one. A segment that has left the catalogue is
 * deleted with its last reference; after a crash in between, store_open() deletes what no entry
 * names.
 */
#include "storage/store_impl.h"

#include "base/log.h"
#include "base/map.h"

#include <stdlib.h>

enum err live_segment_new(struct store *s, const struct segment_entry *e, struct live_segment **out,
                          struct diag *d)
{
    struct live_segment *g = calloc(1, sizeof *g);
    if (g == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    g->refs = 1;
    g->store = s;
    g->entry = *e;
    *out = g;
    return OK;
}

void live_segment_ref(struct live_segment *g)
{
    g->refs++;
}

void live_segment_unref(struct live_segment *g)
{
    if (g == NULL || --g->refs != 0) return;
    struct diag d = DIAG_INIT;
    struct blobs *b = g->store->blobs;
    if (g->dropped && b->ops->remove(b, g->entry.file_id, &d) != OK) {
        LOG(WARN, "segment.remove_failed", F_ERR(&d)); /* the next start tries again */
    }
    free(g);
}

enum err part_reserve_segment(struct part *p, struct diag *d)
{
    if (p->n_segments < p->cap_segments) return OK;
    uint32_t cap = p->cap_segments != 0 ? p->cap_segments * 2 : 8;
    struct live_segment **more = realloc(p->segments, cap * sizeof(struct live_segment *));
    if (more == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    p->segments = more;
    p->cap_segments = cap;
    return OK;
}

void part_forget_segment(struct part *p, struct live_segment *g)
{
    LOCK_SCOPE(&p->account->lock);
    for (uint32_t i = 0; i < p->n_segments; i++) {
        if (p->segments[i] != g) continue;
        memmove(&p->segments[i], &p->segments[i + 1],
                (p->n_segments - i - 1) * sizeof(struct live_segment *));
        p->n_segments--;
        g->dropped = true;
        live_segment_unref(g); /* the list's; ours is still there */
        return;
    }
}

struct sweep {
    struct store *s;
    bool remove; /* else only: may what has no entry go? */
    struct map known;
    uint64_t n_seen;
};

static enum err know_all(struct sweep *w, struct diag *d)
{
    LOCK_SCOPE(&w->s->lock);
    for (struct account *a = w->s->accounts; a != NULL; a = a->next) {
        for (struct part *p = a->parts; p != NULL; p = p->next_of_account) {
            for (uint32_t i = 0; i < p->n_segments; i++) {
                struct live_segment *g = p->segments[i];
                TRY(map_put(&w->known, BYTES_OF(g->entry.file_id), g, NULL, d));
            }
        }
    }
    return OK;
}

static enum err sweep_one(void *ctx, const uint8_t id[16], uint64_t length, struct diag *d)
{
    struct sweep *w = ctx;
    struct live_segment *g = map_get(&w->known, bytes_of(id, 16));
    char hex[33];
    id_hex(id, hex);
    if (g == NULL) {
        if (!w->remove) return manifest_check_orphan(w->s->manifest, id, d);
        LOG(INFO, "segment.orphan_removed", F_STR("file", hex), F_U64("length", length));
        return w->s->blobs->ops->remove(w->s->blobs, id, d);
    }
    w->n_seen++;
    if (w->remove && length != g->entry.length) {
        LOG(ERROR, "segment.wrong_length", F_STR("file", hex), F_U64("length", length),
            F_U64("expected", g->entry.length));
    }
    return OK;
}

enum err segments_sweep(struct store *s, bool remove, struct diag *d)
{
    struct sweep w = {.s = s, .remove = remove};
    enum err e = know_all(&w, d);
    if (e == OK) e = s->blobs->ops->list(s->blobs, sweep_one, &w, d);
    if (e == OK && remove && w.n_seen < w.known.n_live) {
        LOG(ERROR, "segment.missing", F_U64("files", w.known.n_live - w.n_seen));
    }
    map_release(&w.known);
    return e;
}
