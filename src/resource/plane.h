/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource/plane.h - what the files of resource/ share: the plane, a call, the table of types
 *
 * A resource type is one file and one row in types.c. Its functions get a call that is already
 * verified, authorised and parsed; they set status and reply, or fail with ARM_FAIL().
 */
#pragma once

#include "base/map.h"
#include "base/time.h"
#include "resource/apiversion.h"
#include "resource/arm.h"
#include "resource/id.h"
#include "resource/location.h"
#include "resource/operation.h"
#include "resource/outbox.h"
#include "resource/settings.h"

struct arm {
    struct arm_config c; /* strings are owned */
    char *strings[8];
    const char **vault_hosts;
    struct docs *docs;
    struct store *_Atomic store; /* NULL until arm_start() */
    struct operations *operations;
    struct outbox *outbox;
    struct rewraps *rewraps; /* NULL unless the store is there */
    pthread_mutex_t forget_lock;
    pthread_mutex_t index_writers; /* reading documents and replacing an entry is one step */
    pthread_rwlock_t index_lock;
    struct map workspaces; /* 16 bytes of the customer id -> struct workspace */
    struct map by_id;      /* ARM id in lower case -> the same struct workspace */
    pthread_mutex_t quota_lock;
    struct map quotas; /* customer id -> struct quota (quota.c) */
};

struct arm_type;
struct arm_call {
    struct arm *arm;
    struct arena *a;
    const struct http_request *req;
    struct http_response *res; /* status and headers */
    const struct arm_id *id;
    const struct arm_type *type;
    const char *id_text; /* canonical */
    const char *key;     /* id_text in lower case */
    const char *version_text;
    struct api_version version;
    const struct caller *caller;
    const char *action;      /* the right that it takes */
    const char *event;       /* the id of its row in the activity log */
    bool is_noted;           /* the row is in the outbox */
    const char *correlation; /* one request may be several calls: the client's or a new one */
    const json_t *body;      /* NULL: none was sent */
    json_t *reply;           /* the call's own; written as the body */
    json_t *details;         /* of a failure: error.details; may be NULL */
    bool is_served; /* the type's own function has it: what fails before is the gateway's */
};

typedef enum err arm_op(struct arm_call *c, struct diag *d);

struct arm_action { /* POST .../{name}/{action} */
    const char *name;
    arm_op *run;
};

struct arm_type {
    const char *type;            /* canonical casing */
    const char *version_min;     /* the oldest that is understood */
    const char *version_default; /* of a request that names none; NULL: it must */
    const char *versions; /* header api-supported-versions; the provider's list, plain ones first */
    arm_op *list, *get, *put, *patch, *remove;
    arm_op *head;
    arm_op *post; /* of what is no resource: POST /providers/{namespace}/{type} */
    const struct arm_action *actions; /* ends with a NULL name */
    const char *kind;   /* parent of its documents in the catalogue: the type, lower case */
    bool is_open;       /* needs a token but no role: tenants, subscriptions */
    bool checks_parent; /* answers a missing parent with words of its own */
};

const struct arm_type *arm_type_find(const char *type); /* without case */
const struct arm_type *arm_type_at(uint32_t i);         /* NULL after the last */

/* --- failing
 * -------------------------------------------------------------------------------------- */

enum err arm_err_of(int status);
int arm_status_of(enum err e);
#define ARM_FAIL(c, d, http, code, ...) \
    ((c)->res->status = (http), FAIL_TAG((d), arm_err_of(http), (code), __VA_ARGS__))

enum err arm_not_found(struct arm_call *c, struct diag *d); /* 404 ResourceNotFound for c->id */
/* The error envelope; details may be NULL. */
void arm_reply_failure(struct http_response *res, int status, enum err e, const struct diag *d,
                       const json_t *details);

/* --- reading and replying
 * ------------------------------------------------------------------------- */

