/* SPDX-License-Identifier: Apache-2.0 */
/* func/fn_encode.c - base64 and URL escapes. What cannot be decoded is the empty string, or null.
 */
#include "base/str.h"
#include "column/dyn.h"
#include "func/families.h"

EVAL(eval_encode64)
{
    (void)call;
    CLEANUP_ROWS struct rows_out r;
    TRY(rows_begin(cx, &r, T_STRING, n, out));
    for (uint32_t i = 0; i < n; i++) {
        base64_encode(&r.b, vec_str(args[0], i));
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

/* Strictly: with its padding, in the standard alphabet. */
static bool decode64(struct bytes text, struct buf *out)
{
    buf_clear(out);
    if (text.len % 4 != 0) return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.p[i] == '-' || text.p[i] == '_') return false;
    }
    return base64_decode(out, text, NULL) == OK;
}

EVAL(eval_decode64)
{
    (void)call;
    CLEANUP_ROWS struct rows_out r;
    CLEANUP_BUF struct buf b = {0};
    TRY(rows_begin(cx, &r, T_STRING, n, out));
    for (uint32_t i = 0; i < n; i++) {
        if (decode64(vec_str(args[0], i), &b) && utf8_valid(buf_view(&b)))
            buf_bytes(&r.b, buf_view(&b));
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

EVAL(eval_decode64_array)
{
    (void)call;
    CLEANUP_ROWS struct rows_out r;
    CLEANUP_BUF struct buf b = {0};
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        if (decode64(vec_str(args[0], i), &b)) {
            size_t at = dyn_array_begin(&r.b);
            for (size_t k = 0; k < b.len; k++) {
                struct value v = {.type = T_LONG, .i = b.p[k]};
                TRY(dyn_from_value(&v, &r.b, cx->d));
            }
            dyn_array_end(&r.b, at, (uint32_t)b.len);
        }
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

EVAL(eval_encode64_array)
{
    (void)call;
    CLEANUP_ROWS struct rows_out r;
    CLEANUP_BUF struct buf b = {0};
    TRY(rows_begin(cx, &r, T_STRING, n, out));
    for (uint32_t i = 0; i < n; i++) {
        struct dyn_iter it;
        struct bytes name, e, array = vec_str(args[0], i);
        bool ok = dyn_kind(array) == DYN_ARRAY && dyn_iter_init(&it, array);
        buf_clear(&b);
        while (ok && dyn_iter_next(&it, &name, &e)) {
            ok = dyn_kind(e) == DYN_LONG && dyn_scalar(e).i >= 0 && dyn_scalar(e).i <= 255;
            if (ok) buf_u8(&b, (uint8_t)dyn_scalar(e).i);
        }
        if (ok) base64_encode(&r.b, buf_view(&b));
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

/* The bytes of a guid as .NET keeps them: the first three numbers little-endian. */
static void swap_guid(uint8_t b[16])
{
    static const uint8_t from[8] = {3, 2, 1, 0, 5, 4, 7, 6};
    uint8_t copy[8];
    memcpy(copy, b, sizeof copy);
    for (int i = 0; i < 8; i++)
        b[i] = copy[from[i]];
}

EVAL(eval_encode64_guid)
{
    (void)call;
    CLEANUP_ROWS struct rows_out r;
    TRY(rows_begin(cx, &r, T_STRING, n, out));
    for (uint32_t i = 0; i < n; i++) {
        struct value v = vec_value(args[0], i);
        if (!v.is_null) {
            swap_guid(v.u.b);
            base64_encode(&r.b, bytes_of(v.u.b, 16));
        }
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

EVAL(eval_decode64_guid)
{
    (void)call;
    struct vecb o;
    CLEANUP_BUF struct buf b = {0};
    vecb_init(&o, cx->a, T_GUID, n);
    for (uint32_t i = 0; i < n; i++) {
        struct u128 g;
        if (!decode64(vec_str(args[0], i), &b) || b.len != 16) {
            vecb_null(&o);
            continue;
        }
        memcpy(g.b, b.p, 16);
        swap_guid(g.b);
        vecb_u128(&o, g);
    }
    return vecb_finish(&o, out, cx->d);
}

/* --- URLs ------------------------------------------------------------------------------------- */

/* Letters, digits and these stay; a space is '+' in the older form, %20 in a component. */
EVAL(eval_url_encode)
{
    CLEANUP_ROWS struct rows_out r;
    bool component = strcmp(call->fn->name, "url_encode_component") == 0;
    TRY(rows_begin(cx, &r, T_STRING, n, out));
    for (uint32_t i = 0; i < n; i++) {
        struct bytes s = vec_str(args[0], i);
        for (size_t k = 0; k < s.len; k++) {
            uint8_t c = s.p[k];
            if ((c < 0x80 && char_alnum(c)) || (c != 0 && strchr("-_.!*()", c) != NULL)) {
                buf_u8(&r.b, c);
            } else if (c == ' ' && !component) {
                buf_u8(&r.b, '+');
            } else {
                buf_fmt(&r.b, "%%%02x", c);
            }
        }
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

/* A broken escape stays as it is. */
static void url_decode(struct bytes s, struct buf *out)
{
    for (size_t k = 0; k < s.len; k++) {
        uint8_t c = s.p[k];
        if (c == '%' && k + 2 < s.len && hex_decode(bytes_of(s.p + k + 1, 2), &c, 1, NULL) == OK) {
            buf_u8(out, c);
            k += 2;
        } else {
            buf_u8(out, s.p[k] == '+' ? ' ' : s.p[k]);
        }
    }
}

/* Escapes may stand for bytes that are no UTF-8: U+FFFD takes their place, for a string is UTF-8. */
EVAL(eval_url_decode)
{
    (void)call;
    CLEANUP_ROWS struct rows_out r;
    CLEANUP_BUF struct buf text = {0};
    TRY(rows_begin(cx, &r, T_STRING, n, out));
    for (uint32_t i = 0; i < n; i++) {
        buf_clear(&text);
        url_decode(vec_str(args[0], i), &text);
        struct bytes s = buf_view(&text);
        if (utf8_valid(s)) {
            buf_bytes(&r.b, s);
        } else {
            while (s.len != 0)
                utf8_put(&r.b, utf8_next(&s));
        }
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

#define TEXT(name_, eval_, doc_, example_, expect_) \
    FN(name_, 1, 1, T_STRING, 0, eval_, doc_, example_, expect_, ARG_STRING)

static const struct fn rows[] = {
    FN("base64_decode_toarray", 1, 1, T_DYNAMIC, 0, eval_decode64_array,
       "The bytes of base64 as an array of numbers.", "base64_decode_toarray('S3VzdG8=')",
       "[75,117,115,116,111]", ARG_STRING),
    FN("base64_decode_toguid", 1, 1, T_GUID, 0, eval_decode64_guid, "A guid from base64.",
       "base64_decode_toguid('JpbpECu8dUy7Pv5gbeJXAA==')", "10e99626-bc2b-4c75-bb3e-fe606de25700",
       ARG_STRING),
    TEXT("base64_decode_tostring", eval_decode64, "The text of base64; empty when it is no UTF-8.",
         "base64_decode_tostring('S3VzdG8=')", "Kusto"),
    TEXT("base64_decodestring", eval_decode64, "The same as base64_decode_tostring().",
         "base64_decodestring('S3VzdG8=')", "Kusto"),
    FN("base64_encode_fromarray", 1, 1, T_STRING, 0, eval_encode64_array,
       "Base64 of an array of bytes.", "base64_encode_fromarray(dynamic([75,117]))",
       "S3U=", ARG_ARRAY),
    FN("base64_encode_fromguid", 1, 1, T_STRING, 0, eval_encode64_guid, "Base64 of a guid.",
       "base64_encode_fromguid(guid(ae3133f2-6e22-49ae-b06a-16e6a9b212eb))",
       "8jMxriJurkmwahbmqbIS6w==", ARG(TM(T_GUID))),
    TEXT("base64_encode_tostring", eval_encode64, "Base64 of a text.",
         "base64_encode_tostring('Kusto')", "S3VzdG8="),
    TEXT("base64_encodestring", eval_encode64, "The same as base64_encode_tostring().",
         "base64_encodestring('Kusto')", "S3VzdG8="),
    TEXT("url_decode", eval_url_decode, "Escapes of a URL as the characters they stand for.",
         "url_decode('https%3a%2f%2fwww.bing.com%2f')", "https://www.bing.com/"),
    TEXT("url_encode", eval_url_encode, "A text with escapes, as in a query string.",
         "url_encode('https://a.b/hello world')", "https%3a%2f%2fa.b%2fhello+world"),
    TEXT("url_encode_component", eval_url_encode, "A text with escapes, spaces too.",
         "url_encode_component('hello world/')", "hello%20world%2f"),
};
const struct fn_family fn_encode = FAMILY(rows);
