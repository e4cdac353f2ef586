/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/identity/rbac.c - roles, inheritance, and role assignments over ARM */
#include "identity_test.h"

#include "identity/state.h"

static struct world w;
static char *bearer;
static char subscription[64], group[128], vault[256], key[300];

#define VERSION     "api-version=2022-04-01"
#define CRYPTO_USER "e147488a-f6f5-4113-8e2d-b22465e65bf6"
#define READER      "acdd72a7-3385-48ef-bd42-f606fba81ae7"
#define WRAP        "Microsoft.KeyVault/vaults/keys/wrap/action"
#define NAME        "0a000000-0000-4000-8000-00000000000a"

static void start(const char *name)
{
    world_open(&w, name);
    bearer = founder_token(&w, w.founder.client_secret, "https://management.azure.com/");
    snprintf(subscription, sizeof subscription, "/subscriptions/%s", w.founder.subscription_id);
    snprintf(group, sizeof group, "%s/resourceGroups/G1", subscription);
    snprintf(vault, sizeof vault, "%s/providers/Microsoft.KeyVault/vaults/kv1", group);
    snprintf(key, sizeof key, "%s/keys/k1", vault);
}

static void stop(void)
{
    free(bearer);
    world_close(&w);
}

static bool may(const char *object_id, const char *action, bool is_data, const char *scope)
{
    struct diag d = DIAG_INIT;
    enum err e =
        identity_authorize(w.clients[IDENTITY_PEER_VAULT], object_id, action, is_data, scope, &d);
    REQUIRE(e == OK || e == ERR_DENIED);
    return e == OK;
}

static int assign(struct reply *r, const char *method, const char *scope, const char *name,
                  const char *role, const char *principal, const char *more)
{
    char *path = str_fmt("%s/providers/Microsoft.Authorization/roleAssignments/%s", scope, name);
    char *body = str_fmt("{\"Properties\":{\"RoleDefinitionId\":\"%s/providers/"
                         "Microsoft.Authorization/roleDefinitions/%s\","
                         "\"principalId\":\"%s\"%s}}",
                         subscription, role, principal, more);
    int status =
        ask(&w, r,
            (struct ask){
                .method = method, .path = path, .query = VERSION, .body = body, .bearer = bearer});
    free(path);
    free(body);
    return status;
}

static void make_identity(struct managed_identity *m, const char *cluster)
{
    struct diag d = DIAG_INIT;
    char id[256];
    snprintf(id, sizeof id, "%s/providers/Microsoft.OperationalInsights/clusters/%s", group,
             cluster);
    REQUIRE_OK(identity_managed_ensure(w.clients[IDENTITY_PEER_LOGS], id, m, &d));
}

