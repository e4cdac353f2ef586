# SPDX-License-Identifier: Apache-2.0
"""tests/crash/test_crash.py - processes are killed at random moments during ingestion; every acknowledged row is there, once.

    python3 test_crash.py [--rounds N] [--seed S]      a failure prints the seed that repeats its schedule
"""
import os
import random
import sys
import threading
import time
import unittest
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "http"))
from keystead import Server  # noqa: E402
from rounds import main, rounds_and_seed  # noqa: E402

ROUNDS, SEED = rounds_and_seed(6)


class Writer(threading.Thread):
    """Sends numbered batches, each again and again under its own name until it is acknowledged."""

    def __init__(self, s, workspace, first):
        super().__init__()
        self.s, self.w, self.next, self.stopping, self.acknowledged = s, workspace, first, False, []

    def run(self):
        while not self.stopping:
            batch = [{"N": n, "Text": f"row {n}"} for n in range(self.next, self.next + 50)]
            self.next += 50
            name = str(uuid.uuid4())
            while True:
                try:
                    if self.s.send("Crash_CL", batch, self.w, request_id=name, timeout=10).status == 204:
                        self.acknowledged += [r["N"] for r in batch]
                        break
                except OSError:
                    pass
                if self.stopping:
                    return  # neither acknowledged nor refused: it may be there
                time.sleep(0.05)


class Crash(unittest.TestCase):
    def test_every_acknowledged_row_is_there_once_whatever_is_killed(self):
        seed = SEED if SEED is not None else random.randrange(1 << 32)
        rnd = random.Random(seed)
        print(f"seed {seed}, {ROUNDS} rounds", flush=True)
        with Server() as s:
            s.make_all()
            w = s.workspace_id()
            s.make_table("Crash_CL", {"N": "long", "Text": "string"})
            acknowledged, sent = [], 0
            for i in range(ROUNDS):
                writers = [Writer(s, w, sent + k * 1000000) for k in range(3)]
                for t in writers:
                    t.start()
                time.sleep(rnd.uniform(0.3, 2.0))
                victim = rnd.choice(["logs", "logs", "keyd", "identity", "vault", "all"])
                if victim == "all":
                    s.kill()
                    s.start()
                else:
                    pid = s.pids().get(victim)
                    if pid:
                        os.kill(pid, 9)
                time.sleep(rnd.uniform(0.3, 2.0))
                for t in writers:
                    t.stopping = True
                for t in writers:
                    t.join()
                    acknowledged += t.acknowledged
                sent += 3000000
                self.check(s, w, acknowledged, seed, i, victim)

    def check(self, s, w, acknowledged, seed, i, victim):
        def answer():
            try:
                a = s.query("Crash_CL | summarize c=count() by N | summarize rows=sum(c), twice=countif(c > 1), distinct_n=count()", w)
                return a if a.status == 200 else None
            except OSError:
                return None
        rows, twice, distinct = s.wait(answer, 60, f"service after the death of {victim} (seed {seed}, round {i})").json["tables"][0]["rows"][0]
        where = f"seed {seed}, round {i}, killed {victim}: {rows} rows, {distinct} distinct, {len(acknowledged)} acknowledged"
        print(where, flush=True)
        self.assertEqual(twice, 0, where)
        self.assertGreaterEqual(distinct, len(set(acknowledged)), where)
        present = {r[0] for r in s.rows("Crash_CL | project N | take 500000", w)}
        self.assertEqual(sorted(set(acknowledged) - present)[:5], [], where)


if __name__ == "__main__":
    main()
