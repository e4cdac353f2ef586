/* SPDX-License-Identifier: Apache-2.0 */
/*
 * func/fn_hash.c - digests of values
 *
 * hash() is XXH64 of a value's bytes: those of a text, else the little-endian number; the others
 * are digests of the value's text.
 */
#include "base/str.h"
#include "crypto/hash.h"
#include "func/families.h"
#include "func/md5.h"

#include <endian.h>
#include <xxhash.h>

/* The bytes of a value that is not null. */
static struct bytes raw_bytes(const struct value *v, uint8_t room[16])
{
    uint64_t bits = 0;
    switch (v->type) {
    case T_STRING:
    case T_DYNAMIC: return v->s;
    case T_DECIMAL:
    case T_GUID: memcpy(room, v->u.b, 16); return bytes_of(room, 16);
    case T_BOOL: room[0] = v->b; return bytes_of(room, 1);
    case T_REAL: memcpy(&bits, &v->r, sizeof bits); break;
    default: bits = (uint64_t)v->i; break;
    }
    bits = htole64(bits);
    memcpy(room, &bits, sizeof bits);
    return bytes_of(room, v->type == T_INT ? 4 : 8);
}

/* hash(value [, mod]) */
EVAL(eval_hash)
{
    struct vecb b;
    vecb_init(&b, cx->a, T_LONG, n);
    for (uint32_t i = 0; i < n; i++) {
        struct value v = vec_value(args[0], i);
        uint8_t room[16] = {0};
        struct bytes raw =
            v.is_null && v.type != T_STRING ? (struct bytes){0} : raw_bytes(&v, room);
        uint64_t h = XXH64(raw.len != 0 ? (const void *)raw.p : room, raw.len, 0);
        if (call->n_args == 1) {
            vecb_i64(&b, (int64_t)h);
        } else if (vec_null(args[1], i) || vec_i64(args[1], i) <= 0) {
            vecb_null(&b);
        } else {
            vecb_i64(&b, (int64_t)(h % (uint64_t)vec_i64(args[1], i)));
        }
    }
    return vecb_finish(&b, out, cx->d);
}

typedef void digest(struct bytes in, uint8_t *out);

/* hash_md5, hash_sha1, hash_sha256 */
EVAL(eval_digest)
{
    CLEANUP_ROWS struct rows_out r;
    const char *name = call->fn->name + strlen("hash_");
    digest *f = strcmp(name, "md5") == 0 ? md5 : strcmp(name, "sha1") == 0 ? sha1 : sha256;
    size_t size = f == md5 ? 16 : f == sha1 ? 20 : 32;
    TRY(rows_begin(cx, &r, T_STRING, n, out));
    for (uint32_t i = 0; i < n; i++) {
        uint8_t h[32];
        char hex[65];
        f(vec_str(args[0], i), h);
        hex_encode(bytes_of(h, size), hex);
        buf_str(&r.b, hex);
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

#define HASH(name_, doc_)                                                                 \
    FN(name_, 1, 2, T_LONG, 0, eval_hash, doc_, name_ "('World')", "1846988464401551951", \
       ARG(ANY_SCALAR), ARG_LONG)
#define DIGEST(name_, doc_, expect_) \
    FN(name_, 1, 1, T_STRING, 0, eval_digest, doc_, name_ "('World')", expect_, ARG_TEXT)

static const struct fn rows[] = {
    HASH("hash", "A 64-bit hash, reduced by a modulus when one is given."),
    DIGEST("hash_md5", "The MD5 digest.", "f5a7924e621e84c9280a9a27e1bcb7f6"),
    DIGEST("hash_sha1", "The SHA-1 digest.", "70c07ec18ef89c5309bbb0937f3a6342411e1fdd"),
    DIGEST("hash_sha256", "The SHA-256 digest.",
           "78ae647dc5544d227130a0682a51e30bc7777fbb6d8a8f17007463a3ecd1d524"),
    HASH("hash_xxhash64", "The same as hash()."),
};
const struct fn_family fn_hash = FAMILY(rows);
