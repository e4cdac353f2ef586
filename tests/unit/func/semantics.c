/* SPDX-License-Identifier: Apache-2.0 */
/* What engines get wrong: nulls, terms, case, overflow, regular expressions. Each line is a claim.
 */
#include "eval.h"

#include <stdio.h>

static const struct {
    const char *text, *want;
} claims[] = {
    /* null */
    {"int(null) == 5", "False"},
    {"int(null) != 5", "True"},
    {"int(null) == int(null)", ""},
    {"int(null) != int(null)", ""},
    {"int(null) < 5", ""},
    {"not(int(null) == 1)", "True"},
    {"not(bool(null))", ""},
    {"bool(null) and false", "False"},
    {"bool(null) and true", ""},
    {"bool(null) or true", "True"},
    {"bool(null) or false", ""},
    {"iff(bool(null), 1, 2)", "2"},
    {"case(bool(null), 1, true, 2, 3)", "2"},
    {"long(null) in (1, 2)", "False"},
    {"long(null) !in (1, 2)", "True"},
    {"long(null) + 1", ""},
    {"1 / 0", ""},
    {"1 % 0", ""},
    {"1.0 / 0", "inf"},
    {"-1.0 / 0.0", "-inf"},
    {"coalesce(int(null), 7)", "7"},
    {"coalesce('', 'x')", "x"},
    {"isnull('')", "False"},
    {"isempty(dynamic(\"\"))", "True"},
    {"isempty(int(null))", "True"},
    {"isnull(dynamic({\"a\":null}).a)", "True"},
    {"isnull(dynamic({}).a.b.c)", "True"},
    {"strcat('p', tostring(int(null)), 'q')", "pq"},
    {"real(nan) == real(nan)", "False"},
    {"real(nan) != real(nan)", "True"},
    {"dynamic({\"a\":\"x\"}).a == 'x'", "True"},
    {"dynamic({\"a\":5}).a > 4", "True"},
    {"dynamic({}).a == 'x'", "False"},
    {"dynamic({}).a != 'x'", "True"},
    /* types */
    {"gettype(int(1) + int(2))", "long"},
    {"gettype(1 + 2.0)", "real"},
    {"gettype(decimal(1) + 2.0)", "decimal"},
    {"gettype(1d / 1h)", "real"},
    {"gettype(2 * 1h)", "timespan"},
    {"2.5 * 1h", "02:30:00"},
    {"7d % 2d", "1.00:00:00"},
    {"datetime(2020-01-01) + 9999999d", ""},
    {"1h + datetime(2020-01-01)", "2020-01-01T01:00:00.0000000Z"},
    {"9223372036854775807 + 1", "-9223372036854775808"},
    {"(0 - 9223372036854775807 - 1) / -1", "-9223372036854775808"},
    {"(0 - 9223372036854775807 - 1) % -1", "0"},
    {"-5.5 % 3.0", "0.5"},
    {"14 % -12", "2"},
    {"decimal(0.1) + decimal(0.2) == decimal(0.3)", "True"},
    {"0.1 + 0.2 == 0.3", "False"},
    {"true == 1", "True"},
    {"'a' == 1", "? op ==: no such overload"},
    {"'a' < 'b'", "? op <: no such overload"},
    {"dynamic([1]) == dynamic([1])", "? op ==: no such overload"},
    {"datetime(2020-01-01) == 1d", "? op ==: no such overload"},
    {"'a' + 'b'", "? op +: argument 1 is string"},
    {"5 between (1 .. 5)", "True"},
    {"datetime(2020-01-05) between (datetime(2020-01-01) .. 4d)", "True"},
    {"datetime(2020-01-05) !between (datetime(2020-01-01) .. 4d)", "False"},
    {"int(null) between (1 .. 5)", ""},
    /* terms */
    {"'alpha_beta' has 'alpha'", "True"},
    {"'alphabeta' has 'alpha'", "False"},
    {"'x.y' has 'y'", "True"},
    {"'version=1.2.3' has '2.3'", "True"},
    {"'1_2_3' has '2.3'", "False"},
    {"'v1.2.3' has '1'", "False"},
    {"'abc abcd' has 'abcd'", "True"},
    {"'caf\xc3\xa9s caf\xc3\xa9' has 'CAF\xc3\x89'", "True"},
    {"'caf\xc3\xa9s' has 'caf\xc3\xa9'", "False"},
    {"'\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82 \xd0\xbc\xd0\xb8\xd1\x80' has "
     "'\xd0\x9c\xd0\x98\xd0\xa0'",
     "True"},
    {"'' has ''", "True"},
    {"'x' hasprefix ''", "True"},
    {"'end.' hassuffix 'end'", "True"},
    {"'ending' hassuffix 'end'", "False"},
    {"'HELLO' has_cs 'hello'", "False"},
    {"'a-b' has '-b'", "True"},
    {"'some long text with the NEEDLE behind sixteen bytes' contains 'needle'", "True"},
    {"'some long text with the NEEDL behind sixteen bytes' contains 'needle'", "False"},
    {"'abc' !contains ''", "False"},
    {"'Stra\xc3\x9f"
     "e' =~ 'STRASSE'",
     "False"},
    {"'\xe2\x84\xaa' =~ 'k'", "False"}, /* KELVIN SIGN stays outside of ASCII */
    {"'a@b.c' has_any ('x', 'b')", "True"},
    {"'a@b.c' has_any (dynamic([\"x\",\"c\"]))", "True"},
    {"'a@b.c' has_all ('a', 'd')", "False"},
    {"5 in (dynamic([1, 5]))", "True"},
    {"1 in (dynamic([1.5]))", "False"},
    {"'A' in~ ('b', 'a')", "True"},
    {"123 contains '2'", "True"},
    /* regular expressions */
    {"'\xef\xbc\x91\xef\xbc\x92' matches regex '^\\\\d+$'", "True"},
    {"'a\xc2\xa0"
     "b' matches regex 'a\\\\sb'",
     "True"},
    {"'\xc3\xa9t\xc3\xa9' matches regex '^\\\\w+$'", "True"},
    {"'\xc3\xa9' matches regex '^[\\\\w]$'", "True"},
    {"'x' matches regex '(?<name>x)'", "True"},
    {"'x' matches regex '('", "? regular expression '(': missing ): ("},
    {"'x' matches regex '(?=x)'", "? regular expression '(?=x)': invalid perl operator: (?="},
    {"extract('(b)|(a)', 1, 'a')", ""},
    {"extract('x', 0, 'abc')", ""},
    {"extract('(.)', 5, 'abc')", ""},
    {"extract_all('(z)', 'abc')", ""},
    {"extract_all('a', 'aaa')",
     "? extract_all(): the regular expression has 0 groups, it needs 1 to 16"},
    {"extract_all('(?P<x>.)(.)', dynamic([\"x\"]), 'abcd')", "[\"a\",\"c\"]"},
    {"replace_regex('abc', '', '-')", "-a-b-c-"},
    {"replace_regex('a.b', '\\\\.', '\\\\\\\\')", "a\\b"},
    {"trim('\\\\s+', '  x ')", "x"},
    {"trim_end('x', 'x')", ""},
    {"countof('aaaa', 'aa')", "3"},
    {"countof('aaaa', 'aa', 'regex')", "2"},
    {"countof('a', 'a', 'x')", "? countof(): the kind is 'normal' or 'regex'"},
    /* text */
    {"substring('hello', -100, 3)", ""},
    {"substring('a\xf0\x9f\x98\x80"
     "b', 1, 1)",
     "\xf0\x9f\x98\x80"},
    {"substring('a\xf0\x9f\x98\x80"
     "b', -1)",
     "b"},
    {"indexof('abc', '')", ""},
    {"indexof('\xc3\xa9"
     "abc', 'b')",
     "2"},
    {"split('a,b', ',', 5)", ""},
    {"toupper('stra\xc3\x9f"
     "e')",
     "STRA\xc3\x9f"
     "E"},
    /* conversion */
    {"toint('3.14')", ""},
    {"toint(tostring(42.0))", ""},
    {"toint(2147483648)", "-2147483648"},
    {"tolong(1e19)", "9223372036854775807"},
    {"tolong(1.0/0)", ""},
    {"tobool(' true')", ""},
    {"tobool('-1')", "True"},
    {"tostring(dynamic(true))", "true"},
    {"tostring(true)", "True"},
    {"todatetime(1.5)", "0001-01-01T00:00:00.0000001Z"},
    {"parse_json('not json')", "not json"},
    {"gettype(parse_json('{\"a\":1'))", "string"},
    {"gettype(dynamic(1.5))", "double"},
    /* dynamic */
    {"dynamic([1,2,3])[-1]", "3"},
    {"dynamic([1,2,3])[3]", ""},
    {"dynamic({\"a b\":1})['a b']", "1"},
    {"array_length(dynamic({}))", ""},
    {"array_sort_asc(dynamic([3,1.5,\"b\",2,\"a\",null]))", "[1.5,2,3,\"a\",\"b\",null]"},
    {"array_sort_desc(dynamic([1,3,2]), dynamic([\"a\",\"b\",\"c\"]))[1]", "[\"b\",\"c\",\"a\"]"},
    {"array_sort_asc(dynamic([2,1]), dynamic([1]))", "[[1,2],null]"},
    {"replace_strings('This is', dynamic([\"is\",\"This\"]), dynamic([\"was\",\"x\"]))",
     "Thwas was"},
    {"make_timespan(2, 30)", "02:30:00"},
    {"make_timespan(25, 70)", ""},
    {"make_datetime(2020, 13, 1)", ""},
    {"base64_decode_tostring('S3VzdG8')", ""},
    {"bag_pack('a', 1, 'b')", "? bag_pack: no such overload"},
    {"bag_merge(dynamic({\"k\":1}), dynamic(null))", "{\"k\":1}"},
    {"set_has_element(dynamic([1,\"a\"]), 'a')", "True"},
    {"parse_url('https://[::1]:80/x')['Host']", "[::1]"},
    {"parse_xml('<a><b k=\"1\">x &amp; y</b><b/></a>')",
     "{\"a\":{\"b\":[{\"@k\":\"1\",\"#text\":\"x & y\"},null]}}"},
    {"parse_xml('<a><b></a>')", ""},
    {"parse_xml('<a>&nosuch;</a>')", ""},
    {"format_datetime(datetime(2020-06-15), 'K')",
     "? format_datetime(): the format 'K' has a part that is not known"},
    {"datetime_add('fortnight', 1, now())",
     "? datetime_add(): 'fortnight' is no part of a datetime"},
    {"bin(datetime(2024-01-01), 0s)", ""},
    {"bin(datetime(1955-11-05), 7d)", "1955-10-31T00:00:00.0000000Z"},
    {"ipv4_is_private('nonsense')", ""},
    {"hash('World', 100)", "51"},
    {"hash(datetime(2015-01-01))", "1380966698541616202"},
    {"hash_md5('')", "d41d8cd98f00b204e9800998ecf8427e"},
    {"hash_md5('12345678901234567890123456789012345678901234567890123456789012345678901234567890')",
     "57edf4a22be3c955ac49da2e2107b67a"},
};

