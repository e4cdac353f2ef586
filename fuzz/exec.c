/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz/exec.c - any text that compiles runs within tiny limits: it gives rows of its schema or a
 * sentence, and takes no more memory than it may
 *
 * The table T has a few hundred rows in two units, with nulls and every type of the query language.
 * The first byte chooses how much memory there is, and whether rows may leave it. Where the second is
 * 0xff the rest is no text but choices: operators, plugins, functions and aggregates of the tables.
 */
#include "exec/exec.h"
#include "kql/kql.h"

#include "base/time.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS  300
#define UNITS 2

static const struct column columns[] = {
    {"TimeGenerated", T_DATETIME}, {"Level", T_STRING}, {"Status", T_LONG},
    {"Duration", T_REAL},          {"Ok", T_BOOL},      {"Data", T_DYNAMIC},
    {"Span", T_TIMESPAN}};
#define N_COLUMNS (sizeof columns / sizeof columns[0])
static const struct schema schema = {N_COLUMNS, columns};

/* --- the table -------------------------------------------------------------------------------- */

static enum err table(void *ctx, const char *name, const struct schema **out, void **t,
                      struct diag *d)
{
    (void)ctx;
    if (strcmp(name, "T") != 0) return FAIL(d, ERR_NOT_FOUND, "no table %.40s", name);
    *out = &schema;
    *t = NULL;
    return OK;
}

static const char *table_name(void *ctx, uint32_t i)
{
    (void)ctx;
    return i == 0 ? "T" : NULL;
}

struct opened {
    uint32_t n, cols[N_COLUMNS];
};

