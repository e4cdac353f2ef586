/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/custody/fairness.c - 200 customers, 150 of them with a vault that hangs */
#include "house.h"

#define SCOPES     200
#define IS_DEAD(i) ((i) % 4 != 0)

static void scope_name(unsigned i, char out[64])
{
    snprintf(out, 64, "/clusters/%s-%03u", IS_DEAD(i) ? "dead" : "live", i);
}

static void account_of(unsigned i, uint8_t out[16])
{
    char text[17];
    snprintf(text, sizeof text, "account-%08u", i);
    memcpy(out, text, 16);
}

static void add_customer(struct house *h, unsigned i)
{
    struct diag d = DIAG_INIT;
    char uri[64], scope[64];
    uint8_t id[16];
    snprintf(uri, sizeof uri, "https://%s-%03u.test", IS_DEAD(i) ? "dead" : "live", i);
    scope_name(i, scope);
    account_of(i, id);
    tv_add(&h->vault, uri, "key", "1", true);
    const struct custody_kek kek = {.vault_uri = uri,
                                    .key_name = "key",
                                    .key_version = "1",
                                    .principal_id = "p",
                                    .policy = {.probe_s = 60, .bound_s = 71}}; /* a call: 1 s */
    REQUIRE_OK(custody_scope_set(h->custody, scope, &kek, NULL, &d));
    REQUIRE_OK(custody_account_add(h->custody, scope, id, "w", &d));
}

/* How many of one kind are in that state, in keyd. */
static unsigned count(struct house *h, bool dead, enum key_state s)
{
    unsigned n = 0;
    LOCK_SCOPE(&h->keyd->lock);
    for (unsigned i = 0; i < SCOPES; i++) {
        uint8_t id[16];
        account_of(i, id);
        n += IS_DEAD(i) == dead && account_find(h->keyd, id)->at.state == s;
    }
    return n;
}

static void *advance_in_background(void *seconds)
{
    house_advance(*(const double *)seconds);
    return NULL;
}

/* Each at its own moment would be one after the other: the virtual clock waits for each. */
static void make_all_due(struct house *h)
{
    LOCK_SCOPE(&h->keyd->lock);
    int64_t due = time_steady_us() + US_PER_S;
    for (size_t i = 0; i < h->keyd->n_scopes; i++)
        h->keyd->all_scopes[i]->due_us = due;
    workers_wake(h->keyd);
}

/* The virtual clock stands still until the last of the dead vaults' calls has run into its end. */
TEST(custody,
     a_hundred_and_fifty_vaults_that_hang_keep_the_other_fifty_customers_waiting_for_nothing)
{
    struct diag d = DIAG_INIT;
    struct house h;
    house_open(&h);
    log_set_level(LOG_ERROR + 1);
    for (unsigned i = 0; i < SCOPES; i++)
        add_customer(&h, i);
    EXPECT_EQ(h.keyd->n_workers, WORKERS_MAX);
    tv_mood(&h.vault, "https://dead", MOOD_HANGS);
    tv_mood(&h.vault, "https://live", MOOD_DENIED); /* all fifty are revoked at the same moment */

    double seconds = 1.5;
    pthread_t t;
    make_all_due(&h);
    REQUIRE_OK(thread_start(&t, advance_in_background, &seconds, &d));
    unsigned stale = 0;
    for (int i = 0; i < 6000 && count(&h, false, KEY_ACTIVE) != 0; i++)
        time_sleep_us(10000);
    stale = count(&h, true, KEY_STALE);
    EXPECT_EQ(count(&h, false, KEY_ACTIVE), 0);
    /* With the hands shared by all alike, most of the dead had been waited for by then. */
    if (stale > 75) fprintf(stderr, "%u dead vaults were waited for first\n", stale);
    REQUIRE(stale <= 75);
    pthread_join(t, NULL);
    make_all_due(&h); /* the second look: now the dead are known, and half of the workers is free */
    REQUIRE_OK(thread_start(&t, advance_in_background, &seconds, &d));
    for (int i = 0; i < 6000 && count(&h, false, KEY_REVOKED) != SCOPES / 4; i++)
        time_sleep_us(10000);
    EXPECT_EQ(count(&h, false, KEY_REVOKED), SCOPES / 4);
    pthread_join(t, NULL);
    EXPECT_EQ(count(&h, true, KEY_REVOKED), 0);
    house_close(&h);
}
