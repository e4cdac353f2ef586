/* SPDX-License-Identifier: Apache-2.0 */
/* crypto/letter.c - sealing to RSA and X25519 keys, by OpenSSL */
#include "crypto/letter.h"

#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/pkey.h"

#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdlib.h>

#define X_LEN 32 /* bytes of an X25519 key */

static const char label[] = "keystead/1 letter"; /* sizeof counts its zero byte */

DEFINE_CLEANUP(BIO_free_all, BIO)

struct letter_key {
    EVP_PKEY *evp;
    bool has_private;
};

static bool is_rsa(const struct letter_key *k)
{
    return EVP_PKEY_get_base_id(k->evp) == EVP_PKEY_RSA;
}

const char *letter_key_kind(const struct letter_key *k)
{
    return is_rsa(k) ? "RSA-OAEP-256" : "X25519";
}

void letter_key_free(struct letter_key *k)
{
    if (k == NULL) return;
    EVP_PKEY_free(k->evp);
    free(k);
}

/* --- keys ------------------------------------------------------------------------------------- */

static enum err adopt(struct letter_key **out, EVP_PKEY *evp, bool has_private, struct diag *d)
{
    struct letter_key *k = calloc(1, sizeof *k);
    if (k == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    EVP_PKEY_up_ref(evp);
    *k = (struct letter_key){evp, has_private};
    *out = k;
    return OK;
}

enum err letter_key_generate(struct letter_key **out, struct diag *d)
{
    CLEANUP(EVP_PKEY_free) EVP_PKEY *evp = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
    if (evp == NULL) return FAIL_SSL(d, ERR_LIMIT, "X25519: no key could be made");
    return adopt(out, evp, true, d);
}

static int no_password(char *to, int size, int writing, void *ctx)
{
    (void)to, (void)size, (void)writing, (void)ctx;
    return -1; /* never asks at a terminal */
}

enum err letter_key_read(struct letter_key **out, struct bytes pem, struct diag *d)
{
    CLEANUP(BIO_free_all) BIO *in = BIO_new_mem_buf(pem.p, (int)pem.len);
    CLEANUP(BIO_free_all) BIO *again = BIO_new_mem_buf(pem.p, (int)pem.len);
    if (in == NULL || again == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    CLEANUP(EVP_PKEY_free) EVP_PKEY *evp = PEM_read_bio_PrivateKey(in, NULL, no_password, NULL);
    bool has_private = evp != NULL;
    if (!has_private) evp = PEM_read_bio_PUBKEY(again, NULL, no_password, NULL);
    ERR_clear_error();
    if (evp == NULL) return FAIL(d, ERR_INVALID, "no PEM of a public or an open private key");
    int kind = EVP_PKEY_get_base_id(evp);
    bool rsa = kind == EVP_PKEY_RSA && EVP_PKEY_get_bits(evp) >= 2048;
    if (!rsa && kind != EVP_PKEY_X25519) {
        return FAIL(d, ERR_INVALID, "an auditor's key is X25519, or RSA of at least 2048 bits");
    }
    return adopt(out, evp, has_private, d);
}

enum err letter_key_write(const struct letter_key *k, bool private_half, struct buf *pem,
                          struct diag *d)
{
    CLEANUP(BIO_free_all) BIO *to = BIO_new(BIO_s_secmem());
    if (to == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    int good = private_half ? PEM_write_bio_PKCS8PrivateKey(to, k->evp, NULL, NULL, 0, NULL, NULL)
                            : PEM_write_bio_PUBKEY(to, k->evp);
    char *text = NULL;
    long n = BIO_get_mem_data(to, &text);
    if (good != 1 || n <= 0) return FAIL_SSL(d, ERR_INVALID, "this key cannot be written as PEM");
    buf_bytes(pem, bytes_of(text, (size_t)n));
    return buf_check(pem, d);
}

enum err letter_key_print(const struct letter_key *k, uint8_t out[32], struct diag *d)
{
    unsigned char *der = NULL;
    int n = i2d_PUBKEY(k->evp, &der);
    if (n <= 0) return FAIL_SSL(d, ERR_LIMIT, "out of memory");
    sha256(bytes_of(der, (size_t)n), out);
    OPENSSL_free(der);
    return OK;
}

/* --- RSA -------------------------------------------------------------------------------------- */

static enum err oaep(const struct letter_key *k, EVP_PKEY_CTX **out, bool sealing, struct diag *d)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, k->evp, NULL);
    *out = ctx;
    if (ctx != NULL && (sealing ? EVP_PKEY_encrypt_init(ctx) : EVP_PKEY_decrypt_init(ctx)) == 1 &&
        EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) == 1 &&
        EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256()) == 1 &&
        EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha256()) == 1) {
        return OK;
    }
    return FAIL_SSL(d, ERR_LIMIT, "RSA-OAEP: out of memory");
}

static enum err seal_rsa(const struct letter_key *to, struct bytes plain, struct buf *out,
                         struct diag *d)
{
    CLEANUP(EVP_PKEY_CTX_free) EVP_PKEY_CTX *ctx = NULL;
    uint8_t sealed[2048];
    size_t n = sizeof sealed;
    TRY(oaep(to, &ctx, true, d));
    if (EVP_PKEY_encrypt(ctx, sealed, &n, plain.p, plain.len) != 1)
        return FAIL_SSL(d, ERR_INVALID, "RSA-OAEP: the key does not take it");
    buf_bytes(out, bytes_of(sealed, n));
    return buf_check(out, d);
}

