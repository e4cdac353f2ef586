/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/exec/interpreter.h - runs a plan row by row, each operator in the plainest way
 *
 * Rows are values in memory, all of them before the next operator begins. A function is called for
 * one row at a time, with plain values; groups and partners are looked for one after the other.
 * Nothing is shared with the executor but the functions' own kernels, and functions of neighbouring
 * rows are written anew here.
 */
#pragma once

#include "test.h"

#include "column/dyn.h"
#include "func/kernel.h"
#include "kql/plan.h"

#include <math.h>
#include <stdlib.h>

struct rows {
    uint32_t n, width;
    struct value *at; /* row after row */
};

struct interpreter {
    struct arena *a;
    struct diag *d;
    int64_t now_ticks;
    /* All rows of the table that the catalogue named. */
    struct rows (*table)(const void *table);
};

static enum err run_op(struct interpreter *in, const struct op *op, struct rows *out);

/* --- values ------------------------------------------------------------------------------------- */

/* As keys: nulls are one value, and so are NaNs. */
static bool same_key(const struct value *a, const struct value *b)
{
    if (a->is_null || b->is_null) return a->is_null == b->is_null;
    if (a->type == T_STRING || a->type == T_DYNAMIC) return bytes_eq(a->s, b->s);
    if (a->type == T_REAL && (isnan(a->r) || isnan(b->r))) return isnan(a->r) && isnan(b->r);
    return value_cmp(a, b) == 0;
}

static struct value no_value(enum type t)
{
    return (struct value){.type = t, .is_null = t != T_STRING};
}

static struct vec one_row(struct interpreter *in, const struct value *v)
{
    struct vecb b;
    struct vec out = {0};
    vecb_init(&b, in->a, v->type, 1);
    if (v->is_null)
        vecb_null(&b);
    else
        vecb_value(&b, v);
    REQUIRE_OK(vecb_finish(&b, &out, in->d));
    return out;
}

/* --- expressions -------------------------------------------------------------------------------- */

static enum err value_of(struct interpreter *in, const struct expr *e, const struct rows *all,
                         uint32_t row, struct value *out);

static enum err neighbour_of(struct interpreter *in, const struct expr *e, const struct rows *all,
                             uint32_t row, int sign, struct value *out)
{
    struct value step = {.i = 1};
    if (e->call.n_args > 1) TRY(value_of(in, e->args[1], all, row, &step));
    int64_t at = (int64_t)row + sign * (step.is_null ? 0 : step.i);
    *out = no_value(e->type);
    if (!step.is_null && at >= 0 && at < all->n)
        return value_of(in, e->args[0], all, (uint32_t)at, out);
    if (e->call.n_args < 3) return OK;
    struct value given;
    TRY(value_of(in, e->args[2], all, row, &given));
    if (!value_cast(&given, e->type, in->a, out)) *out = no_value(e->type);
    return OK;
}

/* The first row of the run of rows that this one belongs to. */
static enum err run_begin(struct interpreter *in, const struct expr *e, const struct rows *all,
                          uint32_t row, uint32_t at, uint32_t *out)
{
    struct value restart;
    for (*out = row; *out > 0 && e->call.n_args > at; --*out) {
        TRY(value_of(in, e->args[at], all, *out, &restart));
        if (!restart.is_null && restart.b) return OK;
    }
    if (e->call.n_args <= at) *out = 0;
    return OK;
}

static enum err sum_of(struct interpreter *in, const struct expr *e, const struct rows *all,
                       uint32_t row, struct value *out)
{
    uint32_t from;
    TRY(run_begin(in, e, all, row, 1, &from));
    *out = (struct value){.type = e->type};
    for (uint32_t i = from; i <= row; i++) {
        struct value v;
        TRY(value_of(in, e->args[0], all, i, &v));
        if (v.is_null) continue;
        if (e->type == T_REAL)
            out->r += v.r;
        else
            out->i = (int64_t)((uint64_t)out->i + (uint64_t)v.i);
    }
    if (e->type == T_INT) out->i = (int32_t)out->i;
    return OK;
}

