/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/base/remains.c - what functions left on a stack is gone when a thread says so */
#include "memory.h"

#include "base/thread.h"

#include <sys/mman.h>

#define MASKED "gzve|pg8ezg|t9vghzg8fatv~" /* each byte XOR MEMORY_MASK */
#define DEEP   (900 << 10)                 /* bytes */

static size_t before, after;

__attribute__((noinline)) static void leave_traces(unsigned depth)
{
    volatile char frame[1 << 10];
    for (size_t i = 0; i < sizeof frame; i++)
        frame[i] = (char)(MASKED[i % (sizeof MASKED - 1)] ^ MEMORY_MASK);
    if (depth != 0) leave_traces(depth - 1);
    frame[0] = 0;
}

static void *work(void *arg)
{
    (void)arg;
    leave_traces(DEEP >> 10);
    before = memory_count(MASKED);
    stack_wipe();
    after = memory_count(MASKED);
    return NULL;
}

TEST(thread, a_stack_that_was_wiped_holds_nothing_however_deep_it_was)
{
    struct diag d = DIAG_INIT;
    pthread_t t;
    if (!MEMORY_SEARCHED) return;
    REQUIRE_OK(thread_start(&t, work, NULL, &d));
    pthread_join(t, NULL);
    REQUIRE(before > 1000);
    EXPECT_EQ(after, 0);
}

static void leave(void *arg)
{
    (void)arg;
    leave_traces(100);
    usleep(20000); /* so that both threads take part */
}

TEST(thread, a_pool_wipes_the_stacks_of_its_threads_after_each_job)
{
    struct diag d = DIAG_INIT;
    struct pool *p = NULL;
    if (!MEMORY_SEARCHED) return;
    REQUIRE_OK(pool_new(&p, 2, 8, &d));
    for (int i = 0; i < 8; i++)
        REQUIRE_OK(pool_submit(p, leave, NULL, &d));
    usleep(500000);
    EXPECT_EQ(memory_count(MASKED), 0);
    pool_free(p);
}

static void *work_locked(void *arg)
{
    char page[4096];
    /* A locked stack refuses to be given back the usual way. */
    int rc = mlock((void *)((uintptr_t)page & ~(uintptr_t)4095), 4096);
    return rc == 0 ? work(arg) : arg;
}

TEST(thread, a_stack_that_is_locked_is_wiped_too)
{
    struct diag d = DIAG_INIT;
    pthread_t t;
    void *refused = NULL;
    if (!MEMORY_SEARCHED) return;
    before = after = 0;
    REQUIRE_OK(thread_start(&t, work_locked, &d, &d));
    pthread_join(t, &refused);
    REQUIRE(refused != NULL || before > 1000);
    EXPECT_EQ(after, 0);
}
