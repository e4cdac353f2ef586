/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/identity/watch.c - what the clock brings: new signing keys, dead ones, credentials
 * that end */
#include "identity_test.h"

#include "identity/state.h"

#define DAY_US (86400 * US_PER_S)

static struct identity *id;
static struct identity_founder founder;

static void start(const char *name)
{
    struct diag d = DIAG_INIT;
    static bool has_clock;
    char dir[256], clock[256];
    snprintf(dir, sizeof dir, "%s/%s", test_dir(), name);
    snprintf(clock, sizeof clock, "%s/clock", test_dir());
    if (!has_clock) REQUIRE_OK(clock_open(clock, true, &d));
    has_clock = true;
    struct identity_config c = {.dir = dir, .endpoint = ENDPOINT, .has_watch = true};
    REQUIRE_OK(identity_open(&id, &c, &founder, &d));
}

static void advance(int64_t us)
{
    struct diag d = DIAG_INIT;
    REQUIRE_OK(clock_advance(us, &d));
}

/* The watch's thread may not have begun to wait when the clock is turned first: turned on until it
 * has seen what is due. */
static bool come(unsigned n_signers)
{
    for (int i = 0; i < 200 && id->n_signers != n_signers; i++) {
        advance(60 * US_PER_S);
        time_sleep_us(10000);
    }
    return id->n_signers == n_signers;
}

TEST(watch, signing_keys_rotate_every_30_days_and_go_when_their_last_token_has)
{
    start("schedule");
    char first[64];
    snprintf(first, sizeof first, "%s", id->signers[0].kid);
    advance(29 * DAY_US);
    EXPECT_STR(id->signers[0].kid, first);
    EXPECT_EQ(id->n_signers, 1);
    advance(1 * DAY_US);
    REQUIRE(come(2));
    EXPECT_STR(id->signers[1].kid, first);
    advance((TOKEN_LIFE_S + JWT_SKEW_S) * US_PER_S);
    REQUIRE(come(1));
    REQUIRE(!str_eq(id->signers[0].kid, first));
    identity_close(id);
}

/* What was rotated is there after a restart, in the same order, and its tokens are good. */
TEST(watch, rotated_keys_outlive_the_process)
{
    struct diag d = DIAG_INIT;
    start("kept");
    char kids[3][64];
    REQUIRE_OK(signers_rotate(id, &d));
    REQUIRE_OK(signers_rotate(id, &d));
    for (int i = 0; i < 3; i++)
        snprintf(kids[i], sizeof kids[i], "%s", id->signers[i].kid);
    identity_close(id);
    start("kept");
    EXPECT_EQ(id->n_signers, 3);
    EXPECT_STR(id->signers[0].kid, kids[0]); /* the one that signs */
    for (int i = 0; i < 3; i++) {
        bool found = false;
        for (int k = 0; k < 3; k++)
            found = found || str_eq(id->signers[k].kid, kids[i]);
        REQUIRE(found);
    }
    for (unsigned i = 3; i < SIGNERS_MAX; i++)
        REQUIRE_OK(signers_rotate(id, &d));
    REQUIRE_ERR(ERR_LIMIT, signers_rotate(id, &d));
    identity_close(id);
}

TEST(watch, what_ends_within_30_days_is_named)
{
    struct diag d = DIAG_INIT;
    start("ending");
    char secret[2 * SECRET_LEN + 1];
    struct principal p = {.kind = PRINCIPAL_APP, .name = "app"};
    REQUIRE_OK(credential_add_secret(&p, time_now_us() + 40 * DAY_US, secret, &d));
    REQUIRE_OK(principal_add(id, &p, &d));
    CLEANUP_JSON json_t *none = watch_ending(id, time_now_us());
    EXPECT_EQ(json_array_size(none), 0); /* the founder's secret never ends */
    advance(11 * DAY_US);
    CLEANUP_JSON json_t *soon = watch_ending(id, time_now_us());
    EXPECT_EQ(json_array_size(soon), 1);
    EXPECT_STR(json_get_str(json_array_get(soon, 0), "name"), "app");
    EXPECT_EQ(credential_check_secret(&p, secret), SECRET_GOOD);
    advance(30 * DAY_US);
    EXPECT_EQ(credential_check_secret(&p, secret), SECRET_EXPIRED);
    EXPECT_EQ(credential_check_secret(&p, "wrong"), SECRET_WRONG);
    identity_close(id);
}

/* Used assertions and refresh tokens go when their time is over, and not before. */
TEST(watch, rows_that_have_had_their_time_go)
{
    struct diag d = DIAG_INIT;
    start("rows");
    int64_t now = time_now_us();
    CLEANUP_BUF struct buf value = {0};
    REQUIRE_OK(row_put(id, TABLE_REFRESH, "a", json_pack("{s:I}", "untilUs", (json_int_t)now), &d));
    REQUIRE_OK(row_put(id, TABLE_REFRESH, "b",
                       json_pack("{s:I}", "untilUs", (json_int_t)(now + DAY_US)), &d));
    REQUIRE_OK(rows_tidy(id, TABLE_REFRESH, now, &d));
    REQUIRE_ERR(ERR_NOT_FOUND, kvstore_get(id->store, TABLE_REFRESH, "a", &value, NULL));
    REQUIRE_OK(kvstore_get(id->store, TABLE_REFRESH, "b", &value, &d));
    identity_close(id);
}
