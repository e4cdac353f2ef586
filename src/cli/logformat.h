/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/logformat.h - the line formats of a Debian machine's own logs, parsed into columns
 *
 * Local times (dpkg.log, apt history, syslog) are turned to UTC with the machine's time zone; a
 * syslog time has no year: the one that puts it last before now.
 */
#pragma once

#include "json/json.h"

struct logformat_state { /* of one file */
    json_t *pending;     /* apt: the stanza that is being read */
};

struct logformat {
    const char *name;
    /* *out is a row, or NULL when the line only adds to one. */
    enum err (*line)(struct logformat_state *s, struct bytes line, json_t **out, struct diag *d);
    json_t *(*end)(struct logformat_state *s); /* the row that was left, or NULL; may be NULL */
};

const struct logformat *logformat_find(const char *name); /* NULL: no such */
const char *logformat_guess(struct bytes first_line);
