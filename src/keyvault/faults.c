/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keyvault/faults.c - failures on demand, for rehearsing what software with customer-managed keys
 * must survive
 *
 *      POST   /admin/faults       {"kind", "vault", "key", "operation", "count", "seconds", ...}: 201
 *      GET    /admin/faults       {"value": [...]}
 *      DELETE /admin/faults/ID    204
 *      DELETE /admin/faults       all of the caller's vaults: 204
 *
 * key and operation (a name of the audit, "KeyUnwrap") narrow a fault; count is how often it plays
 * (0 = always), seconds how long it stays. They live in memory: a restart ends them all. Who may is
 * who may decide over access to the vault: its owner.
 */
#include "keyvault/service.h"

#include "base/log.h"
#include "base/str.h"
#include "base/thread.h"

#include <stdio.h>
#include <stdlib.h>

#define FAULTS_MAX      256
#define SECONDS_DEFAULT 300
#define SECONDS_MAX     86400
#define DELAY_MAX_MS    60000
#define OPERATION_MAX   48
#define NAP_US          50000 /* how soon a hanging request sees the virtual clock turn */
#define OWNER_ACTION    "Microsoft.Authorization/roleAssignments/write"

#define BAD(d, ...) FAIL_TAG((d), ERR_INVALID, "BadRequest", __VA_ARGS__)

enum kind { DENY, THROTTLE, ERROR, DELAY, HANG, RESET, TLS, HALF, WRONG_KEY, KINDS };

static const char *const kind_names[KINDS] = {"deny",  "throttle", "error", "delay",   "hang",
                                              "reset", "tls",      "half",  "wrongKey"};

struct fault {
    char id[GUID_TEXT_MAX];
    enum kind kind;
    char vault[VAULT_NAME_MAX], key[KEY_NAME_MAX], operation[OPERATION_MAX]; /* "" = any */
    int64_t count, hits, until_s;
    int64_t status, retry_after_s, delay_ms;
};

struct faults {
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t change;
    struct fault list[FAULTS_MAX];
    size_t n;
    bool quitting;
};

enum err kv_faults_new(struct faults **out, struct diag *d)
{
    struct faults *f = calloc(1, sizeof *f);
    if (f == NULL) return kv_out_of_memory(d);
    pthread_mutex_init(&f->lock, NULL);
    cond_init(&f->change);
    *out = f;
    return OK;
}

void kv_faults_free(struct faults *f)
{
    if (f == NULL) return;
    pthread_cond_destroy(&f->change);
    pthread_mutex_destroy(&f->lock);
    free(f);
}

void kv_faults_quit(struct faults *f)
{
    LOCK_SCOPE(&f->lock);
    f->quitting = true;
    pthread_cond_broadcast(&f->change);
}

/* --- the list; all with the lock held --- */

static void remove_at(struct faults *f, size_t i)
{
    memmove(&f->list[i], &f->list[i + 1], (f->n - i - 1) * sizeof f->list[0]);
    f->n--;
    pthread_cond_broadcast(&f->change);
}

static void remove_ended(struct faults *f)
{
    for (size_t i = f->n; i-- > 0;) {
        if (now_s() >= f->list[i].until_s) remove_at(f, i);
    }
}

static struct fault *find(struct faults *f, const char *id)
{
    for (size_t i = 0; i < f->n; i++) {
        if (str_eq(f->list[i].id, id)) return &f->list[i];
    }
    return NULL;
}

static bool applies(const struct fault *x, const char *vault, const char *key,
                    const char *operation)
{
    if (x->count != 0 && x->hits >= x->count) return false;
    if (!str_eq(x->vault, vault)) return false;
    if (x->key[0] != 0 && (key == NULL || !str_eq_nocase(x->key, key))) return false;
    return x->operation[0] == 0 || str_eq_nocase(x->operation, operation);
}

/* The first fault that applies, counted. */
static bool take(struct faults *f, const char *vault, const char *key, const char *operation,
                 struct fault *out)
{
    remove_ended(f);
    for (size_t i = 0; i < f->n; i++) {
        if (!applies(&f->list[i], vault, key, operation)) continue;
        f->list[i].hits++;
        *out = f->list[i];
        return true;
    }
    return false;
}

/* --- playing --- */

/* Until the fault ends, is taken back, or the service stops. */
static void hang(struct faults *f, const struct fault *x)
{
    LOCK_SCOPE(&f->lock);
    while (!f->quitting && now_s() < x->until_s && find(f, x->id) != NULL) {
        (void)cond_wait_until(&f->change, &f->lock, time_mono_us() + NAP_US);
    }
}

static void delay(struct faults *f, const struct fault *x)
{
    int64_t end = time_mono_us() + x->delay_ms * 1000;
    LOCK_SCOPE(&f->lock);
    while (!f->quitting && time_mono_us() < end)
        (void)cond_wait_until(&f->change, &f->lock, end);
}

