/* SPDX-License-Identifier: Apache-2.0 */
/*
 * func/fn_string.c - building and cutting text
 *
 * Positions and lengths count characters. What is asked for outside of the text is the empty
 * string.
 */
#include "base/str.h"
#include "column/dyn.h"
#include "func/families.h"

#include <stdlib.h>

/* --- length and order ------------------------------------------------------------------------- */

EVAL_ROWS(eval_strlen, T_LONG, int64_t, r[i] = (int64_t)utf8_count(vec_str(args[0], i)))
EVAL_ROWS(eval_string_size, T_LONG, int64_t, r[i] = (int64_t)vec_str(args[0], i).len)
EVAL_ROWS(eval_strcmp, T_LONG, int64_t, r[i] = bytes_cmp(vec_str(args[0], i), vec_str(args[1], i)))
EVAL_ROWS(eval_isascii, T_BOOL, uint8_t, r[i] = text_ascii(vec_str(args[0], i)))
EVAL_ROWS(eval_isutf8, T_BOOL, uint8_t, r[i] = utf8_valid(vec_str(args[0], i)))

/* --- case and order of characters ------------------------------------------------------------- */

EVAL(eval_case)
{
    CLEANUP_ROWS struct rows_out r;
    bool lower = call->fn->name[2] == 'l';
    TRY(rows_begin(cx, &r, T_STRING, n, out));
    for (uint32_t i = 0; i < n; i++) {
        if (lower) {
            text_lower(vec_str(args[0], i), &r.b);
        } else {
            text_upper(vec_str(args[0], i), &r.b);
        }
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

EVAL(eval_reverse)
{
    (void)call;
    CLEANUP_ROWS struct rows_out r;
    TRY(rows_begin(cx, &r, T_STRING, n, out));
    for (uint32_t i = 0; i < n; i++) {
        struct bytes s = vec_str(args[0], i);
        size_t end = s.len;
        while (end != 0) {
            size_t from = end - 1;
            while (from != 0 && (s.p[from] & 0xc0) == 0x80)
                from--;
            buf_bytes(&r.b, bytes_of(s.p + from, end - from));
            end = from;
        }
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

/* --- joining ---------------------------------------------------------------------------------- */

/* strcat(a, b, ...) and strcat_delim(delimiter, a, b, ...) */
EVAL(eval_strcat)
{
    CLEANUP_ROWS struct rows_out r;
    uint32_t first = strcmp(call->fn->name, "strcat_delim") == 0;
    TRY(rows_begin(cx, &r, T_STRING, n, out));
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t k = first; k < call->n_args; k++) {
            if (first == 1 && k != 1) buf_bytes(&r.b, vec_str(args[0], i));
            buf_bytes(&r.b, vec_str(args[k], i));
        }
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

EVAL(eval_strcat_array)
{
    (void)call;
    CLEANUP_ROWS struct rows_out r;
    TRY(rows_begin(cx, &r, T_STRING, n, out));
    for (uint32_t i = 0; i < n; i++) {
        struct dyn_iter it;
        struct bytes name, element, array = vec_str(args[0], i);
        bool more = false;
        if (dyn_kind(array) == DYN_ARRAY && dyn_iter_init(&it, array)) {
            while (dyn_iter_next(&it, &name, &element)) {
                if (more) buf_bytes(&r.b, vec_str(args[1], i));
                dyn_to_string(element, &r.b);
                more = true;
            }
        }
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

#define STRREP_MAX 1024 /* times */

EVAL(eval_strrep)
{
    CLEANUP_ROWS struct rows_out r;
    TRY(rows_begin(cx, &r, T_STRING, n, out));
    for (uint32_t i = 0; i < n; i++) {
        int64_t times = vec_null(args[1], i) ? 0 : vec_i64(args[1], i);
        if (times > STRREP_MAX) times = STRREP_MAX;
        for (int64_t k = 0; k < times; k++) {
            if (k != 0 && call->n_args == 3) buf_bytes(&r.b, vec_str(args[2], i));
            buf_bytes(&r.b, vec_str(args[0], i));
        }
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

/* --- cutting ---------------------------------------------------------------------------------- */

/* Bytes [from, to) of the characters asked for. A start before the beginning gives nothing. */
static struct bytes cut(struct bytes s, int64_t start, int64_t length)
{
    bool ascii = text_ascii(s);
    int64_t chars = start < 0 || ascii ? (int64_t)(ascii ? s.len : utf8_count(s)) : -1;
    if (start < 0 && (start += chars) < 0) return (struct bytes){0};
    if (length <= 0) return (struct bytes){0};
    size_t from, to;
    if (ascii) {
        from = start > chars ? s.len : (size_t)start;
        to = length > chars - (int64_t)from ? s.len : from + (size_t)length;
    } else {
        from = utf8_offset(s, (size_t)start);
        to = from + utf8_offset(bytes_of(s.p + from, s.len - from), (size_t)length);
    }
    return from >= to ? (struct bytes){0} : bytes_of(s.p + from, to - from);
}

EVAL(eval_substring)
{
    struct vecb b;
    vecb_init(&b, cx->a, T_STRING, n);
    for (uint32_t i = 0; i < n; i++) {
        bool null = vec_null(args[1], i) || (call->n_args > 2 && vec_null(args[2], i));
        int64_t length = call->n_args > 2 ? vec_i64(args[2], i) : INT64_MAX;
        vecb_str_borrow(&b, null ? (struct bytes){0}
                                 : cut(vec_str(args[0], i), vec_i64(args[1], i), length));
    }
    return vecb_finish(&b, out, cx->d);
}

static void put_string(struct buf *out, struct bytes s)
{
    buf_u8(out, 's');
    buf_blob(out, s);
}

/* The pieces of s; only the one of that index when want is not negative. */
static uint32_t put_pieces(struct bytes s, struct bytes delimiter, int64_t want, struct buf *out)
{
    uint32_t at = 0, count = 0;
    size_t from = 0;
    while (true) {
        const uint8_t *hit = delimiter.len == 0 || from >= s.len
                                 ? NULL
                                 : memmem(s.p + from, s.len - from, delimiter.p, delimiter.len);
        size_t end = hit != NULL ? (size_t)(hit - s.p) : s.len;
        if (want < 0 || at == want) {
            put_string(out, end != from ? bytes_of(s.p + from, end - from) : (struct bytes){0});
            count++;
        }
        at++;
        if (hit == NULL) return count;
        from = end + delimiter.len;
    }
}

EVAL(eval_split)
{
    CLEANUP_ROWS struct rows_out r;
    bool one = call->n_args > 2;
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        int64_t want = one ? vec_i64(args[2], i) : -1;
        size_t start = r.b.len, at = dyn_array_begin(&r.b);
        uint32_t count =
            one && want < 0 ? 0 : put_pieces(vec_str(args[0], i), vec_str(args[1], i), want, &r.b);
        dyn_array_end(&r.b, at, count);
        if (one && count == 0) buf_shrink(&r.b, start); /* no such piece: null */
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

/* --- finding ---------------------------------------------------------------------------------- */

/* The arguments behind text and pattern of indexof() and indexof_regex(). */
static bool find_window(const struct fn_call *call, const struct vec *const *args, uint32_t i,
                        size_t chars, int64_t *start, int64_t *end, int64_t *occurrence)
{
    int64_t length = -1;
    *start = 0;
    *occurrence = 1;
    for (uint32_t k = 2; k < call->n_args; k++) {
        if (vec_null(args[k], i)) return false;
    }
    if (call->n_args > 2) *start = vec_i64(args[2], i);
    if (call->n_args > 3) length = vec_i64(args[3], i);
    if (call->n_args > 4) *occurrence = vec_i64(args[4], i);
    if (length < -1 || *occurrence < 1) return false;
    if (*start < 0) *start += (int64_t)chars;
    if (*start < 0) *start = 0;
    bool open = length == -1 || length > (int64_t)chars - *start;
    *end = open ? (int64_t)chars : *start + length;
    return true;
}

EVAL(eval_indexof)
{
    struct vecb b;
    vecb_init(&b, cx->a, T_LONG, n);
    for (uint32_t i = 0; i < n; i++) {
        struct bytes s = vec_str(args[0], i), what = vec_str(args[1], i);
        int64_t start, end, occurrence, found = -1;
        if (what.len == 0 ||
            !find_window(call, args, i, utf8_count(s), &start, &end, &occurrence)) {
            vecb_null(&b);
            continue;
        }
        size_t from = utf8_offset(s, (size_t)start), stop = utf8_offset(s, (size_t)end);
        while (from < s.len) {
            const uint8_t *hit = memmem(s.p + from, s.len - from, what.p, what.len);
            if (hit == NULL || (size_t)(hit - s.p) >= stop) break;
            from = (size_t)(hit - s.p);
            if (--occurrence == 0) {
                found = (int64_t)utf8_count(bytes_of(s.p, from));
                break;
            }
            from += what.len;
        }
        vecb_i64(&b, found);
    }
    return vecb_finish(&b, out, cx->d);
}

/* --- replacing -------------------------------------------------------------------------------- */

static void put_replaced(struct bytes s, struct bytes what, struct bytes by, struct buf *out)
{
    size_t from = 0;
    while (what.len != 0 && from < s.len) {
        const uint8_t *hit = memmem(s.p + from, s.len - from, what.p, what.len);
        if (hit == NULL) break;
        buf_bytes(out, bytes_of(s.p + from, (size_t)(hit - s.p) - from));
        buf_bytes(out, by);
        from = (size_t)(hit - s.p) + what.len;
    }
    if (from < s.len) buf_bytes(out, bytes_of(s.p + from, s.len - from));
}

EVAL(eval_replace_string)
{
    (void)call;
    CLEANUP_ROWS struct rows_out r;
    TRY(rows_begin(cx, &r, T_STRING, n, out));
    for (uint32_t i = 0; i < n; i++) {
        put_replaced(vec_str(args[0], i), vec_str(args[1], i), vec_str(args[2], i), &r.b);
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

struct piece {
    struct bytes text;
    bool done; /* put in by an earlier pair: later ones leave it alone */
};

/* Replaces in the pieces that are not done; *out is to be freed. */
static enum err replace_pieces(const struct piece *in, uint32_t n, struct bytes what,
                               struct bytes by, struct piece **out, uint32_t *n_out, struct diag *d)
{
    uint32_t count = n;
    for (uint32_t i = 0; i < n && what.len != 0; i++) {
        for (size_t from = 0; !in[i].done && from < in[i].text.len; count += 2) {
            const uint8_t *hit =
                memmem(in[i].text.p + from, in[i].text.len - from, what.p, what.len);
            if (hit == NULL) break;
            from = (size_t)(hit - in[i].text.p) + what.len;
        }
    }
    struct piece *p = calloc(count + 1, sizeof *p);
    if (p == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    uint32_t k = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct bytes s = in[i].text;
        const uint8_t *hit;
        while (!in[i].done && what.len != 0 && s.len != 0 &&
               (hit = memmem(s.p, s.len, what.p, what.len)) != NULL) {
            size_t before = (size_t)(hit - s.p);
            p[k++] = (struct piece){bytes_of(s.p, before), false};
            p[k++] = (struct piece){by, true};
            s = bytes_of(hit + what.len, s.len - before - what.len);
        }
        p[k++] = (struct piece){s, in[i].done};
    }
    *out = p;
    *n_out = k;
    return OK;
}

/* A replacement that is no text leaves what was found as it is, and no other pair touches it. */
static enum err put_replaced_all(struct bytes s, struct bytes lookups, struct bytes rewrites,
                                 struct buf *out, struct diag *d)
{
    struct dyn_iter a, b;
    struct bytes name, lookup, rewrite;
    uint32_t n = 1;
    CLEANUP_FREE struct piece *pieces = calloc(1, sizeof *pieces);
    if (pieces == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    pieces[0].text = s;
    bool lists = dyn_iter_init(&a, lookups);
    lists = dyn_iter_init(&b, rewrites) && lists;
    while (lists && dyn_iter_next(&a, &name, &lookup) && dyn_iter_next(&b, &name, &rewrite)) {
        struct piece *next;
        if (dyn_kind(lookup) != DYN_STRING) continue;
        struct bytes what = dyn_scalar(lookup).s;
        struct bytes by = dyn_kind(rewrite) == DYN_STRING ? dyn_scalar(rewrite).s : what;
        TRY(replace_pieces(pieces, n, what, by, &next, &n, d)); // NOLINT: the cleanup frees
        free(pieces);
        pieces = next;
    }
    for (uint32_t i = 0; i < n; i++)
        buf_bytes(out, pieces[i].text);
    return OK; // NOLINT: the cleanup frees
}

/* One pair after the other; what a pair has put in is not looked at again. */
EVAL(eval_replace_strings)
{
    (void)call;
    CLEANUP_ROWS struct rows_out r;
    TRY(rows_begin(cx, &r, T_STRING, n, out));
    for (uint32_t i = 0; i < n; i++) {
        TRY(put_replaced_all(vec_str(args[0], i), vec_str(args[1], i), vec_str(args[2], i), &r.b,
                             cx->d));
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

/* Character k of the list from, the last one when it is shorter. */
static uint32_t list_char(struct bytes list, size_t k)
{
    uint32_t c = 0;
    for (size_t at = 0; list.len != 0 && at <= k; at++)
        c = utf8_next(&list);
    return c;
}

EVAL(eval_translate)
{
    (void)call;
    CLEANUP_ROWS struct rows_out r;
    TRY(rows_begin(cx, &r, T_STRING, n, out));
    for (uint32_t i = 0; i < n; i++) {
        struct bytes search = vec_str(args[0], i), replacement = vec_str(args[1], i),
                     s = vec_str(args[2], i);
        while (s.len != 0) {
            uint32_t c = utf8_next(&s);
            struct bytes rest = search;
            size_t k = 0;
            bool hit = false;
            for (; rest.len != 0 && !hit; k += !hit)
                hit = utf8_next(&rest) == c;
            if (!hit) {
                utf8_put(&r.b, c);
            } else if (replacement.len != 0) {
                utf8_put(&r.b, list_char(replacement, k));
            }
        }
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

/* --- characters as numbers -------------------------------------------------------------------- */

EVAL(eval_codepoints_from)
{
    (void)call;
    CLEANUP_ROWS struct rows_out r;
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        struct bytes s = vec_str(args[0], i);
        uint32_t count = 0;
        size_t at = dyn_array_begin(&r.b);
        for (; s.len != 0; count++) {
            struct value v = {.type = T_LONG, .i = utf8_next(&s)};
            TRY(dyn_from_value(&v, &r.b, cx->d));
        }
        dyn_array_end(&r.b, at, count);
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

static void put_codepoint(const struct value *v, struct buf *out)
{
    struct value c;
    bool ok = value_cast(v, T_LONG, NULL, &c) && !c.is_null;
    if (ok && c.i >= 0 && c.i <= 0x10ffff && (c.i < 0xd800 || c.i > 0xdfff))
        utf8_put(out, (uint32_t)c.i);
}

EVAL(eval_codepoints_to)
{
    CLEANUP_ROWS struct rows_out r;
    TRY(rows_begin(cx, &r, T_STRING, n, out));
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t k = 0; k < call->n_args; k++) {
            struct value v = vec_value(args[k], i);
            struct dyn_iter it;
            struct bytes name, element;
            if (v.type != T_DYNAMIC || v.is_null || !dyn_iter_init(&it, v.s)) {
                put_codepoint(&v, &r.b);
                continue;
            }
            while (dyn_iter_next(&it, &name, &element)) {
                struct value e = {.type = T_DYNAMIC, .s = element};
                put_codepoint(&e, &r.b);
            }
        }
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

static const struct fn rows[] = {
    FN("array_strcat", 2, 2, T_STRING, 0, eval_strcat_array, "The same as strcat_array().",
       "array_strcat(dynamic([1,2]), '-')", "1-2", ARG_ARRAY, ARG_TEXT),
    FN("indexof", 2, 5, T_LONG, 0, eval_indexof,
       "Where a text begins in another, from 0; -1 when it does not occur.",
       "indexof('abcdefgabcdefg', 'cde', 1, 10, 2)", "9", ARG_TEXT, ARG_TEXT, ARG_LONG, ARG_LONG,
       ARG_LONG),
    FN("isascii", 1, 1, T_BOOL, 0, eval_isascii, "True when every character is ASCII.",
       "isascii('abc')", "True", ARG_TEXT),
    FN("isutf8", 1, 1, T_BOOL, 0, eval_isutf8, "True when the text is valid UTF-8.",
       "isutf8('abc')", "True", ARG_TEXT),
    FN("make_string", 1, FN_ARITY_ANY, T_STRING, 0, eval_codepoints_to,
       "The same as unicode_codepoints_to_string().", "make_string(75, 117)", "Ku",
       ARG(TM_INTS | TM(T_DYNAMIC))),
    FN("replace_string", 3, 3, T_STRING, 0, eval_replace_string,
       "Replaces every occurrence of a text.", "replace_string('abcabc', 'a', 'XY')", "XYbcXYbc",
       ARG_STRING, ARG_STRING, ARG_STRING),
    FN("replace_strings", 3, 3, T_STRING, 0, eval_replace_strings,
       "Replaces several texts, one after the other.",
       "replace_strings('This is it', dynamic([\"This\", \"is\"]), dynamic([\"This\", \"was\"]))",
       "This was it", ARG_STRING, ARG_ARRAY, ARG_ARRAY),
    FN("reverse", 1, 1, T_STRING, 0, eval_reverse, "The characters in opposite order.",
       "reverse('abc\xc3\xa9')",
       "\xc3\xa9"
       "cba",
       ARG_TEXT),
    FN("split", 2, 3, T_DYNAMIC, 0, eval_split,
       "The pieces between the occurrences of a delimiter, as an array.", "split('a__b', '_')",
       "[\"a\",\"\",\"b\"]", ARG_TEXT, ARG_STRING, ARG_LONG),
    FN("strcat", 1, FN_ARITY_ANY, T_STRING, 0, eval_strcat, "Joins the text of all arguments.",
       "strcat('a', 1, true)", "a1True", ARG_TEXT),
    FN("strcat_array", 2, 2, T_STRING, 0, eval_strcat_array,
       "Joins the elements of an array with a delimiter.", "strcat_array(dynamic([1,null,3]), '-')",
       "1--3", ARG_ARRAY, ARG_TEXT),
    FN("strcat_delim", 3, FN_ARITY_ANY + 1, T_STRING, 0, eval_strcat,
       "Joins the text of arguments with a delimiter.", "strcat_delim('-', 1, '2', 'A', 1s)",
       "1-2-A-00:00:01", ARG_TEXT, ARG_TEXT),
    FN("strcmp", 2, 2, T_LONG, 0, eval_strcmp, "-1, 0 or 1 by the order of two texts.",
       "strcmp('ABC', 'abc')", "-1", ARG_TEXT, ARG_TEXT),
    FN("string_size", 1, 1, T_LONG, 0, eval_string_size, "How many bytes of UTF-8 a text has.",
       "string_size('\xc3\xa9')", "2", ARG_STRING),
    FN("strlen", 1, 1, T_LONG, 0, eval_strlen, "How many characters a text has.",
       "strlen('\xc3\xa9')", "1", ARG_STRING),
    FN("strrep", 2, 3, T_STRING, 0, eval_strrep,
       "A text several times over, with a delimiter between.", "strrep(123, 3, '.')", "123.123.123",
       ARG_TEXT, ARG_LONG, ARG_TEXT),
    FN("substring", 2, 3, T_STRING, 0, eval_substring,
       "A part of a text; a negative start counts from its end.", "substring('hello', -3, 2)", "ll",
       ARG_TEXT, ARG_LONG, ARG_LONG),
    FN("to_utf8", 1, 1, T_DYNAMIC, 0, eval_codepoints_from,
       "The same as unicode_codepoints_from_string().", "to_utf8('Ku')", "[75,117]", ARG_TEXT),
    FN("tolower", 1, 1, T_STRING, 0, eval_case, "In lower case.", "tolower('CAF\xc3\x89')",
       "caf\xc3\xa9", ARG_TEXT),
    FN("toupper", 1, 1, T_STRING, 0, eval_case, "In upper case.", "toupper('caf\xc3\xa9')",
       "CAF\xc3\x89", ARG_TEXT),
    FN("translate", 3, 3, T_STRING, 0, eval_translate,
       "Exchanges characters of one list for those of another.",
       "translate('krasp', 'otsku', 'spark')", "kusto", ARG_STRING, ARG_STRING, ARG_STRING),
    FN("unicode_codepoints_from_string", 1, 1, T_DYNAMIC, 0, eval_codepoints_from,
       "The characters of a text as numbers.", "unicode_codepoints_from_string('Ku')", "[75,117]",
       ARG_TEXT),
    FN("unicode_codepoints_to_string", 1, FN_ARITY_ANY, T_STRING, 0, eval_codepoints_to,
       "The text of characters given as numbers.",
       "unicode_codepoints_to_string(75, dynamic([117, 115]))", "Kus",
       ARG(TM_INTS | TM(T_DYNAMIC))),
};
const struct fn_family fn_string = FAMILY(rows);
