# SPDX-License-Identifier: Apache-2.0
"""Runs the ten queries over vectors in memory: our operators alone, and the peers that install, ClickHouse and DuckDB.

Ours is build/release/bench_kql: compile and run, no storage, no sealing, no HTTP. The peers come from npm (chdb,
@duckdb/node-api); with neither node nor network they are left out, and standard error says so. The engines take turns at each
query, round after round, so that all of them meet the same busy machine; the least of all runs counts: other work only adds.
"""
import os
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OURS = os.path.join(ROOT, "build", "release", "bench_kql")
PACKAGES = os.path.join(ROOT, "build", "peers")
ENGINES = ("keystead", "clickhouse", "duckdb")
IN_A_ROW = 3  # runs of one engine before it is the next one's turn


def peers_ready():
    if os.path.isdir(os.path.join(PACKAGES, "node_modules", "chdb")):
        return True
    os.makedirs(PACKAGES, exist_ok=True)
    npm = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", PACKAGES, "chdb", "@duckdb/node-api"]
    try:
        return subprocess.run(npm, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
    except FileNotFoundError:
        return False


class Engine:
    """A process that has the table loaded and answers questions."""

    def __init__(self, name, command, env=None):
        self.name = name
        self.p = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)

    def ask(self, times, query):
        """(least microseconds, least microseconds of processors, rows)"""
        print(f"{times}\t{query}", file=self.p.stdin, flush=True)
        return tuple(int(f) for f in self.p.stdout.readline().split("\t"))

    def close(self):
        self.p.stdin.close()
        self.p.wait()


def start(path):
    yield Engine("keystead", [OURS, path])
    if not peers_ready():
        print("chdb and @duckdb/node-api do not install here: no peers", file=sys.stderr)
        return
    for name in ENGINES[1:]:
        yield Engine(name, ["node", os.path.join(ROOT, "bench", "peers.mjs"), name, path, str(os.cpu_count())],
                     {**os.environ, "NODE_PATH": PACKAGES})


def keep_least(best, name, engine, us):
    best.setdefault(name, {})[engine] = min(us, best.get(name, {}).get(engine, us))


def run(path, rounds, asked):
    """Over the rows of a file {name: {engine: least microseconds}}, by the clock and by processors."""
    wall, cpu = {}, {}
    running = list(start(path))
    for _ in range(rounds):
        for name, (kql, sql_of) in asked.items():
            found = {}
            for e in running:
                clock, used, found[e.name] = e.ask(IN_A_ROW, kql if e.name == "keystead" else sql_of[e.name])
                keep_least(wall, name, e.name, clock)
                keep_least(cpu, name, e.name, used)
            assert len(set(found.values())) == 1, f"{name}: not the same number of rows: {found}"
    for e in running:
        e.close()
    return wall, cpu


def ratio(by, ours):
    """Best peer / ours as text: above 1 we are ahead."""
    best = min((v for k, v in by.items() if k != "keystead"), default=0)
    return f"{best / max(ours, 1):.1f}" if best else "-"


def record(title, text):
    """Adds a section with date, commit and load to bench/results.md."""
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    with open(os.path.join(ROOT, "bench", "results.md"), "a") as f:
        f.write(f"\n## {time.strftime('%Y-%m-%d')}, commit {commit}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.0f}, {title}\n\n{text}\n")
