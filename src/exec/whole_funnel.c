/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec/whole_funnel.c - funnel_sequence, funnel_sequence_completion: ids that went through states
 *
 * Columns: id, time, the state as text, the state (of funnel_sequence). Constants: start, end, then
 * the longest step, bin, sequence; or bin, sequence, periods. Events of an id follow each other by
 * time, those of one moment in the order of their rows. A sequence belongs to the bin of its first
 * event.
 *
 * funnel_sequence: events of the same state in a row are one stay; as in the printed tables no
 * state comes before or behind itself. The sequence's states follow each other without another
 * between, each no longer behind the end of the one before than the longest step. What comes
 * before and what behind is the next stay, if there is one.
 *
 * funnel_sequence_completion: others may stand between. A state counts for a period when it comes
 * no later behind the first state than the period.
 */
#include "exec/timeline.h"

#include "column/dyn.h"
#include "func/kernel.h"

#include <stdlib.h>

#define SAMPLES_MAX  128 /* ids of a row, as documented */
#define SEQUENCE_MAX 256 /* states; periods */
#define NO_STATE     UINT32_MAX

struct funnel_line {
    struct line l;
    struct numbering states;
    uint32_t *state_of; /* by row */
    uint32_t n;         /* the sequence: numbers of states, NO_STATE: nobody is in it */
    uint32_t sequence[SEQUENCE_MAX];
};

/* --- reading ---------------------------------------------------------------------------------- */

static enum err bad_sequence(const struct whole *w, const char *what)
{
    return FAIL(w->d, ERR_INVALID, "a funnel needs an array of 1 to %d %s", SEQUENCE_MAX, what);
}

static enum err read_sequence(struct funnel_line *f, const struct value *v)
{
    struct whole *w = f->l.w;
    struct dyn_iter it;
    struct bytes name, e;
    CLEANUP_BUF struct buf text = {0};
    bool array = !v->is_null && dyn_kind(v->s) == DYN_ARRAY && dyn_iter_init(&it, v->s);
    if (!array || it.left == 0 || it.left > SEQUENCE_MAX) return bad_sequence(w, "states");
    while (dyn_iter_next(&it, &name, &e)) {
        uint32_t *state = &f->sequence[f->n++];
        buf_clear(&text);
        dyn_to_string(e, &text);
        TRY(buf_check(&text, w->d));
        if (!number_find(&f->states, buf_view(&text), state)) *state = NO_STATE;
    }
    return OK;
}

/* Events by id and time, and what is looked for. */
static enum err read_funnel(struct funnel_line *f, struct whole *w, uint32_t step,
                            const struct value *sequence)
{
    *f = (struct funnel_line){.l = {.w = w}, .states = whole_numbering(w)};
    TRY(line_read(&f->l, step));
    line_keep(&f->l, false);
    line_sort(&f->l, line_by_id);
    f->state_of = arena_array(&w->m->a, uint32_t, (size_t)w->n + 1);
    if (f->state_of == NULL) return ERR_LIMIT;
    for (uint32_t i = 0; i < w->n; i++)
        TRY(number_of(&f->states, vec_str(&w->cols[2], i), false, &f->state_of[i]));
    return read_sequence(f, sequence);
}

/* Behind the last event of the id of event `from`. */
static uint32_t id_end(const struct line *l, uint32_t from)
{
    uint32_t end = from;
    while (end < l->n && l->events[end].id == l->events[from].id)
        end++;
    return end;
}

/* --- funnel_sequence -------------------------------------------------------------------------- */

struct stay { /* events of one state */
    uint32_t state, row;
    int64_t bin, first, last; /* the bin of the first event; times */
};

struct transition { /* a row of the answer */
    int64_t bin;
    uint32_t before, behind; /* rows whose states they are, NO_STATE */
    uint32_t met;            /* which came first */
    uint32_t last_id, n_samples, cap_samples;
    uint32_t *samples; /* rows of ids */
    uint64_t n_ids;
};

struct transitions {
    struct funnel_line f;
    const struct funnel *plan;
    struct numbering seen; /* bin, state before, state behind */
    struct transition *at; /* by number */
    uint32_t cap;
    struct stay *stays;
    uint32_t n_stays;
};

