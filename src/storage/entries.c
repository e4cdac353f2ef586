/* SPDX-License-Identifier: Apache-2.0 */
/* storage/entries.c - the bodies of sealed catalogue entries; docs/formats/catalog.md */
#include "storage/manifest.h"

#include <stdlib.h>

#define ENTRY_VERSION 1
#define COLUMNS_MAX   2000

static enum err begin(struct rd *r, const char *what, struct diag *d)
{
    uint8_t version = rd_u8(r);
    if (!r->bad && version == ENTRY_VERSION) return OK;
    return FAIL(d, ERR_CORRUPT, "catalogue: %s entry of version %u", what, version);
}

static enum err end(const struct rd *r, const char *what, struct diag *d)
{
    return rd_done(r) ? OK : FAIL(d, ERR_CORRUPT, "catalogue: %s entry of a wrong length", what);
}

enum err table_entry_encode(const struct table_entry *e, struct buf *out, struct diag *d)
{
    if (e->schema.n == 0 || e->schema.n > COLUMNS_MAX) {
        return FAIL(d, ERR_LIMIT, "a table of %u columns; 1 to %d are possible", e->schema.n,
                    COLUMNS_MAX);
    }
    buf_u8(out, ENTRY_VERSION);
    buf_bytes(out, BYTES_OF(e->workspace));
    buf_bytes(out, BYTES_OF(e->id));
    buf_u32(out, e->retention_days);
    buf_blob(out, bytes_str(e->name));
    buf_u32(out, e->schema.n);
    for (uint32_t i = 0; i < e->schema.n; i++) {
        buf_u8(out, (uint8_t)e->schema.cols[i].type);
        buf_blob(out, bytes_str(e->schema.cols[i].name));
    }
    return buf_check(out, d);
}

static enum err columns_decode(struct rd *r, struct arena *a, struct schema *out, struct diag *d)
{
    out->n = rd_u32(r);
    if (r->bad || out->n == 0 || out->n > COLUMNS_MAX) {
        return FAIL(d, ERR_CORRUPT, "catalogue: a table of %u columns", out->n);
    }
    struct column *cols = arena_array(a, struct column, out->n);
    if (cols == NULL) return arena_full(a, d);
    for (uint32_t i = 0; i < out->n; i++) {
        cols[i].type = rd_u8(r);
        cols[i].name = arena_str(a, rd_blob(r));
        if (cols[i].name == NULL) return arena_full(a, d);
        if (cols[i].type <= T_NONE || cols[i].type >= N_TYPES) {
            return FAIL(d, ERR_CORRUPT, "catalogue: a column of type %d", (int)cols[i].type);
        }
    }
    out->cols = cols;
    return OK;
}

enum err table_entry_decode(struct bytes in, struct arena *a, struct table_entry *out,
                            struct diag *d)
{
    struct rd r = rd_from(in);
    struct table_entry e = {0};
    TRY(begin(&r, "table", d));
    rd_copy(&r, &e.workspace, sizeof e.workspace);
    rd_copy(&r, &e.id, sizeof e.id);
    e.retention_days = rd_u32(&r);
    e.name = arena_str(a, rd_blob(&r));
    if (e.name == NULL) return arena_full(a, d);
    TRY(columns_decode(&r, a, &e.schema, d));
    TRY(end(&r, "table", d));
    *out = e;
    return OK;
}

enum err segment_entry_encode(const struct segment_entry *e, struct buf *out, struct diag *d)
{
    buf_u8(out, ENTRY_VERSION);
    buf_bytes(out, BYTES_OF(e->account));
    buf_bytes(out, BYTES_OF(e->file_id));
    buf_bytes(out, BYTES_OF(e->workspace));
    buf_bytes(out, BYTES_OF(e->table));
    buf_u64(out, e->length);
    buf_bytes(out, BYTES_OF(e->sha256));
    buf_bytes(out, BYTES_OF(e->footer_tag));
    buf_u64(out, (uint64_t)e->time_min);
    buf_u64(out, (uint64_t)e->time_max);
    buf_u64(out, e->rows);
    buf_u64(out, e->raw_bytes);
    return buf_check(out, d);
}

enum err segment_entry_decode(struct bytes in, struct segment_entry *out, struct diag *d)
{
    struct rd r = rd_from(in);
    struct segment_entry e = {0};
    TRY(begin(&r, "segment", d));
    rd_copy(&r, e.account, sizeof e.account);
    rd_copy(&r, e.file_id, sizeof e.file_id);
    rd_copy(&r, &e.workspace, sizeof e.workspace);
    rd_copy(&r, &e.table, sizeof e.table);
    e.length = rd_u64(&r);
    rd_copy(&r, e.sha256, sizeof e.sha256);
    rd_copy(&r, e.footer_tag, sizeof e.footer_tag);
    e.time_min = (int64_t)rd_u64(&r);
    e.time_max = (int64_t)rd_u64(&r);
    e.rows = rd_u64(&r);
    e.raw_bytes = rd_u64(&r);
    TRY(end(&r, "segment", d));
    *out = e;
    return OK;
}

