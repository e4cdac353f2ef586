# SPDX-License-Identifier: Apache-2.0
"""tests/http/test_hsm.py - a managed HSM from the pool to the query: its keys are in a PKCS#11 token (SoftHSM), which the server uses."""
import os
import shutil
import subprocess
import time
import unittest
import uuid

from keystead import PROGRAM, Server
from softhsm import Token

HSM = "https://managedhsm.azure.net"
CRYPTO_USER = "21dbd100-6940-42c2-9190-5d6cb909625b"
SERVICE_USER = "33413926-3206-4cdd-b39a-83574fe37a17"


class ManagedHsm(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.token = Token()
        cls.s = Server(*cls.token.options, "--vault-root", "token").__enter__()
        cls.s.done(cls.s.arm("PUT", cls.s.group(), "2021-04-01", {"location": "westeurope"}))

    @classmethod
    def tearDownClass(cls):
        cls.s.close()
        cls.token.close()

    # --- the pool ------------------------------------------------------------------------------------------
    def pool_path(self, name="pool1"):
        return self.s.group(f"/providers/Microsoft.KeyVault/managedHSMs/{name}")

    def make_pool(self, name="pool1"):
        c = self.s.credentials
        return self.s.arm("PUT", self.pool_path(name), "2023-07-01", {
            "location": "westeurope", "sku": {"family": "B", "name": "Standard_B1"}, "properties": {
                "tenantId": c["tenantId"], "initialAdminObjectIds": [c["objectId"]], "enablePurgeProtection": True,
                "softDeleteRetentionInDays": 7}})

    def url(self, path, name="pool1"):
        return f"https://{name}.managedhsm.{self.s.credentials['vaultSuffix'].partition('.')[2]}{path}"

    def hsm(self, method, path, body=None, name="pool1"):
        return self.s.call(method, self.url(f"{path}?api-version=7.4", name), body, HSM)

    def give(self, role, principal, scope="", name="pool1"):
        a = self.hsm("PUT", f"{scope}/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}", {
            "properties": {"principalId": principal,
                           "roleDefinitionId": f"Microsoft.KeyVault/providers/Microsoft.Authorization/roleDefinitions/{role}"}},
            name)
        self.assertEqual(a.status, 201, a)
        return a.json

    def test_1_a_pool_is_a_resource_with_an_address_of_its_own(self):
        a = self.make_pool()
        self.assertEqual(a.status, 200, a)
        self.assertEqual(a.json["type"], "Microsoft.KeyVault/managedHSMs")
        self.assertEqual(a.json["properties"]["hsmUri"], self.url("/"))
        self.assertEqual(a.json["sku"]["name"], "Standard_B1")
        listed = self.s.arm("GET", self.s.group("/providers/Microsoft.KeyVault/managedHSMs"), "2023-07-01").json["value"]
        self.assertEqual([p["name"] for p in listed], ["pool1"])
        self.assertEqual(self.s.arm("GET", self.s.group("/providers/Microsoft.KeyVault/vaults"), "2023-07-01").json["value"], [])
        challenge = self.s.raw("POST", self.url("/keys/k/create?api-version=7.4"), b"")
        self.assertEqual(challenge.status, 401)
        self.assertIn(f'resource="{self.url("")[:8]}managedhsm.', challenge.headers["www-authenticate"])
        # The vault's token is for another audience.
        wrong = self.s.call("GET", self.url("/keys?api-version=7.4"), None, "https://vault.azure.net")
        self.assertEqual(wrong.status, 401)

    def test_2_keys_need_a_role_of_the_pool_and_are_made_in_the_token(self):
        me = self.s.credentials["objectId"]
        before = self.token.objects()
        refused = self.hsm("POST", "/keys/oct/create", {"kty": "oct-HSM", "key_size": 256})
        self.assertEqual((refused.status, refused.json["error"]["innererror"]["code"]), (403, "ForbiddenByRbac"))
        self.give(CRYPTO_USER, me)
        roles = self.hsm("GET", "/providers/Microsoft.Authorization/roleDefinitions").json["value"]
        self.assertIn("Managed HSM Crypto User", [r["properties"]["roleName"] for r in roles])
        made = self.hsm("POST", "/keys/oct/create", {"kty": "oct-HSM", "key_size": 256})
        self.assertEqual(made.status, 200, made)
        self.assertEqual(made.json["key"]["kty"], "oct-HSM")
        self.assertEqual(self.token.objects(), before + 1)
        soft = self.hsm("POST", "/keys/soft/create", {"kty": "oct", "key_size": 256})
        self.assertEqual((soft.status, soft.json["error"]["code"]), (400, "BadParameter"))
        backup = self.hsm("POST", "/keys/oct/backup", {})
        self.assertEqual(backup.status, 400, backup)
        self.assertEqual(self.hsm("POST", "/rng", {"count": 32}).status, 200)

    # --- the cluster ---------------------------------------------------------------------------------------
    def cluster(self, n, kty, **more):
        s, key = self.s, f"kek{n}"
        made = self.hsm("POST", f"/keys/{key}/create", {"kty": kty, **more})
        self.assertEqual(made.status, 200, made)
        name, table = f"cluster{n}", f"Lock{n}_CL"
        s.done(s.arm("PUT", s.cluster_path(name), "2022-10-01", {
            "location": "westeurope", "identity": {"type": "SystemAssigned"},
            "sku": {"name": "CapacityReservation", "capacity": 500}}))
        principal = s.arm("GET", s.cluster_path(name), "2022-10-01").json["identity"]["principalId"]
        self.give(SERVICE_USER, principal, f"/keys/{key}")
        s.done(self.set_key(name, key))
        shown = s.arm("GET", s.cluster_path(name), "2022-10-01").json["properties"]["keyVaultProperties"]
        self.assertEqual(shown["keyVaultUri"].rstrip("/"), self.url(""))
        s.make_workspace(f"workspace{n}", name)
        s.make_table(table, {"N": "int"}, f"workspace{n}")
        return key, table, s.workspace_id(f"workspace{n}")

    def set_key(self, cluster, key):
        return self.s.arm("PATCH", self.s.cluster_path(cluster), "2022-10-01", {"properties": {"keyVaultProperties": {
            "keyVaultUri": self.url(""), "keyName": key, "keyVersion": ""}}})

    def send(self, table, w, n):
        a = self.s.send(table, [{"TimeGenerated": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "N": n}], w)
        self.assertEqual(a.status, 204, a)

    def count(self, table, w):
        a = self.s.query(f"{table} | count", w)
        return a.json["tables"][0]["rows"][0][0] if a.status == 200 else a.status

    def enable(self, key, enabled):
        for version in [v["kid"].rsplit("/", 1)[1] for v in self.hsm("GET", f"/keys/{key}/versions").json["value"]]:
            self.assertEqual(self.hsm("PATCH", f"/keys/{key}/{version}", {"attributes": {"enabled": enabled}}).status, 200)

    def test_3_clusters_live_and_die_with_an_oct_hsm_and_an_rsa_hsm_key(self):
        s = self.s
        both = [self.cluster(1, "oct-HSM", key_size=256), self.cluster(2, "RSA-HSM", key_size=3072)]

        def all_count(want):
            return all(self.count(table, w) == want for _, table, w in both)
        for _, table, w in both:
            self.send(table, w, 1)
        s.wait(lambda: all_count(1), 30, "the rows")
        for key, _, _ in both:
            self.enable(key, False)
        s.wait(lambda: all_count(403), 60, "the refusals")
        for key, _, _ in both:
            self.enable(key, True)
        s.wait(lambda: all_count(1), 60, "the return")
        for key, table, w in both:
            before = self.token.objects()
            kind = self.hsm("GET", f"/keys/{key}").json["key"]["kty"]
            rotated = self.hsm("POST", f"/keys/{key}/rotate", {})
            self.assertEqual((rotated.status, rotated.json["key"]["kty"]), (200, kind), rotated)
            self.assertEqual(self.token.objects(), before + 1)
            version = rotated.json["key"]["kid"].rsplit("/", 1)[1]
            s.wait(lambda: version in str(self.account(key)), 60, "the rotation")
            self.send(table, w, 2)
        s.wait(lambda: all_count(2), 30, "the rows after the rotation")

    def account(self, key):
        status = self.s.call("GET", "/admin/keys/status").json
        found = [a for a in status["accounts"] if f"/keys/{key}" in str(a)]
        self.assertEqual(len(found), 1, status)
        return found[0]

    def test_4_a_restart_finds_the_keys_again(self):
        s = self.s
        w = s.workspace_id("workspace1")
        self.assertEqual(s.stop(), 0)
        self.assertFalse(os.path.exists(os.path.join(s.data, "vault", "root.key")))
        command = [PROGRAM, "verify", "--data", s.data]
        found = subprocess.run([*command, *self.token.options, "--vault-root", "token"], capture_output=True, timeout=120)
        self.assertEqual(found.returncode, 0, found)
        without = subprocess.run(command, capture_output=True, timeout=120)
        self.assertNotEqual(without.returncode, 0)
        self.assertIn(b"root of trust", without.stderr)
        s.start()
        s.wait(lambda: s.query("Lock1_CL | count", w).status == 200, 60, "the keys after a restart")

    def test_5_a_deleted_pool_is_recoverable_and_protected(self):
        self.assertEqual(self.make_pool("pool2").status, 200)
        self.assertEqual(self.s.arm("DELETE", self.pool_path("pool2"), "2023-07-01").status, 200)
        self.assertEqual(self.s.arm("GET", self.pool_path("pool2"), "2023-07-01").status, 404)
        deleted = self.s.sub("/providers/Microsoft.KeyVault/locations/westeurope/deletedManagedHSMs/pool2")
        self.assertEqual(self.s.arm("GET", deleted, "2023-07-01").json["properties"]["mhsmId"], self.pool_path("pool2"))
        self.assertEqual(self.s.arm("POST", deleted + "/purge", "2023-07-01").status, 400)


class Direct(unittest.TestCase):
    """No vault in between: the platform's key and a cluster's are keys of the token, and keyd asks it, hardened as it is."""

    def test_a_platform_and_a_cluster_live_on_keys_of_the_token(self):
        token = Token("direct hsm")
        self.addCleanup(token.close)
        token.bring_aes("platform", "a1")
        kek = token.bring_aes("kek", "b2")
        phrase = os.path.join(token.dir, "phrase")
        with open(os.open(phrase, os.O_CREAT | os.O_WRONLY, 0o600), "w") as f:
            f.write("correct horse battery staple\n")
        with Server(*token.options, "--hsm-direct", "--platform-key", "platform", "--vault-root", "passphrase",
                    "--vault-passphrase-file", phrase) as s:
            s.done(s.arm("PUT", s.group(), "2021-04-01", {"location": "westeurope"}))
            s.done(s.arm("PUT", s.cluster_path(), "2022-10-01", {
                "location": "westeurope", "identity": {"type": "SystemAssigned"},
                "sku": {"name": "CapacityReservation", "capacity": 500}}))
            for uri in ("pkcs11:token=other", "pkcs11:token=direct%20hsm;object=x", "pkcs11:token=direct%20hsm?module-path=/x"):
                self.assertEqual(self.set_key(s, uri, "kek").status, 400)
            s.done(self.set_key(s, "pkcs11:token=direct%20hsm", "kek"))
            s.make_workspace()
            s.make_table("Lock_CL", {"N": "int"})
            w = s.workspace_id()
            a = s.send("Lock_CL", [{"TimeGenerated": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "N": 1}], w)
            self.assertEqual(a.status, 204, a)
            s.wait(lambda: s.query("Lock_CL | count", w).status == 200 and s.rows("Lock_CL | count", w) == [[1]], 30, "the row")
            status = s.call("GET", "/admin/keys/status").body.decode()
            self.assertIn("pkcs11:token=direct%20hsm;object=kek;id=%b2", status)
            self.assertIn("pkcs11:token=direct%20hsm;object=platform;id=%a1", status)
            self.assertEqual(s.stop(), 0)
            s.start()
            s.wait(lambda: s.query("Lock_CL | count", w).status == 200 and s.rows("Lock_CL | count", w) == [[1]], 60, "the row")
            # Whoever owns the token takes the key away: the next probe hears it.
            os.unlink(kek)
            s.wait(lambda: s.query("Lock_CL | count", w).status == 403, 60, "the refusal")

    def set_key(self, s, uri, key):
        return s.arm("PATCH", s.cluster_path(), "2022-10-01", {"properties": {"keyVaultProperties": {
            "keyVaultUri": uri, "keyName": key, "keyVersion": ""}}})


class TokenAnchor(unittest.TestCase):
    """The anchor is a data object of a token whose module writes files."""

    def test_an_older_copy_of_the_data_directory_is_found_out_by_the_token(self):
        token = Token()
        name = "pkcs11:token=keystead%20test;object=anchor"
        s = Server(*token.options, "--anchor", name, "--hsm-files", token.tokens).__enter__()
        try:
            status = s.call("GET", "/admin/keys/status").json
            self.assertTrue(status["anchor"].startswith(name), status["anchor"])
            self.assertIn(", written 2", status["anchor"])
            self.assertEqual(s.stop(), 0)
            objects = token.objects()  # the anchor's and the vault's
            copy = os.path.join(token.dir, "copy")
            shutil.copytree(s.data, copy)
            s.start()
            s.make_all(key_version=False)  # wraps and scopes: the root goes on
            self.assertEqual(s.stop(), 0)
            self.assertEqual(token.objects(), objects)  # replaced, not added
            shutil.rmtree(s.data)
            shutil.copytree(copy, s.data)
            s.refuses_to_start("an older catalogue was put back")
        finally:
            s.close()
            token.close()


if __name__ == "__main__":
    unittest.main()
