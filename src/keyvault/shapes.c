/* SPDX-License-Identifier: Apache-2.0 */
/* keyvault/shapes.c - how keys are shown */
#include "keyvault/service.h"

#include "base/str.h"

char *kv_key_url(const struct call *c, const char *collection, const char *name,
                 const char *version)
{
    char *url = str_fmt("https://%s/%s/%s%s%s", c->req->authority, collection, name,
                        version[0] != 0 ? "/" : "", version);
    return url;
}

char *kv_object_url(const struct keyvault *kv, const struct key_ref *r, const char *version)
{
    size_t n = strcspn(r->vault_name, ".");
    bool pool = r->vault_name[n] != 0;
    return str_fmt("https://%.*s.%s/keys/%s%s%s", (int)n, r->vault_name,
                   pool ? kv->hsm_suffix : kv->suffix, r->name, version[0] != 0 ? "/" : "",
                   version);
}

#define PLATFORM_SINCE 5 /* 7.5 */

/* "0": software. "1": an HSM's; "2" would claim a certification of the module that we cannot know. */
static const char *platform(const json_t *doc)
{
    const char *kty = json_get_str(doc, "kty");
    return kty != NULL && str_ends_nocase(kty, "-HSM") ? "1" : "0";
}

static json_t *attributes(const struct call *c, const struct key_ref *r, const json_t *doc)
{
    json_t *a = json_object();
    kv_copy_member(a, doc, "enabled");
    kv_copy_member(a, doc, "nbf");
    kv_copy_member(a, doc, "exp");
    kv_copy_member(a, doc, "created");
    kv_copy_member(a, doc, "updated");
    json_object_set_new(a, "recoveryLevel", json_string(kv_vault_recovery_level(r->vault)));
    json_object_set_new(a, "recoverableDays",
                        json_integer((json_int_t)kv_vault_retention_days(r->vault)));
    json_object_set_new(a, "exportable", json_false());
    if (kv_version_minor(c->req) >= PLATFORM_SINCE)
        json_object_set_new(a, "hsmPlatform", json_string(platform(doc)));
    return a;
}

const char *kv_shown_name(const struct key_version *v)
{
    const char *name = json_get_str(v->key, "name");
    return name != NULL ? name : "";
}

static void add_deletion(const struct call *c, const struct key_version *v, json_t *j)
{
    const json_t *deleted = json_get(v->key, "deleted");
    if (deleted == NULL) return;
    CLEANUP_FREE char *id = kv_key_url(c, "deletedkeys", kv_shown_name(v), "");
    json_object_set_new(j, "recoveryId", json_string(id != NULL ? id : ""));
    json_object_set_new(j, "deletedDate", json_integer(json_get_int(deleted, "on", 0)));
    json_object_set_new(j, "scheduledPurgeDate", json_integer(json_get_int(deleted, "purge", 0)));
}

json_t *kv_show_bundle(const struct call *c, const struct key_ref *r, const struct key_version *v)
{
    CLEANUP_FREE char *kid = kv_key_url(c, "keys", kv_shown_name(v), v->version);
    json_t *key = json_pack("{s:s}", "kid", kid != NULL ? kid : "");
    kv_copy_member(key, v->doc, "kty");
    kv_copy_member(key, v->doc, "key_ops");
    kv_copy_member(key, v->doc, "n");
    kv_copy_member(key, v->doc, "e");
    kv_copy_member(key, v->doc, "crv");
    kv_copy_member(key, v->doc, "x");
    kv_copy_member(key, v->doc, "y");
    json_t *j = json_pack("{s:o, s:o}", "key", key, "attributes", attributes(c, r, v->doc));
    kv_copy_member(j, v->doc, "tags");
    add_deletion(c, v, j);
    return j;
}

json_t *kv_show_item(const struct call *c, const struct key_ref *r, const struct key_version *v,
                     const char *version)
{
    CLEANUP_FREE char *kid = kv_key_url(c, "keys", kv_shown_name(v), version);
    json_t *j = json_pack("{s:s, s:o}", "kid", kid != NULL ? kid : "", "attributes",
                          attributes(c, r, v->doc));
    kv_copy_member(j, v->doc, "tags");
    add_deletion(c, v, j);
    return j;
}
