# SPDX-License-Identifier: Apache-2.0
"""tests/http/test_main_job.py - create, ingest, query, disable, enable, rotate: the main job over plain HTTPS."""
import os
import subprocess
import unittest

from keystead import PROGRAM, Server


class MainJob(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.s = Server().__enter__()
        cls.version = cls.s.make_all()
        cls.w = cls.s.workspace_id()
        cls.s.make_table("Canary_CL", {"Word": "string", "Number": "long"})

    @classmethod
    def tearDownClass(cls):
        cls.s.close()

    def count(self):
        return self.s.rows("Canary_CL | count", self.w)[0][0]

    def revoked(self):
        a = self.s.query("Canary_CL | count", self.w)
        return a.status == 403 and a.json["error"].get("innererror", {}).get("code") == "CustomerManagedKeyUnavailable"

    def test_1_a_row_that_was_acknowledged_can_be_queried_at_once(self):
        a = self.s.send("Canary_CL", [{"Word": "zanzibar-canary", "Number": 7}], self.w)
        self.assertEqual(a.status, 204, a)
        self.assertEqual(self.s.rows("Canary_CL | project Word, Number", self.w), [["zanzibar-canary", 7]])

    def test_2_gzip_is_taken_too(self):
        before = self.count()
        a = self.s.send("Canary_CL", [{"Word": "zipped", "Number": n} for n in range(100)], self.w, compress=True)
        self.assertEqual(a.status, 204, a)
        self.assertEqual(self.count(), before + 100)

    def test_2b_ingestion_time_is_when_a_row_was_sent_and_hidden_from_everything_else(self):
        def now():
            return self.s.rows("print tolong(now())", self.w)[0][0]
        before = now()
        self.s.send("Canary_CL", [{"Word": "timed", "Number": 1}, {"Word": "timed", "Number": 2}], self.w)
        after = now()
        times = self.s.rows("Canary_CL | where Word == 'timed' | extend t = ingestion_time() | project tolong(t)", self.w)
        self.assertEqual(len(times), 2)
        self.assertEqual(times[0], times[1])
        self.assertTrue(before <= times[0][0] <= after, (before, times, after))
        self.assertEqual(self.s.rows("Canary_CL | where ingestion_time() > now(1d) | count", self.w), [[0]])
        self.assertEqual(self.s.rows("Canary_CL | getschema | where ColumnName contains 'inge' | count", self.w), [[0]])

    def test_3_no_word_of_a_row_and_no_column_name_is_on_the_disk(self):
        for path in self.s.files():
            with open(path, "rb") as f:
                text = f.read()
            for word in (b"zanzibar-canary", b"Canary_CL"):
                self.assertNotIn(word, text, path)

    def test_4_a_disabled_key_refuses_queries_and_drops_rows_and_an_enabled_one_restores_all(self):
        before = self.count()
        a = self.s.key("PATCH", f"/keys/k1/{self.version}", {"attributes": {"enabled": False}})
        self.assertEqual(a.status, 200, a)
        self.s.wait(self.revoked, 30, "revocation")
        a = self.s.send("Canary_CL", [{"Word": "lost", "Number": 1}] * 3, self.w)
        self.assertEqual((a.status, a.headers.get("x-keystead-dropped-rows")), (204, "3"), a)
        a = self.s.call("GET", "/admin/keys/status")
        self.assertIn("REVOKED", [x["state"] for x in a.json["accounts"]], a)
        self.assertEqual(self.s.raw("GET", self.s.credentials["endpoint"] + "/readyz").status, 200)
        self.s.key("PATCH", f"/keys/k1/{self.version}", {"attributes": {"enabled": True}})
        self.s.wait(lambda: self.s.query("Canary_CL | count", self.w).status == 200, 60, "restore")
        self.assertEqual(self.count(), before)
        a = self.s.send("Canary_CL", [{"Word": "kept", "Number": 1}], self.w)
        self.assertNotIn("x-keystead-dropped-rows", a.headers)
        self.assertEqual(self.count(), before + 1)

    def test_5_a_rotated_key_leaves_old_and_new_rows_readable_and_no_wrap_behind(self):
        before = self.count()
        a = self.s.key("POST", "/keys/k1/rotate")
        self.assertEqual(a.status, 200, a)
        new = a.json["key"]["kid"].rsplit("/", 1)[1]
        self.s.done(self.s.set_key(version=new))
        self.s.send("Canary_CL", [{"Word": "after rotation", "Number": 1}], self.w)
        self.assertEqual(self.count(), before + 1)
        wraps = {w["version"]: w["count"] for x in self.s.call("GET", "/admin/keys/status").json["accounts"] for w in x["wraps"]}
        self.assertEqual(wraps.get(self.version, 0), 0, wraps)
        self.assertGreaterEqual(wraps.get(new, 0), 1, wraps)
        type(self).version = new

    def test_6_everything_is_there_after_a_clean_stop_and_after_a_kill(self):
        before = self.count()
        self.assertEqual(self.s.stop(), 0)
        self.s.start()
        self.s.wait(lambda: self.s.query("Canary_CL | count", self.w).status == 200, 30, "ACTIVE after a start")
        self.assertEqual(self.count(), before)
        self.s.kill()
        self.s.start()
        self.s.wait(lambda: self.s.query("Canary_CL | count", self.w).status == 200, 30, "ACTIVE after a kill")
        self.assertEqual(self.count(), before)

    def test_7_a_second_server_on_the_same_directory_is_refused(self):
        p = subprocess.run([PROGRAM, "up", "--data", self.s.data, "--listen", "127.0.0.1:1", "--vault-listen", "127.0.0.1:2"],
                           capture_output=True, timeout=30)
        self.assertEqual(p.returncode, 1)
        self.assertIn(b"in use", p.stderr)
        self.assertEqual(p.stdout, b"")

    def test_8_a_process_that_dies_is_started_again(self):
        before = self.count()
        for name in ("logs", "keyd", "vault", "identity"):
            with self.subTest(name):
                old = self.s.pids()[name]
                os.kill(old, 9)
                self.s.wait(lambda: self.s.pids().get(name) not in (None, old), 20, f"restart of {name}")

                def answers():
                    try:
                        a = self.s.query("Canary_CL | count", self.w)
                    except OSError:
                        return False
                    return a.status == 200 and a.json["tables"][0]["rows"][0][0] == before
                self.s.wait(answers, 60, f"service after the death of {name}")

    def all_active(self):
        a = self.s.call("GET", "/admin/keys/status")
        return a.status == 200 and all(x["state"] == "ACTIVE" for x in a.json["accounts"])

    def test_9_verify_finds_every_block_whole(self):
        self.s.wait(self.all_active, 60, "every key's return after the deaths of test 8")
        p = subprocess.run([PROGRAM, "verify", "--data", self.s.data], capture_output=True, timeout=120)
        self.assertEqual(p.returncode, 0, p.stderr + p.stdout)


if __name__ == "__main__":
    unittest.main()
