/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage/store_scan.c - one table as of one moment: memtables and segments of all its accounts, in
 * units
 *
 * (1) What a scan saw at its start it sees until its end: it holds references to pieces and
 *     segments.
 * (2) Reading a unit: first the sealed bytes, with the door open; then inside, open and decode into
 *     the caller's arena. Nothing handed out borrows what a lock wipes.
 */
#include "storage/store_impl.h"

#include "storage/filter.h"
#include "storage/rows.h"

#include <assert.h>
#include <stdlib.h>

struct unit {
    struct scan_part *part;
    uint32_t n_rows;
    uint32_t first_piece, n_pieces; /* of a memtable; n_pieces 0: of a segment */
    uint32_t segment, group;
};

struct store_scan {
    struct store *s;
    struct table *table;
    const struct schema *schema;
    uint32_t *columns;
    uint32_t n_columns;
    const struct store_hint *hints; /* only during open */
    uint32_t n_hints;
    struct store_gone *gone; /* only during open */
    uint32_t n_gone;
    int time_col;
    struct time_range range; /* what the hints leave */
    struct scan_part *parts;
    struct unit *units;
    uint32_t n_units, cap_units;
};

/* Wraps: what came first. */
static_assert(STORE_RECEIVED == UINT32_MAX);
static uint32_t stored_column(uint32_t column)
{
    return column + 1;
}

/* --- what the hints say about time ------------------------------------------------------------ */

static void narrow(struct store_scan *sc)
{
    sc->range.min = INT64_MIN;
    sc->range.max = INT64_MAX;
    for (uint32_t i = 0; i < sc->n_hints; i++) {
        const struct store_hint *h = &sc->hints[i];
        if ((int)stored_column(h->column) != sc->time_col || h->value.is_null ||
            h->value.type != T_DATETIME)
            continue;
        int64_t t = h->value.i;
        bool below = h->op == STORE_LT || h->op == STORE_LE || h->op == STORE_EQ;
        bool above = h->op == STORE_GT || h->op == STORE_GE || h->op == STORE_EQ;
        if (below && t < sc->range.max) sc->range.max = t;
        if (above && t > sc->range.min) sc->range.min = t;
    }
}

/* --- the moment of the start ------------------------------------------------------------------ */

/* account.lock: does the account hold rows of the table that only its key can show? */
static bool holds_rows(const struct account *a, const struct part *p, const struct table *t)
{
    if (p != NULL && p->n_segments != 0) return true;
    if (a->state == ACCOUNT_OPEN) return p != NULL && (p->active->rows != 0 || p->frozen != NULL);
    for (const struct log_file *f = a->logs; f != NULL; f = f->next) {
        if (log_may_hold(f, t)) return true;
    }
    return false;
}

static struct store_gone *find_gone(const struct store_scan *sc, const struct account *a)
{
    for (uint32_t i = 0; i < sc->n_gone; i++) {
        if (memcmp(sc->gone[i].account, a->id, sizeof a->id) == 0) return &sc->gone[i];
    }
    return NULL;
}

static enum err snapshot_account(struct store_scan *sc, struct account *a, struct part *p,
                                 struct diag *d)
{
    struct store_gone *gone = find_gone(sc, a);
    pthread_mutex_lock(&a->lock);
    bool rows = holds_rows(a, p, sc->table), open = a->state == ACCOUNT_OPEN;
    enum err e = OK;
    if (rows && open && gone == NULL) e = scan_part_new(p, &sc->range, &sc->parts, d);
    pthread_mutex_unlock(&a->lock);
    if (!rows) return e;
    if (gone != NULL) {
        gone->had_rows = true;
        return OK;
    }
    if (!open) return account_refuse(a, d);
    if (e != OK) return e;
    return sc->s->c.keys.ops->check(sc->s->c.keys.self, a->id, d);
}

static struct part *part_of(const struct table *t, const struct account *a)
{
    for (struct part *p = t->parts; p != NULL; p = p->next_of_table) {
        if (p->account == a) return p;
    }
    return NULL;
}

