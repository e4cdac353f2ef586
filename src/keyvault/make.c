/* SPDX-License-Identifier: Apache-2.0 */
/* keyvault/make.c - new keys and new versions of keys */
#include "keyvault/service.h"

#include "base/log.h"
#include "base/rand.h"
#include "base/str.h"

#define BAD(d, ...) FAIL_TAG((d), ERR_INVALID, "BadParameter", __VA_ARGS__)

void kv_fresh_release(struct fresh *f)
{
    json_decref(f->doc);
    secret_free(f->material);
    *f = (struct fresh){0};
}

static void draw_version(char out[KEY_VERSION_LEN + 1])
{
    uint8_t id[KEY_VERSION_LEN / 2];
    rand_bytes(id, sizeof id);
    hex_encode(BYTES_OF(id), out);
}

static enum err add_version(json_t *key, const struct fresh *f, struct diag *d)
{
    json_t *versions = json_get(key, "versions");
    if (json_array_size(versions) >= VERSIONS_MAX) {
        return BAD(d, "The key has reached its limit of %d versions", VERSIONS_MAX);
    }
    return json_array_append_new(versions, json_string(f->version)) == 0 ? OK : kv_out_of_memory(d);
}

enum err kv_fresh_write(struct keyvault *kv, const struct key_ref *r, const struct fresh *f,
                        json_t *key, struct diag *d)
{
    struct place p;
    kv_place_version(r, f->version, &p);
    TRY(add_version(key, f, d));
    TRY(kvstore_put(kv->store, "material", p.version, secret_view(f->material), d));
    if (kv_hsm_is_ref(secret_view(f->material)))
        TRY(kv_hsm_stored(kv, secret_view(f->material), d));
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

enum err kv_key_for_write(struct keyvault *kv, const struct key_ref *r, json_t **out,
                          struct diag *d)
{
    CLEANUP_JSON json_t *key = NULL;
    TRY(kv_vault_check_live(kv, r, d));
    TRY(kv_key_load(kv, r, &key, d));
    if (json_get(key, "deleted") != NULL) return deleted_conflict(r, d);
    *out = TAKE(key);
    return OK;
}

enum err kv_key_check_name(const struct key_ref *r, struct diag *d)
{
    if (kv_is_word(r->name, 1, KEY_NAME_MAX - 1)) return OK;
    return BAD(d, "The request URI contains an invalid name: %.130s", r->name);
}

/* Stores what was made as a new key, or as a new version of one that is there. */
static enum err store(struct keyvault *kv, const struct key_ref *r, struct fresh *f,
                      struct key_version *out, struct diag *d)
{
    CLEANUP_JSON json_t *key = NULL;
    CLEANUP_KVSTORE_TXN struct kvstore_txn t = {0};
    TRY(kvstore_begin(kv->store, &t, d));
    TRY(kv_key_for_write(kv, r, &key, d));
    if (key == NULL) {
        TRY(kv_key_remove(kv, r, d)); /* what may be left of an earlier one of this name */
        key = json_pack("{s:s, s:[]}", "name", r->name, "versions");
        if (key == NULL) return kv_out_of_memory(d);
    }
    TRY(kv_fresh_write(kv, r, f, key, d));
    TRY(kvstore_commit(&t, d));
    LOG(INFO, "key.version_made", F_STR("vault", r->vault_name), F_STR("key", r->name),
        F_STR("version", f->version));
    *out = (struct key_version){.key = TAKE(key), .doc = TAKE(f->doc)};
    memcpy(out->version, f->version, sizeof out->version);
    return OK;
}

/* What was made for a version that is not stored after all goes again. */
static enum err given_up(struct keyvault *kv, const struct fresh *f, enum err e)
{
    if (e != OK && kv_hsm_is_ref(secret_view(f->material)))
        (void)kv_hsm_removed(kv, secret_view(f->material), NULL);
    return e;
}

enum err kv_key_create(struct keyvault *kv, const struct key_ref *r, const json_t *body,
                       struct key_version *out, struct diag *d)
{
    CLEANUP_FRESH struct fresh f = {0};
    struct key_kind kind;
    TRY(kv_key_check_name(r, d));
    TRY(kv_kind_read(body, &kind, d));
    TRY(kv_kind_allowed(kv, r->vault, &kind, d));
    TRY(kv_doc_new(&kind, &f.doc, d));
    TRY(kv_attributes_apply(body, f.doc, d));
    TRY(kv_vault_check_live(kv, r, d));
    draw_version(f.version);
    struct place p;
    kv_place_version(r, f.version, &p);
    /* Seconds, at worst: before the transaction. */
    TRY(kv_material_make(kv, &kind, p.version, f.doc, &f.material, d));
    return given_up(kv, &f, store(kv, r, &f, out, d));
}

enum err kv_key_import(struct keyvault *kv, const struct key_ref *r, const json_t *body,
                       struct key_version *out, struct diag *d)
{
    CLEANUP_FRESH struct fresh f = {0};
    struct key_kind kind;
    CLEANUP_JSON json_t *public = json_object();
    const json_t *jwk = json_get(body, "key");
    TRY(kv_key_check_name(r, d));
    if (json_get_bool(body, "Hsm", false)) {
        return BAD(d, "Property Hsm has invalid value: the keys of an HSM are made in it and never "
                      "brought there");
    }
    TRY(kv_material_import(jwk, &kind, public, &f.material, d));
    TRY(kv_kind_allowed(kv, r->vault, &kind, d));
    TRY(kv_doc_new(&kind, &f.doc, d));
    if (json_object_update(f.doc, public) != 0) return kv_out_of_memory(d);
    TRY(kv_attributes_apply(jwk, f.doc, d)); /* only its key_ops are there */
    TRY(kv_attributes_apply(body, f.doc, d));
    draw_version(f.version);
    return store(kv, r, &f, out, d);
}

enum err kv_fresh_like(struct keyvault *kv, const struct key_ref *r, const struct key_version *old,
                       struct fresh *f, struct diag *d)
{
    struct key_kind kind;
    TRY(kv_kind_of(old->doc, &kind, d));
    TRY(kv_doc_new(&kind, &f->doc, d));
    TRY(json_put(f->doc, "key_ops", json_deep_copy(json_get(old->doc, "key_ops")), d));
    TRY(kv_tags_apply(old->doc, f->doc, d));
    draw_version(f->version);
    struct place p;
    kv_place_version(r, f->version, &p);
    return kv_material_make(kv, &kind, p.version, f->doc, &f->material, d);
}

/* *out is the key's document then. */
static enum err store_next(struct keyvault *kv, const struct key_ref *r, const struct fresh *f,
                           json_t **out, struct diag *d)
{
    CLEANUP_KVSTORE_TXN struct kvstore_txn t = {0};
    CLEANUP_JSON json_t *key = NULL;
    TRY(kvstore_begin(kv->store, &t, d));
    TRY(kv_vault_check_live(kv, r, d));
    TRY(kv_key_load(kv, r, &key, d));
    if (key == NULL || json_get(key, "deleted") != NULL) return kv_key_not_found(r, d);
    TRY(kv_fresh_write(kv, r, f, key, d));
    TRY(kvstore_commit(&t, d));
    *out = TAKE(key);
    return OK;
}

enum err kv_key_rotate(struct keyvault *kv, const struct key_ref *r, struct key_version *out,
                       struct diag *d)
{
    CLEANUP_KEY_VERSION struct key_version old = {0};
    TRY(kv_key_find(kv, r, &old, d));
    CLEANUP_JSON json_t *policy = NULL;
    TRY(kv_rotation_load(kv, r, &policy, d));
    CLEANUP_FRESH struct fresh f = {0};
    TRY(kv_fresh_like(kv, r, &old, &f, d));
    TRY(kv_rotation_stamp(policy, f.doc, d));
    CLEANUP_JSON json_t *key = NULL;
    TRY(given_up(kv, &f, store_next(kv, r, &f, &key, d)));
    LOG(INFO, "key.rotated", F_STR("vault", r->vault_name), F_STR("key", r->name),
        F_STR("version", f.version));
    *out = (struct key_version){.key = TAKE(key), .doc = TAKE(f.doc)};
    memcpy(out->version, f.version, sizeof out->version);
    return OK;
}
