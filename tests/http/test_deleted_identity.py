# SPDX-License-Identifier: Apache-2.0
"""tests/http/test_deleted_identity.py - who deletes a cluster's user-assigned identity has withdrawn its key."""
import unittest

from keystead import Server


class DeletedIdentity(unittest.TestCase):
    def test_no_token_from_before_outlives_the_identity(self):
        with Server() as s:
            s.make_all()
            path = s.group("/providers/Microsoft.ManagedIdentity/userAssignedIdentities/reader")
            made = s.done(s.arm("PUT", path, "2023-01-31", {"location": "westeurope"})).json
            s.grant(made["properties"]["principalId"])
            s.done(s.arm("PUT", s.cluster_path("cluster2"), "2022-10-01", {
                "location": "westeurope", "sku": {"name": "CapacityReservation", "capacity": 500},
                "identity": {"type": "UserAssigned", "userAssignedIdentities": {made["id"]: {}}}}))
            s.done(s.set_key(cluster="cluster2"))
            s.make_workspace("workspace2", "cluster2")
            w = s.workspace_id("workspace2")
            s.make_table("Rows_CL", {"N": "long"}, "workspace2")
            self.assertEqual(s.send("Rows_CL", [{"N": 1}], w).status, 204)
            self.assertEqual(s.rows("Rows_CL | count", w), [[1]])

            self.assertEqual(s.arm("DELETE", path, "2023-01-31").status, 200)
            # A token lasts an hour; the bound is a minute.
            s.wait(lambda: s.query("Rows_CL | count", w).status == 403, 60, "the end of the identity")


if __name__ == "__main__":
    unittest.main()
