/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity/identity.c - opening the store; what a data directory is born with
 *
 * The first start writes everything in one transaction: a crash leaves either nothing or all of it.
 */
#include "identity/state.h"

#include "base/log.h"
#include "base/os.h"
#include "base/time.h"
#include "net/url.h"

#include <stdio.h>
#include <stdlib.h>

#define PLATFORM_RESOURCE \
    "/providers/Keystead/platform" /* no subscription: nobody can ensure or delete it */

static enum err read_directory(struct identity *id, struct diag *d)
{
    CLEANUP_BUF struct buf text = {0};
    CLEANUP_JSON json_t *j = NULL;
    const struct {
        const char *name;
        char *out;
    } fields[] = {
        {"tenantId", id->tenant_id},
        {"subscriptionId", id->subscription_id},
        {"founderObjectId", id->founder_object_id},
        {"founderClientId", id->founder_client_id},
        {"platformObjectId", id->platform_object_id},
    };
    TRY(kvstore_get(id->store, "meta", "directory", &text, d));
    TRY(json_read(buf_view(&text), &j, d));
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        const char *value = json_string_value(json_object_get(j, fields[i].name));
        struct guid g;
        if (value == NULL || guid_parse(value, &g, NULL) != OK) {
            return FAIL(d, ERR_CORRUPT, "identity: the directory has no %s", fields[i].name);
        }
        guid_format(&g, fields[i].out);
    }
    return OK;
}

static enum err write_directory(struct identity *id, struct diag *d)
{
    return row_put(id, "meta", "directory",
                   json_pack("{s:s, s:s, s:s, s:s, s:s}", "tenantId", id->tenant_id,
                             "subscriptionId", id->subscription_id, "founderObjectId",
                             id->founder_object_id, "founderClientId", id->founder_client_id,
                             "platformObjectId", id->platform_object_id),
                   d);
}

static enum err grant(struct identity *id, const char *object_id, const char *type,
                      const char *subscription, const char *role, struct diag *d)
{
    struct assignment a = {.created_us = time_now_us()};
    bool created = false;
    a.updated_us = a.created_us;
    snprintf(a.role_id, sizeof a.role_id, "%s", role);
    new_id(a.name);
    snprintf(a.principal_id, sizeof a.principal_id, "%s", object_id);
    memcpy(a.created_by, a.principal_id, sizeof a.created_by);
    memcpy(a.updated_by, a.principal_id, sizeof a.updated_by);
    snprintf(a.principal_type, sizeof a.principal_type, "%s", type);
    snprintf(a.scope, sizeof a.scope, "/subscriptions/%s", subscription);
    return assignment_put(id, &a, &a, &created, d);
}

/* Who opens a subscription owns it, and may send to and read its workspaces: Owner alone has no data
 * action. He gets none on keys. In a transaction. */
static enum err grant_all(struct identity *id, const char *object_id, const char *type,
                          const char *subscription, struct diag *d)
{
    TRY(grant(id, object_id, type, subscription, ROLE_OWNER, d));
    TRY(grant(id, object_id, type, subscription, ROLE_METRICS_PUBLISHER, d));
    return grant(id, object_id, type, subscription, ROLE_LOG_DATA_READER, d);
}

bool subscription_is_open(struct identity *id, const char *subscription)
{
    char scope[64];
    if (str_eq_nocase(subscription, id->subscription_id)) return true;
    snprintf(scope, sizeof scope, "/subscriptions/%.40s", subscription);
    LOCK_SCOPE(&id->lock);
    MAP_EACH (&id->assignments, e) {
        if (str_eq_nocase(((const struct assignment *)e->value)->scope, scope)) return true;
    }
    return false;
}

enum err subscription_open(struct identity *id, const char *subscription, const char *object_id,
                           struct diag *d)
{
    struct principal p;
    struct guid g;
    TRY(guid_parse(subscription, &g, d));
    if (!principal_by_object(id, object_id, &p)) {
        return FAIL(d, ERR_NOT_FOUND, "there is no identity %.40s", object_id);
    }
    LOCK_SCOPE(&id->lock);
    if (subscription_is_open(id, subscription)) return OK;
    CLEANUP_KVSTORE_TXN struct kvstore_txn t = {0};
    TRY(kvstore_begin(id->store, &t, d));
    TRY(grant_all(id, object_id, p.kind == PRINCIPAL_PERSON ? "User" : "ServicePrincipal",
                  subscription, d));
    TRY(kvstore_commit(&t, d));
    LOG(INFO, "identity.subscription_opened", F_STR("subscription", subscription),
        F_STR("owner", object_id));
    return OK;
}

