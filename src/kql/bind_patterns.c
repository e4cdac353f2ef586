/* SPDX-License-Identifier: Apache-2.0 */
/* kql/bind_patterns.c - plugins that give patterns: basket, autocluster, diffpatterns and its text */
#include "kql/bind_evaluate.h"

#include "base/str.h"

enum { CONST_SHARE, CONST_COUNT, CONST_A, CONST_B, CONST_STARS };

struct miner_args {
    struct plugin_cx *p;
    const struct schema *in;
    struct pattern_columns *plan;
    struct expr **consts;
    uint32_t n_consts;
    uint32_t at; /* the argument under way */
};

/* The argument under way; NULL: it is not given, or as '~' left to its default. */
static const struct ast *next_arg(struct miner_args *m)
{
    const struct ast_list *args = &m->p->call->args;
    if (m->at >= args->n) return NULL;
    const struct ast *n = args->at[m->at++];
    bool text = n->kind == AST_CONST && n->value.type == T_STRING && !n->value.is_null;
    return text && bytes_eq(n->value.s, BYTES("~")) ? NULL : n;
}

static enum err number_arg(struct miner_args *m, uint32_t place, struct value otherwise)
{
    struct binder *b = m->p->cx->b;
    struct scope s = {.b = b, .names = *m->p->cx->names, .where = m->p->call->name};
    const struct ast *n = next_arg(m);
    if (n == NULL) return expr_const(b, &otherwise, &m->consts[place]);
    TRY(bind_const(&s, n, &m->consts[place]));
    enum type given = m->consts[place]->type;
    bool fine = (TM(given) & TM_INTS) != 0 || (otherwise.type == T_REAL && given == T_REAL);
    if (!fine) {
        return FAIL_TAG(diag_at(b->d, n->pos), ERR_INVALID, "SEM0064",
                        "the plugin %s wants a %s here, not a %s", m->p->call->name,
                        type_name(otherwise.type), type_name(given));
    }
    return expr_cast(&s, n->pos, m->consts[place], otherwise.type, true, &m->consts[place]);
}

static enum err weight_arg(struct miner_args *m)
{
    const struct ast *n = next_arg(m);
    m->plan->weight = PATTERN_NONE;
    if (n == NULL) return OK;
    TRY(plugin_column(m->p, n, &m->plan->weight));
    enum type type = m->in->cols[m->plan->weight].type;
    if (type == T_REAL || (TM(type) & TM_INTS) != 0) return OK;
    return FAIL_TAG(diag_at(m->p->cx->b->d, n->pos), ERR_INVALID, "SEM0064",
                    "the plugin %s wants weights that are int, long or real, not %s",
                    m->p->call->name, type_name(type));
}

/* What is left are stars: each for the columns of its type. */
static enum err star_args(struct miner_args *m)
{
    struct binder *b = m->p->cx->b;
    struct scope s = {.b = b, .names = *m->p->cx->names, .where = m->p->call->name};
    for (uint32_t i = 0; i < m->in->n; i++)
        m->plan->stars[i] = PATTERN_NONE;
    while (m->at < m->p->call->args.n) {
        const struct ast *n = next_arg(m);
        if (n == NULL) continue;
        struct expr *star;
        TRY(bind_const(&s, n, &star));
        for (uint32_t i = 0; i < m->in->n; i++) {
            if (m->in->cols[i].type == star->type) m->plan->stars[i] = m->n_consts;
        }
        m->consts[m->n_consts++] = star;
    }
    return OK;
}

/* The columns of the answer: `first`, then the input's, whose names make room. */
static enum err answer_schema(struct miner_args *m, const struct column *first, uint32_t n_first,
                              struct schema *out)
{
    struct column_list cols;
    struct schema none = {0};
    uint32_t place;
    TRY(columns_from(&cols, m->p->cx->b, &none));
    for (uint32_t i = 0; i < n_first; i++)
        TRY(columns_append(&cols, first[i].name, first[i].type, &place));
    for (uint32_t i = 0; i < m->in->n; i++)
        TRY(columns_append(&cols, m->in->cols[i].name, m->in->cols[i].type, &place));
    *out = (struct schema){.n = cols.n, .cols = cols.cols};
    return OK;
}

static enum err open_args(struct plugin_cx *p, uint32_t min, struct miner_args *m)
{
    struct binder *b = p->cx->b;
    *m = (struct miner_args){.p = p, .in = &p->cx->in->schema, .n_consts = CONST_STARS};
    TRY(plugin_arity(p, min, 64));
    m->plan = arena_new(b->a, struct pattern_columns);
    m->consts = arena_array(b->a, struct expr *, CONST_STARS + p->call->args.n);
    if (m->plan == NULL || m->consts == NULL) return bind_full(b);
    m->plan->n = m->in->n;
    m->plan->weight = m->plan->split = m->plan->split_text = PATTERN_NONE;
    m->plan->stars = arena_array(b->a, uint32_t, m->in->n + 1);
    if (m->plan->stars == NULL) return bind_full(b);
    struct value none = {.type = T_STRING};
    for (uint32_t i = 0; i < CONST_STARS; i++)
        TRY(expr_const(b, &none, &m->consts[i]));
    return OK;
}

static enum err make_op(struct miner_args *m, enum whole_kind kind, struct op *in, struct op **out)
{
    TRY(op_new(m->p->cx->b, OP_WHOLE, in, m->p->call->pos, out));
    (*out)->whole.kind = kind;
    (*out)->whole.more = m->plan;
    (*out)->whole.consts = m->consts;
    (*out)->whole.n_consts = m->n_consts;
    return OK;
}

