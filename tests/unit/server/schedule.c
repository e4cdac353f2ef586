/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/server/schedule.c - random schedules over the whole of custody, in virtual time; the
 * ten invariants of keys.md ("What must never happen") are looked at after every step, by number
 *
 * A world serves SHARE seeds one after the other, each from a settled state to a settled state; it
 * is then killed and recovered twice. SEED=n in the environment repeats the world of that seed up
 * to it, SCHEDULE_TRACE=1 prints each step, SCHEDULE_SEEDS=n asks for more seeds, JOBS=n for
 * processes. What repeats is the schedule: threads are as free as ever.
 */
#include "world.h"

#include "tool/audit.h"

#include <ftw.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#ifdef __SANITIZE_ADDRESS__
#define SEEDS 160
#else
#define SEEDS 2000
#endif
#define SHARE     20 /* seeds of one world */
#define STEPS     14 /* of one seed */
#define NOTES_MAX 512
#define ROWS_MAX  16384

static const char *const invariants[] = {
    "",
    "1. An acknowledged row is readable, or counted as dropped with a reason.",
    "2. No row is returned after a denial plus the bound.",
    "3. An outage never drops a row while the spool has room; each spooled row appears once.",
    "4. Recovery of a recovered store changes nothing.",
    "5. No torn, foreign, stale or reordered block is ever returned as data.",
    "6. Every key use has its audit record before it.",
    "7. A generation never goes down.",
    "8. After a failed fsync that file is never acknowledged again.",
    "9. One second after REVOKED no key or cached plaintext is left.",
    "10. No plaintext of a log row or column name is ever on disk.",
    "(what must happen) The state follows the vault.",
};
#define FOLLOWS 11

static uint64_t seed_now;
static int step_now;
static const char *step_name = "";

