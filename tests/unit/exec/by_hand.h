/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/exec/by_hand.h - plans made by hand over tables of arrays, and what came out as text
 *
 * All in one static arena per executable, so that a test reads like the query it stands for.
 */
#pragma once

#include "test.h"

#include "base/str.h"
#include "base/thread.h"
#include "exec/exec.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static struct arena hand;
static struct diag d;

__attribute__((constructor, unused)) static void hand_open(void)
{
    arena_init(&hand, (size_t)1 << 31);
}
__attribute__((destructor, unused)) static void hand_close(void)
{
    arena_release(&hand);
}

/* --- a table of arrays ----------------------------------------------------------------------- */

struct array_table {
    struct schema schema;
    uint32_t n_units;
    struct batch *units;
    _Atomic unsigned reads[64]; /* per column */
    struct scan_hint hints[8];  /* of the last open */
    uint32_t n_hints, n_opened;
};

struct array_scan {
    struct array_table *t;
    uint32_t *columns;
};

static enum err array_open(void *table, const uint32_t *columns, uint32_t n_columns,
                           const struct scan_hint *hints, uint32_t n_hints, void **scan,
                           uint32_t *n_units, struct diag *dd)
{
    struct array_table *t = table;
    struct array_scan *s = malloc(sizeof *s);
    if (s == NULL) return FAIL(dd, ERR_LIMIT, "out of memory");
    s->t = t;
    s->columns = malloc((n_columns + 1) * sizeof *columns);
    if (n_columns != 0) memcpy(s->columns, columns, n_columns * sizeof *columns);
    t->n_hints = n_hints < 8 ? n_hints : 8;
    t->n_opened = n_columns;
    if (n_hints != 0) memcpy(t->hints, hints, t->n_hints * sizeof *hints);
    *scan = s;
    *n_units = t->n_units;
    return OK;
}

static enum err array_read(void *scan, uint32_t unit, const uint32_t *places, uint32_t n_places,
                           struct arena *a, struct batch *out, struct diag *dd)
{
    struct array_scan *s = scan;
    struct vec *cols = arena_array(a, struct vec, n_places);
    if (cols == NULL) return arena_full(a, dd);
    for (uint32_t i = 0; i < n_places; i++) {
        uint32_t c = s->columns[places[i]];
        cols[i] = s->t->units[unit].cols[c];
        atomic_fetch_add(&s->t->reads[c], 1);
    }
    *out = (struct batch){.n_rows = s->t->units[unit].n_rows, .n_cols = n_places, .cols = cols};
    return OK;
}

static uint64_t array_rows(void *scan, uint32_t unit)
{
    return ((struct array_scan *)scan)->t->units[unit].n_rows;
}

static void array_close(void *scan)
{
    free(((struct array_scan *)scan)->columns);
    free(scan);
}

__attribute__((unused)) static const struct source_ops array_source = {array_open, array_read,
                                                                       array_rows, array_close};

/* "a long, b string": names and types. */
__attribute__((unused)) static struct schema schema_of(const char *text)
{
    struct schema s = {0};
    struct column *cols = arena_array(&hand, struct column, 64);
    char *copy = arena_str(&hand, bytes_str(text)), *save = NULL;
    for (char *part = strtok_r(copy, ",", &save); part != NULL; part = strtok_r(NULL, ",", &save)) {
        char name[64], type[64];
        if (sscanf(part, "%63s %63s", name, type) != 2) abort();
        enum type t;
        if (type_parse(type, &t, NULL) != OK) abort();
        cols[s.n++] = (struct column){arena_str(&hand, bytes_str(name)), t};
    }
    s.cols = cols;
    return s;
}

/* cell(row, column) over all units; strings are borrowed. */
__attribute__((unused)) static struct array_table *
table_of(const char *schema, uint32_t n_rows, uint32_t unit_rows,
         struct value (*cell)(uint32_t row, uint32_t col))
{
    struct array_table *t = arena_new(&hand, struct array_table);
    t->schema = schema_of(schema);
    t->n_units = (n_rows + unit_rows - 1) / unit_rows;
    t->units = arena_array(&hand, struct batch, t->n_units);
    for (uint32_t u = 0; u < t->n_units; u++) {
        uint32_t from = u * unit_rows, n = n_rows - from < unit_rows ? n_rows - from : unit_rows;
        struct vec *cols = arena_array(&hand, struct vec, t->schema.n);
        for (uint32_t c = 0; c < t->schema.n; c++) {
            struct vecb b;
            vecb_init(&b, &hand, t->schema.cols[c].type, n);
            for (uint32_t i = 0; i < n; i++) {
                struct value v = cell(from + i, c);
                vecb_value(&b, &v);
            }
            if (vecb_finish(&b, &cols[c], NULL) != OK) abort();
        }
        t->units[u] = (struct batch){n, t->schema.n, cols};
    }
    return t;
}

