/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource/diagnostic.c - Microsoft.Insights/diagnosticSettings of vaults and pools: which
 * workspace their audit records go to
 *
 * A document: id name scope (lower case) workspace (lower case) workspaceId (as sent) dedicated
 * enabled logs metrics since. `since` is the number of the newest record of the vault's log when the
 * setting was made, or last pointed elsewhere: records behind it are sent. What has been sent is
 * in a document of its own (KIND_DIAGNOSTIC_SENT, id "sent:" + key: since sequence), so that sending
 * and PUT do not meet. The rows are api/vault_audit.c's.
 */
#include "resource/plane.h"

#define SETTINGS_MAX 5 /* of one resource, as documented */

#define KIND_DIAGNOSTIC_SENT "diagnostic/sent"

static const char *const categories[] = {"AuditEvent", "AzurePolicyEvaluationDetails"};
static const char *const groups[] = {"audit", "allLogs"}; /* AuditEvent is in both */

static const char *find(const char *const *list, size_t n, const char *name)
{
    for (size_t i = 0; name != NULL && i < n; i++) {
        if (str_eq_nocase(list[i], name)) return list[i];
    }
    return NULL;
}

/* "/subscriptions/.../providers/microsoft.keyvault/vaults/kv1". */
static const char *scope_of(struct arm_call *c)
{
    char *scope = arena_str(c->a, bytes_str(c->id->scope));
    if (scope != NULL) str_lower(scope);
    return scope;
}

static enum err check_scope(struct arm_call *c, const char **scope, struct diag *d)
{
    struct arm_id id;
    struct diag why = DIAG_INIT;
    *scope = scope_of(c);
    if (*scope == NULL) return arena_full(c->a, d);
    if (arm_id_parse(c->a, *scope, &id, &why) == OK && id.group != NULL &&
        (str_eq_nocase(id.type, "Microsoft.KeyVault/vaults") ||
         str_eq_nocase(id.type, "Microsoft.KeyVault/managedHSMs")) &&
        arm_id_name(&id) != NULL) {
        return OK;
    }
    return ARM_FAIL(c, d, 400, "ResourceTypeNotSupported",
                    "The resource type '%s' does not support diagnostic settings. "
                    "Microsoft.KeyVault/vaults and Microsoft.KeyVault/managedHSMs do.",
                    why.text[0] == '\0' && id.type != NULL ? id.type : "");
}

static enum err check_vault(struct arm_call *c, const char *scope, struct diag *d)
{
    const struct arm_config *k = &c->arm->c;
    int status = k->other_status != NULL ? k->other_status(k->event_ctx, c->req, scope) : 0;
    if (status == 200 || status == 403) return OK; /* he may set it without reading the vault */
    if (status != 404) return FAIL(d, ERR_UNAVAILABLE, "the vault service does not answer");
    return ARM_FAIL(c, d, 404, "ResourceNotFound",
                    "The Resource '%s' was not found. For more details please go to "
                    "https://aka.ms/ARMResourceNotFoundFix",
                    scope);
}

static json_t *setting_json(const json_t *doc)
{
    json_t *p = json_pack(
        "{s:n, s:n, s:O, s:n, s:n, s:n, s:O, s:O, s:o}", "storageAccountId", "serviceBusRuleId",
        "workspaceId", json_object_get(doc, "workspaceId"), "eventHubAuthorizationRuleId",
        "eventHubName", "marketplacePartnerId", "metrics", json_object_get(doc, "metrics"), "logs",
        json_object_get(doc, "logs"), "logAnalyticsDestinationType",
        json_is_true(json_object_get(doc, "dedicated")) ? json_string("Dedicated") : json_null());
    return json_pack("{s:s, s:s, s:s, s:n, s:n, s:n, s:o, s:n}", "id", doc_str(doc, "id"), "type",
                     "Microsoft.Insights/diagnosticSettings", "name", doc_str(doc, "name"),
                     "location", "kind", "tags", "properties", p, "identity");
}

enum err diagnostic_get(struct arm_call *c, struct diag *d)
{
    const char *scope;
    CLEANUP_JSON json_t *doc = NULL;
    TRY(check_scope(c, &scope, d));
    TRY(arm_need_doc(c, &doc, d));
    return arm_reply(c, 200, setting_json(doc), d);
}

