# SPDX-License-Identifier: Apache-2.0
"""tests/http/test_spool.py - an outage that locks: rows are spooled, put back once, or destroyed and counted."""
import json
import os
import subprocess
import unittest

from keystead import PROGRAM, Server


class Spool(unittest.TestCase):
    """A firewall in front of the vault suspends, whatever the policy."""

    @classmethod
    def setUpClass(cls):
        cls.s = Server("--virtual-clock").__enter__()
        cls.version = cls.s.make_all()
        cls.w = cls.s.workspace_id()
        cls.s.make_table("Canary_CL", {"Word": "string", "Number": "long"})
        cls.sent = 0

    @classmethod
    def tearDownClass(cls):
        cls.s.close()

    def row(self):
        """Of the cluster's account."""
        rows = self.s.call("GET", "/admin/keys/status").json["accounts"]
        return next(x for x in rows if x.get("cluster") == "cluster1")

    def state(self, wanted, timeout=60):
        """Turns the clock to the next probe until it is so."""
        def reached():
            if self.row()["state"] == wanted:
                return True
            self.s.call("POST", "/admin/clock", {"advanceSeconds": 3})
            return False
        self.s.wait(reached, timeout, wanted)

    def firewall(self, closed):
        path = self.s.group("/providers/Microsoft.KeyVault/vaults/kv1")
        acls = {"defaultAction": "Deny" if closed else "Allow", "bypass": "None", "ipRules": [], "virtualNetworkRules": []}
        self.s.done(self.s.arm("PATCH", path, "2022-07-01", {"properties": {"networkAcls": acls}}))

    def access(self, verb):
        a = self.s.arm("GET", self.s.cluster_path(), "2022-10-01")
        self.s.grant(a.json["identity"]["principalId"], verb=verb)

    def send(self, n=3, **more):
        first = self.sent
        a = self.s.send("Canary_CL", [{"Word": "spool-canary", "Number": first + i} for i in range(n)], self.w, **more)
        if a.status == 204 and "x-keystead-dropped-rows" not in a.headers:
            type(self).sent += n
        return a

    def numbers(self):
        return [r[0] for r in self.s.rows("Canary_CL | project Number | sort by Number asc", self.w)]

    def all_once(self):
        self.assertEqual(self.numbers(), list(range(self.sent)))

    def test_1_rows_of_an_outage_are_acknowledged_and_come_back_once(self):
        self.assertEqual(self.send().status, 204)
        self.firewall(True)
        self.state("SUSPENDED")
        self.assertEqual(self.s.query("Canary_CL | count", self.w).status, 503)
        for _ in range(3):
            self.assertEqual(self.send(request_id="outage-one").status, 204)
        spool = self.row()["spool"]
        self.assertEqual(spool["rows"], 9, spool)
        self.assertIn("operator", spool["note"])
        p = subprocess.run([PROGRAM, "verify", "--data", self.s.data, "-o", "json"], capture_output=True, timeout=60)
        waiting = [f for f in json.loads(p.stdout)["files"] if f["kind"] == "spool"]
        self.assertEqual([f["result"] for f in waiting], ["ok"] * 2, waiting)  # the slot, and a file
        self.assertTrue(sum(f["blocks"] for f in waiting) >= 3 and all("keystead-platform" in f["kek"] for f in waiting), waiting)
        for path in self.s.files():
            with open(path, "rb") as f:
                self.assertNotIn(b"spool-canary", f.read(), path)
        self.firewall(False)
        self.state("ACTIVE")
        self.all_once()
        self.assertIsNone(self.row()["spool"])
        self.assertEqual(self.row()["dropped"], 0)

    def test_2_a_batch_sent_again_across_outage_and_kill_is_there_once(self):
        rows = [{"Word": "again", "Number": self.sent}]
        self.firewall(True)
        self.state("SUSPENDED")
        self.assertEqual(self.s.send("Canary_CL", rows, self.w, request_id="twice").status, 204)
        os.kill(self.s.pids()["logs"], 9)

        def sent_again():
            try:
                return self.s.send("Canary_CL", rows, self.w, request_id="twice").status == 204
            except OSError:
                return False
        self.s.wait(sent_again, 60, "the log service's return")
        self.assertEqual(self.row()["spool"]["rows"], 1)
        type(self).sent += 1
        self.firewall(False)
        self.state("ACTIVE")
        self.all_once()
        self.assertEqual(self.s.send("Canary_CL", rows, self.w, request_id="twice").status, 204)
        self.all_once()

    def test_3_a_kill_of_everything_in_an_outage_loses_nothing(self):
        self.firewall(True)
        self.state("SUSPENDED")
        self.assertEqual(self.send(5).status, 204)
        self.s.kill()
        self.s.start()
        self.state("SUSPENDED")
        self.assertEqual(self.send(5).status, 204)
        self.firewall(False)
        self.state("ACTIVE")
        self.all_once()

    def test_4_a_denial_destroys_what_was_spooled_and_counts_it(self):
        self.firewall(True)
        self.state("SUSPENDED")
        before = self.sent
        self.assertEqual(self.send(7).status, 204)
        type(self).sent = before
        self.access("remove")
        self.firewall(False)
        self.state("REVOKED")
        slots = [p for p in self.s.files() if p.endswith("/slot")]
        self.assertTrue(slots)
        for path in slots:
            with open(path, "rb") as f:
                self.assertEqual(f.read(), bytes(4096), path)
        self.s.wait(lambda: self.row()["dropped"] == 7, 20, "the count")
        self.assertIsNone(self.row()["spool"])
        lost = [x for x in self.row()["droppedByTable"] if x["reason"] == "spoolDestroyed"]
        self.assertEqual([(x["name"], x["rows"]) for x in lost], [("Canary_CL", 7)])
        a = self.send(2)
        self.assertEqual(a.headers.get("x-keystead-dropped-rows"), "2", a)
        metrics = self.s.raw("GET", self.s.credentials["endpoint"] + "/metrics").body.decode()
        self.assertRegex(metrics, r'keystead_rows_dropped_total\{table="[0-9a-f-]{36}",reason="spoolDestroyed"\} 7\n')
        self.assertRegex(metrics, r'keystead_rows_dropped_total\{table="[0-9a-f-]{36}",reason="keyRevoked"\} 2\n')
        self.access("add")
        self.state("ACTIVE")
        self.all_once()

    def test_5_a_full_spool_says_when_to_come_again(self):
        self.s.stop()
        self.s.options += ["--spool-bytes", "20000"]
        self.s.start()
        self.state("ACTIVE")
        self.firewall(True)
        self.state("SUSPENDED")
        for _ in range(100):
            a = self.send(50)
            if a.status != 204:
                break
        self.assertEqual((a.status, a.headers.get("retry-after")), (503, "60"), a)
        self.assertIn("full", json.loads(a.body)["error"]["message"])
        self.firewall(False)
        self.state("ACTIVE")
        self.all_once()


if __name__ == "__main__":
    unittest.main()
