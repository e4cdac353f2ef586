/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/exec/patterns.c - what patterns promise, on random rows: beside counting by hand */
#include "from_text.h"

#include "base/thread.h"

#include <math.h>
#include <stdlib.h>

#define DIMS 4
#define ROWS 120

static uint32_t seed;
static uint32_t next_random(uint32_t below)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % below;
}

struct sample {
    uint32_t n;
    int v[ROWS][DIMS]; /* 0..2; -1 is null */
    int side[ROWS], weight[ROWS];
    struct buf text; /* as a datatable of a, b, c, d, side, weight */
};

/* Dimensions are correlated: d often follows from a, so that patterns close. */
static void make_sample(struct sample *s, uint32_t n)
{
    s->n = n;
    buf_clear(&s->text);
    buf_str(&s->text, "datatable(a:long, b:long, c:long, d:long, side:long, weight:long)[");
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t c = 0; c < DIMS; c++)
            s->v[i][c] = (int)next_random(c + 2) - (c == 1 && next_random(4) == 0);
        if (next_random(10) != 0) s->v[i][3] = s->v[i][0];
        s->side[i] = s->v[i][0] == 1 && next_random(3) != 0 ? 0 : (int)next_random(3);
        s->weight[i] = 1 + (int)next_random(3);
        for (uint32_t c = 0; c < DIMS; c++) {
            if (s->v[i][c] < 0)
                buf_str(&s->text, "long(null),");
            else
                buf_fmt(&s->text, "%d,", s->v[i][c]);
        }
        buf_fmt(&s->text, "%d,%d,", s->side[i], s->weight[i]);
    }
    buf_str(&s->text, "]");
}

#define STAR 99
static bool matches(const int *pattern, const int *row)
{
    for (uint32_t c = 0; c < DIMS; c++) {
        if (pattern[c] != STAR && pattern[c] != row[c]) return false;
    }
    return true;
}

/* Weight of the rows that match; side -1: of all. */
static int weigh(const struct sample *s, const int *pattern, int side)
{
    int sum = 0;
    for (uint32_t i = 0; i < s->n; i++) {
        if (matches(pattern, s->v[i]) && (side < 0 || s->side[i] == side)) sum += s->weight[i];
    }
    return sum;
}

/* Among rows of the sides below sides. */
static bool is_closed(const struct sample *s, const int *pattern, int sides)
{
    for (uint32_t c = 0; c < DIMS; c++) {
        int first = STAR;
        bool same = true;
        if (pattern[c] != STAR) continue;
        for (uint32_t i = 0; i < s->n; i++) {
            if (s->side[i] >= sides || !matches(pattern, s->v[i])) continue;
            if (first == STAR) first = s->v[i][c];
            same = same && first == s->v[i][c];
        }
        if (same) return false;
    }
    return true;
}

/* The pattern of a result row; stars are -7 there. */
static void pattern_of(const struct value *cells, int *pattern)
{
    for (uint32_t c = 0; c < DIMS; c++)
        pattern[c] = cells[c].is_null ? -1 : cells[c].i == -7 ? STAR : (int)cells[c].i;
}

static void query(struct result *r, const struct sample *s, const char *pipe, struct pool *pool)
{
    CLEANUP_BUF struct buf text = {0};
    buf_bytes(&text, buf_view(&s->text));
    buf_str(&text, pipe);
    result_of(r, buf_view(&text), pool);
    if (r->err != OK) fprintf(stderr, "%s\n", r->d.text);
    REQUIRE(r->err == OK);
}

/* Patterns in all: a star, a null or one of five values in each place. */
#define PATTERNS (7 * 7 * 7 * 7)
static int pattern_number(int code, int *pattern) /* how many of it are no stars */
{
    int set = 0;
    for (uint32_t c = 0; c < DIMS; c++, code /= 7) {
        pattern[c] = code % 7 == 0 ? STAR : code % 7 - 2;
        set += pattern[c] != STAR;
    }
    return set;
}

