/* SPDX-License-Identifier: Apache-2.0 */
/* api/key_audit.c - lines of the key-access audit log as rows of the platform's workspace */
#include "api/key_audit.h"

#include "api/audit_copy.h"
#include "api/front.h"
#include "base/log.h"

#include <stdlib.h>

#define KEPT_DAYS 730

struct key_audit {
    struct api *api;
    struct audit_table to;
    uint8_t account[16];
    bool found;   /* where to go on is known */
    uint64_t seq; /* of the last line that is stored */
    struct follower *follower;
};

/* Nobody else's: its random bits were drawn once. */
static const struct guid workspace = {{0x0d, 0x6e, 0x83, 0xb1, 0x47, 0x2a, 0x4f, 0x90, 0xa3, 0x5c,
                                       0xe8, 0x14, 0x72, 0xbf, 0x39, 0x06}};

static const struct column columns[] = {
    {"TimeGenerated", T_DATETIME}, {"Seq", T_LONG},
    {"Event", T_STRING},           {"Account", T_STRING},
    {"Workspace", T_STRING},       {"Cluster", T_STRING},
    {"KeyVersion", T_STRING},      {"Purpose", T_STRING},
    {"Result", T_STRING},          {"Files", T_LONG},
    {"Sha256", T_STRING},          {"Chain", T_STRING},
    {"Line", T_DYNAMIC},           {"Type", T_STRING},
};

/* --- the workspace ---------------------------------------------------------------------------- */

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

/* --- rows ------------------------------------------------------------------------------------- */

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

struct rows { /* of one answer */
    const struct key_audit *x;
    json_t *list;
    uint64_t last; /* number of the last line */
};

static enum err add_row(void *ctx, json_t *line, struct diag *d)
{
    struct rows *r = ctx;
    uint64_t seq = (uint64_t)json_get_int(line, "seq", 0);
    if (seq != r->last + 1 && r->last != 0)
        LOG(ERROR, "key_audit.gap", F_U64("after", r->last), F_U64("next", seq));
    r->last = seq;
    if (json_array_append_new(r->list, row_of(r->x, line)) != 0)
        return FAIL(d, ERR_LIMIT, "out of memory");
    return OK;
}

/* (2) One answer is one batch: it is in the log whole, or not at all. */
static enum err step(void *ctx, bool *more, struct diag *d)
{
    struct key_audit *x = ctx;
    CLEANUP_BUF struct buf lines = {0};
    CLEANUP_JSON json_t *list = json_array();
    if (!x->found) TRY(audit_rows_last(&x->to, "Seq", NULL, NULL, &x->seq, d));
    x->found = true;
    struct rows rows = {x, list, x->seq};
    TRY(custody_audit_read(x->api->c.custody, x->seq, &lines, d));
    if (lines.len == 0) return OK;
    TRY(audit_lines_each(buf_view(&lines), add_row, &rows, d));
    TRY(audit_rows_append(&x->to, x->account, list, d));
    x->seq = rows.last;
    *more = true;
    return OK;
}

/* --- life ------------------------------------------------------------------------------------- */

static void release(struct key_audit *x)
{
    row_reader_free(x->to.reader);
    free(x);
}

static enum err open_table(struct key_audit *x, struct diag *d)
{
    const struct schema schema = {.cols = (struct column *)columns,
                                  .n = sizeof columns / sizeof columns[0]};
    struct diag why = DIAG_INIT;
    TRY(arm_platform_account(x->api->arm, x->account, d));
    struct audit_table *t = &x->to;
    TRY(row_reader_new(&t->reader, d));
    if (store_table_find(t->store, &workspace, KEY_AUDIT_TABLE, &t->table, &why) == OK) return OK;
    TRY(store_table_create(t->store, &workspace, KEY_AUDIT_TABLE, &schema, &t->table, d));
    return store_table_set_retention(t->store, t->table, KEPT_DAYS, d);
}

enum err key_audit_start(struct key_audit **out, struct api *a, struct store *store, struct diag *d)
{
    struct key_audit *x = calloc(1, sizeof *x);
    if (x == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    x->api = a;
    x->to.store = store;
    enum err e = open_table(x, d);
    if (e == OK) e = follower_start(&x->follower, "keys", step, x, d);
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
    follower_stop(x->follower);
    release(x);
}