static json_t *settings_at(struct arm_call *c, const char *scope)
{
    char *prefix = arena_fmt(c->a, "%s/providers/microsoft.insights/diagnosticsettings/", scope);
    return prefix != NULL ? docs_list(c->arm->docs, DOC_RESOURCE, KIND_DIAGNOSTIC, prefix) : NULL;
}

enum err diagnostic_list(struct arm_call *c, struct diag *d)
{
    const char *scope;
    TRY(check_scope(c, &scope, d));
    CLEANUP_JSON json_t *docs = settings_at(c, scope);
    json_t *values = json_array(), *doc;
    size_t i;
    json_array_foreach (docs, i, doc)
        json_array_append_new(values, setting_json(doc));
    return arm_reply_list(c, values, d);
}

/* --- what may be asked for -------------------------------------------------------------------- */

static json_t *shown_category(const char *category, const char *group, bool enabled)
{
    return json_pack("{s:o, s:o, s:b, s:{s:b, s:i}}", "category",
                     category != NULL ? json_string(category) : json_null(), "categoryGroup",
                     group != NULL ? json_string(group) : json_null(), "enabled", enabled,
                     "retentionPolicy", "enabled", 0, "days", 0);
}

static enum err read_logs(struct arm_call *c, json_t *doc, struct diag *d)
{
    json_t *logs = json_array(), *x;
    bool sends = false;
    size_t i;
    TRY(json_put(doc, "logs", logs, d));
    json_array_foreach (json_at(c->body, "properties", "logs", NULL), i, x) {
        const char *category = json_get_str(x, "category"),
                   *group = json_get_str(x, "categoryGroup");
        const char *known = find(categories, 2, category), *known_group = find(groups, 2, group);
        bool enabled = json_is_true(json_get(x, "enabled"));
        if ((known == NULL) == (known_group == NULL)) {
            return ARM_FAIL(c, d, 400, "BadRequest", "Category '%.80s' is not supported.",
                            category != NULL ? category
                            : group != NULL  ? group
                                             : "");
        }
        sends = sends || (enabled && (known_group != NULL || str_eq(known, categories[0])));
        json_array_append_new(logs, shown_category(known, known_group, enabled));
    }
    return json_put(doc, "enabled", json_boolean(sends), d);
}

static enum err read_metrics(struct arm_call *c, json_t *doc, struct diag *d)
{
    json_t *metrics = json_array(), *x;
    size_t i;
    TRY(json_put(doc, "metrics", metrics, d));
    json_array_foreach (json_at(c->body, "properties", "metrics", NULL), i, x) {
        const char *category = json_get_str(x, "category");
        if (category == NULL || !str_eq_nocase(category, "AllMetrics") ||
            json_is_true(json_get(x, "enabled"))) {
            return ARM_FAIL(c, d, 400, "BadRequest",
                            "Metric category '%.80s' is not supported: no metrics are sent to "
                            "workspaces.",
                            category != NULL ? category : "");
        }
        json_array_append_new(metrics, shown_category("AllMetrics", NULL, false));
    }
    return OK;
}

static enum err read_workspace(struct arm_call *c, json_t *doc, struct diag *d)
{
    static const char *const elsewhere[] = {"storageAccountId", "serviceBusRuleId",
                                            "eventHubAuthorizationRuleId", "marketplacePartnerId"};
    const json_t *p = json_get(c->body, "properties");
    for (size_t i = 0; i < sizeof elsewhere / sizeof elsewhere[0]; i++) {
        const char *text = json_get_str(p, elsewhere[i]);
        if (text == NULL || text[0] == '\0') continue;
        return ARM_FAIL(c, d, 400, "BadRequest",
                        "%s is not supported: audit records are sent to workspaces only.",
                        elsewhere[i]);
    }
    const char *text = json_get_str(p, "workspaceId");
    struct arm_id id;
    struct diag why = DIAG_INIT;
    if (text == NULL || arm_id_parse(c->a, text, &id, &why) != OK || arm_id_name(&id) == NULL ||
        !str_eq_nocase(id.type, "Microsoft.OperationalInsights/workspaces")) {
        return ARM_FAIL(c, d, 400, "BadRequest",
                        "properties.workspaceId must be the id of a workspace.");
    }
    const char *key = arm_id_key(c->a, &id);
    CLEANUP_JSON json_t *workspace = key != NULL ? arm_doc(c->arm, key) : NULL;
    if (workspace == NULL) {
        return ARM_FAIL(c, d, 404, "ResourceNotFound", "The workspace '%.200s' was not found.",
                        text);
    }
    TRY(arm_authorize(c, "Microsoft.OperationalInsights/workspaces/sharedKeys/action",
                      doc_str(workspace, "id"), d));
    TRY(json_put(doc, "workspaceId", json_string(text), d));
    return json_put(doc, "workspace", json_string(key), d);
}

