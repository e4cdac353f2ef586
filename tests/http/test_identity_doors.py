# SPDX-License-Identifier: Apache-2.0
"""tests/http/test_identity_doors.py - every endpoint, tried by who has no token, no right, or a token that was forged.

The routes are the program's own (`keystead routes`): a row that this test does not know makes it fail.
"""
import http.client
import json
import subprocess
import time
import unittest
import urllib.parse

from keystead import ARM, INGEST, PROGRAM, QUERY, VAULT, Server
from softhsm import Token
from tokens import Key, b64, hs256, parts, public_der, public_pem

GUID = "11111111-2222-4333-8444-555555555555"

POOL = "https://managedhsm.azure.net"

# What of the front door's own table needs no token at all.
OPEN = {"/healthz", "/readyz", "/metrics", "/metadata/endpoints", "/v1/rest/auth/metadata",
        "/v2/track", "/v2.1/track"}  # an instrumentation key is all that an SDK has (test_track.py)
# Rows whose paths are other tables', tried there.
BEHIND = {"identity", "vault", "/subscriptions/", "/subscriptions", "/tenants", "/providers/", "/providers"}


class Doors(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.token = Token()
        cls.addClassCleanup(cls.token.close)
        cls.s = Server("--virtual-clock", "--faults", *cls.token.options).start()
        cls.s.make_all()
        cls.s.done(cls.s.arm("PUT", cls.s.group("/providers/Microsoft.KeyVault/managedHSMs/pool1"), "2023-07-01", {
            "location": "westeurope", "sku": {"family": "B", "name": "Standard_B1"}, "properties": {
                "tenantId": cls.s.credentials["tenantId"], "initialAdminObjectIds": [cls.s.credentials["objectId"]]}}))
        cls.pool = "https://pool1.managedhsm." + cls.s.credentials["vaultSuffix"].partition(".")[2]
        cls.s.make_table("Door_CL", {"N": "long"})
        cls.workspace = cls.s.workspace_id()
        made = cls.s.call("POST", "/admin/identities", {"name": "nobody"})
        assert made.status == 201, made
        cls.nobody = made.json
        cls.tokens = {}

    @classmethod
    def tearDownClass(cls):
        cls.s.close()

    def poor_token(self, resource):
        if resource not in self.tokens:
            self.tokens[resource] = self.app_token(self.nobody, resource)
        return self.tokens[resource]

    def app_token(self, app, resource):
        c = self.s.credentials
        a = self.s.raw("POST", f"{c['endpoint']}/{c['tenantId']}/oauth2/v2.0/token", urllib.parse.urlencode({
            "grant_type": "client_credentials", "client_id": app["clientId"], "client_secret": app["secret"],
            "scope": resource + "/.default"}), {"Content-Type": "application/x-www-form-urlencoded"})
        assert a.status == 200, a
        return a.json["access_token"]

    # --- the table of what can be asked -----------------------------------------------------------------------
    def fill(self, path):
        """Names for the stars: of things that are there, so that nothing but the right is missing."""
        known = {"subscriptions": self.s.credentials["subscriptionId"], "resourceGroups": "rg", "vaults": "kv1", "keys": "k1",
                 "locations": "westeurope", "clusters": "cluster1", "workspaces": "workspace1", "identities": "nobody"}
        out = []
        for segment in path.split("/"):
            out.append(known.get(out[-1] if out else "", GUID) if segment == "*" else segment)
        return "/".join(out)

    def arm_path(self, kind, method):
        """A path for a resource type; names of things that are there."""
        provider, *types = kind.split("/")
        action = None
        if types[-2:-1] == ["*"]:
            action = types[-1]
            types = types[:-2]
        names = {"clusters": "cluster1", "workspaces": "workspace1", "linkedServices": "cluster", "tables": "Door_CL",
                 "locations": "westeurope", "subscriptions": self.s.credentials["subscriptionId"], "resourceGroups": "rg",
                 "providers": "Microsoft.Insights"}
        named = []
        for i, t in enumerate(types):
            last = i == len(types) - 1
            named.append(t if last and method == "LIST" else f"{t}/{names.get(t, GUID)}")
        tail = "/".join(named) + (f"/{action}" if action else "")
        if types[0] in ("tenantOptedIn", "enableLockbox", "disableLockbox"):
            return f"/providers/{provider}/{types[0]}" + (f"/{self.s.credentials['tenantId']}" if method == "GET" else "")
        if types[0] == "tags":
            return self.s.group("/providers/Microsoft.Resources/tags/default")
        if provider == "Microsoft.Resources":
            return "/" + tail
        above = self.s.sub() if types[0] in ("locations", "deletedWorkspaces") else self.s.group()
        return f"{above}/providers/{provider}/{tail}"

    def routes(self):
        """(plane, method, absolute URL, resource, what a token without a right gets)"""
        c = self.s.credentials
        text = subprocess.run([PROGRAM, "routes"], capture_output=True, text=True, check=True).stdout
        special = {  # all of /admin is tried as it stands
            "/datacollectionrules/": INGEST, "/v1/workspaces/": QUERY, "/v1/subscriptions/": QUERY, "arm query": ARM, "activity log": ARM,
            "/v1/$batch": QUERY, "/v1/rest/query": QUERY, "/v2/rest/query": QUERY, "/v1/rest/mgmt": QUERY,
        }
        paths = {
            "/datacollectionrules/": self.s.stream_path("Door_CL", self.workspace).split("?")[0],
            "/v1/workspaces/": f"/v1/workspaces/{self.workspace}/query",
            "/v1/subscriptions/": "/v1" + self.s.workspace_path() + "/query",
            "arm query": self.s.workspace_path() + "/query",
            "activity log": self.s.sub("/providers/Microsoft.Insights/eventtypes/management/values"),
        }
        for line in text.splitlines():
            plane, methods, path = line.split("\t")
            if plane == "front":
                if path in OPEN or path in BEHIND:
                    continue
                if path.startswith("/admin/"):
                    special[path] = ARM
                self.assertIn(path, special, f"the front door has a new row, {path}: teach it to this test")
                for method in methods.split(","):
                    yield plane, method, c["endpoint"] + paths.get(path, path) + "?query=Door_CL&db=workspace1&csl=.show%20tables", special[path], {200} if path == "/v1/$batch" else {403}
            elif plane == "open":
                continue
            elif plane in ("identity", "graph"):
                for method in methods.split(", "):
                    yield (plane, method, c["endpoint"] + self.fill(path), ARM,
                           {403, 405} if plane == "identity" else {200, 400, 404})
            elif plane in ("arm", "arm-open"):
                for method in methods.split(","):
                    yield (plane, "GET" if method == "LIST" else method, c["endpoint"] + self.arm_path(path, method), ARM,
                           {403} if plane == "arm" else {200, 403})
            elif plane == "vault":
                yield plane, methods, self.s.vault_url("/" + self.fill(path)), VAULT, {200} if path == "rng" else {403}
                yield "pool", methods, f"{self.pool}/{self.fill(path)}", POOL, {200} if path == "rng" else {403}
            elif plane == "pool":
                yield plane, methods, f"{self.pool}/{self.fill(path)}", POOL, {403}
            elif plane in ("vault-arm", "vault-admin"):
                at = c["endpoint"] if plane == "vault-arm" else f"https://{c['vaultSuffix']}"
                expected = {403, 404, 200} if path.endswith("NameAvailability") or "deleted" in path else {403}
                if plane == "vault-admin":
                    expected = {403} if methods == "POST" else {403, 200, 204}  # only the caller's own vaults are there, and he has none
                yield plane, methods, at + "/" + self.fill(path), ARM, expected
            else:
                self.fail(f"a new plane, {plane}: teach it to this test")

    def ask(self, method, url, resource, token):
        version = {ARM: "2022-10-01", VAULT: "7.4", POOL: "7.4", INGEST: "2023-01-01", QUERY: "v1"}[resource]
        if "Microsoft.Authorization" in url and resource == ARM:
            version = "2022-04-01"
        if "KeyVault" in url or "ManagedIdentity" in url:
            version = "2023-07-01"
        url += ("&" if "?" in url else "?") + "api-version=" + version
        body = None if method in ("GET", "HEAD", "DELETE") else json.dumps({
            "location": "westeurope", "query": "Door_CL", "db": "workspace1", "csl": ".show tables",
            "requests": [{"id": "1", "workspace": self.workspace, "body": {"query": "Door_CL"}}], "cluster": "cluster1", "kind": "deny", "vault": "kv1", "count": 8})
        headers = {"Content-Type": "application/json"}
        if token is not None:
            headers["Authorization"] = "Bearer " + token
        return self.s.raw(method, url, body, headers)

    def fingerprint(self):
        """What a caller without rights could have changed."""
        s = self.s
        cluster = s.arm("GET", s.cluster_path(), "2022-10-01").json
        cluster["properties"].pop("keystead", None)  # when its key was last tried
        return [s.arm("GET", s.group("/resources"), "2021-04-01").json, cluster,
                s.arm("GET", s.group("/providers/Microsoft.KeyVault/vaults/kv1"), "2022-07-01").json,
                sorted(s.key("GET", "/keys").body), s.arm("GET", s.sub("/providers/Microsoft.Authorization/roleAssignments"),
                                                          "2022-04-01").json, s.call("GET", "/admin/identities").json,
                s.rows("Door_CL | count", self.workspace)]

    def test_no_endpoint_answers_who_has_no_token_or_no_right(self):
        before = self.fingerprint()
        tried = 0
        for plane, method, url, resource, allowed in self.routes():
            with self.subTest(plane=plane, method=method, url=url):
                self.assertEqual(self.ask(method, url, resource, None).status, 401)
                a = self.ask(method, url, resource, self.poor_token(resource))
                self.assertIn(a.status, allowed, a)
                if a.status == 403 and plane in ("arm", "identity", "vault-arm"):
                    self.assertEqual(a.headers.get("content-type", "").split(";")[0], "application/json")
                    if method != "HEAD":
                        self.assertIn("does not have authorization to perform action", a.json["error"]["message"])
                if url.partition("?")[0].endswith("$batch"):
                    self.assertEqual([r["status"] for r in a.json["responses"]], [403])
                tried += 1
        self.assertGreater(tried, 90)
        self.assertEqual(before, self.fingerprint())

    # --- forgeries --------------------------------------------------------------------------------------------
    def forgeries(self, resource):
        s, c = self.s, self.s.credentials
        good = s.token(resource, fresh=True)
        head, claims = parts(good)
        key = Key(s.data, "mallory")
        jwk = s.raw("GET", f"{c['endpoint']}/{c['tenantId']}/discovery/v2.0/keys").json["keys"][0]
        now = claims["iat"]
        h, p, sig = good.split(".")

        def mine(changes=(), **header):
            return key.token({**claims, **dict(changes)}, **{"kid": head["kid"], **header})

        yield "alg none", b64(json.dumps({**head, "alg": "none"})) + "." + p + "."
        yield "alg None, with a signature", b64(json.dumps({**head, "alg": "None"})) + "." + p + "." + sig
        for secret in (public_der(jwk), public_pem(jwk), jwk["n"].encode(), json.dumps(jwk).encode()):
            yield "HS256 with the public key", hs256({**head, "alg": "HS256"}, claims, secret)
        yield "signed by a stranger", mine()
        yield "a kid nobody has", mine(kid="nobody")
        yield "a kid that is a path", mine(kid="../../../../dev/null")
        yield "a kid that is SQL", mine(kid="x' OR '1'='1")
        yield "no kid", key.token(claims)
        yield "a key in the header", mine(jwk=key.jwk("k"), kid="k")
        yield "a key set to be fetched", mine(jku="https://localhost:1/keys", kid="k")
        yield "a certificate to be fetched", mine(x5u="https://localhost:1/c.pem")
        yield "a certificate in the header", mine(x5c=["MIIB"], x5t=key.x5t)
        yield "an extension that must be understood", mine(crit=["exp"])
        yield "altered claims", h + "." + b64(json.dumps({**claims, "oid": GUID})) + "." + sig
        yield "an altered header", b64(json.dumps({**head, "x": 1})) + "." + p + "." + sig
        yield "an altered signature", good[:-8] + ("AAAAAAAA" if good[-8:] != "AAAAAAAA" else "BBBBBBBB")
        yield "no signature", h + "." + p + "."
        yield "two parts", h + "." + p
        yield "nothing", "."
        yield "a huge token", "a" * 12000 + "." + p + "." + sig
        yield "for another audience", s.token("https://example.org", fresh=True)
        yield "of another issuer", mine({"iss": "https://login.microsoftonline.com/common/v2.0"})
        yield "of another tenant", mine({"tid": GUID, "iss": claims["iss"].replace(c["tenantId"], GUID)})
        yield "expired", mine({"exp": now - 4000, "nbf": now - 8000})
        yield "not yet valid", mine({"nbf": now + 4000, "exp": now + 8000})

    def attempt(self, resource, token, name):
        s = self.s
        bearer = {"Authorization": "Bearer " + token, "Content-Type": "application/json"}
        if resource == ARM:
            url = s.credentials["endpoint"] + s.group(group=name) + "?api-version=2021-04-01"
            return s.raw("PUT", url, json.dumps({"location": "westeurope"}), bearer)
        if resource == INGEST:
            return s.raw("POST", s.credentials["endpoint"] + s.stream_path("Door_CL", self.workspace), '[{"N":1}]', bearer)
        if resource in (VAULT, POOL):
            at = s.vault_url() if resource == VAULT else self.pool
            return s.raw("POST", at + "/keys/forged/create?api-version=7.4", '{"kty":"RSA-HSM"}', bearer)
        return s.raw("POST", f"{s.credentials['endpoint']}/v1/workspaces/{self.workspace}/query", '{"query":"Door_CL"}', bearer)

    def test_every_forged_token_is_refused_and_changes_nothing(self):
        for resource in (ARM, INGEST, VAULT, POOL, QUERY):
            before = self.fingerprint()
            for name, token in self.forgeries(resource):
                with self.subTest(resource=resource, forgery=name):
                    try:
                        a = self.attempt(resource, token, "forged")
                    except (http.client.RemoteDisconnected, ConnectionError):
                        self.assertEqual(name, "a huge token")  # hung up on before it is read: its answer may be lost on the way
                        continue
                    # The query API answers 403 to a token that is there but no good, as documented.
                    self.assertIn(a.status, {401, 403, 431} if resource == QUERY else {401, 431}, a)
                    if a.status == 401:
                        self.assertIn("www-authenticate", a.headers)
            self.assertEqual(before, self.fingerprint())

    def test_identity_itself_refuses_them_too(self):
        url = self.s.credentials["endpoint"] + "/admin/identities"
        for name, token in self.forgeries(ARM):
            with self.subTest(forgery=name):
                try:
                    a = self.s.raw("POST", url, '{"name":"forged"}', {"Authorization": "Bearer " + token})
                except (http.client.RemoteDisconnected, ConnectionError):
                    self.assertEqual(name, "a huge token")  # hung up on before it is read: its answer may be lost on the way
                    continue
                self.assertIn(a.status, {401, 431}, a)
        self.assertEqual(self.s.call("GET", "/admin/identities/forged").status, 404)

    def test_a_real_token_is_refused_when_it_has_expired(self):
        with Server("--virtual-clock") as s:
            old = s.token(ARM)
            path = s.credentials["endpoint"] + s.sub() + "?api-version=2021-04-01"
            self.assertEqual(s.raw("GET", path, headers={"Authorization": "Bearer " + old}).status, 200)
            self.assertEqual(s.call("POST", "/admin/clock", {"advanceSeconds": 3600 + 301}).status, 200)
            a = s.raw("GET", path, headers={"Authorization": "Bearer " + old})
            self.assertEqual((a.status, a.json["error"]["code"]), (401, "ExpiredAuthenticationToken"))
            said = a.json["error"]["message"]
            self.assertRegex(said, r"^The access token expiry UTC time '\d+/\d+/\d+ .* [AP]M' is earlier than current UTC time '.*'\.$")
            for other in (s.sub("/providers/Microsoft.KeyVault/vaults"), "/admin/identities"):  # the vault's and identity's words are the same
                a = s.raw("GET", f"{s.credentials['endpoint']}{other}?api-version=2022-07-01", headers={"Authorization": "Bearer " + old})
                self.assertEqual((a.status, a.json["error"]["message"].split("'")[1]), (401, said.split("'")[1]))


if __name__ == "__main__":
    unittest.main()
