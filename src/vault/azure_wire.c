/* SPDX-License-Identifier: Apache-2.0 */
/* vault/azure_wire.c - reads key URIs, challenges, refusals and results of the Key Vault REST API
 */
#include "vault/azure_wire.h"

#include "base/str.h"

#include <stdio.h>

/* --- key URIs --------------------------------------------------------------------------------- */

static bool is_name(struct bytes s, size_t max)
{
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.p[i];
        bool good =
            (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
        if (!good) return false;
    }
    return s.len != 0 && s.len < max;
}

bool azure_version_valid(const char *v)
{
    return v[0] == 0 || is_name(bytes_str(v), VAULT_VERSION_MAX);
}

static bool copy_name(struct bytes s, char *out, size_t max)
{
    if (!is_name(s, max)) return false;
    memcpy(out, s.p, s.len);
    out[s.len] = 0;
    return true;
}

/* The segment up to the next slash or the end; at behind the slash. */
static struct bytes next_segment(struct bytes *at)
{
    const uint8_t *slash = at->len != 0 ? memchr(at->p, '/', at->len) : NULL;
    size_t n = slash != NULL ? (size_t)(slash - at->p) : at->len;
    struct bytes s = bytes_of(at->p, n);
    size_t skip = slash != NULL ? n + 1 : n;
    *at = bytes_of(at->p + skip, at->len - skip);
    return s;
}

enum err azure_key_uri_parse(const char *text, struct azure_key_uri *out, struct diag *d)
{
    struct azure_key_uri u = {0};
    TRY(url_parse(text, &u.url, d));
    if (!str_eq(u.url.scheme, "https")) return FAIL(d, ERR_INVALID, "a key URI must be https");
    if (u.url.has_userinfo) return FAIL(d, ERR_INVALID, "a user name has no place in a key URI");
    if (u.url.host_is_ip)
        return FAIL(d, ERR_INVALID, "a key URI needs a host name, not an address");
    if (u.url.query.len != 0) return FAIL(d, ERR_INVALID, "a query has no place in a key URI");

    struct bytes rest = u.url.path;
    bool good = next_segment(&rest).len == 0 && bytes_eq(next_segment(&rest), BYTES("keys")) &&
                copy_name(next_segment(&rest), u.name, sizeof u.name);
    if (good && rest.len != 0) {
        struct bytes v = next_segment(&rest);
        good = rest.len == 0 && copy_name(v, u.version, sizeof u.version);
    }
    if (!good) return FAIL(d, ERR_INVALID, "a key URI ends in /keys/NAME or /keys/NAME/VERSION");

    if (u.url.port == 443) {
        snprintf(u.base, sizeof u.base, "https://%s", u.url.host);
    } else {
        snprintf(u.base, sizeof u.base, "https://%s:%u", u.url.host, u.url.port);
    }
    u.url.path = u.url.query = (struct bytes){0}; /* they lie in the caller's text */
    *out = u;
    return OK;
}

bool azure_host_allowed(const struct url *u, const char *const *suffixes)
{
    for (; *suffixes != NULL; suffixes++) {
        char name[URL_HOST_MAX];
        const char *colon = strchr(*suffixes, ':');
        size_t n = colon != NULL ? (size_t)(colon - *suffixes) : strlen(*suffixes);
        uint64_t port = 443;
        if (n == 0 || n >= sizeof name) continue;
        if (colon != NULL && str_u64(colon + 1, 65535, &port, NULL) != OK) continue;
        memcpy(name, *suffixes, n);
        name[n] = 0;
        str_lower(name);
        if (u->port == port && url_host_under(u, name)) return true;
    }
    return false;
}

/* --- the challenge --- */

/* The next name=value of a challenge; false at the end or at what is none. Values may be quoted. */
static bool next_param(const char **at, struct bytes *name, struct bytes *value)
{
    const char *p = *at + strspn(*at, " \t,");
    size_t n = strcspn(p, "= \t,\"");
    if (n == 0 || p[n] != '=') return false;
    *name = bytes_of(p, n);
    p += n + 1;
    if (*p == '"') {
        const char *end = strchr(++p, '"');
        if (end == NULL) return false;
        *value = bytes_of(p, (size_t)(end - p));
        *at = end + 1;
    } else {
        n = strcspn(p, " \t,");
        *value = bytes_of(p, n);
        *at = p + n;
    }
    return true;
}

static bool name_is(struct bytes name, const char *want)
{
    return name.len == strlen(want) && strncasecmp((const char *)name.p, want, name.len) == 0;
}

