# SPDX-License-Identifier: Apache-2.0
"""tests/clients/test_js.py - the JavaScript SDKs of package.json, from npm, against a server of their own.

Needs Node 20 or newer with npm, and the registry at the first run; says so and skips without them.
"""
import fcntl
import os
import re
import shutil
import subprocess
import unittest
import uuid

from scripts import HERE, Scripts

from keystead import ROOT
from softhsm import Token

PLACE = os.path.join(ROOT, "build", "clients")


def node_version():
    try:
        return int(re.match(r"v(\d+)", subprocess.run(["node", "--version"], capture_output=True, text=True).stdout).group(1))
    except (OSError, AttributeError):
        return 0


def same(a, b):
    try:
        with open(a, "rb") as x, open(b, "rb") as y:
            return x.read() == y.read()
    except OSError:
        return False


def install():
    """Into build/clients, once for each state of package.json. Returns why not."""
    if node_version() < 20 or shutil.which("npm") is None:
        return "Node 20 or newer with npm is not installed"
    os.makedirs(PLACE, exist_ok=True)
    with open(os.path.join(PLACE, "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another test may want the same
        return install_here()


def install_here():
    wanted, stamp = os.path.join(HERE, "package.json"), os.path.join(PLACE, "installed.json")
    if same(wanted, stamp):
        return None
    shutil.copy(wanted, os.path.join(PLACE, "package.json"))
    try:
        r = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock", "--fetch-retries=1",
                            "--fetch-timeout=30000"],
                           cwd=PLACE, capture_output=True, text=True, timeout=150)
    except subprocess.TimeoutExpired:
        return "npm install did not end within 150 s"
    if r.returncode != 0:
        return "npm install failed: " + r.stderr[-300:]
    shutil.copy(wanted, stamp)
    return None


CRYPTO_USER = "21dbd100-6940-42c2-9190-5d6cb909625b"


class JavaScript(Scripts):
    @classmethod
    def setUpClass(cls):
        why = install()
        if why is not None:
            raise unittest.SkipTest(why)
        cls.token = Token()
        cls.addClassCleanup(cls.token.close)
        cls.options = cls.token.options
        super().setUpClass()

    def run_node(self, name):
        shutil.copy(os.path.join(HERE, name), PLACE)
        self.run_script(["node", name], "NODE_EXTRA_CA_CERTS", PLACE)

    def test_the_sdks_do_the_main_job(self):
        self.run_node("sdk.mjs")

    def test_the_sdks_make_what_stands_around_a_workspace(self):
        self.run_node("around.mjs")

    def test_kusto_data_queries(self):
        self.run_node("kusto.mjs")

    def test_keyvault_keys_does_all_it_can_with_vaults_and_managed_hsms(self):
        s, c = self.s, self.s.credentials
        s.done(s.arm("PUT", s.group("/providers/Microsoft.KeyVault/vaults/keys-kv"), "2022-07-01", {
            "location": "westeurope", "properties": {
                "tenantId": c["tenantId"], "sku": {"family": "A", "name": "premium"},
                "accessPolicies": [{"tenantId": c["tenantId"], "objectId": c["objectId"], "permissions": {"keys": ["all"]}}]}}))
        s.done(s.arm("PUT", s.group("/providers/Microsoft.KeyVault/managedHSMs/keys-pool"), "2023-07-01", {
            "location": "westeurope", "sku": {"family": "B", "name": "Standard_B1"}, "properties": {
                "tenantId": c["tenantId"], "initialAdminObjectIds": [c["objectId"]]}}))
        pool = "https://keys-pool.managedhsm." + c["vaultSuffix"].partition(".")[2]
        for role in (CRYPTO_USER, "515eb02d-2335-4d2d-92f2-b1cbdf9c3778"):  # and Crypto Officer: recovers
            a = s.call("PUT", f"{pool}/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}?api-version=7.4",
                       {"properties": {"principalId": c["objectId"], "roleDefinitionId": role}}, "https://managedhsm.azure.net")
            self.assertEqual(a.status, 201, a)
        self.run_node("keys.mjs")

    def test_arm_keyvault_does_all_it_can_with_vaults_and_pools(self):
        self.s.done(self.s.arm("PUT", self.s.group(group="vaults"), "2021-04-01", {"location": "westeurope"}))
        self.run_node("vaults.mjs")


if __name__ == "__main__":
    unittest.main()
