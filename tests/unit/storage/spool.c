/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/storage/spool.c - rows of an outage: each comes back once, or is counted as lost */
#include "test_spool.h"

#include "storage/dedupe.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static struct spool_bench *opened(const char *name)
{
    struct diag d = DIAG_INIT;
    struct spool_bench *s = calloc(1, sizeof *s);
    REQUIRE(s != NULL);
    REQUIRE_OK(spool_bench_open(s, name, &d));
    REQUIRE_OK(store_account_open(s->b.store, customer, &d));
    return s;
}

static void closed(struct spool_bench *s)
{
    bench_release(&s->b);
    free(s);
}

static void reopen(struct spool_bench *s)
{
    struct diag d = DIAG_INIT;
    bench_close(&s->b);
    REQUIRE_OK(spool_bench_open(s, NULL, &d));
}

static void must_spool(struct spool_bench *s, uint64_t from, uint32_t n)
{
    struct diag d = DIAG_INIT;
    bool repeated;
    REQUIRE_OK(spool_ids(&s->b, from, n, NULL, &repeated, &d));
}

/* --- files of the spool
 * --------------------------------------------------------------------------- */

static char *spool_dir(struct spool_bench *s)
{
    char hex[33];
    hex_encode(bytes_of(customer, 16), hex);
    CLEANUP_FREE char *all = os_path(s->b.dir, "spool");
    return os_path(all, hex);
}

static unsigned n_spool_files(struct spool_bench *s)
{
    CLEANUP_FREE char *dir = spool_dir(s);
    unsigned n = 0;
    DIR *x = opendir(dir);
    for (struct dirent *e = x != NULL ? readdir(x) : NULL; e != NULL; e = readdir(x))
        n += str_ends(e->d_name, ".wal");
    if (x != NULL) closedir(x);
    return n;
}

static char *first_file(struct spool_bench *s)
{
    CLEANUP_FREE char *dir = spool_dir(s);
    char *path = NULL;
    DIR *x = opendir(dir);
    REQUIRE(x != NULL);
    for (struct dirent *e = readdir(x); e != NULL && path == NULL; e = readdir(x)) {
        if (str_ends(e->d_name, ".wal")) path = os_path(dir, e->d_name);
    }
    closedir(x);
    REQUIRE(path != NULL);
    return path;
}

static char *slot_file(struct spool_bench *s)
{
    CLEANUP_FREE char *dir = spool_dir(s);
    return os_path(dir, "slot");
}

static bool slot_is_empty(struct spool_bench *s)
{
    struct diag d = DIAG_INIT;
    CLEANUP_FREE char *path = slot_file(s);
    CLEANUP_BUF struct buf b = {0};
    REQUIRE_OK(os_read_file(path, 1 << 20, &b, &d));
    EXPECT_EQ(b.len, 4096);
    for (size_t i = 0; i < b.len; i++) {
        if (b.p[i] != 0) return false;
    }
    return true;
}

/* The flusher tidies up behind a destruction. */
static void wait_for_end(struct spool_bench *s, unsigned ends)
{
    struct store_spool_info info;
    for (int i = 0; i < 120000 && (s->ends < ends || n_spool_files(s) != 0); i++)
        time_sleep_us(1000);
    EXPECT_EQ(s->ends, ends);
    EXPECT_EQ(n_spool_files(s), 0);
    REQUIRE(!store_spool_info(s->b.store, customer, &info));
}

/* --- tests
 * ---------------------------------------------------------------------------------------- */

