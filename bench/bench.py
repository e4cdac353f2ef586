#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bench/bench.py [--rows N] [--record] - start, ingestion, ten queries beside the peers, rotation, revocation, in one run on generated rows.

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

import engines  # noqa: E402
from queries import queries  # noqa: E402


def timed(f, *args):
    began = time.time()
    value = f(*args)
    return time.time() - began, value


def ingest(s, path):
    p = subprocess.run([PROGRAM, "ingest", "--data", s.data, "--workspace", "workspace1", "--table", "T_CL", path],
                       stdout=subprocess.PIPE, check=True)
    return p.stdout


def sealed(s, w, asked, n=7):
    """{name: least ms} of the queries over the sealed rows, timed at the client with a new connection each."""
    took = {}
    for name, (text, _) in asked.items():
        times = []
        for _ in range(n):
            ms, a = timed(s.query, text, w)
            assert a.status == 200, a
            times.append(ms * 1000)
        took[name] = min(times)
    return took


def beside_peers(ms, took):
    """The share of storage, sealing and transport is what is left of the whole without the operators' own work in memory."""
    lines = ["| query | Keystead sealed, HTTPS ms | operators alone ms | the rest ms | ClickHouse ms | DuckDB ms | best peer / operators | best peer / whole |",
             "|---|---|---|---|---|---|---|---|"]
    for name, by in took.items():
        own = by["keystead"] / 1000
        cells = [ms[name], own, max(ms[name] - own, 0)] + [by[e] / 1000 if e in by else None for e in engines.ENGINES[1:]]
        lines.append(f"| {name} | " + " | ".join("-" if c is None else f"{c:.2f}" for c in cells)
                     + f" | {engines.ratio(by, by['keystead'])} | {engines.ratio(by, ms[name] * 1000)} |")
    return "\n".join(lines)


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
            asked = queries(s.rows("T_CL | where isnotempty(TraceId) | take 1 | project TraceId", w)[0][0])
            ms = sealed(s, w, asked)
            took, version = rotation(s)
            yield "rotation of the KEK, one account", f"{took * 1000:.0f} ms"
            off, on = revocation(s, w, version)
            yield "key disabled to first refused query, probe every 6 s", f"{off:.1f} s"
            yield "key enabled to first good query", f"{on:.1f} s"
        finally:
            s.close()
        yield None, beside_peers(ms, engines.run(f.name, 3, asked)[0])


def main():
    rows = int(sys.argv[sys.argv.index("--rows") + 1]) if "--rows" in sys.argv else 600000
    lines, table = [], ""
    for name, value in run(rows):
        if name is None:
            table = value
            print("\n" + value)
            continue
        print(f"{name:80} {value}", flush=True)
        lines.append(f"| {name} | {value} |")
    if "--record" in sys.argv:
        engines.record(f"{rows} generated rows", "| what | measured |\n|---|---|\n" + "\n".join(lines) + "\n\n" + table)


if __name__ == "__main__":
    main()
