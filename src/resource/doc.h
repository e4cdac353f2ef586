/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource/doc.h - the documents behind resources, operations and accounts: in memory, backed by
 * the catalogue
 *
 * (1) A document is never changed once it is here: readers hold references without a lock. A change
 *     is a new document (json_deep_copy(), edit, commit).
 * (2) Memory is changed only after the catalogue has committed; several documents change together
 *     or not at all.
 * (3) Read, decide, commit is one step only under the writers' lock: DOCS_WRITE(). It is never held
 *     over a call to another process.
 *
 * Documents are addressed by (kind, id) and listed by (kind, parent): the kinds and ids of
 * storage/catalog.h.
 */
#pragma once

#include "base/thread.h"
#include "json/json.h"
#include "storage/catalog.h"

struct docs;

#define DOC_RESOURCE  "resource"
#define DOC_OPERATION "operation"
#define DOC_ACCOUNT   "account"
#define DOC_COUNTER   "counter" /* rows dropped, by account, table and reason */
#define DOC_OUTBOX    "outbox"  /* events that the activity log is to be told (outbox.h) */

/* Loads all documents of the kinds above. */
enum err docs_open(struct docs **out, struct catalog *catalog, struct diag *d);
void docs_close(struct docs *s);

json_t *docs_get(struct docs *s, const char *kind,
                 const char *id); /* a new reference; NULL: none */
/* An array of new references in order of id. parent NULL: all of the kind. prefix NULL: any id. */
json_t *docs_list(struct docs *s, const char *kind, const char *parent, const char *prefix);
/* The parent that it is listed by; "" = none. Valid until the document is changed. */
const char *docs_parent(struct docs *s, const char *kind, const char *id);
json_t *docs_ids(struct docs *s, const char *kind);                  /* an array of all ids */
bool docs_any(struct docs *s, const char *kind, const char *prefix); /* an id that begins so */

#define CHANGE_MAX 4096 /* documents */

struct change { /* all-zero is empty; freed by docs_commit() or change_release() */
    struct change_item *items;
    uint32_t n, cap;
    bool bad;
};
void change_put(struct change *c, const char *kind, const char *id, const char *parent, json_t *j);
void change_remove(struct change *c, const char *kind, const char *id);
/* Removes all resources whose id begins so: the parts of one that goes. */
void change_remove_parts(struct change *c, struct docs *s, const char *prefix);
/* At most max of them, none whose id begins with except (NULL: no exception); true if there are
 * more. */
bool change_remove_some(struct change *c, struct docs *s, const char *prefix, const char *except,
                        uint32_t max);
/* The id of the first document of the kind that the change puts; NULL: none. */
const char *change_puts(const struct change *c, const char *kind);
void change_release(struct change *c);
#define CLEANUP_CHANGE __attribute__((cleanup(change_release)))

/* Durable when it returns OK. c is empty afterwards either way. */
enum err docs_commit(struct docs *s, struct change *c, struct diag *d);

pthread_mutex_t *docs_writers(struct docs *s);
#define DOCS_WRITE(s) LOCK_SCOPE(docs_writers(s)) /* (3) */

DEFINE_CLEANUP(docs_close, struct docs)
