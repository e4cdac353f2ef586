/* SPDX-License-Identifier: Apache-2.0 */
/*
 * func/agg_schema.c - buildschema: the smallest schema that all values fit
 *
 * One type is written as its name, a bag as a bag of schemas, an array as {"`indexer`": schema of
 * its elements}; several alternatives as an array, first what is made of parts, then the names in
 * order. A null says nothing about the type.
 */
#include "func/agg_kernel.h"

#include "base/map.h"
#include "column/dyn.h"

#define MEMBERS_MAX 100000 /* of one bag; a schema of more helps nobody */

struct node {
    struct bytes name; /* in the bag above */
    uint32_t kinds;    /* 1 << enum dyn_kind */
    struct node *element;
    struct node **members, **slots; /* in order of appearance; by hash of the name */
    uint32_t n, cap, n_slots;
};

/* --- collecting ------------------------------------------------------------------------------- */

static struct node **slot_of(const struct node *bag, struct bytes name)
{
    for (uint64_t h = hash_bytes(name, 0);; h++) {
        struct node **slot = &bag->slots[h & (bag->n_slots - 1)];
        if (*slot == NULL || bytes_eq((*slot)->name, name)) return slot;
    }
}

static bool grow(struct arena *a, struct node *bag)
{
    uint32_t cap = bag->cap != 0 ? bag->cap * 2 : 8;
    struct node **members = arena_array(a, struct node *, cap);
    struct node **slots = arena_array(a, struct node *, (size_t)cap * 2);
    if (members == NULL || slots == NULL) return false;
    if (bag->n != 0) memcpy(members, bag->members, bag->n * sizeof *members);
    bag->members = members;
    bag->slots = slots;
    bag->cap = cap;
    bag->n_slots = cap * 2;
    for (uint32_t i = 0; i < bag->n; i++)
        *slot_of(bag, members[i]->name) = members[i];
    return true;
}

static enum err member_of(struct agg_cx *cx, struct node *bag, struct bytes name, struct node **out)
{
    if (bag->n == bag->cap) {
        if (bag->n >= MEMBERS_MAX)
            return FAIL(cx->d, ERR_LIMIT, "buildschema(): a bag has more than %d names",
                        MEMBERS_MAX);
        if (!grow(cx->a, bag)) return arena_full(cx->a, cx->d);
    }
    struct node **slot = slot_of(bag, name);
    if (*slot == NULL) {
        struct node *m = arena_new(cx->a, struct node);
        if (m == NULL) return arena_full(cx->a, cx->d);
        m->name = arena_bytes(cx->a, name);
        if (name.len != 0 && m->name.p == NULL) return arena_full(cx->a, cx->d);
        *slot = bag->members[bag->n++] = m;
    }
    *out = *slot;
    return OK;
}

static enum err element_of(struct agg_cx *cx, struct node *array, struct node **out)
{
    if (array->element == NULL) array->element = arena_new(cx->a, struct node);
    if (array->element == NULL) return arena_full(cx->a, cx->d);
    *out = array->element;
    return OK;
}

/* As deep as a dynamic may be: DYN_DEPTH_MAX. */
static enum err learn(struct agg_cx *cx, struct node *node, struct bytes dyn)
{
    struct dyn_iter it;
    struct bytes name, value;
    enum dyn_kind kind = dyn_kind(dyn);
    if (kind == DYN_NULL) return OK;
    node->kinds |= 1U << kind;
    if (!dyn_iter_init(&it, dyn)) return OK;
    if (kind == DYN_ARRAY) TRY(element_of(cx, node, &node->element));
    while (dyn_iter_next(&it, &name, &value)) {
        struct node *part = node->element;
        if (kind == DYN_BAG) TRY(member_of(cx, node, name, &part));
        TRY(learn(cx, part, value));
    }
    return OK;
}

UPDATE(update_schema)
{
    (void)c;
    for (uint32_t i = 0; i < n; i++)
        TRY(learn(cx, states[i], vec_str(args[0], i)));
    return OK;
}

