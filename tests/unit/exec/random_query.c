/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/exec/random_query.c - random queries of every function over random rows of every type: the
 * executor, in all its ways, against an interpreter that does one row after the other
 *
 * A query is written as text, bound, and its plan run by interpreter.h. Then the executor runs it with
 * units of 1, 7 and 5,000 rows, columns plain, constant or coded as they may be, with one worker and
 * several, with units that hints rule out skipped and read, and with little memory and a place outside.
 * RANDOM_SEED=n repeats a failure, RANDOM_N=n does more (make differential), RANDOM_SHOW=1 tells each query.
 */
#include "by_hand.h"
#include "place.h"
#include "random_text.h"

/* --- running ------------------------------------------------------------------------------------ */

static enum err keep(void *ctx, const struct batch *b, struct diag *dd)
{
    struct rows *r = ctx;
    (void)dd;
    for (uint32_t i = 0; i < b->n_rows; i++, r->n++) {
        if (r->n % 1024 == 0) {
            r->at = realloc(r->at, ((size_t)r->n + 1024) * r->width * sizeof *r->at + 1);
            REQUIRE(r->at != NULL);
        }
        for (uint32_t c = 0; c < b->n_cols; c++) {
            struct value v = vec_value(&b->cols[c], i);
            if (!v.is_null && (v.type == T_STRING || v.type == T_DYNAMIC)) {
                uint8_t *copy = malloc(v.s.len + 1);
                REQUIRE(copy != NULL);
                if (v.s.len != 0) memcpy(copy, v.s.p, v.s.len);
                v.s.p = copy;
            }
            row_at(r, r->n)[c] = v;
        }
    }
    return OK;
}

static void rows_free(struct rows *r)
{
    for (size_t i = 0; i < (size_t)r->n * r->width; i++) {
        const struct value *v = &r->at[i];
        if (!v->is_null && (v->type == T_STRING || v->type == T_DYNAMIC))
            free((void *)(uintptr_t)v->s.p);
    }
    free(r->at);
}

/* The last digits of a sum depend on its order. */
static bool nearly(const struct value *a, const struct value *b)
{
    if (same_key(a, b)) return true;
    if (a->is_null || b->is_null || a->type != T_REAL) return false;
    if (!isfinite(a->r) || !isfinite(b->r)) return false;
    return fabs(a->r - b->r) <= 1e-9 * fmax(1, fmax(fabs(a->r), fabs(b->r)));
}

static bool same_row(const struct value *a, const struct value *b, uint32_t n)
{
    for (uint32_t c = 0; c < n; c++) {
        if (!nearly(&a[c], &b[c])) return false;
    }
    return true;
}

static bool same_rows(const struct rows *want, const struct rows *got, bool ordered, uint32_t *row)
{
    bool *used = calloc(got->n + 1, 1);
    bool fine = want->n == got->n && used != NULL;
    for (*row = 0; fine && *row < want->n; ++*row) {
        uint32_t k = ordered ? *row : 0;
        while (k < got->n &&
               (used[k] || !same_row(row_at(want, *row), row_at(got, k), want->width)))
            k = ordered ? got->n : k + 1;
        fine = k < got->n;
        if (!fine) break;
        used[k] = true;
    }
    free(used);
    return fine;
}

static struct pool *pool;

static const struct way {
    const char *name;
    uint32_t unit_rows;
    bool workers, prunes, tight;
} ways[] = {
    {"units of 5000 rows", 5000, false, false, false},
    {"units of one row", 1, false, false, false},
    {"units of 7 rows, workers", 7, true, false, false},
    {"units of 7 rows, pruned", 7, false, true, false},
    {"units of 700 rows, workers, pruned", 700, true, true, false},
    {"units of 2048 rows, little memory", 2048, false, false, true},
};

static void show_row(const struct rows *r, uint32_t row, struct buf *out)
{
    for (uint32_t c = 0; row < r->n && c < r->width; c++) {
        literal(&row_at(r, row)[c], out);
        buf_str(out, " ");
    }
}

