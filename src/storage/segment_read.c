/* SPDX-License-Identifier: Apache-2.0 */
/* storage/segment_read.c - footer, META and chunks of a segment, each checked before it is believed
 */
#include "storage/segment_meta.h"

#include "base/log.h"
#include "column/codec.h"
#include "storage/store.h"

#include <stdlib.h>

#define TAIL_GUESS ((size_t)128 << 10) /* bytes: holds footer and META of most segments */
#define RAW_MAX    ((size_t)1 << 30)   /* bytes of one chunk */

struct block_note {
    uint64_t offset;
    uint32_t length;
    uint8_t btype;
    struct bytes tag;
};

struct chunk_note {
    uint8_t flags;
    struct bytes inlined;
    uint32_t first, end; /* blocks */
    uint64_t raw;
    uint64_t lo, hi;       /* word range */
    struct bytes min, max; /* of strings: prefixes */
    uint32_t filter_first, filter_blocks;
};

struct group_note {
    uint32_t rows;
    struct chunk_note *chunks; /* by column */
};

struct segment_reader {
    struct blobs *blobs;
    struct segment_entry entry;
    struct file_ident ident;
    uint64_t footer_at;
    uint32_t footer_len;
    struct buf tail; /* sealed bytes from tail_at to the end mark */
    uint64_t tail_at;
    uint64_t want_from; /* META begins here, outside of tail; 0: it is there */

    struct file_key *key; /* the rest is there while it is not NULL */
    struct arena arena;
    struct block_note *blocks;
    uint32_t n_blocks;
    struct schema schema;
    struct group_note *groups;
    uint32_t n_groups;
};

static enum err corrupt(const struct segment_reader *r, const char *what, struct diag *d)
{
    char hex[33];
    id_hex(r->entry.file_id, hex);
    return FAIL(d, ERR_CORRUPT, "segment %s: %s", hex, what);
}

/* --- tail ------------------------------------------------------------------------------------- */

static enum err read_header(struct segment_reader *r, struct diag *d)
{
    CLEANUP_BUF struct buf header = {0};
    struct diag why = DIAG_INIT;
    enum err e = r->blobs->ops->read(r->blobs, r->entry.file_id, 0, FILE_HEADER_LEN, &header, &why);
    if (e == ERR_NOT_FOUND) return corrupt(r, "the file is missing", d);
    if (e != OK) return FAIL(d, e, "%s", why.text);
    TRY(file_header_decode(buf_view(&header), &r->ident, d));
    if (r->ident.otype != OTYPE_SEGMENT ||
        memcmp(r->ident.account, r->entry.account, sizeof r->ident.account) != 0 ||
        memcmp(r->ident.file_id, r->entry.file_id, sizeof r->ident.file_id) != 0) {
        return corrupt(r, "the file is another one", d);
    }
    return OK;
}

static enum err load_tail(struct segment_reader *r, uint64_t from, struct diag *d)
{
    size_t n = (size_t)(r->entry.length - SEGMENT_END_LEN - from);
    buf_clear(&r->tail);
    TRY(r->blobs->ops->read(r->blobs, r->entry.file_id, from, n, &r->tail, d));
    r->tail_at = from;
    return OK;
}

static enum err read_end(struct segment_reader *r, struct diag *d)
{
    uint64_t length = 0;
    TRY(r->blobs->ops->length(r->blobs, r->entry.file_id, &length, d));
    if (length != r->entry.length || length < FILE_HEADER_LEN + BLOCK_OVERHEAD + SEGMENT_END_LEN) {
        return corrupt(r, "the file has not the length that the catalogue says", d); /* (2) */
    }
    CLEANUP_BUF struct buf end = {0};
    TRY(r->blobs->ops->read(r->blobs, r->entry.file_id, length - SEGMENT_END_LEN, SEGMENT_END_LEN,
                            &end, d));
    struct rd rd = rd_from(buf_view(&end));
    r->footer_at = rd_u64be(&rd);
    r->footer_len = rd_u32be(&rd);
    struct bytes magic = rd_bytes(&rd, 4);
    if (!bytes_eq(magic, BYTES("KSTE")) || r->footer_len <= BLOCK_OVERHEAD ||
        r->footer_at < FILE_HEADER_LEN || r->footer_at > length ||
        length - r->footer_at != (uint64_t)r->footer_len + SEGMENT_END_LEN) {
        return corrupt(r, "it has no footer", d); /* (1) */
    }
    return OK;
}

