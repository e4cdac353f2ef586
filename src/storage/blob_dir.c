/* SPDX-License-Identifier: Apache-2.0 */
/* storage/blob_dir.c - blobs as files of a directory */
#include "storage/blob.h"

#include "base/os.h"
#include "base/str.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct blob_dir {
    struct blobs base;
    char *dir;
};

struct blob_writer {
    struct blob_dir *b;
    int fd;
    char *temp, *path, *parent;
};

static char *path_of(const struct blob_dir *b, const uint8_t id[16])
{
    char hex[33];
    hex_encode(bytes_of(id, 16), hex);
    /* The last two digits: they belong to a counter and spread evenly. */
    return str_fmt("%s/%s/%s.seg", b->dir, hex + 30, hex);
}

static void writer_free(struct blob_writer *w)
{
    if (w->fd >= 0) close(w->fd);
    free(w->temp);
    free(w->path);
    free(w->parent);
    free(w);
}

static void dir_abort(struct blob_writer *w)
{
    if (w == NULL) return;
    if (w->temp != NULL) unlink(w->temp);
    writer_free(w);
}

static enum err dir_begin(struct blobs *base, const uint8_t id[16], struct blob_writer **out,
                          struct diag *d)
{
    struct blob_dir *b = (struct blob_dir *)base;
    struct blob_writer *w = calloc(1, sizeof *w);
    if (w == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    char hex[33];
    hex_encode(bytes_of(id, 16), hex);
    w->b = b;
    w->fd = -1;
    w->path = path_of(b, id);
    w->parent = str_fmt("%s/%s", b->dir, hex + 30);
    w->temp = str_fmt("%s/tmp/%s", b->dir, hex);
    enum err e = OK;
    if (w->path == NULL || w->parent == NULL || w->temp == NULL) {
        e = FAIL(d, ERR_LIMIT, "out of memory");
    }
    if (e == OK &&
        (w->fd = SYS(open(w->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600))) < 0) {
        e = FAIL(d, ERR_IO, "blob %s: %s", w->temp, strerror(errno));
        free(TAKE(w->temp)); /* not ours to remove */
    }
    if (e != OK) {
        dir_abort(w);
        return e;
    }
    *out = w;
    return OK;
}

static enum err dir_write(struct blob_writer *w, struct bytes bytes, struct diag *d)
{
    return os_write_all(w->fd, bytes, d);
}

static enum err publish(struct blob_writer *w, struct diag *d)
{
    if (SYS(fsync(w->fd)) != 0) return FAIL(d, ERR_IO, "blob: fsync: %s", strerror(errno));
    TRY(os_mkdir(w->parent, d));
    if (SYS(renameat2(AT_FDCWD, w->temp, AT_FDCWD, w->path, RENAME_NOREPLACE)) != 0) {
        if (errno == EEXIST) return FAIL(d, ERR_CONFLICT, "blob %s is there already", w->path);
        return FAIL(d, ERR_IO, "blob %s: %s", w->path, strerror(errno));
    }
    enum err e = os_fsync_dir(w->parent, d);
    if (e != OK) unlink(w->path); /* (3) nobody may count on it */
    return e;
}

static enum err dir_commit(struct blob_writer *w, struct diag *d)
{
    enum err e = publish(w, d);
    if (e == OK) {
        writer_free(w);
    } else {
        dir_abort(w);
    }
    return e;
}

static enum err open_blob(struct blobs *base, const uint8_t id[16], int *fd, struct diag *d)
{
    CLEANUP_FREE char *path = path_of((struct blob_dir *)base, id);
    if (path == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    *fd = SYS(open(path, O_RDONLY | O_CLOEXEC));
    if (*fd >= 0) return OK;
    return FAIL(d, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "blob %s: %s", path, strerror(errno));
}

static enum err dir_read(struct blobs *base, const uint8_t id[16], uint64_t offset, size_t n,
                         struct buf *out, struct diag *d)
{
    CLEANUP_FD int fd = -1;
    TRY(open_blob(base, id, &fd, d));
    size_t before = out->len;
    uint8_t *to = buf_extend(out, n);
    if (to == NULL) return buf_check(out, d);
    enum err e = os_pread_all(fd, to, n, offset, d);
    if (e != OK) buf_shrink(out, before);
    return e;
}

static enum err dir_length(struct blobs *base, const uint8_t id[16], uint64_t *out, struct diag *d)
{
    CLEANUP_FD int fd = -1;
    TRY(open_blob(base, id, &fd, d));
    struct stat st;
    if (SYS(fstat(fd, &st)) != 0) return FAIL(d, ERR_IO, "blob: stat: %s", strerror(errno));
    *out = (uint64_t)st.st_size;
    return OK;
}

static enum err dir_remove(struct blobs *base, const uint8_t id[16], struct diag *d)
{
    CLEANUP_FREE char *path = path_of((struct blob_dir *)base, id);
    if (path == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    return os_remove(path, d);
}

static void cleanup_dir(DIR **dir)
{
    if (*dir != NULL) closedir(*dir);
}
#define CLEANUP_DIR __attribute__((cleanup(cleanup_dir)))

static enum err list_one(struct blob_dir *b, const char *sub, blob_visit *visit, void *ctx,
                         struct diag *d)
{
    CLEANUP_FREE char *path = os_path(b->dir, sub);
    if (path == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    CLEANUP_DIR DIR *dir = opendir(path);
    if (dir == NULL) return FAIL(d, ERR_IO, "blobs %s: %s", path, strerror(errno));
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        uint8_t id[16];
        struct stat st;
        if (strlen(e->d_name) != 36 || !str_ends(e->d_name, ".seg")) continue;
        if (hex_decode(bytes_of(e->d_name, 32), id, sizeof id, NULL) != OK) continue;
        if (fstatat(dirfd(dir), e->d_name, &st, 0) != 0) continue; /* removed meanwhile */
        TRY(visit(ctx, id, (uint64_t)st.st_size, d));
    }
    return OK;
}

static bool is_hex_pair(const char *s)
{
    uint8_t b;
    return strlen(s) == 2 && hex_decode(bytes_str(s), &b, 1, NULL) == OK;
}

static enum err dir_list(struct blobs *base, blob_visit *visit, void *ctx, struct diag *d)
{
    struct blob_dir *b = (struct blob_dir *)base;
    CLEANUP_DIR DIR *dir = opendir(b->dir);
    if (dir == NULL) return FAIL(d, ERR_IO, "blobs %s: %s", b->dir, strerror(errno));
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        if (is_hex_pair(e->d_name)) TRY(list_one(b, e->d_name, visit, ctx, d));
    }
    return OK;
}

static void dir_close(struct blobs *base)
{
    if (base == NULL) return;
    struct blob_dir *b = (struct blob_dir *)base;
    free(b->dir);
    free(b);
}

static const struct blob_ops dir_ops = {
    .begin = dir_begin,
    .write = dir_write,
    .commit = dir_commit,
    .abort = dir_abort,
    .read = dir_read,
    .length = dir_length,
    .remove = dir_remove,
    .list = dir_list,
    .close = dir_close,
};

static void sweep_temp(const char *temp)
{
    CLEANUP_DIR DIR *dir = opendir(temp);
    if (dir == NULL) return;
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        if (e->d_name[0] != '.') unlinkat(dirfd(dir), e->d_name, 0);
    }
}

enum err blobs_open_dir(struct blobs **out, const char *dir, bool sweep, struct diag *d)
{
    CLEANUP_FREE char *temp = os_path(dir, "tmp");
    if (temp == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    if (sweep) {
        TRY(os_mkdir(temp, d));
        sweep_temp(temp);
    }
    struct blob_dir *b = calloc(1, sizeof *b);
    char *copy = str_dup(dir);
    if (b == NULL || copy == NULL) {
        free(b);
        free(copy);
        return FAIL(d, ERR_LIMIT, "out of memory");
    }
    b->base.ops = &dir_ops;
    b->dir = copy;
    *out = &b->base;
    return OK;
}
