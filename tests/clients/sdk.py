# SPDX-License-Identifier: Apache-2.0
"""tests/clients/sdk.py - the main job through the Python SDKs; test_python.py starts a server and runs it.

usage: sdk.py DIR/credentials.json    (REQUESTS_CA_BUNDLE names the server's CA)
Prints a line for each sentence that it has proved; ends with an error at the first that is not true.
"""
import datetime
import json
import socket
import sys
import time

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.identity import ClientSecretCredential
from azure.keyvault.keys import KeyClient
from azure.keyvault.keys.crypto import CryptographyClient, KeyWrapAlgorithm
from azure.mgmt.keyvault import KeyVaultManagementClient
from azure.mgmt.loganalytics import LogAnalyticsManagementClient
from azure.monitor.ingestion import LogsIngestionClient
from azure.monitor.query import LogsBatchQuery, LogsQueryClient, LogsQueryStatus

from said import fails, ok

# glibc does not know that names under .localhost are this machine: elsewhere a line in /etc/hosts says so.
getaddrinfo = socket.getaddrinfo
socket.getaddrinfo = lambda host, *rest, **more: getaddrinfo(
    "127.0.0.1" if isinstance(host, str) and host.endswith(".localhost") else host, *rest, **more)

with open(sys.argv[1]) as f:
    c = json.load(f)
BASE, GROUP, VAULT = c["endpoint"], "sdk", f"https://sdk-kv.{c['vaultSuffix']}"
ARM = {"base_url": BASE, "credential_scopes": [BASE + "/.default"], "polling_interval": 1}
DAY = datetime.timedelta(days=1)


def log_in(secret):
    args = (c["tenantId"], c["clientId"], secret)
    # The option had another name in the beta that Debian 12 has; unknown options are not refused.
    return ClientSecretCredential(*args, authority=BASE, instance_discovery=False, disable_instance_discovery=True)


def until(what, condition):
    for _ in range(300):
        if condition():
            return
        time.sleep(0.2)
    raise AssertionError(f"{what} did not come true")


credential = log_in(c["clientSecret"])
assert "AADSTS7000215" in str(fails(Exception, lambda: log_in("wrong").get_token(BASE + "/.default")))
ok("identity gets a token, and says what is wrong with a secret")

# --- vault and key ----------------------------------------------------------------------------------------------
vaults = KeyVaultManagementClient(credential, c["subscriptionId"], **ARM)
vaults.vaults.begin_create_or_update(GROUP, "sdk-kv", {"location": "westeurope", "properties": {
    "tenant_id": c["tenantId"], "sku": {"family": "A", "name": "standard"}, "enable_purge_protection": True,
    "access_policies": [{"tenant_id": c["tenantId"], "object_id": c["objectId"], "permissions": {"keys": ["all"]}}]}}).result()
assert vaults.vaults.get(GROUP, "sdk-kv").properties.vault_uri == VAULT + "/"
ok("mgmt-keyvault makes a vault")

keys = KeyClient(VAULT, credential)
first = keys.create_rsa_key("k1", size=2048)
second = keys.rotate_key("k1")
assert {v.version for v in keys.list_properties_of_key_versions("k1")} == {first.properties.version, second.properties.version}
assert keys.get_key("k1").properties.version == second.properties.version
assert fails(ResourceNotFoundError, lambda: keys.get_key("nothing")).error.code == "KeyNotFound"
keys.create_rsa_key("k2", size=2048)
keys.begin_delete_key("k2").wait()
assert "k2" in [k.name for k in keys.list_deleted_keys()]
keys.begin_recover_deleted_key("k2").wait()
assert keys.get_key("k2").name == "k2"
ok("keyvault-keys makes, rotates, lists, deletes and recovers keys")

crypto, secret = CryptographyClient(first.id, credential), bytes(range(32))
for algorithm in (KeyWrapAlgorithm.rsa_oaep, KeyWrapAlgorithm.rsa_oaep_256):
    assert crypto.unwrap_key(algorithm, crypto.wrap_key(algorithm, secret).encrypted_key).key == secret
ok("keyvault-keys wraps and unwraps under an older version")

# --- cluster, workspace, link, table ----------------------------------------------------------------------------
arm = LogAnalyticsManagementClient(credential, c["subscriptionId"], **ARM)
cluster = arm.clusters.begin_create_or_update(GROUP, "cluster1", {
    "location": "westeurope", "identity": {"type": "SystemAssigned"},
    "sku": {"name": "CapacityReservation", "capacity": 500}}).result()
assert cluster.provisioning_state == "Succeeded"
vaults.vaults.update_access_policy(GROUP, "sdk-kv", "add", {"properties": {"access_policies": [{
    "tenant_id": c["tenantId"], "object_id": cluster.identity.principal_id,
    "permissions": {"keys": ["get", "wrapKey", "unwrapKey"]}}]}})
version = second.properties.version
arm.clusters.begin_update(GROUP, "cluster1", {"key_vault_properties": {
    "key_vault_uri": VAULT, "key_name": "k1", "key_version": version}}).result()
