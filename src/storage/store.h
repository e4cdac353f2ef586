/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage/store.h - the sealed column store: tables of rows in, row groups out
 *
 * A table belongs to a workspace. Rows go to the account that the workspace writes to at that
 * moment (platform or cluster), through that account's write-ahead log into a memtable, later into
 * segments. A scan sees all accounts of the table as of its start.
 */
#pragma once

#include "base/str.h"
#include "column/vec.h"
#include "storage/catalog.h"
#include "storage/keys.h"

struct store;
struct table; /* lives as long as the store */

/* How a spool came to its end. */
struct spool_end {
    bool is_destroyed; /* all its rows are gone: the key was withdrawn */
    /* Else they were put back: as many per table could be read. Fewer than were counted: the rest
     * is lost. */
    const struct spool_rows *tables;
    uint32_t n_tables;
};
struct spool_rows {
    struct guid table;
    uint64_t rows;
};

struct spool_config {            /* rows that come while an account's key is suspended */
    const struct spool_ops *ops; /* NULL: nothing is spooled */
    void *self;
    uint64_t bytes_max; /* per account; 0 = SPOOL_BYTES */
    uint64_t total_max; /* bytes of all accounts together; 0 = SPOOL_TOTAL */
    uint32_t hours_max; /* 0 = SPOOL_HOURS: then rows are refused, and stay with their sender */
    /* So many rows more are in the spool, durably; called before their sender hears of it. */
    enum err (*counted)(void *ctx, const uint8_t account[16], const struct guid *table,
                        uint64_t rows, struct diag *d);
    /* The spool is empty now. Again after a crash or a failure: it must not count twice. */
    enum err (*emptied)(void *ctx, const uint8_t account[16], const struct spool_end *end,
                        struct diag *d);
    void *ctx;
};
#define SPOOL_BYTES ((uint64_t)1 << 30)
#define SPOOL_TOTAL ((uint64_t)16 << 30)
#define SPOOL_HOURS 24

/* Who outside of the store knows how far its entries went (storage/entry_root.h); all NULL: nobody. */
struct entry_root_watch {
    uint64_t accept; /* a generation that store_open() named: the operator's word; 0: none */
    void *ctx;
    /* The last generation that is known there. *older_is_fine: the operator has put back a copy of
     * everything, and it was recorded. */
    enum err (*last)(void *ctx, uint64_t *generation, bool *older_is_fine, struct diag *d);
    /* Records what is accepted, before anything is written. */
    enum err (*accepted)(void *ctx, uint64_t generation, const char *what, struct diag *d);
    /* This generation is durable now. Never waits. */
    void (*moved)(void *ctx, uint64_t generation);
};

struct store_config {
    const char *dir; /* DIR: blobs in DIR/blobs, logs in DIR/wal */
    struct catalog *catalog;
    struct keys keys;
    uint8_t platform_account[16]; /* seals tables and manifest entries */
    uint32_t memtable_rows_max;   /* 0 = 262,144: then a segment is written */
    uint64_t memtable_age_s;      /* 0 = 300 */
    bool merge_on_request;        /* small segments are merged by store_compact() alone */
    struct spool_config spool;
    struct entry_root_watch watch;
};

/* Reads tables and manifests (needs the platform account's key). Replays no log yet: see
 * store_account_open(). ERR_CORRUPT: the catalogue or a file is not as it was written; what is
 * there stays as it is. */
enum err store_open(struct store **out, const struct store_config *c, struct diag *d);
/* Flushes memtables of accounts that are not locked, then closes. */
void store_close(struct store *s); /* NULL is fine */
DEFINE_CLEANUP(store_close, struct store)

/* Makes an account's rows available: replays its logs into memtables, opens a new log on the first
 * append. Again after a restore. */
enum err store_account_open(struct store *s, const uint8_t account[16], struct diag *d);
/* The key is gone: memtables, decoded blocks and keys of the account are wiped; its logs stay.
 * Fast, never fails: it runs against the 1 s deadline of a revocation. Running scans fail at their
 * next check. */
void store_account_lock(struct store *s, const uint8_t account[16]);

