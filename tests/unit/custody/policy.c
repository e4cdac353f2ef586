/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/custody/policy.c - whose word counts where several have one, and what fits together */
#include "test.h"

#include "custody/policy.h"

static const struct key_policy nothing = {0};

TEST(policy, without_a_word_from_anybody_it_is_retain_without_an_end)
{
    struct key_policy p = policy_resolve(&nothing, &nothing);
    EXPECT_EQ(p.outage, OUTAGE_RETAIN);
    EXPECT_EQ(policy_silence_s(&p), RETAIN_FOREVER);
    EXPECT_EQ(p.grace_s, 1800);
    EXPECT_EQ(p.probe_s, 30);
    REQUIRE(policy_check(&p, NULL) == OK);
}

TEST(policy, a_scopes_own_word_counts_before_the_servers)
{
    const struct key_policy server = {.outage = OUTAGE_SUSPEND, .grace_s = 60, .retain_max_s = 90},
                            own = {.outage = OUTAGE_RETAIN, .retain_max_s = RETAIN_FOREVER};
    struct key_policy p = policy_resolve(&nothing, &server);
    EXPECT_EQ(policy_silence_s(&p), 60);
    p = policy_resolve(&own, &server);
    EXPECT_EQ(policy_silence_s(&p), RETAIN_FOREVER);
    const struct key_policy retain = {.outage = OUTAGE_RETAIN};
    p = policy_resolve(&retain, &server);
    EXPECT_EQ(policy_silence_s(&p), 90);
}

/* Every pair of probe and bound: what is accepted leaves a call its time, what is not would not. */
TEST(policy, what_is_accepted_fits_and_what_fits_is_accepted)
{
    for (uint32_t probe = PROBE_S_MIN; probe <= PROBE_S_MAX; probe++) {
        for (uint32_t bound = BOUND_S_MIN; bound <= 200; bound++) {
            struct key_policy own = {.probe_s = probe, .bound_s = bound};
            struct key_policy p = policy_resolve(&own, &nothing);
            double rest_s = bound - probe * 1.1 - 3;
            bool fits = rest_s / 2 >= CALL_MS_MIN / 1000.0 - 1e-9;
            REQUIRE((policy_check(&p, NULL) == OK) == fits);
            REQUIRE(!fits || policy_call_ms(&p) <= (uint64_t)(rest_s * 500 + 1e-6));
            REQUIRE(policy_call_ms(&p) <= CALL_MS_MAX);
        }
        struct key_policy own = {.probe_s = probe};
        struct key_policy p = policy_resolve(&own, &nothing);
        REQUIRE(policy_check(&p, NULL) == OK); /* the bound grows with the probe */
    }
}

TEST(policy, names_are_read_without_case_and_nothing_else_is)
{
    enum outage_policy o = OUTAGE_DEFAULT;
    REQUIRE(outage_policy_parse("Retain", &o) && o == OUTAGE_RETAIN);
    REQUIRE(outage_policy_parse("SUSPEND", &o) && o == OUTAGE_SUSPEND);
    REQUIRE(!outage_policy_parse("", &o) && !outage_policy_parse("retain ", &o));
    EXPECT_STR(outage_policy_name(OUTAGE_SUSPEND), "suspend");
    struct key_policy p = policy_resolve(&nothing, &nothing);
    p.outage = OUTAGE_DEFAULT;
    REQUIRE(policy_check(&p, NULL) == ERR_INVALID);
}
