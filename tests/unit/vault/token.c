/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/vault/token.c - keys and records in a real PKCS#11 token: SoftHSM */
#include "softhsm_test.h"

#include "base/thread.h"
#include "vault/token_core.h"

static struct diag d = DIAG_INIT;

static const uint8_t aek[32] = {7, 1, 2, 3};

TEST(token, a_made_key_never_was_and_never_is_extractable)
{
    struct token *t = softhsm_token();
    CLEANUP_BUF struct buf n = {0}, e = {0}, x = {0}, y = {0};
    REQUIRE_OK(token_make_aes(t, TOKEN_NAME("stay-aes"), 256, &d));
    REQUIRE_OK(token_make_rsa(t, TOKEN_NAME("stay-rsa"), 2048, &n, &e, &d));
    REQUIRE_OK(token_make_ec(t, TOKEN_NAME("stay-ec"), EC_P256, &x, &y, &d));
    EXPECT_EQ(n.len, 256);
    EXPECT_EQ(x.len, 32);
    EXPECT_EQ(y.len, 32);
    static const struct {
        const char *label;
        enum token_key_type type;
    } made[] = {{"stay-aes", TOKEN_AES}, {"stay-rsa", TOKEN_RSA}, {"stay-ec", TOKEN_EC}};
    for (int i = 0; i < 3; i++) {
        const struct token_name name = {.label = made[i].label};
        CLEANUP_TOKEN_KEY struct token_key k = {0};
        REQUIRE_OK(token_describe(t, &name, &k, &d));
        EXPECT_EQ(k.type, made[i].type);
        REQUIRE(k.sensitive && !k.extractable && k.never_extractable);
        REQUIRE(k.id_len == strlen(made[i].label));
        EXPECT_STR(k.label, made[i].label);
        if (k.type == TOKEN_RSA) REQUIRE(bytes_eq(buf_view(&k.n), buf_view(&n)));
        if (k.type != TOKEN_EC) EXPECT_EQ(k.bits, k.type == TOKEN_AES ? 256 : 2048);
    }
}

TEST(token, key_wrap_under_a_token_key_comes_back_and_tampering_is_bad_data)
{
    struct token *t = softhsm_token();
    static const unsigned sizes[] = {128, 192, 256};
    for (int i = 0; i < 3; i++) {
        char label[32];
        snprintf(label, sizeof label, "kw-%u", sizes[i]);
        const struct token_name name = {.id = bytes_str(label), .label = label};
        REQUIRE_OK(token_make_aes(t, &name, sizes[i], &d));
        CLEANUP_BUF struct buf wrapped = {0};
        REQUIRE_OK(token_wrap(t, &name, BYTES_OF(aek), &wrapped, &d));
        EXPECT_EQ(wrapped.len, 40);
        CLEANUP(secret_free) struct secret *back = NULL, *none = NULL;
        REQUIRE_OK(token_unwrap(t, &name, buf_view(&wrapped), &back, &d));
        REQUIRE(bytes_eq(secret_view(back), BYTES_OF(aek)));
        wrapped.p[11] ^= 1;
        REQUIRE_ERR(ERR_INVALID, token_unwrap(t, &name, buf_view(&wrapped), &none, &d));
        EXPECT_STR(d.tag, "BadData");
        REQUIRE(none == NULL);
    }
}

TEST(token, a_wrap_of_another_key_is_bad_data)
{
    struct token *t = softhsm_token();
    REQUIRE_OK(token_make_aes(t, TOKEN_NAME("rfc"), 256, &d));
    CLEANUP_BUF struct buf foreign = {0};
    REQUIRE_OK(aes_kw_wrap(BYTES_OF(aek), BYTES_OF(aek), &foreign, &d));
    CLEANUP(secret_free) struct secret *none = NULL;
    REQUIRE_ERR(ERR_INVALID, token_unwrap(t, TOKEN_NAME("rfc"), buf_view(&foreign), &none, &d));
}

