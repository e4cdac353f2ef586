/* SPDX-License-Identifier: Apache-2.0 */
/* cli/files.c - a walk over a directory with fts */
#include "cli/files.h"

#include <errno.h>
#include <fts.h>
#include <string.h>
#include <sys/stat.h>

enum err files_each(const char *dir,
                    enum err (*visit)(void *ctx, const char *path, uint64_t size, struct diag *d),
                    void *ctx, struct diag *d)
{
    char *const roots[] = {(char *)dir, NULL};
    FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    if (tree == NULL) return FAIL(d, ERR_IO, "%s: %s", dir, strerror(errno));
    enum err e = OK;
    for (FTSENT *f; e == OK && (f = fts_read(tree)) != NULL;) {
        if (f->fts_info == FTS_F) e = visit(ctx, f->fts_path, (uint64_t)f->fts_statp->st_size, d);
    }
    fts_close(tree);
    return e;
}
