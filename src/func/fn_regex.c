/* SPDX-License-Identifier: Apache-2.0 */
/* func/fn_regex.c - regular expressions: matching, extracting, replacing, trimming, counting */
#include "func/families.h"

#include "column/dyn.h"
#include "func/regex.h"

/* Which argument is the pattern. */
static uint32_t pattern_arg(const struct fn_call *call)
{
    const char *name = call->fn->name;
    bool second = strcmp(name, "op matches regex") == 0 || strcmp(name, "replace_regex") == 0 ||
                  strcmp(name, "indexof_regex") == 0;
    return second ? 1 : 0;
}

/* A constant pattern that is wrong fails the query before it runs. */
static enum err prepare_regex(struct fn_call *call, struct arena *a, struct diag *d)
{
    (void)a;
    struct bytes pattern;
    if (!const_str(call, pattern_arg(call), &pattern)) return OK;
    CLEANUP_REGEX struct regex *re = NULL;
    return regex_get(pattern, &re, d);
}

EVAL(eval_matches)
{
    void *data;
    (void)call;
    CLEANUP_REGEX_LAST struct regex_last last = {0};
    struct regex *re;
    TRY(out_flat(cx, T_BOOL, n, out, &data));
    if (n != 0 && args[0]->shape == VEC_FLAT && args[1]->shape == VEC_CONST) {
        TRY(regex_last_get(&last, vec_str(args[1], 0), &re, cx->d));
        regex_test_rows(re, args[0]->data, n, args[0]->packed != 0, data);
        return OK;
    }
    for (uint32_t i = 0; i < n; i++) {
        TRY(regex_last_get(&last, vec_str(args[1], i), &re, cx->d));
        ((uint8_t *)data)[i] = regex_test(re, vec_str(args[0], i));
    }
    return OK;
}

/* --- extracting ------------------------------------------------------------------------------- */

EVAL(eval_extract)
{
    (void)call;
    struct vecb b;
    CLEANUP_REGEX_LAST struct regex_last last = {0};
    vecb_init(&b, cx->a, T_STRING, n);
    for (uint32_t i = 0; i < n; i++) {
        struct regex *re;
        struct bytes groups[REGEX_GROUPS_MAX + 1] = {0}, s = vec_str(args[2], i);
        int64_t group = vec_null(args[1], i) ? -1 : vec_i64(args[1], i);
        TRY(regex_last_get(&last, vec_str(args[0], i), &re, cx->d));
        bool there = group >= 0 && group <= regex_groups(re) && group <= REGEX_GROUPS_MAX;
        if (there && regex_find(re, s, 0, groups, (int)group + 1)) {
            vecb_str_borrow(&b, groups[group]);
        } else {
            vecb_null(&b);
        }
    }
    return vecb_finish(&b, out, cx->d);
}

static void put_group(const struct bytes *groups, int k, struct buf *out)
{
    buf_u8(out, 's');
    buf_blob(out, groups[k]);
}

/* The groups that a list names, by number or by name; all of them without a list. */
static int pick_groups(const struct regex *re, struct bytes list, int *pick)
{
    struct dyn_iter it;
    struct bytes name, element;
    int n = 0, have = regex_groups(re) < REGEX_GROUPS_MAX ? regex_groups(re) : REGEX_GROUPS_MAX;
    if (list.len == 0 || !dyn_iter_init(&it, list)) {
        for (int k = 1; k <= have; k++)
            pick[n++] = k;
        return n;
    }
    while (n < REGEX_GROUPS_MAX && dyn_iter_next(&it, &name, &element)) {
        struct value v = dyn_scalar(element);
        int64_t k = v.type == T_LONG ? v.i : v.type == T_STRING ? regex_group_named(re, v.s) : -1;
        if (k >= 0 && k <= have) pick[n++] = (int)k;
    }
    return n;
}

