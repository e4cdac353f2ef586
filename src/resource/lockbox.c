/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource/lockbox.c - Microsoft.CustomerLockbox/requests
 *
 * A document: id name by (object id) justification resources [workspace ids] hours status created
 * decided. A request waits four days for an owner of the subscription who is not the one who asks;
 * approved, it opens the workspaces for its hours, and for nobody else. What the clock has ended is
 * over at once, whether or not lockbox_tidy() has written it yet. While the customer has switched the
 * lockbox off (disableLockbox) requests need no approval; they are made and told all the same.
 */
#include "resource/lockbox.h"

#include "resource/plane.h"
#include "resource/settings.h"

#include <strings.h>

#define PENDING_US        (4 * 86400 * US_PER_S)
#define HOURS_DEFAULT     8
#define HOURS_MAX         24
#define RESOURCES_MAX     20
#define WAITING_MAX       20 /* of one operator */
#define JUSTIFICATION_MAX 1024
#define CASE_MAX          256
#define OWNERS_ACTION     "Microsoft.Authorization/roleAssignments/write"
#define APPROVERS_ACTION  "Microsoft.Keystead/lockbox/requests/approve/action" /* on data */
#define TYPE              "Microsoft.CustomerLockbox/requests"

static int64_t ends_us(const json_t *doc)
{
    if (str_eq(doc_str(doc, "status"), "Pending")) return doc_int(doc, "created") + PENDING_US;
    return doc_int(doc, "decided") + doc_int(doc, "hours") * 3600 * US_PER_S;
}

static const char *status_at(const json_t *doc, int64_t now_us)
{
    const char *s = doc_str(doc, "status");
    if (now_us < ends_us(doc)) return s;
    return str_eq(s, "Pending") ? "Expired" : str_eq(s, "Approved") ? "Completed" : s;
}

static json_t *show(const json_t *doc)
{
    CLEANUP_BUF struct buf ids = {0};
    char hours[24];
    size_t i;
    json_t *id;
    json_array_foreach (json_object_get(doc, "resources"), i, id)
        buf_fmt(&ids, "%s%s", i != 0 ? "," : "", json_string_value(id));
    snprintf(hours, sizeof hours, "%lld", (long long)doc_int(doc, "hours"));
    json_t *p =
        json_pack("{s:s, s:s, s:s, s:o, s:o, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "requestId",
                  doc_str(doc, "name"), "justification", doc_str(doc, "justification"), "status",
                  status_at(doc, time_now_us()), "createdDateTime",
                  arm_date(ARM_DATES_ISO, doc_int(doc, "created")), "expirationDateTime",
                  arm_date(ARM_DATES_ISO, ends_us(doc)), "duration", hours, "resourceIds",
                  buf_cstr(&ids), "resourceType", "Microsoft.OperationalInsights/workspaces",
                  "supportRequest", doc_str(doc, "ticket"), "supportCaseUrl", doc_str(doc, "url"),
                  "workItemSource", "Keystead", "subscriptionId", doc_str(doc, "subscription"));
    return json_pack("{s:s, s:s, s:s, s:o}", "id", doc_str(doc, "id"), "name", doc_str(doc, "name"),
                     "type", TYPE, "properties", p);
}

/* --- asking ----------------------------------------------------------------------------------- */

static enum err read_resources(struct arm *a, const json_t *body, json_t *out, struct diag *d)
{
    const json_t *list = json_get(body, "resourceIds");
    size_t n = json_array_size(list), i;
    json_t *id;
    if (n == 0 || n > RESOURCES_MAX) {
        return FAIL(d, ERR_INVALID, "resourceIds names 1 to %d workspaces", RESOURCES_MAX);
    }
    json_array_foreach (list, i, id) {
        struct workspace w;
        const char *text = json_string_value(id);
        if (text == NULL || !arm_workspace_by_id(a, text, &w)) {
            return FAIL(d, ERR_INVALID, "the workspace '%.200s' was not found",
                        text != NULL ? text : "");
        }
        json_array_append_new(out, json_string(w.arm_id));
    }
    return OK;
}

