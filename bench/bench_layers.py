#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bench/bench_layers.py [--accounts N,N,N] [--rows N] - what encryption and rotation cost, in one run.

Ingestion and reading with no, one and two layers (bench/layers.c, in this process alone); then the rotation of a cluster's key for 1,
100 and 1,000 accounts, and for one account with no rows and with N rows: vault calls, not data, are what it costs.
"""
import os
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "http"))
from keystead import Server  # noqa: E402


def option(name, default):
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else default


def rotate(s):
    """A new version in the vault, then the order to wrap everything under it: seconds, wraps."""
    made = s.key("POST", "/keys/k1/rotate")
    assert made.status == 200, made
    began = time.time()
    a = s.call("POST", "/admin/keys/rewrap", {"cluster": "cluster1"}, timeout=600)
    took = time.time() - began
    assert a.status == 200, a
    return took, a.json["wraps"]


def fill(s, rows):
    w = s.workspace_id()
    s.make_table("Much_CL", {"N": "long", "Text": "string"})
    for start in range(0, rows, 5000):
        a = s.send("Much_CL", [{"N": n, "Text": f"words of row {n} " * 4} for n in range(start, start + 5000)], w)
        assert a.status == 204, a


def with_accounts(counts, rows):
    with Server(probe=60) as s:
        s.make_all(key_version=False)
        s.settings(linkOperationsMax=1000)
        empty = [rotate(s) for _ in range(5)]
        yield "rotation, 1 account, no rows", statistics.median(t for t, _ in empty), empty[0][1]
        fill(s, rows)
        full = [rotate(s) for _ in range(5)]
        yield f"rotation, 1 account, {rows} rows", statistics.median(t for t, _ in full), full[0][1]
        have = 1
        for n in counts:
            with ThreadPoolExecutor(4) as pool:
                list(pool.map(lambda i: s.make_workspace(f"many{i}"), range(have, n)))
            have = max(have, n)
            took, wraps = rotate(s)
            yield f"rotation, {n} accounts", took, wraps


def main():
    program = os.environ.get("BENCH_LAYERS", os.path.join(ROOT, "build", "release", "bench_layers"))
    if os.path.exists(program):
        print(subprocess.run([program], check=True, capture_output=True, text=True).stdout, flush=True)
    counts = [int(n) for n in option("--accounts", "1,100,1000").split(",")]
    for name, took, wraps in with_accounts(counts, int(option("--rows", "500000"))):
        print(f"{name}: {took * 1000:.0f} ms, {wraps} wraps, {took * 1000 / max(wraps, 1):.1f} ms each", flush=True)


if __name__ == "__main__":
    main()
