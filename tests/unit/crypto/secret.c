/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/crypto/secret.c - locked memory, and what happens to it */
#include "test.h"

#include "base/thread.h"
#include "crypto/secret.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

TEST(secret, a_new_secret_is_zero_and_a_copy_is_equal)
{
    struct diag d = DIAG_INIT;
    static const uint8_t zeros[5000];
    for (size_t len = 0; len <= sizeof zeros; len = len < 70 ? len + 1 : len * 2 + 1) {
        CLEANUP(secret_free) struct secret *a = NULL, *b = NULL;
        REQUIRE_OK(secret_new(&a, len, &d));
        EXPECT_EQ(secret_len(a), len);
        REQUIRE(secret_eq(secret_view(a), bytes_of(zeros, len)));
        if (len != 0) memset(secret_fill(a), 0x5a, len);
        REQUIRE_OK(secret_of(&b, secret_view(a), &d));
        REQUIRE(secret_eq(secret_view(a), secret_view(b)));
        if (len == 0) continue;
        secret_fill(b)[len - 1] ^= 1;
        REQUIRE(!secret_eq(secret_view(a), secret_view(b)));
        REQUIRE(!secret_eq(secret_view(a), bytes_of(secret_peek(a), len - 1)));
    }
}

TEST(secret, memory_that_comes_back_is_zero)
{
    struct diag d = DIAG_INIT;
    static const uint8_t zeros[64];
    struct secret *keep, *s;
    REQUIRE_OK(secret_new(&keep, 64, &d)); /* holds the region */
    for (int i = 0; i < 300; i++) {
        REQUIRE_OK(secret_random(&s, 64, &d));
        secret_free(s);
        REQUIRE_OK(secret_new(&s, 64, &d));
        REQUIRE(secret_eq(secret_view(s), BYTES_OF(zeros)));
        secret_free(s);
    }
    secret_free(keep);
}

TEST(secret, ten_thousand_file_keys_fit_into_a_small_lock_limit)
{
    struct diag d = DIAG_INIT;
    enum { N = 10000 };
    struct secret **all = calloc(N, sizeof(struct secret *));
    REQUIRE(all != NULL);
    for (unsigned i = 0; i < N; i++) {
        REQUIRE_OK(secret_new(&all[i], 64, &d));
        memcpy(secret_fill(all[i]), &i, sizeof i);
    }
    for (unsigned i = 0; i < N; i++)
        EXPECT_EQ(memcmp(secret_peek(all[i]), &i, sizeof i), 0);
    for (unsigned i = 0; i < N; i++)
        secret_free(all[i]);
    free(all);
}

#if !defined(__SANITIZE_ADDRESS__)
/* The flags the kernel keeps for the mapping at p, "" when there is none. */
static void vm_flags(const void *p, char *out, size_t n)
{
    FILE *f = fopen("/proc/self/smaps", "re");
    REQUIRE(f != NULL);
    char line[512];
    bool here = false;
    snprintf(out, n, "%s", "");
    while (fgets(line, sizeof line, f) != NULL) {
        unsigned long from, to;
        if (sscanf(line, "%lx-%lx", &from, &to) == 2) {
            here = from <= (unsigned long)p && (unsigned long)p < to;
        } else if (here && strncmp(line, "VmFlags:", 8) == 0) {
            snprintf(out, n, "%s", line + 8);
        }
    }
    fclose(f);
}

TEST(secret, pages_are_locked_and_left_out_of_dumps_and_children)
{
    struct diag d = DIAG_INIT;
    CLEANUP(secret_free) struct secret *small = NULL, *large = NULL;
    REQUIRE_OK(secret_new(&small, 32, &d));
    REQUIRE_OK(secret_new(&large, 100000, &d));
    const struct secret *both[] = {small, large};
    for (int i = 0; i < 2; i++) {
        char flags[256];
        vm_flags(secret_peek(both[i]), flags, sizeof flags);
        if (strstr(flags, " lo") == NULL || strstr(flags, " dd") == NULL ||
            strstr(flags, " dc") == NULL) {
            fail_msg("flags: %s", flags);
        }
    }
}

TEST(secret, a_forked_child_sees_zeros_and_can_use_its_own)
{
    struct diag d = DIAG_INIT;
    static const uint8_t zeros[32];
    CLEANUP(secret_free) struct secret *s = NULL;
    REQUIRE_OK(secret_random(&s, 32, &d));
    REQUIRE(!secret_eq(secret_view(s), BYTES_OF(zeros)));
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        struct secret *own;
        int bad = !secret_eq(secret_view(s), BYTES_OF(zeros));
        bad += secret_random(&own, 32, NULL) != OK;
        if (!bad) secret_free(own);
        secret_free(s);
        _exit(bad);
    }
    int status;
    REQUIRE(waitpid(child, &status, 0) == child);
    EXPECT_EQ(status, 0);
    REQUIRE(!secret_eq(secret_view(s), BYTES_OF(zeros)));
}
#endif

static void churn(void *arg, unsigned i)
{
    (void)arg;
    for (unsigned n = 0; n < 50; n++) {
        struct secret *s;
        size_t len = 1 + (i * 37 + n * 101) % 6000;
        if (secret_new(&s, len, NULL) != OK) abort();
        memset(secret_fill(s), (int)i, len);
        for (size_t k = 0; k < len; k++) {
            if (secret_peek(s)[k] != (uint8_t)i) abort();
        }
        secret_free(s);
    }
}

TEST(secret, threads_never_share_a_slot)
{
    struct diag d = DIAG_INIT;
    struct pool *p;
    REQUIRE_OK(pool_new(&p, 4, 16, &d));
    pool_each(p, 100, churn, NULL);
    pool_free(p);
}
