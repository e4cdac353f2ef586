/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage/store_impl.h - what the parts of the store share; for store*.c only
 *
 * Locks, in the order in which they are taken; none is held while waiting for a disk or for a key
 * except log_lock and flush_lock:
 *
 *      account.open_lock   one replay at a time
 *      account.flush_lock  one flush at a time
 *      account.log_lock    which log file is written; held while one is made or retired
 *      spool.lock          state of a spool (spool.h)
 *      store.moves         read by a scan that begins; written while a segment changes accounts
 *      store.lock          lists of tables, accounts and parts; schemas
 *      account.lock        state, memtables, segments, logs, scans
 *
 * (1) Lists of tables, accounts and parts only grow.
 * (2) Whoever touches rows in memory, or opens a block, has entered the account.
 *     store_account_lock() closes the door, waits for those inside - they compute, they never wait
 *     - and wipes.
 * (3) epoch changes at every lock: who held anything before finds out when it enters again.
 */
#pragma once

#include "base/map.h"
#include "base/os.h"
#include "base/thread.h"
#include "base/time.h"
#include "storage/blob.h"
#include "storage/dedupe.h"
#include "storage/manifest.h"
#include "storage/entry_root.h"
#include "storage/memtable.h"
#include "storage/rows.h"
#include "storage/segment.h"
#include "storage/store.h"
#include "storage/wal.h"

#define UNIT_ROWS          65536u  /* most rows of a unit of a scan, of a piece, of a log record */
#define MEMTABLE_ROWS      262144u /* default of store_config */
#define MEMTABLE_AGE_S     300u    /* default of store_config */
#define MEMTABLE_BYTES_MAX ((size_t)256 << 20)
#define WAL_ROLL           ((uint64_t)16 << 20) /* bytes: then the next file is begun */
#define SPOOL_ROLL         ((uint64_t)64 << 20) /* as WAL_ROLL, of a spool */
#define WAL_HELD_MAX \
    ((uint64_t)64 << 20) /* bytes of logs: then what holds back the oldest is flushed */

struct live_segment { /* what is known without the account's key */
    _Atomic unsigned refs;
    struct store *store;
    struct segment_entry entry;
    uint8_t aek_id[16]; /* account.flush_lock: what its header says, once has_aek is set */
    bool has_aek;
    _Atomic bool dropped; /* no longer in the catalogue: the last reference deletes the blob */
};

struct part { /* of a table, in an account */
    struct table *table;
    struct account *account;
    struct part *next_of_table, *next_of_account;
    struct memtable *active; /* never NULL */
    struct memtable *frozen; /* the oldest first: written in this order */
    struct live_segment **segments;
    uint32_t n_segments, cap_segments;
    uint64_t covered; /* rows up to this log number are in segments */
};

/* The columns of a table as its owner knows them, and as memtables and segments have them: behind
 * one that says when the row came. */
struct table_schema {
    struct schema named, stored;
};
#define RECEIVED_COLUMN "$IngestionTime" /* stored.cols[0], a datetime */

struct table {
    struct store *store;
    struct guid workspace, id;
    char *name; /* in store.schemas; a table that is dropped gets another */
    const struct table_schema *_Atomic schema;
    _Atomic uint32_t retention_days;
    struct part *parts; /* store.lock */
    pthread_mutex_t alter_lock;
};

struct log_file {
    struct log_file *next;  /* younger */
    struct log_entry entry; /* tables grows while the file is written */
    uint32_t cap_tables;
    uint64_t length; /* bytes; final once it is retired */
    int64_t ids_us;  /* when the newest batch with an id came: the file stays for DEDUPE_US */
    bool complete; /* entry.tables lists all that it holds: written or replayed by this process, or
                      final */
    bool retired;  /* nothing is written to it any more */
};

struct pending { /* an append on its way to the disk */
    struct pending *next, **at;
    struct part *part;
    struct log_file *log;
    struct piece **pieces; /* its rows, until they are in the memtable; the first n_pieces */
    uint32_t n_pieces;
    uint64_t epoch;
    int64_t ids_us; /* as in log_file; 0: the batch has no id */
};

struct time_range { /* ticks, both ends included */
    int64_t min, max;
};
static inline bool in_time_range(const struct time_range *r, int64_t min, int64_t max)
{
    return min <= r->max && max >= r->min;
}

struct scan_part { /* what a scan holds of one account */
    struct scan_part *next_in_account, **at;
    struct scan_part *next;
    struct part *part;
    uint64_t epoch;
    struct piece **pieces; /* the oldest first */
    uint32_t n_pieces;
    struct live_segment **segments;
    struct segment_reader **readers; /* each with its key; closed by the lock */
    uint32_t n_segments;
};

enum account_state {
    ACCOUNT_CLOSED,  /* rows may lie in its logs, which nobody has read yet */
    ACCOUNT_OPENING, /* being replayed */
    ACCOUNT_OPEN,
    ACCOUNT_LOCKED,
};

