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
#include "interpreter.h"

#include "base/map.h"
#include "column/decimal.h"
#include "kql/kql.h"

#include <ctype.h>
#include <math.h>

static uint64_t dice;

static uint32_t rnd(uint32_t n)
{
    dice = dice * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)((dice >> 33) % n);
}
#define PICK(list) (list)[rnd(sizeof(list) / sizeof *(list))]

/* --- values ------------------------------------------------------------------------------------- */

static const char *const texts[] = {
    "",           "a",          "abc",       "ABC def", "x,y;z",   "42",
    "-7",         "3.5",        "true",      "null",    "a b",     "10.1.2.3",
    "2024-02-29", "[1,2,null]", "{\"a\":1}", "b",       "Abc def", "\xce\xb1\xce\xb2"};
static const char *const json[] = {
    "null",     "1",       "2.5",  "\"x\"",        "true",          "[]",
    "{}",       "[1,2,3]", "\"\"", "[3,1,null,2]", "[\"b\",\"a\"]", "{\"a\":1,\"b\":[1]}",
    "{\"b\":2}"};

static int64_t random_long(void)
{
    static const int64_t ends[] = {INT64_MIN, INT64_MAX, INT32_MIN, INT32_MAX, 0, 1000000007};
    return rnd(16) == 0 ? PICK(ends) : (int64_t)rnd(19) - 6;
}

static double random_real(void)
{
    static const double ends[] = {NAN, INFINITY, -INFINITY, -0.0, 1e300, 1e-300};
    return rnd(8) == 0 ? PICK(ends) : ((double)rnd(80) - 20) / 4;
}

static struct value random_value(struct arena *a, enum type t)
{
    struct value v = {.type = t};
    CLEANUP_BUF struct buf b = {0};
    if (t != T_STRING && rnd(7) == 0) return no_value(t);
    switch (t) {
    case T_BOOL: v.b = rnd(2) != 0; break;
    case T_INT: v.i = (int32_t)random_long(); break;
    case T_LONG: v.i = random_long(); break;
    case T_REAL: v.r = random_real(); break;
    case T_DECIMAL: v.u = decimal_from_i64(rnd(9)); break;
    case T_STRING: v.s = bytes_str(PICK(texts)); break;
    case T_DATETIME: v.i = TICKS_UNIX + (int64_t)rnd(40) * 900 * TICKS_PER_S; break;
    case T_TIMESPAN: v.i = ((int64_t)rnd(40) - 10) * 900 * TICKS_PER_S; break;
    case T_GUID: v.u.b[0] = (uint8_t)rnd(4); break;
    default:
        REQUIRE_OK(dyn_from_json(bytes_str(PICK(json)), &b, NULL));
        v.s = arena_bytes(a, buf_view(&b));
        if (dyn_kind(v.s) == DYN_NULL) return no_value(t);
    }
    return v;
}

static void literal(const struct value *v, struct buf *out)
{
    CLEANUP_BUF struct buf text = {0}, dyn = {0};
    if (v->type == T_STRING) {
        buf_u8(out, '"');
        for (size_t i = 0; i < v->s.len; i++)
            buf_fmt(out, v->s.p[i] == '"' || v->s.p[i] == '\\' ? "\\%c" : "%c", v->s.p[i]);
        buf_u8(out, '"');
        return;
    }
    if (v->is_null) {
        buf_str(&text, "null");
    } else if (v->type == T_DYNAMIC) {
        dyn_to_json(v->s, &text);
    } else if (v->type == T_REAL && !isfinite(v->r)) {
        buf_str(&text, isnan(v->r) ? "nan" : v->r > 0 ? "+inf" : "-inf");
    } else {
        value_to_text(v, &text);
    }
    buf_fmt(out, "%s(%s)", type_name(v->type), buf_cstr(&text));
}

/* --- tables: the same rows in units of any size and shape ---------------------------------------- */

static const enum type column_types[] = {T_LONG,    T_INT,     T_LONG,     T_REAL,
                                         T_DECIMAL, T_STRING,  T_DATETIME, T_TIMESPAN,
                                         T_GUID,    T_DYNAMIC, T_BOOL};
