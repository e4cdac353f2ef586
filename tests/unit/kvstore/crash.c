/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/kvstore/crash.c - the store under a kill, or a failing disk, at each of its writes
 *
 * SQLite's own seam (xSetSystemCall) lets the n-th call that changes a file end the process or
 * fail.
 */
#include "test.h"

#include "base/log.h"
#include "base/str.h"
#include "kvstore/kvstore.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 6

static int countdown; /* calls until it happens; 0 = never */
static bool kills;    /* else: fails with EIO */

/* True when this call is to fail. */
static bool strike(void)
{
    if (countdown == 0 || --countdown != 0) return false;
    if (kills) _exit(9);
    errno = EIO;
    return true;
}

static ssize_t broken_pwrite(int fd, const void *p, size_t n, off_t at)
{
    return strike() ? -1 : pwrite(fd, p, n, at);
}
static int broken_truncate(int fd, off_t n)
{
    return strike() ? -1 : ftruncate(fd, n);
}
static int broken_unlink(const char *path)
{
    return strike() ? -1 : unlink(path);
}

static void arm(int n, bool kill)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    vfs->xSetSystemCall(vfs, "pwrite64", (sqlite3_syscall_ptr)broken_pwrite);
    vfs->xSetSystemCall(vfs, "pwrite", (sqlite3_syscall_ptr)broken_pwrite);
    vfs->xSetSystemCall(vfs, "ftruncate", (sqlite3_syscall_ptr)broken_truncate);
    vfs->xSetSystemCall(vfs, "unlink", (sqlite3_syscall_ptr)broken_unlink);
    countdown = n;
    kills = kill;
}

/* Puts the same number under two names in one transaction. */
static enum err put_both(struct kvstore *k, int i, struct diag *d)
{
    CLEANUP_KVSTORE_TXN struct kvstore_txn t = {0};
    CLEANUP_FREE char *text = str_fmt("%d", i);
    TRY(kvstore_begin(k, &t, d));
    TRY(kvstore_put(k, "t", "a", bytes_str(text), d));
    TRY(kvstore_put(k, "t", "b", bytes_str(text), d));
    return kvstore_commit(&t, d);
}

static int get_one(struct kvstore *k, const char *key)
{
    struct diag d = DIAG_INIT;
    CLEANUP_BUF struct buf b = {0};
    enum err e = kvstore_get(k, "t", key, &b, &d);
    if (e == ERR_NOT_FOUND) return 0;
    if (e != OK) fail_msg("%s", d.text);
    return atoi(buf_cstr(&b));
}

/* The child's life: acknowledges each committed round through fd. */
static void live(const char *db, const char *key, int fd)
{
    struct kvstore *k;
    if (kvstore_open(&k, db, key, NULL) != OK) _exit(2);
    for (int i = 1; i <= ROUNDS; i++) {
        if (put_both(k, i, NULL) != OK) _exit(3);
        uint8_t ack = (uint8_t)i;
        if (write(fd, &ack, 1) != 1) _exit(4);
    }
    kvstore_close(k);
}

/* Runs a child that dies at its n-th write; what it acknowledged, and whether it outlived n. */
static int run_child(const char *db, const char *key, int n, bool *outlived)
{
    int fds[2];
    EXPECT_EQ(pipe(fds), 0);
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        close(fds[0]);
        arm(n, true);
        live(db, key, fds[1]);
        _exit(0);
    }
    close(fds[1]);
    uint8_t ack, last = 0;
    while (read(fds[0], &ack, 1) == 1)
        last = ack;
    close(fds[0]);
    int status;
    REQUIRE(waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status));
    *outlived = WEXITSTATUS(status) == 0;
    if (!*outlived) EXPECT_EQ(WEXITSTATUS(status), 9);
    return last;
}

TEST(kvstore, a_kill_at_any_write_loses_no_acknowledged_row_and_halves_no_transaction)
{
    bool outlived = false;
    int n = 0;
    while (!outlived) {
        n++;
        REQUIRE(n < 1000);
        CLEANUP_FREE char *db = str_fmt("%s/kill-%d.db", test_dir(), n);
        CLEANUP_FREE char *key = str_fmt("%s/kill-%d.key", test_dir(), n);
        int acked = run_child(db, key, n, &outlived);

        struct diag d = DIAG_INIT;
        struct kvstore *k;
        REQUIRE_OK(kvstore_open(&k, db, key, &d));
        int a = get_one(k, "a"), b = get_one(k, "b");
        EXPECT_EQ(a, b);
        REQUIRE(a == acked || a == acked + 1);
        REQUIRE_OK(put_both(k, 99, &d)); /* and it goes on */
        EXPECT_EQ(get_one(k, "b"), 99);
        kvstore_close(k);
    }
    REQUIRE(n > ROUNDS);
}

TEST(kvstore, after_a_failed_write_nothing_more_is_acknowledged_until_it_is_reopened)
{
    log_set_level(LOG_ERROR + 1);
    bool hit = true;
    for (int n = 1; hit; n++) {
        REQUIRE(n < 1000);
        CLEANUP_FREE char *db = str_fmt("%s/fail-%d.db", test_dir(), n);
        CLEANUP_FREE char *key = str_fmt("%s/fail-%d.key", test_dir(), n);
        struct diag d = DIAG_INIT;
        struct kvstore *k;
        REQUIRE_OK(kvstore_open(&k, db, key, &d));
        arm(n, false);
        int acked = 0;
        bool failed = false;
        for (int i = 1; i <= ROUNDS; i++) {
            if (put_both(k, i, NULL) != OK) {
                failed = true;
            } else {
                REQUIRE(!failed);
                acked = i;
            }
        }
        hit = failed;
        arm(0, false);
        EXPECT_EQ(get_one(k, "a"), get_one(k, "b"));
        kvstore_close(k);

        REQUIRE_OK(kvstore_open(&k, db, key, &d));
        int a = get_one(k, "a");
        EXPECT_EQ(a, get_one(k, "b"));
        REQUIRE(a == acked || a == acked + 1);
        REQUIRE_OK(put_both(k, 99, &d));
        kvstore_close(k);
    }
}

TEST(kvstore, a_disk_that_fails_while_the_root_key_is_made_leaves_a_store_that_can_be_made_later)
{
    FAULT_SWEEP (n) {
        CLEANUP_FREE char *db = str_fmt("%s/first-%d.db", test_dir(), (int)n);
        CLEANUP_FREE char *key = str_fmt("%s/first-%d.key", test_dir(), (int)n);
        struct kvstore *k = NULL;
        enum err e = kvstore_open(&k, db, key, NULL);
        bool fired = os_fault_fired();
        REQUIRE(fired == (e != OK));
        if (e == OK) kvstore_close(k);

        struct diag d = DIAG_INIT;
        os_fault_arm(0, 0);
        REQUIRE_OK(kvstore_open(&k, db, key, &d));
        REQUIRE_OK(put_both(k, 1, &d));
        kvstore_close(k);
        if (fired) { /* arming has forgotten that it fired */
            os_fault_arm(1, EIO);
            (void)os_fault();
        }
    }
}
