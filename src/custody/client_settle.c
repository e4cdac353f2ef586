/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody/client_settle.c - keyd's news become what the server is told, in steps it can follow
 *
 * Wiping is not here: it is done the moment the news are read, before anybody is told. What is here
 * may take long (a replay) and may fail; then it is tried again a second later.
 */
#include "base/log.h"
#include "base/str.h"
#include "custody/holder.h"

#define RETRY_US    US_PER_S
#define REPLAYED_MS 10000

void settle_take_news(struct custody *c, struct held *h, const struct news *n)
{
    /* The number of the last news again, with a lease: keyd never saw that this side had locked
     * itself. */
    bool again = n->seq != 0 && n->seq == h->seq && h->self_locked && n->lease_us != 0;
    if (n->seq <= h->seq && !again) return;
    h->seq = n->seq;
    h->heard = n->state;
    h->self_locked = false;
    if (key_state_locked(n->state)) {
        held_wipe(c, h, n->state == KEY_REVOKED ? ERR_KEY_LOCKED : ERR_UNAVAILABLE);
    }
    h->retry_us = 1; /* due at once */
    pthread_cond_broadcast(&c->wake);
}

static enum key_state wanted(const struct held *h)
{
    return h->self_locked ? KEY_SUSPENDED : h->heard;
}

static void settle_job(void *arg)
{
    const struct settle_ref *r = arg;
    pthread_mutex_lock(&r->c->lock);
    r->h->queued = false;
    pthread_mutex_unlock(&r->c->lock);
    (void)settle(r->c, r->h, NULL); /* a failure has set the time of the next try */
}

void settle_later(struct custody *c, struct held *h)
{
    h->retry_us = 0;
    if (h->queued || c->stopping) return; /* custody_free() ends the pool before the channel */
    h->queued = pool_submit(c->pool, settle_job, &h->job, NULL) == OK;
    if (!h->queued) h->retry_us = time_mono_us() + RETRY_US;
}

/* --- steps; the account's apply_lock is held
 * -------------------------------------------------------- */

static enum err tell(struct custody *c, struct held *h, enum key_state now, struct diag *d)
{
    struct diag why = DIAG_INIT;
    enum err e = c->config.changed(c->config.ctx, h->id, h->applied, now, &why);
    if (e == OK) {
        LOCK_SCOPE(&c->lock);
        h->applied = now;
        return OK;
    }
    char account[33];
    hex_encode(bytes_of(h->id, 16), account);
    LOG(WARN, "key.change_failed", F_STR("account", account), F_STR("now", key_state_name(now)),
        F_ERR(&why));
    return FAIL_TAG(d, e, why.tag, "%s", why.text);
}

/* The server wiped, or has just started: it replays, with keys under a lease. */
static enum err replay(struct custody *c, struct held *h, struct diag *d)
{
    uint64_t shortest_us = UINT64_MAX;
    TRY(leases_renew(c, h, &shortest_us, d));
    pthread_mutex_lock(&c->lock);
    enum err e = held_may_use(h, d);
    pthread_mutex_unlock(&c->lock);
    TRY(e);
    return tell(c, h, KEY_RESTORING, d);
}

static enum err report(struct custody *c, struct held *h, uint64_t seq, struct diag *d)
{
    CLEANUP_BUF struct buf in = {0}, out = {0};
    buf_bytes(&in, bytes_of(h->id, 16));
    buf_u64(&in, seq);
    TRY(chan_call(c->chan, KEYD_REPLAYED, buf_view(&in), &out, REPLAYED_MS, d));
    struct rd r = rd_from(buf_view(&out));
    struct news n = get_news(&r);
    if (!rd_done(&r)) return FAIL(d, ERR_CORRUPT, "keyd's news do not parse");
    h->reported = seq;
    LOCK_SCOPE(&c->lock);
    settle_take_news(c, h, &n);
    return OK;
}

struct goal {
    enum key_state state;
    uint64_t seq;
};

static bool reached(const struct held *h, struct goal g)
{
    if (g.state == KEY_RESTORING) return h->applied == KEY_RESTORING && h->reported == g.seq;
    if (g.state == KEY_DOUBT && key_state_locked(h->applied))
        return true; /* there is nothing to hold back */
    return h->applied == g.state;
}

/* One step from `applied` towards the goal. */
static enum err step(struct custody *c, struct held *h, struct goal g, struct diag *d)
{
    if (key_state_locked(g.state)) return tell(c, h, g.state, d);
    if (key_state_locked(h->applied)) return replay(c, h, d); /* (2) of holder.h */
    if (g.state != KEY_RESTORING) return tell(c, h, g.state, d);
    /* Nothing was wiped since keyd lost sight of us: the rows are whole. */
    if (h->reported != g.seq) TRY(report(c, h, g.seq, d));
    return h->applied == KEY_RESTORING ? OK : tell(c, h, KEY_RESTORING, d);
}

/* False: nothing to do any more. */
static bool goal_of(struct custody *c, const struct held *h, struct goal *g)
{
    LOCK_SCOPE(&c->lock);
    *g = (struct goal){wanted(h), h->seq};
    return !c->stopping && !reached(h, *g);
}

enum err settle(struct custody *c, struct held *h, struct diag *d)
{
    LOCK_SCOPE(&h->apply_lock);
    enum err e = OK;
    struct goal g;
    while (e == OK && goal_of(c, h, &g))
        e = step(c, h, g, d);
    pthread_mutex_lock(&c->lock);
    h->retry_us = e == OK ? 0 : time_mono_us() + RETRY_US;
    pthread_mutex_unlock(&c->lock);
    return e;
}
