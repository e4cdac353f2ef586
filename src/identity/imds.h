/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity/imds.h - the managed identity endpoint for workloads of the same machine
 *
 * Plain HTTP on loopback, as the SDKs want it. Who asks is known by the kernel: the user id that
 * owns the other end of the connection (/proc/net/tcp). A list says which user may have the tokens
 * of which user-assigned identity; nobody else gets any, and a resource's own (system-assigned)
 * identity is never given out: with a cluster's token one could unwrap its key.
 */
#pragma once

#include "identity/identity.h"

struct imds;

struct imds_config {
    const char *address; /* "127.0.0.1:8480"; loopback alone */
    const char *allow;   /* "1000:backup,1001:reader": user id, name of the identity */
};

/* ERR_INVALID for an address that others can reach and for a list that cannot be read. */
enum err imds_start(struct imds **out, struct identity *id, const struct imds_config *c,
                    struct diag *d);
void imds_stop(struct imds *m); /* NULL is fine */
unsigned imds_port(const struct imds *m);

/* --- for tests -------------------------------------------------------------------------------- */

/* The user that owns the socket local -> remote in a text like /proc/net/tcp's; false: not there.
 */
bool imds_find_user(const char *table, const char *local_address, unsigned local_port,
                    unsigned remote_port, unsigned *user);
