/* SPDX-License-Identifier: Apache-2.0 */
/* func/value.c - one value: its text, its conversions, its order */
#include "base/map.h"
#include "base/str.h"
#include "column/decimal.h"
#include "column/dyn.h"
#include "column/scan.h"
#include "func/kernel.h"

#include <endian.h>
#include <math.h>
#include <xxhash.h>

/* --- text ------------------------------------------------------------------------------------- */

void value_to_dyn(const struct value *v, struct buf *out)
{
    if (dyn_from_value(v, out, NULL) != OK) out->bad = true;
}

void value_to_text(const struct value *v, struct buf *out)
{
    char guid[GUID_TEXT_MAX];
    struct guid g;
    if (v->is_null) return;
    switch (v->type) {
    case T_BOOL: buf_str(out, v->b ? "True" : "False"); break;
    case T_INT:
    case T_LONG: buf_fmt(out, "%lld", (long long)v->i); break;
    case T_DECIMAL: decimal_format(&v->u, out); break;
    case T_STRING: buf_bytes(out, v->s); break;
    case T_DATETIME: datetime_format(v->i, out); break;
    case T_TIMESPAN: timespan_format(v->i, out); break;
    case T_DYNAMIC: dyn_to_string(v->s, out); break;
    case T_REAL:
        if (isinf(v->r)) {
            buf_str(out, v->r < 0 ? "-inf" : "inf");
        } else {
            real_format(v->r, out);
        }
        break;
    case T_GUID:
        memcpy(g.b, v->u.b, sizeof g.b);
        guid_format(&g, guid);
        buf_str(out, guid);
        break;
    default: break;
    }
}

/* --- conversion ------------------------------------------------------------------------------- */

/* Truncates and stays within the bounds; what is not finite is null. */
static bool real_to_i64(double r, int64_t low, int64_t high, int64_t *out)
{
    if (!isfinite(r)) return false;
    *out = r >= (double)high ? high : r <= (double)low ? low : (int64_t)r;
    return true;
}

static bool to_bool(const struct value *v, struct value *out)
{
    int64_t i;
    switch (v->type) {
    case T_INT:
    case T_LONG: out->b = v->i != 0; return true;
    case T_REAL: out->b = v->r != 0; return !isnan(v->r);
    case T_DECIMAL: out->b = decimal_cmp(v->u, decimal_from_i64(0)) != 0; return true;
    case T_STRING:
        if (bytes_eq_nocase(v->s, "true") || bytes_eq_nocase(v->s, "false")) {
            out->b = v->s.len == 4;
            return true;
        }
        out->b = long_parse(v->s, &i) && i != 0;
        return long_parse(v->s, &i);
    default: return false;
    }
}

/* int, long, datetime and timespan, but for text. */
static bool to_i64(const struct value *v, enum type to, struct value *out)
{
    switch (v->type) {
    case T_BOOL: out->i = v->b; return to == T_INT || to == T_LONG;
    case T_INT:
    case T_LONG:
    case T_DATETIME:
    case T_TIMESPAN: out->i = to == T_INT ? (int32_t)(uint32_t)(uint64_t)v->i : v->i; break;
    case T_REAL:
        if (!real_to_i64(v->r, to == T_INT ? INT32_MIN : INT64_MIN,
                         to == T_INT ? INT32_MAX : INT64_MAX, &out->i)) {
            return false;
        }
        break;
    case T_DECIMAL:
        if (!decimal_to_i64(v->u, &out->i)) return false;
        if (to == T_INT && (out->i < INT32_MIN || out->i > INT32_MAX)) return false;
        break;
    default: return false;
    }
    return to != T_DATETIME || (out->i >= 0 && out->i <= TICKS_MAX);
}

static bool to_real(const struct value *v, struct value *out)
{
    switch (v->type) {
    case T_BOOL: out->r = v->b; return true;
    case T_INT:
    case T_LONG:
    case T_DATETIME:
    case T_TIMESPAN: out->r = (double)v->i; return true;
    case T_DECIMAL: out->r = decimal_to_real(v->u); return true;
    case T_STRING: return real_parse(v->s, &out->r);
    default: return false;
    }
}

static bool to_decimal(const struct value *v, struct value *out)
{
    switch (v->type) {
    case T_BOOL: out->u = decimal_from_i64(v->b); return true;
    case T_INT:
    case T_LONG:
    case T_DATETIME:
    case T_TIMESPAN: out->u = decimal_from_i64(v->i); return true;
    case T_REAL: return decimal_from_real(v->r, &out->u);
    case T_STRING: return decimal_parse(v->s, &out->u);
    default: return false;
    }
}

static bool to_buffer(const struct value *v, enum type to, struct arena *a, struct value *out)
{
    CLEANUP_BUF struct buf b = {0};
    if (to == T_STRING) {
        value_to_text(v, &b);
    } else if (dyn_from_value(v, &b, NULL) != OK) {
        return false;
    }
    if (b.bad) return false;
    out->s = b.len != 0 ? arena_bytes(a, buf_view(&b)) : (struct bytes){0};
    return b.len == 0 || out->s.p != NULL;
}

