/* SPDX-License-Identifier: Apache-2.0 */
/* base/thread.c - a bounded queue served by a fixed number of threads */
#include "base/thread.h"

#include "base/time.h"

#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

void cond_init(pthread_cond_t *c)
{
    pthread_condattr_t a;
    pthread_condattr_init(&a);
    pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
    pthread_cond_init(c, &a);
    pthread_condattr_destroy(&a);
}

bool cond_wait_until(pthread_cond_t *c, pthread_mutex_t *m, int64_t mono_us)
{
    struct timespec ts = {.tv_sec = mono_us / US_PER_S, .tv_nsec = mono_us % US_PER_S * 1000};
    return pthread_cond_timedwait(c, m, &ts) == 0;
}

enum err thread_start(pthread_t *t, void *(*run)(void *), void *arg, struct diag *d)
{
    /* Signals belong to the main thread. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int rc = pthread_create(t, NULL, run, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc == 0 ? OK : FAIL(d, ERR_LIMIT, "thread: %s", strerror(rc));
}

/* The lowest address of this thread's stack; 0 for the main thread, whose stack grows. */
static uintptr_t stack_low(void)
{
    static _Thread_local uintptr_t low;
    pthread_attr_t attr;
    void *p = NULL;
    size_t n = 0;
    if (low != 0 || getpid() == gettid() || pthread_getattr_np(pthread_self(), &attr) != 0)
        return low;
    if (pthread_attr_getstack(&attr, &p, &n) == 0) low = (uintptr_t)p;
    pthread_attr_destroy(&attr);
    return low;
}

#define PAGE       ((uintptr_t)4096)   /* elsewhere than on such pages only wipe_far() works */
#define STACK_NEAR (2 * PAGE)          /* bytes: reaches below the page that the caller stands on */
#define STACK_FAR  ((size_t)128 << 10) /* bytes: where the kernel does not take pages back */

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24 /* Linux 5.18: under mlockall() too */
#endif

__attribute__((noinline)) static void wipe_near(void)
{
    uint8_t near[STACK_NEAR];
    explicit_bzero(near, sizeof near);
}

__attribute__((noinline)) static void wipe_far(void)
{
    uint8_t far[STACK_FAR];
    explicit_bzero(far, sizeof far);
}

__attribute__((noinline)) void stack_wipe(void)
{
    uintptr_t low = stack_low(), here = (uintptr_t)__builtin_frame_address(0);
    if (low == 0 || here - low < 2 * STACK_FAR) return;
    uintptr_t end = (here - PAGE) & ~(PAGE - 1);
    wipe_near();
    if (sysconf(_SC_PAGESIZE) == (long)PAGE &&
        (madvise((void *)low, end - low, MADV_DONTNEED) == 0 ||
         madvise((void *)low, end - low, MADV_DONTNEED_LOCKED) == 0)) {
        return;
    }
    wipe_far();
}

unsigned cpu_count(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    int n = CPU_COUNT(&set);
    return n > 0 ? (unsigned)n : 1;
}

struct job {
    pool_job *run;
    void *arg;
};

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct job *queue; /* ring of queue_max */
    unsigned head, n_queued, queue_max;
    bool stopping;
    unsigned n_threads;
    pthread_t threads[];
};

static void *worker(void *arg)
{
    struct pool *p = arg;
    pthread_mutex_lock(&p->lock);
    for (;;) {
        while (p->n_queued == 0 && !p->stopping)
            pthread_cond_wait(&p->work, &p->lock);
        if (p->n_queued == 0) break;
        struct job j = p->queue[p->head];
        p->head = (p->head + 1) % p->queue_max;
        p->n_queued--;
        pthread_mutex_unlock(&p->lock);
        j.run(j.arg);
        stack_wipe();
        pthread_mutex_lock(&p->lock);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

enum err pool_new(struct pool **out, unsigned n, unsigned queue_max, struct diag *d)
{
    struct pool *p = calloc(1, sizeof *p + n * sizeof p->threads[0]);
    struct job *queue = calloc(queue_max, sizeof *queue);
    if (p == NULL || queue == NULL) {
        free(p);
        free(queue);
        return FAIL(d, ERR_LIMIT, "out of memory");
    }
    p->queue = queue;
    p->queue_max = queue_max;
    pthread_mutex_init(&p->lock, NULL);
    cond_init(&p->work);
    while (p->n_threads < n) {
        enum err e = thread_start(&p->threads[p->n_threads], worker, p, d);
        if (e != OK) {
            pool_free(p);
            return e;
        }
        p->n_threads++;
    }
    *out = p;
    return OK;
}

void pool_free(struct pool *p)
{
    if (p == NULL) return;
    pthread_mutex_lock(&p->lock);
    p->stopping = true;
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->n_threads; i++)
        pthread_join(p->threads[i], NULL);
    pthread_cond_destroy(&p->work);
    pthread_mutex_destroy(&p->lock);
    free(p->queue);
    free(p);
}

enum err pool_submit(struct pool *p, pool_job *job, void *arg, struct diag *d)
{
    LOCK_SCOPE(&p->lock);
    if (p->n_queued == p->queue_max) {
        return FAIL(d, ERR_LIMIT, "more than %u jobs are waiting", p->queue_max);
    }
    p->queue[(p->head + p->n_queued) % p->queue_max] = (struct job){job, arg};
    p->n_queued++;
    pthread_cond_signal(&p->work);
    return OK;
}

struct each {
    void (*job)(void *arg, unsigned i);
    void *arg;
    unsigned n;
    _Atomic unsigned next;
    pthread_mutex_t lock;
    pthread_cond_t done;
    unsigned n_helpers; /* that have not finished; guarded by lock */
};

static void each_run(struct each *e)
{
    for (;;) {
        unsigned i = atomic_fetch_add(&e->next, 1);
        if (i >= e->n) return;
        e->job(e->arg, i);
    }
}

static void each_helper(void *arg)
{
    struct each *e = arg;
    each_run(e);
    LOCK_SCOPE(&e->lock);
    e->n_helpers--;
    pthread_cond_signal(&e->done);
}

void pool_each(struct pool *p, unsigned n, void (*job)(void *arg, unsigned i), void *arg)
{
    struct each e = {.job = job, .arg = arg, .n = n, .lock = PTHREAD_MUTEX_INITIALIZER};
    cond_init(&e.done);
    unsigned helpers = n > 1 ? n - 1 : 0;
    if (helpers > p->n_threads) helpers = p->n_threads;
    for (unsigned i = 0; i < helpers; i++) {
        pthread_mutex_lock(&e.lock);
        e.n_helpers++;
        pthread_mutex_unlock(&e.lock);
        /* A full queue only means fewer hands: the calling thread does the rest. */
        if (pool_submit(p, each_helper, &e, NULL) != OK) {
            pthread_mutex_lock(&e.lock);
            e.n_helpers--;
            pthread_mutex_unlock(&e.lock);
            break;
        }
    }
    each_run(&e);
    pthread_mutex_lock(&e.lock);
    while (e.n_helpers != 0)
        pthread_cond_wait(&e.done, &e.lock);
    pthread_mutex_unlock(&e.lock);
    pthread_cond_destroy(&e.done);
    pthread_mutex_destroy(&e.lock);
}
