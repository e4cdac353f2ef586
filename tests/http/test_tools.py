# SPDX-License-Identifier: Apache-2.0
"""tests/http/test_tools.py - what tools that are not installed here ask for, in their order and with their headers: Grafana's two data
sources, Fluent Bit and Vector, Terraform, PowerShell (docs/clients.md)."""
import gzip
import json
import unittest
import urllib.parse

from keystead import INGEST, QUERY, Server


class Tools(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.s = Server().__enter__()
        cls.endpoint = cls.s.credentials["endpoint"]
        cls.s.done(cls.s.arm("PUT", cls.s.group(), "2021-04-01", {"location": "westeurope"}))
        cls.s.make_workspace(cluster=None)
        cls.w = cls.s.workspace_id()
        cls.s.make_table("Tools_CL", {"Word": "string"})
        assert cls.s.send("Tools_CL", [{"Word": "hello"}], cls.w).status == 204

    @classmethod
    def tearDownClass(cls):
        cls.s.close()

    # --- Grafana --------------------------------------------------------------------------------------------
    def test_grafana_azure_monitor_queries_and_learns_the_schema(self):
        headers = {"x-ms-app": "Grafana", "Accept": "application/json"}
        q = urllib.parse.urlencode({"query": "Tools_CL | project Word", "timespan": "2020-01-01T00:00:00Z/2100-01-01T00:00:00Z"})
        for path in (f"/v1/workspaces/{self.w}/query", f"/v1{self.s.workspace_path()}/query"):
            for a in (self.s.call("GET", f"{path}?{q}", resource=QUERY, headers=headers),
                      self.s.call("POST", path, {"query": "Tools_CL | project Word"}, QUERY, headers)):
                self.assertEqual((a.status, a.json["tables"][0]["name"], a.json["tables"][0]["rows"]), (200, "PrimaryResult", [["hello"]]), a)
        a = self.s.call("GET", f"/v1/workspaces/{self.w}/metadata", resource=QUERY, headers=headers)
        self.assertIn("Tools_CL", [t["name"] for t in a.json["tables"]])
        a = self.s.arm("GET", self.s.sub("/providers/Microsoft.OperationalInsights/workspaces"), "2017-04-26-preview")
        self.assertEqual([w["properties"]["customerId"] for w in a.json["value"]], [self.w])

    def test_grafana_azure_data_explorer_finds_its_way_from_the_cluster_url(self):
        ad = self.s.raw("GET", self.endpoint + "/v1/rest/auth/metadata").json["AzureAD"]
        resource = ad["KustoServiceResourceId"]
        a = self.s.call("POST", "/v1/rest/mgmt", {"csl": ".show databases schema as json", "querySource": "schema"}, resource)
        self.assertEqual(a.status, 200, a)
        schema = json.loads(a.json["Tables"][0]["Rows"][0][0])["Databases"]["workspace1"]
        self.assertEqual([c["CslType"] for c in schema["Tables"]["Tools_CL"]["OrderedColumns"]], ["datetime", "string"])
        self.assertEqual((schema["Functions"], schema["MaterializedViews"], schema["ExternalTables"]), ({}, {}, {}))
        a = self.s.call("POST", "/v1/rest/mgmt", {"csl": ".show databases"}, resource)
        self.assertEqual(a.json["Tables"][0]["Rows"][0][0], "workspace1")
        a = self.s.call("POST", "/v1/rest/query", {"csl": "Tools_CL | project Word", "db": "workspace1", "properties": {"Options": {
            "queryconsistency": "strongconsistency", "servertimeout": "00:00:30"}}}, resource,
            {"x-ms-app": "Grafana-ADX", "x-ms-user-id": "admin", "x-ms-client-request-id": "KGC.query;1"})
        self.assertEqual((a.status, a.json["Tables"][0]["Rows"]), (200, [["hello"]]), a)

    # --- senders --------------------------------------------------------------------------------------------
    def test_senders_log_in_with_a_form_and_send_packed_rows(self):
        """Fluent Bit's azure_logs_ingestion with auth_url; Vector's azure_logs_ingestion speaks the newer version."""
        c = self.s.credentials
        form = urllib.parse.urlencode({"grant_type": "client_credentials", "scope": "https://monitor.azure.com/.default",
                                       "client_id": c["clientId"], "client_secret": c["clientSecret"]})
        token = self.s.raw("POST", f"{self.endpoint}/{c['tenantId']}/oauth2/v2.0/token", form,
                           {"Content-Type": "application/x-www-form-urlencoded"}).json
        self.assertIsInstance(token["expires_in"], int)
        rule = "dcr-" + self.w.replace("-", "")
        for version, packed in (("2021-11-01-preview", True), ("2021-11-01-preview", False), ("2023-01-01", True)):
            body = json.dumps([{"Word": version}]).encode()
            headers = {"Authorization": "Bearer " + token["access_token"], "Content-Type": "application/json"}
            if packed:
                body, headers["Content-Encoding"] = gzip.compress(body), "gzip"
            a = self.s.raw("POST", f"{self.endpoint}/dataCollectionRules/{rule}/streams/Custom-Tools_CL?api-version={version}", body, headers)
            self.assertEqual((a.status, a.body), (204, b""), a)
        self.assertEqual(self.s.rows("Tools_CL | where Word != 'hello' | count", self.w), [[3]])

    def test_paths_that_are_not_served_are_404_with_a_code(self):
        """The old collector and Kusto's ingestion: senders see at once that nobody takes their rows."""
        for path in ("/api/logs?api-version=2016-04-01", "/v1/rest/ingest/workspace1/Tools_CL?streamFormat=JSON"):
            a = self.s.call("POST", path, [{"Word": "x"}], INGEST)
            self.assertEqual((a.status, a.json["error"]["code"]), (404, "PathNotFoundError"), a)

    # --- Terraform, PowerShell ------------------------------------------------------------------------------
    def test_terraform_learns_the_environment_and_polls_only_the_status(self):
        m = self.s.raw("GET", self.endpoint + "/metadata/endpoints?api-version=2022-09-01").json
        self.assertEqual((m["authentication"]["loginEndpoint"], m["resourceManager"], m["suffixes"]["keyVaultDns"]),
                         (self.endpoint, self.endpoint, self.s.credentials["vaultSuffix"]))
        self.assertIsInstance(self.s.raw("GET", self.endpoint + "/metadata/endpoints?api-version=2019-05-01").json, list)
        path = self.s.cluster_path("terraform1")
        a = self.s.arm("PUT", path, "2022-10-01", {"location": "westeurope", "identity": {"type": "SystemAssigned"},
                                                  "sku": {"name": "CapacityReservation", "capacity": 500}})
        self.assertTrue(a.headers["azure-asyncoperation"].startswith(self.endpoint))
        self.assertGreaterEqual(int(a.headers["retry-after"]), 1)
        end = self.s.follow(a)
        self.assertEqual((end["status"], end["properties"]), ("Succeeded", {}))
        read = self.s.arm("GET", path, "2022-10-01").json
        self.assertEqual((read["id"], read["properties"]["provisioningState"]), (path, "Succeeded"))
        read["properties"]["associatedWorkspaces"] = [{"resourceId": self.s.workspace_path()}]
        a = self.s.arm("PUT", path, "2022-10-01", read)
        self.assertEqual((a.status, a.json["error"]["code"]), (400, "InvalidParameter"), a)

    def test_powershell_looks_before_it_makes(self):
        path = self.s.cluster_path("powershell1")
        a = self.s.arm("GET", path, "2021-06-01")
        self.assertEqual((a.status, a.json["error"]["code"]), (404, "ResourceNotFound"), a)
        self.s.done(self.s.arm("PUT", path, "2021-06-01", {"location": "westeurope", "identity": {"type": "SystemAssigned"},
                                                          "sku": {"name": "CapacityReservation", "capacity": 500}}))
        a = self.s.arm("PATCH", path, "2021-06-01", {"sku": {"name": "CapacityReservation", "capacity": 1000}, "tags": {"a": "b"}})
        self.assertEqual((a.status, a.json["tags"]), (200, {"a": "b"}), a)


if __name__ == "__main__":
    unittest.main()
