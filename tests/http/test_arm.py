# SPDX-License-Identifier: Apache-2.0
"""tests/http/test_arm.py - rules of the wire that are easily forgotten: one server, one sentence per test."""
import base64
import json
import unittest

from keystead import ARM, Server

ARM_VERSION, INSIGHTS = "2021-04-01", "2020-08-01"


class Arm(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.s = Server("--virtual-clock", probe=60).start()
        cls.addClassCleanup(cls.s.close)
        cls.s.make_all()

    def refused(self, answer, code, status=400):
        self.assertEqual((answer.status, answer.json["error"]["code"]), (status, code), answer)
        return answer.json["error"]["message"]

    def group(self, name):
        self.s.done(self.s.arm("PUT", self.s.group(group=name), ARM_VERSION, {"location": "westeurope"}))
        return self.s.group(group=name)

    # --- what the gateway says --------------------------------------------------------------------------------
    def test_an_old_token_is_told_when_it_ended(self):
        token = self.s.token(ARM, fresh=True)
        self.s.turn(seconds=4200)
        a = self.s.raw("GET", self.s.credentials["endpoint"] + self.s.group() + "?api-version=" + ARM_VERSION,
                       headers={"Authorization": "Bearer " + token})
        date = r"'\d{1,2}/\d{1,2}/\d{4} \d{1,2}:\d{2}:\d{2} [AP]M'"
        self.assertRegex(self.refused(a, "ExpiredAuthenticationToken", 401),
                         f"^The access token expiry UTC time {date} is earlier than current UTC time {date}\\.$")

    def test_a_foreign_issuer_is_named_with_the_one_that_is_meant(self):
        _, body, signature = self.s.token(ARM).split(".")
        claims = json.loads(base64.urlsafe_b64decode(body + "=="))
        claims["iss"] = "https://sts.windows.net/other/"
        body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
        head = base64.urlsafe_b64encode(json.dumps({"typ": "JWT", "alg": "RS256", "kid": "theirs"}).encode()).decode().rstrip("=")
        a = self.s.raw("GET", self.s.credentials["endpoint"] + self.s.group() + "?api-version=" + ARM_VERSION,
                       headers={"Authorization": f"Bearer {head}.{body}.{signature}"})
        self.assertIn("wrong issuer 'https://sts.windows.net/other/'. It must match the tenant '",
                      self.refused(a, "InvalidAuthenticationTokenTenant", 401))

    def test_failures_before_the_type_are_the_gateways_and_those_of_the_type_are_not(self):
        s = self.s
        for a in (s.call("GET", s.cluster_path()), s.arm("GET", s.cluster_path(group="nogroup"), "2022-10-01"),
                  s.raw("GET", s.credentials["endpoint"] + s.group())):
            self.assertEqual(a.headers.get("x-ms-failure-cause"), "gateway", a)
        a = s.arm("PUT", s.cluster_path("badsku01"), "2022-10-01", {"location": "westeurope", "sku": {"name": "x", "capacity": 1}})
        self.assertEqual((a.status, a.headers.get("x-ms-failure-cause")), (400, None), a)

    # --- clusters ---------------------------------------------------------------------------------------------
    def test_2019_has_no_word_for_updating(self):
        s = self.s
        s.settings(keyUpdateSeconds=3600)
        try:
            a = s.arm("PATCH", s.cluster_path(), "2022-10-01", {"properties": {"keyVaultProperties": {
                "keyVaultUri": s.vault_url(), "keyName": "k1", "keyVersion": ""}}})
            self.assertEqual(a.status, 202, a)
            states = [s.arm("GET", s.cluster_path(), v).json["properties"]["provisioningState"]
                      for v in ("2019-08-01-preview", "2020-03-01-preview", "2022-10-01")]
            self.assertEqual(states, ["ProvisioningAccount", "Updating", "Updating"])
            s.turn(seconds=3700)
            s.follow(a)
        finally:
            s.settings(keyUpdateSeconds=None)

    def test_a_key_smaller_than_keyRsaSize_asks_for_is_refused(self):
        s = self.s
        was = s.arm("GET", s.cluster_path(), "2022-10-01").json["properties"]["keyVaultProperties"]
        for size in (3072, 4096, 2048 + 2**32):
            a = s.arm("PATCH", s.cluster_path(), "2022-10-01", {"properties": {"keyVaultProperties": {**was, "keyRsaSize": size}}})
            self.assertEqual(a.status, 400, a)
            now = s.arm("GET", s.cluster_path(), "2022-10-01").json["properties"]
            self.assertEqual((now["keyVaultProperties"], now["provisioningState"]), (was, "Succeeded"))
        self.assertIn("2048 bits", self.refused(s.arm("PATCH", s.cluster_path(), "2022-10-01", {
            "properties": {"keyVaultProperties": {**was, "keyRsaSize": 4096}}}), "KeyVaultValidationFailed"))
        s.done(s.arm("PATCH", s.cluster_path(), "2022-10-01", {"properties": {"keyVaultProperties": {**was, "keyRsaSize": 2048}}}))
        self.assertEqual(s.arm("GET", s.cluster_path(), "2022-10-01").json["properties"]["keyVaultProperties"]["keyRsaSize"], 2048)

    def test_a_version_ignores_the_properties_that_it_does_not_know(self):
        s, path = self.s, self.s.cluster_path("unknowing")
        body = {"location": "westeurope", "identity": {"type": "SystemAssigned"}, "sku": {"name": "CapacityReservation", "capacity": 1000},
                "properties": {"clusterType": "ApplicationInsights", "billingType": "nonsense", "whatever": {"x": 1}}}
        self.refused(s.arm("PUT", path, "2022-10-01", body), "InvalidParameter")
        s.done(s.arm("PUT", path, "2019-08-01-preview", {**body, "properties": {**body["properties"], "clusterType": "LogAnalytics"}}))
        del body["properties"]["billingType"]
        s.done(s.arm("PUT", path, "2022-10-01", body))
        self.assertEqual(s.arm("GET", path, "2020-03-01-preview").json["properties"]["clusterType"], "LogAnalytics")
        self.assertIn("can't be changed", self.refused(s.arm("PATCH", path, "2020-03-01-preview", {
            "properties": {"clusterType": "ApplicationInsights"}}), "InvalidParameter"))
        s.done(s.arm("DELETE", path, "2022-10-01"))

    def test_the_identity_of_a_resource_is_read_by_the_resource(self):
        s = self.s
        a = s.arm("GET", s.cluster_path() + "/providers/Microsoft.ManagedIdentity/identities/default", "2018-11-30")
        self.assertEqual(a.status, 200, a)
        cluster = s.arm("GET", s.cluster_path(), "2022-10-01").json["identity"]
        self.assertEqual({k: a.json["properties"][k] for k in ("principalId", "tenantId")},
                         {k: cluster[k] for k in ("principalId", "tenantId")})
        self.assertRegex(a.json["properties"]["clientId"], "^[0-9a-f-]{36}$")
        self.assertEqual(s.arm("GET", s.workspace_path() + "/providers/Microsoft.ManagedIdentity/identities/default", "2018-11-30").status, 404)

    # --- workspaces -------------------------------------------------------------------------------------------
    def test_an_unlinked_workspace_is_paid_by_what_it_takes(self):
        s, path = self.s, self.s.workspace_path("tiered")
        s.done(s.arm("PUT", path, "2022-10-01", {"location": "westeurope", "properties": {
            "sku": {"name": "CapacityReservation", "capacityReservationLevel": 200}}}))

        def sku():
            return s.arm("GET", path, "2022-10-01").json["properties"]["sku"]
        self.assertEqual((sku()["name"], sku()["capacityReservationLevel"]), ("CapacityReservation", 200))
        s.link("tiered")
        self.assertEqual(sku()["name"], "LACluster")
        s.done(s.arm("DELETE", path + "/linkedServices/cluster", "2020-08-01"))
        s.wait(lambda: sku()["name"] != "LACluster", what="the unlinking")
        self.assertEqual((sku()["name"], "capacityReservationLevel" in sku()), ("PerGB2018", False))

    def test_a_workspace_keeps_the_rule_that_it_was_born_with(self):
        s = self.s
        shown = s.arm("GET", s.workspace_path(), "2022-10-01").json
        self.assertEqual(s.arm("PUT", s.workspace_path(), "2022-10-01", shown).status, 200)
        shown["properties"]["defaultDataCollectionRuleResourceId"] = s.group("/providers/Microsoft.Insights/dataCollectionRules/other")
        self.assertIn("not supported", self.refused(s.arm("PUT", s.workspace_path(), "2022-10-01", shown), "InvalidParameter"))

    def test_a_workspace_has_no_identity_and_says_so(self):
        s = self.s
        self.assertIn("not supported", self.refused(s.arm("PATCH", s.workspace_path(), "2022-10-01", {
            "identity": {"type": "SystemAssigned"}}), "InvalidParameter"))
        self.assertEqual(s.arm("PATCH", s.workspace_path(), "2022-10-01", {"identity": {"type": "None"}}).status, 200)

    def test_forced_searches_are_saved_in_the_customers_storage_only(self):
        s = self.s
        s.make_workspace("forced", None)
        w = s.workspace_path("forced")
        search = {"properties": {"category": "c", "displayName": "d", "query": "print 1"}}
        s.done(s.arm("PATCH", w, "2022-10-01", {"properties": {"forceCmkForQuery": True}}))
        self.assertIn("forceCmkForQuery", self.refused(s.arm("PUT", w + "/savedSearches/one", INSIGHTS, search), "OperationNotAllowed"))
        account = s.group("/providers/Microsoft.Storage/storageAccounts/forcedstore")
        s.done(s.arm("PUT", account, "2022-09-01", {"location": "westeurope", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}}))
        s.done(s.arm("PUT", w + "/linkedStorageAccounts/Query", INSIGHTS, {"properties": {"storageAccountIds": [account]}}))
        self.assertEqual(s.arm("PUT", w + "/savedSearches/one", INSIGHTS, search).status, 200)

    def test_a_closed_workspace_serves_private_networks_only(self):
        s = self.s
        s.make_workspace("closed", None)
        s.make_table("Closed_CL", {"N": "long"}, "closed")
        w = s.workspace_id("closed")

        def seen():
            return (s.send("Closed_CL", [{"N": 1}], w).status, s.query("Closed_CL", w).status)
        self.assertEqual(seen(), (204, 200))
        for ingestion, query, statuses in (("Disabled", "Enabled", (403, 200)), ("Enabled", "SecuredByPerimeter", (204, 403)),
                                           ("Disabled", "Disabled", (403, 403))):
            s.done(s.arm("PATCH", s.workspace_path("closed"), "2022-10-01", {"properties": {
                "publicNetworkAccessForIngestion": ingestion, "publicNetworkAccessForQuery": query}}))
            self.assertEqual(seen(), statuses)
        self.assertEqual(s.query("Closed_CL", w).json["error"]["innererror"]["code"], "PublicNetworkAccessDisabled")
        try:
            self.assertEqual(s.call("PATCH", "/admin/resource-settings", {"privateNetworks": ["here"]}).status, 400)
            s.settings(privateNetworks=["10.0.0.0/8"])
            self.assertEqual(seen(), (403, 403))
            s.settings(privateNetworks=["10.0.0.0/8", "127.0.0.0/30"])
            self.assertEqual(seen(), (204, 200))
        finally:
            s.settings(privateNetworks=None)

    def test_search_jobs_restores_and_single_deletions_are_refused_by_name(self):
        s = self.s
        s.make_table("Jobs_CL", {"Word": "string"})
        t = s.workspace_path() + "/tables/"
        for name, body, word in (("Found_SRCH", {"searchResults": {"query": "Jobs_CL"}}, "Search jobs"),
                                 ("Back_RST", {"restoredLogs": {"sourceTable": "Jobs_CL"}}, "Restored logs"),
                                 ("Jobs_CL", {"searchResults": {"query": "Jobs_CL"}}, "Search jobs")):
            self.assertIn(word, self.refused(s.arm("PUT", t + name, "2022-10-01", {"properties": body}), "NotSupported"))
        self.assertIn("deleteData", self.refused(s.arm("POST", t + "Jobs_CL/deleteData", "2025-07-01", {"filters": []}), "NotSupported"))

    def test_a_storage_account_says_which_key_and_where(self):
        s, path = self.s, self.s.group("/providers/Microsoft.Storage/storageAccounts/described")
        body = {"location": "westeurope", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}, "properties": {"encryption": {
            "keySource": "microsoft.keyvault", "services": {"table": {"keyType": "account"}},
            "keyvaultproperties": {"keyname": "k1", "keyvaulturi": s.vault_url()}}}}
        s.done(s.arm("PUT", path, "2022-09-01", body))
        p = s.arm("GET", path, "2022-09-01").json["properties"]
        e = p["encryption"]
        self.assertEqual((e["keySource"], e["keyvaultproperties"]["keyname"]), ("Microsoft.Keyvault", "k1"))
        self.assertEqual({k: v["keyType"] for k, v in e["services"].items()},
                         {"blob": "Account", "file": "Account", "table": "Account", "queue": "Service"})
        self.assertRegex(p["primaryEndpoints"]["table"], r"^https://described\.table\.")
        self.refused(s.arm("PATCH", path, "2022-09-01", {"properties": {"encryption": {"services": {"queue": {"keyType": "Account"}}}}}),
                     "InvalidRequestPropertyValue")

    # --- groups -----------------------------------------------------------------------------------------------
    def test_a_group_takes_its_identities_along(self):
        s = self.s
        path = self.group("identities") + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/going"
        made = s.done(s.arm("PUT", path, "2018-11-30", {"location": "westeurope"})).json
        a = s.arm("DELETE", s.group(group="identities"), ARM_VERSION)
        self.assertEqual(a.status, 202, a)
        s.wait(lambda: s.call("GET", a.headers["location"]).status == 200, what="the group's end")
        self.group("identities")
        self.assertEqual(s.arm("GET", path, "2018-11-30").status, 404)
        again = s.done(s.arm("PUT", path, "2018-11-30", {"location": "westeurope"})).json
        self.assertNotEqual(again["properties"]["principalId"], made["properties"]["principalId"])

    # --- alert rules ------------------------------------------------------------------------------------------
    def rule(self, query="Alerted_CL | summarize N = count() by Word", **more):
        return {"location": "westeurope", "properties": {
            "severity": 3, "enabled": True, "scopes": [self.s.workspace_path()], "evaluationFrequency": "PT5M", "windowSize": "PT5M",
            "criteria": {"allOf": [{"query": query, "timeAggregation": "Total", "metricMeasureColumn": "N", "operator": "GreaterThan",
                                    "threshold": 1, **more}]}}}

    def test_the_query_of_an_alert_rule_is_compiled_when_it_is_written(self):
        s, path = self.s, self.s.group("/providers/Microsoft.Insights/scheduledQueryRules/compiled")
        s.make_table("Alerted_CL", {"Word": "string"})
        for body, what in ((self.rule("Alerted_CL | where Wrd == 1"), "SEM"), (self.rule("Alerted_CL | where ("), "SYN"),
                           (self.rule("Nothere_CL | count"), "SEM"), (self.rule(metricMeasureColumn="M"), "'M'"),
                           (self.rule(dimensions=[{"name": "Wrd", "operator": "Include", "values": ["*"]}]), "'Wrd'"),
                           (self.rule(dimensions=[{"name": "Word", "operator": "Like", "values": ["*"]}]), "dimension")):
            a = s.arm("PUT", path, "2021-08-01", body)
            self.refused(a, "BadRequest")
            self.assertIn(what, json.dumps(a.json), a)
        lost = self.rule()
        lost["properties"]["scopes"] = [s.workspace_path("nothere00")]
        self.assertIn("not found", self.refused(s.arm("PUT", path, "2021-08-01", lost), "BadRequest"))
        long = self.rule()
        long["properties"]["windowSize"] = "five minutes"
        self.assertIn("windowSize", self.refused(s.arm("PUT", path, "2021-08-01", long), "BadRequest"))
        skipped = self.rule("Nothere_CL | count")
        skipped["properties"]["skipQueryValidation"] = True
        self.assertEqual(s.arm("PUT", path, "2021-08-01", skipped).status, 201)
        made = s.arm("PUT", path, "2021-08-01", self.rule(dimensions=[{"name": "Word", "operator": "Include", "values": ["*"]}]))
        self.assertEqual((made.status, made.json["properties"]["isWorkspaceAlertsStorageConfigured"]), (200, False), made)
        self.refused(s.arm("PATCH", path, "2021-08-01", {"properties": self.rule("Nothere_CL")["properties"]}), "BadRequest")
        self.assertEqual(s.arm("GET", path, "2021-08-01").json["properties"], made.json["properties"])


if __name__ == "__main__":
    unittest.main()
