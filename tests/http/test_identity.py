# SPDX-License-Identifier: Apache-2.0
"""tests/http/test_identity.py - who is believed, and what follows: assertions, keys that rotate, people, groups, roles, managed
identities for this machine's workloads, tokens of another issuer."""
import base64
import hashlib
import html
import http.client
import http.server
import json
import os
import re
import secrets
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.parse
import uuid

from keystead import ARM, PROGRAM, QUERY, VAULT, Server, free_ports
from tokens import Key, assertion_claims, b64, openssl, parts

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
CLIENT = "6b657973-7465-4164-8000-00000000c11e"
PASSWORD = "correct horse battery"


class Issuer:
    """An OpenID Connect provider of one page and one key set, over HTTPS."""

    def __init__(self, folder, name="issuer"):
        self.tls = Key(folder, name + "-tls", alt="DNS:localhost,IP:127.0.0.1")
        self.keys, self.fetches, self.port = {}, 0, free_ports(1)[0]
        self.url = f"https://localhost:{self.port}/tenant"
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                if self.path.endswith("/.well-known/openid-configuration"):
                    body = {"issuer": outer.url, "jwks_uri": outer.url + "/keys"}
                else:
                    outer.fetches += 1
                    body = {"keys": [k.jwk(kid) for kid, k in outer.keys.items()]}
                text = json.dumps(body).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.tls.pem, self.tls.key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Identity(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="keystead-keys-")
        cls.issuer, cls.pods = Issuer(cls.folder.name), Issuer(cls.folder.name, "pods")
        cls.rsa, cls.ec = Key(cls.folder.name, "rsa"), Key(cls.folder.name, "ec", "ec")
        cls.other = Key(cls.folder.name, "other")
        config = os.path.join(cls.folder.name, "issuers.json")
        with open(config, "w") as f:
            json.dump({"issuers": [{"issuer": cls.issuer.url, "audiences": ["api://keystead"], "algorithms": ["RS256", "ES256"],
                                    "caFile": cls.issuer.tls.pem,
                                    "claims": {"object": "sub", "groups": "roles"}},
                                   {"issuer": cls.pods.url, "exchangeOnly": True, "caFile": cls.pods.tls.pem}]}, f)
        cls.imds_port = free_ports(1)[0]
        cls.s = Server("--virtual-clock", "--issuers", config, "--imds", f"127.0.0.1:{cls.imds_port}", "--imds-allow",
                       f"{os.getuid()}:mine,{os.getuid()}:second,12345:theirs", probe=60).start()
        cls.s.done(cls.s.arm("PUT", cls.s.group(), "2021-04-01", {"location": "westeurope"}))
        cls.token_url = f"{cls.s.credentials['endpoint']}/{cls.s.credentials['tenantId']}/oauth2/v2.0/token"

    @classmethod
    def tearDownClass(cls):
        cls.s.close()
        cls.issuer.close()
        cls.pods.close()
        cls.folder.cleanup()

    # --- helpers ------------------------------------------------------------------------------------------------
    def create(self, **body):
        a = self.s.call("POST", "/admin/identities", {"name": "n" + secrets.token_hex(6), **body})
        self.assertEqual(a.status, 201, a)
        return a.json

    def post(self, url, **form):
        return self.s.raw("POST", url, urllib.parse.urlencode(form), FORM)

    def token_of(self, app, resource=ARM):
        a = self.post(self.token_url, grant_type="client_credentials", client_id=app["clientId"], client_secret=app["secret"],
                      scope=resource + "/.default")
        self.assertEqual(a.status, 200, a)
        return a.json["access_token"]

    def get(self, token, path, version="2021-04-01"):
        return self.s.raw("GET", f"{self.s.credentials['endpoint']}{path}?api-version={version}", headers={
            "Authorization": "Bearer " + token})

    def assign(self, role, principal, scope=None, kind="ServicePrincipal", **more):
        definition = self.s.call("GET", self.s.sub("/providers/Microsoft.Authorization/roleDefinitions") + "?api-version=2022-04-01"
                                 "&$filter=" + urllib.parse.quote(f"roleName eq '{role}'")).json["value"][0]["id"]
        return self.s.arm("PUT", f"{scope or self.s.sub()}/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}",
                          "2022-04-01", {"properties": {"roleDefinitionId": definition, "principalId": principal,
                                                        "principalType": kind, **more}})

    def clock(self, seconds):
        self.assertEqual(self.s.call("POST", "/admin/clock", {"advanceSeconds": seconds}).status, 200)
        self.s.tokens = {}

    def run_cli(self, *args):
        return subprocess.run([PROGRAM, *args, "--data", self.s.data], capture_output=True, text=True)

    # --- signed assertions -----------------------------------------------------------------------------------------
    def exchange(self, assertion, client, url=None, audience=ARM):
        return self.post(url or self.token_url, grant_type="client_credentials", client_id=client, scope=audience + "/.default",
                         client_assertion_type=JWT_BEARER, client_assertion=assertion)

    def now(self):
        """The server's seconds: its clock may have been turned by another test."""
        return self.s.call("GET", "/admin/clock").json["offsetSeconds"] + int(time.time())

    def claims(self, client, audience=None, **changes):
        now = self.now()
        return assertion_claims(client, audience or self.token_url, **{"iat": now, "nbf": now, "exp": now + 600, **changes})

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

    # --- people -------------------------------------------------------------------------------------------------------
    def person(self):
        return self.create(kind="person", password=PASSWORD)

    def page(self, method, url, cookie=None, **form):
        headers = dict(FORM)
        if cookie:
            headers["Cookie"] = cookie
        return self.s.raw(method, url, urllib.parse.urlencode(form) if form else None, headers)

    def read_form(self, a):
        self.assertEqual(a.headers["content-type"], "text/html; charset=utf-8")
        self.assertIn("default-src 'none'", a.headers["content-security-policy"])
        self.assertNotIn("<script", a.body.decode())
        fields = {n: html.unescape(v) for n, v in re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', a.body.decode())}
        return fields, (a.headers.get("set-cookie") or "").split(";")[0]

    def authorize_url(self, challenge, redirect="http://localhost:9/callback", **more):
        c = self.s.credentials
        return f"{c['endpoint']}/{c['tenantId']}/oauth2/v2.0/authorize?" + urllib.parse.urlencode({
            "client_id": CLIENT, "response_type": "code", "redirect_uri": redirect, "state": "s<1>", "nonce": "n1",
            "scope": ARM + "/.default openid offline_access", "code_challenge": challenge, "code_challenge_method": "S256", **more})

    def sign_in(self, name, verifier, password=PASSWORD):
        challenge = b64(hashlib.sha256(verifier.encode()).digest())
        fields, cookie = self.read_form(self.page("GET", self.authorize_url(challenge)))
        c = self.s.credentials
        return self.page("POST", f"{c['endpoint']}/{c['tenantId']}/oauth2/v2.0/authorize", cookie, **fields, name=name,
                         password=password)

    def test_a_person_signs_in_with_a_code_and_its_proof(self):
        ann, verifier = self.person(), secrets.token_urlsafe(48)
        a = self.sign_in(ann["name"], verifier)
        self.assertEqual(a.status, 302, a)
        back = urllib.parse.urlsplit(a.headers["location"])
        query = dict(urllib.parse.parse_qsl(back.query))
        self.assertEqual((back.netloc, back.path, query["state"]), ("localhost:9", "/callback", "s<1>"))
        form = {"grant_type": "authorization_code", "client_id": CLIENT, "code": query["code"],
                "redirect_uri": "http://localhost:9/callback"}
        good = self.post(self.token_url, **form, code_verifier=verifier)
        self.assertEqual(good.status, 200, good)
        claims = parts(good.json["access_token"])[1]
        self.assertEqual((claims["oid"], claims["idtyp"], claims["appid"]), (ann["objectId"], "user", CLIENT))
        identity = parts(good.json["id_token"])[1]
        self.assertEqual((identity["aud"], identity["nonce"], identity["preferred_username"]), (CLIENT, "n1", ann["name"]))
        self.assertEqual(self.post(self.token_url, **form, code_verifier=verifier).status, 400)  # used up
        # a refresh token works once
        refresh = {"grant_type": "refresh_token", "client_id": CLIENT, "scope": ARM + "/.default",
                   "refresh_token": good.json["refresh_token"]}
        second = self.post(self.token_url, **refresh)
        self.assertEqual(second.status, 200, second)
        self.assertEqual(self.post(self.token_url, **refresh).status, 400)
        # and ends with the password
        self.assertEqual(self.s.call("PATCH", f"/admin/identities/{ann['name']}", {"password": "another password 1"}).status, 200)
        refresh["refresh_token"] = second.json["refresh_token"]
        self.assertEqual(self.post(self.token_url, **refresh).status, 400)

    def test_a_stolen_code_is_worth_nothing_without_its_proof(self):
        ann, verifier = self.person(), secrets.token_urlsafe(48)
        code = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.sign_in(ann["name"], verifier).headers["location"]).query))["code"]
        form = {"grant_type": "authorization_code", "client_id": CLIENT, "code": code, "redirect_uri": "http://localhost:9/callback"}
        self.assertEqual(self.post(self.token_url, **form, code_verifier=secrets.token_urlsafe(48)).status, 400)
        self.assertEqual(self.post(self.token_url, **form, code_verifier=verifier).status, 400)  # the one try is gone

    def test_a_browser_is_sent_back_only_where_that_is_safe(self):
        challenge = b64(hashlib.sha256(b"x").digest())
        for redirect in ("https://evil.example/", "http://192.0.2.1/", "http://localhost.evil.example/", "javascript:alert(1)",
                         "http://user@localhost/", "http://localhost/?a=b", "//localhost/"):
            a = self.page("GET", self.authorize_url(challenge, redirect))
            self.assertEqual(a.status, 400, (redirect, a))
            self.assertNotIn("location", a.headers)
        self.assertEqual(self.page("GET", self.authorize_url(challenge, client_id=str(uuid.uuid4()))).status, 400)
        for change in ({"code_challenge_method": "plain"}, {"response_type": "token"}, {"code_challenge": ""}, {"scope": "nonsense"}):
            a = self.page("GET", self.authorize_url(challenge, **change))
            self.assertEqual(a.status, 302, a)
            self.assertIn("error=", a.headers["location"])

    def test_the_login_form_belongs_to_one_browser_and_text_in_it_stays_text(self):
        ann = self.person()
        c, challenge = self.s.credentials, b64(hashlib.sha256(b"v" * 43).digest())
        fields, cookie = self.read_form(self.page("GET", self.authorize_url(challenge, state='"><script>alert(1)</script>')))
        url = f"{c['endpoint']}/{c['tenantId']}/oauth2/v2.0/authorize"
        for fake in (None, "__Host-keystead-form=" + "0" * 64):
            a = self.page("POST", url, fake, **fields, name=ann["name"], password=PASSWORD)
            self.assertEqual(a.status, 400, a)
        self.assertRegex(cookie, r"^__Host-keystead-form=[0-9a-f]{64}$")
        self.assertEqual(self.page("POST", url, cookie, **fields, name=ann["name"], password=PASSWORD).status, 302)

    def test_guessing_a_password_is_stopped(self):
        ann = self.person()
        for _ in range(5):
            self.assertEqual(self.sign_in(ann["name"], "v" * 43, "a wrong password").status, 401)
        a = self.sign_in(ann["name"], "v" * 43)
        self.assertEqual((a.status, a.headers["retry-after"]), (429, "900"), a)
        self.clock(901)
        self.assertEqual(self.sign_in(ann["name"], "v" * 43).status, 302)

    def test_a_program_without_a_browser_signs_in_with_a_device_code(self):
        ann, c = self.person(), self.s.credentials
        a = self.post(f"{c['endpoint']}/{c['tenantId']}/oauth2/v2.0/devicecode", client_id=CLIENT, scope=ARM + "/.default openid")
        self.assertEqual(a.status, 200, a)
        poll = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "client_id": CLIENT,
                "device_code": a.json["device_code"]}
        waiting = self.post(self.token_url, **poll)
        self.assertEqual((waiting.status, waiting.json["error"]), (400, "authorization_pending"))
        self.assertEqual(a.json["verification_uri"], c["endpoint"] + "/device")
        fields, cookie = self.read_form(self.page("GET", a.json["verification_uri"]))
        sign = {**fields, "name": ann["name"], "password": PASSWORD}
        self.assertEqual(self.page("POST", a.json["verification_uri"], cookie, **sign, user_code="BBBB-BBBB").status, 404)
        done = self.page("POST", a.json["verification_uri"], cookie, **sign, user_code=a.json["user_code"].lower())
        self.assertEqual(done.status, 200, done)
        good = self.post(self.token_url, **poll)
        self.assertEqual(good.status, 200, good)
        self.assertEqual(parts(good.json["access_token"])[1]["oid"], ann["objectId"])
        self.assertEqual(self.post(self.token_url, **poll).json["error"], "expired_token")
        late = self.post(f"{c['endpoint']}/{c['tenantId']}/oauth2/v2.0/devicecode", client_id=CLIENT, scope=ARM + "/.default").json
        self.clock(901)
        self.assertEqual(self.post(self.token_url, **{**poll, "device_code": late["device_code"]}).json["error"], "expired_token")

    def test_a_person_signs_in_on_the_command_line_and_commands_speak_for_him(self):
        ann, c = self.person(), self.s.credentials
        self.s.make_workspace("people", None)
        home = os.path.join(self.folder.name, "home" + secrets.token_hex(4))
        env = {"HOME": home, "PATH": os.environ["PATH"]}

        def run(*args):
            return subprocess.run([PROGRAM, *args], env=env, capture_output=True, text=True)

        self.assertIn("nobody has signed in", run("identity", "list").stderr)
        self.assertEqual(self.assign("Reader", ann["objectId"], kind="User").status, 201)
        p = subprocess.Popen([PROGRAM, "login", "--endpoint", c["endpoint"], "--ca-file", c["caFile"]], env=env,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        page, code = re.search(r"the page (\S+) and enter the code (\S+) to", p.stderr.readline()).groups()
        fields, cookie = self.read_form(self.page("GET", page))
        done = self.page("POST", page, cookie, **fields, user_code=code, name=ann["name"], password=PASSWORD)
        self.assertEqual(done.status, 200, done)
        out, err = p.communicate(timeout=60)
        self.assertEqual(p.returncode, 0, err)
        kept = os.path.join(home, ".config", "keystead", "login.json")
        self.assertEqual(os.stat(kept).st_mode & 0o777, 0o600)
        self.assertEqual(self.assign("Log Analytics Data Reader", ann["objectId"], kind="User").status, 201)
        self.assertEqual(run("identity", "list").returncode, 0)
        self.assertIn("403", run("identity", "create", "x").stderr)
        rows = run("query", "--workspace", "people", "-o", "csv", "print x=1")
        self.assertEqual((rows.returncode, rows.stdout.split()), (0, ["x", "1"]), rows.stderr)
        self.assertEqual(run("logout").returncode, 0)
        self.assertFalse(os.path.exists(kept))

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
