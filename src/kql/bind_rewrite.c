/* SPDX-License-Identifier: Apache-2.0 */
/* kql/bind_rewrite.c - operators that are others in disguise: sample, sample-distinct, top-hitters,
 * search ... */
#include "kql/bind.h"

#include "base/str.h"

#include <ctype.h>

/* --- small trees ------------------------------------------------------------------------------ */

static enum err make_node(struct binder *b, enum ast_kind kind, const struct ast *like,
                          struct ast **out)
{
    struct ast *n = arena_new(b->a, struct ast);
    if (n == NULL) return bind_full(b);
    n->kind = kind;
    n->pos = like->pos;
    n->end = like->end;
    *out = n;
    return OK;
}

static enum err make_args(struct binder *b, struct ast *n, struct ast **args, uint32_t count)
{
    n->args.at = arena_array(b->a, struct ast *, count + 1);
    if (n->args.at == NULL) return bind_full(b);
    n->args.n = count;
    memcpy(n->args.at, args, count * sizeof *args);
    return OK;
}

static enum err make_oper(struct binder *b, const char *name, struct ast *left, struct ast *right,
                          struct ast **out)
{
    struct ast *args[] = {left, right};
    TRY(make_node(b, AST_OPER, left, out));
    (*out)->name = name;
    return make_args(b, *out, args, 2);
}

/* --- sample, consume, assert-schema ----------------------------------------------------------- */

/* The n rows whose dice fell highest. */
enum err bind_sample(struct op_cx *cx, struct op **out)
{
    struct scope s = scope_of(cx);
    struct sort_key *key = arena_new(cx->b->a, struct sort_key);
    if (key == NULL) return bind_full(cx->b);
    TRY(expr_call(&s, cx->ast->pos, "rand", NULL, 0, &key->expr));
    s.row = NULL;
    TRY(op_new(cx->b, OP_TOP, cx->in, cx->ast->pos, out));
    (*out)->top.n_keys = 1;
    (*out)->top.keys = key;
    return bind_long(&s, cx->ast->left, &(*out)->top.count);
}

static enum err take_constant(struct op_cx *cx, struct op *in, const struct ast *count,
                              struct op **out)
{
    struct scope s = {.b = cx->b, .names = *cx->names, .where = cx->ast->name};
    TRY(op_new(cx->b, OP_TAKE, in, cx->ast->pos, out));
    return bind_long(&s, count, &(*out)->take.count);
}

enum err bind_sample_distinct(struct op_cx *cx, struct op **out)
{
    struct ast distinct = {.kind = AST_OPERATOR, .op = OPER_DISTINCT, .name = cx->ast->name};
    struct op_cx inner = *cx;
    struct ast *column = cx->ast->right;
    distinct.pos = cx->ast->pos;
    distinct.args = (struct ast_list){.n = 1, .at = &column};
    inner.ast = &distinct;
    TRY(bind_distinct(&inner, out));
    return take_constant(cx, *out, cx->ast->left, out);
}

enum err bind_consume(struct op_cx *cx, struct op **out)
{
    struct ast none = {.kind = AST_CONST, .pos = cx->ast->pos, .value = {.type = T_LONG}};
    return take_constant(cx, cx->in, &none, out);
}

enum err bind_assert_schema(struct op_cx *cx, struct op **out)
{
    const struct ast_list *want = &cx->ast->right->args;
    const struct schema *got = &cx->in->schema;
    bool same = want->n == got->n;
    for (uint32_t i = 0; same && i < want->n; i++) {
        same = strcmp(want->at[i]->name, got->cols[i].name) == 0 &&
               want->at[i]->type == got->cols[i].type;
    }
    *out = cx->in;
    if (same) return OK;
    return FAIL_TAG(diag_at(cx->b->d, cx->ast->pos), ERR_INVALID, "SEM0001",
                    "the table does not have the schema that 'assert-schema' names");
}

/* --- top-hitters ------------------------------------------------------------------------------ */

/* top-hitters 3 of s by x: summarize approximate_sum_x = sum(x) by s | top 3 by approximate_sum_x,
 * but exact. */
