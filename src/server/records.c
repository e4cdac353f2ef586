/* SPDX-License-Identifier: Apache-2.0 */
/* server/records.c - custody's records written in one transaction, read in order */
#include "server/records.h"

static enum err write_all(struct catalog *c, struct catalog_txn *t,
                          const struct custody_record *records, size_t n, struct diag *d)
{
    for (size_t i = 0; i < n; i++) {
        const struct custody_record *r = &records[i];
        if (r->value.len != 0) {
            TRY(c->ops->put(t, r->kind, r->id, r->parent, r->value, d));
        } else {
            TRY(c->ops->remove(t, r->kind, r->id, d));
        }
    }
    return OK;
}

enum err records_persist(void *catalog, const struct custody_record *records, size_t n,
                         struct diag *d)
{
    struct catalog *c = catalog;
    struct catalog_txn *t = NULL;
    TRY(c->ops->begin(c, &t, d));
    enum err e = write_all(c, t, records, n, d);
    if (e == OK) return c->ops->commit(t, d);
    c->ops->rollback(t);
    return e;
}

struct visit {
    const char *kind;
    enum err (*visit)(void *ctx, const struct custody_record *r, struct diag *d);
    void *ctx;
};

static enum err pass_on(void *ctx, const struct catalog_row *row, struct diag *d)
{
    const struct visit *v = ctx;
    const struct custody_record r = {v->kind, row->id, row->parent, row->value};
    return v->visit(v->ctx, &r, d);
}

enum err records_load(void *catalog, const char *kind,
                      enum err (*visit)(void *visit_ctx, const struct custody_record *r,
                                        struct diag *d),
                      void *visit_ctx, struct diag *d)
{
    struct catalog *c = catalog;
    struct visit v = {kind, visit, visit_ctx};
    return c->ops->list(c, NULL, kind, NULL, NULL, pass_on, &v, d);
}
