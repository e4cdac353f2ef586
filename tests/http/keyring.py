# SPDX-License-Identifier: Apache-2.0
"""tests/http/keyring.py - the keys of a customer's data, derived independently: to look for them where they must not be.

The account's key comes from its wrap record, unwrapped by a person with that right in the customer's vault; everything below it
follows from the plain headers of the files (docs/formats/sealed.md, docs/formats/wrap.md).
"""
import base64
import hashlib
import hmac
import os
import sqlite3
import struct

BLOCKS_MAX = 4  # keys of so many blocks per file


def expand(key, info, n):
    """HKDF-Expand with SHA-512."""
    out, t, i = b"", b"", 1
    while len(out) < n:
        t = hmac.new(key, t + info + bytes([i]), hashlib.sha512).digest()
        out, i = out + t, i + 1
    return out[:n]


def b64url(b):
    return base64.urlsafe_b64encode(b).rstrip(b"=")


def text(b, at):
    n = struct.unpack_from(">H", b, at)[0]
    return b[at + 2:at + 2 + n].decode(), at + 2 + n


def wraps(data, key_id):
    """(account, AEK id, blob) of each wrap under that version of a KEK."""
    db = sqlite3.connect(f"file:{data}/catalog.db?mode=ro", uri=True)
    try:
        for (value,) in db.execute("select value from record where kind = 'wrap'"):
            kek, at = text(value, 16 + 16 + 16 + 4 + 4 + 2 + 1 + 8 + 1)
            n = struct.unpack_from(">H", value, at)[0]
            if kek.endswith(key_id):
                yield value[16:32], value[32:48], value[at + 2:at + 2 + n]
    finally:
        db.close()


def unwrap(s, key_path, blob):
    a = s.key("POST", f"{key_path}/unwrapkey", {"alg": "RSA-OAEP-256", "value": b64url(blob).decode()})
    assert a.status == 200, a
    value = a.json["value"]
    return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))


def frames(b, magic, header, file_id, file_id_at):
    """Offsets of the plain headers of blocks or frames of that file."""
    at = b.find(magic)
    while at >= 0 and at + header <= len(b):
        if b[at + file_id_at:at + file_id_at + 16] == file_id:
            yield at
        at = b.find(magic, at + 1)


def file_keys(aek, iek, path):
    """(name, key) of the file, of its second layer, and of some of its blocks; nothing: it is not this account key's."""
    with open(path, "rb") as f:
        b = f.read()
    if len(b) < 128 or b[:4] != b"KSTF" or b[24:40] != aek[1]:
        return
    otype, suite, account, file_id, salt, commit = b[5:6], b[6:8], b[8:24], b[40:56], b[56:88], b[88:120]
    key = expand(aek[2], b"keystead/1 file\0" + suite + account + aek[1] + otype + file_id + salt, 96)
    assert key[64:] == commit, f"{path}: derived another key than the server"
    yield "file key", key[:64]
    for n, at in enumerate(frames(b, b"KSTB", 96, file_id, 40)):
        if n < BLOCKS_MAX:
            info = b"keystead/1 block\0" + suite + b[at + 5:at + 6] + b[at + 56:at + 64] + b[at + 72:at + 96]
            yield "DEK", expand(key[:64], info, 44)[:32]
    outer = None
    for n, at in enumerate(frames(b, b"KSTO", 80, file_id, 24)):
        if outer is None and iek is not None:
            outer = expand(iek, b"keystead/1 outer-file\0" + b"\x01\x01" + b[at + 8:at + 24] + file_id + salt, 64)
            yield "outer file key", outer
        if outer is not None and n < BLOCKS_MAX:
            yield "outer key of a frame", expand(outer, b"keystead/1 outer-frame\0" + b"\x01\x01" + b[at + 40:at + 48] + b[at + 56:at + 80], 44)[:32]


def all_keys(s, key_path):
    """[(name, bytes)] of everything that hangs on that version of the customer's key."""
    found = []
    iek_path = os.path.join(s.data, "keyd", "iek.key")
    iek = None
    if os.path.exists(iek_path):
        with open(iek_path, "rb") as f:
            iek = f.read()
    for account, aek_id, blob in wraps(s.data, key_path):
        aek = (account, aek_id, unwrap(s, key_path, blob))
        found.append(("AEK", aek[2]))
        for path in s.files():
            if os.path.isfile(path):
                found += file_keys(aek, iek, path)
    return found


# --- the state that HMAC-SHA-512 keeps of a key: the form in which the log service holds a file key -----------------------------
def root_bits(n, k):
    """64 bits of the fraction of the k-th root of n."""
    low, high = 0, n << 64
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if middle ** k <= n << 64 * k else (low, middle)
    return low & M64


M64 = (1 << 64) - 1
PRIMES = [n for n in range(2, 410) if all(n % p for p in range(2, n))]
ROUND = [root_bits(p, 3) for p in PRIMES[:80]]
START = [root_bits(p, 2) for p in PRIMES[:8]]


def rotate(x, n):
    return (x >> n | x << 64 - n) & M64


def sha512_state(block):
    """The eight words after one block of 128 bytes (FIPS 180-4), as x86 and ARM keep them."""
    w = list(struct.unpack(">16Q", block))
    for i in range(16, 80):
        s0 = rotate(w[i - 15], 1) ^ rotate(w[i - 15], 8) ^ w[i - 15] >> 7
        s1 = rotate(w[i - 2], 19) ^ rotate(w[i - 2], 61) ^ w[i - 2] >> 6
        w.append((w[i - 16] + s0 + w[i - 7] + s1) & M64)
    a, b, c, d, e, f, g, h = START
    for i in range(80):
        t1 = h + (rotate(e, 14) ^ rotate(e, 18) ^ rotate(e, 41)) + (e & f ^ ~e & g) + ROUND[i] + w[i]
        t2 = (rotate(a, 28) ^ rotate(a, 34) ^ rotate(a, 39)) + (a & b ^ a & c ^ b & c)
        a, b, c, d, e, f, g, h = (t1 + t2) & M64, a, b, c, (d + t1) & M64, e, f, g
    return struct.pack("<8Q", *((x + y) & M64 for x, y in zip(START, (a, b, c, d, e, f, g, h))))


def forms(key):
    """How bytes may stand somewhere."""
    padded = key.ljust(128, b"\0")
    return {"raw": key, "hex": key.hex().encode(), "base64url": b64url(key),
            "inner state": sha512_state(bytes(x ^ 0x36 for x in padded)), "outer state": sha512_state(bytes(x ^ 0x5c for x in padded))}
