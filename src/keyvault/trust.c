/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keyvault/trust.c - the vault's root of trust where it is no plain file: DIR/root.sealed
 *
 * The root key is 32 random bytes that lie beside the store only sealed (docs/formats/trust.md):
 *
 *      0  "KSRT"   4 version = 1   5 kind   6 zero16
 *      passphrase (1)   8 salt[16]   24 passes64be   32 memory64be   40 AES-256-GCM of the key, zero
 *                       nonce, under Argon2id(passphrase, salt), additional data 0..39: 48 bytes
 *      token (2)        8 CKA_ID[16] of an AES key made for it   24 AES key wrap: 40 bytes
 */
#include "keyvault/trust.h"

#include "base/log.h"
#include "base/os.h"
#include "base/rand.h"
#include "crypto/aead.h"
#include "crypto/password.h"
#include "crypto/secret_file.h"

#define MAGIC       "KSRT"
#define VERSION     1
#define KEY_LEN     32
#define HEAD_LEN    8
#define SALT_AT     8
#define SEALED_AT   40
#define PASS_LEN    88
#define ID_AT       8
#define ID_LEN      16
#define WRAPPED_AT  24
#define TOKEN_LEN   64
#define TOKEN_LABEL "keystead vault root"

static const uint8_t zero_nonce[AEAD_NONCE_LEN];

static const char *kind_name(enum keyvault_trust t)
{
    static const char *const names[] = {"file", "passphrase", "token"};
    return names[t];
}

bool keyvault_trust_parse(const char *text, enum keyvault_trust *out)
{
    for (int t = TRUST_FILE; t <= TRUST_TOKEN; t++) {
        if (strcmp(text, kind_name((enum keyvault_trust)t)) != 0) continue;
        *out = (enum keyvault_trust)t;
        return true;
    }
    return false;
}

/* --- opening --- */

static enum err open_passphrase(const struct trust *t, struct bytes b, struct secret **out,
                                struct diag *d)
{
    if (b.len != PASS_LEN) return FAIL(d, ERR_CORRUPT, "%s is damaged", t->path);
    struct rd rd = rd_from(bytes_of(b.p + SALT_AT + PASSWORD_SALT_LEN, 16));
    struct password_costs costs = {.passes = rd_u64be(&rd)};
    costs.bytes = rd_u64be(&rd);
    CLEANUP(secret_free) struct secret *passphrase = NULL, *key = NULL, *root = NULL;
    TRY(secret_from_file(t->passphrase_file, "passphrase file", &passphrase, d));
    TRY(password_key(secret_view(passphrase), b.p + SALT_AT, &costs, &key, d));
    TRY(secret_new(&root, KEY_LEN, d));
    const struct aead how = {AEAD_AES_256_GCM, secret_peek(key), zero_nonce,
                             bytes_of(b.p, SEALED_AT)};
    if (aead_open(&how, bytes_of(b.p + SEALED_AT, b.len - SEALED_AT), secret_fill(root), NULL) !=
        OK) {
        return FAIL(d, ERR_DENIED,
                    "the passphrase does not open %s: it is another one, or the file "
                    "is damaged",
                    t->path);
    }
    *out = TAKE(root);
    return OK;
}

static enum err open_token(const struct trust *t, struct bytes b, struct secret **out,
                           struct diag *d)
{
    if (b.len != TOKEN_LEN) return FAIL(d, ERR_CORRUPT, "%s is damaged", t->path);
    const struct token_name name = {.id = bytes_of(b.p + ID_AT, ID_LEN)};
    struct diag why = DIAG_INIT;
    enum err e =
        token_unwrap(t->token, &name, bytes_of(b.p + WRAPPED_AT, b.len - WRAPPED_AT), out, &why);
    if (e == OK) return OK;
    return FAIL_TAG(d, e, why.tag, "the token does not open %s: %s", t->path, why.text);
}

static enum err read_sealed(void *ctx, struct secret **out, struct diag *d)
{
    const struct trust *t = ctx;
    CLEANUP_BUF struct buf b = {0};
    struct diag why = DIAG_INIT;
    if (!os_exists(t->path)) return FAIL(d, ERR_NOT_FOUND, "%s is missing", t->path);
    if (os_read_file(t->path, PASS_LEN, &b, &why) != OK)
        return FAIL(d, ERR_CORRUPT, "%s: %s", t->path, why.text);
    if (b.len < HEAD_LEN || memcmp(b.p, MAGIC, 4) != 0 || b.p[4] != VERSION ||
        (b.p[5] != TRUST_PASSPHRASE && b.p[5] != TRUST_TOKEN) || b.p[6] != 0 || b.p[7] != 0) {
        return FAIL(d, ERR_CORRUPT, "%s is damaged", t->path);
    }
    if (b.p[5] != t->kind) {
        return FAIL(d, ERR_INVALID, "this vault's root of trust is a %s: --vault-root %s",
                    kind_name((enum keyvault_trust)b.p[5]), kind_name((enum keyvault_trust)b.p[5]));
    }
    return t->kind == TRUST_TOKEN ? open_token(t, buf_view(&b), out, d)
                                  : open_passphrase(t, buf_view(&b), out, d);
}

/* --- making --- */