static enum err merge_nodes(struct agg_cx *cx, struct node *into, const struct node *from)
{
    into->kinds |= from->kinds;
    if (from->element != NULL) {
        struct node *element;
        TRY(element_of(cx, into, &element));
        TRY(merge_nodes(cx, element, from->element));
    }
    for (uint32_t i = 0; i < from->n; i++) {
        struct node *member;
        TRY(member_of(cx, into, from->members[i]->name, &member));
        TRY(merge_nodes(cx, member, from->members[i]));
    }
    return OK;
}

MERGE(merge_schema)
{
    (void)c;
    return merge_nodes(cx, into_, from_);
}

/* --- writing ---------------------------------------------------------------------------------- */

static const struct {
    enum dyn_kind kind;
    const char *name;
} simple[] = {
    /* in order of the names */
    {DYN_BOOL, "bool"},     {DYN_DATETIME, "datetime"}, {DYN_DECIMAL, "decimal"},
    {DYN_REAL, "double"},   {DYN_GUID, "guid"},         {DYN_LONG, "long"},
    {DYN_STRING, "string"}, {DYN_TIMESPAN, "timespan"},
};

static void put_text(struct buf *out, const char *text)
{
    struct value v = {.type = T_STRING, .s = bytes_str(text)};
    value_to_dyn(&v, out);
}

static void put_node(const struct node *node, struct buf *out);

static void put_parts(const struct node *node, struct buf *out)
{
    uint32_t count = node->n;
    size_t at = dyn_bag_begin(out);
    for (uint32_t i = 0; i < node->n; i++) {
        dyn_bag_name(out, node->members[i]->name);
        put_node(node->members[i], out);
    }
    if (node->element != NULL) {
        dyn_bag_name(out, BYTES("`indexer`"));
        put_node(node->element, out);
        count++;
    }
    dyn_bag_end(out, at, count);
}

static void put_node(const struct node *node, struct buf *out)
{
    bool parts = (node->kinds & (1U << DYN_BAG | 1U << DYN_ARRAY)) != 0;
    uint32_t count = parts;
    size_t at = 0;
    for (size_t i = 0; i < sizeof simple / sizeof simple[0]; i++)
        count += (node->kinds >> simple[i].kind & 1) != 0;
    if (count == 0) buf_u8(out, 'n');
    if (count > 1) at = dyn_array_begin(out);
    if (parts) put_parts(node, out);
    for (size_t i = 0; i < sizeof simple / sizeof simple[0]; i++) {
        if ((node->kinds >> simple[i].kind & 1) != 0) put_text(out, simple[i].name);
    }
    if (count > 1) dyn_array_end(out, at, count);
}

FINISH(finish_schema)
{
    (void)c;
    CLEANUP_BUF struct buf b = {.max = arena_room(cx->a)};
    const struct node *root = state_;
    *out = (struct value){.type = T_DYNAMIC, .is_null = true};
    if (root->kinds == 0) return OK;
    put_node(root, &b);
    TRY(buf_check(&b, cx->d));
    *out = (struct value){.type = T_DYNAMIC, .s = arena_bytes(cx->a, buf_view(&b))};
    return out->s.p != NULL ? OK : arena_full(cx->a, cx->d);
}

static const struct agg rows[] = {
    {.name = "buildschema",
     .arity_min = 1,
     .arity_max = 1,
     .args = {ARG_DYNAMIC},
     .ret = T_DYNAMIC,
     .state_size = sizeof(struct node),
     .update = update_schema,
     .merge = merge_schema,
     .finish = finish_schema,
     .doc = "The smallest schema that all bags fit.",
     .example = "range x from 1 to 2 step 1 | summarize buildschema(bag_pack('a', x, 'b', "
                "pack_array('t', x)))",
     .expect = "{\"a\":\"long\",\"b\":{\"`indexer`\":[\"long\",\"string\"]}}"},
};
const struct agg_family agg_schema = {rows, sizeof rows / sizeof *rows};
