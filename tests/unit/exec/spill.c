/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/exec/spill.c - queries in far less memory than their rows need: the same answers, by way
 * of a place outside of memory
 */
#include "by_hand.h"
#include "place.h"

#include "func/kernel.h"
#include "kql/kql.h"

#include <math.h>

/* --- two tables of random rows ----------------------------------------------------------------- */

#define A_ROWS 30000
#define B_ROWS 10000

static uint64_t mixed(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
    return x ^ x >> 31;
}

static struct value text_cell(uint64_t h, uint32_t range)
{
    return v_str(arena_fmt(&hand, "text-%llu-%.*s", (unsigned long long)(h % range),
                           (int)(h >> 8 & 31), "abcdefghijklmnopqrstuvwxyzabcdef"));
}

/* id long, k long, s string, x real, t datetime, f bool */
static struct value cell_a(uint32_t row, uint32_t col)
{
    uint64_t h = mixed(row * 16ULL + col + 1);
    struct value v = {0};
    switch (col) {
    case 0: return v_long(row);
    case 1: return h % 50 == 0 ? v_null(T_LONG) : v_long((int64_t)(h % 15013) - 7500);
    case 2: return text_cell(h, 20000);
    case 3: return h % 40 == 0 ? v_null(T_REAL) : v_real((double)(h % 100000) / 16);
    case 4:
        v = v_long((int64_t)(h % 1000000) * TICKS_PER_S);
        v.type = T_DATETIME;
        return v;
    default: v = (struct value){.type = T_BOOL, .b = h % 3 == 0}; return v;
    }
}

/* hour datetime, w string, v string, n long, x real */
static struct value cell_c(uint32_t row, uint32_t col)
{
    static const char *const words[] = {"", "x", "yy", "Zed", "a\xc3\xa9", "b c", "x ", "yyy"};
    uint64_t h = mixed(row * 16ULL + col + 31);
    struct value v = v_long((int64_t)(row / 700) * 36000000000LL);
    switch (col) {
    case 0: v.type = T_DATETIME; return v;
    case 1: return v_str(words[(h + row / 3000) % 8]);
    case 2: return v_str(words[h % 7 == 0 ? row / 3000 % 8 : 3]);
    case 3: return v_long((int64_t)(h % (row % 6000 < 3000 ? 5 : 4000)));
    default:
        return h % 30 == 0 ? v_real(h % 60 == 0 ? NAN : -0.0) : v_real((double)(h % 3000) / 8 - 90);
    }
}

/* k long, name string, n long */
static struct value cell_b(uint32_t row, uint32_t col)
{
    uint64_t h = mixed(row * 16ULL + col + 77777);
    switch (col) {
    case 0: return h % 60 == 0 ? v_null(T_LONG) : v_long((int64_t)(h % 30011) - 15000);
    case 1: return text_cell(h, 500);
    default: return v_long(row);
    }
}

static struct array_table *tables[4];
static const char *const table_names[] = {"A", "B", "Flat", "Codes"};

static enum err find_table(void *ctx, const char *name, const struct schema **out, void **table,
                           struct diag *dd)
{
    (void)ctx;
    for (int i = 0; i < 4; i++) {
        if (!str_eq(name, table_names[i])) continue;
        *out = &tables[i]->schema;
        *table = tables[i];
        return OK;
    }
    return FAIL(dd, ERR_NOT_FOUND, "no table %s", name);
}

static const char *name_at(void *ctx, uint32_t i)
{
    (void)ctx;
    return i < 4 ? table_names[i] : NULL;
}

__attribute__((constructor)) static void make_tables(void)
{
    tables[0] =
        table_of("id long, k long, s string, x real, t datetime, f bool", A_ROWS, 3000, cell_a);
    for (int i = 2; i < 4; i++)
        tables[i] =
            table_of("hour datetime, w string, v string, n long, x real", 24000, 3000, cell_c);
    table_encode(tables[3], 1);
    table_encode(tables[3], 2);
    tables[1] = table_of("k long, name string, n long", B_ROWS, 3000, cell_b);
}

/* --- running ----------------------------------------------------------------------------------- */

struct lines {
    struct arena a;
    uint32_t n, cap;
    const char **p;
};

