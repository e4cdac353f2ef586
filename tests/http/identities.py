# SPDX-License-Identifier: Apache-2.0
"""tests/http/identities.py - what tests of identities share: two foreign issuers, a server that knows them, tokens and grants."""
import http.server
import json
import os
import secrets
import ssl
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.parse
import uuid

from keystead import ARM, PROGRAM, Server, free_ports
from tokens import Key, assertion_claims

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


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


class Identities(unittest.TestCase):
    """A server that believes two issuers, and what its tests of identities have in common."""

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
