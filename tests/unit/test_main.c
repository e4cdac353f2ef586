/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test_main.c - the list of registered tests, handed to cmocka */
#include "test.h"

#include "base/str.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TESTS_MAX 1000

static struct CMUnitTest tests[TESTS_MAX];
static size_t n_tests;
static char dir[64];

void test_register(const char *name, void (*run)(void **state))
{
    if (n_tests == TESTS_MAX) abort();
    tests[n_tests++] = (struct CMUnitTest){.name = name, .test_func = run};
}

bool fault_sweep_next(uint64_t n)
{
    bool more = n == 1 || os_fault_fired();
    os_fault_arm(more ? n : 0, EIO);
    return more;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *f)
{
    (void)st, (void)flag, (void)f;
    return remove(path);
}

static void remove_dir(void)
{
    if (dir[0] != 0) nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *test_dir(void)
{
    if (dir[0] == 0) {
        snprintf(dir, sizeof dir, "/tmp/keystead-test-XXXXXX");
        if (mkdtemp(dir) == NULL) abort();
        atexit(remove_dir);
    }
    return dir;
}

const char *test_shared(const char *name)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/../shared/%s", KEYSTEAD_SOURCE_DIR, name);
    if (access(path, R_OK) == 0) return path;
    fprintf(stderr, "corpus not present: %s\n", path);
    return NULL;
}

int main(void)
{
    return _cmocka_run_group_tests("keystead", tests, n_tests, NULL, NULL) == 0 ? 0 : 1;
}
