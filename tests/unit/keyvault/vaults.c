/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/keyvault/vaults.c - the control plane: vaults, their policies and roles, deletion */
#include "keyvault_test.h"

#define A   OWNER "@arm"
#define OCT "{\"kty\":\"oct\"}"

TEST(vaults, a_vault_is_shown_as_arm_shows_it)
{
    struct keyvault *kv = vault_open("shape");
    const struct answer *a =
        ask(kv, "PUT", VAULT("KV1") ARM, A,
            "{\"Location\":\"West Europe\",\"Tags\":{\"a\":\"b\"},\"Properties\":{"
            "\"TenantId\":\"" TENANT "\",\"sku\":{\"family\":\"a\",\"name\":\"STANDARD\"},"
            "\"accessPolicies\":[],\"unknown\":1}}");
    EXPECT_ANSWER(a, 200);
    EXPECT_STR(json_get_str(a->body, "id"),
               "/subscriptions/" SUB "/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/KV1");
    EXPECT_STR(json_get_str(a->body, "name"), "KV1");
    EXPECT_STR(json_get_str(a->body, "type"), "Microsoft.KeyVault/vaults");
    EXPECT_STR(json_get_str(a->body, "location"), "westeurope");
    EXPECT_STR(text_at(a, "tags", "a"), "b");
    EXPECT_STR(text_at(a, "properties", "vaultUri"), "https://kv1." SUFFIX "/");
    EXPECT_STR(text_at(a, "properties", "provisioningState"), "Succeeded");
    REQUIRE(json_is_true(json_at(a->body, "properties", "enableSoftDelete", NULL)));
    EXPECT_EQ(json_integer_value(json_at(a->body, "properties", "softDeleteRetentionInDays", NULL)),
              90);
    REQUIRE(json_at(a->body, "properties", "enablePurgeProtection", NULL) == NULL);
    REQUIRE(json_at(a->body, "properties", "unknown", NULL) == NULL);

    /* Paths are compared without case. */
    EXPECT_ANSWER(ask(kv, "GET",
                      "localhost/SUBSCRIPTIONS/" SUB
                      "/resourcegroups/RG/providers/microsoft.keyvault/Vaults/kv1" ARM,
                      A, NULL),
                  200);
    EXPECT_REFUSAL(ask(kv, "GET", VAULT("kv2") ARM, A, NULL), 404, "ResourceNotFound", "");
    keyvault_close(kv);
}

TEST(vaults, only_a_verified_and_authorised_caller_gets_in)
{
    struct keyvault *kv = vault_open("doors");
    make_vault(kv, VAULT("kv1") ARM);
    const struct answer *a = ask(kv, "GET", VAULT("kv1") ARM, NULL, NULL);
    EXPECT_REFUSAL(a, 401, "AuthenticationFailed", "");
    REQUIRE(str_starts(a->challenge, "Bearer authorization_uri="));
    EXPECT_REFUSAL(ask(kv, "GET", VAULT("kv1") ARM, "junk", NULL), 401,
                   "InvalidAuthenticationToken", "");
    EXPECT_REFUSAL(ask(kv, "GET", VAULT("kv1") ARM, OWNER "@kv", NULL), 401,
                   "InvalidAuthenticationToken", "");
    EXPECT_REFUSAL(ask(kv, "GET", VAULT("kv1") ARM, "expired", NULL), 401,
                   "ExpiredAuthenticationToken", "");
    static const struct {
        const char *method, *url;
    } calls[] = {{"GET", VAULT("kv1") ARM},
                 {"PUT", VAULT("kv1") ARM},
                 {"PATCH", VAULT("kv1") ARM},
                 {"DELETE", VAULT("kv1") ARM},
                 {"PUT", VAULT("kv1") "/accessPolicies/add" ARM},
                 {"GET", VAULT("") ARM}};
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        EXPECT_REFUSAL(ask(kv, calls[i].method, calls[i].url, USER "@arm", "{}"), 403,
                       "AuthorizationFailed", "");
    }
    identity_away = true;
    EXPECT_ANSWER(ask(kv, "GET", VAULT("kv1") ARM, A, NULL), 503);
    keyvault_close(kv);
}

