# SPDX-License-Identifier: Apache-2.0
"""tests/http/test_resources.py - ARM over plain HTTPS: dialects, errors, operations, links."""
import re
import unittest

from keystead import ARM, QUERY, Server

GUID = re.compile(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
RFC1123 = re.compile(r"^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$")
ISO7 = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z$")


def cluster_body(capacity=1000, **more):
    return {"location": "West Europe", "identity": {"type": "SystemAssigned"},
            "sku": {"name": "CapacityReservation", "capacity": capacity}, **more}


class Resources(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.s = Server().__enter__()
        cls.s.done(cls.s.arm("PUT", cls.s.group(), "2021-04-01", {"location": "westeurope"}))
        cls.n = 0

    @classmethod
    def tearDownClass(cls):
        cls.s.close()

    def fresh(self, kind):
        type(self).n += 1
        return f"{kind}{self.n:04}"

    def new_cluster(self, version="2022-10-01", capacity=1000):
        path = self.s.cluster_path(self.fresh("cluster"))
        self.s.done(self.s.arm("PUT", path, version, cluster_body(capacity)))
        return path

    def new_workspace(self):
        path = self.s.workspace_path(self.fresh("workspace"))
        self.s.done(self.s.arm("PUT", path, "2022-10-01", {"location": "westeurope"}))
        return path

    def error(self, answer, status, code):
        self.assertEqual(answer.status, status, answer)
        self.assertEqual(answer.json["error"]["code"], code, answer)
        self.assertTrue(answer.json["error"]["message"], answer)

    # --- the plumbing -------------------------------------------------------------------------------------
    def test_a_call_without_a_token_is_401_with_a_challenge(self):
        a = self.s.raw("GET", self.s.credentials["endpoint"] + self.s.cluster_path() + "?api-version=2022-10-01")
        self.error(a, 401, "AuthenticationFailed")
        self.assertIn("authorization_uri=", a.headers["www-authenticate"])

    def test_a_token_for_the_query_api_is_refused_by_arm(self):
        a = self.s.call("GET", self.s.cluster_path() + "?api-version=2022-10-01", resource=QUERY)
        self.error(a, 401, "InvalidAuthenticationTokenAudience")

    def test_a_token_with_a_changed_signature_is_refused(self):
        token = self.s.token(ARM)
        bad = token[:-6] + ("AAAAAA" if token[-6:] != "AAAAAA" else "BBBBBB")
        a = self.s.raw("GET", self.s.credentials["endpoint"] + self.s.group() + "?api-version=2021-04-01",
                       headers={"Authorization": "Bearer " + bad})
        self.error(a, 401, "InvalidAuthenticationToken")

    def test_the_api_version_is_demanded_and_checked(self):
        self.error(self.s.call("GET", self.s.cluster_path()), 400, "MissingApiVersionParameter")
        self.error(self.s.arm("GET", self.s.cluster_path(), "2022-13-01"), 400, "InvalidApiVersionParameter")
        self.error(self.s.arm("GET", self.s.cluster_path(), "2018-01-01"), 400, "NoRegisteredProviderFound")

    def test_a_version_newer_than_any_known_one_is_answered(self):
        path = self.new_cluster()
        a = self.s.arm("GET", path, "2031-01-01")
        self.assertEqual(a.status, 200, a)
        self.assertRegex(a.json["properties"]["createdDate"], ISO7)

    def test_paths_are_read_without_case_and_written_in_one_form(self):
        path = self.new_cluster()
        a = self.s.arm("GET", path.replace("resourceGroups", "resourcegroups").replace("Microsoft", "microsoft").replace("clusters", "CLUSTERS").upper()
                       .replace(self.s.credentials["subscriptionId"].upper(), self.s.credentials["subscriptionId"]), "2022-10-01")
        self.assertEqual(a.status, 200, a)
        self.assertEqual(a.json["id"], path)

    def test_an_encoded_parameter_name_is_understood(self):
        a = self.s.call("GET", self.s.group("/providers/Microsoft.OperationalInsights/clusters") + "?api%2Dversion=2022-10-01")
        self.assertEqual(a.status, 200, a)

    def test_answers_carry_request_ids(self):
        a = self.s.arm("GET", self.s.group(), "2021-04-01")
        for name in ("x-ms-request-id", "x-ms-correlation-request-id", "x-ms-routing-request-id"):
            self.assertIn(name, a.headers)

    def test_what_is_not_there_is_404_by_its_kind(self):
        sub = self.s.credentials["subscriptionId"]
        other = self.s.cluster_path().replace(sub, "00000000-0000-0000-0000-000000000000")
        self.error(self.s.arm("GET", other, "2022-10-01"), 404, "SubscriptionNotFound")
        self.error(self.s.arm("GET", self.s.cluster_path(group="nogroup"), "2022-10-01"), 404, "ResourceGroupNotFound")
        self.error(self.s.arm("GET", self.s.cluster_path("nocluster"), "2022-10-01"), 404, "ResourceNotFound")
        self.error(self.s.arm("GET", self.s.group("/providers/Microsoft.Compute/disks/x"), "2022-10-01"), 404, "InvalidResourceType")

    def test_a_body_that_is_not_json_is_400(self):
        a = self.s.call("PUT", self.s.cluster_path("badbody") + "?api-version=2022-10-01", b'{"location": "x",}')
        self.error(a, 400, "InvalidRequestContent")

    # --- clusters -----------------------------------------------------------------------------------------
    def test_creation_is_202_without_a_body_and_can_be_followed(self):
        path = self.s.cluster_path(self.fresh("cluster"))
        a = self.s.arm("PUT", path, "2022-10-01", cluster_body())
        self.assertEqual((a.status, a.body), (202, b""), a)
        self.assertIn("/operationresults/", a.headers["location"])
        self.assertIn("api-version=2015-11-01-preview", a.headers["azure-asyncoperation"])
        self.assertGreaterEqual(int(a.headers["retry-after"]), 1)
        end = self.s.follow(a)
        self.assertEqual((end["status"], end["properties"]), ("Succeeded", {}))
        self.assertRegex(end["startTime"], ISO7)
        self.assertEqual(self.s.call("GET", a.headers["location"]).json["properties"]["provisioningState"], "Succeeded")

    def test_the_body_of_2025_02_01_is_the_one_seen_on_the_wire(self):
        path = self.new_cluster("2025-02-01")
        b = self.s.arm("GET", path, "2025-02-01").json
        self.assertEqual(list(b), ["sku", "identity", "properties", "location", "tags", "id", "name", "type"])
        self.assertEqual(b["sku"], {"name": "CapacityReservation", "capacity": 1000})
        self.assertEqual((b["location"], b["tags"]), ("westeurope", {}))
        self.assertRegex(b["identity"]["principalId"], GUID)
        p = b["properties"]
        self.assertRegex(p["clusterId"], GUID)
        self.assertRegex(p["createdDate"], RFC1123)
        self.assertEqual(p["associatedWorkspaces"], [])
        self.assertEqual(p["capacityReservationProperties"]["minCapacity"], 100)
        self.assertNotIn("keyVaultProperties", p)
        self.assertNotIn("clusterType", p)

    def test_2020_03_01_preview_answers_a_creation_with_200_and_body(self):
        path = self.s.cluster_path(self.fresh("cluster"))
        a = self.s.arm("PUT", path, "2020-03-01-preview", {
            "identity": {"type": "systemAssigned"}, "sku": {"name": "capacityReservation", "Capacity": 1000},
            "properties": {"billingType": "cluster"}, "location": "West Europe"})
        self.assertEqual(a.status, 200, a)
        self.assertEqual(a.json["properties"]["provisioningState"], "ProvisioningAccount")
        self.assertEqual(self.s.follow(a)["status"], "Succeeded")
        b = self.s.arm("GET", path, "2020-03-01-preview").json
        self.assertEqual((b["sku"]["name"], b["properties"]["billingType"], b["properties"]["clusterType"], b["location"]),
                         ("capacityreservation", "cluster", "LogAnalytics", "West Europe"))
        self.assertRegex(b["sku"]["lastSkuUpdate"], RFC1123)
        self.assertNotIn("isDoubleEncryptionEnabled", b["properties"])

    def test_capacities_are_those_of_the_version(self):
        for version, good, wrong in (("2020-03-01-preview", 1100, 500), ("2021-06-01", 500, 100), ("2022-10-01", 100, 150)):
            with self.subTest(version):
                path = self.s.cluster_path(self.fresh("cluster"))
                self.error(self.s.arm("PUT", path, version, cluster_body(wrong)), 400, "InvalidParameter")
                self.s.done(self.s.arm("PUT", path, version, cluster_body(good)))

    def test_bad_clusters_are_refused_in_the_documented_words(self):
        path = self.s.cluster_path("badcluster")
        for body, text in (
                ({"location": "westeurope"}, "No SKU was set."),
                ({"location": "westeurope", "sku": {"name": "Free", "capacity": 500}}, "SKU name is invalid."),
                ({"location": "westeurope", "sku": {"name": "CapacityReservation"}}, "Missing Capacity in SKU."),
                ({"location": "westeurope", "sku": {"capacity": 500}}, "Capacity was provided but SKU isn't capacityReservation."),
                (cluster_body(properties={"associatedWorkspaces": []}), "'properties.associatedWorkspaces' is a read only property"),
                (cluster_body(properties={"replication": {"enabled": True, "location": "northeurope"}}), "replication.enabled"),
                (cluster_body(properties={"keyVaultProperties": {"keyName": "x"}}), "KeyVaultProperties isn't empty but has a bad format."),
                (cluster_body(properties={"keyVaultProperties": {
                    "keyVaultUri": "https://evil.example", "keyName": "k", "keyVersion": ""}}), "KeyVaultProperties isn't empty")):
            with self.subTest(text):
                a = self.s.arm("PUT", path, "2022-10-01", body)
                self.error(a, 400, "InvalidParameter")
                self.assertTrue(a.json["error"]["message"].startswith(text), a)
        self.error(self.s.arm("PUT", self.s.cluster_path("abc"), "2022-10-01", cluster_body()), 400, "InvalidParameter")
        self.error(self.s.arm("PUT", path, "2022-10-01", {"sku": {"name": "CapacityReservation", "capacity": 500}}), 400, "LocationRequired")

    def test_capacity_and_tags_change_at_once(self):
        path = self.new_cluster(capacity=500)
        a = self.s.arm("PATCH", path, "2022-10-01", {"sku": {"name": "capacityReservation", "capacity": 1000}, "tags": {"a": "b"}})
        self.assertEqual(a.status, 200, a)
        self.assertEqual((a.json["sku"]["capacity"], a.json["tags"]), (1000, {"a": "b"}))
        self.assertNotIn("azure-asyncoperation", a.headers)

    def test_a_cluster_does_not_move(self):
        path = self.new_cluster()
        self.error(self.s.arm("PUT", path, "2022-10-01", {**cluster_body(), "location": "eastus"}), 409, "InvalidResourceLocation")

    def test_what_get_shows_can_be_put_back(self):
        path = self.new_cluster()
        b = self.s.arm("GET", path, "2021-06-01").json
        for name in ("id", "name", "type"):
            del b[name]
        del b["properties"]["associatedWorkspaces"]
        a = self.s.arm("PUT", path, "2021-06-01", b)
        self.assertEqual(a.status, 200, a)

    def test_a_key_that_the_cluster_may_not_use_is_refused(self):
        path = self.new_cluster()
        a = self.s.arm("PATCH", path, "2022-10-01", {"properties": {"keyVaultProperties": {
            "keyVaultUri": self.s.vault_url("", "novault"), "keyName": "k1", "keyVersion": ""}}})
        self.error(a, 400, "KeyVaultValidationFailed")
        self.assertNotIn("keyVaultProperties", self.s.arm("GET", path, "2022-10-01").json["properties"])

    def test_a_deleted_name_is_reserved(self):
        path = self.new_cluster()
        a = self.s.arm("DELETE", path, "2022-10-01")
        self.assertEqual(a.status, 202, a)
        self.assertEqual(self.s.follow(a)["status"], "Succeeded")
        self.assertEqual(self.s.arm("GET", path, "2022-10-01").status, 404)
        self.assertEqual(self.s.arm("DELETE", path, "2022-10-01").status, 204)
        self.error(self.s.arm("PUT", path, "2022-10-01", cluster_body()), 409, "Conflict")

    def test_lists_hold_what_is_in_their_scope(self):
        path = self.new_cluster()
        for scope in (self.s.sub(), self.s.group()):
            a = self.s.arm("GET", scope + "/providers/Microsoft.OperationalInsights/clusters", "2022-10-01")
            self.assertIn(path, [c["id"] for c in a.json["value"]])
        self.s.done(self.s.arm("PUT", self.s.group(group="other"), "2021-04-01", {"location": "westeurope"}))
        a = self.s.arm("GET", self.s.group("/providers/Microsoft.OperationalInsights/clusters", "other"), "2022-10-01")
        self.assertEqual(a.json, {"value": []})

    # --- workspaces and links -----------------------------------------------------------------------------
    def test_a_workspace_is_201_and_born_with_its_rule(self):
        path = self.s.workspace_path(self.fresh("workspace"))
        a = self.s.arm("PUT", path, "2022-10-01", {"location": "westeurope", "properties": {"retentionInDays": 90}})
        self.assertEqual(a.status, 201, a)
        self.s.follow(a)
        b = self.s.arm("GET", path, "2022-10-01").json
        p = b["properties"]
        self.assertEqual((p["provisioningState"], p["retentionInDays"], p["sku"]["name"]), ("Succeeded", 90, "PerGB2018"))
        rule = p["defaultDataCollectionRuleResourceId"]
        self.assertTrue(rule.endswith("/dcr-" + p["customerId"].replace("-", "")))
        r = self.s.arm("GET", rule, "2022-06-01").json
        self.assertEqual(r["properties"]["immutableId"], rule.rsplit("/", 1)[1])
        a = self.s.arm("PATCH", path, "2022-10-01", {"properties": {"retentionInDays": 120}})
        self.assertEqual((a.status, a.json["properties"]["retentionInDays"]), (200, 120), a)
        self.error(self.s.arm("PATCH", path, "2022-10-01", {"properties": {"retentionInDays": 5}}), 400, "InvalidParameter")

    def test_an_old_dialect_shows_lower_case_and_no_etag(self):
        path = self.new_workspace()
        b = self.s.arm("GET", path, "2020-08-01").json
        self.assertEqual((b["id"], b["properties"]["sku"]["name"], b["properties"]["source"]), (path.lower(), "pergb2018", "Azure"))
        self.assertNotIn("etag", b)
        self.assertRegex(b["properties"]["createdDate"], RFC1123)

    def test_a_deleted_workspace_comes_back_with_its_id_and_link(self):
        cluster, path = self.new_cluster(), self.new_workspace()
        self.s.done(self.s.arm("PUT", path + "/linkedServices/cluster", "2020-08-01", {"properties": {"writeAccessResourceId": cluster}}))
        before = self.s.arm("GET", path, "2022-10-01").json["properties"]["customerId"]
        self.assertEqual(self.s.arm("DELETE", path, "2022-10-01").status, 200)
        self.assertEqual(self.s.arm("GET", path, "2022-10-01").status, 404)
        deleted = self.s.arm("GET", self.s.group("/providers/Microsoft.OperationalInsights/deletedWorkspaces"), "2022-10-01").json["value"]
        self.assertIn(path, [w["id"] for w in deleted])
        a = self.s.arm("PUT", path, "2022-10-01", {"location": "westeurope"})
        self.assertEqual((a.status, a.json["properties"]["customerId"]), (200, before), a)
        self.assertEqual(a.json["properties"]["features"]["clusterResourceId"], cluster)

    def test_a_link_shows_on_both_sides_and_goes_again(self):
        cluster, path = self.new_cluster(), self.new_workspace()
        link = path + "/linkedServices/cluster"
        a = self.s.arm("PUT", link, "2020-08-01", {"properties": {"writeAccessResourceId": cluster.lower()}})
        self.assertEqual((a.status, a.json["name"]), (200, path.rsplit("/", 1)[1] + "/Cluster"), a)
        self.assertEqual(a.json["id"], link.lower())
        self.assertEqual(self.s.follow(a)["status"], "Succeeded")
        w = self.s.arm("GET", path, "2022-10-01").json["properties"]
        self.assertEqual((w["features"]["clusterResourceId"], w["sku"]["name"]), (cluster, "LACluster"))
        c = self.s.arm("GET", cluster, "2022-10-01").json["properties"]["associatedWorkspaces"]
        self.assertEqual([(x["workspaceId"], x["resourceId"]) for x in c], [(w["customerId"], path)])
        other = self.new_cluster()
        self.error(self.s.arm("PUT", link, "2020-08-01", {"properties": {"writeAccessResourceId": other}}), 409, "Conflict")
        a = self.s.arm("DELETE", link, "2022-10-01")
        self.assertEqual(a.status, 202, a)
        self.assertEqual(self.s.follow(a)["properties"], {})
        self.assertEqual(self.s.arm("GET", link, "2020-08-01").status, 404)
        self.assertEqual(self.s.arm("DELETE", link, "2020-08-01").status, 204)
        self.assertNotIn("clusterResourceId", self.s.arm("GET", path, "2022-10-01").json["properties"]["features"])

    def test_bad_links_are_refused(self):
        path = self.new_workspace()
        link = path + "/linkedServices/cluster"
        a = self.s.arm("PUT", link, "2020-08-01", {"properties": {"writeAccessResourceId": self.s.cluster_path("nocluster")}})
        self.assertEqual(a.status, 400, a)
        self.assertTrue(a.json["error"]["message"].startswith("Cluster not found"), a)
        a = self.s.arm("PUT", self.s.workspace_path("nowork") + "/linkedServices/cluster", "2020-08-01",
                       {"properties": {"writeAccessResourceId": self.new_cluster()}})
        self.assertEqual(a.status, 404, a)
        self.assertTrue(a.json["error"]["message"].startswith("Workspace not found"), a)

    # --- tables -------------------------------------------------------------------------------------------
    def test_a_table_has_its_schema_and_its_own_retention(self):
        table = self.new_workspace() + "/tables/Events_CL"
        columns = [{"name": "TimeGenerated", "type": "datetime"}, {"name": "Level", "type": "int"}]
        a = self.s.arm("PUT", table, "2022-10-01", {"properties": {"schema": {"name": "Events_CL", "columns": columns}}})
        self.assertEqual(a.status, 200, a)
        p = a.json["properties"]
        self.assertEqual((p["retentionInDays"], p["retentionInDaysAsDefault"], p["plan"]), (30, True, "Analytics"))
        self.assertEqual([(c["name"], c["type"]) for c in p["schema"]["columns"]], [("TimeGenerated", "dateTime"), ("Level", "int")])
        a = self.s.arm("PATCH", table, "2022-10-01", {"properties": {"retentionInDays": 730, "totalRetentionInDays": 2556}})
        p = a.json["properties"]
        self.assertEqual((a.status, p["retentionInDays"], p["totalRetentionInDays"], p["archiveRetentionInDays"]), (200, 730, 2556, 1826))
        for body in ({"retentionInDays": 3}, {"retentionInDays": 731}, {"totalRetentionInDays": 2557}, {"totalRetentionInDays": 4}):
            self.error(self.s.arm("PATCH", table, "2022-10-01", {"properties": body}), 400, "InvalidParameter")
        a = self.s.arm("PUT", table, "2022-10-01", {"properties": {"schema": {"columns": [{"name": "More", "type": "string"}]}}})
        self.assertEqual([c["name"] for c in a.json["properties"]["schema"]["columns"]], ["TimeGenerated", "Level", "More"])
        self.error(self.s.arm("PUT", table, "2022-10-01", {"properties": {"schema": {"columns": [{"name": "More", "type": "long"}]}}}),
                   400, "InvalidParameter")

    def test_bad_tables_are_refused(self):
        w = self.new_workspace()
        for name, columns in (("Events", [{"name": "A", "type": "string"}]), ("1x_CL", [{"name": "A", "type": "string"}]),
                              ("A_CL", [{"name": "Type", "type": "string"}]), ("B_CL", [{"name": "A", "type": "text"}]),
                              ("C_CL", [{"name": "A", "type": "string"}, {"name": "a", "type": "long"}]), ("D_CL", None)):
            with self.subTest(name):
                self.error(self.s.arm("PUT", f"{w}/tables/{name}", "2022-10-01", {"properties": {"schema": {"columns": columns}}}),
                           400, "InvalidParameter")
        self.error(self.s.arm("GET", w + "/tables/None_CL", "2022-10-01"), 404, "ResourceNotFound")

    # --- the rest -----------------------------------------------------------------------------------------
    def test_subscriptions_tenants_and_groups_answer_clients(self):
        c = self.s.credentials
        subs = self.s.arm("GET", "/subscriptions", "2019-11-01").json["value"]
        self.assertEqual([s["subscriptionId"] for s in subs], [c["subscriptionId"]])
        self.assertEqual(self.s.arm("GET", "/tenants", "2020-01-01").json["value"][0]["tenantId"], c["tenantId"])
        self.assertEqual(self.s.arm("HEAD", self.s.group(), "2021-04-01").status, 204)
        self.assertEqual(self.s.arm("HEAD", self.s.group(group="nogroup"), "2021-04-01").status, 404)
        a = self.s.arm("POST", self.s.sub("/providers/Microsoft.OperationalInsights/register"), "2021-04-01")
        self.assertEqual((a.status, a.json["registrationState"]), (200, "Registered"), a)
        types = {t["resourceType"]: t["apiVersions"] for t in a.json["resourceTypes"]}
        self.assertNotIn("preview", types["clusters"][0])

    def test_metadata_needs_no_token_and_has_the_shape_of_its_version(self):
        def get(version):
            return self.s.raw("GET", f"{self.s.credentials['endpoint']}/metadata/endpoints?api-version={version}").json
        self.assertIn("audiences", get("2015-01-01")["authentication"])
        self.assertEqual(get("2019-05-01")[0]["suffixes"]["keyVaultDns"], self.s.credentials["vaultSuffix"])
        self.assertEqual(get("2022-09-01")["resourceManager"], self.s.credentials["endpoint"])


if __name__ == "__main__":
    unittest.main()
