/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server/harden.h - what every process that sees secrets or log rows gives up before it serves
 *
 * keyd goes further: custody/keyd.h keyd_harden().
 */
#pragma once

#include "base/err.h"

/* No core dumps, not dumpable (nobody of the same user reads its memory), no new privileges. */
enum err harden_process(struct diag *d);

/* Memory that holds log rows must not reach an unencrypted disk: locks it all, or, where that is
 * not allowed, refuses a machine that has swap. allow_swap overrides the refusal; *swap_allowed
 * says that it did. */
enum err harden_swap(bool allow_swap, bool *swap_allowed, struct diag *d);
