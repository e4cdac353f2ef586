/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/keyvault/rotation.c - rotation policies, and the virtual clock that carries them out
 */
#include "keyvault_test.h"

#define T          USER "@kv"
#define DAY_US     (86400LL * US_PER_S)
#define POLICY_URL KV("kv1", "/keys/k/rotationpolicy")

static struct keyvault *fresh(const char *dir)
{
    struct diag d = DIAG_INIT;
    CLEANUP_FREE char *clock = str_fmt("%s/clock", test_dir());
    if (!clock_is_virtual()) REQUIRE_OK(clock_open(clock, true, &d));
    struct keyvault *kv = vault_open(dir);
    make_vault(kv, VAULT("kv1") ARM);
    EXPECT_ANSWER(
        ask(kv, "POST", KV("kv1", "/keys/k/create"), T, "{\"kty\":\"oct\",\"tags\":{\"a\":\"b\"}}"),
        200);
    return kv;
}

static void pass_days(double days)
{
    struct diag d = DIAG_INIT;
    REQUIRE_OK(clock_advance((int64_t)(days * (double)DAY_US), &d));
}

static size_t versions(struct keyvault *kv)
{
    const struct answer *a = ask(kv, "GET", KV("kv1", "/keys/k/versions"), T, NULL);
    EXPECT_ANSWER(a, 200);
    return json_array_size(json_get(a->body, "value"));
}

static char *policy(const char *trigger, const char *time, const char *expiry)
{
    return str_fmt(
        "{\"lifetimeActions\":[{\"trigger\":{\"%s\":\"%s\"},\"action\":{\"type\":\"rotate\"}}]"
        "%s%s%s}",
        trigger, time, expiry[0] != 0 ? ",\"attributes\":{\"expiryTime\":\"" : "", expiry,
        expiry[0] != 0 ? "\"}" : "");
}

TEST(rotation, a_policy_is_shown_as_it_was_set_and_there_is_a_default)
{
    struct keyvault *kv = fresh("shape");
    const struct answer *a = ask(kv, "GET", POLICY_URL, T, NULL);
    EXPECT_ANSWER(a, 200);
    EXPECT_STR(json_get_str(a->body, "id"), "https://kv1." SUFFIX "/keys/k/rotationpolicy");
    EXPECT_EQ(json_array_size(json_get(a->body, "lifetimeActions")), 1);

    a = ask(
        kv, "PUT", POLICY_URL, T,
        "{\"lifetimeActions\":[{\"trigger\":{\"timeAfterCreate\":\"P90D\"},\"action\":{\"type\":"
        "\"Rotate\"}},{\"trigger\":{\"timeBeforeExpiry\":\"P1M\"},\"action\":{\"type\":\"notify\"}}"
        "],"
        "\"attributes\":{\"expiryTime\":\"P1Y\"},\"junk\":1}");
    EXPECT_ANSWER(a, 200);
    a = ask(kv, "GET", POLICY_URL, T, NULL);
    EXPECT_STR(text_at(a, "attributes", "expiryTime"), "P1Y");
    REQUIRE(json_get_int(json_get(a->body, "attributes"), "created", 0) > 0);
    REQUIRE(json_get(a->body, "junk") == NULL);
    const json_t *first = json_array_get(json_get(a->body, "lifetimeActions"), 0),
                 *second = json_array_get(json_get(a->body, "lifetimeActions"), 1);
    EXPECT_STR(json_string_value(json_at(first, "trigger", "timeAfterCreate", NULL)), "P90D");
    EXPECT_STR(json_string_value(json_at(first, "action", "type", NULL)), "Rotate");
    EXPECT_STR(json_string_value(json_at(second, "action", "type", NULL)), "Notify");
    EXPECT_ANSWER(ask(kv, "GET", KV("kv1", "/keys/none/rotationpolicy"), T, NULL), 404);
    keyvault_close(kv);
}

TEST(rotation, a_policy_that_makes_no_sense_is_refused)
{
    struct keyvault *kv = fresh("bad");
    static const char *const wrong[][3] = {
        {"timeAfterCreate", "P6D", ""},       {"timeAfterCreate", "90", ""},
        {"timeAfterCreate", "P", ""},         {"timeAfterCreate", "PT240H", ""},
        {"timeAfterCreate", "P30D1Y", ""},    {"timeAfterCreate", "P999999999D", ""},
        {"timeBeforeExpiry", "P30D", ""},     {"timeAfterCreate", "P30D", "P27D"},
        {"timeBeforeExpiry", "P30D", "P30D"}, {"timeAfterCreate", "P90D", "P60D"},
        {"timeSometimes", "P30D", ""},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        CLEANUP_FREE char *body = policy(wrong[i][0], wrong[i][1], wrong[i][2]);
        EXPECT_REFUSAL(ask(kv, "PUT", POLICY_URL, T, body), 400, "BadParameter", "");
    }
#define ROTATE "{\"trigger\":{\"timeAfterCreate\":\"P30D\"},\"action\":{\"type\":\"Rotate\"}}"
    EXPECT_ANSWER(ask(kv, "PUT", POLICY_URL, T, "{\"lifetimeActions\":[" ROTATE "," ROTATE "]}"),
                  400);
    EXPECT_ANSWER(
        ask(kv, "PUT", POLICY_URL, T,
            "{\"lifetimeActions\":[{\"trigger\":{\"timeAfterCreate\":\"P30D\"},\"action\":{"
            "\"type\":\"Notify\"}}]}"),
        400);
    EXPECT_ANSWER(ask(kv, "PUT", POLICY_URL, T, "{\"lifetimeActions\":[{}]}"), 400);
    keyvault_close(kv);
}

