/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api/answer.h - the text of an answer: a little in memory, the rest sealed outside of it
 *
 * A query runs to its end before the first byte goes out, so an answer always has the right status,
 * also when its last row fails. What it has said by then is not kept in memory for a client that may
 * read slowly: whenever ANSWER_WAITS bytes have gathered they are written to a spill file of the
 * answer's own, and read back piece by piece as the client takes them.
 */
#pragma once

#include "net/http_recall.h"
#include "storage/spill_file.h"

#define ANSWER_WAITS ((size_t)256 << 10) /* bytes of text in memory, and of a block */

struct answer_block {
    uint64_t start, at; /* in the text; in the file */
    size_t len;
};

struct answer {
    struct spill_file *file; /* NULL: all stays in memory */
    struct answer_block *blocks;
    uint32_t n, cap;
    uint64_t len;       /* bytes of all blocks */
    struct arena cache; /* the block that was read last */
    struct bytes cached;
    uint32_t cached_no;
};

/* room may be NULL. */
enum err answer_init(struct answer *a, struct spill_room *room, struct diag *d);
void answer_release(struct answer *a);
/* Writes the text, the answer's next, and empties the buffer, when it is long enough. */
enum err answer_put(struct answer *a, struct buf *text, struct diag *d);
/* Takes back all that was put: another answer will be given. */
void answer_clear(struct answer *a);
/* What was put, for the server; a must live until it is done. */
struct http_stored answer_stored(struct answer *a);
/* No byte of it can be read from here on. Any thread. */
void answer_wipe(struct answer *a);
