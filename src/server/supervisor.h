/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server/supervisor.h - `keystead up`: prepares the data directory, runs its processes, answers
 * those who verify it
 *
 * DIR/run.sock (0600) is there while it runs: who connects is handed a socket to keyd, for reading
 * only (custody/reader.h).
 */
#pragma once

#include "server/children.h"

/* Runs until SIGTERM or SIGINT. Prints one line on standard output when all serve. */
enum err supervisor_run(const struct up_options *o, struct diag *d);

/* Where DIR/run.sock is. false: the path is longer than a socket's name may be. */
struct sockaddr_un;
bool supervisor_socket(const char *data, struct sockaddr_un *out);
