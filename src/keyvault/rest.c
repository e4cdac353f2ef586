/* SPDX-License-Identifier: Apache-2.0 */
/* keyvault/rest.c - the data plane of one vault: routes and endpoints */
#include "keyvault/service.h"

#include "base/rand.h"
#include "base/str.h"

#include <ctype.h>

#define RANDOM_MAX 128 /* bytes */

#define BAD(d, ...) FAIL_TAG((d), ERR_INVALID, "BadParameter", __VA_ARGS__)

typedef enum err endpoint(struct call *c, const struct key_ref *r, enum permission p,
                          struct diag *d);

static endpoint get_key, create_key, import_key, rotate_key, update_key, delete_key, operate,
    list_keys, list_versions, list_deleted, get_deleted, recover_key, purge_key, backup_key,
    restore_key, get_policy, set_policy, draw_random, release_key;

/* "*" stands for a name, then for a version. A literal comes before what it would be a version of.
 */
static const struct route {
    const char *method, *path;
    const char *operation; /* in the audit */
    enum permission permission;
    endpoint *run;
    int since; /* 7.N; 0: always there */
} routes[] = {
    {"GET", "keys", "KeyList", PERM_LIST, list_keys, 0},
    {"POST", "keys/restore", "KeyRestore", PERM_RESTORE, restore_key, 0},
    {"GET", "keys/*/versions", "KeyListVersions", PERM_LIST, list_versions, 0},
    {"GET", "keys/*/rotationpolicy", "KeyRotationPolicyGet", PERM_GET_ROTATION, get_policy, 3},
    {"PUT", "keys/*/rotationpolicy", "KeyRotationPolicySet", PERM_SET_ROTATION, set_policy, 3},
    {"POST", "keys/*/create", "KeyCreate", PERM_CREATE, create_key, 0},
    {"POST", "keys/*/rotate", "KeyRotate", PERM_ROTATE, rotate_key, 3},
    {"POST", "keys/*/backup", "KeyBackup", PERM_BACKUP, backup_key, 0},
    {"POST", "keys/*/wrapkey", "KeyWrap", PERM_WRAP, operate, 0},
    {"POST", "keys/*/unwrapkey", "KeyUnwrap", PERM_UNWRAP, operate, 0},
    {"POST", "keys/*/encrypt", "KeyEncrypt", PERM_ENCRYPT, operate, 0},
    {"POST", "keys/*/decrypt", "KeyDecrypt", PERM_DECRYPT, operate, 0},
    {"POST", "keys/*/sign", "KeySign", PERM_SIGN, operate, 0},
    {"POST", "keys/*/verify", "KeyVerify", PERM_VERIFY, operate, 0},
    {"POST", "keys/*/release", "KeyRelease", PERM_RELEASE, release_key, 3},
    {"POST", "keys/*/*/wrapkey", "KeyWrap", PERM_WRAP, operate, 0},
    {"POST", "keys/*/*/unwrapkey", "KeyUnwrap", PERM_UNWRAP, operate, 0},
    {"POST", "keys/*/*/encrypt", "KeyEncrypt", PERM_ENCRYPT, operate, 0},
    {"POST", "keys/*/*/decrypt", "KeyDecrypt", PERM_DECRYPT, operate, 0},
    {"POST", "keys/*/*/sign", "KeySign", PERM_SIGN, operate, 0},
    {"POST", "keys/*/*/verify", "KeyVerify", PERM_VERIFY, operate, 0},
    {"POST", "keys/*/*/release", "KeyRelease", PERM_RELEASE, release_key, 3},
    {"GET", "keys/*", "KeyGet", PERM_GET, get_key, 0},
    {"GET", "keys/*/*", "KeyGet", PERM_GET, get_key, 0},
    {"PUT", "keys/*", "KeyImport", PERM_IMPORT, import_key, 0},
    {"PATCH", "keys/*", "KeyUpdate", PERM_UPDATE, update_key, 0},
    {"PATCH", "keys/*/*", "KeyUpdate", PERM_UPDATE, update_key, 0},
    {"DELETE", "keys/*", "KeyDelete", PERM_DELETE, delete_key, 0},
    {"GET", "deletedkeys", "KeyListDeleted", PERM_LIST, list_deleted, 0},
    {"GET", "deletedkeys/*", "KeyGetDeleted", PERM_GET, get_deleted, 0},
    {"POST", "deletedkeys/*/recover", "KeyRecover", PERM_RECOVER, recover_key, 0},
    {"DELETE", "deletedkeys/*", "KeyPurge", PERM_PURGE, purge_key, 0},
    {"POST", "rng", "RandomBytesGet", PERM_NONE, draw_random, 3},
};

