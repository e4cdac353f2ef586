# SPDX-License-Identifier: Apache-2.0
"""tests/http/test_activity.py - who changed what, when, and how it ended: as AzureActivity in KQL, and as ARM lists it."""
import unittest
import urllib.parse
import uuid

from keystead import ARM, Server

NEW = "2022-10-01"


class Activity(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.s = Server().__enter__()
        cls.s.done(cls.s.arm("PUT", cls.s.group(), "2021-04-01", {"location": "westeurope"}))
        cls.s.make_workspace("workspace1", cluster=None)
        cls.w = cls.s.workspace_id()

    @classmethod
    def tearDownClass(cls):
        cls.s.close()

    def events(self, resource):
        return self.s.rows(f"AzureActivity | where _ResourceId == '{resource.lower()}' | order by TimeGenerated asc "
                           "| project OperationNameValue, ActivityStatus, ActivityStatusValue, Caller, ResourceGroup, CorrelationId", self.w)

    def values(self, *conditions):
        url = self.s.sub("/providers/Microsoft.Insights/eventtypes/management/values?api-version=2015-04-01")
        if conditions:
            url += "&$filter=" + urllib.parse.quote(" and ".join(conditions))
        return self.s.call("GET", url)

    def test_a_creation_is_accepted_and_then_has_succeeded_under_one_correlation(self):
        path, correlation = self.s.cluster_path("cluster1"), str(uuid.uuid4())
        a = self.s.call("PUT", f"{path}?api-version={NEW}", {
            "location": "westeurope", "identity": {"type": "SystemAssigned"}, "sku": {"name": "CapacityReservation", "capacity": 500}},
            headers={"x-ms-correlation-request-id": correlation})
        self.s.done(a)
        rows = self.s.wait(lambda: [r for r in [self.events(path)] if len(r) == 2], what="both events")[0]
        who = self.s.credentials["objectId"]
        self.assertEqual(sorted(r[1] for r in rows), ["Accepted", "Succeeded"])
        for r in rows:
            self.assertEqual((r[0], r[3], r[4], r[5]), ("MICROSOFT.OPERATIONALINSIGHTS/CLUSTERS/WRITE", who, "RG", correlation))

    def test_reading_leaves_no_trace_and_a_refusal_does(self):
        path = self.s.cluster_path("nosuchcluster")
        self.s.arm("GET", path, NEW)
        self.assertEqual(self.events(path), [])
        self.assertEqual(self.s.arm("PATCH", path, NEW, {}).status, 404)
        rows = self.s.rows(f"AzureActivity | where _ResourceId == '{path.lower()}' "
                           "| project ActivityStatusValue, ActivitySubstatus, Level, tostring(Properties_d.statusCode), tostring(Authorization_d.action)", self.w)
        self.assertEqual(rows, [["Failure", "ResourceNotFound", "Error", "404", "Microsoft.OperationalInsights/clusters/write"]])

    def test_what_vault_and_identity_answer_is_there_too(self):
        c = self.s.credentials
        vault = self.s.group("/providers/Microsoft.KeyVault/vaults/kvactive")
        self.s.done(self.s.arm("PUT", vault, "2022-07-01", {"location": "westeurope", "properties": {
            "tenantId": c["tenantId"], "sku": {"family": "A", "name": "standard"}, "accessPolicies": []}}))
        self.assertEqual([r[:2] for r in self.events(vault)], [["MICROSOFT.KEYVAULT/VAULTS/WRITE", "Succeeded"]])
        role = self.s.group(f"/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}")
        self.s.arm("PUT", role, "2022-04-01", {"properties": {"roleDefinitionId": "nothing", "principalId": "nobody"}})
        self.assertEqual([r[:2] for r in self.events(role)], [["MICROSOFT.AUTHORIZATION/ROLEASSIGNMENTS/WRITE", "Failed"]])

    def test_arm_lists_the_events_that_its_filter_asks_for(self):
        path = self.s.workspace_path("listed1")
        self.s.done(self.s.arm("PUT", path, NEW, {"location": "westeurope"}))
        self.s.arm("PATCH", path, NEW, {"tags": {"a": "b"}})
        a = self.values("eventTimestamp ge '2020-01-01T00:00:00Z'", f"resourceUri eq '{path}'")
        self.assertEqual(a.status, 200, a)
        newest = a.json["value"][0]
        self.assertEqual((newest["resourceId"], newest["status"]["value"], newest["operationName"]["value"], newest["httpRequest"]["method"]),
                         (path, "Succeeded", "Microsoft.OperationalInsights/workspaces/write", "PATCH"), newest)
        self.assertEqual(newest["caller"], self.s.credentials["objectId"])
        self.assertEqual(newest["authorization"]["scope"], path)
        for e in a.json["value"]:
            self.assertEqual(e["resourceGroupName"], "RG")
        self.assertEqual(self.values("eventTimestamp ge '2999-01-01T00:00:00Z'").json["value"], [])
        self.assertEqual(self.values("resourceGroupName eq 'nogroup'").json["value"], [])
        for bad in ("nothing eq 'x'", "eventTimestamp eq 'x'", "caller eq x", "caller ge 'x'", "caller eq 'x' or caller eq 'y'"):
            self.assertEqual(self.values(bad).status, 400, bad)
        injected = self.values("caller eq 'x\" | union *'")
        self.assertEqual((injected.status, injected.json["value"]), (200, []), injected)

    def test_a_restart_forgets_nothing(self):
        before = self.s.rows("AzureActivity | count", self.w)[0][0]
        self.assertGreater(before, 0)
        self.s.kill()
        self.s.start()
        a = self.s.wait(lambda: [x for x in [self.s.query("AzureActivity | count", self.w)] if x.status == 200], what="the restart")[0]
        self.assertEqual(a.json["tables"][0]["rows"][0][0], before)

    def test_a_workspace_sees_the_log_only_where_the_operator_lets_it(self):
        self.s.settings(activityInWorkspaces=False)
        self.assertEqual(self.s.query("AzureActivity | count", self.w).status, 400)
        self.s.settings(activityInWorkspaces=None)
        self.assertEqual(self.s.query("AzureActivity | count", self.w).status, 200)
        self.assertEqual(self.s.raw("GET", self.s.credentials["endpoint"] + self.s.sub(
            "/providers/Microsoft.Insights/eventtypes/management/values?api-version=2015-04-01")).status, 401)
        self.assertEqual(ARM, "https://management.azure.com")


if __name__ == "__main__":
    unittest.main()
