/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/gen.h - generated web logs: the same rows for the same seed, count and times
 *
 * 17 columns as a web shop's services would write them: levels, services, traces that span several
 * rows, client addresses, status codes, durations with a long tail, and messages of a dozen shapes.
 */
#pragma once

#include "base/bytes.h"

struct gen_options {
    uint64_t rows, seed;
    int64_t start_us, span_us; /* rows are spread over this time, in order */
};

/* A word that every 50,000th row or so carries: to be searched for. */
#define GEN_NEEDLE "quuxite-7731"

/* Appends one JSON object per row, each with a newline. */
void gen_rows(const struct gen_options *o, struct buf *out);
