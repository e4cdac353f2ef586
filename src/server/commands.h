/* SPDX-License-Identifier: Apache-2.0 */
/* server/commands.h - the table of commands: name, one line of help, function */
#pragma once

#include "base/err.h"
#include "cli/exit.h"

struct command {
    const char *name;
    const char *about; /* NULL: for the supervisor and for tests, not listed */
    /* argv holds what follows the command's name. Returns the exit status; d explains a failure. */
    int (*run)(int argc, char **argv, struct diag *d);
};

extern const struct command commands[];
extern const uint32_t n_commands;

int serve_identity(int argc, char **argv, struct diag *d);
int serve_vault(int argc, char **argv, struct diag *d);
int serve_keyd(int argc, char **argv, struct diag *d);
int serve_logs(int argc, char **argv, struct diag *d);
int command_routes(int argc, char **argv, struct diag *d);
int command_up(int argc, char **argv, struct diag *d);
int command_vault(int argc, char **argv, struct diag *d);
int command_rekey(int argc, char **argv, struct diag *d);
int command_logs(int argc, char **argv, struct diag *d);
int command_audit(int argc, char **argv, struct diag *d);
int command_verify(int argc, char **argv, struct diag *d);
