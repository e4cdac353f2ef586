/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/base/os.c - files stay whole whatever fails */
#include "test.h"

#include "base/str.h"

#include <stdio.h>
#include <sys/stat.h>

/* Not through base/os.h: the sweep would break these too. */
static bool put(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    return f != NULL && fputs(text, f) >= 0 && fclose(f) == 0;
}

static bool file_is(const char *path, const char *want)
{
    char got[32] = "";
    FILE *f = fopen(path, "r");
    if (f == NULL) return false;
    size_t n = fread(got, 1, sizeof got - 1, f);
    fclose(f);
    return n == strlen(want) && memcmp(got, want, n) == 0;
}

TEST(os, a_replaced_file_is_the_old_one_or_the_new_one_whatever_call_fails)
{
    CLEANUP_FREE char *path = os_path(test_dir(), "replaced");
    FAULT_SWEEP (n) {
        REQUIRE(put(path, "old"));
        enum err e = os_replace(path, BYTES("new"), NULL);
        REQUIRE(file_is(path, "new") || (e != OK && file_is(path, "old")));
    }
    REQUIRE(file_is(path, "new"));
}

TEST(os, secrets_are_not_for_other_users)
{
    struct diag d = DIAG_INIT;
    CLEANUP_FREE char *path = os_path(test_dir(), "secret");
    struct stat st;
    REQUIRE_OK(os_replace(path, BYTES("x"), &d));
    REQUIRE(stat(path, &st) == 0);
    EXPECT_EQ(st.st_mode & 0777, 0600);
}

TEST(os, a_file_over_the_limit_is_refused_and_a_missing_one_is_not_found)
{
    struct diag d = DIAG_INIT;
    CLEANUP_BUF struct buf b = {0};
    CLEANUP_FREE char *path = os_path(test_dir(), "long");
    REQUIRE_OK(os_replace(path, BYTES("0123456789"), &d));
    REQUIRE_ERR(ERR_LIMIT, os_read_file(path, 9, &b, &d));
    REQUIRE_ERR(ERR_NOT_FOUND, os_read_file("/nonexistent/file", 9, &b, &d));
}

TEST(os, directories_are_made_with_their_parents)
{
    struct diag d = DIAG_INIT;
    CLEANUP_FREE char *path = os_path(test_dir(), "a/b/c");
    REQUIRE_OK(os_mkdir(path, &d));
    REQUIRE_OK(os_mkdir(path, &d));
    REQUIRE(os_exists(path));
    CLEANUP_FREE char *file = os_path(test_dir(), "file");
    REQUIRE_OK(os_replace(file, BYTES("x"), &d));
    REQUIRE_ERR(ERR_IO, os_mkdir(file, &d));
}
