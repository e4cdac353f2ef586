/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody/ledger.c - records on their way to the log service, one durable transaction at a time
 *
 * keyd writes nothing but its audit log: the catalogue keeps its records and cannot read meaning
 * into them.
 */
#include "base/str.h"
#include "custody/core.h"

#define PERSIST_MS 5000
#define LOAD_MS    30000

enum err ledger_begin(struct ledger *l, struct keyd *k, struct diag *d)
{
    *l = (struct ledger){.k = k};
    LOCK_SCOPE(&k->lock);
    if (k->mk == NULL) return FAIL(d, ERR_UNAVAILABLE, "keyd has no platform key yet");
    l->generation = ++k->generation;
    return OK;
}

void ledger_release(struct ledger *l)
{
    buf_release(&l->body);
}

enum err ledger_wrap(struct ledger *l, struct wrap *w, struct diag *d)
{
    CLEANUP_BUF struct buf value = {0};
    char id[WRAP_ID_MAX], parent[33];
    w->generation = l->generation;
    TRY(wrap_encode(w, l->k->mk, &value, d));
    wrap_id(w, id);
    hex_encode(bytes_of(w->account, 16), parent);
    put_record(&l->body, id, parent, "wrap", buf_view(&value));
    return OK;
}

enum err ledger_drop_wrap(struct ledger *l, const struct wrap *w, struct diag *d)
{
    char id[WRAP_ID_MAX];
    wrap_id(w, id);
    put_record(&l->body, id, "", "wrap", (struct bytes){0});
    return buf_check(&l->body, d);
}

enum err ledger_scope(struct ledger *l, struct scope_record *s, struct diag *d)
{
    CLEANUP_BUF struct buf value = {0};
    s->generation = l->generation;
    TRY(scope_encode(s, l->k->mk, &value, d));
    put_record(&l->body, s->name, "", "scope", buf_view(&value));
    return OK;
}

enum err ledger_drop_scope(struct ledger *l, const char *name, struct diag *d)
{
    put_record(&l->body, name, "", "scope", (struct bytes){0});
    return buf_check(&l->body, d);
}

enum err ledger_state(struct ledger *l, struct state_record *s, struct diag *d)
{
    CLEANUP_BUF struct buf value = {0};
    char id[33];
    s->generation = l->generation;
    TRY(state_encode(s, l->k->mk, &value, d));
    hex_encode(bytes_of(s->account, 16), id);
    put_record(&l->body, id, "", "state", buf_view(&value));
    return OK;
}

enum err ledger_drop_state(struct ledger *l, const uint8_t account[16], struct diag *d)
{
    char id[33];
    hex_encode(bytes_of(account, 16), id);
    put_record(&l->body, id, "", "state", (struct bytes){0});
    return buf_check(&l->body, d);
}

enum err ledger_mk(struct ledger *l, struct mk_record *m, struct diag *d)
{
    CLEANUP_BUF struct buf value = {0};
    m->generation = l->generation;
    TRY(mk_encode(m, l->k->mk, &value, d));
    put_record(&l->body, "mk", "", "mk", buf_view(&value));
    return OK;
}

enum err ledger_iek(struct ledger *l, struct iek_record *i, struct diag *d)
{
    CLEANUP_BUF struct buf value = {0};
    i->generation = l->generation;
    TRY(iek_encode(i, l->k->mk, &value, d));
    put_record(&l->body, "iek", "", "iek", buf_view(&value));
    return OK;
}

enum err ledger_signer(struct ledger *l, struct signer_record *s, struct diag *d)
{
    CLEANUP_BUF struct buf value = {0};
    s->generation = l->generation;
    TRY(signer_encode(s, l->k->mk, &value, d));
    put_record(&l->body, "signer", "", "signer", buf_view(&value));
    return OK;
}

/* --- the root record goes with every change --------------------------------------------------- */

typedef enum err change_visit(struct proof *p, struct root_record *next,
                              const struct custody_record *r, struct diag *d);

static enum err change(struct proof *p, struct root_record *next, const struct custody_record *r,
                       struct diag *d)
{
    return root_change(&p->index, next, r, d);
}

static enum err settle(struct proof *p, struct root_record *next, const struct custody_record *r,
                       struct diag *d)
{
    (void)next;
    return root_settle(&p->index, r, d);
}