TEST(role, a_star_stands_for_any_text)
{
    static const struct {
        const char *pattern, *action;
        bool matches;
    } cases[] = {
        {"*", "a/b", true},
        {"*", "", true},
        {"*/read", "Microsoft.X/y/READ", true},
        {"*/read", "Microsoft.X/read/write", false},
        {"*/read", "read", false},
        {"Microsoft.KeyVault/vaults/keys/*", "microsoft.keyvault/vaults/keys/wrap/action", true},
        {"Microsoft.KeyVault/vaults/keys/*", "microsoft.keyvault/vaults/keysx/read", false},
        {"Microsoft.Authorization/*/Write", "Microsoft.Authorization/roleAssignments/write", true},
        {"Microsoft.Authorization/*/Write", "Microsoft.Authorization/write", false},
        {"a*b*c", "aXbYbZc", true},
        {"a*b*c", "aXbYbZ", false},
        {"a", "ab", false},
        {"ab", "a", false},
        {"", "", true},
        {"", "a", false},
        {"*a*a*a*a*a*a*a*a*b",
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (action_matches(cases[i].pattern, cases[i].action) != cases[i].matches)
            fail_msg("case %zu", i);
    }
}

TEST(role, each_has_the_rights_of_its_name_and_no_more)
{
    const struct role *owner = role_find(ROLE_OWNER),
                      *contributor = role_find("B24988AC-6180-42a0-ab88-20f7382dd24c");
    const struct role *reader = role_find(READER), *crypto = role_find(CRYPTO_USER);
    const struct role *publisher = role_find(ROLE_METRICS_PUBLISHER);
    REQUIRE(owner && contributor && reader && crypto && publisher);
    REQUIRE(role_allows(owner, "Microsoft.Authorization/roleAssignments/write", false));
    REQUIRE(!role_allows(owner, WRAP, true));
    REQUIRE(role_allows(contributor, "Microsoft.OperationalInsights/clusters/write", false));
    REQUIRE(!role_allows(contributor, "Microsoft.Authorization/roleAssignments/write", false));
    REQUIRE(role_allows(contributor, "Microsoft.Authorization/roleAssignments/read", false));
    REQUIRE(role_allows(reader, "Microsoft.OperationalInsights/workspaces/query/read", false));
    REQUIRE(!role_allows(reader, "Microsoft.OperationalInsights/clusters/write", false));
    REQUIRE(role_allows(crypto, WRAP, true) && !role_allows(crypto, WRAP, false));
    REQUIRE(!role_allows(crypto, "Microsoft.KeyVault/vaults/keys/sign/action", true));
    REQUIRE(role_allows(publisher, "Microsoft.Insights/Telemetry/Write", true));
    REQUIRE(!role_allows(owner, "*", false) && !role_allows(reader, "*/read", false));
    REQUIRE(role_find("") == NULL && role_find("Owner") == NULL);
    for (size_t i = 0; i < n_builtin_roles; i++) {
        struct guid g;
        REQUIRE(guid_parse(builtin_roles[i].id, &g, NULL) == OK);
        REQUIRE(role_find(builtin_roles[i].id) == &builtin_roles[i]);
    }
}

TEST(rbac, the_founder_owns_the_subscription_and_no_key)
{
    start("founder");
    const char *me = w.founder.object_id;
    REQUIRE(may(me, "Microsoft.OperationalInsights/clusters/write", false, group));
    REQUIRE(may(me, "Microsoft.KeyVault/vaults/write", false, vault));
    REQUIRE(may(me, "Microsoft.OperationalInsights/workspaces/query/read", false, group));
    REQUIRE(may(me, "Microsoft.Insights/Telemetry/Write", true, group));
    REQUIRE(may(me, "Microsoft.OperationalInsights/workspaces/tables/data/read", true, group));
    REQUIRE(!may(me, WRAP, true, key));
    REQUIRE(!may(me, "Microsoft.KeyVault/vaults/keys/read", true, key));
    REQUIRE(
        !may(me, "Microsoft.OperationalInsights/clusters/write", false, "/subscriptions/other"));
    REQUIRE(!may(me, "Microsoft.OperationalInsights/clusters/write", false, "/"));
    REQUIRE(!may(me, "x/read", false, "not a scope"));
    REQUIRE(!may("", "x/read", false, group));
    REQUIRE(!may(w.founder.platform_object_id, "x/read", false, group));
    stop();
}

TEST(rbac, a_role_holds_at_its_scope_and_below_and_nowhere_else)
{
    start("inherit");
    CLEANUP_REPLY struct reply r = {0};
    struct managed_identity m, other;
    make_identity(&m, "c1");
    make_identity(&other, "c2");
    REQUIRE(!may(m.principal_id, WRAP, true, key));
    EXPECT_EQ(assign(&r, "PUT", vault, NAME, CRYPTO_USER, m.principal_id, ""), 201);
    REQUIRE(may(m.principal_id, WRAP, true, vault) && may(m.principal_id, WRAP, true, key));
    char *shouted = str_fmt("%s/KEYS/k9/", vault);
    for (char *p = shouted + 60; *p != 0; p++) {
        if (*p >= 'a' && *p <= 'z') *p -= 32;
    }
    REQUIRE(may(m.principal_id, WRAP, true, shouted));
    free(shouted);
    char longer[300];
    snprintf(longer, sizeof longer, "%s2", vault); /* kv12 is not below kv1 */
    REQUIRE(!may(m.principal_id, WRAP, true, longer));
    REQUIRE(!may(m.principal_id, WRAP, true, group) &&
            !may(m.principal_id, WRAP, true, subscription));
    REQUIRE(!may(m.principal_id, WRAP, false, vault));
    REQUIRE(!may(other.principal_id, WRAP, true, vault));

    EXPECT_EQ(assign(&r, "DELETE", vault, NAME, "", "", ""), 200);
    REQUIRE(!may(m.principal_id, WRAP, true, key)); /* at once */
    EXPECT_EQ(assign(&r, "DELETE", vault, NAME, "", "", ""), 204);
    EXPECT_EQ(assign(&r, "PUT", subscription, NAME, CRYPTO_USER, m.principal_id, ""), 201);
    REQUIRE(may(m.principal_id, WRAP, true, key));
    stop();
}

TEST(rbac, the_answer_has_the_shape_of_arm)
{
    start("shape");
    CLEANUP_REPLY struct reply r = {0};
    struct managed_identity m;
    make_identity(&m, "c1");
    char lower[256];
    snprintf(lower, sizeof lower, "%s/resourcegroups/G1", subscription);
    EXPECT_EQ(assign(&r, "PUT", lower, "0A000000-0000-4000-8000-00000000000A", CRYPTO_USER,
                     m.principal_id,
                     ",\"principalType\":\"serviceprincipal\",\"description\":\"d\""),
              201);
    char id[512];
    snprintf(id, sizeof id, "%s/providers/Microsoft.Authorization/roleAssignments/" NAME, group);
    EXPECT_STR(text_at(&r, "id"), id);
    EXPECT_STR(text_at(&r, "name"), NAME);
    EXPECT_STR(text_at(&r, "type"), "Microsoft.Authorization/roleAssignments");
    const json_t *p = json_get(r.json, "properties");
    EXPECT_STR(json_get_str(p, "scope"), group);
    EXPECT_STR(json_get_str(p, "principalId"), m.principal_id);
    EXPECT_STR(json_get_str(p, "principalType"), "ServicePrincipal");
    EXPECT_STR(json_get_str(p, "description"), "d");
    EXPECT_STR(json_get_str(p, "createdBy"), w.founder.object_id);
    REQUIRE(str_ends(json_get_str(p, "roleDefinitionId"), CRYPTO_USER) &&
            strlen(json_get_str(p, "createdOn")) == 28);

    EXPECT_EQ(
        ask(&w, &r, (struct ask){.method = "GET", .path = id, .query = VERSION, .bearer = bearer}),
        200);
    EXPECT_STR(text_at(&r, "id"), id);
    EXPECT_EQ(assign(&r, "GET", vault, NAME, "", "", ""), 404); /* it is not of that scope */
    EXPECT_STR(error_code(&r), "RoleAssignmentNotFound");
    stop();
}

TEST(rbac, a_repeated_put_is_fine_and_a_different_one_is_a_conflict)
{
    start("conflict");
    CLEANUP_REPLY struct reply r = {0};
    struct managed_identity m, other;
    make_identity(&m, "c1");
    make_identity(&other, "c2");
    EXPECT_EQ(assign(&r, "PUT", vault, NAME, CRYPTO_USER, m.principal_id, ""), 201);
    EXPECT_EQ(
        assign(&r, "PUT", vault, NAME, CRYPTO_USER, m.principal_id, ",\"description\":\"new\""),
        200);
    EXPECT_STR(json_get_str(json_get(r.json, "properties"), "description"), "new");
    EXPECT_EQ(assign(&r, "PUT", vault, NAME, READER, m.principal_id, ""), 409);
    EXPECT_STR(error_code(&r), "RoleAssignmentUpdateNotPermitted");
    EXPECT_EQ(assign(&r, "PUT", vault, NAME, CRYPTO_USER, other.principal_id, ""), 409);
    EXPECT_EQ(assign(&r, "PUT", group, NAME, CRYPTO_USER, m.principal_id, ""), 409);
    EXPECT_EQ(assign(&r, "PUT", vault, "0b000000-0000-4000-8000-00000000000b", CRYPTO_USER,
                     m.principal_id, ""),
              409);
    EXPECT_STR(error_code(&r), "RoleAssignmentExists");
    REQUIRE(!may(other.principal_id, WRAP, true, vault));
    stop();
}

TEST(rbac, what_is_wrong_with_an_assignment_is_said)
{
    start("wrong");
    CLEANUP_REPLY struct reply r = {0};
    const char *nobody = "0c000000-0000-4000-8000-00000000000c";
    EXPECT_EQ(assign(&r, "PUT", vault, "not-a-guid", CRYPTO_USER, nobody, ""), 400);
    EXPECT_STR(error_code(&r), "InvalidRoleAssignmentId");
    EXPECT_EQ(assign(&r, "PUT", vault, NAME, nobody, w.founder.object_id, ""), 400);
    EXPECT_STR(error_code(&r), "RoleDefinitionDoesNotExist");
    EXPECT_EQ(assign(&r, "PUT", vault, NAME, CRYPTO_USER, nobody, ""), 400);
    EXPECT_STR(error_code(&r), "PrincipalNotFound");
    EXPECT_EQ(assign(&r, "PUT", vault, NAME, CRYPTO_USER, "x", ""), 400);
    EXPECT_STR(error_code(&r), "InvalidPrincipalId");
    EXPECT_EQ(
        assign(&r, "PUT", vault, NAME, CRYPTO_USER, w.founder.object_id, ",\"condition\":\"@x\""),
        400);
    EXPECT_STR(error_code(&r), "ConditionNotSupported");
    EXPECT_EQ(assign(&r, "PUT", vault, NAME, CRYPTO_USER, w.founder.object_id, ","), 400);
    EXPECT_STR(error_code(&r), "InvalidRequestContent");
    EXPECT_EQ(assign(&r, "PUT", "/subscriptions/0c000000-0000-4000-8000-00000000000c", NAME,
                     CRYPTO_USER, nobody, ""),
              404);
    EXPECT_STR(error_code(&r), "SubscriptionNotFound");
    EXPECT_EQ(assign(&r, "PUT", vault, "", CRYPTO_USER, nobody, ""), 405);
    /* One of another directory, whose type the caller vouches for. */
    EXPECT_EQ(assign(&r, "PUT", vault, NAME, CRYPTO_USER, nobody, ",\"principalType\":\"User\""),
              201);
    char *path = str_fmt("%s/providers/Microsoft.Authorization/roleAssignments", vault);
    EXPECT_EQ(ask(&w, &r, (struct ask){.method = "GET", .path = path, .bearer = bearer}), 400);
    EXPECT_STR(error_code(&r), "MissingApiVersionParameter");
    EXPECT_EQ(
        ask(&w, &r,
            (struct ask){
                .method = "GET", .path = path, .query = "api-version=latest", .bearer = bearer}),
        400);
    EXPECT_EQ(ask(&w, &r,
                  (struct ask){.method = "GET",
                               .path = path,
                               .query = "api-version=2031-01-01-preview",
                               .bearer = bearer}),
              200);
    free(path);
    stop();
}

TEST(rbac, without_a_good_token_nothing_is_answered)
{
    start("unauthenticated");
    CLEANUP_REPLY struct reply r = {0};
    char *path = str_fmt("%s/providers/Microsoft.Authorization/roleAssignments", subscription);
    char *vault_token = founder_token(&w, w.founder.client_secret, "https://vault.azure.net");
    struct ask q = {.method = "GET", .path = path, .query = VERSION};
    EXPECT_EQ(ask(&w, &r, q), 401);
    EXPECT_STR(error_code(&r), "AuthenticationFailed");
    static const char *const bad[] = {"", "x", "a.b.c", "eyJhbGciOiJub25lIn0.e30."};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        q.bearer = bad[i];
        EXPECT_EQ(ask(&w, &r, q), 401);
        EXPECT_STR(error_code(&r), "InvalidAuthenticationToken");
    }
    q.bearer = vault_token;
    EXPECT_EQ(ask(&w, &r, q), 401);
    q.bearer = bearer;
    EXPECT_EQ(ask(&w, &r, q), 200);
    free(vault_token);
    free(path);
    stop();
}