TEST(storage, rows_of_an_outage_come_back_once)
{
    struct diag d = DIAG_INIT;
    struct spool_bench *s = opened("spool-once");
    REQUIRE_OK(append_ids(&s->b, customer, 0, 10, &d));
    suspend(&s->b);
    must_spool(s, 10, 20);
    must_spool(s, 30, 5);
    EXPECT_EQ(s->counted, 25);
    struct store_spool_info info;
    REQUIRE(store_spool_info(s->b.store, customer, &info) && info.bytes > 0);
    REQUIRE_OK(restore(&s->b, &d));
    expect_ids(&s->b, 35);
    EXPECT_EQ(s->put_back, 25);
    EXPECT_EQ(n_spool_files(s), 0);
    REQUIRE(slot_is_empty(s));
    REQUIRE(!store_spool_info(s->b.store, customer, &info));
    REQUIRE_OK(append_ids(&s->b, customer, 35, 5, &d));
    reopen(s);
    REQUIRE_OK(store_account_open(s->b.store, customer, &d));
    expect_ids(&s->b, 40);
    closed(s);
}

TEST(storage, a_second_outage_has_a_second_spool)
{
    struct diag d = DIAG_INIT;
    struct spool_bench *s = opened("spool-twice");
    for (uint64_t i = 0; i < 3; i++) {
        suspend(&s->b);
        must_spool(s, i * 4, 4);
        REQUIRE_OK(restore(&s->b, &d));
        expect_ids(&s->b, (i + 1) * 4);
    }
    REQUIRE_OK(store_flush(s->b.store, customer, &d));
    expect_ids(&s->b, 12);
    closed(s);
}

TEST(storage, a_spool_outlives_its_process)
{
    struct diag d = DIAG_INIT;
    struct spool_bench *s = opened("spool-restart");
    suspend(&s->b);
    must_spool(s, 0, 10);
    for (uint64_t i = 1; i < 4; i++) {
        reopen(s);
        must_spool(s, i * 10, 10);
    }
    EXPECT_EQ(n_spool_files(s), 4);
    reopen(s);
    REQUIRE_OK(restore(&s->b, &d));
    expect_ids(&s->b, 40);
    EXPECT_EQ(s->put_back, 40);
    closed(s);
}

TEST(storage, nothing_is_spooled_for_an_account_that_is_not_suspended)
{
    struct diag d = DIAG_INIT;
    bool repeated;
    struct spool_bench *s = opened("spool-active");
    REQUIRE_ERR(ERR_CONFLICT, spool_ids(&s->b, 0, 1, NULL, &repeated, &d));
    diag_reset(&d);
    REQUIRE_OK(take_key(&s->b, &d));
    REQUIRE_ERR(ERR_KEY_LOCKED, spool_ids(&s->b, 0, 1, NULL, &repeated, &d));
    EXPECT_EQ(n_spool_files(s), 0);
    closed(s);
}

TEST(storage, without_the_platforms_key_nothing_is_spooled)
{
    struct diag d = DIAG_INIT;
    bool repeated;
    struct spool_bench *s = opened("spool-platform");
    suspend(&s->b);
    test_keys_set(&s->b.keys, platform, ERR_UNAVAILABLE);
    REQUIRE_ERR(ERR_UNAVAILABLE, spool_ids(&s->b, 0, 1, NULL, &repeated, &d));
    EXPECT_EQ(n_spool_files(s), 0);
    test_keys_set(&s->b.keys, platform, OK);
    closed(s);
}

TEST(storage, a_full_spool_refuses_rows_and_loses_none)
{
    struct diag d = DIAG_INIT;
    bool repeated;
    struct spool_bench *s = calloc(1, sizeof *s);
    s->b.config.spool.bytes_max = 200 << 10;
    REQUIRE_OK(spool_bench_open(s, "spool-full", &d));
    suspend(&s->b);
    uint64_t n = 0;
    enum err e;
    while ((e = spool_ids(&s->b, n, 100, NULL, &repeated, &d)) == OK)
        n += 100;
    EXPECT_EQ(e, ERR_UNAVAILABLE);
    EXPECT_STR(d.tag, "SpoolFull");
    REQUIRE(n >= 500);
    diag_reset(&d);
    REQUIRE_OK(restore(&s->b, &d));
    expect_ids(&s->b, n);
    closed(s);
}

