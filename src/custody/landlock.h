/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody/landlock.h - which files a process may open from here on, by the kernel's Landlock
 *
 * What is open already stays open. Rules hold for inodes: a file that is replaced by another of its
 * name is another file; where that must work the directory is named.
 */
#pragma once

#include "base/err.h"

struct landlock_paths {
    const char *const *readable; /* files, directories with all below; missing ones are passed over;
                                    ends with NULL */
    const char *const *writable; /* directories whose files may be made, written and removed; each
                                    must be there; ends with NULL; NULL = none */
    int new_files_fd;            /* directory in which files may be made and written; -1 = none */
};

/* *abi: what the kernel offers; 0 = no Landlock here, and nothing was restricted. TCP ports can no
 * longer be bound where the kernel knows that. Needs no_new_privs. */
enum err landlock_restrict(const struct landlock_paths *p, int *abi, struct diag *d);
