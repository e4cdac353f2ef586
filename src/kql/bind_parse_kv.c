/* SPDX-License-Identifier: Apache-2.0 */
/* kql/bind_parse_kv.c - parse-kv */
#include "kql/bind.h"

#include "func/regex.h"

static enum err text_of(struct op_cx *cx, const struct ast *p, const char **out)
{
    struct scope s = {.b = cx->b, .names = *cx->names, .where = "parse-kv"};
    struct expr *value;
    TRY(bind_const(&s, p->left, &value));
    if (value->type != T_STRING) {
        return FAIL_TAG(diag_at(cx->b->d, p->pos), ERR_INVALID, "SEM0064",
                        "'%s' of 'parse-kv' is a text, not a %s", p->name, type_name(value->type));
    }
    *out = arena_str(cx->b->a, value->value.s);
    return *out != NULL ? OK : bind_full(cx->b);
}

/* quote="'" is both the opening and the closing one; several may be given. */
static enum err add_quotes(struct op_cx *cx, const struct ast *p, struct op *op)
{
    const char *text;
    TRY(text_of(cx, p, &text));
    size_t n = strlen(text);
    if (n != 1 && n != 2) {
        return FAIL_TAG(diag_at(cx->b->d, p->pos), ERR_INVALID, "SEM0001",
                        "'quote' of 'parse-kv' is one or two characters");
    }
    op->parse_kv.quotes = arena_fmt(cx->b->a, "%s%c%c", op->parse_kv.quotes, text[0], text[n - 1]);
    return op->parse_kv.quotes != NULL ? OK : bind_full(cx->b);
}

static enum err add_escape(struct op_cx *cx, const struct ast *p, struct op *op)
{
    const char *text;
    TRY(text_of(cx, p, &text));
    if (strlen(text) != 1) {
        return FAIL_TAG(diag_at(cx->b->d, p->pos), ERR_INVALID, "SEM0001",
                        "'escape' of 'parse-kv' is one character");
    }
    op->parse_kv.escape = arena_fmt(cx->b->a, "%s%s", op->parse_kv.escape, text);
    return op->parse_kv.escape != NULL ? OK : bind_full(cx->b);
}

static enum err add_regex(struct op_cx *cx, const struct ast *p, struct op *op)
{
    CLEANUP_REGEX struct regex *re = NULL;
    TRY(text_of(cx, p, &op->parse_kv.regex));
    TRY(regex_get(bytes_str(op->parse_kv.regex), &re, diag_at(cx->b->d, p->pos)));
    if (regex_groups(re) == 2) return OK;
    return FAIL_TAG(cx->b->d, ERR_INVALID, "SEM0001",
                    "the regex of 'parse-kv' has %d groups; it needs two, key and value",
                    regex_groups(re));
}

static enum err add_param(struct op_cx *cx, const struct ast *p, struct op *op)
{
    if (strcmp(p->name, "pair_delimiter") == 0) return text_of(cx, p, &op->parse_kv.pair);
    if (strcmp(p->name, "kv_delimiter") == 0) return text_of(cx, p, &op->parse_kv.kv);
    if (strcmp(p->name, "quote") == 0) return add_quotes(cx, p, op);
    if (strcmp(p->name, "escape") == 0) return add_escape(cx, p, op);
    if (strcmp(p->name, "regex") == 0) return add_regex(cx, p, op);
    if (strcmp(p->name, "greedy") == 0) {
        op->parse_kv.greedy =
            p->left->kind == AST_CONST && p->left->value.type == T_BOOL && p->left->value.b;
        return OK;
    }
    return FAIL(diag_at(cx->b->d, p->pos), ERR_UNSUPPORTED,
                "the parameter '%s' of 'parse-kv' is not supported", p->name);
}

static enum err add_keys(struct op_cx *cx, struct op *op)
{
    const struct ast_list *list = &cx->ast->right->args;
    struct column_list cols;
    TRY(columns_from(&cols, cx->b, &cx->in->schema));
    op->parse_kv.keys = arena_array(cx->b->a, struct kv_key, list->n + 1);
    if (op->parse_kv.keys == NULL) return bind_full(cx->b);
    for (uint32_t i = 0; i < list->n; i++) {
        struct kv_key *key = &op->parse_kv.keys[op->parse_kv.n++];
        key->name = list->at[i]->name;
        for (uint32_t k = 0; k < i; k++) {
            if (strcmp(list->at[k]->name, key->name) != 0) continue;
            return FAIL_TAG(diag_at(cx->b->d, list->at[i]->pos), ERR_INVALID, "SEM0171",
                            "'parse-kv' names the column '%s' twice", key->name);
        }
        TRY(columns_set(&cols, key->name, list->at[i]->type, &key->column));
    }
    op->schema = (struct schema){.n = cols.n, .cols = cols.cols};
    return OK;
}

enum err bind_parse_kv(struct op_cx *cx, struct op **out)
{
    struct binder *b = cx->b;
    struct scope s = scope_of(cx);
    struct op *op;
    TRY(op_new(b, OP_PARSE_KV, cx->in, cx->ast->pos, &op));
    op->parse_kv.pair = op->parse_kv.kv = op->parse_kv.quotes = op->parse_kv.escape = "";
    TRY(bind_expr(&s, cx->ast->left, &op->parse_kv.source));
    TRY(expr_cast(&s, cx->ast->left->pos, op->parse_kv.source, T_STRING, true,
                  &op->parse_kv.source));
    for (uint32_t i = 0; i < cx->ast->params.n; i++)
        TRY(add_param(cx, cx->ast->params.at[i], op));
    if ((op->parse_kv.pair[0] == '\0') != (op->parse_kv.kv[0] == '\0')) {
        return FAIL_TAG(diag_at(b->d, cx->ast->pos), ERR_INVALID, "SEM0001",
                        "'parse-kv' takes pair_delimiter and kv_delimiter together or neither");
    }
    *out = op;
    return add_keys(cx, op);
}
