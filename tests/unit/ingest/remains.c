/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/ingest/remains.c - a reader that is put aside holds nothing of the rows it read */
#include "memory.h"

#include "base/arena.h"
#include "base/bytes.h"
#include "base/thread.h"
#include "ingest/rows.h"

#define MASKED "gzve|pg8ezg|t9vghzg8fp{a|xq" /* each byte XOR MEMORY_MASK */
#define ROWS   500

static const struct column columns[] = {{"s", T_STRING}, {"d", T_DYNAMIC}};
static const struct schema schema = {2, columns};

/* Each ~ stands for the word. Not buf_fmt(): printf leaves pieces on the stack. */
static void put(struct buf *out, const char *text)
{
    char word[sizeof MASKED] = "";
    memory_reveal(word, MASKED);
    for (; *text != 0; text++) {
        if (*text == '~') {
            buf_str(out, word);
        } else {
            buf_u8(out, (uint8_t)*text);
        }
    }
    explicit_bzero(word, sizeof word);
}

/* Plain strings, strings with escapes, a dynamic value, names; at the end, if asked, what breaks it
 * all. */
static void write_rows(struct buf *out, bool broken)
{
    buf_u8(out, '[');
    for (int i = 0; i < ROWS; i++) {
        put(out, "{\"s\":\"~\",\"d\":{\"x\":\"\\t~\"},\"~\":1},");
        put(out, "{\"s\":\"\\\"~\",\"\\u0041~\":1},");
    }
    put(out, broken ? "{\"s\":\"\\\"~\\x\"}]" : "{\"s\":\"~\"}]");
}

static size_t n_left;

static void read_and_forget(bool broken)
{
    struct diag d = DIAG_INIT;
    CLEANUP(row_reader_free) struct row_reader *r = NULL;
    REQUIRE_OK(row_reader_new(&r, &d));
    struct arena a;
    struct batch b;
    struct row_stats stats;
    struct buf text = {0};
    arena_init(&a, 0);
    write_rows(&text, broken);
    enum err e = rows_read(r, buf_view(&text), &schema, 0, &a, &b, &stats, &d);
    EXPECT_EQ(e, broken ? ERR_INVALID : OK);
    arena_release(&a);
    buf_release(&text);
    diag_reset(&d);
    if (MEMORY_SEARCHED)
        REQUIRE(memory_count(MASKED) >= ROWS); /* the reader's: the search can see */
    row_reader_forget(r);
    stack_wipe(); /* the parser works on a copy of the last block */
    n_left = MEMORY_SEARCHED ? memory_count(MASKED) : 0;

    arena_init(&a, 0); /* and it can go on */
    REQUIRE_OK(rows_read(r, bytes_str("[{\"s\":\"a\\tb\"},{\"s\":\"c\"}]"), &schema, 0, &a, &b,
                         &stats, &d));
    EXPECT_EQ(b.n_rows, 2);
    arena_release(&a);
}

static void *read_whole(void *arg)
{
    read_and_forget(false);
    return arg;
}

static void *read_broken(void *arg)
{
    read_and_forget(true);
    return arg;
}

static size_t left_after(void *(*run)(void *))
{
    struct diag d = DIAG_INIT;
    pthread_t t;
    REQUIRE_OK(thread_start(&t, run, NULL, &d));
    pthread_join(t, NULL);
    return n_left;
}

TEST(ingest, a_reader_that_was_put_aside_holds_no_rows)
{
    EXPECT_EQ(left_after(read_whole), 0);
}

TEST(ingest, nor_does_one_that_failed_half_way)
{
    EXPECT_EQ(left_after(read_broken), 0);
}
