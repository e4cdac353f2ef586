/* SPDX-License-Identifier: Apache-2.0 */
/* kql/bind_session.c - who asks, and whom: current_database(), current_principal() and their like */
#include "kql/bind.h"

#include "column/dyn.h"

static enum err refuse(struct scope *s, const struct ast *n)
{
    return FAIL(diag_at(s->b->d, n->pos), ERR_UNSUPPORTED,
                "the function %s() is not supported here: nobody in particular asks", n->name);
}

static enum err text_or_refuse(struct scope *s, const struct ast *n, const char *text,
                               struct expr **out)
{
    return text != NULL ? expr_string(s->b, text, out) : refuse(s, n);
}

static enum err ask_one(struct scope *s, const struct ast *n, const struct value *of, bool *out)
{
    struct diag why = DIAG_INIT;
    const struct kql_session *session = s->b->opt->session;
    if (of->type != T_STRING || of->is_null) {
        return FAIL_TAG(diag_at(s->b->d, n->pos), ERR_INVALID, "SEM0064",
                        "%s() takes principals as strings", n->name);
    }
    const char *name = arena_str(s->b->a, of->s);
    if (name == NULL) return bind_full(s->b);
    enum err e = session->is_member(session->ctx, name, out, &why);
    return e == OK ? OK : FAIL_TAG(diag_at(s->b->d, n->pos), e, why.tag, "%s", why.text);
}

/* Strings, and arrays of strings; true for any of them. */
static enum err is_member(struct scope *s, const struct ast *n, struct expr **out)
{
    bool any = false;
    if (n->args.n == 0) {
        return FAIL_TAG(diag_at(s->b->d, n->pos), ERR_INVALID, "SEM0219",
                        "%s() takes 1 argument or more", n->name);
    }
    for (uint32_t i = 0; i < n->args.n; i++) {
        struct expr *arg;
        struct dyn_iter it;
        struct bytes name, item;
        bool one = false;
        TRY(bind_const(s, n->args.at[i], &arg));
        bool is_list =
            arg->type == T_DYNAMIC && !arg->value.is_null && dyn_iter_init(&it, arg->value.s);
        while (is_list && dyn_iter_next(&it, &name, &item)) {
            struct value v = dyn_scalar(item);
            TRY(ask_one(s, n, &v, &one));
            any |= one;
        }
        if (!is_list) TRY(ask_one(s, n, &arg->value, &one));
        any |= one;
    }
    return expr_const(s->b, &(struct value){.type = T_BOOL, .b = any}, out);
}

enum err bind_current(struct scope *s, const struct ast *n, struct expr **out)
{
    const struct kql_session *session = s->b->opt->session;
    const char *what = n->name + sizeof "current_" - 1;
    if (strcmp(what, "principal_is_member_of") == 0)
        return session != NULL && session->is_member != NULL ? is_member(s, n, out) : refuse(s, n);
    if (n->args.n != 0) {
        return FAIL_TAG(diag_at(s->b->d, n->pos), ERR_INVALID, "SEM0219", "%s() takes no arguments",
                        n->name);
    }
    if (strcmp(what, "database") == 0) return text_or_refuse(s, n, s->b->catalog->name, out);
    if (session == NULL) return refuse(s, n);
    if (strcmp(what, "cluster_endpoint") == 0) return text_or_refuse(s, n, session->cluster, out);
    if (strcmp(what, "principal") == 0) return text_or_refuse(s, n, session->principal, out);
    if (session->details.type != T_DYNAMIC) return refuse(s, n);
    return expr_const(s->b, &session->details, out);
}

enum err bind_place_member(struct scope *s, const struct ast *n, bool *found, struct expr **out)
{
    const struct ast *base = n->args.at[0];
    struct binding *place =
        n->name[0] == '$' && base->kind == AST_NAME ? find_binding(s->names, base->name) : NULL;
    *found = place != NULL && place->kind == BIND_PLACE;
    if (!*found) return OK;
    struct ast call = {.kind = AST_CALL, .name = n->name, .pos = n->pos};
    if (strcmp(n->name, "$current_database") == 0)
        return text_or_refuse(s, &call, place->entity.catalog->name, out);
    if (strcmp(n->name, "$current_cluster_endpoint") == 0) {
        const struct kql_session *session = s->b->opt->session;
        return text_or_refuse(s, &call, session != NULL ? session->cluster : NULL, out);
    }
    return FAIL_TAG(diag_at(s->b->d, n->pos), ERR_INVALID, "SEM0100",
                    "a database has $current_database and $current_cluster_endpoint, not '%s'",
                    n->name);
}
