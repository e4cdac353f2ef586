/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/column/simd.c - every set of kernels gives what the plain one gives, whatever the length and
 * wherever the vectors lie; memory is as long as the vectors, so that ASan guards both ends
 */
#include "test.h"

#include "column/simd.h"
#include "column/vec.h"

#include <math.h>
#include <stdlib.h>

static uint64_t seed = 88172645463325252ULL;

static uint64_t random_word(void)
{
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    return seed;
}
static uint32_t chance(uint32_t below)
{
    return (uint32_t)(random_word() >> 33) % below;
}

/* n elements that end where their memory ends, and begin at any multiple of their width. */
struct room {
    void *all, *p;
};
static struct room room_of(uint32_t n, size_t width)
{
    size_t ahead = chance(9) * width;
    uint8_t *all = malloc(ahead + n * width + (n == 0));
    REQUIRE(all != NULL);
    return (struct room){all, all + ahead};
}

#define EACH_SET(k)                           \
    for (int set_ = 1; set_ < N_SIMD; set_++) \
        for (const struct simd_kernels *(k) = simd_of((enum simd)set_); (k) != NULL; (k) = NULL)

#define ROUNDS 3000

static int64_t some_long(void)
{
    static const int64_t edges[] = {INT64_MIN, INT64_MIN + 1, -1,       0, 1,
                                    7,         INT64_MAX - 1, INT64_MAX};
    return chance(3) == 0 ? edges[chance(8)] : (int64_t)chance(20) - 10;
}

static double some_real(void)
{
    static const double edges[] = {-INFINITY, INFINITY, 0.0, -0.0, 5e-324, -5e-324, 1.5};
    return chance(8) == 0 ? NAN : chance(3) == 0 ? edges[chance(7)] : (double)chance(20) - 10;
}

TEST(column, every_set_of_kernels_finds_the_same_numbers_within_a_range)
{
    for (int round = 0; round < ROUNDS; round++) {
        uint32_t n = chance(300);
        struct room x = room_of(n, 8), want = room_of(n, 1), got = room_of(n, 1);
        bool real = round & 1, negated = chance(2) != 0;
        int64_t low = some_long(), high = some_long();
        double real_low = some_real(), real_high = some_real();
        for (uint32_t i = 0; i < n; i++) {
            if (real)
                ((double *)x.p)[i] = some_real();
            else
                ((int64_t *)x.p)[i] = some_long();
        }
        const struct simd_kernels *plain = simd_of(SIMD_PLAIN);
        if (real)
            plain->within_r64(x.p, n, real_low, real_high, negated, want.p);
        else
            plain->within_i64(x.p, n, low, high, negated, want.p);
        for (uint32_t i = 0; i < n; i++) {
            double r = ((double *)x.p)[i];
            int64_t v = ((int64_t *)x.p)[i];
            bool in = real ? r >= real_low && r <= real_high : v >= low && v <= high;
            EXPECT_EQ(((uint8_t *)want.p)[i], in != negated);
        }
        EACH_SET(k)
        {
            if (real)
                k->within_r64(x.p, n, real_low, real_high, negated, got.p);
            else
                k->within_i64(x.p, n, low, high, negated, got.p);
            assert_memory_equal(got.p, want.p, n);
        }
        free(x.all), free(want.all), free(got.all);
    }
}

TEST(column, every_set_of_kernels_packs_the_same_bits_and_finds_the_same_places)
{
    for (int round = 0; round < ROUNDS; round++) {
        uint32_t n = chance(400), words = (uint32_t)BIT_WORDS(n), often = 1 + chance(70),
                 k_rows = 0;
        struct room bools = room_of(n, 1), bits = room_of(words, 8), other = room_of(words, 8);
        struct room rows = room_of(n, 4), got = room_of(n, 4);
        for (uint32_t i = 0; i < n; i++)
            ((uint8_t *)bools.p)[i] = often > 60 || chance(often) == 0;
        const struct simd_kernels *plain = simd_of(SIMD_PLAIN);
        plain->pack(bools.p, n, bits.p);
        for (uint32_t i = 0; i < words * 64; i++)
            EXPECT_EQ(bit_get(bits.p, i), i < n && ((uint8_t *)bools.p)[i]);
        for (uint32_t i = 0; i < n; i++) {
            if (((uint8_t *)bools.p)[i]) ((uint32_t *)rows.p)[k_rows++] = 1000 + i;
        }
        EXPECT_EQ(plain->places(bits.p, n, 1000, got.p), k_rows);
        assert_memory_equal(got.p, rows.p, k_rows * 4);
        EACH_SET(k)
        {
            k->pack(bools.p, n, other.p);
            assert_memory_equal(other.p, bits.p, words * 8);
            EXPECT_EQ(k->places(bits.p, n, 1000, got.p), k_rows);
            assert_memory_equal(got.p, rows.p, k_rows * 4);
        }
        free(bools.all), free(bits.all), free(other.all), free(rows.all), free(got.all);
    }
}

