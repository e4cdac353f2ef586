# SPDX-License-Identifier: Apache-2.0
"""tests/http/keystead.py - a server of one's own for a test, and plain HTTPS to speak with it.

Only the standard library. Vault names (NAME.vault.localhost) are connected to at 127.0.0.1 without a resolver, their certificates
are checked strictly all the same.
"""
import ctypes
import gzip
import http.client
import json
import os
import random
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.parse

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = os.environ.get("KEYSTEAD", os.path.join(ROOT, "build", "keystead"))
ARM = "https://management.azure.com"
VAULT = "https://vault.azure.net"
QUERY = "https://api.loganalytics.io"
INGEST = "https://monitor.azure.com"
PATIENCE = 5  # times as long as a quiet machine may need, before a test says that something does not happen


LIBC = ctypes.CDLL(None)


def die_with_the_test():
    """In the child: a test that is killed leaves no server behind. The kernel means the thread that made the child."""
    PR_SET_PDEATHSIG = 1
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def free_ports(n):
    """Below those that the kernel gives to outgoing connections: while a server restarts, another test's call must not take its port."""
    ports = []
    while len(ports) < n:
        port = random.SystemRandom().randrange(10240, 32768)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in ports:
            ports.append(port)
    return ports


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.body[:600]!r}"


class Connection(http.client.HTTPSConnection):
    """Connects to 127.0.0.1 whatever the name is, and checks the certificate for the name."""

    def connect(self):
        sock = socket.create_connection(("127.0.0.1", self.port), self.timeout)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as http.client does
        self.sock = self._context.wrap_socket(sock, server_hostname=self.host)