void kv_rest_routes(http_route_visit *visit, void *ctx)
{
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++)
        visit(ctx, "vault", routes[i].method, routes[i].path);
}

#define SEGMENTS_MAX 4

#define MINOR_DATED 100 /* 2025-07-01 and the like are younger than any 7.N */

int kv_version_minor(const struct http_request *req)
{
    const char *v = http_query(req, "api-version");
    if (v == NULL) return -1;
    if (str_starts(v, "7.") && isdigit((unsigned char)v[2]) && !isdigit((unsigned char)v[3]))
        return v[2] - '0';
    bool dated = strlen(v) >= 10 && strspn(v, "0123456789") == 4 && v[4] == '-' && v[7] == '-' &&
                 v[0] == '2';
    return dated ? MINOR_DATED : -1;
}

/* 7.0 to 7.x, their previews, and the dates of newer ones: clients move faster than this list
 * would. */
static enum err check_version(const struct http_request *req, struct diag *d)
{
    const char *v = http_query(req, "api-version");
    if (v == NULL || v[0] == 0) {
        return BAD(d, "The request URI does not contain the required parameter: api-version");
    }
    if (kv_version_minor(req) >= 0) return OK;
    return BAD(
        d,
        "The specified version (%.40s) is not recognized. Consider using the latest supported "
        "version (7.4).",
        v);
}

/* Proxies that know only GET and POST: X-HTTP-METHOD in a POST says what is meant. */
static const char *method_of(const struct http_request *req)
{
    const char *meant = http_header(req, "X-HTTP-METHOD");
    return meant != NULL && str_eq(req->method, "POST") ? meant : req->method;
}

static enum err find_route(const struct http_request *req, const struct route **out,
                           struct key_ref *r, struct diag *d)
{
    const char *segments[SEGMENTS_MAX];
    size_t n = kv_split_path(req->a, req->path, segments, SEGMENTS_MAX);
    const char *method = method_of(req);
    bool known = false;
    for (size_t i = 0; n != 0 && n <= SEGMENTS_MAX && i < sizeof routes / sizeof routes[0]; i++) {
        const char *args[2] = {NULL, ""};
        if (!kv_path_matches(routes[i].path, segments, n, args)) continue;
        r->name = args[0];
        r->version = args[1];
        known = true;
        if (!str_eq(routes[i].method, method)) continue;
        if (kv_version_minor(req) < routes[i].since) {
            return BAD(d, "Method %s does not allow operation '%s' in version %.40s", method,
                       segments[n - 1], http_query(req, "api-version"));
        }
        *out = &routes[i];
        return OK;
    }
    if (known)
        return FAIL_TAG(d, ERR_INVALID, "MethodNotAllowed", "Method %.20s is not allowed here.",
                        method);
    return FAIL_TAG(d, ERR_NOT_FOUND, "NotFound", "There is nothing at this path.");
}

/* "keys/NAME/VERSION", as far as the request names them. */
static const char *object_of(const struct call *c, const struct key_ref *r)
{
    if (r->name == NULL) return NULL;
    return arena_fmt(c->req->a, "keys/%s%s%s", r->name, r->version[0] != 0 ? "/" : "", r->version);
}

enum err kv_rest_handle(struct call *c, json_t *vault, struct diag *d)
{
    TRY(check_version(c->req, d));
    bool done = false;
    if (c->pool) TRY(kv_roles_handle(c, vault, &done, d));
    if (done) return OK;
    char vault_name[VAULT_NAME_MAX];
    TRY(kv_vault_row(vault, vault_name, d));
    struct key_ref r = {.vault = vault, .vault_name = vault_name};
    const struct route *route = NULL;
    TRY(find_route(c->req, &route, &r, d));
    c->operation = route->operation;
    c->reads = route->run == operate || route->run == draw_random || route->run == backup_key;
    c->object = object_of(c, &r);
    TRY(kv_policy_check(c, vault, r.name, route->permission, d));
    TRY(kv_faults_play(c, &r, route->permission, &done, d));
    if (done) return OK;
    if (c->req->body.len != 0) {
        /* What is wrong with it would quote it: a JWK may be in there. */
        if (json_read(c->req->body, &c->body, NULL) != OK || !json_is_object(c->body)) {
            return BAD(d, "The request body is not a JSON object.");
        }
    }
    return route->run(c, &r, route->permission, d);
}

