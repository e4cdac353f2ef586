/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity/watch.c - what is due by the clock: new signing keys, dead ones, credentials that end
 *
 * One thread, once a day of the (virtual) clock and when a signing key is due. What ends within 30
 * days is warned of each time; /metrics and `keystead identity list` show it all the time.
 */
#include "identity/state.h"

#include "base/log.h"
#include "base/time.h"

#include <stdatomic.h>
#include <stdlib.h>

#define RETRY_US (60 * US_PER_S) /* after a failure */
#define DAY_US   (86400 * US_PER_S)
#define SOON_US  (30 * DAY_US)

struct watch {
    struct identity *id;
    struct timer *timer;
    pthread_t thread;
    _Atomic bool stopping;
};

static json_t *ending_json(const struct principal *p, const struct credential *c)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:I}", "name", p->name, "objectId", p->object_id, "kind",
                     c->kind == CREDENTIAL_SECRET ? "secret" : "certificate", "id", c->id,
                     "expiresUs", (json_int_t)c->expires_us);
}

json_t *watch_ending(struct identity *id, int64_t now_us)
{
    json_t *list = json_array();
    LOCK_SCOPE(&id->lock);
    MAP_EACH (&id->by_object, e) {
        const struct principal *p = e->value;
        for (unsigned i = 0; i < p->n_credentials; i++) {
            const struct credential *c = &p->credentials[i];
            if (c->expires_us == 0 || c->expires_us > now_us + SOON_US) continue;
            json_array_append_new(list, ending_json(p, c));
        }
    }
    return list;
}

static void warn(struct watch *w, int64_t now_us)
{
    CLEANUP_JSON json_t *list = watch_ending(w->id, now_us);
    size_t i;
    json_t *one;
    json_array_foreach (list, i, one) {
        int64_t left = json_get_int(one, "expiresUs", 0) - now_us;
        LOG(WARN, left > 0 ? "identity.credential_ends_soon" : "identity.credential_ended",
            F_STR("name", json_get_str(one, "name")), F_STR("kind", json_get_str(one, "kind")),
            F_STR("id", json_get_str(one, "id")), F_I64("days", left / DAY_US));
    }
}

static void look(struct watch *w)
{
    struct diag d = DIAG_INIT;
    int64_t now = time_now_us();
    enum err e = signers_are_due(w->id, now) ? signers_rotate(w->id, &d) : OK;
    if (e == OK) e = signers_tidy(w->id, now, &d);
    if (e == OK) e = rows_tidy(w->id, TABLE_ASSERTION, now, &d);
    if (e == OK) e = rows_tidy(w->id, TABLE_REFRESH, now, &d);
    if (e != OK) LOG(ERROR, "identity.watch_failed", F_ERR(&d));
    people_tidy(w->id, now);
    warn(w, now);
}

static int64_t next_due(struct watch *w)
{
    int64_t now = time_now_us(), keys = signers_next_us(w->id);
    if (keys >= now + DAY_US) return now + DAY_US;
    return keys > now ? keys : now + RETRY_US;
}

static void *run(void *arg)
{
    struct watch *w = arg;
    int64_t due = time_now_us();
    while (!atomic_load(&w->stopping)) {
        if (timer_wait(w->timer, due) && !atomic_load(&w->stopping)) look(w);
        due = next_due(w);
    }
    return NULL;
}

void watch_wake(struct identity *id)
{
    if (id->watch != NULL) timer_wake(id->watch->timer);
}

enum err watch_start(struct identity *id, struct diag *d)
{
    struct watch *w = calloc(1, sizeof *w);
    if (w == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    w->id = id;
    w->timer = timer_new();
    if (w->timer == NULL) {
        free(w);
        return FAIL(d, ERR_LIMIT, "no timer is left for identity");
    }
    enum err e = thread_start(&w->thread, run, w, d);
    if (e != OK) {
        timer_free(w->timer);
        free(w);
        return e;
    }
    id->watch = w;
    return OK;
}

void watch_stop(struct identity *id)
{
    struct watch *w = TAKE(id->watch);
    if (w == NULL) return;
    atomic_store(&w->stopping, true);
    timer_wake(w->timer);
    pthread_join(w->thread, NULL);
    timer_free(w->timer);
    free(w);
}
