/* SPDX-License-Identifier: Apache-2.0 */
/* cli/small.c - keystead token, hosts, version: commands of a few lines */
#include "cli/cli.h"

#include "base/opt.h"
#include "cli/session.h"

#include <stdio.h>

#ifndef KEYSTEAD_VERSION
#define KEYSTEAD_VERSION "unknown"
#endif

/* Parses a command that needs --data and perhaps one option more. False: *code is the exit status.
 */
static bool parse(int argc, char **argv, const char *usage, const char *about,
                  const struct opt *opts, uint32_t n_opts, int *code, struct diag *d)
{
    const struct opt_command c = {.usage = usage, .about = about, .opts = opts, .n_opts = n_opts};
    uint32_t n;
    bool helped;
    *code = EXIT_USAGE;
    if (opt_parse(&c, argc, argv, &n, &helped, d) != OK) return false;
    if (helped) *code = EXIT_OK;
    if (helped) return false;
    for (uint32_t i = 0; i < n_opts; i++) {
        if (opts[i].text != NULL && *opts[i].text == NULL) {
            (void)FAIL(d, ERR_INVALID, "--%s %s is missing", opts[i].name, opts[i].value);
            return false;
        }
    }
    return true;
}

static enum err token(const char *data, const char *resource, struct diag *d)
{
    CLEANUP(session_close) struct session *s = NULL;
    TRY(session_open(&s, data, d));
    CLEANUP_BUF struct buf text = {0};
    TRY(session_token(s, resource, &text, d));
    puts(buf_cstr(&text));
    return OK;
}

int cli_token(int argc, char **argv, struct diag *d)
{
    const char *data = NULL, *resource = NULL;
    const struct opt opts[] = {
        {.name = "data",
         .value = "DIR",
         .help = "data directory of the running server",
         .text = &data},
        {.name = "resource",
         .value = "URI",
         .help = "what the token is for, e.g. " RESOURCE_ARM,
         .text = &resource},
    };
    int code;
    if (!parse(argc, argv, "keystead token --data DIR --resource URI",
               "Prints a bearer token of the owner.", opts, 2, &code, d))
        return code;
    return exit_of(token(data, resource, d));
}

static enum err hosts(const char *data, struct diag *d)
{
    CLEANUP_FREE char *path = str_fmt("%s/credentials.json", data);
    struct credentials c;
    TRY(credentials_read(path, &c, d));
    char suffix[256];
    snprintf(suffix, sizeof suffix, "%s", c.vault_suffix);
    char *colon = strchr(suffix, ':');
    if (colon != NULL) *colon = 0;
    printf(
        "# lines for /etc/hosts: one per vault, since most resolvers do not know names under %s\n",
        suffix);
    printf("127.0.0.1 %s keystead-platform.%s demo-kv.%s\n", suffix, suffix, suffix);
    return OK;
}

int cli_hosts(int argc, char **argv, struct diag *d)
{
    const char *data = NULL;
    const struct opt opts[] = {
        {.name = "data", .value = "DIR", .help = "data directory", .text = &data}};
    int code;
    if (!parse(argc, argv, "keystead hosts --data DIR", "Prints lines for /etc/hosts.", opts, 1,
               &code, d))
        return code;
    return exit_of(hosts(data, d));
}

int cli_version(int argc, char **argv, struct diag *d)
{
    int code;
    if (!parse(argc, argv, "keystead version", "Prints version and compiler.", NULL, 0, &code, d))
        return code;
    printf("keystead %s (%s)\n", KEYSTEAD_VERSION, __VERSION__);
    return EXIT_OK;
}
