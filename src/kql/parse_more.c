/* SPDX-License-Identifier: Apache-2.0 */
/* kql/parse_more.c - operators with a grammar of their own */
#include "kql/parse.h"

/* --- union, range, render --------------------------------------------------------------------- */

/* T, T*, (T | where x), f(x), database("d").T, ["a table"] */
enum err parse_table(struct parser *p, struct ast **out)
{
    const struct token *next = tok_ahead(p, 1);
    bool star = tok_is(p, next, "*") && !next->spaced;
    if ((tok(p)->kind == TOK_NAME && star) || at_token(p, "*")) return parse_wildcard(p, out);
    return parse_unary(p, out);
}

enum err parse_union(struct parser *p, struct ast *o)
{
    TRY(parse_params(p, &o->params));
    return parse_list(p, parse_table, &o->args);
}

enum err parse_range(struct parser *p, struct ast *o)
{
    TRY(parse_name(p, &o->name));
    TRY(expect(p, "from"));
    TRY(parse_expr(p, &o->left));
    TRY(expect(p, "to"));
    TRY(parse_expr(p, &o->right));
    TRY(expect(p, "step"));
    return parse_expr(p, &o->extra);
}

/* title="x", ycolumns=a, b: the value of a property may be a list of names. */
static enum err parse_property(struct parser *p, struct ast *o)
{
    struct ast *n, *more;
    TRY(node_new(p, AST_PARAM, &n));
    TRY(parse_name(p, &n->name));
    TRY(expect(p, "="));
    TRY(parse_unary(p, &n->left));
    while (at_token(p, ",") && !tok_is(p, tok_ahead(p, 2), "=")) {
        p->at++;
        TRY(parse_unary(p, &more));
        TRY(list_add(p, &n->args, more));
    }
    return list_add(p, &o->params, n);
}

enum err parse_render(struct parser *p, struct ast *o)
{
    o->name = NULL;
    if (tok(p)->kind != TOK_NAME && tok(p)->kind != TOK_STRING)
        return expected(p, "a kind of chart");
    TRY(parse_name(p, &o->name));
    if (accept(p, "with")) {
        TRY(expect(p, "("));
        while (!at_token(p, ")")) {
            TRY(parse_property(p, o));
            (void)accept(p, ",");
        }
        return expect(p, ")");
    }
    while (tok(p)->kind == TOK_NAME && tok_is(p, tok_ahead(p, 1), "=")) {
        TRY(parse_property(p, o));
        (void)accept(p, ",");
    }
    if (tok(p)->kind == TOK_NAME &&
        !at_token(p, "by")) { /* the older `render barchart kind` words */
        const char *word;
        TRY(parse_name(p, &word));
    }
    return OK;
}

/* --- join, lookup, mv-expand, mv-apply -------------------------------------------------------- */

enum err parse_join(struct parser *p, struct ast *o)
{
    TRY(parse_params(p, &o->params));
    TRY(parse_unary(p, &o->left));
    TRY(parse_params(p, &o->params));
    if (accept(p, "on")) return parse_list(p, parse_expr, &o->args);
    if (accept(p, "where")) {
        struct ast *condition;
        TRY(parse_expr(p, &condition));
        return list_add(p, &o->args, condition);
    }
    return expected(p, "'on' and the columns to join by");
}

static enum err parse_expanded(struct parser *p, struct ast **out)
{
    struct ast *n;
    TRY(parse_named(p, out));
    if (!accept(p, "to")) return OK;
    TRY(node_at(p, AST_TYPED, (*out)->pos, &n));
    n->left = *out;
    TRY(expect(p, "typeof"));
    TRY(expect(p, "("));
    TRY(parse_type(p, &n->type));
    TRY(expect(p, ")"));
    *out = n;
    return OK;
}

enum err parse_mv_expand(struct parser *p, struct ast *o)
{
    TRY(parse_params(p, &o->params));
    TRY(parse_list(p, parse_expanded, &o->args));
    if (accept(p, "limit")) TRY(parse_unary(p, &o->extra));
    if (o->op == OPER_MV_EXPAND) return OK;
    if (accept(p, "id")) {
        struct ast *ignored;
        TRY(parse_unary(p, &ignored));
    }
    TRY(expect(p, "on"));
    return parse_subquery(p, &o->right);
}

/* --- parse, parse-kv -------------------------------------------------------------------------- */

/* A star, a text, or a column with or without its type. */
static enum err parse_pattern_item(struct parser *p, struct ast *o)
{
    struct ast *n;
    if (at_token(p, "*")) {
        TRY(node_new(p, AST_STAR, &n));
        p->at++;
    } else if (tok(p)->kind == TOK_STRING) {
        TRY(parse_string(p, &n));
    } else if (tok_is(p, tok_ahead(p, at_token(p, "[") ? 3 : 1), ":")) {
        TRY(parse_typed_name(p, &n));
    } else {
        TRY(parse_name_node(p, &n));
    }
    return list_add(p, &o->args, n);
}

