/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody/harden.c - what keyd gives up for good before it holds its first key
 *
 * (1) No core dump, no debugger of the same user, no new privileges.
 * (2) No page of this process reaches a disk: all memory is locked as it is touched; where that is
 *     not allowed secrets are locked by themselves (crypto/secret.h) and a machine with swap is
 *     refused.
 * (3) System calls outside the list end the process. Within it: threads but no processes, no
 *     program is ever started, files are opened for reading only - but for new ones, that were not
 *     there before, relative to the audit log's directory; log, slot and anchor are open already -,
 *     no socket listens, no page becomes executable.
 * (4) Where the kernel has Landlock, only the files that keyd needs can be opened, whatever the
 *     user may read.
 * (5) Where the operator says that a token's module writes files (--hsm-files), keyd may write and
 *     remove files, in these directories alone; without Landlock it does not start.
 */
#include "base/log.h"
#include "base/os.h"
#include "base/str.h"
#include "custody/keyd.h"
#include "custody/landlock.h"

#include <fcntl.h>
#include <netdb.h>
#include <sched.h>
#include <seccomp.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

/* --- (1), (2) --------------------------------------------------------------------------------- */

static enum err no_dumps(struct diag *d)
{
    const struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_CORE, &none) != 0)
        return FAIL(d, ERR_IO, "core limit: %s", strerror(errno));
    if (prctl(PR_SET_DUMPABLE, 0) != 0) return FAIL(d, ERR_IO, "not dumpable: %s", strerror(errno));
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0) return OK;
    return FAIL(d, ERR_IO, "no new privileges: %s", strerror(errno));
}

/* CAP_IPC_LOCK among the effective capabilities: then no limit counts. */
static bool has_ipc_lock(void)
{
    CLEANUP_BUF struct buf text = {0};
    if (os_read_file("/proc/self/status", 64 << 10, &text, NULL) != OK) return false;
    const char *at = strstr(buf_cstr(&text), "CapEff:");
    return at != NULL && (strtoull(at + strlen("CapEff:"), NULL, 16) >> 14 & 1) != 0;
}

static bool may_lock_everything(void)
{
    struct rlimit lock;
    if (has_ipc_lock()) return true;
    if (getrlimit(RLIMIT_MEMLOCK, &lock) != 0) return false;
    lock.rlim_cur = lock.rlim_max;
    (void)setrlimit(RLIMIT_MEMLOCK, &lock);
    /* Under a finite limit a later allocation of some library would fail at any moment. */
    return lock.rlim_max == RLIM_INFINITY;
}

static enum err lock_memory(struct diag *d)
{
    /* On fault: stacks of threads are large and mostly never touched. */
    if (may_lock_everything() && mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0) return OK;
    if (os_has_swap()) {
        return FAIL(
            d, ERR_UNAVAILABLE,
            "keyd: this machine has swap and memory cannot be locked: raise LimitMEMLOCK, grant "
            "CAP_IPC_LOCK, or turn swap off");
    }
    LOG(INFO, "keyd.locks_secrets_only");
    return OK;
}

/* --- (3)
 * ------------------------------------------------------------------------------------------- */

static const int allowed[] = {
    /* memory; mmap and mprotect are below */
    SCMP_SYS(brk),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(mlock),
    SCMP_SYS(mlock2),
    SCMP_SYS(munlock),
    SCMP_SYS(memfd_secret),
    SCMP_SYS(membarrier),
    /* threads and signals; clone, prctl and kill are below */
    SCMP_SYS(futex),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(gettid),
    SCMP_SYS(tgkill),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(restart_syscall),
    /* clocks, randomness, who am I */
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    SCMP_SYS(getrandom),
    SCMP_SYS(getpid),
    SCMP_SYS(getppid),
    SCMP_SYS(getuid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getegid),
    SCMP_SYS(uname),
    SCMP_SYS(sysinfo),
    SCMP_SYS(getrlimit),
    SCMP_SYS(getcwd),
    /* descriptors */
    SCMP_SYS(read),
    SCMP_SYS(readv),
    SCMP_SYS(pread64),
    SCMP_SYS(pwrite64),
    SCMP_SYS(write),
    SCMP_SYS(writev),
    SCMP_SYS(close),
    SCMP_SYS(fstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(stat),
    SCMP_SYS(lstat),
    SCMP_SYS(statx),
    SCMP_SYS(lseek),
    SCMP_SYS(access),
    SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2),
    SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),
    SCMP_SYS(getdents64),
    SCMP_SYS(fdatasync),
    SCMP_SYS(fsync),
    SCMP_SYS(ftruncate),
    SCMP_SYS(fcntl),
    SCMP_SYS(pipe2),
    SCMP_SYS(eventfd2),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(select),
    SCMP_SYS(pselect6),
    SCMP_SYS(epoll_create1),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(ioctl),
    /* sockets: to connect, never to listen or accept */
    SCMP_SYS(socket),
    SCMP_SYS(socketpair),
    SCMP_SYS(connect),
    SCMP_SYS(bind),
    SCMP_SYS(sendto),
    SCMP_SYS(recvfrom),
    SCMP_SYS(sendmsg),
    SCMP_SYS(sendmmsg),
    SCMP_SYS(recvmsg),
    SCMP_SYS(recvmmsg),
    SCMP_SYS(shutdown),
    SCMP_SYS(getsockname),
    SCMP_SYS(getpeername),
    SCMP_SYS(getsockopt),
    SCMP_SYS(setsockopt),
};

#define WRITES ((unsigned)O_ACCMODE | O_CREAT | O_TRUNC)

