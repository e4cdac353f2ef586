# SPDX-License-Identifier: Apache-2.0
"""tests/http/test_accounts.py - whose key a row is sealed under, through links, keys and deletions; operations cut short."""
import os
import signal
import time
import unittest

from keystead import Server


class Accounts(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.s = Server().__enter__()
        cls.version = cls.s.make_all(workspace="first-workspace")
        cls.n = 0

    @classmethod
    def tearDownClass(cls):
        cls.s.close()

    def fresh_workspace(self, cluster=None):
        type(self).n += 1
        name = f"workspace{self.n:03}"
        self.s.make_workspace(name, cluster)
        self.s.make_table("Rows_CL", {"N": "long"}, name)
        return name, self.s.workspace_id(name)

    def fresh_cluster(self, with_key):
        type(self).n += 1
        name = f"cluster{self.n:03}"
        self.s.done(self.s.arm("PUT", self.s.cluster_path(name), "2022-10-01", {
            "location": "westeurope", "identity": {"type": "SystemAssigned"},
            "sku": {"name": "CapacityReservation", "capacity": 500}}))
        self.s.grant(self.s.arm("GET", self.s.cluster_path(name), "2022-10-01").json["identity"]["principalId"])
        if with_key:
            self.s.done(self.s.set_key(version=self.version, cluster=name))
        return name

    def send(self, w, n):
        a = self.s.send("Rows_CL", [{"N": n}], w)
        self.assertEqual(a.status, 204, a)
        return a.headers.get("x-keystead-dropped-rows")

    def seen(self, w):
        a = self.s.query("Rows_CL | project N | sort by N asc", w)
        self.assertEqual(a.status, 200, a)
        return [r[0] for r in a.json["tables"][0]["rows"]]

    def refused(self, w):
        a = self.s.query("Rows_CL | count", w)
        return a.status == 403 and a.json["error"]["innererror"]["code"] == "CustomerManagedKeyUnavailable"

    def accounts(self, w):
        rows = self.s.call("GET", "/admin/keys/status").json["accounts"]
        return {r["cluster"]: r for r in rows if r["workspaceId"] == w}

    def remove_key(self, cluster):
        return self.s.arm("PATCH", self.s.cluster_path(cluster), "2022-10-01", {"properties": {"keyVaultProperties": {
            "keyVaultUri": "", "keyName": "", "keyVersion": ""}}})

    def test_rows_before_the_link_stay_with_the_platform_and_all_are_one_table(self):
        name, w = self.fresh_workspace()
        self.send(w, 1)
        self.assertEqual(list(self.accounts(w)), [None])
        self.s.link(name, "cluster1")
        self.send(w, 2)
        self.assertEqual(set(self.accounts(w)), {None, "cluster1"})
        self.s.done(self.s.arm("DELETE", self.s.workspace_path(name) + "/linkedServices/cluster", "2020-08-01"))
        self.send(w, 3)
        self.assertEqual(self.seen(w), [1, 2, 3])

    def test_a_cluster_without_a_key_leaves_its_workspaces_with_the_platform_until_its_first_key(self):
        cluster = self.fresh_cluster(False)
        name, w = self.fresh_workspace(cluster)
        self.send(w, 1)
        self.assertEqual(list(self.accounts(w)), [None])
        self.s.done(self.s.set_key(version=self.version, cluster=cluster))
        self.assertEqual(set(self.accounts(w)), {None, cluster})
        self.send(w, 2)
        self.assertEqual(self.seen(w), [1, 2])

    def test_removing_the_key_revokes_at_once_and_setting_it_again_restores(self):
        cluster = self.fresh_cluster(True)
        name, w = self.fresh_workspace(cluster)
        self.send(w, 1)
        self.s.done(self.remove_key(cluster))
        self.assertTrue(self.refused(w))
        self.assertNotIn("keyVaultProperties", self.s.arm("GET", self.s.cluster_path(cluster), "2022-10-01").json["properties"])
        self.assertEqual(self.send(w, 2), "1")
        self.assertEqual(self.accounts(w)[cluster]["dropped"], 1)
        self.s.settings(whileRevokedRejects=True)
        self.assertEqual(self.s.send("Rows_CL", [{"N": 2}], w).status, 503)
        self.s.settings(whileRevokedRejects=None)
        self.assertEqual(self.accounts(w)[cluster]["dropped"], 1)
        ready = self.s.raw("GET", self.s.credentials["endpoint"] + "/readyz")
        self.assertEqual((ready.status, self.s.cluster_path(cluster) in ready.json["sealed"]), (200, True), ready)
        self.s.done(self.s.set_key(version=self.version, cluster=cluster))
        self.s.wait(lambda: self.s.query("Rows_CL | count", w).status == 200, 30, "restore")
        self.send(w, 3)
        self.assertEqual(self.seen(w), [1, 3])

    def test_a_deleted_cluster_lets_its_workspaces_go_and_keeps_their_old_rows_sealed(self):
        cluster = self.fresh_cluster(True)
        name, w = self.fresh_workspace(cluster)
        self.send(w, 1)
        self.s.done(self.s.arm("DELETE", self.s.cluster_path(cluster), "2022-10-01"))
        self.assertNotIn("clusterResourceId", self.s.arm("GET", self.s.workspace_path(name), "2022-10-01").json["properties"]["features"])
        self.assertIsNone(self.send(w, 2))
        a = self.s.query("Rows_CL | count", w)  # the platform's rows, and a word about what is missing
        self.assertEqual((a.status, a.json["tables"][0]["rows"], a.json["error"]["code"]), (200, [[1]], "PartialError"), a)
        self.assertIn(cluster, a.body.decode())
        _, other = self.fresh_workspace("cluster1")
        self.assertIsNone(self.send(other, 3))
        a = self.s.query(f"union Rows_CL, workspace('{name}').Rows_CL | count", other)
        self.assertEqual((a.status, a.json["tables"][0]["rows"], a.json["error"]["code"]), (200, [[2]], "PartialError"), a)
        self.assertIn(cluster, a.body.decode())

    def test_other_workspaces_do_not_notice_a_revocation(self):
        cluster = self.fresh_cluster(True)
        _, w = self.fresh_workspace(cluster)
        _, other = self.fresh_workspace("cluster1")
        self.s.done(self.remove_key(cluster))
        self.assertTrue(self.refused(w))
        self.assertIsNone(self.send(other, 1))
        self.assertEqual(self.seen(other), [1])

    def identity(self, cluster, **identity):
        return self.s.arm("PATCH", self.s.cluster_path(cluster), "2022-10-01", {"identity": identity})

    def shown_identity(self, cluster):
        return self.s.arm("GET", self.s.cluster_path(cluster), "2022-10-01").json["identity"]

    def test_a_cluster_changes_its_kind_of_identity_and_back_and_keeps_its_rows(self):
        s, cluster = self.s, self.fresh_cluster(True)
        _, w = self.fresh_workspace(cluster)
        self.send(w, 1)
        first = self.shown_identity(cluster)["principalId"]
        lent = s.done(s.arm("PUT", s.group("/providers/Microsoft.ManagedIdentity/userAssignedIdentities/lent"), "2023-01-31",
                            {"location": "westeurope"})).json
        assigned = {"type": "UserAssigned", "userAssignedIdentities": {lent["id"]: {}}}
        both = {**assigned, "type": "SystemAssigned,UserAssigned"}
        for kind in (assigned, both, {"type": "SystemAssigned, UserAssigned"}, {"type": "UserAssigned"}):
            a = self.identity(cluster, **kind)  # it has a key; and one kind at a time, whatever the version allows
            self.assertEqual(a.status, 400, a)
        self.assertEqual(self.seen(w), [1])

        s.done(self.remove_key(cluster))
        self.assertEqual(self.identity(cluster, **both).status, 400)
        s.done(self.identity(cluster, **assigned))
        self.assertEqual(self.shown_identity(cluster), {"type": "UserAssigned", "userAssignedIdentities": {lent["id"]: {
            "principalId": lent["properties"]["principalId"], "clientId": lent["properties"]["clientId"]}}})
        self.assertGreaterEqual(s.set_key(version=self.version, cluster=cluster).status, 400)  # nobody granted it anything
        s.grant(lent["properties"]["principalId"])
        s.done(s.set_key(version=self.version, cluster=cluster))
        s.wait(lambda: s.query("Rows_CL | count", w).status == 200, 60, "the rows under the lent identity")
        self.send(w, 2)

        s.done(self.remove_key(cluster))
        s.done(self.identity(cluster, type="SystemAssigned"))
        second = self.shown_identity(cluster)["principalId"]
        self.assertNotEqual(first, second)  # what was granted to the first does not come back
        self.assertGreaterEqual(s.set_key(version=self.version, cluster=cluster).status, 400)
        s.grant(second)
        s.done(s.set_key(version=self.version, cluster=cluster))
        s.wait(lambda: s.query("Rows_CL | count", w).status == 200, 60, "the rows under its own identity")
        self.send(w, 3)
        self.assertEqual(self.seen(w), [1, 2, 3])

        s.done(self.identity(cluster, type="None"))
        self.assertTrue(self.refused(w))
        self.assertEqual(self.shown_identity(cluster), {"type": "None"})

    def test_identity_none_revokes_and_cannot_be_undone(self):
        cluster = self.fresh_cluster(True)
        _, w = self.fresh_workspace(cluster)
        self.s.done(self.s.arm("PATCH", self.s.cluster_path(cluster), "2022-10-01", {"identity": {"type": "None"}}))
        self.assertTrue(self.refused(w))
        a = self.s.set_key(version=self.version, cluster=cluster)
        self.assertEqual((a.status, a.json["error"]["code"]), (400, "OperationNotAllowed"), a)

    def test_dropped_rows_are_still_counted_after_a_kill(self):
        cluster = self.fresh_cluster(True)
        _, w = self.fresh_workspace(cluster)
        self.s.done(self.remove_key(cluster))
        self.assertEqual(self.s.send("Rows_CL", [{"N": 1}] * 7, w).headers["x-keystead-dropped-rows"], "7")
        self.s.kill()
        self.s.start()
        self.s.wait(lambda: self.s.call("GET", "/admin/keys/status").status == 200, 30, "keyd")
        self.assertEqual(self.accounts(w)[cluster]["dropped"], 7)
        self.assertEqual(self.accounts(w)[cluster]["droppedByTable"][0]["reason"], "keyRevoked")
        self.assertTrue(self.refused(w))

    def test_an_operation_cut_short_by_a_kill_ends_after_the_start(self):
        for delay in (0, 0.002, 0.01, 0.03):
            with self.subTest(delay):
                cluster = self.fresh_cluster(False)
                _, w = self.fresh_workspace(cluster)
                self.send(w, 1)
                a = self.s.set_key(version=self.version, cluster=cluster)
                self.assertEqual(a.status, 202, a)
                time.sleep(delay)
                os.kill(self.s.pids()["logs"], signal.SIGKILL)

                def over():
                    try:
                        status = self.s.call("GET", a.headers["azure-asyncoperation"])
                        return status.status == 200 and status.json["status"] != "InProgress"
                    except (OSError, ValueError, KeyError):
                        return False
                self.s.wait(over, 60, "the end of the operation")
                self.assertEqual(self.s.follow(a)["status"], "Succeeded")
                b = self.s.arm("GET", self.s.cluster_path(cluster), "2022-10-01").json["properties"]
                self.assertEqual((b["provisioningState"], b["keyVaultProperties"]["keyName"]), ("Succeeded", "k1"))
                self.s.wait(lambda: self.s.query("Rows_CL | count", w).status == 200, 30, "service")
                self.send(w, 2)
                self.assertEqual(self.seen(w), [1, 2])
                self.assertEqual(set(self.accounts(w)), {None, cluster})


if __name__ == "__main__":
    unittest.main()
