# SPDX-License-Identifier: Apache-2.0
"""tests/crash/test_vault.py - the vault is killed at random moments during every kind of its writes; what was answered is there, what
was not is whole or absent.

    python3 test_vault.py [--rounds N] [--seed S]      a failure prints the seed that repeats its schedule

One request is under way at a time, so at most one change is in doubt: of it the vault shows the state before or the state after.
"""
import base64
import os
import random
import sys
import threading
import time
import unittest
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "http"))
from keystead import Server  # noqa: E402
from rounds import main, rounds_and_seed  # noqa: E402

ROUNDS, SEED = rounds_and_seed(6)
VERSION = "2022-07-01"
PLAIN = base64.urlsafe_b64encode(bytes(range(32))).decode().rstrip("=")
ALL_KINDS = {"create", "import", "update", "rotate", "policy", "delete", "recover", "purge", "restore", "vault", "vault-tags",
             "vault-policy", "vault-delete", "vault-recover", "vault-purge"}


class Vault:
    """What the vault shows of one key or vault, as values that can be compared."""

    def __init__(self, s):
        self.s, c = s, s.credentials
        self.provider = "/providers/Microsoft.KeyVault"
        self.body = {"location": "westeurope", "properties": {
            "tenantId": c["tenantId"], "sku": {"family": "A", "name": "standard"}, "accessPolicies": [
                {"tenantId": c["tenantId"], "objectId": c["objectId"], "permissions": {"keys": ["all"]}}]}}

    def path(self, name):
        return self.s.group(f"{self.provider}/vaults/{name}")

    def deleted(self, name, action=""):
        return self.s.sub(f"{self.provider}/locations/westeurope/deletedVaults/{name}{action}")

    def get(self, call, *args):
        a = call("GET", *args)
        if a.status >= 500:
            raise ConnectionError(a)  # it was killed
        assert a.status in (200, 404), a
        return a.json if a.status == 200 else None

    def look(self, what):
        return self.look_at_key(what[1]) if what[0] == "key" else self.look_at_vault(what[1])

    def look_at_key(self, name):
        k = self.get(self.s.key, f"/keys/{name}")
        if k is None:
            gone = self.get(self.s.key, f"/deletedkeys/{name}")
            return ("absent",) if gone is None else ("deleted", gone["key"]["kid"].rsplit("/", 1)[1])
        versions = self.get(self.s.key, f"/keys/{name}/versions")["value"]
        policy = self.get(self.s.key, f"/keys/{name}/rotationpolicy")
        return ("live", tuple(sorted((v["kid"].rsplit("/", 1)[1], v["attributes"]["enabled"], str(v.get("tags"))) for v in versions)),
                k["key"]["kid"].rsplit("/", 1)[1], policy["attributes"].get("expiryTime"))

    def look_at_vault(self, name):
        v = self.get(self.s.arm, self.path(name), VERSION)
        if v is None:
            return ("absent",) if self.get(self.s.arm, self.deleted(name), VERSION) is None else ("deleted",)
        return ("live", str(v.get("tags")), len(v["properties"]["accessPolicies"]))

    def serves(self):
        try:
            return self.s.key("GET", "/keys").status == 200 and self.s.arm("GET", self.path("kv1"), VERSION).status == 200
        except OSError:
            return False


