/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kql/parse_guess.c - what was probably meant where the grammar finds no way on: a type, a word
 * between operands, a parameter of an operator
 */
#include "kql/parse.h"

#include "base/nearest.h"

#include <string.h>

const char *const param_names[] = {
    "__crossCluster",
    "__crossDB",
    "__id",
    "__isFuzzy",
    "__noWithSource",
    "__packedColumn",
    "__sourceColumnIndex",
    "kind",
    "withsource",
    "with_source",
    "isfuzzy",
    "best_effort",
    "flags",
    "bagexpansion",
    "with_itemindex",
    "with_match_id",
    "with_step_name",
    "decodeblocks",
    "expandoutput",
    "force_remote",
    "bin_legacy",
    "cycles",
    "datascope",
    "relaxed",
    "anomalycolumns",
    "dynamic_depth",
    "with_node_id",
    "with_component_id",
    "with_source_id",
    "with_target_id",
    "output",
    NULL,
};

static const char *const infixes[] = {
    "and",           "or",          "in",           "between",      "matches",
    "has",           "has_any",     "has_all",      "has_cs",       "hasprefix",
    "hassuffix",     "contains",    "contains_cs",  "startswith",   "endswith",
    "startswith_cs", "endswith_cs", "hasprefix_cs", "hassuffix_cs", "!has",
    "!contains",     "!startswith", "!endswith",    "!in",          "notcontains",
    "notlike",       "like",        NULL,
};

static const char *nearest_in(const char *wanted, const char *const *list)
{
    struct nearest best = nearest_to(wanted);
    for (; *list != NULL; list++)
        nearest_try(&best, *list);
    return best.name;
}

static const char *nearest_type(const char *wanted)
{
    struct nearest best = nearest_to(wanted);
    for (int t = T_BOOL; t < N_TYPES; t++)
        nearest_try(&best, type_name((enum type)t));
    return best.name;
}

/* An expression has ended, and something else follows that goes on with it or closes it. */
static bool ends_expression(const char *what)
{
    return strcmp(what, "')'") == 0 || strncmp(what, "';'", 3) == 0;
}

const char *guess_at(struct parser *p, const char *what)
{
    const struct token *t = tok(p);
    const char *name = t->kind == TOK_NAME ? tok_str(p, t) : NULL;
    if (name == NULL) return NULL;
    if (strcmp(what, "a type") == 0) return nearest_type(name);
    return ends_expression(what) ? nearest_in(name, infixes) : NULL;
}

const char *guess_param(struct parser *p, const char **param)
{
    const struct token *before = p->at > 0 ? &p->tokens[p->at - 1] : NULL;
    if (before == NULL || before->kind != TOK_NAME || !at_token(p, "=")) return NULL;
    *param = tok_str(p, before);
    return *param != NULL ? nearest_in(*param, param_names) : NULL;
}
