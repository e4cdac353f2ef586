/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec/parse.c - parse and parse-where: columns cut out of a text by a pattern
 *
 * simple and relaxed look for the pattern's texts one after the other, from the start to the very
 * end of the source; a column is what lies between two of them. A number before a star ends where
 * its digits do. regex makes one expression of the pattern, which must match the whole source: a
 * column is (.*), or digits for a whole number, and a star is .*?
 *
 * A row that does not match keeps its place (parse) with "" and nulls, or goes (parse-where). A
 * value that does not convert is null, and with simple the whole row then does not match.
 */
#include "exec/run.h"
#include "func/kernel.h"
#include "func/regex.h"

#include <stdio.h>

struct parser {
    struct stage stage;
    const struct op *op;
    const bool *needed;
    uint32_t n_columns;
    const struct parse_item **columns; /* the items that are columns */
    struct regex *regex;               /* of mode regex */
    int *groups;                       /* per column */
};

struct closer { /* gives the expression back when the pipeline ends */
    struct leg leg;
    struct parser *parser;
};

/* --- simple and relaxed ---------------------------------------------------------------------- */

static bool is_whole(enum type t)
{
    return t == T_INT || t == T_LONG;
}

static size_t digits(struct bytes s)
{
    size_t n = s.len != 0 && s.p[0] == '-';
    while (n < s.len && s.p[n] >= '0' && s.p[n] <= '9')
        n++;
    return n;
}

/* The end of item i's part of s, which begins there. false: no match. */
static bool part_of(const struct op *op, uint32_t i, struct bytes s, size_t *len)
{
    const struct parse_item *item = &op->parse.items[i];
    if (item->kind == PARSE_TEXT) {
        *len = item->text.len;
        return s.len >= *len && memcmp(s.p, item->text.p, *len) == 0;
    }
    if (i + 1 == op->parse.n) {
        *len = s.len;
        return true;
    }
    const struct parse_item *next = &op->parse.items[i + 1];
    if (next->kind != PARSE_TEXT) {
        bool whole = item->kind == PARSE_COLUMN && is_whole(op->schema.cols[item->column].type);
        *len = whole ? digits(s) : 0;
        return true;
    }
    const uint8_t *at =
        next->text.len == 0 ? s.p : memmem(s.p, s.len, next->text.p, next->text.len);
    if (at == NULL) return false;
    *len = (size_t)(at - s.p);
    return true;
}

static bool match_texts(const struct parser *p, struct bytes s, struct bytes *found)
{
    for (uint32_t i = 0; i < p->op->parse.n; i++) {
        size_t len;
        if (s.p == NULL) s = BYTES("");
        if (!part_of(p->op, i, s, &len)) return false;
        if (p->op->parse.items[i].kind == PARSE_COLUMN) *found++ = bytes_of(s.p, len);
        s = bytes_of(s.p + len, s.len - len);
    }
    return s.len == 0;
}

/* --- regex ----------------------------------------------------------------------------------- */

static bool match_regex(const struct parser *p, struct bytes s, struct bytes *found)
{
    struct bytes groups[REGEX_GROUPS_MAX];
    if (!regex_find(p->regex, s, 0, groups, REGEX_GROUPS_MAX)) return false;
    for (uint32_t i = 0; i < p->n_columns; i++)
        found[i] = groups[p->groups[i]];
    return true;
}

static const char *group_of(enum type t)
{
    if (is_whole(t)) return "-?\\d+";
    return t == T_REAL || t == T_DECIMAL ? "[-+]?[\\d.]+(?:[eE][-+]?\\d+)?" : ".*";
}

static enum err compile(struct parser *p, struct diag *d)
{
    CLEANUP_BUF struct buf b = {0};
    const struct op *op = p->op;
    if (op->parse.flags[0] != 0) buf_fmt(&b, "(?%s)", op->parse.flags);
    buf_str(&b, "\\A");
    uint32_t n = 0;
    for (uint32_t i = 0; i < op->parse.n; i++) {
        const struct parse_item *item = &op->parse.items[i];
        if (item->kind == PARSE_STAR)
            buf_str(&b, ".*?");
        else if (item->kind == PARSE_TEXT)
            buf_bytes(&b, item->text);
        else
            buf_fmt(&b, "(?P<kql%u>%s)", n++, group_of(op->schema.cols[item->column].type));
    }
    buf_str(&b, "\\z");
    TRY(buf_check(&b, d));
    TRY(regex_get(buf_view(&b), &p->regex, d));
    for (uint32_t i = 0; i < n; i++) {
        char name[16];
        snprintf(name, sizeof name, "kql%u", i);
        p->groups[i] = regex_group_named(p->regex, bytes_str(name));
        if (p->groups[i] < 0 || p->groups[i] >= REGEX_GROUPS_MAX) {
            return FAIL(d, ERR_LIMIT, "parse: more than %d groups in one expression",
                        REGEX_GROUPS_MAX - 1);
        }
    }
    return OK;
}

