/* SPDX-License-Identifier: Apache-2.0 */
/* keyvault/rest.c - the data plane of one vault: routes, and the shapes of answers */
#include "keyvault/service.h"

#include "base/log.h"
#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>

#define PAGE_MAX 25

#define BAD(d, ...) FAIL_TAG((d), ERR_INVALID, "BadParameter", __VA_ARGS__)

typedef enum err endpoint(struct call *c, const struct key_ref *r, enum permission p,
                          struct diag *d);

static endpoint get_key, create_key, rotate_key, update_key, delete_key, operate, list_keys,
    list_versions, list_deleted, get_deleted, recover_key, purge_key;

/* "*" stands for a name, then for a version. A literal comes before what it would be a version of.
 */
static const struct route {
    const char *method, *path;
    enum permission permission;
    endpoint *run;
} routes[] = {
    {"GET", "keys", PERM_LIST, list_keys},
    {"GET", "keys/*/versions", PERM_LIST, list_versions},
    {"POST", "keys/*/create", PERM_CREATE, create_key},
    {"POST", "keys/*/rotate", PERM_ROTATE, rotate_key},
    {"POST", "keys/*/wrapkey", PERM_WRAP, operate},
    {"POST", "keys/*/unwrapkey", PERM_UNWRAP, operate},
    {"POST", "keys/*/encrypt", PERM_ENCRYPT, operate},
    {"POST", "keys/*/decrypt", PERM_DECRYPT, operate},
    {"POST", "keys/*/*/wrapkey", PERM_WRAP, operate},
    {"POST", "keys/*/*/unwrapkey", PERM_UNWRAP, operate},
    {"POST", "keys/*/*/encrypt", PERM_ENCRYPT, operate},
    {"POST", "keys/*/*/decrypt", PERM_DECRYPT, operate},
    {"GET", "keys/*", PERM_GET, get_key},
    {"GET", "keys/*/*", PERM_GET, get_key},
    {"PATCH", "keys/*", PERM_UPDATE, update_key},
    {"PATCH", "keys/*/*", PERM_UPDATE, update_key},
    {"DELETE", "keys/*", PERM_DELETE, delete_key},
    {"GET", "deletedkeys", PERM_LIST, list_deleted},
    {"GET", "deletedkeys/*", PERM_GET, get_deleted},
    {"POST", "deletedkeys/*/recover", PERM_RECOVER, recover_key},
    {"DELETE", "deletedkeys/*", PERM_PURGE, purge_key},
};

#define SEGMENTS_MAX 4

/* 7.0 to 7.x, their previews, and the dates of newer ones: clients move faster than this list
 * would. */
static enum err check_version(const struct http_request *req, struct diag *d)
{
    const char *v = http_query(req, "api-version");
    if (v == NULL || v[0] == 0) {
        return BAD(d, "The request URI does not contain the required parameter: api-version");
    }
    bool seven = str_starts(v, "7.") && v[2] >= '0' && v[2] <= '9';
    bool dated = strlen(v) >= 10 && strspn(v, "0123456789") == 4 && v[4] == '-' && v[7] == '-' &&
                 v[0] == '2';
    if (seven || dated) return OK;
    return BAD(
        d,
        "The specified version (%.40s) is not recognized. Consider using the latest supported "
        "version (7.4).",
        v);
}

static enum err find_route(const struct http_request *req, const struct route **out,
                           struct key_ref *r, struct diag *d)
{
    const char *segments[SEGMENTS_MAX];
    size_t n = kv_split_path(req->a, req->path, segments, SEGMENTS_MAX);
    bool known = false;
    for (size_t i = 0; n != 0 && n <= SEGMENTS_MAX && i < sizeof routes / sizeof routes[0]; i++) {
        const char *args[2] = {NULL, ""};
        if (!kv_path_matches(routes[i].path, segments, n, args)) continue;
        r->name = args[0];
        r->version = args[1];
        known = true;
        if (!str_eq(routes[i].method, req->method)) continue;
        *out = &routes[i];
        return OK;
    }
    if (known)
        return FAIL_TAG(d, ERR_INVALID, "MethodNotAllowed", "Method %s is not allowed here.",
                        req->method);
    return FAIL_TAG(d, ERR_NOT_FOUND, "NotFound", "There is nothing at this path.");
}

