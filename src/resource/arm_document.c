/* SPDX-License-Identifier: Apache-2.0 */
/* resource/arm_document.c - what types whose resource is one document do alike: list, stamp, delete */
#include "resource/plane.h"

enum err arm_reply_docs(struct arm_call *c, const char *kind, arm_show *show, struct diag *d)
{
    CLEANUP_JSON json_t *docs = arm_list_docs(c, kind);
    json_t *values = json_array(), *doc;
    size_t i;
    json_array_foreach (docs, i, doc)
        json_array_append_new(values, show(c, doc));
    return arm_reply_list(c, values, d);
}

enum err arm_check_etag(struct arm_call *c, const json_t *doc, struct diag *d)
{
    return arm_check_match(c, doc != NULL ? arena_fmt(c->a, "\"%s\"", doc_str(doc, "etag")) : NULL,
                           d);
}

enum err arm_stamp(struct arm_call *c, json_t *doc, struct diag *d)
{
    struct guid g;
    char etag[GUID_TEXT_MAX];
    guid_random(&g);
    guid_format(&g, etag);
    CLEANUP_JSON json_t *tags = arm_tags(doc);
    TRY(arm_read_tags(c, &tags, d));
    TRY(json_put(doc, "tags", json_incref(tags), d));
    return json_put(doc, "etag", json_string(etag), d);
}

enum err arm_remove(struct arm_call *c, bool match, struct diag *d)
{
    DOCS_WRITE(c->arm->docs);
    CLEANUP_JSON json_t *old = arm_get_doc(c);
    c->res->status = old == NULL ? 204 : 200;
    if (old == NULL) return OK;
    if (match) TRY(arm_check_etag(c, old, d));
    CLEANUP_CHANGE struct change change = {0};
    change_remove(&change, DOC_RESOURCE, c->key);
    return docs_commit(c->arm->docs, &change, d);
}
