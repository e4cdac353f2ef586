/* SPDX-License-Identifier: Apache-2.0 */
/* custody/slots.c - two slots in a file, the newest whole one counts */
#include "custody/slots.h"

#include "base/os.h"
#include "crypto/hash.h"

#include <unistd.h>

#define SLOT_BYTES 4096
#define HEADER_LEN 48

struct slot {
    uint64_t number; /* 0: not whole */
    struct bytes value;
    uint8_t raw[SLOT_BYTES];
};

static void hash_of(const uint8_t raw[SLOT_BYTES], size_t len, uint8_t out[32])
{
    CLEANUP_BUF struct buf in = {0};
    buf_bytes(&in, bytes_of(raw, 16));
    buf_bytes(&in, bytes_of(raw + HEADER_LEN, len));
    sha256(buf_view(&in), out);
}

static enum err read_slot(int fd, int i, struct slot *s, struct diag *d)
{
    *s = (struct slot){0};
    for (size_t have = 0; have < SLOT_BYTES;) {
        ssize_t n =
            SYS(pread(fd, s->raw + have, SLOT_BYTES - have, (off_t)i * SLOT_BYTES + (off_t)have));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return FAIL(d, ERR_IO, "read: %s", strerror(errno));
        if (n == 0) break; /* a file that is shorter: zeros */
        have += (size_t)n;
    }
    struct rd r = rd_from(bytes_of(s->raw, SLOT_BYTES));
    bool ours = bytes_eq(rd_bytes(&r, 4), BYTES("KSLT"));
    uint32_t len = rd_u32be(&r);
    uint64_t number = rd_u64be(&r);
    uint8_t is[32];
    if (!ours || len > SLOT_VALUE_MAX) return OK;
    hash_of(s->raw, len, is);
    if (memcmp(is, s->raw + 16, sizeof is) != 0) return OK;
    s->number = number;
    s->value = bytes_of(s->raw + HEADER_LEN, len);
    return OK;
}

enum err slots_read(int fd, struct buf *out, struct diag *d)
{
    struct slot a, b;
    TRY(read_slot(fd, 0, &a, d));
    TRY(read_slot(fd, 1, &b, d));
    const struct slot *newest = a.number > b.number ? &a : &b;
    if (newest->number != 0) buf_bytes(out, newest->value);
    explicit_bzero(&a, sizeof a);
    explicit_bzero(&b, sizeof b);
    return buf_check(out, d);
}

static enum err write_at(int fd, const uint8_t raw[SLOT_BYTES], int i, struct diag *d)
{
    for (size_t done = 0; done < SLOT_BYTES;) {
        ssize_t n =
            SYS(pwrite(fd, raw + done, SLOT_BYTES - done, (off_t)i * SLOT_BYTES + (off_t)done));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return FAIL(d, ERR_IO, "write: %s", strerror(errno));
        done += (size_t)n;
    }
    return OK;
}

enum err slots_write(int fd, struct bytes value, bool with_wipe, struct diag *d)
{
    struct slot a, b;
    uint8_t raw[SLOT_BYTES] = {0};
    if (value.len > SLOT_VALUE_MAX)
        return FAIL(d, ERR_LIMIT, "a slot of %zu bytes, at most %d", value.len, SLOT_VALUE_MAX);
    TRY(read_slot(fd, 0, &a, d));
    TRY(read_slot(fd, 1, &b, d));
    int older = a.number <= b.number ? 0 : 1;
    uint64_t newest = older == 0 ? b.number : a.number;
    struct wr w = wr_into(raw, sizeof raw);
    wr_bytes(&w, BYTES("KSLT"));
    wr_u32be(&w, (uint32_t)value.len);
    wr_u64be(&w, newest + 1);
    memcpy(raw + HEADER_LEN, value.p, value.len);
    hash_of(raw, value.len, raw + 16);
    TRY(write_at(fd, raw, older, d));
    if (SYS(fdatasync(fd)) != 0) return FAIL(d, ERR_IO, "fdatasync: %s", strerror(errno));
    explicit_bzero(raw, sizeof raw);
    explicit_bzero(&a, sizeof a);
    explicit_bzero(&b, sizeof b);
    return with_wipe && newest != 0 ? write_at(fd, raw, 1 - older, d) : OK;
}
