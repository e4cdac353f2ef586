/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/thread.h - a pool of threads with a queue, and a lock that is released by its scope
 */
#pragma once

#include "base/err.h"

#include <pthread.h>

static inline void lock_scope_end(pthread_mutex_t **m)
{
    pthread_mutex_unlock(*m);
}
/* Holds the mutex until the end of the enclosing block. */
#define LOCK_SCOPE(m)                                                                    \
    __attribute__((cleanup(lock_scope_end), unused)) pthread_mutex_t *lock_scope_ = (m); \
    pthread_mutex_lock(lock_scope_)

/* Waits on a condition until the monotonic time; the condition must come from cond_init(). */
void cond_init(pthread_cond_t *c);
bool cond_wait_until(pthread_cond_t *c, pthread_mutex_t *m,
                     int64_t mono_us); /* false: time is up */

enum err thread_start(pthread_t *t, void *(*run)(void *), void *arg, struct diag *d);

struct pool;
typedef void pool_job(void *arg);

/* n threads, at least 1. queue_max jobs may wait; pool_submit() beyond that is ERR_LIMIT. */
enum err pool_new(struct pool **out, unsigned n, unsigned queue_max, struct diag *d);
void pool_free(struct pool *p); /* runs what is queued, then joins; NULL is fine */
enum err pool_submit(struct pool *p, pool_job *job, void *arg, struct diag *d);

/* Runs job(arg, i) for i in [0, n) on the pool and the calling thread; returns when all are done.
 */
void pool_each(struct pool *p, unsigned n, void (*job)(void *arg, unsigned i), void *arg);

/* Gives the calling thread's stack below its caller back to the kernel: what functions that have
 * returned left there (the last block of a text, a formatted number) is gone, however deep they
 * went. For threads that handled contents and now wait. Not for the main thread: it does nothing
 * there. */
void stack_wipe(void);

unsigned cpu_count(void);
