/* SPDX-License-Identifier: Apache-2.0 */
/* func/needle.c - looking for a text in texts: anywhere, at the ends, as a term */
#include "func/needle.h"

#include "base/arena.h"

struct needle needle_exact(struct bytes text)
{
    struct needle n = {.text = text, .fixed = true};
    if (text.len != 0) n.probe = probe_of(text, false);
    return n;
}

bool needle_init(struct needle *n, struct bytes text, bool nocase, struct arena *a)
{
    *n = needle_exact(text);
    if (!nocase || text.len == 0) return true;
    CLEANUP_BUF struct buf folded = {0};
    text_fold(text, &folded);
    n->text = arena_bytes(a, buf_view(&folded));
    if (folded.bad || n->text.p == NULL) return false;
    n->nocase = true;
    n->fixed = text_ascii(n->text);
    n->probe = probe_of(n->text, true);
    return true;
}

/* --- in one text ------------------------------------------------------------------------------ */

/* How many bytes of s the folded needle covers at its front; TEXT_NONE: it does not match there. */
static size_t match_here(const struct needle *n, struct bytes s)
{
    if (n->fixed && s.len < n->text.len) return TEXT_NONE;
    if (!n->nocase) return memcmp(s.p, n->text.p, n->text.len) == 0 ? n->text.len : TEXT_NONE;
    if (n->fixed) {
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

static size_t find_fixed(const struct needle *n, struct bytes s, size_t from)
{
    if (s.len < n->text.len || from > s.len - n->text.len) return TEXT_NONE;
    const uint8_t *end = s.p + (s.len - n->text.len) + 1; /* behind the places where it may begin */
    for (const uint8_t *p = s.p + from; (p = probe_find(&n->probe, p, end)) != NULL; p++) {
        if (match_here(n, bytes_of(p, n->text.len)) != TEXT_NONE) return (size_t)(p - s.p);
    }
    return TEXT_NONE;
}

size_t needle_find(const struct needle *n, struct bytes s, size_t from, size_t *len)
{
    *len = n->text.len;
    if (from > s.len) return TEXT_NONE;
    if (n->text.len == 0) return from;
    if (n->fixed) return find_fixed(n, s, from);
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
    return n->text.len == 0 || match_here(n, s) != TEXT_NONE;
}

bool needle_ends(const struct needle *n, struct bytes s)
{
    if (n->text.len == 0) return true;
    if (n->fixed) {
        return s.len >= n->text.len &&
               match_here(n, bytes_of(s.p + s.len - n->text.len, n->text.len)) != TEXT_NONE;
    }
    size_t chars = utf8_count(n->text), have = utf8_count(s);
    if (have < chars) return false;
    size_t at = utf8_offset(s, have - chars);
    return match_here(n, bytes_of(s.p + at, s.len - at)) == s.len - at;
}

/* --- terms ------------------------------------------------------------------------------------ */

static bool starts_term(struct bytes s, size_t at)
{
    return at == 0 || !char_alnum(utf8_last(bytes_of(s.p, at)));
}

static bool ends_term(struct bytes s, size_t at)
{
    struct bytes rest = bytes_of(s.p + at, s.len - at);
    return rest.len == 0 || !char_alnum(utf8_next(&rest));
}

/* A needle that begins or ends with a separator has its boundary in itself. */
static enum needle_bounds bounds_of(const struct needle *n, enum needle_bounds wanted)
{
    struct bytes front = n->text;
    if (n->text.len == 0) return BOUND_NONE;
    if (!char_alnum(utf8_next(&front))) wanted &= ~(unsigned)BOUND_START;
    if (!char_alnum(utf8_last(n->text))) wanted &= ~(unsigned)BOUND_END;
    return wanted;
}

static bool is_bounded(struct bytes s, size_t at, size_t len, enum needle_bounds b)
{
    return ((b & BOUND_START) == 0 || starts_term(s, at)) &&
           ((b & BOUND_END) == 0 || ends_term(s, at + len));
}

static bool stands_in(const struct needle *n, struct bytes s, size_t from, enum needle_bounds b)
{
    size_t len;
    for (size_t at = needle_find(n, s, from, &len); at != TEXT_NONE;
         at = needle_find(n, s, at + 1, &len)) {
        if (is_bounded(s, at, len, b)) return true;
    }
    return false;
}

bool needle_bounded(const struct needle *n, struct bytes s, enum needle_bounds b)
{
    return stands_in(n, s, 0, bounds_of(n, b));
}

/* --- in many texts ---------------------------------------------------------------------------- */

static void extend_run(struct needle_rows *r)
{
    const struct bytes *rows = r->rows;
    uint32_t k = r->next + 1;
    if (r->packed) k = r->n_rows;
    while (k < r->n_rows && (uintptr_t)rows[k].p == (uintptr_t)rows[k - 1].p + rows[k - 1].len)
        k++;
    uintptr_t end = (uintptr_t)rows[k - 1].p + rows[k - 1].len; /* an empty text may be nowhere */
    r->run_end = k;
    r->row_len = (end - (uintptr_t)rows[r->next].p) / (k - r->next) + 1;
}

/* The row of the run, r->next or behind it, in which the byte at p lies: the last that begins no
 * later. Looked for from where it would be if all rows were as long as the average: rows are far from
 * any cache, and each look at one waits for memory. */
static uint32_t row_of(const struct needle_rows *r, const uint8_t *p)
{
    const struct bytes *rows = r->rows;
    size_t ahead = (size_t)(p - rows[r->next].p) / r->row_len;
    uint32_t left = r->run_end - r->next, high = r->run_end, step = 1;
    uint32_t low = r->next + (ahead < left ? (uint32_t)ahead : left - 1);
    if (rows[low].p <= p) {
        for (; step < high - low && rows[low + step].p <= p; step *= 2)
            low += step;
        if (step < high - low) high = low + step;
    } else {
        for (; rows[low].p > p; step *= 2) {
            high = low;
            low = low - r->next > step ? low - step : r->next;
        }
    }
    while (high - low > 1) { /* rows[low] begins no later, rows[high] later, or it is the end */
        uint32_t mid = low + (high - low) / 2;
        if (rows[mid].p <= p)
            low = mid;
        else
            high = mid;
    }
    return low;
}

/* The first row of the run, from next on, in which the needle stands: *from is where. False: next is
 * behind the run. */
static bool next_candidate(struct needle_rows *r, size_t *from)
{
    const struct bytes *rows = r->rows, *last = &rows[r->run_end - 1];
    size_t len = r->needle->text.len;
    while (r->next < r->run_end && rows[r->next].len == 0) /* may be NULL */
        r->next++;
    if (r->next == r->run_end) return false;
    const uint8_t *p = rows[r->next].p, *end = last->p + last->len;
    while ((size_t)(end - p) >= len &&
           (p = probe_find(&r->needle->probe, p, end - len + 1)) != NULL) {
        if (match_here(r->needle, bytes_of(p, len)) != TEXT_NONE) {
            r->next = row_of(r, p);
            *from = (size_t)(p - rows[r->next].p);
            if (*from + len <= rows[r->next].len) return true;
        }
        p++; /* something else, or it begins in one row and ends in another */
    }
    r->next = r->run_end;
    return false;
}

bool needle_rows_next(struct needle_rows *r, uint32_t *row)
{
    enum needle_bounds b = bounds_of(r->needle, r->bounds);
    bool by_run = r->needle->fixed && r->needle->text.len != 0;
    while (r->next < r->n_rows) {
        size_t from = 0;
        if (by_run && r->run_end <= r->next) extend_run(r);
        if (by_run && !next_candidate(r, &from)) continue;
        *row = r->next++;
        if (stands_in(r->needle, r->rows[*row], from, b)) return true;
    }
    return false;
}
