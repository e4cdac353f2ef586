/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/keyvault/retention.c - what is deleted is destroyed when its time is over, on the
 * virtual clock */
#include "keyvault_test.h"

#define DAY_US (86400LL * US_PER_S)

static enum err count_row(void *ctx, const char *key, struct bytes value, struct diag *d)
{
    (void)key, (void)value, (void)d;
    ++*(size_t *)ctx;
    return OK;
}

static size_t rows(struct keyvault *kv, const char *table)
{
    struct diag d = DIAG_INIT;
    size_t n = 0;
    REQUIRE_OK(kvstore_each(kv->store, table, "", count_row, &n, &d));
    return n;
}

TEST(retention, deleted_keys_and_vaults_are_destroyed_on_their_day_and_not_before)
{
    struct diag d = DIAG_INIT;
    CLEANUP_FREE char *clock = str_fmt("%s/clock", test_dir());
    REQUIRE_OK(clock_open(clock, true, &d));
    struct keyvault *kv = vault_open("retention");
    EXPECT_ANSWER(ask(kv, "PUT", VAULT("kv1") ARM, OWNER "@arm",
                      VAULT_BODY(POLICY(USER, "\"all\""), ",\"enablePurgeProtection\":true,"
                                                          "\"softDeleteRetentionInDays\":7")),
                  200);
    make_vault(kv, VAULT("kv2") ARM);
    EXPECT_ANSWER(ask(kv, "POST", KV("kv1", "/keys/k/create"), USER "@kv", "{\"kty\":\"oct\"}"),
                  200);
    EXPECT_ANSWER(ask(kv, "POST", KV("kv1", "/keys/stays/create"), USER "@kv", "{\"kty\":\"oct\"}"),
                  200);
    EXPECT_ANSWER(ask(kv, "POST", KV("kv2", "/keys/k/create"), USER "@kv", "{\"kty\":\"oct\"}"),
                  200);
    EXPECT_ANSWER(ask(kv, "DELETE", KV("kv1", "/keys/k"), USER "@kv", NULL), 200);
    EXPECT_ANSWER(ask(kv, "DELETE", VAULT("kv2") ARM, OWNER "@arm", NULL), 200);

    REQUIRE_OK(clock_advance(7 * DAY_US - 60 * US_PER_S, &d));
    EXPECT_ANSWER(ask(kv, "GET", KV("kv1", "/deletedkeys/k"), USER "@kv", NULL), 200);
    EXPECT_EQ(rows(kv, "material"), 3);

    REQUIRE_OK(clock_advance(120 * US_PER_S, &d));
    EXPECT_ANSWER(ask(kv, "GET", KV("kv1", "/deletedkeys/k"), USER "@kv", NULL), 404);
    EXPECT_ANSWER(ask(kv, "GET", KV("kv1", "/keys/stays"), USER "@kv", NULL), 200);
    EXPECT_EQ(rows(kv, "material"), 2);
    EXPECT_EQ(rows(kv, "vault"), 2);

    REQUIRE_OK(clock_advance(83 * DAY_US, &d));
    EXPECT_EQ(rows(kv, "material"), 1);
    EXPECT_EQ(rows(kv, "version"), 1);
    EXPECT_EQ(rows(kv, "key"), 1);
    EXPECT_EQ(rows(kv, "vault"), 1);
    make_vault(kv, VAULT("kv2") ARM);
    keyvault_close(kv);
}
