/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/storage/once.c - a batch that is sent twice is stored once; a batch is stored whole or
 * not at all */
#include "test_store.h"

#include "base/thread.h"
#include "storage/dedupe.h"
#include "storage/wal.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

static enum err append_named(struct bench *b, uint8_t name, uint64_t from, uint32_t n,
                             bool *repeated, struct diag *d)
{
    CLEANUP_ARENA struct arena a;
    arena_init(&a, (size_t)1 << 30);
    struct batch rows;
    make_rows(&a, from, n, &rows);
    const uint8_t id[BATCH_ID_LEN] = {name, 1, 2};
    return store_append_once(b->store, b->table, customer, &rows, id, repeated, d);
}

static void expect_repeated(struct bench *b, uint8_t name, uint64_t from, uint32_t n)
{
    struct diag d = DIAG_INIT;
    bool repeated = false;
    REQUIRE_OK(append_named(b, name, from, n, &repeated, &d));
    REQUIRE(repeated);
}

static void expect_fresh(struct bench *b, uint8_t name, uint64_t from, uint32_t n)
{
    struct diag d = DIAG_INIT;
    bool repeated = true;
    REQUIRE_OK(append_named(b, name, from, n, &repeated, &d));
    REQUIRE(!repeated);
}

static void open_all(struct bench *b, const char *name)
{
    struct diag d = DIAG_INIT;
    REQUIRE_OK(bench_open(b, name, &d));
    REQUIRE_OK(store_account_open(b->store, customer, &d));
}

TEST(once, a_repeated_batch_is_stored_once_also_after_flush_lock_and_restart)
{
    struct diag d = DIAG_INIT;
    struct bench b = {0};
    open_all(&b, "repeat");
    expect_fresh(&b, 1, 0, 20);
    expect_repeated(&b, 1, 0, 20);
    expect_fresh(&b, 2, 20, 20);
    REQUIRE_OK(append_ids(&b, customer, 40, 5, &d)); /* without a name: nothing is compared */
    expect_ids(&b, 45);
    REQUIRE_OK(store_flush(b.store, customer, &d));
    expect_repeated(&b, 1, 0, 20);
    expect_repeated(&b, 2, 20, 20);
    expect_ids(&b, 45);

    test_keys_set(&b.keys, customer, ERR_KEY_LOCKED);
    store_account_lock(b.store, customer);
    bool repeated;
    REQUIRE_ERR(ERR_KEY_LOCKED, append_named(&b, 1, 0, 20, &repeated, &d));
    const uint8_t known[BATCH_ID_LEN] = {1, 1, 2}, unknown[BATCH_ID_LEN] = {9, 1, 2};
    REQUIRE(store_batch_known(b.store, known) && !store_batch_known(b.store, unknown));
    test_keys_set(&b.keys, customer, OK);
    REQUIRE_OK(store_account_open(b.store, customer, &d));
    expect_repeated(&b, 2, 20, 20);

    for (int i = 0; i < 2; i++) { /* everything is in segments; only the log knows the names */
        bench_close(&b);
        open_all(&b, "repeat");
        expect_repeated(&b, 1, 0, 20);
        expect_repeated(&b, 2, 20, 20);
        expect_ids(&b, 45);
    }
    expect_fresh(&b, 3, 45, 5);
    expect_ids(&b, 50);
    bench_release(&b);
}

