/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keyvault/backup.c - a key with all its versions as one sealed blob, and back
 *
 *      0  8   "KSKEYBK1"
 *      8  32  salt
 *     40  ..  AES-256-GCM of the contents, zero nonce, under HKDF(backup key, magic | salt): the
 * salt is drawn per backup, so no key seals twice
 *
 *      contents: u32 length and bytes of each: subscription, key document, rotation policy or
 * nothing, then per version, oldest first: id, document, material
 *
 * The backup key is drawn once and lies in the store: only the vault service that made a backup
 * opens it, and only into a vault of the same subscription, as it is in Azure.
 */
#include "keyvault/service.h"

#include "base/log.h"
#include "base/rand.h"
#include "base/str.h"
#include "crypto/aead.h"
#include "crypto/hash.h"

#define MAGIC     "KSKEYBK1"
#define MAGIC_LEN 8
#define SALT_LEN  32
#define BLOB_MAX  ((size_t)3 << 20) /* characters: must pass through a request's body */

#define BAD(d, ...) FAIL_TAG((d), ERR_INVALID, "BadParameter", __VA_ARGS__)

static enum err backup_key(struct keyvault *kv, struct secret **out, struct diag *d)
{
    CLEANUP_KVSTORE_TXN struct kvstore_txn t = {0};
    CLEANUP_BUF struct buf b = {0};
    struct diag why = DIAG_INIT;
    TRY(kvstore_begin(kv->store, &t, d));
    enum err e = kvstore_get(kv->store, "secret", "backup", &b, &why);
    if (e == OK) return secret_of(out, buf_view(&b), d);
    if (e != ERR_NOT_FOUND) return FAIL(d, e, "%s", why.text);
    CLEANUP(secret_free) struct secret *fresh = NULL;
    TRY(secret_random(&fresh, AEAD_KEY_LEN, d));
    TRY(kvstore_put(kv->store, "secret", "backup", secret_view(fresh), d));
    TRY(kvstore_commit(&t, d));
    *out = TAKE(fresh);
    return OK;
}

static enum err key_of_blob(struct keyvault *kv, const uint8_t head[MAGIC_LEN + SALT_LEN],
                            struct secret **out, struct diag *d)
{
    CLEANUP(secret_free) struct secret *master = NULL, *key = NULL;
    TRY(backup_key(kv, &master, d));
    TRY(secret_new(&key, AEAD_KEY_LEN, d));
    hkdf_expand(secret_view(master), bytes_of(head, MAGIC_LEN + SALT_LEN), secret_fill(key),
                AEAD_KEY_LEN);
    *out = TAKE(key);
    return OK;
}

static const uint8_t zero_nonce[AEAD_NONCE_LEN];

/* The subscription in an ARM path. */
static struct bytes subscription(const json_t *vault)
{
    const char *id = json_get_str(vault, "id");
    static const char lead[] = "/subscriptions/";
    if (id == NULL || !str_starts_nocase(id, lead)) return BYTES("");
    id += sizeof lead - 1;
    return bytes_of(id, strcspn(id, "/"));
}

static enum err add_json(struct buf *out, const json_t *j, struct diag *d)
{
    CLEANUP_BUF struct buf text = {0};
    if (j != NULL) TRY(json_write(j, &text, d));
    buf_blob(out, buf_view(&text));
    return buf_check(out, d);
}

static enum err add_version(struct keyvault *kv, const struct key_ref *r, const char *version,
                            struct buf *out, struct diag *d)
{
    struct key_ref one = *r;
    one.version = version;
    CLEANUP_KEY_VERSION struct key_version v = {0};
    CLEANUP_BUF struct buf material = {0};
    TRY(kv_key_find(kv, &one, &v, d));
    struct place p;
    kv_place_version(r, version, &p);
    TRY(kvstore_get(kv->store, "material", p.version, &material, d));
    if (kv_hsm_is_ref(buf_view(&material))) {
        return BAD(d, "Key %s is in an HSM and cannot leave it: back up the HSM itself.", r->name);
    }
    buf_blob(out, bytes_str(version));
    TRY(add_json(out, v.doc, d));
    buf_blob(out, buf_view(&material));
    return buf_check(out, d);
}

/* In a transaction, so that it is one state of the key. */
static enum err collect(struct keyvault *kv, const struct key_ref *r, struct buf *out,
                        struct diag *d)
{
    CLEANUP_KVSTORE_TXN struct kvstore_txn t = {0};
    CLEANUP_KEY_VERSION struct key_version v = {0};
    CLEANUP_JSON json_t *policy = NULL;
    TRY(kvstore_begin(kv->store, &t, d));
    TRY(kv_key_find(kv, r, &v, d));
    TRY(kv_rotation_load(kv, r, &policy, d));
    buf_blob(out, subscription(r->vault));
    TRY(add_json(out, v.key, d));
    TRY(add_json(out, policy, d));
    size_t i;
    json_t *version;
    json_array_foreach (json_get(v.key, "versions"), i, version) {
        TRY(add_version(kv, r, json_string_value(version), out, d));
    }
    return OK;
}

