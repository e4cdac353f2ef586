/* SPDX-License-Identifier: Apache-2.0 */
/* func/text.c - Unicode text: characters, case, terms, searching */
#include "func/text.h"

#include "base/arena.h"
#include "func/unicode_tables.h"

/* --- characters --------------------------------------------------------------------------------
 */

uint32_t utf8_next(struct bytes *s)
{
    uint8_t b = s->p[0];
    size_t n = b < 0x80 ? 1 : b >= 0xf0 ? 4 : b >= 0xe0 ? 3 : b >= 0xc0 ? 2 : 0;
    uint32_t c = n == 1 ? b : n == 0 ? 0xfffd : b & (0xffU >> (n + 1));
    if (n == 0 || n > s->len) {
        n = 1;
        c = 0xfffd;
    }
    for (size_t i = 1; i < n; i++) {
        if ((s->p[i] & 0xc0) != 0x80) {
            n = 1;
            c = 0xfffd;
            break;
        }
        c = c << 6 | (s->p[i] & 0x3f);
    }
    *s = bytes_of(s->p + n, s->len - n);
    return c;
}

/* The last character of a text that is not empty. */
static uint32_t last_char(struct bytes s)
{
    size_t n = 1;
    while (n < 4 && n < s.len && (s.p[s.len - n] & 0xc0) == 0x80)
        n++;
    struct bytes tail = bytes_of(s.p + s.len - n, n);
    return utf8_next(&tail);
}

void utf8_put(struct buf *out, uint32_t c)
{
    if (c < 0x80) {
        buf_u8(out, (uint8_t)c);
        return;
    }
    uint8_t b[4];
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n; i-- > 1; c >>= 6)
        b[i] = (uint8_t)(0x80 | (c & 0x3f));
    b[0] = (uint8_t)(c | (0xf00U >> n & 0xff));
    buf_bytes(out, bytes_of(b, n));
}

size_t utf8_count(struct bytes s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++)
        n += (s.p[i] & 0xc0) != 0x80;
    return n;
}

size_t utf8_offset(struct bytes s, size_t n)
{
    for (size_t i = 0; i < s.len; i++) {
        if ((s.p[i] & 0xc0) != 0x80 && n-- == 0) return i;
    }
    return s.len;
}

bool text_ascii(struct bytes s)
{
    uint8_t any = 0;
    for (size_t i = 0; i < s.len; i++)
        any |= s.p[i];
    return any < 0x80;
}

/* --- case --------------------------------------------------------------------------------------
 */

static uint32_t map_case(const struct case_range *ranges, size_t n, uint32_t c)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (c > ranges[mid].last) {
            low = mid + 1;
        } else if (c < ranges[mid].first) {
            high = mid;
        } else {
            bool in = (c - ranges[mid].first) % (uint32_t)ranges[mid].step == 0;
            return in ? (uint32_t)((int32_t)c + ranges[mid].delta) : c;
        }
    }
    return c;
}

uint32_t char_lower(uint32_t c)
{
    if (c < 0x80) return c >= 'A' && c <= 'Z' ? c + 32 : c;
    return map_case(to_lower, sizeof to_lower / sizeof *to_lower, c);
}

uint32_t char_upper(uint32_t c)
{
    if (c < 0x80) return c >= 'a' && c <= 'z' ? c - 32 : c;
    return map_case(to_upper, sizeof to_upper / sizeof *to_upper, c);
}

bool char_alnum(uint32_t c)
{
    if (c < 0x80) return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
    size_t low = 0, high = sizeof letters / sizeof *letters;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (c > letters[mid].last) {
            low = mid + 1;
        } else if (c < letters[mid].first) {
            high = mid;
        } else {
            return true;
        }
    }
    return false;
}

