# SPDX-License-Identifier: Apache-2.0
"""tests/http/softhsm.py - a SoftHSM token of one's own for a test, and what `keystead up` must be told of it."""
import os
import shutil
import subprocess
import tempfile

MODULE = "/usr/lib/softhsm/libsofthsm2.so"


class Token:
    """Sets SOFTHSM2_CONF of this process: servers that it starts inherit it."""

    def __init__(self, label="keystead test", pin="8132-test"):
        self.dir = tempfile.mkdtemp(prefix="keystead-hsm-")
        self.label, self.pin = label, pin
        self.tokens = os.path.join(self.dir, "tokens")
        os.mkdir(self.tokens, 0o700)
        conf = os.path.join(self.dir, "softhsm2.conf")
        with open(conf, "w") as f:
            f.write(f"directories.tokendir = {self.tokens}\nobjectstore.backend = file\nlog.level = ERROR\n")
        os.environ["SOFTHSM2_CONF"] = conf
        self.pin_file = os.path.join(self.dir, "pin")
        with open(os.open(self.pin_file, os.O_CREAT | os.O_WRONLY, 0o600), "w") as f:
            f.write(pin + "\n")
        subprocess.run(["softhsm2-util", "--init-token", "--free", "--label", label, "--pin", pin, "--so-pin", "1234567"],
                       check=True, stdout=subprocess.DEVNULL)

    def bring_aes(self, label, id):
        """A key that somebody else has put there, 256 bits: the file that is the object."""
        before = set(self.files())
        path = os.path.join(self.dir, label)
        with open(path, "wb") as f:
            f.write(bytes(0x80 | b for b in os.urandom(32)))  # softhsm2-util ends a key at a zero or a blank
        subprocess.run(["softhsm2-util", "--import", path, "--aes", "--token", self.label, "--pin", self.pin, "--label", label,
                        "--id", id], check=True, stdout=subprocess.DEVNULL)
        os.unlink(path)
        return (set(self.files()) - before).pop()

    def files(self):
        return [os.path.join(folder, name) for folder, _, names in os.walk(self.tokens) for name in names
                if name.endswith(".object") and name != "token.object"]

    @property
    def options(self):
        return ["--hsm-module", MODULE, "--hsm-token", self.label, "--hsm-pin-file", self.pin_file]

    def objects(self):
        """How many objects lie in the token: SoftHSM keeps a file of each."""
        return len(self.files())

    def close(self):
        os.environ.pop("SOFTHSM2_CONF", None)
        shutil.rmtree(self.dir, ignore_errors=True)