/* Its owners decide: all workspaces lie in one. */
static enum err subscription_of(const json_t *resources, char out[GUID_TEXT_MAX], struct diag *d)
{
    static const char lead[] = "/subscriptions/";
    size_t i;
    json_t *id;
    out[0] = '\0';
    json_array_foreach ((json_t *)resources, i, id) {
        const char *s = json_string_value(id) + sizeof lead - 1;
        int n = (int)strcspn(s, "/");
        if (i != 0 && (strncasecmp(s, out, (size_t)n) != 0 || out[n] != '\0')) {
            return FAIL(d, ERR_INVALID, "the workspaces lie in different subscriptions");
        }
        snprintf(out, GUID_TEXT_MAX, "%.*s", n, s);
    }
    return OK;
}

static uint32_t waiting(struct arm *a, const char *by)
{
    CLEANUP_JSON json_t *docs = docs_list(a->docs, DOC_RESOURCE, KIND_LOCKBOX, NULL);
    int64_t now = time_now_us();
    uint32_t n = 0;
    size_t i;
    json_t *doc;
    json_array_foreach (docs, i, doc)
        n += str_eq(doc_str(doc, "by"), by) && str_eq(status_at(doc, now), "Pending");
    return n;
}

static struct arm_event event_of(const json_t *doc, const char *action, const char *caller,
                                 char id[GUID_TEXT_MAX])
{
    struct guid g;
    guid_random(&g);
    guid_format(&g, id);
    return (struct arm_event){.id = id,
                              .time_us = time_now_us(),
                              .action = action,
                              .resource = doc_str(doc, "id"),
                              .caller = caller,
                              .status = "Succeeded"};
}

static json_t *new_doc(const char *subscription, const char *by, const char *why, int64_t hours,
                       json_t *resources)
{
    struct guid g;
    char name[GUID_TEXT_MAX], id[ARM_ID_MAX];
    guid_random(&g);
    guid_format(&g, name);
    snprintf(id, sizeof id, "/subscriptions/%s/providers/" TYPE "/%s", subscription, name);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:O, s:I, s:s, s:I, s:I}", "id", id, "subscription",
                     subscription, "name", name, "by", by, "justification", why, "resources",
                     resources, "hours", (json_int_t)hours, "status", "Pending", "created",
                     (json_int_t)time_now_us(), "decided", (json_int_t)0);
}

static enum err store(struct arm *a, json_t *doc, const struct arm_event *e, struct diag *d)
{
    char key[ARM_ID_MAX];
    snprintf(key, sizeof key, "%s", doc_str(doc, "id"));
    str_lower(key);
    CLEANUP_CHANGE struct change change = {0};
    change_put(&change, DOC_RESOURCE, key, KIND_LOCKBOX, json_incref(doc));
    outbox_put(a, &change, e);
    return docs_commit(a->docs, &change, d);
}

/* What the operator works on. */
static enum err read_case(const json_t *body, json_t *doc, struct diag *d)
{
    static const char *const names[][2] = {{"supportRequest", "ticket"}, {"supportCaseUrl", "url"}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const json_t *v = json_get(body, names[i][0]);
        if (v == NULL || json_is_null(v)) continue;
        if (!json_is_string(v) || json_string_length(v) > CASE_MAX) {
            return FAIL(d, ERR_INVALID, "%s is a text of at most %d bytes", names[i][0], CASE_MAX);
        }
        TRY(json_put(doc, names[i][1], json_deep_copy(v), d));
    }
    return OK;
}