static void read_stays(struct transitions *t, uint32_t from, uint32_t end)
{
    const struct line *l = &t->f.l;
    t->n_stays = 0;
    for (uint32_t i = from; i < end; i++) {
        const struct event *e = &l->events[i];
        uint32_t state = t->f.state_of[e->row];
        struct stay *last = t->n_stays > 0 ? &t->stays[t->n_stays - 1] : NULL;
        if (last != NULL && last->state == state)
            last->last = e->time;
        else
            t->stays[t->n_stays++] = (struct stay){
                .state = state, .row = e->row, .bin = e->bin, .first = e->time, .last = e->time};
    }
}

static bool sequence_at(const struct transitions *t, uint32_t i)
{
    int64_t step = t->f.l.w->consts[2].i;
    if (t->f.n > t->n_stays - i) return false;
    for (uint32_t k = 0; k < t->f.n; k++) {
        const struct stay *s = &t->stays[i + k];
        if (s->state != t->f.sequence[k]) return false;
        if (k > 0 && time_between(s[-1].last, s->first) > step) return false;
    }
    return true;
}

static enum err add_sample(struct transitions *t, struct transition *x, uint32_t row)
{
    if (x->n_samples == SAMPLES_MAX) return OK;
    if (x->n_samples == x->cap_samples) {
        uint32_t cap = x->cap_samples == 0 ? 4 : x->cap_samples * 2;
        uint32_t *wide = arena_array(&t->f.l.w->m->a, uint32_t, cap);
        if (wide == NULL) return ERR_LIMIT;
        if (x->n_samples > 0) memcpy(wide, x->samples, x->n_samples * sizeof *wide);
        x->samples = wide;
        x->cap_samples = cap;
    }
    x->samples[x->n_samples++] = row;
    return OK;
}

/* The sequence at stay i, which is of id `id`. */
static enum err add_transition(struct transitions *t, uint32_t i, uint32_t id)
{
    const struct stay *before = i > 0 ? &t->stays[i - 1] : NULL;
    const struct stay *behind = i + t->f.n < t->n_stays ? &t->stays[i + t->f.n] : NULL;
    if (t->plan->table == FUNNEL_NEXT) before = NULL;
    if (t->plan->table == FUNNEL_PREVIOUS) behind = NULL;
    const int64_t key[3] = {t->stays[i].bin, before != NULL ? before->state : NO_STATE,
                            behind != NULL ? behind->state : NO_STATE};
    uint32_t number, n = t->seen.n;
    TRY(number_of(&t->seen, BYTES_OF(key), true, &number));
    if (number >= t->cap) {
        struct transition *wide = arena_array(&t->f.l.w->m->a, struct transition, t->seen.cap);
        if (wide == NULL) return ERR_LIMIT;
        if (n > 0) memcpy(wide, t->at, n * sizeof *wide);
        t->at = wide;
        t->cap = t->seen.cap;
    }
    struct transition *x = &t->at[number];
    if (number == n) {
        *x = (struct transition){.bin = key[0],
                                 .before = before != NULL ? before->row : NO_STATE,
                                 .behind = behind != NULL ? behind->row : NO_STATE,
                                 .met = number};
    } else if (x->last_id == id) {
        return OK;
    }
    x->last_id = id;
    x->n_ids++;
    return add_sample(t, x, t->stays[i].row);
}

static int by_bin_and_ids(const void *x, const void *y)
{
    const struct transition *a = x, *b = y;
    if (a->bin != b->bin) return a->bin < b->bin ? -1 : 1;
    if (a->n_ids != b->n_ids) return a->n_ids > b->n_ids ? -1 : 1;
    return a->met < b->met ? -1 : 1;
}

static void put_state(struct whole *w, uint32_t col, uint32_t row)
{
    if (row == NO_STATE)
        vecb_null(&w->out[col]);
    else
        whole_copy(w, col, &w->cols[3], row);
}

static enum err put_samples(struct whole *w, uint32_t col, const struct transition *x)
{
    CLEANUP_BUF struct buf ids = {0};
    size_t at = dyn_array_begin(&ids);
    for (uint32_t i = 0; i < x->n_samples; i++) {
        struct value id = vec_value(&w->cols[0], x->samples[i]);
        TRY(dyn_from_value(&id, &ids, w->d));
    }
    dyn_array_end(&ids, at, x->n_samples);
    vecb_str(&w->out[col], buf_view(&ids));
    return buf_check(&ids, w->d);
}

