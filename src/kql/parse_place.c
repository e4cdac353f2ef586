/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kql/parse_place.c - what names places: alias, restrict, entity_group, macro-expand
 *
 *   alias database x = cluster("c").database("d");
 *   restrict access to (T, View*, database("d").*);
 *   let g = entity_group [workspace("a"), workspace("b")];
 *   macro-expand kind=inner isfuzzy=true g as w (let z = 1; w.T | where x > z)
 */
#include "kql/parse.h"

enum err parse_alias(struct parser *p, struct ast_body *body)
{
    struct ast *n;
    TRY(node_new(p, AST_ALIAS, &n));
    TRY(expect(p, "alias"));
    TRY(expect(p, "database"));
    TRY(parse_name(p, &n->name));
    TRY(expect(p, "="));
    TRY(parse_unary(p, &n->left));
    return list_add(p, &body->lets, n);
}

enum err parse_restrict(struct parser *p, struct ast_body *body)
{
    struct ast *n;
    TRY(node_new(p, AST_RESTRICT, &n));
    TRY(expect(p, "restrict"));
    TRY(expect(p, "access"));
    TRY(expect(p, "to"));
    TRY(expect(p, "("));
    TRY(parse_list(p, parse_table, &n->args));
    TRY(expect(p, ")"));
    return list_add(p, &body->lets, n);
}

enum err parse_entities(struct parser *p, struct ast **out)
{
    struct ast *n;
    TRY(node_new(p, AST_ENTITIES, &n));
    TRY(expect(p, "entity_group"));
    TRY(expect(p, "["));
    TRY(parse_list(p, parse_unary, &n->args));
    TRY(expect(p, "]"));
    *out = n;
    return OK;
}

/* G as X (...), entity_group [...] as X (...), X in G (...), G (...) */
enum err parse_macro_expand(struct parser *p, struct ast *o)
{
    TRY(parse_params(p, &o->params));
    if (at_token(p, "entity_group") && tok_is(p, tok_ahead(p, 1), "[")) {
        TRY(parse_entities(p, &o->left));
    } else {
        TRY(parse_name_node(p, &o->left));
        o->right = o->left;
        if (accept(p, "in")) TRY(parse_name_node(p, &o->left));
    }
    if (accept(p, "as")) TRY(parse_name_node(p, &o->right));
    if (o->right == NULL) return expected(p, "'as' and a name for the entity");
    TRY(expect(p, "("));
    TRY(parse_body(p, ")", &o->body));
    return expect(p, ")");
}
