/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec/explain.c - explain: runs a query and tells what each operator gave and took
 *
 * While the query is built, a counter is put between each operator and the one above it. It counts
 * the rows and bytes that pass. Time is the workers' own: a worker charges what has gone by to the
 * operator below when a batch comes to the counter, and to the operator above when that is done
 * with it. Conditions that moved into a scan are counted with the topmost filter; what runs inside
 * of an mv-apply or partition is counted as that.
 */
#include "exec/run.h"

#include "base/str.h"
#include "base/time.h"

struct op_count {
    const struct op *op;
    _Atomic uint64_t rows, bytes;
    _Atomic int64_t us;
    struct op_count *next;
};

struct counter {
    struct stage stage;
    struct op_count *below, *above;
};

static struct op_count *count_of(struct query *q, const struct op *op)
{
    for (struct op_count *c = q->counts; c != NULL; c = c->next) {
        if (c->op == op) return c;
    }
    struct op_count *c = arena_new(&q->mem.a, struct op_count);
    if (c == NULL) return NULL;
    c->op = op;
    c->next = q->counts;
    q->counts = c;
    return c;
}

static void charge(struct worker *w, struct op_count *c)
{
    int64_t now = time_mono_us();
    atomic_fetch_add(&c->us, now - w->mark_us);
    w->mark_us = now;
}

static enum err counter_push(const struct stage *s, struct worker *w, const struct batch *in)
{
    const struct counter *c = (const struct counter *)s;
    charge(w, c->below);
    atomic_fetch_add(&c->below->rows, in->n_rows);
    atomic_fetch_add(&c->below->bytes, batch_bytes(in));
    enum err e = stage_push(c->stage.next, w, in);
    charge(w, c->above);
    return e;
}

enum err explain_stage(struct pipeline *p, const struct op *op, const struct stage *next,
                       const struct stage **out, struct diag *d)
{
    struct query *q = p->q;
    *out = next;
    if (!q->explain) return OK;
    struct counter *c = arena_new(&q->mem.a, struct counter);
    if (c == NULL) return query_full(q, d);
    *c = (struct counter){.stage = {counter_push, next}};
    c->below = count_of(q, op);
    c->above = count_of(q, p->above != NULL ? p->above : op);
    if (c->below == NULL || c->above == NULL) return query_full(q, d);
    *out = &c->stage;
    return OK;
}

void explain_finished(struct query *q, const struct op *op, int64_t us)
{
    struct op_count *c = q->explain ? count_of(q, op) : NULL;
    if (c != NULL) atomic_fetch_add(&c->us, us);
}

/* --- the table -------------------------------------------------------------------------------- */

static const char *const names[] = {
    [OP_TABLE] = "table",
    [OP_ROWS] = "rows of the query",
    [OP_RANGE] = "range",
    [OP_FILTER] = "where",
    [OP_PROJECT] = "project",
    [OP_SUMMARIZE] = "summarize",
    [OP_SORT] = "sort",
    [OP_TOP] = "top",
    [OP_TAKE] = "take",
    [OP_UNION] = "union",
    [OP_COUNT] = "count",
    [OP_JOIN] = "join",
    [OP_MV_EXPAND] = "mv-expand",
    [OP_PARSE] = "parse",
    [OP_MAKE_SERIES] = "make-series",
    [OP_PARSE_KV] = "parse-kv",
    [OP_MATERIALIZE] = "materialize",
    [OP_EXTERNAL] = "externaldata",
    [OP_GROUP] = "rows of a group",
    [OP_APPLY] = "for each group",
    [OP_EXPLAIN] = "explain",
};

static const char *const whole_names[N_WHOLE_KINDS] = {
    [WHOLE_SCAN] = "scan",
    [WHOLE_TOP_NESTED] = "top-nested",
    [WHOLE_PIVOT] = "pivot",
    [WHOLE_NARROW] = "narrow",
    [WHOLE_IP_LOOKUP] = "ipv4_lookup",
    [WHOLE_ROWS_NEAR] = "rows_near",
    [WHOLE_SCHEMA_MERGE] = "schema_merge",
    [WHOLE_SLIDING_WINDOW] = "sliding_window_counts",
    [WHOLE_ACTIVITY_COUNTS] = "activity_counts_metrics",
    [WHOLE_ACTIVITY] = "activity_metrics",
    [WHOLE_ACTIVITY_ENGAGEMENT] = "activity_engagement",
    [WHOLE_NEW_ACTIVITY] = "new_activity_metrics",
    [WHOLE_ACTIVE_USERS] = "active_users_count",
    [WHOLE_ROLLING_PERCENTILE] = "rolling_percentile",
    [WHOLE_COMPONENTS] = "graph-mark-components",
    [WHOLE_PATHS] = "paths of a graph",
    [WHOLE_REDUCE] = "reduce",
    [WHOLE_BASKET] = "basket",
    [WHOLE_AUTOCLUSTER] = "autocluster",
    [WHOLE_DIFFPATTERNS] = "diffpatterns",
    [WHOLE_TEXT_PATTERNS] = "diffpatterns_text",
    [WHOLE_SESSION_COUNT] = "session_count",
    [WHOLE_FUNNEL] = "funnel_sequence",
    [WHOLE_FUNNEL_COMPLETION] = "funnel_sequence_completion",
    [WHOLE_SEQUENCES] = "sequence_detect",
};

