/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec/window.h - functions of neighbouring rows over rows that do not fit into memory
 *
 * The rows are read piece by piece, once for each depth to which calls of such functions are nested:
 * what the calls of a depth give is written beside the rows, and is a column for those around them.
 * A last time through, the operator's own expressions are computed from those columns.
 */
#pragma once

#include "exec/run.h"

/* `in` are all rows of op's input, in their order; they stay with the caller. */
enum err window_by_pieces(struct query *q, const struct op *op, const bool *needed,
                          const struct relation *in, struct relation *out, struct diag *d);
