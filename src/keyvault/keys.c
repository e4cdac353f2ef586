/* SPDX-License-Identifier: Apache-2.0 */
/* keyvault/keys.c - where keys and their versions lie; finding, change, deletion, recovery */
#include "keyvault/service.h"

#include "base/log.h"
#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>

#define DAY_S 86400

void kv_key_version_release(struct key_version *v)
{
    json_decref(v->key);
    json_decref(v->doc);
    *v = (struct key_version){0};
}

/* --- where things lie --- */

void kv_place_key(const struct key_ref *r, struct place *p)
{
    snprintf(p->key, sizeof p->key, "%s/%s", r->vault_name, r->name);
    str_lower(p->key);
}

void kv_place_version(const struct key_ref *r, const char *version, struct place *p)
{
    kv_place_key(r, p);
    snprintf(p->version, sizeof p->version, "%s/%s", p->key, version);
    str_lower(p->version);
}

enum err kv_key_not_found(const struct key_ref *r, struct diag *d)
{
    return FAIL_TAG(
        d, ERR_NOT_FOUND, "KeyNotFound",
        "A key with (name/id) %s%s%s was not found in this key vault. If you recently deleted "
        "this key you may be able to recover it using the correct recovery command. For help "
        "resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182",
        r->name, r->version[0] != 0 ? "/" : "", r->version);
}

static enum err deleted_not_found(const struct key_ref *r, struct diag *d)
{
    return FAIL_TAG(d, ERR_NOT_FOUND, "KeyNotFound", "Deleted Key not found: %s", r->name);
}

/* --- removal --- */

struct removal {
    struct keyvault *kv;
    const char *table;
};

static enum err remove_row(void *ctx, const char *key, struct bytes value, struct diag *d)
{
    struct removal *m = ctx;
    if (str_eq(m->table, "material") && kv_hsm_is_ref(value)) TRY(kv_hsm_removed(m->kv, value, d));
    return kvstore_delete(m->kv->store, m->table, key, d);
}

/* A damaged row stops nothing here: what is to be destroyed need not be readable. */
enum err kv_rows_remove(struct keyvault *kv, const char *table, const char *prefix, struct diag *d)
{
    struct removal m = {kv, table};
    struct diag why = DIAG_INIT;
    enum err e = kvstore_each(kv->store, table, prefix, remove_row, &m, &why);
    return e == OK || e == ERR_CORRUPT ? OK : FAIL(d, e, "%s", why.text);
}

enum err kv_keys_remove_all(struct keyvault *kv, const char *vault_name, struct diag *d)
{
    CLEANUP_FREE char *prefix = str_fmt("%s/", vault_name);
    if (prefix == NULL) return kv_out_of_memory(d);
    kv_loaded_forget(kv->loaded, prefix);
    TRY(kv_rows_remove(kv, "material", prefix, d));
    TRY(kv_rows_remove(kv, "version", prefix, d));
    TRY(kv_rows_remove(kv, "rotation", prefix, d));
    return kv_rows_remove(kv, "key", prefix, d);
}

enum err kv_key_remove(struct keyvault *kv, const struct key_ref *r, struct diag *d)
{
    struct place p;
    kv_place_version(r, "", &p); /* ends in a slash: the prefix of its versions */
    kv_loaded_forget(kv->loaded, p.version);
    TRY(kv_rows_remove(kv, "material", p.version, d));
    TRY(kv_rows_remove(kv, "version", p.version, d));
    TRY(kvstore_delete(kv->store, "rotation", p.key, d));
    return kvstore_delete(kv->store, "key", p.key, d);
}

/* --- finding --- */

/* The key's document; NULL when there is none, or when it is only not yet swept away. */
static enum err load_key(struct keyvault *kv, doc_reader *read, const struct key_ref *r,
                         json_t **out, struct diag *d)
{
    *out = NULL;
    if (!kv_is_word(r->name, 1, KEY_NAME_MAX - 1)) return OK;
    struct place p;
    kv_place_key(r, &p);
    CLEANUP_JSON json_t *key = NULL;
    TRY(read(kv, "key", p.key, &key, d));
    if (!kv_is_due(key)) *out = TAKE(key);
    return OK;
}

enum err kv_key_load(struct keyvault *kv, const struct key_ref *r, json_t **out, struct diag *d)
{
    return load_key(kv, kv_doc_get, r, out, d);
}

static const char *latest(const json_t *key)
{
    const json_t *versions = json_get(key, "versions");
    size_t n = json_array_size(versions);
    const char *v = n != 0 ? json_string_value(json_array_get(versions, n - 1)) : NULL;
    return v != NULL ? v : "";
}

/* Takes key. */
static enum err load_version(struct keyvault *kv, doc_reader *read, const struct key_ref *r,
                             json_t *key, struct key_version *out, struct diag *d)
{
    CLEANUP_KEY_VERSION struct key_version v = {.key = key};
    const char *version = r->version[0] != 0 ? r->version : latest(key);
    if (!kv_is_word(version, KEY_VERSION_LEN, KEY_VERSION_LEN)) return kv_key_not_found(r, d);
    memcpy(v.version, version, sizeof v.version);
    str_lower(v.version);
    struct place p;
    kv_place_version(r, v.version, &p);
    TRY(read(kv, "version", p.version, &v.doc, d));
    if (v.doc == NULL) return kv_key_not_found(r, d);
    *out = v;
    v = (struct key_version){0}; /* handed over */
    return OK;
}

static enum err find(struct keyvault *kv, doc_reader *read, const struct key_ref *r,
                     struct key_version *out, struct diag *d)
{
    json_t *key;
    TRY(load_key(kv, read, r, &key, d));
    if (key == NULL || json_get(key, "deleted") != NULL) {
        json_decref(key);
        return kv_key_not_found(r, d);
    }
    return load_version(kv, read, r, key, out, d);
}

