#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bench/kql.py [--rows N] [--repeat N] [--record] - ten queries over vectors in memory, beside ClickHouse and DuckDB in one run.

Ours is build/release/bench_kql: compile and run, no storage, no sealing, no HTTP. The peers come from npm (chdb, @duckdb/node-api);
with neither node nor network the column stays empty and says so. --record adds the table to bench/results.md.
"""
import json
import os
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAM = os.path.join(ROOT, "build", "release", "keystead")
OURS = os.path.join(ROOT, "build", "release", "bench_kql")
PACKAGES = os.path.join(ROOT, "build", "peers")

REGEX = r"timed out after [0-9]{4,} ms .*shard-1[0-9]\b"
BY_HOUR = {"clickhouse": "toStartOfHour(TimeGenerated)", "duckdb": "date_trunc('hour', TimeGenerated)"}


def sql(text, **differing):
    """The two dialects; differing[name] = (clickhouse, duckdb) fills {name}."""
    return {engine: text.format(**{k: v[i] for k, v in differing.items()}) for i, engine in enumerate(("clickhouse", "duckdb"))}


def queries(table):
    t = ("b.T_CL", "T_CL")
    return {
        "Q1 count": ("T_CL | count", sql("SELECT count(*) FROM {t}", t=t)),
        "Q2 count by status": ("T_CL | summarize count() by Status", sql("SELECT Status, count(*) FROM {t} GROUP BY Status", t=t)),
        "Q3 rare substring": ("T_CL | where Message contains 'quuxite-7731' | count",
                              sql("SELECT count(*) FROM {t} WHERE Message ILIKE '%quuxite-7731%'", t=t)),
        "Q3c the same, with case": ("T_CL | where Message contains_cs 'quuxite-7731' | count",
                                    sql("SELECT count(*) FROM {t} WHERE Message LIKE '%quuxite-7731%'", t=t)),
        "Q4 trace id, all columns": (f"T_CL | where TraceId == '{table}'",
                                     sql("SELECT * FROM {t} WHERE TraceId = '" + table + "'", t=t)),
        "Q5 by service and hour: avg, p95": (
            "T_CL | summarize avg(DurationMs), percentile(DurationMs, 95) by Service, bin(TimeGenerated, 1h)",
            sql("SELECT Service, {hour} AS h, avg(DurationMs), {p} FROM {t} GROUP BY Service, h", t=t,
                hour=tuple(BY_HOUR.values()), p=("quantileExact(0.95)(DurationMs)", "quantile_disc(DurationMs, 0.95)"))),
        "Q6 top 10 by duration, all columns": ("T_CL | top 10 by DurationMs", sql("SELECT * FROM {t} ORDER BY DurationMs DESC LIMIT 10", t=t)),
        "Q7 count of a regex": (f"T_CL | where Message matches regex @'{REGEX}' | count",
                                sql("SELECT count(*) FROM {t} WHERE {m}", t=t,
                                    m=(f"match(Message, '{REGEX}')".replace("\\", "\\\\"), f"regexp_matches(Message, '{REGEX}')"))),
        "Q8 1 % of the time, count by host": (
            "T_CL | where TimeGenerated between (datetime(2026-03-01T10:00:00Z) .. datetime(2026-03-01T10:14:24Z)) | summarize count() by Host",
            sql("SELECT Host, count(*) FROM {t} WHERE TimeGenerated BETWEEN '2026-03-01 10:00:00' AND '2026-03-01 10:14:24' GROUP BY Host", t=t)),
        "Q9 distinct users, exact": ("T_CL | summarize count_distinct(UserId)", sql("SELECT count(DISTINCT UserId) FROM {t}", t=t)),
        "Q9e distinct users, estimated": ("T_CL | summarize dcount(UserId)",
                                          sql("SELECT {f}(UserId) FROM {t}", t=t, f=("uniqCombined", "approx_count_distinct"))),
        "Q10 newest 1,000 rows": ("T_CL | top 1000 by TimeGenerated", sql("SELECT * FROM {t} ORDER BY TimeGenerated DESC LIMIT 1000", t=t)),
    }


def option(name, default):
    return int(sys.argv[sys.argv.index(name) + 1]) if name in sys.argv else default


def peers_ready():
    if os.path.isdir(os.path.join(PACKAGES, "node_modules", "chdb")):
        return True
    os.makedirs(PACKAGES, exist_ok=True)
    npm = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", PACKAGES, "chdb", "@duckdb/node-api"]
    try:
        return subprocess.run(npm, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
    except FileNotFoundError:
        return False


def measured(lines, keys):
    """{name: {engine: least microseconds}}, and the rows each found: all engines must have answered the same question."""
    took, found = {}, {}
    for line in lines.splitlines():
        f = line.split("\t")
        name, engine = f[0], f[1] if keys == 2 else "keystead"
        took.setdefault(name, {})[engine] = int(f[keys + 1])  # the least: other work on the machine only adds
        found.setdefault(name, {})[engine] = int(f[keys + 2])
    return took, found


def main():
    rows, repeat = option("--rows", 1800000), option("--repeat", 9)
    with tempfile.NamedTemporaryFile(suffix=".ndjson") as f:
        subprocess.run([PROGRAM, "gen", "--rows", str(rows)], stdout=f, check=True)
        trace = json.loads(open(f.name).readline())["TraceId"]
        asked = queries(trace)
        ours = [OURS, f.name, str(repeat)] + [x for name, (kql, _) in asked.items() for x in (name, kql)]
        took, found = measured(subprocess.run(ours, stdout=subprocess.PIPE, check=True, text=True).stdout, 1)
        if peers_ready():
            p = subprocess.run(["node", os.path.join(ROOT, "bench", "peers.mjs"), f.name, str(repeat), str(os.cpu_count())],
                               input=json.dumps({n: s for n, (_, s) in asked.items()}), stdout=subprocess.PIPE, check=True, text=True,
                               env={**os.environ, "NODE_PATH": PACKAGES})
            theirs, they_found = measured(p.stdout, 2)
            for name, by in they_found.items():
                assert set(by.values()) == {found[name]["keystead"]}, f"{name}: {by} rows, not {found[name]['keystead']}"
                took[name].update(theirs[name])
        else:
            print("chdb and @duckdb/node-api do not install here: no peers", file=sys.stderr)
    table = ["| query, in memory | Keystead ms | ClickHouse ms | DuckDB ms | best peer / Keystead |", "|---|---|---|---|---|"]
    for name, by in took.items():
        best = min((v for k, v in by.items() if k != "keystead"), default=0)
        cell = [f"{by[e] / 1000:.2f}" if e in by else "-" for e in ("keystead", "clickhouse", "duckdb")]
        table.append(f"| {name} | " + " | ".join(cell) + f" | {best / max(by['keystead'], 1):.1f} |" if best else f"| {name} | " + " | ".join(cell) + " | - |")
    print("\n".join(table))
    if "--record" in sys.argv:
        commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
        with open(os.path.join(ROOT, "bench", "results.md"), "a") as f:
            f.write(f"\n## {time.strftime('%Y-%m-%d')}, commit {commit}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.0f}, operators over {rows} generated rows in memory, best of {repeat}\n\n"
                    + "\n".join(table) + "\n")


if __name__ == "__main__":
    main()
