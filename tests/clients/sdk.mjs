// SPDX-License-Identifier: Apache-2.0
// tests/clients/sdk.mjs - the main job through the JavaScript SDKs; test_js.py starts a server and runs it
//
// usage: node sdk.mjs DIR/credentials.json    (NODE_EXTRA_CA_CERTS names the server's CA)
// Prints a line for each sentence that it has proved; ends with an error at the first that is not true.
import assert from "node:assert/strict";
import dns from "node:dns";
import { readFileSync } from "node:fs";
import { KeyVaultManagementClient } from "@azure/arm-keyvault";
import { OperationalInsightsManagementClient as Arm11 } from "@azure/arm-operationalinsights";
import { OperationalInsightsManagementClient as Arm9 } from "arm-operationalinsights-9";
import { ClientSecretCredential } from "@azure/identity";
import { CryptographyClient, KeyClient } from "@azure/keyvault-keys";
import { LogsIngestionClient, isAggregateLogsUploadError } from "@azure/monitor-ingestion";
import { LogsQueryClient } from "@azure/monitor-query-logs";

// glibc does not know that names under .localhost are this machine: elsewhere a line in /etc/hosts says so.
const lookup = dns.lookup;
dns.lookup = (host, ...rest) => lookup(host.endsWith(".localhost") ? "localhost" : host, ...rest);

const c = JSON.parse(readFileSync(process.argv[2], "utf8"));
const base = c.endpoint;
const group = "sdk";
const credential = new ClientSecretCredential(c.tenantId, c.clientId, c.clientSecret, {
  authorityHost: base,
  disableInstanceDiscovery: true,
});
const soon = { updateIntervalInMs: 100 };
const scopes = { endpoint: base, credentialScopes: [`${base}/.default`] };
const vaultUrl = (name) => `https://${name}.${c.vaultSuffix}`;
const ok = (sentence) => console.log(`ok - ${sentence}`);

async function collect(pages) {
  const all = [];
  for await (const one of pages) all.push(one);
  return all;
}

async function until(what, condition) {
  for (let i = 0; i < 300; i++) {
    if (await condition()) return;
    await new Promise((done) => setTimeout(done, 200));
  }
  assert.fail(`${what} did not come true`);
}

async function vaultAndKey() {
  const arm = new KeyVaultManagementClient(credential, c.subscriptionId, scopes);
  const permissions = { keys: ["all"] };
  await arm.vaults.beginCreateOrUpdateAndWait(group, "sdk-kv", {
    location: "westeurope",
    properties: {
      tenantId: c.tenantId,
      sku: { family: "A", name: "standard" },
      enablePurgeProtection: true,
      accessPolicies: [{ tenantId: c.tenantId, objectId: c.objectId, permissions }],
    },
  }, soon);
  const vault = await arm.vaults.get(group, "sdk-kv");
  assert.equal(vault.properties.vaultUri, vaultUrl("sdk-kv") + "/");
  ok("arm-keyvault 5 makes a vault");

  const keys = new KeyClient(vaultUrl("sdk-kv"), credential);
  const first = await keys.createRsaKey("k1", { keySize: 2048 });
  assert.equal(first.keyType, "RSA");
  const second = await keys.rotateKey("k1");
  assert.notEqual(first.properties.version, second.properties.version);
  const versions = (await collect(keys.listPropertiesOfKeyVersions("k1"))).map((v) => v.version);
  assert.deepEqual(versions.sort(), [first.properties.version, second.properties.version].sort());
  assert.equal((await keys.getKey("k1")).properties.version, second.properties.version);
  ok("keyvault-keys makes, rotates, lists and gets keys");

  const secret = Buffer.from("0123456789abcdef0123456789abcdef");
  for (const algorithm of ["RSA-OAEP", "RSA-OAEP-256"]) {
    const crypto = new CryptographyClient(first.id, credential);
    const wrapped = await crypto.wrapKey(algorithm, secret);
    const back = await crypto.unwrapKey(algorithm, wrapped.result);
    assert.deepEqual(Buffer.from(back.result), secret);
  }
  ok("keyvault-keys wraps and unwraps under an older version");

  await keys.createRsaKey("k2", { keySize: 2048 });
  const deleting = await keys.beginDeleteKey("k2", { intervalInMs: 100 });
  await deleting.pollUntilDone();
  assert.ok((await collect(keys.listDeletedKeys())).some((k) => k.name === "k2"));
  const recovering = await keys.beginRecoverDeletedKey("k2", { intervalInMs: 100 });
  await recovering.pollUntilDone();
  assert.equal((await keys.getKey("k2")).name, "k2");
  await assert.rejects(keys.getKey("nothing"), { code: "KeyNotFound" });
  ok("keyvault-keys deletes and recovers; a missing key has its code");
  return { arm, keys, version: second.properties.version };
}

