/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/exec/corpus.c - queries with the recorded answers of the real engine, where the corpus
 * is there
 *
 * Prints a score, and with CORPUS=1 in the environment each failure with its reason. The floor may
 * only be raised.
 */
#include "from_text.h"

#include "base/str.h"
#include "json/json.h"

#include <math.h>
#include <stdlib.h>

#define FLOOR 1165 /* queries answered as the real engine does */

struct score {
    unsigned right, wrong, refused;
    unsigned alike, answered; /* what the engine refused: refused here too, or not */
};

/* --- values ----------------------------------------------------------------------------------- */

static bool close_to(double a, double b)
{
    if (isnan(a) || isnan(b)) return isnan(a) && isnan(b);
    if (isinf(a) || isinf(b)) return a == b;
    return fabs(a - b) <= 1e-9 * fmax(1e-6, fmax(fabs(a), fabs(b)));
}

static bool same_json(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b))
        return close_to(json_number_value(a), json_number_value(b));
    if (json_typeof(a) != json_typeof(b)) return false;
    if (json_is_array(a)) {
        if (json_array_size(a) != json_array_size(b)) return false;
        for (size_t i = 0; i < json_array_size(a); i++) {
            if (!same_json(json_array_get(a, i), json_array_get(b, i))) return false;
        }
        return true;
    }
    if (!json_is_object(a)) return json_equal(a, b) != 0;
    const char *key;
    json_t *value;
    if (json_object_size(a) != json_object_size(b)) return false;
    json_object_foreach ((json_t *)(uintptr_t)a, key, value) {
        const json_t *other = json_object_get(b, key);
        if (other == NULL || !same_json(value, other)) return false;
    }
    return true;
}

static bool same_dynamic(const json_t *want, struct bytes dyn)
{
    CLEANUP_BUF struct buf text = {0};
    dyn_to_json(dyn, &text);
    CLEANUP_JSON json_t *got = json_loads(buf_cstr(&text), JSON_DECODE_ANY, NULL);
    return got != NULL && same_json(want, got);
}

static bool same_text(const json_t *want, const struct value *v)
{
    struct bytes s = {(const uint8_t *)json_string_value(want), json_string_length(want)};
    struct u128 u;
    int64_t i;
    double r;
    switch (v->type) {
    case T_STRING: return bytes_eq(s, v->s);
    case T_DATETIME: return datetime_parse(s, &i) && i == v->i;
    case T_TIMESPAN: return timespan_parse(s, &i) && i == v->i;
    case T_GUID: return guid_text_parse(s, &u) && memcmp(&u, &v->u, 16) == 0;
    case T_REAL:
        if (str_eq(json_string_value(want), "NaN")) return isnan(v->r);
        return real_parse(s, &r) && close_to(r, v->r);
    default: return false;
    }
}

static bool same_value(const json_t *want, const struct value *v)
{
    if (v->is_null) return json_is_null(want);
    if (v->type == T_DYNAMIC) return same_dynamic(want, v->s);
    if (json_is_string(want)) return same_text(want, v);
    if (json_is_boolean(want)) return v->type == T_BOOL && v->b == json_is_true(want);
    if (!json_is_number(want)) return false;
    if (v->type == T_REAL) return close_to(json_number_value(want), v->r);
    if (v->type == T_DECIMAL) {
        CLEANUP_BUF struct buf text = {0};
        decimal_format(&v->u, &text);
        return close_to(json_number_value(want), strtod(buf_cstr(&text), NULL));
    }
    if (json_is_integer(want)) return v->i == json_integer_value(want);
    return (double)v->i == json_number_value(want);
}

/* --- tables ---------------------------------------------------------------------------------- */

static bool type_listed(const char *types, const char *name) /* "real|decimal" */
{
    const char *at = strstr(types, name);
    size_t n = strlen(name);
    return at != NULL && (at == types || at[-1] == '|') && (at[n] == 0 || at[n] == '|');
}

static bool same_columns(const json_t *want, const struct schema *s, char *why, size_t size)
{
    if (json_array_size(want) != s->n) {
        snprintf(why, size, "%u columns, not %zu", s->n, json_array_size(want));
        return false;
    }
    for (uint32_t i = 0; i < s->n; i++) {
        const char *name = json_get_str(json_array_get(want, i), "name");
        const char *type = json_get_str(json_array_get(want, i), "type");
        if (str_eq(name, s->cols[i].name) && type_listed(type, type_name(s->cols[i].type)))
            continue;
        snprintf(why, size, "column %s:%s, not %s:%s", s->cols[i].name, type_name(s->cols[i].type),
                 name, type);
        return false;
    }
    return true;
}

static bool same_row(const json_t *want, const struct result *r, uint32_t row)
{
    for (uint32_t c = 0; c < r->schema.n; c++) {
        if (!same_value(json_array_get(want, c), &r->cells[(size_t)row * r->schema.n + c]))
            return false;
    }
    return true;
}

