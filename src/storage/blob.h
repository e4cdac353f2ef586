/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage/blob.h - files that are written once and then only read, behind an interface: a directory
 * today, an object store later
 *
 * A blob is addressed by its file id. What is in it is sealed: the store sees bytes.
 *
 * (1) A blob is there whole or not at all: writing goes to a temporary place, commit makes it
 *     appear.
 * (2) It is never written twice: commit of an id that is there is ERR_CONFLICT.
 * (3) When commit has returned OK, the blob survives a crash.
 */
#pragma once

#include "base/bytes.h"

struct blobs;
struct blob_writer;

typedef enum err blob_visit(void *ctx, const uint8_t id[16], uint64_t length, struct diag *d);

struct blob_ops {
    enum err (*begin)(struct blobs *b, const uint8_t id[16], struct blob_writer **out,
                      struct diag *d);
    enum err (*write)(struct blob_writer *w, struct bytes bytes, struct diag *d); /* appends */
    enum err (*commit)(struct blob_writer *w, struct diag *d); /* ends w, whatever it answers */
    void (*abort)(struct blob_writer *w);                      /* ends w; NULL is fine */
    /* Appends exactly n bytes from offset. ERR_NOT_FOUND; ERR_CORRUPT when the blob is shorter. */
    enum err (*read)(struct blobs *b, const uint8_t id[16], uint64_t offset, size_t n,
                     struct buf *out, struct diag *d);
    enum err (*length)(struct blobs *b, const uint8_t id[16], uint64_t *out, struct diag *d);
    enum err (*remove)(struct blobs *b, const uint8_t id[16], struct diag *d); /* gone is fine */
    /* In no order. The visit may remove what it is shown. */
    enum err (*list)(struct blobs *b, blob_visit *visit, void *ctx, struct diag *d);
    void (*close)(struct blobs *b);
};

struct blobs { /* an implementation's struct begins with this */
    const struct blob_ops *ops;
};

/* DIR/<2 hex digits>/<file id in hex>.seg, and DIR/tmp for what is being written. sweep: removes
 * what an earlier process left in tmp; only for the one process that writes here. */
enum err blobs_open_dir(struct blobs **out, const char *dir, bool sweep, struct diag *d);
