/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/custody/clock_back.c - the wall's clock is set back by a day: probes go on */
#include "house.h"

#include <sys/syscall.h>
#include <time.h>

static const uint8_t account[16] = "account-one.....";
static _Atomic long back_s;

/* In place of the C library's. */
int clock_gettime(clockid_t id, struct timespec *ts)
{
    long e = syscall(SYS_clock_gettime, id, ts);
    if (e == 0 && id == CLOCK_REALTIME) ts->tv_sec -= atomic_load(&back_s);
    return (int)e;
}

TEST(custody, a_clock_that_is_set_back_postpones_no_denial)
{
    struct house h;
    house_open(&h);
    house_cluster(&h, CLUSTER, account);
    EXPECT_EQ(custody_account_state(h.custody, account), KEY_ACTIVE);
    atomic_store(&back_s, 86400);
    tv_enable(&h.vault, "kek", NULL, false);
    house_advance(33 + 2 + 0.1);
    EXPECT_EQ(custody_account_state(h.custody, account), KEY_REVOKED);
    tv_enable(&h.vault, "kek", NULL, true);
    house_advance(33 + 0.1);
    REQUIRE(house_reaches(&h, account, KEY_ACTIVE));
    house_close(&h);
}

TEST(custody, a_clock_that_is_set_back_makes_no_doubt_longer)
{
    struct house h;
    atomic_store(&back_s, 0);
    house_open(&h);
    house_cluster(&h, CLUSTER, account);
    tv_mood(&h.vault, CUSTOMER_URI, MOOD_DENIED);
    REQUIRE(house_doubts(&h, account));
    tv_mood(&h.vault, CUSTOMER_URI, MOOD_SILENT);
    atomic_store(&back_s, 86400);
    house_advance(11);
    REQUIRE(house_reaches(&h, account, KEY_SUSPENDED));
    house_close(&h);
}
