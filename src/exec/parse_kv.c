/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec/parse_kv.c - parse-kv: values of named keys in a text
 *
 * With delimiters, a pair is a key, the delimiter of keys, and a value up to the delimiter of
 * pairs, blanks around both left out; greedy lets a value run on to the last delimiter before the
 * next key. Without, anything that is no letter or digit separates words, and the word behind a key
 * is its value. With a regex each match is a pair. A key or value that begins with an opening quote
 * ends at the closing one. Of several values of a key the first counts.
 */
#include "exec/run.h"
#include "func/kernel.h"
#include "func/regex.h"

struct kv {
    struct stage stage;
    const struct op *op;
    const bool *needed;
    struct bytes pair, colon, quotes, escapes;
};

struct kv_reader {
    const struct kv *k;
    struct arena *a; /* for texts without their escapes */
    struct bytes s;
    size_t at;
};

/* --- pieces ---------------------------------------------------------------------------------- */

static bool starts(struct bytes s, size_t at, struct bytes what)
{
    return what.len != 0 && s.len - at >= what.len && memcmp(s.p + at, what.p, what.len) == 0;
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void skip_blanks(struct kv_reader *r)
{
    while (r->at < r->s.len && is_blank(r->s.p[r->at]))
        r->at++;
}

static struct bytes trim_end(struct bytes s)
{
    while (s.len != 0 && is_blank(s.p[s.len - 1]))
        s.len--;
    return s;
}

static bool is_escape(const struct kv *k, uint8_t c)
{
    return k->escapes.len != 0 && memchr(k->escapes.p, c, k->escapes.len) != NULL;
}

/* At an opening quote whose closing one is there: what is between them, and at goes behind it. */
static bool quoted(struct kv_reader *r, struct bytes *out)
{
    const struct kv *k = r->k;
    uint8_t close = 0;
    for (size_t i = 0; i + 1 < k->quotes.len && r->at < r->s.len; i += 2) {
        if (r->s.p[r->at] == k->quotes.p[i]) close = k->quotes.p[i + 1];
    }
    if (close == 0) return false;
    uint8_t *text = arena_alloc(r->a, r->s.len - r->at);
    size_t n = 0, i = r->at + 1;
    for (; text != NULL && i < r->s.len && r->s.p[i] != close; i++) {
        if (is_escape(k, r->s.p[i]) && i + 1 < r->s.len) i++;
        text[n++] = r->s.p[i];
    }
    if (text == NULL || i >= r->s.len) return false;
    *out = bytes_of(text, n);
    r->at = i + 1;
    return true;
}

/* --- with delimiters ------------------------------------------------------------------------- */

static struct bytes read_key(struct kv_reader *r)
{
    struct bytes key;
    if (quoted(r, &key)) return key;
    size_t from = r->at;
    while (r->at < r->s.len && !starts(r->s, r->at, r->k->pair) &&
           !starts(r->s, r->at, r->k->colon))
        r->at++;
    return trim_end(bytes_of(r->s.p + from, r->at - from));
}

/* Where a greedy value ends: at the last delimiter of pairs before the next delimiter of keys. */
static size_t greedy_end(const struct kv_reader *r)
{
    size_t end = r->s.len;
    bool seen = false;
    for (size_t i = r->at; i < r->s.len; i++) {
        if (starts(r->s, i, r->k->colon)) return seen ? end : r->s.len;
        if (!starts(r->s, i, r->k->pair)) continue;
        end = i;
        seen = true;
    }
    return r->s.len;
}

static struct bytes read_value(struct kv_reader *r)
{
    struct bytes value;
    skip_blanks(r);
    if (quoted(r, &value)) return value;
    size_t from = r->at;
    if (r->k->op->parse_kv.greedy) r->at = greedy_end(r);
    while (r->at < r->s.len && !starts(r->s, r->at, r->k->pair))
        r->at++;
    return trim_end(bytes_of(r->s.p + from, r->at - from));
}

static bool next_delimited(struct kv_reader *r, struct bytes *key, struct bytes *value)
{
    while (r->at < r->s.len) {
        skip_blanks(r);
        size_t from = r->at;
        *key = read_key(r);
        skip_blanks(r);
        if (starts(r->s, r->at, r->k->colon)) {
            r->at += r->k->colon.len;
            *value = read_value(r);
            return true;
        }
        if (starts(r->s, r->at, r->k->pair)) {
            r->at += r->k->pair.len;
        } else if (r->at == from) {
            r->at++;
        }
    }
    return false;
}

/* --- without --------------------------------------------------------------------------------- */

static bool is_word(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c >= 0x80;
}

static bool next_word(struct kv_reader *r, struct bytes *out)
{
    while (r->at < r->s.len && !is_word(r->s.p[r->at])) {
        if (quoted(r, out)) return true;
        r->at++;
    }
    size_t from = r->at;
    while (r->at < r->s.len && is_word(r->s.p[r->at]))
        r->at++;
    *out = bytes_of(r->s.p + from, r->at - from);
    return out->len != 0;
}

static uint32_t find_key(const struct op *op, struct bytes key)
{
    uint32_t i = 0;
    while (i < op->parse_kv.n && !bytes_eq(key, bytes_str(op->parse_kv.keys[i].name)))
        i++;
    return i;
}

static bool next_undelimited(struct kv_reader *r, struct bytes *key, struct bytes *value)
{
    while (next_word(r, key)) {
        if (find_key(r->k->op, *key) < r->k->op->parse_kv.n) return next_word(r, value);
    }
    return false;
}

/* --- a row ----------------------------------------------------------------------------------- */

static bool next_match(struct kv_reader *r, struct regex *re, struct bytes *key,
                       struct bytes *value)
{
    struct bytes groups[3];
    if (r->at > r->s.len || !regex_find(re, r->s, r->at, groups, 3)) return false;
    r->at = regex_after(r->s, groups[0]);
    *key = groups[1];
    *value = groups[2];
    return true;
}

static bool next_pair(struct kv_reader *r, struct regex *re, struct bytes *key, struct bytes *value)
{
    if (re != NULL) return next_match(r, re, key, value);
    return r->k->pair.len != 0 ? next_delimited(r, key, value) : next_undelimited(r, key, value);
}

static void parse_row(struct kv_reader *r, struct regex *re, struct vecb *cols, bool *found)
{
    const struct op *op = r->k->op;
    struct bytes key, value;
    uint32_t left = op->parse_kv.n;
    memset(found, 0, op->parse_kv.n * sizeof *found);
    while (left > 0 && next_pair(r, re, &key, &value)) {
        uint32_t i = find_key(op, key);
        if (i == op->parse_kv.n || found[i]) continue;
        struct value from = {.type = T_STRING, .s = value}, to;
        found[i] = true;
        left--;
        if (value_cast(&from, cols[i].type, r->a, &to) && !to.is_null)
            vecb_value(&cols[i], &to);
        else
            vecb_null(&cols[i]);
    }
    for (uint32_t i = 0; i < op->parse_kv.n; i++) {
        if (!found[i]) vecb_null(&cols[i]);
    }
}

static enum err kv_push(const struct stage *s, struct worker *w, const struct batch *in)
{
    const struct kv *k = (const struct kv *)s;
    const struct op *op = k->op;
    struct arena *a = &w->scratch.a;
    struct vecb *parsed = arena_array(a, struct vecb, op->parse_kv.n);
    bool *found = arena_array(a, bool, op->parse_kv.n);
    struct vec *cols = arena_array(a, struct vec, op->schema.n), source;
    if (parsed == NULL || found == NULL || cols == NULL) return query_full(w->q, &w->d);
    for (uint32_t i = 0; i < op->parse_kv.n; i++)
        vecb_init(&parsed[i], a, op->schema.cols[op->parse_kv.keys[i].column].type, in->n_rows);

    CLEANUP_REGEX struct regex *re = NULL;
    if (op->parse_kv.regex != NULL) TRY(regex_get(bytes_str(op->parse_kv.regex), &re, &w->d));
    TRY(eval(w, op->parse_kv.source, in, &source));
    for (uint32_t i = 0; i < in->n_rows; i++) {
        struct kv_reader r = {.k = k, .a = a, .s = vec_str(&source, i)};
        parse_row(&r, re, parsed, found);
    }
    for (uint32_t i = 0; i < op->schema.n; i++)
        cols[i] = i < in->n_cols ? in->cols[i] : vec_absent(op->schema.cols[i].type, in->n_rows);
    for (uint32_t i = 0; i < op->parse_kv.n; i++)
        TRY(vecb_finish(&parsed[i], &cols[op->parse_kv.keys[i].column], &w->d));
    struct batch out = {.n_rows = in->n_rows, .n_cols = op->schema.n, .cols = cols};
    return stage_push(k->stage.next, w, &out);
}

enum err parse_kv_stage(struct query *q, const struct op *op, const bool *needed,
                        const struct stage *next, const struct stage **out, struct diag *d)
{
    struct kv *k = arena_new(&q->mem.a, struct kv);
    if (k == NULL) return query_full(q, d);
    *k = (struct kv){.stage = {kv_push, next}, .op = op, .needed = needed};
    k->pair = bytes_str(op->parse_kv.pair);
    k->colon = bytes_str(op->parse_kv.kv);
    k->quotes = bytes_str(op->parse_kv.quotes);
    k->escapes = bytes_str(op->parse_kv.escape);
    *out = &k->stage;
    return OK;
}
