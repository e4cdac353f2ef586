/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kql/lex.h - text to tokens
 *
 * A token is a span of the text; what it means (the value of a literal, the characters of a string)
 * is read by literal.c when the parser asks for it. Keywords are names: which of them are special
 * depends on where they stand. `in~`, `!in`, `!has_cs` and the like are single names. A type name
 * before an opening parenthesis swallows all up to the closing one: datetime(2020-01-01) is one
 * token.
 */
#pragma once

#include "base/arena.h"

enum tok_kind {
    TOK_END,
    TOK_NAME,
    TOK_STRING,
    TOK_LONG,
    TOK_REAL,
    TOK_TIMESPAN,
    TOK_TYPED, /* long(1): the type's name and the raw text in its parentheses */
    TOK_PUNCT, /* one or two characters */
};

struct token {
    enum tok_kind kind;
    uint32_t pos, len;
    uint32_t name_len; /* TYPED: of the type's name */
    bool spaced;       /* white space or a comment stands before it */
};

/* The last token is TOK_END. */
enum err kql_lex(struct arena *a, struct bytes text, struct token **out, uint32_t *n,
                 struct diag *d);

/* Sets the position that goes with a failure, unless an earlier failure has one. */
static inline struct diag *diag_at(struct diag *d, uint32_t pos)
{
    if (d != NULL && d->code == OK) d->pos = (int32_t)pos;
    return d;
}
