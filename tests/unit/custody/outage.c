/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/custody/outage.c - a silent vault under each policy; alarms; what is lifted by hand;
 * all in virtual time, through keyd, channel and client */
#include "audit_log.h"
#include "house.h"

#include <dirent.h>

#include "base/os.h"

static const uint8_t account[16] = "account-one.....";
#define PROBE 33 /* seconds until the next round, at most */

static void with_policy(struct house *h, struct key_policy p)
{
    struct diag d = DIAG_INIT;
    house_open(h);
    log_set_level(LOG_ERROR + 1); /* refusals and alarms are what these tests make */
    house_cluster(h, CLUSTER, account);
    REQUIRE_OK(custody_scope_policy(h->custody, CLUSTER, &p, "tester", &d));
    EXPECT_EQ(custody_account_state(h->custody, account), KEY_ACTIVE);
}

static enum key_state state_in_keyd(struct house *h)
{
    LOCK_SCOPE(&h->keyd->lock);
    return account_find(h->keyd, account)->at.state;
}

static json_t *scope_status(struct house *h)
{
    struct diag d = DIAG_INIT;
    json_t *j = NULL;
    REQUIRE_OK(custody_scope_state(h->custody, CLUSTER, &j, &d));
    return j;
}

static const json_t *scope_in(const json_t *status)
{
    REQUIRE(json_array_size(json_get(status, "scopes")) == 1);
    return json_array_get(json_get(status, "scopes"), 0);
}

static bool audit_has(struct house *h, const char *words)
{
    CLEANUP_BUF struct buf text = log_text(h->audit_dir);
    return strstr(buf_cstr(&text), words) != NULL;
}

static bool alarm_is(struct house *h, const char *code)
{
    CLEANUP_JSON json_t *j = scope_status(h);
    const json_t *alarm = json_get(scope_in(j), "alarm");
    if (code == NULL) return json_is_null(alarm);
    const char *is = json_get_str(alarm, "code");
    if (!str_eq(is, code)) fprintf(stderr, "alarm is %s\n", is != NULL ? is : "none");
    return str_eq(is, code);
}

/* --- retain and suspend ----------------------------------------------------------------------- */

TEST(custody, suspend_keeps_the_keys_for_the_grace_and_drops_them_then)
{
    struct house h;
    with_policy(&h, (struct key_policy){.outage = OUTAGE_SUSPEND, .grace_s = 1800});
    tv_mood(&h.vault, CUSTOMER_URI, MOOD_SILENT);
    house_advance(1800 - PROBE - 1);
    REQUIRE(house_reaches(&h, account, KEY_STALE));
    house_advance(PROBE + 2);
    EXPECT_EQ(custody_account_state(h.custody, account), KEY_SUSPENDED);
    EXPECT_EQ(state_in_keyd(&h), KEY_SUSPENDED);
    pthread_mutex_lock(&h.keyd->lock);
    REQUIRE(account_find(h.keyd, account)->aeks[0].key == NULL);
    pthread_mutex_unlock(&h.keyd->lock);
    tv_mood(&h.vault, CUSTOMER_URI, MOOD_GOOD);
    house_advance(PROBE + 1);
    REQUIRE(house_reaches(&h, account, KEY_ACTIVE));
    house_close(&h);
}

TEST(custody, suspend_waits_half_an_hour_where_nobody_says_how_long)
{
    struct house h;
    with_policy(&h, (struct key_policy){.outage = OUTAGE_SUSPEND});
    tv_mood(&h.vault, CUSTOMER_URI, MOOD_SILENT);
    house_advance(1800 - PROBE - 1);
    REQUIRE(house_reaches(&h, account, KEY_STALE));
    house_advance(PROBE + 2);
    EXPECT_EQ(custody_account_state(h.custody, account), KEY_SUSPENDED);
    house_close(&h);
}

TEST(custody, retain_without_an_end_serves_for_days_and_says_that_nothing_is_enforced)
{
    struct house h;
    with_policy(&h, (struct key_policy){.outage = OUTAGE_RETAIN});
    tv_mood(&h.vault, CUSTOMER_URI, MOOD_SILENT);
    house_advance(3 * 86400.0);
    REQUIRE(house_reaches(&h, account, KEY_STALE));
    CLEANUP_JSON json_t *j = scope_status(&h);
    const json_t *s = scope_in(j);
    EXPECT_STR(json_get_str(s, "notEnforced"), "not enforced while the vault is unreachable");
    REQUIRE(json_is_null(json_get(s, "boundInForceSeconds")));
    house_close(&h);
}

