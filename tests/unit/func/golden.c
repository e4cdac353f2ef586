/* SPDX-License-Identifier: Apache-2.0 */
/* Recorded answers of the original to queries of one print: each that can be evaluated here must
 * agree. */
#include "eval.h"

#include "json/json.h"

#include <stdio.h>

/* Not for us: answers that differ from run to run, or follow from something that the binder does.
 */
static const char *const skipped[] = {"now-function", "rand", "new_guid", "current_", NULL};
/* Answers whose order means nothing: each element is there, and no other. */
static const char *const sets[] = {"geo-s2cell-neighbors-function", NULL};

static void put_expected(const json_t *cell, enum type t, struct buf *out)
{
    CLEANUP_BUF struct buf dyn = {0};
    int64_t ticks;
    if (json_is_null(cell)) return;
    if (t == T_DYNAMIC) {
        struct diag d = DIAG_INIT;
        struct buf text = {0};
        REQUIRE_OK(json_write(cell, &text, &d));
        if (dyn_from_json(buf_view(&text), &dyn, &d) == OK) dyn_to_json(buf_view(&dyn), out);
        buf_release(&text);
    } else if (json_is_boolean(cell)) {
        buf_str(out, json_is_true(cell) ? "True" : "False");
    } else if (json_is_integer(cell)) {
        buf_fmt(out, "%lld", (long long)json_integer_value(cell));
    } else if (json_is_real(cell)) {
        real_format(json_real_value(cell), out);
    } else if (t == T_DATETIME && datetime_parse(bytes_str(json_string_value(cell)), &ticks)) {
        datetime_format(ticks, out);
    } else {
        buf_str(out, json_string_value(cell));
    }
}

static void put_got(const struct value *v, struct buf *out)
{
    if (v->is_null) return;
    if (v->type == T_DYNAMIC) {
        dyn_to_json(v->s, out);
    } else if (v->type == T_REAL) {
        real_format(v->r, out);
    } else if (v->type == T_DECIMAL) { /* recorded as JSON numbers, which have fewer digits */
        struct value r;
        if (value_cast(v, T_REAL, NULL, &r)) real_format(r.r, out);
    } else {
        value_to_text(v, out);
    }
}

static bool close_enough(const struct buf *a, const struct buf *b)
{
    double x, y;
    if (bytes_eq(buf_view(a), buf_view(b))) return true;
    return real_parse(buf_view(a), &x) && real_parse(buf_view(b), &y) &&
           (x == y || fabs(x - y) <= 1e-14 * fabs(x) || (isnan(x) && isnan(y)));
}

/* A number of 16 digits and more at the front of s, stepped over. */
static bool long_number(const char **s, double *out)
{
    char *end;
    *out = strtod(*s, &end);
    if (end - *s < 16 || strspn(*s, "-.0123456789") < (size_t)(end - *s)) return false;
    *s = end;
    return true;
}

/* Texts that differ in how they write the last digit of one and the same double. */
static bool same_doubles(const char *a, const char *b)
{
    while (*a != '\0' && *b != '\0') {
        double x, y;
        const char *p = a, *q = b;
        if (long_number(&p, &x) && long_number(&q, &y)) {
            if (x != y) return false;
            a = p;
            b = q;
        } else if (*a++ != *b++) {
            return false;
        }
    }
    return *a == *b;
}

static bool same_set(const char *a, const char *b)
{
    CLEANUP_JSON json_t *x = json_loads(a, 0, NULL), *y = json_loads(b, 0, NULL);
    if (!json_is_array(x) || !json_is_array(y) || json_array_size(x) != json_array_size(y))
        return false;
    for (size_t i = 0; i < json_array_size(x); i++) {
        size_t k = 0;
        while (k < json_array_size(y) && !json_equal(json_array_get(x, i), json_array_get(y, k)))
            k++;
        if (k == json_array_size(y)) return false;
        json_array_remove(y, k);
    }
    return true;
}

