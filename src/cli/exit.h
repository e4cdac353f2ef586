/* SPDX-License-Identifier: Apache-2.0 */
/* cli/exit.h - what the program's exit status means, the same for every command */
#pragma once

#include "base/err.h"

enum exit_code {
    EXIT_OK = 0,
    EXIT_FAILED = 1,  /* the sentence on standard error says why */
    EXIT_USAGE = 2,   /* the command line is wrong */
    EXIT_DAMAGE = 3,  /* verify: bytes are not what was written */
    EXIT_NO_KEYS = 4, /* verify: keys are missing for some of the data */
    EXIT_LATE = 5,    /* drill: a revocation took longer than its bound */
};

/* A mistake in the command line, from opt_parse(), is EXIT_USAGE; all else EXIT_FAILED. */
static inline int exit_of(enum err e)
{
    return e == OK ? EXIT_OK : EXIT_FAILED;
}
