# SPDX-License-Identifier: Apache-2.0
"""tests/clients/test_az.py - the azure-cli as Debian ships it, unchanged, against a server of its own.

Needs az (tools/deps.sh clients); says so and skips without it.
"""
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "http"))

import article
from keystead import PROGRAM, Server

# All commands of one az process, one after the other: it takes a second to start. What Debian's package lacks is put in its place,
# where its parts are of other versions than it was written for (docs/clients.md); names of vaults are found without /etc/hosts.
# Requests are az's own.
WORKER = """
import contextlib, io, json, socket, sys, traceback
import requests
import azure.keyvault
import azure.cli.command_modules.keyvault.vendored_sdks as vendored
from azure.cli.core import get_default_cli
azure.keyvault.__path__.append(list(vendored.__path__)[0] + "/azure_keyvault_t1")
from azure.mgmt.authorization.v2018_01_01_preview.operations import RoleDefinitionsOperations
from azure.mgmt.authorization.v2020_04_01_preview.operations import RoleAssignmentsOperations
for operations in (RoleAssignmentsOperations, RoleDefinitionsOperations):
    operations.config = property(lambda self: self._config)
look_up = socket.getaddrinfo
socket.getaddrinfo = lambda host, *a, **k: look_up("127.0.0.1" if str(host).endswith(".localhost") else host, *a, **k)
answers = sys.stdout
for line in sys.stdin:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = get_default_cli().invoke(json.loads(line), out_file=out)
        except SystemExit as e:
            code = e.code
        except BaseException:
            code = 99
            err.write(traceback.format_exc())
    print(json.dumps([code, out.getvalue(), err.getvalue()]), file=answers, flush=True)
"""
DEBIAN = os.path.exists("/usr/lib/python3/dist-packages/azure/cli/core/__init__.py")


def environment(home):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("AZURE_", "ARM_", "PYTHON"))}
    return {**env, "HOME": home}


