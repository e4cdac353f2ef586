/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage/spill_file.h - where rows of a query, or the text of its answer, lie outside of memory
 *
 * (1) Blocks are sealed with AES-256-GCM under a random key that is of this file alone, lives in locked
 *     memory and is never written (keys.md). The nonce of a block is its offset: no place is written
 *     twice. A block is bound to its place and length.
 * (2) The file has no name: O_TMPFILE, or where the file system has none, unlinked before the first byte
 *     is written. Mode 0600. It goes with its last descriptor, also when the process is killed.
 * (3) Key and file are made with the first block. spill_file_wipe() destroys the key at once, whoever
 *     is reading: what lies on the disk is noise from then on.
 * (4) All files of a process share one room, so that queries cannot fill the disk that new rows need.
 */
#pragma once

#include "base/arena.h"

struct spill_room;
/* Makes the directory where it is missing. bytes_max counts what all files hold together. */
enum err spill_room_new(struct spill_room **out, const char *dir, uint64_t bytes_max,
                        struct diag *d);
void spill_room_free(struct spill_room *r); /* after its files; NULL is fine */

struct spill_file;
enum err spill_file_new(struct spill_file **out, struct spill_room *r, struct diag *d);
void spill_file_free(struct spill_file *f); /* NULL is fine */
/* From here on every call fails with ERR_CANCELLED. Any thread, at any time until free. */
void spill_file_wipe(struct spill_file *f);

/* Keeps a block; *at finds it again. f is a struct spill_file: these are exec's spill_ops.
 *
 * ERR_LIMIT      the room is full, or no memory can be locked
 * ERR_IO         the disk refused
 * ERR_CANCELLED  the key was wiped */
enum err spill_file_write(void *f, struct bytes block, uint64_t *at, struct diag *d);
/* ERR_CORRUPT: it is not what was written there. */
enum err spill_file_read(void *f, uint64_t at, size_t len, struct arena *a, struct bytes *out,
                         struct diag *d);

DEFINE_CLEANUP(spill_file_free, struct spill_file)
