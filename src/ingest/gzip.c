/* SPDX-License-Identifier: Apache-2.0 */
/* ingest/gzip.c - zlib, member by member */
#include "ingest/gzip.h"

#include <zlib.h>

#define WINDOW_GZIP (15 + 16) /* the largest window, with a gzip header and nothing else */

static void stream_end(z_stream *z)
{
    (void)inflateEnd(z);
}

static enum err unpack_member(z_stream *z, size_t max, struct buf *out, size_t *n, struct diag *d)
{
    uint8_t block[32768];
    int rc = Z_OK;
    while (rc != Z_STREAM_END) {
        z->next_out = block;
        z->avail_out = sizeof block;
        rc = inflate(z, Z_NO_FLUSH);
        if (rc != Z_OK && rc != Z_STREAM_END) {
            return FAIL(d, ERR_INVALID, "gzip: %s",
                        z->msg != NULL ? z->msg : "the body is cut short");
        }
        size_t got = sizeof block - z->avail_out;
        if (got > max - *n) return FAIL(d, ERR_LIMIT, "gzip: more than %zu bytes unpacked", max);
        buf_bytes(out, bytes_of(block, got));
        *n += got;
    }
    return buf_check(out, d);
}

enum err gzip_unpack(struct bytes in, size_t max, struct buf *out, struct diag *d)
{
    if (in.len > UINT32_MAX) return FAIL(d, ERR_LIMIT, "gzip: a body of more than 4 GiB");
    CLEANUP_LOCAL(stream_end) z_stream z = {0};
    if (inflateInit2(&z, WINDOW_GZIP) != Z_OK) return FAIL(d, ERR_LIMIT, "gzip: out of memory");
    z.next_in = (Bytef *)(uintptr_t)in.p; /* zlib does not write to it */
    z.avail_in = (uInt)in.len;
    size_t n = 0;
    do {
        TRY(unpack_member(&z, max, out, &n, d));
        if (inflateReset(&z) != Z_OK) return FAIL(d, ERR_INTERNAL, "gzip: cannot reset");
    } while (z.avail_in != 0);
    return OK;
}
