# SPDX-License-Identifier: Apache-2.0
"""tests/http/test_subscriptions.py - several subscriptions on one data directory: groups, lists, limits and rights of their own."""
import unittest
import uuid

from keystead import QUERY, Server

RESOURCES, V, RIGHTS = "2021-04-01", "2022-10-01", "2022-04-01"


class Subscriptions(unittest.TestCase):
    def setUp(self):
        self.s = Server(limits=True).__enter__()
        self.addCleanup(self.s.close)
        self.other = str(uuid.uuid4())

    def names(self, path, version):
        return sorted(x["name"] for x in self.s.arm("GET", path, version).json["value"])

    def test_each_has_groups_lists_limits_and_rights_of_its_own(self):
        s, first, other = self.s, self.s.credentials["subscriptionId"], self.other
        here, there = s.group(), f"/subscriptions/{other}/resourceGroups/rg"
        self.assertEqual(s.arm("PUT", there, RESOURCES, {"location": "westeurope"}).status, 404)
        self.assertEqual(s.call("PATCH", "/admin/resource-settings", {"subscriptions": ["x"]}).status, 400)
        s.settings(subscriptions=[other.upper()], clustersActiveMax=1)
        listed = s.call("GET", "/subscriptions?api-version=" + RESOURCES).json
        self.assertEqual(([x["subscriptionId"] for x in listed["value"]], listed["count"]["value"]), ([first, other], 2))
        self.assertEqual(s.arm("GET", f"/subscriptions/{other}", RESOURCES).json["subscriptionId"], other)
        for group in (here, there):
            s.done(s.arm("PUT", group, RESOURCES, {"location": "westeurope"}))
        of = {here: "/providers/Microsoft.OperationalInsights/clusters/herecluster", there: "/providers/Microsoft.OperationalInsights/clusters/therecluster"}
        body = {"location": "westeurope", "identity": {"type": "SystemAssigned"}, "sku": {"name": "CapacityReservation", "capacity": 500}}
        for group, cluster in of.items():
            s.done(s.arm("PUT", group + cluster, V, body))
            self.assertEqual(s.arm("PUT", group + cluster + "2", V, body).status, 409)
            self.assertEqual(self.names(group.split("/resourceGroups")[0] + "/providers/Microsoft.OperationalInsights/clusters", V),
                             [cluster.rsplit("/", 1)[1]])
        # a workspace is linked to a cluster of another subscription
        s.make_workspace("crossing", None)
        s.done(s.arm("PUT", s.workspace_path("crossing") + "/linkedServices/cluster", "2020-08-01", {
            "properties": {"writeAccessResourceId": there + of[there]}}))
        # rights: a reader of one reads nothing of the other
        made = s.call("POST", "/admin/identities", {"name": "reader"}).json
        a = s.arm("PUT", f"/subscriptions/{other}/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}", RIGHTS, {"properties": {
            "roleDefinitionId": f"/subscriptions/{other}/providers/Microsoft.Authorization/roleDefinitions/acdd72a7-3385-48ef-bd42-f606fba81ae7",
            "principalId": made["objectId"], "principalType": "ServicePrincipal"}})
        self.assertEqual(a.status, 201, a)
        founder = dict(s.credentials)
        try:
            s.credentials.update(clientId=made["clientId"], clientSecret=made["secret"])
            s.tokens = {}
            self.assertEqual([x["subscriptionId"] for x in s.call("GET", "/subscriptions?api-version=" + RESOURCES).json["value"]], [other])
            self.assertEqual((s.arm("GET", there, RESOURCES).status, s.arm("GET", here, RESOURCES).status), (200, 403))
        finally:
            s.credentials.update(founder)
            s.tokens = {}
        # the log of each is its own, and a workspace sees its subscription's
        s.done(s.arm("PUT", there + "/providers/Microsoft.OperationalInsights/workspaces/beyond", V, {"location": "westeurope"}))
        beyond = s.arm("GET", there + "/providers/Microsoft.OperationalInsights/workspaces/beyond", V).json["properties"]["customerId"]
        for sub, mine in ((first, "herecluster"), (other, "therecluster")):
            a = s.call("GET", f"/subscriptions/{sub}/providers/Microsoft.Insights/eventtypes/management/values?api-version=2015-04-01")
            self.assertEqual(a.status, 200, a)
            ids = [e["resourceId"] for e in a.json["value"]]
            self.assertTrue(any(mine in x for x in ids), ids)
            self.assertTrue(all(x.startswith("/subscriptions/" + sub) for x in ids), ids)
        for workspace, sub, mine in ((s.workspace_id("crossing"), first, "herecluster"), (beyond, other, "therecluster")):
            seen = s.rows("AzureActivity | distinct SubscriptionId, Resource", workspace)
            self.assertEqual({x[0] for x in seen}, {sub})
            self.assertIn(mine, {x[1] for x in seen})
            tables = s.call("GET", f"/v1/workspaces/{workspace}/metadata", resource=QUERY).json["tables"]
            self.assertIn("AzureActivity", [t["name"] for t in tables])
        # registration by subscription
        s.done(s.arm("POST", f"/subscriptions/{other}/providers/Microsoft.Insights/unregister", RESOURCES))
        self.assertEqual([s.arm("GET", f"/subscriptions/{x}/providers/Microsoft.Insights", RESOURCES).json["registrationState"]
                          for x in (first, other)], ["Registered", "NotRegistered"])
        # it stays over a restart, and is not given up while it has groups
        s.stop()
        s.start()
        self.assertEqual(s.arm("GET", there + of[there], V).status, 200)
        self.assertEqual(s.call("PATCH", "/admin/resource-settings", {"subscriptions": []}).status, 400)
        a = s.arm("DELETE", there, RESOURCES)
        self.assertIn(other, a.headers["location"])
        s.wait(lambda: s.call("GET", a.headers["location"]).status == 200, what="the group's end")
        s.settings(subscriptions=None)
        self.assertEqual(s.arm("GET", f"/subscriptions/{other}", RESOURCES).status, 404)


if __name__ == "__main__":
    unittest.main()
