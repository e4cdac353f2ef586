/* SPDX-License-Identifier: Apache-2.0 */
/* func/fn_net.c - IP addresses: reading, comparing, ranges, finding them in text */
#include "column/dyn.h"
#include "column/scan.h"
#include "func/families.h"
#include "func/ip.h"

/* --- reading and writing ---------------------------------------------------------------------- */

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* The optional prefix argument at index k; false: it is there and is none. */
static bool prefix_arg(const struct fn_call *call, const struct vec *const *args, uint32_t k,
                       uint32_t i, unsigned max, unsigned *out)
{
    *out = max;
    if (k >= call->n_args) return true;
    if (vec_null(args[k], i) || vec_i64(args[k], i) < 0 || vec_i64(args[k], i) > max) return false;
    *out = (unsigned)vec_i64(args[k], i);
    return true;
}

/* parse_ipv4(text), parse_ipv4_mask(text, prefix) */
EVAL(eval_parse4)
{
    struct vecb b;
    vecb_init(&b, cx->a, T_LONG, n);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t addr;
        unsigned own, given;
        if (ip4_parse(vec_str(args[0], i), &addr, &own) &&
            prefix_arg(call, args, 1, i, 32, &given)) {
            vecb_i64(&b, addr & ip4_mask(least(own, given)));
        } else {
            vecb_null(&b);
        }
    }
    return vecb_finish(&b, out, cx->d);
}

