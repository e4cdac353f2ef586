/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz/codec.c - bytes that decode as a vector stay in bounds, and encode to bytes that decode the
 * same */
#include "column/codec.h"

#include <assert.h>

static bool same_value(const struct vec *a, const struct vec *b, uint32_t i)
{
    if (vec_null(a, i) != vec_null(b, i)) return false;
    if (vec_null(a, i)) return true;
    if (a->type == T_STRING || a->type == T_DYNAMIC) return bytes_eq(vec_str(a, i), vec_str(b, i));
    size_t w = type_width(a->type);
    return memcmp((const uint8_t *)vec_data(a) + vec_at(a, i) * w,
                  (const uint8_t *)vec_data(b) + vec_at(b, i) * w, w) == 0;
}

/* The first byte is the type, the next two the number of rows. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3) return 0;
    enum type t = 1 + data[0] % (N_TYPES - 1);
    uint32_t n = (uint32_t)data[1] << 8 | data[2];
    CLEANUP_ARENA struct arena a;
    arena_init(&a, (size_t)64 << 20);
    struct vec v, again;
    if (codec_decode(bytes_of(data + 3, size - 3), t, n, &a, &v, NULL) != OK) return 0;
    assert(v.n == n && v.type == t);
    for (int effort = CODEC_FAST; effort <= CODEC_SMALL; effort++) {
        CLEANUP_BUF struct buf out = {0};
        assert(codec_encode(&v, (enum codec_effort)effort, &out, NULL) == OK);
        if (codec_decode(buf_view(&out), t, n, &a, &again, NULL) != OK) {
            assert(arena_full(&a, NULL) != OK && a.used > a.limit / 2);
            return 0;
        }
        for (uint32_t i = 0; i < n; i++)
            assert(same_value(&v, &again, i));
    }
    return 0;
}