async function resources(Arm, generation, vault) {
  const arm = new Arm(credential, c.subscriptionId, scopes);
  const cluster = `cluster-${generation}`;
  const workspace = `workspace-${generation}`;
  let got = await arm.clusters.beginCreateOrUpdateAndWait(group, cluster, {
    location: "westeurope",
    identity: { type: "SystemAssigned" },
    sku: { name: "CapacityReservation", capacity: 500 },
  }, soon);
  assert.equal(got.provisioningState, "Succeeded");
  await vault.arm.vaults.updateAccessPolicy(group, "sdk-kv", "add", {
    properties: {
      accessPolicies: [{
        tenantId: c.tenantId,
        objectId: got.identity.principalId,
        permissions: { keys: ["get", "wrapKey", "unwrapKey"] },
      }],
    },
  });
  await arm.clusters.beginUpdateAndWait(group, cluster, {
    keyVaultProperties: { keyVaultUri: vaultUrl("sdk-kv"), keyName: "k1", keyVersion: vault.version },
  }, soon);
  got = await arm.clusters.get(group, cluster);
  assert.equal(got.keyVaultProperties.keyVersion, vault.version);
  assert.equal(got.provisioningState, "Succeeded");
  ok(`arm-operationalinsights ${generation} makes a cluster and sets its key`);

  const made = await arm.workspaces.beginCreateOrUpdateAndWait(group, workspace, { location: "westeurope" }, soon);
  assert.match(made.customerId, /^[0-9a-f-]{36}$/);
  await arm.linkedServices.beginCreateOrUpdateAndWait(group, workspace, "cluster", { writeAccessResourceId: got.id }, soon);
  await until("the link", async () => (await arm.workspaces.get(group, workspace)).features?.clusterResourceId === got.id);
  await arm.tables.beginCreateOrUpdateAndWait(group, workspace, "Sdk_CL", {
    schema: {
      name: "Sdk_CL",
      columns: [
        { name: "TimeGenerated", type: "datetime" },
        { name: "Word", type: "string" },
        { name: "Number", type: "long" },
      ],
    },
  }, soon);
  assert.ok((await collect(arm.tables.listByWorkspace(group, workspace))).some((t) => t.name === "Sdk_CL"));
  assert.ok((await collect(arm.clusters.list())).some((x) => x.name === cluster));
  assert.ok((await collect(arm.workspaces.listByResourceGroup(group))).some((x) => x.name === workspace));
  ok(`arm-operationalinsights ${generation} makes a workspace, links it and makes a table`);
  await assert.rejects(arm.clusters.get(group, "nothing"), { code: "ResourceNotFound", statusCode: 404 });
  ok(`arm-operationalinsights ${generation} sees the code of an error`);
  return { arm, cluster, workspace, id: made.id, customerId: made.customerId };
}

