/* SPDX-License-Identifier: Apache-2.0 */
/* tool/verify_impl.h - what the parts of the walk share; for verify*.c only */
#pragma once

#include "base/map.h"
#include "storage/blob.h"
#include "storage/manifest.h"
#include "tool/verify.h"

struct walk {
    const struct verify_options *o;
    struct verify_report *r;
    struct blobs *blobs;
    char *wal_dir;
    struct manifest *manifest; /* NULL without the platform's key */
    enum err manifest_state;   /* why it is NULL */
    struct map known;          /* file ids of the catalogue */
    uint64_t done, total;      /* bytes */
    uint32_t cap_accounts, cap_damages;
};

/* verify.c */
enum err walk_account(struct walk *w, const uint8_t id[16], struct verify_account **out,
                      struct diag *d);
/* Books the file and tells the caller of it. */
enum err walk_report(struct walk *w, const struct verify_file *f, struct diag *d);
void walk_advance(struct walk *w, uint64_t bytes);
bool is_key_missing(enum err e);
/* Is the row still there? A running server drops files. */
bool walk_still_named(struct walk *w, const char *kind, const char *id);
/* The key of one file; *out NULL and *state set where it cannot be had. */
enum err walk_key(struct walk *w, const struct file_ident *ident, struct file_key **out,
                  enum err *state, struct diag *d);
void walk_release(struct walk *w, struct file_key *k);

/* verify_segment.c */
enum err verify_segment(struct walk *w, const struct catalog_row *row, struct diag *d);

/* verify_spool.c */
enum err verify_spools(struct walk *w, struct diag *d);

/* verify_log.c */
struct wal_reader;
/* Counts the blocks of an open log file by their headers, without a key. */
void verify_log_headers(struct walk *w, const struct wal_reader *r, struct verify_file *f);
enum err verify_log(struct walk *w, const struct catalog_row *row, struct diag *d);
