/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/kql/tables.h - the corpora's tables as a catalogue, and their queries as a client
 * sends them */
#pragma once

#include "test.h"

#include "base/map.h"
#include "base/str.h"
#include "json/json.h"
#include "kql/kql.h"

#include <stdlib.h>

/* --- a catalogue made of name: (column:type, ...) --------------------------------------------- */

struct tables {
    struct arena a;
    struct map by_name;
    const char **names;
    uint32_t n;
    struct {
        const char *name;
        struct schema *schema;
    } odd[8]; /* whose time is a text in the list */
    uint32_t n_odd;
};

static void read_schema(struct arena *a, const char *text, struct schema *out)
{
    uint32_t n = 0;
    struct column *cols = arena_array(a, struct column, strlen(text) / 2 + 1);
    char *copy = arena_str(a, bytes_str(text)), *save = NULL;
    REQUIRE(cols != NULL && copy != NULL);
    for (char *c = strtok_r(copy, "(),", &save); c != NULL; c = strtok_r(NULL, "(),", &save)) {
        char *colon = strrchr(c, ':');
        REQUIRE(colon != NULL);
        *colon = '\0';
        if (str_starts(c, "['") && str_ends(c, "']")) {
            c += 2;
            c[strlen(c) - 2] = '\0';
        }
        cols[n].name = c;
        REQUIRE(type_parse(colon + 1, &cols[n++].type, NULL) == OK);
    }
    *out = (struct schema){.n = n, .cols = cols};
}

/* Three tables of the list say string, which no workspace takes, and which splits the column of every
 * `union *`. What was recorded over those three themselves shows it. */
static inline void time_is_a(struct schema *s, enum type type)
{
    for (uint32_t i = 0; i < s->n; i++) {
        struct column *c = (struct column *)(uintptr_t)&s->cols[i];
        if (str_eq(c->name, "TimeGenerated")) c->type = type;
    }
}

static bool time_is_text(const struct schema *s)
{
    for (uint32_t i = 0; i < s->n; i++)
        if (str_eq(s->cols[i].name, "TimeGenerated")) return s->cols[i].type == T_STRING;
    return false;
}

static inline json_t *shared(const char *name)
{
    const char *path = test_shared(name);
    json_t *doc = path != NULL ? json_load_file(path, 0, NULL) : NULL;
    REQUIRE(path == NULL || doc != NULL);
    return doc;
}

static void load_tables(struct tables *t, const json_t *doc)
{
    json_t *tables = json_object_get(doc, "tables"), *value;
    const char *name;
    REQUIRE(tables != NULL);
    arena_init(&t->a, 0);
    t->names = arena_array(&t->a, const char *, json_object_size(tables) + 1);
    json_object_foreach (tables, name, value) {
        struct schema *s = arena_new(&t->a, struct schema);
        read_schema(&t->a, json_string_value(value), s);
        REQUIRE(map_put(&t->by_name, bytes_str(name), s, NULL, NULL) == OK);
        t->names[t->n++] = arena_str(&t->a, bytes_str(name));
        if (!time_is_text(s)) continue;
        REQUIRE(t->n_odd < sizeof t->odd / sizeof t->odd[0]);
        t->odd[t->n_odd].name = t->names[t->n - 1];
        t->odd[t->n_odd++].schema = s;
        time_is_a(s, T_DATETIME);
    }
}

/* The tables as they were when the query's schema was recorded. */
static inline void tables_for(struct tables *t, const char *query)
{
    for (uint32_t i = 0; i < t->n_odd; i++) {
        bool named = strstr(query, t->odd[i].name) != NULL;
        time_is_a(t->odd[i].schema, named ? T_STRING : T_DATETIME);
    }
}

static enum err find(void *ctx, const char *name, const struct schema **schema, void **table,
                     struct diag *d)
{
    struct tables *t = ctx;
    *schema = map_get(&t->by_name, bytes_str(name));
    *table = (void *)(uintptr_t)*schema;
    return *schema != NULL ? OK : FAIL(d, ERR_NOT_FOUND, "no table %s", name);
}

static const char *name_at(void *ctx, uint32_t i)
{
    struct tables *t = ctx;
    return i < t->n ? t->names[i] : NULL;
}

/* A workbook fills datetime({Start}) and time("{Range}") in before it sends the query. */
static inline char *filled(const char *query)
{
    char *q = str_dup(query);
    REQUIRE(q != NULL);
    for (char *at = q; (at = strstr(at, "time(")) != NULL;) {
        bool date = at - q >= 4 && strncmp(at - 4, "date", 4) == 0;
        at += 5;
        char *end = strchr(at, ')');
        if (end == NULL || (*at != '{' && at[1] != '{') || end - at < 4) continue;
        memset(at, ' ', (size_t)(end - at));
        memcpy(at, date ? "2024" : "1d  ", 4);
    }
    return q;
}
