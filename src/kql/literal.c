/* SPDX-License-Identifier: Apache-2.0 */
/* kql/literal.c - the value of a literal: strings with their escapes, numbers, datetime(...),
 * dynamic(...) */
#include "kql/parse.h"

#include "base/str.h"
#include "column/dyn.h"
#include "kql/kql.h"

#include <math.h>

#define INVALID(p, t, ...) FAIL_TAG(diag_at((p)->d, (t)->pos), ERR_INVALID, "SYN0002", __VA_ARGS__)

/* --- strings ---------------------------------------------------------------------------------- */

static void put_utf8(struct buf *out, uint32_t c)
{
    if (c < 0x80) {
        buf_u8(out, (uint8_t)c);
    } else if (c < 0x800) {
        buf_u8(out, (uint8_t)(0xC0 | c >> 6));
        buf_u8(out, (uint8_t)(0x80 | (c & 0x3F)));
    } else if (c < 0x10000) {
        buf_u8(out, (uint8_t)(0xE0 | c >> 12));
        buf_u8(out, (uint8_t)(0x80 | (c >> 6 & 0x3F)));
        buf_u8(out, (uint8_t)(0x80 | (c & 0x3F)));
    } else {
        buf_u8(out, (uint8_t)(0xF0 | c >> 18));
        buf_u8(out, (uint8_t)(0x80 | (c >> 12 & 0x3F)));
        buf_u8(out, (uint8_t)(0x80 | (c >> 6 & 0x3F)));
        buf_u8(out, (uint8_t)(0x80 | (c & 0x3F)));
    }
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Exactly n hexadecimal digits. */
static bool read_hex(struct rd *r, unsigned n, uint32_t *out)
{
    uint32_t v = 0;
    for (unsigned i = 0; i < n; i++) {
        int h = rd_left(r) > 0 ? hex_digit(*r->p) : -1;
        if (h < 0) return false;
        v = v << 4 | (uint32_t)h;
        r->p++;
    }
    *out = v;
    return true;
}

static uint32_t read_octal(struct rd *r, uint8_t first)
{
    uint32_t v = (uint32_t)(first - '0');
    for (int i = 0; i < 2 && rd_left(r) > 0 && *r->p >= '0' && *r->p <= '7'; i++) {
        if (v * 8 + (uint32_t)(*r->p - '0') > 0xFF) break;
        v = v * 8 + (uint32_t)(*r->p++ - '0');
    }
    return v;
}

/* A pair of \u escapes may be one character of UTF-16. */
static bool read_utf16(struct rd *r, uint32_t *c)
{
    if (!read_hex(r, 4, c)) return false;
    if (*c < 0xD800 || *c > 0xDFFF) return true;
    uint32_t low;
    if (*c > 0xDBFF || rd_left(r) < 6 || r->p[0] != '\\' || r->p[1] != 'u') return false;
    r->p += 2;
    if (!read_hex(r, 4, &low) || low < 0xDC00 || low > 0xDFFF) return false;
    *c = 0x10000 + ((*c - 0xD800) << 10) + (low - 0xDC00);
    return true;
}

/* After the backslash. */
static bool read_escape(struct rd *r, struct buf *out)
{
    static const char from[] = "abfnrtv\\'\"", to[] = "\a\b\f\n\r\t\v\\'\"";
    if (rd_left(r) == 0) return false;
    uint8_t e = *r->p++;
    uint32_t c;
    const char *known = e != 0 ? strchr(from, e) : NULL;
    if (known != NULL) {
        c = (uint8_t)to[known - from];
    } else if (e == 'u') {
        if (!read_utf16(r, &c)) return false;
    } else if (e == 'U') {
        if (!read_hex(r, 8, &c) || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) return false;
    } else if (e == 'x') {
        if (!read_hex(r, 2, &c)) return false;
    } else if (e >= '0' && e <= '7') {
        c = read_octal(r, e);
    } else {
        return false;
    }
    put_utf8(out, c);
    return true;
}

enum err literal_string(struct parser *p, const struct token *t, struct buf *out)
{
    struct bytes s = tok_text(p, t);
    if (s.p[0] == 'h' || s.p[0] == 'H') s = bytes_of(s.p + 1, s.len - 1);
    bool verbatim = s.p[0] == '@';
    if (verbatim) s = bytes_of(s.p + 1, s.len - 1);
    uint8_t quote = s.p[0];
    if (quote == '`' || quote == '~') {
        buf_bytes(out, bytes_of(s.p + 3, s.len - 6));
        return buf_check(out, p->d);
    }
    struct rd r = rd_from(bytes_of(s.p + 1, s.len - 2));
    while (rd_left(&r) > 0) {
        uint8_t c = *r.p++;
        if (c == '\\' && !verbatim) {
            if (!read_escape(&r, out)) {
                return INVALID(p, t,
                               "the string has an unknown escape; write \\\\ for a backslash");
            }
            continue;
        }
        if (c == quote && verbatim) r.p++; /* doubled */
        buf_u8(out, c);
    }
    return buf_check(out, p->d);
}

/* --- numbers and time spans ------------------------------------------------------------------- */

static int64_t unit_ticks(struct bytes unit, bool *is_nano)
{
    static const struct {
        const char *prefix;
        int64_t ticks;
    } units[] = {
        /* By first match: "ms" and "mi..." before "m", "d" for all that begins so. */
        {"milli", 10000},
        {"micro", 10},
        {"ms", 10000},
        {"us", 10},
        {"nano", 0},
        {"tick", 1},
        {"m", 60 * TICKS_PER_S},
        {"s", TICKS_PER_S},
        {"h", 3600 * TICKS_PER_S},
        {"d", 86400 * TICKS_PER_S},
    };
    *is_nano = false;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        size_t n = strlen(units[i].prefix);
        if (unit.len < n || memcmp(unit.p, units[i].prefix, n) != 0) continue;
        *is_nano = units[i].ticks == 0;
        return units[i].ticks;
    }
    return 0;
}