static enum err rank_of(struct interpreter *in, const struct expr *e, const struct rows *all,
                        uint32_t row, bool dense, struct value *out)
{
    uint32_t from;
    struct value before, now;
    TRY(run_begin(in, e, all, row, 1, &from));
    *out = (struct value){.type = T_LONG, .i = 1};
    TRY(value_of(in, e->args[0], all, from, &before));
    for (uint32_t i = from + 1; i <= row; i++, before = now) {
        TRY(value_of(in, e->args[0], all, i, &now));
        if (!value_eq(&before, &now)) out->i = dense ? out->i + 1 : (int64_t)(i - from) + 1;
    }
    return OK;
}

static enum err number_of(struct interpreter *in, const struct expr *e, const struct rows *all,
                          uint32_t row, struct value *out)
{
    uint32_t from;
    struct value start = {.i = 1};
    TRY(run_begin(in, e, all, row, 1, &from));
    if (e->call.n_args > 0) TRY(value_of(in, e->args[0], all, from, &start));
    *out = (struct value){.type = T_LONG, .i = (start.is_null ? 0 : start.i) + (row - from)};
    return OK;
}

static enum err window_of(struct interpreter *in, const struct expr *e, const struct rows *all,
                          uint32_t row, struct value *out)
{
    const char *name = e->call.fn->name;
    if (strcmp(name, "prev") == 0) return neighbour_of(in, e, all, row, -1, out);
    if (strcmp(name, "next") == 0) return neighbour_of(in, e, all, row, 1, out);
    if (strcmp(name, "row_cumsum") == 0) return sum_of(in, e, all, row, out);
    if (strcmp(name, "row_rank_dense") == 0) return rank_of(in, e, all, row, true, out);
    if (strcmp(name, "row_rank_min") == 0) return rank_of(in, e, all, row, false, out);
    if (strcmp(name, "row_number") == 0) return number_of(in, e, all, row, out);
    return FAIL(in->d, ERR_UNSUPPORTED, "the interpreter has no %s()", name);
}

static enum err call_of(struct interpreter *in, const struct expr *e, const struct rows *all,
                        uint32_t row, struct value *out)
{
    uint32_t n = e->call.n_args;
    struct vec *args = arena_array(in->a, struct vec, n + 1), result;
    const struct vec **ptrs = arena_array(in->a, const struct vec *, n + 1);
    REQUIRE(args != NULL && ptrs != NULL);
    for (uint32_t i = 0; i < n; i++) {
        struct value v;
        TRY(value_of(in, e->args[i], all, row, &v));
        v.type = e->args[i]->type;
        args[i] = one_row(in, &v);
        ptrs[i] = &args[i];
    }
    struct fn_cx cx = {.a = in->a, .now_ticks = in->now_ticks, .d = in->d};
    TRY(fn_run(&cx, &e->call, ptrs, 1, &result));
    *out = vec_value(&result, 0);
    return OK;
}

static enum err value_of(struct interpreter *in, const struct expr *e, const struct rows *all,
                         uint32_t row, struct value *out)
{
    switch (e->kind) {
    case EXPR_COL: *out = all->at[(size_t)row * all->width + e->col]; return OK;
    case EXPR_CONST: *out = e->value; return OK;
    case EXPR_CALL:
        if ((e->call.fn->flags & FN_WINDOW) != 0) return window_of(in, e, all, row, out);
        return call_of(in, e, all, row, out);
    case EXPR_SCALAR_QUERY: {
        struct rows r;
        TRY(run_op(in, e->query, &r));
        *out = r.n != 0 ? r.at[0] : no_value(e->type);
        return OK;
    }
    }
    return FAIL(in->d, ERR_UNSUPPORTED, "the interpreter has no such expression");
}

/* --- operators ---------------------------------------------------------------------------------- */

static struct rows rows_new(struct interpreter *in, const struct op *op, uint64_t n)
{
    struct rows r = {.width = op->schema.n};
    r.at = arena_array(in->a, struct value, (size_t)n * r.width + 1);
    REQUIRE(r.at != NULL);
    return r;
}