/* Other spools count from the store's start on, and no more once they are put back. */
TEST(storage, the_spools_of_all_accounts_have_a_limit_together)
{
    struct diag d = DIAG_INIT;
    bool repeated;
    struct spool_bench *s = calloc(1, sizeof *s);
    s->b.config.spool.total_max = 200 << 10;
    REQUIRE_OK(spool_bench_open(s, "spool-total", &d));
    suspend(&s->b);
    uint64_t n = 0;
    enum err e;
    while ((e = spool_ids(&s->b, n, 100, NULL, &repeated, &d)) == OK)
        n += 100;
    EXPECT_STR(d.tag, "SpoolFull");
    REQUIRE(strstr(d.text, "all accounts") != NULL);
    bench_close(&s->b);
    diag_reset(&d);
    REQUIRE_OK(spool_bench_open(s, NULL, &d));
    e = spool_ids(&s->b, n, 100, NULL, &repeated, &d);
    EXPECT_EQ(e, ERR_UNAVAILABLE);
    diag_reset(&d);
    REQUIRE_OK(restore(&s->b, &d));
    suspend(&s->b);
    REQUIRE_OK(spool_ids(&s->b, n, 100, NULL, &repeated, &d));
    REQUIRE_OK(restore(&s->b, &d));
    expect_ids(&s->b, n + 100);
    closed(s);
}

TEST(storage, a_batch_that_is_sent_again_is_kept_once_across_the_outage)
{
    struct diag d = DIAG_INIT;
    bool repeated = false;
    struct spool_bench *s = opened("spool-again");
    const uint8_t before[16] = {1}, during[16] = {2};
    CLEANUP_ARENA struct arena a;
    arena_init(&a, 0);
    struct batch rows;
    make_rows(&a, 0, 5, &rows);
    REQUIRE_OK(store_append_once(s->b.store, s->b.table, customer, &rows, before, &repeated, &d));
    suspend(&s->b);
    /* Known, as long as the process lives. */
    REQUIRE_OK(spool_ids(&s->b, 0, 5, before, &repeated, &d));
    REQUIRE(repeated);
    REQUIRE_OK(spool_ids(&s->b, 5, 5, during, &repeated, &d));
    REQUIRE(!repeated);
    reopen(s);
    /* The log is locked: nobody knows. The drain finds it out. */
    REQUIRE_OK(spool_ids(&s->b, 0, 5, before, &repeated, &d));
    REQUIRE(!repeated);
    REQUIRE_OK(spool_ids(&s->b, 5, 5, during, &repeated, &d));
    REQUIRE(repeated);
    REQUIRE_OK(restore(&s->b, &d));
    expect_ids(&s->b, 10);
    make_rows(&a, 5, 5, &rows);
    REQUIRE_OK(store_append_once(s->b.store, s->b.table, customer, &rows, during, &repeated, &d));
    REQUIRE(repeated);
    reopen(s);
    REQUIRE_OK(store_account_open(s->b.store, customer, &d));
    REQUIRE_OK(store_append_once(s->b.store, s->b.table, customer, &rows, during, &repeated, &d));
    REQUIRE(repeated);
    expect_ids(&s->b, 10);
    closed(s);
}

TEST(storage, a_denial_destroys_the_spool_and_its_rows_are_counted)
{
    struct diag d = DIAG_INIT;
    struct spool_bench *s = opened("spool-denied");
    REQUIRE_OK(append_ids(&s->b, customer, 0, 3, &d));
    suspend(&s->b);
    must_spool(s, 3, 20);
    CLEANUP_FREE char *slot = slot_file(s);
    CLEANUP_BUF struct buf copy = {0};
    REQUIRE_OK(os_read_file(slot, 1 << 20, &copy, &d));
    REQUIRE_OK(take_key(&s->b, &d));
    REQUIRE(slot_is_empty(s)); /* when it returns, not some time later */
    wait_for_end(s, 1);
    EXPECT_EQ(s->destroyed, 20);
    REQUIRE_OK(restore(&s->b, &d));
    expect_ids(&s->b, 3);
    closed(s);
}

