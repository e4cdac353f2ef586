/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage/keys.h - how storage gets keys: never an AEK, only file keys under a lease
 *
 * custody/client.c implements it for the log service, tool/ for verify, tests with a fixed AEK. A
 * file_key that is handed out stays valid memory until release(), but once the account is locked
 * every block_seal() and block_open() with it fails with ERR_KEY_LOCKED or ERR_UNAVAILABLE.
 */
#pragma once

#include "crypto/sealed.h"

struct key_ops {
    /* A new file: identity with the account's current AEK, fresh salt, commitment, and its key.
     * file_id was reserved by the caller. ERR_KEY_LOCKED revoked; ERR_UNAVAILABLE suspended, or
     * keyd is away. */
    enum err (*create)(void *self, const uint8_t account[16], enum otype otype,
                       const uint8_t file_id[16], struct file_key **out, struct diag *d);
    /* Keys of existing files of one account, in one exchange; all or nothing. */
    enum err (*open)(void *self, const uint8_t account[16], const struct file_ident *files,
                     size_t n, struct file_key **out, struct diag *d);
    void (*release)(void *self, struct file_key *k); /* NULL is fine */
    /* Is the account's lease good this moment? Cheap: asked before each row group and each send. */
    enum err (*check)(void *self, const uint8_t account[16], struct diag *d);
};

/* Keys for rows that come while an account's key is suspended. The caller owns the file keys:
 * file_key_wipe() and file_key_free() are his. */
struct spool_ops {
    /* A new spool: its record, opaque. ERR_CONFLICT: the account is not suspended any more;
     * ERR_KEY_LOCKED: it is revoked; ERR_UNAVAILABLE: without the platform's key there is none. */
    enum err (*make)(void *self, const uint8_t account[16], struct buf *record, struct diag *d);
    /* q->n_files keys, and one more for a new file; all or none. ERR_CORRUPT: the record or a file
     * is not what keyd made; else as make(). */
    enum err (*keys)(void *self, const struct spool_ask *q, struct file_key **out, struct diag *d);
};

struct keys {
    const struct key_ops *ops;
    void *self;
};
