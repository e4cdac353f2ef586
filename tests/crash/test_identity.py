# SPDX-License-Identifier: Apache-2.0
"""tests/crash/test_identity.py - identity is killed at random moments during every kind of its writes; what was answered is there,
what was not is whole or absent.

    python3 test_identity.py [--rounds N] [--seed S]      a failure prints the seed that repeats its schedule
"""
import json
import os
import random
import sys
import tempfile
import threading
import time
import unittest
import urllib.parse
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "http"))
from keystead import ARM, Server  # noqa: E402
from rounds import main, rounds_and_seed  # noqa: E402
from tokens import Key  # noqa: E402

ROUNDS, SEED = rounds_and_seed(4)
SURE, ABSENT = "sure", "absent"
AUTHORIZATION = "/providers/Microsoft.Authorization"


class Writer(threading.Thread):
    """Makes, changes and deletes; remembers what was answered, and what was asked without an answer."""

    def __init__(self, s, bearer, seed, certificate, group):
        super().__init__()
        self.s, self.bearer, self.rnd, self.stopping = s, bearer, random.Random(seed), False
        self.certificate, self.group = certificate, group
        self.facts, self.doubts, self.kinds = {}, set(), {}  # what -> how it must look; what may look either way
        self.apps, self.roles = [], []

    def call(self, method, path, body=None):
        return self.s.raw(method, self.s.credentials["endpoint"] + path, json.dumps(body) if body is not None else None,
                          {"Authorization": "Bearer " + self.bearer, "Content-Type": "application/json"}, timeout=10)

    def write(self, kind, what, how, method, path, body=None):
        """One write; None when there was no answer."""
        try:
            a = self.call(method, path, body)
        except OSError:
            a = None
        if a is None or a.status >= 500:
            self.doubts.add(what)
            return None
        if a.status < 300:
            self.facts[what] = how
            self.doubts.discard(what)
            self.kinds[kind] = self.kinds.get(kind, 0) + 1
        return a

    def step(self):
        kind = self.rnd.choice(["app", "app", "secret", "certificate", "disable", "group", "role", "assign", "delete", "rotate",
                                "managed"])
        if kind == "app" or not self.apps:
            name = "c" + uuid.uuid4().hex
            a = self.write("app", ("app", name), SURE, "POST", "/admin/identities", {"name": name})
            if a is not None and a.status == 201:
                self.apps.append(a.json)
                self.facts[("secret", name)] = a.json["secret"]
            return
        app = self.rnd.choice(self.apps)
        path = "/admin/identities/" + app["name"]
        if kind == "secret":
            a = self.write(kind, ("rotation", app["name"]), SURE, "POST", path + "/secrets", {"overlapSeconds": 0})
            if a is None:
                self.doubts.add(("secret", app["name"]))
            elif a.status == 201:
                self.facts[("secret", app["name"])] = a.json["secret"]
                self.doubts.discard(("secret", app["name"]))
        elif kind == "certificate":
            self.write(kind, ("certificate", app["name"]), SURE, "POST", path + "/certificates", {"certificate": self.certificate})
        elif kind == "disable":
            disabled = self.rnd.random() < 0.5
            self.write(kind, ("disabled", app["name"]), disabled, "PATCH", path, {"disabled": disabled})
        elif kind == "group":
            groups = [self.group] if self.rnd.random() < 0.5 else []
            self.write(kind, ("groups", app["name"]), groups, "PATCH", path, {"groups": groups})
        elif kind == "role":
            role = str(uuid.uuid4())
            a = self.write(kind, ("role", role), SURE, "PUT", f"{self.s.sub(AUTHORIZATION)}/roleDefinitions/{role}?api-version=2022-04-01", {
                "properties": {"roleName": role, "assignableScopes": [self.s.sub()], "permissions": [{"actions": ["A/b/read"]}]}})
            if a is not None and a.status == 201:
                self.roles.append(role)
        elif kind == "assign" and self.roles:
            name, role = str(uuid.uuid4()), self.rnd.choice(self.roles)
            self.write(kind, ("assignment", name, app["name"]), SURE, "PUT",
                       f"{self.s.sub(AUTHORIZATION)}/roleAssignments/{name}?api-version=2022-04-01", {"properties": {
                           "roleDefinitionId": f"{self.s.sub(AUTHORIZATION)}/roleDefinitions/{role}", "principalId": app["objectId"]}})
        elif kind == "delete" and len(self.apps) > 3:
            self.apps.remove(app)
            a = self.write(kind, ("app", app["name"]), ABSENT, "DELETE", path)
            for what in [w for w in self.facts if w[0] != "app" and w[-1] == app["name"]]:
                del self.facts[what]  # they go with it
        elif kind == "rotate" and self.rnd.random() < 0.3:
            self.write(kind, ("rotate", ""), SURE, "POST", "/admin/signing-keys")
        elif kind == "managed":
            name = "m" + uuid.uuid4().hex[:20]
            self.write(kind, ("managed", name), SURE, "PUT", self.s.group(
                f"/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{name}") + "?api-version=2023-01-31",
                {"location": "westeurope"})

    def run(self):
        while not self.stopping:
            self.step()


