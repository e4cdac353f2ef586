/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/keyvault/backup.c - backup and restore, random bytes, pages */
#include "keyvault_test.h"

#define T   USER "@kv"
#define AEK "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"

static struct keyvault *fresh(const char *dir)
{
    struct keyvault *kv = vault_open(dir);
    make_vault(kv, VAULT("kv1") ARM);
    EXPECT_ANSWER(
        ask(kv, "POST", KV("kv1", "/keys/k/create"), T, "{\"kty\":\"oct\",\"tags\":{\"a\":\"b\"}}"),
        200);
    return kv;
}

static char *backup(struct keyvault *kv, const char *url)
{
    const struct answer *a = ask(kv, "POST", url, T, NULL);
    EXPECT_ANSWER(a, 200);
    return str_dup(json_get_str(a->body, "value"));
}

static const struct answer *restore(struct keyvault *kv, const char *url, const char *value)
{
    CLEANUP_FREE char *body = str_fmt("{\"value\":\"%s\"}", value);
    return ask(kv, "POST", url, T, body);
}

TEST(backup, a_restored_key_has_all_its_versions_and_still_unwraps)
{
    struct keyvault *kv = fresh("whole");
    const struct answer *a = ask(kv, "POST", KV("kv1", "/keys/k/wrapkey"), T,
                                 "{\"alg\":\"A256KW\",\"value\":\"" AEK "\"}");
    EXPECT_ANSWER(a, 200);
    CLEANUP_FREE char *kid = str_dup(json_get_str(a->body, "kid")),
                      *w = str_dup(json_get_str(a->body, "value"));
    EXPECT_ANSWER(ask(kv, "POST", KV("kv1", "/keys/k/create"), T, "{\"kty\":\"RSA\"}"), 200);
    CLEANUP_FREE char *latest =
        str_dup(text_at(ask(kv, "GET", KV("kv1", "/keys/k"), T, NULL), "key", "kid"));
    EXPECT_ANSWER(ask(kv, "PUT", KV("kv1", "/keys/k/rotationpolicy"), T,
                      "{\"lifetimeActions\":[],\"attributes\":{\"expiryTime\":\"P1Y\"}}"),
                  200);
    CLEANUP_FREE char *blob = backup(kv, KV("kv1", "/keys/k/backup"));

    /* As long as the name is taken, also by a deleted key, it does not come back. */
    EXPECT_REFUSAL(restore(kv, KV("kv1", "/keys/restore"), blob), 409, "Conflict",
                   "KeyAlreadyExists");
    EXPECT_ANSWER(ask(kv, "DELETE", KV("kv1", "/keys/k"), T, NULL), 200);
    EXPECT_REFUSAL(restore(kv, KV("kv1", "/keys/restore"), blob), 409, "Conflict",
                   "ObjectIsDeletedButRecoverable");
    EXPECT_ANSWER(ask(kv, "DELETE", KV("kv1", "/deletedkeys/k"), T, NULL), 204);
    a = restore(kv, KV("kv1", "/keys/restore"), blob);
    EXPECT_ANSWER(a, 200);
    EXPECT_STR(text_at(a, "key", "kid"), latest);
    CLEANUP_FREE char *url = str_fmt("%s/unwrapkey?api-version=7.4", kid + 8);
    CLEANUP_FREE char *body = str_fmt("{\"alg\":\"A256KW\",\"value\":\"%s\"}", w);
    a = ask(kv, "POST", url, T, body);
    EXPECT_ANSWER(a, 200);
    EXPECT_STR(json_get_str(a->body, "value"), AEK);
    a = ask(kv, "GET", KV("kv1", "/keys/k/rotationpolicy"), T, NULL);
    EXPECT_STR(text_at(a, "attributes", "expiryTime"), "P1Y");

    /* Into another vault of the subscription, and after a restart. */
    keyvault_close(kv);
    kv = vault_open("whole");
    make_vault(kv, VAULT("kv2") ARM);
    EXPECT_ANSWER(restore(kv, KV("kv2", "/keys/restore"), blob), 200);
    EXPECT_ANSWER(ask(kv, "GET", KV("kv2", "/keys/k"), T, NULL), 200);
    keyvault_close(kv);
}

TEST(backup, a_blob_that_was_touched_or_comes_from_elsewhere_is_refused)
{
    struct keyvault *kv = fresh("touched");
    CLEANUP_FREE char *blob = backup(kv, KV("kv1", "/keys/k/backup"));
    EXPECT_ANSWER(ask(kv, "DELETE", KV("kv1", "/keys/k"), T, NULL), 200);
    EXPECT_ANSWER(ask(kv, "DELETE", KV("kv1", "/deletedkeys/k"), T, NULL), 204);
    size_t len = strlen(blob);
    for (size_t i = 0; i < len; i += 13) {
        char kept = blob[i];
        blob[i] = kept == 'A' ? 'B' : 'A';
        EXPECT_REFUSAL(restore(kv, KV("kv1", "/keys/restore"), blob), 400, "BadParameter", "");
        blob[i] = kept;
    }
    for (size_t cut = 0; cut < len; cut += 17) {
        CLEANUP_FREE char *shorter = str_fmt("%.*s", (int)cut, blob);
        EXPECT_REFUSAL(restore(kv, KV("kv1", "/keys/restore"), shorter), 400, "BadParameter", "");
    }
    EXPECT_ANSWER(ask(kv, "POST", KV("kv1", "/keys/restore"), T, NULL), 400);

    struct keyvault *other = fresh("elsewhere");
    EXPECT_REFUSAL(restore(other, KV("kv1", "/keys/restore"), blob), 400, "BadParameter", "");
    keyvault_close(other);

    EXPECT_ANSWER(restore(kv, KV("kv1", "/keys/restore"), blob), 200);
    keyvault_close(kv);
}

