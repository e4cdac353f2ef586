/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/storage/rewrap.c - re-encryption moves every row once, whatever happens meanwhile */
#include "test_store.h"

#include "base/log.h"
#include "base/thread.h"
#include "storage/manifest.h"
#include "storage/store_impl.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#define IDS 600

static uint8_t from_accounts[2][16];

/* The workspace's rows: some of the platform's time, some of the customer's; the present keys. */
static struct store_rewrap setup(struct bench *b, const char *name, bool is_double)
{
    struct diag d = DIAG_INIT;
    log_set_level(LOG_ERROR); /* thousands of files come and go */
    test_keys_init(&b->keys);
    REQUIRE_OK(bench_open(b, name, &d));
    REQUIRE_OK(store_account_open(b->store, customer2, &d));
    REQUIRE_OK(store_account_open(b->store, customer, &d));
    for (uint64_t id = 0; id < 300; id += 100) { /* customer2 plays the platform's account */
        REQUIRE_OK(append_ids(b, customer2, id, 100, &d));
        if (id != 200) REQUIRE_OK(store_flush(b->store, customer2, &d));
    }
    for (uint64_t id = 300; id < IDS; id += 100) {
        REQUIRE_OK(append_ids(b, customer, id, 100, &d));
        if (id != 500) REQUIRE_OK(store_flush(b->store, customer, &d));
    }
    b->keys.generation = 7;
    b->keys.is_double = is_double;
    memcpy(from_accounts[0], customer, 16);
    memcpy(from_accounts[1], customer2, 16);
    struct store_rewrap r = {.workspace = workspace,
                             .aek_id = {1, 2, 3, 7},
                             .from = (const uint8_t(*)[16])from_accounts,
                             .n_from = 2};
    memcpy(r.to, customer, 16);
    return r;
}

static void expect_each_once(struct bench *b)
{
    struct diag d = DIAG_INIT;
    uint8_t counts[IDS] = {0};
    uint64_t total = 0;
    REQUIRE_OK(count_ids(b, counts, IDS, &total, &d));
    EXPECT_EQ(total, IDS);
    for (size_t i = 0; i < IDS; i++)
        EXPECT_EQ(counts[i], 1);
}

static enum err move_all(struct bench *b, const struct store_rewrap *r, uint64_t *moved,
                         struct diag *d)
{
    uint64_t bytes = 1;
    *moved = 0;
    TRY(store_rewrap_flush(b->store, r, d));
    while (bytes != 0) {
        TRY(store_rewrap_step(b->store, r, &bytes, d));
        *moved += bytes != 0;
    }
    return OK;
}

static void expect_all_under(struct bench *b, const struct store_rewrap *r)
{
    LOCK_SCOPE(&b->store->lock);
    for (struct account *a = b->store->accounts; a != NULL; a = a->next) {
        for (struct part *p = a->parts; p != NULL; p = p->next_of_account) {
            if (p->n_segments != 0) REQUIRE(memcmp(a->id, r->to, 16) == 0);
            for (uint32_t i = 0; i < p->n_segments; i++)
                REQUIRE(memcmp(p->segments[i]->aek_id, r->aek_id, 16) == 0);
        }
    }
}

/* expect_each_once() reads as one layer or two; the files say which by their key alone. */
TEST(rewrap, rows_under_other_accounts_and_older_keys_move_once_and_stay_over_a_restart)
{
    struct diag d = DIAG_INIT;
    struct bench b = {0};
    struct store_rewrap r = setup(&b, "move", false);
    struct store_rewrap_left left;
    uint64_t moved;
    REQUIRE_OK(store_rewrap_count(b.store, &r, &left, &d));
    EXPECT_EQ(left.segments, 4);
    EXPECT_EQ(left.logs, 2);
    REQUIRE(left.bytes > 4096);
    REQUIRE_OK(move_all(&b, &r, &moved, &d));
    EXPECT_EQ(moved, 5); /* 3 of the platform's, 2 of the customer's older key */
    expect_each_once(&b);
    expect_all_under(&b, &r);
    REQUIRE_OK(store_rewrap_count(b.store, &r, &left, &d));
    EXPECT_EQ(left.segments, 0);
    EXPECT_EQ(left.bytes, 0);
    REQUIRE_OK(move_all(&b, &r, &moved, &d)); /* again changes nothing */
    EXPECT_EQ(moved, 0);
    bench_close(&b);
    REQUIRE_OK(bench_open(&b, "move", &d));
    REQUIRE_OK(store_account_open(b.store, customer, &d));
    REQUIRE_OK(store_account_open(b.store, customer2, &d));
    expect_each_once(&b);
    bench_release(&b);
    EXPECT_EQ(b.keys.n_out, 0);
}

