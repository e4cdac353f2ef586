# SPDX-License-Identifier: Apache-2.0
"""tests/http/test_lockbox.py - an operator's access to rows: asked for, approved by an owner, over after its hours, and told."""
import json
import unittest
import urllib.parse
import uuid

from keystead import ARM, QUERY, Server

V = "2018-02-28-preview"


class Lockbox(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.s = Server("--virtual-clock", probe=60).start()  # a turn does not stop at each probe of 6 s
        cls.addClassCleanup(cls.s.close)
        s = cls.s
        s.done(s.arm("PUT", s.group(), "2021-04-01", {"location": "westeurope"}))
        s.make_workspace(cluster=None)
        s.make_workspace("workspace2", cluster=None)
        cls.w, cls.other = s.workspace_id(), s.workspace_id("workspace2")
        s.make_table("Words_CL", {"Word": "string"})
        s.send("Words_CL", [{"Word": "hello"}], cls.w)
        made = s.call("POST", "/admin/identities", {"name": "operator"})
        assert made.status == 201, made
        cls.operator, role = made.json, str(uuid.uuid4())
        definition = s.sub("/providers/Microsoft.Authorization/roleDefinitions/" + role)
        a = s.arm("PUT", definition, "2022-04-01", {"properties": {
            "roleName": "Operator", "type": "CustomRole", "assignableScopes": [s.sub()],
            "permissions": [{"actions": ["Microsoft.Keystead/lockbox/write", "Microsoft.CustomerLockbox/requests/*"]}]}})
        assert a.status == 201, a
        a = s.arm("PUT", s.sub(f"/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}"), "2022-04-01", {"properties": {
            "roleDefinitionId": definition, "principalId": cls.operator["objectId"], "principalType": "ServicePrincipal"}})
        assert a.status == 201, a

    def as_operator(self, method, path, body=None, resource=ARM):
        c = self.s.credentials
        a = self.s.raw("POST", f"{c['endpoint']}/{c['tenantId']}/oauth2/v2.0/token", urllib.parse.urlencode({
            "grant_type": "client_credentials", "client_id": self.operator["clientId"], "client_secret": self.operator["secret"],
            "scope": resource + "/.default"}), {"Content-Type": "application/x-www-form-urlencoded"})
        self.assertEqual(a.status, 200, a)
        return self.s.raw(method, c["endpoint"] + path, json.dumps(body).encode() if body is not None else None,
                          {"Authorization": "Bearer " + a.json["access_token"], "Content-Type": "application/json"})

    def ask(self, **more):
        return self.as_operator("POST", "/admin/lockbox", {
            "resourceIds": [self.s.workspace_path()], "justification": "ticket 7", **more})

    def decide(self, request, status):
        return self.s.arm("POST", request["id"] + "/updateApproval", V, {"status": status, "reason": "so"})

    def reads(self, workspace=None):
        return self.as_operator("POST", f"/v1/workspaces/{workspace or self.w}/query", {"query": "Words_CL | project Word"}, QUERY)

    def state(self, request):
        return self.s.arm("GET", request["id"], V).json["properties"]["status"]

    def log(self, action):
        return self.s.rows(f"AzureActivity | where OperationNameValue =~ '{action}' | project Caller", self.w)

    def test_an_operator_reads_after_an_approval_only_and_only_for_its_hours(self):
        self.assertEqual(self.reads().status, 403)
        a = self.ask(hours=2)
        self.assertEqual((a.status, a.json["properties"]["status"]), (201, "Pending"), a)
        request = a.json
        self.assertEqual(request["properties"]["resourceIds"], self.s.workspace_path())
        self.assertEqual(self.reads().status, 403)
        own = self.as_operator("POST", request["id"] + "/updateApproval?api-version=" + V, {"status": "Approve"})
        self.assertEqual(own.status, 403, own)
        approved = self.decide(request, "Approve")
        self.assertEqual((approved.status, approved.json["properties"]["status"]), (200, "Approved"), approved)
        self.assertEqual(self.reads().json["tables"][0]["rows"], [["hello"]])
        self.assertEqual(self.reads(self.other).status, 403)
        over = self.as_operator("POST", f"/v1/workspaces/{self.w}/query", {"query": "union Words_CL, workspace('workspace2').AppTraces"}, QUERY)
        self.assertEqual((over.status, over.json["error"]["innererror"]["code"]), (403, "WorkspaceAccessDenied"), over)
        again = self.as_operator("POST", f"/v1/workspaces/{self.w}/query", {"query": "workspace('workspace1').Words_CL | project Word"}, QUERY)
        self.assertEqual(again.json["tables"][0]["rows"], [["hello"]])
        self.assertEqual(self.decide(request, "Deny").status, 409)
        self.s.turn(seconds=2 * 3600 + 1)
        self.assertEqual(self.reads().status, 403)
        self.assertEqual(self.state(request), "Completed")
        for action, caller in (("Microsoft.CustomerLockbox/requests/write", self.operator["objectId"]),
                               ("Microsoft.OperationalInsights/workspaces/query/read", self.operator["objectId"]),
                               ("Microsoft.CustomerLockbox/requests/updateApproval/action", self.s.credentials["objectId"])):
            self.assertIn([caller], self.log(action), action)

    def test_a_denial_opens_nothing(self):
        request = self.ask().json
        self.assertEqual(self.decide(request, "Deny").json["properties"]["status"], "Denied")
        self.assertEqual(self.reads().status, 403)
        self.assertEqual(self.decide(request, "Approve").status, 409)

    def test_a_request_that_nobody_answers_expires_after_four_days(self):
        request = self.ask().json
        path = self.s.sub("/providers/Microsoft.CustomerLockbox/requests")
        pending = self.s.call("GET", path + "?$filter=" + urllib.parse.quote("properties/status eq 'Pending'"))
        self.assertIn(request["name"], [x["name"] for x in pending.json["value"]])  # without an api-version, too
        self.s.turn(days=4, seconds=7 * 3600)  # the log is written by the next round of housekeeping
        self.assertEqual(self.state(request), "Expired")
        self.assertEqual(self.decide(request, "Approve").status, 409)
        self.s.wait(lambda: self.log("Microsoft.CustomerLockbox/requests/expire/action"), what="the row of the expiry")

    def test_an_approver_by_role_decides_and_a_contributor_does_not(self):
        s = self.s
        people = {}
        for name, role in (("approver", "4dae6930-7baf-46f5-909e-0383bc931c46"), ("manager", "b24988ac-6180-42a0-ab88-20f7382dd24c")):
            made = s.call("POST", "/admin/identities", {"name": name}).json
            a = s.arm("PUT", s.sub(f"/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}"), "2022-04-01", {"properties": {
                "roleDefinitionId": s.sub("/providers/Microsoft.Authorization/roleDefinitions/" + role), "principalId": made["objectId"],
                "principalType": "ServicePrincipal"}})
            self.assertEqual(a.status, 201, a)
            people[name] = made
        request, path = self.ask(supportRequest="SR 12").json, None
        self.assertEqual(request["properties"]["supportRequest"], "SR 12")
        path = request["id"] + "/updateApproval?api-version=" + V
        operator = type(self).operator
        try:
            for name, status in (("manager", 403), ("approver", 200)):
                type(self).operator = people[name]
                a = self.as_operator("POST", path, {"status": "Approve", "reason": "so"})
                self.assertEqual(a.status, status, a)
        finally:
            type(self).operator = operator
        self.assertEqual(self.state(request), "Approved")
        s.turn(seconds=9 * 3600)

    def test_a_tenant_that_opted_out_is_asked_for_nothing_and_told_all(self):
        s, base = self.s, "/providers/Microsoft.CustomerLockbox/"
        here = base + "tenantOptedIn/" + s.credentials["tenantId"]
        self.assertEqual(s.call("GET", here).json, {"isOptedIn": True})
        self.assertEqual(s.call("GET", base + "tenantOptedIn/00000000-0000-0000-0000-000000000000").status, 404)
        self.assertEqual(self.as_operator("POST", base + "disableLockbox").status, 403)
        self.assertEqual(self.reads().status, 403)
        a = s.call("POST", base + "disableLockbox?api-version=" + V)
        self.assertEqual(a.status, 200, a)
        try:
            self.assertEqual(s.call("GET", here).json, {"isOptedIn": False})
            self.assertEqual(self.ask().json["properties"]["status"], "Approved")
            self.assertEqual(self.reads().json["tables"][0]["rows"], [["hello"]])
        finally:
            self.assertEqual(s.call("POST", base + "enableLockbox").status, 200)
        self.assertEqual(self.ask().json["properties"]["status"], "Pending")
        self.assertEqual(len(self.log("Microsoft.CustomerLockbox/disableLockbox/action")), 2)
        s.turn(seconds=9 * 3600)
        self.assertEqual(self.reads().status, 403)

    def test_bad_requests_are_refused(self):
        for change in ({"resourceIds": []}, {"resourceIds": ["/x"]}, {"justification": ""}, {"hours": 25}, {"hours": 0}):
            self.assertEqual(self.ask(**change).status, 400, change)
        request = self.ask().json
        self.assertEqual(self.decide(request, "Perhaps").status, 400)


if __name__ == "__main__":
    unittest.main()
