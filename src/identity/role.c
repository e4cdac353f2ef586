/* SPDX-License-Identifier: Apache-2.0 */
/* identity/role.c - built-in roles, with the ids and rights they have in Azure */
#include "identity/role.h"

#include "base/str.h"

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

/* What most key vault roles may read of the control plane. */
static const char *const vault_control_read[] = {
    "Microsoft.Authorization/*/read",
    "Microsoft.Insights/alertRules/*",
    "Microsoft.Resources/deployments/*",
    "Microsoft.Resources/subscriptions/resourceGroups/read",
    "Microsoft.Support/*",
    "Microsoft.KeyVault/checkNameAvailability/read",
    "Microsoft.KeyVault/deletedVaults/read",
    "Microsoft.KeyVault/locations/*/read",
    "Microsoft.KeyVault/vaults/*/read",
    "Microsoft.KeyVault/operations/read",
    NULL,
};

const struct role builtin_roles[] = {
    {
        .id = ROLE_OWNER,
        .name = "Owner",
        .description = "Manages everything, including who may do what. No right on data.",
        .actions = LIST("*"),
    },
    {
        .id = "b24988ac-6180-42a0-ab88-20f7382dd24c",
        .name = "Contributor",
        .description = "Manages everything but who may do what. No right on data.",
        .actions = LIST("*"),
        .not_actions =
            LIST("Microsoft.Authorization/*/Delete", "Microsoft.Authorization/*/Write",
                 "Microsoft.Authorization/elevateAccess/Action",
                 "Microsoft.Blueprint/blueprintAssignments/write",
                 "Microsoft.Blueprint/blueprintAssignments/delete",
                 "Microsoft.Compute/galleries/share/action", "Microsoft.Purview/consents/write",
                 "Microsoft.Purview/consents/delete"),
    },
    {
        .id = "acdd72a7-3385-48ef-bd42-f606fba81ae7",
        .name = "Reader",
        .description = "Reads everything but data, changes nothing.",
        .actions = LIST("*/read"),
    },
    {
        .id = "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9",
        .name = "User Access Administrator",
        .description = "Manages who may do what.",
        .actions = LIST("*/read", "Microsoft.Authorization/*", "Microsoft.Support/*"),
    },
    {
        .id = "4dae6930-7baf-46f5-909e-0383bc931c46",
        .name = "Azure Customer Lockbox Approver for Subscription",
        .description = "Decides on requests of operators who want to see a customer's data.",
        .actions = LIST("Microsoft.CustomerLockbox/requests/read",
                        "Microsoft.CustomerLockbox/requests/updateApproval/action"),
        /* A data action: whoever manages everything (Contributor) does not decide. */
        .data_actions = LIST("Microsoft.Keystead/lockbox/requests/approve/action"),
    },
    {
        .id = "e147488a-f6f5-4113-8e2d-b22465e65bf6",
        .name = "Key Vault Crypto Service Encryption User",
        .description =
            "Reads keys, wraps and unwraps with them: what a service needs that encrypts for you.",
        .actions = LIST("Microsoft.EventGrid/eventSubscriptions/write",
                        "Microsoft.EventGrid/eventSubscriptions/read",
                        "Microsoft.EventGrid/eventSubscriptions/delete"),
        .data_actions = LIST("Microsoft.KeyVault/vaults/keys/read",
                             "Microsoft.KeyVault/vaults/keys/wrap/action",
                             "Microsoft.KeyVault/vaults/keys/unwrap/action"),
    },
    {
        .id = "12338af0-0e69-4776-bea7-57ae8d297424",
        .name = "Key Vault Crypto User",
        .description = "Uses keys for every cryptographic operation.",
        .data_actions = LIST("Microsoft.KeyVault/vaults/keys/read",
                             "Microsoft.KeyVault/vaults/keys/update/action",
                             "Microsoft.KeyVault/vaults/keys/backup/action",
                             "Microsoft.KeyVault/vaults/keys/encrypt/action",
                             "Microsoft.KeyVault/vaults/keys/decrypt/action",
                             "Microsoft.KeyVault/vaults/keys/wrap/action",
                             "Microsoft.KeyVault/vaults/keys/unwrap/action",
                             "Microsoft.KeyVault/vaults/keys/sign/action",
                             "Microsoft.KeyVault/vaults/keys/verify/action"),
    },
    {
        .id = "14b46e9e-c2b7-41b4-b07b-48a6ebf60603",
        .name = "Key Vault Crypto Officer",
        .description = "Does everything with the keys of a vault but grant rights on them.",
        .actions = vault_control_read,
        .data_actions = LIST("Microsoft.KeyVault/vaults/keys/*",
                             "Microsoft.KeyVault/vaults/keyrotationpolicies/*"),
    },
    {
        .id = "00482a5a-887f-4fb3-b363-3b7fe8e74483",
        .name = "Key Vault Administrator",
        .description = "Does everything with keys, secrets and certificates of a vault.",
        .actions = vault_control_read,
        .data_actions = LIST("Microsoft.KeyVault/vaults/*"),
    },
    {
        .id = "21090545-7ca7-4776-b22c-e363652d74d2",
        .name = "Key Vault Reader",
        .description = "Reads what a vault says about its objects, never their secret parts.",
        .actions = vault_control_read,
        .data_actions = LIST("Microsoft.KeyVault/vaults/*/read",
                             "Microsoft.KeyVault/vaults/secrets/readMetadata/action"),
    },
    {
        .id = "a68e7c17-0ab2-4c09-9a58-125dae29748c",
        .name = "Key Vault Purge Operator",
        .description = "Deletes soft-deleted vaults for good.",
        .actions = LIST("Microsoft.KeyVault/locations/deletedVaults/read",
                        "Microsoft.KeyVault/locations/deletedVaults/purge/action",
                        "Microsoft.KeyVault/deletedVaults/read", "Microsoft.Support/*"),
    },
    {
        .id = "f25e0fa2-a7c8-4377-a976-54943a77a395",
        .name = "Key Vault Contributor",
        .description = "Manages vaults, without a right on what is in them.",
        .actions =
            LIST("Microsoft.Authorization/*/read", "Microsoft.Insights/alertRules/*",
                 "Microsoft.KeyVault/*", "Microsoft.Resources/deployments/*",
                 "Microsoft.Resources/subscriptions/resourceGroups/read", "Microsoft.Support/*"),
        .not_actions = LIST("Microsoft.KeyVault/locations/deletedVaults/purge/action",
                            "Microsoft.KeyVault/hsmPools/*", "Microsoft.KeyVault/managedHsms/*"),
    },
    {
        .id = "f1a07417-d97a-45cb-824c-7a7467783830",
        .name = "Managed Identity Operator",
        .description = "Reads user-assigned identities and gives them to resources.",
        .actions =
            LIST("Microsoft.ManagedIdentity/userAssignedIdentities/*/read",
                 "Microsoft.ManagedIdentity/userAssignedIdentities/*/assign/action",
                 "Microsoft.ManagedIdentity/userAssignedIdentities/read",
                 "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action",
                 "Microsoft.Authorization/*/read",
                 "Microsoft.Resources/subscriptions/resourceGroups/read", "Microsoft.Support/*"),
    },
    {
        .id = "92aaf0da-9dab-42b6-94a3-d43ce8d16293",
        .name = "Log Analytics Contributor",
        .description = "Manages workspaces and clusters, reads all logs.",
        .actions =
            LIST("*/read", "Microsoft.Insights/alertRules/*",
                 "Microsoft.Insights/diagnosticSettings/*", "Microsoft.OperationalInsights/*",
                 "Microsoft.OperationsManagement/*", "Microsoft.Resources/deployments/*",
                 "Microsoft.Resources/subscriptions/resourcegroups/deployments/*",
                 "Microsoft.Storage/storageAccounts/listKeys/action", "Microsoft.Support/*"),
    },
    {
        .id = "73c42c96-874c-492b-b04d-ab87d138a893",
        .name = "Log Analytics Reader",
        .description = "Reads all logs and the settings of monitoring, but no shared keys.",
        .actions =
            LIST("*/read", "Microsoft.OperationalInsights/workspaces/analytics/query/action",
                 "Microsoft.OperationalInsights/workspaces/search/action", "Microsoft.Support/*"),
        .not_actions = LIST("Microsoft.OperationalInsights/workspaces/sharedKeys/read"),
    },
    {
        .id = ROLE_LOG_DATA_READER,
        .name = "Log Analytics Data Reader",
        .description = "Reads logs, nothing else.",
        .actions = LIST("Microsoft.OperationalInsights/workspaces/read",
                        "Microsoft.OperationalInsights/workspaces/query/read"),
        .data_actions = LIST("Microsoft.OperationalInsights/workspaces/tables/data/read"),
    },
    {
        .id = ROLE_METRICS_PUBLISHER,
        .name = "Monitoring Metrics Publisher",
        .description = "Sends logs and metrics.",
        .actions = LIST("Microsoft.Insights/Register/Action", "Microsoft.Support/*",
                        "Microsoft.Resources/subscriptions/resourceGroups/read"),
        .data_actions =
            LIST("Microsoft.Insights/Metrics/Write", "Microsoft.Insights/Telemetry/Write"),
    },
};
const size_t n_builtin_roles = sizeof builtin_roles / sizeof *builtin_roles;

