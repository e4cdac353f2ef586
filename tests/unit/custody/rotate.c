/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/custody/rotate.c - new versions of a key: counted, followed, refused, cut short */
#include "house.h"

static const uint8_t account[16] = "account-one.....";
static const uint8_t other[16] = "account-two.....";

static bool wrapped_by(struct house *h, const uint8_t id[16], const char *version)
{
    LOCK_SCOPE(&h->keyd->lock);
    const struct account *a = account_find(h->keyd, id);
    return str_ends(a->aeks[0].wrap.w.kek_id, version);
}

TEST(rotation, an_explicit_version_rewraps_every_account_and_no_data)
{
    struct diag d = DIAG_INIT;
    struct house h;
    house_open(&h);
    house_cluster(&h, CLUSTER, account);
    REQUIRE_OK(custody_account_add(h.custody, CLUSTER, other, "w", &d));
    struct house_file o = house_write(&h, account);
    tv_add(&h.vault, CUSTOMER_URI, "kek", "v2", false);
    uint64_t wraps = 0;
    const struct custody_kek kek = house_kek("v2");
    unsigned before = h.vault.n_wrap;
    REQUIRE_OK(custody_scope_set(h.custody, CLUSTER, &kek, &wraps, &d));
    EXPECT_EQ(wraps, 2);
    EXPECT_EQ(h.vault.n_wrap - before, 3);   /* one of them is the check of the key itself */
    EXPECT_EQ(house_records(&h, "wrap"), 2); /* the old ones are dropped */
    REQUIRE(wrapped_by(&h, account, "/v2") && wrapped_by(&h, other, "/v2"));
    REQUIRE_OK(house_read(&h, &o, &d));

    tv_enable(&h.vault, "kek", "v1", false); /* safe now */
    house_restart_keyd(&h);
    house_advance(40);
    REQUIRE(house_reaches(&h, account, KEY_ACTIVE));
    REQUIRE_OK(house_read(&h, &o, &d));
    buf_release(&o.block);
    house_close(&h);
}

TEST(rotation, without_a_version_the_latest_is_followed)
{
    struct diag d = DIAG_INIT;
    struct house h;
    house_open(&h);
    house_cluster(&h, CLUSTER, account);
    struct house_file o = house_write(&h, account);
    tv_add(&h.vault, CUSTOMER_URI, "kek", "v2", false);
    house_advance(34);
    REQUIRE(wrapped_by(&h, account, "/v2"));
    EXPECT_EQ(house_records(&h, "wrap"), 1);
    REQUIRE_OK(house_read(&h, &o, &d));
    buf_release(&o.block);
    house_close(&h);
}

TEST(rotation, an_explicit_version_is_kept)
{
    struct diag d = DIAG_INIT;
    struct house h;
    house_open(&h);
    const struct custody_kek kek = house_kek("v1");
    REQUIRE_OK(custody_scope_set(h.custody, CLUSTER, &kek, NULL, &d));
    REQUIRE_OK(custody_account_add(h.custody, CLUSTER, account, "w", &d));
    tv_add(&h.vault, CUSTOMER_URI, "kek", "v2", false);
    house_advance(100);
    REQUIRE(wrapped_by(&h, account, "/v1"));
    house_close(&h);
}

TEST(rotation, the_platforms_own_key_rotates_with_the_key_of_all_macs)
{
    struct diag d = DIAG_INIT;
    struct house h;
    house_open(&h);
    REQUIRE_OK(custody_account_add(h.custody, "platform", account, "-", &d));
    struct house_file o = house_write(&h, account);
    tv_add(&h.vault, PLATFORM_URI, "pmk", "p2", true);
    house_advance(34);
    REQUIRE(wrapped_by(&h, account, "/p2"));
    tv_enable(&h.vault, "pmk", "p1", false); /* nothing hangs on it any more */
    house_restart_keyd(&h);
    REQUIRE(house_reaches(&h, account, KEY_ACTIVE));
    REQUIRE_OK(house_read(&h, &o, &d));
    buf_release(&o.block);
    house_close(&h);
}

