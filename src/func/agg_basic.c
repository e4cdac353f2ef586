/* SPDX-License-Identifier: Apache-2.0 */
/* func/agg_basic.c - count, sum, avg, each with and without a condition */
#include "func/agg_kernel.h"

#include "column/decimal.h"

#include <math.h>

/* --- count ------------------------------------------------------------------------------------ */

/* count(x) counts rows too, null or not. */
UPDATE(update_count)
{
    (void)cx, (void)c, (void)args;
    if (one_state(states, n)) {
        *(int64_t *)states[0] += n;
        return OK;
    }
    for (uint32_t i = 0; i < n; i++)
        ++*(int64_t *)states[i];
    return OK;
}

UPDATE(update_countif)
{
    (void)cx, (void)c;
    for (uint32_t i = 0; i < n; i++)
        *(int64_t *)states[i] += !row_is_null(args[0], i) && vec_bool(args[0], i);
    return OK;
}

MERGE(merge_i64)
{
    (void)cx, (void)c;
    *(int64_t *)into_ = (int64_t)(*(uint64_t *)into_ + *(uint64_t *)from_);
    return OK;
}

FINISH(finish_i64)
{
    (void)cx;
    *out = (struct value){.type = c->ret, .i = *(int64_t *)state_};
    return OK;
}

static const char *name_count(struct arena *a, const char *arg_name, const struct agg_call *c)
{
    (void)a, (void)arg_name, (void)c;
    return "count_";
}

static const char *name_countif(struct arena *a, const char *arg_name, const struct agg_call *c)
{
    (void)a, (void)arg_name, (void)c;
    return "countif_";
}

/* --- sum -------------------------------------------------------------------------------------- */

struct decimal_sum {
    struct u128 sum;
    bool any, lost; /* lost: beyond what a decimal holds */
};

static enum type ret_sum(const enum type *args, const struct value *const *consts, uint32_t n)
{
    (void)consts, (void)n;
    return args[0] == T_INT ? T_LONG : args[0];
}

static void add_decimal(struct decimal_sum *s, struct u128 v)
{
    if (!s->any) {
        s->sum = v;
    } else if (!decimal_add(s->sum, v, &s->sum)) {
        s->lost = true;
    }
    s->any = true;
}

/* Flat values of one group; a null row's data is zero. */
static bool sum_one(void *state, const struct vec *v, uint32_t n)
{
    if (v->shape != VEC_FLAT || v->type == T_DECIMAL) return false;
    if (v->type == T_REAL) {
        double sum = 0;
        for (uint32_t i = 0; i < n; i++)
            sum += ((const double *)v->data)[i];
        *(double *)state += sum;
    } else {
        uint64_t sum = 0;
        for (uint32_t i = 0; i < n; i++)
            sum += ((const uint64_t *)v->data)[i];
        *(uint64_t *)state += sum;
    }
    return true;
}

UPDATE(update_sum)
{
    (void)cx, (void)c;
    const struct vec *v = args[0];
    bool plain = v->shape == VEC_FLAT && v->nulls == NULL;
    if (one_state(states, n) && sum_one(states[0], v, n)) return OK;
    if (v->type == T_DECIMAL) {
        for (uint32_t i = 0; i < n; i++) {
            if (!row_is_null(v, i))
                add_decimal(states[i], ((const struct u128 *)vec_data(v))[vec_at(v, i)]);
        }
    } else if (v->type == T_REAL && plain) {
        for (uint32_t i = 0; i < n; i++)
            *(double *)states[i] += ((const double *)v->data)[i];
    } else if (v->type == T_REAL) { /* a null row's data is zero */
        for (uint32_t i = 0; i < n; i++)
            *(double *)states[i] += vec_r64(v, i);
    } else if (plain) {
        for (uint32_t i = 0; i < n; i++)
            *(uint64_t *)states[i] += ((const uint64_t *)v->data)[i];
    } else {
        for (uint32_t i = 0; i < n; i++)
            *(uint64_t *)states[i] += (uint64_t)vec_i64(v, i);
    }
    return OK;
}

MERGE(merge_sum)
{
    if (c->ret == T_REAL) {
        *(double *)into_ += *(double *)from_;
        return OK;
    }
    if (c->ret != T_DECIMAL) return merge_i64(cx, c, into_, from_);
    struct decimal_sum *from = from_;
    if (from->any) add_decimal(into_, from->sum);
    ((struct decimal_sum *)into_)->lost |= from->lost;
    return OK;
}

FINISH(finish_sum)
{
    if (c->ret == T_REAL) {
        *out = (struct value){.type = T_REAL, .r = *(double *)state_};
    } else if (c->ret == T_DECIMAL) {
        const struct decimal_sum *s = state_;
        *out = (struct value){
            .type = T_DECIMAL, .is_null = s->lost, .u = s->any ? s->sum : decimal_from_i64(0)};
    } else {
        return finish_i64(cx, c, state_, out);
    }
    return OK;
}

UPDATE_IF(update_sumif, update_sum)

/* --- avg -------------------------------------------------------------------------------------- */

struct mean {
    union {
        double r;
        __int128 i; /* of moments: their sum would not fit 64 bits */
        struct decimal_sum d;
    };
    int64_t n;
};

static enum type ret_avg(const enum type *args, const struct value *const *consts, uint32_t n)
{
    (void)consts, (void)n;
    return (TM(args[0]) & TM_INTS) != 0 ? T_REAL : args[0];
}

