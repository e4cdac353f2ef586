# SPDX-License-Identifier: Apache-2.0
"""tests/clients/test_js.py - the JavaScript SDKs of package.json, from npm, against a server of its own.

Needs Node 20 or newer with npm, and the registry at the first run; says so and skips without them.
"""
import os
import re
import shutil
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "http"))

from keystead import ROOT, Server

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
    os.makedirs(PLACE, exist_ok=True)
    wanted, stamp = os.path.join(HERE, "package.json"), os.path.join(PLACE, "installed.json")
    if same(wanted, stamp):
        return None
    shutil.copy(wanted, os.path.join(PLACE, "package.json"))
    r = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock"], cwd=PLACE,
                       capture_output=True, text=True, timeout=300)
    if r.returncode != 0:
        return "npm install failed: " + r.stderr[-300:]
    shutil.copy(wanted, stamp)
    return None


@unittest.skipUnless(os.environ.get("KEYSTEAD_CLIENTS"), "set KEYSTEAD_CLIENTS=1 to run Microsoft's SDKs")
class JavaScript(unittest.TestCase):
    def test_the_sdks_do_the_main_job(self):
        if node_version() < 20 or shutil.which("npm") is None:
            self.skipTest("Node 20 or newer with npm is not installed")
        why = install()
        if why is not None:
            self.skipTest(why)
        shutil.copy(os.path.join(HERE, "sdk.mjs"), PLACE)
        with Server() as s:
            s.done(s.arm("PUT", s.group(group="sdk"), "2021-04-01", {"location": "westeurope"}))
            env = {**os.environ, "NODE_EXTRA_CA_CERTS": s.credentials["caFile"]}
            r = subprocess.run(["node", "sdk.mjs", os.path.join(s.data, "credentials.json")], cwd=PLACE, env=env,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=400)
            print("\n" + r.stdout, end="")
            self.assertEqual(r.returncode, 0)
            self.assertTrue(r.stdout.endswith("done\n"))


if __name__ == "__main__":
    unittest.main()
