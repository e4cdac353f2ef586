/* SPDX-License-Identifier: Apache-2.0 */
/* Searching text: whatever the length and the place, the fast ways find what the slow ones find. */
#include "test.h"

#include "base/arena.h"
#include "func/needle.h"
#include "func/regex.h"

#include <stdio.h>
#include <stdlib.h>

static uint64_t seed = 88172645463325252ULL;

static uint32_t chance(uint32_t below)
{
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    return (uint32_t)(seed >> 33) % below;
}

static size_t slow_find(const struct needle *n, struct bytes s, size_t from)
{
    for (size_t i = from; i + n->text.len <= s.len; i++) {
        size_t k = 0;
        while (k < n->text.len && (n->nocase ? char_lower(s.p[i + k]) : s.p[i + k]) == n->text.p[k])
            k++;
        if (k == n->text.len) return i;
    }
    return TEXT_NONE;
}

TEST(func, a_needle_is_found_at_every_place_and_never_beyond_the_text)
{
    CLEANUP_ARENA struct arena a;
    arena_init(&a, 0);
    for (int round = 0; round < 20000; round++) {
        size_t len = chance(80), needle_len = 1 + chance(chance(2) == 0 ? 4 : 40);
        uint8_t *text = malloc(len + 1); /* ASan guards what lies behind */
        uint8_t want[48];
        REQUIRE(text != NULL);
        uint8_t *exact = len != 0 ? malloc(len) : NULL;
        for (size_t i = 0; i < len; i++)
            exact[i] = (uint8_t) "aAbB@`[{"[chance(8)];
        size_t at = len > needle_len ? chance((uint32_t)(len - needle_len)) : 0;
        for (size_t i = 0; i < needle_len; i++) {
            want[i] =
                at + i < len && chance(20) != 0 ? exact[at + i] : (uint8_t) "aAbB@`[{"[chance(8)];
        }
        for (int nocase = 0; nocase < 2; nocase++) {
            struct needle n;
            size_t got_len, from = len != 0 ? chance((uint32_t)len) : 0;
            REQUIRE(needle_init(&n, bytes_of(want, needle_len), nocase == 1, &a));
            struct bytes s = bytes_of(exact, len);
            if (needle_find(&n, s, from, &got_len) != slow_find(&n, s, from)) {
                fail_msg("'%.*s' in '%.*s' from %zu, nocase %d", (int)needle_len, (char *)want,
                         (int)len, (char *)exact, from, nocase);
            }
        }
        free(text);
        free(exact);
    }
}

/* Rows of one text, as a decoded column has them, and rows that lie elsewhere. */
static uint32_t make_rows(uint8_t *text, size_t len, struct bytes *rows)
{
    static uint8_t elsewhere[] = "b aB-a";
    uint32_t n = 0;
    for (size_t at = 0; at < len;) {
        size_t row_len = chance(7) < len - at ? chance(7) : len - at;
        if (row_len > len - at) row_len = len - at;
        rows[n++] = bytes_of(text + at, row_len);
        at += row_len;
        if (chance(20) == 0) rows[n++] = bytes_of(elsewhere, chance(sizeof elsewhere));
        if (chance(20) == 0) rows[n++] = (struct bytes){0};
        if (row_len == 0 && chance(2) != 0) rows[n++] = bytes_of(text + at, 1), at++;
    }
    return n;
}

TEST(func, a_column_searched_as_one_text_has_the_rows_that_each_row_says)
{
    CLEANUP_ARENA struct arena a;
    arena_init(&a, 0);
    static struct bytes rows[2000];
    for (int round = 0; round < 3000; round++) {
        uint8_t text[300], want[4];
        size_t len = chance(sizeof text), want_len = chance(sizeof want);
        for (size_t i = 0; i < len; i++)
            text[i] = (uint8_t) "aAb -"[chance(5)];
        for (size_t i = 0; i < want_len; i++)
            want[i] = (uint8_t) "aAb -"[chance(5)];
        uint32_t n_rows = make_rows(text, len, rows);
        struct needle n;
        REQUIRE(needle_init(&n, bytes_of(want, want_len), chance(2) == 0, &a));
        struct needle_rows r = {.needle = &n, .bounds = chance(4), .rows = rows, .n_rows = n_rows};
        uint32_t row = 0, hit = UINT32_MAX;
        for (bool more = needle_rows_next(&r, &hit); row < n_rows; row++) {
            bool said = more && hit == row;
            REQUIRE(said == needle_bounded(&n, rows[row], r.bounds));
            if (said) more = needle_rows_next(&r, &hit);
        }
    }
}