static enum err read_type(struct arm_call *c, json_t *doc, struct diag *d)
{
    const char *type =
        json_string_value(json_at(c->body, "properties", "logAnalyticsDestinationType", NULL));
    bool dedicated = type != NULL && str_eq_nocase(type, "Dedicated");
    if (type != NULL && type[0] != '\0' && !dedicated && !str_eq_nocase(type, "AzureDiagnostics")) {
        return ARM_FAIL(c, d, 400, "BadRequest",
                        "logAnalyticsDestinationType is 'Dedicated' or 'AzureDiagnostics', not "
                        "'%.40s'.",
                        type);
    }
    return json_put(doc, "dedicated", json_boolean(dedicated), d);
}

/* A workspace is the destination of one setting of a vault: else each record would be there twice. */
static enum err check_others(struct arm_call *c, const char *scope, const json_t *doc,
                             struct diag *d)
{
    CLEANUP_JSON json_t *others = settings_at(c, scope);
    size_t i, n = 0;
    json_t *x;
    json_array_foreach (others, i, x) {
        if (str_eq_nocase(doc_str(x, "name"), doc_str(doc, "name"))) continue;
        n++;
        if (!str_eq(doc_str(x, "workspace"), doc_str(doc, "workspace"))) continue;
        return ARM_FAIL(c, d, 409, "Conflict",
                        "Data sink '%s' is already used in diagnostic setting '%s' for category "
                        "'AuditEvent'. Data sinks can't be reused in different settings on the "
                        "same category for the same resource.",
                        doc_str(doc, "workspaceId"), doc_str(x, "name"));
    }
    if (n < SETTINGS_MAX) return OK;
    return ARM_FAIL(c, d, 409, "Conflict", "A resource has at most %d diagnostic settings.",
                    SETTINGS_MAX);
}

/* --- writing ---------------------------------------------------------------------------------- */

static bool same_destination(const json_t *a, const json_t *b)
{
    return str_eq(doc_str(a, "workspace"), doc_str(b, "workspace")) &&
           json_equal(json_object_get(a, "dedicated"), json_object_get(b, "dedicated")) &&
           json_is_true(json_object_get(a, "enabled")) &&
           json_is_true(json_object_get(b, "enabled"));
}

enum err diagnostic_put(struct arm_call *c, struct diag *d)
{
    const char *scope;
    uint64_t end = 0;
    if (strlen(c->key) >= ARM_ID_MAX) {
        return ARM_FAIL(c, d, 400, "InvalidResourceName",
                        "The id of a diagnostic setting has less than %d characters.", ARM_ID_MAX);
    }
    TRY(arm_need_body(c, d));
    TRY(check_scope(c, &scope, d));
    CLEANUP_JSON json_t *doc =
        json_pack("{s:s, s:s, s:s}", "id", c->id_text, "name", arm_id_name(c->id), "scope", scope);
    TRY(read_workspace(c, doc, d));
    TRY(read_type(c, doc, d));
    TRY(read_logs(c, doc, d));
    TRY(read_metrics(c, doc, d));
    TRY(check_vault(c, scope, d));
    const struct arm_config *k = &c->arm->c;
    if (k->vault_log_end != NULL) TRY(k->vault_log_end(k->event_ctx, &end, d));
    DOCS_WRITE(c->arm->docs);
    CLEANUP_JSON json_t *old = arm_get_doc(c);
    TRY(check_others(c, scope, doc, d));
    if (same_destination(old, doc)) end = (uint64_t)doc_int(old, "since");
    TRY(json_put(doc, "since", json_integer((json_int_t)end), d));
    CLEANUP_CHANGE struct change change = {0};
    change_put(&change, DOC_RESOURCE, c->key, KIND_DIAGNOSTIC, json_incref(doc));
    TRY(arm_commit(c, &change, d));
    return arm_reply(c, 200, setting_json(doc), d);
}

