/* SPDX-License-Identifier: Apache-2.0 */
/* tool/verify.c - the walk over a store: catalogue entries, then every file that they name */
#include "tool/verify_impl.h"

#include "base/os.h"
#include "storage/entry_root.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>

bool is_key_missing(enum err e)
{
    return e == ERR_KEY_LOCKED || e == ERR_UNAVAILABLE || e == ERR_DENIED;
}

static struct verify_aek *find_aek(struct verify_account *a, const struct verify_file *f)
{
    for (uint32_t i = 0; i < a->n_aeks; i++) {
        struct verify_aek *x = &a->aeks[i];
        if (memcmp(x->aek_id, f->aek_id, 16) == 0 && x->is_framed == f->is_framed &&
            memcmp(x->iek_id, f->iek_id, 16) == 0) {
            return x;
        }
    }
    if (a->n_aeks == VERIFY_AEKS_MAX) return &a->aeks[VERIFY_AEKS_MAX - 1];
    struct verify_aek *x = &a->aeks[a->n_aeks++];
    *x = (struct verify_aek){.is_framed = f->is_framed};
    memcpy(x->aek_id, f->aek_id, 16);
    memcpy(x->iek_id, f->iek_id, 16);
    return x;
}

static void count_aek(struct verify_account *a, const struct verify_file *f)
{
    if (f->blocks == 0) return;
    struct verify_aek *x = find_aek(a, f);
    x->files++;
    x->blocks += f->blocks;
    x->bytes += f->bytes;
}

