/* SPDX-License-Identifier: Apache-2.0 */
/* base/opt.c - options from a table */
#include "base/opt.h"

#include "base/nearest.h"
#include "base/str.h"

#include <stdio.h>

void opt_help(const struct opt_command *c)
{
    printf("usage: %s\n\n%s\n", c->usage, c->about);
    if (c->n_opts != 0) puts("\noptions");
    size_t width = 0;
    for (uint32_t i = 0; i < c->n_opts; i++) {
        const struct opt *o = &c->opts[i];
        size_t n = strlen(o->name) + (o->value != NULL ? strlen(o->value) + 1 : 0);
        if (n > width) width = n;
    }
    for (uint32_t i = 0; i < c->n_opts; i++) {
        const struct opt *o = &c->opts[i];
        char left[128];
        snprintf(left, sizeof left, "%s%s%s", o->name, o->value != NULL ? " " : "",
                 o->value != NULL ? o->value : "");
        char letter[5] = "    ";
        if (o->letter != 0) snprintf(letter, sizeof letter, "-%c, ", o->letter);
        printf("  %s--%-*s  %s\n", letter, (int)width, left, o->help);
    }
}

static enum err unknown(const struct opt_command *c, const char *name, struct diag *d)
{
    struct nearest best = nearest_to(name);
    for (uint32_t i = 0; i < c->n_opts; i++)
        nearest_try(&best, c->opts[i].name);
    if (best.name != NULL) {
        return FAIL(d, ERR_INVALID, "unknown option --%s; did you mean --%s?", name, best.name);
    }
    return FAIL(d, ERR_INVALID, "unknown option --%s; --help lists them", name);
}

static enum err set_value(const struct opt *o, const char *value, struct diag *d)
{
    if (o->text != NULL) {
        *o->text = value;
        return OK;
    }
    uint64_t n;
    struct diag why = DIAG_INIT;
    if (str_u64(value, o->max, &n, &why) != OK || n < o->min) {
        return FAIL(d, ERR_INVALID, "--%s takes a whole number from %llu to %llu, not '%.40s'",
                    o->name, (unsigned long long)o->min, (unsigned long long)o->max, value);
    }
    *o->number = n;
    return OK;
}

static const struct opt *find(const struct opt_command *c, const char *name, size_t len)
{
    for (uint32_t i = 0; i < c->n_opts; i++) {
        const struct opt *o = &c->opts[i];
        if (strlen(o->name) == len && memcmp(o->name, name, len) == 0) return o;
    }
    return NULL;
}

/* Takes the option at argv[*i], and its value from there or from the next argument. */
static enum err take(const struct opt_command *c, int argc, char **argv, int *i, struct diag *d)
{
    const char *arg = argv[*i];
    const struct opt *o = NULL;
    const char *value = NULL;
    if (arg[1] == '-') {
        const char *name = arg + 2, *eq = strchr(name, '=');
        o = find(c, name, eq != NULL ? (size_t)(eq - name) : strlen(name));
        if (o == NULL) return unknown(c, name, d);
        if (eq != NULL) value = eq + 1;
    } else {
        for (uint32_t k = 0; k < c->n_opts && o == NULL; k++) {
            if (c->opts[k].letter == arg[1]) o = &c->opts[k];
        }
        if (o == NULL) return FAIL(d, ERR_INVALID, "unknown option %s; --help lists them", arg);
        if (arg[2] != 0) value = arg + 2;
    }
    if (o->value == NULL) {
        if (value != NULL) return FAIL(d, ERR_INVALID, "--%s takes no value", o->name);
        *o->flag = true;
        return OK;
    }
    if (value == NULL) {
        if (*i + 1 >= argc) return FAIL(d, ERR_INVALID, "--%s needs %s", o->name, o->value);
        value = argv[++*i];
    }
    return set_value(o, value, d);
}

enum err opt_parse(const struct opt_command *c, int argc, char **argv, uint32_t *n_args,
                   bool *helped, struct diag *d)
{
    uint32_t n = 0;
    bool only_args = false;
    *helped = false;
    for (int i = 0; i < argc; i++) {
        const char *arg = argv[i];
        if (!only_args && str_eq(arg, "--")) {
            only_args = true;
        } else if (!only_args && (str_eq(arg, "--help") || str_eq(arg, "-h"))) {
            opt_help(c);
            *helped = true;
            return OK;
        } else if (!only_args && arg[0] == '-' && arg[1] != 0) {
            TRY(take(c, argc, argv, &i, d));
        } else {
            if (n == c->args_max) return FAIL(d, ERR_INVALID, "unexpected argument '%.80s'", arg);
            c->args[n++] = arg;
        }
    }
    if (n < c->args_min) return FAIL(d, ERR_INVALID, "an argument is missing; usage: %s", c->usage);
    *n_args = n;
    return OK;
}
