/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/keyvault/trust.c - the vault's root of trust: key file, passphrase, token */
#include "keyvault_test.h"
#include "softhsm_test.h"

#include <sys/stat.h>

static struct diag d = DIAG_INIT;

struct how {
    enum keyvault_trust trust;
    const char *passphrase_file;
    bool token;
};

static enum err open_as(const char *name, const struct how *how, struct keyvault **out)
{
    log_set_level(LOG_ERROR + 1);
    CLEANUP_FREE char *dir = str_fmt("%s/%s", test_dir(), name);
    CLEANUP_FREE char *file =
        how->passphrase_file != NULL ? str_fmt("%s/%s", test_dir(), how->passphrase_file) : NULL;
    struct keyvault_config c = usual_config();
    c.dir = dir;
    c.trust = how->trust;
    c.passphrase_file = file;
    c.token = how->token ? softhsm_token() : NULL;
    diag_reset(&d);
    return keyvault_open(out, &c, &d);
}

static void write_phrase(const char *name, const char *text, mode_t mode)
{
    softhsm_write(name, text, mode);
}

static const struct how by_file = {TRUST_FILE, NULL, false}, by_token = {TRUST_TOKEN, NULL, true},
                        by_phrase = {TRUST_PASSPHRASE, "phrase", false};

/* A vault with a key in it, opened three times. */
static void lives(const char *name, const struct how *how)
{
    CLEANUP_FREE char *kid = NULL;
    for (int i = 0; i < 3; i++) {
        struct keyvault *kv = NULL;
        REQUIRE_OK(open_as(name, how, &kv));
        if (i == 0) {
            make_vault(kv, VAULT("kv1") ARM);
            const struct answer *a =
                ask(kv, "POST", KV("kv1", "/keys/k/create"), USER "@kv", "{\"kty\":\"oct\"}");
            EXPECT_ANSWER(a, 200);
            kid = keep(a, "key", "kid");
        }
        EXPECT_STR(text_at(ask(kv, "GET", KV("kv1", "/keys/k"), USER "@kv", NULL), "key", "kid"),
                   kid);
        keyvault_close(kv);
    }
}

static bool has_file(const char *name, const char *file)
{
    CLEANUP_FREE char *path = str_fmt("%s/%s/%s", test_dir(), name, file);
    return os_exists(path);
}

TEST(trust, a_vault_lives_under_each_root_and_only_one_of_them_is_a_key_on_disk)
{
    write_phrase("phrase", "correct horse battery staple\n", 0600);
    lives("file", &by_file);
    lives("phrase-vault", &by_phrase);
    lives("token-vault", &by_token);
    REQUIRE(has_file("file", "root.key") && !has_file("file", "root.sealed"));
    REQUIRE(!has_file("phrase-vault", "root.key") && has_file("phrase-vault", "root.sealed"));
    REQUIRE(!has_file("token-vault", "root.key") && has_file("token-vault", "root.sealed"));
}

TEST(trust, a_wrong_passphrase_opens_nothing_and_breaks_nothing)
{
    write_phrase("phrase", "correct horse battery staple\n", 0600);
    lives("wrong", &by_phrase);
    struct keyvault *kv = NULL;
    static const char *const wrong[] = {"correct horse battery stapl",
                                        "correct horse battery staple ", "x"};
    for (int i = 0; i < 3; i++) {
        write_phrase("phrase", wrong[i], 0600);
        EXPECT_EQ(open_as("wrong", &by_phrase, &kv), ERR_DENIED);
        REQUIRE(strstr(d.text, "passphrase does not open") != NULL);
    }
    write_phrase("phrase", "\n", 0600);
    EXPECT_EQ(open_as("wrong", &by_phrase, &kv), ERR_INVALID);
    write_phrase("phrase", "correct horse battery staple", 0644);
    EXPECT_EQ(open_as("wrong", &by_phrase, &kv), ERR_INVALID);
    EXPECT_EQ(open_as("wrong", &(const struct how){TRUST_PASSPHRASE, "nowhere", false}, &kv),
              ERR_NOT_FOUND);
    EXPECT_EQ(open_as("wrong", &(const struct how){TRUST_PASSPHRASE, NULL, false}, &kv),
              ERR_INVALID);
    write_phrase("phrase", "correct horse battery staple\r\n", 0400);
    REQUIRE_OK(open_as("wrong", &by_phrase, &kv));
    EXPECT_ANSWER(ask(kv, "GET", KV("kv1", "/keys/k"), USER "@kv", NULL), 200);
    keyvault_close(kv);
}

TEST(trust, one_root_is_not_taken_for_another)
{
    write_phrase("phrase", "p", 0600);
    static const struct how *const all[] = {&by_file, &by_phrase, &by_token};
    for (int i = 0; i < 3; i++) {
        CLEANUP_FREE char *name = str_fmt("kind-%d", i);
        lives(name, all[i]);
        for (int k = 0; k < 3; k++) {
            struct keyvault *kv = NULL;
            if (k == i) continue;
            EXPECT_EQ(open_as(name, all[k], &kv), ERR_INVALID);
            REQUIRE(strstr(d.text, "root of trust") != NULL);
        }
        struct keyvault *kv = NULL;
        REQUIRE_OK(open_as(name, all[i], &kv));
        keyvault_close(kv);
    }
    struct keyvault *kv = NULL;
    EXPECT_EQ(open_as("kind-2", &(const struct how){TRUST_TOKEN, NULL, false}, &kv), ERR_INVALID);
}

