/* SPDX-License-Identifier: Apache-2.0 */
/* server/commands.c - every command of the program */
#include "server/commands.h"

#include "cli/cli.h"

const struct command commands[] = {
    {"up", "run everything on this machine: log service, key daemon, vault, identity", command_up},
    {"vault", "run only identity and vault: one of two services on a data directory",
     command_vault},
    {"logs", "run only key daemon and log service: the other of the two", command_logs},
    {"walk", "show the main job on a running server: keys, logs, queries, revocation, rotation",
     cli_walk},
    {"drill", "rehearse a revocation, a restore, a rotation or an outage, and measure it",
     cli_drill},
    {"query", "run a KQL query", cli_query},
    {"ingest", "send a file of rows to a table", cli_ingest},
    {"token", "print a bearer token", cli_token},
    {"keys", "status of keys: who can read what, and since when; unlock a sealed cluster",
     cli_keys},
    {"login", "sign in as a person, for commands without --data", cli_login},
    {"logout", "forget who signed in", cli_logout},
    {"identity", "applications, people and groups: who may ask for tokens", cli_identity},
    {"role", "who may do what, where", cli_role},
    {"audit", "check the log of key uses, or show its end", command_audit},
    {"verify", "check every block of a data directory", command_verify},
    {"gen", "write generated web logs as NDJSON", cli_gen},
    {"hosts", "lines for /etc/hosts, so that clients find the vaults", cli_hosts},
    {"version", "version and build", cli_version},
    {"routes", NULL, command_routes},
    {"serve-identity", NULL, serve_identity},
    {"serve-vault", NULL, serve_vault},
    {"serve-keyd", NULL, serve_keyd},
    {"serve-logs", NULL, serve_logs},
};
const uint32_t n_commands = sizeof commands / sizeof commands[0];
