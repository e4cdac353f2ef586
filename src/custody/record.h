/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody/record.h - what keyd has the log service keep for it: MACed, opaque to the keeper
 *
 * Byte by byte in docs/formats/wrap.md. Every record is, big-endian,
 *
 *      0 "KSTR"   4 version=1   5 kind   6 zero16   8 generation64   16 body   ... mac[32]
 *
 * mac = first 32 bytes of HMAC-SHA-512 under MK over a label and all that stands before it.
 *
 * (1) Nothing in a record is believed before its MAC is right. The record of MK itself cannot be
 *     MACed by a key that is still wrapped: it is opened by the vault's AES-KW, which
 *     authenticates, and its MAC and commitment are checked with the key that comes out.
 * (2) One encoding per value: decode refuses what encode would not have written.
 * (3) The generation of a record is that of the transaction that wrote it. It only goes up.
 */
#pragma once

#include "crypto/secret.h"
#include "custody/client.h"

#define KEK_ID_MAX    512  /* bytes of a key URI with version, with the terminating zero */
#define WRAP_BLOB_MAX 1024 /* bytes */
#define SCOPE_MAX     512  /* bytes of a scope's name, with the terminating zero */
#define RECORD_MAX    8192 /* bytes */

enum record_kind {
    RECORD_SCOPE = 1,
    RECORD_WRAP = 2,
    RECORD_STATE = 3,
    RECORD_MK = 4,
    RECORD_IEK = 5,
    RECORD_ROOT = 6,
    RECORD_SIGNER = 7,
    RECORD_SPOOL = 8, /* a wrap that lies in a slot of the log service, never in the catalogue */
};
const char *record_kind_name(enum record_kind k); /* "wrap": the kind in the catalogue */

enum wrap_alg { WRAP_RSA_OAEP_256 = 1, WRAP_A256KW = 2 };
const char *wrap_alg_name(enum wrap_alg a); /* "RSA-OAEP-256" */

enum wrap_state {
    WRAP_ACTIVE = 1,
    WRAP_PENDING = 2, /* made by a rotation that has not flipped yet */
};

struct wrapped { /* 32 secret bytes as one version of one KEK wraps them */
    char kek_id[KEK_ID_MAX];
    enum wrap_alg alg;
    uint16_t len;
    uint8_t blob[WRAP_BLOB_MAX];
};

struct wrap { /* an AEK, wrapped */
    uint64_t generation;
    uint8_t account[16], aek_id[16];
    uint32_t gen;    /* which of the account's AEKs: 1, 2, ... */
    uint32_t serial; /* which wrap of this AEK: 1, 2, ...; each rotation adds one */
    uint16_t suite;
    enum wrap_state state;
    int64_t created_us;
    struct wrapped w;
    uint8_t commit[32];
};

struct kek_config { /* what a scope's owner has chosen */
    char vault_uri[256], key_name[128], key_version[64], principal_id[64];
};

struct scope_record {
    uint64_t generation;
    char name[SCOPE_MAX];
    bool cleared; /* the key was removed: nothing is probed */
    bool sealed;  /* the identity was removed with it: no key is accepted until it is unlocked */
    struct kek_config kek;
    struct key_policy policy;
    bool is_double; /* its accounts' files are sealed twice; never changes */
};

struct state_record { /* an account: that it exists, to whom it belongs, and where it stood */
    uint64_t generation;
    uint8_t account[16];
    char scope[SCOPE_MAX], workspace[128];
    enum key_state state;
    int64_t since_us, created_us;
    /* How often it was REVOKED: what was spooled before is not opened after. */
    uint32_t revocations;
};

struct mk_record {
    uint64_t generation;
    int64_t created_us;
    struct wrapped w;
    uint8_t commit[32];
};

struct iek_record { /* which infrastructure key is the right one */
    uint64_t generation;
    int64_t created_us;
    uint8_t id[16], commit[32];
};

#define SIGNER_SEALED_LEN 48

struct signer_record { /* the Ed25519 key that signs seals of the audit log, sealed under MK */
    uint64_t generation;
    int64_t created_us;
    uint8_t public_key[32], salt[32], sealed[SIGNER_SEALED_LEN];
};

enum err wrap_encode(const struct wrap *w, const struct secret *mk, struct buf *out,
                     struct diag *d);
/* The same fields as another kind: a spool's wrap is never taken for an account's, nor the other way
 * round. gen is the account's revocations at the time, generation 0. */
enum err spool_encode(const struct wrap *w, const struct secret *mk, struct buf *out,
                      struct diag *d);
enum err scope_encode(const struct scope_record *s, const struct secret *mk, struct buf *out,
                      struct diag *d);
enum err state_encode(const struct state_record *s, const struct secret *mk, struct buf *out,
                      struct diag *d);
enum err mk_encode(const struct mk_record *m, const struct secret *mk, struct buf *out,
                   struct diag *d);
enum err iek_encode(const struct iek_record *i, const struct secret *mk, struct buf *out,
                    struct diag *d);
enum err signer_encode(const struct signer_record *s, const struct secret *mk, struct buf *out,
                       struct diag *d);

/* ERR_CORRUPT: the MAC is wrong, or the bytes are none of ours. */
enum err wrap_decode(struct bytes in, const struct secret *mk, struct wrap *out, struct diag *d);
enum err spool_decode(struct bytes in, const struct secret *mk, struct wrap *out, struct diag *d);
enum err scope_decode(struct bytes in, const struct secret *mk, struct scope_record *out,
                      struct diag *d);
enum err state_decode(struct bytes in, const struct secret *mk, struct state_record *out,
                      struct diag *d);
enum err iek_decode(struct bytes in, const struct secret *mk, struct iek_record *out,
                    struct diag *d);
enum err signer_decode(struct bytes in, const struct secret *mk, struct signer_record *out,
                       struct diag *d);
/* Whatever its kind: did this MK make its MAC? */
bool record_is_ours(struct bytes in, const struct secret *mk);
uint64_t record_generation(struct bytes in); /* as it says; 0 when it is too short */
/* Before MK is unwrapped: believes nothing but the shape. */
enum err mk_decode(struct bytes in, struct mk_record *out, struct diag *d);
/* After: MAC and commitment. */
enum err mk_check(struct bytes in, const struct mk_record *m, const struct secret *mk,
                  struct diag *d);
void mk_commitment(const struct secret *mk, uint8_t out[32]);

#define WRAP_ID_MAX 96                                     /* bytes, with the terminating zero */
void wrap_id(const struct wrap *w, char out[WRAP_ID_MAX]); /* "account/aek/gen/serial", hex */
