# SPDX-License-Identifier: Apache-2.0
"""tests/clients/around.py - what stands around a workspace, through the Python SDKs; test_python.py starts a server with
workspace1 and runs it.

usage: around.py DIR/credentials.json    (REQUESTS_CA_BUNDLE names the server's CA)
"""
import datetime
import json
import sys
import uuid

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.identity import ClientSecretCredential
from azure.mgmt.applicationinsights import ApplicationInsightsManagementClient
from azure.mgmt.authorization import AuthorizationManagementClient
from azure.mgmt.loganalytics import LogAnalyticsManagementClient
from azure.mgmt.monitor import MonitorManagementClient
from azure.mgmt.msi import ManagedServiceIdentityClient
from azure.mgmt.securityinsight import SecurityInsights

from said import fails, ok

with open(sys.argv[1]) as f:
    c = json.load(f)
BASE, GROUP, LOCATION = c["endpoint"], "rg", "westeurope"
credential = ClientSecretCredential(c["tenantId"], c["clientId"], c["clientSecret"], authority=BASE, instance_discovery=False,
                                    disable_instance_discovery=True)


def client(kind, **more):
    return kind(credential, c["subscriptionId"], base_url=BASE, credential_scopes=[BASE + "/.default"], **more)


workspace = client(LogAnalyticsManagementClient).workspaces.get(GROUP, "workspace1")

monitor = client(MonitorManagementClient)
dce = monitor.data_collection_endpoints.create(GROUP, "around-dce", {"location": LOCATION})
assert dce.logs_ingestion.endpoint == BASE
rule = monitor.data_collection_rules.create(GROUP, "around-dcr", {"location": LOCATION, "destinations": {
    "log_analytics": [{"workspace_resource_id": workspace.id, "name": "here"}]}})
assert rule.immutable_id.startswith("dcr-") and rule.destinations.log_analytics[0].workspace_resource_id == workspace.id
assert "around-dcr" in [x.name for x in monitor.data_collection_rules.list_by_resource_group(GROUP)]
assert monitor.data_collection_rules.update(GROUP, "around-dcr", {"tags": {"a": "b"}}).tags == {"a": "b"}
monitor.data_collection_rules.delete(GROUP, "around-dcr")
monitor.data_collection_endpoints.delete(GROUP, "around-dce")
fails(ResourceNotFoundError, lambda: monitor.data_collection_rules.get(GROUP, "around-dcr"))
ok("mgmt-monitor makes a collection endpoint and a rule, and removes them")

vault = workspace.id.split("/providers/")[0] + "/providers/Microsoft.KeyVault/vaults/kv1"
made = monitor.diagnostic_settings.create_or_update(vault, "around-audit", {
    "workspace_id": workspace.id, "logs": [{"category": "AuditEvent", "enabled": True}]})
assert made.workspace_id == workspace.id
listed = monitor.diagnostic_settings.list(vault)
assert "around-audit" in [x.name for x in getattr(listed, "value", listed)]
monitor.diagnostic_settings.delete(vault, "around-audit")
since = (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=1)).isoformat()
events = list(monitor.activity_logs.list(f"eventTimestamp ge '{since}' and resourceGroupName eq '{GROUP}'"))
assert "Microsoft.OperationalInsights/workspaces/write" in [x.operation_name.value for x in events]
ok("mgmt-monitor sends a vault's audit to a workspace, and reads the activity log")

alert = monitor.scheduled_query_rules.create_or_update(GROUP, "around-alert", {
    "location": LOCATION, "enabled": "true", "source": {"query": "Words_CL | count", "data_source_id": workspace.id, "query_type": "ResultCount"},
    "schedule": {"frequency_in_minutes": 5, "time_window_in_minutes": 5}, "action": {
        "odata.type": "Microsoft.WindowsAzure.Management.Monitoring.Alerts.Models.Microsoft.AppInsights.Nexus.DataContracts.Resources."
        "ScheduledQueryRules.AlertingAction", "severity": "3", "trigger": {"threshold_operator": "GreaterThan", "threshold": 1}}})
assert alert.source.query == "Words_CL | count"
monitor.scheduled_query_rules.delete(GROUP, "around-alert")
ok("mgmt-monitor keeps a scheduled query rule")

logs = client(LogAnalyticsManagementClient)
search = logs.saved_searches.create_or_update(GROUP, "workspace1", "around-search", {
    "category": "c", "display_name": "d", "query": "Words_CL | count", "version": 2})
assert logs.saved_searches.get(GROUP, "workspace1", "around-search").query == search.query
logs.saved_searches.delete(GROUP, "workspace1", "around-search")
keys = logs.shared_keys.get_shared_keys(GROUP, "workspace1")
assert logs.shared_keys.regenerate(GROUP, "workspace1").primary_shared_key != keys.primary_shared_key
assert "Word" in [x.name for x in logs.schema.get(GROUP, "workspace1").value]
ok("mgmt-loganalytics keeps a saved search, renews shared keys and shows the schema")

apps = client(ApplicationInsightsManagementClient)
app = apps.components.create_or_update(GROUP, "around-app", {
    "location": LOCATION, "kind": "web", "application_type": "web", "workspace_resource_id": workspace.id})
assert app.workspace_resource_id == workspace.id and app.connection_string.startswith("InstrumentationKey=")
apps.components.delete(GROUP, "around-app")
fails(ResourceNotFoundError, lambda: apps.components.get(GROUP, "around-app"))
ok("mgmt-applicationinsights makes and removes a component on a workspace")

states = client(SecurityInsights).sentinel_onboarding_states
made = states.create(GROUP, "workspace1", "default", {"customer_managed_key": True})
assert made.customer_managed_key and [x.name for x in states.list(GROUP, "workspace1").value] == ["default"]
e = fails(HttpResponseError, lambda: states.create(GROUP, "workspace1", "default", {"customer_managed_key": False}))
assert e.error.code == "OperationNotAllowed"
states.delete(GROUP, "workspace1", "default")
ok("mgmt-securityinsight onboards a workspace with the customer's key")

identities = client(ManagedServiceIdentityClient).user_assigned_identities
someone = identities.create_or_update(GROUP, "around-id", {"location": LOCATION})
roles = client(AuthorizationManagementClient)
reader = next(roles.role_definitions.list(workspace.id, filter="roleName eq 'Reader'"))
name = str(uuid.uuid4())
made = roles.role_assignments.create(workspace.id, name, {
    "role_definition_id": reader.id, "principal_id": someone.principal_id, "principal_type": "ServicePrincipal"})
assert name in [x.name for x in roles.role_assignments.list_for_scope(workspace.id)]
roles.role_assignments.delete(workspace.id, name)
identities.delete(GROUP, "around-id")
ok("mgmt-msi makes an identity, mgmt-authorization gives it a role")
print("done")
