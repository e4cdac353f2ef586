/* SPDX-License-Identifier: Apache-2.0 */
/* Comparisons of columns with constants: they run as ranges, and packed texts in a way of their own. */
#include "test.h"

#include "func/fn.h"

#include <math.h>
#include <stdio.h>

static struct diag d;
static uint64_t seed = 88172645463325252ULL;

static uint32_t chance(uint32_t below)
{
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    return (uint32_t)(seed >> 33) % below;
}

static const uint8_t *ask(struct arena *a, const char *op, const struct vec *x, const struct vec *y)
{
    const struct fn *fn = fn_find(op);
    REQUIRE(fn != NULL);
    enum type types[] = {x->type, y->type};
    struct value constant = vec_value(y, 0);
    const struct value *consts[] = {NULL, &constant};
    struct fn_call call = {
        .fn = fn, .ret = T_BOOL, .n_args = 2, .arg_types = types, .consts = consts};
    if (fn->prepare != NULL) REQUIRE_OK(fn->prepare(&call, a, &d));
    struct fn_cx cx = {.a = a, .d = &d};
    const struct vec *args[] = {x, y};
    struct vec out;
    REQUIRE_OK(fn_run(&cx, &call, args, x->n, &out));
    EXPECT_EQ(out.shape, VEC_FLAT);
    return out.data;
}

#define HOLDS(op, x, y)                                           \
    ((op)[3] == '='   ? (x) == (y)                                \
     : (op)[3] == '!' ? (x) != (y)                                \
     : (op)[3] == '<' ? ((op)[4] == '=' ? (x) <= (y) : (x) < (y)) \
                      : ((op)[4] == '=' ? (x) >= (y) : (x) > (y)))

static const char *const six[] = {"op ==", "op !=", "op <", "op <=", "op >", "op >="};

TEST(func, every_comparison_of_longs_with_a_constant_holds_at_the_ends_of_their_range)
{
    static const int64_t longs[] = {INT64_MIN, INT64_MIN + 1, -1, 0, 1, INT64_MAX - 1, INT64_MAX};
    const uint32_t n = sizeof longs / sizeof *longs;
    struct vec x = {.type = T_LONG, .n = n, .data = longs};
    for (uint32_t k = 0; k < n; k++) {
        struct vec y = {.type = T_LONG, .shape = VEC_CONST, .n = n, .data = &longs[k]};
        for (int o = 0; o < 6; o++) {
            CLEANUP_ARENA struct arena a;
            arena_init(&a, 0);
            const uint8_t *got = ask(&a, six[o], &x, &y);
            for (uint32_t i = 0; i < n; i++)
                EXPECT_EQ(got[i], HOLDS(six[o], longs[i], longs[k]));
        }
    }
}

TEST(func, every_comparison_of_reals_with_a_constant_holds_for_zeros_infinities_and_nan)
{
    static const double reals[] = {-INFINITY, -1e308, -1.5,  -5e-324,  -0.0,       0.0,
                                   5e-324,    1.5,    1e308, INFINITY, (double)NAN};
    const uint32_t n = sizeof reals / sizeof *reals;
    struct vec x = {.type = T_REAL, .n = n, .data = reals};
    for (uint32_t k = 0; k < n; k++) {
        struct vec y = {.type = T_REAL, .shape = VEC_CONST, .n = n, .data = &reals[k]};
        for (int o = 0; o < 6; o++) {
            CLEANUP_ARENA struct arena a;
            arena_init(&a, 0);
            const uint8_t *got = ask(&a, six[o], &x, &y);
            for (uint32_t i = 0; i < n; i++) {
                if (got[i] != HOLDS(six[o], reals[i], reals[k]))
                    fail_msg("%g %s %g", reals[i], six[o], reals[k]);
            }
        }
    }
}

/* The same texts twice: packed, as a decoded column has them, and each somewhere else. */
TEST(func, packed_texts_compare_and_are_searched_as_texts_anywhere)
{
    static const char *const ops[] = {"op ==",          "op !=",           "op contains",
                                      "op contains_cs", "op !contains",    "op has",
                                      "op startswith",  "op matches regex"};
    for (int round = 0; round < 400; round++) {
        CLEANUP_ARENA struct arena a;
        arena_init(&a, 0);
        enum { N = 50 };
        uint8_t text[N * 12];
        struct bytes packed[N], apart[N], wanted;
        size_t len = 0, each = round % 2 != 0 ? 8 + chance(4) : 0;
        for (uint32_t i = 0; i < N; i++) {
            size_t n = each != 0 ? each : chance(12);
            for (size_t k = 0; k < n; k++)
                text[len + k] = (uint8_t) "aAb "[chance(4)];
            packed[i] = bytes_of(text + len, n);
            len += n;
        }
        for (uint32_t i = 0; i < N; i++)
            apart[i] = arena_bytes(&a, packed[i]);
        wanted = chance(2) != 0 ? packed[chance(N)] : bytes_of(text, chance(4));
        struct vec y = {.type = T_STRING, .shape = VEC_CONST, .n = N, .data = &wanted};
        struct vec p = {.type = T_STRING, .n = N, .data = packed};
        struct vec q = {.type = T_STRING, .n = N, .data = apart};
        p.packed = each != 0 ? (uint32_t)each : VEC_PACKED;
        for (size_t o = 0; o < sizeof ops / sizeof *ops; o++)
            assert_memory_equal(ask(&a, ops[o], &p, &y), ask(&a, ops[o], &q, &y), N);
    }
}