static const char *const column_names[] = {"id", "i", "l", "r", "m", "s", "t", "d", "g", "y", "b"};
#define COLUMNS (sizeof column_types / sizeof *column_types)

struct random_table {
    struct schema schema;
    struct rows rows;
    uint32_t n_units, skipped;
    struct batch *units;
    bool prunes;
};

static struct random_table tables[2];

static struct rows rows_of(const void *table)
{
    return ((const struct random_table *)table)->rows;
}

static void table_fill(struct random_table *t, struct arena *a, uint32_t n)
{
    static struct column cols[COLUMNS];
    bool runs = rnd(2) != 0; /* the same value for a while: units of one value */
    for (uint32_t c = 0; c < COLUMNS; c++)
        cols[c] = (struct column){column_names[c], column_types[c]};
    *t = (struct random_table){.schema = {COLUMNS, cols}, .rows = {.n = n, .width = COLUMNS}};
    t->rows.at = arena_array(a, struct value, (size_t)n * COLUMNS + 1);
    for (uint32_t i = 0; i < n; i++) {
        struct value *row = row_at(&t->rows, i);
        row[0] = (struct value){.type = T_LONG, .i = i};
        for (uint32_t c = 1; c < COLUMNS; c++)
            row[c] = runs && i > 0 && rnd(9) != 0 ? row_at(&t->rows, i - 1)[c]
                                                  : random_value(a, column_types[c]);
    }
}

static struct vec flat(struct arena *a, const struct rows *r, uint32_t c, const uint32_t *rows,
                       uint32_t n)
{
    struct vecb b;
    struct vec v = {0};
    vecb_init(&b, a, column_types[c], n);
    for (uint32_t i = 0; i < n; i++) {
        struct value x = row_at(r, rows[i])[c];
        if (x.is_null)
            vecb_null(&b);
        else
            vecb_value(&b, &x);
    }
    REQUIRE_OK(vecb_finish(&b, &v, NULL));
    return v;
}

/* Rows [from, from + n) of a column: constant where they are all the same, else plain or coded. */
static struct vec unit_column(struct arena *a, const struct rows *r, uint32_t c, uint32_t from,
                              uint32_t n)
{
    uint32_t *rows = arena_array(a, uint32_t, n), *codes = arena_array(a, uint32_t, n), k = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t code = 0;
        while (code < k && !same_key(&row_at(r, rows[code])[c], &row_at(r, from + i)[c]))
            code++;
        if (code == k) rows[k++] = from + i;
        codes[i] = code;
        if (k > 300) break; /* no dictionary */
    }
    bool zero = column_types[c] == T_REAL; /* -0.0 is the same key as 0.0 */
    if (k == 1 && !zero && rnd(2) != 0) {
        struct vec v = flat(a, r, c, rows, 1);
        v.shape = VEC_CONST;
        v.n = n;
        return v;
    }
    if (k <= 300 && k <= n && !zero && rnd(2) != 0) {
        struct vec *dict = arena_new(a, struct vec);
        *dict = flat(a, r, c, rows, k);
        return (struct vec){
            .type = column_types[c], .shape = VEC_DICT, .n = n, .codes = codes, .dict = dict};
    }
    for (uint32_t i = 0; i < n; i++)
        rows[i] = from + i;
    return flat(a, r, c, rows, n);
}

static void table_cut(struct random_table *t, struct arena *a, uint32_t unit_rows)
{
    t->n_units = (t->rows.n + unit_rows - 1) / unit_rows;
    t->units = arena_array(a, struct batch, t->n_units + 1);
    for (uint32_t u = 0; u < t->n_units; u++) {
        uint32_t from = u * unit_rows, left = t->rows.n - from;
        uint32_t n = left < unit_rows ? left : unit_rows;
        struct vec *cols = arena_array(a, struct vec, COLUMNS);
        for (uint32_t c = 0; c < COLUMNS; c++)
            cols[c] = unit_column(a, &t->rows, c, from, n);
        t->units[u] = (struct batch){n, COLUMNS, cols};
    }
}

/* --- a source that skips what no row of can pass the hints ---------------------------------------- */

