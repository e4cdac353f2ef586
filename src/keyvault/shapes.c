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
    copy_member(key, v->doc, "kty");
    copy_member(key, v->doc, "key_ops");
    copy_member(key, v->doc, "n");
    copy_member(key, v->doc, "e");
    copy_member(key, v->doc, "crv");
    copy_member(key, v->doc, "x");
    copy_member(key, v->doc, "y");
    json_t *j = json_pack("{s:o, s:o}", "key", key, "attributes", attributes(r, v->doc));
    copy_member(j, v->doc, "tags");
    add_deletion(c, v, j);
    return j;
}

json_t *kv_show_item(const struct call *c, const struct key_ref *r, const struct key_version *v,
                     const char *version)
{
    CLEANUP_FREE char *kid = kv_key_url(c, "keys", kv_shown_name(v), version);
    json_t *j =
        json_pack("{s:s, s:o}", "kid", kid != NULL ? kid : "", "attributes", attributes(r, v->doc));
    copy_member(j, v->doc, "tags");
    add_deletion(c, v, j);
    return j;
}
