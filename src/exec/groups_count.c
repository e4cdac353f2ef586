/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec/groups_count.c - count() by one column, without a look at each row's group
 *
 * What is counted first is how often each code comes in the vector: the code in a dictionary, or the
 * place in the table of numbers met last. Then each code's group gets its sum. Groups are still met in
 * the order of rows.
 */
#include "exec/groups.h"

#define CODES_MAX 1024 /* of a dictionary: more are not counted beforehand */

static void add(const struct groups_plan *p, struct group *g, uint32_t rows)
{
    for (uint32_t i = 0; i < p->n_aggs; i++) {
        if (p->wanted[i]) *(int64_t *)groups_state(p, g, i) += rows;
    }
}

/* Two counters per code: the same code often comes twice in a row, and would wait for itself. */
static enum err count_codes(const struct groups_plan *p, struct groups *t, struct worker *w,
                            const struct vec *part)
{
    uint32_t times[2][CODES_MAX], n_codes = part->dict->n;
    struct group **of_code;
    bool all_met = true;
    TRY(groups_of_dict(t, w, part->dict, &of_code));
    memset(times[0], 0, n_codes * sizeof times[0][0]);
    memset(times[1], 0, n_codes * sizeof times[1][0]);
    for (uint32_t i = 0; i < part->n; i++)
        times[i & 1][part->codes[i]]++;
    for (uint32_t c = 0; c < n_codes; c++) {
        times[0][c] += times[1][c];
        all_met &= times[0][c] == 0 || of_code[c] != NULL;
    }
    for (uint32_t i = 0; !all_met && i < part->n; i++) {
        if (of_code[part->codes[i]] == NULL) TRY(groups_meet_code(p, t, w, part, i));
    }
    for (uint32_t c = 0; c < n_codes; c++) {
        if (times[0][c] != 0) add(p, of_code[c], times[0][c]);
    }
    return OK;
}

/* A number whose place is taken is counted at once. Where many are, the table begins anew. */
static enum err count_words(const struct groups_plan *p, struct groups *t, struct worker *w,
                            const struct vec *part, uint32_t n)
{
    const uint64_t *data = part->data;
    uint32_t times[2][GROUP_WORDS] = {0}, strangers = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = groups_word_place(data[i]);
        struct word_memo *m = &t->words[at];
        if (m->bits == data[i] && m->group != NULL) {
            times[i & 1][at]++;
            continue;
        }
        struct group *g;
        TRY(groups_meet_word(p, t, w, part, i, &g));
        add(p, g, 1);
        if (m->group == NULL)
            *m = (struct word_memo){data[i], g};
        else
            strangers++;
    }
    for (uint32_t at = 0; at < GROUP_WORDS; at++) {
        uint32_t sum = times[0][at] + times[1][at];
        if (sum != 0) add(p, t->words[at].group, sum);
    }
    if (strangers > n / 4) memset(t->words, 0, sizeof t->words);
    return OK;
}

bool groups_only_count(const struct groups_plan *p)
{
    for (uint32_t i = 0; i < p->n_aggs; i++) {
        if (p->wanted[i] && !p->aggs[i].call.agg->counts_rows) return false;
    }
    return p->n_keys == 1;
}

enum err groups_count(const struct groups_plan *p, struct groups *t, struct worker *w,
                      const struct vec *part, uint32_t n, bool *done)
{
    bool by_code = part->shape == VEC_DICT && part->nulls == NULL && part->dict->n <= CODES_MAX &&
                   dict_of_unit(w, part->dict); /* (6) */
    bool by_word = part->shape == VEC_FLAT && part->nulls == NULL && groups_is_word(part->type);
    *done = by_code || by_word;
    if (by_code) return count_codes(p, t, w, part);
    return by_word ? count_words(p, t, w, part, n) : OK;
}
