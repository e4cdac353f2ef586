/* SPDX-License-Identifier: Apache-2.0 */
/* keyvault/keys.c - keys and their versions: creation, change, deletion */
#include "keyvault/service.h"

#include "base/log.h"
#include "base/rand.h"
#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>

#define DAY_S       86400
#define TAGS_MAX    15
#define OCT_KEY_LEN 32 /* bytes: A256KW */

#define BAD(d, ...) FAIL_TAG((d), ERR_INVALID, "BadParameter", __VA_ARGS__)

void kv_key_version_release(struct key_version *v)
{
    json_decref(v->key);
    json_decref(v->doc);
    *v = (struct key_version){0};
}

/* --- where things lie --- */

struct place {
    char key[VAULT_NAME_MAX + KEY_NAME_MAX];
    char version[VAULT_NAME_MAX + KEY_NAME_MAX + KEY_VERSION_LEN + 1];
};

static void place_key(const struct key_ref *r, struct place *p)
{
    snprintf(p->key, sizeof p->key, "%s/%s", r->vault_name, r->name);
    str_lower(p->key);
}

static void place_version(const struct key_ref *r, const char *version, struct place *p)
{
    place_key(r, p);
    snprintf(p->version, sizeof p->version, "%s/%s", p->key, version);
    str_lower(p->version);
}

static enum err not_found(const struct key_ref *r, struct diag *d)
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
    (void)value;
    return kvstore_delete(m->kv->store, m->table, key, d);
}

/* A damaged row stops nothing here: what is to be destroyed need not be readable. */
static enum err remove_below(struct keyvault *kv, const char *table, const char *prefix,
                             struct diag *d)
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
    TRY(remove_below(kv, "material", prefix, d));
    TRY(remove_below(kv, "version", prefix, d));
    return remove_below(kv, "key", prefix, d);
}

enum err kv_key_remove(struct keyvault *kv, const struct key_ref *r, struct diag *d)
{
    struct place p;
    place_version(r, "", &p); /* ends in a slash: the prefix of its versions */
    TRY(remove_below(kv, "material", p.version, d));
    TRY(remove_below(kv, "version", p.version, d));
    return kvstore_delete(kv->store, "key", p.key, d);
}

/* --- finding --- */

/* The key's document; NULL when there is none, or when it is only not yet swept away. */
static enum err load_key(struct keyvault *kv, const struct key_ref *r, json_t **out, struct diag *d)
{
    *out = NULL;
    if (!kv_is_word(r->name, 1, KEY_NAME_MAX - 1)) return OK;
    struct place p;
    place_key(r, &p);
    CLEANUP_JSON json_t *key = NULL;
    TRY(kv_doc_get(kv, "key", p.key, &key, d));
    if (!kv_is_due(key)) *out = TAKE(key);
    return OK;
}

static const char *latest(const json_t *key)
{
    const json_t *versions = json_get(key, "versions");
    size_t n = json_array_size(versions);
    const char *v = n != 0 ? json_string_value(json_array_get(versions, n - 1)) : NULL;
    return v != NULL ? v : "";
}

/* Takes key. */
static enum err load_version(struct keyvault *kv, const struct key_ref *r, json_t *key,
                             struct key_version *out, struct diag *d)
{
    CLEANUP_KEY_VERSION struct key_version v = {.key = key};
    const char *version = r->version[0] != 0 ? r->version : latest(key);
    if (!kv_is_word(version, KEY_VERSION_LEN, KEY_VERSION_LEN)) return not_found(r, d);
    memcpy(v.version, version, sizeof v.version);
    str_lower(v.version);
    struct place p;
    place_version(r, v.version, &p);
    TRY(kv_doc_get(kv, "version", p.version, &v.doc, d));
    if (v.doc == NULL) return not_found(r, d);
    *out = v;
    v = (struct key_version){0}; /* handed over */
    return OK;
}

enum err kv_key_find(struct keyvault *kv, const struct key_ref *r, struct key_version *out,
                     struct diag *d)
{
    json_t *key;
    TRY(load_key(kv, r, &key, d));
    if (key == NULL || json_get(key, "deleted") != NULL) {
        json_decref(key);
        return not_found(r, d);
    }
    return load_version(kv, r, key, out, d);
}

