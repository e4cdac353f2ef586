/* SPDX-License-Identifier: Apache-2.0 */
/* resource/operation.c - the engine of asynchronous operations */
#include "resource/operation.h"

#include "base/log.h"
#include "base/str.h"
#include "base/time.h"
#include "resource/plane.h"

#include <stdlib.h>

#define QUEUE_MAX  100000                 /* operations that wait for a thread */
#define ROUNDS_MAX 20                     /* times that settle() may send work() back */
#define KEEP_US    (7 * 86400 * US_PER_S) /* a finished operation can be asked about so long */

struct operations {
    struct arm *arm;
    struct pool *pool;
    pthread_mutex_t m;
    pthread_cond_t ended;
    struct map running; /* ids from operations_go() until after() has returned */
    bool stopping;
};

static const struct operation_kind *const operation_kinds[] = {
    &cluster_create_operation,   &cluster_update_operation, &cluster_delete_operation,
    &workspace_create_operation, &link_operation,           &unlink_operation,
};

const struct operation_kind *operation_kind_find(const char *name)
{
    for (size_t i = 0; i < sizeof operation_kinds / sizeof operation_kinds[0]; i++) {
        if (str_eq(operation_kinds[i]->name, name)) return operation_kinds[i];
    }
    return NULL;
}

/* --- one operation ------------------------------------------------------------------------------
 */

void operation_add(struct change *c, const struct operation_start *s, char id[37])
{
    struct guid g;
    guid_random(&g);
    guid_format(&g, id);
    json_t *op =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I}", "id", id, "kind", s->kind->name,
                  "resource", s->resource, "location", s->location, "subscription", s->subscription,
                  "status", "InProgress", "start", (json_int_t)time_now_us());
    if (op != NULL) json_object_set_new(op, "args", s->args != NULL ? s->args : json_object());
    change_put(c, DOC_OPERATION, id, "", op);
}

static json_t *ended(const json_t *op, const struct diag *failure)
{
    json_t *j = json_deep_copy(op);
    if (j == NULL) return NULL;
    json_object_set_new(j, "end", json_integer(time_now_us()));
    json_object_set_new(j, "status", json_string(failure == NULL ? "Succeeded" : "Failed"));
    if (failure != NULL) {
        const char *code = failure->tag[0] != '\0' ? failure->tag : "OperationFailed";
        json_object_set_new(j, "error",
                            json_pack("{s:s, s:s}", "code", code, "message", failure->text));
    }
    return j;
}

static enum err settle(struct operations *o, const struct operation_kind *k, const json_t *op,
                       const struct diag *failure, struct diag *d)
{
    struct docs *docs = o->arm->docs;
    CLEANUP_CHANGE struct change c = {0};
    DOCS_WRITE(docs);
    TRY(k->settle(o->arm, op, failure, &c, d));
    change_put(&c, DOC_OPERATION, json_string_value(json_object_get(op, "id")), "",
               ended(op, failure));
    return docs_commit(docs, &c, d); /* operation.h (1) */
}

static bool is_stopping(struct operations *o)
{
    LOCK_SCOPE(&o->m);
    return o->stopping;
}

static void run(struct operations *o, const json_t *op)
{
    const char *name = json_string_value(json_object_get(op, "kind"));
    const struct operation_kind *k = operation_kind_find(name != NULL ? name : "");
    const char *resource = operation_resource(op);
    if (k == NULL || resource == NULL) return;
    int64_t started = time_mono_us();
    struct diag d = DIAG_INIT;
    enum err e = OK, settled = ERR_CONFLICT;
    for (int round = 0; round < ROUNDS_MAX && settled == ERR_CONFLICT; round++) {
        diag_reset(&d);
        e = k->work(o->arm, op, &d);
        if (e != OK && is_stopping(o)) return; /* (3): the next start tries again */
        struct diag d2 = DIAG_INIT;
        settled = settle(o, k, op, e != OK ? &d : NULL, &d2);
        if (settled != OK && settled != ERR_CONFLICT) {
            LOG(ERROR, "operation.unsettled", F_STR("kind", k->name), F_ERR(&d2));
        }
    }
    if (settled == OK && k->after != NULL) k->after(o->arm, op);
    LOG(INFO, "operation.ended", F_STR("kind", k->name), F_STR("resource", resource),
        F_BOOL("good", e == OK && settled == OK), F_STR("error", d.text),
        F_U64("took_us", time_mono_us() - started));
}

struct job {
    struct operations *o;
    char id[37];
};

static void run_job(void *arg)
{
    struct job *job = arg;
    struct operations *o = job->o;
    if (!is_stopping(o)) {
        CLEANUP_JSON json_t *op = docs_get(o->arm->docs, DOC_OPERATION, job->id);
        if (op != NULL) run(o, op);
    }
    LOCK_SCOPE(&o->m);
    (void)map_remove(&o->running, bytes_str(job->id));
    free(job);
    pthread_cond_broadcast(&o->ended);
}

