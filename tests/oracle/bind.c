/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/oracle/bind.c - what our parser and binder say of many queries, for tests/oracle/compare.py
 *
 * oracle_bind TABLES.json QUERIES.json: a line of JSON for each query, {"id", "ok", "error", "code",
 * "at", "columns": [{"name", "type"}]}. Nothing is run: columns that only the data knows are not
 * there.
 */
#include "../unit/kql/tables.h"

#include <stdio.h>

static void say(const char *id, enum err e, const struct plan *p, const struct diag *d)
{
    CLEANUP_JSON json_t *line = json_object();
    json_object_set_new(line, "id", json_string(id));
    json_object_set_new(line, "ok", json_boolean(e == OK));
    if (e == OK) {
        json_t *columns = json_array();
        for (uint32_t i = 0; i < p->root->schema.n; i++) {
            const struct column *c = &p->root->schema.cols[i];
            json_array_append_new(
                columns, json_pack("{s:s, s:s}", "name", c->name, "type", type_name(c->type)));
        }
        json_object_set_new(line, "columns", columns);
    } else {
        json_object_set_new(line, "error", json_string(d->text));
        json_object_set_new(line, "code", json_string(d->tag));
        json_object_set_new(line, "at", json_integer(d->pos));
        json_object_set_new(line, "refused", json_boolean(e == ERR_UNSUPPORTED));
    }
    json_dumpf(line, stdout, JSON_COMPACT);
    putchar('\n');
}

int main(int argc, char **argv)
{
    if (argc != 3) return fprintf(stderr, "usage: oracle_bind TABLES.json QUERIES.json\n"), 2;
    CLEANUP_JSON json_t *doc = json_load_file(argv[1], 0, NULL);
    CLEANUP_JSON json_t *queries = json_load_file(argv[2], 0, NULL);
    if (doc == NULL || queries == NULL) return fprintf(stderr, "no JSON there\n"), 2;
    struct tables tables = {0};
    load_tables(&tables, doc);
    const struct kql_catalog catalog = {
        .ctx = &tables, .table = find, .table_name = name_at, .has_received = true};
    const struct kql_options options = {.now_ticks = TICKS_UNIX + 1700000000 * TICKS_PER_S};
    size_t i;
    json_t *q;
    json_array_foreach (queries, i, q) {
        struct arena a;
        struct plan plan;
        struct diag d = DIAG_INIT;
        arena_init(&a, 0);
        const char *text = json_get_str(q, "query");
        enum err e = kql_compile(&a, bytes_str(text), &catalog, &options, &plan, &d);
        say(json_get_str(q, "id"), e, &plan, &d);
        arena_release(&a);
    }
    map_release(&tables.by_name);
    arena_release(&tables.a);
    return 0;
}
