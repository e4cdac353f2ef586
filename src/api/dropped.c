/* SPDX-License-Identifier: Apache-2.0 */
/* api/dropped.c - counters as small documents of the catalogue */
#include "api/dropped.h"

#include "base/str.h"

#include <stdlib.h>

struct dropped {
    struct docs *docs;
};

enum err dropped_open(struct dropped **out, struct docs *docs, struct diag *d)
{
    struct dropped *x = calloc(1, sizeof *x);
    if (x == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    x->docs = docs;
    *out = x;
    return OK;
}

void dropped_free(struct dropped *x)
{
    free(x);
}

static json_t *counter(const char *table, const char *reason, json_int_t rows)
{
    return json_pack("{s:s, s:s, s:I}", "table", table, "reason", reason, "rows", rows);
}

static bool is_spooled(const json_t *j)
{
    const char *reason = json_string_value(json_object_get(j, "reason"));
    return reason != NULL && str_eq(reason, COUNT_SPOOLED);
}

enum err dropped_add(struct dropped *x, const uint8_t account[16], const char *table,
                     const char *reason, uint64_t rows, struct diag *d)
{
    char hex[33];
    hex_encode(bytes_of(account, 16), hex);
    CLEANUP_FREE char *id = str_fmt("%s/%s/%s", hex, table, reason);
    if (id == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    DOCS_WRITE(x->docs);
    CLEANUP_JSON json_t *old = docs_get(x->docs, DOC_COUNTER, id);
    json_int_t before = json_integer_value(json_object_get(old, "rows"));
    CLEANUP_CHANGE struct change c = {0};
    change_put(&c, DOC_COUNTER, id, hex, counter(table, reason, before + (json_int_t)rows));
    return docs_commit(x->docs, &c, d);
}

/* --- spools ----------------------------------------------------------------------------------- */

static json_int_t lost_of(const char *table, json_int_t spooled, const struct dropped_kept *kept,
                          uint32_t n_kept)
{
    for (uint32_t i = 0; i < n_kept; i++) {
        if (!str_eq(kept[i].table, table)) continue;
        return (uint64_t)spooled > kept[i].rows ? spooled - (json_int_t)kept[i].rows : 0;
    }
    return spooled;
}

static enum err end_one(struct dropped *x, struct change *c, const char *hex, const char *reason,
                        const char *table, json_int_t lost, struct diag *d)
{
    CLEANUP_FREE char *spooled = str_fmt("%s/%s/%s", hex, table, COUNT_SPOOLED);
    CLEANUP_FREE char *id = str_fmt("%s/%s/%s", hex, table, reason);
    if (spooled == NULL || id == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    change_put(c, DOC_COUNTER, spooled, hex, counter(table, COUNT_SPOOLED, 0));
    if (lost == 0) return OK;
    CLEANUP_JSON json_t *old = docs_get(x->docs, DOC_COUNTER, id);
    json_int_t before = json_integer_value(json_object_get(old, "rows"));
    change_put(c, DOC_COUNTER, id, hex, counter(table, reason, before + lost));
    return OK;
}

enum err dropped_spool_end(struct dropped *x, const uint8_t account[16], const char *reason,
                           const struct dropped_kept *kept, uint32_t n_kept, struct diag *d)
{
    char hex[33];
    hex_encode(bytes_of(account, 16), hex);
    DOCS_WRITE(x->docs);
    CLEANUP_JSON json_t *list = docs_list(x->docs, DOC_COUNTER, hex, NULL);
    CLEANUP_CHANGE struct change c = {0};
    size_t i;
    json_t *j;
    bool any = false;
    json_array_foreach (list, i, j) {
        const char *table = json_string_value(json_object_get(j, "table"));
        json_int_t rows = json_integer_value(json_object_get(j, "rows"));
        if (!is_spooled(j) || rows == 0) continue;
        TRY(end_one(x, &c, hex, reason, table, lost_of(table, rows, kept, n_kept), d));
        any = true;
    }
    return any ? docs_commit(x->docs, &c, d) : OK;
}

/* Without what waits in spools. Takes list. */
static json_t *only_dropped(json_t *list)
{
    json_t *out = json_array();
    size_t i;
    json_t *j;
    json_array_foreach (list, i, j) {
        if (!is_spooled(j)) json_array_append(out, j);
    }
    json_decref(list);
    return out;
}

json_t *dropped_list(struct dropped *x, const uint8_t account[16])
{
    char hex[33];
    hex_encode(bytes_of(account, 16), hex);
    return only_dropped(docs_list(x->docs, DOC_COUNTER, hex, NULL));
}

json_t *dropped_all(struct dropped *x)
{
    return only_dropped(docs_list(x->docs, DOC_COUNTER, NULL, NULL));
}

static uint64_t sum_of(struct dropped *x, const uint8_t account[16], bool spooled)
{
    char hex[33];
    hex_encode(bytes_of(account, 16), hex);
    CLEANUP_JSON json_t *list = docs_list(x->docs, DOC_COUNTER, hex, NULL);
    uint64_t sum = 0;
    size_t i;
    json_t *j;
    json_array_foreach (list, i, j) {
        if (is_spooled(j) == spooled)
            sum += (uint64_t)json_integer_value(json_object_get(j, "rows"));
    }
    return sum;
}

uint64_t dropped_total(struct dropped *x, const uint8_t account[16])
{
    return sum_of(x, account, false);
}

uint64_t dropped_spooled(struct dropped *x, const uint8_t account[16])
{
    return sum_of(x, account, true);
}
