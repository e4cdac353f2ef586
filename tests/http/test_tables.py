# SPDX-License-Identifier: Apache-2.0
"""tests/http/test_tables.py - plans of tables and what they leave of KQL; standard tables and columns that customers add to them."""
import unittest

from keystead import INGEST, QUERY, Server

V = "2022-10-01"


class Tables(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.s = Server().start()
        cls.addClassCleanup(cls.s.close)
        s = cls.s
        s.done(s.arm("PUT", s.group(), "2021-04-01", {"location": "westeurope"}))
        s.make_workspace(cluster=None)
        cls.w = s.workspace_id()

    def path(self, table):
        return f"{self.s.workspace_path()}/tables/{table}"

    def put(self, table, method="PUT", **properties):
        return self.s.arm(method, self.path(table), V, {"properties": properties})

    def make(self, table, plan):
        return self.s.done(self.put(table, plan=plan, schema={"name": table, "columns": [
            {"name": "TimeGenerated", "type": "dateTime"}, {"name": "Word", "type": "string"}]}))

    def refused(self, answer, word):
        self.assertEqual(answer.status, 400, answer)
        self.assertIn(word, answer.body.decode(), answer)

    def search(self, kql, timespan="P1D"):
        return self.s.call("POST", f"/v1/workspaces/{self.w}/search", {"query": kql, **({"timespan": timespan} if timespan else {})}, QUERY)

    def test_a_basic_table_is_read_by_search_alone_and_within_its_plan(self):
        s = self.s
        for table, plan in (("Cheap_CL", "basic"), ("Cheap2_CL", "Auxiliary"), ("Full_CL", "Analytics")):
            p = self.make(table, plan).json["properties"]
            self.assertEqual(p["plan"].lower(), plan.lower())
            self.assertEqual("lastPlanModifiedDate" in p, plan != "Analytics")
            self.assertEqual(s.send(table, [{"Word": table}, {"Word": "b"}], self.w).status, 204)
        self.refused(s.query("Cheap_CL | count", self.w), "has the plan Basic: it is queried by /search")
        self.assertEqual(s.rows("union * | distinct Word | order by Word asc", self.w)[0], ["Full_CL"])
        for kql, rows in (("Cheap_CL | where Word == 'b' | project Word", [["b"]]), ("Cheap_CL | summarize count()", [[2]]),
                          ("Cheap2_CL | parse Word with 'Cheap' N:int '_CL' | project N | where isnotnull(N)", [[2]]),
                          ("Cheap_CL | lookup (Full_CL | extend Twin = 1) on Word | where Twin == 1 | project Word", [["b"]]),
                          ("union Cheap_CL, Full_CL | count", [[4]]), ("let x = 'b'; Cheap_CL | where Word == x | count", [[1]]),
                          ("Full_CL | count", [[2]])):
            a = self.search(kql)
            self.assertEqual((a.status, a.json.get("tables", [{}])[0].get("rows")), (200, rows), (kql, a))
        for kql, word in (("Cheap_CL | join Full_CL on Word", "join"), ("search in (Cheap_CL) 'b'", "search"),
                          ("find in (Cheap_CL) where Word == 'b'", "find"), ("Cheap_CL | union Cheap2_CL", "another table"),
                          ("let f = (x: string) { x }; Cheap_CL | extend W = f(Word)", "function"),
                          ("let f = () { Cheap_CL }; f() | count", "function")):
            self.refused(self.search(kql), word)
        self.refused(self.search("Cheap_CL", None), "timespan")
        rule = {"location": "westeurope", "properties": {
            "enabled": True, "scopes": [s.workspace_path()], "evaluationFrequency": "PT5M", "windowSize": "PT5M", "criteria": {"allOf": [{
                "query": "Cheap_CL", "timeAggregation": "Count", "operator": "GreaterThan", "threshold": 1}]}}}
        self.refused(s.arm("PUT", s.group("/providers/Microsoft.Insights/scheduledQueryRules/cheap"), "2021-08-01", rule), "plan Basic")

    def test_a_plan_is_changed_once_a_week_and_sets_the_days(self):
        s = self.s
        self.make("Week_CL", "Analytics")
        self.refused(self.put("Week_CL", plan="Gold"), "none of Analytics")
        self.assertEqual(self.put("Week_CL", "PATCH", retentionInDays=90).json["properties"]["retentionInDays"], 90)
        p = self.put("Week_CL", "PATCH", plan="Basic", totalRetentionInDays=200).json["properties"]
        self.assertEqual((p["plan"], p["retentionInDays"], p["totalRetentionInDays"], p["archiveRetentionInDays"]), ("Basic", 30, 200, 170))
        self.refused(self.put("Week_CL", "PATCH", retentionInDays=60), "can't be changed")
        self.refused(self.put("Week_CL", "PATCH", plan="Analytics"), "once a week")
        s.settings(tablePlanDays=0)
        self.refused(self.put("Week_CL", "PATCH", plan="Auxiliary"), "Auxiliary")
        self.assertEqual(self.put("Week_CL", "PATCH", plan="Analytics").json["properties"]["retentionInDays"], 30)
        self.make("Aux_CL", "Auxiliary")
        self.refused(self.put("Aux_CL", "PATCH", plan="Analytics"), "Auxiliary")
        self.refused(self.put("Syslog", "PATCH", plan="Basic"), "can't have the plan")
        s.settings(tablePlanDays=None)

    def test_what_is_said_of_columns_is_kept_and_never_on_the_disk_in_plain(self):
        s = self.s
        columns = [{"name": "TimeGenerated", "type": "dateTime"},
                   {"name": "Gyroscope", "type": "string", "displayName": "Spin", "description": "How Hexakosioi turn", "dataTypeHint": "ip"}]
        self.refused(self.put("Said_CL", schema={"columns": [columns[0], {**columns[1], "dataTypeHint": "x"}]}), "dataTypeHint")
        self.assertEqual(s.arm("GET", self.path("Said_CL"), V).status, 404)
        s.done(self.put("Said_CL", schema={"name": "Said_CL", "description": "About Hexakosioi", "columns": columns}))

        def seen():
            schema = s.arm("GET", self.path("Said_CL"), V).json["properties"]["schema"]
            return schema.get("description"), [(c.get("displayName"), c.get("description"), c.get("dataTypeHint")) for c in schema["columns"]]
        said = ("About Hexakosioi", [(None, None, None), ("Spin", "How Hexakosioi turn", "ip")])
        self.assertEqual(seen(), said)
        s.done(self.put("Said_CL", "PATCH", retentionInDays=50))
        self.assertEqual(seen(), said)
        for name in s.files():
            with open(name, "rb") as f:
                data = f.read()
                self.assertFalse(b"Hexakosioi" in data or b"Gyroscope" in data, name)
        s.done(self.put("Said_CL", schema={"description": "", "columns": [{**columns[1], "displayName": ""}]}))
        self.assertEqual(seen(), (None, [(None, None, None), (None, "How Hexakosioi turn", "ip")]))

    def test_a_standard_table_is_there_from_the_first_day_and_takes_custom_columns(self):
        s = self.s
        a = s.arm("GET", self.path("syslog"), V)
        schema = a.json["properties"]["schema"]
        self.assertEqual((a.json["name"], schema["source"], schema["tableType"], schema["columns"]), ("Syslog", "microsoft", "Microsoft", []))
        self.assertIn("SyslogMessage", [c["name"] for c in schema["standardColumns"]])
        self.assertEqual(s.rows("Syslog | count", self.w), [[0]])
        self.refused(self.put("Syslog", schema={"name": "Syslog", "columns": [{"name": "Rack", "type": "string"}]}), "ends in _CF")
        self.refused(self.put("Syslog", schema={"name": "Syslog", "columns": [{"name": "Facility", "type": "int"}]}), "type can't be changed")
        a = self.put("Syslog", schema={"name": "Syslog", "columns": [{"name": "Rack_CF", "type": "string"}, {"name": "Facility", "type": "string"}]})
        self.assertEqual([c["name"] for c in s.done(a).json["properties"]["schema"]["columns"]], ["Rack_CF"])
        rows = [{"SyslogMessage": "hello", "Facility": "kern", "Rack_CF": "r7", "ProcessID": 4}]
        dcr = "dcr-" + self.w.replace("-", "")
        a = s.call("POST", f"/dataCollectionRules/{dcr}/streams/Microsoft-Syslog?api-version=2023-01-01", rows, INGEST)
        self.assertEqual(a.status, 204, a)
        self.assertEqual(s.rows("Syslog | project Facility, Rack_CF, ProcessID", self.w), [["kern", "r7", 4]])
        self.refused(s.arm("DELETE", self.path("Syslog"), V), "can't be deleted")
        listed = {t["name"] for t in s.arm("GET", s.workspace_path() + "/tables", V).json["value"]}
        self.assertGreaterEqual(listed, {"Syslog", "AppRequests", "AppTraces", "Event"})
        a = s.call("POST", f"/dataCollectionRules/{dcr}/streams/Microsoft-AppTraces?api-version=2023-01-01", rows, INGEST)
        self.assertEqual(a.status, 400, a)


if __name__ == "__main__":
    unittest.main()
