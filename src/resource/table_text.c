/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource/table_text.c - what is said of a table and its columns for people: names to show,
 * descriptions, what a text means
 *
 * Sealed in the table's document, {displayName, description, columns: {name: {displayName, description,
 * dataTypeHint}}}: the names of columns are not on the disk in plain.
 */
#include "resource/table.h"

#define TEXT_MAX 1024 /* bytes */

static const char *const table_texts[] = {"displayName", "description", NULL};
static const char *const column_texts[] = {"displayName", "description", "dataTypeHint", NULL};

/* Takes over what is there and is not null; "" takes it away. */
static enum err copy(struct arm_call *c, const json_t *from, const char *const *names, json_t *to,
                     struct diag *d)
{
    for (; *names != NULL; names++) {
        const json_t *v = json_get(from, *names);
        if (v == NULL || json_is_null(v)) continue;
        if (!json_is_string(v) || json_string_length(v) > TEXT_MAX) {
            return ARM_FAIL(c, d, 400, "InvalidParameter", "%s must be a text of at most %d bytes.",
                            *names, TEXT_MAX);
        }
        if (json_string_length(v) == 0) {
            json_object_del(to, *names);
        } else {
            TRY(json_put(to, *names, json_deep_copy(v), d));
        }
    }
    return OK;
}

static bool hint_valid(const json_t *column)
{
    static const char *const hints[] = {"uri", "guid", "armPath", "ip"};
    const char *hint = json_get_str(column, "dataTypeHint");
    if (hint == NULL || hint[0] == '\0') return true;
    for (size_t i = 0; i < sizeof hints / sizeof hints[0]; i++) {
        if (str_eq_nocase(hint, hints[i])) return true;
    }
    return false;
}

static enum err read_columns(struct arm_call *c, const json_t *schema, json_t *texts,
                             struct diag *d)
{
    json_t *all = json_object_get(texts, "columns");
    if (all == NULL) TRY(json_put(texts, "columns", all = json_object(), d));
    size_t i;
    json_t *column;
    json_array_foreach (json_get(schema, "columns"), i, column) {
        const char *name = json_get_str(column, "name");
        if (name == NULL) continue;
        if (!hint_valid(column)) {
            return table_bad(c, d, "The dataTypeHint of a column is none of uri, guid, armPath, ip",
                             name);
        }
        CLEANUP_JSON json_t *its = json_deep_copy(json_object_get(all, name));
        if (its == NULL) its = json_object();
        TRY(copy(c, column, column_texts, its, d));
        if (json_object_size(its) != 0) {
            TRY(json_put(all, name, json_incref(its), d));
        } else {
            json_object_del(all, name);
        }
    }
    return OK;
}

enum err table_read_texts(struct arm_call *c, const char *key, const json_t *doc, json_t **out,
                          struct diag *d)
{
    const json_t *schema = json_at(c->body, "properties", "schema", NULL);
    CLEANUP_JSON json_t *texts = NULL;
    if (!json_is_object(schema)) return OK;
    if (json_object_get(doc, "sealed") != NULL) TRY(arm_unseal(c->arm, key, doc, &texts, d));
    if (texts == NULL) texts = json_object();
    TRY(copy(c, schema, table_texts, texts, d));
    TRY(read_columns(c, schema, texts, d));
    *out = TAKE(texts);
    return OK;
}

enum err table_keep_texts(struct arm *a, const char *key, const json_t *texts, json_t *doc,
                          struct diag *d)
{
    if (texts == NULL) return OK;
    bool is_empty =
        json_object_size(texts) == 1 && json_object_size(json_object_get(texts, "columns")) == 0;
    json_object_del(doc, "sealed");
    return is_empty ? OK : arm_seal(a, key, texts, doc, d);
}

static void show_columns(json_t *list, const json_t *texts)
{
    size_t i;
    json_t *column;
    json_array_foreach (list, i, column) {
        json_t *its = json_object_get(texts, json_get_str(column, "name"));
        if (its != NULL) json_object_update(column, its);
    }
}

void table_show_texts(struct arm *a, const char *key, const json_t *doc, json_t *schema)
{
    CLEANUP_JSON json_t *texts = NULL;
    struct diag d = DIAG_INIT;
    if (json_object_get(doc, "sealed") == NULL || arm_unseal(a, key, doc, &texts, &d) != OK) return;
    for (const char *const *name = table_texts; *name != NULL; name++) {
        json_t *v = json_object_get(texts, *name);
        if (v != NULL) json_object_set(schema, *name, v);
    }
    show_columns(json_object_get(schema, "columns"), json_object_get(texts, "columns"));
}
