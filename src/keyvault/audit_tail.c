/* SPDX-License-Identifier: Apache-2.0 */
/* keyvault/audit_tail.c - following hash-chained files that somebody else writes */
#include "keyvault/audit_tail.h"

#include "base/os.h"
#include "base/str.h"
#include "keyvault/audit_log.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK ((size_t)256 << 10) /* bytes; no line is longer */

static const char mark[] = ",\"sequence\":";

uint64_t audit_line_sequence(struct bytes line)
{
    /* The last one: what a client sent may hold the same letters, and stands before it. */
    for (size_t i = line.len; i-- > 0;) {
        if (line.len - i < sizeof mark || line.p[i] != ',' ||
            memcmp(line.p + i, mark, sizeof mark - 1) != 0)
            continue;
        uint64_t n = 0;
        for (size_t k = i + sizeof mark - 1; k < line.len; k++) {
            if (line.p[k] < '0' || line.p[k] > '9') return n;
            n = n * 10 + (uint64_t)(line.p[k] - '0');
        }
        return n;
    }
    return 0;
}

void audit_tail_release(struct audit_tail *t)
{
    free(TAKE(t->path));
    t->offset = 0;
    t->last = 0;
}

/* --- files --- */

struct choice {         /* among the files, oldest first */
    const char *behind; /* the first one behind this path; NULL: the one that holds `number` */
    uint64_t number;
    char *path;
};

static uint64_t first_of(const char *path)
{
    const char *name = strrchr(path, '/');
    return strtoull((name != NULL ? name + 1 : path) + strlen("audit-"), NULL, 10);
}

static enum err choose(void *ctx, const char *path, struct diag *d)
{
    struct choice *c = ctx;
    bool takes = c->behind != NULL ? c->path == NULL && strcmp(path, c->behind) > 0
                                   : c->path == NULL || first_of(path) <= c->number;
    if (!takes) return OK;
    free(c->path);
    c->path = str_dup(path);
    return c->path != NULL ? OK : FAIL(d, ERR_LIMIT, "out of memory");
}

/* Whole lines from an offset on, durable ones. */
static enum err read_lines(const char *path, size_t offset, struct buf *out, struct diag *d)
{
    CLEANUP_FD int fd = SYS(open(path, O_RDONLY | O_CLOEXEC));
    if (fd < 0) return FAIL(d, ERR_IO, "open %s: %s", path, strerror(errno));
    size_t was = out->len;
    uint8_t *at = buf_extend(out, CHUNK);
    if (at == NULL) return buf_check(out, d);
    ssize_t n = SYS(pread(fd, at, CHUNK, (off_t)offset));
    if (n < 0) return FAIL(d, ERR_IO, "read %s: %s", path, strerror(errno));
    while (n > 0 && at[n - 1] != '\n')
        n--;
    buf_shrink(out, was + (size_t)n);
    if (n != 0 && SYS(fdatasync(fd)) != 0)
        return FAIL(d, ERR_IO, "fdatasync %s: %s", path, strerror(errno));
    return OK;
}

/* --- reading --- */

static enum err begin(struct audit_tail *t, uint64_t after, struct diag *d)
{
    struct choice c = {.number = after + 1};
    audit_tail_release(t);
    enum err e = audit_log_each_file(t->dir, choose, &c, d);
    t->path = c.path;
    return e;
}

static enum err find_heir(const struct audit_tail *t, char **out, struct diag *d)
{
    struct choice c = {.behind = t->path};
    enum err e = audit_log_each_file(t->dir, choose, &c, d);
    *out = c.path;
    return e;
}

static void take_lines(struct audit_tail *t, struct bytes lines, uint64_t after, struct buf *out)
{
    for (size_t i = 0; i < lines.len;) {
        const uint8_t *end = memchr(lines.p + i, '\n', lines.len - i);
        size_t n = (size_t)(end - (lines.p + i)) + 1;
        uint64_t number = audit_line_sequence(bytes_of(lines.p + i, n));
        if (number > after) {
            buf_bytes(out, bytes_of(lines.p + i, n));
            t->last = number;
        }
        i += n;
    }
    t->offset += lines.len;
}

enum err audit_tail_read(struct audit_tail *t, uint64_t after, size_t max, struct buf *out,
                         struct diag *d)
{
    size_t was = out->len;
    if (t->path == NULL || t->last != after) TRY(begin(t, after, d));
    while (t->path != NULL && out->len - was < max) {
        CLEANUP_FREE char *heir = NULL;
        CLEANUP_BUF struct buf lines = {0};
        TRY(find_heir(t, &heir, d)); /* before the last read: it gets no lines once there is one */
        TRY(read_lines(t->path, t->offset, &lines, d));
        take_lines(t, buf_view(&lines), after, out);
        if (lines.len != 0) continue;
        if (heir == NULL) break;
        free(t->path);
        t->path = TAKE(heir);
        t->offset = 0;
    }
    if (out->len == was) t->last = after;
    return buf_check(out, d);
}

/* --- the end --- */

static enum err newest(void *ctx, const char *path, struct diag *d)
{
    char **out = ctx;
    free(*out);
    *out = str_dup(path);
    return *out != NULL ? OK : FAIL(d, ERR_LIMIT, "out of memory");
}

enum err audit_tail_end(const char *dir, uint64_t *last, struct diag *d)
{
    CLEANUP_FREE char *path = NULL;
    CLEANUP_BUF struct buf lines = {0};
    struct stat st;
    TRY(audit_log_each_file(dir, newest, &path, d));
    *last = 0;
    if (path == NULL) return OK;
    if (stat(path, &st) != 0) return FAIL(d, ERR_IO, "stat %s: %s", path, strerror(errno));
    TRY(read_lines(path, (size_t)st.st_size > CHUNK ? (size_t)st.st_size - CHUNK : 0, &lines, d));
    *last = lines.len != 0 ? audit_line_sequence(buf_view(&lines)) : first_of(path) - 1;
    return OK;
}
