# SPDX-License-Identifier: Apache-2.0
"""tests/clients/said.py - what the scripts of the Python SDKs say of each step."""


def ok(sentence):
    print("ok -", sentence, flush=True)


def fails(kind, call):
    try:
        call()
    except kind as e:
        return e
    raise AssertionError(f"no {kind.__name__}")