struct account {
    struct account *next;
    struct store *store;
    uint8_t id[16];
    char *wal_dir;
    pthread_mutex_t open_lock, flush_lock, log_lock, lock;
    pthread_cond_t left; /* somebody left, or state or memtables changed */

    /* account.lock */
    enum account_state state;
    uint64_t epoch;
    unsigned users;
    struct part *parts;
    struct wal *wal;             /* changed under log_lock too */
    struct log_file *logs, *log; /* the oldest first; the one that wal writes */
    struct pending *pending;
    struct scan_part *scans;
    struct segment_writer *writer; /* of the flush that runs */
    uint64_t drained;              /* rows up to this number of the spool are in the log */
    struct map log_ids; /* batch id -> when it came: what the logs of a spooled account hold */

    _Atomic bool spooled; /* rows wait in the spool: no log leaves, no new row comes */
    struct spool *spool;  /* store.spool_lock; lives as long as the account */

    /* log_lock */
    struct wal_end end; /* where the youngest retired file ends */
};

struct store {
    struct store_config c;
    char *wal_dir, *spool_dir;
    pthread_mutex_t spool_lock; /* who has a spool */
    _Atomic uint64_t spooled;   /* bytes of all spools, as each was last weighed */
    struct manifest *manifest;
    struct entry_root root;
    struct blobs *blobs;
    struct dedupe *dedupe;
    pthread_rwlock_t
        moves; /* before lock: a scan begins before a segment changes accounts or after */
    pthread_mutex_t lock;
    struct table **tables;
    uint32_t n_tables, cap_tables;
    struct account *accounts;
    struct arena schemas;       /* they live as long as the store */
    pthread_mutex_t doubt_lock; /* the list */
    struct doubt *doubts;

    pthread_t flusher;
    struct timer *timer;
    bool flusher_runs;
    _Atomic bool stopping;
};

/* store.c */
struct account *store_account_find(struct store *s, const uint8_t id[16]); /* NULL */
enum err store_account_get(struct store *s, const uint8_t id[16], struct account **out,
                           struct diag *d);
enum err store_part_get(struct table *t, struct account *a, struct part **out, struct diag *d);
int64_t ticks_now(void);
void part_free(struct part *p);

/* store_table.c */
struct table *store_table_by_id(struct store *s, const struct guid *id); /* NULL */
int table_time_column(const struct schema *s);                           /* -1: none */
/* store.lock. Adds the table of the entry to the store's. */
enum err table_new(struct store *s, const struct table_entry *e, struct table **out,
                   struct diag *d);
void table_free(struct table *t); /* with its parts */
DEFINE_CLEANUP(table_free, struct table)

/* store_doubt.c. Every change of the entries goes through here: entry_root_commit(), and with it what
 * earlier ones that failed have left on the disk. */
enum err store_commit(struct store *s, const struct entry_change *changes, size_t n,
                      struct diag *d);
/* A commit with its entry has failed: the file goes when it is known that the entry never comes. */
void doubt_segment(struct store *s, const uint8_t file_id[16]);
void doubt_log(struct store *s, const uint8_t file_id[16], const char *path);
void doubts_free(struct store *s);

/* One change of the entries in a transaction of its own: storage/entry_root.h. value.p NULL removes. */
enum err store_put_entry(struct store *s, const char *kind, const char *id, const char *parent,
                         struct bytes value, struct diag *d);

/* store_account.c */
enum err account_enter(struct account *a, uint64_t epoch, struct diag *d);
void account_leave(struct account *a);
/* Why rows of this account cannot be had: never OK. */
enum err account_refuse(struct account *a, struct diag *d);
void account_free(struct account *a);

/* Rows of one record of a log or a spool. */
struct rows_record {
    struct rows_head head;
    struct bytes rows;
    uint64_t number;
};
enum err record_rows(const struct wal_record *rec, struct rows_record *out, struct diag *d);
/* The records behind the first of a batch, read ahead: are they all there? */
enum err batch_is_whole(struct wal_reader ahead, struct file_key *k, const struct rows_head *first,
                        bool *whole, struct diag *d);

/* store_append.c: batches as records, and the same rows in pieces */
struct outgoing {
    struct part *part;
    const struct schema *schema;
    struct rows_head head;
    struct buf *records;
    struct piece **pieces;
    uint32_t n, cap;
    uint64_t rows;
};
/* its: the caller's, lives as long as o. ERR_INVALID: not this table's columns. */
enum err outgoing_init(struct outgoing *o, struct table *t, struct account *a,
                       const struct batch *rows, struct schema *its, struct diag *d);
enum err outgoing_add_batch(struct outgoing *o, const struct batch *rows, struct diag *d);
void outgoing_release(struct outgoing *o);
/* A piece for the memtable of rows of these columns. */
enum err received_piece(struct piece **out, const struct schema *named, const struct batch *rows,
                        int64_t time_us, struct diag *d);
