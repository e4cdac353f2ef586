# SPDX-License-Identifier: Apache-2.0
"""tests/http/test_slow_reader.py - a client that reads its answer slowly, while the key goes or the server stops."""
import json
import socket
import time
import unittest

from keystead import QUERY, Server

ROWS, WIDTH = 20000, 900


class SlowReader(unittest.TestCase):
    def setUp(self):
        self.s = Server().__enter__()
        self.version = self.s.make_all()
        self.w = self.s.workspace_id()
        self.s.make_table("Wide_CL", {"Word": "string"})
        for _ in range(ROWS // 1000):
            a = self.s.send("Wide_CL", [{"Word": "canary " + "x" * WIDTH}] * 1000, self.w)
            self.assertEqual(a.status, 204, a)

    def tearDown(self):
        self.s.close()

    def begin(self, path=None, body=None):
        """Asks for all rows and reads a little of the answer."""
        path = path or f"/v1/workspaces/{self.w}/query"
        body = json.dumps(body or {"query": "Wide_CL"}).encode()
        plain = socket.socket()
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)  # not to be filled by what is lost
        plain.settimeout(300)
        plain.connect(("127.0.0.1", self.s.port))
        c = self.s.context.wrap_socket(plain, server_hostname="localhost")
        c.sendall(f"POST {path} HTTP/1.1\r\nHost: localhost\r\n"
                  f"Authorization: Bearer {self.s.token(QUERY)}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        first = c.recv(4096)
        self.assertTrue(first.startswith(b"HTTP/1.1 200"), first)
        self.addCleanup(c.close)
        return c

    def rest(self, c):
        """How many bytes still come until the server hangs up."""
        n = 0
        try:
            while True:
                piece = c.recv(1 << 16)
                if not piece:
                    return n
                n += len(piece)
        except OSError as e:
            self.assertNotIsInstance(e, TimeoutError)
            return n

    def test_rows_on_their_way_are_taken_back_when_the_key_goes(self):
        self.taken_back(self.begin())

    def test_so_are_those_of_a_batch(self):
        self.taken_back(self.begin("/v1/$batch", {"requests": [{"id": "1", "workspace": self.w, "body": {"query": "Wide_CL"}}]}))

    def taken_back(self, c):
        self.s.key("PATCH", f"/keys/k1/{self.version}", {"attributes": {"enabled": False}})
        self.s.wait(lambda: self.s.query("Wide_CL | count", self.w).status == 403, 30, "revocation")
        self.assertLess(self.rest(c), ROWS * WIDTH // 2)  # what lay in the buffers of the connection
        self.s.key("PATCH", f"/keys/k1/{self.version}", {"attributes": {"enabled": True}})
        self.s.wait(lambda: self.s.query("Wide_CL | count", self.w).status == 200, 60, "restore")
        self.assertEqual(self.s.rows("Wide_CL | count", self.w), [[ROWS]])

    def test_a_slow_reader_gets_all_when_nothing_happens(self):
        c = self.begin()
        time.sleep(1)
        c.settimeout(300)
        n = 0
        while n <= ROWS * WIDTH:
            piece = c.recv(1 << 16)
            self.assertTrue(piece, n)
            n += len(piece)
        self.assertGreater(n, ROWS * WIDTH)


if __name__ == "__main__":
    unittest.main()