async function logs(place) {
  const ingestion = new LogsIngestionClient(base, credential);
  const rule = `dcr-${place.customerId.replaceAll("-", "")}`;
  const rows = Array.from({ length: 30000 }, (_, i) => ({
    TimeGenerated: new Date(),
    Word: `word-${i % 7}-${"x".repeat(50)}`,
    Number: i,
  }));
  await ingestion.upload(rule, "Custom-Sdk_CL", rows); // several calls, packed
  await assert.rejects(ingestion.upload(rule, "Custom-Nothing_CL", rows.slice(0, 2)), isAggregateLogsUploadError);
  ok("monitor-ingestion uploads 30,000 rows");

  const query = new LogsQueryClient(credential, { endpoint: `${base}/v1` });
  const day = { duration: "P1D" };
  const text = "Sdk_CL | summarize n=count(), s=sum(Number), newest=max(TimeGenerated) by Word=substring(Word, 0, 6) | sort by Word asc";
  const answer = await query.queryWorkspace(place.customerId, text, day);
  assert.equal(answer.status, "Success");
  assert.equal(answer.tables[0].rows.length, 7);
  assert.equal(answer.tables[0].rows.reduce((n, row) => n + row[1], 0), 30000);
  assert.ok(answer.tables[0].rows[0][3] instanceof Date);
  const byResource = await query.queryResource(place.id, "Sdk_CL | count", day);
  assert.deepEqual(byResource.tables[0].rows, [[30000]]);
  await assert.rejects(query.queryWorkspace(place.customerId, "Sdk_CL | nonsense", day), { statusCode: 400, code: "BadArgumentError" });
  ok("monitor-query-logs queries by workspace and by resource");
  await place.arm.workspaces.beginCreateOrUpdateAndWait(group, "workspace2", { location: "westeurope" }, soon);
  const several = await query.queryWorkspace(place.customerId, "Sdk_CL | count", day, { additionalWorkspaces: ["workspace2"] });
  assert.deepEqual(several.tables[0].rows, [[30000]]);
  await assert.rejects(query.queryWorkspace(place.customerId, "Sdk_CL | count", day, { additionalWorkspaces: ["workspace3"] }), {
    statusCode: 400,
    code: "BadArgumentError",
  });
  const cut = await query.queryWorkspace(place.customerId, "set truncationmaxrecords = 5; Sdk_CL", day);
  assert.deepEqual([cut.status, cut.partialError.code, cut.partialTables[0].rows.length], ["PartialFailure", "PartialError", 5]);
  ok("monitor-query-logs queries several workspaces, and sees that a result is cut off");
  const both = await query.queryBatch([
    { workspaceId: place.customerId, query: "Sdk_CL | count", timespan: day },
    { workspaceId: place.customerId, query: "Sdk_CL | nonsense", timespan: day },
  ]);
  assert.deepEqual([both[0].status, both[0].tables[0].rows], ["Success", [[30000]]]);
  // This client calls every member with an error a partial failure.
  assert.deepEqual([both[1].status, both[1].partialError.code, both[1].partialTables], ["PartialFailure", "BadArgumentError", []]);
  ok("monitor-query-logs asks several queries at once, and sees which of them failed");
}

async function revocation(place, vault) {
  const query = new LogsQueryClient(credential, { endpoint: `${base}/v1`, audience: `${base}` });
  const ask = () => query.queryWorkspace(place.customerId, "Sdk_CL | count", { duration: "P1D" });
  await vault.keys.updateKeyProperties("k1", vault.version, { enabled: false });
  await until("revocation", () => ask().then(() => false, (e) => e.statusCode === 403));
  await vault.keys.updateKeyProperties("k1", vault.version, { enabled: true });
  await until("restoring", () => ask().then((a) => a.tables[0].rows[0][0] === 30000, () => false));
  ok("keyvault-keys takes the key away and gives it back: queries are refused, then work");
}

async function remove(place) {
  await place.arm.linkedServices.beginDeleteAndWait(group, place.workspace, "cluster", soon);
  await place.arm.workspaces.beginDeleteAndWait(group, place.workspace, { ...soon, force: true });
  await place.arm.clusters.beginDeleteAndWait(group, place.cluster, soon);
  assert.ok(!(await collect(place.arm.clusters.list())).some((x) => x.name === place.cluster));
}

const vault = await vaultAndKey();
for (const [Arm, generation] of [[Arm9, 9], [Arm11, 11]]) {
  const place = await resources(Arm, generation, vault);
  await logs(place);
  if (generation === 11) await revocation(place, vault);
  await remove(place);
  ok(`arm-operationalinsights ${generation} unlinks and deletes`);
}
console.log("done");
