/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec/whole_reduce.c - reduce: texts whose frequent words are the same become one pattern
 *
 * As in the paper that the documentation names (Vaarandi, A Data Clustering Algorithm for Mining
 * Patterns From Event Logs, 2003): a word is frequent at its place when enough rows have it there; a
 * row's pattern is its frequent words with stars between; patterns of enough rows are clusters, and
 * all other rows are `others`. Enough: the threshold's share of the rows, and two.
 *
 * What the paper leaves open is as the documentation's examples show: a word of digits alone is a
 * star, a star swallows separators that are letters or digits, and a text without a frequent word
 * is of the others. Behind the last frequent word one star stands for everything.
 *
 * (1) A row matches its pattern, where a star is any text.
 *
 * Columns: what kind=source keeps, then the text. Constants: threshold; separators, "" = all of
 * ASCII that is no letter and no digit.
 */
#include "exec/whole.h"

#include <math.h>
#include <stdlib.h>

#define PLACES_MAX 1024 /* words of a text that are looked at; what is behind is under a star */

struct piece { /* a word, and the separators before it */
    struct bytes gap, word;
};

struct reducer {
    struct whole *w;
    const struct vec *text;
    struct bytes separators;
    uint64_t least;         /* rows */
    struct numbering words; /* place and word */
    uint64_t *word_rows;    /* by number */
    uint32_t cap_words;
    struct piece *pieces; /* of the text under way */
    uint32_t n_pieces;
    struct bytes tail; /* separators behind the last word, or all that is not looked at */
    bool cut;          /* there were more than PLACES_MAX words */
    struct buf key, pattern;
};

struct cluster {
    uint64_t rows;
    uint32_t first; /* row */
    uint32_t pattern;
};

/* --- words ------------------------------------------------------------------------------------ */

