# SPDX-License-Identifier: Apache-2.0
"""tests/http/test_cross.py - queries that read other workspaces: which is meant, who may, what a key that is gone takes with it."""
import json
import threading
import unittest
import urllib.parse
import uuid

from keystead import ARM, QUERY, Server

READER = "73c42c96-874c-492b-b04d-ab87d138a893"  # Log Analytics Reader
DAY = "2026-01-01T00:00:00Z/2026-01-02T00:00:00Z"


class Cross(unittest.TestCase):
    """home and north (in another group) have platform keys, vaulted a customer's; the reader may query home only."""

    @classmethod
    def setUpClass(cls):
        s = cls.s = Server("--virtual-clock", probe=60).__enter__()
        cls.addClassCleanup(s.close)
        cls.version = s.make_all(workspace="vaulted")
        s.done(s.arm("PUT", s.group(group="rg2"), "2021-04-01", {"location": "westeurope"}))
        s.make_workspace("home", cluster=None)
        s.make_workspace("north", None, "rg2")
        cls.ids = {"home": s.workspace_id("home"), "vaulted": s.workspace_id("vaulted"), "north": s.workspace_id("north", "rg2")}
        cls.paths = {"home": s.workspace_path("home"), "vaulted": s.workspace_path("vaulted"), "north": s.workspace_path("north", "rg2")}
        s.make_table("Words_CL", {"Word": "string", "Number": "long"}, "home")
        s.make_table("Words_CL", {"Word": "string", "Code": "string"}, "north", "rg2")
        s.make_table("Wild_CL", {"Word": "string"}, "north", "rg2")
        s.make_table("Words_CL", {"Word": "string"}, "vaulted")
        at = "2026-01-01T12:00:00Z"
        for workspace, table, rows in (("home", "Words_CL", [{"Word": "one", "Number": 1}, {"Word": "two", "Number": 2}]),
                                       ("north", "Words_CL", [{"Word": "two", "Code": "b"}]), ("north", "Wild_CL", [{"Word": "wild"}]),
                                       ("vaulted", "Words_CL", [{"Word": "sealed"}])):
            a = s.send(table, [{"TimeGenerated": at, **r} for r in rows], cls.ids[workspace])
            assert a.status == 204, a
        made = s.call("POST", "/admin/identities", {"name": "reader"})
        assert made.status == 201, made
        cls.reader = made.json
        cls.give(READER, cls.paths["home"])

    @classmethod
    def give(cls, role, scope):
        a = cls.s.arm("PUT", f"{scope}/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}", "2022-04-01", {"properties": {
            "roleDefinitionId": f"/providers/Microsoft.Authorization/roleDefinitions/{role}", "principalId": cls.reader["objectId"],
            "principalType": "ServicePrincipal"}})
        assert a.status == 201, a

    # --- asking -------------------------------------------------------------------------------------------
    def ask(self, kql, at="home", **more):
        return self.s.query(kql, self.ids[at], **more)

    def rows(self, kql, at="home", **more):
        a = self.ask(kql, at, **more)
        self.assertEqual(a.status, 200, a)
        return a.json["tables"][0]["rows"]

    def as_reader(self, method, path, body, resource=QUERY):
        c = self.s.credentials
        a = self.s.raw("POST", f"{c['endpoint']}/{c['tenantId']}/oauth2/v2.0/token", urllib.parse.urlencode({
            "grant_type": "client_credentials", "client_id": self.reader["clientId"], "client_secret": self.reader["secret"],
            "scope": resource + "/.default"}), {"Content-Type": "application/x-www-form-urlencoded"})
        self.assertEqual(a.status, 200, a)
        return self.s.raw(method, c["endpoint"] + path, json.dumps(body).encode(),
                          {"Authorization": "Bearer " + a.json["access_token"], "Content-Type": "application/json"})

    def reads(self, kql, **more):
        return self.as_reader("POST", f"/v1/workspaces/{self.ids['home']}/query", {"query": kql, **more})

    def kusto(self, csl, db="home", path="/v2/rest/query", **properties):
        return self.s.call("POST", path, {"db": db, "csl": csl, "properties": properties}, self.s.credentials["endpoint"])

    def table(self, csl, db="home", **properties):
        a = self.kusto(csl, db, **properties)
        self.assertEqual(a.status, 200, a)
        return [f for f in a.json if f["FrameType"] == "DataTable" and f["TableKind"] == "PrimaryResult"][0]["Rows"]

    def bad(self, a, code, words, kind="SemanticError", line=None, pos=None):
        self.assertEqual((a.status, a.json["error"]["code"]), (400, "BadArgumentError"), a)
        inner = a.json["error"]["innererror"]
        self.assertEqual(inner["code"], kind, a)
        exact = inner["innererror"]
        self.assertEqual(exact["code"], code, a)
        self.assertIn(words, exact["message"])
        if line is not None:
            self.assertEqual((exact["line"], exact["pos"]), (line, pos), a)

    def denied(self, a, inner, words):
        self.assertEqual((a.status, a.json["error"]["code"], a.json["error"]["innererror"]["code"]),
                         (403, "InsufficientAccessError", inner), a)
        self.assertIn(words, a.json["error"]["innererror"]["message"])

    # --- which workspace ----------------------------------------------------------------------------------
    def test_a_workspace_goes_by_its_name_customer_id_resource_id_or_qualified_name(self):
        sub = self.s.credentials["subscriptionId"]
        for name in ("north", "NORTH", self.ids["north"], self.ids["north"].upper(), self.paths["north"], self.paths["north"].lower(), f"{sub}/rg2/north"):
            self.assertEqual(self.rows(f"workspace('{name}').Words_CL | project Word, Code"), [["two", "b"]], name)
        self.assertEqual(self.rows(f"resource('{self.paths['north']}').Words_CL | count"), [[1]])
        self.assertEqual(self.rows("app('north').Words_CL | count"), [[1]])
        self.assertEqual(self.rows("workspace('home').Words_CL | count"), [[2]])
        self.assertEqual(self.rows("Words_CL | count", "north"), [[1]])

    def test_a_name_that_none_has_is_an_error_with_the_nearest(self):
        self.bad(self.ask("print 1;\nworkspace('nort').Words_CL"), "SEM0100", "there is no workspace 'nort'; did you mean 'north'?", line=2, pos=1)
        self.bad(self.ask("workspace('nothing-like-it').Words_CL"), "SEM0100", "there is no workspace 'nothing-like-it'")
        self.bad(self.ask(f"workspace('{uuid.uuid4()}').Words_CL"), "SEM0100", "there is no workspace")
        self.bad(self.ask(f"workspace('{self.s.workspace_path('north')}').Words_CL"), "SEM0100", "there is no workspace")
        self.bad(self.ask("app('nort').Words_CL"), "SEM0100", "there is no application 'nort'")
        self.bad(self.ask("resource('north').Words_CL"), "SEM0100", "takes a resource id")
        self.bad(self.ask("workspace('north').Wrods_CL"), "SEM0100", "there is no table 'Wrods_CL'; did you mean 'Words_CL'?", pos=20, line=1)
        self.bad(self.ask("union isfuzzy=true workspace('nort').Words_CL, Words_CL"), "SEM0100", "there is no workspace")
        self.bad(self.ask("workspace('north').F()"), "SEM0001", "only tables can be read")
        vm = self.s.group("/providers/Microsoft.Compute/virtualMachines/vm")
        self.bad(self.ask(f"resource('{vm}').Words_CL"), "SEM0001", "resource() reads workspaces only")
        self.bad(self.ask("cluster('https://elsewhere.kusto.windows.net').database('x').T"), "SEM0001", "is not this one")

    def test_an_application_of_today_names_the_workspace_that_has_its_rows(self):
        path = self.s.group("/providers/Microsoft.Insights/components/shop")
        self.assertEqual(self.s.arm("PUT", path, "2020-02-02", {"location": "westeurope", "kind": "web", "properties": {
            "Application_Type": "web", "WorkspaceResourceId": self.paths["north"]}}).status, 200)
        self.bad(self.ask("app('shop').requests"), "SEM0001", f"read its tables by workspace('{self.ids['north']}')")
        self.bad(self.reads("app('shop').requests"), "SEM0100", "there is no application 'shop'")  # which workspace is not his to know

    def test_two_of_a_name_are_told_apart_by_their_ids(self):
        self.s.make_workspace("twin", None, "rg")
        self.s.make_workspace("twin", None, "rg2")
        self.bad(self.ask("workspace('twin').AppTraces"), "SEM0100", "2 workspaces are called 'twin'")
        for group in ("rg", "rg2"):  # also where one of them is asked: the other may be meant
            self.bad(self.s.query("workspace('twin').AppTraces", self.s.workspace_id("twin", group)), "SEM0100", "2 workspaces are called 'twin'")
        self.assertEqual(self.rows(f"workspace('{self.s.workspace_id('twin', 'rg2')}').AppTraces | count"), [[0]])
        sub = self.s.credentials["subscriptionId"]
        self.assertEqual(self.rows(f"workspace('{sub}/rg/twin').AppTraces | count"), [[0]])

    # --- operators ----------------------------------------------------------------------------------------
    def test_unions_joins_and_lets_over_workspaces(self):
        self.assertEqual(self.rows("union Words_CL, workspace('north').Words_CL | project Word, Number, Code | sort by Word asc, Number asc"),
                         [["one", 1, ""], ["two", None, "b"], ["two", 2, ""]])
        self.assertEqual(self.rows("union withsource=Src Words_CL, workspace('north').W* | summarize n = count() by Src | sort by Src asc"),
                         [["workspace('home').Words_CL", 2], ["workspace('north').Wild_CL", 1], ["workspace('north').Words_CL", 1]])
        self.assertEqual(self.rows("let N = workspace('north').Words_CL; Words_CL | join kind=inner N on Word | project Word, Number, Code"), [["two", 2, "b"]])
        self.assertEqual(self.rows("union isfuzzy=true workspace('north').Nope_CL, Words_CL | count"), [[2]])
        self.assertEqual(self.rows("Words_CL | where Word in (workspace('north').Words_CL | project Word) | count"), [[1]])
        self.assertEqual(self.rows("workspace('north').table('Wild_CL') | project Word"), [["wild"]])

    def test_find_and_search_in_workspaces(self):
        self.assertEqual(self.rows("find in (Words_CL, workspace('north').W*) where Word startswith 'w' project Word"), [["workspace('north').Wild_CL", "wild"]])
        self.assertEqual(self.rows("search in (Words_CL, workspace('north').Words_CL) 'two' | summarize n = count() by $table | sort by $table asc"),
                         [["workspace('home').Words_CL", 1], ["workspace('north').Words_CL", 1]])

    def test_groups_of_workspaces(self):
        self.assertEqual(self.rows("macro-expand entity_group [workspace('home'), workspace('north')] as X (X.Words_CL | summarize n = count() | extend "
                                   "whose = X.$current_database) | sort by whose asc"), [[2, "home"], [1, "north"]])
        self.assertEqual(self.rows("macro-expand isfuzzy=true entity_group [workspace('home'), workspace('north'), workspace('nowhere')] as X (X.Wild_CL | count)"), [[1]])

    def test_the_timespan_holds_for_other_workspaces(self):
        self.assertEqual(self.rows("workspace('north').Words_CL | count", timespan=DAY), [[1]])
        self.assertEqual(self.rows("workspace('north').Words_CL | count", timespan="2026-02-01/2026-02-02"), [[0]])

    # --- the request's list -------------------------------------------------------------------------------
    def test_workspaces_of_the_request_are_read_as_one(self):
        for other in ("north", self.ids["north"], self.paths["north"]):
            self.assertEqual(self.rows("Words_CL | count", workspaces=[other]), [[3]])
        self.assertEqual(self.rows("union withsource=S * | where S has '_CL' | summarize n = count() by S | sort by S asc", workspaces=["north", "home", "north"]),
                         [["workspace('home').Words_CL", 2], ["workspace('north').Wild_CL", 1], ["workspace('north').Words_CL", 1]])
        self.assertEqual(self.rows("Wild_CL | project Word", workspaces=["north"]), [["wild"]])
        self.assertEqual(self.rows("search 'wild' | count", workspaces=["north"]), [[1]])
        a = self.s.call("GET", f"/v1/workspaces/{self.ids['home']}/query?" + urllib.parse.urlencode(
            {"query": "Words_CL | count", "workspaces": f"north, {self.ids['vaulted']}"}), resource=QUERY)
        self.assertEqual(a.json["tables"][0]["rows"], [[4]], a)
        a = self.ask("Words_CL | count", workspaces=["north"], prefer="include-dataSources=true")
        self.assertEqual({x["resourceId"] for x in a.json["dataSources"]}, {self.paths["home"], self.paths["north"]}, a)

    def test_the_list_names_workspaces_that_are_there(self):
        for bad in (["nort"], [str(uuid.uuid4())]):
            a = self.ask("Words_CL", workspaces=bad)
            self.assertEqual((a.status, a.json["error"]["code"], a.json["error"]["innererror"]["code"]),
                             (400, "BadArgumentError", "FailedToResolveResource"), a)
        for bad in ("north", [5], {}, ["north"] * 101):
            a = self.ask("Words_CL", workspaces=bad)
            self.assertEqual((a.status, a.json["error"]["innererror"]["code"]), (400, "QueryValidationError"), a)

    # --- rights -------------------------------------------------------------------------------------------
    def test_each_workspace_asks_for_the_callers_right(self):
        self.assertEqual(self.reads("Words_CL | count").json["tables"][0]["rows"], [[2]])
        for kql in ("workspace('north').Words_CL", f"workspace('{self.ids['north']}').Words_CL", "union Words_CL, workspace('north').W*",
                    "union isfuzzy=true Words_CL, workspace('north').Words_CL", "Words_CL | where Word == toscalar(workspace('north').Words_CL | count)",
                    "let x = 1; let N = workspace('north').Words_CL; N"):
            self.denied(self.reads(kql), "WorkspaceAccessDenied", "may not query the workspace 'north'")
        self.denied(self.reads("Words_CL", workspaces=["north"]), "WorkspaceAccessDenied", "'north'")
        self.bad(self.reads("workspace('nort').Words_CL"), "SEM0100", "there is no workspace 'nort'")
        self.assertNotIn("north", self.reads("workspace('nort').Words_CL").body.decode())  # it is not his to know
        self.assertEqual(self.reads("macro-expand isfuzzy=true entity_group [workspace('home'), workspace('north')] as X (X.Words_CL | count)")
                         .json["tables"][0]["rows"], [[2]])

    def test_a_private_workspace_takes_no_public_caller(self):
        path = self.s.workspace_path("private")
        self.s.done(self.s.arm("PUT", path, "2022-10-01", {"location": "westeurope", "properties": {"publicNetworkAccessForQuery": "Disabled"}}))
        self.denied(self.ask("workspace('private').AppTraces | count"), "PublicNetworkAccessDisabled", "'private'")
        self.denied(self.ask("Words_CL", workspaces=["private"]), "PublicNetworkAccessDisabled", "'private'")
        self.s.settings(privateNetworks=["127.0.0.0/30"])
        try:
            self.assertEqual(self.rows("workspace('private').AppTraces | count"), [[0]])
        finally:
            self.s.settings(privateNetworks=None)

    def test_an_alert_rule_over_workspaces_asks_for_its_writers_rights(self):
        def rule(query):
            return {"location": "westeurope", "properties": {
                "scopes": [self.paths["home"]], "severity": 2, "enabled": True, "evaluationFrequency": "PT5M", "windowSize": "PT5M",
                "criteria": {"allOf": [{"query": query, "timeAggregation": "Count", "operator": "GreaterThan", "threshold": 0}]}}}
        path = self.s.group("/providers/Microsoft.Insights/scheduledQueryRules/over")
        good = "union Words_CL, workspace('north').Words_CL | where Word == 'two'"
        self.assertIn(self.s.arm("PUT", path, "2021-08-01", rule(good)).status, (200, 201))
        a = self.s.arm("PUT", path, "2021-08-01", rule("workspace('nort').Words_CL"))
        self.assertEqual(a.status, 400, a)
        self.assertIn("did you mean 'north'?", a.json["error"]["message"])
        self.give("b24988ac-6180-42a0-ab88-20f7382dd24c", self.s.group())  # Contributor of rg, not of rg2
        a = self.as_reader("PUT", path + "?api-version=2021-08-01", rule(good), ARM)
        self.assertEqual((a.status, a.json["error"]["code"]), (403, "AuthorizationFailed"), a)
        self.assertIn("may not query the workspace 'north'", a.json["error"]["message"])

    # --- keys ---------------------------------------------------------------------------------------------
    def test_y_a_query_that_runs_is_taken_back_with_a_workspace_that_it_names(self):
        answer = []
        slow = "union (range x from 1 to 100000000000 step 1 | where x == -1), workspace('vaulted').Words_CL | count"
        t = threading.Thread(target=lambda: answer.append(self.ask(slow, prefer="wait=600")))
        t.start()
        self.s.wait(self.is_running, what="the query")
        self.s.key("PATCH", f"/keys/k1/{self.version}", {"attributes": {"enabled": False}})
        def over():
            self.s.turn(seconds=60)
            return answer
        self.s.wait(over, 120, "the query's end")
        t.join()
        self.assertEqual((answer[0].status, answer[0].json["error"]["innererror"]["code"]), (403, "CustomerManagedKeyUnavailable"), answer)
        self.s.key("PATCH", f"/keys/k1/{self.version}", {"attributes": {"enabled": True}})
        def back():
            self.s.turn(seconds=60)
            return self.ask("workspace('vaulted').Words_CL | count").status == 200
        self.s.wait(back, what="restore")

    def is_running(self):
        text = self.s.raw("GET", self.s.credentials["endpoint"] + "/metrics").body.decode()
        return any(line.split()[0].endswith("queries_running") and float(line.split()[1]) > 0 for line in text.splitlines() if line and line[0] != "#")

    def test_z_a_key_that_is_withdrawn_takes_queries_of_others_with_it(self):
        self.assertEqual(self.rows("union Words_CL, workspace('vaulted').Words_CL | count"), [[3]])
        def gone():
            self.s.turn(seconds=60)
            return self.ask("Words_CL | count", "vaulted").status == 403
        self.s.key("PATCH", f"/keys/k1/{self.version}", {"attributes": {"enabled": False}})
        self.s.wait(gone, what="revocation")
        for kql, more in (("union Words_CL, workspace('vaulted').Words_CL", {}), ("union isfuzzy=true Words_CL, workspace('vaulted').Words_CL", {}),
                          ("Words_CL", {"workspaces": ["vaulted"]}), ("Words_CL | where Word in (workspace('vaulted').Words_CL | project Word)", {}),
                          ("macro-expand isfuzzy=true entity_group [workspace('home'), workspace('vaulted')] as X (X.Words_CL)", {})):
            a = self.ask(kql, **more)
            self.assertEqual((a.status, a.json["error"]["innererror"]["code"]), (403, "CustomerManagedKeyUnavailable"), a)
            self.assertIn("'vaulted'", a.json["error"]["innererror"]["message"])
            self.assertNotIn("one", a.body.decode())  # no rows of home
        a = self.kusto("union Words_CL, database('vaulted').Words_CL")
        self.assertEqual((a.status, a.json["error"]["innererror"]["code"]), (403, "CustomerManagedKeyUnavailable"), a)
        self.assertEqual(self.rows("Words_CL | count"), [[2]])
        self.assertEqual(self.rows("union Words_CL, workspace('north').Words_CL | count"), [[3]])
        self.s.key("PATCH", f"/keys/k1/{self.version}", {"attributes": {"enabled": True}})
        def back():
            self.s.turn(seconds=60)
            return self.ask("workspace('vaulted').Words_CL | count").status == 200
        self.s.wait(back, what="restore")
        self.assertEqual(self.rows("union Words_CL, workspace('vaulted').Words_CL | count"), [[3]])

    # --- what else is in the way --------------------------------------------------------------------------
    def test_tables_of_the_plan_basic_are_read_in_their_own_workspace_only(self):
        self.s.done(self.s.arm("PUT", self.paths["north"] + "/tables/Cheap_CL", "2022-10-01", {"properties": {"plan": "Basic", "schema": {
            "name": "Cheap_CL", "columns": [{"name": "TimeGenerated", "type": "datetime"}, {"name": "Word", "type": "string"}]}}}))
        self.bad(self.ask("workspace('north').Cheap_CL"), "E_TABLE_PLAN", "has the plan Basic: it is queried in its own workspace only")
        self.assertEqual(self.rows("union workspace('north').*_CL | count"), [[2]])  # a union of all leaves it out
        a = self.s.call("POST", f"/v1/workspaces/{self.ids['north']}/search", {
            "query": "Cheap_CL | lookup (workspace('home').Words_CL) on Word", "timespan": DAY}, QUERY)
        self.bad(a, "E_TABLE_PLAN", "a table of another workspace")

    def test_x_a_query_reads_a_hundred_workspaces_at_most(self):
        for i in range(100):
            self.s.arm("PUT", self.s.workspace_path(f"many{i:03}"), "2022-10-01", {"location": "westeurope"})
        many = [f"workspace('many{i:03}').AppTraces" for i in range(100)]
        for i in range(100):
            self.s.wait(lambda: self.s.arm("GET", self.s.workspace_path(f"many{i:03}"), "2022-10-01").json["properties"].get("provisioningState") == "Succeeded")
        self.assertEqual(self.rows("union " + ", ".join(many[:99]) + " | count"), [[0]])
        self.bad(self.ask("union " + ", ".join(many)), "SEM0001", "more than 100 workspaces")

    def test_a_stored_function_reads_other_workspaces(self):
        a = self.s.arm("PUT", self.paths["home"] + "/savedSearches/both", "2020-08-01", {"properties": {
            "category": "c", "displayName": "both", "functionAlias": "Both", "query": "union Words_CL, workspace('north').Words_CL"}})
        self.assertEqual(a.status, 200, a)
        self.assertEqual(self.rows("Both | count"), [[3]])
        self.denied(self.reads("Both | count"), "WorkspaceAccessDenied", "'north'")

    def test_a_batch_is_taken_back_with_each_workspace_that_it_reads(self):
        a = self.s.call("POST", "/v1/$batch", {"requests": [
            {"id": "1", "workspace": self.ids["home"], "body": {"query": "union Words_CL, workspace('north').Words_CL | count"}},
            {"id": "2", "workspace": self.ids["home"], "body": {"query": "Words_CL | count", "workspaces": ["north"]}},
            {"id": "3", "workspace": self.ids["home"], "body": {"query": "workspace('nort').Words_CL"}}]}, QUERY)
        self.assertEqual([r["status"] for r in a.json["responses"]], [200, 200, 400], a)
        self.assertEqual(a.json["responses"][0]["body"]["tables"][0]["rows"], [[3]])

    # --- the Kusto endpoint -------------------------------------------------------------------------------
    def test_databases_of_the_kusto_endpoint(self):
        endpoint = self.s.credentials["endpoint"]
        self.assertEqual(self.table("database('north').Words_CL | project Word, Code"), [["two", "b"]])
        for cluster in (endpoint, endpoint + "/", endpoint.split("//")[1], endpoint.split("//")[1].split(":")[0]):
            self.assertEqual(self.table(f"cluster('{cluster}').database('north').Words_CL | count"), [[1]], cluster)
        self.assertEqual(self.table(f"alias database ['far away'] = cluster('{endpoint}').database('north'); database('far away').Wild_CL | project Word"), [["wild"]])
        self.assertEqual(self.table("union withsource=S Words_CL, database('north').Words_CL | distinct S | sort by S asc"),
                         [["database('home').Words_CL"], ["database('north').Words_CL"]])
        self.assertEqual(self.table("restrict access to (database('north').*); database('north').Words_CL | count"), [[1]])
        a = self.kusto("restrict access to (database('north').*); Words_CL | count")
        self.assertEqual((a.status, a.json["error"]["innererror"]["code"]), (400, "SEM0100"), a)
        a = self.kusto("database('nort').Words_CL")
        self.assertEqual((a.status, a.json["error"]["innererror"]["code"]), (400, "SEM0100"), a)
        self.assertIn("did you mean 'north'?", a.json["error"]["@message"])

    def test_all_databases_are_those_that_the_caller_may_query(self):
        self.assertEqual(self.table("union withsource=S database('*').W*_CL | summarize n = count() by S | sort by S asc"),
                         [["database('home').Words_CL", 2], ["database('north').Wild_CL", 1], ["database('north').Words_CL", 1], ["database('vaulted').Words_CL", 1]])
        self.assertEqual(self.table("find in (database('n*').*) where Word == 'two' project Word"), [["database('north').Words_CL", "two"]])
        a = self.as_reader("POST", "/v2/rest/query", {"db": "home", "csl": "union database('*').Words_CL | count"}, self.s.credentials["endpoint"])
        self.assertEqual([f for f in a.json if f.get("TableKind") == "PrimaryResult"][0]["Rows"], [[2]], a)

    def test_functions_of_another_database_read_that_one(self):
        a = self.s.arm("PUT", self.paths["north"] + "/savedSearches/f", "2020-08-01", {"properties": {
            "category": "c", "displayName": "f", "functionAlias": "Longer", "functionParameters": "n:long",
            "query": "Words_CL | where strlen(Word) >= n | project Word, Of = current_database()"}})
        self.assertEqual(a.status, 200, a)
        self.assertEqual(self.table("database('north').Longer(1)"), [["two", "north"]])
        self.bad(self.ask("workspace('north').Longer(1)"), "SEM0001", "only tables can be read, not functions: 'Longer'")

    def test_who_asks_and_whom(self):
        c = self.s.credentials
        got = self.table("print current_database(), current_cluster_endpoint(), current_principal(), current_principal_details()")[0]
        self.assertEqual(got[:3], ["home", c["endpoint"].split("//")[1], f"aadapp={c['clientId']};{c['tenantId']}"])
        self.assertEqual({k: got[3][k] for k in ("Authority", "Type", "ObjectId", "UserPrincipalName", "Mfa")},
                         {"Authority": c["tenantId"], "Type": "AadApp", "ObjectId": c["objectId"], "UserPrincipalName": None, "Mfa": None})
        self.assertEqual(self.table(f"print a = current_principal_is_member_of('aadapp={c['clientId']}'), "
                                    f"b = current_principal_is_member_of('aadapp={c['clientId']};{uuid.uuid4()}', 'aadgroup={uuid.uuid4()}')"), [[1, 0]])
        a = self.kusto("print current_principal_is_member_of('aadgroup=readers@example.com')")
        self.assertIn("is named by its object id only", a.json["error"]["@message"])
        self.bad(self.ask("print current_principal_is_member_of('aadapp=x')"), "SEM0001", "is not supported here")

    # --- options ------------------------------------------------------------------------------------------
    def test_options_of_the_text_do_what_they_say(self):
        for path in ("/v1/rest/query", "/v2/rest/query"):
            a = self.kusto("set truncationmaxrecords = 2; range x from 1 to 5 step 1", path=path)
            self.assertIn("E_QUERY_RESULT_SET_TOO_LARGE", a.body.decode())
        self.assertEqual(len(self.table("set notruncation; range x from 1 to 600000 step 1 | summarize by x")), 600000)
        self.assertEqual(self.rows("set query_now = datetime(2020-01-01); print now()"), [["2020-01-01T00:00:00.0000000Z"]])
        self.assertEqual(self.rows("set query_datetimescope_column = 'TimeGenerated'; set query_datetimescope_from = datetime(2027-01-01); Words_CL | count"), [[0]])
        self.assertEqual(self.table("set query_take_max_records = 1; Words_CL | project Number | sort by Number asc"), [[1]])
        self.bad(self.ask("set notruncaton; print 1"), "SEM0001", "did you mean 'notruncation'?")

    def test_a_result_that_is_cut_off_says_so_behind_its_rows(self):
        for kql, first in (("range x from 1 to 5 step 1", [[1], [2]]), ("range x from 1 to 5 step 1 | sort by x desc", [[5], [4]])):
            a = self.ask("set truncationmaxrecords = 2; " + kql)
            self.assertEqual((a.status, a.json["tables"][0]["rows"], a.json["error"]["code"]), (200, first, "PartialError"), a)
            inner = a.json["error"]["details"][0]["innererror"]
            self.assertEqual((a.json["error"]["details"][0]["code"], inner["code"], inner["severityName"]), ("EngineError", "-2133196797", "Error"), a)
            self.assertIn("more than 2 rows (E_QUERY_RESULT_SET_TOO_LARGE)", inner["message"])
        a = self.ask("set truncationmaxsize = 100; range x from 1 to 500 step 1")
        self.assertEqual((a.status, a.json["error"]["code"], a.json["tables"][0]["rows"]), (200, "PartialError", []), a)
        a = self.ask("set notruncation; range x from 1 to 600000 step 1 | summarize by x")  # the API's own limit stays
        self.assertEqual((a.status, len(a.json["tables"][0]["rows"]), a.json["error"]["code"]), (200, 500000, "PartialError"))
        a = self.ask("print x = 1 | make-series s = count() on x from 1 to 100000000 step 1")
        inner = a.json["error"]["innererror"]
        self.assertEqual((a.status, a.json["error"]["code"], inner["code"], inner["innererror"]["code"]),
                         (400, "BadArgumentError", "EngineError", "-2133196799"), a)
        self.assertIn("E_RUNAWAY_QUERY", inner["innererror"]["message"])
        a = self.kusto("print x = 1 | make-series s = count() on x from 1 to 100000000 step 1")
        self.assertIn("0x80DA0001", a.body.decode())

    def test_what_is_misspelt_is_named_with_its_place_and_what_was_meant(self):
        for kql, code, line, pos, meant in (
                ("Wrods_CL | count", "SEM0100", 1, 1, "Words_CL"), ("Words_CL\n| where Wrod == 'a'", "SEM0100", 2, 9, "Word"),
                ("Words_CL\n\n| whre Number > 1", "SYN0002", 3, 3, "where"), ("print tolowr('a')", "SEM0260", 1, 7, "tolower"),
                ("Words_CL | summarize conut()", "SEM0260", 1, 22, "count"), ("Words_CL | evaluate bag_unpak(Word)", "SEM0260", 1, 21, "bag_unpack"),
                ("Words_CL | join knd=inner (Words_CL) on Word", "SYN0002", 1, 17, "kind"), ("set notruncaton; print 1", "SEM0001", 1, 1, "notruncation"),
                ("Words_CL | where Word startwith 'a'", "SYN0002", 1, 23, "startswith"), ("datatable(a:lng)[1]", "SYN0002", 1, 13, "long"),
                ("union (Words_CL), workspace('nort').T", "SEM0100", 1, 19, "north"), ("union workspace('north').Wodrs_CL", "SEM0100", 1, 26, "Words_CL"),
                ("let é = 'a'; Words_CL | where Word == ee", "SEM0100", 1, 39, None)):
            a = self.ask(kql)
            syntax = code.startswith("SYN")
            self.bad(a, code, f"did you mean '{meant}'?" if meant else "finds no column", "SyntaxError" if syntax else "SemanticError", line, pos)
            k = self.kusto(kql)
            inner = k.json["error"]["innererror"]
            self.assertEqual((k.status, inner["code"], inner["line"], inner["pos"], k.json["error"]["@type"]),
                             (400, code, line, pos, "Kusto.Data.Exceptions." + ("SyntaxException" if syntax else "SemanticException")), k)

    def test_options_of_the_request_do_what_the_text_would(self):
        def options(**o):
            return {"Options": o}
        self.assertEqual(self.table("union Words_CL, Nope | count", **options(best_effort=True)), [[2]])
        self.assertEqual(self.table("print bin_auto(7)", **options(query_bin_auto_size=5)), [[5]])
        self.assertEqual(self.table("print x = 1", **options(what_a_client_may_send="x", request_app_name="a", some_object={"a": 1})), [[1]])
        for name, value in (("query_cursor_current", "x"), ("query_language", "sql"), ("query_datascope", "hotcache"), ("validate_permissions", True)):
            a = self.kusto("print 1", **options(**{name: value}))
            self.assertEqual(a.status, 400, a)
            self.assertIn(name, a.json["error"]["@message"])
        a = self.kusto("database('north').Words_CL", **options(request_remote_entities_disabled=True))
        self.assertIn("request_remote_entities_disabled", a.json["error"]["@message"])


if __name__ == "__main__":
    unittest.main()
