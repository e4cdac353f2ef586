/* SPDX-License-Identifier: Apache-2.0 */
/* crypto/secret_file.c - a PIN or a passphrase from a file, a descriptor or a systemd credential */
#include "crypto/secret_file.h"

#include "base/os.h"
#include "base/str.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FD_PREFIX         "fd:"
#define CREDENTIAL_PREFIX "credential:"
#define FD_MAX            1023

/* others: of the mode, what nobody else may have. */
static enum err check_file(int fd, mode_t others, const char *what, const char *path,
                           struct diag *d)
{
    struct stat st;
    if (fstat(fd, &st) != 0) return FAIL(d, ERR_IO, "stat %s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode)) return FAIL(d, ERR_INVALID, "%s %s is not a file", what, path);
    if ((st.st_mode & others) != 0) {
        return FAIL(d, ERR_INVALID, "%s %s is open to others (mode %04o): chmod 600 it", what, path,
                    st.st_mode & 07777);
    }
    return OK;
}

static enum err open_file(const char *path, mode_t others, const char *what, int *out,
                          struct diag *d)
{
    int fd = SYS(open(path, O_RDONLY | O_CLOEXEC));
    if (fd < 0) {
        return FAIL(d, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s %s: %s", what, path,
                    strerror(errno));
    }
    enum err e = check_file(fd, others, what, path, d);
    if (e == OK) {
        *out = fd;
    } else {
        close(fd);
    }
    return e;
}

/* systemd keeps them in a directory that nobody else can enter, and may let a service read its own
 * by an access list, which looks like the group's right. */
static enum err open_credential(const char *name, const char *what, int *out, struct diag *d)
{
    const char *dir = getenv("CREDENTIALS_DIRECTORY");
    if (name[0] == 0 || name[0] == '.' || strchr(name, '/') != NULL)
        return FAIL(d, ERR_INVALID, "%s: \"%.60s\" is not the name of a credential", what, name);
    if (dir == NULL) {
        return FAIL(
            d, ERR_NOT_FOUND,
            "%s: $CREDENTIALS_DIRECTORY is not set: systemd sets it for LoadCredential=", what);
    }
    CLEANUP_FREE char *path = os_path(dir, name);
    if (path == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    return open_file(path, 007, what, out, d);
}

/* Ours alone from here on: it is closed when it has been read. */
static enum err open_fd(const char *number, const char *what, int *out, struct diag *d)
{
    uint64_t fd = 0;
    if (str_u64(number, FD_MAX, &fd, NULL) != OK || fd <= STDERR_FILENO ||
        fcntl((int)fd, F_GETFD) < 0) {
        return FAIL(d, ERR_INVALID, "%s: \"%.20s\" is not an open descriptor, 3 to %d", what,
                    number, FD_MAX);
    }
    *out = (int)fd;
    return OK;
}

static enum err open_source(const char *path, const char *what, int *out, struct diag *d)
{
    if (str_starts(path, FD_PREFIX)) return open_fd(path + strlen(FD_PREFIX), what, out, d);
    if (str_starts(path, CREDENTIAL_PREFIX))
        return open_credential(path + strlen(CREDENTIAL_PREFIX), what, out, d);
    return open_file(path, 077, what, out, d);
}

/* To the end, a newline or the limit: a pipe gives what it has. */
static enum err read_line(int fd, uint8_t *to, size_t max, size_t *len, struct diag *d)
{
    for (size_t have = 0;;) {
        ssize_t n = have < max ? SYS(read(fd, to + have, max - have)) : 0;
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return FAIL(d, ERR_IO, "read: %s", strerror(errno));
        for (size_t i = have; i < have + (size_t)n; i++) {
            if (to[i] != '\n' && to[i] != '\r') continue;
            *len = i;
            return OK;
        }
        have += (size_t)n;
        if (n != 0) continue;
        *len = have;
        return OK;
    }
}

enum err secret_from_file(const char *path, const char *what, struct secret **out, struct diag *d)
{
    CLEANUP_FD int fd = -1;
    CLEANUP(secret_free) struct secret *text = NULL;
    size_t len = 0;
    TRY(open_source(path, what, &fd, d));
    TRY(secret_new(&text, SECRET_LINE_MAX + 1, d));
    TRY(read_line(fd, secret_fill(text), SECRET_LINE_MAX + 1, &len, d));
    if (len == 0 || len > SECRET_LINE_MAX) {
        return FAIL(d, ERR_INVALID, "%s %s: its first line must have 1 to %d bytes", what, path,
                    SECRET_LINE_MAX);
    }
    return secret_of(out, bytes_of(secret_peek(text), len), d);
}

bool secret_is_fd(const char *path)
{
    return path != NULL && str_starts(path, FD_PREFIX);
}

enum err secret_pipe(const struct secret *s, int *out, struct diag *d)
{
    int fds[2];
    if (SYS(pipe2(fds, O_CLOEXEC)) != 0) return FAIL(d, ERR_IO, "pipe: %s", strerror(errno));
    ssize_t n = SYS(write(fds[1], secret_peek(s), secret_len(s))); /* fits: SECRET_LINE_MAX */
    close(fds[1]);
    if (n == (ssize_t)secret_len(s)) {
        *out = fds[0];
        return OK;
    }
    close(fds[0]);
    return FAIL(d, ERR_IO, "pipe: %s", strerror(errno));
}
