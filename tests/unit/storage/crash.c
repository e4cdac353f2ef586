/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/storage/crash.c - processes that die: every acknowledged row is there once, whatever
 * the moment
 *
 * A child appends and says through a pipe what was acknowledged; it is killed with SIGKILL at a
 * random moment.
 */
#include "test_store.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define IDS_MAX 200000

struct ack {
    uint64_t from;
    uint32_t n;
    uint32_t done; /* 0: about to be sent, 1: acknowledged */
};

static void say(int fd, uint64_t from, uint32_t n, uint32_t done)
{
    struct ack a = {from, n, done};
    if (write(fd, &a, sizeof a) != (ssize_t)sizeof a) _exit(4);
}

/* The child: appends until it is killed. Batches of 1 to 20 rows, now and then a flush of its own.
 */
static void append_for_ever(const char *name, uint64_t from, uint64_t seed, int fd)
{
    struct bench b = {.config = {.memtable_rows_max = 60}};
    struct diag d = DIAG_INIT;
    if (bench_open(&b, name, &d) != OK || store_account_open(b.store, customer, &d) != OK) _exit(3);
    for (;;) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        uint32_t n = 1 + (uint32_t)(seed >> 33) % 20;
        say(fd, from, n, 0);
        if (append_ids(&b, customer, from, n, &d) != OK) _exit(5);
        say(fd, from, n, 1);
        from += n;
        if (from > IDS_MAX - 100) _exit(6);
        if ((seed >> 40) % 15 == 0 && store_flush(b.store, customer, &d) != OK) _exit(7);
    }
}

struct history {
    uint8_t sent[IDS_MAX], acked[IDS_MAX];
    uint64_t next; /* first id never sent */
};

static void read_acks(struct history *h, int fd)
{
    struct ack a;
    while (read(fd, &a, sizeof a) == (ssize_t)sizeof a) {
        for (uint64_t i = a.from; i < a.from + a.n; i++)
            *(a.done != 0 ? &h->acked[i] : &h->sent[i]) = 1;
        if (a.from + a.n > h->next) h->next = a.from + a.n;
    }
}

static void run_and_kill(const char *name, struct history *h, uint64_t seed)
{
    int fds[2];
    REQUIRE(pipe(fds) == 0);
    fflush(NULL);
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        close(fds[0]);
        append_for_ever(name, h->next, seed, fds[1]);
    }
    close(fds[1]);
    time_sleep_us(3000 + (int64_t)(seed % 150000));
    kill(child, SIGKILL);
    int status;
    REQUIRE(waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status)); /* it did not fail by itself */
    read_acks(h, fds[0]);
    close(fds[0]);
}

/* In a child of its own that ends without closing, so that nothing is flushed by the look. */
static void check_in_child(const char *name, const struct history *h)
{
    fflush(NULL);
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        struct bench b = {0};
        struct diag d = DIAG_INIT;
        static uint8_t counts[IDS_MAX];
        uint64_t total = 0;
        if (bench_open(&b, name, &d) != OK || store_account_open(b.store, customer, &d) != OK ||
            count_ids(&b, counts, IDS_MAX, &total, &d) != OK) {
            fprintf(stderr, "%s\n", d.text);
            _exit(10);
        }
        for (uint64_t i = 0; i < IDS_MAX; i++) {
            if (h->acked[i] && counts[i] != 1) _exit(counts[i] == 0 ? 11 : 12);
            if (!h->sent[i] && counts[i] != 0) _exit(13);
            if (counts[i] > 1) _exit(14);
        }
        _exit(0);
    }
    int status;
    REQUIRE(waitpid(child, &status, 0) == child);
    if (!WIFEXITED(status)) fail_msg("the checking child died of signal %d", WTERMSIG(status));
    EXPECT_EQ(WEXITSTATUS(status), 0); /* 11: an acknowledged row is missing; 12, 14: twice */
}

TEST(crash, every_acknowledged_row_is_there_once_after_kill_at_any_moment)
{
    static struct history h;
    const char *text = getenv("SEED");
    uint64_t seed = text != NULL ? strtoull(text, NULL, 10) : (uint64_t)time_kernel_us();
    (void)test_dir(); /* made here: the children share it */
    fprintf(stderr, "SEED=%llu\n", (unsigned long long)seed);
    for (int round = 0; round < 25; round++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        run_and_kill("kill", &h, seed >> 20);
        check_in_child("kill", &h);
    }
    REQUIRE(h.next > 100);
}

/* --- recovery of a recovered store
 * -------------------------------------------------------------------- */

static enum err dump_row(void *ctx, const struct catalog_row *row, struct diag *d)
{
    struct buf *b = ctx;
    buf_str(b, row->id);
    buf_blob(b, row->value);
    return buf_check(b, d);
}

