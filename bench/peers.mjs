// SPDX-License-Identifier: Apache-2.0
// bench/peers.mjs ENGINE FILE.ndjson THREADS - the questions of bench/engines.py to ClickHouse (chdb) or DuckDB, over a table in memory
//
// ENGINE is clickhouse or duckdb. As bench_kql does: a line of standard input is a number, a tab and a query, which is run so many
// times; the answer is the least time and the least time of processors in microseconds, and the number of rows, by tabs.
// Needs `npm install chdb @duckdb/node-api` in a folder that NODE_PATH names.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(process.env.NODE_PATH + "/");
const [engine, file, threads] = process.argv.slice(2);
const columns = [["TimeGenerated", "DateTime64(6)", "TIMESTAMP"],
  ...["Level", "Service", "Host", "Pod", "Region"].map((n) => [n, "LowCardinality(String)", "VARCHAR"]),
  ...["TraceId", "SpanId", "UserId", "ClientIp"].map((n) => [n, "String", "VARCHAR"]),
  ["Method", "LowCardinality(String)", "VARCHAR"], ["Path", "String", "VARCHAR"], ["Status", "Int64", "BIGINT"],
  ["DurationMs", "Float64", "DOUBLE"], ["Bytes", "Int64", "BIGINT"], ["UserAgent", "String", "VARCHAR"],
  ["Message", "String", "VARCHAR"]];

async function clickhouse() {
  const { Session } = require("chdb");
  const session = new Session();
  const shape = columns.map(([n, t]) => `${n} ${t}`).join(", ");
  session.query("CREATE DATABASE b");
  session.query(`CREATE TABLE b.T_CL (${shape}) ENGINE = Memory`);
  session.query(`INSERT INTO b.T_CL SELECT * FROM file('${file}', JSONEachRow, '${shape}')
    SETTINGS date_time_input_format = 'best_effort', max_insert_threads = 1`);
  // What an engine hands over is text here; TSV is its cheapest.
  return (query) => session.query(`${query} SETTINGS max_threads = ${threads}`, "TSV").split("\n").length - 1;
}

async function duckdb() {
  const { DuckDBInstance } = require("@duckdb/node-api");
  const instance = await DuckDBInstance.create(":memory:", { threads: String(threads) });
  const c = await instance.connect();
  const shape = columns.map(([n, , t]) => `${n}: '${t}'`).join(", ");
  await c.run(`CREATE TABLE T_CL AS SELECT * FROM read_json('${file}', format = 'newline_delimited', columns = {${shape}})`);
  return async (query) => (await c.runAndReadAll(query)).currentRowCount;
}

const run = await { clickhouse, duckdb }[engine]();
for await (const line of createInterface({ input: process.stdin })) {
  const [repeat, query] = line.split("\t");
  let [wall, cpu, rows] = [Infinity, Infinity, 0];
  for (let i = 0; i < Number(repeat); i++) {
    const [began, used] = [process.hrtime.bigint(), process.cpuUsage()];
    rows = await run(query);
    wall = Math.min(wall, Number((process.hrtime.bigint() - began) / 1000n));
    const { user, system } = process.cpuUsage(used);
    cpu = Math.min(cpu, user + system);
  }
  console.log([wall, cpu, rows].join("\t"));
}
process.exit(0);
