/* SPDX-License-Identifier: Apache-2.0 */
/* kql/parse_operand.c - what operators stand between: literals, names, calls, members, signs */
#include "kql/parse.h"

enum err parse_string(struct parser *p, struct ast **out)
{
    struct ast *n;
    CLEANUP_BUF struct buf b = {0};
    TRY(node_new(p, AST_CONST, &n));
    if (tok(p)->kind != TOK_STRING) return expected(p, "a string");
    while (tok(p)->kind == TOK_STRING) { /* adjacent literals are one string */
        TRY(literal_string(p, tok(p), &b));
        p->at++;
    }
    n->value = (struct value){.type = T_STRING, .s = arena_bytes(p->a, buf_view(&b))};
    if (n->value.s.p == NULL) return arena_full(p->a, p->d);
    *out = n;
    return OK;
}

/* datetime() is the time of the query. */
static bool is_this_moment(const struct parser *p, const struct token *t)
{
    struct bytes all = tok_text(p, t);
    bool moment = t->name_len == strlen("datetime")
                      ? memcmp(all.p, "datetime", t->name_len) == 0
                      : t->name_len == strlen("date") && memcmp(all.p, "date", t->name_len) == 0;
    if (t->kind != TOK_TYPED || !moment) return false;
    for (size_t i = t->name_len; i < all.len; i++) {
        if (strchr("() \t\r\n", all.p[i]) == NULL) return false;
    }
    return true;
}

static enum err parse_literal(struct parser *p, struct ast **out)
{
    struct ast *n;
    const struct token *t = tok(p);
    TRY(node_new(p, is_this_moment(p, t) ? AST_CALL : AST_CONST, &n));
    if (n->kind == AST_CALL) {
        n->name = "now";
        n->is_open = true;
        p->at++;
        *out = n;
        return OK;
    }
    TRY(t->kind == TOK_TYPED ? literal_typed(p, t, &n->value) : literal_number(p, t, &n->value));
    p->at++;
    *out = n;
    return OK;
}

/* What stands in a call's parentheses may be a whole query: toscalar(T | count). */
enum err parse_argument(struct parser *p, struct ast **out)
{
    if (tok(p)->kind == TOK_NAME && tok_is(p, tok_ahead(p, 1), "=")) return parse_named(p, out);
    return parse_pipe(p, out);
}

static enum err parse_call(struct parser *p, struct ast **out)
{
    struct ast *n;
    TRY(node_new(p, AST_CALL, &n));
    TRY(parse_name(p, &n->name));
    TRY(expect(p, "("));
    if (!at_token(p, ")")) TRY(parse_list(p, parse_argument, &n->args));
    n->end = tok(p)->pos + tok(p)->len;
    TRY(expect(p, ")"));
    *out = n;
    return OK;
}

/* typeof(long), or typeof(*, a:long) of a plugin. */
static enum err parse_typeof(struct parser *p, struct ast **out)
{
    struct ast *n;
    TRY(node_new(p, AST_TYPEOF, &n));
    p->at++;
    bool plain = tok_ahead(p, 1)->kind == TOK_NAME && tok_is(p, tok_ahead(p, 2), ")");
    if (plain) {
        TRY(expect(p, "("));
        TRY(parse_type(p, &n->type));
        TRY(expect(p, ")"));
    } else {
        TRY(parse_schema(p, &n->right));
    }
    *out = n;
    return OK;
}

static enum err parse_parenthesized(struct parser *p, struct ast **out)
{
    TRY(expect(p, "("));
    TRY(parse_pipe(p, out));
    TRY(expect(p, ")"));
    (*out)->in_parens = true;
    return OK;
}

/* {Name}: a place that a workbook or dashboard fills before it sends the query. */
static enum err parse_client_parameter(struct parser *p, struct ast **out)
{
    struct ast *n;
    TRY(node_new(p, AST_CLIENT, &n));
    TRY(expect(p, "{"));
    TRY(parse_name(p, &n->name));
    TRY(expect(p, "}"));
    *out = n;
    return OK;
}

static enum err parse_bool(struct parser *p, bool value, struct ast **out)
{
    struct ast *n;
    TRY(node_new(p, AST_CONST, &n));
    n->value = (struct value){.type = T_BOOL, .b = value};
    p->at++;
    *out = n;
    return OK;
}

/* Words that only ever join two operands: an operand is missing where one of them begins. */
static bool at_infix(const struct parser *p)
{
    static const char *const words[] = {
        "and",     "or",      "by",          "in",      "in~",        "has",
        "has_any", "has_all", "contains",    "between", "startswith", "endswith",
        "matches", "has_cs",  "contains_cs", "like",
    };
    if (p->text.p[tok(p)->pos] == '!') return true;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (at_token(p, words[i])) return true;
    }
    return false;
}

/* Words that may be given as a name, but are none in an expression: extend to = 1 | project ['to'] */
static bool at_keyword(const struct parser *p)
{
    static const char *const words[] = {
        "accumulate", "as",      "datatable", "earliest", "externaldata", "find",
        "invoke",     "latest",  "mdm",       "of",       "print",        "sample",
        "search",     "set",     "sql",       "title",    "to",           "totable",
        "toscalar",   "verbose", "viewers",   "where",
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (at_token(p, words[i])) return true;
    }
    return false;
}

