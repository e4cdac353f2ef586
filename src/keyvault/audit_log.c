/* SPDX-License-Identifier: Apache-2.0 */
/* keyvault/audit_log.c - hash-chained lines in files of limited size */
#include "keyvault/audit_log.h"

#include "base/log.h"
#include "base/os.h"
#include "base/str.h"
#include "base/thread.h"
#include "crypto/hash.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define HASH_LEN      32
#define HASH_TEXT_LEN (2 * HASH_LEN)
#define NAME_MAX_LEN  64
#define FILE_READ_MAX ((size_t)1 << 30) /* bytes */

#define MARK_SEQUENCE ",\"sequence\":"
#define MARK_PREVIOUS ",\"previousHash\":\""
#define MARK_HASH     ",\"hash\":\""
#define LINE_END      "\"}\n"

struct link { /* the end of the chain */
    uint64_t sequence;
    char hash[HASH_TEXT_LEN + 1];
};

struct audit_log {
    pthread_mutex_t lock; /* guards all below */
    char *dir;
    int fd;
    size_t size, file_max;
    struct link last;
};

static struct link first_link(void)
{
    struct link l = {0};
    memset(l.hash, '0', HASH_TEXT_LEN);
    return l;
}

/* --- lines --- */

static void hash_text(struct bytes b, char out[HASH_TEXT_LEN + 1])
{
    uint8_t h[HASH_LEN];
    sha256(b, h);
    hex_encode(BYTES_OF(h), out);
}

/* The line of an object behind `last`, which becomes its link. */
static enum err make_line(struct bytes object, struct link *last, struct buf *line, struct diag *d)
{
    if (object.len < 2 || object.p[object.len - 1] != '}') {
        return FAIL(d, ERR_INTERNAL, "an audit record is no object");
    }
    struct link next = {.sequence = last->sequence + 1};
    buf_bytes(line, bytes_of(object.p, object.len - 1));
    buf_fmt(line, MARK_SEQUENCE "%" PRIu64 MARK_PREVIOUS "%s\"", next.sequence, last->hash);
    hash_text(buf_view(line), next.hash);
    buf_fmt(line, MARK_HASH "%s" LINE_END, next.hash);
    TRY(buf_check(line, d));
    *last = next;
    return OK;
}

/* Does the line, with its newline, follow on `last`? Then it is `last`. */
static bool follows(struct bytes line, struct link *last)
{
    size_t tail = strlen(MARK_HASH) + HASH_TEXT_LEN + strlen(LINE_END);
    CLEANUP_FREE char *want =
        str_fmt(MARK_SEQUENCE "%" PRIu64 MARK_PREVIOUS "%s\"", last->sequence + 1, last->hash);
    if (want == NULL || line.len < tail + strlen(want)) return false;
    struct link next = {.sequence = last->sequence + 1};
    size_t body = line.len - tail;
    hash_text(bytes_of(line.p, body), next.hash);
    CLEANUP_FREE char *end = str_fmt(MARK_HASH "%s" LINE_END, next.hash);
    if (end == NULL || memcmp(line.p + body, end, tail) != 0) return false;
    if (memcmp(line.p + body - strlen(want), want, strlen(want)) != 0) return false;
    *last = next;
    return true;
}

/* Walks whole lines; *used is where the last good one ends. False: a whole line does not follow. */
static bool walk(struct bytes text, struct link *last, size_t *used)
{
    *used = 0;
    while (*used < text.len) {
        const uint8_t *start = text.p + *used;
        const uint8_t *end = memchr(start, '\n', text.len - *used);
        if (end == NULL) return true;
        size_t n = (size_t)(end - start) + 1;
        if (!follows(bytes_of(start, n), last)) return false;
        *used += n;
    }
    return true;
}

/* The link that the first line of a file goes on from, as the line itself says. */
static bool link_before(struct bytes text, struct link *out)
{
    const uint8_t *end = memchr(text.p, '\n', text.len);
    size_t n = end != NULL ? (size_t)(end - text.p) : 0;
    CLEANUP_FREE char *line = n != 0 ? strndup((const char *)text.p, n) : NULL;
    char *sequence = NULL;
    for (char *p = line; p != NULL && (p = strstr(p, MARK_SEQUENCE)) != NULL; p++)
        sequence = p;
    if (sequence == NULL) return false;
    uint64_t number = strtoull(sequence + strlen(MARK_SEQUENCE), NULL, 10);
    const char *previous = strstr(sequence, MARK_PREVIOUS);
    if (number == 0 || previous == NULL ||
        strlen(previous) < strlen(MARK_PREVIOUS) + HASH_TEXT_LEN) {
        return false;
    }
    *out = (struct link){.sequence = number - 1};
    memcpy(out->hash, previous + strlen(MARK_PREVIOUS), HASH_TEXT_LEN);
    return true;
}

/* --- files --- */

static int is_ours(const struct dirent *e)
{
    return str_starts(e->d_name, "audit-") && str_ends(e->d_name, ".jsonl") &&
           strlen(e->d_name) < NAME_MAX_LEN;
}

enum err audit_log_each_file(const char *dir, audit_file_visit *visit, void *ctx, struct diag *d)
{
    struct dirent **names = NULL;
    int n = scandir(dir, &names, is_ours, alphasort);
    if (n < 0) return FAIL(d, ERR_IO, "read directory %s: %s", dir, strerror(errno));
    enum err e = OK;
    for (int i = 0; i < n; i++) {
        CLEANUP_FREE char *path = os_path(dir, names[i]->d_name);
        if (e == OK) e = path != NULL ? visit(ctx, path, d) : FAIL(d, ERR_LIMIT, "out of memory");
        free(names[i]);
    }
    free(names);
    return e;
}

