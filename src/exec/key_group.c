/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec/key_group.c - group keys: rows as bytes that memcmp() tells apart
 *
 * Column by column, each with the loop of its type: this is what a summarize spends its time on.
 */
#include "exec/key.h"
#include "exec/key_decimal.h"

#include <math.h>

static bool may_be_null(const struct vec *v)
{
    return v->nulls != NULL || (v->shape == VEC_DICT && v->dict->nulls != NULL);
}

static uint32_t fixed_len(enum type t)
{
    return t == T_BOOL ? 1 : t == T_DECIMAL || t == T_GUID ? 16 : 8;
}

static void add_lens(const struct vec *v, uint32_t n, struct bytes *keys)
{
    bool nulls = may_be_null(v);
    if (v->type == T_STRING || v->type == T_DYNAMIC) {
        const struct bytes *s = vec_data(v);
        for (uint32_t i = 0; i < n; i++) {
            keys[i].len += nulls && vec_null(v, i) ? 1 : 5 + s[vec_at(v, i)].len;
        }
        return;
    }
    uint32_t len = 1 + fixed_len(v->type);
    for (uint32_t i = 0; i < n; i++)
        keys[i].len += nulls && vec_null(v, i) ? 1 : len;
}

static double canonical_real(double r)
{
    return isnan(r) ? (double)NAN : r + 0.0; /* one NaN, and -0.0 becomes 0.0 */
}

static uint8_t *put_text(uint8_t *to, struct bytes s)
{
    uint32_t len = (uint32_t)s.len;
    memcpy(to, &len, 4);
    if (s.len != 0) memcpy(to + 4, s.p, s.len);
    return to + 4 + s.len;
}

static uint8_t *put_fixed(uint8_t *to, const struct vec *v, uint32_t at)
{
    const void *data = vec_data(v);
    if (v->type == T_BOOL) {
        *to = ((const uint8_t *)data)[at];
        return to + 1;
    }
    if (v->type == T_REAL) {
        double r = canonical_real(((const double *)data)[at]);
        memcpy(to, &r, 8);
        return to + 8;
    }
    struct u128 u = ((const struct u128 *)data)[at];
    if (v->type == T_DECIMAL) u = decimal_canonical(u);
    memcpy(to, &u, 16);
    return to + 16;
}

/* Writes the column's part of each row and moves the row's pointer behind it. */
static void put_column(const struct vec *v, uint32_t n, uint8_t **to)
{
    bool nulls = may_be_null(v), text = v->type == T_STRING || v->type == T_DYNAMIC;
    bool word = !text && fixed_len(v->type) == 8 && v->type != T_REAL;
    const void *data = vec_data(v);
    for (uint32_t i = 0; i < n; i++) {
        uint8_t *p = to[i];
        uint32_t at = vec_at(v, i);
        *p = !nulls || !vec_null(v, i);
        if (*p++ == 0) {
            to[i] = p;
        } else if (text) {
            to[i] = put_text(p, ((const struct bytes *)data)[at]);
        } else if (word) {
            memcpy(p, (const int64_t *)data + at, 8);
            to[i] = p + 8;
        } else {
            to[i] = put_fixed(p, v, at);
        }
    }
}

enum err group_keys(struct arena *a, const struct vec *parts, uint32_t n_parts, uint32_t n_rows,
                    struct bytes *keys, struct diag *d)
{
    size_t total = 0;
    uint8_t **to = arena_array(a, uint8_t *, n_rows);
    if (to == NULL) return arena_full(a, d);
    for (uint32_t i = 0; i < n_rows; i++)
        keys[i].len = 0;
    for (uint32_t k = 0; k < n_parts; k++)
        add_lens(&parts[k], n_rows, keys);
    for (uint32_t i = 0; i < n_rows; i++)
        total += keys[i].len;
    uint8_t *p = arena_alloc(a, total);
    if (p == NULL) return arena_full(a, d);
    for (uint32_t i = 0; i < n_rows; i++) {
        to[i] = p;
        keys[i].p = p;
        p += keys[i].len;
    }
    for (uint32_t k = 0; k < n_parts; k++)
        put_column(&parts[k], n_rows, to);
    return OK;
}

bool group_key_word(const struct vec *part, uint32_t row, uint8_t out[GROUP_WORD_LEN])
{
    if (vec_null(part, row)) return false;
    out[0] = 1;
    if (part->type == T_REAL) {
        double r = canonical_real(vec_r64(part, row));
        memcpy(out + 1, &r, 8);
    } else {
        int64_t i = vec_i64(part, row);
        memcpy(out + 1, &i, 8);
    }
    return true;
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
