/* SPDX-License-Identifier: Apache-2.0 */
/* column/dyn.c - reading and building the binary form of dynamic values */
#include "column/dyn.h"

#include "base/str.h"

#include <endian.h>

/* The size of a value that starts with this tag, tag included; 0: no such tag. Lists and strings
 * carry their length behind the tag. */
static size_t fixed_size(uint8_t tag)
{
    switch (tag) {
    case 'n':
    case 't':
    case 'f': return 1;
    case 'i':
    case 'r':
    case 'D':
    case 'T': return 9;
    case 'g':
    case 'm': return 17;
    default: return 0;
    }
}

/* Steps over one value. */
static struct bytes take_value(struct rd *r)
{
    const uint8_t *from = r->p;
    uint8_t tag = rd_u8(r);
    size_t size = fixed_size(tag);
    if (size != 0) {
        (void)rd_bytes(r, size - 1);
    } else if (tag == 's' || tag == 'a' || tag == 'o') {
        (void)rd_blob(r);
    } else {
        r->bad = true;
    }
    return r->bad ? (struct bytes){0} : bytes_of(from, (size_t)(r->p - from));
}

enum dyn_kind dyn_kind(struct bytes dyn)
{
    if (dyn.len == 0) return DYN_NULL;
    switch (dyn.p[0]) {
    case 't':
    case 'f': return DYN_BOOL;
    case 'i': return DYN_LONG;
    case 'r': return DYN_REAL;
    case 'D': return DYN_DATETIME;
    case 'T': return DYN_TIMESPAN;
    case 'g': return DYN_GUID;
    case 'm': return DYN_DECIMAL;
    case 's': return DYN_STRING;
    case 'a': return DYN_ARRAY;
    case 'o': return DYN_BAG;
    default: return DYN_NULL;
    }
}

struct value dyn_scalar(struct bytes dyn)
{
    struct value v = {.type = T_DYNAMIC, .is_null = true};
    struct rd r = rd_from(dyn);
    uint8_t tag = rd_u8(&r);
    switch (dyn_kind(dyn)) {
    case DYN_NULL: return v;
    case DYN_BOOL: v = (struct value){.type = T_BOOL, .b = tag == 't'}; break;
    case DYN_LONG: v = (struct value){.type = T_LONG, .i = (int64_t)rd_u64(&r)}; break;
    case DYN_DATETIME: v = (struct value){.type = T_DATETIME, .i = (int64_t)rd_u64(&r)}; break;
    case DYN_TIMESPAN: v = (struct value){.type = T_TIMESPAN, .i = (int64_t)rd_u64(&r)}; break;
    case DYN_STRING: v = (struct value){.type = T_STRING, .s = rd_blob(&r)}; break;
    case DYN_ARRAY:
    case DYN_BAG: v = (struct value){.type = T_DYNAMIC, .s = dyn}; break;
    case DYN_REAL: {
        uint64_t bits = rd_u64(&r);
        v.type = T_REAL;
        v.is_null = false;
        memcpy(&v.r, &bits, sizeof v.r);
        break;
    }
    case DYN_GUID:
    case DYN_DECIMAL:
        v.type = tag == 'g' ? T_GUID : T_DECIMAL;
        v.is_null = false;
        rd_copy(&r, v.u.b, sizeof v.u.b);
        break;
    }
    return r.bad ? (struct value){.type = T_DYNAMIC, .is_null = true} : v;
}

bool dyn_iter_init(struct dyn_iter *it, struct bytes dyn)
{
    enum dyn_kind kind = dyn_kind(dyn);
    *it = (struct dyn_iter){.is_bag = kind == DYN_BAG};
    if (kind != DYN_ARRAY && kind != DYN_BAG) return false;
    struct rd r = rd_from(dyn);
    (void)rd_u8(&r);
    it->r = rd_from(rd_blob(&r));
    it->left = rd_u32(&it->r);
    if (r.bad || it->r.bad) it->left = 0;
    return true;
}

bool dyn_iter_next(struct dyn_iter *it, struct bytes *name, struct bytes *value)
{
    if (it->left == 0 || it->r.bad) return false;
    struct bytes n = it->is_bag ? rd_blob(&it->r) : (struct bytes){0};
    struct bytes v = take_value(&it->r);
    if (it->r.bad) return false;
    it->left--;
    *name = n;
    *value = v;
    return true;
}

uint32_t dyn_count(struct bytes dyn)
{
    struct dyn_iter it;
    return dyn_iter_init(&it, dyn) ? it.left : 0;
}

