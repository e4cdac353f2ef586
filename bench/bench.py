#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bench/bench.py [--rows N] [--record] - start, ingestion, ten queries, rotation, revocation, in one run on generated rows.

--record adds the figures to bench/results.md with date and commit. Times are of this machine at this moment: only figures of one
run compare.
"""
import os
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "http"))
from keystead import PROGRAM, Server  # noqa: E402

QUERIES = [
    ("Q1 count", "T_CL | count"),
    ("Q2 count by status", "T_CL | summarize count() by Status"),
    ("Q3 rare substring in message", "T_CL | where Message contains 'quuxite-7731' | count"),
    ("Q3t rare token in message", "T_CL | where Message has 'quuxite' | count"),
    ("Q4 trace id, all columns", "T_CL | where TraceId == '{trace}'"),
    ("Q5 by service and hour: avg, p95", "T_CL | summarize avg(DurationMs), percentile(DurationMs, 95) by Service, bin(TimeGenerated, 1h)"),
    ("Q6 top 10 by duration, all columns", "T_CL | top 10 by DurationMs"),
    ("Q7 count of a regex over message", "T_CL | where Message matches regex @'timed out after [0-9]{{4,}} ms .*shard-1[0-9]\\b' | count"),
    ("Q8 1 % of the time, count by host", "T_CL | where TimeGenerated between (datetime({from_}) .. datetime({to})) | summarize count() by Host"),
    ("Q9 distinct users, exact", "T_CL | summarize count_distinct(UserId)"),
    ("Q9e distinct users, estimated", "T_CL | summarize dcount(UserId)"),
    ("Q10 newest 1,000 rows", "T_CL | top 1000 by TimeGenerated"),
]


def timed(f, *args):
    began = time.time()
    value = f(*args)
    return time.time() - began, value


def ingest(s, path):
    p = subprocess.run([PROGRAM, "ingest", "--data", s.data, "--workspace", "workspace1", "--table", "T_CL", path],
                       stdout=subprocess.PIPE, check=True)
    return p.stdout


def queries(s, w, n=7):
    trace = s.rows("T_CL | take 1 | project TraceId", w)[0][0]
    for name, text in QUERIES:
        text = text.format(trace=trace, from_="2026-03-01T10:00:00Z", to="2026-03-01T10:14:24Z")
        times = []
        for _ in range(n):
            took, a = timed(s.query, text, w)
            assert a.status == 200, a
            times.append(took * 1000)
        yield name, f"{statistics.median(times):.1f} ms (first {times[0]:.1f})"


def revocation(s, w, version):
    s.key("PATCH", f"/keys/k1/{version}", {"attributes": {"enabled": False}})
    off, _ = timed(s.wait, lambda: s.query("T_CL | count", w).status == 403, 60)
    s.key("PATCH", f"/keys/k1/{version}", {"attributes": {"enabled": True}})
    on, _ = timed(s.wait, lambda: s.query("T_CL | count", w).status == 200, 60)
    return off, on


def rotation(s):
    new = s.key("POST", "/keys/k1/rotate").json["key"]["kid"].rsplit("/", 1)[1]
    took, _ = timed(lambda: s.done(s.set_key(version=new)))
    return took, new


def stored_bytes(s):
    return sum(os.path.getsize(p) for p in s.files() if p.endswith(".seg"))


def run(rows):
    with tempfile.NamedTemporaryFile(suffix=".ndjson") as f:
        subprocess.run([PROGRAM, "gen", "--rows", str(rows)], stdout=f, check=True)
        raw = os.path.getsize(f.name)
        s = Server()
        took, _ = timed(s.start)
        try:
            yield "start to ready", f"{took:.2f} s"
            version = s.make_all()
            w = s.workspace_id()
            # The generated day is past: with the default of 30 days retention would take the rows away in the middle.
            s.done(s.arm("PATCH", s.workspace_path(), "2022-10-01", {"properties": {"retentionInDays": 730}}))
            took, _ = timed(ingest, s, f.name)
            yield f"ingestion over HTTPS, {raw / 1e6:.0f} MB of NDJSON, client and server on these cores", f"{raw / took / 1e6:.0f} MB/s"
            one = [timed(s.send, "T_CL", [{"Message": "one"}], w)[0] * 1000 for _ in range(50)]
            yield "one row sent, durable and queryable (new connection each)", f"p50 {statistics.median(one):.1f} ms, max {max(one):.1f} ms"
            s.stop()
            s.start()
            s.wait(lambda: s.query("T_CL | count", w).status == 200, 60)
            assert s.rows("T_CL | count", w)[0][0] == rows + len(one), "rows are missing"
            yield "raw / stored bytes of segments", f"{raw / max(stored_bytes(s), 1):.1f}"
            yield from queries(s, w)
            took, version = rotation(s)
            yield "rotation of the KEK, one account", f"{took * 1000:.0f} ms"
            off, on = revocation(s, w, version)
            yield "key disabled to first refused query, probe every 6 s", f"{off:.1f} s"
            yield "key enabled to first good query", f"{on:.1f} s"
        finally:
            s.close()


def main():
    rows = int(sys.argv[sys.argv.index("--rows") + 1]) if "--rows" in sys.argv else 600000
    lines = []
    for name, value in run(rows):
        print(f"{name:80} {value}", flush=True)
        lines.append(f"| {name} | {value} |")
    if "--record" in sys.argv:
        commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
        with open(os.path.join(ROOT, "bench", "results.md"), "a") as f:
            f.write(f"\n## {time.strftime('%Y-%m-%d')}, commit {commit}, {os.cpu_count()} cores, {rows} generated rows\n\n"
                    "| what | measured |\n|---|---|\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
