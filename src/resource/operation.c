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

#define IN_PROGRESS "InProgress"
#define TURN_MS     30000 /* the clock waits so long for an operation that is due */
#define NEVER_US    (INT64_MAX / 2)

struct operations {
    struct arm *arm;
    struct pool *pool;
    pthread_mutex_t m;
    pthread_cond_t ended;
    struct map running; /* ids from operations_go() until after() has returned */
    struct waiting {
        char id[37];
        int64_t due_us;
    } * waiting; /* (4) */
    size_t n_waiting, waiting_cap;
    struct timer *timer;
    pthread_t timer_thread;
    bool has_timer_thread;
    bool stopping;
};

static const struct operation_kind *const operation_kinds[] = {
    &cluster_create_operation,  &cluster_update_operation,   &cluster_delete_operation,
    &cluster_recover_operation, &workspace_create_operation, &link_operation,
    &unlink_operation,          &group_delete_operation,
};

const struct operation_kind *operation_kind_find(const char *name)
{
    for (size_t i = 0; i < sizeof operation_kinds / sizeof operation_kinds[0]; i++) {
        if (str_eq(operation_kinds[i]->name, name)) return operation_kinds[i];
    }
    return NULL;
}

/* --- one operation ---------------------------------------------------------------------------- */

void operation_add(struct change *c, const struct operation_start *s, char id[37])
{
    struct guid g;
    guid_random(&g);
    guid_format(&g, id);
    json_t *op = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:b, s:s, s:s, s:s}", "id", id, "kind", s->kind->name,
        "resource", s->resource, "location", s->location, "subscription", s->subscription, "status",
        s->word != NULL ? s->word : IN_PROGRESS, "start", (json_int_t)time_now_us(), "legacy",
        (int)s->legacy, "caller", s->caller != NULL ? s->caller : "", "correlation",
        s->correlation != NULL ? s->correlation : "", "action", s->action != NULL ? s->action : "");
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

/* The row that tells of its end; id: of the row. */
static struct arm_event event_of(const json_t *op, const char *id, const struct diag *failure)
{
    return (struct arm_event){.id = id,
                              .time_us = time_now_us(),
                              .action = doc_str(op, "action"),
                              .resource = operation_resource(op),
                              .caller = doc_str(op, "caller"),
                              .correlation = doc_str(op, "correlation"),
                              .operation = doc_str(op, "id"),
                              .status = failure == NULL ? "Succeeded" : "Failed",
                              .code = failure != NULL ? failure->tag : "",
                              .message = failure != NULL ? failure->text : ""};
}

