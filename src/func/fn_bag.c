/* SPDX-License-Identifier: Apache-2.0 */
/* func/fn_bag.c - bags: their keys, and what lies at the end of a path into them */
#include "base/map.h"
#include "column/dyn.h"
#include "func/families.h"

EVAL(eval_bag_keys)
{
    (void)call;
    CLEANUP_ROWS struct rows_out r;
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        struct dyn_iter it;
        struct bytes name, value, dyn = vec_str(args[0], i);
        if (dyn_kind(dyn) == DYN_BAG && dyn_iter_init(&it, dyn)) {
            size_t at = dyn_array_begin(&r.b);
            while (dyn_iter_next(&it, &name, &value)) {
                buf_u8(&r.b, 's');
                buf_blob(&r.b, name);
            }
            dyn_array_end(&r.b, at, dyn_count(dyn));
        }
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

/* One step of a path: $.a.b, $['a'], $[0]. False: there is none left, or it is no path (then *bad).
 */
static bool next_step(struct bytes *path, struct bytes *name, int64_t *index, bool *bad)
{
    *index = -1;
    if (path->len == 0) return false;
    if (path->p[0] == '.') {
        size_t n = 1;
        while (n < path->len && path->p[n] != '.' && path->p[n] != '[')
            n++;
        *name = bytes_of(path->p + 1, n - 1);
        *path = bytes_of(path->p + n, path->len - n);
        return true;
    }
    const uint8_t *end = path->p[0] == '[' ? memchr(path->p, ']', path->len) : NULL;
    if (end == NULL) {
        *bad = true;
        return false;
    }
    struct bytes inner = bytes_of(path->p + 1, (size_t)(end - path->p) - 1);
    *path = bytes_of(end + 1, path->len - inner.len - 2);
    bool quoted = inner.len >= 2 && (inner.p[0] == '\'' || inner.p[0] == '"') &&
                  inner.p[inner.len - 1] == inner.p[0];
    if (quoted) {
        *name = bytes_of(inner.p + 1, inner.len - 2);
    } else if (!long_parse(inner, index) || *index < 0) {
        *bad = true;
        return false;
    }
    return true;
}

/* What a JSON path leads to; len 0: nothing. */
static struct bytes follow_path(struct bytes dyn, struct bytes path)
{
    struct bytes name;
    int64_t index;
    bool bad = false;
    path = bytes_of(path.p + 1, path.len - 1); /* the $ */
    while (next_step(&path, &name, &index, &bad)) {
        dyn = index >= 0 ? dyn_index(dyn, index) : dyn_member(dyn, name);
        if (dyn.len == 0) break;
    }
    return bad ? (struct bytes){0} : dyn;
}

static bool is_path(struct bytes key)
{
    return key.len >= 2 && key.p[0] == '$' && (key.p[1] == '.' || key.p[1] == '[');
}

EVAL(eval_bag_has_key)
{
    (void)call;
    void *data;
    TRY(out_flat(cx, T_BOOL, n, out, &data));
    for (uint32_t i = 0; i < n; i++) {
        struct bytes dyn = vec_str(args[0], i), key = vec_str(args[1], i);
        ((uint8_t *)data)[i] =
            (is_path(key) ? follow_path(dyn, key) : dyn_member(dyn, key)).len != 0;
    }
    return OK;
}

/* The leftmost member of a name stays. */
static enum err put_merged(struct map *seen, struct bytes dyn, uint32_t *count, struct buf *out,
                           struct diag *d)
{
    struct dyn_iter it;
    struct bytes name, value;
    (void)dyn_iter_init(&it, dyn);
    while (dyn_iter_next(&it, &name, &value)) {
        if (map_get(seen, name) != NULL) continue;
        TRY(map_put(seen, name, seen, NULL, d)); /* any pointer says that it is there */
        dyn_bag_name(out, name);
        buf_bytes(out, value);
        ++*count;
    }
    return OK;
}

EVAL(eval_bag_merge)
{
    CLEANUP_ROWS struct rows_out r;
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        CLEANUP_LOCAL(map_release) struct map seen = {0};
        size_t start = r.b.len, at = dyn_bag_begin(&r.b);
        uint32_t count = 0, bags = 0;
        for (uint32_t k = 0; k < call->n_args; k++) {
            struct bytes dyn = vec_str(args[k], i);
            if (dyn_kind(dyn) != DYN_BAG) continue;
            bags++;
            TRY(put_merged(&seen, dyn, &count, &r.b, cx->d));
        }
        dyn_bag_end(&r.b, at, count);
        if (bags == 0) buf_shrink(&r.b, start);
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

/* Text without its quotes as a name: "k", or a number's text. */
static struct bytes element_name(struct bytes element, struct buf *scratch)
{
    buf_clear(scratch);
    dyn_to_string(element, scratch);
    return buf_view(scratch);
}

/* Copies a bag without the members that keys name; a key may be a path to a member of a member. */
static void put_without(struct bytes dyn, struct bytes keys, int depth, struct bytes prefix,
                        struct buf *out)
{
    struct dyn_iter it;
    struct bytes name, value;
    CLEANUP_BUF struct buf scratch = {0}, path = {0};
    uint32_t count = 0;
    size_t at = dyn_bag_begin(out);
    (void)dyn_iter_init(&it, dyn);
    while (dyn_iter_next(&it, &name, &value)) {
        struct dyn_iter wanted;
        struct bytes none, key;
        bool drop = false, deeper = false;
        buf_clear(&path);
        buf_bytes(&path, prefix);
        buf_u8(&path, '.');
        buf_bytes(&path, name);
        (void)dyn_iter_init(&wanted, keys);
        while (!drop && dyn_iter_next(&wanted, &none, &key)) {
            struct bytes k = element_name(key, &scratch);
            drop = (depth == 0 && bytes_eq(k, name)) || bytes_eq(k, buf_view(&path));
            deeper |=
                k.len > path.len && memcmp(k.p, path.p, path.len) == 0 && k.p[path.len] == '.';
        }
        if (drop) continue;
        count++;
        dyn_bag_name(out, name);
        if (deeper && dyn_kind(value) == DYN_BAG && depth < DYN_DEPTH_MAX) {
            put_without(value, keys, depth + 1, buf_view(&path), out);
        } else {
            buf_bytes(out, value);
        }
    }
    dyn_bag_end(out, at, count);
}

EVAL(eval_bag_remove_keys)
{
    (void)call;
    CLEANUP_ROWS struct rows_out r;
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        struct bytes dyn = vec_str(args[0], i);
        if (dyn_kind(dyn) == DYN_BAG) put_without(dyn, vec_str(args[1], i), 0, BYTES("$"), &r.b);
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

/* Copies a bag with the member that path names set to value, made where it is missing. */
static void put_with(struct bytes dyn, struct bytes name, struct bytes path, struct bytes value,
                     int depth, struct buf *out)
{
    struct dyn_iter it;
    struct bytes have, v, step = {0};
    struct bytes inner = path;
    int64_t index;
    bool bad = false, there = false;
    bool deeper = depth < DYN_DEPTH_MAX && next_step(&inner, &step, &index, &bad) && index < 0;
    uint32_t count = 0;
    size_t at = dyn_bag_begin(out);
    bool bag = dyn_kind(dyn) == DYN_BAG && dyn_iter_init(&it, dyn);
    while (bag && dyn_iter_next(&it, &have, &v)) {
        bool hit = bytes_eq(have, name);
        there |= hit;
        dyn_bag_name(out, have);
        if (hit && deeper) {
            put_with(v, step, inner, value, depth + 1, out);
        } else {
            buf_bytes(out, hit ? value : v);
        }
        count++;
    }
    if (!there) {
        dyn_bag_name(out, name);
        if (deeper) {
            put_with((struct bytes){0}, step, inner, value, depth + 1, out);
        } else {
            buf_bytes(out, value);
        }
        count++;
    }
    dyn_bag_end(out, at, count);
}

EVAL(eval_bag_set_key)
{
    (void)call;
    CLEANUP_ROWS struct rows_out r;
    CLEANUP_BUF struct buf value = {0};
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        struct bytes dyn = vec_str(args[0], i), key = vec_str(args[1], i), path = {0}, name = key;
        struct value v = vec_value(args[2], i);
        int64_t index = -1;
        bool bad = false;
        buf_clear(&value);
        TRY(dyn_from_value(&v, &value, cx->d));
        if (is_path(key)) {
            path = bytes_of(key.p + 1, key.len - 1);
            (void)next_step(&path, &name, &index, &bad);
        }
        if (dyn_kind(dyn) == DYN_BAG && !bad && index < 0)
            put_with(dyn, name, path, buf_view(&value), 0, &r.b);
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

EVAL(eval_bag_zip)
{
    (void)call;
    CLEANUP_ROWS struct rows_out r;
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        struct dyn_iter keys;
        struct bytes none, key, list = vec_str(args[0], i), values = vec_str(args[1], i);
        if (dyn_kind(list) == DYN_ARRAY && dyn_iter_init(&keys, list)) {
            size_t at = dyn_bag_begin(&r.b);
            uint32_t count = 0;
            for (int64_t k = 0; dyn_iter_next(&keys, &none, &key); k++) {
                if (dyn_kind(key) != DYN_STRING) continue;
                struct bytes v = dyn_index(values, k);
                dyn_bag_name(&r.b, dyn_scalar(key).s);
                if (v.len != 0) {
                    buf_bytes(&r.b, v);
                } else {
                    buf_u8(&r.b, 'n');
                }
                count++;
            }
            dyn_bag_end(&r.b, at, count);
        }
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

/* extract_json('$.a.b[0]', text) */
EVAL(eval_extract_json)
{
    (void)call;
    CLEANUP_ROWS struct rows_out r;
    CLEANUP_BUF struct buf dyn = {0};
    TRY(rows_begin(cx, &r, T_STRING, n, out));
    for (uint32_t i = 0; i < n; i++) {
        struct bytes path = vec_str(args[0], i), text = vec_str(args[1], i);
        buf_clear(&dyn);
        if (path.len != 0 && path.p[0] == '$' && text.len != 0) {
            TRY(dyn_from_json(text, &dyn, cx->d));
            dyn_to_string(follow_path(buf_view(&dyn), path), &r.b);
        }
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

static const struct fn rows[] = {
    FN("bag_has_key", 2, 2, T_BOOL, STRICT, eval_bag_has_key,
       "Whether a bag has a member of that name, or at the end of that path.",
       "bag_has_key(dynamic({\"a\":{\"b\":1}}), '$.a.b')", "True", ARG_DYNAMIC, ARG_STRING),
    FN("bag_keys", 1, 1, T_DYNAMIC, 0, eval_bag_keys, "The names of a bag's members.",
       "bag_keys(dynamic({\"a\":1,\"c\":2}))", "[\"a\",\"c\"]", ARG_DYNAMIC),
    FN("bag_merge", 2, FN_ARITY_ANY, T_DYNAMIC, 0, eval_bag_merge,
       "One bag of the members of all; the leftmost of a name stays.",
       "bag_merge(dynamic({\"a\":1}), dynamic({\"a\":2,\"b\":3}))", "{\"a\":1,\"b\":3}",
       ARG_DYNAMIC),
    FN("bag_remove_keys", 2, 2, T_DYNAMIC, 0, eval_bag_remove_keys,
       "A bag without some members, named or given by paths.",
       "bag_remove_keys(dynamic({\"a\":1,\"b\":{\"c\":1,\"d\":2}}), dynamic([\"a\", \"$.b.c\"]))",
       "{\"b\":{\"d\":2}}", ARG_DYNAMIC, ARG_DYNAMIC),
    FN("bag_set_key", 3, 3, T_DYNAMIC, 0, eval_bag_set_key,
       "A bag with a member set, named or given by a path.",
       "bag_set_key(dynamic({\"a\":1}), '$.b.c', 2)", "{\"a\":1,\"b\":{\"c\":2}}", ARG_DYNAMIC,
       ARG_STRING, ARG(TM_ANY)),
    FN("bag_zip", 2, 2, T_DYNAMIC, 0, eval_bag_zip,
       "A bag of an array of names and an array of values.",
       "bag_zip(dynamic([\"a\",\"b\"]), dynamic([1]))", "{\"a\":1,\"b\":null}", ARG_DYNAMIC,
       ARG_DYNAMIC),
    FN("extract_json", 2, 2, T_STRING, 0, eval_extract_json,
       "The text at the end of a path into JSON text.", "extract_json('$.a[1]', '{\"a\":[10,20]}')",
       "20", ARG_STRING, ARG_STRING),
    FN("extractjson", 2, 2, T_STRING, 0, eval_extract_json, "The same as extract_json().",
       "extractjson('$.a', '{\"a\":true}')", "true", ARG_STRING, ARG_STRING),
};
const struct fn_family fn_bag = FAMILY(rows);