TEST(rotation, the_clock_rotates_a_key_when_its_policy_says_so_and_not_before)
{
    struct keyvault *kv = fresh("ticks");
    CLEANUP_FREE char *body = policy("timeAfterCreate", "P10D", "P40D");
    EXPECT_ANSWER(ask(kv, "PUT", POLICY_URL, T, body), 200);
    pass_days(9.9);
    EXPECT_EQ(versions(kv), 1);
    pass_days(0.2);
    EXPECT_EQ(versions(kv), 2);
    const struct answer *a = ask(kv, "GET", KV("kv1", "/keys/k"), T, NULL);
    EXPECT_STR(text_at(a, "tags", "a"), "b");
    const json_t *attributes = json_get(a->body, "attributes");
    EXPECT_EQ(json_get_int(attributes, "exp", 0) - json_get_int(attributes, "created", 0),
              40 * 86400);
    pass_days(30);
    EXPECT_EQ(versions(kv), 5);

    /* Turned off, it stays off; also across a restart. */
    EXPECT_ANSWER(ask(kv, "PUT", POLICY_URL, T, "{\"lifetimeActions\":[]}"), 200);
    pass_days(30);
    EXPECT_EQ(versions(kv), 5);
    EXPECT_ANSWER(ask(kv, "PUT", POLICY_URL, T, body), 200);
    keyvault_close(kv);
    kv = vault_open("ticks");
    pass_days(1);
    EXPECT_EQ(versions(kv), 6);
    keyvault_close(kv);
}

TEST(rotation, before_the_end_counts_from_the_versions_end)
{
    struct keyvault *kv = fresh("before");
    CLEANUP_FREE char *body = policy("timeBeforeExpiry", "P10D", "P40D");
    EXPECT_ANSWER(ask(kv, "PUT", POLICY_URL, T, body), 200);
    pass_days(100);
    EXPECT_EQ(versions(kv), 1); /* this version has no end */
    EXPECT_ANSWER(ask(kv, "POST", KV("kv1", "/keys/k/rotate"), T, NULL), 200);
    pass_days(29.9);
    EXPECT_EQ(versions(kv), 2);
    pass_days(0.2);
    EXPECT_EQ(versions(kv), 3);
    keyvault_close(kv);
}

TEST(rotation, a_disabled_or_deleted_key_is_left_alone)
{
    struct keyvault *kv = fresh("alone");
    CLEANUP_FREE char *body = policy("timeAfterCreate", "P10D", "");
    EXPECT_ANSWER(ask(kv, "PUT", POLICY_URL, T, body), 200);
    EXPECT_ANSWER(ask(kv, "PATCH", KV("kv1", "/keys/k"), T, "{\"attributes\":{\"enabled\":false}}"),
                  200);
    pass_days(20);
    EXPECT_EQ(versions(kv), 1);
    EXPECT_ANSWER(ask(kv, "DELETE", KV("kv1", "/keys/k"), T, NULL), 200);
    pass_days(20);
    EXPECT_ANSWER(ask(kv, "POST", KV("kv1", "/deletedkeys/k/recover"), T, NULL), 200);
    pass_days(1);
    EXPECT_EQ(versions(kv), 1);
    EXPECT_ANSWER(ask(kv, "PATCH", KV("kv1", "/keys/k"), T, "{\"attributes\":{\"enabled\":true}}"),
                  200);
    pass_days(0.1);
    EXPECT_EQ(versions(kv), 2);

    /* A vault in soft deletion rests too, and a purged key leaves no policy behind. */
    EXPECT_ANSWER(ask(kv, "DELETE", KV("kv1", "/keys/k"), T, NULL), 200);
    EXPECT_ANSWER(ask(kv, "DELETE", KV("kv1", "/deletedkeys/k"), T, NULL), 204);
    EXPECT_ANSWER(ask(kv, "POST", KV("kv1", "/keys/k/create"), T, "{\"kty\":\"oct\"}"), 200);
    pass_days(20);
    EXPECT_EQ(versions(kv), 1);
    keyvault_close(kv);
}

TEST(rotation, months_end_where_the_calendar_ends_them)
{
    struct keyvault *kv = fresh("months");
    CLEANUP_FREE char *body = policy("timeAfterCreate", "P1M", "P2Y");
    EXPECT_ANSWER(ask(kv, "PUT", POLICY_URL, T, body), 200);
    pass_days(366);
    EXPECT_EQ(versions(kv), 13);
    const struct answer *a = ask(kv, "GET", KV("kv1", "/keys/k"), T, NULL);
    const json_t *attributes = json_get(a->body, "attributes");
    int64_t days =
        (json_get_int(attributes, "exp", 0) - json_get_int(attributes, "created", 0)) / 86400;
    REQUIRE(days == 730 || days == 731);
    keyvault_close(kv);
}
