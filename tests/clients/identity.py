# SPDX-License-Identifier: Apache-2.0
"""tests/clients/identity.py - the credentials of azure-identity for Python: secret, assertion, certificate, managed identity."""
import base64
import json
import os
import sys

import azure.identity
from azure.identity import (CertificateCredential, ClientAssertionCredential, ClientSecretCredential, DeviceCodeCredential,
                            ManagedIdentityCredential)

with open(sys.argv[1]) as f:
    C = json.load(f)
OLD = azure.identity.__version__ == "1.13.0b2"  # Debian 12's
AUTHORITY = {"authority": C["endpoint"], **({"instance_discovery": False} if OLD else {"disable_instance_discovery": True})}
ARM, VAULT = "https://management.azure.com/.default", "https://vault.azure.net/.default"


def claims(token):
    body = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))


def check(name, credential, oid, scopes=(ARM, VAULT)):
    for scope in scopes:
        assert claims(credential.get_token(scope).token)["oid"] == oid, name
    print(name, flush=True)


check("secret", ClientSecretCredential(C["tenant"], C["app"]["clientId"], C["app"]["secret"], **AUTHORITY), C["app"]["objectId"])
check("certificate", CertificateCredential(C["tenant"], C["certified"]["clientId"], C["pem"], **AUTHORITY), C["certified"]["objectId"])
assertions = iter(C["assertions"])
os.environ["AZURE_AUTHORITY_HOST"] = C["endpoint"]  # the old one takes no options here
check("assertion", ClientAssertionCredential(C["tenant"], C["certified"]["clientId"], lambda: next(assertions),
                                             **({} if OLD else AUTHORITY)), C["certified"]["objectId"], (ARM,))
os.environ["AZURE_POD_IDENTITY_AUTHORITY_HOST"] = C["imds"]
check("managed identity", ManagedIdentityCredential(), C["managed"]["principalId"])
check("managed identity by its client id", ManagedIdentityCredential(client_id=C["managed"]["clientId"]), C["managed"]["principalId"])


def prompt(uri, code, _):
    print(f"code {uri} {code}", flush=True)


check("device code", DeviceCodeCredential(tenant_id=C["tenant"], prompt_callback=prompt, timeout=60, **AUTHORITY), C["person"]["objectId"],
      (ARM,))
print("done")
