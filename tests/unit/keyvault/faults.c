/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/keyvault/faults.c - failures on demand: who may order them, what they do, when they
 * end */
#include "keyvault_test.h"

#include "base/thread.h"

#define A   OWNER "@arm"
#define T   USER "@kv"
#define URL "localhost:8444/admin/faults"
#define AEK "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"

static struct keyvault *open_with(const char *name, bool faults)
{
    struct keyvault_config c = usual_config();
    c.faults = faults;
    struct keyvault *kv = vault_open_as(name, c);
    make_vault(kv, VAULT("kv1") ARM);
    make_vault(kv, VAULT("kv2") ARM);
    EXPECT_ANSWER(ask(kv, "POST", KV("kv1", "/keys/k/create"), T, "{\"kty\":\"oct\"}"), 200);
    EXPECT_ANSWER(ask(kv, "POST", KV("kv1", "/keys/other/create"), T, "{\"kty\":\"oct\"}"), 200);
    return kv;
}

/* The new fault's id. */
static char *order(struct keyvault *kv, const char *body)
{
    const struct answer *a = ask(kv, "POST", URL, A, body);
    EXPECT_ANSWER(a, 201);
    return str_dup(json_get_str(a->body, "id"));
}

static int get_status(struct keyvault *kv)
{
    return ask(kv, "GET", KV("kv1", "/keys/k"), T, NULL)->status;
}

TEST(faults, they_are_there_only_when_switched_on_and_only_for_the_owner)
{
    struct keyvault *kv = open_with("off", false);
    EXPECT_ANSWER(ask(kv, "POST", URL, A, "{\"kind\":\"deny\",\"vault\":\"kv1\"}"), 404);
    keyvault_close(kv);
    kv = open_with("on", true);
    EXPECT_ANSWER(ask(kv, "POST", URL, NULL, "{\"kind\":\"deny\",\"vault\":\"kv1\"}"), 401);
    EXPECT_ANSWER(ask(kv, "POST", URL, T, "{\"kind\":\"deny\",\"vault\":\"kv1\"}"), 401);
    EXPECT_REFUSAL(ask(kv, "POST", URL, USER "@arm", "{\"kind\":\"deny\",\"vault\":\"kv1\"}"), 403,
                   "AuthorizationFailed", "");
    EXPECT_ANSWER(ask(kv, "POST", URL, A, "{\"kind\":\"deny\",\"vault\":\"nobody\"}"), 403);
    EXPECT_ANSWER(
        ask(kv, "POST", URL, A, "{\"kind\":\"deny\",\"vault\":\"" KEYVAULT_PLATFORM "\"}"), 403);
    CLEANUP_FREE char *id = order(kv, "{\"kind\":\"deny\",\"vault\":\"KV1\"}");
    EXPECT_EQ(json_array_size(json_get(ask(kv, "GET", URL, A, NULL)->body, "value")), 1);
    EXPECT_EQ(json_array_size(json_get(ask(kv, "GET", URL, USER "@arm", NULL)->body, "value")), 0);
    CLEANUP_FREE char *one = str_fmt(URL "/%s", id);
    EXPECT_ANSWER(ask(kv, "DELETE", one, USER "@arm", NULL), 404);
    EXPECT_EQ(get_status(kv), 403);
    EXPECT_ANSWER(ask(kv, "DELETE", one, A, NULL), 204);
    EXPECT_ANSWER(ask(kv, "DELETE", one, A, NULL), 404);
    EXPECT_EQ(get_status(kv), 200);
    static const char *const wrong[] = {"",
                                        "{}",
                                        "{\"vault\":\"kv1\"}",
                                        "{\"kind\":\"explode\",\"vault\":\"kv1\"}",
                                        "{\"kind\":\"deny\",\"vault\":\"kv1\",\"count\":-1}",
                                        "{\"kind\":\"deny\",\"vault\":\"kv1\",\"seconds\":0}",
                                        "{\"kind\":\"error\",\"vault\":\"kv1\",\"status\":403}",
                                        "{\"kind\":\"deny\",\"vault\":5}",
                                        "{\"kind\":\"deny\",\"vault\":\"a/b\"}"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        EXPECT_ANSWER(ask(kv, "POST", URL, A, wrong[i]), 400);
    }
    keyvault_close(kv);
}

TEST(faults, a_denial_reads_like_a_withdrawn_permission)
{
    struct keyvault *kv = open_with("deny", true);
    free(order(kv, "{\"kind\":\"deny\",\"vault\":\"kv1\"}"));
    const struct answer *a = ask(kv, "GET", KV("kv1", "/keys/k"), T, NULL);
    EXPECT_REFUSAL(a, 403, "Forbidden", "AccessDenied");
    REQUIRE(strstr(a->text, "does not have keys get permission on key vault 'kv1;") != NULL);
    EXPECT_ANSWER(ask(kv, "GET", KV("kv2", "/keys"), T, NULL), 200);
    keyvault_close(kv);
}

