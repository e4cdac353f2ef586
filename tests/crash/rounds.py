# SPDX-License-Identifier: Apache-2.0
"""tests/crash/rounds.py - the options of every program here: [--rounds N] [--seed N]; a seed repeats a failure."""
import argparse
import sys
import unittest


def rounds_and_seed(rounds):
    """What was asked for; (rounds, None) without a word."""
    p = argparse.ArgumentParser(add_help=False)
    p.add_argument("--rounds", type=int, default=rounds)
    p.add_argument("--seed", type=int)
    asked, _ = p.parse_known_args()
    return asked.rounds, asked.seed


def main():
    unittest.main(module="__main__", argv=[sys.argv[0], "-v"])
