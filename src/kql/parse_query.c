/* SPDX-License-Identifier: Apache-2.0 */
/* kql/parse_query.c - pipes, and the operators between their bars */
#include "kql/parse.h"

#include "base/nearest.h"
#include "kql/known.h"

/* --- operators whose grammar is a list or two ------------------------------------------------- */

static enum err parse_ordered(struct parser *p, struct ast **out)
{
    struct ast *n;
    TRY(node_new(p, AST_ORDERED, &n));
    TRY(parse_named(p, &n->left));
    n->descending = true;
    if (accept(p, "asc")) {
        n->descending = false;
        n->ordered = true;
    } else if (accept(p, "desc")) {
        n->ordered = true;
    }
    n->nulls_first = !n->descending;
    if (accept(p, "nulls")) {
        n->nulls_given = true;
        n->nulls_first = accept(p, "first");
        if (!n->nulls_first) TRY(expect(p, "last"));
    }
    *out = n;
    return OK;
}

/* granny-asc sorts 'a2' before 'a10'. */
static enum err parse_reordered(struct parser *p, struct ast **out)
{
    struct ast *n;
    TRY(node_new(p, AST_ORDERED, &n));
    TRY(parse_wildcard(p, &n->left));
    n->granny = at_token(p, "granny") && tok_is(p, tok_ahead(p, 1), "-");
    if (n->granny) p->at += 2;
    n->ordered = at_token(p, "asc") || at_token(p, "desc");
    n->descending = at_token(p, "desc");
    if (n->ordered) p->at++;
    *out = n;
    return OK;
}

/* where x = true: the condition may have a name, as everywhere, and it means nothing. */
static enum err parse_where(struct parser *p, struct ast *o)
{
    TRY(parse_params(p, &o->params));
    TRY(parse_named(p, &o->left));
    if (o->left->kind == AST_NAMED && o->left->names.n == 1) o->left = o->left->left;
    return OK;
}

static enum err parse_named_list(struct parser *p, struct ast *o)
{
    TRY(parse_hints(p, &o->params));
    if (o->op == OPER_SERIALIZE &&
        (at_token(p, "|") || at_token(p, ";") || at_token(p, ")") || tok(p)->kind == TOK_END)) {
        return OK;
    }
    return parse_list(p, parse_named, &o->args);
}

static enum err parse_wildcards(struct parser *p, struct ast *o)
{
    return parse_list(p, parse_wildcard, &o->args);
}

static enum err parse_by_names(struct parser *p, struct ast *o)
{
    return parse_list(p, parse_expr, &o->args);
}

static enum err parse_reorder(struct parser *p, struct ast *o)
{
    return parse_list(p, parse_reordered, &o->args);
}

static enum err parse_summarize(struct parser *p, struct ast *o)
{
    TRY(parse_hints(p, &o->params));
    if (at_token(p, "bin_legacy")) TRY(parse_params(p, &o->params));
    if (!at_token(p, "by")) TRY(parse_list(p, parse_named, &o->args));
    if (accept(p, "by")) TRY(parse_list(p, parse_named, &o->by));
    return OK;
}

static enum err parse_sort(struct parser *p, struct ast *o)
{
    TRY(parse_params(p, &o->params));
    TRY(expect(p, "by"));
    return parse_list(p, parse_ordered, &o->args);
}

static enum err parse_top(struct parser *p, struct ast *o)
{
    TRY(parse_params(p, &o->params));
    TRY(parse_expr(p, &o->left));
    TRY(expect(p, "by"));
    return parse_list(p, parse_ordered, &o->args);
}

static enum err parse_count_rows(struct parser *p, struct ast *o)
{
    return parse_expr(p, &o->left);
}

static enum err parse_sample_distinct(struct parser *p, struct ast *o)
{
    TRY(parse_expr(p, &o->left));
    TRY(expect(p, "of"));
    return parse_expr(p, &o->right);
}

static enum err parse_count(struct parser *p, struct ast *o)
{
    TRY(parse_params(p, &o->params));
    o->name = NULL;
    return accept(p, "as") ? parse_name(p, &o->name) : OK;
}

static enum err parse_as(struct parser *p, struct ast *o)
{
    TRY(parse_params(p, &o->params));
    return parse_name(p, &o->name);
}

static enum err parse_nothing(struct parser *p, struct ast *o)
{
    return parse_params(p, &o->params);
}

static enum err parse_invoke(struct parser *p, struct ast *o)
{
    return parse_unary(p, &o->left);
}

static enum err parse_assert_schema(struct parser *p, struct ast *o)
{
    return parse_schema(p, &o->right);
}

struct oper {
    const char *name;
    enum ast_op op;
    enum err (*parse)(struct parser *p, struct ast *o);
    bool is_source; /* may begin a query */
};

