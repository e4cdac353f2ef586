/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/identity/oauth.c - tokens by every door, and every refusal with its code */
#include "identity_test.h"

#include "net/http_server.h"

static struct world w;

static const char *path_of(const char *form)
{
    static char text[256];
    snprintf(text, sizeof text, form, w.founder.tenant_id);
    return text;
}

/* $i and $s stand for the founder's client id and secret. */
static int token(struct reply *r, const char *path, const char *form)
{
    CLEANUP_BUF struct buf body = {0};
    for (; *form != 0; form++) {
        if (*form != '$') {
            buf_u8(&body, (uint8_t)*form);
        } else {
            buf_str(&body, *++form == 'i' ? w.founder.client_id : w.founder.client_secret);
        }
    }
    return ask(&w, r, (struct ask){.method = "POST", .path = path, .body = buf_cstr(&body)});
}

#define GRANT "grant_type=client_credentials&client_id=$i&client_secret=$s"

/* The claims of the answer's token, unchecked; json_decref(). */
static json_t *claims_of(const struct reply *r)
{
    const char *t = strchr(text_at(r, "access_token"), '.');
    REQUIRE(t != NULL);
    CLEANUP_BUF struct buf text = {0};
    json_t *j = NULL;
    REQUIRE(base64_decode(&text, bytes_of(t + 1, strcspn(t + 1, ".")), NULL) == OK);
    REQUIRE(json_read(buf_view(&text), &j, NULL) == OK);
    return j;
}

TEST(oauth, v2_answers_numbers_and_the_claims_are_complete)
{
    world_open(&w, "v2");
    CLEANUP_REPLY struct reply r = {0};
    EXPECT_EQ(token(&r, path_of("/%s/oauth2/v2.0/token"),
                    GRANT "&scope=https%3A%2F%2Fmanagement.azure.com%2F%2F.default"),
              200);
    EXPECT_EQ(json_get_int(r.json, "expires_in", 0), 3599);
    EXPECT_EQ(json_get_int(r.json, "ext_expires_in", 0), 3599);
    EXPECT_STR(text_at(&r, "token_type"), "Bearer");
    CLEANUP_JSON json_t *c = claims_of(&r);
    EXPECT_STR(json_get_str(c, "aud"), "https://management.azure.com/"); /* the slash stays */
    EXPECT_STR(json_get_str(c, "oid"), w.founder.object_id);
    EXPECT_STR(json_get_str(c, "sub"), w.founder.object_id);
    EXPECT_STR(json_get_str(c, "tid"), w.founder.tenant_id);
    EXPECT_STR(json_get_str(c, "appid"), w.founder.client_id);
    EXPECT_STR(json_get_str(c, "azp"), w.founder.client_id);
    EXPECT_STR(json_get_str(c, "ver"), "2.0");
    char issuer[256];
    snprintf(issuer, sizeof issuer, ENDPOINT "/%s/v2.0", w.founder.tenant_id);
    EXPECT_STR(json_get_str(c, "iss"), issuer);
    int64_t now = time_now_us() / US_PER_S, iat = json_get_int(c, "iat", 0);
    REQUIRE(iat <= now && iat > now - 60 && json_get_int(c, "nbf", 0) == iat);
    EXPECT_EQ(json_get_int(c, "exp", 0), iat + 3600);
    REQUIRE(json_get(c, "xms_mirid") == NULL);
    bool no_store = false;
    for (uint32_t i = 0; i < r.res.n_headers; i++) {
        no_store = no_store || (str_eq_nocase(r.res.headers[i].name, "Cache-Control") &&
                                strstr(r.res.headers[i].value, "no-store") != NULL);
    }
    REQUIRE(no_store);
    world_close(&w);
}

TEST(oauth, v1_answers_strings_and_takes_a_resource)
{
    world_open(&w, "v1");
    CLEANUP_REPLY struct reply r = {0};
    EXPECT_EQ(token(&r, path_of("/%s/oauth2/token/"), GRANT "&resource=https://vault.azure.net"),
              200);
    EXPECT_STR(text_at(&r, "expires_in"), "3599");
    EXPECT_STR(text_at(&r, "resource"), "https://vault.azure.net");
    REQUIRE(strlen(text_at(&r, "expires_on")) == 10 && strlen(text_at(&r, "not_before")) == 10);
    CLEANUP_JSON json_t *c = claims_of(&r);
    EXPECT_STR(json_get_str(c, "aud"), "https://vault.azure.net");
    EXPECT_STR(json_get_str(c, "ver"), "1.0");
    EXPECT_STR(json_get_str(c, "appidacr"), "1");
    EXPECT_STR(json_get_str(c, "idp"), json_get_str(c, "iss"));
    world_close(&w);
}

