/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/custody/schedule.c - random weather over the vault, through keyd, channel and client,
 * in virtual time */
#include "house.h"

#include "base/rand.h"

#define SEEDS 8 /* SCHEDULE_SEEDS in the environment asks for more */
#define STEPS 20

static const uint8_t account[16] = "account-one.....";

struct weather {
    enum mood mood;
    double for_s;        /* so long already */
    bool restarted;      /* keyd: the holder serves on under its lease, in real time */
    bool ever_denied;    /* the customer has spoken at least once since the last good answer */
    uint32_t patience_s; /* of the scope's policy; RETAIN_FOREVER */
};

static enum mood next_mood(void)
{
    static const enum mood moods[] = {MOOD_GOOD,    MOOD_GOOD,  MOOD_DENIED,
                                      MOOD_SILENT,  MOOD_LIES,  MOOD_BARRED,
                                      MOOD_NO_WRAP, MOOD_TOKEN, MOOD_BUSY};
    return moods[rand_below(sizeof moods / sizeof moods[0])];
}

static bool unwraps(enum mood m)
{
    return m == MOOD_GOOD || m == MOOD_NO_WRAP;
}

static bool is_silent(enum mood m)
{
    return m == MOOD_SILENT || m == MOOD_LIES || m == MOOD_TOKEN || m == MOOD_BUSY;
}

/* Changes the policy in any weather. */
static void choose_policy(struct house *h, struct weather *w)
{
    static const struct key_policy policies[] = {
        {.outage = OUTAGE_RETAIN},
        {.outage = OUTAGE_RETAIN, .retain_max_s = 200},
        {.outage = OUTAGE_SUSPEND, .grace_s = 60},
        {.outage = OUTAGE_SUSPEND, .grace_s = 300},
    };
    struct diag d = DIAG_INIT;
    const struct key_policy *p = &policies[rand_below(sizeof policies / sizeof policies[0])];
    struct key_policy resolved = policy_resolve(p, &h->policy);
    REQUIRE_OK(custody_scope_policy(h->custody, CLUSTER, p, "weather", &d));
    w->patience_s = policy_silence_s(&resolved);
}

static bool house_locks(struct house *h)
{
    return key_state_locked(custody_account_state(h->custody, account));
}

/* What must hold when a weather has lasted longer than a probe with its jitter and a doubt. */
static void check_settled(struct house *h, const struct weather *w)
{
    /* The policy's word does not wait for a probe: silence is never longer than its patience. */
    bool over = w->patience_s != RETAIN_FOREVER && w->for_s > w->patience_s + 1.0;
    if (is_silent(w->mood) && over && !w->restarted) REQUIRE(house_locks(h));
    if (w->for_s < 33 + 12) return;
    enum key_state s = custody_account_state(h->custody, account);
    bool left_alone = w->for_s < RETRY_AFTER_S_MAX + 33 + 12; /* it had asked for that */
    if (unwraps(w->mood) && !left_alone) REQUIRE(house_reaches(h, account, KEY_ACTIVE));
    if (w->mood == MOOD_DENIED && !left_alone) REQUIRE(house_reaches(h, account, KEY_REVOKED));
    if (w->mood == MOOD_BARRED && !left_alone) REQUIRE(house_locks(h));
    if (w->restarted) return;
    if (is_silent(w->mood) && !left_alone) REQUIRE(s == KEY_STALE || key_state_locked(s));
}

static void check_always(struct house *h, const struct weather *w)
{
    enum key_state s = custody_account_state(h->custody, account);
    if (s == KEY_REVOKED) REQUIRE(w->ever_denied); /* no outage, mismatch or firewall revokes */
    enum err lease = custody_lease_check(h->custody, account, NULL);
    if (s == KEY_REVOKED) REQUIRE(lease == ERR_KEY_LOCKED);
    if (s == KEY_SUSPENDED) REQUIRE(lease == ERR_UNAVAILABLE);
    EXPECT_EQ(atomic_load(&h->n_holder_failed), 0);
}