enum err kv_key_find_deleted(struct keyvault *kv, const struct key_ref *r, struct key_version *out,
                             struct diag *d)
{
    json_t *key;
    TRY(load_key(kv, r, &key, d));
    if (key == NULL || json_get(key, "deleted") == NULL) {
        json_decref(key);
        return deleted_not_found(r, d);
    }
    return load_version(kv, r, key, out, d);
}

/* --- what a body says about a version --- */

static enum err apply_ops(const json_t *body, json_t *doc, struct diag *d)
{
    static const char *const known[] = {"encrypt", "decrypt",   "sign",   "verify",
                                        "wrapKey", "unwrapKey", "import", "export"};
    const json_t *ops = json_get(body, "key_ops");
    if (ops == NULL || json_is_null(ops)) return OK;
    if (!json_is_array(ops)) return BAD(d, "Property key_ops has invalid value");
    CLEANUP_JSON json_t *list = json_array();
    size_t i;
    json_t *op;
    json_array_foreach ((json_t *)ops, i, op) {
        const char *name = NULL;
        for (size_t k = 0; k < sizeof known / sizeof known[0] && json_is_string(op); k++) {
            if (str_eq_nocase(json_string_value(op), known[k])) name = known[k];
        }
        if (name == NULL) return BAD(d, "Property key_ops has invalid value");
        json_array_append_new(list, json_string(name));
    }
    return json_put(doc, "key_ops", json_incref(list), d);
}

static enum err apply_time(const json_t *attributes, const char *name, json_t *doc, struct diag *d)
{
    json_t *v = json_get(attributes, name);
    if (v == NULL) return OK;
    if (json_is_null(v)) {
        json_object_del(doc, name);
        return OK;
    }
    if (!json_is_integer(v) || json_integer_value(v) < 0) {
        return BAD(d, "Property attributes.%s has invalid value", name);
    }
    return json_put(doc, name, json_incref(v), d);
}

static enum err apply_attributes(const json_t *body, json_t *doc, struct diag *d)
{
    const json_t *a = json_get(body, "attributes");
    if (a == NULL || json_is_null(a)) return OK;
    if (!json_is_object(a)) return BAD(d, "Property attributes has invalid value");
    json_t *enabled = json_get(a, "enabled");
    if (enabled != NULL && !json_is_null(enabled)) {
        if (!json_is_boolean(enabled))
            return BAD(d, "Property attributes.enabled has invalid value");
        TRY(json_put(doc, "enabled", json_incref(enabled), d));
    }
    TRY(apply_time(a, "nbf", doc, d));
    return apply_time(a, "exp", doc, d);
}

static enum err apply_tags(const json_t *body, json_t *doc, struct diag *d)
{
    json_t *tags = json_get(body, "tags");
    if (tags == NULL || json_is_null(tags)) return OK;
    if (!json_is_object(tags) || json_object_size(tags) > TAGS_MAX) {
        return BAD(d, "Property tags has invalid value: at most %d strings", TAGS_MAX);
    }
    const char *name;
    json_t *v;
    json_object_foreach (tags, name, v) {
        if (!json_is_string(v)) return BAD(d, "Property tags has invalid value");
    }
    return json_put(doc, "tags", json_deep_copy(tags), d);
}

static enum err apply_body(const json_t *body, json_t *doc, struct diag *d)
{
    TRY(apply_ops(body, doc, d));
    TRY(apply_attributes(body, doc, d));
    return apply_tags(body, doc, d);
}

/* --- making --- */

/* A version that is not in the store yet. */
struct fresh {
    char version[KEY_VERSION_LEN + 1];
    json_t *doc;
    struct secret *material;
};

static void fresh_release(struct fresh *f)
{
    json_decref(f->doc);
    secret_free(f->material);
}
#define CLEANUP_FRESH __attribute__((cleanup(fresh_release)))

static enum err put_number(json_t *doc, const char *name, const struct buf *number, struct diag *d)
{
    CLEANUP_BUF struct buf text = {0};
    base64url_encode(&text, buf_view(number));
    return json_put(doc, name, json_string(buf_cstr(&text)), d);
}

static enum err make_rsa(struct fresh *f, unsigned bits, struct diag *d)
{
    CLEANUP(rsa_free) struct rsa_key *k = NULL;
    CLEANUP_BUF struct buf n = {0}, e = {0};
    TRY(rsa_generate(&k, bits, d));
    TRY(rsa_to_der(k, &f->material, d));
    TRY(rsa_public_parts(k, &n, &e, d));
    TRY(put_number(f->doc, "n", &n, d));
    return put_number(f->doc, "e", &e, d);
}