/* Files of one layer and of two, by the generation of their key. */
static enum err both_open(void *self, const uint8_t account[16], const struct file_ident *files,
                          size_t n, struct file_key **out, struct diag *d)
{
    struct test_keys *t = self;
    for (size_t i = 0; i < n; i++) {
        t->is_double = files[i].aek_id[3] == 7;
        TRY(test_keys_open(t, account, &files[i], 1, &out[i], d));
    }
    t->is_double = true;
    return OK;
}

TEST(rewrap, rows_sealed_once_become_rows_sealed_twice)
{
    struct diag d = DIAG_INIT;
    struct bench b = {0};
    struct store_rewrap r = setup(&b, "twice", true);
    struct key_ops ops = test_key_ops;
    ops.open = both_open;
    b.store->c.keys.ops = &ops;
    uint64_t moved;
    REQUIRE_OK(move_all(&b, &r, &moved, &d));
    EXPECT_EQ(moved, 5);
    expect_each_once(&b);
    expect_all_under(&b, &r);
    b.store->c.keys.ops = b.keys.keys.ops;
    bench_release(&b);
}

/* --- scans meanwhile
 * ---------------------------------------------------------------------------------- */

struct reader {
    struct bench *b;
    _Atomic bool stop;
    _Atomic unsigned n;
    _Atomic bool bad;
};

static void *read_on(void *arg)
{
    struct reader *x = arg;
    while (!x->stop) {
        uint8_t counts[IDS] = {0};
        uint64_t total = 0;
        if (count_ids(x->b, counts, IDS, &total, NULL) != OK || total != IDS) x->bad = true;
        x->n++;
    }
    return NULL;
}

TEST(rewrap, a_scan_that_runs_meanwhile_sees_every_row_once)
{
    struct diag d = DIAG_INIT;
    struct bench b = {0};
    struct store_rewrap r = setup(&b, "meanwhile", false);
    struct reader x = {.b = &b};
    pthread_t thread;
    REQUIRE_OK(thread_start(&thread, read_on, &x, &d));
    for (uint8_t round = 8; round < 20; round++) { /* another new key each time */
        uint64_t moved;
        b.keys.generation = round;
        r.aek_id[3] = round;
        REQUIRE_OK(move_all(&b, &r, &moved, &d));
        REQUIRE(moved >= 4);
    }
    x.stop = true;
    pthread_join(thread, NULL);
    REQUIRE(!x.bad && x.n > 0);
    bench_release(&b);
}

TEST(rewrap, a_scan_that_began_before_reads_on_and_the_old_file_waits_for_it)
{
    struct diag d = DIAG_INIT;
    struct bench b = {0};
    struct store_rewrap r = setup(&b, "waits", false);
    REQUIRE_OK(store_rewrap_flush(b.store, &r, &d));
    uint32_t column = 1, place = 0;
    struct store_scan *sc = NULL;
    REQUIRE_OK(store_scan_open(b.store, b.table, &column, 1, NULL, 0, &sc, &d));
    uint64_t moved, rows = 0;
    REQUIRE_OK(move_all(&b, &r, &moved, &d));
    for (uint32_t u = 0; u < store_scan_units(sc); u++) {
        CLEANUP_ARENA struct arena a;
        arena_init(&a, 0);
        struct batch got;
        REQUIRE_OK(store_scan_read(sc, u, &place, 1, &a, &got, &d));
        rows += got.n_rows;
    }
    EXPECT_EQ(rows, IDS);
    store_scan_close(sc);
    expect_each_once(&b);
    bench_release(&b);
}

/* --- what goes wrong
 * ---------------------------------------------------------------------------------- */

TEST(rewrap, a_system_call_that_fails_leaves_every_row_once_and_the_next_try_ends_it)
{
    struct diag d = DIAG_INIT;
    struct bench b = {0};
    struct store_rewrap r = setup(&b, "fault", false);
    uint64_t moved;
    REQUIRE_OK(store_rewrap_flush(b.store, &r, &d));
    FAULT_SWEEP (n) {
        (void)!move_all(&b, &r, &moved, NULL);
    }
    expect_each_once(&b);
    REQUIRE_OK(move_all(&b, &r, &moved, &d));
    expect_each_once(&b);
    expect_all_under(&b, &r);
    bench_release(&b);
}