#define HOLDS(number, condition, ...)                                          \
    do {                                                                       \
        if (!(condition)) broken((number), #condition, __LINE__, __VA_ARGS__); \
    } while (0)

__attribute__((noreturn, format(printf, 4, 5))) static void
broken(int number, const char *condition, int line, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    fprintf(stderr, "SEED=%" PRIu64 ", step %d (%s): broken: %s\n    %s, line %d: ", seed_now,
            step_now, step_name, invariants[number], condition, line);
    vfprintf(stderr, format, ap);
    fprintf(stderr, "\n");
    va_end(ap);
    _exit(1);
}

/* The schedule's own numbers: keys and ids are as random as ever. */
static uint64_t pick_state;

static uint64_t pick(uint64_t n)
{
    uint64_t z = (pick_state += 0x9e3779b97f4a7c15u); /* splitmix64 */
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (z ^ (z >> 31)) % n;
}

/* --- what should be there --------------------------------------------------------------------- */

enum fate { REFUSED, UNKNOWN, STORED, SPOOLED, DROPPED };

struct note { /* a batch that was sent */
    uint64_t first;
    uint32_t n;
    uint8_t id[16];
    bool has_id;
    enum fate fate;
    int64_t sent_us;
};

struct side { /* a cluster, its vault, its workspace and account */
    int index;
    char scope[64];
    uint8_t account[16];
    struct guid workspace;
    struct table *table;
    enum mood mood;
    bool cleared;      /* the key was taken away from the cluster */
    double for_s;      /* so long already */
    bool spoken;       /* the customer has said no in this seed */
    double new_keyd_s; /* since keyd was restarted, while it has not said a word; -1 */
    uint32_t version, patience_s;
    struct key_policy policy;
    struct note notes[NOTES_MAX];
    size_t n_notes;
    uint64_t n_rows; /* ids that were given */
    uint64_t loose;  /* rows that may have been counted though nobody was told so */
};

struct run {
    struct world w;
    struct side sides[SIDES];
    enum mood platform; /* of its vault */
    const char *clock;
};

static bool says_no(const struct side *x)
{
    return x->cleared || x->mood == MOOD_DENIED;
}

static bool is_silent(const struct side *x)
{
    return !x->cleared && (x->mood == MOOD_SILENT || x->mood == MOOD_LIES ||
                           x->mood == MOOD_TOKEN || x->mood == MOOD_BUSY);
}

static enum key_state state_of(struct run *r, const struct side *x)
{
    return custody_account_state(r->w.custody, x->account);
}

/* --- rows ------------------------------------------------------------------------------------- */

#define COLS 3
static const struct column cols[COLS] = {
    {"TimeGenerated", T_DATETIME}, {"CanaryId_CL", T_LONG}, {"CanaryMessage_CL", T_STRING}};
static const struct schema schema = {COLS, cols};

static void message(const struct side *x, uint64_t id, char out[80])
{
    snprintf(out, 80, "canaryword of side %d, row %" PRIu64 " of all", x->index, id);
}

static int64_t ticks_of(uint64_t id)
{
    return TICKS_UNIX + (1700000000 + (int64_t)id) * TICKS_PER_S;
}

static void make(const struct side *x, const struct note *n, struct arena *a, struct batch *out)
{
    struct diag d = DIAG_INIT;
    struct vecb b[COLS];
    char text[80];
    for (size_t i = 0; i < COLS; i++)
        vecb_init(&b[i], a, cols[i].type, n->n);
    for (uint64_t id = n->first; id < n->first + n->n; id++) {
        message(x, id, text);
        vecb_i64(&b[0], ticks_of(id));
        vecb_i64(&b[1], (int64_t)id);
        vecb_str(&b[2], bytes_str(text));
    }
    *out = (struct batch){.n_rows = n->n, .n_cols = COLS, .cols = arena_array(a, struct vec, COLS)};
    for (size_t i = 0; i < COLS; i++)
        REQUIRE_OK(vecb_finish(&b[i], &out->cols[i], &d));
}

/* (5): every value is what was sent under that id, on this side. */
static void check_unit(const struct side *x, const struct batch *got, uint8_t *counts,
                       uint64_t *rows)
{
    char text[80];
    for (uint32_t i = 0; i < got->n_rows; i++) {
        uint64_t id = (uint64_t)vec_i64(&got->cols[1], i);
        HOLDS(5, id < x->n_rows, "an id %" PRIu64 " that was never sent", id);
        message(x, id, text);
        HOLDS(5, bytes_eq(vec_str(&got->cols[2], i), bytes_str(text)), "row %" PRIu64, id);
        HOLDS(5, vec_i64(&got->cols[0], i) == ticks_of(id), "row %" PRIu64, id);
        counts[id]++;
    }
    *rows += got->n_rows;
}

/* Reads all; how often each id was there. */
static enum err scan(struct run *r, const struct side *x, uint8_t *counts, uint64_t *rows,
                     struct diag *d)
{
    static const uint32_t places[COLS] = {0, 1, 2};
    CLEANUP(store_scan_close) struct store_scan *sc = NULL;
    memset(counts, 0, ROWS_MAX);
    *rows = 0;
    TRY(store_scan_open(r->w.store, x->table, places, COLS, NULL, 0, &sc, d));
    for (uint32_t u = 0; u < store_scan_units(sc); u++) {
        CLEANUP_ARENA struct arena a;
        arena_init(&a, 0);
        struct batch got;
        TRY(store_scan_read(sc, u, places, COLS, &a, &got, d));
        check_unit(x, &got, counts, rows);
    }
    return OK;
}

/* What a query that was answered must say of each batch. settled: nothing waits in a spool. */
static void check_rows(struct run *r, struct side *x, const uint8_t *counts, bool settled)
{
    uint64_t missing = 0;
    for (size_t i = 0; i < x->n_notes; i++) {
        const struct note *n = &x->notes[i];
        uint8_t c = counts[n->first];
        for (uint64_t id = n->first; id < n->first + n->n; id++)
            HOLDS(1, counts[id] == c, "batch %zu is there in part", i);
        HOLDS(3, c <= 1, "batch %zu (fate %d, %s id) is there %d times", i, n->fate,
              n->has_id ? "an" : "no", c);
        if (n->fate == REFUSED) HOLDS(1, c == 0, "batch %zu was refused, and is there", i);
        if (n->fate == STORED)
            HOLDS(1, c == 1, "batch %zu of %u rows was acknowledged, and is gone", i, n->n);
        if (n->fate == DROPPED) HOLDS(1, c == 0, "batch %zu was dropped, and is there", i);
        if (n->fate >= STORED && c == 0) missing += n->n;
    }
    if (!settled) return;
    uint64_t dropped = dropped_total(r->w.dropped, x->account);
    uint64_t waiting = dropped_spooled(r->w.dropped, x->account);
    HOLDS(3, waiting == 0, "%" PRIu64 " rows are still counted as spooled", waiting);
    HOLDS(1, missing <= dropped, "%" PRIu64 " rows are missing, %" PRIu64 " are counted", missing,
          dropped);
    HOLDS(1, dropped <= missing + x->loose,
          "%" PRIu64 " rows are counted as dropped, %" PRIu64 " are missing", dropped, missing);
}

/* --- steps: rows ------------------------------------------------------------------------------ */

/* As api/ingest.c does it: a drop is counted before it is acknowledged. */
static enum fate drop(struct run *r, struct side *x, const struct note *n)
{
    struct diag d = DIAG_INIT;
    HOLDS(3, x->spoken, "rows are dropped, and the customer never said no");
    if (n->fate >= STORED) return n->fate;
    if (n->has_id && store_batch_known(r->w.store, n->id)) return STORED;
    char table[GUID_TEXT_MAX];
    guid_format(store_table_id(x->table), table);
    REQUIRE_OK(dropped_add(r->w.dropped, x->account, table, DROPPED_REVOKED, n->n, &d));
    if (n->fate != UNKNOWN) return DROPPED;
    x->loose += n->n; /* some of them may be in the log as well */
    return UNKNOWN;
}

static enum fate deliver(struct run *r, struct side *x, const struct note *n)
{
    CLEANUP_ARENA struct arena a;
    arena_init(&a, 0);
    struct batch rows;
    make(x, n, &a, &rows);
    for (int tries = 0; tries < 30; tries++) {
        struct diag d = DIAG_INIT;
        bool repeated;
        enum key_state s = state_of(r, x);
        if (s == KEY_REVOKED) return drop(r, x, n);
        if (s == KEY_DOUBT) return n->fate; /* it ends when the clock moves */
        enum err e = s == KEY_RESTORING ? ERR_UNAVAILABLE
                     : s == KEY_SUSPENDED
                         ? store_spool_append(r->w.store, x->table, x->account, &rows,
                                              n->has_id ? n->id : NULL, &repeated, &d)
                         : store_append_once(r->w.store, x->table, x->account, &rows,
                                             n->has_id ? n->id : NULL, &repeated, &d);
        if (e == OK) return n->fate >= STORED ? n->fate : s == KEY_SUSPENDED ? SPOOLED : STORED;
        if (e == ERR_KEY_LOCKED) return drop(r, x, n);
        if (e != ERR_UNAVAILABLE && e != ERR_CONFLICT) return n->fate >= STORED ? n->fate : UNKNOWN;
        if (str_eq(d.tag, "SpoolFull")) {
            HOLDS(3, r->w.spool_bytes != 0, "rows are refused, and the spool has room: %s", d.text);
            return n->fate;
        }
        time_sleep_us(1000);
    }
    return n->fate;
}

static void send_new(struct run *r, struct side *x)
{
    uint32_t n = 1 + (uint32_t)pick(20);
    if (x->n_notes == NOTES_MAX || x->n_rows + n > ROWS_MAX) return;
    struct note *note = &x->notes[x->n_notes++];
    *note = (struct note){.first = x->n_rows, .n = n, .sent_us = time_now_us()};
    x->n_rows += n;
    note->has_id = pick(2) == 0;
    memcpy(note->id, &note->first, sizeof note->first);
    note->id[8] = (uint8_t)(1 + x->index);
    note->fate = deliver(r, x, note);
    if (note->fate == UNKNOWN) x->loose += n;
}

/* The sender heard no answer. */
static void send_again(struct run *r, struct side *x)
{
    for (size_t i = x->n_notes; i-- > 0 && i + 4 > x->n_notes;) {
        struct note *n = &x->notes[i];
        bool soon = time_now_us() - n->sent_us < 250 * US_PER_S;
        if (!n->has_id || !soon || n->fate == DROPPED) continue;
        if (n->fate == SPOOLED) x->loose += n->n; /* it may be destroyed, and come again */
        n->fate = deliver(r, x, n);
        return;
    }
}

/* (2) Since the customer said no the clock has moved by more than the bound. */
static bool must_refuse(const struct side *x)
{
    const struct key_policy unset = {.probe_s = 30};
    const struct key_policy p = policy_resolve(&unset, &unset);
    return says_no(x) && (x->cleared || x->for_s > p.bound_s);
}

static void query(struct run *r, struct side *x)
{
    static uint8_t counts[ROWS_MAX];
    struct diag d = DIAG_INIT;
    enum key_state before = state_of(r, x);
    uint64_t rows;
    enum err e = scan(r, x, counts, &rows, &d);
    if (must_refuse(x))
        HOLDS(2, e != OK || rows == 0, "no for %.0f s, and rows are returned", x->for_s);
    HOLDS(5, e != ERR_CORRUPT, "%s", d.text); /* nothing was damaged */
    if (e == OK) check_rows(r, x, counts, false);
    bool served = before == KEY_ACTIVE && state_of(r, x) == KEY_ACTIVE && !says_no(x);
    if (served && e != OK && e != ERR_UNAVAILABLE) HOLDS(1, e == OK, "%s", d.text);
}

static void flush(struct run *r, struct side *x)
{
    struct diag d = DIAG_INIT;
    (void)store_flush(r->w.store, x->account, &d);
    if (pick(2) == 0) (void)store_compact(r->w.store, x->account, &d);
}

/* A log's sync fails: (8). */
static void fail_a_sync(struct run *r, struct side *x)
{
    struct stat st;
    atomic_store(&sync_fails, true);
    send_new(r, x);
    if (atomic_exchange(&sync_fails, false)) return; /* nobody wrote a log */
    sync_failed_length = stat(sync_failed, &st) == 0 ? st.st_size : 0;
}

static void check_failed_log(void)
{
    struct stat st;
    if (sync_failed[0] == '\0' || stat(sync_failed, &st) != 0) return;
    HOLDS(8, st.st_size <= sync_failed_length, "%s grew to %lld bytes", sync_failed,
          (long long)st.st_size);
}

/* --- steps: keys ------------------------------------------------------------------------------ */

static struct custody_kek kek_of(const struct side *x)
{
    return (struct custody_kek){.vault_uri = side_uris[x->index],
                                .key_name = "kek",
                                .key_version = "",
                                .principal_id = "cluster",
                                .policy = x->policy};
}

static void new_weather(struct run *r, struct side *x)
{
    static const enum mood moods[] = {MOOD_GOOD,   MOOD_GOOD, MOOD_DENIED, MOOD_DENIED,
                                      MOOD_SILENT, MOOD_LIES, MOOD_BARRED, MOOD_NO_WRAP,
                                      MOOD_TOKEN,  MOOD_BUSY, MOOD_SLOW};
    enum mood m = moods[pick(sizeof moods / sizeof moods[0])];
    if (m == x->mood) return;
    x->mood = m;
    x->for_s = 0;
    x->spoken = x->spoken || says_no(x);
    tv_mood(&r->w.vault, side_uris[x->index], m);
}

static void set_platform(struct run *r, enum mood m)
{
    r->platform = m;
    tv_mood(&r->w.vault, PLATFORM_URI, m);
}

/* The operator's own vault is out: who is served goes on, nothing new is spooled. */
static void platform_weather(struct run *r)
{
    static const enum mood moods[] = {MOOD_GOOD, MOOD_GOOD,  MOOD_SILENT, MOOD_SILENT,
                                      MOOD_LIES, MOOD_TOKEN, MOOD_BUSY,   MOOD_SLOW};
    set_platform(r, moods[pick(sizeof moods / sizeof moods[0])]);
}

/* 0: as large as they are by default. */
static void set_spools(struct run *r, uint64_t bytes)
{
    r->w.spool_bytes = bytes; /* of the next store, */
    atomic_load(&r->w.store)->c.spool.bytes_max =
        bytes != 0 ? bytes : SPOOL_BYTES; /* and of this */
}

static void other_spools(struct run *r)
{
    static const uint64_t sizes[] = {0, 1, 3000, 10000};
    set_spools(r, sizes[pick(sizeof sizes / sizeof sizes[0])]);
}

static void new_policy(struct run *r, struct side *x)
{
    static const struct key_policy policies[] = {
        {.outage = OUTAGE_RETAIN},
        {.outage = OUTAGE_RETAIN, .retain_max_s = 200},
        {.outage = OUTAGE_SUSPEND, .grace_s = 60},
        {.outage = OUTAGE_SUSPEND, .grace_s = 300},
    };
    struct diag d = DIAG_INIT;
    const struct key_policy *p = &policies[pick(sizeof policies / sizeof policies[0])];
    const struct key_policy resolved = policy_resolve(p, &r->w.policy);
    REQUIRE_OK(custody_scope_policy(r->w.custody, x->scope, p, "schedule", &d));
    x->policy = *p;
    x->patience_s = policy_silence_s(&resolved);
}

/* A new version; where all wraps are under it, the others are switched off for good. */
static void rotate_kek(struct run *r, struct side *x)
{
    struct diag d = DIAG_INIT;
    char version[16];
    uint64_t wraps;
    if (r->w.vault.n_keys == TV_KEYS) return;
    snprintf(version, sizeof version, "v%u", ++x->version);
    tv_add(&r->w.vault, side_uris[x->index], "kek", version, true);
    if (pick(2) == 0) return; /* a probe finds it */
    if (custody_scope_rewrap(r->w.custody, x->scope, "schedule", &wraps, &d) != OK) return;
    LOCK_SCOPE(&r->w.vault.lock);
    for (size_t i = 0; i < r->w.vault.n_keys; i++) {
        struct tv_key *k = &r->w.vault.keys[i];
        if (str_eq(k->vault_uri, side_uris[x->index]) && !str_eq(k->version, version))
            k->enabled = false;
    }
}

static enum err drop_aek(void *ctx, const uint8_t account[16], const uint8_t aek_id[16],
                         struct diag *d)
{
    return custody_aek_drop(((struct run *)ctx)->w.custody, account, aek_id, d);
}

static size_t newest_aek(struct run *r, const struct side *x, uint8_t aek_id[16])
{
    LOCK_SCOPE(&r->w.keyd->lock);
    const struct account *a = account_find(r->w.keyd, x->account);
    memcpy(aek_id, a->aeks[a->n_aeks - 1].wrap.aek_id, 16);
    return a->n_aeks;
}

/* A new AEK; sometimes old data goes under it, and the old one is destroyed. */
static void rotate_aek(struct run *r, struct side *x)
{
    struct diag d = DIAG_INIT;
    uint32_t gen;
    uint8_t old[16];
    struct store_rewrap move = {
        .workspace = x->workspace, .from = (const uint8_t(*)[16]) & x->account, .n_from = 1};
    memcpy(move.to, x->account, 16);
    bool many = newest_aek(r, x, old) > 6;
    if (!many &&
        custody_aek_rotate(r->w.custody, x->account, "schedule", &gen, move.aek_id, &d) != OK)
        return;
    if (many) memcpy(move.aek_id, old, 16);
    if (!many && pick(2) == 0) return;
    if (store_rewrap_flush(r->w.store, &move, &d) != OK) return;
    uint64_t bytes = 1;
    while (bytes != 0) {
        if (store_rewrap_step(r->w.store, &move, &bytes, &d) != OK) return;
    }
    bool unused;
    if (!many) (void)store_aek_unused(r->w.store, x->account, old, drop_aek, r, &unused, &d);
}

/* The key is taken away from the cluster, or given back. */
static void clear_or_set(struct run *r, struct side *x)
{
    struct diag d = DIAG_INIT;
    const struct custody_kek kek = kek_of(x);
    if (!x->cleared) {
        REQUIRE_OK(custody_scope_clear(r->w.custody, x->scope, false, &d));
        x->cleared = x->spoken = true;
        x->for_s = 0;
        return;
    }
    enum err e = custody_scope_set(r->w.custody, x->scope, &kek, NULL, &d);
    if (e != OK) return; /* the weather is not for it */
    x->cleared = false;
    x->for_s = 0;
}

/* Where keyd stands; and (9), NULL: nothing. */
static const char *in_keyd(struct run *r, const struct side *x, enum key_state *s)
{
    LOCK_SCOPE(&r->w.keyd->lock);
    const struct account *a = account_find(r->w.keyd, x->account);
    *s = a != NULL ? a->at.state : KEY_SUSPENDED; /* without the platform's key it knows nobody */
    if (a == NULL || !key_state_locked(*s)) return NULL;
    for (size_t i = 0; i < a->n_aeks; i++) {
        if (a->aeks[i].key != NULL) return "an AEK";
    }
    return NULL;
}

/* Until a new keyd has heard of the vault, the holder lives on its lease, in the kernel's time:
 * that is over when a minute of virtual time is. */
static void end_lease_of_old_keyd(struct run *r, struct side *x, double seconds)
{
    enum key_state at;
    (void)in_keyd(r, x, &at);
    if (x->new_keyd_s < 0) return;
    x->new_keyd_s += seconds;
    if (key_state_leases(at)) x->new_keyd_s = -1;
    if (x->new_keyd_s < LEASE_S_MAX && !must_refuse(x)) return;
    x->new_keyd_s = -1;
    LOCK_SCOPE(&r->w.custody->lock);
    world_end_lease(&r->w, x->account);
}

static void pass(struct run *r, double seconds)
{
    world_advance(seconds);
    for (int i = 0; i < SIDES; i++) {
        r->sides[i].for_s += seconds;
        end_lease_of_old_keyd(r, &r->sides[i], seconds);
    }
}

/* --- steps: processes ------------------------------------------------------------------------- */

static void find_tables(struct run *r, bool create)
{
    struct diag d = DIAG_INIT;
    for (int i = 0; i < SIDES; i++) {
        struct side *x = &r->sides[i];
        if (create)
            REQUIRE_OK(store_table_create(r->w.store, &x->workspace, "CanaryTable_CL", &schema,
                                          &x->table, &d));
        else
            REQUIRE_OK(
                store_table_find(r->w.store, &x->workspace, "CanaryTable_CL", &x->table, &d));
    }
}

/* It has to, for a store to open: else the log service waits for it. */
static bool platform_serves(struct run *r)
{
    LOCK_SCOPE(&r->w.keyd->lock);
    const struct account *a = account_find(r->w.keyd, platform_account);
    return a != NULL && key_state_leases(a->at.state);
}

static void restart_logs(struct run *r, bool crash)
{
    world_stop_logs(&r->w, crash);
    if (!platform_serves(r)) set_platform(r, MOOD_GOOD);
    world_start_logs(&r->w);
    find_tables(r, false);
    for (int i = 0; i < SIDES; i++)
        world_open_account(&r->w, r->sides[i].account);
}

/* While the platform's vault is out a new keyd knows nothing and nobody. */
static void live_without_keyd(struct run *r)
{
    for (int round = 0; round < 3; round++) {
        pass(r, 1 + (double)pick(30));
        for (int i = 0; i < SIDES; i++) {
            send_new(r, &r->sides[i]);
            query(r, &r->sides[i]);
        }
    }
    set_platform(r, MOOD_GOOD);
}

static void restart_keyd(struct run *r)
{
    static const enum mood outages[] = {MOOD_SILENT, MOOD_LIES, MOOD_TOKEN, MOOD_BUSY};
    bool is_out = false;
    for (size_t i = 0; i < sizeof outages / sizeof outages[0]; i++)
        is_out = is_out || r->platform == outages[i];
    world_replace_keyd(&r->w);
    for (int i = 0; i < SIDES; i++)
        r->sides[i].new_keyd_s = 0;
    if (is_out) live_without_keyd(r);
    world_await_keyd(&r->w);
}

/* The holder's machine stands still for longer than a lease lasts. If keyd had something to tell it
 * meanwhile, the supervisor kills it. */
static void pause_holder(struct run *r)
{
    pthread_mutex_lock(&r->w.custody->lock);
    for (int i = 0; i < SIDES; i++)
        world_end_lease(&r->w, r->sides[i].account);
    pthread_mutex_unlock(&r->w.custody->lock);
    pass(r, 70);
}

static void kill_holder_if_asked(struct run *r)
{
    if (atomic_exchange(&r->w.holder_failures, 0) != 0) restart_logs(r, true);
}

/* --- what must hold after every step ---------------------------------------------------------- */

static const char *in_holder(struct run *r, const struct side *x)
{
    LOCK_SCOPE(&r->w.custody->lock);
    const struct held *h = map_get(&r->w.custody->accounts, bytes_of(x->account, 16));
    if (h != NULL && h->keys.n_live != 0) return "a file key";
    return h != NULL && held_lease_good(h) ? "a lease" : NULL;
}

static const char *in_store(struct run *r, const struct side *x)
{
    struct stored_account *a = store_account_find(r->w.store, x->account);
    if (a == NULL) return NULL;
    LOCK_SCOPE(&a->lock);
    for (struct part *p = a->parts; p != NULL; p = p->next_of_account) {
        if (p->active->rows != 0 || p->frozen != NULL) return "rows in memory";
    }
    return NULL;
}

static const char *in_slot(struct run *r, const struct side *x)
{
    struct diag d = DIAG_INIT;
    CLEANUP_BUF struct buf slot = {0};
    char hex[33];
    hex_encode(bytes_of(x->account, 16), hex);
    CLEANUP_FREE char *path = str_fmt("%s/spool/%s/slot", r->w.dir, hex);
    if (!os_exists(path)) return NULL;
    REQUIRE_OK(os_read_file(path, 1 << 16, &slot, &d));
    for (size_t i = 0; i < slot.len; i++) {
        if (slot.p[i] != 0) return "the wrap of a spool";
    }
    return NULL;
}

/* (9) In keyd, in the holder, in the store, and in the spool's slot. */
static const char *remains(struct run *r, const struct side *x)
{
    enum key_state s;
    const char *left = in_keyd(r, x, &s);
    if (left != NULL || !key_state_locked(s)) return left;
    if (x->new_keyd_s >= 0) return NULL;
    if ((left = in_holder(r, x)) != NULL || (left = in_store(r, x)) != NULL) return left;
    return s == KEY_REVOKED ? in_slot(r, x) : NULL;
}

static void check_side(struct run *r, struct side *x)
{
    const char *left = "";
    int64_t until = time_mono_us() + 120 * US_PER_S; /* a second, on a machine that is not busy */
    while ((left = remains(r, x)) != NULL && time_mono_us() < until)
        time_sleep_us(500);
    HOLDS(9, left == NULL, "%s is left, state %s", left, key_state_name(state_of(r, x)));
    enum key_state s = state_of(r, x);
    if (s == KEY_REVOKED) HOLDS(3, x->spoken, "revoked, and the customer never said no");
    if (must_refuse(x)) {
        enum err e = custody_lease_check(r->w.custody, x->account, NULL);
        HOLDS(2, e != OK, "the lease is good %.0f s after a no", x->for_s);
    }
    bool over = x->patience_s != RETAIN_FOREVER && x->for_s > x->patience_s + 1.0;
    if (!is_silent(x) || !over || x->new_keyd_s >= 0) return;
    while (!key_state_locked(s = state_of(r, x)) && time_mono_us() < until)
        time_sleep_us(500);
    HOLDS(FOLLOWS, key_state_locked(s), "silent for %.0f s, %s", x->for_s, key_state_name(s));
}

static void check_always(struct run *r)
{
    for (int i = 0; i < SIDES; i++)
        check_side(r, &r->sides[i]);
    check_failed_log();
    LOCK_SCOPE(&r->w.lock);
    const char *what = r->w.broken;
    HOLDS(what[0] == '7' ? 7 : 6, what[0] == '\0', "%s", what);
}

/* --- a damaged file --------------------------------------------------------------------------- */

static char damaged[4096];
static uint32_t files_seen;

static int pick_file(const char *path, const struct stat *st, int flag, struct FTW *f)
{
    (void)f;
    if (flag == FTW_F && st->st_size != 0 && str_ends(path, ".seg") && pick(++files_seen) == 0)
        snprintf(damaged, sizeof damaged, "%s", path);
    return 0;
}

/* (5) A bit of a segment turns while it is read; then it turns back. */
static void damage_a_segment(struct run *r)
{
    static uint8_t counts[ROWS_MAX];
    struct diag d = DIAG_INIT;
    struct stat st;
    CLEANUP_FREE char *blobs = os_path(r->w.dir, "blobs");
    files_seen = 0;
    damaged[0] = '\0';
    nftw(blobs, pick_file, 8, FTW_PHYS);
    if (damaged[0] == '\0' || stat(damaged, &st) != 0) return;
    int fd = open(damaged, O_RDWR | O_CLOEXEC);
    if (fd < 0) return;
    uint8_t byte;
    off_t at = (off_t)pick((uint64_t)st.st_size);
    REQUIRE(pread(fd, &byte, 1, at) == 1);
    uint8_t turned = byte ^ (uint8_t)(1u << pick(8));
    REQUIRE(pwrite(fd, &turned, 1, at) == 1);
    for (int i = 0; i < SIDES; i++) {
        struct side *x = &r->sides[i];
        uint64_t rows;
        if (scan(r, x, counts, &rows, &d) == OK) check_rows(r, x, counts, false);
    }
    REQUIRE(pwrite(fd, &byte, 1, at) == 1);
    close(fd);
}

/* --- a schedule ------------------------------------------------------------------------------- */

static void restart_logs_softly(struct run *r)
{
    restart_logs(r, false);
}
static void kill_logs(struct run *r)
{
    restart_logs(r, true);
}
static void pass_some(struct run *r)
{
    pass(r, 1 + (double)pick(60));
}
static void pass_a_bound(struct run *r)
{
    pass(r, 75);
}
static void jump(struct run *r)
{
    double s = 60 * (1 + (double)pick(90));
    world_jump(r->clock, s);
    for (int i = 0; i < SIDES; i++)
        r->sides[i].for_s = 0; /* nobody was asked meanwhile: the count begins again */
}

static const struct {
    const char *name;
    uint32_t weight;
    void (*side)(struct run *r, struct side *x);
    void (*all)(struct run *r);
} steps[] = {
    {"time", 22, NULL, pass_some},
    {"a bound", 5, NULL, pass_a_bound},
    {"weather", 12, new_weather, NULL},
    {"send", 22, send_new, NULL},
    {"send again", 8, send_again, NULL},
    {"query", 12, query, NULL},
    {"flush", 6, flush, NULL},
    {"policy", 3, new_policy, NULL},
    {"platform", 4, NULL, platform_weather},
    {"spools", 4, NULL, other_spools},
    {"rotate the KEK", 3, rotate_kek, NULL},
    {"rotate the AEK", 3, rotate_aek, NULL},
    {"clear or set", 2, clear_or_set, NULL},
    {"a sync fails", 2, fail_a_sync, NULL},
    {"damage", 2, NULL, damage_a_segment},
    {"pause", 1, NULL, pause_holder},
    {"jump", 2, NULL, jump},
    {"restart keyd", 2, NULL, restart_keyd},
    {"restart logs", 1, NULL, restart_logs_softly},
    {"kill logs", 1, NULL, kill_logs},
};
#define N_STEPS (sizeof steps / sizeof steps[0])

static void take_step(struct run *r)
{
    uint32_t sum = 0, i = 0;
    for (size_t k = 0; k < N_STEPS; k++)
        sum += steps[k].weight;
    uint64_t at = pick(sum);
    while (at >= steps[i].weight)
        at -= steps[i++].weight;
    step_name = steps[i].name;
    struct side *x = &r->sides[pick(SIDES)];
    if (steps[i].all != NULL) {
        steps[i].all(r);
    } else {
        steps[i].side(r, x);
    }
}

/* The vault is good: so is the state, in the end, and all rows can be had. */
static void read_all(struct run *r, const struct side *x, uint8_t *counts)
{
    struct diag d = DIAG_INIT;
    enum err e = ERR_UNAVAILABLE;
    uint64_t rows;
    int64_t until = time_mono_us() + 120 * US_PER_S;
    while (e == ERR_UNAVAILABLE && time_mono_us() < until) {
        time_sleep_us(500);
        if (state_of(r, x) != KEY_ACTIVE) continue;
        diag_reset(&d);
        e = store_account_open(r->w.store, x->account, &d); /* drained, if it was not */
        if (e == OK) e = scan(r, x, counts, &rows, &d);
    }
    HOLDS(FOLLOWS, state_of(r, x) == KEY_ACTIVE, "side %d is %s, and its vault is good", x->index,
          key_state_name(state_of(r, x)));
    HOLDS(1, e == OK, "%s", d.text);
}

/* The end of a seed: the vaults are good, all that was sent is accounted for. */
static void end_seed(struct run *r)
{
    static uint8_t counts[ROWS_MAX];
    step_name = "end";
    set_platform(r, MOOD_GOOD);
    set_spools(r, 0);
    for (int i = 0; i < SIDES; i++) {
        struct side *x = &r->sides[i];
        x->mood = MOOD_GOOD;
        tv_mood(&r->w.vault, side_uris[i], MOOD_GOOD);
        if (x->cleared) clear_or_set(r, x);
        HOLDS(FOLLOWS, !x->cleared, "side %d gets no key", i);
    }
    pass(r, RETRY_AFTER_S_MAX + 50);
    kill_holder_if_asked(r);
    for (int i = 0; i < SIDES; i++) {
        struct side *x = &r->sides[i];
        read_all(r, x, counts);
        check_rows(r, x, counts, true);
        x->spoken = false;
        x->for_s = 0;
    }
    check_always(r);
}

static void trace(struct run *r)
{
    if (getenv("SCHEDULE_TRACE") == NULL) return;
    fprintf(stderr, "%" PRIu64 ".%d %-16s", seed_now, step_now, step_name);
    for (int i = 0; i < SIDES; i++) {
        const struct side *x = &r->sides[i];
        enum key_state at;
        const char *left = in_keyd(r, x, &at);
        fprintf(stderr, "  mood %d%s for %.0f s: keyd %s, holder %s%s;", (int)x->mood,
                x->cleared ? " cleared" : "", x->for_s, key_state_name(at),
                key_state_name(state_of(r, x)), left != NULL ? left : "");
    }
    fprintf(stderr, "\n");
}

static void run_seed(struct run *r, uint64_t seed)
{
    seed_now = seed;
    pick_state = seed;
    for (step_now = 0; step_now < STEPS; step_now++) {
        take_step(r);
        trace(r);
        kill_holder_if_asked(r);
        check_always(r);
    }
    end_seed(r);
}

/* --- the end of a world ----------------------------------------------------------------------- */

static uint64_t files_digest;

static int note_file(const char *path, const struct stat *st, int flag, struct FTW *f)
{
    static const char *const words[] = {"canaryword", "CanaryId_CL", "CanaryMessage_CL",
                                        "CanaryTable_CL"};
    struct diag d = DIAG_INIT;
    CLEANUP_BUF struct buf text = {0};
    (void)f;
    if (flag != FTW_F) return 0;
    if (str_ends(path, ".seg") || str_ends(path, ".wal")) {
        for (const char *c = path; *c != '\0'; c++)
            files_digest = files_digest * 31 + (uint8_t)*c;
        files_digest = files_digest * 31 + (uint64_t)st->st_size;
    }
    REQUIRE_OK(os_read_file(path, (size_t)1 << 30, &text, &d));
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        HOLDS(10, text.len == 0 || memmem(text.p, text.len, words[i], strlen(words[i])) == NULL,
              "%s in %s", words[i], path);
    return 0;
}

static uint64_t look_at_files(struct run *r)
{
    files_digest = 0;
    nftw(r->w.dir, note_file, 8, FTW_PHYS);
    return files_digest;
}

/* (4) Rows after the second recovery are those after the first, and so are the files. */
static void recover_twice(struct run *r)
{
    static uint8_t first[SIDES][ROWS_MAX], again[ROWS_MAX];
    struct diag d = DIAG_INIT;
    uint64_t files = 0;
    step_name = "recovery";
    for (int round = 0; round < 2; round++) {
        restart_logs(r, true);
        for (int i = 0; i < SIDES; i++) {
            struct side *x = &r->sides[i];
            read_all(r, x, again);
            check_rows(r, x, again, true);
            REQUIRE_OK(store_flush(r->w.store, x->account, &d));
            if (round == 0) memcpy(first[i], again, ROWS_MAX);
            HOLDS(4, memcmp(first[i], again, ROWS_MAX) == 0, "other rows");
        }
        uint64_t now = look_at_files(r);
        if (round == 0) files = now;
        HOLDS(4, files == now, "other files");
    }
}

/* (6) The log as a whole: a chain without a gap. */
static void verify_audit(struct run *r)
{
    struct diag d = DIAG_INIT;
    struct audit_verify_report report;
    CLEANUP_FREE char *dir = os_path(r->w.dir, "keyd");
    const struct audit_verify_options o = {.dir = dir};
    REQUIRE_OK(audit_verify(&o, &report, &d));
    HOLDS(6, report.damages == 0, "%" PRIu64 " lines of the audit log are damaged", report.damages);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *f)
{
    (void)st, (void)flag, (void)f;
    return remove(path);
}

static void begin_world(struct run *r, const char *dir)
{
    struct diag d = DIAG_INIT;
    r->w.spool_bytes = 0;
    world_open(&r->w, dir);
    for (int i = 0; i < SIDES; i++) {
        struct side *x = &r->sides[i];
        *x =
            (struct side){.index = i, .version = 1, .patience_s = RETAIN_FOREVER, .new_keyd_s = -1};
        snprintf(x->scope, sizeof x->scope, "/subscriptions/s/clusters/c%d", i);
        memcpy(x->account, "account-of-side.", 16);
        x->account[15] = (uint8_t)i;
        x->workspace.b[0] = (uint8_t)(i + 1);
        const struct custody_kek kek = kek_of(x);
        REQUIRE_OK(custody_scope_set(r->w.custody, x->scope, &kek, NULL, &d));
        REQUIRE_OK(custody_account_add(r->w.custody, x->scope, x->account, "workspace", &d));
        REQUIRE_OK(store_account_open(r->w.store, x->account, &d));
    }
    find_tables(r, true);
}

static void run_world(uint64_t first, uint64_t last, const char *root)
{
    CLEANUP_FREE struct run *r = calloc(1, sizeof *r);
    char dir[160], clock[160];
    struct diag d = DIAG_INIT;
    REQUIRE(r != NULL);
    snprintf(dir, sizeof dir, "%s/world-%" PRIu64, root, first);
    snprintf(clock, sizeof clock, "%s/clock-%d", root, (int)getpid());
    if (!clock_is_virtual()) REQUIRE_OK(clock_open(clock, true, &d));
    r->clock = clock;
    seed_now = first;
    sync_failed[0] = '\0';
    begin_world(r, dir);
    for (uint64_t seed = first; seed <= last; seed++)
        run_seed(r, seed);
    recover_twice(r);
    world_close(&r->w);
    look_at_files(r);
    verify_audit(r);
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* --- many of them ----------------------------------------------------------------------------- */

static uint64_t number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

/* On memory where there is some: nothing here is about a disk's promises. */
static const char *fast_dir(void)
{
    static char dir[64] = "/dev/shm/keystead-schedule-XXXXXX";
    return mkdtemp(dir) != NULL ? dir : test_dir();
}

/* Of a child that ends otherwise than by _exit(): one of its calls failed. */
static void say_seed(void)
{
    fprintf(stderr, "SEED=%" PRIu64 ", step %d (%s)\n", seed_now, step_now, step_name);
}

static bool run_all(uint64_t seeds, uint64_t jobs, const char *root)
{
    for (uint64_t j = 0; j < jobs; j++) { /* a clock belongs to a process */
        fflush(NULL);
        pid_t pid = fork();
        REQUIRE(pid >= 0);
        if (pid != 0) continue;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        log_set_level(LOG_ERROR + 1);
        if (atexit(say_seed) != 0) _exit(1);
        for (uint64_t world = j; world * SHARE < seeds; world += jobs)
            run_world(world * SHARE + 1, (world + 1) * SHARE, root);
        _exit(0);
    }
    bool good = true;
    for (uint64_t j = 0; j < jobs; j++) {
        int status;
        good = wait(&status) > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0 && good;
    }
    return good;
}

TEST(server, no_schedule_of_vault_and_processes_breaks_what_must_never_happen)
{
    uint64_t only = number("SEED", 0);
    const char *root = fast_dir();
    if (only != 0) {
        log_set_level(LOG_ERROR + 1);
        run_world((only - 1) / SHARE * SHARE + 1, only, root);
    } else {
        REQUIRE(run_all(number("SCHEDULE_SEEDS", SEEDS), number("JOBS", 8), root));
    }
    nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
