/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec/whole_text_patterns.c - diffpatterns_text: words at their places that tell two sets apart
 *
 * The places are the dimensions of diffpatterns (whole_patterns.c), words are what white space
 * separates. Patterns that the condition makes more frequent come first. Columns: text, condition;
 * constants: threshold, words that are looked at, words at least.
 */
#include "exec/pattern.h"

#include <math.h>
#include <stdlib.h>

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The next word of the text, from *at on; len 0: there is none. */
static struct bytes next_word(struct bytes text, size_t *at)
{
    while (*at < text.len && is_space(text.p[*at]))
        ++*at;
    size_t from = *at;
    while (*at < text.len && !is_space(text.p[*at]))
        ++*at;
    return bytes_of(text.p + from, *at - from);
}

/* Place by place: `at` is how far each text has been read. */
static enum err read_places(struct miner *m)
{
    struct whole *w = m->w;
    uint32_t *numbers = arena_array(&w->m->a, uint32_t, (size_t)w->n + 1);
    size_t *at = arena_array(&w->m->a, size_t, (size_t)w->n + 1);
    if (numbers == NULL || at == NULL) return ERR_LIMIT;
    for (uint32_t d = 0; d < m->n_dims; d++) {
        struct numbering words = whole_numbering(w);
        for (uint32_t i = 0; i < w->n; i++) {
            struct bytes word = next_word(vec_str(&w->cols[0], i), &at[i]);
            numbers[i] = UINT32_MAX;
            if (word.len > 0) TRY(number_of(&words, word, false, &numbers[i]));
        }
        TRY(miner_dimension(m, d, numbers, words.n));
    }
    return miner_pack(m);
}

static enum err read_texts(struct whole *w, struct miner *m)
{
    uint8_t *sides = arena_array(&w->m->a, uint8_t, (size_t)w->n + 1);
    double *weights = arena_array(&w->m->a, double, (size_t)w->n + 1);
    if (sides == NULL || weights == NULL) return ERR_LIMIT;
    for (uint32_t i = 0; i < w->n; i++) {
        weights[i] = 1;
        sides[i] = vec_null(&w->cols[1], i) || !vec_bool(&w->cols[1], i);
    }
    m->sides = sides;
    m->weights = weights;
    TRY(miner_open(m, w->consts[0].r));
    return read_places(m);
}

static struct bytes word_of(const struct miner *m, const struct pattern *p, uint32_t place)
{
    size_t at = 0;
    struct bytes text = vec_str(&m->w->cols[0], m->dims[place].first_rows[p->items[place] - 1]);
    struct bytes word = next_word(text, &at);
    for (uint32_t i = 0; i < place; i++)
        word = next_word(text, &at);
    return word;
}

/* One star behind the last word stands for all that follows, if that is looked at. */
static enum err put_text(const struct miner *m, const struct pattern *p, struct vecb *out)
{
    CLEANUP_BUF struct buf text = {0};
    uint32_t last = 0;
    for (uint32_t c = 0; c < m->n_dims; c++)
        last = p->items[c] != ITEM_STAR ? c : last;
    for (uint32_t c = 0; c <= last; c++) {
        if (c > 0) buf_u8(&text, ' ');
        buf_bytes(&text, p->items[c] != ITEM_STAR ? word_of(m, p, c) : BYTES("*"));
    }
    if (last + 1 < m->n_dims) buf_str(&text, " *");
    vecb_str(out, buf_view(&text));
    return buf_check(&text, m->w->d);
}

static int by_signed_difference(const void *x, const void *y, void *miner)
{
    const struct miner *m = miner;
    const struct scored *a = x, *b = y;
    double da = pattern_percent(m, &a->p, 0) - pattern_percent(m, &a->p, 1);
    double db = pattern_percent(m, &b->p, 0) - pattern_percent(m, &b->p, 1);
    if (da != db) return da > db ? -1 : 1;
    return pattern_cmp(m, &a->p, &b->p);
}

static enum err check_args(struct whole *w)
{
    const struct value *share = &w->consts[0], *most = &w->consts[1], *least = &w->consts[2];
    if (share->is_null || !(share->r >= SHARE_MIN && share->r <= 1)) {
        return FAIL(w->d, ERR_INVALID,
                    "diffpatterns_text: the threshold must be between %.3f and 1", SHARE_MIN);
    }
    if (most->is_null || most->i < 1 || most->i > DIMS_MAX || least->is_null || least->i < 1 ||
        least->i >= 200) {
        return FAIL(w->d, ERR_INVALID,
                    "diffpatterns_text: the words of a pattern must be 1 to %d at most, 1 to 199 "
                    "at least",
                    DIMS_MAX);
    }
    return OK;
}

enum err whole_text_patterns(struct whole *w)
{
    struct found f;
    TRY(check_args(w));
    struct miner m = {.w = w, .n_sides = 2, .n_input = w->n, .n_dims = (uint32_t)w->consts[1].i};
    TRY(read_texts(w, &m));
    TRY(found_closed(&m, UINT32_MAX, &f));
    TRY(found_differing(&m, w->consts[0].r, (uint32_t)w->consts[2].i, &f));
    if (f.n > 1) qsort_r(f.at, f.n, sizeof *f.at, by_signed_difference, &m);
    for (uint32_t i = 0; i < f.n; i++) {
        for (uint32_t side = 0; side < 2; side++) {
            vecb_i64(&w->out[side], llround(f.at[i].p.weight[side]));
            vecb_r64(&w->out[2 + side], pattern_percent(&m, &f.at[i].p, side));
        }
        TRY(put_text(&m, &f.at[i].p, &w->out[4]));
    }
    return whole_check(w);
}