static bool is_digit_or_dot(uint8_t c)
{
    return (c >= '0' && c <= '9') || c == '.';
}

static enum err literal_timespan(struct parser *p, const struct token *t, struct value *out)
{
    struct bytes s = tok_text(p, t);
    size_t digits = 0;
    while (digits < s.len && is_digit_or_dot(s.p[digits]))
        digits++;
    struct bytes number = bytes_of(s.p, digits);

    bool is_nano;
    int64_t unit = unit_ticks(bytes_of(s.p + digits, s.len - digits), &is_nano);
    int64_t whole;
    double part;
    *out = (struct value){.type = T_TIMESPAN};
    if (memchr(number.p, '.', number.len) == NULL && long_parse(number, &whole)) {
        if (is_nano) {
            out->i = whole / 100;
            return OK;
        }
        if (!__builtin_mul_overflow(whole, unit, &out->i)) return OK;
    } else if (real_parse(number, &part)) {
        double ticks = is_nano ? part / 100 : part * (double)unit;
        if (fabs(ticks) < 9.2e18) {
            out->i = (int64_t)llround(ticks);
            return OK;
        }
    }
    return INVALID(p, t, "the time span is out of range");
}

enum err literal_number(struct parser *p, const struct token *t, struct value *out)
{
    if (t->kind == TOK_TIMESPAN) return literal_timespan(p, t, out);
    struct bytes s = tok_text(p, t);
    if (t->kind == TOK_LONG) {
        *out = (struct value){.type = T_LONG};
        if (long_parse(s, &out->i)) return OK;
        return INVALID(p, t, "the number does not fit into a long");
    }
    *out = (struct value){.type = T_REAL};
    if (s.len > 0 && s.p[s.len - 1] == '.') s.len--;
    if (real_parse(s, &out->r)) return OK;
    return INVALID(p, t, "the number cannot be read as a real");
}

/* --- long(1), datetime(2020-01-01) ... -------------------------------------------------------- */

static struct bytes trimmed(struct bytes s)
{
    while (s.len > 0 && s.p[0] <= ' ')
        s = bytes_of(s.p + 1, s.len - 1);
    while (s.len > 0 && s.p[s.len - 1] <= ' ')
        s.len--;
    bool quoted = s.len >= 2 && (s.p[0] == '"' || s.p[0] == '\'') && s.p[s.len - 1] == s.p[0];
    return quoted ? bytes_of(s.p + 1, s.len - 2) : s;
}

static bool is_text(struct bytes s, const char *text)
{
    return s.len == strlen(text) && strncasecmp((const char *)s.p, text, s.len) == 0;
}

static bool read_bool(struct bytes s, bool *out)
{
    *out = is_text(s, "true") || is_text(s, "1");
    return *out || is_text(s, "false") || is_text(s, "0");
}

static bool read_typed(enum type type, struct bytes s, struct value *v)
{
    switch (type) {
    case T_BOOL: return read_bool(s, &v->b);
    case T_INT: return long_parse(s, &v->i) && v->i >= INT32_MIN && v->i <= INT32_MAX;
    case T_LONG: return long_parse(s, &v->i);
    case T_REAL: return real_parse(s, &v->r);
    case T_DECIMAL: return decimal_parse(s, &v->u);
    case T_DATETIME: return datetime_parse(s, &v->i);
    case T_TIMESPAN: return timespan_parse(s, &v->i);
    case T_GUID: return guid_text_parse(s, &v->u);
    default: return false;
    }
}

enum err literal_typed(struct parser *p, const struct token *t, struct value *out)
{
    struct bytes all = tok_text(p, t);
    const char *name = arena_str(p->a, bytes_of(all.p, t->name_len));
    if (name == NULL) return arena_full(p->a, p->d);
    enum type type;
    TRY(type_parse(name, &type, p->d));

