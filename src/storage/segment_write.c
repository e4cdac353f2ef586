/* SPDX-License-Identifier: Apache-2.0 */
/* storage/segment_write.c - rows of a memtable into a sealed columnar file */
#include "storage/segment_meta.h"

#include "base/log.h"
#include "column/codec.h"
#include "storage/filter.h"
#include "storage/rows.h"

#include <math.h>
#include <stdlib.h>

struct block_note { /* an entry of the footer */
    uint64_t offset;
    uint32_t length;
    uint8_t btype, tag[16];
};

struct row_ref {
    int64_t time;
    uint32_t piece, row;
};

struct segment_writer {
    struct blobs *blobs;
    struct file_key *key;
    struct gate gate;
    struct blob_writer *file;
    struct sha256_ctx *sha;
    uint64_t length; /* bytes written */
    struct block_note *blocks;
    uint32_t n_blocks, cap_blocks;
    struct buf sealed;  /* blocks on their way to the file */
    uint64_t sealed_at; /* file offset of its first byte */

    struct row_ref *order;
    uint32_t n_rows;
    struct buf meta;      /* plaintext, as it grows; a lock wipes it */
    struct arena scratch; /* of one chunk */
    struct buf encoded, packed, filter;
    uint64_t raw_bytes;
};

enum err segment_writer_new(struct segment_writer **out, struct blobs *b, struct file_key *key,
                            const struct gate *gate, struct diag *d)
{
    CLEANUP(segment_writer_free) struct segment_writer *w = calloc(1, sizeof *w);
    if (w == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    w->blobs = b;
    w->key = key;
    w->gate = *gate;
    arena_init(&w->scratch, (size_t)1 << 30);
    TRY(sha256_new(&w->sha, d));
    TRY(b->ops->begin(b, file_key_ident(key)->file_id, &w->file, d));
    *out = TAKE(w);
    return OK;
}

void segment_writer_wipe(struct segment_writer *w)
{
    if (w == NULL) return;
    buf_release(&w->meta);
    buf_release(&w->encoded);
    buf_release(&w->packed);
    buf_release(&w->filter);
    arena_release(&w->scratch);
}

void segment_writer_free(struct segment_writer *w)
{
    if (w == NULL) return;
    segment_writer_wipe(w);
    w->blobs->ops->abort(w->file);
    sha256_free(w->sha);
    buf_release(&w->sealed);
    free(w->blocks);
    free(w->order);
    free(w);
}

/* --- blocks ----------------------------------------------------------------------------------- */

static enum err note_block(struct segment_writer *w, enum btype btype, size_t length,
                           struct diag *d)
{
    if (w->n_blocks == w->cap_blocks) {
        uint32_t cap = w->cap_blocks != 0 ? w->cap_blocks * 2 : 64;
        struct block_note *more = realloc(w->blocks, cap * sizeof *more);
        if (more == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
        w->blocks = more;
        w->cap_blocks = cap;
    }
    struct block_note *b = &w->blocks[w->n_blocks++];
    *b = (struct block_note){.offset = w->sealed_at + w->sealed.len - length,
                             .length = (uint32_t)length,
                             .btype = (uint8_t)btype};
    memcpy(b->tag, w->sealed.p + w->sealed.len - sizeof b->tag, sizeof b->tag);
    return OK;
}

static enum err seal_block(struct segment_writer *w, enum btype btype, struct bytes plain,
                           struct diag *d)
{
    size_t before = w->sealed.len;
    TRY(block_seal(w->key, btype, w->n_blocks, plain, &w->sealed, d));
    return note_block(w, btype, w->sealed.len - before, d);
}

static enum err seal_all(struct segment_writer *w, enum btype btype, struct bytes plain,
                         struct diag *d)
{
    while (plain.len != 0) {
        size_t n = plain.len < SEGMENT_BLOCK_MAX ? plain.len : SEGMENT_BLOCK_MAX;
        TRY(seal_block(w, btype, bytes_of(plain.p, n), d));
        plain = bytes_of(plain.p + n, plain.len - n);
    }
    return OK;
}

static enum err write_plain(struct segment_writer *w, struct bytes b, struct diag *d)
{
    TRY(w->blobs->ops->write(w->file, b, d));
    sha256_add(w->sha, b);
    w->length += b.len;
    return OK;
}

/* Outside of the gate: only ciphertext here. */
static enum err write_sealed(struct segment_writer *w, struct diag *d)
{
    TRY(write_plain(w, buf_view(&w->sealed), d));
    w->sealed.len = 0; /* ciphertext needs no wiping */
    w->sealed_at = w->length;
    return OK;
}

/* --- order ------------------------------------------------------------------------------------ */

static int by_time(const void *x, const void *y)
{
    const struct row_ref *a = x, *b = y;
    if (a->time != b->time) return a->time < b->time ? -1 : 1;
    if (a->piece != b->piece) return a->piece < b->piece ? -1 : 1;
    return a->row < b->row ? -1 : a->row > b->row; /* as they came */
}

static enum err make_order(struct segment_writer *w, const struct segment_source *s, struct diag *d)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < s->n_pieces; i++)
        total += s->pieces[i]->rows.n_rows;
    if (total == 0 || total > UINT32_MAX / sizeof(struct row_ref)) {
        return FAIL(d, ERR_LIMIT, "a segment of %llu rows", (unsigned long long)total);
    }
    w->order = calloc(total, sizeof *w->order);
    if (w->order == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    bool sorted = true;
    for (uint32_t i = 0; i < s->n_pieces; i++) {
        const struct piece *p = s->pieces[i];
        bool timed = s->time_col >= 0 && (uint32_t)s->time_col < p->rows.n_cols;
        for (uint32_t row = 0; row < p->rows.n_rows; row++) {
            int64_t t = timed ? vec_i64(&p->rows.cols[s->time_col], row) : 0;
            if (w->n_rows != 0 && t < w->order[w->n_rows - 1].time) sorted = false;
            w->order[w->n_rows++] = (struct row_ref){t, i, row};
        }
    }
    if (!sorted) qsort(w->order, w->n_rows, sizeof *w->order, by_time);
    return OK;
}

/* --- one column of one row group -------------------------------------------------------------- */

struct chunk {
    const struct segment_source *source;
    uint32_t column;
    enum type type;
    const struct row_ref *rows;
    uint32_t n_rows;
};

/* The rows in their order, flat. Strings point into the pieces. */
static enum err gather(struct segment_writer *w, const struct chunk *c, struct vec *out,
                       struct diag *d)
{
    size_t width = type_width(c->type);
    uint8_t *data = arena_calloc(&w->scratch, c->n_rows, width);
    uint64_t *nulls = arena_array(&w->scratch, uint64_t, BIT_WORDS(c->n_rows));
    if (data == NULL || nulls == NULL) return arena_full(&w->scratch, d);
    bool any = false;
    for (uint32_t i = 0; i < c->n_rows; i++) {
        const struct batch *b = &c->source->pieces[c->rows[i].piece]->rows;
        const struct vec *v = c->column < b->n_cols ? &b->cols[c->column] : NULL;
        if (v == NULL ||
            vec_null(v, c->rows[i].row)) { /* a piece from before the column was added */
            bit_set(nulls, i);
            any = true;
            continue;
        }
        const uint8_t *from = vec_data(v);
        memcpy(data + i * width, from + vec_at(v, c->rows[i].row) * width, width);
    }
    *out = (struct vec){.type = c->type,
                        .n = c->n_rows,
                        .data = data,
                        .nulls = any && c->type != T_STRING ? nulls : NULL};
    return OK;
}

/* False: nothing can be said, for want of values or because of NaN. */
static bool word_range(const struct vec *v, uint64_t *min, uint64_t *max)
{
    bool any = false;
    int64_t lo = 0, hi = 0;
    double rlo = 0, rhi = 0;
    for (uint32_t i = 0; i < v->n; i++) {
        if (vec_null(v, i)) continue;
        if (v->type == T_REAL) {
            double x = vec_r64(v, i);
            if (isnan(x)) return false;
            if (!any || x < rlo) rlo = x;
            if (!any || x > rhi) rhi = x;
        } else {
            int64_t x = v->type == T_BOOL ? vec_bool(v, i) : vec_i64(v, i);
            if (!any || x < lo) lo = x;
            if (!any || x > hi) hi = x;
        }
        any = true;
    }
    memcpy(min, v->type == T_REAL ? (const void *)&rlo : &lo, sizeof *min);
    memcpy(max, v->type == T_REAL ? (const void *)&rhi : &hi, sizeof *max);
    return any;
}

static struct bytes prefix(struct bytes s)
{
    return bytes_of(s.p, s.len < SEGMENT_PREFIX_MAX ? s.len : SEGMENT_PREFIX_MAX);
}

/* v holds every value of the rows at least once: of a dictionary, its values. */
static void put_range(const struct vec *v, struct buf *meta, uint8_t *flags)
{
    uint64_t lo, hi;
    if (has_word_range(v->type) && word_range(v, &lo, &hi)) {
        *flags |= CHUNK_RANGE;
        buf_u64(meta, lo);
        buf_u64(meta, hi);
    } else if (v->type == T_STRING && v->n != 0) {
        struct bytes min = vec_str(v, 0), max = min;
        for (uint32_t i = 1; i < v->n; i++) {
            struct bytes s = vec_str(v, i);
            if (bytes_cmp(s, min) < 0) min = s;
            if (bytes_cmp(s, max) > 0) max = s;
        }
        *flags |= CHUNK_RANGE;
        buf_blob(meta, prefix(min));
        buf_blob(meta, prefix(max));
    }
}

/* Filter blocks of a string column, and where they are. */
static enum err put_filter(struct segment_writer *w, const struct vec *v, uint8_t *flags,
                           struct diag *d)
{
    if (v->type != T_STRING) return OK;
    struct filter_words words = {0};
    for (uint32_t i = 0; i < v->n; i++)
        filter_words_add(&words, vec_str(v, i));
    buf_clear(&w->filter);
    filter_build(&words, &w->filter);
    filter_words_release(&words);
    if (w->filter.len == 0 || w->filter.bad) return OK;
    *flags |= CHUNK_FILTER;
    uint32_t first = w->n_blocks;
    TRY(seal_all(w, BTYPE_META, buf_view(&w->filter), d));
    buf_u32(&w->meta, first);
    buf_u32(&w->meta, w->n_blocks - first);
    return OK;
}

static enum err put_data(struct segment_writer *w, const struct vec *v, uint8_t *flags,
                         struct diag *d)
{
    buf_clear(&w->encoded);
    buf_clear(&w->packed);
    TRY(codec_encode(v, CODEC_SMALL, &w->encoded, d));
    w->raw_bytes += w->encoded.len;
    if (w->encoded.len <= SEGMENT_INLINE_MAX) {
        *flags |= CHUNK_INLINE;
        buf_blob(&w->meta, buf_view(&w->encoded));
        return OK;
    }
    TRY(codec_compress(buf_view(&w->encoded), &w->packed, d));
    buf_u32(&w->meta, w->n_blocks);
    TRY(seal_all(w, BTYPE_DATA, buf_view(&w->packed), d));
    buf_u32(&w->meta, w->n_blocks);
    buf_u64(&w->meta, w->encoded.len);
    return OK;
}

/* Inside the gate. META gets: flags, where the data is, min and max, where the filter is. */
static enum err write_chunk(struct segment_writer *w, const struct chunk *c, struct diag *d)
{
    struct vec v = {0};
    uint8_t flags = 0;
    TRY(gather(w, c, &v, d));
    if (c->type == T_STRING || c->type == T_DYNAMIC)
        (void)!codec_to_dictionary(&v, &w->scratch, &v);
    const struct vec *values = v.shape == VEC_DICT ? v.dict : &v;
    size_t at = w->meta.len;
    buf_u8(&w->meta, 0);
    TRY(put_data(w, &v, &flags, d));
    put_range(values, &w->meta, &flags);
    /* A constant chunk is its own filter: min and max say it all. */
    if ((flags & CHUNK_INLINE) == 0) TRY(put_filter(w, values, &flags, d));
    TRY(buf_check(&w->meta, d));
    w->meta.p[at] = flags;
    return OK;
}

static enum err gated_chunk(struct segment_writer *w, const struct chunk *c, struct diag *d)
{
    TRY(w->gate.enter(w->gate.ctx, d));
    enum err e = write_chunk(w, c, d);
    arena_release(&w->scratch);
    w->gate.leave(w->gate.ctx);
    if (e != OK) return e;
    return write_sealed(w, d);
}

/* --- the file --------------------------------------------------------------------------------- */

static void begin_meta(struct segment_writer *w, const struct schema *s)
{
    uint32_t n_groups = (w->n_rows + SEGMENT_GROUP_ROWS - 1) / SEGMENT_GROUP_ROWS;
    buf_u8(&w->meta, SEGMENT_META_VERSION);
    buf_u32(&w->meta, s->n);
    for (uint32_t i = 0; i < s->n; i++) {
        buf_u8(&w->meta, (uint8_t)s->cols[i].type);
        buf_blob(&w->meta, bytes_str(s->cols[i].name));
    }
    buf_u32(&w->meta, n_groups);
}

static enum err write_groups(struct segment_writer *w, const struct segment_source *s,
                             struct diag *d)
{
    for (uint32_t at = 0; at < w->n_rows; at += SEGMENT_GROUP_ROWS) {
        uint32_t n = w->n_rows - at < SEGMENT_GROUP_ROWS ? w->n_rows - at : SEGMENT_GROUP_ROWS;
        TRY(w->gate.enter(w->gate.ctx, d));
        buf_u32(&w->meta, n);
        w->gate.leave(w->gate.ctx);
        for (uint32_t i = 0; i < s->schema->n; i++) {
            struct chunk c = {s, i, s->schema->cols[i].type, w->order + at, n};
            TRY(gated_chunk(w, &c, d));
        }
    }
    return OK;
}

static enum err seal_meta(struct segment_writer *w, struct diag *d)
{
    TRY(buf_check(&w->meta, d));
    buf_clear(&w->packed);
    TRY(codec_compress(buf_view(&w->meta), &w->packed, d));
    if (w->packed.len > BLOCK_LEN_MAX)
        return FAIL(d, ERR_LIMIT, "a segment's description is too long");
    return seal_block(w, BTYPE_META, buf_view(&w->packed), d);
}

static enum err seal_footer(struct segment_writer *w, struct diag *d)
{
    CLEANUP_BUF struct buf plain = {0};
    buf_u8(&plain, SEGMENT_FOOTER_VERSION);
    buf_u32(&plain, w->n_blocks);
    for (uint32_t i = 0; i < w->n_blocks; i++) {
        const struct block_note *b = &w->blocks[i];
        buf_u64(&plain, b->offset);
        buf_u32(&plain, b->length);
        buf_u8(&plain, b->btype);
        buf_bytes(&plain, BYTES_OF(b->tag));
    }
    TRY(buf_check(&plain, d));
    return seal_block(w, BTYPE_FOOTER, buf_view(&plain), d);
}

static enum err seal_tail(struct segment_writer *w, struct diag *d)
{
    TRY(w->gate.enter(w->gate.ctx, d));
    enum err e = seal_meta(w, d);
    if (e == OK) e = seal_footer(w, d);
    segment_writer_wipe(w);
    w->gate.leave(w->gate.ctx);
    if (e != OK) return e;
    return write_sealed(w, d);
}

static enum err write_end(struct segment_writer *w, struct segment_entry *entry, struct diag *d)
{
    const struct block_note *footer = &w->blocks[w->n_blocks - 1];
    uint8_t end[SEGMENT_END_LEN];
    struct wr wr = wr_into(end, sizeof end);
    wr_u64be(&wr, footer->offset);
    wr_u32be(&wr, footer->length);
    wr_bytes(&wr, BYTES("KSTE"));
    TRY(write_plain(w, BYTES_OF(end), d));
    TRY(w->blobs->ops->commit(TAKE(w->file), d));
    entry->length = w->length;
    entry->rows = w->n_rows;
    entry->raw_bytes = w->raw_bytes;
    memcpy(entry->footer_tag, footer->tag, sizeof entry->footer_tag);
    sha256_end(TAKE(w->sha), entry->sha256);
    return OK;
}

enum err segment_write(struct segment_writer *w, const struct segment_source *s,
                       struct segment_entry *entry, struct diag *d)
{
    uint8_t header[FILE_HEADER_LEN];
    file_header_encode(file_key_ident(w->key), header);
    TRY(write_plain(w, BYTES_OF(header), d));
    w->sealed_at = w->length;
    TRY(w->gate.enter(w->gate.ctx, d));
    enum err e = make_order(w, s, d);
    if (e == OK) begin_meta(w, s->schema);
    w->gate.leave(w->gate.ctx);
    if (e != OK) return e;
    TRY(write_groups(w, s, d));
    TRY(seal_tail(w, d));
    return write_end(w, entry, d);
}

/* --- a copy under another key ----------------------------------------------------------------- */

/* META and the footer's order name blocks by number, so a copy keeps them all. */
static enum err copy_block(struct segment_writer *w, const struct segment_reader *from,
                           uint32_t block, struct bytes sealed, struct diag *d)
{
    enum btype btype;
    buf_clear(&w->packed);
    TRY(segment_block_open(from, block, sealed, &btype, &w->packed, d));
    enum err e = seal_block(w, btype, buf_view(&w->packed), d);
    buf_clear(&w->packed);
    return e;
}

static enum err gated_copy(struct segment_writer *w, const struct segment_reader *from,
                           uint32_t block, const uint8_t file_id[16], struct buf *sealed,
                           struct diag *d)
{
    TRY(w->gate.enter(w->gate.ctx, d));
    struct segment_extent x = segment_block(from, block);
    w->gate.leave(w->gate.ctx);
    buf_clear(sealed);
    TRY(w->blobs->ops->read(w->blobs, file_id, x.offset, x.length, sealed, d));
    TRY(w->gate.enter(w->gate.ctx, d));
    enum err e = copy_block(w, from, block, buf_view(sealed), d);
    w->gate.leave(w->gate.ctx);
    if (e != OK) return e;
    return write_sealed(w, d);
}

enum err segment_copy(struct segment_writer *w, const struct segment_reader *from,
                      struct segment_entry *entry, struct diag *d)
{
    CLEANUP_BUF struct buf sealed = {0};
    uint8_t header[FILE_HEADER_LEN];
    file_header_encode(file_key_ident(w->key), header);
    TRY(write_plain(w, BYTES_OF(header), d));
    w->sealed_at = w->length;
    TRY(w->gate.enter(w->gate.ctx, d));
    uint32_t n = segment_blocks(from);
    w->gate.leave(w->gate.ctx);
    const uint8_t *file_id = segment_reader_ident(from)->file_id;
    for (uint32_t i = 0; i < n; i++)
        TRY(gated_copy(w, from, i, file_id, &sealed, d));
    TRY(w->gate.enter(w->gate.ctx, d));
    enum err e = seal_footer(w, d);
    w->gate.leave(w->gate.ctx);
    if (e == OK) e = write_sealed(w, d);
    if (e != OK) return e;
    w->n_rows = (uint32_t)entry->rows;
    w->raw_bytes = entry->raw_bytes;
    return write_end(w, entry, d);
}
