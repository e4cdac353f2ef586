/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody/anchor.h - a small value outside of the data directory, against its rollback
 *
 * Whoever puts an older copy of the whole data directory in its place cannot do it without the
 * anchor noticing: it holds the generation and the MAC of the last root record, and the last seal
 * of the audit log, and it is written after both. docs/formats/anchor.md.
 *
 * The value is MACed under MK; read without MK it still tells an auditor how far the log went.
 */
#pragma once

#include "crypto/ed25519.h"

struct anchor_ops {
    const char *scheme; /* "file": the part of the name before the colon */

    /* Opens the place, which may be empty; all that needs opening is opened here, once: keyd is not
     * hardened yet. *self is freed by close. */
    enum err (*open)(void **self, const char *where, bool read_only, struct diag *d);
    void (*close)(void *self);
    /* Appends the last value that was written; nothing when none ever was. */
    enum err (*read)(void *self, struct buf *out, struct diag *d);
    /* Replaces it, durably: after a crash it is the old one or the new one. At most 1 KiB. One call
     * at a time. */
    enum err (*write)(void *self, struct bytes value, struct diag *d);
};

extern const struct anchor_ops anchor_file_ops, anchor_pkcs11_ops;

struct anchor {
    const struct anchor_ops *ops;
    void *self;
    char name[512]; /* "file:/mnt/anchor/keystead": as configured */
};

/* ERR_INVALID: no such scheme. read_only: nothing is made. */
enum err anchor_open(struct anchor *out, const char *name, bool read_only, struct diag *d);
void anchor_close(struct anchor *a); /* all zeros is fine */

struct anchor_value {
    uint8_t store[16];   /* whose it is: the start of MK's commitment */
    uint64_t generation; /* of the last root record, and its MAC */
    uint8_t root_mac[32];
    uint64_t audit_seq; /* of the last seal of the audit log, and the chain after it */
    uint8_t audit_chain[32];
    uint8_t signer[32]; /* keyd's Ed25519 key */
    uint64_t entries;   /* generation of the storage's root, as the log service told it last */
};

/* Signed with the key whose public half is v->signer, then MACed. */
enum err anchor_encode(const struct anchor_value *v, const struct secret *signer,
                       const struct secret *mk, struct buf *out, struct diag *d);
/* The signature is checked always, the MAC unless mk is NULL. ERR_CORRUPT: none of ours, or
 * changed. */
enum err anchor_decode(struct bytes in, const struct secret *mk, struct anchor_value *out,
                       struct diag *d);
