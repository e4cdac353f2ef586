# SPDX-License-Identifier: Apache-2.0
"""tests/http/test_audit.py - the log of key uses: verified, tampered with, anchored, followed; what keyd gave up."""
import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import tempfile
import unittest
import urllib.parse
import uuid

from keystead import PROGRAM, QUERY, Server

LOG_ANALYTICS_READER = "73c42c96-874c-492b-b04d-ab87d138a893"
PLATFORM = "0d6e83b1-472a-4f90-a35c-e81472bf3906"


def audit(what, s, *options):
    p = subprocess.run([PROGRAM, "audit", what, "--data", s.data, *options], capture_output=True, timeout=60)
    return p.returncode, p.stdout.decode(), p.stderr.decode()


def verify(s, *options):
    code, out, err = audit("verify", s, "-o", "json", *options)
    return code, (json.loads(out) if out else None), err


def status_of(pid):
    with open(f"/proc/{pid}/status") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


class Audit(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.outside = tempfile.mkdtemp(prefix="keystead-anchor-")
        cls.anchor = "file:" + os.path.join(cls.outside, "anchor")
        cls.s = Server("--anchor", cls.anchor).__enter__()
        cls.version = cls.s.make_all(key_version=False)
        cls.w = cls.s.workspace_id()
        cls.s.make_table("Few_CL", {"N": "long"})
        assert cls.s.send("Few_CL", [{"N": n} for n in range(10)], cls.w).status == 204
        cls.key = os.path.join(cls.s.data, "keyd", "auditor.key")

    @classmethod
    def tearDownClass(cls):
        cls.s.close()
        shutil.rmtree(cls.outside)

    def log_files(self):
        folder = os.path.join(self.s.data, "keyd")
        return sorted(os.path.join(folder, f) for f in os.listdir(folder)
                      if f.startswith("audit-") and f.endswith(".log"))

    def test_1_beside_a_running_server_the_log_is_good_and_every_mac_is_checked(self):
        code, report, err = verify(self.s, "--auditor-key", self.key, "--anchor", self.anchor)
        self.assertEqual((code, report["damages"]), (0, []), err)
        self.assertEqual(report["macs"], report["lines"])
        self.assertTrue(report["signerFromElsewhere"] and report["anchored"])
        status = self.s.call("GET", "/admin/keys/status").json
        self.assertEqual(status["audit"]["signer"], report["signer"])
        self.assertEqual(status["audit"]["auditorKeyLiesHere"], self.key)
        self.assertTrue(status["anchor"].startswith(self.anchor + ", written 2"), status["anchor"])

    def test_2_tail_shows_the_last_lines_of_an_event(self):
        code, out, err = audit("tail", self.s, "-n", "3", "--event", "lease", "-o", "json")
        self.assertEqual(code, 0, err)
        lines = [json.loads(line) for line in out.splitlines()]
        self.assertTrue(1 <= len(lines) <= 3)
        self.assertTrue(all(x["event"] == "lease" and len(x["sha256"]) == 64 for x in lines), lines)
        account = lines[0]["account"]
        code, out, err = audit("tail", self.s, "--account", account[:8])
        self.assertTrue(0 < len(out.splitlines()) <= 20, err)
        self.assertEqual({line.split()[3] for line in out.splitlines()}, {account[:8]})

    def test_3_tail_follows(self):
        p = subprocess.Popen([PROGRAM, "audit", "tail", "--data", self.s.data, "-f", "-n", "0", "-o", "json"],
                             stdout=subprocess.PIPE)
        try:
            self.assertIn("event", json.loads(p.stdout.readline()))  # a probe writes one every 6 s
        finally:
            p.kill()
            p.wait()
            p.stdout.close()

    def test_4_what_keyd_gave_up_is_seen_from_outside(self):
        pid = self.s.pids()["keyd"]
        status = status_of(pid)
        self.assertEqual((status["Seccomp"], status["NoNewPrivs"]), ("2", "1"))
        with open(f"/proc/{pid}/limits") as f:
            core = next(line for line in f if line.startswith("Max core file size"))
        self.assertEqual(core.split()[4:6], ["0", "0"], core)
        self.assertEqual(os.stat(f"/proc/{pid}/mem").st_uid, 0, "not dumpable: its files are root's")

    def seqs(self):
        return [r[0] for r in self.s.rows("KeyAccessAudit | project Seq | order by Seq asc", "keystead-platform")]

    def test_4b_the_same_lines_are_a_table_of_the_platforms_workspace(self):
        self.s.wait(lambda: self.s.rows("KeyAccessAudit | where Event == 'lease' | count", "keystead-platform")[0][0] > 0,
                    30, "lines in the table")
        rows = self.s.rows("KeyAccessAudit | where Event == 'state' and Cluster == 'cluster1' "
                           "| project Workspace, tostring(Line.now) | take 1", "keystead-platform")
        self.assertEqual(rows[0][0], "workspace1", rows)
        code, out, err = audit("tail", self.s, "-n", "100000", "-o", "json")
        lines = {x["seq"]: x for x in map(json.loads, out.splitlines())}
        stored = self.s.rows("KeyAccessAudit | project Seq, Event, Account, tostring(Line)", "keystead-platform")
        for seq, event, account, line in stored:
            if seq in lines:
                self.assertEqual((event, account or None), (lines[seq]["event"], lines[seq].get("account")))
        p = subprocess.run([PROGRAM, "query", "--data", self.s.data, "--workspace", "keystead-platform",
                            "KeyAccessAudit | take 5", "-o", "json"], capture_output=True, timeout=60)
        self.assertEqual(p.returncode, 0, p.stderr)

    def test_4c_each_line_is_there_once_also_after_kill_9(self):
        for _ in range(2):
            self.s.kill()
            self.s.start()
            last = max(self.seqs() or [0])
            self.s.wait(lambda: max(self.seqs() or [0]) > last + 3, 60, "more lines")
            seqs = self.seqs()
            self.assertEqual(seqs, list(range(1, len(seqs) + 1)))

    def test_4d_only_an_owner_reads_it_and_nobody_writes_it(self):
        s, c = self.s, self.s.credentials
        p = subprocess.run([PROGRAM, "identity", "create", "reader", "--data", s.data, "-o", "json"], capture_output=True,
                           timeout=60)
        self.assertEqual(p.returncode, 0, p.stderr)
        who = json.loads(p.stdout)
        role = s.sub(f"/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}")
        a = s.arm("PUT", role, "2022-04-01", {"properties": {
            "roleDefinitionId": s.sub("/providers/Microsoft.Authorization/roleDefinitions/" + LOG_ANALYTICS_READER),
            "principalId": who["objectId"]}})
        self.assertEqual(a.status, 201, a)
        form = urllib.parse.urlencode({"grant_type": "client_credentials", "client_id": who["clientId"],
                                       "client_secret": who["secret"], "scope": QUERY + "/.default"})
        a = s.raw("POST", f"{c['endpoint']}/{c['tenantId']}/oauth2/v2.0/token", form.encode(),
                  {"Content-Type": "application/x-www-form-urlencoded"})
        self.assertEqual(a.status, 200, a)
        reader = {"Authorization": "Bearer " + a.json["access_token"]}
        asked = {"query": "KeyAccessAudit | count"}
        a = s.call("POST", f"/v1/workspaces/{self.w}/query", {"query": "Few_CL | count"}, QUERY, reader)
        self.assertEqual(a.status, 200, a)
        for name in ("keystead-platform", PLATFORM):
            self.assertEqual(s.call("POST", f"/v1/workspaces/{name}/query", asked, QUERY, reader).status, 403)
            self.assertEqual(s.call("POST", f"/v1/workspaces/{name}/query", asked, QUERY).status, 200)
        self.assertEqual(s.send("KeyAccessAudit", [{"Seq": 1}], PLATFORM).status, 404)

    def test_5_a_changed_line_and_a_cut_tail_are_damage(self):
        self.assertEqual(self.s.stop(), 0)
        path = self.log_files()[-1]
        with open(path, "rb") as f:
            good = f.read()
        try:
            changed = bytearray(good)
            changed[len(good) // 2] ^= 1
            with open(path, "wb") as f:
                f.write(changed)
            code, report, err = verify(self.s)
            self.assertEqual(code, 3, err)
            lines = good.splitlines(True)
            with open(path, "wb") as f:
                f.write(b"".join(lines[:-3]))
            code, report, err = verify(self.s, "--anchor", self.anchor)
            self.assertEqual(code, 3, err)
            self.assertIn("the anchor has seen", report["damages"][0]["text"])
        finally:
            with open(path, "wb") as f:
                f.write(good)
        code, report, err = verify(self.s, "--auditor-key", self.key, "--anchor", self.anchor)
        self.assertEqual(code, 0, report)
        self.s.start()

    def test_6_an_older_copy_of_the_data_directory_does_not_open_until_it_is_accepted(self):
        self.assertEqual(self.s.stop(), 0)
        copy = self.s.data + ".copy"
        shutil.copytree(self.s.data, copy)
        try:
            self.s.start()
            self.s.key("POST", "/keys/k1/rotate")  # the key follows its latest version: wraps change
            before = self.s.call("GET", "/admin/keys/status").json["audit"]["generation"]
            self.s.wait(lambda: self.s.call("GET", "/admin/keys/status").json["audit"]["generation"] > before, 60,
                        "a rotation")
            self.assertEqual(self.s.stop(), 0)
            for name in ("keyd", "wal", "blobs"):
                shutil.rmtree(os.path.join(self.s.data, name))
                shutil.copytree(os.path.join(copy, name), os.path.join(self.s.data, name))
            for name in ("catalog.db", "catalog.db-wal", "catalog.db-shm"):
                if os.path.exists(os.path.join(self.s.data, name)):
                    os.unlink(os.path.join(self.s.data, name))
                if os.path.exists(os.path.join(copy, name)):
                    shutil.copy(os.path.join(copy, name), self.s.data)
            log = self.s.refuses_to_start("an older catalogue was put back")
            number = log.split("--accept-rollback ")[-1].split('"')[0].split()[0]
            self.s.options += ["--accept-rollback", number]
            self.s.start()
            code, out, err = audit("tail", self.s, "-n", "1000", "--event", "rollback.accepted", "-o", "json")
            self.assertIn("older catalogue", out)
        finally:
            shutil.rmtree(copy)

    def test_7_an_entry_that_was_deleted_from_the_catalogue_is_named_and_opens_only_when_it_is_accepted(self):
        self.assertEqual(self.s.stop(), 0)
        segments = sorted(f for _, _, names in os.walk(os.path.join(self.s.data, "blobs")) for f in names)
        with contextlib.closing(sqlite3.connect(os.path.join(self.s.data, "catalog.db"))) as db:
            segment, table = db.execute("select id, parent from record where kind = 'segment'").fetchone()
            db.execute("delete from record where kind = 'segment' and id = ?", (segment,))
            db.commit()
        log = self.s.refuses_to_start(f"segment of table {table}")
        self.assertEqual(segments, sorted(f for _, _, names in os.walk(os.path.join(self.s.data, "blobs")) for f in names))
        p = subprocess.run([PROGRAM, "verify", "--data", self.s.data], capture_output=True, timeout=60)
        self.assertEqual(p.returncode, 3, p.stderr)
        self.assertIn(table, p.stdout.decode())
        self.s.options += ["--accept-entries", log.split("--accept-entries ")[-1].split('"')[0].split()[0]]
        self.s.start()
        code, out, err = audit("tail", self.s, "-n", "1000", "--event", "entries.accepted", "-o", "json")
        self.assertIn(table, out)


if __name__ == "__main__":
    unittest.main()
