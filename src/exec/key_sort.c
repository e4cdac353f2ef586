/* SPDX-License-Identifier: Apache-2.0 */
/* exec/key_sort.c - sort keys: rows as bytes that memcmp() orders */
#include "exec/key.h"
#include "exec/key_decimal.h"

#include "column/simd.h"

#include <math.h>

enum rank { RANK_NULL, RANK_NAN, RANK_VALUE };

static enum rank rank_of(const struct vec *v, uint32_t row)
{
    if (vec_null(v, row)) return RANK_NULL;
    return v->type == T_REAL && isnan(vec_r64(v, row)) ? RANK_NAN : RANK_VALUE;
}

static uint8_t rank_byte(struct key_order o, enum rank rank)
{
    return (uint8_t)(o.nulls_first ? rank : RANK_VALUE - rank);
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
    *to++ = rank_byte(o, rank);
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

enum err sort_keys(struct arena *a, const struct vec *parts, const struct key_order *orders,
                   uint32_t n_parts, const uint32_t *rows, uint32_t n_rows, const uint64_t *places,
                   struct bytes *keys, struct diag *d)
{
    size_t total = 0;
    for (uint32_t i = 0; i < n_rows; i++) {
        keys[i].len = sizeof *places;
        for (uint32_t k = 0; k < n_parts; k++)
            keys[i].len += sort_len(&parts[k], rows[i]);
        total += keys[i].len;
    }
    uint8_t *p = arena_alloc(a, total);
    if (p == NULL) return arena_full(a, d);
    for (uint32_t i = 0; i < n_rows; i++) {
        keys[i].p = p;
        for (uint32_t k = 0; k < n_parts; k++)
            p = sort_put(p, &parts[k], rows[i], orders[k]);
        uint64_t at = __builtin_bswap64(places[i]);
        memcpy(p, &at, sizeof at);
        p += sizeof at;
    }
    return OK;
}

uint64_t sort_key_place(struct bytes key)
{
    uint64_t at;
    memcpy(&at, key.p + key.len - sizeof at, sizeof at);
    return __builtin_bswap64(at);
}

/* The rank and the first eight bytes after it, of a key or of a row's first part. */
struct beginning {
    uint8_t rank;
    uint64_t bits;
};

static struct beginning beginning_of(struct bytes key)
{
    struct beginning b = {.rank = key.p[0]};
    memcpy(&b.bits, key.p + 1, 8); /* a key ends in its place: there are eight */
    b.bits = __builtin_bswap64(b.bits);
    return b;
}

static bool is_word(enum type t)
{
    return t == T_INT || t == T_LONG || t == T_REAL || t == T_DATETIME || t == T_TIMESPAN;
}

/* Flat values without nulls that are not behind the limit, whose first eight bytes are given as
 * ordered_bits() has them. NaNs pass: the whole key decides. */
static uint32_t flat_candidates(const struct vec *v, bool descending, uint64_t limit,
                                uint32_t *rows)
{
    const uint64_t sign = (uint64_t)1 << 63;
    const struct simd_kernels *k = simd();
    uint8_t good[VEC_ROWS];
    uint32_t found = 0;
    uint64_t bits = limit & sign ? limit ^ sign : ~limit;
    int64_t whole = (int64_t)(limit ^ sign);
    double real, low = INFINITY, high = -INFINITY; /* the reals that are behind the limit: none */
    memcpy(&real, &bits, sizeof real);
    if (descending && real > -INFINITY) low = -INFINITY, high = nextafter(real, -INFINITY);
    if (!descending && real < INFINITY) low = nextafter(real, INFINITY), high = INFINITY;
    for (uint32_t from = 0; from < v->n; from += VEC_ROWS) {
        uint32_t n = v->n - from < VEC_ROWS ? v->n - from : VEC_ROWS;
        if (v->type == T_REAL)
            k->within_r64((const double *)v->data + from, n, low, high, true, good);
        else
            k->within_i64((const int64_t *)v->data + from, n, descending ? whole : INT64_MIN,
                          descending ? INT64_MAX : whole, false, good);
        uint32_t more = bools_rows(good, NULL, n, rows + found);
        for (uint32_t i = 0; from != 0 && i < more; i++)
            rows[found + i] += from;
        found += more;
    }
    return found;
}

uint32_t sort_candidates(const struct vec *first, struct key_order o, struct bytes worst,
                         uint32_t *rows)
{
    uint32_t n = 0;
    if (worst.p == NULL || !is_word(first->type)) {
        for (; n < first->n; n++)
            rows[n] = n;
        return n;
    }
    struct beginning limit = beginning_of(worst);
    uint64_t flip = o.descending ? UINT64_MAX : 0;
    if (first->shape == VEC_FLAT && first->nulls == NULL && limit.rank == rank_byte(o, RANK_VALUE))
        return flat_candidates(first, o.descending, limit.bits ^ flip, rows);
    for (uint32_t i = 0; i < first->n; i++) {
        enum rank rank = rank_of(first, i);
        uint8_t r = rank_byte(o, rank);
        uint64_t bits = ordered_bits(first, i) ^ flip;
        rows[n] = i;
        n += r < limit.rank || (r == limit.rank && (rank != RANK_VALUE || bits <= limit.bits));
    }
    return n;
}