TEST(vaults, bad_bodies_are_named)
{
    struct keyvault *kv = vault_open("bodies");
    static const struct {
        const char *body, *code;
    } bad[] = {
        {"", "BadRequest"},
        {"{", "InvalidRequestContent"},
        {"{}", "LocationRequired"},
        {"{\"location\":\"we\"}", "BadRequest"},
        {VAULT_BODY("", ",\"enablePurgeProtection\":false"), "BadRequest"},
        {VAULT_BODY("", ",\"enableSoftDelete\":false"), "BadRequest"},
        {VAULT_BODY("", ",\"createMode\":\"again\""), "BadRequest"},
        {"{\"location\":\"we\",\"properties\":{\"tenantId\":\"" TENANT
         "\",\"accessPolicies\":[],\"sku\":{\"family\":\"A\",\"name\":\"golden\"}}}",
         "SkuNotSupported"},
        {VAULT_BODY("{\"tenantId\":\"" TENANT "\",\"objectId\":\"" USER
                    "\",\"applicationId\":\"me\",\"permissions\":{}}",
                    ""),
         "BadRequest"},
        {VAULT_BODY("{\"tenantId\":\"" TENANT "\",\"objectId\":\"" USER
                    "\",\"permissions\":{\"secrets\":[\"wrapKey\"]}}",
                    ""),
         "BadRequest"},
        {VAULT_BODY("{\"tenantId\":\"" TENANT "\",\"objectId\":\"" USER
                    "\",\"permissions\":{\"planes\":[\"get\"]}}",
                    ""),
         "BadRequest"},
        {VAULT_BODY("", ",\"softDeleteRetentionInDays\":6"), "BadRequest"},
        {VAULT_BODY("", ",\"softDeleteRetentionInDays\":91"), "BadRequest"},
        {VAULT_BODY("", ",\"enableRbacAuthorization\":\"yes\""), "BadRequest"},
        {VAULT_BODY("", ",\"networkAcls\":{\"defaultAction\":\"Ask\"}"), "BadRequest"},
        {VAULT_BODY("", ",\"networkAcls\":{\"bypass\":\"Me\"}"), "BadRequest"},
        {VAULT_BODY("", ",\"networkAcls\":[]"), "BadRequest"},
        {VAULT_BODY("", ",\"networkAcls\":{\"ipRules\":[{\"value\":\"10.0.0.0/33\"}]}"),
         "BadRequest"},
        {VAULT_BODY("", ",\"networkAcls\":{\"ipRules\":[{\"value\":\"home\"}]}"), "BadRequest"},
        {VAULT_BODY("", ",\"networkAcls\":{\"virtualNetworkRules\":[{\"id\":\"/x\"}]}"),
         "BadRequest"},
        {VAULT_BODY("", ",\"publicNetworkAccess\":\"Sometimes\""), "BadRequest"},
        {VAULT_BODY(POLICY("no-guid", "\"get\""), ""), "BadRequest"},
        {VAULT_BODY(POLICY(USER, "\"fly\""), ""), "BadRequest"},
        {VAULT_BODY(POLICY(USER, "1"), ""), "BadRequest"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        EXPECT_REFUSAL(ask(kv, "PUT", VAULT("kv1") ARM, A, bad[i].body), 400, bad[i].code, "");
    }
    static const char *const names[] = {VAULT("kv") ARM,   VAULT("1kv") ARM,
                                        VAULT("kv-") ARM,  VAULT("k--v") ARM,
                                        VAULT("kv.1") ARM, VAULT("a123456789012345678901234") ARM};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        EXPECT_REFUSAL(ask(kv, "PUT", names[i], A, VAULT_BODY("", "")), 400, "VaultNameNotValid",
                       "");
    }
    EXPECT_REFUSAL(ask(kv, "GET", VAULT("kv1"), A, NULL), 400, "MissingApiVersionParameter", "");
    EXPECT_REFUSAL(ask(kv, "GET", VAULT("kv1") "?api-version=7.4", A, NULL), 400,
                   "InvalidApiVersionParameter", "");
    EXPECT_ANSWER(ask(kv, "POST", VAULT("kv1") ARM, A, "{}"), 405);
    EXPECT_ANSWER(ask(kv, "GET", VAULT("kv1/nothing") ARM, A, NULL), 404);
    keyvault_close(kv);
}

