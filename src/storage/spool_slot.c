/* SPDX-License-Identifier: Apache-2.0 */
/* storage/spool_slot.c - a slot is read whole and written in place */
#include "storage/spool_slot.h"

#include "base/os.h"
#include "crypto/hash.h"

#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define HEAD_LEN   24
#define RECORD_AT  56
#define DIGEST_LEN 32

static void digest(struct bytes head, struct bytes record, uint8_t out[DIGEST_LEN])
{
    uint8_t both[HEAD_LEN + SLOT_RECORD_MAX];
    memcpy(both, head.p, HEAD_LEN);
    memcpy(both + HEAD_LEN, record.p, record.len);
    sha256(bytes_of(both, HEAD_LEN + record.len), out);
}

static bool all_zero(struct bytes b)
{
    for (size_t i = 0; i < b.len; i++) {
        if (b.p[i] != 0) return false;
    }
    return true;
}

static enum err decode(struct bytes in, struct slot *out, struct diag *d)
{
    if (in.len == SLOT_LEN && all_zero(in)) return OK;
    struct rd r = rd_from(in);
    struct bytes magic = rd_bytes(&r, 4), version = rd_bytes(&r, 4);
    uint32_t len = rd_u32(&r), zero = rd_u32(&r);
    int64_t since = (int64_t)rd_u64(&r);
    struct bytes sum = rd_bytes(&r, DIGEST_LEN), record = rd_bytes(&r, len);
    struct bytes rest = rd_bytes(&r, rd_left(&r));
    if (r.bad || in.len != SLOT_LEN || len == 0 || len > SLOT_RECORD_MAX || zero != 0 ||
        !bytes_eq(magic, BYTES("KSSL")) || !bytes_eq(version, BYTES("\1\0\0\0")) ||
        !all_zero(rest)) {
        return FAIL(d, ERR_CORRUPT, "spool: the slot is none of ours, or changed since");
    }
    uint8_t want[DIGEST_LEN];
    digest(in, record, want);
    if (!bytes_eq(sum, BYTES_OF(want))) {
        return FAIL(d, ERR_CORRUPT, "spool: the slot changed since it was written");
    }
    out->since_us = since;
    buf_bytes(&out->record, record);
    return buf_check(&out->record, d);
}

enum err slot_read(const char *path, struct slot *out, struct diag *d)
{
    CLEANUP_BUF struct buf image = {0};
    struct diag why = DIAG_INIT;
    enum err e = os_read_file(path, SLOT_LEN, &image, &why);
    if (e == ERR_NOT_FOUND) return OK;
    if (e == ERR_LIMIT) e = ERR_CORRUPT; /* it is longer */
    if (e != OK) return FAIL(d, e, "%s", why.text);
    return decode(buf_view(&image), out, d);
}

static enum err write_at(int fd, struct bytes b, struct diag *d)
{
    size_t done = 0;
    while (done < b.len) {
        ssize_t n = SYS(pwrite(fd, b.p + done, b.len - done, (off_t)done));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return FAIL(d, ERR_IO, "spool slot: write: %s", strerror(errno));
        done += (size_t)n;
    }
    if (SYS(fdatasync(fd)) != 0)
        return FAIL(d, ERR_IO, "spool slot: fdatasync: %s", strerror(errno));
    return OK;
}

static enum err fsync_parent(const char *path, struct diag *d)
{
    char copy[4096];
    if ((size_t)snprintf(copy, sizeof copy, "%s", path) >= sizeof copy)
        return FAIL(d, ERR_LIMIT, "spool slot: the path is too long");
    return os_fsync_dir(dirname(copy), d);
}

enum err slot_write(const char *path, struct bytes record, int64_t since_us, struct diag *d)
{
    static const uint8_t zeros[SLOT_LEN];
    if (record.len == 0 || record.len > SLOT_RECORD_MAX)
        return FAIL(d, ERR_LIMIT, "spool: a record of %zu bytes", record.len);
    CLEANUP_BUF struct buf b = {0};
    buf_bytes(&b, BYTES("KSSL"));
    buf_bytes(&b, BYTES("\1\0\0\0"));
    buf_u32(&b, (uint32_t)record.len);
    buf_u32(&b, 0);
    buf_u64(&b, (uint64_t)since_us);
    uint8_t sum[DIGEST_LEN];
    TRY(buf_check(&b, d));
    digest(buf_view(&b), record, sum);
    buf_bytes(&b, BYTES_OF(sum));
    buf_bytes(&b, record);
    buf_bytes(&b, bytes_of(zeros, SLOT_LEN - RECORD_AT - record.len));
    TRY(buf_check(&b, d));

    CLEANUP_FD int fd = SYS(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    if (fd < 0) return FAIL(d, ERR_IO, "spool slot %s: %s", path, strerror(errno));
    TRY(write_at(fd, BYTES_OF(zeros), d)); /* (1) */
    TRY(fsync_parent(path, d));
    return write_at(fd, buf_view(&b), d);
}

enum err slot_wipe(const char *path, struct diag *d)
{
    static const uint8_t zeros[SLOT_LEN];
    CLEANUP_FD int fd = SYS(open(path, O_WRONLY | O_CLOEXEC));
    if (fd < 0 && errno == ENOENT) return OK;
    if (fd < 0) return FAIL(d, ERR_IO, "spool slot %s: %s", path, strerror(errno));
    TRY(write_at(fd, BYTES_OF(zeros), d));
    /* A slot that somebody made longer must not keep what stands behind. */
    if (SYS(ftruncate(fd, SLOT_LEN)) != 0)
        return FAIL(d, ERR_IO, "spool slot: truncate: %s", strerror(errno));
    return OK;
}
