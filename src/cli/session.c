/* SPDX-License-Identifier: Apache-2.0 */
/* cli/session.c - tokens, calls and the few requests that several commands share */
#include "cli/session.h"

#include "base/map.h"
#include "base/os.h"
#include "base/thread.h"
#include "base/time.h"

#include <stdio.h>
#include <stdlib.h>

#define RENEW_BEFORE_US (300 * US_PER_S)
#define API_WORKSPACES  "2022-10-01"

struct token {
    char *text;
    int64_t renew_at_us;
};

struct session {
    struct credentials credentials; /* a person's: the refresh token stands as the secret */
    char *login_path;               /* NULL: the owner's */
    struct http_client *http;
    pthread_mutex_t lock; /* guards tokens */
    struct map tokens;
};

char *session_login_path(void)
{
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    if (config != NULL && config[0] == '/') return str_fmt("%s/keystead/login.json", config);
    return home != NULL && home[0] == '/' ? str_fmt("%s/.config/keystead/login.json", home) : NULL;
}

enum err session_open(struct session **out, const char *data, struct diag *d)
{
    CLEANUP(session_close) struct session *s = calloc(1, sizeof *s);
    if (s == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    pthread_mutex_init(&s->lock, NULL);
    CLEANUP_FREE char *path =
        data != NULL ? os_path(data, "credentials.json") : session_login_path();
    if (data == NULL && (path == NULL || !os_exists(path))) {
        return FAIL(d, ERR_NOT_FOUND,
                    "--data DIR is missing, and nobody has signed in with "
                    "keystead login");
    }
    TRY(credentials_read(path, &s->credentials, d));
    const char *ca = s->credentials.ca_file[0] != 0 ? s->credentials.ca_file : NULL;
    TRY(http_client_new(&s->http, ca, d));
    if (data == NULL) s->login_path = TAKE(path);
    *out = TAKE(s);
    return OK;
}

static void token_free(struct token *t)
{
    if (t == NULL) return;
    if (t->text != NULL) explicit_bzero(t->text, strlen(t->text));
    free(t->text);
    free(t);
}

void session_close(struct session *s)
{
    if (s == NULL) return;
    MAP_EACH (&s->tokens, e)
        token_free(e->value);
    map_release(&s->tokens);
    http_client_free(s->http);
    free(s->login_path);
    pthread_mutex_destroy(&s->lock);
    explicit_bzero(&s->credentials, sizeof s->credentials);
    free(s);
}

const struct credentials *session_credentials(const struct session *s)
{
    return &s->credentials;
}

/* --- tokens ----------------------------------------------------------------------------------- */

static void put_form(const struct session *s, const char *resource, struct buf *form)
{
    const struct credentials *c = &s->credentials;
    bool person = s->login_path != NULL;
    buf_fmt(form, "grant_type=%s&client_id=%s&%s=", person ? "refresh_token" : "client_credentials",
            c->client_id, person ? "refresh_token" : "client_secret");
    percent_encode(form, bytes_str(c->client_secret));
    buf_str(form, "&scope=");
    percent_encode(form, bytes_str(resource));
    buf_str(form, person ? "%2F.default%20offline_access" : "%2F.default");
}

/* A refresh token is used up: the next one is kept before anything is done with the token. */
static enum err keep_refresh(struct session *s, const json_t *answer, struct diag *d)
{
    const char *next = json_get_str(answer, "refresh_token");
    struct credentials *c = &s->credentials;
    if (s->login_path == NULL) return OK;
    if (next == NULL || strlen(next) >= sizeof c->client_secret) {
        return FAIL(d, ERR_DENIED, "the server gave no new refresh token: sign in again");
    }
    memcpy(c->client_secret, next, strlen(next) + 1);
    return credentials_write(s->login_path, c, d);
}

static enum err ask_token(struct session *s, const char *resource, json_t **out, struct diag *d)
{
    const struct credentials *c = &s->credentials;
    CLEANUP_BUF struct buf form = {0};
    put_form(s, resource, &form);
    TRY(buf_check(&form, d));
    CLEANUP_FREE char *url = str_fmt("%s/%s/oauth2/v2.0/token", c->endpoint, c->tenant_id);
    const struct http_call call = {.method = "POST",
                                   .url = url,
                                   .body = buf_view(&form),
                                   .content_type = "application/x-www-form-urlencoded"};
    CLEANUP_ANSWER struct http_answer a = {0};
    TRY(http_do(s->http, &call, &a, d));
    CLEANUP_JSON json_t *j = NULL;
    TRY(json_read(buf_view(&a.body), &j, d));
    if (a.status != 200 || json_get_str(j, "access_token") == NULL) {
        const char *why = json_get_str(j, "error_description");
        return FAIL(d, ERR_DENIED, "no token for %s: %s", resource, why != NULL ? why : "refused");
    }
    TRY(keep_refresh(s, j, d));
    *out = TAKE(j);
    return OK;
}

/* Another command of the same person may have used the refresh token meanwhile: what it left is
 * tried once. */
static enum err ask_token_again(struct session *s, const char *resource, json_t **out,
                                struct diag *d)
{
    struct diag why = DIAG_INIT;
    struct credentials now;
    enum err e = ask_token(s, resource, out, &why);
    if (e == ERR_DENIED && s->login_path != NULL &&
        credentials_read(s->login_path, &now, NULL) == OK &&
        !str_eq(now.client_secret, s->credentials.client_secret)) {
        s->credentials = now;
        diag_reset(&why);
        e = ask_token(s, resource, out, &why);
    }
    return e == OK ? OK : FAIL_TAG(d, e, why.tag, "%s", why.text);
}

static enum err fetch_token(struct session *s, const char *resource, struct token **out,
                            struct diag *d)
{
    CLEANUP_JSON json_t *j = NULL;
    TRY(ask_token_again(s, resource, &j, d));
    struct token *t = calloc(1, sizeof *t);
    char *copy = str_dup(json_get_str(j, "access_token"));
    if (t == NULL || copy == NULL) {
        free(t);
        free(copy);
        return FAIL(d, ERR_LIMIT, "out of memory");
    }
    int64_t lives_us = json_get_int(j, "expires_in", 3600) * US_PER_S;
    *t = (struct token){copy, time_mono_us() + lives_us - RENEW_BEFORE_US};
    *out = t;
    return OK;
}

enum err session_token(struct session *s, const char *resource, struct buf *out, struct diag *d)
{
    LOCK_SCOPE(&s->lock);
    struct token *t = map_get(&s->tokens, bytes_str(resource));
    if (t == NULL || time_mono_us() > t->renew_at_us) {
        struct token *fresh = NULL;
        void *old = NULL;
        TRY(fetch_token(s, resource, &fresh, d));
        enum err e = map_put(&s->tokens, bytes_str(resource), fresh, &old, d);
        token_free(e == OK ? old : fresh);
        TRY(e);
        t = fresh;
    }
    buf_str(out, t->text);
    return buf_check(out, d);
}

/* --- calls ------------------------------------------------------------------------------------ */

enum err session_do(struct session *s, const struct session_call *c, struct http_answer *answer,
                    struct diag *d)
{
    CLEANUP_BUF struct buf token = {0}, body = {0};
    TRY(session_token(s, c->resource, &token, d));
    if (c->json != NULL) TRY(json_write(c->json, &body, d));
    bool absolute = str_starts(c->url, "https://");
    CLEANUP_FREE char *url = str_fmt("%s%s", absolute ? "" : s->credentials.endpoint, c->url);
    const struct http_call call = {
        .method = c->method,
        .url = url,
        .bearer = buf_cstr(&token),
        .headers = c->headers,
        .body = c->json != NULL ? buf_view(&body) : c->body,
        .timeout_ms = c->timeout_ms,
    };
    return http_do(s->http, &call, answer, d);
}

/* The innermost error that says something: it knows best. */
static const json_t *innermost(const json_t *error)
{
    for (const json_t *inner; (inner = json_get(error, "innererror")) != NULL;) {
        if (json_get_str(inner, "code") == NULL) break;
        error = inner;
    }
    return error;
}

static enum err class_of(int status)
{
    if (status == 404) return ERR_NOT_FOUND;
    if (status == 409) return ERR_CONFLICT;
    if (status == 403) return ERR_DENIED;
    return status >= 500 || status == 429 ? ERR_UNAVAILABLE : ERR_INVALID;
}

enum err session_failure(struct http_answer *a, struct diag *d)
{
    CLEANUP_JSON json_t *j = NULL;
    if (json_read(buf_view(&a->body), &j, NULL) != OK) j = NULL;
    const json_t *outer = json_get(j, "error"), *inner = innermost(outer);
    const char *code = json_get_str(inner, "code"), *text = json_get_str(inner, "message");
    if (text == NULL) text = json_get_str(outer, "message");
    return FAIL_TAG(d, class_of(a->status), code != NULL ? code : "", "%d %s: %s", a->status,
                    code != NULL ? code : "error",
                    text != NULL ? text : "the server gave no reason");
}

enum err session_json(struct session *s, const struct session_call *c, int *status, json_t **out,
                      struct diag *d)
{
    CLEANUP_ANSWER struct http_answer a = {0};
    TRY(session_do(s, c, &a, d));
    if (status != NULL) *status = a.status;
    if (a.status >= 400) return session_failure(&a, d);
    if (out == NULL) return OK;
    *out = NULL;
    return a.body.len != 0 ? json_read(buf_view(&a.body), out, d) : OK;
}

/* No resource, so it is in no list; the query API knows it by its name. */
#define PLATFORM_WORKSPACE "keystead-platform"

static bool workspace_matches(const json_t *w, const char *name_or_id)
{
    return str_eq_nocase(json_get_str(w, "name"), name_or_id) ||
           str_eq_nocase(json_string_value(json_at(w, "properties", "customerId", NULL)),
                         name_or_id);
}

enum err session_workspace(struct session *s, const char *name_or_id, struct workspace *out,
                           struct diag *d)
{
    CLEANUP_FREE char *url =
        str_fmt("/subscriptions/%s/providers/Microsoft.OperationalInsights/workspaces"
                "?api-version=" API_WORKSPACES,
                s->credentials.subscription_id);
    const struct session_call call = {.method = "GET", .resource = RESOURCE_ARM, .url = url};
    CLEANUP_JSON json_t *list = NULL;
    TRY(session_json(s, &call, NULL, &list, d));
    struct workspace found = {0};
    size_t i;
    json_t *w;
    json_array_foreach (json_get(list, "value"), i, w) {
        if (!workspace_matches(w, name_or_id)) continue;
        if (found.id[0] != 0) {
            return FAIL(d, ERR_CONFLICT, "more than one workspace is named %s: use its id",
                        name_or_id);
        }
        const char *id = json_string_value(json_at(w, "properties", "customerId", NULL));
        const char *arm = json_get_str(w, "id");
        snprintf(found.id, sizeof found.id, "%s", id != NULL ? id : "");
        snprintf(found.arm_id, sizeof found.arm_id, "%s", arm != NULL ? arm : "");
    }
    if (found.id[0] == 0 && str_eq_nocase(name_or_id, PLATFORM_WORKSPACE)) {
        snprintf(found.id, sizeof found.id, "%s", PLATFORM_WORKSPACE);
    }
    if (found.id[0] == 0)
        return FAIL(d, ERR_NOT_FOUND, "there is no workspace named %s", name_or_id);
    *out = found;
    return OK;
}

#define POLL_US (200 * 1000)

static enum err poll_once(struct session *s, const char *url, bool *done, struct diag *d)
{
    CLEANUP_JSON json_t *j = NULL;
    const struct session_call call = {.method = "GET", .resource = RESOURCE_ARM, .url = url};
    TRY(session_json(s, &call, NULL, &j, d));
    const char *status = json_get_str(j, "status");
    *done = str_eq_nocase(status, "Succeeded");
    if (!str_eq_nocase(status, "Failed") && !str_eq_nocase(status, "Canceled")) return OK;
    const char *code = json_string_value(json_at(j, "error", "code", NULL));
    const char *text = json_string_value(json_at(j, "error", "message", NULL));
    return FAIL(d, ERR_INVALID, "the operation ended as %s: %s: %s", status,
                code != NULL ? code : "", text != NULL ? text : "");
}

enum err session_follow(struct session *s, struct http_answer *first, uint64_t timeout_s,
                        struct diag *d)
{
    if (first->status >= 400) return session_failure(first, d);
    const char *header = http_answer_header(first, "azure-asyncoperation");
    if (header == NULL) return OK; /* it was done at once */
    CLEANUP_FREE char *url = str_dup(header);
    int64_t until = time_mono_us() + (int64_t)timeout_s * US_PER_S;
    bool done = false;
    while (!done) {
        if (time_mono_us() > until) {
            return FAIL(d, ERR_UNAVAILABLE, "the operation is not done after %llu s",
                        (unsigned long long)timeout_s);
        }
        TRY(poll_once(s, url, &done, d));
        if (!done) time_sleep_us(POLL_US);
    }
    return OK;
}

enum err session_query(struct session *s, const char *workspace_id, const char *kql, json_t **out,
                       json_t **render, struct diag *d)
{
    CLEANUP_FREE char *url = str_fmt("/v1/workspaces/%s/query", workspace_id);
    CLEANUP_JSON json_t *body = json_pack("{s:s}", "query", kql);
    if (body == NULL) return FAIL(d, ERR_INVALID, "the query is not valid UTF-8");
    static const char *const headers[] = {"Prefer: include-render=true,wait=600", NULL};
    const struct session_call call = {.method = "POST",
                                      .resource = RESOURCE_QUERY,
                                      .url = url,
                                      .json = body,
                                      .headers = headers,
                                      .timeout_ms = 600000};
    CLEANUP_JSON json_t *answer = NULL;
    TRY(session_json(s, &call, NULL, &answer, d));
    json_t *table = json_array_get(json_get(answer, "tables"), 0);
    if (table == NULL) return FAIL(d, ERR_CORRUPT, "the server sent no table");
    *out = json_incref(table);
    if (render != NULL) *render = json_incref(json_get(answer, "render"));
    return OK;
}
