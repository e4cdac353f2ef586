/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/kql/lex.c - the lexer and the values of literals */
#include "kql/lex.h"

#include "fixture.h"

static const char *kind_names[] = {"end",  "name",     "string", "long",
                                   "real", "timespan", "typed",  "punct"};

/* "name:T punct:| ..." */
static void spell(const char *text, struct buf *out, struct diag *d)
{
    struct arena a;
    struct token *tokens;
    uint32_t n;
    arena_init(&a, 0);
    if (kql_lex(&a, bytes_str(text), &tokens, &n, d) == OK) {
        for (uint32_t i = 0; i + 1 < n; i++) {
            buf_fmt(out, "%s%s:%.*s", i == 0 ? "" : " ", kind_names[tokens[i].kind],
                    (int)tokens[i].len, text + tokens[i].pos);
        }
    }
    arena_release(&a);
}

TEST(lex, text_becomes_tokens)
{
    static const struct {
        const char *text, *tokens;
    } cases[] = {
        {"T | take 5", "name:T punct:| name:take long:5"},
        {"a-b", "name:a punct:- name:b"},
        {"1..5", "long:1 punct:.. long:5"},
        {"1.5e3 1e5 2. 0xFF", "real:1.5e3 real:1e5 real:2. long:0xFF"},
        {"1d 2.5h 10microseconds 1tick",
         "timespan:1d timespan:2.5h timespan:10microseconds timespan:1tick"},
        {"7zip _a $left a1", "name:7zip name:_a name:$left name:a1"},
        {"x in~ ('a') and y !in (1)", "name:x name:in~ punct:( string:'a' punct:) name:and name:y "
                                      "name:!in punct:( long:1 punct:)"},
        {"a!has b", "name:a name:!has name:b"},
        {"a != b <> c =~ d !~ e",
         "name:a punct:!= name:b punct:<> name:c punct:=~ name:d punct:!~ name:e"},
        {"h'x' @\"a\\b\" h@'q' \"a\\\"b\"",
         "string:h'x' string:@\"a\\b\" string:h@'q' string:\"a\\\"b\""},
        {"```a\nb``` @'it''s'", "string:```a\nb``` string:@'it''s'"},
        {"datetime(2020-01-01 10:00) long (5)", "typed:datetime(2020-01-01 10:00) typed:long (5)"},
        {"datetime + long", "name:datetime punct:+ name:long"},
        {"// all\nx // rest", "name:x"},
        {"x\xC2\xA0y", "name:x name:y"},
        {"gr\xC3\xB6\xC3\x9F"
         "e",
         "name:gr\xC3\xB6\xC3\x9F"
         "e"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct diag d = DIAG_INIT;
        CLEANUP_BUF struct buf out = {0};
        spell(cases[i].text, &out, &d);
        EXPECT_STR(buf_cstr(&out), cases[i].tokens);
        EXPECT_EQ(d.code, OK);
    }
}

TEST(lex, what_has_no_meaning_is_an_error_at_its_place)
{
    static const struct {
        const char *text;
        int pos;
    } cases[] = {
        {"x = 'open", 4}, {"x = 'line\n'", 4},      {"x ```never", 2},
        {"x # y", 2},     {"x = \xE2\x80\x9Cq", 4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct diag d = DIAG_INIT;
        CLEANUP_BUF struct buf out = {0};
        spell(cases[i].text, &out, &d);
        EXPECT_EQ(d.code, ERR_INVALID);
        EXPECT_EQ(d.pos, cases[i].pos);
    }
}

/* The value of a constant expression as tostring() would have it. */
static const char *value_text(struct arena *a, const char *expr)
{
    struct plan plan;
    struct diag d;
    const char *query = arena_fmt(a, "print v = %s", expr);
    CLEANUP_BUF struct buf out = {0};
    REQUIRE_OK(compile(a, query, &plan, &d));
    const struct expr *e = plan.root->project.exprs[0];
    EXPECT_EQ(e->kind, EXPR_CONST);
    const struct value *v = &e->value;
    if (v->is_null) {
        buf_str(&out, "null");
    } else if (v->type == T_STRING) {
        buf_bytes(&out, v->s);
    } else if (v->type == T_REAL) {
        real_format(v->r, &out);
    } else if (v->type == T_DATETIME) {
        datetime_format(v->i, &out);
    } else if (v->type == T_TIMESPAN) {
        timespan_format(v->i, &out);
    } else if (v->type == T_DYNAMIC) {
        buf_fmt(&out, "%zu bytes", v->s.len);
    } else if (v->type == T_BOOL) {
        buf_str(&out, v->b ? "true" : "false");
    } else {
        buf_fmt(&out, "%lld", (long long)v->i);
    }
    buf_fmt(&out, " %s", type_name(v->type));
    return arena_str(a, buf_view(&out));
}

TEST(literal, every_form_has_its_value)
{
    static const struct {
        const char *text, *value;
    } cases[] = {
        {"5", "5 long"},
        {"0x1f", "31 long"},
        {"-9223372036854775808", "-9223372036854775808 long"},
        {"1.5", "1.5 real"},
        {"2.", "2.0 real"},
        {"1e3", "1000.0 real"},
        {"true", "true bool"},
        {"False", "false bool"},
        {"'a' \"b\" @'\\c'", "ab\\c string"},
        {"\"\\t\\x41\\u00e9\\101\\\\\"", "\tA\xC3\xA9"
                                         "A\\ string"},
        {"\"\\ud83d\\ude00\"", "\xF0\x9F\x98\x80 string"},
        {"h'hidden'", "hidden string"},
        {"@'it''s'", "it's string"},
        {"```a\"b```", "a\"b string"},
        {"1d", "1.00:00:00 timespan"},
        {"2.5h", "02:30:00 timespan"},
        {"1m", "00:01:00 timespan"},
        {"10ms", "00:00:00.0100000 timespan"},
        {"3micro", "00:00:00.0000030 timespan"},
        {"7ticks", "00:00:00.0000007 timespan"},
        {"time(1.02:03:04)", "1.02:03:04 timespan"},
        {"datetime(2020-02-29)", "2020-02-29T00:00:00.0000000Z datetime"},
        {"datetime(null)", "null datetime"},
        {"long(null)", "null long"},
        {"int(7)", "7 int"},
        {"real(null)", "null real"},
        {"bool(true)", "true bool"},
        {"dynamic(null)", "null dynamic"},
        {"dynamic(5)", "9 bytes dynamic"},
        {"dynamic({\"a\": [1, -2.5, \"x\", null, datetime(2020-01-01)], 'b': {}})",
         "71 bytes dynamic"},
    };
    struct arena a;
    arena_init(&a, 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        EXPECT_STR(value_text(&a, cases[i].text), cases[i].value);
    }
    arena_release(&a);
}