/* The resource, or the scope without its "/.default". */
static bool named_resource(const char *header, char *out, size_t max)
{
    if (!str_starts_nocase(header, "Bearer ")) return false;
    const char *at = header + 7;
    struct bytes name, value, found = {0};
    while (next_param(&at, &name, &value)) {
        if (name_is(name, "resource")) found = value;
        if (name_is(name, "scope") && found.len == 0) {
            size_t tail = strlen("/.default");
            bool has =
                value.len > tail && memcmp(value.p + value.len - tail, "/.default", tail) == 0;
            found = bytes_of(value.p, has ? value.len - tail : value.len);
        }
    }
    if (found.len == 0 || found.len >= max) return false;
    memcpy(out, found.p, found.len);
    out[found.len] = 0;
    return true;
}

enum err azure_challenge(const char *header, const struct url *u, const char *const *suffixes,
                         char resource[AZURE_RESOURCE_MAX], struct diag *d)
{
    char text[AZURE_RESOURCE_MAX];
    if (header == NULL || !named_resource(header, text, sizeof text)) {
        return FAIL_TAG(d, ERR_UNAVAILABLE, "NoChallenge",
                        "vault %s: its challenge names no resource", u->host);
    }
    /* A token for another's resource would be his to use. */
    struct url r;
    bool good = url_parse(text, &r, NULL) == OK && str_eq(r.scheme, "https") && !r.has_userinfo &&
                !r.host_is_ip && r.query.len == 0 && r.path.len <= 1 && r.port == u->port &&
                url_host_under(u, r.host) && azure_host_allowed(&r, suffixes);
    if (!good) {
        return FAIL_TAG(d, ERR_UNAVAILABLE, "BadAnswer",
                        "vault %s: its challenge names %.200s, which is not its own", u->host,
                        text);
    }
    memcpy(resource, text, sizeof text);
    return OK;
}

/* --- refusals --- */

struct refusal {
    const char *code, *inner, *message; /* never NULL */
};

struct verdict {
    enum err err;
    const char *tag;
};

static bool says(const char *message, const char *words)
{
    return strcasestr(message, words) != NULL;
}

static struct verdict verdict_403(enum azure_op op, const struct refusal *r)
{
    static const char *const denials[] = {"AccessDenied", "ForbiddenByRbac", "KeyDisabled"};
    for (size_t i = 0; i < sizeof denials / sizeof denials[0]; i++) {
        if (str_eq_nocase(r->inner, denials[i])) return (struct verdict){ERR_DENIED, denials[i]};
    }
    if (str_eq_nocase(r->inner, "ForbiddenByFirewall") ||
        str_eq_nocase(r->inner, "ForbiddenByConnection")) {
        return (struct verdict){ERR_UNAVAILABLE, "Firewall"};
    }
    /* These two are told by their text alone. */
    if (says(r->message, "is not permitted on this key")) {
        return (struct verdict){ERR_DENIED, "OperationNotPermitted"};
    }
    if (says(r->message, "is not allowed on a disabled key")) {
        return (struct verdict){ERR_DENIED, "KeyDisabled"};
    }
    if (op == AZURE_WRAP) { /* such a key still unwraps, so on unwrap it is no verdict */
        if (str_eq_nocase(r->inner, "KeyExpired") || says(r->message, "expired key")) {
            return (struct verdict){ERR_DENIED, "KeyExpired"};
        }
        if (str_eq_nocase(r->inner, "KeyNotYetValid") || says(r->message, "not yet valid")) {
            return (struct verdict){ERR_DENIED, "KeyNotYetValid"};
        }
    }
    return (struct verdict){ERR_UNAVAILABLE, "Ambiguous"};
}

static struct verdict verdict_of(enum azure_op op, int status, const struct refusal *r)
{
    if (status == 403) return verdict_403(op, r);
    if (status == 404 && str_eq_nocase(r->code, "KeyNotFound")) {
        return (struct verdict){ERR_DENIED, "KeyNotFound"};
    }
    if (status == 404 && str_eq_nocase(r->code, "VaultNotFound")) {
        return (struct verdict){ERR_UNAVAILABLE, "NoSuchVault"};
    }
    if (status == 400) return (struct verdict){ERR_UNAVAILABLE, "BadRequest"};
    if (status == 429) return (struct verdict){ERR_UNAVAILABLE, "Throttled"};
    if (status == 408 || status >= 500) return (struct verdict){ERR_UNAVAILABLE, "ServerError"};
    if (status >= 300 && status < 400) return (struct verdict){ERR_UNAVAILABLE, "Redirect"};
    if (status >= 200 && status < 300) return (struct verdict){ERR_UNAVAILABLE, "BadAnswer"};
    return (struct verdict){ERR_UNAVAILABLE, "Ambiguous"};
}

static const char *or_empty(const char *s)
{
    return s != NULL ? s : "";
}

