/* SPDX-License-Identifier: Apache-2.0 */
/* keyvault/material.c - kinds of keys: made here, or imported as a JWK */
#include "keyvault/service.h"

#include "base/str.h"

#include <stdio.h>

#define BAD(d, ...) FAIL_TAG((d), ERR_INVALID, "BadParameter", __VA_ARGS__)

#define RSA_EXPONENT 65537
#define SIZES_MAX    3

/* --- what there is --- */

struct type {
    const char *kty;
    int64_t size_default, sizes[SIZES_MAX]; /* bits; none for EC: the curve says it */
    const char *ops[7];                     /* key_ops when a body names none; NULL at the end */
};

static const struct type types[] = {
    {"RSA",
     2048,
     {2048, 3072, 4096},
     {"encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey"}},
    {"EC", 0, {0}, {"sign", "verify"}},
    {"oct", 256, {128, 192, 256}, {"encrypt", "decrypt", "wrapKey", "unwrapKey"}},
};

static const struct {
    const char *name;
    enum ec_curve curve;
    int64_t size;
} curves[] = {
    {"P-256", EC_P256, 256},
    {"P-384", EC_P384, 384},
    {"P-521", EC_P521, 521},
    {"P-256K", EC_P256K, 256},
};

#define HSM_TAIL "-HSM"

/* *hsm: the name ends in "-HSM". */
static const struct type *find_type(const char *kty, bool *hsm)
{
    *hsm = str_ends_nocase(kty, HSM_TAIL);
    size_t n = strlen(kty) - (*hsm ? strlen(HSM_TAIL) : 0);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (strlen(types[i].kty) == n && strncasecmp(kty, types[i].kty, n) == 0) return &types[i];
    }
    return NULL;
}

static bool has_size(const struct type *t, int64_t size)
{
    for (int i = 0; i < SIZES_MAX; i++) {
        if (size != 0 && t->sizes[i] == size) return true;
    }
    return false;
}

static enum err find_curve(const char *name, struct key_kind *k, struct diag *d)
{
    for (size_t i = 0; i < sizeof curves / sizeof curves[0]; i++) {
        if (!str_eq_nocase(name, curves[i].name)) continue;
        k->crv = curves[i].name;
        k->curve = curves[i].curve;
        k->size = curves[i].size;
        return OK;
    }
    return BAD(d,
               "Property crv has invalid value: '%.20s' is not one of P-256, P-384, P-521, P-256K",
               name);
}

static enum err read_type(const json_t *o, const struct type **out, bool *hsm, struct diag *d)
{
    const char *asked = json_get_str(o, "kty");
    if (asked == NULL) return BAD(d, "Property kty has invalid value");
    *out = find_type(asked, hsm);
    if (*out != NULL) return OK;
    return BAD(
        d,
        "Property kty has invalid value: '%.20s' is not supported by this vault; RSA, EC and "
        "oct are, and with an HSM RSA-HSM, EC-HSM and oct-HSM",
        asked);
}

enum err kv_kind_read(const json_t *body, struct key_kind *out, struct diag *d)
{
    const struct type *t = NULL;
    bool hsm = false;
    TRY(read_type(body, &t, &hsm, d));
    struct key_kind k = {.kty = t->kty, .hsm = hsm};
    const char *crv = json_get_str(body, "crv");
    json_t *size = json_get(body, "key_size"), *exponent = json_get(body, "public_exponent");
    if (t->size_default == 0) {
        TRY(find_curve(crv != NULL ? crv : "P-256", &k, d));
    } else {
        k.size = size == NULL || json_is_null(size) ? t->size_default : json_integer_value(size);
        if (!has_size(t, k.size)) return BAD(d, "Property key_size has invalid value");
    }
    if (json_is_integer(exponent) && json_integer_value(exponent) != RSA_EXPONENT) {
        return BAD(d, "Property public_exponent has invalid value");
    }
    *out = k;
    return OK;
}

enum err kv_kind_of(const json_t *doc, struct key_kind *out, struct diag *d)
{
    const char *kty = json_get_str(doc, "kty"), *crv = json_get_str(doc, "crv");
    bool hsm = false;
    const struct type *t = kty != NULL ? find_type(kty, &hsm) : NULL;
    if (t == NULL) return FAIL(d, ERR_CORRUPT, "a key version in the store has no type");
    struct key_kind k = {.kty = t->kty, .hsm = hsm, .size = json_get_int(doc, "size", 0)};
    if (t->size_default == 0) TRY(find_curve(crv != NULL ? crv : "", &k, d));
    *out = k;
    return OK;
}

