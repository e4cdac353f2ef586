/* SPDX-License-Identifier: Apache-2.0 */
#include "api/encode.h"

#include "column/dyn.h"
#include "json/json.h"
#include "test.h"

#include <math.h>

static char text[512];

static const char *encoded(const struct value *v)
{
    struct arena a;
    arena_init(&a, 0);
    CLEANUP_BUF struct buf out = {0};
    struct vec *vec = vec_const(&a, v, 1);
    REQUIRE(vec != NULL);
    encode_value(&out, vec, 0);
    snprintf(text, sizeof text, "%s", buf_cstr(&out));
    arena_release(&a);
    return text;
}

TEST(encode, each_type_has_its_form)
{
    EXPECT_STR(encoded(&(struct value){.type = T_BOOL, .b = true}), "true");
    EXPECT_STR(encoded(&(struct value){.type = T_INT, .i = -7}), "-7");
    EXPECT_STR(encoded(&(struct value){.type = T_LONG, .i = INT64_MIN}), "-9223372036854775808");
    EXPECT_STR(encoded(&(struct value){.type = T_REAL, .r = 2}), "2.0");
    EXPECT_STR(encoded(&(struct value){.type = T_REAL, .r = 0.1}), "0.1");
    EXPECT_STR(encoded(&(struct value){.type = T_REAL, .r = NAN}), "\"NaN\"");
    EXPECT_STR(encoded(&(struct value){.type = T_REAL, .r = -INFINITY}), "\"-Infinity\"");
    EXPECT_STR(encoded(&(struct value){.type = T_DATETIME, .i = TICKS_UNIX}),
               "\"1970-01-01T00:00:00.0000000Z\"");
    EXPECT_STR(encoded(&(struct value){.type = T_TIMESPAN, .i = 36 * 3600 * TICKS_PER_S}),
               "\"1.12:00:00\"");
    EXPECT_STR(encoded(&(struct value){.type = T_STRING, .s = BYTES("")}), "\"\"");
    EXPECT_STR(encoded(&(struct value){.type = T_LONG, .is_null = true}), "null");
    EXPECT_STR(encoded(&(struct value){.type = T_GUID, .is_null = true}), "null");
}

TEST(encode, a_dynamic_value_is_a_string_that_holds_json)
{
    struct diag d = DIAG_INIT;
    CLEANUP_BUF struct buf dyn = {0};
    REQUIRE_OK(dyn_from_json(BYTES("{\"a\":[1,\"x\"]}"), &dyn, &d));
    EXPECT_STR(encoded(&(struct value){.type = T_DYNAMIC, .s = buf_view(&dyn)}),
               "\"{\\\"a\\\":[1,\\\"x\\\"]}\"");
    EXPECT_STR(encoded(&(struct value){.type = T_DYNAMIC, .is_null = true}), "null");
}

/* Whatever the bytes are, the text is JSON. */
TEST(encode, any_bytes_make_a_valid_json_string)
{
    for (unsigned first = 0; first < 256; first++) {
        for (unsigned second = 0; second < 256; second += 3) {
            const uint8_t bytes[3] = {(uint8_t)first, (uint8_t)second, 'x'};
            struct diag d = DIAG_INIT;
            CLEANUP_BUF struct buf out = {0};
            json_quote(&out, bytes_of(bytes, sizeof bytes));
            CLEANUP_JSON json_t *j = NULL;
            REQUIRE_OK(json_read(buf_view(&out), &j, &d));
            REQUIRE(json_is_string(j));
        }
    }
}

TEST(encode, well_formed_text_is_kept_as_it_is)
{
    CLEANUP_BUF struct buf out = {0};
    json_quote(&out, BYTES("a\"\\\n\t\x01 \xc3\xa9 \xe2\x82\xac \xf0\x9f\x94\x91"));
    EXPECT_STR(buf_cstr(&out), "\"a\\\"\\\\\\n\\t\\u0001 \xc3\xa9 \xe2\x82\xac \xf0\x9f\x94\x91\"");
}

TEST(encode, rows_of_several_batches_are_one_array)
{
    struct arena a;
    arena_init(&a, 0);
    CLEANUP_BUF struct buf out = {0};
    struct vec *v = vec_const(&a, &(struct value){.type = T_LONG, .i = 5}, 2);
    const struct batch b = {.n_rows = 2, .n_cols = 1, .cols = v};
    encode_rows(&out, &b, 0, false);
    encode_rows(&out, &b, 2, true);
    EXPECT_STR(buf_cstr(&out), "[5],[5],[5],[5]");
    arena_release(&a);
}
