/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api/source_plan.c - what may be asked of a table of the plans Basic and Auxiliary
 *
 * As the original has it: one such table, with up to five of plan Analytics by lookup or union; no
 * join, find, search and externaldata; no functions of the query's own. Source: "Query data in a
 * Basic and Auxiliary table in Azure Monitor Logs".
 */
#include "api/source.h"

#include "base/str.h"
#include "kql/lex.h"

#define OTHERS_MAX 5

static bool is_punct(struct bytes text, const struct token *t, char ch)
{
    return t->kind == TOK_PUNCT && t->len == 1 && text.p[t->pos] == (uint8_t)ch;
}

static bool is_name(struct bytes text, const struct token *t, const char *name)
{
    return t->kind == TOK_NAME && t->len == strlen(name) &&
           memcmp(text.p + t->pos, name, t->len) == 0;
}

/* Does an operator stand there: at the beginning of a query, or behind a bar? */
static bool begins(struct bytes text, const struct token *tokens, uint32_t i)
{
    return i == 0 || is_punct(text, &tokens[i - 1], '|') || is_punct(text, &tokens[i - 1], ';') ||
           is_punct(text, &tokens[i - 1], '=');
}

/* let f = [view] (...) { */
static bool is_function(struct bytes text, const struct token *tokens, uint32_t n, uint32_t i)
{
    if (!is_name(text, &tokens[i], "let") || i + 4 >= n || !is_punct(text, &tokens[i + 2], '='))
        return false;
    i += 3;
    if (is_name(text, &tokens[i], "view")) i++;
    if (i >= n || !is_punct(text, &tokens[i], '(')) return false;
    for (uint32_t depth = 0; i < n; i++) {
        depth += is_punct(text, &tokens[i], '(');
        depth -= is_punct(text, &tokens[i], ')');
        if (depth == 0) return i + 1 < n && is_punct(text, &tokens[i + 1], '{');
    }
    return false;
}

static enum err forbid(const struct source_tables *t, const char *what, struct diag *d)
{
    return FAIL_TAG(d, ERR_UNSUPPORTED, PLAN_TAG,
                    "%s: a query of the table '%s' can't have it, whose plan is %s", what, t->cheap,
                    t->plan);
}

enum err source_check_plans(const struct source_tables *t, const char *query, struct diag *d)
{
    static const char *const operators[] = {"join", "find", "search", "externaldata"};
    struct bytes text = bytes_str(query);
    struct token *tokens = NULL;
    uint32_t n = 0;
    if (t->n_cheap == 0) return OK;
    if (t->n_others != 0) return forbid(t, "a table of another workspace", d);
    if (t->n_cheap > 1) return forbid(t, "another table of the plan Basic or Auxiliary", d);
    if (t->n_analytics > OTHERS_MAX)
        return forbid(t, "more than five tables of the plan Analytics", d);
    TRY(kql_lex(t->a, text, &tokens, &n, d));
    for (uint32_t i = 0; i < n; i++) {
        if (is_function(text, tokens, n, i)) return forbid(t, "a function of its own (let)", d);
        for (size_t k = 0; k < sizeof operators / sizeof operators[0]; k++) {
            if (is_name(text, &tokens[i], operators[k]) && begins(text, tokens, i))
                return forbid(t, operators[k], d);
        }
    }
    return OK;
}