/* Turns a string column into codes, as storage hands them out. */
__attribute__((unused)) static void table_encode(struct array_table *t, uint32_t col)
{
    for (uint32_t u = 0; u < t->n_units; u++) {
        struct vec *v = &t->units[u].cols[col];
        uint32_t *codes = arena_array(&hand, uint32_t, v->n), n = 0;
        struct bytes *entries = arena_array(&hand, struct bytes, v->n);
        for (uint32_t i = 0; i < v->n; i++) {
            uint32_t k = 0;
            while (k < n && !bytes_eq(entries[k], vec_str(v, i)))
                k++;
            if (k == n) entries[n++] = vec_str(v, i);
            codes[i] = k;
        }
        struct vec *dict = arena_new(&hand, struct vec);
        *dict = (struct vec){.type = T_STRING, .n = n, .data = entries};
        *v = (struct vec){
            .type = T_STRING, .shape = VEC_DICT, .n = v->n, .codes = codes, .dict = dict};
    }
}

/* --- values and expressions ------------------------------------------------------------------ */

__attribute__((unused)) static struct value v_long(int64_t i)
{
    return (struct value){.type = T_LONG, .i = i};
}
__attribute__((unused)) static struct value v_real(double r)
{
    return (struct value){.type = T_REAL, .r = r};
}
__attribute__((unused)) static struct value v_str(const char *s)
{
    return (struct value){.type = T_STRING, .s = bytes_str(s)};
}
__attribute__((unused)) static struct value v_null(enum type t)
{
    return (struct value){.type = t, .is_null = true};
}

__attribute__((unused)) static struct expr *x_col(const struct op *in, const char *name)
{
    struct expr *e = arena_new(&hand, struct expr);
    int i = schema_find(&in->schema, name);
    if (i < 0) abort();
    *e = (struct expr){.kind = EXPR_COL, .type = in->schema.cols[i].type, .col = (uint32_t)i};
    return e;
}
__attribute__((unused)) static struct expr *x_const(struct value v)
{
    struct expr *e = arena_new(&hand, struct expr);
    *e = (struct expr){.kind = EXPR_CONST, .type = v.type, .value = v};
    return e;
}
__attribute__((unused)) static struct expr *x_call_fn(const struct fn *fn, enum type ret,
                                                      struct expr *a, struct expr *b)
{
    struct expr *e = arena_new(&hand, struct expr);
    struct expr **args = arena_array(&hand, struct expr *, 2);
    enum type *types = arena_array(&hand, enum type, 2);
    const struct value **consts = arena_array(&hand, const struct value *, 2);
    uint32_t n = 0;
    for (; n < 2 && (n == 0 ? a : b) != NULL; n++) {
        args[n] = n == 0 ? a : b;
        types[n] = args[n]->type;
        if (args[n]->kind == EXPR_CONST) consts[n] = &args[n]->value;
    }
    *e = (struct expr){
        .kind = EXPR_CALL,
        .type = ret,
        .args = args,
        .call = {.fn = fn, .ret = ret, .n_args = n, .arg_types = types, .consts = consts}};
    if (fn->prepare != NULL && fn->prepare(&e->call, &hand, NULL) != OK) abort();
    return e;
}
__attribute__((unused)) static struct expr *x_call(const char *name, enum type ret, struct expr *a,
                                                   struct expr *b)
{
    const struct fn *fn = fn_find(name);
    if (fn == NULL) fail_msg("no function %s", name);
    return x_call_fn(fn, ret, a, b);
}

/* --- operators ------------------------------------------------------------------------------- */

