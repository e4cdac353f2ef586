/* SPDX-License-Identifier: Apache-2.0 */
/* server/harden.c - core dumps, ptrace, privileges, swap */
#include "server/harden.h"

#include "base/bytes.h"
#include "base/log.h"
#include "base/os.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

enum err harden_process(struct diag *d)
{
    const struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_CORE, &none) != 0)
        return FAIL(d, ERR_IO, "core limit: %s", strerror(errno));
    if (prctl(PR_SET_DUMPABLE, 0) != 0) return FAIL(d, ERR_IO, "not dumpable: %s", strerror(errno));
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        return FAIL(d, ERR_IO, "no new privileges: %s", strerror(errno));
    }
    return OK;
}

static bool may_lock_everything(void)
{
    struct rlimit lock;
    return getrlimit(RLIMIT_MEMLOCK, &lock) == 0 && lock.rlim_cur == RLIM_INFINITY;
}

enum err harden_swap(bool allow_swap, bool *swap_allowed, struct diag *d)
{
    *swap_allowed = false;
    if (!os_has_swap()) return OK;
    /* Under a finite limit MCL_FUTURE would make later allocations fail one by one. Locked when
     * touched: else the stack of each connection would be 8 MiB at once. */
    const int when = MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT;
    if (may_lock_everything() && mlockall(when) == 0) return OK;
    if (!allow_swap) {
        return FAIL(
            d, ERR_UNAVAILABLE,
            "this machine has swap and memory cannot be locked: raise LimitMEMLOCK, turn swap off, "
            "or start with --allow-swap");
    }
    *swap_allowed = true;
    LOG(WARN, "memory.may_reach_swap");
    return OK;
}
