/* SPDX-License-Identifier: Apache-2.0 */
/* vault/token_ops.c - what a key of a token does */
#include "vault/token_core.h"

#define WRAPPED_MAX 4104              /* bytes: 4096 and what key wrap adds */
#define DATA_MAX    ((size_t)1 << 20) /* bytes of one encryption */

static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
static CK_OBJECT_CLASS class_secret = CKO_SECRET_KEY;
static CK_KEY_TYPE type_generic = CKK_GENERIC_SECRET;

struct op {
    const struct token_name *name;
    CK_MECHANISM how;
    struct bytes in;
    struct buf *out;
    struct secret **plain;
    enum rsa_padding padding;
};

/* Is this how a token says that it cannot, rather than that it failed? SoftHSM takes the parameter
 * of OAEP with SHA-256 for a bad argument. */
static bool is_unable(CK_RV rv)
{
    return rv == CKR_MECHANISM_INVALID || rv == CKR_MECHANISM_PARAM_INVALID ||
           rv == CKR_FUNCTION_NOT_SUPPORTED || rv == CKR_ARGUMENTS_BAD;
}

/* SoftHSM answers these for data that was tampered with, others when they are broken. */
static bool is_vague(CK_RV rv)
{
    return rv == CKR_GENERAL_ERROR || rv == CKR_FUNCTION_FAILED;
}

/* --- AES key wrap --- */

/* Key wrap works on keys: the bytes become one that lives as long as the call. */
static enum err wrap_with(struct session *s, CK_OBJECT_HANDLE kek, const struct op *o,
                          struct buf *out, struct diag *d)
{
    CK_ATTRIBUTE template[] = {
        ATTR(CKA_CLASS, class_secret), ATTR(CKA_KEY_TYPE, type_generic),
        ATTR(CKA_TOKEN, no),           ATTR(CKA_SENSITIVE, no),
        ATTR(CKA_EXTRACTABLE, yes),    {CKA_VALUE, (void *)o->in.p, o->in.len}};
    CK_OBJECT_HANDLE plain;
    TRY_CK(s, s->f->C_CreateObject(s->h, template, 6, &plain), "bring a key in", d);
    uint8_t room[WRAPPED_MAX];
    CK_ULONG len = sizeof room;
    CK_MECHANISM how = {CKM_AES_KEY_WRAP, NULL, 0};
    CK_RV rv = s->f->C_WrapKey(s->h, &how, kek, plain, room, &len);
    (void)s->f->C_DestroyObject(s->h, plain);
    TRY_CK(s, rv, "wrap", d);
    buf_bytes(out, bytes_of(room, len));
    return buf_check(out, d);
}

static enum err take_value(struct session *s, CK_OBJECT_HANDLE key, struct secret **out,
                           struct diag *d)
{
    CK_ATTRIBUTE a = {CKA_VALUE, NULL, 0};
    TRY_CK(s, s->f->C_GetAttributeValue(s->h, key, &a, 1), "take a key out", d);
    if (a.ulValueLen == 0 || a.ulValueLen > WRAPPED_MAX)
        return token_fail(s, CKR_WRAPPED_KEY_LEN_RANGE, "unwrap", d);
    CLEANUP(secret_free) struct secret *room = NULL;
    TRY(secret_new(&room, a.ulValueLen, d));
    a.pValue = secret_fill(room);
    TRY_CK(s, s->f->C_GetAttributeValue(s->h, key, &a, 1), "take a key out", d);
    if (a.ulValueLen != secret_len(room)) return token_fail(s, CKR_GENERAL_ERROR, "unwrap", d);
    *out = TAKE(room);
    return OK;
}

static CK_RV unwrap_object(struct session *s, CK_OBJECT_HANDLE kek, const struct op *o,
                           CK_OBJECT_HANDLE *out)
{
    CK_ATTRIBUTE template[] = {ATTR(CKA_CLASS, class_secret), ATTR(CKA_KEY_TYPE, type_generic),
                               ATTR(CKA_TOKEN, no), ATTR(CKA_SENSITIVE, no),
                               ATTR(CKA_EXTRACTABLE, yes)};
    CK_MECHANISM how = {CKM_AES_KEY_WRAP, NULL, 0};
    return s->f->C_UnwrapKey(s->h, &how, kek, (CK_BYTE *)o->in.p, o->in.len, template, 5, out);
}

