/* SPDX-License-Identifier: Apache-2.0 */
/* kvstore/rootkey.c - the file that holds a root key */
#include "kvstore/rootkey.h"

#include "base/os.h"
#include "base/rand.h"
#include "base/str.h"

#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEX_LEN  (2 * ROOT_KEY_LEN)
#define FILE_MAX (HEX_LEN + 2) /* a newline of either kind may follow */

static enum err check_file(int fd, const char *path, struct diag *d)
{
    struct stat st;
    if (SYS(fstat(fd, &st)) != 0) return FAIL(d, ERR_IO, "stat %s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode)) return FAIL(d, ERR_INVALID, "root key %s is not a file", path);
    if ((st.st_mode & 077) != 0) {
        return FAIL(d, ERR_INVALID, "root key %s is open to others (mode %04o): chmod 600 it", path,
                    st.st_mode & 07777);
    }
    return OK;
}

/* The key in n bytes of a file. */
static enum err parse(const uint8_t *text, size_t n, const char *path, struct secret **out,
                      struct diag *d)
{
    if (n == ROOT_KEY_LEN) return secret_of(out, bytes_of(text, n), d);

    while (n > HEX_LEN && (text[n - 1] == '\n' || text[n - 1] == '\r'))
        n--;
    CLEANUP(secret_free) struct secret *s = NULL;
    TRY(secret_new(&s, ROOT_KEY_LEN, d));
    if (hex_decode(bytes_of(text, n), secret_fill(s), ROOT_KEY_LEN, NULL) != OK) {
        return FAIL(d, ERR_INVALID, "root key %s holds neither %d bytes nor %d hex digits", path,
                    ROOT_KEY_LEN, HEX_LEN);
    }
    *out = TAKE(s);
    return OK;
}

enum err root_key_read(const char *path, struct secret **out, struct diag *d)
{
    CLEANUP_FD int fd = SYS(open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (fd < 0) {
        enum err e = errno == ENOENT ? ERR_NOT_FOUND : ERR_IO;
        return FAIL(d, e, "root key %s: %s", path, strerror(errno));
    }
    TRY(check_file(fd, path, d));
    uint8_t text[FILE_MAX + 1];
    ssize_t n = SYS(read(fd, text, sizeof text));
    if (n < 0) return FAIL(d, ERR_IO, "read %s: %s", path, strerror(errno));
    enum err e = parse(text, (size_t)n, path, out, d);
    wipe(text, sizeof text);
    return e;
}

static enum err write_temp(const char *temp, const struct secret *key, struct diag *d)
{
    CLEANUP_FD int fd = SYS(open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (fd < 0) return FAIL(d, ERR_IO, "create %s: %s", temp, strerror(errno));
    char text[HEX_LEN + 1];
    hex_encode(secret_view(key), text);
    text[HEX_LEN] = '\n';
    enum err e = os_write_all(fd, bytes_of(text, sizeof text), d);
    wipe(text, sizeof text);
    TRY(e);
    if (SYS(fsync(fd)) != 0) return FAIL(d, ERR_IO, "fsync %s: %s", temp, strerror(errno));
    return OK;
}

enum err root_key_create(const char *path, struct secret **out, struct diag *d)
{
    CLEANUP_FREE char *temp = str_fmt("%s.%016llx.tmp", path, (unsigned long long)rand_u64());
    CLEANUP_FREE char *copy = str_dup(path);
    if (temp == NULL || copy == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    CLEANUP(secret_free) struct secret *key = NULL;
    TRY(secret_random(&key, ROOT_KEY_LEN, d));

    enum err e = write_temp(temp, key, d);
    /* link() and not rename(): a key that is there already must not be replaced. */
    if (e == OK && SYS(link(temp, path)) != 0) {
        e = FAIL(d, errno == EEXIST ? ERR_CONFLICT : ERR_IO, "root key %s: %s", path,
                 strerror(errno));
    }
    unlink(temp);
    TRY(e);
    TRY(os_fsync_dir(dirname(copy), d));
    *out = TAKE(key);
    return OK;
}