/* All of it into the log and the memtable. ERR_UNAVAILABLE: the account is not open in this epoch.
 */
enum err outgoing_append(struct outgoing *o, uint64_t epoch, bool has_id, struct diag *d);
enum err account_epoch(struct account *a, uint64_t *epoch, struct diag *d); /* if it is open */

/* store_log.c */
/* The file to append to, made if need be; with a reference. Sets x->log, with a place for x's
 * table. Fails when the account is not open in x's epoch. */
enum err log_acquire(struct pending *x, struct wal **wal, struct diag *d);
void log_retire(struct account *a); /* under log_lock: if there is a file and it has ended */
enum err log_file_add(struct account *a, const struct log_entry *e, struct log_file **out,
                      struct diag *d); /* account.lock */
void log_file_free(struct log_file *f);
/* A place for the table in f->entry.tables; account.lock. */
enum err log_place(struct log_file *f, const struct guid *table, struct log_table **out,
                   struct diag *d);
const struct log_table *log_find(const struct log_file *f, const struct guid *table); /* NULL */
void log_note(struct log_file *f, const struct guid *table, uint64_t number, int64_t time_max);
void log_note_id(struct log_file *f, int64_t time_us);
/* Is all that it holds in segments? account.lock. */
bool log_is_covered(const struct log_file *f, const struct account *a);
/* The oldest file that is not covered, if the logs from there on are longer than WAL_HELD_MAX; else
 * NULL. account.lock. */
const struct log_file *log_overdue(const struct account *a);
/* When the oldest file can be dropped; INT64_MAX: something else must happen first. account.lock.
 */
int64_t log_drop_due(const struct account *a);
bool log_may_hold(const struct log_file *f, const struct table *t);
/* Files that no entry names: first whether all of them may go, then away with them. */
enum err log_sweep(struct store *s, bool remove, struct diag *d);
enum err log_finish_entries(struct account *a,
                            struct diag *d); /* of retired files: what they hold, final */
/* Retires the file if segments cover all it holds, then drops the oldest files that they cover. */
enum err log_drop_covered(struct account *a, struct diag *d);
/* Drops the oldest files as long as droppable() says so; under flush_lock. */
typedef bool log_droppable(const struct log_file *f, const struct account *a,
                           void *ctx); /* account.lock */
enum err log_drop(struct account *a, log_droppable *droppable, void *ctx, uint64_t *n,
                  struct diag *d);

/* Ends the file that is written, if it lies under another AEK: the next append makes a new one. */
enum err log_end_unless(struct account *a, const uint8_t aek_id[16], struct diag *d);
/* Adds the files with rows that lie under another AEK; NULL: all. */
enum err log_count_others(struct account *a, const uint8_t *aek_id, uint64_t *n, struct diag *d);
/* Is there a file under it, named or not? Under log_lock. */
enum err log_find_aek(struct account *a, const uint8_t aek_id[16], bool *found, struct diag *d);

/* store_flush.c */
enum err flush_account(struct account *a, bool all,
                       struct diag *d); /* all, or those that are full or old */
enum err flusher_start(struct store *s, struct diag *d);
void flusher_stop(struct store *s);
void flusher_kick(struct store *s);

/* store_compact.c: one merge per part of the account at most. */
enum err compact_account(struct account *a, bool *merged, struct diag *d);

/* store_segment.c */
enum err live_segment_new(struct store *s, const struct segment_entry *e, struct live_segment **out,
                          struct diag *d);
void live_segment_ref(struct live_segment *g);
void live_segment_unref(struct live_segment *g);                       /* NULL is fine */
enum err segments_sweep(struct store *s, bool remove, struct diag *d); /* as log_sweep() */
/* Room in p->segments for one more that nobody else takes: flushes of an account come one by one.
 * account.lock. */
enum err part_reserve_segment(struct part *p, struct diag *d);

/* Takes it out of the part's list: its file goes with the last reference. */
void part_forget_segment(struct part *p, struct live_segment *g);

/* store_scan_part.c */
/* account.lock, the account open: what the part holds now, of segments what lies in the range. It
 * heads the list, also when it fails: whoever has the list closes it. A lock wipes it from now on. */
enum err scan_part_new(struct part *p, const struct time_range *range, struct scan_part **list,
                       struct diag *d);
/* The keys of all its segments, in one exchange with keyd; blocks. */
enum err scan_part_unlock(struct scan_part *sp, struct diag *d);
/* One segment alone, its reader unlocked; takes a reference. A lock of the account wipes it. */
enum err scan_segment_open(struct part *p, struct live_segment *g, struct scan_part **out,
                           struct diag *d);
void scan_part_close(struct scan_part *sp);
void scan_part_wipe(struct scan_part *sp); /* account.lock, nobody inside */