enum err lockbox_ask(struct arm *a, const char *by, const json_t *body, json_t **out,
                     struct diag *d)
{
    const char *why = json_get_str(body, "justification");
    int64_t hours = json_get_int(body, "hours", HOURS_DEFAULT);
    if (why == NULL || why[0] == '\0' || strlen(why) > JUSTIFICATION_MAX) {
        return FAIL(d, ERR_INVALID, "justification is a text of 1 to %d bytes", JUSTIFICATION_MAX);
    }
    if (hours < 1 || hours > HOURS_MAX) {
        return FAIL(d, ERR_INVALID, "hours is a whole number from 1 to %d", HOURS_MAX);
    }
    CLEANUP_JSON json_t *resources = json_array();
    TRY(read_resources(a, body, resources, d));
    char subscription[GUID_TEXT_MAX];
    TRY(subscription_of(resources, subscription, d));
    CLEANUP_JSON json_t *doc = new_doc(subscription, by, why, hours, resources);
    if (doc == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    TRY(read_case(body, doc, d));
    if (!settings_of(a).lockbox_enabled) {
        TRY(json_put(doc, "status", json_string("Approved"), d));
        TRY(json_put(doc, "decided", json_integer(time_now_us()), d));
    }
    char id[GUID_TEXT_MAX];
    const struct arm_event e = event_of(doc, "Microsoft.CustomerLockbox/requests/write", by, id);
    {
        DOCS_WRITE(a->docs);
        if (waiting(a, by) >= WAITING_MAX) {
            return FAIL(d, ERR_LIMIT, "%d requests of yours wait already", WAITING_MAX);
        }
        TRY(store(a, doc, &e, d));
    }
    arm_tell(a, &e, true);
    *out = show(doc);
    return OK;
}

bool lockbox_opens(struct arm *a, const char *by, const char *workspace_id,
                   char request[ARM_ID_MAX])
{
    CLEANUP_JSON json_t *docs = docs_list(a->docs, DOC_RESOURCE, KIND_LOCKBOX, NULL);
    int64_t now = time_now_us();
    size_t i, k;
    json_t *doc, *id;
    json_array_foreach (docs, i, doc) {
        if (!str_eq(doc_str(doc, "by"), by) || !str_eq(status_at(doc, now), "Approved")) continue;
        json_array_foreach (json_object_get(doc, "resources"), k, id) {
            if (!str_eq_nocase(json_string_value(id), workspace_id)) continue;
            snprintf(request, ARM_ID_MAX, "%s", doc_str(doc, "id"));
            return true;
        }
    }
    return false;
}

void lockbox_tidy(struct arm *a, int64_t now_us)
{
    CLEANUP_JSON json_t *docs = docs_list(a->docs, DOC_RESOURCE, KIND_LOCKBOX, NULL);
    size_t i;
    json_t *doc;
    json_array_foreach (docs, i, doc) {
        const char *status = status_at(doc, now_us);
        if (str_eq(status, doc_str(doc, "status"))) continue;
        CLEANUP_JSON json_t *ended = json_deep_copy(doc);
        struct diag d = DIAG_INIT;
        if (ended == NULL || json_put(ended, "status", json_string(status), &d) != OK) return;
        char id[GUID_TEXT_MAX];
        const struct arm_event e =
            event_of(ended, "Microsoft.CustomerLockbox/requests/expire/action", "", id);
        {
            DOCS_WRITE(a->docs);
            char key[ARM_ID_MAX];
            snprintf(key, sizeof key, "%s", doc_str(doc, "id"));
            str_lower(key);
            CLEANUP_JSON json_t *now = arm_doc(a, key);
            if (now != doc || store(a, ended, &e, &d) != OK) continue;
        }
        arm_tell(a, &e, true);
    }
}

/* --- the resource ----------------------------------------------------------------------------- */

enum err lockbox_get(struct arm_call *c, struct diag *d)
{
    CLEANUP_JSON json_t *doc = NULL;
    TRY(arm_need_doc(c, &doc, d));
    return arm_reply(c, 200, show(doc), d);
}

/* $filter=properties/status eq 'Pending' */
enum err lockbox_list(struct arm_call *c, struct diag *d)
{
    static const char word[] = "properties/status eq '";
    const char *filter = http_query(c->req, "$filter"), *wanted = NULL;
    if (filter != NULL && filter[0] != '\0') {
        size_t n = strlen(filter);
        if (!str_starts_nocase(filter, word) || n < sizeof word || filter[n - 1] != '\'') {
            return ARM_FAIL(c, d, 400, "InvalidFilterInQueryString",
                            "Invalid $filter in the query string at '%.60s'.", filter);
        }
        wanted = arena_str(c->a, bytes_of(filter + sizeof word - 1, n - sizeof word));
        if (wanted == NULL) return arena_full(c->a, d);
    }
    CLEANUP_JSON json_t *docs = arm_list_docs(c, KIND_LOCKBOX);
    json_t *values = json_array(), *doc;
    int64_t now = time_now_us();
    size_t i;
    json_array_foreach (docs, i, doc) {
        if (wanted != NULL && !str_eq_nocase(status_at(doc, now), wanted)) continue;
        json_array_append_new(values, show(doc));
    }
    return arm_reply_list(c, values, d);
}

static enum err check_approver(struct arm_call *c, const json_t *doc, struct diag *d)
{
    const char *scope = arena_fmt(c->a, "/subscriptions/%s", doc_str(doc, "subscription"));
    if (scope == NULL) return arena_full(c->a, d);
    struct diag unused = DIAG_INIT;
    bool has_role = identity_authorize(c->arm->c.identity, c->caller->object_id, APPROVERS_ACTION,
                                       true, scope, &unused) == OK;
    if (!has_role) TRY(arm_authorize(c, OWNERS_ACTION, scope, d));
    if (!str_eq(doc_str(doc, "by"), c->caller->object_id)) return OK;
    return ARM_FAIL(c, d, 403, "AuthorizationFailed",
                    "A request is not decided by the one who made it.");
}

static enum err decide(struct arm_call *c, struct diag *d)
{
    const char *wish = json_get_str(c->body, "status");
    bool approve = wish != NULL && str_eq_nocase(wish, "Approve");
    if (!approve && (wish == NULL || !str_eq_nocase(wish, "Deny"))) {
        return ARM_FAIL(c, d, 400, "InvalidParameter", "status is Approve or Deny.");
    }
    CLEANUP_JSON json_t *seen = NULL;
    TRY(arm_need_doc(c, &seen, d));
    TRY(check_approver(c, seen, d));
    DOCS_WRITE(c->arm->docs);
    CLEANUP_JSON json_t *old = NULL;
    TRY(arm_need_doc(c, &old, d));
    int64_t now = time_now_us();
    if (!str_eq(status_at(old, now), "Pending")) {
        return ARM_FAIL(c, d, 409, "Conflict", "The request is not pending: it is %s.",
                        status_at(old, now));
    }
    CLEANUP_JSON json_t *doc = json_deep_copy(old);
    if (doc == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    TRY(json_put(doc, "status", json_string(approve ? "Approved" : "Denied"), d));
    TRY(json_put(doc, "decided", json_integer(now), d));
    CLEANUP_CHANGE struct change change = {0};
    change_put(&change, DOC_RESOURCE, c->key, KIND_LOCKBOX, json_incref(doc));
    TRY(arm_commit(c, &change, d));
    return arm_reply(c, 200, show(doc), d);
}

/* --- whether there is one --------------------------------------------------------------------- */

/* GET /providers/Microsoft.CustomerLockbox/tenantOptedIn/{tenant} */
enum err lockbox_opted_in(struct arm_call *c, struct diag *d)
{
    if (!str_eq_nocase(arm_id_name(c->id), c->arm->c.tenant_id)) return arm_not_found(c, d);
    return arm_reply(c, 200, json_pack("{s:b}", "isOptedIn", settings_of(c->arm).lockbox_enabled),
                     d);
}

/* The tenant's administrator is the owner of its subscription here. */
static enum err opt(struct arm_call *c, bool in, struct diag *d)
{
    const char *scope = arena_fmt(c->a, "/subscriptions/%s", c->arm->c.subscription_id);
    if (scope == NULL) return arena_full(c->a, d);
    c->action = in ? "Microsoft.CustomerLockbox/enableLockbox/action"
                   : "Microsoft.CustomerLockbox/disableLockbox/action";
    TRY(arm_authorize(c, OWNERS_ACTION, scope, d));
    CLEANUP_JSON json_t *changes = json_pack("{s:b}", "lockboxEnabled", in);
    const struct arm_event e = arm_event_of(c, "Succeeded");
    TRY(settings_change(c->arm, changes, &e, d));
    c->is_noted = true;
    c->res->status = 200;
    return OK;
}

enum err lockbox_enable(struct arm_call *c, struct diag *d)
{
    return opt(c, true, d);
}

enum err lockbox_disable(struct arm_call *c, struct diag *d)
{
    return opt(c, false, d);
}

const struct arm_action lockbox_actions[] = {{"updateApproval", decide}, {NULL, NULL}};