UPDATE(update_avg)
{
    (void)cx;
    const struct vec *v = args[0];
    struct mean part = {0};
    if (c->ret == T_REAL && v->nulls == NULL && one_state(states, n) && sum_one(&part, v, n)) {
        struct mean *m = states[0];
        m->n += n;
        if (v->type == T_REAL) {
            m->r += part.r;
        } else {
            m->i = (int64_t)((uint64_t)m->i + (uint64_t)part.i);
        }
        return OK;
    }
    for (uint32_t i = 0; i < n; i++) {
        struct mean *m = states[i];
        if (row_is_null(v, i)) continue;
        m->n++;
        if (v->type == T_REAL) {
            m->r += vec_r64(v, i);
        } else if (c->ret == T_REAL) { /* whole numbers wrap around, as in sum() */
            m->i = (int64_t)((uint64_t)m->i + (uint64_t)vec_i64(v, i));
        } else if (c->ret == T_DECIMAL) {
            add_decimal(&m->d, ((const struct u128 *)vec_data(v))[vec_at(v, i)]);
        } else {
            m->i += vec_i64(v, i);
        }
    }
    return OK;
}

MERGE(merge_avg)
{
    (void)cx;
    struct mean *into = into_, *from = from_;
    into->n += from->n;
    if (c->arg_types[0] == T_REAL) {
        into->r += from->r;
    } else if (c->ret == T_REAL) {
        into->i = (int64_t)((uint64_t)into->i + (uint64_t)from->i);
    } else if (c->ret == T_DECIMAL) {
        if (from->d.any) add_decimal(&into->d, from->d.sum);
        into->d.lost |= from->d.lost;
    } else {
        into->i += from->i;
    }
    return OK;
}

/* Of no rows: NaN of reals, else null. */
FINISH(finish_avg)
{
    (void)cx;
    const struct mean *m = state_;
    *out = (struct value){.type = c->ret};
    if (c->ret == T_REAL) {
        double sum = c->arg_types[0] == T_REAL ? m->r : (double)(int64_t)m->i;
        out->r = m->n != 0 ? sum / (double)m->n : NAN;
    } else if (m->n == 0) {
        out->is_null = true;
    } else if (c->ret == T_DECIMAL) {
        out->is_null = m->d.lost || !decimal_div(m->d.sum, decimal_from_i64(m->n), &out->u);
    } else {
        out->i = (int64_t)(m->i / m->n);
    }
    return OK;
}

UPDATE_IF(update_avgif, update_avg)

#define SUMMABLE ARG(TM_NUMERIC | TM(T_TIMESPAN))
#define AVERAGED ARG(TM_NUMERIC | TM(T_TIMESPAN) | TM(T_DATETIME))

static const struct agg rows[] = {
    {.name = "avg",
     .arity_min = 1,
     .arity_max = 1,
     .args = {AVERAGED},
     .ret_of = ret_avg,
     .state_size = sizeof(struct mean),
     .update = update_avg,
     .merge = merge_avg,
     .finish = finish_avg,
     .doc = "The mean of the values that are not null.",
     .example = "range x from 1 to 4 step 1 | summarize avg(x)",
     .expect = "2.5"},
    {.name = "avgif",
     .arity_min = 2,
     .arity_max = 2,
     .args = {AVERAGED, ARG_BOOL},
     .ret_of = ret_avg,
     .state_size = sizeof(struct mean),
     .update = update_avgif,
     .merge = merge_avg,
     .finish = finish_avg,
     .doc = "The mean over the rows for which a condition holds.",
     .example = "range x from 1 to 4 step 1 | summarize avgif(x, x > 2)",
     .expect = "3.5"},
    {.name = "cnt",
     .arity_min = 0,
     .arity_max = 0,
     .ret = T_LONG,
     .state_size = sizeof(int64_t),
     .counts_rows = true,
     .update = update_count,
     .merge = merge_i64,
     .finish = finish_i64,
     .auto_name = name_count,
     .doc = "The same as count().",
     .example = "range x from 1 to 4 step 1 | summarize cnt()",
     .expect = "4"},
    {.name = "count",
     .arity_min = 0,
     .arity_max = 1,
     .args = {ARG(TM_ANY)},
     .ret = T_LONG,
     .state_size = sizeof(int64_t),
     .counts_rows = true,
     .update = update_count,
     .merge = merge_i64,
     .finish = finish_i64,
     .auto_name = name_count,
     .doc = "How many rows there are.",
     .example = "range x from 1 to 4 step 1 | summarize count()",
     .expect = "4"},
    {.name = "countif",
     .arity_min = 1,
     .arity_max = 1,
     .args = {ARG_BOOL},
     .ret = T_LONG,
     .state_size = sizeof(int64_t),
     .update = update_countif,
     .merge = merge_i64,
     .finish = finish_i64,
     .auto_name = name_countif,
     .doc = "For how many rows a condition holds.",
     .example = "range x from 1 to 4 step 1 | summarize countif(x > 1)",
     .expect = "3"},
    {.name = "sum",
     .arity_min = 1,
     .arity_max = 1,
     .args = {SUMMABLE},
     .ret_of = ret_sum,
     .state_size = sizeof(struct decimal_sum),
     .update = update_sum,
     .merge = merge_sum,
     .finish = finish_sum,
     .doc = "The sum; of no values zero.",
     .example = "range x from 1 to 4 step 1 | summarize sum(x)",
     .expect = "10"},
    {.name = "sumif",
     .arity_min = 2,
     .arity_max = 2,
     .args = {SUMMABLE, ARG_BOOL},
     .ret_of = ret_sum,
     .state_size = sizeof(struct decimal_sum),
     .update = update_sumif,
     .merge = merge_sum,
     .finish = finish_sum,
     .doc = "The sum over the rows for which a condition holds.",
     .example = "range x from 1 to 4 step 1 | summarize sumif(x, x > 2)",
     .expect = "7"},
};
const struct agg_family agg_basic = {rows, sizeof rows / sizeof *rows};