/* Does the key open what it has wrapped itself? Then it is not the token that is at fault. */
static bool aes_is_well(struct session *s, CK_OBJECT_HANDLE kek)
{
    static const uint8_t sample[16] = {1};
    CLEANUP_BUF struct buf wrapped = {0};
    struct session own = *s; /* whatever happens in here is not the caller's failure */
    struct op o = {.in = BYTES_OF(sample)};
    if (wrap_with(&own, kek, &o, &wrapped, NULL) != OK) return false;
    o.in = buf_view(&wrapped);
    CK_OBJECT_HANDLE back;
    if (unwrap_object(&own, kek, &o, &back) != CKR_OK) return false;
    (void)s->f->C_DestroyObject(s->h, back);
    return true;
}

static enum err wrap_step(struct session *s, void *arg, struct diag *d)
{
    struct op *o = arg;
    CK_OBJECT_HANDLE kek;
    TRY(token_find(s, o->name, &kek, d));
    return wrap_with(s, kek, o, o->out, d);
}

static enum err unwrap_step(struct session *s, void *arg, struct diag *d)
{
    struct op *o = arg;
    CK_OBJECT_HANDLE kek, key;
    TRY(token_find(s, o->name, &kek, d));
    CK_RV rv = unwrap_object(s, kek, o, &key);
    if (is_vague(rv) && aes_is_well(s, kek)) rv = CKR_WRAPPED_KEY_INVALID;
    TRY_CK(s, rv, "unwrap", d);
    enum err e = take_value(s, key, o->plain, d);
    (void)s->f->C_DestroyObject(s->h, key);
    return e;
}

enum err token_wrap(struct token *t, const struct token_name *name, struct bytes plain,
                    struct buf *out, struct diag *d)
{
    if (plain.len < 16 || plain.len % 8 != 0 || plain.len > WRAPPED_MAX - 8) {
        return FAIL_TAG(d, ERR_INVALID, "BadData",
                        "a key of %zu bytes to wrap; multiples of 8 from 16 to %d fit", plain.len,
                        WRAPPED_MAX - 8);
    }
    struct op o = {.name = name, .in = plain, .out = out};
    return token_run(t, wrap_step, &o, d);
}

enum err token_unwrap(struct token *t, const struct token_name *name, struct bytes wrapped,
                      struct secret **out, struct diag *d)
{
    if (wrapped.len < 16 || wrapped.len > WRAPPED_MAX || wrapped.len % 8 != 0) {
        return FAIL_TAG(d, ERR_INVALID, "BadData", "the wrapped key cannot be opened");
    }
    struct op o = {.name = name, .in = wrapped, .plain = out};
    return token_run(t, unwrap_step, &o, d);
}

/* --- RSA decryption --- */

static CK_RV decrypt(struct session *s, CK_OBJECT_HANDLE key, CK_MECHANISM *how, struct bytes in,
                     struct secret *room, CK_ULONG *len)
{
    CK_RV rv = s->f->C_DecryptInit(s->h, how, key);
    if (rv != CKR_OK) return rv;
    *len = secret_len(room);
    return s->f->C_Decrypt(s->h, (CK_BYTE *)in.p, in.len, secret_fill(room), len);
}

static CK_MECHANISM padding_mechanism(enum rsa_padding p, CK_RSA_PKCS_OAEP_PARAMS *oaep)
{
    if (p == RSA_PKCS1_V15) return (CK_MECHANISM){CKM_RSA_PKCS, NULL, 0};
    bool sha256 = p == RSA_OAEP_SHA256;
    *oaep = (CK_RSA_PKCS_OAEP_PARAMS){.hashAlg = sha256 ? CKM_SHA256 : CKM_SHA_1,
                                      .mgf = sha256 ? CKG_MGF1_SHA256 : CKG_MGF1_SHA1,
                                      .source = CKZ_DATA_SPECIFIED};
    return (CK_MECHANISM){CKM_RSA_PKCS_OAEP, oaep, sizeof *oaep};
}

