/* SPDX-License-Identifier: Apache-2.0 */
/* resource/types.c - the table of resource types: a new type is one file and one row */
#include "resource/plane.h"

#define INSIGHTS_VERSIONS \
    "2020-08-01, 2020-10-01, 2021-06-01, 2022-10-01, 2023-09-01, 2025-02-01, 2025-07-01"
#define RESOURCES_VERSIONS "2021-04-01, 2020-10-01, 2019-10-01, 2018-05-01, 2016-06-01, 2015-01-01"

static const struct arm_type types[] = {
    {.type = "Microsoft.OperationalInsights/clusters",
     .version_min = "2019-08-01-preview",
     .versions = INSIGHTS_VERSIONS ", 2019-08-01-preview, 2020-03-01-preview",
     .kind = KIND_CLUSTER,
     .list = cluster_list,
     .get = cluster_get,
     .put = cluster_put,
     .patch = cluster_patch,
     .remove = cluster_remove,
     .actions = cluster_actions},
    {.type = "Microsoft.OperationalInsights/clusters/operationresults",
     .version_min = "2015-01-01",
     .versions = INSIGHTS_VERSIONS,
     .get = result_get,
     .checks_parent = true},
    {.type = "Microsoft.OperationalInsights/locations/operationStatuses",
     .version_min = "2015-01-01",
     .versions = INSIGHTS_VERSIONS,
     .get = status_get},
    {.type = "Microsoft.OperationalInsights/workspaces",
     .version_min = "2015-03-20",
     .versions = INSIGHTS_VERSIONS ", 2015-03-20, 2015-11-01-preview, 2021-12-01-preview",
     .kind = KIND_WORKSPACE,
     .list = workspace_list,
     .get = workspace_get,
     .put = workspace_put,
     .patch = workspace_patch,
     .remove = workspace_remove},
    {.type = "Microsoft.OperationalInsights/deletedWorkspaces",
     .version_min = "2020-03-01-preview",
     .versions = INSIGHTS_VERSIONS,
     .list = deleted_workspace_list},
    {.type = "Microsoft.OperationalInsights/workspaces/linkedServices",
     .version_min = "2015-11-01-preview",
     .versions = INSIGHTS_VERSIONS ", 2019-08-01-preview, 2020-03-01-preview",
     .kind = KIND_LINK,
     .list = link_list,
     .get = link_get,
     .put = link_put,
     .remove = link_remove,
     .checks_parent = true},
    {.type = "Microsoft.OperationalInsights/workspaces/tables",
     .version_min = "2017-04-26-preview",
     .versions = INSIGHTS_VERSIONS ", 2021-12-01-preview",
     .kind = KIND_TABLE,
     .list = table_list,
     .get = table_get,
     .put = table_put,
     .patch = table_patch},
    {.type = "Microsoft.Insights/dataCollectionRules",
     .version_min = "2019-11-01-preview",
     .versions = "2021-04-01, 2022-06-01, 2023-03-11",
     .kind = KIND_RULE,
     .list = rule_list,
     .get = rule_get},
    {.type = "Microsoft.Resources/tenants",
     .version_min = "2014-04-01",
     .versions = RESOURCES_VERSIONS,
     .list = tenant_list,
     .is_open = true},
    {.type = "Microsoft.Resources/subscriptions",
     .version_min = "2014-04-01",
     .versions = RESOURCES_VERSIONS,
     .list = subscription_list,
     .get = subscription_get,
     .is_open = true},
    {.type = "Microsoft.Resources/subscriptions/locations",
     .version_min = "2014-04-01",
     .versions = RESOURCES_VERSIONS,
     .list = location_list},
    {.type = "Microsoft.Resources/subscriptions/resources",
     .version_min = "2014-04-01",
     .versions = RESOURCES_VERSIONS,
     .list = resource_list},
    {.type = "Microsoft.Resources/subscriptions/resourceGroups",
     .version_min = "2014-04-01",
     .versions = RESOURCES_VERSIONS,
     .kind = KIND_GROUP,
     .list = group_list,
     .get = group_get,
     .put = group_put,
     .patch = group_patch,
     .remove = group_remove,
     .head = group_head},
    {.type = "Microsoft.Resources/subscriptions/resourceGroups/resources",
     .version_min = "2014-04-01",
     .versions = RESOURCES_VERSIONS,
     .list = resource_list},
    {.type = "Microsoft.Resources/subscriptions/providers",
     .version_min = "2014-04-01",
     .versions = RESOURCES_VERSIONS,
     .list = provider_list,
     .get = provider_get,
     .actions = provider_actions},
};

const struct arm_type *arm_type_at(uint32_t i)
{
    return i < sizeof types / sizeof types[0] ? &types[i] : NULL;
}

const struct arm_type *arm_type_find(const char *type)
{
    for (uint32_t i = 0; arm_type_at(i) != NULL; i++) {
        if (str_eq_nocase(types[i].type, type)) return &types[i];
    }
    return NULL;
}
