/* SPDX-License-Identifier: Apache-2.0 */
/* storage/rows.c - batches to bytes and back */
#include "storage/rows.h"

#include "base/time.h"
#include "column/codec.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

#define ROWS_VERSION 1

/* These numbers are on disks. */
static_assert(T_BOOL == 1 && T_INT == 2 && T_LONG == 3 && T_REAL == 4 && T_DECIMAL == 5 &&
              T_STRING == 6 && T_DATETIME == 7 && T_TIMESPAN == 8 && T_GUID == 9 &&
              T_DYNAMIC == 10);

void rows_head_encode(const struct rows_head *h, struct buf *out)
{
    buf_bytes(out, BYTES_OF(h->table));
    buf_bytes(out, BYTES_OF(h->batch));
    buf_u64(out, (uint64_t)h->time_us);
    buf_u32(out, h->left);
    buf_u64(out, h->spool);
}

void rows_head_set_left(uint8_t head[ROWS_HEAD_LEN], uint32_t left)
{
    uint32_t v = htole32(left);
    memcpy(head + 40, &v, sizeof v);
}

enum err rows_head_decode(struct bytes in, struct rows_head *out, struct bytes *rest,
                          struct diag *d)
{
    struct rd r = rd_from(in);
    struct rows_head h;
    rd_copy(&r, &h.table, sizeof h.table);
    rd_copy(&r, h.batch, sizeof h.batch);
    h.time_us = (int64_t)rd_u64(&r);
    h.left = rd_u32(&r);
    h.spool = rd_u64(&r);
    struct bytes body = rd_bytes(&r, rd_left(&r));
    if (r.bad) return FAIL(d, ERR_CORRUPT, "a log record of %zu bytes", in.len);
    *out = h;
    *rest = body;
    return OK;
}

enum err rows_encode(const struct schema *s, const struct batch *b, struct buf *out, struct diag *d)
{
    if (b->n_cols != s->n) {
        return FAIL(d, ERR_INVALID, "rows of %u columns for a table of %u", b->n_cols, s->n);
    }
    buf_u8(out, ROWS_VERSION);
    buf_u32(out, b->n_rows);
    buf_u16(out, (uint16_t)b->n_cols);
    CLEANUP_BUF struct buf one = {0};
    for (uint32_t i = 0; i < b->n_cols; i++) {
        if (b->cols[i].type != s->cols[i].type || b->cols[i].n != b->n_rows) {
            return FAIL(d, ERR_INVALID, "column '%s': %u values of %s where %u of %s belong",
                        s->cols[i].name, b->cols[i].n, type_name(b->cols[i].type), b->n_rows,
                        type_name(s->cols[i].type));
        }
        buf_clear(&one);
        TRY(codec_encode(&b->cols[i], CODEC_FAST, &one, d));
        buf_u8(out, (uint8_t)s->cols[i].type);
        buf_blob(out, bytes_str(s->cols[i].name));
        buf_blob(out, buf_view(&one));
    }
    return buf_check(out, d);
}

enum err rows_absent(enum type t, uint32_t n, struct arena *a, struct vec *out, struct diag *d)
{
    void *zero = arena_calloc(a, 1, type_width(t));
    uint64_t *nulls = arena_new(a, uint64_t);
    if (zero == NULL || nulls == NULL) return arena_full(a, d);
    *nulls = 1;
    *out = (struct vec){
        .type = t, .shape = VEC_CONST, .n = n, .data = zero, .nulls = t == T_STRING ? NULL : nulls};
    return OK;
}

enum err rows_received(const struct batch *rows, int64_t time_us, struct arena *a,
                       struct batch *out, struct diag *d)
{
    struct batch b = {.n_rows = rows->n_rows, .n_cols = rows->n_cols + 1};
    int64_t *ticks = arena_new(a, int64_t);
    b.cols = arena_array(a, struct vec, b.n_cols);
    if (b.cols == NULL || ticks == NULL) return arena_full(a, d);
    *ticks = TICKS_UNIX + time_us * 10;
    b.cols[0] = (struct vec){.type = T_DATETIME, .shape = VEC_CONST, .n = b.n_rows, .data = ticks};
    memcpy(b.cols + 1, rows->cols, rows->n_cols * sizeof *rows->cols);
    *out = b;
    return OK;
}

static int find_column(const struct schema *s, struct bytes name, enum type t)
{
    for (uint32_t i = 0; i < s->n; i++) {
        if (s->cols[i].type == t && bytes_eq(bytes_str(s->cols[i].name), name)) return (int)i;
    }
    return -1;
}

static enum err column_decode(struct rd *r, const struct schema *s, struct arena *a,
                              struct batch *b, struct diag *d)
{
    enum type t = rd_u8(r);
    struct bytes name = rd_blob(r), encoded = rd_blob(r);
    if (r->bad) return FAIL(d, ERR_CORRUPT, "rows end too early");
    int i = find_column(s, name, t);
    if (i < 0) return FAIL(d, ERR_CORRUPT, "rows of a column that the table does not have");
    return codec_decode(encoded, t, b->n_rows, a, &b->cols[i], d);
}

enum err rows_decode(struct bytes in, const struct schema *s, struct arena *a, struct batch *out,
                     struct diag *d)
{
    struct rd r = rd_from(in);
    uint8_t version = rd_u8(&r);
    struct batch b = {.n_rows = rd_u32(&r), .n_cols = s->n};
    uint32_t n_cols = rd_u16(&r);
    if (r.bad || version != ROWS_VERSION || b.n_rows > CODEC_ROWS_MAX) {
        return FAIL(d, ERR_CORRUPT, "rows of version %u", version);
    }
    b.cols = arena_array(a, struct vec, s->n);
    if (b.cols == NULL) return arena_full(a, d);
    for (uint32_t i = 0; i < s->n; i++) {
        TRY(rows_absent(s->cols[i].type, b.n_rows, a, &b.cols[i], d));
    }
    for (uint32_t i = 0; i < n_cols; i++)
        TRY(column_decode(&r, s, a, &b, d));
    if (!rd_done(&r)) return FAIL(d, ERR_CORRUPT, "rows of a wrong length");
    *out = b;
    return OK;
}
