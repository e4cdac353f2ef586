# SPDX-License-Identifier: Apache-2.0
"""tests/http/test_functions.py - saved searches with an alias are functions of the workspace's queries."""
import unittest

from keystead import Server

VERSION = "2020-08-01"


class Functions(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.server.start()
        cls.server.make_all()
        cls.server.make_table("Web_CL", {"N": "long", "Path": "string"})
        cls.workspace = cls.server.workspace_id()
        assert cls.server.send("Web_CL", [{"N": n, "Path": f"/p{n % 3}"} for n in range(12)], cls.workspace).status == 204

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def save(self, name, query, alias=None, parameters=None):
        properties = {"category": "c", "displayName": name, "query": query}
        if alias is not None:
            properties["functionAlias"] = alias
        if parameters is not None:
            properties["functionParameters"] = parameters
        path = self.server.workspace_path() + "/savedSearches/" + name
        self.assertEqual(self.server.arm("PUT", path, VERSION, {"properties": properties}).status, 200)
        return path

    def rows(self, kql):
        return self.server.rows(kql, self.workspace)

    def test_functions_are_called_by_alias_with_values_and_tables_and_know_each_other(self):
        self.save("one", "Web_CL | where N >= least", "BigOnes", "least:long = 10")
        self.save("two", "let half = (n:long) { n / 2 };\nrows | extend Half = half(N) // of it", "Halved", "rows:(N:long, *)")
        self.save("three", "BigOnes(least = from) | invoke Halved() | summarize sum(Half)", "Sum_of_halves", "from:long")
        self.save("plain", "Web_CL | count")
        self.assertEqual(self.rows("BigOnes | count"), [[2]])
        self.assertEqual(self.rows("BigOnes(6) | summarize max(N)"), [[11]])
        self.assertEqual(self.rows("Halved(Web_CL | where N == 8) | project Half"), [[4]])
        self.assertEqual(self.rows("union BigOnes, (Sum_of_halves(10) | project N=sum_Half) | summarize sum(N)"), [[31]])
        self.assertEqual(self.rows("let BigOnes = () { print 1 }; BigOnes"), [[1]])
        self.assertEqual(self.server.query("plain | count", self.workspace).status, 400)

    def test_a_function_is_what_it_was_saved_as_last_and_is_gone_when_it_is_deleted(self):
        path = self.save("changes", "print v=1", "Changes")
        self.assertEqual(self.rows("Changes"), [[1]])
        self.save("changes", "print v=2", "Changes")
        self.assertEqual(self.rows("Changes"), [[2]])
        self.assertEqual(self.server.arm("DELETE", path, VERSION).status, 200)
        a = self.server.query("Changes", self.workspace)
        self.assertEqual(a.status, 400)
        self.assertIn(b"there is no table 'Changes'", a.body)

    def test_what_is_wrong_inside_is_said_at_the_call(self):
        self.save("wrong", "Web_CL | where Nothing == 1", "Wrong")
        a = self.server.query("print 1 | union\n  Wrong", self.workspace)
        self.assertEqual(a.status, 400)
        self.assertIn(b"in the function 'Wrong': 'where' finds no column or value named 'Nothing'", a.body)

    def test_a_zero_in_a_query_is_refused_and_not_its_end(self):
        for text in ["print 1\0 | take nothing", "print '\0'"]:
            self.assertEqual(self.server.query(text, self.workspace).status, 400, repr(text))
        path = f"/v1/workspaces/{self.workspace}/query?query=print%201%00%20nonsense"
        self.assertEqual(self.server.call("GET", path, None, "https://api.loganalytics.io").status, 400)


if __name__ == "__main__":
    unittest.main()
