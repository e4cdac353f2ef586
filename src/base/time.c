/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/time.c - kernel clocks, the shared virtual offset, and timers that can be settled
 *
 * The clock file is a page of shared memory: an offset that only grows, an epoch that is a futex,
 * and one slot per timer of any process. A slot of a process that died is taken over when its
 * owner's pid is gone.
 *
 * (1) offset only grows.
 * (2) A slot's due is written before its owner sleeps on the epoch it read before; so an advance
 *     that happens in between wakes it at once.
 * (3) An advance moves to the smallest due, wakes everyone, and waits until no slot is due or
 *     running.
 */
#include "base/time.h"

#include "base/os.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SLOTS     128
#define DUE_NEVER INT64_MAX
#define SETTLE_US (60 * US_PER_S)

struct slot {
    _Atomic int32_t pid;    /* 0 = free */
    _Atomic int32_t awake;  /* ASLEEP, WORKING, or WOKEN: not yet noticed by its thread */
    _Atomic int64_t due_us; /* steady time: who sets the wall's clock back makes nobody wait */
};

enum { ASLEEP, WORKING, WOKEN };

struct shared_clock {
    _Atomic int64_t offset_us;
    _Atomic uint32_t epoch;    /* futex: bumped at every advance and wake */
    _Atomic int32_t advancing; /* the process that turns it; 0 = none */
    struct slot slots[SLOTS];
};

static struct shared_clock private_clock; /* timers work without a virtual clock too */
static struct shared_clock *shared = &private_clock;
static bool is_virtual;

static int64_t read_clock(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * US_PER_S + ts.tv_nsec / 1000;
}

int64_t time_kernel_us(void)
{
    return read_clock(CLOCK_REALTIME);
}

int64_t time_mono_us(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

int64_t time_boot_us(void)
{
    return read_clock(CLOCK_BOOTTIME);
}

int64_t time_now_us(void)
{
    return time_kernel_us() + atomic_load(&shared->offset_us);
}

int64_t time_steady_us(void)
{
    return time_boot_us() + atomic_load(&shared->offset_us);
}

void time_sleep_us(int64_t us)
{
    if (us <= 0) return;
    struct timespec ts = {.tv_sec = us / US_PER_S, .tv_nsec = us % US_PER_S * 1000};
    while (nanosleep(&ts, &ts) != 0 && errno == EINTR) {
    }
}

static struct tm broken_down(int64_t us, int *fraction)
{
    int64_t s = us / US_PER_S, f = us % US_PER_S;
    if (f < 0) {
        f += US_PER_S;
        s--;
    }
    time_t t = (time_t)s;
    struct tm tm;
    gmtime_r(&t, &tm);
    *fraction = (int)f;
    return tm;
}

void time_format_iso(int64_t us, char out[TIME_TEXT_MAX])
{
    int f;
    struct tm tm = broken_down(us, &f);
    size_t n = strftime(out, TIME_TEXT_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + n, TIME_TEXT_MAX - n, ".%06dZ", f);
}

static bool two_digits(const char *p, int *out)
{
    if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9') return false;
    *out = (p[0] - '0') * 10 + (p[1] - '0');
    return true;
}

bool time_parse_iso(const char *text, int64_t *us)
{
    int part[10], i = 0; /* 20 26 11 22 04 28 20 12 34 56 */
    static const uint8_t at[10] = {0, 2, 5, 8, 11, 14, 17, 20, 22, 24};
    if (strlen(text) != 27) return false;
    while (i < 10 && two_digits(text + at[i], &part[i]))
        i++;
    if (i != 10) return false;
    struct tm tm = {.tm_year = part[0] * 100 + part[1] - 1900,
                    .tm_mon = part[2] - 1,
                    .tm_mday = part[3],
                    .tm_hour = part[4],
                    .tm_min = part[5],
                    .tm_sec = part[6]};
    int64_t v = (int64_t)timegm(&tm) * US_PER_S + part[7] * 10000LL + part[8] * 100LL + part[9];
    char again[TIME_TEXT_MAX];
    time_format_iso(v, again);
    if (strcmp(again, text) != 0) return false; /* the 31st of February, or other marks */
    *us = v;
    return true;
}

void time_format_iso7(int64_t us, char out[TIME_TEXT_MAX])
{
    int f;
    struct tm tm = broken_down(us, &f);
    size_t n = strftime(out, TIME_TEXT_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + n, TIME_TEXT_MAX - n, ".%06d0Z", f);
}

void time_format_rfc1123(int64_t us, char out[TIME_TEXT_MAX])
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    int f;
    struct tm tm = broken_down(us, &f);
    /* Not strftime: %a and %b speak the locale's language. */
    snprintf(out, TIME_TEXT_MAX, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT", days + 3 * tm.tm_wday,
             tm.tm_mday, months + 3 * tm.tm_mon, tm.tm_year + 1900, tm.tm_hour, tm.tm_min,
             tm.tm_sec);
}