class Writer(threading.Thread):
    def __init__(self, vault, known, wrapped, rnd, number):
        super().__init__()
        self.v, self.s, self.rnd, self.number = vault, vault.s, rnd, number
        self.known, self.wrapped = known, wrapped  # what -> its state; (key, version) -> what it wrapped
        self.backups, self.kinds = {}, {}
        self.doubt = self.failure = None  # (kind, what)
        self.answered = False  # what is in doubt was answered, and not yet looked at
        self.stopping = False

    def wrap(self, key, version):
        a = self.s.key("POST", f"/keys/{key}/{version}/wrapkey", {"alg": "A256KW", "value": PLAIN})
        if a.status == 200:
            self.wrapped[(key, version)] = a.json["value"]

    def write(self, kind, what, call):
        """One change; afterwards what is known of it is what the vault shows."""
        self.doubt, self.answered = (kind, what), False
        a = call()
        if a.status >= 500:
            raise ConnectionError(a)
        assert a.status < 300, (kind, what, a)
        self.answered = True
        self.known[what] = self.v.look(what)
        self.doubt = None
        self.kinds[kind] = self.kinds.get(kind, 0) + 1
        state = self.known[what]
        if what[0] == "key" and state[0] == "live" and (what[1], state[2]) not in self.wrapped:
            self.wrap(what[1], state[2])

    def some(self, kind, state):
        return [w for w, k in self.known.items() if w[0] == kind and k[0] == state and w[1] not in ("k1", "kv1")]

    def fresh(self, kind):
        self.number[0] += 1
        return kind, f"{kind}{self.number[0]}"

    def change_key(self):
        live, deleted = self.some("key", "live"), self.some("key", "deleted")
        kind = self.rnd.choice(["create", "import", "update", "rotate", "policy", "backup", "delete", "recover", "purge", "restore"])
        key = self.s.key
        if kind == "create" or (kind not in ("import", "restore", "recover", "purge") and not live):
            what = self.rnd.choice(live) if live and self.rnd.random() < 0.3 else self.fresh("key")
            self.write("create", what, lambda: key("POST", f"/keys/{what[1]}/create", {"kty": "oct", "key_size": 256}))
        elif kind == "import":
            what = self.fresh("key")
            k = base64.urlsafe_b64encode(self.rnd.randbytes(32)).decode().rstrip("=")
            self.write(kind, what, lambda: key("PUT", f"/keys/{what[1]}", {"key": {"kty": "oct", "k": k, "key_ops": [
                "wrapKey", "unwrapKey"]}}))
        elif kind in ("recover", "purge"):
            if deleted:
                what = self.rnd.choice(deleted)
                method, end = ("POST", "/recover") if kind == "recover" else ("DELETE", "")
                self.write(kind, what, lambda: key(method, f"/deletedkeys/{what[1]}{end}"))
        elif kind == "restore":
            gone = [n for n in self.backups if self.known[("key", n)][0] == "absent"]
            if gone:
                name = self.rnd.choice(gone)
                self.write(kind, ("key", name), lambda: key("POST", "/keys/restore", {"value": self.backups[name]}))
        elif live:
            what = self.rnd.choice(live)
            path = f"/keys/{what[1]}"
            if kind == "update":
                self.write(kind, what, lambda: key("PATCH", path, {"tags": {"n": str(self.rnd.random())}}))
            elif kind == "rotate":
                self.write(kind, what, lambda: key("POST", path + "/rotate"))
            elif kind == "policy":
                days = self.rnd.randrange(30, 300)
                self.write(kind, what, lambda: key("PUT", path + "/rotationpolicy", {
                    "lifetimeActions": [], "attributes": {"expiryTime": f"P{days}D"}}))
            elif kind == "backup":
                a = key("POST", path + "/backup")
                if a.status == 200:
                    self.backups[what[1]] = a.json["value"]
            elif kind == "delete":
                self.write(kind, what, lambda: key("DELETE", path))

    def change_vault(self):
        live, deleted = self.some("vault", "live"), self.some("vault", "deleted")
        kind = self.rnd.choice(["vault", "vault-tags", "vault-policy", "vault-delete", "vault-recover", "vault-purge"])
        arm, body = self.s.arm, self.v.body
        if kind == "vault" or (not live and not deleted):
            what = self.fresh("vault")
            self.write("vault", what, lambda: arm("PUT", self.v.path(what[1]), VERSION, body))
        elif kind in ("vault-recover", "vault-purge"):
            if deleted:
                what = self.rnd.choice(deleted)
                self.write(kind, what, (lambda: arm("PUT", self.v.path(what[1]), VERSION, {
                    **body, "properties": {**body["properties"], "createMode": "recover"}})) if kind == "vault-recover" else (
                        lambda: arm("POST", self.v.deleted(what[1], "/purge"), VERSION)))
        elif live:
            what = self.rnd.choice(live)
            path = self.v.path(what[1])
            if kind == "vault-tags":
                self.write(kind, what, lambda: arm("PATCH", path, VERSION, {"tags": {"n": str(self.rnd.random())}}))
            elif kind == "vault-policy":
                policy = {**body["properties"]["accessPolicies"][0], "objectId": str(uuid.UUID(int=self.rnd.getrandbits(128)))}
                self.write(kind, what, lambda: arm("PUT", path + "/accessPolicies/add", VERSION, {
                    "properties": {"accessPolicies": [policy]}}))
            elif kind == "vault-delete":
                self.write(kind, what, lambda: arm("DELETE", path, VERSION))

    def run(self):
        try:
            while not self.stopping:
                self.change_vault() if self.rnd.random() < 0.3 else self.change_key()
        except OSError:
            pass  # it was killed
        except Exception as e:
            self.failure = e