/* As in Azure: a vault's keys of an HSM need the premium SKU, and a pool has no others. */
enum err kv_kind_allowed(const struct keyvault *kv, const json_t *vault, const struct key_kind *k,
                         struct diag *d)
{
    if (kv_vault_is_pool(vault)) {
        if (k->hsm) return OK;
        return BAD(d,
                   "Property kty has invalid value: the keys of a managed HSM are RSA-HSM, EC-HSM "
                   "and oct-HSM");
    }
    if (!k->hsm) return OK;
    if (kv->config.token == NULL) {
        return BAD(
            d,
            "Property kty has invalid value: '%s-HSM' is not supported by this vault: it has "
            "no HSM",
            k->kty);
    }
    const char *sku = json_string_value(json_at(vault, "properties", "sku", "name", NULL));
    if (sku != NULL && str_eq_nocase(sku, "premium")) return OK;
    return BAD(d,
               "Property kty has invalid value: '%s-HSM' is not supported by a vault of the SKU "
               "standard; premium supports it",
               k->kty);
}

enum err kv_doc_new(const struct key_kind *k, json_t **out, struct diag *d)
{
    CLEANUP_JSON json_t *ops = json_array();
    bool hsm;
    const struct type *t = find_type(k->kty, &hsm);
    char kty[16];
    snprintf(kty, sizeof kty, "%s%s", k->kty, k->hsm ? HSM_TAIL : "");
    for (int i = 0; t->ops[i] != NULL; i++)
        json_array_append_new(ops, json_string(t->ops[i]));
    json_int_t now = (json_int_t)now_s();
    CLEANUP_JSON json_t *doc =
        json_pack("{s:s, s:I, s:O, s:b, s:I, s:I}", "kty", kty, "size", (json_int_t)k->size,
                  "key_ops", ops, "enabled", 1, "created", now, "updated", now);
    if (doc == NULL) return kv_out_of_memory(d);
    if (k->crv != NULL) TRY(json_put(doc, "crv", json_string(k->crv), d));
    *out = TAKE(doc);
    return OK;
}

/* --- making --- */

static enum err put_number(json_t *doc, const char *name, const struct buf *number, struct diag *d)
{
    CLEANUP_BUF struct buf text = {0};
    base64url_encode(&text, buf_view(number));
    return json_put(doc, name, json_string(buf_cstr(&text)), d);
}

static enum err keep_rsa(const struct rsa_key *k, json_t *doc, struct secret **out, struct diag *d)
{
    CLEANUP_BUF struct buf n = {0}, e = {0};
    TRY(rsa_public_parts(k, &n, &e, d));
    TRY(put_number(doc, "n", &n, d));
    TRY(put_number(doc, "e", &e, d));
    return rsa_to_der(k, out, d);
}

static enum err keep_ec(const struct ec_key *k, json_t *doc, struct secret **out, struct diag *d)
{
    CLEANUP_BUF struct buf x = {0}, y = {0};
    TRY(ec_public_parts(k, &x, &y, d));
    TRY(put_number(doc, "x", &x, d));
    TRY(put_number(doc, "y", &y, d));
    return ec_to_der(k, out, d);
}

enum err kv_material_make(struct keyvault *kv, const struct key_kind *k, const char *label,
                          json_t *doc, struct secret **out, struct diag *d)
{
    if (k->hsm && kv->config.token == NULL) {
        return FAIL(d, ERR_UNAVAILABLE,
                    "this vault's HSM is not there: start it with --hsm-module");
    }
    if (k->hsm) return kv_hsm_make(kv, k, label, doc, out, d);
    if (str_eq(k->kty, "oct")) return secret_random(out, (size_t)k->size / 8, d);
    if (str_eq(k->kty, "EC")) {
        CLEANUP(ec_free) struct ec_key *ec = NULL;
        TRY(ec_generate(&ec, k->curve, d));
        return keep_ec(ec, doc, out, d);
    }
    CLEANUP(rsa_free) struct rsa_key *rsa = NULL;
    TRY(rsa_generate(&rsa, (unsigned)k->size, d));
    return keep_rsa(rsa, doc, out, d);
}