static void reset(struct call *c)
{
    c->res->status = 503; /* for the audit: nobody gets to see it */
    c->res->fault = HTTP_FAULT_RESET;
}

static void fail_with(struct call *c, int status)
{
    CLEANUP_JSON json_t *j = json_pack("{s:{s:s, s:s}}", "error", "code",
                                       status == 503 ? "ServiceUnavailable" : "InternalServerError",
                                       "message", "The service failed on demand.");
    kv_reply_json(c->res, status, j);
}

static enum err play(struct call *c, const struct fault *x, const struct key_ref *r,
                     enum permission p, bool *done, struct diag *d)
{
    *done = true;
    switch (x->kind) {
    case DENY: return kv_policy_refuse(c, r->vault, r->name, p, d);
    case THROTTLE:
        http_setf(c->res, "Retry-After", "%lld", (long long)x->retry_after_s);
        return FAIL_TAG(d, ERR_LIMIT, "Throttled",
                        "Request was not processed because too many requests were received.");
    case ERROR: fail_with(c, (int)x->status); return OK;
    case HANG:
        hang(c->kv->faults, x);
        reset(c);
        return OK;
    case RESET: reset(c); return OK;
    case TLS:
        reset(c);
        c->res->fault = HTTP_FAULT_TLS;
        return OK;
    case HALF: c->res->fault = HTTP_FAULT_HALF; break;
    case WRONG_KEY: c->wrong_key = true; break;
    default: delay(c->kv->faults, x); break;
    }
    *done = false;
    return OK;
}

enum err kv_faults_play(struct call *c, const struct key_ref *r, enum permission p, bool *done,
                        struct diag *d)
{
    struct faults *f = c->kv->faults;
    struct fault x;
    *done = false;
    if (f == NULL) return OK;
    {
        LOCK_SCOPE(&f->lock);
        if (!take(f, r->vault_name, r->name, c->operation, &x)) return OK;
    }
    c->fault = kind_names[x.kind];
    LOG(WARN, "fault.played", F_STR("kind", c->fault), F_STR("vault", x.vault),
        F_STR("operation", c->operation));
    return play(c, &x, r, p, done, d);
}

/* --- administration --- */

static json_t *show(const struct fault *x)
{
    char until[TIME_TEXT_MAX];
    time_format_iso(x->until_s * US_PER_S, until);
    json_t *j =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:s}", "id", x->id, "kind",
                  kind_names[x->kind], "vault", x->vault, "key", x->key, "operation", x->operation,
                  "count", (json_int_t)x->count, "hits", (json_int_t)x->hits, "until", until);
    if (x->kind == ERROR) json_object_set_new(j, "status", json_integer(x->status));
    if (x->kind == THROTTLE) json_object_set_new(j, "retryAfter", json_integer(x->retry_after_s));
    if (x->kind == DELAY) json_object_set_new(j, "delayMs", json_integer(x->delay_ms));
    return j;
}

static enum err read_number(const json_t *o, const char *name, int64_t otherwise, int64_t min,
                            int64_t max, int64_t *out, struct diag *d)
{
    json_t *v = json_get(o, name);
    int64_t n = v == NULL ? otherwise : json_integer_value(v);
    if ((v != NULL && !json_is_integer(v)) || n < min || n > max) {
        return BAD(d, "'%s' must be a number from %lld to %lld.", name, (long long)min,
                   (long long)max);
    }
    *out = n;
    return OK;
}

static enum err read_word(const json_t *o, const char *name, char *out, size_t max, struct diag *d)
{
    const char *s = json_get_str(o, name);
    if (json_get(o, name) == NULL) s = "";
    if (s == NULL || strlen(s) >= max || !kv_is_word(s, 0, max)) {
        return BAD(d, "'%s' must be a name of less than %zu characters.", name, max);
    }
    memcpy(out, s, strlen(s) + 1);
    return OK;
}

static enum err read_kind(const json_t *o, enum kind *out, struct diag *d)
{
    const char *s = json_get_str(o, "kind");
    for (int i = 0; s != NULL && i < KINDS; i++) {
        if (!str_eq_nocase(s, kind_names[i])) continue;
        *out = (enum kind)i;
        return OK;
    }
    return BAD(d,
               "'kind' must be one of deny, throttle, error, delay, hang, reset, half, wrongKey.");
}