json_t *arm_doc(struct arm *a, const char *key); /* resource; a new reference, NULL */
json_t *arm_get_doc(struct arm_call *c);         /* that of c->key */
enum err arm_need_doc(struct arm_call *c, json_t **out, struct diag *d); /* or 404 */
/* Documents of a type within the call's scope (subscription, group or parent). */
json_t *arm_list_docs(struct arm_call *c, const char *kind);
enum err arm_reply(struct arm_call *c, int status, json_t *reply, struct diag *d); /* takes reply */
enum err arm_reply_list(struct arm_call *c, json_t *values, struct diag *d); /* takes values */
/* The documents of arm_list_docs(), each as show() has it. */
typedef json_t *arm_show(struct arm_call *c, const json_t *doc);
enum err arm_reply_docs(struct arm_call *c, const char *kind, arm_show *show, struct diag *d);
/* DELETE of a document that nothing hangs on: 204 where there is none. match: If-Match counts. */
enum err arm_remove(struct arm_call *c, bool match, struct diag *d);
/* May the caller do this at that scope? 403 AuthorizationFailed if not. */
enum err arm_authorize(struct arm_call *c, const char *action, const char *scope, struct diag *d);

/* location is required and never changes. *out is canonical, in the arena. */
enum err arm_read_location(struct arm_call *c, const json_t *old, const char **out, struct diag *d);
/* tags: an object of strings; absent keeps *tags as it is. */
enum err arm_read_tags(struct arm_call *c, json_t **tags, struct diag *d);
enum err arm_need_body(struct arm_call *c, struct diag *d);
/* 409: the group is being deleted. */
enum err arm_group_goes(struct arm_call *c, const char *name, struct diag *d);
/* Is the subscription registered for the namespace of c->id? 409 MissingSubscriptionRegistration.
 */
enum err arm_check_registered(struct arm_call *c, struct diag *d);
/* If-Match and If-None-Match against the etag as it is shown; NULL: the resource is not there. 412
 * PreconditionFailed. Under DOCS_WRITE(). */
enum err arm_check_match(struct arm_call *c, const char *etag, struct diag *d);
/* The same against the etag that a document carries; NULL: there is none. */
enum err arm_check_etag(struct arm_call *c, const json_t *doc, struct diag *d);
/* The request's tags, where it has any, and a new etag. */
enum err arm_stamp(struct arm_call *c, json_t *doc, struct diag *d);
/* A document's text that must not be on the disk in plain (10): sealed as its member "sealed". */
enum err arm_seal(struct arm *a, const char *key, const json_t *secret, json_t *doc,
                  struct diag *d);
enum err arm_unseal(struct arm *a, const char *key, const json_t *doc, json_t **secret,
                    struct diag *d);

/* docs_commit() of what the request asks for: with its row of the activity log (outbox.h). */
enum err arm_commit(struct arm_call *c, struct change *change, struct diag *d);
/* The row as it stands by now; status as in struct arm_event. */
struct arm_event arm_event_of(const struct arm_call *c, const char *status);

json_t *arm_date(enum arm_dates how, int64_t us);
/* The stored tags, or an empty object. A new reference. */
json_t *arm_tags(const json_t *doc);

/* --- asynchronous operations
 * ---------------------------------------------------------------------- */

/* What operation_add() needs, of this call. */
struct operation_start arm_operation(struct arm_call *c, const struct operation_kind *kind,
                                     const char *location);
/* Sets Azure-AsyncOperation, Retry-After and, when asked, Location. */
void arm_async_headers(struct arm_call *c, const char *location, const char *operation,
                       bool with_location);

/* --- accounts
 * ------------------------------------------------------------------------------------- */

/* The account of (workspace, scope): found or made, wrapped by custody, open in the store. Calls
 * other processes: not under DOCS_WRITE(). workspace "" is the store's own. cluster "" is the
 * platform. */
enum err arm_account_ensure(struct arm *a, const char *workspace, const char *cluster_id,
                            uint8_t out[16], struct diag *d);
