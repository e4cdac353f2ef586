/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/kql/golden_names.c - each operator, kind of join, statement, aggregate, function of
 * neighbouring rows and plugin has golden cases in tests/kql of values, of nulls, of empty input and
 * of what is refused; where one of these cannot be, `beside` says why
 */
#include "../golden_cases.h"

#include "func/agg.h"
#include "func/families.h"
#include "kql/bind_evaluate.h"
#include "kql/kql.h"

#include <stdio.h>

#define NAMES_MAX 300

typedef bool uses_name(struct bytes query, const char *name);

struct names {
    uses_name *uses;
    unsigned n;
    const char *at[NAMES_MAX];
    unsigned seen[NAMES_MAX]; /* bits of enum golden_aspect */
};

static const struct {
    const char *name;
    unsigned aspects;
    const char *why;
} beside[] = {
    {"print", GOLDEN_EMPTY, "reads no table"},
    {"range", GOLDEN_EMPTY, "reads no table"},
    {"count", GOLDEN_NULLS, "looks at no value"},
    {"externaldata", GOLDEN_EMPTY, "reads no table"},
    {"consume", GOLDEN_VALUES, "gives no rows"},
    {"reduce", GOLDEN_NULLS, "takes texts, and a text has no null"},
    {"macro-expand", GOLDEN_NULLS | GOLDEN_EMPTY, "is the query that it repeats"},
};

static unsigned excused(const char *name)
{
    for (size_t i = 0; i < sizeof beside / sizeof beside[0]; i++) {
        if (strcmp(beside[i].name, name) == 0) return beside[i].aspects;
    }
    return 0;
}

/* --- does a query use it ---------------------------------------------------------------------- */

/* What stands before byte i, blanks aside; 0: nothing. */
static uint8_t before(struct bytes q, size_t i)
{
    while (i > 0 && (q.p[i - 1] == ' ' || q.p[i - 1] == '\n'))
        i--;
    return i > 0 ? q.p[i - 1] : 0;
}

/* An operator stands behind a bar, or begins a query or a part of one. */
static bool pipes(struct bytes q, const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i + len <= q.len; i++) {
        if (memcmp(q.p + i, name, len) != 0) continue;
        uint8_t next = i + len < q.len ? q.p[i + len] : ' ', last = before(q, i);
        bool source = strcmp(name, "datatable") == 0 || strncmp(name, "external", 8) == 0;
        if (golden_in_name(next) || next == '-' || (next == '(' && !source)) continue;
        if (last == 0 || strchr("|(;={,", last) != NULL) return true;
    }
    return false;
}

/* "kind=inner" and the like, of a join. */
static bool joins(struct bytes q, const char *kind)
{
    struct bytes left = q;
    size_t len = strlen(kind);
    const uint8_t *at;
    while ((at = memmem(left.p, left.len, kind, len)) != NULL) {
        size_t i = (size_t)(at - left.p);
        left = bytes_of(left.p + i + len, left.len - i - len);
        if (left.len == 0 || !golden_in_name(left.p[0])) return golden_has(q, "join");
    }
    return false;
}

/* A statement begins a query, or follows another. */
static bool states(struct bytes q, const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i + len < q.len; i++) {
        uint8_t last = before(q, i);
        if (memcmp(q.p + i, name, len) == 0 && !golden_in_name(q.p[i + len]) &&
            (last == 0 || last == ';' || last == '{'))
            return true;
    }
    return false;
}

/* --- the rule --------------------------------------------------------------------------------- */

static void add(struct names *s, const char *name)
{
    REQUIRE(s->n < NAMES_MAX);
    s->at[s->n++] = name;
}

static void note(void *ctx, const struct golden_case *c)
{
    struct names *s = ctx;
    unsigned aspects = golden_aspects(c);
    for (unsigned i = 0; i < s->n; i++) {
        if ((s->seen[i] & aspects) != aspects && s->uses(c->query, s->at[i])) s->seen[i] |= aspects;
    }
}

/* Names of which the cases do not show all; each is printed. */
static unsigned n_lacking(struct names *s, const char *what)
{
    unsigned n = 0;
    golden_cases(NULL, note, s);
    for (unsigned i = 0; i < s->n; i++) {
        unsigned lacks = ~s->seen[i] & ~excused(s->at[i]) & ((1u << GOLDEN_ASPECTS) - 1);
        if (lacks == 0) continue;
        fprintf(stderr, "no golden case: %s %s:", what, s->at[i]);
        for (unsigned k = 0; k < GOLDEN_ASPECTS; k++) {
            if ((lacks >> k & 1) != 0) fprintf(stderr, " %s;", golden_aspect_names[k]);
        }
        fprintf(stderr, "\n");
        n++;
    }
    return n;
}

TEST(kql, each_operator_has_golden_cases)
{
    struct names s = {.uses = pipes};
    const char *name;
    bool there;
    for (uint32_t i = 0; (name = kql_operator_at(i, &there)) != NULL; i++) {
        if (there) add(&s, name);
    }
    add(&s, "datatable");
    add(&s, "externaldata");
    REQUIRE(s.n > 50);
    EXPECT_EQ(n_lacking(&s, "operator"), 0);
}

TEST(kql, each_kind_of_join_has_golden_cases)
{
    static const char *const kinds[] = {
        "kind=innerunique", "kind=inner",    "kind=leftouter",    "kind=rightouter",
        "kind=fullouter",   "kind=leftsemi", "kind=rightsemi",    "kind=leftanti",
        "kind=rightanti",   "kind=anti",     "kind=leftantisemi", "kind=rightantisemi"};
    struct names s = {.uses = joins};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        add(&s, kinds[i]);
    EXPECT_EQ(n_lacking(&s, "join"), 0);
}

TEST(kql, each_statement_has_golden_cases)
{
    static const char *const statements[] = {"let", "set", "declare query_parameters",
                                             "declare pattern"};
    struct names s = {.uses = states};
    for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++)
        add(&s, statements[i]);
    EXPECT_EQ(n_lacking(&s, "statement"), 0);
}

TEST(kql, each_aggregate_has_golden_cases)
{
    struct names s = {.uses = golden_calls};
    for (uint32_t i = 0; i < agg_count(); i++)
        add(&s, agg_at(i)->name);
    add(&s, "percentiles");
    add(&s, "percentilesw");
    REQUIRE(s.n > 60);
    EXPECT_EQ(n_lacking(&s, "aggregate"), 0);
}

TEST(kql, each_function_of_neighbouring_rows_has_golden_cases)
{
    struct names s = {.uses = golden_calls};
    for (uint32_t i = 0; i < fn_window.n; i++)
        add(&s, fn_window.rows[i].name);
    REQUIRE(s.n > 5);
    EXPECT_EQ(n_lacking(&s, "function"), 0);
}

TEST(kql, each_plugin_has_golden_cases)
{
    struct names s = {.uses = golden_calls};
    const char *name;
    for (uint32_t i = 0; (name = plugin_at(i)) != NULL; i++)
        add(&s, name);
    REQUIRE(s.n > 15);
    EXPECT_EQ(n_lacking(&s, "plugin"), 0);
}
