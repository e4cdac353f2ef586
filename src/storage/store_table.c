/* SPDX-License-Identifier: Apache-2.0 */
/* storage/store_table.c - tables: names, columns, retention */
#include "storage/store_impl.h"

#include <stdlib.h>

int table_time_column(const struct schema *s)
{
    int i = schema_find(s, "TimeGenerated");
    return i >= 0 && s->cols[i].type == T_DATETIME ? i : -1;
}

/* A copy that lives as long as the store: first, then the columns of more. */
static enum err keep_schema(struct store *s, const struct schema *first, const struct schema *more,
                            const struct table_schema **out, struct diag *d)
{
    uint32_t n = first->n + more->n;
    struct table_schema *kept = arena_new(&s->schemas, struct table_schema);
    struct column *stored = arena_array(&s->schemas, struct column, n + 1);
    if (kept == NULL || stored == NULL) return arena_full(&s->schemas, d);
    struct column *cols = stored + 1;
    stored[0] = (struct column){RECEIVED_COLUMN, T_DATETIME};
    for (uint32_t i = 0; i < n; i++) {
        const struct column *from = i < first->n ? &first->cols[i] : &more->cols[i - first->n];
        cols[i].type = from->type;
        cols[i].name = arena_str(&s->schemas, bytes_str(from->name));
        if (cols[i].name == NULL) return arena_full(&s->schemas, d);
    }
    *kept = (struct table_schema){{n, cols}, {n + 1, stored}};
    *out = kept;
    return OK;
}

static enum err check_columns(const struct schema *s, const struct schema *more, struct diag *d)
{
    for (uint32_t i = 0; i < more->n; i++) {
        const struct column *c = &more->cols[i];
        struct schema before = {i, more->cols};
        if (c->type <= T_NONE || c->type >= N_TYPES || c->name[0] == 0) {
            return FAIL(d, ERR_INVALID, "column %u needs a name and a type", s->n + i);
        }
        if (schema_find(s, c->name) >= 0 || schema_find(&before, c->name) >= 0) {
            return FAIL(d, ERR_CONFLICT, "column '%s' is there already", c->name);
        }
    }
    return OK;
}