static bool agrees(struct trial *t, const struct way *way, const struct rows *want, uint64_t seed)
{
    struct rows got = {.width = want->width};
    struct place place = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct arena a;
    uint32_t row = 0;
    struct exec_request r = {.plan = &t->plan, .source = &random_source, .now_ticks = TICKS_UNIX};
    r.limits = (struct exec_limits){.rows_max = 1 << 26, .bytes_max = (uint64_t)1 << 34};
    if (way->workers) r.pool = pool;
    if (way->tight) {
        r.limits.memory_max = (size_t)700 << 10;
        r.spill_ops = &place_ops;
        r.spill = &place;
    }
    arena_init(&a, (size_t)1 << 30);
    for (int i = 0; i < 2; i++) {
        table_cut(&tables[i], &a, way->unit_rows);
        tables[i].prunes = way->prunes;
    }
    diag_reset(&d);
    enum err e = exec_run(&r, keep, &got, NULL, &d);
    bool fine = way->tight && e == ERR_LIMIT ? true : e == OK;
    if (e == OK) fine = same_rows(want, &got, t->ordered && !way->tight, &row);
    if (!fine) {
        CLEANUP_BUF struct buf b = {0};
        buf_fmt(&b, "RANDOM_SEED=%llu, %s%s: %s %s, %u rows, not %u; row %u\nwant ",
                (unsigned long long)seed, way->name, t->ordered ? ", in order" : "", err_name(e),
                d.text, got.n, want->n, row);
        show_row(want, row, &b);
        buf_str(&b, "\ngot  ");
        show_row(&got, row, &b);
        fprintf(stderr, "%s\n%s\n\n", buf_cstr(&b), buf_cstr(&t->text));
    }
    rows_free(&got);
    buf_release(&place.all);
    arena_release(&a);
    return fine;
}

/* False: some way disagrees. *refused: an expression fails in some row. */
static bool one_trial(uint64_t seed, bool *refused)
{
    static const uint32_t sizes[] = {0, 1, 3, 20, 20, 60, 60, 60, 2500};
    struct trial t = {.ordered = true};
    struct rows want;
    bool fine = true;
    dice = seed * 0x9e3779b97f4a7c15ULL;
    rnd(1);
    arena_init(&t.a, (size_t)512 << 20);
    struct arena rows;
    arena_init(&rows, (size_t)512 << 20);
    table_fill(&tables[0], &rows, PICK(sizes));
    table_fill(&tables[1], &rows, rnd(40));
    buf_str(&t.text, "T");
    REQUIRE(bound(&t));
    for (uint32_t i = 1 + rnd(5); i > 0; i--)
        grow(&t);
    rebind(&t);
    struct interpreter in = {.a = &t.a, .d = &d, .now_ticks = TICKS_UNIX, .table = rows_of};
    diag_reset(&d);
    *refused = run_op(&in, t.plan.root, &want) != OK;
    if (getenv("RANDOM_SHOW") != NULL)
        fprintf(stderr, "%llu: %u rows of %u: %s\n", (unsigned long long)seed,
                *refused ? 0 : want.n, tables[0].rows.n, buf_cstr(&t.text));
    uint64_t kept = dice;
    for (size_t i = 0; !*refused && fine && i < sizeof ways / sizeof *ways; i++) {
        dice = kept + i;
        fine = agrees(&t, &ways[i], &want, seed);
    }
    arena_release(&rows);
    arena_release(&t.a);
    arena_clear(&hand);
    buf_release(&t.text);
    return fine;
}

TEST(exec, all_ways_of_running_a_query_give_what_row_after_row_gives)
{
    uint64_t from = setting("RANDOM_SEED", 1), n = setting("RANDOM_N", 300), wrong = 0, none = 0;
    if (getenv("RANDOM_SEED") != NULL && getenv("RANDOM_N") == NULL) n = 1;
    REQUIRE_OK(pool_new(&pool, 3, 64, &d));
    for (uint64_t seed = from; seed < from + n && wrong < 8; seed++) {
        bool refused;
        wrong += !one_trial(seed, &refused);
        none += refused;
    }
    pool_free(pool);
    fprintf(stderr, "seeds %llu to %llu: %llu refused in some row\n", (unsigned long long)from,
            (unsigned long long)(from + n - 1), (unsigned long long)none);
    REQUIRE(wrong == 0);
    REQUIRE(n < 10 || none < n / 4);
}
