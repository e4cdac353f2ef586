/* SPDX-License-Identifier: Apache-2.0 */
/* kql/parse_name.c - tokens, nodes, lists, names, types and schemas: what every grammar is made of */
#include "kql/parse.h"

#include "base/nearest.h"
#include "base/str.h"
#include "kql/kql.h"

#include <stdio.h>
#include <stdlib.h>

/* --- tokens ----------------------------------------------------------------------------------- */

const struct token *tok(const struct parser *p)
{
    return &p->tokens[p->at];
}

const struct token *tok_ahead(const struct parser *p, uint32_t n)
{
    uint32_t left = p->n - 1 - p->at; /* the last one is TOK_END */
    return &p->tokens[p->at + (n < left ? n : left)];
}

struct bytes tok_text(const struct parser *p, const struct token *t)
{
    return bytes_of(p->text.p + t->pos, t->len);
}

const char *tok_str(struct parser *p, const struct token *t)
{
    return arena_str(p->a, tok_text(p, t));
}

bool tok_is(const struct parser *p, const struct token *t, const char *s)
{
    if (t->kind != TOK_NAME && t->kind != TOK_PUNCT) return false;
    struct bytes text = tok_text(p, t);
    return bytes_eq(text, bytes_str(s));
}

bool at_token(const struct parser *p, const char *s)
{
    return tok_is(p, tok(p), s);
}

bool accept(struct parser *p, const char *s)
{
    if (!at_token(p, s)) return false;
    p->at++;
    return true;
}

void say_expected(struct parser *p, const char *what)
{
    const struct token *t = tok(p);
    struct bytes s = tok_text(p, t);
    const char *near = guess_at(p, what), *param = NULL, *meant = guess_param(p, &param);
    diag_at(p->d, meant != NULL ? p->tokens[p->at - 1].pos : t->pos);
    if (meant != NULL) {
        (void)FAIL_TAG(p->d, ERR_INVALID, "SYN0002", "there is no parameter '%s' here" NEAREST_FMT,
                       param, NEAREST_ARGS(meant));
    } else if (t->kind == TOK_END) {
        (void)FAIL_TAG(p->d, ERR_INVALID, "SYN0002", "expected %s, but the query ends", what);
    } else {
        (void)FAIL_TAG(p->d, ERR_INVALID, "SYN0002", "expected %s, but found '%.*s'" NEAREST_FMT,
                       what, (int)(s.len < 60 ? s.len : 60), s.p, NEAREST_ARGS(near));
    }
}

enum err expect(struct parser *p, const char *s)
{
    if (accept(p, s)) return OK;
    char what[40];
    snprintf(what, sizeof what, "'%s'", s);
    return expected(p, what);
}

/* --- nodes ------------------------------------------------------------------------------------ */

enum err node_at(struct parser *p, enum ast_kind kind, uint32_t pos, struct ast **out)
{
    struct ast *n = arena_new(p->a, struct ast);
    if (n == NULL) return arena_full(p->a, p->d);
    n->kind = kind;
    n->pos = n->end = pos;
    *out = n;
    return OK;
}

enum err node_new(struct parser *p, enum ast_kind kind, struct ast **out)
{
    return node_at(p, kind, tok(p)->pos, out);
}

/* Room doubles at powers of two, so the count alone tells when the array is full. */
enum err list_add(struct parser *p, struct ast_list *list, struct ast *item)
{
    if ((list->n & (list->n - 1)) == 0) {
        uint32_t cap = list->n == 0 ? 1 : list->n * 2;
        struct ast **at = arena_array(p->a, struct ast *, cap);
        if (at == NULL) return arena_full(p->a, p->d);
        if (list->n > 0) memcpy(at, list->at, list->n * sizeof *at);
        list->at = at;
    }
    list->at[list->n++] = item;
    return OK;
}

enum err deeper(struct parser *p)
{
    if (p->depth < KQL_DEPTH_MAX) {
        p->depth++;
        return OK;
    }
    return FAIL_TAG(diag_at(p->d, tok(p)->pos), ERR_LIMIT, "SYN0002",
                    "the query is nested more than %d deep", KQL_DEPTH_MAX);
}

enum err parse_list(struct parser *p, parse_fn *item, struct ast_list *out)
{
    do {
        struct ast *n;
        TRY(item(p, &n));
        TRY(list_add(p, out, n));
    } while (accept(p, ","));
    return OK;
}

/* --- names ------------------------------------------------------------------------------------ */

/* ['a name'] or ["a name"], at the bracket */
static enum err parse_bracketed(struct parser *p, const char **out)
{
    p->at++;
    if (tok(p)->kind != TOK_STRING) return expected(p, "a name in quotes");
    CLEANUP_BUF struct buf b = {0};
    TRY(literal_string(p, tok(p), &b));
    p->at++;
    TRY(expect(p, "]"));
    *out = arena_str(p->a, buf_view(&b));
    return *out != NULL ? OK : arena_full(p->a, p->d);
}

enum err parse_name(struct parser *p, const char **out)
{
    const struct token *t = tok(p);
    if (at_token(p, "[") && tok_ahead(p, 1)->kind == TOK_STRING) return parse_bracketed(p, out);
    if (t->kind == TOK_STRING) { /* a few places take a quoted name: render, as */
        CLEANUP_BUF struct buf b = {0};
        TRY(literal_string(p, t, &b));
        *out = arena_str(p->a, buf_view(&b));
    } else if (t->kind == TOK_NAME && p->text.p[t->pos] != '!') {
        *out = tok_str(p, t);
    } else {
        return expected(p, "a name");
    }
    p->at++;
    return *out != NULL ? OK : arena_full(p->a, p->d);
}