static bool is_alnum(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Bytes of the character at p. */
static size_t char_len(struct bytes s, size_t at)
{
    size_t n = 1;
    while (at + n < s.len && (s.p[at + n] & 0xC0) == 0x80)
        n++;
    return n;
}

static bool is_separator(const struct reducer *r, const uint8_t *c, size_t len)
{
    if (r->separators.len == 0) return c[0] < 0x80 && !is_alnum(c[0]);
    for (size_t i = 0, n; i < r->separators.len; i += n) {
        n = char_len(r->separators, i);
        if (n == len && memcmp(r->separators.p + i, c, len) == 0) return true;
    }
    return false;
}

/* The bytes from `at` on that are all separators, or all none. */
static struct bytes run_of(const struct reducer *r, struct bytes s, size_t at, bool separators)
{
    size_t end = at;
    while (end < s.len) {
        size_t n = char_len(s, end);
        if (is_separator(r, s.p + end, n) != separators) break;
        end += n;
    }
    return bytes_of(s.p + at, end - at);
}

static void split(struct reducer *r, struct bytes s)
{
    size_t at = 0;
    r->n_pieces = 0;
    r->cut = false;
    for (;;) {
        struct bytes gap = run_of(r, s, at, true);
        struct bytes word = run_of(r, s, at + gap.len, false);
        r->tail = gap;
        if (word.len == 0) return;
        r->cut = r->n_pieces == PLACES_MAX;
        if (r->cut) return;
        r->pieces[r->n_pieces++] = (struct piece){gap, word};
        at += gap.len + word.len;
    }
}

static bool is_number(struct bytes word)
{
    for (size_t i = 0; i < word.len; i++) {
        if (word.p[i] < '0' || word.p[i] > '9') return false;
    }
    return true;
}

static struct bytes word_key(struct reducer *r, uint32_t place)
{
    buf_clear(&r->key);
    buf_u16(&r->key, (uint16_t)place);
    buf_bytes(&r->key, r->pieces[place].word);
    return buf_view(&r->key);
}

static enum err count_words(struct reducer *r, uint64_t rows)
{
    for (uint32_t i = 0; i < r->n_pieces; i++) {
        uint32_t number;
        if (is_number(r->pieces[i].word)) continue;
        TRY(number_of(&r->words, word_key(r, i), true, &number));
        if (number >= r->cap_words) {
            uint64_t *wide = arena_array(&r->w->m->a, uint64_t, r->words.cap);
            if (wide == NULL) return ERR_LIMIT;
            if (r->cap_words > 0) memcpy(wide, r->word_rows, r->cap_words * sizeof *wide);
            r->word_rows = wide;
            r->cap_words = r->words.cap;
        }
        r->word_rows[number] += rows;
    }
    return buf_check(&r->key, r->w->d);
}

static bool is_frequent(struct reducer *r, uint32_t place)
{
    uint32_t number;
    return !is_number(r->pieces[place].word) &&
           number_find(&r->words, word_key(r, place), &number) && r->word_rows[number] >= r->least;
}

/* --- patterns --------------------------------------------------------------------------------- */

/* Separators between what may be stars, each of which swallows the letters and digits beside it. */
static void put_gap(struct reducer *r, struct bytes gap, bool star_before, bool star_after)
{
    while (star_before && gap.len > 0 && is_alnum(gap.p[0]))
        gap = bytes_of(gap.p + 1, gap.len - 1);
    while (star_after && gap.len > 0 && is_alnum(gap.p[gap.len - 1]))
        gap.len--;
    buf_bytes(&r->pattern, gap);
}

static void put_star(struct reducer *r)
{
    bool there = r->pattern.len > 0 && r->pattern.p[r->pattern.len - 1] == '*';
    if (!there) buf_u8(&r->pattern, '*');
}

/* The pattern of the text that is split; false: it has no frequent word. */
static bool make_pattern(struct reducer *r)
{
    uint32_t last = UINT32_MAX;
    bool star = false;
    for (uint32_t i = r->n_pieces; i-- > 0 && last == UINT32_MAX;)
        last = is_frequent(r, i) ? i : last;
    buf_clear(&r->pattern);
    if (last == UINT32_MAX) {
        if (r->n_pieces == 0) buf_bytes(&r->pattern, r->tail); /* nothing but separators */
        return r->n_pieces == 0;
    }
    for (uint32_t i = 0; i <= last; i++) {
        bool before = star;
        star = !is_frequent(r, i);
        put_gap(r, r->pieces[i].gap, before, star);
        if (star)
            put_star(r);
        else
            buf_bytes(&r->pattern, r->pieces[i].word);
    }
    bool more = last + 1 < r->n_pieces;
    put_gap(r, more ? r->pieces[last + 1].gap : r->tail, false, more || r->cut);
    if (more || r->cut) put_star(r);
    return true;
}

/* --- the operator ----------------------------------------------------------------------------- */

static int by_rows(const void *x, const void *y)
{
    const struct cluster *a = x, *b = y;
    if (a->rows != b->rows) return a->rows > b->rows ? -1 : 1;
    return a->first < b->first ? -1 : 1;
}

struct answer {
    struct numbering texts, patterns;
    uint32_t *text_of;        /* per row */
    uint64_t *text_rows;      /* per text */
    uint32_t *text_first;     /* per text: row */
    uint32_t *pattern_of;     /* per text; NONE: of the others */
    struct cluster *clusters; /* per pattern, and one for the others behind them */
};
#define NONE UINT32_MAX

static enum err read_texts(struct reducer *r, struct answer *a)
{
    struct whole *w = r->w;
    struct arena *arena = &w->m->a;
    a->texts = a->patterns = r->words = whole_numbering(w);
    a->text_of = arena_array(arena, uint32_t, w->n + 1);
    if (a->text_of == NULL) return ERR_LIMIT;
    for (uint32_t i = 0; i < w->n; i++) {
        if (i % 1024 == 0) TRY(whole_check(w));
        TRY(number_of(&a->texts, vec_str(r->text, i), false, &a->text_of[i]));
    }
    uint32_t n = a->texts.n;
    a->text_rows = arena_array(arena, uint64_t, n + 1);
    a->text_first = arena_array(arena, uint32_t, n + 1);
    a->pattern_of = arena_array(arena, uint32_t, n + 1);
    a->clusters = arena_array(arena, struct cluster, n + 1);
    r->pieces = arena_array(arena, struct piece, PLACES_MAX);
    if (a->text_rows == NULL || a->text_first == NULL || a->pattern_of == NULL ||
        a->clusters == NULL || r->pieces == NULL)
        return ERR_LIMIT;
    for (uint32_t i = w->n; i-- > 0;) {
        a->text_rows[a->text_of[i]]++;
        a->text_first[a->text_of[i]] = i;
    }
    for (uint32_t t = 0; t < n; t++) {
        if (t % 1024 == 0) TRY(whole_check(w));
        split(r, a->texts.keys[t]);
        TRY(count_words(r, a->text_rows[t]));
    }
    return OK;
}

/* Texts come in the order of their first rows, so a pattern's first row is that of its first text. */
static enum err find_clusters(struct reducer *r, struct answer *a)
{
    for (uint32_t t = 0; t < a->texts.n; t++) {
        if (t % 1024 == 0) TRY(whole_check(r->w));
        split(r, a->texts.keys[t]);
        a->pattern_of[t] = NONE;
        if (!make_pattern(r)) continue;
        TRY(buf_check(&r->pattern, r->w->d));
        TRY(number_of(&a->patterns, buf_view(&r->pattern), true, &a->pattern_of[t]));
        struct cluster *c = &a->clusters[a->pattern_of[t]];
        if (c->rows == 0) c->first = a->text_first[t];
        c->pattern = a->pattern_of[t];
        c->rows += a->text_rows[t];
    }
    struct cluster *others = &a->clusters[a->patterns.n];
    others->pattern = NONE;
    for (uint32_t t = 0; t < a->texts.n; t++) {
        uint32_t p = a->pattern_of[t];
        if (p != NONE && a->clusters[p].rows >= r->least) continue;
        a->pattern_of[t] = NONE;
        others->rows += a->text_rows[t];
    }
    return OK;
}

static void put_cluster(const struct reducer *r, const struct answer *a, const struct cluster *c)
{
    struct vecb *out = &r->w->out[r->w->op->schema.n - 3];
    bool others = c->pattern == NONE;
    vecb_str_borrow(&out[0], others ? BYTES("others") : a->patterns.keys[c->pattern]);
    vecb_i64(&out[1], (int64_t)c->rows);
    vecb_str_borrow(&out[2], others ? BYTES("") : vec_str(r->text, c->first));
}

static enum err put_rows(const struct reducer *r, const struct answer *a)
{
    struct whole *w = r->w;
    for (uint32_t i = 0; i < w->n; i++) {
        if (i % 1024 == 0) TRY(whole_check(w));
        uint32_t p = a->pattern_of[a->text_of[i]];
        for (uint32_t c = 0; c + 3 < w->op->schema.n; c++)
            whole_copy(w, c, &w->cols[c], i);
        put_cluster(r, a, &a->clusters[p != NONE ? p : a->patterns.n]);
    }
    return OK;
}

static void put_clusters(const struct reducer *r, const struct answer *a)
{
    if (a->patterns.n > 1) qsort(a->clusters, a->patterns.n, sizeof *a->clusters, by_rows);
    for (uint32_t i = 0; i < a->patterns.n && a->clusters[i].rows >= r->least; i++)
        put_cluster(r, a, &a->clusters[i]);
    if (a->clusters[a->patterns.n].rows > 0) put_cluster(r, a, &a->clusters[a->patterns.n]);
}

static enum err reduce(struct reducer *r)
{
    struct answer a = {0};
    TRY(read_texts(r, &a));
    TRY(find_clusters(r, &a));
    if (r->w->op->schema.n > 3) return put_rows(r, &a);
    put_clusters(r, &a);
    return OK;
}

enum err whole_reduce(struct whole *w)
{
    const struct value *threshold = &w->consts[0];
    struct reducer r = {
        .w = w, .text = &w->cols[w->op->input->schema.n - 1], .separators = w->consts[1].s};
    if (threshold->is_null || !(threshold->r >= 0 && threshold->r <= 1)) {
        return FAIL(w->d, ERR_INVALID, "reduce: the threshold must be between 0 and 1");
    }
    double least = ceil(threshold->r * w->n - 1e-9);
    r.least = least > 2 ? (uint64_t)least : 2;
    enum err e = reduce(&r);
    buf_release(&r.key);
    buf_release(&r.pattern);
    return e;
}
