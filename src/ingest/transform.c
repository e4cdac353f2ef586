/* SPDX-License-Identifier: Apache-2.0 */
/* ingest/transform.c - a collection rule's KQL over `source`, compiled, checked, and run on rows */
#include "ingest/transform.h"

#include "base/str.h"
#include "exec/exec.h"
#include "kql/kql.h"

#include <stdlib.h>

#define SOURCE      "source"
#define TIME_COLUMN "TimeGenerated"
#define TEXT_MAX    15360 /* characters, as documented */

struct transform {
    struct arena a;
    const struct schema *stream, *result;
    int64_t now_ticks;
    bool as_is; /* no plan */
    struct plan plan;
    struct feed *feed; /* what the plan's source reads */
};

struct feed {
    const struct batch *rows; /* set for a run */
};

/* --- names ------------------------------------------------------------------------------------ */

static enum err find_source(void *ctx, const char *name, const struct schema **schema, void **table,
                            struct diag *d)
{
    struct transform *t = ctx;
    if (!str_eq(name, SOURCE)) {
        return FAIL(d, ERR_NOT_FOUND, "a transformation has the table 'source', not '%.60s'", name);
    }
    *schema = t->stream;
    *table = t->feed;
    return OK;
}

static const char *name_at(void *ctx, uint32_t i)
{
    (void)ctx;
    return i == 0 ? SOURCE : NULL;
}

/* --- what may be in it ------------------------------------------------------------------------ */

static const char *const op_names[] = {
    [OP_TABLE] = NULL,
    [OP_FILTER] = NULL,
    [OP_PROJECT] = NULL,
    [OP_PARSE] = NULL,
    [OP_PARSE_KV] = NULL,
    [OP_ROWS] = "rows that stand in the text (print, datatable)",
    [OP_RANGE] = "range",
    [OP_SUMMARIZE] = "summarize or distinct",
    [OP_SORT] = "sort",
    [OP_TOP] = "top",
    [OP_TAKE] = "take",
    [OP_UNION] = "union",
    [OP_COUNT] = "count",
    [OP_JOIN] = "join or lookup",
    [OP_MV_EXPAND] = "mv-expand",
    [OP_MAKE_SERIES] = "make-series",
    [OP_MATERIALIZE] = "materialize() or serialize",
    [OP_EXTERNAL] = "externaldata",
    [OP_GROUP] = "partition",
    [OP_APPLY] = "mv-apply or partition",
    [OP_EXPLAIN] = "explain",
    [OP_WHOLE] = "scan, top-nested, or a plugin",
};

static enum err refuse(struct diag *d, uint32_t pos, const char *what)
{
    enum err e = FAIL(d, ERR_UNSUPPORTED,
                      "a transformation looks at one row at a time: it can't use %s", what);
    if (d != NULL) d->pos = (int32_t)pos;
    return e;
}

static enum err check_expr(const struct expr *e, uint32_t pos, struct diag *d)
{
    if (e == NULL) return OK;
    if (e->kind == EXPR_SCALAR_QUERY) return refuse(d, pos, "toscalar()");
    if (e->kind != EXPR_CALL) return OK;
    if ((e->call.fn->flags & FN_WINDOW) != 0) return refuse(d, pos, e->call.fn->name);
    for (uint32_t i = 0; i < e->call.n_args; i++)
        TRY(check_expr(e->args[i], pos, d));
    return OK;
}

/* (1) */
static enum err check_op(const struct op *o, struct diag *d)
{
    for (; o != NULL; o = o->input) {
        if (op_names[o->kind] != NULL) return refuse(d, o->pos, op_names[o->kind]);
        if (o->kind == OP_FILTER) TRY(check_expr(o->filter.condition, o->pos, d));
        if (o->kind == OP_PARSE) TRY(check_expr(o->parse.source, o->pos, d));
        if (o->kind == OP_PARSE_KV) TRY(check_expr(o->parse_kv.source, o->pos, d));
        for (uint32_t i = 0; o->kind == OP_PROJECT && i < o->project.n; i++)
            TRY(check_expr(o->project.exprs[i], o->pos, d));
    }
    return OK;
}

