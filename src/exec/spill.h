/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec/spill.h - where rows of a query wait that do not fit into its memory
 *
 * exec sees no disk and no key: who runs the query gives a place (exec_request.spill) that seals what
 * it is handed and forgets it all with the query. storage/spill_file.h is one.
 */
#pragma once

#include "base/arena.h"

struct spill_ops {
    /* Keeps a block, borrowed for the call; *at finds it again. Any thread.
     *
     * ERR_LIMIT      no more blocks fit into the room for spilled rows
     * ERR_IO         the disk refused
     * ERR_CANCELLED  the key has been wiped */
    enum err (*write)(void *spill, struct bytes block, uint64_t *at, struct diag *d);
    /* The block of that length which was kept there, in arena a. Any thread; errors as above. */
    enum err (*read)(void *spill, uint64_t at, size_t len, struct arena *a, struct bytes *out,
                     struct diag *d);
};