static const char *sent_key(const char *key, char out[ARM_ID_MAX + 160])
{
    snprintf(out, ARM_ID_MAX + 160, "sent:%s", key);
    return out;
}

enum err diagnostic_remove(struct arm_call *c, struct diag *d)
{
    char sent[ARM_ID_MAX + 160];
    DOCS_WRITE(c->arm->docs);
    CLEANUP_JSON json_t *old = arm_get_doc(c);
    c->res->status = old == NULL ? 204 : 200;
    if (old == NULL) return OK;
    CLEANUP_CHANGE struct change change = {0};
    change_remove(&change, DOC_RESOURCE, c->key);
    change_remove(&change, DOC_RESOURCE, sent_key(c->key, sent));
    return arm_commit(c, &change, d);
}

/* --- the sender ------------------------------------------------------------------------------- */

json_t *arm_diagnostics(struct arm *a)
{
    return docs_list(a->docs, DOC_RESOURCE, KIND_DIAGNOSTIC, NULL);
}

uint64_t arm_diagnostic_sent(struct arm *a, const json_t *setting)
{
    char key[ARM_ID_MAX], sent[ARM_ID_MAX + 160];
    snprintf(key, sizeof key, "%s", doc_str(setting, "id"));
    str_lower(key);
    CLEANUP_JSON json_t *doc = arm_doc(a, sent_key(key, sent));
    uint64_t since = (uint64_t)doc_int(setting, "since");
    bool of_this = doc != NULL && (uint64_t)doc_int(doc, "since") == since;
    return of_this ? (uint64_t)doc_int(doc, "sequence") : since;
}

enum err arm_diagnostic_save(struct arm *a, const json_t *setting, uint64_t sequence,
                             struct diag *d)
{
    char key[ARM_ID_MAX], sent[ARM_ID_MAX + 160];
    snprintf(key, sizeof key, "%s", doc_str(setting, "id"));
    str_lower(key);
    DOCS_WRITE(a->docs);
    CLEANUP_JSON json_t *now = arm_doc(a, key);
    if (now == NULL || doc_int(now, "since") != doc_int(setting, "since")) return OK;
    CLEANUP_CHANGE struct change change = {0};
    change_put(&change, DOC_RESOURCE, sent_key(key, sent), KIND_DIAGNOSTIC_SENT,
               json_pack("{s:I, s:I}", "since", (json_int_t)doc_int(setting, "since"), "sequence",
                         (json_int_t)sequence));
    return docs_commit(a->docs, &change, d);
}

/* --- categories ------------------------------------------------------------------------------- */

static json_t *category_json(struct arm_call *c, const char *scope, const char *name)
{
    bool audit = str_eq(name, categories[0]);
    return json_pack(
        "{s:s, s:s, s:s, s:{s:s, s:o}}", "id",
        arena_fmt(c->a, "%s/providers/microsoft.insights/diagnosticSettingsCategories/%s", scope,
                  name),
        "type", "Microsoft.Insights/diagnosticSettingsCategories", "name", name, "properties",
        "categoryType", "Logs", "categoryGroups",
        audit ? json_pack("[s, s]", groups[0], groups[1]) : json_pack("[s]", groups[1]));
}

enum err diagnostic_category_list(struct arm_call *c, struct diag *d)
{
    const char *scope;
    TRY(check_scope(c, &scope, d));
    json_t *values = json_array();
    for (size_t i = 0; i < sizeof categories / sizeof categories[0]; i++)
        json_array_append_new(values, category_json(c, scope, categories[i]));
    return arm_reply_list(c, values, d);
}

enum err diagnostic_category_get(struct arm_call *c, struct diag *d)
{
    const char *scope;
    TRY(check_scope(c, &scope, d));
    const char *name = find(categories, 2, arm_id_name(c->id));
    if (name == NULL) return arm_not_found(c, d);
    return arm_reply(c, 200, category_json(c, scope, name), d);
}
