/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/opt.h - command lines: a table of options, parsed and printed from the same rows
 */
#pragma once

#include "base/err.h"

struct opt {
    const char *name;  /* "listen": written --listen VALUE or --listen=VALUE */
    char letter;       /* 'o' for -o VALUE; 0 = none */
    const char *value; /* "ADDRESS" in the help; NULL = a switch */
    const char *help;  /* one line; names the default */
    const char **text; /* set for an option with a value */
    bool *flag;        /* set for a switch */
    uint64_t *number;  /* set instead of text; must lie in [min, max] */
    uint64_t min, max;
};

struct opt_command {
    const char *usage; /* "keystead query --data DIR --workspace NAME|GUID [options] 'KQL'" */
    const char *about; /* what it does, a few lines */
    const struct opt *opts;
    uint32_t n_opts;
    const char **args; /* positional arguments */
    uint32_t args_min, args_max;
};

/* Parses argv after the command's name. *n_args is how many positional arguments there were. --help
 * prints the help on standard output and sets *helped. Mistakes are ERR_INVALID with a sentence
 * and, for a misspelt option, what was probably meant. */
enum err opt_parse(const struct opt_command *c, int argc, char **argv, uint32_t *n_args,
                   bool *helped, struct diag *d);
void opt_help(const struct opt_command *c);
