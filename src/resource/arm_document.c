/* SPDX-License-Identifier: Apache-2.0 */
/* resource/arm_document.c - what types whose resource is one document do alike: list, stamp, delete */
#include "resource/plane.h"

const char *doc_str(const json_t *doc, const char *name)
{
    const char *s = json_string_value(json_object_get(doc, name));
    return s != NULL ? s : "";
}

int64_t doc_int(const json_t *doc, const char *name)
{
    return json_integer_value(json_object_get(doc, name));
}

json_t *arm_doc(struct arm *a, const char *key)
{
    return docs_get(a->docs, DOC_RESOURCE, key);
}

json_t *arm_get_doc(struct arm_call *c)
{
    return arm_doc(c->arm, c->key);
}

enum err arm_need_doc(struct arm_call *c, json_t **out, struct diag *d)
{
    json_t *doc = arm_get_doc(c);
    if (doc == NULL) return arm_not_found(c, d);
    *out = doc;
    return OK;
}

json_t *arm_list_docs(struct arm_call *c, const char *kind)
{
    const struct arm_id *parent = arm_id_parent(c->a, c->id);
    const char *prefix = NULL;
    if (parent != NULL) {
        prefix = arena_fmt(c->a, "%s/", arm_id_key(c->a, parent));
    } else if (c->id->group != NULL) {
        prefix = arena_fmt(c->a, "/subscriptions/%s/resourcegroups/%s/", c->id->subscription,
                           c->id->group);
    } else if (c->id->subscription != NULL) {
        prefix = arena_fmt(c->a, "/subscriptions/%s/", c->id->subscription);
    }
    if (prefix != NULL) {
        char *lower = arena_str(c->a, bytes_str(prefix));
        if (lower != NULL) str_lower(lower);
        prefix = lower;
    }
    return docs_list(c->arm->docs, DOC_RESOURCE, kind, prefix);
}

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
    return arm_commit(c, &change, d);
}

enum err arm_seal(struct arm *a, const char *key, const json_t *secret, json_t *doc, struct diag *d)
{
    CLEANUP_BUF struct buf plain = {0}, sealed = {0}, text = {0};
    if (a->store == NULL) return FAIL(d, ERR_UNAVAILABLE, "the store is not open");
    TRY(json_write(secret, &plain, d));
    TRY(store_seal(a->store, key, buf_view(&plain), &sealed, d));
    base64_encode(&text, buf_view(&sealed));
    TRY(buf_check(&text, d));
    return json_put(doc, "sealed", json_stringn((const char *)text.p, text.len), d);
}

enum err arm_unseal(struct arm *a, const char *key, const json_t *doc, json_t **secret,
                    struct diag *d)
{
    CLEANUP_BUF struct buf sealed = {0}, plain = {0};
    if (a->store == NULL) return FAIL(d, ERR_UNAVAILABLE, "the store is not open");
    TRY(base64_decode(&sealed, bytes_str(doc_str(doc, "sealed")), d));
    TRY(store_unseal(a->store, key, buf_view(&sealed), &plain, d));
    return json_read(buf_view(&plain), secret, d);
}

json_t *arm_date(enum arm_dates how, int64_t us)
{
    char text[TIME_TEXT_MAX];
    if (how == ARM_DATES_ISO) {
        time_format_iso7(us, text);
    } else {
        time_format_rfc1123(us, text);
    }
    return json_string(text);
}

json_t *arm_tags(const json_t *doc)
{
    json_t *tags = json_object_get(doc, "tags");
    return tags != NULL ? json_incref(tags) : json_object();
}
