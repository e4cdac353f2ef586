/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/column/codec.c - every vector comes back as it was, and no damaged bytes are believed
 */
#include "test.h"

#include "base/rand.h"
#include "column/codec.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void expect_same(const struct vec *a, const struct vec *b)
{
    EXPECT_EQ(a->type, b->type);
    EXPECT_EQ(a->n, b->n);
    for (uint32_t i = 0; i < a->n; i++) {
        bool null = vec_null(a, i);
        EXPECT_EQ(null, vec_null(b, i));
        if (null) continue;
        if (a->type == T_STRING || a->type == T_DYNAMIC) {
            REQUIRE(bytes_eq(vec_str(a, i), vec_str(b, i)));
        } else {
            size_t w = type_width(a->type);
            REQUIRE(memcmp((const uint8_t *)vec_data(a) + vec_at(a, i) * w,
                           (const uint8_t *)vec_data(b) + vec_at(b, i) * w, w) == 0);
        }
    }
}

/* Encodes and decodes from memory without slack; returns the codec and the size. */
static enum codec round_trip(const struct vec *v, enum codec_effort effort, size_t *size)
{
    struct diag d = DIAG_INIT;
    CLEANUP_BUF struct buf b = {0};
    CLEANUP_ARENA struct arena a;
    arena_init(&a, 0);
    REQUIRE_OK(codec_encode(v, effort, &b, &d));
    uint8_t *exact = malloc(b.len);
    REQUIRE(exact != NULL);
    memcpy(exact, b.p, b.len);
    struct vec got;
    REQUIRE_OK(codec_decode(bytes_of(exact, b.len), v->type, v->n, &a, &got, &d));
    expect_same(v, &got);
    enum codec codec = exact[0];
    free(exact);
    if (size != NULL) *size = b.len;
    return codec;
}

/* As the log does it, and as a segment does: a dictionary first, where it is worth it. */
static void both(const struct vec *v, enum codec fast, enum codec small)
{
    CLEANUP_ARENA struct arena a;
    arena_init(&a, 0);
    EXPECT_EQ(round_trip(v, CODEC_FAST, NULL), fast);
    struct vec x = *v;
    bool text = v->type == T_STRING || v->type == T_DYNAMIC;
    if (text && codec_to_dictionary(v, &a, &x)) expect_same(v, &x);
    EXPECT_EQ(round_trip(&x, CODEC_SMALL, NULL), small);
}

static struct vec ints_vec(const int64_t *v, uint32_t n)
{
    return (struct vec){.type = T_LONG, .n = n, .data = v};
}

TEST(codec, integers_of_every_width_and_sign_come_back)
{
    static int64_t v[1000];
    for (uint32_t width = 0; width <= 64; width++) {
        for (uint32_t i = 0; i < 1000; i++) {
            uint64_t x = rand_u64();
            v[i] = (int64_t)(width == 0 ? 7 : x >> (64 - width));
            if (i % 2 != 0) v[i] = (int64_t)(0 - (uint64_t)v[i]);
        }
        for (uint32_t n = 0; n < 20; n++)
            round_trip(&(struct vec){.type = T_INT, .n = n, .data = v}, CODEC_SMALL, NULL);
        round_trip(&(struct vec){.type = T_TIMESPAN, .n = 1000, .data = v}, CODEC_FAST, NULL);
    }
    v[3] = INT64_MIN;
    v[4] = INT64_MAX;
    v[5] = INT64_MIN;
    struct vec all = ints_vec(v, 1000);
    round_trip(&all, CODEC_SMALL, NULL);
}

TEST(codec, rising_times_are_stored_as_differences)
{
    static int64_t v[4096];
    for (uint32_t i = 0; i < 4096; i++)
        v[i] = TICKS_UNIX + (int64_t)i * 10000 + (int64_t)rand_below(3000);
    size_t size = 0;
    struct vec all = {.type = T_DATETIME, .n = 4096, .data = v};
    EXPECT_EQ(round_trip(&all, CODEC_SMALL, &size), CODEC_DELTAS);
    REQUIRE(size < 4096 * 2);
}

TEST(codec, doubles_keep_their_bits)
{
    static double v[600];
    for (uint32_t i = 0; i < 600; i++)
        v[i] = (double)rand_below(1000000) / 1000;
    struct vec all = {.type = T_REAL, .n = 600, .data = v};
    both(&all, CODEC_REALS, CODEC_DECIMALS);
    const double odd[] = {-0.0, NAN, INFINITY, -INFINITY, 1e300, 5e-324, 0.1 + 0.2, -1.5};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        double before = v[300];
        v[300] = odd[i];
        both(&all, CODEC_REALS, odd[i] == -1.5 ? CODEC_DECIMALS : CODEC_REALS);
        v[300] = before;
    }
}