enum err walk_account(struct walk *w, const uint8_t id[16], struct verify_account **out,
                      struct diag *d)
{
    struct verify_report *r = w->r;
    for (uint32_t i = 0; i < r->n_accounts; i++) {
        if (memcmp(r->accounts[i].account, id, 16) == 0) {
            *out = &r->accounts[i];
            return OK;
        }
    }
    if (r->n_accounts == w->cap_accounts) {
        uint32_t cap = w->cap_accounts != 0 ? w->cap_accounts * 2 : 8;
        struct verify_account *more = realloc(r->accounts, cap * sizeof *more);
        if (more == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
        r->accounts = more;
        w->cap_accounts = cap;
    }
    struct verify_account *a = &r->accounts[r->n_accounts++];
    *a = (struct verify_account){0};
    memcpy(a->account, id, 16);
    *out = a;
    return OK;
}

static enum err add_damage(struct walk *w, const struct verify_file *f, struct diag *d)
{
    struct verify_report *r = w->r;
    if (r->n_damages == w->cap_damages) {
        uint32_t cap = w->cap_damages != 0 ? w->cap_damages * 2 : 8;
        struct verify_damage *more = realloc(r->damages, cap * sizeof *more);
        if (more == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
        r->damages = more;
        w->cap_damages = cap;
    }
    struct verify_damage x = {str_dup(f->name), str_dup(f->text)};
    r->damages[r->n_damages++] = x;
    return x.file != NULL && x.text != NULL ? OK : FAIL(d, ERR_LIMIT, "out of memory");
}

enum err walk_report(struct walk *w, const struct verify_file *f, struct diag *d)
{
    struct verify_report *r = w->r;
    struct verify_account *a = NULL;
    TRY(walk_account(w, f->account, &a, d));
    count_aek(a, f);
    r->framed_files += f->is_framed;
    r->frames += f->is_framed ? f->blocks : 0;
    bool is_log = str_eq(f->kind, "log"), is_segment = str_eq(f->kind, "segment");
    bool missing = is_key_missing(f->result), damaged = !missing && f->result != OK;
    a->files += is_log || is_segment;
    a->segments += is_segment;
    a->logs += is_log;
    a->blocks += f->blocks;
    a->opened += f->opened;
    a->bytes += f->bytes;
    a->damaged += damaged;
    if (missing) {
        a->key = f->result;
        a->bytes_without_key += f->bytes;
        r->bytes_without_key += f->bytes;
    }
    r->files += is_log || is_segment;
    r->blocks += f->blocks;
    r->opened += f->opened;
    r->bytes += f->bytes;
    if (damaged) TRY(add_damage(w, f, d));
    if (w->o->on_file != NULL) w->o->on_file(w->o->ctx, f);
    return OK;
}

void walk_advance(struct walk *w, uint64_t bytes)
{
    w->done += bytes;
    if (w->done > w->total) w->total = w->done; /* a running server writes on */
    if (w->o->on_progress != NULL) w->o->on_progress(w->o->ctx, w->done, w->total);
}

bool walk_still_named(struct walk *w, const char *kind, const char *id)
{
    CLEANUP_BUF struct buf value = {0};
    struct catalog *c = w->o->catalog;
    return c->ops->get(c, NULL, kind, id, &value, NULL) == OK;
}

enum err walk_key(struct walk *w, const struct file_ident *ident, struct file_key **out,
                  enum err *state, struct diag *d)
{
    const struct keys *k = w->o->keys;
    *out = NULL;
    *state = OK;
    if (k == NULL) return OK;
    struct diag why = DIAG_INIT;
    enum err e = k->ops->open(k->self, ident->account, ident, 1, out, &why);
    if (!is_key_missing(e)) return e == OK ? OK : FAIL(d, e, "%s", why.text);
    *state = e;
    return OK;
}

void walk_release(struct walk *w, struct file_key *k)
{
    if (w->o->keys != NULL) w->o->keys->ops->release(w->o->keys->self, k);
}

/* --- the catalogue's own entries
 * --------------------------------------------------------------------- */

struct entries {
    struct walk *w;
    const char *kind;
    struct verify_file f;
    struct diag first; /* the first failure */
};

/* Inside the seal: that it opens, for this row; and that its body can be read. */
static enum err open_entry(struct entries *x, const struct catalog_row *row, struct diag *d)
{
    CLEANUP_BUF struct buf body = {0};
    CLEANUP_ARENA struct arena a;
    arena_init(&a, 0);
    struct manifest *m = x->w->manifest;
    if (str_eq(x->kind, "segment")) {
        struct segment_entry e;
        return segment_value_unseal(m, row->id, row->value, &e, d);
    }
    TRY(manifest_unseal(m, x->kind, row->id, row->value, &body, d));
    if (str_eq(x->kind, "table")) {
        struct table_entry e;
        return table_entry_decode(buf_view(&body), &a, &e, d);
    }
    if (str_eq(x->kind, "log")) {
        CLEANUP_LOCAL(log_entry_release) struct log_entry e = {0};
        return log_entry_decode(buf_view(&body), &e, d);
    }
    uint64_t number;
    return covered_decode(buf_view(&body), &number, d);
}

static enum err check_entry(struct entries *x, const struct catalog_row *row, struct diag *d)
{
    struct block_header h;
    TRY(block_header_decode(row->value, &h, d));
    memcpy(x->f.account, h.account, sizeof h.account);
    memcpy(x->f.aek_id, h.aek_id, sizeof h.aek_id);
    size_t plain = str_eq(x->kind, "segment") ? SEGMENT_PLAIN_LEN : 0;
    if (h.btype != BTYPE_ENTRY || row->value.len != (size_t)h.len + BLOCK_OVERHEAD + plain) {
        return FAIL(d, ERR_CORRUPT, "catalogue: %s '%.80s' is no sealed entry", x->kind, row->id);
    }
    if (x->w->manifest == NULL) return OK;
    TRY(open_entry(x, row, d));
    x->f.opened++;
    return OK;
}

static enum err visit_entry(void *ctx, const struct catalog_row *row, struct diag *d)
{
    struct entries *x = ctx;
    struct diag why = DIAG_INIT;
    x->f.blocks++;
    x->f.bytes += row->value.len;
    x->w->r->entries++;
    enum err e = check_entry(x, row, &why);
    if (e == ERR_LIMIT) return FAIL(d, e, "%s", why.text);
    if (e != OK && x->first.code == OK) x->first = why;
    return OK;
}

/* Are these all entries there should be? In a transaction: a running server changes both. */
static enum err verify_root(struct walk *w, struct diag *d)
{
    struct catalog *c = w->o->catalog;
    CLEANUP_LOCAL(entry_root_survey_release) struct entry_root_survey v = {0};
    struct catalog_txn *t = NULL;
    if (w->manifest == NULL) return OK;
    TRY(c->ops->begin(c, &t, d));
    enum err e = entry_root_survey(c, t, w->manifest, &v, d);
    c->ops->rollback(t);
    return e == OK ? entry_root_compare(&v, d) : e;
}

static enum err verify_entries(struct walk *w, struct diag *d)
{
    static const char *const kinds[] = {"table", "segment", "log", "covered"};
    struct entries x = {
        .w = w, .f = {.kind = "catalog", .name = "", .text = ""}, .first = DIAG_INIT};
    struct catalog *c = w->o->catalog;
    memcpy(x.f.account, w->o->platform_account, 16);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        x.kind = kinds[i];
        TRY(c->ops->list(c, NULL, x.kind, NULL, NULL, visit_entry, &x, d));
    }
    if (x.first.code == OK) (void)verify_root(w, &x.first);
    x.f.result = x.first.code != OK ? x.first.code : x.f.blocks != 0 ? w->manifest_state : OK;
    x.f.text = x.first.text;
    return walk_report(w, &x.f, d);
}

/* --- files
 * -------------------------------------------------------------------------------------------- */

struct kept_rows { /* id, parent and value of each, one behind the other */
    struct buf all;
};

static void kept_rows_release(struct kept_rows *k)
{
    buf_release(&k->all);
}

static enum err keep_row(void *ctx, const struct catalog_row *row, struct diag *d)
{
    struct kept_rows *k = ctx;
    buf_blob(&k->all, bytes_of(row->id, strlen(row->id) + 1));
    buf_blob(&k->all, bytes_of(row->parent, strlen(row->parent) + 1));
    buf_blob(&k->all, row->value);
    return buf_check(&k->all, d);
}

/* The list is read to its end first: while one is open, the catalogue shows the moment at which it
 * began, and a file that a running server has dropped since would seem to be missing. */
static enum err verify_rows(struct walk *w, const char *kind,
                            enum err (*verify)(struct walk *, const struct catalog_row *,
                                               struct diag *),
                            struct diag *d)
{
    CLEANUP_LOCAL(kept_rows_release) struct kept_rows k = {0};
    struct catalog *c = w->o->catalog;
    TRY(c->ops->list(c, NULL, kind, NULL, NULL, keep_row, &k, d));
    struct rd r = rd_from(buf_view(&k.all));
    while (!r.bad && !rd_done(&r)) {
        const char *id = (const char *)rd_blob(&r).p, *parent = (const char *)rd_blob(&r).p;
        const struct catalog_row row = {.id = id, .parent = parent, .value = rd_blob(&r)};
        TRY(verify(w, &row, d));
    }
    return OK;
}

static enum err know(void *ctx, const struct catalog_row *row, struct diag *d)
{
    struct walk *w = ctx;
    return map_put(&w->known, bytes_str(row->id), w, NULL, d);
}

static enum err count_blob(void *ctx, const uint8_t id[16], uint64_t length, struct diag *d)
{
    struct walk *w = ctx;
    char hex[33];
    (void)d;
    id_hex(id, hex);
    w->total += length;
    if (map_get(&w->known, bytes_str(hex)) == NULL) w->r->strangers++;
    return OK;
}

static void cleanup_dir(DIR **dir)
{
    if (*dir != NULL) closedir(*dir);
}
#define CLEANUP_DIR __attribute__((cleanup(cleanup_dir)))

static void count_logs(struct walk *w, const char *account)
{
    CLEANUP_FREE char *path = os_path(w->wal_dir, account);
    CLEANUP_DIR DIR *dir = path != NULL ? opendir(path) : NULL;
    for (struct dirent *e = dir != NULL ? readdir(dir) : NULL; e != NULL; e = readdir(dir)) {
        struct stat st;
        if (!str_ends(e->d_name, ".wal") || fstatat(dirfd(dir), e->d_name, &st, 0) != 0) continue;
        w->total += (uint64_t)st.st_size;
        if (map_get(&w->known, bytes_of(e->d_name, strlen(e->d_name) - 4)) == NULL)
            w->r->strangers++;
    }
}

/* What there is to read, and what the catalogue does not know of. */
static enum err count_all(struct walk *w, struct diag *d)
{
    struct catalog *c = w->o->catalog;
    TRY(c->ops->list(c, NULL, "segment", NULL, NULL, know, w, d));
    TRY(c->ops->list(c, NULL, "log", NULL, NULL, know, w, d));
    CLEANUP_FREE char *blob_dir = os_path(w->o->dir, "blobs");
    if (blob_dir == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    if (os_exists(blob_dir)) TRY(w->blobs->ops->list(w->blobs, count_blob, w, d));
    CLEANUP_DIR DIR *dir = opendir(w->wal_dir);
    for (struct dirent *e = dir != NULL ? readdir(dir) : NULL; e != NULL; e = readdir(dir)) {
        if (e->d_name[0] != '.') count_logs(w, e->d_name);
    }
    return OK;
}

static enum err open_manifest(struct walk *w, struct diag *d)
{
    const struct verify_options *o = w->o;
    if (o->keys == NULL) return OK;
    struct diag why = DIAG_INIT;
    enum err e = manifest_open(&w->manifest, o->catalog, o->keys, o->platform_account, false, &why);
    if (e == ERR_NOT_FOUND)
        return OK; /* a store that was never opened: no entry will be met either */
    if (is_key_missing(e)) {
        w->manifest_state = e;
        return OK;
    }
    return e == OK ? OK : FAIL(d, e, "%s", why.text);
}

static enum err run(struct walk *w, struct diag *d)
{
    CLEANUP_FREE char *blob_dir = os_path(w->o->dir, "blobs");
    w->wal_dir = os_path(w->o->dir, "wal");
    if (blob_dir == NULL || w->wal_dir == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    TRY(blobs_open_dir(&w->blobs, blob_dir, false, d));
    TRY(open_manifest(w, d));
    TRY(count_all(w, d));
    TRY(verify_entries(w, d));
    TRY(verify_rows(w, "segment", verify_segment, d));
    TRY(verify_rows(w, "log", verify_log, d));
    return verify_spools(w, d);
}

enum err verify_store(const struct verify_options *o, struct verify_report *out, struct diag *d)
{
    struct verify_report r = {0};
    struct walk w = {.o = o, .r = &r};
    enum err e = run(&w, d);
    manifest_close(w.manifest);
    if (w.blobs != NULL) w.blobs->ops->close(w.blobs);
    map_release(&w.known);
    free(w.wal_dir);
    if (e == OK) {
        *out = r;
    } else {
        verify_report_release(&r);
    }
    return e;
}

void verify_report_release(struct verify_report *r)
{
    for (uint32_t i = 0; i < r->n_damages; i++) {
        free(r->damages[i].file);
        free(r->damages[i].text);
    }
    free(r->damages);
    free(r->accounts);
    *r = (struct verify_report){0};
}
