/* SPDX-License-Identifier: Apache-2.0 */
/* cli/infer.c - one pass over all rows, so that no row is a surprise */
#include "cli/infer.h"

#include "base/str.h"

enum kind { UNKNOWN, BOOLEAN, WHOLE, REAL, NESTED, TEXT };
static const char *const kind_types[] = {"string", "boolean", "long", "real", "dynamic", "string"};

static enum kind kind_of(const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_OBJECT:
    case JSON_ARRAY: return NESTED;
    case JSON_STRING: return TEXT;
    case JSON_INTEGER: return WHOLE;
    case JSON_REAL: return REAL;
    case JSON_TRUE:
    case JSON_FALSE: return BOOLEAN;
    case JSON_NULL: break;
    }
    return UNKNOWN;
}

static enum kind both(enum kind a, enum kind b)
{
    if (a == UNKNOWN || a == b) return b;
    if (b == UNKNOWN) return a;
    if ((a == WHOLE && b == REAL) || (a == REAL && b == WHOLE)) return REAL;
    return TEXT;
}

/* kinds: name -> kind, in order of first appearance. */
static enum err add_row(json_t *kinds, struct bytes row, struct diag *d)
{
    CLEANUP_JSON json_t *o = NULL;
    TRY(json_read(row, &o, d));
    const char *name;
    json_t *v;
    json_object_foreach(o, name, v) {
        json_t *known = json_object_get(kinds, name);
        enum kind k = both((enum kind)json_integer_value(known), kind_of(v));
        if (known != NULL && json_integer_value(known) == k) continue;
        if (known == NULL && json_object_size(kinds) == INFER_COLUMNS_MAX) {
            return FAIL(d, ERR_LIMIT, "the rows have more than %d columns", INFER_COLUMNS_MAX);
        }
        if (json_object_set_new(kinds, name, json_integer(k)) != 0) return FAIL(d, ERR_LIMIT, "out of memory");
    }
    return OK;
}

static enum err add_column(json_t *list, const char *name, const char *type, struct diag *d)
{
    json_t *c = json_pack("{s:s, s:s}", "name", name, "type", type);
    if (c == NULL || json_array_append_new(list, c) != 0) return FAIL(d, ERR_LIMIT, "out of memory");
    return OK;
}

enum err infer_columns(const struct log_rows *r, json_t **out, struct diag *d)
{
    CLEANUP_JSON json_t *kinds = json_object(), *list = json_array();
    for (size_t i = 0; i < log_rows_count(r); i++) TRY(add_row(kinds, log_rows_at(r, i), d));
    TRY(add_column(list, "TimeGenerated", "datetime", d));
    const char *name;
    json_t *k;
    json_object_foreach(kinds, name, k) {
        if (str_eq(name, "TimeGenerated")) continue;
        TRY(add_column(list, name, kind_types[json_integer_value(k)], d));
    }
    *out = TAKE(list);
    return OK;
}
