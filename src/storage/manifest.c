/* SPDX-License-Identifier: Apache-2.0 */
/* storage/manifest.c - sealing catalogue entries, and the numbers that are given once */
#include "storage/manifest.h"

#include "base/rand.h"
#include "base/thread.h"
#include "storage/wal.h"

#include <endian.h>
#include <stdlib.h>

#define NUMBERS_AT_ONCE 256

struct range { /* reserved and not yet given out */
    uint64_t next, end;
};

struct manifest {
    struct catalog *catalog;
    struct keys keys;
    uint8_t account[16];
    pthread_mutex_t lock; /* all below */
    struct range blocks, files;
    struct file_ident *idents; /* the newest last: it seals */
    struct file_key **file_keys;
    size_t n_idents;
};

void id_hex(const uint8_t id[16], char out[33])
{
    hex_encode(bytes_of(id, 16), out);
}

static enum err fill(struct manifest *m, struct range *r, const char *counter, struct diag *d)
{
    if (r->next != r->end) return OK;
    uint64_t first = 0;
    TRY(m->catalog->ops->reserve(m->catalog, counter, NUMBERS_AT_ONCE, &first, d));
    *r = (struct range){first, first + NUMBERS_AT_ONCE};
    return OK;
}

static enum err take(struct manifest *m, struct range *r, const char *counter, uint64_t *out,
                     struct diag *d)
{
    TRY(fill(m, r, counter, d));
    *out = r->next++;
    return OK;
}

enum err manifest_new_file_id(struct manifest *m, uint8_t out[16], struct diag *d)
{
    LOCK_SCOPE(&m->lock);
    uint64_t number = 0;
    TRY(take(m, &m->files, "file", &number, d));
    rand_bytes(out, 8);
    number = htobe64(number);
    memcpy(out + 8, &number, sizeof number);
    return OK;
}

enum err manifest_check_orphan(struct manifest *m, const uint8_t file_id[16], struct diag *d)
{
    LOCK_SCOPE(&m->lock);
    uint64_t number = 0;
    memcpy(&number, file_id + 8, sizeof number);
    TRY(fill(m, &m->files, "file", d));
    if (be64toh(number) < m->files.next) return OK;
    char hex[33];
    id_hex(file_id, hex);
    return FAIL(
        d, ERR_CORRUPT,
        "the catalogue is older than file %s, which it does not know: it was damaged, or put "
        "back from a copy; nothing was removed",
        hex);
}

enum err manifest_new_log_numbers(struct manifest *m, const uint8_t account[16], uint64_t *first,
                                  struct diag *d)
{
    char hex[33], counter[48] = "log/";
    id_hex(account, hex);
    memcpy(counter + 4, hex, sizeof hex);
    uint64_t n = 0;
    TRY(m->catalog->ops->reserve(m->catalog, counter, 1, &n, d));
    *first = n * WAL_NUMBERS;
    return OK;
}

/* --- keys ------------------------------------------------------------------------------------- */

static void release_keys(struct manifest *m)
{
    for (size_t i = 0; m->file_keys != NULL && i < m->n_idents; i++) {
        m->keys.ops->release(m->keys.self, TAKE(m->file_keys[i]));
    }
}

static enum err open_keys(struct manifest *m, struct diag *d)
{
    release_keys(m);
    return m->keys.ops->open(m->keys.self, m->account, m->idents, m->n_idents, m->file_keys, d);
}

