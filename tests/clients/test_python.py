# SPDX-License-Identifier: Apache-2.0
"""tests/clients/test_python.py - the Python SDKs, as Debian ships them or as they are installed, against a server of their own.

Needs python3-azure and python3-azure-kusto-data (tools/deps.sh clients); says so and skips what is missing.
"""
import os
import subprocess
import sys
import unittest

from scripts import HERE, Scripts

MAIN = "azure.identity azure.keyvault.keys azure.mgmt.keyvault azure.mgmt.loganalytics azure.monitor.ingestion azure.monitor.query"
AROUND = "azure.identity azure.mgmt.loganalytics azure.mgmt.monitor azure.mgmt.applicationinsights azure.mgmt.securityinsight " \
    "azure.mgmt.msi azure.mgmt.authorization"
KUSTO = "azure.kusto.data"


def interpreter(modules):
    """This one, or Debian's own where this one is another; None where neither has the modules."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    for program in (sys.executable, "/usr/bin/python3"):
        try:
            if subprocess.run([program, "-c", "import " + ", ".join(modules.split())], env=env, capture_output=True).returncode == 0:
                return program
        except OSError:
            pass
    return None


@unittest.skipUnless(interpreter("azure.identity") or interpreter(KUSTO), "no SDK is installed: tools/deps.sh clients")
class Python(Scripts):
    def run_python(self, name, modules):
        program = interpreter(modules)
        if program is None:
            self.skipTest(f"not all installed: {modules} (tools/deps.sh clients)")
        self.run_script([program, os.path.join(HERE, name)], "REQUESTS_CA_BUNDLE")

    def test_the_sdks_do_the_main_job(self):
        self.run_python("sdk.py", MAIN)

    def test_the_sdks_make_what_stands_around_a_workspace(self):
        self.run_python("around.py", AROUND)

    def test_kusto_data_queries(self):
        self.run_python("kusto.py", KUSTO)


if __name__ == "__main__":
    unittest.main()