/* As az sends it: numbers come back, or az adds an int to a string. */
TEST(oauth, adfs_takes_what_az_sends)
{
    world_open(&w, "adfs");
    CLEANUP_REPLY struct reply r = {0};
    EXPECT_EQ(token(&r, "/adfs/oauth2/token",
                    GRANT "&client_info=1&claims=%7B%22access_token%22%3A%7B%22xms_cc%22%3A%7B%"
                          "22values%22%3A%5B%22CP1%22"
                          "%5D%7D%7D%7D&scope=https%3A%2F%2Flocalhost%3A8443%2F%2F.default"),
              200);
    REQUIRE(json_is_integer(json_get(r.json, "expires_in")));
    CLEANUP_JSON json_t *c = claims_of(&r);
    EXPECT_STR(json_get_str(c, "aud"), "https://localhost:8443/");
    EXPECT_STR(json_get_str(c, "iss"), ENDPOINT "/adfs");
    EXPECT_EQ(token(&r, "/ADFS/OAuth2/Token", GRANT "&resource=urn:x"), 200);
    world_close(&w);
}

TEST(oauth, a_client_may_show_its_secret_in_the_header)
{
    world_open(&w, "basic");
    CLEANUP_REPLY struct reply r = {0};
    CLEANUP_BUF struct buf pair = {0}, header = {0};
    buf_fmt(&pair, "%s:%s", w.founder.client_id, w.founder.client_secret);
    buf_str(&header, "Basic ");
    base64_encode(&header, buf_view(&pair));
    struct ask q = {.method = "POST",
                    .path = path_of("/%s/oauth2/token"),
                    .header = "Authorization",
                    .header_value = buf_cstr(&header),
                    .body = "grant_type=client_credentials&resource=x"};
    EXPECT_EQ(ask(&w, &r, q), 200);
    q.header_value = "Basic !";
    EXPECT_EQ(ask(&w, &r, q), 401);
    q.header_value = "Basic bm9jb2xvbg==";
    EXPECT_EQ(ask(&w, &r, q), 401);
    world_close(&w);
}

