/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/custody/lease_end.c - keyd is killed: who held its keys locks himself, and comes back
 * with the next one */
#include "house.h"

#include "base/rand.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static const uint8_t account[16] = "account-one.....";

/* keyd in a process of its own, forked before this one has threads. */
static pid_t fork_keyd(struct house *h, int *holder_end)
{
    int pair[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    fflush(NULL);
    pid_t pid = fork();
    REQUIRE(pid >= 0);
    if (pid != 0) {
        close(pair[1]);
        *holder_end = pair[0];
        return pid;
    }
    prctl(PR_SET_PDEATHSIG,
          SIGKILL); /* a failed test leaves no keyd behind, holding the runner's pipe */
    close(pair[0]);
    house_start_keyd(h);
    if (chan_attach(keyd_chan_logs(h->keyd), pair[1], NULL) != OK) _exit(1);
    for (;;)
        pause();
}

TEST(custody, a_killed_keyd_locks_the_holder_when_the_lease_ends)
{
    struct diag d = DIAG_INIT;
    struct house h;
    int first, second;
    house_build(&h);
    h.policy.probe_s = 6;
    h.policy.bound_s = 10;
    /* Each waits for its peer; two at once may not write one log. The one that is spoken to later is
     * the older one: its numbers are the higher ones all the same. */
    pid_t two = fork_keyd(&h, &second);
    time_sleep_us(50000);
    snprintf(h.audit_dir, sizeof h.audit_dir, "%s/keyd-first", test_dir());
    REQUIRE_OK(os_mkdir(h.audit_dir, &d));
    pid_t one = fork_keyd(&h, &first);
    house_start_custody(&h);
    REQUIRE_OK(chan_attach(custody_chan(h.custody), first, &d));
    REQUIRE_OK(custody_wait_ready(h.custody, 120000, &d));
    house_cluster(&h, CLUSTER, account);
    struct file_key *k;
    uint8_t file_id[16] = {7};
    REQUIRE_OK(custody_file_create(h.custody, account, OTYPE_WAL, file_id, &k, &d));

    kill(one, SIGKILL);
    REQUIRE(waitpid(one, NULL, 0) == one);
    int64_t killed = time_boot_us(), last_good = 0;
    CLEANUP_BUF struct buf sealed = {0};
    REQUIRE_OK(block_seal(k, BTYPE_WAL, 1, BYTES("row"), &sealed, &d)); /* the lease goes on */
    for (int64_t asked = killed; custody_lease_check(h.custody, account, NULL) == OK;) {
        last_good = asked;
        time_sleep_us(50000);
        asked = time_boot_us();
    }
    /* The lease was given before the kill and lasts 10 s: after that nobody who asked was told yes,
     * however busy the machine. */
    REQUIRE(last_good - killed <= 10 * US_PER_S);
    REQUIRE(house_reaches(&h, account, KEY_SUSPENDED));
    REQUIRE_ERR(ERR_UNAVAILABLE, block_seal(k, BTYPE_WAL, 2, BYTES("row"), &sealed, &d));
    REQUIRE(h.n_changes != 0 && h.changes[h.n_changes - 1].now == KEY_SUSPENDED);
    struct file_ident f = *file_key_ident(k);
    custody_file_release(h.custody, k);
    REQUIRE_ERR(ERR_UNAVAILABLE, custody_file_open(h.custody, account, &f, 1, &k, &d));

    REQUIRE_OK(chan_attach(custody_chan(h.custody), second, &d));
    REQUIRE_OK(custody_wait_ready(h.custody, 120000, &d));
    REQUIRE(house_reaches(&h, account, KEY_ACTIVE));
    REQUIRE_OK(custody_file_open(h.custody, account, &f, 1, &k, &d));
    custody_file_release(h.custody, k);
    kill(two, SIGKILL);
    REQUIRE(waitpid(two, NULL, 0) == two);
    custody_free(h.custody);
    h.custody = NULL;
    house_close(&h);
}