/* Tables. Names are case-sensitive as in KQL. A schema only grows: columns are added at the end. */
enum err store_table_create(struct store *s, const struct guid *workspace, const char *name,
                            const struct schema *schema, struct table **out, struct diag *d);
enum err store_table_find(struct store *s, const struct guid *workspace, const char *name,
                          struct table **out, struct diag *d); /* ERR_NOT_FOUND */
enum err store_table_add_columns(struct store *s, struct table *t, const struct schema *more,
                                 struct diag *d);
enum err store_table_set_retention(struct store *s, struct table *t, uint32_t days, struct diag *d);
/* The table's name is free at once and its rows are not found any more; the next rounds of retention
 * remove them, the newest a day after they came. */
enum err store_table_drop(struct store *s, struct table *t, struct diag *d);
uint32_t store_table_retention(const struct table *t);    /* days; 0 = the workspace's */
const struct schema *store_table_schema(struct table *t); /* valid as long as the store */
const char *store_table_name(const struct table *t);
const struct guid *
store_table_id(const struct table *t); /* random: names it where its name must not stand */
struct table *store_table_at(struct store *s, const struct guid *workspace,
                             uint32_t i); /* NULL: end */

/* Appends rows to the account's log, durably; they can be queried when it returns. The batch has
 * the table's columns in their order. ERR_KEY_LOCKED, ERR_UNAVAILABLE: nothing was written. */
enum err store_append(struct store *s, struct table *t, const uint8_t account[16],
                      const struct batch *rows, struct diag *d);
/* As store_append(), but a batch whose id was stored within the last five minutes is not stored
 * again: *repeated. So a sender that heard no answer may send again, whatever died meanwhile. The
 * id is the sender's name for the batch, 16 bytes that differ where workspace or table do; NULL:
 * none. Waits while another call writes the same one. */
enum err store_append_once(struct store *s, struct table *t, const uint8_t account[16],
                           const struct batch *rows, const uint8_t *id, bool *repeated,
                           struct diag *d);
/* Was it stored a short while ago? Answers for locked accounts too, as long as the process lives.
 */
bool store_batch_known(struct store *s, const uint8_t id[16]);

/* As store_append_once() for an account that is suspended: the rows are durable under the
 * platform's key, and store_account_open() puts them back, each once. ERR_CONFLICT: it is not
 * suspended any more, look again. ERR_KEY_LOCKED: it is revoked. ERR_UNAVAILABLE: the platform's
 * key is away, or, tag "SpoolFull", there is no room: nothing was taken. */
enum err store_spool_append(struct store *s, struct table *t, const uint8_t account[16],
                            const struct batch *rows, const uint8_t *id, bool *repeated,
                            struct diag *d);
/* The customer has withdrawn the key: the spool's is wiped and its wrap overwritten on the disk
 * when this returns. */
enum err store_spool_destroy(struct store *s, const uint8_t account[16], struct diag *d);
struct store_spool_info {
    uint64_t bytes;
    int64_t since_us;
    bool is_damaged;
    const char *medium; /* a file system that does not write in place; "": none that is known */
};
bool store_spool_info(struct store *s, const uint8_t account[16],
                      struct store_spool_info *out); /* false: nothing is spooled */

enum err store_flush(struct store *s, const uint8_t account[16],
                     struct diag *d); /* memtables to segments */

/* Merges small segments of the account as long as there are enough of them; the background does it
 * too. */
enum err store_compact(struct store *s, const uint8_t account[16], struct diag *d);

/* A scan: hints as in exec/source.h (storage may not see exec; api/ adapts one to the other). */
#define STORE_RECEIVED UINT32_MAX /* as a column: when the row came, a datetime */
struct store_hint {
    uint32_t column; /* of the table */
    enum { STORE_EQ, STORE_LT, STORE_LE, STORE_GT, STORE_GE, STORE_HAS_TERM } op;
    struct value value;
};
struct store_scan;
struct store_gone { /* an account whose rows nobody is to see any more */
    uint8_t account[16];
    _Atomic bool had_rows; /* set by a scan that left some out */
};
/* ERR_KEY_LOCKED when any account with rows of this table is revoked: a query that touches them
 * fails whole. But rows of those in gone are left out, and the account says so. */
