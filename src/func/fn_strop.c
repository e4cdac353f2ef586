/* SPDX-License-Identifier: Apache-2.0 */
/* func/fn_strop.c - the operators that look for text in text: has, contains, startswith, =~ ... */
#include "func/families.h"
#include "func/needle.h"

typedef bool finder(const struct needle *n, struct bytes s);

static bool find_equal(const struct needle *n, struct bytes s)
{
    return n->nocase ? text_eq_nocase(n->text, s) : bytes_eq(n->text, s);
}

struct search {
    finder *find; /* NULL: anywhere in the text, with these bounds */
    enum needle_bounds bounds;
    bool nocase, negated;
    struct needle needle;
    bool ready; /* the needle is a constant of the query */
};

/* "op !has_cs": the sign, the verb, the case. */
static void search_of(const char *op, struct search *s)
{
    static const struct {
        const char *verb;
        finder *find;
        enum needle_bounds bounds;
    } verbs[] = {
        {"hasprefix", NULL, BOUND_START},
        {"hassuffix", NULL, BOUND_END},
        {"has", NULL, BOUND_TERM},
        {"contains", NULL, BOUND_NONE},
        {"startswith", needle_starts, BOUND_NONE},
        {"endswith", needle_ends, BOUND_NONE},
    };
    const char *p = op + 3;
    size_t len = strlen(p);
    *s = (struct search){.find = find_equal, .nocase = true, .negated = p[0] == '!'};
    if (p[0] == '!') p++;
    if (len > 3 && strcmp(op + 3 + len - 3, "_cs") == 0) s->nocase = false;
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (strncmp(p, verbs[i].verb, strlen(verbs[i].verb)) == 0) {
            s->find = verbs[i].find;
            s->bounds = verbs[i].bounds;
            return;
        }
    }
}

static enum err prepare_search(struct fn_call *call, struct arena *a, struct diag *d)
{
    struct search *s = arena_new(a, struct search);
    struct bytes text;
    if (s == NULL) return arena_full(a, d);
    search_of(call->fn->name, s);
    if (const_str(call, 1, &text)) {
        if (!needle_init(&s->needle, text, s->nocase, a)) return arena_full(a, d);
        s->ready = true;
    }
    call->prepared = s;
    return OK;
}

static bool found(const struct search *s, struct bytes text)
{
    return s->find != NULL ? s->find(&s->needle, text)
                           : needle_bounded(&s->needle, text, s->bounds);
}

/* A column of texts lies in memory as one text: it is searched as one. */
static void search_column(const struct search *s, const struct vec *v, uint32_t n, uint8_t *r)
{
    struct needle_rows rows = {.needle = &s->needle,
                               .bounds = s->bounds,
                               .rows = v->data,
                               .n_rows = n,
                               .packed = v->packed != 0};
    memset(r, s->negated, n);
    for (uint32_t row; needle_rows_next(&rows, &row);)
        r[row] = !s->negated;
}

static enum err eval_search(struct fn_cx *cx, const struct fn_call *call,
                            const struct vec *const *args, uint32_t n, struct vec *out)
{
    struct search s;
    void *data;
    TRY(out_flat(cx, T_BOOL, n, out, &data));
    uint8_t *r = data;
    if (call->prepared != NULL) {
        s = *(const struct search *)call->prepared;
    } else {
        search_of(call->fn->name, &s);
    }
    if (s.ready && s.find == NULL && args[0]->shape == VEC_FLAT) {
        search_column(&s, args[0], n, r);
        return OK;
    }
    if (s.ready) {
        for (uint32_t i = 0; i < n; i++)
            r[i] = found(&s, vec_str(args[0], i)) != s.negated;
        return OK;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (!needle_init(&s.needle, vec_str(args[1], i), s.nocase, cx->a)) return out_full(cx);
        r[i] = found(&s, vec_str(args[0], i)) != s.negated;
    }
    return OK;
}

#define SEARCH(name_, doc_, example_, expect_)                                             \
    {                                                                                      \
        .name = "op " name_, .arity_min = 2, .arity_max = 2, .args = {ARG_TEXT, ARG_TEXT}, \
        .ret = T_BOOL, .eval = eval_search, .prepare = prepare_search, .doc = doc_,        \
        .example = example_, .expect = expect_                                             \
    }
/* An operator, its opposite, and both with case. */
#define FOUR(verb, what, example_)                                 \
    SEARCH(verb, what " Without case.", example_, "True"),         \
        SEARCH("!" verb, "The opposite of " verb ".", NULL, NULL), \
        SEARCH(verb "_cs", what " With case.", NULL, NULL),        \
        SEARCH("!" verb "_cs", "The opposite of " verb "_cs.", NULL, NULL)

static const struct fn rows[] = {
    SEARCH("=~", "Equal without case.", "'CAF\xc3\x89' =~ 'caf\xc3\xa9'", "True"),
    SEARCH("!~", "Not equal without case.", "'a' !~ 'A'", "False"),
    FOUR("contains", "Has the text anywhere.", "'Kusto' contains 'US'"),
    FOUR("startswith", "Begins with the text.", "'Kusto' startswith 'ku'"),
    FOUR("endswith", "Ends with the text.", "'Kusto' endswith 'TO'"),
    FOUR("has", "Has the text as a term: letters and digits between other characters.",
         "'alpha_beta' has 'alpha'"),
    FOUR("hasprefix", "Has a term that begins with the text.", "'hello world' hasprefix 'wor'"),
    FOUR("hassuffix", "Has a term that ends with the text.", "'the end.' hassuffix 'nd'"),
};
const struct fn_family fn_strop = FAMILY(rows);