bool arm_account_find(struct arm *a, const char *workspace, const char *scope, uint8_t out[16]);
enum err arm_accounts_open(struct arm *a, struct diag *d); /* at start: those whose key is there */
/* Recomputes what arm_workspace() answers, from the documents. workspace_key: ARM id in lower case.
 */
enum err index_refresh(struct arm *a, const char *workspace_key, struct diag *d);
enum err index_load(struct arm *a, struct diag *d);
void index_release(struct arm *a);

#define SCOPE_PLATFORM "platform"

/* --- between the types
 * ------------------------------------------------------------------------------ */

/* Do new rows go to the link's cluster? From when it has been made until it has been undone. */
bool link_holds(const json_t *link);
const char *doc_str(const json_t *doc, const char *name);     /* "" when absent */
int64_t doc_int(const json_t *doc, const char *name);         /* 0 when absent */
json_t *cluster_links(struct arm *a, const char *cluster_id); /* documents of its links, new */
json_t *rule_doc(const json_t *workspace); /* a workspace's default collection rule */
enum err rule_bury(struct arm *a, const json_t *doc, struct diag *d); /* a customer's */
/* Tables that keep rows as long as their workspace says get its new number of days. */
enum err tables_keep(struct arm *a, const json_t *workspace, struct diag *d);
/* What the workspace's columns are, for its schema call. */
json_t *tables_schema(struct arm *a, const json_t *workspace);
/* Saved searches live in the workspace, or in the storage account that is linked for them. Under
 * DOCS_WRITE(): all of the workspace's go (account NULL), or come back from the account. */
enum err searches_move(struct arm_call *c, const char *workspace_key, const char *customer_id,
                       const char *account_key, struct change *change, struct diag *d);
/* Searches of a workspace that goes for good, where they lie in a storage account. */
void searches_forget(struct arm *a, const char *workspace_key, const char *customer_id,
                     struct change *change);
/* What Sentinel forbids (onboarding.c): to link and to unlink the workspace, under DOCS_WRITE(); and
 * to change anything of it while its key is revoked. */
enum err onboarding_check_link(struct arm_call *c, const char *workspace_key, struct diag *d);
enum err onboarding_check_unlink(struct arm_call *c, const char *workspace_key, struct diag *d);
enum err onboarding_check_write(struct arm_call *c, struct diag *d);
/* Does the account hold searches, or is it linked? */
bool storage_in_use(struct arm *a, const char *account_key);
/* The user-assigned identity of that ARM id; false: there is none. */
bool user_identity_find(struct arm *a, const char *arm_id, struct managed_identity *out);
/* For a resource that is to use it: the caller must be allowed to assign it. */
enum err user_identity_take(struct arm_call *c, const char *arm_id, struct managed_identity *out,
                            struct diag *d);
void workspaces_tidy(struct arm *a, int64_t now_us);
void clusters_tidy(struct arm *a);
void aeks_tidy(struct arm *a, int64_t now_us);
enum err rewraps_start(struct arm *a, struct diag *d); /* goes on with what a crash cut short */
void rewraps_stop(struct arm *a);
/* Destroys the wraps of a cluster that was deleted 14 days ago, and frees its name; not yet:
 * nothing. */
enum err cluster_forget(struct arm *a, const char *cluster_key, struct diag *d);

/* --- kinds of documents
 * ---------------------------------------------------------------------------- */

