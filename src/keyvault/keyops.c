/* SPDX-License-Identifier: Apache-2.0 */
/* keyvault/keyops.c - operations with a key under the rules of its attributes */
#include "keyvault/service.h"

#include "base/rand.h"
#include "base/str.h"

#include <stdio.h>

#define VALUE_MAX 65536 /* characters of base64 */

#define BAD(d, ...) FAIL_TAG((d), ERR_INVALID, "BadParameter", __VA_ARGS__)

struct operation {
    enum permission permission;
    const char *name; /* in key_ops and in messages */
    bool seals;       /* makes what lasts: needs the key to be in its time */
};

static const struct operation operations[] = {
    {PERM_WRAP, "wrapKey", true},    {PERM_UNWRAP, "unwrapKey", false},
    {PERM_ENCRYPT, "encrypt", true}, {PERM_DECRYPT, "decrypt", false},
    {PERM_SIGN, "sign", true},       {PERM_VERIFY, "verify", false},
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

/* A member in base64url, decoded; empty when it is absent. */
static enum err take(const json_t *body, const char *name, bool required, struct buf *out,
                     struct diag *d)
{
    json_t *v = json_get(body, name);
    if ((v == NULL || json_is_null(v)) && !required) return OK;
    if (!json_is_string(v) || json_string_length(v) > VALUE_MAX ||
        base64_decode(out, bytes_str(json_string_value(v)), NULL) != OK) {
        return BAD(d, "Property %s has invalid value", name);
    }
    return OK;
}

struct inputs {
    struct keyvault *kv;
    struct buf value, signature, iv, aad, tag, material;
    struct loaded_key *rsa;
    struct rsa_key *rsa_public; /* of an HSM's key */
    struct ec_key *ec_public;
};

static void inputs_release(struct inputs *in)
{
    buf_release(&in->value);
    buf_release(&in->signature);
    buf_release(&in->iv);
    buf_release(&in->aad);
    buf_release(&in->tag);
    buf_release(&in->material);
    kv_loaded_put(in->kv, in->rsa);
    rsa_free(in->rsa_public);
    ec_free(in->ec_public);
}
#define CLEANUP_INPUTS __attribute__((cleanup(inputs_release)))

/* What the operation needs of the key itself. */
static enum err load_material(struct inputs *in, const struct key_kind *kind, const json_t *doc,
                              const char *place, struct diag *d)
{
    if (!kind->hsm && str_eq(kind->kty, "RSA")) return kv_loaded_get(in->kv, place, &in->rsa, d);
    TRY(kvstore_get(in->kv->store, "material", place, &in->material, d));
    if (!kind->hsm) return OK;
    if (in->kv->config.token == NULL) {
        return FAIL(d, ERR_UNAVAILABLE,
                    "this vault's HSM is not there: start it with --hsm-module");
    }
    if (!kv_hsm_is_ref(buf_view(&in->material)))
        return FAIL(d, ERR_CORRUPT, "a key of the HSM has no reference into it");
    if (str_eq(kind->kty, "RSA")) return kv_hsm_public_rsa(doc, &in->rsa_public, d);
    if (str_eq(kind->kty, "EC")) return kv_hsm_public_ec(doc, kind->curve, &in->ec_public, d);
    return OK;
}

static enum err read_inputs(const json_t *body, enum permission op, struct inputs *in,
                            struct diag *d)
{
    bool verify = op == PERM_VERIFY; /* there "value" is the signature */
    TRY(take(body, verify ? "digest" : "value", true, &in->value, d));
    if (verify) TRY(take(body, "value", true, &in->signature, d));
    TRY(take(body, "iv", false, &in->iv, d));
    TRY(take(body, "aad", false, &in->aad, d));
    return take(body, "tag", false, &in->tag, d);
}

static void member(struct buf *out, const char *name, struct bytes value)
{
    if (value.len == 0) return;
    buf_fmt(out, ",\"%s\":\"", name);
    base64url_encode(out, value);
    buf_str(out, "\"");
}

/* Written by hand: a JSON library would keep copies of an unwrapped key. */
static enum err answer(struct call *c, const struct crypt *x, const char *kid, struct diag *d)
{
    struct buf *out = &c->res->body;
    c->res->status = 200;
    http_set(c->res, "Content-Type", "application/json; charset=utf-8");
    if (x->op == PERM_VERIFY) {
        buf_fmt(out, "{\"value\":%s}", x->verdict ? "true" : "false");
        return buf_check(out, d);
    }
    buf_fmt(out, "{\"kid\":\"%s\",\"value\":\"", kid);
    base64url_encode(out, buf_view(&x->result));
    buf_str(out, "\"");
    if (x->op == PERM_ENCRYPT) {
        member(out, "iv", buf_view(&x->out_iv));
        member(out, "tag", buf_view(&x->out_tag));
        member(out, "aad", x->aad);
    }
    buf_str(out, "}");
    return buf_check(out, d);
}

enum err kv_key_operate(struct call *c, const struct key_version *v, const struct key_ref *r,
                        enum permission op, const char *kid, struct diag *d)
{
    TRY(check_attributes(v->doc, find_operation(op), d));
    const char *alg = json_get_str(c->body, "alg");
    if (alg == NULL) return BAD(d, "Property alg has invalid value");
    CLEANUP_INPUTS struct inputs in = {.kv = c->kv};
    TRY(read_inputs(c->body, op, &in, d));
    struct place p;
    kv_place_version(r, v->version, &p);
    struct key_kind kind;
    TRY(kv_kind_of(v->doc, &kind, d));
    if (kind.hsm) TRY(kv_throttle_hsm_use(c, r->vault, d));
    TRY(load_material(&in, &kind, v->doc, p.version, d));
    CLEANUP_CRYPT struct crypt x = {.op = op,
                                    .kind = kind,
                                    .token = kind.hsm ? c->kv->config.token : NULL,
                                    .rsa = in.rsa != NULL ? kv_loaded_rsa(in.rsa) : in.rsa_public,
                                    .ec_public = in.ec_public,
                                    .material = buf_view(&in.material),
                                    .value = buf_view(&in.value),
                                    .signature = buf_view(&in.signature),
                                    .iv = buf_view(&in.iv),
                                    .aad = buf_view(&in.aad),
                                    .tag = buf_view(&in.tag)};
    TRY(kv_crypt_run(alg, &x, d));
    if (c->wrong_key) rand_bytes(x.result.p, x.result.len);
    return answer(c, &x, kid, d);
}
