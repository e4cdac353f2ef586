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

/* hash(value [, mod]) */
EVAL(eval_hash)
{
    struct vecb b;
    vecb_init(&b, cx->a, T_LONG, n);
    for (uint32_t i = 0; i < n; i++) {
        struct value v = vec_value(args[0], i);
        uint64_t h = value_xxh64(&v);
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

/*
 * How the original combines hashes is not published, and its pages advise against keeping the
 * result; here it is the hash of the hashes one behind the other.
 */
static int64_t combine(const uint64_t *hashes, uint32_t n)
{
    return (int64_t)XXH64(hashes, n * sizeof *hashes, 0);
}

/* hash_many(a, b ...), hash_combine(hash(a), hash(b) ...) */
EVAL(eval_combine)
{
    bool many = strcmp(call->fn->name, "hash_many") == 0;
    uint64_t *hashes = arena_array(cx->a, uint64_t, call->n_args);
    struct vecb b;
    if (hashes == NULL) return out_full(cx);
    vecb_init(&b, cx->a, T_LONG, n);
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t k = 0; k < call->n_args; k++) {
            struct value v = vec_value(args[k], i);
            hashes[k] = htole64(many ? value_xxh64(&v) : (uint64_t)v.i);
        }
        vecb_i64(&b, combine(hashes, call->n_args));
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
       ARG(NOT_DYNAMIC), ARG_LONG)
#define DIGEST(name_, doc_, expect_)                                            \
    FN(name_, 1, 1, T_STRING, 0, eval_digest, doc_, name_ "('World')", expect_, \
       ARG_AS(NOT_DYNAMIC, T_STRING))

static const struct fn rows[] = {
    HASH("hash", "A 64-bit hash, reduced by a modulus when one is given."),
    FN("hash_combine", 2, FN_ARITY_ANY, T_LONG, 0, eval_combine, "One hash of several hashes.",
       "hash_combine(hash('a'), hash('b')) == hash_many('a', 'b')", "True", ARG_LONG),
    FN("hash_many", 1, FN_ARITY_ANY, T_LONG, 0, eval_combine, "One hash of several values.",
       "hash_many('a', 'b') == hash_many('b', 'a')", "False", ARG(NOT_DYNAMIC)),
    DIGEST("hash_md5", "The MD5 digest.", "f5a7924e621e84c9280a9a27e1bcb7f6"),
    DIGEST("hash_sha1", "The SHA-1 digest.", "70c07ec18ef89c5309bbb0937f3a6342411e1fdd"),
    DIGEST("hash_sha256", "The SHA-256 digest.",
           "78ae647dc5544d227130a0682a51e30bc7777fbb6d8a8f17007463a3ecd1d524"),
    HASH("hash_xxhash64", "The same as hash()."),
};
const struct fn_family fn_hash = FAMILY(rows);
