/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource/rule_endpoint.c - Microsoft.Insights/dataCollectionEndpoints: where senders find the
 * ingestion API
 *
 * A document: id name location kind tags etag immutable description access. There is one front
 * door, and every endpoint names it.
 */
#include "resource/plane.h"

static json_t *show(const struct arm *a, const json_t *doc)
{
    json_t *p =
        json_pack("{s:s, s:{s:s}, s:{s:s}, s:{s:s}, s:s}", "immutableId", doc_str(doc, "immutable"),
                  "configurationAccess", "endpoint", a->c.endpoint, "logsIngestion", "endpoint",
                  a->c.endpoint, "networkAcls", "publicNetworkAccess", doc_str(doc, "access"),
                  "provisioningState", "Succeeded");
    if (doc_str(doc, "description")[0] != '\0') {
        json_object_set(p, "description", json_object_get(doc, "description"));
    }
    json_t *j =
        json_pack("{s:o, s:s, s:o, s:s, s:s, s:s, s:o}", "properties", p, "location",
                  doc_str(doc, "location"), "tags", arm_tags(doc), "id", doc_str(doc, "id"), "name",
                  doc_str(doc, "name"), "type", "Microsoft.Insights/dataCollectionEndpoints",
                  "etag", json_sprintf("\"%s\"", doc_str(doc, "etag")));
    if (doc_str(doc, "kind")[0] != '\0') json_object_set(j, "kind", json_object_get(doc, "kind"));
    return j;
}

enum err endpoint_get(struct arm_call *c, struct diag *d)
{
    CLEANUP_JSON json_t *doc = NULL;
    TRY(arm_need_doc(c, &doc, d));
    return arm_reply(c, 200, show(c->arm, doc), d);
}

enum err endpoint_list(struct arm_call *c, struct diag *d)
{
    CLEANUP_JSON json_t *docs = arm_list_docs(c, KIND_ENDPOINT);
    json_t *values = json_array(), *doc;
    size_t i;
    json_array_foreach (docs, i, doc)
        json_array_append_new(values, show(c->arm, doc));
    return arm_reply_list(c, values, d);
}

static json_t *new_doc(struct arm_call *c, const char *location)
{
    struct guid g;
    char immutable[37] = "dce-";
    guid_random(&g);
    hex_encode(BYTES_OF(g), immutable + 4);
    return json_pack("{s:s, s:s, s:s, s:s, s:s}", "id", c->id_text, "name", arm_id_name(c->id),
                     "location", location, "immutable", immutable, "access", "Enabled");
}

static enum err read_text(struct arm_call *c, json_t *doc, const char *name, const json_t *v,
                          struct diag *d)
{
    if (v == NULL || json_is_null(v)) return OK;
    if (!json_is_string(v) || json_string_length(v) > 256) {
        return ARM_FAIL(c, d, 400, "InvalidPayload", "%s must be a text of at most 256 bytes.",
                        name);
    }
    return json_put(doc, name, json_deep_copy(v), d);
}

static enum err read_into(struct arm_call *c, json_t *doc, struct diag *d)
{
    const char *access = json_string_value(
        json_at(c->body, "properties", "networkAcls", "publicNetworkAccess", NULL));
    if (access != NULL && !str_eq_nocase(access, "Enabled")) {
        return ARM_FAIL(c, d, 400, "InvalidPayload",
                        "networkAcls.publicNetworkAccess: '%.40s' is not supported: there are no "
                        "private links. Set it to Enabled.",
                        access);
    }
    TRY(read_text(c, doc, "description", json_at(c->body, "properties", "description", NULL), d));
    TRY(read_text(c, doc, "kind", json_get(c->body, "kind"), d));
    return arm_stamp(c, doc, d);
}

static enum err write_endpoint(struct arm_call *c, bool is_put, struct diag *d)
{
    TRY(arm_need_body(c, d));
    if (!arm_name_valid(arm_id_name(c->id), 3, 44)) {
        return ARM_FAIL(c, d, 400, "InvalidResourceName",
                        "The name of a data collection endpoint has 3 to 44 letters, digits and "
                        "inner dashes.");
    }
    DOCS_WRITE(c->arm->docs);
    CLEANUP_JSON json_t *old = arm_get_doc(c);
    if (old == NULL && !is_put) return arm_not_found(c, d);
    TRY(arm_check_etag(c, old, d));
    const char *location = NULL;
    TRY(arm_read_location(c, old, &location, d));
    CLEANUP_JSON json_t *doc = old != NULL ? json_deep_copy(old) : new_doc(c, location);
    if (doc == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    TRY(read_into(c, doc, d));
    CLEANUP_CHANGE struct change change = {0};
    change_put(&change, DOC_RESOURCE, c->key, KIND_ENDPOINT, json_incref(doc));
    TRY(arm_commit(c, &change, d));
    return arm_reply(c, old == NULL ? 201 : 200, show(c->arm, doc), d);
}

enum err endpoint_put(struct arm_call *c, struct diag *d)
{
    return write_endpoint(c, true, d);
}

enum err endpoint_patch(struct arm_call *c, struct diag *d)
{
    return write_endpoint(c, false, d);
}

enum err endpoint_remove(struct arm_call *c, struct diag *d)
{
    return arm_remove(c, false, d);
}
