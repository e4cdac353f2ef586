/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/os.h - files behind one seam
 *
 * Every system call that can fail for want of disk goes through SYS(): a test makes the n-th of
 * them fail (FAULT_SWEEP in tests/unit/test.h). Not for code that runs in several threads under a
 * sweep.
 */
#pragma once

#include "base/bytes.h"

#include <errno.h>
#include <sys/types.h>

/* The call, or -1 with errno = os_fault_errno when the sweep says that this one fails. */
#define SYS(call) (os_fault() ? -1 : (call))

bool os_fault(void);                        /* true: this call is to fail */
void os_fault_arm(uint64_t nth, int error); /* the nth call from now fails (1 = next), 0 = none */
#define OS_FAULT_KILL (-1) /* as the error: the process dies there, as by SIGKILL */
bool os_fault_fired(void); /* since the last arm */

enum err os_read_file(const char *path, size_t max, struct buf *out, struct diag *d); /* appends */

/* Replaces the file whole: after a crash it is the old one or the new one. Mode 0600. */
enum err os_replace(const char *path, struct bytes b, struct diag *d);

enum err os_mkdir(const char *path, struct diag *d); /* mode 0700, with parents; there is fine */
enum err os_fsync_dir(const char *path, struct diag *d);
enum err os_write_all(int fd, struct bytes b, struct diag *d);
enum err os_pread_all(int fd, void *to, size_t n, uint64_t offset,
                      struct diag *d); /* short = CORRUPT */
enum err os_remove(const char *path,
                   struct diag *d); /* with fsync of the directory; gone is fine */
bool os_exists(const char *path);
char *os_path(const char *dir, const char *name); /* dir/name; free(); NULL when memory is out */

/* Has the machine swap, or may it have some? */
bool os_has_swap(void);
