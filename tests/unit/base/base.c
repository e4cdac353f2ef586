/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/base/base.c - bytes, arena, strings, map, options, errors */
#include "test.h"

#include "base/arena.h"
#include "base/map.h"
#include "base/opt.h"
#include "base/rand.h"
#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>

TEST(err, the_first_failure_keeps_its_sentence)
{
    struct diag d = DIAG_INIT;
    enum err first = FAIL(&d, ERR_LIMIT, "first %d", 1),
             second = FAIL_TAG(&d, ERR_IO, "X", "second");
    EXPECT_EQ(first, ERR_LIMIT);
    EXPECT_EQ(second, ERR_IO);
    EXPECT_EQ(d.code, ERR_LIMIT);
    EXPECT_STR(d.text, "first 1");
    EXPECT_STR(d.tag, "");
}

TEST(bytes, a_reader_never_leaves_its_bytes)
{
    uint8_t *exact = malloc(5); /* no slack: ASan guards the end */
    memcpy(exact, "\x01\x02\x03\x04\x05", 5);
    struct rd r = rd_from(bytes_of(exact, 5));
    EXPECT_EQ(rd_u32(&r), 0x04030201);
    EXPECT_EQ(rd_u16(&r), 0);
    REQUIRE(r.bad && rd_left(&r) == 0 && !rd_done(&r));
    r = rd_from(bytes_of(exact, 5));
    struct bytes huge = rd_bytes(&r, SIZE_MAX);
    REQUIRE(huge.p == NULL && huge.len == 0 && r.bad);
    free(exact);
}

TEST(bytes, integers_read_back_as_written_in_both_orders)
{
    CLEANUP_BUF struct buf b = {0};
    buf_u16(&b, 0x1234);
    buf_u32be(&b, 0x89abcdef);
    buf_u64(&b, UINT64_MAX - 1);
    buf_blob(&b, BYTES("row"));
    struct rd r = rd_from(buf_view(&b));
    EXPECT_EQ(rd_u16(&r), 0x1234);
    EXPECT_EQ(rd_u32be(&r), 0x89abcdef);
    REQUIRE(rd_u64(&r) == UINT64_MAX - 1);
    REQUIRE(bytes_eq(rd_blob(&r), BYTES("row")) && rd_done(&r));
}

TEST(bytes, a_buffer_over_its_limit_says_so_once_and_holds_nothing_more)
{
    struct diag d = DIAG_INIT;
    CLEANUP_BUF struct buf b = {.max = 100};
    for (int i = 0; i < 50; i++)
        buf_str(&b, "1234");
    REQUIRE(b.len <= 100);
    REQUIRE_ERR(ERR_LIMIT, buf_check(&b, &d));
}

TEST(arena, it_refuses_what_is_over_its_limit_and_checks_the_product)
{
    CLEANUP_ARENA struct arena a;
    arena_init(&a, 10000);
    REQUIRE(arena_alloc(&a, 9000) != NULL);
    REQUIRE(arena_alloc(&a, 2000) == NULL);
    REQUIRE(arena_calloc(&a, SIZE_MAX / 2, 4) == NULL);
    EXPECT_STR(arena_str(&a, BYTES("abc")), "abc");
}

TEST(str, base64_of_either_alphabet_reads_back_and_bad_text_is_refused)
{
    struct diag d = DIAG_INIT;
    for (size_t n = 0; n < 70; n++) {
        uint8_t in[70];
        rand_bytes(in, sizeof in);
        CLEANUP_BUF struct buf url = {0}, std = {0}, a = {0}, b = {0};
        base64url_encode(&url, bytes_of(in, n));
        base64_encode(&std, bytes_of(in, n));
        REQUIRE_OK(base64_decode(&a, buf_view(&url), &d));
        REQUIRE_OK(base64_decode(&b, buf_view(&std), &d));
        REQUIRE(bytes_eq(buf_view(&a), bytes_of(in, n)) && bytes_eq(buf_view(&b), bytes_of(in, n)));
    }
    CLEANUP_BUF struct buf out = {0};
    REQUIRE_ERR(ERR_INVALID, base64_decode(&out, BYTES("A"), &d));
    REQUIRE_ERR(ERR_INVALID, base64_decode(&out, BYTES("AB*D"), &d));
    REQUIRE_ERR(ERR_INVALID,
                base64_decode(&out, BYTES("AB"), &d)); /* 4 bits left over are not zero */
}

TEST(str, guids_have_one_form)
{
    struct diag d = DIAG_INIT;
    struct guid g, h;
    char text[GUID_TEXT_MAX];
    guid_random(&g);
    guid_format(&g, text);
    REQUIRE_OK(guid_parse(text, &h, &d));
    REQUIRE(guid_eq(&g, &h));
    REQUIRE_ERR(ERR_INVALID, guid_parse("00000000000000000000000000000000", &h, &d));
    REQUIRE_ERR(ERR_INVALID, guid_parse("00000000-0000-0000-0000-00000000000g", &h, &d));
    REQUIRE_ERR(ERR_INVALID, guid_parse("00000000-0000-0000-0000-0000000000000", &h, &d));
    REQUIRE_ERR(ERR_INVALID, guid_parse("", &h, &d));
}

