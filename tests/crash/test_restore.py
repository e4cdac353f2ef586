# SPDX-License-Identifier: Apache-2.0
"""tests/crash/test_restore.py - processes are killed while a key comes back, before it, and while it goes: every row is there once, or
counted as dropped.

    python3 test_restore.py [--rounds N] [--seed S]      a failure prints the seed that repeats its schedule
A round is an outage (rows are spooled) or a revocation (rows are dropped and counted); the kill falls on the lock, on what is sent
meanwhile, on the replay, or on the draining of the spool.
"""
import os
import random
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "http"))
from keystead import Server  # noqa: E402
from rounds import main, rounds_and_seed  # noqa: E402

ROUNDS, SEED = rounds_and_seed(4)
BATCH = 50


class Restore(unittest.TestCase):
    def test_whoever_is_killed_while_a_key_goes_or_comes_back_every_row_is_there_once_or_counted(self):
        seed = SEED if SEED is not None else random.randrange(1 << 32)
        self.rnd = rnd = random.Random(seed)
        print(f"seed {seed}, {ROUNDS} rounds", flush=True)
        with Server("--virtual-clock") as s:
            self.s, self.sent, self.dropped, self.kept = s, 0, 0, set()
            self.version = s.make_all()
            self.w = s.workspace_id()
            s.make_table("Back_CL", {"N": "long"})
            for i in range(ROUNDS):
                kind = ("outage", "revocation")[i % 2]
                moment = rnd.choice(["going", "away", "back", "back", "back"])
                victim = rnd.choice(["logs", "logs", "keyd", "vault", "identity", "all"])
                self.where = f"seed {seed}, round {i}: {kind}, killed {victim} while {moment}"
                print(self.where, flush=True)
                self.send(2)
                self.take(kind)
                if moment == "going":
                    self.kill(victim)
                self.reach("SUSPENDED" if kind == "outage" else "REVOKED")
                self.send(2)
                if moment == "away":
                    self.kill(victim)
                    self.reach("SUSPENDED" if kind == "outage" else "REVOKED")
                    self.send(1)
                self.give(kind)
                self.s.wait(lambda: self.turn() and self.row()["state"] != ("SUSPENDED" if kind == "outage" else "REVOKED")
                            if moment == "back" and rnd.random() < 0.5 else True, 60, self.where)
                if moment == "back":
                    self.kill(victim)
                self.reach("ACTIVE")
                self.check()

    # --- what is done to it -------------------------------------------------------------------------------
    def again(self, f, what="service"):
        """Until the server, which may be starting, answers."""
        def once():
            try:
                return f()
            except (OSError, AssertionError, KeyError, ValueError, StopIteration):
                return None
        return self.s.wait(once, 90, f"{what}, {self.where}")

    def kill(self, victim):
        time.sleep(self.rnd.uniform(0, 0.2))
        if victim == "all":
            self.s.kill()
            self.s.start()
        elif victim in self.s.pids():
            os.kill(self.s.pids()[victim], 9)

    def take(self, kind):
        if kind == "outage":
            return self.firewall("Deny")
        return self.again(lambda: self.enable(False))

    def give(self, kind):
        if kind == "outage":
            return self.firewall("Allow")
        return self.again(lambda: self.enable(True))

    def enable(self, on):
        a = self.s.key("PATCH", f"/keys/k1/{self.version}", {"attributes": {"enabled": on}})
        return a if a.status == 200 else None

    def firewall(self, action):
        path = self.s.group("/providers/Microsoft.KeyVault/vaults/kv1")
        acls = {"defaultAction": action, "bypass": "None", "ipRules": [], "virtualNetworkRules": []}
        self.again(lambda: self.s.done(self.s.arm("PATCH", path, "2022-07-01", {"properties": {"networkAcls": acls}})))

    def turn(self):
        try:
            self.s.call("POST", "/admin/clock", {"advanceSeconds": 3})
        except OSError:
            return False
        return True

    def row(self):
        rows = self.s.call("GET", "/admin/keys/status").json["accounts"]
        return next(x for x in rows if x.get("cluster") == "cluster1")

    def reach(self, state):
        def reached():
            if self.row()["state"] == state:
                return True
            self.turn()
            return False
        self.again(reached, state)

    # --- rows ---------------------------------------------------------------------------------------------
    def send(self, batches):
        for _ in range(batches):
            first, self.sent = self.sent, self.sent + BATCH
            rows = [{"N": n} for n in range(first, first + BATCH)]
            a = self.again(lambda: self.try_send(rows, f"batch-{first}"), "ingestion")
            if "x-keystead-dropped-rows" in a.headers:
                self.dropped += BATCH
            else:
                self.kept.update(range(first, first + BATCH))

    def try_send(self, rows, name):
        a = self.s.send("Back_CL", rows, self.w, request_id=name)
        return a if a.status == 204 else None

    def check(self):
        def numbers():
            a = self.s.query("Back_CL | project N", self.w)
            return [r[0] for r in a.json["tables"][0]["rows"]] if a.status == 200 else None
        found = self.again(numbers, "a query")
        self.assertEqual(len(found), len(set(found)), f"doubled, {self.where}")
        self.assertEqual(set(found), self.kept, self.where)
        row = self.again(self.row)
        self.assertEqual((row["dropped"], row["spool"]), (self.dropped, None), self.where)


if __name__ == "__main__":
    main()
