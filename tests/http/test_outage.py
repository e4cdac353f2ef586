# SPDX-License-Identifier: Apache-2.0
"""tests/http/test_outage.py - the vault is away in every way there is: what each outage policy makes of it, and that all comes back."""
import glob
import os
import re
import subprocess
import threading
import unittest

from keystead import PROGRAM, Server
from middleman import Middleman

VERSION = "2022-10-01"
BOUND = {"probeInterval": "PT6S", "revocationBound": "PT12S"}  # a call to the vault may take 1.2 s


def audit_of(s):
    """The key-access audit log: every file of it."""
    text = ""
    for path in sorted(glob.glob(os.path.join(s.data, "keyd", "audit-*.log"))):
        with open(path, encoding="utf-8") as f:
            text += f.read()
    return text


class Outage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        s = cls.s = Server("--virtual-clock", "--faults", probe=30)
        s.options += ["--vault-listen", f"127.0.0.2:{s.vault_port}"]
        cls.man = Middleman(s.vault_port)
        s.__enter__()
        cls.version = s.make_all()
        cls.w = s.workspace_id()
        s.make_table("T_CL", {"N": "long"})
        cls.faults = f"https://localhost:{s.vault_port}/admin/faults"
        cls.sent = 0

    @classmethod
    def tearDownClass(cls):
        cls.man.mode("pass")
        cls.s.close()
        cls.man.close()

    def setUp(self):
        self.man.mode("pass")
        self.no_faults()
        self.policy(outagePolicy=None, outageGrace=None, retainMax=None)
        self.comes_back()

    # --- little things --------------------------------------------------------------------------------------
    def advance(self, seconds):
        a = self.s.call("POST", "/admin/clock", {"advanceSeconds": seconds}, timeout=120)
        self.assertEqual(a.status, 200, a)

    def policy(self, **properties):
        a = self.s.arm("PATCH", self.s.cluster_path(), VERSION, {"properties": {"keystead": {**BOUND, **properties}}})
        self.assertEqual(a.status, 200, a)
        return a.json["properties"]["keystead"]

    def shown(self):
        return self.s.arm("GET", self.s.cluster_path(), VERSION).json["properties"]["keystead"]

    def until(self, state, steps=8):
        """Turns the clock, a probe interval at a time, until the cluster is in the state."""
        for _ in range(steps):
            if self.shown()["state"] == state:
                return
            self.advance(7)
        self.fail(f"{self.shown()} and not {state}")

    def comes_back(self):
        self.until("ACTIVE")
        self.s.wait(lambda: self.s.query("T_CL | count", self.w).status == 200, 30, "service")

    def send(self):
        a = self.s.send("T_CL", [{"N": self.sent}], self.w)
        self.assertEqual(a.status, 204, a)
        self.assertNotIn("x-keystead-dropped-rows", a.headers)
        type(self).sent += 1

    def all_rows_are_there(self):
        self.assertEqual(self.s.rows("T_CL | summarize count(), dcount(N)", self.w), [[self.sent, self.sent]])

    def status(self):
        return subprocess.run([PROGRAM, "keys", "status", "--data", self.s.data], capture_output=True, text=True,
                              check=True).stdout

    def metric(self, name):
        text = self.s.raw("GET", self.s.credentials["endpoint"] + "/metrics").body.decode()
        return int(re.search(rf"^keystead_{name} (\d+)$", text, re.M).group(1))

    def audit(self):
        return audit_of(self.s)

    def fault(self, **f):
        a = self.s.call("POST", self.faults, {"vault": "kv1", **f})
        self.assertEqual(a.status, 201, a)

    def no_faults(self):
        self.assertEqual(self.s.call("DELETE", self.faults).status, 204)

    # --- retain ---------------------------------------------------------------------------------------------
    def nothing_is_noticed(self):
        self.until("STALE")
        self.send()
        self.all_rows_are_there()
        k = self.shown()
        self.assertEqual((k["outagePolicy"], k["boundInForce"]), ("retain", None))
        self.assertIn("not enforced while the vault is unreachable", k["notEnforced"])
        self.advance(14)
        self.all_rows_are_there()
        self.assertEqual(self.shown()["state"], "STALE")

    def test_retain_notices_nothing_when_the_vault_refuses_connections(self):
        self.man.mode("refuse")
        self.nothing_is_noticed()

    def test_retain_notices_nothing_when_the_vault_resets_them(self):
        self.man.mode("reset", "kv1")
        self.nothing_is_noticed()

    def test_retain_notices_nothing_when_the_vault_hangs_and_a_banner_says_so(self):
        self.man.mode("hang", "kv1")
        self.nothing_is_noticed()
        self.assertRegex(self.status(), r"cluster1: its vault is silent since 2.*revocation is not enforced")
        self.assertEqual(self.metric("vaults_silent"), 1)
        self.assertEqual(self.metric("revocation_not_enforced"), 1)
        self.assertGreater(self.metric("vaults_silent_seconds"), 14)

    def test_retain_notices_nothing_when_tls_fails(self):
        self.man.mode("garbage", "kv1")
        self.nothing_is_noticed()

    def test_retain_notices_nothing_when_the_vault_fails_inside_or_sends_half(self):
        self.fault(kind="error", status=503, operation="KeyUnwrap")
        self.nothing_is_noticed()
        self.no_faults()
        self.comes_back()
        self.fault(kind="half", operation="KeyUnwrap")
        self.nothing_is_noticed()

    def test_a_slow_vault_is_no_outage(self):
        self.policy(revocationBound="PT20S")  # a call may take 5.2 s
        self.man.mode("slow", "kv1")  # later than the first patience, sooner than the last
        for _ in range(2):
            self.advance(7)
            self.assertEqual(self.shown()["state"], "ACTIVE")
        self.send()
        self.all_rows_are_there()

    def test_a_throttled_vault_is_left_alone_as_long_as_it_asks(self):
        self.fault(kind="throttle", retryAfter=40, count=1, operation="KeyUnwrap")
        self.until("STALE")
        self.advance(20)
        self.assertEqual(self.shown()["state"], "STALE")  # it would have said yes
        self.send()
        self.until("ACTIVE")
        self.all_rows_are_there()

    def test_a_wrong_key_is_an_alarm_and_never_used(self):
        self.fault(kind="wrongKey", operation="KeyUnwrap")
        self.until("STALE")
        self.assertEqual(self.shown()["alarm"]["code"], "Mismatch")
        self.assertEqual(self.metric("key_alarms"), 1)
        self.assertIn("ALARM Mismatch", self.status())
        self.send()
        self.all_rows_are_there()

    def test_retain_max_is_the_end(self):
        self.policy(retainMax="PT30S")
        self.man.mode("reset", "kv1")
        self.until("STALE")
        self.assertEqual(self.shown()["boundInForce"], "PT30S")
        self.advance(32)
        self.is_suspended()
        self.man.mode("pass")
        self.comes_back()
        self.all_rows_are_there()

    # --- suspend --------------------------------------------------------------------------------------------
    def is_suspended(self):
        self.assertEqual(self.shown()["state"], "SUSPENDED")
        a = self.s.query("T_CL | count", self.w)
        self.assertEqual((a.status, a.json["error"]["code"]), (503, "ServiceUnavailable"), a)
        self.assertEqual(a.json["error"]["innererror"]["code"], "KeySuspended")
        self.assertGreater(int(a.headers["retry-after"]), 0)

    def test_suspend_serves_for_the_grace_answers_503_then_and_resumes_by_itself(self):
        self.policy(outagePolicy="suspend", outageGrace="PT30S")
        self.send()
        for mode in ("hang", "refuse"):
            self.man.mode(mode, None if mode == "refuse" else "kv1")
            self.until("STALE")
            self.assertEqual(self.shown()["boundInForce"], "PT30S")
            self.all_rows_are_there()
            self.advance(32)
            self.is_suspended()
            self.advance(14)
            self.is_suspended()
            self.man.mode("pass")
            self.comes_back()
            self.all_rows_are_there()

    def test_a_vault_that_flaps_faster_than_the_grace_is_not_noticed(self):
        self.policy(outagePolicy="suspend", outageGrace="PT2M")
        seen = set()
        for _ in range(3):
            self.man.mode("reset", "kv1")
            self.until("STALE")
            self.send()
            self.man.mode("pass")
            self.until("ACTIVE")
            self.send()
            seen.add(self.shown()["state"])
        self.assertEqual(seen, {"ACTIVE"})
        self.all_rows_are_there()

    def test_an_outage_never_reads_as_a_revocation(self):
        self.policy(outagePolicy="suspend", outageGrace="PT10S")
        before = self.audit().count('"now":"REVOKED"')
        self.man.mode("reset", "kv1")
        self.advance(40)
        self.is_suspended()
        self.assertEqual(self.audit().count('"now":"REVOKED"'), before)

    # --- queries that run at that moment --------------------------------------------------------------------
    LONG = "range x from 1 to 4000000000 step 1 | summarize sum(x)"  # minutes, if nobody stops it

    def answer_of_a_running_query(self, strike):
        answers = []
        t = threading.Thread(target=lambda: answers.append(self.s.query(self.LONG, self.w)))
        t.start()
        self.s.wait(lambda: self.metric("queries_running") == 1, 30, "the query's start")
        strike()
        t.join(60)
        self.assertEqual(len(answers), 1)
        return answers[0]

    def test_a_running_query_is_cancelled_with_503_when_the_policy_has_had_enough(self):
        self.policy(outagePolicy="suspend", outageGrace="PT10S")

        def strike():
            self.man.mode("reset", "kv1")
            self.advance(22)
        a = self.answer_of_a_running_query(strike)
        self.assertEqual((a.status, a.json["error"]["innererror"]["code"]), (503, "KeySuspended"), a)
        self.assertGreater(int(a.headers["retry-after"]), 0)

    def test_a_running_query_is_cancelled_with_403_when_the_key_is_disabled(self):
        def enable(on):
            a = self.s.key("PATCH", f"/keys/k1/{self.version}", {"attributes": {"enabled": on}})
            self.assertEqual(a.status, 200, a)

        def strike():
            enable(False)
            self.advance(12)
        try:
            a = self.answer_of_a_running_query(strike)
        finally:
            enable(True)
        self.assertEqual((a.status, a.json["error"]["code"]), (403, "InsufficientAccessError"), a)
        self.assertEqual(a.json["error"]["innererror"]["code"], "CustomerManagedKeyUnavailable")

    # --- the property ---------------------------------------------------------------------------------------
    def test_the_policy_is_set_without_the_vault_and_audited(self):
        self.man.mode("hang", "kv1")
        k = self.policy(outagePolicy="Suspend", outageGrace="PT1H", retainMax="P2D")
        self.assertEqual((k["outagePolicy"], k["outageGrace"], k["retainMax"]), ("suspend", "PT1H", "P2D"))
        self.assertEqual((k["probeInterval"], k["revocationBound"]), ("PT6S", "PT12S"))
        line = [x for x in self.audit().splitlines() if '"event":"scope.policy"' in x][-1]
        self.assertIn(f'"by":"{self.s.credentials["objectId"]}"', line)
        self.assertIn('"grace_s":3600', line)
        k = self.policy(retainMax=None, outageGrace=None)
        self.assertEqual((k["outagePolicy"], k["outageGrace"], k["retainMax"]), ("suspend", "PT30M", "none"))

    def test_a_put_that_does_not_know_the_policy_keeps_it(self):
        self.policy(outagePolicy="suspend", outageGrace="PT2H")
        c = self.s.arm("GET", self.s.cluster_path(), VERSION).json
        body = {"location": c["location"], "identity": {"type": "SystemAssigned"}, "sku": c["sku"],
                "properties": {"keyVaultProperties": c["properties"]["keyVaultProperties"]}}
        self.s.done(self.s.arm("PUT", self.s.cluster_path(), VERSION, body))
        self.assertEqual(self.shown()["outageGrace"], "PT2H")
        body["properties"]["keystead"] = self.shown()  # who sends back what he has read
        self.s.done(self.s.arm("PUT", self.s.cluster_path(), VERSION, body))
        self.assertEqual(self.shown()["outageGrace"], "PT2H")

    def test_what_does_not_fit_is_refused_and_nothing_changes(self):
        before = self.shown()
        for bad in ({"outagePolicy": "maybe"}, {"outageGrace": "P1Y"}, {"outageGrace": "PT0S"}, {"outageGrace": 30},
                    {"retainMax": "PT1S"}, {"revocationBound": "PT9S"}, {"probeInterval": "PT1M"}, {"grace": "PT1M"},
                    {"probeInterval": "PT6S", "revocationBound": "PT9S"}):
            a = self.s.arm("PATCH", self.s.cluster_path(), VERSION, {"properties": {"keystead": bad}})
            self.assertEqual((a.status, a.json["error"]["code"]), (400, "InvalidParameter"), (bad, a))
        after = self.shown()
        for name in ("outagePolicy", "outageGrace", "retainMax", "revocationBound", "probeInterval"):
            self.assertEqual(before[name], after[name])


