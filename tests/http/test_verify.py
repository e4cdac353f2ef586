# SPDX-License-Identifier: Apache-2.0
"""tests/http/test_verify.py - verify finds damage, tells it from missing keys, and changes nothing."""
import json
import os
import subprocess
import unittest

from keystead import PROGRAM, Server


def verify(s, *options):
    p = subprocess.run([PROGRAM, "verify", "--data", s.data, "-o", "json", *options], capture_output=True, timeout=120)
    return p.returncode, (json.loads(p.stdout) if p.stdout else None), p.stderr.decode()


def files_of(s, ending):
    return [path for path in s.files() if path.endswith(ending)]


class Verify(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.s = Server().__enter__()
        cls.version = cls.s.make_all()
        cls.w = cls.s.workspace_id()
        cls.s.make_table("Many_CL", {"N": "long", "Text": "string"})
        for start in range(0, 140000, 10000):  # enough for segments
            a = cls.s.send("Many_CL", [{"N": n, "Text": f"r{n % 97}"} for n in range(start, start + 10000)], cls.w)
            assert a.status == 204, a
        cls.s.wait(lambda: files_of(cls.s, ".seg"), 60, "a segment")

    @classmethod
    def tearDownClass(cls):
        cls.s.close()

    def test_1_beside_a_running_server_every_block_is_opened(self):
        code, report, err = verify(self.s)
        self.assertEqual(code, 0, err)
        self.assertGreater(report["blocks"], 10)
        self.assertEqual(report["blocks"], report["opened"], report)
        self.assertEqual({a["scope"] for a in report["accounts"]}, {"platform", "cluster1"}, report)
        self.assertTrue(all(a["kek"].startswith("https://") for a in report["accounts"]), report)

    def test_2_without_keys_headers_lengths_and_hashes_are_checked(self):
        code, report, err = verify(self.s, "--no-keys")
        self.assertEqual((code, report["opened"]), (0, 0), err)

    def test_3_a_stopped_server_is_verified_on_private_sockets(self):
        self.assertEqual(self.s.stop(), 0)
        code, report, err = verify(self.s)
        self.assertEqual(code, 0, err)
        self.assertEqual(report["blocks"], report["opened"], report)

    def test_4_one_flipped_bit_in_a_segment_is_damage_with_keys_and_without(self):
        path = sorted(files_of(self.s, ".seg"))[0]
        with open(path, "r+b") as f:
            f.seek(os.path.getsize(path) // 2)
            byte = f.read(1)[0]
            f.seek(-1, 1)
            f.write(bytes([byte ^ 4]))
        try:
            for options in ((), ("--no-keys",)):
                code, report, err = verify(self.s, *options)
                self.assertEqual(code, 3, err)
                self.assertEqual(len(report["damages"]), 1, report)
        finally:
            with open(path, "r+b") as f:
                f.seek(os.path.getsize(path) // 2)
                f.write(bytes([byte]))
        self.assertEqual(verify(self.s)[0], 0)

    def test_5_a_revoked_key_is_missing_keys_and_verify_leaves_the_state_alone(self):
        self.s.start()
        self.s.key("PATCH", f"/keys/k1/{self.version}", {"attributes": {"enabled": False}})
        self.s.wait(lambda: self.s.query("Many_CL | count", self.w).status == 403, 30, "revocation")
        code, report, err = verify(self.s)
        self.assertEqual(code, 4, err)
        self.assertGreater(report["bytesWithoutKey"], 0)
        self.s.stop()
        code, report, err = verify(self.s)
        self.assertEqual(code, 4, err)
        self.assertGreater(report["bytesWithoutKey"], 0)
        self.s.start()
        self.assertEqual(self.s.query("Many_CL | count", self.w).status, 403)
        self.s.key("PATCH", f"/keys/k1/{self.version}", {"attributes": {"enabled": True}})
        self.s.wait(lambda: self.s.query("Many_CL | count", self.w).status == 200, 60, "restore")
        self.assertEqual(self.s.rows("Many_CL | count", self.w), [[140000]])

    def test_6_a_directory_without_a_store_is_refused(self):
        p = subprocess.run([PROGRAM, "verify", "--data", "/nonexistent"], capture_output=True, timeout=30)
        self.assertEqual(p.returncode, 1)
        p = subprocess.run([PROGRAM, "verify"], capture_output=True, timeout=30)
        self.assertEqual(p.returncode, 2)


if __name__ == "__main__":
    unittest.main()