TEST(rewrap, a_locked_account_stops_it_and_it_goes_on_when_the_key_is_back)
{
    struct diag d = DIAG_INIT;
    struct bench b = {0};
    struct store_rewrap r = setup(&b, "locked", false);
    uint64_t bytes, moved;
    REQUIRE_OK(store_rewrap_flush(b.store, &r, &d));
    REQUIRE_OK(store_rewrap_step(b.store, &r, &bytes, &d));
    test_keys_set(&b.keys, customer, ERR_KEY_LOCKED);
    store_account_lock(b.store, customer);
    REQUIRE_ERR(ERR_KEY_LOCKED, store_rewrap_step(b.store, &r, &bytes, &d));
    test_keys_set(&b.keys, customer, OK);
    REQUIRE_OK(store_account_open(b.store, customer, &d));
    REQUIRE_OK(move_all(&b, &r, &moved, &d));
    expect_each_once(&b);
    expect_all_under(&b, &r);
    bench_release(&b);
}

TEST(rewrap, a_process_that_dies_at_any_moment_leaves_every_row_once)
{
    struct diag d = DIAG_INIT;
    unsigned killed = 0;
    for (unsigned round = 0; round < 12; round++) {
        struct bench b = {0};
        CLEANUP_FREE char *name = str_fmt("dies-%u", round);
        struct store_rewrap r = setup(&b, name, false);
        bench_close(&b);
        pid_t pid = fork();
        REQUIRE(pid >= 0);
        if (pid == 0) {
            uint64_t moved;
            if (bench_open(&b, name, NULL) != OK ||
                store_account_open(b.store, customer, NULL) != OK ||
                store_account_open(b.store, customer2, NULL) != OK) {
                _exit(1);
            }
            os_fault_arm(2 + 9 * round, OS_FAULT_KILL);
            (void)!move_all(&b, &r, &moved, NULL);
            _exit(0);
        }
        int status;
        REQUIRE(waitpid(pid, &status, 0) == pid);
        REQUIRE(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
        killed += WIFSIGNALED(status);
        REQUIRE_OK(bench_open(&b, name, &d));
        REQUIRE_OK(store_account_open(b.store, customer, &d));
        REQUIRE_OK(store_account_open(b.store, customer2, &d));
        expect_each_once(&b);
        uint64_t moved;
        REQUIRE_OK(move_all(&b, &r, &moved, &d));
        expect_each_once(&b);
        bench_release(&b);
    }
    REQUIRE(killed >= 8);
}

/* --- the old key
 * -------------------------------------------------------------------------------------- */

static enum err count_drop(void *ctx, const uint8_t account[16], const uint8_t aek_id[16],
                           struct diag *d)
{
    (void)account, (void)aek_id, (void)d;
    ++*(unsigned *)ctx;
    return OK;
}

TEST(rewrap, an_old_key_is_dropped_only_when_no_file_lies_under_it)
{
    struct diag d = DIAG_INIT;
    struct bench b = {0};
    struct store_rewrap r = setup(&b, "unused", false);
    const uint8_t old[16] = {1, 2, 3};
    unsigned dropped = 0;
    uint64_t moved;
    bool unused;
    uint32_t column = 1;
    struct store_scan *sc = NULL;
    REQUIRE_OK(store_aek_unused(b.store, customer, old, count_drop, &dropped, &unused, &d));
    REQUIRE(!unused);
    REQUIRE_OK(store_rewrap_flush(b.store, &r, &d));
    REQUIRE_OK(store_scan_open(b.store, b.table, &column, 1, NULL, 0, &sc, &d));
    REQUIRE_OK(move_all(&b, &r, &moved, &d));
    REQUIRE_OK(store_aek_unused(b.store, customer, old, count_drop, &dropped, &unused, &d));
    REQUIRE(!unused); /* its log, and the segments that the scan still holds */
    store_scan_close(sc);
    REQUIRE_OK(store_aek_unused(b.store, customer, old, count_drop, &dropped, &unused, &d));
    struct store_rewrap_left left;
    REQUIRE_OK(store_rewrap_count(b.store, &r, &left, &d));
    EXPECT_EQ(unused, left.logs == 0);
    REQUIRE_OK(store_aek_unused(b.store, customer, r.aek_id, count_drop, &dropped, &unused, &d));
    REQUIRE(!unused);
    REQUIRE_OK(store_aek_unused(b.store, platform, old, count_drop, &dropped, &unused, &d));
    REQUIRE(!unused); /* the catalogue's entries lie under it */
    bench_release(&b);
}