struct bytes dyn_index(struct bytes dyn, int64_t i)
{
    struct dyn_iter it;
    struct bytes name, value;
    if (dyn_kind(dyn) != DYN_ARRAY || !dyn_iter_init(&it, dyn)) return (struct bytes){0};
    if (i < 0) i += it.left;
    if (i < 0 || i >= it.left) return (struct bytes){0};
    while (dyn_iter_next(&it, &name, &value)) {
        if (i-- == 0) return value;
    }
    return (struct bytes){0};
}

struct bytes dyn_member(struct bytes dyn, struct bytes name)
{
    struct dyn_iter it;
    struct bytes n, value;
    if (dyn_kind(dyn) != DYN_BAG || !dyn_iter_init(&it, dyn)) return (struct bytes){0};
    while (dyn_iter_next(&it, &n, &value)) {
        if (bytes_eq(n, name)) return value;
    }
    return (struct bytes){0};
}

static size_t list_begin(struct buf *out, uint8_t tag)
{
    buf_u8(out, tag);
    size_t at = out->len;
    buf_u32(out, 0);
    buf_u32(out, 0);
    return at;
}

static void list_end(struct buf *out, size_t at, uint32_t count)
{
    if (out->bad) return;
    size_t size = out->len - at - 4;
    if (size > UINT32_MAX) {
        out->bad = true;
        return;
    }
    uint32_t head[2] = {htole32((uint32_t)size), htole32(count)};
    memcpy(out->p + at, head, sizeof head);
}

size_t dyn_array_begin(struct buf *out)
{
    return list_begin(out, 'a');
}

void dyn_array_end(struct buf *out, size_t at, uint32_t count)
{
    list_end(out, at, count);
}

size_t dyn_bag_begin(struct buf *out)
{
    return list_begin(out, 'o');
}

void dyn_bag_name(struct buf *out, struct bytes name)
{
    buf_blob(out, name);
}

void dyn_bag_end(struct buf *out, size_t at, uint32_t count)
{
    list_end(out, at, count);
}

static void put_i64(struct buf *out, uint8_t tag, int64_t v)
{
    buf_u8(out, tag);
    buf_u64(out, (uint64_t)v);
}

enum err dyn_from_value(const struct value *v, struct buf *out, struct diag *d)
{
    uint64_t bits;
    if (v->is_null && v->type != T_STRING) {
        buf_u8(out, 'n');
        return buf_check(out, d);
    }
    switch (v->type) {
    case T_BOOL: buf_u8(out, v->b ? 't' : 'f'); break;
    case T_INT:
    case T_LONG: put_i64(out, 'i', v->i); break;
    case T_DATETIME: put_i64(out, 'D', v->i); break;
    case T_TIMESPAN: put_i64(out, 'T', v->i); break;
    case T_REAL:
        memcpy(&bits, &v->r, sizeof bits);
        put_i64(out, 'r', (int64_t)bits);
        break;
    case T_DECIMAL:
    case T_GUID:
        buf_u8(out, v->type == T_GUID ? 'g' : 'm');
        buf_bytes(out, bytes_of(v->u.b, sizeof v->u.b));
        break;
    case T_STRING:
        if (v->s.len > UINT32_MAX) return FAIL(d, ERR_LIMIT, "a string is longer than 4 GiB");
        buf_u8(out, 's');
        buf_blob(out, v->is_null ? (struct bytes){0} : v->s);
        break;
    case T_DYNAMIC:
        if (v->s.len == 0) {
            buf_u8(out, 'n');
        } else {
            buf_bytes(out, v->s);
        }
        break;
    default: buf_u8(out, 'n'); break;
    }
    return buf_check(out, d);
}

bool dyn_valid(struct bytes dyn)
{
    struct {
        struct rd r;
        uint32_t left;
        bool is_bag;
    } stack[DYN_DEPTH_MAX];
    int depth = 0;
    if (dyn.len == 0) return true;
    stack[0].r = rd_from(dyn);
    stack[0].left = 1;
    stack[0].is_bag = false;
    while (true) {
        struct rd *r = &stack[depth].r;
        if (stack[depth].left == 0) {
            if (!rd_done(r)) return false;
            if (depth-- == 0) return true;
            continue;
        }
        stack[depth].left--;
        if (stack[depth].is_bag && !utf8_valid(rd_blob(r))) return false;
        struct bytes v = take_value(r);
        if (r->bad) return false;
        if (v.p[0] == 's' && !utf8_valid(bytes_of(v.p + 5, v.len - 5))) return false;
        if (v.p[0] != 'a' && v.p[0] != 'o') continue;
        if (++depth == DYN_DEPTH_MAX) return false;
        stack[depth].r = rd_from(bytes_of(v.p + 5, v.len - 5));
        stack[depth].left = rd_u32(&stack[depth].r);
        stack[depth].is_bag = v.p[0] == 'o';
        if (stack[depth].r.bad) return false;
    }
}
