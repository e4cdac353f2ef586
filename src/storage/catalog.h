/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage/catalog.h - the catalogue behind an interface: SQLite today, PostgreSQL later
 *
 * A few kinds of small records, each addressed by (kind, id) with an optional parent to list by.
 * What must be hidden or protected is sealed or MACed before it comes here: the catalogue sees
 * bytes. Every write is in a transaction and durable (synchronous=FULL) when commit returns.
 *
 *      kind         id                        parent             value
 *      resource     ARM id, lower case        type, lower case   JSON
 *      operation    guid                      -                  JSON
 *      outbox       guid of the event         -                  JSON, sealed: what the activity log is to be told
 *      account      account id, hex           workspace id       JSON: scope, cluster
 *      wrap         account/aek/gen, hex      account            MACed wrap record (keys.md)
 *      state        account id, hex           -                  MACed key state
 *      table        table id, hex             workspace id       sealed entry (platform key): name, schema
 *      segment      file id, hex              table id           sealed manifest entry (platform key)
 *      log          file id, hex              account            sealed manifest entry of a log file
 */
#pragma once

#include "base/bytes.h"

struct catalog;
struct catalog_txn;

struct catalog_row { /* borrowed for the call */
    const char *id, *parent;
    struct bytes value;
};
typedef enum err catalog_visit(void *ctx, const struct catalog_row *row, struct diag *d);

struct catalog_ops {
    /* One writer at a time: begin waits for the other. A transaction sees its own writes. */
    enum err (*begin)(struct catalog *c, struct catalog_txn **out, struct diag *d);
    /* Ends t, whatever it answers. After a failure nothing has changed for this process, but until
     * another commit has succeeded the next start may find the change done: what was refused is
     * written, and only not known to be durable. Nobody may undo on the disk before that what the
     * change relies on. */
    enum err (*commit)(struct catalog_txn *t, struct diag *d);
    void (*rollback)(struct catalog_txn *t); /* ends t; NULL is fine */
    enum err (*put)(struct catalog_txn *t, const char *kind, const char *id, const char *parent,
                    struct bytes value, struct diag *d);
    enum err (*remove)(struct catalog_txn *t, const char *kind, const char *id, struct diag *d);
    /* Reads; t may be NULL: then the last committed state. Appends to out; ERR_NOT_FOUND. */
    enum err (*get)(struct catalog *c, struct catalog_txn *t, const char *kind, const char *id,
                    struct buf *out, struct diag *d);
    /* In order of id. parent NULL = all of the kind. prefix NULL = any id. */
    enum err (*list)(struct catalog *c, struct catalog_txn *t, const char *kind, const char *parent,
                     const char *prefix, catalog_visit *visit, void *ctx, struct diag *d);
    /* n consecutive numbers that nobody else ever gets, durably reserved before it returns. */
    enum err (*reserve)(struct catalog *c, const char *counter, uint64_t n, uint64_t *first,
                        struct diag *d);
    void (*close)(struct catalog *c);
};

struct catalog { /* an implementation's struct begins with this */
    const struct catalog_ops *ops;
};

enum err catalog_open_sqlite(struct catalog **out, const char *path, struct diag *d);
