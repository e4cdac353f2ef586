/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/custody/verdict.c - who is speaking: the customer, the network, the operator; and what
 * fits into a bound */
#include "test.h"

#include "custody/core.h"

#include <stdio.h>

static enum key_event verdict(enum err e, const char *tag)
{
    struct diag d = DIAG_INIT;
    if (e != OK) (void)FAIL_TAG(&d, e, tag, "the vault answered");
    return kek_verdict(e, &d);
}

TEST(verdict, each_answer_is_classified_as_keys_md_says)
{
    EXPECT_EQ(verdict(OK, ""), KEY_GOOD);
    /* the customer */
    EXPECT_EQ(verdict(ERR_DENIED, "AccessDenied"), KEY_DENIED);
    EXPECT_EQ(verdict(ERR_DENIED, "ForbiddenByRbac"), KEY_DENIED);
    EXPECT_EQ(verdict(ERR_DENIED, "KeyDisabled"), KEY_DENIED);
    EXPECT_EQ(verdict(ERR_DENIED, "KeyNotFound"), KEY_DENIED);
    EXPECT_EQ(verdict(ERR_DENIED, "OperationNotPermitted"), KEY_DENIED);
    EXPECT_EQ(verdict(ERR_DENIED, "IdentityGone"), KEY_DENIED);
    /* the network, or the operator */
    EXPECT_EQ(verdict(ERR_UNAVAILABLE, "Timeout"), KEY_NO_ANSWER);
    EXPECT_EQ(verdict(ERR_UNAVAILABLE, "Network"), KEY_NO_ANSWER);
    EXPECT_EQ(verdict(ERR_UNAVAILABLE, "Throttled"), KEY_NO_ANSWER);
    EXPECT_EQ(verdict(ERR_UNAVAILABLE, "ServerError"), KEY_NO_ANSWER);
    EXPECT_EQ(verdict(ERR_UNAVAILABLE, "TokenRefused"), KEY_NO_ANSWER);
    EXPECT_EQ(verdict(ERR_UNAVAILABLE, "BadAnswer"), KEY_NO_ANSWER);
    EXPECT_EQ(verdict(ERR_UNAVAILABLE, ""), KEY_NO_ANSWER);
    EXPECT_EQ(verdict(ERR_CORRUPT, ""), KEY_NO_ANSWER); /* a mismatch */
    EXPECT_EQ(verdict(ERR_IO, ""), KEY_NO_ANSWER);      /* our own audit log */
    EXPECT_EQ(verdict(ERR_LIMIT, ""), KEY_NO_ANSWER);
    EXPECT_EQ(verdict(ERR_INTERNAL, ""), KEY_NO_ANSWER);
    /* locked, whatever the policy */
    EXPECT_EQ(verdict(ERR_UNAVAILABLE, "Firewall"), KEY_BARRED);
    EXPECT_EQ(verdict(ERR_UNAVAILABLE, "BadRequest"), KEY_BARRED);
    EXPECT_EQ(verdict(ERR_UNAVAILABLE, "NoSuchVault"), KEY_BARRED);
    EXPECT_EQ(verdict(ERR_UNAVAILABLE, "Ambiguous"), KEY_BARRED);
}

static enum err times(uint32_t probe_s, uint32_t bound_s, uint32_t *got)
{
    const struct key_policy p = {.probe_s = probe_s, .bound_s = bound_s};
    struct key_policy resolved = policy_resolve(&p, &(const struct key_policy){0});
    *got = resolved.bound_s;
    return policy_check(&resolved, NULL);
}

TEST(verdict, a_bound_is_refused_unless_probe_jitter_two_calls_and_three_seconds_fit)
{
    uint32_t got;
    REQUIRE(times(30, 0, &got) == OK && got == 60);
    REQUIRE(times(60, 0, &got) == OK &&
            got == 79); /* grows with the probe where nobody chose one */
    REQUIRE(times(6, 10, &got) == OK && got == 10);
    REQUIRE(times(7, 10, &got) == ERR_INVALID);
    REQUIRE(times(60, 60, &got) == ERR_INVALID);
    REQUIRE(times(60, 70, &got) == OK);
    REQUIRE(times(5, 60, &got) == ERR_INVALID);
    REQUIRE(times(61, 300, &got) == ERR_INVALID);
    REQUIRE(times(30, 9, &got) == ERR_INVALID);
    REQUIRE(times(30, 3601, &got) == ERR_INVALID);
}

TEST(verdict, only_a_usable_recoverable_enabled_key_in_its_time_is_accepted)
{
    struct kek_info good = {.type_usable = true, .enabled = true, .recoverable = true}, bad;
    struct diag d = DIAG_INIT;
    const int64_t now = 1000 * US_PER_S;
    REQUIRE_OK(kek_acceptable(&good, now, &d));
    bad = good, bad.type_usable = false;
    REQUIRE_ERR(ERR_INVALID, kek_acceptable(&bad, now, &d));
    EXPECT_STR(d.tag, "KeyType");
    bad = good, bad.enabled = false;
    REQUIRE_ERR(ERR_INVALID, kek_acceptable(&bad, now, &d));
    EXPECT_STR(d.tag, "KeyDisabled");
    bad = good, bad.expires_us = now;
    REQUIRE_ERR(ERR_INVALID, kek_acceptable(&bad, now, &d));
    EXPECT_STR(d.tag, "KeyExpired");
    bad = good, bad.not_before_us = now + 1;
    REQUIRE_ERR(ERR_INVALID, kek_acceptable(&bad, now, &d));
    EXPECT_STR(d.tag, "KeyExpired");
    bad = good, bad.recoverable = false;
    REQUIRE_ERR(ERR_INVALID, kek_acceptable(&bad, now, &d));
    EXPECT_STR(d.tag, "KeyNotRecoverable");
}
