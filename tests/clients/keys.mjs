// SPDX-License-Identifier: Apache-2.0
// tests/clients/keys.mjs - every operation of KeyClient and CryptographyClient; test_js.py starts a server with a SoftHSM token and runs it
//
// usage: node keys.mjs DIR/credentials.json    (NODE_EXTRA_CA_CERTS names the server's CA)
// The vault "keys-kv" (premium, all permissions) and the pool "keys-pool" (its Crypto User) are there already.
// Prints a line for each sentence that it has proved; ends with an error at the first that is not true.
import assert from "node:assert/strict";
import { constants, createHash, createPublicKey, publicEncrypt, randomBytes, verify } from "node:crypto";
import dns from "node:dns";
import { readFileSync } from "node:fs";
import { ClientSecretCredential } from "@azure/identity";
import { CryptographyClient, KeyClient } from "@azure/keyvault-keys";

// glibc does not know that names under .localhost are this machine: elsewhere a line in /etc/hosts says so.
const lookup = dns.lookup;
dns.lookup = (host, ...rest) => lookup(host.endsWith(".localhost") ? "localhost" : host, ...rest);

const c = JSON.parse(readFileSync(process.argv[2], "utf8"));
const credential = new ClientSecretCredential(c.tenantId, c.clientId, c.clientSecret, {
  authorityHost: c.endpoint,
  disableInstanceDiscovery: true,
});
const ok = (sentence) => console.log(`ok - ${sentence}`);
const soon = { intervalInMs: 100 };
const secret = Buffer.from("0123456789abcdef0123456789abcdef");

async function collect(pages) {
  const all = [];
  for await (const one of pages) all.push(one);
  return all;
}

const b64 = (bytes) => Buffer.from(bytes).toString("base64url");
const pem = (key) => createPublicKey({
  format: "jwk",
  key: key.key.n
    ? { kty: "RSA", n: b64(key.key.n), e: b64(key.key.e) }
    : { kty: "EC", crv: { "P-256K": "secp256k1" }[key.key.crv] ?? key.key.crv, x: b64(key.key.x), y: b64(key.key.y) },
});

// --- CryptographyClient ---