class Seal(unittest.TestCase):
    """Identity None: lifted by an administrator's explicit word, and by nothing else."""

    def keys(self, *what):
        return subprocess.run([PROGRAM, "keys", *what, "--data", self.s.data], capture_output=True, text=True)

    def test_identity_none_is_lifted_only_by_an_audited_unlock(self):
        with Server() as s:
            self.s = s
            version = s.make_all()
            w = s.workspace_id()
            s.make_table("T_CL", {"N": "long"})
            self.assertEqual(s.send("T_CL", [{"N": 1}], w).status, 204)
            path = s.cluster_path()
            self.assertEqual(self.keys("unlock", "--cluster", "cluster1").returncode, 1)  # nothing to lift
            s.done(s.arm("PATCH", path, VERSION, {"identity": {"type": "None"}}))
            self.assertEqual(s.query("T_CL | count", w).status, 403)  # at once
            self.assertIn("sealed", self.keys("status").stdout)

            s.done(s.arm("PATCH", path, VERSION, {"identity": {"type": "SystemAssigned"}}))
            s.grant(s.arm("GET", path, VERSION).json["identity"]["principalId"])
            a = s.set_key("kv1", "k1", version)
            self.assertEqual((a.status, a.json["error"]["code"]), (400, "OperationNotAllowed"), a)
            self.assertEqual(s.query("T_CL | count", w).status, 403)

            p = self.keys("unlock", "--cluster", "CLUSTER1")
            self.assertEqual(p.returncode, 0, p.stderr)
            self.assertEqual(s.query("T_CL | count", w).status, 403)  # still without a key
            line = [x for x in audit_of(s).splitlines() if '"event":"scope.unlocked"' in x]
            self.assertEqual(len(line), 1)
            self.assertIn(f'"by":"{s.credentials["objectId"]}"', line[0])
            s.done(s.set_key("kv1", "k1", version))
            s.wait(lambda: s.query("T_CL | count", w).status == 200, 30, "restore")
            self.assertEqual(s.rows("T_CL | count", w), [[1]])
            self.assertEqual(self.keys("unlock", "--cluster", "nobody").returncode, 1)


if __name__ == "__main__":
    unittest.main()
