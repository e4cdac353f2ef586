# SPDX-License-Identifier: Apache-2.0
"""Runs the ten queries over vectors in memory: our operators alone, and the peers that install, ClickHouse and DuckDB.

Ours is build/release/bench_kql: compile and run, no storage, no sealing, no HTTP. The peers come from npm (chdb,
@duckdb/node-api); with neither node nor network they are left out, and standard error says so.
"""
import json
import os
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OURS = os.path.join(ROOT, "build", "release", "bench_kql")
PACKAGES = os.path.join(ROOT, "build", "peers")
ENGINES = ("keystead", "clickhouse", "duckdb")


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


def run(path, repeat, asked):
    """{name: {engine: least microseconds}} of every query over the rows of a file."""
    ours = [OURS, path, str(repeat)] + [x for name, (kql, _) in asked.items() for x in (name, kql)]
    took, found = measured(subprocess.run(ours, stdout=subprocess.PIPE, check=True, text=True).stdout, 1)
    if not peers_ready():
        print("chdb and @duckdb/node-api do not install here: no peers", file=sys.stderr)
        return took
    p = subprocess.run(["node", os.path.join(ROOT, "bench", "peers.mjs"), path, str(repeat), str(os.cpu_count())],
                       input=json.dumps({n: s for n, (_, s) in asked.items()}), stdout=subprocess.PIPE, check=True, text=True,
                       env={**os.environ, "NODE_PATH": PACKAGES})
    theirs, they_found = measured(p.stdout, 2)
    for name, by in they_found.items():
        assert set(by.values()) == {found[name]["keystead"]}, f"{name}: {by} rows, not {found[name]['keystead']}"
        took[name].update(theirs[name])
    return took


def ratio(by, ours):
    """Best peer / ours as text: above 1 we are ahead."""
    best = min((v for k, v in by.items() if k != "keystead"), default=0)
    return f"{best / max(ours, 1):.1f}" if best else "-"


def record(title, text):
    """Adds a section with date, commit and load to bench/results.md."""
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    with open(os.path.join(ROOT, "bench", "results.md"), "a") as f:
        f.write(f"\n## {time.strftime('%Y-%m-%d')}, commit {commit}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.0f}, {title}\n\n{text}\n")
