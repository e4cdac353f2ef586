# SPDX-License-Identifier: Apache-2.0
"""tests/http/test_retention.py - rows leave when their days are over, by the virtual clock; rows that come twice are kept once."""
import datetime
import os
import struct
import unittest
import uuid

from keystead import Server

HOUR = 3600


class Retention(unittest.TestCase):
    def turn(self, s, seconds):
        s.tokens = {}
        a = s.call("POST", "/admin/clock", {"advanceSeconds": seconds}, timeout=300)
        self.assertEqual(a.status, 200, a)
        s.tokens = {}

    def set_days(self, s, table, days):
        s.done(s.arm("PATCH", f"{s.workspace_path()}/tables/{table}", "2022-10-01", {"properties": {"retentionInDays": days}}))

    def files(self, s, end):
        """Files of workspaces: the platform's own hold the log of key uses, which goes on."""
        accounts = {a["account"] for a in s.call("GET", "/admin/keys/status").json["accounts"] if a["workspace"]}
        return [f for f in s.files() if f.endswith(end) and open(f, "rb").read(24)[8:].hex() in accounts]

    def send(self, s, w, table, n, age_hours):
        """A row that is so old by the server's clock."""
        now = datetime.datetime.fromisoformat(s.rows("print tostring(now())", w)[0][0][:19])
        t = (now - datetime.timedelta(hours=age_hours)).isoformat() + "Z"
        self.assertEqual(s.send(table, [{"TimeGenerated": t, "N": n}], w).status, 204)

    def numbers(self, s, w, table):
        return [r[0] for r in s.rows(f"{table} | project N | order by N asc", w)]

    def test_rows_leave_with_their_tables_days_and_else_with_the_workspaces(self):
        with Server("--virtual-clock", probe=60) as s:
            s.make_all()
            w = s.workspace_id()
            s.make_table("Short_CL", {"N": "long"})
            s.make_table("Long_CL", {"N": "long"})
            self.set_days(s, "Short_CL", 4)
            for table in ("Short_CL", "Long_CL"):
                self.send(s, w, table, 1, 4 * 24 - 2)
                self.send(s, w, table, 2, 30 * 24 - 2)
                self.turn(s, 400)  # into a segment, which is young enough
                self.assertEqual(self.numbers(s, w, table), [1, 2])
            self.turn(s, 9 * HOUR)
            self.assertEqual(self.numbers(s, w, "Short_CL"), [])
            self.assertEqual(self.numbers(s, w, "Long_CL"), [1, 2])
            self.assertEqual(len(self.files(s, ".seg")), 1)
            s.make_table("Old_CL", {"N": "long"})
            self.send(s, w, "Old_CL", 3, 30 * 24 - 2)
            self.turn(s, 9 * HOUR)  # the workspace keeps 30 days
            self.assertEqual(self.numbers(s, w, "Old_CL"), [])
            self.assertEqual(self.numbers(s, w, "Long_CL"), [1, 2])

    def test_rows_of_a_revoked_workspace_leave_too(self):
        with Server("--virtual-clock", probe=60) as s:
            version = s.make_all()
            w = s.workspace_id()
            s.make_table("T_CL", {"N": "long"})
            self.set_days(s, "T_CL", 4)
            self.send(s, w, "T_CL", 1, 4 * 24 - 2)
            self.turn(s, 400)  # into a segment
            self.send(s, w, "T_CL", 2, 4 * 24 - 2)  # in the log
            s.key("PATCH", f"/keys/k1/{version}", {"attributes": {"enabled": False}})
            self.turn(s, 120)
            self.assertEqual(s.query("T_CL | count", w).status, 403)
            self.assertNotEqual(self.files(s, ".seg"), [])
            self.turn(s, 9 * HOUR)
            self.assertEqual(s.query("T_CL | count", w).status, 403)
            self.assertEqual(self.files(s, ".seg") + self.files(s, ".wal"), [])
            s.key("PATCH", f"/keys/k1/{version}", {"attributes": {"enabled": True}})
            self.turn(s, 120)
            s.wait(lambda: s.query("T_CL | count", w).status == 200, 20, "restore")
            self.assertEqual(self.numbers(s, w, "T_CL"), [])

    def test_a_batch_that_comes_twice_is_kept_once_and_dropped_once(self):
        with Server("--virtual-clock", probe=60) as s:
            version = s.make_all()
            w = s.workspace_id()
            s.make_table("T_CL", {"N": "long"})
            s.make_table("Other_CL", {"N": "long"})
            name, dropped = str(uuid.uuid4()), str(uuid.uuid4())
            for _ in range(3):
                self.assertEqual(s.send("T_CL", [{"N": 1}], w, request_id=name).status, 204)
            self.assertEqual(s.send("Other_CL", [{"N": 1}], w, request_id=name).status, 204)
            self.assertEqual(s.send("T_CL", [{"N": 2}], w, request_id="x" * 128).status, 204)
            self.assertEqual(s.send("T_CL", [{"N": 2}], w, request_id="x" * 128).status, 204)
            self.assertEqual(s.send("T_CL", [{"N": 2}], w, compress=True, request_id="x" * 128).status, 204)
            self.assertEqual(s.rows("T_CL | count", w), [[2]])
            # One id for all that a program sends: other rows are another batch.
            self.assertEqual(s.send("T_CL", [{"N": 9}], w, request_id=name).status, 204)
            self.assertEqual(s.rows("T_CL | where N != 9 | count", w), [[2]])
            self.assertEqual(s.rows("T_CL | count", w), [[3]])
            self.assertEqual(s.rows("Other_CL | count", w), [[1]])
            for _ in range(2):  # too long to be a name: each is a batch of its own
                self.assertEqual(s.send("T_CL", [{"N": 3}], w, request_id="x" * 129).status, 204)
            self.assertEqual(s.rows("T_CL | count", w), [[5]])
            s.kill()
            s.start()
            s.wait(lambda: s.send("T_CL", [{"N": 1}], w, request_id=name).status == 204, 30, "replay")
            self.assertEqual(s.rows("T_CL | count", w), [[5]])
            s.key("PATCH", f"/keys/k1/{version}", {"attributes": {"enabled": False}})
            self.turn(s, 60)
            s.wait(lambda: s.query("T_CL | count", w).status == 403, 30, "revocation")
            a = s.send("T_CL", [{"N": 1}], w, request_id=name)  # it was stored before
            self.assertEqual((a.status, a.headers.get("x-keystead-dropped-rows")), (204, None))
            for _ in range(2):
                a = s.send("T_CL", [{"N": 5}], w, request_id=dropped)
                self.assertEqual((a.status, a.headers.get("x-keystead-dropped-rows")), (204, "1"))
            self.assertRegex(s.call("GET", "/metrics").body.decode(), r'keystead_rows_dropped_total\{table="[0-9a-f-]+",reason="keyRevoked"\} 1\n')

    def sleep(self, s, seconds):
        """Switched off for so long: nobody lives through each probe of it."""
        s.stop()
        with open(os.path.join(s.data, "clock"), "r+b") as f:
            offset = struct.unpack("<q", f.read(8))[0]
            f.seek(0)
            f.write(struct.pack("<q", offset + seconds * 1000000))
        s.start()

    def blobs(self, s):
        return {p for p in s.files() if "/blobs/" in p and "/blobs/tmp/" not in p}

    def test_rows_of_a_deleted_cluster_are_left_out_and_the_answer_says_so(self):
        with Server("--virtual-clock", probe=60) as s:
            s.done(s.arm("PUT", s.group(), "2021-04-01", {"location": "westeurope"}))
            s.make_workspace(cluster=None)
            w = s.workspace_id()
            s.make_table("T_CL", {"N": "long"})
            s.make_table("Platform_CL", {"N": "long"})
            for table in ("T_CL", "Platform_CL"):
                self.assertEqual(s.send(table, [{"N": 1}], w).status, 204)
            s.make_all()
            self.assertEqual(s.send("T_CL", [{"N": 2}], w).status, 204)
            self.assertEqual(self.numbers(s, w, "T_CL"), [1, 2])
            self.assertNotIn("error", s.query("T_CL", w).json)
            self.turn(s, 400)  # into a segment
            self.assertEqual(s.send("T_CL", [{"N": 3}], w).status, 204)
            account = next(x["account"] for x in s.call("GET", "/admin/keys/status").json["accounts"] if x["cluster"] == "cluster1")
            s.done(s.arm("DELETE", s.cluster_path(), "2022-10-01"))
            s.wait(lambda: s.query("T_CL", w).status == 200, 30, "the workspace without its cluster")
            for query, rows in (("T_CL | project N", [[1]]), ("T_CL | count", [[1]])):
                a = s.query(query, w).json
                self.assertEqual(a["tables"][0]["rows"], rows)
                self.assertEqual(a["error"]["code"], "PartialError")
                self.assertIn(s.cluster_path(), a["error"]["details"][0]["innererror"]["message"])
            self.assertNotIn("error", s.query("Platform_CL", w).json)
            self.assertEqual(s.send("T_CL", [{"N": 4}], w).status, 204)
            self.assertEqual(self.numbers(s, w, "T_CL"), [1, 4])
            self.assertTrue([p for p in s.files() if f"/wal/{account}/" in p])
            self.turn(s, 400)
            blobs = self.blobs(s)
            self.sleep(s, 15 * 86400)  # nothing of it is left: neither wraps nor files
            s.wait(lambda: not [p for p in s.files() if f"/wal/{account}/" in p], 30, "the end of the cluster's logs")
            s.wait(lambda: blobs - self.blobs(s), 30, "the end of the cluster's segment")
            self.assertNotIn(account, [x["account"] for x in s.call("GET", "/admin/keys/status").json["accounts"]])
            self.assertEqual(self.numbers(s, w, "T_CL"), [1, 4])


if __name__ == "__main__":
    unittest.main()
