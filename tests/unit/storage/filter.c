/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/storage/filter.c - a filter never hides a word, and rarely invents one */
#include "test.h"

#include "storage/filter.h"

#include <stdio.h>

TEST(filter, every_word_that_was_added_is_found_and_few_others)
{
    struct filter_words w = {0};
    CLEANUP_BUF struct buf filter = {0};
    char text[64];
    for (int i = 0; i < 5000; i++) {
        snprintf(text, sizeof text, "Word%d, and-%x_end", i, (unsigned)i * 7919);
        filter_words_add(&w, bytes_str(text));
    }
    filter_build(&w, &filter);
    int wrong = 0;
    for (int i = 0; i < 5000; i++) {
        snprintf(text, sizeof text, "wORD%d", i);
        REQUIRE(filter_may_contain(buf_view(&filter), bytes_str(text)));
        snprintf(text, sizeof text, "%x",
                 (unsigned)i * 7919); /* separated by a dash and an underscore */
        REQUIRE(filter_may_contain(buf_view(&filter), bytes_str(text)));
        snprintf(text, sizeof text, "other%d", i);
        wrong += filter_may_contain(buf_view(&filter), bytes_str(text));
    }
    REQUIRE(wrong < 5000 / 25);
    filter_words_release(&w);
}

TEST(filter, words_end_at_all_that_is_no_ascii_letter_or_digit)
{
    struct filter_words w = {0};
    CLEANUP_BUF struct buf filter = {0};
    filter_words_add(&w, BYTES("caf\xc3\xa9 a.b=c"));
    filter_build(&w, &filter);
    static const char *const in[] = {"caf", "caf\xc3\xa9", "a",   "b c",  "A=B",
                                     "",    "\xc3\xa9",    "...", "caf a"};
    for (size_t i = 0; i < sizeof in / sizeof in[0]; i++) {
        REQUIRE(filter_may_contain(buf_view(&filter), bytes_str(in[i])));
    }
    REQUIRE(!filter_may_contain(buf_view(&filter), BYTES("cafe")));
    REQUIRE(!filter_may_contain(buf_view(&filter), BYTES("a zz")));
    filter_words_release(&w);
}

TEST(filter, no_filter_allows_everything)
{
    struct filter_words none = {0};
    CLEANUP_BUF struct buf filter = {0};
    filter_build(&none, &filter);
    EXPECT_EQ(filter.len, 0);
    REQUIRE(filter_may_contain(buf_view(&filter), BYTES("x")));
    REQUIRE(filter_may_contain(BYTES("odd length"), BYTES("x")));
}