TEST(func, case_and_letters_follow_unicode)
{
    EXPECT_EQ(char_lower(0x410), 0x430);   /* Cyrillic A */
    EXPECT_EQ(char_upper(0xe9), 0xc9);     /* e with acute */
    EXPECT_EQ(char_lower(0x212a), 0x212a); /* KELVIN SIGN would become k */
    EXPECT_EQ(char_upper(0x17f), 0x17f);   /* LONG S would become S */
    REQUIRE(char_alnum(0x4e2d) && char_alnum(0x663) && char_alnum('z'));
    REQUIRE(!char_alnum('_') && !char_alnum(0x2014) && !char_alnum(0x1f600));
    REQUIRE(text_eq_nocase(BYTES("\xce\xa3x"), BYTES("\xcf\x83X")));
    REQUIRE(!text_eq_nocase(BYTES("ab"), BYTES("abc")));
}

TEST(func, broken_utf8_is_stepped_over_byte_by_byte)
{
    static const char *const broken[] = {"\xff",   "\xc3",  "\xe2\x82",        "\xf0\x9f\x98",
                                         "a\x80z", "\xc3(", "\xf8\x88\x80\x80"};
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        size_t len = strlen(broken[i]);
        uint8_t *copy = malloc(len);
        REQUIRE(copy != NULL);
        memcpy(copy, broken[i], len);
        struct bytes s = bytes_of(copy, len);
        size_t steps = 0;
        while (s.len != 0)
            (void)utf8_next(&s), steps++;
        REQUIRE(steps >= 1 && steps <= len);
        struct buf out = {0};
        text_lower(bytes_of(copy, len), &out);
        REQUIRE(!out.bad);
        buf_release(&out);
        free(copy);
    }
}

/* The plain text that is looked for first must never hide a match. */
TEST(func, a_literal_looked_for_first_never_hides_a_match)
{
    static const struct {
        const char *pattern, *text;
        bool match;
    } cases[] = {
        {"ab?c", "ac", true},
        {"ab*c", "ac", true},
        {"ab+c", "abbc", true},
        {"ab{0}c", "ac", true},
        {"ab{2}c", "abbc", true},
        {"ab{2}c", "abc", false},
        {"abc|d", "d", true},
        {"x(abc|d)y", "xdy", true},
        {"x(abc)?y", "xy", true},
        {"x[abc]y", "xby", true},
        {"x[]abc]y", "x]y", true},
        {"x[^abc]y", "xzy", true},
        {"(?i)abc", "ABC", true},
        {"x(?i:abc)", "xABC", true},
        {"a\\.b", "a.b", true},
        {"a\\.b", "axb", false},
        {"a\\\\b", "a\\b", true},
        {"\\Qa.b\\E", "a.b", true},
        {"\\x41bc", "Abc", true},
        {"ab\\d+cd", "ab12cd", true},
        {"^ab$", "ab", true},
        {"a.b", "axb", true},
        {"\xc3\xa9*x", "x", true},
        {"a\xc3\xa9?b", "ab", true},
        {"timed out after [0-9]{4,} ms", "it timed out after 12345 ms", true},
        {"timed out after [0-9]{4,} ms", "it timed out after 123 ms", false},
        {"[[:alpha:]]bc", "abc", true},
        {"a[[:digit:]]bcd", "a1bcd", true},
        {"a{,5}b", "a{,5}b", true},
        {"(a)(b)", "ab", true},
        {"(a(b)c)*d", "d", true},
        {"a\\bb|c", "c", true},
        {"", "", true},
    };
    struct diag d = DIAG_INIT;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CLEANUP_REGEX struct regex *re = NULL;
        struct bytes hit;
        REQUIRE_OK(regex_get(bytes_str(cases[i].pattern), &re, &d));
        if (regex_test(re, bytes_str(cases[i].text)) != cases[i].match)
            fail_msg("%s on %s", cases[i].pattern, cases[i].text);
        EXPECT_EQ(regex_find(re, bytes_str(cases[i].text), 0, &hit, 1), cases[i].match);
    }
}

TEST(func, the_cache_of_expressions_is_bounded_and_keeps_those_in_use)
{
    struct diag d = DIAG_INIT;
    struct regex *kept = NULL;
    REQUIRE_OK(regex_get(BYTES("kept[0-9]"), &kept, &d));
    for (int i = 0; i < REGEX_CACHE_MAX * 2; i++) {
        char pattern[32];
        struct regex *re;
        snprintf(pattern, sizeof pattern, "p%d[ab]", i);
        REQUIRE_OK(regex_get(bytes_str(pattern), &re, &d));
        regex_put(re);
    }
    REQUIRE(regex_test(kept, BYTES("a kept7 b")));
    regex_put(kept);
    REQUIRE_ERR(ERR_INVALID, regex_get(BYTES("(?=x)"), &kept, &d));
    REQUIRE_ERR(ERR_INVALID, regex_get(BYTES("(a)\\1"), &kept, &d));
    char *huge = malloc(REGEX_PATTERN_MAX + 1);
    REQUIRE(huge != NULL);
    memset(huge, 'a', REGEX_PATTERN_MAX + 1);
    REQUIRE_ERR(ERR_LIMIT, regex_get(bytes_of(huge, REGEX_PATTERN_MAX + 1), &kept, &d));
    free(huge);
}