TEST(vaults, what_can_be_set_only_once_stays)
{
    struct keyvault *kv = vault_open("once");
    EXPECT_ANSWER(
        ask(kv, "PUT", VAULT("kv1") ARM, A,
            VAULT_BODY("", ",\"softDeleteRetentionInDays\":7,\"enablePurgeProtection\":true")),
        200);
    /* A later PUT without them. */
    const struct answer *a =
        ask(kv, "PUT", VAULT("kv1") ARM, A, VAULT_BODY(POLICY(USER, "\"get\""), ""));
    EXPECT_ANSWER(a, 200);
    EXPECT_EQ(json_integer_value(json_at(a->body, "properties", "softDeleteRetentionInDays", NULL)),
              7);
    REQUIRE(json_is_true(json_at(a->body, "properties", "enablePurgeProtection", NULL)));
    static const char *const refused[] = {VAULT_BODY("", ",\"softDeleteRetentionInDays\":8"),
                                          VAULT_BODY("", ",\"enablePurgeProtection\":false"),
                                          VAULT_BODY("", ",\"enableSoftDelete\":false")};
    for (int i = 0; i < 3; i++) {
        EXPECT_REFUSAL(ask(kv, "PUT", VAULT("kv1") ARM, A, refused[i]), 400, "BadRequest", "");
    }
    EXPECT_REFUSAL(
        ask(kv, "PUT", VAULT("kv1") ARM, A, "{\"location\":\"eastus\",\"properties\":{}}"), 409,
        "InvalidResourceLocation", "");
    EXPECT_REFUSAL(ask(kv, "PUT",
                       "localhost/subscriptions/" SUB
                       "/resourceGroups/other/providers/Microsoft.KeyVault/vaults/kv1" ARM,
                       A, VAULT_BODY("", "")),
                   409, "VaultAlreadyExists", "");
    EXPECT_EQ(json_array_size(json_at(ask(kv, "GET", VAULT("kv1") ARM, A, NULL)->body, "properties",
                                      "accessPolicies", NULL)),
              1);

    /* PATCH changes what it names. */
    a = ask(kv, "PATCH", VAULT("kv1") ARM, A,
            "{\"tags\":{\"x\":\"y\"},\"properties\":{\"enabledForDeployment\":true}}");
    EXPECT_ANSWER(a, 200);
    EXPECT_STR(text_at(a, "tags", "x"), "y");
    REQUIRE(json_is_true(json_at(a->body, "properties", "enabledForDeployment", NULL)));
    EXPECT_EQ(json_array_size(json_at(a->body, "properties", "accessPolicies", NULL)), 1);
    EXPECT_ANSWER(ask(kv, "PATCH", VAULT("kv9") ARM, A, "{\"tags\":{}}"), 404);
    keyvault_close(kv);
}

/* The status of a GET on keys for USER. */
static int can_list(struct keyvault *kv)
{
    return ask(kv, "GET", KV("kv1", "/keys"), USER "@kv", NULL)->status;
}

