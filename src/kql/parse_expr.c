/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kql/parse_expr.c - scalar expressions, weakest first:
 *
 *   or
 *   and
 *   == != <> in !in in~ !in~ has_any has_all between !between :     one per level, not in chains
 *   < <= > >=                                                        the same
 *   + -
 *   * / %
 *   has contains startswith =~ !~ matches regex like ...             one
 *   operands, with their signs: parse_operand.c
 */
#include "kql/parse.h"

enum err oper_new(struct parser *p, const char *name, uint32_t pos, struct ast *left,
                  struct ast *right, struct ast **out)
{
    struct ast *n;
    TRY(node_at(p, AST_OPER, pos, &n));
    n->name = name;
    TRY(list_add(p, &n->args, left));
    if (right != NULL) TRY(list_add(p, &n->args, right));
    *out = n;
    return OK;
}

struct word {
    const char *text, *oper;
};

static const char *find_word(const struct parser *p, const struct word *words, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (at_token(p, words[i].text)) return words[i].oper;
    }
    return NULL;
}
#define FIND_WORD(p, words) find_word((p), (words), sizeof(words) / sizeof(words)[0])

/* --- binary ----------------------------------------------------------------------------------- */

#define NAMED_OPER(x) \
    {                 \
        x, "op " x    \
    }
static const struct word string_opers[] = {
    NAMED_OPER("=~"),
    NAMED_OPER("!~"),
    NAMED_OPER("has"),
    NAMED_OPER("!has"),
    NAMED_OPER("has_cs"),
    NAMED_OPER("!has_cs"),
    NAMED_OPER("hasprefix"),
    NAMED_OPER("!hasprefix"),
    NAMED_OPER("hasprefix_cs"),
    NAMED_OPER("!hasprefix_cs"),
    NAMED_OPER("hassuffix"),
    NAMED_OPER("!hassuffix"),
    NAMED_OPER("hassuffix_cs"),
    NAMED_OPER("!hassuffix_cs"),
    NAMED_OPER("contains"),
    NAMED_OPER("!contains"),
    NAMED_OPER("contains_cs"),
    NAMED_OPER("!contains_cs"),
    NAMED_OPER("startswith"),
    NAMED_OPER("!startswith"),
    NAMED_OPER("startswith_cs"),
    NAMED_OPER("!startswith_cs"),
    NAMED_OPER("endswith"),
    NAMED_OPER("!endswith"),
    NAMED_OPER("endswith_cs"),
    NAMED_OPER("!endswith_cs"),
    NAMED_OPER("like"),
    NAMED_OPER("likecs"),
    {"notlike", "op !like"},
    {"notlikecs", "op !likecs"},
    {"notcontains", "op !contains"},
    {"containscs", "op contains_cs"},
    {"notcontainscs", "op !contains_cs"},
    {"matches", "op matches regex"},
};

static enum err parse_string_oper(struct parser *p, struct ast **out)
{
    struct ast *left, *right;
    TRY(parse_unary(p, &left));
    uint32_t pos = tok(p)->pos;
    const char *oper = FIND_WORD(p, string_opers);
    *out = left;
    if (oper == NULL) return OK;
    if (accept(p, "matches")) {
        TRY(expect(p, "regex"));
    } else {
        p->at++;
    }
    TRY(parse_unary(p, &right));
    return oper_new(p, oper, pos, left, right, out);
}

/* left op right op right ..., left first. Each link is one level of the tree. */
static enum err parse_chain(struct parser *p, const struct word *words, size_t n, parse_fn *operand,
                            struct ast **out)
{
    struct ast *left, *right;
    uint32_t depth = p->depth;
    TRY(operand(p, &left));
    for (;;) {
        uint32_t pos = tok(p)->pos;
        const char *oper = find_word(p, words, n);
        if (oper == NULL) break;
        TRY(deeper(p));
        p->at++;
        TRY(operand(p, &right));
        TRY(oper_new(p, oper, pos, left, right, &left));
    }
    p->depth = depth;
    *out = left;
    return OK;
}

static enum err parse_product(struct parser *p, struct ast **out)
{
    static const struct word words[] = {NAMED_OPER("*"), NAMED_OPER("/"), NAMED_OPER("%")};
    return parse_chain(p, words, 3, parse_string_oper, out);
}

static enum err parse_sum(struct parser *p, struct ast **out)
{
    static const struct word words[] = {NAMED_OPER("+"), NAMED_OPER("-")};
    return parse_chain(p, words, 2, parse_product, out);
}

static enum err parse_relation(struct parser *p, struct ast **out)
{
    static const struct word words[] = {
        NAMED_OPER("<"),
        NAMED_OPER("<="),
        NAMED_OPER(">"),
        NAMED_OPER(">="),
    };
    struct ast *right;
    TRY(parse_sum(p, out));
    uint32_t pos = tok(p)->pos;
    const char *oper = FIND_WORD(p, words);
    if (oper == NULL) return OK;
    p->at++;
    TRY(parse_sum(p, &right));
    return oper_new(p, oper, pos, *out, right, out);
}

