/* SPDX-License-Identifier: Apache-2.0 */
/* storage/entry_root.c - the root over all entries: changed with them, compared at start */
#include "storage/entry_root.h"

#include "base/log.h"
#include "crypto/hash.h"
#include "storage/store.h"

#include <inttypes.h>
#include <stdlib.h>

#define ROOT_VERSION 1
#define SUBJECT_LEN  32 /* hex digits */

static const char label[] = "keystead/1 entry"; /* sizeof counts its zero byte */
static const char *const kinds[] = {"table", "segment", "covered", "log"};
#define N_KINDS (sizeof kinds / sizeof kinds[0])

void entry_root_init(struct entry_root *r, struct catalog *c, struct manifest *m)
{
    *r = (struct entry_root){.catalog = c, .manifest = m};
    pthread_mutex_init(&r->lock, NULL);
}

void entry_root_release(struct entry_root *r)
{
    pthread_mutex_destroy(&r->lock);
}

/* --- what an entry adds ----------------------------------------------------------------------- */

/* Table or account. The id of "covered" is table/account. */
static const char *subject_id(const char *kind, const char *id, const char *parent)
{
    return str_eq(kind, "segment") || str_eq(kind, "log") ? parent : id;
}

static enum err subject_of(const char *kind, const char *id, struct lthash_subject *out,
                           struct diag *d)
{
    CLEANUP_BUF struct buf in = {0};
    uint8_t hash[32];
    buf_bytes(&in, bytes_of(kind, strlen(kind) + 1));
    buf_bytes(&in, bytes_of(id, strnlen(id, SUBJECT_LEN)));
    TRY(buf_check(&in, d));
    sha256(buf_view(&in), hash);
    *out = lthash_subject_of(hash);
    return OK;
}

static enum err sum_up(struct lthash *h, const struct entry_change *c, int times, struct diag *d)
{
    CLEANUP_BUF struct buf in = {0};
    struct lthash_element e;
    uint8_t digest[32];
    buf_bytes(&in, bytes_of(c->kind, strlen(c->kind) + 1));
    buf_bytes(&in, bytes_of(c->id, strlen(c->id) + 1));
    buf_bytes(&in, bytes_of(c->parent, strlen(c->parent) + 1));
    buf_bytes(&in, c->value);
    TRY(buf_check(&in, d));
    sha256(buf_view(&in), digest);
    TRY(subject_of(c->kind, subject_id(c->kind, c->id, c->parent), &e.subject, d));
    struct rd r = rd_from(BYTES_OF(digest));
    e.number = rd_u64be(&r);
    lthash_change(h, &e, BYTES_OF(digest), bytes_of(label, sizeof label), times);
    return OK;
}

/* --- the record ------------------------------------------------------------------------------- */

static enum err seal(struct manifest *m, uint64_t generation, const struct lthash *all,
                     struct buf *out, struct diag *d)
{
    CLEANUP_BUF struct buf body = {0};
    buf_u8(&body, ROOT_VERSION);
    buf_u64be(&body, generation);
    lthash_put(all, &body);
    TRY(buf_check(&body, d));
    return manifest_seal(m, "entries", "root", buf_view(&body), out, d);
}

static enum err unseal(struct manifest *m, struct bytes sealed, struct entry_root_survey *out,
                       struct diag *d)
{
    CLEANUP_BUF struct buf body = {0};
    TRY(manifest_unseal(m, "entries", "root", sealed, &body, d));
    struct rd r = rd_from(buf_view(&body));
    uint8_t version = rd_u8(&r);
    out->generation = rd_u64be(&r);
    lthash_get(&r, &out->want);
    if (rd_done(&r) && version == ROOT_VERSION) return OK;
    *out = (struct entry_root_survey){0};
    return FAIL(d, ERR_CORRUPT, "catalogue: its root record has another version or length");
}

/* --- comparing -------------------------------------------------------------------------------- */

void entry_root_survey_release(struct entry_root_survey *v)
{
    buf_release(&v->subjects);
}

struct visit {
    struct entry_root_survey *v;
    const char *kind;
};

static enum err take_entry(void *ctx, const struct catalog_row *row, struct diag *d)
{
    const struct visit *x = ctx;
    const struct entry_change c = {x->kind, row->id, row->parent, row->value};
    const char *id = subject_id(x->kind, row->id, row->parent);
    if (strnlen(id, SUBJECT_LEN) == SUBJECT_LEN)
        buf_bytes(&x->v->subjects, bytes_of(id, SUBJECT_LEN));
    if (str_eq(x->kind, "covered") && strlen(row->parent) == SUBJECT_LEN)
        buf_bytes(&x->v->subjects, bytes_str(row->parent)); /* its log may be the missing one */
    TRY(buf_check(&x->v->subjects, d));
    return sum_up(&x->v->is, &c, 1, d);
}

