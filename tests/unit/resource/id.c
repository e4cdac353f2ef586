/* SPDX-License-Identifier: Apache-2.0 */
#include "resource/id.h"

#include "test.h"

#define SUB "/subscriptions/00000000-0000-0000-0000-0000000000aa"

static struct arena a;

static struct arm_id parse(const char *path)
{
    struct diag d = DIAG_INIT;
    struct arm_id id;
    REQUIRE_OK(arm_id_parse(&a, path, &id, &d));
    return id;
}

/* Found by fuzzing: "/register" was read as a type, and written as an action. */
TEST(id, a_path_begins_with_a_subscription_a_tenant_or_a_provider)
{
    struct arm_id id;
    struct diag d = DIAG_INIT;
    arena_init(&a, 0);
    REQUIRE_ERR(ERR_INVALID, arm_id_parse(&a, "/register", &id, &d));
    REQUIRE_ERR(ERR_INVALID, arm_id_parse(&a, "/x/y", &id, &d));
    REQUIRE_OK(arm_id_parse(&a, "/tenants", &id, &d));
    REQUIRE_OK(arm_id_parse(&a, "/providers/Microsoft.X/things/t", &id, &d));
    arena_release(&a);
}

TEST(id, a_path_is_written_in_one_form_however_it_was_sent)
{
    arena_init(&a, 0);
    struct arm_id id = parse("/SUBSCRIPTIONS/S1/resourcegroups/My-RG/PROVIDERS/"
                             "microsoft.operationalinsights/Clusters/C1/");
    EXPECT_STR(arm_id_format(&a, &id, "Microsoft.OperationalInsights/clusters"),
               "/subscriptions/S1/resourceGroups/My-RG/providers/Microsoft.OperationalInsights/"
               "clusters/C1");
    EXPECT_STR(arm_id_key(&a, &id), "/subscriptions/s1/resourcegroups/my-rg/providers/"
                                    "microsoft.operationalinsights/clusters/c1");
    EXPECT_STR(arm_id_name(&id), "C1");
    arena_release(&a);
}

TEST(id, a_path_that_ends_in_a_type_is_a_collection)
{
    arena_init(&a, 0);
    struct arm_id id = parse(SUB "/resourceGroups/rg/providers/N.S/workspaces/w/tables");
    REQUIRE(arm_id_is_collection(&id));
    EXPECT_STR(id.type, "N.S/workspaces/tables");
    const struct arm_id *parent = arm_id_parent(&a, &id);
    REQUIRE(parent != NULL && !arm_id_is_collection(parent));
    EXPECT_STR(arm_id_key(&a, parent), SUB "/resourcegroups/rg/providers/n.s/workspaces/w");
    REQUIRE(arm_id_parent(&a, parent) == NULL);
    arena_release(&a);
}

TEST(id, subscriptions_groups_and_tenants_are_types_too)
{
    static const struct {
        const char *path, *type, *name;
    } cases[] = {
        {"/subscriptions", "Microsoft.Resources/subscriptions", NULL},
        {"/subscriptions/s", "Microsoft.Resources/subscriptions", "s"},
        {"/tenants", "Microsoft.Resources/tenants", NULL},
        {"/subscriptions/s/resourceGroups", "Microsoft.Resources/subscriptions/resourceGroups",
         NULL},
        {"/subscriptions/s/resourceGroups/rg", "Microsoft.Resources/subscriptions/resourceGroups",
         "rg"},
        {"/subscriptions/s/resourceGroups/rg/resources",
         "Microsoft.Resources/subscriptions/resourceGroups/resources", NULL},
        {"/subscriptions/s/providers/N.S", "Microsoft.Resources/subscriptions/providers", "N.S"},
        {"/subscriptions/s/providers/N.S/register",
         "Microsoft.Resources/subscriptions/providers/register", NULL},
        {"/subscriptions/s/providers/N.S/clusters", "N.S/clusters", NULL},
        {"/subscriptions/s/providers/N.S/locations/l/operationStatuses/o",
         "N.S/locations/operationStatuses", "o"},
    };
    arena_init(&a, 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct arm_id id = parse(cases[i].path);
        EXPECT_STR(id.type, cases[i].type);
        if (cases[i].name == NULL) {
            REQUIRE(arm_id_name(&id) == NULL);
        } else {
            EXPECT_STR(arm_id_name(&id), cases[i].name);
        }
        EXPECT_STR(arm_id_format(&a, &id, NULL), cases[i].path);
    }
    arena_release(&a);
}

TEST(id, an_extension_resource_keeps_the_resource_it_extends)
{
    arena_init(&a, 0);
    struct arm_id id =
        parse(SUB "/resourceGroups/rg/providers/N.S/workspaces/w/providers/O.T/states/default");
    EXPECT_STR(id.type, "O.T/states");
    EXPECT_STR(id.scope, SUB "/resourceGroups/rg/providers/N.S/workspaces/w");
    EXPECT_STR(arm_id_format(&a, &id, NULL),
               SUB "/resourceGroups/rg/providers/N.S/workspaces/w/providers/O.T/states/default");
    arena_release(&a);
}

TEST(id, a_malformed_path_is_refused)
{
    static const char *const paths[] = {"",
                                        "/",
                                        "x",
                                        "//",
                                        "/subscriptions//resourceGroups",
                                        "/a/\x01",
                                        "/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t/u/v/w/x/y/z"};
    struct diag d = DIAG_INIT;
    struct arm_id id;
    arena_init(&a, 0);
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        diag_reset(&d);
        REQUIRE(arm_id_parse(&a, paths[i], &id, &d) != OK);
    }
    char longer[ARM_ID_TEXT_MAX + 8];
    memset(longer, 'x', sizeof longer - 1);
    longer[0] = '/';
    longer[sizeof longer - 1] = '\0';
    REQUIRE_ERR(ERR_LIMIT, arm_id_parse(&a, longer, &id, &d));
    arena_release(&a);
}

TEST(id, names_of_clusters_have_four_to_sixty_three_letters_digits_and_inner_dashes)
{
    REQUIRE(arm_name_valid("abcd", 4, 63));
    REQUIRE(arm_name_valid("a-1B", 4, 63));
    REQUIRE(!arm_name_valid("abc", 4, 63));
    REQUIRE(!arm_name_valid("-abc", 4, 63));
    REQUIRE(!arm_name_valid("abc-", 4, 63));
    REQUIRE(!arm_name_valid("ab_cd", 4, 63));
    REQUIRE(!arm_name_valid("", 4, 63));
    REQUIRE(
        !arm_name_valid("0123456789012345678901234567890123456789012345678901234567890123", 4, 63));
}