static enum err compile(struct transform *t, const char *text, struct diag *d)
{
    const struct kql_catalog catalog = {.ctx = t, .table = find_source, .table_name = name_at};
    const struct kql_options opt = {.now_ticks = t->now_ticks};
    TRY(kql_compile(&t->a, bytes_str(text), &catalog, &opt, &t->plan, d));
    if (t->plan.n_more != 0) return refuse(d, 0, "several results");
    if (t->plan.render.kind != NULL) return refuse(d, 0, "render");
    TRY(check_op(t->plan.root, d));
    t->result = &t->plan.root->schema;
    return OK;
}

enum err transform_new(struct transform **out, const char *text, const struct schema *stream,
                       int64_t now_ticks, struct diag *d)
{
    CLEANUP(transform_free) struct transform *t = calloc(1, sizeof *t);
    if (t == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    arena_init(&t->a, 0);
    t->stream = t->result = stream;
    t->now_ticks = now_ticks;
    t->as_is = text == NULL || text[0] == '\0' || str_eq(text, SOURCE);
    if (t->as_is) {
        *out = TAKE(t);
        return OK;
    }
    if (strlen(text) > TEXT_MAX) {
        return FAIL(d, ERR_INVALID, "a transformation has at most %d characters", TEXT_MAX);
    }
    t->feed = arena_new(&t->a, struct feed);
    if (t->feed == NULL) return arena_full(&t->a, d);
    TRY(compile(t, text, d));
    *out = TAKE(t);
    return OK;
}

void transform_free(struct transform *t)
{
    if (t == NULL) return;
    arena_release(&t->a);
    free(t);
}

const struct schema *transform_schema(const struct transform *t)
{
    return t->result;
}

enum err transform_fits(const struct transform *t, const struct schema *table, struct diag *d)
{
    for (uint32_t i = 0; i < t->result->n; i++) {
        const struct column *c = &t->result->cols[i];
        int at = schema_find(table, c->name);
        if (at < 0 || table->cols[at].type == c->type) continue;
        return FAIL(d, ERR_INVALID, "the column '%s' is of type %s and of type %s in the table",
                    c->name, type_name(c->type), type_name(table->cols[at].type));
    }
    return OK;
}

/* --- reading the rows of a call --------------------------------------------------------------- */

struct feed_scan {
    const struct batch *rows;
    const uint32_t *columns; /* the plan's, longer than a scan */
};

static enum err feed_open(void *table, const uint32_t *columns, uint32_t n_columns,
                          const struct scan_hint *hints, uint32_t n_hints, void **scan,
                          uint32_t *n_units, struct diag *d)
{
    const struct feed *f = table;
    (void)hints;
    (void)n_hints;
    struct feed_scan *s = calloc(1, sizeof *s + (n_columns + 1) * sizeof *columns);
    if (s == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    uint32_t *copy = (uint32_t *)(s + 1);
    for (uint32_t i = 0; i < n_columns; i++)
        copy[i] = columns[i];
    *s = (struct feed_scan){f->rows, copy};
    *scan = s;
    *n_units = (f->rows->n_rows + UNIT_ROWS_MAX - 1) / UNIT_ROWS_MAX;
    return OK;
}

static uint64_t feed_rows(void *scan, uint32_t unit)
{
    const struct feed_scan *s = scan;
    uint32_t left = s->rows->n_rows - unit * UNIT_ROWS_MAX;
    return left < UNIT_ROWS_MAX ? left : UNIT_ROWS_MAX;
}

static enum err feed_read(void *scan, uint32_t unit, const uint32_t *places, uint32_t n_places,
                          struct arena *a, struct batch *out, struct diag *d)
{
    const struct feed_scan *s = scan;
    struct vec *cols = arena_array(a, struct vec, n_places + 1);
    if (cols == NULL) return arena_full(a, d);
    for (uint32_t i = 0; i < n_places; i++)
        cols[i] = s->rows->cols[s->columns[places[i]]];
    const struct batch all = {.n_rows = s->rows->n_rows, .n_cols = n_places, .cols = cols};
    return batch_slice(a, &all, unit * UNIT_ROWS_MAX, (uint32_t)feed_rows(scan, unit), out, d);
}

static void feed_close(void *scan)
{
    free(scan);
}

static const struct source_ops source_ops_feed = {
    .open = feed_open, .read = feed_read, .rows = feed_rows, .close = feed_close};

/* --- filling the table's columns -------------------------------------------------------------- */

struct sink {
    const struct transform *t;
    const struct schema *table;
    int *from; /* per column of the table: of the result, or -1 */
    struct vecb *columns;
    uint32_t n_rows;
};

static void fill_column(struct vecb *b, const struct vec *from, uint32_t n,
                        const int64_t *otherwise)
{
    for (uint32_t i = 0; i < n; i++) {
        if (from != NULL && !vec_null(from, i)) {
            const struct value v = vec_value(from, i);
            vecb_value(b, &v);
        } else if (otherwise != NULL) {
            vecb_i64(b, *otherwise); /* (3) */
        } else if (b->type == T_STRING) {
            vecb_str(b, (struct bytes){0});
        } else {
            vecb_null(b);
        }
    }
}

static enum err take(void *ctx, const struct batch *rows, struct diag *d)
{
    struct sink *s = ctx;
    for (uint32_t i = 0; i < s->table->n; i++) {
        const struct column *c = &s->table->cols[i];
        bool is_time = c->type == T_DATETIME && str_eq(c->name, TIME_COLUMN);
        fill_column(&s->columns[i], s->from[i] >= 0 ? &rows->cols[s->from[i]] : NULL, rows->n_rows,
                    is_time ? &s->t->now_ticks : NULL);
        if (s->columns[i].bad) return FAIL(d, ERR_LIMIT, "the rows need too much memory");
    }
    s->n_rows += rows->n_rows;
    return OK;
}

static enum err begin(struct sink *s, struct arena *a, struct diag *d)
{
    TRY(transform_fits(s->t, s->table, d));
    s->from = arena_array(a, int, s->table->n + 1);
    s->columns = arena_array(a, struct vecb, s->table->n + 1);
    if (s->from == NULL || s->columns == NULL) return arena_full(a, d);
    for (uint32_t i = 0; i < s->table->n; i++) {
        s->from[i] = schema_find(s->t->result, s->table->cols[i].name);
        vecb_init(&s->columns[i], a, s->table->cols[i].type, 64);
    }
    return OK;
}

static enum err finish(struct sink *s, struct arena *a, struct batch *out, struct diag *d)
{
    struct vec *cols = arena_array(a, struct vec, s->table->n + 1);
    if (cols == NULL) return arena_full(a, d);
    for (uint32_t i = 0; i < s->table->n; i++)
        TRY(vecb_finish(&s->columns[i], &cols[i], d));
    *out = (struct batch){.n_rows = s->n_rows, .n_cols = s->table->n, .cols = cols};
    return OK;
}

enum err transform_run(const struct transform *t, const struct batch *in,
                       const struct schema *table, struct arena *a, struct batch *out,
                       struct diag *d)
{
    struct sink s = {.t = t, .table = table};
    TRY(begin(&s, a, d));
    if (t->as_is) {
        TRY(take(&s, in, d));
        return finish(&s, a, out, d);
    }
    t->feed->rows = in;
    const struct exec_request request = {
        .plan = &t->plan, .source = &source_ops_feed, .now_ticks = t->now_ticks};
    enum err e = exec_run(&request, take, &s, NULL, d);
    t->feed->rows = NULL;
    TRY(e);
    return finish(&s, a, out, d);
}