static void run(uint64_t seed)
{
    struct diag d = DIAG_INIT;
    struct house h;
    struct weather w = {.mood = MOOD_GOOD};
    house_open(&h);
    log_set_level(LOG_ERROR + 1);
    house_cluster(&h, CLUSTER, account);
    struct file_key *k;
    uint8_t file_id[16] = {9};
    CLEANUP_BUF struct buf sealed = {0}, out = {0};
    REQUIRE_OK(custody_file_create(h.custody, account, OTYPE_SEGMENT, file_id, &k, &d));
    struct file_ident f = *file_key_ident(k);
    REQUIRE_OK(block_seal(k, BTYPE_DATA, 1, BYTES("row"), &sealed, &d));
    custody_file_release(h.custody, k);

    for (int i = 0; i < STEPS; i++) {
        if (rand_below(3) == 0 || i == 0) {
            w = (struct weather){.mood = next_mood(),
                                 .ever_denied = w.ever_denied,
                                 .patience_s = w.patience_s,
                                 .restarted = w.restarted && !unwraps(w.mood)};
        }
        tv_mood(&h.vault, CUSTOMER_URI, w.mood);
        if (i == 0 || rand_below(8) == 0) choose_policy(&h, &w);
        if (w.mood == MOOD_DENIED) w.ever_denied = true;
        if (rand_below(12) == 0) {
            house_restart_keyd(&h);
            w.restarted = true;
        }
        double step = 1 + (double)rand_below(60);
        house_advance(step);
        w.for_s += step;
        check_always(&h, &w);
        check_settled(&h, &w);
        if (unwraps(w.mood) && w.for_s > RETRY_AFTER_S_MAX + 45) w.ever_denied = false;
    }
    tv_mood(&h.vault, CUSTOMER_URI, MOOD_GOOD);
    house_advance(RETRY_AFTER_S_MAX + 50);
    REQUIRE(house_reaches(&h, account, KEY_ACTIVE));
    REQUIRE_OK(custody_file_open(h.custody, account, &f, 1, &k, &d));
    REQUIRE_OK(block_open(k, BTYPE_DATA, 1, buf_view(&sealed), &out, &d));
    custody_file_release(h.custody, k);
    if (seed % 10 == 0) fprintf(stderr, "seed %llu is good\n", (unsigned long long)seed);
    house_close(&h);
}

TEST(custody, no_weather_over_the_vault_breaks_what_must_hold)
{
    const char *more = getenv("SCHEDULE_SEEDS");
    uint64_t seeds = more != NULL ? strtoull(more, NULL, 10) : SEEDS;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        rand_fix_seed(seed);
        run(seed);
    }
}

static void check_lengths(struct house *h)
{
    LOCK_SCOPE(&h->keyd->lock);
    struct account *a = account_find(h->keyd, account);
    REQUIRE(lease_us(h->keyd, a) <= 60 * US_PER_S);
    a->good_boot_us = time_boot_us() - 45 * US_PER_S;
    REQUIRE(lease_us(h->keyd, a) <= 15 * US_PER_S);
    a->good_boot_us = time_boot_us() - 61 * US_PER_S;
    EXPECT_EQ(lease_us(h->keyd, a), 0);
    a->at.state = KEY_STALE; /* the vault is silent: the outage policy is the bound */
    EXPECT_EQ(lease_us(h->keyd, a), 60 * US_PER_S);
    static const enum key_state none[] = {KEY_SUSPENDED, KEY_REVOKED, KEY_DOUBT};
    for (int i = 0; i < 3; i++) {
        a->at.state = none[i];
        EXPECT_EQ(lease_us(h->keyd, a), 0);
    }
    a->at.state = KEY_ACTIVE;
}

TEST(custody, no_lease_ends_later_than_one_bound_after_the_last_good_unwrap)
{
    struct house h;
    house_open(&h);
    house_cluster(&h, CLUSTER, account);
    check_lengths(&h);
    house_close(&h);
}