/* keyd's channel gives a managed identity's token; with it the identity speaks for itself. */
TEST(rbac, who_has_no_right_cannot_grant_one)
{
    struct diag d = DIAG_INIT;
    start("escalate");
    CLEANUP_REPLY struct reply r = {0};
    CLEANUP_BUF struct buf token = {0};
    struct managed_identity m;
    int64_t until = 0;
    make_identity(&m, "c1");
    REQUIRE_OK(identity_token(w.clients[IDENTITY_PEER_KEYD], m.principal_id, ENDPOINT, &token,
                              &until, &d));
    char *founders = bearer;
    bearer = buf_cstr(&token);
    EXPECT_EQ(assign(&r, "PUT", vault, NAME, CRYPTO_USER, m.principal_id, ""), 403);
    EXPECT_STR(error_code(&r), "AuthorizationFailed");
    REQUIRE(strstr(buf_cstr(&r.res.body), m.client_id) != NULL);
    EXPECT_EQ(assign(&r, "GET", vault, "", "", "", ""), 403);

    bearer = founders;
    EXPECT_EQ(
        assign(&r, "PUT", vault, NAME, "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9", m.principal_id, ""),
        201);
    bearer = buf_cstr(&token);
    EXPECT_EQ(assign(&r, "PUT", vault, "0b000000-0000-4000-8000-00000000000b", CRYPTO_USER,
                     m.principal_id, ""),
              201);
    EXPECT_EQ(assign(&r, "PUT", group, "0d000000-0000-4000-8000-00000000000d", CRYPTO_USER,
                     m.principal_id, ""),
              403);
    bearer = founders;
    stop();
}

