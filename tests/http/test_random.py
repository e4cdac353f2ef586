# SPDX-License-Identifier: Apache-2.0
"""tests/http/test_random.py - random requests on a whole server, with rows going in meanwhile: what was acknowledged is where the model says.

    python3 test_random.py [--seed S]      a failure prints the seed that repeats its schedule
"""
import random
import sys
import unittest

from keystead import Server

STEPS, SEED = 200, None
V = "2022-10-01"


class Model(unittest.TestCase):
    """Two clusters with a key each, three workspaces: links come and go, keys are withdrawn and given back, workspaces too."""

    def setUp(self):
        self.s = Server("--virtual-clock", probe=60).__enter__()
        self.version = self.s.make_all(workspace="work0")
        self.s.settings(linkOperationsMax=1000)
        self.s.done(self.s.arm("PUT", self.s.cluster_path("cluster2"), V, {
            "location": "westeurope", "identity": {"type": "SystemAssigned"}, "sku": {"name": "CapacityReservation", "capacity": 500}}))
        self.s.grant(self.s.arm("GET", self.s.cluster_path("cluster2"), V).json["identity"]["principalId"])
        self.s.done(self.s.set_key(version=self.version, cluster="cluster2"))
        for i in (1, 2):
            self.s.make_workspace(f"work{i}", None)
        self.links, self.rows, self.there = ["cluster1", None, None], [[], [], []], [True, True, True]
        self.touched = [set(), set(), set()]  # clusters that hold rows of the workspace
        self.keyed = {"cluster1": True, "cluster2": True}
        self.guids = [self.s.workspace_id(f"work{i}") for i in range(3)]
        for i in range(3):
            self.s.make_table("T_CL", {"N": "long"}, f"work{i}")

    def tearDown(self):
        self.s.close()

    def path(self, i):
        return self.s.workspace_path(f"work{i}")

    def step(self, rnd, n):
        i, cluster = rnd.randrange(3), rnd.choice(["cluster1", "cluster2"])
        what = rnd.choice(["link", "unlink", "send", "send", "send", "remove key", "set key", "delete", "recover", "query", "query"])
        link = self.path(i) + "/linkedServices/cluster"
        if what == "link":
            a = self.s.arm("PUT", link, V, {"properties": {"writeAccessResourceId": self.s.cluster_path(cluster)}})
            wanted = (404 if not self.there[i] else 409 if self.links[i] not in (None, cluster) else 200 if self.links[i] else
                      202 if self.keyed[cluster] else 400)
            self.assertEqual(a.status, wanted, a)
            if wanted == 202:
                self.s.done(a)
                self.links[i] = cluster
        elif what == "unlink":
            a = self.s.arm("DELETE", link, V)
            self.assertEqual(a.status, 404 if not self.there[i] else 202 if self.links[i] else 204, a)
            if a.status == 202:
                self.s.done(a)
                self.links[i] = None
        elif what == "send" and self.there[i]:
            a = self.s.wait(lambda: [x for x in [self.s.send("T_CL", [{"N": n}], self.guids[i])] if x.status == 204], 30, "ingestion")[0]
            dropped = self.links[i] is not None and not self.keyed[self.links[i]]
            self.assertEqual(a.headers.get("x-keystead-dropped-rows"), "1" if dropped else None)
            if not dropped:
                self.rows[i].append(n)
                if self.links[i]:
                    self.touched[i].add(self.links[i])
        elif what == "remove key" and self.keyed[cluster] and rnd.random() < 0.4:
            self.s.done(self.s.arm("PATCH", self.s.cluster_path(cluster), V, {"properties": {"keyVaultProperties": {
                "keyVaultUri": "", "keyName": "", "keyVersion": ""}}}))
            self.keyed[cluster] = False
        elif what == "set key" and not self.keyed[cluster]:
            self.s.done(self.s.set_key(version=self.version, cluster=cluster))
            self.keyed[cluster] = True
        elif what == "delete" and self.there[i] and rnd.random() < 0.4:
            self.assertEqual(self.s.arm("DELETE", self.path(i), V).status, 200)
            self.there[i] = False
        elif what == "recover" and not self.there[i]:
            a = self.s.arm("PUT", self.path(i), V, {"location": "westeurope"})
            self.assertEqual((a.status, a.json["properties"]["customerId"]), (200, self.guids[i]), a)
            self.there[i] = True
        elif what == "query":
            self.check(i)
        return what

    def check(self, i):
        if not self.there[i]:
            self.assertEqual(self.s.query("T_CL | project N", self.guids[i]).status, 404)
            return
        readable = all(self.keyed[c] for c in self.touched[i] | {self.links[i]} if c)

        def answer():
            a = self.s.query("T_CL | project N", self.guids[i])
            return [a] if a.status == (200 if readable else 403) else None
        a = self.s.wait(answer, 30, f"an answer for {'rows' if readable else 'a revoked key'}")[0]
        if readable:
            self.assertEqual(sorted(r[0] for r in a.json["tables"][0]["rows"]), sorted(self.rows[i]))
        shown = self.s.arm("GET", self.path(i), V).json["properties"]["features"].get("clusterResourceId")
        self.assertEqual(shown, self.s.cluster_path(self.links[i]) if self.links[i] else None)

    def test_rows_are_where_the_model_says_whatever_is_linked_and_revoked(self):
        seed = SEED if SEED is not None else random.randrange(1 << 32)
        rnd, done = random.Random(seed), []
        try:
            for n in range(STEPS):
                done.append(self.step(rnd, n))
            for i in range(3):
                self.check(i)
        except Exception:
            print(f"seed {seed}, step {len(done)}: {done[-8:]}; links {self.links}, keyed {self.keyed}, there {self.there}, touched {self.touched}")
            raise


if __name__ == "__main__":
    if "--seed" in sys.argv:
        SEED = int(sys.argv[sys.argv.index("--seed") + 1])
    unittest.main(argv=[sys.argv[0], "-v"])