TEST(oauth, every_refusal_has_its_code)
{
    static const struct {
        const char *path, *form, *error;
        int status, code;
    } cases[] = {
        {"/%s/oauth2/token", "", "invalid_request", 400, 900144},
        {"/%s/oauth2/token", "grant_type=client_credentials", "invalid_request", 400, 900144},
        {"/%s/oauth2/token", "grant_type=password&client_id=$i", "unsupported_grant_type", 400,
         70003},
        {"/%s/oauth2/token", GRANT, "invalid_request", 400, 900144},
        {"/%s/oauth2/token", GRANT "&resource=", "invalid_request", 400, 900144},
        {"/%s/oauth2/token", GRANT "&resource=a%20b", "invalid_resource", 400, 500011},
        {"/%s/oauth2/token", GRANT "&resource=a%22b", "invalid_resource", 400, 500011},
        {"/%s/oauth2/token", GRANT "&resource=x&resource=y", "invalid_request", 400, 9000411},
        {"/%s/oauth2/token", GRANT "&resource=%zz", "invalid_request", 400, 900561},
        {"/%s/oauth2/token", GRANT "&resource=%00", "invalid_request", 400, 900561},
        {"/%s/oauth2/token", "grant_type=client_credentials&client_id=$i&resource=x",
         "invalid_client", 401, 7000218},
        {"/%s/oauth2/token",
         "grant_type=client_credentials&client_id=$i&client_secret=wrong&resource=x",
         "invalid_client", 401, 7000215},
        {"/%s/oauth2/token",
         "grant_type=client_credentials&client_id=$i&client_secret=$s0&resource=x",
         "invalid_client", 401, 7000215},
        {"/%s/oauth2/token",
         "grant_type=client_credentials&client_id=00000000-0000-0000-0000-000000000000&client_"
         "secret=$s&resource=x",
         "unauthorized_client", 400, 700016},
        {"/%s/oauth2/token",
         "grant_type=client_credentials&client_id=../x&client_secret=$s&resource=x",
         "unauthorized_client", 400, 700016},
        {"/%s/oauth2/v2.0/token", GRANT "&scope=https://vault.azure.net", "invalid_scope", 400,
         1002012},
        {"/%s/oauth2/v2.0/token", GRANT "&scope=/.default", "invalid_scope", 400, 1002012},
        {"/%s/oauth2/v2.0/token", GRANT "&scope=a/.default+b/.default", "invalid_scope", 400,
         1002012},
        {"/%s/oauth2/v2.0/token", GRANT "&resource=x", "invalid_request", 400, 900144},
        {"/11111111-1111-1111-1111-111111111111/oauth2/token", GRANT "&resource=x",
         "invalid_request", 400, 90002},
        {"/common/oauth2/v2.0/token", GRANT "&scope=x/.default", "invalid_request", 400, 90002},
    };
    world_open(&w, "refusals");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CLEANUP_REPLY struct reply r = {0};
        char path[256];
        snprintf(path, sizeof path, "%s%s%s", str_starts(cases[i].path, "/%s") ? "/" : "",
                 str_starts(cases[i].path, "/%s") ? w.founder.tenant_id : "",
                 str_starts(cases[i].path, "/%s") ? cases[i].path + 3 : cases[i].path);
        int status = token(&r, path, cases[i].form);
        json_int_t code = json_integer_value(json_array_get(json_get(r.json, "error_codes"), 0));
        if (status != cases[i].status || code != cases[i].code ||
            !str_eq(text_at(&r, "error"), cases[i].error)) {
            fail_msg("case %zu: %d %s %lld %s", i, status, text_at(&r, "error"), (long long)code,
                     text_at(&r, "error_description"));
        }
        REQUIRE(str_starts(text_at(&r, "error_description"), "AADSTS"));
        REQUIRE(json_get(r.json, "access_token") == NULL);
        REQUIRE(strlen(text_at(&r, "trace_id")) == 36 && strlen(text_at(&r, "timestamp")) == 20);
        REQUIRE(strstr(buf_cstr(&r.res.body), w.founder.client_secret) == NULL);
    }
    world_close(&w);
}

TEST(oauth, the_client_finds_its_own_id_in_a_refusal)
{
    world_open(&w, "correlation");
    CLEANUP_REPLY struct reply r = {0};
    const char *mine = "3c5f2b1e-0000-4000-8000-123456789abc";
    struct ask q = {.method = "POST",
                    .path = "/adfs/oauth2/token",
                    .header = "client-request-id",
                    .header_value = mine};
    EXPECT_EQ(ask(&w, &r, q), 400);
    EXPECT_STR(text_at(&r, "correlation_id"), mine);
    world_close(&w);
}

TEST(oauth, a_managed_identity_has_no_secret_to_show)
{
    struct diag d = DIAG_INIT;
    world_open(&w, "managed");
    CLEANUP_REPLY struct reply r = {0};
    struct managed_identity m;
    char id[256], form[512];
    snprintf(
        id, sizeof id,
        "/subscriptions/%s/resourceGroups/g/providers/Microsoft.OperationalInsights/clusters/c",
        w.founder.subscription_id);
    REQUIRE_OK(identity_managed_ensure(w.clients[IDENTITY_PEER_LOGS], id, &m, &d));
    static const char *const secrets[] = {"", "&client_secret=", "&client_secret=0000"};
    for (int i = 0; i < 3; i++) {
        snprintf(form, sizeof form, "grant_type=client_credentials&client_id=%s&resource=x%s",
                 m.client_id, secrets[i]);
        EXPECT_EQ(token(&r, path_of("/%s/oauth2/token"), form), 400);
        EXPECT_STR(text_at(&r, "error"), "unauthorized_client");
    }
    world_close(&w);
}

/* --- discovery
 * -------------------------------------------------------------------------------------- */

