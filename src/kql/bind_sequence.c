/* SPDX-License-Identifier: Apache-2.0 */
/* kql/bind_sequence.c - plugins of sequences: sequence_detect, funnel_sequence and its completion */
#include "kql/bind_evaluate.h"

#include "base/str.h"

#define COLUMNS_MAX 64

/* What the distance between two times is. */
static enum type span_of(enum type time)
{
    return time == T_DATETIME ? T_TIMESPAN : time;
}

static enum err time_column(struct plugin_cx *p, const struct ast *arg, uint32_t *out)
{
    TRY(plugin_column(p, arg, out));
    enum type type = p->cx->in->schema.cols[*out].type;
    if (type == T_DATETIME || type == T_TIMESPAN || (TM(type) & TM_INTS) != 0) return OK;
    return FAIL(diag_at(p->cx->b->d, arg->pos), ERR_UNSUPPORTED,
                "the plugin %s over a %s is not supported, only over datetime, timespan and whole "
                "numbers",
                p->call->name, type_name(type));
}

/* --- sequence_detect -------------------------------------------------------------------------- */

/* A condition has a name, or is an expression, or a column of bools; what follows are dimensions. */
static bool is_step(const struct plugin_cx *p, const struct ast *arg)
{
    if (arg->kind != AST_NAME) return true;
    int col = schema_find(&p->cx->in->schema, arg->name);
    return col >= 0 && p->cx->in->schema.cols[col].type == T_BOOL;
}

struct step_columns {
    struct plugin_cx *p;
    struct named_expr exprs[COLUMNS_MAX];
    const char *names[COLUMNS_MAX]; /* of steps */
    uint32_t n, n_steps;
};

static enum err read_steps(struct step_columns *s, uint32_t *at)
{
    const struct ast_list *args = &s->p->call->args;
    struct scope scope = scope_of(s->p->cx);
    scope.where = s->p->call->name;
    for (; *at < args->n && is_step(s->p, args->at[*at]); ++*at) {
        const struct ast *arg = args->at[*at];
        bool named = arg->kind == AST_NAMED;
        const struct ast *condition = named ? arg->left : arg;
        s->names[s->n_steps++] = named                   ? arg->names.at[0]->name
                                 : arg->kind == AST_NAME ? arg->name
                                                         : "";
        s->exprs[s->n].name = "";
        TRY(bind_condition(&scope, condition, &s->exprs[s->n++].expr));
    }
    if (s->n_steps > 0) return OK;
    return FAIL_TAG(diag_at(s->p->cx->b->d, s->p->call->pos), ERR_INVALID, "SEM0219",
                    "the plugin %s wants conditions behind its spans", s->p->call->name);
}

static enum err read_dims(struct step_columns *s, uint32_t at)
{
    struct plugin_cx *p = s->p;
    const struct schema *in = &p->cx->in->schema;
    for (; at < p->call->args.n; at++) {
        const struct ast *arg = p->call->args.at[at];
        uint32_t col;
        TRY(plugin_column(p, arg, &col));
        if (in->cols[col].type == T_DYNAMIC) {
            return FAIL_TAG(diag_at(p->cx->b->d, arg->pos), ERR_INVALID, "SEM0064",
                            "the plugin %s wants a dimension that is not dynamic", p->call->name);
        }
        s->exprs[s->n].name = in->cols[col].name;
        TRY(expr_col(p->cx->b, in, col, &s->exprs[s->n++].expr));
    }
    return OK;
}

static enum err sequence_columns(struct step_columns *s, const char *time, enum type type,
                                 struct op *op)
{
    struct binder *b = s->p->cx->b;
    struct column_list cols;
    struct schema none = {0};
    uint32_t place;
    TRY(columns_from(&cols, b, &none));
    for (uint32_t i = 1 + s->n_steps; i < s->n; i++)
        TRY(columns_append(&cols, s->exprs[i].name, s->exprs[i].expr->type, &place));
    for (uint32_t i = 0; i < s->n_steps; i++) {
        const char *name = arena_fmt(b->a, "%s_%s", s->names[i], time);
        if (name == NULL) return bind_full(b);
        TRY(columns_append(&cols, name, type, &place));
    }
    TRY(columns_append(&cols, "Duration", span_of(type), &place));
    op->schema = (struct schema){.n = cols.n, .cols = cols.cols};
    return OK;
}

