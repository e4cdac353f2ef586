# SPDX-License-Identifier: Apache-2.0
"""tests/crash/test_background.py - processes are killed while segments are merged, a spool is drained, or data is sealed anew: every
acknowledged row is there once, and after a revocation none.

    python3 test_background.py [--rounds N] [--seed S]      a failure prints the seed that repeats its schedule
The kill falls where the log says that a step is done; the steps one by one: tests/unit/storage/compact.c, commit.c, rewrap.c, spool.c.
"""
import os
import random
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "http"))
from keystead import PROGRAM, Server  # noqa: E402
from killed import Killed  # noqa: E402
from rounds import main, rounds_and_seed  # noqa: E402

ROUNDS, SEED = rounds_and_seed(3)
JOBS = ["merge", "drain", "rewrap"]
STEPS = {"merge": [("event=segment.written", 6), ("event=segment.written", 8), ("event=segments.merged", 1)],
         "drain": [('now="RESTORING"', 1), ("event=account.opened", 1), ("event=spool.put_back", 1)],
         "rewrap": [("event=segment.rewrapped", 1), ("event=segment.rewrapped", 2), ("event=segment.written", 1)]}


class Background(Killed, unittest.TestCase):
    def test_whoever_is_killed_in_a_merge_a_drain_or_a_rewrap_every_row_is_there_once_and_none_when_revoked(self):
        seed = SEED if SEED is not None else random.randrange(1 << 32)
        self.rnd = rnd = random.Random(seed)
        print(f"seed {seed}, {ROUNDS} rounds", flush=True)
        with Server("--virtual-clock") as s:
            self.begin(s)
            for i in range(ROUNDS):
                job = JOBS[i % len(JOBS)]
                step, nth = rnd.choice(STEPS[job])
                victim = rnd.choice(["logs", "logs", "logs", "keyd", "all"])
                self.where = f"seed {seed}, round {i}: {job}, killed {victim} at {step} no. {nth}"
                print(self.where, flush=True)
                getattr(self, job)(lambda: self.kill_at(step, victim, nth))
                self.reach("ACTIVE")
                self.check()
                if i % len(JOBS) == len(JOBS) - 1:
                    self.revoke()

    # --- what is killed -----------------------------------------------------------------------------------
    def flush(self):
        """A memtable is written when it is five minutes old."""
        def flushed():
            self.s.tokens = {}  # they grow old, also when the answer was lost
            self.s.turn(310)
            return True
        self.again(flushed, "the clock")

    def merge(self, kill):
        killer = kill()
        for _ in range(9):
            self.send(1)
            self.flush()
        killer.join()

    def drain(self, kill):
        self.send(1)
        self.take("outage")
        self.reach("SUSPENDED")
        self.send(4)
        killer = kill()
        self.give("outage")
        self.reach("ACTIVE")
        killer.join()

    def rewrap(self, kill):
        for _ in range(3):
            self.send(1)
            self.flush()
        killer = kill()
        self.again(lambda: self.keys("rotate-aek", "--cluster", "cluster1"), "a new key")
        self.again(lambda: self.keys("rewrap", "--cluster", "cluster1", "--data-too", "--no-wait"), "the order")
        killer.join()
        self.again(lambda: self.keys("rewrap", "--cluster", "cluster1", "--data-too"), "the end of it")

    def keys(self, *words):
        p = subprocess.run([PROGRAM, "keys", *words, "--data", self.s.data], capture_output=True, timeout=600)
        return p.returncode == 0

    # --- and then -----------------------------------------------------------------------------------------
    def revoke(self):
        self.take("revocation")
        self.reach("REVOKED")
        for kql in ("Back_CL | take 1", "Back_CL | count"):
            a = self.again(lambda: self.s.query(kql, self.w), "an answer")
            self.assertEqual((a.status, b"\"N\"" in a.body), (403, False), self.where)
        self.give("revocation")
        self.reach("ACTIVE")
        self.check()


if __name__ == "__main__":
    main()
