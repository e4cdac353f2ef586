/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server/supervisor.h - `keystead up`: starts the processes in order, joins them by sockets, restarts the dead
 *
 * Start: identity (needs nobody), vault, keyd, logs. Stop: logs first, while keyd can still give it keys to flush with,
 * then keyd, vault, identity. Children stay in the process group and die with the supervisor.
 */
#pragma once

#include "base/err.h"

struct up_options {
    const char *data, *listen, *vault_listen, *domain;
    bool virtual_clock, allow_swap;
    uint64_t probe_s, revocation_bound_s;
};

/* Runs until SIGTERM or SIGINT. Prints one line on standard output when all serve. */
enum err supervisor_run(const struct up_options *o, struct diag *d);