/* One group gives an array of texts, several an array of arrays; no match gives null. */
static void put_all(struct regex *re, struct bytes s, const int *pick, int n_pick, struct buf *out)
{
    struct bytes groups[REGEX_GROUPS_MAX + 1];
    int n_groups =
        regex_groups(re) + 1 < REGEX_GROUPS_MAX + 1 ? regex_groups(re) + 1 : REGEX_GROUPS_MAX + 1;
    size_t start = out->len, at = dyn_array_begin(out), from = 0;
    uint32_t count = 0;
    while (from <= s.len && regex_find(re, s, from, groups, n_groups)) {
        from = regex_after(s, groups[0]);
        count++;
        if (n_pick == 1) {
            put_group(groups, pick[0], out);
            continue;
        }
        size_t inner = dyn_array_begin(out);
        for (int k = 0; k < n_pick; k++)
            put_group(groups, pick[k], out);
        dyn_array_end(out, inner, (uint32_t)n_pick);
    }
    dyn_array_end(out, at, count);
    if (count == 0) buf_shrink(out, start);
}

EVAL(eval_extract_all)
{
    CLEANUP_ROWS struct rows_out r;
    CLEANUP_REGEX_LAST struct regex_last last = {0};
    const struct vec *source = args[call->n_args - 1];
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        struct regex *re;
        int pick[REGEX_GROUPS_MAX + 1];
        TRY(regex_last_get(&last, vec_str(args[0], i), &re, cx->d));
        int n_pick =
            pick_groups(re, call->n_args == 3 ? vec_str(args[1], i) : (struct bytes){0}, pick);
        if (n_pick != 0) put_all(re, vec_str(source, i), pick, n_pick, &r.b);
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

static enum err prepare_extract_all(struct fn_call *call, struct arena *a, struct diag *d)
{
    (void)a;
    struct bytes pattern;
    if (!const_str(call, 0, &pattern)) return OK;
    CLEANUP_REGEX struct regex *re = NULL;
    TRY(regex_get(pattern, &re, d));
    int groups = regex_groups(re);
    if (groups >= 1 && groups <= REGEX_GROUPS_MAX) return OK;
    return FAIL_TAG(d, ERR_INVALID, "SEM0420",
                    "extract_all(): the regular expression has %d groups, it needs 1 to %d", groups,
                    REGEX_GROUPS_MAX);
}

static enum type ret_extract_all(const enum type *args, const struct value *const *consts,
                                 uint32_t n)
{
    (void)consts;
    return n == 3 && args[1] != T_DYNAMIC ? T_NONE : T_DYNAMIC;
}

/* --- replacing and trimming ------------------------------------------------------------------- */

/* replace_regex(text, pattern, rewrite); the older replace(pattern, rewrite, text) */
EVAL(eval_replace)
{
    bool old = pattern_arg(call) == 0;
    const struct vec *text = args[old ? 2 : 0], *pattern = args[old ? 0 : 1],
                     *rewrite = args[old ? 1 : 2];
    CLEANUP_ROWS struct rows_out r;
    CLEANUP_REGEX_LAST struct regex_last last = {0};
    TRY(rows_begin(cx, &r, T_STRING, n, out));
    for (uint32_t i = 0; i < n; i++) {
        struct regex *re;
        struct bytes s = vec_str(text, i);
        TRY(regex_last_get(&last, vec_str(pattern, i), &re, cx->d));
        if (!regex_replace(re, s, vec_str(rewrite, i), &r.b)) buf_bytes(&r.b, s);
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

/* The pattern tied to one end of the text. */
static enum err tied(struct regex_last *last, struct buf *scratch, struct bytes pattern, bool start,
                     struct regex **out, struct diag *d)
{
    buf_clear(scratch);
    buf_str(scratch, start ? "^(?:" : "(?:");
    buf_bytes(scratch, pattern);
    buf_str(scratch, start ? ")" : ")$");
    TRY(buf_check(scratch, d));
    regex_last_release(last); /* what it remembers lay in the scratch */
    return regex_last_get(last, buf_view(scratch), out, d);
}

/* One match goes from each side that is asked for. */
EVAL(eval_trim)
{
    bool start = strcmp(call->fn->name, "trim_end") != 0,
         end = strcmp(call->fn->name, "trim_start") != 0;
    struct vecb b;
    CLEANUP_REGEX_LAST struct regex_last first = {0}, last = {0};
    CLEANUP_BUF struct buf first_text = {0}, last_text = {0};
    struct bytes before = {0};
    struct regex *at_start = NULL, *at_end = NULL;
    vecb_init(&b, cx->a, T_STRING, n);
    for (uint32_t i = 0; i < n; i++) {
        struct bytes pattern = vec_str(args[0], i), s = vec_str(args[1], i), hit;
        if (i == 0 || !bytes_eq(pattern, before)) {
            if (start) TRY(tied(&first, &first_text, pattern, true, &at_start, cx->d));
            if (end) TRY(tied(&last, &last_text, pattern, false, &at_end, cx->d));
            before = pattern;
        }
        if (start && s.len != 0 && regex_find(at_start, s, 0, &hit, 1))
            s = bytes_of(s.p + hit.len, s.len - hit.len);
        if (end && s.len != 0 && regex_find(at_end, s, 0, &hit, 1)) s.len = (size_t)(hit.p - s.p);
        vecb_str_borrow(&b, s);
    }
    return vecb_finish(&b, out, cx->d);
}

/* --- counting and finding --------------------------------------------------------------------- */

static int64_t count_regex(struct regex *re, struct bytes s)
{
    struct bytes hit;
    int64_t count = 0;
    for (size_t from = 0; from <= s.len && regex_find(re, s, from, &hit, 1);
         from = regex_after(s, hit))
        count++;
    return count;
}

/* Plain occurrences may overlap. */
static int64_t count_plain(struct bytes s, struct bytes what)
{
    int64_t count = 0;
    for (size_t from = 0; what.len != 0 && from < s.len; count++) {
        const uint8_t *hit = memmem(s.p + from, s.len - from, what.p, what.len);
        if (hit == NULL) break;
        from = (size_t)(hit - s.p) + 1;
    }
    return count;
}

EVAL(eval_countof)
{
    void *data;
    CLEANUP_REGEX_LAST struct regex_last last = {0};
    TRY(out_flat(cx, T_LONG, n, out, &data));
    for (uint32_t i = 0; i < n; i++) {
        struct bytes s = vec_str(args[0], i), what = vec_str(args[1], i);
        int64_t *r = &((int64_t *)data)[i];
        if (call->n_args == 3 && bytes_eq(vec_str(args[2], i), BYTES("regex"))) {
            struct regex *re;
            TRY(regex_last_get(&last, what, &re, cx->d));
            *r = count_regex(re, s);
        } else {
            *r = count_plain(s, what);
        }
    }
    return OK;
}

static enum err prepare_countof(struct fn_call *call, struct arena *a, struct diag *d)
{
    (void)a;
    struct bytes kind, pattern;
    if (!const_str(call, 2, &kind)) return OK;
    if (!bytes_eq(kind, BYTES("regex")) && !bytes_eq(kind, BYTES("normal"))) {
        return FAIL_TAG(d, ERR_INVALID, "SEM0100", "countof(): the kind is 'normal' or 'regex'");
    }
    if (kind.p[0] != 'r' || !const_str(call, 1, &pattern)) return OK;
    CLEANUP_REGEX struct regex *re = NULL;
    return regex_get(pattern, &re, d);
}

EVAL(eval_indexof_regex)
{
    struct vecb b;
    CLEANUP_REGEX_LAST struct regex_last last = {0};
    vecb_init(&b, cx->a, T_LONG, n);
    for (uint32_t i = 0; i < n; i++) {
        struct bytes s = vec_str(args[0], i), hit;
        int64_t opt[3] = {0, -1, 1}, found = -1; /* start, length, occurrence */
        struct regex *re;
        bool bad = false;
        for (uint32_t k = 2; k < call->n_args; k++) {
            bad |= vec_null(args[k], i);
            opt[k - 2] = vec_i64(args[k], i);
        }
        if (bad || opt[0] < 0 || opt[1] < -1 || opt[2] < 1) {
            vecb_null(&b);
            continue;
        }
        TRY(regex_last_get(&last, vec_str(args[1], i), &re, cx->d));
        size_t from = utf8_offset(s, (size_t)opt[0]);
        size_t stop = opt[1] < 0
                          ? s.len
                          : from + utf8_offset(bytes_of(s.p + from, s.len - from), (size_t)opt[1]);
        while (from < stop && regex_find(re, s, from, &hit, 1) &&
               (size_t)(hit.p - s.p) + hit.len <= stop) {
            if (--opt[2] == 0) {
                found = (int64_t)utf8_count(bytes_of(s.p, (size_t)(hit.p - s.p)));
                break;
            }
            from = regex_after(s, hit);
        }
        vecb_i64(&b, found);
    }
    return vecb_finish(&b, out, cx->d);
}

EVAL(eval_regex_quote)
{
    (void)call;
    CLEANUP_ROWS struct rows_out r;
    TRY(rows_begin(cx, &r, T_STRING, n, out));
    for (uint32_t i = 0; i < n; i++) {
        struct bytes s = vec_str(args[0], i);
        for (size_t k = 0; k < s.len; k++) {
            if (s.p[k] != 0 && strchr("\\.+*?()|[]{}^$#&-~", s.p[k]) != NULL) buf_u8(&r.b, '\\');
            buf_u8(&r.b, s.p[k]);
        }
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

#define ALL(name_, doc_)                                                                          \
    {                                                                                             \
        .name = name_, .arity_min = 2, .arity_max = 3,                                            \
        .args = {ARG_STRING, ARG(STRINGY), ARG_STRING}, .ret_of = ret_extract_all,                \
        .eval = eval_extract_all, .prepare = prepare_extract_all, .doc = doc_,                    \
        .example = name_ "('([a-z])([0-9])', 'a1 b2')", .expect = "[[\"a\",\"1\"],[\"b\",\"2\"]]" \
    }

static const struct fn rows[] = {
    FN_PREPARED("countof", 2, 3, T_LONG, eval_countof, prepare_countof,
                "How often a text, or a regular expression, occurs.",
                "countof('hello world', 'l+', 'regex')", "2", ARG_STRING, ARG_STRING, ARG_STRING),
    FN_PREPARED("extract", 3, 3, T_STRING, eval_extract, prepare_regex,
                "A group of the first match of a regular expression.",
                "extract('([a-z]+)-([0-9]+)', 2, 'x ab-42')", "42", ARG_STRING, ARG_LONG,
                ARG_STRING),
    ALL("extract_all", "The groups of all matches of a regular expression."),
    ALL("extractall", "The same as extract_all()."),
    FN_PREPARED("indexof_regex", 2, 5, T_LONG, eval_indexof_regex, prepare_regex,
                "Where a regular expression first matches, from 0; else -1.",
                "indexof_regex('abcabcdefg', 'a.c', 0, 9, 2)", "3", ARG_TEXT, ARG_TEXT, ARG_LONG,
                ARG_LONG, ARG_LONG),
    FN_PREPARED("op matches regex", 2, 2, T_BOOL, eval_matches, prepare_regex,
                "A regular expression matches somewhere.", "'a1' matches regex '[a-z][0-9]'",
                "True", ARG_TEXT, ARG_TEXT),
    FN_PREPARED("regex_quote", 1, 1, T_STRING, eval_regex_quote, NULL,
                "Text as a regular expression that matches just it.",
                "regex_quote('(so$me.Te^xt)')", "\\(so\\$me\\.Te\\^xt\\)", ARG_TEXT),
    FN_PREPARED("replace", 3, 3, T_STRING, eval_replace, prepare_regex,
                "The older form of replace_regex(): pattern, rewrite, text.",
                "replace('(a)', '<\\\\1>', 'abab')", "<a>b<a>b", ARG_STRING, ARG_STRING,
                ARG_STRING),
    FN_PREPARED("replace_regex", 3, 3, T_STRING, eval_replace, prepare_regex,
                "Replaces every match; \\1 in the rewrite is a group.",
                "replace_regex('abab', '(a)', '<\\\\1>')", "<a>b<a>b", ARG_STRING, ARG_STRING,
                ARG_STRING),
    FN_PREPARED("trim", 2, 2, T_STRING, eval_trim, prepare_regex,
                "Takes one match of a regular expression from each end.", "trim('x', 'xxabcxx')",
                "xabcx", ARG_STRING, ARG_STRING),
    FN_PREPARED("trim_end", 2, 2, T_STRING, eval_trim, prepare_regex,
                "Takes one match of a regular expression from the end.",
                "trim_end('.com', 'bing.com')", "bing", ARG_STRING, ARG_STRING),
    FN_PREPARED("trim_start", 2, 2, T_STRING, eval_trim, prepare_regex,
                "Takes one match of a regular expression from the start.",
                "trim_start('[^a-z]+', '-- abc --')", "abc --", ARG_STRING, ARG_STRING),
};
const struct fn_family fn_regex = FAMILY(rows);
