// SPDX-License-Identifier: Apache-2.0
// bench/peers.mjs FILE.ndjson REPEAT THREADS - the same questions to ClickHouse (chdb) and DuckDB, over tables in memory
//
// Reads {"name": {"clickhouse": sql, "duckdb": sql}} from standard input; prints name, engine, median and least time in
// microseconds and the number of rows, by tabs. Needs `npm install chdb @duckdb/node-api` in a folder that NODE_PATH names.
import { createRequire } from "node:module";
import { readFileSync, rmSync } from "node:fs";

const require = createRequire(process.env.NODE_PATH + "/");
const [file, repeat, threads] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const queries = JSON.parse(readFileSync(0, "utf8"));
const columns = [["TimeGenerated", "DateTime64(6)", "TIMESTAMP"],
  ...["Level", "Service", "Host", "Pod", "Region"].map((n) => [n, "LowCardinality(String)", "VARCHAR"]),
  ...["TraceId", "SpanId", "UserId", "ClientIp"].map((n) => [n, "String", "VARCHAR"]),
  ["Method", "LowCardinality(String)", "VARCHAR"], ["Path", "String", "VARCHAR"], ["Status", "Int64", "BIGINT"],
  ["DurationMs", "Float64", "DOUBLE"], ["Bytes", "Int64", "BIGINT"], ["UserAgent", "String", "VARCHAR"],
  ["Message", "String", "VARCHAR"]];

async function measure(engine, name, run) {
  const times = [];
  let rows = 0;
  for (let i = 0; i < repeat; i++) {
    const began = process.hrtime.bigint();
    rows = await run();
    times.push(Number((process.hrtime.bigint() - began) / 1000n));
  }
  times.sort((a, b) => a - b);
  console.log([name, engine, times[repeat >> 1], times[0], rows].join("\t"));
}

async function clickhouse() {
  const { Session } = require("chdb");
  const session = new Session();
  const shape = columns.map(([n, t]) => `${n} ${t}`).join(", ");
  session.query("CREATE DATABASE b");
  session.query(`CREATE TABLE b.T_CL (${shape}) ENGINE = Memory`);
  session.query(`SET max_threads = ${threads}`);
  session.query(`INSERT INTO b.T_CL SELECT * FROM file('${file}', JSONEachRow, '${shape}')
    SETTINGS date_time_input_format = 'best_effort', max_insert_threads = 1`);
  for (const [name, q] of Object.entries(queries)) {
    await measure("clickhouse", name, () => {
      // What an engine hands over is text here; TSV is its cheapest.
      const text = session.query(`${q.clickhouse} SETTINGS max_threads = ${threads}`, "TSV");
      return text.split("\n").length - 1;
    });
  }
  session.cleanup?.();
}

async function duckdb() {
  const { DuckDBInstance } = require("@duckdb/node-api");
  const instance = await DuckDBInstance.create(":memory:", { threads: String(threads) });
  const c = await instance.connect();
  const shape = columns.map(([n, , t]) => `${n}: '${t}'`).join(", ");
  await c.run(`CREATE TABLE T_CL AS SELECT * FROM read_json('${file}', format = 'newline_delimited', columns = {${shape}})`);
  for (const [name, q] of Object.entries(queries)) {
    await measure("duckdb", name, async () => (await c.runAndReadAll(q.duckdb)).currentRowCount);
  }
}

await clickhouse();
await duckdb();