TEST(rotation, a_key_that_may_not_be_used_changes_nothing)
{
    struct diag d = DIAG_INIT;
    struct house h;
    house_open(&h);
    house_cluster(&h, CLUSTER, account);
    tv_add(&h.vault, CUSTOMER_URI, "bad", "b1", false);
    struct custody_kek_found found;
    struct custody_kek kek = house_kek("");
    kek.key_name = "bad";
    h.vault.keys[2].purgeable = true;
    REQUIRE_ERR(ERR_INVALID, custody_scope_set(h.custody, CLUSTER, &kek, NULL, &d));
    EXPECT_STR(d.tag, "KeyNotRecoverable");
    h.vault.keys[2].purgeable = false;
    tv_enable(&h.vault, "bad", NULL, false);
    REQUIRE_ERR(ERR_INVALID, custody_kek_check(h.custody, &kek, &found, &d));
    EXPECT_STR(d.tag, "KeyDisabled");
    kek.key_name = "no such key";
    REQUIRE_ERR(ERR_DENIED, custody_kek_check(h.custody, &kek, &found, &d));
    EXPECT_STR(d.tag, "KeyNotFound");
    kek = house_kek("");
    REQUIRE_OK(custody_kek_check(h.custody, &kek, &found, &d));
    EXPECT_STR(found.version, "v1");
    EXPECT_EQ(found.rsa_bits, 2048);
    REQUIRE(wrapped_by(&h, account, "/v1"));
    EXPECT_EQ(house_records(&h, "wrap"), 1);
    house_close(&h);
}

TEST(rotation, wrap_refused_and_unwrap_good_is_overdue_and_no_revocation)
{
    struct house h;
    house_open(&h);
    house_cluster(&h, CLUSTER, account);
    tv_add(&h.vault, CUSTOMER_URI, "kek", "v2", false);
    tv_mood(&h.vault, CUSTOMER_URI, MOOD_NO_WRAP);
    house_advance(120);
    EXPECT_EQ(custody_account_state(h.custody, account), KEY_ACTIVE);
    REQUIRE(wrapped_by(&h, account, "/v1"));
    struct diag d = DIAG_INIT;
    CLEANUP_JSON json_t *status = NULL;
    REQUIRE_OK(custody_status(h.custody, &status, &d));
    REQUIRE(
        json_get_bool(json_array_get(json_get(status, "accounts"), 0), "rotationOverdue", false));
    tv_mood(&h.vault, CUSTOMER_URI, MOOD_GOOD);
    house_advance(34);
    REQUIRE(wrapped_by(&h, account, "/v2"));
    house_close(&h);
}

TEST(rotation, a_catalogue_that_cannot_be_written_leaves_the_old_version_in_force)
{
    struct diag d = DIAG_INIT;
    struct house h;
    house_open(&h);
    house_cluster(&h, CLUSTER, account);
    struct house_file o = house_write(&h, account);
    tv_add(&h.vault, CUSTOMER_URI, "kek", "v2", false);
    REQUIRE(house_settles(&h));
    h.disk_full = true;
    const struct custody_kek kek = house_kek("v2");
    REQUIRE_ERR(ERR_IO, custody_scope_set(h.custody, CLUSTER, &kek, NULL, &d));
    REQUIRE(wrapped_by(&h, account, "/v1"));
    REQUIRE_OK(house_read(&h, &o, &d));
    h.disk_full = false;
    REQUIRE_OK(custody_scope_set(h.custody, CLUSTER, &kek, NULL, &d));
    REQUIRE(wrapped_by(&h, account, "/v2"));
    buf_release(&o.block);
    house_close(&h);
}

/* keyd dies between "write both" and "flip": the new wrap lies there as pending, and the old one
 * counts. */
