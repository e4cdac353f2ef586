/* SPDX-License-Identifier: Apache-2.0 */
/* server/main.c - the one program: finds the command and runs it */
#include "server/commands.h"

#include "base/nearest.h"
#include "base/opt.h"
#include "base/str.h"

#include <stdio.h>

static void print_help(void)
{
    puts("keystead - a log store whose stored logs can be read only while your key allows it\n"
         "\n"
         "usage: keystead COMMAND [options]; keystead COMMAND --help says more\n");
    for (uint32_t i = 0; i < n_commands; i++) {
        if (commands[i].about != NULL) printf("  %-12s %s\n", commands[i].name, commands[i].about);
    }
}

static const struct command *find(const char *name)
{
    for (uint32_t i = 0; i < n_commands; i++) {
        if (str_eq(commands[i].name, name)) return &commands[i];
    }
    return NULL;
}

static int unknown(const char *name)
{
    struct nearest best = nearest_to(name);
    for (uint32_t i = 0; i < n_commands; i++) {
        if (commands[i].about != NULL) nearest_try(&best, commands[i].name);
    }
    fprintf(stderr, "keystead: unknown command '%.40s'", name);
    if (best.name != NULL) fprintf(stderr, "; did you mean %s?", best.name);
    fputs("\nkeystead --help lists the commands\n", stderr);
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_help();
        return EXIT_USAGE;
    }
    if (str_eq(argv[1], "--help") || str_eq(argv[1], "-h") || str_eq(argv[1], "help")) {
        print_help();
        return EXIT_OK;
    }
    const char *name = str_eq(argv[1], "--version") ? "version" : argv[1];
    const struct command *c = find(name);
    if (c == NULL) return unknown(argv[1]);

    struct diag d = DIAG_INIT;
    int code = c->run(argc - 2, argv + 2, &d);
    if (d.code != OK) fprintf(stderr, "keystead %s: %s\n", name, d.text);
    return code;
}