/* The number to the private power, as long as the modulus. */
static enum err decrypt_raw(struct session *s, CK_OBJECT_HANDLE key, const struct op *o,
                            struct diag *d)
{
    CLEANUP(secret_free) struct secret *room = NULL;
    CK_MECHANISM raw = {CKM_RSA_X_509, NULL, 0};
    CK_ULONG len = 0;
    TRY(secret_new(&room, o->in.len, d));
    CK_RV rv = decrypt(s, key, &raw, o->in, room, &len);
    if (is_vague(rv)) rv = CKR_ENCRYPTED_DATA_INVALID; /* a number beyond the modulus */
    TRY_CK(s, rv, "decrypt", d);
    struct diag why = DIAG_INIT;
    if (rsa_unpad_oaep(o->padding, bytes_of(secret_peek(room), len), o->plain, &why) == OK)
        return OK;
    return FAIL_TAG(d, ERR_INVALID, "BadData", "token: %s", why.text);
}

/* Does the key open what its own public half has sealed? */
static bool rsa_is_well(struct session *s, CK_OBJECT_HANDLE key, const struct op *o)
{
    CLEANUP_BUF struct buf n = {0}, e = {0}, sealed = {0};
    CLEANUP(rsa_free) struct rsa_key *public = NULL;
    CLEANUP(secret_free) struct secret *room = NULL;
    struct session own = *s;
    CK_RSA_PKCS_OAEP_PARAMS oaep;
    CK_MECHANISM how = padding_mechanism(o->padding, &oaep);
    CK_ULONG len = 0;
    return token_attribute(&own, key, CKA_MODULUS, &n, NULL) == OK &&
           token_attribute(&own, key, CKA_PUBLIC_EXPONENT, &e, NULL) == OK &&
           rsa_public(&public, buf_view(&n), buf_view(&e), NULL) == OK &&
           rsa_encrypt(public, o->padding, BYTES("sample"), &sealed, NULL) == OK &&
           secret_new(&room, n.len, NULL) == OK &&
           decrypt(&own, key, &how, buf_view(&sealed), room, &len) == CKR_OK;
}

static enum err rsa_decrypt_step(struct session *s, void *arg, struct diag *d)
{
    struct op *o = arg;
    CK_OBJECT_HANDLE key;
    TRY(token_find(s, o->name, &key, d));
    CLEANUP(secret_free) struct secret *room = NULL;
    TRY(secret_new(&room, o->in.len, d));
    CK_RSA_PKCS_OAEP_PARAMS oaep;
    CK_MECHANISM how = padding_mechanism(o->padding, &oaep);
    CK_ULONG len = 0;
    CK_RV rv = decrypt(s, key, &how, o->in, room, &len);
    if (is_unable(rv) && o->padding != RSA_PKCS1_V15) return decrypt_raw(s, key, o, d);
    if (is_vague(rv) && rsa_is_well(s, key, o)) rv = CKR_ENCRYPTED_DATA_INVALID;
    TRY_CK(s, rv, "decrypt", d);
    return secret_of(o->plain, bytes_of(secret_peek(room), len), d);
}

enum err token_rsa_decrypt(struct token *t, const struct token_name *name, enum rsa_padding p,
                           struct bytes cipher, struct secret **out, struct diag *d)
{
    if (cipher.len < 256 || cipher.len > 1024) {
        return FAIL_TAG(d, ERR_INVALID, "BadData", "the wrapped key cannot be opened");
    }
    struct op o = {.name = name, .padding = p, .in = cipher, .plain = out};
    return token_run(t, rsa_decrypt_step, &o, d);
}

/* --- AES --- */

struct aes_op {
    struct op op;
    const struct cipher *c;
    struct bytes tag; /* to check */
    uint8_t *new_tag;
};

static CK_MECHANISM cipher_mechanism(const struct cipher *c, CK_GCM_PARAMS *gcm)
{
    if (c->mode != CIPHER_GCM) {
        return (CK_MECHANISM){c->mode == CIPHER_CBC ? CKM_AES_CBC : CKM_AES_CBC_PAD,
                              (void *)c->iv.p, c->iv.len};
    }
    *gcm = (CK_GCM_PARAMS){.iv_ptr = (CK_BYTE *)c->iv.p,
                           .iv_len = c->iv.len,
                           .iv_bits = c->iv.len * 8,
                           .aad_ptr = (CK_BYTE *)c->aad.p,
                           .aad_len = c->aad.len,
                           .tag_bits = CIPHER_GCM_TAG_LEN * 8};
    return (CK_MECHANISM){CKM_AES_GCM, gcm, sizeof *gcm};
}