TEST(codec, bools_and_wide_values_and_nulls_come_back)
{
    static uint8_t bools[333];
    static struct u128 wide[333];
    uint64_t nulls[BIT_WORDS(333)] = {0};
    for (uint32_t i = 0; i < 333; i++) {
        bools[i] = (uint8_t)rand_below(2);
        rand_bytes(&wide[i], sizeof wide[i]);
        if (rand_below(3) == 0) bit_set(nulls, i);
    }
    bools[0] = 0, bools[1] = 1;
    struct vec v = {.type = T_BOOL, .n = 333, .data = bools};
    both(&v, CODEC_BITS, CODEC_BITS);
    v.nulls = nulls;
    both(&v, CODEC_BITS, CODEC_BITS);
    v = (struct vec){.type = T_GUID, .n = 333, .data = wide, .nulls = nulls};
    both(&v, CODEC_WIDE, CODEC_WIDE);
    memset(nulls, 0xff, sizeof nulls);
    both(&v, CODEC_CONST, CODEC_CONST);
}

TEST(codec, a_column_of_zeros_with_some_nulls_is_not_a_constant)
{
    static const int64_t zeros[100];
    uint64_t nulls[2] = {5, 0};
    struct vec v = {.type = T_LONG, .n = 100, .data = zeros, .nulls = nulls};
    both(&v, CODEC_INTS, CODEC_INTS);
}

static struct vec strings(struct arena *a, uint32_t n, const char *fmt, uint32_t distinct)
{
    struct diag d = DIAG_INIT;
    struct vecb b;
    vecb_init(&b, a, T_STRING, n);
    for (uint32_t i = 0; i < n; i++) {
        vecb_str(&b, bytes_str(arena_fmt(a, fmt, (unsigned)(i * 2654435761u % distinct))));
    }
    struct vec v;
    REQUIRE_OK(vecb_finish(&b, &v, &d));
    return v;
}

TEST(codec, strings_choose_dictionary_hex_or_plain)
{
    CLEANUP_ARENA struct arena a;
    arena_init(&a, 0);
    struct vec v = strings(&a, 1000, "host-%u", 10);
    both(&v, CODEC_TEXT, CODEC_DICTIONARY);
    v = strings(&a, 1000, "a message that differs each time %u", 1u << 31);
    both(&v, CODEC_TEXT, CODEC_TEXT);
    v = strings(&a, 1000, "%032x", 1u << 31);
    both(&v, CODEC_TEXT, CODEC_HEX);
    v = strings(&a, 1000, "%032X", 1u << 31); /* upper case would come back as lower */
    both(&v, CODEC_TEXT, CODEC_TEXT);
    v = strings(&a, 1000, "always the same", 1);
    both(&v, CODEC_CONST, CODEC_CONST);
    v = strings(&a, 1, "", 1);
    both(&v, CODEC_CONST, CODEC_CONST);
}

TEST(codec, shapes_other_than_flat_are_encoded_by_their_rows)
{
    struct diag d = DIAG_INIT;
    CLEANUP_ARENA struct arena a;
    arena_init(&a, 0);
    struct vec values = strings(&a, 4, "v%u", 100);
    uint32_t codes[50];
    for (uint32_t i = 0; i < 50; i++)
        codes[i] = i % 4;
    struct vec v = {.type = T_STRING, .shape = VEC_DICT, .n = 50, .codes = codes, .dict = &values};
    both(&v, CODEC_TEXT, CODEC_DICTIONARY);
    struct value seven = {.type = T_LONG, .i = 7};
    both(vec_const(&a, &seven, 50), CODEC_CONST, CODEC_CONST);
    CLEANUP_BUF struct buf b = {0};
    REQUIRE_OK(
        codec_encode(&(struct vec){.type = T_REAL}, CODEC_SMALL, &b, &d)); /* no rows at all */
    struct vec none;
    REQUIRE_OK(codec_decode(buf_view(&b), T_REAL, 0, &a, &none, &d));
}

/* Every truncation, and random damage under ASan: an error or some vector in bounds, never a crash.
 */
