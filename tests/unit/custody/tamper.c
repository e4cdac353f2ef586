/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/custody/tamper.c - records that somebody else has written, moved or taken away */
#include "house.h"

static const uint8_t account[16] = "account-one.....";
static const uint8_t other[16] = "account-two.....";

static enum key_state in_keyd(struct house *h, const uint8_t id[16])
{
    LOCK_SCOPE(&h->keyd->lock);
    const struct account *a = account_find(h->keyd, id);
    return a != NULL ? a->at.state : KEY_STATES;
}

/* Two accounts under one key; the catalogue is changed while keyd is down. */
static void open_two(struct house *h)
{
    struct diag d = DIAG_INIT;
    house_open(h);
    house_cluster(h, CLUSTER, account);
    REQUIRE_OK(custody_account_add(h->custody, CLUSTER, other, "w", &d));
    REQUIRE(house_settles(h));
    house_stop_keyd(h);
    log_set_level(LOG_ERROR + 1); /* alarms are expected here */
}

static void start_again(struct house *h)
{
    struct diag d = DIAG_INIT;
    house_start_keyd(h);
    house_connect(h);
    REQUIRE_OK(custody_wait_ready(h->custody, 120000, &d));
    house_advance(40);
}

static void hex_of(const uint8_t id[16], char out[33])
{
    hex_encode(bytes_of(id, 16), out);
}

TEST(tamper, a_wrap_record_with_any_byte_changed_is_refused_and_its_account_stays_locked)
{
    char hex[33];
    struct house h;
    hex_of(account, hex);
    open_two(&h);
    for (size_t byte = 0; byte < 40; byte += 13) { /* tests/unit/custody/record.c does every bit */
        REQUIRE(house_tamper(&h, "wrap", hex, byte));
        start_again(&h);
        EXPECT_EQ(in_keyd(&h, account), KEY_SUSPENDED); /* counted as no answer: never REVOKED */
        EXPECT_EQ(in_keyd(&h, other), KEY_ACTIVE);
        house_stop_keyd(&h);
        REQUIRE(house_tamper(&h, "wrap", hex, byte)); /* back again */
    }
    start_again(&h);
    EXPECT_EQ(in_keyd(&h, account), KEY_ACTIVE);
    house_close(&h);
}

TEST(tamper, a_changed_state_record_locks_its_account)
{
    char hex[33];
    struct house h;
    hex_of(account, hex);
    open_two(&h);
    REQUIRE(house_tamper(&h, "state", hex, 60));
    start_again(&h);
    EXPECT_EQ(in_keyd(&h, account), KEY_SUSPENDED);
    EXPECT_EQ(in_keyd(&h, other), KEY_ACTIVE);
    house_close(&h);
}

TEST(tamper, a_changed_scope_record_locks_all_its_accounts)
{
    struct house h;
    open_two(&h);
    REQUIRE(house_tamper(&h, "scope", CLUSTER, 30));
    start_again(&h);
    EXPECT_EQ(in_keyd(&h, account), KEY_SUSPENDED);
    EXPECT_EQ(in_keyd(&h, other), KEY_SUSPENDED);
    house_close(&h);
}

/* Puts what lies under one id under another too. */
static void copy_record(struct house *h, const char *kind, const char *from, const char *to)
{
    struct diag d = DIAG_INIT;
    CLEANUP_FREE char *a = str_fmt("%s\n%s", kind, from);
    const char *from_id = NULL, *to_id = NULL;
    size_t n = strlen(a);
    MAP_EACH (&h->catalogue, e) {
        if (e->key.len >= n && memcmp(e->key.p, a, n) == 0) {
            from_id =
                strndup((const char *)e->key.p + strlen(kind) + 1, e->key.len - strlen(kind) - 1);
        }
        CLEANUP_FREE char *b = str_fmt("%s\n%s", kind, to);
        if (e->key.len >= strlen(b) && memcmp(e->key.p, b, strlen(b)) == 0) {
            to_id =
                strndup((const char *)e->key.p + strlen(kind) + 1, e->key.len - strlen(kind) - 1);
        }
    }
    REQUIRE(from_id != NULL && to_id != NULL);
    CLEANUP_FREE char *name = str_fmt("%s\n%s", kind, from_id);
    const struct stored *s = map_get(&h->catalogue, bytes_str(name));
    CLEANUP_BUF struct buf copy = {0};
    buf_bytes(&copy, buf_view(&s->value));
    const struct custody_record r = {
        .kind = kind, .id = to_id, .parent = "", .value = buf_view(&copy)};
    REQUIRE_OK(house_persist(h, &r, 1, &d));
    free((void *)from_id);
    free((void *)to_id);
}

static void refuse_anothers(const char *kind)
{
    char hex1[33], hex2[33];
    struct house h;
    hex_of(account, hex1);
    hex_of(other, hex2);
    open_two(&h);
    copy_record(&h, kind, hex1, hex2);
    start_again(&h);
    EXPECT_EQ(in_keyd(&h, account), KEY_ACTIVE);
    EXPECT_EQ(in_keyd(&h, other), KEY_SUSPENDED);
    house_close(&h);
}

TEST(tamper, one_accounts_wrap_under_anothers_name_is_refused)
{
    refuse_anothers("wrap");
}

TEST(tamper, one_accounts_state_under_anothers_name_is_refused)
{
    refuse_anothers("state");
}

static bool refuses(struct house *h)
{
    struct diag d = DIAG_INIT;
    house_start_keyd(h);
    house_connect(h);
    return house_refuses(h, &d);
}

TEST(tamper, without_the_platform_keys_record_nothing_starts_and_no_new_key_is_made)
{
    struct diag d = DIAG_INIT;
    struct house h;
    open_two(&h);
    const struct custody_record gone = {.kind = "mk", .id = "mk", .parent = ""};
    REQUIRE_OK(house_persist(&h, &gone, 1, &d));
    REQUIRE(refuses(&h));
    EXPECT_EQ(house_records(&h, "mk"), 0);
    house_close(&h);
}

TEST(tamper, an_emptied_catalogue_is_no_first_start)
{
    struct house h;
    open_two(&h);
    MAP_EACH (&h.catalogue, e) {
        struct stored *s = map_remove(&h.catalogue, e->key);
        buf_release(&s->value);
        free(s);
    }
    REQUIRE(refuses(&h));
    EXPECT_EQ(house_records(&h, "mk"), 0);
    house_close(&h);
}

TEST(tamper, a_changed_record_of_the_platform_key_is_refused)
{
    struct house h;
    open_two(&h);
    REQUIRE(house_tamper(&h, "mk", "mk", 30));
    REQUIRE(refuses(&h));
    house_close(&h);
}
