/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vault/pkcs11.c - a key in a PKCS#11 token, without a vault in between
 *
 * Key URIs are RFC 7512's path: pkcs11:token=LABEL;object=NAME, in percent encoding where it must
 * be, and perhaps ;id=%01%02 and ;type=private or secret-key. The part behind "?" is refused: which
 * module is loaded and where its PIN lies is this service's configuration, never a customer's text.
 * The version of a key is its CKA_ID in hex: a label with two ids is two versions, of which one
 * must be named. A token asks for no identity: whoever may use this provider is the configuration's
 * say.
 */
#include "base/str.h"
#include "base/time.h"
#include "crypto/keywrap.h"
#include "vault/token.h"
#include "vault/vault.h"

#include <stdio.h>
#include <stdlib.h>

#define SCHEME  "pkcs11:"
#define AES_KEK 256 /* bits */

struct pkcs11 {
    struct token *token;
    char label[TOKEN_LABEL_MAX];
    char version[VAULT_VERSION_MAX]; /* "" = none named */
};

static void pkcs11_close(void *self)
{
    free(self);
}
DEFINE_CLEANUP(pkcs11_close, struct pkcs11)

/* --- the URI --- */

struct attribute {
    struct bytes name;
    struct buf value;
};

/* The next name=value of the path, decoded; at behind its ';'. */
static enum err next_attribute(struct bytes *at, struct attribute *out, struct diag *d)
{
    const uint8_t *end = memchr(at->p, ';', at->len);
    size_t n = end != NULL ? (size_t)(end - at->p) : at->len;
    const uint8_t *eq = memchr(at->p, '=', n);
    if (eq == NULL) return FAIL(d, ERR_INVALID, "a PKCS#11 URI is a list of name=value");
    out->name = bytes_of(at->p, (size_t)(eq - at->p));
    buf_clear(&out->value);
    TRY(percent_decode(&out->value, bytes_of(eq + 1, n - out->name.len - 1), false, d));
    size_t skip = end != NULL ? n + 1 : n;
    *at = bytes_of(at->p + skip, at->len - skip);
    return OK;
}

static bool is(struct bytes name, const char *want)
{
    return bytes_eq(name, bytes_str(want));
}

static enum err take_text(const struct buf *v, const char *what, char *out, size_t max,
                          struct diag *d)
{
    if (v->len == 0 || v->len >= max || memchr(v->p, 0, v->len) != NULL || out[0] != 0)
        return FAIL(d, ERR_INVALID, "a PKCS#11 URI names one %s of 1 to %zu bytes", what, max - 1);
    memcpy(out, v->p, v->len);
    return OK;
}

static enum err take_id(const struct buf *v, char *out, struct diag *d)
{
    if (v->len == 0 || v->len > (VAULT_VERSION_MAX - 1) / 2)
        return FAIL(d, ERR_INVALID, "the id of a PKCS#11 URI has 1 to %d bytes",
                    (VAULT_VERSION_MAX - 1) / 2);
    hex_encode(buf_view(v), out);
    return OK;
}

struct uri {
    char token[64], object[TOKEN_LABEL_MAX], version[VAULT_VERSION_MAX];
};

static enum err take_attribute(const struct attribute *a, struct uri *u, struct diag *d)
{
    if (is(a->name, "token")) return take_text(&a->value, "token", u->token, sizeof u->token, d);
    if (is(a->name, "object"))
        return take_text(&a->value, "object", u->object, sizeof u->object, d);
    if (is(a->name, "id")) return take_id(&a->value, u->version, d);
    if (is(a->name, "type")) {
        if (is(buf_view(&a->value), "private") || is(buf_view(&a->value), "secret-key")) return OK;
        return FAIL(d, ERR_INVALID, "the type of a PKCS#11 URI of a key is private or secret-key");
    }
    return FAIL(d, ERR_INVALID, "a PKCS#11 URI of a key has token, object, id and type, not '%.*s'",
                (int)(a->name.len < 40 ? a->name.len : 40), (const char *)a->name.p);
}

