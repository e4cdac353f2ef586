/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/custody/spool.c - keyd makes a spool's key in an outage, and opens none after a denial
 */
#include "house.h"

#include "base/rand.h"

static const uint8_t account[16] = "account-one.....";
static const uint8_t file_id[16] = "spool-file.....1";

static void with_mood(struct house *h, enum mood mood)
{
    tv_mood(&h->vault, CUSTOMER_URI, mood);
    house_advance(36);
}

static void suspended(struct house *h)
{
    house_open(h);
    house_cluster(h, CLUSTER, account);
    with_mood(h, MOOD_BARRED);
    EXPECT_EQ(custody_account_state(h->custody, account), KEY_SUSPENDED);
}

static struct spool_ask ask_new(const struct buf *record)
{
    struct spool_ask q = {.record = buf_view(record), .new_file_id = file_id};
    memcpy(q.account, account, 16);
    return q;
}

TEST(custody, a_spool_is_made_and_opened_again_in_an_outage)
{
    struct diag d = DIAG_INIT;
    struct house h;
    suspended(&h);
    CLEANUP_BUF struct buf record = {0}, sealed = {0}, out = {0};
    REQUIRE_OK(custody_spool_make(h.custody, account, &record, &d));
    struct spool_ask q = ask_new(&record);
    struct file_key *k = NULL, *again = NULL;
    REQUIRE_OK(custody_spool_keys(h.custody, &q, &k, &d));
    struct file_ident f = *file_key_ident(k);
    EXPECT_EQ(f.otype, OTYPE_SPOOL);
    REQUIRE_OK(block_seal(k, BTYPE_WAL, 1, BYTES("row"), &sealed, &d));

    house_restart_keyd(&h); /* it knows nothing of a spool but what the record says */
    q.new_file_id = NULL;
    q.files = &f;
    q.n_files = 1;
    REQUIRE_OK(custody_spool_keys(h.custody, &q, &again, &d));
    REQUIRE_OK(block_open(again, BTYPE_WAL, 1, buf_view(&sealed), &out, &d));
    EXPECT_EQ(house_records(&h, "spool"), 0); /* never in the catalogue */
    file_key_free(k);
    file_key_free(again);
    house_close(&h);
}

TEST(custody, no_spool_is_made_while_the_key_serves)
{
    struct diag d = DIAG_INIT;
    struct house h;
    house_open(&h);
    house_cluster(&h, CLUSTER, account);
    CLEANUP_BUF struct buf record = {0};
    REQUIRE_ERR(ERR_CONFLICT, custody_spool_make(h.custody, account, &record, &d));
    house_close(&h);
}

TEST(custody, without_the_platforms_vault_no_spool_is_made)
{
    struct diag d = DIAG_INIT;
    struct house h;
    suspended(&h);
    tv_mood(&h.vault, PLATFORM_URI, MOOD_SILENT);
    CLEANUP_BUF struct buf record = {0};
    REQUIRE_ERR(ERR_UNAVAILABLE, custody_spool_make(h.custody, account, &record, &d));
    house_close(&h);
}

TEST(custody, a_record_that_changed_anywhere_opens_nothing)
{
    struct diag d = DIAG_INIT;
    struct house h;
    suspended(&h);
    CLEANUP_BUF struct buf record = {0};
    REQUIRE_OK(custody_spool_make(h.custody, account, &record, &d));
    for (size_t i = 0; i < record.len; i++) {
        struct file_key *k = NULL;
        struct spool_ask q = ask_new(&record);
        record.p[i] ^= 0x10;
        diag_reset(&d);
        REQUIRE_ERR(ERR_CORRUPT, custody_spool_keys(h.custody, &q, &k, &d));
        record.p[i] ^= 0x10;
    }
    house_close(&h);
}

/* A slot that somebody copied before it was overwritten, and put back. */
TEST(custody, a_spool_from_before_a_denial_is_never_opened_after_it)
{
    struct diag d = DIAG_INIT;
    struct house h;
    suspended(&h);
    CLEANUP_BUF struct buf record = {0};
    REQUIRE_OK(custody_spool_make(h.custody, account, &record, &d));
    struct spool_ask q = ask_new(&record);
    struct file_key *k = NULL;
    REQUIRE_OK(custody_spool_keys(h.custody, &q, &k, &d));
    struct file_ident f = *file_key_ident(k);
    file_key_free(k);
    q = (struct spool_ask){.record = buf_view(&record), .files = &f, .n_files = 1};
    memcpy(q.account, account, 16);

    with_mood(&h, MOOD_DENIED);
    EXPECT_EQ(custody_account_state(h.custody, account), KEY_REVOKED);
    REQUIRE_ERR(ERR_KEY_LOCKED, custody_spool_keys(h.custody, &q, &k, &d));
    with_mood(&h, MOOD_GOOD);
    REQUIRE(house_reaches(&h, account, KEY_ACTIVE));
    diag_reset(&d);
    REQUIRE_ERR(ERR_KEY_LOCKED, custody_spool_keys(h.custody, &q, &k, &d));
    house_restart_keyd(&h);
    diag_reset(&d);
    REQUIRE_ERR(ERR_KEY_LOCKED, custody_spool_keys(h.custody, &q, &k, &d));
    house_close(&h);
}

/* What the status says of a version of the platform's key; nothing lies under it but a spool. */
static bool is_safe(struct house *h, const char *kek_id)
{
    struct diag d = DIAG_INIT;
    CLEANUP_JSON json_t *j = NULL;
    REQUIRE_OK(custody_status(h->custody, &j, &d));
    size_t i, k;
    json_t *a, *w;
    bool found = false, safe = false;
    json_array_foreach (json_get(j, "accounts"), i, a) {
        json_array_foreach (json_get(a, "wraps"), k, w) {
            if (!str_eq(json_get_str(w, "version"), kek_id)) continue;
            found = true;
            safe = json_get_bool(w, "safeToDisable", false);
        }
    }
    REQUIRE(found);
    return safe;
}

#define P1 PLATFORM_URI "/keys/pmk/p1"

TEST(custody, a_version_of_the_platforms_key_under_which_a_spool_lies_is_not_safe_to_disable)
{
    static const uint8_t its[16] = "the-platforms...";
    struct diag d = DIAG_INIT;
    struct house h;
    suspended(&h);
    CLEANUP_BUF struct buf record = {0};
    struct file_key *k = NULL;
    REQUIRE_OK(custody_account_add(h.custody, "platform", its, "-", &d));
    REQUIRE_OK(custody_spool_make(h.custody, account, &record, &d));
    tv_add(&h.vault, PLATFORM_URI, "pmk", "p2", true);
    house_advance(34); /* followed: MK and the platform's own accounts lie under p2 */
    REQUIRE(!is_safe(&h, P1));

    house_restart_keyd(&h); /* which does not know of the spool until it is asked */
    house_advance(2);
    REQUIRE(!is_safe(&h, P1));
    struct spool_ask q = ask_new(&record);
    REQUIRE_OK(custody_spool_keys(h.custody, &q, &k, &d));
    file_key_free(k);
    REQUIRE(!is_safe(&h, P1));

    tv_mood(&h.vault, CUSTOMER_URI, MOOD_GOOD); /* the store has put the rows back */
    house_advance(36);
    REQUIRE(house_reaches(&h, account, KEY_ACTIVE));
    REQUIRE(house_reaches(&h, its, KEY_ACTIVE)); /* after the restart it serves again too */
    REQUIRE(is_safe(&h, P1));
    house_close(&h);
}
