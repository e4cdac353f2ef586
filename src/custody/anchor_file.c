/* SPDX-License-Identifier: Apache-2.0 */
/* custody/anchor_file.c - an anchor in a file on another device: two slots, written in place */
#include "custody/anchor.h"
#include "custody/slots.h"

#include "base/os.h"

#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <unistd.h>

struct anchor_file {
    int fd;
};

static enum err file_open(void **self, const char *where, bool read_only, struct diag *d)
{
    int how = read_only ? O_RDONLY : O_RDWR | O_CREAT;
    if (where[0] != '/')
        return FAIL(d, ERR_INVALID, "an anchor's file has an absolute path, not '%.80s'", where);
    struct anchor_file *f = malloc(sizeof *f);
    CLEANUP_FREE char *copy = strdup(where);
    if (f == NULL || copy == NULL) {
        free(f);
        return FAIL(d, ERR_LIMIT, "out of memory");
    }
    f->fd = SYS(open(where, how | O_CLOEXEC | O_NOFOLLOW, 0600));
    enum err e = f->fd >= 0 ? os_fsync_dir(dirname(copy), d)
                            : FAIL(d, ERR_IO, "anchor %s: %s", where, strerror(errno));
    if (e == OK) {
        *self = f;
        return OK;
    }
    if (f->fd >= 0) close(f->fd);
    free(f);
    return e;
}

static void file_close(void *self)
{
    struct anchor_file *f = self;
    if (f == NULL) return;
    close(f->fd);
    free(f);
}

static enum err file_read(void *self, struct buf *out, struct diag *d)
{
    return slots_read(((struct anchor_file *)self)->fd, out, d);
}

static enum err file_write(void *self, struct bytes value, struct diag *d)
{
    return slots_write(((struct anchor_file *)self)->fd, value, false, d);
}

const struct anchor_ops anchor_file_ops = {.scheme = "file",
                                           .open = file_open,
                                           .close = file_close,
                                           .read = file_read,
                                           .write = file_write};
