/* SPDX-License-Identifier: Apache-2.0 */
/*
 * func/regex.c - the cache of compiled expressions, their two forms, replacing
 *
 * RE2's \d \s \w are ASCII. A pattern that has them is compiled twice: as it is, for texts that are
 * all ASCII (the same matches from a small automaton), and with Unicode classes for the others,
 * when the first such text comes along.
 */
#include "func/regex.h"

#include "base/map.h"
#include "base/str.h"
#include "base/thread.h"
#include "func/literals.h"
#include "func/re2_shim.h"

#include <stdatomic.h>
#include <stdlib.h>

struct regex {
    struct bytes pattern; /* owned */
    struct re2_form *ascii;
    _Atomic(struct re2_form *)
        unicode;  /* made by the first text that needs it; may be ascii itself */
    bool differs; /* the Unicode form is another text */
    struct literals literals;
    _Atomic uint32_t rarest; /* of the literals, as far as seen: plus 1, 0 before any was */
    unsigned users;          /* under cache_lock */
    uint64_t used_at;
};

static pthread_mutex_t cache_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t compile_lock = PTHREAD_MUTEX_INITIALIZER;
static struct map cache;
static uint64_t cache_tick;

static void regex_free(struct regex *re)
{
    if (re == NULL) return;
    struct re2_form *u = atomic_load(&re->unicode);
    if (u != re->ascii) re2_form_free(u);
    re2_form_free(re->ascii);
    free((void *)(uintptr_t)re->pattern.p);
    literals_release(&re->literals);
    free(re);
}
DEFINE_CLEANUP(regex_free, struct regex)

/* --- the two forms ---------------------------------------------------------------------------- */

#define WORD  "\\p{L}\\p{M}\\p{Nd}\\p{Pc}"
#define SPACE "\\s\\v\\x{85}\\p{Z}"

/* A union of classes cannot be negated inside of brackets: there \W and \S stay ASCII. */
static const char *unicode_class(uint8_t c, bool in_brackets)
{
    switch (c) {
    case 'd': return "\\p{Nd}";
    case 'D': return "\\P{Nd}";
    case 'w': return in_brackets ? WORD : "[" WORD "]";
    case 's': return in_brackets ? SPACE : "[" SPACE "]";
    case 'W': return in_brackets ? NULL : "[^" WORD "]";
    case 'S': return in_brackets ? NULL : "[^" SPACE "]";
    default: return NULL;
    }
}

static bool at(struct bytes p, size_t i, const char *text)
{
    size_t n = strlen(text);
    return p.len - i >= n && memcmp(p.p + i, text, n) == 0;
}

/* Behind an opening bracket: '^' and a ']' that comes first mean themselves. */
static size_t open_brackets(struct bytes p, size_t i, struct buf *out)
{
    buf_u8(out, p.p[i++]);
    if (i < p.len && p.p[i] == '^') buf_u8(out, p.p[i++]);
    if (i < p.len && p.p[i] == ']') buf_u8(out, p.p[i++]);
    return i;
}

/* The pattern in RE2's dialect; with unicode, \d \s \w spelt out. True: something was. */
static bool translate(struct bytes p, bool unicode, struct buf *out)
{
    bool in_brackets = false, spelt_out = false;
    for (size_t i = 0; i < p.len;) {
        if (p.p[i] == '\\' && i + 1 < p.len) {
            const char *spelt = unicode ? unicode_class(p.p[i + 1], in_brackets) : NULL;
            if (spelt != NULL) {
                buf_str(out, spelt);
                spelt_out = true;
            } else {
                buf_bytes(out, bytes_of(p.p + i, 2));
            }
            i += 2;
        } else if (!in_brackets && at(p, i, "(?<") && !at(p, i, "(?<=") && !at(p, i, "(?<!")) {
            buf_str(out, "(?P<");
            i += 3;
        } else if (p.p[i] == '[' && !in_brackets) {
            in_brackets = true;
            i = open_brackets(p, i, out);
        } else if (at(p, i, "[:")) { /* [[:alpha:]] */
            const uint8_t *end = memmem(p.p + i, p.len - i, ":]", 2);
            size_t n = end != NULL ? (size_t)(end - p.p) + 2 - i : 1;
            buf_bytes(out, bytes_of(p.p + i, n));
            i += n;
        } else {
            if (p.p[i] == ']') in_brackets = false;
            buf_u8(out, p.p[i++]);
        }
    }
    return spelt_out;
}