static enum err put_lines(void *ctx, const struct batch *b, struct diag *dd)
{
    struct lines *l = ctx;
    struct buf text = {0};
    for (uint32_t i = 0; i < b->n_rows; i++) {
        buf_clear(&text);
        for (uint32_t c = 0; c < b->n_cols; c++) {
            struct value v = vec_value(&b->cols[c], i);
            buf_fmt(&text, "%s%d:", c != 0 ? "," : "", v.is_null);
            if (!v.is_null) value_to_text(&v, &text);
        }
        if (l->n == l->cap) {
            l->cap = l->cap * 2 + 1000;
            l->p = realloc(l->p, l->cap * sizeof *l->p);
        }
        l->p[l->n++] = arena_str(&l->a, buf_view(&text));
    }
    enum err e = buf_check(&text, dd);
    buf_release(&text);
    return e;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void lines_free(struct lines *l)
{
    free(l->p);
    arena_release(&l->a);
    *l = (struct lines){0};
}

static enum err run_text(const char *text, struct exec_request r, struct lines *out)
{
    const struct kql_catalog catalog = {.table = find_table, .table_name = name_at};
    const struct kql_options options = {0};
    struct plan plan;
    struct arena a;
    *out = (struct lines){0};
    arena_init(&a, 0);
    arena_init(&out->a, (size_t)1 << 30);
    diag_reset(&d);
    enum err e = kql_compile(&a, bytes_str(text), &catalog, &options, &plan, &d);
    r.plan = &plan;
    r.source = &array_source;
    r.limits.rows_max = 10000000;
    r.limits.bytes_max = (uint64_t)1 << 32;
    if (e == OK) e = exec_run(&r, put_lines, out, NULL, &d);
    arena_release(&a);
    return e;
}

static bool same_lines(struct lines *a, struct lines *b, bool ordered)
{
    if (a->n != b->n) fprintf(stderr, "%u rows, not %u\n", b->n, a->n);
    if (a->n != b->n) return false;
    if (!ordered) {
        qsort(a->p, a->n, sizeof *a->p, by_text);
        qsort(b->p, b->n, sizeof *b->p, by_text);
    }
    for (uint32_t i = 0; i < a->n; i++) {
        if (strcmp(a->p[i], b->p[i]) == 0) continue;
        fprintf(stderr, "row %u is %s, not %s\n", i, b->p[i], a->p[i]);
        return false;
    }
    return true;
}

static const struct trial {
    const char *text;
    size_t memory_max;
    bool ordered;
} trials[] = {
    {"A | sort by s asc, id desc | project id, s, x, f", 2 << 20, true},
    {"A | sort by x desc nulls first, t asc", 3 << 20, true},
    {"A | top 20000 by s asc | project id, s", 2 << 20, true},
    {"A | sort by s asc | extend u = strcat(s, '!') | where f | project id, u", 2 << 20, true},
    {"A | summarize count(), sum(id), avg(x), min(t) by s", 3 << 20, false},
    {"A | summarize l = make_list(id), dcount(x), percentile(x, 50) by k | extend l = "
     "array_sort_asc(l)",
     4 << 20, false},
    {"A | sort by id asc | summarize make_list(x), make_list(s) by k", 4 << 20, false},
    {"A | summarize arg_max(id, s, x), countif(f), max(x) by k, f", 4 << 20, false},
    {"A | distinct s, k", 2 << 20, false},
    {"A | join kind=inner B on k | project id, s, name, n", 1 << 20, false},
    {"B | join kind=inner A on k | project id, s, name, n", 1 << 20, false},
    {"A | join kind=innerunique (B | extend one = 1) on k | summarize count() by one", 1 << 20,
     false},
    {"B | join kind=leftouter A on k | project n, id, s", 1 << 20, false},
    {"A | join kind=rightouter B on k | project id, s, n, name", 1 << 20, false},
    {"B | join kind=fullouter A on k | project n, name, id, s", 1 << 20, false},
    {"B | join kind=leftsemi A on k | project n, name", 1 << 20, false},
    {"B | join kind=leftanti A on k | project n, name", 1 << 20, false},
    {"A | join kind=rightsemi B on k | project n, name", 1 << 20, false},
    {"A | join kind=rightanti B on k | project n, name", 1 << 20, false},
    {"B | where n < 8 | extend f = true | join kind=inner (A | where id < 20000) on f | project n, "
     "id, s",
     1 << 20, false},
    {"B | extend f = iff(n % 3 == 0, bool(null), n % 2 == 0) | join kind=leftanti A on f | project "
     "n",
     1 << 19, false},
    {"A | lookup B on k | summarize count(), max(id) by name | sort by name asc", 3 << 19, true},
    {"A | join kind=inner B on k | join kind=leftouter (A | project id, s2 = s) on id | summarize "
     "sum(n) by s2",
     2 << 20, false},
    {"A | sort by t asc, id asc | extend p = prev(s), n = next(x, 3), c = row_cumsum(id), r = "
     "row_number() | project id, p, n, c, r",
     3 << 19, true},
    {"A | sort by k asc, id asc | extend d = row_rank_dense(k), m = row_rank_min(k, k == 0), w = "
     "row_window_session(t, 1d, 1h, id % 100 == 0) | where d != prev(m, 3000, long(-1)) | project "
     "id, d, m, w",
     3 << 19, true},
    {"A | sort by s desc, id asc | extend a = row_cumsum(x, f), far = prev(s, (id % 3) * 3500, "
     "'none'), "
     "q = row_cumsum(prev(id) + row_number(prev(k, 1, 0)), next(f)) | project id, a, far, q",
     2 << 20, true},
    {"A | serialize | where next(k, 2) > k and prev(s) != '' | project id", 3 << 19, true},
    {"A | make-series n = count(), avg(x) default = real(null) on t step 1d by s", 4 << 20, false},
    {"A | make-series sum(id) on t from datetime(0001-01-01) to datetime(0001-01-10) step 2h by k "
     "| extend total = array_sum(sum_id) | project k, total",
     5 << 20, false},
    {"A | sort by id asc | make-series l = make_list(id) default = dynamic([]) on x step 500 by f, "
     "m = k % 50",
     5 << 20, false},
    {"let m = materialize(A | union B | extend u = strcat(s, id, n)); m | where f | union (m | "
     "where not(f)) | "
     "project id, u",
     3 << 19, false},
    {"let m = materialize(A | take 25000); m | count | union (m | summarize Count = sum(id)), (m | "
     "summarize Count = max(id))",
     1 << 20, false},
    {"let m = materialize(A | sort by s asc); m | where f | union (m | where not(f)) | project id, "
     "s",
     2 << 20, false},
};
#define N_TRIALS (sizeof trials / sizeof *trials)

/* Did it need the place? */
static bool try_one(const struct trial *t, struct pool *pool)
{
    struct lines whole, tight;
    struct place place = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct exec_request r = {.pool = pool};
    REQUIRE_OK(run_text(t->text, r, &whole));
    r.limits.memory_max = t->memory_max;
    r.spill_ops = &place_ops;
    r.spill = &place;
    enum err e = run_text(t->text, r, &tight);
    bool same = e == OK && same_lines(&whole, &tight, t->ordered);
    bool used = place.n_reads != 0;
    if (!same || (pool == NULL && !used))
        fail_msg("%s: %s %s, %llu writes", t->text, err_name(e), d.text,
                 (unsigned long long)place.n_writes);
    lines_free(&whole);
    lines_free(&tight);
    buf_release(&place.all);
    return used;
}

TEST(exec, what_does_not_fit_into_memory_gives_the_same_rows)
{
    for (size_t i = 0; i < N_TRIALS; i++)
        REQUIRE(try_one(&trials[i], NULL));
}

TEST(exec, what_does_not_fit_gives_the_same_rows_with_several_workers)
{
    struct pool *pool;
    size_t n_used = 0;
    REQUIRE_OK(pool_new(&pool, 2, 64, &d));
    for (size_t i = 0; i < N_TRIALS; i++) {
        struct trial t = trials[i];
        t.memory_max *= 2;
        n_used += try_one(&t, pool);
    }
    REQUIRE(n_used > N_TRIALS / 2); /* how much is in memory at once is for the threads to say */
    pool_free(pool);
}

TEST(exec, without_a_place_to_go_the_memory_limit_is_an_error)
{
    for (size_t i = 0; i < N_TRIALS; i++) {
        struct lines l;
        struct exec_request r = {.limits.memory_max = trials[i].memory_max};
        enum err e = run_text(trials[i].text, r, &l);
        if (e != ERR_LIMIT || !str_eq(d.tag, "E_RUNAWAY_QUERY"))
            fail_msg("%s: %s %s %s", trials[i].text, err_name(e), d.tag, d.text);
        lines_free(&l);
    }
}

TEST(exec, a_write_that_fails_is_the_querys_error_whichever_it_is)
{
    static const size_t which[] = {0, 4, 14, 23, 27};
    for (size_t i = 0; i < sizeof which / sizeof *which; i++) {
        enum err e = ERR_IO;
        for (uint64_t n = 1; e == ERR_IO; n = n * 3 / 2 + 1) {
            struct lines l;
            struct place place = {.lock = PTHREAD_MUTEX_INITIALIZER, .fail_at = n};
            struct exec_request r = {.limits.memory_max = trials[which[i]].memory_max,
                                     .spill_ops = &place_ops,
                                     .spill = &place};
            e = run_text(trials[which[i]].text, r, &l);
            REQUIRE((e == ERR_IO && strstr(d.text, "no space left") != NULL) ||
                    (e == OK && place.n_writes < n));
            lines_free(&l);
            buf_release(&place.all);
        }
        REQUIRE_OK(e);
    }
}

TEST(exec, a_query_that_is_cancelled_while_it_spills_stops_there)
{
    static const size_t which[] = {1, 5, 13, 24, 27};
    for (size_t i = 0; i < sizeof which / sizeof *which; i++) {
        for (uint64_t n = 1; n < 40; n += 7) {
            struct lines l;
            _Atomic bool cancel = false;
            struct place place = {
                .lock = PTHREAD_MUTEX_INITIALIZER, .cancel = &cancel, .cancel_at = n};
            struct exec_request r = {.limits.memory_max = trials[which[i]].memory_max,
                                     .cancel = &cancel,
                                     .spill_ops = &place_ops,
                                     .spill = &place};
            REQUIRE(run_text(trials[which[i]].text, r, &l) == ERR_CANCELLED);
            REQUIRE(place.n_writes <= n + 1);
            lines_free(&l);
            buf_release(&place.all);
        }
    }
}

/* --- what depends on how values lie ------------------------------------------------------------ */

TEST(exec, codes_give_the_rows_that_plain_values_give)
{
    static const char *const queries[] = {
        "%s | summarize count(), sum(n), percentile(x, 95), dcount(w) by w, hour",
        "%s | summarize count(), max(n) by w, v, hour, n",
        "%s | summarize count() by v, w | where count_ > 100",
        "%s | where w != 'x' | summarize count(), dcount(v), count_distinct(n) by w, hour",
        "%s | summarize dcount(w), count_distinct(w), dcount(v), count_distinctif(w, n > 3), "
        "dcountif(w, n < 2)",
        "%s | where n > 3 | extend u = strcat(w, v) | summarize dcount(u), count_distinct(u) | "
        "project-rename a = dcount_u",
        "%s | top 40 by x desc | project x, w",
        "%s | top 300 by x asc nulls first, n desc | project x, n, v",
        "%s | top 25 by n desc, w asc | project n, w",
    };
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
        struct lines flat, codes;
        REQUIRE_OK(run_text(arena_fmt(&hand, queries[i], "Flat"), (struct exec_request){0}, &flat));
        REQUIRE_OK(
            run_text(arena_fmt(&hand, queries[i], "Codes"), (struct exec_request){0}, &codes));
        REQUIRE(flat.n != 0);
        if (!same_lines(&flat, &codes, true)) fail_msg("%s", queries[i]);
        lines_free(&flat);
        lines_free(&codes);
    }
}

/* By nearest rank: the first value up to which that share lies. */
TEST(exec, percentiles_and_tops_are_what_sorting_gives)
{
    static const int percents[] = {0, 1, 10, 33, 50, 90, 95, 99, 100};
    struct lines sorted, one;
    REQUIRE_OK(run_text("Flat | where not(isnan(x)) | sort by x asc | project x",
                        (struct exec_request){0}, &sorted));
    for (size_t i = 0; i < sizeof percents / sizeof *percents; i++) {
        uint32_t at = (sorted.n * (uint32_t)percents[i] + 99) / 100;
        const char *q = arena_fmt(&hand, "Flat | summarize percentile(x, %d)", percents[i]);
        REQUIRE_OK(run_text(q, (struct exec_request){0}, &one));
        EXPECT_STR(one.p[0], sorted.p[at != 0 ? at - 1 : 0]);
        lines_free(&one);
    }
    REQUIRE_OK(
        run_text("Flat | top 500 by x asc nulls last | project x", (struct exec_request){0}, &one));
    EXPECT_EQ(one.n, 500);
    for (uint32_t i = 0; i < one.n; i++)
        EXPECT_STR(one.p[i], sorted.p[i]);
    lines_free(&one);
    lines_free(&sorted);
}
