/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/exec/from_text.h - a query's text to its result table, with no tables but those in the
 * text
 */
#pragma once

#include "test.h"

#include "column/dyn.h"
#include "exec/exec.h"
#include "kql/kql.h"

#include <stdio.h>

struct result {
    struct arena a; /* everything below */
    enum err err;
    struct diag d;
    struct schema schema;
    const struct op *root;
    uint32_t n_rows, cap;
    struct value *cells; /* row-major */
};

static enum err no_table(void *ctx, const char *name, const struct schema **schema, void **table,
                         struct diag *d)
{
    (void)ctx, (void)schema, (void)table;
    return FAIL(d, ERR_NOT_FOUND, "no table %s", name);
}
static const char *no_table_name(void *ctx, uint32_t i)
{
    (void)ctx, (void)i;
    return NULL;
}
static const struct kql_catalog no_tables = {.table = no_table, .table_name = no_table_name};

static enum err keep_rows(void *ctx, const struct batch *b, struct diag *d)
{
    struct result *r = ctx;
    uint32_t n_cols = r->schema.n;
    if (r->n_rows + b->n_rows > r->cap) {
        uint32_t cap = (r->n_rows + b->n_rows) * 2;
        struct value *cells = arena_array(&r->a, struct value, (size_t)cap * n_cols);
        if (cells == NULL) return arena_full(&r->a, d);
        if (r->n_rows != 0) memcpy(cells, r->cells, (size_t)r->n_rows * n_cols * sizeof *cells);
        r->cells = cells;
        r->cap = cap;
    }
    struct value *cells = r->cells;
    for (uint32_t i = 0; i < b->n_rows; i++) {
        for (uint32_t c = 0; c < n_cols; c++) {
            struct value v = vec_value(&b->cols[c], i);
            if (!v.is_null && (v.type == T_STRING || v.type == T_DYNAMIC))
                v.s = arena_bytes(&r->a, v.s);
            cells[(size_t)(r->n_rows + i) * n_cols + c] = v;
        }
    }
    r->n_rows += b->n_rows;
    return OK;
}

/* --- what externaldata reads ------------------------------------------------------------------ */

static const struct {
    const char *uri, *text;
} external_files[] = {
    {"https://x/a.csv",
     "id,name,at\r\n1,\"a, \"\"b\"\"\",2024-01-02\r\n\r\nx,\"two\nlines\"\r\n3,c,,4"},
    {"https://x/a.tsv", "1\tone\n2\ttwo\n"},
    {"https://x/list.txt", "\xEF\xBB\xBF# head\none\n\ntwo, three\n"},
    {"https://x/list", "one\ntwo\n"},
    {"https://x/a.json",
     "{\"id\":1,\"tags\":[1,2],\"name\":\"a}b\"}\n{\"id\":\"2\",\"more\":null}\n"},
    {"https://x/array", " [ {\"id\":1}, {\"id\":{\"x\":5}} ]"},
    {"https://x/deep", "{\"a\":{\"b c\":{\"d\":5}}} {\"a\":7}"},
    {"https://x/broken", "{\"id\":1} oh {\"id\":"},
    {"https://x/latin.txt", "caf\xE9\n"},
};

static enum err read_file(void *ctx, const char *uri, size_t len_max, int64_t deadline_us,
                          struct buf *out, struct diag *d)
{
    (void)ctx, (void)len_max, (void)deadline_us;
    for (size_t i = 0; i < sizeof external_files / sizeof external_files[0]; i++) {
        if (strcmp(external_files[i].uri, uri) != 0) continue;
        buf_str(out, external_files[i].text);
        return OK;
    }
    return FAIL(d, ERR_UNSUPPORTED, "externaldata: this server does not read '%s'", uri);
}
static const struct external_ops external_made_up = {.read = read_file};

static const struct kql_catalog *result_catalog = &no_tables; /* of queries from here on */
static const struct source_ops *result_source;                /* of its tables */

/* --- running ---------------------------------------------------------------------------------- */

static enum err run_part(void *ctx, const struct plan *part, kql_rows_fn *each, void *each_ctx,
                         struct diag *d)
{
    const struct kql_options *opt = ctx;
    const struct exec_request q = {.plan = part,
                                   .source = result_source,
                                   .external = &external_made_up,
                                   .now_ticks = opt->now_ticks};
    return exec_run(&q, each, each_ctx, NULL, d);
}

static size_t result_memory_max;          /* of queries from here on; 0 = the default */
static struct kql_options result_options; /* likewise; now_ticks and run are set here */

/* Compiles and runs; result_release() whatever came of it. */
__attribute__((unused)) static void result_of(struct result *r, struct bytes text,
                                              struct pool *pool)
{
    *r = (struct result){.d = DIAG_INIT};
    arena_init(&r->a, (size_t)1 << 30);
    struct plan plan = {0};
    struct kql_options opt = result_options;
    opt.now_ticks = TICKS_UNIX + 1767225600LL * TICKS_PER_S; /* 2026-01-01 */
    opt.run = run_part;
    opt.run_ctx = &opt;
    r->err = kql_compile(&r->a, text, result_catalog, &opt, &plan, &r->d);
    if (r->err != OK) return;
    r->schema = plan.root->schema;
    r->root = plan.root;
    struct exec_request q = {.plan = &plan,
                             .source = result_source,
                             .external = &external_made_up,
                             .now_ticks = plan.now_ticks,
                             .limits = {.memory_max = result_memory_max},
                             .pool = pool};
    r->err = exec_run(&q, keep_rows, r, NULL, &r->d);
}

__attribute__((unused)) static void result_release(struct result *r)
{
    arena_release(&r->a);
}
