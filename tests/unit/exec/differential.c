/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/exec/differential.c - random queries over random rows: the engine's vectors against an
 * interpreter that does one row after the other
 *
 * The interpreter knows a few types, functions and operators, each in the plainest way. What it
 * computes for a query must be what the engine computes. DIFF_SEED=n repeats a failure, DIFF_N=n
 * does more.
 */
#include "from_text.h"
#include "dice.h"

#include "base/str.h"

#include <math.h>
#include <stdlib.h>

/* --- values: long, bool, string; null where v.is_null ----------------------------------------- */

static struct value null_of(enum type t)
{
    return (struct value){.type = t, .is_null = t != T_STRING, .s = {0}};
}

static struct value of_bool(bool b)
{
    return (struct value){.type = T_BOOL, .b = b};
}

static struct value of_long(int64_t i)
{
    return (struct value){.type = T_LONG, .i = i};
}

static bool same(const struct value *a, const struct value *b)
{
    if (a->is_null || b->is_null) return a->is_null == b->is_null;
    if (a->type == T_STRING) return bytes_eq(a->s, b->s);
    return a->type == T_BOOL ? a->b == b->b : a->i == b->i;
}

static int order(const struct value *a, const struct value *b)
{
    if (a->type == T_STRING) return bytes_cmp(a->s, b->s);
    return a->i < b->i ? -1 : a->i > b->i;
}

/* --- expressions ------------------------------------------------------------------------------ */

enum node_kind {
    N_COL,
    N_CONST,
    N_ADD, /* long, long -> long */
    N_SUB,
    N_MUL,
    N_MOD,
    N_STRLEN, /* string -> long */
    N_LESS,   /* long, long -> bool */
    N_EQUAL,
    N_BETWEEN,
    N_STARTS, /* string, string -> bool */
    N_CONTAINS,
    N_IN,
    N_AND, /* bool, bool -> bool */
    N_OR,
    N_NOT,
    N_ISNULL,
    N_STRCAT, /* string, string -> string */
    N_TOSTRING,
    N_IFF, /* bool, t, t -> t */
};

struct node {
    enum node_kind kind;
    enum type type;
    uint32_t col;
    struct value value;
    struct node *args[3];
};

#define COLS 4
static const enum type col_types[COLS] = {T_LONG, T_LONG, T_STRING, T_BOOL};
static const char *const col_names[COLS] = {"a", "b", "s", "f"};
static const char *const words[] = {"", "x", "xy", "Hello", "y", "lo wo", "null"};

static struct node *make(struct arena *a, enum type t, int depth);

static struct node *leaf(struct arena *a, enum type t)
{
    struct node *n = arena_new(a, struct node);
    uint32_t col = rnd(COLS);
    n->type = t;
    for (uint32_t i = 0; i < COLS && rnd(4) != 0; i++, col = (col + 1) % COLS) {
        if (col_types[col] != t) continue;
        n->kind = N_COL;
        n->col = col;
        return n;
    }
    n->kind = N_CONST;
    n->value = t == T_LONG ? of_long((int64_t)rnd(9) - 4) : of_bool(rnd(2) != 0);
    if (t == T_STRING) n->value = (struct value){.type = T_STRING, .s = bytes_str(words[rnd(7)])};
    return n;
}

static struct node *call(struct arena *a, enum node_kind kind, enum type t, int depth, enum type x,
                         enum type y, enum type z)
{
    struct node *n = arena_new(a, struct node);
    n->kind = kind;
    n->type = t;
    if (x != T_NONE) n->args[0] = make(a, x, depth - 1);
    if (y != T_NONE) n->args[1] = make(a, y, depth - 1);
    if (z != T_NONE) n->args[2] = make(a, z, depth - 1);
    return n;
}

static struct node *make(struct arena *a, enum type t, int depth)
{
    if (depth == 0 || rnd(5) == 0) return leaf(a, t);
    if (rnd(6) == 0) return call(a, N_IFF, t, depth, T_BOOL, t, t);
    if (t == T_STRING) {
        return rnd(3) == 0 ? call(a, N_TOSTRING, t, depth, T_LONG, T_NONE, T_NONE)
                           : call(a, N_STRCAT, t, depth, T_STRING, T_STRING, T_NONE);
    }
    if (t == T_LONG) {
        static const enum node_kind kinds[] = {N_ADD, N_SUB, N_MUL, N_MOD};
        if (rnd(4) == 0) return call(a, N_STRLEN, t, depth, T_STRING, T_NONE, T_NONE);
        return call(a, kinds[rnd(4)], t, depth, T_LONG, T_LONG, T_NONE);
    }
    switch (rnd(9)) {
    case 0: return call(a, N_LESS, t, depth, T_LONG, T_LONG, T_NONE);
    case 1: return call(a, N_EQUAL, t, depth, T_LONG, T_LONG, T_NONE);
    case 2: return call(a, N_BETWEEN, t, depth, T_LONG, T_LONG, T_LONG);
    case 3: return call(a, N_STARTS, t, depth, T_STRING, T_STRING, T_NONE);
    case 4: return call(a, N_CONTAINS, t, depth, T_STRING, T_STRING, T_NONE);
    case 5: return call(a, N_IN, t, depth, T_LONG, T_LONG, T_LONG);
    case 6: return call(a, N_NOT, t, depth, T_BOOL, T_NONE, T_NONE);
    case 7: return call(a, N_ISNULL, t, depth, T_LONG, T_NONE, T_NONE);
    default: return call(a, rnd(2) != 0 ? N_AND : N_OR, t, depth, T_BOOL, T_BOOL, T_NONE);
    }
}

