/* SPDX-License-Identifier: Apache-2.0 */
/*
 * func/agg_list.c - make_list, make_set, make_bag
 *
 * A state is the elements in dynamic's binary form, one behind the other, ready to become an array.
 * Sets and bags have a hash table beside it. Dynamic arrays are taken apart: their elements are
 * added.
 */
#include "func/agg_kernel.h"

#include "base/map.h"
#include "column/dyn.h"

#define SIZE_DEFAULT       1048576 /* elements, as the original */
#define SIZE_DEFAULT_OLDER 128     /* of makelist, makeset and make_dictionary */

struct slot {
    uint64_t at; /* of the key in bytes, + 1; 0 = free */
    uint32_t len, hash;
};

struct bag {
    struct run bytes;
    uint32_t count, size_max; /* size_max 0: not yet known */
    struct slot *slots;
    uint32_t n_slots;
};

/* The older spellings keep fewer when no size is given. */
static uint32_t default_size(const struct agg_call *c)
{
    static const char *const older[] = {"makelist", "makeset", "make_dictionary"};
    for (size_t i = 0; i < sizeof older / sizeof older[0]; i++) {
        if (strcmp(c->agg->name, older[i]) == 0) return SIZE_DEFAULT_OLDER;
    }
    return SIZE_DEFAULT;
}

static void set_size(struct bag *b, const struct agg_call *c)
{
    if (b->size_max != 0) return;
    const struct value *v = c->n_args > 1 && c->consts != NULL ? c->consts[c->n_args - 1] : NULL;
    bool given =
        v != NULL && !v->is_null && (TM(v->type) & TM_INTS) != 0 && v->i > 0 && v->i < SIZE_DEFAULT;
    b->size_max = given ? (uint32_t)v->i : default_size(c);
}

static bool grow(struct agg_cx *cx, struct bag *b)
{
    uint32_t n = b->n_slots != 0 ? b->n_slots * 2 : 16;
    struct slot *slots = arena_array(cx->a, struct slot, n);
    if (slots == NULL) return false;
    for (uint32_t i = 0; i < b->n_slots; i++) {
        if (b->slots[i].at == 0) continue;
        uint32_t h = b->slots[i].hash;
        while (slots[h & (n - 1)].at != 0)
            h++;
        slots[h & (n - 1)] = b->slots[i];
    }
    b->slots = slots;
    b->n_slots = n;
    return true;
}

/* Where the key is or belongs. *found: it is there. */
static struct slot *lookup(struct bag *b, struct bytes key, uint32_t hash, bool *found)
{
    for (uint32_t h = hash;; h++) {
        struct slot *s = &b->slots[h & (b->n_slots - 1)];
        *found = false;
        if (s->at == 0) return s;
        *found = s->hash == hash && bytes_eq(key, bytes_of(b->bytes.p + s->at - 1, s->len));
        if (*found) return s;
    }
}

/* Adds element, whose key lies key_at bytes into it, unless the key is there already. */
static enum err add_unique(struct agg_cx *cx, struct bag *b, struct bytes element, size_t key_at,
                           size_t key_len)
{
    bool found;
    if (b->count >= b->size_max) return OK;
    if (b->count * 2 >= b->n_slots && !grow(cx, b)) return arena_full(cx->a, cx->d);
    struct bytes key = bytes_of(element.p + key_at, key_len);
    uint32_t hash = (uint32_t)hash_bytes(key, 0);
    struct slot *s = lookup(b, key, hash, &found);
    if (found) return OK;
    size_t at = b->bytes.len + key_at;
    TRY(run_add(cx, &b->bytes, element));
    *s = (struct slot){.at = at + 1, .len = (uint32_t)key_len, .hash = hash};
    b->count++;
    return OK;
}

static enum err add_element(struct agg_cx *cx, struct bag *b, struct bytes element, bool unique)
{
    if (unique) return add_unique(cx, b, element, 0, element.len);
    if (b->count >= b->size_max) return OK;
    b->count++;
    return run_add(cx, &b->bytes, element);
}

/* --- lists and sets --------------------------------------------------------------------------- */

static enum err add_dynamic(struct agg_cx *cx, struct bag *b, struct bytes dyn, bool unique)
{
    struct dyn_iter it;
    struct bytes name, element;
    if (dyn_kind(dyn) != DYN_ARRAY || !dyn_iter_init(&it, dyn))
        return add_element(cx, b, dyn, unique);
    while (dyn_iter_next(&it, &name, &element)) {
        if (unique && dyn_kind(element) == DYN_NULL) continue;
        TRY(add_element(cx, b, element, unique));
    }
    return OK;
}