class Server:
    def __init__(self, *options, data=None, probe=6, limits=False):
        """limits: with the documented numbers of clusters; else as many as a test needs."""
        self.limits = limits or data is not None
        self.keep = data is not None
        self.data = data or tempfile.mkdtemp(prefix="keystead-")
        self.port, self.vault_port = free_ports(2)
        self.options = list(options) + ["--probe-seconds", str(probe)]
        self.process, self.tokens = None, {}
        self.log = open(self.data.rstrip("/") + ".log", "ab")

    pass_fds = ()  # descriptors that the server inherits

    # --- life ---------------------------------------------------------------------------------------------
    def launch(self):
        self.process = subprocess.Popen(
            [PROGRAM, "up", "--data", self.data, "--listen", f"127.0.0.1:{self.port}", "--vault-listen",
             f"127.0.0.1:{self.vault_port}", *self.options],
            stdout=subprocess.PIPE, stderr=self.log, start_new_session=True, pass_fds=self.pass_fds,
            preexec_fn=die_with_the_test if threading.current_thread() is threading.main_thread() else None)
        os.set_blocking(self.process.stdout.fileno(), False)

    def start(self, timeout=60 * PATIENCE):
        self.launch()
        until, line = time.time() + timeout, b""
        while not line.endswith(b"\n"):
            if self.process.poll() is not None or time.time() > until:
                raise RuntimeError(f"the server did not start: {self.log_tail()}")
            line += self.process.stdout.read() or b""
            time.sleep(0.02)
        self.ready_line = line.decode()
        self.attach()
        if not self.limits:
            self.settings(clustersActiveMax=1000, clustersReservedMax=1000)
            self.limits = True
        return self

    def refuses_to_start(self, why):
        """Waits until its log says why it does not become ready, and ends it; what it said."""
        before = os.path.getsize(self.log.name)

        def said():
            with open(self.log.name, "rb") as f:
                f.seek(before)
                return f.read().decode(errors="replace")
        self.launch()
        self.wait(lambda: why in said() or self.process.poll() is not None, 60, why)
        assert not self.process.stdout.read(), "it is ready"
        self.kill()
        assert why in said(), said()
        return said()

    def attach(self):
        """Reads how to reach the server that runs on the directory."""
        with open(os.path.join(self.data, "credentials.json")) as f:
            self.credentials = json.load(f)
        self.context = ssl.create_default_context(cafile=self.credentials["caFile"])
        self.context.verify_flags |= ssl.VERIFY_X509_STRICT
        self.tokens = {}
        return self

    def stop(self, timeout=40):
        """SIGTERM to the whole group, as a service manager does."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
        code = self.process.wait(timeout * PATIENCE)
        self.process.stdout.close()
        self.process = None
        return code

    def kill(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10 * PATIENCE)
        self.process.stdout.close()
        self.process = None

    def pids(self):
        """name -> pid of the running processes."""
        out = {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/stat") as f:
                    fields = f.read()
                parent = int(fields[fields.rindex(")") + 2:].split()[1])
                if parent == self.process.pid:
                    out[fields[fields.index("(") + 1:fields.rindex(")")]] = int(pid)
            except (OSError, ValueError):
                pass
        return out

    def close(self):
        if self.process is not None:
            try:
                self.stop()
            except subprocess.TimeoutExpired:
                self.kill()
        self.log.close()
        if not self.keep:
            shutil.rmtree(self.data, ignore_errors=True)
            os.unlink(self.log.name)

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        if kind is not None:
            print("\n--- the server's last lines:\n" + self.log_tail())
        self.close()

    def log_tail(self, n=4000):
        with open(self.log.name, "rb") as f:
            return f.read()[-n:].decode(errors="replace")

    def files(self):
        """Every regular file under the data directory."""
        for folder, _, names in os.walk(self.data):
            for name in names:
                path = os.path.join(folder, name)
                if os.path.isfile(path):
                    yield path

    # --- calls --------------------------------------------------------------------------------------------
    def raw(self, method, url, body=None, headers=None, timeout=60 * PATIENCE):
        u = urllib.parse.urlsplit(url)
        c = Connection(u.hostname, u.port or 443, timeout=timeout, context=self.context)
        try:
            c.request(method, u.path + ("?" + u.query if u.query else ""), body, headers or {})
            r = c.getresponse()
            return Answer(r.status, {k.lower(): v for k, v in r.getheaders()}, r.read())
        finally:
            c.close()

    def token(self, resource, fresh=False):
        if fresh or resource not in self.tokens:
            c = self.credentials
            form = urllib.parse.urlencode({
                "grant_type": "client_credentials", "client_id": c["clientId"], "client_secret": c["clientSecret"],
                "scope": resource + "/.default"})
            a = self.raw("POST", f"{c['endpoint']}/{c['tenantId']}/oauth2/v2.0/token", form,
                         {"Content-Type": "application/x-www-form-urlencoded"})
            assert a.status == 200, a
            self.tokens[resource] = a.json["access_token"]
        return self.tokens[resource]

    def call(self, method, url, body=None, resource=ARM, headers=None, timeout=60 * PATIENCE):
        if url.startswith("/"):
            url = self.credentials["endpoint"] + url
        all_headers = {"Authorization": "Bearer " + self.token(resource), **(headers or {})}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if body is not None:
            all_headers.setdefault("Content-Type", "application/json")
        return self.raw(method, url, body, all_headers, timeout)

    # --- ARM ----------------------------------------------------------------------------------------------
    def sub(self, path=""):
        return f"/subscriptions/{self.credentials['subscriptionId']}{path}"

    def group(self, path="", group="rg"):
        return self.sub(f"/resourceGroups/{group}{path}")

    def cluster_path(self, name="cluster1", group="rg"):
        return self.group(f"/providers/Microsoft.OperationalInsights/clusters/{name}", group)

    def workspace_path(self, name="workspace1", group="rg"):
        return self.group(f"/providers/Microsoft.OperationalInsights/workspaces/{name}", group)

    def arm(self, method, path, version, body=None):
        return self.call(method, f"{path}?api-version={version}", body)

    def follow(self, answer, timeout=60):
        """To the end of the asynchronous operation: its last status body."""
        url = answer.headers.get("azure-asyncoperation")
        if url is None:
            return {"status": "Succeeded"}
        until = time.time() + timeout * PATIENCE
        while True:
            a = self.call("GET", url)
            if a.status == 503 and time.time() < until:  # the server is starting
                time.sleep(0.1)
                continue
            assert a.status == 200, a
            if a.json["status"] in ("Succeeded", "Failed", "Canceled"):
                return a.json
            assert time.time() < until, a
            time.sleep(0.1)

    def done(self, answer):
        assert answer.status < 300, answer
        status = self.follow(answer)
        assert status["status"] == "Succeeded", status
        return answer

    def settings(self, **changes):
        a = self.call("PATCH", "/admin/resource-settings", changes)
        assert a.status == 200, a
        return a.json

    def turn(self, seconds=0, days=0):
        """Turns the virtual clock; tokens that are too old by then are forgotten."""
        a = self.call("POST", "/admin/clock", {"advanceSeconds": seconds + days * 86400}, timeout=300)
        assert a.status == 200, a
        self.tokens = {}

    # --- vaults -------------------------------------------------------------------------------------------
    def vault_url(self, path="", vault="kv1"):
        return f"https://{vault}.{self.credentials['vaultSuffix']}{path}"

    def key(self, method, path, body=None, vault="kv1"):
        return self.call(method, self.vault_url(f"{path}?api-version=7.4", vault), body, VAULT)

    # --- the usual set-up: vault, key, cluster with the key, workspace, link ----------------------------------
    def make_all(self, vault="kv1", key="k1", cluster="cluster1", workspace="workspace1", group="rg", key_version=True):
        c = self.credentials
        self.done(self.arm("PUT", self.group(group=group), "2021-04-01", {"location": "westeurope"}))
        self.done(self.arm("PUT", self.group(f"/providers/Microsoft.KeyVault/vaults/{vault}", group), "2022-07-01", {
            "location": "westeurope", "properties": {
                "tenantId": c["tenantId"], "sku": {"family": "A", "name": "standard"}, "enablePurgeProtection": True,
                "accessPolicies": [{"tenantId": c["tenantId"], "objectId": c["objectId"],
                                    "permissions": {"keys": ["all"]}}]}}))
        made = self.key("POST", f"/keys/{key}/create", {"kty": "RSA", "key_size": 2048}, vault)
        assert made.status == 200, made
        version = made.json["key"]["kid"].rsplit("/", 1)[1]
        self.done(self.arm("PUT", self.cluster_path(cluster, group), "2022-10-01", {
            "location": "westeurope", "identity": {"type": "SystemAssigned"},
            "sku": {"name": "CapacityReservation", "capacity": 500}}))
        principal = self.arm("GET", self.cluster_path(cluster, group), "2022-10-01").json["identity"]["principalId"]
        self.grant(principal, vault, group)
        self.done(self.set_key(vault, key, version if key_version else "", cluster, group))
        self.make_workspace(workspace, cluster, group)
        return version

    def grant(self, principal, vault="kv1", group="rg", verb="add"):
        return self.done(self.arm("PUT", self.group(
            f"/providers/Microsoft.KeyVault/vaults/{vault}/accessPolicies/{verb}", group), "2022-07-01", {
                "properties": {"accessPolicies": [{
                    "tenantId": self.credentials["tenantId"], "objectId": principal,
                    "permissions": {"keys": ["get", "wrapKey", "unwrapKey"]}}]}}))

    def set_key(self, vault="kv1", key="k1", version="", cluster="cluster1", group="rg"):
        return self.arm("PATCH", self.cluster_path(cluster, group), "2022-10-01", {"properties": {"keyVaultProperties": {
            "keyVaultUri": self.vault_url("", vault), "keyName": key, "keyVersion": version}}})

    def make_workspace(self, workspace="workspace1", cluster="cluster1", group="rg"):
        self.done(self.arm("PUT", self.workspace_path(workspace, group), "2022-10-01", {"location": "westeurope"}))
        if cluster is not None:
            self.link(workspace, cluster, group)

    def link(self, workspace="workspace1", cluster="cluster1", group="rg"):
        return self.done(self.arm("PUT", self.workspace_path(workspace, group) + "/linkedServices/cluster", "2020-08-01", {
            "properties": {"writeAccessResourceId": self.cluster_path(cluster, group)}}))

    def workspace_id(self, workspace="workspace1", group="rg"):
        return self.arm("GET", self.workspace_path(workspace, group), "2022-10-01").json["properties"]["customerId"]

    def make_table(self, table, columns, workspace="workspace1", group="rg"):
        return self.done(self.arm("PUT", f"{self.workspace_path(workspace, group)}/tables/{table}", "2022-10-01", {
            "properties": {"schema": {"name": table, "columns": [
                {"name": n, "type": t} for n, t in {"TimeGenerated": "datetime", **columns}.items()]}}}))

    # --- rows ---------------------------------------------------------------------------------------------
    def send(self, table, rows, workspace_id, compress=False, request_id=None, timeout=60 * PATIENCE):
        body = json.dumps(rows).encode()
        headers = {"Content-Type": "application/json"}
        if compress:
            body, headers["Content-Encoding"] = gzip.compress(body), "gzip"
        if request_id is not None:
            headers["x-ms-client-request-id"] = request_id
        return self.call("POST", self.stream_path(table, workspace_id), body, INGEST, headers, timeout)

    def stream_path(self, table, workspace_id):
        dcr = "dcr-" + workspace_id.replace("-", "")
        return f"/dataCollectionRules/{dcr}/streams/Custom-{table}?api-version=2023-01-01"

    def query(self, kql, workspace_id, prefer=None, **more):
        return self.call("POST", f"/v1/workspaces/{workspace_id}/query", {"query": kql, **more}, QUERY,
                         {"Prefer": prefer} if prefer else None)

    def rows(self, kql, workspace_id):
        a = self.query(kql, workspace_id)
        assert a.status == 200, a
        return a.json["tables"][0]["rows"]

    def wait(self, condition, timeout=60, what="the condition"):
        until = time.time() + timeout * PATIENCE
        while True:
            value = condition()
            if value:
                return value
            assert time.time() < until, f"{what} did not come true within {timeout * PATIENCE} s"
            time.sleep(0.1)
