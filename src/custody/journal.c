/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody/journal.c - what is current is said again in each new file of the audit log
 *
 * keyd's next start reads the newest two files only. What must outlive it - which accounts are
 * REVOKED, when a KEK version was last used - therefore stands in every file that has lived to see
 * a seal: (1) no state but REVOKED is said again. The list is made before it is written; what changes
 * meanwhile can then only lock, and a lock ends with the next good unwrap.
 */
#include "base/log.h"
#include "base/str.h"
#include "base/time.h"
#include "custody/core.h"

#include <stdlib.h>

struct said {             /* one line of the two kinds */
    char name[SCOPE_MAX]; /* of the scope; or the account's hex digits */
    char kek_id[KEK_ID_MAX];
    int64_t used_us;
    bool is_state;
};

struct list {
    struct said *v;
    size_t n, cap;
};

static bool add(struct list *l, const struct said *x)
{
    if (l->n == l->cap) {
        size_t cap = l->cap != 0 ? 2 * l->cap : 32;
        struct said *more = realloc(l->v, cap * sizeof *more);
        if (more == NULL) return false;
        l->v = more;
        l->cap = cap;
    }
    l->v[l->n++] = *x;
    return true;
}

static bool add_scope(struct list *l, const struct scope *s)
{
    bool fits = true;
    struct said x = {0};
    snprintf(x.name, sizeof x.name, "%s", s->rec.name);
    for (size_t i = 0; i < s->n_versions; i++) {
        snprintf(x.kek_id, sizeof x.kek_id, "%s", s->versions[i].kek_id);
        x.used_us = s->versions[i].last_us;
        fits = add(l, &x) && fits;
    }
    x = (struct said){.is_state = true};
    for (size_t i = 0; i < s->n_accounts; i++) {
        const struct account *a = s->accounts[i];
        if (a->removed || a->at.state != KEY_REVOKED) continue; /* (1) */
        snprintf(x.name, sizeof x.name, "%s", a->hex);
        fits = add(l, &x) && fits;
    }
    return fits;
}

static enum err say(struct keyd *k, const struct said *x, struct diag *d)
{
    if (x->is_state)
        return AUDIT(k->audit, d, "state.current", F_STR("account", x->name),
                     F_STR("now", key_state_name(KEY_REVOKED)));
    return journal_use(k, x->name, x->kek_id, x->used_us, d);
}

enum err journal_use(struct keyd *k, const char *scope, const char *kek_id, int64_t us,
                     struct diag *d)
{
    char at[TIME_TEXT_MAX];
    time_format_iso(us, at);
    return AUDIT(k->audit, d, "version.used", F_STR("scope", scope), F_STR("kek", kek_id),
                 F_STR("at", at));
}

enum err journal_carry(struct keyd *k, struct diag *d)
{
    uint64_t file = audit_file_seq(k->audit);
    struct list l = {0};
    bool fits = true;
    pthread_mutex_lock(&k->lock);
    bool due = k->ready && k->journal_file != file;
    for (size_t i = 0; due && i < k->n_scopes; i++)
        if (!k->all_scopes[i]->removed) fits = add_scope(&l, k->all_scopes[i]) && fits;
    pthread_mutex_unlock(&k->lock);
    enum err e = fits ? OK : FAIL(d, ERR_LIMIT, "out of memory");
    for (size_t i = 0; e == OK && i < l.n; i++)
        e = say(k, &l.v[i], d);
    free(l.v);
    if (e != OK || !due) return e;
    LOCK_SCOPE(&k->lock);
    k->journal_file = file;
    return OK;
}
