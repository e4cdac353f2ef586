/* SPDX-License-Identifier: Apache-2.0 */
/* custody/audit_open.c - the past is walked, what does not belong is set aside, a segment begins */
#include "custody/audit_impl.h"

#include "base/os.h"
#include "base/rand.h"
#include "base/str.h"
#include "base/time.h"
#include "crypto/hash.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX_DEFAULT ((size_t)16 << 20) /* bytes */
#define FILES_WALKED     2

struct walk {
    struct audit *a;
    struct audit_past *past;
    struct audit_reader r;
    bool known;        /* a->chain is that before the next line */
    bool broken;       /* something does not continue the chain: from here on */
    size_t file;       /* which file that is, */
    uint64_t good_len; /* and how much of it is good */
};

/* A good unwrap, or what an earlier start said of one. */
static void remember_use(const json_t *line, const struct audit_past *past)
{
    const char *scope = json_get_str(line, "scope"), *kek = json_get_str(line, "kek"),
               *result = json_get_str(line, "result"), *time = json_get_str(line, "at");
    int64_t us;
    if (time == NULL && !str_eq(result, "ok")) return;
    if (time == NULL) time = json_get_str(line, "time");
    if (past->used == NULL || scope == NULL || kek == NULL) return;
    if (time != NULL && time_parse_iso(time, &us)) past->used(past->ctx, scope, kek, us);
}

static void remember(struct walk *w, const struct audit_line *l)
{
    struct audit_past *past = w->past;
    past->n_lines++;
    past->seq = w->a->seq = l->seq;
    const char *event = audit_line_event(l);
    if (str_eq(event, "mk.installed")) past->mk_installed = true;
    if (str_eq(event, "sealed")) w->a->epoch = (uint64_t)json_get_int(l->doc, "epoch", 0);
    if (str_eq(event, "unwrap") || str_eq(event, "version.used")) remember_use(l->doc, past);
    const char *account = json_get_str(l->doc, "account"), *now = json_get_str(l->doc, "now");
    bool is_state = str_eq(event, "state") || str_eq(event, "state.current");
    if (!is_state || account == NULL || now == NULL || past->visit == NULL) return;
    past->visit(past->ctx, account, now);
}

/* (5) The first line of the first file that is walked says itself what was before it. */
static bool take_previous(struct walk *w, struct bytes line)
{
    CLEANUP_AUDIT_LINE struct audit_line l = {0};
    if (audit_line_read(line, NULL, &l, NULL) != OK) return false;
    const char *previous = json_get_str(l.doc, "previous");
    if (previous == NULL) return false;
    return hex_decode(bytes_str(previous), w->a->chain, AUDIT_CHAIN_LEN, NULL) == OK;
}

static bool is_good(struct walk *w, struct bytes line)
{
    CLEANUP_AUDIT_LINE struct audit_line l = {0};
    struct audit_reader *r = &w->r;
    if (!w->known && !take_previous(w, line)) return false;
    w->known = true;
    if (audit_line_read(line, w->a->chain, &l, NULL) != OK) return false;
    if (w->a->seq != 0 && l.seq != w->a->seq + 1) return false;
    if (r->is_first && l.seq != r->files[r->at].first_seq) return false;
    remember(w, &l);
    return true;
}

static enum err walk_from(struct walk *w, size_t file, struct diag *d)
{
    struct audit_reader *r = &w->r;
    TRY(audit_reader_open(r, w->a->dir, 0, d));
    r->at = file < r->n_files ? file : 0;
    w->known = r->at == 0; /* before the first file there are 32 zero bytes */
    w->past->mk_installed = r->at != 0;
    for (;;) {
        struct bytes line;
        struct diag why = DIAG_INIT;
        enum err e = audit_reader_next(r, &line, &why);
        if (e != OK && e != ERR_CORRUPT) return FAIL(d, e, "%s", why.text);
        if (e == OK && line.p == NULL) break;
        if (e == OK && is_good(w, line)) continue;
        w->broken = true;
        w->file = r->at;
        w->good_len = r->offset;
        return OK;
    }
    if (r->n_files != 0) w->a->file_len = (size_t)r->next_offset;
    return OK;
}

static enum err walk(struct walk *w, struct diag *d)
{
    TRY(audit_reader_open(&w->r, w->a->dir, 0, d));
    size_t file = w->r.n_files > FILES_WALKED ? w->r.n_files - FILES_WALKED : 0;
    audit_reader_close(&w->r);
    TRY(walk_from(w, file, d));
    if (!w->broken || file == 0 || w->past->n_lines != 0) return OK;
    /* Nothing of the newest files is good: where the log really ends only the older ones know. */
    audit_reader_close(&w->r);
    memset(w->a->chain, 0, sizeof w->a->chain);
    w->broken = false;
    return walk_from(w, 0, d);
}

/* --- (3) -------------------------------------------------------------------------------------- */

struct cut {
    struct sha256_ctx *hash;
    uint64_t bytes;
};