TEST(custody, retain_ends_at_retain_max_and_that_is_the_bound_in_force)
{
    struct house h;
    with_policy(&h, (struct key_policy){.outage = OUTAGE_RETAIN, .retain_max_s = 7200});
    tv_mood(&h.vault, CUSTOMER_URI, MOOD_SILENT);
    house_advance(3600);
    REQUIRE(house_reaches(&h, account, KEY_STALE));
    CLEANUP_JSON json_t *j = scope_status(&h);
    EXPECT_EQ(json_get_int(scope_in(j), "boundInForceSeconds", 0), 7200);
    REQUIRE(json_is_null(json_get(scope_in(j), "notEnforced")));
    house_advance(3602);
    EXPECT_EQ(custody_account_state(h.custody, account), KEY_SUSPENDED);
    house_close(&h);
}

/* A worker that hangs in a call, or a keyd that is late, must not lengthen it: the lease ends too.
 */
TEST(custody, no_lease_outlasts_the_patience_of_the_policy)
{
    struct house h;
    with_policy(&h, (struct key_policy){.outage = OUTAGE_RETAIN, .retain_max_s = 600});
    pthread_mutex_lock(&h.keyd->lock);
    struct account *a = account_find(h.keyd, account);
    a->at.state = KEY_STALE;
    a->good_us = time_now_us() - 590 * US_PER_S;
    REQUIRE(lease_us(h.keyd, a) <= 10 * US_PER_S);
    a->good_us = time_now_us();
    a->good_boot_us = time_boot_us() - 601 * US_PER_S; /* a paused guest: one clock only */
    EXPECT_EQ(lease_us(h.keyd, a), 0);
    a->good_boot_us = time_boot_us();
    EXPECT_EQ(lease_us(h.keyd, a), 60 * US_PER_S);
    a->at.state = KEY_ACTIVE;
    pthread_mutex_unlock(&h.keyd->lock);
    house_close(&h);
}

TEST(custody, an_outage_under_suspend_never_revokes_and_flapping_never_suspends)
{
    struct house h;
    with_policy(&h, (struct key_policy){.outage = OUTAGE_SUSPEND, .grace_s = 300});
    for (int i = 0; i < 20; i++) { /* every silence is shorter than the grace */
        tv_mood(&h.vault, CUSTOMER_URI, i % 2 == 0 ? MOOD_SILENT : MOOD_GOOD);
        house_advance(i % 2 == 0 ? 120 : 40);
        REQUIRE(!key_state_locked(state_in_keyd(&h)));
    }
    tv_mood(&h.vault, CUSTOMER_URI, MOOD_SILENT);
    house_advance(3600);
    EXPECT_EQ(state_in_keyd(&h), KEY_SUSPENDED);
    REQUIRE(!audit_has(&h, "\"now\":\"REVOKED\""));
    house_close(&h);
}

TEST(custody, a_policy_is_changed_while_the_vault_is_silent_and_survives_a_restart)
{
    struct diag d = DIAG_INIT;
    struct house h;
    with_policy(&h, (struct key_policy){.outage = OUTAGE_RETAIN});
    tv_mood(&h.vault, CUSTOMER_URI, MOOD_SILENT);
    house_advance(3600);
    REQUIRE(house_reaches(&h, account, KEY_STALE));
    const struct key_policy p = {.outage = OUTAGE_SUSPEND, .grace_s = 600, .probe_s = 10};
    REQUIRE_OK(custody_scope_policy(h.custody, CLUSTER, &p, "alice", &d));
    house_advance(1);
    EXPECT_EQ(custody_account_state(h.custody, account), KEY_SUSPENDED); /* long over */
    REQUIRE(audit_has(&h, "\"event\":\"scope.policy\"") && audit_has(&h, "\"by\":\"alice\""));
    house_restart_keyd(&h);
    CLEANUP_JSON json_t *j = scope_status(&h);
    const json_t *back = json_get(scope_in(j), "policy");
    EXPECT_STR(json_get_str(back, "outagePolicy"), "suspend");
    EXPECT_EQ(json_get_int(back, "outageGraceSeconds", 0), 600);
    EXPECT_EQ(json_get_int(back, "probeSeconds", 0), 10);
    house_close(&h);
}