#define KIND_CLUSTER           "microsoft.operationalinsights/clusters"
#define KIND_WORKSPACE         "microsoft.operationalinsights/workspaces"
#define KIND_LINK              "microsoft.operationalinsights/workspaces/linkedservices"
#define KIND_TABLE             "microsoft.operationalinsights/workspaces/tables"
#define KIND_USER_IDENTITY     "microsoft.managedidentity/userassignedidentities"
#define KIND_RULE              "microsoft.insights/datacollectionrules"
#define KIND_RULE_INDEX        "rules by immutable id" /* id "rule:" + the immutable id */
#define KIND_ENDPOINT          "microsoft.insights/datacollectionendpoints"
#define KIND_COMPONENT         "microsoft.insights/components"
#define KIND_ALERT_RULE        "microsoft.insights/scheduledqueryrules"
#define KIND_LOCKBOX           "microsoft.customerlockbox/requests"
#define KIND_ONBOARDING        "microsoft.securityinsights/onboardingstates"
#define KIND_GROUP             "microsoft.resources/subscriptions/resourcegroups"
#define KIND_PROVIDER          "microsoft.resources/subscriptions/providers"
#define KIND_KEYS              "microsoft.operationalinsights/workspaces/sharedkeys"
#define KIND_SEARCH            "microsoft.operationalinsights/workspaces/savedsearches"
#define KIND_LINKED_STORAGE    "microsoft.operationalinsights/workspaces/linkedstorageaccounts"
#define KIND_STORAGE           "microsoft.storage/storageaccounts"
#define KIND_LOCK              "microsoft.authorization/locks"
#define KIND_DIAGNOSTIC        "microsoft.insights/diagnosticsettings"
#define KIND_DELETED_CLUSTER   "deleted/clusters"   /* id "deleted:" + key: name reserved */
#define KIND_DELETED_WORKSPACE "deleted/workspaces" /* the same: can be recovered */

/* How long a deleted resource's name is reserved; microseconds. */
static inline int64_t deleted_us(struct arm *a)
{
    return settings_of(a).soft_delete_days * 86400 * US_PER_S;
}

/* --- the types
 * ------------------------------------------------------------------------------------ */

arm_op cluster_list, cluster_get, cluster_put, cluster_patch, cluster_remove;
extern const struct arm_action cluster_actions[];
arm_op workspace_list, workspace_get, workspace_put, workspace_patch, workspace_remove;
arm_op deleted_workspace_list;
extern const struct arm_action workspace_actions[];
arm_op shared_keys_list;
arm_op link_list, link_get, link_put, link_remove;
arm_op search_list, search_get, search_put, search_remove;
arm_op linked_storage_list, linked_storage_get, linked_storage_put, linked_storage_remove;
arm_op storage_list, storage_get, storage_put, storage_patch, storage_remove;
arm_op table_list, table_get, table_put, table_patch, table_remove;
extern const struct arm_action table_actions[];
arm_op rule_list, rule_get, rule_put, rule_patch, rule_remove;
arm_op component_list, component_get, component_put, component_patch, component_remove;
extern const struct arm_action component_actions[];
arm_op alert_rule_list, alert_rule_get, alert_rule_put, alert_rule_patch, alert_rule_remove;
arm_op lockbox_list, lockbox_get, lockbox_opted_in, lockbox_enable, lockbox_disable;
extern const struct arm_action lockbox_actions[];
arm_op onboarding_list, onboarding_get, onboarding_put, onboarding_remove;
arm_op endpoint_list, endpoint_get, endpoint_put, endpoint_patch, endpoint_remove;
arm_op user_identity_list, user_identity_get, user_identity_put, user_identity_patch,
    user_identity_remove, system_identity_get;
arm_op status_get, result_get;
arm_op tenant_list, subscription_list, subscription_get, location_list, resource_list;
arm_op group_list, group_get, group_put, group_patch, group_remove, group_head;
arm_op provider_list, provider_get;
arm_op subscription_result_get;
arm_op diagnostic_list, diagnostic_get, diagnostic_put, diagnostic_remove;
arm_op diagnostic_category_list, diagnostic_category_get;
arm_op lock_list, lock_get, lock_put, lock_remove;
arm_op tags_get, tags_put, tags_patch, tags_remove;
extern const struct arm_action provider_actions[], group_actions[];

extern const struct operation_kind cluster_create_operation, cluster_update_operation,
    cluster_delete_operation, cluster_recover_operation, workspace_create_operation, link_operation,
    unlink_operation, group_delete_operation;
