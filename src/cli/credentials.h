/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/credentials.h - DIR/credentials.json: how a client reaches the server of a data directory as
 * its owner
 *
 * Written by the supervisor, mode 0600. The file holds a secret in the clear: SECURITY.md says so.
 */
#pragma once

#include "base/err.h"

#define CREDENTIALS_PATH_MAX 600 /* bytes */

struct credentials {
    char tenant_id[37], subscription_id[37], client_id[37], object_id[37], platform_object_id[37];
    char client_secret[65];
    char endpoint[256];     /* https://localhost:8443, no slash at the end */
    char vault_suffix[256]; /* vault.localhost:8444, no dot in front */
    char ca_file[CREDENTIALS_PATH_MAX];
};

enum err credentials_write(const char *path, const struct credentials *c, struct diag *d);
/* ERR_NOT_FOUND when there is none. */
enum err credentials_read(const char *path, struct credentials *out, struct diag *d);