static enum err put_transitions(struct transitions *t)
{
    struct whole *w = t->f.l.w;
    if (t->seen.n > 1) qsort(t->at, t->seen.n, sizeof *t->at, by_bin_and_ids);
    for (uint32_t i = 0; i < t->seen.n; i++) {
        const struct transition *x = &t->at[i];
        uint32_t col = 0;
        line_put_time(&t->f.l, col++, x->bin);
        if (t->plan->table != FUNNEL_NEXT) put_state(w, col++, x->before);
        if (t->plan->table != FUNNEL_PREVIOUS) put_state(w, col++, x->behind);
        vecb_i64(&w->out[col++], (int64_t)x->n_ids);
        TRY(put_samples(w, col, x));
        if (i % 256 == 0) TRY(whole_check(w));
    }
    return OK;
}

enum err whole_funnel(struct whole *w)
{
    struct transitions t = {.plan = w->op->whole.more, .seen = whole_numbering(w)};
    TRY(read_funnel(&t.f, w, 3, &w->consts[4]));
    if (w->consts[2].is_null || w->consts[2].i < 0) return line_bad(&t.f.l);
    for (uint32_t k = 1; k < t.f.n; k++) {
        if (t.f.sequence[k] != t.f.sequence[k - 1] || t.f.sequence[k] == NO_STATE) continue;
        return FAIL(w->d, ERR_UNSUPPORTED,
                    "funnel_sequence: a state that follows itself in the sequence is not "
                    "supported: events of one state in a row are one");
    }
    t.stays = arena_array(&w->m->a, struct stay, (size_t)t.f.l.n + 1);
    if (t.stays == NULL) return ERR_LIMIT;
    for (uint32_t from = 0, end; from < t.f.l.n; from = end) {
        end = id_end(&t.f.l, from);
        read_stays(&t, from, end);
        for (uint32_t i = 0; i < t.n_stays; i++) {
            if (sequence_at(&t, i)) TRY(add_transition(&t, i, t.f.l.events[from].id));
        }
        TRY(whole_check(w));
    }
    return put_transitions(&t);
}

/* --- funnel_sequence_completion --------------------------------------------------------------- */

struct completion {
    struct funnel_line f;
    uint32_t n_periods;
    int64_t periods[SEQUENCE_MAX];
    uint32_t *places[SEQUENCE_MAX]; /* by place in the sequence: the id's events in that state */
    uint32_t n_places[SEQUENCE_MAX];
    uint32_t reached[SEQUENCE_MAX]; /* by period: states of the sequence, in the bin under way */
    struct numbering bins;
    uint64_t **ids; /* by bin: [period * states + state] */
    uint32_t cap;
};

static enum err read_periods(struct completion *c, const struct value *v)
{
    struct whole *w = c->f.l.w;
    enum type type = w->op->schema.cols[2].type;
    struct dyn_iter it;
    struct bytes name, e;
    bool array = !v->is_null && dyn_kind(v->s) == DYN_ARRAY && dyn_iter_init(&it, v->s);
    if (!array || it.left == 0 || it.left > SEQUENCE_MAX) return bad_sequence(w, "periods");
    while (dyn_iter_next(&it, &name, &e)) {
        struct value given = {.type = T_DYNAMIC, .s = e}, period;
        if (!value_cast(&given, type, NULL, &period) || period.is_null)
            return bad_sequence(w, "periods");
        c->periods[c->n_periods++] = period.i;
    }
    return OK;
}

/* Where the id is in each state of the sequence. */
static void read_places(struct completion *c, uint32_t from, uint32_t end)
{
    for (uint32_t k = 0; k < c->f.n; k++) {
        c->n_places[k] = 0;
        for (uint32_t i = from; i < end; i++) {
            uint32_t state = c->f.state_of[c->f.l.events[i].row];
            if (state == c->f.sequence[k]) c->places[k][c->n_places[k]++] = i;
        }
    }
}

/* The first place behind `at`, UINT32_MAX: there is none. */
static uint32_t place_behind(const uint32_t *places, uint32_t n, uint32_t at)
{
    uint32_t low = 0, high = n;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (places[middle] <= at)
            low = middle + 1;
        else
            high = middle;
    }
    return low < n ? places[low] : UINT32_MAX;
}

