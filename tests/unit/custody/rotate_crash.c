/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/custody/rotate_crash.c - a rotation that stops at any step: keyd dies before a call
 * leaves it, after it left, or the log service dies after it wrote
 *
 * What keyd does to the world are calls of the vault and records that are written. The n-th of them
 * is the last that this keyd ever does; from then on nothing it tries has an effect, as if it were
 * dead. Then it is started anew.
 */
#include "house.h"

static const uint8_t one[16] = "account-one.....";
static const uint8_t two[16] = "account-two.....";

enum death { BEFORE, AFTER }; /* the step has no effect; it has, and nobody hears the answer */

struct grave {
    struct house h; /* first: it is the context of the house's own functions */
    pthread_mutex_t lock;
    unsigned left; /* steps until death; 0: it lives */
    enum death death;
    bool dead;
};

/* *act: does the step happen? Returns whether its answer is heard. */
static bool step(struct grave *g, bool *act)
{
    LOCK_SCOPE(&g->lock);
    *act = !g->dead;
    if (g->dead || g->left == 0) return !g->dead;
    if (--g->left != 0) return true;
    g->dead = true;
    *act = g->death == AFTER;
    return false;
}

static enum err gone(struct diag *d)
{
    return FAIL(d, ERR_UNAVAILABLE, "this keyd is dead");
}

static enum err grave_persist(void *ctx, const struct custody_record *r, size_t n, struct diag *d)
{
    struct grave *g = ctx;
    bool act, heard = step(g, &act);
    enum err e = act ? house_persist(&g->h, r, n, d) : OK;
    return heard ? e : gone(d);
}

static enum err grave_describe(void *ctx, const struct kek_call *c, struct kek_info *out,
                               struct diag *d)
{
    struct grave *g = ctx;
    bool act, heard = step(g, &act);
    enum err e = act ? tv_describe(&g->h.vault, c, out, d) : OK;
    return heard ? e : gone(d);
}

static enum err grave_wrap(void *ctx, const struct kek_call *c, const struct kek_info *info,
                           struct bytes plain, struct wrapped *out, struct diag *d)
{
    struct grave *g = ctx;
    bool act, heard = step(g, &act);
    enum err e = act ? tv_wrap(&g->h.vault, c, info, plain, out, d) : OK;
    return heard ? e : gone(d);
}

static enum err grave_unwrap(void *ctx, const struct kek_call *c, const struct wrapped *w,
                             struct secret **out, struct diag *d)
{
    struct grave *g = ctx;
    bool act, heard = step(g, &act);
    if (!heard) return gone(d);
    return act ? tv_unwrap(&g->h.vault, c, w, out, d) : gone(d);
}

static void start_keyd(struct grave *g)
{
    struct diag d = DIAG_INIT;
    const struct keyd_config c = house_keyd_config(&g->h);
    const struct kek_port port = {
        .ctx = g, .describe = grave_describe, .wrap = grave_wrap, .unwrap = grave_unwrap};
    REQUIRE_OK(keyd_new_with(&g->h.keyd, &c, &port, &d));
    REQUIRE_OK(keyd_start(g->h.keyd, &d));
}

static void start_custody(struct grave *g)
{
    struct diag d = DIAG_INIT;
    const struct custody_config c = {
        .ctx = g, .persist = grave_persist, .load = house_load, .changed = house_changed};
    REQUIRE_OK(custody_new(&g->h.custody, &c, &d));
}

static void start(struct grave *g)
{
    struct diag d = DIAG_INIT;
    pthread_mutex_lock(&g->lock);
    g->left = 0;
    g->dead = false;
    pthread_mutex_unlock(&g->lock);
    if (g->h.custody == NULL) start_custody(g);
    start_keyd(g);
    house_connect(&g->h);
    REQUIRE_OK(custody_wait_ready(g->h.custody, 120000, &d));
}