enum err bind_top_hitters(struct op_cx *cx, struct op **out)
{
    struct binder *b = cx->b;
    const struct ast *by = cx->ast->extra, *of = cx->ast->right;
    struct ast *call, *item, *name, *arg = cx->ast->extra;
    const char *what = auto_name(b, by != NULL ? by : of->kind == AST_NAMED ? of->left : of);
    TRY(make_node(b, AST_CALL, cx->ast, &call));
    TRY(make_node(b, AST_NAMED, cx->ast, &item));
    TRY(make_node(b, AST_NAME, cx->ast, &name));
    call->name = by != NULL ? "sum" : "count";
    if (by != NULL) TRY(make_args(b, call, &arg, 1));
    name->name = arena_fmt(b->a, "approximate_%s_%s", call->name, what);
    if (name->name == NULL) return bind_full(b);
    item->names = (struct ast_list){.n = 1, .at = &name};
    item->left = call;

    struct ast *key = cx->ast->right;
    struct ast summarize = {.kind = AST_OPERATOR,
                            .op = OPER_SUMMARIZE,
                            .name = cx->ast->name,
                            .pos = cx->ast->pos,
                            .args = {.n = 1, .at = &item},
                            .by = {.n = 1, .at = &key}};
    struct op_cx inner = *cx;
    struct op *groups;
    inner.ast = &summarize;
    TRY(bind_summarize(&inner, &groups));

    struct scope s = {.b = b, .names = *cx->names, .where = cx->ast->name};
    struct sort_key *order = arena_new(b->a, struct sort_key);
    if (order == NULL) return bind_full(b);
    order->descending = true;
    TRY(expr_col(b, &groups->schema, groups->schema.n - 1, &order->expr));
    TRY(op_new(b, OP_TOP, groups, cx->ast->pos, out));
    (*out)->top.n_keys = 1;
    (*out)->top.keys = order;
    return bind_long(&s, cx->ast->left, &(*out)->top.count);
}

/* --- search ----------------------------------------------------------------------------------- */

/* "err*" looks for a term's beginning, "*err" for its end, "*err*" anywhere; without stars for a
 * term. */
static const char *term_oper(struct bytes *text, bool cs)
{
    bool front = text->len > 0 && text->p[0] == '*';
    if (front) *text = bytes_of(text->p + 1, text->len - 1);
    bool back = text->len > 0 && text->p[text->len - 1] == '*';
    if (back) text->len--;
    if (front && back) return cs ? "op contains_cs" : "op contains";
    if (front) return cs ? "op hassuffix_cs" : "op hassuffix";
    if (back) return cs ? "op hasprefix_cs" : "op hasprefix";
    return cs ? "op has_cs" : "op has";
}

/* "la*pc" in the middle: a regular expression, \bla.*pc\b, from the beginning of a term to the
 * end of one; a star at an end takes its \b away. */
static enum err star_pattern(struct binder *b, struct bytes text, bool cs, struct bytes *out)
{
    CLEANUP_BUF struct buf re = {0};
    if (!cs) buf_str(&re, "(?i)");
    if (text.p[0] != '*') buf_str(&re, "\\b");
    for (size_t i = 0; i < text.len; i++) {
        bool end = i == 0 || i + 1 == text.len;
        bool plain = text.p[i] >= 128 || isalnum(text.p[i]);
        if (text.p[i] == '*' && end) continue;
        if (text.p[i] == '*') {
            buf_str(&re, ".*");
            continue;
        }
        if (!plain) buf_u8(&re, '\\');
        buf_u8(&re, text.p[i]);
    }
    if (text.p[text.len - 1] != '*') buf_str(&re, "\\b");
    TRY(buf_check(&re, b->d));
    *out = arena_bytes(b->a, buf_view(&re));
    return out->p != NULL ? OK : bind_full(b);
}

static bool has_inner_star(struct bytes text)
{
    return text.len > 2 && memchr(text.p + 1, '*', text.len - 2) != NULL;
}

