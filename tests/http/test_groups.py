# SPDX-License-Identifier: Apache-2.0
"""tests/http/test_groups.py - what holds for all resources: groups, locks, lists, tags, providers, bodies and ids that are bad."""
import unittest
import urllib.parse

from keystead import Server

NEW, RES = "2022-10-01", "2021-04-01"


class Groups(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.s = Server().__enter__()
        cls.n = 0

    @classmethod
    def tearDownClass(cls):
        cls.s.close()

    def group(self):
        type(self).n += 1
        name = f"group{self.n}"
        self.s.done(self.s.arm("PUT", self.s.group(group=name), RES, {"location": "westeurope"}))
        return name

    def cluster(self, group, name="cluster1"):
        path = self.s.cluster_path(name, group)
        self.s.done(self.s.arm("PUT", path, NEW, {"location": "westeurope", "sku": {"name": "CapacityReservation", "capacity": 500}}))
        return path

    def vault(self, group, name):
        path = self.s.group(f"/providers/Microsoft.KeyVault/vaults/{name}", group)
        self.s.done(self.s.arm("PUT", path, "2022-07-01", {"location": "westeurope", "properties": {
            "tenantId": self.s.credentials["tenantId"], "sku": {"family": "A", "name": "standard"}, "accessPolicies": []}}))
        return path

    def error(self, a, status, code, words=""):
        self.assertEqual((a.status, a.json["error"]["code"]), (status, code), a)
        self.assertIn(words, a.json["error"]["message"])

    def listed(self, scope, filter=None, more=""):
        url = f"{scope}/resources?api-version={RES}{more}" + ("&$filter=" + urllib.parse.quote(filter) if filter else "")
        return self.s.call("GET", url)

    def ids(self, *args):
        return sorted(r["id"] for r in self.listed(*args).json["value"])

    # --- deleting a group ---------------------------------------------------------------------------------
    def test_a_group_takes_all_that_is_in_it_and_what_can_come_back_does(self):
        g, other = self.group(), self.group()
        cluster, vault = self.cluster(g), self.vault(g, "kvingroup")
        w = self.s.workspace_path("workspace1", g)
        self.s.make_workspace("workspace1", "cluster1", g)
        self.s.make_workspace("workspace2", None, other)
        self.s.done(self.s.arm("PUT", w + "/savedSearches/s", "2020-08-01", {"properties": {"category": "c", "displayName": "d", "query": "q"}}))
        guid = self.s.workspace_id("workspace1", g)
        a = self.s.arm("DELETE", self.s.group(group=g), RES)
        self.assertEqual(a.status, 202, a)
        self.assertIn("/operationresults/", a.headers["location"])
        self.s.wait(lambda: self.s.call("GET", a.headers["location"]).status == 200, what="the deletion")
        self.assertEqual(self.s.arm("HEAD", self.s.group(group=g), RES).status, 404)
        self.error(self.s.arm("GET", w, NEW), 404, "ResourceGroupNotFound")
        self.assertEqual(self.s.arm("GET", vault, "2022-07-01").status, 404)
        self.assertEqual(self.s.arm("GET", self.s.workspace_path("workspace2", other), NEW).status, 200)
        self.error(self.s.arm("PUT", w, NEW, {"location": "westeurope"}), 404, "ResourceGroupNotFound")
        self.s.done(self.s.arm("PUT", self.s.group(group=g), RES, {"location": "westeurope"}))
        back = self.s.arm("PUT", w, NEW, {"location": "westeurope"})
        self.assertEqual((back.status, back.json["properties"]["customerId"]), (200, guid))
        self.assertEqual(self.s.arm("GET", w + "/savedSearches/s", "2020-08-01").json["properties"]["query"], "q")
        self.error(self.s.arm("PUT", cluster, NEW, {"location": "westeurope", "sku": {"name": "CapacityReservation", "capacity": 500}}), 409, "Conflict")

    def test_a_group_that_goes_takes_nothing_new(self):
        g = self.group()
        self.s.settings(groupDeleteSeconds=600)
        try:
            a = self.s.arm("DELETE", self.s.group(group=g), RES)
            self.assertEqual(self.s.call("GET", a.headers["location"]).status, 202)
            self.assertEqual(self.s.arm("GET", self.s.group(group=g), RES).json["properties"]["provisioningState"], "Deleting")
            self.error(self.s.arm("PUT", self.s.workspace_path("workspace1", g), NEW, {"location": "westeurope"}), 409, "ResourceGroupBeingDeleted")
            self.error(self.s.arm("PUT", self.s.group(group=g), RES, {"location": "westeurope"}), 409, "ResourceGroupBeingDeleted")
            self.assertEqual(self.s.arm("DELETE", self.s.group(group=g), RES).headers["location"], a.headers["location"])
        finally:
            self.s.settings(groupDeleteSeconds=0)

    def test_a_deletion_that_is_refused_costs_no_vault(self):
        g = self.group()
        vault = self.vault(g, "kvspared")
        self.error(self.s.call("DELETE", self.s.group(group=g)), 400, "MissingApiVersionParameter")
        self.error(self.s.arm("DELETE", self.s.group(group=g), "yesterday"), 400, "InvalidApiVersionParameter")
        self.assertEqual(self.s.arm("GET", vault, "2022-07-01").status, 200)

    def test_nothing_is_moved(self):
        g, other = self.group(), self.group()
        cluster = self.cluster(g)
        for action in ("moveResources", "validateMoveResources"):
            a = self.s.arm("POST", self.s.group("/" + action, g), RES, {"resources": [cluster], "targetResourceGroup": self.s.group(group=other)})
            self.error(a, 409, "ResourceMoveNotSupported", "Microsoft.OperationalInsights/clusters")
        self.error(self.s.arm("POST", self.s.group("/moveResources", g), RES, {"resources": 1}), 400, "InvalidRequestContent")

    # --- locks --------------------------------------------------------------------------------------------
    def test_a_lock_keeps_what_it_holds_whoever_serves_it(self):
        g = self.group()
        cluster, vault = self.cluster(g), self.vault(g, "kvlocked")
        lock = cluster + "/providers/Microsoft.Authorization/locks/keep"
        self.error(self.s.arm("PUT", lock, "2020-05-01", {"properties": {"level": "Sometimes"}}), 400, "InvalidLockLevel")
        a = self.s.arm("PUT", lock, "2020-05-01", {"properties": {"level": "CanNotDelete", "notes": "mine"}})
        self.assertEqual((a.status, a.json["properties"], a.json["id"]), (201, {"level": "CanNotDelete", "notes": "mine"}, lock), a)
        self.error(self.s.arm("DELETE", cluster, NEW), 409, "ScopeLocked", "Please remove the lock")
        self.error(self.s.arm("DELETE", self.s.group(group=g), RES), 409, "ScopeLocked")
        self.assertEqual(self.s.arm("GET", vault, "2022-07-01").status, 200, "a refused deletion of the group left it alone")
        self.assertEqual(self.s.arm("PATCH", cluster, NEW, {"tags": {"a": "b"}}).status, 200)
        at_group = self.s.group("/providers/Microsoft.Authorization/locks/frozen", g)
        self.s.done(self.s.arm("PUT", at_group, "2020-05-01", {"properties": {"level": "readonly"}}))
        self.error(self.s.arm("PATCH", cluster, NEW, {"tags": {}}), 409, "ScopeLocked", "write operation")
        self.error(self.s.arm("DELETE", vault, "2022-07-01"), 409, "ScopeLocked")
        self.assertEqual(self.s.arm("GET", cluster, NEW).status, 200)
        names = [x["name"] for x in self.s.arm("GET", self.s.group("/providers/Microsoft.Authorization/locks", g), "2020-05-01").json["value"]]
        self.assertEqual(sorted(names), ["frozen", "keep"])
        for path in (at_group, lock):
            self.assertEqual(self.s.arm("DELETE", path, "2020-05-01").status, 200)
        self.assertEqual(self.s.arm("DELETE", lock, "2020-05-01").status, 204)
        self.assertEqual(self.s.arm("DELETE", cluster, NEW).status, 202)

    # --- lists and tags -----------------------------------------------------------------------------------
    def test_the_list_of_resources_has_vaults_too_and_is_filtered(self):
        g = self.group()
        cluster, vault = self.cluster(g, "listed-cluster"), self.vault(g, "kvlisted")
        self.s.done(self.s.arm("PATCH", cluster, NEW, {"tags": {"Team": "red"}}))
        self.s.make_workspace("listed-work", None, g)
        w, scope = self.s.workspace_path("listed-work", g), self.s.group(group=g)
        rule = self.s.arm("GET", w, NEW).json["properties"]["defaultDataCollectionRuleResourceId"]
        self.assertEqual(self.ids(scope), sorted([cluster, vault, w, rule]))
        self.assertEqual(self.ids(scope, "resourceType eq 'microsoft.operationalinsights/Clusters'"), [cluster])
        self.assertEqual(self.ids(scope, "resourceType ne 'Microsoft.KeyVault/vaults' and substringof('listed', name)"), sorted([cluster, w]))
        self.assertEqual(self.ids(scope, "tagName eq 'team' and tagValue eq 'red'"), [cluster])
        self.assertEqual(self.ids(self.s.sub(), f"resourceGroup eq '{g}' and name eq 'kvlisted'"), [vault])
        self.assertEqual(self.ids(scope, "resourceType eq 'Microsoft.KeyVault/vaults'"), [vault])
        self.assertEqual(self.ids(scope, "location eq 'northeurope'"), [])
        self.assertEqual(len(self.listed(scope, None, "&$top=2").json["value"]), 2)
        for bad in ("nothing eq 'x'", "name eq x", "name lt 'x'", "name eq 'x' or name eq 'y'", "substringof('x', location)"):
            self.error(self.listed(scope, bad), 400, "InvalidFilterInQueryString")

    def test_tags_are_read_and_changed_by_themselves(self):
        g = self.group()
        cluster = self.cluster(g)
        tags = cluster + "/providers/Microsoft.Resources/tags/default"
        put = self.s.arm("PUT", tags, RES, {"properties": {"tags": {"a": "1", "b": "2"}}})
        self.assertEqual((put.status, put.json["properties"]["tags"]), (200, {"a": "1", "b": "2"}), put)
        a = self.s.arm("PATCH", tags, RES, {"operation": "Merge", "properties": {"tags": {"A": "3", "c": "4"}}})
        self.assertEqual(sorted(a.json["properties"]["tags"].values()), ["2", "3", "4"])
        a = self.s.arm("PATCH", tags, RES, {"operation": "Delete", "properties": {"tags": {"b": "2"}}})
        self.assertNotIn("b", self.s.arm("GET", cluster, NEW).json["tags"])
        self.error(self.s.arm("PATCH", tags, RES, {"operation": "Mix", "properties": {"tags": {}}}), 400, "InvalidRequestContent")
        self.assertEqual(self.s.arm("DELETE", tags, RES).status, 200)
        self.assertEqual(self.s.arm("GET", cluster, NEW).json["tags"], {})
        self.assertEqual(self.s.arm("GET", self.s.cluster_path("none", g) + "/providers/Microsoft.Resources/tags/default", RES).status, 404)

    # --- providers ----------------------------------------------------------------------------------------
    def test_a_namespace_that_is_not_registered_takes_nothing_new(self):
        g = self.group()

        def act(ns, action):
            return self.s.arm("POST", self.s.sub(f"/providers/{ns}/{action}"), RES).json["registrationState"]
        self.assertEqual(self.s.arm("GET", self.s.sub("/providers/Microsoft.DocumentDB"), RES).json["registrationState"], "NotRegistered")
        self.assertEqual(act("microsoft.documentdb", "register"), "Registered")
        self.assertEqual(act("Microsoft.Storage", "unregister"), "NotRegistered")
        path = self.s.group("/providers/Microsoft.Storage/storageAccounts/unregistered", g)
        self.error(self.s.arm("PUT", path, "2022-09-01", {"location": "westeurope"}), 409, "MissingSubscriptionRegistration")
        self.assertEqual(act("Microsoft.Storage", "register"), "Registered")
        self.assertEqual(self.s.arm("PUT", path, "2022-09-01", {"location": "westeurope"}).status, 200)

    # --- what is bad --------------------------------------------------------------------------------------
    def test_bad_bodies_are_refused_in_words(self):
        g = self.group()
        url = self.s.cluster_path("badbody1", g) + f"?api-version={NEW}"
        deep = b'{"location": ' + b"[" * 100 + b"]" * 100 + b"}"
        for body in (b'{"location": "x",}', b"[]", b"null", b'"x"', b'{"a": "\xff\xfe"}', deep, b'{"a": 1, "a": 2}', b'{"a": 1} x', b"{" * 1000):
            a = self.s.call("PUT", url, body)
            self.assertEqual(a.status, 400, a)
            self.assertTrue(a.json["error"]["message"], a)
        a = self.s.call("PUT", url, b'{"location": "' + b"x" * (4 << 20) + b'"}')
        self.error(a, 413, "RequestContentTooLarge", "4194304")
        self.error(self.s.call("PUT", url, b""), 400, "InvalidParameter", "The body of the request is null or in bad format.")

    def test_bad_ids_are_refused_in_words(self):
        sub = self.s.sub()
        for path, status in ((sub + "/resourceGroups/g/providers/Microsoft.OperationalInsights", 404),
                             (sub + "/resourceGroups/" + "g" * 300, 400),
                             (sub + "/providers/Microsoft.OperationalInsights/" + "/".join(["a"] * 20), 400),
                             (sub + "/resourceGroups/g%01/providers/Microsoft.OperationalInsights/clusters/c1", 400),
                             (sub + "/resourceGroups/nogroup/providers/Microsoft.Nothing/things/x", 404)):
            a = self.s.arm("GET", path, NEW)
            self.assertEqual(a.status, status, (path, a))
            self.assertTrue(a.json["error"]["code"] and a.json["error"]["message"], a)
        self.assertEqual(self.s.arm("POST", self.s.group("/providers/Microsoft.OperationalInsights/clusters/c1"), NEW).status, 405)


if __name__ == "__main__":
    unittest.main()
