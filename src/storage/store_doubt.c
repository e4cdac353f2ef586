/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage/store_doubt.c - new files whose entry may or may not be in the catalogue
 *
 * A commit that failed is void, but until a later one has succeeded a death of the process may bring
 * it to life (catalog.h). So the file that it names stays on the disk as long: removed at once, the
 * next start could find an entry without its rows.
 *
 * (1) A file is removed only after a commit that began after the failed one had ended.
 * (2) What is still here when the process dies is the next start's: it keeps what an entry names, and
 *     removes the rest.
 */
#include "storage/store_impl.h"

#include "base/log.h"

#include <stdlib.h>
#include <unistd.h>

struct doubt {
    struct doubt *next;
    uint64_t generation; /* of the root when the commit had failed */
    uint8_t file_id[16]; /* a segment; */
    char *path;          /* or a log, unless NULL */
};

static void doubt_free(struct doubt *x)
{
    free(x->path);
    free(x);
}

static void add(struct store *s, const uint8_t file_id[16], const char *path)
{
    struct doubt *x = calloc(1, sizeof *x);
    char *copy = path != NULL ? strdup(path) : NULL;
    if (x == NULL || (path != NULL && copy == NULL)) { /* (2) */
        free(x);
        free(copy);
        return;
    }
    *x = (struct doubt){.generation = entry_root_generation(&s->root), .path = copy};
    memcpy(x->file_id, file_id, sizeof x->file_id);
    LOCK_SCOPE(&s->doubt_lock);
    x->next = s->doubts;
    s->doubts = x;
}

void doubt_segment(struct store *s, const uint8_t file_id[16])
{
    add(s, file_id, NULL);
}

void doubt_log(struct store *s, const uint8_t file_id[16], const char *path)
{
    add(s, file_id, path);
}

/* Those of before this generation of the root; the caller's. */
static struct doubt *take_settled(struct store *s, uint64_t generation)
{
    struct doubt *out = NULL;
    LOCK_SCOPE(&s->doubt_lock);
    for (struct doubt **at = &s->doubts; *at != NULL;) {
        struct doubt *x = *at;
        if (x->generation >= generation) {
            at = &x->next;
            continue;
        }
        *at = x->next;
        x->next = out;
        out = x;
    }
    return out;
}

static void settle(struct store *s, uint64_t generation)
{
    struct doubt *x = take_settled(s, generation);
    while (x != NULL) {
        struct doubt *next = x->next;
        struct diag d = DIAG_INIT;
        enum err e = x->path != NULL ? os_remove(x->path, &d)
                                     : s->blobs->ops->remove(s->blobs, x->file_id, &d);
        if (e != OK) LOG(WARN, "file.remove_failed", F_ERR(&d)); /* (2) */
        doubt_free(x);
        x = next;
    }
}

enum err store_commit(struct store *s, const struct entry_change *changes, size_t n, struct diag *d)
{
    uint64_t generation;
    TRY(entry_root_commit(&s->root, changes, n, &generation, d));
    settle(s, generation); /* (1) */
    return OK;
}

void doubts_free(struct store *s)
{
    while (s->doubts != NULL) {
        struct doubt *x = s->doubts;
        s->doubts = x->next;
        doubt_free(x);
    }
}
