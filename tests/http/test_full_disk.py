# SPDX-License-Identifier: Apache-2.0
"""tests/http/test_full_disk.py - no room on the disk: nothing acknowledged is lost, and all goes on by itself with the room."""
import os
import shutil
import subprocess
import tempfile
import unittest

from keystead import Server


class FullDisk(unittest.TestCase):
    def setUp(self):
        self.disk = tempfile.mkdtemp(prefix="keystead-disk-")
        self.addCleanup(shutil.rmtree, self.disk, True)
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", self.disk], capture_output=True)
        if mounted.returncode != 0:
            self.skipTest("a small disk of one's own needs the right to mount")
        self.addCleanup(subprocess.run, ["umount", "-l", self.disk])
        data = os.path.join(self.disk, "data")
        os.mkdir(data)
        self.s = Server("--virtual-clock", data=data).start()
        self.addCleanup(self.s.close)

    def fill(self):
        with open(os.path.join(self.disk, "other"), "wb", buffering=0) as f:
            for n in (65536, 512, 1):
                try:
                    while True:
                        f.write(bytes(n))
                except OSError:
                    pass

    def calm(self, call, *args, **more):
        """None where a process is on its way."""
        try:
            return call(*args, **more)
        except (OSError, AssertionError):
            return None

    def send(self, n):
        a = self.calm(self.s.send, "Canary_CL", [{"Number": n}], self.w)
        if a is not None and a.status == 204:
            self.acknowledged.append(n)
        return a is not None and a.status == 204

    def is_active(self):
        self.calm(self.s.turn, 7)
        a = self.calm(self.s.call, "GET", "/admin/keys/status")
        return a is not None and a.status == 200 and {x["state"] for x in a.json["accounts"]} == {"ACTIVE"}

    def test_a_full_disk_stops_only_while_it_is_full(self):
        self.s.make_all()
        self.w, self.acknowledged = self.s.workspace_id(), []
        self.s.make_table("Canary_CL", {"Number": "long"})
        self.assertTrue(self.send(0))
        keyd = self.s.pids()["keyd"]
        self.fill()

        def keyd_ended():  # each probe leaves lines; without room for them keyd begins anew
            self.calm(self.s.turn, 7)
            self.send(len(self.acknowledged) + 1000)
            return self.s.pids().get("keyd") != keyd
        self.s.wait(keyd_ended, 60, "another keyd")
        os.unlink(os.path.join(self.disk, "other"))
        self.s.wait(self.is_active, 60, "ACTIVE")
        self.s.wait(lambda: self.send(1), 60, "to take rows again")
        numbers = [r[0] for r in self.s.rows("Canary_CL | project Number", self.w)]
        for n in self.acknowledged:
            self.assertEqual(numbers.count(n), self.acknowledged.count(n), n)
        self.assertEqual(self.s.stop(), 0)


if __name__ == "__main__":
    unittest.main()
