/* SPDX-License-Identifier: Apache-2.0 */
/* crypto/secret_file.c - a PIN or a passphrase from a file */
#include "crypto/secret_file.h"

#include "base/os.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static enum err check_file(int fd, const char *what, const char *path, struct diag *d)
{
    struct stat st;
    if (fstat(fd, &st) != 0) return FAIL(d, ERR_IO, "stat %s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode)) return FAIL(d, ERR_INVALID, "%s %s is not a file", what, path);
    if ((st.st_mode & 077) != 0) {
        return FAIL(d, ERR_INVALID, "%s %s is open to others (mode %04o): chmod 600 it", what, path,
                    st.st_mode & 07777);
    }
    return OK;
}

enum err secret_from_file(const char *path, const char *what, struct secret **out, struct diag *d)
{
    CLEANUP_FD int fd = SYS(open(path, O_RDONLY | O_CLOEXEC));
    if (fd < 0) {
        return FAIL(d, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s %s: %s", what, path,
                    strerror(errno));
    }
    TRY(check_file(fd, what, path, d));
    CLEANUP(secret_free) struct secret *text = NULL;
    TRY(secret_new(&text, SECRET_LINE_MAX + 1, d));
    uint8_t *to = secret_fill(text);
    ssize_t n = SYS(read(fd, to, SECRET_LINE_MAX + 1));
    if (n < 0) return FAIL(d, ERR_IO, "read %s: %s", path, strerror(errno));
    size_t len = 0;
    while (len < (size_t)n && to[len] != '\n' && to[len] != '\r')
        len++;
    if (len == 0 || len > SECRET_LINE_MAX) {
        return FAIL(d, ERR_INVALID, "%s %s: its first line must have 1 to %d bytes", what, path,
                    SECRET_LINE_MAX);
    }
    return secret_of(out, bytes_of(to, len), d);
}
