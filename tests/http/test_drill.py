# SPDX-License-Identifier: Apache-2.0
"""tests/http/test_drill.py - keystead drill: each rehearsal acts, measures, puts back and reports; also when it is interrupted."""
import json
import os
import re
import signal
import subprocess
import threading
import unittest

from keystead import PROGRAM, Server

VERSION = "2022-10-01"


class Drill(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.s = s = Server("--virtual-clock", "--faults", probe=6)
        s.__enter__()
        cls.version = s.make_all()
        cls.w = s.workspace_id()
        cls.stop = threading.Event()
        cls.ticker = threading.Thread(target=cls.tick)
        cls.ticker.start()

    @classmethod
    def tearDownClass(cls):
        cls.stop.set()
        cls.ticker.join()
        cls.s.close()

    @classmethod
    def tick(cls):
        """Probe intervals pass in a tenth of their time."""
        while not cls.stop.wait(0.1):
            cls.s.call("POST", "/admin/clock", {"advanceSeconds": 1}, timeout=120)

    def command(self, kind, *more):
        self.report = os.path.join(self.s.data, "report-" + self.id().rsplit(".", 1)[1])
        return [PROGRAM, "drill", kind, "--data", self.s.data, "--cluster", "cluster1", "--report", self.report, *more]

    def run_drill(self, kind, *more, code=0):
        p = subprocess.run(self.command(kind, "--yes", *more), capture_output=True, text=True, timeout=120)
        self.assertEqual(p.returncode, code, p.stdout + p.stderr)
        return p

    def result(self):
        with open(self.report + ".json", encoding="utf-8") as f:
            r = json.load(f)
        with open(self.report + ".txt", encoding="utf-8") as f:
            self.text = f.read()
        return r

    def enabled(self):
        return self.s.key("GET", f"/keys/k1/{self.version}").json["attributes"]["enabled"]

    def enable(self, on):
        a = self.s.key("PATCH", f"/keys/k1/{self.version}", {"attributes": {"enabled": on}})
        self.assertEqual(a.status, 200, a)

    def state(self):
        return self.s.arm("GET", self.s.cluster_path(), VERSION).json["properties"]["keystead"]["state"]

    def is_well(self):
        self.assertTrue(self.enabled())
        self.s.wait(lambda: self.state() == "ACTIVE" and self.s.query("print 1", self.w).status == 200, 30, "service")

    def passed(self, kind):
        r = self.result()
        self.assertEqual((r["drill"], r["outcome"], r["restored"], r["error"]), (kind, "passed", True, None))
        self.assertEqual([n["node"] for n in r["nodes"]], [self.s.credentials["endpoint"]])
        for n in r["nodes"]:
            self.assertGreater(n["enforcementMs"], 0)
            self.assertGreater(n["recoveryMs"], 0)
        self.assertIn("the previous state is restored", self.text)
        self.assertEqual(len(r["steps"]), 4)
        return r

    def test_revoke_measures_enforcement_and_recovery_and_enables_the_key_again(self):
        p = self.run_drill("revoke")
        r = self.passed("revoke")
        self.assertLess(r["nodes"][0]["enforcementMs"], r["revocationBoundSeconds"] * 1000)
        self.assertEqual([w["name"] for w in r["workspaces"]], ["workspace1"])
        self.assertIn("key disabled", p.stdout)
        self.is_well()

    def test_restore_starts_from_a_disabled_key_and_ends_with_one(self):
        p = self.run_drill("restore", code=1)
        self.assertIn("cannot start from here", p.stderr)
        self.enable(False)
        self.addCleanup(self.is_well)
        self.addCleanup(self.enable, True)
        self.s.wait(lambda: self.state() == "REVOKED", 30, "the revocation")
        self.run_drill("restore")
        self.passed("restore")
        self.assertFalse(self.enabled())
        self.assertEqual(self.s.query("print 1", self.w).status, 403)

    def test_rotate_goes_to_a_new_version_and_back(self):
        self.run_drill("rotate")
        self.passed("rotate")
        k = self.s.arm("GET", self.s.cluster_path(), VERSION).json["properties"]["keyVaultProperties"]
        self.assertEqual(k["keyVersion"], self.version)
        self.is_well()

    def test_outage_sees_the_policy_act_and_ends_the_faults(self):
        self.run_drill("outage")
        self.passed("outage")
        faults = f"https://localhost:{self.s.vault_port}/admin/faults"
        self.assertEqual(self.s.call("GET", faults).json["value"], [])
        policy = {"properties": {"keystead": {"outagePolicy": "suspend", "outageGrace": "PT20S"}}}
        self.assertEqual(self.s.arm("PATCH", self.s.cluster_path(), VERSION, policy).status, 200)
        self.run_drill("outage")
        r = self.passed("outage")
        self.assertEqual(r["outageSeconds"], 20)
        policy = {"properties": {"keystead": {"outagePolicy": None, "outageGrace": None}}}
        self.assertEqual(self.s.arm("PATCH", self.s.cluster_path(), VERSION, policy).status, 200)
        self.is_well()

    def test_it_asks_and_does_nothing_without_a_yes(self):
        for answer in ("", "n\n", "yes\n", "other\n"):
            p = subprocess.run(self.command("revoke"), input=answer, capture_output=True, text=True, timeout=60)
            self.assertEqual(p.returncode, 1, p.stdout + p.stderr)
            self.assertIn("nothing was done", p.stderr)
        self.assertTrue(self.enabled())
        p = subprocess.run(self.command("revoke"), input="cluster1\n", capture_output=True, text=True, timeout=60)
        self.assertEqual(p.returncode, 0, p.stdout + p.stderr)
        self.is_well()

    def test_ctrl_c_puts_the_previous_state_back(self):
        p = subprocess.Popen(self.command("revoke", "--yes"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while "key disabled" not in p.stdout.readline():
            self.assertIsNone(p.poll())
        p.send_signal(signal.SIGINT)
        out, err = p.communicate(timeout=60)
        self.assertEqual(p.returncode, 1, out + err)
        r = self.result()
        self.assertEqual((r["outcome"], r["restored"]), ("interrupted", True), out + err)
        self.is_well()

    def test_a_wait_that_ends_too_early_puts_the_previous_state_back_too(self):
        self.stop.set()  # time stands nearly still
        self.ticker.join()
        try:
            p = self.run_drill("outage", "--timeout", "1", code=1)
        finally:
            self.stop.clear()
            type(self).ticker = threading.Thread(target=self.tick)
            self.ticker.start()
        self.assertRegex(p.stderr, re.compile("nothing changed within 1 s"))
        r = self.result()
        self.assertEqual((r["outcome"], r["restored"]), ("failed", True))
        self.is_well()

    def test_wrong_words_are_usage_and_a_cluster_that_is_not_there_is_a_failure(self):
        for wrong in (["explode"], []):
            p = subprocess.run([PROGRAM, "drill", *wrong, "--data", self.s.data, "--cluster", "cluster1"], capture_output=True,
                               timeout=60)
            self.assertEqual(p.returncode, 2)
        p = subprocess.run([PROGRAM, "drill", "revoke", "--data", self.s.data, "--cluster", "nobody", "--yes"],
                           capture_output=True, text=True, timeout=60)
        self.assertEqual(p.returncode, 1)
        self.assertIn("no cluster named nobody", p.stderr)


if __name__ == "__main__":
    unittest.main()