TEST(custody, a_policy_that_does_not_fit_together_is_refused_with_and_without_a_scope)
{
    struct diag d = DIAG_INIT;
    struct house h;
    with_policy(&h, (struct key_policy){0});
    const struct key_policy tight = {.probe_s = 60, .bound_s = 60}, fine = {.grace_s = 60},
                            wild = {.grace_s = 5};
    REQUIRE_ERR(ERR_INVALID, custody_scope_policy(h.custody, CLUSTER, &tight, "t", &d));
    REQUIRE_ERR(ERR_INVALID, custody_scope_policy(h.custody, CLUSTER, &wild, "t", &d));
    REQUIRE_ERR(ERR_INVALID, custody_scope_policy(h.custody, "none", &tight, "t", &d));
    REQUIRE_ERR(ERR_NOT_FOUND, custody_scope_policy(h.custody, "none", &fine, "t", &d));
    REQUIRE_ERR(ERR_INVALID, custody_scope_policy(h.custody, "platform", &fine, "t", &d));
    house_close(&h);
}

TEST(custody, the_servers_suspend_is_not_the_platforms)
{
    struct house h;
    house_build(&h);
    h.policy.outage = OUTAGE_SUSPEND;
    house_begin(&h);
    pthread_mutex_lock(&h.keyd->lock);
    struct key_policy p = scope_policy(h.keyd, scope_find(h.keyd, "platform"));
    EXPECT_EQ(policy_silence_s(&p), RETAIN_FOREVER);
    pthread_mutex_unlock(&h.keyd->lock);
    house_close(&h);
}

/* --- what is said twice, and what asks for peace ---------------------------------------------- */

TEST(custody, one_firewall_refusal_alone_is_no_answer_and_two_lock_whatever_the_policy)
{
    struct house h;
    with_policy(&h, (struct key_policy){.outage = OUTAGE_RETAIN});
    tv_mood(&h.vault, CUSTOMER_URI, MOOD_BARRED);
    for (int i = 0; i < PROBE + 1 && state_in_keyd(&h) == KEY_ACTIVE; i++)
        house_advance(1);
    EXPECT_EQ(state_in_keyd(&h), KEY_STALE);
    REQUIRE(alarm_is(&h, "Firewall"));
    unsigned fresh = h.vault.n_fresh;
    tv_mood(&h.vault, CUSTOMER_URI, MOOD_GOOD);
    house_advance(2.1);
    EXPECT_EQ(state_in_keyd(&h), KEY_ACTIVE);
    EXPECT_EQ(h.vault.n_fresh, fresh + 1); /* looked at again on a new connection */
    REQUIRE(alarm_is(&h, NULL));

    tv_mood(&h.vault, CUSTOMER_URI, MOOD_BARRED);
    house_advance(PROBE + 2.1);
    EXPECT_EQ(state_in_keyd(&h), KEY_SUSPENDED);
    REQUIRE(audit_has(&h, "\"event\":\"alarm\""));
    house_close(&h);
}

TEST(custody, a_token_that_is_refused_is_an_alarm_and_drops_nothing)
{
    struct house h;
    with_policy(&h, (struct key_policy){.outage = OUTAGE_RETAIN});
    tv_mood(&h.vault, CUSTOMER_URI, MOOD_TOKEN);
    house_advance(3600);
    EXPECT_EQ(state_in_keyd(&h), KEY_STALE);
    REQUIRE(alarm_is(&h, "TokenRefused"));
    tv_mood(&h.vault, CUSTOMER_URI, MOOD_SILENT);
    house_advance(PROBE + 1);
    REQUIRE(alarm_is(&h, "TokenRefused")); /* silence does not repair it */
    tv_mood(&h.vault, CUSTOMER_URI, MOOD_GOOD);
    house_advance(PROBE + 1);
    REQUIRE(alarm_is(&h, NULL));
    house_close(&h);
}

TEST(custody, a_mismatch_is_an_alarm_and_no_answer)
{
    struct house h;
    with_policy(&h, (struct key_policy){.outage = OUTAGE_SUSPEND, .grace_s = 300});
    tv_mood(&h.vault, CUSTOMER_URI, MOOD_LIES);
    house_advance(PROBE + 1);
    EXPECT_EQ(state_in_keyd(&h), KEY_STALE);
    REQUIRE(alarm_is(&h, "Mismatch"));
    house_advance(300);
    EXPECT_EQ(state_in_keyd(&h), KEY_SUSPENDED); /* the policy's word, not a revocation */
    house_close(&h);
}

