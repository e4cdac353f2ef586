/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource/rewrap.c - old data under the customer's present key, in the background; new keys for
 * new files
 *
 * (1) A job is one document, written before it is acknowledged: it goes on after a crash. It keeps
 *     no list of what is done: what does not lie under the present key yet is what is left.
 * (2) What moves is the platform's share of a linked workspace, and what lies under older AEKs.
 *     Rows under another customer's key stay: he must be able to withdraw it.
 * (3) A key that is away makes the job wait; it goes on by itself.
 * (4) An old AEK is dropped when no file lies under it any more, never before.
 */
#include "resource/plane.h"

#include "base/log.h"
#include "resource/settings.h"

#include <stdlib.h>

#define KIND_REWRAP "keystead/rewraps" /* id "rewrap:" + the cluster's key */
#define RETRY_US    US_PER_S
#define AEKS_MAX    256 /* generations of one account */

struct progress { /* of the job that runs; the document has what was written last */
    char cluster[ARM_ID_MAX];
    uint64_t moved, moved_bytes, dropped;
    struct store_rewrap_left left;
    char waits[200]; /* why it does not get on; "" */
};

struct rewraps {
    struct arm *arm;
    pthread_t thread;
    bool runs;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stopping, kicked;
    struct progress now;
};

/* --- documents
 * ---------------------------------------------------------------------------------------- */

static enum err put_job(struct arm *a, const char *cluster_id, json_t *doc, struct diag *d)
{
    char key[ARM_ID_MAX + 8];
    snprintf(key, sizeof key, "rewrap:%s", cluster_id);
    str_lower(key);
    CLEANUP_CHANGE struct change c = {0};
    change_put(&c, DOC_RESOURCE, key, KIND_REWRAP, doc);
    DOCS_WRITE(a->docs);
    return docs_commit(a->docs, &c, d);
}

static json_t *job_doc(const char *cluster_id, const char *state, int64_t started, int64_t ended,
                       const struct progress *p)
{
    return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I}", "cluster", cluster_id, "state", state,
                     "started", (json_int_t)started, "ended", (json_int_t)ended, "segmentsMoved",
                     (json_int_t)p->moved, "bytesMoved", (json_int_t)p->moved_bytes, "keysDropped",
                     (json_int_t)p->dropped);
}

static json_t *next_job(struct arm *a)
{
    CLEANUP_JSON json_t *all = docs_list(a->docs, DOC_RESOURCE, KIND_REWRAP, NULL);
    size_t i;
    json_t *doc;
    json_array_foreach (all, i, doc) {
        if (str_eq(doc_str(doc, "state"), "Running")) return json_incref(doc);
    }
    return NULL;
}

/* --- the keys of an account, as keyd knows them
 * ------------------------------------------------------- */

struct generations {
    uint8_t ids[AEKS_MAX][16]; /* the oldest first; the last seals new files */
    uint32_t n;
};

static enum err generations_of(const json_t *status, const uint8_t account[16],
                               struct generations *out, struct diag *d)
{
    char hex[33];
    hex_encode(bytes_of(account, 16), hex);
    size_t i, k;
    json_t *x, *aek;
    *out = (struct generations){0};
    json_array_foreach (json_get(status, "accounts"), i, x) {
        if (!str_eq(doc_str(x, "account"), hex)) continue;
        json_array_foreach (json_get(x, "aeks"), k, aek) {
            if (out->n == AEKS_MAX)
                return FAIL(d, ERR_LIMIT, "account %s has more than %d keys", hex, AEKS_MAX);
            TRY(hex_decode(bytes_str(doc_str(aek, "aek")), out->ids[out->n++], 16, d));
        }
    }
    return out->n != 0 ? OK : FAIL(d, ERR_UNAVAILABLE, "keyd has no key of account %s", hex);
}

/* --- one job
 * ------------------------------------------------------------------------------------------ */

struct target { /* an account of the cluster, and where its workspace's rows may still lie */
    uint8_t from[2][16];
    struct generations keys;
    struct store_rewrap what;
};