TEST(column, every_set_of_kernels_hashes_alike)
{
    for (int round = 0; round < ROUNDS; round++) {
        uint32_t n = chance(100);
        struct room x = room_of(n, 8), got = room_of(n, 8);
        uint64_t by = random_word();
        for (uint32_t i = 0; i < n; i++)
            ((uint64_t *)x.p)[i] = random_word() >> chance(64);
        for (int set = 0; set < N_SIMD; set++) {
            const struct simd_kernels *k = simd_of((enum simd)set);
            if (k == NULL) continue;
            k->mix(x.p, n, by, got.p);
            for (uint32_t i = 0; i < n; i++)
                REQUIRE(((uint64_t *)got.p)[i] == simd_mix(((uint64_t *)x.p)[i], by));
        }
        free(x.all), free(got.all);
    }
}

TEST(column, every_set_of_kernels_finds_two_bytes_at_the_same_places)
{
    for (int round = 0; round < ROUNDS; round++) {
        uint32_t len = 1 + chance(12), n = len + chance(300);
        struct room text = room_of(n, 1);
        for (uint32_t i = 0; i < n; i++)
            ((uint8_t *)text.p)[i] = (uint8_t) "aAb@ 7"[chance(6)];
        struct probe p = {.at = {chance(len), chance(len)}, .len = len};
        for (int i = 0; i < 2; i++) {
            p.byte[i] = (uint8_t) "ab@7"[chance(4)];
            p.fold[i] = p.byte[i] >= 'a' && chance(2) != 0 ? 0x20 : 0;
        }
        const uint8_t *begin = text.p, *end = begin + n - len + 1;
        for (const uint8_t *at = begin; at != NULL;) {
            const uint8_t *want = at;
            while (want < end && ((want[p.at[0]] | p.fold[0]) != p.byte[0] ||
                                  (want[p.at[1]] | p.fold[1]) != p.byte[1]))
                want++;
            if (want == end) want = NULL;
            for (int set = 0; set < N_SIMD; set++) {
                const struct simd_kernels *k = simd_of((enum simd)set);
                if (k != NULL) REQUIRE(k->probe(&p, at, end) == want);
            }
            at = want != NULL ? want + 1 : NULL;
        }
        free(text.all);
    }
}

TEST(column, the_set_that_runs_is_the_last_that_the_processor_has)
{
    const struct simd_kernels *best = NULL;
    for (int set = 0; set < N_SIMD; set++) {
        if (simd_of((enum simd)set) != NULL) best = simd_of((enum simd)set);
    }
    REQUIRE(simd() == best);
    print_message("the kernels of this processor: %s\n", best->name);
}

TEST(column, neon_is_what_every_arm64_has_and_nothing_else)
{
#if defined(__AARCH64EL__)
    REQUIRE(simd() == simd_of(SIMD_NEON));
#else
    REQUIRE(simd_of(SIMD_NEON) == NULL);
#endif
}

TEST(column, rows_that_are_true_and_not_null_are_found_beyond_one_vector)
{
    enum { N = VEC_ROWS * 2 + 77 };
    static uint8_t bools[N];
    static uint64_t nulls[BIT_WORDS(N)];
    static uint32_t rows[N];
    uint32_t want = 0;
    for (uint32_t i = 0; i < N; i++) {
        bools[i] = chance(3) == 0;
        if (chance(10) == 0) bit_set(nulls, i);
    }
    uint32_t n = bools_rows(bools, nulls, N, rows);
    for (uint32_t i = 0; i < N; i++) {
        if (bools[i] && !bit_get(nulls, i)) EXPECT_EQ(rows[want++], i);
    }
    EXPECT_EQ(n, want);
}
