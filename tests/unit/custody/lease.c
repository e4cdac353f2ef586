/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/custody/lease.c - from a new scope to sealed bytes, and back through restarts of
 * either side */
#include "house.h"

static const uint8_t account[16] = "account-one.....";
static const uint8_t other[16] = "account-two.....";

TEST(custody, a_new_account_seals_and_opens)
{
    struct diag d = DIAG_INIT;
    struct house h;
    house_open(&h);
    house_cluster(&h, CLUSTER, account);
    EXPECT_EQ(custody_account_state(h.custody, account), KEY_ACTIVE);
    REQUIRE_OK(custody_lease_check(h.custody, account, &d));
    struct house_file f = house_write(&h, account);
    REQUIRE_OK(house_read(&h, &f, &d));
    EXPECT_EQ(house_records(&h, "wrap"), 1);
    EXPECT_EQ(house_records(&h, "scope"), 2);
    EXPECT_EQ(house_records(&h, "mk"), 1);
    buf_release(&f.block);
    house_close(&h);
}

TEST(custody, an_account_that_is_there_is_not_made_again)
{
    struct diag d = DIAG_INIT;
    struct house h;
    house_open(&h);
    house_cluster(&h, CLUSTER, account);
    REQUIRE_OK(custody_account_add(h.custody, CLUSTER, account, "workspace", &d));
    REQUIRE_ERR(ERR_CONFLICT, custody_account_add(h.custody, "platform", account, "workspace", &d));
    EXPECT_EQ(house_records(&h, "wrap"), 1);
    REQUIRE_ERR(ERR_NOT_FOUND, custody_account_add(h.custody, "no such scope", other, "w", &d));
    house_close(&h);
}

TEST(custody, the_platform_has_a_scope_of_its_own_from_the_start)
{
    struct diag d = DIAG_INIT;
    struct house h;
    house_open(&h);
    REQUIRE_OK(custody_account_add(h.custody, "platform", account, "-", &d));
    struct house_file f = house_write(&h, account);
    house_restart_keyd(&h);
    REQUIRE_OK(house_read(&h, &f, &d));
    REQUIRE_ERR(ERR_INVALID, custody_scope_clear(h.custody, "platform", false, &d));
    buf_release(&f.block);
    house_close(&h);
}

TEST(custody, a_file_opens_after_a_restart_of_keyd_and_after_one_of_the_log_service)
{
    struct diag d = DIAG_INIT;
    struct house h;
    house_open(&h);
    house_cluster(&h, CLUSTER, account);
    struct house_file f = house_write(&h, account);

    house_restart_keyd(&h);
    house_advance(2);
    REQUIRE(house_reaches(&h, account, KEY_ACTIVE));
    REQUIRE_OK(house_read(&h, &f, &d));

    house_restart_custody(&h);
    REQUIRE(house_reaches(&h, account, KEY_ACTIVE));
    REQUIRE_OK(house_read(&h, &f, &d));
    buf_release(&f.block);
    house_close(&h);
}

/* The acknowledgement of the one that died may be noted after the next has connected. */
TEST(custody, what_a_holder_heard_the_next_has_not_heard)
{
    struct house h;
    house_open(&h);
    house_cluster(&h, CLUSTER, account);
    REQUIRE(house_reaches(&h, account, KEY_ACTIVE));
    uint64_t before = h.keyd->holder;
    house_restart_custody(&h);
    REQUIRE(house_reaches(&h, account, KEY_ACTIVE));
    REQUIRE(h.keyd->holder > before);
    struct account *a = account_find(h.keyd, account);
    herald_told(h.keyd, a, a->seq + 1, before);
    REQUIRE(a->seq_told <= a->seq);
    herald_told(h.keyd, a, a->seq + 1, h.keyd->holder);
    EXPECT_EQ(a->seq_told, a->seq + 1);
    house_close(&h);
}

TEST(custody, a_holder_that_never_wiped_does_not_replay_when_keyd_restarts)
{
    struct house h;
    house_open(&h);
    house_cluster(&h, CLUSTER, account);
    size_t before = h.n_changes;
    house_restart_keyd(&h);
    house_advance(2);
    REQUIRE(house_reaches(&h, account, KEY_ACTIVE));
    REQUIRE(house_settles(&h));
    for (size_t i = before; i < h.n_changes; i++) {
        /* It may see RESTORING pass by, but never from a locked state: nothing was lost. */
        REQUIRE(!key_state_locked(h.changes[i].was));
    }
    house_close(&h);
}

TEST(custody, another_accounts_file_is_refused)
{
    struct diag d = DIAG_INIT;
    struct house h;
    house_open(&h);
    house_cluster(&h, CLUSTER, account);
    REQUIRE_OK(custody_account_add(h.custody, CLUSTER, other, "workspace", &d));
    struct house_file f = house_write(&h, account);
    struct file_ident stolen = f.ident;
    struct file_key *k;
    memcpy(stolen.account, other, 16);
    REQUIRE_ERR(ERR_CORRUPT, custody_file_open(h.custody, other, &stolen, 1, &k, &d));
    REQUIRE_ERR(ERR_CORRUPT, custody_file_open(h.custody, other, &f.ident, 1, &k, &d));
    stolen = f.ident;
    stolen.file_commit[7] ^= 1;
    REQUIRE_ERR(ERR_CORRUPT, custody_file_open(h.custody, account, &stolen, 1, &k, &d));
    buf_release(&f.block);
    house_close(&h);
}

TEST(custody, keys_of_many_files_come_in_one_exchange_and_are_kept)
{
    struct diag d = DIAG_INIT;
    struct house h;
    house_open(&h);
    house_cluster(&h, CLUSTER, account);
    struct file_ident files[200];
    struct file_key *keys[200];
    for (size_t i = 0; i < 200; i++) {
        struct house_file f = house_write(&h, account);
        files[i] = f.ident;
        buf_release(&f.block);
    }
    house_restart_custody(&h);
    REQUIRE(house_reaches(&h, account, KEY_ACTIVE));
    REQUIRE_OK(custody_file_open(h.custody, account, files, 200, keys, &d));
    house_stop_keyd(&h); /* from here on only what is kept */
    struct file_key *again[200];
    REQUIRE_OK(custody_file_open(h.custody, account, files, 200, again, &d));
    for (size_t i = 0; i < 200; i++) {
        REQUIRE(keys[i] == again[i]);
        custody_file_release(h.custody, keys[i]);
        custody_file_release(h.custody, again[i]);
    }
    house_close(&h);
}

TEST(custody, nothing_is_served_for_accounts_nobody_made)
{
    struct diag d = DIAG_INIT;
    struct house h;
    house_open(&h);
    struct file_key *k;
    uint8_t file_id[16] = {0};
    REQUIRE_ERR(ERR_NOT_FOUND, custody_file_create(h.custody, other, OTYPE_WAL, file_id, &k, &d));
    REQUIRE_ERR(ERR_UNAVAILABLE, custody_lease_check(h.custody, other, &d));
    EXPECT_EQ(custody_account_state(h.custody, other), KEY_SUSPENDED);
    house_close(&h);
}