static enum err open_file(const char *path, int flags, int *out, struct diag *d)
{
    int fd = SYS(open(path, flags | O_WRONLY | O_APPEND | O_CLOEXEC, 0600));
    if (fd < 0) return FAIL(d, ERR_IO, "open %s: %s", path, strerror(errno));
    *out = fd;
    return OK;
}

/* A new file, named after the record that will be its first. */
static enum err begin_file(struct audit_log *a, struct diag *d)
{
    CLEANUP_FREE char *path =
        str_fmt("%s/audit-%012" PRIu64 ".jsonl", a->dir, a->last.sequence + 1);
    if (path == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    CLEANUP_FD int fd = -1;
    TRY(open_file(path, O_CREAT, &fd, d));
    TRY(os_fsync_dir(a->dir, d));
    if (a->fd >= 0) close(a->fd);
    a->fd = fd;
    a->size = 0;
    fd = -1; /* the log's */
    return OK;
}

static enum err keep_path(void *ctx, const char *path, struct diag *d)
{
    char **newest = ctx;
    free(*newest);
    *newest = str_dup(path);
    return *newest != NULL ? OK : FAIL(d, ERR_LIMIT, "out of memory");
}

static enum err go_on(struct audit_log *a, const char *path, struct diag *d)
{
    CLEANUP_BUF struct buf text = {0};
    size_t used = 0;
    TRY(os_read_file(path, FILE_READ_MAX, &text, d));
    bool whole = text.len == 0 || link_before(buf_view(&text), &a->last);
    if (whole) whole = walk(buf_view(&text), &a->last, &used);
    if (!whole) {
        LOG(ERROR, "audit.chain_broken", F_STR("path", path), F_U64("offset", used),
            F_U64("last_good", a->last.sequence));
        a->last.sequence += 1000000; /* so that no number is used for two records */
        return begin_file(a, d);
    }
    CLEANUP_FD int fd = -1;
    TRY(open_file(path, 0, &fd, d));
    if (used != text.len) {
        LOG(WARN, "audit.torn_line_removed", F_STR("path", path), F_U64("bytes", text.len - used));
        if (SYS(ftruncate(fd, (off_t)used)) != 0) {
            return FAIL(d, ERR_IO, "cut %s: %s", path, strerror(errno));
        }
    }
    a->fd = fd;
    a->size = used;
    fd = -1; /* the log's */
    return OK;
}

enum err audit_log_open(struct audit_log **out, const char *dir, size_t file_max, struct diag *d)
{
    struct audit_log *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    pthread_mutex_init(&fresh->lock, NULL);
    fresh->fd = -1;
    CLEANUP(audit_log_close) struct audit_log *a = fresh;
    a->file_max = file_max;
    a->last = first_link();
    a->dir = str_dup(dir);
    if (a->dir == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    TRY(os_mkdir(dir, d));
    CLEANUP_FREE char *newest = NULL;
    TRY(audit_log_each_file(dir, keep_path, &newest, d));
    if (newest != NULL) {
        TRY(go_on(a, newest, d));
    } else {
        TRY(begin_file(a, d));
    }
    *out = TAKE(a);
    return OK;
}

void audit_log_close(struct audit_log *a)
{
    if (a == NULL) return;
    if (a->fd >= 0) {
        if (fdatasync(a->fd) != 0) LOG(ERROR, "audit.not_synced", F_STR("error", strerror(errno)));
        close(a->fd);
    }
    pthread_mutex_destroy(&a->lock);
    free(a->dir);
    free(a);
}

/* Without this the end of the chain could be half a line when the next one is written. */
static enum err undo(struct audit_log *a, enum err e)
{
    if (ftruncate(a->fd, (off_t)a->size) != 0) {
        LOG(ERROR, "audit.half_a_line", F_STR("error", strerror(errno)));
    }
    return e;
}

enum err audit_log_append(struct audit_log *a, struct bytes object, bool sync, struct diag *d)
{
    CLEANUP_BUF struct buf line = {0};
    LOCK_SCOPE(&a->lock);
    if (a->size >= a->file_max) {
        if (SYS(fdatasync(a->fd)) != 0) return FAIL(d, ERR_IO, "audit: %s", strerror(errno));
        TRY(begin_file(a, d));
    }
    struct link next = a->last;
    TRY(make_line(object, &next, &line, d));
    enum err e = os_write_all(a->fd, buf_view(&line), d);
    if (e != OK) return undo(a, e);
    if (sync && SYS(fdatasync(a->fd)) != 0) {
        return undo(a, FAIL(d, ERR_IO, "audit: fdatasync: %s", strerror(errno)));
    }
    a->last = next;
    a->size += line.len;
    return OK;
}

/* --- verification --- */

struct verification {
    struct link last;
    uint64_t first; /* 0 = nothing read yet */
};

/* The oldest file may go on from one that was put away. */
static enum err verify_file(void *ctx, const char *path, struct diag *d)
{
    struct verification *v = ctx;
    CLEANUP_BUF struct buf text = {0};
    size_t used = 0;
    TRY(os_read_file(path, FILE_READ_MAX, &text, d));
    if (v->first == 0 && text.len != 0 && link_before(buf_view(&text), &v->last)) {
        v->first = v->last.sequence + 1;
    }
    if (walk(buf_view(&text), &v->last, &used) && used == text.len) return OK;
    return FAIL(d, ERR_CORRUPT,
                "audit file %s: the chain breaks behind record %" PRIu64 ", at byte %zu", path,
                v->last.sequence, used);
}

enum err audit_log_verify(const char *dir, uint64_t *records, struct diag *d)
{
    struct verification v = {.last = first_link()};
    TRY(audit_log_each_file(dir, verify_file, &v, d));
    *records = v.first != 0 ? v.last.sequence - v.first + 1 : 0;
    return OK;
}
