# SPDX-License-Identifier: Apache-2.0
"""tests/http/test_copy.py - a copied data directory: it serves under the vault's name it was made with, and says so under another."""
import os
import shutil
import tempfile
import unittest

from keystead import Server, free_ports


class Copy(unittest.TestCase):
    def test_a_copy_starts_under_its_vaults_name_and_under_no_other(self):
        with Server() as s:
            s.make_all()
            w = s.workspace_id()
            s.make_table("Copied_CL", {"N": "long"})
            self.assertEqual(s.send("Copied_CL", [{"N": 1}], w).status, 204)
            s.stop()
            elsewhere = tempfile.mkdtemp(prefix="keystead-copy-")
            self.addCleanup(shutil.rmtree, elsewhere)
            copy = Server(data=shutil.copytree(s.data, os.path.join(elsewhere, "copy"), symlinks=True))
            self.addCleanup(copy.close)
            with self.assertRaisesRegex(RuntimeError, f"named under vault.localhost:{s.vault_port}, not vault.localhost:{copy.vault_port}"):
                copy.start()
            copy.port, copy.vault_port = free_ports(1)[0], s.vault_port  # the front's may be another
            copy.start()
            copy.wait(lambda: copy.query("Copied_CL | count", w).status == 200, 60, "its key")
            self.assertEqual(copy.rows("Copied_CL | count", w), [[1]])


if __name__ == "__main__":
    unittest.main()
