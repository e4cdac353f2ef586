/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody/client.h - the log service's side of keyd: scopes, accounts, states, leases
 *
 * A scope is what has one KEK: "platform", or a cluster (its ARM id in lower case). Accounts belong
 * to a scope for ever. keyd decides; this side writes what keyd asks it to write (records, MACed by
 * keyd, opaque here), keeps the file keys that hang on a lease, and wipes them when the lease ends
 * or keyd says so.
 *
 * Lease: one per account, min(60 s, revocation bound), by CLOCK_BOOTTIME and CLOCK_REALTIME of the
 * kernel, whichever ends first. Renewed by a thread of this module. Without keyd everything here
 * locks itself.
 */
#pragma once

#include "base/chan.h"
#include "crypto/sealed.h"
#include "custody/policy.h"
#include "json/json.h"

/* First enumerator: a forgotten cell locks and drops nothing. The states of keys.md. */
enum key_state {
    KEY_SUSPENDED, /* no key in memory: reads answer 503, new rows are spooled */
    KEY_REVOKED,   /* no key in memory: reads answer 403, new rows are dropped and counted */
    KEY_DOUBT,     /* one denial: no lease given or renewed, new queries wait */
    KEY_RESTORING, /* the key is back; logs are being replayed */
    KEY_STALE,     /* the vault is silent; keys already leased serve */
    KEY_ACTIVE,
    KEY_STATES
};
const char *key_state_name(enum key_state s); /* "ACTIVE" */

struct custody_record { /* kind: "scope", "wrap", "state", "mk", "iek", "signer", "root"; value
                           empty = delete */
    const char *kind, *id, *parent;
    struct bytes value;
};

struct custody_config {
    void *ctx;
    /* Writes all records in one durable transaction (storage/catalog.h through server/). A "root"
     * that does not follow the stored one (custody/root.h) fails it all: ERR_CONFLICT. */
    enum err (*persist)(void *ctx, const struct custody_record *records, size_t n, struct diag *d);
    /* Calls visit for every record of the kind, in order of id. */
    enum err (*load)(void *ctx, const char *kind,
                     enum err (*visit)(void *visit_ctx, const struct custody_record *r,
                                       struct diag *d),
                     void *visit_ctx, struct diag *d);
    /* A state changed. On REVOKED, SUSPENDED: wipe at once (keys here are wiped already) and
     * return; keyd waits for it, 1 s at most. On RESTORING: replay, then return OK: the account
     * becomes ACTIVE. */
    enum err (*changed)(void *ctx, const uint8_t account[16], enum key_state was,
                        enum key_state now, struct diag *d);
};

struct custody;
enum err custody_new(struct custody **out, const struct custody_config *c, struct diag *d);
void custody_free(struct custody *c);         /* wipes all leased keys */
struct chan *custody_chan(struct custody *c); /* to attach keyd's socket to */
/* keyd has MK and the platform's scope is ACTIVE. */
enum err custody_wait_ready(struct custody *c, uint64_t timeout_ms, struct diag *d);

/* The generation of the storage's root, for the anchor (struct entry_root_watch of storage/store.h; the
 * context is the struct custody). moved tells keyd with the next renewal of leases. */
enum err custody_entries_last(void *custody, uint64_t *generation, bool *older_is_fine,
                              struct diag *d);
enum err custody_entries_accepted(void *custody, uint64_t generation, const char *what,
                                  struct diag *d);
void custody_entries_moved(void *custody, uint64_t generation);

struct custody_kek {
    const char *vault_uri; /* https://demo-kv.vault.localhost:8444 */
    const char *key_name;
    const char *key_version;  /* "" = the latest, followed automatically */
    const char *principal_id; /* managed identity that may wrap and unwrap */
    struct key_policy policy;
    bool is_double; /* files of the scope's accounts are sealed twice: never changes */
};

struct custody_kek_found {
    char version[64];
    uint32_t rsa_bits; /* 0: the key is no RSA key */
};

/* Describe, wrap, unwrap, compare; no change. ERR_DENIED, ERR_NOT_FOUND, ERR_UNAVAILABLE, or
 * ERR_INVALID tag "KeyNotRecoverable", "KeyDisabled", "KeyExpired", "KeyType". */