    const uint8_t *open = memchr(all.p, '(', all.len);
    struct bytes s = trimmed(bytes_of(open + 1, (size_t)(all.p + all.len - 1 - (open + 1))));
    if (s.len > 2 && s.p[0] == '{' && s.p[s.len - 1] == '}' && type != T_GUID) {
        return INVALID(p, t, "the client parameter %.*s was not filled in",
                       (int)(s.len < 80 ? s.len : 80), s.p);
    }
    struct value v = {.type = type,
                      .is_null = is_text(s, "null") || (s.len == 0 && type != T_STRING)};
    if (v.is_null && type == T_STRING) {
        v = (struct value){.type = T_STRING};
    } else if (!v.is_null && !read_typed(type, s, &v)) {
        return INVALID(p, t, "'%.*s' is not a %s", (int)(s.len < 80 ? s.len : 80), s.p,
                       type_name(type));
    }
    *out = v;
    return OK;
}

/* --- dynamic([1, {"a": 2}]) ------------------------------------------------------------------- */

static enum err dynamic_value(struct parser *p, struct buf *out, int depth);

static enum err dynamic_array(struct parser *p, struct buf *out, int depth)
{
    size_t at = dyn_array_begin(out);
    uint32_t count = 0;
    TRY(expect(p, "["));
    bool more = !at_token(p, "]");
    while (more) {
        TRY(dynamic_value(p, out, depth + 1));
        count++;
        more = accept(p, ",");
    }
    TRY(expect(p, "]"));
    dyn_array_end(out, at, count);
    return OK;
}

static enum err dynamic_bag(struct parser *p, struct buf *out, int depth)
{
    size_t at = dyn_bag_begin(out);
    uint32_t count = 0;
    TRY(expect(p, "{"));
    bool more = !at_token(p, "}");
    while (more) {
        if (tok(p)->kind != TOK_STRING) return expected(p, "a property name in quotes");
        CLEANUP_BUF struct buf name = {0};
        TRY(literal_string(p, tok(p), &name));
        p->at++;
        TRY(expect(p, ":"));
        dyn_bag_name(out, buf_view(&name));
        TRY(dynamic_value(p, out, depth + 1));
        count++;
        more = accept(p, ",");
    }
    TRY(expect(p, "}"));
    dyn_bag_end(out, at, count);
    return OK;
}

/* JSON's numbers beyond 64 bits are reals. */
static enum err dynamic_number(struct parser *p, bool negative, struct value *v)
{
    const struct token *t = tok(p);
    if (t->kind == TOK_LONG && !long_parse(tok_text(p, t), &v->i)) {
        *v = (struct value){.type = T_REAL};
        if (!real_parse(tok_text(p, t), &v->r)) return expected(p, "a number");
    } else {
        TRY(literal_number(p, t, v));
    }
    if (negative && v->type == T_REAL) {
        v->r = -v->r;
    } else if (negative) {
        v->i = -v->i;
    }
    return OK;
}

static enum err dynamic_scalar(struct parser *p, struct buf *out)
{
    bool negative = accept(p, "-");
    if (!negative) (void)accept(p, "+");
    const struct token *t = tok(p);
    struct value v = {.type = T_DYNAMIC, .is_null = true};
    CLEANUP_BUF struct buf text = {0};

    if (t->kind == TOK_LONG || t->kind == TOK_REAL || t->kind == TOK_TIMESPAN) {
        TRY(dynamic_number(p, negative, &v));
    } else if (negative) {
        return expected(p, "a number");
    } else if (t->kind == TOK_TYPED) {
        TRY(literal_typed(p, t, &v));
    } else if (t->kind == TOK_STRING) {
        TRY(literal_string(p, t, &text));
        while (tok_ahead(p, 1)->kind == TOK_STRING) {
            p->at++;
            TRY(literal_string(p, tok(p), &text));
        }
        v = (struct value){.type = T_STRING, .s = buf_view(&text)};
    } else if (at_token(p, "true") || at_token(p, "false")) {
        v = (struct value){.type = T_BOOL, .b = at_token(p, "true")};
    } else if (!at_token(p, "null")) {
        return expected(p, "a value of JSON or a literal");
    }
    p->at++;
    return dyn_from_value(&v, out, p->d);
}

static enum err dynamic_value(struct parser *p, struct buf *out, int depth)
{
    if (depth > DYN_DEPTH_MAX) {
        return FAIL(diag_at(p->d, tok(p)->pos), ERR_LIMIT, "a dynamic is nested more than %d deep",
                    DYN_DEPTH_MAX);
    }
    if (at_token(p, "[")) return dynamic_array(p, out, depth);
    if (at_token(p, "{")) return dynamic_bag(p, out, depth);
    if (accept(p, "dynamic")) {
        TRY(expect(p, "("));
        TRY(dynamic_value(p, out, depth + 1));
        return expect(p, ")");
    }
    return dynamic_scalar(p, out);
}

enum err literal_dynamic(struct parser *p, struct value *out)
{
    CLEANUP_BUF struct buf b = {0};
    TRY(expect(p, "("));
    TRY(dynamic_value(p, &b, 0));
    TRY(expect(p, ")"));
    TRY(buf_check(&b, p->d));

    struct value v = {.type = T_DYNAMIC, .is_null = dyn_kind(buf_view(&b)) == DYN_NULL};
    if (!v.is_null) {
        v.s = arena_bytes(p->a, buf_view(&b));
        if (v.s.p == NULL) return arena_full(p->a, p->d);
    }
    *out = v;
    return OK;
}
