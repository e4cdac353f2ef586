# SPDX-License-Identifier: Apache-2.0
"""tests/http/test_hang_up.py - a client that hangs up ends its query: nobody reads the answer."""
import json
import re
import socket
import unittest

from keystead import QUERY, Server

# Hours of work, and ten minutes to do it in: what ends it sooner is the client.
ENDLESS = "range x from 1 to 1000000000000 step 1 | where x % 7 == 8 | count"


class HangUp(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.s = Server().__enter__()
        cls.s.make_all()
        cls.w = cls.s.workspace_id()

    @classmethod
    def tearDownClass(cls):
        cls.s.close()

    def running(self):
        text = self.s.raw("GET", self.s.credentials["endpoint"] + "/metrics").body.decode()
        return int(re.search(r"^keystead_queries_running (\d+)$", text, re.M)[1])

    def ask(self, path, body):
        body = json.dumps(body).encode()
        c = self.s.context.wrap_socket(socket.create_connection(("127.0.0.1", self.s.port), 300), server_hostname="localhost")
        c.sendall(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nPrefer: wait=600\r\nContent-Type: application/json\r\n"
                  f"Authorization: Bearer {self.s.token(QUERY)}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        return c

    def hang_up_on(self, path, body):
        c = self.ask(path, body)
        self.s.wait(lambda: self.running() == 1, 60, "the query to run")
        c.close()
        self.s.wait(lambda: self.running() == 0, 60, "the end of a query that nobody waits for")

    def test_a_query_ends_with_its_client(self):
        self.hang_up_on(f"/v1/workspaces/{self.w}/query", {"query": ENDLESS})

    def test_so_does_a_member_of_a_batch(self):
        member = {"id": "1", "workspace": self.w, "path": "/query", "method": "POST", "headers": {"Prefer": "wait=600"},
                  "body": {"query": ENDLESS}}
        self.hang_up_on("/v1/$batch", {"requests": [member]})

    def test_another_client_is_answered_meanwhile_and_after(self):
        c = self.ask(f"/v1/workspaces/{self.w}/query", {"query": ENDLESS})
        self.s.wait(lambda: self.running() == 1, 60, "the query to run")
        self.assertEqual(self.s.rows("print x = 1", self.w), [[1]])
        self.assertEqual(self.running(), 1, "nobody hung up")
        c.close()
        self.s.wait(lambda: self.running() == 0, 60, "the end of a query that nobody waits for")
        self.assertEqual(self.s.rows("print x = 2", self.w), [[2]])


if __name__ == "__main__":
    unittest.main()