static enum err make_material(struct fresh *f, const char *kty, int64_t size, struct diag *d)
{
    if (str_eq(kty, "oct")) return secret_random(&f->material, OCT_KEY_LEN, d);
    return make_rsa(f, (unsigned)size, d);
}

/* The type and size that a body asks for, in the document's words. */
static enum err read_type(const json_t *body, const char **kty, int64_t *size, struct diag *d)
{
    const char *asked = json_get_str(body, "kty");
    json_t *given = json_get(body, "key_size");
    if (asked == NULL) return BAD(d, "Property kty has invalid value");
    bool rsa = str_eq_nocase(asked, "RSA");
    if (!rsa && !str_eq_nocase(asked, "oct")) {
        return BAD(
            d,
            "Property kty has invalid value: '%.20s' is not supported by this vault; RSA and oct "
            "are",
            asked);
    }
    int64_t n =
        given == NULL || json_is_null(given) ? (rsa ? 2048 : 256) : json_integer_value(given);
    bool good = rsa ? n == 2048 || n == 3072 || n == 4096 : n == 256;
    if (!good) return BAD(d, "Property key_size has invalid value");
    json_t *exponent = json_get(body, "public_exponent");
    if (json_is_integer(exponent) && json_integer_value(exponent) != 65537) {
        return BAD(d, "Property public_exponent has invalid value");
    }
    *kty = rsa ? "RSA" : "oct";
    *size = n;
    return OK;
}

static enum err new_doc(const char *kty, int64_t size, json_t **out, struct diag *d)
{
    json_t *ops = str_eq(kty, "RSA") ? json_pack("[s,s,s,s,s,s]", "encrypt", "decrypt", "sign",
                                                 "verify", "wrapKey", "unwrapKey")
                                     : json_pack("[s,s]", "wrapKey", "unwrapKey");
    json_int_t now = (json_int_t)now_s();
    *out = json_pack("{s:s, s:I, s:o, s:b, s:I, s:I}", "kty", kty, "size", (json_int_t)size,
                     "key_ops", ops, "enabled", 1, "created", now, "updated", now);
    return *out != NULL ? OK : kv_out_of_memory(d);
}

static void draw_version(char out[KEY_VERSION_LEN + 1])
{
    uint8_t id[KEY_VERSION_LEN / 2];
    rand_bytes(id, sizeof id);
    hex_encode(BYTES_OF(id), out);
}

/* The vault may have been deleted since the request found it. */
static enum err check_vault(struct keyvault *kv, const struct key_ref *r, struct diag *d)
{
    CLEANUP_JSON json_t *vault = NULL;
    TRY(kv_doc_get(kv, "vault", r->vault_name, &vault, d));
    if (vault != NULL && !kv_vault_is_deleted(vault)) return OK;
    return FAIL_TAG(d, ERR_NOT_FOUND, "VaultNotFound", "The vault %s was not found.",
                    r->vault_name);
}

static enum err add_version(json_t *key, const struct fresh *f, struct diag *d)
{
    json_t *versions = json_get(key, "versions");
    if (json_array_size(versions) >= VERSIONS_MAX) {
        return BAD(d, "The key has reached its limit of %d versions", VERSIONS_MAX);
    }
    return json_array_append_new(versions, json_string(f->version)) == 0 ? OK : kv_out_of_memory(d);
}

/* Writes the version and its key. Called inside a transaction. */
static enum err write_fresh(struct keyvault *kv, const struct key_ref *r, const struct fresh *f,
                            json_t *key, struct diag *d)
{
    struct place p;
    place_version(r, f->version, &p);
    TRY(add_version(key, f, d));
    TRY(kvstore_put(kv->store, "material", p.version, secret_view(f->material), d));
    TRY(kv_doc_put(kv, "version", p.version, f->doc, d));
    return kv_doc_put(kv, "key", p.key, key, d);
}

static enum err deleted_conflict(const struct key_ref *r, struct diag *d)
{
    return FAIL_TAG(
        d, ERR_CONFLICT, "ObjectIsDeletedButRecoverable",
        "Key %s is currently in a deleted but recoverable state, and its name cannot be reused; "
        "in this state, the key can only be recovered or purged.",
        r->name);
}

