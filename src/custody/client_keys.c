/* SPDX-License-Identifier: Apache-2.0 */
/* custody/client_keys.c - file keys that hang on a lease: fetched together, kept, taken away */
#include "base/log.h"
#include "custody/holder.h"

#include <stdatomic.h>
#include <stdlib.h>

#define KEYS_MAX     8192 /* per account; beyond that, keys that nobody holds make room */
#define FILES_MS     10000
#define RENEW_MS     1000
#define TICK_US      (250 * 1000LL)
#define RENEW_MIN_US (500 * 1000LL)
#define RENEW_MAX_US (15 * US_PER_S)

/* What a wiped key is found by. */
static struct bytes address_of(struct file_key *const *k)
{
    return bytes_of(k, sizeof(void *));
}

/* --- accounts and leases ---------------------------------------------------------------------- */

enum err held_find(struct custody *c, const uint8_t id[16], bool create, struct held **out,
                   struct diag *d)
{
    *out = map_get(&c->accounts, bytes_of(id, 16));
    if (*out != NULL || !create) return OK;
    struct held *h = calloc(1, sizeof *h);
    if (h == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    memcpy(h->id, id, 16);
    h->job = (struct settle_ref){c, h};
    pthread_mutex_init(&h->apply_lock, NULL);
    enum err e = map_put(&c->accounts, bytes_of(id, 16), h, NULL, d);
    if (e != OK) {
        held_free(h);
        return e;
    }
    *out = h;
    return OK;
}

static void cached_free(struct cached_key *k)
{
    if (k == NULL) return;
    file_key_free(k->key);
    free(k);
}

void held_free(struct held *h)
{
    MAP_EACH (&h->keys, e)
        cached_free(e->value);
    map_release(&h->keys);
    pthread_mutex_destroy(&h->apply_lock);
    free(h);
}

void wiped_free(struct custody *c)
{
    MAP_EACH (&c->wiped, e)
        cached_free(e->value);
    map_release(&c->wiped);
}

/* (4) */
bool held_lease_good(const struct held *h)
{
    return h->end_boot_us != 0 && time_boot_us() < h->end_boot_us &&
           time_kernel_us() < h->end_kernel_us;
}

/* Counted from before the question: keyd's own count ends later. */
void held_set_lease(struct held *h, uint64_t lease_us, int64_t asked_boot_us,
                    int64_t asked_kernel_us)
{
    if (lease_us == 0 || key_state_locked(h->heard)) return;
    int64_t us = lease_us < LEASE_S_MAX * US_PER_S ? (int64_t)lease_us : LEASE_S_MAX * US_PER_S;
    if (asked_boot_us + us <= h->end_boot_us) return; /* answers may overtake each other */
    h->end_boot_us = asked_boot_us + us;
    h->end_kernel_us = asked_kernel_us + us;
}

enum err held_may_use(const struct held *h, struct diag *d)
{
    if (h != NULL && h->heard == KEY_REVOKED) {
        return FAIL(d, ERR_KEY_LOCKED, "the customer has withdrawn the key of this data");
    }
    if (h != NULL && held_lease_good(h)) return OK;
    return FAIL(d, ERR_UNAVAILABLE, "the key of this data is not available now");
}

void held_wipe(struct custody *c, struct held *h, enum err why)
{
    h->epoch++; /* (3) */
    h->end_boot_us = h->end_kernel_us = 0;
    MAP_EACH (&h->keys, e) {
        struct cached_key *k = map_remove(&h->keys, e->key);
        file_key_wipe(k->key, why);
        /* A holder keeps an empty shell until he gives it back. Without memory for the list the
         * shell is leaked: its key is gone. */
        if (k->n_holders == 0) {
            cached_free(k);
        } else {
            (void)map_put(&c->wiped, address_of(&k->key), k, NULL, NULL);
        }
    }
}

/* --- the cache of keys, under lock
 * ---------------------------------------------------------------- */

struct file_name { /* a file's header is the name of its key: another salt or commitment is another
                      file */
    uint8_t b[FILE_HEADER_LEN];
};

static struct file_name name_of(const struct file_ident *f)
{
    struct file_name n;
    file_header_encode(f, n.b);
    return n;
}

static struct file_key *borrow(struct held *h, const struct file_ident *f)
{
    struct file_name n = name_of(f);
    struct cached_key *k = map_get(&h->keys, BYTES_OF(n));
    if (k == NULL) return NULL;
    k->n_holders++;
    return k->key;
}

static void make_room(struct held *h)
{
    if (h->keys.n_live < KEYS_MAX) return;
    MAP_EACH (&h->keys, e) {
        const struct cached_key *k = e->value;
        if (k->n_holders == 0) cached_free(map_remove(&h->keys, e->key));
        if (h->keys.n_live < KEYS_MAX / 2) return;
    }
}

/* Borrows too. */
static enum err keep(struct held *h, const struct file_ident *f, const struct leased_key *key,
                     struct file_key **out, struct diag *d)
{
    *out = borrow(h, f); /* another thread asked for the same file */
    if (*out != NULL) return OK;
    make_room(h);
    struct cached_key *k = calloc(1, sizeof *k);
    if (k == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    enum err e = leased_key_open(key, f, &k->key, d);
    struct file_name n = name_of(f);
    if (e == OK) e = map_put(&h->keys, BYTES_OF(n), k, NULL, d);
    if (e != OK) {
        cached_free(k);
        return e;
    }
    k->n_holders = 1;
    *out = k->key;
    return OK;
}

static void give_back(struct custody *c, struct file_key *key)
{
    const struct file_ident *f = file_key_ident(key);
    struct held *h = map_get(&c->accounts, bytes_of(f->account, 16));
    struct file_name n = name_of(f);
    struct cached_key *k = h != NULL ? map_get(&h->keys, BYTES_OF(n)) : NULL;
    if (k != NULL && k->key == key) {
        k->n_holders--;
        return;
    }
    k = map_get(&c->wiped, address_of(&key));
    if (k == NULL || --k->n_holders != 0) return;
    (void)map_remove(&c->wiped, address_of(&key));
    cached_free(k);
}

void custody_file_release(void *self, struct file_key *k)
{
    struct custody *c = self;
    if (k == NULL) return;
    LOCK_SCOPE(&c->lock);
    give_back(c, k);
}

/* --- asking keyd
 * ---------------------------------------------------------------------------------- */

struct asked { /* what was true before the question: (3), (4) */
    uint64_t epoch;
    int64_t boot_us, kernel_us;
};

static struct asked ask_now(const struct held *h)
{
    return (struct asked){h != NULL ? h->epoch : 0, time_boot_us(), time_kernel_us()};
}

/* Under lock: may an answer to that question still be used? Finds or makes the account. */
static enum err still_true(struct custody *c, const uint8_t account[16], const struct asked *q,
                           uint64_t lease_us, struct held **out, struct diag *d)
{
    TRY(held_find(c, account, true, out, d));
    struct held *h = *out;
    if (h->heard == KEY_REVOKED) return held_may_use(h, d);
    if (h->epoch != q->epoch || h->self_locked) {
        return FAIL(d, ERR_UNAVAILABLE, "the key was taken away while it was being handed out");
    }
    if (h->seq == 0 && h->heard == KEY_SUSPENDED)
        h->heard = KEY_RESTORING; /* keyd's news are on their way */
    held_set_lease(h, lease_us, q->boot_us, q->kernel_us);
    return held_may_use(h, d);
}

/* Before asking: what keyd has said last, when that is no. */
static enum err may_ask(struct custody *c, const uint8_t account[16], struct asked *q,
                        struct diag *d)
{
    LOCK_SCOPE(&c->lock);
    struct held *h;
    TRY(held_find(c, account, false, &h, d));
    *q = ask_now(h);
    if (h == NULL || h->seq == 0 || key_state_leases(h->heard)) return OK;
    if (h->heard == KEY_REVOKED) return held_may_use(h, d);
    return FAIL(d, ERR_UNAVAILABLE, "the key of this data is not available now: its state is %s",
                key_state_name(h->heard));
}

enum err custody_file_create(void *self, const uint8_t account[16], enum otype otype,
                             const uint8_t file_id[16], struct file_key **out, struct diag *d)
{
    struct custody *c = self;
    struct asked q;
    TRY(may_ask(c, account, &q, d));
    CLEANUP_BUF struct buf in = {0}, answer = {0};
    buf_bytes(&in, bytes_of(account, 16));
    buf_u8(&in, (uint8_t)otype);
    buf_bytes(&in, bytes_of(file_id, 16));
    TRY(chan_call(c->chan, KEYD_FILE_CREATE, buf_view(&in), &answer, FILES_MS, d));

    struct rd r = rd_from(buf_view(&answer));
    struct file_ident f = {0};
    uint64_t lease_us = rd_u64(&r);
    TRY(file_header_decode(rd_bytes(&r, FILE_HEADER_LEN), &f, d));
    struct leased_key key = get_leased_key(&r);
    if (!rd_done(&r) || memcmp(f.account, account, 16) != 0 ||
        memcmp(f.file_id, file_id, 16) != 0) {
        return FAIL(d, ERR_CORRUPT, "keyd made a key for another file");
    }
    LOCK_SCOPE(&c->lock);
    struct held *h;
    TRY(still_true(c, account, &q, lease_us, &h, d));
    return keep(h, &f, &key, out, d);
}

/* Takes back what was borrowed for a call that fails. Under lock. */
static void give_back_all(struct custody *c, struct file_key **keys, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (keys[i] != NULL) give_back(c, keys[i]);
    }
}

/* Borrows what is here under a good lease; returns how many are missing. */
static size_t from_cache(struct custody *c, const uint8_t account[16],
                         const struct file_ident *files, size_t n, struct file_key **keys)
{
    LOCK_SCOPE(&c->lock);
    struct held *h = map_get(&c->accounts, bytes_of(account, 16));
    size_t missing = 0;
    for (size_t i = 0; i < n; i++) {
        keys[i] = h != NULL && held_lease_good(h) ? borrow(h, &files[i]) : NULL;
        missing += keys[i] == NULL;
    }
    return missing;
}

static enum err take_answer(struct custody *c, const uint8_t account[16], const struct asked *q,
                            const struct file_ident *files, size_t n, struct file_key **keys,
                            struct bytes answer, struct diag *d)
{
    struct rd r = rd_from(answer);
    uint64_t lease_us = rd_u64(&r);
    struct held *h;
    LOCK_SCOPE(&c->lock);
    TRY(still_true(c, account, q, lease_us, &h, d));
    for (size_t i = 0; i < n; i++) {
        if (keys[i] != NULL) continue;
        struct leased_key key = get_leased_key(&r);
        if (r.bad) break;
        TRY(keep(h, &files[i], &key, &keys[i], d));
    }
    return rd_done(&r) ? OK : FAIL(d, ERR_CORRUPT, "keyd answered with another number of keys");
}

static enum err fetch(struct custody *c, const uint8_t account[16], const struct file_ident *files,
                      size_t n, size_t missing, struct file_key **keys, struct diag *d)
{
    struct asked q;
    TRY(may_ask(c, account, &q, d));
    CLEANUP_BUF struct buf in = {0}, answer = {0};
    buf_bytes(&in, bytes_of(account, 16));
    buf_u32(&in, (uint32_t)missing);
    for (size_t i = 0; i < n; i++) {
        if (keys[i] != NULL) continue;
        struct file_name name = name_of(&files[i]);
        buf_bytes(&in, BYTES_OF(name));
    }
    TRY(buf_check(&in, d));
    TRY(chan_call(c->chan, KEYD_FILE_OPEN, buf_view(&in), &answer, FILES_MS, d));
    return take_answer(c, account, &q, files, n, keys, buf_view(&answer), d);
}

enum err custody_file_open(void *self, const uint8_t account[16], const struct file_ident *files,
                           size_t n, struct file_key **out, struct diag *d)
{
    struct custody *c = self;
    if (n == 0) return OK;
    if (n > FILES_MAX)
        return FAIL(d, ERR_LIMIT, "more than %d files of one account at once", FILES_MAX);
    CLEANUP_FREE struct file_key **keys = calloc(n, sizeof(struct file_key *));
    if (keys == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    size_t missing = from_cache(c, account, files, n, keys);
    enum err e = missing != 0 ? fetch(c, account, files, n, missing, keys, d) : OK;
    if (e != OK) {
        LOCK_SCOPE(&c->lock);
        give_back_all(c, keys, n);
        return e;
    }
    memcpy(out, keys, n * sizeof(struct file_key *));
    return OK; // NOLINT: the cleanup frees
}

enum err custody_lease_check(void *self, const uint8_t account[16], struct diag *d)
{
    struct custody *c = self;
    LOCK_SCOPE(&c->lock);
    return held_may_use(map_get(&c->accounts, bytes_of(account, 16)), d);
}

/* --- renewal
 * -------------------------------------------------------------------------------------- */

struct renewal {
    struct held **accounts;
    struct asked *asked;
    uint32_t n;
    struct buf in;
};

static void renewal_release(struct renewal *r)
{
    free(r->accounts);
    free(r->asked);
    buf_release(&r->in);
}
#define CLEANUP_RENEWAL __attribute__((cleanup(renewal_release)))

/* Under lock. */
static enum err renewal_fill(struct custody *c, struct renewal *r, struct held *only,
                             struct diag *d)
{
    size_t cap = only != NULL ? 1 : c->accounts.n_live;
    r->accounts = calloc(cap != 0 ? cap : 1, sizeof(struct held *));
    r->asked = calloc(cap != 0 ? cap : 1, sizeof(struct asked));
    if (r->accounts == NULL || r->asked == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    MAP_EACH (&c->accounts, e) {
        struct held *h = e->value;
        if ((only != NULL && h != only) || r->n == ACCOUNTS_MAX) continue;
        r->asked[r->n] = ask_now(h);
        r->accounts[r->n++] = h;
    }
    buf_u32(&r->in, r->n);
    for (uint32_t i = 0; i < r->n; i++)
        buf_bytes(&r->in, bytes_of(r->accounts[i]->id, 16));
    buf_u64(&r->in, atomic_load(&c->entries));
    return buf_check(&r->in, d);
}

static enum err renewal_take(struct custody *c, const struct renewal *q, struct bytes answer,
                             uint64_t *shortest_us, struct diag *d)
{
    struct rd r = rd_from(answer);
    LOCK_SCOPE(&c->lock);
    for (uint32_t i = 0; i < q->n; i++) {
        struct news n = get_news(&r);
        struct held *h = q->accounts[i];
        if (r.bad || memcmp(n.account, h->id, 16) != 0) {
            return FAIL(d, ERR_CORRUPT, "keyd renewed other accounts");
        }
        settle_take_news(c, h, &n);
        if (h->epoch != q->asked[i].epoch || n.lease_us == 0) continue;
        held_set_lease(h, n.lease_us, q->asked[i].boot_us, q->asked[i].kernel_us);
        if (n.lease_us < *shortest_us) *shortest_us = n.lease_us;
    }
    return rd_done(&r) ? OK : FAIL(d, ERR_CORRUPT, "keyd renewed other accounts");
}

enum err leases_renew(struct custody *c, struct held *only, uint64_t *shortest_us, struct diag *d)
{
    CLEANUP_RENEWAL struct renewal q = {0};
    CLEANUP_BUF struct buf answer = {0};
    pthread_mutex_lock(&c->lock);
    enum err e = renewal_fill(c, &q, only, d);
    pthread_mutex_unlock(&c->lock);
    TRY(e); // NOLINT: the cleanup frees
    if (q.n == 0) return OK;
    TRY(chan_call(c->chan, KEYD_LEASES, buf_view(&q.in), &answer, RENEW_MS, d));
    return renewal_take(c, &q, buf_view(&answer), shortest_us, d);
}

/* Under lock: accounts whose lease has run out lock themselves. */
static void lock_the_expired(struct custody *c)
{
    MAP_EACH (&c->accounts, e) {
        struct held *h = e->value;
        if (h->end_boot_us == 0 || held_lease_good(h)) continue;
        held_wipe(c, h, ERR_UNAVAILABLE);
        h->self_locked = true;
        settle_later(c, h);
        LOG(WARN, "lease.ended", F_BOOL("keyd", chan_is_up(c->chan)));
    }
}

/* Under lock: what must be brought to the server's attention. */
static void queue_the_unsettled(struct custody *c)
{
    int64_t now = time_mono_us();
    MAP_EACH (&c->accounts, e) {
        struct held *h = e->value;
        if (h->retry_us != 0 && h->retry_us <= now) settle_later(c, h);
    }
}

static int64_t renew_round(struct custody *c)
{
    uint64_t shortest_us = RENEW_MAX_US * 4;
    struct diag d = DIAG_INIT;
    if (leases_renew(c, NULL, &shortest_us, &d) != OK) return US_PER_S;
    int64_t next = (int64_t)(shortest_us / 4);
    return next < RENEW_MIN_US ? RENEW_MIN_US : next > RENEW_MAX_US ? RENEW_MAX_US : next;
}

void *leases_run(void *arg)
{
    struct custody *c = arg;
    int64_t renew_at = 0;
    pthread_mutex_lock(&c->lock);
    while (!c->stopping) {
        lock_the_expired(c);
        queue_the_unsettled(c);
        if (c->renew_now || time_mono_us() >= renew_at) {
            c->renew_now = false;
            pthread_mutex_unlock(&c->lock);
            int64_t next = renew_round(c);
            pthread_mutex_lock(&c->lock);
            renew_at = time_mono_us() + next;
            continue;
        }
        (void)cond_wait_until(&c->wake, &c->lock, time_mono_us() + TICK_US);
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}