TEST(storage, a_spool_whose_slot_was_emptied_is_counted_at_the_next_start)
{
    struct diag d = DIAG_INIT;
    struct spool_bench *s = opened("spool-halfway");
    suspend(&s->b);
    must_spool(s, 0, 7);
    bench_close(&s->b);
    CLEANUP_FREE char *slot = slot_file(s);
    static const uint8_t zeros[4096];
    REQUIRE_OK(os_replace(slot, BYTES_OF(zeros), &d));
    REQUIRE_OK(spool_bench_open(s, NULL, &d));
    wait_for_end(s, 1);
    EXPECT_EQ(s->destroyed, 7);
    closed(s);
}

/* A drain that fails somewhere goes on behind what it has put back. */
TEST(storage, a_drain_that_fails_anywhere_is_finished_later)
{
    struct diag d = DIAG_INIT;
    struct spool_bench *s = opened("spool-sweep");
    uint64_t n = 0;
    FAULT_SWEEP (k) {
        os_fault_arm(0, 0);
        suspend(&s->b);
        for (int i = 0; i < 3; i++, n += 2)
            must_spool(s, n, 2);
        os_fault_arm(k, ENOSPC);
        enum err e = restore(&s->b, &d);
        bool fired = os_fault_fired();
        os_fault_arm(0, 0);
        diag_reset(&d);
        if (e != OK) REQUIRE_OK(restore(&s->b, &d));
        expect_ids(&s->b, n);
        if (!fired) break;
    }
    closed(s);
}

TEST(storage, an_append_that_fails_anywhere_leaves_what_was_acknowledged)
{
    struct diag d = DIAG_INIT;
    FAULT_SWEEP (k) {
        os_fault_arm(0, 0);
        char name[32];
        snprintf(name, sizeof name, "spool-fault-%u", (unsigned)k);
        struct spool_bench *s = opened(name);
        suspend(&s->b);
        bool repeated;
        uint64_t n = 0;
        os_fault_arm(k, EIO);
        for (int i = 0; i < 3; i++) {
            if (spool_ids(&s->b, n, 4, NULL, &repeated, NULL) == OK) n += 4;
        }
        bool fired = os_fault_fired();
        os_fault_arm(0, 0);
        REQUIRE(n >= 8); /* one of three at most */
        REQUIRE_OK(restore(&s->b, &d));
        expect_ids(&s->b, n);
        closed(s);
        if (!fired) break;
    }
}

/* --- every byte counts
 * ---------------------------------------------------------------------------- */

static void flip(const char *path, off_t at)
{
    uint8_t byte;
    int fd = open(path, O_RDWR);
    REQUIRE(fd >= 0 && pread(fd, &byte, 1, at) == 1);
    byte ^= 0x20;
    REQUIRE(pwrite(fd, &byte, 1, at) == 1);
    close(fd);
}

/* Rows [0, 2) and [2, 4); the flip makes some of them unreadable, and then says so. */
static void expect_detected(struct spool_bench *s, const char *what, off_t at)
{
    struct diag d = DIAG_INIT;
    REQUIRE_OK(restore(&s->b, &d));
    uint8_t counts[8] = {0};
    uint64_t total = 0;
    REQUIRE_OK(count_ids(&s->b, counts, 4, &total, &d));
    if (total > 3 || total != s->put_back) {
        fprintf(stderr, "%s: byte %ld: %llu rows, %llu put back\n", what, (long)at,
                (unsigned long long)total, (unsigned long long)s->put_back);
    }
    REQUIRE(total < 4); /* 4 were counted: the rest is reported as lost */
    EXPECT_EQ(total, s->put_back);
    for (int i = 0; i < 4; i++)
        REQUIRE(counts[i] <= 1);
}