TEST(str, utf8_takes_no_overlong_form_and_no_surrogate)
{
    REQUIRE(utf8_valid(BYTES("h\xc3\xa9llo \xe2\x82\xac \xf0\x9f\x94\x91")));
    REQUIRE(!utf8_valid(BYTES("\xc0\xaf")));
    char cut[] = "caf\xc3\xa9 \xe2\x82 \xff\xf0\x9f\x94\x91\xc3";
    utf8_mend(cut);
    EXPECT_STR(cut, "caf\xc3\xa9 ?? ?\xf0\x9f\x94\x91?");
    REQUIRE(!utf8_valid(BYTES("\xe0\x80\xaf")));
    REQUIRE(!utf8_valid(BYTES("\xed\xa0\x80")));
    REQUIRE(!utf8_valid(BYTES("\xf4\x90\x80\x80")));
    REQUIRE(!utf8_valid(BYTES("\xe2\x82")));
}

TEST(str, numbers_over_the_maximum_are_refused_without_wrapping)
{
    struct diag d = DIAG_INIT;
    uint64_t v;
    REQUIRE_OK(str_u64("18446744073709551615", UINT64_MAX, &v, &d));
    REQUIRE(v == UINT64_MAX);
    REQUIRE_ERR(ERR_LIMIT, str_u64("18446744073709551616", UINT64_MAX, &v, &d));
    REQUIRE_ERR(ERR_LIMIT, str_u64("61", 60, &v, &d));
    REQUIRE_ERR(ERR_INVALID, str_u64("1 ", 60, &v, &d));
    REQUIRE_ERR(ERR_INVALID, str_u64("", 60, &v, &d));
}

TEST(map, it_holds_what_was_put_and_iterates_in_order)
{
    struct diag d = DIAG_INIT;
    struct map m = {0};
    static int values[1000];
    for (int i = 0; i < 1000; i++) {
        char key[16];
        snprintf(key, sizeof key, "key-%d", i);
        REQUIRE_OK(map_put(&m, bytes_str(key), &values[i], NULL, &d));
    }
    for (int i = 0; i < 1000; i += 2) {
        char key[16];
        snprintf(key, sizeof key, "key-%d", i);
        REQUIRE(map_remove(&m, bytes_str(key)) == &values[i]);
        REQUIRE(map_get(&m, bytes_str(key)) == NULL);
    }
    int next = 1;
    MAP_EACH (&m, e) {
        REQUIRE(e->value == &values[next]);
        next += 2;
    }
    EXPECT_EQ(next, 1001);
    void *old = NULL;
    REQUIRE_OK(map_put(&m, BYTES("key-1"), &values[0], &old, &d));
    REQUIRE(old == &values[1] && m.n_live == 500);
    map_release(&m);
}

TEST(opt, a_misspelt_option_names_what_was_probably_meant)
{
    struct diag d = DIAG_INIT;
    const char *data = NULL;
    bool quiet = false, helped;
    uint64_t n_rows = 0;
    uint32_t n_args;
    const char *args[2];
    const struct opt opts[] = {
        {.name = "data", .letter = 'd', .value = "DIR", .text = &data},
        {.name = "quiet", .flag = &quiet},
        {.name = "rows", .value = "N", .number = &n_rows, .min = 1, .max = 9}};
    const struct opt_command c = {
        .usage = "x", .about = "", .opts = opts, .n_opts = 3, .args = args, .args_max = 2};
    REQUIRE_OK(opt_parse(&c, 6, (char *[]){"--data=a", "x", "--quiet", "--rows", "9", "y"}, &n_args,
                         &helped, &d));
    REQUIRE(str_eq(data, "a") && quiet && n_rows == 9 && n_args == 2 && str_eq(args[1], "y"));
    REQUIRE_ERR(ERR_INVALID, opt_parse(&c, 1, (char *[]){"--dato"}, &n_args, &helped, &d));
    REQUIRE(strstr(d.text, "did you mean --data?") != NULL);
    REQUIRE_ERR(ERR_INVALID, opt_parse(&c, 2, (char *[]){"--rows", "10"}, &n_args, &helped, &d));
    REQUIRE_ERR(ERR_INVALID, opt_parse(&c, 1, (char *[]){"-d"}, &n_args, &helped, &d));
    REQUIRE_ERR(ERR_INVALID, opt_parse(&c, 3, (char *[]){"a", "b", "c"}, &n_args, &helped, &d));
}
