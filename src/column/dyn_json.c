/* SPDX-License-Identifier: Apache-2.0 */
/*
 * column/dyn_json.c - JSON text to dynamic and back, without recursion
 *
 * Strict RFC 8259. A number without point and exponent that fits is a long, any other a real. Text
 * that is deeper than DYN_DEPTH_MAX is not read as JSON: it stays a string.
 */
#include "base/str.h"
#include "column/dyn.h"
#include "column/scan.h"

#include <math.h>

/* --- reading ---------------------------------------------------------------------------------- */

static void put_utf8(struct buf *out, uint32_t c)
{
    if (c < 0x80) {
        buf_u8(out, (uint8_t)c);
    } else if (c < 0x800) {
        buf_u8(out, (uint8_t)(0xc0 | c >> 6));
        buf_u8(out, (uint8_t)(0x80 | (c & 0x3f)));
    } else if (c < 0x10000) {
        buf_u8(out, (uint8_t)(0xe0 | c >> 12));
        buf_u8(out, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
        buf_u8(out, (uint8_t)(0x80 | (c & 0x3f)));
    } else {
        buf_u8(out, (uint8_t)(0xf0 | c >> 18));
        buf_u8(out, (uint8_t)(0x80 | (c >> 12 & 0x3f)));
        buf_u8(out, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
        buf_u8(out, (uint8_t)(0x80 | (c & 0x3f)));
    }
}

static bool scan_hex4(struct rd *r, uint32_t *out)
{
    struct bytes h = rd_bytes(r, 4);
    uint32_t v = 0;
    for (size_t i = 0; i < h.len; i++) {
        uint8_t c = ch_lower(h.p[i]);
        if (!ch_digit(c) && (c < 'a' || c > 'f')) return false;
        v = v << 4 | (uint32_t)(ch_digit(c) ? c - '0' : c - 'a' + 10);
    }
    *out = v;
    return !r->bad;
}

/* After the u of \uXXXX. Half a surrogate pair becomes U+FFFD. */
static bool scan_unicode(struct rd *r, struct buf *out)
{
    uint32_t c, low;
    if (!scan_hex4(r, &c)) return false;
    if (c >= 0xd800 && c <= 0xdbff) {
        struct rd ahead = *r;
        if (scan_char(&ahead, '\\') && scan_char(&ahead, 'u') && scan_hex4(&ahead, &low) &&
            low >= 0xdc00 && low <= 0xdfff) {
            *r = ahead;
            c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        }
    }
    put_utf8(out, c >= 0xd800 && c <= 0xdfff ? 0xfffd : c);
    return true;
}

static bool scan_escape(struct rd *r, struct buf *out)
{
    uint8_t c = rd_u8(r);
    switch (c) {
    case '"':
    case '\\':
    case '/': buf_u8(out, c); return !r->bad;
    case 'b': buf_u8(out, '\b'); return true;
    case 'f': buf_u8(out, '\f'); return true;
    case 'n': buf_u8(out, '\n'); return true;
    case 'r': buf_u8(out, '\r'); return true;
    case 't': buf_u8(out, '\t'); return true;
    case 'u': return scan_unicode(r, out);
    default: return false;
    }
}

/* A string after its opening quote, written as u32 length and bytes. */
static bool scan_string(struct rd *r, struct buf *out)
{
    size_t at = out->len;
    buf_u32(out, 0);
    while (true) {
        const uint8_t *from = r->p;
        while (r->p < r->end && *r->p != '"' && *r->p != '\\' && *r->p >= 0x20)
            r->p++;
        buf_bytes(out, bytes_of(from, (size_t)(r->p - from)));
        if (scan_char(r, '"')) break;
        if (!scan_char(r, '\\') || !scan_escape(r, out)) return false;
    }
    if (out->bad) return false;
    uint32_t len = (uint32_t)(out->len - at - 4);
    for (int i = 0; i < 4; i++)
        out->p[at + (size_t)i] = (uint8_t)(len >> (8 * i));
    return true;
}

static bool scan_number(struct rd *r, struct buf *out)
{
    const uint8_t *from = r->p;
    (void)scan_char(r, '-');
    const uint8_t *digits = r->p;
    while (r->p < r->end && ch_digit(*r->p))
        r->p++;
    if (r->p == digits || (*digits == '0' && r->p - digits > 1)) return false;
    bool whole = true;
    if (scan_char(r, '.')) {
        whole = false;
        if (r->p == r->end || !ch_digit(*r->p)) return false;
        while (r->p < r->end && ch_digit(*r->p))
            r->p++;
    }
    if (scan_char(r, 'e') || scan_char(r, 'E')) {
        whole = false;
        if (!scan_char(r, '+')) (void)scan_char(r, '-');
        if (r->p == r->end || !ch_digit(*r->p)) return false;
        while (r->p < r->end && ch_digit(*r->p))
            r->p++;
    }
    struct bytes text = bytes_of(from, (size_t)(r->p - from));
    struct value v = {.type = T_LONG};
    if (!whole || !long_parse(text, &v.i)) {
        v.type = T_REAL;
        if (!real_parse(text, &v.r)) return false;
    }
    return dyn_from_value(&v, out, NULL) == OK;
}

static bool scan_literal(struct rd *r, const char *text)
{
    size_t n = strlen(text);
    if (rd_left(r) < n || memcmp(r->p, text, n) != 0) return false;
    r->p += n;
    return true;
}

static bool scan_scalar(struct rd *r, struct buf *out)
{
    if (scan_char(r, '"')) {
        buf_u8(out, 's');
        return scan_string(r, out);
    }
    if (scan_literal(r, "true")) {
        buf_u8(out, 't');
    } else if (scan_literal(r, "false")) {
        buf_u8(out, 'f');
    } else if (scan_literal(r, "null")) {
        buf_u8(out, 'n');
    } else {
        return scan_number(r, out);
    }
    return true;
}

struct open_list {
    size_t at;
    uint32_t count;
    bool is_bag;
};

static bool scan_name(struct rd *r, struct buf *out)
{
    scan_spaces(r);
    if (!scan_char(r, '"') || !scan_string(r, out)) return false;
    scan_spaces(r);
    return scan_char(r, ':');
}

/* Closes what ends here and steps to the next member. False: not JSON. *done: the outermost is
 * closed. */
static bool scan_after_value(struct rd *r, struct buf *out, struct open_list *stack, int *depth,
                             bool *done)
{
    while (*depth > 0) {
        struct open_list *l = &stack[*depth - 1];
        l->count++;
        scan_spaces(r);
        if (scan_char(r, ',')) return !l->is_bag || scan_name(r, out);
        if (!scan_char(r, l->is_bag ? '}' : ']')) return false;
        dyn_array_end(out, l->at, l->count);
        --*depth;
    }
    *done = true;
    return true;
}

static bool scan_json(struct rd *r, struct buf *out)
{
    struct open_list stack[DYN_DEPTH_MAX - 1];
    int depth = 0;
    bool done = false;
    while (!done) {
        scan_spaces(r);
        bool is_bag = scan_char(r, '{');
        if (is_bag || scan_char(r, '[')) {
            if (depth == DYN_DEPTH_MAX - 1) return false;
            size_t at = is_bag ? dyn_bag_begin(out) : dyn_array_begin(out);
            scan_spaces(r);
            if (!scan_char(r, is_bag ? '}' : ']')) {
                stack[depth++] = (struct open_list){.at = at, .is_bag = is_bag};
                if (is_bag && !scan_name(r, out)) return false;
                continue;
            }
            dyn_array_end(out, at, 0);
        } else if (!scan_scalar(r, out)) {
            return false;
        }
        if (!scan_after_value(r, out, stack, &depth, &done)) return false;
    }
    scan_spaces(r);
    return rd_done(r);
}

enum err dyn_from_json(struct bytes text, struct buf *out, struct diag *d)
{
    size_t from = out->len;
    struct rd r = rd_from(text);
    if (scan_json(&r, out)) return buf_check(out, d);
    if (out->bad) return buf_check(out, d);
    buf_shrink(out, from);
    struct value v = {.type = T_STRING, .s = text};
    return dyn_from_value(&v, out, d);
}

/* --- writing ---------------------------------------------------------------------------------- */

static void write_string(struct bytes s, struct buf *out)
{
    buf_u8(out, '"');
    size_t from = 0;
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.p[i];
        if (c >= 0x20 && c != '"' && c != '\\') continue;
        buf_bytes(out, bytes_of(s.p + from, i - from));
        from = i + 1;
        switch (c) {
        case '"': buf_str(out, "\\\""); break;
        case '\\': buf_str(out, "\\\\"); break;
        case '\b': buf_str(out, "\\b"); break;
        case '\f': buf_str(out, "\\f"); break;
        case '\n': buf_str(out, "\\n"); break;
        case '\r': buf_str(out, "\\r"); break;
        case '\t': buf_str(out, "\\t"); break;
        default: buf_fmt(out, "\\u%04x", c); break;
        }
    }
    buf_bytes(out, bytes_of(s.p + from, s.len - from));
    buf_u8(out, '"');
}

/* A scalar's text without quotes. */
static void write_plain(const struct value *v, struct buf *out)
{
    char guid[GUID_TEXT_MAX];
    struct guid g;
    switch (v->type) {
    case T_BOOL: buf_str(out, v->b ? "true" : "false"); break;
    case T_LONG: buf_fmt(out, "%lld", (long long)v->i); break;
    case T_REAL: real_format(v->r, out); break;
    case T_DATETIME: datetime_format(v->i, out); break;
    case T_TIMESPAN: timespan_format(v->i, out); break;
    case T_DECIMAL: decimal_format(&v->u, out); break;
    case T_STRING: buf_bytes(out, v->s); break;
    case T_GUID:
        memcpy(g.b, v->u.b, sizeof g.b);
        guid_format(&g, guid);
        buf_str(out, guid);
        break;
    default: break;
    }
}

static void write_scalar(struct bytes dyn, struct buf *out)
{
    struct value v = dyn_scalar(dyn);
    if (v.is_null) {
        buf_str(out, "null");
    } else if (v.type == T_STRING) {
        write_string(v.s, out);
    } else {
        bool quoted = v.type != T_BOOL && v.type != T_LONG && (v.type != T_REAL || !isfinite(v.r));
        if (quoted) buf_u8(out, '"');
        write_plain(&v, out);
        if (quoted) buf_u8(out, '"');
    }
}

void dyn_to_json(struct bytes dyn, struct buf *out)
{
    struct dyn_iter stack[DYN_DEPTH_MAX];
    int depth = 0;
    bool first = true;
    if (!dyn_iter_init(&stack[0], dyn)) {
        write_scalar(dyn, out);
        return;
    }
    buf_u8(out, stack[0].is_bag ? '{' : '[');
    while (true) {
        struct bytes name, value;
        if (!dyn_iter_next(&stack[depth], &name, &value)) {
            buf_u8(out, stack[depth].is_bag ? '}' : ']');
            if (depth-- == 0) return;
            first = false;
            continue;
        }
        if (!first) buf_u8(out, ',');
        first = false;
        if (stack[depth].is_bag) {
            write_string(name, out);
            buf_u8(out, ':');
        }
        enum dyn_kind kind = dyn_kind(value);
        if ((kind == DYN_ARRAY || kind == DYN_BAG) && depth + 1 < DYN_DEPTH_MAX) {
            (void)dyn_iter_init(&stack[++depth], value);
            buf_u8(out, kind == DYN_BAG ? '{' : '[');
            first = true;
        } else {
            write_scalar(value, out);
        }
    }
}

void dyn_to_string(struct bytes dyn, struct buf *out)
{
    enum dyn_kind kind = dyn_kind(dyn);
    if (kind == DYN_ARRAY || kind == DYN_BAG) {
        dyn_to_json(dyn, out);
        return;
    }
    struct value v = dyn_scalar(dyn);
    if (!v.is_null) write_plain(&v, out);
}
