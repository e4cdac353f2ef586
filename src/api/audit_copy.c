/* SPDX-License-Identifier: Apache-2.0 */
/* api/audit_copy.c - lines of an audit log to rows, and the thread that does it */
#include "api/audit_copy.h"

#include "base/log.h"
#include "base/str.h"
#include "base/thread.h"
#include "base/time.h"

#include <stdlib.h>

#define POLL_US (1 * US_PER_S)

/* --- rows ------------------------------------------------------------------------------------- */

enum err audit_lines_each(struct bytes lines, audit_line_visit *visit, void *ctx, struct diag *d)
{
    struct rd r = rd_from(lines);
    while (!rd_done(&r)) {
        const uint8_t *end = memchr(r.p, '\n', rd_left(&r));
        if (end == NULL) return FAIL(d, ERR_CORRUPT, "the audit log ends with half a line");
        CLEANUP_JSON json_t *line = NULL;
        TRY(json_read(rd_bytes(&r, (size_t)(end - r.p)), &line, d));
        (void)rd_u8(&r);
        TRY(visit(ctx, line, d));
    }
    return OK;
}

enum err audit_rows_append(const struct audit_table *t, const uint8_t account[16],
                           const json_t *rows, struct diag *d)
{
    CLEANUP_BUF struct buf text = {0};
    CLEANUP_ARENA struct arena a;
    arena_init(&a, 0);
    TRY(json_write(rows, &text, d));
    struct batch batch;
    struct row_stats stats = {0};
    int64_t now = time_now_us() * 10 + TICKS_UNIX;
    TRY(rows_read(t->reader, buf_view(&text), store_table_schema(t->table), now, &a, &batch, &stats,
                  d));
    enum err e = store_append(t->store, t->table, account, &batch, d);
    row_reader_forget(t->reader);
    return e;
}

static bool is_text(const struct vec *v, uint32_t i, const char *text)
{
    const struct value x = vec_value(v, i);
    return !x.is_null && x.s.len == strlen(text) && memcmp(x.s.p, text, x.s.len) == 0;
}

static void highest(const struct batch *b, const char *value, uint64_t *out)
{
    for (uint32_t i = 0; i < b->n_rows; i++) {
        const struct value v = vec_value(&b->cols[0], i);
        if (v.is_null || v.i <= 0 || (uint64_t)v.i <= *out) continue;
        if (value == NULL || is_text(&b->cols[1], i, value)) *out = (uint64_t)v.i;
    }
}

enum err audit_rows_last(const struct audit_table *t, const char *number, const char *name,
                         const char *value, uint64_t *out, struct diag *d)
{
    const struct schema *s = store_table_schema(t->table);
    int at[2] = {schema_find(s, number), name != NULL ? schema_find(s, name) : 0};
    if (at[0] < 0 || at[1] < 0) {
        return FAIL(d, ERR_CORRUPT, "table %s has no column %s", store_table_name(t->table),
                    at[0] < 0 ? number : name);
    }
    static const uint32_t places[2] = {0, 1};
    const uint32_t columns[2] = {(uint32_t)at[0], (uint32_t)at[1]}, n = name != NULL ? 2 : 1;
    CLEANUP(store_scan_close) struct store_scan *scan = NULL;
    uint64_t last = 0;
    TRY(store_scan_open(t->store, t->table, columns, n, NULL, 0, &scan, d));
    for (uint32_t u = 0; u < store_scan_units(scan); u++) {
        CLEANUP_ARENA struct arena a;
        arena_init(&a, 0);
        struct batch b;
        TRY(store_scan_read(scan, u, places, n, &a, &b, d));
        highest(&b, name != NULL ? value : NULL, &last);
    }
    *out = last;
    return OK;
}

/* --- the thread ------------------------------------------------------------------------------- */

struct follower {
    const char *name;
    follow_step *step;
    void *ctx;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stopping;
    pthread_t thread;
};

static void *run(void *arg)
{
    struct follower *f = arg;
    char last[DIAG_TEXT_MAX] = "";
    pthread_mutex_lock(&f->lock);
    while (!f->stopping) {
        pthread_mutex_unlock(&f->lock);
        struct diag d = DIAG_INIT;
        bool more = false;
        enum err e = f->step(f->ctx, &more, &d);
        if (e != OK && !str_eq(last, d.text))
            LOG(WARN, "audit_copy.waits", F_STR("log", f->name), F_ERR(&d));
        snprintf(last, sizeof last, "%s", e != OK ? d.text : "");
        pthread_mutex_lock(&f->lock);
        int64_t until = time_mono_us() + POLL_US;
        while ((e != OK || !more) && !f->stopping && cond_wait_until(&f->wake, &f->lock, until)) {
        }
    }
    pthread_mutex_unlock(&f->lock);
    return NULL;
}

static void release(struct follower *f)
{
    pthread_cond_destroy(&f->wake);
    pthread_mutex_destroy(&f->lock);
    free(f);
}

enum err follower_start(struct follower **out, const char *name, follow_step *step, void *ctx,
                        struct diag *d)
{
    struct follower *f = calloc(1, sizeof *f);
    if (f == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    *f = (struct follower){.name = name, .step = step, .ctx = ctx};
    pthread_mutex_init(&f->lock, NULL);
    cond_init(&f->wake);
    enum err e = thread_start(&f->thread, run, f, d);
    if (e != OK) {
        release(f);
        return e;
    }
    *out = f;
    return OK;
}

void follower_stop(struct follower *f)
{
    if (f == NULL) return;
    pthread_mutex_lock(&f->lock);
    f->stopping = true;
    pthread_cond_broadcast(&f->wake);
    pthread_mutex_unlock(&f->lock);
    pthread_join(f->thread, NULL);
    release(f);
}
