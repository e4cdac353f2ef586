// SPDX-License-Identifier: Apache-2.0
// tests/clients/around.mjs - what stands around a workspace, through the JavaScript SDKs; test_js.py starts a server with
// workspace1 and runs it: collection rules, components, alert rules, Sentinel, roles
//
// usage: node around.mjs DIR/credentials.json    (NODE_EXTRA_CA_CERTS names the server's CA)
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import appInsights from "@azure/arm-appinsights";
import { AuthorizationManagementClient } from "@azure/arm-authorization";
import { MonitorClient } from "@azure/arm-monitor";
import { OperationalInsightsManagementClient } from "@azure/arm-operationalinsights";
import { SecurityInsights } from "@azure/arm-securityinsight";
import { ClientSecretCredential } from "@azure/identity";
import { LogsIngestionClient } from "@azure/monitor-ingestion";
import { LogsQueryClient } from "@azure/monitor-query-logs";

const c = JSON.parse(readFileSync(process.argv[2], "utf8"));
const base = c.endpoint;
const group = "rg";
const location = "westeurope";
const credential = new ClientSecretCredential(c.tenantId, c.clientId, c.clientSecret, {
  authorityHost: base,
  disableInstanceDiscovery: true,
});
const scopes = { endpoint: base, $host: base, credentialScopes: [`${base}/.default`] };
const ok = (sentence) => console.log(`ok - ${sentence}`);

async function names(pages) {
  const all = [];
  for await (const one of pages) all.push(one.name);
  return all;
}

const logs = new OperationalInsightsManagementClient(credential, c.subscriptionId, scopes);
const workspace = await logs.workspaces.get(group, "workspace1");
const monitor = new MonitorClient(credential, c.subscriptionId, scopes);

// The SDK's api-version has no streams of one's own yet: it drops them from the body.
async function declare(rule, dce) {
  const { token } = await credential.getToken(`${base}/.default`);
  const answer = await fetch(`${base}${rule.id}?api-version=2022-06-01`, {
    method: "PUT",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({
      location,
      properties: {
        dataCollectionEndpointId: dce.id,
        streamDeclarations: { "Custom-Raw": { columns: [{ name: "Raw", type: "string" }] } },
        destinations: { logAnalytics: [{ workspaceResourceId: workspace.id, name: "here" }] },
        dataFlows: [{
          streams: ["Custom-Raw"],
          destinations: ["here"],
          transformKql: "source | where Raw != 'no' | project Word = toupper(Raw)",
          outputStream: "Custom-Around_CL",
        }],
      },
    }),
  });
  assert.equal(answer.status, 200, await answer.text());
}

async function rules() {
  await logs.tables.beginCreateOrUpdateAndWait(group, "workspace1", "Around_CL", {
    schema: {
      name: "Around_CL",
      columns: [
        { name: "TimeGenerated", type: "datetime" },
        { name: "Word", type: "string" },
      ],
    },
  }, { updateIntervalInMs: 100 });
  const dce = await monitor.dataCollectionEndpoints.create(group, "around-dce", {
    body: { location, networkAcls: { publicNetworkAccess: "Enabled" } },
  });
  assert.equal(dce.logsIngestion.endpoint, base);
  const made = await monitor.dataCollectionRules.create(group, "around-dcr", {
    body: { location, destinations: { logAnalytics: [{ workspaceResourceId: workspace.id, name: "here" }] } },
  });
  await declare(made, dce);
  const rule = await monitor.dataCollectionRules.get(group, "around-dcr");
  assert.equal(rule.immutableId, made.immutableId);
  assert.equal(rule.dataFlows[0].transformKql, "source | where Raw != 'no' | project Word = toupper(Raw)");
  assert.match(rule.immutableId, /^dcr-[0-9a-f]{32}$/);
  assert.ok((await names(monitor.dataCollectionRules.listByResourceGroup(group))).includes("around-dcr"));
  const tagged = await monitor.dataCollectionRules.update(group, "around-dcr", { body: { tags: { a: "b" } } });
  assert.deepEqual(tagged.tags, { a: "b" });
  ok("arm-monitor makes a collection endpoint and a rule, lists and tags it, and shows its transformation");
  await new LogsIngestionClient(dce.logsIngestion.endpoint, credential).upload(rule.immutableId, "Custom-Raw", [
    { Raw: "yes" },
    { Raw: "no" },
  ]);
  const query = new LogsQueryClient(credential, { endpoint: `${base}/v1` });
  const answer = await query.queryWorkspace(workspace.customerId, "Around_CL | project Word", { duration: "P1D" });
  assert.deepEqual(answer.tables[0].rows, [["YES"]]);
  ok("monitor-ingestion sends rows through the rule");
  await monitor.dataCollectionRules.delete(group, "around-dcr");
  await monitor.dataCollectionEndpoints.delete(group, "around-dce");
}

async function kept() {
  const search = await logs.savedSearches.createOrUpdate(group, "workspace1", "around-search", {
    category: "c", displayName: "d", query: "Around_CL | count", version: 2,
  });
  assert.equal(search.query, "Around_CL | count");
  assert.equal((await logs.savedSearches.get(group, "workspace1", "around-search")).displayName, "d");
  assert.deepEqual((await logs.savedSearches.listByWorkspace(group, "workspace1")).value.map((x) => x.name), ["around-search"]);
  await logs.savedSearches.delete(group, "workspace1", "around-search");
  const keys = await logs.sharedKeys.getSharedKeys(group, "workspace1");
  assert.notEqual((await logs.sharedKeys.regenerate(group, "workspace1")).primarySharedKey, keys.primarySharedKey);
  ok("arm-operationalinsights keeps a saved search, and reads and renews the shared keys");
  const tagged = await logs.workspaces.update(group, "workspace1", { tags: { a: "b" } });
  assert.deepEqual(tagged.tags, { a: "b" });
  await logs.workspaces.beginCreateOrUpdateAndWait(group, "around-gone", { location }, { updateIntervalInMs: 100 });
  await logs.workspaces.beginDeleteAndWait(group, "around-gone", { updateIntervalInMs: 100 });
  assert.ok((await names(logs.deletedWorkspaces.list())).includes("around-gone"));
  ok("arm-operationalinsights lists a deleted workspace");
}

