# SPDX-License-Identifier: Apache-2.0
"""tests/crash/test_activity.py - everything is killed while resources are written: what is there is in the activity log, once.

    python3 test_activity.py [--rounds N] [--seed S]      a failure prints the seed that repeats its schedule
"""
import os
import random
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "http"))
from keystead import Server  # noqa: E402
from rounds import main, rounds_and_seed  # noqa: E402

ROUNDS, SEED = rounds_and_seed(4)
WRITERS = 6


class Activity(unittest.TestCase):
    def setUp(self):
        self.s = Server().__enter__()
        self.s.done(self.s.arm("PUT", self.s.group(), "2021-04-01", {"location": "westeurope"}))
        self.s.make_workspace(cluster=None)

    def tearDown(self):
        self.s.close()

    def account(self, name=""):
        return self.s.group("/providers/Microsoft.Storage/storageAccounts" + (f"/{name}" if name else ""))

    def test_whatever_is_killed_when_each_change_is_told_once(self):
        seed = SEED if SEED is not None else random.randrange(1 << 32)
        rnd = random.Random(seed)
        print(f"seed {seed}, {ROUNDS} rounds", flush=True)
        s = self.s
        for i in range(ROUNDS):
            s.token("https://management.azure.com")

            def write(k, i=i):
                n = 0
                try:
                    while True:
                        s.arm("PUT", self.account(f"r{i}w{k}n{n}"), "2022-09-01", {"location": "westeurope"})
                        n += 1
                except (OSError, ValueError):
                    pass
            threads = [threading.Thread(target=write, args=(k,)) for k in range(WRITERS)]
            for t in threads:
                t.start()
            time.sleep(rnd.uniform(0.1, 0.5))
            s.kill()
            for t in threads:
                t.join()
            s.start()
        there = sorted(a["name"] for a in s.arm("GET", self.account(), "2022-09-01").json["value"])
        told = sorted(r[0] for r in s.rows(
            "AzureActivity | where OperationNameValue =~ 'Microsoft.Storage/storageAccounts/write' and ActivityStatusValue == 'Success' "
            "| project Resource", s.workspace_id()))
        self.assertEqual(told, there, f"seed {seed}")
        self.assertGreater(len(there), ROUNDS)


if __name__ == "__main__":
    main()