TEST(trust, without_the_tokens_key_nothing_opens)
{
    lives("lost", &by_token);
    CLEANUP_FREE char *path = str_fmt("%s/lost/root.sealed", test_dir());
    CLEANUP_BUF struct buf b = {0};
    REQUIRE_OK(os_read_file(path, 1000, &b, &d));
    const struct token_name name = {.id = bytes_of(b.p + 8, 16)};
    CLEANUP_TOKEN_KEY struct token_key k = {0};
    REQUIRE_OK(token_describe(softhsm_token(), &name, &k, &d));
    REQUIRE(!k.extractable && k.never_extractable);
    REQUIRE_OK(token_destroy(softhsm_token(), &name, &d));
    struct keyvault *kv = NULL;
    EXPECT_EQ(open_as("lost", &by_token, &kv), ERR_DENIED);
    EXPECT_STR(d.tag, "KeyNotFound");
}

/* Each byte of root.sealed, and each length: refused with a sentence, and the file is left alone.
 */
static void damage(const char *name, const struct how *how, size_t step)
{
    lives(name, how);
    CLEANUP_FREE char *path = str_fmt("%s/%s/root.sealed", test_dir(), name);
    CLEANUP_BUF struct buf b = {0};
    REQUIRE_OK(os_read_file(path, 1000, &b, &d));
    struct keyvault *kv = NULL;
    for (size_t i = 0; i < b.len; i += i < 8 ? 1 : step) {
        b.p[i] ^= 0x80;
        REQUIRE(os_replace(path, buf_view(&b), NULL) == OK);
        enum err e = open_as(name, how, &kv);
        if (e != ERR_CORRUPT && e != ERR_INVALID && e != ERR_DENIED)
            fail_msg("byte %zu: %s %s", i, err_name(e), d.text);
        b.p[i] ^= 0x80;
    }
    for (size_t len = 0; len < b.len; len += 7) {
        REQUIRE(os_replace(path, bytes_of(b.p, len), NULL) == OK);
        EXPECT_EQ(open_as(name, how, &kv), ERR_CORRUPT);
    }
    REQUIRE(unlink(path) == 0);
    EXPECT_EQ(open_as(name, how, &kv), ERR_NOT_FOUND);
    REQUIRE(!os_exists(path));
    REQUIRE(os_replace(path, buf_view(&b), NULL) == OK);
    REQUIRE_OK(open_as(name, how, &kv));
    keyvault_close(kv);
}

TEST(trust, a_damaged_root_is_refused_and_nothing_else_is_lost)
{
    write_phrase("phrase", "p", 0600);
    damage("damaged-phrase", &by_phrase, 9);
    damage("damaged-token", &by_token, 5);
}

static enum err rekey(const char *name, const struct how *from, const struct how *to)
{
    CLEANUP_FREE char *dir = str_fmt("%s/%s", test_dir(), name);
    const struct how *how[2] = {from, to};
    struct keyvault_config c[2];
    char files[2][512];
    diag_reset(&d);
    for (int i = 0; i < 2; i++) {
        const char *file = how[i]->passphrase_file;
        snprintf(files[i], sizeof files[i], "%s/%s", test_dir(), file != NULL ? file : "");
        c[i] = (struct keyvault_config){.dir = dir,
                                        .trust = how[i]->trust,
                                        .passphrase_file = file != NULL ? files[i] : NULL,
                                        .token = how[i]->token ? softhsm_token() : NULL};
    }
    return keyvault_rekey(&c[0], &c[1], &d);
}

TEST(trust, the_root_changes_in_one_step_and_the_old_one_opens_nothing)
{
    static const struct how other = {TRUST_PASSPHRASE, "other", false};
    struct keyvault *kv = NULL;
    write_phrase("phrase", "correct horse battery staple\n", 0600);
    write_phrase("other", "another one\n", 0600);
    lives("rekey", &by_phrase);
    EXPECT_EQ(rekey("rekey", &other, &by_phrase), ERR_DENIED);
    EXPECT_EQ(rekey("rekey", &by_phrase, &by_file), ERR_INVALID);
    REQUIRE_OK(open_as("rekey", &by_phrase, &kv));
    EXPECT_EQ(rekey("rekey", &by_phrase, &other), ERR_CONFLICT); /* it runs */
    keyvault_close(kv);

    const struct how *chain[] = {&by_phrase, &other, &by_token, &by_token, &by_phrase};
    for (size_t i = 0; i + 1 < sizeof chain / sizeof chain[0]; i++) {
        REQUIRE_OK(rekey("rekey", chain[i], chain[i + 1]));
        REQUIRE_OK(open_as("rekey", chain[i + 1], &kv));
        EXPECT_ANSWER(ask(kv, "GET", KV("kv1", "/keys/k"), USER "@kv", NULL), 200);
        keyvault_close(kv);
        if (chain[i] != chain[i + 1]) REQUIRE(open_as("rekey", chain[i], &kv) != OK);
    }
    EXPECT_EQ(rekey("nothing", &by_phrase, &other), ERR_NOT_FOUND);
}
