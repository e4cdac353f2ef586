/* SPDX-License-Identifier: Apache-2.0 */
/* exec/key.c - rows as bytes */
#include "exec/key.h"

#include <math.h>

typedef unsigned __int128 u128_t;

/* --- decimals: IEEE 754 decimal128 in its binary encoding, taken apart ---------------------------
 */

struct decimal_parts {
    bool negative, special; /* special: NaN or infinity */
    int32_t exponent;
    u128_t digits; /* no trailing zeros; 0 has exponent 0 */
};

#define DECIMAL_BIAS 6176

static struct decimal_parts decimal_split(struct u128 v)
{
    uint64_t lo, hi;
    memcpy(&lo, v.b, 8);
    memcpy(&hi, v.b + 8, 8);
    struct decimal_parts p = {.negative = hi >> 63 != 0};
    if ((hi >> 61 & 3) == 3) { /* NaN, infinity, or a coefficient too long to be one: zero */
        p.special = (hi >> 59 & 15) == 15;
        return p;
    }
    p.exponent = (int32_t)(hi >> 49 & 0x3fff) - DECIMAL_BIAS;
    p.digits = (u128_t)(hi & 0x1ffffffffffffULL) << 64 | lo;
    if (p.digits == 0) return (struct decimal_parts){0};
    while (p.digits % 10 == 0) {
        p.digits /= 10;
        p.exponent++;
    }
    return p;
}

static struct u128 decimal_canonical(struct u128 v)
{
    struct decimal_parts p = decimal_split(v);
    if (p.special) return v;
    uint64_t lo = (uint64_t)p.digits;
    uint64_t hi = (uint64_t)(p.digits >> 64) | (uint64_t)(p.exponent + DECIMAL_BIAS) << 49 |
                  (uint64_t)p.negative << 63;
    struct u128 out;
    memcpy(out.b, &lo, 8);
    memcpy(out.b + 8, &hi, 8);
    return out;
}

#define DECIMAL_KEY_LEN 19

/* Sign, power of ten of the first digit, 34 digits: big-endian, so that bytes compare as numbers
 * do. */
static void decimal_order(struct u128 v, uint8_t out[DECIMAL_KEY_LEN])
{
    struct decimal_parts p = decimal_split(v);
    memset(out, 0, DECIMAL_KEY_LEN);
    out[0] = 1;
    if (p.digits == 0) return;
    int32_t power = p.exponent;
    for (u128_t t = p.digits; t != 0; t /= 10)
        power++;
    u128_t top = 1; /* 10^33: the digits are moved up until they fill 34 places */
    for (int i = 0; i < 33; i++)
        top *= 10;
    u128_t digits = p.digits;
    while (digits < top)
        digits *= 10;
    uint16_t biased = (uint16_t)(power + 2 * DECIMAL_BIAS);
    out[1] = (uint8_t)(biased >> 8);
    out[2] = (uint8_t)biased;
    for (int i = 0; i < 16; i++)
        out[3 + i] = (uint8_t)(digits >> (120 - 8 * i));
    if (!p.negative) return;
    out[0] = 0;
    for (int i = 1; i < DECIMAL_KEY_LEN; i++)
        out[i] = (uint8_t)~out[i];
}

/* --- sort keys ------------------------------------------------------------------------------- */

enum rank { RANK_NULL, RANK_NAN, RANK_VALUE };

static enum rank rank_of(const struct vec *v, uint32_t row)
{
    if (vec_null(v, row)) return RANK_NULL;
    return v->type == T_REAL && isnan(vec_r64(v, row)) ? RANK_NAN : RANK_VALUE;
}

static size_t sort_len(const struct vec *v, uint32_t row)
{
    if (rank_of(v, row) != RANK_VALUE) return 1;
    switch (v->type) {
    case T_BOOL: return 2;
    case T_DECIMAL: return 1 + DECIMAL_KEY_LEN;
    case T_GUID: return 17;
    case T_STRING:
    case T_DYNAMIC: {
        struct bytes s = vec_str(v, row);
        size_t n = 3 + s.len;
        for (const uint8_t *p = s.p; s.len != 0 && (p = memchr(p, 0, s.len - (size_t)(p - s.p)));) {
            n++;
            if (++p == s.p + s.len) break;
        }
        return n;
    }
    default: return 9;
    }
}

static uint64_t ordered_bits(const struct vec *v, uint32_t row)
{
    const uint64_t sign = (uint64_t)1 << 63;
    if (v->type != T_REAL) return (uint64_t)vec_i64(v, row) ^ sign;
    double r = vec_r64(v, row) + 0.0; /* -0.0 becomes 0.0 */
    uint64_t bits;
    memcpy(&bits, &r, 8);
    return bits & sign ? ~bits : bits | sign;
}

static uint8_t *put_string(uint8_t *to, struct bytes s)
{
    for (size_t i = 0; i < s.len; i++) {
        *to++ = s.p[i];
        if (s.p[i] == 0) *to++ = 0xff;
    }
    *to++ = 0;
    *to++ = 0;
    return to;
}

