/* SPDX-License-Identifier: Apache-2.0 */
/* cli/files.h - every regular file under a directory */
#pragma once

#include "base/err.h"

/* Calls visit for each file, symbolic links not followed; a failure stops it. */
enum err files_each(const char *dir,
                    enum err (*visit)(void *ctx, const char *path, uint64_t size, struct diag *d),
                    void *ctx, struct diag *d);