cluster = arm.clusters.get(GROUP, "cluster1")
assert (cluster.provisioning_state, cluster.key_vault_properties.key_version) == ("Succeeded", version)
assert "cluster1" in [x.name for x in arm.clusters.list()]
assert fails(ResourceNotFoundError, lambda: arm.clusters.get(GROUP, "nothing")).error.code == "ResourceNotFound"
ok("mgmt-loganalytics makes a cluster and sets its key")

workspace = arm.workspaces.begin_create_or_update(GROUP, "workspace1", {"location": "westeurope"}).result()
arm.linked_services.begin_create_or_update(GROUP, "workspace1", "cluster", {"write_access_resource_id": cluster.id}).result()
until("the link", lambda: arm.workspaces.get(GROUP, "workspace1").features.cluster_resource_id == cluster.id)
arm.tables.begin_create_or_update(GROUP, "workspace1", "Sdk_CL", {"schema": {"name": "Sdk_CL", "columns": [
    {"name": "TimeGenerated", "type": "datetime"}, {"name": "Word", "type": "string"}, {"name": "Number", "type": "long"}]}}).result()
assert "Sdk_CL" in [t.name for t in arm.tables.list_by_workspace(GROUP, "workspace1")]
ok("mgmt-loganalytics makes a workspace, links it and makes a table")

# --- rows -------------------------------------------------------------------------------------------------------
ingestion = LogsIngestionClient(BASE, credential)
now = datetime.datetime.now(datetime.timezone.utc).isoformat()
ingestion.upload(rule_id="dcr-" + workspace.customer_id.replace("-", ""), stream_name="Custom-Sdk_CL", logs=[
    {"TimeGenerated": now, "Word": f"word-{n % 7}-" + "x" * 50, "Number": n} for n in range(30000)])
ok("monitor-ingestion uploads 30,000 rows")

query = LogsQueryClient(credential, endpoint=BASE)


def ask(kql):
    return query.query_workspace(workspace.customer_id, kql, timespan=DAY)


answer = ask("Sdk_CL | summarize n=count(), newest=max(TimeGenerated) by Word=substring(Word, 0, 6) | sort by Word asc")
assert answer.status == LogsQueryStatus.SUCCESS
assert [row["Word"] for row in answer.tables[0].rows] == [f"word-{n}" for n in range(7)]
assert sum(row["n"] for row in answer.tables[0].rows) == 30000
assert isinstance(answer.tables[0].rows[0]["newest"], datetime.datetime)
if hasattr(query, "query_resource"):  # since 1.2
    assert query.query_resource(workspace.id, "Sdk_CL | count", timespan=DAY).tables[0].rows[0][0] == 30000
assert fails(HttpResponseError, lambda: ask("Sdk_CL | nonsense")).error.code == "BadArgumentError"
both = query.query_batch([LogsBatchQuery(workspace_id=workspace.customer_id, query=q, timespan=DAY) for q in ("Sdk_CL | count", "Sdk_CL | nonsense")])
assert (both[0].status, both[0].tables[0].rows[0][0]) == (LogsQueryStatus.SUCCESS, 30000)
assert (both[1].status, both[1].code) == (LogsQueryStatus.FAILURE, "BadArgumentError")
ok("monitor-query queries, also several at once")

arm.workspaces.begin_create_or_update(GROUP, "workspace2", {"location": "westeurope"}).result()
arm.tables.begin_create_or_update(GROUP, "workspace2", "Sdk_CL", {"schema": {"name": "Sdk_CL", "columns": [
    {"name": "TimeGenerated", "type": "datetime"}, {"name": "Word", "type": "string"}]}}).result()
second = arm.workspaces.get(GROUP, "workspace2")
ingestion.upload(rule_id="dcr-" + second.customer_id.replace("-", ""), stream_name="Custom-Sdk_CL", logs=[{"TimeGenerated": now, "Word": "other"}])
for name in ("workspace2", second.customer_id, second.id):
    more = query.query_workspace(workspace.customer_id, "Sdk_CL | count", timespan=DAY, additional_workspaces=[name])
    assert more.tables[0].rows[0][0] == 30001, name
assert ask("workspace('workspace2').Sdk_CL | project Word").tables[0].rows[0][0] == "other"
cut = ask("set truncationmaxrecords = 5; Sdk_CL")
assert (cut.status, cut.partial_error.code, len(cut.partial_data[0].rows)) == (LogsQueryStatus.PARTIAL, "PartialError", 5)
ok("monitor-query queries several workspaces, and sees that a result is cut off")

# --- revocation -------------------------------------------------------------------------------------------------
keys.update_key_properties("k1", version, enabled=False)


def refused():
    try:
        ask("Sdk_CL | count")
    except HttpResponseError as e:
        return e.status_code == 403
    return False


until("revocation", refused)
keys.update_key_properties("k1", version, enabled=True)
until("restoring", lambda: not refused() and ask("Sdk_CL | count").tables[0].rows[0][0] == 30000)
ok("keyvault-keys takes the key away and gives it back: queries are refused, then work")

arm.linked_services.begin_delete(GROUP, "workspace1", "cluster").result()
arm.workspaces.begin_delete(GROUP, "workspace1", force=True).result()
arm.clusters.begin_delete(GROUP, "cluster1").result()
assert "cluster1" not in [x.name for x in arm.clusters.list_by_resource_group(GROUP)]
ok("mgmt-loganalytics unlinks and deletes")
print("done")