static struct value *row_at(const struct rows *r, uint32_t row)
{
    return &r->at[(size_t)row * r->width];
}

static void put_row(struct rows *to, const struct value *row)
{
    memcpy(row_at(to, to->n++), row, to->width * sizeof *row);
}

static enum err run_table(struct interpreter *in, const struct op *op, struct rows *out)
{
    struct rows all = in->table(op->table.table);
    *out = rows_new(in, op, all.n);
    for (uint32_t i = 0; i < all.n; i++, out->n++) {
        for (uint32_t c = 0; c < out->width; c++)
            row_at(out, i)[c] = row_at(&all, i)[op->table.columns[c]];
    }
    return OK;
}

static enum err run_filter(struct interpreter *in, const struct op *op, const struct rows *from,
                           struct rows *out)
{
    *out = rows_new(in, op, from->n);
    for (uint32_t i = 0; i < from->n; i++) {
        struct value v;
        TRY(value_of(in, op->filter.condition, from, i, &v));
        if (!v.is_null && v.b) put_row(out, row_at(from, i));
    }
    return OK;
}

static enum err run_project(struct interpreter *in, const struct op *op, const struct rows *from,
                            struct rows *out)
{
    *out = rows_new(in, op, from->n);
    for (uint32_t i = 0; i < from->n; i++, out->n++) {
        for (uint32_t c = 0; c < out->width; c++)
            TRY(value_of(in, op->project.exprs[c], from, i, &row_at(out, i)[c]));
    }
    return OK;
}

static enum err keys_of(struct interpreter *in, struct expr *const *exprs, uint32_t n,
                        const struct rows *from, struct value **out)
{
    *out = arena_array(in->a, struct value, (size_t)n * from->n + 1);
    REQUIRE(*out != NULL);
    for (uint32_t i = 0; i < from->n; i++) {
        for (uint32_t k = 0; k < n; k++)
            TRY(value_of(in, exprs[k], from, i, &(*out)[(size_t)i * n + k]));
    }
    return OK;
}

static bool same_keys(const struct value *a, const struct value *b, uint32_t n)
{
    for (uint32_t k = 0; k < n; k++) {
        if (!same_key(&a[k], &b[k])) return false;
    }
    return true;
}

static enum err aggregate(struct interpreter *in, const struct agg_use *use,
                          const struct rows *from, const uint32_t *group_of, uint32_t group,
                          struct value *out)
{
    void *state = arena_alloc(in->a, use->call.agg->state_size);
    struct agg_cx cx = {.a = in->a, .d = in->d};
    REQUIRE(state != NULL);
    for (uint32_t i = 0; i < from->n; i++) {
        struct vec args[4];
        const struct vec *ptrs[4];
        if (group_of[i] != group) continue;
        for (uint32_t k = 0; k < use->call.n_args; k++) {
            struct value v;
            TRY(value_of(in, use->args[k], from, i, &v));
            v.type = use->args[k]->type;
            args[k] = one_row(in, &v);
            ptrs[k] = &args[k];
        }
        TRY(use->call.agg->update(&cx, &use->call, &state, ptrs, 1));
    }
    *out = no_value(use->call.ret);
    TRY(use->call.agg->finish(&cx, &use->call, state, out));
    if (out->type == T_STRING && out->is_null) *out = no_value(T_STRING); /* it is never null */
    return OK;
}

static enum err run_summarize(struct interpreter *in, const struct op *op, const struct rows *from,
                              struct rows *out)
{
    uint32_t n_keys = op->summarize.n_keys;
    struct value *keys;
    uint32_t *group_of = arena_array(in->a, uint32_t, from->n + 1);
    REQUIRE(group_of != NULL);
    TRY(keys_of(in, op->summarize.keys, n_keys, from, &keys));
    *out = rows_new(in, op, (uint64_t)from->n + 1);
    for (uint32_t i = 0; i < from->n; i++) {
        uint32_t g = 0;
        while (g < out->n && !same_keys(row_at(out, g), &keys[(size_t)i * n_keys], n_keys))
            g++;
        group_of[i] = g;
        if (g < out->n) continue;
        if (n_keys != 0) memcpy(row_at(out, g), &keys[(size_t)i * n_keys], n_keys * sizeof *keys);
        out->n++;
    }
    if (n_keys == 0) out->n = 1;
    for (uint32_t g = 0; g < out->n; g++) {
        for (uint32_t i = 0; i < op->summarize.n_aggs; i++)
            TRY(aggregate(in, &op->summarize.aggs[i], from, group_of, g,
                          &row_at(out, g)[n_keys + i]));
    }
    return OK;
}