static void each_pattern(const struct sample *s, int least, uint32_t *closed)
{
    for (int code = 0; code < PATTERNS; code++) {
        int pattern[DIMS], set = pattern_number(code, pattern);
        if (set > 0 && weigh(s, pattern, -1) >= least && is_closed(s, pattern, 3)) ++*closed;
    }
}

TEST(exec, basket_gives_every_closed_frequent_pattern_with_its_true_count)
{
    struct sample s = {0};
    for (seed = 1; seed < 40000000; seed = seed * 5 + 3) {
        struct result r;
        make_sample(&s, 5 + next_random(ROWS - 5));
        query(&r, &s, "| project-away side | evaluate basket(0.1, weight, 9, long(-7))", NULL);
        int all[DIMS] = {STAR, STAR, STAR, STAR}, total = weigh(&s, all, -1);
        uint32_t closed = 0;
        each_pattern(&s, (total + 9) / 10, &closed);
        EXPECT_EQ(r.n_rows, closed);
        int64_t before = INT64_MAX;
        for (uint32_t i = 0; i < r.n_rows; i++) {
            const struct value *row = &r.cells[(size_t)i * r.schema.n];
            int pattern[DIMS], set = 0;
            pattern_of(row + 3, pattern);
            for (uint32_t c = 0; c < DIMS; c++)
                set += pattern[c] != STAR;
            EXPECT_EQ(row[0].i, i);
            EXPECT_EQ(row[1].i, weigh(&s, pattern, -1));
            REQUIRE(fabs(row[2].r - 100.0 * row[1].i / total) < 1e-9);
            REQUIRE(is_closed(&s, pattern, 3));
            REQUIRE(row[1].i * set <= before);
            before = row[1].i * set;
        }
        result_release(&r);
    }
    buf_release(&s.text);
}

static bool related(const int *a, const int *b)
{
    bool a_in_b = true, b_in_a = true;
    for (uint32_t c = 0; c < DIMS; c++) {
        a_in_b = a_in_b && (a[c] == STAR || a[c] == b[c]);
        b_in_a = b_in_a && (b[c] == STAR || a[c] == b[c]);
    }
    return a_in_b || b_in_a;
}

/* Is every closed pattern of the difference given, or related to one that is? */
static void all_are_told(const struct sample *s, const struct result *r)
{
    int all[DIMS] = {STAR, STAR, STAR, STAR}, other[DIMS];
    for (int code = 1; code < PATTERNS; code++) {
        int pattern[DIMS];
        (void)pattern_number(code, pattern);
        double a = 100.0 * weigh(s, pattern, 0) / weigh(s, all, 0);
        double b = 100.0 * weigh(s, pattern, 1) / weigh(s, all, 1);
        if (fabs(a - b) < 8 || !is_closed(s, pattern, 2)) continue;
        bool told = false;
        for (uint32_t i = 0; i < r->n_rows && !told; i++) {
            pattern_of(&r->cells[(size_t)i * r->schema.n + 6], other);
            told = related(pattern, other);
        }
        REQUIRE(told);
    }
}

TEST(exec, patterns_of_a_difference_count_both_sets_and_none_says_what_another_says)
{
    struct sample s = {0};
    uint32_t found = 0;
    for (seed = 7; seed < 40000000; seed = seed * 5 + 3) {
        struct result r;
        make_sample(&s, 20 + next_random(ROWS - 20));
        query(
            &r, &s,
            "| extend side = tostring(side) | evaluate diffpatterns(side, '0', '1', weight, 0.08, "
            "'~', long(-7))",
            NULL);
        int all[DIMS] = {STAR, STAR, STAR, STAR};
        for (uint32_t i = 0; i < r.n_rows; i++) {
            const struct value *row = &r.cells[(size_t)i * r.schema.n];
            int pattern[DIMS], other[DIMS];
            pattern_of(row + 6, pattern);
            for (int side = 0; side < 2; side++) {
                EXPECT_EQ(row[1 + side].i, weigh(&s, pattern, side));
                REQUIRE(fabs(row[3 + side].r - 100.0 * row[1 + side].i / weigh(&s, all, side)) <
                        1e-9);
            }
            REQUIRE(fabs(row[5].r - fabs(row[3].r - row[4].r)) < 1e-9);
            REQUIRE(row[5].r >= 8 - 1e-9);
            REQUIRE(i == 0 || row[5].r <= row[5 - (int)r.schema.n].r);
            for (uint32_t k = 0; k < i; k++) {
                pattern_of(&r.cells[(size_t)k * r.schema.n + 6], other);
                REQUIRE(!related(pattern, other));
            }
            found++;
        }
        all_are_told(&s, &r);
        result_release(&r);
    }
    REQUIRE(found > 5);
    buf_release(&s.text);
}

