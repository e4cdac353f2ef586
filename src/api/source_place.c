/* SPDX-License-Identifier: Apache-2.0 */
/* api/source_place.c - other workspaces that a query names: each is let in once */
#include "api/source.h"

#include "base/str.h"

struct source_name { /* workspace("w") has meant that */
    struct source_name *next;
    const char *function, *name;
    const struct kql_catalog *catalog;
};

/* By its ids; its name may be another's, too, which the door knows. */
static bool is_own(const struct source_tables *own, const char *name)
{
    for (size_t i = own->door != NULL ? 1 : 0; i < 3; i++) {
        if (own->names[i] != NULL && str_eq_nocase(own->names[i], name)) return true;
    }
    return false;
}

static const struct kql_catalog *find_known(const struct source_tables *own, const char *function,
                                            const char *name)
{
    const struct source_name *k = own->known;
    while (k != NULL && !(str_eq(k->function, function) && str_eq(k->name, name)))
        k = k->next;
    return k != NULL ? k->catalog : NULL;
}

static enum err remember(struct source_tables *own, const char *function, const char *name,
                         const struct kql_catalog *catalog, struct diag *d)
{
    struct source_name *k = arena_new(own->a, struct source_name);
    if (k == NULL) return arena_full(own->a, d);
    *k = (struct source_name){.next = own->known,
                              .function = arena_str(own->a, bytes_str(function)),
                              .name = arena_str(own->a, bytes_str(name)),
                              .catalog = catalog};
    if (k->function == NULL || k->name == NULL) return arena_full(own->a, d);
    own->known = k;
    return OK;
}

static struct source_tables *find_place(struct source_tables *own, const struct guid *workspace)
{
    struct source_tables *t = own;
    while (t != NULL && memcmp(&t->workspace, workspace, sizeof *workspace) != 0)
        t = t->next;
    return t;
}

static enum err new_place(struct source_tables *own, const struct workspace *w,
                          struct source_tables **out, struct diag *d)
{
    struct source_tables *t = arena_new(own->a, struct source_tables);
    if (t == NULL) return arena_full(own->a, d);
    *t = (struct source_tables){.store = own->store,
                                .workspace = w->id,
                                .names = {arena_str(own->a, bytes_str(w->name)),
                                          arena_str(own->a, bytes_str(w->customer_id)),
                                          arena_str(own->a, bytes_str(w->arm_id))},
                                .by_database = own->by_database,
                                .a = own->a,
                                .arm = own->arm,
                                .own = own};
    if (t->names[0] == NULL || t->names[1] == NULL || t->names[2] == NULL)
        return arena_full(own->a, d);
    if (own->n_others + 1 >= SOURCE_PLACES_MAX) {
        return FAIL_TAG(d, ERR_LIMIT, "SEM0001", "the query names more than %d workspaces",
                        SOURCE_PLACES_MAX);
    }
    TRY(own->door->admit(own->door->ctx, w, t, d));
    source_fill_catalog(t);
    t->next = own->next;
    own->next = t;
    own->n_others++;
    *out = t;
    return OK;
}

static enum err let_in(struct source_tables *own, const char *function, const char *name,
                       const struct kql_catalog **out, struct diag *d)
{
    struct workspace w = {0};
    TRY(own->door->find(own->door->ctx, function, name, &w, d));
    if (str_eq(function, "cluster")) {
        *out = &own->cluster;
        return OK;
    }
    struct source_tables *t = find_place(own, &w.id);
    if (t == NULL) TRY(new_place(own, &w, &t, d));
    *out = &t->catalog;
    return OK;
}

enum err source_place(void *ctx, const char *function, const char *name,
                      const struct kql_catalog **out, struct diag *d)
{
    struct source_tables *own = ((struct source_tables *)ctx)->own;
    if (!str_eq(function, "cluster") && !str_eq(function, "app") && is_own(own, name)) {
        *out = &own->catalog;
        return OK;
    }
    const struct kql_catalog *known = find_known(own, function, name);
    if (known == NULL) {
        if (own->door == NULL)
            return FAIL(d, ERR_UNSUPPORTED, "tables of another %s can't be read here", function);
        TRY(let_in(own, function, name, &known, d));
        TRY(remember(own, function, name, known, d));
    }
    *out = known;
    return OK;
}

const char *source_place_name(void *ctx, uint32_t i)
{
    struct source_tables *own = ((struct source_tables *)ctx)->own;
    const struct source_door *door = own->door;
    struct diag d = DIAG_INIT;
    if (own->listed == NULL &&
        (door == NULL || door->list(door->ctx, own->a, &own->listed, &own->n_listed, &d) != OK))
        return NULL; /* out of memory: the binder will say so */
    return i < own->n_listed ? own->listed[i] : NULL;
}

enum err source_add(struct source_tables *t, const char *name, struct diag *d)
{
    struct kql_catalog *own = &t->catalog;
    const struct kql_catalog *other;
    TRY(source_place(t, "workspace", name, &other, d));
    if (other == own) return OK;
    for (uint32_t i = 0; i < own->n_also; i++) {
        if (t->also[i] == other) return OK;
    }
    if (t->also == NULL) t->also = arena_array(t->a, const struct kql_catalog *, SOURCE_PLACES_MAX);
    if (t->also == NULL) return arena_full(t->a, d);
    t->also[own->n_also++] = other;
    own->also = t->also;
    struct source_tables *place = other->ctx; /* one log of both is read once */
    if (memcmp(&place->activity, &t->activity, sizeof t->activity) == 0)
        place->sees_activity = false;
    return OK;
}
