/* SPDX-License-Identifier: Apache-2.0 */
/* identity/row.c - new ids, and rows of the store as JSON */
#include "identity/state.h"

#include <stdio.h>

void new_id(char out[GUID_TEXT_MAX])
{
    struct guid g;
    guid_random(&g);
    guid_format(&g, out);
}

bool row_text(const json_t *row, const char *name, char *out, size_t size)
{
    const char *text = json_string_value(json_object_get(row, name));
    return text != NULL && (size_t)snprintf(out, size, "%s", text) < size;
}

enum err row_put(struct identity *id, const char *table, const char *key, json_t *j, struct diag *d)
{
    CLEANUP_JSON json_t *own = j;
    CLEANUP_BUF struct buf text = {0};
    if (own == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    TRY(json_write(own, &text, d));
    return kvstore_put(id->store, table, key, buf_view(&text), d);
}

/* --- rows that have had their time
 * ------------------------------------------------------------------------- */

struct sweep {
    struct identity *id;
    const char *table;
    int64_t now_us;
};

static enum err drop_dead(void *ctx, const char *key, struct bytes value, struct diag *d)
{
    const struct sweep *s = ctx;
    CLEANUP_JSON json_t *j = NULL;
    if (json_read(value, &j, NULL) == OK &&
        json_integer_value(json_object_get(j, "untilUs")) > s->now_us) {
        return OK;
    }
    return kvstore_delete(s->id->store, s->table, key, d);
}

enum err rows_tidy(struct identity *id, const char *table, int64_t now_us, struct diag *d)
{
    struct sweep s = {id, table, now_us};
    LOCK_SCOPE(&id->lock);
    return kvstore_each(id->store, table, "", drop_dead, &s, d);
}