enum err segment_value_seal(struct manifest *m, const char *id, const struct segment_entry *e,
                            struct buf *out, struct diag *d)
{
    CLEANUP_BUF struct buf body = {0};
    TRY(segment_entry_encode(e, &body, d));
    TRY(manifest_seal(m, "segment", id, buf_view(&body), out, d));
    buf_u64(out, e->length);
    buf_bytes(out, BYTES_OF(e->sha256));
    return buf_check(out, d);
}

enum err segment_value_plain(struct bytes value, uint64_t *length, uint8_t sha256[32],
                             struct diag *d)
{
    if (value.len < SEGMENT_PLAIN_LEN)
        return FAIL(d, ERR_CORRUPT, "catalogue: segment entry too short");
    struct rd r = rd_from(bytes_of(value.p + value.len - SEGMENT_PLAIN_LEN, SEGMENT_PLAIN_LEN));
    *length = rd_u64(&r);
    rd_copy(&r, sha256, 32);
    return OK;
}

enum err segment_value_unseal(struct manifest *m, const char *id, struct bytes value,
                              struct segment_entry *out, struct diag *d)
{
    CLEANUP_BUF struct buf body = {0};
    uint64_t length = 0;
    uint8_t sha256[32];
    struct segment_entry e;
    TRY(segment_value_plain(value, &length, sha256, d));
    struct bytes sealed = bytes_of(value.p, value.len - SEGMENT_PLAIN_LEN);
    TRY(manifest_unseal(m, "segment", id, sealed, &body, d));
    TRY(segment_entry_decode(buf_view(&body), &e, d));
    if (length != e.length || memcmp(sha256, e.sha256, sizeof sha256) != 0) {
        return FAIL(d, ERR_CORRUPT,
                    "catalogue: segment %s: length or hash in plain is not the sealed one", id);
    }
    *out = e;
    return OK;
}

enum err log_entry_encode(const struct log_entry *e, struct buf *out, struct diag *d)
{
    buf_u8(out, ENTRY_VERSION);
    buf_bytes(out, BYTES_OF(e->account));
    buf_bytes(out, BYTES_OF(e->file_id));
    buf_bytes(out, BYTES_OF(e->workspace));
    buf_u64(out, e->first);
    buf_u8(out, e->is_final);
    buf_u64(out, e->length);
    buf_u32(out, e->n_tables);
    for (uint32_t i = 0; i < e->n_tables; i++) {
        buf_bytes(out, BYTES_OF(e->tables[i].table));
        buf_u64(out, e->tables[i].last);
        buf_u64(out, (uint64_t)e->tables[i].time_max);
    }
    return buf_check(out, d);
}

enum err log_entry_decode(struct bytes in, struct log_entry *out, struct diag *d)
{
    struct rd r = rd_from(in);
    struct log_entry e = {0};
    TRY(begin(&r, "log", d));
    rd_copy(&r, e.account, sizeof e.account);
    rd_copy(&r, e.file_id, sizeof e.file_id);
    rd_copy(&r, &e.workspace, sizeof e.workspace);
    e.first = rd_u64(&r);
    e.is_final = rd_u8(&r) != 0;
    e.length = rd_u64(&r);
    e.n_tables = rd_u32(&r);
    if (r.bad || e.n_tables != rd_left(&r) / 32) {
        return FAIL(d, ERR_CORRUPT, "catalogue: log entry of a wrong length");
    }
    CLEANUP_FREE struct log_table *tables = calloc(e.n_tables + 1, sizeof *tables);
    if (tables == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    for (uint32_t i = 0; i < e.n_tables; i++) {
        rd_copy(&r, &tables[i].table, sizeof tables[i].table);
        tables[i].last = rd_u64(&r);
        tables[i].time_max = (int64_t)rd_u64(&r);
    }
    TRY(end(&r, "log", d));
    e.tables = TAKE(tables);
    *out = e;
    return OK;
}

void log_entry_release(struct log_entry *e)
{
    free(e->tables);
    *e = (struct log_entry){0};
}

void covered_id(const struct guid *table, const uint8_t account[16], char out[66])
{
    id_hex(table->b, out);
    out[32] = '/';
    id_hex(account, out + 33);
}

enum err covered_encode(uint64_t number, struct buf *out, struct diag *d)
{
    buf_u8(out, ENTRY_VERSION);
    buf_u64(out, number);
    return buf_check(out, d);
}

enum err covered_decode(struct bytes in, uint64_t *number, struct diag *d)
{
    struct rd r = rd_from(in);
    TRY(begin(&r, "covered", d));
    uint64_t n = rd_u64(&r);
    TRY(end(&r, "covered", d));
    *number = n;
    return OK;
}
