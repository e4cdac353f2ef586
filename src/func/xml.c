/* SPDX-License-Identifier: Apache-2.0 */
/* func/xml.c - a small reader of XML */
#include "func/xml.h"

#include "base/map.h"
#include "column/scan.h"
#include "func/text.h"

#include <stdlib.h>

static bool starts(const struct rd *r, const char *s)
{
    size_t n = strlen(s);
    return rd_left(r) >= n && memcmp(r->p, s, n) == 0;
}

/* Steps behind the next occurrence of s. */
static bool skip_past(struct rd *r, const char *s)
{
    const uint8_t *hit = r->p < r->end ? memmem(r->p, rd_left(r), s, strlen(s)) : NULL;
    if (hit == NULL) return false;
    r->p = hit + strlen(s);
    return true;
}

/* Comments, instructions, <!DOCTYPE ...>. False: something open. */
static bool skip_noise(struct rd *r)
{
    while (true) {
        scan_spaces(r);
        if (starts(r, "<!--")) {
            if (!skip_past(r, "-->")) return false;
        } else if (starts(r, "<?")) {
            if (!skip_past(r, "?>")) return false;
        } else if (starts(r, "<!DOCTYPE")) {
            if (!skip_past(r, ">")) return false;
        } else {
            return true;
        }
    }
}

static struct bytes scan_name(struct rd *r)
{
    const uint8_t *from = r->p;
    while (r->p < r->end && (ch_alpha(*r->p) || ch_digit(*r->p) || *r->p >= 0x80 || *r->p == '_' ||
                             *r->p == ':' || *r->p == '-' || *r->p == '.'))
        r->p++;
    return bytes_of(from, (size_t)(r->p - from));
}

/* After '&'. */
static bool scan_entity(struct rd *r, struct buf *out)
{
    static const struct {
        const char *name;
        char c;
    } known[] = {{"lt;", '<'}, {"gt;", '>'}, {"amp;", '&'}, {"quot;", '"'}, {"apos;", '\''}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (!starts(r, known[i].name)) continue;
        r->p += strlen(known[i].name);
        buf_u8(out, (uint8_t)known[i].c);
        return true;
    }
    if (!scan_char(r, '#')) return false;
    bool hex = scan_char(r, 'x');
    uint32_t c = 0;
    for (int n = 0; r->p < r->end && *r->p != ';'; n++, r->p++) {
        uint8_t d = ch_lower(*r->p);
        if (n == 8 || !(ch_digit(d) || (hex && d >= 'a' && d <= 'f'))) return false;
        c = c * (hex ? 16 : 10) + (uint32_t)(ch_digit(d) ? d - '0' : d - 'a' + 10);
    }
    if (!scan_char(r, ';') || c == 0 || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) return false;
    utf8_put(out, c);
    return true;
}

/* Characters up to stop, which stays; entities are resolved. */
static bool scan_text(struct rd *r, uint8_t stop, struct buf *out)
{
    while (r->p < r->end && *r->p != stop) {
        if (scan_char(r, '&')) {
            if (!scan_entity(r, out)) return false;
        } else {
            buf_u8(out, *r->p++);
        }
    }
    return r->p < r->end;
}

/* Members of one element: their names and values lie in one buffer, found by offsets. */
struct member {
    size_t name, name_len, value, value_len;
};

struct members {
    struct buf text;
    struct member *list;
    uint32_t n, cap;
};

static void members_release(struct members *m)
{
    buf_release(&m->text);
    free(m->list);
}

static bool members_add(struct members *m, const char *prefix, struct bytes name,
                        struct bytes value)
{
    if (m->n == m->cap) {
        uint32_t cap = m->cap != 0 ? m->cap * 2 : 8;
        struct member *list = realloc(m->list, cap * sizeof *list);
        if (list == NULL) return false;
        m->list = list;
        m->cap = cap;
    }
    struct member *x = &m->list[m->n++];
    x->name = m->text.len;
    buf_str(&m->text, prefix);
    buf_bytes(&m->text, name);
    x->name_len = m->text.len - x->name;
    x->value = m->text.len;
    buf_bytes(&m->text, value);
    x->value_len = m->text.len - x->value;
    return !m->text.bad;
}

static void members_move_last(struct members *m, uint32_t to)
{
    struct member last = m->list[m->n - 1];
    memmove(m->list + to + 1, m->list + to, (m->n - 1 - to) * sizeof last);
    m->list[to] = last;
}

static struct bytes name_of(const struct members *m, uint32_t i)
{
    return bytes_of(m->text.p + m->list[i].name, m->list[i].name_len);
}

static struct bytes value_of(const struct members *m, uint32_t i)
{
    return bytes_of(m->text.p + m->list[i].value, m->list[i].value_len);
}

/* Chains the members of one name: next[i] is 1 + the one after i, 0 the end; first[i] says whether
 * i leads. */
static bool chain(const struct members *m, uint32_t *next, bool *first)
{
    CLEANUP_LOCAL(map_release) struct map last = {0};
    for (uint32_t i = 0; i < m->n; i++) {
        void *before;
        if (map_put(&last, name_of(m, i), &next[i], &before, NULL) != OK) return false;
        first[i] = before == NULL;
        if (before != NULL) *(uint32_t *)before = i + 1;
    }
    return true;
}

