/* SPDX-License-Identifier: Apache-2.0 */
/* api/vault_audit.c - one pass over the vault's log for all diagnostic settings */
#include "api/vault_audit.h"

#include "api/audit_copy.h"
#include "api/front.h"
#include "api/vault_audit_row.h"
#include "base/log.h"
#include "keyvault/audit_tail.h"

#include <stdlib.h>

#define READ_MAX ((size_t)1 << 20) /* bytes of the log at a time */
#define RETRY_US (10 * US_PER_S)   /* for a workspace that takes no rows */
#define SAVE_US  (60 * US_PER_S)   /* what was sent is in the table too: this only saves reading */

/* Where one setting stands. Known by the setting's id, its beginning and its destination. */
struct sink {
    struct sink *next;
    char *name;
    json_t *setting;          /* as of this step; NULL: it is gone */
    bool found;               /* `sent` is known */
    uint64_t sent, saved;     /* numbers of records */
    int64_t wait_us, save_us; /* monotonic: not before */
    /* of one step */
    json_t *rows;
    struct workspace workspace;
    struct audit_table to;
};

struct vault_audit {
    struct api *api;
    struct store *store;
    struct row_reader *reader;
    struct audit_tail tail;
    struct sink *sinks;
    struct follower *follower;
};

/* --- the settings ----------------------------------------------------------------------------- */

static void sink_free(struct sink *s)
{
    json_decref(s->setting);
    json_decref(s->rows);
    free(s->name);
    free(s);
}

static struct sink *find_sink(struct vault_audit *x, const char *name)
{
    for (struct sink *s = x->sinks; s != NULL; s = s->next) {
        if (str_eq(s->name, name)) return s;
    }
    return NULL;
}

