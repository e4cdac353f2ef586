/* SPDX-License-Identifier: Apache-2.0 */
/* cli/keys.h - orders of `keystead keys` that turn keys */
#pragma once

#include "cli/session.h"

/* The cluster's account keys to the present version of its KEK; data_too: and old rows under its
 * newest account keys, in the background of the server; wait: shows how far it is. */
enum err keys_rewrap(const char *data, const char *cluster, bool data_too, bool wait,
                     struct diag *d);
/* New account keys for new files, of a cluster or of a workspace; the other is NULL. */
enum err keys_rotate(const char *data, const char *cluster, const char *workspace, struct diag *d);
