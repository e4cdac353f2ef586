/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/json/rows.c - rows of JSON text as cells */
#include "test.h"

#include "json/rows.h"

#include <stdlib.h>

static const char *const names[] = {"a", "b", "c\"d"};

static void print_cell(struct buf *out, const char *name, const struct json_cell *c)
{
    struct bytes t = json_cell_text(c);
    if (c->kind == CELL_ABSENT) return;
    buf_fmt(out, "%s=", name);
    switch (c->kind) {
    case CELL_NULL: buf_str(out, "null"); break;
    case CELL_BOOL: buf_str(out, c->b ? "yes" : "no"); break;
    case CELL_LONG: buf_fmt(out, "%lld", (long long)c->i); break;
    case CELL_REAL: buf_fmt(out, "%g~%.*s", c->r, (int)t.len, (const char *)t.p); break;
    default: buf_bytes(out, t); break;
    }
    buf_u8(out, ' ');
}

/* "a=1 b=x ; a=2 ; +0": each row's cells, then how many fields were unknown; or "error: ...". */
static const char *read_all(const char *text)
{
    static struct buf out;
    struct diag d = DIAG_INIT;
    CLEANUP(json_rows_free) struct json_rows *r = NULL;
    buf_clear(&out);
    REQUIRE_OK(json_rows_new(&r, &d));
    /* No slack behind the text: ASan guards the end. */
    size_t len = strlen(text);
    char *copy = malloc(len != 0 ? len : 1);
    memcpy(copy, text, len);
    enum err e = json_rows_open(r, bytes_of(copy, len), names, 3, &d);
    free(copy);
    bool more = true;
    while (e == OK && more) {
        struct json_cell cells[3];
        e = json_rows_next(r, cells, &more, &d);
        for (int i = 0; e == OK && more && i < 3; i++)
            print_cell(&out, i == 2 ? "c" : names[i], &cells[i]);
        if (e == OK && more) buf_str(&out, "; ");
    }
    if (e != OK) {
        buf_clear(&out);
        buf_fmt(&out, "error: %s", d.text);
    } else {
        buf_fmt(&out, "+%llu", (unsigned long long)json_rows_unknown(r));
    }
    return buf_cstr(&out);
}

static bool starts(const char *s, const char *with)
{
    return strncmp(s, with, strlen(with)) == 0;
}

TEST(json, rows_come_from_an_array_from_lines_and_from_one_object)
{
    EXPECT_STR(read_all("[{\"a\":1,\"b\":\"x\"},{\"b\":null}]"), "a=1 b=x ; b=null ; +0");
    EXPECT_STR(read_all("{\"a\":1}\n\n{\"a\":2}\r\n  {\"a\":3}"), "a=1 ; a=2 ; a=3 ; +0");
    EXPECT_STR(read_all("{\n  \"a\": 1,\n  \"b\": true\n}\n"), "a=1 b=yes ; +0");
    EXPECT_STR(read_all("\xef\xbb\xbf[ ]"), "+0");
    EXPECT_STR(read_all(" [{}] "), "; +0");
}

TEST(json, values_keep_their_kind_and_their_text)
{
    EXPECT_STR(read_all("[{\"a\":-9223372036854775808,\"b\":1.50}]"),
               "a=-9223372036854775808 b=1.5~1.50 ; +0");
    EXPECT_STR(read_all("[{\"a\":18446744073709551615}]"),
               "a=1.84467e+19~18446744073709551615 ; +0");
    EXPECT_STR(read_all("[{\"a\":{\"x\":[1,{}]} ,\"b\":[ ]}]"), "a={\"x\":[1,{}]} b=[ ] ; +0");
    EXPECT_STR(read_all("[{\"a\":\"\\u00e9\\n\\\"\",\"c\\\"d\":7}]"), "a=\xc3\xa9\n\" c=7 ; +0");
    EXPECT_STR(read_all("[{\"a\" : \"\" , \"b\" : \" x \" }]"), "a= b= x  ; +0");
}

TEST(json, unknown_fields_are_counted_and_the_last_of_two_equal_names_counts)
{
    EXPECT_STR(read_all("[{\"z\":{\"a\":1},\"a\":2},{\"a\":3,\"y\":[1,2],\"a\":4}]"),
               "a=2 ; a=4 ; +2");
}

TEST(json, rows_that_change_their_shape_are_still_found)
{
    EXPECT_STR(
        read_all("[{\"a\":1,\"b\":2},{\"b\":3,\"a\":4},{\"a\":5,\"q\":0,\"b\":6},{\"b\":7}]"),
        "a=1 b=2 ; a=4 b=3 ; a=5 b=6 ; b=7 ; +1");
}

TEST(json, what_is_not_rows_is_refused_with_the_number_of_the_row)
{
    REQUIRE(starts(read_all(""), "error: no rows"));
    REQUIRE(starts(read_all("hello"), "error: "));
    REQUIRE(starts(read_all("[{\"a\":1},5]"), "error: row 2"));
    REQUIRE(starts(read_all("{\"a\":1}\n{\"a\":}"), "error: row 2"));
    REQUIRE(starts(read_all("[{\"a\":1},{\"a\":01}]"), "error: row 2"));
    REQUIRE(starts(read_all("[{\"a\":1}] []"), "error: "));
    REQUIRE(starts(read_all("[{\"a\":1}"), "error: "));
    REQUIRE(starts(read_all("[{\"a\":\"\xff\"}]"), "error: "));
    REQUIRE(starts(read_all("[{\"a\":\"\\ud800\"}]"), "error: "));
    REQUIRE(starts(read_all("[{\"a\":tru}]"), "error: "));
}

TEST(json, a_text_cut_anywhere_is_refused_or_has_fewer_rows_and_is_never_read_beyond)
{
    const char *whole = "{\"a\":12,\"b\":\"x\\u0041\"}\n{\"a\":[1,{\"k\":2}],\"b\":-1.5e3}";
    for (size_t n = 0; n < strlen(whole); n++) {
        char *cut = strndup(whole, n);
        const char *got = read_all(cut);
        REQUIRE(starts(got, "error: ") || strcmp(got, "a=12 b=xA ; +0") == 0);
        free(cut);
    }
}
