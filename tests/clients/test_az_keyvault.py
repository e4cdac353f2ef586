# SPDX-License-Identifier: Apache-2.0
"""tests/clients/test_az_keyvault.py - `az keyvault` and `az monitor diagnostic-settings` as Debian ships them: vaults, policies, and where
their audit goes. Keys need the SDKs (tests/clients/keys.mjs) where this az asks for the public cloud's vault names.

Needs az (tools/deps.sh clients); says so and skips without it.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "http"))

from keystead import Server


@unittest.skipUnless(shutil.which("az"), "az is not installed: tools/deps.sh clients")
class AzKeyvault(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.home = tempfile.mkdtemp(prefix="keystead-az-")
        cls.s = Server().start()
        c = cls.c = cls.s.credentials
        cls.s.make_all()
        cls.env = {**{k: v for k, v in os.environ.items() if not k.startswith(("AZURE_", "ARM_", "PYTHON"))}, "HOME": cls.home,
                   "AZURE_CONFIG_DIR": cls.home, "AZURE_CORE_COLLECT_TELEMETRY": "no", "REQUESTS_CA_BUNDLE": c["caFile"],
                   "SSL_CERT_FILE": c["caFile"],
                   "ARM_CLOUD_METADATA_URL": c["endpoint"] + "/metadata/endpoints?api-version=2019-05-01"}
        cls.az(cls, "login", "--service-principal", "-u", c["clientId"], "-p", c["clientSecret"], "--tenant", c["tenantId"])

    @classmethod
    def tearDownClass(cls):
        cls.s.close()
        shutil.rmtree(cls.home, ignore_errors=True)

    def az(self, *args, fails=None):
        r = subprocess.run(["az", *args, "-o", "json"], env=self.env, capture_output=True, text=True, timeout=180)
        if fails is not None:
            assert r.returncode != 0 and fails in r.stderr, r.stderr[-2000:]
            return None
        assert r.returncode == 0, f"az {' '.join(args)}: {r.stderr[-2000:]}"
        return json.loads(r.stdout) if r.stdout.strip() else None

    def test_1_a_vault_is_shown_listed_changed_and_recovered(self):
        kv = lambda *a, **k: self.az("keyvault", *a, **k)  # noqa: E731
        self.assertEqual(kv("show", "-n", "kv1", "-g", "rg")["properties"]["enablePurgeProtection"], True)
        self.assertEqual([v["name"] for v in kv("list", "-g", "rg")], ["kv1"])
        self.s.done(self.s.arm("PUT", self.s.group("/providers/Microsoft.KeyVault/vaults/kv9"), "2022-07-01", {
            "location": "westeurope", "properties": {"tenantId": self.c["tenantId"], "sku": {"family": "A", "name": "standard"},
                                                     "accessPolicies": []}}))
        v = kv("set-policy", "-n", "kv9", "-g", "rg", "--object-id", self.c["objectId"], "--key-permissions", "get", "list")
        self.assertEqual(sorted(v["properties"]["accessPolicies"][0]["permissions"]["keys"]), ["get", "list"])
        kv("delete", "-n", "kv9", "-g", "rg")
        self.assertEqual([v["name"] for v in kv("list-deleted", "--resource-type", "vault")], ["kv9"])
        kv("purge", "-n", "kv9", "-l", "westeurope")
        self.assertEqual(kv("list-deleted", "--resource-type", "vault"), [])

    def test_2_its_audit_goes_to_a_workspace(self):
        vault = self.s.group("/providers/Microsoft.KeyVault/vaults/kv1")
        ds = lambda *a: self.az("monitor", "diagnostic-settings", *a)  # noqa: E731
        made = ds("create", "-n", "audit", "--resource", vault, "--workspace", self.s.workspace_path(), "--export-to-resource-specific",
                  "true", "--logs", json.dumps([{"category": "AuditEvent", "enabled": True}]))
        self.assertEqual((made["name"], made["logAnalyticsDestinationType"]), ("audit", "Dedicated"))
        self.assertIn("AuditEvent", [x["name"] for x in self.value(ds("categories", "list", "--resource", vault))])
        self.assertEqual([x["name"] for x in self.value(ds("list", "--resource", vault))], ["audit"])
        self.s.key("GET", "/keys/k1")
        w = self.s.workspace_id()
        self.s.wait(lambda: self.s.query("AZKVAuditLogs | where OperationName == 'KeyGet' | take 1", w).json.get("tables", [{}])[0].get("rows"),
                    60, "a record in the workspace")
        ds("delete", "-n", "audit", "--resource", vault)
        self.assertEqual(self.value(ds("list", "--resource", vault)), [])

    def value(self, x):
        return x["value"] if isinstance(x, dict) else x  # as older ones print it


if __name__ == "__main__":
    unittest.main()