/* --- importing --- */

/* A number of a JWK, decoded; empty when it is absent. */
static enum err take_number(const json_t *jwk, const char *name, struct buf *out, struct diag *d)
{
    const char *text = json_get_str(jwk, name);
    if (text == NULL || base64_decode(out, bytes_str(text), NULL) == OK) return OK;
    return BAD(d, "Property key.%s has invalid value", name);
}

/* A refusal of the crypto layer is the caller's; other failures are ours. */
static enum err refuse_import(enum err e, const struct diag *why, struct diag *d)
{
    if (e == ERR_INVALID) return BAD(d, "Property key has invalid value: %s", why->text);
    return FAIL(d, e, "%s", why->text);
}

#define RSA_PARTS 8

static enum err import_rsa(const json_t *jwk, const struct type *t, struct key_kind *kind,
                           json_t *doc, struct secret **out, struct diag *d)
{
    static const char *const names[RSA_PARTS] = {"n", "e", "d", "p", "q", "dp", "dq", "qi"};
    struct buf b[RSA_PARTS] = {0};
    enum err e = OK;
    for (int i = 0; i < RSA_PARTS && e == OK; i++)
        e = take_number(jwk, names[i], &b[i], d);
    CLEANUP(rsa_free) struct rsa_key *k = NULL;
    if (e == OK) {
        const struct rsa_parts parts = {buf_view(&b[0]), buf_view(&b[1]), buf_view(&b[2]),
                                        buf_view(&b[3]), buf_view(&b[4]), buf_view(&b[5]),
                                        buf_view(&b[6]), buf_view(&b[7])};
        struct diag why = DIAG_INIT;
        e = rsa_import(&k, &parts, &why);
        if (e != OK) e = refuse_import(e, &why, d);
    }
    for (int i = 0; i < RSA_PARTS; i++)
        buf_release(&b[i]);
    TRY(e);
    kind->size = rsa_bits(k);
    if (!has_size(t, kind->size))
        return BAD(d, "Property key.n has invalid value: 2048, 3072 or 4096 bits");
    return keep_rsa(k, doc, out, d);
}

static enum err import_ec(const json_t *jwk, struct key_kind *kind, json_t *doc,
                          struct secret **out, struct diag *d)
{
    const char *crv = json_get_str(jwk, "crv");
    TRY(find_curve(crv != NULL ? crv : "", kind, d));
    CLEANUP_BUF struct buf x = {0}, y = {0}, number = {0};
    TRY(take_number(jwk, "x", &x, d));
    TRY(take_number(jwk, "y", &y, d));
    TRY(take_number(jwk, "d", &number, d));
    CLEANUP(ec_free) struct ec_key *k = NULL;
    struct diag why = DIAG_INIT;
    enum err e = ec_import(&k, kind->curve, buf_view(&x), buf_view(&y), buf_view(&number), &why);
    if (e != OK) return refuse_import(e, &why, d);
    return keep_ec(k, doc, out, d);
}

static enum err import_oct(const json_t *jwk, const struct type *t, struct key_kind *kind,
                           struct secret **out, struct diag *d)
{
    CLEANUP_BUF struct buf k = {0};
    TRY(take_number(jwk, "k", &k, d));
    kind->size = (int64_t)k.len * 8;
    if (!has_size(t, kind->size))
        return BAD(d, "Property key.k has invalid value: 128, 192 or 256 bits");
    return secret_of(out, buf_view(&k), d);
}

enum err kv_material_import(const json_t *jwk, struct key_kind *kind, json_t *doc,
                            struct secret **out, struct diag *d)
{
    const struct type *t = NULL;
    if (!json_is_object(jwk)) return BAD(d, "Property key has invalid value");
    bool hsm = false;
    TRY(read_type(jwk, &t, &hsm, d));
    if (hsm) {
        return BAD(
            d, "Property key.kty has invalid value: the keys of an HSM are made in it and never "
               "brought there");
    }
    *kind = (struct key_kind){.kty = t->kty};
    if (str_eq(t->kty, "RSA")) return import_rsa(jwk, t, kind, doc, out, d);
    if (str_eq(t->kty, "EC")) return import_ec(jwk, kind, doc, out, d);
    return import_oct(jwk, t, kind, out, d);
}
