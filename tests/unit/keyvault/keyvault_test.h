/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/keyvault/keyvault_test.h - the vault's handler without sockets, and callers to knock
 * at it */
#pragma once

#include "test.h"

#include "base/log.h"
#include "base/str.h"
#include "keyvault/service.h"

#include <stdio.h>
#include <stdlib.h>

#define TENANT "11111111-1111-1111-1111-111111111111"
#define SUB    "22222222-2222-2222-2222-222222222222"
#define OWNER  "aaaaaaaa-0000-0000-0000-000000000001"
#define USER   "aaaaaaaa-0000-0000-0000-000000000002"
#define OTHER  "aaaaaaaa-0000-0000-0000-000000000003"
#define SUFFIX "vault.localhost:8444"

/* --- callers: a token is "oid@kv" or "oid@arm"; the owner may do everything in ARM, and what
 * rbac_grant says on keys --- */

static const char *rbac_grant; /* "oid action scope-prefix"; NULL = nothing */
static bool identity_away;
static const char *group_members; /* the one who is in the group TEAM; NULL = nobody */
static bool user_is_gone;         /* USER has been disabled or deleted */
#define TEAM "aaaaaaaa-0000-0000-0000-00000000000f"

static enum err test_verify(void *ctx, const char *token, const char *const *audiences,
                            struct caller *out, struct diag *d)
{
    (void)ctx;
    if (identity_away) return FAIL(d, ERR_UNAVAILABLE, "identity is away");
    if (str_eq(token, "expired")) return FAIL_TAG(d, ERR_DENIED, "Expired", "too old");
    const char *at = strchr(token, '@');
    if (at == NULL || at - token != 36) return FAIL_TAG(d, ERR_DENIED, "Malformed", "no token");
    const char *plane = str_eq(audiences[0], "https://vault.azure.net") ? "kv" : "arm";
    size_t n = strlen(plane); /* claims may follow: "oid@kv.claims.x" */
    if (strncmp(at + 1, plane, n) != 0 || (at[1 + n] != 0 && at[1 + n] != '.'))
        return FAIL_TAG(d, ERR_DENIED, "Audience", "for another");
    *out = (struct caller){.tenant_id = TENANT, .app_id = "app", .issuer = "https://issuer/"};
    memcpy(out->object_id, token, 36);
    return OK;
}

static enum err test_authorize(void *ctx, const char *oid, const char *action, bool is_data,
                               const char *scope, struct diag *d)
{
    (void)ctx;
    if (!is_data && str_eq(oid, OWNER) && str_starts_nocase(scope, "/subscriptions/" SUB))
        return OK;
    CLEANUP_FREE char *asked = str_fmt("%s %s %s", oid, action, scope);
    if (is_data && rbac_grant != NULL && str_starts_nocase(asked, rbac_grant)) return OK;
    return FAIL(d, ERR_DENIED, "no role");
}

static enum err test_groups(void *ctx, const char *oid, char (**out)[GUID_TEXT_MAX], size_t *out_n,
                            struct diag *d)
{
    (void)ctx;
    if (identity_away) return FAIL(d, ERR_UNAVAILABLE, "identity is away");
    if (user_is_gone && str_eq(oid, USER)) return FAIL_TAG(d, ERR_DENIED, "NoStanding", "gone");
    *out = calloc(1, sizeof **out);
    *out_n = group_members != NULL && str_eq(oid, group_members);
    memcpy(*out, TEAM, sizeof TEAM);
    return OK;
}

/* --- conversations
 * ------------------------------------------------------------------------------------ */

/* What tests start from; the directory is missing. */
static struct keyvault_config usual_config(void)
{
    return (struct keyvault_config){.suffix = SUFFIX,
                                    .endpoint = "https://localhost:8443",
                                    .tenant_id = TENANT,
                                    .verify = test_verify,
                                    .authorize = test_authorize,
                                    .groups = test_groups};
}

static struct keyvault *vault_open_as(const char *name, struct keyvault_config c)
{
    struct diag d = DIAG_INIT;
    log_set_level(LOG_ERROR + 1); /* refusals are expected */
    rbac_grant = NULL;
    identity_away = user_is_gone = false;
    group_members = NULL;
    CLEANUP_FREE char *dir = str_fmt("%s/%s", test_dir(), name);
    c.dir = dir;
    struct keyvault *kv;
    REQUIRE_OK(keyvault_open(&kv, &c, &d));
    return kv;
}

__attribute__((unused)) static struct keyvault *vault_open(const char *name)
{
    return vault_open_as(name, usual_config());
}

struct answer {
    int status;
    json_t *body; /* NULL when there is none */
    char challenge[512];
    int retry_after; /* 0 = not said */
    enum http_fault fault;
    char text[65536];
};

static void answer_release(struct answer *a)
{
    json_decref(a->body);
    a->body = NULL;
}

#define FIELDS_MAX 8

