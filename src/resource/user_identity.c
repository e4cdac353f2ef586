/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource/user_identity.c - Microsoft.ManagedIdentity/userAssignedIdentities: an identity that
 * outlives the resources which use it
 *
 *      id name location tags        as the customer named it
 *      principal client tenant      what identity made for it
 *
 * The principal is made before the document and deleted before it: one that nobody can name any
 * more must not keep its rights, and a call that was cut short can be repeated.
 */
#include "resource/group.h"

/* isolationScope came with 2023-01-31. Nothing here is regional. */
static json_t *show(struct arm_call *c, const json_t *doc)
{
    json_t *p = json_pack("{s:s, s:s, s:s}", "tenantId", doc_str(doc, "tenant"), "principalId",
                          doc_str(doc, "principal"), "clientId", doc_str(doc, "client"));
    if (p != NULL && api_version_at_least(c->version, "2023-01-31"))
        json_object_set_new(p, "isolationScope", json_string("None"));
    return json_pack("{s:s, s:s, s:s, s:s, s:o, s:o}", "id", doc_str(doc, "id"), "name",
                     doc_str(doc, "name"), "type",
                     "Microsoft.ManagedIdentity/userAssignedIdentities", "location",
                     doc_str(doc, "location"), "tags", arm_tags(doc), "properties", p);
}

static enum err check_isolation(struct arm_call *c, struct diag *d)
{
    const json_t *v = json_at(c->body, "properties", "isolationScope", NULL);
    const char *text = json_string_value(v);
    if (v == NULL || json_is_null(v) || (text != NULL && str_eq_nocase(text, "None"))) return OK;
    return ARM_FAIL(c, d, 400, "BadRequest",
                    "isolationScope '%.40s' is not supported: identities here are used wherever "
                    "this server is. None is.",
                    text != NULL ? text : "");
}

enum err user_identity_list(struct arm_call *c, struct diag *d)
{
    return arm_reply_docs(c, KIND_USER_IDENTITY, show, d);
}

enum err user_identity_get(struct arm_call *c, struct diag *d)
{
    CLEANUP_JSON json_t *doc = NULL;
    TRY(arm_need_doc(c, &doc, d));
    return arm_reply(c, 200, show(c, doc), d);
}