static struct re2_form *compile(struct bytes pattern, bool unicode, bool *spelt_out, char *error,
                                size_t size)
{
    CLEANUP_BUF struct buf b = {0};
    *spelt_out = translate(pattern, unicode, &b);
    const char *text = buf_cstr(&b);
    return re2_form_new(text, b.len, error, size);
}

/* Where the Unicode form grows too large, the ASCII one has to do. */
static const struct re2_form *form_for(struct regex *re, struct bytes text)
{
    if (!re->differs || text_ascii(text)) return re->ascii;
    struct re2_form *u = atomic_load_explicit(&re->unicode, memory_order_acquire);
    if (u != NULL) return u;
    LOCK_SCOPE(&compile_lock);
    u = atomic_load(&re->unicode);
    if (u == NULL) {
        char error[8];
        bool spelt;
        u = compile(re->pattern, true, &spelt, error, sizeof error);
        if (u == NULL) u = re->ascii;
        atomic_store_explicit(&re->unicode, u, memory_order_release);
    }
    return u;
}

/* --- the cache -------------------------------------------------------------------------------- */

static void drop_oldest(void)
{
    struct regex *oldest = NULL;
    MAP_EACH (&cache, e) {
        struct regex *re = e->value;
        if (re->users == 0 && (oldest == NULL || re->used_at < oldest->used_at)) oldest = re;
    }
    if (oldest == NULL) return;
    (void)map_remove(&cache, oldest->pattern);
    regex_free(oldest);
}

static enum err make(struct bytes pattern, struct regex **out, struct diag *d)
{
    char error[300];
    CLEANUP_BUF struct buf spelt = {0};
    bool ignored;
    CLEANUP(regex_free) struct regex *re = calloc(1, sizeof *re);
    uint8_t *copy = malloc(pattern.len + 1);
    if (re == NULL || copy == NULL) {
        free(copy);                                 // NOLINT: the cleanup frees the other
        return FAIL(d, ERR_LIMIT, "out of memory"); // NOLINT: the cleanup frees
    }
    if (pattern.len != 0) memcpy(copy, pattern.p, pattern.len);
    re->pattern = bytes_of(copy, pattern.len);
    re->ascii = compile(pattern, false, &ignored, error, sizeof error);
    if (re->ascii == NULL) {
        return FAIL(d, ERR_INVALID, "regular expression '%.*s': %s",
                    (int)(pattern.len < 200 ? pattern.len : 200), (const char *)pattern.p, error);
    }
    re->differs = translate(pattern, true, &spelt);
    literals_of(re->pattern, &re->literals);
    TRY(map_put(&cache, re->pattern, re, NULL, d));
    *out = TAKE(re);
    return OK;
}

enum err regex_get(struct bytes pattern, struct regex **out, struct diag *d)
{
    if (pattern.len > REGEX_PATTERN_MAX) {
        return FAIL(d, ERR_LIMIT, "a regular expression is longer than %zu bytes",
                    REGEX_PATTERN_MAX);
    }
    LOCK_SCOPE(&cache_lock);
    struct regex *re = map_get(&cache, pattern);
    if (re == NULL) {
        if (cache.n_live >= REGEX_CACHE_MAX) drop_oldest();
        TRY(make(pattern, &re, d));
    }
    re->users++;
    re->used_at = ++cache_tick;
    *out = re;
    return OK;
}

void regex_put(struct regex *re)
{
    if (re == NULL) return;
    LOCK_SCOPE(&cache_lock);
    re->users--;
}

enum err regex_last_get(struct regex_last *l, struct bytes pattern, struct regex **out,
                        struct diag *d)
{
    if (l->re == NULL || !bytes_eq(l->pattern, pattern)) {
        regex_last_release(l);
        TRY(regex_get(pattern, &l->re, d));
        l->pattern = pattern;
    }
    *out = l->re;
    return OK;
}

void regex_last_release(struct regex_last *l)
{
    regex_put(l->re);
    l->re = NULL;
}

/* --- matching --------------------------------------------------------------------------------- */

int regex_groups(const struct regex *re)
{
    return re2_form_groups(re->ascii);
}