/* Words of the language that name nothing unless they stand in brackets: ['first']. Sorted. */
static const char *const reserved[] = {
    "and",
    "anomalychart",
    "areachart",
    "asc",
    "bagexpansion",
    "barchart",
    "between",
    "boolean",
    "byte",
    "cachingpolicy",
    "callout",
    "cancel",
    "card",
    "char",
    "columnchart",
    "contains_cs",
    "containscs",
    "cycles",
    "dataexport",
    "datascope",
    "date",
    "datetime",
    "decimal",
    "decodeblocks",
    "desc",
    "double",
    "dynamic",
    "encodingpolicy",
    "endswith",
    "endswith_cs",
    "expandoutput",
    "extent_tags_retention",
    "external_data",
    "first",
    "flags",
    "float",
    "force_remote",
    "harddelete",
    "hardretention",
    "has_all",
    "has_any",
    "has_cs",
    "hasprefix",
    "hasprefix_cs",
    "hassuffix",
    "hassuffix_cs",
    "hotcache",
    "int",
    "int16",
    "int32",
    "int64",
    "int8",
    "isfuzzy",
    "journal",
    "ladderchart",
    "last",
    "like",
    "likecs",
    "linechart",
    "long",
    "missing",
    "nooptimization",
    "notcontains",
    "notcontainscs",
    "notlike",
    "notlikecs",
    "or",
    "others",
    "pathformat",
    "piechart",
    "pivotchart",
    "project",
    "queries",
    "query_results",
    "real",
    "relaxed",
    "restricted_view_access",
    "row_level_security",
    "rowstore",
    "rowstore_references",
    "rowstore_sealinfo",
    "rowstorepolicy",
    "rowstores",
    "scatterchart",
    "seal",
    "seals",
    "shards",
    "simple",
    "softdelete",
    "softretention",
    "stackedareachart",
    "startswith",
    "startswith_cs",
    "statistics",
    "storedqueryresultcontainers",
    "string",
    "tablepurge",
    "time",
    "timechart",
    "timeline",
    "timepivot",
    "timespan",
    "treemap",
    "uint",
    "uint16",
    "uint32",
    "uint64",
    "uint8",
    "ulong",
    "union",
    "uniqueid",
    "unrestrictedviewers",
    "views",
    "with_itemindex",
    "with_match_id",
    "with_step_name",
    "writeaheadlog",
};

static int by_text(const void *word, const void *entry)
{
    return strcmp(word, *(const char *const *)entry);
}

static enum err check_name(struct parser *p)
{
    const struct token *t = tok(p);
    if (t->kind != TOK_NAME) return OK;
    const char *name = tok_str(p, t);
    if (name == NULL) return arena_full(p->a, p->d);
    if (bsearch(name, reserved, sizeof reserved / sizeof *reserved, sizeof *reserved, by_text) ==
        NULL)
        return OK;
    return FAIL_TAG(diag_at(p->d, t->pos), ERR_INVALID, "SYN0002",
                    "'%s' is a word of the language; as a name it is written ['%s']", name, name);
}

enum err parse_name_node(struct parser *p, struct ast **out)
{
    struct ast *n;
    TRY(check_name(p));
    TRY(node_new(p, AST_NAME, &n));
    n->quoted = at_token(p, "[");
    TRY(parse_name(p, &n->name));
    *out = n;
    return OK;
}

/* a*, *b, a*b*: names and stars with nothing between them. */
enum err parse_wildcard(struct parser *p, struct ast **out)
{
    if (at_token(p, "[")) return parse_name_node(p, out);
    struct ast *n;
    TRY(node_new(p, AST_NAME, &n));
    uint32_t from = tok(p)->pos, end = from;
    do {
        const struct token *t = tok(p);
        bool star = at_token(p, "*");
        if (!star && t->kind != TOK_NAME && !(t->kind == TOK_LONG && end != from)) break;
        if (star) n->kind = AST_WILDCARD;
        end = t->pos + t->len;
        p->at++;
    } while (!tok(p)->spaced);
    if (end == from) return expected(p, "a name");
    n->name = arena_str(p->a, bytes_of(p->text.p + from, end - from));
    if (n->name == NULL) return arena_full(p->a, p->d);
    n->end = end;
    *out = n;
    return OK;
}

enum err parse_type(struct parser *p, enum type *out)
{
    if (tok(p)->kind != TOK_NAME) return expected(p, "a type");
    const char *name = tok_str(p, tok(p));
    if (name == NULL) return arena_full(p->a, p->d);
    if (type_parse(name, out, NULL) != OK) return expected(p, "a type");
    p->at++;
    return OK;
}

enum err parse_typed_name(struct parser *p, struct ast **out)
{
    struct ast *n;
    TRY(check_name(p));
    TRY(node_new(p, AST_TYPED, &n));
    TRY(parse_name(p, &n->name));
    TRY(expect(p, ":"));
    TRY(parse_type(p, &n->type));
    *out = n;
    return OK;
}

enum err parse_schema(struct parser *p, struct ast **out)
{
    struct ast *n;
    TRY(node_new(p, AST_SCHEMA, &n));
    TRY(expect(p, "("));
    while (!at_token(p, ")")) {
        struct ast *column;
        if (accept(p, "*")) {
            n->is_open = true;
        } else {
            TRY(parse_typed_name(p, &column));
            TRY(list_add(p, &n->args, column));
        }
        if (!accept(p, ",")) break;
    }
    TRY(expect(p, ")"));
    *out = n;
    return OK;
}
