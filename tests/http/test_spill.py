# SPDX-License-Identifier: Apache-2.0
"""tests/http/test_spill.py - queries and answers larger than the memory they may have: right, sealed, and gone afterwards."""
import json
import os
import socket
import unittest

from keystead import QUERY, Server

ROWS, WIDTH = 120000, 60
CANARY = "gondola-canary-"


def words():
    return [f"{CANARY}{n * 7919 % ROWS:06d}-" + "abcdefghij" * (WIDTH // 10 - 2) for n in range(ROWS)]


def fill(s, w):
    s.make_table("Wide_CL", {"No": "long", "Word": "string"})
    rows = [{"No": n, "Word": word} for n, word in enumerate(words())]
    for start in range(0, ROWS, 6000):
        a = s.send("Wide_CL", rows[start:start + 6000], w)
        assert a.status == 204, a


class Spill(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.s = Server("--query-memory-bytes", str(24 << 20)).__enter__()
        cls.version = cls.s.make_all()
        cls.w = cls.s.workspace_id()
        fill(cls.s, cls.w)

    @classmethod
    def tearDownClass(cls):
        cls.s.close()

    def rss(self):
        with open(f"/proc/{self.s.pids()['logs']}/status") as f:
            return next(int(line.split()[1]) << 10 for line in f if line.startswith("RssAnon"))

    def nameless(self):
        """The contents of the log service's open files that lie in DIR/spill and have no name."""
        out = []
        folder = f"/proc/{self.s.pids()['logs']}/fd"
        for fd in os.listdir(folder):
            try:
                target = os.readlink(f"{folder}/{fd}")
                if target.startswith(os.path.join(self.s.data, "spill")) and target.endswith("(deleted)"):
                    with open(f"{folder}/{fd}", "rb") as f:
                        out.append(f.read())
            except FileNotFoundError:
                pass
        return out

    def begin(self, query):
        """Asks, and reads a little of the answer."""
        body = json.dumps({"query": query}).encode()
        plain = socket.socket()
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        plain.settimeout(120)
        plain.connect(("127.0.0.1", self.s.port))
        c = self.s.context.wrap_socket(plain, server_hostname="localhost")
        c.sendall(f"POST /v1/workspaces/{self.w}/query HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                  f"Authorization: Bearer {self.s.token(QUERY)}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        first = c.recv(4096)
        self.assertTrue(first.startswith(b"HTTP/1.1 200"), first)
        self.addCleanup(c.close)
        return c, first

    def test_a_query_that_does_not_fit_has_the_same_rows(self):
        rows = self.s.rows("Wide_CL | summarize n = count(), least = min(No) by Word | sort by Word asc | where Word !has 'x' "
                           "| summarize sum(n), make_list(least, 5), dcount(Word, 4)", self.w)
        ids = sorted(range(ROWS), key=lambda n: n * 7919 % ROWS)[:5]
        self.assertEqual((rows[0][0], json.loads(rows[0][1])), (ROWS, ids))
        joined = self.s.rows("Wide_CL | join kind=inner (Wide_CL | project Word, Other = No) on Word | where No == Other | count", self.w)
        self.assertEqual(joined, [[ROWS]])

    def test_a_long_answer_is_whole(self):
        a = self.s.query("Wide_CL | project No, Word | sort by No asc", self.w)
        self.assertEqual(a.status, 200, a)
        self.assertGreater(len(a.body), ROWS * WIDTH)
        self.assertEqual([r[1] for r in a.json["tables"][0]["rows"]], words())

    def test_slow_readers_hold_little_memory_and_no_plaintext_on_the_disk(self):
        query, length = "Wide_CL | project No, Word, Again = Word", 2 * ROWS * WIDTH
        open_ones = [self.begin(query)]
        before = self.rss()
        open_ones += [self.begin(query) for _ in range(8)]
        self.assertLess(self.rss() - before, 8 * length // 2)
        files = self.nameless()
        self.assertGreater(sum(map(len, files)), 9 * (length - (2 << 20)), "the control: the answers lie there")
        self.assertFalse(any(CANARY.encode() in f for f in files))
        self.assertEqual(os.listdir(os.path.join(self.s.data, "spill")), [])
        for c, got in open_ones:
            n = len(got)
            while piece := c.recv(1 << 16):
                n += len(piece)
            self.assertGreater(n, length)
        self.s.wait(lambda: self.nameless() == [], 60, "end of the answers' files")


class NoRoom(unittest.TestCase):
    def test_without_room_on_the_disk_the_error_names_the_limit(self):
        with Server("--query-memory-bytes", str(24 << 20), "--query-disk-bytes", "100000") as s:
            s.make_all()
            w = s.workspace_id()
            fill(s, w)
            a = s.query("Wide_CL | summarize count() by Word | count", w)
            self.assertEqual(a.status, 400, a)
            self.assertIn("E_RUNAWAY_QUERY", a.body.decode())
            self.assertIn("100000 bytes of rows outside of memory", a.body.decode())
            self.assertEqual(s.rows("Wide_CL | count", w), [[ROWS]])


if __name__ == "__main__":
    unittest.main()
