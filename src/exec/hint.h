/* SPDX-License-Identifier: Apache-2.0 */
/* exec/hint.h - what a source may skip by: the conditions it can understand, as necessary
 * conditions */
#pragma once

#include "exec/run.h"

#define HINTS_MAX 64

enum err hints_of(struct query *q, const struct op *table, const struct conditions *c,
                  struct scan_hint **out, uint32_t *n_out, struct diag *d);