void table_free(struct table *t)
{
    if (t == NULL) return;
    for (struct part *p = t->parts; p != NULL;) {
        struct part *next = p->next_of_table;
        part_free(p);
        p = next;
    }
    pthread_mutex_destroy(&t->alter_lock);
    free(t);
}
enum err table_new(struct store *s, const struct table_entry *e, struct table **out, struct diag *d)
{
    CLEANUP(table_free) struct table *t = calloc(1, sizeof *t);
    if (t == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    const struct table_schema *schema = NULL;
    pthread_mutex_init(&t->alter_lock, NULL);
    t->store = s;
    t->workspace = e->workspace;
    t->id = e->id;
    t->retention_days = e->retention_days;
    t->name = arena_str(&s->schemas, bytes_str(e->name));
    if (t->name == NULL) return arena_full(&s->schemas, d);
    TRY(keep_schema(s, &e->schema, &(struct schema){0}, &schema, d));
    t->schema = schema;
    if (s->n_tables == s->cap_tables) {
        uint32_t cap = s->cap_tables != 0 ? s->cap_tables * 2 : 16;
        struct table **more = realloc(s->tables, cap * sizeof(struct table *));
        if (more == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
        s->tables = more;
        s->cap_tables = cap;
    }
    *out = s->tables[s->n_tables++] = TAKE(t);
    return OK;
}

static enum err put_table(struct store *s, const struct table_entry *e, struct diag *d)
{
    CLEANUP_BUF struct buf body = {0}, sealed = {0};
    char id[33], workspace[GUID_TEXT_MAX];
    id_hex(e->id.b, id);
    guid_format(&e->workspace, workspace);
    TRY(table_entry_encode(e, &body, d));
    TRY(manifest_seal(s->manifest, "table", id, buf_view(&body), &sealed, d));
    return store_put_entry(s, "table", id, workspace, buf_view(&sealed), d);
}

static struct table *table_named(struct store *s, const struct guid *workspace, const char *name)
{
    for (uint32_t i = 0; i < s->n_tables; i++) {
        struct table *t = s->tables[i];
        if (guid_eq(&t->workspace, workspace) && str_eq(t->name, name)) return t;
    }
    return NULL;
}

enum err store_table_create(struct store *s, const struct guid *workspace, const char *name,
                            const struct schema *schema, struct table **out, struct diag *d)
{
    struct column received = {RECEIVED_COLUMN, T_DATETIME};
    TRY(check_columns(&(struct schema){1, &received}, schema, d));
    if (name[0] == 0) return FAIL(d, ERR_INVALID, "a table needs a name");
    LOCK_SCOPE(&s->lock);
    if (table_named(s, workspace, name) != NULL) {
        return FAIL(d, ERR_CONFLICT, "table '%s' is there already", name);
    }
    struct table_entry e = {.workspace = *workspace, .name = (char *)name, .schema = *schema};
    guid_random(&e.id);
    TRY(put_table(s, &e, d));
    return table_new(s, &e, out, d);
}

enum err store_table_find(struct store *s, const struct guid *workspace, const char *name,
                          struct table **out, struct diag *d)
{
    LOCK_SCOPE(&s->lock);
    struct table *t = table_named(s, workspace, name);
    if (t == NULL) return FAIL(d, ERR_NOT_FOUND, "there is no table '%.200s'", name);
    *out = t;
    return OK;
}

struct table *store_table_by_id(struct store *s, const struct guid *id)
{
    LOCK_SCOPE(&s->lock);
    for (uint32_t i = 0; i < s->n_tables; i++) {
        if (guid_eq(&s->tables[i]->id, id)) return s->tables[i];
    }
    return NULL;
}

static struct table_entry entry_of(const struct table *t)
{
    return (struct table_entry){.workspace = t->workspace,
                                .id = t->id,
                                .retention_days = t->retention_days,
                                .name = t->name,
                                .schema = t->schema->named};
}

enum err store_table_add_columns(struct store *s, struct table *t, const struct schema *more,
                                 struct diag *d)
{
    LOCK_SCOPE(&t->alter_lock);
    TRY(check_columns(&t->schema->stored, more, d));
    const struct table_schema *wider = NULL;
    pthread_mutex_lock(&s->lock);
    enum err e = keep_schema(s, &t->schema->named, more, &wider, d);
    pthread_mutex_unlock(&s->lock);
    if (e != OK) return e;
    struct table_entry entry = entry_of(t);
    entry.schema = wider->named;
    TRY(put_table(s, &entry, d));
    t->schema = wider;
    return OK;
}

enum err store_table_set_retention(struct store *s, struct table *t, uint32_t days, struct diag *d)
{
    LOCK_SCOPE(&t->alter_lock);
    struct table_entry entry = entry_of(t);
    entry.retention_days = days;
    TRY(put_table(s, &entry, d));
    t->retention_days = days;
    return OK;
}

/* It keeps its id, so that logs and segments find it; no name that a caller may give begins so. */
#define DROPPED '\x01'

enum err store_table_drop(struct store *s, struct table *t, struct diag *d)
{
    LOCK_SCOPE(&t->alter_lock);
    char name[2 + 2 * sizeof t->id.b] = {DROPPED};
    id_hex(t->id.b, name + 1);
    struct table_entry entry = entry_of(t);
    entry.name = name;
    entry.retention_days = 1;
    TRY(put_table(s, &entry, d));
    pthread_mutex_lock(&s->lock);
    char *kept = arena_str(&s->schemas, bytes_str(name)); /* the old one may be read still */
    if (kept != NULL) t->name = kept;
    t->retention_days = 1;
    pthread_mutex_unlock(&s->lock);
    return kept != NULL ? OK : arena_full(&s->schemas, d);
}

uint32_t store_table_retention(const struct table *t)
{
    return t->retention_days;
}

const struct schema *store_table_schema(struct table *t)
{
    return &t->schema->named;
}

const char *store_table_name(const struct table *t)
{
    return t->name;
}

const struct guid *store_table_id(const struct table *t)
{
    return &t->id;
}

struct table *store_table_at(struct store *s, const struct guid *workspace, uint32_t i)
{
    LOCK_SCOPE(&s->lock);
    for (uint32_t k = 0; k < s->n_tables; k++) {
        const struct table *t = s->tables[k];
        if (t->name[0] == DROPPED || !guid_eq(&t->workspace, workspace)) continue;
        if (i-- == 0) return s->tables[k];
    }
    return NULL;
}