TEST(vaults, access_policies_grant_exactly_what_they_name)
{
    struct keyvault *kv = vault_open("policies");
    EXPECT_ANSWER(ask(kv, "PUT", VAULT("kv1") ARM, A, VAULT_BODY("", "")), 200);
    const struct answer *a = ask(kv, "GET", KV("kv1", "/keys"), USER "@kv", NULL);
    EXPECT_REFUSAL(a, 403, "Forbidden", "AccessDenied");
    REQUIRE(strstr(text_at(a, "error", "message"), "oid=" USER) != NULL);
    REQUIRE(strstr(text_at(a, "error", "message"),
                   "does not have keys list permission on key vault 'kv1;"
                   "location=westeurope'") != NULL);

    a = ask(kv, "PUT", VAULT("kv1") "/accessPolicies/add" ARM, A,
            "{\"properties\":{\"accessPolicies\":[" POLICY(USER, "\"LIST\"") "]}}");
    EXPECT_ANSWER(a, 200);
    EXPECT_EQ(json_array_size(json_at(a->body, "properties", "accessPolicies", NULL)), 1);
    EXPECT_EQ(can_list(kv), 200);
    EXPECT_EQ(ask(kv, "GET", KV("kv1", "/keys/k"), USER "@kv", NULL)->status, 403);
    EXPECT_EQ(ask(kv, "GET", KV("kv1", "/keys"), OTHER "@kv", NULL)->status, 403);

    EXPECT_ANSWER(
        ask(kv, "PUT", VAULT("kv1") "/accessPolicies/add" ARM, A,
            "{\"properties\":{\"accessPolicies\":[" POLICY(USER, "\"create\",\"get\"") "]}}"),
        200);
    EXPECT_EQ(can_list(kv), 200);
    EXPECT_EQ(ask(kv, "POST", KV("kv1", "/keys/k/create"), USER "@kv", OCT)->status, 200);
    EXPECT_EQ(ask(kv, "DELETE", KV("kv1", "/keys/k"), USER "@kv", NULL)->status, 403);

    EXPECT_ANSWER(ask(kv, "PUT", VAULT("kv1") "/accessPolicies/remove" ARM, A,
                      "{\"properties\":{\"accessPolicies\":[" POLICY(USER, "\"list\"") "]}}"),
                  200);
    EXPECT_EQ(can_list(kv), 403);
    EXPECT_EQ(ask(kv, "GET", KV("kv1", "/keys/k"), USER "@kv", NULL)->status, 200);

    EXPECT_ANSWER(ask(kv, "PUT", VAULT("kv1") "/accessPolicies/replace" ARM, A,
                      "{\"properties\":{\"accessPolicies\":[" POLICY(USER, "\"list\"") "]}}"),
                  200);
    EXPECT_EQ(can_list(kv), 200);
    EXPECT_EQ(ask(kv, "GET", KV("kv1", "/keys/k"), USER "@kv", NULL)->status, 403);

    EXPECT_REFUSAL(ask(kv, "PUT", VAULT("kv1") "/accessPolicies/steal" ARM, A,
                       "{\"properties\":{\"accessPolicies\":[]}}"),
                   400, "BadRequest", "");
    EXPECT_REFUSAL(ask(kv, "PUT", VAULT("kv1") "/accessPolicies/add" ARM, A, "{}"), 400,
                   "BadRequest", "");
    keyvault_close(kv);
}

TEST(vaults, a_policy_for_another_tenant_or_application_grants_nothing)
{
    struct keyvault *kv = vault_open("tenants");
    EXPECT_ANSWER(ask(kv, "PUT", VAULT("kv1") ARM, A,
                      VAULT_BODY("{\"tenantId\":\"" SUB "\",\"objectId\":\"" USER
                                 "\",\"permissions\":{\"keys\":[\"all\"]}}",
                                 "")),
                  200);
    EXPECT_EQ(can_list(kv), 403);
    EXPECT_ANSWER(
        ask(kv, "PUT", VAULT("kv1") ARM, A,
            VAULT_BODY("{\"tenantId\":\"" TENANT "\",\"objectId\":\"" USER
                       "\",\"applicationId\":\"" SUB "\",\"permissions\":{\"keys\":[\"all\"]}}",
                       "")),
        200);
    EXPECT_EQ(can_list(kv), 403);
    EXPECT_ANSWER(ask(kv, "PUT", VAULT("kv1") ARM, A,
                      VAULT_BODY("{\"tenantId\":\"" TENANT "\",\"objectId\":\"" USER
                                 "\",\"permissions\":{\"secrets\":[\"all\"]}}",
                                 "")),
                  200);
    EXPECT_EQ(can_list(kv), 403);
    keyvault_close(kv);
}

