/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/ingest/gzip.c - unpacking bodies */
#include "test.h"

#include "ingest/gzip.h"

#include <stdlib.h>
#include <zlib.h>

static struct buf pack(const void *p, size_t n)
{
    struct buf out = {0};
    z_stream z = {0};
    REQUIRE(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    uint8_t *to = buf_extend(&out, deflateBound(&z, n));
    z.next_in = (Bytef *)(uintptr_t)p;
    z.avail_in = (uInt)n;
    z.next_out = to;
    z.avail_out = (uInt)out.len;
    REQUIRE(deflate(&z, Z_FINISH) == Z_STREAM_END);
    buf_shrink(&out, z.total_out);
    deflateEnd(&z);
    return out;
}

TEST(ingest, a_packed_body_comes_back_whole)
{
    struct diag d = DIAG_INIT;
    CLEANUP_BUF struct buf packed = pack("hello, rows", 11), out = {0};
    REQUIRE_OK(gzip_unpack(buf_view(&packed), 11, &out, &d));
    EXPECT_STR(buf_cstr(&out), "hello, rows");

    /* Two members one after the other are one body. */
    CLEANUP_BUF struct buf second = pack("!", 1);
    buf_bytes(&packed, buf_view(&second));
    buf_clear(&out);
    REQUIRE_OK(gzip_unpack(buf_view(&packed), 100, &out, &d));
    EXPECT_STR(buf_cstr(&out), "hello, rows!");
}

TEST(ingest, a_bomb_is_stopped_at_the_ceiling)
{
    struct diag d = DIAG_INIT;
    size_t n = (size_t)64 << 20;
    void *zeros = calloc(1, n);
    CLEANUP_BUF struct buf packed = pack(zeros, n), out = {0};
    free(zeros);
    REQUIRE(packed.len < 100000);
    REQUIRE_ERR(ERR_LIMIT, gzip_unpack(buf_view(&packed), (size_t)1 << 20, &out, &d));
    REQUIRE(out.len <= (size_t)1 << 20);
}

TEST(ingest, a_damaged_or_cut_body_is_refused)
{
    struct diag d = DIAG_INIT;
    CLEANUP_BUF struct buf packed = pack("hello, hello, hello, rows", 25);
    for (size_t n = 0; n < packed.len; n++) {
        CLEANUP_BUF struct buf out = {0};
        REQUIRE_ERR(ERR_INVALID, gzip_unpack(bytes_of(packed.p, n), 1000, &out, &d));
    }
    CLEANUP_BUF struct buf out = {0};
    packed.p[packed.len - 5] ^= 1; /* the checksum */
    REQUIRE_ERR(ERR_INVALID, gzip_unpack(buf_view(&packed), 1000, &out, &d));
    REQUIRE_ERR(ERR_INVALID, gzip_unpack(BYTES("[{\"a\":1}]"), 1000, &out, &d));
}