/* Letters, digits, dash and underscore, beginning with one of the first two. */
static bool name_valid(const char *s)
{
    size_t n = strlen(s);
    for (size_t i = 0; i < n; i++) {
        bool plain = (s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z') ||
                     (s[i] >= '0' && s[i] <= '9');
        if (!plain && (i == 0 || (s[i] != '-' && s[i] != '_'))) return false;
    }
    return n >= 3 && n <= 128;
}

static enum err store(struct arm_call *c, const json_t *doc, struct diag *d)
{
    CLEANUP_CHANGE struct change change = {0};
    change_put(&change, DOC_RESOURCE, c->key, KIND_USER_IDENTITY, json_incref((json_t *)doc));
    return arm_commit(c, &change, d);
}

enum err user_identity_put(struct arm_call *c, struct diag *d)
{
    struct managed_identity mi = {0};
    CLEANUP_JSON json_t *old = arm_get_doc(c), *tags = NULL;
    const char *location = NULL;
    TRY(arm_need_body(c, d));
    if (!name_valid(arm_id_name(c->id))) {
        return ARM_FAIL(c, d, 400, "InvalidResourceName",
                        "The identity name '%s' is invalid: 3 to 128 letters, digits, dashes and "
                        "underscores, beginning with a letter or a digit.",
                        arm_id_name(c->id));
    }
    TRY(check_isolation(c, d));
    TRY(arm_read_location(c, old, &location, d));
    tags = arm_tags(old);
    TRY(arm_read_tags(c, &tags, d));
    TRY(identity_managed_ensure(c->arm->c.identity, c->id_text, &mi, d));
    CLEANUP_JSON json_t *doc =
        json_pack("{s:s, s:s, s:s, s:O, s:s, s:s, s:s}", "id", c->id_text, "name",
                  arm_id_name(c->id), "location", location, "tags", tags, "principal",
                  mi.principal_id, "client", mi.client_id, "tenant", mi.tenant_id);
    if (doc == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    DOCS_WRITE(c->arm->docs);
    TRY(store(c, doc, d));
    return arm_reply(c, old == NULL ? 201 : 200, show(c, doc), d);
}

enum err user_identity_patch(struct arm_call *c, struct diag *d)
{
    CLEANUP_JSON json_t *old = NULL, *tags = NULL;
    TRY(arm_need_body(c, d));
    TRY(check_isolation(c, d));
    DOCS_WRITE(c->arm->docs);
    TRY(arm_need_doc(c, &old, d));
    tags = arm_tags(old);
    TRY(arm_read_tags(c, &tags, d));
    CLEANUP_JSON json_t *doc = json_deep_copy(old);
    if (doc == NULL || json_object_set(doc, "tags", tags) != 0) {
        return FAIL(d, ERR_LIMIT, "out of memory");
    }
    TRY(store(c, doc, d));
    return arm_reply(c, 200, show(c, doc), d);
}

enum err user_identity_bury(struct arm *a, const json_t *doc, struct diag *d)
{
    CLEANUP_FREE char *key = str_dup(doc_str(doc, "id"));
    if (key == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    str_lower(key);
    TRY(identity_managed_delete(a->c.identity, doc_str(doc, "id"), d));
    DOCS_WRITE(a->docs);
    CLEANUP_CHANGE struct change change = {0};
    change_remove(&change, DOC_RESOURCE, key);
    return docs_commit(a->docs, &change, d);
}

enum err user_identity_remove(struct arm_call *c, struct diag *d)
{
    CLEANUP_JSON json_t *old = arm_get_doc(c);
    c->res->status = old == NULL ? 204 : 200;
    if (old == NULL) return OK;
    TRY(identity_managed_delete(c->arm->c.identity, c->id_text, d));
    DOCS_WRITE(c->arm->docs);
    CLEANUP_CHANGE struct change change = {0};
    change_remove(&change, DOC_RESOURCE, c->key);
    return arm_commit(c, &change, d);
}

/* --- the identity of any resource, by the resource --------------------------------------------- */

/* .../providers/Microsoft.ManagedIdentity/identities/default of a resource that has one of its own */
enum err system_identity_get(struct arm_call *c, struct diag *d)
{
    char *key = arena_str(c->a, bytes_str(c->id->scope));
    if (key == NULL) return arena_full(c->a, d);
    str_lower(key);
    CLEANUP_JSON json_t *owner = arm_doc(c->arm, key);
    if (!str_eq_nocase(arm_id_name(c->id), "default") ||
        !str_eq(doc_str(owner, "identity"), "SystemAssigned")) {
        return arm_not_found(c, d);
    }
    struct managed_identity mi = {0};
    TRY(identity_managed_ensure(c->arm->c.identity, doc_str(owner, "id"), &mi, d));
    return arm_reply(c, 200,
                     json_pack("{s:s, s:s, s:s, s:s, s:o, s:{s:s, s:s, s:s}}", "id", c->id_text,
                               "name", "default", "type", "Microsoft.ManagedIdentity/identities",
                               "location", doc_str(owner, "location"), "tags", json_object(),
                               "properties", "tenantId", mi.tenant_id, "principalId",
                               mi.principal_id, "clientId", mi.client_id),
                     d);
}

/* --- for resources that use one
 * ------------------------------------------------------------------------- */

bool user_identity_find(struct arm *a, const char *arm_id, struct managed_identity *out)
{
    CLEANUP_FREE char *key = str_dup(arm_id);
    if (key == NULL) return false;
    str_lower(key);
    CLEANUP_JSON json_t *doc = arm_doc(a, key);
    if (doc == NULL || strstr(key, "/providers/" KIND_USER_IDENTITY "/") == NULL) return false;
    snprintf(out->principal_id, sizeof out->principal_id, "%s", doc_str(doc, "principal"));
    snprintf(out->client_id, sizeof out->client_id, "%s", doc_str(doc, "client"));
    snprintf(out->tenant_id, sizeof out->tenant_id, "%s", doc_str(doc, "tenant"));
    return true;
}

enum err user_identity_take(struct arm_call *c, const char *arm_id, struct managed_identity *out,
                            struct diag *d)
{
    TRY(arm_authorize(c, "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action", arm_id,
                      d));
    if (user_identity_find(c->arm, arm_id, out)) return OK;
    return ARM_FAIL(c, d, 400, "FailedIdentityOperation",
                    "Identity operation failed: the user-assigned identity '%s' was not found.",
                    arm_id);
}
