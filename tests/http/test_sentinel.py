# SPDX-License-Identifier: Apache-2.0
"""tests/http/test_sentinel.py - a workspace that Sentinel watches, and what its key forbids from then on."""
import unittest

from keystead import Server

V = "2021-03-01-preview"
KEYED = {"properties": {"customerManagedKey": True}}


class Onboarding(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.s = Server().start()
        cls.addClassCleanup(cls.s.close)
        cls.version = cls.s.make_all()

    def state(self, workspace="workspace1", name="default"):
        return self.s.workspace_path(workspace) + "/providers/Microsoft.SecurityInsights/onboardingStates/" + name

    def refused(self, answer, code="OperationNotAllowed", status=400):
        self.assertEqual((answer.status, answer.json["error"]["code"]), (status, code), answer)
        return answer.json["error"]["message"]

    def link(self, workspace):
        return self.s.arm("PUT", self.s.workspace_path(workspace) + "/linkedServices/cluster", "2020-08-01", {
            "properties": {"writeAccessResourceId": self.s.cluster_path()}})

    def test_a_workspace_without_the_key_is_onboarded_and_not_linked_afterwards(self):
        s = self.s
        s.make_workspace("plain", cluster=None)
        self.assertEqual(s.arm("GET", self.state("plain"), V).status, 404)
        self.refused(s.arm("PUT", self.state("plain"), V, KEYED))
        made = s.arm("PUT", self.state("plain"), V)
        self.assertEqual((made.status, made.json["properties"]), (201, {"customerManagedKey": False}))
        self.assertEqual(made.json["type"], "Microsoft.SecurityInsights/onboardingStates")
        self.assertEqual(s.arm("PUT", self.state("plain"), V, {"properties": {}}).status, 200)
        self.refused(s.arm("PUT", self.state("plain"), V, KEYED))
        self.assertIn("without a customer-managed key", self.refused(self.link("plain")))
        listed = s.arm("GET", self.state("plain").rsplit("/", 1)[0], "2022-09-01-preview").json["value"]
        self.assertEqual([x["name"] for x in listed], ["default"])
        self.assertEqual(s.arm("DELETE", self.state("plain"), V).status, 200)
        self.assertEqual(s.arm("DELETE", self.state("plain"), V).status, 204)
        s.done(self.link("plain"))

    def test_the_name_is_default_and_the_workspace_is_there(self):
        self.refused(self.s.arm("PUT", self.state(name="other"), V), "InvalidResourceName")
        self.refused(self.s.arm("PUT", self.state("nothing"), V), "ResourceNotFound", 404)

    def test_an_onboarded_workspace_keeps_its_link_and_the_clusters_key_and_identity(self):
        s = self.s
        made = s.arm("PUT", self.state(), V, KEYED)
        self.assertEqual((made.status, made.json["properties"]), (201, {"customerManagedKey": True}), made)
        self.refused(s.arm("PUT", self.state(), V, {"properties": {"customerManagedKey": False}}))
        link = s.workspace_path() + "/linkedServices/cluster"
        self.assertIn("can't be unlinked", self.refused(s.arm("DELETE", link, "2020-08-01")))
        for body in ({"properties": {"keyVaultProperties": {"keyVaultUri": "", "keyName": "", "keyVersion": ""}}},
                     {"identity": {"type": "None"}}):
            self.refused(s.arm("PATCH", s.cluster_path(), "2022-10-01", body))
        self.assertEqual(s.key("POST", "/keys/k2/create", {"kty": "RSA"}).status, 200)
        self.assertIn("another version", self.refused(s.set_key(key="k2")))
        version = s.key("POST", "/keys/k1/create", {"kty": "RSA"}).json["key"]["kid"].rsplit("/", 1)[1]
        s.done(s.set_key(version=version))
        while_revoked = s.arm("PATCH", s.workspace_path(), "2022-10-01", {"tags": {"a": "b"}})
        self.assertEqual(while_revoked.status, 200)
        self.revoked(version)

    def revoked(self, version):
        s = self.s
        w = s.workspace_id()
        s.make_table("Watched_CL", {"Word": "string"})
        s.key("PATCH", f"/keys/k1/{version}", {"attributes": {"enabled": False}})
        s.wait(lambda: s.query("Watched_CL | count", w).status == 403, 30, "revocation")
        for method, path, body in (
                ("PATCH", s.workspace_path(), {"tags": {}}),
                ("PUT", s.workspace_path() + "/savedSearches/x", {"properties": {}}),
                ("DELETE", s.workspace_path() + "/savedSearches/x", None),
                ("PUT", s.workspace_path() + "/tables/Watched_CL", {"properties": {"retentionInDays": 30}})):
            self.refused(s.arm(method, path, "2022-10-01", body), "CustomerManagedKeyUnavailable", 403)
        self.assertEqual(s.arm("GET", s.workspace_path(), "2022-10-01").status, 200)
        self.assertEqual(s.arm("DELETE", self.state(), V).status, 200)
        self.assertEqual(s.arm("PATCH", s.workspace_path(), "2022-10-01", {"tags": {}}).status, 200)
        s.key("PATCH", f"/keys/k1/{version}", {"attributes": {"enabled": True}})


if __name__ == "__main__":
    unittest.main()