static int count(const char *scope, const char *query)
{
    CLEANUP_REPLY struct reply r = {0};
    char *path = str_fmt("%s/providers/Microsoft.Authorization/roleAssignments", scope);
    int status =
        ask(&w, &r, (struct ask){.method = "GET", .path = path, .query = query, .bearer = bearer});
    free(path);
    return status == 200 ? (int)json_array_size(json_get(r.json, "value")) : -status;
}

TEST(rbac, a_list_shows_what_lies_above_and_below_and_filters)
{
    start("list");
    CLEANUP_REPLY struct reply r = {0};
    struct managed_identity m;
    make_identity(&m, "c1");
    EXPECT_EQ(assign(&r, "PUT", vault, NAME, CRYPTO_USER, m.principal_id, ""), 201);
    char query[256], other[300];
    EXPECT_EQ(count(subscription, VERSION), 4); /* three of the founder's */
    EXPECT_EQ(count(vault, VERSION), 4);
    EXPECT_EQ(count(group, VERSION "&$filter=atScope()"), 3);
    EXPECT_EQ(count(vault, VERSION "&$filter=atScope()"), 4);
    snprintf(other, sizeof other, "%s/providers/Microsoft.KeyVault/vaults/kv2", group);
    EXPECT_EQ(count(other, VERSION), 3);
    snprintf(query, sizeof query, VERSION "&%%24filter=principalId+eq+'%s'", m.principal_id);
    EXPECT_EQ(count(subscription, query), 1);
    snprintf(query, sizeof query, VERSION "&$filter=atScope()+and+assignedTo('%s')",
             m.principal_id);
    EXPECT_EQ(count(subscription, query), 0);
    EXPECT_EQ(count(vault, query), 1);
    EXPECT_EQ(count(vault, VERSION "&$filter=createdOn+gt+2020"), -400);
    stop();
}

