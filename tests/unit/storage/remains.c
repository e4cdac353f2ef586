/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/storage/remains.c - when store_account_lock() has returned, no word of a row is left
 * in this process
 *
 * The word is random and the test keeps it masked. Built with the program's allocator, which wipes
 * what it frees.
 */
#include "test_store.h"

#include "base/rand.h"

#include <fcntl.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

#define MASK    0x5a
#define WORD    24 /* letters */
#define OVERLAP 64

static uint8_t masked[WORD];

static void choose_word(void)
{
    for (size_t i = 0; i < WORD; i++)
        masked[i] = (uint8_t)(('a' + rand_below(26)) ^ MASK);
}

static size_t hits_in(const uint8_t *p, size_t n)
{
    size_t hits = 0;
    for (size_t i = 0; i + WORD <= n; i++) {
        size_t k = 0;
        while (k < WORD && (p[i + k] ^ MASK) == masked[k])
            k++;
        hits += k == WORD;
    }
    return hits;
}

/* All memory that can be written, but for the buffer of the search. */
static size_t search_memory(void)
{
    static uint8_t part[(1 << 20) + OVERLAP];
    FILE *maps = fopen("/proc/self/maps", "re");
    CLEANUP_FD int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    char line[512];
    size_t hits = 0;
    REQUIRE(maps != NULL && mem >= 0);
    while (fgets(line, sizeof line, maps) != NULL) {
        unsigned long long at, end;
        char rights[8];
        if (sscanf(line, "%llx-%llx %7s", &at, &end, rights) != 3 || strncmp(rights, "rw", 2) != 0)
            continue;
        for (; at < end; at += sizeof part - OVERLAP) {
            size_t want = end - at < sizeof part ? (size_t)(end - at) : sizeof part;
            ssize_t n = pread(mem, part, want, (off_t)at);
            bool own = (uintptr_t)part < at + want && (uintptr_t)part + sizeof part > at;
            size_t found = n > 0 && !own ? hits_in(part, (size_t)n) : 0;
            if (found != 0) fprintf(stderr, "%zu in %s", found, line);
            hits += found;
            explicit_bzero(part, sizeof part);
            if (n <= 0) break;
        }
    }
    fclose(maps);
    return hits;
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
                p[k] = masked[k] ^ MASK;
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
        REQUIRE(hits_in(vec_str(&got.cols[0], 0).p, WORD) == 1);
    }
}

TEST(remains, no_word_of_a_row_is_left_in_memory_after_a_lock)
{
#ifdef SANITIZED
    return; /* the sanitizer's own memory is terabytes wide */
#endif
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
    REQUIRE(search_memory() > 0); /* the search finds what is there: the memtable */
    test_keys_set(&b.keys, customer, ERR_KEY_LOCKED);
    store_account_lock(b.store, customer);
    EXPECT_EQ(search_memory(), 0);
    store_scan_close(sc);

    /* And after a replay. */
    test_keys_set(&b.keys, customer, OK);
    REQUIRE_OK(store_account_open(b.store, customer, &d));
    REQUIRE(search_memory() > 0);
    test_keys_set(&b.keys, customer, ERR_KEY_LOCKED);
    store_account_lock(b.store, customer);
    EXPECT_EQ(search_memory(), 0);
    bench_release(&b);
}
