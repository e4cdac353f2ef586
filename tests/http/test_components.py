# SPDX-License-Identifier: Apache-2.0
"""tests/http/test_components.py - Application Insights components and scheduled query rules."""
import unittest

from keystead import Server


class Components(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.s = Server().start()
        cls.addClassCleanup(cls.s.close)
        s = cls.s
        s.done(s.arm("PUT", s.group(), "2021-04-01", {"location": "westeurope"}))
        s.make_workspace(cluster=None)
        s.make_table("Zeppelins_CL", {"Word": "string"})

    def path(self, name, kind="components"):
        return self.s.group(f"/providers/Microsoft.Insights/{kind}/{name}")

    def refused(self, answer, code, status=400):
        self.assertEqual((answer.status, answer.json["error"]["code"]), (status, code), answer)
        return answer.json["error"]["message"]

    def cluster(self, name, kind):
        return self.s.done(self.s.arm("PUT", self.s.cluster_path(name), "2020-03-01-preview", {
            "location": "westeurope", "identity": {"type": "SystemAssigned"}, "properties": {"clusterType": kind},
            "sku": {"name": "CapacityReservation", "capacity": 1000}}))

    def cluster_guid(self, name):
        return self.s.arm("GET", self.s.cluster_path(name), "2020-03-01-preview").json["properties"]["clusterId"]

    def test_a_component_on_a_workspace_is_made_shown_tagged_and_removed(self):
        s = self.s
        a = s.arm("PUT", self.path("app1"), "2020-02-02", {"location": "West Europe", "kind": "web", "properties": {
            "Application_Type": "web", "WorkspaceResourceId": s.workspace_path().lower(), "RetentionInDays": 30}})
        self.assertEqual(a.status, 200, a)
        p = a.json["properties"]
        self.assertEqual((p["WorkspaceResourceId"], p["IngestionMode"], p["RetentionInDays"], p["Flow_Type"]),
                         (s.workspace_path(), "LogAnalytics", 30, "Bluefield"))
        self.assertIn(f"InstrumentationKey={p['InstrumentationKey']};IngestionEndpoint={s.credentials['endpoint']}/",
                      p["ConnectionString"])
        again = s.arm("PUT", self.path("app1"), "2020-02-02", {"location": "westeurope", "properties": {}}).json["properties"]
        self.assertEqual((again["AppId"], again["InstrumentationKey"]), (p["AppId"], p["InstrumentationKey"]))
        old = s.arm("GET", self.path("app1").lower(), "2015-05-01").json
        self.assertNotIn("WorkspaceResourceId", old["properties"])
        self.assertEqual((old["kind"], old["properties"]["ApplicationId"], old["location"]), ("web", "app1", "westeurope"))
        self.assertEqual(s.arm("PATCH", self.path("app1"), "2020-02-02", {"tags": {"a": "b"}}).json["tags"], {"a": "b"})
        for where in (s.group(), s.sub()):
            listed = s.arm("GET", where + "/providers/Microsoft.Insights/components", "2015-05-01").json["value"]
            self.assertIn("app1", [x["name"] for x in listed])
        self.assertEqual(s.arm("DELETE", self.path("app1"), "2020-02-02").status, 200)
        self.assertEqual(s.arm("DELETE", self.path("app1"), "2020-02-02").status, 204)

    def test_bad_components_are_refused(self):
        for p in ({"RetentionInDays": 31}, {"WorkspaceResourceId": "/nothing"}, {"DisableIpMasking": "yes"}):
            self.refused(self.s.arm("PUT", self.path("bad"), "2020-02-02", {"location": "westeurope", "properties": p}),
                         "InvalidParameter")
        self.refused(self.s.arm("PUT", self.path("bad"), "2020-02-02", {"properties": {}}), "LocationRequired")

    def test_a_component_lies_on_a_cluster_of_its_own_type_only(self):
        s = self.s
        self.cluster("apps", "ApplicationInsights")
        self.cluster("logs", "LogAnalytics")
        body = {"location": "westeurope", "properties": {"clusterDefinitionId": self.cluster_guid("apps")}}
        a = s.arm("PUT", self.path("classic"), "2015-05-01", body)
        self.assertEqual((a.status, a.json["properties"]["clusterDefinitionId"], a.json["properties"]["Application_Type"]),
                         (200, self.cluster_guid("apps"), "web"), a)
        body["properties"]["clusterDefinitionId"] = self.cluster_guid("logs")
        self.assertIn("ApplicationInsights only", self.refused(
            s.arm("PUT", self.path("classic2"), "2015-05-01", body), "InvalidParameter"))
        body["properties"]["clusterDefinitionId"] = "00000000-0000-0000-0000-000000000001"
        self.refused(s.arm("PUT", self.path("classic2"), "2015-05-01", body), "ResourceNotFound")
        self.refused(s.arm("PUT", s.workspace_path() + "/linkedServices/cluster", "2020-08-01", {
            "properties": {"writeAccessResourceId": s.cluster_path("apps")}}), "InvalidParameter")

    def rule(self, **more):
        return {"location": "westeurope", "properties": {
            "severity": 3, "enabled": True, "scopes": [self.s.workspace_path()], "evaluationFrequency": "PT5M", "windowSize": "PT5M",
            "criteria": {"allOf": [{"query": "Zeppelins_CL | count", "timeAggregation": "Count", "operator": "GreaterThan",
                                    "threshold": 1}]}, **more}}

    def test_a_scheduled_query_rule_is_kept_and_its_query_is_nowhere_in_plain(self):
        s, path, v = self.s, self.path("alert", "scheduledQueryRules"), "2021-08-01"
        a = s.arm("PUT", path, v, self.rule())
        self.assertEqual((a.status, a.json["kind"], a.json["properties"]["createdWithApiVersion"]), (201, "LogAlert", v), a)
        self.assertEqual(s.arm("PUT", path, v, a.json).status, 200)
        patched = s.arm("PATCH", path, v, {"properties": {"enabled": False}, "tags": {"a": "b"}}).json
        self.assertEqual((patched["properties"]["enabled"], patched["properties"]["severity"], patched["tags"]),
                         (False, 3, {"a": "b"}))
        self.assertEqual(s.arm("GET", path, v).json, patched)
        for name in s.files():
            with open(name, "rb") as f:
                self.assertNotIn(b"Zeppelins_CL", f.read(), name)
        for body in (self.rule(severity=5), self.rule(scopes=[]), self.rule(criteria={}),
                     self.rule(criteria={"allOf": [{"query": "T"}]})):
            self.refused(s.arm("PUT", path, v, body), "BadRequest")
        self.assertEqual(s.arm("DELETE", path, v).status, 200)
        self.assertEqual(s.arm("DELETE", path, v).status, 204)

    def test_a_rule_that_asks_for_the_customers_storage_needs_it_to_be_linked(self):
        s, path, v = self.s, self.path("stored", "scheduledQueryRules"), "2021-08-01"
        body = self.rule(checkWorkspaceAlertsStorageConfigured=True)
        self.assertIn("linked for alerts", self.refused(s.arm("PUT", path, v, body), "BadRequest"))
        account = s.group("/providers/Microsoft.Storage/storageAccounts/alertstore1")
        s.done(s.arm("PUT", account, "2022-09-01", {"location": "westeurope", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}}))
        s.done(s.arm("PUT", s.workspace_path() + "/linkedStorageAccounts/Alerts", "2020-08-01", {
            "properties": {"storageAccountIds": [account]}}))
        self.assertEqual(s.arm("PUT", path, v, body).status, 201)

    def test_the_older_shape_of_a_rule_is_kept_as_it_is(self):
        s, path, v = self.s, self.path("legacy", "scheduledQueryRules"), "2018-04-16"
        p = {"source": {"query": "Zeppelins_CL | count", "dataSourceId": s.workspace_path(), "queryType": "ResultCount"},
             "schedule": {"frequencyInMinutes": 5, "timeWindowInMinutes": 5}, "enabled": "true",
             "action": {"odata.type": "Microsoft.WindowsAzure.Management.Monitoring.Alerts.Models.Microsoft.AppInsights.Nexus."
                        "DataContracts.Resources.ScheduledQueryRules.AlertingAction", "severity": "4",
                        "trigger": {"thresholdOperator": "GreaterThan", "threshold": 3}}}
        a = s.arm("PUT", path, v, {"location": "westeurope", "properties": p})
        self.assertEqual((a.status, a.json["properties"]), (201, {**p, "provisioningState": "Succeeded"}), a)
        self.refused(s.arm("PUT", path, v, {"location": "westeurope", "properties": {}}), "BadRequest")


if __name__ == "__main__":
    unittest.main()