static enum err one_table(struct plugin_cx *p, enum whole_kind kind, struct value share,
                          struct value count, struct op **out)
{
    static const struct column first[] = {
        {"SegmentId", T_LONG}, {"Count", T_LONG}, {"Percent", T_REAL}};
    struct miner_args m;
    TRY(open_args(p, 0, &m));
    TRY(number_arg(&m, CONST_SHARE, share));
    TRY(weight_arg(&m));
    TRY(number_arg(&m, CONST_COUNT, count));
    TRY(star_args(&m));
    TRY(make_op(&m, kind, p->cx->in, out));
    return answer_schema(&m, first, 3, &(*out)->schema);
}

/* (threshold, weights, dimensions, stars ...) */
enum err plugin_basket(struct plugin_cx *p, struct op **out)
{
    return one_table(p, WHOLE_BASKET, (struct value){.type = T_REAL, .r = 0.05},
                     (struct value){.type = T_LONG, .i = 5}, out);
}

/* (weight of size, weights, seeds, stars ...) */
enum err plugin_autocluster(struct plugin_cx *p, struct op **out)
{
    return one_table(p, WHOLE_AUTOCLUSTER, (struct value){.type = T_REAL, .r = 0.5},
                     (struct value){.type = T_LONG, .i = 25}, out);
}

/* The input's columns, and behind them the split's as text. */
static enum err with_split_text(struct miner_args *m, struct op **out)
{
    struct binder *b = m->p->cx->b;
    struct scope s = scope_of(m->p->cx);
    uint32_t n = m->in->n;
    struct named_expr *exprs = arena_array(b->a, struct named_expr, n + 1);
    if (exprs == NULL) return bind_full(b);
    for (uint32_t i = 0; i < n; i++) {
        exprs[i].name = m->in->cols[i].name;
        TRY(expr_col(b, m->in, i, &exprs[i].expr));
    }
    exprs[n].name = "";
    TRY(expr_cast(&s, m->p->call->pos, exprs[m->plan->split].expr, T_STRING, true, &exprs[n].expr));
    m->plan->split_text = n;
    return op_project(b, m->p->cx->in, m->p->call->pos, exprs, n + 1, out);
}

/* (split, value of A, value of B, weights, threshold, dimensions, stars ...) */
enum err plugin_diffpatterns(struct plugin_cx *p, struct op **out)
{
    static const struct column first[] = {{"SegmentId", T_LONG}, {"CountA", T_LONG},
                                          {"CountB", T_LONG},    {"PercentA", T_REAL},
                                          {"PercentB", T_REAL},  {"PercentDiffAB", T_REAL}};
    struct miner_args m;
    struct op *in;
    TRY(open_args(p, 3, &m));
    TRY(plugin_column(p, p->call->args.at[0], &m.plan->split));
    for (uint32_t i = 0; i < 2; i++) {
        const char *text;
        TRY(plugin_text(p, p->call->args.at[1 + i], &text));
        TRY(expr_string(p->cx->b, text, &m.consts[CONST_A + i]));
    }
    m.at = 3;
    TRY(weight_arg(&m));
    TRY(number_arg(&m, CONST_SHARE, (struct value){.type = T_REAL, .r = 0.05}));
    TRY(number_arg(&m, CONST_COUNT, (struct value){.type = T_LONG, .i = INT32_MAX}));
    TRY(star_args(&m));
    TRY(with_split_text(&m, &in));
    TRY(make_op(&m, WHOLE_DIFFPATTERNS, in, out));
    return answer_schema(&m, first, 6, &(*out)->schema);
}

/* (text, condition, least words, threshold, words at most): constants threshold, most, least. */
enum err plugin_text_patterns(struct plugin_cx *p, struct op **out)
{
    static const struct column cols[] = {{"Count_of_True", T_LONG},
                                         {"Count_of_False", T_LONG},
                                         {"Percent_of_True", T_REAL},
                                         {"Percent_of_False", T_REAL},
                                         {"Pattern", T_STRING}};
    struct binder *b = p->cx->b;
    struct scope s = scope_of(p->cx);
    struct named_expr *exprs = arena_array(b->a, struct named_expr, 2);
    struct miner_args m;
    struct op *in;
    uint32_t text;
    if (exprs == NULL) return bind_full(b);
    TRY(plugin_arity(p, 2, 5));
    TRY(open_args(p, 2, &m));
    TRY(plugin_column(p, p->call->args.at[0], &text));
    if (m.in->cols[text].type != T_STRING) {
        return FAIL_TAG(diag_at(b->d, p->call->args.at[0]->pos), ERR_INVALID, "SEM0064",
                        "the plugin %s wants a column of strings, not of %s", p->call->name,
                        type_name(m.in->cols[text].type));
    }
    exprs[0].name = exprs[1].name = "";
    TRY(expr_col(b, m.in, text, &exprs[0].expr));
    s.where = p->call->name;
    TRY(bind_condition(&s, p->call->args.at[1], &exprs[1].expr));
    m.at = 2;
    TRY(number_arg(&m, CONST_A, (struct value){.type = T_LONG, .i = 1}));
    TRY(number_arg(&m, CONST_SHARE, (struct value){.type = T_REAL, .r = 0.05}));
    TRY(number_arg(&m, CONST_COUNT, (struct value){.type = T_LONG, .i = 20}));
    TRY(op_project(b, p->cx->in, p->call->pos, exprs, 2, &in));
    TRY(make_op(&m, WHOLE_TEXT_PATTERNS, in, out));
    (*out)->schema = (struct schema){.n = 5, .cols = cols};
    return OK;
}