static void map_text(struct bytes s, struct buf *out, uint32_t (*map)(uint32_t))
{
    if (text_ascii(s)) {
        uint8_t *p = buf_extend(out, s.len);
        if (p == NULL) return;
        for (size_t i = 0; i < s.len; i++)
            p[i] = (uint8_t)map(s.p[i]);
        return;
    }
    while (s.len != 0) {
        const uint8_t *from = s.p;
        uint32_t c = utf8_next(&s), m = map(c);
        if (m == c) {
            buf_bytes(out, bytes_of(from, (size_t)(s.p - from)));
        } else {
            utf8_put(out, m);
        }
    }
}

void text_lower(struct bytes s, struct buf *out)
{
    map_text(s, out, char_lower);
}

void text_upper(struct bytes s, struct buf *out)
{
    map_text(s, out, char_upper);
}

void text_fold(struct bytes s, struct buf *out)
{
    map_text(s, out, char_lower);
}

static inline uint8_t ascii_lower(uint8_t c)
{
    return (uint8_t)(c + (((unsigned)c - 'A' < 26) << 5));
}

bool text_eq_nocase(struct bytes a, struct bytes b)
{
    while (a.len != 0 && b.len != 0) {
        if ((a.p[0] | b.p[0]) < 0x80) {
            if (ascii_lower(a.p[0]) != ascii_lower(b.p[0])) return false;
            a = bytes_of(a.p + 1, a.len - 1);
            b = bytes_of(b.p + 1, b.len - 1);
        } else if (char_lower(utf8_next(&a)) != char_lower(utf8_next(&b))) {
            return false;
        }
    }
    return a.len == b.len;
}

/* --- searching ---------------------------------------------------------------------------------
 */

bool needle_init(struct needle *n, struct bytes text, bool nocase, struct arena *a)
{
    *n = (struct needle){.text = text, .nocase = nocase, .ascii = text_ascii(text)};
    if (!nocase || text.len == 0) return true;
    CLEANUP_BUF struct buf folded = {0};
    text_fold(text, &folded);
    n->text = arena_bytes(a, buf_view(&folded));
    return !folded.bad && n->text.p != NULL;
}

/* How many bytes of s the folded needle covers at its front; TEXT_NONE: it does not match there. */
static size_t match_here(const struct needle *n, struct bytes s)
{
    if (n->text.len == 0) return 0;
    if (!n->nocase) {
        return s.len >= n->text.len && memcmp(s.p, n->text.p, n->text.len) == 0 ? n->text.len
                                                                                : TEXT_NONE;
    }
    if (n->ascii) {
        if (s.len < n->text.len) return TEXT_NONE;
        for (size_t i = 0; i < n->text.len; i++) {
            if (ascii_lower(s.p[i]) != n->text.p[i]) return TEXT_NONE;
        }
        return n->text.len;
    }
    struct bytes left = s, want = n->text;
    while (want.len != 0) {
        if (left.len == 0 || char_lower(utf8_next(&left)) != utf8_next(&want)) return TEXT_NONE;
    }
    return s.len - left.len;
}

typedef uint8_t v16 __attribute__((vector_size(16)));
typedef uint64_t v2 __attribute__((vector_size(16)));

static inline v16 splat(uint8_t c)
{
    return (v16){c, c, c, c, c, c, c, c, c, c, c, c, c, c, c, c};
}

/* The first and the last byte of a needle, and the bit that folds each of them: 0x20 for a letter.
 */
struct probe {
    v16 first, last, first_fold, last_fold;
    size_t len;
};

static struct probe probe_of(const struct needle *n)
{
    uint8_t first = n->text.p[0], last = n->text.p[n->text.len - 1];
    bool fold_first = n->nocase && first >= 'a' && first <= 'z';
    bool fold_last = n->nocase && last >= 'a' && last <= 'z';
    return (struct probe){splat(first), splat(last), splat(fold_first ? 0x20 : 0),
                          splat(fold_last ? 0x20 : 0), n->text.len};
}

/* Whether the needle may begin at one of the sixteen places from p on. */
static inline bool probe_hits(const struct probe *b, const uint8_t *p)
{
    v16 x, y;
    memcpy(&x, p, sizeof x);
    memcpy(&y, p + b->len - 1, sizeof y);
    v2 hit = (v2)(((x | b->first_fold) == b->first) & ((y | b->last_fold) == b->last));
    return (hit[0] | hit[1]) != 0;
}

