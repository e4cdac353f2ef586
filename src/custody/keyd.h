/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody/keyd.h - the key daemon: the only process that ever holds an AEK
 *
 * No listening socket: channels to the log service, to identity, and to who verifies the store, all
 * from the supervisor. Reaches vaults by HTTPS with the tokens of the clusters' identities.
 */
#pragma once

#include "base/chan.h"
#include "custody/policy.h"
#include "crypto/secret.h"

struct keyd;
struct token;

struct keyd_config {
    const char *ca_file;
    const char *audit_dir;          /* DIR/keyd, made already: the audit log */
    size_t audit_file_max;          /* bytes; 0 = 16 MiB */
    const char *auditor_key;        /* PEM of a public key; NULL: a pair is made in audit_dir */
    const char *anchor;             /* "file:/path"; NULL: rollback is not detected */
    uint64_t accept_rollback;       /* of exactly this generation, as keyd named it; 0: of none */
    const char *const *vault_hosts; /* allow-listed host suffixes with port, NULL-terminated */
    const char *vault_socket;       /* Unix socket of all of them; NULL = by their names */
    /* Vaults that are not this server's: host suffixes as above, or NULL; reached by their names, and
     * what vouches for their certificates (NULL: the system's bundle). */
    const char *const *foreign_hosts;
    const char *foreign_ca_file;
    /* The one token that pkcs11: URIs may name, or NULL. Borrowed; logged in before
     * keyd_harden(), which forbids to load a module. "pkcs11:token=LABEL" is among vault_hosts. */
    struct token *hsm;
    const char *platform_vault_uri; /* https://keystead-platform.vault.localhost:8444 */
    const char *platform_key;       /* "pmk" */
    const char *platform_principal_id;
    struct key_policy policy; /* of scopes that have none of their own */
    /* The infrastructure key of the second layer (iek.h), copied; NULL: nothing can be sealed
     * twice, and iek_trouble says why. The custodian is told in the status. */
    const struct secret *iek;
    const char *iek_custodian, *iek_trouble;
    /* What may be read besides the audit log and what names are resolved with, ends with NULL; all
     * else is closed by Landlock. NULL: nothing is closed. writable: directories in which a PKCS#11
     * module keeps files of its own; NULL: none, and nothing there is ever opened for writing. */
    const char *const *readable, *const *writable;
    /* The log service did not acknowledge a wipe within 1 s: the supervisor is to kill it. May be
     * NULL. */
    void (*holder_failed)(void *ctx);
    /* The audit log cannot be written: this keyd hands out nothing any more, and would not even
     * hear a denial. It is to end, and the next one to begin a new part of the log. Must not call
     * keyd. May be NULL. */
    void (*audit_failed)(void *ctx);
    void *ctx;
};

enum err keyd_new(struct keyd **out, const struct keyd_config *c, struct diag *d);
void keyd_free(struct keyd *k); /* wipes everything */
struct chan *keyd_chan_logs(struct keyd *k);
struct chan *keyd_chan_identity(struct keyd *k);
struct chan *
keyd_chan_reader(struct keyd *k); /* who may only open files that exist: custody/reader.h */
/* Locks memory, drops privileges, installs seccomp: after the channels are attached, before
 * keyd_start(). New files are made below audit_dir_fd only (-1: nowhere). writes_files: a module
 * writes files, and Landlock alone says which: keyd_wall_in() came before. */
enum err keyd_harden(int audit_dir_fd, bool writes_files, struct diag *d);
/* Landlock, for this thread and those it starts: keyd_new() does it between opening its files and
 * starting its threads, when the configuration says what may be read. ERR_UNSUPPORTED: something is
 * to be writable, and this kernel has no Landlock that would keep it to that. */
enum err keyd_wall_in(const char *const *readable, const char *const *writable, int audit_dir_fd,
                      struct diag *d);
int keyd_audit_dir_fd(const struct keyd *k);
enum err keyd_start(struct keyd *k, struct diag *d); /* threads: load records, probe, serve */

DEFINE_CLEANUP(keyd_free, struct keyd)
