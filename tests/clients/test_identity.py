# SPDX-License-Identifier: Apache-2.0
"""tests/clients/test_identity.py - Microsoft's identity libraries ask for tokens: @azure/identity from npm, azure-identity for Python,
and az with a certificate."""
import html
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "http"))

from keystead import Server, free_ports  # noqa: E402
from scripts import environment  # noqa: E402
from test_js import PLACE, install  # noqa: E402
from test_python import interpreter  # noqa: E402
from tokens import Key, assertion_claims  # noqa: E402

PASSWORD = "correct horse battery"


class Clients(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="keystead-keys-")
        port = free_ports(1)[0]
        s = cls.s = Server("--imds", f"127.0.0.1:{port}", "--imds-allow", f"{os.getuid()}:mine").start()
        s.done(s.arm("PUT", s.group(), "2021-04-01", {"location": "westeurope"}))
        key = Key(cls.folder.name, "app")
        both = os.path.join(cls.folder.name, "both.pem")
        with open(both, "w") as f, open(key.key) as k:
            f.write(k.read() + key.certificate())
        managed = s.arm("PUT", s.group("/providers/Microsoft.ManagedIdentity/userAssignedIdentities/mine"), "2023-01-31",
                        {"location": "westeurope"}).json
        c = s.credentials
        certified = cls.make(name="certified", certificate=key.certificate())
        cls.key, cls.token_url = key, f"{c['endpoint']}/{c['tenantId']}/oauth2/v2.0/token"
        cls.plan = {
            "endpoint": c["endpoint"], "tenant": c["tenantId"], "app": cls.make(name="app"), "certified": certified, "pem": both,
            "imds": f"http://127.0.0.1:{port}", "managed": managed["properties"],
            "person": cls.make(name="ann", kind="person", password=PASSWORD)}
        cls.path = os.path.join(cls.folder.name, "plan.json")

    @classmethod
    def make(cls, **body):
        a = cls.s.call("POST", "/admin/identities", body)
        assert a.status == 201, a
        return a.json

    @classmethod
    def tearDownClass(cls):
        cls.s.close()
        cls.folder.cleanup()

    def sign_in(self, uri, code):
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        page = self.s.raw("GET", uri)
        fields = {n: html.unescape(v) for n, v in re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', page.body.decode())}
        done = self.s.raw("POST", uri, urllib.parse.urlencode({**fields, "user_code": code, "name": "ann", "password": PASSWORD}),
                          {**form, "Cookie": page.headers["set-cookie"].split(";")[0]})
        self.assertEqual(done.status, 200, done)

    def run_client(self, command, env, cwd=None):
        claims = [assertion_claims(self.plan["certified"]["clientId"], self.token_url) for _ in range(4)]
        with open(self.path, "w") as f:
            json.dump({**self.plan, "assertions": [self.key.token(x, x5t=self.key.x5t) for x in claims]}, f)
        p = subprocess.Popen([*command, self.path], cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        out = []
        try:
            for line in p.stdout:
                out.append(line)
                if line.startswith("code "):
                    self.sign_in(*line.split()[1:])
            self.assertEqual(p.wait(60), 0, "".join(out))
        finally:
            p.kill()
            p.stdout.close()
        print("\n" + "".join(out), end="")
        self.assertEqual(out[-1], "done\n")

    def test_every_credential_of_the_javascript_library_gets_its_token(self):
        why = install()
        if why is not None:
            self.skipTest(why)
        shutil.copy(os.path.join(HERE, "identity.mjs"), PLACE)
        self.run_client(["node", "identity.mjs"], {**os.environ, "NODE_EXTRA_CA_CERTS": self.s.credentials["caFile"]}, PLACE)

    def test_every_credential_of_the_python_library_gets_its_token(self):
        program = interpreter("azure.identity")
        if program is None:
            self.skipTest("python3-azure is not installed: tools/deps.sh clients")
        self.run_client([program, os.path.join(HERE, "identity.py")], environment(REQUESTS_CA_BUNDLE=self.s.credentials["caFile"]))

    @unittest.skipIf(shutil.which("az") is None, "az is not installed: tools/deps.sh clients")
    def test_az_signs_in_with_a_certificate(self):
        c, folder = self.s.credentials, os.path.join(self.folder.name, "azure")
        os.makedirs(folder)
        e = c["endpoint"]
        cloud = os.path.join(folder, "cloud.json")
        with open(cloud, "w") as f:
            json.dump({"endpoints": {"management": e + "/", "resourceManager": e + "/", "activeDirectory": e + "/adfs",
                                     "activeDirectoryResourceId": e + "/", "activeDirectoryGraphResourceId": e + "/",
                                     "microsoftGraphResourceId": e + "/", "gallery": e + "/"},
                       "suffixes": {"keyvaultDns": "." + c["vaultSuffix"], "storageEndpoint": "localhost"}}, f)
        self.s.arm("PUT", self.s.sub("/providers/Microsoft.Authorization/roleAssignments/0a000000-0000-4000-8000-00000000000a"),
                   "2022-04-01", {"properties": {
                       "roleDefinitionId": self.s.sub("/providers/Microsoft.Authorization/roleDefinitions/"
                                                      "acdd72a7-3385-48ef-bd42-f606fba81ae7"),
                       "principalId": self.plan["certified"]["objectId"]}})
        env = environment(AZURE_CONFIG_DIR=folder, REQUESTS_CA_BUNDLE=c["caFile"], AZURE_CORE_COLLECT_TELEMETRY="no")

        def az(*args):
            r = subprocess.run(["az", *args], env=env, capture_output=True, text=True, timeout=120)
            self.assertEqual(r.returncode, 0, r.stderr)
            return r.stdout

        az("cloud", "register", "--name", "local", "--cloud-config", "@" + cloud)
        az("cloud", "set", "--name", "local")
        az("login", "--service-principal", "-u", self.plan["certified"]["clientId"], "-p", self.plan["pem"], "--tenant", c["tenantId"])
        self.assertEqual(az("account", "show", "--query", "id", "-o", "tsv").strip(), c["subscriptionId"])
        self.assertIn("rg", az("group", "list", "--query", "[].name", "-o", "tsv").split())


if __name__ == "__main__":
    unittest.main()