enum err kv_rest_handle(struct call *c, json_t *vault, struct diag *d)
{
    http_set(c->res, "x-ms-keyvault-region", json_get_str(vault, "location"));
    TRY(check_version(c->req, d));
    CLEANUP_FREE char *vault_name = str_dup(json_get_str(vault, "name"));
    if (vault_name == NULL) return kv_out_of_memory(d);
    str_lower(vault_name);
    struct key_ref r = {.vault = vault, .vault_name = vault_name};
    const struct route *route = NULL;
    TRY(find_route(c->req, &route, &r, d));
    TRY(kv_policy_check(c, vault, r.name, route->permission, d));
    if (c->req->body.len != 0) {
        struct diag why = DIAG_INIT;
        if (json_read(c->req->body, &c->body, &why) != OK || !json_is_object(c->body)) {
            return BAD(d, "The request body is not a JSON object. %s", why.text);
        }
    }
    return route->run(c, &r, route->permission, d);
}

/* --- shapes --- */

/* https://HOST AS ADDRESSED/COLLECTION/NAME[/VERSION] */
static char *key_url(const struct call *c, const char *collection, const char *name,
                     const char *version)
{
    char *url = str_fmt("https://%s/%s/%s%s%s", c->req->authority, collection, name,
                        version[0] != 0 ? "/" : "", version);
    return url;
}

static void copy_member(json_t *to, const json_t *from, const char *name)
{
    json_t *v = json_get(from, name);
    if (v != NULL) json_object_set(to, name, v);
}

static json_t *attributes(const struct key_ref *r, const json_t *doc)
{
    json_t *a = json_object();
    copy_member(a, doc, "enabled");
    copy_member(a, doc, "nbf");
    copy_member(a, doc, "exp");
    copy_member(a, doc, "created");
    copy_member(a, doc, "updated");
    json_object_set_new(a, "recoveryLevel", json_string(kv_vault_recovery_level(r->vault)));
    if (kv_vault_soft_deletes(r->vault)) {
        json_object_set_new(a, "recoverableDays",
                            json_integer((json_int_t)kv_vault_retention_days(r->vault)));
    }
    json_object_set_new(a, "exportable", json_false());
    return a;
}

static const char *shown_name(const struct key_version *v)
{
    const char *name = json_get_str(v->key, "name");
    return name != NULL ? name : "";
}

static json_t *bundle(const struct call *c, const struct key_ref *r, const struct key_version *v)
{
    CLEANUP_FREE char *kid = key_url(c, "keys", shown_name(v), v->version);
    json_t *key = json_pack("{s:s}", "kid", kid != NULL ? kid : "");
    copy_member(key, v->doc, "kty");
    copy_member(key, v->doc, "key_ops");
    copy_member(key, v->doc, "n");
    copy_member(key, v->doc, "e");
    json_t *j = json_pack("{s:o, s:o}", "key", key, "attributes", attributes(r, v->doc));
    copy_member(j, v->doc, "tags");
    return j;
}

static void add_deletion(const struct call *c, const struct key_version *v, const char *name,
                         json_t *j)
{
    const json_t *deleted = json_get(v->key, "deleted");
    if (deleted == NULL) return;
    CLEANUP_FREE char *id = key_url(c, "deletedkeys", name, "");
    json_object_set_new(j, "recoveryId", json_string(id != NULL ? id : ""));
    json_object_set_new(j, "deletedDate", json_integer(json_get_int(deleted, "on", 0)));
    json_object_set_new(j, "scheduledPurgeDate", json_integer(json_get_int(deleted, "purge", 0)));
}