static size_t match_among(const struct needle *n, struct bytes s, size_t from, size_t to)
{
    for (size_t k = from; k < to; k++) {
        if (match_here(n, bytes_of(s.p + k, s.len - k)) != TEXT_NONE) return k;
    }
    return TEXT_NONE;
}

/* For a needle whose length in the text is its own: with case, or all ASCII. Only where both its
 * ends fit, the rest is compared; the last block overlaps the one before it. */
static size_t find_fixed(const struct needle *n, struct bytes s, size_t from)
{
    if (s.len < n->text.len || from > s.len - n->text.len) return TEXT_NONE;
    size_t end = s.len - n->text.len + 1; /* the places where it may begin */
    if (end - from < 16) return match_among(n, s, from, end);
    struct probe b = probe_of(n);
    for (size_t i = from;;) {
        if (probe_hits(&b, s.p + i)) {
            size_t hit = match_among(n, s, i, i + 16);
            if (hit != TEXT_NONE) return hit;
        }
        if (i + 16 == end) return TEXT_NONE;
        i = i + 32 <= end ? i + 16 : end - 16;
    }
}

size_t needle_find(const struct needle *n, struct bytes s, size_t from, size_t *len)
{
    *len = n->text.len;
    if (from > s.len) return TEXT_NONE;
    if (n->text.len == 0) return from;
    if (!n->nocase || n->ascii) return find_fixed(n, s, from);
    for (size_t i = from; i < s.len; i++) {
        if ((s.p[i] & 0xc0) == 0x80) continue;
        size_t covered = match_here(n, bytes_of(s.p + i, s.len - i));
        if (covered != TEXT_NONE) {
            *len = covered;
            return i;
        }
    }
    return TEXT_NONE;
}

bool needle_starts(const struct needle *n, struct bytes s)
{
    return match_here(n, s) != TEXT_NONE;
}

bool needle_ends(const struct needle *n, struct bytes s)
{
    if (n->text.len == 0) return true;
    if (!n->nocase || n->ascii) {
        return s.len >= n->text.len &&
               match_here(n, bytes_of(s.p + s.len - n->text.len, n->text.len)) != TEXT_NONE;
    }
    size_t chars = utf8_count(n->text), have = utf8_count(s);
    if (have < chars) return false;
    size_t at = utf8_offset(s, have - chars);
    return match_here(n, bytes_of(s.p + at, s.len - at)) == s.len - at;
}

static bool starts_term(struct bytes s, size_t at)
{
    return at == 0 || !char_alnum(last_char(bytes_of(s.p, at)));
}

static bool ends_term(struct bytes s, size_t at)
{
    struct bytes rest = bytes_of(s.p + at, s.len - at);
    return rest.len == 0 || !char_alnum(utf8_next(&rest));
}

/* A needle that begins or ends with a separator has its boundary in itself. */
static bool find_term(const struct needle *n, struct bytes s, bool at_start, bool at_end)
{
    if (n->text.len == 0) return true;
    struct bytes front = n->text;
    at_start = at_start && char_alnum(utf8_next(&front));
    at_end = at_end && char_alnum(last_char(n->text));
    size_t len;
    for (size_t at = needle_find(n, s, 0, &len); at != TEXT_NONE;
         at = needle_find(n, s, at + 1, &len)) {
        if ((!at_start || starts_term(s, at)) && (!at_end || ends_term(s, at + len))) return true;
    }
    return false;
}

bool needle_term(const struct needle *n, struct bytes s)
{
    return find_term(n, s, true, true);
}

bool needle_term_prefix(const struct needle *n, struct bytes s)
{
    return find_term(n, s, true, false);
}

bool needle_term_suffix(const struct needle *n, struct bytes s)
{
    return find_term(n, s, false, true);
}
