# SPDX-License-Identifier: Apache-2.0
"""tests/clients/kusto.py - azure-kusto-data against the Kusto endpoint; test_python.py starts a server with workspace1 and runs it.

usage: kusto.py DIR/credentials.json    (REQUESTS_CA_BUNDLE names the server's CA)
"""
import datetime
import decimal
import json
import sys
import uuid

from azure.kusto.data import ClientRequestProperties, KustoClient, KustoConnectionStringBuilder
from azure.kusto.data.exceptions import KustoApiError, KustoMultiApiError

from said import fails, ok

with open(sys.argv[1]) as f:
    c = json.load(f)
BASE, DB = c["endpoint"], "workspace1"


# The authority "adfs" keeps the client from asking Microsoft whether it knows the endpoint: there is no option for it.
client = KustoClient(KustoConnectionStringBuilder.with_aad_application_key_authentication(BASE, c["clientId"], c["clientSecret"], "adfs"))

answer = client.execute_query(DB, "Words_CL | sort by Number asc | project Word, Number, TimeGenerated")
assert [(r["Word"], r["Number"]) for r in answer.primary_results[0]] == [("a", 0), ("b", 1), ("c", 2)]
assert isinstance(answer.primary_results[0][0]["TimeGenerated"], datetime.datetime)
assert answer.errors_count == 0
ok("kusto-data logs in with a secret and queries")

row = client.execute(DB, """print b = true, i = int(7), l = 9007199254740993, r = 1.5, d = decimal(1.25), t = datetime(2026-03-01), p = 1d + 2h,
    g = guid(74be27de-1e4e-49d9-b579-fe0b331d3642), y = dynamic({"a": [1, "x"]}), n = long(null)""").primary_results[0][0]
assert row.to_list() == [
    True, 7, 9007199254740993, 1.5, decimal.Decimal("1.25"), datetime.datetime(2026, 3, 1, tzinfo=datetime.timezone.utc),
    datetime.timedelta(days=1, hours=2), "74be27de-1e4e-49d9-b579-fe0b331d3642", {"a": [1, "x"]}, None], row.to_list()
ok("kusto-data reads each type")

several = client.execute(DB, "print 1; print 2")
assert [t[0][0] for t in several.primary_results] == [1, 2]
stream = client.execute_streaming_query(DB, "range x from 1 to 50000 step 1")
assert sum(r["x"] for table in stream.iter_primary_results() for r in table) == 50000 * 50001 // 2
stream.errors_count if stream.finished else None
ok("kusto-data reads several results, and rows as they come")

p = ClientRequestProperties()
p.client_request_id = "mine;" + str(uuid.uuid4())
p.set_parameter("w", "it's b")
p.set_parameter("n", "2")
p.set_option(ClientRequestProperties.request_timeout_option_name, datetime.timedelta(minutes=1))
q = "declare query_parameters(w:string, n:long); print w, n, database = 1 + n"
assert client.execute(DB, q, p).primary_results[0][0].to_list() == ["it's b", 2, 3]
ok("kusto-data sends parameters, a time limit and an id")

assert "workspace1" in [r["DatabaseName"] for r in client.execute_mgmt("", ".show databases").primary_results[0]]
assert "Words_CL" in [r["TableName"] for r in client.execute(DB, ".show tables").primary_results[0]]
schema = json.loads(client.execute(DB, ".show databases schema as json").primary_results[0][0]["DatabaseSchema"])
assert "Words_CL" in schema["Databases"]["workspace1"]["Tables"]
ok("kusto-data looks around with commands")

e = fails(KustoApiError, lambda: client.execute(DB, "Words_CL | where Nope == 1"))
assert e.get_api_error().code == "General_BadRequest" and "SEM0100" in str(e) and e.get_api_error().permanent
e = fails(KustoApiError, lambda: client.execute("nothing", "print 1"))
assert e.get_api_error().code == "BadRequest_EntityNotFound"
p = ClientRequestProperties()
p.set_option("truncationmaxrecords", 3)
e = fails(KustoMultiApiError, lambda: client.execute(DB, "range x from 1 to 10 step 1", p))
assert e.get_api_errors()[0].code == "LimitsExceeded"
p.set_option(ClientRequestProperties.results_defer_partial_query_failures_option_name, True)
partial = client.execute(DB, "range x from 1 to 10 step 1", p)
assert partial.errors_count == 1 and "E_QUERY_RESULT_SET_TOO_LARGE" in partial.get_exceptions()[0]
ok("kusto-data tells failures by their codes, and those that come behind rows")
print("done")
