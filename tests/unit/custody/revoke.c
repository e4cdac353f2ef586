/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/custody/revoke.c - denied, silent, barred, back again: through keyd, channel and
 * client */
#include "house.h"

#include "base/rand.h"

static const uint8_t account[16] = "account-one.....";
static const uint8_t other[16] = "account-two.....";

static struct file_key *new_file(struct house *h, const uint8_t id[16])
{
    struct diag d = DIAG_INIT;
    struct file_key *k;
    uint8_t file_id[16];
    rand_bytes(file_id, sizeof file_id);
    REQUIRE_OK(custody_file_create(h->custody, id, OTYPE_WAL, file_id, &k, &d));
    return k;
}

static enum err seal(struct file_key *k, struct diag *d)
{
    CLEANUP_BUF struct buf out = {0};
    return block_seal(k, BTYPE_WAL, rand_u64(), BYTES("row"), &out, d);
}

static size_t count_changes(struct house *h, enum key_state now)
{
    LOCK_SCOPE(&h->lock);
    size_t n = 0;
    for (size_t i = 0; i < h->n_changes; i++)
        n += h->changes[i].now == now;
    return n;
}

static void with_cluster(struct house *h)
{
    house_open(h);
    house_cluster(h, CLUSTER, account);
    EXPECT_EQ(custody_account_state(h->custody, account), KEY_ACTIVE);
}

TEST(custody, a_disabled_key_is_revoked_within_probe_jitter_and_two_seconds)
{
    struct diag d = DIAG_INIT;
    struct house h;
    with_cluster(&h);
    struct file_key *k = new_file(&h, account);
    REQUIRE_OK(seal(k, &d));

    tv_enable(&h.vault, "kek", NULL, false);
    house_advance(33 + 2 + 0.1);
    EXPECT_EQ(custody_account_state(h.custody, account), KEY_REVOKED);
    REQUIRE_ERR(ERR_KEY_LOCKED, seal(k, &d)); /* a key that is still held is an empty shell */
    REQUIRE_ERR(ERR_KEY_LOCKED, custody_lease_check(h.custody, account, &d));
    struct file_key *again;
    struct file_ident f = *file_key_ident(k);
    REQUIRE_ERR(ERR_KEY_LOCKED, custody_file_open(h.custody, account, &f, 1, &again, &d));
    EXPECT_EQ(count_changes(&h, KEY_DOUBT), 1);
    EXPECT_EQ(count_changes(&h, KEY_REVOKED), 1);
    REQUIRE(h.vault.n_fresh >= 1); /* the second look was on a new connection */
    custody_file_release(h.custody, k);
    EXPECT_EQ(atomic_load(&h.n_holder_failed), 0);
    house_close(&h);
}

TEST(custody, no_account_key_is_left_in_keyd_after_revoked)
{
    struct house h;
    with_cluster(&h);
    tv_enable(&h.vault, "kek", NULL, false);
    house_advance(36);
    pthread_mutex_lock(&h.keyd->lock);
    const struct account *a = account_find(h.keyd, account);
    EXPECT_EQ(a->at.state, KEY_REVOKED);
    REQUIRE(a->n_aeks == 1 && a->aeks[0].key == NULL);
    pthread_mutex_unlock(&h.keyd->lock);
    house_close(&h);
}

TEST(custody, an_enabled_key_brings_everything_back_through_restoring)
{
    struct diag d = DIAG_INIT;
    struct house h;
    with_cluster(&h);
    struct file_key *k = new_file(&h, account);
    struct file_ident f = *file_key_ident(k);
    CLEANUP_BUF struct buf sealed = {0}, out = {0};
    REQUIRE_OK(block_seal(k, BTYPE_WAL, 1, BYTES("row"), &sealed, &d));
    custody_file_release(h.custody, k);

    tv_enable(&h.vault, "kek", NULL, false);
    house_advance(36);
    EXPECT_EQ(custody_account_state(h.custody, account), KEY_REVOKED);
    size_t restorings = count_changes(&h, KEY_RESTORING);
    tv_enable(&h.vault, "kek", NULL, true);
    house_advance(34);
    REQUIRE(house_reaches(&h, account, KEY_ACTIVE));
    EXPECT_EQ(count_changes(&h, KEY_RESTORING), restorings + 1);
    REQUIRE_OK(custody_file_open(h.custody, account, &f, 1, &k, &d));
    REQUIRE_OK(block_open(k, BTYPE_WAL, 1, buf_view(&sealed), &out, &d));
    custody_file_release(h.custody, k);
    house_close(&h);
}

