/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage/wal.h - one file of an account's write-ahead log: many appenders, one fdatasync for all
 * who wait
 *
 *      0    file header of sealed.h, type OTYPE_WAL
 *    128    sealed blocks, BTYPE_WAL, one behind the other: block number = log number, no gaps
 *
 * A block's plaintext is a record, little-endian:
 *
 *      0  u64  highest log number known to be durable when this one was sealed
 *      8  u8   kind
 *      9  ...  RECORD_START  file id[16], u64 length, u64 last number of the file before; zeros: none
 *              RECORD_ROWS   rows of a batch (rows.h)
 *
 * (1) A row is acknowledged once wal_append() has returned OK and never before.
 * (2) A file is written by the process that made it and by no other: new salt, new key, every time.
 * (3) A number is used up when it is sealed. A failed write or fsync ends the file: nothing that
 *     was sealed but not yet durable is acknowledged, ever.
 * (4) The first record is RECORD_START, and durable before the file's name is in the catalogue.
 * (5) Reading stops at the first bad record. If a good one behind it vouches for it - says that its
 *     number was durable - the file is damaged: ERR_CORRUPT. Else it is a torn tail, however the
 *     disk ordered the sectors, and the file is cut there before a new one is made.
 * (6) Once the next file exists, its RECORD_START alone says where this one ends.
 */
#pragma once

#include "storage/keys.h"

#define WAL_RECORD_HEAD 9 /* bytes of a record before its body */
#define WAL_RECORD_MAX  BLOCK_LEN_MAX
/* Log numbers of one file; the next begins at a multiple. */
#define WAL_NUMBERS ((uint64_t)1 << 32)

enum wal_kind { RECORD_START = 1, RECORD_ROWS = 3 };

struct wal_end { /* where a file ends */
    uint8_t file_id[16];
    uint64_t length; /* bytes, header included */
    uint64_t last;   /* log number of its last record */
};

char *wal_path(const char *dir, const uint8_t file_id[16]); /* free() */

/* --- writing ---------------------------------------------------------------------------------- */

struct wal;

struct wal_config {
    const char *dir;
    const struct keys *keys;
    uint8_t account[16], file_id[16];
    uint64_t first;             /* number of the first record */
    const struct wal_end *prev; /* the file before; NULL: none */
    uint8_t otype;              /* 0 = OTYPE_WAL; OTYPE_SPOOL: the same format, other keys */
};

/* Makes the file with its first record, durably. Removes it again when that fails. */
enum err wal_create(struct wal **out, const struct wal_config *c, struct diag *d);
void wal_ref(struct wal *w);
void wal_unref(struct wal *w); /* the last one ends the file; NULL is fine */

/* Starts a record in an empty buffer; append the body behind. */
void wal_record_begin(struct buf *record, enum wal_kind kind);

/*
 * Seals n records, wipes them, and makes the blocks durable, all with one write. Then, before the
 * call returns, committed(arg, number of the last) was called: in the order of the numbers, from
 * one thread at a time. Blocks for one fdatasync(), shared with others. The numbers have no gaps,
 * so what a crash leaves of a group is at the end of a file.
 *
 * ERR_CONFLICT    the file has ended; nothing was written, another file will do
 * ERR_KEY_LOCKED, ERR_UNAVAILABLE  the key is gone; nothing was written, and the file has ended
 * ERR_IO          the disk refused: the file has ended, these records count for nothing (3)
 */
typedef void wal_committed(void *arg, uint64_t number);
enum err wal_append(struct wal *w, struct buf *records, uint32_t n, wal_committed *committed,
                    void *arg, struct diag *d);

/* No more records; gives the key back. Records that are sealed are still written. Does not wait for
 * a disk. */
void wal_end(struct wal *w);
bool wal_ended(struct wal *w);
/* Waits until nothing is being written; then the end is final if the file has ended. */
void wal_drain(struct wal *w, struct wal_end *out);
uint64_t wal_length(struct wal *w); /* bytes that are durable */

/* --- reading ---------------------------------------------------------------------------------- */

struct wal_reader {
    uint8_t otype; /* 0 = OTYPE_WAL; set before wal_reader_open() */
    struct file_ident ident;
    struct buf image; /* ciphertext */
    uint64_t first, next;
    size_t pos;  /* of the next record: at the end, where the good part ends */
    size_t size; /* of the file */
};

struct wal_record { /* borrows the plaintext */
    uint64_t number, durable;
    uint8_t kind;
    struct bytes body;
};

/* Reads the whole file. ERR_CORRUPT: not this account's log of that name. */
enum err wal_reader_open(struct wal_reader *r, const char *dir, const uint8_t account[16],
                         const uint8_t file_id[16], uint64_t first, struct diag *d);
void wal_reader_release(struct wal_reader *r);
/* The header alone, with the same checks. */
enum err wal_read_ident(const char *dir, const uint8_t account[16], const uint8_t file_id[16],
                        struct file_ident *out, struct diag *d);
/* The next record, opened into the cleared buffer; number 0: the end, by rule (5). */
enum err wal_reader_next(struct wal_reader *r, struct file_key *k, struct buf *plain,
                         struct wal_record *out, struct diag *d);
enum err wal_start_decode(const struct wal_record *r, struct wal_end *prev, struct diag *d);

/* Cuts a torn tail: durable when it returns. */
enum err wal_cut(const char *dir, const uint8_t file_id[16], uint64_t length, struct diag *d);

DEFINE_CLEANUP(wal_unref, struct wal)
