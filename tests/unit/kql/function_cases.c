/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/kql/function_cases.c - every scalar function has golden cases in tests/kql
 *
 * Walked is the table of functions. Of each there must be
 *
 *      a value     a case that calls it and gives a row with something in it
 *      a null      one in which null, or an empty text, stands between the call's parentheses or in
 *                  a table of the query, or null comes out; of functions without arguments none
 *      a refusal   a case that calls it and wants an error, when its row does refuse something
 */
#include "../golden_cases.h"

#include "func/families.h"
#include "func/fn.h"

#include <stdio.h>

struct seen { /* of the function asked for */
    const char *name;
    unsigned aspects;
};
static struct seen seen[1024];
static uint32_t n_seen;

/* What stands between the parentheses of the next call of the function; false: there is none. */
static bool next_call(struct bytes *left, const char *name, struct bytes *inside)
{
    size_t n = strlen(name);
    for (size_t i = 0; i + n < left->len; i++) {
        if (memcmp(left->p + i, name, n) != 0 || left->p[i + n] != '(') continue;
        if (i != 0 && golden_in_name(left->p[i - 1])) continue;
        size_t from = i + n, to = from;
        for (int depth = 0; to < left->len; to++) {
            depth += (left->p[to] == '(') - (left->p[to] == ')');
            if (depth == 0) break;
        }
        *inside = bytes_of(left->p + from, to - from);
        *left = bytes_of(left->p + from, left->len - from);
        return true;
    }
    return false;
}

static bool names_null(struct bytes query, struct bytes inside)
{
    if (golden_has(query, "datatable") && golden_has(query, "null")) return true;
    return golden_has(inside, "null") || golden_has(inside, "\"\"") || golden_has(inside, "''");
}

static void look(void *ctx, const struct golden_case *c)
{
    unsigned aspects = golden_aspects(c);
    (void)ctx;
    for (uint32_t i = 0; i < n_seen; i++) {
        struct bytes left = c->query, inside;
        while (next_call(&left, seen[i].name, &inside)) {
            seen[i].aspects |= aspects & (GOLDEN_VALUES | GOLDEN_REFUSED);
            if ((aspects & GOLDEN_REFUSED) != 0) continue;
            if (names_null(c->query, inside) || golden_has(c->want, "null"))
                seen[i].aspects |= GOLDEN_NULLS;
        }
    }
}

/* Whether its row of the registry lets some call be refused: by number or types of arguments. */
static bool refuses(const struct fn *fn)
{
    if (fn->arity_min > 1 || fn->arity_max < FN_ARITY_ANY || fn->ret_of != NULL) return true;
    for (size_t i = 0; i < sizeof fn->args / sizeof fn->args[0]; i++) {
        if (fn->args[i].accepts != 0 && (~fn->args[i].accepts & TM_ANY & ~TM(T_NONE)) != 0)
            return true;
    }
    return false;
}

/* The only one that wants a file of the operator: tests/unit/func/geo_ip.c has one. */
static unsigned wanted(const struct fn *fn)
{
    if (str_eq(fn->name, "geo_info_from_ip_address")) return GOLDEN_REFUSED;
    return GOLDEN_VALUES | (fn->arity_max != 0 ? GOLDEN_NULLS : 0) |
           (refuses(fn) ? GOLDEN_REFUSED : 0);
}

TEST(kql, every_scalar_function_has_golden_cases)
{
    const struct fn *fns[sizeof seen / sizeof seen[0]];
    unsigned n_bare = 0;
    for (uint32_t i = 0; i < fn_count(); i++) {
        const char *name = fn_at(i)->name;
        if (str_is_operator(name)) continue;
        if (str_starts(name, "columns ")) name += strlen("columns "); /* it makes several */
        REQUIRE(n_seen < sizeof seen / sizeof seen[0]);
        fns[n_seen] = fn_at(i);
        seen[n_seen++] = (struct seen){.name = name};
    }
    golden_cases(NULL, look, NULL);
    for (uint32_t i = 0; i < n_seen; i++) {
        unsigned missing = wanted(fns[i]) & ~seen[i].aspects;
        if (missing == 0) continue;
        n_bare++;
        fprintf(stderr, "%s() has in tests/kql no", seen[i].name);
        for (unsigned k = 0; k < GOLDEN_ASPECTS; k++) {
            if ((missing & (1U << k)) != 0) fprintf(stderr, " [%s]", golden_aspect_names[k]);
        }
        fprintf(stderr, "\n");
    }
    EXPECT_EQ(n_bare, 0);
    REQUIRE(n_seen > 300);
}