static void dump_dir(const char *path, struct buf *out)
{
    struct diag d = DIAG_INIT;
    struct dirent **names;
    int n = scandir(path, &names, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        char *sub = os_path(path, names[i]->d_name);
        if (names[i]->d_type == DT_DIR && names[i]->d_name[0] != '.') dump_dir(sub, out);
        if (names[i]->d_type == DT_REG) {
            buf_str(out, sub);
            REQUIRE_OK(os_read_file(sub, 1 << 24, out, &d));
        }
        free(sub);
        free(names[i]);
    }
    if (n >= 0) free(names);
}

/* All logs and blobs byte by byte, and every record of the catalogue. */
static void dump_store(const char *dir, struct buf *out)
{
    static const char *const kinds[] = {"ident", "table", "segment", "covered", "log"};
    struct diag d = DIAG_INIT;
    char *logs = os_path(dir, "wal"), *blobs = os_path(dir, "blobs"),
         *db = os_path(dir, "catalog.db");
    dump_dir(logs, out);
    dump_dir(blobs, out);
    struct catalog *c = NULL;
    REQUIRE_OK(catalog_open_sqlite(&c, db, &d));
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        REQUIRE_OK(c->ops->list(c, NULL, kinds[i], NULL, NULL, dump_row, out, &d));
    }
    c->ops->close(c);
    free(logs);
    free(blobs);
    free(db);
}

static void in_child(void (*run)(const char *name), const char *name)
{
    fflush(NULL);
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        run(name);
        _exit(0);
    }
    int status;
    REQUIRE(waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void fill_and_die(const char *name)
{
    struct bench b = {0};
    struct diag d = DIAG_INIT;
    if (bench_open(&b, name, &d) != OK || store_account_open(b.store, customer, &d) != OK) _exit(1);
    if (append_ids(&b, customer, 0, 100, &d) != OK || store_flush(b.store, customer, &d) != OK)
        _exit(2);
    if (append_ids(&b, customer, 100, 50, &d) != OK) _exit(3);
    /* A torn tail: the beginning of a record that never got whole. */
    struct dirent **names;
    char *wal = os_path(b.dir, "wal/cc010000000000000000000000000000");
    int n = scandir(wal, &names, NULL, alphasort);
    if (n < 3) _exit(4);
    char *file = os_path(wal, names[n - 1]->d_name);
    int fd = open(file, O_WRONLY | O_APPEND);
    if (write(fd, "KSTB torn", 9) != 9) _exit(5);
}

static enum err hash_entry(void *ctx, const struct catalog_row *row, struct diag *d)
{
    (void)d;
    uint64_t *hash = ctx;
    for (size_t i = 0; i < row->value.len; i++)
        *hash = (*hash ^ row->value.p[i]) * 1099511628211u;
    return OK;
}

static uint64_t hash_log_entries(struct bench *b)
{
    uint64_t hash = 14695981039346656037u;
    struct catalog *c = b->catalog;
    if (c->ops->list(c, NULL, "log", NULL, NULL, hash_entry, &hash, NULL) != OK) _exit(8);
    return hash;
}

static bool is_first_recovery;

static void recover_and_die(const char *name)
{
    struct bench b = {0};
    struct diag d = DIAG_INIT;
    if (bench_open(&b, name, &d) != OK) _exit(1);
    uint64_t before = hash_log_entries(&b);
    if (store_account_open(b.store, customer, &d) != OK) _exit(1);
    static uint8_t counts[150];
    uint64_t total = 0;
    if (count_ids(&b, counts, 150, &total, &d) != OK || total != 150) _exit(2);
    /* The flusher notes what the old file holds; the second time there is nothing to note. */
    for (int i = 0; is_first_recovery && i < 12000 && hash_log_entries(&b) == before; i++)
        time_sleep_us(10000);
    time_sleep_us(300000);
}

TEST(crash, recovery_of_a_recovered_store_changes_nothing)
{
    char *dir = os_path(test_dir(), "again"); /* made here: the children share it */
    in_child(fill_and_die, "again");
    CLEANUP_BUF struct buf torn = {0}, once = {0}, twice = {0};
    dump_store(dir, &torn);
    is_first_recovery = true;
    in_child(recover_and_die, "again");
    is_first_recovery = false;
    dump_store(dir, &once);
    in_child(recover_and_die, "again");
    dump_store(dir, &twice);
    REQUIRE(!bytes_eq(buf_view(&torn), buf_view(&once)));
    REQUIRE(bytes_eq(buf_view(&once), buf_view(&twice)));
    free(dir);
}