/* (time, longest step, longest sequence, conditions ..., dimensions ...) */
enum err plugin_sequences(struct plugin_cx *p, struct op **out)
{
    struct binder *b = p->cx->b;
    const struct schema *in = &p->cx->in->schema;
    struct step_columns *s = arena_new(b->a, struct step_columns);
    struct sequences *plan = arena_new(b->a, struct sequences);
    uint32_t time, at = 3;
    struct op *rows;
    if (s == NULL || plan == NULL) return bind_full(b);
    TRY(plugin_arity(p, 4, COLUMNS_MAX));
    TRY(time_column(p, p->call->args.at[0], &time));
    *s = (struct step_columns){.p = p, .n = 1};
    s->exprs[0].name = "";
    TRY(expr_col(b, in, time, &s->exprs[0].expr));
    TRY(read_steps(s, &at));
    TRY(read_dims(s, at));
    *plan = (struct sequences){.n_steps = s->n_steps, .n_dims = s->n - 1 - s->n_steps};
    TRY(op_project(b, p->cx->in, p->call->pos, s->exprs, s->n, &rows));
    TRY(op_new(b, OP_WHOLE, rows, p->call->pos, out));
    (*out)->whole.kind = WHOLE_SEQUENCES;
    (*out)->whole.more = plan;
    (*out)->whole.n_consts = 2;
    (*out)->whole.consts = arena_array(b->a, struct expr *, 2);
    if ((*out)->whole.consts == NULL) return bind_full(b);
    for (uint32_t i = 0; i < 2; i++) {
        TRY(plugin_const(p, p->call->args.at[1 + i], span_of(in->cols[time].type),
                         &(*out)->whole.consts[i]));
    }
    return sequence_columns(s, in->cols[time].name, in->cols[time].type, *out);
}

/* --- funnels ---------------------------------------------------------------------------------- */

struct funnel_args {
    struct plugin_cx *p;
    uint32_t id, time, state; /* columns */
    struct expr *consts[5];
    struct op *rows; /* id, time, the state as text, the state */
};

static enum err constants(struct funnel_args *f, const uint32_t *places, const enum type *types)
{
    for (uint32_t i = 0; i < 5; i++)
        TRY(plugin_const(f->p, f->p->call->args.at[places[i]], types[i], &f->consts[i]));
    return OK;
}

static enum err columns(struct funnel_args *f, uint32_t state_at)
{
    struct plugin_cx *p = f->p;
    struct binder *b = p->cx->b;
    const struct schema *in = &p->cx->in->schema;
    struct scope s = scope_of(p->cx);
    struct named_expr *exprs = arena_array(b->a, struct named_expr, 4);
    if (exprs == NULL) return bind_full(b);
    TRY(plugin_arity(p, 8, 8));
    TRY(plugin_column(p, p->call->args.at[0], &f->id));
    TRY(time_column(p, p->call->args.at[1], &f->time));
    TRY(plugin_column(p, p->call->args.at[state_at], &f->state));
    const uint32_t cols[] = {f->id, f->time, f->state, f->state};
    for (uint32_t i = 0; i < 4; i++) {
        exprs[i].name = "";
        TRY(expr_col(b, in, cols[i], &exprs[i].expr));
    }
    TRY(expr_cast(&s, p->call->pos, exprs[2].expr, T_STRING, true, &exprs[2].expr));
    return op_project(b, p->cx->in, p->call->pos, exprs, 4, &f->rows);
}