static struct op *op_new(enum op_kind kind, struct op *input)
{
    struct op *o = arena_new(&hand, struct op);
    o->kind = kind;
    o->input = input;
    if (input != NULL) o->schema = input->schema;
    return o;
}
__attribute__((unused)) static struct op *o_table(struct array_table *t)
{
    struct op *o = op_new(OP_TABLE, NULL);
    o->schema = t->schema;
    o->table.name = "T";
    o->table.table = t;
    o->table.columns = arena_array(&hand, uint32_t, t->schema.n);
    for (uint32_t i = 0; i < t->schema.n; i++)
        o->table.columns[i] = i;
    return o;
}
__attribute__((unused)) static struct op *o_filter(struct op *in, struct expr *condition)
{
    struct op *o = op_new(OP_FILTER, in);
    o->filter.condition = condition;
    return o;
}
__attribute__((unused)) static struct op *o_project(struct op *in, const char *schema, uint32_t n,
                                                    struct expr **exprs)
{
    struct op *o = op_new(OP_PROJECT, in);
    o->schema = schema_of(schema);
    o->project.n = n;
    o->project.exprs = exprs;
    return o;
}
__attribute__((unused)) static struct op *o_take(struct op *in, int64_t n)
{
    struct op *o = op_new(OP_TAKE, in);
    o->take.count = x_const(v_long(n));
    return o;
}
__attribute__((unused)) static struct op *o_count(struct op *in)
{
    struct op *o = op_new(OP_COUNT, in);
    o->schema = schema_of("Count long");
    return o;
}
/* "a asc nulls first": one key */
static struct sort_key key_of(struct op *in, const char *col, bool desc, bool nulls_first)
{
    return (struct sort_key){x_col(in, col), desc, nulls_first};
}
__attribute__((unused)) static struct op *o_sort(struct op *in, uint32_t n, struct sort_key *keys)
{
    struct op *o = op_new(OP_SORT, in);
    o->sort.n_keys = n;
    o->sort.keys = arena_array(&hand, struct sort_key, n);
    memcpy(o->sort.keys, keys, n * sizeof *keys);
    return o;
}
__attribute__((unused)) static struct op *o_sort1(struct op *in, const char *col, bool desc,
                                                  bool nulls_first)
{
    struct sort_key k = key_of(in, col, desc, nulls_first);
    return o_sort(in, 1, &k);
}
__attribute__((unused)) static struct op *o_top(struct op *in, int64_t count, const char *col,
                                                bool desc)
{
    struct op *o = op_new(OP_TOP, in);
    struct sort_key k = key_of(in, col, desc, !desc);
    o->top.n_keys = 1;
    o->top.keys = arena_array(&hand, struct sort_key, 1);
    o->top.keys[0] = k;
    o->top.count = x_const(v_long(count));
    return o;
}
__attribute__((unused)) static struct op *o_distinct(struct op *in, const char *col)
{
    struct op *o = op_new(OP_SUMMARIZE, in);
    struct expr *e = x_col(in, col);
    struct column *c = arena_new(&hand, struct column);
    *c = (struct column){col, e->type};
    o->schema = (struct schema){1, c};
    o->summarize.n_keys = 1;
    o->summarize.keys = arena_array(&hand, struct expr *, 1);
    o->summarize.keys[0] = e;
    return o;
}

/* --- running --------------------------------------------------------------------------------- */

static enum err print_batch(void *ctx, const struct batch *b, struct diag *dd)
{
    struct buf *out = ctx;
    (void)dd;
    for (uint32_t i = 0; i < b->n_rows; i++) {
        for (uint32_t c = 0; c < b->n_cols; c++) {
            struct value v = vec_value(&b->cols[c], i);
            if (c != 0) buf_str(out, ",");
            if (v.is_null)
                buf_str(out, "null");
            else if (v.type == T_REAL)
                real_format(v.r, out);
            else if (v.type == T_STRING)
                buf_bytes(out, v.s);
            else if (v.type == T_DATETIME)
                datetime_format(v.i, out);
            else if (v.type == T_BOOL)
                buf_str(out, v.b ? "true" : "false");
            else
                buf_fmt(out, "%lld", (long long)v.i);
        }
        buf_str(out, " ");
    }
    return OK;
}

/* The rows as "a,b c,d ", or "failed: code tag". */
__attribute__((unused)) static const char *run_as(struct op *root, struct exec_request r)
{
    static struct buf out;
    buf_clear(&out);
    diag_reset(&d);
    struct plan plan = {.root = root};
    r.plan = &plan;
    if (r.source == NULL) r.source = &array_source;
    enum err e = exec_run(&r, print_batch, &out, NULL, &d);
    if (e != OK) {
        buf_clear(&out);
        buf_fmt(&out, "failed: %s %s", err_name(e), d.tag);
    }
    return arena_str(&hand, (struct bytes){(const uint8_t *)buf_cstr(&out), out.len});
}
__attribute__((unused)) static const char *run(struct op *root)
{
    return run_as(root, (struct exec_request){0});
}
