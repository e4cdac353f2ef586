/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec/exec.h - runs a plan: vectors of VEC_ROWS through operators, one pipeline per core
 *
 * Results are handed out batch by batch; the receiver may stop the query by returning a failure.
 * Limits are errors with Kusto's names (E_QUERY_RESULT_SET_TOO_LARGE, E_RUNAWAY_QUERY), never a
 * crash.
 */
#pragma once

#include "exec/source.h"
#include "exec/spill.h"
#include "kql/plan.h"

#define EXEC_MEMORY    ((size_t)1 << 30) /* bytes; the default of memory_max */
#define EXEC_ROWS_MAX  500000ULL         /* the default of rows_max: as the original */
#define EXEC_BYTES_MAX ((uint64_t)64 << 20)

struct exec_limits {
    uint64_t rows_max;   /* of the result; 0 = EXEC_ROWS_MAX */
    uint64_t bytes_max;  /* of the result; 0 = EXEC_BYTES_MAX */
    size_t memory_max;   /* bytes of the query's arenas; 0 = 1 GiB; see spill */
    int64_t deadline_us; /* monotonic; 0 = none */
};

struct exec_stats {
    uint64_t rows_scanned, units_scanned, units_total;
    int64_t took_us, cpu_us;
};

/* What externaldata reads from: exec knows no network. */
struct external_ops {
    /* The whole of what lies at the URI, appended to *out, which may have got a part on failure.
     * Any thread of the query calls, and waits until the deadline (monotonic; 0 = none).
     *
     * ERR_UNSUPPORTED  the server reads no such place
     * ERR_UNAVAILABLE  no answer, or none that is a file
     * ERR_LIMIT        more than len_max bytes */
    enum err (*read)(void *ctx, const char *uri, size_t len_max, int64_t deadline_us,
                     struct buf *out, struct diag *d);
    void *ctx;
};

struct pool;
struct exec_request {
    const struct plan *plan;
    const struct source_ops *source;
    const struct external_ops *external; /* NULL: externaldata is refused */
    struct exec_limits limits;
    int64_t now_ticks;
    struct pool *pool;          /* NULL: this thread only */
    const _Atomic bool *cancel; /* looked at before each morsel; may be NULL */
    /* Does nobody wait for the rows any more? Asked before a morsel now and then, by any thread of the
     * query; then it is cancelled. May be NULL. */
    bool (*gone)(void *gone_ctx);
    void *gone_ctx;
    /* Where rows wait that do not fit into memory_max. spill NULL: such a query fails. */
    const struct spill_ops *spill_ops;
    void *spill;
    /* Called before the rows of each result, with its number (0: plan->root); may be NULL, then
     * only the first is run. */
    enum err (*begin)(void *ctx, uint32_t result, struct diag *d);
};

/* Called by one thread at a time, not always the caller's: batches in result order. What was handed
 * out before a failure is part of the result all the same. */
typedef enum err exec_sink(void *ctx, const struct batch *b, struct diag *d);

enum err exec_run(const struct exec_request *r, exec_sink *sink, void *ctx,
                  struct exec_stats *stats, struct diag *d);