static enum err seal_passphrase(const struct trust *t, const struct secret *root, struct buf *out,
                                struct diag *d)
{
    uint8_t salt[PASSWORD_SALT_LEN];
    struct password_costs costs = password_costs();
    CLEANUP(secret_free) struct secret *passphrase = NULL, *key = NULL;
    TRY(secret_from_file(t->passphrase_file, "passphrase file", &passphrase, d));
    rand_bytes(salt, sizeof salt);
    TRY(password_key(secret_view(passphrase), salt, &costs, &key, d));
    buf_bytes(out, BYTES_OF(salt));
    buf_u64be(out, costs.passes);
    buf_u64be(out, costs.bytes);
    TRY(buf_check(out, d));
    uint8_t head[SEALED_AT];
    memcpy(head, out->p, sizeof head);
    const struct aead how = {AEAD_AES_256_GCM, secret_peek(key), zero_nonce, BYTES_OF(head)};
    uint8_t *to = buf_extend(out, KEY_LEN + AEAD_TAG_LEN);
    if (to == NULL) return buf_check(out, d);
    return aead_seal(&how, secret_view(root), to, d);
}

/* A crash between the two leaves a key in the token that nothing is sealed under. */
static enum err seal_token(const struct trust *t, const struct secret *root, struct buf *out,
                           struct diag *d)
{
    uint8_t id[ID_LEN];
    rand_bytes(id, sizeof id);
    const struct token_name name = {.id = BYTES_OF(id), .label = TOKEN_LABEL};
    TRY(token_make_aes(t->token, &name, KEY_LEN * 8, d));
    buf_bytes(out, BYTES_OF(id));
    return token_wrap(t->token, &name, secret_view(root), out, d);
}

static enum err write_sealed(const struct trust *t, const struct secret *root, struct diag *d)
{
    CLEANUP_BUF struct buf b = {0};
    buf_str(&b, MAGIC);
    buf_u8(&b, VERSION);
    buf_u8(&b, (uint8_t)t->kind);
    buf_u16(&b, 0);
    TRY(t->kind == TRUST_TOKEN ? seal_token(t, root, &b, d) : seal_passphrase(t, root, &b, d));
    return os_replace(t->path, buf_view(&b), d);
}

static enum err make_sealed(void *ctx, struct secret **out, struct diag *d)
{
    const struct trust *t = ctx;
    if (os_exists(t->path)) return read_sealed(ctx, out, d); /* a first start that was cut short */
    CLEANUP(secret_free) struct secret *root = NULL;
    TRY(secret_random(&root, KEY_LEN, d));
    TRY(write_sealed(t, root, d));
    LOG(INFO, "vault.root_made", F_STR("kind", kind_name(t->kind)));
    *out = TAKE(root);
    return OK;
}

static enum err check_options(const struct trust *t, struct diag *d)
{
    if (t->kind == TRUST_PASSPHRASE && t->passphrase_file == NULL)
        return FAIL(d, ERR_INVALID, "--vault-root passphrase needs --vault-passphrase-file");
    if (t->kind == TRUST_TOKEN && t->token == NULL)
        return FAIL(d, ERR_INVALID, "--vault-root token needs --hsm-module and its token");
    return OK;
}

enum err trust_open_store(const struct trust *t, const char *store, const char *key_file,
                          struct kvstore **out, struct diag *d)
{
    if (t->kind == TRUST_FILE) {
        if (os_exists(t->path)) {
            return FAIL(d, ERR_INVALID,
                        "this vault's root of trust is no key file: start it with --vault-root");
        }
        return kvstore_open(out, store, key_file, d);
    }
    TRY(check_options(t, d));
    if (os_exists(key_file)) {
        return FAIL(d, ERR_INVALID, "this vault's root of trust is the key file %s, not a %s",
                    key_file, kind_name(t->kind));
    }
    const struct kvstore_root root = {read_sealed, make_sealed, (void *)t};
    return kvstore_open_with(out, store, &root, d);
}

/* The id of the token's key that a file of kind 2 lies under; false: of another kind. */
static bool token_key_of(const char *path, uint8_t id[ID_LEN])
{
    CLEANUP_BUF struct buf b = {0};
    if (os_read_file(path, PASS_LEN, &b, NULL) != OK || b.len != TOKEN_LEN || b.p[5] != TRUST_TOKEN)
        return false;
    memcpy(id, b.p + ID_AT, ID_LEN);
    return true;
}

enum err trust_change(const struct trust *from, const struct trust *to, const char *store,
                      struct diag *d)
{
    uint8_t id[ID_LEN];
    if (from->kind == TRUST_FILE || to->kind == TRUST_FILE) {
        return FAIL(d, ERR_INVALID,
                    "the root of trust changes between passphrases and tokens only: a key file "
                    "that was on the disk may still be on it");
    }
    TRY(check_options(from, d));
    TRY(check_options(to, d));
    if (!os_exists(store)) return FAIL(d, ERR_NOT_FOUND, "there is no vault: %s", store);
    CLEANUP(secret_free) struct secret *root = NULL;
    CLEANUP(kvstore_close) struct kvstore *open = NULL; /* nobody else has it, and the key is its */
    const struct kvstore_root how = {read_sealed, make_sealed, (void *)from};
    TRY(kvstore_open_with(&open, store, &how, d));
    TRY(read_sealed((void *)from, &root, d));
    bool had_token_key = token_key_of(from->path, id);
    TRY(write_sealed(to, root, d));
    LOG(INFO, "vault.root_changed", F_STR("from", kind_name(from->kind)),
        F_STR("to", kind_name(to->kind)));
    if (!had_token_key) return OK;
    const struct token_name name = {.id = BYTES_OF(id)};
    struct diag why = DIAG_INIT;
    if (token_destroy(from->token, &name, &why) != OK)
        LOG(WARN, "vault.old_root_key_stays", F_ERR(&why)); /* the change itself is done */
    return OK;
}
