/* SPDX-License-Identifier: Apache-2.0 */
/* func/fn_strop.c - the operators that look for text in text: has, contains, startswith, =~ ... */
#include "func/families.h"

typedef bool finder(const struct needle *n, struct bytes s);

static bool find_equal(const struct needle *n, struct bytes s)
{
    return n->nocase ? text_eq_nocase(n->text, s) : bytes_eq(n->text, s);
}

static bool find_anywhere(const struct needle *n, struct bytes s)
{
    size_t len;
    return needle_find(n, s, 0, &len) != TEXT_NONE;
}

struct search {
    finder *find;
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
    } verbs[] = {
        {"hasprefix", needle_term_prefix},
        {"hassuffix", needle_term_suffix},
        {"has", needle_term},
        {"contains", find_anywhere},
        {"startswith", needle_starts},
        {"endswith", needle_ends},
    };
    const char *p = op + 3;
    size_t len = strlen(p);
    *s = (struct search){.find = find_equal, .nocase = true, .negated = p[0] == '!'};
    if (p[0] == '!') p++;
    if (len > 3 && strcmp(op + 3 + len - 3, "_cs") == 0) s->nocase = false;
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (strncmp(p, verbs[i].verb, strlen(verbs[i].verb)) == 0) {
            s->find = verbs[i].find;
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
    if (s.ready) {
        for (uint32_t i = 0; i < n; i++)
            r[i] = s.find(&s.needle, vec_str(args[0], i)) != s.negated;
        return OK;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (!needle_init(&s.needle, vec_str(args[1], i), s.nocase, cx->a)) return out_full(cx);
        r[i] = s.find(&s.needle, vec_str(args[0], i)) != s.negated;
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