static enum err make_target(struct arm *a, const json_t *account, const json_t *status,
                            struct target *t, struct diag *d)
{
    const char *workspace = doc_str(account, "workspace");
    *t = (struct target){.what = {.n_from = 1}};
    TRY(hex_decode(bytes_str(doc_str(account, "id")), t->what.to, 16, d));
    TRY(guid_parse(workspace, &t->what.workspace, d));
    TRY(generations_of(status, t->what.to, &t->keys, d));
    memcpy(t->what.aek_id, t->keys.ids[t->keys.n - 1], 16);
    memcpy(t->from[0], t->what.to, 16);
    if (arm_account_find(a, workspace, SCOPE_PLATFORM, t->from[1])) t->what.n_from = 2; /* (2) */
    t->what.from = (const uint8_t(*)[16])t->from;
    return OK;
}

static bool is_stopping(struct rewraps *w)
{
    LOCK_SCOPE(&w->lock);
    return w->stopping;
}

static enum err move_all(struct rewraps *w, const struct target *t, struct diag *d)
{
    struct store *s = w->arm->store;
    struct store_rewrap_left left;
    TRY(store_rewrap_flush(s, &t->what, d));
    uint64_t bytes = 1;
    while (bytes != 0 && !is_stopping(w)) {
        TRY(store_rewrap_count(s, &t->what, &left, d));
        pthread_mutex_lock(&w->lock);
        w->now.left.segments = left.segments;
        w->now.left.bytes = left.bytes;
        w->now.waits[0] = 0;
        pthread_mutex_unlock(&w->lock);
        TRY(store_rewrap_step(s, &t->what, &bytes, d));
        LOCK_SCOPE(&w->lock);
        w->now.moved += bytes != 0;
        w->now.moved_bytes += bytes;
    }
    return OK;
}

static enum err drop_key(void *ctx, const uint8_t account[16], const uint8_t aek_id[16],
                         struct diag *d)
{
    struct rewraps *w = ctx;
    TRY(custody_aek_drop(w->arm->c.custody, account, aek_id, d));
    LOCK_SCOPE(&w->lock);
    w->now.dropped++;
    return OK;
}

/* (4) *left counts files that still lie elsewhere, and keys that are still needed. */
static enum err finish(struct rewraps *w, const struct target *t, uint64_t *left, struct diag *d)
{
    struct store_rewrap_left x;
    TRY(store_rewrap_count(w->arm->store, &t->what, &x, d));
    *left += x.segments + x.logs;
    for (uint32_t i = 0; i + 1 < t->keys.n; i++) {
        bool unused;
        TRY(store_aek_unused(w->arm->store, t->what.to, t->keys.ids[i], drop_key, w, &unused, d));
        *left += !unused;
    }
    LOCK_SCOPE(&w->lock);
    w->now.left.logs += x.logs;
    return OK;
}

/* All accounts of the cluster once. *left 0: nothing remains to be done. */
static enum err pass(struct rewraps *w, const json_t *job, uint64_t *left, struct diag *d)
{
    char scope[ARM_ID_MAX];
    snprintf(scope, sizeof scope, "%s", doc_str(job, "cluster"));
    str_lower(scope);
    CLEANUP_JSON json_t *status = NULL;
    TRY(custody_status(w->arm->c.custody, &status, d));
    CLEANUP_JSON json_t *accounts = docs_list(w->arm->docs, DOC_ACCOUNT, NULL, NULL);
    *left = 0;
    pthread_mutex_lock(&w->lock);
    w->now.left = (struct store_rewrap_left){0};
    pthread_mutex_unlock(&w->lock);
    size_t i;
    json_t *account;
    json_array_foreach (accounts, i, account) {
        struct target t;
        if (!str_eq(doc_str(account, "scope"), scope) || is_stopping(w)) continue;
        TRY(make_target(w->arm, account, status, &t, d));
        TRY(move_all(w, &t, d));
        TRY(finish(w, &t, left, d));
    }
    return OK;
}

static void note_wait(struct rewraps *w, const char *why)
{
    LOCK_SCOPE(&w->lock);
    if (!str_eq(w->now.waits, why)) LOG(INFO, "rewrap.waits", F_STR("reason", why));
    snprintf(w->now.waits, sizeof w->now.waits, "%s", why);
}

static void begin(struct rewraps *w, const json_t *job)
{
    LOCK_SCOPE(&w->lock);
    if (str_eq(w->now.cluster, doc_str(job, "cluster"))) return;
    w->now = (struct progress){.moved = (uint64_t)doc_int(job, "segmentsMoved"),
                               .moved_bytes = (uint64_t)doc_int(job, "bytesMoved"),
                               .dropped = (uint64_t)doc_int(job, "keysDropped")};
    snprintf(w->now.cluster, sizeof w->now.cluster, "%s", doc_str(job, "cluster"));
}