TEST(custody, a_replay_that_fails_is_tried_again)
{
    struct house h;
    with_cluster(&h);
    tv_enable(&h.vault, "kek", NULL, false);
    house_advance(36);
    atomic_store(&h.refuse_changes, 2);
    tv_enable(&h.vault, "kek", NULL, true);
    house_advance(34);
    REQUIRE(house_reaches(&h, account, KEY_ACTIVE));
    EXPECT_EQ(atomic_load(&h.refuse_changes), 0);
    house_close(&h);
}

TEST(custody, revoked_survives_a_restart_of_both)
{
    struct diag d = DIAG_INIT;
    struct house h;
    with_cluster(&h);
    tv_enable(&h.vault, "kek", NULL, false);
    house_advance(36);
    house_stop_keyd(&h);
    custody_free(TAKE(h.custody));
    house_start_custody(&h);
    house_start_keyd(&h);
    house_connect(&h);
    REQUIRE_OK(custody_wait_ready(h.custody, 120000, &d));
    REQUIRE(house_reaches(&h, account, KEY_REVOKED));
    tv_enable(&h.vault, "kek", NULL, true);
    house_advance(34);
    REQUIRE(house_reaches(&h, account, KEY_ACTIVE));
    house_close(&h);
}

/* The catalogue could not be written: the journal of keyd wins at the next start. */
TEST(custody, revoked_survives_a_catalogue_that_could_not_be_written)
{
    struct house h;
    with_cluster(&h);
    tv_enable(&h.vault, "kek", NULL, false);
    REQUIRE(house_settles(&h)); /* the account's own record is written by now */
    h.disk_full = true;
    house_advance(36);
    EXPECT_EQ(custody_account_state(h.custody, account), KEY_REVOKED);
    house_stop_keyd(&h);
    h.disk_full = false;
    tv_mood(&h.vault, CUSTOMER_URI, MOOD_SILENT);
    house_start_keyd(&h);
    house_connect(&h);
    struct diag d = DIAG_INIT;
    REQUIRE_OK(custody_wait_ready(h.custody, 120000, &d));
    pthread_mutex_lock(&h.keyd->lock);
    EXPECT_EQ(account_find(h.keyd, account)->at.state, KEY_REVOKED);
    pthread_mutex_unlock(&h.keyd->lock);
    house_close(&h);
}

/* It may be the old one, with keys: keyd has only been away. */
TEST(custody, a_holder_that_is_told_again_of_a_revocation_and_does_not_wipe_is_reported)
{
    struct diag d = DIAG_INIT;
    struct house h;
    with_cluster(&h);
    tv_enable(&h.vault, "kek", NULL, false);
    house_advance(36);
    EXPECT_EQ(custody_account_state(h.custody, account), KEY_REVOKED);
    REQUIRE(house_settles(&h));
    EXPECT_EQ(h.n_holder_failed, 0);
    log_set_level(LOG_ERROR + 1);
    h.refuse_wipes = true;
    custody_free(TAKE(h.custody));
    house_start_custody(&h);
    house_connect(&h);
    REQUIRE_OK(custody_wait_ready(h.custody, 120000, &d));
    for (int i = 0; i < 12000 && h.n_holder_failed == 0; i++)
        time_sleep_us(10000);
    EXPECT_EQ(h.n_holder_failed, 1);
    h.refuse_wipes = false;
    REQUIRE(house_settles(&h)); /* it goes on telling */
    EXPECT_EQ(h.n_holder_failed, 1);
    house_close(&h);
}

TEST(custody, an_outage_keeps_serving_and_nothing_is_revoked)
{
    struct diag d = DIAG_INIT;
    struct house h;
    with_cluster(&h);
    struct file_key *k = new_file(&h, account);
    tv_mood(&h.vault, CUSTOMER_URI, MOOD_SILENT);
    house_advance(3600);
    REQUIRE(house_reaches(&h, account, KEY_STALE));
    REQUIRE_OK(seal(k, &d));
    struct file_key *more = new_file(&h, account);
    tv_mood(&h.vault, CUSTOMER_URI, MOOD_GOOD);
    house_advance(34);
    REQUIRE(house_reaches(&h, account, KEY_ACTIVE));
    EXPECT_EQ(count_changes(&h, KEY_SUSPENDED), 0);
    custody_file_release(h.custody, k);
    custody_file_release(h.custody, more);
    house_close(&h);
}

