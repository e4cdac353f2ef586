/* SPDX-License-Identifier: Apache-2.0 */
/* identity/people.c - logins under way, and how often somebody guessed */
#include "identity/people.h"

#include "base/log.h"
#include "base/rand.h"
#include "base/time.h"

#include <stdio.h>
#include <stdlib.h>

#define LOGINS_MAX    2000
#define COUNTERS_MAX  20000
#define TRIES_US      (900 * US_PER_S)
#define NAME_TRIES    5
#define ADDRESS_TRIES 30

struct counter {
    int64_t until_us;
    unsigned n;
};

struct people {
    pthread_mutex_t lock; /* a leaf: nothing is called under it */
    struct map logins;    /* digest of the code to struct login */
    struct map counters;  /* "name:..." and "peer:..." to struct counter */
};

enum err people_open(struct identity *id, struct diag *d)
{
    id->people = calloc(1, sizeof *id->people);
    if (id->people == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    pthread_mutex_init(&id->people->lock, NULL);
    return OK;
}

void people_close(struct identity *id)
{
    struct people *p = TAKE(id->people);
    if (p == NULL) return;
    MAP_EACH (&p->logins, e)
        free(e->value);
    MAP_EACH (&p->counters, e)
        free(e->value);
    map_release(&p->logins);
    map_release(&p->counters);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

/* Under people's lock. */
static void drop_dead(struct people *p, int64_t now_us)
{
    MAP_EACH (&p->logins, e) {
        struct login *l = e->value;
        if (l->until_us > now_us) continue;
        map_remove(&p->logins, e->key);
        free(l);
    }
    MAP_EACH (&p->counters, e) {
        struct counter *c = e->value;
        if (c->until_us > now_us) continue;
        map_remove(&p->counters, e->key);
        free(c);
    }
}

void people_tidy(struct identity *id, int64_t now_us)
{
    LOCK_SCOPE(&id->people->lock);
    drop_dead(id->people, now_us);
}

bool is_public_client(const char *client_id)
{
    static const char *const known[] = {CLIENT_KEYSTEAD, "04b07795-8ddb-461a-bbee-02f9e1bf7b46",
                                        "1950a258-227b-4e31-a9cf-717495945fc2"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (str_eq_nocase(known[i], client_id)) return true;
    }
    return false;
}

/* --- logins under way
 * ---------------------------------------------------------------------------------- */

void people_digest(const char *code, char out[2 * 32 + 1])
{
    uint8_t digest[32];
    sha256(bytes_str(code), digest);
    hex_encode(BYTES_OF(digest), out);
}

enum err people_keep(struct identity *id, const struct login *l, char code[CODE_LEN + 1],
                     struct diag *d)
{
    uint8_t random[CODE_LEN / 2];
    char digest[65];
    struct people *p = id->people;
    struct login *own = malloc(sizeof *own);
    if (own == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    *own = *l;
    rand_bytes(random, sizeof random);
    hex_encode(BYTES_OF(random), code);
    people_digest(code, digest);
    LOCK_SCOPE(&p->lock);
    if (p->logins.n_live >= LOGINS_MAX) drop_dead(p, time_now_us());
    enum err e = p->logins.n_live < LOGINS_MAX
                     ? map_put(&p->logins, bytes_str(digest), own, NULL, d)
                     : FAIL(d, ERR_LIMIT, "more than %d people sign in at once", LOGINS_MAX);
    if (e != OK) free(own);
    return e;
}

/* Under people's lock: NULL unless it lives. */
static struct login *find(struct people *p, const char *code, char digest[65])
{
    people_digest(code, digest);
    struct login *l = map_get(&p->logins, bytes_str(digest));
    return l != NULL && l->until_us > time_now_us() ? l : NULL;
}

static void take(struct people *p, struct login *l, const char *digest, struct login *out)
{
    *out = *l;
    map_remove(&p->logins, bytes_str(digest));
    free(l);
}

bool people_take(struct identity *id, const char *code, struct login *out)
{
    char digest[65];
    LOCK_SCOPE(&id->people->lock);
    struct login *l = find(id->people, code, digest);
    if (l == NULL || l->user_code[0] != 0) return false;
    take(id->people, l, digest, out);
    return true;
}

enum device_state people_poll(struct identity *id, const char *code, const char *client_id,
                              struct login *out)
{
    char digest[65];
    LOCK_SCOPE(&id->people->lock);
    struct login *l = find(id->people, code, digest);
    if (l == NULL || l->user_code[0] == 0 || !str_eq_nocase(l->client_id, client_id)) {
        return DEVICE_UNKNOWN;
    }
    if (l->object_id[0] == 0) return DEVICE_WAITING;
    take(id->people, l, digest, out);
    return DEVICE_DONE;
}

bool people_approve(struct identity *id, const char *user_code, const char *object_id)
{
    LOCK_SCOPE(&id->people->lock);
    MAP_EACH (&id->people->logins, e) {
        struct login *l = e->value;
        bool its = l->user_code[0] != 0 && str_eq_nocase(l->user_code, user_code);
        if (!its || l->object_id[0] != 0 || l->until_us <= time_now_us()) continue;
        snprintf(l->object_id, sizeof l->object_id, "%s", object_id);
        return true;
    }
    return false;
}

/* --- guesses
 * ------------------------------------------------------------------------------------------- */

/* Digests: what a stranger typed is no key of ours. */
static void counter_name(const char *kind, const char *text, char out[2 * 32 + 1])
{
    CLEANUP_BUF struct buf all = {0};
    uint8_t digest[32];
    buf_str(&all, kind);
    for (const char *c = text; *c != 0; c++)
        buf_u8(&all, (uint8_t)(*c >= 'A' && *c <= 'Z' ? *c - 'A' + 'a' : *c));
    sha256(buf_view(&all), digest);
    hex_encode(BYTES_OF(digest), out);
}

static unsigned count_of(struct people *p, const char *key)
{
    const struct counter *c = map_get(&p->counters, bytes_str(key));
    return c != NULL && c->until_us > time_now_us() ? c->n : 0;
}

/* Under people's lock. A table that is full forgets what is old; full of fresh ones it counts no
 * more names, but each address is still there. */
static void count(struct people *p, const char *key)
{
    int64_t now = time_now_us();
    struct counter *c = map_get(&p->counters, bytes_str(key));
    if (c != NULL) {
        c->n = c->until_us > now ? c->n + 1 : 1;
        c->until_us = now + TRIES_US;
        return;
    }
    if (p->counters.n_live >= COUNTERS_MAX) drop_dead(p, now);
    c = p->counters.n_live < COUNTERS_MAX ? calloc(1, sizeof *c) : NULL;
    if (c == NULL) return;
    *c = (struct counter){now + TRIES_US, 1};
    if (map_put(&p->counters, bytes_str(key), c, NULL, NULL) != OK) free(c);
}

bool people_may_try(struct identity *id, const char *name, const char *peer)
{
    char by_name[65], by_peer[65];
    counter_name("name:", name, by_name);
    counter_name("peer:", peer, by_peer);
    LOCK_SCOPE(&id->people->lock);
    return id->people->counters.n_live < COUNTERS_MAX &&
           count_of(id->people, by_name) < NAME_TRIES &&
           count_of(id->people, by_peer) < ADDRESS_TRIES;
}

bool people_check(struct identity *id, const char *name, const char *password, const char *peer,
                  struct principal *out)
{
    char by_name[65], by_peer[65];
    struct principal p = {0};
    bool known = principal_find(id, name, &p) && p.kind == PRINCIPAL_PERSON;
    /* The work is done for unknown names too: who is there must not be told by the time it takes.
     */
    bool good = password_matches(known ? p.password : "", bytes_str(password));
    if (good && !p.is_disabled) {
        *out = p;
        wipe(&p, sizeof p);
        return true;
    }
    wipe(&p, sizeof p);
    counter_name("name:", name, by_name);
    counter_name("peer:", peer, by_peer);
    LOG(WARN, "identity.login_refused", F_STR("peer", peer));
    LOCK_SCOPE(&id->people->lock);
    count(id->people, by_name);
    count(id->people, by_peer);
    return false;
}

/* --- what is asked for
 * ----------------------------------------------------------------------------------- */

static bool take_resource(const char *text, size_t n, char out[AUDIENCE_MAX])
{
    if (n == 0 || n >= AUDIENCE_MAX) return false;
    for (size_t i = 0; i < n; i++) {
        if (text[i] <= 0x20 || text[i] > 0x7e || strchr("\"\\<>", text[i]) != NULL) return false;
    }
    snprintf(out, AUDIENCE_MAX, "%.*s", (int)n, text);
    return true;
}

/* One word of a scope: one of OpenID Connect's, or "resource/permission". */
static bool take_word(const char *word, size_t n, struct login *l)
{
    if (n == 6 && memcmp(word, "openid", 6) == 0) return l->wants_id = true;
    if (n == 14 && memcmp(word, "offline_access", 14) == 0) return l->wants_refresh = true;
    if ((n == 7 && memcmp(word, "profile", 7) == 0) || (n == 5 && memcmp(word, "email", 5) == 0)) {
        return true;
    }
    const char *slash = memrchr(word, '/', n);
    return slash != NULL && l->audience[0] == 0 &&
           take_resource(word, (size_t)(slash - word), l->audience);
}

bool people_scope(const struct identity *id, const char *scope, const char *resource,
                  struct login *l)
{
    if (resource != NULL && !take_resource(resource, strlen(resource), l->audience)) return false;
    for (const char *p = scope != NULL ? scope : ""; *p != 0;) {
        size_t n = strcspn(p, " ");
        if (n != 0 && !take_word(p, n, l)) return false;
        p += n + strspn(p + n, " ");
    }
    if (l->audience[0] == 0) snprintf(l->audience, sizeof l->audience, "%s", id->endpoint);
    return true;
}