enum err parse_parse(struct parser *p, struct ast *o)
{
    TRY(parse_params(p, &o->params));
    TRY(parse_expr(p, &o->left));
    TRY(expect(p, "with"));
    do {
        TRY(parse_pattern_item(p, o));
    } while (tok(p)->kind == TOK_STRING || tok(p)->kind == TOK_NAME || at_token(p, "*") ||
             at_token(p, "["));
    return OK;
}

enum err parse_parse_kv(struct parser *p, struct ast *o)
{
    TRY(parse_expr(p, &o->left));
    TRY(expect(p, "as"));
    TRY(parse_schema(p, &o->right));
    if (!accept(p, "with")) return OK;
    TRY(expect(p, "("));
    TRY(parse_list(p, parse_param, &o->params));
    return expect(p, ")");
}

/* --- make-series ------------------------------------------------------------------------------ */

static enum err parse_series(struct parser *p, struct ast **out)
{
    struct ast *n;
    TRY(node_new(p, AST_PARAM, &n));
    TRY(parse_named(p, &n->left));
    if (accept(p, "default")) {
        TRY(expect(p, "="));
        TRY(parse_unary(p, &n->right));
    }
    *out = n;
    return OK;
}

static enum err parse_optional(struct parser *p, const char *word, struct ast_list *out)
{
    struct ast *n = NULL;
    if (accept(p, word)) TRY(parse_expr(p, &n));
    return list_add(p, out, n);
}

/* in range(from, to, step): both ends included, unlike from ... to ... step. */
static enum err parse_series_range(struct parser *p, struct ast *o)
{
    struct ast *range;
    p->at++;
    if (!at_token(p, "range")) return expected(p, "'range'");
    TRY(parse_unary(p, &range));
    o->extra->is_open = true;
    for (uint32_t i = 0; i < range->args.n; i++) {
        TRY(list_add(p, &o->extra->args, range->args.at[i]));
    }
    return range->args.n == 3 ? OK : expected(p, "range(from, to, step)");
}

enum err parse_make_series(struct parser *p, struct ast *o)
{
    TRY(parse_params(p, &o->params));
    TRY(parse_list(p, parse_series, &o->args));
    TRY(expect(p, "on"));
    p->no_in = true;
    TRY(parse_named(p, &o->left));
    p->no_in = false;
    TRY(node_new(p, AST_LIST, &o->extra));
    if (at_token(p, "in")) {
        TRY(parse_series_range(p, o));
    } else {
        TRY(parse_optional(p, "from", &o->extra->args));
        TRY(parse_optional(p, "to", &o->extra->args));
        if (!at_token(p, "step")) return expected(p, "'step'");
        TRY(parse_optional(p, "step", &o->extra->args));
    }
    if (accept(p, "by")) TRY(parse_list(p, parse_named, &o->by));
    return OK;
}

/* --- top-nested, top-hitters ------------------------------------------------------------------ */

static enum err parse_top_clause(struct parser *p, struct ast *o)
{
    struct ast *n, *by;
    TRY(node_new(p, AST_CLAUSE, &n));
    if (!at_token(p, "of")) TRY(parse_expr(p, &n->left));
    TRY(expect(p, "of"));
    TRY(parse_named(p, &n->right));
    if (accept(p, "with")) {
        struct ast *others;
        TRY(expect(p, "others"));
        TRY(expect(p, "="));
        TRY(parse_expr(p, &others));
        TRY(list_add(p, &n->args, others));
    }
    TRY(expect(p, "by"));
    TRY(node_new(p, AST_ORDERED, &by));
    TRY(parse_named(p, &by->left));
    by->descending = !accept(p, "asc");
    if (by->descending) (void)accept(p, "desc");
    n->extra = by;
    return list_add(p, &o->args, n);
}

enum err parse_top_nested(struct parser *p, struct ast *o)
{
    TRY(parse_top_clause(p, o));
    while (accept(p, ",")) {
        static const char *const words[] = {"top", "-", "nested"};
        for (size_t i = 0; i < 3; i++)
            TRY(expect(p, words[i]));
        TRY(parse_top_clause(p, o));
    }
    return OK;
}

enum err parse_top_hitters(struct parser *p, struct ast *o)
{
    TRY(parse_expr(p, &o->left));
    TRY(expect(p, "of"));
    TRY(parse_named(p, &o->right));
    return accept(p, "by") ? parse_expr(p, &o->extra) : OK;
}

/* --- search, find ----------------------------------------------------------------------------- */

static enum err parse_tables_in(struct parser *p, struct ast *o)
{
    if (!accept(p, "in")) return OK;
    TRY(expect(p, "("));
    TRY(parse_list(p, parse_table, &o->args));
    return expect(p, ")");
}

