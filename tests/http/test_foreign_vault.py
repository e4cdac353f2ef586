# SPDX-License-Identifier: Apache-2.0
"""tests/http/test_foreign_vault.py - a cluster whose key lies in a vault that is another server's."""
import json
import os
import unittest

from keystead import Server


class ForeignVault(unittest.TestCase):
    """Ours has the logs, theirs the vault; theirs believes the tokens of ours, and knows nothing else of it."""

    @classmethod
    def setUpClass(cls):
        cls.ours, cls.theirs = Server(), Server()
        cls.ours.start()
        c = cls.ours.credentials
        issuers = os.path.join(cls.theirs.data + ".issuers")
        with open(issuers, "w") as f:
            json.dump({"issuers": [{
                "issuer": f"{c['endpoint']}/{c['tenantId']}/", "caFile": c["caFile"], "keepIds": True,
                "jwksUri": f"{c['endpoint']}/{c['tenantId']}/discovery/v2.0/keys", "claims": {"object": "oid"},
                "audiences": ["https://vault.azure.net", f"https://vault.localhost:{cls.theirs.vault_port}"]}]}, f)
        cls.theirs.options += ["--issuers", issuers]
        cls.theirs.start()
        cls.theirs.make_all(workspace="theirs")
        assert cls.ours.stop() == 0
        cls.ours.options += ["--vault-hosts", f"vault.localhost:{cls.theirs.vault_port},vault.nowhere.invalid",
                             "--vault-ca", cls.theirs.credentials["caFile"]]
        cls.ours.start()
        cls.ours.done(cls.ours.arm("PUT", cls.ours.group(), "2021-04-01", {"location": "westeurope"}))

    @classmethod
    def tearDownClass(cls):
        cls.ours.close()
        cls.theirs.close()

    def make_cluster(self, name):
        self.ours.done(self.ours.arm("PUT", self.ours.cluster_path(name), "2022-10-01", {
            "location": "westeurope", "identity": {"type": "SystemAssigned"},
            "sku": {"name": "CapacityReservation", "capacity": 500}}))
        return self.ours.arm("GET", self.ours.cluster_path(name), "2022-10-01").json["identity"]["principalId"]

    def set_key(self, cluster, uri):
        return self.ours.arm("PATCH", self.ours.cluster_path(cluster), "2022-10-01", {"properties": {"keyVaultProperties": {
            "keyVaultUri": uri, "keyName": "k1", "keyVersion": ""}}})

    def test_1_a_cluster_reads_and_writes_under_a_key_of_another_servers_vault_and_obeys_it(self):
        self.theirs.grant(self.make_cluster("faraway"))
        self.ours.done(self.set_key("faraway", self.theirs.vault_url("").rstrip("/")))
        self.ours.make_workspace("workspace1", "faraway")
        self.ours.make_table("Far_CL", {"N": "long"})
        w = self.ours.workspace_id()
        self.assertEqual(self.ours.send("Far_CL", [{"N": n} for n in range(10)], w).status, 204)
        self.assertEqual(self.ours.query("Far_CL | count", w).status, 200)
        self.theirs.key("PATCH", "/keys/k1", {"attributes": {"enabled": False}})  # their owner has the last word
        self.ours.wait(lambda: self.ours.query("Far_CL | count", w).status == 403, 60, "the revocation")

    def test_2_a_vault_whose_name_does_not_resolve_is_no_answer(self):
        self.make_cluster("nowhere")
        a = self.set_key("nowhere", "https://kv1.vault.nowhere.invalid")
        self.assertNotIn(a.status, (403, 500), a)
        text = json.dumps(a.json)
        self.assertNotIn("not allowed", text)
        self.assertIn("nowhere.invalid", self.ours.log_tail(20000) + text)

    def test_3_a_host_that_is_on_no_list_is_refused_before_anybody_is_asked(self):
        self.make_cluster("other")
        self.assertEqual(self.set_key("other", "https://kv1.vault.elsewhere.example").status, 400)


if __name__ == "__main__":
    unittest.main()
