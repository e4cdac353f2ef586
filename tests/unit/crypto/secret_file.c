/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/crypto/secret_file.c - where a passphrase may come from, and from where not */
#include "test.h"

#include "base/os.h"
#include "base/str.h"
#include "crypto/secret_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct diag d;

static char *write_text(const char *name, const char *text, mode_t mode)
{
    char *path = str_fmt("%s/%s", test_dir(), name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    REQUIRE(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    REQUIRE(fchmod(fd, mode) == 0);
    close(fd);
    return path;
}

static enum err read_it(const char *from, const char *want)
{
    CLEANUP(secret_free) struct secret *s = NULL;
    diag_reset(&d);
    enum err e = secret_from_file(from, "passphrase", &s, &d);
    if (e == OK) REQUIRE(secret_eq(secret_view(s), bytes_str(want)));
    return e;
}

TEST(secret_file, the_first_line_of_a_file_that_nobody_else_reads)
{
    char *good = write_text("good", "open sesame\nsecond\n", 0600),
         *bare = write_text("bare", "open sesame", 0400), *open = write_text("open", "x\n", 0640),
         *empty = write_text("empty", "\n", 0600);
    REQUIRE_OK(read_it(good, "open sesame"));
    REQUIRE_OK(read_it(bare, "open sesame"));
    REQUIRE_ERR(ERR_INVALID, read_it(open, ""));
    REQUIRE_ERR(ERR_INVALID, read_it(empty, ""));
    REQUIRE_ERR(ERR_NOT_FOUND, read_it("/nonexistent/file", ""));
    free(good);
    free(bare);
    free(open);
    free(empty);
}

TEST(secret_file, a_credential_of_systemd_lies_in_its_directory_and_nowhere_else)
{
    char *path = write_text("phrase", "open sesame\n", 0440);
    unsetenv("CREDENTIALS_DIRECTORY");
    REQUIRE_ERR(ERR_NOT_FOUND, read_it("credential:phrase", ""));
    setenv("CREDENTIALS_DIRECTORY", test_dir(), 1);
    REQUIRE_OK(read_it("credential:phrase", "open sesame")); /* as an access list shows */
    REQUIRE_ERR(ERR_NOT_FOUND, read_it("credential:other", ""));
    static const char *const bad[] = {"credential:", "credential:../phrase", "credential:.",
                                      "credential:/etc/passwd"};
    for (int i = 0; i < 4; i++)
        REQUIRE_ERR(ERR_INVALID, read_it(bad[i], ""));
    REQUIRE(chmod(path, 0444) == 0);
    REQUIRE_ERR(ERR_INVALID, read_it("credential:phrase", ""));
    unsetenv("CREDENTIALS_DIRECTORY");
    free(path);
}

TEST(secret_file, a_descriptor_is_read_once_and_closed)
{
    char name[16];
    int fds[2];
    REQUIRE(pipe(fds) == 0);
    REQUIRE(write(fds[1], "open ", 5) == 5 && write(fds[1], "sesame", 6) == 6);
    close(fds[1]);
    snprintf(name, sizeof name, "fd:%d", fds[0]);
    REQUIRE_OK(read_it(name, "open sesame"));
    REQUIRE_ERR(ERR_INVALID, read_it(name, ""));
    static const char *const bad[] = {"fd:", "fd:0", "fd:2", "fd:x", "fd:1022"};
    for (int i = 0; i < 5; i++)
        REQUIRE_ERR(ERR_INVALID, read_it(bad[i], ""));
    REQUIRE(secret_is_fd("fd:3") && !secret_is_fd("/fd:3") && !secret_is_fd(NULL));
}

TEST(secret_file, what_goes_into_a_pipe_comes_out_of_it)
{
    CLEANUP(secret_free) struct secret *s = NULL;
    char name[16];
    int fd = -1;
    diag_reset(&d);
    REQUIRE_OK(secret_of(&s, BYTES("open sesame"), &d));
    for (int i = 0; i < 2; i++) {
        REQUIRE_OK(secret_pipe(s, &fd, &d));
        snprintf(name, sizeof name, "fd:%d", fd);
        REQUIRE_OK(read_it(name, "open sesame"));
    }
}