/* How far the id gets from its event `at`, which is in the first state. */
static void follow(struct completion *c, uint32_t at)
{
    const struct event *events = c->f.l.events;
    int64_t begin = events[at].time;
    for (uint32_t k = 0; k < c->f.n; k++) {
        if (k > 0) at = place_behind(c->places[k], c->n_places[k], at);
        if (at == UINT32_MAX) return;
        for (uint32_t p = 0; p < c->n_periods; p++) {
            bool within = k == 0 || time_between(begin, events[at].time) <= c->periods[p];
            if (within && c->reached[p] <= k) c->reached[p] = k + 1;
        }
    }
}

static enum err add_reached(struct completion *c, int64_t bin)
{
    uint32_t number, n = c->bins.n, width = c->n_periods * c->f.n;
    TRY(number_of(&c->bins, BYTES_OF(bin), true, &number));
    if (number >= c->cap) {
        uint64_t **wide = arena_array(&c->f.l.w->m->a, uint64_t *, c->bins.cap);
        if (wide == NULL) return ERR_LIMIT;
        if (n > 0) memcpy(wide, c->ids, n * sizeof *wide);
        c->ids = wide;
        c->cap = c->bins.cap;
    }
    if (number == n) c->ids[number] = arena_array(&c->f.l.w->m->a, uint64_t, width);
    if (c->ids[number] == NULL) return ERR_LIMIT;
    for (uint32_t p = 0; p < c->n_periods; p++) {
        for (uint32_t k = 0; k < c->reached[p]; k++)
            c->ids[number][p * c->f.n + k]++;
        c->reached[p] = 0;
    }
    return OK;
}

static enum err complete_id(struct completion *c, uint32_t from, uint32_t end)
{
    const struct event *events = c->f.l.events;
    read_places(c, from, end);
    for (uint32_t i = 0; i < c->n_places[0]; i++) {
        uint32_t at = c->places[0][i];
        follow(c, at);
        bool last = i + 1 == c->n_places[0] || events[c->places[0][i + 1]].bin != events[at].bin;
        if (last) TRY(add_reached(c, events[at].bin));
    }
    return whole_check(c->f.l.w);
}

static int by_first(const void *x, const void *y)
{
    int64_t a = *(const int64_t *)x, b = *(const int64_t *)y;
    return (a > b) - (a < b);
}

static enum err put_completion(struct completion *c, const struct value *sequence)
{
    struct whole *w = c->f.l.w;
    struct { /* first: sorted by it */
        int64_t bin;
        uint32_t number;
    } *order = arena_calloc(&w->m->a, c->bins.n + 1, sizeof *order);
    CLEANUP_BUF struct buf text = {0};
    if (order == NULL) return ERR_LIMIT;
    for (uint32_t i = 0; i < c->bins.n; i++) {
        memcpy(&order[i].bin, c->bins.keys[i].p, sizeof order[i].bin);
        order[i].number = i;
    }
    if (c->bins.n > 1) qsort(order, c->bins.n, sizeof *order, by_first);
    for (uint32_t i = 0; i < c->bins.n; i++) {
        for (uint32_t p = 0; p < c->n_periods; p++) {
            for (uint32_t k = 0; k < c->f.n; k++) {
                buf_clear(&text);
                dyn_to_string(dyn_index(sequence->s, k), &text);
                line_put_time(&c->f.l, 0, order[i].bin);
                vecb_str(&w->out[1], buf_view(&text));
                vecb_i64(&w->out[2], c->periods[p]);
                vecb_i64(&w->out[3], (int64_t)c->ids[order[i].number][p * c->f.n + k]);
            }
        }
        TRY(whole_check(w));
    }
    return buf_check(&text, w->d);
}

enum err whole_funnel_completion(struct whole *w)
{
    struct completion *c = arena_new(&w->m->a, struct completion);
    if (c == NULL) return ERR_LIMIT;
    *c = (struct completion){.bins = whole_numbering(w)};
    TRY(read_funnel(&c->f, w, 2, &w->consts[3]));
    TRY(read_periods(c, &w->consts[4]));
    for (uint32_t k = 0; k < c->f.n; k++) {
        c->places[k] = arena_array(&w->m->a, uint32_t, (size_t)c->f.l.n + 1);
        if (c->places[k] == NULL) return ERR_LIMIT;
    }
    for (uint32_t from = 0, end; from < c->f.l.n; from = end) {
        end = id_end(&c->f.l, from);
        TRY(complete_id(c, from, end));
    }
    return put_completion(c, &w->consts[3]);
}
