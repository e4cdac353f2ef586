/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody/audit_files.h - the files of a key-access audit log, read line by line from the oldest
 *
 * DIR/audit-<sequence number of its first line, 20 digits>.log. What is set aside has another name.
 */
#pragma once

#include "custody/audit_line.h"

#include <stdio.h>

#define AUDIT_NAME_LEN 30 /* characters */

struct audit_file {
    uint64_t first_seq;
    char name[AUDIT_NAME_LEN + 1];
};

struct audit_reader {
    const char *dir;
    struct audit_file *files; /* in order */
    size_t n_files, at;       /* at: the file that is being read */
    FILE *f;
    char *line;
    uint64_t offset; /* of the line that was given last, in its file */
    uint64_t next_offset;
    bool is_first; /* of its file */
};

void audit_file_name(uint64_t first_seq, char out[AUDIT_NAME_LEN + 1]);
/* From the file that holds line `from`, or from the first file. No file at all is fine. */
enum err audit_reader_open(struct audit_reader *r, const char *dir, uint64_t from, struct diag *d);
void audit_reader_close(struct audit_reader *r);
/* The next line, without its end; p NULL: there is none. Valid until the next call. ERR_CORRUPT: a
 * line without an end, with a zero byte in it, or longer than the limit; it stays where it was. */
enum err audit_reader_next(struct audit_reader *r, struct bytes *line, struct diag *d);

#define CLEANUP_AUDIT_READER __attribute__((cleanup(audit_reader_close)))
