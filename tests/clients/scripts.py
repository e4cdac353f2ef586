# SPDX-License-Identifier: Apache-2.0
"""tests/clients/scripts.py - one server for all scripts of a family of clients, and how a script is run against it.

The server has what make_all() makes and a table Words_CL of three rows in workspace1; a script makes what it needs besides.
"""
import os
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "http"))

from keystead import Server


def environment(**more):
    """Without what would lead a client elsewhere."""
    return {**{k: v for k, v in os.environ.items() if not k.startswith(("AZURE_", "ARM_", "PYTHON"))}, **more}


class Scripts(unittest.TestCase):
    options = ()

    @classmethod
    def setUpClass(cls):
        cls.s = Server(*cls.options).start()
        cls.addClassCleanup(cls.s.close)
        cls.s.make_all()
        cls.s.done(cls.s.arm("PUT", cls.s.group(group="sdk"), "2021-04-01", {"location": "westeurope"}))
        cls.s.make_table("Words_CL", {"Word": "string", "Number": "long"})
        a = cls.s.send("Words_CL", [{"Word": w, "Number": n} for n, w in enumerate("abc")], cls.s.workspace_id())
        assert a.status == 204, a

    def run_script(self, command, ca_variable, cwd=None):
        """Prints what the script says; it ends with "done"."""
        r = subprocess.run([*command, os.path.join(self.s.data, "credentials.json")], cwd=cwd, stdout=subprocess.PIPE,
                           env=environment(**{ca_variable: self.s.credentials["caFile"]}), stderr=subprocess.STDOUT, text=True,
                           timeout=500)
        print("\n" + r.stdout, end="")
        self.assertEqual(r.returncode, 0)
        self.assertTrue(r.stdout.endswith("done\n"))