TEST(vaults, with_roles_policies_do_not_count)
{
    struct keyvault *kv = vault_open("roles");
    EXPECT_ANSWER(ask(kv, "PUT", VAULT("kv1") ARM, A,
                      VAULT_BODY(POLICY(USER, "\"all\""), ",\"enableRbacAuthorization\":true")),
                  200);
    const struct answer *a = ask(kv, "POST", KV("kv1", "/keys/k/create"), USER "@kv", OCT);
    EXPECT_REFUSAL(a, 403, "Forbidden", "ForbiddenByRbac");
    REQUIRE(strstr(text_at(a, "error", "message"),
                   "Microsoft.KeyVault/vaults/keys/create/action") != NULL);
    rbac_grant = USER " Microsoft.KeyVault/vaults/keys/create/action /subscriptions/" SUB
                      "/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/kv1/keys/k";
    EXPECT_ANSWER(ask(kv, "POST", KV("kv1", "/keys/k/create"), USER "@kv", OCT), 200);
    EXPECT_ANSWER(ask(kv, "POST", KV("kv1", "/keys/j/create"), USER "@kv", OCT), 403);
    EXPECT_ANSWER(ask(kv, "GET", KV("kv1", "/keys/k"), USER "@kv", NULL), 403);
    /* One permission of the data plane is no permission of the control plane. */
    EXPECT_ANSWER(ask(kv, "GET", VAULT("kv1") ARM, USER "@arm", NULL), 403);
    keyvault_close(kv);
}

static size_t count(const struct answer *a)
{
    return json_array_size(json_get(a->body, "value"));
}

TEST(vaults, a_deleted_vault_holds_its_name_and_comes_back_with_its_keys)
{
    struct keyvault *kv = vault_open("deleted");
    const char *deleted_url =
        "localhost/subscriptions/" SUB
        "/providers/Microsoft.KeyVault/locations/westeurope/deletedVaults/kv1" ARM;
    make_vault(kv, VAULT("kv1") ARM);
    make_vault(kv, VAULT("kv2") ARM);
    EXPECT_ANSWER(ask(kv, "POST", KV("kv1", "/keys/k/create"), USER "@kv", OCT), 200);
    EXPECT_EQ(count(ask(kv, "GET", VAULT("") ARM, A, NULL)), 2);
    EXPECT_EQ(count(ask(kv, "GET",
                        "localhost/subscriptions/" SUB "/providers/Microsoft.KeyVault/vaults" ARM,
                        A, NULL)),
              2);

    EXPECT_ANSWER(ask(kv, "DELETE", VAULT("kv1") ARM, A, NULL), 200);
    EXPECT_ANSWER(ask(kv, "DELETE", VAULT("kv1") ARM, A, NULL), 204);
    EXPECT_REFUSAL(ask(kv, "GET", KV("kv1", "/keys/k"), USER "@kv", NULL), 404, "VaultNotFound",
                   "");
    EXPECT_ANSWER(ask(kv, "GET", VAULT("kv1") ARM, A, NULL), 404);
    EXPECT_EQ(count(ask(kv, "GET", VAULT("") ARM, A, NULL)), 1);
    EXPECT_REFUSAL(ask(kv, "PUT", VAULT("kv1") ARM, A, VAULT_BODY("", "")), 409, "ConflictError",
                   "");
    const struct answer *a = ask(kv, "GET", deleted_url, A, NULL);
    EXPECT_ANSWER(a, 200);
    EXPECT_STR(text_at(a, "properties", "vaultId"),
               "/subscriptions/" SUB "/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/kv1");
    EXPECT_EQ(
        count(ask(kv, "GET",
                  "localhost/subscriptions/" SUB "/providers/Microsoft.KeyVault/deletedVaults" ARM,
                  A, NULL)),
        1);
    a = ask(kv, "POST",
            "localhost/subscriptions/" SUB
            "/providers/Microsoft.KeyVault/checkNameAvailability" ARM,
            A, "{\"name\":\"kv1\",\"type\":\"Microsoft.KeyVault/vaults\"}");
    REQUIRE(json_is_false(json_get(a->body, "nameAvailable")));

    EXPECT_ANSWER(ask(kv, "PUT", VAULT("kv1") ARM, A,
                      "{\"location\":\"westeurope\",\"properties\":{\"createMode\":\"recover\"}}"),
                  200);
    EXPECT_ANSWER(ask(kv, "GET", KV("kv1", "/keys/k"), USER "@kv", NULL), 200);
    EXPECT_ANSWER(ask(kv, "GET", deleted_url, A, NULL), 404);

    EXPECT_ANSWER(ask(kv, "DELETE", VAULT("kv1") ARM, A, NULL), 200);
    EXPECT_ANSWER(
        ask(kv, "POST",
            "localhost/subscriptions/" SUB
            "/providers/Microsoft.KeyVault/locations/westeurope/deletedVaults/kv1/purge" ARM,
            A, NULL),
        200);
    make_vault(kv, VAULT("kv1") ARM);
    EXPECT_ANSWER(ask(kv, "GET", KV("kv1", "/keys/k"), USER "@kv", NULL), 404);
    EXPECT_EQ(count(ask(kv, "GET", KV("kv1", "/deletedkeys"), USER "@kv", NULL)), 0);
    keyvault_close(kv);
}