static enum err save(struct rewraps *w, const json_t *job, const char *state, struct diag *d)
{
    pthread_mutex_lock(&w->lock);
    struct progress p = w->now;
    pthread_mutex_unlock(&w->lock);
    int64_t ended = str_eq(state, "Running") ? 0 : time_now_us();
    const char *cluster = doc_str(job, "cluster");
    return put_job(w->arm, cluster, job_doc(cluster, state, doc_int(job, "started"), ended, &p), d);
}

static bool run_job(struct rewraps *w, const json_t *job) /* false: wait before the next try */
{
    struct diag d = DIAG_INIT;
    uint64_t left = 0;
    begin(w, job);
    enum err e = pass(w, job, &left, &d);
    if (is_stopping(w)) return false;
    bool done = e == OK && left == 0;
    if (e == OK) e = save(w, job, done ? "Succeeded" : "Running", &d);
    if (e != OK) { /* (3) */
        note_wait(w, d.text);
        return false;
    }
    if (done) {
        LOG(INFO, "rewrap.done", F_STR("cluster", doc_str(job, "cluster")));
        LOCK_SCOPE(&w->lock);
        w->now = (struct progress){0};
    } else {
        note_wait(w, "logs under older keys go when their batch ids are forgotten");
    }
    return done;
}

