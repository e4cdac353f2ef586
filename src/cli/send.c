/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/send.c - batches over several connections, each tried until it is acknowledged or patience
 * ends
 *
 * A batch has a name of its own (x-ms-client-request-id): the server keeps it once, however often
 * it is sent.
 */
#include "cli/send.h"

#include "base/log.h"
#include "base/thread.h"
#include "base/time.h"
#include "cli/infer.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define BATCH_MAX      ((size_t)900 << 10) /* bytes: the API takes 1 MB per call */
#define API_TABLES     "2022-10-01"
#define API_INGEST     "2023-01-01"
#define RETRY_PAUSE_US (500 * 1000)
#define BAR_WIDTH      40

struct sending {
    struct session *session;
    const struct log_rows *rows;
    const struct send_options *o;
    char *url;
    pthread_mutex_t lock; /* guards what follows */
    size_t next;          /* first row that nobody took yet */
    struct send_result result;
    bool failed;
    struct diag why;
    int64_t drawn_us;
};

/* Takes rows [*from, *to) as a JSON array in body; false when none are left. */
static bool take_batch(struct sending *s, struct buf *body, size_t *from, size_t *to)
{
    LOCK_SCOPE(&s->lock);
    size_t n = log_rows_count(s->rows);
    if (s->failed || s->next == n) return false;
    *from = s->next;
    buf_u8(body, '[');
    while (s->next < n) {
        struct bytes row = log_rows_at(s->rows, s->next);
        if (s->next != *from && body->len + row.len + 2 > BATCH_MAX) break;
        if (s->next != *from) buf_u8(body, ',');
        buf_bytes(body, row);
        s->next++;
    }
    buf_u8(body, ']');
    *to = s->next;
    return true;
}

static void draw(struct sending *s)
{
    if (s->o->progress == NULL || !isatty(STDERR_FILENO)) return;
    int64_t now = time_mono_us();
    bool last = s->result.acknowledged == s->result.rows;
    if (!last && now - s->drawn_us < 100000) return;
    s->drawn_us = now;
    int full = s->result.rows != 0 ? (int)(s->result.acknowledged * BAR_WIDTH / s->result.rows)
                                   : BAR_WIDTH;
    char bar[BAR_WIDTH + 1];
    for (int i = 0; i < BAR_WIDTH; i++)
        bar[i] = i < full ? '=' : ' ';
    bar[BAR_WIDTH] = 0;
    fprintf(stderr, "\r%s [%s] %" PRIu64 "/%" PRIu64 "%s", s->o->progress, bar,
            s->result.acknowledged, s->result.rows, last ? "\r\033[K" : "");
}

/* One try. *again: the server said "later", or nothing. */
static enum err try_once(struct sending *s, struct bytes body, const char *name, size_t n,
                         bool *again, struct diag *d)
{
    CLEANUP_FREE char *id = str_fmt("x-ms-client-request-id: %s", name);
    const char *const headers[] = {id, NULL};
    const struct session_call call = {.method = "POST",
                                      .resource = RESOURCE_INGEST,
                                      .url = s->url,
                                      .body = body,
                                      .headers = headers,
                                      .timeout_ms = 60000};
    CLEANUP_ANSWER struct http_answer a = {0};
    *again = true;
    TRY(session_do(s->session, &call, &a, d));
    *again = a.status == 429 || a.status >= 500;
    if (a.status >= 400) return session_failure(&a, d);
    const char *dropped = http_answer_header(&a, "x-keystead-dropped-rows");
    LOCK_SCOPE(&s->lock);
    s->result.acknowledged += n;
    if (dropped != NULL) s->result.dropped += strtoull(dropped, NULL, 10);
    draw(s);
    return OK;
}

static enum err send_batch(struct sending *s, struct bytes body, size_t n, struct diag *d)
{
    uint64_t patience = s->o->patience_s != 0 ? s->o->patience_s : 60;
    int64_t until = time_mono_us() + (int64_t)patience * US_PER_S;
    struct guid g;
    char name[GUID_TEXT_MAX];
    guid_random(&g);
    guid_format(&g, name);
    for (;;) {
        bool again = true;
        diag_reset(d);
        enum err e = try_once(s, body, name, n, &again, d);
        if (e == OK || !again || time_mono_us() > until) return e;
        time_sleep_us(RETRY_PAUSE_US);
    }
}

static void send_run(void *arg, unsigned i)
{
    (void)i;
    struct sending *s = arg;
    for (;;) {
        CLEANUP_BUF struct buf body = {0};
        size_t from, to;
        if (!take_batch(s, &body, &from, &to)) return;
        struct diag d = DIAG_INIT;
        enum err e = buf_check(&body, &d);
        if (e == OK) e = send_batch(s, buf_view(&body), to - from, &d);
        if (e == OK) continue;
        LOCK_SCOPE(&s->lock);
        if (!s->failed) s->why = d;
        s->failed = true;
    }
}

/* "dcr-" and the workspace's id without its dashes. */
static char *ingest_url(const struct workspace *w, const char *table)
{
    char plain[33];
    size_t n = 0;
    for (const char *p = w->id; *p != 0 && n < 32; p++) {
        if (*p != '-') plain[n++] = *p;
    }
    plain[n] = 0;
    return str_fmt("/dataCollectionRules/dcr-%s/streams/Custom-%s?api-version=" API_INGEST, plain,
                   table);
}

enum err send_rows(struct session *session, const struct log_rows *r, const struct send_options *o,
                   struct send_result *out, struct diag *d)
{
    unsigned connections = o->connections != 0 ? o->connections : 4;
    struct sending s = {.session = session,
                        .rows = r,
                        .o = o,
                        .lock = PTHREAD_MUTEX_INITIALIZER,
                        .result = {.rows = log_rows_count(r)}};
    s.url = ingest_url(o->workspace, o->table);
    struct pool *pool = NULL;
    enum err e = pool_new(&pool, connections, connections, d);
    if (e == OK) {
        pool_each(pool, connections, send_run, &s);
        pool_free(pool);
    }
    free(s.url);
    *out = s.result;
    if (e == OK && s.failed) e = FAIL_TAG(d, s.why.code, s.why.tag, "%s", s.why.text);
    return e;
}

enum err send_ensure_table(struct session *s, const struct workspace *w, const char *table,
                           const struct log_rows *r, uint32_t retention_days, bool *created,
                           struct diag *d)
{
    CLEANUP_FREE char *url = str_fmt("%s/tables/%s?api-version=" API_TABLES, w->arm_id, table);
    const struct session_call get = {.method = "GET", .resource = RESOURCE_ARM, .url = url};
    struct diag why = DIAG_INIT;
    enum err e = session_json(s, &get, NULL, NULL, &why);
    *created = e == ERR_NOT_FOUND;
    if (e == OK) return infer_check(r, d);
    if (e != ERR_NOT_FOUND) return FAIL_TAG(d, e, why.tag, "%s", why.text);

    CLEANUP_JSON json_t *columns = NULL;
    TRY(infer_columns(r, &columns, d));
    CLEANUP_JSON json_t *body =
        json_pack("{s:{s:{s:s, s:O}}}", "properties", "schema", "name", table, "columns", columns);
    if (retention_days != 0) {
        TRY(json_put(json_get(body, "properties"), "retentionInDays", json_integer(retention_days),
                     d));
    }
    const struct session_call put = {
        .method = "PUT", .resource = RESOURCE_ARM, .url = url, .json = body};
    CLEANUP_ANSWER struct http_answer a = {0};
    TRY(session_do(s, &put, &a, d));
    return session_follow(s, &a, 60, d);
}