class Crash(unittest.TestCase):
    def test_what_the_vault_answered_is_there_whatever_is_killed(self):
        seed = SEED if SEED is not None else random.randrange(1 << 32)
        rnd = random.Random(seed)
        print(f"seed {seed}, {ROUNDS} rounds", flush=True)
        kinds, known, wrapped, number = {}, {}, {}, [0]
        with Server() as s:
            v = Vault(s)
            s.done(s.arm("PUT", s.group(), "2021-04-01", {"location": "westeurope"}))
            s.done(s.arm("PUT", v.path("kv1"), VERSION, v.body))
            for i in range(ROUNDS):
                w = Writer(v, known, wrapped, random.Random(rnd.randrange(1 << 32)), number)
                w.start()
                time.sleep(rnd.uniform(0.3, 1.0))
                victim = rnd.choice(["vault", "vault", "vault", "all"])
                s.kill() if victim == "all" else os.kill(s.pids()["vault"], 9)
                w.join(2 if victim == "vault" else 20)
                w.stopping = True
                w.join()
                where = f"seed {seed}, round {i}, killed {victim}"
                if w.failure is not None:
                    raise AssertionError(where) from w.failure
                if victim == "all":
                    s.start()
                s.wait(v.serves, 60, f"the vault ({where})")
                self.check(v, w, where)
                for k, n in w.kinds.items():
                    kinds[k] = kinds.get(k, 0) + n
                print(f"{where}: {sum(w.kinds.values())} writes, in doubt: {w.doubt}, answered: {w.answered}", flush=True)
        print(f"kinds: {kinds}", flush=True)
        if ROUNDS >= 50:
            self.assertEqual(ALL_KINDS - set(kinds), set())

    def check(self, v, w, where):
        kind, doubted = w.doubt if w.doubt is not None else (None, None)
        for what in sorted(set(w.known) | ({doubted} - {None})):
            now, before = v.look(what), w.known.get(what, ("absent",))
            if what != doubted:
                self.assertEqual(now, before, f"{where}: {what}")
            elif now != before or w.answered:
                self.assertTrue(self.is_after(kind, before, now), f"{where}: {kind} of {what}: {before} became {now}")
            w.known[what] = now
        for (key, version), value in list(w.wrapped.items()):
            state = w.known[("key", key)]
            if state[0] == "live" and version in [x[0] for x in state[1]]:
                a = v.s.key("POST", f"/keys/{key}/{version}/unwrapkey", {"alg": "A256KW", "value": value})
                self.assertEqual((a.status, a.json.get("value")), (200, PLAIN), f"{where}: {key}/{version}")
        if doubted is not None and doubted[0] == "key" and w.known[doubted][0] == "live":
            for version, _, _ in w.known[doubted][1]:  # what nobody was told of works as well
                a = v.s.key("POST", f"/keys/{doubted[1]}/{version}/wrapkey", {"alg": "A256KW", "value": PLAIN})
                self.assertEqual(a.status, 200, f"{where}: {kind} of {doubted}")

    def is_after(self, kind, before, now):
        """May the change have made this of it? As one step: nothing in between."""
        was, ids = before[0], [x[0] for x in now[1]] if now[0] == "live" and len(now) == 4 else []
        if kind in ("create", "import", "rotate"):
            old = [x[0] for x in before[1]] if was == "live" else []
            return now[0] == "live" and len(ids) == len(old) + 1 and set(old) < set(ids) and now[2] not in old
        if kind == "update":
            return now[0] == "live" and ids == [x[0] for x in before[1]] and now[2:] == before[2:]
        if kind == "policy":
            return now[:3] == before[:3]
        if kind in ("restore", "recover"):
            return was in ("absent", "deleted") and now[0] == "live" and len(ids) >= 1
        if kind in ("vault-tags", "vault-policy"):
            return now[0] == "live" and (now[1] == before[1] or now[2] == before[2])
        return now[0] == {"delete": "deleted", "purge": "absent", "vault": "live", "vault-delete": "deleted",
                          "vault-recover": "live", "vault-purge": "absent"}[kind]


if __name__ == "__main__":
    main()
