# SPDX-License-Identifier: Apache-2.0
"""tests/http/test_data_planes.py - query, ingestion, administration, health: shapes, limits and refusals."""
import gzip
import json
import unittest
import urllib.parse

from keystead import ARM, INGEST, QUERY, Server

ENCODED = """print b = true, i = int(7), l = 9007199254740993, r = 1.5, whole = real(2), nan = real(nan), big = real(+inf),
 d = decimal(1.25), s = 'a"\\n\\u00e9', t = datetime(2026-03-01), p = 1d + 2h, g = guid(74be27de-1e4e-49d9-b579-fe0b331d3642),
 y = dynamic({"a": [1, "x"]}), n = long(null), e = ''"""


class DataPlanes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.s = Server("--virtual-clock").__enter__()
        cls.s.done(cls.s.arm("PUT", cls.s.group(), "2021-04-01", {"location": "westeurope"}))
        cls.s.make_workspace(cluster=None)
        cls.w = cls.s.workspace_id()
        cls.s.make_table("Rows_CL", {"Word": "string", "Number": "long", "Bag": "dynamic"})

    @classmethod
    def tearDownClass(cls):
        cls.s.close()

    def error(self, answer, status, code, inner=None):
        self.assertEqual(answer.status, status, answer)
        e = answer.json["error"]
        self.assertEqual(e["code"], code, answer)
        if inner is not None:
            self.assertEqual(e["innererror"]["code"], inner, answer)
        return e

    # --- query --------------------------------------------------------------------------------------------
    def test_each_type_is_encoded_as_documented(self):
        a = self.s.query(ENCODED, self.w)
        self.assertEqual(a.status, 200, a)
        t = a.json["tables"][0]
        self.assertEqual(t["name"], "PrimaryResult")
        self.assertEqual([c["type"] for c in t["columns"]], [
            "bool", "int", "long", "real", "real", "real", "real", "decimal", "string", "datetime", "timespan", "guid",
            "dynamic", "long", "string"])
        self.assertEqual(t["rows"], [[
            True, 7, 9007199254740993, 1.5, 2.0, "NaN", "Infinity", "1.25", 'a"\n\u00e9', "2026-03-01T00:00:00.0000000Z",
            "1.02:00:00", "74be27de-1e4e-49d9-b579-fe0b331d3642", '{"a":[1,"x"]}', None, ""]])

    def test_only_what_was_asked_for_is_in_the_answer(self):
        self.assertEqual(list(self.s.query("print 1", self.w).json), ["tables"])
        a = self.s.query("range x from 1 to 3 step 1 | render timechart with (title='T')", self.w,
                         "Include-Statistics=true, include-render=TRUE,wait=30")
        self.assertEqual(list(a.json), ["tables", "statistics", "render"])
        self.assertEqual((a.json["render"]["visualization"], a.json["render"]["title"]), ("timechart", "T"))
        self.assertIn("executionTime", a.json["statistics"]["query"])

    def test_a_query_of_several_results_gives_a_table_for_each(self):
        a = self.s.query("range x from 1 to 3 step 1 | fork (count) rest=(where x > 1); print y = 7", self.w)
        self.assertEqual(a.status, 200, a)
        self.assertEqual([(t["name"], t["rows"]) for t in a.json["tables"]],
                         [("PrimaryResult", [[3]]), ("rest", [[2], [3]]), ("PrimaryResult_2", [[7]])])

    def test_columns_that_only_the_data_knows_come_from_the_stored_rows(self):
        self.s.make_table("Bags_CL", {"Word": "string", "Bag": "dynamic"})
        a = self.s.send("Bags_CL", [{"Word": "a", "Bag": {"n": 1}}, {"Word": "b", "Bag": {"n": 2, "t": "x"}}], self.w)
        self.assertEqual(a.status, 204, a)
        for part, names, rows in (("bag_unpack(Bag)", ["Word", "n", "t"], [["a", 1, ""], ["b", 2, "x"]]),
                                  ("pivot(Word)", ["n", "a", "b"], [["1", 1, 0], ["2", 0, 1]])):
            first = "project Word, Bag" if part.startswith("bag") else "project Word, n = tostring(Bag.n)"
            a = self.s.query(f"Bags_CL | {first} | evaluate {part} | order by n asc", self.w)
            self.assertEqual(a.status, 200, a)
            t = a.json["tables"][0]
            self.assertEqual(([c["name"] for c in t["columns"]], t["rows"]), (names, rows))

    def test_a_workspace_is_itself_by_each_of_its_names_and_no_other(self):
        for name in ("workspace1", self.w, self.s.workspace_path()):
            self.assertEqual(self.s.query(f"workspace('{name}').Rows_CL | count", self.w).status, 200, name)
        self.error(self.s.query("workspace('other').Rows_CL", self.w), 400, "BadArgumentError")

    def test_a_character_of_code_zero_ends_no_query(self):
        a = self.s.call("POST", f"/v1/workspaces/{self.w}/query", {"query": "print 1\u0000 | nonsense"}, QUERY)
        self.error(a, 400, "BadArgumentError")

    def test_explain_tells_rows_and_time_of_each_operator(self):
        a = self.s.query("explain Rows_CL | where Number > 0 | summarize count() by Word", self.w)
        self.assertEqual(a.status, 200, a)
        t = a.json["tables"][0]
        self.assertEqual([c["name"] for c in t["columns"]], ["Operator", "Rows", "Bytes", "Time"])
        self.assertEqual([r[0] for r in t["rows"]], ["summarize", "  where", "    table Rows_CL"])

    def test_get_and_the_routes_by_resource_id_answer_alike(self):
        q = "?query=" + urllib.parse.quote("print x = 1 + 1")
        path = self.s.workspace_path()
        for method, url, body, resource in (
                ("GET", f"/v1/workspaces/{self.w}/query{q}", None, QUERY),
                ("GET", f"/v1/workspaces/{self.w}/query{q}", None, self.s.credentials["endpoint"]),
                ("POST", f"/v1/{path}/query", {"query": "print x = 1 + 1"}, QUERY),
                ("POST", f"{path}/query?api-version=2017-10-01", {"query": "print x = 1 + 1", "timespan": None}, ARM)):
            with self.subTest(url):
                a = self.s.call(method, url, body, resource)
                self.assertEqual((a.status, a.json["tables"][0]["rows"]), (200, [[2]]), a)

    def test_a_batch_answers_each_member_as_if_it_came_alone(self):
        def batch(*requests):
            return self.s.call("POST", "/v1/$batch", {"requests": list(requests)}, QUERY)
        a = batch({"id": "1", "method": "POST", "path": "/query", "workspace": self.w, "body": {"query": "print 1"},
                   "headers": {"Content-Type": "application/json", "Prefer": "include-statistics=true"}},
                  {"id": "2", "workspace": self.w, "body": {"query": "print 2"}},
                  {"id": "bad", "workspace": self.w, "body": {"query": "nonsense("}},
                  {"id": "get", "workspace": self.w, "method": "GET", "path": "/query?query=print%203"},
                  {"id": "nowhere", "workspace": "00000000-0000-0000-0000-000000000001", "body": {"query": "print 1"}},
                  {"id": "path", "workspace": self.w, "path": "/other", "body": {"query": "print 1"}},
                  {"id": "verb", "workspace": self.w, "method": "DELETE", "body": {"query": "print 1"}})
        self.assertEqual(a.status, 200, a)
        got = {r["id"]: r for r in a.json["responses"]}
        self.assertEqual([(k, got[k]["status"]) for k in got], [
            ("1", 200), ("2", 200), ("bad", 400), ("get", 200), ("nowhere", 400), ("path", 404), ("verb", 400)])
        self.assertEqual([got[k]["body"]["tables"][0]["rows"] for k in ("1", "2", "get")], [[[1]], [[2]], [[3]]])
        self.assertEqual(("statistics" in got["1"]["body"], "statistics" in got["2"]["body"]), (True, False))
        self.assertEqual(got["nowhere"]["body"]["error"]["code"], "FailedToResolveResource")
        one = {"id": "1", "workspace": self.w, "body": {"query": "print 1"}}
        for requests in ((), (one, one), ({"id": "1", "body": {}},), ({**one, "id": None},), (one,) * 101):
            self.error(batch(*requests), 400, "BadArgumentError")
        self.error(self.s.call("POST", "/v1/$batch", b"{", QUERY), 400, "BadArgumentError")
        self.error(self.s.raw("POST", self.s.credentials["endpoint"] + "/v1/$batch", b"{}"), 401, "AuthenticationFailed")

    def test_the_metadata_tell_of_tables_and_columns(self):
        for method in ("GET", "POST"):
            a = self.s.call(method, f"/v1/workspaces/{self.w}/metadata", None if method == "GET" else {}, QUERY)
            self.assertEqual(a.status, 200, a)
            t = next(t for t in a.json["tables"] if t["name"] == "Rows_CL")
            self.assertEqual((t["timespanColumn"], t["columns"][1]), ("TimeGenerated", {"name": "Word", "type": "string"}))
            self.assertIn("AzureActivity", [t["name"] for t in a.json["tables"]])
            self.assertEqual(a.json["workspaces"], [{"id": self.w, "resourceId": self.s.workspace_path(), "name": "workspace1",
                                                     "region": "westeurope"}])

    def test_a_query_that_is_wrong_is_told_where(self):
        e = self.error(self.s.query("print x =", self.w), 400, "BadArgumentError", "SyntaxError")
        self.assertTrue(e["innererror"]["innererror"]["code"].startswith("SYN"))
        e = self.error(self.s.query("Rows_CL\n| where Nope == 1", self.w), 400, "BadArgumentError", "SemanticError")
        self.assertEqual((e["innererror"]["innererror"]["code"], e["innererror"]["innererror"]["line"]), ("SEM0100", 2), e)
        self.error(self.s.query("Nope_CL", self.w), 400, "BadArgumentError", "SemanticError")
        self.error(self.s.call("POST", f"/v1/workspaces/{self.w}/query", b"{", QUERY), 400, "BadArgumentError", "QueryValidationError")
        self.error(self.s.call("POST", f"/v1/workspaces/{self.w}/query", {}, QUERY), 400, "BadArgumentError")

    def test_a_stranger_cannot_query(self):
        url = f"/v1/workspaces/{self.w}/query?query=print%201"
        a = self.s.raw("GET", self.s.credentials["endpoint"] + url)
        self.error(a, 401, "AuthenticationFailed")
        self.error(self.s.call("GET", url, resource=INGEST), 403, "InvalidAuthenticationTokenAudience")
        self.error(self.s.query("print 1", "00000000-0000-0000-0000-000000000001"), 404, "WorkspaceNotFoundError")

    def test_the_timespan_limits_what_is_seen(self):
        self.s.make_table("Times_CL", {"N": "long"})
        now = self.s.call("GET", "/admin/clock").json["now"]
        self.s.send("Times_CL", [{"TimeGenerated": now, "N": 1}, {"TimeGenerated": "2020-01-01T00:00:00Z", "N": 2}], self.w)

        def seen(timespan):
            a = self.s.query("Times_CL | project N | sort by N asc", self.w, timespan=timespan)
            self.assertEqual(a.status, 200, a)
            return [r[0] for r in a.json["tables"][0]["rows"]]
        self.assertEqual(seen(None), [1, 2])
        self.assertEqual(seen("PT1H"), [1])
        self.assertEqual(seen("PT86400.0S"), [1])
        self.assertEqual(seen("2019-12-31T00:00:00Z/P3D"), [2])
        self.assertEqual(seen("2019-12-31/2020-01-02"), [2])
        self.error(self.s.query("Times_CL", self.w, timespan="yesterday"), 400, "BadArgumentError")

    # --- ingestion ----------------------------------------------------------------------------------------
    def post(self, body, table="Rows_CL", headers=None, rule=None, version="2023-01-01", stream=None, resource=INGEST):
        rule = rule or "dcr-" + self.w.replace("-", "")
        return self.s.call("POST", f"/dataCollectionRules/{rule}/streams/{stream or 'Custom-' + table}?api-version={version}", body,
                           resource, headers)

    def test_rows_are_typed_by_the_schema_and_unknown_members_ignored(self):
        self.s.make_table("Typed_CL", {"Word": "string", "Number": "long", "Bag": "dynamic"})
        a = self.post([{"Word": 5, "Number": "7", "Bag": {"a": 1}, "Extra": True}], "Typed_CL")
        self.assertEqual((a.status, a.body), (204, b""), a)
        self.assertEqual(self.s.rows("Typed_CL | project Word, Number, Bag.a, isnotnull(TimeGenerated)", self.w), [["5", 7, "1", True]])

    def test_an_empty_array_is_taken(self):
        self.assertEqual(self.post([]).status, 204)

    def test_bad_rows_are_refused_whole(self):
        before = self.s.rows("Rows_CL | count", self.w)
        self.error(self.post(b"[{\"Word\":\"x\"},"), 400, "InvalidPayload")
        self.error(self.post([{"Word": "x"}, 5]), 400, "InvalidPayload")
        self.error(self.post(b"\x1f\x8bnot gzip", headers={"Content-Encoding": "gzip"}), 400, "InvalidPayload")
        self.assertEqual(self.s.rows("Rows_CL | count", self.w), before)

    def test_more_than_a_megabyte_is_413_packed_or_unpacked(self):
        big = json.dumps([{"Word": "x" * 1000}] * 1100).encode()
        a = self.post(big)
        self.error(a, 413, "ContentLengthLimitExceeded")
        self.assertEqual(a.headers["x-ms-error-code"], "ContentLengthLimitExceeded")
        self.error(self.post(gzip.compress(big), headers={"Content-Encoding": "gzip"}), 413, "ContentLengthLimitExceeded")

    def test_unknown_rules_streams_and_tables_are_refused(self):
        self.error(self.post([], "None_CL"), 404, "NotFound")
        self.error(self.post([], rule="dcr-" + "0" * 32), 404, "NotFound")
        self.error(self.post([], stream="Microsoft-Nothing"), 400, "InvalidStream")
        self.error(self.post([], version="2020-01-01"), 400, "InvalidApiVersionParameter")
        self.error(self.post([], resource=ARM), 401, "InvalidAuthenticationTokenAudience")

    # --- administration and health ------------------------------------------------------------------------
    def test_health_needs_no_token(self):
        base = self.s.credentials["endpoint"]
        self.assertEqual(self.s.raw("GET", base + "/healthz").json, {"status": "ok"})
        a = self.s.raw("GET", base + "/readyz")
        self.assertEqual((a.status, a.json), (200, {"status": "ready", "sealed": []}))
        text = self.s.raw("GET", base + "/metrics").body.decode()
        for line in text.splitlines():
            self.assertRegex(line, r"^(# (HELP|TYPE) )?keystead_[a-z_]+(\{[a-z]+=\"[A-Za-z0-9]+\"\})?( |$)")
        self.assertIn('keystead_accounts{state="ACTIVE"}', text)

    def test_only_a_virtual_clock_turns_and_never_back(self):
        before = self.s.call("GET", "/admin/clock").json
        self.assertTrue(before["virtual"])
        a = self.s.call("POST", "/admin/clock", {"advanceSeconds": 3600})
        self.assertEqual(a.status, 200, a)
        self.assertGreaterEqual(a.json["offsetSeconds"], before["offsetSeconds"] + 3600)
        self.assertEqual(self.s.call("POST", "/admin/clock", {"advanceSeconds": -1}).status, 400)
        self.assertEqual(self.s.raw("GET", self.s.credentials["endpoint"] + "/admin/clock").status, 401)

    def test_the_status_of_keys_names_accounts_workspaces_and_wraps(self):
        rows = self.s.call("GET", "/admin/keys/status").json["accounts"]
        mine = [r for r in rows if r["workspaceId"] == self.w]
        self.assertEqual([(r["workspace"], r["cluster"], r["state"], r["dropped"]) for r in mine], [("workspace1", None, "ACTIVE", 0)])
        self.assertEqual([w["count"] for w in mine[0]["wraps"]], [1])

    def test_paths_that_are_nothing_are_404(self):
        self.assertEqual(self.s.raw("GET", self.s.credentials["endpoint"] + "/nothing").status, 404)


if __name__ == "__main__":
    unittest.main()
