# SPDX-License-Identifier: Apache-2.0
"""tests/http/test_memory.py - after a revocation no plaintext of a row is left in any process and on any disk.

Needs the right to read /proc/PID/mem of processes that are not dumpable (root); says so and skips without it.
"""
import os
import re
import unittest

from keystead import Server

CANARY = "xylophone-canary-%05d"


def memory_hits(pid, needle):
    """How often the bytes stand in the readable memory of a process."""
    hits = 0
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            m = re.match(r"([0-9a-f]+)-([0-9a-f]+) r", line)
            if m is None or line.rstrip().endswith(("[vvar]", "[vsyscall]", "[vvar_vclock]")):
                continue
            at, end, tail = int(m.group(1), 16), int(m.group(2), 16), b""
            try:
                mem.seek(at)
                while at < end:
                    part = mem.read(min(1 << 22, end - at))
                    if not part:
                        break
                    text = tail + part
                    hits += text.count(needle)
                    tail = text[-len(needle) + 1:]
                    hits -= tail.count(needle)
                    at += len(part)
            except (OSError, ValueError, OverflowError):
                continue  # memfd_secret, and pages that may not be read
    return hits


class Memory(unittest.TestCase):
    @unittest.skipUnless(os.geteuid() == 0, "reading the memory of processes that are not dumpable needs root")
    def test_one_second_after_a_revocation_no_row_is_left_in_memory_or_on_disk(self):
        with Server() as s:
            version = s.make_all()
            w = s.workspace_id()
            s.make_table("Canary_CL", {"Word": "string"})
            for start in range(0, 2000, 500):
                a = s.send("Canary_CL", [{"Word": CANARY % n} for n in range(start, start + 500)], w)
                self.assertEqual(a.status, 204, a)
            s.rows("Canary_CL | where Word has 'xylophone' | project Word", w)
            needle = b"xylophone-canary-0"
            before = {n: memory_hits(p, needle) for n, p in s.pids().items()}
            self.assertGreater(before["logs"], 1000, "the control: rows are in memory while the key is good")
            s.key("PATCH", f"/keys/k1/{version}", {"attributes": {"enabled": False}})
            s.wait(lambda: s.query("Canary_CL | count", w).status == 403, 30, "revocation")
            import time
            time.sleep(1)
            after = {n: memory_hits(p, needle) for n, p in s.pids().items()}
            self.assertEqual(after, {n: 0 for n in after})
            for folder, _, names in os.walk(s.data):
                for name in names:
                    with open(os.path.join(folder, name), "rb") as f:
                        self.assertNotIn(needle, f.read(), name)
            s.key("PATCH", f"/keys/k1/{version}", {"attributes": {"enabled": True}})
            s.wait(lambda: s.query("Canary_CL | count", w).status == 200, 60, "restore")
            self.assertEqual(s.rows("Canary_CL | count", w), [[2000]])


if __name__ == "__main__":
    unittest.main()
