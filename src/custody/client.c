/* SPDX-License-Identifier: Apache-2.0 */
/* custody/client.c - the log service's end of the channel: its questions, and keyd's */
#include "custody/client.h"

#include "base/log.h"
#include "base/str.h"
#include "custody/holder.h"

#include <stdatomic.h>
#include <stdlib.h>

#define CHAN_THREADS   8
#define SETTLE_THREADS 4
#define SETTLE_QUEUE   4096
#define READY_STEP_US  (100 * 1000LL)
#define PAGE_BYTES     ((size_t)4 << 20) /* of records in one answer, about */
#define RECORDS_MAX    100000            /* in one transaction */
#define NAME_MAX_BYTES 512

#define STATUS_MS 5000         /* no vault is asked */
#define CALL_MS   60000        /* a few vault calls */
#define SCOPE_MS  (600 * 1000) /* vault calls for every account of a scope */

/* --- what keyd asks
 * -------------------------------------------------------------------------------- */

struct page {
    struct buf *out;
    const char *after;
    bool more;
};

static enum err page_add(void *ctx, const struct custody_record *r, struct diag *d)
{
    struct page *p = ctx;
    if (strcmp(r->id, p->after) <= 0) return OK;
    if (p->out->len >= PAGE_BYTES) {
        p->more = true;
        return FAIL(d, ERR_CANCELLED, "the page is full");
    }
    put_record(p->out, r->id, r->parent != NULL ? r->parent : "", r->kind, r->value);
    return buf_check(p->out, d);
}

static enum err serve_load(struct custody *c, struct rd *in, struct buf *out, struct diag *d)
{
    char kind[16], after[NAME_MAX_BYTES];
    get_string(in, kind, sizeof kind);
    get_string(in, after, sizeof after);
    if (!rd_done(in)) return FAIL(d, ERR_INVALID, "custody: the request does not parse");
    CLEANUP_BUF struct buf records = {0};
    struct page p = {.out = &records, .after = after};
    struct diag why = DIAG_INIT;
    enum err e = c->config.load(c->config.ctx, kind, page_add, &p, &why);
    if (e != OK && !p.more) return FAIL_TAG(d, e, why.tag, "%s", why.text);
    buf_u8(out, p.more);
    buf_bytes(out, buf_view(&records));
    return OK;
}

struct parsed_record {
    char kind[16], id[NAME_MAX_BYTES], parent[NAME_MAX_BYTES];
};

static size_t count_records(struct rd r)
{
    size_t n = 0;
    for (; !r.bad && !rd_done(&r); n++) {
        for (int i = 0; i < 4; i++)
            (void)rd_blob(&r);
    }
    return n;
}

static enum err serve_persist(struct custody *c, struct rd *in, struct diag *d)
{
    size_t n = count_records(*in);
    if (n == 0 || n > RECORDS_MAX) return FAIL(d, ERR_LIMIT, "custody: %zu records at once", n);
    CLEANUP_FREE struct parsed_record *texts = calloc(n, sizeof *texts);
    CLEANUP_FREE struct custody_record *records = calloc(n, sizeof *records);
    if (texts == NULL || records == NULL)
        return FAIL(d, ERR_LIMIT, "out of memory"); // NOLINT: the cleanup frees
    for (size_t i = 0; i < n; i++) {
        get_string(in, texts[i].kind, sizeof texts[i].kind);
        get_string(in, texts[i].id, sizeof texts[i].id);
        get_string(in, texts[i].parent, sizeof texts[i].parent);
        records[i] = (struct custody_record){.kind = texts[i].kind,
                                             .id = texts[i].id,
                                             .parent = texts[i].parent,
                                             .value = rd_blob(in)};
    }
    if (!rd_done(in)) return FAIL(d, ERR_INVALID, "custody: the records do not parse");
    return c->config.persist(c->config.ctx, records, n, d);
}

