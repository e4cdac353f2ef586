# SPDX-License-Identifier: Apache-2.0
"""tests/http/test_passphrase.py - the vault's passphrase through a descriptor: it is in no file and on no command line."""
import os
import unittest

from keystead import Server


class Passphrase(unittest.TestCase):
    def give(self, s, text):
        r, w = os.pipe()
        os.write(w, text)
        os.close(w)
        s.options = ["--vault-root", "passphrase", "--vault-passphrase-file", f"fd:{r}"]
        s.pass_fds = (r,)
        return r

    def test_it_is_read_once_and_serves_every_start_of_the_vault(self):
        s = Server()
        r = self.give(s, b"correct horse battery\nnot this\n")
        with s:
            os.close(r)
            for round in range(2):
                pids = s.pids()
                for pid in [s.process.pid, *pids.values()]:
                    with open(f"/proc/{pid}/cmdline", "rb") as f:
                        self.assertNotIn(b"horse", f.read())
                os.kill(pids["vault"], 9)
                s.wait(lambda: s.pids().get("vault") not in (None, pids["vault"]) and self.serves(s), 60, "the vault after its death")
            s.stop()
            r = self.give(s, b"another horse\n")
            with self.assertRaises(RuntimeError):
                s.start()
            os.close(r)
            r = self.give(s, b"correct horse battery")
            s.start()
            os.close(r)
            self.assertTrue(self.serves(s))

    def serves(self, s):
        try:
            return s.raw("GET", s.vault_url("/keys?api-version=7.4", "keystead-platform")).status == 401
        except OSError:
            return False


if __name__ == "__main__":
    unittest.main()