static enum err term(struct binder *b, struct ast *column, const struct ast *text, bool cs,
                     struct ast **out)
{
    struct ast *word;
    TRY(make_node(b, AST_CONST, text, &word));
    word->value = text->value;
    if (column == NULL) TRY(make_node(b, AST_STAR, text, &column));
    if (has_inner_star(text->value.s)) {
        TRY(star_pattern(b, text->value.s, cs, &word->value.s));
        return make_oper(b, "op matches regex", column, word, out);
    }
    return make_oper(b, term_oper(&word->value.s, cs), column, word, out);
}

static bool is_text(const struct ast *n)
{
    return n->kind == AST_CONST && n->value.type == T_STRING;
}

/* Texts that stand for themselves become conditions. Depth is that of the tree, which the parser
 * limits. */
enum err search_condition(struct binder *b, struct ast *n, bool cs, struct ast **out)
{
    if (is_text(n)) return term(b, NULL, n, cs, out);
    *out = n;
    bool logic =
        n->kind == AST_OPER && (strcmp(n->name, "op and") == 0 || strcmp(n->name, "op or") == 0);
    bool negation = n->kind == AST_CALL && strcmp(n->name, "not") == 0;
    if (n->kind == AST_OPER && strcmp(n->name, "op :") == 0 && is_text(n->args.at[1])) {
        return term(b, n->args.at[0], n->args.at[1], cs, out);
    }
    if (!logic && !negation) return OK;
    TRY(make_node(b, n->kind, n, out));
    (*out)->name = n->name;
    TRY(make_args(b, *out, n->args.at, n->args.n));
    for (uint32_t i = 0; i < n->args.n; i++) {
        TRY(search_condition(b, n->args.at[i], cs, &(*out)->args.at[i]));
    }
    return OK;
}

static enum err search_tables(struct op_cx *cx, const struct ast *condition, struct op **out)
{
    struct binder *b = cx->b;
    struct ast *source, *all;
    struct ast_list tables = cx->ast->args;
    TRY(make_node(b, AST_NAME, cx->ast, &source));
    source->name = "$table";
    TRY(make_node(b, AST_WILDCARD, cx->ast, &all));
    all->name = "*";
    if (cx->in == NULL && tables.n == 0) tables = (struct ast_list){.n = 1, .at = &all};
    if (cx->in != NULL && tables.n > 0) {
        return FAIL_TAG(diag_at(b->d, cx->ast->pos), ERR_INVALID, "SYN0002",
                        "'search' takes either the table before it or those in (...)");
    }
    struct ast param = {
        .kind = AST_PARAM, .name = "withsource", .left = source, .pos = cx->ast->pos};
    struct ast *params[] = {&param};
    struct ast legs = {.kind = AST_OPERATOR,
                       .op = OPER_UNION,
                       .name = "search",
                       .pos = cx->ast->pos,
                       .params = {.n = 1, .at = params},
                       .args = tables};
    struct op_cx inner = *cx;
    inner.ast = &legs;
    return bind_union_where(&inner, condition, out);
}

/* Texts alone are looked for in each table by itself; a column may be in one table and not in the
 * next. */
static bool names_columns(const struct ast *n)
{
    if (n->kind == AST_NAME) return true;
    for (uint32_t i = 0; i < n->args.n; i++) {
        if (names_columns(n->args.at[i])) return true;
    }
    return false;
}

enum err bind_search(struct op_cx *cx, struct op **out)
{
    static const char *const allowed[] = {"kind", NULL};
    struct op *in;
    struct ast *condition;
    TRY(check_params(cx, allowed));
    const char *kind = param_word(cx->ast, "kind");
    bool cs = kind != NULL && strcmp(kind, "case_sensitive") == 0;
    if (cx->ast->left->kind == AST_STAR) return search_tables(cx, NULL, out);
    TRY(search_condition(cx->b, cx->ast->left, cs, &condition));
    if (!names_columns(condition)) return search_tables(cx, condition, out);

    TRY(search_tables(cx, NULL, &in));
    struct scope s = {.b = cx->b,
                      .names = *cx->names,
                      .row = &in->schema,
                      .base = &in->schema,
                      .where = cx->ast->name};
    TRY(op_new(cx->b, OP_FILTER, in, cx->ast->pos, out));
    return bind_condition(&s, condition, &(*out)->filter.condition);
}
