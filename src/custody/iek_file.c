/* SPDX-License-Identifier: Apache-2.0 */
/* custody/iek_file.c - the infrastructure key's custodian that is a file: best on another disk */
#include "custody/iek.h"

#include "base/os.h"
#include "crypto/sealed.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum err make_file(const char *path, struct diag *d)
{
    CLEANUP(secret_free) struct secret *key = NULL;
    TRY(secret_random(&key, IEK_LEN, d));
    return os_replace(path, secret_view(key), d);
}

static enum err check_file(int fd, const char *path, struct diag *d)
{
    struct stat st;
    if (SYS(fstat(fd, &st)) != 0) return FAIL(d, ERR_IO, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode) || st.st_size != IEK_LEN) {
        return FAIL(d, ERR_INVALID, "infrastructure key %s: %" PRIu64 " bytes; it has exactly %d",
                    path, (uint64_t)st.st_size, IEK_LEN);
    }
    if ((st.st_mode & 077) == 0) return OK;
    return FAIL(d, ERR_INVALID,
                "infrastructure key %s: others may read it (mode %04o); make it 0600", path,
                (unsigned)(st.st_mode & 07777));
}

enum err iek_file_open(const char *path, bool make, struct secret **out, struct diag *d)
{
    if (make && !os_exists(path)) TRY(make_file(path, d));
    CLEANUP_FD int fd = SYS(open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (fd < 0 && errno == ENOENT)
        return FAIL(d, ERR_NOT_FOUND, "infrastructure key %s is missing", path);
    if (fd < 0) return FAIL(d, ERR_IO, "infrastructure key %s: %s", path, strerror(errno));
    TRY(check_file(fd, path, d));
    CLEANUP(secret_free) struct secret *key = NULL;
    TRY(secret_new(&key, IEK_LEN, d));
    TRY(os_pread_all(fd, secret_fill(key), IEK_LEN, 0, d));
    *out = TAKE(key);
    return OK;
}