TEST(rotation, what_a_crash_left_half_done_is_swept_and_done_again)
{
    struct diag d = DIAG_INIT;
    struct house h;
    house_open(&h);
    house_cluster(&h, CLUSTER, account);
    struct house_file o = house_write(&h, account);
    tv_add(&h.vault, CUSTOMER_URI, "kek", "v2", false);

    pthread_mutex_lock(&h.keyd->lock);
    struct wrap pending = account_find(h.keyd, account)->aeks[0].wrap;
    pthread_mutex_unlock(&h.keyd->lock);
    pending.serial++;
    pending.state = WRAP_PENDING;
    struct ledger l;
    REQUIRE_OK(ledger_begin(&l, h.keyd, &d));
    REQUIRE_OK(ledger_wrap(&l, &pending, &d));
    REQUIRE_OK(ledger_commit(&l, &d));
    ledger_release(&l);
    EXPECT_EQ(house_records(&h, "wrap"), 2);

    house_restart_keyd(&h);
    EXPECT_EQ(house_records(&h, "wrap"), 1);
    house_advance(40);
    house_advance(34);
    REQUIRE(wrapped_by(&h, account, "/v2"));
    EXPECT_EQ(house_records(&h, "wrap"), 1);
    REQUIRE_OK(house_read(&h, &o, &d));
    buf_release(&o.block);
    house_close(&h);
}

TEST(rotation, status_names_versions_and_says_which_is_safe_to_disable)
{
    struct diag d = DIAG_INIT;
    struct house h;
    house_open(&h);
    house_cluster(&h, CLUSTER, account);
    tv_add(&h.vault, CUSTOMER_URI, "kek", "v2", false);
    house_advance(34);
    CLEANUP_JSON json_t *status = NULL;
    REQUIRE_OK(custody_status(h.custody, &status, &d));
    const json_t *a = json_array_get(json_get(status, "accounts"), 0);
    EXPECT_STR(json_get_str(a, "state"), "ACTIVE");
    EXPECT_STR(json_get_str(a, "cluster"), CLUSTER);
    EXPECT_EQ(json_array_size(json_get(a, "wraps")), 2);
    const json_t *now = json_array_get(json_get(a, "wraps"), 0),
                 *old = json_array_get(json_get(a, "wraps"), 1);
    REQUIRE(str_ends(json_get_str(now, "version"), "/v2") && json_get_int(now, "count", 0) == 1);
    REQUIRE(!json_get_bool(now, "safeToDisable", true));
    REQUIRE(str_ends(json_get_str(old, "version"), "/v1") && json_get_int(old, "count", 9) == 0);
    REQUIRE(json_get_bool(old, "safeToDisable", false));
    house_close(&h);
}

/* --- generations of an account's key
 * ------------------------------------------------------------------ */

TEST(rotation, a_new_account_key_seals_new_files_and_old_files_stay_readable)
{
    struct diag d = DIAG_INIT;
    struct house h;
    house_open(&h);
    house_cluster(&h, CLUSTER, account);
    struct house_file first = house_write(&h, account);
    uint32_t generation;
    uint8_t aek_id[16];
    REQUIRE_OK(custody_aek_rotate(h.custody, account, "a test", &generation, aek_id, &d));
    EXPECT_EQ(generation, 2);
    struct house_file second = house_write(&h, account);
    REQUIRE(memcmp(second.ident.aek_id, aek_id, 16) == 0);
    REQUIRE(memcmp(first.ident.aek_id, aek_id, 16) != 0);
    EXPECT_EQ(house_records(&h, "wrap"), 2);

    tv_add(&h.vault, CUSTOMER_URI, "kek", "v2", false); /* all generations rotate with the KEK */
    uint64_t wraps = 0;
    REQUIRE_OK(custody_scope_rewrap(h.custody, CLUSTER, "a test", &wraps, &d));
    EXPECT_EQ(wraps, 2);
    REQUIRE_OK(custody_scope_rewrap(h.custody, CLUSTER, "a test", &wraps, &d));
    EXPECT_EQ(wraps, 0);
    tv_enable(&h.vault, "kek", "v1", false);
    house_restart_keyd(&h);
    house_advance(40);
    REQUIRE(house_reaches(&h, account, KEY_ACTIVE));
    REQUIRE_OK(house_read(&h, &first, &d));
    REQUIRE_OK(house_read(&h, &second, &d));
    struct house_file third = house_write(&h, account);
    REQUIRE(memcmp(third.ident.aek_id, aek_id, 16) == 0); /* the newest, over a restart too */
    buf_release(&first.block);
    buf_release(&second.block);
    buf_release(&third.block);
    house_close(&h);
}