static bool is_listed(const char *const *list, const char *text)
{
    for (; *list != NULL; list++) {
        if (strstr(text, *list) != NULL) return true;
    }
    return false;
}

static bool agree(const char *id, struct buf *want, struct buf *got)
{
    if (close_enough(want, got) || same_doubles(buf_cstr(want), buf_cstr(got))) return true;
    return is_listed(sets, id) && same_set(buf_cstr(want), buf_cstr(got));
}

/* name = expression, ... Returns how many cells were compared; *bad counts those that differ. */
static unsigned compare(const char *id, const char *query, const json_t *columns, const json_t *row,
                        unsigned *bad)
{
    struct ev e;
    unsigned done = 0;
    ev_init(&e, query, 1);
    (void)ev_sign(&e, "print");
    for (size_t i = 0; i < json_array_size(columns); i++) {
        const char *type_text = json_get_str(json_array_get(columns, i), "type");
        enum type t = T_STRING;
        (void)type_parse(type_text, &t, NULL);
        struct rd mark = e.r;
        struct bytes name = ev_word(&e);
        bool named =
            name.len != 0 && ev_sign(&e, "=") && e.r.p < e.r.end && *e.r.p != '=' && *e.r.p != '~';
        if (!named) e.r = mark;
        struct ev_value v = ev_or(&e);
        bool last = i + 1 == json_array_size(columns);
        if (e.why != NULL || (!last && !ev_sign(&e, ","))) break;
        struct value x = vec_value(v.v, 0);
        CLEANUP_BUF struct buf want = {0}, got = {0};
        put_expected(json_array_get(row, i), t, &want);
        put_got(&x, &got);
        done++;
        if (!agree(id, &want, &got)) {
            ++*bad;
            fprintf(stderr, "%s, column %zu: '%s', not '%s'\n    %.200s\n", id, i, buf_cstr(&got),
                    buf_cstr(&want), query);
        }
        bool same_type = strstr(type_text, type_name(x.type)) != NULL ||
                         (x.type == T_INT && t == T_LONG && id[0] == 'd');
        if (!same_type && x.type != T_DYNAMIC) {
            ++*bad;
            fprintf(stderr, "%s, column %zu: type %s, not %s\n    %.200s\n", id, i,
                    type_name(x.type), type_text, query);
        }
    }
    scan_spaces(&e.r);
    if (e.why == NULL && e.r.p != e.r.end && *e.r.p != '|') done = 0;
    if (getenv("GOLDEN_WHY") != NULL && e.why != NULL)
        fprintf(stderr, "%s: %s\n    %.150s\n", id, e.why, query);
    ev_release(&e);
    return done;
}

TEST(func, recorded_answers_to_print_are_ours)
{
    struct diag d = DIAG_INIT;
    const char *path = test_shared("kql/golden_dev.json");
    if (path == NULL) return;
    CLEANUP_BUF struct buf file = {0};
    REQUIRE_OK(os_read_file(path, (size_t)64 << 20, &file, &d));
    CLEANUP_JSON json_t *all = json_loadb((const char *)file.p, file.len, 0, NULL);
    REQUIRE(all != NULL);
    unsigned cells = 0, bad = 0;
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *g = json_array_get(all, i);
        const char *query = json_get_str(g, "query"), *id = json_get_str(g, "id");
        while (*query == ' ' || *query == '\n')
            query++;
        const json_t *rows = json_object_get(g, "rows"), *columns = json_object_get(g, "columns");
        if (strncmp(query, "print", 5) != 0 || json_array_size(rows) != 1 ||
            is_listed(skipped, id) || is_listed(skipped, query))
            continue;
        if (strchr(query, '|') != NULL || strstr(query, "//") != NULL) continue;
        cells += compare(id, query, columns, json_array_get(rows, 0), &bad);
    }
    fprintf(stderr, "%u recorded cells compared\n", cells);
    EXPECT_EQ(bad, 0);
}