static void reply_bundle(struct call *c, const struct key_ref *r, const struct key_version *v)
{
    CLEANUP_JSON json_t *j = bundle(c, r, v);
    add_deletion(c, v, shown_name(v), j);
    kv_reply_json(c->res, 200, j);
}

/* --- one key --- */

static enum err get_key(struct call *c, const struct key_ref *r, enum permission p, struct diag *d)
{
    (void)p;
    CLEANUP_KEY_VERSION struct key_version v = {0};
    TRY(kv_key_find(c->kv, r, &v, d));
    reply_bundle(c, r, &v);
    return OK;
}

static enum err create_key(struct call *c, const struct key_ref *r, enum permission p,
                           struct diag *d)
{
    (void)p;
    CLEANUP_KEY_VERSION struct key_version v = {0};
    TRY(kv_key_create(c->kv, r, c->body, &v, d));
    reply_bundle(c, r, &v);
    return OK;
}

static enum err rotate_key(struct call *c, const struct key_ref *r, enum permission p,
                           struct diag *d)
{
    (void)p;
    CLEANUP_KEY_VERSION struct key_version v = {0};
    TRY(kv_key_rotate(c->kv, r, &v, d));
    reply_bundle(c, r, &v);
    return OK;
}

static enum err update_key(struct call *c, const struct key_ref *r, enum permission p,
                           struct diag *d)
{
    (void)p;
    CLEANUP_KEY_VERSION struct key_version v = {0};
    TRY(kv_key_update(c->kv, r, c->body, &v, d));
    reply_bundle(c, r, &v);
    return OK;
}