/* Stores what was made; must_exist: as a new version of a key that is there. */
static enum err store_fresh(struct keyvault *kv, const struct key_ref *r, struct fresh *f,
                            bool must_exist, struct key_version *out, struct diag *d)
{
    CLEANUP_JSON json_t *key = NULL;
    CLEANUP_KVSTORE_TXN struct kvstore_txn t = {0};
    TRY(kvstore_begin(kv->store, &t, d));
    TRY(check_vault(kv, r, d));
    TRY(load_key(kv, r, &key, d));
    if (json_get(key, "deleted") != NULL)
        return must_exist ? not_found(r, d) : deleted_conflict(r, d);
    if (key == NULL && must_exist) return not_found(r, d);
    if (key == NULL) {
        TRY(kv_key_remove(kv, r, d)); /* what may be left of an earlier one of this name */
        key = json_pack("{s:s, s:[]}", "name", r->name, "versions");
        if (key == NULL) return kv_out_of_memory(d);
    }
    TRY(write_fresh(kv, r, f, key, d));
    TRY(kvstore_commit(&t, d));
    LOG(INFO, "key.version_made", F_STR("vault", r->vault_name), F_STR("key", r->name),
        F_STR("version", f->version));
    *out = (struct key_version){.key = TAKE(key), .doc = TAKE(f->doc)};
    memcpy(out->version, f->version, sizeof out->version);
    return OK;
}

enum err kv_key_create(struct keyvault *kv, const struct key_ref *r, const json_t *body,
                       struct key_version *out, struct diag *d)
{
    if (!kv_is_word(r->name, 1, KEY_NAME_MAX - 1)) {
        return BAD(d, "The request URI contains an invalid name: %.130s", r->name);
    }
    CLEANUP_FRESH struct fresh f = {0};
    const char *kty = "";
    int64_t size = 0;
    TRY(read_type(body, &kty, &size, d));
    TRY(new_doc(kty, size, &f.doc, d));
    TRY(apply_body(body, f.doc, d));
    draw_version(f.version);
    TRY(make_material(&f, kty, size, d)); /* seconds, at worst: before the transaction */
    return store_fresh(kv, r, &f, false, out, d);
}

enum err kv_key_rotate(struct keyvault *kv, const struct key_ref *r, struct key_version *out,
                       struct diag *d)
{
    CLEANUP_KEY_VERSION struct key_version old = {0};
    TRY(kv_key_find(kv, r, &old, d));
    CLEANUP_FRESH struct fresh f = {0};
    const char *kty = json_get_str(old.doc, "kty");
    int64_t size = json_get_int(old.doc, "size", 0);
    TRY(new_doc(kty, size, &f.doc, d));
    TRY(json_put(f.doc, "key_ops", json_deep_copy(json_get(old.doc, "key_ops")), d));
    TRY(apply_tags(old.doc, f.doc, d));
    draw_version(f.version);
    TRY(make_material(&f, kty, size, d));
    return store_fresh(kv, r, &f, true, out, d);
}

/* --- change, deletion, recovery --- */

enum err kv_key_update(struct keyvault *kv, const struct key_ref *r, const json_t *body,
                       struct key_version *out, struct diag *d)
{
    CLEANUP_KVSTORE_TXN struct kvstore_txn t = {0};
    TRY(kvstore_begin(kv->store, &t, d));
    CLEANUP_KEY_VERSION struct key_version v = {0};
    TRY(kv_key_find(kv, r, &v, d));
    TRY(apply_body(body, v.doc, d));
    TRY(json_put(v.doc, "updated", json_integer((json_int_t)now_s()), d));
    struct place p;
    place_version(r, v.version, &p);
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
    place_key(r, &p);
    return kv_doc_put(kv, "key", p.key, key, d);
}

enum err kv_key_delete(struct keyvault *kv, const struct key_ref *r, struct key_version *out,
                       struct diag *d)
{
    CLEANUP_KVSTORE_TXN struct kvstore_txn t = {0};
    TRY(kvstore_begin(kv->store, &t, d));
    TRY(check_vault(kv, r, d));
    CLEANUP_KEY_VERSION struct key_version v = {0};
    TRY(kv_key_find(kv, r, &v, d));
    if (kv_vault_soft_deletes(r->vault)) {
        TRY(mark_deleted(kv, r, v.key, d));
    } else {
        TRY(kv_key_remove(kv, r, d));
    }
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
    place_key(r, &p);
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