static enum err each_change(struct ledger *l, struct root_record *next, change_visit *visit,
                            struct diag *d)
{
    struct rd r = rd_from(buf_view(&l->body));
    char kind[16], id[SCOPE_MAX], parent[SCOPE_MAX];
    while (!r.bad && !rd_done(&r)) {
        get_string(&r, kind, sizeof kind);
        get_string(&r, id, sizeof id);
        get_string(&r, parent, sizeof parent);
        const struct custody_record rec = {kind, id, parent, rd_blob(&r)};
        if (!r.bad) TRY(visit(&l->k->proof, next, &rec, d));
    }
    return r.bad ? FAIL(d, ERR_LIMIT, "a record's name is too long") : OK;
}

/* Under proof.lock. */
static enum err commit_once(struct ledger *l, struct diag *d)
{
    struct keyd *k = l->k;
    struct proof *p = &k->proof;
    CLEANUP_BUF struct buf value = {0}, body = {0};
    struct root_record next = p->root;
    next.previous = p->root.generation;
    next.anchored = next.anchored || p->anchored_us != 0;
    pthread_mutex_lock(&k->lock);
    next.generation = ++k->generation;
    pthread_mutex_unlock(&k->lock);
    TRY(each_change(l, &next, change, d));
    TRY(root_encode(&next, k->mk, &value, d));
    buf_bytes(&body, buf_view(&l->body));
    put_record(&body, "root", "", "root", buf_view(&value));
    TRY(buf_check(&body, d));
    p->unsure = true; /* until there is an answer */
    TRY(chan_call(k->logs, LOGS_PERSIST, buf_view(&body), NULL, PERSIST_MS, d));
    TRY(each_change(l, &next, settle, d));
    p->unsure = false;
    p->root = next;
    memcpy(p->root_mac, value.p + value.len - sizeof p->root_mac, sizeof p->root_mac);
    proof_anchor(k);
    return OK;
}

/* After a commit without an answer the catalogue may hold it, or get it still: it takes a root only
 * over the one before, so that a late one can never slip in between. */
static enum err commit(struct ledger *l, struct diag *d)
{
    struct proof *p = &l->k->proof;
    LOCK_SCOPE(&p->lock);
    if (p->unsure) TRY(proof_reload(l->k, d));
    struct diag why = DIAG_INIT;
    enum err e = commit_once(l, &why);
    if (e == ERR_CONFLICT) {
        TRY(proof_reload(l->k, d));
        return commit_once(l, d);
    }
    return e == OK ? OK : FAIL_TAG(d, e, why.tag, "%s", why.text);
}

enum err ledger_commit(struct ledger *l, struct diag *d)
{
    TRY(buf_check(&l->body, d));
    return l->body.len != 0 ? commit(l, d) : OK;
}

enum err ledger_commit_root(struct ledger *l, struct diag *d)
{
    TRY(buf_check(&l->body, d));
    return commit(l, d);
}

/* --- loading ---------------------------------------------------------------------------------- */

/* One page; sets `after` to its last id. */
static enum err load_page(struct keyd *k, const char *kind, struct buf *after, bool *more,
                          ledger_visit *visit, void *ctx, struct diag *d)
{
    CLEANUP_BUF struct buf in = {0}, out = {0};
    put_string(&in, kind);
    put_string(&in, buf_cstr(after));
    TRY(buf_check(&in, d));
    TRY(chan_call(k->logs, LOGS_LOAD, buf_view(&in), &out, LOAD_MS, d));
    struct rd r = rd_from(buf_view(&out));
    *more = rd_u8(&r) != 0;
    char name[16], id[SCOPE_MAX], parent[SCOPE_MAX];
    while (!r.bad && !rd_done(&r)) {
        get_string(&r, name, sizeof name);
        get_string(&r, id, sizeof id);
        get_string(&r, parent, sizeof parent);
        struct custody_record rec = {name, id, parent, rd_blob(&r)};
        if (r.bad) break;
        buf_clear(after);
        buf_str(after, id);
        TRY(visit(ctx, &rec, d));
    }
    if (r.bad)
        return FAIL(d, ERR_CORRUPT, "the log service sent %s records that do not parse", kind);
    return OK;
}

enum err ledger_load(struct keyd *k, const char *kind, ledger_visit *visit, void *ctx,
                     struct diag *d)
{
    CLEANUP_BUF struct buf after = {0};
    bool more = true;
    while (more) {
        size_t before = after.len;
        TRY(load_page(k, kind, &after, &more, visit, ctx, d));
        if (more && after.len == before && before == 0) {
            return FAIL(d, ERR_CORRUPT, "the log service promises more %s records than it sends",
                        kind);
        }
    }
    return OK;
}
