/* SPDX-License-Identifier: Apache-2.0 */
/* kql/parse.c - statements, and what begins them; parameters of operators */
#include "kql/parse.h"

#include "kql/kql.h"

/* --- parameters of operators: kind=inner hint.strategy=shuffle -------------------------------- */

/* hint.shufflekey is three tokens. */
static enum err parse_param_name(struct parser *p, const char **out)
{
    uint32_t from = tok(p)->pos;
    const char *name;
    TRY(parse_name(p, &name));
    while (at_token(p, ".")) {
        p->at++;
        TRY(parse_name(p, &name));
        const struct token *last = &p->tokens[p->at - 1];
        name = arena_str(p->a, bytes_of(p->text.p + from, last->pos + last->len - from));
        if (name == NULL) return arena_full(p->a, p->d);
    }
    *out = name;
    return OK;
}

static enum err parse_param_value(struct parser *p, struct ast **out)
{
    bool literal = at_token(p, "true") || at_token(p, "false") || at_token(p, "dynamic");
    if (literal) return parse_unary(p, out);
    struct ast *n; /* any word: kind=simple */
    TRY(node_new(p, AST_NAME, &n));
    n->quoted = at_token(p, "[");
    TRY(parse_name(p, &n->name));
    *out = n;
    return OK;
}

enum err parse_param(struct parser *p, struct ast **out)
{
    struct ast *n;
    TRY(node_new(p, AST_PARAM, &n));
    TRY(parse_param_name(p, &n->name));
    TRY(expect(p, "="));
    /* A name is not called here: kind=inner (T) is a parameter and a table. */
    bool plain = tok(p)->kind == TOK_NAME;
    TRY(plain ? parse_param_value(p, &n->left) : parse_unary(p, &n->left));
    *out = n;
    return OK;
}

static bool at_hint(const struct parser *p)
{
    return tok_is(p, tok(p), "hint") && tok_is(p, tok_ahead(p, 1), ".");
}

static bool at_param(const struct parser *p)
{
    if (at_hint(p)) return true;
    if (!tok_is(p, tok_ahead(p, 1), "=")) return false;
    for (const char *const *name = param_names; *name != NULL; name++) {
        if (at_token(p, *name)) return true;
    }
    return false;
}

enum err parse_params(struct parser *p, struct ast_list *out)
{
    while (at_param(p)) {
        struct ast *n;
        TRY(parse_param(p, &n));
        TRY(list_add(p, out, n));
    }
    return OK;
}

enum err parse_hints(struct parser *p, struct ast_list *out)
{
    while (at_hint(p)) {
        struct ast *n;
        TRY(parse_param(p, &n));
        TRY(list_add(p, out, n));
    }
    return OK;
}

/* --- let, set, declare ------------------------------------------------------------------------ */

/* name:type or name:(schema), and a default */
static enum err parse_parameter(struct parser *p, struct ast **out)
{
    struct ast *n;
    TRY(node_new(p, AST_PARAM, &n));
    TRY(parse_name(p, &n->name));
    TRY(expect(p, ":"));
    if (at_token(p, "(")) {
        TRY(parse_schema(p, &n->right));
    } else if (tok(p)->kind == TOK_TYPED) {
        return expected(p, "a type");
    } else {
        TRY(parse_type(p, &n->type));
    }
    if (accept(p, "=")) TRY(parse_unary(p, &n->left));
    *out = n;
    return OK;
}

static bool at_function(const struct parser *p)
{
    uint32_t i = at_token(p, "view") ? 1 : 0;
    if (!tok_is(p, tok_ahead(p, i), "(")) return false;
    const struct token *first = tok_ahead(p, i + 1), *second = tok_ahead(p, i + 2);
    if (tok_is(p, first, ")")) return tok_is(p, second, "{");
    if (tok_is(p, first, "[")) second = tok_ahead(p, i + 4);
    return (first->kind == TOK_NAME || tok_is(p, first, "[")) && tok_is(p, second, ":");
}

static enum err parse_function(struct parser *p, struct ast **out)
{
    struct ast *n;
    TRY(node_new(p, AST_FUNCTION, &n));
    n->is_view = accept(p, "view");
    TRY(expect(p, "("));
    if (!at_token(p, ")")) TRY(parse_list(p, parse_parameter, &n->args));
    TRY(expect(p, ")"));
    TRY(expect(p, "{"));
    TRY(parse_body(p, "}", &n->body));
    TRY(expect(p, "}"));
    *out = n;
    return OK;
}

static enum err parse_let(struct parser *p, struct ast_body *body)
{
    struct ast *n, *name;
    p->at++;
    TRY(node_new(p, AST_NAMED, &n));
    TRY(parse_name_node(p, &name));
    TRY(list_add(p, &n->names, name));
    TRY(expect(p, "="));
    bool entities = at_token(p, "entity_group") && tok_is(p, tok_ahead(p, 1), "[");
    TRY(at_function(p) ? parse_function(p, &n->left)
        : entities     ? parse_entities(p, &n->left)
                       : parse_pipe(p, &n->left));
    return list_add(p, &body->lets, n);
}