enum err clock_open(const char *path, bool create, struct diag *d)
{
    CLEANUP_FD int fd = SYS(open(path, O_RDWR | O_CLOEXEC | (create ? O_CREAT : 0), 0600));
    if (fd < 0) return FAIL(d, ERR_IO, "clock %s: %s", path, strerror(errno));
    if (create && SYS(ftruncate(fd, sizeof(struct shared_clock))) != 0) {
        return FAIL(d, ERR_IO, "clock %s: %s", path, strerror(errno));
    }
    off_t size = lseek(fd, 0, SEEK_END);
    if (size != (off_t)sizeof(struct shared_clock)) {
        return FAIL(d, ERR_CORRUPT, "clock %s: %lld bytes where %zu belong", path, (long long)size,
                    sizeof(struct shared_clock));
    }
    void *p = mmap(NULL, sizeof(struct shared_clock), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED) return FAIL(d, ERR_IO, "clock %s: %s", path, strerror(errno));
    shared = p;
    is_virtual = true;
    return OK;
}

bool clock_is_virtual(void)
{
    return is_virtual;
}

int64_t clock_offset_us(void)
{
    return atomic_load(&shared->offset_us);
}

static void futex_wake_all(void)
{
    atomic_fetch_add(&shared->epoch, 1);
    syscall(SYS_futex, &shared->epoch, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static void futex_wait(uint32_t epoch, int64_t timeout_us)
{
    struct timespec ts = {.tv_sec = timeout_us / US_PER_S, .tv_nsec = timeout_us % US_PER_S * 1000};
    syscall(SYS_futex, &shared->epoch, FUTEX_WAIT, epoch, &ts, NULL, 0);
}

static bool slot_alive(struct slot *s)
{
    int32_t pid = atomic_load(&s->pid);
    if (pid == 0) return false;
    if (kill(pid, 0) == 0 || errno != ESRCH) return true;
    atomic_compare_exchange_strong(&s->pid, &pid, 0); /* its process died: the slot is free again */
    return false;
}

static int64_t smallest_due(void)
{
    int64_t due = DUE_NEVER;
    for (int i = 0; i < SLOTS; i++) {
        struct slot *s = &shared->slots[i];
        if (!slot_alive(s)) continue;
        int64_t x = atomic_load(&s->due_us);
        if (x < due) due = x;
    }
    return due;
}

static bool settled(int64_t now)
{
    for (int i = 0; i < SLOTS; i++) {
        struct slot *s = &shared->slots[i];
        if (slot_alive(s) && (atomic_load(&s->awake) != ASLEEP || atomic_load(&s->due_us) <= now)) {
            return false;
        }
    }
    return true;
}

static enum err settle(struct diag *d)
{
    int64_t give_up = time_mono_us() + SETTLE_US;
    /* "now" moves while we wait; only what was due at the start counts. */
    int64_t now = time_steady_us();
    int64_t sleep_us = 50; /* most timers have little to do */
    futex_wake_all();
    while (!settled(now)) {
        if (time_mono_us() > give_up) {
            return FAIL(d, ERR_UNAVAILABLE, "clock: a timer did not settle within %lld s",
                        SETTLE_US / US_PER_S);
        }
        time_sleep_us(sleep_us);
        if (sleep_us < 1000) sleep_us *= 2;
    }
    return OK;
}

/* Who died in the middle of an advance leaves it to the next. */
static bool begin_advance(void)
{
    int32_t who = 0, me = (int32_t)getpid();
    if (atomic_compare_exchange_strong(&shared->advancing, &who, me)) return true;
    if (kill(who, 0) == 0 || errno != ESRCH) return false;
    return atomic_compare_exchange_strong(&shared->advancing, &who, me);
}

enum err clock_advance(int64_t us, struct diag *d)
{
    if (!is_virtual) return FAIL(d, ERR_CONFLICT, "clock: not a virtual clock");
    if (us < 0) return FAIL(d, ERR_INVALID, "clock: it never goes back");
    if (!begin_advance()) return FAIL(d, ERR_CONFLICT, "clock: another advance is running");
    int64_t target = atomic_load(&shared->offset_us) + us;
    enum err e = settle(d);
    while (e == OK) {
        int64_t due = smallest_due(), left = target - atomic_load(&shared->offset_us);
        int64_t step = due == DUE_NEVER ? left : due - time_steady_us();
        if (step > left) step = left;
        if (step > 0) atomic_fetch_add(&shared->offset_us, step);
        e = settle(d);
        if (atomic_load(&shared->offset_us) >= target) break;
    }
    atomic_store(&shared->advancing, 0);
    return e;
}

struct timer {
    struct slot *slot;
};

struct timer *timer_new(void)
{
    struct timer *t = calloc(1, sizeof *t);
    for (int i = 0; t != NULL && i < SLOTS; i++) {
        struct slot *s = &shared->slots[i];
        if (slot_alive(s)) continue;
        int32_t free_pid = 0;
        if (!atomic_compare_exchange_strong(&s->pid, &free_pid, (int32_t)getpid())) continue;
        atomic_store(&s->due_us, DUE_NEVER);
        atomic_store(&s->awake, ASLEEP);
        t->slot = s;
        return t;
    }
    free(t);
    return NULL;
}

void timer_free(struct timer *t)
{
    if (t == NULL) return;
    atomic_store(&t->slot->due_us, DUE_NEVER);
    atomic_store(&t->slot->awake, ASLEEP);
    atomic_store(&t->slot->pid, 0);
    free(t);
}

bool timer_wait(struct timer *t, int64_t due_us)
{
    if (due_us == DUE_NEVER) return timer_wait_steady(t, DUE_NEVER);
    /* The offset is in both clocks. Read twice it might be turned in between, and we slept too long. */
    return timer_wait_steady(t, due_us - time_kernel_us() + time_boot_us());
}

bool timer_wait_steady(struct timer *t, int64_t due_us)
{
    struct slot *s = t->slot;
    atomic_store(&s->due_us, due_us);
    int32_t working = WORKING;
    bool due = false;
    /* A new timer's slot is ASLEEP already. WOKEN stays until here: no advance passes over a wake.
     */
    bool woken = !atomic_compare_exchange_strong(&s->awake, &working, ASLEEP) && working == WOKEN;
    while (!woken) {
        uint32_t epoch = atomic_load(&shared->epoch); /* (2) */
        if (atomic_load(&s->awake) == WOKEN) break;
        int64_t left = due_us - time_steady_us();
        if (left <= 0) {
            due = true;
            break;
        }
        futex_wait(epoch, left < 3600 * US_PER_S ? left : 3600 * US_PER_S);
    }
    atomic_store(&s->awake, WORKING);
    atomic_store(&s->due_us, DUE_NEVER);
    return due;
}

void timer_wake(struct timer *t)
{
    atomic_store(&t->slot->awake, WOKEN);
    futex_wake_all();
}
