// SPDX-License-Identifier: Apache-2.0
// tests/clients/identity.mjs - the credentials of @azure/identity: secret, assertion, certificate, managed identity, device code.
import { readFileSync } from "node:fs";
import {
  ClientAssertionCredential, ClientCertificateCredential, ClientSecretCredential, DeviceCodeCredential, ManagedIdentityCredential,
} from "@azure/identity";

const c = JSON.parse(readFileSync(process.argv[2]));
const authority = { authorityHost: c.endpoint, disableInstanceDiscovery: true };
const ARM = "https://management.azure.com/.default", VAULT = "https://vault.azure.net/.default";

async function check(name, credential, oid, scopes = [ARM, VAULT]) {
  for (const scope of scopes) {
    const token = (await credential.getToken(scope)).token;
    const claims = JSON.parse(Buffer.from(token.split(".")[1], "base64url"));
    if (claims.oid !== oid) throw new Error(`${name}: ${claims.oid} instead of ${oid}`);
  }
  console.log(name);
}

await check("secret", new ClientSecretCredential(c.tenant, c.app.clientId, c.app.secret, authority), c.app.objectId);
await check("certificate", new ClientCertificateCredential(c.tenant, c.certified.clientId, { certificatePath: c.pem }, authority),
  c.certified.objectId);
const assertions = c.assertions.values();
await check("assertion", new ClientAssertionCredential(c.tenant, c.certified.clientId, async () => assertions.next().value, authority),
  c.certified.objectId, [ARM]);
process.env.AZURE_POD_IDENTITY_AUTHORITY_HOST = c.imds;
await check("managed identity", new ManagedIdentityCredential(), c.managed.principalId);
await check("managed identity by its client id", new ManagedIdentityCredential({ clientId: c.managed.clientId }), c.managed.principalId);
await check("device code", new DeviceCodeCredential({
  tenantId: c.tenant, ...authority, userPromptCallback: (p) => console.log(`code ${p.verificationUri} ${p.userCode}`),
}), c.person.objectId, [ARM]);
console.log("done");
