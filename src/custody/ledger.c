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

enum err ledger_commit(struct ledger *l, struct diag *d)
{
    TRY(buf_check(&l->body, d));
    if (l->body.len == 0) return OK;
    return chan_call(l->k->logs, LOGS_PERSIST, buf_view(&l->body), NULL, PERSIST_MS, d);
}

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
