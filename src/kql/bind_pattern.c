/* SPDX-License-Identifier: Apache-2.0 */
/* kql/bind_pattern.c - a pattern's table for some arguments: app("a").data */
#include "kql/bind.h"

#include "func/kernel.h"

static bool same_value(const struct expr *a, const struct expr *b)
{
    return a->type == b->type && !a->value.is_null && !b->value.is_null &&
           value_eq(&a->value, &b->value);
}

static enum err is_chosen(struct scope *s, const struct ast *choice, const struct ast *call,
                          const char *path, bool *out)
{
    const char *wanted = choice->name != NULL ? choice->name : "";
    *out = choice->args.n == call->args.n && strcmp(wanted, path != NULL ? path : "") == 0;
    for (uint32_t i = 0; *out && i < call->args.n; i++) {
        struct expr *given, *value;
        TRY(bind_const(s, call->args.at[i], &given));
        TRY(bind_const(s, choice->args.at[i], &value));
        *out = same_value(given, value);
    }
    return OK;
}

enum err bind_pattern(struct binder *b, struct binding *names, struct binding *pattern,
                      const struct ast *call, const char *path, struct op **out)
{
    struct scope s = {.b = b, .names = names, .where = call->name};
    for (uint32_t i = 0; i < pattern->ast->args.n; i++) {
        const struct ast *choice = pattern->ast->args.at[i];
        struct binding *inner;
        bool chosen;
        TRY(is_chosen(&s, choice, call, path, &chosen));
        if (!chosen) continue;
        TRY(bind_body(b, pattern->up, NULL, choice->body, &inner));
        if (choice->body->result != NULL) return bind_table(b, inner, choice->body->result, out);
        break;
    }
    return FAIL_TAG(diag_at(b->d, call->pos), ERR_INVALID, "SEM0001",
                    "the pattern '%s' has no table for these values", call->name);
}
