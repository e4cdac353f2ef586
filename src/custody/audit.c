/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody/audit.c - group-committed lines, and the walk over the chain at opening
 *
 * `lock` guards everything; it is not held over write and fdatasync. Whoever finds nobody syncing
 * takes what has gathered and syncs it for all.
 */
#include "custody/audit.h"

#include "base/os.h"
#include "base/str.h"
#include "base/thread.h"
#include "base/time.h"
#include "crypto/hash.h"
#include "json/json.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#define CHAIN_LEN 32
/* ,"chain":"<64>"} */
#define CHAIN_TEXT_LEN (strlen(",\"chain\":\"") + 2 * CHAIN_LEN + strlen("\"}"))
#define LINE_MAX_BYTES (64 << 10)

struct audit {
    int fd;
    pthread_mutex_t lock;
    pthread_cond_t synced;
    struct buf gathered; /* lines of callers that wait */
    uint8_t chain[CHAIN_LEN];
    uint64_t seq, seq_synced;
    bool syncing, failed;
};

static void chain_next(uint8_t chain[CHAIN_LEN], struct bytes body)
{
    CLEANUP_BUF struct buf in = {0};
    buf_bytes(&in, bytes_of(chain, CHAIN_LEN));
    buf_bytes(&in, body);
    sha256(buf_view(&in), chain);
}

/* --- opening -------------------------------------------------------------------------------------
 */

/* The body of a line whose chain text continues `chain`, which then moves on; false when it does
 * not. */
static bool line_follows(struct bytes line, uint8_t chain[CHAIN_LEN], struct buf *body)
{
    if (line.len <= CHAIN_TEXT_LEN) return false;
    struct bytes head = bytes_of(line.p, line.len - CHAIN_TEXT_LEN);
    const char *tail = (const char *)line.p + head.len;
    uint8_t claimed[CHAIN_LEN], is[CHAIN_LEN];
    if (memcmp(tail, ",\"chain\":\"", 10) != 0 || memcmp(tail + 10 + 64, "\"}", 2) != 0)
        return false;
    if (hex_decode(bytes_of(tail + 10, 64), claimed, CHAIN_LEN, NULL) != OK) return false;
    buf_clear(body);
    buf_bytes(body, head);
    buf_u8(body, '}');
    memcpy(is, chain, CHAIN_LEN);
    chain_next(is, buf_view(body));
    if (memcmp(is, claimed, CHAIN_LEN) != 0) return false;
    memcpy(chain, is, CHAIN_LEN);
    return true;
}

static void remember_use(const json_t *line, const struct audit_past *past)
{
    const char *scope = json_get_str(line, "scope"), *kek = json_get_str(line, "kek"),
               *result = json_get_str(line, "result"), *time = json_get_str(line, "time");
    int64_t us;
    if (past->used == NULL || scope == NULL || kek == NULL || !str_eq(result, "ok")) return;
    if (time != NULL && time_parse_iso(time, &us)) past->used(past->ctx, scope, kek, us);
}

static void remember(struct audit *a, struct bytes body, struct audit_past *past)
{
    CLEANUP_JSON json_t *line = NULL;
    if (json_read(body, &line, NULL) != OK) return;
    a->seq = (uint64_t)json_get_int(line, "seq", 0);
    past->n_lines++;
    const char *event = json_get_str(line, "event");
    if (str_eq(event, "mk.installed")) past->mk_installed = true;
    if (str_eq(event, "unwrap")) remember_use(line, past);
    const char *account = json_get_str(line, "account"), *now = json_get_str(line, "now");
    if (!str_eq(event, "state") || account == NULL || now == NULL || past->visit == NULL) return;
    past->visit(past->ctx, account, now);
}

/* Reads the chain from the start; returns the length of what is good. */
static enum err walk(struct audit *a, FILE *f, struct audit_past *past, uint64_t *good_len,
                     struct diag *d)
{
    CLEANUP_FREE char *line = NULL;
    CLEANUP_BUF struct buf body = {0};
    size_t cap = 0;
    ssize_t n;
    *good_len = 0;
    while ((n = getline(&line, &cap, f)) > 0) {
        if (line[n - 1] != '\n' || !line_follows(bytes_of(line, (size_t)n - 1), a->chain, &body)) {
            return OK;
        }
        remember(a, buf_view(&body), past);
        *good_len += (uint64_t)n;
    }
    return ferror(f) ? FAIL(d, ERR_IO, "audit log: %s", strerror(errno)) : OK;
}