enum err kv_key_find(struct keyvault *kv, const struct key_ref *r, struct key_version *out,
                     struct diag *d)
{
    return find(kv, kv_doc_get, r, out, d);
}

enum err kv_key_look(struct keyvault *kv, const struct key_ref *r, struct key_version *out,
                     struct diag *d)
{
    return find(kv, kv_doc_look, r, out, d);
}

enum err kv_key_find_deleted(struct keyvault *kv, const struct key_ref *r, struct key_version *out,
                             struct diag *d)
{
    json_t *key;
    TRY(kv_key_load(kv, r, &key, d));
    if (key == NULL || json_get(key, "deleted") == NULL) {
        json_decref(key);
        return deleted_not_found(r, d);
    }
    return load_version(kv, kv_doc_get, r, key, out, d);
}

/* The vault may have been deleted since the request found it. */
enum err kv_vault_check_live(struct keyvault *kv, const struct key_ref *r, struct diag *d)
{
    CLEANUP_JSON json_t *vault = NULL;
    TRY(kv_doc_get(kv, "vault", r->vault_name, &vault, d));
    if (vault != NULL && !kv_vault_is_deleted(vault)) return OK;
    return FAIL_TAG(d, ERR_NOT_FOUND, "VaultNotFound", "The vault %s was not found.",
                    r->vault_name);
}

/* --- change, deletion, recovery --- */

enum err kv_key_update(struct keyvault *kv, const struct key_ref *r, const json_t *body,
                       struct key_version *out, struct diag *d)
{
    CLEANUP_KVSTORE_TXN struct kvstore_txn t = {0};
    TRY(kvstore_begin(kv->store, &t, d));
    CLEANUP_KEY_VERSION struct key_version v = {0};
    TRY(kv_key_find(kv, r, &v, d));
    TRY(kv_attributes_apply(body, v.doc, d));
    if (json_at(body, "attributes", "exp", NULL) != NULL) json_object_del(v.doc, "notified");
    TRY(json_put(v.doc, "updated", json_integer((json_int_t)now_s()), d));
    struct place p;
    kv_place_version(r, v.version, &p);
    TRY(kv_doc_put(kv, "version", p.version, v.doc, d));
    TRY(kvstore_commit(&t, d));
    LOG(INFO, "key.updated", F_STR("vault", r->vault_name), F_STR("key", r->name),
        F_STR("version", v.version), F_BOOL("enabled", json_get_bool(v.doc, "enabled", true)));
    *out = v;
    v = (struct key_version){0}; /* handed over */
    return OK;
}

static enum err mark_deleted(struct keyvault *kv, const struct key_ref *r, json_t *key,
                             struct diag *d)
{
    json_int_t now = (json_int_t)now_s();
    json_int_t purge = now + (json_int_t)kv_vault_retention_days(r->vault) * DAY_S;
    TRY(json_put(key, "deleted", json_pack("{s:I, s:I}", "on", now, "purge", purge), d));
    struct place p;
    kv_place_key(r, &p);
    return kv_doc_put(kv, "key", p.key, key, d);
}

enum err kv_key_delete(struct keyvault *kv, const struct key_ref *r, struct key_version *out,
                       struct diag *d)
{
    CLEANUP_KVSTORE_TXN struct kvstore_txn t = {0};
    TRY(kvstore_begin(kv->store, &t, d));
    TRY(kv_vault_check_live(kv, r, d));
    CLEANUP_KEY_VERSION struct key_version v = {0};
    TRY(kv_key_find(kv, r, &v, d));
    TRY(mark_deleted(kv, r, v.key, d));
    TRY(kvstore_commit(&t, d));
    LOG(INFO, "key.deleted", F_STR("vault", r->vault_name), F_STR("key", r->name));
    *out = v;
    v = (struct key_version){0}; /* handed over */
    return OK;
}

enum err kv_key_recover(struct keyvault *kv, const struct key_ref *r, struct key_version *out,
                        struct diag *d)
{
    CLEANUP_KVSTORE_TXN struct kvstore_txn t = {0};
    TRY(kvstore_begin(kv->store, &t, d));
    CLEANUP_KEY_VERSION struct key_version v = {0};
    TRY(kv_key_find_deleted(kv, r, &v, d));
    json_object_del(v.key, "deleted");
    struct place p;
    kv_place_key(r, &p);
    TRY(kv_doc_put(kv, "key", p.key, v.key, d));
    TRY(kvstore_commit(&t, d));
    LOG(INFO, "key.recovered", F_STR("vault", r->vault_name), F_STR("key", r->name));
    *out = v;
    v = (struct key_version){0}; /* handed over */
    return OK;
}

enum err kv_key_purge(struct keyvault *kv, const struct key_ref *r, struct diag *d)
{
    if (kv_vault_purge_protected(r->vault)) {
        return FAIL_TAG(
            d, ERR_DENIED, "PurgeProtected",
            "Operation \"purge\" is not allowed because purge protection is enabled for this "
            "vault. Key Vault service will automatically purge it after the retention period has "
            "passed.");
    }
    CLEANUP_KVSTORE_TXN struct kvstore_txn t = {0};
    TRY(kvstore_begin(kv->store, &t, d));
    CLEANUP_KEY_VERSION struct key_version v = {0};
    TRY(kv_key_find_deleted(kv, r, &v, d));
    TRY(kv_key_remove(kv, r, d));
    TRY(kvstore_commit(&t, d));
    LOG(INFO, "key.purged", F_STR("vault", r->vault_name), F_STR("key", r->name));
    return OK;
}