/* (1, 2, 3), (T | project x), or the name of a table or list */
static enum err parse_in(struct parser *p, const char *oper, uint32_t pos, struct ast **out)
{
    struct ast *list, *left = *out;
    TRY(node_new(p, AST_LIST, &list));
    TRY(expect(p, "("));
    while (!at_token(p, ")")) {
        struct ast *item;
        TRY(parse_argument(p, &item));
        TRY(list_add(p, &list->args, item));
        if (!accept(p, ",")) break;
    }
    TRY(expect(p, ")"));
    return oper_new(p, oper, pos, left, list, out);
}

static enum err parse_between(struct parser *p, const char *oper, uint32_t pos, struct ast **out)
{
    struct ast *low, *high;
    TRY(expect(p, "("));
    TRY(parse_sum(p, &low));
    TRY(expect(p, ".."));
    TRY(parse_sum(p, &high));
    TRY(expect(p, ")"));
    TRY(oper_new(p, oper, pos, *out, low, out));
    return list_add(p, &(*out)->args, high);
}

static enum err parse_equality(struct parser *p, struct ast **out)
{
    static const struct word plain[] = {
        NAMED_OPER("=="),
        NAMED_OPER("!="),
        {"<>", "op !="},
        {":", "op :"},
    };
    static const struct word lists[] = {
        NAMED_OPER("in"),   NAMED_OPER("!in"),     NAMED_OPER("in~"),
        NAMED_OPER("!in~"), NAMED_OPER("has_any"), NAMED_OPER("has_all"),
    };
    static const struct word ranges[] = {NAMED_OPER("between"), NAMED_OPER("!between")};

    struct ast *right;
    TRY(parse_relation(p, out));
    uint32_t pos = tok(p)->pos;
    const char *oper = p->no_in ? NULL : FIND_WORD(p, lists);
    if (oper != NULL) {
        p->at++;
        return parse_in(p, oper, pos, out);
    }
    if ((oper = FIND_WORD(p, ranges)) != NULL) {
        p->at++;
        return parse_between(p, oper, pos, out);
    }
    if ((oper = FIND_WORD(p, plain)) == NULL) return OK;
    p->at++;
    TRY(parse_relation(p, &right));
    return oper_new(p, oper, pos, *out, right, out);
}

/* a and b and c ... as a balanced tree: rules list hundreds of terms, and depth is limited. */
static enum err balance(struct parser *p, const char *oper, struct ast *const *at, uint32_t n,
                        struct ast **out)
{
    if (n == 1) {
        *out = at[0];
        return OK;
    }
    struct ast *left, *right;
    TRY(balance(p, oper, at, n / 2, &left));
    TRY(balance(p, oper, at + n / 2, n - n / 2, &right));
    return oper_new(p, oper, left->pos, left, right, out);
}

static enum err parse_logic(struct parser *p, const char *word, const char *oper, parse_fn *operand,
                            struct ast **out)
{
    TRY(operand(p, out));
    if (!at_token(p, word)) return OK;
    struct ast_list terms = {0};
    TRY(list_add(p, &terms, *out));
    while (accept(p, word)) {
        TRY(operand(p, out));
        TRY(list_add(p, &terms, *out));
    }
    return balance(p, oper, terms.at, terms.n, out);
}

static enum err parse_and(struct parser *p, struct ast **out)
{
    return parse_logic(p, "and", "op and", parse_equality, out);
}

enum err parse_expr(struct parser *p, struct ast **out)
{
    TRY(deeper(p));
    TRY(parse_logic(p, "or", "op or", parse_and, out));
    p->depth--;
    return OK;
}

/* --- named ------------------------------------------------------------------------------------ */

/* Whether (a, b) = follows. */
static bool at_name_list(const struct parser *p)
{
    if (!at_token(p, "(")) return false;
    uint32_t i = 1;
    while (i < p->n) {
        const struct token *t = tok_ahead(p, i);
        if (tok_is(p, t, ")")) return tok_is(p, tok_ahead(p, i + 1), "=");
        bool part = t->kind == TOK_NAME || t->kind == TOK_STRING || tok_is(p, t, ",") ||
                    tok_is(p, t, "[") || tok_is(p, t, "]");
        if (!part) return false;
        i++;
    }
    return false;
}

static enum err parse_names(struct parser *p, struct ast_list *out)
{
    TRY(expect(p, "("));
    do {
        struct ast *name;
        if (at_token(p, ",") || at_token(p, ")")) {
            TRY(node_new(p, AST_NAME, &name));
        } else {
            TRY(parse_name_node(p, &name));
        }
        TRY(list_add(p, out, name));
    } while (accept(p, ","));
    return expect(p, ")");
}

enum err parse_named(struct parser *p, struct ast **out)
{
    bool plain = (tok(p)->kind == TOK_NAME && tok_is(p, tok_ahead(p, 1), "=")) ||
                 (at_token(p, "[") && tok_is(p, tok_ahead(p, 3), "="));
    bool several = !plain && at_name_list(p);
    if (!plain && !several) return parse_expr(p, out);

    struct ast *n, *name;
    TRY(node_new(p, AST_NAMED, &n));
    n->is_open = several;
    if (several) {
        TRY(parse_names(p, &n->names));
    } else {
        TRY(parse_name_node(p, &name));
        TRY(list_add(p, &n->names, name));
    }
    TRY(expect(p, "="));
    TRY(parse_expr(p, &n->left));
    *out = n;
    return OK;
}
