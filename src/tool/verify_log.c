/* SPDX-License-Identifier: Apache-2.0 */
/* tool/verify_log.c - one file of a write-ahead log, record by record */
#include "tool/verify_impl.h"

#include "base/os.h"
#include "storage/wal.h"

#include <stdio.h>
#include <stdlib.h>

#define NOTE_MAX 128

static bool is_this_files(const struct wal_reader *r, const struct sealed_head *h)
{
    if (memcmp(h->file_id, r->ident.file_id, 16) != 0) return false;
    return h->is_framed ||
           (h->block.btype == BTYPE_WAL && memcmp(h->block.account, r->ident.account, 16) == 0 &&
            memcmp(h->block.aek_id, r->ident.aek_id, 16) == 0);
}

/* Without a key: headers one behind the other, as long as they are this file's. */
static void walk_headers(const struct wal_reader *r, struct verify_file *f, size_t *end)
{
    size_t pos = FILE_HEADER_LEN;
    uint64_t number = 0;
    for (;;) {
        struct sealed_head h;
        if (sealed_head_decode(bytes_of(r->image.p + pos, r->size - pos), &h, NULL) != OK) break;
        if (!is_this_files(r, &h) || h.length > r->size - pos ||
            (number != 0 && h.no != number + 1)) {
            break;
        }
        number = h.no;
        pos += h.length;
        f->blocks++;
    }
    *end = pos;
}

static enum err open_records(struct wal_reader *r, struct file_key *k, struct verify_file *f,
                             struct diag *d)
{
    CLEANUP_BUF struct buf plain = {0};
    for (;;) {
        struct wal_record rec;
        TRY(wal_reader_next(r, k, &plain, &rec, d));
        if (rec.number == 0) return OK;
        f->blocks++;
        f->opened++;
    }
}

/* What the first block or frame says; the number of the first record is in the sealed entry too. */
static struct sealed_head first_head(const struct wal_reader *r)
{
    struct sealed_head h = {0};
    struct bytes rest = bytes_of(r->image.p + FILE_HEADER_LEN, r->size - FILE_HEADER_LEN);
    return sealed_head_decode(rest, &h, NULL) == OK ? h : (struct sealed_head){0};
}

static enum err check_log(struct walk *w, struct wal_reader *r, struct verify_file *f,
                          char note[NOTE_MAX], struct diag *d)
{
    struct file_key *k = NULL;
    size_t end = 0;
    memcpy(f->aek_id, r->ident.aek_id, 16);
    f->bytes = r->size;
    walk_advance(w, r->size);
    const struct sealed_head head = first_head(r);
    f->is_framed = head.is_framed;
    memcpy(f->iek_id, head.iek_id, 16);
    TRY(walk_key(w, &r->ident, &k, &f->result, d));
    enum err e = OK;
    if (k != NULL) {
        r->first = r->next = head.no;
        e = open_records(r, k, f, d);
        end = r->pos;
        walk_release(w, k);
    } else {
        walk_headers(r, f, &end);
        if (f->blocks == 0) e = FAIL(d, ERR_CORRUPT, "the log does not begin with a record");
    }
    if (e == OK && end < r->size) {
        snprintf(note, NOTE_MAX,
                 "%zu bytes behind the last whole record: being written, or a torn tail",
                 r->size - end);
    }
    return e;
}

void verify_log_headers(struct walk *w, const struct wal_reader *r, struct verify_file *f)
{
    size_t end = 0;
    const struct sealed_head head = first_head(r);
    memcpy(f->aek_id, r->ident.aek_id, 16);
    f->bytes = r->size;
    f->is_framed = head.is_framed;
    memcpy(f->iek_id, head.iek_id, 16);
    walk_advance(w, r->size);
    walk_headers(r, f, &end);
}

enum err verify_log(struct walk *w, const struct catalog_row *row, struct diag *d)
{
    struct verify_file f = {.kind = "log", .text = ""};
    uint8_t file_id[16];
    if (strlen(row->id) != 32 || hex_decode(bytes_str(row->id), file_id, 16, NULL) != OK ||
        strlen(row->parent) != 32 ||
        hex_decode(bytes_str(row->parent), f.account, 16, NULL) != OK) {
        return OK; /* verify_entries() has said so */
    }
    CLEANUP_FREE char *dir = os_path(w->wal_dir, row->parent);
    CLEANUP_FREE char *name = str_fmt("wal/%s/%s.wal", row->parent, row->id);
    if (dir == NULL || name == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    CLEANUP_LOCAL(wal_reader_release) struct wal_reader r = {0};
    struct diag why = DIAG_INIT;
    char note[NOTE_MAX] = "";
    enum err e = wal_reader_open(&r, dir, f.account, file_id, 0, &why);
    if (e == OK) e = check_log(w, &r, &f, note, &why);
    if (e != OK && !walk_still_named(w, "log", row->id)) return OK;
    if (e != OK) f.result = e;
    f.name = name;
    f.text = e != OK ? why.text : note;
    return walk_report(w, &f, d);
}
