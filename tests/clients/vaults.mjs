// SPDX-License-Identifier: Apache-2.0
// tests/clients/vaults.mjs - every operation of arm-keyvault's vaults and managedHsms; test_js.py starts a server with a SoftHSM token and runs it
//
// usage: node vaults.mjs DIR/credentials.json    (NODE_EXTRA_CA_CERTS names the server's CA)
// The group "vaults" is there already; the server has other vaults elsewhere.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { KeyVaultManagementClient } from "@azure/arm-keyvault";
import { ClientSecretCredential } from "@azure/identity";

const c = JSON.parse(readFileSync(process.argv[2], "utf8"));
const credential = new ClientSecretCredential(c.tenantId, c.clientId, c.clientSecret, {
  authorityHost: c.endpoint,
  disableInstanceDiscovery: true,
});
const arm = new KeyVaultManagementClient(credential, c.subscriptionId, {
  endpoint: c.endpoint, credentialScopes: c.endpoint + "/.default", credentials: { scopes: [c.endpoint + "/.default"] },
});
const ok = (sentence) => console.log(`ok - ${sentence}`);
const group = "vaults", at = "westeurope", type = "Microsoft.KeyVault/vaults";
const somebody = "11111111-2222-4333-8444-555555555555";

async function collect(pages) {
  const all = [];
  for await (const one of pages) all.push(one);
  return all;
}
const names = async (pages) => (await collect(pages)).map((x) => x.name).filter((x) => /^(vault|pool)-/.test(x)).sort();
const policy = (objectId, ...keys) => ({ tenantId: c.tenantId, objectId, permissions: { keys } });
const properties = (more) => ({ tenantId: c.tenantId, sku: { family: "A", name: "standard" }, accessPolicies: [], ...more });
const refuses = (promise, statusCode, code) => assert.rejects(promise, (e) => {
  assert.equal(e.statusCode, statusCode, e.message);
  if (code) assert.equal(e.code ?? e.details?.error?.code, code);
  return true;
});

const free = async (name) => arm.vaults.checkNameAvailability({ name, type });
assert.equal((await free("vault-a")).nameAvailable, true);
const made = await arm.vaults.createOrUpdate(group, "vault-a", { location: at, tags: { a: "1" }, properties: properties() });
assert.equal(made.properties.vaultUri, `https://vault-a.${c.vaultSuffix}/`);
assert.deepEqual([made.properties.enableSoftDelete, made.properties.softDeleteRetentionInDays, made.type], [true, 90, type]);
assert.deepEqual({ ...(await free("vault-a")), message: "" }, { nameAvailable: false, reason: "AlreadyExists", message: "" });
assert.equal((await free("x")).reason, "AccountNameInvalid");
await refuses(arm.vaults.createOrUpdate(group, "vault-b", { location: at, properties: properties({ enableSoftDelete: false }) }), 400, "BadRequest");
await refuses(arm.vaults.createOrUpdate(group, "a--b", { location: at, properties: properties() }), 400, "VaultNameNotValid");
await refuses(arm.vaults.get(group, "vault-c"), 404, "ResourceNotFound");
ok("a vault is made once its name is free, and refusals have their codes");

await arm.vaults.createOrUpdate(group, "vault-b", { location: at, properties: properties({ softDeleteRetentionInDays: 7 }) });
assert.deepEqual(await names(arm.vaults.listByResourceGroup(group, { top: 1 })), ["vault-a", "vault-b"]);
assert.deepEqual(await names(arm.vaults.listBySubscription({ top: 2 })), ["vault-a", "vault-b"]);
assert.deepEqual(await names(arm.vaults.list()), ["vault-a", "vault-b"]);
ok("vaults are listed by group, by subscription and as resources, page by page");

const patched = await arm.vaults.update(group, "vault-a", { tags: { b: "2" }, properties: {
  enabledForDeployment: true, networkAcls: { bypass: "None", defaultAction: "Deny", ipRules: [{ value: "192.0.2.0/24" }] } } });
