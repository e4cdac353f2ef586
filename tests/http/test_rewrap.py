# SPDX-License-Identifier: Apache-2.0
"""tests/http/test_rewrap.py - new account keys, new key versions, and old data under the customer's key."""
import json
import os
import subprocess
import threading
import unittest

from keystead import PROGRAM, Server

ROWS = 140000


def keys(s, *words):
    p = subprocess.run([PROGRAM, "keys", *words, "--data", s.data], capture_output=True, timeout=120, text=True)
    return p.returncode, p.stdout + p.stderr


def verify(s):
    p = subprocess.run([PROGRAM, "verify", "--data", s.data, "-o", "json"], capture_output=True, timeout=120)
    return p.returncode, json.loads(p.stdout)


class Rewrap(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.s = Server("--virtual-clock").__enter__()
        cls.version = cls.s.make_all(workspace="other", key_version=False)
        cls.s.make_workspace("workspace1", None)  # not linked yet: its rows lie under the platform's key
        cls.w = cls.s.workspace_id()
        cls.s.make_table("Old_CL", {"N": "long", "Text": "string"})
        for start in range(0, ROWS, 10000):
            cls.send(start, 10000)
        cls.s.wait(lambda: [p for p in cls.s.files() if p.endswith(".seg")], 60, "a segment")

    @classmethod
    def tearDownClass(cls):
        cls.s.close()

    @classmethod
    def send(cls, start, n):
        a = cls.s.send("Old_CL", [{"N": i, "Text": f"r{i % 97}"} for i in range(start, start + n)], cls.w)
        assert a.status == 204, a

    def sums(self):
        return self.s.rows("Old_CL | summarize count(), sum(N), dcount(N, 4)", self.w)[0]

    def expect(self, n):
        count, total, _ = self.sums()
        self.assertEqual((count, total), (n, n * (n - 1) // 2))

    def job(self):
        a = self.s.call("GET", "/admin/keys/rewrap")
        self.assertEqual(a.status, 200, a)
        return a.json["rewraps"][0]

    def account(self):
        status = self.s.call("GET", "/admin/keys/status").json
        return next(x for x in status["accounts"] if x["cluster"] == "cluster1" and x["workspaceId"] == self.w)

    def forget_ids(self):
        """Log files stay as long as somebody may send their batches again: five minutes."""
        a = self.s.call("POST", "/admin/clock", {"advanceSeconds": 400})
        self.assertEqual(a.status, 200, a)

    def segments(self):
        code, report = verify(self.s)
        self.assertEqual(code, 0, report["damages"])
        accounts = self.s.call("GET", "/admin/keys/status").json["accounts"]
        mine = {a["account"] for a in accounts if a["workspaceId"] == self.w}
        return [f for f in report["files"] if f["kind"] == "segment" and f["account"] in mine]

    def test_1_rows_of_before_the_link_move_under_the_customers_key_while_queries_run(self):
        self.s.link()
        self.send(ROWS, 10)
        self.assertEqual({f["account"] for f in self.segments()} & {self.account()["account"]}, set())
        wrong, stop = [], threading.Event()

        def query():
            while not stop.is_set():
                a = self.sums()
                if a[:2] != [ROWS + 10, (ROWS + 10) * (ROWS + 9) // 2]:
                    wrong.append(a)

        reader = threading.Thread(target=query)
        reader.start()
        code, text = keys(self.s, "rewrap", "--cluster", "cluster1", "--data-too")
        stop.set()
        reader.join()
        self.assertEqual(code, 0, text)
        self.assertIn("re-encrypted", text)
        self.assertEqual(wrong, [])
        self.assertEqual({f["account"] for f in self.segments()}, {self.account()["account"]})
        self.assertEqual(self.job()["segmentsLeft"] if self.job()["state"] == "Running" else 0, 0)
        self.forget_ids()
        self.s.wait(lambda: self.job()["state"] == "Succeeded", 30, "the end")
        self.expect(ROWS + 10)

    def test_2_a_new_account_key_seals_new_files_and_the_old_one_goes_with_its_data(self):
        before = self.account()["aeks"]
        code, text = keys(self.s, "rotate-aek", "--cluster", "cluster1")
        self.assertEqual(code, 0, text)
        self.assertIn("generation 2", text)
        aeks = self.account()["aeks"]
        self.assertEqual([a["generation"] for a in aeks], [1, 2])
        self.assertEqual(aeks[0]["aek"], before[0]["aek"])
        self.assertEqual(sum(w["count"] for w in self.account()["wraps"]), 2)
        self.send(ROWS + 10, 10)
        self.expect(ROWS + 20)
        code, report = verify(self.s)
        mine = next(a for a in report["accounts"] if a["account"] == self.account()["account"])
        self.assertEqual({x["aek"] for x in mine["aeks"]}, {a["aek"] for a in aeks})
        code, text = keys(self.s, "rewrap", "--cluster", "cluster1", "--data-too")
        self.assertEqual(code, 0, text)
        self.forget_ids()
        self.s.wait(lambda: self.job()["state"] == "Succeeded", 30, "the end")
        self.assertEqual([a["generation"] for a in self.account()["aeks"]], [2])
        self.assertEqual({f["aek"] for f in self.segments()}, {aeks[1]["aek"]})
        self.expect(ROWS + 20)
        audit = b""
        for path in self.s.files():
            if os.path.dirname(path).endswith("keyd"):
                with open(path, "rb") as f:
                    audit += f.read()
        for word in (b"aek.rotated", b"aek.dropped", b"scope.rewrapped", self.s.credentials["objectId"].encode()):
            self.assertIn(word, audit)

    def test_3_a_new_version_in_the_vault_is_followed_by_itself(self):
        old = self.account()["wraps"][0]["version"]
        made = self.s.key("POST", "/keys/k1/rotate")
        self.assertEqual(made.status, 200, made)
        new = made.json["key"]["kid"].rsplit("/", 1)[1]
        self.assertNotEqual(old, new)

        def counts():
            return {w["version"]: w["count"] for w in self.account()["wraps"]}
        for _ in range(10):
            if counts().get(new):
                break
            self.s.call("POST", "/admin/clock", {"advanceSeconds": 10})
        self.s.wait(lambda: counts().get(new) == 1, 30, "the new version")
        self.assertEqual(counts().get(old, 0), 0)
        self.s.key("PATCH", f"/keys/k1/{old}", {"attributes": {"enabled": False}})
        self.s.call("POST", "/admin/clock", {"advanceSeconds": 60})
        self.expect(ROWS + 20)  # nothing hangs on the old one

    def test_4_a_server_that_dies_meanwhile_goes_on_by_itself(self):
        keys(self.s, "rotate-aek", "--cluster", "cluster1")
        newest = self.account()["aeks"][-1]["aek"]
        for _ in range(3):
            code, text = keys(self.s, "rewrap", "--cluster", "cluster1", "--data-too", "--no-wait")
            self.assertEqual(code, 0, text)
            self.s.kill()
            self.s.start()
            self.s.wait(lambda: self.s.query("Old_CL | count", self.w).status == 200, 60, "the key")
            self.expect(ROWS + 20)
        self.s.wait(lambda: {f["aek"] for f in self.segments()} == {newest}, 60, "all segments under the new key")
        self.expect(ROWS + 20)

    def test_5_a_withdrawn_key_stops_it_and_it_goes_on_when_the_key_is_back(self):
        keys(self.s, "rotate-aek", "--workspace", "workspace1")
        newest = self.account()["aeks"][-1]["aek"]
        version = self.account()["wraps"][0]["version"]
        self.s.key("PATCH", f"/keys/k1/{version}", {"attributes": {"enabled": False}})
        for _ in range(10):
            self.s.call("POST", "/admin/clock", {"advanceSeconds": 10})
            if self.s.query("Old_CL | count", self.w).status == 403:
                break
        self.assertEqual(self.s.query("Old_CL | count", self.w).status, 403)  # rows of before the link too
        a = self.s.call("POST", "/admin/keys/rewrap", {"cluster": "cluster1", "dataToo": True})
        self.assertIn(a.status, (202, 409, 503), a)
        self.s.key("PATCH", f"/keys/k1/{version}", {"attributes": {"enabled": True}})
        self.s.call("POST", "/admin/clock", {"advanceSeconds": 60})
        self.s.wait(lambda: self.s.query("Old_CL | count", self.w).status == 200, 60, "the key")
        self.s.call("POST", "/admin/keys/rewrap", {"cluster": "cluster1", "dataToo": True})
        self.s.wait(lambda: {f["aek"] for f in self.segments()} == {newest}, 60, "all segments under the new key")
        self.expect(ROWS + 20)

    def test_6_orders_that_make_no_sense_are_refused(self):
        for body, status in (({}, 400), ({"cluster": "nobody"}, 404)):
            self.assertEqual(self.s.call("POST", "/admin/keys/rewrap", body).status, status)
            self.assertEqual(self.s.call("POST", "/admin/keys/rotate-aek", body).status, status)
        self.assertEqual(self.s.call("POST", "/admin/keys/rotate-aek", {"workspace": "nobody"}).status, 404)
        self.assertEqual(keys(self.s, "rotate-aek")[0], 2)
        self.assertEqual(keys(self.s, "rewrap")[0], 2)


class Age(unittest.TestCase):
    def test_account_keys_that_are_too_old_are_replaced_by_themselves(self):
        with Server("--virtual-clock", probe=60) as s:
            s.make_all()
            s.settings(accountKeyMaxAgeDays=1)

            def generation():
                accounts = s.call("GET", "/admin/keys/status").json["accounts"]
                return next(a for a in accounts if a["cluster"] == "cluster1")["aeks"][-1]["generation"]
            self.assertEqual(generation(), 1)
            s.turn(seconds=31 * 3600)  # it looks every six hours
            s.wait(lambda: generation() == 2, 60, "a new generation")


if __name__ == "__main__":
    unittest.main()
