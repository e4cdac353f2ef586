/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody/root.h - one hash over all live records, so that an older one put back is noticed
 *
 * A record's MAC says that keyd wrote it, not that it is the newest. The root record says which
 * records belong together: it is written anew in the transaction of every change. It holds, byte by
 * byte in docs/formats/wrap.md:
 *
 *      previous 64    generation of the root before this one: the catalogue takes a root only over it
 *      anchored 8     1: an anchor has seen this store; an empty one is none of ours
 *      all            crypto/lthash.h: how many records, the sum over X(key, label | SHA-256 of kind,
 *                     id and value, 2048), and the cells: a record's subject is its account or scope,
 *                     its number its generation
 *
 * (1) The generation of a root is higher than that of every root and record before it.
 * (2) The sum decides, the cells only name.
 * (3) The key of both is derived from MK.
 */
#pragma once

#include "base/map.h"
#include "crypto/lthash.h"
#include "custody/record.h"

struct root_record {
    uint64_t generation, previous;
    bool anchored;
    struct lthash all; /* over the records */
};

enum err root_encode(const struct root_record *r, const struct secret *mk, struct buf *out,
                     struct diag *d);
enum err root_decode(struct bytes in, const struct secret *mk, struct root_record *out,
                     struct diag *d);
/* The catalogue's part: may `next` be written over `stored` (empty: there is none)? Without a key,
 * by their generations. */
bool root_follows(struct bytes stored, struct bytes next);

/* What is live now: name -> what its record adds. A name is "kind\nid". */
struct root_index {
    struct secret *key;
    struct map seen;   /* -> struct root_part */
    struct map unread; /* -> struct lthash_subject: their name is there, but not what keyd wrote */
};
enum err root_index_init(struct root_index *x, const struct secret *mk, struct diag *d);
void root_index_release(struct root_index *x);

/* Takes note of a record that was read and believed; r, unless NULL, gets it added. */
enum err root_add(struct root_index *x, struct root_record *r, const struct custody_record *rec,
                  struct diag *d);
/* Takes note of a record that is not believed: it is said elsewhere, and where it alone explains a
 * difference nobody else is suspected. */
enum err root_note_unread(struct root_index *x, const struct custody_record *rec, struct diag *d);
/* A change: what the index knows under the name leaves r, the new value (unless empty) joins it.
 * The index stays as it is: root_settle() does that once the change is durable. */
enum err root_change(const struct root_index *x, struct root_record *r,
                     const struct custody_record *rec, struct diag *d);
enum err root_settle(struct root_index *x, const struct custody_record *rec, struct diag *d);

/* A suspect: "account" and its hex digits, "scope" and its name, "mk", "signer". */
typedef void root_suspect(void *ctx, const char *kind, const char *subject);
/* Are the records of the index, summed up in `is`, those of the root? If not, names those that may
 * be older than they should be, each once; false with no name at all: none can be told. */
bool root_compare(const struct root_index *x, const struct root_record *root,
                  const struct root_record *is, root_suspect *suspect, void *ctx);
