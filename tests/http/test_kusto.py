# SPDX-License-Identifier: Apache-2.0
"""tests/http/test_kusto.py - the Kusto endpoint: its two shapes, its commands, its properties, its failures."""
import json
import unittest
import urllib.parse
import uuid

from keystead import INGEST, Server

ENCODED = """print b = true, i = int(7), l = 9007199254740993, r = 1.5, nan = real(nan), d = decimal(1.25), s = 'a', t = datetime(2026-03-01),
 p = 1d + 2h, g = guid(74be27de-1e4e-49d9-b579-fe0b331d3642), y = dynamic({"a": [1, "x"]}), n = long(null), e = ''"""
READER = "73c42c96-874c-492b-b04d-ab87d138a893"  # Log Analytics Reader


class Kusto(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.s = Server().__enter__()
        cls.version = cls.s.make_all()
        cls.w = cls.s.workspace_id()
        cls.s.make_table("Words_CL", {"Word": "string", "Number": "long"})
        a = cls.s.send("Words_CL", [{"Word": w, "Number": n} for n, w in enumerate(("a", "b", "c"))], cls.w)
        assert a.status == 204, a

    @classmethod
    def tearDownClass(cls):
        cls.s.close()

    def post(self, path, csl, db="workspace1", headers=None, resource=None, **properties):
        body = {"db": db, "csl": csl}
        if properties:
            body["properties"] = properties
        return self.s.call("POST", path, body, resource or self.s.credentials["endpoint"], headers)

    def v1(self, csl, **more):
        return self.post("/v1/rest/query", csl, **more)

    def v2(self, csl, **more):
        return self.post("/v2/rest/query", csl, **more)

    def mgmt(self, csl, **more):
        a = self.post("/v1/rest/mgmt", csl, **more)
        self.assertEqual(a.status, 200, a)
        self.assertEqual(len(a.json["Tables"]), 1)
        t = a.json["Tables"][0]
        return [dict(zip([c["ColumnName"] for c in t["Columns"]], row)) for row in t["Rows"]]

    def rows(self, csl, **more):
        a = self.v2(csl, **more)
        self.assertEqual(a.status, 200, a)
        return self.primary(a)[0]["Rows"]

    def primary(self, answer):
        return [f for f in answer.json if f["FrameType"] == "DataTable" and f["TableKind"] == "PrimaryResult"]

    def error(self, answer, status, code):
        self.assertEqual(answer.status, status, answer)
        e = answer.json["error"]
        self.assertEqual(e["code"], code, answer)
        self.assertLessEqual({"message", "@type", "@message", "@context", "@permanent"}, set(e))
        return e

    # --- where to log in --------------------------------------------------------------------------------------
    def test_the_metadata_say_where_to_log_in_and_need_no_token(self):
        a = self.s.raw("GET", self.s.credentials["endpoint"] + "/v1/rest/auth/metadata")
        self.assertEqual(a.status, 200, a)
        ad = a.json["AzureAD"]
        self.assertEqual((ad["LoginEndpoint"], ad["KustoServiceResourceId"], ad["LoginMfaRequired"]),
                         (self.s.credentials["endpoint"], self.s.credentials["endpoint"], False))

    # --- shapes -----------------------------------------------------------------------------------------------
    def test_frames_come_in_their_order_and_each_type_has_its_shape(self):
        a = self.v2(ENCODED)
        self.assertEqual(a.status, 200, a)
        frames = a.json
        self.assertEqual([(f["FrameType"], f.get("TableKind"), f.get("TableName")) for f in frames], [
            ("DataSetHeader", None, None), ("DataTable", "QueryProperties", "@ExtendedProperties"),
            ("DataTable", "PrimaryResult", "PrimaryResult"),
            ("DataTable", "QueryCompletionInformation", "QueryCompletionInformation"), ("DataSetCompletion", None, None)])
        self.assertEqual(frames[0], {"FrameType": "DataSetHeader", "IsProgressive": False, "Version": "v2.0"})
        self.assertEqual(frames[-1], {"FrameType": "DataSetCompletion", "HasErrors": False, "Cancelled": False})
        self.assertEqual([c["ColumnType"] for c in frames[2]["Columns"]], [
            "bool", "int", "long", "real", "real", "decimal", "string", "datetime", "timespan", "guid", "dynamic", "long", "string"])
        self.assertEqual(frames[2]["Rows"], [[
            True, 7, 9007199254740993, 1.5, "NaN", "1.25", "a", "2026-03-01T00:00:00.0000000Z", "1.02:00:00",
            "74be27de-1e4e-49d9-b579-fe0b331d3642", {"a": [1, "x"]}, None, ""]])
        self.assertEqual([f["TableId"] for f in frames[1:-1]], [0, 1, 2])
        done = [dict(zip([c["ColumnName"] for c in frames[3]["Columns"]], r)) for r in frames[3]["Rows"]]
        self.assertEqual([(r["Level"], r["EventTypeName"]) for r in done], [(4, "QueryInfo"), (6, "QueryResourceConsumption")])
        self.assertEqual(json.loads(done[0]["Payload"]), {"Count": 1, "Text": "Query completed successfully"})

    def test_tables_of_v1_have_net_types_and_a_table_of_contents(self):
        a = self.v1(ENCODED)
        self.assertEqual(a.status, 200, a)
        tables = a.json["Tables"]
        self.assertEqual([t["TableName"] for t in tables], ["Table_0", "Table_1", "Table_2", "Table_3"])
        self.assertEqual([(c["DataType"], c["ColumnType"]) for c in tables[0]["Columns"]][:11], [
            ("SByte", "bool"), ("Int32", "int"), ("Int64", "long"), ("Double", "real"), ("Double", "real"), ("SqlDecimal", "decimal"),
            ("String", "string"), ("DateTime", "datetime"), ("TimeSpan", "timespan"), ("Guid", "guid"), ("Object", "dynamic")])
        self.assertEqual(tables[0]["Rows"][0][10], '{"a":[1,"x"]}')
        self.assertEqual([r[:3] for r in tables[-1]["Rows"]], [
            [0, "QueryResult", "PrimaryResult"], [1, "QueryProperties", "@ExtendedProperties"], [2, "QueryStatus", "QueryStatus"]])
        self.assertEqual(tables[2]["Rows"][0][1:6], [4, "Info", 0, "Query completed successfully", 1])

    def test_several_results_are_several_tables(self):
        a = self.v2("range x from 1 to 3 step 1 | fork (count) rest=(where x > 1)")
        self.assertEqual([(t["TableId"], t["TableName"], t["Rows"]) for t in self.primary(a)],
                         [(1, "PrimaryResult", [[3]]), (2, "rest", [[2], [3]])])
        a = self.v1("print 1; print 2")
        self.assertEqual([r[1] for r in a.json["Tables"][-1]["Rows"]], ["QueryResult", "QueryResult", "QueryProperties", "QueryStatus"])

    def test_a_chart_is_passed_on(self):
        q = "range x from 1 to 3 step 1 | render timechart with (title='T', accumulate=true)"
        a = self.v2(q)
        row = a.json[1]["Rows"][0]
        self.assertEqual(row[:2], [1, "Visualization"])
        chart = json.loads(row[2])
        self.assertEqual((chart["Visualization"], chart["Title"], chart["Accumulate"]), ("timechart", "T", True))
        self.assertEqual(json.loads(self.v1(q).json["Tables"][1]["Rows"][0][0]), chart)

    def test_ids_come_back_or_are_made(self):
        a = self.v2("print 1", headers={"x-ms-client-request-id": "KPC.execute;mine"})
        self.assertEqual(a.headers["x-ms-client-request-id"], "KPC.execute;mine")
        uuid.UUID(a.headers["x-ms-activity-id"])
        self.assertEqual(a.json[-2]["Rows"][0][1], "KPC.execute;mine")
        self.assertEqual(self.v2("print 1", ClientRequestId="body;1").headers["x-ms-client-request-id"], "body;1")
        self.assertTrue(self.v2("print 1").headers["x-ms-client-request-id"].startswith("unspecified;"))

    def test_get_and_properties_as_text_are_understood(self):
        q = urllib.parse.urlencode({"db": self.w, "csl": "declare query_parameters(n:long); print n",
                                    "properties": json.dumps({"Parameters": {"n": 3}})})
        for v, place in (("v1", lambda j: j["Tables"][0]), ("v2", lambda j: j[2])):
            a = self.s.call("GET", f"/{v}/rest/query?{q}", resource=self.s.credentials["endpoint"])
            self.assertEqual((a.status, place(a.json)["Rows"]), (200, [[3]]), a)

    # --- databases --------------------------------------------------------------------------------------------
    def test_a_database_is_a_workspace_by_each_of_its_names(self):
        for db in ("workspace1", "WORKSPACE1", self.w, self.s.workspace_path()):
            with self.subTest(db):
                self.assertEqual(self.rows("Words_CL | count", db=db), [[3]])
        self.assertEqual(self.rows("database('workspace1').Words_CL | count"), [[3]])
        self.assertEqual(self.error(self.v2("print 1", db="nothing"), 400, "BadRequest_EntityNotFound")["@message"],
                         "Entity ID 'nothing' of kind 'Database' was not found.")
        self.error(self.v2("database('other').Words_CL"), 400, "General_BadRequest")
        self.error(self.v2("print 1", db=None), 400, "General_BadRequest")

    def test_a_name_that_two_workspaces_have_is_no_name(self):
        for group in ("twin1", "twin2"):
            self.s.done(self.s.arm("PUT", self.s.group(group=group), "2021-04-01", {"location": "westeurope"}))
            self.s.make_workspace("twin", None, group)
        self.error(self.v2("print 1", db="twin"), 400, "General_BadRequest")
        one = self.s.workspace_id("twin", "twin1")
        self.assertEqual(self.rows("print 1", db=one), [[1]])
        found = [r for r in self.mgmt(".show databases") if r["PrettyName"] == "twin"]
        self.assertEqual(sorted(r["DatabaseName"] for r in found), sorted(r["DatabaseId"] for r in found))
        self.assertIn(one, [r["DatabaseName"] for r in found])

    # --- commands ---------------------------------------------------------------------------------------------
    def test_databases_and_tables_are_shown(self):
        mine = next(r for r in self.mgmt(".show databases") if r["DatabaseName"] == "workspace1")
        self.assertEqual((mine["DatabaseId"], mine["IsCurrent"], mine["DatabaseAccessMode"]), (self.w, True, "ReadWrite"))
        self.assertEqual([r["DatabaseName"] for r in self.mgmt(".show database ['workspace1']")], ["workspace1"])
        self.assertEqual([r["TableName"] for r in self.mgmt(".show tables")], ["Words_CL", "AzureActivity"])
        self.assertEqual(self.mgmt(".show tables (Words_CL)"), self.mgmt(".show table Words_CL"))
        self.assertEqual(self.mgmt(".SHOW  table [\"Words_CL\"]  cslschema")[0]["Schema"],
                         "TimeGenerated:datetime,Word:string,Number:long")
        for csl in (".show functions", ".show materialized-views", ".show external tables"):
            self.assertEqual(self.mgmt(csl), [])
        self.assertEqual(self.mgmt(".show version")[0]["ServiceType"], "Engine")
        self.assertEqual(self.mgmt(".show cluster")[0]["Address"], self.s.credentials["endpoint"])

    def test_schemas_are_shown_flat_and_as_json(self):
        flat = self.mgmt(".show database workspace1 schema")
        self.assertEqual([(r["ColumnName"], r["ColumnType"]) for r in flat if r["TableName"] == "Words_CL"],
                         [("", ""), ("TimeGenerated", "System.DateTime"), ("Word", "System.String"), ("Number", "System.Int64")])
        for csl in (".show databases schema as json", ".show schema as json", ".show database schema as json",
                    ".show database [workspace1] schema as json", ".show databases (workspace1) schema as json"):
            with self.subTest(csl):
                row = self.mgmt(csl)[0]
                d = json.loads(row["DatabaseSchema"])["Databases"]["workspace1"]
                self.assertEqual(d["Tables"]["Words_CL"]["OrderedColumns"][1],
                                 {"Name": "Word", "Type": "System.String", "CslType": "string"})
        one = json.loads(self.mgmt(".show table Words_CL schema as json")[0]["Schema"])
        self.assertEqual(one, d["Tables"]["Words_CL"])

    def test_commands_that_change_something_and_unknown_ones_are_refused_by_name(self):
        for csl in (".create table T (a:string)", ".drop table Words_CL", ".show tables | count", ".show", ". ", ".show table (", "print 1",
                    ".show table 'x", ".show " + "x " * 100, ".set T <| print 1", ".show databases (a, b", ".show database \u00e4 schema"):
            with self.subTest(csl):
                self.error(self.post("/v1/rest/mgmt", csl), 400, "General_BadRequest")
        self.assertIn(".drop table", self.post("/v1/rest/mgmt", ".drop table Words_CL").json["error"]["@message"])
        self.error(self.post("/v1/rest/mgmt", ".show table Nope_CL cslschema"), 400, "BadRequest_EntityNotFound")
        self.error(self.v2(".show tables"), 400, "General_BadRequest")

    # --- properties -------------------------------------------------------------------------------------------
    def test_parameters_have_the_declared_types(self):
        self.assertEqual(self.rows("declare query_parameters(w:string, n:long = 0); Words_CL | where Word == w or Number == n | count",
                                   Parameters={"w": "c"}), [[2]])
        self.assertEqual(self.rows("declare query_parameters(d:dynamic); Words_CL | where Word in (d) | count",
                                   Parameters={"d": "dynamic(['a', 'b'])"}), [[2]])
        injected = "x'; Words_CL | count; print '"
        self.assertEqual(self.rows("declare query_parameters(w:string); print w", Parameters={"w": injected}), [[injected]])
        self.error(self.v2("declare query_parameters(n:long); print n", Parameters={"n": "many"}), 400, "General_BadRequest")
        self.error(self.v2("declare query_parameters(n:long); print n"), 400, "General_BadRequest")

    def test_options_bound_the_query(self):
        self.assertEqual(self.rows("range x from 1 to 10 step 1", Options={"query_take_max_records": 2}), [[1], [2]])
        self.assertEqual(self.rows("print now()", Options={"query_now": "2026-01-01"}), [["2026-01-01T00:00:00.0000000Z"]])
        self.assertEqual(self.rows("Words_CL | count", Options={"query_datetimescope_to": "2020-01-01"}), [[0]])
        self.assertEqual(self.rows("Words_CL | count", Options={"query_datetimescope_from": "2020-01-01", "servertimeout": "0:04:00",
                                                              "queryconsistency": "weakconsistency"}), [[3]])
        for options in ({"servertimeout": "soon"}, {"truncationmaxrecords": -1}, {"query_now": "x"}, {"query_language": "sql"},
                        {"query_datetimescope_column": "Word", "query_datetimescope_from": "2020-01-01"}):
            with self.subTest(options):
                self.error(self.v2("print 1", Options=options), 400, "General_BadRequest")

    def test_a_result_that_is_cut_off_says_so_inside(self):
        q, options = "range x from 1 to 10 step 1", {"truncationmaxrecords": 3}
        a = self.v2(q, Options=options)
        self.assertEqual(a.status, 200, a)
        rows = self.primary(a)[0]["Rows"]
        self.assertEqual(rows[-1]["OneApiErrors"][0]["error"]["code"], "LimitsExceeded")
        self.assertEqual(a.json[-1]["HasErrors"], True)
        e = a.json[-1]["OneApiErrors"][0]["error"]
        self.assertIn("E_QUERY_RESULT_SET_TOO_LARGE, 0x80DA0003", e["@message"])
        status = a.json[-2]["Rows"][0]
        self.assertEqual(status[5:9], [2, "Error", -2133196797, "E_QUERY_RESULT_SET_TOO_LARGE"])
        self.assertLessEqual(len(rows) - 1, 3)
        # Deferred: only behind the rows.
        a = self.v2(q, Options={**options, "deferpartialqueryfailures": True})
        self.assertEqual([a.json[-1]["HasErrors"], a.json[-2]["Rows"][0][5]], [False, 2])
        self.assertTrue(all(isinstance(r, list) for r in self.primary(a)[0]["Rows"]))
        a = self.v1(q, Options=options)
        self.assertEqual(a.json["Tables"][0]["Rows"][-1]["OneApiErrors"][0]["error"]["code"], "LimitsExceeded")
        self.assertEqual(len(self.rows("range x from 1 to 600000 step 1", Options={"notruncation": True})), 600000)

    # --- failures ---------------------------------------------------------------------------------------------
    def test_a_query_that_is_wrong_is_told_where(self):
        e = self.error(self.v2("Words_CL\n| where Nope == 1"), 400, "General_BadRequest")
        self.assertEqual((e["innererror"]["code"], e["innererror"]["line"], e["@permanent"]), ("SEM0100", 2, True))
        e = self.error(self.v1("print x ="), 400, "General_BadRequest")
        self.assertTrue(e["@message"].startswith("Syntax error: SYN"), e)
        self.error(self.s.call("POST", "/v2/rest/query", b"{", self.s.credentials["endpoint"]), 400, "General_BadRequest")
        self.error(self.post("/v2/rest/query", ""), 400, "General_BadRequest")
        self.error(self.v2("print 1\u0000 | nonsense"), 400, "General_BadRequest")
        self.assertEqual(self.s.call("GET", "/v1/rest/mgmt", resource=self.s.credentials["endpoint"]).status, 405)

    def test_a_stranger_gets_nothing(self):
        a = self.s.raw("POST", self.s.credentials["endpoint"] + "/v2/rest/query", b"{}", {"Content-Type": "application/json"})
        self.assertEqual(a.status, 401, a)
        self.assertIn("Bearer authorization_uri=", a.headers["www-authenticate"])
        self.assertEqual(self.post("/v2/rest/query", "print 1", resource=INGEST).status, 401)

    def test_rights_are_those_of_queries_and_only_what_may_be_read_is_listed(self):
        app = self.s.call("POST", "/admin/identities", {"name": "reader-of-one"}).json
        endpoint = self.s.credentials["endpoint"]
        a = self.s.raw("POST", f"{endpoint}/{self.s.credentials['tenantId']}/oauth2/v2.0/token", urllib.parse.urlencode({
            "grant_type": "client_credentials", "client_id": app["clientId"], "client_secret": app["secret"],
            "scope": endpoint + "/.default"}), {"Content-Type": "application/x-www-form-urlencoded"})
        headers = {"Authorization": "Bearer " + a.json["access_token"]}
        e = self.error(self.v2("print 1", headers=headers), 403, "Forbidden")
        self.assertIn("is not authorized to read", e["@message"])
        self.assertEqual(self.mgmt(".show databases", headers=headers), [])
        self.s.done(self.s.arm("PUT", self.s.group(group="others"), "2021-04-01", {"location": "westeurope"}))
        self.s.make_workspace("other", None, "others")
        role = self.s.sub(f"/providers/Microsoft.Authorization/roleDefinitions/{READER}")
        a = self.s.arm("PUT", f"{self.s.workspace_path()}/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}", "2022-04-01", {
            "properties": {"roleDefinitionId": role, "principalId": app["objectId"], "principalType": "ServicePrincipal"}})
        self.assertEqual(a.status, 201, a)
        self.assertEqual([r["DatabaseName"] for r in self.mgmt(".show databases", headers=headers)], ["workspace1"])
        self.assertEqual(self.rows("Words_CL | count", headers=headers), [[3]])
        self.error(self.v2("print 1", db="other", headers=headers), 403, "Forbidden")
        self.error(self.v2("KeyAccessAudit", db="keystead-platform", headers=headers), 403, "Forbidden")
        # A reader of one subscription sees nothing of another, and its names do not disturb his.
        second = str(uuid.uuid4())
        self.s.settings(subscriptions=[second])
        there = f"/subscriptions/{second}/resourceGroups/rg"
        self.s.done(self.s.arm("PUT", there, "2021-04-01", {"location": "westeurope"}))
        path = there + "/providers/Microsoft.OperationalInsights/workspaces/workspace1"
        self.s.done(self.s.arm("PUT", path, "2022-10-01", {"location": "westeurope"}))
        self.assertEqual([r["DatabaseId"] for r in self.mgmt(".show databases", headers=headers)], [self.w])
        self.assertEqual(self.rows("Words_CL | count", headers=headers), [[3]])
        self.error(self.v2("print 1"), 400, "General_BadRequest")  # who sees both has to say which
        self.error(self.v2("print 1", db=path, headers=headers), 403, "Forbidden")
        a = self.s.call("DELETE", path + "?api-version=2022-10-01&force=true")
        self.assertLess(a.status, 300, a)
        self.s.follow(a)
        self.assertEqual(self.v2("KeyAccessAudit | count", db="keystead-platform").status, 200)

    def test_a_workspace_that_is_closed_to_public_networks_is_closed_here_too(self):
        self.s.make_workspace("closed", None)
        self.s.done(self.s.arm("PATCH", self.s.workspace_path("closed"), "2022-10-01", {"properties": {
            "publicNetworkAccessForQuery": "Disabled"}}))
        e = self.error(self.v2("print 1", db="closed"), 403, "Forbidden")
        self.assertEqual(e["innererror"]["code"], "PublicNetworkAccessDisabled")
        self.error(self.post("/v1/rest/mgmt", ".show tables", db="closed"), 403, "Forbidden")
        self.assertNotIn("closed", [r["DatabaseName"] for r in self.mgmt(".show databases")])

    def test_zz_while_the_key_is_revoked_nothing_is_read_and_the_code_says_why(self):
        self.s.key("PATCH", f"/keys/k1/{self.version}", {"attributes": {"enabled": False}})
        self.s.wait(lambda: self.v2("Words_CL | count").status == 403, 60, "the revocation")
        for ask in (self.v1, self.v2):
            e = self.error(ask("Words_CL | count"), 403, "Forbidden")
            self.assertEqual(e["innererror"]["code"], "CustomerManagedKeyUnavailable")
        self.assertEqual([r["TableName"] for r in self.mgmt(".show tables")][0], "Words_CL", "names are no rows")
        self.s.key("PATCH", f"/keys/k1/{self.version}", {"attributes": {"enabled": True}})
        self.s.wait(lambda: self.v2("Words_CL | count").status == 200, 60, "the restore")


if __name__ == "__main__":
    unittest.main()
