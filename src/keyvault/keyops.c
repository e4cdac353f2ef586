/* SPDX-License-Identifier: Apache-2.0 */
/* keyvault/keyops.c - wrap and unwrap, encrypt and decrypt, under the rules of a key's attributes
 */
#include "keyvault/service.h"

#include "base/str.h"

#include <stdio.h>

#define VALUE_MAX 8192 /* characters of base64 */

#define BAD(d, ...) FAIL_TAG((d), ERR_INVALID, "BadParameter", __VA_ARGS__)

struct operation {
    enum permission permission;
    const char *name; /* in key_ops and in messages */
    bool seals;       /* makes something that only the key opens: needs the key to be in its time */
};

static const struct operation operations[] = {
    {PERM_WRAP, "wrapKey", true},
    {PERM_UNWRAP, "unwrapKey", false},
    {PERM_ENCRYPT, "encrypt", true},
    {PERM_DECRYPT, "decrypt", false},
};

static const struct operation *find_operation(enum permission p)
{
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
        if (operations[i].permission == p) return &operations[i];
    }
    return NULL;
}

static bool has_op(const json_t *doc, const char *name)
{
    size_t i;
    json_t *op;
    json_array_foreach (json_get(doc, "key_ops"), i, op) {
        const char *s = json_string_value(op);
        if (s != NULL && str_eq_nocase(s, name)) return true;
    }
    return false;
}

static enum err check_attributes(const json_t *doc, const struct operation *o, struct diag *d)
{
    if (!json_get_bool(doc, "enabled", true)) {
        return FAIL_TAG(d, ERR_DENIED, "KeyDisabled",
                        "Operation %s is not allowed on a disabled key.", o->name);
    }
    if (!has_op(doc, o->name)) {
        return FAIL_TAG(d, ERR_DENIED, "OperationNotPermitted",
                        "Operation %s is not permitted on this key.", o->name);
    }
    if (!o->seals) return OK; /* what was wrapped in time can be unwrapped for ever */
    if (now_s() < json_get_int(doc, "nbf", 0)) {
        return FAIL_TAG(d, ERR_DENIED, "KeyNotYetValid",
                        "Operation %s is not allowed on a key that is not yet valid.", o->name);
    }
    if (now_s() >= json_get_int(doc, "exp", INT64_MAX)) {
        return FAIL_TAG(d, ERR_DENIED, "KeyExpired",
                        "Operation %s is not allowed on an expired key.", o->name);
    }
    return OK;
}

static enum err rsa_operate(const struct operation *o, enum rsa_padding padding,
                            struct bytes material, struct bytes value, struct buf *out,
                            struct diag *d)
{
    CLEANUP(rsa_free) struct rsa_key *k = NULL;
    TRY(rsa_from_der(&k, material, d));
    struct diag why = DIAG_INIT;
    if (o->seals) {
        enum err e = rsa_encrypt(k, padding, value, out, &why);
        return e == ERR_INVALID ? BAD(d, "The parameter is incorrect: %s", why.text) : e;
    }
    CLEANUP(secret_free) struct secret *plain = NULL;
    enum err e = rsa_decrypt(k, padding, value, &plain, &why);
    if (e == ERR_INVALID) return BAD(d, "The parameter is incorrect.");
    if (e != OK) return FAIL(d, e, "%s", why.text);
    buf_bytes(out, secret_view(plain));
    return buf_check(out, d);
}

static enum err aes_operate(const struct operation *o, struct bytes material, struct bytes value,
                            struct buf *out, struct diag *d)
{
    struct diag why = DIAG_INIT;
    if (o->seals) {
        enum err e = aes_kw_wrap(material, value, out, &why);
        return e == ERR_INVALID ? BAD(d, "The parameter is incorrect: %s", why.text) : e;
    }
    CLEANUP(secret_free) struct secret *plain = NULL;
    enum err e = aes_kw_unwrap(material, value, &plain, &why);
    if (e == ERR_INVALID) return BAD(d, "The parameter is incorrect.");
    if (e != OK) return FAIL(d, e, "%s", why.text);
    buf_bytes(out, secret_view(plain));
    return buf_check(out, d);
}

static enum err run(const struct operation *o, const char *kty, const char *alg,
                    struct bytes material, struct bytes value, struct buf *out, struct diag *d)
{
    static const struct {
        const char *alg;
        enum rsa_padding padding;
    } paddings[] = {
        {"RSA-OAEP-256", RSA_OAEP_SHA256}, {"RSA-OAEP", RSA_OAEP_SHA1}, {"RSA1_5", RSA_PKCS1_V15}};
    if (str_eq(kty, "RSA")) {
        for (size_t i = 0; i < sizeof paddings / sizeof paddings[0]; i++) {
            if (str_eq_nocase(alg, paddings[i].alg)) {
                return rsa_operate(o, paddings[i].padding, material, value, out, d);
            }
        }
    } else if (str_eq_nocase(alg, "A256KW")) {
        return aes_operate(o, material, value, out, d);
    }
    return BAD(d, "Property alg has invalid value: %.30s does not go with a key of type %s", alg,
               kty);
}

enum err kv_key_operate(struct keyvault *kv, const struct key_version *v, const struct key_ref *r,
                        enum permission op, const json_t *body, struct buf *out, struct diag *d)
{
    const struct operation *o = find_operation(op);
    TRY(check_attributes(v->doc, o, d));
    const char *alg = json_get_str(body, "alg"), *text = json_get_str(body, "value");
    if (alg == NULL) return BAD(d, "Property alg has invalid value");
    CLEANUP_BUF struct buf value = {0}, material = {0};
    if (text == NULL || strlen(text) > VALUE_MAX ||
        base64_decode(&value, bytes_str(text), NULL) != OK) {
        return BAD(d, "Property value has invalid value");
    }
    CLEANUP_FREE char *place = str_fmt("%s/%s/%s", r->vault_name, r->name, v->version);
    if (place == NULL) return kv_out_of_memory(d);
    str_lower(place);
    TRY(kvstore_get(kv->store, "material", place, &material, d));
    return run(o, json_get_str(v->doc, "kty"), alg, buf_view(&material), buf_view(&value), out, d);
}
