/* SPDX-License-Identifier: Apache-2.0 */
/* tool/verify_segment.c - one segment file, block by block */
#include "tool/verify_impl.h"

#include "storage/segment.h"

#include <inttypes.h>
#include <stdlib.h>

#define END_LEN 16

struct seen { /* the file as it is walked */
    struct walk *w;
    uint8_t id[16];
    struct file_ident ident;
    struct file_key *key; /* NULL: not opened */
    struct sha256_ctx *sha;
    uint64_t length, at;
    struct verify_file f;
    uint8_t footer_tag[16];
    uint64_t footer_at, last_at; /* as the end says; of the last block that was met */
};

static enum err take(struct seen *s, size_t n, struct buf *out, struct diag *d)
{
    buf_clear(out);
    if (n > s->length - s->at) return FAIL(d, ERR_CORRUPT, "the file ends within a block");
    TRY(s->w->blobs->ops->read(s->w->blobs, s->id, s->at, n, out, d));
    s->at += n;
    s->f.bytes += n;
    sha256_add(s->sha, buf_view(out));
    walk_advance(s->w, n);
    return OK;
}

/* Which file a block or frame says it belongs to. All frames of a file name one infrastructure key.
 */
static bool same_file(struct seen *s, const struct sealed_head *h)
{
    const struct file_ident *f = &s->ident;
    if (memcmp(h->file_id, f->file_id, 16) != 0) return false;
    if (s->f.blocks == 0) {
        s->f.is_framed = h->is_framed;
        memcpy(s->f.iek_id, h->iek_id, 16);
    }
    if (h->is_framed != s->f.is_framed) return false;
    if (h->is_framed) return memcmp(h->iek_id, s->f.iek_id, 16) == 0;
    return h->block.suite == f->suite && memcmp(h->block.account, f->account, 16) == 0 &&
           memcmp(h->block.aek_id, f->aek_id, 16) == 0;
}

/* Both layers, where there are two. */
static enum err open_block(struct seen *s, const struct sealed_head *h, uint64_t start,
                           struct bytes sealed, struct diag *d)
{
    CLEANUP_BUF struct buf plain = {0};
    enum btype btype;
    enum err e = block_open_any(s->key, h->no, sealed, &btype, &plain, NULL);
    if (e != OK) {
        return FAIL(d, e, "block %" PRIu64 " at byte %" PRIu64 " cannot be opened", h->no, start);
    }
    if ((btype == BTYPE_FOOTER) != (start == s->footer_at))
        return FAIL(d, ERR_CORRUPT, "the block at byte %" PRIu64 " is out of place", start);
    s->f.opened++;
    return OK;
}

/* One block: its header, its place in the order, and with a key its seal. */
static enum err check_block(struct seen *s, struct diag *d)
{
    CLEANUP_BUF struct buf sealed = {0};
    struct sealed_head h;
    uint64_t start = s->at;
    if (s->length - s->at < BLOCK_HEADER_LEN)
        return FAIL(d, ERR_CORRUPT, "the file ends within a block");
    TRY(s->w->blobs->ops->read(s->w->blobs, s->id, s->at, BLOCK_HEADER_LEN, &sealed, d));
    TRY(sealed_head_decode(buf_view(&sealed), &h, d));
    TRY(take(s, h.length, &sealed, d));
    if (!same_file(s, &h) || h.no != s->f.blocks) {
        return FAIL(d, ERR_CORRUPT, "block %" PRIu64 " at byte %" PRIu64 " is not this file's",
                    s->f.blocks, start);
    }
    if (s->key != NULL) TRY(open_block(s, &h, start, buf_view(&sealed), d));
    s->f.blocks++;
    s->last_at = start;
    memcpy(s->footer_tag, sealed.p + sealed.len - sizeof s->footer_tag, sizeof s->footer_tag);
    return OK;
}

static enum err decode_end(const struct seen *s, struct bytes end, uint64_t *footer_at,
                           struct diag *d)
{
    struct rd r = rd_from(end);
    uint64_t at = rd_u64be(&r);
    uint32_t len = rd_u32be(&r);
    if (!bytes_eq(rd_bytes(&r, 4), BYTES("KSTE")) || at + len + END_LEN != s->length) {
        return FAIL(d, ERR_CORRUPT, "the file does not end with its footer");
    }
    *footer_at = at;
    return OK;
}

/* What the end says of the footer, before the walk: under a second layer no block tells its type.
 */
