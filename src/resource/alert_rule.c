/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource/alert_rule.c - Microsoft.Insights/scheduledQueryRules: kept, checked and shown; nothing
 * here evaluates them
 *
 * A document: id name location kind tags etag version (that it was made with), and sealed: its
 * properties, whose queries name tables. What they must be: alert_rule_body.c.
 */
#include "resource/alert_rule.h"

#define LEGACY_UNTIL "2020-05-01-preview" /* before it: source, schedule and action */

/* --- writing ---------------------------------------------------------------------------------- */

static bool is_legacy(const json_t *doc)
{
    struct api_version v;
    return api_version_parse(doc_str(doc, "version"), &v) && !api_version_at_least(v, LEGACY_UNTIL);
}

static enum err show(struct arm_call *c, const json_t *doc, json_t **out, struct diag *d)
{
    CLEANUP_FREE char *key = str_dup(doc_str(doc, "id"));
    json_t *p = NULL;
    if (key == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    str_lower(key);
    TRY(arm_unseal(c->arm, key, doc, &p, d));
    if (is_legacy(doc)) {
        json_object_set_new(p, "provisioningState", json_string("Succeeded"));
    } else {
        json_object_set_new(p, "createdWithApiVersion", json_string(doc_str(doc, "version")));
        json_object_set_new(p, "isLegacyLogAnalyticsRule", json_false());
        json_object_set_new(p, "isWorkspaceAlertsStorageConfigured",
                            json_boolean(alert_storage_is_linked(c, json_get(p, "scopes"))));
    }
    json_t *j = json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:o}", "id", doc_str(doc, "id"), "name",
                          doc_str(doc, "name"), "type", "Microsoft.Insights/scheduledQueryRules",
                          "location", doc_str(doc, "location"), "tags", arm_tags(doc), "etag",
                          json_sprintf("\"%s\"", doc_str(doc, "etag")), "properties", p);
    if (doc_str(doc, "kind")[0] != '\0') json_object_set(j, "kind", json_object_get(doc, "kind"));
    *out = j;
    return j != NULL ? OK : FAIL(d, ERR_LIMIT, "out of memory");
}

static enum err reply(struct arm_call *c, int status, const json_t *doc, struct diag *d)
{
    json_t *j = NULL;
    TRY(show(c, doc, &j, d));
    return arm_reply(c, status, j, d);
}

enum err alert_rule_get(struct arm_call *c, struct diag *d)
{
    CLEANUP_JSON json_t *doc = NULL;
    TRY(arm_need_doc(c, &doc, d));
    return reply(c, 200, doc, d);
}

enum err alert_rule_list(struct arm_call *c, struct diag *d)
{
    CLEANUP_JSON json_t *docs = arm_list_docs(c, KIND_ALERT_RULE), *values = json_array();
    json_t *doc;
    size_t i;
    json_array_foreach (docs, i, doc) {
        json_t *j = NULL;
        TRY(show(c, doc, &j, d));
        json_array_append_new(values, j);
    }
    return arm_reply_list(c, TAKE(values), d);
}

/* --- changing --------------------------------------------------------------------------------- */

static enum err store(struct arm_call *c, json_t *doc, const json_t *properties, struct diag *d)
{
    TRY(arm_stamp(c, doc, d));
    TRY(arm_seal(c->arm, c->key, properties, doc, d));
    CLEANUP_CHANGE struct change change = {0};
    change_put(&change, DOC_RESOURCE, c->key, KIND_ALERT_RULE, json_incref(doc));
    return arm_commit(c, &change, d);
}

static json_t *without_read_only(const json_t *properties)
{
    static const char *const names[] = {"createdWithApiVersion", "isLegacyLogAnalyticsRule",
                                        "isWorkspaceAlertsStorageConfigured", "provisioningState",
                                        "lastUpdatedTime"};
    json_t *p = json_deep_copy(properties);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        json_object_del(p, names[i]);
    return p;
}

enum err alert_rule_put(struct arm_call *c, struct diag *d)
{
    TRY(arm_need_body(c, d));
    const json_t *given = json_get(c->body, "properties");
    const char *kind = json_get_str(c->body, "kind"), *location = NULL;
    bool legacy = !api_version_at_least(c->version, LEGACY_UNTIL);
    if (!json_is_object(given)) return alert_bad(c, d, "properties are missing");
    TRY(legacy ? alert_check_legacy(c, given, d)
               : alert_check(c, given, kind != NULL && str_eq_nocase(kind, "LogToMetric"), d));
    DOCS_WRITE(c->arm->docs);
    CLEANUP_JSON json_t *old = arm_get_doc(c);
    TRY(arm_check_etag(c, old, d));
    TRY(arm_read_location(c, old, &location, d));
    CLEANUP_JSON json_t *doc =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:o}", "id", c->id_text, "name", arm_id_name(c->id),
                  "location", location, "version", c->version_text, "kind",
                  kind != NULL ? kind
                  : legacy     ? ""
                               : "LogAlert",
                  "tags", arm_tags(old));
    CLEANUP_JSON json_t *p = without_read_only(given);
    if (doc == NULL || p == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    TRY(store(c, doc, p, d));
    return reply(c, old == NULL ? 201 : 200, doc, d);
}

/* Tags, and properties one by one. What is checked asks for rights: not under the lock. */
enum err alert_rule_patch(struct arm_call *c, struct diag *d)
{
    TRY(arm_need_body(c, d));
    CLEANUP_JSON json_t *seen = NULL, *p = NULL;
    TRY(arm_need_doc(c, &seen, d));
    TRY(arm_unseal(c->arm, c->key, seen, &p, d));
    CLEANUP_JSON json_t *doc = json_deep_copy(seen);
    CLEANUP_JSON json_t *changes = without_read_only(json_get(c->body, "properties"));
    if (doc == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    if (json_is_object(changes)) json_object_update(p, changes);
    bool measures = str_eq_nocase(doc_str(doc, "kind"), "LogToMetric");
    TRY(is_legacy(doc) ? alert_check_legacy(c, p, d) : alert_check(c, p, measures, d));
    DOCS_WRITE(c->arm->docs);
    CLEANUP_JSON json_t *old = arm_get_doc(c);
    TRY(arm_check_etag(c, old, d));
    if (old != seen) {
        return ARM_FAIL(c, d, 409, "Conflict",
                        "Another request has changed the rule at this moment. Read it and try "
                        "again.");
    }
    TRY(store(c, doc, p, d));
    return reply(c, 200, doc, d);
}

enum err alert_rule_remove(struct arm_call *c, struct diag *d)
{
    return arm_remove(c, true, d);
}