TEST(custody, one_denial_alone_is_a_doubt_that_passes)
{
    struct diag d = DIAG_INIT;
    struct house h;
    with_cluster(&h);
    struct file_key *k = new_file(&h, account);
    tv_mood(&h.vault, CUSTOMER_URI, MOOD_DENIED);
    REQUIRE(house_doubts(&h, account));
    REQUIRE_OK(seal(k, &d)); /* a running query goes on */
    struct file_key *more;
    uint8_t file_id[16] = {1};
    REQUIRE_ERR(ERR_UNAVAILABLE,
                custody_file_create(h.custody, account, OTYPE_WAL, file_id, &more, &d));
    tv_mood(&h.vault, CUSTOMER_URI, MOOD_GOOD);
    house_advance(2);
    REQUIRE(house_reaches(&h, account, KEY_ACTIVE));
    REQUIRE_OK(seal(k, &d)); /* nothing was wiped */
    custody_file_release(h.custody, k);
    house_close(&h);
}

TEST(custody, ten_seconds_of_doubt_without_a_verdict_suspend)
{
    struct diag d = DIAG_INIT;
    struct house h;
    with_cluster(&h);
    struct file_key *k = new_file(&h, account);
    tv_mood(&h.vault, CUSTOMER_URI, MOOD_DENIED);
    REQUIRE(house_doubts(&h, account));
    tv_mood(&h.vault, CUSTOMER_URI, MOOD_SILENT);
    house_advance(11);
    REQUIRE(house_reaches(&h, account, KEY_SUSPENDED));
    REQUIRE_ERR(ERR_UNAVAILABLE, seal(k, &d));
    EXPECT_EQ(count_changes(&h, KEY_REVOKED), 0);
    custody_file_release(h.custody, k);
    house_close(&h);
}

TEST(custody, a_firewall_suspends_and_does_not_revoke)
{
    struct house h;
    with_cluster(&h);
    log_set_level(LOG_ERROR + 1); /* every refusal is an alarm */
    tv_mood(&h.vault, CUSTOMER_URI, MOOD_BARRED);
    house_advance(33 + 2 + 0.1);
    REQUIRE(house_reaches(&h, account, KEY_SUSPENDED));
    house_advance(300);
    EXPECT_EQ(count_changes(&h, KEY_REVOKED), 0);
    tv_mood(&h.vault, CUSTOMER_URI, MOOD_GOOD);
    house_advance(34);
    REQUIRE(house_reaches(&h, account, KEY_ACTIVE));
    house_close(&h);
}

TEST(custody, a_key_that_unwraps_to_something_else_is_never_used_and_never_revokes)
{
    struct diag d = DIAG_INIT;
    struct house h;
    with_cluster(&h);
    log_set_level(LOG_ERROR + 1);
    tv_mood(&h.vault, CUSTOMER_URI, MOOD_LIES);
    house_advance(300);
    REQUIRE(house_reaches(&h, account, KEY_STALE)); /* the right key is still in memory */
    EXPECT_EQ(count_changes(&h, KEY_REVOKED), 0);
    house_stop_keyd(&h);
    house_start_keyd(&h);
    house_connect(&h);
    REQUIRE_OK(custody_wait_ready(h.custody, 120000, &d));
    house_advance(60);
    pthread_mutex_lock(&h.keyd->lock);
    EXPECT_EQ(account_find(h.keyd, account)->at.state, KEY_SUSPENDED);
    pthread_mutex_unlock(&h.keyd->lock);
    house_close(&h);
}

TEST(custody, removing_the_key_acts_at_once_and_stays)
{
    struct diag d = DIAG_INIT;
    struct house h;
    with_cluster(&h);
    struct file_key *k = new_file(&h, account);
    REQUIRE_OK(custody_scope_clear(h.custody, CLUSTER, false, &d));
    EXPECT_EQ(custody_account_state(h.custody, account), KEY_REVOKED);
    REQUIRE_ERR(ERR_KEY_LOCKED, seal(k, &d));
    unsigned before = tv_unwraps(&h.vault);
    house_advance(600);
    EXPECT_EQ(tv_unwraps(&h.vault),
              before); /* nothing is probed: the platform's scope has no account */
    EXPECT_EQ(custody_account_state(h.custody, account), KEY_REVOKED);
    REQUIRE_ERR(ERR_KEY_LOCKED, custody_account_add(h.custody, CLUSTER, other, "w", &d));

    house_restart_keyd(&h);
    house_advance(60);
    REQUIRE(house_reaches(&h, account, KEY_REVOKED));

    const struct custody_kek kek = house_kek("");
    REQUIRE_OK(custody_scope_set(h.custody, CLUSTER, &kek, NULL, &d));
    REQUIRE(house_reaches(&h, account, KEY_ACTIVE));
    custody_file_release(h.custody, k);
    house_close(&h);
}