/* More than a page holds; in one transaction, so that the disk is asked once. */
static void assign_many(unsigned n)
{
    struct diag d = DIAG_INIT;
    CLEANUP_KVSTORE_TXN struct kvstore_txn t = {0};
    REQUIRE_OK(kvstore_begin(w.id->store, &t, &d));
    for (unsigned i = 0; i < n; i++) {
        struct assignment a = {.role_id = CRYPTO_USER, .principal_type = "ServicePrincipal"};
        bool created = false;
        snprintf(a.name, sizeof a.name, "%08x-0000-4000-8000-000000000001", i * 2654435761u);
        snprintf(a.principal_id, sizeof a.principal_id, "%08x-0000-4000-8000-000000000002", i);
        REQUIRE_OK(scope_canonical(vault, a.scope, &d));
        REQUIRE_OK(assignment_put(w.id, &a, &a, &created, &d));
    }
    REQUIRE_OK(kvstore_commit(&t, &d));
}

TEST(rbac, the_pages_of_a_list_follow_one_another_and_miss_nothing)
{
    start("pages");
    assign_many(1203);
    CLEANUP_JSON json_t *seen = json_object();
    char *path = str_fmt("%s/providers/Microsoft.Authorization/roleAssignments", vault);
    char *query = str_dup(VERSION "&$filter=atScope()");
    unsigned pages = 0, items = 0;
    while (query != NULL) {
        CLEANUP_REPLY struct reply r = {0};
        struct ask q = {.method = "GET", .path = path, .query = query, .bearer = bearer};
        REQUIRE(ask(&w, &r, q) == 200);
        size_t i;
        json_t *a;
        json_array_foreach (json_get(r.json, "value"), i, a) {
            json_object_set_new(seen, json_get_str(a, "name"), json_true());
            items++;
        }
        pages++;
        free(query);
        const char *next = json_get_str(r.json, "nextLink");
        if (next != NULL) REQUIRE(str_starts(next, ENDPOINT "/subscriptions/"));
        query = next != NULL ? str_dup(strchr(next, '?') + 1) : NULL;
    }
    EXPECT_EQ(pages, 3);
    EXPECT_EQ(items, 1203 + 3); /* three of the founder's */
    EXPECT_EQ(json_object_size(seen), items);
    EXPECT_EQ(count(vault, VERSION "&$skipToken=x"), -400);
    free(path);
    stop();
}