struct scan {
    struct random_table *t;
    uint32_t columns[COLUMNS], *units, n_units;
};

static bool may_pass(const struct value *v, const struct scan_hint *h)
{
    CLEANUP_BUF struct buf low = {0}, term = {0};
    if (h->op == HINT_HAS_TERM) {
        for (size_t i = 0; i < v->s.len; i++)
            buf_u8(&low, (uint8_t)tolower(v->s.p[i]));
        for (size_t i = 0; i < h->value.s.len; i++)
            buf_u8(&term, (uint8_t)tolower(h->value.s.p[i]));
        return strstr(buf_cstr(&low), buf_cstr(&term)) != NULL;
    }
    if (v->is_null || h->value.is_null) return false;
    int c = value_cmp(v, &h->value);
    switch (h->op) {
    case HINT_EQ: return c == 0;
    case HINT_LT: return c < 0;
    case HINT_LE: return c <= 0;
    case HINT_GT: return c > 0;
    default: return c >= 0;
    }
}

static bool unit_may_pass(const struct batch *unit, const struct scan_hint *hints, uint32_t n)
{
    for (uint32_t h = 0; h < n; h++) {
        bool any = false;
        for (uint32_t i = 0; i < unit->n_rows && !any; i++) {
            struct value v = vec_value(&unit->cols[hints[h].column], i);
            any = may_pass(&v, &hints[h]);
        }
        if (!any) return false;
    }
    return true;
}

static enum err scan_open(void *table, const uint32_t *columns, uint32_t n_columns,
                          const struct scan_hint *hints, uint32_t n_hints, void **out,
                          uint32_t *n_units, struct diag *dd)
{
    struct random_table *t = table;
    struct scan *s = calloc(1, sizeof *s);
    (void)dd;
    REQUIRE(s != NULL && n_columns <= COLUMNS);
    s->t = t;
    if (n_columns != 0) memcpy(s->columns, columns, n_columns * sizeof *columns);
    s->units = calloc(t->n_units + 1, sizeof *s->units);
    for (uint32_t u = 0; u < t->n_units; u++) {
        if (!t->prunes || unit_may_pass(&t->units[u], hints, n_hints))
            s->units[s->n_units++] = u;
        else
            t->skipped++;
    }
    *out = s;
    *n_units = s->n_units;
    return OK;
}

static enum err scan_read(void *scan, uint32_t unit, const uint32_t *places, uint32_t n,
                          struct arena *a, struct batch *out, struct diag *dd)
{
    const struct scan *s = scan;
    const struct batch *b = &s->t->units[s->units[unit]];
    struct vec *cols = arena_array(a, struct vec, n);
    if (cols == NULL) return arena_full(a, dd);
    for (uint32_t i = 0; i < n; i++)
        cols[i] = b->cols[s->columns[places[i]]];
    *out = (struct batch){b->n_rows, n, cols};
    return OK;
}

static uint64_t scan_rows(void *scan, uint32_t unit)
{
    const struct scan *s = scan;
    return s->t->units[s->units[unit]].n_rows;
}

static void scan_close(void *scan)
{
    free(((struct scan *)scan)->units);
    free(scan);
}

static const struct source_ops random_source = {scan_open, scan_read, scan_rows, scan_close};

static enum err find_table(void *ctx, const char *name, const struct schema **out, void **table,
                           struct diag *dd)
{
    (void)ctx;
    int i = strcmp(name, "T") == 0 ? 0 : strcmp(name, "U") == 0 ? 1 : -1;
    if (i < 0) return FAIL(dd, ERR_NOT_FOUND, "no table %.40s", name);
    *out = &tables[i].schema;
    *table = &tables[i];
    return OK;
}

static const char *name_at(void *ctx, uint32_t i)
{
    (void)ctx;
    return i == 0 ? "T" : i == 1 ? "U" : NULL;
}
static const struct kql_catalog catalog = {.table = find_table, .table_name = name_at};

/* --- expressions -------------------------------------------------------------------------------- */

struct writer {
    const struct schema *cols; /* to be named */
    struct buf *out;
};

static void expression(struct writer *w, enum type t, int depth);

