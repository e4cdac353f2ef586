/* SPDX-License-Identifier: Apache-2.0 */
/* server/datadir.c - the lock and the clock file of a data directory */
#include "server/datadir.h"

#include "base/os.h"
#include "base/str.h"
#include "base/time.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#define LOCK_PATIENCE_US (1 * US_PER_S)

/* The processes of a supervisor that was killed hold the lock for the moment in which they die. */
static bool lock_within(int fd, int64_t us)
{
    int64_t until = time_mono_us() + us;
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (time_mono_us() > until) return false;
        time_sleep_us(20000);
    }
    return true;
}

static enum err take_lock(const char *dir, const char *name, int *out, struct diag *d)
{
    CLEANUP_FREE char *path = os_path(dir, name);
    CLEANUP_FD int low = SYS(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (low < 0) return FAIL(d, ERR_IO, "%s: %s", path, strerror(errno));
    /* Out of the way of the descriptors that children are given by number. */
    CLEANUP_FD int fd = fcntl(low, F_DUPFD_CLOEXEC, 10);
    if (fd < 0) return FAIL(d, ERR_IO, "%s: %s", path, strerror(errno));
    if (!lock_within(fd, LOCK_PATIENCE_US)) {
        return FAIL(d, ERR_CONFLICT, "%s is in use: another keystead runs on it", dir);
    }
    *out = fd;
    fd = -1;
    return OK;
}

enum err datadir_open(struct datadir *out, const char *path, enum datadir_lock locks,
                      struct diag *d)
{
    static const char *const names[] = {"lock", "vault.lock"};
    TRY(os_mkdir(path, d));
    struct datadir dd = {.path = realpath(path, NULL), .lock_fds = {-1, -1}};
    enum err e = OK;
    if (dd.path == NULL) {
        e = FAIL(d, ERR_IO, "%s: %s", path, strerror(errno));
    } else if (strlen(dd.path) > DATADIR_PATH_MAX) {
        e = FAIL(d, ERR_LIMIT, "the path of the data directory is longer than %d bytes",
                 DATADIR_PATH_MAX);
    }
    for (int i = 0; i < 2 && e == OK; i++) {
        if (((unsigned)locks >> i & 1) != 0) e = take_lock(dd.path, names[i], &dd.lock_fds[i], d);
    }
    if (e == OK) {
        *out = dd;
    } else {
        datadir_release(&dd);
    }
    return e;
}

void datadir_release(struct datadir *dd)
{
    for (int i = 0; i < 2 && dd->path != NULL; i++) {
        if (dd->lock_fds[i] >= 0) close(dd->lock_fds[i]);
    }
    free(dd->path);
    *dd = (struct datadir){.lock_fds = {-1, -1}};
}

char *datadir_path(const struct datadir *dd, const char *name)
{
    return os_path(dd->path, name);
}

enum err datadir_clock(const struct datadir *dd, bool want_virtual, struct diag *d)
{
    CLEANUP_FREE char *clock = datadir_path(dd, "clock");
    CLEANUP_FREE char *credentials = datadir_path(dd, "credentials.json");
    bool has_clock = os_exists(clock), is_new = !os_exists(credentials);
    if (want_virtual && !has_clock && !is_new) {
        return FAIL(d, ERR_CONFLICT, "%s was made without --virtual-clock: its times are real",
                    dd->path);
    }
    if (!want_virtual && has_clock) {
        return FAIL(d, ERR_CONFLICT,
                    "%s was made with --virtual-clock: its times are only true with it", dd->path);
    }
    return want_virtual ? clock_open(clock, !has_clock, d) : OK;
}