TEST(discovery, documents_name_an_issuer_on_our_host_and_the_tenants_endpoints)
{
    static const struct {
        const char *path, *issuer, *token, *keys; /* %s: tenant */
    } cases[] = {
        {"/%s/v2.0/.well-known/openid-configuration", ENDPOINT "/%s/v2.0",
         ENDPOINT "/%s/oauth2/v2.0/token", ENDPOINT "/%s/discovery/v2.0/keys"},
        {"/%s/.well-known/openid-configuration", ENDPOINT "/%s/", ENDPOINT "/%s/oauth2/token",
         ENDPOINT "/%s/discovery/keys"},
        {"/adfs/.well-known/openid-configuration", ENDPOINT "/adfs", ENDPOINT "/adfs/oauth2/token",
         ENDPOINT "/adfs/discovery/keys"},
        {"/common/v2.0/.well-known/openid-configuration", ENDPOINT "/%s/v2.0",
         ENDPOINT "/%s/oauth2/v2.0/token", ENDPOINT "/%s/discovery/v2.0/keys"},
    };
    world_open(&w, "discovery");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CLEANUP_REPLY struct reply r = {0};
        char expect[256];
        const char *names[] = {"issuer", "token_endpoint", "jwks_uri"};
        const char *forms[] = {cases[i].issuer, cases[i].token, cases[i].keys};
        snprintf(expect, sizeof expect, "%s", path_of(cases[i].path));
        EXPECT_EQ(ask(&w, &r, (struct ask){.method = "GET", .path = expect}), 200);
        for (int k = 0; k < 3; k++)
            EXPECT_STR(text_at(&r, names[k]), path_of(forms[k]));
        REQUIRE(json_get_str(r.json, "authorization_endpoint") != NULL);
        EXPECT_STR(text_at(&r, "msgraph_host"), "localhost:8443");
        EXPECT_STR(text_at(&r, "rbac_url"), ENDPOINT);
        /* What the documents name is ours. */
        for (int k = 1; k < 3; k++)
            REQUIRE(identity_owns_path(text_at(&r, names[k]) + strlen(ENDPOINT)));
        CLEANUP_REPLY struct reply keys = {0};
        char keys_path[256];
        snprintf(keys_path, sizeof keys_path, "%s", text_at(&r, "jwks_uri") + strlen(ENDPOINT));
        EXPECT_EQ(ask(&w, &keys, (struct ask){.method = "GET", .path = keys_path}), 200);
        const json_t *key = json_array_get(json_get(keys.json, "keys"), 0);
        EXPECT_STR(json_get_str(key, "kty"), "RSA");
        EXPECT_STR(json_get_str(key, "use"), "sig");
        REQUIRE(json_get(key, "d") == NULL && json_get_str(key, "n") != NULL);
    }
    CLEANUP_REPLY struct reply r = {0};
    EXPECT_EQ(ask(&w, &r,
                  (struct ask){.method = "GET",
                               .path = "/other.example/v2.0/.well-known/openid-configuration"}),
              400);
    EXPECT_EQ(ask(&w, &r,
                  (struct ask){.method = "POST", .path = "/adfs/.well-known/openid-configuration"}),
              405);
    EXPECT_EQ(ask(&w, &r, (struct ask){.method = "GET", .path = "/adfs/oauth2/token"}), 405);
    world_close(&w);
}

TEST(discovery, only_our_own_instance_is_vouched_for)
{
    world_open(&w, "instance");
    CLEANUP_REPLY struct reply r = {0};
    struct ask q = {.method = "GET",
                    .path = "/common/discovery/instance",
                    .query = "api-version=1.1&authorization_endpoint=https://LOCALHOST:8443/abc/"
                             "oauth2/v2.0/authorize"};
    EXPECT_EQ(ask(&w, &r, q), 200);
    EXPECT_STR(text_at(&r, "tenant_discovery_endpoint"),
               ENDPOINT "/abc/v2.0/.well-known/openid-configuration");
    const json_t *m = json_array_get(json_get(r.json, "metadata"), 0);
    EXPECT_STR(json_string_value(json_array_get(json_get(m, "aliases"), 0)), "localhost:8443");
    static const char *const bad[] = {
        "", "authorization_endpoint=https://evil.example/abc",
        "authorization_endpoint=https://localhost:8444/abc",
        "authorization_endpoint=https://localhost:8443/",
        "authorization_endpoint=https://localhost:8443@evil.example/x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        q.query = bad[i];
        EXPECT_EQ(ask(&w, &r, q), 400);
        EXPECT_STR(text_at(&r, "error"), "invalid_instance");
    }
    world_close(&w);
}