static void print_value(const struct value *v, struct buf *out)
{
    if (v->type == T_STRING)
        buf_fmt(out, "\"%.*s\"", (int)v->s.len, v->s.len != 0 ? (const char *)v->s.p : "");
    else if (v->is_null)
        buf_str(out, v->type == T_LONG ? "long(null)" : "bool(null)");
    else if (v->type == T_BOOL)
        buf_str(out, v->b ? "true" : "false");
    else
        buf_fmt(out, "long(%lld)", (long long)v->i);
}

static void print(const struct node *n, struct buf *out)
{
    static const char *const forms[] = {
        [N_ADD] = "(% + %)",
        [N_SUB] = "(% - %)",
        [N_MUL] = "(% * %)",
        [N_MOD] = "(% %% %)",
        [N_STRLEN] = "strlen(%)",
        [N_LESS] = "(% < %)",
        [N_EQUAL] = "(% == %)",
        [N_BETWEEN] = "(% between (% .. %))",
        [N_STARTS] = "(% startswith_cs %)",
        [N_CONTAINS] = "(% contains_cs %)",
        [N_IN] = "(% in (%, %))",
        [N_AND] = "(% and %)",
        [N_OR] = "(% or %)",
        [N_NOT] = "not(%)",
        [N_ISNULL] = "isnull(%)",
        [N_STRCAT] = "strcat(%, %)",
        [N_TOSTRING] = "tostring(%)",
        [N_IFF] = "iff(%, %, %)",
    };
    int arg = 0;
    if (n->kind == N_COL) {
        buf_str(out, col_names[n->col]);
        return;
    }
    if (n->kind == N_CONST) {
        print_value(&n->value, out);
        return;
    }
    for (const char *f = forms[n->kind]; *f != '\0'; f++) {
        if (*f != '%') {
            buf_u8(out, (uint8_t)*f);
        } else if (f[1] == '%') {
            buf_u8(out, '%');
            f++;
        } else {
            print(n->args[arg++], out);
        }
    }
}

/* Three values of logic: 0, 1, 2 = null. */
static int logic(const struct value *v)
{
    return v->is_null ? 2 : v->b;
}

static struct value of_logic(int l)
{
    return l == 2 ? null_of(T_BOOL) : of_bool(l == 1);
}

static struct value text_of(struct arena *a, const char *format, struct bytes x, struct bytes y)
{
    const char *s = arena_fmt(a, format, (int)x.len, x.len != 0 ? (const char *)x.p : "",
                              (int)y.len, y.len != 0 ? (const char *)y.p : "");
    return (struct value){.type = T_STRING, .s = bytes_str(s)};
}

static struct value arithmetic(enum node_kind kind, int64_t x, int64_t y)
{
    uint64_t a = (uint64_t)x, b = (uint64_t)y;
    if (kind == N_ADD) return of_long((int64_t)(a + b));
    if (kind == N_SUB) return of_long((int64_t)(a - b));
    if (kind == N_MUL) return of_long((int64_t)(a * b));
    if (y == 0) return null_of(T_LONG);
    int64_t m = y == -1 ? 0 : x % y;
    return of_long(m < 0 ? m + (y < 0 ? -y : y) : m);
}