/* Accounts and parts that come later have no rows of before the start. store.moves is held: no
 * segment is met twice, or missed, because it changes accounts meanwhile. */
static enum err snapshot_all(struct store_scan *sc, struct diag *d)
{
    pthread_mutex_lock(&sc->s->lock);
    struct account *first = sc->s->accounts;
    pthread_mutex_unlock(&sc->s->lock);
    for (struct account *a = first; a != NULL; a = a->next) {
        pthread_mutex_lock(&sc->s->lock);
        struct part *p = part_of(sc->table, a);
        pthread_mutex_unlock(&sc->s->lock);
        TRY(snapshot_account(sc, a, p, d));
    }
    return OK;
}

/* --- units ------------------------------------------------------------------------------------ */

static enum err add_unit(struct store_scan *sc, const struct unit *u, struct diag *d)
{
    if (u->n_rows == 0) return OK;
    if (sc->n_units == sc->cap_units) {
        uint32_t cap = sc->cap_units != 0 ? sc->cap_units * 2 : 16;
        struct unit *more = realloc(sc->units, cap * sizeof *more);
        if (more == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
        sc->units = more;
        sc->cap_units = cap;
    }
    sc->units[sc->n_units++] = *u;
    return OK;
}

/* Inside: a lock forgets what a piece holds. */
static enum err add_pieces(struct store_scan *sc, struct scan_part *sp, struct diag *d)
{
    struct unit u = {.part = sp};
    for (uint32_t i = 0; i < sp->n_pieces; i++) {
        const struct piece *p = sp->pieces[i];
        bool wanted = in_time_range(&sc->range, p->time_min, p->time_max);
        if (u.n_pieces != 0 && (!wanted || u.n_rows + p->rows.n_rows > UNIT_ROWS)) {
            TRY(add_unit(sc, &u, d));
            u = (struct unit){.part = sp};
        }
        if (!wanted) continue;
        if (u.n_pieces == 0) u.first_piece = i;
        u.n_pieces++;
        u.n_rows += p->rows.n_rows;
    }
    return add_unit(sc, &u, d);
}

/* Tests one token filter; its sealed bytes are read outside, it is opened inside. */
static enum err filter_allows(struct scan_part *sp, struct segment_reader *r, uint32_t group,
                              int column, const struct value *v, bool *allows, struct diag *d)
{
    struct live_segment *g = NULL;
    struct account *a = sp->part->account;
    struct blobs *blobs = a->store->blobs;
    for (uint32_t i = 0; i < sp->n_segments; i++) {
        if (sp->readers[i] == r) g = sp->segments[i];
    }
    TRY(account_enter(a, sp->epoch, d));
    struct segment_extent x = segment_filter(r, group, column);
    account_leave(a);
    if (x.n_blocks == 0) return OK;
    CLEANUP_BUF struct buf sealed = {0};
    TRY(blobs->ops->read(blobs, g->entry.file_id, x.offset, x.length, &sealed, d));
    TRY(account_enter(a, sp->epoch, d));
    CLEANUP_ARENA struct arena arena;
    arena_init(&arena, 0);
    struct bytes filter;
    enum err e = segment_filter_open(r, group, column, buf_view(&sealed), &arena, &filter, d);
    if (e == OK) *allows = filter_may_contain(filter, v->s);
    arena_release(&arena);
    account_leave(a);
    return e;
}

static bool is_text_search(const struct store_hint *h)
{
    return (h->op == STORE_HAS_TERM || h->op == STORE_EQ) && h->value.type == T_STRING &&
           !h->value.is_null;
}

static enum err group_allowed(struct store_scan *sc, struct scan_part *sp, struct segment_reader *r,
                              uint32_t group, bool *allowed, struct diag *d)
{
    struct account *a = sp->part->account;
    *allowed = true;
    for (uint32_t i = 0; *allowed && i < sc->n_hints; i++) {
        const struct store_hint *h = &sc->hints[i];
        const struct column *c = &sc->schema->cols[stored_column(h->column)];
        TRY(account_enter(a, sp->epoch, d));
        int column = segment_column(r, c->name, c->type);
        *allowed = segment_group_may_match(r, group, column, (int)h->op, &h->value);
        account_leave(a);
        if (*allowed && column >= 0 && is_text_search(h)) {
            TRY(filter_allows(sp, r, group, column, &h->value, allowed, d));
        }
    }
    return OK;
}

static enum err add_groups(struct store_scan *sc, struct scan_part *sp, uint32_t segment,
                           struct diag *d)
{
    struct segment_reader *r = sp->readers[segment];
    struct account *a = sp->part->account;
    TRY(account_enter(a, sp->epoch, d));
    uint32_t n = segment_groups(r);
    account_leave(a);
    for (uint32_t g = 0; g < n; g++) {
        bool allowed = false;
        TRY(group_allowed(sc, sp, r, g, &allowed, d));
        if (!allowed) continue;
        TRY(account_enter(a, sp->epoch, d));
        struct unit u = {
            .part = sp, .segment = segment, .group = g, .n_rows = segment_group_rows(r, g)};
        account_leave(a);
        TRY(add_unit(sc, &u, d));
    }
    return OK;
}

static enum err make_units(struct store_scan *sc, struct diag *d)
{
    for (struct scan_part *sp = sc->parts; sp != NULL; sp = sp->next) {
        TRY(scan_part_unlock(sp, d));
        for (uint32_t i = 0; i < sp->n_segments; i++)
            TRY(add_groups(sc, sp, i, d));
        TRY(account_enter(sp->part->account, sp->epoch, d));
        enum err e = add_pieces(sc, sp, d);
        account_leave(sp->part->account);
        if (e != OK) return e;
    }
    return OK;
}

/* --- the interface ---------------------------------------------------------------------------- */

static enum err check_request(const struct store_scan *sc, struct diag *d)
{
    for (uint32_t i = 0; i < sc->n_columns; i++) {
        if (sc->columns[i] >= sc->schema->n)
            return FAIL(d, ERR_INVALID, "no column %u", sc->columns[i] - 1);
    }
    for (uint32_t i = 0; i < sc->n_hints; i++) {
        if (stored_column(sc->hints[i].column) >= sc->schema->n) {
            return FAIL(d, ERR_INVALID, "no column %u", sc->hints[i].column);
        }
    }
    return OK;
}

enum err store_scan_open(struct store *s, struct table *t, const uint32_t *columns,
                         uint32_t n_columns, const struct store_hint *hints, uint32_t n_hints,
                         struct store_scan **out, struct diag *d)
{
    return store_scan_open_without(s, t, columns, n_columns, hints, n_hints, NULL, 0, out, d);
}

enum err store_scan_open_without(struct store *s, struct table *t, const uint32_t *columns,
                                 uint32_t n_columns, const struct store_hint *hints,
                                 uint32_t n_hints, struct store_gone *gone, uint32_t n_gone,
                                 struct store_scan **out, struct diag *d)
{
    CLEANUP(store_scan_close) struct store_scan *sc = calloc(1, sizeof *sc);
    if (sc == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    sc->s = s;
    sc->table = t;
    sc->schema = &t->schema->stored;
    sc->columns = calloc(n_columns + 1, sizeof *sc->columns);
    if (sc->columns == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    for (uint32_t i = 0; i < n_columns; i++)
        sc->columns[i] = stored_column(columns[i]);
    sc->n_columns = n_columns;
    sc->hints = hints;
    sc->n_hints = n_hints;
    sc->gone = gone;
    sc->n_gone = n_gone;
    sc->time_col = table_time_column(sc->schema);
    TRY(check_request(sc, d));
    narrow(sc);
    pthread_rwlock_rdlock(&s->moves);
    enum err e = snapshot_all(sc, d);
    pthread_rwlock_unlock(&s->moves);
    TRY(e);
    TRY(make_units(sc, d));
    sc->hints = NULL;
    sc->gone = NULL;
    *out = TAKE(sc);
    return OK;
}

uint32_t store_scan_units(const struct store_scan *sc)
{
    return sc->n_units;
}

uint64_t store_scan_rows(const struct store_scan *sc, uint32_t unit)
{
    return unit < sc->n_units ? sc->units[unit].n_rows : 0;
}

struct read { /* one unit for one caller */
    struct store_scan *sc;
    const struct unit *u;
    const uint32_t *places;
    uint32_t n_places;
    struct arena *a;
    struct batch *out;
};

static const struct column *column_at(const struct read *r, uint32_t i)
{
    return &r->sc->schema->cols[r->sc->columns[r->places[i]]];
}

static enum err read_pieces(const struct read *r, struct diag *d)
{
    const struct unit *u = r->u;
    TRY(account_enter(u->part->part->account, u->part->epoch, d));
    enum err e = OK;
    for (uint32_t i = 0; e == OK && i < r->n_places; i++) {
        e = pieces_column(u->part->pieces + u->first_piece, u->n_pieces,
                          r->sc->columns[r->places[i]], column_at(r, i)->type, r->a,
                          &r->out->cols[i], d);
    }
    account_leave(u->part->part->account);
    return e;
}

static enum err read_chunk(const struct read *r, uint32_t i, struct diag *d)
{
    const struct unit *u = r->u;
    struct account *a = u->part->part->account;
    struct segment_reader *reader = u->part->readers[u->segment];
    const struct column *c = column_at(r, i);
    TRY(account_enter(a, u->part->epoch, d));
    int column = segment_column(reader, c->name, c->type);
    struct segment_extent x = {0};
    if (column >= 0) x = segment_chunk(reader, u->group, column);
    account_leave(a);
    if (column < 0) return rows_absent(c->type, u->n_rows, r->a, &r->out->cols[i], d);
    CLEANUP_BUF struct buf sealed = {0};
    if (x.n_blocks != 0) {
        struct blobs *b = r->sc->s->blobs;
        const uint8_t *file_id = u->part->segments[u->segment]->entry.file_id;
        TRY(b->ops->read(b, file_id, x.offset, x.length, &sealed, d));
    }
    TRY(account_enter(a, u->part->epoch, d));
    enum err e =
        segment_chunk_open(reader, u->group, column, buf_view(&sealed), r->a, &r->out->cols[i], d);
    account_leave(a);
    return e;
}

enum err store_scan_read(struct store_scan *sc, uint32_t unit, const uint32_t *places,
                         uint32_t n_places, struct arena *a, struct batch *out, struct diag *d)
{
    if (unit >= sc->n_units) return FAIL(d, ERR_INVALID, "no unit %u of %u", unit, sc->n_units);
    for (uint32_t i = 0; i < n_places; i++) {
        if (places[i] >= sc->n_columns) return FAIL(d, ERR_INVALID, "no place %u", places[i]);
    }
    const struct unit *u = &sc->units[unit];
    struct batch b = {.n_rows = u->n_rows, .n_cols = n_places};
    b.cols = arena_array(a, struct vec, n_places);
    if (b.cols == NULL) return arena_full(a, d);
    struct keys *k = &sc->s->c.keys;
    TRY(k->ops->check(k->self, u->part->part->account->id, d));
    struct read r = {sc, u, places, n_places, a, &b};
    if (u->n_pieces != 0) {
        TRY(read_pieces(&r, d));
    } else {
        for (uint32_t i = 0; i < n_places; i++)
            TRY(read_chunk(&r, i, d));
    }
    *out = b;
    return OK;
}

void store_scan_close(struct store_scan *sc)
{
    if (sc == NULL) return;
    while (sc->parts != NULL) {
        struct scan_part *sp = sc->parts;
        sc->parts = sp->next;
        scan_part_close(sp);
    }
    free(sc->columns);
    free(sc->units);
    free(sc);
}