enum err custody_kek_check(struct custody *c, const struct custody_kek *k,
                           struct custody_kek_found *out, struct diag *d);
/* Sets or changes a scope's KEK: rewraps every account's AEK in the order of keys.md "Rotation",
 * returns when all are. Setting a key on a cleared scope first unwraps with the wraps' own kek_id.
 */
enum err custody_scope_set(struct custody *c, const char *scope, const struct custody_kek *k,
                           uint64_t *wraps_rewritten, struct diag *d);
/* Changes how a scope waits and how soon it acts; asks no vault. `by`: whose order, for the audit.
 * ERR_INVALID: it does not fit together. ERR_NOT_FOUND: it does, but there is no such scope: it
 * comes with custody_scope_set(). */
enum err custody_scope_policy(struct custody *c, const char *scope, const struct key_policy *p,
                              const char *by, struct diag *d);
/* The key is taken away from the scope: REVOKED at once. sealed: the identity went with it, and no
 * key is accepted any more until custody_scope_unlock(). */
enum err custody_scope_clear(struct custody *c, const char *scope, bool sealed, struct diag *d);
/* An administrator's explicit word that a sealed scope may have a key again. It stays REVOKED until
 * one is set. ERR_CONFLICT: it is not sealed. */
enum err custody_scope_unlock(struct custody *c, const char *scope, const char *by, struct diag *d);
/* What `keystead keys status` says of the scope as a whole: "scopes" has one member. */
enum err custody_scope_state(struct custody *c, const char *scope, json_t **out, struct diag *d);
enum err custody_scope_remove(struct custody *c, const char *scope,
                              struct diag *d); /* destroys the wraps */
/* A new AEK for a new account, wrapped by the scope's KEK, persisted. There already: OK. */
enum err custody_account_add(struct custody *c, const char *scope, const uint8_t account[16],
                             const char *workspace, struct diag *d);
/* Rewraps every AEK of the scope to the KEK version that new ones get; no data is touched. */
enum err custody_scope_rewrap(struct custody *c, const char *scope, const char *by, uint64_t *wraps,
                              struct diag *d);
/* A new AEK for the account: files made from now on lie under it, older ones under theirs. */
enum err custody_aek_rotate(struct custody *c, const uint8_t account[16], const char *by,
                            uint32_t *generation, uint8_t aek_id[16], struct diag *d);
/* Destroys the wrap of an AEK under which no file lies any more: the caller's word for it. Never
 * the newest. Gone already: OK. */
enum err custody_aek_drop(struct custody *c, const uint8_t account[16], const uint8_t aek_id[16],
                          struct diag *d);
/* As last heard; SUSPENDED when unknown or keyd is away. */
enum key_state custody_account_state(struct custody *c, const uint8_t account[16]);
/* The arrays "accounts" and "scopes", and "anchor", of `keystead keys status` (without "dropped":
 * the caller adds it). */
enum err custody_status(struct custody *c, json_t **out, struct diag *d);

/* Lines of the key-access audit log behind number `after` (docs/formats/audit.md), each with its
 * end; nothing: there are no more yet. Appends to out. */
enum err custody_audit_read(struct custody *c, uint64_t after, struct buf *out, struct diag *d);

/* The functions of storage/keys.h; self is the struct custody. */
enum err custody_file_create(void *self, const uint8_t account[16], enum otype otype,
                             const uint8_t file_id[16], struct file_key **out, struct diag *d);
enum err custody_file_open(void *self, const uint8_t account[16], const struct file_ident *files,
                           size_t n, struct file_key **out, struct diag *d);
void custody_file_release(void *self, struct file_key *k);
enum err custody_lease_check(void *self, const uint8_t account[16], struct diag *d);

/* Keys of a spool: rows that come while an account is SUSPENDED wait under an AEK of their own,
 * which the platform's KEK wraps. They hang on no lease; the holder wipes them. */
enum err custody_spool_make(void *self, const uint8_t account[16], struct buf *record,
                            struct diag *d);
enum err custody_spool_keys(void *self, const struct spool_ask *q, struct file_key **out,
                            struct diag *d);

DEFINE_CLEANUP(custody_free, struct custody)
