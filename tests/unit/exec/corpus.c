/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/exec/corpus.c - queries with the recorded answers of the real engine, where the corpus
 * is there
 *
 * Prints a score; with CORPUS=1 in the environment each failure with its reason, with CORPUS_ROWS=1
 * the rows too, with CORPUS_ID=x that case alone. The floor may only be raised. Every miss stands
 * in docs/kql-coverage.md.
 */
#include "answers.h"

#include "../coverage_page.h"

#define FLOOR 1288 /* queries answered as the real engine does */

static const struct reason reasons[] = {
    {"dk:datetime-part-function-00", "the record has long here, and int in ks:0785"},
    {"dk:hour-of-day-function-00", "the record has long here, and int in ks:0079"},
    {"dk:mv-expand-operator-05", "the record has int here, and long in ks:1673"},
    {"dk:geo-line-densify-function-00", "the last digit of a double as text"},
    {"dk:geo-polygon-densify-function-01", "the last digit of a double as text"},
    {"dk:geo-s2cell-neighbors-function-00", "neighbours in another order; none is documented"},
    {"dk:geo-s2cell-neighbors-function-01", "neighbours in another order; none is documented"},
    {"dk:hash-many-function-00", "how hashes are combined is not published"},
    {"ks:0469", "which of two groups with equal sums is kept"},
    {"ks:1383", "which of two groups with equal sums is kept"},
    {"ks:0617", "a column name with a random GUID in it"},
    {NULL, NULL},
};

struct score {
    unsigned right, wrong, refused;
    unsigned geo_right, geo;  /* among them */
    unsigned alike, answered; /* what the engine refused: refused here too, or not */
};

static void print_failure(const json_t *c, const char *kind, const char *why,
                          const struct result *r)
{
    if (getenv("CORPUS") == NULL) return;
    fprintf(stderr, "%s\t%s\t%s\n", kind, json_get_str(c, "id"), why);
    if (getenv("CORPUS_ROWS") != NULL && r->err == OK)
        print_result(json_get(c, "rows"), json_get_str(c, "query"), r);
}

static bool is_right(const json_t *c, const struct result *r, char *why, size_t size)
{
    const json_t *rows = json_get(c, "rows");
    if (!same_columns(json_get(c, "columns"), &r->schema, why, size)) return false;
    return json_get_bool(c, "nondeterministic", false) ||
           same_rows(rows, r, json_get_bool(c, "ordered", false),
                     json_get_bool(c, "complete", true), why, size) ||
           same_but_for_ties(rows, r);
}

static void run_case(const json_t *c, struct score *s, struct misses *m)
{
    const char *id = json_get_str(c, "id"), *query = json_get_str(c, "query");
    char why[1200];
    struct result r;
    result_of(&r, bytes_str(query), NULL);
    if (json_get(c, "engine_error") != NULL) {
        /* What the recording engine refused is no rule for us, but worth a look. */
        unsigned *n = r.err != OK ? &s->alike : &s->answered;
        ++*n;
        if (r.err == OK) print_failure(c, "answered", json_get_str(c, "engine_error"), &r);
        result_release(&r);
        return;
    }
    bool geo = strstr(query, "geo_") != NULL, right = false;
    if (r.err != OK) {
        snprintf(why, sizeof why, "%s%s%s", r.d.tag, r.d.tag[0] != 0 ? " " : "", r.d.text);
        print_failure(c, "refused", why, &r);
        s->refused++;
    } else {
        right = is_right(c, &r, why, sizeof why);
        *(right ? &s->right : &s->wrong) += 1;
        if (!right) print_failure(c, "wrong", why, &r);
    }
    if (!right) misses_add(m, id, reason_of(reasons, id) != NULL ? reason_of(reasons, id) : why);
    s->geo += geo;
    s->geo_right += geo && right;
    result_release(&r);
}

static void put_score(const struct score *s, struct buf *out)
{
    unsigned all = s->right + s->wrong + s->refused;
    buf_fmt(out,
            "Queries with the recorded answers of the real engine: %u of %u answered alike without "
            "geo_*\n(%.1f %%), %u of %u of geo_*; %u wrong and %u refused in all. Of %u that the "
            "recording engine refused, %u are\nrefused here too.",
            s->right - s->geo_right, all - s->geo,
            100.0 * (s->right - s->geo_right) / (all - s->geo), s->geo_right, s->geo, s->wrong,
            s->refused, s->alike + s->answered, s->alike);
}

TEST(kql, recorded_answers_of_the_real_engine_are_ours)
{
    struct diag d = DIAG_INIT;
    const char *path = test_shared("kql/golden_dev.json"), *only = getenv("CORPUS_ID");
    if (path == NULL) return;
    CLEANUP_BUF struct buf text = {0}, score = {0};
    REQUIRE_OK(os_read_file(path, (size_t)1 << 26, &text, &d));
    CLEANUP_JSON json_t *cases = json_loadb((const char *)text.p, text.len, 0, NULL);
    REQUIRE(cases != NULL);
    struct score s = {0};
    struct misses m;
    size_t i;
    json_t *c;
    misses_begin(&m, "recorded answers");
    json_array_foreach (cases, i, c) {
        if (only == NULL || str_eq(only, json_get_str(c, "id"))) run_case(c, &s, &m);
    }
    put_score(&s, &score);
    fprintf(stderr, "%s\n", buf_cstr(&score));
    misses_end(&m, buf_cstr(&score));
    REQUIRE(only != NULL || s.right >= FLOOR);
}