TEST(custody, a_vault_that_asks_to_be_left_alone_is)
{
    struct house h;
    with_policy(&h, (struct key_policy){.outage = OUTAGE_RETAIN, .probe_s = 6, .bound_s = 20});
    house_advance(7);
    tv_mood(&h.vault, CUSTOMER_URI, MOOD_BUSY);
    house_advance(7);
    EXPECT_EQ(state_in_keyd(&h), KEY_STALE);
    tv_mood(&h.vault, CUSTOMER_URI, MOOD_GOOD);
    unsigned before = tv_unwraps(&h.vault);
    house_advance(25);
    EXPECT_EQ(state_in_keyd(&h), KEY_STALE); /* nobody has asked: it would have said yes */
    EXPECT_EQ(tv_unwraps(&h.vault), before);
    house_advance(20);
    EXPECT_EQ(state_in_keyd(&h), KEY_ACTIVE);
    house_close(&h);
}

TEST(custody, the_policys_end_comes_on_time_while_a_vault_is_left_alone)
{
    struct house h;
    with_policy(&h, (struct key_policy){
                        .outage = OUTAGE_SUSPEND, .grace_s = 12, .probe_s = 6, .bound_s = 20});
    tv_mood(&h.vault, CUSTOMER_URI, MOOD_BUSY);
    house_advance(14);
    EXPECT_EQ(state_in_keyd(&h), KEY_SUSPENDED);
    house_close(&h);
}

/* --- a rotation that is overdue --------------------------------------------------------------- */

static bool is_overdue(struct house *h)
{
    CLEANUP_JSON json_t *j = scope_status(h);
    return json_is_string(json_get(scope_in(j), "rotationOverdue"));
}

static void expire(struct house *h, int64_t at_us)
{
    LOCK_SCOPE(&h->vault.lock);
    tv_find(&h->vault, CUSTOMER_URI, "kek", "v1")->expires_us = at_us;
}

static void check_overdue(const char *version)
{
    struct diag d = DIAG_INIT;
    struct house h;
    with_policy(&h, (struct key_policy){0});
    const struct custody_kek kek = house_kek(version);
    REQUIRE_OK(custody_scope_set(h.custody, CLUSTER, &kek, NULL, &d));
    house_advance(PROBE + 1);
    REQUIRE(!is_overdue(&h));
    expire(&h, time_now_us());
    house_advance(PROBE + 1);
    REQUIRE(is_overdue(&h));
    EXPECT_EQ(state_in_keyd(&h), KEY_ACTIVE); /* an expired key unwraps: nothing is revoked */
    expire(&h, 0);
    house_advance(PROBE + 1);
    REQUIRE(!is_overdue(&h));
    tv_mood(&h.vault, CUSTOMER_URI, MOOD_NO_WRAP); /* the right to wrap is gone: an hourly try */
    house_advance(3600 + PROBE);
    REQUIRE(is_overdue(&h));
    EXPECT_EQ(state_in_keyd(&h), KEY_ACTIVE);
    tv_mood(&h.vault, CUSTOMER_URI, MOOD_GOOD);
    house_advance(PROBE + 1);
    REQUIRE(!is_overdue(&h));
    house_close(&h);
}

TEST(custody, a_key_that_unwraps_but_does_not_wrap_is_overdue_where_versions_are_followed)
{
    check_overdue("");
}

TEST(custody, a_key_that_unwraps_but_does_not_wrap_is_overdue_where_the_version_is_explicit)
{
    check_overdue("v1");
}

/* --- versions --------------------------------------------------------------------------------- */

struct version {
    bool found, safe;
    int64_t count;
    char last_used[40];
};

static struct version version_of(struct house *h, const char *kek_id)
{
    struct diag d = DIAG_INIT;
    struct version v = {0};
    CLEANUP_JSON json_t *j = NULL;
    REQUIRE_OK(custody_status(h->custody, &j, &d));
    size_t i, k;
    json_t *a, *w;
    json_array_foreach (json_get(j, "accounts"), i, a) {
        json_array_foreach (json_get(a, "wraps"), k, w) {
            if (!str_eq(json_get_str(w, "version"), kek_id)) continue;
            v = (struct version){.found = true,
                                 .safe = json_get_bool(w, "safeToDisable", false),
                                 .count = json_get_int(w, "count", -1)};
            const char *used = json_get_str(w, "lastUsed");
            snprintf(v.last_used, sizeof v.last_used, "%s", used != NULL ? used : "");
        }
    }
    return v;
}