async function audit() {
  const vault = `/subscriptions/${c.subscriptionId}/resourceGroups/${group}/providers/Microsoft.KeyVault/vaults/kv1`;
  const made = await monitor.diagnosticSettings.createOrUpdate(vault, "around-audit", {
    workspaceId: workspace.id, logAnalyticsDestinationType: "Dedicated", logs: [{ category: "AuditEvent", enabled: true }],
  });
  assert.equal(made.name, "around-audit");
  assert.equal((await monitor.diagnosticSettings.get(vault, "around-audit")).workspaceId, workspace.id);
  assert.ok((await monitor.diagnosticSettingsCategory.list(vault)).value.some((x) => x.name === "AuditEvent"));
  assert.deepEqual((await monitor.diagnosticSettings.list(vault)).value.map((x) => x.name), ["around-audit"]);
  await monitor.diagnosticSettings.delete(vault, "around-audit");
  ok("arm-monitor sends a vault's audit to a workspace");
  const since = new Date(Date.now() - 3600e3).toISOString();
  const events = [];
  const filter = `eventTimestamp ge '${since}' and resourceGroupName eq '${group}'`;
  for await (const e of monitor.activityLogs.list(filter)) events.push(e);
  const write = events.find((e) => e.operationName?.value === "Microsoft.OperationalInsights/workspaces/write");
  assert.ok(write.eventTimestamp instanceof Date && write.caller, JSON.stringify(events[0]));
  ok("arm-monitor reads the activity log");
}

async function alerts() {
  const made = await monitor.scheduledQueryRules.createOrUpdate(group, "around-alert", {
    location,
    enabled: "true",
    source: { query: "Around_CL | count", dataSourceId: workspace.id, queryType: "ResultCount" },
    schedule: { frequencyInMinutes: 5, timeWindowInMinutes: 5 },
    action: {
      odataType: "Microsoft.WindowsAzure.Management.Monitoring.Alerts.Models.Microsoft.AppInsights.Nexus.DataContracts.Resources.ScheduledQueryRules.AlertingAction",
      severity: "3",
      trigger: { thresholdOperator: "GreaterThan", threshold: 1 },
    },
  });
  assert.equal(made.source.query, "Around_CL | count");
  assert.deepEqual(await names(monitor.scheduledQueryRules.listByResourceGroup(group)), ["around-alert"]);
  await monitor.scheduledQueryRules.delete(group, "around-alert");
  ok("arm-monitor keeps a scheduled query rule");
}

async function components() {
  const client = new appInsights.ApplicationInsightsManagementClient(credential, c.subscriptionId, { ...scopes, baseUri: base });
  const made = await client.components.createOrUpdate(group, "around-app", { location, kind: "web", applicationType: "web" });
  assert.match(made.instrumentationKey, /^[0-9a-f-]{36}$/);
  assert.equal((await client.components.get(group, "around-app")).appId, made.appId);
  await client.components.deleteMethod?.(group, "around-app") ?? await client.components.delete(group, "around-app");
  await assert.rejects(client.components.get(group, "around-app"), { statusCode: 404 });
  ok("arm-appinsights makes and removes a component");
}

async function sentinel() {
  const client = new SecurityInsights(credential, c.subscriptionId, scopes);
  const states = client.sentinelOnboardingStates;
  const body = { sentinelOnboardingStateParameter: { customerManagedKey: true } };
  const made = await states.create(group, "workspace1", "default", body);
  assert.equal(made.customerManagedKey, true);
  assert.equal((await states.get(group, "workspace1", "default")).name, "default");
  assert.equal((await states.list(group, "workspace1")).value.length, 1);
  await assert.rejects(
    states.create(group, "workspace1", "default", { sentinelOnboardingStateParameter: { customerManagedKey: false } }),
    { statusCode: 400, code: "OperationNotAllowed" },
  );
  await states.delete(group, "workspace1", "default");
  ok("arm-securityinsight onboards a workspace with the customer's key");
}

async function roles() {
  const client = new AuthorizationManagementClient(credential, c.subscriptionId, scopes);
  const reader = "acdd72a7-3385-48ef-bd42-f606fba81ae7";
  const roleDefinitionId = `/subscriptions/${c.subscriptionId}/providers/Microsoft.Authorization/roleDefinitions/${reader}`;
  const id = randomUUID();
  const made = await client.roleAssignments.create(workspace.id, id, {
    roleDefinitionId,
    principalId: c.objectId,
    principalType: "ServicePrincipal",
  });
  assert.equal(made.principalId, c.objectId);
  assert.equal((await client.roleDefinitions.getById(roleDefinitionId)).roleName, "Reader");
  assert.ok((await names(client.roleAssignments.listForScope(workspace.id))).includes(id));
  await client.roleAssignments.delete(workspace.id, id);
  ok("arm-authorization gives and takes a role");
}

await rules();
await kept();
await audit();
await alerts();
await components();
await sentinel();
await roles();
console.log("done");