TEST(token, rsa_opens_what_the_public_half_sealed_with_each_padding)
{
    struct token *t = softhsm_token();
    CLEANUP_BUF struct buf n = {0}, e = {0};
    REQUIRE_OK(token_make_rsa(t, TOKEN_NAME("rsa"), 3072, &n, &e, &d));
    CLEANUP(rsa_free) struct rsa_key *public = NULL;
    REQUIRE_OK(rsa_public(&public, buf_view(&n), buf_view(&e), &d));
    for (enum rsa_padding p = RSA_OAEP_SHA1; p <= RSA_PKCS1_V15; p++) {
        CLEANUP_BUF struct buf sealed = {0};
        REQUIRE_OK(rsa_encrypt(public, p, BYTES_OF(aek), &sealed, &d));
        CLEANUP(secret_free) struct secret *back = NULL;
        REQUIRE_OK(token_rsa_decrypt(t, TOKEN_NAME("rsa"), p, buf_view(&sealed), &back, &d));
        REQUIRE(bytes_eq(secret_view(back), BYTES_OF(aek)));
        sealed.p[100] ^= 1;
        CLEANUP(secret_free) struct secret *none = NULL;
        enum err bad = token_rsa_decrypt(t, TOKEN_NAME("rsa"), p, buf_view(&sealed), &none, NULL);
        if (p == RSA_PKCS1_V15) continue; /* its padding is right once in a while */
        EXPECT_EQ(bad, ERR_INVALID);
        memset(sealed.p, 0xff, sealed.len); /* beyond the modulus */
        REQUIRE_ERR(ERR_INVALID,
                    token_rsa_decrypt(t, TOKEN_NAME("rsa"), p, buf_view(&sealed), &none, &d));
    }
}

TEST(token, signatures_verify_with_the_public_half)
{
    struct token *t = softhsm_token();
    CLEANUP_BUF struct buf n = {0}, e = {0};
    REQUIRE_OK(token_make_rsa(t, TOKEN_NAME("sign"), 2048, &n, &e, &d));
    CLEANUP(rsa_free) struct rsa_key *public = NULL;
    REQUIRE_OK(rsa_public(&public, buf_view(&n), buf_view(&e), &d));
    static const uint8_t digest[64] = {1, 2, 3};
    for (enum rsa_signature s = RSA_SIGN_PKCS1; s <= RSA_SIGN_RAW; s++) {
        for (enum sign_hash h = SIGN_SHA256; h < SIGN_HASHES; h++) {
            CLEANUP_BUF struct buf sig = {0};
            struct bytes value = bytes_of(digest, sign_digest_len(h));
            bool good = false;
            REQUIRE_OK(token_rsa_sign(t, TOKEN_NAME("sign"), s, h, value, &sig, &d));
            REQUIRE_OK(rsa_verify(public, s, h, value, buf_view(&sig), &good, &d));
            REQUIRE(good);
        }
    }
    REQUIRE_ERR(ERR_INVALID, token_rsa_sign(t, TOKEN_NAME("sign"), RSA_SIGN_PSS, SIGN_SHA384,
                                            bytes_of(digest, 32), &n, &d));
}

TEST(token, curves_sign_and_the_point_verifies)
{
    struct token *t = softhsm_token();
    static const uint8_t digest[64] = {9, 2, 3};
    static const struct {
        const char *label;
        enum ec_curve curve;
        size_t digest_len;
    } curves[] = {{"p256", EC_P256, 32},
                  {"p384", EC_P384, 48},
                  {"p521", EC_P521, 64},
                  {"p256k", EC_P256K, 32}};
    for (int i = 0; i < 4; i++) {
        const struct token_name name = {.id = bytes_str(curves[i].label), .label = curves[i].label};
        CLEANUP_BUF struct buf x = {0}, y = {0}, sig = {0};
        struct bytes value = bytes_of(digest, curves[i].digest_len);
        REQUIRE_OK(token_make_ec(t, &name, curves[i].curve, &x, &y, &d));
        REQUIRE_OK(token_ec_sign(t, &name, value, &sig, &d));
        EXPECT_EQ(sig.len, 2 * ec_field_len(curves[i].curve));
        CLEANUP(ec_free) struct ec_key *public = NULL;
        bool good = false;
        REQUIRE_OK(ec_public(&public, curves[i].curve, buf_view(&x), buf_view(&y), &d));
        REQUIRE_OK(ec_verify(public, value, buf_view(&sig), &good, &d));
        REQUIRE(good);
    }
}

TEST(token, aes_encrypts_in_each_mode_and_opens_only_what_is_whole)
{
    struct token *t = softhsm_token();
    REQUIRE_OK(token_make_aes(t, TOKEN_NAME("modes"), 256, &d));
    static const uint8_t iv[16] = {5}, text[48] = {1, 2, 3};
    for (enum cipher_mode m = CIPHER_GCM; m <= CIPHER_CBC_PAD; m++) {
        bool gcm = m == CIPHER_GCM;
        const struct cipher c = {.mode = m,
                                 .iv = bytes_of(iv, gcm ? CIPHER_GCM_IV_LEN : CIPHER_CBC_IV_LEN),
                                 .aad = gcm ? BYTES("aad") : (struct bytes){0}};
        CLEANUP_BUF struct buf out = {0};
        CLEANUP(secret_free) struct secret *back = NULL, *none = NULL;
        uint8_t tag[CIPHER_GCM_TAG_LEN] = {0};
        struct bytes tag_in = bytes_of(tag, gcm ? sizeof tag : 0);
        REQUIRE_OK(token_encrypt(t, TOKEN_NAME("modes"), &c, BYTES_OF(text), &out, tag, &d));
        EXPECT_EQ(out.len, m == CIPHER_CBC_PAD ? 64 : 48);
        REQUIRE_OK(token_decrypt(t, TOKEN_NAME("modes"), &c, buf_view(&out), tag_in, &back, &d));
        REQUIRE(bytes_eq(secret_view(back), BYTES_OF(text)));
        if (m == CIPHER_CBC) continue; /* authenticates nothing */
        out.p[out.len - 1] ^= 0x55;
        enum err bad = token_decrypt(t, TOKEN_NAME("modes"), &c, buf_view(&out), tag_in, &none, &d);
        if (gcm || bad != OK) EXPECT_EQ(bad, ERR_INVALID);
        diag_reset(&d);
    }
}