enum err parse_search(struct parser *p, struct ast *o)
{
    TRY(parse_params(p, &o->params));
    TRY(parse_tables_in(p, o));
    return parse_expr(p, &o->left);
}

static enum err parse_find_column(struct parser *p, struct ast **out)
{
    if (tok(p)->kind == TOK_NAME && tok_is(p, tok_ahead(p, 1), ":"))
        return parse_typed_name(p, out);
    return parse_expr(p, out);
}

enum err parse_find(struct parser *p, struct ast *o)
{
    TRY(parse_params(p, &o->params));
    TRY(parse_tables_in(p, o));
    TRY(parse_params(p, &o->params));
    (void)accept(p, "where");
    TRY(parse_expr(p, &o->left));
    if (!accept(p, "project")) return OK;
    if (!accept(p, "-")) return parse_list(p, parse_find_column, &o->by);
    return accept(p, "smart") ? OK : expected(p, "'project-smart'"); /* what it does anyway */
}

/* --- evaluate, partition, fork, facet, reduce ------------------------------------------------- */

enum err parse_evaluate(struct parser *p, struct ast *o)
{
    TRY(parse_params(p, &o->params));
    TRY(parse_unary(p, &o->left));
    return accept(p, ":") ? parse_schema(p, &o->right) : OK;
}

/* { ... } may be a whole query of its own, ( ... ) is a chain of operators. */
enum err parse_partition(struct parser *p, struct ast *o)
{
    TRY(parse_params(p, &o->params));
    TRY(expect(p, "by"));
    TRY(parse_name_node(p, &o->left));
    TRY(parse_params(p, &o->params));
    if (at_token(p, "(")) return parse_subquery(p, &o->right);
    TRY(expect(p, "{"));
    TRY(parse_body(p, "}", &o->body));
    return expect(p, "}");
}

static enum err parse_prong(struct parser *p, struct ast *o)
{
    struct ast *n, *name;
    TRY(node_new(p, AST_NAMED, &n));
    if (!at_token(p, "(")) {
        TRY(parse_name_node(p, &name));
        TRY(list_add(p, &n->names, name));
        TRY(expect(p, "="));
    }
    TRY(parse_subquery(p, &n->left));
    return list_add(p, &o->args, n);
}

enum err parse_fork(struct parser *p, struct ast *o)
{
    do {
        TRY(parse_prong(p, o));
    } while (at_token(p, "(") || (tok(p)->kind == TOK_NAME && tok_is(p, tok_ahead(p, 1), "=")));
    return OK;
}

enum err parse_facet(struct parser *p, struct ast *o)
{
    TRY(expect(p, "by"));
    TRY(parse_list(p, parse_expr, &o->args));
    return accept(p, "with") ? parse_subquery(p, &o->right) : OK;
}

enum err parse_reduce(struct parser *p, struct ast *o)
{
    TRY(parse_params(p, &o->params));
    TRY(expect(p, "by"));
    TRY(parse_expr(p, &o->left));
    return accept(p, "with") ? parse_list(p, parse_param, &o->params) : OK;
}

/* --- scan ------------------------------------------------------------------------------------- */

static enum err parse_declared(struct parser *p, struct ast **out)
{
    TRY(parse_typed_name(p, out));
    return accept(p, "=") ? parse_expr(p, &(*out)->left) : OK;
}

/* step name [optional] [output=last]: condition [=> a = expr, ...]; */
static enum err parse_step(struct parser *p, struct ast *o)
{
    struct ast *n;
    TRY(expect(p, "step"));
    TRY(node_new(p, AST_CLAUSE, &n));
    TRY(parse_name(p, &n->name));
    n->is_open = accept(p, "optional");
    if (at_token(p, "output")) {
        struct ast *param;
        TRY(parse_param(p, &param));
        TRY(list_add(p, &n->params, param));
    }
    TRY(expect(p, ":"));
    TRY(parse_expr(p, &n->left));
    if (accept(p, "=>")) TRY(parse_list(p, parse_named, &n->args));
    TRY(expect(p, ";"));
    return list_add(p, &o->args, n);
}

enum err parse_scan(struct parser *p, struct ast *o)
{
    TRY(parse_params(p, &o->params));
    if (at_token(p, "order") || at_token(p, "partition")) {
        return FAIL(
            diag_at(p->d, tok(p)->pos), ERR_UNSUPPORTED,
            "'%s by' in 'scan' is not supported: it is not documented; sort or partition the "
            "rows before it",
            at_token(p, "order") ? "order" : "partition");
    }
    if (accept(p, "declare")) {
        TRY(expect(p, "("));
        TRY(parse_list(p, parse_declared, &o->by));
        TRY(expect(p, ")"));
    }
    TRY(expect(p, "with"));
    TRY(expect(p, "("));
    while (!at_token(p, ")"))
        TRY(parse_step(p, o));
    return expect(p, ")");
}
