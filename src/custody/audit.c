/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody/audit.c - group-committed lines; where a file is full, the next one
 *
 * `lock` guards everything; it is not held over write and fdatasync. Whoever finds nobody syncing
 * takes what has gathered and syncs it for all.
 */
#include "custody/audit_impl.h"

#include "base/os.h"
#include "base/str.h"
#include "base/time.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

void audit_close(struct audit *a)
{
    if (a == NULL) return;
    if (a->fd >= 0) close(a->fd);
    if (a->dir_fd >= 0) close(a->dir_fd);
    secret_free(a->key);
    free(a->dir);
    buf_release(&a->gathered);
    pthread_cond_destroy(&a->synced);
    pthread_mutex_destroy(&a->lock);
    free(a);
}

int audit_dir_fd(const struct audit *a)
{
    return a != NULL ? a->dir_fd : -1;
}

/* --- a line ----------------------------------------------------------------------------------- */

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
    if (out->len > AUDIT_LINE_MAX)
        return FAIL(d, ERR_LIMIT, "audit: a line of %zu bytes", out->len);
    return OK;
}

/* Under lock: the body joins the chain, and those that the next sync takes. */
static enum err gather_body(struct audit *a, struct buf *body, struct diag *d)
{
    uint8_t chain[AUDIT_CHAIN_LEN], mac[32];
    char chain_hex[2 * AUDIT_CHAIN_LEN + 1], mac_hex[65];
    memcpy(chain, a->chain, sizeof chain);
    audit_chain_next(chain, buf_view(body));
    buf_shrink(body, body->len - 1); /* the brace */
    hex_encode(bytes_of(chain, sizeof chain), chain_hex);
    /* The key moves on only with a line that is really gathered: room for it is made first. */
    size_t had = a->gathered.len;
    if (buf_extend(&a->gathered, body->len + 160) == NULL) return buf_check(&a->gathered, d);
    buf_shrink(&a->gathered, had);
    audit_mac_next(a->key, chain, mac);
    hex_encode(bytes_of(mac, sizeof mac), mac_hex);
    buf_bytes(&a->gathered, buf_view(body));
    buf_fmt(&a->gathered, ",\"chain\":\"%s\",\"mac\":\"%s\"}\n", chain_hex, mac_hex);
    memcpy(a->chain, chain, sizeof chain);
    a->seq++;
    a->file_len += a->gathered.len - had;
    return buf_check(&a->gathered, d);
}

/* (5) Under lock: what is gathered from here on belongs to a new file. */
static void begin_file(struct audit *a)
{
    a->split = a->gathered.len;
    a->split_seq = a->file_seq = a->seq + 1;
    a->file_len = 0;
    a->has_file = true;
}

/* Under lock. The line that begins a segment names the chain before it as well, and has to be the
 * first one under its key. */
static enum err room_in_file(struct audit *a, bool is_segment, struct diag *d)
{
    if (a->split_seq != 0 || (a->has_file && a->file_len < a->file_max)) return OK;
    begin_file(a);
    if (is_segment) return OK;
    CLEANUP_BUF struct buf body = {0};
    char previous[2 * AUDIT_CHAIN_LEN + 1];
    hex_encode(bytes_of(a->chain, AUDIT_CHAIN_LEN), previous);
    const struct log_field f = F_STR("previous", previous);
    TRY(body_of(a->seq + 1, "file.opened", &f, 1, &body, d));
    return gather_body(a, &body, d);
}

static enum err gather(struct audit *a, const char *event, const struct log_field *fields, size_t n,
                       struct diag *d)
{
    CLEANUP_BUF struct buf body = {0};
    TRY(room_in_file(a, str_eq(event, "segment.opened"), d));
    TRY(body_of(a->seq + 1, event, fields, n, &body, d));
    return gather_body(a, &body, d);
}

/* --- the disk --------------------------------------------------------------------------------- */

static enum err write_durably(int fd, struct bytes lines, struct diag *d)
{
    if (lines.len == 0) return OK;
    TRY(os_write_all(fd, lines, d));
    return SYS(fdatasync(fd)) == 0 ? OK : FAIL(d, ERR_IO, "fdatasync: %s", strerror(errno));
}

