/* SPDX-License-Identifier: Apache-2.0 */
/* custody/landlock.c - the three system calls of Landlock; Documentation/userspace-api/landlock.rst
 */
#include "custody/landlock.h"

#include "base/bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Headers may be older than the kernel: rights by their bit, struct by its first two fields. */
#define FS_RIGHTS_ABI_1 ((UINT64_C(1) << 13) - 1)
#define FS_REFER        (UINT64_C(1) << 13) /* since ABI 2 */
#define FS_TRUNCATE     (UINT64_C(1) << 14) /* 3 */
#define FS_IOCTL_DEV    (UINT64_C(1) << 15) /* 5 */
#define NET_BIND_TCP    (UINT64_C(1) << 0)  /* 4 */

#define READ_FILE LANDLOCK_ACCESS_FS_READ_FILE
#define READ_DIR  LANDLOCK_ACCESS_FS_READ_DIR

struct ruleset_attr {
    uint64_t fs, net;
};

static enum err add_rule(int ruleset, int fd, uint64_t rights, struct diag *d)
{
    const struct landlock_path_beneath_attr rule = {.allowed_access = rights, .parent_fd = fd};
    if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0)
        return OK;
    return FAIL(d, ERR_UNSUPPORTED, "landlock: %s", strerror(errno));
}

static enum err allow_reading(int ruleset, const char *path, struct diag *d)
{
    struct stat st;
    CLEANUP_FD int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) return OK;
    return add_rule(ruleset, fd, S_ISDIR(st.st_mode) ? READ_FILE | READ_DIR : READ_FILE, d);
}

static enum err allow_writing(int ruleset, const char *path, uint64_t handled, struct diag *d)
{
    CLEANUP_FD int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return FAIL(d, ERR_IO, "%s: %s", path, strerror(errno));
    uint64_t rights = READ_FILE | READ_DIR | LANDLOCK_ACCESS_FS_WRITE_FILE |
                      LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE | FS_TRUNCATE;
    return add_rule(ruleset, fd, rights & handled, d);
}

static enum err add_rules(int ruleset, const struct landlock_paths *p, uint64_t handled,
                          struct diag *d)
{
    for (const char *const *path = p->writable; path != NULL && *path != NULL; path++)
        TRY(allow_writing(ruleset, *path, handled, d));
    for (const char *const *path = p->readable; path != NULL && *path != NULL; path++)
        TRY(allow_reading(ruleset, *path, d));
    if (p->new_files_fd < 0) return OK;
    return add_rule(
        ruleset, p->new_files_fd,
        READ_FILE | READ_DIR | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG, d);
}

enum err landlock_restrict(const struct landlock_paths *p, int *abi, struct diag *d)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    *abi = version > 0 ? (int)version : 0;
    if (*abi == 0) return OK;
    struct ruleset_attr a = {.fs = FS_RIGHTS_ABI_1};
    if (*abi >= 2) a.fs |= FS_REFER;
    if (*abi >= 3) a.fs |= FS_TRUNCATE;
    if (*abi >= 5) a.fs |= FS_IOCTL_DEV;
    if (*abi >= 4) a.net = NET_BIND_TCP;
    size_t len = *abi >= 4 ? sizeof a : sizeof a.fs;
    CLEANUP_FD int ruleset = (int)syscall(SYS_landlock_create_ruleset, &a, len, 0);
    if (ruleset < 0) return FAIL(d, ERR_UNSUPPORTED, "landlock: %s", strerror(errno));
    TRY(add_rules(ruleset, p, a.fs, d));
    if (syscall(SYS_landlock_restrict_self, ruleset, 0) == 0) return OK;
    return FAIL(d, ERR_UNSUPPORTED, "landlock: %s", strerror(errno));
}
