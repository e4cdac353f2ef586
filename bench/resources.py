#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bench/resources.py [--record] - the resource plane: requests a second on one core, a long list, a start with many resources.

KEYSTEAD names the program, BENCH_REQUESTS the client (`make bench_requests` in a Release build directory). The server runs on one
core, the client on another. --record adds the figures to bench/results.md.
"""
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "http"))
from keystead import ARM, Server  # noqa: E402

CLIENT = os.environ.get("BENCH_REQUESTS", os.path.join(ROOT, "build", "release", "bench_requests"))
MANY, RESOURCES = 10000, 100000


def pin(s, core):
    for pid in s.pids().values():
        subprocess.run(["taskset", "-a", "-p", "-c", core, str(pid)], stdout=subprocess.DEVNULL, check=True)


def requests(s, method, path, body, threads, count):
    with tempfile.NamedTemporaryFile("w") as f:
        f.write(s.token(ARM, fresh=True))
        f.flush()
        out = subprocess.run(["taskset", "-c", "1", CLIENT, s.credentials["caFile"], f.name, method, s.credentials["endpoint"] + path, body,
                              str(threads), str(count)], stdout=subprocess.PIPE, check=True).stdout
    return json.loads(out)


def memory(s):
    """Resident MiB of the log service."""
    with open(f"/proc/{s.pids()['logs']}/status") as f:
        return int(next(x for x in f if x.startswith("VmRSS")).split()[1]) / 1024


def text(r):
    assert r["failed"] == 0, r
    return f"{r['perSecond']}/s, p50 {r['p50us'] / 1000:.2f} ms, p99 {r['p99us'] / 1000:.2f} ms"


def documents(s):
    """MANY workspaces and storage accounts up to RESOURCES, as the plane keeps them: (id, kind, document)."""
    group = s.group()
    for i in range(MANY):
        path = f"{group}/providers/Microsoft.OperationalInsights/workspaces/many{i}"
        yield path.lower(), "microsoft.operationalinsights/workspaces", {
            "id": path, "name": f"many{i}", "location": "westeurope", "customerId": str(uuid.uuid4()), "state": "Succeeded", "sku": "PerGB2018",
            "level": 0, "retention": 30, "ingestion": "Enabled", "query": "Enabled", "rule": f"{group}/dcr{i}", "created": 0, "modified": 0,
            "sized": 0, "etag": str(uuid.uuid4()), "features": {"enableLogAccessUsingOnlyResourcePermissions": True}}
    for i in range(RESOURCES - MANY):
        path = f"{group}/providers/Microsoft.Storage/storageAccounts/bench{i}"
        yield path.lower(), "microsoft.storage/storageaccounts", {
            "id": path, "name": f"bench{i}", "location": "westeurope", "kind": "StorageV2", "sku": "Standard_LRS", "created": 0,
            "tags": {"number": str(i)}}


def fill(s):
    """Straight into the stopped server's catalogue: to make so many by requests would take an hour."""
    db = sqlite3.connect(os.path.join(s.data, "catalog.db"))
    with db:
        db.executemany("INSERT INTO record(kind, id, parent, value) VALUES ('resource', ?, ?, ?)",
                       ((key, kind, json.dumps(doc).encode()) for key, kind, doc in documents(s)))
    db.close()


def main():
    figures = []

    def say(name, value):
        figures.append((name, value))
        print(f"{name:48} {value}", flush=True)
    with Server() as s:
        s.make_all()
        pin(s, "0")
        cluster = s.cluster_path() + "?api-version=2022-10-01"
        for threads in (1, 4):
            say(f"GET cluster, {threads} connection(s)", text(requests(s, "GET", cluster, "", threads, 2000 * threads)))
        body = json.dumps({"location": "westeurope"})
        again = s.workspace_path() + "?api-version=2022-10-01"
        say("PUT workspace that is there, 1 connection", text(requests(s, "PUT", again, body, 1, 300)))
        new = s.workspace_path("bench%d") + "?api-version=2022-10-01"
        say("PUT of new workspaces, 4 connections", text(requests(s, "PUT", new, body, 4, 500)))
        s.stop()
        fill(s)
        began = time.time()
        s.start()
        say(f"start with {RESOURCES} resources", f"{time.time() - began:.2f} s, {memory(s):.0f} MiB")
        before = memory(s)
        began = time.time()
        a = s.arm("GET", s.sub("/providers/Microsoft.OperationalInsights/workspaces"), "2022-10-01")
        took = time.time() - began
        say(f"list of {len(a.json['value'])} workspaces", f"{took * 1000:.0f} ms, {len(a.body) / 2**20:.1f} MiB; the log service grows from "
            f"{before:.0f} to {memory(s):.0f} MiB")
    if "--record" in sys.argv:
        commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, stdout=subprocess.PIPE, text=True).stdout.strip()
        with open(os.path.join(ROOT, "bench", "results.md"), "a") as f:
            f.write(f"\n## Resource plane, {time.strftime('%Y-%m-%d')}, {commit}, server on one core\n\n")
            f.writelines(f"- {name}: {value}\n" for name, value in figures)


if __name__ == "__main__":
    main()