enum err entry_root_survey(struct catalog *c, struct catalog_txn *t, struct manifest *m,
                           struct entry_root_survey *out, struct diag *d)
{
    CLEANUP_BUF struct buf sealed = {0};
    CLEANUP_LOCAL(entry_root_survey_release) struct entry_root_survey v = {0};
    enum err e = c->ops->get(c, t, "entries", "root", &sealed, NULL);
    if (e != OK && e != ERR_NOT_FOUND) return FAIL(d, e, "catalogue: no root record");
    struct diag why = DIAG_INIT;
    if (e == OK) e = unseal(m, buf_view(&sealed), &v, &why);
    v.damaged = e == ERR_CORRUPT;
    if (e != OK && e != ERR_NOT_FOUND && !v.damaged) return FAIL(d, e, "%s", why.text);
    for (size_t i = 0; i < N_KINDS; i++) {
        struct visit x = {&v, kinds[i]};
        TRY(c->ops->list(c, t, kinds[i], NULL, NULL, take_entry, &x, d));
    }
    *out = v;
    v = (struct entry_root_survey){0};
    return OK;
}

static int compare_ids(const void *a, const void *b)
{
    return memcmp(a, b, SUBJECT_LEN);
}

/* Each id once, in order. */
static size_t distinct(struct buf *ids)
{
    size_t n = 0, len = ids->len / SUBJECT_LEN;
    if (len != 0) qsort(ids->p, len, SUBJECT_LEN, compare_ids);
    for (size_t i = 0; i < len; i++) {
        const uint8_t *at = ids->p + i * SUBJECT_LEN;
        if (n != 0 && memcmp(ids->p + (n - 1) * SUBJECT_LEN, at, SUBJECT_LEN) == 0) continue;
        memmove(ids->p + n++ * SUBJECT_LEN, at, SUBJECT_LEN);
    }
    return n;
}

/* What kinds and subjects explain a cell that differs. */
static enum err name_cell(const struct buf *ids, size_t n, size_t cell,
                          const struct lthash_cell *missing, struct buf *names, struct diag *d)
{
    for (size_t i = 0; i < n * N_KINDS; i++) {
        struct lthash_subject s;
        char id[SUBJECT_LEN + 1] = {0};
        const char *kind = kinds[i % N_KINDS];
        memcpy(id, ids->p + i / N_KINDS * SUBJECT_LEN, SUBJECT_LEN);
        TRY(subject_of(kind, id, &s, d));
        if (s.cell != cell || !lthash_explains(&s, missing)) continue;
        LOG(ERROR, "entry.wrong", F_STR("kind", kind), F_STR("of", id));
        buf_str(names, names->len != 0 ? ", " : "");
        buf_str(names, kind);
        buf_str(names, str_eq(kind, "log") ? " of account " : " of table ");
        buf_str(names, id);
    }
    return buf_check(names, d);
}

enum err entry_root_compare(const struct entry_root_survey *v, struct diag *d)
{
    if (v->damaged)
        return FAIL(d, ERR_CORRUPT, "the root record of the catalogue's entries is damaged");
    if (lthash_same(&v->want, &v->is)) return OK;
    CLEANUP_BUF struct buf names = {0}, ids = {0};
    buf_bytes(&ids, buf_view(&v->subjects));
    TRY(buf_check(&ids, d));
    size_t n = distinct(&ids);
    for (size_t i = 0; i < LTHASH_CELLS; i++) {
        const struct lthash_cell missing = lthash_missing(&v->want, &v->is, i);
        if (missing.sum != 0 || missing.weighted != 0)
            TRY(name_cell(&ids, n, i, &missing, &names, d));
    }
    return FAIL(d, ERR_CORRUPT,
                "the catalogue has %" PRIu64 " entries where its root record of generation %" PRIu64
                " has %" PRIu64 ": %s is not what was written",
                v->is.n, v->generation, v->want.n,
                names.len != 0 ? buf_cstr(&names) : "a whole table or log");
}

/* --- life ------------------------------------------------------------------------------------- */

static enum err ask_watch(const struct entry_root_watch *w, uint64_t *last, bool *older_is_fine,
                          struct diag *d)
{
    *last = 0;
    *older_is_fine = false;
    return w->last != NULL ? w->last(w->ctx, last, older_is_fine, d) : OK;
}

