/* SPDX-License-Identifier: Apache-2.0 */
/*
 * func/fn_punycode.c - Punycode (RFC 3492), of a text and of the labels of a domain
 *
 * What cannot be encoded or decoded gives "". Labels are taken as they are: no case is folded and
 * no character refused, as IDNA would.
 */
#include "base/str.h"
#include "func/families.h"

#define BASE       36
#define T_MIN      1
#define T_MAX      26
#define SKEW       38
#define DAMP       700
#define BIAS       72
#define FIRST      128
#define CODE_MAX   0x10ffff
#define LENGTH_MAX 1024 /* characters: the algorithm is quadratic */

static uint32_t adapt(uint32_t delta, uint32_t count, bool first)
{
    uint32_t k = 0;
    delta = first ? delta / DAMP : delta / 2;
    delta += delta / count;
    for (; delta > (BASE - T_MIN) * T_MAX / 2; k += BASE)
        delta /= BASE - T_MIN;
    return k + (BASE - T_MIN + 1) * delta / (delta + SKEW);
}

static uint32_t threshold(uint32_t k, uint32_t bias)
{
    return k <= bias + T_MIN ? T_MIN : k >= bias + T_MAX ? T_MAX : k - bias;
}

static uint8_t digit_of(uint32_t d)
{
    return (uint8_t)(d < 26 ? 'a' + d : '0' + (d - 26));
}

static uint32_t digit_value(uint8_t c)
{
    if (c >= '0' && c <= '9') return c - '0' + 26U;
    if (c >= 'a' && c <= 'z') return c - 'a';
    return c >= 'A' && c <= 'Z' ? (uint32_t)(c - 'A') : BASE;
}

struct codes { /* a text as characters */
    uint32_t n;
    uint32_t at[LENGTH_MAX];
};

static bool read_codes(struct bytes text, struct codes *out)
{
    out->n = 0;
    while (text.len != 0) {
        if (out->n == LENGTH_MAX) return false;
        out->at[out->n++] = utf8_next(&text);
    }
    return true;
}

/* --- encoding --------------------------------------------------------------------------------- */

static void put_delta(uint32_t delta, uint32_t bias, struct buf *out)
{
    for (uint32_t k = BASE;; k += BASE) {
        uint32_t t = threshold(k, bias);
        if (delta < t) break;
        buf_u8(out, digit_of(t + (delta - t) % (BASE - t)));
        delta = (delta - t) / (BASE - t);
    }
    buf_u8(out, digit_of(delta));
}

static uint32_t least_from(const struct codes *s, uint32_t from)
{
    uint32_t least = UINT32_MAX;
    for (uint32_t i = 0; i < s->n; i++) {
        if (s->at[i] >= from && s->at[i] < least) least = s->at[i];
    }
    return least;
}

static bool encode(const struct codes *s, struct buf *out)
{
    uint32_t n = FIRST, bias = BIAS, done = 0;
    uint64_t delta = 0;
    for (uint32_t i = 0; i < s->n; i++) {
        if (s->at[i] >= FIRST) continue;
        buf_u8(out, (uint8_t)s->at[i]);
        done++;
    }
    uint32_t basic = done;
    if (basic != 0) buf_u8(out, '-');
    while (done < s->n) {
        uint32_t next = least_from(s, n);
        delta += (uint64_t)(next - n) * (done + 1);
        n = next;
        for (uint32_t i = 0; i < s->n; i++) {
            if (s->at[i] < n) delta++;
            if (delta > UINT32_MAX) return false;
            if (s->at[i] != n) continue;
            put_delta((uint32_t)delta, bias, out);
            bias = adapt((uint32_t)delta, done + 1, done == basic);
            delta = 0;
            done++;
        }
        delta++;
        n++;
    }
    return true;
}

/* --- decoding --------------------------------------------------------------------------------- */

static bool read_delta(const struct bytes *s, size_t *at, uint32_t bias, uint64_t *i)
{
    uint64_t weight = 1;
    for (uint32_t k = BASE;; k += BASE) {
        if (*at == s->len) return false;
        uint32_t digit = digit_value(s->p[(*at)++]), t = threshold(k, bias);
        if (digit == BASE) return false;
        *i += digit * weight;
        if (*i > UINT32_MAX) return false;
        if (digit < t) return true;
        weight *= BASE - t;
        if (weight > UINT32_MAX) return false;
    }
}

