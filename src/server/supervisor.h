/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server/supervisor.h - `keystead up`: prepares the data directory, runs its processes, answers
 * those who verify it
 *
 * `keystead vault` and `keystead logs` are the same in two parts on one data directory, for two
 * services that are stopped, updated and restarted apart: identity and vault in the one, keyd and
 * the log service in the other (server/doorway.h joins them).
 */
#pragma once

#include "server/children.h"

/* Runs until SIGTERM or SIGINT. Prints one line on standard output when all serve. */
enum err supervisor_run(const struct up_options *o, struct diag *d);
