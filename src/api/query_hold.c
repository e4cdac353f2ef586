/* SPDX-License-Identifier: Apache-2.0 */
/* api/query_hold.c - the list of running queries: which workspaces each reads, so that a lock takes
 * its answer back */
#include "api/query_hold.h"

#include <stddef.h>
#include <stdlib.h>

static void run_free(struct query_run *r)
{
    answer_release(&r->answer);
    spill_file_free(r->rows);
    free(r->workspaces);
    free(r);
}

void query_run_end(struct query_run *r)
{
    struct api *a = r->api;
    {
        LOCK_SCOPE(&a->lock);
        if (r->previous != NULL) r->previous->next = r->next;
        if (r->next != NULL) r->next->previous = r->previous;
        if (a->runs == r) a->runs = r->next;
    }
    http_recall_release(&r->recall);
    run_free(r);
}

static struct query_run *run_of(struct http_recall *recall)
{
    return (struct query_run *)((char *)recall - offsetof(struct query_run, recall));
}

static void sent(struct http_recall *recall)
{
    query_run_end(run_of(recall));
}

/* Under the lock, or before anybody else sees it. */
static bool add_workspace(struct query_run *r, const char *workspace)
{
    char id[GUID_TEXT_MAX];
    snprintf(id, sizeof id, "%s", workspace);
    str_lower(id);
    for (size_t i = 0; i < r->n_workspaces; i++) {
        if (str_eq(r->workspaces[i], id)) return true;
    }
    char(*list)[GUID_TEXT_MAX] = realloc(r->workspaces, (r->n_workspaces + 1) * sizeof *list);
    if (list == NULL) return false;
    r->workspaces = list;
    memcpy(list[r->n_workspaces++], id, sizeof id);
    return true;
}

static enum err init(struct query_run *r, struct api *a, const char *const *workspaces, size_t n)
{
    r->api = a;
    TRY(answer_init(&r->answer, a->spill, NULL));
    if (a->spill != NULL) TRY(spill_file_new(&r->rows, a->spill, NULL));
    for (size_t i = 0; i < n; i++) {
        if (!add_workspace(r, workspaces[i])) return ERR_LIMIT;
    }
    return OK;
}

struct query_run *query_hold(struct api *a, const char *const *workspaces, size_t n)
{
    struct query_run *r = calloc(1, sizeof *r);
    if (r == NULL) return NULL;
    if (init(r, a, workspaces, n) != OK) {
        run_free(r);
        return NULL;
    }
    http_recall_init(&r->recall, sent);
    LOCK_SCOPE(&a->lock);
    r->next = a->runs;
    if (r->next != NULL) r->next->previous = r;
    a->runs = r;
    return r;
}

enum err query_hold_add(struct query_run *r, const char *workspace, struct diag *d)
{
    LOCK_SCOPE(&r->api->lock);
    return add_workspace(r, workspace) ? OK : FAIL(d, ERR_LIMIT, "out of memory");
}

/* Under the lock. (2) */
static void take_back(struct query_run *r)
{
    atomic_store(&r->cancel, true);
    answer_wipe(&r->answer);
    if (r->rows != NULL) spill_file_wipe(r->rows);
    http_recall_now(&r->recall);
}

enum err query_hold_join(struct query_run *r, struct http_recall *part, struct diag *d)
{
    if (part == NULL) return OK;
    const struct query_run *from = run_of(part);
    LOCK_SCOPE(&r->api->lock);
    for (size_t i = 0; i < from->n_workspaces; i++) {
        if (!add_workspace(r, from->workspaces[i])) return FAIL(d, ERR_LIMIT, "out of memory");
    }
    if (!atomic_load(&from->cancel)) return OK;
    take_back(r);
    return FAIL(d, ERR_CANCELLED, "the answer of a member was taken back");
}

enum err query_hold_put(struct query_run *r, struct buf *text, struct diag *d)
{
    return answer_put(&r->answer, text, d);
}

struct http_recall *query_held(struct query_run *r)
{
    r->recall.stored = answer_stored(&r->answer);
    return &r->recall;
}

static bool reads(const struct query_run *r, const char *workspace)
{
    bool found = workspace == NULL;
    for (size_t i = 0; i < r->n_workspaces && !found; i++)
        found = str_eq(r->workspaces[i], workspace);
    return found;
}

void queries_cancel(struct api *a, const char *workspace)
{
    LOCK_SCOPE(&a->lock);
    for (struct query_run *r = a->runs; r != NULL; r = r->next) {
        if (reads(r, workspace)) take_back(r);
    }
}
