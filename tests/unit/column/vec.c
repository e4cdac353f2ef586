/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors: built, sliced and gathered without losing a value or a null. */
#include "test.h"

#include "column/vec.h"

TEST(column, a_builder_keeps_values_and_nulls_through_its_growth)
{
    struct diag d = DIAG_INIT;
    CLEANUP_ARENA struct arena a;
    arena_init(&a, 0);
    struct vecb b;
    struct vec v;
    vecb_init(&b, &a, T_LONG, 3);
    for (int i = 0; i < 1000; i++) {
        if (i % 7 == 3) {
            vecb_null(&b);
        } else {
            vecb_i64(&b, i);
        }
    }
    REQUIRE_OK(vecb_finish(&b, &v, &d));
    EXPECT_EQ(v.n, 1000);
    for (uint32_t i = 0; i < 1000; i++) {
        EXPECT_EQ(vec_null(&v, i), i % 7 == 3);
        EXPECT_EQ(vec_i64(&v, i), i % 7 == 3 ? 0 : i);
    }
}

TEST(column, a_builder_over_its_limit_says_so_once)
{
    struct diag d = DIAG_INIT;
    CLEANUP_ARENA struct arena a;
    arena_init(&a, 10000);
    struct vecb b;
    struct vec v;
    vecb_init(&b, &a, T_STRING, 3);
    for (int i = 0; i < 1000; i++)
        vecb_str(&b, BYTES("some text that is copied"));
    REQUIRE_ERR(ERR_LIMIT, vecb_finish(&b, &v, &d));
}

TEST(column, a_builder_of_dynamics_over_its_limit_fails_too)
{
    struct diag d = DIAG_INIT;
    CLEANUP_ARENA struct arena a;
    arena_init(&a, 10000);
    struct vecb b;
    struct vec v;
    uint8_t text[105] = {'s', 100};
    vecb_init(&b, &a, T_DYNAMIC, 3);
    for (int i = 0; i < 1000; i++)
        vecb_str(&b, bytes_of(text, sizeof text));
    REQUIRE_ERR(ERR_LIMIT, vecb_finish(&b, &v, &d));
}

TEST(column, a_dynamic_null_becomes_a_null_of_the_vector_and_a_string_never_does)
{
    struct diag d = DIAG_INIT;
    CLEANUP_ARENA struct arena a;
    arena_init(&a, 0);
    struct vecb b;
    struct vec v;
    vecb_init(&b, &a, T_DYNAMIC, 1);
    vecb_str(&b, BYTES("n"));
    vecb_str(&b, BYTES("t"));
    REQUIRE_OK(vecb_finish(&b, &v, &d));
    REQUIRE(vec_null(&v, 0) && !vec_null(&v, 1));
    vecb_init(&b, &a, T_STRING, 1);
    vecb_null(&b);
    vecb_str(&b, BYTES(""));
    REQUIRE_OK(vecb_finish(&b, &v, &d));
    REQUIRE(!vec_null(&v, 0) && !vec_null(&v, 1));
    EXPECT_EQ(v.n, 2);
}

static void require_same(const struct vec *a, uint32_t i, const struct vec *b, uint32_t j)
{
    EXPECT_EQ(vec_null(a, i), vec_null(b, j));
    REQUIRE(bytes_eq(vec_str(a, i), vec_str(b, j)));
}

TEST(column, a_slice_at_any_offset_shows_the_same_rows)
{
    struct diag d = DIAG_INIT;
    CLEANUP_ARENA struct arena a;
    arena_init(&a, 0);
    struct vecb b;
    struct vec cols[2], dict;
    vecb_init(&b, &a, T_DYNAMIC, 0);
    for (int i = 0; i < 300; i++) {
        if (i % 5 == 0) {
            vecb_null(&b);
        } else {
            vecb_str(&b, bytes_of("tttttttttt", (size_t)(i % 10 + 1)));
        }
    }
    REQUIRE_OK(vecb_finish(&b, &cols[0], &d));
    dict = cols[0];
    uint32_t codes[300];
    for (uint32_t i = 0; i < 300; i++)
        codes[i] = (i * 7) % 300;
    cols[1] =
        (struct vec){.type = T_DYNAMIC, .shape = VEC_DICT, .n = 300, .codes = codes, .dict = &dict};
    struct batch whole = {.n_rows = 300, .n_cols = 2, .cols = cols}, part;
    for (uint32_t from = 0; from < 300; from += 13) {
        for (uint32_t n = 0; n <= 300 - from; n += 17) {
            REQUIRE_OK(batch_slice(&a, &whole, from, n, &part, &d));
            for (uint32_t i = 0; i < n; i++) {
                require_same(&part.cols[0], i, &cols[0], from + i);
                require_same(&part.cols[1], i, &cols[1], from + i);
            }
        }
    }
    uint32_t rows[] = {299, 0, 0, 17, 5};
    struct vec got;
    for (int c = 0; c < 2; c++) {
        REQUIRE_OK(vec_gather(&a, &cols[c], rows, 5, &got, &d));
        for (uint32_t i = 0; i < 5; i++)
            require_same(&got, i, &cols[c], rows[i]);
    }
}

TEST(column, a_constant_stands_for_all_rows)
{
    CLEANUP_ARENA struct arena a;
    arena_init(&a, 0);
    struct value v = {.type = T_STRING, .s = BYTES("x")};
    struct vec *c = vec_const(&a, &v, 10);
    REQUIRE(c != NULL && c->n == 10);
    REQUIRE(bytes_eq(vec_value(c, 9).s, BYTES("x")));
    v = (struct value){.type = T_LONG, .is_null = true};
    c = vec_const(&a, &v, 10);
    REQUIRE(c != NULL && vec_null(c, 9) && vec_value(c, 9).is_null);
}