static enum err open_rsa(const struct letter_key *k, struct bytes letter, struct secret **out,
                         struct diag *d)
{
    CLEANUP(EVP_PKEY_CTX_free) EVP_PKEY_CTX *ctx = NULL;
    uint8_t plain[2048];
    size_t n = sizeof plain;
    TRY(oaep(k, &ctx, false, d));
    if (EVP_PKEY_decrypt(ctx, plain, &n, letter.p, letter.len) != 1)
        return FAIL_SSL(d, ERR_CORRUPT, "the letter does not open with this key");
    enum err e = secret_of(out, bytes_of(plain, n), d);
    wipe(plain, sizeof plain);
    return e;
}

/* --- X25519 ----------------------------------------------------------------------------------- */

/* key 32 | nonce 12 of a letter from `mine` to `theirs`, where one of the two is ephemeral. */
static enum err agree(EVP_PKEY *mine, EVP_PKEY *theirs, const uint8_t publics[2 * X_LEN],
                      uint8_t out[AEAD_KEY_LEN + AEAD_NONCE_LEN], struct diag *d)
{
    CLEANUP(EVP_PKEY_CTX_free) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, mine, NULL);
    uint8_t shared[X_LEN], extracted[64];
    size_t n = sizeof shared;
    if (ctx == NULL || EVP_PKEY_derive_init(ctx) != 1 ||
        EVP_PKEY_derive_set_peer(ctx, theirs) != 1 || EVP_PKEY_derive(ctx, shared, &n) != 1 ||
        n != X_LEN) {
        return FAIL_SSL(d, ERR_CORRUPT, "X25519: no shared secret with this key");
    }
    hmac_sha512(bytes_of(publics, 2 * X_LEN), bytes_of(shared, X_LEN), extracted);
    hkdf_expand(bytes_of(extracted, sizeof extracted), bytes_of(label, sizeof label), out,
                AEAD_KEY_LEN + AEAD_NONCE_LEN);
    wipe(shared, sizeof shared);
    wipe(extracted, sizeof extracted);
    return OK;
}

static bool public_of(const EVP_PKEY *k, uint8_t out[X_LEN])
{
    size_t n = X_LEN;
    return EVP_PKEY_get_raw_public_key(k, out, &n) == 1 && n == X_LEN;
}

static enum err seal_x25519(const struct letter_key *to, struct bytes plain, struct buf *out,
                            struct diag *d)
{
    CLEANUP(EVP_PKEY_free) EVP_PKEY *once = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
    uint8_t publics[2 * X_LEN], key[AEAD_KEY_LEN + AEAD_NONCE_LEN];
    if (once == NULL || !public_of(once, publics) || !public_of(to->evp, publics + X_LEN))
        return FAIL_SSL(d, ERR_LIMIT, "X25519: no key could be made");
    TRY(agree(once, to->evp, publics, key, d));
    const struct aead a = {.alg = AEAD_AES_256_GCM, .key = key, .nonce = key + AEAD_KEY_LEN};
    buf_bytes(out, bytes_of(publics, X_LEN));
    uint8_t *sealed = buf_extend(out, plain.len + AEAD_TAG_LEN);
    enum err e = buf_check(out, d);
    if (e == OK) e = aead_seal(&a, plain, sealed, d);
    wipe(key, sizeof key);
    return e;
}

static enum err open_x25519(const struct letter_key *k, struct bytes letter, struct secret **out,
                            struct diag *d)
{
    uint8_t publics[2 * X_LEN], key[AEAD_KEY_LEN + AEAD_NONCE_LEN];
    if (letter.len <= X_LEN + AEAD_TAG_LEN || letter.len > X_LEN + AEAD_TAG_LEN + LETTER_MAX)
        return FAIL(d, ERR_CORRUPT, "a letter of %zu bytes", letter.len);
    memcpy(publics, letter.p, X_LEN);
    CLEANUP(EVP_PKEY_free)
    EVP_PKEY *once = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, publics, X_LEN);
    if (once == NULL || !public_of(k->evp, publics + X_LEN))
        return FAIL_SSL(d, ERR_LIMIT, "out of memory");
    TRY(agree(k->evp, once, publics, key, d));
    const struct aead a = {.alg = AEAD_AES_256_GCM, .key = key, .nonce = key + AEAD_KEY_LEN};
    CLEANUP(secret_free) struct secret *plain = NULL;
    enum err e = secret_new(&plain, letter.len - X_LEN - AEAD_TAG_LEN, d);
    if (e == OK) {
        e = aead_open(&a, bytes_of(letter.p + X_LEN, letter.len - X_LEN), secret_fill(plain), NULL);
        if (e != OK) e = FAIL(d, ERR_CORRUPT, "the letter does not open with this key");
    }
    wipe(key, sizeof key);
    if (e == OK) *out = TAKE(plain);
    return e;
}

/* --- either ----------------------------------------------------------------------------------- */

enum err letter_seal(const struct letter_key *to, struct bytes plain, struct buf *out,
                     struct diag *d)
{
    if (plain.len == 0 || plain.len > LETTER_MAX)
        return FAIL(d, ERR_LIMIT, "a letter holds 1 to %d bytes, not %zu", LETTER_MAX, plain.len);
    return is_rsa(to) ? seal_rsa(to, plain, out, d) : seal_x25519(to, plain, out, d);
}

enum err letter_open(const struct letter_key *key, struct bytes letter, struct secret **out,
                     struct diag *d)
{
    if (!key->has_private)
        return FAIL(d, ERR_INVALID, "this is a public key; the private one opens");
    return is_rsa(key) ? open_rsa(key, letter, out, d) : open_x25519(key, letter, out, d);
}