/* "a=b&c=d" into fields; not decoded: tests send plain text. */
static uint32_t split_query(struct arena *a, const char *text, struct http_field *out)
{
    uint32_t n = 0;
    while (text != NULL && *text != 0) {
        size_t len = strcspn(text, "&");
        char *pair = arena_str(a, bytes_of(text, len));
        char *eq = strchr(pair, '=');
        REQUIRE(eq != NULL && n < FIELDS_MAX);
        *eq = 0;
        out[n++] = (struct http_field){pair, eq + 1};
        text += len + (text[len] == '&');
    }
    return n;
}

/* url: "host:port/path?query"; token NULL = none; body NULL = none. */
static const struct answer *ask(struct keyvault *kv, const char *method, const char *url,
                                const char *token, const char *body)
{
    static struct answer out;
    CLEANUP_ARENA struct arena a;
    arena_init(&a, 0);
    const char *path = strchr(url, '/'), *query = strchr(url, '?');
    REQUIRE(path != NULL);
    struct http_field headers[1], fields[FIELDS_MAX];
    char *authority = arena_str(&a, bytes_of(url, (size_t)(path - url)));
    char *host = arena_str(&a, bytes_of(authority, strcspn(authority, ":")));
    str_lower(host);
    size_t path_len = query != NULL ? (size_t)(query - path) : strlen(path);
    struct http_request req = {.a = &a,
                               .method = method,
                               .path = arena_str(&a, bytes_of(path, path_len)),
                               .target = path,
                               .host = host,
                               .authority = authority,
                               .peer = "127.0.0.1",
                               .query = fields,
                               .headers = headers};
    req.n_query = split_query(&a, query != NULL ? query + 1 : NULL, fields);
    if (body != NULL) req.body = bytes_str(body);
    if (token != NULL) {
        headers[req.n_headers++] =
            (struct http_field){"Authorization", arena_fmt(&a, "Bearer %s", token)};
    }
    struct http_response res = {.a = &a};
    keyvault_handle(kv, &req, &res);

    answer_release(&out);
    out = (struct answer){.status = res.status, .fault = res.fault};
    for (uint32_t i = 0; i < res.n_headers; i++) {
        if (str_eq_nocase(res.headers[i].name, "WWW-Authenticate")) {
            snprintf(out.challenge, sizeof out.challenge, "%s", res.headers[i].value);
        }
        if (str_eq_nocase(res.headers[i].name, "Retry-After")) {
            out.retry_after = (int)strtol(res.headers[i].value, NULL, 10);
        }
    }
    snprintf(out.text, sizeof out.text, "%s", buf_cstr(&res.body));
    if (res.body.len != 0) REQUIRE(json_read(buf_view(&res.body), &out.body, NULL) == OK);
    buf_release(&res.body);
    return &out;
}

static const char *text_at(const struct answer *a, const char *one, const char *two)
{
    const char *s = json_string_value(json_at(a->body, one, two, NULL));
    return s != NULL ? s : "";
}

#define EXPECT_ANSWER(a, want)                                                                    \
    do {                                                                                          \
        const struct answer *a_ = (a);                                                            \
        if (a_->status != (want)) fail_msg("%d instead of %d: %s", a_->status, (want), a_->text); \
    } while (0)

/* A refusal with its code, and its inner code ("" = none). */
#define EXPECT_REFUSAL(a, want, code, inner)                                           \
    do {                                                                               \
        const struct answer *r_ = (a);                                                 \
        const char *inner_ =                                                           \
            json_string_value(json_at(r_->body, "error", "innererror", "code", NULL)); \
        EXPECT_ANSWER(r_, want);                                                       \
        EXPECT_STR(text_at(r_, "error", "code"), code);                                \
        EXPECT_STR(inner_ != NULL ? inner_ : "", inner);                               \
        REQUIRE(text_at(r_, "error", "message")[0] != 0);                              \
    } while (0)

#define VAULT(name)                     \
    "localhost:8444/subscriptions/" SUB \
    "/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/" name
#define ARM            "?api-version=2022-07-01"
#define KV(name, path) name "." SUFFIX path "?api-version=7.4"

#define POLICY(oid, perms)                                                                         \
    "{\"tenantId\":\"" TENANT "\",\"objectId\":\"" oid "\",\"permissions\":{\"keys\":[" perms "]}" \
    "}"
#define VAULT_BODY(policies, more)                                                               \
    "{\"location\":\"West Europe\",\"properties\":{\"tenantId\":\"" TENANT                       \
    "\",\"sku\":{\"family\":\"A\",\"name\":\"standard\"},\"accessPolicies\":[" policies "]" more \
    "}}"

/* A vault on whose keys USER may do everything. */
__attribute__((unused)) static void make_vault(struct keyvault *kv, const char *url)
{
    EXPECT_ANSWER(ask(kv, "PUT", url, OWNER "@arm", VAULT_BODY(POLICY(USER, "\"all\""), "")), 200);
}

/* The last answer's string at one.two, copied: the next ask() forgets it. */
__attribute__((unused)) static char *keep(const struct answer *a, const char *one, const char *two)
{
    return str_dup(text_at(a, one, two));
}