static const struct oper opers[] = {
    {"where", OPER_WHERE, parse_where, true}, /* refused by the binder, with a better sentence */
    {"filter", OPER_WHERE, parse_where, false},
    {"extend", OPER_EXTEND, parse_named_list, false},
    {"project", OPER_PROJECT, parse_named_list, false},
    {"project-away", OPER_AWAY, parse_wildcards, false},
    {"project-keep", OPER_KEEP, parse_wildcards, false},
    {"project-by-names", OPER_BY_NAMES, parse_by_names, false},
    {"project-rename", OPER_RENAME, parse_named_list, false},
    {"project-reorder", OPER_REORDER, parse_reorder, false},
    {"distinct", OPER_DISTINCT, parse_named_list, false},
    {"serialize", OPER_SERIALIZE, parse_named_list, false},
    {"summarize", OPER_SUMMARIZE, parse_summarize, false},
    {"sort", OPER_SORT, parse_sort, false},
    {"order", OPER_SORT, parse_sort, false},
    {"top", OPER_TOP, parse_top, false},
    {"take", OPER_TAKE, parse_count_rows, false},
    {"limit", OPER_TAKE, parse_count_rows, false},
    {"sample", OPER_SAMPLE, parse_count_rows, false},
    {"sample-distinct", OPER_SAMPLE_DISTINCT, parse_sample_distinct, false},
    {"count", OPER_COUNT, parse_count, false},
    {"as", OPER_AS, parse_as, false},
    {"getschema", OPER_GETSCHEMA, parse_nothing, false},
    {"consume", OPER_CONSUME, parse_nothing, false},
    {"union", OPER_UNION, parse_union, true},
    {"macro-expand", OPER_MACRO_EXPAND, parse_macro_expand, true},
    {"print", OPER_PRINT, parse_named_list, true},
    {"range", OPER_RANGE, parse_range, true},
    {"render", OPER_RENDER, parse_render, false},
    {"join", OPER_JOIN, parse_join, false},
    {"lookup", OPER_LOOKUP, parse_join, false},
    {"mv-expand", OPER_MV_EXPAND, parse_mv_expand, false},
    {"mvexpand", OPER_MV_EXPAND, parse_mv_expand, false},
    {"mv-apply", OPER_MV_APPLY, parse_mv_expand, false},
    {"mvapply", OPER_MV_APPLY, parse_mv_expand, false},
    {"parse", OPER_PARSE, parse_parse, false},
    {"parse-where", OPER_PARSE_WHERE, parse_parse, false},
    {"parse-kv", OPER_PARSE_KV, parse_parse_kv, false},
    {"make-series", OPER_MAKE_SERIES, parse_make_series, false},
    {"top-nested", OPER_TOP_NESTED, parse_top_nested, false},
    {"top-hitters", OPER_TOP_HITTERS, parse_top_hitters, false},
    {"search", OPER_SEARCH, parse_search, true},
    {"find", OPER_FIND, parse_find, true},
    {"evaluate", OPER_EVALUATE, parse_evaluate, true},
    {"invoke", OPER_INVOKE, parse_invoke, false},
    {"partition", OPER_PARTITION, parse_partition, false},
    {"fork", OPER_FORK, parse_fork, false},
    {"facet", OPER_FACET, parse_facet, false},
    {"reduce", OPER_REDUCE, parse_reduce, false},
    {"scan", OPER_SCAN, parse_scan, false},
    {"assert-schema", OPER_ASSERT_SCHEMA, parse_assert_schema, false},
    {"make-graph", OPER_MAKE_GRAPH, parse_make_graph, false},
    {"graph-match", OPER_GRAPH_MATCH, parse_graph_match, false},
    {"graph-shortest-paths", OPER_GRAPH_SHORTEST, parse_graph_match, false},
    {"graph-to-table", OPER_GRAPH_TO_TABLE, parse_graph_to_table, false},
    {"graph-mark-components", OPER_GRAPH_COMPONENTS, parse_graph_components, false},
};

const char *operator_at(uint32_t i, enum ast_op *op)
{
    if (i >= sizeof opers / sizeof opers[0]) return NULL;
    *op = opers[i].op;
    return opers[i].name;
}

/* project-away is a name, a minus and a name with nothing between. Returns the number of tokens. */
static uint32_t read_oper_name(const struct parser *p, char *out, size_t max)
{
    size_t len = 0;
    uint32_t n = 0;
    for (;; n += 2) {
        const struct token *t = tok_ahead(p, n);
        if (t->kind != TOK_NAME || (n > 0 && t->spaced) || len + t->len + 2 > max) break;
        memcpy(out + len, p->text.p + t->pos, t->len);
        len += t->len;
        out[len] = '\0';
        const struct token *dash = tok_ahead(p, n + 1);
        const struct token *next = tok_ahead(p, n + 2);
        bool more =
            tok_is(p, dash, "-") && !dash->spaced && next->kind == TOK_NAME && !next->spaced;
        if (!more) return n + 1;
        out[len++] = '-';
    }
    out[len] = '\0';
    return n;
}

static const struct oper *find_oper(const char *name)
{
    for (size_t i = 0; i < sizeof opers / sizeof opers[0]; i++) {
        if (strcmp(opers[i].name, name) == 0) return &opers[i];
    }
    return NULL;
}