/* What is wrong with the entries, if anything. */
static enum err judge(const struct entry_root_survey *v, uint64_t last, bool older_is_fine,
                      struct diag *d)
{
    TRY(entry_root_compare(v, d));
    if (v->generation >= last || older_is_fine) return OK;
    return FAIL(d, ERR_CORRUPT,
                "the catalogue's entries are at generation %" PRIu64
                ", the anchor has seen %" PRIu64 ": an older catalogue was put back",
                v->generation, last);
}

static enum err accept_what_is(struct entry_root *r, struct entry_root_survey *v, const char *what,
                               struct diag *d)
{
    const struct entry_root_watch *w = r->watch;
    TRY(w->accepted(w->ctx, w->accept, what, d));
    LOG(WARN, "entries.accepted", F_U64("generation", w->accept), F_STR("text", what));
    r->generation = w->accept - 1;
    r->all = v->is;
    uint64_t generation;
    return entry_root_commit(r, NULL, 0, &generation, d);
}

enum err entry_root_open(struct entry_root *r, const struct entry_root_watch *watch, struct diag *d)
{
    CLEANUP_LOCAL(entry_root_survey_release) struct entry_root_survey v = {0};
    struct diag why = DIAG_INIT;
    uint64_t last;
    bool older_is_fine;
    TRY(ask_watch(watch, &last, &older_is_fine, d));
    TRY(entry_root_survey(r->catalog, NULL, r->manifest, &v, d));
    if (last < v.generation) last = v.generation;
    r->watch = watch;
    if (judge(&v, last, older_is_fine, &why) != OK) {
        if (watch->accepted != NULL && watch->accept == last + 1)
            return accept_what_is(r, &v, why.text, d);
        return FAIL(d, ERR_CORRUPT,
                    "%s; nothing was changed. Put back a whole copy of the data directory, or "
                    "copy this one and start once with --accept-entries %" PRIu64,
                    why.text, last + 1);
    }
    r->generation = last; /* it goes up over an accepted copy too */
    r->all = v.want;
    return OK;
}

/* Takes what is there away from the sum, and adds what comes. */
static enum err step(struct entry_root *r, struct lthash *next, const struct entry_change *c,
                     struct diag *d)
{
    CLEANUP_BUF struct buf old = {0};
    enum err e = r->catalog->ops->get(r->catalog, NULL, c->kind, c->id, &old, NULL);
    if (e != OK && e != ERR_NOT_FOUND)
        return FAIL(d, e, "catalogue: %s '%.80s' cannot be read", c->kind, c->id);
    const struct entry_change before = {c->kind, c->id, c->parent, buf_view(&old)};
    if (e == OK) TRY(sum_up(next, &before, -1, d));
    return c->value.p != NULL ? sum_up(next, c, 1, d) : OK;
}

static enum err put_all(const struct catalog_ops *ops, struct catalog_txn *t,
                        const struct entry_change *changes, size_t n, struct bytes root,
                        struct diag *d)
{
    for (size_t i = 0; i < n; i++) {
        const struct entry_change *c = &changes[i];
        TRY(c->value.p != NULL ? ops->put(t, c->kind, c->id, c->parent, c->value, d)
                               : ops->remove(t, c->kind, c->id, d));
    }
    return ops->put(t, "entries", "root", "", root, d);
}

enum err entry_root_commit(struct entry_root *r, const struct entry_change *changes, size_t n,
                           uint64_t *generation, struct diag *d)
{
    const struct catalog_ops *ops = r->catalog->ops;
    CLEANUP_BUF struct buf sealed = {0};
    struct catalog_txn *t = NULL;
    LOCK_SCOPE(&r->lock);
    struct lthash next = r->all;
    for (size_t i = 0; i < n; i++)
        TRY(step(r, &next, &changes[i], d));
    TRY(seal(r->manifest, r->generation + 1, &next, &sealed, d)); /* (3) */
    TRY(ops->begin(r->catalog, &t, d));
    enum err e = put_all(ops, t, changes, n, buf_view(&sealed), d);
    if (e != OK) {
        ops->rollback(t);
        return e;
    }
    TRY(ops->commit(t, d));
    r->generation++;
    r->all = next;
    *generation = r->generation;
    if (r->watch->moved != NULL) r->watch->moved(r->watch->ctx, r->generation);
    return OK;
}

uint64_t entry_root_generation(struct entry_root *r)
{
    LOCK_SCOPE(&r->lock);
    return r->generation;
}