static enum err make_room(struct manifest *m, struct diag *d)
{
    struct file_ident *idents = realloc(m->idents, (m->n_idents + 1) * sizeof *idents);
    if (idents == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    m->idents = idents;
    struct file_key **file_keys =
        realloc(m->file_keys, (m->n_idents + 1) * sizeof(struct file_key *));
    if (file_keys == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    m->file_keys = file_keys;
    m->file_keys[m->n_idents] = NULL;
    return OK;
}

static enum err visit_ident(void *ctx, const struct catalog_row *row, struct diag *d)
{
    struct manifest *m = ctx;
    TRY(make_room(m, d));
    struct file_ident *f = &m->idents[m->n_idents];
    TRY(file_header_decode(row->value, f, d));
    if (f->otype != OTYPE_CATALOG || memcmp(f->account, m->account, sizeof f->account) != 0) {
        return FAIL(d, ERR_CORRUPT, "catalogue: ident '%.80s' is of another account or type",
                    row->id);
    }
    m->n_idents++;
    return OK;
}

static enum err put_ident(struct manifest *m, const struct file_ident *f, struct diag *d)
{
    uint8_t header[FILE_HEADER_LEN];
    char id[33];
    file_header_encode(f, header);
    id_hex(f->file_id, id);
    struct catalog_txn *t = NULL;
    TRY(m->catalog->ops->begin(m->catalog, &t, d));
    enum err e = m->catalog->ops->put(t, "ident", id, "catalog", BYTES_OF(header), d);
    if (e != OK) {
        m->catalog->ops->rollback(t);
        return e;
    }
    return m->catalog->ops->commit(t, d);
}

static enum err make_ident(struct manifest *m, struct diag *d)
{
    uint8_t file_id[16];
    TRY(manifest_new_file_id(m, file_id, d));
    TRY(make_room(m, d));
    struct file_key *k = NULL;
    TRY(m->keys.ops->create(m->keys.self, m->account, OTYPE_CATALOG, file_id, &k, d));
    enum err e = put_ident(m, file_key_ident(k), d);
    if (e != OK) {
        m->keys.ops->release(m->keys.self, k);
        return e;
    }
    m->idents[0] = *file_key_ident(k);
    m->file_keys[0] = k;
    m->n_idents = 1;
    return OK;
}

enum err manifest_open(struct manifest **out, struct catalog *c, const struct keys *keys,
                       const uint8_t platform_account[16], bool create, struct diag *d)
{
    CLEANUP(manifest_close) struct manifest *m = calloc(1, sizeof *m);
    if (m == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    m->catalog = c;
    m->keys = *keys;
    memcpy(m->account, platform_account, sizeof m->account);
    pthread_mutex_init(&m->lock, NULL);
    TRY(c->ops->list(c, NULL, "ident", "catalog", NULL, visit_ident, m, d));
    if (m->n_idents == 0 && !create) {
        return FAIL(d, ERR_NOT_FOUND, "catalogue: it holds no sealed entries");
    }
    TRY(m->n_idents == 0 ? make_ident(m, d) : open_keys(m, d));
    *out = TAKE(m);
    return OK;
}

void manifest_close(struct manifest *m)
{
    if (m == NULL) return;
    release_keys(m);
    pthread_mutex_destroy(&m->lock);
    free(m->idents);
    free(m->file_keys);
    free(m);
}

/* --- entries ---------------------------------------------------------------------------------- */

static bool is_key_gone(enum err e)
{
    return e == ERR_UNAVAILABLE || e == ERR_KEY_LOCKED;
}

static enum err seal(struct manifest *m, struct bytes plain, struct buf *out, struct diag *d)
{
    LOCK_SCOPE(&m->lock);
    uint64_t block_no = 0;
    TRY(take(m, &m->blocks, "entry", &block_no, d));
    size_t i = m->n_idents - 1;
    enum err e = m->file_keys[i] != NULL
                     ? block_seal(m->file_keys[i], BTYPE_ENTRY, block_no, plain, out, NULL)
                     : ERR_UNAVAILABLE;
    /* A lease that ended and came back means new keys, not the ones we hold. */
    if (is_key_gone(e)) {
        TRY(open_keys(m, d));
        e = block_seal(m->file_keys[i], BTYPE_ENTRY, block_no, plain, out, d);
    }
    return e == OK ? OK : FAIL(d, e, "catalogue: an entry could not be sealed");
}

enum err manifest_seal(struct manifest *m, const char *kind, const char *id, struct bytes body,
                       struct buf *out, struct diag *d)
{
    CLEANUP_BUF struct buf plain = {0};
    buf_blob(&plain, bytes_str(kind));
    buf_blob(&plain, bytes_str(id));
    buf_bytes(&plain, body);
    TRY(buf_check(&plain, d));
    return seal(m, buf_view(&plain), out, d);
}

static struct file_key **key_of(struct manifest *m, const uint8_t file_id[16])
{
    for (size_t i = 0; i < m->n_idents; i++) {
        if (memcmp(m->idents[i].file_id, file_id, 16) == 0) return &m->file_keys[i];
    }
    return NULL;
}

static enum err unseal(struct manifest *m, struct bytes sealed, struct buf *plain, struct diag *d)
{
    LOCK_SCOPE(&m->lock);
    struct block_header h;
    TRY(block_header_decode(sealed, &h, d));
    struct file_key **k = key_of(m, h.file_id);
    if (k == NULL) return FAIL(d, ERR_CORRUPT, "catalogue: an entry of an unknown file");
    enum err e =
        *k != NULL ? block_open(*k, BTYPE_ENTRY, h.block_no, sealed, plain, NULL) : ERR_UNAVAILABLE;
    if (is_key_gone(e)) {
        TRY(open_keys(m, d));
        e = block_open(*k, BTYPE_ENTRY, h.block_no, sealed, plain, d);
    }
    return e == OK ? OK : FAIL(d, e, "catalogue: an entry cannot be opened");
}

enum err manifest_unseal(struct manifest *m, const char *kind, const char *id, struct bytes sealed,
                         struct buf *body, struct diag *d)
{
    CLEANUP_BUF struct buf plain = {0};
    TRY(unseal(m, sealed, &plain, d));
    struct rd r = rd_from(buf_view(&plain));
    struct bytes its_kind = rd_blob(&r), its_id = rd_blob(&r);
    if (r.bad || !bytes_eq(its_kind, bytes_str(kind)) || !bytes_eq(its_id, bytes_str(id))) {
        return FAIL(d, ERR_CORRUPT, "catalogue: %s '%.80s' holds the entry of another row", kind,
                    id);
    }
    buf_bytes(body, rd_bytes(&r, rd_left(&r)));
    return buf_check(body, d);
}
