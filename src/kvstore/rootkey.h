/* SPDX-License-Identifier: Apache-2.0 */
/* kvstore/rootkey.h - the file that holds a root key; inside kvstore/ only */
#pragma once

#include "crypto/secret.h"

#define ROOT_KEY_LEN 32 /* bytes */

/* ERR_NOT_FOUND, or ERR_INVALID when others may read it or it holds no key. */
enum err root_key_read(const char *path, struct secret **out, struct diag *d);

/* Makes a new key durably: after a crash the file is whole or absent. ERR_CONFLICT when one is
 * there. */
enum err root_key_create(const char *path, struct secret **out, struct diag *d);
