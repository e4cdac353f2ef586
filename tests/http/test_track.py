# SPDX-License-Identifier: Apache-2.0
"""tests/http/test_track.py - telemetry of Application Insights SDKs: from an instrumentation key to rows of a workspace."""
import gzip
import json
import os
import subprocess
import unittest
import urllib.parse

from keystead import INGEST, Server

PYTHON = "/usr/bin/python3"  # Debian's packages are its own
TIME = "2026-01-02T03:04:05.678Z"


def item(key, base, data, **more):
    return {"name": "Microsoft.ApplicationInsights." + base, "time": TIME, "iKey": key,
            "tags": {"ai.operation.id": "op1", "ai.cloud.role": "shop", "ai.location.ip": "192.0.2.7", "ai.internal.sdkVersion": "py:1"},
            "data": {"baseType": base, "baseData": {"ver": 2, **data}}, **more}


class Track(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.s = Server().start()
        cls.addClassCleanup(cls.s.close)
        cls.s.make_all()
        cls.w = cls.s.workspace_id()
        cls.n = 0

    def component(self, workspace="workspace1", **properties):
        s = self.s
        type(self).n += 1
        path = s.group(f"/providers/Microsoft.Insights/components/app{self.n}")
        if workspace is not None:
            properties["WorkspaceResourceId"] = s.workspace_path(workspace)
        return s.done(s.arm("PUT", path, "2020-02-02", {"location": "westeurope", "kind": "web", "properties": properties})).json

    def send(self, body, path="/v2.1/track", headers=None):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.s.raw("POST", self.s.credentials["endpoint"] + path, data, {"Content-Type": "application/json", **(headers or {})})

    def taken(self, answer, n):
        self.assertEqual((answer.status, answer.json["itemsReceived"], answer.json["itemsAccepted"], answer.json["errors"]), (200, n, n, []), answer)

    def errors(self, answer, status):
        self.assertEqual(answer.status, status, answer)
        return [(e["index"], e["statusCode"]) for e in answer.json["errors"]]

    def test_every_type_of_telemetry_is_a_row_of_its_table(self):
        app = self.component()
        p = app["properties"]
        key = p["InstrumentationKey"]
        endpoint = dict(x.split("=", 1) for x in p["ConnectionString"].split(";"))["IngestionEndpoint"]
        self.assertEqual(urllib.parse.urlsplit(endpoint).port, self.s.port)
        self.taken(self.send([
            item(key, "RequestData", {"id": "r1", "name": "GET /", "url": "http://x/", "success": True, "responseCode": "200",
                                      "duration": "00:00:01.5000000", "properties": {"tenant": "t1"}, "measurements": {"m": 1.5}}),
            item(key, "RemoteDependencyData", {"id": "d1", "name": "SQL", "type": "SQL", "target": "db", "data": "select 1", "success": False,
                                               "resultCode": 500, "duration": "0.00:00:00.1000000"}),
            item(key, "MessageData", {"message": "hello", "severityLevel": "Warning"}, sampleRate=25),
            item(key, "ExceptionData", {"exceptions": [{"typeName": "ValueError", "message": "bad", "parsedStack": [{"method": "f", "assembly": "m"}]},
                                                       {"typeName": "KeyError", "message": "k"}], "severityLevel": 3}),
            item(key, "EventData", {"name": "bought"}),
            item(key, "MetricData", {"metrics": [{"name": "cpu", "value": 7, "count": 3, "min": 1, "max": 4}, {"name": "mem", "value": 2}]}),
            item(key, "PageViewData", {"id": "p1", "name": "home", "url": "http://x/home", "duration": "00:00:00.2000000"}),
            item(key, "PageViewPerfData", {"name": "home", "perfTotal": "00:00:02"}),
            item(key, "AvailabilityData", {"id": "a1", "name": "ping", "runLocation": "here", "success": True, "duration": "00:00:00.0100000"}),
        ]), 9)
        rows = self.s.rows
        only = f"where ResourceGUID == '{p['AppId']}' | "
        self.assertEqual(rows(f"AppRequests | {only}project TimeGenerated, Id, Name, Success, ResultCode, DurationMs, PerformanceBucket, "
                              "tostring(Properties.tenant), todouble(Measurements.m), OperationId, AppRoleName, ClientIP, ItemCount, Type", self.w),
                         [["2026-01-02T03:04:05.6780000Z", "r1", "GET /", True, "200", 1500.0, "1sec-3sec", "t1", 1.5, "op1", "shop", "0.0.0.0", 1,
                           "AppRequests"]])
        self.assertEqual(rows(f"AppDependencies | {only}project DependencyType, Target, Data, Success, ResultCode, DurationMs, PerformanceBucket",
                              self.w), [["SQL", "db", "select 1", False, "500", 100.0, "<250ms"]])
        self.assertEqual(rows(f"AppTraces | {only}project Message, SeverityLevel, ItemCount", self.w), [["hello", 2, 4]])
        self.assertEqual(rows(f"AppExceptions | {only}project ExceptionType, OuterMessage, InnermostType, Method, SeverityLevel, "
                              "array_length(Details)", self.w), [["ValueError", "bad", "KeyError", "f", 3, 2]])
        self.assertEqual(rows(f"AppEvents | {only}project Name", self.w), [["bought"]])
        self.assertEqual(rows(f"AppMetrics | {only}sort by Name asc | project Name, Sum, Min, Max, ItemCount", self.w),
                         [["cpu", 7.0, 1.0, 4.0, 3], ["mem", 2.0, 2.0, 2.0, 1]])
        self.assertEqual(rows(f"AppPageViews | {only}project Id, DurationMs", self.w), [["p1", 200.0]])
        self.assertEqual(rows(f"AppBrowserTimings | {only}project TotalDurationMs, PerformanceBucket", self.w), [[2000.0, "1sec-3sec"]])
        self.assertEqual(rows(f"AppAvailabilityResults | {only}project Location, Success, DurationMs", self.w), [["here", True, 10.0]])

    def test_lines_and_gzip_are_read_and_an_address_is_kept_where_somebody_says_so(self):
        key = self.component(DisableIpMasking=True)["properties"]["InstrumentationKey"]
        lines = b"\n".join(json.dumps(item(key.upper(), "EventData", {"name": f"line{i}"})).encode() for i in range(3)) + b"\n"
        self.taken(self.send(gzip.compress(lines), "/v2/track", {"Content-Encoding": "gzip", "Content-Type": "application/x-json-stream"}), 3)
        self.taken(self.send(item(key, "EventData", {"name": "line3"})), 1)
        self.assertEqual(self.s.rows("AppEvents | where Name startswith 'line' | distinct ClientIP, Name | count", self.w), [[4]])
        self.assertEqual(self.s.rows("AppEvents | where Name == 'line0' | project ClientIP", self.w), [["192.0.2.7"]])

    def test_what_is_not_accepted_is_listed_by_its_place(self):
        key = self.component()["properties"]["InstrumentationKey"]
        other = "00000000-0000-0000-0000-000000000001"
        good = item(key, "EventData", {"name": "good"})
        a = self.send([good, item(other, "EventData", {"name": "x"}), item(key, "NoSuchData", {}), good, 7])
        self.assertEqual(self.errors(a, 206), [(1, 400), (2, 400), (4, 400)])
        self.assertEqual((a.json["itemsReceived"], a.json["itemsAccepted"]), (5, 2))
        self.assertEqual(self.errors(self.send([item(other, "EventData", {"name": "x"})]), 400), [(0, 400)])
        self.assertEqual(self.errors(self.send(json.dumps(good).encode() + b"\n{broken\n"), 206), [(1, 400)])
        classic = self.component(None)["properties"]["InstrumentationKey"]
        self.assertEqual(self.errors(self.send([item(classic, "EventData", {"name": "x"})]), 403), [(0, 403)])
        self.assertEqual(self.send(b"x" * (5 << 20)).status, 413)
        self.assertEqual(self.send(gzip.compress(b" " * (5 << 20)), headers={"Content-Encoding": "gzip"}).status, 413)

    def test_a_component_without_local_rights_asks_for_a_token(self):
        key = self.component(DisableLocalAuth=True)["properties"]["InstrumentationKey"]
        body = [item(key, "EventData", {"name": "with rights"})]
        self.assertEqual(self.send(body).status, 401)
        self.taken(self.send(body, headers={"Authorization": "Bearer " + self.s.token(INGEST)}), 1)
        closed = self.component(publicNetworkAccessForIngestion="Disabled")["properties"]["InstrumentationKey"]
        self.assertEqual(self.send([item(closed, "EventData", {"name": "x"})]).status, 403)

    def test_telemetry_lies_under_the_customers_key_and_is_dropped_while_it_is_revoked(self):
        s = self.s
        key = self.component()["properties"]["InstrumentationKey"]
        body = [item(key, "MessageData", {"message": "Dodecahedron"})]
        self.taken(self.send(body), 1)
        for name in s.files():
            with open(name, "rb") as f:
                self.assertFalse(b"Dodecahedron" in f.read(), name)
        s.done(s.arm("PATCH", s.cluster_path(), "2022-10-01", {"properties": {"keyVaultProperties": {
            "keyVaultUri": "", "keyName": "", "keyVersion": ""}}}))
        a = self.send(body)
        self.assertEqual((a.status, a.headers.get("x-keystead-dropped-rows")), (200, "1"), a)
        self.assertEqual(s.query("AppTraces", self.w).status, 403)
        s.done(s.set_key())
        s.wait(lambda: s.query("AppTraces", self.w).status == 200, what="the key's return")
        self.assertEqual(s.rows("AppTraces | where Message == 'Dodecahedron' | count", self.w), [[1]])

    def test_an_sdk_sends_what_it_collects(self):
        if subprocess.run([PYTHON, "-c", "import applicationinsights"], capture_output=True).returncode != 0:
            self.skipTest("python3-applicationinsights is not installed")
        p = self.component()["properties"]
        code = """if True:
            import sys
            from applicationinsights import TelemetryClient, channel
            endpoint, key = sys.argv[1:]
            sender = channel.SynchronousSender(endpoint)
            client = TelemetryClient(key, channel.TelemetryChannel(None, channel.SynchronousQueue(sender)))
            client.context.operation.id = "op-sdk"
            client.track_event("from the sdk", {"a": "b"}, {"n": 2})
            client.track_trace("a trace", severity="WARNING")
            client.track_request("GET /sdk", "http://x/sdk", True, duration=42, response_code=204)
            client.track_metric("load", 3.5)
            try:
                raise ValueError("from the sdk")
            except ValueError:
                client.track_exception()
            client.flush()
        """
        endpoint = dict(x.split("=", 1) for x in p["ConnectionString"].split(";"))["IngestionEndpoint"]
        run = subprocess.run([PYTHON, "-c", code, endpoint + "v2/track", p["InstrumentationKey"]], capture_output=True, text=True,
                             env={**os.environ, "SSL_CERT_FILE": self.s.credentials["caFile"]})
        self.assertEqual(run.returncode, 0, run.stderr)
        only = f"where ResourceGUID == '{p['AppId']}' | "
        for kql, row in (("AppEvents | %sproject Name, tostring(Properties.a), todouble(Measurements.n), OperationId",
                          ["from the sdk", "b", 2.0, "op-sdk"]),
                         ("AppTraces | %sproject Message, SeverityLevel", ["a trace", 2]),
                         ("AppRequests | %sproject Name, Success, DurationMs, ResultCode", ["GET /sdk", True, 42.0, "204"]),
                         ("AppMetrics | %sproject Name, Sum", ["load", 3.5]), ("AppExceptions | %sproject ExceptionType", ["ValueError"])):
            self.assertEqual(self.s.rows(kql % only, self.w), [row])

    def test_a_purge_is_refused_by_name(self):
        app = self.component()
        a = self.s.arm("POST", app["id"] + "/purge", "2020-02-02", {"table": "requests", "filters": []})
        self.assertEqual((a.status, a.json["error"]["code"]), (400, "NotSupported"), a)


if __name__ == "__main__":
    unittest.main()
