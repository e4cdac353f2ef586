/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/time.h - the only clock
 *
 * Wall time is microseconds since 1970-01-01 UTC. A data directory made with --virtual-clock has a
 * clock file, shared memory of all processes: wall time is the kernel's plus the offset in it, and
 * clock_advance() turns it from due timer to due timer in order, until every woken timer has done
 * its work and waits again. The offset never goes back.
 *
 * Lease deadlines and TLS keep to the kernel: time_mono_us(), time_boot_us(), time_kernel_us().
 */
#pragma once

#include "base/err.h"

#define US_PER_S 1000000LL

int64_t time_now_us(void);      /* wall clock, virtual where there is one */
int64_t time_steady_us(void);   /* moves with the virtual clock too, but nobody sets it back */
int64_t time_kernel_us(void);   /* wall clock of the kernel, never virtual */
int64_t time_mono_us(void);     /* CLOCK_MONOTONIC: timeouts and measuring */
int64_t time_boot_us(void);     /* CLOCK_BOOTTIME: counts a suspended machine too */
void time_sleep_us(int64_t us); /* really sleeps */

#define TIME_TEXT_MAX 40                                    /* bytes, with the terminating zero */
void time_format_iso(int64_t us, char out[TIME_TEXT_MAX]);  /* 2026-03-01T00:00:00.123456Z */
bool time_parse_iso(const char *text, int64_t *us);         /* what that wrote, nothing else */
void time_format_iso7(int64_t us, char out[TIME_TEXT_MAX]); /* seven digits, as ARM has it */
void time_format_rfc1123(int64_t us, char out[TIME_TEXT_MAX]); /* Thu, 08 May 2025 08:01:26 GMT */

/* --- the virtual clock ------------------------------------------------------------------------ */

/* Maps the clock file, making it if create is set. Call before any thread starts. */
enum err clock_open(const char *path, bool create, struct diag *d);
bool clock_is_virtual(void);
int64_t clock_offset_us(void);

/* Turns the clock forward by us. Returns when all timers due until then have run and settled.
 * ERR_UNAVAILABLE a timer did not settle within a minute */
enum err clock_advance(int64_t us, struct diag *d);

/*
 * A timer is a thread that sleeps in timer_wait() and works in between: clock_advance() waits until
 * it sleeps again. timer_wait() returns true at due_us, false when timer_wake() was called before.
 */
struct timer;
struct timer *timer_new(void); /* NULL: no slot or memory left */
void timer_free(struct timer *t);
bool timer_wait(struct timer *t, int64_t due_us);
bool timer_wait_steady(struct timer *t, int64_t due_us); /* due_us is of time_steady_us() */
void timer_wake(struct timer *t);                        /* from any thread */
