/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api/deliver.h - rows of one table on their way to the disk, whatever state their key is in
 *
 * (1) DELIVERED means: on disk, and readable. DELIVERED_DROPPED: counted as dropped, durably. Anything
 *     else means that nothing was taken.
 * (2) Rows are dropped only while the key is revoked (unless the setting whileRevokedRejects says that
 *     they are refused), or (4). While it is suspended they go to the
 *     spool. While it is not known what the customer wants, they wait; what waits in vain is asked
 *     to come again.
 * (3) The same rows that come again under one x-ms-client-request-id, for one table and within five
 *     minutes, are the same batch: acknowledged again, not stored and not counted again.
 * (4) A workspace that has reached its daily cap drops what comes until midnight UTC.
 */
#pragma once

#include "api/front.h"
#include "ingest/rows.h"

#define DELIVER_NO_KEY \
    "Rows can't be taken at the moment: the key that encrypts them is not at hand."

enum delivered {
    DELIVERED,
    DELIVERED_DROPPED,
    REFUSED_KEY,  /* DELIVER_NO_KEY; to be asked for again soon */
    REFUSED_FULL, /* the spool is full: later. The diag says it */
    REFUSED_ROWS, /* they don't fit; the diag says why */
    REFUSED_DISK, /* they could not be written */
};

struct delivery {
    struct api *api;
    struct workspace workspace;
    struct table *table;
    bool has_id;
    uint8_t id[BATCH_ID_LEN]; /* of the batch (3) */
};

/* text_len: bytes that count against the daily cap. */
enum delivered deliver_rows(struct delivery *x, const struct batch *rows, size_t text_len,
                            struct diag *d);

/* A reader of rows, kept from one call to the next; given back it is wiped. */
enum err deliver_reader(struct api *a, struct row_reader **out, struct diag *d);
void deliver_reader_back(struct api *a, struct row_reader *r);