static enum err peek_end(struct seen *s, struct diag *d)
{
    CLEANUP_BUF struct buf end = {0};
    if (s->length < FILE_HEADER_LEN + END_LEN)
        return FAIL(d, ERR_CORRUPT, "the file ends within a block");
    TRY(s->w->blobs->ops->read(s->w->blobs, s->id, s->length - END_LEN, END_LEN, &end, d));
    return decode_end(s, buf_view(&end), &s->footer_at, d);
}

static enum err check_end(struct seen *s, struct diag *d)
{
    CLEANUP_BUF struct buf end = {0};
    uint64_t footer_at = 0;
    TRY(take(s, END_LEN, &end, d));
    TRY(decode_end(s, buf_view(&end), &footer_at, d));
    if (footer_at == s->last_at && s->at == s->length) return OK;
    return FAIL(d, ERR_CORRUPT, "the file does not end with its footer");
}

static enum err check_header(struct seen *s, struct diag *d)
{
    CLEANUP_BUF struct buf header = {0};
    TRY(take(s, FILE_HEADER_LEN, &header, d));
    TRY(file_header_decode(buf_view(&header), &s->ident, d));
    memcpy(s->f.account, s->ident.account, 16);
    memcpy(s->f.aek_id, s->ident.aek_id, 16);
    if (s->ident.otype != OTYPE_SEGMENT || memcmp(s->ident.file_id, s->id, 16) != 0) {
        return FAIL(d, ERR_CORRUPT, "the header belongs to another file");
    }
    return OK;
}

static enum err check_file(struct seen *s, const struct catalog_row *row, struct diag *d)
{
    uint64_t length = 0;
    uint8_t want[32], got[32];
    TRY(s->w->blobs->ops->length(s->w->blobs, s->id, &s->length, d));
    TRY(segment_value_plain(row->value, &length, want, d));
    TRY(check_header(s, d));
    if (length != s->length) {
        return FAIL(d, ERR_CORRUPT, "%" PRIu64 " bytes where %" PRIu64 " were written", s->length,
                    length);
    }
    TRY(walk_key(s->w, &s->ident, &s->key, &s->f.result, d));
    TRY(peek_end(s, d));
    while (s->at < s->length - END_LEN)
        TRY(check_block(s, d));
    TRY(check_end(s, d));
    sha256_end(TAKE(s->sha), got);
    if (memcmp(want, got, sizeof want) != 0) {
        return FAIL(d, ERR_CORRUPT, "its SHA-256 is not the one that was written");
    }
    return OK;
}

/* Footer and description as a query reads them, and the manifest entry against the file. */
static enum err check_entry(struct seen *s, const struct catalog_row *row, uint64_t *rows,
                            struct diag *d)
{
    struct segment_entry e;
    CLEANUP(segment_reader_free) struct segment_reader *r = NULL;
    TRY(segment_value_unseal(s->w->manifest, row->id, row->value, &e, d));
    if (memcmp(e.account, s->ident.account, 16) != 0 ||
        memcmp(e.footer_tag, s->footer_tag, 16) != 0) {
        return FAIL(d, ERR_CORRUPT, "it is not the segment that the catalogue names");
    }
    *rows = e.rows;
    if (s->key == NULL) return OK;
    TRY(segment_reader_new(&r, s->w->blobs, &e, d));
    bool more = true;
    while (more) {
        TRY(segment_reader_unlock(r, s->key, &more, d));
        if (more) TRY(segment_reader_load_more(r, d));
    }
    (void)segment_reader_lock(r);
    return OK;
}

enum err verify_segment(struct walk *w, const struct catalog_row *row, struct diag *d)
{
    struct seen s = {.w = w, .f = {.kind = "segment", .text = ""}};
    if (strlen(row->id) != 32 || hex_decode(bytes_str(row->id), s.id, sizeof s.id, NULL) != OK) {
        return OK; /* verify_entries() has said so */
    }
    CLEANUP_FREE char *name = str_fmt("blobs/%s/%s.seg", row->id + 30, row->id);
    if (name == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    TRY(sha256_new(&s.sha, d));
    struct diag why = DIAG_INIT;
    uint64_t rows = 0;
    enum err e = check_file(&s, row, &why);
    if (e == OK && w->manifest != NULL) e = check_entry(&s, row, &rows, &why);
    sha256_free(s.sha);
    walk_release(w, s.key);
    if (e == ERR_NOT_FOUND && !walk_still_named(w, "segment", row->id)) return OK;
    if (e != OK) s.f.result = e;
    s.f.name = name;
    s.f.text = why.text;
    struct verify_account *a = NULL;
    TRY(walk_account(w, s.f.account, &a, d));
    a->rows += rows;
    return walk_report(w, &s.f, d);
}