/* Moves what lies in the file behind good_len to FILE.cut-SEQ. */
static enum err set_aside(struct walk *w, size_t file, uint64_t good_len, struct cut *cut,
                          struct diag *d)
{
    const char *name = w->r.files[file].name;
    CLEANUP_FREE char *path = os_path(w->a->dir, name);
    CLEANUP_FREE char *aside = str_fmt("%s.cut-%" PRIu64, path, w->a->seq);
    CLEANUP_BUF struct buf tail = {0};
    struct stat st;
    if (path == NULL || aside == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    CLEANUP_FD int fd = SYS(open(path, O_RDWR | O_CLOEXEC));
    if (fd < 0 || fstat(fd, &st) != 0) return FAIL(d, ERR_IO, "%s: %s", name, strerror(errno));
    size_t n = (size_t)((uint64_t)st.st_size - good_len);
    uint8_t *to = buf_extend(&tail, n);
    TRY(buf_check(&tail, d));
    TRY(os_pread_all(fd, to, n, good_len, d));
    TRY(os_replace(aside, buf_view(&tail), d));
    sha256_add(cut->hash, buf_view(&tail));
    cut->bytes += n;
    LOG(ERROR, "audit.tail_cut", F_STR("kept", aside), F_U64("bytes", n));
    if (good_len == 0) return os_remove(path, d);
    if (SYS(ftruncate(fd, (off_t)good_len)) == 0 && SYS(fsync(fd)) == 0) return OK;
    return FAIL(d, ERR_IO, "%s: %s", name, strerror(errno));
}

static enum err set_all_aside(struct walk *w, struct cut *cut, char sha[65], struct diag *d)
{
    uint8_t digest[32];
    TRY(sha256_new(&cut->hash, d));
    enum err e = OK;
    for (size_t i = w->r.n_files; e == OK && i-- > w->file;)
        e = set_aside(w, i, i == w->file ? w->good_len : 0, cut, d);
    sha256_end(TAKE(cut->hash), digest);
    hex_encode(bytes_of(digest, sizeof digest), sha);
    w->r.n_files = w->file + (w->good_len != 0); /* what is left */
    w->a->file_len = (size_t)w->good_len;
    return e;
}

/* --- opening ---------------------------------------------------------------------------------- */

static enum err open_newest(struct walk *w, struct diag *d)
{
    if (w->r.n_files == 0) return OK;
    const char *name = w->r.files[w->r.n_files - 1].name;
    w->a->file_seq = w->r.files[w->r.n_files - 1].first_seq;
    w->a->fd = SYS(openat(w->a->dir_fd, name, O_WRONLY | O_APPEND | O_CLOEXEC));
    w->a->has_file = w->a->fd >= 0;
    return w->a->fd >= 0 ? OK : FAIL(d, ERR_IO, "audit log %s: %s", name, strerror(errno));
}

/* (4) */
static enum err begin_segment(struct audit *a, const struct letter_key *auditor, struct diag *d)
{
    CLEANUP_BUF struct buf letter = {0}, text = {0};
    uint8_t id[16], print[32];
    char id_hex[33], print_hex[65], previous[65];
    TRY(secret_random(&a->key, 32, d));
    TRY(letter_seal(auditor, secret_view(a->key), &letter, d));
    TRY(letter_key_print(auditor, print, d));
    base64_encode(&text, buf_view(&letter));
    TRY(buf_check(&text, d));
    rand_bytes(id, sizeof id);
    hex_encode(bytes_of(id, sizeof id), id_hex);
    hex_encode(bytes_of(print, sizeof print), print_hex);
    hex_encode(bytes_of(a->chain, sizeof a->chain), previous);
    return AUDIT(a, d, "segment.opened", F_STR("segment", id_hex), F_STR("previous", previous),
                 F_STR("auditor", print_hex), F_STR("alg", letter_key_kind(auditor)),
                 F_STR("key", buf_cstr(&text)));
}

static enum err take_past(struct audit *a, const struct audit_options *o, struct audit_past *past,
                          struct diag *d)
{
    struct walk w = {.a = a, .past = past};
    struct cut cut = {0};
    char sha[65] = "";
    enum err e = walk(&w, d);
    if (e == OK && w.broken) e = set_all_aside(&w, &cut, sha, d);
    if (e == OK) e = open_newest(&w, d);
    audit_reader_close(&w.r);
    a->seq_synced = a->seq;
    if (e == OK) e = begin_segment(a, o->auditor, d);
    if (e != OK || !w.broken) return e;
    return AUDIT(a, d, "audit.cut", F_U64("bytes", cut.bytes), F_STR("sha256", sha));
}

enum err audit_open(struct audit **out, const struct audit_options *o, struct audit_past *past,
                    struct diag *d)
{
    struct audit *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    fresh->fd = fresh->dir_fd = -1;
    pthread_mutex_init(&fresh->lock, NULL);
    cond_init(&fresh->synced);
    CLEANUP(audit_close) struct audit *a = fresh;
    a->file_max = o->file_max != 0 ? o->file_max : FILE_MAX_DEFAULT;
    a->on_failed = o->failed;
    a->ctx = o->ctx;
    a->dir = str_dup(o->dir);
    if (a->dir == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    a->dir_fd = SYS(open(o->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (a->dir_fd < 0) return FAIL(d, ERR_IO, "audit log %s: %s", o->dir, strerror(errno));
    past->n_lines = past->seq = 0;
    TRY(take_past(a, o, past, d));
    *out = TAKE(a);
    return OK;
}