static enum err parse(const char *text, struct uri *out, struct diag *d)
{
    if (!str_starts(text, SCHEME)) return FAIL(d, ERR_INVALID, "no PKCS#11 URI");
    if (strchr(text, '?') != NULL || strchr(text, '/') != NULL) {
        return FAIL(d, ERR_INVALID,
                    "a query has no place in a PKCS#11 URI: module and PIN are configured");
    }
    struct uri u = {0};
    struct bytes rest = bytes_str(text + strlen(SCHEME));
    struct attribute a = {0};
    enum err e = OK;
    while (e == OK && rest.len != 0) {
        e = next_attribute(&rest, &a, d);
        if (e == OK) e = take_attribute(&a, &u, d);
    }
    buf_release(&a.value);
    TRY(e);
    if (u.token[0] == 0 || u.object[0] == 0)
        return FAIL(d, ERR_INVALID, "a PKCS#11 URI of a key names a token and an object");
    *out = u;
    return OK;
}

static enum err pkcs11_open(void **self, const struct vault_config *c, const char *key_uri,
                            struct diag *d)
{
    struct uri u;
    TRY(parse(key_uri, &u, d));
    if (c->hsm == NULL || !str_eq(u.token, token_label(c->hsm))) {
        return FAIL_TAG(d, ERR_DENIED, "HostNotAllowed", "the token '%s' is not allowed here",
                        u.token);
    }
    CLEANUP(pkcs11_close) struct pkcs11 *p = calloc(1, sizeof *p);
    if (p == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    p->token = c->hsm;
    memcpy(p->label, u.object, sizeof p->label);
    memcpy(p->version, u.version, sizeof p->version);
    *self = TAKE(p);
    return OK;
}

/* --- names --- */

struct name { /* of a key in the token, with room for its id */
    uint8_t id[VAULT_VERSION_MAX / 2];
    struct token_name n;
};

/* version "" is the one of the URI. */
static enum err name_of(const struct pkcs11 *p, const char *version, struct name *out,
                        struct diag *d)
{
    const char *v = version[0] != 0 ? version : p->version;
    size_t len = strlen(v) / 2;
    out->n = (struct token_name){.label = p->label};
    if (v[0] == 0) return OK;
    if (len > sizeof out->id || hex_decode(bytes_str(v), out->id, len, NULL) != OK)
        return FAIL(d, ERR_INVALID, "the version of a token's key is its id in hex");
    out->n.id = bytes_of(out->id, len);
    return OK;
}

/* "pkcs11:token=...;object=...;id=%01%02" */
static enum err write_kid(const struct pkcs11 *p, const struct token_key *k,
                          char out[VAULT_KID_MAX], char version[VAULT_VERSION_MAX], struct diag *d)
{
    CLEANUP_BUF struct buf b = {0};
    buf_str(&b, SCHEME "token=");
    percent_encode(&b, bytes_str(token_label(p->token)));
    buf_str(&b, ";object=");
    percent_encode(&b, bytes_str(p->label));
    buf_str(&b, ";id=");
    for (size_t i = 0; i < k->id_len; i++)
        buf_fmt(&b, "%%%02x", k->id[i]);
    TRY(buf_check(&b, d));
    if (b.len >= VAULT_KID_MAX || k->id_len == 0 || k->id_len > (VAULT_VERSION_MAX - 1) / 2) {
        return FAIL_TAG(d, ERR_UNAVAILABLE, "BadAnswer",
                        "the key '%s' has no id of 1 to %d bytes, or too long a name", p->label,
                        (VAULT_VERSION_MAX - 1) / 2);
    }
    memcpy(out, buf_cstr(&b), b.len + 1);
    hex_encode(bytes_of(k->id, k->id_len), version);
    return OK;
}

/* --- operations --- */

/* What is wrong with our data says nothing about the key; what the token cannot do is the
 * operator's fault. */
static enum err verdict(enum err e, const struct diag *why, struct diag *d)
{
    if (e == ERR_INVALID || e == ERR_UNSUPPORTED)
        return FAIL_TAG(d, ERR_UNAVAILABLE, "BadRequest", "%s", why->text);
    return FAIL_TAG(d, e, why->tag, "%s", why->text);
}

static enum err in_time(const struct vault_call *call, struct diag *d)
{
    if (call->deadline_us == 0 || time_mono_us() < call->deadline_us) return OK;
    return FAIL_TAG(d, ERR_UNAVAILABLE, "Timeout", "token: no answer in time");
}

static enum err look(const struct pkcs11 *p, const struct vault_call *call, const char *version,
                     struct name *name, struct token_key *k, struct diag *d)
{
    struct diag why = DIAG_INIT;
    TRY(in_time(call, d));
    TRY(name_of(p, version, name, d));
    enum err e = token_describe(p->token, &name->n, k, &why);
    return e == OK ? OK : verdict(e, &why, d);
}

static enum err pkcs11_describe(void *self, const struct vault_call *call, const char *version,
                                struct vault_key *out, struct diag *d)
{
    struct pkcs11 *p = self;
    struct name name;
    CLEANUP_TOKEN_KEY struct token_key k = {0};
    TRY(look(p, call, version, &name, &k, d));
    bool aes = k.type == TOKEN_AES;
    struct vault_key v = {.enabled = true,
                          .can_wrap = aes ? k.wraps && k.bits == AES_KEK : k.type == TOKEN_RSA,
                          .can_unwrap = aes ? k.unwraps : k.decrypts};
    TRY(write_kid(p, &k, v.kid, v.version, d));
    snprintf(v.kty, sizeof v.kty, "%s",
             aes                   ? "oct-HSM"
             : k.type == TOKEN_RSA ? "RSA-HSM"
                                   : "EC-HSM");
    /* A token has no soft delete that could be asked for: that its keys are not destroyed is the
     * rule of whoever owns it. */
    snprintf(v.recovery_level, sizeof v.recovery_level, "Recoverable");
    v.n = k.n;
    v.e = k.e;
    k.n = k.e = (struct buf){0}; /* handed over */
    *out = v;
    return OK;
}

static enum err wrap_rsa(const struct token_key *k, struct bytes plain, struct buf *out,
                         struct diag *d)
{
    CLEANUP(rsa_free) struct rsa_key *public = NULL;
    TRY(rsa_public(&public, buf_view(&k->n), buf_view(&k->e), d));
    return rsa_encrypt(public, RSA_OAEP_SHA256, plain, out, d);
}

static enum err pkcs11_wrap(void *self, const struct vault_call *call, const char *version,
                            const char *alg, struct bytes plain, struct vault_wrapped *out,
                            struct diag *d)
{
    struct pkcs11 *p = self;
    struct name name;
    struct diag why = DIAG_INIT;
    CLEANUP_TOKEN_KEY struct token_key k = {0};
    CLEANUP_VAULT_WRAPPED struct vault_wrapped w = {0};
    TRY(look(p, call, version, &name, &k, d));
    TRY(write_kid(p, &k, w.kid, w.version, d));
    enum err e = str_eq(alg, "A256KW") ? token_wrap(p->token, &name.n, plain, &w.blob, &why)
                 : str_eq(alg, "RSA-OAEP-256") && k.type == TOKEN_RSA
                     ? wrap_rsa(&k, plain, &w.blob, &why)
                     : FAIL(&why, ERR_INVALID, "not a wrapping algorithm of this key");
    if (e != OK) return verdict(e, &why, d);
    *out = w;
    w = (struct vault_wrapped){0}; /* handed over */
    return OK;
}

static enum err pkcs11_unwrap(void *self, const struct vault_call *call, const char *version,
                              const char *alg, struct bytes wrapped, struct secret **out,
                              struct diag *d)
{
    struct pkcs11 *p = self;
    struct name name;
    struct diag why = DIAG_INIT;
    if (version[0] == 0 && p->version[0] == 0)
        return FAIL(d, ERR_INVALID, "unwrap needs the version that wrapped");
    TRY(in_time(call, d));
    TRY(name_of(p, version, &name, d));
    enum err e = str_eq(alg, "A256KW") ? token_unwrap(p->token, &name.n, wrapped, out, &why)
                 : str_eq(alg, "RSA-OAEP-256")
                     ? token_rsa_decrypt(p->token, &name.n, RSA_OAEP_SHA256, wrapped, out, &why)
                     : FAIL(&why, ERR_INVALID, "not a wrapping algorithm");
    return e == OK ? OK : verdict(e, &why, d);
}

const struct vault_ops vault_pkcs11 = {
    .scheme = "pkcs11",
    .open = pkcs11_open,
    .close = pkcs11_close,
    .describe = pkcs11_describe,
    .wrap = pkcs11_wrap,
    .unwrap = pkcs11_unwrap,
};
