/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vault/token.h - keys and small records in a PKCS#11 token (an HSM, a smart card, SoftHSM)
 *
 * A token is opened by the path of its module, its label and the PIN in a file. From then on any
 * number of threads use it; sessions are pooled, and made again - with a new login - after the
 * token was away or the process has forked. A key is named by its id, its label, or both, and
 * looked up for every call, so that one that was destroyed elsewhere is gone at once. A call to a
 * token cannot be cut short: how long it takes is the module's business.
 *
 * What a failure means, for vault_verdict() of vault/vault.h:
 *
 *   ERR_DENIED, whoever owns the token is speaking
 *      KeyNotFound            logged in, and there is no such key
 *      OperationNotPermitted  the key's own attributes forbid this
 *   ERR_UNAVAILABLE, no verdict
 *      TokenGone              the module, the token or the session is not there now
 *      TokenError             the token says that it failed
 *      TokenRefused           it does not take our PIN: an operator's fault
 *      Ambiguous              two keys of that name; VAULT_BARRED
 *   ERR_INVALID  BadData      what came in cannot be opened, or has a length that does not go
 *   ERR_UNSUPPORTED Mechanism this token cannot do that
 *   ERR_LIMIT                 it has no room or no memory left
 *
 * Invariants: README.md (7)-(10).
 */
#pragma once

#include "crypto/cipher.h"
#include "crypto/sign.h"

struct token;

struct token_config {
    const char *module;   /* absolute path of a shared object */
    const char *label;    /* of the token: 1 to 32 bytes */
    const char *pin_file; /* its first line; for its owner's eyes only (mode 0600 or 0400) */
};

/*
 * Loads the module, finds the token and logs in. After this no file but the module's own is opened,
 * so that it may come before a process gives up its rights.
 * ERR_INVALID      a path that is not absolute, a PIN file that others may read or that is empty
 * ERR_NOT_FOUND    no such file
 * ERR_UNAVAILABLE  as above; no token of that label is "TokenGone"
 */
enum err token_open(struct token **out, const struct token_config *c, struct diag *d);
void token_close(struct token *t); /* no call may be running; NULL is fine */
const char *token_label(const struct token *t);

/* --- keys --- */

#define TOKEN_ID_MAX    64  /* bytes */
#define TOKEN_LABEL_MAX 256 /* bytes, with the terminating zero */

struct token_name {    /* at least one of the two */
    struct bytes id;   /* CKA_ID; empty = any */
    const char *label; /* CKA_LABEL; NULL = any */
};

/* New keys stay in the token: sensitive, not extractable, private. Of a pair the public half is
 * handed out and not kept. id and label both, and not used yet: ERR_CONFLICT. */
enum err token_make_aes(struct token *t, const struct token_name *name, unsigned bits,
                        struct diag *d); /* 128, 192, 256 */
enum err token_make_rsa(struct token *t, const struct token_name *name, unsigned bits,
                        struct buf *n, struct buf *e, struct diag *d);
enum err token_make_ec(struct token *t, const struct token_name *name, enum ec_curve curve,
                       struct buf *x, struct buf *y, struct diag *d);
/* For good. Absent is fine. */
enum err token_destroy(struct token *t, const struct token_name *name, struct diag *d);

enum token_key_type { TOKEN_AES, TOKEN_RSA, TOKEN_EC, TOKEN_OTHER };

struct token_key {
    enum token_key_type type;
    unsigned bits; /* AES, RSA */
    uint8_t id[TOKEN_ID_MAX];
    size_t id_len;
    char label[TOKEN_LABEL_MAX];
    bool wraps, unwraps, encrypts, decrypts, signs; /* as the key's attributes allow */
    bool sensitive, extractable;
    bool never_extractable; /* made in a token, and never was otherwise */
    struct buf n, e;        /* RSA: the public key, big-endian */
};
void token_key_release(struct token_key *k);
#define CLEANUP_TOKEN_KEY __attribute__((cleanup(token_key_release)))
/* What the token says of the key, with its public part; *out is the caller's to release. */
enum err token_describe(struct token *t, const struct token_name *name, struct token_key *out,
                        struct diag *d);

/* --- operations --- */

/* AES key wrap (RFC 3394) under an AES key of the token: multiples of 8 bytes from 16 to 4096.
 * Appends to out. */
enum err token_wrap(struct token *t, const struct token_name *name, struct bytes plain,
                    struct buf *out, struct diag *d);
enum err token_unwrap(struct token *t, const struct token_name *name, struct bytes wrapped,
                      struct secret **out, struct diag *d);

/* RSA decryption with a private key of the token; encryption needs only the public half and is
 * rsa_encrypt()'s. Where the token does not know OAEP with SHA-256 it does the raw operation, and
 * the padding is taken off here, in constant time. */
enum err token_rsa_decrypt(struct token *t, const struct token_name *name, enum rsa_padding p,
                           struct bytes cipher, struct secret **out, struct diag *d);

/* As cipher.h has them; c->key is not looked at. GCM: the tag is the caller's 16 bytes. */
enum err token_encrypt(struct token *t, const struct token_name *name, const struct cipher *c,
                       struct bytes plain, struct buf *out, uint8_t tag[CIPHER_GCM_TAG_LEN],
                       struct diag *d);
enum err token_decrypt(struct token *t, const struct token_name *name, const struct cipher *c,
                       struct bytes text, struct bytes tag, struct secret **out, struct diag *d);

/* Of a digest, as sign.h has them; verifying needs only the public half. */
enum err token_rsa_sign(struct token *t, const struct token_name *name, enum rsa_signature s,
                        enum sign_hash h, struct bytes digest, struct buf *out, struct diag *d);
enum err token_ec_sign(struct token *t, const struct token_name *name, struct bytes digest,
                       struct buf *out, struct diag *d);

enum err token_random(struct token *t, uint8_t *out, size_t n,
                      struct diag *d); /* its generator's bytes */

/* --- records: private data objects, at most TOKEN_RECORD_MAX bytes --- */

#define TOKEN_RECORD_MAX 4096 /* bytes */

/* Appends the record of that label. ERR_NOT_FOUND: there is none. */
enum err token_record_read(struct token *t, const char *label, struct buf *out, struct diag *d);
/*
 * Replaces it. The new object is whole in the token before the old one is destroyed; where both are
 * found, as after a crash, the new one is read. One writer at a time: replacing from two processes
 * at once is not ordered.
 */
enum err token_record_replace(struct token *t, const char *label, struct bytes value,
                              struct diag *d);
enum err token_record_remove(struct token *t, const char *label, struct diag *d);

DEFINE_CLEANUP(token_close, struct token)