static void leaf(struct writer *w, enum type t)
{
    uint32_t at = rnd(w->cols->n + 1);
    for (uint32_t i = 0; i < w->cols->n && rnd(5) != 0; i++) {
        const struct column *c = &w->cols->cols[(at + i) % w->cols->n];
        if (c->type != t) continue;
        buf_str(w->out, c->name);
        return;
    }
    struct value v = random_value(&hand, t);
    literal(&v, w->out);
}

static bool is_plain_operator(const char *name)
{
    static const char *const others[] = {
        "op neg",     "op index",    "op path",         "op dynamic", "op between",
        "op in",      "op in~",      "op !in",          "op !in~",    "op has_any",
        "op has_all", "op !between", "op matches regex"};
    if (!str_starts(name, "op ")) return false;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (strcmp(name, others[i]) == 0) return false;
    }
    return true;
}

/* Functions that look at more than their arguments, or for so long that trials would be few. */
static bool is_tried(const struct fn *fn)
{
    if ((fn->flags & (FN_NOT_CONST | FN_WINDOW | FN_AGG_ONLY)) != 0) return false;
    if (str_starts(fn->name, "op ")) return is_plain_operator(fn->name);
    return !str_starts(fn->name, "geo_") && !str_starts(fn->name, "current_") &&
           !str_starts(fn->name, "series_") && strchr(fn->name, ' ') == NULL;
}

static bool call(struct writer *w, const struct fn *fn, enum type t, int depth)
{
    enum type types[4];
    const struct value *consts[4] = {NULL};
    uint32_t n = fn->arity_min + (fn->arity_max > fn->arity_min ? rnd(2) : 0), last = 0;
    if (n > 4 || (n == 0 && fn->arity_min == 0)) return false;
    while (last < 5 && fn->args[last + 1].accepts != 0)
        last++;
    for (uint32_t k = 0; k < n; k++) {
        const struct fn_arg *spec = &fn->args[k < last ? k : last];
        if ((spec->accepts & ~TM(T_NONE)) == 0) return false;
        do
            types[k] = (enum type)(1 + rnd(N_TYPES - 1));
        while ((spec->accepts & TM(types[k])) == 0);
    }
    if ((fn->ret != T_NONE ? fn->ret : fn->ret_of(types, consts, n)) != t) return false;
    bool infix = str_starts(fn->name, "op ");
    if (infix && n != 2) return false;
    buf_fmt(w->out, "%s(", infix ? "" : fn->name);
    for (uint32_t k = 0; k < n; k++) {
        if (k != 0) buf_fmt(w->out, "%s%s%s", infix ? " " : ",", infix ? fn->name + 3 : "", " ");
        expression(w, types[k], depth - 1);
    }
    buf_str(w->out, ")");
    return true;
}

static void expression(struct writer *w, enum type t, int depth)
{
    if (depth <= 0 || rnd(5) == 0) {
        leaf(w, t);
        return;
    }
    if (rnd(8) == 0) {
        buf_str(w->out, "iff(");
        expression(w, T_BOOL, depth - 1);
        buf_str(w->out, ", ");
        expression(w, t, depth - 1);
        buf_str(w->out, ", ");
        expression(w, t, depth - 1);
        buf_str(w->out, ")");
        return;
    }
    for (int tries = 0; tries < 40; tries++) {
        const struct fn *fn = fn_at(rnd(fn_count()));
        size_t at = w->out->len;
        if (is_tried(fn) && call(w, fn, t, depth)) return;
        buf_shrink(w->out, at);
    }
    leaf(w, t);
}

/* --- operators ---------------------------------------------------------------------------------- */

struct trial {
    struct arena a; /* of the query that was bound last, and of the interpreter */
    struct buf text;
    struct plan plan;
    bool ordered; /* the order of rows is defined */
};

static bool bound(struct trial *t)
{
    const struct kql_options options = {.now_ticks = TICKS_UNIX};
    diag_reset(&d);
    return kql_compile(&t->a, buf_view(&t->text), &catalog, &options, &t->plan, &d) == OK;
}

static enum type any_type(void)
{
    return (enum type)(1 + rnd(N_TYPES - 1));
}

