# SPDX-License-Identifier: Apache-2.0
"""tests/http/test_clusters.py - the rules of clusters: limits, locks of time, names that are reserved, what comes back."""
import threading
import unittest

from keystead import Server

V2019, V2020, V2022, V2025 = "2019-08-01-preview", "2020-03-01-preview", "2022-10-01", "2025-02-01"


def body(capacity=1000, location="westeurope", **more):
    return {"location": location, "identity": {"type": "SystemAssigned"},
            "sku": {"name": "CapacityReservation", "capacity": capacity}, **more}


class Clusters(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.s = Server("--virtual-clock", limits=True, probe=60).__enter__()
        cls.s.done(cls.s.arm("PUT", cls.s.group(), "2021-04-01", {"location": "westeurope"}))
        cls.n = 0

    @classmethod
    def tearDownClass(cls):
        cls.s.close()

    def tearDown(self):
        self.s.settings(**{name: None for name in self.s.settings()})

    def fresh(self):
        """A region of one's own, so that the limits of one test are not those of another."""
        type(self).n += 1
        return f"cluster{self.n:04}", f"region{self.n:04}"

    def make(self, version=V2022, capacity=1000, region=None, name=None):
        fresh, own = self.fresh()
        path = self.s.cluster_path(name or fresh)
        self.s.done(self.s.arm("PUT", path, version, body(capacity, region or own)))
        return path

    def make_workspace(self, region):
        path = self.s.workspace_path("w-" + self.fresh()[0])
        self.s.done(self.s.arm("PUT", path, V2022, {"location": region}))
        return path

    def link(self, workspace, cluster, version="2020-08-01"):
        return self.s.arm("PUT", workspace + "/linkedServices/cluster", version, {"properties": {"writeAccessResourceId": cluster}})

    def error(self, a, status, code, words=""):
        self.assertEqual((a.status, a.json["error"]["code"]), (status, code), a)
        self.assertIn(words, a.json["error"]["message"])

    # --- settings -----------------------------------------------------------------------------------------
    def test_the_settings_are_those_of_the_articles_until_somebody_changes_them(self):
        a = self.s.settings()
        self.assertEqual((a["clustersActiveMax"], a["clustersReservedMax"], a["clusterWorkspacesMax"], a["linkOperationsMax"],
                          a["capacityLockDays"], a["softDeleteDays"], a["clusterCreateSeconds"]), (5, 7, 1000, 2, 31, 14, 0))
        self.assertEqual(self.s.settings(softdeletedays=3)["softDeleteDays"], 3)
        self.assertEqual(self.s.settings(softDeleteDays=None)["softDeleteDays"], 14)
        for bad in ({"nothing": 1}, {"softDeleteDays": -1}, {"softDeleteDays": "x"}, {"legacyDeleteFails": 1},
                    {"regionsWithoutDoubleEncryption": "x"}):
            self.assertEqual(self.s.call("PATCH", "/admin/resource-settings", bad).status, 400, bad)

    # --- limits -------------------------------------------------------------------------------------------
    def test_a_region_takes_five_active_and_seven_reserved_clusters(self):
        region = self.fresh()[1]
        paths = [self.make(region=region) for _ in range(5)]
        self.error(self.s.arm("PUT", self.s.cluster_path("onemore"), V2022, body(location=region)), 409, "QuotaExceeded", "5")
        self.s.done(self.s.arm("PUT", self.s.cluster_path("elsewhere"), V2022, body(location=self.fresh()[1])))
        self.s.done(self.s.arm("PATCH", paths[0], V2022, {"tags": {"a": "b"}}))
        for path in paths[:2]:
            self.s.done(self.s.arm("DELETE", path, V2022))
            self.make(region=region)
        self.s.done(self.s.arm("DELETE", paths[2], V2022))
        self.error(self.s.arm("PUT", self.s.cluster_path("onemore"), V2022, body(location=region)), 409, "QuotaExceeded", "7")
        self.s.settings(softDeleteDays=1)
        self.s.turn(days=1)
        self.s.done(self.s.arm("PUT", self.s.cluster_path("onemore"), V2022, body(location=region)))

    def test_a_workspace_is_linked_twice_in_thirty_days_and_then_again(self):
        region = self.fresh()[1]
        cluster, w = self.make(region=region), self.make_workspace(region)
        for _ in range(2):
            self.s.done(self.link(w, cluster))
            self.s.done(self.s.arm("DELETE", w + "/linkedServices/cluster", "2020-08-01"))
        self.error(self.link(w, cluster), 400, "OperationNotAllowed", "30 days")
        self.s.settings(linkWindowDays=1)
        self.s.turn(days=1)
        self.s.done(self.link(w, cluster))

    def test_a_cluster_takes_so_many_workspaces_and_no_more(self):
        region = self.fresh()[1]
        cluster = self.make(region=region)
        self.s.settings(clusterWorkspacesMax=1)
        self.s.done(self.link(self.make_workspace(region), cluster))
        self.error(self.link(self.make_workspace(region), cluster), 409, "QuotaExceeded")

    def test_a_capacity_rises_at_once_and_falls_after_a_month(self):
        path = self.make(capacity=500)
        self.assertEqual(self.s.arm("PATCH", path, V2022, {"sku": {"capacity": 1000}}).status, 200)
        self.assertEqual(self.s.arm("PATCH", path, V2022, {"sku": {"capacity": 500}}).status, 200, "within six hours of its creation")
        self.assertEqual(self.s.arm("PATCH", path, V2022, {"sku": {"capacity": 1000}}).status, 200)
        self.s.turn(seconds=6 * 3600)
        self.error(self.s.arm("PATCH", path, V2022, {"sku": {"capacity": 500}}), 400, "InvalidParameter", "Capacity is locked for 30 days.")
        self.s.settings(capacityLockDays=1)
        self.s.turn(seconds=18 * 3600)
        self.assertEqual(self.s.arm("PATCH", path, V2022, {"sku": {"capacity": 500}}).json["sku"]["capacity"], 500)

    def test_a_subscription_that_is_not_allowed_creates_no_cluster_but_changes_those_it_has(self):
        path = self.make()
        self.s.settings(subscriptionAllowed=False)
        self.error(self.s.arm("PUT", self.s.cluster_path(self.fresh()[0]), V2020, body()), 403, "SubscriptionNotAllowed")
        self.assertEqual(self.s.arm("PATCH", path, V2022, {"tags": {}}).status, 200)

    def test_a_region_may_lack_double_encryption(self):
        name, region = self.fresh()
        self.s.settings(regionsWithoutDoubleEncryption=[region.upper()])
        a = self.s.arm("PUT", self.s.cluster_path(name), V2022, body(location=region, properties={"isDoubleEncryptionEnabled": True}))
        self.error(a, 400, "InvalidParameter", "doesn't support Double Encryption for clusters")
        a = self.s.arm("PUT", self.s.cluster_path(name), V2022, body(location=region, properties={"isDoubleEncryptionEnabled": False}))
        self.s.done(a)

    # --- operations that take their time --------------------------------------------------------------------
    def test_an_operation_takes_as_long_as_it_is_told_and_the_cluster_waits(self):
        name, region = self.fresh()
        path = self.s.cluster_path(name)
        self.s.settings(clusterCreateSeconds=1500)
        a = self.s.arm("PUT", path, V2025, body(location=region))
        status = self.s.call("GET", a.headers["azure-asyncoperation"])
        self.assertEqual((status.json["status"], sorted(status.json)), ("InProgress", ["id", "name", "startTime", "status"]))
        self.assertEqual(status.headers["retry-after"], "1")
        self.assertEqual(self.s.call("GET", a.headers["location"]).status, 202)
        self.assertEqual(self.s.arm("GET", path, V2025).json["properties"]["provisioningState"], "Creating")
        self.assertEqual(self.s.arm("GET", path, V2020).json["properties"]["provisioningState"], "ProvisioningAccount")
        self.error(self.s.arm("PATCH", path, V2022, {"tags": {}}), 400, "OperationNotAllowed", "Async operation is in a state other than succeeded")
        self.error(self.s.arm("DELETE", path, V2022), 409, "Conflict", "Can't delete a cluster while in provisioning state.")
        w = self.make_workspace(region)
        self.error(self.link(w, path), 400, "OperationNotAllowed")
        self.s.turn(seconds=1400)
        self.assertEqual(self.s.call("GET", a.headers["azure-asyncoperation"]).json["status"], "InProgress")
        self.s.turn(seconds=200)
        end = self.s.call("GET", a.headers["azure-asyncoperation"]).json
        self.assertEqual((end["status"], list(end)), ("Succeeded", ["id", "name", "status", "startTime", "endTime", "properties"]))
        self.assertEqual(self.s.call("GET", a.headers["location"]).status, 200)

    def test_2020_calls_its_operations_by_their_own_words(self):
        region = self.fresh()[1]
        cluster, w = self.make(region=region), self.make_workspace(region)
        self.s.done(self.link(w, cluster))
        self.s.settings(clusterDeleteSeconds=60)
        a = self.s.arm("DELETE", cluster, V2020)
        self.assertEqual((a.status, a.body), (200, b""), a)
        status = self.s.call("GET", a.headers["azure-asyncoperation"]).json
        self.assertEqual(list(status), ["status", "name", "id", "startTime"])
        self.assertEqual(status["status"], "Deleting")
        self.assertRegex(status["startTime"], " GMT$")
        again = self.s.arm("DELETE", cluster, V2022)
        self.assertEqual((again.status, again.headers["azure-asyncoperation"]), (202, a.headers["azure-asyncoperation"]))
        self.error(self.s.arm("PATCH", cluster, V2022, {"tags": {}}), 400, "OperationNotAllowed", "Cluster is in deleting state.")
        self.assertIn("clusterResourceId", self.s.arm("GET", w, V2022).json["properties"]["features"])
        self.s.turn(seconds=61)
        self.assertEqual(self.s.follow(a)["status"], "Succeeded")
        features = self.s.arm("GET", w, V2022).json["properties"]
        self.assertEqual(("clusterResourceId" in features["features"], features["sku"]["name"]), (False, "PerGB2018"))
        self.error(self.s.arm("GET", cluster, V2022), 404, "ResourceNotFound", "Cluster not found, the cluster might have been deleted.")

    # --- deleting and coming back ---------------------------------------------------------------------------
    def test_a_name_is_free_again_after_fourteen_days(self):
        path = self.make()
        region = self.s.arm("GET", path, V2022).json["location"]
        self.s.done(self.s.arm("DELETE", path, V2022))
        self.s.settings(softDeleteDays=1)
        self.s.turn(seconds=23 * 3600)
        self.error(self.s.arm("PUT", path, V2022, body(location=region)), 409, "Conflict", "14 days")
        self.s.turn(seconds=3600)
        self.s.done(self.s.arm("PUT", path, V2022, body(location=region)))

    def test_the_first_articles_rules_are_switches(self):
        region = self.fresh()[1]
        cluster, w = self.make(region=region), self.make_workspace(region)
        self.s.done(self.link(w, cluster))
        self.s.settings(legacyDeleteFails=True, legacyPutRecovers=True)
        self.error(self.s.arm("DELETE", cluster, V2019), 409, "Conflict", "workspaces")
        self.s.done(self.s.arm("DELETE", cluster, V2020))
        self.error(self.s.arm("PUT", cluster, V2022, body(location=region)), 409, "Conflict")
        self.error(self.s.arm("PUT", cluster, V2019, body(location="northeurope")), 409, "InvalidResourceLocation")
        a = self.s.arm("PUT", cluster, V2019, body(location=region))
        self.assertEqual(a.status, 202, a)
        self.assertEqual(self.s.follow(a)["status"], "Succeeded")
        self.assertEqual(self.s.arm("GET", w, V2022).json["properties"]["features"]["clusterResourceId"], cluster)

    def test_the_operator_recovers_and_workspaces_are_linked_anew(self):
        region = self.fresh()[1]
        cluster, w = self.make(region=region), self.make_workspace(region)
        before = self.s.arm("GET", cluster, V2022).json
        self.s.done(self.link(w, cluster))
        self.s.done(self.s.arm("DELETE", cluster, V2022))
        self.s.done(self.s.arm("POST", cluster + "/recover", V2022, {}))
        after = self.s.arm("GET", cluster, V2022).json
        self.assertEqual((after["identity"], after["properties"]["clusterId"]), (before["identity"], before["properties"]["clusterId"]))
        self.assertNotIn("clusterResourceId", self.s.arm("GET", w, V2022).json["properties"]["features"])
        self.error(self.s.arm("POST", cluster + "/recover", V2022, {}), 404, "ResourceNotFound")
        self.s.done(self.link(w, cluster))

    # --- many at once ---------------------------------------------------------------------------------------
    def test_of_writers_at_once_none_is_lost_without_a_conflict(self):
        path = self.make()
        answers = []

        def write(i):
            answers.append((i, self.s.arm("PATCH", path, V2022, {"tags": {"n": str(i)}}).status))
        threads = [threading.Thread(target=write, args=(i,)) for i in range(12)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertLessEqual({status for _, status in answers}, {200, 409})
        last = self.s.arm("GET", path, V2022).json["tags"]["n"]
        self.assertIn((int(last), 200), answers)


class Vaults(unittest.TestCase):
    def test_a_key_is_taken_from_a_vault_in_the_same_region_only(self):
        with Server() as s:
            version = s.make_all(workspace="workspace1")
            c = s.credentials
            s.done(s.arm("PUT", s.cluster_path("farcluster"), V2022, body(location="northeurope")))
            s.grant(s.arm("GET", s.cluster_path("farcluster"), V2022).json["identity"]["principalId"])
            a = s.set_key("kv1", "k1", version, "farcluster")
            self.assertEqual((a.status, a.json["error"]["code"]), (400, "KeyVaultValidationFailed"), a)
            self.assertIn("same region", a.json["error"]["message"])
            # A cluster that was deleted with a key comes back with it, and with what was written before.
            w = s.workspace_id()
            s.make_table("T_CL", {"N": "long"})
            self.assertEqual(s.send("T_CL", [{"N": 7}], w).status, 204)
            s.done(s.arm("DELETE", s.cluster_path(), V2022))
            self.assertEqual(s.rows("T_CL | count", w), [[0]])
            s.done(s.arm("POST", s.cluster_path() + "/recover", V2022, {"withLinks": True}))
            s.wait(lambda: s.query("T_CL | project N", w).status == 200, 20, "restore")
            self.assertEqual(s.rows("T_CL | project N", w), [[7]])
            self.assertEqual(s.arm("GET", s.workspace_path(), V2022).json["properties"]["features"]["clusterResourceId"], s.cluster_path())
            # With the key gone it stays deleted, and says why.
            s.done(s.arm("DELETE", s.cluster_path(), V2022))
            s.key("PATCH", f"/keys/k1/{version}", {"attributes": {"enabled": False}})
            end = s.follow(s.arm("POST", s.cluster_path() + "/recover", V2022, {}))
            self.assertEqual(end["status"], "Failed", end)
            self.assertTrue(end["error"]["message"])
            self.assertEqual(s.arm("GET", s.cluster_path(), V2022).status, 404)
            s.key("PATCH", f"/keys/k1/{version}", {"attributes": {"enabled": True}})
            s.done(s.arm("POST", s.cluster_path() + "/recover", V2022, {"withLinks": True}))
            s.wait(lambda: s.query("T_CL | project N", w).status == 200, 20, "restore")
            self.assertEqual(c["subscriptionId"], s.credentials["subscriptionId"])

    def test_a_workspace_that_was_away_when_the_key_came_is_under_it_when_it_is_back(self):
        with Server() as s:
            version = s.make_all()
            s.done(s.arm("PUT", s.cluster_path("cluster2"), V2022, body()))
            s.grant(s.arm("GET", s.cluster_path("cluster2"), V2022).json["identity"]["principalId"])
            s.make_workspace("away0001", "cluster2")
            self.assertEqual(s.arm("DELETE", s.workspace_path("away0001"), V2022).status, 200)
            s.done(s.set_key(version=version, cluster="cluster2"))
            s.done(s.arm("PUT", s.workspace_path("away0001"), V2022, {"location": "westeurope"}))
            accounts = s.call("GET", "/admin/keys/status").json["accounts"]
            self.assertIn(("away0001", "cluster2"), [(a["workspace"], a["cluster"]) for a in accounts])
            # And while a cluster has lost its key nothing is linked to it.
            s.done(s.arm("PATCH", s.cluster_path("cluster2"), V2022, {"properties": {"keyVaultProperties": {
                "keyVaultUri": "", "keyName": "", "keyVersion": ""}}}))
            s.make_workspace("late0001", None)
            a = s.arm("PUT", s.workspace_path("late0001") + "/linkedServices/cluster", V2022, {"properties": {
                "writeAccessResourceId": s.cluster_path("cluster2")}})
            self.assertEqual((a.status, a.json["error"]["code"]), (400, "OperationNotAllowed"), a)


if __name__ == "__main__":
    unittest.main()
