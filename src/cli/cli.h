/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/cli.h - the commands that speak HTTP to a running server, as its owner
 *
 * Each takes what follows its name and returns an exit status (cli/exit.h); d explains a failure.
 */
#pragma once

#include "cli/exit.h"

int cli_token(int argc, char **argv, struct diag *d);
int cli_query(int argc, char **argv, struct diag *d);
int cli_ingest(int argc, char **argv, struct diag *d);
int cli_keys(int argc, char **argv, struct diag *d);
int cli_identity(int argc, char **argv, struct diag *d);
int cli_login(int argc, char **argv, struct diag *d);
int cli_logout(int argc, char **argv, struct diag *d);
int cli_role(int argc, char **argv, struct diag *d);
int cli_walk(int argc, char **argv, struct diag *d);
int cli_drill(int argc, char **argv, struct diag *d);
int cli_gen(int argc, char **argv, struct diag *d);
int cli_hosts(int argc, char **argv, struct diag *d);
int cli_version(int argc, char **argv, struct diag *d);
