# SPDX-License-Identifier: Apache-2.0
"""tests/http/test_layers.py - double encryption: who gets it, what is on the disk, and what happens without its key."""
import json
import os
import shutil
import subprocess
import tempfile
import unittest

from keystead import PROGRAM, Server
from softhsm import Token

HEADER = 128


def verify(s, *options):
    p = subprocess.run([PROGRAM, "verify", "--data", s.data, "-o", "json", *options], capture_output=True, timeout=600)
    return p.returncode, (json.loads(p.stdout) if p.stdout else None), p.stderr.decode()


def layers_of(path):
    """1 or 2, by what stands behind the file's header; a block that lies bare in a file of two is none.

    None: the file is gone by now, or is so new that nothing is in it."""
    try:
        with open(path, "rb") as f:
            data = f.read()
    except FileNotFoundError:
        return None
    if len(data) < HEADER + 4:
        return None
    framed = data[HEADER:HEADER + 4] == b"KSTO"
    assert framed or data[HEADER:HEADER + 4] == b"KSTB", data[HEADER:HEADER + 4]
    return (2 if b"KSTB" not in data else 0) if framed else 1


def account_of(path):
    try:
        with open(path, "rb") as f:
            return f.read(24)[8:]
    except FileNotFoundError:
        return None  # merged meanwhile