static enum err next_file(struct audit *a, uint64_t first_seq, struct diag *d)
{
    char name[AUDIT_NAME_LEN + 1];
    audit_file_name(first_seq, name);
    int fd = SYS(openat(a->dir_fd, name, O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (fd < 0) return FAIL(d, ERR_IO, "%s: %s", name, strerror(errno));
    if (a->fd >= 0) close(a->fd);
    a->fd = fd;
    return SYS(fsync(a->dir_fd)) == 0 ? OK : FAIL(d, ERR_IO, "fsync: %s", strerror(errno));
}

struct batch { /* what one sync takes */
    struct buf lines;
    size_t split;
    uint64_t split_seq; /* 0: all lines belong to the file that is open */
};

static enum err write_batch(struct audit *a, const struct batch *b, struct diag *d)
{
    if (b->split_seq == 0) return write_durably(a->fd, buf_view(&b->lines), d);
    TRY(write_durably(a->fd, bytes_of(b->lines.p, b->split), d));
    TRY(next_file(a, b->split_seq, d));
    return write_durably(a->fd, bytes_of(b->lines.p + b->split, b->lines.len - b->split), d);
}

/* Under lock, which it gives up meanwhile. */
static void sync_gathered(struct audit *a)
{
    struct batch b = {a->gathered, a->split, a->split_seq};
    uint64_t seq = a->seq;
    a->gathered = (struct buf){0};
    a->split = 0;
    a->split_seq = 0;
    a->syncing = true;
    pthread_mutex_unlock(&a->lock);

    struct diag d = DIAG_INIT;
    enum err e = write_batch(a, &b, &d);
    if (e != OK) LOG(ERROR, "audit.failed", F_ERR(&d));
    buf_release(&b.lines);

    pthread_mutex_lock(&a->lock);
    a->syncing = false;
    if (e != OK && !a->failed && a->on_failed != NULL) a->on_failed(a->ctx);
    a->failed = a->failed || e != OK; /* (2) */
    if (e == OK) a->seq_synced = seq;
    pthread_cond_broadcast(&a->synced);
}

/* Under lock: returns when all that is gathered now is durable. */
static enum err sync_all(struct audit *a, struct diag *d)
{
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

enum err audit_write(struct audit *a, const char *event, const struct log_field *fields, size_t n,
                     struct diag *d)
{
    LOCK_SCOPE(&a->lock);
    if (!a->failed) TRY(gather(a, event, fields, n, d));
    return sync_all(a, d);
}

uint64_t audit_file_seq(struct audit *a)
{
    LOCK_SCOPE(&a->lock);
    return a->file_seq;
}

uint64_t audit_durable(struct audit *a)
{
    LOCK_SCOPE(&a->lock);
    return a->seq_synced;
}

/* --- seals ------------------------------------------------------------------------------------ */

/* Under lock. */
static enum err gather_seal(struct audit *a, const struct audit_signer *s, uint64_t epoch,
                            struct audit_tip *out, struct diag *d)
{
    CLEANUP_BUF struct buf body = {0};
    char signer[2 * ED25519_KEY_LEN + 1];
    TRY(room_in_file(a, false, d));
    hex_encode(bytes_of(s->public_key, ED25519_KEY_LEN), signer);
    uint64_t ended = a->epoch == 0 ? 1 : epoch - a->epoch;
    const struct log_field f[] = {F_U64("epoch", epoch), F_U64("epochs", ended),
                                  F_STR("signer", signer)};
    TRY(body_of(a->seq + 1, "sealed", f, 3, &body, d));
    TRY(audit_sign(&body, a->chain, s->key, d));
    TRY(gather_body(a, &body, d));
    a->epoch = epoch;
    out->seq = a->seq;
    memcpy(out->chain, a->chain, sizeof out->chain);
    return secret_of(&out->key, secret_view(a->key), d);
}

enum err audit_seal(struct audit *a, const struct audit_signer *s, int64_t now_us,
                    struct audit_tip *out, struct diag *d)
{
    LOCK_SCOPE(&a->lock);
    uint64_t epoch = (uint64_t)(now_us / AUDIT_EPOCH_US);
    struct audit_tip tip = {0};
    if (epoch < a->epoch) epoch = a->epoch; /* a clock that was set back */
    if (!a->failed) TRY(gather_seal(a, s, epoch, &tip, d));
    enum err e = sync_all(a, d);
    if (e == OK) {
        *out = tip;
    } else {
        secret_free(tip.key);
    }
    return e;
}
