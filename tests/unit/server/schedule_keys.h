/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/server/schedule_keys.h - steps of schedule.c with keys: what vaults say, rotation, leases */
#pragma once

#include "schedule_rows.h"

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
