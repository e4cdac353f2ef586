# SPDX-License-Identifier: Apache-2.0
"""tests/http/test_memory_keys.py - after a revocation no key of the customer's data is left in any process and in any file.

    python3 test_memory_keys.py [--rounds N]      so many revocations with plain pages, and so many with memfd_secret

Once with plain locked pages, which can be read from outside (KEYSTEAD_PLAIN_SECRETS, for directories with a virtual clock only): the
keys are found while the key is good, so they would be found afterwards. And once as keyd runs in earnest. Needs root, and says so.
"""
import os
import sys
import unittest

import keyring
from keystead import Server
from remains import files_have, has_secret_pages, memory_has, what_stays

ROUNDS = 1
CANARY = "marzipan-canary-%05d"


@unittest.skipUnless(os.geteuid() == 0, "reading the memory of processes that are not dumpable needs root")
class MemoryKeys(unittest.TestCase):
    def needles(self, s, version):
        """The same bytes in every form; a row's too."""
        all_keys = keyring.all_keys(s, f"/keys/k1/{version}")
        found = {f"canary {n}": (CANARY % n).encode() for n in (0, 7)}
        for i, (name, key) in enumerate(all_keys):
            found.update({f"{name} {i} {form}": b for form, b in keyring.forms(key).items()})
        return found, {name for name, _ in all_keys}

    def search(self, s, needles):
        return {f"{process}: {name}" for process, pid in s.pids().items() for name in memory_has(pid, needles)}

    def round(self, s, w, version, i, plain):
        rows = [{"Word": CANARY % n} for n in range(i * 40, i * 40 + 40)]
        self.assertEqual(s.send("Canary_CL", rows, w).status, 204)
        self.assertEqual(s.rows("Canary_CL | where Word has 'marzipan' | project Word | count", w), [[(i + 1) * 40]])
        needles, kinds = self.needles(s, version)
        self.assertLessEqual({"AEK", "file key"}, kinds)
        before = self.search(s, needles)
        held = {" ".join(h.split(" ")[:2]) for h in before if h.endswith(("raw", "inner state"))}
        if plain:  # the control
            self.assertLessEqual({"keyd: AEK", "logs: file", "logs: canary"}, held | {"logs: canary" for h in before if "canary" in h}, before)
        else:
            self.assertEqual(held, set())

        s.key("PATCH", f"/keys/k1/{version}", {"attributes": {"enabled": False}})
        s.wait(lambda: s.query("Canary_CL | count", w).status == 403, 60, f"revocation {i}")
        self.assertEqual(what_stays(lambda: self.search(s, needles)), set(), f"round {i}")
        self.assertEqual(files_have(s.data, needles), set(), f"round {i}")
        s.key("PATCH", f"/keys/k1/{version}", {"attributes": {"enabled": True}})
        s.wait(lambda: s.query("Canary_CL | count", w).status == 200, 90, f"restore {i}")

    def revoke_often(self, s, plain):
        version = s.make_all()
        w = s.workspace_id()
        s.make_table("Canary_CL", {"Word": "string"})
        self.assertEqual(has_secret_pages(s.pids()["keyd"]), not plain and self.kernel_has_secret_pages)
        for i in range(ROUNDS):
            self.round(s, w, version, i, plain)

    def test_no_key_is_left_where_locked_pages_can_be_read(self):
        os.environ["KEYSTEAD_PLAIN_SECRETS"] = "1"
        try:
            with Server("--virtual-clock") as s:
                self.revoke_often(s, True)
        finally:
            del os.environ["KEYSTEAD_PLAIN_SECRETS"]

    def test_no_key_is_left_outside_of_secret_pages(self):
        with Server() as s:
            self.kernel_has_secret_pages = has_secret_pages(s.pids()["keyd"])
            self.revoke_often(s, not self.kernel_has_secret_pages)

    def test_plain_pages_are_for_a_virtual_clock_only(self):
        os.environ["KEYSTEAD_PLAIN_SECRETS"] = "1"
        try:
            with Server() as s:
                self.assertNotIn("secrets.plain_pages", s.log_tail(1000000))
        finally:
            del os.environ["KEYSTEAD_PLAIN_SECRETS"]

    kernel_has_secret_pages = True


if __name__ == "__main__":
    if "--rounds" in sys.argv:
        at = sys.argv.index("--rounds")
        ROUNDS = int(sys.argv[at + 1])
        del sys.argv[at:at + 2]
    unittest.main()
