/* SPDX-License-Identifier: Apache-2.0 */
/* keyvault/throttle.c - requests of the last ten seconds, by vault and by subscription */
#include "keyvault/service.h"

#include "base/map.h"
#include "base/str.h"
#include "base/thread.h"

#include <stdlib.h>

#define SECONDS               10
#define SUBSCRIPTION_MULTIPLE 5
#define HSM_CREATES_MAX       10 /* of HSM kinds of keys, per vault */
#define HSM_USES_PART         2  /* operations with them: this part of all requests */
#define PLATFORM_SUBSCRIPTION "/subscriptions/00000000-0000-0000-0000-000000000000/"

/* A slot per second; one that is older than SECONDS is empty. */
struct window {
    int64_t second[SECONDS];
    uint32_t count[SECONDS];
};

struct throttle {
    pthread_mutex_t lock; /* guards the map and its windows */
    struct map
        windows; /* "v NAME", "h NAME", "u NAME", "s SUBSCRIPTION"; only of vaults that exist */
    uint32_t requests;
};

enum err kv_throttle_new(struct throttle **out, uint32_t requests, struct diag *d)
{
    struct throttle *t = calloc(1, sizeof *t);
    if (t == NULL) return kv_out_of_memory(d);
    pthread_mutex_init(&t->lock, NULL);
    t->requests = requests;
    *out = t;
    return OK;
}

void kv_throttle_free(struct throttle *t)
{
    if (t == NULL) return;
    MAP_EACH (&t->windows, e)
        free(e->value);
    map_release(&t->windows);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

static struct window *window_of(struct throttle *t, const char *key)
{
    struct window *w = map_get(&t->windows, bytes_str(key));
    if (w != NULL) return w;
    w = calloc(1, sizeof *w);
    if (w == NULL || map_put(&t->windows, bytes_str(key), w, NULL, NULL) == OK) return w;
    free(w);
    return NULL;
}

/* Seconds until there is room for one more; 0: there is. */
static int64_t wait_for_room(const struct window *w, int64_t now, uint64_t max)
{
    uint64_t sum = 0;
    for (int64_t s = now; s > now - SECONDS; s--) {
        int slot = (int)(s % SECONDS);
        if (w->second[slot] == s) sum += w->count[slot];
        if (sum >= max) return s + SECONDS - now; /* when this second is over and out */
    }
    return 0;
}

static void count(struct window *w, int64_t now)
{
    int slot = (int)(now % SECONDS);
    if (w->second[slot] != now) w->count[slot] = 0;
    w->second[slot] = now;
    w->count[slot]++;
}

static enum err refuse(const struct call *c, int64_t seconds, struct diag *d)
{
    http_setf(c->res, "Retry-After", "%lld", (long long)seconds);
    return FAIL_TAG(d, ERR_LIMIT, "Throttled",
                    "Request was not processed because too many requests were received. Reason: "
                    "VaultRequestTypeLimitReached");
}

enum err kv_throttle_check(struct call *c, const json_t *vault, struct diag *d)
{
    const char *id = json_get_str(vault, "id"), *name = json_get_str(vault, "name");
    if (str_starts(id, PLATFORM_SUBSCRIPTION)) return OK; /* its one caller is keyd */
    char *by_vault = arena_fmt(c->req->a, "v %s", name);
    char *by_subscription = arena_fmt(c->req->a, "s %.36s", id + strlen("/subscriptions/"));
    if (by_vault == NULL || by_subscription == NULL) return kv_out_of_memory(d);
    str_lower(by_vault);
    str_lower(by_subscription);

    struct throttle *t = c->kv->throttle;
    int64_t now = time_mono_us() / US_PER_S;
    LOCK_SCOPE(&t->lock);
    struct window *v = window_of(t, by_vault), *s = window_of(t, by_subscription);
    if (v == NULL || s == NULL) return kv_out_of_memory(d);
    int64_t wait_v = wait_for_room(v, now, t->requests),
            wait_s = wait_for_room(s, now, (uint64_t)t->requests * SUBSCRIPTION_MULTIPLE);
    if (wait_v != 0 || wait_s != 0) return refuse(c, wait_v > wait_s ? wait_v : wait_s, d);
    count(v, now);
    count(s, now);
    return OK;
}

static enum err check_one(struct call *c, const char *kind, const json_t *vault, uint32_t max,
                          struct diag *d)
{
    const char *id = json_get_str(vault, "id"), *name = json_get_str(vault, "name");
    if (str_starts(id, PLATFORM_SUBSCRIPTION) || c->pool) return OK;
    char *key = arena_fmt(c->req->a, "%s %s", kind, name);
    if (key == NULL) return kv_out_of_memory(d);
    str_lower(key);
    struct throttle *t = c->kv->throttle;
    int64_t now = time_mono_us() / US_PER_S;
    LOCK_SCOPE(&t->lock);
    struct window *w = window_of(t, key);
    if (w == NULL) return kv_out_of_memory(d);
    int64_t wait = wait_for_room(w, now, max);
    if (wait != 0) return refuse(c, wait, d);
    count(w, now);
    return OK;
}

enum err kv_throttle_hsm_create(struct call *c, const json_t *vault, struct diag *d)
{
    return check_one(c, "h", vault, HSM_CREATES_MAX, d);
}

enum err kv_throttle_hsm_use(struct call *c, const json_t *vault, struct diag *d)
{
    uint32_t max = c->kv->throttle->requests / HSM_USES_PART;
    return check_one(c, "u", vault, max != 0 ? max : 1, d);
}
