# SPDX-License-Identifier: Apache-2.0
"""tests/crash/test_restore.py - processes are killed while a key comes back, before it, and while it goes: every row is there once, or
counted as dropped.

    python3 test_restore.py [--rounds N] [--seed S]      a failure prints the seed that repeats its schedule
A round is an outage (rows are spooled) or a revocation (rows are dropped and counted); the kill falls on the lock, on what is sent
meanwhile, on the replay, or on the draining of the spool.
"""
import os
import random
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "http"))
from keystead import Server  # noqa: E402
from killed import Killed  # noqa: E402
from rounds import main, rounds_and_seed  # noqa: E402

ROUNDS, SEED = rounds_and_seed(4)
# Of the way back, by what the log says of it.
STEPS = {"outage": ['now="RESTORING"', "event=account.opened", "event=spool.put_back", 'now="ACTIVE"'],
         "revocation": ['now="RESTORING"', "event=account.opened", 'now="ACTIVE"']}


class Restore(Killed, unittest.TestCase):
    def test_whoever_is_killed_while_a_key_goes_or_comes_back_every_row_is_there_once_or_counted(self):
        seed = SEED if SEED is not None else random.randrange(1 << 32)
        self.rnd = rnd = random.Random(seed)
        print(f"seed {seed}, {ROUNDS} rounds", flush=True)
        with Server("--virtual-clock") as s:
            self.begin(s)
            for i in range(ROUNDS):
                kind = ("outage", "revocation")[i % 2]
                moment = rnd.choice(["going", "away", "back", "step", "step"])
                step = rnd.choice(STEPS[kind])
                victim = rnd.choice(["logs", "logs", "keyd", "vault", "identity", "all"])
                self.where = f"seed {seed}, round {i}: {kind}, killed {victim} " + (f"at {step}" if moment == "step" else f"while {moment}")
                print(self.where, flush=True)
                self.send(2)
                self.take(kind)
                if moment == "going":
                    self.kill(victim)
                self.reach("SUSPENDED" if kind == "outage" else "REVOKED")
                self.send(2)
                if moment == "away":
                    self.kill(victim)
                    self.reach("SUSPENDED" if kind == "outage" else "REVOKED")
                    self.send(1)
                killer = self.kill_at(step, victim) if moment == "step" else None
                self.give(kind)
                if moment == "back":
                    self.kill(victim)
                self.reach("ACTIVE")
                if killer is not None:
                    killer.join()
                    self.reach("ACTIVE")
                self.check()


if __name__ == "__main__":
    main()
