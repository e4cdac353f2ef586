# SPDX-License-Identifier: Apache-2.0
"""tests/http/test_revoked.py - while a key is in doubt, withdrawn, or another's: who waits, who is refused, what goes on."""
import threading
import time
import unittest

from keystead import Server


class Revoked(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.s = Server("--virtual-clock").__enter__()
        cls.version = cls.s.make_all()
        cls.w = cls.s.workspace_id()
        cls.s.make_table("Rows_CL", {"N": "long"})

    @classmethod
    def tearDownClass(cls):
        cls.s.close()

    def refused(self, table="Rows_CL", w=None):
        a = self.s.query(f"{table} | count", w or self.w)
        return a.status == 403 and a.json["error"]["innererror"]["code"] == "CustomerManagedKeyUnavailable"

    def wait(self, condition, what):
        """Turns the clock to the next probe until it is so."""
        def reached():
            if condition():
                return True
            self.s.call("POST", "/admin/clock", {"advanceSeconds": 3})
            return False
        self.s.wait(reached, 60, what)

    def enable(self, yes):
        self.s.key("PATCH", f"/keys/k1/{self.version}", {"attributes": {"enabled": yes}})
        if yes:
            self.wait(lambda: self.s.query("Rows_CL | count", self.w).status == 200, "restore")

    def state(self):
        rows = self.s.call("GET", "/admin/keys/status").json["accounts"]
        return next(x["state"] for x in rows if x.get("cluster") == "cluster1" and x["workspaceId"] == self.w)

    def test_1_rows_that_come_in_doubt_wait_for_the_verdict(self):
        kept = dropped = 0
        self.enable(False)
        until = time.time() + 300
        while dropped == 0 and time.time() < until:
            a = self.s.send("Rows_CL", [{"N": 1}], self.w)
            self.assertEqual(a.status, 204, a)  # never 503: neither lost nor left to the sender
            if "x-keystead-dropped-rows" in a.headers:
                dropped += 1
            else:
                kept += 1
        self.assertEqual((dropped, self.state()), (1, "REVOKED"))
        self.enable(True)
        self.assertEqual(self.s.rows("Rows_CL | count", self.w), [[kept]])

    def test_2_a_query_that_runs_ends_with_the_documented_403(self):
        for _ in range(4):
            self.assertEqual(self.s.send("Rows_CL", [{"N": n} for n in range(10000)], self.w).status, 204)
        answer = []
        slow = "Rows_CL | extend k = 1 | join kind=inner (Rows_CL | extend k = 1) on k | where N + N1 == -1 | count"
        t = threading.Thread(target=lambda: answer.append(self.s.query(slow, self.w)))
        t.start()
        time.sleep(1)
        self.assertEqual(answer, [])  # it runs
        self.enable(False)
        self.wait(self.refused, "revocation")
        t.join(300)
        self.assertEqual(answer[0].status, 403, answer[0])
        self.assertEqual(answer[0].json["error"]["innererror"]["code"], "CustomerManagedKeyUnavailable")
        self.enable(True)

    def test_3_what_needs_no_key_goes_on_while_it_is_withdrawn(self):
        self.s.make_workspace("doomed")
        doomed = self.s.workspace_id("doomed")
        self.s.make_table("Rows_CL", {"N": "long"}, "doomed")
        self.assertEqual(self.s.send("Rows_CL", [{"N": 1}], doomed).status, 204)
        self.enable(False)
        self.wait(self.refused, "revocation")
        a = self.s.arm("GET", self.s.workspace_path(), "2022-10-01")
        self.assertEqual(a.status, 200, a)
        a = self.s.arm("GET", self.s.workspace_path() + "/tables/Rows_CL", "2022-10-01")
        self.assertEqual(a.status, 200, a)
        self.assertEqual(self.s.arm("GET", self.s.cluster_path(), "2022-10-01").status, 200)
        self.assertEqual(self.state(), "REVOKED")
        self.s.done(self.s.arm("DELETE", self.s.workspace_path("doomed"), "2022-10-01"))
        self.assertEqual(self.s.arm("GET", self.s.workspace_path("doomed"), "2022-10-01").status, 404)
        self.enable(True)

    def test_4_a_workspace_that_was_unlinked_keeps_ingesting_when_its_old_key_goes(self):
        self.s.make_workspace("leaver")
        w = self.s.workspace_id("leaver")
        for table in ("Old_CL", "New_CL"):
            self.s.make_table(table, {"N": "long"}, "leaver")
        self.assertEqual(self.s.send("Old_CL", [{"N": 1}], w).status, 204)
        self.s.done(self.s.arm("DELETE", self.s.workspace_path("leaver") + "/linkedServices/cluster", "2020-08-01"))
        self.enable(False)
        self.wait(lambda: self.refused("Old_CL", w), "revocation")
        for table in ("Old_CL", "New_CL"):
            a = self.s.send(table, [{"N": 2}], w)
            self.assertEqual((a.status, a.headers.get("x-keystead-dropped-rows")), (204, None), a)
        self.assertTrue(self.refused("Old_CL", w))
        self.assertEqual(self.s.rows("New_CL | project N", w), [[2]])
        self.enable(True)
        self.assertEqual(self.s.rows("Old_CL | project N | sort by N asc", w), [[1], [2]])


if __name__ == "__main__":
    unittest.main()