EVAL(eval_parse6)
{
    CLEANUP_ROWS struct rows_out r;
    TRY(rows_begin(cx, &r, T_STRING, n, out));
    for (uint32_t i = 0; i < n; i++) {
        struct ip a;
        unsigned given;
        if (ip_parse(vec_str(args[0], i), &a) && prefix_arg(call, args, 1, i, 128, &given)) {
            ip_mask(&a, least(a.prefix, given));
            ip6_format_full(&a, &r.b);
        }
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

EVAL(eval_suffix)
{
    (void)call;
    struct vecb b;
    vecb_init(&b, cx->a, T_LONG, n);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t addr;
        unsigned prefix;
        if (ip4_parse(vec_str(args[0], i), &addr, &prefix)) {
            vecb_i64(&b, prefix);
        } else {
            vecb_null(&b);
        }
    }
    return vecb_finish(&b, out, cx->d);
}

/* format_ipv4(address [, prefix]), format_ipv4_mask(): the address is text or a number */
EVAL(eval_format4)
{
    CLEANUP_ROWS struct rows_out r;
    bool mask = strcmp(call->fn->name, "format_ipv4_mask") == 0;
    TRY(rows_begin(cx, &r, T_STRING, n, out));
    for (uint32_t i = 0; i < n; i++) {
        struct value v = vec_value(args[0], i), number;
        uint32_t addr = 0;
        unsigned own = 32, given;
        bool ok = !v.is_null && prefix_arg(call, args, 1, i, 32, &given);
        if (v.type == T_STRING) {
            ok = ok && ip4_parse(v.s, &addr, &own);
        } else {
            ok = ok && value_cast(&v, T_LONG, NULL, &number) && number.i >= 0 &&
                 number.i <= UINT32_MAX;
            addr = ok ? (uint32_t)number.i : 0;
        }
        if (ok) {
            unsigned prefix = least(own, given);
            ip4_format(addr & ip4_mask(prefix), &r.b);
            if (mask) buf_fmt(&r.b, "/%u", prefix);
        }
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

/* --- comparing -------------------------------------------------------------------------------- */

/* The order of two addresses in the bits that count; false: one is none. */
static bool compare(bool v6, struct bytes a, struct bytes b, const struct fn_call *call,
                    const struct vec *const *args, uint32_t i, int *out)
{
    struct ip x, y;
    unsigned given;
    if (!ip_parse(a, &x) || !ip_parse(b, &y) || (!v6 && (!x.v4 || !y.v4))) return false;
    if (!prefix_arg(call, args, 2, i, v6 ? 128 : 32, &given)) return false;
    ip_map(&x);
    ip_map(&y);
    bool of_four = !v6 || (x.v4 && y.v4 && call->n_args > 2 && given <= 32);
    *out = ip_cmp(&x, &y, least(least(x.prefix, y.prefix), given + (of_four ? 96 : 0)));
    return true;
}

/* ipv4_compare() and ipv6_compare() give the order, ..._is_match() whether they are equal */
EVAL(eval_compare)
{
    struct vecb b;
    bool v6 = call->fn->name[3] == '6', match = call->ret == T_BOOL;
    vecb_init(&b, cx->a, call->ret, n);
    for (uint32_t i = 0; i < n; i++) {
        int c;
        if (!compare(v6, vec_str(args[0], i), vec_str(args[1], i), call, args, i, &c)) {
            vecb_null(&b);
        } else if (match) {
            vecb_bool(&b, c == 0);
        } else {
            vecb_i64(&b, c);
        }
    }
    return vecb_finish(&b, out, cx->d);
}

static bool in_range(const struct ip *a, struct bytes range, bool v6, bool *ok)
{
    struct ip r;
    bool good = ip_parse(range, &r) && (v6 || (r.v4 && a->v4));
    *ok |= good;
    return good && ip_cmp(a, &r, least(a->prefix, r.prefix)) == 0 && a->prefix >= r.prefix;
}

/* The address in one range or any of several, which may stand in arrays. */
EVAL(eval_in_range)
{
    struct vecb b;
    bool v6 = call->fn->name[3] == '6';
    vecb_init(&b, cx->a, T_BOOL, n);
    for (uint32_t i = 0; i < n; i++) {
        struct ip a;
        bool found = false, ok = false, valid = ip_parse(vec_str(args[0], i), &a) && (v6 || a.v4);
        for (uint32_t k = 1; valid && !found && k < call->n_args; k++) {
            struct value v = vec_value(args[k], i);
            struct dyn_iter it;
            struct bytes name, e;
            if (v.type == T_STRING) {
                found = in_range(&a, v.s, v6, &ok);
            } else if (!v.is_null && dyn_iter_init(&it, v.s)) {
                while (!found && dyn_iter_next(&it, &name, &e)) {
                    if (dyn_kind(e) == DYN_STRING) found = in_range(&a, dyn_scalar(e).s, v6, &ok);
                }
            } else if (!v.is_null && dyn_kind(v.s) == DYN_STRING) {
                found = in_range(&a, dyn_scalar(v.s).s, v6, &ok);
            }
        }
        if (valid && ok) {
            vecb_bool(&b, found);
        } else {
            vecb_null(&b);
        }
    }
    return vecb_finish(&b, out, cx->d);
}

/* RFC 1918; of a range, all of it. */
EVAL(eval_private)
{
    static const struct {
        uint32_t addr;
        unsigned prefix;
    } nets[] = {{10U << 24, 8}, {172U << 24 | 16U << 16, 12}, {192U << 24 | 168U << 16, 16}};
    (void)call;
    struct vecb b;
    vecb_init(&b, cx->a, T_BOOL, n);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t addr;
        unsigned prefix;
        bool found = false;
        if (!ip4_parse(vec_str(args[0], i), &addr, &prefix)) {
            vecb_null(&b);
            continue;
        }
        for (int k = 0; k < 3; k++)
            found |= (addr & ip4_mask(nets[k].prefix)) == nets[k].addr && prefix >= nets[k].prefix;
        vecb_bool(&b, found);
    }
    return vecb_finish(&b, out, cx->d);
}

/* The fewest ranges that cover all addresses from one to another. */
EVAL(eval_cidr_list)
{
    (void)call;
    CLEANUP_ROWS struct rows_out r;
    CLEANUP_BUF struct buf text = {0};
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        uint32_t from, to, count = 0;
        unsigned p, q;
        bool ok = ip4_parse(vec_str(args[0], i), &from, &p) &&
                  ip4_parse(vec_str(args[1], i), &to, &q) && from <= to;
        if (ok) {
            size_t at = dyn_array_begin(&r.b);
            for (uint64_t a = from; a <= to; count++) {
                unsigned prefix = 32;
                while (prefix > 0 && (a & (1ULL << (32 - prefix))) == 0 &&
                       a + (2ULL << (32 - prefix)) - 1 <= to)
                    prefix--;
                buf_clear(&text);
                ip4_format((uint32_t)a, &text);
                buf_fmt(&text, "/%u", prefix);
                buf_u8(&r.b, 's');
                buf_blob(&r.b, buf_view(&text));
                a += 1ULL << (32 - prefix);
            }
            dyn_array_end(&r.b, at, count);
        }
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

/* --- finding in text -------------------------------------------------------------------------- */

/* Steps to the next address that stands by itself between other characters. */
static bool next_address(struct bytes *s, struct bytes *addr)
{
    while (s->len != 0) {
        size_t n = 0;
        while (n < s->len &&
               (ch_digit(s->p[n]) || ch_alpha(s->p[n]) || s->p[n] == '.' || s->p[n] >= 0x80))
            n++;
        struct bytes run = bytes_of(s->p, n);
        size_t step = n != 0 ? n : 1;
        *s = bytes_of(s->p + step, s->len - step);
        uint32_t a;
        unsigned prefix;
        while (run.len != 0 && run.p[run.len - 1] == '.')
            run.len--;
        if (run.len != 0 && ip4_parse(run, &a, &prefix)) {
            *addr = run;
            return true;
        }
    }
    return false;
}

/* What is asked for: an address as a whole, or what one begins with (up to a dot, or whole). */
static bool wanted(struct bytes addr, struct bytes what, bool prefix)
{
    uint32_t a, b;
    unsigned p, q;
    if (!prefix || (what.len != 0 && what.p[what.len - 1] != '.')) {
        return ip4_parse(addr, &a, &p) && ip4_parse(what, &b, &q) && q == 32 && a == b;
    }
    return what.len != 0 && addr.len > what.len && memcmp(addr.p, what.p, what.len) == 0;
}

static bool find(struct bytes s, struct bytes what, bool prefix)
{
    struct bytes addr;
    while (next_address(&s, &addr)) {
        if (wanted(addr, what, prefix)) return true;
    }
    return false;
}

EVAL(eval_has)
{
    void *data;
    bool prefix = strstr(call->fn->name, "prefix") != NULL;
    TRY(out_flat(cx, T_BOOL, n, out, &data));
    for (uint32_t i = 0; i < n; i++) {
        struct bytes s = vec_str(args[0], i);
        bool found = false;
        for (uint32_t k = 1; k < call->n_args && !found; k++) {
            struct value v = vec_value(args[k], i);
            struct dyn_iter it;
            struct bytes name, e;
            if (v.type == T_STRING) {
                found = find(s, v.s, prefix);
            } else if (!v.is_null && dyn_iter_init(&it, v.s)) {
                while (!found && dyn_iter_next(&it, &name, &e))
                    found = dyn_kind(e) == DYN_STRING && find(s, dyn_scalar(e).s, prefix);
            }
        }
        ((uint8_t *)data)[i] = found;
    }
    return OK;
}

#define PREFIX ARG_LONG
#define HAS(name_, max, doc_, example_, expect_) \
    FN(name_, 2, max, T_BOOL, 0, eval_has, doc_, example_, expect_, ARG_STRING, ARG(STRINGY))
#define RANGES(name_, max, doc_, example_) \
    FN(name_, 2, max, T_BOOL, 0, eval_in_range, doc_, example_, "True", ARG_STRING, ARG(STRINGY))
#define COMPARE(name_, ret_, doc_, example_, expect_) \
    FN(name_, 2, 3, ret_, 0, eval_compare, doc_, example_, expect_, ARG_STRING, ARG_STRING, PREFIX)

static const struct fn rows[] = {
    FN("format_ipv4", 1, 2, T_STRING, 0, eval_format4,
       "An address without the bits behind a prefix.", "format_ipv4('192.168.1.1', 24)",
       "192.168.1.0", ARG(STRINGY | TM_INTS), PREFIX),
    FN("format_ipv4_mask", 1, 2, T_STRING, 0, eval_format4, "A range in its usual notation.",
       "format_ipv4_mask('192.168.1.1', 24)", "192.168.1.0/24", ARG(STRINGY | TM_INTS), PREFIX),
    HAS("has_any_ipv4", FN_ARITY_LIST, "Whether a text has one of some IPv4 addresses.",
        "has_any_ipv4('at 127.0.0.1 GET', '10.0.0.1', '127.0.0.1')", "True"),
    HAS("has_any_ipv4_prefix", FN_ARITY_LIST,
        "Whether a text has an IPv4 address that begins with one of some.",
        "has_any_ipv4_prefix('at 127.0.0.1 GET', dynamic([\"10.\",\"127.0.\"]))", "True"),
    HAS("has_ipv4", 2, "Whether a text has an IPv4 address.",
        "has_ipv4('05:04:54127.0.0.1 GET', '127.0.0.1')", "False"),
    HAS("has_ipv4_prefix", 2, "Whether a text has an IPv4 address that begins so.",
        "has_ipv4_prefix('at 127.0.0.1 GET', '127.0.')", "True"),
    COMPARE("ipv4_compare", T_LONG,
            "The order of two IPv4 addresses in the bits of the shortest prefix.",
            "ipv4_compare('192.168.1.1/24', '192.168.1.255')", "0"),
    RANGES("ipv4_is_in_any_range", FN_ARITY_LIST,
           "Whether an IPv4 address lies in one of some ranges.",
           "ipv4_is_in_any_range('192.168.1.6', '10.0.0.1/8', '192.168.1.1/24')"),
    RANGES("ipv4_is_in_range", 2, "Whether an IPv4 address lies in a range.",
           "ipv4_is_in_range('192.168.1.6', '192.168.1.1/24')"),
    COMPARE("ipv4_is_match", T_BOOL,
            "Whether two IPv4 addresses are equal in the bits of the shortest prefix.",
            "ipv4_is_match('192.168.1.1', '192.168.1.255', 24)", "True"),
    FN("ipv4_is_private", 1, 1, T_BOOL, 0, eval_private,
       "Whether an IPv4 address is of a private network.", "ipv4_is_private('10.1.2.3')", "True",
       ARG_STRING),
    FN("ipv4_netmask_suffix", 1, 1, T_LONG, 0, eval_suffix, "The length of a range's prefix.",
       "ipv4_netmask_suffix('192.168.1.1/24')", "24", ARG_STRING),
    FN("ipv4_range_to_cidr_list", 2, 2, T_DYNAMIC, 0, eval_cidr_list,
       "The ranges that cover all addresses from one to another.",
       "ipv4_range_to_cidr_list('1.1.128.0', '1.1.140.255')",
       "[\"1.1.128.0/21\",\"1.1.136.0/22\",\"1.1.140.0/24\"]", ARG_STRING, ARG_STRING),
    COMPARE("ipv6_compare", T_LONG,
            "The order of two addresses in the bits of the shortest prefix.",
            "ipv6_compare('fe80::85d:e82c:9446:7994/127', 'fe80::85d:e82c:9446:7995')", "0"),
    RANGES("ipv6_is_in_any_range", FN_ARITY_LIST, "Whether an address lies in one of some ranges.",
           "ipv6_is_in_any_range('fe80::1', dynamic([\"fe80::/10\"]))"),
    RANGES("ipv6_is_in_range", 2, "Whether an address lies in a range.",
           "ipv6_is_in_range('192.168.1.1', '::ffff:c0a8:0/112')"),
    COMPARE("ipv6_is_match", T_BOOL,
            "Whether two addresses are equal in the bits of the shortest prefix.",
            "ipv6_is_match('192.168.1.1/24', '::ffff:c0a8:01ff', 127)", "True"),
    FN("parse_ipv4", 1, 1, T_LONG, 0, eval_parse4, "An IPv4 address as a number.",
       "parse_ipv4('127.0.0.1')", "2130706433", ARG_STRING),
    FN("parse_ipv4_mask", 2, 2, T_LONG, 0, eval_parse4,
       "An IPv4 address without the bits behind a prefix, as a number.",
       "parse_ipv4_mask('127.0.0.1', 24)", "2130706432", ARG_STRING, PREFIX),
    FN("parse_ipv6", 1, 1, T_STRING, 0, eval_parse6, "An address in all its digits.",
       "parse_ipv6('192.168.255.255/24')", "0000:0000:0000:0000:0000:ffff:c0a8:ff00", ARG_STRING),
    FN("parse_ipv6_mask", 2, 2, T_STRING, 0, eval_parse6,
       "An address without the bits behind a prefix.", "parse_ipv6_mask('fe80::85d:7994', 112)",
       "fe80:0000:0000:0000:0000:0000:085d:0000", ARG_STRING, PREFIX),
};
const struct fn_family fn_net = FAMILY(rows);