static bool from_text(const struct value *v, enum type to, struct value *out)
{
    switch (to) {
    case T_INT: return long_parse(v->s, &out->i) && out->i >= INT32_MIN && out->i <= INT32_MAX;
    case T_LONG: return long_parse(v->s, &out->i);
    case T_DATETIME: return datetime_parse(v->s, &out->i);
    case T_TIMESPAN: return timespan_parse(v->s, &out->i);
    case T_GUID: return guid_text_parse(v->s, &out->u);
    default: return false;
    }
}

bool value_cast(const struct value *from, enum type to, struct arena *a, struct value *out)
{
    struct value v = *from;
    *out = (struct value){.type = to, .is_null = true};
    if (to == T_STRING) out->is_null = false;
    if (v.is_null && v.type != T_STRING) return to == T_STRING;
    if (v.type == to) {
        *out = v;
        return true;
    }
    if (v.type == T_DYNAMIC && to != T_STRING) {
        v = dyn_scalar(v.s);
        if (v.is_null || v.type == T_DYNAMIC) return false;
    }
    struct value x = {.type = to};
    bool ok = false;
    if (v.type == to) {
        x = v;
        ok = true;
    } else if (to == T_STRING || to == T_DYNAMIC) {
        ok = to_buffer(&v, to, a, &x);
    } else if (to == T_BOOL) {
        ok = to_bool(&v, &x);
    } else if (to == T_REAL) {
        ok = to_real(&v, &x);
    } else if (to == T_DECIMAL) {
        ok = to_decimal(&v, &x);
    } else if (v.type == T_STRING) {
        ok = from_text(&v, to, &x);
    } else if (to != T_GUID) {
        ok = to_i64(&v, to, &x);
    }
    if (ok) *out = x;
    return ok;
}

/* --- order ------------------------------------------------------------------------------------ */

static int cmp_i64(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static int cmp_r64(double a, double b)
{
    if (isnan(a) || isnan(b)) return isnan(b) - isnan(a);
    return (a > b) - (a < b);
}

static int cmp_dynamic(struct bytes a, struct bytes b)
{
    struct value x = dyn_scalar(a), y = dyn_scalar(b);
    bool numbers = (TM(x.type) & (TM(T_LONG) | TM(T_REAL))) != 0 &&
                   (TM(y.type) & (TM(T_LONG) | TM(T_REAL))) != 0;
    if (x.is_null || y.is_null) return y.is_null - x.is_null;
    if (numbers && x.type != y.type) {
        return cmp_r64(x.type == T_REAL ? x.r : (double)x.i, y.type == T_REAL ? y.r : (double)y.i);
    }
    if (x.type != y.type) return cmp_i64(x.type, y.type);
    return x.type == T_DYNAMIC ? bytes_cmp(a, b) : value_cmp(&x, &y);
}

int value_cmp(const struct value *a, const struct value *b)
{
    switch (a->type) {
    case T_BOOL: return a->b - b->b;
    case T_REAL: return cmp_r64(a->r, b->r);
    case T_DECIMAL: return decimal_cmp(a->u, b->u);
    case T_GUID: return memcmp(a->u.b, b->u.b, sizeof a->u.b);
    case T_STRING: return bytes_cmp(a->s, b->s);
    case T_DYNAMIC: return cmp_dynamic(a->s, b->s);
    default: return cmp_i64(a->i, b->i);
    }
}

bool value_eq(const struct value *a, const struct value *b)
{
    if (a->is_null || b->is_null) return a->is_null && b->is_null;
    return a->type == b->type && value_cmp(a, b) == 0;
}

uint64_t value_hash(const struct value *v)
{
    uint64_t seed = (uint64_t)v->type;
    double zero = 0;
    if (v->is_null) return hash_bytes((struct bytes){0}, seed);
    switch (v->type) {
    case T_BOOL: return hash_bytes(BYTES_OF(v->b), seed);
    case T_REAL:
        return v->r == 0 ? hash_bytes(BYTES_OF(zero), seed) : hash_bytes(BYTES_OF(v->r), seed);
    case T_DECIMAL:
    case T_GUID: return hash_bytes(BYTES_OF(v->u), seed);
    case T_STRING:
    case T_DYNAMIC: return hash_bytes(v->s, seed);
    default: return hash_bytes(BYTES_OF(v->i), seed);
    }
}

/* The bytes of a value that is not null. */
static struct bytes raw_bytes(const struct value *v, uint8_t room[16])
{
    uint64_t bits = 0;
    switch (v->type) {
    case T_STRING:
    case T_DYNAMIC: return v->s;
    case T_DECIMAL:
    case T_GUID: memcpy(room, v->u.b, 16); return bytes_of(room, 16);
    case T_BOOL: room[0] = v->b; return bytes_of(room, 1);
    case T_REAL: memcpy(&bits, &v->r, sizeof bits); break;
    default: bits = (uint64_t)v->i; break;
    }
    bits = htole64(bits);
    memcpy(room, &bits, sizeof bits);
    return bytes_of(room, v->type == T_INT ? 4 : 8);
}

uint64_t value_xxh64(const struct value *v)
{
    uint8_t room[16] = {0};
    struct bytes raw = v->is_null && v->type != T_STRING ? (struct bytes){0} : raw_bytes(v, room);
    return XXH64(raw.len != 0 ? (const void *)raw.p : room, raw.len, 0);
}