assert.deepEqual(patched.tags, { b: "2" });
assert.equal(patched.properties.networkAcls.ipRules[0].value, "192.0.2.0/24");
assert.equal((await arm.vaults.update(group, "vault-a", { properties: { enablePurgeProtection: true } })).properties.enablePurgeProtection, true);
await refuses(arm.vaults.update(group, "vault-a", { properties: { enablePurgeProtection: false } }), 400, "BadRequest");
ok("a vault is changed; purge protection stays");

const change = async (kind, ...policies) => (await arm.vaults.updateAccessPolicy(group, "vault-b", kind, {
  properties: { accessPolicies: policies } })).properties.accessPolicies;
assert.deepEqual((await change("add", policy(somebody, "get")))[0].permissions.keys, ["get"]);
assert.deepEqual((await change("add", policy(somebody, "list")))[0].permissions.keys, ["get", "list"]);
assert.deepEqual((await change("replace", policy(somebody, "wrapKey")))[0].permissions.keys, ["wrapKey"]);
assert.deepEqual(await change("remove", policy(somebody, "wrapKey")), []);
await refuses(change("add", policy(somebody, "fly")), 400, "BadRequest");
ok("access policies are added, replaced and removed");

for (const name of ["vault-a", "vault-b"]) await arm.vaults.delete(group, name);
assert.deepEqual(await names(arm.vaults.listDeleted()), ["vault-a", "vault-b"]);
const gone = await arm.vaults.getDeleted("vault-b", at);
assert.equal(gone.properties.vaultId.split("/").pop(), "vault-b");
assert.equal(gone.properties.scheduledPurgeDate - gone.properties.deletionDate, 7 * 86400000);
assert.equal((await free("vault-b")).reason, "AlreadyExists");
await refuses(arm.vaults.createOrUpdate(group, "vault-b", { location: at, properties: properties() }), 409, "ConflictError");
const back = await arm.vaults.createOrUpdate(group, "vault-b", { location: at, properties: properties({ createMode: "recover" }) });
assert.equal(back.properties.softDeleteRetentionInDays, 7);
await arm.vaults.delete(group, "vault-b");
await arm.vaults.purgeDeleted("vault-b", at);
await refuses(arm.vaults.getDeleted("vault-b", at), 404, "DeletedVaultNotFound");
await refuses(Promise.resolve(arm.vaults.purgeDeleted("vault-a", at)), 400, "BadRequest");
assert.equal((await free("vault-b")).nameAvailable, true);
ok("a deleted vault is found, recovered, purged - not where purge protection is on");

await arm.managedHsms.createOrUpdate(group, "pool-a", { location: at, sku: { family: "B", name: "Standard_B1" }, properties: {
  tenantId: c.tenantId, initialAdminObjectIds: [c.objectId] } });
assert.deepEqual(await names(arm.managedHsms.listByResourceGroup(group)), ["pool-a"]);
assert.deepEqual(await names(arm.managedHsms.listBySubscription()), ["pool-a"]);
assert.equal((await arm.managedHsms.get(group, "pool-a")).properties.hsmUri.split(".")[1], "managedhsm");
assert.equal((await arm.managedHsms.checkMhsmNameAvailability({ name: "pool-a" })).nameAvailable, false);
await arm.managedHsms.delete(group, "pool-a");
assert.deepEqual(await names(arm.managedHsms.listDeleted()), ["pool-a"]);
await arm.managedHsms.purgeDeleted("pool-a", at);
assert.deepEqual(await names(arm.managedHsms.listDeleted()), []);
ok("pools are made, listed, read, deleted and purged");

await arm.vaults.createOrUpdate(group, "vault-d", { location: at, properties: properties() });
// Keys have one door, the vault's own: ARM's way around its policies is not there.
await refuses(arm.keys.get(group, "vault-d", "k1"), 404, "NotFound");
ok("arm-keyvault's own keys are not served");
console.log("done");