static const char *column_of(struct trial *t, bool sortable)
{
    const struct schema *s = &t->plan.root->schema;
    uint32_t at = rnd(s->n);
    for (uint32_t i = 0; i < s->n; i++) {
        const struct column *c = &s->cols[(at + i) % s->n];
        if (!sortable || c->type != T_DYNAMIC) return c->name;
    }
    return s->cols[0].name;
}

static void add_where(struct trial *t, struct writer *w)
{
    static const char *const compares[] = {"==", "<", "<=", ">", ">="};
    buf_str(&t->text, "\n| where ");
    if (rnd(2) == 0) { /* of the kind that becomes a hint */
        uint32_t c = 1 + rnd(COLUMNS - 1);
        struct value v = random_value(&hand, column_types[c]);
        buf_fmt(&t->text, "%s %s ", column_names[c],
                column_types[c] == T_STRING && rnd(2) != 0 ? "has" : PICK(compares));
        literal(&v, &t->text);
        return;
    }
    expression(w, T_BOOL, 4);
}

static void add_extend(struct trial *t, struct writer *w)
{
    buf_fmt(&t->text, "\n| extend e%u = ", rnd(3));
    expression(w, any_type(), 4);
    if (rnd(2) == 0) return;
    buf_fmt(&t->text, ", %s = ", column_names[1 + rnd(COLUMNS - 1)]);
    expression(w, any_type(), 3);
}

static void add_project(struct trial *t, struct writer *w)
{
    buf_str(&t->text, "\n| project id");
    for (uint32_t i = 0; i < 3; i++)
        buf_fmt(&t->text, ", %s", column_of(t, false));
    buf_str(&t->text, ", e = ");
    expression(w, any_type(), 3);
}

static void add_aggregate(struct trial *t, struct writer *w)
{
    static const char *const forms[] = {"count()",
                                        "countif(",
                                        "sum(",
                                        "min(",
                                        "max(",
                                        "dcount(",
                                        "count_distinct(",
                                        "minif(",
                                        "percentile(",
                                        "array_sort_asc(make_set(",
                                        "array_length(make_list("};
    static const enum type types[] = {T_NONE, T_BOOL, T_LONG, T_NONE,   T_NONE, T_NONE,
                                      T_NONE, T_NONE, T_LONG, T_STRING, T_NONE};
    uint32_t which = rnd(sizeof forms / sizeof *forms);
    buf_str(&t->text, forms[which]);
    if (which == 0) return;
    enum type of = types[which];
    while (of == T_NONE || ((which >= 3 && which <= 7) && of == T_DYNAMIC))
        of = any_type();
    expression(w, of, 2);
    if (which == 7) {
        buf_str(&t->text, ", ");
        expression(w, T_BOOL, 2);
    }
    buf_str(&t->text, which == 8 ? ", 50)" : which >= 9 ? "))" : ")");
}

static void add_summarize(struct trial *t, struct writer *w)
{
    buf_str(&t->text, "\n| summarize a0 = ");
    add_aggregate(t, w);
    buf_str(&t->text, ", a1 = ");
    add_aggregate(t, w);
    if (rnd(4) == 0) {
        t->ordered = false;
        return;
    }
    buf_fmt(&t->text, " by %s, k = ", column_of(t, true));
    expression(w, PICK(column_types), 2);
    t->ordered = false;
}

static void add_distinct(struct trial *t, struct writer *w)
{
    (void)w;
    buf_fmt(&t->text, "\n| distinct %s, %s", column_of(t, true), column_of(t, true));
    t->ordered = false;
}

static void add_sort(struct trial *t, struct writer *w)
{
    (void)w;
    buf_fmt(&t->text, "\n| sort by %s %s nulls %s, %s %s", column_of(t, true),
            rnd(2) != 0 ? "asc" : "desc", rnd(2) != 0 ? "first" : "last", column_of(t, true),
            rnd(2) != 0 ? "asc" : "desc");
    if (t->ordered && rnd(3) == 0) buf_fmt(&t->text, "\n| take %u", rnd(20));
}

