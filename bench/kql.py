#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bench/kql.py [--rows N] [--rounds N] [--only Q7,Q8] [--record] - ten queries over vectors in memory, beside ClickHouse and DuckDB.

--record adds the table to bench/results.md.
"""
import json
import os
import subprocess
import sys
import tempfile

import engines
from queries import queries

PROGRAM = os.path.join(engines.ROOT, "build", "release", "keystead")


def option(name, default):
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else default


def main():
    rows, rounds, only = int(option("--rows", 1800000)), int(option("--rounds", 7)), option("--only", None)
    with tempfile.NamedTemporaryFile(suffix=".ndjson") as f:
        subprocess.run([PROGRAM, "gen", "--rows", str(rows)], stdout=f, check=True)
        trace = json.loads(open(f.name).readline())["TraceId"]
        asked = {n: q for n, q in queries(trace).items() if only is None or n.split()[0] in only.split(",")}
        wall, cpu = engines.run(f.name, rounds, asked)
    table = ["| query, in memory | Keystead ms | ClickHouse ms | DuckDB ms | best peer / Keystead | by CPU time |", "|---|---|---|---|---|---|"]
    for name, by in wall.items():
        cells = [f"{by[e] / 1000:.2f}" if e in by else "-" for e in engines.ENGINES]
        cells += [engines.ratio(by, by["keystead"]), engines.ratio(cpu[name], cpu[name]["keystead"])]
        table.append(f"| {name} | " + " | ".join(cells) + " |")
    print("\n".join(table))
    if "--record" in sys.argv:
        engines.record(f"operators over {rows} generated rows in memory, least of {rounds * engines.IN_A_ROW} runs, engines in turn",
                       "\n".join(table))


if __name__ == "__main__":
    main()
