/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kql/bind_parameter.c - declare query_parameters: values that come beside the query, never in it
 *
 * A value is data: it is read as one literal of the declared type, or for a string as it is, and
 * nothing in it can become part of the query. What cannot be read is refused, not null.
 */
#include "kql/bind.h"
#include "kql/parse.h"

#include "base/str.h"

static const struct kql_parameter *given(const struct binder *b, const char *name)
{
    for (uint32_t i = 0; i < b->opt->n_parameters; i++) {
        if (str_eq(b->opt->parameters[i].name, name)) return &b->opt->parameters[i];
    }
    return NULL;
}

static bool is_null(const struct expr *e)
{
    return e->kind != EXPR_CONST || e->value.is_null;
}

static enum err misfit(struct scope *s, const struct ast *n)
{
    return FAIL_TAG(diag_at(s->b->d, n->pos), ERR_INVALID, "SEM0100",
                    "the value of the query parameter '%s' is no %s", n->name, type_name(n->type));
}

/* "2020-01-01" for a datetime: what todatetime() takes. */
static enum err bind_text(struct scope *s, const struct ast *n, const char *text, struct expr **out)
{
    TRY(expr_string(s->b, text, out));
    TRY(expr_cast(s, n->pos, *out, n->type, true, out));
    return n->type == T_STRING || !is_null(*out) ? OK : misfit(s, n);
}

/* Nothing is lost on the way. */
static bool fits(enum type from, enum type to)
{
    bool is_number = to == T_REAL || to == T_DECIMAL;
    return from == to || to == T_DYNAMIC || ((from == T_LONG || from == T_INT) && is_number) ||
           (from == T_LONG && to == T_INT) || (from == T_INT && to == T_LONG) ||
           (from == T_REAL && to == T_DECIMAL);
}

static enum err bind_given(struct scope *s, const struct ast *n, const char *text,
                           struct expr **out)
{
    struct diag why = DIAG_INIT;
    struct ast *literal;
    struct expr *value;
    enum err e = kql_parse_literal(s->b->a, bytes_str(text), &literal, &why);
    if (e != OK) return bind_text(s, n, text, out);
    TRY(bind_const(s, literal, &value));
    bool is_text = value->type == T_STRING;
    if (is_text != (n->type == T_STRING)) return bind_text(s, n, text, out);
    if (!fits(value->type, n->type)) return misfit(s, n);
    TRY(expr_cast(s, n->pos, value, n->type, true, out));
    return is_null(*out) && !is_null(value) ? misfit(s, n) : OK;
}

enum err bind_parameter(struct scope *s, const struct ast *n, struct expr **out)
{
    const struct kql_parameter *p = given(s->b, n->name);
    if (p != NULL && n->right == NULL) return bind_given(s, n, p->text, out);
    if (n->left == NULL || n->right != NULL) {
        return FAIL_TAG(diag_at(s->b->d, n->pos), ERR_INVALID, "SEM0100",
                        "the query parameter '%s' has no value", n->name);
    }
    struct expr *value;
    TRY(bind_const(s, n->left, &value));
    return expr_cast(s, n->pos, value, n->type, true, out);
}
