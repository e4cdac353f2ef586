#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bench/kql.py [--rows N] [--repeat N] [--record] - ten queries over vectors in memory, beside ClickHouse and DuckDB in one run.

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
    return int(sys.argv[sys.argv.index(name) + 1]) if name in sys.argv else default


def main():
    rows, repeat = option("--rows", 1800000), option("--repeat", 9)
    with tempfile.NamedTemporaryFile(suffix=".ndjson") as f:
        subprocess.run([PROGRAM, "gen", "--rows", str(rows)], stdout=f, check=True)
        trace = json.loads(open(f.name).readline())["TraceId"]
        took = engines.run(f.name, repeat, queries(trace))
    table = ["| query, in memory | Keystead ms | ClickHouse ms | DuckDB ms | best peer / Keystead |", "|---|---|---|---|---|"]
    for name, by in took.items():
        cells = [f"{by[e] / 1000:.2f}" if e in by else "-" for e in engines.ENGINES]
        table.append(f"| {name} | " + " | ".join(cells) + f" | {engines.ratio(by, by['keystead'])} |")
    print("\n".join(table))
    if "--record" in sys.argv:
        engines.record(f"operators over {rows} generated rows in memory, best of {repeat}", "\n".join(table))


if __name__ == "__main__":
    main()