/* An option changes nothing here, so it must be known to be harmless; the binder decides. */
static enum err parse_set(struct parser *p, struct ast_body *body)
{
    struct ast *n;
    TRY(node_new(p, AST_OPERATOR, &n));
    p->at++;
    TRY(parse_name(p, &n->name));
    if (accept(p, "=")) TRY(parse_unary(p, &n->left));
    return list_add(p, &body->lets, n);
}

static enum err parse_declare(struct parser *p, struct ast_body *body)
{
    p->at++;
    if (accept(p, "pattern")) return parse_pattern(p, body);
    TRY(expect(p, "query_parameters"));
    TRY(expect(p, "("));
    do {
        struct ast *n;
        TRY(parse_parameter(p, &n));
        TRY(list_add(p, &body->lets, n));
    } while (accept(p, ","));
    return expect(p, ")");
}

/* Only a query has several results, not a function. */
static enum err parse_result(struct parser *p, bool whole_query, struct ast_body *body)
{
    struct ast *result;
    const struct token *next = tok_ahead(p, 1);
    bool explain = whole_query && body->result == NULL && at_token(p, "explain") &&
                   (next->kind == TOK_NAME || tok_is(p, next, "("));
    if (explain) {
        body->explain = true;
        p->at++;
    }
    if (body->result == NULL) return parse_pipe(p, &body->result);
    if (!whole_query) return expected(p, "the end of the function after its result");
    TRY(parse_pipe(p, &result));
    return list_add(p, &body->more, result);
}

static enum err parse_statement(struct parser *p, bool whole_query, struct ast_body *body)
{
    bool name_next = tok_ahead(p, 1)->kind == TOK_NAME || tok_is(p, tok_ahead(p, 1), "[");
    if (at_token(p, "let") && name_next) return parse_let(p, body);
    if (at_token(p, "set") && name_next) return parse_set(p, body);
    if (at_token(p, "declare") && name_next) return parse_declare(p, body);
    if (at_token(p, "alias") && name_next) return parse_alias(p, body);
    if (at_token(p, "restrict") && name_next) return parse_restrict(p, body);
    return parse_result(p, whole_query, body);
}

enum err parse_body(struct parser *p, const char *closing, struct ast_body **out)
{
    struct ast_body *body = arena_new(p->a, struct ast_body);
    if (body == NULL) return arena_full(p->a, p->d);
    TRY(deeper(p));
    for (;;) {
        while (accept(p, ";")) {
        }
        bool end = closing != NULL ? at_token(p, closing) : tok(p)->kind == TOK_END;
        if (end) break;
        TRY(parse_statement(p, closing == NULL, body));
        end = closing != NULL ? at_token(p, closing) : tok(p)->kind == TOK_END;
        if (!end && !at_token(p, ";")) return expected(p, "';', '|' or the end of the query");
    }
    p->depth--;
    *out = body;
    return OK;
}

enum err kql_parse_function(struct arena *a, struct bytes text, struct ast **out, struct diag *d)
{
    struct parser p = {.a = a, .text = text, .d = d};
    struct token *tokens;
    TRY(kql_lex(a, text, &tokens, &p.n, d));
    p.tokens = tokens;
    TRY(parse_function(&p, out));
    return tok(&p)->kind == TOK_END ? OK : expected(&p, "the end of the function");
}

enum err kql_parse(struct arena *a, struct bytes text, struct ast_body **out, struct diag *d)
{
    if (text.len > KQL_TEXT_MAX) {
        return FAIL_TAG(d, ERR_LIMIT, "SYN0002", "the query is longer than %zu bytes",
                        KQL_TEXT_MAX);
    }
    struct parser p = {.a = a, .text = text, .d = d};
    struct token *tokens;
    TRY(kql_lex(a, text, &tokens, &p.n, d));
    p.tokens = tokens;
    if (at_token(&p, ".")) {
        return FAIL(diag_at(d, 0), ERR_UNSUPPORTED,
                    "control commands are not supported in a query");
    }
    struct ast_body *body;
    TRY(parse_body(&p, NULL, &body));
    if (body->result == NULL) return expected(&p, "a query");
    *out = body;
    return OK;
}

void kql_position(struct bytes text, int32_t pos, uint32_t *line, uint32_t *column)
{
    *line = *column = 1;
    for (int32_t i = 0; i < pos && (size_t)i < text.len; i++) {
        if (text.p[i] == '\n') {
            ++*line;
            *column = 1;
        } else if ((text.p[i] & 0xC0) != 0x80) {
            ++*column;
        }
    }
}

enum err kql_parse_literal(struct arena *a, struct bytes text, struct ast **out, struct diag *d)
{
    struct parser p = {.a = a, .text = text, .d = d};
    struct token *tokens;
    struct ast *n;
    TRY(kql_lex(a, text, &tokens, &p.n, d));
    p.tokens = tokens;
    TRY(parse_unary(&p, &n));
    bool is_signed = n->kind == AST_OPER && n->args.n == 1 && n->args.at[0]->kind == AST_CONST;
    if (tok(&p)->kind != TOK_END || (n->kind != AST_CONST && !is_signed)) {
        return expected(&p, "a literal");
    }
    *out = n;
    return OK;
}
