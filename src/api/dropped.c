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
    change_put(&c, DOC_COUNTER, id, hex,
               json_pack("{s:s, s:s, s:I}", "table", table, "reason", reason, "rows",
                         before + (json_int_t)rows));
    return docs_commit(x->docs, &c, d);
}

json_t *dropped_list(struct dropped *x, const uint8_t account[16])
{
    char hex[33];
    hex_encode(bytes_of(account, 16), hex);
    return docs_list(x->docs, DOC_COUNTER, hex, NULL);
}

uint64_t dropped_total(struct dropped *x, const uint8_t account[16])
{
    CLEANUP_JSON json_t *list = dropped_list(x, account);
    uint64_t sum = 0;
    size_t i;
    json_t *j;
    json_array_foreach (list, i, j) {
        sum += (uint64_t)json_integer_value(json_object_get(j, "rows"));
    }
    return sum;
}
