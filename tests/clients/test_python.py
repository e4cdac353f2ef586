# SPDX-License-Identifier: Apache-2.0
"""tests/clients/test_python.py - the Python SDKs, as Debian ships them or as they are installed, against a server of its own.

Needs python3-azure (tools/deps.sh clients); says so and skips without it.
"""
import os
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "http"))

from keystead import Server

NEEDED = "import azure.identity, azure.keyvault.keys, azure.mgmt.keyvault, azure.mgmt.loganalytics, azure.monitor.ingestion, " \
    "azure.monitor.query, azure.mgmt.monitor, azure.mgmt.applicationinsights, azure.mgmt.securityinsight, azure.mgmt.msi, " \
    "azure.mgmt.authorization"


def interpreter():
    """This one, or Debian's own where this one is another."""
    for program in (sys.executable, "/usr/bin/python3"):
        try:
            if subprocess.run([program, "-c", NEEDED], env=environment(), capture_output=True).returncode == 0:
                return program
        except OSError:
            pass
    return None


def environment(**more):
    return {**{k: v for k, v in os.environ.items() if not k.startswith(("AZURE_", "PYTHON"))}, **more}


@unittest.skipUnless(os.environ.get("KEYSTEAD_CLIENTS"), "set KEYSTEAD_CLIENTS=1 to run Microsoft's SDKs")
class Python(unittest.TestCase):
    def run_script(self, s, name):
        program = interpreter()
        if program is None:
            self.skipTest("python3-azure is not installed: tools/deps.sh clients")
        r = subprocess.run([program, os.path.join(HERE, name), os.path.join(s.data, "credentials.json")],
                           env=environment(REQUESTS_CA_BUNDLE=s.credentials["caFile"]), stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, timeout=400)
        print("\n" + r.stdout, end="")
        self.assertEqual(r.returncode, 0)
        self.assertTrue(r.stdout.endswith("done\n"))

    def test_the_sdks_do_the_main_job(self):
        with Server() as s:
            s.done(s.arm("PUT", s.group(group="sdk"), "2021-04-01", {"location": "westeurope"}))
            self.run_script(s, "sdk.py")

    def test_the_sdks_make_what_stands_around_a_workspace(self):
        with Server() as s:
            s.make_all()
            self.run_script(s, "around.py")


if __name__ == "__main__":
    unittest.main()