TEST(faults, a_fault_is_counted_and_narrowed_to_a_key_and_an_operation)
{
    struct keyvault *kv = open_with("narrow", true);
    free(order(kv, "{\"kind\":\"error\",\"status\":500,\"vault\":\"kv1\",\"key\":\"K\","
                   "\"operation\":\"keyget\",\"count\":2}"));
    EXPECT_ANSWER(ask(kv, "GET", KV("kv1", "/keys/other"), T, NULL), 200);
    EXPECT_ANSWER(ask(kv, "GET", KV("kv1", "/keys/k/versions"), T, NULL), 200);
    EXPECT_ANSWER(ask(kv, "GET", KV("kv1", "/keys"), T, NULL), 200);
    EXPECT_EQ(get_status(kv), 500);
    EXPECT_EQ(get_status(kv), 500);
    EXPECT_EQ(get_status(kv), 200);
    const struct answer *a = ask(kv, "GET", URL, A, NULL);
    EXPECT_EQ(json_get_int(json_array_get(json_get(a->body, "value"), 0), "hits", 0), 2);
    EXPECT_ANSWER(ask(kv, "DELETE", URL, A, NULL), 204);

    free(order(kv, "{\"kind\":\"throttle\",\"vault\":\"kv1\",\"retryAfter\":7,\"count\":1}"));
    a = ask(kv, "GET", KV("kv1", "/keys/k"), T, NULL);
    EXPECT_REFUSAL(a, 429, "Throttled", "");
    EXPECT_EQ(a->retry_after, 7);
    EXPECT_EQ(get_status(kv), 200);
    keyvault_close(kv);
}

TEST(faults, one_ends_at_its_time)
{
    struct diag d = DIAG_INIT;
    CLEANUP_FREE char *clock = str_fmt("%s/time", test_dir());
    REQUIRE_OK(clock_open(clock, true, &d));
    struct keyvault *kv = open_with("ends", true);
    free(order(kv, "{\"kind\":\"error\",\"vault\":\"kv1\",\"seconds\":60}"));
    EXPECT_EQ(get_status(kv), 503);
    REQUIRE_OK(clock_advance(59 * US_PER_S, &d));
    EXPECT_EQ(get_status(kv), 503);
    REQUIRE_OK(clock_advance(2 * US_PER_S, &d));
    EXPECT_EQ(get_status(kv), 200);
    EXPECT_EQ(json_array_size(json_get(ask(kv, "GET", URL, A, NULL)->body, "value")), 0);
    keyvault_close(kv);
}

TEST(faults, delay_half_reset_and_a_wrong_key_are_what_they_say)
{
    struct keyvault *kv = open_with("kinds", true);
    free(order(kv, "{\"kind\":\"delay\",\"vault\":\"kv1\",\"delayMs\":300,\"count\":1}"));
    int64_t start = time_mono_us();
    EXPECT_EQ(get_status(kv), 200);
    REQUIRE(time_mono_us() - start >= 300000);

    free(order(kv, "{\"kind\":\"half\",\"vault\":\"kv1\",\"count\":1}"));
    const struct answer *a = ask(kv, "GET", KV("kv1", "/keys/k"), T, NULL);
    EXPECT_ANSWER(a, 200);
    EXPECT_EQ(a->fault, HTTP_FAULT_HALF);
    free(order(kv, "{\"kind\":\"reset\",\"vault\":\"kv1\",\"count\":1}"));
    EXPECT_EQ(ask(kv, "GET", KV("kv1", "/keys/k"), T, NULL)->fault, HTTP_FAULT_RESET);
    EXPECT_EQ(ask(kv, "GET", KV("kv1", "/keys/k"), T, NULL)->fault, HTTP_FAULT_NONE);

    a = ask(kv, "POST", KV("kv1", "/keys/k/wrapkey"), T,
            "{\"alg\":\"A256KW\",\"value\":\"" AEK "\"}");
    CLEANUP_FREE char *body =
        str_fmt("{\"alg\":\"A256KW\",\"value\":\"%s\"}", json_get_str(a->body, "value"));
    free(order(kv, "{\"kind\":\"wrongKey\",\"vault\":\"kv1\",\"operation\":\"KeyUnwrap\","
                   "\"count\":1}"));
    a = ask(kv, "POST", KV("kv1", "/keys/k/unwrapkey"), T, body);
    EXPECT_ANSWER(a, 200);
    EXPECT_EQ(strlen(json_get_str(a->body, "value")), strlen(AEK));
    REQUIRE(!str_eq(json_get_str(a->body, "value"), AEK));
    a = ask(kv, "POST", KV("kv1", "/keys/k/unwrapkey"), T, body);
    EXPECT_STR(json_get_str(a->body, "value"), AEK);
    keyvault_close(kv);
}

static _Atomic bool is_taken_back;

static void *take_back_soon(void *arg)
{
    time_sleep_us(200000);
    is_taken_back = true;
    kv_faults_quit(((struct keyvault *)arg)->faults);
    return NULL;
}

TEST(faults, what_hangs_is_let_go_when_the_service_stops)
{
    struct diag d = DIAG_INIT;
    struct keyvault *kv = open_with("hang", true);
    free(order(kv, "{\"kind\":\"hang\",\"vault\":\"kv1\"}"));
    pthread_t t;
    REQUIRE_OK(thread_start(&t, take_back_soon, kv, &d));
    EXPECT_EQ(ask(kv, "GET", KV("kv1", "/keys/k"), T, NULL)->fault, HTTP_FAULT_RESET);
    REQUIRE(is_taken_back);
    pthread_join(t, NULL);
    keyvault_close(kv);
}