const struct role *role_find(const char *id)
{
    for (size_t i = 0; i < n_builtin_roles; i++) {
        if (str_eq_nocase(builtin_roles[i].id, id)) return &builtin_roles[i];
    }
    return NULL;
}

static bool same_letter(char a, char b)
{
    if (a >= 'A' && a <= 'Z') a = (char)(a - 'A' + 'a');
    if (b >= 'A' && b <= 'Z') b = (char)(b - 'A' + 'a');
    return a == b;
}

/* Goes back only to the last star: linear in the pattern times the text. */
bool action_matches(const char *pattern, const char *action)
{
    const char *star = NULL, *from = NULL;
    while (*action != 0) {
        if (*pattern == '*') {
            star = pattern++;
            from = action;
        } else if (*pattern != 0 && same_letter(*pattern, *action)) {
            pattern++;
            action++;
        } else if (star != NULL) {
            pattern = star + 1;
            action = ++from;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == 0;
}

static bool any_matches(const char *const *patterns, const char *action)
{
    for (; patterns != NULL && *patterns != NULL; patterns++) {
        if (action_matches(*patterns, action)) return true;
    }
    return false;
}

bool role_allows(const struct role *r, const char *action, bool is_data)
{
    if (strchr(action, '*') != NULL) return false; /* a pattern is not an action */
    if (is_data) {
        return any_matches(r->data_actions, action) && !any_matches(r->not_data_actions, action);
    }
    return any_matches(r->actions, action) && !any_matches(r->not_actions, action);
}
