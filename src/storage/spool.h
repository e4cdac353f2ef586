/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage/spool.h - rows that come while an account's key is suspended; for store*.c only
 *
 * DIR/spool/<account>/slot holds the wrap of the spool's key, the files beside it the rows: logs of
 * wal.h under that key, otype 3. What there is says where a spool stands:
 *
 *      slot      files     state
 *      empty     none      SPOOL_NONE
 *      a record  any       SPOOL_LIVE: rows wait, or have been put back already (store_drain.c)
 *      empty     some      SPOOL_DEAD: nobody can read them; they are counted, then removed
 *      else                SPOOL_DAMAGED
 *
 * Invariants 20 to 26 of README.md.
 */
#pragma once

#include "storage/spool_slot.h"
#include "storage/store_impl.h"

enum spool_state { SPOOL_NONE, SPOOL_LIVE, SPOOL_DRAINING, SPOOL_DEAD, SPOOL_DAMAGED };

struct spool {
    struct account *account;
    char *dir, *slot_path;

    pthread_mutex_t lock; /* below account.lock; held over the slot's writes, never over keyd */
    pthread_cond_t changed;
    enum spool_state state;
    uint64_t epoch; /* another one once the spool was destroyed or put back */
    bool opening;   /* somebody makes a file */
    unsigned users; /* appends on their way */
    struct slot slot;
    struct wal *wal; /* the file that this process writes; NULL: none */
    struct file_key **keys;
    uint32_t n_keys;
    struct file_key *fresh; /* of the file that is being made */
    uint64_t bytes_before;  /* of files that are written no more */
    uint64_t weight;        /* what the store counts for it: spool_weigh() */
};

struct spool_file {
    uint8_t file_id[16];
    struct file_ident ident;
    uint64_t first, length;
};

enum err spool_new(struct account *a, struct spool **out, struct diag *d);
void spool_free(struct spool *sp); /* wipes; NULL is fine */
/* spool_files.c. The account's files, the oldest first. free() */
enum err spool_files(const struct spool *sp, struct spool_file **out, uint32_t *n, struct diag *d);
enum err spool_remove_files(const struct spool *sp, struct diag *d);
enum err spool_files_weigh(const struct spool *sp, uint32_t *n, uint64_t *bytes, struct diag *d);

/* store_spool.c. Under lock. */
void spool_set_state(struct spool *sp, enum spool_state s); /* who waits for another hears of it */
uint64_t spool_bytes(const struct spool *sp);
/* Under lock: tells the store how much it holds now. */
void spool_weigh(struct spool *sp);
void spool_forget(struct spool *sp); /* under lock, with nobody inside: keys and record */
/* Counted and removed, if it is dead. False: not yet. */
bool spool_tidy(struct account *a);

/* store_drain.c */
typedef enum err spool_visit(void *ctx, const struct rows_record *x, struct diag *d);
struct spool_read { /* what a round over all files found */
    struct wal_end end;
    uint64_t damaged; /* files of which something cannot be read */
};
/* Every record of whole batches, in order; cuts torn tails. keys: one per file. */
enum err spool_read_all(const struct spool *sp, const struct spool_file *files,
                        struct file_key **keys, uint32_t n, spool_visit *visit, void *ctx,
                        struct spool_read *out, struct diag *d);
/* Puts all rows back, once; under open_lock, with the account open. OK also where there is nothing.
 */
enum err spool_drain(struct account *a, struct diag *d);