/* --- rows ------------------------------------------------------------------------------------ */

static void put_nothing(const struct parser *p, struct vecb *cols)
{
    for (uint32_t i = 0; i < p->n_columns; i++)
        vecb_null(&cols[i]);
}

/* Converts what was found. False: with simple, one of them does not. */
static bool convert(const struct parser *p, struct arena *a, const struct bytes *found,
                    struct value *out)
{
    bool all = true;
    for (uint32_t i = 0; i < p->n_columns; i++) {
        struct value text = {.type = T_STRING, .s = found[i]};
        enum type t = p->op->schema.cols[p->columns[i]->column].type;
        all &= value_cast(&text, t, a, &out[i]) && (!out[i].is_null || t == T_STRING);
    }
    return all || p->op->parse.mode != PARSE_SIMPLE;
}

static bool parse_row(const struct parser *p, struct arena *a, struct bytes s, struct bytes *found,
                      struct value *values, struct vecb *cols)
{
    bool match = p->regex != NULL ? match_regex(p, s, found) : match_texts(p, s, found);
    if (!match || !convert(p, a, found, values)) return false;
    for (uint32_t i = 0; i < p->n_columns; i++)
        vecb_value_borrow(&cols[i], &values[i]);
    return true;
}

static enum err push_parsed(const struct parser *p, struct worker *w, const struct batch *in,
                            const uint32_t *rows, uint32_t n, struct vecb *parsed)
{
    struct arena *a = &w->scratch.a;
    uint32_t n_cols = p->op->schema.n;
    struct vec *cols = arena_array(a, struct vec, n_cols);
    if (cols == NULL) return query_full(w->q, &w->d);
    for (uint32_t i = 0; i < n_cols; i++) {
        cols[i] = vec_absent(p->op->schema.cols[i].type, n);
        if (!p->needed[i] || i >= in->n_cols) continue;
        if (n == in->n_rows)
            cols[i] = in->cols[i];
        else
            TRY(vec_select(a, &in->cols[i], rows, n, &cols[i], &w->d));
    }
    for (uint32_t i = 0; i < p->n_columns; i++) {
        TRY(vecb_finish(&parsed[i], &cols[p->columns[i]->column], &w->d));
    }
    struct batch out = {.n_rows = n, .n_cols = n_cols, .cols = cols};
    return stage_push(p->stage.next, w, &out);
}

static enum err parse_push(const struct stage *s, struct worker *w, const struct batch *in)
{
    const struct parser *p = (const struct parser *)s;
    struct arena *a = &w->scratch.a;
    struct vecb *parsed = arena_array(a, struct vecb, p->n_columns);
    struct bytes *found = arena_array(a, struct bytes, p->n_columns);
    struct value *values = arena_array(a, struct value, p->n_columns);
    uint32_t *rows = arena_array(a, uint32_t, in->n_rows), n = 0;
    if (parsed == NULL || found == NULL || values == NULL || rows == NULL) {
        return query_full(w->q, &w->d);
    }
    for (uint32_t i = 0; i < p->n_columns; i++) {
        vecb_init(&parsed[i], a, p->op->schema.cols[p->columns[i]->column].type, in->n_rows);
    }
    struct vec source;
    TRY(eval(w, p->op->parse.source, in, &source));
    for (uint32_t i = 0; i < in->n_rows; i++) {
        bool ok = parse_row(p, a, vec_str(&source, i), found, values, parsed);
        if (!ok && p->op->parse.where) continue;
        if (!ok) put_nothing(p, parsed);
        rows[n++] = i;
    }
    return push_parsed(p, w, in, rows, n, parsed);
}

static void closer_close(struct leg *l, struct query *q)
{
    (void)q;
    regex_put(((struct closer *)l)->parser->regex);
}

enum err parse_stage(struct pipeline *pipeline, const struct op *op, const bool *needed,
                     const struct stage *next, const struct stage **out, struct diag *d)
{
    struct arena *a = &pipeline->q->mem.a;
    struct parser *p = arena_new(a, struct parser);
    struct closer *c = arena_new(a, struct closer);
    if (p == NULL || c == NULL) return query_full(pipeline->q, d);
    *p = (struct parser){.stage = {parse_push, next}, .op = op, .needed = needed};
    p->columns = arena_array(a, const struct parse_item *, op->parse.n);
    p->groups = arena_array(a, int, op->parse.n);
    if (p->columns == NULL || p->groups == NULL) return query_full(pipeline->q, d);
    for (uint32_t i = 0; i < op->parse.n; i++) {
        const struct parse_item *item = &op->parse.items[i];
        if (item->kind == PARSE_COLUMN) p->columns[p->n_columns++] = item;
    }
    *c = (struct closer){.leg = {.close = closer_close}, .parser = p};
    pipeline_add(pipeline, &c->leg);
    if (op->parse.mode == PARSE_REGEX) TRY(compile(p, d));
    *out = &p->stage;
    return OK;
}