static bool same_rows(const json_t *rows, const struct result *r, bool ordered, bool complete,
                      char *why, size_t size)
{
    size_t n = json_array_size(rows);
    if (complete ? n != r->n_rows : n > r->n_rows) {
        snprintf(why, size, "%u rows, not %zu", r->n_rows, n);
        return false;
    }
    CLEANUP_FREE bool *used = calloc(r->n_rows + 1, 1);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t k = ordered ? i : 0;
        while (!ordered && k < r->n_rows && (used[k] || !same_row(json_array_get(rows, i), r, k)))
            k++;
        if (k >= r->n_rows || !same_row(json_array_get(rows, i), r, k)) {
            snprintf(why, size, "row %u differs", i);
            return false;
        }
        used[k] = true;
    }
    return true;
}

/* Rows that a sort leaves equal may come in any order: then the key columns must be as recorded,
 * row by row, and the rows as a set. False: the plan's end says nothing of the order. */
static bool same_but_for_ties(const json_t *rows, const struct result *r)
{
    char why[100];
    const struct op *op = r->root;
    bool sorted = op->kind == OP_SORT || op->kind == OP_TOP;
    if (!sorted || json_array_size(rows) != r->n_rows) return false;
    uint32_t n = op->kind == OP_SORT ? op->sort.n_keys : op->top.n_keys;
    const struct sort_key *keys = op->kind == OP_SORT ? op->sort.keys : op->top.keys;
    for (uint32_t i = 0; i < r->n_rows; i++) {
        for (uint32_t k = 0; k < n; k++) {
            const struct expr *e = keys[k].expr;
            if (e->kind != EXPR_COL) return false;
            const json_t *want = json_array_get(json_array_get(rows, i), e->col);
            if (!same_value(want, &r->cells[(size_t)i * r->schema.n + e->col])) return false;
        }
    }
    return same_rows(rows, r, false, true, why, sizeof why);
}

/* --- cases ----------------------------------------------------------------------------------- */

static void print_failure(const json_t *c, const char *kind, const char *why,
                          const struct result *r)
{
    if (getenv("CORPUS") == NULL) return;
    fprintf(stderr, "%s\t%s\t%s\n", kind, json_get_str(c, "id"), why);
    if (getenv("CORPUS_ROWS") == NULL || r->err != OK) return;
    fprintf(stderr, "%s\n", json_get_str(c, "query"));
    CLEANUP_FREE char *rows = json_dumps(json_get(c, "rows"), JSON_COMPACT);
    fprintf(stderr, "want %s\ngot  [", rows);
    for (uint32_t i = 0; i < r->n_rows; i++) {
        fprintf(stderr, "%s[", i ? "," : "");
        for (uint32_t k = 0; k < r->schema.n; k++) {
            const struct value *v = &r->cells[(size_t)i * r->schema.n + k];
            CLEANUP_BUF struct buf b = {0};
            if (v->is_null)
                buf_str(&b, "null");
            else if (dyn_from_value(v, &b, NULL) == OK) {
                CLEANUP_BUF struct buf t = {0};
                dyn_to_json(buf_view(&b), &t);
                buf_clear(&b);
                buf_bytes(&b, buf_view(&t));
            }
            fprintf(stderr, "%s%s", k ? "," : "", buf_cstr(&b));
        }
        fprintf(stderr, "]");
    }
    fprintf(stderr, "]\n\n");
}

static void run_case(const json_t *c, struct score *s)
{
    const char *query = json_get_str(c, "query");
    char why[1200];
    struct result r;
    result_of(&r, bytes_str(query), NULL);
    bool nondeterministic = json_get_bool(c, "nondeterministic", false);
    if (json_get(c, "engine_error") != NULL) {
        /* What the recording engine refused is no rule for us, but worth a look. */
        unsigned *n = r.err != OK ? &s->alike : &s->answered;
        ++*n;
        if (r.err == OK) print_failure(c, "answered", json_get_str(c, "engine_error"), &r);
    } else if (r.err != OK) {
        s->refused++;
        snprintf(why, sizeof why, "%s %s", r.d.tag, r.d.text);
        print_failure(c, "refused", why, &r);
    } else if (!same_columns(json_get(c, "columns"), &r.schema, why, sizeof why) ||
               (!nondeterministic &&
                !same_rows(json_get(c, "rows"), &r, json_get_bool(c, "ordered", false),
                           json_get_bool(c, "complete", true), why, sizeof why) &&
                !same_but_for_ties(json_get(c, "rows"), &r))) {
        s->wrong++;
        print_failure(c, "wrong", why, &r);
    } else {
        s->right++;
    }
    result_release(&r);
}

TEST(kql, recorded_answers_of_the_real_engine_are_ours)
{
    struct diag d = DIAG_INIT;
    const char *path = test_shared("kql/golden_dev.json"), *only = getenv("CORPUS_ID");
    if (path == NULL) return;
    CLEANUP_BUF struct buf text = {0};
    REQUIRE_OK(os_read_file(path, (size_t)1 << 26, &text, &d));
    CLEANUP_JSON json_t *cases = json_loadb((const char *)text.p, text.len, 0, NULL);
    REQUIRE(cases != NULL);
    struct score s = {0};
    size_t i;
    json_t *c;
    json_array_foreach (cases, i, c) {
        if (only == NULL || str_eq(only, json_get_str(c, "id"))) run_case(c, &s);
    }
    fprintf(stderr,
            "corpus: %u right, %u wrong, %u refused; of what the engine refused %u refused too, %u "
            "answered\n",
            s.right, s.wrong, s.refused, s.alike, s.answered);
    REQUIRE(only != NULL || s.right >= FLOOR);
}
