/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tool/verify.h - is every byte of a store what was written? Walks all segments, logs and sealed
 * entries
 *
 * Without keys: headers, lengths, the order of the blocks, and the SHA-256 of each segment against
 * the plain one in the catalogue. With keys, besides: every block is opened, every footer is
 * compared with its blocks and with the manifest entry, the plain SHA-256 with the sealed one, and
 * the entries with their root record: none may be missing, older or too many.
 *
 * Nothing is written. The server may run meanwhile: a file that leaves the catalogue during the
 * walk is passed over, the tail of a log that is being written is a note, not damage.
 */
#pragma once

#include "storage/catalog.h"
#include "storage/keys.h"

struct verify_file {  /* one line: a segment, a log, or the catalogue's own entries */
    const char *kind; /* "segment", "log", "spool", "catalog" */
    const char *name; /* below DIR; "" for the catalogue */
    uint8_t account[16], aek_id[16]; /* under whose key */
    bool is_framed;                  /* sealed twice, the second time under iek_id */
    uint8_t iek_id[16];
    uint64_t blocks, opened, bytes;
    enum err result;  /* OK; ERR_CORRUPT; ERR_KEY_LOCKED or ERR_UNAVAILABLE: checked as far as
                         possible without */
    const char *text; /* the sentence of a failure, a note, or "" */
};

struct verify_options {
    const char *dir; /* DIR: DIR/blobs, DIR/wal */
    struct catalog *catalog;
    const struct keys *keys; /* NULL: no keys */
    uint8_t platform_account[16];
    void (*on_file)(void *ctx, const struct verify_file *f);                   /* may be NULL */
    void (*on_progress)(void *ctx, uint64_t bytes_done, uint64_t bytes_total); /* may be NULL */
    void *ctx;
};

#define VERIFY_AEKS_MAX 32

struct verify_aek { /* what lies under one key, or one pair of keys */
    uint8_t aek_id[16], iek_id[16];
    bool is_framed;
    uint64_t files, blocks, bytes;
};

struct verify_account {
    uint8_t account[16];
    struct verify_aek aeks[VERIFY_AEKS_MAX]; /* the last one gathers what finds no room */
    uint32_t n_aeks;
    uint64_t files, segments, logs, blocks, opened, bytes,
        rows;         /* rows: as the manifest says; 0 without keys */
    uint64_t damaged; /* files */
    uint64_t bytes_without_key;
    enum err key; /* OK, or why there is none */
};

struct verify_damage {
    char *file;
    char *text;
};

struct verify_report {
    struct verify_account *accounts; /* in the order in which they were met */
    uint32_t n_accounts;
    struct verify_damage *damages;
    uint32_t n_damages;
    uint64_t files, blocks, opened, bytes;
    uint64_t framed_files, frames; /* of those: sealed twice */
    uint64_t bytes_without_key;    /* not 0: keys were missing */
    uint64_t strangers; /* files that the catalogue does not name: a crash leaves such; the next
                           start removes them */
    uint64_t entries;   /* sealed catalogue entries */
};

/* An error means that the walk itself could not go on; damage is in the report. */
enum err verify_store(const struct verify_options *o, struct verify_report *out, struct diag *d);
void verify_report_release(struct verify_report *r);