enum err kv_backup(struct keyvault *kv, const struct key_ref *r, struct buf *out, struct diag *d)
{
    CLEANUP_BUF struct buf contents = {0}, blob = {0};
    CLEANUP(secret_free) struct secret *key = NULL;
    uint8_t head[MAGIC_LEN + SALT_LEN] = MAGIC;
    TRY(collect(kv, r, &contents, d));
    rand_bytes(head + MAGIC_LEN, SALT_LEN);
    TRY(key_of_blob(kv, head, &key, d));
    buf_bytes(&blob, BYTES_OF(head));
    uint8_t *to = buf_extend(&blob, contents.len + AEAD_TAG_LEN);
    if (to == NULL) return buf_check(&blob, d);
    const struct aead how = {AEAD_AES_256_GCM, secret_peek(key), zero_nonce, {0}};
    TRY(aead_seal(&how, buf_view(&contents), to, d));
    if (blob.len / 3 * 4 > BLOB_MAX) {
        return BAD(d, "Key %s has too many versions for a backup of %zu characters", r->name,
                   BLOB_MAX);
    }
    base64url_encode(out, buf_view(&blob));
    LOG(INFO, "key.backed_up", F_STR("vault", r->vault_name), F_STR("key", r->name));
    return buf_check(out, d);
}

/* --- restore --- */

static enum err not_ours(struct diag *d)
{
    return BAD(
        d, "Property value has invalid value: not a backup of a key that this vault service made");
}

static enum err open_blob(struct keyvault *kv, const char *text, struct buf *out, struct diag *d)
{
    CLEANUP_BUF struct buf blob = {0};
    CLEANUP(secret_free) struct secret *key = NULL;
    if (strlen(text) > BLOB_MAX || base64_decode(&blob, bytes_str(text), NULL) != OK ||
        blob.len < MAGIC_LEN + SALT_LEN + AEAD_TAG_LEN || memcmp(blob.p, MAGIC, MAGIC_LEN) != 0) {
        return not_ours(d);
    }
    size_t head = MAGIC_LEN + SALT_LEN;
    TRY(key_of_blob(kv, blob.p, &key, d));
    uint8_t *to = buf_extend(out, blob.len - head - AEAD_TAG_LEN);
    if (to == NULL) return buf_check(out, d);
    const struct aead how = {AEAD_AES_256_GCM, secret_peek(key), zero_nonce, {0}};
    if (aead_open(&how, bytes_of(blob.p + head, blob.len - head), to, NULL) != OK)
        return not_ours(d);
    return OK;
}

static enum err take_json(struct rd *rd, json_t **out, struct diag *d)
{
    struct bytes b = rd_blob(rd);
    if (rd->bad) return FAIL(d, ERR_CORRUPT, "a backup is cut short");
    return b.len != 0 ? json_read(b, out, d) : OK;
}

static enum err put_version(struct keyvault *kv, const struct key_ref *r, struct rd *rd,
                            struct diag *d)
{
    CLEANUP_JSON json_t *doc = NULL;
    struct bytes id = rd_blob(rd);
    TRY(take_json(rd, &doc, d));
    struct bytes material = rd_blob(rd);
    if (rd->bad || id.len != KEY_VERSION_LEN) return FAIL(d, ERR_CORRUPT, "a backup is cut short");
    char version[KEY_VERSION_LEN + 1] = "";
    memcpy(version, id.p, id.len);
    struct place p;
    kv_place_version(r, version, &p);
    TRY(kvstore_put(kv->store, "material", p.version, material, d));
    return kv_doc_put(kv, "version", p.version, doc, d);
}

static enum err put_key(struct keyvault *kv, const struct key_ref *r, const json_t *key,
                        const json_t *policy, struct rd *rd, struct diag *d)
{
    CLEANUP_KVSTORE_TXN struct kvstore_txn t = {0};
    CLEANUP_JSON json_t *there = NULL;
    TRY(kvstore_begin(kv->store, &t, d));
    TRY(kv_key_for_write(kv, r, &there, d));
    if (there != NULL) {
        return FAIL_TAG(d, ERR_CONFLICT, "KeyAlreadyExists",
                        "A key named %s exists already in this vault.", r->name);
    }
    TRY(kv_key_remove(kv, r, d)); /* what may be left of an earlier one of this name */
    while (rd_left(rd) != 0)
        TRY(put_version(kv, r, rd, d));
    struct place p;
    kv_place_key(r, &p);
    if (policy != NULL) TRY(kv_doc_put(kv, "rotation", p.key, policy, d));
    TRY(kv_doc_put(kv, "key", p.key, key, d));
    return kvstore_commit(&t, d);
}

enum err kv_restore(struct keyvault *kv, const struct key_ref *r, const char *blob,
                    struct key_version *out, struct diag *d)
{
    if (blob == NULL) return BAD(d, "Property value has invalid value");
    CLEANUP_BUF struct buf contents = {0};
    CLEANUP_JSON json_t *key = NULL, *policy = NULL;
    TRY(open_blob(kv, blob, &contents, d));
    struct rd rd = rd_from(buf_view(&contents));
    struct bytes from = rd_blob(&rd), here = subscription(r->vault);
    TRY(take_json(&rd, &key, d));
    TRY(take_json(&rd, &policy, d));
    const char *name = json_get_str(key, "name");
    if (name == NULL) return FAIL(d, ERR_CORRUPT, "a backup names no key");
    if (from.len != here.len ||
        strncasecmp((const char *)from.p, (const char *)here.p, from.len) != 0) {
        return BAD(d, "The backup of key %s comes from another subscription.", name);
    }
    struct key_ref restored = *r;
    restored.name = name;
    restored.version = "";
    TRY(put_key(kv, &restored, key, policy, &rd, d));
    LOG(INFO, "key.restored", F_STR("vault", r->vault_name), F_STR("key", name));
    kv_rotation_changed(kv, &restored);
    return kv_key_find(kv, &restored, out, d);
}
