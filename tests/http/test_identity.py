# SPDX-License-Identifier: Apache-2.0
"""tests/http/test_identity.py - who is believed, and what follows: assertions, keys that rotate, groups, roles, certificates of the listeners,
the command line."""
import json
import os
import secrets
import shutil
import socket
import ssl
import unittest
import uuid

from identities import JWT_BEARER, Identities
from keystead import ARM, VAULT, Server
from tokens import Key, b64, openssl, parts


class Identity(Identities):
    def test_a_registered_certificate_signs_for_its_principal(self):
        app = self.create(certificate=self.rsa.certificate())
        self.assertNotIn("secret", app)
        added = self.s.call("POST", f"/admin/identities/{app['name']}/certificates", {"certificate": self.ec.certificate()})
        self.assertEqual(added.status, 201, added)
        again = self.s.call("POST", f"/admin/identities/{app['name']}/certificates", {"certificate": self.ec.certificate()})
        self.assertEqual((again.status, again.json["error"]["code"]), (409, "CertificateExists"))
        c, me = self.s.credentials, app["clientId"]
        ways = [(self.rsa, "RS256", {"x5t": self.rsa.x5t}), (self.rsa, "PS256", {"x5t#S256": self.rsa.x5t256}),
                (self.rsa, "RS256", {"x5t": self.rsa.x5t + "="}), (self.rsa, "RS256", {"kid": self.rsa.x5t256}),
                (self.ec, "ES256", {"x5t": self.ec.x5t})]
        for key, alg, header in ways:
            a = self.exchange(key.token(self.claims(me), alg, **header), me)
            self.assertEqual(a.status, 200, (alg, header, a))
            self.assertEqual(parts(a.json["access_token"])[1]["azpacr"], "2")
        for url in (f"{c['endpoint']}/{c['tenantId']}/oauth2/token", f"{c['endpoint']}/adfs/oauth2/token"):
            a = self.post(url, grant_type="client_credentials", client_id=me, resource=ARM, client_assertion_type=JWT_BEARER,
                          client_assertion=self.rsa.token(self.claims(me, url), x5t=self.rsa.x5t))
            self.assertEqual(a.status, 200, a)

    def test_an_assertion_works_once_for_each_audience(self):
        app = self.create(certificate=self.rsa.certificate())
        me = app["clientId"]
        assertion = self.rsa.token(self.claims(me), x5t=self.rsa.x5t)
        self.assertEqual(self.exchange(assertion, me).status, 200)
        a = self.exchange(assertion, me)
        self.assertEqual(a.status, 401, a)
        self.assertIn("has been used before", a.json["error_description"])
        self.assertEqual(self.exchange(assertion, me, audience=VAULT).status, 200)
        self.s.stop()
        self.s.start()
        self.assertEqual(self.exchange(assertion, me).status, 401)  # also after a restart

    def test_every_bad_assertion_is_refused(self):
        app, stranger = self.create(certificate=self.rsa.certificate()), self.create()
        me, x5t, now = app["clientId"], {"x5t": self.rsa.x5t}, self.now()
        bad = {
            "another key": self.other.token(self.claims(me), **x5t),
            "another key's name": self.other.token(self.claims(me), x5t=self.other.x5t),
            "no key's name": self.rsa.token(self.claims(me)),
            "wrong audience": self.rsa.token(self.claims(me, "https://example.org/token"), **x5t),
            "another issuer": self.rsa.token(self.claims(me, iss=stranger["clientId"]), **x5t),
            "another subject": self.rsa.token(self.claims(me, sub=stranger["clientId"]), **x5t),
            "no subject": self.rsa.token(self.claims(me, sub=None), **x5t),
            "expired": self.rsa.token(self.claims(me, exp=now - 1000), **x5t),
            "not yet": self.rsa.token(self.claims(me, nbf=now + 1000), **x5t),
            "too long": self.rsa.token(self.claims(me, exp=now + 86400), **x5t),
            "no expiry": self.rsa.token(self.claims(me, exp=None), **x5t),
            "no jti": self.rsa.token(self.claims(me, jti=None), **x5t),
            "a huge jti": self.rsa.token(self.claims(me, jti="x" * 300), **x5t),
            "EC's algorithm with RSA's key": self.rsa.token(self.claims(me), says="ES256", **x5t),
            "none": b64(json.dumps({"alg": "none", **x5t})) + "." + b64(json.dumps(self.claims(me))) + ".",
            "no token": "x",
        }
        for name, assertion in bad.items():
            with self.subTest(assertion=name):
                a = self.exchange(assertion, me)
                self.assertEqual((a.status, a.json["error"]), (401, "invalid_client"), a)
        a = self.exchange(self.rsa.token(self.claims(stranger["clientId"]), **x5t), stranger["clientId"])
        self.assertEqual(a.status, 401)  # has no certificate
        a = self.post(self.token_url, grant_type="client_credentials", client_id=me, scope=ARM + "/.default",
                      client_assertion_type="urn:x", client_assertion="x")
        self.assertEqual(a.status, 400)

    # --- secrets, disabled and deleted --------------------------------------------------------------------------------
    def test_a_rotated_secret_ends_after_its_overlap(self):
        app = self.create()
        a = self.s.call("POST", f"/admin/identities/{app['clientId']}/secrets", {"days": 1, "overlapSeconds": 7200})
        self.assertEqual(a.status, 201, a)
        new = {**app, "secret": a.json["secret"]}
        self.token_of(app), self.token_of(new)
        self.clock(7201)
        old = self.post(self.token_url, grant_type="client_credentials", client_id=app["clientId"], client_secret=app["secret"],
                        scope=ARM + "/.default")
        self.assertEqual((old.status, old.json["error_codes"]), (401, [7000222]), old)
        self.token_of(new)
        metrics = self.s.raw("GET", self.s.credentials["endpoint"] + "/metrics").body.decode()
        self.assertIn(f'keystead_credential_expiry_seconds{{identity="{app["name"]}",kind="secret"', metrics)

    def test_a_disabled_principal_gets_no_token_and_has_no_right_at_once(self):
        app = self.create()
        self.assertEqual(self.assign("Reader", app["objectId"]).status, 201)
        token = self.token_of(app)
        self.assertEqual(self.get(token, self.s.sub()).status, 200)
        self.assertEqual(self.s.call("PATCH", f"/admin/identities/{app['name']}", {"disabled": True}).status, 200)
        self.assertEqual(self.get(token, self.s.sub()).status, 403)
        a = self.post(self.token_url, grant_type="client_credentials", client_id=app["clientId"], client_secret=app["secret"],
                      scope=ARM + "/.default")
        self.assertEqual((a.status, a.json["error_codes"]), (401, [7000112]), a)
        self.assertEqual(self.s.call("PATCH", f"/admin/identities/{app['name']}", {"disabled": False}).status, 200)
        self.assertEqual(self.get(token, self.s.sub()).status, 200)
        self.assertEqual(self.s.call("DELETE", f"/admin/identities/{app['name']}").status, 200)
        self.assertEqual(self.get(token, self.s.sub()).status, 403)
        mine = self.s.call("DELETE", f"/admin/identities/{self.s.credentials['clientId']}")
        self.assertEqual((mine.status, mine.json["error"]["code"]), (409, "OwnIdentity"))

    # --- signing keys -------------------------------------------------------------------------------------------------
    def key_ids(self):
        c = self.s.credentials
        return [k["kid"] for k in self.s.raw("GET", f"{c['endpoint']}/{c['tenantId']}/discovery/v2.0/keys").json["keys"]]

    def test_signing_keys_rotate_and_old_ones_verify_to_the_last_token(self):
        old_token, before = self.s.token(ARM, fresh=True), self.key_ids()
        self.assertEqual(self.s.call("POST", "/admin/signing-keys").status, 200)
        after = self.key_ids()
        self.assertEqual(after[1:], before)
        self.assertEqual(parts(self.s.token(ARM, fresh=True))[0]["kid"], after[0])
        for token in (old_token, self.s.token(ARM)):
            self.assertEqual(self.get(token, self.s.sub()).status, 200)
        self.clock(3600 + 300 + 3600)
        self.assertEqual(self.key_ids(), after[:1])
        self.assertEqual(self.get(self.s.token(ARM), self.s.sub()).status, 200)

    # --- groups and roles ---------------------------------------------------------------------------------------------
    def test_a_role_of_a_group_is_its_members(self):
        app, group = self.create(), self.create(kind="group")
        token = self.token_of(app)
        self.assertEqual(self.assign("Reader", group["objectId"], kind="Group").status, 201)
        self.assertEqual(self.get(token, self.s.sub()).status, 403)
        self.assertEqual(self.s.call("PATCH", f"/admin/identities/{app['name']}", {"groups": [group["name"]]}).status, 200)
        self.assertEqual(self.get(token, self.s.sub()).status, 200)
        self.assertEqual(parts(self.token_of(app))[1]["groups"], [group["objectId"]])
        self.assertEqual(self.s.call("DELETE", f"/admin/identities/{group['name']}").status, 200)
        self.assertEqual(self.get(token, self.s.sub()).status, 403)
        self.assertNotIn("groups", parts(self.token_of(app))[1])

    def define(self, role, body, scope=None):
        return self.s.arm("PUT", f"{scope or self.s.sub()}/providers/Microsoft.Authorization/roleDefinitions/{role}", "2022-04-01",
                          {"properties": body})

    def test_an_access_policy_of_a_group_is_its_members_while_they_are_in_it(self):
        s, c = self.s, self.s.credentials
        team, app = self.create(kind="group"), self.create()
        path = s.group("/providers/Microsoft.KeyVault/vaults/team-kv")
        s.done(s.arm("PUT", path, "2022-07-01", {"location": "westeurope", "properties": {
            "tenantId": c["tenantId"], "sku": {"family": "A", "name": "standard"}, "accessPolicies": [
                {"tenantId": c["tenantId"], "objectId": team["objectId"], "permissions": {"keys": ["list"]}}]}}))
        token = self.token_of(app, VAULT)

        def may():
            return s.raw("GET", s.vault_url("/keys?api-version=7.4", "team-kv"), headers={"Authorization": "Bearer " + token}).status

        def change(**what):
            self.assertEqual(s.call("PATCH", f"/admin/identities/{app['name']}", what).status, 200)

        self.assertEqual(may(), 403)
        change(groups=[team["objectId"]])
        self.assertEqual(may(), 200)  # with the token from before
        change(groups=[])
        self.assertEqual(may(), 403)
        policy = {"properties": {"accessPolicies": [{"tenantId": c["tenantId"], "objectId": app["objectId"],
                                                     "permissions": {"keys": ["list"]}}]}}
        s.done(s.arm("PUT", path + "/accessPolicies/add", "2022-07-01", policy))
        self.assertEqual(may(), 200)
        change(disabled=True)
        self.assertEqual(may(), 403)
        change(disabled=False)
        self.assertEqual(may(), 200)
        self.assertEqual(s.call("DELETE", f"/admin/identities/{app['name']}").status, 200)
        self.assertEqual(may(), 403)  # the token would be good for an hour

    def test_a_custom_role_grants_what_it_says_where_it_may(self):
        app, role, name = self.create(), str(uuid.uuid4()), "Role " + secrets.token_hex(4)
        token = self.token_of(app)
        body = {"roleName": name, "description": "d", "type": "CustomRole", "assignableScopes": [self.s.group()], "permissions": [{
            "actions": ["Microsoft.Resources/subscriptions/resourceGroups/*"],
            "notActions": ["Microsoft.Resources/subscriptions/resourceGroups/delete"]}]}
        a = self.define(role, body)
        self.assertEqual(a.status, 201, a)
        self.assertEqual(a.json["properties"]["type"], "CustomRole")
        self.assertEqual(self.define(role, body).status, 200)
        taken = self.define(str(uuid.uuid4()), body)
        self.assertEqual((taken.status, taken.json["error"]["code"]), (409, "RoleDefinitionWithSameNameExists"))
        above = self.assign(name, app["objectId"])
        self.assertEqual((above.status, above.json["error"]["code"]), (400, "InvalidRoleAssignmentScope"))
        self.assertEqual(self.assign(name, app["objectId"], self.s.group()).status, 201)
        self.assertEqual(self.get(token, self.s.group()).status, 200)
        self.assertEqual(self.get(token, self.s.sub()).status, 403)
        url = f"{self.s.credentials['endpoint']}{self.s.group()}?api-version=2021-04-01"
        self.assertEqual(self.s.raw("DELETE", url, headers={"Authorization": "Bearer " + token}).status, 403)
        path = self.s.sub(f"/providers/Microsoft.Authorization/roleDefinitions/{role}")
        held = self.s.arm("DELETE", path, "2022-04-01")
        self.assertEqual((held.status, held.json["error"]["code"]), (400, "RoleDefinitionHasAssignments"))
        # what it grants changes for those who have it
        body["permissions"][0]["actions"] = ["Microsoft.Insights/*"]
        self.assertEqual(self.define(role, body).status, 200)
        self.assertEqual(self.get(token, self.s.group()).status, 403)
        self.s.stop()
        self.s.start()
        kept = self.s.arm("GET", path, "2022-04-01").json["properties"]
        self.assertEqual((kept["roleName"], kept["permissions"][0]["actions"]), (name, ["Microsoft.Insights/*"]))
        self.assertEqual(self.s.call("DELETE", f"/admin/identities/{app['name']}").status, 200)
        self.assertEqual(self.s.arm("DELETE", path, "2022-04-01").status, 200)
        self.assertEqual(self.s.arm("DELETE", path, "2022-04-01").status, 204)

    def test_what_is_wrong_with_a_role_is_said(self):
        good = {"roleName": "R", "assignableScopes": [self.s.sub()], "permissions": [{"actions": ["A/b/read"]}]}
        other = "/subscriptions/" + str(uuid.uuid4())
        bad = [{"roleName": ""}, {"roleName": "Owner"}, {"assignableScopes": []}, {"assignableScopes": ["/"]},
               {"assignableScopes": [other]}, {"permissions": []}, {"permissions": [{"actions": ["no action"]}]},
               {"permissions": [{"actions": ["A/b"]}, {"actions": ["A/c"]}]}, {"permissions": [{"actions": "A/b"}]},
               {"type": "BuiltInRole"}]
        for change in bad:
            with self.subTest(change=change):
                a = self.define(str(uuid.uuid4()), {**good, **change})
                self.assertIn(a.status, (400, 409), a)
        a = self.define(str(uuid.uuid4()), {**good, "permissions": [{"actions": ["A/b"], "condition": "x"}]})
        self.assertEqual((a.status, a.json["error"]["code"]), (400, "ConditionNotSupported"))
        a = self.define("8e3af657-a8ff-443c-a75c-2fe8c4bcb635", good)
        self.assertEqual((a.status, a.json["error"]["code"]), (403, "RoleDefinitionIsBuiltIn"))
        a = self.assign("Reader", self.create()["objectId"], condition="@Resource[x] StringEquals 'y'", conditionVersion="2.0")
        self.assertEqual((a.status, a.json["error"]["code"]), (400, "ConditionNotSupported"))

    # --- certificates of the listeners ---------------------------------------------------------------------------------
    def shown(self, port):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with socket.create_connection(("127.0.0.1", port), 20) as raw, context.wrap_socket(raw, server_hostname="localhost") as t:
            return t.getpeercert(binary_form=True)

    def test_new_certificate_files_are_shown_without_a_restart(self):
        with Server() as s:
            first, fresh = self.shown(s.port), Key(self.folder.name, "fresh", alt="DNS:localhost")
            self.assertIn("keystead_certificate_expiry_seconds ", s.raw("GET", s.credentials["endpoint"] + "/metrics").body.decode())
            tls, pids = os.path.join(s.data, "tls"), s.pids()
            shutil.copy(fresh.key, os.path.join(tls, "server.key"))  # half a change
            s.wait(lambda: self.shown(s.port) and "tls.certificate_not_taken" in s.log_tail(), 20, "a look at the files")
            self.assertEqual(self.shown(s.port), first)
            shutil.copy(fresh.pem, os.path.join(tls, "server.pem"))
            der = openssl("x509", "-in", fresh.pem, "-outform", "DER")
            s.wait(lambda: self.shown(s.port) == der, 20, "the new certificate")
            s.wait(lambda: self.shown(s.vault_port) == der, 20, "the new certificate of the vault")
            with open(os.path.join(tls, "server.pem"), "w") as f:
                f.write("no certificate")
            s.wait(lambda: self.shown(s.port) and "holds no certificates" in s.log_tail(), 20, "another look")
            self.assertEqual(self.shown(s.port), der)
            self.assertEqual(s.pids(), pids)

    # --- the command line ---------------------------------------------------------------------------------------------
    def test_the_command_line_administers_identities_and_roles(self):
        name = "cli" + secrets.token_hex(4)
        made = self.run_cli("identity", "create", name, "-o", "json")
        self.assertEqual(made.returncode, 0, made.stderr)
        app = json.loads(made.stdout)
        self.assertEqual(len(app["secret"]), 64)
        self.assertEqual(self.run_cli("role", "assign", "--role", "Reader", "--to", name).returncode, 0)
        rows = json.loads(self.run_cli("role", "list", "--to", name, "-o", "json").stdout)
        self.assertEqual([(r["role"], r["principal"]) for r in rows], [("Reader", name)])
        self.assertEqual(self.get(self.token_of(app), self.s.sub()).status, 200)
        self.assertEqual(self.run_cli("role", "remove", "--role", "Reader", "--to", name).returncode, 0)
        self.assertEqual(self.get(self.token_of(app), self.s.sub()).status, 403)
        rotated = json.loads(self.run_cli("identity", "secret", "rotate", name, "--overlap", "0", "-o", "json").stdout)
        self.token_of(rotated)
        self.assertEqual(self.run_cli("identity", "certificate", "add", name, self.rsa.pem).returncode, 0)
        shown = json.loads(self.run_cli("identity", "show", name, "-o", "json").stdout)
        self.assertEqual([c["kind"] for c in shown["credentials"]], ["secret", "secret", "certificate"][-len(shown["credentials"]):])
        table = self.run_cli("identity", "list").stdout.splitlines()
        self.assertTrue(any(line.startswith(name) for line in table))
        role = os.path.join(self.folder.name, "role.json")
        with open(role, "w") as f:
            json.dump({"Name": "CLI " + name, "Actions": ["Microsoft.Insights/*/read"], "AssignableScopes": [self.s.sub()]}, f)
        self.assertEqual(self.run_cli("role", "define", role).returncode, 0)
        self.assertEqual(self.run_cli("role", "assign", "--role", "CLI " + name, "--to", name).returncode, 0)
        self.assertEqual(self.run_cli("identity", "disable", name).returncode, 0)
        self.assertEqual(self.run_cli("identity", "delete", name).returncode, 0)
        missing = self.run_cli("identity", "show", name)
        self.assertNotEqual(missing.returncode, 0)
        self.assertIn("There is no identity", missing.stderr)
        for wrong in (("identity", "nonsense"), ("identity", "create"), ("role", "nonsense"), ("role", "list", "-o", "xml")):
            self.assertEqual(self.run_cli(*wrong).returncode, 2)
        # the owner's own secret: credentials.json follows
        self.assertEqual(self.run_cli("identity", "secret", "rotate", "founder", "--overlap", "0").returncode, 0)
        self.s.attach()
        self.assertEqual(self.s.call("GET", "/admin/identities").status, 200)

if __name__ == "__main__":
    unittest.main()