static enum err settle(struct operations *o, const struct operation_kind *k, const json_t *op,
                       const struct arm_event *event, const struct diag *failure, struct diag *d)
{
    struct docs *docs = o->arm->docs;
    CLEANUP_CHANGE struct change c = {0};
    DOCS_WRITE(docs);
    TRY(k->settle(o->arm, op, failure, &c, d));
    change_put(&c, DOC_OPERATION, json_string_value(json_object_get(op, "id")), "",
               ended(op, failure));
    if (event->action[0] != '\0') outbox_put(o->arm, &c, event);
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
    struct guid g;
    char row[GUID_TEXT_MAX];
    guid_random(&g);
    guid_format(&g, row);
    struct arm_event event = {0};
    enum err e = OK, settled = ERR_CONFLICT;
    for (int round = 0; round < ROUNDS_MAX && settled == ERR_CONFLICT; round++) {
        diag_reset(&d);
        e = k->work(o->arm, op, &d);
        if (e != OK && is_stopping(o)) return; /* (3): the next start tries again */
        struct diag d2 = DIAG_INIT;
        event = event_of(op, row, e != OK ? &d : NULL);
        settled = settle(o, k, op, &event, e != OK ? &d : NULL, &d2);
        if (settled != OK && settled != ERR_CONFLICT) {
            LOG(ERROR, "operation.unsettled", F_STR("kind", k->name), F_ERR(&d2));
        }
    }
    if (settled == OK && k->after != NULL) k->after(o->arm, op);
    if (settled == OK && event.action[0] != '\0') arm_tell(o->arm, &event, true);
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

/* --- what waits for its time ------------------------------------------------------------------ */

/* Under the lock. */
static enum err submit(struct operations *o, const char *id, struct diag *d)
{
    struct job *job = calloc(1, sizeof *job);
    if (job == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    job->o = o;
    snprintf(job->id, sizeof job->id, "%s", id);
    enum err e = o->pool != NULL ? pool_submit(o->pool, run_job, job, d)
                                 : FAIL(d, ERR_UNAVAILABLE, "the server is stopping");
    if (e != OK) free(job);
    return e;
}

/* (4) When its time is over; 0: at once. */
static int64_t due_of(struct operations *o, const char *id)
{
    CLEANUP_JSON json_t *op = docs_get(o->arm->docs, DOC_OPERATION, id);
    const struct operation_kind *k = operation_kind_find(doc_str(op, "kind"));
    if (k == NULL) return 0;
    int64_t seconds = settings_of(o->arm).duration_s[k->lasts];
    return seconds == 0 ? 0 : doc_int(op, "start") + seconds * US_PER_S;
}

/* Under the lock. */
static enum err wait_until(struct operations *o, const char *id, int64_t due_us, struct diag *d)
{
    if (o->n_waiting == o->waiting_cap) {
        size_t cap = o->waiting_cap == 0 ? 16 : o->waiting_cap * 2;
        struct waiting *more = realloc(o->waiting, cap * sizeof *more);
        if (more == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
        o->waiting = more;
        o->waiting_cap = cap;
    }
    struct waiting *w = &o->waiting[o->n_waiting++];
    *w = (struct waiting){.due_us = due_us};
    snprintf(w->id, sizeof w->id, "%s", id);
    timer_wake(o->timer);
    return OK;
}

enum err operations_go(struct operations *o, const char *id, struct diag *d)
{
    int64_t due_us = due_of(o, id);
    LOCK_SCOPE(&o->m);
    TRY(map_put(&o->running, bytes_str(id), o, NULL, d));
    enum err e =
        due_us > time_now_us() && !o->stopping ? wait_until(o, id, due_us, d) : submit(o, id, d);
    if (e != OK) (void)map_remove(&o->running, bytes_str(id));
    return e;
}

/* Starts what is due and waits until it has ended: then the clock may turn on. */
static void start_due(struct operations *o)
{
    int64_t now = time_now_us();
    for (;;) {
        char id[37] = "";
        {
            LOCK_SCOPE(&o->m);
            struct diag d = DIAG_INIT;
            size_t i = 0;
            while (i < o->n_waiting && o->waiting[i].due_us > now)
                i++;
            if (i == o->n_waiting || o->stopping) return;
            memcpy(id, o->waiting[i].id, sizeof id);
            o->waiting[i] = o->waiting[--o->n_waiting];
            if (submit(o, id, &d) != OK) {
                (void)map_remove(&o->running, bytes_str(id)); /* (3): the next start */
                continue;
            }
        }
        (void)operations_wait(o, id, TURN_MS);
    }
}

static void *run_timer(void *arg)
{
    struct operations *o = arg;
    while (!is_stopping(o)) {
        int64_t due = NEVER_US;
        pthread_mutex_lock(&o->m);
        for (size_t i = 0; i < o->n_waiting; i++) {
            if (o->waiting[i].due_us < due) due = o->waiting[i].due_us;
        }
        pthread_mutex_unlock(&o->m);
        (void)timer_wait(o->timer, due);
        start_due(o);
    }
    return NULL;
}

/* --- the engine ------------------------------------------------------------------------------- */

enum err operations_new(struct operations **out, struct arm *a, unsigned n_threads, struct diag *d)
{
    struct operations *o = calloc(1, sizeof *o);
    if (o == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    o->arm = a;
    pthread_mutex_init(&o->m, NULL);
    cond_init(&o->ended);
    o->timer = timer_new();
    enum err e = o->timer != NULL ? pool_new(&o->pool, n_threads != 0 ? n_threads : 4, QUEUE_MAX, d)
                                  : FAIL(d, ERR_LIMIT, "no timer is left for operations");
    if (e == OK) e = thread_start(&o->timer_thread, run_timer, o, d);
    o->has_timer_thread = e == OK;
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
    bool has_thread = o->has_timer_thread;
    o->has_timer_thread = false;
    pthread_cond_broadcast(&o->ended);
    pthread_mutex_unlock(&o->m);
    if (has_thread) {
        timer_wake(o->timer);
        pthread_join(o->timer_thread, NULL);
    }
    pool_free(pool);
}

void operations_free(struct operations *o)
{
    if (o == NULL) return;
    operations_stop(o);
    timer_free(o->timer);
    free(o->waiting);
    map_release(&o->running);
    pthread_cond_destroy(&o->ended);
    pthread_mutex_destroy(&o->m);
    free(o);
}

/* Under the lock: it does not even begin before its time is over. */
static bool is_waiting(const struct operations *o, const char *id)
{
    for (size_t i = 0; i < o->n_waiting; i++) {
        if (str_eq(o->waiting[i].id, id)) return true;
    }
    return false;
}

bool operations_wait(struct operations *o, const char *id, uint64_t timeout_ms)
{
    int64_t deadline = time_mono_us() + (int64_t)timeout_ms * 1000;
    LOCK_SCOPE(&o->m);
    if (is_waiting(o, id)) return false;
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
        if (!operation_ended(op)) {
            TRY(operations_go(o, id, d));
        } else if (old.n < CHANGE_MAX / 2 &&
                   json_integer_value(json_object_get(op, "end")) < time_now_us() - KEEP_US) {
            change_remove(&old, DOC_OPERATION, id);
        }
    }
    DOCS_WRITE(o->arm->docs);
    return docs_commit(o->arm->docs, &old, d);
}

/* --- the documented body ---------------------------------------------------------------------- */

bool operation_ended(const json_t *op)
{
    return json_object_get(op, "end") != NULL;
}

static void set_status(json_t *j, const json_t *op)
{
    json_object_set_new(j, "status", json_string(doc_str(op, "status")));
}

json_t *operation_json(const json_t *op)
{
    bool legacy = json_is_true(json_object_get(op, "legacy"));
    enum arm_dates how = legacy ? ARM_DATES_RFC1123 : ARM_DATES_ISO;
    json_t *j = json_object();
    if (legacy) set_status(j, op);
    if (legacy) json_object_set_new(j, "name", json_string(doc_str(op, "id")));
    json_object_set_new(
        j, "id",
        json_sprintf("/subscriptions/%s/providers/Microsoft.OperationalInsights/locations/%s/"
                     "operationstatuses/%s",
                     doc_str(op, "subscription"), doc_str(op, "location"), doc_str(op, "id")));
    if (!legacy) json_object_set_new(j, "name", json_string(doc_str(op, "id")));
    if (!legacy) set_status(j, op);
    json_object_set_new(j, "startTime", arm_date(how, doc_int(op, "start")));
    if (!operation_ended(op)) return j;
    json_object_set_new(j, "endTime", arm_date(how, doc_int(op, "end")));
    json_t *error = json_object_get(op, "error");
    if (error != NULL) json_object_set(j, "error", error);
    /* The newest JavaScript poller reads members of properties whatever the end was. */
    json_object_set_new(j, "properties", json_object());
    return j;
}