static enum err encrypt_step(struct session *s, void *arg, struct diag *d)
{
    struct aes_op *a = arg;
    CK_OBJECT_HANDLE key;
    TRY(token_find(s, a->op.name, &key, d));
    CK_GCM_PARAMS gcm;
    CK_MECHANISM how = cipher_mechanism(a->c, &gcm);
    TRY_CK(s, s->f->C_EncryptInit(s->h, &how, key), "encrypt", d);
    CLEANUP_BUF struct buf room = {0};
    CK_ULONG len = a->op.in.len + 2 * CIPHER_GCM_TAG_LEN;
    uint8_t *to = buf_extend(&room, len);
    if (to == NULL) return buf_check(&room, d);
    TRY_CK(s, s->f->C_Encrypt(s->h, (CK_BYTE *)a->op.in.p, a->op.in.len, to, &len), "encrypt", d);
    size_t tag_len = a->c->mode == CIPHER_GCM ? CIPHER_GCM_TAG_LEN : 0;
    if (len < tag_len) return token_fail(s, CKR_GENERAL_ERROR, "encrypt", d);
    if (tag_len != 0) memcpy(a->new_tag, to + len - tag_len, tag_len);
    buf_bytes(a->op.out, bytes_of(to, len - tag_len));
    return buf_check(a->op.out, d);
}

static enum err decrypt_step(struct session *s, void *arg, struct diag *d)
{
    struct aes_op *a = arg;
    CK_OBJECT_HANDLE key;
    TRY(token_find(s, a->op.name, &key, d));
    CK_GCM_PARAMS gcm;
    CK_MECHANISM how = cipher_mechanism(a->c, &gcm);
    CLEANUP_BUF struct buf text = {0};
    buf_bytes(&text, a->op.in);
    buf_bytes(&text, a->tag);
    TRY(buf_check(&text, d));
    CLEANUP(secret_free) struct secret *room = NULL;
    TRY(secret_new(&room, text.len + CIPHER_CBC_IV_LEN, d));
    CK_ULONG len = 0;
    CK_RV rv = decrypt(s, key, &how, buf_view(&text), room, &len);
    if (is_vague(rv)) {
        /* The failed operation may still hold the session: the key is tried by key wrap, which does
         * not need its own. */
        if (aes_is_well(s, key)) rv = CKR_ENCRYPTED_DATA_INVALID;
    }
    TRY_CK(s, rv, "decrypt", d);
    return secret_of(a->op.plain, bytes_of(secret_peek(room), len), d);
}

static enum err check_cipher(const struct cipher *c, struct bytes text, struct diag *d)
{
    size_t iv = c->mode == CIPHER_GCM ? CIPHER_GCM_IV_LEN : CIPHER_CBC_IV_LEN;
    if (c->iv.len != iv)
        return FAIL_TAG(d, ERR_INVALID, "BadData", "an iv of %zu bytes; this mode's has %zu",
                        c->iv.len, iv);
    if (text.len <= DATA_MAX) return OK;
    return FAIL_TAG(d, ERR_INVALID, "BadData", "%zu bytes in one operation; %zu are the most",
                    text.len, DATA_MAX);
}

enum err token_encrypt(struct token *t, const struct token_name *name, const struct cipher *c,
                       struct bytes plain, struct buf *out, uint8_t tag[CIPHER_GCM_TAG_LEN],
                       struct diag *d)
{
    TRY(check_cipher(c, plain, d));
    if (c->mode == CIPHER_CBC && plain.len % 16 != 0)
        return FAIL_TAG(d, ERR_INVALID, "BadData", "CBC takes whole blocks of 16 bytes");
    struct aes_op a = {.op = {.name = name, .in = plain, .out = out}, .c = c, .new_tag = tag};
    return token_run(t, encrypt_step, &a, d);
}

