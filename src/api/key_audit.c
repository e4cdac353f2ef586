/* SPDX-License-Identifier: Apache-2.0 */
/* api/key_audit.c - a thread that fetches lines of the audit log and stores them as rows */
#include "api/key_audit.h"

#include "api/front.h"
#include "base/log.h"
#include "ingest/rows.h"

#include <stdlib.h>

#define KEPT_DAYS 730
#define POLL_US   (1 * US_PER_S)

struct key_audit {
    struct api *api;
    struct store *store;
    struct table *table;
    struct row_reader *reader;
    uint8_t account[16];
    uint64_t seq; /* of the last line that is stored */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stopping;
    pthread_t thread;
};

/* Nobody else's: its random bits were drawn once. */
static const struct guid workspace = {{0x0d, 0x6e, 0x83, 0xb1, 0x47, 0x2a, 0x4f, 0x90, 0xa3, 0x5c,
                                       0xe8, 0x14, 0x72, 0xbf, 0x39, 0x06}};

enum { COLUMN_TIME, COLUMN_SEQ };
static const struct column columns[] = {
    [COLUMN_TIME] = {"TimeGenerated", T_DATETIME},
    [COLUMN_SEQ] = {"Seq", T_LONG},
    {"Event", T_STRING},
    {"Account", T_STRING},
    {"Workspace", T_STRING},
    {"Cluster", T_STRING},
    {"KeyVersion", T_STRING},
    {"Purpose", T_STRING},
    {"Result", T_STRING},
    {"Files", T_LONG},
    {"Sha256", T_STRING},
    {"Chain", T_STRING},
    {"Line", T_DYNAMIC},
    {"Type", T_STRING},
};

/* --- the workspace -------------------------------------------------------------------------------
 */

bool key_audit_workspace(struct api *a, const char *name_or_id, struct workspace *out)
{
    struct guid g;
    bool by_id = guid_parse(name_or_id, &g, NULL) == OK && guid_eq(&g, &workspace);
    if (!by_id && !str_eq_nocase(name_or_id, KEY_AUDIT_WORKSPACE)) return false;
    *out = (struct workspace){.id = workspace, .retention_days = KEPT_DAYS, .quota_gb = -1};
    guid_format(&workspace, out->customer_id);
    snprintf(out->name, sizeof out->name, "%s", KEY_AUDIT_WORKSPACE);
    snprintf(out->arm_id, sizeof out->arm_id, "/subscriptions/%s", a->c.subscription_id);
    out->has_account = arm_platform_account(a->arm, out->account, NULL) == OK;
    return true;
}

bool key_audit_is(const struct workspace *w)
{
    return guid_eq(&w->id, &workspace);
}

/* --- rows ----------------------------------------------------------------------------------------
 */

static void copy(json_t *row, const char *to, const json_t *line, const char *from)
{
    json_t *v = json_get(line, from);
    if (v != NULL) json_object_set(row, to, v);
}

/* keyd knows ids; people know names. */
static void set_names(const struct key_audit *x, json_t *row, const json_t *line)
{
    uint8_t id[16];
    struct account a;
    const char *account = json_get_str(line, "account");
    copy(row, "Cluster", line, "scope");
    if (account == NULL || hex_decode(bytes_str(account), id, sizeof id, NULL) != OK) return;
    if (!arm_account(x->api->arm, id, &a)) return;
    json_object_set_new(row, "Workspace", json_string(a.workspace_name));
    json_object_set_new(row, "Cluster", json_string(a.cluster_name));
}

static json_t *row_of(const struct key_audit *x, json_t *line)
{
    json_t *row = json_object();
    copy(row, "TimeGenerated", line, "time");
    copy(row, "Seq", line, "seq");
    copy(row, "Event", line, "event");
    copy(row, "Account", line, "account");
    set_names(x, row, line);
    copy(row, "KeyVersion", line, "kek");
    copy(row, "Purpose", line, "purpose");
    copy(row, "Result", line, "result");
    copy(row, "Files", line, "files");
    copy(row, "Sha256", line, "sha256");
    copy(row, "Chain", line, "chain");
    json_object_set(row, "Line", line);
    json_object_set_new(row, "Type", json_string(KEY_AUDIT_TABLE));
    return row;
}

/* The lines of one answer, as an array; *last is the number of the last. */
static enum err rows_of(const struct key_audit *x, struct bytes lines, json_t *rows, uint64_t *last,
                        struct diag *d)
{
    struct rd r = rd_from(lines);
    while (!rd_done(&r)) {
        const uint8_t *end = memchr(r.p, '\n', rd_left(&r));
        if (end == NULL) return FAIL(d, ERR_CORRUPT, "keyd sent half a line");
        CLEANUP_JSON json_t *line = NULL;
        TRY(json_read(rd_bytes(&r, (size_t)(end - r.p)), &line, d));
        (void)rd_u8(&r);
        uint64_t seq = (uint64_t)json_get_int(line, "seq", 0);
        if (seq != *last + 1 && *last != 0)
            LOG(ERROR, "key_audit.gap", F_U64("after", *last), F_U64("next", seq));
        *last = seq;
        if (json_array_append_new(rows, row_of(x, line)) != 0)
            return FAIL(d, ERR_LIMIT, "out of memory");
    }
    return OK;
}