TEST(vaults, a_policy_for_a_group_is_its_members_and_a_disabled_one_has_no_right)
{
    struct keyvault *kv = vault_open("groups");
    EXPECT_ANSWER(ask(kv, "PUT", VAULT("kv1") ARM, A, VAULT_BODY(POLICY(TEAM, "\"list\""), "")),
                  200);
    EXPECT_EQ(can_list(kv), 403);
    group_members = USER;
    EXPECT_EQ(can_list(kv), 200);
    EXPECT_EQ(ask(kv, "GET", KV("kv1", "/keys/k"), USER "@kv", NULL)->status, 403);
    EXPECT_EQ(ask(kv, "GET", KV("kv1", "/keys"), OTHER "@kv", NULL)->status, 403);
    group_members = NULL; /* the token is the same */
    EXPECT_EQ(can_list(kv), 403);

    EXPECT_ANSWER(ask(kv, "PUT", VAULT("kv1") ARM, A, VAULT_BODY(POLICY(USER, "\"list\""), "")),
                  200);
    EXPECT_EQ(can_list(kv), 200);
    user_is_gone = true;
    EXPECT_REFUSAL(ask(kv, "GET", KV("kv1", "/keys"), USER "@kv", NULL), 403, "Forbidden",
                   "AccessDenied");
    keyvault_close(kv);
}

TEST(vaults, a_list_comes_in_pages_that_miss_nothing)
{
    struct keyvault *kv = vault_open("top");
    static const char *const names[] = {"kva", "kvb", "kvc", "kvd", "kve"};
    for (int i = 0; i < 5; i++) {
        CLEANUP_FREE char *url = str_fmt(VAULT("%s") ARM, names[i]);
        make_vault(kv, url);
    }
    EXPECT_ANSWER(ask(kv, "DELETE", VAULT("kvb") ARM, A, NULL), 200);
    CLEANUP_FREE char *url =
        str_dup("localhost/subscriptions/" SUB
                "/resourceGroups/rg/providers/Microsoft.KeyVault/vaults" ARM "&$top=2");
    size_t seen = 0;
    for (int page = 0; url != NULL; page++) {
        REQUIRE(page < 3);
        const struct answer *a = ask(kv, "GET", url, A, NULL);
        EXPECT_ANSWER(a, 200);
        EXPECT_EQ(count(a), 2);
        seen += count(a);
        const char *next = json_get_str(a->body, "nextLink");
        REQUIRE(next == NULL || str_starts(next, "https://localhost:8443/subscriptions/"));
        free(url);
        url = next != NULL ? str_dup(next + strlen("https://")) : NULL;
    }
    EXPECT_EQ(seen, 4);
    static const char *const bad[] = {"&$top=0", "&$top=x", "&$top=1001", "&$skiptoken=!"};
    for (int i = 0; i < 4; i++) {
        CLEANUP_FREE char *wrong = str_fmt(
            "localhost/subscriptions/" SUB "/providers/Microsoft.KeyVault/vaults" ARM "%s", bad[i]);
        EXPECT_REFUSAL(ask(kv, "GET", wrong, A, NULL), 400, "BadRequest", "");
    }
    keyvault_close(kv);
}

