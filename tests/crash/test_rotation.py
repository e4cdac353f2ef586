# SPDX-License-Identifier: Apache-2.0
"""tests/crash/test_rotation.py - keyd, the log service and the vault are killed while keys rotate; nothing becomes unreadable.

    python3 test_rotation.py [--rounds N] [--seed S]      a failure prints the seed that repeats its schedule
The steps one by one, with a death before and after each: tests/unit/custody/rotate_crash.c.
"""
import os
import random
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "http"))
from keystead import PROGRAM, Server  # noqa: E402
from rounds import main, rounds_and_seed  # noqa: E402

ROUNDS, SEED = rounds_and_seed(5)


def keys(s, *words):
    return subprocess.run([PROGRAM, "keys", *words, "--data", s.data], capture_output=True, timeout=120).returncode


class Rotation(unittest.TestCase):
    def test_whoever_is_killed_while_keys_rotate_all_rows_stay_readable_and_the_rotation_ends(self):
        seed = SEED if SEED is not None else random.randrange(1 << 32)
        rnd = random.Random(seed)
        print(f"seed {seed}, {ROUNDS} rounds", flush=True)
        with Server("--virtual-clock") as s:
            s.make_all(key_version=False)
            w = s.workspace_id()
            s.make_table("Turn_CL", {"N": "long"})
            sent = 0
            for i in range(ROUNDS):
                a = s.wait(lambda: self.try_send(s, w, sent), 60, f"ingestion (seed {seed}, round {i})")
                self.assertEqual(a.status, 204, a)
                sent += 100
                order = threading.Thread(target=self.turn, args=(s, rnd.choice(["kek", "aek", "data"])))
                order.start()
                time.sleep(rnd.uniform(0.0, 0.15))
                victim = rnd.choice(["keyd", "keyd", "logs", "vault", "all"])
                if victim == "all":
                    s.kill()
                    s.start()
                elif victim in s.pids():
                    os.kill(s.pids()[victim], 9)
                order.join()
                where = f"seed {seed}, round {i}, killed {victim}"
                print(where, flush=True)
                self.assertEqual(s.wait(lambda: self.count(s, w), 60, f"service, {where}"), [sent, sent], where)
            newest = s.wait(lambda: self.newest(s), 60, f"the vault, seed {seed}")
            s.wait(lambda: self.is_followed(s, newest), 60, f"the newest version, seed {seed}")
            for version in {v["kid"].rsplit("/", 1)[1] for v in s.key("GET", "/keys/k1/versions").json["value"]} - {newest}:
                s.key("PATCH", f"/keys/k1/{version}", {"attributes": {"enabled": False}})
            s.call("POST", "/admin/clock", {"advanceSeconds": 60})
            self.assertEqual(s.wait(lambda: self.count(s, w), 60, "service"), [sent, sent], f"seed {seed}")

    @staticmethod
    def turn(s, what):
        try:
            if what == "aek":
                keys(s, "rotate-aek", "--cluster", "cluster1")
            else:
                s.key("POST", "/keys/k1/rotate")
                keys(s, "rewrap", "--cluster", "cluster1", *(["--data-too", "--no-wait"] if what == "data" else []))
        except (OSError, AssertionError, subprocess.TimeoutExpired):
            pass  # it was killed

    @staticmethod
    def try_send(s, w, start):
        try:
            a = s.send("Turn_CL", [{"N": n} for n in range(start, start + 100)], w, request_id=f"batch-{start}")
            return a if a.status == 204 else None
        except OSError:
            return None

    @staticmethod
    def count(s, w):
        try:
            a = s.query("Turn_CL | summarize c=count() by N | summarize sum(c), count()", w)
            return a.json["tables"][0]["rows"][0] if a.status == 200 else None
        except OSError:
            return None

    @staticmethod
    def newest(s):
        try:
            return s.key("GET", "/keys/k1").json["key"]["kid"].rsplit("/", 1)[1]
        except OSError:
            return None  # the vault was killed last, and is not back yet

    @staticmethod
    def is_followed(s, newest):
        try:
            s.call("POST", "/admin/clock", {"advanceSeconds": 10})
            accounts = s.call("GET", "/admin/keys/status").json["accounts"]
        except (OSError, KeyError, ValueError):
            return False
        mine = [a for a in accounts if a["cluster"] == "cluster1"]
        return mine and all(x["count"] == 0 or x["version"] == newest for a in mine for x in a["wraps"])


if __name__ == "__main__":
    main()