/* NaN stands beside null. */
static int rank_for_sort(const struct value *v, const struct sort_key *k)
{
    bool nan = !v->is_null && v->type == T_REAL && isnan(v->r);
    if (!v->is_null && !nan) return 0;
    int beside = nan ? 1 : 2;
    return k->nulls_first ? -beside : beside;
}

static int compare_for_sort(const struct value *a, const struct value *b, const struct sort_key *k)
{
    int x = rank_for_sort(a, k), y = rank_for_sort(b, k);
    if (x != y) return x < y ? -1 : 1;
    if (x != 0) return 0;
    int c = value_cmp(a, b);
    return k->descending ? -c : c;
}

/* By insertion: stable. */
static enum err sorted(struct interpreter *in, const struct sort_key *sort, uint32_t n_keys,
                       const struct op *op, const struct rows *from, struct rows *out)
{
    struct expr **exprs = arena_array(in->a, struct expr *, n_keys + 1);
    uint32_t *order = arena_array(in->a, uint32_t, from->n + 1);
    struct value *keys;
    REQUIRE(exprs != NULL && order != NULL);
    for (uint32_t k = 0; k < n_keys; k++)
        exprs[k] = sort[k].expr;
    TRY(keys_of(in, exprs, n_keys, from, &keys));
    for (uint32_t i = 0; i < from->n; i++) {
        uint32_t at = i;
        for (; at > 0; at--) {
            int c = 0;
            for (uint32_t k = 0; k < n_keys && c == 0; k++)
                c = compare_for_sort(&keys[(size_t)order[at - 1] * n_keys + k],
                                     &keys[(size_t)i * n_keys + k], &sort[k]);
            if (c <= 0) break;
            order[at] = order[at - 1];
        }
        order[at] = i;
    }
    *out = rows_new(in, op, from->n);
    for (uint32_t i = 0; i < from->n; i++)
        put_row(out, row_at(from, order[i]));
    return OK;
}

static enum err cut_to(struct interpreter *in, const struct expr *count, struct rows *r)
{
    struct value v;
    TRY(value_of(in, count, NULL, 0, &v));
    if (r->n > (uint64_t)v.i) r->n = (uint32_t)v.i;
    return OK;
}

static enum err run_union(struct interpreter *in, const struct op *op, struct rows *out)
{
    struct rows from[8];
    uint64_t n = 0;
    REQUIRE(op->unions.n <= 8);
    for (uint32_t k = 0; k < op->unions.n; k++) {
        TRY(run_op(in, op->unions.inputs[k], &from[k]));
        n += from[k].n;
    }
    *out = rows_new(in, op, n);
    for (uint32_t k = 0; k < op->unions.n; k++) {
        for (uint32_t i = 0; i < from[k].n; i++, out->n++) {
            for (uint32_t c = 0; c < out->width; c++) {
                uint32_t col = op->unions.columns[k][c];
                row_at(out, out->n)[c] = col != UINT32_MAX ? row_at(&from[k], i)[col]
                                                           : no_value(op->schema.cols[c].type);
            }
        }
    }
    return OK;
}

static void put_pair(const struct op *op, struct rows *out, const struct value *left,
                     const struct value *right)
{
    bool only_right = op->join.kind == JOIN_RIGHT_SEMI || op->join.kind == JOIN_RIGHT_ANTI;
    uint32_t n_left = only_right ? 0 : op->input->schema.n;
    struct value *to = row_at(out, out->n++);
    for (uint32_t c = 0; c < out->width; c++) {
        const struct value *from = c < n_left ? left : right;
        uint32_t col = c < n_left ? c : op->join.right_columns[c - n_left];
        to[c] = from != NULL ? from[col] : no_value(op->schema.cols[c].type);
    }
}