/* The child appends, flushes and dies without a word. */
static void append_flush_die(const char *name, bool flush)
{
    fflush(NULL);
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        struct bench b = {0};
        open_all(&b, name);
        expect_fresh(&b, 1, 0, 20);
        if (flush && store_flush(b.store, customer, NULL) != OK) _exit(1);
        _exit(0);
    }
    int status;
    REQUIRE(waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Whether a file's ids are young stands in the file alone: nobody has read them yet. */
TEST(once, a_flush_before_the_first_replay_forgets_no_batch)
{
    struct diag d = DIAG_INIT;
    struct bench b = {0};
    open_all(&b, "early");
    expect_fresh(&b, 1, 0, 20);
    bench_close(&b); /* all rows are in segments, and the log's entry says so */
    REQUIRE_OK(bench_open(&b, "early", &d));
    REQUIRE_OK(store_flush(b.store, customer, &d)); /* as the flusher does */
    REQUIRE_OK(store_account_open(b.store, customer, &d));
    expect_repeated(&b, 1, 0, 20);
    expect_ids(&b, 20);
    bench_release(&b);
}

TEST(once, a_process_that_dies_forgets_no_batch_whether_it_was_flushed_or_not)
{
    (void)test_dir(); /* made here: the children share it */
    for (int flush = 0; flush < 2; flush++) {
        const char *name = flush ? "died-flushed" : "died";
        struct bench b = {0};
        append_flush_die(name, flush != 0);
        open_all(&b, name);
        expect_repeated(&b, 1, 0, 20);
        expect_ids(&b, 20);
        bench_release(&b);
    }
}

TEST(once, a_batch_that_failed_is_not_known)
{
    struct diag d = DIAG_INIT;
    struct bench b = {0};
    bool repeated;
    open_all(&b, "failed");
    expect_fresh(&b, 1, 0, 10);
    os_fault_arm(1, EIO); /* the write of the log */
    REQUIRE_ERR(ERR_IO, append_named(&b, 2, 10, 10, &repeated, &d));
    os_fault_arm(0, 0);
    expect_fresh(&b, 2, 10, 10);
    expect_repeated(&b, 2, 10, 10);
    expect_ids(&b, 20);
    bench_release(&b);
}

struct racer {
    struct bench *b;
    atomic_uint *fresh;
    unsigned seed;
};

static void *race(void *arg)
{
    struct racer *r = arg;
    for (uint32_t i = 0; i < 40; i++) {
        struct diag d = DIAG_INIT;
        bool repeated = false;
        REQUIRE_OK(append_named(r->b, (uint8_t)(i + 1), i * 5, 5, &repeated, &d));
        if (!repeated) atomic_fetch_add(r->fresh, 1);
    }
    return NULL;
}

TEST(once, of_those_who_send_a_batch_at_the_same_time_one_stores_it)
{
    struct diag d = DIAG_INIT;
    struct bench b = {0};
    atomic_uint fresh = 0;
    struct racer r[4];
    pthread_t threads[4];
    open_all(&b, "race");
    for (unsigned i = 0; i < 4; i++) {
        r[i] = (struct racer){&b, &fresh, i};
        REQUIRE_OK(thread_start(&threads[i], race, &r[i], &d));
    }
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    EXPECT_EQ(fresh, 40);
    expect_ids(&b, 200);
    bench_release(&b);
}

/* --- whole or not at all
 * ----------------------------------------------------------------------------- */

#define WIDE    65536u /* most rows of a record */
#define DIR_LOG "wal/cc010000000000000000000000000000"

/* The only log file that holds rows; free() */
static char *only_log(const struct bench *b)
{
    char *dir = os_path(b->dir, DIR_LOG);
    struct dirent **names;
    int n = scandir(dir, &names, NULL, alphasort);
    REQUIRE(n == 3);
    char *path = os_path(dir, names[2]->d_name);
    for (int i = 0; i < n; i++)
        free(names[i]);
    free(names);
    free(dir);
    return path;
}

/* Where each block of the log begins, and its length at the end. */
static size_t block_places(struct bytes image, size_t *at, size_t max)
{
    size_t n = 0, pos = FILE_HEADER_LEN;
    struct block_header h;
    while (block_header_decode(bytes_of(image.p + pos, image.len - pos), &h, NULL) == OK) {
        REQUIRE(n + 1 < max);
        at[n++] = pos;
        pos += (size_t)h.len + BLOCK_OVERHEAD;
    }
    REQUIRE(pos == image.len);
    at[n] = pos;
    return n;
}

static void die_with_a_split_batch(const char *name)
{
    fflush(NULL);
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        struct bench b = {0};
        open_all(&b, name);
        expect_fresh(&b, 1, 0, 10);
        expect_fresh(&b, 2, 10, 2 * WIDE + 10); /* four records */
        _exit(0);
    }
    int status;
    REQUIRE(waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void write_cut(const char *path, struct bytes image, size_t len)
{
    int fd = open(path, O_WRONLY | O_TRUNC);
    REQUIRE(fd >= 0 && write(fd, image.p, len) == (ssize_t)len);
    close(fd);
}

/* In a child that dies, so that the next cut finds the same catalogue. */
static void expect_after_cut(const char *name, bool whole)
{
    fflush(NULL);
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        struct bench b = {0};
        struct store_stats stats;
        open_all(&b, name);
        store_stats(b.store, &stats);
        EXPECT_EQ(stats.rows, whole ? 2 * WIDE + 20 : 10);
        expect_repeated(&b, 1, 0, 10);
        bool repeated = false;
        struct diag d = DIAG_INIT;
        /* The sender comes again: it is stored now, or was before. */
        REQUIRE_OK(append_named(&b, 2, 10, 2 * WIDE + 10, &repeated, &d));
        REQUIRE(repeated == whole);
        store_stats(b.store, &stats);
        EXPECT_EQ(stats.rows, 2 * WIDE + 20);
        _exit(0);
    }
    int status;
    REQUIRE(waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

TEST(once, a_batch_of_several_records_that_was_cut_anywhere_is_not_there)
{
    struct diag d = DIAG_INIT;
    (void)test_dir();
    size_t at[16];
    for (size_t i = 0; i < 8; i++) {
        CLEANUP_FREE char *name = str_fmt("split%zu", i);
        struct bench b = {.dir = os_path(test_dir(), name)};
        die_with_a_split_batch(name);
        CLEANUP_BUF struct buf image = {0};
        CLEANUP_FREE char *log = only_log(&b);
        REQUIRE_OK(os_read_file(log, 1 << 26, &image, &d));
        size_t n = block_places(buf_view(&image), at, 16);
        EXPECT_EQ(n, 6); /* start, the first batch, four of the second */
        /* Each record of the second batch is missing, or torn in the middle. */
        size_t k = 2 + i / 2;
        size_t cut = i % 2 == 0 ? at[k] : at[k] + (at[k + 1] - at[k]) / 2;
        write_cut(log, buf_view(&image), cut);
        expect_after_cut(name, false);
        free(b.dir);
    }
    die_with_a_split_batch("split");
    expect_after_cut("split", true);
}

TEST(once, a_batch_that_does_not_fit_leaves_nothing)
{
    struct diag d = DIAG_INIT;
    struct bench b = {0};
    CLEANUP_ARENA struct arena a;
    arena_init(&a, (size_t)1 << 30);
    CLEANUP_FREE char *text = malloc(WAL_RECORD_MAX + 1);
    REQUIRE(text != NULL);
    memset(text, 'x', WAL_RECORD_MAX + 1);
    struct batch rows;
    make_rows(&a, 0, WIDE + 1, &rows);
    struct bytes *messages = arena_array(&a, struct bytes, WIDE + 1);
    for (uint32_t i = 0; i <= WIDE; i++)
        messages[i] = BYTES("short");
    messages[WIDE] = bytes_of(text, WAL_RECORD_MAX + 1); /* in the last of three records */
    rows.cols[2].data = messages;
    open_all(&b, "unfit");
    REQUIRE_ERR(ERR_LIMIT, store_append(b.store, b.table, customer, &rows, &d));
    expect_ids(&b, 0);
    bench_release(&b);
}

/* --- the memory of ids
 * ------------------------------------------------------------------------------- */

static void name_of(uint32_t i, uint8_t id[BATCH_ID_LEN])
{
    memset(id, 0, BATCH_ID_LEN);
    memcpy(id, &i, sizeof i);
}

TEST(once, ids_are_forgotten_by_age_and_by_number_the_oldest_first)
{
    struct diag d = DIAG_INIT;
    struct dedupe *t = dedupe_new(100);
    uint8_t id[BATCH_ID_LEN];
    bool fresh = false;
    REQUIRE(t != NULL);
    for (uint32_t i = 0; i < 150; i++) {
        name_of(i, id);
        REQUIRE_OK(dedupe_begin(t, id, i, &fresh, &d));
        REQUIRE(fresh);
        dedupe_end(t, id, true);
    }
    uint32_t known = 0;
    for (uint32_t i = 0; i < 150; i++) {
        name_of(i, id);
        bool is = dedupe_knows(t, id, 150);
        REQUIRE(is || i < 50);
        known += is;
    }
    EXPECT_EQ(known, 100);
    name_of(149, id);
    REQUIRE(dedupe_knows(t, id, 148 + DEDUPE_US));
    REQUIRE(!dedupe_knows(t, id, 149 + DEDUPE_US));

    name_of(7, id); /* one that is being written stays */
    REQUIRE_OK(dedupe_begin(t, id, 1, &fresh, &d));
    REQUIRE(fresh && dedupe_knows(t, id, 9 * DEDUPE_US));
    dedupe_end(t, id, false);
    REQUIRE(!dedupe_knows(t, id, 2));
    REQUIRE_OK(dedupe_note(t, id, 5, 5 + DEDUPE_US, &d)); /* too old to matter */
    REQUIRE(!dedupe_knows(t, id, 5));
    dedupe_free(t);
}

/* After a restart: the spool turns the batch away because the key is back, and meanwhile the log
 * that holds it is read. */
TEST(once, what_a_log_says_of_a_batch_outlives_a_writer_that_failed)
{
    struct diag d = DIAG_INIT;
    struct dedupe *t = dedupe_new(100);
    uint8_t id[BATCH_ID_LEN];
    bool fresh = false;
    REQUIRE(t != NULL);
    name_of(1, id);
    REQUIRE_OK(dedupe_begin(t, id, 20, &fresh, &d));
    REQUIRE(fresh);
    REQUIRE_OK(dedupe_note(t, id, 10, 20, &d));
    dedupe_end(t, id, false);
    REQUIRE_OK(dedupe_begin(t, id, 30, &fresh, &d));
    REQUIRE(!fresh);
    REQUIRE(!dedupe_knows(t, id, 10 + DEDUPE_US)); /* its age is the log's */
    dedupe_free(t);
}
