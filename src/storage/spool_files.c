/* SPDX-License-Identifier: Apache-2.0 */
/* storage/spool_files.c - the files of a spool: found, in order, removed */
#include "storage/spool.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#define FILES_MAX 4096

static void cleanup_dir(DIR **dir)
{
    if (*dir != NULL) closedir(*dir);
}
#define CLEANUP_DIR __attribute__((cleanup(cleanup_dir)))

/* File numbers only grow: the second half of an id. */
static int by_number(const void *a, const void *b)
{
    const struct spool_file *x = a, *y = b;
    return memcmp(x->file_id + 8, y->file_id + 8, 8);
}

static enum err read_heads(const struct spool *sp, struct spool_file *f, struct diag *d)
{
    uint8_t head[FILE_HEADER_LEN + BLOCK_HEADER_LEN];
    struct sealed_head h;
    struct stat st;
    CLEANUP_FREE char *path = wal_path(sp->dir, f->file_id);
    if (path == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    if (stat(path, &st) != 0) return FAIL(d, ERR_IO, "spool %s: %s", path, strerror(errno));
    f->length = (uint64_t)st.st_size;
    CLEANUP_FD int fd = SYS(open(path, O_RDONLY | O_CLOEXEC));
    if (fd < 0) return FAIL(d, ERR_IO, "spool %s: %s", path, strerror(errno));
    TRY(os_pread_all(fd, head, sizeof head, 0, d));
    TRY(file_header_decode(bytes_of(head, FILE_HEADER_LEN), &f->ident, d));
    TRY(sealed_head_decode(bytes_of(head + FILE_HEADER_LEN, BLOCK_HEADER_LEN), &h, d));
    f->first = h.no;
    return OK;
}

static enum err list_files(const struct spool *sp, struct spool_file **out, uint32_t *n,
                           struct diag *d)
{
    struct spool_file *files = NULL;
    uint32_t count = 0;
    CLEANUP_DIR DIR *dir = opendir(sp->dir);
    if (dir == NULL && errno != ENOENT)
        return FAIL(d, ERR_IO, "spool %s: %s", sp->dir, strerror(errno));
    for (struct dirent *e = dir != NULL ? readdir(dir) : NULL; e != NULL; e = readdir(dir)) {
        struct spool_file f = {0};
        if (strlen(e->d_name) != 36 || !str_ends(e->d_name, ".wal")) continue;
        if (hex_decode(bytes_of(e->d_name, 32), f.file_id, 16, NULL) != OK) continue;
        struct spool_file *more = realloc(files, (count + 1) * sizeof *more);
        if (more == NULL || count == FILES_MAX) {
            free(more != NULL ? more : files);
            return FAIL(d, ERR_LIMIT, "spool: more than %d files", FILES_MAX);
        }
        files = more;
        files[count++] = f;
    }
    if (count != 0) qsort(files, count, sizeof *files, by_number);
    *out = files;
    *n = count;
    return OK;
}

static enum err remove_file(const struct spool *sp, const struct spool_file *f, struct diag *d)
{
    CLEANUP_FREE char *path = wal_path(sp->dir, f->file_id);
    return path != NULL ? os_remove(path, d) : FAIL(d, ERR_LIMIT, "out of memory");
}

/* What a crash left before its first record was durable: nobody was told of a row in it. */
static bool is_stillborn(const struct spool_file *f)
{
    return f->length < FILE_HEADER_LEN + BLOCK_HEADER_LEN;
}

enum err spool_files(const struct spool *sp, struct spool_file **out, uint32_t *n, struct diag *d)
{
    struct spool_file *files = NULL;
    uint32_t count = 0, kept = 0;
    TRY(list_files(sp, &files, &count, d));
    enum err e = OK;
    for (uint32_t i = 0; e == OK && i < count; i++) {
        struct diag why = DIAG_INIT;
        e = read_heads(sp, &files[i], &why);
        if (e == ERR_CORRUPT && is_stillborn(&files[i])) {
            e = remove_file(sp, &files[i], &why);
            if (e == OK) continue;
        }
        if (e != OK) e = FAIL(d, e, "%s", why.text);
        files[kept++] = files[i];
    }
    if (e != OK) {
        free(files);
        return e;
    }
    *out = files;
    *n = kept;
    return OK;
}

enum err spool_remove_files(const struct spool *sp, struct diag *d)
{
    CLEANUP_FREE struct spool_file *files = NULL;
    uint32_t n = 0;
    TRY(list_files(sp, &files, &n, d));
    for (uint32_t i = 0; i < n; i++)
        TRY(remove_file(sp, &files[i], d));
    return OK;
}

enum err spool_files_weigh(const struct spool *sp, uint32_t *n, uint64_t *bytes, struct diag *d)
{
    CLEANUP_FREE struct spool_file *files = NULL;
    *bytes = 0;
    TRY(list_files(sp, &files, n, d));
    for (uint32_t i = 0; i < *n; i++) {
        (void)read_heads(sp, &files[i], NULL); /* its length is what matters here */
        *bytes += files[i].length;
    }
    return OK;
}
