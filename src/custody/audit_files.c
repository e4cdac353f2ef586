/* SPDX-License-Identifier: Apache-2.0 */
/* custody/audit_files.c - lists the files of an audit log and reads their lines */
#include "custody/audit_files.h"

#include "base/os.h"
#include "base/str.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdlib.h>

#define LINE_BYTES (AUDIT_LINE_MAX + 1024)

void audit_file_name(uint64_t first_seq, char out[AUDIT_NAME_LEN + 1])
{
    snprintf(out, AUDIT_NAME_LEN + 1, "audit-%020" PRIu64 ".log", first_seq);
}

static bool is_file(const char *name, uint64_t *first_seq)
{
    char digits[21];
    if (strlen(name) != AUDIT_NAME_LEN || !str_starts(name, "audit-") || !str_ends(name, ".log"))
        return false;
    memcpy(digits, name + 6, 20);
    digits[20] = 0;
    return str_u64(digits, UINT64_MAX, first_seq, NULL) == OK;
}

static int by_seq(const void *a, const void *b)
{
    uint64_t x = ((const struct audit_file *)a)->first_seq,
             y = ((const struct audit_file *)b)->first_seq;
    return (x > y) - (x < y);
}

static enum err list(struct audit_reader *r, DIR *dir, struct diag *d)
{
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        uint64_t first;
        if (!is_file(e->d_name, &first)) continue;
        struct audit_file *grown = realloc(r->files, (r->n_files + 1) * sizeof *grown);
        if (grown == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
        r->files = grown;
        struct audit_file *f = &r->files[r->n_files++];
        *f = (struct audit_file){.first_seq = first};
        snprintf(f->name, sizeof f->name, "%s", e->d_name);
    }
    if (r->n_files > 1) qsort(r->files, r->n_files, sizeof *r->files, by_seq);
    return OK;
}

enum err audit_reader_open(struct audit_reader *r, const char *dir, uint64_t from, struct diag *d)
{
    *r = (struct audit_reader){.dir = dir};
    DIR *open_dir = opendir(dir);
    if (open_dir == NULL) return FAIL(d, ERR_IO, "audit log %s: %s", dir, strerror(errno));
    enum err e = list(r, open_dir, d);
    closedir(open_dir);
    r->line = e == OK ? malloc(LINE_BYTES) : NULL;
    if (e == OK && r->line == NULL) e = FAIL(d, ERR_LIMIT, "out of memory");
    if (e != OK) {
        audit_reader_close(r);
        return e;
    }
    while (r->at + 1 < r->n_files && r->files[r->at + 1].first_seq <= from)
        r->at++;
    return OK;
}

void audit_reader_close(struct audit_reader *r)
{
    if (r->f != NULL) fclose(r->f);
    free(r->line);
    free(r->files);
    *r = (struct audit_reader){0};
}

static enum err open_file(struct audit_reader *r, struct diag *d)
{
    CLEANUP_FREE char *path = os_path(r->dir, r->files[r->at].name);
    r->f = path != NULL ? fopen(path, "re") : NULL;
    if (r->f == NULL)
        return FAIL(d, ERR_IO, "audit log %s: %s", r->files[r->at].name, strerror(errno));
    r->next_offset = 0;
    return OK;
}

enum err audit_reader_next(struct audit_reader *r, struct bytes *line, struct diag *d)
{
    *line = (struct bytes){0};
    while (r->at < r->n_files) {
        if (r->f == NULL) TRY(open_file(r, d));
        r->offset = r->next_offset;
        r->is_first = r->offset == 0;
        if (fgets(r->line, LINE_BYTES, r->f) == NULL) {
            if (ferror(r->f)) return FAIL(d, ERR_IO, "audit log: %s", strerror(errno));
            if (r->at + 1 == r->n_files) {
                clearerr(r->f);
                return OK; /* the newest may still grow */
            }
            fclose(r->f);
            r->f = NULL;
            r->at++;
            continue;
        }
        size_t n = strlen(r->line);
        if (n == 0 || r->line[n - 1] != '\n') {
            /* The newest file's last line may be on its way: a later call finds it whole. */
            if (fseek(r->f, (long)r->offset, SEEK_SET) != 0)
                return FAIL(d, ERR_IO, "audit log: %s", strerror(errno));
            return FAIL(d, ERR_CORRUPT, "%s: a line without an end at byte %" PRIu64,
                        r->files[r->at].name, r->offset);
        }
        r->next_offset += n;
        *line = bytes_of(r->line, n - 1);
        return OK;
    }
    return OK;
}