static uint8_t *sort_put(uint8_t *to, const struct vec *v, uint32_t row, struct key_order o)
{
    enum rank rank = rank_of(v, row);
    *to++ = (uint8_t)(o.nulls_first ? rank : RANK_VALUE - rank);
    if (rank != RANK_VALUE) return to;

    uint8_t *start = to;
    switch (v->type) {
    case T_BOOL: *to++ = vec_bool(v, row); break;
    case T_DECIMAL:
        decimal_order(((const struct u128 *)vec_data(v))[vec_at(v, row)], to);
        to += DECIMAL_KEY_LEN;
        break;
    case T_GUID:
        memcpy(to, &((const struct u128 *)vec_data(v))[vec_at(v, row)], 16);
        to += 16;
        break;
    case T_STRING:
    case T_DYNAMIC: to = put_string(to, vec_str(v, row)); break;
    default: {
        uint64_t bits = __builtin_bswap64(ordered_bits(v, row));
        memcpy(to, &bits, 8);
        to += 8;
    }
    }
    if (o.descending) {
        for (uint8_t *p = start; p < to; p++)
            *p = (uint8_t) ~*p;
    }
    return to;
}

/* Room for all keys at once; keys[i] gets its length, with `more` bytes at its end. */
static uint8_t *place_keys(struct arena *a, size_t (*len)(const struct vec *v, uint32_t row),
                           const struct vec *parts, uint32_t n_parts, uint32_t n_rows, size_t more,
                           struct bytes *keys)
{
    size_t total = 0;
    for (uint32_t i = 0; i < n_rows; i++)
        keys[i].len = more;
    for (uint32_t k = 0; k < n_parts; k++) {
        for (uint32_t i = 0; i < n_rows; i++)
            keys[i].len += len(&parts[k], i);
    }
    for (uint32_t i = 0; i < n_rows; i++)
        total += keys[i].len;
    return arena_alloc(a, total);
}

enum err sort_keys(struct arena *a, const struct vec *parts, const struct key_order *orders,
                   uint32_t n_parts, uint32_t n_rows, uint64_t place, struct bytes *keys,
                   struct diag *d)
{
    uint8_t *p = place_keys(a, sort_len, parts, n_parts, n_rows, sizeof place, keys);
    if (p == NULL) return arena_full(a, d);
    for (uint32_t i = 0; i < n_rows; i++) {
        keys[i].p = p;
        for (uint32_t k = 0; k < n_parts; k++)
            p = sort_put(p, &parts[k], i, orders[k]);
        uint64_t at = __builtin_bswap64(place + i);
        memcpy(p, &at, sizeof at);
        p += sizeof at;
    }
    return OK;
}

/* --- group keys ------------------------------------------------------------------------------ */

static size_t group_len(const struct vec *v, uint32_t row)
{
    if (vec_null(v, row)) return 1;
    switch (v->type) {
    case T_BOOL: return 2;
    case T_DECIMAL:
    case T_GUID: return 17;
    case T_STRING:
    case T_DYNAMIC: return 5 + vec_str(v, row).len;
    default: return 9;
    }
}

static double canonical_real(double r)
{
    return isnan(r) ? (double)NAN : r + 0.0;
}

static uint8_t *group_put(uint8_t *to, const struct vec *v, uint32_t row)
{
    *to++ = !vec_null(v, row);
    if (to[-1] == 0) return to;
    switch (v->type) {
    case T_BOOL: *to = vec_bool(v, row); return to + 1;
    case T_DECIMAL:
    case T_GUID: {
        struct u128 u = ((const struct u128 *)vec_data(v))[vec_at(v, row)];
        if (v->type == T_DECIMAL) u = decimal_canonical(u);
        memcpy(to, &u, 16);
        return to + 16;
    }
    case T_STRING:
    case T_DYNAMIC: {
        struct bytes s = vec_str(v, row);
        uint32_t len = (uint32_t)s.len;
        memcpy(to, &len, 4);
        if (s.len != 0) memcpy(to + 4, s.p, s.len);
        return to + 4 + s.len;
    }
    case T_REAL: {
        double r = canonical_real(vec_r64(v, row));
        memcpy(to, &r, 8);
        return to + 8;
    }
    default: {
        int64_t i = vec_i64(v, row);
        memcpy(to, &i, 8);
        return to + 8;
    }
    }
}

enum err group_keys(struct arena *a, const struct vec *parts, uint32_t n_parts, uint32_t n_rows,
                    struct bytes *keys, struct diag *d)
{
    uint8_t *p = place_keys(a, group_len, parts, n_parts, n_rows, 0, keys);
    if (p == NULL) return arena_full(a, d);
    for (uint32_t i = 0; i < n_rows; i++) {
        keys[i].p = p;
        for (uint32_t k = 0; k < n_parts; k++)
            p = group_put(p, &parts[k], i);
    }
    return OK;
}

void group_key_next(struct rd *r, enum type t, struct value *out)
{
    *out = (struct value){.type = t, .is_null = rd_u8(r) == 0};
    if (out->is_null) return;
    switch (t) {
    case T_BOOL: out->b = rd_u8(r) != 0; break;
    case T_DECIMAL:
    case T_GUID: rd_copy(r, &out->u, 16); break;
    case T_STRING:
    case T_DYNAMIC: {
        uint32_t len;
        rd_copy(r, &len, 4);
        out->s = rd_bytes(r, len);
        break;
    }
    default: rd_copy(r, &out->i, 8); break; /* a real too: the same 8 bytes */
    }
}
