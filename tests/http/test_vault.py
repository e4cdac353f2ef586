# SPDX-License-Identifier: Apache-2.0
"""tests/http/test_vault.py - the vault of a whole server: faults on demand reach the log service, requests reach the audit."""
import glob
import hashlib
import http.client
import json
import os
import ssl
import unittest

from keystead import Server


class Vault(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.s = Server("--faults").__enter__()
        cls.s.make_all()
        cls.w = cls.s.workspace_id()

    @classmethod
    def tearDownClass(cls):
        cls.s.close()

    def faults(self, method, path="", body=None):
        return self.s.call(method, f"https://localhost:{self.s.vault_port}/admin/faults{path}", body)

    def test_1_a_vault_that_denies_on_demand_revokes_and_one_that_is_let_go_restores(self):
        a = self.faults("POST", "", {"kind": "deny", "vault": "kv1", "seconds": 600})
        self.assertEqual(a.status, 201, a)

        def status():
            return self.s.query("print 1", self.w).status, [x["state"] for x in self.s.call(
                "GET", "/admin/keys/status").json["accounts"]]
        self.s.wait(lambda: "REVOKED" in status()[1], 60, "revocation")
        self.assertEqual(self.faults("DELETE", "/" + a.json["id"]).status, 204)
        self.s.wait(lambda: "REVOKED" not in status()[1], 60, "restore")

    def test_2_a_reset_broken_tls_and_half_an_answer_look_like_that_to_a_client(self):
        for kind, expected in (("reset", OSError), ("tls", ssl.SSLError), ("half", http.client.IncompleteRead)):
            a = self.faults("POST", "", {"kind": kind, "vault": "kv1", "operation": "KeyList", "count": 1})
            self.assertEqual(a.status, 201, a)
            with self.assertRaises(expected):
                self.s.key("GET", "/keys")
            self.assertEqual(self.s.key("GET", "/keys").status, 200)

    def test_3_the_audit_is_a_whole_chain_and_names_who_did_what(self):
        previous, names, callers = "0" * 64, set(), set()
        for path in sorted(glob.glob(os.path.join(self.s.data, "vault", "audit", "*.jsonl"))):
            with open(path, "rb") as f:
                for line in f:
                    head, mark, _ = line.rpartition(b',"hash":"')
                    record = json.loads(line)
                    self.assertEqual(record["previousHash"], previous)
                    self.assertEqual(record["hash"], hashlib.sha256(head).hexdigest())
                    previous = record["hash"]
                    names.add(record["operationName"])
                    callers |= set(record["identity"].get("claim", {}).values())
        self.assertLessEqual({"VaultPut", "VaultAccessPolicyPut", "KeyCreate", "KeyGet", "KeyUnwrap", "Authentication"}, names)
        self.assertIn(self.s.credentials["objectId"], callers)

    def test_4_a_request_that_hangs_does_not_keep_the_server_from_stopping(self):
        self.faults("POST", "", {"kind": "hang", "vault": "kv1", "operation": "KeyGetDeleted"})
        with self.assertRaises(OSError):
            self.s.raw("GET", self.s.vault_url("/deletedkeys/x?api-version=7.4"), None, {
                "Authorization": "Bearer " + self.s.token("https://vault.azure.net")}, timeout=2)
        self.assertEqual(self.s.stop(), 0)


if __name__ == "__main__":
    unittest.main()