/* --- one key --- */

static void reply_bundle(struct call *c, const struct key_ref *r, const struct key_version *v)
{
    CLEANUP_JSON json_t *j = kv_show_bundle(c, r, v);
    kv_reply_json(c->res, 200, j);
}

static enum err get_key(struct call *c, const struct key_ref *r, enum permission p, struct diag *d)
{
    (void)p;
    CLEANUP_KEY_VERSION struct key_version v = {0};
    TRY(kv_key_look(c->kv, r, &v, d));
    reply_bundle(c, r, &v);
    return OK;
}

/* Answers with the version that was made or changed. */
static enum err reply_changed(struct call *c, const struct key_ref *r, enum err e,
                              const struct key_version *v)
{
    if (e != OK) return e;
    kv_rotation_changed(c->kv, r);
    reply_bundle(c, r, v);
    return OK;
}

static enum err create_key(struct call *c, const struct key_ref *r, enum permission p,
                           struct diag *d)
{
    (void)p;
    CLEANUP_KEY_VERSION struct key_version v = {0};
    struct key_kind kind;
    if (kv_kind_read(c->body, &kind, NULL) == OK && kind.hsm)
        TRY(kv_throttle_hsm_create(c, r->vault, d));
    return reply_changed(c, r, kv_key_create(c->kv, r, c->body, &v, d), &v);
}

static enum err import_key(struct call *c, const struct key_ref *r, enum permission p,
                           struct diag *d)
{
    (void)p;
    CLEANUP_KEY_VERSION struct key_version v = {0};
    return reply_changed(c, r, kv_key_import(c->kv, r, c->body, &v, d), &v);
}

static enum err rotate_key(struct call *c, const struct key_ref *r, enum permission p,
                           struct diag *d)
{
    (void)p;
    CLEANUP_KEY_VERSION struct key_version v = {0};
    return reply_changed(c, r, kv_key_rotate(c->kv, r, &v, d), &v);
}

static enum err update_key(struct call *c, const struct key_ref *r, enum permission p,
                           struct diag *d)
{
    (void)p;
    CLEANUP_KEY_VERSION struct key_version v = {0};
    return reply_changed(c, r, kv_key_update(c->kv, r, c->body, &v, d), &v);
}

static enum err recover_key(struct call *c, const struct key_ref *r, enum permission p,
                            struct diag *d)
{
    (void)p;
    CLEANUP_KEY_VERSION struct key_version v = {0};
    return reply_changed(c, r, kv_key_recover(c->kv, r, &v, d), &v);
}

static enum err delete_key(struct call *c, const struct key_ref *r, enum permission p,
                           struct diag *d)
{
    (void)p;
    CLEANUP_KEY_VERSION struct key_version v = {0};
    TRY(kv_key_delete(c->kv, r, &v, d));
    kv_tidy_at(c->kv->tidy, json_get_int(json_get(v.key, "deleted"), "purge", INT64_MAX));
    reply_bundle(c, r, &v);
    return OK;
}

static enum err get_deleted(struct call *c, const struct key_ref *r, enum permission p,
                            struct diag *d)
{
    (void)p;
    CLEANUP_KEY_VERSION struct key_version v = {0};
    TRY(kv_key_find_deleted(c->kv, r, &v, d));
    reply_bundle(c, r, &v);
    return OK;
}

static enum err purge_key(struct call *c, const struct key_ref *r, enum permission p,
                          struct diag *d)
{
    (void)p;
    TRY(kv_key_purge(c->kv, r, d));
    c->res->status = 204;
    return OK;
}

static enum err operate(struct call *c, const struct key_ref *r, enum permission p, struct diag *d)
{
    CLEANUP_KEY_VERSION struct key_version v = {0};
    TRY(kv_key_look(c->kv, r, &v, d));
    CLEANUP_FREE char *kid = kv_key_url(c, "keys", kv_shown_name(&v), v.version);
    if (kid == NULL) return kv_out_of_memory(d);
    return kv_key_operate(c, &v, r, p, kid, d);
}