static enum err delete_key(struct call *c, const struct key_ref *r, enum permission p,
                           struct diag *d)
{
    (void)p;
    CLEANUP_KEY_VERSION struct key_version v = {0};
    TRY(kv_key_delete(c->kv, r, &v, d));
    kv_tidy_wake(c->kv->tidy);
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

static enum err recover_key(struct call *c, const struct key_ref *r, enum permission p,
                            struct diag *d)
{
    (void)p;
    CLEANUP_KEY_VERSION struct key_version v = {0};
    TRY(kv_key_recover(c->kv, r, &v, d));
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

/* Written by hand: a JSON library would keep copies of an unwrapped key. */
static enum err operate(struct call *c, const struct key_ref *r, enum permission p, struct diag *d)
{
    CLEANUP_KEY_VERSION struct key_version v = {0};
    TRY(kv_key_find(c->kv, r, &v, d));
    CLEANUP_BUF struct buf result = {0};
    TRY(kv_key_operate(c->kv, &v, r, p, c->body, &result, d));
    CLEANUP_FREE char *kid = key_url(c, "keys", shown_name(&v), v.version);
    if (kid == NULL) return kv_out_of_memory(d);
    c->res->status = 200;
    http_set(c->res, "Content-Type", "application/json; charset=utf-8");
    buf_fmt(&c->res->body, "{\"kid\":\"%s\",\"value\":\"", kid);
    base64url_encode(&c->res->body, buf_view(&result));
    buf_str(&c->res->body, "\"}");
    return buf_check(&c->res->body, d);
}

/* --- lists --- */

struct page {
    struct call *c;
    const struct key_ref *r;
    bool deleted;
    size_t skip, max, seen; /* items */
    json_t *items;
};

static enum err page_start(struct page *g, struct diag *d)
{
    const char *max = http_query(g->c->req, "maxresults"),
               *skip = http_query(g->c->req, "$skiptoken");
    uint64_t n = PAGE_MAX, from = 0;
    if (max != NULL && (str_u64(max, PAGE_MAX, &n, NULL) != OK || n == 0)) {
        return BAD(d, "Invalid value for maxresults: 1 to %d are allowed", PAGE_MAX);
    }
    if (skip != NULL && str_u64(skip, UINT32_MAX, &from, NULL) != OK)
        return BAD(d, "Invalid $skiptoken");
    g->max = (size_t)n;
    g->skip = (size_t)from;
    g->items = json_array();
    return OK;
}

/* Is the next item on this page? */
static bool page_takes(struct page *g)
{
    size_t i = g->seen++;
    return i >= g->skip && i < g->skip + g->max;
}

static void page_add(struct page *g, const struct key_version *v, const char *version)
{
    CLEANUP_FREE char *kid = key_url(g->c, "keys", shown_name(v), version);
    json_t *item = json_pack("{s:s, s:o}", "kid", kid != NULL ? kid : "", "attributes",
                             attributes(g->r, v->doc));
    copy_member(item, v->doc, "tags");
    if (g->deleted) add_deletion(g->c, v, shown_name(v), item);
    json_array_append_new(g->items, item);
}

static void page_reply(struct page *g)
{
    json_t *next = json_null();
    if (g->seen > g->skip + g->max) {
        const struct http_request *req = g->c->req;
        CLEANUP_FREE char *url =
            str_fmt("https://%s%s?api-version=%s&$skiptoken=%zu&maxresults=%zu", req->authority,
                    req->path, http_query(req, "api-version"), g->skip + g->max, g->max);
        if (url != NULL) next = json_string(url);
    }
    CLEANUP_JSON json_t *j = json_pack("{s:o, s:o}", "value", g->items, "nextLink", next);
    g->items = NULL;
    kv_reply_json(g->c->res, 200, j);
}

static enum err list_one(void *ctx, const char *place, json_t *key, struct diag *d)
{
    struct page *g = ctx;
    (void)place;
    if (kv_is_due(key) || (json_get(key, "deleted") != NULL) != g->deleted || !page_takes(g))
        return OK;
    struct key_ref r = {.vault = g->r->vault,
                        .vault_name = g->r->vault_name,
                        .name = json_get_str(key, "name"),
                        .version = ""};
    CLEANUP_KEY_VERSION struct key_version v = {0};
    TRY(g->deleted ? kv_key_find_deleted(g->c->kv, &r, &v, d) : kv_key_find(g->c->kv, &r, &v, d));
    page_add(g, &v, "");
    return OK;
}

static enum err list(struct call *c, const struct key_ref *r, bool deleted, struct diag *d)
{
    struct page g = {.c = c, .r = r, .deleted = deleted};
    TRY(page_start(&g, d));
    CLEANUP_FREE char *prefix = str_fmt("%s/", r->vault_name);
    enum err e =
        prefix != NULL ? kv_doc_each(c->kv, "key", prefix, list_one, &g, d) : kv_out_of_memory(d);
    if (e == OK) page_reply(&g);
    json_decref(g.items);
    return e;
}

static enum err list_keys(struct call *c, const struct key_ref *r, enum permission p,
                          struct diag *d)
{
    (void)p;
    return list(c, r, false, d);
}

static enum err list_deleted(struct call *c, const struct key_ref *r, enum permission p,
                             struct diag *d)
{
    (void)p;
    return list(c, r, true, d);
}

static enum err add_versions(struct page *g, const struct key_version *any, struct diag *d)
{
    size_t i;
    json_t *version;
    json_array_foreach (json_get(any->key, "versions"), i, version) {
        if (!page_takes(g)) continue;
        struct key_ref r = *g->r;
        r.version = json_string_value(version);
        CLEANUP_KEY_VERSION struct key_version v = {0};
        TRY(kv_key_find(g->c->kv, &r, &v, d));
        page_add(g, &v, v.version);
    }
    return OK;
}

static enum err list_versions(struct call *c, const struct key_ref *r, enum permission p,
                              struct diag *d)
{
    (void)p;
    struct page g = {.c = c, .r = r};
    CLEANUP_KEY_VERSION struct key_version any = {0};
    TRY(kv_key_find(c->kv, r, &any, d));
    TRY(page_start(&g, d));
    enum err e = add_versions(&g, &any, d);
    if (e == OK) page_reply(&g);
    json_decref(g.items);
    return e;
}
