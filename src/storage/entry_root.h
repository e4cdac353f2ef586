/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage/entry_root.h - one hash over all live entries, so that none vanishes or comes back unnoticed
 *
 * The seal of an entry says that this store wrote it, not that it is the newest, nor that it has no
 * neighbour that was deleted. The root says which entries belong together: kind "entries", id
 * "root", sealed like an entry (manifest.h). Its body, big-endian:
 *
 *      version 8 = 1 | generation 64 | all, LTHASH_LEN (crypto/lthash.h)
 *
 * An element is X(SHA-256(kind 00 | id 00 | parent 00 | value), "keystead/1 entry" 00, 2048), its
 * number the first 8 bytes of that digest; the subject is kind and table, of a "log" kind and
 * account: the first 16 bytes of SHA-256(kind 00 | hex digits).
 *
 * (1) Entries are changed by entry_root_commit() alone: root and entries in one transaction. The
 * generation goes up by one with each.
 * (2) Nothing is believed, removed or written before the root was checked; what differs is named.
 * (3) Sealing may reserve numbers, and that is a transaction too: the root is sealed before.
 */
#pragma once

#include "base/thread.h"
#include "crypto/lthash.h"
#include "storage/manifest.h"

struct entry_root { /* of a store */
    struct catalog *catalog;
    struct manifest *manifest;
    const struct entry_root_watch *watch; /* NULL before it is open */
    pthread_mutex_t lock;                 /* below; before the manifest's and the catalogue's */
    uint64_t generation;
    struct lthash all;
};

void entry_root_init(struct entry_root *r, struct catalog *c, struct manifest *m);
void entry_root_release(struct entry_root *r);

/* What the catalogue holds, side by side with what its root says it should. */
struct entry_root_survey {
    uint64_t generation; /* of the root; 0: there is none */
    bool damaged;        /* there is one, which cannot be read */
    struct lthash want, is;
    struct buf subjects; /* the ids that are there, tables and accounts: 32 hex digits each */
};
void entry_root_survey_release(struct entry_root_survey *v);

/* t: a transaction that keeps others from writing meanwhile; NULL: nobody else writes. */
enum err entry_root_survey(struct catalog *c, struct catalog_txn *t, struct manifest *m,
                           struct entry_root_survey *out, struct diag *d);
/* ERR_CORRUPT: the entries are not the root's; the sentence names kinds and tables. */
enum err entry_root_compare(const struct entry_root_survey *v, struct diag *d);

/*
 * Reads the root, compares it with the entries and with what the watch knows (store.h), borrowed as
 * long as r lives. Where the operator accepts what differs, the watch is told first, and a root over
 * what is there gets the generation that was named.
 * ERR_CORRUPT  the entries are not the root's, or older than the watch knows; nothing was written
 */
struct entry_root_watch;
enum err entry_root_open(struct entry_root *r, const struct entry_root_watch *watch,
                         struct diag *d);

struct entry_change {
    const char *kind, *id;
    const char *parent; /* the entry's for ever: also of one that goes */
    struct bytes value; /* p NULL: the entry goes */
};
/* One durable transaction (1); on OK *generation is the root's. The ids differ. An entry that goes and
 * is not there is fine. A failure is as catalog.h has it: void, once a later one has succeeded. */
enum err entry_root_commit(struct entry_root *r, const struct entry_change *changes, size_t n,
                           uint64_t *generation, struct diag *d);
uint64_t entry_root_generation(struct entry_root *r);