static enum err read_fault(const json_t *o, struct fault *x, struct diag *d)
{
    int64_t seconds = 0;
    struct guid g;
    TRY(read_kind(o, &x->kind, d));
    TRY(read_word(o, "vault", x->vault, sizeof x->vault, d));
    TRY(read_word(o, "key", x->key, sizeof x->key, d));
    TRY(read_word(o, "operation", x->operation, sizeof x->operation, d));
    TRY(read_number(o, "count", 0, 0, INT32_MAX, &x->count, d));
    TRY(read_number(o, "seconds", SECONDS_DEFAULT, 1, SECONDS_MAX, &seconds, d));
    TRY(read_number(o, "status", 503, 500, 599, &x->status, d));
    TRY(read_number(o, "retryAfter", 1, 0, 3600, &x->retry_after_s, d));
    TRY(read_number(o, "delayMs", 1000, 1, DELAY_MAX_MS, &x->delay_ms, d));
    str_lower(x->vault);
    x->until_s = now_s() + seconds;
    guid_random(&g);
    guid_format(&g, x->id);
    return OK;
}

static enum err check_owner(const struct call *c, const char *vault_name, struct diag *d)
{
    CLEANUP_JSON json_t *vault = NULL;
    TRY(kv_vault_find(c->kv, vault_name, &vault, d));
    /* Of a vault that is not there nobody is the owner. */
    return kv_arm_may(c, OWNER_ACTION, vault != NULL ? json_get_str(vault, "id") : "/", d);
}

static enum err add(struct call *c, struct diag *d)
{
    struct fault x = {0};
    if (json_read(c->req->body, &c->body, NULL) != OK || !json_is_object(c->body)) {
        return BAD(d, "The request body is not a JSON object.");
    }
    TRY(read_fault(c->body, &x, d));
    TRY(check_owner(c, x.vault, d));
    struct faults *f = c->kv->faults;
    {
        LOCK_SCOPE(&f->lock);
        remove_ended(f);
        if (f->n == FAULTS_MAX) return BAD(d, "There are %d faults already.", FAULTS_MAX);
        f->list[f->n++] = x;
    }
    LOG(WARN, "fault.added", F_STR("kind", kind_names[x.kind]), F_STR("vault", x.vault),
        F_STR("id", x.id), F_STR("by", c->who.object_id));
    CLEANUP_JSON json_t *j = show(&x);
    kv_reply_json(c->res, 201, j);
    return OK;
}

/* A copy of the list: owners are asked for without the lock. */
static size_t copy_list(struct faults *f, struct fault **out)
{
    LOCK_SCOPE(&f->lock);
    remove_ended(f);
    *out = calloc(f->n + 1, sizeof **out);
    if (*out != NULL) memcpy(*out, f->list, f->n * sizeof **out);
    return *out != NULL ? f->n : 0;
}

/* Other people's faults are not there. */
static bool is_owners(const struct call *c, const struct fault *x)
{
    struct diag why = DIAG_INIT;
    return check_owner(c, x->vault, &why) == OK;
}

static enum err list(struct call *c)
{
    CLEANUP_FREE struct fault *all = NULL;
    size_t n = copy_list(c->kv->faults, &all);
    CLEANUP_JSON json_t *j = json_pack("{s:[]}", "value");
    for (size_t i = 0; i < n; i++) {
        if (is_owners(c, &all[i])) json_array_append_new(json_get(j, "value"), show(&all[i]));
    }
    kv_reply_json(c->res, 200, j);
    return OK;
}

/* id NULL: all. */
static enum err take_back(struct call *c, const char *id, struct diag *d)
{
    struct faults *f = c->kv->faults;
    CLEANUP_FREE struct fault *all = NULL;
    size_t n = copy_list(f, &all), removed = 0;
    for (size_t i = 0; i < n; i++) {
        if ((id != NULL && !str_eq(all[i].id, id)) || !is_owners(c, &all[i])) continue;
        LOCK_SCOPE(&f->lock);
        struct fault *x = find(f, all[i].id);
        if (x != NULL) remove_at(f, (size_t)(x - f->list));
        removed++;
    }
    if (id != NULL && removed == 0) {
        return FAIL_TAG(d, ERR_NOT_FOUND, "FaultNotFound", "There is no fault %.40s.", id);
    }
    c->res->status = 204;
    return OK;
}

enum err kv_faults_admin(struct call *c, struct diag *d)
{
    const char *segments[3] = {NULL};
    size_t n = kv_split_path(c->req->a, c->req->path, segments, 3);
    const char *method = c->req->method;
    c->operation = "FaultsAdmin";
    if (n == 2 && str_eq(method, "POST")) return add(c, d);
    if (n == 2 && str_eq(method, "GET")) return list(c);
    if ((n == 2 || n == 3) && str_eq(method, "DELETE"))
        return take_back(c, n == 3 ? segments[2] : NULL, d);
    return FAIL_TAG(d, ERR_INVALID, "MethodNotAllowed",
                    "POST, GET and DELETE of /admin/faults are there.");
}