TEST(exec, clusters_have_their_true_count_and_none_says_what_another_says)
{
    struct sample s = {0};
    for (seed = 11; seed < 40000000; seed = seed * 5 + 3) {
        struct result r;
        make_sample(&s, 20 + next_random(ROWS - 20));
        query(&r, &s, "| project-away side | evaluate autocluster(0.5, weight, 25, long(-7))",
              NULL);
        REQUIRE(r.n_rows > 0);
        for (uint32_t i = 0; i < r.n_rows; i++) {
            int pattern[DIMS], other[DIMS];
            pattern_of(&r.cells[(size_t)i * r.schema.n + 3], pattern);
            EXPECT_EQ(r.cells[(size_t)i * r.schema.n + 1].i, weigh(&s, pattern, -1));
            REQUIRE(is_closed(&s, pattern, 3));
            for (uint32_t k = 0; k < i; k++) {
                pattern_of(&r.cells[(size_t)k * r.schema.n + 3], other);
                REQUIRE(!related(pattern, other));
            }
        }
        result_release(&r);
    }
    buf_release(&s.text);
}

/* A share of the rows is alike in three of six columns, the rest is noise. */
TEST(exec, a_planted_pattern_is_found_by_all_of_them)
{
    static const char *const table =
        "range i from 0 to 9999 step 1 | extend h = hash(i, 1000) | project a = iff(h < 300, 7, "
        "hash(i + 1, 50)), b = iff(h < 300, 'p', tostring(hash(i * 3, 40))), c = iff(h < 300, 1.5, "
        "toreal(hash(i * 7, 30))), d = hash(i * 11, 20), e = i, side = h < 300 or hash(i * 13, 2) "
        "== 0";
    static const char *const pipes[] = {
        "| project-away side | evaluate basket() | where a == 7 and b == 'p' and c == 1.5 and "
        "isnull(d) | project Count",
        "| project-away side | evaluate autocluster() | where a == 7 and b == 'p' and c == 1.5 and "
        "isnull(d) | project Count",
        "| evaluate diffpatterns(side, 'True', 'False') | where a == 7 and b == 'p' and c == 1.5 "
        "and isnull(d) | project Count = CountA",
    };
    struct result want;
    struct pool *pool;
    struct diag d = DIAG_INIT;
    REQUIRE_OK(pool_new(&pool, 3, 64, &d));
    CLEANUP_BUF struct buf text = {0};
    buf_str(&text, table);
    buf_str(&text, "| where a == 7 and b == 'p' and c == 1.5 | count");
    result_of(&want, buf_view(&text), NULL);
    REQUIRE(want.err == OK && want.cells[0].i > 2500);
    for (uint32_t i = 0; i < 6; i++) {
        struct result r;
        buf_clear(&text);
        buf_str(&text, table);
        buf_str(&text, pipes[i % 3]);
        result_of(&r, buf_view(&text), i < 3 ? NULL : pool);
        if (r.err != OK) fprintf(stderr, "%s\n", r.d.text);
        REQUIRE(r.err == OK);
        REQUIRE(r.n_rows == 1);
        EXPECT_EQ(r.cells[0].i, want.cells[0].i);
        result_release(&r);
    }
    result_release(&want);
    pool_free(pool);
}