TEST(route, only_what_identity_answers_is_its_own)
{
    static const char *const ours[] = {
        "/t/oauth2/v2.0/token",
        "/T/OAuth2/Token/",
        "/adfs/oauth2/token",
        "/common/discovery/instance",
        "/organizations/v2.0/.well-known/openid-configuration",
        "/t/discovery/v2.0/keys",
        "/v1.0/me",
        "/providers/Microsoft.Authorization/roleDefinitions",
        "/subscriptions/s/providers/microsoft.authorization/roleassignments/x",
        ("/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/v/keys/k/providers/"
         "Microsoft.Authorization/roleAssignments/x")};
    static const char *const not_ours[] = {
        "",
        "/",
        "//",
        "/oauth2/token",
        "/metadata/identity/oauth2/token",
        "/t/oauth2/token/x",
        "/v1/workspaces/x/query",
        "/subscriptions/s/providers/Microsoft.Authorization/locks/x",
        "/subscriptions/s/providers/Microsoft.Authorization/",
        "/subscriptions/s/providers/Microsoft.Authorization/roleAssignments/x/y",
        "/subscriptions/s/providers/Microsoft.Authorization/roleAssignmentsX/y",
        ("/subscriptions/s/providers/Microsoft.Authorization/roleAssignments/x/providers/"
         "Microsoft.KeyVault/vaults/v")};
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
        if (!identity_owns_path(ours[i])) fail_msg("not taken: %s", ours[i]);
    }
    for (size_t i = 0; i < sizeof not_ours / sizeof *not_ours; i++) {
        if (identity_owns_path(not_ours[i])) fail_msg("taken: %s", not_ours[i]);
    }
}

/* az asks Graph who it is on the way to a vault or a role. */
TEST(graph, the_caller_and_principals_can_be_found)
{
    world_open(&w, "graph");
    CLEANUP_REPLY struct reply r = {0};
    char *t = founder_token(&w, w.founder.client_secret, "https://graph.microsoft.com/"),
         query[128], body[128];
    EXPECT_EQ(ask(&w, &r, (struct ask){.method = "GET", .path = "/v1.0/me"}), 401);
    EXPECT_EQ(ask(&w, &r, (struct ask){.method = "GET", .path = "/v1.0/me", .bearer = t}), 200);
    EXPECT_STR(text_at(&r, "id"), w.founder.object_id);
    snprintf(query, sizeof query, "$filter=servicePrincipalNames/any(c:c+eq+'%s')",
             w.founder.client_id);
    EXPECT_EQ(
        ask(&w, &r,
            (struct ask){
                .method = "GET", .path = "/v1.0/servicePrincipals", .query = query, .bearer = t}),
        200);
    EXPECT_STR(json_get_str(json_array_get(json_get(r.json, "value"), 0), "id"),
               w.founder.object_id);
    EXPECT_EQ(ask(&w, &r,
                  (struct ask){.method = "GET",
                               .path = "/v1.0/servicePrincipals",
                               .query = "$filter=appId+eq+'x'",
                               .bearer = t}),
              200);
    EXPECT_EQ(json_array_size(json_get(r.json, "value")), 0);
    EXPECT_EQ(
        ask(&w, &r, (struct ask){.method = "GET", .path = "/v1.0/servicePrincipals", .bearer = t}),
        400);
    snprintf(body, sizeof body, "{\"ids\":[\"%s\",\"x\",1],\"types\":[]}", w.founder.object_id);
    EXPECT_EQ(ask(&w, &r,
                  (struct ask){.method = "POST",
                               .path = "/v1.0/directoryObjects/getByIds",
                               .body = body,
                               .bearer = t}),
              200);
    EXPECT_EQ(json_array_size(json_get(r.json, "value")), 1);
    /* Its audience is good for Graph alone. */
    char path[128];
    snprintf(path, sizeof path,
             "/subscriptions/%s/providers/Microsoft.Authorization/roleAssignments",
             w.founder.subscription_id);
    EXPECT_EQ(
        ask(&w, &r,
            (struct ask){
                .method = "GET", .path = path, .query = "api-version=2022-04-01", .bearer = t}),
        401);
    free(t);
    world_close(&w);
}