enum err store_scan_open(struct store *s, struct table *t, const uint32_t *columns,
                         uint32_t n_columns, const struct store_hint *hints, uint32_t n_hints,
                         struct store_scan **out, struct diag *d);
enum err store_scan_open_without(struct store *s, struct table *t, const uint32_t *columns,
                                 uint32_t n_columns, const struct store_hint *hints,
                                 uint32_t n_hints, struct store_gone *gone, uint32_t n_gone,
                                 struct store_scan **out, struct diag *d);
uint32_t store_scan_units(const struct store_scan *sc);
uint64_t store_scan_rows(const struct store_scan *sc, uint32_t unit);
enum err store_scan_read(struct store_scan *sc, uint32_t unit, const uint32_t *places,
                         uint32_t n_places, struct arena *a, struct batch *out, struct diag *d);
void store_scan_close(struct store_scan *sc); /* NULL is fine */
DEFINE_CLEANUP(store_scan_close, struct store_scan)

/* The days of a workspace whose tables say nothing themselves; 0: for ever. Called with locks held:
 * it must not come back to the store. */
typedef uint32_t store_days(void *ctx, const struct guid *workspace);
/* Deletes whole segments whose newest row is past the table's retention; works for locked accounts
 * too. */
enum err store_retention_run(struct store *s, int64_t now_us, store_days *days, void *ctx,
                             uint64_t *segments_removed, struct diag *d);

/* Deletes all that an account holds: its key is gone for ever. Locks it first. Again after a
 * failure: it goes on where it stopped. */
enum err store_account_drop(struct store *s, const uint8_t account[16], struct diag *d);

/* Seals a small text of another module under the platform account's key: what must not lie in the
 * catalogue in plain. The id is inside the seal: what was moved to another one is ERR_CORRUPT. */
enum err store_seal(struct store *s, const char *id, struct bytes body, struct buf *out,
                    struct diag *d);
enum err store_unseal(struct store *s, const char *id, struct bytes sealed, struct buf *body,
                      struct diag *d);

/* --- re-encryption: what lies elsewhere moves under the newest AEK of one account, file by file.
 * One at a time for a whole store. */
struct store_rewrap {
    struct guid workspace;
    uint8_t to[16], aek_id[16]; /* the account; its AEK that seals new files */
    const uint8_t (*from)[16];  /* accounts whose rows of the workspace move; `to` itself is one: */
    uint32_t n_from;            /* of it what lies under older AEKs */
};
struct store_rewrap_left {
    uint64_t segments, bytes; /* to be copied */
    uint64_t logs; /* files with rows elsewhere: they go by themselves once segments cover
                      them and their batch ids are forgotten */
};
/* Ends the log that lies under an older AEK, and brings all rows into segments. */
enum err store_rewrap_flush(struct store *s, const struct store_rewrap *r, struct diag *d);
/* Copies one segment; *bytes is the old one's length, 0: there is none left. Whatever it fails of,
 * or wherever the process dies, rows are there once. ERR_KEY_LOCKED, ERR_UNAVAILABLE: a key is
 * away; call again later. */
enum err store_rewrap_step(struct store *s, const struct store_rewrap *r, uint64_t *bytes,
                           struct diag *d);
enum err store_rewrap_count(struct store *s, const struct store_rewrap *r,
                            struct store_rewrap_left *out, struct diag *d);
/* Calls drop, and says so, if no file of the account lies under the AEK, nor will. */
typedef enum err store_aek_drop(void *ctx, const uint8_t account[16], const uint8_t aek_id[16],
                                struct diag *d);
enum err store_aek_unused(struct store *s, const uint8_t account[16], const uint8_t aek_id[16],
                          store_aek_drop *drop, void *ctx, bool *unused, struct diag *d);

struct store_stats {
    uint64_t rows, segments, segment_bytes, wal_bytes, memtable_rows;
};
void store_stats(struct store *s, struct store_stats *out);
