# SPDX-License-Identifier: Apache-2.0
"""tests/http/test_people.py - people: codes with their proof, the login form, guessing, device codes, the command line."""
import hashlib
import html
import os
import re
import secrets
import subprocess
import unittest
import urllib.parse
import uuid

from identities import FORM, Identities
from keystead import ARM, PROGRAM
from tokens import b64, parts

CLIENT = "6b657973-7465-4164-8000-00000000c11e"
PASSWORD = "correct horse battery"


class People(Identities):
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

if __name__ == "__main__":
    unittest.main()
