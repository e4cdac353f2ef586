/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz/exec.c - any text that compiles runs within tiny limits: it gives rows of its schema or a
 * sentence, and takes no more memory than it may
 *
 * The table T has a few hundred rows in two units, with nulls and every type of the query language.
 */
#include "exec/exec.h"
#include "kql/kql.h"

#include "base/time.h"

#include <assert.h>
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

static struct exec_request request_for(const struct plan *plan)
{
    struct exec_request r = {
        .plan = plan, .source = &source, .limits = limits, .now_ticks = TICKS_UNIX};
    r.limits.deadline_us = time_mono_us() + 500000;
    return r;
}

static enum err run_part(void *ctx, const struct plan *part, kql_rows_fn *each, void *each_ctx,
                         struct diag *d)
{
    (void)ctx;
    const struct exec_request r = request_for(part);
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct kql_catalog catalog = {.table = table, .table_name = table_name};
    const struct kql_options options = {.now_ticks = TICKS_UNIX, .run = run_part};
    struct diag d = DIAG_INIT;
    struct plan plan;
    CLEANUP_ARENA struct arena a;
    arena_init(&a, (size_t)16 << 20);
    if (kql_compile(&a, bytes_of(data, size), &catalog, &options, &plan, &d) != OK) return 0;
    const struct exec_request r = request_for(&plan);
    enum err e = exec_run(&r, see, &plan, NULL, &d);
    assert(e == OK || d.text[0] != '\0');
    assert(e != ERR_INTERNAL);
    return 0;
}
