/* SPDX-License-Identifier: Apache-2.0 */
/* keyvault/algorithms.c - what each algorithm does with which keys: one table */
#include "keyvault/service.h"

#include "base/rand.h"
#include "base/str.h"
#include "crypto/cipher.h"

#define BAD(d, ...) FAIL_TAG((d), ERR_INVALID, "BadParameter", __VA_ARGS__)

typedef enum err algorithm_run(struct crypt *c, int mode, enum sign_hash hash, struct diag *d);

static algorithm_run rsa_crypt, aes_wrap, aes_crypt, rsa_signature, ec_signature, hmac_signature;

enum { /* groups of operations */
       WRAPS = 1,
       CRYPTS = 2,
       SIGNS = 4,
};

static const struct algorithm {
    const char *name, *kty;
    const char *crv; /* EC */
    int size;        /* bits of the key; 0 = any */
    int groups;
    algorithm_run *run;
    int mode; /* enum rsa_padding, cipher_mode or rsa_signature */
    enum sign_hash hash;
} algorithms[] = {
    {"RSA-OAEP-256", "RSA", NULL, 0, WRAPS | CRYPTS, rsa_crypt, RSA_OAEP_SHA256, 0},
    {"RSA-OAEP", "RSA", NULL, 0, WRAPS | CRYPTS, rsa_crypt, RSA_OAEP_SHA1, 0},
    {"RSA1_5", "RSA", NULL, 0, WRAPS | CRYPTS, rsa_crypt, RSA_PKCS1_V15, 0},
    {"A128KW", "oct", NULL, 128, WRAPS, aes_wrap, 0, 0},
    {"A192KW", "oct", NULL, 192, WRAPS, aes_wrap, 0, 0},
    {"A256KW", "oct", NULL, 256, WRAPS, aes_wrap, 0, 0},
    {"A128GCM", "oct", NULL, 128, CRYPTS, aes_crypt, CIPHER_GCM, 0},
    {"A192GCM", "oct", NULL, 192, CRYPTS, aes_crypt, CIPHER_GCM, 0},
    {"A256GCM", "oct", NULL, 256, CRYPTS, aes_crypt, CIPHER_GCM, 0},
    {"A128CBC", "oct", NULL, 128, CRYPTS, aes_crypt, CIPHER_CBC, 0},
    {"A192CBC", "oct", NULL, 192, CRYPTS, aes_crypt, CIPHER_CBC, 0},
    {"A256CBC", "oct", NULL, 256, CRYPTS, aes_crypt, CIPHER_CBC, 0},
    {"A128CBCPAD", "oct", NULL, 128, CRYPTS, aes_crypt, CIPHER_CBC_PAD, 0},
    {"A192CBCPAD", "oct", NULL, 192, CRYPTS, aes_crypt, CIPHER_CBC_PAD, 0},
    {"A256CBCPAD", "oct", NULL, 256, CRYPTS, aes_crypt, CIPHER_CBC_PAD, 0},
    {"PS256", "RSA", NULL, 0, SIGNS, rsa_signature, RSA_SIGN_PSS, SIGN_SHA256},
    {"PS384", "RSA", NULL, 0, SIGNS, rsa_signature, RSA_SIGN_PSS, SIGN_SHA384},
    {"PS512", "RSA", NULL, 0, SIGNS, rsa_signature, RSA_SIGN_PSS, SIGN_SHA512},
    {"RS256", "RSA", NULL, 0, SIGNS, rsa_signature, RSA_SIGN_PKCS1, SIGN_SHA256},
    {"RS384", "RSA", NULL, 0, SIGNS, rsa_signature, RSA_SIGN_PKCS1, SIGN_SHA384},
    {"RS512", "RSA", NULL, 0, SIGNS, rsa_signature, RSA_SIGN_PKCS1, SIGN_SHA512},
    {"RSNULL", "RSA", NULL, 0, SIGNS, rsa_signature, RSA_SIGN_RAW, 0},
    {"ES256", "EC", "P-256", 0, SIGNS, ec_signature, 0, SIGN_SHA256},
    {"ES256K", "EC", "P-256K", 0, SIGNS, ec_signature, 0, SIGN_SHA256},
    {"ES384", "EC", "P-384", 0, SIGNS, ec_signature, 0, SIGN_SHA384},
    {"ES512", "EC", "P-521", 0, SIGNS, ec_signature, 0, SIGN_SHA512},
    {"HS256", "oct", NULL, 0, SIGNS, hmac_signature, 0, SIGN_SHA256},
    {"HS384", "oct", NULL, 0, SIGNS, hmac_signature, 0, SIGN_SHA384},
    {"HS512", "oct", NULL, 0, SIGNS, hmac_signature, 0, SIGN_SHA512},
};