/* Those of one name become an array in the place of the first. */
static bool put_members(const struct members *m, struct buf *out)
{
    CLEANUP_FREE uint32_t *next = calloc(m->n + 1, sizeof *next);
    CLEANUP_FREE bool *first = calloc(m->n + 1, sizeof *first);
    if (next == NULL || first == NULL || !chain(m, next, first))
        return false; // NOLINT: the cleanup frees
    size_t at = dyn_bag_begin(out);
    uint32_t count = 0;
    for (uint32_t i = 0; i < m->n; i++) {
        if (!first[i]) continue;
        dyn_bag_name(out, name_of(m, i));
        count++;
        if (next[i] == 0) {
            buf_bytes(out, value_of(m, i));
            continue;
        }
        uint32_t same = 0;
        size_t list = dyn_array_begin(out);
        for (uint32_t k = i + 1; k != 0; k = next[k - 1], same++)
            buf_bytes(out, value_of(m, k - 1));
        dyn_array_end(out, list, same);
    }
    dyn_bag_end(out, at, count);
    return !out->bad;
}

static void put_string(struct bytes s, struct buf *out)
{
    buf_u8(out, 's');
    buf_blob(out, s);
}

static bool scan_attributes(struct rd *r, struct members *m)
{
    CLEANUP_BUF struct buf value = {0}, dyn = {0};
    while (true) {
        scan_spaces(r);
        if (r->p == r->end) return false;
        if (*r->p == '>' || *r->p == '/') return true;
        struct bytes name = scan_name(r);
        scan_spaces(r);
        if (name.len == 0 || !scan_char(r, '=')) return false;
        scan_spaces(r);
        uint8_t quote = r->p < r->end ? *r->p++ : 0;
        buf_clear(&value);
        buf_clear(&dyn);
        if ((quote != '"' && quote != '\'') || !scan_text(r, quote, &value)) return false;
        r->p++;
        put_string(buf_view(&value), &dyn);
        if (!members_add(m, "@", name, buf_view(&dyn))) return false;
    }
}

static bool scan_element(struct rd *r, int depth, struct bytes *name, struct buf *out);

/* Between the tags: text and elements. *text_at is how many members stand before the text. */
static bool scan_content(struct rd *r, int depth, struct bytes tag, struct members *m,
                         struct buf *text, uint32_t *text_at)
{
    CLEANUP_BUF struct buf value = {0};
    while (true) {
        if (bytes_trim(buf_view(text)).len == 0) *text_at = m->n;
        if (!scan_text(r, '<', text)) return false;
        if (starts(r, "<![CDATA[")) {
            const uint8_t *from = r->p + 9;
            if (!skip_past(r, "]]>")) return false;
            buf_bytes(text, bytes_of(from, (size_t)(r->p - 3 - from)));
        } else if (starts(r, "<!--") || starts(r, "<?")) {
            if (!skip_past(r, r->p[1] == '?' ? "?>" : "-->")) return false;
        } else if (starts(r, "</")) {
            r->p += 2;
            if (!bytes_eq(scan_name(r), tag)) return false;
            scan_spaces(r);
            return scan_char(r, '>');
        } else {
            struct bytes name;
            buf_clear(&value);
            if (!scan_element(r, depth + 1, &name, &value) ||
                !members_add(m, "", name, buf_view(&value)))
                return false;
        }
    }
}

static bool scan_element(struct rd *r, int depth, struct bytes *name, struct buf *out)
{
    CLEANUP_LOCAL(members_release) struct members m = {0};
    CLEANUP_BUF struct buf text = {0}, dyn = {0};
    uint32_t text_at = 0;
    /* Each level of XML may add two of dynamic: the bag and an array around it. */
    if (depth >= DYN_DEPTH_MAX / 2 - 1 || !scan_char(r, '<')) return false;
    *name = scan_name(r);
    if (name->len == 0 || !scan_attributes(r, &m)) return false;
    if (scan_char(r, '/')) {
        if (!scan_char(r, '>')) return false;
    } else if (!scan_char(r, '>') || !scan_content(r, depth, *name, &m, &text, &text_at)) {
        return false;
    }
    struct bytes s = bytes_trim(buf_view(&text));
    if (m.n == 0) {
        if (s.len == 0) {
            buf_u8(out, 'n');
        } else {
            put_string(buf_view(&text), out);
        }
        return !out->bad;
    }
    if (s.len != 0) {
        put_string(s, &dyn);
        if (!members_add(&m, "", BYTES("#text"), buf_view(&dyn))) return false;
        members_move_last(&m, text_at);
    }
    return put_members(&m, out);
}

bool xml_to_dyn(struct bytes text, struct buf *out)
{
    CLEANUP_BUF struct buf value = {0};
    struct rd r = rd_from(text);
    struct bytes name;
    if (text.len > XML_TEXT_MAX) return false;
    if (rd_left(&r) >= 3 && memcmp(r.p, "\xef\xbb\xbf", 3) == 0) r.p += 3;
    if (!skip_noise(&r) || !scan_element(&r, 0, &name, &value)) return false;
    if (!skip_noise(&r) || r.p != r.end) return false;
    size_t at = dyn_bag_begin(out);
    dyn_bag_name(out, name);
    buf_bytes(out, buf_view(&value));
    dyn_bag_end(out, at, 1);
    return !out->bad;
}
