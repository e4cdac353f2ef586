# SPDX-License-Identifier: Apache-2.0
"""tests/http/test_articles.py - the procedures of the five articles as REST calls, each answer of the shape that the article prints.

Requests are the articles' own, casing and api-version included, with their slips of JSON repaired. Where the articles are at hand
(../shared) each test ends by reading its article: every request in it must have been sent, every answer in it must have come.
"""
import sys
import unittest

import article
from article import Recorded

V2015, V2019, V2020, V2021 = "2015-11-01-preview", "2019-08-01-preview", "2020-03-01-preview", "2021-06-01"
IDENTITY = {"type", "tenantId", "principalId"}
KEY = {"keyVaultUri", "keyName", "keyVersion"}
TOP = {"identity", "properties", "id", "name", "type", "location"}


class Article(unittest.TestCase):
    def setUp(self):
        self.s = Recorded("--virtual-clock", limits=True).__enter__()
        self.s.done(self.s.arm("PUT", self.s.group(), "2021-04-01", {"location": "westeurope"}))
        self.cluster, self.workspace = self.s.cluster_path(), self.s.workspace_path()

    def tearDown(self):
        self.s.close()

    def every_line_of(self, name, repairs=(), **exceptions):
        if not article.exists(name):
            print(f"{name} is not at hand: its lines are not compared", file=sys.stderr)
            return
        self.assertEqual(article.Article(name, repairs).missing(self.s.calls, **exceptions), [])

    # --- what the articles say in words -------------------------------------------------------------------
    def make_vault(self, rbac=False):
        """Recoverable: soft delete and purge protection."""
        c = self.s.credentials
        policies = [] if rbac else [{"tenantId": c["tenantId"], "objectId": c["objectId"], "permissions": {"keys": ["all"]}}]
        self.vault = self.s.group("/providers/Microsoft.KeyVault/vaults/kv1")
        self.s.done(self.s.arm("PUT", self.vault, "2022-07-01", {"location": "westeurope", "properties": {
            "tenantId": c["tenantId"], "sku": {"family": "A", "name": "standard"}, "enableSoftDelete": True, "enablePurgeProtection": True,
            "enableRbacAuthorization": rbac, "accessPolicies": policies}}))
        if rbac:
            self.assign("14b46e9e-c2b7-41b4-b07b-48a6ebf60603", c["objectId"], 1)
        return self.new_version()

    def assign(self, role, principal, n):
        a = self.s.arm("PUT", f"{self.vault}/providers/Microsoft.Authorization/roleAssignments/00000000-0000-0000-0000-00000000000{n}", "2022-04-01", {
            "properties": {"roleDefinitionId": self.s.sub(f"/providers/Microsoft.Authorization/roleDefinitions/{role}"), "principalId": principal}})
        self.assertIn(a.status, (200, 201), a)

    def new_version(self):
        made = self.s.wait(lambda: [x for x in [self.s.key("POST", "/keys/k1/create", {"kty": "RSA", "key_size": 2048})] if x.status == 200], 30)[0]
        return made.json["key"]["kid"].rsplit("/", 1)[1]

    def key(self, version):
        return {"KeyVaultUri": self.s.vault_url(), "KeyName": "k1", "KeyVersion": version}

    def principal(self, version):
        return self.s.arm("GET", self.cluster, version).json["identity"]["principalId"]

    def make_workspace(self, version=V2021):
        self.s.done(self.s.arm("PUT", self.workspace, version, {"location": "westeurope"}))
        self.s.wait(lambda: self.s.arm("GET", self.workspace, version).json["properties"]["provisioningState"] == "Succeeded")
        self.guid = self.s.workspace_id()
        self.s.make_table("T_CL", {"N": "long"})

    def has(self, j, **shape):
        """The members that are named are there; "" stands for the top."""
        for name, members in shape.items():
            part = j
            for step in filter(None, name.split("__")):
                part = part[step]
            self.assertLessEqual(set(members), set(part), (name, part))

    def get_cluster(self, version, *properties):
        j = self.s.arm("GET", self.cluster, version).json
        self.has(j, **{"": TOP}, identity=IDENTITY, properties={"provisioningState", "clusterId", *properties})
        self.assertEqual((j["identity"]["type"], j["id"], j["type"]), ("SystemAssigned", self.cluster, "Microsoft.OperationalInsights/clusters"))
        return j

    def send(self, n):
        a = self.s.wait(lambda: [x for x in [self.s.send("T_CL", [{"N": n}], self.guid)] if x.status == 204], 30, "ingestion")[0]
        return a.headers.get("x-keystead-dropped-rows")

    def numbers(self):
        return sorted(r[0] for r in self.s.rows("T_CL | project N", self.guid))

    def revocation(self, version):
        """Disable the key: new data is dropped, queries fail. Enable it: both resume, and what was there is there."""
        before = self.numbers()
        self.s.key("PATCH", f"/keys/k1/{version}", {"attributes": {"enabled": False}})
        self.s.turn(60)
        self.s.wait(lambda: self.s.query("T_CL | count", self.guid).status == 403, 60, "the revocation")
        self.assertEqual(self.send(99), "1")
        self.s.key("PATCH", f"/keys/k1/{version}", {"attributes": {"enabled": True}})
        self.s.turn(60)
        self.s.wait(lambda: self.s.query("T_CL | count", self.guid).status == 200, 60, "the restore")
        self.assertEqual(self.numbers(), before)

    def lists(self, version, *properties):
        for scope in (self.s.group(), self.s.sub()):
            value = self.s.arm("GET", scope + "/providers/Microsoft.OperationalInsights/clusters", version).json["value"]
            self.assertEqual([c["id"] for c in value], [self.cluster])
            self.has(value[0], **{"": TOP}, identity=IDENTITY, properties=properties)

    def application_insights(self, body, key_version=None):
        """A cluster of its own type, and a component that goes there."""
        s, cluster = self.s, self.s.cluster_path("insights")
        s.done(s.arm("PUT", cluster, V2019, body))
        if key_version is not None:
            s.grant(s.arm("GET", cluster, V2019).json["identity"]["principalId"])
            s.done(s.arm("PUT", cluster, V2019, {**body, "properties": {"KeyVaultProperties": self.key(key_version)}}))
        j = s.arm("GET", cluster, V2019).json
        self.assertEqual(j["properties"]["clusterType"], "ApplicationInsights")
        component = s.group("/providers/Microsoft.Insights/components/app1")
        a = s.arm("PUT", component, "2015-05-01", {"properties": {"clusterDefinitionId": j["properties"]["clusterId"]},
                                                  "location": "westeurope", "kind": "web"})
        self.assertEqual((a.status, a.json["properties"].get("clusterDefinitionId")), (200, j["properties"]["clusterId"]), a)

    # --- the articles ---------------------------------------------------------------------------------------
    def test_january_2020(self):
        s, version = self.s, self.make_vault()
        a = s.arm("PUT", self.cluster, V2019, {"location": "westeurope", "properties": {"clusterType": "LogAnalytics"},
                                              "identity": {"type": "systemAssigned"}})
        self.assertEqual(a.status, 202, a)
        s.follow(a)
        j = self.get_cluster(V2019, "clusterType")
        self.assertEqual((j["properties"]["provisioningState"], j["properties"]["clusterType"]), ("Succeeded", "LogAnalytics"))
        self.assertNotIn("keyVaultProperties", j["properties"])
        s.grant(self.principal(V2019))
        s.done(s.arm("PUT", self.cluster, V2019, {"properties": {"KeyVaultProperties": self.key(version)}, "location": "westeurope",
                                                 "identity": {"type": "systemAssigned"}}))
        j = self.get_cluster(V2019, "clusterType", "keyVaultProperties")
        self.has(j, properties__keyVaultProperties=KEY)
        self.assertEqual(j["properties"]["keyVaultProperties"]["keyVersion"], version)
        self.make_workspace(V2015)
        read = s.arm("GET", self.workspace, V2015).json
        a = s.arm("PUT", self.workspace, V2015, {**read, "properties": {"source": "Azure", "customerId": self.guid, "features": {
            "clusterDefinitionId": j["properties"]["clusterId"]}}})
        self.assertEqual(a.status, 200, a)
        self.has(a.json, **{"": {"properties", "id", "name", "type", "location"}}, properties={"source", "customerId", "retentionInDays", "features",
                                                                                             "workspaceCapping"},
                 properties__features={"legacy", "searchVersion", "clusterDefinitionId"},
                 properties__workspaceCapping={"dailyQuotaGb", "quotaNextResetTime", "dataIngestionStatus"})
        self.assertEqual(a.json["properties"]["features"]["clusterDefinitionId"], j["properties"]["clusterId"])
        self.assertIsNone(self.send(1))
        self.revocation(version)
        # A new version of the key: nothing is lost, and the cluster is told.
        newer = self.new_version()
        s.done(s.arm("PUT", self.cluster, V2019, {"properties": {"KeyVaultProperties": self.key(newer)}, "location": "westeurope",
                                                 "identity": {"type": "systemAssigned"}}))
        self.assertEqual(self.get_cluster(V2019)["properties"]["keyVaultProperties"]["keyVersion"], newer)
        self.assertEqual(self.numbers(), [1])
        self.lists(V2019, "keyVaultProperties", "provisioningState", "clusterType", "clusterId")
        a = s.arm("DELETE", self.cluster, V2019)
        self.assertEqual(a.status, 200, a)
        self.application_insights({"location": "westeurope", "properties": {"clusterType": "ApplicationInsights"},
                                   "identity": {"type": "systemAssigned"}})
        self.every_line_of("cmk-2020-01.md")

    def test_march_2020(self):
        s, version = self.s, self.make_vault()
        s.settings(clusterCreateSeconds=1, legacyPutRecovers=True)
        body = {"identity": {"type": "systemAssigned"}, "sku": {"name": "capacityReservation", "Capacity": 1000},
                "properties": {"clusterType": "LogAnalytics"}, "location": "westeurope"}
        a = s.arm("PUT", self.cluster, V2019, body)
        self.assertEqual(a.status, 202, a)
        j = self.get_cluster(V2019, "clusterType")
        self.has(j, sku={"name", "capacity", "lastSkuUpdate"})
        self.assertEqual(j["properties"]["provisioningState"], "ProvisioningAccount")
        s.follow(a)
        s.settings(clusterCreateSeconds=0)
        s.grant(self.principal(V2019))
        full = {"identity": {"type": "systemAssigned"}, "sku": {"name": "capacityReservation", "capacity": 1000},
                "properties": {"KeyVaultProperties": self.key(version)}, "location": "westeurope"}
        s.done(s.arm("PUT", self.cluster, V2019, full))
        j = self.get_cluster(V2019, "clusterType", "keyVaultProperties")
        self.has(j, sku={"name", "capacity", "lastSkuUpdate"}, properties__keyVaultProperties=KEY)
        self.make_workspace(V2015)
        a = s.arm("PUT", self.workspace.replace("resourceGroups", "resourcegroups").replace("Microsoft.Op", "microsoft.op")
                  + "/linkedservices/cluster", V2019, {"properties": {"WriteAccessResourceId": self.cluster}})
        self.assertEqual(a.status, 200, a)
        self.has(a.json, **{"": {"properties", "id", "name", "type"}}, properties={"writeAccessResourceId"})
        self.assertEqual(s.follow(a)["status"], "Succeeded")
        w = s.arm("GET", self.workspace, V2015).json
        self.has(w, properties={"source", "customerId", "provisioningState", "sku", "retentionInDays", "features", "workspaceCapping"},
                 properties__sku={"name", "lastSkuUpdate"},
                 properties__features={"legacy", "searchVersion", "enableLogAccessUsingOnlyResourcePermissions", "clusterResourceId"})
        self.assertEqual(w["properties"]["features"]["clusterResourceId"], self.cluster)
        self.assertIsNone(self.send(1))
        # Without KeyVaultProperties the body removes the key, and access is revoked until there is one again.
        s.done(s.arm("PUT", self.cluster, V2019, {**full, "properties": {}}))
        self.assertNotIn("keyVaultProperties", self.get_cluster(V2019)["properties"])
        s.wait(lambda: s.query("T_CL | count", self.guid).status == 403, 30, "the revocation")
        s.done(s.arm("PUT", self.cluster, V2019, full))
        s.wait(lambda: s.query("T_CL | count", self.guid).status == 200, 30, "the restore")
        # Deleted, and recovered by creating it again: the workspaces are back, and their data.
        self.assertEqual(s.done(s.arm("DELETE", self.cluster, V2019)).status, 200)
        self.assertNotIn("clusterResourceId", s.arm("GET", self.workspace, V2015).json["properties"]["features"])
        a = s.arm("PUT", self.cluster, V2019, body)
        self.assertEqual((a.status, s.follow(a)["status"]), (202, "Succeeded"), a)
        self.assertEqual(s.arm("GET", self.workspace, V2015).json["properties"]["features"]["clusterResourceId"], self.cluster)
        s.wait(lambda: s.query("T_CL | count", self.guid).status == 200, 30, "the restore")
        self.assertEqual(self.numbers(), [1])
        self.lists(V2019, "keyVaultProperties", "provisioningState", "clusterType", "clusterId")
        self.application_insights({"identity": {"type": "systemAssigned"}, "sku": {"name": "capacityReservation", "Capacity": 1000},
                                   "properties": {"clusterType": "ApplicationInsights"}, "location": "westeurope"}, version)
        self.every_line_of("cmk-2020-03.md")

    def test_june_2020(self):
        s, version = self.s, self.make_vault()
        body = {"identity": {"type": "systemAssigned"}, "sku": {"name": "capacityReservation", "Capacity": 1000},
                "properties": {"billingType": "cluster"}, "location": "westeurope"}
        s.settings(subscriptionAllowed=False)
        self.assertEqual(s.arm("PUT", self.cluster, V2020, body).status, 403)
        s.settings(subscriptionAllowed=True, clusterCreateSeconds=1, keyUpdateSeconds=1)
        a = s.arm("PUT", self.cluster, V2020, body)
        self.assertEqual(a.status, 200, a)
        status = s.call("GET", a.headers["azure-asyncoperation"].split("?")[0] + "?api-version=" + V2020).json
        self.has(status, **{"": {"id", "name", "status", "startTime"}})
        self.assertEqual(status["status"], "InProgress")
        self.assertEqual(self.get_cluster(V2020, "billingType")["properties"]["provisioningState"], "ProvisioningAccount")
        end = s.follow(a)
        self.has(end, **{"": {"id", "name", "status", "startTime", "endTime"}})
        s.grant(self.principal(V2020))
        a = s.arm("PATCH", self.cluster, V2020, {"identity": {"type": "systemAssigned"}, "sku": {"name": "capacityReservation", "capacity": 1000},
                                                "properties": {"billingType": "cluster", "KeyVaultProperties": self.key(version)},
                                                "location": "westeurope"})
        self.assertEqual(a.status, 200, a)
        self.assertEqual(a.json["cluster"]["properties"]["provisioningState"], "Updating")
        self.assertEqual(s.call("GET", a.headers["azure-asyncoperation"]).json["status"], "Updating")
        self.assertEqual(s.follow(a)["status"], "Succeeded")
        j = self.get_cluster(V2020, "keyVaultProperties", "billingType")
        self.has(j, sku={"name", "capacity", "lastSkuUpdate"}, properties__keyVaultProperties=KEY)
        self.make_workspace(V2020)
        link = self.workspace + "/linkedservices/cluster"
        a = s.arm("PUT", link, V2020, {"properties": {"WriteAccessResourceId": self.cluster}})
        self.assertEqual((a.status, s.follow(a)["status"]), (200, "Succeeded"), a)
        w = s.arm("GET", self.workspace, V2020).json
        self.assertEqual(w["properties"]["features"]["clusterResourceId"], self.cluster)
        self.assertIsNone(self.send(1))
        self.revocation(version)
        self.lists(V2020, "keyVaultProperties", "provisioningState", "billingType", "clusterId")
        self.assertEqual(s.arm("PATCH", self.cluster, V2020, {"sku": {"name": "capacityReservation", "Capacity": 1100}}).json["sku"]["capacity"], 1100)
        a = s.arm("PATCH", self.cluster, V2020, {"properties": {"billingType": "workspaces"}})
        self.assertEqual((a.status, a.json["properties"]["billingType"]), (200, "workspaces"))
        a = s.arm("DELETE", link, V2020)
        self.assertEqual((a.status, s.follow(a)["status"]), (200, "Succeeded"), a)
        self.assertNotIn("clusterResourceId", s.arm("GET", self.workspace, V2020).json["properties"]["features"])
        self.assertIsNone(self.send(2))
        self.assertEqual(self.numbers(), [1, 2], "before and after, as long as the cluster has its key")
        # A cluster that workspaces are linked to is deleted in the background.
        s.make_workspace("workspace2", None)
        s.follow(s.arm("PUT", s.workspace_path("workspace2") + "/linkedservices/cluster", V2020, {"properties": {
            "WriteAccessResourceId": self.cluster}}))
        s.settings(clusterDeleteSeconds=1)
        a = s.arm("DELETE", self.cluster, V2020)
        self.assertEqual((a.status, s.call("GET", a.headers["azure-asyncoperation"]).json["status"]), (200, "Deleting"), a)
        s.turn(2)
        self.assertEqual(s.follow(a)["status"], "Succeeded")
        self.assertNotIn("clusterResourceId", s.arm("GET", s.workspace_path("workspace2"), V2020).json["properties"]["features"])
        self.assertEqual(s.arm("PUT", self.cluster, V2020, body).status, 409)
        # Support can bring it back, as long as its key is good: an operation that fails says why.
        s.key("PATCH", f"/keys/k1/{version}", {"attributes": {"enabled": False}})
        end = s.follow(s.arm("POST", self.cluster + "/recover", "2022-10-01", {}))
        self.assertEqual((end["status"], set(end["error"])), ("Failed", {"code", "message"}))
        # No operation can say when it will have ended: the article's endTime of two that have not is a slip.
        self.every_line_of("cmk-2020-06.md", [('"kyName"', '"keyName"')], without={129: ["endtime"], 141: ["endtime"]})

    def cmk_2023(self):
        """Up to a linked workspace: what the Sentinel article begins with, too."""
        s, version = self.s, self.make_vault(rbac=True)
        a = s.arm("PUT", self.cluster, V2021, {"identity": {"type": "SystemAssigned"}, "sku": {"name": "CapacityReservation", "capacity": 500},
                                              "location": "westeurope"})
        self.assertEqual(a.status, 202, a)
        s.follow(a)
        refused = s.arm("PATCH", self.cluster, V2021, {"properties": {"keyVaultProperties": self.key(version)}})
        self.assertEqual((refused.status, refused.json["error"]["code"]), (400, "KeyVaultValidationFailed"), refused)
        self.assign("e147488a-f6f5-4113-8e2d-b22465e65bf6", self.principal(V2021), 2)
        a = s.arm("PATCH", self.cluster, V2021, {"properties": {"keyVaultProperties": self.key(version)},
                                                "sku": {"name": "CapacityReservation", "capacity": 500}})
        self.assertEqual((a.status, s.follow(a)["status"]), (200, "Succeeded"), a)
        j = self.get_cluster(V2021, "keyVaultProperties", "billingType", "lastModifiedDate", "createdDate", "isDoubleEncryptionEnabled",
                             "isAvailabilityZonesEnabled", "capacityReservationProperties")
        self.has(j, sku={"name", "capacity"}, properties__keyVaultProperties=KEY,
                 properties__capacityReservationProperties={"lastSkuUpdate", "minCapacity"})
        self.assertEqual((j["sku"]["name"], j["properties"]["provisioningState"]), ("capacityreservation", "Succeeded"))
        self.make_workspace()
        s.link()
        self.assertIsNone(self.send(1))
        return version

    def test_june_2023(self):
        s, version = self.s, self.cmk_2023()
        self.revocation(version)
        # Rotation by itself: without a version the newest is followed.
        s.done(s.arm("PATCH", self.cluster, V2021, {"properties": {"keyVaultProperties": {**self.key(""), "KeyVersion": ""}}}))
        self.assertEqual(self.get_cluster(V2021)["properties"]["keyVaultProperties"]["keyVersion"], "")
        self.assertEqual(self.numbers(), [1])
        # Saved queries and alerts in one's own storage.
        storage = s.group("/providers/Microsoft.Storage/storageAccounts/store1")
        s.done(s.arm("PUT", storage, "2022-09-01", {"location": "westeurope", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}}))
        for kind in ("Query", "Alerts"):
            a = s.arm("PUT", f"{self.workspace}/linkedStorageAccounts/{kind}", V2021, {"properties": {
                "dataSourceType": kind, "storageAccountIds": [storage]}})
            self.assertEqual((a.status, a.json["properties"]["storageAccountIds"]), (200, [storage]), a)
        self.lists(V2021, "keyVaultProperties", "billingType")
        self.assertEqual(s.arm("PATCH", self.cluster, V2021, {"sku": {"name": "CapacityReservation", "capacity": 1000}}).json["sku"]["capacity"], 1000)
        a = s.arm("PATCH", self.cluster, V2021, {"properties": {"billingType": "Workspaces"}})
        self.assertEqual(a.json["properties"]["billingType"], "Workspaces")
        # A linked workspace that is deleted and recovered is linked still.
        self.assertEqual(s.arm("DELETE", self.workspace, V2021).status, 200)
        s.done(s.arm("PUT", self.workspace, V2021, {"location": "westeurope"}))
        self.assertEqual(s.arm("GET", self.workspace, V2021).json["properties"]["features"]["clusterResourceId"], self.cluster)
        both = {"identity": {"type": "None"}, "properties": {"keyVaultProperties": self.key(version)}}
        a = s.arm("PATCH", self.cluster, V2021, both)
        self.assertEqual((a.status, a.json["error"]["code"]), (400, "InvalidParameter"), a)
        s.done(s.arm("PATCH", self.cluster, V2021, {"identity": {"type": "None"}}))
        s.wait(lambda: s.query("T_CL | count", self.guid).status == 403, 30, "the revocation")
        a = s.arm("PATCH", self.cluster, V2021, {"identity": {"type": "SystemAssigned"}})
        if a.status < 300:
            s.follow(a)
        a = s.arm("PATCH", self.cluster, V2021, {"properties": {"keyVaultProperties": self.key(version)}})
        self.assertEqual(a.status, 400, "identity None can't be undone by the customer")
        self.assertEqual(s.arm("DELETE", self.cluster, V2021).status, 202)
        self.every_line_of("cmk-2023-06.md", [('"keyVersion": "current-version"\n  },\n  "sku"', '"keyVersion": "current-version"\n  }},\n  "sku"')])

    def test_sentinel_2023(self):
        s = self.s
        self.cmk_2023()
        self.assertGreaterEqual(s.arm("GET", self.cluster, V2021).json["sku"]["capacity"], 500)
        a = s.arm("POST", s.sub("/providers/Microsoft.DocumentDB/register"), "2021-04-01")
        self.assertEqual((a.status, a.json["registrationState"]), (200, "Registered"), a)
        state = self.workspace + "/providers/Microsoft.SecurityInsights/onboardingStates/default"
        a = s.arm("PUT", state, "2021-03-01-preview", {"properties": {"customerManagedKey": True}})
        self.assertEqual((a.status, a.json["properties"]), (201, {"customerManagedKey": True}), a)
        a = s.arm("GET", state, "2021-03-01-preview")
        self.assertEqual((a.status, a.json["name"]), (200, "default"), a)
        self.every_line_of("sentinel-cmk-2023-06.md")


if __name__ == "__main__":
    unittest.main()