@unittest.skipUnless(shutil.which("az"), "az is not installed: tools/deps.sh clients")
class Az(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.home = tempfile.mkdtemp(prefix="keystead-az-")
        cls.s = Server().start()
        cls.c = cls.s.credentials
        cls.version = cls.s.make_all()
        cls.w = cls.s.workspace_id()
        cls.s.make_table("Canary_CL", {"Word": "string"})
        cls.s.send("Canary_CL", [{"Word": "hello"}, {"Word": "az"}], cls.w)
        cls.env = {**environment(cls.home), "AZURE_CONFIG_DIR": cls.home, "AZURE_CORE_COLLECT_TELEMETRY": "no",
                   "REQUESTS_CA_BUNDLE": cls.c["caFile"], "SSL_CERT_FILE": cls.c["caFile"],
                   "ARM_CLOUD_METADATA_URL": cls.c["endpoint"] + "/metadata/endpoints?api-version=2019-05-01"}
        first = cls.run_az(cls, ["az"], cls.login(cls, cls.c["clientSecret"]))
        assert first.returncode == 0, first.stderr
        cls.worker = subprocess.Popen(["/usr/bin/python3", "-c", WORKER], env=cls.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=subprocess.DEVNULL, text=True) if DEBIAN else None

    @classmethod
    def tearDownClass(cls):
        if cls.worker is not None:
            cls.worker.stdin.close()
            cls.worker.wait(30)
            cls.worker.stdout.close()
        cls.s.close()
        shutil.rmtree(cls.home, ignore_errors=True)

    def login(self, secret):
        return ("login", "--service-principal", "-u", self.c["clientId"], "-p", secret, "--tenant", self.c["tenantId"])

    def run_az(self, program, args):
        return subprocess.run([*program, *args, "-o", "json"], env=self.env, capture_output=True, text=True, timeout=180)

    def az(self, *args, output="json"):
        """output None: as the arguments say."""
        args = args if output is None else (*args, "-o", output)
        if self.worker is None:
            r = subprocess.run(["az", *args], env=self.env, capture_output=True, text=True, timeout=180)
            code, out, err = r.returncode, r.stdout, r.stderr
        else:
            self.worker.stdin.write(json.dumps(args) + "\n")
            self.worker.stdin.flush()
            code, out, err = json.loads(self.worker.stdout.readline())
        if code != 0:
            raise AssertionError(f"az {' '.join(args)}: {code} {err[-2000:]}")
        if output != "json":
            return out.strip()
        return json.loads(out) if out.strip() else None

    def analytics(self, *args):
        return self.az("monitor", "log-analytics", *args)

    # --- who, and where ---------------------------------------------------------------------------------
    def test_the_account_is_the_servers(self):
        a = self.az("account", "show")
        self.assertEqual((a["id"], a["tenantId"], a["state"]), (self.c["subscriptionId"], self.c["tenantId"], "Enabled"))

    def test_a_wrong_secret_is_named(self):
        with tempfile.TemporaryDirectory() as other:
            env = {**self.env, "AZURE_CONFIG_DIR": other}
            r = subprocess.run(["az", *self.login("wrong")], env=env, capture_output=True, text=True, timeout=180)
        self.assertNotEqual(r.returncode, 0)
        self.assertIn("AADSTS7000215", r.stderr)

    # --- reading ----------------------------------------------------------------------------------------
    def test_clusters_are_shown_and_listed(self):
        c = self.analytics("cluster", "show", "-g", "rg", "-n", "cluster1")
        self.assertEqual(c["keyVaultProperties"], {
            "keyName": "k1", "keyVaultUri": self.s.vault_url(), "keyVersion": self.version})
        self.assertEqual((c["provisioningState"], c["sku"]["capacity"], c["resourceGroup"]), ("Succeeded", 500, "rg"))
        for args in (("list",), ("list", "-g", "rg")):
            self.assertIn("cluster1", [c["name"] for c in self.analytics("cluster", *args)])

    def test_workspaces_tables_and_links_are_shown_and_listed(self):
        w = self.analytics("workspace", "show", "-g", "rg", "-n", "workspace1")
        self.assertEqual((w["customerId"], w["provisioningState"]), (self.w, "Succeeded"))
        self.assertIn("workspace1", [w["name"] for w in self.analytics("workspace", "list")])
        tables = self.analytics("workspace", "table", "list", "-g", "rg", "--workspace-name", "workspace1")
        self.assertIn("Canary_CL", [t["name"] for t in tables])
        links = self.analytics("workspace", "linked-service", "list", "-g", "rg", "--workspace-name", "workspace1")
        self.assertEqual([x["writeAccessResourceId"].rsplit("/", 1)[1] for x in links], ["cluster1"])

    def test_vaults_are_found_without_their_group(self):
        self.assertEqual([v["name"] for v in self.az("keyvault", "list") if v["name"] == "kv1"], ["kv1"])
        v = self.az("keyvault", "show", "-n", "kv1")
        self.assertEqual(v["properties"]["vaultUri"], self.s.vault_url("/"))

    def test_groups_providers_and_resources_are_listed(self):
        self.assertIn("rg", [g["name"] for g in self.az("group", "list")])
        self.assertEqual(self.az("provider", "show", "-n", "Microsoft.OperationalInsights")["registrationState"], "Registered")
        found = self.az("resource", "list", "--resource-type", "Microsoft.OperationalInsights/clusters")
        self.assertEqual({r["type"] for r in found}, {"Microsoft.OperationalInsights/clusters"})

    def test_what_does_not_exist_is_said_in_azs_own_words(self):
        r = self.run_az(["az"], ["monitor", "log-analytics", "cluster", "show", "-g", "rg", "-n", "nothing"])
        self.assertEqual(r.returncode, 3, r.stderr)
        self.assertIn("ResourceNotFound", r.stderr)

    # --- queries ----------------------------------------------------------------------------------------
    def rest_query(self, kql):
        e = self.c["endpoint"]
        return ("rest", "--method", "post", "--resource", e, "--url", f"{e}/v1/workspaces/{self.w}/query",
                "--body", json.dumps({"query": kql}))

    def test_az_rest_queries(self):
        a = self.az(*self.rest_query("Canary_CL | sort by Word asc | project Word"))
        self.assertEqual(a["tables"][0]["rows"], [["az"], ["hello"]])

    def test_az_rest_queries_over_workspaces(self):
        e = self.c["endpoint"]
        body = {"query": "union withsource=S Canary_CL, workspace('workspace1').Canary_CL | summarize n = count() by S", "workspaces": ["workspace1"]}
        a = self.az("rest", "--method", "post", "--resource", e, "--url", f"{e}/v1/workspaces/{self.w}/query", "--body", json.dumps(body))
        self.assertEqual(a["tables"][0]["rows"], [["Canary_CL", 4]])

    # --- changing ---------------------------------------------------------------------------------------
    def test_groups_and_tables_are_made(self):
        self.assertEqual(self.az("group", "create", "-n", "made-by-az", "-l", "westeurope")["location"], "westeurope")
        t = self.analytics("workspace", "table", "create", "-g", "rg", "--workspace-name", "workspace1", "-n", "Az_CL",
                           "--columns", "TimeGenerated=datetime", "Word=string")
        self.assertEqual([c["name"] for c in t["schema"]["columns"]], ["TimeGenerated", "Word"])

    def test_a_cluster_with_its_key_its_workspace_and_its_link_are_made_and_unmade(self):
        self.az("keyvault", "create", "-g", "rg", "-n", "kv-by-az", "-l", "westeurope")
        c = self.az("monitor", "log-analytics", "cluster", "create", "-g", "rg", "-n", "cluster2", "--sku-capacity", "500",
                      "-l", "westeurope")
        self.assertEqual(c["provisioningState"], "Succeeded")
        self.az("keyvault", "set-policy", "-g", "rg", "-n", "kv1", "--object-id", c["identity"]["principalId"],
                  "--key-permissions", "get", "wrapKey", "unwrapKey")
        c = self.az("monitor", "log-analytics", "cluster", "update", "-g", "rg", "-n", "cluster2", "--key-vault-uri",
                      self.s.vault_url(), "--key-name", "k1", "--key-version", self.version)
        self.assertEqual(c["keyVaultProperties"]["keyVersion"], self.version)
        self.assertEqual(c["provisioningState"], "Succeeded")
        w = self.az("monitor", "log-analytics", "workspace", "create", "-g", "rg", "-n", "workspace2")
        self.assertEqual(w["provisioningState"], "Succeeded")
        named = ("-g", "rg", "--workspace-name", "workspace2", "-n", "cluster")
        self.az("monitor", "log-analytics", "workspace", "linked-service", "create", *named, "--write-access-resource-id",
                  c["id"])
        self.s.wait(lambda: "cluster2" in json.dumps(self.analytics("workspace", "show", "-g", "rg", "-n", "workspace2")),
                    what="the link")
        self.az("monitor", "log-analytics", "workspace", "linked-service", "delete", *named, "-y")
        self.analytics("workspace", "delete", "-g", "rg", "-n", "workspace2", "-y")
        self.analytics("workspace", "recover", "-g", "rg", "-n", "workspace2")
        self.assertEqual(self.analytics("workspace", "show", "-g", "rg", "-n", "workspace2")["customerId"], w["customerId"])
        self.analytics("workspace", "delete", "-g", "rg", "-n", "workspace2", "-y", "--force")
        self.az("monitor", "log-analytics", "cluster", "delete", "-g", "rg", "-n", "cluster2", "-y")
        self.assertNotIn("cluster2", [c["name"] for c in self.analytics("cluster", "list")])

    def test_a_workspace_is_updated_and_its_keys_and_schema_are_read(self):
        named = ("-g", "rg", "-n", "workspace1")
        self.assertEqual(self.analytics("workspace", "update", *named, "--retention-time", "60")["retentionInDays"], 60)
        self.assertTrue(self.analytics("workspace", "get-shared-keys", *named)["primarySharedKey"])
        self.assertIn("Word", json.dumps(self.analytics("workspace", "get-schema", *named)))
        t = ("-g", "rg", "--workspace-name", "workspace1", "-n", "Canary_CL")
        self.assertEqual(self.analytics("workspace", "table", "update", *t, "--retention-time", "90")["retentionInDays"], 90)
        self.assertEqual(self.analytics("workspace", "table", "show", *t)["name"], "Canary_CL")

    def test_saved_searches_live_and_go(self):
        named = ("-g", "rg", "--workspace-name", "workspace1", "-n", "mine")
        made = self.analytics("workspace", "saved-search", "create", *named, "--category", "c", "--display-name", "d", "-q",
                              "Canary_CL | count")
        self.assertEqual((made["query"], made["category"]), ("Canary_CL | count", "c"))
        changed = self.analytics("workspace", "saved-search", "update", *named, "--display-name", "other")
        self.assertEqual((changed["displayName"], changed["query"]), ("other", "Canary_CL | count"))
        self.assertEqual(self.analytics("workspace", "saved-search", "show", *named)["displayName"], "other")
        self.assertEqual(len(self.analytics("workspace", "saved-search", "list", "-g", "rg", "--workspace-name", "workspace1")), 1)
        self.analytics("workspace", "saved-search", "delete", *named, "-y")
        self.assertEqual(self.analytics("workspace", "saved-search", "list", "-g", "rg", "--workspace-name", "workspace1"), [])

    def test_keys_are_shown_changed_and_rotated(self):
        self.s.key("POST", "/keys/k3/create", {"kty": "RSA"})
        named = ("--vault-name", "kv1", "-n", "k3")
        first = self.az("keyvault", "key", "show", *named)["key"]["kid"]
        self.assertTrue(first.startswith(self.s.vault_url("/keys/k3/")))
        self.assertFalse(self.az("keyvault", "key", "set-attributes", *named, "--enabled", "false")["attributes"]["enabled"])
        self.az("keyvault", "key", "set-attributes", *named, "--enabled", "true")
        self.assertNotEqual(self.az("keyvault", "key", "rotate", *named)["key"]["kid"], first)
        self.az("keyvault", "key", "rotation-policy", "show", *named)
        policy = self.az("keyvault", "key", "rotation-policy", "update", *named, "--value", json.dumps({
            "lifetimeActions": [{"trigger": {"timeAfterCreate": "P90D"}, "action": {"type": "Rotate"}}], "attributes": {"expiryTime": "P2Y"}}))
        self.assertEqual((policy["expiresIn"], policy["lifetimeActions"][0]["timeAfterCreate"]), ("P2Y", "P90D"))
        how = ("-a", "RSA-OAEP-256", "--data-type", "plaintext", "--value")
        sealed = self.az("keyvault", "key", "encrypt", *named, *how, "abc")["result"]
        self.assertEqual(self.az("keyvault", "key", "decrypt", *named, *how, sealed)["result"], "abc")

    @unittest.skipUnless(DEBIAN, "another az than Debian's")
    def test_what_debians_az_cannot_do_with_keys(self):
        """Its package lacks azure-keyvault 1.1: these commands end before a request is made. tests/clients/keys.mjs does them all."""
        named, before = ("--vault-name", "kv1", "-n", "k1"), self.s.key("GET", "/keys/k1").json
        for command in ("create", "list-versions", "delete", "show-deleted", "recover", "purge"):
            with self.subTest(command=command), self.assertRaises(AssertionError):
                self.az("keyvault", "key", command, *named)
        self.assertEqual(self.s.key("GET", "/keys/k1").json, before)

    def test_roles_are_given_and_taken(self):
        self.az("group", "create", "-n", "roles", "-l", "westeurope")
        scope, oid = self.s.group(group="roles"), self.az("identity", "create", "-g", "roles", "-n", "someone", "-l",
                                                          "westeurope")["principalId"]
        self.assertEqual(self.az("role", "definition", "list", "-n", "Reader")[0]["roleName"], "Reader")
        made = self.az("role", "assignment", "create", "--role", "Reader", "--assignee-object-id", oid, "--assignee-principal-type",
                       "ServicePrincipal", "--scope", scope)
        self.assertEqual((made["principalId"], made["scope"]), (oid, scope))
        found = self.az("role", "assignment", "list", "--scope", scope)
        self.assertEqual([x["principalId"] for x in found], [oid])
        self.az("role", "assignment", "delete", "--ids", made["id"])
        self.assertEqual(self.az("role", "assignment", "list", "--scope", scope), [])
        self.az("group", "delete", "-n", "roles", "-y")
        self.assertFalse(self.az("group", "exists", "-n", "roles"))

    def test_policies_of_vaults_are_set_and_taken(self):
        named, oid = ("-n", "kv1", "-g", "rg"), "33333333-0000-4000-8000-000000000001"
        v = self.az("keyvault", "set-policy", *named, "--object-id", oid, "--key-permissions", "get", "list")
        self.assertEqual([sorted(p["permissions"]["keys"]) for p in v["properties"]["accessPolicies"] if p["objectId"] == oid], [["get", "list"]])
        v = self.az("keyvault", "delete-policy", *named, "--object-id", oid)
        self.assertNotIn(oid, [p["objectId"] for p in v["properties"]["accessPolicies"]])
        self.assertEqual(self.az("keyvault", "update", *named, "--retention-days", "90")["properties"]["softDeleteRetentionInDays"], 90)

    def test_links_are_shown_changed_and_awaited(self):
        named = ("-g", "rg", "--workspace-name", "workspace1")
        link = self.analytics("workspace", "linked-service", "show", *named, "-n", "cluster")
        self.assertEqual(link["writeAccessResourceId"], self.s.cluster_path())
        self.analytics("workspace", "linked-service", "wait", *named, "-n", "cluster", "--exists")
        for kept in ("linkstore1", "linkstore2"):
            self.az("storage", "account", "create", "-n", kept, "-g", "rg", "-l", "westeurope", "--sku", "Standard_LRS")
        store = self.s.group("/providers/Microsoft.Storage/storageAccounts/linkstore")
        self.analytics("workspace", "linked-storage", "create", *named, "--type", "CustomLogs", "--storage-accounts", store + "1")
        more = self.analytics("workspace", "linked-storage", "add", *named, "--type", "CustomLogs", "--storage-accounts", store + "2")
        self.assertEqual(more["storageAccountIds"], [store + "1", store + "2"])
        self.analytics("workspace", "linked-storage", "remove", *named, "--type", "CustomLogs", "--storage-accounts", store + "1")
        shown = self.analytics("workspace", "linked-storage", "show", *named, "--type", "CustomLogs")
        self.assertEqual(shown["storageAccountIds"], [store + "2"])
        self.analytics("workspace", "linked-storage", "delete", *named, "--type", "CustomLogs", "-y")

    def test_deleted_workspaces_are_listed_and_tables_go(self):
        self.analytics("workspace", "create", "-g", "rg", "-n", "workspace3")
        self.analytics("workspace", "delete", "-g", "rg", "-n", "workspace3", "-y")
        self.assertIn("workspace3", [w["name"] for w in self.analytics("workspace", "list-deleted-workspaces", "-g", "rg")])
        self.analytics("workspace", "recover", "-g", "rg", "-n", "workspace3")
        named = ("-g", "rg", "--workspace-name", "workspace3", "-n", "Gone_CL")
        self.analytics("workspace", "table", "create", *named, "--columns", "TimeGenerated=datetime")
        self.analytics("workspace", "table", "delete", *named, "-y")
        self.assertNotIn("Gone_CL", [t["name"] for t in self.analytics("workspace", "table", "list", *named[:4])])
        self.analytics("workspace", "delete", "-g", "rg", "-n", "workspace3", "-y", "--force")

    def test_a_cluster_is_changed_awaited_and_deleted_without_waiting(self):
        named = ("-g", "rg", "-n", "cluster3")
        self.analytics("cluster", "create", *named, "--sku-capacity", "500", "-l", "westeurope", "--no-wait")
        self.analytics("cluster", "wait", *named, "--created", "--interval", "1")
        c = self.analytics("cluster", "update", *named, "--sku-capacity", "1000", "--billing-type", "Workspaces", "--tags", "a=b")
        self.assertEqual((c["sku"]["capacity"], c["billingType"], c["tags"]), (1000, "Workspaces", {"a": "b"}))
        self.analytics("cluster", "delete", *named, "-y", "--no-wait")
        self.analytics("cluster", "wait", *named, "--deleted", "--interval", "1")

    def test_groups_identities_locks_and_single_resources_are_shown(self):
        self.assertEqual(self.az("group", "show", "-n", "rg")["properties"]["provisioningState"], "Succeeded")
        self.assertEqual(self.az("group", "update", "-n", "rg", "--tags", "a=b")["tags"], {"a": "b"})
        self.az("identity", "create", "-g", "rg", "-n", "shown", "-l", "westeurope")
        self.assertEqual(self.az("identity", "show", "-g", "rg", "-n", "shown")["type"], "Microsoft.ManagedIdentity/userAssignedIdentities")
        self.assertIn("shown", [x["name"] for x in self.az("identity", "list", "-g", "rg")])
        self.az("identity", "delete", "-g", "rg", "-n", "shown")
        self.assertEqual(self.az("resource", "show", "--ids", self.s.cluster_path())["properties"]["provisioningState"], "Succeeded")
        self.assertEqual(self.az("provider", "register", "-n", "Microsoft.DocumentDB"), None)
        self.assertTrue(self.az("account", "get-access-token")["accessToken"])

    # --- the article --------------------------------------------------------------------------------------
    def procedure(self, key_version):
        """The lines of the article of 2023 for az, in its order and words, with names of things that are here."""
        sub, vault = self.c["subscriptionId"], self.s.vault_url()
        account = self.s.group("/providers/Microsoft.Storage/storageAccounts/articlestore")
        group, workspace = ("--resource-group", "rg"), ("--workspace-name", "workspace1")
        enter = ("account", "set", "--subscription", sub)
        analytics = ("monitor", "log-analytics")
        yield enter
        yield (*analytics, "cluster", "update", "--no-wait", "--name", "cluster1", *group, "--key-name", "k1", "--key-vault-uri", vault,
               "--key-version", key_version)
        yield (*analytics, "cluster", "list", *group, "--query", "[?contains(name, 'cluster1')].[id]", "--output", "tsv")
        yield ("resource", "wait", "--created", "--ids", self.s.cluster_path(), "--include-response-body", "true")
        for kind in ("Query", "ALerts"):
            yield enter
            yield enter
            yield (*analytics, "workspace", "linked-storage", "create", "--type", kind, *group, *workspace, "--storage-accounts", account)

    def as_printed(self, key_version):
        """The same lines out of the article itself: long dashes become two short ones, an inner quote another one, and a variable is set
        as a shell does."""
        with open(os.path.join(article.FOLDER, "cmk-2023-06.md"), encoding="utf-8") as f:
            text = f.read()
        sub = self.c["subscriptionId"]
        meant = {"cluster-subscription-id": sub, "storage-account-subscription-id": sub, "workspace-subscription-id": sub,
                 "cluster-name": "cluster1", "resource-group-name": "rg", "workspace-name": "workspace1", "key-name": "k1",
                 "key-uri": self.s.vault_url(), "key-version": key_version, "$clusterResourceId": self.s.cluster_path(),
                 "$storageAccountId": self.s.group("/providers/Microsoft.Storage/storageAccounts/articlestore")}
        for block in re.findall(r"```azurecli\n(.*?)```", text, re.S):
            for line in filter(None, map(str.strip, block.split("\n"))):
                line = re.sub(r"^\$clusterResourceId = ", "", line.replace("\u2014", "--"))
                if not line.startswith("az "):
                    continue  # a comment, or a variable that the next line uses
                words = shlex.split(line.replace('"cluster-name")].[id]"', "'cluster-name')].[id]\""))
                yield tuple(meant.get(w, w.replace("'cluster-name'", "'cluster1'")) for w in words[1:])

    def test_the_procedure_of_the_article_of_2023_works_from_the_first_to_the_last_line(self):
        version = self.az("keyvault", "key", "show", "--vault-name", "kv1", "-n", "k1")["key"]["kid"].rsplit("/", 1)[1]
        lines = list(self.procedure(version))
        if article.exists("cmk-2023-06.md"):
            self.assertEqual(lines, list(self.as_printed(version)))
        self.az("storage", "account", "create", "-n", "articlestore", "-g", "rg", "-l", "westeurope", "--sku", "Standard_LRS")
        for line in lines:
            with self.subTest(" ".join(line)):
                self.az(*line, output=None)
        self.analytics("cluster", "wait", "-g", "rg", "-n", "cluster1", "--created", "--interval", "1")
        named = ("-g", "rg", "--workspace-name", "workspace1")
        made = self.analytics("workspace", "linked-storage", "list", *named)
        self.assertEqual(sorted(x["dataSourceType"].lower() for x in made), ["alerts", "query"])
        self.analytics("workspace", "linked-storage", "delete", *named, "--type", "Query", "-y")
        self.analytics("workspace", "linked-storage", "delete", *named, "--type", "Alerts", "-y")

    def test_zz_a_revoked_key_is_named(self):
        self.s.key("PATCH", f"/keys/k1/{self.version}", {"attributes": {"enabled": False}})
        self.s.wait(lambda: self.s.query("Canary_CL | count", self.w).status == 403, 30, "revocation")
        r = self.run_az(["az"], self.rest_query("Canary_CL | count"))
        self.assertNotEqual(r.returncode, 0)
        self.assertIn("CustomerManagedKeyUnavailable", r.stderr)
        self.s.key("PATCH", f"/keys/k1/{self.version}", {"attributes": {"enabled": True}})
        self.s.wait(lambda: self.s.query("Canary_CL | count", self.w).status == 200, 60, "restore")


@unittest.skipUnless(shutil.which("az"), "az is not installed: tools/deps.sh clients")
class Recipe(unittest.TestCase):
    def test_every_line_that_the_walk_prints_for_az_works_as_it_stands(self):
        with Server() as s, tempfile.TemporaryDirectory(prefix="keystead-az-") as home:
            walk = subprocess.run([PROGRAM, "walk", "--data", s.data], capture_output=True, text=True, timeout=400)
            self.assertEqual(walk.returncode, 0, walk.stdout[-2000:] + walk.stderr[-2000:])
            lines = walk.stdout.splitlines()
            start = next(i for i, line in enumerate(lines) if line.startswith("   az CLI"))
            recipe = []
            for line in lines[start + 1:]:
                if not line.startswith(" " * 15):
                    break
                recipe.append(line.strip())
            self.assertGreater(len(recipe), 8, walk.stdout[-3000:])
            r = subprocess.run(["sh", "-eu"], input="\n".join(recipe) + "\n", env=environment(home), capture_output=True,
                               text=True, timeout=300)
            self.assertEqual(r.returncode, 0, "\n".join(recipe) + "\n" + r.stdout[-2000:] + r.stderr[-4000:])
            self.assertIn('"keyName": "logs-kek"', r.stdout)
            self.assertIn("demo-logs", r.stdout)
            self.assertIn('"PrimaryResult"', r.stdout)


if __name__ == "__main__":
    unittest.main()
