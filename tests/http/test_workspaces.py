# SPDX-License-Identifier: Apache-2.0
"""tests/http/test_workspaces.py - what a workspace has besides its rows: keys, searches, storage, caps, etags, links by guid."""
import base64
import unittest

from keystead import Server

NEW, OLD, FIRST = "2022-10-01", "2020-08-01", "2015-11-01-preview"


class Workspaces(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.s = Server("--virtual-clock", probe=60).__enter__()
        cls.s.done(cls.s.arm("PUT", cls.s.group(), "2021-04-01", {"location": "westeurope"}))
        cls.n = 0

    @classmethod
    def tearDownClass(cls):
        cls.s.close()

    def fresh(self):
        type(self).n += 1
        return f"w-{self.n:04}"

    def make(self, **properties):
        path = self.s.workspace_path(self.fresh())
        self.s.done(self.s.arm("PUT", path, NEW, {"location": "westeurope", "properties": properties}))
        return path

    def make_cluster(self, **properties):
        path = self.s.cluster_path("c" + self.fresh())
        self.s.done(self.s.arm("PUT", path, "2019-08-01-preview" if properties else NEW, {
            "location": "westeurope", "identity": {"type": "SystemAssigned"}, "properties": properties,
            "sku": {"name": "CapacityReservation", "capacity": 1000}}))
        return path

    def make_storage(self, name, location="westeurope", **more):
        path = self.s.group(f"/providers/Microsoft.Storage/storageAccounts/{name}")
        self.assertEqual(self.s.arm("PUT", path, "2022-09-01", {"location": location, "kind": "StorageV2", "sku": {"name": "Standard_LRS"},
                                                                **more}).status, 200)
        return path

    def error(self, a, status, code, words=""):
        self.assertEqual((a.status, a.json["error"]["code"]), (status, code), a)
        self.assertIn(words, a.json["error"]["message"])

    def on_disk(self, text):
        found = []
        for path in self.s.files():
            with open(path, "rb") as f:
                if text.encode() in f.read():
                    found.append(path)
        return found

    # --- shared keys --------------------------------------------------------------------------------------
    def test_shared_keys_are_the_same_until_they_are_made_anew_and_never_on_the_disk(self):
        path = self.make()
        a = self.s.arm("POST", path + "/sharedKeys", OLD)
        self.assertEqual((a.status, sorted(a.json)), (200, ["primarySharedKey", "secondarySharedKey"]), a)
        self.assertEqual(len(base64.b64decode(a.json["primarySharedKey"])), 64)
        self.assertEqual(self.s.arm("GET", path + "/sharedKeys", "2015-03-20").json, a.json)
        b = self.s.call("POST", f"{path}/regenerateSharedKey?api-version={OLD}", {"keyType": "Primary"}).json
        self.assertEqual(b["secondarySharedKey"], a.json["secondarySharedKey"])
        self.assertNotEqual(b["primarySharedKey"], a.json["primarySharedKey"])
        c = self.s.arm("POST", path + "/regenerateSharedKey", OLD).json
        self.assertEqual(len({c["primarySharedKey"], c["secondarySharedKey"], b["primarySharedKey"], b["secondarySharedKey"]}), 4)
        self.assertEqual(self.on_disk(c["primarySharedKey"][:40]), [])

    def test_the_schema_call_names_the_columns(self):
        path = self.make()
        self.s.make_table("Schema_CL", {"Level": "int"}, path.rsplit("/", 1)[1])
        a = self.s.arm("POST", path + "/schema", OLD)
        self.assertEqual([(v["name"], v["type"], v["ownerType"]) for v in a.json["value"]],
                         [("TimeGenerated", "dateTime", ["Schema_CL"]), ("Level", "int", ["Schema_CL"])])

    # --- etags --------------------------------------------------------------------------------------------
    def test_a_workspace_is_changed_under_its_etag_only(self):
        path = self.make()
        etag = self.s.arm("GET", path, NEW).json["etag"]
        url = f"{path}?api-version={NEW}"
        self.error(self.s.call("PATCH", url, {"tags": {"a": "1"}}, headers={"If-Match": '"other"'}), 412, "PreconditionFailed")
        a = self.s.call("PATCH", url, {"tags": {"a": "1"}}, headers={"If-Match": etag})
        self.assertEqual((a.status, a.json["tags"]), (200, {"a": "1"}), a)
        self.assertNotEqual(a.json["etag"], etag)
        self.error(self.s.call("PATCH", url, {"tags": {"a": "2"}}, headers={"If-Match": etag}), 412, "PreconditionFailed")
        self.error(self.s.call("PUT", url, {"location": "westeurope"}, headers={"If-None-Match": "*"}), 412, "PreconditionFailed")
        self.error(self.s.call("PUT", self.s.workspace_path("nowhere1") + f"?api-version={NEW}", {"location": "westeurope"},
                               headers={"If-Match": "*"}), 412, "PreconditionFailed")

    # --- saved searches -----------------------------------------------------------------------------------
    def test_a_saved_search_is_kept_as_it_was_sent_and_never_on_the_disk_in_plain(self):
        path = self.make() + "/savedSearches/CliTest"
        body = {"properties": {"category": "cli", "displayName": "myclitest", "query": "Heartbeat | where Secret42 == 'x'", "version": 2,
                               "functionAlias": "myfun", "functionParameters": "a:string = value", "tags": [{"name": "a", "value": "b"}]}}
        a = self.s.arm("PUT", path, OLD, body)
        self.assertEqual(a.status, 200, a)
        self.assertEqual((a.json["type"], a.json["name"], a.json["id"]), ("Microsoft.OperationalInsights/savedSearches", "CliTest", path))
        self.assertEqual(a.json["properties"], body["properties"])
        self.assertRegex(a.json["etag"], r"^W/\"datetime'\d{4}-\d\d-\d\dT\d\d%3A\d\d%3A\d\d\.\d{7}Z'\"$")
        self.assertEqual(self.s.arm("GET", path.lower().replace("resourcegroups", "resourceGroups"), OLD).json, a.json)
        self.assertEqual(self.s.arm("GET", path.rsplit("/", 1)[0], OLD).json, {"value": [a.json]})
        self.assertEqual(self.on_disk("Secret42"), [])
        url = f"{path}?api-version={OLD}"
        self.error(self.s.call("PUT", url, body, headers={"If-Match": "W/\"datetime'x'\""}), 412, "PreconditionFailed")
        self.assertEqual(self.s.call("PUT", url, body, headers={"If-Match": a.json["etag"]}).status, 200)
        self.error(self.s.call("PUT", url, {**body, "etag": a.json["etag"]}), 409, "Conflict")
        self.assertEqual(self.s.call("PUT", url, {**body, "etag": "*"}).status, 200)
        self.assertEqual((self.s.arm("DELETE", path, OLD).status, self.s.arm("DELETE", path, OLD).status), (200, 204))
        self.error(self.s.arm("GET", path, OLD), 404, "ResourceNotFound")

    def test_bad_searches_are_refused(self):
        path = self.make() + "/savedSearches/x"
        good = {"category": "c", "displayName": "d", "query": "q"}
        for bad in ({"query": None}, {"category": 1}, {"version": 3}, {"tags": {}}, {"tags": [{"name": "x"}]}, {"query": "x" * 70000}):
            self.error(self.s.arm("PUT", path, OLD, {"properties": {**good, **bad}}), 400, "InvalidParameter")

    # --- linked storage -----------------------------------------------------------------------------------
    def test_searches_move_to_the_storage_that_is_linked_for_them_and_come_back(self):
        w = self.make()
        search = {"properties": {"category": "c", "displayName": "d", "query": "q"}}
        storage = self.make_storage("searchstore")
        self.s.done(self.s.arm("PUT", w + "/savedSearches/before", OLD, search))
        link = w + "/linkedStorageAccounts/Query"
        a = self.s.arm("PUT", link, "2021-06-01", {"properties": {"dataSourceType": "Query", "storageAccountIds": [storage]}})
        self.assertEqual((a.status, a.json["properties"], a.json["name"], a.json["id"]),
                         (200, {"dataSourceType": "query", "storageAccountIds": [storage]}, "query", link), a)
        listed = self.s.arm("GET", w + "/linkedStorageAccounts", OLD).json["value"]
        self.assertEqual([x["id"] for x in listed], [link.lower()])
        names = lambda: [x["name"] for x in self.s.arm("GET", w + "/savedSearches", OLD).json["value"]]  # noqa: E731
        self.assertEqual(names(), [], "linking removes what was there")
        self.s.done(self.s.arm("PUT", w + "/savedSearches/during", OLD, search))
        self.assertEqual(names(), ["during"])
        self.error(self.s.arm("DELETE", storage, "2022-09-01"), 409, "Conflict")
        self.assertEqual(self.s.arm("DELETE", w + "/linkedStorageAccounts/QUERY", OLD).status, 200)
        self.assertEqual(names(), ["during"])
        self.assertEqual(self.s.arm("GET", w + "/savedSearches/during", OLD).json["properties"]["query"], "q")
        self.assertEqual(self.s.arm("DELETE", storage, "2022-09-01").status, 200)
        self.assertEqual(self.s.arm("DELETE", link, OLD).status, 204)

    def test_a_workspace_that_goes_for_good_leaves_no_search_in_its_storage(self):
        w, storage = self.make(), self.make_storage("leavestore")
        self.s.done(self.s.arm("PUT", w + "/linkedStorageAccounts/Query", OLD, {"properties": {"storageAccountIds": [storage]}}))
        self.s.done(self.s.arm("PUT", w + "/savedSearches/s", OLD, {"properties": {"category": "c", "displayName": "d", "query": "q"}}))
        self.assertEqual(self.s.call("DELETE", f"{w}?api-version={NEW}&force=true").status, 200)
        self.assertEqual(self.s.arm("DELETE", storage, "2022-09-01").status, 200, "nothing is in it any more")

    def test_storage_is_linked_in_its_region_and_of_its_kind_only(self):
        w = self.make()
        far, old = self.make_storage("farstore", "northeurope"), self.make_storage("oldstore", kind="Storage")
        good, other = self.make_storage("goodstore"), self.make_storage("otherstore")

        def put(kind, *ids, **more):
            return self.s.arm("PUT", f"{w}/linkedStorageAccounts/{kind}", OLD, {"properties": {"storageAccountIds": list(ids), **more}})
        self.error(put("Query", far), 400, "InvalidParameter", "same region")
        self.error(put("Query", old), 400, "InvalidParameter", "StorageV2")
        self.error(put("Query", good + "x"), 400, "InvalidParameter", "could not be found")
        self.error(put("Query", good, other), 400, "InvalidParameter", "one to 1")
        self.error(put("Query"), 400, "InvalidParameter")
        self.error(put("Nothing", good), 400, "InvalidParameter")
        self.error(put("Alerts", good, dataSourceType="Query"), 400, "InvalidParameter")
        self.assertEqual(put("ALerts", good).json["properties"]["dataSourceType"], "alerts")
        self.assertEqual(put("CustomLogs", good, other).status, 200)

    # --- links --------------------------------------------------------------------------------------------
    def test_the_first_article_links_by_the_clusters_guid(self):
        cluster, w = self.make_cluster(clusterType="LogAnalytics"), self.make()
        guid = self.s.arm("GET", cluster, "2019-08-01-preview").json["properties"]["clusterId"]
        before = self.s.arm("GET", w, FIRST).json
        a = self.s.arm("PUT", w, FIRST, {**before, "properties": {"source": "Azure", "customerId": before["properties"]["customerId"],
                                                                    "features": {"clusterDefinitionId": guid}}})
        self.assertEqual((a.status, a.json["properties"]["features"]["clusterDefinitionId"]), (200, guid), a)
        self.assertEqual(self.s.arm("GET", w, NEW).json["properties"]["features"]["clusterResourceId"], cluster)
        self.assertNotIn("clusterDefinitionId", self.s.arm("GET", w, NEW).json["properties"]["features"])
        self.error(self.s.arm("PUT", w, FIRST, {"location": "westeurope", "properties": {"features": {"clusterDefinitionId": w}}}),
                   400, "ResourceNotFound")

    def test_a_cluster_for_application_insights_takes_no_workspace(self):
        cluster, w = self.make_cluster(clusterType="ApplicationInsights"), self.make()
        a = self.s.arm("PUT", w + "/linkedServices/cluster", OLD, {"properties": {"writeAccessResourceId": cluster}})
        self.error(a, 400, "InvalidParameter", "ApplicationInsights")

    def test_other_services_are_linked_and_listed_and_gone_after_a_deletion(self):
        w = self.make()
        automation = self.s.group("/providers/Microsoft.Automation/automationAccounts/a1")
        link = w + "/linkedServices/Automation"
        self.error(self.s.arm("PUT", link, OLD, {"properties": {}}), 400, "InvalidParameter")
        a = self.s.arm("PUT", link, OLD, {"properties": {"resourceId": automation}})
        self.assertEqual((a.status, a.json["properties"]["resourceId"], a.json["name"]), (201, automation, w.rsplit("/", 1)[1] + "/Automation"), a)
        self.assertEqual(len(self.s.arm("GET", w + "/linkedServices", OLD).json["value"]), 1)
        self.assertEqual(self.s.arm("DELETE", w, NEW).status, 200)
        self.s.done(self.s.arm("PUT", w, NEW, {"location": "westeurope"}))
        self.assertEqual(self.s.arm("GET", w + "/linkedServices", OLD).json["value"], [])

    # --- the daily cap ------------------------------------------------------------------------------------
    def test_a_daily_cap_stops_ingestion_until_midnight_and_counts_what_it_drops(self):
        w = self.make(workspaceCapping={"dailyQuotaGb": 0.0002})  # 200 kB
        name = w.rsplit("/", 1)[1]
        guid = self.s.workspace_id(name)
        self.s.make_table("Cap_CL", {"Text": "string"}, name)

        def status():
            return self.s.arm("GET", w, NEW).json["properties"]["workspaceCapping"]
        self.assertEqual((status()["dailyQuotaGb"], status()["dataIngestionStatus"]), (0.0002, "RespectQuota"))
        self.assertRegex(status()["quotaNextResetTime"], r"T00:00:00\.0000000Z$")
        rows = [{"Text": "x" * 1000}] * 100
        for _ in range(2):
            a = self.s.send("Cap_CL", rows, guid)
            self.assertEqual((a.status, a.headers.get("x-keystead-dropped-rows")), (204, None))
        self.assertEqual(status()["dataIngestionStatus"], "OverQuota")
        a = self.s.send("Cap_CL", rows, guid)
        self.assertEqual((a.status, a.headers.get("x-keystead-dropped-rows")), (204, "100"))
        self.assertEqual(self.s.rows("Cap_CL | count", guid), [[200]])
        self.s.stop()
        self.s.start()
        a = self.s.wait(lambda: [x for x in [self.s.send("Cap_CL", rows, guid)] if x.status != 503], 20, "the restart")[0]
        self.assertEqual((a.status, a.headers.get("x-keystead-dropped-rows")), (204, "100"), "a restart does not forget")
        dropped = [x for a in self.s.call("GET", "/admin/keys/status").json["accounts"] for x in a["droppedByTable"]]
        self.assertIn(("dailyQuota", 200), [(x["reason"], x["rows"]) for x in dropped])
        self.s.turn(days=1)
        self.assertIsNone(self.s.send("Cap_CL", rows, guid).headers.get("x-keystead-dropped-rows"))
        self.assertEqual(status()["dataIngestionStatus"], "RespectQuota")
        self.s.done(self.s.arm("PATCH", w, NEW, {"properties": {"workspaceCapping": {"dailyQuotaGb": -1}}}))
        self.assertEqual(status()["dailyQuotaGb"], -1.0)

    # --- tables -------------------------------------------------------------------------------------------
    def test_a_table_that_is_deleted_is_gone_with_its_rows_and_its_name_is_free(self):
        w = self.make()
        name = w.rsplit("/", 1)[1]
        guid, table = self.s.workspace_id(name), w + "/tables/Gone_CL"
        self.s.make_table("Gone_CL", {"N": "long"}, name)
        self.assertEqual(self.s.send("Gone_CL", [{"N": 1}], guid).status, 204)
        self.assertEqual(self.s.arm("POST", table + "/migrate", NEW).status, 200)
        self.error(self.s.arm("POST", table + "/cancelSearch", NEW), 400, "InvalidParameter")
        self.assertEqual((self.s.arm("DELETE", table, NEW).status, self.s.arm("DELETE", table, NEW).status), (200, 204))
        self.error(self.s.arm("GET", table, NEW), 404, "ResourceNotFound")
        self.assertEqual([t["name"] for t in self.s.arm("GET", w + "/tables", NEW).json["value"] if t["name"].endswith("_CL")], [])
        self.assertEqual(self.s.query("Gone_CL | count", guid).status, 400)
        self.assertEqual(self.s.send("Gone_CL", [{"N": 1}], guid).status, 404)
        self.s.make_table("Gone_CL", {"Text": "string"}, name)
        self.assertEqual(self.s.send("Gone_CL", [{"Text": "new"}], guid).status, 204)
        self.assertEqual(self.s.rows("Gone_CL | project Text", guid), [["new"]])
        self.s.stop()
        self.s.start()
        a = self.s.wait(lambda: [x for x in [self.s.query("Gone_CL | project Text", guid)] if x.status == 200], 20, "the restart")[0]
        self.assertEqual(a.json["tables"][0]["rows"], [["new"]])
        self.assertEqual(self.s.arm("POST", table + "/migrate", NEW).status, 200)

    def test_2020_shows_a_table_by_its_retention(self):
        w = self.make()
        self.s.make_table("Old_CL", {"N": "long"}, w.rsplit("/", 1)[1])
        table = w + "/tables/Old_CL"
        self.assertEqual(self.s.arm("GET", table, OLD).json, {"properties": {"RetentionInDays": 30}, "id": table, "name": "Old_CL"})
        a = self.s.arm("PATCH", table, OLD, {"properties": {"RetentionInDays": 60}})
        self.assertEqual((a.status, a.json["properties"]), (200, {"RetentionInDays": 60}))

    def test_bad_workspaces_are_refused(self):
        w = self.make()
        for bad in ({"workspaceCapping": {"dailyQuotaGb": -5}}, {"workspaceCapping": {"dailyQuotaGb": "x"}}, {"sku": {"name": "Gold"}},
                    {"sku": {"name": "CapacityReservation", "capacityReservationLevel": 150}}, {"retentionInDays": 7},
                    {"replication": {"enabled": True}}, {"publicNetworkAccessForQuery": "Sometimes"}):
            self.error(self.s.arm("PATCH", w, NEW, {"properties": bad}), 400, "InvalidParameter")
        a = self.s.arm("PATCH", w, NEW, {"properties": {"sku": {"name": "CapacityReservation", "capacityReservationLevel": 200},
                                                        "nothing": 1, "createdDate": "x", "provisioningState": "Failed"}})
        self.assertEqual((a.status, a.json["properties"]["sku"]["capacityReservationLevel"], a.json["properties"]["provisioningState"]),
                         (200, 200, "Succeeded"), a)

    def test_a_forced_deletion_can_not_be_undone_and_a_soft_one_must_be_undone_first(self):
        w = self.make()
        before = self.s.arm("GET", w, NEW).json["properties"]["customerId"]
        self.assertEqual(self.s.arm("DELETE", w, NEW).status, 200)
        self.assertEqual(self.s.call("DELETE", f"{w}?api-version={NEW}&force=true").status, 204)
        again = self.s.arm("PUT", w, NEW, {"location": "westeurope"})
        self.assertEqual((again.status, again.json["properties"]["customerId"]), (200, before))
        self.assertEqual(self.s.call("DELETE", f"{w}?api-version={NEW}&force=true").status, 200)
        self.assertEqual(self.s.arm("GET", self.s.sub("/providers/Microsoft.OperationalInsights/deletedWorkspaces"), NEW).json["value"], [])
        again = self.s.arm("PUT", w, NEW, {"location": "westeurope"})
        self.assertEqual(again.status, 201)
        self.assertNotEqual(again.json["properties"]["customerId"], before)


if __name__ == "__main__":
    unittest.main()