TEST(token, a_key_that_is_gone_is_a_denial_and_a_foreign_use_is_not_permitted)
{
    struct token *t = softhsm_token();
    CLEANUP_BUF struct buf wrapped = {0};
    REQUIRE_OK(token_make_aes(t, TOKEN_NAME("gone"), 256, &d));
    REQUIRE_OK(token_wrap(t, TOKEN_NAME("gone"), BYTES_OF(aek), &wrapped, &d));
    REQUIRE_ERR(ERR_CONFLICT, token_make_aes(t, TOKEN_NAME("gone"), 256, &d));
    REQUIRE_OK(token_destroy(t, TOKEN_NAME("gone"), &d));
    REQUIRE_OK(token_destroy(t, TOKEN_NAME("gone"), &d));
    CLEANUP(secret_free) struct secret *none = NULL;
    REQUIRE_ERR(ERR_DENIED, token_unwrap(t, TOKEN_NAME("gone"), buf_view(&wrapped), &none, &d));
    EXPECT_STR(d.tag, "KeyNotFound");
    struct token_key k;
    REQUIRE_ERR(ERR_DENIED, token_describe(t, TOKEN_NAME("never"), &k, &d));
}

TEST(token, two_keys_of_one_label_are_ambiguous_and_an_id_tells_them_apart)
{
    struct token *t = softhsm_token();
    const struct token_name one = {.id = BYTES("1"), .label = "twin"},
                            two = {.id = BYTES("2"), .label = "twin"}, both = {.label = "twin"};
    REQUIRE_OK(token_make_aes(t, &one, 256, &d));
    REQUIRE_OK(token_make_aes(t, &two, 256, &d));
    CLEANUP_BUF struct buf wrapped = {0};
    REQUIRE_ERR(ERR_UNAVAILABLE, token_wrap(t, &both, BYTES_OF(aek), &wrapped, &d));
    EXPECT_STR(d.tag, "Ambiguous");
    REQUIRE_OK(token_wrap(t, &two, BYTES_OF(aek), &wrapped, &d));
}

TEST(token, a_record_is_replaced_and_the_newest_is_read)
{
    struct token *t = softhsm_token();
    CLEANUP_BUF struct buf out = {0};
    REQUIRE_ERR(ERR_NOT_FOUND, token_record_read(t, "anchor", &out, &d));
    for (int i = 0; i < 5; i++) {
        char text[32];
        snprintf(text, sizeof text, "root %d", i);
        REQUIRE_OK(token_record_replace(t, "anchor", bytes_str(text), &d));
        buf_clear(&out);
        REQUIRE_OK(token_record_read(t, "anchor", &out, &d));
        REQUIRE(bytes_eq(buf_view(&out), bytes_str(text)));
    }
    REQUIRE_OK(token_record_replace(t, "other", BYTES("x"), &d));
    REQUIRE_OK(token_record_remove(t, "anchor", &d));
    REQUIRE_ERR(ERR_NOT_FOUND, token_record_read(t, "anchor", &out, &d));
    static const uint8_t big[TOKEN_RECORD_MAX + 1];
    REQUIRE_ERR(ERR_LIMIT, token_record_replace(t, "anchor", BYTES_OF(big), &d));
    REQUIRE_OK(token_record_replace(t, "anchor", bytes_of(big, TOKEN_RECORD_MAX), &d));
}