static bool decode(struct bytes s, struct codes *out)
{
    uint32_t bias = BIAS;
    uint64_t n = FIRST, i = 0;
    size_t dash = s.len, at = 0;
    while (dash > 0 && s.p[dash - 1] != '-')
        dash--;
    out->n = 0;
    if (s.len > LENGTH_MAX) return false;
    for (size_t k = 0; k + 1 < dash; k++) {
        if (s.p[k] >= FIRST) return false;
        out->at[out->n++] = s.p[k];
    }
    at = dash;
    while (at < s.len) {
        uint64_t before = i;
        if (out->n == LENGTH_MAX || !read_delta(&s, &at, bias, &i)) return false;
        uint32_t count = out->n + 1;
        bias = adapt((uint32_t)(i - before), count, before == 0);
        n += i / count;
        i %= count;
        if (n > CODE_MAX || (n >= 0xd800 && n <= 0xdfff)) return false;
        memmove(&out->at[i + 1], &out->at[i], (out->n - i) * sizeof *out->at);
        out->at[i++] = (uint32_t)n;
        out->n++;
    }
    return true;
}

static void put_codes(const struct codes *s, struct buf *out)
{
    for (uint32_t i = 0; i < s->n; i++)
        utf8_put(out, s->at[i]);
}

/* --- texts ------------------------------------------------------------------------------------ */

/* Works on `label`, appends, or cuts off what was added and says false. */
typedef bool transform(struct bytes label, struct codes *room, struct buf *out);

static bool to_punycode(struct bytes text, struct codes *room, struct buf *out)
{
    return read_codes(text, room) && encode(room, out);
}

static bool from_punycode(struct bytes text, struct codes *room, struct buf *out)
{
    if (!decode(text, room)) return false;
    put_codes(room, out);
    return true;
}

static bool label_to(struct bytes label, struct codes *room, struct buf *out)
{
    bool ascii = true;
    for (size_t i = 0; i < label.len; i++)
        ascii &= label.p[i] < FIRST;
    if (ascii) {
        buf_bytes(out, label);
        return true;
    }
    buf_str(out, "xn--");
    return to_punycode(label, room, out);
}

static bool label_from(struct bytes label, struct codes *room, struct buf *out)
{
    bool encoded = label.len > 4 && text_eq_nocase(bytes_of(label.p, 4), BYTES("xn--"));
    if (encoded) return from_punycode(bytes_of(label.p + 4, label.len - 4), room, out);
    buf_bytes(out, label);
    return true;
}

/* The bytes of a dot at `at`: of the full stop, or of the three that stand for it in IDNA. */
static size_t dot_len(struct bytes s, size_t at)
{
    static const char *const wide[] = {"\u3002", "\uff0e", "\uff61"};
    if (s.p[at] == '.') return 1;
    for (size_t i = 0; i < 3; i++) {
        if (s.len - at >= 3 && memcmp(s.p + at, wide[i], 3) == 0) return 3;
    }
    return 0;
}

static bool each_label(struct bytes domain, transform *f, struct codes *room, struct buf *out)
{
    size_t from = 0;
    for (size_t at = 0; at <= domain.len;) {
        size_t dot = at < domain.len ? dot_len(domain, at) : 0;
        if (at < domain.len && dot == 0) {
            at++;
            continue;
        }
        if (!f(bytes_of(domain.p + from, at - from), room, out)) return false;
        if (dot == 0) break;
        buf_u8(out, '.');
        at += dot;
        from = at;
    }
    return true;
}

EVAL(eval_punycode)
{
    CLEANUP_ROWS struct rows_out r;
    bool domain = strncmp(call->fn->name, "punycode_domain_", 16) == 0;
    /* A domain is written to ASCII by "to_string", a text by "from_string". */
    bool encodes = (strstr(call->fn->name, "_from_") != NULL) != domain;
    transform *f = domain    ? (encodes ? label_to : label_from)
                   : encodes ? to_punycode
                             : from_punycode;
    struct codes *room = arena_new(cx->a, struct codes);
    if (room == NULL) return out_full(cx);
    TRY(rows_begin(cx, &r, T_STRING, n, out));
    for (uint32_t i = 0; i < n; i++) {
        struct bytes text = vec_str(args[0], i);
        size_t from = r.b.len;
        bool ok = text.len == 0 || (domain ? each_label(text, f, room, &r.b) : f(text, room, &r.b));
        if (!ok) buf_shrink(&r.b, from);
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

#define PUNYCODE(name_, doc_, example_, expect_) \
    FN(name_, 1, 1, T_STRING, 0, eval_punycode, doc_, name_ "('" example_ "')", expect_, ARG_STRING)

static const struct fn rows[] = {
    PUNYCODE("punycode_domain_from_string", "A domain whose labels were in Punycode.",
             "www.xn--Mnchen-3ya.de", "www.München.de"),
    PUNYCODE("punycode_domain_to_string", "A domain with its labels in Punycode.", "www.München.de",
             "www.xn--Mnchen-3ya.de"),
    PUNYCODE("punycode_from_string", "A text in Punycode.", "München", "Mnchen-3ya"),
    PUNYCODE("punycode_to_string", "The text that stands in Punycode.", "Mnchen-3ya", "München"),
};
const struct fn_family fn_punycode = FAMILY(rows);
