# SPDX-License-Identifier: Apache-2.0
"""tests/http/tokens.py - keys, certificates and JSON Web Tokens made by OpenSSL's program, for tests of who is believed."""
import base64
import hashlib
import hmac
import json
import os
import subprocess
import time
import uuid


def b64(data):
    return base64.urlsafe_b64encode(data if isinstance(data, bytes) else data.encode()).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def openssl(*args, data=None):
    return subprocess.run(["openssl", *args], input=data, capture_output=True, check=True).stdout


class Key:
    """A private key with a self-signed certificate. kind: rsa or ec."""

    def __init__(self, folder, name, kind="rsa", alt=None, days=30):
        self.kind = kind
        self.key, self.pem = os.path.join(folder, name + ".key"), os.path.join(folder, name + ".pem")
        how = ["rsa:2048"] if kind == "rsa" else ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        more = ["-addext", "subjectAltName=" + alt] if alt else []
        openssl("req", "-x509", "-newkey", *how, "-nodes", "-keyout", self.key, "-out", self.pem, "-days", str(days),
                "-subj", "/CN=" + name, "-batch", *more)
        der = openssl("x509", "-in", self.pem, "-outform", "DER")
        self.x5t, self.x5t256 = b64(hashlib.sha1(der).digest()), b64(hashlib.sha256(der).digest())
        self.spki = openssl("pkey", "-in", self.key, "-pubout", "-outform", "DER")

    def certificate(self):
        with open(self.pem) as f:
            return f.read()

    def sign(self, alg, data):
        if alg == "PS256":
            return openssl("dgst", "-sha256", "-sign", self.key, "-sigopt", "rsa_padding_mode:pss", "-sigopt",
                           "rsa_pss_saltlen:32", data=data)
        der = openssl("dgst", "-sha256", "-sign", self.key, data=data)
        if alg != "ES256":
            return der
        out, at = b"", 2  # SEQUENCE of two INTEGERs
        for _ in range(2):
            n = der[at + 1]
            out += der[at + 2:at + 2 + n].lstrip(b"\0").rjust(32, b"\0")
            at += 2 + n
        return out

    def jwk(self, kid):
        if self.kind == "ec":
            return {"kty": "EC", "crv": "P-256", "kid": kid, "x": b64(self.spki[-64:-32]), "y": b64(self.spki[-32:])}
        text = openssl("rsa", "-in", self.key, "-modulus", "-noout").decode()
        return {"kty": "RSA", "use": "sig", "kid": kid, "n": b64(bytes.fromhex(text.split("=")[1].strip())), "e": "AQAB"}

    def token(self, claims, alg="RS256", says=None, **header):
        """says: the algorithm that the header claims instead of the one that signs."""
        head = {"alg": says or alg, "typ": "JWT", **header}
        text = b64(json.dumps(head)) + "." + b64(json.dumps(claims))
        return text + "." + b64(self.sign(alg, text.encode()))


def hs256(header, claims, secret):
    text = b64(json.dumps(header)) + "." + b64(json.dumps(claims))
    return text + "." + b64(hmac.new(secret, text.encode(), hashlib.sha256).digest())


def parts(token):
    head, body, _ = token.split(".")
    return json.loads(unb64(head)), json.loads(unb64(body))


def assertion_claims(client, audience, **changes):
    now = int(time.time())
    claims = {"aud": audience, "iss": client, "sub": client, "iat": now, "nbf": now, "exp": now + 600, "jti": str(uuid.uuid4())}
    claims.update(changes)
    return {k: v for k, v in claims.items() if v is not None}


def public_der(jwk):
    """SubjectPublicKeyInfo of an RSA key in a JWKS, as somebody would use who mistakes it for a shared secret."""
    def tlv(tag, body):
        size = bytes([len(body)]) if len(body) < 128 else bytes([0x80 + (len(body).bit_length() + 7) // 8]) + len(
            body).to_bytes((len(body).bit_length() + 7) // 8, "big")
        return bytes([tag]) + size + body

    key = tlv(0x30, tlv(2, b"\0" + unb64(jwk["n"])) + tlv(2, unb64(jwk["e"])))
    return tlv(0x30, bytes.fromhex("300d06092a864886f70d0101010500") + tlv(3, b"\0" + key))


def public_pem(jwk):
    return openssl("pkey", "-pubin", "-inform", "DER", data=public_der(jwk))
