/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kql/parse.h - tokens to tree; what the parser's files share
 *
 * Recursive descent with precedence climbing. Nesting is counted: KQL_DEPTH_MAX. Every failure has
 * the offset of the token at which it was noticed, tag SYN0002.
 */
#pragma once

#include "kql/ast.h"
#include "kql/lex.h"

/* The whole query. */
enum err kql_parse(struct arena *a, struct bytes text, struct ast_body **out, struct diag *d);
/* The whole text is one literal; a number may have a sign. */
enum err kql_parse_literal(struct arena *a, struct bytes text, struct ast **out, struct diag *d);

/* A function by itself: (a:long) { ... }. */
enum err kql_parse_function(struct arena *a, struct bytes text, struct ast **out, struct diag *d);

struct parser {
    struct arena *a;
    struct bytes text;
    const struct token *tokens;
    uint32_t at, n;
    uint32_t depth;
    bool no_in; /* `on t in range(...)`: the `in` is make-series' own */
    struct diag *d;
};

/* --- parse_name.c: tokens, nodes, lists, names ------------------------------------------------ */

const struct token *tok(const struct parser *p);
const struct token *tok_ahead(const struct parser *p, uint32_t n);
bool tok_is(const struct parser *p, const struct token *t, const char *punct_or_word);
bool at_token(const struct parser *p, const char *punct_or_word);
bool accept(struct parser *p, const char *punct_or_word);
enum err expect(struct parser *p, const char *punct_or_word);
void say_expected(struct parser *p, const char *what);
static inline enum err expected(struct parser *p, const char *what) /* ..., but found ... */
{
    say_expected(p, what);
    return ERR_INVALID;
}
/* parse_guess.c: what was probably meant by the token where `what` is expected, or by the word before
 * an equals sign that no operator takes; NULL: nobody knows. */
const char *guess_at(struct parser *p, const char *what);
const char *guess_param(struct parser *p, const char **param);
extern const char *const param_names[]; /* ends in NULL */
struct bytes tok_text(const struct parser *p, const struct token *t);
const char *tok_str(struct parser *p, const struct token *t); /* NULL over the limit */

enum err node_new(struct parser *p, enum ast_kind kind, struct ast **out);
enum err node_at(struct parser *p, enum ast_kind kind, uint32_t pos, struct ast **out);
enum err list_add(struct parser *p, struct ast_list *list, struct ast *item);
enum err deeper(struct parser *p); /* pair with p->depth-- on success */

typedef enum err parse_fn(struct parser *p, struct ast **out);
/* One or more, separated by commas. */
enum err parse_list(struct parser *p, parse_fn *item, struct ast_list *out);

enum err parse_name(struct parser *p, const char **out); /* a name or ['a name'] */
enum err parse_name_node(struct parser *p, struct ast **out);
enum err parse_wildcard(struct parser *p, struct ast **out); /* a name that may contain stars */
enum err parse_type(struct parser *p, enum type *out);
enum err parse_typed_name(struct parser *p, struct ast **out); /* name:type */
enum err parse_schema(struct parser *p, struct ast **out);     /* (a:long, b:string) or (*) */

/* --- parse.c: parameters, statements ---------------------------------------------------------- */

enum err parse_param(struct parser *p, struct ast **out); /* name = value */
/* name = value name = value ... before an operator's arguments; known names and hint.* only */
enum err parse_params(struct parser *p, struct ast_list *out);
/* the same before names: hint.* only */
enum err parse_hints(struct parser *p, struct ast_list *out);
enum err parse_body(struct parser *p, const char *closing, struct ast_body **out);
enum err parse_pattern(struct parser *p, struct ast_body *body); /* parse_pattern.c */

/* --- parse_place.c ---------------------------------------------------------------------------- */

enum err parse_alias(struct parser *p, struct ast_body *body);
enum err parse_restrict(struct parser *p, struct ast_body *body);
enum err parse_entities(struct parser *p, struct ast **out);
enum err parse_macro_expand(struct parser *p, struct ast *o);

/* --- parse_expr.c, parse_operand.c ------------------------------------------------------------ */

enum err parse_expr(struct parser *p, struct ast **out);
enum err parse_named(struct parser *p, struct ast **out);    /* [name =] expr, (a, b) = expr */
enum err parse_argument(struct parser *p, struct ast **out); /* named, or a whole query */
enum err parse_unary(struct parser *p, struct ast **out);    /* nothing weaker than a sign */
enum err parse_string(struct parser *p, struct ast **out);   /* a string literal, joined */
/* left name right; an operator of one operand has no right. */
enum err oper_new(struct parser *p, const char *name, uint32_t pos, struct ast *left,
                  struct ast *right, struct ast **out);

/* --- parse_query.c: pipes and operators ------------------------------------------------------- */

enum err parse_pipe(struct parser *p, struct ast **out); /* expr, or expr | operator ... */
enum err parse_operator(struct parser *p, struct ast **out);
/* The i-th of the table of operators, NULL after the last. */
const char *operator_at(uint32_t i, enum ast_op *op);
bool at_source_operator(const struct parser *p); /* print, union, range ... begin a query here */
enum err parse_subquery(struct parser *p,
                        struct ast **out); /* (operator | operator) without source */

/* --- parse_more.c: the operators with a grammar of their own ---------------------------------- */

enum err parse_table(struct parser *p, struct ast **out); /* of a union: T, T*, (T | ...), f() */
enum err parse_union(struct parser *p, struct ast *o);
enum err parse_range(struct parser *p, struct ast *o);
enum err parse_render(struct parser *p, struct ast *o);
enum err parse_join(struct parser *p, struct ast *o);
enum err parse_mv_expand(struct parser *p, struct ast *o);
enum err parse_parse(struct parser *p, struct ast *o);
enum err parse_parse_kv(struct parser *p, struct ast *o);
enum err parse_make_series(struct parser *p, struct ast *o);
enum err parse_top_nested(struct parser *p, struct ast *o);
enum err parse_top_hitters(struct parser *p, struct ast *o);
enum err parse_search(struct parser *p, struct ast *o);
enum err parse_find(struct parser *p, struct ast *o);
enum err parse_evaluate(struct parser *p, struct ast *o);
enum err parse_partition(struct parser *p, struct ast *o);
enum err parse_fork(struct parser *p, struct ast *o);
enum err parse_facet(struct parser *p, struct ast *o);
enum err parse_reduce(struct parser *p, struct ast *o);
enum err parse_scan(struct parser *p, struct ast *o);
enum err parse_make_graph(struct parser *p, struct ast *o); /* parse_graph.c */
enum err parse_graph_match(struct parser *p, struct ast *o);
enum err parse_graph_to_table(struct parser *p, struct ast *o);
enum err parse_graph_components(struct parser *p, struct ast *o);

/* --- literal.c -------------------------------------------------------------------------------- */

enum err literal_string(struct parser *p, const struct token *t, struct buf *out);
enum err literal_number(struct parser *p, const struct token *t, struct value *out);
enum err literal_typed(struct parser *p, const struct token *t, struct value *out);
enum err literal_dynamic(struct parser *p, struct value *out); /* at the opening parenthesis */