static enum err release_key(struct call *c, const struct key_ref *r, enum permission p,
                            struct diag *d)
{
    (void)p;
    CLEANUP_KEY_VERSION struct key_version v = {0};
    TRY(kv_key_look(c->kv, r, &v, d));
    return FAIL_TAG(
        d, ERR_DENIED, "OperationNotPermitted",
        "Operation release is not permitted on this key: no key of this vault is exportable.");
}

/* --- rotation policy --- */

static enum err reply_policy(struct call *c, const struct key_ref *r, json_t *policy,
                             struct diag *d)
{
    CLEANUP_FREE char *id = kv_key_url(c, "keys", r->name, "rotationpolicy");
    TRY(json_put(policy, "id", json_string(id != NULL ? id : ""), d));
    kv_reply_json(c->res, 200, policy);
    return OK;
}

static enum err get_policy(struct call *c, const struct key_ref *r, enum permission p,
                           struct diag *d)
{
    (void)p;
    CLEANUP_JSON json_t *policy = NULL;
    TRY(kv_rotation_get(c->kv, r, &policy, d));
    return reply_policy(c, r, policy, d);
}

static enum err set_policy(struct call *c, const struct key_ref *r, enum permission p,
                           struct diag *d)
{
    (void)p;
    CLEANUP_JSON json_t *policy = NULL;
    TRY(kv_rotation_set(c->kv, r, c->body, &policy, d));
    kv_rotation_changed(c->kv, r);
    return reply_policy(c, r, policy, d);
}

/* --- backup, restore, random bytes --- */

/* Written by hand, as all that may be secret. */
static enum err reply_value(struct call *c, struct bytes text, struct diag *d)
{
    c->res->status = 200;
    http_set(c->res, "Content-Type", "application/json; charset=utf-8");
    buf_str(&c->res->body, "{\"value\":\"");
    buf_bytes(&c->res->body, text);
    buf_str(&c->res->body, "\"}");
    return buf_check(&c->res->body, d);
}

static enum err backup_key(struct call *c, const struct key_ref *r, enum permission p,
                           struct diag *d)
{
    (void)p;
    CLEANUP_BUF struct buf blob = {0};
    TRY(kv_backup(c->kv, r, &blob, d));
    return reply_value(c, buf_view(&blob), d);
}

static enum err restore_key(struct call *c, const struct key_ref *r, enum permission p,
                            struct diag *d)
{
    (void)p;
    CLEANUP_KEY_VERSION struct key_version v = {0};
    TRY(kv_restore(c->kv, r, json_get_str(c->body, "value"), &v, d));
    reply_bundle(c, r, &v);
    return OK;
}

static enum err draw_random(struct call *c, const struct key_ref *r, enum permission p,
                            struct diag *d)
{
    (void)r, (void)p;
    int64_t n = json_get_int(c->body, "count", 0);
    if (n < 1 || n > RANDOM_MAX) {
        return BAD(d, "Property count has invalid value: 1 to %d are allowed", RANDOM_MAX);
    }
    uint8_t bytes[RANDOM_MAX];
    CLEANUP_BUF struct buf text = {0};
    if (c->pool && c->kv->config.token != NULL) {
        TRY(token_random(c->kv->config.token, bytes, (size_t)n, d));
    } else {
        rand_bytes(bytes, (size_t)n);
    }
    base64url_encode(&text, bytes_of(bytes, (size_t)n));
    wipe(bytes, sizeof bytes);
    return reply_value(c, buf_view(&text), d);
}

/* --- lists --- */

static enum err list_keys(struct call *c, const struct key_ref *r, enum permission p,
                          struct diag *d)
{
    (void)p;
    return kv_list_keys(c, r, false, d);
}

static enum err list_deleted(struct call *c, const struct key_ref *r, enum permission p,
                             struct diag *d)
{
    (void)p;
    return kv_list_keys(c, r, true, d);
}

static enum err list_versions(struct call *c, const struct key_ref *r, enum permission p,
                              struct diag *d)
{
    (void)p;
    return kv_list_versions(c, r, d);
}
