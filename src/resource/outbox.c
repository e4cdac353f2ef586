/* SPDX-License-Identifier: Apache-2.0 */
/* resource/outbox.c - what the activity log is still to be told: kept with the change it tells of */
#include "resource/outbox.h"

#include "base/log.h"
#include "resource/plane.h"

#include <stdlib.h>

#define TOLD_MAX 64 /* taken out with one change */

struct ids {
    char (*v)[GUID_TEXT_MAX];
    size_t n, cap;
};

struct outbox {
    pthread_mutex_t m;
    struct ids told, late; /* in the catalogue: to be taken out; to be told again */
};

struct outbox *outbox_new(void)
{
    struct outbox *o = calloc(1, sizeof *o);
    if (o != NULL) pthread_mutex_init(&o->m, NULL);
    return o;
}

void outbox_free(struct outbox *o)
{
    if (o == NULL) return;
    free(o->told.v);
    free(o->late.v);
    pthread_mutex_destroy(&o->m);
    free(o);
}

/* What does not fit in memory is found at the next start (2). */
static void add(struct outbox *o, struct ids *ids, const char *id)
{
    LOCK_SCOPE(&o->m);
    if (ids->n == ids->cap) {
        size_t cap = ids->cap == 0 ? 64 : ids->cap * 2;
        void *more = realloc(ids->v, cap * sizeof *ids->v);
        if (more == NULL) return;
        ids->v = more;
        ids->cap = cap;
    }
    snprintf(ids->v[ids->n++], GUID_TEXT_MAX, "%s", id);
}

static bool take(struct outbox *o, struct ids *ids, char out[GUID_TEXT_MAX])
{
    LOCK_SCOPE(&o->m);
    if (ids->n == 0) return false;
    memcpy(out, ids->v[--ids->n], GUID_TEXT_MAX);
    return true;
}

/* --- an event as a document ------------------------------------------------------------------- */

static const struct {
    const char *name;
    size_t at;
} texts[] = {
#define TEXT(field)                               \
    {                                             \
#field, offsetof(struct arm_event, field) \
    }
    TEXT(action),    TEXT(resource), TEXT(caller),  TEXT(correlation),
    TEXT(operation), TEXT(peer),     TEXT(method),  TEXT(client_request),
    TEXT(status),    TEXT(code),     TEXT(message),
#undef TEXT
};

static json_t *document_of(const struct arm_event *e)
{
    json_t *j = json_pack("{s:I, s:i}", "time", (json_int_t)e->time_us, "http", e->http);
    for (size_t i = 0; j != NULL && i < sizeof texts / sizeof texts[0]; i++) {
        const char *text;
        memcpy(&text, (const char *)e + texts[i].at, sizeof text);
        if (text != NULL) json_object_set_new(j, texts[i].name, json_string(text));
    }
    return j;
}

/* The id of a table's resource is its name: that is not on the disk in plain. A plane without a store
 * (a test's) has nothing to seal with, and no tables. NULL: it can't be sealed; the change fails. */
static json_t *sealed(struct arm *a, const struct arm_event *e)
{
    CLEANUP_JSON json_t *plain = document_of(e), *doc = json_object();
    struct diag d = DIAG_INIT;
    if (a->store == NULL) return TAKE(plain);
    if (arm_seal(a, e->id, plain, doc, &d) == OK) return TAKE(doc);
    LOG(ERROR, "activity.unsealed", F_ERR(&d));
    return NULL;
}

static json_t *opened(struct arm *a, const char *id, json_t *doc)
{
    json_t *plain = NULL;
    struct diag d = DIAG_INIT;
    if (json_object_get(doc, "sealed") == NULL) return json_incref(doc);
    if (arm_unseal(a, id, doc, &plain, &d) == OK) return plain;
    LOG(ERROR, "activity.unreadable", F_STR("event", id), F_ERR(&d));
    return NULL;
}

/* Borrows the document. */
static struct arm_event event_of(const char *id, const json_t *doc)
{
    struct arm_event e = {.id = id,
                          .time_us = doc_int(doc, "time"),
                          .http = (int)doc_int(doc, "http"),
                          .again = true};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const char *text = json_string_value(json_object_get(doc, texts[i].name));
        memcpy((char *)&e + texts[i].at, &text, sizeof text);
    }
    return e;
}

/* --- in and out ------------------------------------------------------------------------------- */

void outbox_put(struct arm *a, struct change *c, const struct arm_event *e)
{
    char id[GUID_TEXT_MAX];
    if (a->c.event == NULL) return;
    change_put(c, DOC_OUTBOX, e->id, "", sealed(a, e));
    for (int i = 0; i < TOLD_MAX && take(a->outbox, &a->outbox->told, id); i++)
        change_remove(c, DOC_OUTBOX, id); /* (3) */
}

void arm_tell(struct arm *a, const struct arm_event *e, bool noted)
{
    if (a->c.event == NULL) return;
    bool told = a->c.event(a->c.event_ctx, e);
    if (noted) add(a->outbox, told ? &a->outbox->told : &a->outbox->late, e->id);
}

static void tell_again(struct arm *a, const char *id)
{
    CLEANUP_JSON json_t *doc = docs_get(a->docs, DOC_OUTBOX, id);
    CLEANUP_JSON json_t *plain = doc != NULL ? opened(a, id, doc) : NULL;
    if (plain == NULL) return;
    const struct arm_event e = event_of(id, plain);
    arm_tell(a, &e, true);
}

void outbox_replay(struct arm *a)
{
    if (a->c.event == NULL) return;
    CLEANUP_JSON json_t *ids = docs_ids(a->docs, DOC_OUTBOX);
    size_t i;
    json_t *id;
    json_array_foreach (ids, i, id)
        tell_again(a, json_string_value(id));
    if (json_array_size(ids) != 0)
        LOG(INFO, "activity.replayed", F_U64("events", json_array_size(ids)));
}

void outbox_tidy(struct arm *a)
{
    char id[GUID_TEXT_MAX];
    size_t n = 0;
    {
        LOCK_SCOPE(&a->outbox->m);
        n = a->outbox->late.n;
    }
    while (n-- > 0 && take(a->outbox, &a->outbox->late, id)) /* what fails again comes back */
        tell_again(a, id);
}
