/* SPDX-License-Identifier: Apache-2.0 */
/* api/answer.c - the text of an answer: a little in memory, the rest sealed outside of it */
#include "api/answer.h"

#include <stdlib.h>

#define CACHE_MAX ((size_t)1 << 30) /* a block is as long as one batch of rows makes it */

enum err answer_init(struct answer *a, struct spill_room *room, struct diag *d)
{
    *a = (struct answer){0};
    arena_init(&a->cache, CACHE_MAX);
    return room != NULL ? spill_file_new(&a->file, room, d) : OK;
}

void answer_release(struct answer *a)
{
    arena_release(&a->cache);
    spill_file_free(a->file);
    free(a->blocks);
    *a = (struct answer){0};
}

void answer_clear(struct answer *a)
{
    a->n = 0;
    a->len = 0;
}

void answer_wipe(struct answer *a)
{
    if (a->file != NULL) spill_file_wipe(a->file);
}

static enum err grow(struct answer *a, struct diag *d)
{
    uint32_t cap = a->cap != 0 ? a->cap * 2 : 16;
    struct answer_block *blocks = realloc(a->blocks, cap * sizeof *blocks);
    if (blocks == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    a->blocks = blocks;
    a->cap = cap;
    return OK;
}

enum err answer_put(struct answer *a, struct buf *text, struct diag *d)
{
    if (a->file == NULL || text->bad || text->len < ANSWER_WAITS) return OK;
    if (a->n == a->cap) TRY(grow(a, d));
    struct answer_block *b = &a->blocks[a->n];
    *b = (struct answer_block){.start = a->len, .len = text->len};
    TRY(spill_file_write(a->file, buf_view(text), &b->at, d));
    a->len += text->len;
    a->n++;
    buf_clear(text);
    return OK;
}

/* --- being sent ------------------------------------------------------------------------------- */

static void forget(void *ctx)
{
    struct answer *a = ctx;
    arena_clear(&a->cache);
    a->cached = (struct bytes){0};
}

static bool load(struct answer *a, uint32_t no)
{
    if (a->cached.p != NULL && a->cached_no == no) return true;
    forget(a);
    const struct answer_block *b = &a->blocks[no];
    if (spill_file_read(a->file, b->at, b->len, &a->cache, &a->cached, NULL) != OK) return false;
    a->cached_no = no;
    return true;
}

static size_t read_stored(void *ctx, uint64_t at, uint8_t *to, size_t max)
{
    struct answer *a = ctx;
    uint32_t no = 0;
    while (no + 1 < a->n && a->blocks[no + 1].start <= at)
        no++;
    if (!load(a, no)) return 0;
    size_t skip = (size_t)(at - a->blocks[no].start);
    size_t n = a->cached.len - skip < max ? a->cached.len - skip : max;
    memcpy(to, a->cached.p + skip, n);
    return n;
}

struct http_stored answer_stored(struct answer *a)
{
    return (struct http_stored){.len = a->len, .read = read_stored, .forget = forget, .ctx = a};
}