static enum err unknown_oper(struct parser *p, const char *name)
{
    diag_at(p->d, tok(p)->pos);
    if (known_operator(name)) {
        return FAIL(p->d, ERR_UNSUPPORTED, "the operator '%s' is not supported", name);
    }
    struct nearest best = nearest_to(name);
    for (size_t i = 0; i < sizeof opers / sizeof opers[0]; i++)
        nearest_try(&best, opers[i].name);
    if (best.name == NULL) return expected(p, "an operator");
    return FAIL_TAG(p->d, ERR_INVALID, "SYN0002", "unknown operator '%s'" NEAREST_FMT, name,
                    NEAREST_ARGS(best.name));
}

enum err parse_operator(struct parser *p, struct ast **out)
{
    char name[64];
    uint32_t used = read_oper_name(p, name, sizeof name);
    if (used == 0) return expected(p, "an operator");
    const struct oper *oper = find_oper(name);
    if (oper == NULL) return unknown_oper(p, name);

    struct ast *o;
    TRY(node_new(p, AST_OPERATOR, &o));
    p->at += used;
    o->op = oper->op;
    o->name = oper->name;
    TRY(oper->parse(p, o));
    o->end = tok(p)->pos;
    *out = o;
    return OK;
}

/* --- pipes ------------------------------------------------------------------------------------ */

bool at_source_operator(const struct parser *p)
{
    char name[64];
    uint32_t used = read_oper_name(p, name, sizeof name);
    const struct oper *oper = used != 0 ? find_oper(name) : NULL;
    if (oper == NULL || !oper->is_source) return false;
    /* range(1, 10) is a function, and a table may be called what it likes. */
    const struct token *next = tok_ahead(p, used);
    if (tok_is(p, next, "(")) return oper->op != OPER_RANGE && oper->op != OPER_WHERE;
    if (next->kind != TOK_PUNCT) return next->kind != TOK_END;
    static const char *const first[] = {"*", "[", "-", "{"};
    for (size_t i = 0; i < sizeof first / sizeof first[0]; i++) {
        if (tok_is(p, next, first[i])) return true;
    }
    return false;
}

static enum err parse_datatable(struct parser *p, struct ast **out)
{
    struct ast *n;
    TRY(node_new(p, AST_DATATABLE, &n));
    p->at++;
    TRY(parse_params(p, &n->params));
    TRY(parse_schema(p, &n->left));
    TRY(expect(p, "["));
    while (!at_token(p, "]")) {
        struct ast *cell;
        TRY(parse_expr(p, &cell));
        TRY(list_add(p, &n->args, cell));
        if (!accept(p, ",")) break;
    }
    TRY(expect(p, "]"));
    *out = n;
    return OK;
}

static enum err parse_external(struct parser *p, struct ast **out)
{
    struct ast *n;
    TRY(node_new(p, AST_EXTERNAL, &n));
    p->at++;
    TRY(parse_schema(p, &n->left));
    TRY(expect(p, "["));
    TRY(parse_list(p, parse_expr, &n->args));
    TRY(expect(p, "]"));
    if (accept(p, "with")) {
        TRY(expect(p, "("));
        TRY(parse_list(p, parse_param, &n->params));
        TRY(expect(p, ")"));
    }
    *out = n;
    return OK;
}

static enum err parse_source(struct parser *p, struct ast **out)
{
    bool called = tok(p)->kind == TOK_NAME && tok_is(p, tok_ahead(p, 1), "(");
    if (called && at_token(p, "datatable")) return parse_datatable(p, out);
    if (called && (at_token(p, "externaldata") || at_token(p, "external_data"))) {
        return parse_external(p, out);
    }
    if (!at_source_operator(p)) return parse_expr(p, out);

    struct ast *pipe, *o;
    TRY(node_new(p, AST_PIPE, &pipe));
    TRY(parse_operator(p, &o));
    TRY(list_add(p, &pipe->args, o));
    *out = pipe;
    return OK;
}

static enum err parse_bars(struct parser *p, struct ast *pipe)
{
    while (accept(p, "|")) {
        struct ast *o;
        TRY(parse_operator(p, &o));
        TRY(list_add(p, &pipe->args, o));
    }
    return OK;
}

enum err parse_pipe(struct parser *p, struct ast **out)
{
    TRY(deeper(p));
    struct ast *source, *pipe;
    TRY(parse_source(p, &source));
    pipe = source;
    if (at_token(p, "|")) {
        if (source->kind != AST_PIPE || source->in_parens) {
            TRY(node_at(p, AST_PIPE, source->pos, &pipe));
            pipe->left = source;
        }
        TRY(parse_bars(p, pipe));
    }
    p->depth--;
    *out = pipe;
    return OK;
}

enum err parse_subquery(struct parser *p, struct ast **out)
{
    const char *close = at_token(p, "{") ? "}" : ")";
    struct ast *pipe, *o;
    TRY(deeper(p));
    TRY(expect(p, *close == '}' ? "{" : "("));
    TRY(node_new(p, AST_PIPE, &pipe));
    TRY(parse_operator(p, &o));
    TRY(list_add(p, &pipe->args, o));
    TRY(parse_bars(p, pipe));
    TRY(expect(p, close));
    p->depth--;
    *out = pipe;
    return OK;
}
