/* SPDX-License-Identifier: Apache-2.0 */
/* Literals of a pattern: they may only leave out texts that the pattern does not match. */
#include "test.h"

#include "func/literals.h"
#include "func/regex.h"

#include <stdio.h>

static struct diag d;
static uint64_t seed = 88172645463325252ULL;

static uint32_t chance(uint32_t below)
{
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    return (uint32_t)(seed >> 33) % below;
}

static const char *parts_of(const char *pattern)
{
    static char out[200];
    struct literals l;
    literals_of(bytes_str(pattern), &l);
    out[0] = 0;
    for (uint32_t i = 0; i < l.n; i++) {
        snprintf(out + strlen(out), sizeof out - strlen(out), "<%.*s>", (int)l.parts[i].text.len,
                 (const char *)l.parts[i].text.p);
    }
    literals_release(&l);
    return out;
}

TEST(func, the_plain_texts_of_a_pattern_are_read_in_their_order)
{
    EXPECT_STR(parts_of("timed out after [0-9]{4,} ms .*shard-1[0-9]\\b"),
               "<timed out after >< ms ><shard-1>");
    EXPECT_STR(parts_of("abc"), "<abc>");
    EXPECT_STR(parts_of("^user\\.name=(x|y)?end$"), "<user.name=><end>");
    EXPECT_STR(parts_of("abc|def"), "");
    EXPECT_STR(parts_of("(?i)abc"), "");
    EXPECT_STR(parts_of("abc?d"), "<ab>");
    EXPECT_STR(parts_of("ab+cd*ef"), "<ab><ef>");
    EXPECT_STR(parts_of("ab\\dcd{2}ef"), "<ab><ef>");
    EXPECT_STR(parts_of("a.b.c"), "");
    EXPECT_STR(parts_of("ab\\x41cd"), "");
}

/* With a group of flags around it nothing is known of a pattern: the automaton alone decides. */
TEST(func, a_pattern_matches_the_same_rows_with_and_without_its_literals)
{
    static const char *const pieces[] = {"ab", "b-",    "-1",  "[0-9]", "a+",      "b?",
                                         ".*", "(a|-)", "\\b", "b{2}",  "\\d",     "ba",
                                         "1a", "(ab)*", "\\-", "[^a]",  "a(b|1)b", "."};
    enum { N = 64 };
    for (int round = 0; round < 500; round++) {
        char pattern[100] = "", bare[110];
        for (uint32_t n = 1 + chance(5); n > 0; n--)
            strcat(pattern, pieces[chance(sizeof pieces / sizeof *pieces)]);
        snprintf(bare, sizeof bare, "(?:%s)", pattern);
        uint8_t text[N * 16], with[N], without[N];
        struct bytes rows[N];
        size_t len = 0;
        for (uint32_t i = 0; i < N; i++) {
            size_t n = chance(16);
            for (size_t k = 0; k < n; k++)
                text[len + k] = (uint8_t) "ab-1"[chance(4)];
            rows[i] = bytes_of(text + len, n);
            len += n;
        }
        CLEANUP_REGEX struct regex *re = NULL;
        CLEANUP_REGEX struct regex *plain = NULL;
        EXPECT_STR(parts_of(bare), "");
        REQUIRE_OK(regex_get(bytes_str(pattern), &re, &d));
        REQUIRE_OK(regex_get(bytes_str(bare), &plain, &d));
        regex_test_rows(re, rows, N, chance(2) != 0, with);
        regex_test_rows(plain, rows, N, false, without);
        for (uint32_t i = 0; i < N; i++) {
            if (with[i] != without[i] || regex_test(re, rows[i]) != without[i])
                fail_msg("'%s' and '%.*s'", pattern, (int)rows[i].len, (const char *)rows[i].p);
        }
    }
}

TEST(func, the_literal_that_fewest_rows_have_is_looked_for_first)
{
    struct literals l;
    struct bytes rows[] = {BYTES("aa bb"), BYTES("aa"), BYTES("aa cc"), BYTES("bb")};
    literals_of(BYTES("aa.*bb.*cc.*dd"), &l);
    EXPECT_EQ(literals_rarest(&l, rows, 4), 3);
    literals_release(&l);
    literals_of(BYTES("aa.*bb"), &l);
    EXPECT_EQ(literals_rarest(&l, rows, 4), 1);
    EXPECT_EQ(literals_rarest(&l, rows, 2), 1);
    literals_release(&l);
}