static enum err store_rows(struct key_audit *x, const json_t *rows, struct diag *d)
{
    CLEANUP_BUF struct buf text = {0};
    CLEANUP_ARENA struct arena a;
    arena_init(&a, 0);
    TRY(json_write(rows, &text, d));
    struct batch batch;
    struct row_stats stats = {0};
    int64_t now = time_now_us() * 10 + TICKS_UNIX;
    TRY(rows_read(x->reader, buf_view(&text), store_table_schema(x->table), now, &a, &batch, &stats,
                  d));
    return store_append(x->store, x->table, x->account, &batch, d);
}

/* (2) One answer is one batch: it is in the log whole, or not at all. */
static enum err fetch(struct key_audit *x, bool *more, struct diag *d)
{
    CLEANUP_BUF struct buf lines = {0};
    CLEANUP_JSON json_t *rows = json_array();
    uint64_t last = x->seq;
    *more = false;
    TRY(custody_audit_read(x->api->c.custody, x->seq, &lines, d));
    if (lines.len == 0) return OK;
    TRY(rows_of(x, buf_view(&lines), rows, &last, d));
    TRY(store_rows(x, rows, d));
    x->seq = last;
    *more = true;
    return OK;
}

static void highest(const struct batch *b, uint64_t *seq)
{
    for (uint32_t i = 0; i < b->n_rows; i++) {
        const struct value v = vec_value(&b->cols[0], i);
        if (!v.is_null && v.i > 0 && (uint64_t)v.i > *seq) *seq = (uint64_t)v.i;
    }
}

static enum err find_last(struct key_audit *x, struct diag *d)
{
    static const uint32_t seq_column = COLUMN_SEQ, place = 0;
    CLEANUP(store_scan_close) struct store_scan *s = NULL;
    uint64_t seq = 0;
    TRY(store_scan_open(x->store, x->table, &seq_column, 1, NULL, 0, &s, d));
    for (uint32_t u = 0; u < store_scan_units(s); u++) {
        CLEANUP_ARENA struct arena a;
        arena_init(&a, 0);
        struct batch b;
        TRY(store_scan_read(s, u, &place, 1, &a, &b, d));
        highest(&b, &seq);
    }
    x->seq = seq;
    return OK;
}

/* --- life ----------------------------------------------------------------------------------------
 */

static void *run(void *arg)
{
    struct key_audit *x = arg;
    bool found = false, more = false;
    char last[DIAG_TEXT_MAX] = "";
    pthread_mutex_lock(&x->lock);
    while (!x->stopping) {
        pthread_mutex_unlock(&x->lock);
        struct diag d = DIAG_INIT;
        enum err e = found ? OK : find_last(x, &d);
        found = e == OK;
        more = false;
        if (e == OK) e = fetch(x, &more, &d);
        if (e != OK && !str_eq(last, d.text)) LOG(WARN, "key_audit.waits", F_ERR(&d));
        snprintf(last, sizeof last, "%s", e != OK ? d.text : "");
        pthread_mutex_lock(&x->lock);
        int64_t until = time_mono_us() + POLL_US;
        while (!more && !x->stopping && cond_wait_until(&x->wake, &x->lock, until)) {
        }
    }
    pthread_mutex_unlock(&x->lock);
    return NULL;
}

static void release(struct key_audit *x)
{
    row_reader_free(x->reader);
    pthread_cond_destroy(&x->wake);
    pthread_mutex_destroy(&x->lock);
    free(x);
}

static enum err open_table(struct key_audit *x, struct diag *d)
{
    const struct schema schema = {.cols = (struct column *)columns,
                                  .n = sizeof columns / sizeof columns[0]};
    struct diag why = DIAG_INIT;
    TRY(arm_platform_account(x->api->arm, x->account, d));
    TRY(row_reader_new(&x->reader, d));
    if (store_table_find(x->store, &workspace, KEY_AUDIT_TABLE, &x->table, &why) == OK) return OK;
    TRY(store_table_create(x->store, &workspace, KEY_AUDIT_TABLE, &schema, &x->table, d));
    return store_table_set_retention(x->store, x->table, KEPT_DAYS, d);
}

enum err key_audit_start(struct key_audit **out, struct api *a, struct store *store, struct diag *d)
{
    struct key_audit *x = calloc(1, sizeof *x);
    if (x == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    x->api = a;
    x->store = store;
    pthread_mutex_init(&x->lock, NULL);
    cond_init(&x->wake);
    enum err e = open_table(x, d);
    if (e == OK) e = thread_start(&x->thread, run, x, d);
    if (e != OK) {
        release(x);
        return e;
    }
    *out = x;
    return OK;
}

void key_audit_stop(struct key_audit *x)
{
    if (x == NULL) return;
    pthread_mutex_lock(&x->lock);
    x->stopping = true;
    pthread_cond_broadcast(&x->wake);
    pthread_mutex_unlock(&x->lock);
    pthread_join(x->thread, NULL);
    release(x);
}
