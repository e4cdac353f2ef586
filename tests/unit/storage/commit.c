/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/storage/commit.c - a commit that failed may come to life when the process dies
 *
 * SQLite has written the whole transaction, and the sync is refused: nobody is told that it was
 * done, yet the next start may find it. Whatever the store does after such an answer must be right
 * both ways: rows are there once, whether it died at once or went on.
 */
#include "sync_vfs.h"
#include "test_store.h"

#include "base/log.h"
#include "storage/store_impl.h"

#include <ftw.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROWS 60

enum way { DIES, GOES_ON, NO_ROOM }; /* dies after the refusal, or tries again; or writes fail */

static uint64_t n_files;

struct work {
    const char *name;
    uint64_t rows; /* that are acknowledged before and after */
    void (*setup)(struct bench *b);
    enum err (*run)(struct bench *b, struct diag *d);
};

static void opened(struct bench *b, const char *name)
{
    struct diag d = DIAG_INIT;
    log_set_level(LOG_ERROR + 1);
    b->config.merge_on_request = true;
    REQUIRE_OK(bench_open(b, name, &d));
    REQUIRE_OK(store_account_open(b->store, customer, &d));
    REQUIRE_OK(store_account_open(b->store, customer2, &d));
}

static void in_segments(struct bench *b, uint64_t n)
{
    struct diag d = DIAG_INIT;
    for (uint64_t i = 0; i < n; i++) {
        REQUIRE_OK(append_ids(b, customer, i * ROWS / n, (uint32_t)(ROWS / n), &d));
        REQUIRE_OK(store_flush(b->store, customer, &d));
    }
}

static void in_memory(struct bench *b)
{
    struct diag d = DIAG_INIT;
    REQUIRE_OK(append_ids(b, customer, 0, ROWS, &d));
}

static void nowhere(struct bench *b)
{
    (void)b;
}

static void in_ten_segments(struct bench *b)
{
    in_segments(b, 10);
}

static void under_an_old_key(struct bench *b)
{
    in_segments(b, 2);
    b->keys.generation = 7;
}

static enum err append(struct bench *b, struct diag *d)
{
    return append_ids(b, customer, 0, ROWS, d);
}

static enum err flush(struct bench *b, struct diag *d)
{
    return store_flush(b->store, customer, d);
}

static enum err merge(struct bench *b, struct diag *d)
{
    return store_compact(b->store, customer, d);
}

static enum err rewrap(struct bench *b, struct diag *d)
{
    struct store_rewrap r = {.workspace = workspace,
                             .aek_id = {1, 2, 3, 7},
                             .from = (const uint8_t(*)[16])customer,
                             .n_from = 1};
    memcpy(r.to, customer, 16);
    uint64_t bytes = 1;
    while (bytes != 0)
        TRY(store_rewrap_step(b->store, &r, &bytes, d));
    return OK;
}

static const struct work works[] = {
    {"append", 0, nowhere, append},
    {"flush", ROWS, in_memory, flush},
    {"merge", ROWS, in_ten_segments, merge},
    {"rewrap", ROWS, under_an_old_key, rewrap},
};
#define N_WORKS (sizeof works / sizeof works[0])

/* What was acknowledged is there once; of what was not, all or nothing. */
static void expect_rows(const struct work *w, const char *name, int k)
{
    struct diag d = DIAG_INIT;
    struct bench b = {0};
    uint8_t counts[ROWS] = {0};
    uint64_t total = 0;
    opened(&b, name);
    REQUIRE_OK(count_ids(&b, counts, ROWS, &total, &d));
    if (total != ROWS && !(w->rows == 0 && total == 0))
        fail_msg("%s, sync %d: %llu rows", w->name, k, (unsigned long long)total);
    for (size_t i = 0; i < total; i++)
        EXPECT_EQ(counts[i], 1);
    if (total == 0) REQUIRE_OK(w->run(&b, &d));
    REQUIRE_OK(store_flush(b.store, customer, &d));
    expect_ids(&b, ROWS);
    bench_release(&b);
}

static int count_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)path, (void)st, (void)at;
    n_files += type == FTW_F;
    return 0;
}

/* After a commit that succeeded nothing is in doubt: each file has its entry. */
static bool has_no_strangers(struct bench *b)
{
    struct store_stats stats;
    CLEANUP_FREE char *blobs = os_path(b->dir, "blobs"), *logs = os_path(b->dir, "wal");
    store_stats(b->store, &stats);
    n_files = 0;
    if (nftw(blobs, count_one, 8, FTW_PHYS) != 0 || n_files != stats.segments) return false;
    n_files = 0;
    if (nftw(logs, count_one, 8, FTW_PHYS) != 0) return false;
    for (struct account *a = b->store->accounts; a != NULL; a = a->next) {
        for (const struct log_file *f = a->logs; f != NULL; f = f->next)
            n_files--;
    }
    return n_files == 0;
}

/* 0: no sync was refused. The child dies at once, or after it has tried again. */
static bool run_child(const struct work *w, const char *name, int k, enum way way)
{
    fflush(NULL);
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        struct bench b = {0};
        struct diag d = DIAG_INIT;
        opened(&b, name);
        w->setup(&b);
        *(way == NO_ROOM ? &sync_vfs_write_left : &sync_vfs_left) = k;
        enum err e = w->run(&b, &d);
        bool refused = sync_vfs_refused != 0;
        sync_vfs_left = sync_vfs_write_left = 0;
        bool again = way != DIES;
        if (again && e != OK && w->run(&b, &d) != OK) _exit(3);
        if (again && !has_no_strangers(&b)) _exit(4);
        _exit(refused ? 1 : 0);
    }
    int status;
    REQUIRE(waitpid(child, &status, 0) == child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) > 1)
        fail_msg("%s, sync %d: status %x", w->name, k, (unsigned)status);
    return WEXITSTATUS(status) == 1;
}

static void sweep(const struct work *w, enum way way)
{
    for (int k = 1;; k += way == NO_ROOM && k >= 4 ? 3 : 1) { /* a frame is two writes */
        char name[64];
        snprintf(name, sizeof name, "%s-%d-%d", w->name, k, (int)way);
        bool refused = run_child(w, name, k, way);
        expect_rows(w, name, k);
        if (!refused) break;
        REQUIRE(k < 200);
    }
}

TEST(commit, one_without_an_answer_that_comes_to_life_after_a_death_costs_no_row)
{
    (void)test_dir(); /* made here: the children share it */
    sync_vfs_install();
    for (size_t i = 0; i < N_WORKS; i++)
        sweep(&works[i], DIES);
}

TEST(commit, one_without_an_answer_that_is_tried_again_costs_and_doubles_no_row)
{
    (void)test_dir();
    sync_vfs_install();
    for (size_t i = 0; i < N_WORKS; i++)
        sweep(&works[i], GOES_ON);
}

TEST(commit, one_that_finds_no_room_and_is_tried_again_costs_and_doubles_no_row)
{
    (void)test_dir();
    sync_vfs_install();
    for (size_t i = 0; i < N_WORKS; i++)
        sweep(&works[i], NO_ROOM);
}