/* Rows that differ from all others in one column each: every set of them has a pattern of its own. */
TEST(exec, more_patterns_than_a_query_may_have_are_its_end_and_no_shorter_answer)
{
    struct result r;
    CLEANUP_BUF struct buf text = {0};
    for (int n = 10; n <= 18; n += 8) {
        buf_clear(&text);
        buf_fmt(&text, "range i from 1 to %d step 1 | project ", n);
        for (int c = 1; c <= n; c++)
            buf_fmt(&text, "%sc%d = i == %d", c > 1 ? ", " : "", c, c);
        buf_str(&text, " | evaluate basket(0.015, '~', 18) | count");
        result_of(&r, buf_view(&text), NULL);
        if (n == 10) {
            REQUIRE(r.err == OK);
            EXPECT_EQ(r.cells[0].i, (1 << 10) - 2); /* all sets but the empty and the whole */
        } else {
            EXPECT_EQ(r.err, ERR_LIMIT);
            REQUIRE(strstr(r.d.text, "more than 100000 patterns") != NULL);
        }
        result_release(&r);
    }
}

TEST(exec, patterns_live_within_the_memory_of_the_query)
{
    struct result r;
    result_memory_max = 1 << 20;
    result_of(&r, BYTES("range i from 1 to 100000 step 1 | evaluate basket()"), NULL);
    EXPECT_EQ(r.err, ERR_LIMIT);
    result_release(&r);
    result_memory_max = 0;
}

/* --- reduce ----------------------------------------------------------------------------------- */

static bool glob(struct bytes pattern, struct bytes text)
{
    if (pattern.len == 0) return text.len == 0;
    struct bytes rest = bytes_of(pattern.p + 1, pattern.len - 1);
    if (pattern.p[0] != '*')
        return text.len > 0 && text.p[0] == pattern.p[0] &&
               glob(rest, bytes_of(text.p + 1, text.len - 1));
    for (size_t i = 0; i <= text.len; i++) {
        if (glob(rest, bytes_of(text.p + i, text.len - i))) return true;
    }
    return false;
}

TEST(exec, each_row_matches_its_pattern_and_no_cluster_is_smaller_than_the_threshold)
{
    static const char *const words[] = {"up", "down", "disk", "10", "x7", "full", "9", "ok"};
    static const char *const gaps[] = {" ", "-", ": ", "/", " Z"};
    CLEANUP_BUF struct buf text = {0};
    for (seed = 3; seed < 40000000; seed = seed * 3 + 1) {
        struct result r;
        buf_clear(&text);
        buf_str(&text, "datatable(s:string)[");
        uint32_t n = 2 + next_random(60);
        for (uint32_t i = 0; i < n; i++) {
            buf_str(&text, "\"");
            for (uint32_t k = 0, end = next_random(5); k < end; k++)
                buf_fmt(&text, "%s%s", words[next_random(8)], gaps[next_random(5)]);
            buf_str(&text, "\",");
        }
        buf_str(&text, "] | reduce kind=source by s with threshold=0.1");
        if (next_random(2) == 0) buf_str(&text, ", characters=' Z'");
        result_of(&r, buf_view(&text), NULL);
        REQUIRE(r.err == OK && r.n_rows == n);
        for (uint32_t i = 0; i < n; i++) {
            const struct value *row = &r.cells[(size_t)i * 4];
            int64_t same = 0;
            bool others = bytes_eq(row[1].s, BYTES("others")) && row[3].s.len == 0;
            REQUIRE(others || glob(row[1].s, row[0].s));
            REQUIRE(others || glob(row[1].s, row[3].s));
            for (uint32_t k = 0; k < n; k++)
                same += bytes_eq(r.cells[(size_t)k * 4 + 1].s, row[1].s);
            EXPECT_EQ(row[2].i, same);
            REQUIRE(others || (same >= 2 && same * 10 >= n));
        }
        result_release(&r);
    }
}