enum err token_decrypt(struct token *t, const struct token_name *name, const struct cipher *c,
                       struct bytes text, struct bytes tag, struct secret **out, struct diag *d)
{
    TRY(check_cipher(c, text, d));
    size_t want = c->mode == CIPHER_GCM ? CIPHER_GCM_TAG_LEN : 0;
    if (tag.len != want || (c->mode != CIPHER_GCM && (text.len == 0 || text.len % 16 != 0)))
        return FAIL_TAG(d, ERR_INVALID, "BadData", "the ciphertext cannot be opened");
    struct aes_op a = {.op = {.name = name, .in = text, .plain = out}, .c = c, .tag = tag};
    return token_run(t, decrypt_step, &a, d);
}

/* --- signatures --- */

static enum err sign_step(struct session *s, void *arg, struct diag *d)
{
    struct op *o = arg;
    CK_OBJECT_HANDLE key;
    TRY(token_find(s, o->name, &key, d));
    uint8_t room[1024];
    CK_ULONG len = sizeof room;
    TRY_CK(s, s->f->C_SignInit(s->h, &o->how, key), "sign", d);
    TRY_CK(s, s->f->C_Sign(s->h, (CK_BYTE *)o->in.p, o->in.len, room, &len), "sign", d);
    buf_bytes(o->out, bytes_of(room, len));
    return buf_check(o->out, d);
}

/* What stands before the digest in a PKCS#1 v1.5 signature (RFC 8017 9.2, note 1). */
static const uint8_t digest_infos[SIGN_HASHES][19] = {
    [SIGN_SHA256] = {0x30, 0x31, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4,
                     32},
    [SIGN_SHA384] = {0x30, 0x41, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 2, 5, 0, 4,
                     48},
    [SIGN_SHA512] = {0x30, 0x51, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 3, 5, 0, 4,
                     64},
};

static CK_MECHANISM pss_mechanism(enum sign_hash h, CK_RSA_PKCS_PSS_PARAMS *pss)
{
    static const CK_MECHANISM_TYPE hashes[] = {CKM_SHA256, CKM_SHA384, CKM_SHA512};
    static const CK_ULONG masks[] = {CKG_MGF1_SHA256, CKG_MGF1_SHA384, CKG_MGF1_SHA512};
    *pss = (CK_RSA_PKCS_PSS_PARAMS){hashes[h], masks[h], sign_digest_len(h)};
    return (CK_MECHANISM){CKM_RSA_PKCS_PSS, pss, sizeof *pss};
}

enum err token_rsa_sign(struct token *t, const struct token_name *name, enum rsa_signature sig,
                        enum sign_hash h, struct bytes digest, struct buf *out, struct diag *d)
{
    if (sig != RSA_SIGN_RAW && digest.len != sign_digest_len(h)) {
        return FAIL_TAG(d, ERR_INVALID, "BadData",
                        "a digest of %zu bytes; this algorithm's have %zu", digest.len,
                        sign_digest_len(h));
    }
    CLEANUP_BUF struct buf text = {0};
    CK_RSA_PKCS_PSS_PARAMS pss;
    struct op o = {.name = name, .how = {CKM_RSA_PKCS, NULL, 0}, .out = out};
    if (sig == RSA_SIGN_PSS) o.how = pss_mechanism(h, &pss);
    if (sig == RSA_SIGN_PKCS1) buf_bytes(&text, BYTES_OF(digest_infos[h]));
    buf_bytes(&text, digest);
    TRY(buf_check(&text, d));
    o.in = buf_view(&text);
    return token_run(t, sign_step, &o, d);
}

enum err token_ec_sign(struct token *t, const struct token_name *name, struct bytes digest,
                       struct buf *out, struct diag *d)
{
    struct op o = {.name = name, .how = {CKM_ECDSA, NULL, 0}, .in = digest, .out = out};
    return token_run(t, sign_step, &o, d);
}

/* --- random --- */

struct random_op {
    uint8_t *out;
    size_t n;
};

static enum err random_step(struct session *s, void *arg, struct diag *d)
{
    struct random_op *r = arg;
    TRY_CK(s, s->f->C_GenerateRandom(s->h, r->out, r->n), "random", d);
    return OK;
}

enum err token_random(struct token *t, uint8_t *out, size_t n, struct diag *d)
{
    struct random_op r = {out, n};
    return token_run(t, random_step, &r, d);
}