async function rsa(keys, key, what) {
  const crypto = keys.getCryptographyClient(key.name, { keyVersion: key.properties.version });
  for (const algorithm of ["RSA-OAEP", "RSA-OAEP-256", "RSA1_5"]) {
    const sealed = await crypto.encrypt({ algorithm, plaintext: secret });
    const opened = await crypto.decrypt({ algorithm, ciphertext: sealed.result });
    assert.deepEqual(Buffer.from(opened.result), secret);
    const wrapped = await crypto.wrapKey(algorithm, secret);
    assert.deepEqual(Buffer.from((await crypto.unwrapKey(algorithm, wrapped.result)).result), secret);
  }
  // What node:crypto seals, the vault opens.
  const sealed = publicEncrypt({ key: pem(key), padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha256" }, secret);
  assert.deepEqual(Buffer.from((await crypto.unwrapKey("RSA-OAEP-256", sealed)).result), secret);
  ok(`${what} encrypts, decrypts, wraps and unwraps with each padding`);

  for (const bits of [256, 384, 512]) {
    for (const family of ["RS", "PS"]) {
      const digest = createHash(`sha${bits}`).update("data").digest();
      const { result } = await crypto.sign(`${family}${bits}`, digest);
      assert.ok((await crypto.verify(`${family}${bits}`, digest, result)).result);
      const padding = family === "RS" ? constants.RSA_PKCS1_PADDING : constants.RSA_PKCS1_PSS_PADDING;
      assert.ok(verify(`sha${bits}`, Buffer.from("data"), { key: pem(key), padding, saltLength: bits / 8 }, result));
      const data = await crypto.signData(`${family}${bits}`, Buffer.from("data"));
      assert.ok((await crypto.verify(`${family}${bits}`, digest, data.result)).result);
      // keyvault-keys 4.10 checks data by itself, and takes PSS for PKCS#1 v1.5 then.
      if (family === "RS") assert.ok((await crypto.verifyData(`${family}${bits}`, Buffer.from("data"), data.result)).result);
      result[9] ^= 1;
      assert.ok(!(await crypto.verify(`${family}${bits}`, digest, result)).result);
    }
  }
  ok(`${what} signs and verifies with RS and PS; node:crypto agrees`);
}

async function ec(keys, hsm, what) {
  for (const [curve, algorithm, hash] of [["P-256", "ES256", "sha256"], ["P-384", "ES384", "sha384"],
    ["P-521", "ES512", "sha512"], ["P-256K", "ES256K", "sha256"]]) {
    const key = await keys.createEcKey(`ec-${curve}-${what}`, { curve, hsm });
    const crypto = new CryptographyClient(key.id, credential);
    const digest = createHash(hash).update("data").digest();
    const { result } = await crypto.sign(algorithm, digest);
    assert.ok((await crypto.verify(algorithm, digest, result)).result);
    assert.ok(verify(hash, Buffer.from("data"), { key: pem(key), dsaEncoding: "ieee-p1363" }, result));
  }
  ok(`EC ${what} signs on four curves; node:crypto agrees`);
}

async function oct(keys, hsm, what) {
  for (const bits of [128, 192, 256]) {
    const key = await keys.createOctKey(`oct-${bits}-${what}`, { keySize: bits, hsm });
    const crypto = new CryptographyClient(key.id, credential);
    const wrapped = await crypto.wrapKey(`A${bits}KW`, secret);
    assert.deepEqual(Buffer.from((await crypto.unwrapKey(`A${bits}KW`, wrapped.result)).result), secret);
    const additionalAuthenticatedData = Buffer.from("aad");
    const gcm = await crypto.encrypt({ algorithm: `A${bits}GCM`, plaintext: secret, additionalAuthenticatedData });
    assert.deepEqual(Buffer.from((await crypto.decrypt({
      algorithm: `A${bits}GCM`, ciphertext: gcm.result, iv: gcm.iv, authenticationTag: gcm.authenticationTag,
      additionalAuthenticatedData,
    })).result), secret);
    for (const mode of ["CBC", "CBCPAD"]) {
      const iv = randomBytes(16);
      const cbc = await crypto.encrypt({ algorithm: `A${bits}${mode}`, plaintext: secret, iv });
      const opened = await crypto.decrypt({ algorithm: `A${bits}${mode}`, ciphertext: cbc.result, iv });
      assert.deepEqual(Buffer.from(opened.result), secret);
    }
  }
  ok(`AES ${what} wraps and encrypts with each size and mode`);
}

// --- KeyClient ---

async function lifecycle(keys, hsm, what) {
  const name = `life-${what}`;
  const first = await keys.createRsaKey(name, { keySize: 2048, hsm, tags: { a: "1" }, keyOps: ["wrapKey", "unwrapKey"] });
  assert.equal(first.keyType, hsm ? "RSA-HSM" : "RSA");
  assert.deepEqual(first.keyOperations, ["wrapKey", "unwrapKey"]);
  const expiresOn = new Date(Math.ceil(Date.now() / 1000) * 1000 + 86400000);
  const changed = await keys.updateKeyProperties(name, first.properties.version, { expiresOn, tags: { b: "2" } });
  assert.equal(changed.properties.expiresOn.getTime(), expiresOn.getTime());
  assert.deepEqual(changed.properties.tags, { b: "2" });
  await keys.updateKeyRotationPolicy(name, { expiresIn: "P90D", lifetimeActions: [{ action: "Rotate", timeAfterCreate: "P30D" }] });
  assert.equal((await keys.getKeyRotationPolicy(name)).expiresIn, "P90D");
  const second = await keys.rotateKey(name);
  assert.notEqual(second.properties.version, first.properties.version);
  assert.equal((await collect(keys.listPropertiesOfKeyVersions(name))).length, 2);
  assert.ok((await collect(keys.listPropertiesOfKeys())).some((k) => k.name === name));
  assert.equal((await keys.getKey(name)).id, second.id);
  assert.equal((await keys.getKey(name, { version: first.properties.version })).id, first.id);
  ok(`a key of ${what} is made, changed, rotated by policy and by hand, listed and read`);

  await (await keys.beginDeleteKey(name, soon)).pollUntilDone();
  assert.equal((await keys.getDeletedKey(name)).name, name);
  assert.ok((await collect(keys.listDeletedKeys())).some((k) => k.name === name));
  await assert.rejects(keys.createRsaKey(name, { hsm }), { statusCode: 409 });
  await (await keys.beginRecoverDeletedKey(name, soon)).pollUntilDone();
  assert.equal((await keys.getKey(name)).id, second.id);
  await assert.rejects(keys.getKey("nothing"), { code: "KeyNotFound" });
  ok(`a key of ${what} is deleted, found among the deleted, and recovered`);
}

async function backupAndImport(keys) {
  const made = await keys.createOctKey("saved", { keySize: 256 });
  const crypto = new CryptographyClient(made.id, credential);
  const wrapped = await crypto.wrapKey("A256KW", secret);
  const backup = await keys.backupKey("saved");
  await (await keys.beginDeleteKey("saved", soon)).pollUntilDone();
  await keys.purgeDeletedKey("saved");
  await assert.rejects(keys.getKey("saved"), { statusCode: 404 });
  const restored = await keys.restoreKeyBackup(backup);
  assert.equal(restored.id, made.id);
  assert.deepEqual(Buffer.from((await crypto.unwrapKey("A256KW", wrapped.result)).result), secret);
  ok("a backup brings a purged key back with its versions");

  const imported = await keys.importKey("imported", { kty: "oct", k: secret, keyOps: ["wrapKey", "unwrapKey"] });
  assert.equal(imported.keyType, "oct");
  await assert.rejects(keys.importKey("hardware", { kty: "oct", k: secret }, { hardwareProtected: true }), { statusCode: 400 });
  assert.equal((await keys.getRandomBytes(32)).length, 32);
  ok("keys are imported, but not into the HSM; random bytes come");
}

async function staysInTheHsm(keys) {
  await keys.createOctKey("stays", { hsm: true });
  await assert.rejects(keys.backupKey("stays"), { statusCode: 400 });
  await assert.rejects(keys.releaseKey("stays", "x.y.z"), { statusCode: 403 });
  await (await keys.beginDeleteKey("stays", soon)).pollUntilDone();
  await keys.purgeDeletedKey("stays");
  ok("a key of the HSM has no backup and no release; it can be purged");
}

const vault = new KeyClient(`https://keys-kv.${c.vaultSuffix}`, credential);
const pool = new KeyClient(`https://keys-pool.managedhsm.${c.vaultSuffix.slice(c.vaultSuffix.indexOf(".") + 1)}`, credential);
await lifecycle(vault, false, "software");
await lifecycle(vault, true, "premium");
await lifecycle(pool, true, "pool");
await rsa(vault, await vault.createRsaKey("rsa-soft", { keySize: 3072 }), "RSA");
await rsa(vault, await vault.createRsaKey("rsa-hsm", { keySize: 2048, hsm: true }), "RSA-HSM");
await ec(vault, false, "software");
await ec(vault, true, "hsm");
await oct(vault, false, "software");
await oct(pool, true, "pool");
await backupAndImport(vault);
await staysInTheHsm(vault);
console.log("done");