static enum err open_scan(void *t, const uint32_t *cols, uint32_t n, const struct scan_hint *hints,
                          uint32_t n_hints, void **scan, uint32_t *n_units, struct diag *d)
{
    (void)t, (void)hints, (void)n_hints;
    struct opened *o = calloc(1, sizeof *o);
    if (o == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    o->n = n;
    memcpy(o->cols, cols, n * sizeof *cols);
    *scan = o;
    *n_units = UNITS;
    return OK;
}

static void put(struct vecb *b, enum type t, uint32_t i)
{
    static const char *const texts[] = {"", "error", "Warn ing", "a b c", "10.0.0.1"};
    static const uint8_t number[] = {'i', 7, 0, 0, 0, 0, 0, 0, 0};
    if (i % 7 == 3) {
        vecb_null(b);
    } else if (t == T_STRING) {
        vecb_str(b, bytes_str(texts[i % 5]));
    } else if (t == T_DYNAMIC) {
        vecb_str(b, bytes_of(number, sizeof number));
    } else if (t == T_REAL) {
        vecb_r64(b, i * 0.5 - 10);
    } else if (t == T_BOOL) {
        vecb_bool(b, i % 2 != 0);
    } else {
        vecb_i64(b, t == T_DATETIME ? TICKS_UNIX + i * TICKS_PER_S : (int64_t)i - 20);
    }
}

static enum err read_unit(void *scan, uint32_t unit, const uint32_t *places, uint32_t n,
                          struct arena *a, struct batch *out, struct diag *d)
{
    const struct opened *o = scan;
    struct vec *cols = arena_array(a, struct vec, n);
    if (cols == NULL) return arena_full(a, d);
    for (uint32_t k = 0; k < n; k++) {
        struct vecb b;
        enum type t = columns[o->cols[places[k]]].type;
        vecb_init(&b, a, t, ROWS);
        for (uint32_t i = 0; i < ROWS; i++)
            put(&b, t, i + unit * ROWS);
        TRY(vecb_finish(&b, &cols[k], d));
    }
    *out = (struct batch){.n_rows = ROWS, .n_cols = n, .cols = cols};
    return OK;
}

static uint64_t unit_rows(void *scan, uint32_t unit)
{
    (void)scan, (void)unit;
    return ROWS;
}

static const struct source_ops source = {open_scan, read_unit, unit_rows, free};

/* --- one query -------------------------------------------------------------------------------- */

static const struct exec_limits limits = {
    .rows_max = 2000, .bytes_max = 1 << 20, .memory_max = (size_t)8 << 20};

#define PLACE_MAX ((size_t)32 << 20)

static enum err place_write(void *spill, struct bytes block, uint64_t *at, struct diag *d)
{
    struct buf *all = spill;
    if (all->len + block.len > PLACE_MAX)
        return FAIL_TAG(d, ERR_LIMIT, "E_RUNAWAY_QUERY", "no room for more spilled rows");
    *at = all->len;
    buf_bytes(all, block);
    return buf_check(all, d);
}

static enum err place_read(void *spill, uint64_t at, size_t len, struct arena *a, struct bytes *out,
                           struct diag *d)
{
    const struct buf *all = spill;
    assert(at + len <= all->len);
    *out = arena_bytes(a, bytes_of(all->p + at, len));
    return out->p != NULL ? OK : arena_full(a, d);
}

static const struct spill_ops place = {place_write, place_read};

struct means { /* that a query has */
    size_t memory;
    struct buf *place; /* NULL: rows must fit */
};

static struct exec_request request_for(const struct plan *plan, const struct means *m)
{
    struct exec_request r = {
        .plan = plan, .source = &source, .limits = limits, .now_ticks = TICKS_UNIX};
    r.limits.deadline_us = time_mono_us() + 500000;
    r.limits.memory_max = m->memory;
    if (m->place != NULL) {
        r.spill_ops = &place;
        r.spill = m->place;
    }
    return r;
}

static enum err run_part(void *ctx, const struct plan *part, kql_rows_fn *each, void *each_ctx,
                         struct diag *d)
{
    const struct exec_request r = request_for(part, ctx);
    return exec_run(&r, each, each_ctx, NULL, d);
}

static enum err see(void *ctx, const struct batch *b, struct diag *d)
{
    (void)d;
    const struct plan *plan = ctx;
    assert(b->n_rows != 0 && b->n_rows <= VEC_ROWS && b->n_cols == plan->root->schema.n);
    for (uint32_t c = 0; c < b->n_cols; c++) {
        assert(b->cols[c].type == plan->root->schema.cols[c].type && b->cols[c].n == b->n_rows);
        for (uint32_t i = 0; i < b->n_rows; i++)
            (void)vec_value(&b->cols[c], i);
    }
    return OK;
}

/* --- queries out of choices ------------------------------------------------------------------- */

/* %c is a column, %n a number, %e an expression of the functions' table, %a an aggregate. */
static const char *const parts[] = {
    "where %e == %e",
    "where %c has 'error' or Status > %n",
    "extend x = %e",
    "extend %c = %e, y = %e",
    "project Level, Status, x = %e, TimeGenerated, Data, Ok, Duration, Span",
    "summarize %a, y = %a by %c",
    "summarize %a by Level, bin(Status, %n)",
    "summarize %a, %a",
    "distinct %c, %c",
    "sort by %c asc, %c desc nulls first",
    "top %n by %c",
    "take %n",
    "count",
    "join kind=inner (T) on %c",
    "join kind=leftouter (T | where Ok) on Level, %c",
    "join kind=fullouter (T | take %n) on %c",
    "join kind=leftanti (T | take %n) on %c",
    "lookup (T | summarize take_any(Duration) by Level) on Level",
    "union (T | where Status < %n)",
    "mv-expand z = range(1, %n)",
    "mv-expand Data",
    "mv-apply z = pack_array(Level, Status) on (where tostring(z) != '' | take %n)",
    "partition by Level (top %n by Status)",
    "partition by Status (extend p = %e)",
    "make-series %a on Status step %n by Level",
    "make-series count(), s = %a default = %n on TimeGenerated step 1m by %c",
    "serialize w = prev(%e, %n), v = next(%c), r = row_number()",
    "sort by %c asc | extend w = row_cumsum(Status, Ok), r = row_rank_dense(%c)",
    "extend w = row_window_session(TimeGenerated, 1h, %n * 1s)",
    "scan declare (n:long = 0) with (step a: true => n = a.n + %n; step b: Ok => n = %n;)",
    "top-nested %n of %c by count(), top-nested %n of Level by max(Status)",
    "parse Level with x 'o' y:long *",
    "parse-kv Level as (a:string, b:long) with (pair_delimiter=' ', kv_delimiter='=')",
    "reduce by Level",
    "sample %n",
    "sample-distinct %n of %c",
    "search 'err'",
    "as M | union M",
    "getschema",
    "evaluate narrow()",
    "evaluate pivot(Level, sum(Status), Ok)",
    "evaluate bag_unpack(Data)",
    "extend Data = bag_pack(Level, Status) | evaluate bag_unpack(Data)",
    "evaluate autocluster()",
    "evaluate basket()",
    "evaluate diffpatterns(Level, 'error', '')",
    "evaluate active_users_count(Level, TimeGenerated, datetime(1970-01-01), datetime(1970-01-02), "
    "1h, "
    "1m, %n, 1h)",
    "evaluate activity_counts_metrics(Status, TimeGenerated, datetime(1970-01-01), "
    "datetime(1970-01-02), 1h)",
    "evaluate activity_metrics(Status, Status, 1, 100, %n)",
    "evaluate new_activity_metrics(Level, Status, 1, 100, %n)",
    "evaluate activity_engagement(Level, Status, 1, 100, 1, %n)",
    "evaluate sliding_window_counts(Level, Status, 1, 100, %n, 1)",
    "evaluate session_count(Level, Status, 1, 100, %n, 5)",
    "evaluate rolling_percentile(Status, %n, Status, 1, 5)",
    "evaluate rows_near(Ok, %n)",
    "evaluate ipv4_lookup((T | project n = Level), Level, n)",
    "make-graph Status --> z with_node_id=n | graph-match (a)-[e]->(b)-[f]->(c) project a.n, c.n",
    "extend z = Status + 1 | make-graph Status --> z with_node_id=n | graph-match "
    "(a)-[e*1..%n]->(b) "
    "project a.n, b.n",
    "extend z = Status + %n | make-graph Status --> z with_node_id=n | graph-mark-components "
    "with_component_id=k | graph-to-table nodes",
    "extend z = Status + 1 | make-graph Status --> z with_node_id=n | graph-shortest-paths "
    "(a)-[e*1..%n]->(b) project a.n, b.n",
};

struct choices {
    struct rd from;
    unsigned depth;
};

static uint32_t choose(struct choices *c, uint32_t n)
{
    return rd_left(&c->from) != 0 ? rd_u8(&c->from) % n : 0;
}

static uint32_t choose_of_many(struct choices *c, uint32_t n)
{
    return (choose(c, 256) << 8 | choose(c, 256)) % n;
}

static void put_expression(struct choices *c, struct buf *out)
{
    static const char *const literals[] = {"''", "'a,b'", "dynamic([1,\"x\",null])",
                                           "1d", "2.5",   "datetime(2024-02-29)"};
    uint32_t kind = c->depth < 4 ? choose(c, 4) : 0;
    if (kind == 0) buf_str(out, columns[choose(c, N_COLUMNS)].name);
    if (kind == 1) buf_fmt(out, "%d", (int)choose(c, 256) - 20);
    if (kind == 2) buf_str(out, literals[choose(c, sizeof literals / sizeof *literals)]);
    if (kind != 3) return;
    const struct fn *fn = fn_at(choose_of_many(c, fn_count()));
    bool infix = strncmp(fn->name, "op ", 3) == 0;
    uint32_t n = infix ? 2 : fn->arity_min + choose(c, 2);
    c->depth++;
    buf_fmt(out, "%s(", infix ? "" : fn->name);
    for (uint32_t i = 0; i < n && i < 6; i++) {
        if (i != 0) buf_fmt(out, "%s%s ", infix ? " " : ",", infix ? fn->name + 3 : "");
        put_expression(c, out);
    }
    buf_str(out, ")");
    c->depth--;
}

static void put_aggregate(struct choices *c, struct buf *out)
{
    const struct agg *agg = agg_at(choose_of_many(c, agg_count()));
    buf_fmt(out, "%s(", agg->name);
    for (uint32_t i = 0; i < agg->arity_min + choose(c, 2) && i < 4; i++) {
        if (i != 0) buf_str(out, ", ");
        if (i != 0 && choose(c, 2) != 0)
            buf_fmt(out, "%u", choose(c, 100));
        else
            put_expression(c, out);
    }
    buf_str(out, ")");
}

static void put_part(struct choices *c, const char *part, struct buf *out)
{
    buf_str(out, "\n| ");
    for (; *part != '\0'; part++) {
        if (*part != '%') {
            buf_u8(out, (uint8_t)*part);
            continue;
        }
        part++;
        if (*part == 'c') buf_str(out, columns[choose(c, N_COLUMNS)].name);
        if (*part == 'n') buf_fmt(out, "%u", choose(c, 100) + 1);
        if (*part == 'e') put_expression(c, out);
        if (*part == 'a') put_aggregate(c, out);
    }
}

static void put_query(struct choices *c, struct buf *out)
{
    buf_str(out, "T");
    for (unsigned i = 0; i < 6 && rd_left(&c->from) != 0; i++)
        put_part(c, parts[choose(c, sizeof parts / sizeof *parts)], out);
}

/* --- one query -------------------------------------------------------------------------------- */

static void run_query(struct bytes text, struct means *m)
{
    const struct kql_catalog catalog = {.table = table, .table_name = table_name};
    const struct kql_options options = {.now_ticks = TICKS_UNIX, .run = run_part, .run_ctx = m};
    struct diag d = DIAG_INIT;
    struct plan plan;
    CLEANUP_ARENA struct arena a;
    arena_init(&a, (size_t)16 << 20);
    if (kql_compile(&a, text, &catalog, &options, &plan, &d) != OK) return;
    const struct exec_request r = request_for(&plan, m);
    enum err e = exec_run(&r, see, &plan, NULL, &d);
    bool fine = e == OK || (d.text[0] != '\0' && e != ERR_INTERNAL &&
                            (e != ERR_LIMIT || d.tag[0] != '\0')); /* a limit has its name */
    if (fine) return;
    fprintf(stderr, "%s: %s%s: %.*s\n", err_name(e), d.tag, d.text, (int)text.len, text.p);
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP_BUF struct buf text = {.max = (size_t)1 << 16}, spilled = {0};
    if (size < 2) return 0;
    struct means m = {.memory = (size_t)256 << 10 << data[0] % 6,
                      .place = data[0] & 0x80 ? &spilled : NULL};
    struct choices c = {.from = rd_from(bytes_of(data + 2, size - 2))};
    if (data[1] == 0xff) put_query(&c, &text);
    if (getenv("FUZZ_SHOW") != NULL) fprintf(stderr, "%s\n", buf_cstr(&text));
    run_query(data[1] == 0xff ? buf_view(&text) : bytes_of(data + 1, size - 1), &m);
    return 0;
}