TEST(custody, the_last_use_of_a_version_survives_keyd_and_only_an_unneeded_one_is_safe_to_disable)
{
    struct house h;
    with_policy(&h, (struct key_policy){0});
    house_advance(PROBE + 1);
    struct version v1 = version_of(&h, CUSTOMER_URI "/keys/kek/v1");
    REQUIRE(v1.found && !v1.safe && v1.count == 1 && v1.last_used[0] != 0);
    tv_add(&h.vault, CUSTOMER_URI, "kek", "v2", false);
    house_advance(PROBE + 1); /* followed */
    v1 = version_of(&h, CUSTOMER_URI "/keys/kek/v1");
    REQUIRE(v1.found && v1.safe && v1.count == 0);
    struct version v2 = version_of(&h, CUSTOMER_URI "/keys/kek/v2");
    REQUIRE(v2.found && !v2.safe && v2.count == 1);
    house_restart_keyd(&h);
    struct version after = version_of(&h, CUSTOMER_URI "/keys/kek/v1");
    REQUIRE(after.found && after.safe);
    int64_t then_us = 0, now_us = 0; /* what was said, and what the line before the use says */
    REQUIRE(time_parse_iso(v1.last_used, &then_us) && time_parse_iso(after.last_used, &now_us));
    REQUIRE(now_us <= then_us && then_us - now_us < US_PER_S);
    REQUIRE(audit_has(&h, "\"event\":\"version.used\""));
    house_restart_keyd(&h);
    struct version again = version_of(&h, CUSTOMER_URI "/keys/kek/v1");
    REQUIRE(again.found && again.safe);
    EXPECT_STR(again.last_used, after.last_used);
    house_close(&h);
}

static unsigned n_log_files(struct house *h)
{
    unsigned n = 0;
    DIR *dir = opendir(h->audit_dir);
    REQUIRE(dir != NULL);
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir))
        n += str_starts(e->d_name, "audit-");
    closedir(dir);
    return n;
}

/* At its start keyd reads two files. */
TEST(custody, the_last_use_of_a_version_survives_a_long_run_of_keyd)
{
    struct house h;
    with_policy(&h, (struct key_policy){0});
    h.audit_file_max = 32 << 10;
    house_restart_keyd(&h);
    house_advance(PROBE + 1);
    tv_add(&h.vault, CUSTOMER_URI, "kek", "v2", false);
    house_advance(PROBE + 1); /* followed: v1 is used no more */
    struct version v1 = version_of(&h, CUSTOMER_URI "/keys/kek/v1");
    REQUIRE(v1.found && v1.safe && v1.last_used[0] != 0);
    unsigned before = n_log_files(&h);
    for (int i = 0; i < 200 && n_log_files(&h) < before + 4; i++)
        house_advance(301); /* a seal, and the probes */
    REQUIRE(n_log_files(&h) >= before + 4);
    house_restart_keyd(&h);
    struct version after = version_of(&h, CUSTOMER_URI "/keys/kek/v1");
    REQUIRE(after.found && after.safe);
    EXPECT_STR(after.last_used, v1.last_used);
    house_close(&h);
}

/* --- identity None ---------------------------------------------------------------------------- */

TEST(custody, a_sealed_scope_takes_a_key_only_after_an_audited_unlock)
{
    struct diag d = DIAG_INIT;
    struct house h;
    with_policy(&h, (struct key_policy){0});
    REQUIRE_ERR(ERR_CONFLICT, custody_scope_unlock(h.custody, CLUSTER, "admin", &d));
    REQUIRE_OK(custody_scope_clear(h.custody, CLUSTER, true, &d));
    EXPECT_EQ(custody_account_state(h.custody, account), KEY_REVOKED);
    const struct custody_kek kek = house_kek("");
    REQUIRE_ERR(ERR_CONFLICT, custody_scope_set(h.custody, CLUSTER, &kek, NULL, &d));
    house_restart_keyd(&h);
    REQUIRE_ERR(ERR_CONFLICT, custody_scope_set(h.custody, CLUSTER, &kek, NULL, &d));
    unsigned before = tv_unwraps(&h.vault);
    REQUIRE_OK(custody_scope_unlock(h.custody, CLUSTER, "admin-7", &d));
    house_advance(600);
    EXPECT_EQ(tv_unwraps(&h.vault), before); /* unlocked, and still without a key */
    EXPECT_EQ(custody_account_state(h.custody, account), KEY_REVOKED);
    REQUIRE(audit_has(&h, "scope.unlocked") && audit_has(&h, "\"by\":\"admin-7\""));
    REQUIRE_OK(custody_scope_set(h.custody, CLUSTER, &kek, NULL, &d));
    REQUIRE(house_reaches(&h, account, KEY_ACTIVE));
    house_close(&h);
}
