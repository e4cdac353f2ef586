/* SPDX-License-Identifier: Apache-2.0 */
/* base/os.c - whole files, durably; and the seam through which a test breaks the disk */
#include "base/os.h"

#include "base/str.h"
#include "base/rand.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static _Atomic uint64_t fault_countdown; /* 0 = none armed */
static _Atomic bool fault_hit;
static _Atomic int fault_errno;

bool os_fault(void)
{
    if (atomic_load(&fault_countdown) == 0) return false;
    if (atomic_fetch_sub(&fault_countdown, 1) != 1) return false;
    atomic_store(&fault_hit, true);
    if (atomic_load(&fault_errno) == OS_FAULT_KILL) kill(getpid(), SIGKILL);
    errno = atomic_load(&fault_errno);
    return true;
}

void os_fault_arm(uint64_t nth, int error)
{
    atomic_store(&fault_errno, error);
    atomic_store(&fault_hit, false);
    atomic_store(&fault_countdown, nth);
}

bool os_fault_fired(void)
{
    return atomic_load(&fault_hit);
}

enum err os_read_file(const char *path, size_t max, struct buf *out, struct diag *d)
{
    CLEANUP_FD int fd = SYS(open(path, O_RDONLY | O_CLOEXEC));
    if (fd < 0) {
        enum err e = errno == ENOENT ? ERR_NOT_FOUND : ERR_IO;
        return FAIL(d, e, "open %s: %s", path, strerror(errno));
    }
    size_t total = 0;
    for (;;) {
        uint8_t chunk[16384];
        ssize_t n = SYS(read(fd, chunk, sizeof chunk));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return FAIL(d, ERR_IO, "read %s: %s", path, strerror(errno));
        if (n > 0) buf_bytes(out, bytes_of(chunk, (size_t)n));
        explicit_bzero(chunk, sizeof chunk); /* files with keys come through here too */
        if (n == 0) break;
        total += (size_t)n;
        if (total > max) return FAIL(d, ERR_LIMIT, "%s is longer than %zu bytes", path, max);
    }
    return buf_check(out, d);
}

enum err os_write_all(int fd, struct bytes b, struct diag *d)
{
    while (b.len != 0) {
        ssize_t n = SYS(write(fd, b.p, b.len));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return FAIL(d, ERR_IO, "write: %s", strerror(errno));
        b.p += n;
        b.len -= (size_t)n;
    }
    return OK;
}

enum err os_pread_all(int fd, void *to, size_t n, uint64_t offset, struct diag *d)
{
    uint8_t *p = to;
    while (n != 0) {
        ssize_t k = SYS(pread(fd, p, n, (off_t)offset));
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return FAIL(d, ERR_IO, "read: %s", strerror(errno));
        if (k == 0) return FAIL(d, ERR_CORRUPT, "the file ends %zu bytes too early", n);
        p += k;
        n -= (size_t)k;
        offset += (uint64_t)k;
    }
    return OK;
}

enum err os_fsync_dir(const char *path, struct diag *d)
{
    CLEANUP_FD int fd = SYS(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd < 0) return FAIL(d, ERR_IO, "open directory %s: %s", path, strerror(errno));
    if (SYS(fsync(fd)) != 0)
        return FAIL(d, ERR_IO, "fsync directory %s: %s", path, strerror(errno));
    return OK;
}

static enum err fsync_parent(const char *path, struct diag *d)
{
    CLEANUP_FREE char *copy = strdup(path);
    if (copy == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    return os_fsync_dir(dirname(copy), d);
}

static enum err write_new(const char *path, struct bytes b, struct diag *d)
{
    CLEANUP_FD int fd = SYS(open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (fd < 0) return FAIL(d, ERR_IO, "create %s: %s", path, strerror(errno));
    TRY(os_write_all(fd, b, d));
    if (SYS(fsync(fd)) != 0) return FAIL(d, ERR_IO, "fsync %s: %s", path, strerror(errno));
    return OK;
}

enum err os_replace(const char *path, struct bytes b, struct diag *d)
{
    CLEANUP_FREE char *temp = str_fmt("%s.%016llx.tmp", path, (unsigned long long)rand_u64());
    if (temp == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    enum err e = write_new(temp, b, d);
    if (e == OK && SYS(rename(temp, path)) != 0) {
        e = FAIL(d, ERR_IO, "rename %s: %s", path, strerror(errno));
    }
    if (e != OK) {
        unlink(temp);
        return e;
    }
    /* Without this the rename itself may be lost: it lives in the directory, not in the file. */
    return fsync_parent(path, d);
}

enum err os_mkdir(const char *path, struct diag *d)
{
    char part[PATH_MAX];
    size_t n = strlen(path);
    if (n == 0 || n >= sizeof part) return FAIL(d, ERR_INVALID, "bad directory name '%.80s'", path);
    for (size_t i = 1; i <= n; i++) {
        if (path[i] != '/' && path[i] != 0) continue;
        memcpy(part, path, i);
        part[i] = 0;
        if (SYS(mkdir(part, 0700)) == 0) {
            TRY(fsync_parent(part, d));
        } else if (errno != EEXIST) {
            return FAIL(d, ERR_IO, "mkdir %s: %s", part, strerror(errno));
        }
    }
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        return FAIL(d, ERR_IO, "%s is not a directory", path);
    }
    return OK;
}

enum err os_remove(const char *path, struct diag *d)
{
    if (SYS(unlink(path)) != 0) {
        if (errno == ENOENT) return OK;
        return FAIL(d, ERR_IO, "unlink %s: %s", path, strerror(errno));
    }
    return fsync_parent(path, d);
}

bool os_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

char *os_path(const char *dir, const char *name)
{
    return str_fmt("%s/%s", dir, name);
}

/* /proc/swaps: a line of headings, then one line per device. */
bool os_has_swap(void)
{
    CLEANUP_BUF struct buf text = {0};
    if (os_read_file("/proc/swaps", 64 << 10, &text, NULL) != OK)
        return true; /* unknown is not safe */
    const char *first_end = strchr(buf_cstr(&text), '\n');
    return first_end != NULL && first_end[1] != 0;
}
