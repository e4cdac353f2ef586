# SPDX-License-Identifier: Apache-2.0
"""tests/http/test_clock.py - the virtual clock turns probes, retention and tokens."""
import subprocess
import unittest

from keystead import PROGRAM, Server


class Clock(unittest.TestCase):
    def test_days_pass_in_seconds_and_the_key_is_probed_meanwhile(self):
        with Server("--virtual-clock", probe=30) as s:
            version = s.make_all()
            w = s.workspace_id()
            s.make_table("T_CL", {"N": "long"})
            self.assertEqual(s.send("T_CL", [{"N": 1}], w).status, 204)
            before = s.call("GET", "/admin/clock").json
            s.key("PATCH", f"/keys/k1/{version}", {"attributes": {"enabled": False}})
            a = s.call("POST", "/admin/clock", {"advanceSeconds": 60})
            self.assertEqual(a.status, 200, a)
            self.assertNotEqual(before, a.json)
            self.assertEqual(s.query("T_CL | count", w).status, 403)
            s.key("PATCH", f"/keys/k1/{version}", {"attributes": {"enabled": True}})
            self.assertEqual(s.call("POST", "/admin/clock", {"advanceSeconds": 60}).status, 200)
            s.wait(lambda: s.query("T_CL | count", w).status == 200, 20, "restore")
            self.assertEqual(s.call("POST", "/admin/clock", {"advanceSeconds": -1}).status, 400)
            a = s.call("POST", "/admin/clock", {"advanceSeconds": 7200}, timeout=120)
            self.assertEqual(a.status, 200, a)
            self.assertEqual(s.call("GET", "/admin/clock").status, 401, "a token of an hour is over")
            s.tokens = {}
            self.assertEqual(s.call("GET", "/admin/clock").status, 200)
            s.stop()
            p = subprocess.run([PROGRAM, "up", "--data", s.data], capture_output=True, timeout=30)
            self.assertEqual(p.returncode, 1)
            self.assertIn(b"virtual-clock", p.stderr)


if __name__ == "__main__":
    unittest.main()