TEST(func, what_engines_get_wrong_is_right_here_for_one_row_and_for_many)
{
    unsigned bad = 0;
    for (size_t i = 0; i < sizeof claims / sizeof *claims; i++) {
        for (uint32_t rows = 1; rows <= 130; rows += 129) {
            struct ev e;
            ev_init(&e, claims[i].text, rows);
            const char *got = ev_text(&e);
            if (strcmp(got, claims[i].want) != 0) {
                fprintf(stderr, "%s gives '%s', not '%s' (%u rows)\n", claims[i].text, got,
                        claims[i].want, rows);
                bad++;
            }
            ev_release(&e);
        }
    }
    EXPECT_EQ(bad, 0);
}

/* A dictionary vector, a flat one of the same rows and row by row all give the same. */
TEST(func, a_dictionary_is_evaluated_by_entry_and_gives_the_same_rows)
{
    static const char *const entries[] = {"alpha",       "Beta gamma", "",
                                          "caf\xc3\xa9", "alpha_x",    "10.0.0.1"};
    static const char *const calls[] = {
        "op has", "op contains", "op ==", "op startswith", "strcat", "strcmp"};
    struct diag d = DIAG_INIT;
    CLEANUP_ARENA struct arena a;
    arena_init(&a, 0);
    struct vecb b;
    struct vec dict, flat, coded, results[2];
    uint32_t codes[300];
    vecb_init(&b, &a, T_STRING, 0);
    for (size_t i = 0; i < 6; i++)
        vecb_str(&b, bytes_str(entries[i]));
    REQUIRE_OK(vecb_finish(&b, &dict, &d));
    for (uint32_t i = 0; i < 300; i++)
        codes[i] = (i * 7 + i / 11) % 6;
    coded =
        (struct vec){.type = T_STRING, .shape = VEC_DICT, .n = 300, .codes = codes, .dict = &dict};
    uint32_t rows[300];
    for (uint32_t i = 0; i < 300; i++)
        rows[i] = i;
    REQUIRE_OK(vec_gather(&a, &coded, rows, 300, &flat, &d));
    struct value needle = {.type = T_STRING, .s = BYTES("alpha")};
    const struct vec *constant = vec_const(&a, &needle, 300);
    for (size_t k = 0; k < sizeof calls / sizeof *calls; k++) {
        enum type types[2] = {T_STRING, T_STRING};
        const struct value *consts[2] = {NULL, &needle};
        const struct fn *fn = fn_find(calls[k]);
        struct fn_call call = {.fn = fn, .n_args = 2, .arg_types = types, .consts = consts};
        call.ret = fn->ret != T_NONE ? fn->ret : fn->ret_of(types, consts, 2);
        if (fn->prepare != NULL) REQUIRE_OK(fn->prepare(&call, &a, &d));
        struct fn_cx cx = {.a = &a, .d = &d};
        for (int form = 0; form < 2; form++) {
            const struct vec *args[2] = {form == 0 ? &coded : &flat, constant};
            REQUIRE_OK(fn_run(&cx, &call, args, 300, &results[form]));
        }
        for (uint32_t i = 0; i < 300; i++) {
            struct value x = vec_value(&results[0], i), y = vec_value(&results[1], i);
            REQUIRE(value_eq(&x, &y));
        }
        EXPECT_EQ(results[0].shape, call.ret == T_STRING ? VEC_DICT : VEC_FLAT);
    }
}

