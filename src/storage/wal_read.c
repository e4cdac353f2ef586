/* SPDX-License-Identifier: Apache-2.0 */
/* storage/wal_read.c - reading a log file back: what is whole, what is torn, what is damaged */
#include "storage/wal.h"

#include "base/log.h"
#include "base/os.h"
#include "base/str.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define WAL_FILE_MAX ((size_t)1 << 31) /* bytes: what a reader takes into memory */

/* (4) Its name was in the catalogue: the file must be there, and begin well. */
static enum err check_header(struct bytes image, const char *path, uint8_t otype,
                             const uint8_t account[16], const uint8_t file_id[16],
                             struct file_ident *out, struct diag *d)
{
    struct file_ident f;
    TRY(file_header_decode(image, &f, d));
    if (f.otype != otype || memcmp(f.account, account, 16) != 0 ||
        memcmp(f.file_id, file_id, 16) != 0) {
        return FAIL(d, ERR_CORRUPT, "log %s: the header belongs to another file", path);
    }
    *out = f;
    return OK;
}

static enum err missing(const char *path, struct diag *d)
{
    return FAIL(d, ERR_CORRUPT, "log %s is missing", path);
}

enum err wal_read_ident(const char *dir, const uint8_t account[16], const uint8_t file_id[16],
                        struct file_ident *out, struct diag *d)
{
    CLEANUP_FREE char *path = wal_path(dir, file_id);
    if (path == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    CLEANUP_FD int fd = SYS(open(path, O_RDONLY | O_CLOEXEC));
    if (fd < 0 && errno == ENOENT) return missing(path, d);
    if (fd < 0) return FAIL(d, ERR_IO, "log %s: %s", path, strerror(errno));
    uint8_t header[FILE_HEADER_LEN];
    TRY(os_pread_all(fd, header, sizeof header, 0, d));
    return check_header(BYTES_OF(header), path, OTYPE_WAL, account, file_id, out, d);
}

static enum err load(struct wal_reader *r, const char *path, struct diag *d)
{
    struct diag why = DIAG_INIT;
    enum err e = os_read_file(path, WAL_FILE_MAX, &r->image, &why);
    r->size = r->image.len;
    if (e == ERR_NOT_FOUND) return missing(path, d);
    return e == OK ? OK : FAIL(d, e, "%s", why.text);
}

enum err wal_reader_open(struct wal_reader *r, const char *dir, const uint8_t account[16],
                         const uint8_t file_id[16], uint64_t first, struct diag *d)
{
    struct wal_reader x = {.otype = r->otype != 0 ? r->otype : OTYPE_WAL,
                           .first = first,
                           .next = first,
                           .pos = FILE_HEADER_LEN};
    CLEANUP_FREE char *path = wal_path(dir, file_id);
    if (path == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    enum err e = load(&x, path, d);
    if (e == OK) e = check_header(buf_view(&x.image), path, x.otype, account, file_id, &x.ident, d);
    if (e != OK) {
        wal_reader_release(&x);
        return e;
    }
    *r = x;
    return OK;
}

void wal_reader_release(struct wal_reader *r)
{
    buf_release(&r->image);
}

/* The block that a header at pos claims; false: there is none, or it does not fit the file. */
static bool block_at(const struct wal_reader *r, size_t pos, struct sealed_head *h,
                     struct bytes *out)
{
    if (sealed_head_decode(bytes_of(r->image.p + pos, r->size - pos), h, NULL) != OK) return false;
    if (h->length > r->size - pos) return false;
    *out = bytes_of(r->image.p + pos, h->length);
    return true;
}

static bool record_decode(struct bytes plain, uint64_t number, struct wal_record *out)
{
    struct rd rd = rd_from(plain);
    *out = (struct wal_record){.number = number, .durable = rd_u64(&rd), .kind = rd_u8(&rd)};
    out->body = rd_bytes(&rd, rd_left(&rd));
    return !rd.bad && out->durable < number;
}

/* Opens the block at pos. *good is false where it is not whole; an error is about the key. */
static enum err open_at(const struct wal_reader *r, struct file_key *k, size_t pos, uint64_t number,
                        struct buf *plain, struct wal_record *out, bool *good, struct diag *d)
{
    struct sealed_head h;
    struct bytes sealed;
    *good = false;
    buf_clear(plain);
    if (!block_at(r, pos, &h, &sealed)) return OK;
    if (number == 0) number = h.no; /* a search takes what it finds */
    struct diag why = DIAG_INIT;
    enum err e = block_open(k, BTYPE_WAL, number, sealed, plain, &why);
    if (e == ERR_CORRUPT) return OK;
    if (e != OK) return FAIL(d, e, "%s", why.text);
    *good = record_decode(buf_view(plain), number, out);
    return OK;
}

/* (5) Searches behind the bad record for a good one that vouches for it. */
static enum err look_behind(const struct wal_reader *r, struct file_key *k, struct buf *plain,
                            struct diag *d)
{
    uint8_t room[SEALED_NEEDLE_MAX];
    struct bytes needle = file_key_needle(k, BTYPE_WAL, room);
    if (needle.len == 0) return FAIL(d, ERR_UNAVAILABLE, "the log's key was taken away");
    size_t pos = r->pos;
    for (;;) {
        const uint8_t *hit = memmem(r->image.p + pos, r->size - pos, needle.p, needle.len);
        if (hit == NULL) return OK;
        size_t at = (size_t)(hit - r->image.p);
        struct wal_record later;
        bool good = false;
        TRY(open_at(r, k, at, 0, plain, &later, &good, d));
        if (good && later.durable >= r->next) {
            return FAIL(d, ERR_CORRUPT,
                        "the log is damaged at byte %zu: record %" PRIu64
                        " cannot be read, and record %" PRIu64 " says that it was durable",
                        r->pos, r->next, later.number);
        }
        pos = at + 1;
    }
}

enum err wal_reader_next(struct wal_reader *r, struct file_key *k, struct buf *plain,
                         struct wal_record *out, struct diag *d)
{
    struct wal_record rec = {0};
    bool good = false;
    *out = rec;
    TRY(open_at(r, k, r->pos, r->next, plain, &rec, &good, d));
    if (good) {
        r->pos += plain->len + file_key_overhead(k);
        r->next++;
        *out = rec;
        return OK;
    }
    /* (4) The first record was durable before anyone could know the file's name. */
    if (r->next == r->first) {
        return FAIL(d, ERR_CORRUPT, "the log is damaged: its first record cannot be read");
    }
    TRY(look_behind(r, k, plain, d));
    buf_clear(plain);
    return OK;
}

enum err wal_start_decode(const struct wal_record *r, struct wal_end *prev, struct diag *d)
{
    struct rd rd = rd_from(r->body);
    struct wal_end x;
    rd_copy(&rd, x.file_id, sizeof x.file_id);
    x.length = rd_u64(&rd);
    x.last = rd_u64(&rd);
    if (r->kind != RECORD_START || !rd_done(&rd)) {
        return FAIL(d, ERR_CORRUPT, "the log does not begin with its start record");
    }
    *prev = x;
    return OK;
}

enum err wal_cut(const char *dir, const uint8_t file_id[16], uint64_t length, struct diag *d)
{
    CLEANUP_FREE char *path = wal_path(dir, file_id);
    if (path == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    CLEANUP_FD int fd = SYS(open(path, O_WRONLY | O_CLOEXEC));
    if (fd < 0) return FAIL(d, ERR_IO, "log %s: %s", path, strerror(errno));
    if (SYS(ftruncate(fd, (off_t)length)) != 0 || SYS(fsync(fd)) != 0) {
        return FAIL(d, ERR_IO, "log %s: cutting the torn tail: %s", path, strerror(errno));
    }
    LOG(INFO, "wal.cut", F_STR("file", path), F_U64("length", length));
    return OK;
}
