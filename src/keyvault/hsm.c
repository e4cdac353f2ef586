/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keyvault/hsm.c - keys that are made in a PKCS#11 token and stay there
 *
 * In the table "material" such a version has a reference instead of a key: "KSHSM1" and the 16
 * bytes of its CKA_ID. (16) Store and token cannot change in one transaction. So an id is in the
 * table "doomed" from before its object is made until the transaction that stores the version, and
 * again from the one that removes it until the object is destroyed: whatever a crash leaves in the
 * token is destroyed at the next start, and nothing that the store names.
 */
#include "keyvault/service.h"

#include "base/log.h"
#include "base/rand.h"
#include "base/str.h"

#define MAGIC     "KSHSM1"
#define MAGIC_LEN 6

bool kv_hsm_is_ref(struct bytes material)
{
    return material.len == HSM_REF_LEN && memcmp(material.p, MAGIC, MAGIC_LEN) == 0;
}

struct token_name kv_hsm_name(struct bytes ref)
{
    return (struct token_name){.id = bytes_of(ref.p + MAGIC_LEN, HSM_REF_LEN - MAGIC_LEN)};
}

/* --- what must not be in the token --- */

static void doomed_key(struct bytes ref, char out[2 * HSM_REF_LEN + 1])
{
    hex_encode(kv_hsm_name(ref).id, out);
}

static enum err doom(struct keyvault *kv, struct bytes ref, const char *why, struct diag *d)
{
    char key[2 * HSM_REF_LEN + 1];
    doomed_key(ref, key);
    return kvstore_put(kv->store, "doomed", key, bytes_str(why), d);
}

enum err kv_hsm_removed(struct keyvault *kv, struct bytes ref, struct diag *d)
{
    TRY(doom(kv, ref, "removed", d));
    if (kv->tidy != NULL) kv_tidy_at(kv->tidy, now_s());
    return OK;
}

enum err kv_hsm_stored(struct keyvault *kv, struct bytes ref, struct diag *d)
{
    char key[2 * HSM_REF_LEN + 1];
    doomed_key(ref, key);
    return kvstore_delete(kv->store, "doomed", key, d);
}

struct sweep {
    struct keyvault *kv;
    bool starting;
    size_t left;
};

/* What is only just being made is left alone, but at the start nothing is. */
static enum err sweep_one(void *ctx, const char *key, struct bytes why, struct diag *d)
{
    struct sweep *s = ctx;
    uint8_t id[HSM_REF_LEN - MAGIC_LEN];
    if (!s->starting && !bytes_eq(why, BYTES("removed"))) return OK;
    TRY(hex_decode(bytes_str(key), id, sizeof id, d));
    const struct token_name name = {.id = BYTES_OF(id)};
    struct diag reason = DIAG_INIT;
    if (token_destroy(s->kv->config.token, &name, &reason) != OK) {
        LOG(ERROR, "hsm.not_destroyed", F_STR("id", key), F_ERR(&reason));
        s->left++;
        return OK;
    }
    LOG(INFO, "hsm.destroyed", F_STR("id", key));
    return kvstore_delete(s->kv->store, "doomed", key, d);
}

enum err kv_hsm_sweep(struct keyvault *kv, bool starting, bool *left, struct diag *d)
{
    *left = false;
    if (kv->config.token == NULL) return OK;
    struct sweep s = {.kv = kv, .starting = starting};
    enum err e = kvstore_each(kv->store, "doomed", "", sweep_one, &s, d);
    *left = s.left != 0;
    return e;
}

/* --- making --- */

static enum err put_number(json_t *doc, const char *name, const struct buf *number, struct diag *d)
{
    CLEANUP_BUF struct buf text = {0};
    base64url_encode(&text, buf_view(number));
    return json_put(doc, name, json_string(buf_cstr(&text)), d);
}

static enum err make_object(struct token *t, const struct key_kind *k,
                            const struct token_name *name, json_t *doc, struct diag *d)
{
    CLEANUP_BUF struct buf one = {0}, two = {0};
    if (str_eq(k->kty, "oct")) return token_make_aes(t, name, (unsigned)k->size, d);
    if (str_eq(k->kty, "EC")) {
        TRY(token_make_ec(t, name, k->curve, &one, &two, d));
        TRY(put_number(doc, "x", &one, d));
        return put_number(doc, "y", &two, d);
    }
    TRY(token_make_rsa(t, name, (unsigned)k->size, &one, &two, d));
    TRY(put_number(doc, "n", &one, d));
    return put_number(doc, "e", &two, d);
}

enum err kv_hsm_make(struct keyvault *kv, const struct key_kind *k, const char *label, json_t *doc,
                     struct secret **out, struct diag *d)
{
    uint8_t ref[HSM_REF_LEN] = MAGIC;
    rand_bytes(ref + MAGIC_LEN, HSM_REF_LEN - MAGIC_LEN);
    struct token_name name = kv_hsm_name(BYTES_OF(ref));
    name.label = label;
    TRY(doom(kv, BYTES_OF(ref), "made", d));
    struct diag why = DIAG_INIT;
    enum err e = make_object(kv->config.token, k, &name, doc, &why);
    if (e == ERR_UNSUPPORTED) {
        (void)kv_hsm_stored(kv, BYTES_OF(ref), NULL); /* nothing was made */
        return FAIL_TAG(d, ERR_INVALID, "BadParameter",
                        "Property kty has invalid value: the HSM cannot make this key: %s",
                        why.text);
    }
    if (e != OK) {
        (void)kv_hsm_removed(kv, BYTES_OF(ref), NULL);
        return FAIL(d, e, "%s", why.text);
    }
    return secret_of(out, BYTES_OF(ref), d);
}

/* --- the public half, from the version's document --- */

static enum err take_number(const json_t *doc, const char *name, struct buf *out, struct diag *d)
{
    const char *text = json_get_str(doc, name);
    if (text != NULL && base64_decode(out, bytes_str(text), NULL) == OK) return OK;
    return FAIL(d, ERR_CORRUPT, "a key version in the store has no public part");
}

enum err kv_hsm_public_rsa(const json_t *doc, struct rsa_key **out, struct diag *d)
{
    CLEANUP_BUF struct buf n = {0}, e = {0};
    TRY(take_number(doc, "n", &n, d));
    TRY(take_number(doc, "e", &e, d));
    return rsa_public(out, buf_view(&n), buf_view(&e), d);
}

enum err kv_hsm_public_ec(const json_t *doc, enum ec_curve curve, struct ec_key **out,
                          struct diag *d)
{
    CLEANUP_BUF struct buf x = {0}, y = {0};
    TRY(take_number(doc, "x", &x, d));
    TRY(take_number(doc, "y", &y, d));
    return ec_public(out, curve, buf_view(&x), buf_view(&y), d);
}