static enum err add_rows(struct agg_cx *cx, const struct agg_call *c, void *const *states,
                         const struct vec *v, uint32_t n, bool unique, bool nulls)
{
    CLEANUP_BUF struct buf scratch = {0};
    for (uint32_t i = 0; i < n; i++) {
        struct bag *b = states[i];
        struct value x = vec_value(v, i);
        set_size(b, c);
        if (x.is_null && !nulls && (unique || v->type != T_DYNAMIC)) continue;
        buf_clear(&scratch);
        TRY(dyn_from_value(&x, &scratch, cx->d));
        if (v->type == T_DYNAMIC) {
            TRY(add_dynamic(cx, b, buf_view(&scratch), unique));
        } else {
            TRY(add_element(cx, b, buf_view(&scratch), unique));
        }
    }
    return OK;
}

UPDATE(update_list)
{
    return add_rows(cx, c, states, args[0], n, false, false);
}

UPDATE(update_list_with_nulls)
{
    return add_rows(cx, c, states, args[0], n, false, true);
}

UPDATE(update_set)
{
    return add_rows(cx, c, states, args[0], n, true, false);
}

UPDATE_IF(update_listif, update_list)
UPDATE_IF(update_setif, update_set)

static enum err merge_elements(struct agg_cx *cx, const struct agg_call *c, struct bag *into,
                               const struct bag *from, bool unique)
{
    set_size(into, c);
    /* As an array, so that it can be walked. */
    CLEANUP_BUF struct buf array = {.max = arena_room(cx->a)};
    size_t at = dyn_array_begin(&array);
    buf_bytes(&array, bytes_of(from->bytes.p, from->bytes.len));
    dyn_array_end(&array, at, from->count);
    TRY(buf_check(&array, cx->d));
    struct dyn_iter it;
    struct bytes name, element;
    (void)dyn_iter_init(&it, buf_view(&array));
    while (dyn_iter_next(&it, &name, &element))
        TRY(add_element(cx, into, element, unique));
    return OK;
}

MERGE(merge_list)
{
    struct bag *into = into_, *from = from_;
    set_size(into, c);
    if (into->count + (uint64_t)from->count > into->size_max)
        return merge_elements(cx, c, into, from, false);
    into->count += from->count;
    return run_add(cx, &into->bytes, bytes_of(from->bytes.p, from->bytes.len));
}

MERGE(merge_set)
{
    return merge_elements(cx, c, into_, from_, true);
}

static enum err finish_as(struct agg_cx *cx, const struct bag *b, bool bag, struct value *out)
{
    CLEANUP_BUF struct buf dyn = {.max = arena_room(cx->a)};
    size_t at = bag ? dyn_bag_begin(&dyn) : dyn_array_begin(&dyn);
    buf_bytes(&dyn, bytes_of(b->bytes.p, b->bytes.len));
    dyn_array_end(&dyn, at, b->count);
    TRY(buf_check(&dyn, cx->d));
    *out = (struct value){.type = T_DYNAMIC, .s = arena_bytes(cx->a, buf_view(&dyn))};
    return out->s.p != NULL ? OK : arena_full(cx->a, cx->d);
}

FINISH(finish_list)
{
    (void)c;
    return finish_as(cx, state_, false, out);
}

/* --- bags ------------------------------------------------------------------------------------- */

/* Of members of one name the first stays. */
static enum err add_members(struct agg_cx *cx, struct bag *b, struct bytes dyn)
{
    CLEANUP_BUF struct buf member = {0};
    struct dyn_iter it;
    struct bytes name, value;
    if (dyn_kind(dyn) != DYN_BAG || !dyn_iter_init(&it, dyn)) return OK;
    while (dyn_iter_next(&it, &name, &value)) {
        buf_clear(&member);
        buf_blob(&member, name);
        buf_bytes(&member, value);
        TRY(buf_check(&member, cx->d));
        TRY(add_unique(cx, b, buf_view(&member), 4, name.len));
    }
    return OK;
}

UPDATE(update_bag)
{
    for (uint32_t i = 0; i < n; i++) {
        set_size(states[i], c);
        if (!row_is_null(args[0], i)) TRY(add_members(cx, states[i], vec_str(args[0], i)));
    }
    return OK;
}

UPDATE_IF(update_bagif, update_bag)

MERGE(merge_bag)
{
    struct value v;
    set_size(into_, c);
    TRY(finish_as(cx, from_, true, &v));
    return add_members(cx, into_, v.s);
}