/* Acknowledged when everything is wiped, here and in the server; what takes long is done later. */
static enum err serve_news(struct custody *c, struct rd *in, struct diag *d)
{
    struct news n = get_news(in);
    if (!rd_done(in)) return FAIL(d, ERR_INVALID, "custody: the news do not parse");
    pthread_mutex_lock(&c->lock);
    struct held *h = NULL;
    enum err e = held_find(c, n.account, true, &h, d);
    if (e == OK) {
        settle_take_news(c, h, &n);
        if (!key_state_locked(n.state)) settle_later(c, h);
    }
    pthread_mutex_unlock(&c->lock);
    TRY(e);
    return key_state_locked(n.state) ? settle(c, h, d) : OK;
}

static enum err serve(void *ctx, uint16_t method, struct bytes in, struct buf *out, struct diag *d)
{
    struct custody *c = ctx;
    struct rd r = rd_from(in);
    switch ((enum logs_method)method) {
    case LOGS_LOAD: return serve_load(c, &r, out, d);
    case LOGS_PERSIST: return serve_persist(c, &r, d);
    case LOGS_NEWS: return serve_news(c, &r, d);
    }
    return FAIL(d, ERR_UNSUPPORTED, "custody: no method %u", method);
}

/* --- life
 * ------------------------------------------------------------------------------------------ */

static void keyd_changed(void *ctx, bool up)
{
    struct custody *c = ctx;
    LOCK_SCOPE(&c->lock);
    c->renew_now = c->renew_now || up;
    pthread_cond_broadcast(&c->wake);
}

enum err custody_new(struct custody **out, const struct custody_config *config, struct diag *d)
{
    struct custody *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    fresh->config = *config;
    pthread_mutex_init(&fresh->lock, NULL);
    cond_init(&fresh->wake);
    CLEANUP(custody_free) struct custody *c = fresh;
    TRY(pool_new(&c->pool, SETTLE_THREADS, SETTLE_QUEUE, d));
    TRY(chan_new(&c->chan, "keyd", CHAN_THREADS, serve, c, d));
    chan_on_state(c->chan, keyd_changed, c);
    TRY(thread_start(&c->lease_thread, leases_run, c, d));
    c->running = true;
    *out = TAKE(c);
    return OK;
}

