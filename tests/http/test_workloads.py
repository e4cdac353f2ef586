# SPDX-License-Identifier: Apache-2.0
"""tests/http/test_workloads.py - identities that are no secret of anybody: managed ones for this machine's workloads, federated credentials, tokens of
configured issuers."""
import hashlib
import http.client
import json
import re
import unittest
import urllib.parse
import uuid

from identities import FORM, JWT_BEARER, Identities
from keystead import ARM, VAULT
from tokens import parts


class Workloads(Identities):
    # --- managed identities -------------------------------------------------------------------------------------------
    def user_identity(self, name):
        path = self.s.group(f"/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{name}")
        a = self.s.arm("PUT", path, "2023-01-31", {"location": "westeurope"})
        self.assertIn(a.status, (200, 201), a)
        return a.json

    def imds(self, query, method="GET", path="/metadata/identity/oauth2/token", body=None, **headers):
        c = http.client.HTTPConnection("127.0.0.1", self.imds_port, timeout=20)
        try:
            c.request(method, path + ("?" + urllib.parse.urlencode(query) if query else ""), body,
                      {k.replace("_", "-"): v for k, v in headers.items()})
            r = c.getresponse()
            return r.status, json.loads(r.read())
        finally:
            c.close()

    def test_a_user_assigned_identity_is_a_resource(self):
        made = self.user_identity("lone")
        path = made["id"]
        self.assertEqual(self.s.arm("GET", path, "2023-01-31").json, made)
        a = self.s.arm("PATCH", path, "2023-01-31", {"tags": {"a": "b"}})
        self.assertEqual((a.status, a.json["tags"]), (200, {"a": "b"}))
        self.assertEqual(self.s.arm("PUT", path, "2023-01-31", {"location": "westeurope"}).json["properties"], made["properties"])
        for at in (self.s.sub(), self.s.group()):
            names = [x["name"] for x in self.s.arm("GET", at + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities",
                                                   "2018-11-30").json["value"]]
            self.assertIn("lone", names)
        self.assertEqual(self.s.arm("DELETE", path, "2023-01-31").status, 200)
        self.assertEqual(self.s.arm("DELETE", path, "2023-01-31").status, 204)
        self.assertEqual(self.s.arm("GET", path, "2023-01-31").status, 404)
        again = self.user_identity("lone")  # another principal: old grants do not come back
        self.assertNotEqual(again["properties"]["principalId"], made["properties"]["principalId"])

    def test_a_workload_of_this_machine_gets_the_token_it_may_have_and_no_other(self):
        mine, theirs = self.user_identity("mine"), self.user_identity("theirs")
        ask = {"api-version": "2018-02-01", "resource": ARM}
        status, a = self.imds(ask, Metadata="true")
        self.assertEqual(status, 200, a)
        claims = parts(a["access_token"])[1]
        self.assertEqual((claims["oid"], claims["xms_mirid"].lower()), (mine["properties"]["principalId"], mine["id"].lower()))
        self.assertEqual((a["token_type"], a["resource"], a["expires_in"]), ("Bearer", ARM, "3599"))
        for how in ("client_id", "object_id", "mi_res_id", "msi_res_id"):
            value = {"client_id": mine["properties"]["clientId"], "object_id": mine["properties"]["principalId"]}.get(how, mine["id"])
            self.assertEqual(self.imds({**ask, how: value}, Metadata="true")[0], 200, how)
        self.assertEqual(self.imds(None, "POST", "/msi/token", urllib.parse.urlencode({"resource": ARM}), Metadata="true",
                                   Content_Type=FORM["Content-Type"])[0], 200)
        refused = [
            ({**ask, "client_id": theirs["properties"]["clientId"]}, {"Metadata": "true"}, 400),  # another user's
            ({**ask, "object_id": self.s.credentials["objectId"]}, {"Metadata": "true"}, 400),  # no managed identity
            (ask, {}, 400), (ask, {"Metadata": "True"}, 400), (ask, {"Metadata": "true", "X_Forwarded_For": "192.0.2.1"}, 400),
            ({"api-version": "2018-02-01"}, {"Metadata": "true"}, 400), ({"resource": ARM}, {"Metadata": "true"}, 400),
        ]
        for query, headers, wanted in refused:
            status, a = self.imds(query, **headers)
            self.assertEqual(status, wanted, a)
            self.assertNotIn("access_token", a)
        self.assertEqual(self.imds(ask)[1]["error"], "bad_request_102")
        self.assertEqual(self.imds(ask, path="/metadata/instance", Metadata="true")[0], 404)
        self.user_identity("second")  # now the name is needed
        self.assertEqual(self.imds(ask, Metadata="true")[0], 400)
        self.s.arm("DELETE", self.s.group("/providers/Microsoft.ManagedIdentity/userAssignedIdentities/second"), "2023-01-31")

    # --- federated credentials -----------------------------------------------------------------------------------------
    POD, EXCHANGE = "system:serviceaccount:logs:reader", "api://AzureADTokenExchange"

    def pod(self, key=None, alg="RS256", **changes):
        now = self.now()
        return (key or self.rsa).token({"iss": self.pods.url, "aud": [self.EXCHANGE], "sub": self.POD, "iat": now, "nbf": now,
                                        "exp": now + 3600, **changes}, alg, kid="p1")

    def federate(self, identity, name="pods", method="PUT", version="2023-01-31", **changes):
        body = {"properties": {"issuer": self.pods.url, "subject": self.POD, "audiences": [self.EXCHANGE], **changes}}
        return self.s.arm(method, f"{identity['id']}/federatedIdentityCredentials{'/' + name if name else ''}", version,
                          body if method == "PUT" else None)

    def test_a_federated_credential_is_a_resource_of_its_identity(self):
        lone = self.user_identity("federated")
        a = self.federate(lone)
        self.assertEqual(a.status, 201, a)
        self.assertEqual((a.json["name"], a.json["type"], a.json["properties"]), (
            "pods", "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials",
            {"issuer": self.pods.url, "subject": self.POD, "audiences": [self.EXCHANGE]}))
        self.assertTrue(a.json["id"].endswith("/userAssignedIdentities/federated/federatedIdentityCredentials/pods"))
        self.assertEqual(self.federate(lone).status, 200)
        self.assertEqual(self.federate(lone, method="GET").json, a.json)
        self.assertEqual(self.federate(lone, "", "GET").json["value"], [a.json])
        wrong = [("other", {}, 409), ("x", {"subject": "a"}, 400), ("_ab", {"subject": "a"}, 400), ("any", {"audiences": []}, 400),
                 ("any", {"subject": ""}, 400), ("any", {"issuer": "https://localhost:1/unknown"}, 400),
                 ("any", {"subject": "s" * 601}, 400), ("any", {"audiences": ["a"] * 9}, 400)]
        for name, changes, status in wrong:
            with self.subTest(name=name, **changes):
                self.assertEqual(self.federate(lone, name, **changes).status, status)
        self.assertEqual(self.federate(lone, "missing", "GET").status, 404)
        self.assertEqual(self.federate({"id": lone["id"] + "x"}, "", "GET").json["error"]["code"], "ParentResourceNotFound")
        self.assertEqual(self.federate(lone, version="latest").json["error"]["code"], "InvalidApiVersionParameter")
        for i in range(19):
            self.assertEqual(self.federate(lone, f"more{i}", subject=f"s{i}").status, 201)
        self.assertEqual(self.federate(lone, "more19", subject="s19").status, 400)
        poor = self.create()
        bearer = {"Authorization": "Bearer " + self.token_of(poor)}
        url = f"{self.s.credentials['endpoint']}{lone['id']}/federatedIdentityCredentials?api-version=2023-01-31"
        self.assertEqual(self.s.raw("GET", url, headers=bearer).status, 403)
        self.assertEqual(self.federate(lone, "more0", "DELETE").status, 200)
        self.assertEqual(self.federate(lone, "more0", "DELETE").status, 204)
        self.s.arm("DELETE", lone["id"], "2023-01-31")
        self.assertEqual(self.federate(self.user_identity("federated"), "", "GET").json["value"], [])

    def test_a_token_of_another_issuer_is_exchanged_for_a_managed_identitys(self):
        self.pods.keys = {"p1": self.rsa}
        mine = self.user_identity("exchanged")
        client, oid = mine["properties"]["clientId"], mine["properties"]["principalId"]
        self.assertEqual(self.exchange(self.pod(), client).json["error_codes"], [70021])
        self.assertEqual(self.federate(mine).status, 201)
        self.assertEqual(self.assign("Reader", oid).status, 201)
        assertion = self.pod()
        for resource in (ARM, VAULT, ARM):  # a pod shows its token as often as it needs one
            a = self.exchange(assertion, client, audience=resource)
            self.assertEqual(a.status, 200, a)
            claims = parts(a.json["access_token"])[1]
            self.assertEqual((claims["oid"], claims["aud"], claims["xms_mirid"].lower()), (oid, resource, mine["id"].lower()))
        self.assertEqual(self.get(self.exchange(assertion, client).json["access_token"], self.s.sub()).status, 200)
        now = self.now()
        bad = {"another pod": ({"sub": self.POD + "2"}, 400), "another audience": ({"aud": self.EXCHANGE + "2"}, 401),
               "expired": ({"exp": now - 1000}, 401), "not yet": ({"nbf": now + 1000}, 401),
               "another issuer": ({"iss": self.issuer.url}, 400), "ours": ({"iss": f"{self.s.credentials['endpoint']}/adfs"}, 400),
               "nobody": ({"sub": None}, 400)}
        for name, (changes, status) in bad.items():
            with self.subTest(assertion=name):
                a = self.exchange(self.pod(**changes), client)
                self.assertEqual(a.status, status, a)
                self.assertNotIn("access_token", a.json)
        for name, token in {"a stranger's": self.pod(self.other), "another algorithm": self.pod(alg="PS256"), "none": "x"}.items():
            with self.subTest(assertion=name):
                self.assertEqual(self.exchange(token, client).status, 401)
        self.assertEqual(self.get(self.pod(aud=ARM), self.s.sub()).status, 401)  # for exchange only: no bearer token
        a = self.post(self.token_url, grant_type="client_credentials", client_id=client, client_secret="x", scope=ARM + "/.default",
                      client_assertion_type=JWT_BEARER, client_assertion=assertion)
        self.assertEqual(a.status, 400, a)
        self.assertEqual(self.federate(mine, method="DELETE").status, 200)
        self.assertEqual(self.exchange(assertion, client).json["error_codes"], [70021])

    def test_the_system_identity_of_a_resource_can_be_read(self):
        path = self.s.cluster_path("ownid")
        self.s.done(self.s.arm("PUT", path, "2022-10-01", {
            "location": "westeurope", "identity": {"type": "SystemAssigned"}, "sku": {"name": "CapacityReservation", "capacity": 500}}))
        principal = self.s.arm("GET", path, "2022-10-01").json["identity"]
        a = self.s.arm("GET", path + "/providers/Microsoft.ManagedIdentity/identities/default", "2018-11-30")
        self.assertEqual((a.status, a.json["name"], a.json["type"]), (200, "default", "Microsoft.ManagedIdentity/identities"))
        p = a.json["properties"]
        self.assertEqual((p["principalId"], p["tenantId"]), (principal["principalId"], principal["tenantId"]))
        uuid.UUID(p["clientId"])
        lone = self.user_identity("lonely")
        self.assertEqual(lone["properties"]["isolationScope"], "None")
        for at in (lone["id"], self.s.group()):
            self.assertEqual(self.s.arm("GET", at + "/providers/Microsoft.ManagedIdentity/identities/default", "2018-11-30").status, 404)
        a = self.s.arm("PUT", lone["id"], "2023-01-31", {"location": "westeurope", "properties": {"isolationScope": "Regional"}})
        self.assertEqual(a.status, 400, a)
        self.s.done(self.s.arm("DELETE", path, "2022-10-01"))

    def test_a_clusters_own_identity_is_never_given_out(self):
        self.s.done(self.s.arm("PUT", self.s.cluster_path("mine"), "2022-10-01", {
            "location": "westeurope", "identity": {"type": "SystemAssigned"}, "sku": {"name": "CapacityReservation", "capacity": 500}}))
        principal = self.s.arm("GET", self.s.cluster_path("mine"), "2022-10-01").json["identity"]["principalId"]
        status, a = self.imds({"api-version": "2018-02-01", "resource": VAULT, "object_id": principal}, Metadata="true")
        self.assertEqual(status, 400, a)

    # --- foreign issuers ----------------------------------------------------------------------------------------------
    def foreign(self, key, kid, alg="RS256", **changes):
        now = self.now()
        return key.token({"iss": self.issuer.url, "aud": "api://keystead", "sub": "pat@example.org", "iat": now, "nbf": now,
                          "exp": now + 600, **changes}, alg, kid=kid)

    def test_tokens_of_a_configured_issuer_are_believed_as_far_as_the_file_says(self):
        self.issuer.keys = {"k1": self.rsa, "k2": self.ec}
        a = self.get(self.foreign(self.rsa, "k1"), self.s.sub())
        self.assertEqual(a.status, 403, a)  # known, and without a right
        pat = re.search(r"object id '([0-9a-f-]{36})'", a.json["error"]["message"]).group(1)
        self.assertEqual(self.assign("Reader", pat, kind="User").status, 201)
        for token in (self.foreign(self.rsa, "k1"), self.foreign(self.ec, "k2", "ES256")):
            self.assertEqual(self.get(token, self.s.sub()).status, 200)
            here = self.get(token, self.s.sub("/providers/Microsoft.Authorization/roleAssignments"), "2022-04-01")
            self.assertEqual(here.status, 200, here)  # identity's own endpoints too
        # somebody else, whose right comes from a group of the claims
        self.assertEqual(self.get(self.foreign(self.rsa, "k1", sub="quinn"), self.s.sub()).status, 403)
        group = self.derived("ops")
        self.assertEqual(self.assign("Reader", group, kind="Group").status, 201)
        self.assertEqual(self.get(self.foreign(self.rsa, "k1", sub="quinn", roles=["ops", "dev"]), self.s.sub()).status, 200)
        self.assertEqual(self.get(self.foreign(self.rsa, "k1", sub="quinn", roles=["dev"]), self.s.sub()).status, 403)
        # nobody can be somebody of ours
        founder = self.s.credentials["objectId"]
        self.assertEqual(self.get(self.foreign(self.rsa, "k1", sub=founder, oid=founder), self.s.sub()).status, 403)
        now = self.now()
        bad = {"another audience": {"aud": "api://other"}, "expired": {"exp": now - 1000}, "not yet": {"nbf": now + 1000},
               "another issuer": {"iss": self.issuer.url + "2"}, "nobody": {"sub": None}}
        for name, change in bad.items():
            with self.subTest(token=name):
                self.assertEqual(self.get(self.foreign(self.rsa, "k1", **change), self.s.sub()).status, 401)
        self.assertEqual(self.get(self.foreign(self.rsa, "k1", "PS256"), self.s.sub()).status, 401)  # not in the file
        self.assertEqual(self.get(self.foreign(self.other, "k1"), self.s.sub()).status, 401)
        # an unknown kid is asked for at most once a minute
        fetches = self.issuer.fetches
        for i in range(5):
            self.assertEqual(self.get(self.foreign(self.other, f"unknown{i}"), self.s.sub()).status, 401)
        self.assertLessEqual(self.issuer.fetches, fetches + 1)

    def test_a_well_signed_token_is_refused_by_every_service_when_a_claim_is_wrong(self):
        """Nothing is wrong with key and signature here: each claim is looked at by itself, everywhere."""
        self.issuer.keys = {"k1": self.rsa, "k2": self.ec}
        c, now, guid = self.s.credentials, self.now(), str(uuid.uuid4())
        doors = {
            "arm": ("GET", f"{c['endpoint']}{self.s.sub()}?api-version=2021-04-01", None),
            "identity": ("GET", f"{c['endpoint']}/admin/identities", None),
            "query": ("POST", f"{c['endpoint']}/v1/workspaces/{guid}/query", '{"query":"T"}'),
            "ingestion": ("POST", f"{c['endpoint']}/dataCollectionRules/dcr-{guid.replace('-', '')}/streams/Custom-T?api-version=2023-01-01",
                          "[]"),
            "vault": ("GET", self.s.vault_url("/keys?api-version=7.4", "keystead-platform"), None),
            "vault-arm": ("GET", f"{c['endpoint']}{self.s.sub('/providers/Microsoft.KeyVault/vaults')}?api-version=2022-07-01", None),
        }
        bad = {"expired": {"exp": now - 1000, "nbf": now - 8000}, "not yet valid": {"nbf": now + 1000},
               "for another audience": {"aud": "https://example.org"}, "of an issuer that is ours": {"iss": f"{c['endpoint']}/adfs"},
               "of another tenant": {"iss": self.issuer.url.replace("/tenant", "/other")}, "without an end": {"exp": None},
               "for ever": {"exp": "never"}}
        for door, (method, url, body) in doors.items():
            def ask(**changes):
                a = self.s.raw(method, url, body, {"Authorization": "Bearer " + self.foreign(self.rsa, "k1", **changes),
                                                   "Content-Type": "application/json"})
                # The query API says 403 to a token that is no good, as documented, and which refusal it is by its code.
                refused = a.status == 401 or (door == "query" and a.json["error"]["code"].startswith(("InvalidAuth", "InvalidToken")))
                return refused, a

            with self.subTest(door=door):
                self.assertFalse(ask()[0], "a good one")
                for name, changes in bad.items():
                    with self.subTest(token=name):
                        refused, a = ask(**changes)
                        self.assertTrue(refused, a)

    def derived(self, subject):
        """The object id that identity makes of an issuer and a claim (docs/operate/identity.md)."""
        text = b"".join(len(x).to_bytes(4, "little") + x for x in (b"keystead foreign principal", self.issuer.url.encode(),
                                                                  subject.encode()))
        raw = bytearray(hashlib.sha256(text).digest()[:16])
        raw[6], raw[8] = raw[6] & 0x0F | 0x80, raw[8] & 0x3F | 0x80
        return str(uuid.UUID(bytes=bytes(raw)))

if __name__ == "__main__":
    unittest.main()
