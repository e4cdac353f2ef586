/* SPDX-License-Identifier: Apache-2.0 */
#include "api/front.h"

#include "test.h"

TEST(paths, vault_paths_are_told_from_the_namespace_itself)
{
    REQUIRE(is_vault_path(
        "/subscriptions/s/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/kv1"));
    REQUIRE(is_vault_path("/subscriptions/s/PROVIDERS/microsoft.keyvault/deletedVaults"));
    REQUIRE(is_vault_path("/subscriptions/s/providers/Microsoft.KeyVault/checkNameAvailability"));
    REQUIRE(!is_vault_path("/subscriptions/s/providers/Microsoft.KeyVault"));
    REQUIRE(!is_vault_path("/subscriptions/s/providers/Microsoft.KeyVault/"));
    REQUIRE(!is_vault_path("/subscriptions/s/providers/Microsoft.KeyVault/register"));
    REQUIRE(!is_vault_path("/subscriptions/s/resourceGroups/rg/providers/Microsoft.KeyVaults/x"));
    REQUIRE(!is_vault_path("/"));
}

TEST(paths, a_query_on_a_resource_is_told_from_the_resource)
{
    REQUIRE(
        is_arm_query_path("/subscriptions/s/resourceGroups/rg/providers/N.S/workspaces/w/query"));
    REQUIRE(is_arm_query_path(
        "/subscriptions/s/resourceGroups/rg/providers/N.S/workspaces/w/api/query/"));
    REQUIRE(
        !is_arm_query_path("/subscriptions/s/resourceGroups/rg/providers/N.S/workspaces/query1"));
    REQUIRE(!is_arm_query_path("/v1/workspaces/w/query"));
}