class Crash(unittest.TestCase):
    def test_what_identity_answered_is_there_whatever_is_killed(self):
        seed = SEED if SEED is not None else random.randrange(1 << 32)
        rnd = random.Random(seed)
        print(f"seed {seed}, {ROUNDS} rounds", flush=True)
        with tempfile.TemporaryDirectory() as folder, Server() as s:
            certificate = Key(folder, "c").certificate()
            s.done(s.arm("PUT", s.group(), "2021-04-01", {"location": "westeurope"}))
            group = s.call("POST", "/admin/identities", {"name": "group", "kind": "group"}).json["objectId"]
            for i in range(ROUNDS):
                writer = Writer(s, s.token(ARM, fresh=True), rnd.randrange(1 << 32), certificate, group)
                writer.start()
                time.sleep(rnd.uniform(0.5, 1.5))
                victim = rnd.choice(["identity", "identity", "all"])
                if victim == "all":
                    s.kill()
                else:
                    os.kill(s.pids()["identity"], 9)
                time.sleep(0.1)
                writer.stopping = True
                writer.join()
                if victim == "all":
                    s.start()
                where = f"seed {seed}, round {i}, killed {victim}"
                s.wait(lambda: self.is_up(s), 60, f"service ({where})")
                self.check(s, writer, where)
                print(f"{where}: {sum(writer.kinds.values())} writes {writer.kinds}, {len(writer.doubts)} in doubt", flush=True)

    def is_up(self, s):
        try:
            s.tokens = {}
            return s.call("GET", "/admin/signing-keys").status == 200
        except (OSError, AssertionError, ValueError):
            return False

    def token_status(self, s, app, secret):
        c = s.credentials
        return s.raw("POST", f"{c['endpoint']}/{c['tenantId']}/oauth2/v2.0/token", urllib.parse.urlencode({
            "grant_type": "client_credentials", "client_id": app["clientId"], "client_secret": secret,
            "scope": ARM + "/.default"}), {"Content-Type": "application/x-www-form-urlencoded"}).status

    def check(self, s, w, where):
        everybody = {x["name"]: x for x in s.call("GET", "/admin/identities?managed=true").json["value"]}
        for what, how in w.facts.items():
            kind, name = what[0], what[-1]
            if what in w.doubts or ("app", name) in w.doubts or kind in ("rotate", "rotation"):
                continue
            note = f"{where}: {what} should be {how}"
            if kind == "app":
                self.assertEqual(name in everybody, how == SURE, note)
            elif kind == "secret":
                app = everybody[name]
                if not app["disabled"]:
                    self.assertEqual(self.token_status(s, app, how), 200, note)
            elif kind == "certificate":
                self.assertIn("certificate", [c["kind"] for c in everybody[name]["credentials"]], note)
            elif kind == "disabled":
                self.assertEqual(everybody[name]["disabled"], how, note)
            elif kind == "groups":
                self.assertEqual(everybody[name]["groups"], how, note)
            elif kind == "managed":
                self.assertIn(name, everybody, note)
            elif kind in ("role", "assignment"):
                path = f"{s.sub(AUTHORIZATION)}/role{'Definitions' if kind == 'role' else 'Assignments'}/{what[1]}"
                self.assertEqual(s.arm("GET", path, "2022-04-01").status, 200, note)
        # What was not answered is whole: every assignment names a role that is there, every list can be read.
        roles = {r["name"] for r in s.arm("GET", s.sub(AUTHORIZATION + "/roleDefinitions"), "2022-04-01").json["value"]}
        for a in s.arm("GET", s.sub(AUTHORIZATION + "/roleAssignments"), "2022-04-01").json["value"]:
            self.assertIn(a["properties"]["roleDefinitionId"].rsplit("/", 1)[1], roles, where)
        self.assertTrue(s.call("GET", "/admin/signing-keys").json["value"][0]["signs"], where)


if __name__ == "__main__":
    main()