static void expect_opens(struct house *h, const struct house_file *f)
{
    struct diag d = DIAG_INIT;
    REQUIRE(house_reaches(h, f->ident.account, KEY_ACTIVE));
    REQUIRE_OK(house_read(h, f, &d));
}

static void expect_all(struct house *h, const struct house_file data[3])
{
    for (int i = 0; i < 3; i++)
        expect_opens(h, &data[i]);
}

/* Two accounts, one of them with two generations: three wraps. */
static void furnish(struct grave *g, struct house_file data[3])
{
    struct diag d = DIAG_INIT;
    uint32_t generation;
    uint8_t aek_id[16];
    memset(g, 0, sizeof *g);
    pthread_mutex_init(&g->lock, NULL);
    house_build(&g->h);
    start(g);
    const struct custody_kek kek = house_kek("v1");
    REQUIRE_OK(custody_scope_set(g->h.custody, CLUSTER, &kek, NULL, &d));
    REQUIRE_OK(custody_account_add(g->h.custody, CLUSTER, one, "w1", &d));
    REQUIRE_OK(custody_account_add(g->h.custody, CLUSTER, two, "w2", &d));
    data[0] = house_write(&g->h, one);
    data[1] = house_write(&g->h, two);
    REQUIRE_OK(custody_aek_rotate(g->h.custody, one, "a test", &generation, aek_id, &d));
    data[2] = house_write(&g->h, one);
    tv_add(&g->h.vault, CUSTOMER_URI, "kek", "v2", false);
}

/* Once the rotation has been ordered again everything is as if nothing had happened. */
static void expect_resumes(struct grave *g, const struct house_file data[3])
{
    struct diag d = DIAG_INIT;
    const struct custody_kek kek = house_kek("v2");
    REQUIRE_OK(custody_scope_set(g->h.custody, CLUSTER, &kek, NULL, &d));
    EXPECT_EQ(house_records(&g->h, "wrap"), 3);
    tv_enable(&g->h.vault, "kek", "v1", false); /* nothing hangs on it */
    keyd_free(TAKE(g->h.keyd));
    start(g);
    house_advance(40);
    expect_all(&g->h, data);
}

/* True: it died before the rotation was done. */
static bool die_at(unsigned n, enum death death)
{
    struct diag d = DIAG_INIT;
    struct grave g;
    struct house_file data[3];
    furnish(&g, data);
    pthread_mutex_lock(&g.lock);
    g.left = n;
    g.death = death;
    pthread_mutex_unlock(&g.lock);
    const struct custody_kek kek = house_kek("v2");
    enum err e = custody_scope_set(g.h.custody, CLUSTER, &kek, NULL, &d);
    pthread_mutex_lock(&g.lock);
    bool died = g.dead;
    g.dead = true; /* and what it has in mind at its end has no effect either */
    pthread_mutex_unlock(&g.lock);
    REQUIRE(e == OK || died);

    keyd_free(TAKE(g.h.keyd));
    if (n % 2 == 0) custody_free(TAKE(g.h.custody)); /* the log service dies with it */
    start(&g);
    house_advance(40);
    expect_all(&g.h, data); /* under the old version or the new one: every wrap opens */
    EXPECT_EQ(house_records(&g.h, "wrap"), 3);
    expect_resumes(&g, data);
    for (int i = 0; i < 3; i++)
        buf_release(&data[i].block);
    house_close(&g.h);
    return died;
}

/* describe, wrap and unwrap of the check; then unwrap, wrap, unwrap of each of three AEKs; then
 * both wraps, then the flip with what it drops. */
#define STEPS 14

static void sweep(enum death death)
{
    unsigned n = 1;
    while (die_at(n, death))
        n++;
    REQUIRE(n > STEPS);
}

TEST(rotation, keyd_that_dies_before_any_step_leaves_wraps_that_open_and_goes_on)
{
    sweep(BEFORE);
}

TEST(rotation, keyd_that_dies_after_any_step_leaves_wraps_that_open_and_goes_on)
{
    sweep(AFTER);
}
