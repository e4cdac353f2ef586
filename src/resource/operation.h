/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource/operation.h - asynchronous operations: kept in the catalogue, run by a few threads
 *
 * (1) An operation and the resource that waits for it are written in one transaction, and settled
 *     in one: there is no moment at which a crash could forget either.
 * (2) work() may run again after a crash, or when settle() says so: it must be idempotent.
 * (3) After a restart an operation that is in progress is resumed.
 * (4) An operation that is to take its time (settings.h) does nothing before that time is over:
 *     nothing is half done while it waits.
 */
#pragma once

#include "resource/doc.h"
#include "resource/settings.h"

struct arm;
struct operations;

struct operation_kind {
    const char *name; /* "cluster.update" */
    enum setting_duration lasts;
    /* The slow part, without locks. */
    enum err (*work)(struct arm *a, const json_t *op, struct diag *d);
    /* Under DOCS_WRITE(): what becomes of the resource. failure is NULL when the work was done. May
     * add to the change. ERR_CONFLICT: things have moved meanwhile, work() again. */
    enum err (*settle)(struct arm *a, const json_t *op, const struct diag *failure,
                       struct change *c, struct diag *d);
    /* Optional; after all is committed. */
    void (*after)(struct arm *a, const json_t *op);
};

const struct operation_kind *operation_kind_find(const char *name);

enum err operations_new(struct operations **out, struct arm *a, unsigned n_threads, struct diag *d);
void operations_free(struct operations *o);
enum err operations_resume(struct operations *o, struct diag *d); /* (3) */
void operations_stop(struct operations *o); /* waits for what runs; nothing starts any more */

struct operation_start {
    const struct operation_kind *kind;
    const char *resource; /* ARM id, canonical */
    const char *location; /* canonical */
    const char *subscription;
    json_t *args;     /* taken; may be NULL */
    bool legacy;      /* asked in the shape of 2020: RFC 1123 dates, another order of members */
    const char *word; /* what it is called while it runs; NULL = "InProgress" */
    const char *caller, *correlation, *action; /* for the activity log; NULL = none */
};

/* Adds a new operation to the change; after docs_commit() call operations_go(). */
void operation_add(struct change *c, const struct operation_start *s, char id[37]);
enum err operations_go(struct operations *o, const char *id, struct diag *d);
/* Until it has ended, with all its effects, or the time is up: true if it has ended. Not at all for
 * one that is to take its time (4). */
bool operations_wait(struct operations *o, const char *id, uint64_t timeout_ms);

/* The documented body: id, name, status, startTime, endTime, error, properties. */
json_t *operation_json(const json_t *op);
/* Has it ended? */
bool operation_ended(const json_t *op);

/* Fields of an operation's document, for its kind. */
static inline const char *operation_resource(const json_t *op)
{
    return json_string_value(json_object_get(op, "resource"));
}
static inline const json_t *operation_args(const json_t *op)
{
    return json_object_get(op, "args");
}