static void *run(void *arg)
{
    struct rewraps *w = arg;
    pthread_mutex_lock(&w->lock);
    while (!w->stopping) {
        w->kicked = false;
        pthread_mutex_unlock(&w->lock);
        CLEANUP_JSON json_t *job = next_job(w->arm);
        bool on = job != NULL && run_job(w, job);
        pthread_mutex_lock(&w->lock);
        if (on || w->stopping || w->kicked) continue;
        if (job == NULL) {
            pthread_cond_wait(&w->wake, &w->lock);
        } else {
            (void)cond_wait_until(&w->wake, &w->lock, time_mono_us() + RETRY_US);
        }
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

/* --- life
 * --------------------------------------------------------------------------------------------- */

enum err rewraps_start(struct arm *a, struct diag *d)
{
    struct rewraps *w = calloc(1, sizeof *w);
    if (w == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    w->arm = a;
    pthread_mutex_init(&w->lock, NULL);
    cond_init(&w->wake);
    enum err e = thread_start(&w->thread, run, w, d);
    if (e != OK) {
        free(w);
        return e;
    }
    a->rewraps = w;
    return OK;
}

void rewraps_stop(struct arm *a)
{
    struct rewraps *w = TAKE(a->rewraps);
    if (w == NULL) return;
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    pthread_cond_broadcast(&w->wake);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    pthread_cond_destroy(&w->wake);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

/* --- asked from outside
 * ------------------------------------------------------------------------------- */

enum err arm_rewrap(struct arm *a, const char *cluster_id, const char *by, bool data_too,
                    uint64_t *wraps, struct diag *d)
{
    char scope[ARM_ID_MAX];
    snprintf(scope, sizeof scope, "%s", cluster_id);
    str_lower(scope);
    TRY(custody_scope_rewrap(a->c.custody, scope, by, wraps, d));
    if (!data_too) return OK;
    const struct progress none = {0};
    TRY(put_job(a, cluster_id, job_doc(cluster_id, "Running", time_now_us(), 0, &none), d));
    struct rewraps *w = a->rewraps;
    if (w == NULL) return OK; /* the next start goes on with it (1) */
    LOCK_SCOPE(&w->lock);
    w->kicked = true;
    pthread_cond_broadcast(&w->wake);
    return OK;
}

static json_t *progress_json(struct arm *a, const json_t *job)
{
    json_t *o = json_deep_copy(job);
    json_object_set_new(o, "started", arm_date(ARM_DATES_ISO, doc_int(job, "started")));
    bool running = str_eq(doc_str(job, "state"), "Running");
    json_object_set_new(o, "ended",
                        running ? json_null() : arm_date(ARM_DATES_ISO, doc_int(job, "ended")));
    if (!running || a->rewraps == NULL) return o;
    LOCK_SCOPE(&a->rewraps->lock);
    const struct progress *p = &a->rewraps->now;
    if (!str_eq(p->cluster, doc_str(job, "cluster"))) return o;
    json_object_set_new(o, "segmentsMoved", json_integer((json_int_t)p->moved));
    json_object_set_new(o, "bytesMoved", json_integer((json_int_t)p->moved_bytes));
    json_object_set_new(o, "keysDropped", json_integer((json_int_t)p->dropped));
    json_object_set_new(o, "segmentsLeft", json_integer((json_int_t)p->left.segments));
    json_object_set_new(o, "bytesLeft", json_integer((json_int_t)p->left.bytes));
    json_object_set_new(o, "logsLeft", json_integer((json_int_t)p->left.logs));
    json_object_set_new(o, "waits", p->waits[0] != 0 ? json_string(p->waits) : json_null());
    return o;
}

json_t *arm_rewraps(struct arm *a)
{
    json_t *list = json_array();
    CLEANUP_JSON json_t *all = docs_list(a->docs, DOC_RESOURCE, KIND_REWRAP, NULL);
    size_t i;
    json_t *job;
    json_array_foreach (all, i, job)
        json_array_append_new(list, progress_json(a, job));
    return list;
}

/* --- new keys for new files
 * -------------------------------------------------------------------------- */

static enum err rotate_account(struct arm *a, const uint8_t id[16], const char *by,
                               uint32_t *generation, struct diag *d)
{
    struct store_rewrap r = {0}; /* nothing moves: only the log that is written ends */
    memcpy(r.to, id, 16);
    TRY(custody_aek_rotate(a->c.custody, id, by, generation, r.aek_id, d));
    return a->store != NULL ? store_rewrap_flush(a->store, &r, d) : OK;
}

static bool is_meant(struct arm *a, const json_t *account, const char *cluster_id,
                     const char *workspace)
{
    if (cluster_id != NULL) return str_eq_nocase(doc_str(account, "cluster"), cluster_id);
    struct guid g;
    struct workspace w;
    if (guid_parse(doc_str(account, "workspace"), &g, NULL) != OK || !arm_workspace(a, &g, &w))
        return false;
    return str_eq_nocase(w.name, workspace) || str_eq_nocase(w.customer_id, workspace) ||
           str_eq_nocase(w.arm_id, workspace);
}

enum err arm_rotate_aek(struct arm *a, const char *cluster_id, const char *workspace,
                        const char *by, json_t **out, struct diag *d)
{
    CLEANUP_JSON json_t *accounts = docs_list(a->docs, DOC_ACCOUNT, NULL, NULL),
                        *list = json_array();
    size_t i;
    json_t *account;
    json_array_foreach (accounts, i, account) {
        uint8_t id[16];
        uint32_t generation;
        if (!json_is_true(json_object_get(account, "ready")) ||
            !is_meant(a, account, cluster_id, workspace)) {
            continue;
        }
        TRY(hex_decode(bytes_str(doc_str(account, "id")), id, 16, d));
        TRY(rotate_account(a, id, by, &generation, d));
        json_array_append_new(list, json_pack("{s:s, s:s, s:i}", "account", doc_str(account, "id"),
                                              "workspaceId", doc_str(account, "workspace"),
                                              "generation", (int)generation));
    }
    if (json_array_size(list) == 0 && cluster_id == NULL)
        return FAIL(d, ERR_NOT_FOUND, "there is no workspace '%.100s' with a key", workspace);
    *out = json_incref(list);
    return OK;
}

/* Keys that are older than the configuration allows. A failure is tried again with the next
 * tidying.
 */
void aeks_tidy(struct arm *a, int64_t now_us)
{
    CLEANUP_JSON json_t *status = NULL;
    int64_t days = settings_of(a).account_key_max_age_days;
    if (days == 0 || a->store == NULL || custody_status(a->c.custody, &status, NULL) != OK) {
        return;
    }
    size_t i;
    json_t *x;
    json_array_foreach (json_get(status, "accounts"), i, x) {
        const json_t *aeks = json_get(x, "aeks");
        const json_t *newest = json_array_get(aeks, json_array_size(aeks) - 1);
        int64_t oldest_us = now_us - days * 86400 * US_PER_S;
        uint8_t id[16];
        uint32_t generation;
        struct diag d = DIAG_INIT;
        if (newest == NULL || !str_eq(doc_str(x, "state"), "ACTIVE") ||
            doc_int(newest, "createdMicroseconds") > oldest_us ||
            hex_decode(bytes_str(doc_str(x, "account")), id, 16, NULL) != OK) {
            continue;
        }
        if (rotate_account(a, id, "age", &generation, &d) != OK)
            LOG(WARN, "aek.not_rotated", F_ERR(&d));
    }
}
