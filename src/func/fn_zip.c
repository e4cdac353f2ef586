/* SPDX-License-Identifier: Apache-2.0 */
/*
 * func/fn_zip.c - zlib (RFC 1950) and gzip (RFC 1952) in base64
 *
 * The original stores and does not compress; its bytes are what is given here.
 */
#include "base/str.h"
#include "func/families.h"

#include <zlib.h>

#define UNZIPPED_MAX ((size_t)64 << 20) /* bytes of a row; more is as if it were damaged */
#define BITS_ZLIB    15
#define BITS_GZIP    (15 + 16)

static int bits_of(const struct fn_call *call)
{
    return call->fn->name[0] == 'g' ? BITS_GZIP : BITS_ZLIB;
}

static bool zip(struct bytes in, int bits, struct buf *out)
{
    z_stream z = {0};
    uint8_t room[4096];
    if (in.len > UINT32_MAX ||
        deflateInit2(&z, Z_NO_COMPRESSION, Z_DEFLATED, bits, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return false;
    z.next_in = (Bytef *)(uintptr_t)in.p;
    z.avail_in = (uInt)in.len;
    int r;
    do {
        z.next_out = room;
        z.avail_out = sizeof room;
        r = deflate(&z, Z_FINISH);
        buf_bytes(out, bytes_of(room, sizeof room - z.avail_out));
    } while (r == Z_OK);
    deflateEnd(&z);
    if (bits == BITS_GZIP && out->len > 9) { /* the system and the level that it names: unknown */
        out->p[8] = 0;
        out->p[9] = 0xff;
    }
    return r == Z_STREAM_END && !out->bad;
}

static bool unzip(struct bytes in, int bits, struct buf *out)
{
    z_stream z = {0};
    uint8_t room[4096];
    if (in.len > UINT32_MAX || inflateInit2(&z, bits) != Z_OK) return false;
    z.next_in = (Bytef *)(uintptr_t)in.p;
    z.avail_in = (uInt)in.len;
    int r;
    do {
        z.next_out = room;
        z.avail_out = sizeof room;
        r = inflate(&z, Z_NO_FLUSH);
        buf_bytes(out, bytes_of(room, sizeof room - z.avail_out));
    } while (r == Z_OK && out->len <= UNZIPPED_MAX && !out->bad);
    inflateEnd(&z);
    return r == Z_STREAM_END && !out->bad;
}

EVAL(eval_zip)
{
    CLEANUP_ROWS struct rows_out r;
    TRY(rows_begin(cx, &r, T_STRING, n, out));
    for (uint32_t i = 0; i < n; i++) {
        CLEANUP_BUF struct buf zipped = {0};
        if (!zip(vec_str(args[0], i), bits_of(call), &zipped)) return out_full(cx);
        base64_encode(&r.b, buf_view(&zipped));
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

/* What is no such stream, or no UTF-8, gives "". */
EVAL(eval_unzip)
{
    CLEANUP_ROWS struct rows_out r;
    TRY(rows_begin(cx, &r, T_STRING, n, out));
    for (uint32_t i = 0; i < n; i++) {
        CLEANUP_BUF struct buf zipped = {0}, text = {0};
        bool ok = base64_decode(&zipped, vec_str(args[0], i), NULL) == OK &&
                  unzip(buf_view(&zipped), bits_of(call), &text);
        if (ok && utf8_valid(buf_view(&text))) buf_bytes(&r.b, buf_view(&text));
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

#define ZIP_(name_, eval_, doc_, example_, expect_) \
    FN(name_, 1, 1, T_STRING, 0, eval_, doc_, name_ "('" example_ "')", expect_, ARG_STRING)

static const struct fn rows[] = {
    ZIP_("gzip_compress_to_base64_string", eval_zip, "A text as a gzip stream, in base64.",
         "1234567890qwertyuiop", "H4sIAAAAAAAA/wEUAOv/MTIzNDU2Nzg5MHF3ZXJ0eXVpb3A6m7f2FAAAAA=="),
    ZIP_("gzip_decompress_from_base64_string", eval_unzip, "The text of a gzip stream in base64.",
         "H4sIAAAAAAAA/wEBAP7/YUO+t+gBAAAA", "a"),
    ZIP_("zlib_compress_to_base64_string", eval_zip, "A text as a zlib stream, in base64.",
         "1234567890qwertyuiop", "eAEBFADr/zEyMzQ1Njc4OTBxd2VydHl1aW9wOAkGdw=="),
    ZIP_("zlib_decompress_from_base64_string", eval_unzip, "The text of a zlib stream in base64.",
         "eJwLSS0uUSguKcrMS1cwNDIGACxqBQ4=", "Test string 123"),
};
const struct fn_family fn_zip = FAMILY(rows);