TEST(rotation, an_account_key_is_dropped_on_request_but_never_the_newest)
{
    struct diag d = DIAG_INIT;
    struct house h;
    house_open(&h);
    house_cluster(&h, CLUSTER, account);
    struct house_file first = house_write(&h, account);
    uint32_t generation;
    uint8_t aek_id[16];
    REQUIRE_ERR(ERR_CONFLICT, custody_aek_drop(h.custody, account, first.ident.aek_id, &d));
    REQUIRE_OK(custody_aek_rotate(h.custody, account, "a test", &generation, aek_id, &d));
    REQUIRE_OK(custody_aek_drop(h.custody, account, first.ident.aek_id, &d));
    REQUIRE_OK(custody_aek_drop(h.custody, account, first.ident.aek_id, &d)); /* gone already */
    REQUIRE_ERR(ERR_CONFLICT, custody_aek_drop(h.custody, account, aek_id, &d));
    EXPECT_EQ(house_records(&h, "wrap"), 1);
    house_restart_keyd(&h);
    house_restart_custody(&h);
    REQUIRE(house_reaches(&h, account, KEY_ACTIVE));
    struct file_key *k;
    REQUIRE_ERR(ERR_CORRUPT, custody_file_open(h.custody, account, &first.ident, 1, &k, &d));
    buf_release(&first.block);
    house_close(&h);
}

TEST(rotation, without_the_customers_key_no_account_key_is_made)
{
    struct diag d = DIAG_INIT;
    struct house h;
    house_open(&h);
    house_cluster(&h, CLUSTER, account);
    REQUIRE_OK(custody_scope_clear(h.custody, CLUSTER, false, &d));
    uint32_t generation;
    uint8_t aek_id[16];
    uint64_t wraps;
    REQUIRE_ERR(ERR_KEY_LOCKED,
                custody_aek_rotate(h.custody, account, "a test", &generation, aek_id, &d));
    REQUIRE_ERR(ERR_KEY_LOCKED, custody_scope_rewrap(h.custody, CLUSTER, "a test", &wraps, &d));
    EXPECT_EQ(house_records(&h, "wrap"), 1);
    house_close(&h);
}

/* The log service is exposed to the network: what it says about whose key is whose is not believed.
 */
TEST(rotation, no_word_of_the_log_service_wraps_a_customers_data_by_the_platforms_key)
{
    struct diag d = DIAG_INIT;
    struct house h;
    house_open(&h);
    house_cluster(&h, CLUSTER, account);
    const struct custody_kek platform = {.vault_uri = "https://Platform.test/",
                                         .key_name = "PMK",
                                         .key_version = "",
                                         .principal_id = "cluster"};
    struct custody_kek as_platform = house_kek("v1");
    as_platform.principal_id = "platform";
    uint64_t wraps = 0;
    REQUIRE_ERR(ERR_INVALID, custody_scope_set(h.custody, CLUSTER, &platform, &wraps, &d));
    diag_reset(&d);
    REQUIRE_ERR(ERR_INVALID, custody_scope_set(h.custody, CLUSTER, &as_platform, &wraps, &d));
    EXPECT_EQ(wraps, 0);
    REQUIRE(wrapped_by(&h, account, "v1"));
    house_close(&h);
}

TEST(rotation, the_log_service_cannot_choose_the_platforms_key)
{
    struct diag d = DIAG_INIT;
    struct house h;
    house_open(&h);
    tv_add(&h.vault, CUSTOMER_URI, "stranger", "s1", true);
    struct custody_kek stranger = house_kek("s1");
    stranger.key_name = "stranger";
    REQUIRE_ERR(ERR_INVALID, custody_scope_set(h.custody, "platform", &stranger, NULL, &d));
    house_close(&h);
}