static void flip_each(bool of_slot, off_t step)
{
    struct diag d = DIAG_INIT;
    off_t size = 1;
    for (off_t at = 0; at < size; at += step) {
        char name[48];
        snprintf(name, sizeof name, "spool-flip-%d-%ld", of_slot, (long)at);
        struct spool_bench *s = opened(name);
        suspend(&s->b);
        must_spool(s, 0, 2);
        must_spool(s, 2, 2);
        bench_close(&s->b);
        CLEANUP_FREE char *path = of_slot ? slot_file(s) : first_file(s);
        struct buf b = {0};
        REQUIRE_OK(os_read_file(path, 1 << 20, &b, &d));
        size = (off_t)b.len;
        buf_release(&b);
        flip(path, at);
        REQUIRE_OK(spool_bench_open(s, NULL, &d));
        expect_detected(s, of_slot ? "slot" : "file", at);
        closed(s);
    }
}

TEST(storage, a_flipped_byte_of_a_spool_file_is_never_data)
{
    flip_each(false, 61); /* through all parts of headers, start record and both batches */
}

TEST(storage, a_flipped_byte_of_the_slot_is_never_data)
{
    flip_each(true, 97);
    flip_each(true, 5 * 97 + 1);
}

/* --- killed at random
 * ------------------------------------------------------------------------------ */

struct progress { /* shared with the process that dies */
    _Atomic uint64_t acked;
};

static void live(struct spool_bench *s, struct progress *p)
{
    struct diag d = DIAG_INIT;
    if (spool_bench_open(s, NULL, &d) != OK) _exit(3);
    test_keys_set(&s->b.keys, customer, OK);
    if (store_account_open(s->b.store, customer, &d) != OK) _exit(4);
    for (;;) {
        suspend(&s->b);
        for (int i = 0; i < 6; i++) {
            bool repeated;
            uint64_t from = p->acked;
            uint8_t id[16] = {9};
            memcpy(id + 8, &from, sizeof from);
            if (spool_ids(&s->b, from, 3, id, &repeated, &d) != OK) _exit(5);
            p->acked = from + 3;
        }
        if (restore(&s->b, &d) != OK) _exit(6);
    }
}

TEST(storage, a_kill_anywhere_neither_doubles_nor_loses_a_spooled_row)
{
    struct diag d = DIAG_INIT;
    struct spool_bench *s = opened("spool-kill");
    bench_close(&s->b);
    struct progress *p =
        mmap(NULL, sizeof *p, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(p != MAP_FAILED);
    const char *seed_text = getenv("SEED");
    unsigned seed = seed_text != NULL ? (unsigned)atoi(seed_text) : 1;
    for (int round = 0; round < 12; round++) {
        pid_t pid = fork();
        if (pid == 0) live(s, p);
        time_sleep_us(20000 + rand_r(&seed) % 80000);
        kill(pid, SIGKILL);
        int status = 0;
        waitpid(pid, &status, 0);
        REQUIRE(WIFSIGNALED(status));
        REQUIRE_OK(spool_bench_open(s, NULL, &d));
        /* Half of the time the rows stay spooled, and the sender sends again what it saw no answer
         * to. */
        uint64_t acked = p->acked;
        bool repeated;
        uint8_t id[16] = {9};
        memcpy(id + 8, &acked, sizeof acked);
        if (round % 2 == 0) {
            suspend(&s->b);
            REQUIRE_OK(spool_ids(&s->b, acked, 3, id, &repeated, &d));
            p->acked = acked = acked + 3;
        }
        REQUIRE_OK(restore(&s->b, &d));
        if (round % 2 != 0) {
            CLEANUP_ARENA struct arena a;
            arena_init(&a, 0);
            struct batch rows;
            make_rows(&a, acked, 3, &rows);
            REQUIRE_OK(
                store_append_once(s->b.store, s->b.table, customer, &rows, id, &repeated, &d));
            p->acked = acked + 3;
        }
        expect_ids(&s->b, p->acked);
        bench_close(&s->b);
    }
    munmap(p, sizeof *p);
    closed(s);
}