class Layers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.elsewhere = tempfile.mkdtemp(prefix="keystead-iek-")
        cls.iek = os.path.join(cls.elsewhere, "iek.key")
        cls.s = Server("--infrastructure-key", cls.iek).__enter__()
        cls.s.make_all()  # a cluster of 2022-10-01 that says nothing: sealed twice
        cls.w = cls.s.workspace_id()
        cls.s.make_table("Twice_CL", {"N": "long", "Text": "string"})
        for start in range(0, 140000, 10000):
            a = cls.s.send("Twice_CL", [{"N": n, "Text": f"r{n % 97}"} for n in range(start, start + 10000)], cls.w)
            assert a.status == 204, a
        cls.s.wait(lambda: cls.files(".seg"), 60, "a segment")
        accounts = cls.s.call("GET", "/admin/keys/status").json["accounts"]
        cls.cluster_account = next(a["account"] for a in accounts if a["cluster"] == "cluster1")

    @classmethod
    def tearDownClass(cls):
        cls.s.close()
        shutil.rmtree(cls.elsewhere, ignore_errors=True)

    @classmethod
    def files(cls, *endings):
        return [path for path in cls.s.files() if path.endswith(endings)]

    def segments(self):
        """The cluster's: the platform has some of its own, for the log of key uses."""
        account = bytes.fromhex(self.cluster_account)
        return [p for p in self.files(".seg") if account_of(p) == account]

    def reads(self, kql, want):
        """After a start its key may still be on its way."""
        self.s.wait(lambda: self.s.query(kql, self.w).status == 200, 60, "the key")
        self.assertEqual(self.s.rows(kql, self.w), want)

    def account(self):
        a = self.s.call("GET", "/admin/keys/status")
        self.assertEqual(a.status, 200, a)
        return next(x for x in a.json["accounts"] if x["cluster"] == "cluster1"), a.json

    def test_1_a_cluster_is_double_by_default_and_says_so(self):
        c = self.s.arm("GET", self.s.cluster_path(), "2022-10-01").json
        self.assertIs(c["properties"]["isDoubleEncryptionEnabled"], True)
        account, status = self.account()
        self.assertEqual(account["layers"], 2)
        self.assertEqual(status["infrastructureKey"]["state"], "ready")
        self.assertEqual(status["infrastructureKey"]["custodian"], "file " + self.iek)
        self.assertEqual((os.path.getsize(self.iek), os.stat(self.iek).st_mode & 0o777), (32, 0o600))
        self.assertFalse(os.path.exists(os.path.join(self.s.data, "keyd/iek.key")))
        p = subprocess.run([PROGRAM, "keys", "status", "--data", self.s.data], capture_output=True, text=True, timeout=600)
        self.assertIn(f"infrastructure key (double encryption): ready; file {self.iek}", p.stdout)

    def test_2_it_cannot_be_changed(self):
        for version, body in (("2022-10-01", False), ("2025-07-01", False)):
            a = self.s.arm("PATCH", self.s.cluster_path(), version, {"properties": {"isDoubleEncryptionEnabled": body}})
            self.assertEqual(a.status, 400, a)
        a = self.s.arm("PATCH", self.s.cluster_path(), "2022-10-01", {"properties": {"isDoubleEncryptionEnabled": True}})
        self.assertLess(a.status, 300, a)

    def test_3_every_file_of_the_cluster_is_sealed_twice_and_the_others_once(self):
        self.s.make_workspace("plain", None)
        self.s.make_table("Once_CL", {"N": "long"}, "plain")
        self.assertEqual(self.s.send("Once_CL", [{"N": 1}], self.s.workspace_id("plain")).status, 204)
        self.assertEqual(self.s.send("Twice_CL", [{"N": 140000, "Text": "last"}], self.w).status, 204)
        account = self.account()[0]["account"].replace("-", "")
        mine = [p for p in self.files(".wal") if account in p]
        self.assertTrue(mine)
        self.assertEqual({layers_of(p) for p in mine + self.segments()} - {None}, {2})
        self.assertEqual({layers_of(p) for p in self.files(".wal") if account not in p} - {None}, {1})
        code, report, err = verify(self.s)
        self.assertEqual(code, 0, err)
        self.assertEqual(report["blocks"], report["opened"])
        cluster = next(a for a in report["accounts"] if a["scope"] == "cluster1")
        self.assertEqual(report["frames"], cluster["blocks"])
        self.assertEqual({x["iek"] for x in cluster["aeks"]}, {self.account()[1]["infrastructureKey"]["id"]})
        self.assertTrue(all(x["kek"].startswith("https://") for x in cluster["aeks"]), report)

    def test_4_rows_survive_a_restart_and_verify_needs_the_same_key(self):
        self.s.stop()
        code, report, err = verify(self.s, "--infrastructure-key", self.iek)
        self.assertEqual((code, report["opened"]), (0, report["blocks"]), err)
        code, report, err = verify(self.s, "--no-keys")
        self.assertEqual(code, 0, err)
        self.assertGreater(report["frames"], 5)
        code, report, err = verify(self.s)  # it looks in the data directory, where no key is
        self.assertEqual(code, 4, err)
        self.s.start()
        self.reads("Twice_CL | summarize count(), sum(N)", [[140001, 140000 * 140001 // 2]])

    def test_5_without_the_key_nothing_is_read_dropped_or_revoked(self):
        self.s.stop()
        os.rename(self.iek, self.iek + ".away")
        self.s.start()
        self.assertEqual(self.s.query("Twice_CL | count", self.w).status, 503)
        a = self.s.send("Twice_CL", [{"N": 1, "Text": "later"}], self.w)
        self.assertEqual(a.status, 503, a)
        account, status = self.account()
        self.assertNotEqual(account["state"], "REVOKED")
        self.assertIn("missing", status["infrastructureKey"]["state"])
        self.s.stop()
        with open(self.iek, "wb") as f:
            f.write(bytes(32))
        os.chmod(self.iek, 0o600)
        self.s.start()  # another key in its place is no better
        self.assertEqual(self.s.query("Twice_CL | count", self.w).status, 503)
        self.s.stop()
        os.rename(self.iek + ".away", self.iek)
        self.s.start()
        self.reads("Twice_CL | count", [[140001]])

    def test_6_a_flipped_bit_of_the_outer_layer_is_damage(self):
        path = sorted(self.segments())[0]
        for at in (HEADER + 60, os.path.getsize(path) // 2):  # a frame's salt; its body
            with open(path, "r+b") as f:
                f.seek(at)
                byte = f.read(1)[0]
                f.seek(at)
                f.write(bytes([byte ^ 1]))
                f.flush()
                code, report, err = verify(self.s)
                self.assertEqual((code, len(report["damages"])), (3, 1), err)
                f.seek(at)
                f.write(bytes([byte]))
        self.assertEqual(verify(self.s)[0], 0)


class Place(unittest.TestCase):
    def test_without_a_path_the_key_lies_in_the_data_directory_and_the_status_says_so(self):
        with Server() as s:
            status = s.call("GET", "/admin/keys/status").json
            self.assertIn("in the data directory", status["infrastructureKey"]["custodian"])
            self.assertEqual(os.stat(os.path.join(s.data, "keyd/iek.key")).st_mode & 0o777, 0o600)


class InToken(unittest.TestCase):
    def test_the_key_may_lie_under_a_key_that_never_leaves_an_hsm(self):
        token = Token("layers")
        self.addCleanup(token.close)
        with Server(*token.options, "--infrastructure-key", "hsm:infrastructure") as s:
            s.make_all()
            w = s.workspace_id()
            s.make_table("Twice_CL", {"N": "long"})
            self.assertEqual(s.send("Twice_CL", [{"N": 1}], w).status, 204)
            status = s.call("GET", "/admin/keys/status").json["infrastructureKey"]
            self.assertEqual((status["state"], status["custodian"]), ("ready", "key infrastructure of token layers"))
            wrapped = os.path.join(s.data, "keyd/iek.wrapped")
            self.assertEqual(os.path.getsize(wrapped), 40)
            self.assertFalse(os.path.exists(os.path.join(s.data, "keyd/iek.key")))
            s.stop()
            s.start()
            s.wait(lambda: s.query("Twice_CL | count", w).status == 200, 60, "the key")
            self.assertEqual(s.rows("Twice_CL | count", w), [[1]])
            s.stop()
            with open(wrapped, "r+b") as f:
                byte = f.read(1)[0]
                f.seek(0)
                f.write(bytes([byte ^ 1]))
            s.start()
            self.assertEqual(s.query("Twice_CL | count", w).status, 503)


if __name__ == "__main__":
    unittest.main()
