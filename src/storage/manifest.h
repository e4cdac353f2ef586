/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage/manifest.h - entries of the catalogue that are sealed under the platform account's key
 *
 * An entry's value is one sealed block, BTYPE_ENTRY, of a file that has no bytes of its own: its
 * identity (the 128-byte header of sealed.h, OTYPE_CATALOG) is a record of kind "ident". The
 * plaintext is, little-endian:
 *
 *      0  u32 length, kind | u32 length, id        of the row it stands in
 *         body                                     by kind, entries below
 *
 * (1) Kind and id are inside the seal: an entry that was moved to another row is ERR_CORRUPT.
 * (2) Block numbers and file numbers come from the catalogue's reserve(): nobody gets one twice. So
 * entries are sealed before a transaction begins, never within one.
 */
#pragma once

#include "base/str.h"
#include "storage/catalog.h"
#include "storage/keys.h"
#include "column/vec.h"

struct manifest;

/* create: makes the identity at first use; else it must be there, and nothing is written.
 * ERR_UNAVAILABLE, ERR_KEY_LOCKED: the platform account's key is away. */
enum err manifest_open(struct manifest **out, struct catalog *c, const struct keys *keys,
                       const uint8_t platform_account[16], bool create, struct diag *d);
void manifest_close(struct manifest *m); /* NULL is fine */

/* Appends the sealed entry to *out. ERR_UNAVAILABLE, ERR_KEY_LOCKED: the platform account's key is
 * away. */
enum err manifest_seal(struct manifest *m, const char *kind, const char *id, struct bytes body,
                       struct buf *out, struct diag *d);
/* Appends the body to *body. ERR_CORRUPT: it is not what was sealed under this kind and id. */
enum err manifest_unseal(struct manifest *m, const char *kind, const char *id, struct bytes sealed,
                         struct buf *body, struct diag *d);

/* 8 random bytes, then a number that the catalogue gives once. */
enum err manifest_new_file_id(struct manifest *m, uint8_t out[16], struct diag *d);
/* A file of this id that is on the disk although no entry names it: may it go? ERR_CORRUPT if its
 * number was never given: then the catalogue is older than the file, and does not know what it
 * holds. */
enum err manifest_check_orphan(struct manifest *m, const uint8_t file_id[16], struct diag *d);
/* The first of WAL_NUMBERS log numbers of the account, above all it ever had. */
enum err manifest_new_log_numbers(struct manifest *m, const uint8_t account[16], uint64_t *first,
                                  struct diag *d);

/* --- kind "table": id = table id, parent = workspace ------------------------------------------ */
struct table_entry {
    struct guid workspace, id;
    uint32_t retention_days; /* 0 = the workspace's */
    char *name;
    struct schema schema;
};
enum err table_entry_encode(const struct table_entry *e, struct buf *out, struct diag *d);
enum err table_entry_decode(struct bytes in, struct arena *a, struct table_entry *out,
                            struct diag *d);

/* --- kind "segment": id = file id, parent = table id ------------------------------------------ */
struct segment_entry {
    uint8_t account[16], file_id[16];
    struct guid workspace, table;
    uint64_t length; /* of the file */
    uint8_t sha256[32], footer_tag[16];
    int64_t time_min, time_max; /* ticks */
    uint64_t rows, raw_bytes;   /* raw: of the columns before compression */
};
enum err segment_entry_encode(const struct segment_entry *e, struct buf *out, struct diag *d);
enum err segment_entry_decode(struct bytes in, struct segment_entry *out, struct diag *d);

/* The row's value: the sealed entry, then length and SHA-256 of the file in plain, so that files
 * can be checked where no key is at hand. Whoever has the key believes the sealed ones; unseal
 * compares. */
#define SEGMENT_PLAIN_LEN 40 /* u64 length, SHA-256 */
enum err segment_value_seal(struct manifest *m, const char *id, const struct segment_entry *e,
                            struct buf *out, struct diag *d);
enum err segment_value_unseal(struct manifest *m, const char *id, struct bytes value,
                              struct segment_entry *out, struct diag *d);
enum err segment_value_plain(struct bytes value, uint64_t *length, uint8_t sha256[32],
                             struct diag *d);

/* --- kind "log": id = file id, parent = account
 * --------------------------------------------------- */
struct log_table { /* what a log file holds of one table */
    struct guid table;
    uint64_t last;    /* log number of its last rows */
    int64_t time_max; /* ticks */
};
struct log_entry {
    uint8_t account[16], file_id[16];
    struct guid workspace; /* of the first table that wrote here */
    uint64_t first;        /* log number of the first record */
    bool is_final;         /* the file has ended, and tables lists all it holds */
    uint64_t length;       /* bytes; once it is final */
    struct log_table *tables;
    uint32_t n_tables;
};
enum err log_entry_encode(const struct log_entry *e, struct buf *out, struct diag *d);
enum err log_entry_decode(struct bytes in, struct log_entry *out, struct diag *d);
void log_entry_release(struct log_entry *e);

/* --- kind "covered": id = table/account, parent = account: rows up to this log number are in
 * segments */
void covered_id(const struct guid *table, const uint8_t account[16], char out[66]);
enum err covered_encode(uint64_t number, struct buf *out, struct diag *d);
enum err covered_decode(struct bytes in, uint64_t *number, struct diag *d);

void id_hex(const uint8_t id[16], char out[33]); /* lower case, with the terminating zero */

DEFINE_CLEANUP(manifest_close, struct manifest)