/* --- the engine ---------------------------------------------------------------------------------
 */

enum err operations_new(struct operations **out, struct arm *a, unsigned n_threads, struct diag *d)
{
    struct operations *o = calloc(1, sizeof *o);
    if (o == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    o->arm = a;
    pthread_mutex_init(&o->m, NULL);
    cond_init(&o->ended);
    enum err e = pool_new(&o->pool, n_threads != 0 ? n_threads : 4, QUEUE_MAX, d);
    if (e != OK) {
        operations_free(o);
        return e;
    }
    *out = o;
    return OK;
}

void operations_stop(struct operations *o)
{
    if (o == NULL) return;
    pthread_mutex_lock(&o->m);
    o->stopping = true;
    struct pool *pool = TAKE(o->pool);
    pthread_mutex_unlock(&o->m);
    pool_free(pool);
}

void operations_free(struct operations *o)
{
    if (o == NULL) return;
    operations_stop(o);
    map_release(&o->running);
    pthread_cond_destroy(&o->ended);
    pthread_mutex_destroy(&o->m);
    free(o);
}

enum err operations_go(struct operations *o, const char *id, struct diag *d)
{
    struct job *job = calloc(1, sizeof *job);
    if (job == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    job->o = o;
    snprintf(job->id, sizeof job->id, "%s", id);
    LOCK_SCOPE(&o->m);
    enum err e = o->pool != NULL ? map_put(&o->running, bytes_str(id), o, NULL, d)
                                 : FAIL(d, ERR_UNAVAILABLE, "the server is stopping");
    if (e == OK) {
        e = pool_submit(o->pool, run_job, job, d);
        if (e != OK) (void)map_remove(&o->running, bytes_str(id));
    }
    if (e != OK) free(job);
    return e;
}

bool operations_wait(struct operations *o, const char *id, uint64_t timeout_ms)
{
    int64_t deadline = time_mono_us() + (int64_t)timeout_ms * 1000;
    LOCK_SCOPE(&o->m);
    while (map_get(&o->running, bytes_str(id)) != NULL) {
        if (o->stopping || !cond_wait_until(&o->ended, &o->m, deadline)) break;
    }
    return map_get(&o->running, bytes_str(id)) == NULL;
}

enum err operations_resume(struct operations *o, struct diag *d)
{
    CLEANUP_JSON json_t *all = docs_list(o->arm->docs, DOC_OPERATION, NULL, NULL);
    CLEANUP_CHANGE struct change old = {0};
    size_t i;
    json_t *op;
    json_array_foreach (all, i, op) {
        const char *id = json_string_value(json_object_get(op, "id"));
        if (id == NULL) continue;
        if (str_eq(json_string_value(json_object_get(op, "status")), "InProgress")) {
            TRY(operations_go(o, id, d));
        } else if (old.n < CHANGE_MAX / 2 &&
                   json_integer_value(json_object_get(op, "end")) < time_now_us() - KEEP_US) {
            change_remove(&old, DOC_OPERATION, id);
        }
    }
    DOCS_WRITE(o->arm->docs);
    return docs_commit(o->arm->docs, &old, d);
}

/* --- the documented body ------------------------------------------------------------------------
 */

json_t *operation_json(const json_t *op, bool legacy_dates)
{
    const char *id = json_string_value(json_object_get(op, "id"));
    const char *status = json_string_value(json_object_get(op, "status"));
    enum arm_dates how = legacy_dates ? ARM_DATES_RFC1123 : ARM_DATES_ISO;
    if (id == NULL || status == NULL) return NULL;
    json_t *j = json_object();
    json_object_set_new(
        j, "id",
        json_sprintf("/subscriptions/%s/providers/Microsoft.OperationalInsights/locations/%s/"
                     "operationstatuses/%s",
                     json_string_value(json_object_get(op, "subscription")),
                     json_string_value(json_object_get(op, "location")), id));
    json_object_set_new(j, "name", json_string(id));
    json_object_set_new(j, "status", json_string(status));
    json_object_set_new(j, "startTime",
                        arm_date(how, json_integer_value(json_object_get(op, "start"))));
    if (!str_eq(status, "InProgress")) {
        json_object_set_new(j, "endTime",
                            arm_date(how, json_integer_value(json_object_get(op, "end"))));
        json_t *error = json_object_get(op, "error");
        if (error != NULL) json_object_set(j, "error", error);
        /* The newest JavaScript poller reads members of properties whatever the end was. */
        json_object_set_new(j, "properties", json_object());
    }
    return j;
}