static enum err funnel_op(struct funnel_args *f, enum whole_kind kind, int table, struct op **out)
{
    struct binder *b = f->p->cx->b;
    struct funnel *plan = arena_new(b->a, struct funnel);
    if (plan == NULL) return bind_full(b);
    *plan = (struct funnel){.table = table};
    TRY(op_new(b, OP_WHOLE, f->rows, f->p->call->pos, out));
    (*out)->whole.kind = kind;
    (*out)->whole.more = plan;
    (*out)->whole.n_consts = 5;
    (*out)->whole.consts = f->consts;
    return OK;
}

static enum err funnel_table(struct funnel_args *f, int table, struct op **out)
{
    struct binder *b = f->p->cx->b;
    const struct schema *in = &f->p->cx->in->schema;
    enum type state = in->cols[f->state].type;
    struct column_list cols;
    struct schema none = {0};
    uint32_t place;
    TRY(funnel_op(f, WHOLE_FUNNEL, table, out));
    TRY(columns_from(&cols, b, &none));
    TRY(columns_append(&cols, in->cols[f->time].name, in->cols[f->time].type, &place));
    if (table != FUNNEL_NEXT) TRY(columns_append(&cols, "prev", state, &place));
    if (table != FUNNEL_PREVIOUS) TRY(columns_append(&cols, "next", state, &place));
    TRY(columns_append(&cols, "dcount", T_LONG, &place));
    TRY(columns_append(&cols, "samples", T_DYNAMIC, &place));
    (*out)->schema = (struct schema){.n = cols.n, .cols = cols.cols};
    return OK;
}

/* (id, time, start, end, longest step, bin, state, sequence): three tables at the end of a query,
 * elsewhere the first. */
enum err plugin_funnel(struct plugin_cx *p, struct op **out)
{
    struct funnel_args *f = arena_new(p->cx->b->a, struct funnel_args);
    if (f == NULL) return bind_full(p->cx->b);
    *f = (struct funnel_args){.p = p};
    TRY(columns(f, 6));
    enum type time = p->cx->in->schema.cols[f->time].type, span = span_of(time);
    TRY(constants(f, (const uint32_t[]){2, 3, 4, 5, 7},
                  (const enum type[]){time, time, span, span, T_DYNAMIC}));
    if (!ends_query(p->cx)) return funnel_table(f, FUNNEL_BOTH, out);
    TRY(op_new(p->cx->b, OP_MATERIALIZE, f->rows, p->call->pos, &f->rows));
    TRY(funnel_table(f, FUNNEL_BOTH, out));
    for (int table = FUNNEL_PREVIOUS; table <= FUNNEL_NEXT; table++) {
        struct op *more;
        TRY(funnel_table(f, table, &more));
        TRY(plan_add(p->cx->b, NULL, p->call->pos, more));
    }
    return OK;
}

/* (id, time, start, end, bin, state, sequence, periods) */
enum err plugin_funnel_completion(struct plugin_cx *p, struct op **out)
{
    struct binder *b = p->cx->b;
    struct funnel_args *f = arena_new(b->a, struct funnel_args);
    const struct schema *in = &p->cx->in->schema, none = {0};
    struct column_list cols;
    uint32_t place;
    if (f == NULL) return bind_full(b);
    *f = (struct funnel_args){.p = p};
    TRY(columns(f, 5));
    enum type time = in->cols[f->time].type, span = span_of(time);
    TRY(constants(f, (const uint32_t[]){2, 3, 4, 6, 7},
                  (const enum type[]){time, time, span, T_DYNAMIC, T_DYNAMIC}));
    TRY(funnel_op(f, WHOLE_FUNNEL_COMPLETION, 0, out));
    TRY(columns_from(&cols, b, &none));
    TRY(columns_append(&cols, in->cols[f->time].name, time, &place));
    TRY(columns_append(&cols, in->cols[f->state].name, T_STRING, &place));
    TRY(columns_append(&cols, "Period", span, &place));
    TRY(columns_append(&cols, "dcount", T_LONG, &place));
    (*out)->schema = (struct schema){.n = cols.n, .cols = cols.cols};
    return OK;
}
