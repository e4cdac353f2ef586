# SPDX-License-Identifier: Apache-2.0
"""tests/http/test_parts.py - keystead vault and keystead logs on one data directory: two services that are restarted apart."""
import ctypes
import os
import resource
import signal
import subprocess
import time
import unittest

from keystead import PROGRAM, Server

PR_CAPBSET_DROP, CAP_IPC_LOCK = 24, 14


def lock_nothing():
    """In the child: no memory may be locked, also not by root."""
    ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_IPC_LOCK, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))


class Parts(unittest.TestCase):
    def start(self, part):
        p = subprocess.Popen([PROGRAM, part, "--data", self.s.data, "--listen", f"127.0.0.1:{self.s.port}", "--vault-listen",
                              f"127.0.0.1:{self.s.vault_port}", "--probe-seconds", "6"],
                             stdout=subprocess.PIPE, stderr=self.s.log, start_new_session=True)
        line = p.stdout.readline().decode()
        self.assertTrue(line.startswith("ready https://"), f"{part}: {line} {self.s.log_tail()}")
        return p

    def stop(self, p, how=signal.SIGTERM):
        os.killpg(p.pid, how)
        p.wait(40)
        p.stdout.close()

    def count(self):
        try:
            a = self.s.query("T_CL | count", self.w)
        except OSError:
            return None
        return a.json["tables"][0]["rows"][0][0] if a.status == 200 else None

    def test_each_part_is_stopped_and_killed_while_the_other_runs(self):
        self.s = Server()
        self.addCleanup(self.s.close)
        vault = self.start("vault")
        logs = self.start("logs")
        self.s.attach()
        self.s.make_all()
        self.w = self.s.workspace_id()
        self.s.make_table("T_CL", {"N": "long"})
        self.assertEqual(self.s.send("T_CL", [{"N": 1}], self.w).status, 204)
        for how in (signal.SIGTERM, signal.SIGKILL):
            self.stop(vault, how)
            time.sleep(1)
            vault = self.start("vault")
            self.s.tokens = {}
            self.s.wait(lambda: self.fresh_token(), 30, "tokens after the vault part came back")
            self.s.wait(lambda: self.count() == 1, 60, "queries after the vault part came back")
            self.stop(logs, how)
            logs = self.start("logs")
            self.s.wait(lambda: self.count() == 1, 60, "queries after the log part came back")
        p = subprocess.run([PROGRAM, "up", "--data", self.s.data, "--listen", "127.0.0.1:1", "--vault-listen", "127.0.0.1:2"],
                           capture_output=True, timeout=30)
        self.assertIn(b"in use", p.stderr)
        self.stop(logs)
        self.stop(vault)

    def test_keyd_that_may_lock_no_memory_says_so_and_its_part_ends(self):
        self.s = Server()
        self.addCleanup(self.s.close)
        vault = self.start("vault")
        for part, process in (("logs", "keyd"), ("up", "identity")):
            if part == "up":
                self.stop(vault)
            p = subprocess.run([PROGRAM, part, "--data", self.s.data, "--listen", f"127.0.0.1:{self.s.port}", "--vault-listen",
                                f"127.0.0.1:{self.s.vault_port}"], preexec_fn=lock_nothing, capture_output=True, timeout=60)
            self.assertEqual(p.returncode, 1, p.stderr)
            self.assertIn(f"keystead serve-{process}: no more memory can be locked: raise RLIMIT_MEMLOCK", p.stderr.decode())
            self.assertIn(f"{process} does not start: the lines above say why", p.stderr.decode())
        self.s.start()  # nothing half-made stays behind
        self.assertNotIn("iek.missing", self.s.log_tail(20000))

    def fresh_token(self):
        try:
            return self.s.call("GET", "/admin/clock").status
        except (OSError, AssertionError):
            return None


if __name__ == "__main__":
    unittest.main()