void kv_crypt_release(struct crypt *c)
{
    buf_release(&c->result);
    buf_release(&c->out_iv);
    buf_release(&c->out_tag);
}

static int group_of(enum permission op)
{
    switch (op) {
    case PERM_WRAP:
    case PERM_UNWRAP: return WRAPS;
    case PERM_ENCRYPT:
    case PERM_DECRYPT: return CRYPTS;
    default: return SIGNS;
    }
}

static bool seals(const struct crypt *c)
{
    return c->op == PERM_WRAP || c->op == PERM_ENCRYPT;
}

static bool fits(const struct algorithm *a, const struct crypt *c)
{
    return str_eq(a->kty, c->kind.kty) && (a->size == 0 || a->size == c->kind.size) &&
           (a->crv == NULL || str_eq(a->crv, c->kind.crv)) && (a->groups & group_of(c->op)) != 0;
}

enum err kv_crypt_run(const char *alg, struct crypt *c, struct diag *d)
{
    for (size_t i = 0; i < sizeof algorithms / sizeof algorithms[0]; i++) {
        const struct algorithm *a = &algorithms[i];
        if (!str_eq_nocase(alg, a->name) || !fits(a, c)) continue;
        TRY(a->run(c, a->mode, a->hash, d));
        return buf_check(&c->result, d);
    }
    return BAD(d,
               "Property alg has invalid value: %.30s does not go with this operation of a key of "
               "type %s%s%s and %d bits",
               alg, c->kind.kty, c->kind.crv != NULL ? "/" : "",
               c->kind.crv != NULL ? c->kind.crv : "", (int)c->kind.size);
}

/* Of a key in the token; means nothing for others. */
static struct token_name hsm_name(const struct crypt *c)
{
    return c->token != NULL ? kv_hsm_name(c->material) : (struct token_name){0};
}

/* What the crypto layer says of values that go out is the caller's business; of values that come in
 * nothing is told but that they are wrong. */
static enum err refuse(enum err e, const struct diag *why, bool opening, struct diag *d)
{
    if (e == ERR_UNSUPPORTED)
        return BAD(d, "Property alg has invalid value: this vault's HSM cannot do it: %s",
                   why->text);
    if (e != ERR_INVALID) return FAIL(d, e, "%s", why->text);
    if (opening) return BAD(d, "The parameter is incorrect.");
    return BAD(d, "The parameter is incorrect: %s", why->text);
}

/* The result of an opening: goes from the locked page to the answer, which is wiped when it is out.
 */
static enum err take_plain(struct crypt *c, enum err e, struct secret *plain,
                           const struct diag *why, struct diag *d)
{
    if (e != OK) return refuse(e, why, true, d);
    buf_bytes(&c->result, secret_view(plain));
    return OK;
}

static enum err rsa_crypt(struct crypt *c, int mode, enum sign_hash hash, struct diag *d)
{
    (void)hash;
    struct diag why = DIAG_INIT;
    if (seals(c)) {
        enum err e = rsa_encrypt(c->rsa, (enum rsa_padding)mode, c->value, &c->result, &why);
        return e == OK ? OK : refuse(e, &why, false, d);
    }
    CLEANUP(secret_free) struct secret *plain = NULL;
    enum rsa_padding padding = (enum rsa_padding)mode;
    struct token_name name = hsm_name(c);
    enum err e = c->token != NULL
                     ? token_rsa_decrypt(c->token, &name, padding, c->value, &plain, &why)
                     : rsa_decrypt(c->rsa, padding, c->value, &plain, &why);
    return take_plain(c, e, plain, &why, d);
}

static enum err aes_wrap(struct crypt *c, int mode, enum sign_hash hash, struct diag *d)
{
    (void)mode, (void)hash;
    struct diag why = DIAG_INIT;
    struct token_name name = hsm_name(c);
    if (seals(c)) {
        enum err e = c->token != NULL ? token_wrap(c->token, &name, c->value, &c->result, &why)
                                      : aes_kw_wrap(c->material, c->value, &c->result, &why);
        return e == OK ? OK : refuse(e, &why, false, d);
    }
    CLEANUP(secret_free) struct secret *plain = NULL;
    enum err e = c->token != NULL ? token_unwrap(c->token, &name, c->value, &plain, &why)
                                  : aes_kw_unwrap(c->material, c->value, &plain, &why);
    return take_plain(c, e, plain, &why, d);
}

