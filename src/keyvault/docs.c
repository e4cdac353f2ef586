/* SPDX-License-Identifier: Apache-2.0 */
/* keyvault/docs.c - JSON documents in the sealed store */
#include "keyvault/service.h"

enum err kv_doc_get(struct keyvault *kv, const char *table, const char *key, json_t **out,
                    struct diag *d)
{
    CLEANUP_BUF struct buf b = {0};
    struct diag why = DIAG_INIT;
    enum err e = kvstore_get(kv->store, table, key, &b, &why);
    if (e == ERR_NOT_FOUND) {
        *out = NULL;
        return OK;
    }
    if (e != OK) return FAIL(d, e, "%s", why.text);
    return json_read(buf_view(&b), out, d);
}

enum err kv_doc_put(struct keyvault *kv, const char *table, const char *key, const json_t *j,
                    struct diag *d)
{
    if (j == NULL) return kv_out_of_memory(d);
    CLEANUP_BUF struct buf b = {0};
    TRY(json_write(j, &b, d));
    return kvstore_put(kv->store, table, key, buf_view(&b), d);
}

struct walk {
    doc_visit *visit;
    void *ctx;
};

static enum err visit_row(void *ctx, const char *key, struct bytes value, struct diag *d)
{
    struct walk *w = ctx;
    CLEANUP_JSON json_t *j = NULL;
    TRY(json_read(value, &j, d));
    return w->visit(w->ctx, key, j, d);
}

enum err kv_doc_each_after(struct keyvault *kv, const char *table, const char *prefix,
                           const char *after, doc_visit *visit, void *ctx, struct diag *d)
{
    struct walk w = {visit, ctx};
    return kvstore_each_after(kv->store, table, prefix, after, visit_row, &w, d);
}

enum err kv_doc_each(struct keyvault *kv, const char *table, const char *prefix, doc_visit *visit,
                     void *ctx, struct diag *d)
{
    return kv_doc_each_after(kv, table, prefix, "", visit, ctx, d);
}

void kv_copy_member(json_t *to, const json_t *from, const char *name)
{
    json_t *v = json_get(from, name);
    if (v != NULL) json_object_set(to, name, v);
}

bool kv_is_word(const char *s, size_t min, size_t max)
{
    size_t n = strspn(s, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-");
    return s[n] == 0 && n >= min && n <= max;
}