static enum err take_setting(struct vault_audit *x, json_t *setting, struct diag *d)
{
    if (!json_is_true(json_object_get(setting, "enabled"))) return OK;
    CLEANUP_FREE char *name = str_fmt(
        "%s %lld %s %d", json_get_str(setting, "id"), (long long)json_get_int(setting, "since", 0),
        json_get_str(setting, "workspace"), json_is_true(json_object_get(setting, "dedicated")));
    if (name == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    struct sink *s = find_sink(x, name);
    if (s == NULL) {
        s = calloc(1, sizeof *s);
        if (s == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
        s->name = TAKE(name);
        s->next = x->sinks;
        x->sinks = s;
    }
    json_decref(s->setting);
    s->setting = json_incref(setting);
    return OK;
}

static enum err read_settings(struct vault_audit *x, struct diag *d)
{
    for (struct sink *s = x->sinks; s != NULL; s = s->next) {
        json_decref(s->setting);
        s->setting = NULL;
    }
    CLEANUP_JSON json_t *settings = arm_diagnostics(x->api->arm);
    size_t i;
    json_t *setting;
    json_array_foreach (settings, i, setting)
        TRY(take_setting(x, setting, d));
    for (struct sink **at = &x->sinks; *at != NULL;) {
        struct sink *s = *at;
        if (s->setting != NULL) {
            at = &s->next;
            continue;
        }
        *at = s->next;
        sink_free(s);
    }
    return OK;
}

/* --- one workspace ---------------------------------------------------------------------------- */

static enum err open_table(struct vault_audit *x, struct sink *s, struct diag *d)
{
    const bool dedicated = json_is_true(json_object_get(s->setting, "dedicated"));
    const char *id = json_get_str(s->setting, "workspace"), *name = vault_row_table(dedicated);
    if (!arm_workspace_by_id(x->api->arm, id, &s->workspace) || !s->workspace.has_account)
        return FAIL(d, ERR_UNAVAILABLE, "the workspace %s is not there", id);
    struct diag why = DIAG_INIT;
    struct audit_table *t = &s->to;
    *t = (struct audit_table){.store = x->store, .reader = x->reader};
    const struct guid *w = &s->workspace.id;
    if (store_table_find(x->store, w, name, &t->table, &why) == OK) return OK;
    const struct schema schema = vault_row_schema(dedicated);
    TRY(store_table_create(x->store, w, name, &schema, &t->table, d));
    return store_table_set_retention(x->store, t->table, s->workspace.retention_days, d);
}

/* (1) */
static enum err find_sent(struct vault_audit *x, struct sink *s, struct diag *d)
{
    if (s->found) return OK;
    uint64_t in_table = 0;
    TRY(audit_rows_last(&s->to, VAULT_ROW_SEQUENCE, "_ResourceId",
                        json_get_str(s->setting, "scope"), &in_table, d));
    s->saved = arm_diagnostic_sent(x->api->arm, s->setting);
    s->sent = in_table > s->saved ? in_table : s->saved;
    s->found = true;
    return OK;
}

/* (2) */
static void wait_for(struct sink *s, const struct diag *d)
{
    if (s->wait_us == 0) {
        LOG(WARN, "vault_audit.workspace_waits", F_STR("setting", json_get_str(s->setting, "id")),
            F_ERR(d));
    }
    s->wait_us = time_mono_us() + RETRY_US;
}

static bool is_ready(struct vault_audit *x, struct sink *s)
{
    struct diag d = DIAG_INIT;
    if (s->wait_us > time_mono_us()) return false;
    enum err e = open_table(x, s, &d);
    if (e == OK) e = find_sent(x, s, &d);
    if (e != OK) wait_for(s, &d);
    return e == OK;
}

static enum err send_rows(struct sink *s, uint64_t last, struct diag *d)
{
    if (json_array_size(s->rows) != 0)
        TRY(audit_rows_append(&s->to, s->workspace.account, s->rows, d));
    s->sent = last;
    s->wait_us = 0;
    return OK;
}

static void save(struct vault_audit *x, struct sink *s, bool now)
{
    struct diag d = DIAG_INIT;
    if (!s->found || s->sent == s->saved || (!now && time_mono_us() < s->save_us)) return;
    s->save_us = time_mono_us() + SAVE_US;
    if (arm_diagnostic_save(x->api->arm, s->setting, s->sent, &d) == OK) {
        s->saved = s->sent;
    } else {
        LOG(WARN, "vault_audit.not_saved", F_ERR(&d));
    }
}

/* --- one step --------------------------------------------------------------------------------- */

struct pass {
    struct vault_audit *x;
    uint64_t last; /* number of the last record */
};

static enum err visit(void *ctx, json_t *line, struct diag *d)
{
    struct pass *p = ctx;
    p->last = (uint64_t)json_get_int(line, "sequence", (int64_t)p->last);
    for (struct sink *s = p->x->sinks; s != NULL; s = s->next) {
        if (s->rows == NULL || p->last <= s->sent) continue;
        if (!vault_row_is_of(line, json_get_str(s->setting, "scope"))) continue;
        json_t *row = vault_row(line, json_get_str(s->setting, "scope"), s->workspace.customer_id,
                                json_is_true(json_object_get(s->setting, "dedicated")));
        if (json_array_append_new(s->rows, row) != 0) return FAIL(d, ERR_LIMIT, "out of memory");
    }
    return OK;
}

static enum err pass(struct vault_audit *x, uint64_t after, bool *more, struct diag *d)
{
    CLEANUP_BUF struct buf lines = {0};
    struct pass p = {x, after};
    TRY(audit_tail_read(&x->tail, after, READ_MAX, &lines, d));
    if (lines.len == 0) return OK;
    *more = true;
    TRY(audit_lines_each(buf_view(&lines), visit, &p, d));
    for (struct sink *s = x->sinks; s != NULL; s = s->next) {
        struct diag why = DIAG_INIT;
        if (s->rows == NULL || s->sent >= p.last) continue;
        if (send_rows(s, p.last, &why) != OK) wait_for(s, &why);
    }
    return OK;
}

/* Reads on from where the last of those that can take rows stands. */
static enum err step(void *ctx, bool *more, struct diag *d)
{
    struct vault_audit *x = ctx;
    uint64_t after = UINT64_MAX;
    TRY(read_settings(x, d));
    for (struct sink *s = x->sinks; s != NULL; s = s->next) {
        if (!is_ready(x, s)) continue;
        s->rows = json_array();
        if (s->sent < after) after = s->sent;
    }
    enum err e = after != UINT64_MAX ? pass(x, after, more, d) : OK;
    for (struct sink *s = x->sinks; s != NULL; s = s->next) {
        json_decref(s->rows);
        s->rows = NULL;
        save(x, s, false);
    }
    return e;
}

/* --- life ------------------------------------------------------------------------------------- */

enum err vault_audit_end(void *ctx, uint64_t *end, struct diag *d)
{
    const char *dir = ((struct api *)ctx)->c.vault_audit_dir;
    *end = 0;
    return dir != NULL ? audit_tail_end(dir, end, d) : OK;
}

static void release(struct vault_audit *x)
{
    while (x->sinks != NULL) {
        struct sink *s = x->sinks;
        x->sinks = s->next;
        save(x, s, true);
        sink_free(s);
    }
    audit_tail_release(&x->tail);
    row_reader_free(x->reader);
    free(x);
}

enum err vault_audit_start(struct vault_audit **out, struct api *a, struct store *store,
                           struct diag *d)
{
    if (a->c.vault_audit_dir == NULL) return OK;
    struct vault_audit *x = calloc(1, sizeof *x);
    if (x == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    x->api = a;
    x->store = store;
    x->tail.dir = a->c.vault_audit_dir;
    enum err e = row_reader_new(&x->reader, d);
    if (e == OK) e = follower_start(&x->follower, "vault", step, x, d);
    if (e != OK) {
        release(x);
        return e;
    }
    *out = x;
    return OK;
}

void vault_audit_stop(struct vault_audit *x)
{
    if (x == NULL) return;
    follower_stop(x->follower);
    release(x);
}