static struct value run(struct arena *a, const struct node *n, const struct value *row)
{
    struct value v[3];
    if (n->kind == N_COL) return row[n->col];
    if (n->kind == N_CONST) return n->value;
    for (int i = 0; i < 3 && n->args[i] != NULL; i++)
        v[i] = run(a, n->args[i], row);
    bool none = v[0].is_null || (n->args[1] != NULL && v[1].is_null);
    switch (n->kind) {
    case N_ADD:
    case N_SUB:
    case N_MUL:
    case N_MOD: return none ? null_of(T_LONG) : arithmetic(n->kind, v[0].i, v[1].i);
    case N_STRLEN: return of_long((int64_t)v[0].s.len);
    case N_LESS: return none ? null_of(T_BOOL) : of_bool(v[0].i < v[1].i);
    case N_EQUAL:
        if (v[0].is_null && v[1].is_null) return null_of(T_BOOL);
        return of_bool(!none && v[0].i == v[1].i);
    case N_BETWEEN: {
        int low = v[0].is_null || v[1].is_null ? 2 : v[0].i >= v[1].i;
        int high = v[0].is_null || v[2].is_null ? 2 : v[0].i <= v[2].i;
        return of_logic(low == 0 || high == 0 ? 0 : low == 2 || high == 2 ? 2 : 1);
    }
    case N_STARTS:
        return of_bool(v[0].s.len >= v[1].s.len &&
                       (v[1].s.len == 0 || memcmp(v[0].s.p, v[1].s.p, v[1].s.len) == 0));
    case N_CONTAINS:
        return of_bool(v[1].s.len == 0 || (v[0].s.len != 0 && memmem(v[0].s.p, v[0].s.len, v[1].s.p,
                                                                     v[1].s.len) != NULL));
    case N_IN:
        return of_bool(!v[0].is_null && ((!v[1].is_null && v[0].i == v[1].i) ||
                                         (!v[2].is_null && v[0].i == v[2].i)));
    case N_AND: {
        int x = logic(&v[0]), y = logic(&v[1]);
        return of_logic(x == 0 || y == 0 ? 0 : x == 2 || y == 2 ? 2 : 1);
    }
    case N_OR: {
        int x = logic(&v[0]), y = logic(&v[1]);
        return of_logic(x == 1 || y == 1 ? 1 : x == 2 || y == 2 ? 2 : 0);
    }
    case N_NOT: return none ? null_of(T_BOOL) : of_bool(!v[0].b);
    case N_ISNULL: return of_bool(v[0].is_null);
    case N_STRCAT: return text_of(a, "%.*s%.*s", v[0].s, v[1].s);
    case N_TOSTRING:
        return (struct value){
            .type = T_STRING,
            .s = bytes_str(v[0].is_null ? "" : arena_fmt(a, "%lld", (long long)v[0].i))};
    case N_IFF: return logic(&v[0]) == 1 ? v[1] : v[2];
    default: return null_of(n->type);
    }
}

/* --- rows and operators ----------------------------------------------------------------------- */

struct rows {
    uint32_t n;
    struct value (*at)[COLS];
};

struct trial {
    struct arena a;
    struct buf query;
    struct rows rows;
};

static struct value random_cell(enum type t)
{
    if (rnd(6) == 0) return null_of(t);
    if (t == T_BOOL) return of_bool(rnd(2) != 0);
    if (t == T_STRING) return (struct value){.type = t, .s = bytes_str(words[rnd(7)])};
    return of_long(rnd(40) == 0 ? INT64_MAX - (int64_t)rnd(3) : (int64_t)rnd(13) - 6);
}

/* Sometimes more rows than a vector has. */
static void begin(struct trial *t)
{
    t->rows.n = rnd(5) == 0 ? VEC_ROWS + rnd(VEC_ROWS) : rnd(60);
    t->rows.at = arena_alloc(&t->a, (t->rows.n + 1) * sizeof *t->rows.at);
    buf_str(&t->query, "datatable(a:long, b:long, s:string, f:bool)[");
    for (uint32_t i = 0; i < t->rows.n; i++) {
        for (uint32_t c = 0; c < COLS; c++) {
            t->rows.at[i][c] = random_cell(col_types[c]);
            if (i + c != 0) buf_u8(&t->query, ',');
            print_value(&t->rows.at[i][c], &t->query);
        }
    }
    buf_str(&t->query, "]");
}

static void add_where(struct trial *t)
{
    struct node *n = make(&t->a, T_BOOL, 4);
    uint32_t kept = 0;
    buf_str(&t->query, "\n| where ");
    print(n, &t->query);
    for (uint32_t i = 0; i < t->rows.n; i++) {
        struct value v = run(&t->a, n, t->rows.at[i]);
        if (logic(&v) == 1) memmove(t->rows.at[kept++], t->rows.at[i], sizeof *t->rows.at);
    }
    t->rows.n = kept;
}

/* extend c = ...: a column gets a new value, computed from the old ones. */
static void add_extend(struct trial *t)
{
    uint32_t col = rnd(COLS);
    struct node *n = make(&t->a, col_types[col], 4);
    buf_fmt(&t->query, "\n| extend %s = ", col_names[col]);
    print(n, &t->query);
    for (uint32_t i = 0; i < t->rows.n; i++)
        t->rows.at[i][col] = run(&t->a, n, t->rows.at[i]);
}