int regex_group_named(const struct regex *re, struct bytes name)
{
    return re2_form_named(re->ascii, (const char *)name.p, name.len);
}

static bool test_candidate(struct regex *re, struct bytes text)
{
    return re2_form_match(form_for(re, text), (const char *)text.p, text.len, 0, NULL, 0);
}

bool regex_test(struct regex *re, struct bytes text)
{
    return literals_stand_in(&re->literals, text, 0) && test_candidate(re, text);
}

#define SAMPLE_ROWS 256 /* in which literals are counted */
#define TOO_MANY    16  /* one row in so many is a candidate: another literal may be rarer */

/* The literal to look for first. Which one is rarest is a matter of the rows: it is asked of the first
 * ones, and again when too many are found. */
static const struct needle *first_literal(struct regex *re, const struct bytes *rows, uint32_t n)
{
    static const struct needle none = {0};
    if (re->literals.n == 0) return &none;
    uint32_t rarest = atomic_load_explicit(&re->rarest, memory_order_relaxed);
    if (rarest == 0) {
        rarest = 1 + literals_rarest(&re->literals, rows, n < SAMPLE_ROWS ? n : SAMPLE_ROWS);
        atomic_store_explicit(&re->rarest, rarest, memory_order_relaxed);
    }
    return &re->literals.parts[rarest - 1];
}

void regex_test_rows(struct regex *re, const struct bytes *rows, uint32_t n, bool packed,
                     uint8_t *out)
{
    struct needle_rows candidates = {
        .needle = first_literal(re, rows, n), .rows = rows, .n_rows = n, .packed = packed};
    uint32_t found = 0;
    memset(out, 0, n);
    for (uint32_t row; needle_rows_next(&candidates, &row); found++)
        out[row] = regex_test(re, rows[row]);
    if (found > n / TOO_MANY) atomic_store_explicit(&re->rarest, 0, memory_order_relaxed);
}

bool regex_find(struct regex *re, struct bytes text, size_t from, struct bytes *groups,
                int n_groups)
{
    struct re2_span spans[REGEX_GROUPS_MAX + 1];
    if (n_groups > REGEX_GROUPS_MAX + 1) n_groups = REGEX_GROUPS_MAX + 1;
    if (!literals_stand_in(&re->literals, text, from)) return false;
    if (!re2_form_match(form_for(re, text), (const char *)text.p, text.len, from, spans, n_groups))
        return false;
    for (int i = 0; i < n_groups; i++)
        groups[i] = bytes_of(spans[i].p, spans[i].len);
    return true;
}

static void put_rewrite(struct bytes rewrite, const struct bytes *groups, int n_groups,
                        struct buf *out)
{
    for (size_t i = 0; i < rewrite.len; i++) {
        uint8_t c = rewrite.p[i];
        if (c != '\\' || i + 1 == rewrite.len) {
            buf_u8(out, c);
            continue;
        }
        c = rewrite.p[++i];
        if (c >= '0' && c <= '9') {
            if (c - '0' < n_groups) buf_bytes(out, groups[c - '0']);
        } else {
            if (c != '\\') buf_u8(out, '\\');
            buf_u8(out, c);
        }
    }
}

size_t regex_after(struct bytes text, struct bytes match)
{
    size_t end = match.len == 0 && text.len == 0 ? 0 : (size_t)(match.p - text.p) + match.len;
    if (match.len != 0) return end;
    end++;
    while (end < text.len && (text.p[end] & 0xc0) == 0x80)
        end++;
    return end;
}

bool regex_replace(struct regex *re, struct bytes text, struct bytes rewrite, struct buf *out)
{
    struct bytes groups[10] = {0};
    int n_groups = regex_groups(re) < 9 ? regex_groups(re) + 1 : 10;
    size_t done = 0, from = 0;
    bool any = false;
    while (from <= text.len && regex_find(re, text, from, groups, n_groups)) {
        size_t start = text.len == 0 ? 0 : (size_t)(groups[0].p - text.p);
        any = true;
        if (start > done) buf_bytes(out, bytes_of(text.p + done, start - done));
        put_rewrite(rewrite, groups, n_groups, out);
        done = start + groups[0].len;
        from = regex_after(text, groups[0]);
    }
    if (any && done < text.len) buf_bytes(out, bytes_of(text.p + done, text.len - done));
    return any;
}
