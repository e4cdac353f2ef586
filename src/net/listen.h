/* SPDX-License-Identifier: Apache-2.0 */
/* net/listen.h - an address becomes a listening socket: "127.0.0.1:8443", "[::1]:0", "unix:/path"
 */
#pragma once

#include "base/err.h"

#define LISTEN_UNIX "unix:" /* what an address begins with that is a path */

/*
 * A Unix socket is made with mode 0600. One that nobody listens on any more (its process was
 * killed) is replaced.
 *
 * ERR_CONFLICT  somebody listens there
 * ERR_INVALID   not an address, a path that is too long, or something else lies at that path
 */
enum err listen_on(const char *address, int *out, struct diag *d);
unsigned listen_port(int fd);            /* 0 for a Unix socket */
void listen_forget(const char *address); /* removes a Unix socket's file; before its fd is closed */
