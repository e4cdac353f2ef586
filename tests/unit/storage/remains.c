/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/storage/remains.c - when store_account_lock() has returned, no word of a row is left
 * in this process
 *
 * The word is random and the test keeps it masked. Built with the program's allocator, which wipes
 * what it frees.
 */
#include "memory.h"
#include "test_store.h"

#include "base/rand.h"

#define WORD 24 /* letters */

static uint8_t masked[WORD];

static void choose_word(void)
{
    for (size_t i = 0; i < WORD; i++)
        masked[i] = (uint8_t)(('a' + rand_below(26)) ^ MEMORY_MASK);
}

/* Rows whose messages and hosts begin with the word; nothing of it stays here. */
static void append_words(struct bench *b, uint64_t from, uint32_t n)
{
    struct diag d = DIAG_INIT;
    CLEANUP_ARENA struct arena a;
    arena_init(&a, 0);
    struct batch rows;
    make_rows(&a, from, n, &rows);
    for (uint32_t c = 2; c < 4; c++) {
        struct bytes *text = arena_array(&a, struct bytes, n);
        for (uint32_t i = 0; i < n; i++) {
            uint8_t *p = arena_alloc(&a, WORD + 4);
            for (size_t k = 0; k < WORD; k++)
                p[k] = masked[k] ^ MEMORY_MASK;
            p[WORD] = '-';
            p[WORD + 1] = (uint8_t)('a' + i % 26);
            p[WORD + 2] = c == 2 ? (uint8_t)('a' + i / 26 % 26) : 'x';
            text[i] = bytes_of(p, WORD + 3);
        }
        rows.cols[c].data = text;
    }
    REQUIRE_OK(store_append(b->store, b->table, customer, &rows, &d));
}

static void read_all(struct store_scan *sc)
{
    struct diag d = DIAG_INIT;
    uint32_t places[] = {0, 1};
    for (uint32_t u = 0; u < store_scan_units(sc); u++) {
        CLEANUP_ARENA struct arena a;
        arena_init(&a, 0);
        struct batch got;
        REQUIRE_OK(store_scan_read(sc, u, places, 2, &a, &got, &d));
        EXPECT_EQ(memory_count_in(vec_str(&got.cols[0], 0).p, WORD, masked, WORD), 1);
    }
}

TEST(remains, no_word_of_a_row_is_left_in_memory_after_a_lock)
{
    if (!MEMORY_SEARCHED) return;
    struct diag d = DIAG_INIT;
    struct bench b = {0};
    choose_word();
    REQUIRE_OK(bench_open(&b, "remains", &d));
    REQUIRE_OK(store_account_open(b.store, customer, &d));
    append_words(&b, 0, 3000);
    REQUIRE_OK(store_flush(b.store, customer, &d));
    append_words(&b, 3000, 200);
    append_words(&b, 3200, 1);
    struct store_scan *sc = NULL;
    uint32_t columns[] = {2, 3};
    REQUIRE_OK(store_scan_open(b.store, b.table, columns, 2, NULL, 0, &sc, &d));
    read_all(sc);
    REQUIRE(memory_count_bytes(masked, WORD) >
            0); /* the search finds what is there: the memtable */
    test_keys_set(&b.keys, customer, ERR_KEY_LOCKED);
    store_account_lock(b.store, customer);
    EXPECT_EQ(memory_count_bytes(masked, WORD), 0);
    store_scan_close(sc);

    /* And after a replay. */
    test_keys_set(&b.keys, customer, OK);
    REQUIRE_OK(store_account_open(b.store, customer, &d));
    REQUIRE(memory_count_bytes(masked, WORD) > 0);
    test_keys_set(&b.keys, customer, ERR_KEY_LOCKED);
    store_account_lock(b.store, customer);
    EXPECT_EQ(memory_count_bytes(masked, WORD), 0);
    bench_release(&b);
}
