/* SPDX-License-Identifier: Apache-2.0 */
/* base/err.c - names of errors, and the sentence that goes with one */
#include "base/err.h"

#include "base/str.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const names[] = {
    [OK] = "ok",
    [ERR_INVALID] = "invalid",
    [ERR_LIMIT] = "limit",
    [ERR_NOT_FOUND] = "not_found",
    [ERR_CONFLICT] = "conflict",
    [ERR_DENIED] = "denied",
    [ERR_UNAVAILABLE] = "unavailable",
    [ERR_KEY_LOCKED] = "key_locked",
    [ERR_CORRUPT] = "corrupt",
    [ERR_IO] = "io",
    [ERR_UNSUPPORTED] = "unsupported",
    [ERR_CANCELLED] = "cancelled",
    [ERR_INTERNAL] = "internal",
};

const char *err_name(enum err e)
{
    return (size_t)e < sizeof names / sizeof names[0] ? names[e] : "unknown";
}

void diag_fail(struct diag *d, enum err code, const char *tag, const char *file, int line,
               const char *fmt, ...)
{
    if (d == NULL || d->code != OK) return;

    d->code = code;
    d->file = file;
    d->line = line;
    snprintf(d->tag, sizeof d->tag, "%s", tag);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(d->text, sizeof d->text, fmt, ap);
    va_end(ap);
    utf8_mend(d->text); /* "%.40s" may end within a character: such a text fits into no JSON */
}

void diag_reset(struct diag *d)
{
    if (d != NULL) *d = (struct diag)DIAG_INIT;
}

void cleanup_free(void *p)
{
    free(*(void **)p);
}

void cleanup_fd(int *fd)
{
    if (*fd >= 0) close(*fd);
}