static void batter(const struct vec *flat)
{
    CLEANUP_BUF struct buf b = {0};
    CLEANUP_ARENA struct arena dictionary;
    arena_init(&dictionary, 0);
    struct vec x = *flat;
    if (flat->type == T_STRING) (void)!codec_to_dictionary(flat, &dictionary, &x);
    const struct vec *v = &x;
    REQUIRE(codec_encode(v, CODEC_SMALL, &b, NULL) == OK);
    for (size_t cut = 0; cut < b.len; cut += 1 + b.len / 300) {
        CLEANUP_ARENA struct arena a;
        arena_init(&a, 64 << 20);
        struct vec got;
        uint8_t *image = malloc(cut != 0 ? cut : 1);
        REQUIRE(image != NULL);
        memcpy(image, b.p, cut);
        enum err e = codec_decode(bytes_of(image, cut), v->type, v->n, &a, &got, NULL);
        /* A constant string is as long as its bytes: only the length outside tells. */
        REQUIRE(e != OK || (b.p[0] == CODEC_CONST && cut >= 2));
        free(image);
    }
    for (uint32_t round = 0; round < 200; round++) {
        CLEANUP_ARENA struct arena a;
        arena_init(&a, 64 << 20);
        size_t at = rand_below(b.len);
        uint8_t before = b.p[at];
        b.p[at] = (uint8_t)rand_u64();
        struct vec got;
        if (codec_decode(buf_view(&b), v->type, v->n, &a, &got, NULL) == OK) {
            for (uint32_t i = 0; i < got.n; i++)
                (void)vec_value(&got, i);
        }
        b.p[at] = before;
    }
}

TEST(codec, damaged_bytes_are_refused_or_harmless)
{
    CLEANUP_ARENA struct arena a;
    arena_init(&a, 0);
    struct vec v = strings(&a, 600, "host-%u", 10);
    batter(&v);
    v = strings(&a, 600, "%032x", 1u << 31);
    batter(&v);
    v = strings(&a, 600, "text %u", 1u << 31);
    batter(&v);
    static int64_t numbers[600];
    for (uint32_t i = 0; i < 600; i++)
        numbers[i] = (int64_t)rand_below(1000);
    v = ints_vec(numbers, 600);
    batter(&v);
    for (uint32_t i = 0; i < 600; i++)
        numbers[i] = i * 1000;
    batter(&v);
    static double reals[600];
    for (uint32_t i = 0; i < 600; i++)
        reals[i] = (double)rand_below(1000) / 10;
    v = (struct vec){.type = T_REAL, .n = 600, .data = reals};
    batter(&v);
}

TEST(codec, a_codec_of_another_type_is_refused)
{
    struct diag d = DIAG_INIT;
    CLEANUP_ARENA struct arena a;
    arena_init(&a, 0);
    static const int64_t v[] = {1, INT64_MAX, 3};
    CLEANUP_BUF struct buf b = {0};
    REQUIRE_OK(codec_encode(&(struct vec){.type = T_LONG, .n = 3, .data = v}, CODEC_FAST, &b, &d));
    struct vec got;
    REQUIRE_ERR(ERR_CORRUPT, codec_decode(buf_view(&b), T_STRING, 3, &a, &got, &d));
    REQUIRE_ERR(ERR_CORRUPT, codec_decode(buf_view(&b), T_LONG, 2, &a, &got, &d));
    REQUIRE_ERR(ERR_CORRUPT, codec_decode(buf_view(&b), T_LONG, 4, &a, &got, &d));
}

TEST(codec, compression_comes_back_and_keeps_to_its_limit)
{
    struct diag d = DIAG_INIT;
    CLEANUP_ARENA struct arena a;
    arena_init(&a, 0);
    CLEANUP_BUF struct buf raw = {0}, packed = {0};
    for (int i = 0; i < 5000; i++)
        buf_fmt(&raw, "line %d ", i % 50);
    REQUIRE_OK(codec_compress(buf_view(&raw), &packed, &d));
    REQUIRE(packed.len < raw.len / 10);
    struct bytes got;
    REQUIRE_OK(codec_decompress(buf_view(&packed), raw.len, &a, &got, &d));
    REQUIRE(bytes_eq(got, buf_view(&raw)));
    REQUIRE_ERR(ERR_CORRUPT, codec_decompress(buf_view(&packed), raw.len - 1, &a, &got, &d));
    packed.p[packed.len / 2] ^= 1;
    (void)codec_decompress(buf_view(&packed), raw.len, &a, &got, &d);

    uint8_t noise[300];
    rand_bytes(noise, sizeof noise);
    buf_clear(&packed);
    REQUIRE_OK(codec_compress(BYTES_OF(noise), &packed, &d));
    EXPECT_EQ(packed.len, sizeof noise + 5);
    REQUIRE_OK(codec_decompress(buf_view(&packed), 300, &a, &got, &d));
    REQUIRE(bytes_eq(got, BYTES_OF(noise)));
}