/* The service draws the iv of GCM itself: a second use of one would give the key away. */
static enum err choose_iv(struct crypt *c, bool gcm, struct diag *d)
{
    if (gcm && c->iv.len != 0) {
        return BAD(d, "Property iv has invalid value: with GCM the service chooses it");
    }
    if (c->iv.len != 0) {
        buf_bytes(&c->out_iv, c->iv);
    } else {
        size_t len = gcm ? CIPHER_GCM_IV_LEN : CIPHER_CBC_IV_LEN;
        uint8_t *to = buf_extend(&c->out_iv, len);
        if (to != NULL) rand_bytes(to, len);
    }
    return buf_check(&c->out_iv, d);
}

static enum err aes_crypt(struct crypt *c, int mode, enum sign_hash hash, struct diag *d)
{
    (void)hash;
    struct cipher how = {(enum cipher_mode)mode, c->material, c->iv, c->aad};
    struct token_name name = hsm_name(c);
    struct diag why = DIAG_INIT;
    if (!seals(c)) {
        CLEANUP(secret_free) struct secret *plain = NULL;
        enum err e = c->token != NULL
                         ? token_decrypt(c->token, &name, &how, c->value, c->tag, &plain, &why)
                         : cipher_decrypt(&how, c->value, c->tag, &plain, &why);
        return take_plain(c, e, plain, &why, d);
    }
    TRY(choose_iv(c, mode == CIPHER_GCM, d));
    how.iv = buf_view(&c->out_iv);
    uint8_t tag[CIPHER_GCM_TAG_LEN];
    enum err e = c->token != NULL
                     ? token_encrypt(c->token, &name, &how, c->value, &c->result, tag, &why)
                     : cipher_encrypt(&how, c->value, &c->result, tag, &why);
    if (e != OK) return refuse(e, &why, false, d);
    if (mode == CIPHER_GCM) buf_bytes(&c->out_tag, BYTES_OF(tag));
    return buf_check(&c->out_tag, d);
}

static enum err rsa_signature(struct crypt *c, int mode, enum sign_hash hash, struct diag *d)
{
    struct diag why = DIAG_INIT;
    enum rsa_signature how = (enum rsa_signature)mode;
    struct token_name name = hsm_name(c);
    enum err e;
    if (c->op != PERM_SIGN) {
        e = rsa_verify(c->rsa, how, hash, c->value, c->signature, &c->verdict, &why);
    } else if (c->token != NULL) {
        e = token_rsa_sign(c->token, &name, how, hash, c->value, &c->result, &why);
    } else {
        e = rsa_sign(c->rsa, how, hash, c->value, &c->result, &why);
    }
    return e == OK ? OK : refuse(e, &why, false, d);
}

static enum err hsm_ec_signature(struct crypt *c, struct diag *d)
{
    if (c->op != PERM_SIGN) return ec_verify(c->ec_public, c->value, c->signature, &c->verdict, d);
    struct diag why = DIAG_INIT;
    struct token_name name = hsm_name(c);
    enum err e = token_ec_sign(c->token, &name, c->value, &c->result, &why);
    return e == OK ? OK : refuse(e, &why, false, d);
}

static enum err ec_signature(struct crypt *c, int mode, enum sign_hash hash, struct diag *d)
{
    (void)mode;
    if (c->value.len != sign_digest_len(hash)) {
        return BAD(d,
                   "The parameter is incorrect: a digest of %zu bytes; this algorithm's have %zu",
                   c->value.len, sign_digest_len(hash));
    }
    if (c->token != NULL) return hsm_ec_signature(c, d);
    CLEANUP(ec_free) struct ec_key *k = NULL;
    TRY(ec_from_der(&k, c->kind.curve, c->material, d));
    if (c->op == PERM_SIGN) return ec_sign(k, c->value, &c->result, d);
    return ec_verify(k, c->value, c->signature, &c->verdict, d);
}

static enum err hmac_signature(struct crypt *c, int mode, enum sign_hash hash, struct diag *d)
{
    (void)mode;
    if (c->token != NULL)
        return BAD(d,
                   "Property alg has invalid value: the AES keys of this vault's HSM do not sign");
    CLEANUP_BUF struct buf mac = {0};
    struct diag why = DIAG_INIT;
    enum err e = hmac_sign(hash, c->material, c->value, &mac, &why);
    if (e != OK) return refuse(e, &why, false, d);
    if (c->op == PERM_SIGN) {
        buf_bytes(&c->result, buf_view(&mac));
    } else {
        c->verdict = secret_eq(buf_view(&mac), c->signature);
    }
    return OK;
}
