/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server/doorway.h - Unix sockets in a data directory through which only its owner (or root) comes
 *
 *      DIR/run.sock     of who runs keyd: a connection becomes keyd's peer "reader" (custody/reader.h)
 *      DIR/vault.sock   of `keystead vault`: `keystead logs` comes for sockets to identity. The first
 *                       byte says whose: 'K' keyd's, 'L' the log service's; 'W' only waits for the
 *                       end, which says that identity began anew and new sockets are needed
 */
#pragma once

#include "base/err.h"

#define DOORWAY_RUN   "run.sock"
#define DOORWAY_VAULT "vault.sock"

/* Replaces a socket that a killed process left. ERR_LIMIT: the path is longer than a socket's name
 * may be. */
enum err doorway_open(const char *dir, const char *name, int *fd, struct diag *d);
void doorway_close(const char *dir, const char *name, int fd); /* -1 is fine */
/* A connection of the owner. ERR_DENIED: somebody else's, closed already. */
enum err doorway_accept(int fd, int *out, struct diag *d);
/* ERR_NOT_FOUND: nobody listens. */
enum err doorway_connect(const char *dir, const char *name, int *out, struct diag *d);