/* Ten thousand candidates are a set: looking one up does not walk the list. */
TEST(func, a_long_list_of_candidates_is_searched_by_hash)
{
    enum { N = 10000 };
    struct diag d = DIAG_INIT;
    CLEANUP_ARENA struct arena a;
    arena_init(&a, 0);
    static struct value values[N];
    static const struct value *consts[N + 1];
    static enum type types[N + 1];
    for (int i = 0; i < N; i++) {
        values[i] = (struct value){.type = T_LONG, .i = i * 2};
        consts[i + 1] = &values[i];
    }
    for (int i = 0; i <= N; i++)
        types[i] = T_LONG;
    struct fn_call call = {.fn = fn_find("op in"),
                           .ret = T_BOOL,
                           .n_args = N + 1,
                           .arg_types = types,
                           .consts = consts};
    REQUIRE(call.fn->arity_max >= N + 1);
    REQUIRE_OK(call.fn->prepare(&call, &a, &d));
    static int64_t data[VEC_ROWS];
    for (int i = 0; i < VEC_ROWS; i++)
        data[i] = i * 11;
    struct vec v = {.type = T_LONG, .shape = VEC_FLAT, .n = VEC_ROWS, .data = data}, out;
    static const struct vec *args[N + 1];
    for (int i = 0; i < N; i++)
        args[i + 1] = vec_const(&a, &values[i], VEC_ROWS);
    args[0] = &v;
    struct fn_cx cx = {.a = &a, .d = &d};
    for (int again = 0; again < 100; again++)
        REQUIRE_OK(fn_run(&cx, &call, args, VEC_ROWS, &out));
    for (uint32_t i = 0; i < VEC_ROWS; i++)
        EXPECT_EQ(vec_bool(&out, i), data[i] % 2 == 0 && data[i] < 2 * N);
}