TEST(rbac, role_definitions_are_found_by_name_and_by_id)
{
    start("definitions");
    CLEANUP_REPLY struct reply r = {0};
    char *path = str_fmt("%s/providers/Microsoft.Authorization/roleDefinitions", subscription);
    struct ask q = {.method = "GET",
                    .path = path,
                    .bearer = bearer,
                    .query = "api-version=2018-01-01-preview&$filter=roleName+eq+'Key+Vault+Crypto+"
                             "Service+Encryption+User'"};
    EXPECT_EQ(ask(&w, &r, q), 200);
    const json_t *one = json_array_get(json_get(r.json, "value"), 0);
    EXPECT_STR(json_get_str(one, "name"), CRYPTO_USER);
    const json_t *allowed = json_array_get(json_at(one, "properties", "permissions", NULL), 0);
    EXPECT_EQ(json_array_size(json_get(allowed, "dataActions")), 3);
    q.query = VERSION;
    EXPECT_EQ(ask(&w, &r, q), 200);
    EXPECT_EQ(json_array_size(json_get(r.json, "value")), n_builtin_roles);
    q.query = VERSION "&$filter=type+eq+'CustomRole'";
    EXPECT_EQ(ask(&w, &r, q), 200);
    EXPECT_EQ(json_array_size(json_get(r.json, "value")), 0);
    free(path);
    q.path = path = str_fmt("%s/providers/Microsoft.Authorization/roleDefinitions/%s", subscription,
                            ROLE_OWNER);
    q.query = VERSION;
    EXPECT_EQ(ask(&w, &r, q), 200);
    EXPECT_STR(json_get_str(json_get(r.json, "properties"), "roleName"), "Owner");
    q.method = "PUT";
    EXPECT_EQ(ask(&w, &r, q), 403);
    free(path);
    q.method = "GET";
    q.path = path = str_fmt("%s/providers/Microsoft.Authorization/roleDefinitions/x", subscription);
    EXPECT_EQ(ask(&w, &r, q), 404);
    free(path);
    stop();
}