/* (3) Copies what lies behind the good part to PATH.cut-SEQ, then cuts it off. */
static enum err set_aside(struct audit *a, const char *path, uint64_t good_len, uint64_t file_len,
                          struct diag *d)
{
    CLEANUP_FREE char *aside = str_fmt("%s.cut-%" PRIu64, path, a->seq);
    CLEANUP_BUF struct buf tail = {0};
    size_t n = (size_t)(file_len - good_len);
    uint8_t *to = buf_extend(&tail, n);
    TRY(buf_check(&tail, d));
    if (aside == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    TRY(os_pread_all(a->fd, to, n, good_len, d));
    TRY(os_replace(aside, buf_view(&tail), d));
    if (SYS(ftruncate(a->fd, (off_t)good_len)) != 0 || SYS(fsync(a->fd)) != 0) {
        return FAIL(d, ERR_IO, "audit log: %s", strerror(errno));
    }
    LOG(ERROR, "audit.tail_cut", F_STR("kept", aside), F_U64("bytes", n));
    char sha[2 * CHAIN_LEN + 1];
    uint8_t digest[CHAIN_LEN];
    sha256(buf_view(&tail), digest);
    hex_encode(bytes_of(digest, sizeof digest), sha);
    return AUDIT(a, d, "audit.cut", F_U64("bytes", n), F_STR("sha256", sha));
}

static enum err read_past(struct audit *a, const char *path, struct audit_past *past,
                          struct diag *d)
{
    FILE *f = fopen(path, "re");
    if (f == NULL) return FAIL(d, ERR_IO, "audit log %s: %s", path, strerror(errno));
    uint64_t good_len = 0;
    enum err e = walk(a, f, past, &good_len, d);
    fclose(f);
    TRY(e);
    a->seq_synced = a->seq;
    off_t len = lseek(a->fd, 0, SEEK_END);
    if (len < 0) return FAIL(d, ERR_IO, "audit log %s: %s", path, strerror(errno));
    return (uint64_t)len > good_len ? set_aside(a, path, good_len, (uint64_t)len, d) : OK;
}

enum err audit_open(struct audit **out, const char *path, struct audit_past *past, struct diag *d)
{
    CLEANUP(audit_close) struct audit *a = calloc(1, sizeof *a);
    if (a == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    pthread_mutex_init(&a->lock, NULL);
    cond_init(&a->synced);
    a->fd = SYS(open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
    if (a->fd < 0) return FAIL(d, ERR_IO, "audit log %s: %s", path, strerror(errno));
    TRY(read_past(a, path, past, d));
    *out = TAKE(a);
    return OK;
}

void audit_close(struct audit *a)
{
    if (a == NULL) return;
    if (a->fd >= 0) close(a->fd);
    buf_release(&a->gathered);
    pthread_cond_destroy(&a->synced);
    pthread_mutex_destroy(&a->lock);
    free(a);
}

/* --- writing -------------------------------------------------------------------------------------
 */

static json_t *value_of(const struct log_field *f)
{
    switch (f->kind) {
    case LOG_F_STR: return json_string(f->str != NULL ? f->str : "");
    case LOG_F_U64: return json_integer((json_int_t)f->u64);
    case LOG_F_I64: return json_integer(f->i64);
    case LOG_F_BOOL: return json_boolean(f->u64 != 0);
    }
    return json_null();
}

static enum err body_of(uint64_t seq, const char *event, const struct log_field *fields, size_t n,
                        struct buf *out, struct diag *d)
{
    CLEANUP_JSON json_t *o = json_object();
    char now[TIME_TEXT_MAX];
    time_format_iso(time_now_us(), now);
    int bad = json_object_set_new(o, "seq", json_integer((json_int_t)seq)) |
              json_object_set_new(o, "time", json_string(now)) |
              json_object_set_new(o, "event", json_string(event));
    for (size_t i = 0; i < n; i++)
        bad |= json_object_set_new(o, fields[i].name, value_of(&fields[i]));
    if (bad != 0) return FAIL(d, ERR_INVALID, "audit: a field of '%s' is no text", event);
    TRY(json_write(o, out, d));
    if (out->len > LINE_MAX_BYTES)
        return FAIL(d, ERR_LIMIT, "audit: a line of %zu bytes", out->len);
    return OK;
}

/* Under lock: the line joins those that the next sync takes. */
static enum err gather(struct audit *a, const char *event, const struct log_field *fields, size_t n,
                       struct diag *d)
{
    CLEANUP_BUF struct buf body = {0};
    TRY(body_of(a->seq + 1, event, fields, n, &body, d));
    uint8_t chain[CHAIN_LEN];
    memcpy(chain, a->chain, CHAIN_LEN);
    chain_next(chain, buf_view(&body));
    char hex[2 * CHAIN_LEN + 1];
    hex_encode(bytes_of(chain, CHAIN_LEN), hex);
    buf_shrink(&body, body.len - 1); /* the brace */
    buf_fmt(&body, ",\"chain\":\"%s\"}\n", hex);
    buf_bytes(&a->gathered, buf_view(&body));
    TRY(buf_check(&a->gathered, d));
    memcpy(a->chain, chain, CHAIN_LEN);
    a->seq++;
    return OK;
}

/* Under lock, which it gives up meanwhile. */
static void sync_gathered(struct audit *a)
{
    struct buf lines = a->gathered;
    uint64_t seq = a->seq;
    a->gathered = (struct buf){0};
    a->syncing = true;
    pthread_mutex_unlock(&a->lock);

    struct diag d = DIAG_INIT;
    enum err e = os_write_all(a->fd, buf_view(&lines), &d);
    if (e == OK && SYS(fdatasync(a->fd)) != 0) e = FAIL(&d, ERR_IO, "%s", strerror(errno));
    if (e != OK) LOG(ERROR, "audit.failed", F_ERR(&d));
    buf_release(&lines);

    pthread_mutex_lock(&a->lock);
    a->syncing = false;
    a->failed = a->failed || e != OK; /* (2) */
    if (e == OK) a->seq_synced = seq;
    pthread_cond_broadcast(&a->synced);
}

enum err audit_write(struct audit *a, const char *event, const struct log_field *fields, size_t n,
                     struct diag *d)
{
    LOCK_SCOPE(&a->lock);
    if (!a->failed) TRY(gather(a, event, fields, n, d));
    uint64_t mine = a->seq;
    while (!a->failed && a->seq_synced < mine) { /* (1) */
        if (a->syncing) {
            pthread_cond_wait(&a->synced, &a->lock);
        } else {
            sync_gathered(a);
        }
    }
    return a->failed ? FAIL(d, ERR_IO, "the key-access audit log cannot be written") : OK;
}
