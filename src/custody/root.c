/* SPDX-License-Identifier: Apache-2.0 */
/* custody/root.c - sums over records, and the names behind a difference */
#include "custody/root.h"

#include "base/str.h"
#include "crypto/hash.h"

#include <stdlib.h>

/* Labels end in one zero byte: sizeof counts it. */
static const char label_key[] = "keystead/1 root";
static const char label_record[] = "keystead/1 root-record";
static const char label_subject[] = "keystead/1 root-subject";

struct root_part { /* what one record adds */
    uint64_t generation;
    struct lthash_subject subject;
    uint8_t digest[32];
};

enum err root_index_init(struct root_index *x, const struct secret *mk, struct diag *d)
{
    *x = (struct root_index){0};
    TRY(secret_new(&x->key, 64, d));
    hkdf_expand(secret_view(mk), bytes_of(label_key, sizeof label_key), secret_fill(x->key), 64);
    return OK;
}

void root_index_release(struct root_index *x)
{
    MAP_EACH (&x->seen, e)
        free(e->value);
    MAP_EACH (&x->unread, e)
        free(e->value);
    map_release(&x->seen);
    map_release(&x->unread);
    secret_free(x->key);
    *x = (struct root_index){0};
}

/* --- what a record adds ----------------------------------------------------------------------- */

struct subject {
    const char *kind;
    char name[SCOPE_MAX];
};

/* Wraps and states are their account's: one that is missing is named by those that are left. */
static struct subject subject_of(const char *kind, const char *id)
{
    struct subject s = {.kind = kind};
    bool account = str_eq(kind, "wrap") || str_eq(kind, "state");
    if (account) s.kind = "account";
    snprintf(s.name, sizeof s.name, "%.*s", account ? 32 : SCOPE_MAX - 1, id);
    return s;
}

static char *name_of(const struct custody_record *rec)
{
    return str_fmt("%s\n%s", rec->kind, rec->id);
}

static enum err place_of(const struct root_index *x, const struct custody_record *rec,
                         struct lthash_subject *out, struct diag *d)
{
    CLEANUP_BUF struct buf in = {0};
    uint8_t place[16];
    const struct subject s = subject_of(rec->kind, rec->id);
    buf_bytes(&in, bytes_of(label_subject, sizeof label_subject));
    buf_bytes(&in, bytes_of(s.kind, strlen(s.kind) + 1));
    buf_str(&in, s.name);
    TRY(buf_check(&in, d));
    hkdf_expand(secret_view(x->key), buf_view(&in), place, sizeof place);
    *out = lthash_subject_of(place);
    return OK;
}

static enum err part_of(const struct root_index *x, const struct custody_record *rec,
                        struct root_part *out, struct diag *d)
{
    CLEANUP_BUF struct buf in = {0};
    *out = (struct root_part){.generation = record_generation(rec->value)};
    TRY(place_of(x, rec, &out->subject, d));
    buf_bytes(&in, bytes_of(rec->kind, strlen(rec->kind) + 1));
    buf_bytes(&in, bytes_of(rec->id, strlen(rec->id) + 1));
    buf_bytes(&in, rec->value);
    TRY(buf_check(&in, d));
    sha256(buf_view(&in), out->digest);
    return OK;
}

static void sum_up(const struct root_index *x, struct root_record *r, const struct root_part *p,
                   int times)
{
    uint8_t info[sizeof label_record + 32];
    memcpy(info, label_record, sizeof label_record);
    memcpy(info + sizeof label_record, p->digest, sizeof p->digest);
    const struct lthash_element e = {p->subject, p->generation};
    lthash_change(&r->all, &e, secret_view(x->key), BYTES_OF(info), times);
}

static enum err remember(struct root_index *x, const struct custody_record *rec,
                         const struct root_part *p, struct diag *d)
{
    CLEANUP_FREE char *name = name_of(rec);
    struct root_part *copy = malloc(sizeof *copy);
    void *old = NULL;
    if (name == NULL || copy == NULL) {
        free(copy);
        return FAIL(d, ERR_LIMIT, "out of memory");
    }
    *copy = *p;
    enum err e = map_put(&x->seen, bytes_str(name), copy, &old, d);
    free(e == OK ? old : copy);
    return e;
}