/* Over a and b, in the order in which they are met: summarize b = sum(x), by a = k. */
static void add_summarize(struct trial *t)
{
    struct node *key = make(&t->a, T_LONG, 2), *x = make(&t->a, T_LONG, 2);
    uint32_t how = rnd(4), groups = 0;
    static const char *const aggs[] = {"sum", "min", "max", "count"};
    buf_fmt(&t->query, "\n| summarize b = %s(", aggs[how]);
    if (how != 3) print(x, &t->query);
    buf_str(&t->query, "), s = \"\", f = true by a = ");
    print(key, &t->query);
    buf_str(&t->query, "\n| project a, b, s, f");
    for (uint32_t i = 0; i < t->rows.n; i++) {
        struct value k = run(&t->a, key, t->rows.at[i]), v = run(&t->a, x, t->rows.at[i]);
        uint32_t g = 0;
        while (g < groups && !same(&t->rows.at[g][0], &k))
            g++;
        struct value *sum = &t->rows.at[g][1];
        if (g == groups) {
            groups++; /* rows before i are done with */
            *sum = how == 1 || how == 2 ? null_of(T_LONG) : of_long(0);
            t->rows.at[g][0] = k;
            t->rows.at[g][2] = (struct value){.type = T_STRING, .s = BYTES("")};
            t->rows.at[g][3] = of_bool(true);
        }
        if (how == 3) v = of_long(1);
        if (v.is_null) continue;
        if (how == 0 || how == 3)
            sum->i = (int64_t)((uint64_t)sum->i + (uint64_t)v.i);
        else if (sum->is_null || (how == 1 ? v.i < sum->i : v.i > sum->i))
            *sum = v;
    }
    t->rows.n = groups;
}

/* sort by a asc, ...: stable; nulls as written. */
static void add_sort(struct trial *t)
{
    uint32_t col = rnd(3);
    bool desc = rnd(2) != 0, first = rnd(2) != 0;
    buf_fmt(&t->query, "\n| sort by %s %s nulls %s", col_names[col], desc ? "desc" : "asc",
            first ? "first" : "last");
    for (uint32_t i = 1; i < t->rows.n; i++) {
        for (uint32_t k = i; k > 0; k--) {
            const struct value *x = &t->rows.at[k - 1][col], *y = &t->rows.at[k][col];
            bool swap = x->is_null || y->is_null
                            ? (first ? y->is_null && !x->is_null : x->is_null && !y->is_null)
                            : (desc ? order(x, y) < 0 : order(x, y) > 0);
            if (!swap) break;
            struct value row[COLS];
            memcpy(row, t->rows.at[k - 1], sizeof row);
            memcpy(t->rows.at[k - 1], t->rows.at[k], sizeof row);
            memcpy(t->rows.at[k], row, sizeof row);
        }
    }
    if (rnd(3) != 0) return;
    uint32_t n = rnd(20);
    buf_fmt(&t->query, "\n| take %u", n);
    if (t->rows.n > n) t->rows.n = n;
}

static bool agrees(const struct trial *t, const struct result *r)
{
    if (r->err != OK || r->n_rows != t->rows.n) return false;
    for (uint32_t i = 0; i < r->n_rows; i++) {
        for (uint32_t c = 0; c < COLS; c++) {
            if (!same(&r->cells[(size_t)i * COLS + c], &t->rows.at[i][c])) return false;
        }
    }
    return true;
}

static bool one_trial(uint64_t seed)
{
    static void (*const add[])(struct trial *) = {add_where, add_extend, add_extend, add_summarize,
                                                  add_sort};
    struct trial t = {0};
    struct result r;
    dice = seed;
    rnd(1);
    arena_init(&t.a, 0);
    begin(&t);
    for (uint32_t i = 1 + rnd(4); i > 0; i--) {
        uint32_t which = rnd(5);
        if (which == 4 && t.rows.n > 500) which = 0; /* the sort here is a slow one */
        if (which == 3 && t.rows.n > 2500) which = 1;
        add[which](&t);
    }
    result_of(&r, buf_view(&t.query), NULL);
    bool fine = agrees(&t, &r);
    if (!fine) {
        const char *tail = strchr(buf_cstr(&t.query), ']');
        fprintf(stderr, "DIFF_SEED=%llu: %u rows, not %u: %s%s\n%s\n", (unsigned long long)seed,
                r.n_rows, t.rows.n, r.d.tag, r.d.text, tail != NULL ? tail : "");
    }
    result_release(&r);
    buf_release(&t.query);
    arena_release(&t.a);
    return fine;
}

TEST(exec, vectors_compute_what_one_row_after_the_other_would)
{
    uint64_t from = setting("DIFF_SEED", 1), n = setting("DIFF_N", 300), wrong = 0;
    if (getenv("DIFF_SEED") != NULL) n = 1;
    for (uint64_t seed = from; seed < from + n && wrong < 5; seed++)
        wrong += !one_trial(seed);
    REQUIRE(wrong == 0);
}
