/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keyvault/audit_tail.h - reads a log of audit_log.h while another process writes it
 *
 * The writer is never asked and never waits. What is given out is whole lines that are on the disk
 * (the reader sees to it): a number that was given out is never used for another record, whatever
 * crashes. Not for several threads at once.
 */
#pragma once

#include "base/bytes.h"

struct audit_tail {  /* all-zero but for dir is at the beginning */
    const char *dir; /* borrowed */
    char *path;      /* of the file that was read last; NULL: none */
    size_t offset;   /* behind the last line that was given out */
    uint64_t last;   /* its number */
};

void audit_tail_release(struct audit_tail *t);
/* The lines behind record number `after`, each with its newline, about max bytes; appends to out.
 * Nothing: there are no more yet. */
enum err audit_tail_read(struct audit_tail *t, uint64_t after, size_t max, struct buf *out,
                         struct diag *d);
/* The number of the newest record; 0: there is none. */
enum err audit_tail_end(const char *dir, uint64_t *last, struct diag *d);
/* The number that stands in a line; 0: none does. */
uint64_t audit_line_sequence(struct bytes line);