FINISH(finish_bag)
{
    (void)c;
    return finish_as(cx, state_, true, out);
}

static const char *named(struct arena *a, const char *prefix, const char *arg_name)
{
    return arena_fmt(a, "%s_%s", prefix, arg_name);
}
static const char *name_list(struct arena *a, const char *arg_name, const struct agg_call *c)
{
    (void)c;
    return named(a, "list", arg_name);
}
static const char *name_set(struct arena *a, const char *arg_name, const struct agg_call *c)
{
    (void)c;
    return named(a, "set", arg_name);
}
static const char *name_bag(struct arena *a, const char *arg_name, const struct agg_call *c)
{
    (void)c;
    return named(a, "bag", arg_name);
}

/* What is neither the value nor a condition is the size. */
static enum err check_size(const struct agg_call *c, struct diag *d)
{
    for (uint32_t i = 1; i < c->n_args; i++) {
        if (c->arg_types[i] == T_BOOL || c->consts[i] != NULL) continue;
        return FAIL_TAG(d, ERR_INVALID, "SEM0100", "%s(): the greatest size must be a constant",
                        c->agg->name);
    }
    return OK;
}

#define SIZE ARG_LONG
#define LIST(name_, min, max, update_, merge_, finish_, auto_, doc_, example_, expect_, ...)    \
    {                                                                                           \
        .name = name_, .arity_min = min, .arity_max = max, .args = {__VA_ARGS__},               \
        .ret = T_DYNAMIC, .check = check_size, .state_size = sizeof(struct bag),                \
        .update = update_, .merge = merge_, .finish = finish_, .auto_name = auto_, .doc = doc_, \
        .example = example_, .expect = expect_                                                  \
    }
#define NUMBERS "range x from 1 to 4 step 1 | summarize "

static const struct agg rows[] = {
    LIST("make_bag", 1, 2, update_bag, merge_bag, finish_bag, name_bag,
         "A bag of the members of all bags; the first of a name stays.",
         NUMBERS "make_bag(bag_pack('k', x))", "{\"k\":1}", ARG_DYNAMIC, SIZE),
    LIST("make_bag_if", 2, 3, update_bagif, merge_bag, finish_bag, name_bag,
         "make_bag() of the rows for which a condition holds.",
         NUMBERS "make_bag_if(bag_pack('k', x), x > 1)", "{\"k\":2}", ARG_DYNAMIC, ARG_BOOL, SIZE),
    LIST("make_dictionary", 1, 2, update_bag, merge_bag, finish_bag, name_bag,
         "The same as make_bag().", NULL, NULL, ARG_DYNAMIC, SIZE),
    LIST("make_list", 1, 2, update_list, merge_list, finish_list, name_list,
         "An array of all values that are not null.", NUMBERS "make_list(x, 3)", "[1,2,3]",
         ARG(ANY_SCALAR), SIZE),
    LIST("make_list_if", 2, 3, update_listif, merge_list, finish_list, name_list,
         "make_list() of the rows for which a condition holds.", NUMBERS "make_list_if(x, x > 2)",
         "[3,4]", ARG(ANY_SCALAR), ARG_BOOL, SIZE),
    LIST("make_list_with_nulls", 1, 1, update_list_with_nulls, merge_list, finish_list, name_list,
         "An array of all values, nulls too.",
         NUMBERS "make_list_with_nulls(iff(x == 2, long(null), x))", "[1,null,3,4]",
         ARG(ANY_SCALAR)),
    LIST("make_set", 1, 2, update_set, merge_set, finish_list, name_set,
         "An array of the distinct values.", NUMBERS "make_set(x % 2)", "[1,0]", ARG(ANY_SCALAR),
         SIZE),
    LIST("make_set_if", 2, 3, update_setif, merge_set, finish_list, name_set,
         "make_set() of the rows for which a condition holds.", NUMBERS "make_set_if(x, x > 2)",
         "[3,4]", ARG(ANY_SCALAR), ARG_BOOL, SIZE),
    LIST("makelist", 1, 2, update_list, merge_list, finish_list, name_list,
         "The same as make_list().", NULL, NULL, ARG(ANY_SCALAR), SIZE),
    LIST("makeset", 1, 2, update_set, merge_set, finish_list, name_set, "The same as make_set().",
         NULL, NULL, ARG(ANY_SCALAR), SIZE),
};
const struct agg_family agg_list = {rows, sizeof rows / sizeof *rows};
