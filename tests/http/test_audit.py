# SPDX-License-Identifier: Apache-2.0
"""tests/http/test_audit.py - the log of key uses: verified, tampered with, anchored, followed; what keyd gave up."""
import json
import os
import shutil
import subprocess
import tempfile
import unittest

from keystead import PROGRAM, Server


def audit(what, s, *options):
    p = subprocess.run([PROGRAM, "audit", what, "--data", s.data, *options], capture_output=True, timeout=60)
    return p.returncode, p.stdout.decode(), p.stderr.decode()


def verify(s, *options):
    code, out, err = audit("verify", s, "-o", "json", *options)
    return code, (json.loads(out) if out else None), err


def status_of(pid):
    with open(f"/proc/{pid}/status") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


class Audit(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.outside = tempfile.mkdtemp(prefix="keystead-anchor-")
        cls.anchor = "file:" + os.path.join(cls.outside, "anchor")
        cls.s = Server("--anchor", cls.anchor).__enter__()
        cls.version = cls.s.make_all(key_version=False)
        cls.w = cls.s.workspace_id()
        cls.s.make_table("Few_CL", {"N": "long"})
        assert cls.s.send("Few_CL", [{"N": n} for n in range(10)], cls.w).status == 204
        cls.key = os.path.join(cls.s.data, "keyd", "auditor.key")

    @classmethod
    def tearDownClass(cls):
        cls.s.close()
        shutil.rmtree(cls.outside)

    def log_files(self):
        folder = os.path.join(self.s.data, "keyd")
        return sorted(os.path.join(folder, f) for f in os.listdir(folder)
                      if f.startswith("audit-") and f.endswith(".log"))

    def test_1_beside_a_running_server_the_log_is_good_and_every_mac_is_checked(self):
        code, report, err = verify(self.s, "--auditor-key", self.key, "--anchor", self.anchor)
        self.assertEqual((code, report["damages"]), (0, []), err)
        self.assertEqual(report["macs"], report["lines"])
        self.assertTrue(report["signerFromElsewhere"] and report["anchored"])
        status = self.s.call("GET", "/admin/keys/status").json
        self.assertEqual(status["audit"]["signer"], report["signer"])
        self.assertEqual(status["audit"]["auditorKeyLiesHere"], self.key)
        self.assertTrue(status["anchor"].startswith(self.anchor + ", written 2"), status["anchor"])

    def test_2_tail_shows_the_last_lines_of_an_event(self):
        code, out, err = audit("tail", self.s, "-n", "3", "--event", "lease", "-o", "json")
        self.assertEqual(code, 0, err)
        lines = [json.loads(line) for line in out.splitlines()]
        self.assertTrue(1 <= len(lines) <= 3)
        self.assertTrue(all(x["event"] == "lease" and len(x["sha256"]) == 64 for x in lines), lines)
        account = lines[0]["account"]
        code, out, err = audit("tail", self.s, "--account", account[:8])
        self.assertTrue(0 < len(out.splitlines()) <= 20, err)
        self.assertEqual({line.split()[3] for line in out.splitlines()}, {account[:8]})

    def test_3_tail_follows(self):
        p = subprocess.Popen([PROGRAM, "audit", "tail", "--data", self.s.data, "-f", "-n", "0", "-o", "json"],
                             stdout=subprocess.PIPE)
        try:
            self.assertIn("event", json.loads(p.stdout.readline()))  # a probe writes one every 6 s
        finally:
            p.kill()
            p.wait()
            p.stdout.close()

    def test_4_what_keyd_gave_up_is_seen_from_outside(self):
        pid = self.s.pids()["keyd"]
        status = status_of(pid)
        self.assertEqual((status["Seccomp"], status["NoNewPrivs"]), ("2", "1"))
        with open(f"/proc/{pid}/limits") as f:
            core = next(line for line in f if line.startswith("Max core file size"))
        self.assertEqual(core.split()[4:6], ["0", "0"], core)
        self.assertEqual(os.stat(f"/proc/{pid}/mem").st_uid, 0, "not dumpable: its files are root's")

    def test_5_a_changed_line_and_a_cut_tail_are_damage(self):
        self.assertEqual(self.s.stop(), 0)
        path = self.log_files()[-1]
        with open(path, "rb") as f:
            good = f.read()
        try:
            changed = bytearray(good)
            changed[len(good) // 2] ^= 1
            with open(path, "wb") as f:
                f.write(changed)
            code, report, err = verify(self.s)
            self.assertEqual(code, 3, err)
            lines = good.splitlines(True)
            with open(path, "wb") as f:
                f.write(b"".join(lines[:-3]))
            code, report, err = verify(self.s, "--anchor", self.anchor)
            self.assertEqual(code, 3, err)
            self.assertIn("the anchor has seen", report["damages"][0]["text"])
        finally:
            with open(path, "wb") as f:
                f.write(good)
        code, report, err = verify(self.s, "--auditor-key", self.key, "--anchor", self.anchor)
        self.assertEqual(code, 0, report)
        self.s.start()

    def test_6_an_older_copy_of_the_data_directory_does_not_open_until_it_is_accepted(self):
        self.assertEqual(self.s.stop(), 0)
        copy = self.s.data + ".copy"
        shutil.copytree(self.s.data, copy)
        try:
            self.s.start()
            self.s.key("POST", "/keys/k1/rotate")  # the key follows its latest version: wraps change
            before = self.s.call("GET", "/admin/keys/status").json["audit"]["generation"]
            self.s.wait(lambda: self.s.call("GET", "/admin/keys/status").json["audit"]["generation"] > before, 60,
                        "a rotation")
            self.assertEqual(self.s.stop(), 0)
            shutil.rmtree(os.path.join(self.s.data, "keyd"))
            shutil.copytree(os.path.join(copy, "keyd"), os.path.join(self.s.data, "keyd"))
            for name in ("catalog.db", "catalog.db-wal", "catalog.db-shm"):
                if os.path.exists(os.path.join(self.s.data, name)):
                    os.unlink(os.path.join(self.s.data, name))
                if os.path.exists(os.path.join(copy, name)):
                    shutil.copy(os.path.join(copy, name), self.s.data)
            with self.assertRaises(RuntimeError):
                self.s.start(timeout=8)
            self.s.kill()
            log = self.s.log_tail(20000)
            self.assertIn("an older catalogue was put back", log)
            number = log.split("--accept-rollback ")[-1].split('"')[0].split()[0]
            self.s.options += ["--accept-rollback", number]
            self.s.start()
            code, out, err = audit("tail", self.s, "-n", "1000", "--event", "rollback.accepted", "-o", "json")
            self.assertIn("older catalogue", out)
        finally:
            shutil.rmtree(copy)


if __name__ == "__main__":
    unittest.main()
