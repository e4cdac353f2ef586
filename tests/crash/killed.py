# SPDX-License-Identifier: Apache-2.0
"""tests/crash/killed.py - a cluster whose processes are killed, and what was acknowledged of its rows."""
import os
import threading
import time

BATCH = 50


class Killed:
    """A test has .rnd and .where, and calls begin()."""

    def begin(self, s):
        self.s, self.sent, self.dropped, self.kept = s, 0, 0, set()
        self.version = s.make_all()
        self.w = s.workspace_id()
        s.make_table("Back_CL", {"N": "long"})

    # --- what is done to it -------------------------------------------------------------------------------
    def again(self, f, what="service"):
        """Until the server, which may be starting, answers."""
        def once():
            try:
                return f()
            except (OSError, AssertionError, KeyError, ValueError, StopIteration):
                return None
        return self.s.wait(once, 60, f"{what}, {self.where}")

    def kill(self, victim, within_s=0.2):
        time.sleep(self.rnd.uniform(0, within_s))
        if victim == "all":
            self.s.kill()
            self.s.start()
        elif victim in self.s.pids():
            os.kill(self.s.pids()[victim], 9)

    def kill_at(self, step, victim, nth=1, within_s=0.01):
        """Once the log says so for the n-th time, or after a while without it: a thread to be joined."""
        start = os.path.getsize(self.s.log.name)

        def wait():
            until, text = time.time() + 20, b""
            with open(self.s.log.name, "rb") as f:
                f.seek(start)
                while text.count(step.encode()) < nth and time.time() < until:
                    text += f.read()
                    time.sleep(0.001)
            self.kill(victim, within_s)

        t = threading.Thread(target=wait)
        t.start()
        return t

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