enum err root_add(struct root_index *x, struct root_record *r, const struct custody_record *rec,
                  struct diag *d)
{
    struct root_part p;
    TRY(part_of(x, rec, &p, d));
    if (r != NULL) sum_up(x, r, &p, 1);
    return remember(x, rec, &p, d);
}

enum err root_note_unread(struct root_index *x, const struct custody_record *rec, struct diag *d)
{
    CLEANUP_FREE char *name = name_of(rec);
    struct lthash_subject *s = malloc(sizeof *s);
    void *old = NULL;
    enum err e =
        name != NULL && s != NULL ? place_of(x, rec, s, d) : FAIL(d, ERR_LIMIT, "out of memory");
    if (e == OK) e = map_put(&x->unread, bytes_str(name), s, &old, d);
    free(e == OK ? old : s);
    return e;
}

enum err root_change(const struct root_index *x, struct root_record *r,
                     const struct custody_record *rec, struct diag *d)
{
    CLEANUP_FREE char *name = name_of(rec);
    if (name == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    const struct root_part *old = map_get(&x->seen, bytes_str(name));
    if (old != NULL) sum_up(x, r, old, -1);
    if (rec->value.len == 0) return OK;
    struct root_part p;
    TRY(part_of(x, rec, &p, d));
    sum_up(x, r, &p, 1);
    return OK;
}

enum err root_settle(struct root_index *x, const struct custody_record *rec, struct diag *d)
{
    if (rec->value.len != 0) return root_add(x, NULL, rec, d);
    CLEANUP_FREE char *name = name_of(rec);
    if (name == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    free(map_remove(&x->seen, bytes_str(name)));
    return OK;
}

/* --- comparing -------------------------------------------------------------------------------- */

struct told { /* who was named already */
    struct map subjects;
};

static void tell(struct told *t, const char *kind, const char *id, root_suspect *suspect, void *ctx)
{
    const struct subject s = subject_of(kind, id);
    CLEANUP_FREE char *name = str_fmt("%s\n%s", s.kind, s.name);
    if (name == NULL || map_get(&t->subjects, bytes_str(name)) != NULL) return;
    /* Out of memory names somebody twice. */
    (void)map_put(&t->subjects, bytes_str(name), t, NULL, NULL); // NOLINT
    suspect(ctx, s.kind, s.name);
}

static bool unread_explains(const struct root_index *x, uint8_t cell,
                            const struct lthash_cell *missing)
{
    MAP_EACH (&x->unread, e) {
        const struct lthash_subject *s = e->value;
        if (s->cell == cell && lthash_explains(s, missing)) return true;
    }
    return false;
}

/* The records of one cell that explain the difference; with all, every one of them. */
static bool tell_cell(const struct root_index *x, uint8_t cell, const struct lthash_cell *missing,
                      bool all, struct told *t, root_suspect *suspect, void *ctx)
{
    bool found = false;
    MAP_EACH (&x->seen, e) {
        const struct root_part *p = e->value;
        if (p->subject.cell != cell) continue;
        if (!all && !lthash_explains(&p->subject, missing)) continue;
        CLEANUP_FREE char *name = strndup((const char *)e->key.p, e->key.len);
        char *line = name != NULL ? strchr(name, '\n') : NULL;
        if (line == NULL) continue;
        *line = 0;
        tell(t, name, line + 1, suspect, ctx);
        found = true;
    }
    return found;
}

bool root_compare(const struct root_index *x, const struct root_record *root,
                  const struct root_record *is, root_suspect *suspect, void *ctx)
{
    if (lthash_same(&root->all, &is->all)) return true; /* (2) */
    struct told t = {0};
    for (size_t i = 0; i < LTHASH_CELLS; i++) {
        const struct lthash_cell missing = lthash_missing(&root->all, &is->all, i);
        if (missing.sum == 0 && missing.weighted == 0) continue;
        if (!tell_cell(x, (uint8_t)i, &missing, false, &t, suspect, ctx) &&
            !unread_explains(x, (uint8_t)i, &missing))
            (void)tell_cell(x, (uint8_t)i, &missing, true, &t, suspect, ctx);
    }
    map_release(&t.subjects);
    return false;
}
