# SPDX-License-Identifier: Apache-2.0
"""tests/http/test_vault_audit.py - diagnostic settings send audit records of vaults to workspaces, each once, whatever is killed."""
import glob
import json
import os
import subprocess
import unittest

from keystead import PROGRAM, Server

VERSION = "2021-05-01-preview"


class VaultAudit(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        s = cls.s = Server().__enter__()
        s.make_all()
        cls.w = s.workspace_id()
        cls.vault = s.group("/providers/Microsoft.KeyVault/vaults/kv1")

    @classmethod
    def tearDownClass(cls):
        cls.s.close()

    def setting(self, name, vault=None):
        return (vault or self.vault) + "/providers/Microsoft.Insights/diagnosticSettings" + (f"/{name}" if name else "")

    def put(self, name, vault=None, workspace=None, **more):
        return self.s.arm("PUT", self.setting(name, vault), VERSION, {"properties": {
            "workspaceId": workspace or self.s.workspace_path(), "logs": [{"category": "AuditEvent", "enabled": True}], **more}})

    def records(self, vault="kv1"):
        found = []
        for path in sorted(glob.glob(os.path.join(self.s.data, "vault", "audit", "*.jsonl"))):
            with open(path) as f:
                found += [json.loads(x) for x in f]
        prefix = self.s.group(f"/providers/Microsoft.KeyVault/vaults/{vault}").upper()
        return [r for r in found if (r["resourceId"] + "/").startswith(prefix + "/")]

    def sequences(self, table, vault="kv1"):
        scope = self.s.group(f"/providers/Microsoft.KeyVault/vaults/{vault}").lower()
        a = self.s.query(f"{table} | where _ResourceId == '{scope}' | project Sequence | order by Sequence asc", self.w)
        if a.status == 400:  # nothing was sent yet: there is no table
            self.assertIn("there is no table", a.json["error"]["innererror"]["innererror"]["message"])
            return []
        return [r[0] for r in a.json["tables"][0]["rows"]]

    def arrives(self, table, vault="kv1"):
        """Everything that is in the log now, from the first row on, is in the table, each once."""
        last = self.records(vault)[-1]["sequence"]
        self.s.wait(lambda: (self.sequences(table, vault) or [0])[-1] >= last, 60, f"record {last} in {table}")
        rows = [x for x in self.sequences(table, vault) if x <= last]
        self.assertEqual(rows, [r["sequence"] for r in self.records(vault) if rows[0] <= r["sequence"] <= last])
        return rows

    def test_1_a_setting_is_a_resource(self):
        a = self.s.arm("GET", self.setting("one"), VERSION)
        self.assertEqual((a.status, a.json["error"]["code"]), (404, "ResourceNotFound"), a)
        a = self.put("one")
        self.assertEqual(a.status, 200, a)
        p = a.json["properties"]
        self.assertEqual(p["logs"][0], {"category": "AuditEvent", "categoryGroup": None, "enabled": True,
                                        "retentionPolicy": {"enabled": False, "days": 0}})
        self.assertEqual((p["workspaceId"], p["logAnalyticsDestinationType"], p["storageAccountId"]),
                         (self.s.workspace_path(), None, None))
        self.assertEqual(self.s.arm("GET", self.setting("one"), VERSION).json, a.json)
        self.assertEqual([x["name"] for x in self.s.arm("GET", self.setting(""), VERSION).json["value"]], ["one"])
        names = [x["name"] for x in self.s.arm("GET", self.setting("") + "Categories", VERSION).json["value"]]
        self.assertIn("AuditEvent", names)

    def test_2_what_is_not_done_is_refused(self):
        for status, code, a in (
                (409, "Conflict", self.put("two")),
                (404, "ResourceNotFound", self.put("two", self.vault + "x")),
                (404, "ResourceNotFound", self.put("two", workspace=self.s.workspace_path("none"))),
                (400, "BadRequest", self.put("two", workspace="nowhere")),
                (400, "BadRequest", self.put("two", logs=[{"category": "Nothing", "enabled": True}])),
                (400, "BadRequest", self.put("two", metrics=[{"category": "AllMetrics", "enabled": True}])),
                (400, "BadRequest", self.put("two", storageAccountId="/subscriptions/x")),
                (400, "BadRequest", self.put("two", logAnalyticsDestinationType="Other")),
                (400, "ResourceTypeNotSupported", self.put("two", self.s.cluster_path()))):
            self.assertEqual((a.status, a.json["error"]["code"]), (status, code), a)

    def test_3_records_are_rows_with_the_documented_columns(self):
        self.assertEqual(self.s.key("GET", "/keys/k1").status, 200)
        self.assertEqual(self.s.key("GET", "/keys/none").status, 404)
        self.arrives("AzureDiagnostics")
        row = self.s.rows("AzureDiagnostics | where OperationName == 'KeyGet' and httpStatusCode_d == 404 | project Resource, "
                          "ResourceProvider, ResourceType, ResultType, Category, CallerIPAddress, requestUri_s, Hash, Sequence, "
                          "identity_claim_http_schemas_microsoft_com_identity_claims_objectidentifier_g", self.w)[0]
        self.assertEqual(row[:6], ["KV1", "MICROSOFT.KEYVAULT", "VAULTS", "Failed", "AuditEvent", "127.0.0.1"])
        self.assertIn("/keys/none?", row[6])
        record = [r for r in self.records() if r["sequence"] == row[8]][0]
        self.assertEqual(row[7], record["hash"])
        self.assertEqual(row[9], self.s.credentials["objectId"])

    def test_4_dedicated_rows_go_to_the_tables_of_key_vault_alone(self):
        kv2 = self.s.group("/providers/Microsoft.KeyVault/vaults/kv2")
        a = self.s.arm("PUT", kv2, "2022-07-01", {"location": "westeurope", "properties": {
            "tenantId": self.s.credentials["tenantId"], "sku": {"family": "A", "name": "standard"}, "accessPolicies": []}})
        self.assertEqual(a.status, 200, a)
        a = self.put("d", kv2, logAnalyticsDestinationType="Dedicated", logs=[{"categoryGroup": "allLogs", "enabled": True}])
        self.assertEqual((a.status, a.json["properties"]["logAnalyticsDestinationType"]), (200, "Dedicated"), a)
        self.assertEqual(self.s.key("GET", "/keys", vault="kv2").status, 403)
        self.arrives("AZKVAuditLogs", "kv2")
        rows = self.s.rows("AZKVAuditLogs | where OperationName == 'KeyList' | project HttpStatusCode, "
                           "tostring(Identity.claim.appid), tostring(Properties.clientInfo), ResultSignature", self.w)
        self.assertEqual((rows[0][0], rows[0][1], rows[0][3]), (403, self.s.credentials["clientId"], "Forbidden"), rows)
        self.assertEqual(self.sequences("AZKVAuditLogs", "kv1"), [])

    def test_5_each_record_is_there_once_whatever_is_killed(self):
        for victim in ("vault", "logs", "all", "vault"):
            for _ in range(3):
                self.s.key("GET", "/keys/k1")
            if victim == "all":
                self.s.kill()
                self.s.start()
            else:
                os.kill(self.s.pids()[victim], 9)

            def serves():
                try:
                    return self.s.key("GET", "/keys/k1").status == 200
                except OSError:
                    return False
            self.s.wait(serves, 60, "the vault")
            self.s.wait(lambda: self.answers(), 60, "queries")
            self.arrives("AzureDiagnostics")
            self.arrives("AZKVAuditLogs", "kv2")

    def answers(self):
        try:
            return self.s.query("print 1", self.w).status == 200
        except OSError:
            return False

    def test_6_rows_wait_while_the_workspaces_key_is_withdrawn_and_the_vault_goes_on(self):
        deny = {"accessPolicies": [{"tenantId": self.s.credentials["tenantId"],
                                    "objectId": self.s.arm("GET", self.s.cluster_path(), "2021-06-01").json["identity"]["principalId"],
                                    "permissions": {"keys": ["get", "wrapKey", "unwrapKey"]}}]}
        a = self.s.arm("PUT", self.vault + "/accessPolicies/remove", "2022-07-01", {"properties": deny})
        self.assertEqual(a.status, 200, a)
        self.s.wait(lambda: self.s.query("print 1", self.w).status == 403, 60, "revocation")
        self.assertEqual(self.s.key("GET", "/keys/k1").status, 200)
        a = self.s.arm("PUT", self.vault + "/accessPolicies/add", "2022-07-01", {"properties": deny})
        self.assertEqual(a.status, 200, a)
        self.s.wait(lambda: self.answers(), 60, "restore")
        self.arrives("AzureDiagnostics")

    def test_7_nobody_else_writes_the_tables_and_a_removed_setting_sends_nothing(self):
        self.assertGreaterEqual(self.s.send("AzureDiagnostics", [{"Sequence": 1}], self.w).status, 400)
        self.assertEqual(self.s.arm("DELETE", self.setting("one"), VERSION).status, 200)
        self.assertEqual(self.s.arm("DELETE", self.setting("one"), VERSION).status, 204)
        before = self.sequences("AzureDiagnostics")
        self.s.key("GET", "/keys/k1")
        kv2 = self.s.group("/providers/Microsoft.KeyVault/vaults/kv2")
        self.s.arm("GET", kv2, "2022-07-01")
        self.arrives("AZKVAuditLogs", "kv2")  # the later record has come: so would the earlier one have
        self.assertEqual(self.sequences("AzureDiagnostics"), before)
        self.assertEqual(self.put("one").status, 200)
        self.s.key("GET", "/keys/k1")
        self.s.wait(lambda: self.sequences("AzureDiagnostics") != before, 30, "rows of the new setting")
        gone = set(r["sequence"] for r in self.records()) - set(self.sequences("AzureDiagnostics"))
        self.assertTrue(any(x > before[-1] for x in gone), "what came while there was no setting is not sent later")

    def test_8_a_lock_on_a_vault_is_a_resource_too(self):
        lock = self.vault + "/providers/Microsoft.Authorization/locks/l1"
        a = self.s.arm("PUT", lock, "2020-05-01", {"properties": {"level": "CanNotDelete"}})
        self.assertEqual(a.status, 201, a)
        self.assertEqual(self.s.arm("DELETE", self.vault, "2022-07-01").status, 409)
        self.assertEqual(self.s.arm("DELETE", lock, "2020-05-01").status, 200)

    def test_9_audit_verify_checks_the_vaults_chain_too(self):
        self.assertEqual(self.s.stop(), 0)

        def verify():
            p = subprocess.run([PROGRAM, "audit", "verify", "--data", self.s.data, "-o", "json"], capture_output=True, timeout=60)
            return p.returncode, json.loads(p.stdout)
        code, out = verify()
        self.assertEqual((code, out["damages"]), (0, []), out)
        self.assertGreater(out["vaultRecords"], 10)
        path = sorted(glob.glob(os.path.join(self.s.data, "vault", "audit", "*.jsonl")))[0]
        with open(path, "rb") as f:
            text = f.read()
        with open(path, "wb") as f:
            f.write(text.replace(b'"Success"', b'"Failed"', 1))
        code, out = verify()
        self.assertEqual(code, 3, out)
        self.assertTrue(any("vault/audit" in x["text"] for x in out["damages"]), out)


if __name__ == "__main__":
    unittest.main()
