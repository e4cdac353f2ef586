/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keyvault/audit_log.h - a chain of records in files: DIR/audit-<number of its first record>.jsonl
 *
 * Each line is one JSON object. Its last three members are ours:
 *
 *      ...,"sequence":17,"previousHash":"<64 hex>","hash":"<64 hex>"}
 *
 * hash is SHA-256 over all bytes of the line before ,"hash":" and previousHash is the hash of the
 * line before, in the file before where a file starts; 64 zeros for the first of all. So a record
 * that was changed, taken out, or put in shows at the next one. Who can write the files can still
 * cut the end off: compare the last hash with one that was kept elsewhere.
 */
#pragma once

#include "base/bytes.h"

struct audit_log;

/* Goes on where the newest file ends. A line that a crash cut short is removed: its request was
 * never answered. A file whose chain is broken is left as it is, said so in the log, and a new one
 * begun. */
enum err audit_log_open(struct audit_log **out, const char *dir, size_t file_max, struct diag *d);
void audit_log_close(struct audit_log *a); /* NULL is fine */

/* Appends one record, a JSON object in text. sync: it is on disk when this returns; else in the
 * kernel. ERR_IO: nothing was appended. */
enum err audit_log_append(struct audit_log *a, struct bytes object, bool sync, struct diag *d);

/* Walks all files that are there; the oldest may go on from one that was put away. ERR_CORRUPT
 * names the file and the record at which the chain breaks. */
enum err audit_log_verify(const char *dir, uint64_t *records, struct diag *d);

/* Calls visit with each file's path, oldest first. */
typedef enum err audit_file_visit(void *ctx, const char *path, struct diag *d);
enum err audit_log_each_file(const char *dir, audit_file_visit *visit, void *ctx, struct diag *d);

DEFINE_CLEANUP(audit_log_close, struct audit_log)
