# SPDX-License-Identifier: Apache-2.0
"""tests/crash/test_operations.py - everything is killed in the middle of each kind of asynchronous operation: none is forgotten.

    python3 test_operations.py [--rounds N] [--seed S]      a failure prints the seed that repeats its schedule
"""
import os
import random
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "http"))
from keystead import Server  # noqa: E402
from rounds import main, rounds_and_seed  # noqa: E402

ROUNDS, SEED = rounds_and_seed(4)
V = "2022-10-01"
LASTS = ("clusterCreateSeconds", "keyUpdateSeconds", "clusterDeleteSeconds", "linkSeconds", "unlinkSeconds",
         "workspaceCreateSeconds", "groupDeleteSeconds")


class Operations(unittest.TestCase):
    def setUp(self):
        self.s = Server().__enter__()
        self.version = self.s.make_all(workspace="linked0001")

    def tearDown(self):
        self.s.close()

    def body(self):
        return {"location": "westeurope", "identity": {"type": "SystemAssigned"}, "sku": {"name": "CapacityReservation", "capacity": 500}}

    def make_cluster(self, name):
        self.s.done(self.s.arm("PUT", self.s.cluster_path(name), V, self.body()))

    def link_path(self, workspace):
        return self.s.workspace_path(workspace) + "/linkedServices/cluster"

    def restart(self):
        self.s.kill()
        self.s.start()

    def state(self, path):
        """provisioningState, "" for what is not there."""
        a = self.s.arm("GET", path, V)
        self.assertIn(a.status, (200, 404), a)
        return a.json["properties"]["provisioningState"] if a.status == 200 else ""

    def ends(self, path, *allowed):
        """Waits until nothing goes on with it, and says how it ended."""
        end = self.s.wait(lambda: [x for x in [self.state(path)] if x in ("", "Succeeded", "Failed")], 60, f"the end of {path}")[0]
        self.assertIn(end, allowed, path)
        return end

    def test_what_waits_for_its_time_goes_on_after_a_crash(self):
        s = self.s
        s.grant(s.arm("GET", s.cluster_path(), V).json["identity"]["principalId"])
        for name in ("todelete", "torecover", "toupdate"):
            self.make_cluster(name)
        s.grant(s.arm("GET", s.cluster_path("toupdate"), V).json["identity"]["principalId"])
        s.done(s.arm("DELETE", s.cluster_path("torecover"), V))
        for name in ("tolink0001", "tounlink01"):
            s.make_workspace(name, None)
        s.link("tounlink01")
        s.done(s.arm("PUT", s.group(group="togo"), "2021-04-01", {"location": "westeurope"}))
        s.make_workspace("insidegroup", None, "togo")
        s.settings(**{name: 3 for name in LASTS})
        started = [s.arm("PUT", s.cluster_path("created1"), V, self.body()), s.set_key(version=self.version, cluster="toupdate"),
                   s.arm("DELETE", s.cluster_path("todelete"), V), s.arm("POST", s.cluster_path("torecover") + "/recover", V, {}),
                   s.arm("PUT", self.link_path("tolink0001"), V, {"properties": {"writeAccessResourceId": s.cluster_path()}}),
                   s.arm("DELETE", self.link_path("tounlink01"), V),
                   s.arm("PUT", s.workspace_path("created01"), V, {"location": "westeurope"})]
        group = s.arm("DELETE", s.group(group="togo"), "2021-04-01")
        for a in started + [group]:
            self.assertIn(a.status, (201, 202), a)
        self.restart()
        self.assertEqual(self.state(s.cluster_path("todelete")), "Deleting")
        for a in started:
            self.assertEqual(s.follow(a)["status"], "Succeeded", a)
        s.wait(lambda: s.call("GET", group.headers["location"]).status == 200, 30, "the group's end")
        for path, end in ((s.cluster_path("created1"), "Succeeded"), (s.cluster_path("toupdate"), "Succeeded"), (s.cluster_path("todelete"), ""),
                          (s.cluster_path("torecover"), "Succeeded"), (self.link_path("tolink0001"), "Succeeded"),
                          (self.link_path("tounlink01"), ""), (s.workspace_path("created01"), "Succeeded")):
            self.assertEqual(self.state(path), end, path)
        self.assertEqual(s.arm("GET", s.cluster_path("toupdate"), V).json["properties"]["keyVaultProperties"]["keyName"], "k1")
        self.assertEqual(s.arm("HEAD", s.group(group="togo"), "2021-04-01").status, 404)
        features = s.arm("GET", s.workspace_path("tolink0001"), V).json["properties"]["features"]
        self.assertEqual(features["clusterResourceId"], s.cluster_path())

    def test_whatever_is_killed_when_every_operation_ends_and_can_be_asked_for_again(self):
        seed = SEED if SEED is not None else random.randrange(1 << 32)
        rnd = random.Random(seed)
        print(f"seed {seed}, {ROUNDS} rounds", flush=True)
        s = self.s
        s.settings(linkOperationsMax=1000)
        for i in range(ROUNDS):
            names = {"cluster": f"round{i}", "workspace": f"round{i}work", "gone": f"gone{i}"}
            self.make_cluster(names["gone"])
            s.make_workspace(names["workspace"] + "2", None)
            requests = [("PUT", s.cluster_path(names["cluster"]), self.body()), ("DELETE", s.cluster_path(names["gone"]), None),
                        ("PUT", s.workspace_path(names["workspace"]), {"location": "westeurope"}),
                        ("PUT", self.link_path(names["workspace"] + "2"), {"properties": {"writeAccessResourceId": s.cluster_path()}}),
                        ("PATCH", s.cluster_path(), {"properties": {"keyVaultProperties": {
                            "keyVaultUri": s.vault_url(), "keyName": "k1", "keyVersion": self.version if i % 2 else ""}}}),
                        ("DELETE", self.link_path("linked0001"), None) if i % 2 == 0 else
                        ("PUT", self.link_path("linked0001"), {"properties": {"writeAccessResourceId": s.cluster_path()}})]
            followed = []

            def send(method, path, body):
                try:
                    a = s.arm(method, path, V, body)
                    if a.status < 300 and "azure-asyncoperation" in a.headers:
                        followed.append(a)
                except (OSError, ValueError):
                    pass
            threads = [threading.Thread(target=send, args=r) for r in requests]
            for t in threads:
                t.start()
            time.sleep(rnd.uniform(0, 0.06))
            self.restart()
            for t in threads:
                t.join()
            where = f"seed {seed}, round {i}"
            for a in followed:
                self.assertIn(s.follow(a)["status"], ("Succeeded", "Failed"), where)
            self.ends(s.cluster_path(names["cluster"]), "", "Succeeded")
            self.ends(s.cluster_path(names["gone"]), "", "Succeeded")
            self.ends(s.workspace_path(names["workspace"]), "", "Succeeded")
            self.ends(self.link_path(names["workspace"] + "2"), "", "Succeeded")
            self.ends(self.link_path("linked0001"), "", "Succeeded")
            self.ends(s.cluster_path(), "Succeeded")
            s.done(s.arm("PUT", s.cluster_path(names["cluster"]), V, self.body()))
            s.done(s.arm("PUT", s.workspace_path(names["workspace"]), V, {"location": "westeurope"}))
            s.done(s.arm("DELETE", s.cluster_path(names["gone"]), V))


if __name__ == "__main__":
    main()
