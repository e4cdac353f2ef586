#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bench/custody.py [--runs N] [--slow-runs N] [--accounts N,N,N] [--record] - how fast a denial bites, and what watching keys costs.

Disables and enables the customer's key in the embedded vault: time to the first refused query, and to the first good one, at a probe
every 6 s and every 60 s, from a random moment of the probe interval. Then the calls to the vault in ten minutes of virtual time, by
accounts. Cost of a rotation by accounts and by data: bench_layers.py. --record adds the figures to bench/results.md.
"""
import os
import random
import statistics
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "http"))
from keystead import Server  # noqa: E402


def option(name, default):
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else default


def until(s, w, status, limit):
    """Seconds until a query gets that status."""
    began = time.monotonic()
    while time.monotonic() - began < limit:
        if s.query("T_CL | count", w).status == status:
            return time.monotonic() - began
        time.sleep(0.02)
    raise AssertionError(f"no {status} within {limit} s")


def revocations(probe, runs):
    off, on = [], []
    with Server(probe=probe) as s:
        version = s.make_all()
        w = s.workspace_id()
        s.make_table("T_CL", {"N": "long"})
        assert s.send("T_CL", [{"N": n} for n in range(1000)], w).status == 204
        for _ in range(runs):
            time.sleep(random.uniform(0, probe))
            s.key("PATCH", f"/keys/k1/{version}", {"attributes": {"enabled": False}})
            off.append(until(s, w, 403, 3 * probe + 60))
            time.sleep(random.uniform(0, min(probe, 10)))
            s.key("PATCH", f"/keys/k1/{version}", {"attributes": {"enabled": True}})
            on.append(until(s, w, 200, 3 * probe + 60))
            assert s.rows("T_CL | count", w) == [[1000]]
    return off, on


def line(name, times):
    return f"| {name} | {statistics.median(times):.1f} s | {max(times):.1f} s | {len(times)} |"


def audit_events(s, names):
    """Lines of keyd's audit log, by event."""
    counts = dict.fromkeys(names, 0)
    folder = os.path.join(s.data, "keyd")
    for name in os.listdir(folder):
        if name.startswith("audit-"):
            with open(os.path.join(folder, name)) as f:
                for text in f:
                    for event in names:
                        counts[event] += f'"event":"{event}"' in text
    return counts


def calls_by_accounts(counts):
    with Server("--virtual-clock", probe=30) as s:
        s.make_all(key_version=False)
        s.settings(linkOperationsMax=1000)
        have = 1
        for n in counts:
            with ThreadPoolExecutor(4) as pool:
                list(pool.map(lambda i: s.make_workspace(f"many{i}"), range(have, n)))
            have = max(have, n)
            s.turn(120)
            before = audit_events(s, ("unwrap", "wrap"))
            for _ in range(10):
                s.turn(60)
            after = audit_events(s, ("unwrap", "wrap"))
            yield n, (after["unwrap"] - before["unwrap"]) / 10, (after["wrap"] - before["wrap"]) / 10


def main():
    found = {}
    threads = [threading.Thread(target=lambda p=p, n=n: found.update({p: revocations(p, n)}))
               for p, n in ((6, int(option("--runs", "20"))), (60, int(option("--slow-runs", "5"))))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    lines = ["| what | median | maximum | runs |", "|---|---|---|---|"]
    for probe in (6, 60):
        off, on = found[probe]
        lines.append(line(f"key disabled to first refused query, probe every {probe} s", off))
        lines.append(line(f"key enabled to first good query, probe every {probe} s", on))
    lines += ["", "| accounts of one cluster | unwraps a minute, platform included | wraps a minute |", "|---|---|---|"]
    for n, unwraps, wraps in calls_by_accounts([int(n) for n in option("--accounts", "1,100,1000").split(",")]):
        lines.append(f"| {n} | {unwraps:.1f} | {wraps:.1f} |")
    print("\n".join(lines), flush=True)
    if "--record" in sys.argv:
        commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
        with open(os.path.join(ROOT, "bench", "results.md"), "a") as f:
            f.write(f"\n## Custody, {time.strftime('%Y-%m-%d')}, commit {commit}, {os.cpu_count()} shared cores, load {os.getloadavg()[0]:.0f}\n\n"
                    "`make bench-custody`: one row group, a query every 20 ms over a new connection; the vault is the embedded one; probes have a\n"
                    "jitter of a tenth, and a denial is confirmed 2 s later.\n\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
