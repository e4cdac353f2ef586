# SPDX-License-Identifier: Apache-2.0
"""tests/http/test_memory.py - after a revocation no plaintext of a row is left in any process and on any disk.

Needs the right to read /proc/PID/mem of processes that are not dumpable (root); says so and skips without it.
"""
import json
import os
import unittest

from keystead import INGEST, QUERY, Connection, Server
from remains import files_have, memory_hits, what_stays

CANARY = "xylophone-canary-%05d"


@unittest.skipUnless(os.geteuid() == 0, "reading the memory of processes that are not dumpable needs root")
class Memory(unittest.TestCase):
    def search(self, s, needle):
        return {n: memory_hits(p, needle) for n, p in s.pids().items()}

    def revoke_and_search(self, s, version, w, needle):
        s.key("PATCH", f"/keys/k1/{version}", {"attributes": {"enabled": False}})
        s.wait(lambda: s.query("Canary_CL | count", w).status == 403, 30, "revocation")
        self.assertEqual(what_stays(lambda: {n: k for n, k in self.search(s, needle).items() if k != 0}), {})
        self.assertEqual(files_have(s.data, {"canary": needle}), set())

    def restore(self, s, version, w):
        s.key("PATCH", f"/keys/k1/{version}", {"attributes": {"enabled": True}})
        s.wait(lambda: s.query("Canary_CL | count", w).status == 200, 60, "restore")

    def test_one_second_after_a_revocation_no_row_is_left_in_memory_or_on_disk(self):
        with Server() as s:
            version = s.make_all()
            w = s.workspace_id()
            s.make_table("Canary_CL", {"Word": "string", "More": "dynamic"})
            needle = b"xylophone-canary-0"

            # Plain bodies, packed ones, strings with escapes; each on a connection of its own, which ends without a word.
            for start in range(0, 2000, 500):
                rows = [{"Word": CANARY % n} for n in range(start, start + 500)]
                a = s.send("Canary_CL", rows, w, compress=start % 1000 == 0)
                self.assertEqual(a.status, 204, a)
            odd = [{"Word": "\t" + CANARY % n, "More": {"x": ['"' + CANARY % n]}} for n in range(500)]
            self.assertEqual(s.send("Canary_CL", odd, w).status, 204)
            s.rows("Canary_CL | where Word has 'xylophone' | project Word", w)
            self.assertGreater(self.search(s, needle)["logs"], 1000, "the control: rows are in memory while the key is good")
            self.revoke_and_search(s, version, w, needle)
            self.restore(s, version, w)
            self.assertEqual(s.rows("Canary_CL | count", w), [[2500]])

            # Connections that stay open and idle: one sends rows, another asks for some.
            idle = Connection("localhost", s.port, timeout=60, context=s.context)
            for n in (1, 2, 30, 3):
                idle.request("POST", s.stream_path("Canary_CL", w), json.dumps([{"Word": CANARY % 0}] * n),
                             {"Authorization": "Bearer " + s.token(INGEST), "Content-Type": "application/json"})
                a = idle.getresponse()
                self.assertEqual((a.status, a.read()), (204, b""))
            c = Connection("localhost", s.port, timeout=60, context=s.context)
            for kql in ("take 700", "sort by Word | take 700", "summarize make_set(Word, 3000)", "extend W = strcat(Word, '!')",
                        "where More.x[0] has 'xylophone'", "project extract('(x.*)', 1, Word)"):
                kql = "Canary_CL | " + kql
                c.request("POST", f"/v1/workspaces/{w}/query", json.dumps({"query": kql}),
                          {"Authorization": "Bearer " + s.token(QUERY), "Content-Type": "application/json"})
                a = c.getresponse()
                self.assertEqual(a.status, 200, kql)
                self.assertIn(needle, a.read(), kql)
            self.revoke_and_search(s, version, w, needle)
            c.close()
            idle.close()
            self.restore(s, version, w)
            self.assertEqual(s.rows("Canary_CL | count", w), [[2536]])


if __name__ == "__main__":
    unittest.main()
