/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage/segment.h - columnar files: written once from a memtable, read by row group and column
 *
 *      0    file header of sealed.h, type OTYPE_SEGMENT
 *    128    sealed blocks, numbered from 0 in the order of the file:
 *             BTYPE_DATA    one column of one row group, compressed, cut to at most SEGMENT_BLOCK_MAX
 *                           bytes
 *             BTYPE_META    token filters, one per row group and string column
 *             BTYPE_META    the last but one block: schema, row groups, where each chunk is, its min
 *                           and max
 *             BTYPE_FOOTER  the last block: offset, length, type and tag of all blocks before it
 *     end   16 plain bytes: u64 offset of the footer, u32 its length (both big-endian), "KSTE"
 *
 * Rows are sorted by time. What the blocks hold, byte by byte: docs/formats/segment.md.
 *
 * (1) A file without a valid footer is not a segment.
 * (2) The manifest entry's length and footer tag must be the file's: an older or shorter copy, or
 *     another segment under this name, is ERR_CORRUPT before any of its rows are seen.
 * (3) A block is opened only where the footer says it is, and only if its tag is the footer's.
 * (4) Plaintext is touched only between enter and leave of a gate: no disk is waited for in there.
 */
#pragma once

#include "storage/blob.h"
#include "storage/manifest.h"
#include "storage/memtable.h"

#define SEGMENT_GROUP_ROWS 32768u              /* rows of a row group */
#define SEGMENT_BLOCK_MAX  ((size_t)256 << 10) /* bytes of compressed plaintext in one block */
#define SEGMENT_INLINE_MAX 64                  /* encoded chunks up to here lie in META */

/* The door to the account's rows. enter fails when they are locked. */
struct gate {
    enum err (*enter)(void *ctx, struct diag *d);
    void (*leave)(void *ctx);
    void *ctx;
};

/* --- writing ---------------------------------------------------------------------------------- */

struct segment_writer;

struct segment_source {
    const struct schema *schema;
    struct piece *const *pieces; /* the oldest first */
    uint32_t n_pieces;
    int time_col; /* -1: none; rows stay in their order */
};

enum err segment_writer_new(struct segment_writer **out, struct blobs *b, struct file_key *key,
                            const struct gate *gate, struct diag *d);
/* Writes all of it and makes it durable. Sets length, sha256, footer_tag, rows and raw_bytes of
 * *entry. */
enum err segment_write(struct segment_writer *w, const struct segment_source *s,
                       struct segment_entry *entry, struct diag *d);
/* The same blocks, opened one by one and sealed anew under the writer's key and in its layers; the
 * reader is unlocked, and the gate the door to both accounts. Sets what segment_write() sets; the
 * rows are those of *entry. */
struct segment_reader;
enum err segment_copy(struct segment_writer *w, const struct segment_reader *from,
                      struct segment_entry *entry, struct diag *d);
void segment_writer_wipe(
    struct segment_writer *w); /* plaintext; nobody is inside the gate; NULL is fine */
void segment_writer_free(
    struct segment_writer *w); /* removes an unfinished file; not the key; NULL is fine */

/* --- reading ---------------------------------------------------------------------------------- */

/* Reads header and tail of the file: waits for the disk, needs no key. */
enum err segment_reader_new(struct segment_reader **out, struct blobs *b,
                            const struct segment_entry *entry, struct diag *d);
void segment_reader_free(struct segment_reader *r); /* not the key; NULL is fine */
const struct file_ident *segment_reader_ident(const struct segment_reader *r);
/* Opens footer and META; inside the gate. Keeps the key until _lock(), unless it sets *more: then a
 * larger part of the file is needed, load it outside of the gate and try again. */
enum err segment_reader_unlock(struct segment_reader *r, struct file_key *k, bool *more,
                               struct diag *d);
enum err segment_reader_load_more(struct segment_reader *r, struct diag *d);
/* Wipes what META said and gives the key up; returns it, or NULL. Nobody is inside. */
struct file_key *segment_reader_lock(struct segment_reader *r);

/* From here on only when unlocked, inside the gate. */
uint32_t segment_groups(const struct segment_reader *r);
uint32_t segment_group_rows(const struct segment_reader *r, uint32_t group);
int segment_column(const struct segment_reader *r, const char *name,
                   enum type t); /* -1: older than it */
/* False: no row of the group can meet the condition. EQ, LT ... as in store.h. */
bool segment_group_may_match(const struct segment_reader *r, uint32_t group, int column, int op,
                             const struct value *v);

/* Where the blocks of a chunk or filter lie; none: it is in META, or absent. */
struct segment_extent {
    uint64_t offset;
    size_t length;
    uint32_t first_block, n_blocks;
};
struct segment_extent segment_chunk(const struct segment_reader *r, uint32_t group, int column);
struct segment_extent segment_filter(const struct segment_reader *r, uint32_t group, int column);
/* Block by block, as a copy needs them: all but the footer. */
uint32_t segment_blocks(const struct segment_reader *r);
struct segment_extent segment_block(const struct segment_reader *r, uint32_t block);
enum err segment_block_open(const struct segment_reader *r, uint32_t block, struct bytes sealed,
                            enum btype *btype, struct buf *plain, struct diag *d);
/* The column of the group from its sealed bytes; strings borrow the arena. */
enum err segment_chunk_open(const struct segment_reader *r, uint32_t group, int column,
                            struct bytes sealed, struct arena *a, struct vec *out, struct diag *d);
enum err segment_filter_open(const struct segment_reader *r, uint32_t group, int column,
                             struct bytes sealed, struct arena *a, struct bytes *out,
                             struct diag *d);

DEFINE_CLEANUP(segment_writer_free, struct segment_writer)
DEFINE_CLEANUP(segment_reader_free, struct segment_reader)