enum err segment_reader_new(struct segment_reader **out, struct blobs *b,
                            const struct segment_entry *entry, struct diag *d)
{
    CLEANUP(segment_reader_free) struct segment_reader *r = calloc(1, sizeof *r);
    if (r == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    r->blobs = b;
    r->entry = *entry;
    arena_init(&r->arena, 0);
    TRY(read_header(r, d));
    TRY(read_end(r, d));
    uint64_t guess = r->entry.length > TAIL_GUESS ? r->entry.length - TAIL_GUESS : 0;
    if (guess < FILE_HEADER_LEN) guess = FILE_HEADER_LEN;
    TRY(load_tail(r, guess < r->footer_at ? guess : r->footer_at, d));
    *out = TAKE(r);
    return OK;
}

void segment_reader_free(struct segment_reader *r)
{
    if (r == NULL) return;
    (void)segment_reader_lock(r);
    buf_release(&r->tail);
    free(r);
}

const struct file_ident *segment_reader_ident(const struct segment_reader *r)
{
    return &r->ident;
}

struct file_key *segment_reader_lock(struct segment_reader *r)
{
    arena_release(&r->arena);
    r->blocks = NULL;
    r->groups = NULL;
    r->n_blocks = r->n_groups = 0;
    r->schema = (struct schema){0};
    return TAKE(r->key);
}

/* --- footer ----------------------------------------------------------------------------------- */

static enum err open_footer(struct segment_reader *r, struct file_key *k, struct buf *plain,
                            struct diag *d)
{
    struct bytes sealed = bytes_of(r->tail.p + (r->footer_at - r->tail_at), r->footer_len);
    struct sealed_head h;
    TRY(sealed_head_decode(sealed, &h, d));
    if (memcmp(sealed.p + sealed.len - 16, r->entry.footer_tag, 16) != 0) {
        return corrupt(r, "its footer is not the one that the catalogue says", d); /* (2) */
    }
    return block_open(k, BTYPE_FOOTER, h.no, sealed, plain, d);
}

/* Blocks lie one behind the other from the header to the footer. */
static enum err decode_footer(struct segment_reader *r, struct bytes plain, size_t overhead,
                              struct diag *d)
{
    struct bytes kept = arena_bytes(&r->arena, plain);
    if (kept.p == NULL) return arena_full(&r->arena, d);
    struct rd rd = rd_from(kept);
    uint8_t version = rd_u8(&rd);
    uint32_t n = rd_u32(&rd);
    if (rd.bad || version != SEGMENT_FOOTER_VERSION || n == 0 ||
        (uint64_t)n * SEGMENT_FOOTER_ENTRY != rd_left(&rd)) {
        return corrupt(r, "a footer of a wrong length", d);
    }
    r->blocks = arena_array(&r->arena, struct block_note, n);
    if (r->blocks == NULL) return arena_full(&r->arena, d);
    uint64_t at = FILE_HEADER_LEN;
    for (uint32_t i = 0; i < n; i++) {
        struct block_note *b = &r->blocks[i];
        b->offset = rd_u64(&rd);
        b->length = rd_u32(&rd);
        b->btype = rd_u8(&rd);
        b->tag = rd_bytes(&rd, 16);
        if (b->offset != at || b->length <= overhead) return corrupt(r, "a footer with gaps", d);
        at += b->length;
    }
    if (at != r->footer_at) return corrupt(r, "a footer that misses blocks", d);
    r->n_blocks = n;
    return OK;
}

/* (3) One block whose sealed bytes are at hand. */
static enum err open_block(const struct segment_reader *r, uint32_t i, enum btype btype,
                           struct bytes sealed, struct buf *plain, struct diag *d)
{
    const struct block_note *b = &r->blocks[i];
    if (sealed.len != b->length || b->btype != btype ||
        !bytes_eq(bytes_of(sealed.p + sealed.len - 16, 16), b->tag)) {
        return corrupt(r, "a block is not the one that the footer says", d);
    }
    return block_open(r->key, btype, i, sealed, plain, d);
}

/* --- META ------------------------------------------------------------------------------------- */

static bool blocks_ok(const struct segment_reader *r, uint32_t first, uint32_t end)
{
    return first < end && end < r->n_blocks; /* the last one is META itself */
}

static enum err decode_range(struct rd *rd, enum type t, struct chunk_note *c, struct diag *d)
{
    if ((c->flags & CHUNK_RANGE) == 0) return OK;
    if (t == T_STRING) {
        c->min = rd_blob(rd);
        c->max = rd_blob(rd);
    } else {
        c->lo = rd_u64(rd);
        c->hi = rd_u64(rd);
    }
    return rd->bad ? FAIL(d, ERR_CORRUPT, "a segment's description ends too early") : OK;
}

static enum err decode_chunk(struct segment_reader *r, struct rd *rd, enum type t,
                             struct chunk_note *c, struct diag *d)
{
    c->flags = rd_u8(rd);
    if ((c->flags & CHUNK_INLINE) != 0) {
        c->inlined = rd_blob(rd);
    } else {
        c->first = rd_u32(rd);
        c->end = rd_u32(rd);
        c->raw = rd_u64(rd);
        if (rd->bad || !blocks_ok(r, c->first, c->end) || c->raw > RAW_MAX) {
            return corrupt(r, "a column of no blocks", d);
        }
    }
    TRY(decode_range(rd, t, c, d));
    if ((c->flags & CHUNK_FILTER) != 0) {
        c->filter_first = rd_u32(rd);
        c->filter_blocks = rd_u32(rd);
        if (rd->bad || c->filter_blocks > r->n_blocks ||
            !blocks_ok(r, c->filter_first, c->filter_first + c->filter_blocks)) {
            return corrupt(r, "a filter of no blocks", d);
        }
    }
    return OK;
}

static enum err decode_schema(struct segment_reader *r, struct rd *rd, struct diag *d)
{
    uint32_t n = rd_u32(rd);
    if (rd->bad || n > rd_left(rd) / 5) return corrupt(r, "a description of too many columns", d);
    struct column *cols = arena_array(&r->arena, struct column, n);
    if (cols == NULL) return arena_full(&r->arena, d);
    for (uint32_t i = 0; i < n; i++) {
        cols[i].type = rd_u8(rd);
        cols[i].name = arena_str(&r->arena, rd_blob(rd));
        if (cols[i].name == NULL) return arena_full(&r->arena, d);
    }
    r->schema = (struct schema){n, cols};
    return OK;
}

static enum err decode_meta(struct segment_reader *r, struct bytes meta, struct diag *d)
{
    struct rd rd = rd_from(meta);
    if (rd_u8(&rd) != SEGMENT_META_VERSION)
        return corrupt(r, "a description of another version", d);
    TRY(decode_schema(r, &rd, d));
    uint32_t n = rd_u32(&rd);
    if (rd.bad || n > rd_left(&rd) / 4)
        return corrupt(r, "a description of too many row groups", d);
    r->groups = arena_array(&r->arena, struct group_note, n);
    if (r->groups == NULL) return arena_full(&r->arena, d);
    uint64_t rows = 0;
    for (uint32_t g = 0; g < n; g++) {
        struct group_note *x = &r->groups[g];
        x->rows = rd_u32(&rd);
        x->chunks = arena_array(&r->arena, struct chunk_note, r->schema.n);
        if (x->chunks == NULL) return arena_full(&r->arena, d);
        for (uint32_t i = 0; i < r->schema.n; i++) {
            TRY(decode_chunk(r, &rd, r->schema.cols[i].type, &x->chunks[i], d));
        }
        rows += x->rows;
    }
    if (!rd_done(&rd) || rows != r->entry.rows)
        return corrupt(r, "a description of a wrong length", d);
    r->n_groups = n;
    return OK;
}

static enum err open_meta(struct segment_reader *r, struct diag *d)
{
    const struct block_note *b = &r->blocks[r->n_blocks - 1];
    if (b->offset < r->tail_at) {
        r->want_from = b->offset;
        return OK;
    }
    CLEANUP_BUF struct buf plain = {0};
    struct bytes sealed = bytes_of(r->tail.p + (b->offset - r->tail_at), b->length), meta;
    TRY(open_block(r, r->n_blocks - 1, BTYPE_META, sealed, &plain, d));
    TRY(codec_decompress(buf_view(&plain), RAW_MAX, &r->arena, &meta, d));
    return decode_meta(r, meta, d);
}

enum err segment_reader_unlock(struct segment_reader *r, struct file_key *k, bool *more,
                               struct diag *d)
{
    CLEANUP_BUF struct buf plain = {0};
    r->want_from = 0;
    TRY(open_footer(r, k, &plain, d));
    TRY(decode_footer(r, buf_view(&plain), file_key_overhead(k), d));
    r->key = k;
    enum err e = open_meta(r, d);
    *more = e == OK && r->want_from != 0;
    if (e == OK && !*more) return OK;
    (void)segment_reader_lock(r);
    return e;
}

enum err segment_reader_load_more(struct segment_reader *r, struct diag *d)
{
    return load_tail(r, r->want_from, d);
}

/* --- what META says --------------------------------------------------------------------------- */

uint32_t segment_groups(const struct segment_reader *r)
{
    return r->n_groups;
}

uint32_t segment_group_rows(const struct segment_reader *r, uint32_t group)
{
    return r->groups[group].rows;
}

int segment_column(const struct segment_reader *r, const char *name, enum type t)
{
    int i = schema_find(&r->schema, name);
    return i >= 0 && r->schema.cols[i].type == t ? i : -1;
}

/* How v compares to all values in [min, max]: below all, above all, or neither. */
struct versus {
    bool below, above; /* v < min, v > max */
    bool min, max;     /* v == min, v == max: for the strict operators */
};

static struct versus versus_i64(int64_t v, int64_t min, int64_t max)
{
    return (struct versus){v<min, v> max, v == min, v == max};
}

static struct versus versus_r64(double v, double min, double max)
{
    return (struct versus){v<min, v> max, v == min, v == max};
}

static struct versus versus_text(struct bytes v, struct bytes min, struct bytes max)
{
    struct bytes p = bytes_of(v.p, v.len < SEGMENT_PREFIX_MAX ? v.len : SEGMENT_PREFIX_MAX);
    return (struct versus){.below = bytes_cmp(p, min) < 0, .above = bytes_cmp(p, max) > 0};
}

static bool compare(enum type t, const struct chunk_note *c, const struct value *v,
                    struct versus *out)
{
    if (t == T_STRING && v->type == T_STRING) {
        *out = versus_text(v->s, c->min, c->max);
    } else if (t == T_REAL) {
        double lo, hi;
        memcpy(&lo, &c->lo, sizeof lo);
        memcpy(&hi, &c->hi, sizeof hi);
        if (v->type != T_REAL) return false;
        *out = versus_r64(v->r, lo, hi);
    } else if (t == T_BOOL) {
        if (v->type != T_BOOL) return false;
        *out = versus_i64(v->b, (int64_t)c->lo, (int64_t)c->hi);
    } else if (v->type == t || ((TM_INTS & TM(t)) != 0 && (TM_INTS & TM(v->type)) != 0)) {
        *out = versus_i64(v->i, (int64_t)c->lo, (int64_t)c->hi);
    } else {
        return false; /* types that do not meet here: no skipping */
    }
    return true;
}

bool segment_group_may_match(const struct segment_reader *r, uint32_t group, int column, int op,
                             const struct value *v)
{
    if (column < 0 || v->is_null) return true;
    enum type t = r->schema.cols[column].type;
    const struct chunk_note *c = &r->groups[group].chunks[column];
    struct versus x;
    if ((c->flags & CHUNK_RANGE) == 0 || (t != T_STRING && !has_word_range(t))) return true;
    if (!compare(t, c, v, &x)) return true;
    switch (op) {
    case STORE_EQ: return !x.below && !x.above;
    case STORE_LT: return !x.below && !x.min;
    case STORE_LE: return !x.below;
    case STORE_GT: return !x.above && !x.max;
    case STORE_GE: return !x.above;
    default: return true;
    }
}

static struct segment_extent extent(const struct segment_reader *r, uint32_t first, uint32_t n)
{
    struct segment_extent x = {.first_block = first, .n_blocks = n};
    if (n == 0) return x;
    const struct block_note *last = &r->blocks[first + n - 1];
    x.offset = r->blocks[first].offset;
    x.length = (size_t)(last->offset + last->length - x.offset);
    return x;
}

struct segment_extent segment_chunk(const struct segment_reader *r, uint32_t group, int column)
{
    const struct chunk_note *c = &r->groups[group].chunks[column];
    return extent(r, c->first, c->end - c->first);
}

struct segment_extent segment_filter(const struct segment_reader *r, uint32_t group, int column)
{
    const struct chunk_note *c = &r->groups[group].chunks[column];
    return extent(r, c->filter_first, (c->flags & CHUNK_FILTER) != 0 ? c->filter_blocks : 0);
}

uint32_t segment_blocks(const struct segment_reader *r)
{
    return r->n_blocks;
}

struct segment_extent segment_block(const struct segment_reader *r, uint32_t block)
{
    return extent(r, block, 1);
}

enum err segment_block_open(const struct segment_reader *r, uint32_t block, struct bytes sealed,
                            enum btype *btype, struct buf *plain, struct diag *d)
{
    *btype = (enum btype)r->blocks[block].btype;
    return open_block(r, block, *btype, sealed, plain, d);
}

/* --- chunks ----------------------------------------------------------------------------------- */

static enum err open_blocks(const struct segment_reader *r, uint32_t first, uint32_t n,
                            enum btype btype, struct bytes sealed, struct buf *plain,
                            struct diag *d)
{
    struct rd rd = rd_from(sealed);
    for (uint32_t i = first; i < first + n; i++) {
        struct bytes one = rd_bytes(&rd, r->blocks[i].length);
        if (rd.bad) return corrupt(r, "a chunk ends too early", d);
        TRY(open_block(r, i, btype, one, plain, d));
    }
    return OK;
}

enum err segment_chunk_open(const struct segment_reader *r, uint32_t group, int column,
                            struct bytes sealed, struct arena *a, struct vec *out, struct diag *d)
{
    const struct group_note *g = &r->groups[group];
    const struct chunk_note *c = &g->chunks[column];
    enum type t = r->schema.cols[column].type;
    struct bytes encoded;
    if ((c->flags & CHUNK_INLINE) != 0) {
        encoded = arena_bytes(a, c->inlined);
        if (encoded.p == NULL) return arena_full(a, d);
    } else {
        CLEANUP_BUF struct buf packed = {0};
        TRY(open_blocks(r, c->first, c->end - c->first, BTYPE_DATA, sealed, &packed, d));
        TRY(codec_decompress(buf_view(&packed), c->raw, a, &encoded, d));
    }
    return codec_decode(encoded, t, g->rows, a, out, d);
}

enum err segment_filter_open(const struct segment_reader *r, uint32_t group, int column,
                             struct bytes sealed, struct arena *a, struct bytes *out,
                             struct diag *d)
{
    const struct chunk_note *c = &r->groups[group].chunks[column];
    CLEANUP_BUF struct buf plain = {0};
    TRY(open_blocks(r, c->filter_first, c->filter_blocks, BTYPE_META, sealed, &plain, d));
    *out = arena_bytes(a, buf_view(&plain));
    return out->p != NULL ? OK : arena_full(a, d);
}
