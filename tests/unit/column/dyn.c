/* SPDX-License-Identifier: Apache-2.0 */
/* Dynamic values: JSON in, the same JSON out; what is no JSON stays a string. */
#include "test.h"

#include <stdlib.h>

#include "column/dyn.h"

static struct buf bin, text;

static const char *round_trip(const char *json)
{
    struct diag d = DIAG_INIT;
    buf_clear(&bin);
    buf_clear(&text);
    REQUIRE_OK(dyn_from_json(bytes_str(json), &bin, &d));
    REQUIRE(dyn_valid(buf_view(&bin)));
    dyn_to_json(buf_view(&bin), &text);
    return buf_cstr(&text);
}

TEST(column, json_comes_back_compact_and_in_its_order)
{
    EXPECT_STR(round_trip(" {\"b\" : [1, 2.50, true,null,{}], \"a\":{\"x\":[]} } "),
               "{\"b\":[1,2.5,true,null,{}],\"a\":{\"x\":[]}}");
    EXPECT_STR(round_trip("[50.0,1e3,-0,9223372036854775807,9223372036854775808]"),
               "[50.0,1000.0,0,9223372036854775807,9223372036854776000.0]");
    EXPECT_STR(round_trip("\"a\\u00e9\\n\\\"\\\\\\/\\ud83d\\ude00\\ud800\\u0001\""),
               "\"a\xc3\xa9\\n\\\"\\\\/\xf0\x9f\x98\x80\xef\xbf\xbd\\u0001\"");
    EXPECT_STR(round_trip("null"), "null");
    buf_release(&bin);
    buf_release(&text);
}

TEST(column, text_that_is_not_json_stays_a_string)
{
    static const char *const cases[] = {
        "not json", "{\"a\":1", "[1,]",     "{'a':1}", "01",  "1.",  "+1",      "[1 2]",    "tru",
        "nullx",    "{\"a\"}",  "\"a\nb\"", "[1]]",    "{,}", "NaN", "\"\\x\"", "\"\\u12\""};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct diag d = DIAG_INIT;
        buf_clear(&bin);
        REQUIRE_OK(dyn_from_json(bytes_str(cases[i]), &bin, &d));
        if (dyn_kind(buf_view(&bin)) != DYN_STRING) fail_msg("%s", cases[i]);
        REQUIRE(bytes_eq(dyn_scalar(buf_view(&bin)).s, bytes_str(cases[i])));
    }
    buf_release(&bin);
}

TEST(column, depth_has_its_limit_and_a_deeper_text_is_a_string)
{
    char json[2 * DYN_DEPTH_MAX + 3];
    for (int depth = DYN_DEPTH_MAX - 3; depth <= DYN_DEPTH_MAX + 1; depth++) {
        memset(json, '[', (size_t)depth);
        memset(json + depth, ']', (size_t)depth);
        json[2 * depth] = '\0';
        const char *got = round_trip(json);
        EXPECT_EQ(dyn_kind(buf_view(&bin)), depth < DYN_DEPTH_MAX ? DYN_ARRAY : DYN_STRING);
        if (depth < DYN_DEPTH_MAX) EXPECT_STR(got, json);
    }
    buf_release(&bin);
    buf_release(&text);
}

TEST(column, members_and_elements_are_found)
{
    (void)round_trip("{\"a\":1,\"b\":[10,20,30],\"c\":\"x\"}");
    struct bytes v = buf_view(&bin);
    EXPECT_EQ(dyn_count(v), 3);
    EXPECT_EQ(dyn_scalar(dyn_member(v, BYTES("a"))).i, 1);
    EXPECT_EQ(dyn_member(v, BYTES("A")).len, 0);
    struct bytes b = dyn_member(v, BYTES("b"));
    EXPECT_EQ(dyn_scalar(dyn_index(b, 0)).i, 10);
    EXPECT_EQ(dyn_scalar(dyn_index(b, -1)).i, 30);
    EXPECT_EQ(dyn_index(b, 3).len, 0);
    EXPECT_EQ(dyn_index(b, -4).len, 0);
    EXPECT_EQ(dyn_index(v, 0).len, 0);
    buf_clear(&text);
    dyn_to_string(dyn_member(v, BYTES("c")), &text);
    EXPECT_STR(buf_cstr(&text), "x");
    buf_release(&bin);
    buf_release(&text);
}

/* Bytes from a disk: any cut and any changed byte is either refused or safe to walk. */
TEST(column, damaged_bytes_never_lead_a_reader_out_of_bounds)
{
    (void)round_trip("{\"a\":[1,2.5,{\"x\":null}],\"b\":\"text\",\"c\":true}");
    size_t n = bin.len;
    for (size_t cut = 1; cut < n; cut++) {
        uint8_t *copy = malloc(cut);
        REQUIRE(copy != NULL);
        memcpy(copy, bin.p, cut);
        REQUIRE(!dyn_valid(bytes_of(copy, cut)));
        buf_clear(&text);
        dyn_to_json(bytes_of(copy, cut), &text);
        free(copy);
    }
    for (size_t at = 0; at < n; at++) {
        for (int bit = 0; bit < 8; bit++) {
            uint8_t *copy = malloc(n);
            REQUIRE(copy != NULL);
            memcpy(copy, bin.p, n);
            copy[at] ^= (uint8_t)(1 << bit);
            (void)dyn_valid(bytes_of(copy, n));
            buf_clear(&text);
            dyn_to_json(bytes_of(copy, n), &text);
            free(copy);
        }
    }
    buf_release(&bin);
    buf_release(&text);
}