static enum err run_join(struct interpreter *in, const struct op *op, struct rows *out)
{
    enum join_kind kind = op->join.kind;
    uint32_t n_keys = op->join.n_keys;
    struct rows l, r;
    struct value *lk, *rk;
    TRY(run_op(in, op->input, &l));
    TRY(run_op(in, op->join.right, &r));
    TRY(keys_of(in, op->join.left_keys, n_keys, &l, &lk));
    TRY(keys_of(in, op->join.right_keys, n_keys, &r, &rk));
    bool *met = arena_array(in->a, bool, r.n + 1);
    REQUIRE(met != NULL);
    *out = rows_new(in, op, (uint64_t)l.n * r.n + l.n + r.n);
    bool pairs = kind == JOIN_INNER || kind == JOIN_INNERUNIQUE || kind == JOIN_LEFT_OUTER ||
                 kind == JOIN_RIGHT_OUTER || kind == JOIN_FULL_OUTER;
    for (uint32_t i = 0; i < l.n; i++) {
        const struct value *key = &lk[(size_t)i * n_keys];
        bool any = false, again = false;
        for (uint32_t k = 0; kind == JOIN_INNERUNIQUE && k < i; k++)
            again |= same_keys(&lk[(size_t)k * n_keys], key, n_keys);
        for (uint32_t k = 0; !again && k < r.n; k++) {
            if (!same_keys(key, &rk[(size_t)k * n_keys], n_keys)) continue;
            any = met[k] = true;
            if (pairs) put_pair(op, out, row_at(&l, i), row_at(&r, k));
        }
        bool alone = !any && (kind == JOIN_LEFT_OUTER || kind == JOIN_FULL_OUTER);
        if (alone || (kind == JOIN_LEFT_SEMI && any) || (kind == JOIN_LEFT_ANTI && !any))
            put_pair(op, out, row_at(&l, i), NULL);
    }
    for (uint32_t k = 0; k < r.n; k++) {
        bool alone = !met[k] && (kind == JOIN_RIGHT_OUTER || kind == JOIN_FULL_OUTER);
        if (alone || (kind == JOIN_RIGHT_SEMI && met[k]) || (kind == JOIN_RIGHT_ANTI && !met[k]))
            put_pair(op, out, NULL, row_at(&r, k));
    }
    return OK;
}

static enum err run_count(struct interpreter *in, const struct op *op, const struct rows *from,
                          struct rows *out)
{
    *out = rows_new(in, op, 1);
    out->at[0] = (struct value){.type = T_LONG, .i = from->n};
    out->n = 1;
    return OK;
}

static enum err run_op(struct interpreter *in, const struct op *op, struct rows *out)
{
    struct rows from = {0};
    if (op->kind == OP_TABLE) return run_table(in, op, out);
    if (op->kind == OP_UNION) return run_union(in, op, out);
    if (op->kind == OP_JOIN) return run_join(in, op, out);
    if (op->input == NULL)
        return FAIL(in->d, ERR_UNSUPPORTED, "the interpreter has no such operator");
    TRY(run_op(in, op->input, &from));
    switch (op->kind) {
    case OP_FILTER: return run_filter(in, op, &from, out);
    case OP_PROJECT: return run_project(in, op, &from, out);
    case OP_SUMMARIZE: return run_summarize(in, op, &from, out);
    case OP_SORT: return sorted(in, op->sort.keys, op->sort.n_keys, op, &from, out);
    case OP_TOP:
        TRY(sorted(in, op->top.keys, op->top.n_keys, op, &from, out));
        return cut_to(in, op->top.count, out);
    case OP_TAKE: *out = from; return cut_to(in, op->take.count, out);
    case OP_COUNT: return run_count(in, op, &from, out);
    case OP_MATERIALIZE: *out = from; return OK;
    default: return FAIL(in->d, ERR_UNSUPPORTED, "the interpreter has no such operator");
    }
}
