/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/base/time.c - formats, and a virtual clock that settles its timers in order */
#include "test.h"

#include "base/thread.h"
#include "base/time.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

TEST(time, the_three_formats_are_those_of_the_wire)
{
    char s[TIME_TEXT_MAX];
    const int64_t t = 1746689780 * US_PER_S + 173959;
    time_format_iso(t, s);
    EXPECT_STR(s, "2025-05-08T07:36:20.173959Z");
    time_format_iso7(t, s);
    EXPECT_STR(s, "2025-05-08T07:36:20.1739590Z");
    time_format_rfc1123(t, s);
    EXPECT_STR(s, "Thu, 08 May 2025 07:36:20 GMT");
    time_format_iso(-1, s);
    EXPECT_STR(s, "1969-12-31T23:59:59.999999Z");
}

static struct timer *timers[2];
static int order[64];
static _Atomic int n_order;
static _Atomic bool stop;

/* Timer 0 every 10 s, timer 1 every 25 s of virtual time. */
static void *tick(void *arg)
{
    int which = (int)(intptr_t)arg;
    int64_t due = time_now_us();
    for (;;) {
        due += (which == 0 ? 10 : 25) * US_PER_S;
        if (!timer_wait(timers[which], due) || stop) return NULL;
        time_sleep_us(2000); /* its work takes real time */
        order[n_order++] = which;
    }
}

TEST(time, an_advance_runs_due_timers_in_order_and_waits_for_them)
{
    struct diag d = DIAG_INIT;
    CLEANUP_FREE char *path = os_path(test_dir(), "clock");
    REQUIRE_OK(clock_open(path, true, &d));
    pthread_t threads[2];
    for (intptr_t i = 0; i < 2; i++) {
        timers[i] = timer_new();
        REQUIRE(timers[i] != NULL);
        REQUIRE_OK(thread_start(&threads[i], tick, (void *)i, &d));
    }
    time_sleep_us(50000);
    int64_t before = time_now_us();
    REQUIRE_OK(clock_advance(60 * US_PER_S, &d));
    REQUIRE(time_now_us() - before >= 60 * US_PER_S);
    static const int want[] = {0, 0, 1, 0,
                               0}; /* 10, 20, 25, 30, 40; then 50 and 50 in either order */
    REQUIRE(n_order >= 7);
    for (size_t i = 0; i < 5; i++)
        EXPECT_EQ(order[i], want[i]);
    REQUIRE_ERR(ERR_INVALID, clock_advance(-1, &d));
    stop = true;
    for (int i = 0; i < 2; i++)
        timer_wake(timers[i]);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 2; i++)
        timer_free(timers[i]);
}

TEST(time, a_clock_file_of_another_length_is_refused)
{
    struct diag d = DIAG_INIT;
    CLEANUP_FREE char *path = os_path(test_dir(), "bad-clock");
    REQUIRE_OK(os_replace(path, BYTES("short"), &d));
    REQUIRE_ERR(ERR_CORRUPT, clock_open(path, false, &d));
}

static int told[2]; /* a pipe */

static void *never_settles(void *timer)
{
    (void)timer_wait(timer, time_now_us() + 10 * US_PER_S);
    if (write(told[1], "x", 1) != 1) _exit(1);
    for (;;)
        pause();
}

TEST(time, who_dies_while_turning_the_clock_keeps_nobody_from_turning_it)
{
    struct diag d = DIAG_INIT;
    CLEANUP_FREE char *path = os_path(test_dir(), "clock-death");
    REQUIRE_OK(clock_open(path, true, &d));
    REQUIRE(pipe(told) == 0);
    fflush(NULL);
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        pthread_t t;
        struct timer *timer = timer_new();
        if (thread_start(&t, never_settles, timer, NULL) != OK) _exit(1);
        time_sleep_us(50000);
        (void)clock_advance(20 * US_PER_S, NULL);
        _exit(2);
    }
    char byte;
    REQUIRE(read(told[0], &byte, 1) == 1); /* the child is in the middle of its advance */
    REQUIRE_ERR(ERR_CONFLICT, clock_advance(0, &d));
    REQUIRE(kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child);
    REQUIRE_OK(clock_advance(US_PER_S, &d));
}