TEST(backup, random_bytes_come_in_the_length_that_was_asked_for)
{
    struct keyvault *kv = fresh("rng");
    const struct answer *a = ask(kv, "POST", KV("kv1", "/rng"), T, "{\"count\":32}");
    EXPECT_ANSWER(a, 200);
    CLEANUP_FREE char *first = str_dup(json_get_str(a->body, "value"));
    EXPECT_EQ(strlen(first), 43);
    a = ask(kv, "POST", KV("kv1", "/rng"), T, "{\"count\":32}");
    REQUIRE(!str_eq(first, json_get_str(a->body, "value")));
    static const char *const wrong[] = {"{}", "{\"count\":0}", "{\"count\":129}",
                                        "{\"count\":\"9\"}"};
    for (int i = 0; i < 4; i++) {
        EXPECT_REFUSAL(ask(kv, "POST", KV("kv1", "/rng"), T, wrong[i]), 400, "BadParameter", "");
    }
    EXPECT_ANSWER(ask(kv, "POST", KV("kv1", "/rng"), NULL, "{\"count\":1}"), 401);
    keyvault_close(kv);
}

/* Names, in order, of what is listed page by page; between two pages `between` is called. */
static void walk(struct keyvault *kv, const char *first, void (*between)(struct keyvault *, int),
                 char *seen)
{
    CLEANUP_FREE char *url = str_dup(first);
    for (int page = 0; url != NULL; page++) {
        const struct answer *a = ask(kv, "GET", url, T, NULL);
        EXPECT_ANSWER(a, 200);
        size_t i;
        json_t *item;
        json_array_foreach (json_get(a->body, "value"), i, item) {
            strcat(seen, strrchr(json_get_str(item, "kid"), '/') + 1);
            strcat(seen, " ");
        }
        const char *next = json_get_str(a->body, "nextLink");
        char *then = next != NULL ? str_dup(next + 8) : NULL;
        free(url);
        url = then;
        if (between != NULL) between(kv, page);
    }
}

static void delete_the_first(struct keyvault *kv, int page)
{
    if (page == 0) EXPECT_ANSWER(ask(kv, "DELETE", KV("kv1", "/keys/a"), T, NULL), 200);
}

TEST(backup, a_deletion_between_two_pages_hides_no_other_key)
{
    struct keyvault *kv = vault_open("walk");
    make_vault(kv, VAULT("kv1") ARM);
    make_vault(kv, VAULT("kv11") ARM); /* its keys are not kv1's */
    static const char *const names[] = {"a", "B", "b-1", "c", "d"};
    for (int i = 0; i < 5; i++) {
        CLEANUP_FREE char *url = str_fmt("kv1." SUFFIX "/keys/%s/create?api-version=7.4", names[i]);
        EXPECT_ANSWER(ask(kv, "POST", url, T, "{\"kty\":\"oct\"}"), 200);
    }
    EXPECT_ANSWER(ask(kv, "POST", KV("kv11", "/keys/z/create"), T, "{\"kty\":\"oct\"}"), 200);
    char seen[256] = "";
    walk(kv, "kv1." SUFFIX "/keys?api-version=7.4&maxresults=2", delete_the_first, seen);
    EXPECT_STR(seen, "a B b-1 c d ");
    seen[0] = 0;
    walk(kv, "kv1." SUFFIX "/keys?api-version=7.4&maxresults=1", NULL, seen);
    EXPECT_STR(seen, "B b-1 c d ");
    seen[0] = 0;
    walk(kv, "kv1." SUFFIX "/deletedkeys?api-version=7.4&maxresults=1", NULL, seen);
    EXPECT_STR(seen, "a ");
    static const char *const wrong[] = {"maxresults=0", "maxresults=26", "$skiptoken=!",
                                        "$skiptoken=", "$skiptoken=Li4v"};
    for (int i = 0; i < 5; i++) {
        CLEANUP_FREE char *url = str_fmt("kv1." SUFFIX "/keys?api-version=7.4&%s", wrong[i]);
        EXPECT_REFUSAL(ask(kv, "GET", url, T, NULL), 400, "BadParameter", "");
    }
    for (int i = 0; i < 30; i++) {
        EXPECT_ANSWER(ask(kv, "POST", KV("kv1", "/keys/c/rotate"), T, NULL), 200);
    }
    char many[4096] = "";
    walk(kv, "kv1." SUFFIX "/keys/c/versions?api-version=7.4", NULL, many);
    EXPECT_EQ(strlen(many), 31 * 33);
    keyvault_close(kv);
}
