# SPDX-License-Identifier: Apache-2.0
"""tests/http/test_rules.py - data collection rules and endpoints, and rows that are sent through them."""
import json
import unittest

from keystead import INGEST, Server

PUBLISHER = "3913510d-42f4-4e42-8a64-420c390055eb"
V = "2022-06-01"


class Rules(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.s = Server().start()
        cls.addClassCleanup(cls.s.close)
        s = cls.s
        s.done(s.arm("PUT", s.group(), "2021-04-01", {"location": "westeurope"}))
        s.make_workspace(cluster=None)
        s.make_workspace("workspace2", cluster=None)
        cls.w = s.workspace_id()
        s.make_table("Words_CL", {"Word": "string", "N": "long"})

    def path(self, name, kind="dataCollectionRules"):
        return self.s.group(f"/providers/Microsoft.Insights/{kind}/{name}")

    def body(self, kql=None, stream="Custom-Raw", output="Custom-Words_CL", **more):
        flow = {"streams": [stream], "destinations": ["here"], "outputStream": output}
        if kql is not None:
            flow["transformKql"] = kql
        return {"location": "westeurope", "kind": "Direct", "properties": {
            "streamDeclarations": {"Custom-Raw": {"columns": [{"name": "Raw", "type": "string"}, {"name": "N", "type": "long"}]}},
            "destinations": {"logAnalytics": [{"workspaceResourceId": self.s.workspace_path(), "name": "here"}]},
            "dataFlows": [flow], **more}}

    def put(self, name, *args, **more):
        return self.s.arm("PUT", self.path(name), V, self.body(*args, **more))

    def post(self, rule, rows, stream="Custom-Raw"):
        return self.s.call("POST", f"/dataCollectionRules/{rule}/streams/{stream}?api-version=2023-01-01", rows, INGEST)

    def details(self, answer):
        self.assertEqual(answer.status, 400, answer)
        e = answer.json["error"]
        self.assertEqual((e["code"], e["message"]), ("InvalidPayload", "Data collection rule is invalid"))
        return e["details"][0]

    def test_a_rule_is_made_shown_listed_tagged_and_removed(self):
        s = self.s
        a = self.put("life")
        self.assertEqual(a.status, 201, a)
        made = a.json
        self.assertRegex(made["properties"]["immutableId"], r"^dcr-[0-9a-f]{32}$")
        self.assertEqual(made["properties"]["destinations"]["logAnalytics"][0]["workspaceId"], self.w)
        self.assertEqual(made["properties"]["endpoints"]["logsIngestion"], s.credentials["endpoint"])
        self.assertEqual((made["type"], made["name"], made["properties"]["provisioningState"]),
                         ("Microsoft.Insights/dataCollectionRules", "life", "Succeeded"))
        again = self.put("life", "source | where N > 0")
        self.assertEqual((again.status, again.json["properties"]["immutableId"]), (200, made["properties"]["immutableId"]))
        self.assertNotEqual(again.json["etag"], made["etag"])
        patched = s.arm("PATCH", self.path("life"), V, {"tags": {"a": "b"}})
        self.assertEqual((patched.status, patched.json["tags"]), (200, {"a": "b"}))
        self.assertEqual(patched.json["properties"], again.json["properties"])
        self.assertEqual(s.arm("GET", self.path("life").lower(), V).json, patched.json)
        for where in (s.group(), s.sub()):
            found = s.arm("GET", where + "/providers/Microsoft.Insights/dataCollectionRules", V).json["value"]
            self.assertIn("life", [x["name"] for x in found])
        self.assertEqual(s.arm("DELETE", self.path("life"), V).status, 200)
        self.assertEqual(s.arm("DELETE", self.path("life"), V).status, 204)
        self.assertEqual(s.arm("GET", self.path("life"), V).status, 404)
        self.assertEqual(self.post(made["properties"]["immutableId"], []).status, 404)

    def test_an_etag_that_is_old_stops_a_writer(self):
        s = self.s
        etag = self.put("etag").json["etag"]
        self.put("etag")
        url = s.credentials["endpoint"] + self.path("etag") + "?api-version=" + V
        self.assertEqual(s.call("PUT", url, self.body(), headers={"If-Match": etag}).status, 412)

    def test_rows_go_through_the_transformation_into_the_table(self):
        rule = self.put("flow", "source | where N > 1 | extend Word = toupper(Raw) | project-away Raw").json
        a = self.post(rule["properties"]["immutableId"].upper().replace("DCR", "dcr"),
                      [{"Raw": "drop", "N": 1}, {"Raw": "keep", "N": 20, "Other": 1}])
        self.assertEqual((a.status, a.body), (204, b""))
        self.assertEqual(self.s.rows("Words_CL | where N == 20 | project Word, ago(1h) < TimeGenerated", self.w), [["KEEP", True]])
        self.assertEqual(self.s.rows("Words_CL | where N == 1 | count", self.w), [[0]])

    def test_rows_without_a_transformation_keep_the_columns_that_the_table_has(self):
        rule = self.put("plain").json
        self.assertEqual(self.post(rule["properties"]["immutableId"], [{"Raw": "x", "N": 31}]).status, 204)
        self.assertEqual(self.s.rows("Words_CL | where N == 31 | project Word, N", self.w), [["", 31]])

    def test_a_stream_that_the_rule_has_not_and_a_rule_that_is_not_there_are_not_found(self):
        rule = self.put("streams").json
        immutable = rule["properties"]["immutableId"]
        self.assertEqual(self.post(immutable, [], "Custom-Words_CL").status, 404)
        self.assertEqual(self.post("dcr-" + 32 * "0", []).status, 404)
        self.assertEqual(self.post("nonsense", []).status, 404)

    def test_the_rule_of_a_workspace_stays_as_it_is(self):
        s = self.s
        path = s.arm("GET", s.workspace_path(), "2022-10-01").json["properties"]["defaultDataCollectionRuleResourceId"]
        for method, body in (("PUT", self.body()), ("PATCH", {"tags": {}}), ("DELETE", None)):
            a = s.arm(method, path, V, body)
            self.assertEqual((a.status, a.json["error"]["code"]), (409, "Conflict"), a)
        self.assertEqual(s.send("Words_CL", [{"Word": "default", "N": 40}], self.w).status, 204)

    def test_what_a_rule_can_not_do_is_refused_by_name_when_it_is_written(self):
        for kql, code, word in (
                ("source | summarize count()", "InvalidTransformQuery", "summarize"),
                ("source | join source on N", "InvalidTransformQuery", "join"),
                ("source | where Nothing == 1", "InvalidTransformQuery", "Nothing"),
                ("source | where (", "InvalidTransformQuery", "SYN"),
                ("Words_CL | where N > 1", "InvalidTransformQuery", "Words_CL"),
                ("source | project N = tostring(N)", "InvalidTransformOutput", "'N'")):
            x = self.details(self.put("bad", kql))
            self.assertEqual((x["code"], x["target"]), (code, "properties.dataFlows[0]"), kql)
            self.assertIn(word, x["message"])
        for answer, code in (
                (self.put("bad", output="Custom-None_CL"), "InvalidOutputTable"),
                (self.put("bad", output="Microsoft-SecurityEvent"), "InvalidOutputTable"),
                (self.put("bad", stream="Microsoft-Perf"), "InvalidStream"),
                (self.put("bad", dataSources={"syslog": [{"name": "x"}]}), "InvalidDataSource"),
                (self.put("bad", destinations={"logAnalytics": [{"workspaceResourceId": "/x", "name": "here"}]}),
                 "InvalidDestination"),
                (self.put("bad", destinations={"azureMonitorMetrics": {"name": "m"}}), "InvalidDestination"),
                (self.put("bad", dataCollectionEndpointId=self.path("none", "dataCollectionEndpoints")),
                 "InvalidDataCollectionEndpoint")):
            self.assertEqual(self.details(answer)["code"], code)
        self.assertEqual(self.s.arm("GET", self.path("bad"), V).status, 404)

    def test_endpoints_name_the_front_door(self):
        s = self.s
        path = self.path("dce1", "dataCollectionEndpoints")
        a = s.arm("PUT", path, V, {"location": "westeurope", "properties": {"networkAcls": {"publicNetworkAccess": "Enabled"}}})
        self.assertEqual(a.status, 201, a)
        self.assertEqual(a.json["properties"]["logsIngestion"], {"endpoint": s.credentials["endpoint"]})
        self.assertRegex(a.json["properties"]["immutableId"], r"^dce-[0-9a-f]{32}$")
        self.assertEqual(s.arm("PUT", path, V, {"location": "westeurope", "tags": {"x": "y"}}).status, 200)
        self.assertEqual(self.put("by-endpoint", dataCollectionEndpointId=path).status, 201)
        listed = s.arm("GET", s.sub("/providers/Microsoft.Insights/dataCollectionEndpoints"), V).json["value"]
        self.assertEqual([x["tags"] for x in listed], [{"x": "y"}])
        self.assertEqual(s.arm("DELETE", path, V).status, 200)
        self.assertEqual(s.arm("DELETE", path, V).status, 204)

    def test_a_rule_goes_with_its_group_and_its_names_are_nowhere_in_plain(self):
        s = self.s
        s.done(s.arm("PUT", s.group(group="rg2"), "2021-04-01", {"location": "westeurope"}))
        path = s.group("/providers/Microsoft.Insights/dataCollectionRules/secret", "rg2")
        made = s.arm("PUT", path, V, self.body("source | extend Word = 'Xylophonist' | project Word"))
        self.assertEqual(made.status, 201, made)
        for name in s.files():
            with open(name, "rb") as f:
                self.assertNotIn(b"Xylophonist", f.read(), name)
        s.arm("DELETE", s.group(group="rg2"), "2021-04-01")
        s.wait(lambda: s.arm("GET", s.group(group="rg2"), "2021-04-01").status == 404, what="the end of the group")
        self.assertEqual(self.post(made.json["properties"]["immutableId"], []).status, 404)


if __name__ == "__main__":
    unittest.main()