static enum err parse_word(struct parser *p, struct ast **out)
{
    bool yes = at_token(p, "true") || at_token(p, "True") || at_token(p, "TRUE");
    bool no = at_token(p, "false") || at_token(p, "False") || at_token(p, "FALSE");
    bool called = tok_is(p, tok_ahead(p, 1), "(");
    if (yes || no) return parse_bool(p, yes, out);
    if (at_infix(p)) return expected(p, "an expression");
    if (!called && at_keyword(p)) return expected(p, "an expression");
    if (!called) return parse_name_node(p, out);
    if (at_token(p, "typeof")) return parse_typeof(p, out);
    if (!at_token(p, "dynamic")) return parse_call(p, out);

    struct ast *n;
    TRY(node_new(p, AST_CONST, &n));
    p->at++;
    TRY(literal_dynamic(p, &n->value));
    *out = n;
    return OK;
}

static enum err parse_primary(struct parser *p, struct ast **out)
{
    switch (tok(p)->kind) {
    case TOK_STRING: return parse_string(p, out);
    case TOK_LONG:
    case TOK_REAL:
    case TOK_TIMESPAN:
    case TOK_TYPED: return parse_literal(p, out);
    case TOK_NAME: return parse_word(p, out);
    default: break;
    }
    if (at_token(p, "(")) return parse_parenthesized(p, out);
    if (at_token(p, "[")) {
        bool named = tok_ahead(p, 1)->kind == TOK_STRING && tok_is(p, tok_ahead(p, 2), "]");
        if (!named) return expected(p, "an expression");
        return tok_is(p, tok_ahead(p, 3), "(") ? parse_call(p, out) : parse_name_node(p, out);
    }
    if (at_token(p, "{")) return parse_client_parameter(p, out);
    if (at_token(p, "*")) {
        TRY(node_new(p, AST_STAR, out));
        p->at++;
        return OK;
    }
    return expected(p, "an expression");
}

static enum err parse_member(struct parser *p, struct ast *base, struct ast **out)
{
    struct ast *n;
    TRY(node_at(p, AST_PATH, base->pos, &n));
    p->at++;
    TRY(list_add(p, &n->args, base));
    if (tok(p)->kind == TOK_NAME && tok_is(p, tok_ahead(p, 1), "(")) { /* database("x").T() */
        TRY(parse_call(p, &n->right));
        n->name = n->right->name;
    } else if (at_token(p, "[") && tok_ahead(p, 1)->kind != TOK_STRING) { /* d.[0] */
        n->kind = AST_INDEX;
        struct ast *index;
        p->at++;
        TRY(parse_expr(p, &index));
        TRY(list_add(p, &n->args, index));
        TRY(expect(p, "]"));
    } else {
        struct ast *name;
        bool bare = tok(p)->kind == TOK_NAME || at_token(p, "*");
        TRY(bare ? parse_wildcard(p, &name) : parse_name_node(p, &name));
        n->name = name->name;
        n->is_open = name->kind == AST_WILDCARD;
    }
    const struct token *last = &p->tokens[p->at - 1];
    n->end = last->pos + last->len;
    *out = n;
    return OK;
}

static enum err parse_postfix(struct parser *p, struct ast **out)
{
    struct ast *n;
    uint32_t links = 0;
    TRY(parse_primary(p, &n));
    for (;;) {
        if (++links > 100) return expected(p, "a path of at most 100 members");
        if (at_token(p, ".")) {
            TRY(parse_member(p, n, &n));
        } else if (at_token(p, "[")) {
            struct ast *index, *at;
            p->at++;
            TRY(node_at(p, AST_INDEX, n->pos, &at));
            TRY(parse_expr(p, &index));
            TRY(expect(p, "]"));
            TRY(list_add(p, &at->args, n));
            TRY(list_add(p, &at->args, index));
            n = at;
        } else {
            break;
        }
    }
    *out = n;
    return OK;
}

/* A number takes its sign with it, so that -9223372036854775808 is not an overflow of its absolute.
 */
static enum err parse_sign(struct parser *p, struct ast **out)
{
    const struct token *sign = tok(p);
    bool minus = accept(p, "-");
    if (!minus) p->at++;
    struct ast *operand;
    bool smallest = minus && tok(p)->kind == TOK_LONG &&
                    bytes_eq(tok_text(p, tok(p)), BYTES("9223372036854775808"));
    if (smallest) {
        TRY(node_at(p, AST_CONST, sign->pos, out));
        (*out)->value = (struct value){.type = T_LONG, .i = INT64_MIN};
        p->at++;
        return OK;
    }
    TRY(parse_unary(p, &operand));
    if (!minus) {
        *out = operand;
        return OK;
    }
    return oper_new(p, "op neg", sign->pos, operand, NULL, out);
}

enum err parse_unary(struct parser *p, struct ast **out)
{
    TRY(deeper(p));
    TRY(at_token(p, "-") || at_token(p, "+") ? parse_sign(p, out) : parse_postfix(p, out));
    p->depth--;
    return OK;
}
