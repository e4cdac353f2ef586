/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server/command_routes.c - prints every path that the processes answer:
 * "plane<TAB>methods<TAB>path"
 *
 * For the test that tries them all without a token and with one that has no right: the tables are
 * the program's own, so that no new row can be forgotten.
 */
#include "server/commands.h"

#include "api/api.h"
#include "keyvault/keyvault.h"

#include <stdio.h>

static void print(void *ctx, const char *plane, const char *methods, const char *path)
{
    (void)ctx;
    printf("%s\t%s\t%s\n", plane, methods, path);
}

int command_routes(int argc, char **argv, struct diag *d)
{
    (void)argc, (void)argv, (void)d;
    api_routes(print, NULL);
    keyvault_routes(print, NULL);
    return EXIT_OK;
}