TEST(token, a_wrong_pin_or_label_or_an_open_pin_file_is_told_apart)
{
    (void)softhsm_token();
    struct token_config c = softhsm_config();
    struct token *t = NULL;
    softhsm_write("wrong-pin", "nonsense", 0600);
    softhsm_write("open-pin", SOFTHSM_PIN, 0644);
    softhsm_write("empty-pin", "\n", 0600);
    CLEANUP_FREE char *wrong = softhsm_file("wrong-pin"), *open = softhsm_file("open-pin"),
                      *empty = softhsm_file("empty-pin");
    c.label = "guarded";
    c.pin_file = wrong;
    REQUIRE_ERR(ERR_UNAVAILABLE, token_open(&t, &c, &d));
    EXPECT_STR(d.tag, "TokenRefused");
    c.pin_file = open;
    REQUIRE_ERR(ERR_INVALID, token_open(&t, &c, &d));
    c.pin_file = empty;
    REQUIRE_ERR(ERR_INVALID, token_open(&t, &c, &d));
    c = softhsm_config();
    c.label = "no such token";
    REQUIRE_ERR(ERR_UNAVAILABLE, token_open(&t, &c, &d));
    EXPECT_STR(d.tag, "TokenGone");
    c = softhsm_config();
    c.module = "libsofthsm2.so";
    REQUIRE_ERR(ERR_INVALID, token_open(&t, &c, &d));
    c.module = "/no/such/module.so";
    REQUIRE_ERR(ERR_NOT_FOUND, token_open(&t, &c, &d));
    c.module = "/bin/true";
    REQUIRE_ERR(ERR_UNAVAILABLE, token_open(&t, &c, &d));
    REQUIRE(t == NULL);
}

static enum err close_session(struct session *s, void *arg, struct diag *dd)
{
    (void)arg, (void)dd;
    return s->f->C_CloseSession(s->h) == CKR_OK ? OK : ERR_INTERNAL;
}

static enum err log_out(struct session *s, void *arg, struct diag *dd)
{
    (void)arg, (void)dd;
    return s->f->C_Logout(s->h) == CKR_OK ? OK : ERR_INTERNAL;
}

TEST(token, a_lost_session_and_a_lost_login_are_made_again)
{
    struct token *t = softhsm_token();
    CLEANUP_BUF struct buf wrapped = {0};
    REQUIRE_OK(token_make_aes(t, TOKEN_NAME("lost"), 256, &d));
    REQUIRE_OK(token_run(t, close_session, NULL, &d));
    REQUIRE_OK(token_wrap(t, TOKEN_NAME("lost"), BYTES_OF(aek), &wrapped, &d));
    /* Without a login no key is seen: that must not pass for a key that is gone. */
    REQUIRE_OK(token_run(t, log_out, NULL, &d));
    REQUIRE_OK(token_wrap(t, TOKEN_NAME("lost"), BYTES_OF(aek), &wrapped, &d));
    REQUIRE_OK(token_record_replace(t, "lost", BYTES("here"), &d));
    REQUIRE_OK(token_run(t, log_out, NULL, &d));
    CLEANUP_BUF struct buf out = {0};
    REQUIRE_OK(token_record_read(t, "lost", &out, &d));
}

struct worker {
    struct token *t;
    unsigned failures;
};

static void *work(void *arg)
{
    struct worker *w = arg;
    for (int i = 0; i < 20; i++) {
        CLEANUP_BUF struct buf wrapped = {0};
        CLEANUP(secret_free) struct secret *back = NULL;
        bool good = token_wrap(w->t, TOKEN_NAME("busy"), BYTES_OF(aek), &wrapped, NULL) == OK &&
                    token_unwrap(w->t, TOKEN_NAME("busy"), buf_view(&wrapped), &back, NULL) == OK &&
                    bytes_eq(secret_view(back), BYTES_OF(aek));
        w->failures += !good;
    }
    return NULL;
}

TEST(token, more_threads_than_sessions_work_at_once)
{
    struct token *t = softhsm_token();
    REQUIRE_OK(token_make_aes(t, TOKEN_NAME("busy"), 256, &d));
    pthread_t threads[24];
    struct worker workers[24];
    for (int i = 0; i < 24; i++) {
        workers[i] = (struct worker){.t = t};
        REQUIRE_OK(thread_start(&threads[i], work, &workers[i], &d));
    }
    for (int i = 0; i < 24; i++) {
        pthread_join(threads[i], NULL);
        EXPECT_EQ(workers[i].failures, 0);
    }
}

TEST(token, a_forked_child_logs_in_for_itself)
{
    struct token *t = softhsm_token();
    REQUIRE_OK(token_make_aes(t, TOKEN_NAME("fork"), 256, &d));
    pid_t child = fork();
    if (child == 0) {
        struct worker w = {.t = t};
        CLEANUP_BUF struct buf wrapped = {0};
        enum err e = token_wrap(w.t, TOKEN_NAME("fork"), BYTES_OF(aek), &wrapped, NULL);
        _exit(e == OK ? 0 : 1);
    }
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    EXPECT_EQ(status, 0);
    CLEANUP_BUF struct buf wrapped = {0};
    REQUIRE_OK(token_wrap(t, TOKEN_NAME("fork"), BYTES_OF(aek), &wrapped, &d));
}