void custody_free(struct custody *c)
{
    if (c == NULL) return;
    pthread_mutex_lock(&c->lock);
    c->stopping = true;
    pthread_cond_broadcast(&c->wake);
    pthread_mutex_unlock(&c->lock);
    if (c->running) pthread_join(c->lease_thread, NULL);
    pool_free(c->pool); /* first: its jobs call keyd; settle_later() feeds it no more */
    chan_free(c->chan);
    MAP_EACH (&c->accounts, e)
        held_free(e->value);
    map_release(&c->accounts);
    wiped_free(c);
    pthread_cond_destroy(&c->wake);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

struct chan *custody_chan(struct custody *c)
{
    return c->chan;
}

enum err custody_wait_ready(struct custody *c, uint64_t timeout_ms, struct diag *d)
{
    int64_t until = time_mono_us() + (int64_t)timeout_ms * 1000;
    for (;;) {
        struct diag why = DIAG_INIT;
        enum err e = chan_call(c->chan, KEYD_READY, (struct bytes){0}, NULL, timeout_ms, &why);
        if (e == OK) return OK;
        if (time_mono_us() >= until) return FAIL_TAG(d, e, why.tag, "%s", why.text);
        time_sleep_us(READY_STEP_US);
    }
}

/* --- what the log service asks
 * --------------------------------------------------------------------- */

enum err custody_kek_check(struct custody *c, const struct custody_kek *k,
                           struct custody_kek_found *out, struct diag *d)
{
    CLEANUP_BUF struct buf in = {0}, answer = {0};
    struct custody_kek_found found;
    put_kek(&in, k);
    TRY(buf_check(&in, d));
    TRY(chan_call(c->chan, KEYD_KEK_CHECK, buf_view(&in), &answer, CALL_MS, d));
    struct rd r = rd_from(buf_view(&answer));
    get_string(&r, found.version, sizeof found.version);
    found.rsa_bits = rd_u32(&r);
    if (!rd_done(&r)) return FAIL(d, ERR_CORRUPT, "keyd's answer does not parse");
    *out = found;
    return OK;
}

enum err custody_scope_set(struct custody *c, const char *scope, const struct custody_kek *k,
                           uint64_t *wraps_rewritten, struct diag *d)
{
    CLEANUP_BUF struct buf in = {0}, out = {0};
    put_string(&in, scope);
    put_kek(&in, k);
    TRY(buf_check(&in, d));
    TRY(chan_call(c->chan, KEYD_SCOPE_SET, buf_view(&in), &out, SCOPE_MS, d));
    struct rd r = rd_from(buf_view(&out));
    uint64_t wraps = rd_u64(&r);
    if (!rd_done(&r)) return FAIL(d, ERR_CORRUPT, "keyd's answer does not parse");
    if (wraps_rewritten != NULL) *wraps_rewritten = wraps;
    return OK;
}

static enum err ask(struct custody *c, enum keyd_method method, const struct buf *in,
                    struct diag *d)
{
    TRY(buf_check(in, d));
    return chan_call(c->chan, (uint16_t)method, buf_view(in), NULL, CALL_MS, d);
}

enum err custody_scope_policy(struct custody *c, const char *scope, const struct key_policy *p,
                              const char *by, struct diag *d)
{
    CLEANUP_BUF struct buf in = {0};
    put_string(&in, scope);
    put_policy(&in, p);
    put_string(&in, by);
    return ask(c, KEYD_SCOPE_POLICY, &in, d);
}

enum err custody_scope_clear(struct custody *c, const char *scope, bool sealed, struct diag *d)
{
    CLEANUP_BUF struct buf in = {0};
    put_string(&in, scope);
    buf_u8(&in, sealed);
    return ask(c, KEYD_SCOPE_CLEAR, &in, d);
}

enum err custody_scope_unlock(struct custody *c, const char *scope, const char *by, struct diag *d)
{
    CLEANUP_BUF struct buf in = {0};
    put_string(&in, scope);
    put_string(&in, by);
    return ask(c, KEYD_SCOPE_UNLOCK, &in, d);
}

enum err custody_scope_remove(struct custody *c, const char *scope, struct diag *d)
{
    CLEANUP_BUF struct buf in = {0};
    put_string(&in, scope);
    return ask(c, KEYD_SCOPE_REMOVE, &in, d);
}

enum err custody_account_add(struct custody *c, const char *scope, const uint8_t account[16],
                             const char *workspace, struct diag *d)
{
    CLEANUP_BUF struct buf in = {0}, out = {0};
    put_string(&in, scope);
    buf_bytes(&in, bytes_of(account, 16));
    put_string(&in, workspace);
    TRY(buf_check(&in, d));
    TRY(chan_call(c->chan, KEYD_ACCOUNT_ADD, buf_view(&in), &out, CALL_MS, d));
    struct rd r = rd_from(buf_view(&out));
    struct news n = get_news(&r);
    if (!rd_done(&r)) return FAIL(d, ERR_CORRUPT, "keyd's answer does not parse");

    pthread_mutex_lock(&c->lock);
    struct held *h = NULL;
    enum err e = held_find(c, account, true, &h, d);
    if (e == OK) settle_take_news(c, h, &n);
    pthread_mutex_unlock(&c->lock);
    /* The account is there; what cannot be settled now is tried again by itself. */
    if (e == OK) (void)settle(c, h, NULL);
    return e;
}

enum err custody_scope_rewrap(struct custody *c, const char *scope, const char *by, uint64_t *wraps,
                              struct diag *d)
{
    CLEANUP_BUF struct buf in = {0}, out = {0};
    put_string(&in, scope);
    put_string(&in, by);
    TRY(buf_check(&in, d));
    TRY(chan_call(c->chan, KEYD_SCOPE_REWRAP, buf_view(&in), &out, SCOPE_MS, d));
    struct rd r = rd_from(buf_view(&out));
    *wraps = rd_u64(&r);
    return rd_done(&r) ? OK : FAIL(d, ERR_CORRUPT, "keyd's answer does not parse");
}

enum err custody_aek_rotate(struct custody *c, const uint8_t account[16], const char *by,
                            uint32_t *generation, uint8_t aek_id[16], struct diag *d)
{
    CLEANUP_BUF struct buf in = {0}, out = {0};
    buf_bytes(&in, bytes_of(account, 16));
    put_string(&in, by);
    TRY(buf_check(&in, d));
    TRY(chan_call(c->chan, KEYD_AEK_ROTATE, buf_view(&in), &out, CALL_MS, d));
    struct rd r = rd_from(buf_view(&out));
    *generation = rd_u32(&r);
    rd_copy(&r, aek_id, 16);
    return rd_done(&r) ? OK : FAIL(d, ERR_CORRUPT, "keyd's answer does not parse");
}

enum err custody_aek_drop(struct custody *c, const uint8_t account[16], const uint8_t aek_id[16],
                          struct diag *d)
{
    CLEANUP_BUF struct buf in = {0};
    buf_bytes(&in, bytes_of(account, 16));
    buf_bytes(&in, bytes_of(aek_id, 16));
    TRY(buf_check(&in, d));
    return chan_call(c->chan, KEYD_AEK_DROP, buf_view(&in), NULL, CALL_MS, d);
}

enum key_state custody_account_state(struct custody *c, const uint8_t account[16])
{
    LOCK_SCOPE(&c->lock);
    const struct held *h = map_get(&c->accounts, bytes_of(account, 16));
    if (h == NULL || h->self_locked) return KEY_SUSPENDED;
    if (h->heard == KEY_DOUBT || key_state_locked(h->heard)) return h->heard;
    /* keyd may be further than the server: its rows are whole when it has said so. */
    bool whole = h->applied == KEY_ACTIVE || h->applied == KEY_STALE || h->applied == KEY_DOUBT;
    return whole ? h->heard : KEY_RESTORING;
}

static enum err status_of(struct custody *c, const char *scope, json_t **out, struct diag *d)
{
    CLEANUP_BUF struct buf in = {0}, text = {0};
    put_string(&in, scope);
    TRY(buf_check(&in, d));
    TRY(chan_call(c->chan, KEYD_STATUS, buf_view(&in), &text, STATUS_MS, d));
    return json_read(buf_view(&text), out, d);
}

enum err custody_status(struct custody *c, json_t **out, struct diag *d)
{
    return status_of(c, "", out, d);
}

enum err custody_scope_state(struct custody *c, const char *scope, json_t **out, struct diag *d)
{
    return status_of(c, scope, out, d);
}

enum err custody_audit_read(struct custody *c, uint64_t after, struct buf *out, struct diag *d)
{
    CLEANUP_BUF struct buf in = {0};
    buf_u64(&in, after);
    TRY(buf_check(&in, d));
    return chan_call(c->chan, KEYD_AUDIT_READ, buf_view(&in), out, CALL_MS, d);
}

/* --- the storage's entries -------------------------------------------------------------------- */

static enum err ask_entries(struct custody *c, uint64_t accepted, const char *text,
                            uint64_t *generation, bool *older_is_fine, struct diag *d)
{
    CLEANUP_BUF struct buf in = {0}, out = {0};
    CLEANUP_FREE char *short_text = str_fmt("%.400s", text);
    if (short_text == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    buf_u64(&in, accepted);
    put_string(&in, short_text);
    TRY(buf_check(&in, d));
    TRY(chan_call(c->chan, KEYD_ENTRIES, buf_view(&in), &out, CALL_MS, d));
    struct rd r = rd_from(buf_view(&out));
    uint64_t last = rd_u64(&r);
    bool fine = rd_u8(&r) != 0;
    if (!rd_done(&r)) return FAIL(d, ERR_CORRUPT, "keyd's answer does not parse");
    *generation = last;
    *older_is_fine = fine;
    return OK;
}

enum err custody_entries_last(void *custody, uint64_t *generation, bool *older_is_fine,
                              struct diag *d)
{
    return ask_entries(custody, 0, "", generation, older_is_fine, d);
}

enum err custody_entries_accepted(void *custody, uint64_t generation, const char *what,
                                  struct diag *d)
{
    uint64_t last;
    bool older_is_fine;
    return ask_entries(custody, generation, what, &last, &older_is_fine, d);
}

void custody_entries_moved(void *custody, uint64_t generation)
{
    struct custody *c = custody;
    atomic_store(&c->entries, generation);
}
