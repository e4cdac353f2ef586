# SPDX-License-Identifier: Apache-2.0
"""tests/http/test_external.py - what queries read besides rows, where the operator has named it: files, places of addresses."""
import http.server
import os
import ssl
import struct
import subprocess
import threading
import unittest

from keystead import PROGRAM, Server

FILES = {"/lists/iocs.csv": b"ip,kind\n10.1.2.3,scanner\n10.9.9.9,bot\n", "/lists/page.json": b'[{"n":1},{"n":2}]',
         "/other/secret.csv": b"x\n"}


def places(kind):
    """A database in MaxMind's format with one network, 192.0.2.0/24."""
    text = lambda s: bytes([0x40 | len(s)]) + s.encode()
    number = lambda n: b"\xc4" + n.to_bytes(4, "big")
    name = lambda s: b"\xe1" + text("names") + b"\xe1" + text("en") + text(s)
    record = (b"\xe3" + text("country") + name("Ruritania") + text("city") + name("Strelsau") + text("location") + b"\xe1" +
              text("latitude") + b"\x68" + struct.pack(">d", 50.25))
    bits = f"{int.from_bytes(bytes([192, 0, 2]), 'big'):024b}"
    tree = b""
    for k, bit in enumerate(bits):
        way = k + 1 if k < 23 else 24 + 16
        tree += b"".join((way if bit == side else 24).to_bytes(3, "big") for side in "01")
    metadata = (b"\xe5" + text("node_count") + number(24) + text("record_size") + number(24) + text("ip_version") + number(4) +
                text("binary_format_major_version") + number(2) + text("database_type") + text(kind))
    return tree + bytes(16) + record + b"\xab\xcd\xefMaxMind.com" + metadata


class Feeds(http.server.BaseHTTPRequestHandler):
    asked = []

    def do_GET(self):
        self.asked.append(self.path)
        if self.path == "/lists/moved.csv":
            self.send_response(302)
            self.send_header("Location", "/other/secret.csv")
            self.end_headers()
            return
        body = FILES.get(self.path)
        self.send_response(200 if body is not None else 404)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *args):
        pass


class External(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        pem = cls.server.data.rstrip("/") + ".feeds.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", pem,
                        "-out", pem + ".crt", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
                       check=True, capture_output=True)
        cls.feeds = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Feeds)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(pem + ".crt", pem)
        cls.feeds.socket = tls.wrap_socket(cls.feeds.socket, server_side=True)
        threading.Thread(target=cls.feeds.serve_forever, daemon=True).start()
        cls.base = f"https://localhost:{cls.feeds.server_address[1]}"
        cls.server.options += ["--external-data", f"https://nowhere.invalid/x/,{cls.base}/lists/", "--external-ca", pem + ".crt"]
        cls.mmdb = cls.server.data.rstrip("/") + ".places.mmdb"
        open(cls.mmdb, "wb").write(places("Made-City"))
        cls.server.options += ["--geo-ip-database", cls.mmdb]
        cls.server.start()
        cls.server.make_all()

    @classmethod
    def tearDownClass(cls):
        cls.server.close()
        cls.feeds.shutdown()
        cls.feeds.server_close()

    def ask(self, path, schema="ip:string, kind:string", tail="", rest="with (ignoreFirstRecord=true)"):
        return self.server.query(f"externaldata ({schema}) ['{self.base}{path}'] {rest} {tail}", self.server.workspace_id())

    def test_a_query_joins_a_file_that_the_operator_allows(self):
        a = self.ask("/lists/iocs.csv", tail="| join kind=inner (print ip='10.9.9.9') on ip | project kind")
        self.assertEqual(a.status, 200, a)
        self.assertEqual(a.json["tables"][0]["rows"], [["bot"]])
        a = self.ask("/lists/page.json", schema="n:long", rest="with (format='multijson')", tail="| summarize sum(n)")
        self.assertEqual(a.json["tables"][0]["rows"], [[3]], a)

    def test_nothing_else_is_asked_for(self):
        for path in ["/other/secret.csv", "/lists/../other/secret.csv", "/lists/%2e%2e/other/secret.csv", "/lists/..%2Fother/secret.csv"]:
            a = self.ask(path)
            self.assertEqual(a.status, 400, (path, a))
            self.assertIn(b"does not read", a.body, path)
        a = self.server.query("externaldata (x:string) ['https://localhost:1/lists/a.csv']", self.server.workspace_id())
        self.assertIn(b"does not read", a.body)
        self.assertNotIn("/other/secret.csv", Feeds.asked)

    def test_a_redirect_is_not_followed_and_an_error_is_said(self):
        self.assertIn(b"answers 302", self.ask("/lists/moved.csv").body)
        self.assertIn(b"answers 404", self.ask("/lists/none.csv").body)
        self.assertNotIn("/other/secret.csv", Feeds.asked)
        a = self.server.query("externaldata (x:string) ['https://nowhere.invalid/x/a.csv']", self.server.workspace_id())
        self.assertEqual(a.status, 400, a)

    def test_an_address_has_the_place_that_the_named_database_gives_it(self):
        a = self.server.query("print p = geo_info_from_ip_address('192.0.2.77'), q = geo_info_from_ip_address('192.0.3.1') | project tostring(p.country), tostring(p.city), toreal(p.latitude), isnull(q)",
                              self.server.workspace_id())
        self.assertEqual(a.status, 200, a)
        self.assertEqual(a.json["tables"][0]["rows"], [["Ruritania", "Strelsau", 50.25, True]])

    def test_a_database_that_is_damaged_or_of_another_kind_keeps_the_server_from_starting(self):
        for content, why in [(places("Made-City")[:-1], b"damaged"), (places("Made-ASN"), b"Made-ASN"), (b"", b"no metadata")]:
            bad = self.mmdb + ".bad"
            open(bad, "wb").write(content)
            r = subprocess.run([PROGRAM, "up", "--data", os.path.join(self.server.data, "never"), "--geo-ip-database", bad],
                               capture_output=True, timeout=60)
            self.assertEqual(r.returncode, 2, (content, r))
            self.assertIn(why, r.stderr)

    def test_a_prefix_that_is_none_is_a_mistake_of_the_operator(self):
        for prefix in ["http://feeds.example.com/", "https://feeds.example.com/lists", "https://u@feeds.example.com/", "nonsense",
                       "https://feeds.example.com/a/../"]:
            r = subprocess.run([PROGRAM, "up", "--data", os.path.join(self.server.data, "never"), "--external-data", prefix],
                               capture_output=True, timeout=60)
            self.assertEqual(r.returncode, 2, (prefix, r))
            self.assertIn(b"--external-data takes prefixes", r.stderr, prefix)


if __name__ == "__main__":
    unittest.main()