static void add_top(struct trial *t, struct writer *w)
{
    if (!t->ordered) return;
    buf_fmt(&t->text, "\n| top %u by ", rnd(30));
    expression(w, T_LONG, 2);
    buf_str(&t->text, rnd(2) != 0 ? " asc" : " desc");
}

static void add_join(struct trial *t, struct writer *w)
{
    static const char *const kinds[] = {"inner",      "innerunique", "leftouter",
                                        "rightouter", "fullouter",   "leftsemi",
                                        "leftanti",   "rightsemi",   "rightanti"};
    static const char *const keys[] = {"i", "l", "s", "t", "g", "b", "m", "d"};
    (void)w;
    const char *kind = PICK(kinds);
    if (!t->ordered && strcmp(kind, "innerunique") == 0) kind = "inner";
    buf_fmt(&t->text, "\n| join kind=%s (U | where id %% 7 < %u) on %s", kind, rnd(8), PICK(keys));
    if (rnd(2) != 0) buf_fmt(&t->text, ", %s", PICK(keys));
    t->ordered = false;
}

static void add_union(struct trial *t, struct writer *w)
{
    (void)w;
    buf_fmt(&t->text, "\n| union %s(U | where %s)", rnd(2) != 0 ? "kind=inner " : "",
            rnd(2) != 0 ? "b" : "l > 2");
}

static void add_window(struct trial *t, struct writer *w)
{
    static const char *const forms[] = {"prev(",           "next(",         "row_cumsum(",
                                        "row_rank_dense(", "row_rank_min(", "row_number(",
                                        "prev(row_cumsum("};
    uint32_t which = rnd(7);
    enum type of = any_type();
    if (!t->ordered || tables[0].rows.n > 200) return;
    bool number = which == 2 || which == 5 || which == 6;
    if (number || ((which == 3 || which == 4) && of == T_DYNAMIC)) of = T_LONG;
    buf_fmt(&t->text, "\n| serialize w%u = %s", rnd(2), forms[which]);
    if (which == 5)
        buf_fmt(&t->text, "%d", (int)rnd(5) - 2);
    else
        expression(w, of, 2);
    if (which < 2) {
        buf_fmt(&t->text, ", %u", rnd(5));
    } else if (rnd(2) != 0) {
        buf_str(&t->text, ", ");
        expression(w, T_BOOL, 2);
    }
    buf_str(&t->text, which == 6 ? "))" : ")");
}

static void (*const adds[])(struct trial *, struct writer *) = {
    add_where, add_where, add_extend, add_extend, add_project, add_summarize, add_distinct,
    add_sort,  add_sort,  add_top,    add_join,   add_union,   add_window};

static void rebind(struct trial *t)
{
    arena_release(&t->a);
    arena_init(&t->a, (size_t)512 << 20);
    REQUIRE(bound(t));
}

/* One more operator, one that the binder takes. */
static void grow(struct trial *t)
{
    for (int tries = 0; tries < 30; tries++) {
        size_t at = t->text.len;
        bool ordered = t->ordered;
        struct writer w = {&t->plan.root->schema, &t->text};
        adds[rnd(sizeof adds / sizeof *adds)](t, &w);
        if (t->text.len > at && bound(t) && t->plan.root->schema.n != 0) return;
        buf_shrink(&t->text, at);
        t->ordered = ordered;
        rebind(t);
    }
}

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

struct place {
    pthread_mutex_t lock;
    struct buf all;
};

static enum err place_write(void *spill, struct bytes block, uint64_t *at, struct diag *dd)
{
    struct place *p = spill;
    LOCK_SCOPE(&p->lock);
    *at = p->all.len;
    buf_bytes(&p->all, block);
    return buf_check(&p->all, dd);
}

static enum err place_read(void *spill, uint64_t at, size_t len, struct arena *a, struct bytes *out,
                           struct diag *dd)
{
    struct place *p = spill;
    LOCK_SCOPE(&p->lock);
    *out = arena_bytes(a, bytes_of(p->all.p + at, len));
    return out->p != NULL ? OK : arena_full(a, dd);
}
static const struct spill_ops place_ops = {place_write, place_read};

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

static uint64_t setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
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
