/* SPDX-License-Identifier: Apache-2.0 */
/* server/records.c - custody's records written in one transaction, read in order */
#include "server/records.h"

#include "custody/root.h"

/* A root goes over the one it was made for, or not at all: keyd's transactions never pass each
 * other.
 */
static enum err root_may_follow(struct catalog *c, struct catalog_txn *t,
                                const struct custody_record *r, struct diag *d)
{
    CLEANUP_BUF struct buf stored = {0};
    struct diag why = DIAG_INIT;
    enum err e = c->ops->get(c, t, r->kind, r->id, &stored, &why);
    if (e != OK && e != ERR_NOT_FOUND) return FAIL(d, e, "%s", why.text);
    if (root_follows(buf_view(&stored), r->value)) return OK;
    return FAIL(d, ERR_CONFLICT, "the catalogue has another root record than keyd knows");
}

static enum err write_all(struct catalog *c, struct catalog_txn *t,
                          const struct custody_record *records, size_t n, struct diag *d)
{
    for (size_t i = 0; i < n; i++) {
        const struct custody_record *r = &records[i];
        if (strcmp(r->kind, "root") == 0) TRY(root_may_follow(c, t, r, d));
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