/* What a token's module does in its own directories, to which Landlock keeps it (4). */
static int add_file_writes(scmp_filter_ctx f)
{
    static const int calls[] = {SCMP_SYS(openat), SCMP_SYS(unlink), SCMP_SYS(unlinkat)};
    int bad = 0;
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
        if (calls[i] >= 0) bad |= seccomp_rule_add(f, SCMP_ACT_ALLOW, calls[i], 0);
    return bad;
}

/* Calls of which only some forms are allowed. The others fail with an error that libraries know how
 * to take; all but clone3 would be legitimate requests of one of them. 0 = all rules were taken. */
static int add_conditions(scmp_filter_ctx f, int audit_dir_fd, bool writes_files)
{
    const uint32_t allow = SCMP_ACT_ALLOW, perm = SCMP_ACT_ERRNO(EPERM);
    int bad = 0;
    bad |= seccomp_rule_add(f, allow, SCMP_SYS(mmap), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    bad |= seccomp_rule_add(f, perm, SCMP_SYS(mmap), 1,
                            SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC));
    bad |= seccomp_rule_add(f, allow, SCMP_SYS(mprotect), 1,
                            SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    bad |= seccomp_rule_add(f, perm, SCMP_SYS(mprotect), 1,
                            SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC));
    bad |= writes_files ? add_file_writes(f)
                        : seccomp_rule_add(f, allow, SCMP_SYS(openat), 1,
                                           SCMP_A2(SCMP_CMP_MASKED_EQ, WRITES, O_RDONLY));
    if (audit_dir_fd >= 0 && !writes_files) { /* what is there already cannot be opened so */
        bad |= seccomp_rule_add(
            f, allow, SCMP_SYS(openat), 2, SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)audit_dir_fd, 0),
            SCMP_A2(SCMP_CMP_MASKED_EQ, WRITES | O_EXCL, O_WRONLY | O_CREAT | O_EXCL));
    }
    bad |= seccomp_rule_add(f, allow, SCMP_SYS(open), 1,
                            SCMP_A1(SCMP_CMP_MASKED_EQ, WRITES, O_RDONLY));
    bad |= seccomp_rule_add(f, allow, SCMP_SYS(clone), 1,
                            SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
    /* Its flags lie in memory where no filter can look; without it the C library uses clone. */
    bad |= seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    bad |= seccomp_rule_add(f, allow, SCMP_SYS(prctl), 1, SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME, 0));
    bad |= seccomp_rule_add(f, allow, SCMP_SYS(kill), 1,
                            SCMP_A1(SCMP_CMP_EQ, 0, 0)); /* is it alive? */
    bad |= seccomp_rule_add(f, allow, SCMP_SYS(prlimit64), 1,
                            SCMP_A2(SCMP_CMP_EQ, 0, 0)); /* reading */
    return bad;
}

static enum err filter_calls(int audit_dir_fd, bool writes_files, struct diag *d)
{
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_KILL_PROCESS);
    if (f == NULL) return FAIL(d, ERR_LIMIT, "seccomp: out of memory");
    /* The threads that are running already too. */
    int bad = seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1);
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++) {
        if (allowed[i] < 0) continue; /* this processor's kernel has no such call */
        bad |= seccomp_rule_add(f, SCMP_ACT_ALLOW, allowed[i], 0);
    }
    bad |= add_conditions(f, audit_dir_fd, writes_files);
    int rc = bad == 0 ? seccomp_load(f) : bad;
    seccomp_release(f);
    return rc == 0 ? OK : FAIL(d, ERR_UNSUPPORTED, "seccomp: the kernel did not take the filter");
}

/* Name resolution loads its modules on first use: now, while pages may still become executable. */
static void load_resolver(void)
{
    struct addrinfo *found = NULL;
    if (getaddrinfo("localhost", NULL, NULL, &found) == 0) freeaddrinfo(found);
}

/* Name resolution, libraries that it loads, the system's trust. Directories, not files: the
 * network's manager replaces resolv.conf. */
static const char *const resolving[] = {"/etc",
                                        "/run/systemd/resolve",
                                        "/run/resolvconf",
                                        "/run/NetworkManager",
                                        "/usr/lib",
                                        "/usr/share/ca-certificates",
                                        "/proc/swaps", /* lock_memory() looks there */
                                        "/proc/self/status",
                                        NULL};
#define READABLE_MAX 32

enum err keyd_wall_in(const char *const *readable, const char *const *writable, int audit_dir_fd,
                      struct diag *d)
{
    const char *all[READABLE_MAX + 1] = {NULL};
    size_t n = 0;
    int abi;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return FAIL(d, ERR_IO, "no new privileges: %s", strerror(errno));
    for (const char *const *p = resolving; *p != NULL; p++)
        all[n++] = *p;
    for (const char *const *p = readable; p != NULL && *p != NULL && n < READABLE_MAX; p++)
        all[n++] = *p;
    const struct landlock_paths paths = {
        .readable = all, .writable = writable, .new_files_fd = audit_dir_fd};
    TRY(landlock_restrict(&paths, &abi, d));
    if (abi == 0 && writable != NULL) {
        return FAIL(d, ERR_UNSUPPORTED,
                    "keyd: --hsm-files needs Landlock, which this kernel does not have");
    }
    if (abi == 0) LOG(WARN, "keyd.no_landlock");
    if (abi != 0) LOG(INFO, "keyd.walled_in", F_I64("landlock_abi", abi));
    return OK;
}

enum err keyd_harden(int audit_dir_fd, bool writes_files, struct diag *d)
{
    load_resolver();
    TRY(no_dumps(d));
    TRY(lock_memory(d));
    return filter_calls(audit_dir_fd, writes_files, d);
}