enum err azure_refusal(enum azure_op op, int status, struct bytes body, struct diag *d)
{
    static const char *const ops[] = {
        [AZURE_GET] = "get", [AZURE_WRAP] = "wrapKey", [AZURE_UNWRAP] = "unwrapKey"};
    CLEANUP_JSON json_t *j = NULL;
    if (json_read(body, &j, NULL) != OK) j = NULL; /* a proxy's page: the status alone speaks */
    const json_t *error = json_get(j, "error");
    struct refusal r = {.code = or_empty(json_get_str(error, "code")),
                        .inner = or_empty(json_get_str(json_get(error, "innererror"), "code")),
                        .message = or_empty(json_get_str(error, "message"))};
    struct verdict v = verdict_of(op, status, &r);
    return FAIL_TAG(d, v.err, v.tag, "the vault answered %s with %d %s %s: %.300s", ops[op], status,
                    r.code, r.inner, r.message);
}

/* --- results --- */

#define BAD_ANSWER(d, what) \
    FAIL_TAG((d), ERR_UNAVAILABLE, "BadAnswer", "the vault's answer %s", (what))

/* Is this kid a version of the key that was asked for, and the version if one was named? */
static bool kid_fits(const char *kid, const struct azure_key_uri *asked, struct azure_key_uri *out)
{
    return kid != NULL && strlen(kid) < VAULT_KID_MAX &&
           azure_key_uri_parse(kid, out, NULL) == OK && str_eq(out->base, asked->base) &&
           str_eq_nocase(out->name, asked->name) && out->version[0] != 0 &&
           (asked->version[0] == 0 || str_eq_nocase(out->version, asked->version));
}

static bool has_op(const json_t *ops, const char *want)
{
    size_t i;
    json_t *op;
    json_array_foreach ((json_t *)ops, i, op) {
        if (str_eq_nocase(or_empty(json_string_value(op)), want)) return true;
    }
    return false;
}

static enum err read_binary(const json_t *o, const char *name, struct buf *out, struct diag *d)
{
    const char *text = json_get_str(o, name);
    if (text == NULL || base64_decode(out, bytes_str(text), NULL) != OK) {
        return BAD_ANSWER(d, "holds no base64 where some belongs");
    }
    return OK;
}

static enum err fill_key(const json_t *j, const struct azure_key_uri *asked, struct vault_key *k,
                         struct diag *d)
{
    const json_t *key = json_get(j, "key"), *attr = json_get(j, "attributes");
    const char *kid = json_get_str(key, "kid");
    struct azure_key_uri u = {0};
    if (!kid_fits(kid, asked, &u)) return BAD_ANSWER(d, "is about another key");
    snprintf(k->kid, sizeof k->kid, "%s", kid);
    snprintf(k->version, sizeof k->version, "%s", u.version);
    snprintf(k->kty, sizeof k->kty, "%s", or_empty(json_get_str(key, "kty")));
    snprintf(k->recovery_level, sizeof k->recovery_level, "%s",
             or_empty(json_get_str(attr, "recoveryLevel")));
    k->can_wrap = has_op(json_get(key, "key_ops"), "wrapKey");
    k->can_unwrap = has_op(json_get(key, "key_ops"), "unwrapKey");
    k->enabled = json_get_bool(attr, "enabled", true);
    k->nbf = json_get_int(attr, "nbf", 0);
    k->exp = json_get_int(attr, "exp", 0);
    if (!str_starts_nocase(k->kty, "RSA")) return OK;
    TRY(read_binary(key, "n", &k->n, d));
    return read_binary(key, "e", &k->e, d);
}

enum err azure_read_key(struct bytes body, const struct azure_key_uri *asked, struct vault_key *out,
                        struct diag *d)
{
    CLEANUP_JSON json_t *j = NULL;
    if (json_read(body, &j, NULL) != OK) return BAD_ANSWER(d, "is not JSON");
    CLEANUP_VAULT_KEY struct vault_key k = {0};
    TRY(fill_key(j, asked, &k, d));
    *out = k;
    k.n = k.e = (struct buf){0}; /* handed over */
    return OK;
}

enum err azure_read_result(struct bytes body, const struct azure_key_uri *asked,
                           struct vault_wrapped *out, struct diag *d)
{
    CLEANUP_JSON json_t *j = NULL;
    if (json_read(body, &j, NULL) != OK) return BAD_ANSWER(d, "is not JSON");
    CLEANUP_VAULT_WRAPPED struct vault_wrapped w = {0};
    const char *kid = json_get_str(j, "kid");
    struct azure_key_uri u = {0};
    if (!kid_fits(kid, asked, &u)) return BAD_ANSWER(d, "is about another key");
    snprintf(w.kid, sizeof w.kid, "%s", kid);
    snprintf(w.version, sizeof w.version, "%s", u.version);
    TRY(read_binary(j, "value", &w.blob, d));
    *out = w;
    w.blob = (struct buf){0}; /* handed over */
    return OK;
}
