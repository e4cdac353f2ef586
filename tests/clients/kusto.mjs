// SPDX-License-Identifier: Apache-2.0
// tests/clients/kusto.mjs - azure-kusto-data for JavaScript against the Kusto endpoint; test_js.py starts a server with
// workspace1 and runs it
//
// usage: node kusto.mjs DIR/credentials.json    (NODE_EXTRA_CA_CERTS names the server's CA)
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { ClientSecretCredential } from "@azure/identity";
import { Client, ClientRequestProperties, KustoConnectionStringBuilder } from "azure-kusto-data";

const c = JSON.parse(readFileSync(process.argv[2], "utf8"));
const base = c.endpoint;
const db = "workspace1";
const ok = (sentence) => console.log(`ok - ${sentence}`);
const credential = new ClientSecretCredential(c.tenantId, c.clientId, c.clientSecret, { authorityHost: base, disableInstanceDiscovery: true });
const client = new Client(KustoConnectionStringBuilder.withTokenCredential(base, credential));
const rows = (answer, n = 0) => [...answer.primaryResults[n].rows()].map((r) => [...r.values()]);

async function queries() {
  const answer = await client.execute(db, "Words_CL | sort by Number asc | project Word, Number, TimeGenerated");
  assert.deepEqual(rows(answer).map((r) => r.slice(0, 2)), [["a", 0], ["b", 1], ["c", 2]]);
  assert.ok(answer.primaryResults[0][0].TimeGenerated instanceof Date);
  ok("kusto-data logs in and queries");
  const old = await client.executeQueryV1(db, "print 1; print s = 'two'");
  assert.deepEqual([rows(old), rows(old, 1)], [[[1]], [["two"]]]);
  ok("kusto-data queries by v1 too");
  const typed = (await client.execute(db, "print p = 1h, y = dynamic({'a': [1]}), b = true, n = int(null)")).primaryResults[0][0];
  assert.deepEqual([typed.p, typed.y, typed.b, typed.n], [3600000, { a: [1] }, true, null]);
  ok("kusto-data reads types");
}

async function properties() {
  const p = new ClientRequestProperties();
  p.setParameter("n", 2);
  p.setParameter("w", "it's");
  p.setTimeout(60000);
  const answer = await client.execute(db, "declare query_parameters(n:long, w:string); print n + 1, w", p);
  assert.deepEqual(rows(answer), [[3, "it's"]]);
  ok("kusto-data sends parameters and a time limit");
}

async function commands() {
  const found = await client.execute(db, ".show databases");
  assert.ok([...found.primaryResults[0].rows()].some((r) => r.DatabaseName === db));
  const schema = JSON.parse((await client.execute(db, ".show databases schema as json")).primaryResults[0][0].DatabaseSchema);
  assert.equal(schema.Databases[db].Tables.Words_CL.OrderedColumns[1].CslType, "string");
  ok("kusto-data looks around with commands");
}

async function failures() {
  await assert.rejects(client.execute(db, "Words_CL | nonsense"), (e) =>
    e.response.status === 400 && e.response.data.error.code === "General_BadRequest");
  const p = new ClientRequestProperties();
  p.setOption("truncationmaxrecords", 3);
  await assert.rejects(client.execute(db, "range x from 1 to 10 step 1", p), /E_QUERY_RESULT_SET_TOO_LARGE/);
  ok("kusto-data tells failures, also those that come behind rows");
}

await queries();
await properties();
await commands();
await failures();
console.log("done");