const char *op_name(const struct op *op)
{
    const char *whole = op->kind == OP_WHOLE ? whole_names[op->whole.kind] : NULL;
    if (op->kind == OP_WHOLE) return whole != NULL ? whole : "plugin";
    return names[op->kind];
}

static void put_name(const struct op *op, unsigned depth, struct buf *out)
{
    buf_clear(out);
    for (unsigned i = 0; i < depth; i++)
        buf_str(out, "  ");
    buf_str(out, op_name(op));
    if (op->kind == OP_TABLE) buf_fmt(out, " %s", op->table.name);
    if (op->kind == OP_FILTER && op_is_window(op)) buf_str(out, " over neighbouring rows");
    if (op->kind == OP_PROJECT && op_is_window(op)) buf_str(out, " over neighbouring rows");
}

struct telling {
    struct query *q;
    struct vecb cols[4];
    struct buf name;
    const struct op *seen[64]; /* shared operators are told in full once */
    unsigned n_seen;
};

static const struct op_count *find_count(const struct query *q, const struct op *op)
{
    const struct op_count *c = q->counts;
    while (c != NULL && c->op != op)
        c = c->next;
    return c;
}

static bool seen_before(struct telling *t, const struct op *op)
{
    if (op->kind != OP_MATERIALIZE) return false;
    for (unsigned i = 0; i < t->n_seen; i++) {
        if (t->seen[i] == op) return true;
    }
    if (t->n_seen < sizeof t->seen / sizeof t->seen[0]) t->seen[t->n_seen++] = op;
    return false;
}

/* Depth is limited by check_depth(). */
static void tell(struct telling *t, const struct op *op, unsigned depth)
{
    const struct op_count *c = find_count(t->q, op);
    put_name(op, depth, &t->name);
    vecb_str(&t->cols[0], buf_view(&t->name));
    if (c == NULL) {
        for (int i = 1; i < 4; i++)
            vecb_null(&t->cols[i]);
    } else {
        vecb_i64(&t->cols[1], (int64_t)atomic_load(&c->rows));
        vecb_i64(&t->cols[2], (int64_t)atomic_load(&c->bytes));
        vecb_i64(&t->cols[3], atomic_load(&c->us) * 10);
    }
    if (seen_before(t, op)) return;
    const struct op *source;
    for (uint32_t i = 0; (source = op_source(op, i)) != NULL; i++)
        tell(t, source, depth + 1);
    if (op->kind == OP_APPLY) tell(t, op->apply.plan, depth + 1);
}

static enum err tell_all(struct query *q, const struct op *op, struct mem *m, struct relation *out,
                         struct diag *d)
{
    static const enum type types[] = {T_STRING, T_LONG, T_LONG, T_TIMESPAN};
    struct telling t = {.q = q};
    struct vec *cols = arena_array(&m->a, struct vec, 4);
    if (cols == NULL) return query_full(q, d);
    for (int i = 0; i < 4; i++)
        vecb_init(&t.cols[i], &m->a, types[i], 16);
    tell(&t, op->input, 0);
    enum err e = buf_check(&t.name, d);
    buf_release(&t.name);
    for (int i = 0; e == OK && i < 4; i++)
        e = vecb_finish(&t.cols[i], &cols[i], d);
    if (e != OK) return e;
    struct batch all = {.n_rows = cols[0].n, .n_cols = 4, .cols = cols};
    return relation_cut(q, &all, m, out, d);
}

enum err explain_run(struct query *q, const struct op *op, struct relation *out, struct diag *d)
{
    struct relation r;
    const struct op *root = op->input;
    bool *needed = arena_array(&q->mem.a, bool, root->schema.n);
    struct mem *m = arena_new(&q->mem.a, struct mem);
    if (needed == NULL || m == NULL) return query_full(q, d);
    for (uint32_t i = 0; i < root->schema.n; i++)
        needed[i] = true;
    q->explain = true;
    TRY(run_root(q, root, needed, &r, d));
    struct op_count *c = count_of(q, root);
    enum err e = OK;
    for (uint32_t i = 0; c != NULL && i < r.n_batches; i++) {
        if (atomic_load(&c->rows) >= r.n_rows) break; /* a stage or source is counted already */
        struct batch b;
        mem_clear(q, &q->workers[0].scratch);
        e = relation_batch(q, &r, i, &q->workers[0].scratch.a, &b, d);
        if (e != OK) break;
        atomic_fetch_add(&c->rows, b.n_rows);
        atomic_fetch_add(&c->bytes, batch_bytes(&b));
    }
    relation_release(q, &r);
    TRY(e);
    if (c == NULL) return query_full(q, d);
    mem_open(q, m);
    struct relation told = {.n_mems = 1, .mems = m};
    e = tell_all(q, op, m, &told, d);
    if (e != OK)
        mem_close(q, m);
    else
        *out = told;
    return e;
}
