/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kql/parse_pattern.c - declare pattern: tables by the values of arguments
 *
 *   declare pattern app = (name:string)[scope:string]
 *   { ("a").["data"] = { T | take 1 }; ("b").["data"] = { ... }; };
 */
#include "kql/parse.h"

/* ("a", "b").["data"] = { ... }; */
static enum err parse_choice(struct parser *p, struct ast **out)
{
    struct ast *n;
    TRY(node_new(p, AST_CLAUSE, &n));
    TRY(expect(p, "("));
    TRY(parse_list(p, parse_expr, &n->args));
    TRY(expect(p, ")"));
    if (accept(p, ".")) TRY(parse_name(p, &n->name));
    TRY(expect(p, "="));
    TRY(expect(p, "{"));
    TRY(parse_body(p, "}", &n->body));
    TRY(expect(p, "}"));
    *out = n;
    return OK;
}

enum err parse_pattern(struct parser *p, struct ast_body *body)
{
    struct ast *n, *name, *path, *choice;
    TRY(node_new(p, AST_NAMED, &n));
    TRY(parse_name_node(p, &name));
    TRY(list_add(p, &n->names, name));
    if (!at_token(p, "=")) {
        return FAIL(diag_at(p->d, name->pos), ERR_UNSUPPORTED,
                    "a pattern without its tables is not supported");
    }
    TRY(expect(p, "="));
    TRY(node_new(p, AST_PATTERN, &n->left));
    TRY(parse_schema(p, &n->left->left));
    if (accept(p, "[")) {
        TRY(parse_typed_name(p, &path));
        TRY(expect(p, "]"));
        n->left->right = path;
    }
    TRY(expect(p, "{"));
    while (!accept(p, "}")) {
        TRY(parse_choice(p, &choice));
        TRY(list_add(p, &n->left->args, choice));
        while (accept(p, ";")) {
        }
    }
    return list_add(p, &body->lets, n);
}