#define CHECK_NAME \
    "localhost/subscriptions/" SUB "/providers/Microsoft.KeyVault/checkNameAvailability" ARM

TEST(vaults, whether_a_name_is_free_is_said_with_its_reason)
{
    struct keyvault *kv = vault_open("names");
    make_vault(kv, VAULT("kv1") ARM);
    static const struct {
        const char *name, *reason; /* reason NULL: it is free */
    } cases[] = {{"kv2", NULL},
                 {"KV1", "AlreadyExists"},
                 {"k", "AccountNameInvalid"},
                 {"1kv", "AccountNameInvalid"},
                 {"kv1.hsm", "AccountNameInvalid"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CLEANUP_FREE char *body =
            str_fmt("{\"name\":\"%s\",\"type\":\"Microsoft.KeyVault/vaults\"}", cases[i].name);
        const struct answer *a = ask(kv, "POST", CHECK_NAME, A, body);
        EXPECT_ANSWER(a, 200);
        const char *reason = json_get_str(a->body, "reason");
        EXPECT_STR(reason != NULL ? reason : "", cases[i].reason != NULL ? cases[i].reason : "");
        EXPECT_EQ(json_is_true(json_get(a->body, "nameAvailable")), cases[i].reason == NULL);
    }
    EXPECT_REFUSAL(ask(kv, "POST", CHECK_NAME, A, "{\"name\":\"kv2\"}"), 400, "BadRequest", "");
    EXPECT_REFUSAL(ask(kv, "POST", CHECK_NAME, A, "{\"name\":\"kv2\",\"type\":\"x\"}"), 400,
                   "BadRequest", "");
    keyvault_close(kv);
}

TEST(vaults, a_deleted_vault_is_found_in_its_own_location_only)
{
    struct keyvault *kv = vault_open("places");
    make_vault(kv, VAULT("kv1") ARM);
    EXPECT_ANSWER(ask(kv, "DELETE", VAULT("kv1") ARM, A, NULL), 200);
#define DELETED_IN(where)                                                           \
    "localhost/subscriptions/" SUB "/providers/Microsoft.KeyVault/locations/" where \
    "/deletedVaults/kv1" ARM
    EXPECT_ANSWER(ask(kv, "GET", DELETED_IN("eastus"), A, NULL), 404);
    EXPECT_ANSWER(ask(kv, "GET", DELETED_IN("westeuropes"), A, NULL), 404);
    EXPECT_ANSWER(ask(kv, "GET", DELETED_IN("West Europe"), A, NULL), 200);
    keyvault_close(kv);
}

TEST(vaults, nobody_reaches_the_platforms_vault_through_arm)
{
    struct diag d = DIAG_INIT;
    struct keyvault *kv = vault_open("platform");
    REQUIRE_OK(keyvault_ensure_platform(kv, USER, &d));
    EXPECT_ANSWER(ask(kv, "GET", VAULT(KEYVAULT_PLATFORM) ARM, A, NULL), 404);
    EXPECT_REFUSAL(ask(kv, "PUT", VAULT(KEYVAULT_PLATFORM) ARM, A, VAULT_BODY("", "")), 409,
                   "VaultAlreadyExists", "");
    EXPECT_ANSWER(ask(kv, "DELETE", VAULT(KEYVAULT_PLATFORM) ARM, A, NULL), 204);
    EXPECT_ANSWER(
        ask(kv, "GET",
            "localhost/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/keystead/"
            "providers/Microsoft.KeyVault/vaults/" KEYVAULT_PLATFORM ARM,
            A, NULL),
        403);
    EXPECT_ANSWER(ask(kv, "GET", KV(KEYVAULT_PLATFORM, "/keys/pmk"), USER "@kv", NULL), 200);
    keyvault_close(kv);
}