static enum err found(struct identity *id, char secret[65], struct diag *d)
{
    struct principal founder = {.kind = PRINCIPAL_APP, .name = "founder"}, platform;
    LOCK_SCOPE(&id->lock); /* before the store's, here as everywhere */
    CLEANUP_KVSTORE_TXN struct kvstore_txn t = {0};
    TRY(kvstore_begin(id->store, &t, d));
    new_id(id->tenant_id);
    new_id(id->subscription_id);
    TRY(credential_add_secret(&founder, 0, secret, d));
    TRY(principal_add(id, &founder, d));
    TRY(principal_ensure_managed(id, PLATFORM_RESOURCE, &platform, d));
    memcpy(id->founder_object_id, founder.object_id, sizeof founder.object_id);
    memcpy(id->founder_client_id, founder.client_id, sizeof founder.client_id);
    memcpy(id->platform_object_id, platform.object_id, sizeof platform.object_id);
    TRY(grant_all(id, id->founder_object_id, "ServicePrincipal", id->subscription_id, d));
    TRY(signers_load(id, d));
    TRY(write_directory(id, d));
    TRY(kvstore_commit(&t, d));
    LOG(INFO, "identity.founded", F_STR("tenant", id->tenant_id));
    return OK;
}

static enum err load(struct identity *id, struct diag *d)
{
    TRY(principals_load(id, d));
    TRY(roles_load(id, d));
    TRY(assignments_load(id, d));
    return signers_load(id, d);
}

static enum err open_store(struct identity *id, const char *dir, struct diag *d)
{
    CLEANUP_FREE char *path = os_path(dir, "identity.db"), *root = os_path(dir, "root.key");
    if (path == NULL || root == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    TRY(os_mkdir(dir, d));
    return kvstore_open(&id->store, path, root, d);
}

static enum err set_endpoint(struct identity *id, const char *endpoint, struct diag *d)
{
    struct url u;
    TRY(url_parse(endpoint, &u, d));
    size_t n = (size_t)((const char *)u.path.p - endpoint);
    bool bare = u.path.len == 0 || bytes_eq(u.path, BYTES("/"));
    if (!bare || u.query.p != NULL || u.has_userinfo || n >= sizeof id->endpoint) {
        return FAIL(d, ERR_INVALID,
                    "identity: the endpoint \"%.200s\" is more than a host and a port", endpoint);
    }
    memcpy(id->endpoint, endpoint, n);
    return OK;
}

static void init_lock(pthread_mutex_t *lock)
{
    pthread_mutexattr_t a;
    pthread_mutexattr_init(&a);
    pthread_mutexattr_settype(&a, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(lock, &a);
    pthread_mutexattr_destroy(&a);
}

enum err identity_open(struct identity **out, const struct identity_config *c,
                       struct identity_founder *founder, struct diag *d)
{
    CLEANUP(identity_close) struct identity *id = calloc(1, sizeof *id);
    if (id == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    init_lock(&id->lock);
    pthread_rwlock_init(&id->signer_lock, NULL);
    struct identity_founder f = {0};
    TRY(set_endpoint(id, c->endpoint, d));
    TRY(open_store(id, c->dir, d));

    struct diag why = DIAG_INIT;
    enum err e = read_directory(id, &why);
    if (e == OK) {
        e = load(id, d);
    } else if (e == ERR_NOT_FOUND) {
        e = found(id, f.client_secret, d);
    } else {
        e = FAIL(d, e, "%s", why.text);
    }
    if (e == OK) e = foreign_open(id, c->issuers_file, d);
    if (e == OK) e = people_open(id, d);
    if (e == OK && c->has_watch) e = watch_start(id, d);
    if (e == OK) {
        memcpy(f.tenant_id, id->tenant_id, sizeof f.tenant_id);
        memcpy(f.subscription_id, id->subscription_id, sizeof f.subscription_id);
        memcpy(f.client_id, id->founder_client_id, sizeof f.client_id);
        memcpy(f.object_id, id->founder_object_id, sizeof f.object_id);
        memcpy(f.platform_object_id, id->platform_object_id, sizeof f.platform_object_id);
        *founder = f;
        *out = TAKE(id);
    }
    wipe(&f, sizeof f);
    return e;
}

void identity_close(struct identity *id)
{
    if (id == NULL) return;
    watch_stop(id);
    people_close(id);
    foreign_close(id);
    principals_release(id);
    assignments_release(id);
    roles_release(id);
    signers_release(id);
    kvstore_close(id->store);
    pthread_rwlock_destroy(&id->signer_lock);
    pthread_mutex_destroy(&id->lock);
    free(id);
}
