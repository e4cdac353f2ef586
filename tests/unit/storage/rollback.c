/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/storage/rollback.c - a catalogue that is older than the files beside it costs no row
 */
#include "test_store.h"

#include "base/os.h"

#include <stdlib.h>
#include <unistd.h>

static void move_file(const char *from, const char *to)
{
    CLEANUP_BUF struct buf text = {0};
    struct diag d = DIAG_INIT;
    REQUIRE_OK(os_read_file(from, (size_t)64 << 20, &text, &d));
    REQUIRE_OK(os_replace(to, buf_view(&text), &d));
}

/* Rows 0..99 in a segment under the first catalogue; then 100..199, in a segment or in a log. */
static void write_rows(struct bench *b, const char *dir, const char *catalog, const char *copy,
                       bool flushed)
{
    struct diag d = DIAG_INIT;
    REQUIRE_OK(bench_open(b, dir, &d));
    REQUIRE_OK(store_account_open(b->store, customer, &d));
    REQUIRE_OK(append_ids(b, customer, 0, 100, &d));
    bench_close(b); /* flushes; the catalogue is one file now */
    move_file(catalog, copy);
    REQUIRE_OK(bench_open(b, dir, &d));
    REQUIRE_OK(store_account_open(b->store, customer, &d));
    REQUIRE_OK(append_ids(b, customer, 100, 100, &d));
    if (!flushed) store_account_lock(b->store, customer); /* so that close cannot flush */
    bench_close(b);
}

static void expect_rows(struct bench *b, uint64_t n)
{
    struct diag d = DIAG_INIT;
    uint8_t counts[200] = {0};
    uint64_t total = 0;
    REQUIRE_OK(store_account_open(b->store, customer, &d));
    REQUIRE_OK(count_ids(b, counts, sizeof counts, &total, &d));
    EXPECT_EQ(total, n);
}

static void older_catalogue(bool flushed)
{
    struct bench b = {0};
    struct diag d = DIAG_INIT;
    const char *dir = flushed ? "segments" : "logs";
    CLEANUP_FREE char *path = os_path(test_dir(), dir), *catalog = os_path(path, "catalog.db");
    CLEANUP_FREE char *copy = os_path(test_dir(), "old"), *newer = os_path(test_dir(), "new");
    write_rows(&b, dir, catalog, copy, flushed);
    move_file(catalog, newer);

    move_file(copy, catalog);
    REQUIRE_ERR(ERR_CORRUPT, bench_open(&b, dir, &d));
    bench_close(&b);
    REQUIRE(unlink(catalog) == 0);
    REQUIRE_ERR(ERR_CORRUPT, bench_open(&b, dir, &d)); /* none at all is older too */
    bench_close(&b);

    move_file(newer, catalog); /* no file was touched */
    REQUIRE_OK(bench_open(&b, dir, &d));
    expect_rows(&b, 200);
    bench_release(&b);
}

TEST(rollback, segments_that_are_newer_than_the_catalogue_are_not_removed)
{
    older_catalogue(true);
}

TEST(rollback, logs_that_are_newer_than_the_catalogue_are_not_removed)
{
    older_catalogue(false);
}
