/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/keyvault/limits.c - walls around a vault and the rate of its requests */
#include "keyvault_test.h"

#define A OWNER "@arm"
#define T USER "@kv"

static void wall(struct keyvault *kv, const char *more)
{
    CLEANUP_FREE char *body = str_fmt("{\"properties\":{%s}}", more);
    EXPECT_ANSWER(ask(kv, "PATCH", VAULT("kv1") ARM, A, body), 200);
}

static struct keyvault *fresh(const char *dir)
{
    struct keyvault *kv = vault_open(dir);
    make_vault(kv, VAULT("kv1") ARM);
    return kv;
}

static void expect_firewall(struct keyvault *kv, bool open)
{
    const struct answer *a = ask(kv, "GET", KV("kv1", "/keys"), T, NULL);
    if (open) {
        EXPECT_ANSWER(a, 200);
        return;
    }
    EXPECT_REFUSAL(a, 403, "Forbidden", "ForbiddenByFirewall");
    REQUIRE(strstr(a->text, "Client address: 127.0.0.1") != NULL);
}

TEST(limits, behind_a_firewall_only_the_addresses_that_it_names_get_in)
{
    struct keyvault *kv = fresh("firewall");
    static const struct {
        const char *rules;
        bool open;
    } cases[] = {
        {"", false},
        {"{\"value\":\"127.0.0.1\"}", true},
        {"{\"value\":\"127.0.0.2\"}", false},
        {"{\"value\":\"127.0.0.0/8\"}", true},
        {"{\"value\":\"127.0.0.2/31\"}", false},
        {"{\"value\":\"127.0.0.0/31\"}", true},
        {"{\"value\":\"0.0.0.0/0\"}", true},
        {"{\"value\":\"::1\"},{\"value\":\"fe80::/10\"}", false},
        {"{\"value\":\"::1\"},{\"value\":\"127.0.0.1/32\"}", true},
        {"{\"value\":\"::ffff:127.0.0.1\"}", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CLEANUP_FREE char *acls = str_fmt(
            "\"networkAcls\":{\"defaultAction\":\"deny\",\"ipRules\":[%s]}", cases[i].rules);
        wall(kv, acls);
        expect_firewall(kv, cases[i].open);
    }
    const struct answer *a =
        ask(kv, "GET", VAULT("kv1") ARM, A, NULL); /* the other plane is not behind it */
    EXPECT_STR(
        json_string_value(json_at(a->body, "properties", "networkAcls", "defaultAction", NULL)),
        "Deny");
    EXPECT_STR(json_string_value(json_at(a->body, "properties", "networkAcls", "bypass", NULL)),
               "AzureServices");
    wall(kv, "\"networkAcls\":{\"defaultAction\":\"Allow\"}");
    expect_firewall(kv, true);
    keyvault_close(kv);
}

TEST(limits, without_public_access_no_address_gets_in_and_the_challenge_still_comes_first)
{
    struct keyvault *kv = fresh("closed");
    wall(kv, "\"publicNetworkAccess\":\"disabled\",\"networkAcls\":{\"defaultAction\":\"Deny\","
             "\"ipRules\":[{"
             "\"value\":\"127.0.0.1\"}]}");
    EXPECT_REFUSAL(ask(kv, "GET", KV("kv1", "/keys"), T, NULL), 403, "Forbidden",
                   "ForbiddenByConnection");
    EXPECT_ANSWER(ask(kv, "GET", KV("kv1", "/keys"), NULL, NULL), 401);
    wall(kv, "\"tags\":{}"); /* says nothing: it stays */
    EXPECT_ANSWER(ask(kv, "GET", KV("kv1", "/keys"), T, NULL), 403);
    wall(kv, "\"publicNetworkAccess\":\"Enabled\"");
    EXPECT_ANSWER(ask(kv, "GET", KV("kv1", "/keys"), T, NULL), 200);
    keyvault_close(kv);
}

/* A token whose payload names the managed identity of a resource. */
static char *managed_token(const char *resource)
{
    CLEANUP_FREE char *claims = str_fmt("{\"xms_mirid\":\"%s\"}", resource);
    CLEANUP_BUF struct buf text = {0};
    base64url_encode(&text, bytes_str(claims));
    return str_fmt(USER "@kv.%s.x", buf_cstr(&text));
}

TEST(limits, a_clusters_identity_is_a_trusted_service_unless_the_vault_says_none)
{
    struct keyvault *kv = fresh("trusted");
    CLEANUP_FREE char *cluster = managed_token("/subscriptions/" SUB "/resourcegroups/rg/providers/"
                                               "Microsoft.OperationalInsights/clusters/c1");
    CLEANUP_FREE char *machine = managed_token(
        "/subscriptions/" SUB "/resourcegroups/rg/providers/Microsoft.Compute/virtualMachines/m");
    static const char *const walls[] = {
        "\"publicNetworkAccess\":\"Disabled\"",
        "\"publicNetworkAccess\":\"Enabled\",\"networkAcls\":{\"defaultAction\":"
        "\"Deny\"}"};
    for (int i = 0; i < 2; i++) {
        wall(kv, walls[i]);
        EXPECT_ANSWER(ask(kv, "GET", KV("kv1", "/keys"), cluster, NULL), 200);
        EXPECT_ANSWER(ask(kv, "GET", KV("kv1", "/keys"), machine, NULL), 403);
    }
    wall(kv, "\"networkAcls\":{\"defaultAction\":\"Deny\",\"bypass\":\"None\"}");
    EXPECT_ANSWER(ask(kv, "GET", KV("kv1", "/keys"), cluster, NULL), 403);
    keyvault_close(kv);
}

static struct keyvault *open_slow(const char *name, uint32_t requests)
{
    struct keyvault_config c = usual_config();
    c.requests_per_10s = requests;
    return vault_open_as(name, c);
}

/* What was asked lies within one window: a machine that is too busy for that decides nothing here. */
static bool is_decided(int64_t began_us)
{
    bool decided = time_mono_us() - began_us < 9 * US_PER_S;
    if (!decided) fprintf(stderr, "this took longer than the ten seconds that are counted\n");
    return decided;
}

TEST(limits, over_the_rate_a_vault_answers_429_and_others_do_not)
{
    int64_t began = time_mono_us();
    struct keyvault *kv = open_slow("rate", 5);
    make_vault(kv, VAULT("kv1") ARM);
    make_vault(kv, VAULT("kv2") ARM);
    for (int i = 0; i < 5; i++) {
        EXPECT_ANSWER(ask(kv, "GET", KV("kv1", "/keys"), NULL, NULL), 401); /* these do not count */
        EXPECT_ANSWER(ask(kv, "GET", KV("kv1", "/keys"), T, NULL), 200);
    }
    for (int i = 0; i < 3; i++) {
        const struct answer *a = ask(kv, "GET", KV("kv1", "/keys"), T, NULL);
        if (!is_decided(began)) break;
        EXPECT_REFUSAL(a, 429, "Throttled", "");
        REQUIRE(a->retry_after >= 1 && a->retry_after <= 10);
    }
    EXPECT_ANSWER(ask(kv, "GET", KV("kv2", "/keys"), T, NULL), 200);
    /* The subscription as a whole: five vaults' worth. */
    static const char *const urls[] = {KV("kv2", "/keys"), KV("kv3", "/keys"), KV("kv4", "/keys"),
                                       KV("kv5", "/keys"), KV("kv6", "/keys"), KV("kv7", "/keys")};
    make_vault(kv, VAULT("kv3") ARM);
    make_vault(kv, VAULT("kv4") ARM);
    make_vault(kv, VAULT("kv5") ARM);
    make_vault(kv, VAULT("kv6") ARM);
    make_vault(kv, VAULT("kv7") ARM);
    int good = 6;
    for (int i = 0; i < 6; i++) {
        for (int k = 0; k < 5; k++)
            good += ask(kv, "GET", urls[i], T, NULL)->status == 200;
    }
    if (is_decided(began)) EXPECT_EQ(good, 25);
    keyvault_close(kv);
}

TEST(limits, room_comes_back_when_the_seconds_are_over)
{
    int64_t began = time_mono_us();
    struct keyvault *kv = open_slow("room", 2);
    make_vault(kv, VAULT("kv1") ARM);
    EXPECT_ANSWER(ask(kv, "GET", KV("kv1", "/keys"), T, NULL), 200);
    EXPECT_ANSWER(ask(kv, "GET", KV("kv1", "/keys"), T, NULL), 200);
    const struct answer *a = ask(kv, "GET", KV("kv1", "/keys"), T, NULL);
    if (is_decided(began)) EXPECT_ANSWER(a, 429);
    time_sleep_us(a->retry_after * US_PER_S + 10000);
    EXPECT_ANSWER(ask(kv, "GET", KV("kv1", "/keys"), T, NULL), 200);
    keyvault_close(kv);
}
