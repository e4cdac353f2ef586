/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/storage/fault.c - the disk refuses the 1st, 2nd, 3rd... call: nothing acknowledged is
 * lost or doubled */
#include "test_store.h"

#include <ftw.h>
#include <unistd.h>

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *f)
{
    (void)st, (void)flag, (void)f;
    return remove(path);
}

struct outcome {
    bool acked[3]; /* of three batches of 10 rows */
};

/* Open, append, flush, append, close - each as far as it goes. */
static void live(struct bench *b, const char *name, struct outcome *o)
{
    struct diag d = DIAG_INIT;
    if (bench_open(b, name, &d) == OK && store_account_open(b->store, customer, NULL) == OK) {
        o->acked[0] = append_ids(b, customer, 0, 10, NULL) == OK;
        o->acked[1] = append_ids(b, customer, 10, 10, NULL) == OK;
        (void)!store_flush(b->store, customer, NULL);
        o->acked[2] = append_ids(b, customer, 20, 10, NULL) == OK;
    }
    bench_close(b);
}

static void expect_outcome(struct bench *b, const char *name, const struct outcome *o)
{
    struct diag d = DIAG_INIT;
    uint8_t counts[30] = {0};
    uint64_t total = 0;
    REQUIRE_OK(bench_open(b, name, &d));
    REQUIRE_OK(store_account_open(b->store, customer, &d));
    REQUIRE_OK(count_ids(b, counts, 30, &total, &d));
    for (int i = 0; i < 30; i++) {
        REQUIRE(counts[i] <= 1);
        REQUIRE(counts[i] == 1 || !o->acked[i / 10]);
    }
    /* And it works on. */
    REQUIRE_OK(append_ids(b, customer, 20, 1, &d));
    bench_close(b);
}

TEST(fault, a_refused_call_loses_no_acknowledged_row_and_doubles_none)
{
    uint64_t rounds = 0;
    FAULT_SWEEP (n) {
        os_fault_arm(0, 0);
        struct bench b = {.dir = os_path(test_dir(), "sweep")};
        struct outcome o = {0};
        test_keys_init(&b.keys);
        os_fault_arm(n, EIO);
        live(&b, "sweep", &o);
        bool fired = os_fault_fired();
        os_fault_arm(0, 0);
        expect_outcome(&b, "sweep", &o);
        EXPECT_EQ(b.keys.n_out, 0); /* every key was given back */
        if (!fired) REQUIRE(o.acked[0] && o.acked[1] && o.acked[2]);
        nftw(b.dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
        bench_release(&b);
        rounds++;
        if (fired) { /* say so to the sweep again: the look has disarmed it */
            os_fault_arm(1, EIO);
            (void)os_fault();
        }
    }
    REQUIRE(rounds > 30);
}

/* Opening a store that has logs and segments: a refused call is an error, never a smaller store. */
TEST(fault, a_refused_call_while_opening_hides_nothing)
{
    struct diag d = DIAG_INIT;
    struct bench b = {0};
    REQUIRE_OK(bench_open(&b, "opening", &d));
    REQUIRE_OK(store_account_open(b.store, customer, &d));
    REQUIRE_OK(append_ids(&b, customer, 0, 20, &d));
    REQUIRE_OK(store_flush(b.store, customer, &d));
    bench_close(&b);
    FAULT_SWEEP (n) {
        uint8_t counts[20] = {0};
        uint64_t total = 0;
        enum err e = bench_open(&b, "opening", &d);
        if (e == OK) e = store_account_open(b.store, customer, &d);
        if (e == OK) e = count_ids(&b, counts, 20, &total, &d);
        bool fired = os_fault_fired();
        os_fault_arm(0, 0);
        REQUIRE(e != OK || total == 20);
        REQUIRE(fired || e == OK);
        bench_close(&b);
        if (fired) {
            os_fault_arm(1, EIO);
            (void)os_fault();
        }
    }
    bench_release(&b);
}