TEST(custody, a_removed_scope_leaves_no_wrap_behind)
{
    struct diag d = DIAG_INIT;
    struct house h;
    with_cluster(&h);
    REQUIRE_OK(custody_scope_remove(h.custody, CLUSTER, &d));
    EXPECT_EQ(custody_account_state(h.custody, account), KEY_REVOKED);
    EXPECT_EQ(house_records(&h, "wrap"), 0);
    EXPECT_EQ(house_records(&h, "state"), 0);
    EXPECT_EQ(house_records(&h, "scope"), 1);
    time_sleep_us(1300000); /* a herald that tries again would write the state back */
    EXPECT_EQ(house_records(&h, "state"), 0);
    REQUIRE_ERR(ERR_NOT_FOUND, custody_account_add(h.custody, CLUSTER, other, "w", &d));
    house_close(&h);
}

static void *advance_in_background(void *seconds)
{
    house_advance(*(const double *)seconds);
    return NULL;
}

/* The dead vault's call is let go after the other account was revoked. */
TEST(custody, a_dead_vault_keeps_nobody_else_waiting)
{
    struct diag d = DIAG_INIT;
    struct house h;
    with_cluster(&h);
    tv_add(&h.vault, "https://dead.test", "kek", "w1", false);
    const struct custody_kek dead = {.vault_uri = "https://dead.test",
                                     .key_name = "kek",
                                     .key_version = "",
                                     .principal_id = "cluster"};
    REQUIRE_OK(custody_scope_set(h.custody, "dead", &dead, NULL, &d));
    REQUIRE_OK(custody_account_add(h.custody, "dead", other, "w", &d));
    struct file_key *k = new_file(&h, account);
    tv_mood(&h.vault, "https://dead.test", MOOD_STUCK);
    tv_enable(&h.vault, "kek", "v1", false);

    double seconds = 34;
    pthread_t t;
    REQUIRE_OK(thread_start(&t, advance_in_background, &seconds, &d));
    REQUIRE(house_reaches(&h, account, KEY_REVOKED));
    REQUIRE_ERR(ERR_KEY_LOCKED, seal(k, &d));
    EXPECT_EQ(custody_account_state(h.custody, other), KEY_ACTIVE);
    tv_mood(&h.vault, "https://dead.test", MOOD_SILENT);
    pthread_join(t, NULL);
    REQUIRE(house_reaches(&h, other, KEY_STALE));
    custody_file_release(h.custody, k);
    house_close(&h);
}

#define REWRAPS 60 /* more than keyd has threads */

struct rewraps {
    struct house *h;
    _Atomic unsigned n_refused;
};

static void *rewrap_dead(void *arg)
{
    struct rewraps *x = arg;
    uint64_t wraps;
    if (custody_scope_rewrap(x->h->custody, "dead", "t", &wraps, NULL) == ERR_UNAVAILABLE)
        atomic_fetch_add(&x->n_refused, 1);
    return NULL;
}

TEST(custody, rewraps_that_wait_for_a_dead_vault_leave_hands_for_the_leases_of_others)
{
    struct diag d = DIAG_INIT;
    struct house h;
    with_cluster(&h);
    tv_add(&h.vault, "https://dead.test", "kek", "w1", false);
    const struct custody_kek dead = {.vault_uri = "https://dead.test",
                                     .key_name = "kek",
                                     .key_version = "",
                                     .principal_id = "cluster",
                                     .policy = {.probe_s = 60, .bound_s = 71}}; /* a call: 1 s */
    REQUIRE_OK(custody_scope_set(h.custody, "dead", &dead, NULL, &d));
    REQUIRE_OK(custody_account_add(h.custody, "dead", other, "w", &d));
    tv_mood(&h.vault, "https://dead.test", MOOD_HANGS);
    struct rewraps x = {.h = &h};
    pthread_t threads[REWRAPS];
    for (int i = 0; i < REWRAPS; i++)
        REQUIRE_OK(thread_start(&threads[i], rewrap_dead, &x, &d));
    for (int i = 0; i < 12000 && atomic_load(&x.n_refused) < REWRAPS / 2; i++)
        time_sleep_us(10000);
    custody_file_release(h.custody, new_file(&h, account));
    tv_mood(&h.vault, "https://dead.test", MOOD_GOOD);
    for (int i = 0; i < REWRAPS; i++)
        pthread_join(threads[i], NULL);
    house_close(&h);
}
