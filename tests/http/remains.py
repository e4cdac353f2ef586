# SPDX-License-Identifier: Apache-2.0
"""tests/http/remains.py - searches the memory of processes from outside, and files, for bytes that must not be there."""
import os
import re
import time


def memory_chunks(pid, overlap):
    """The readable memory of a process, in parts that overlap by so many bytes within a mapping; memfd_secret cannot be read."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            m = re.match(r"([0-9a-f]+)-([0-9a-f]+) r", line)
            if m is None or line.rstrip().endswith(("[vvar]", "[vsyscall]", "[vvar_vclock]")):
                continue
            at, end, tail = int(m.group(1), 16), int(m.group(2), 16), b""
            try:
                mem.seek(at)
                while at < end:
                    part = mem.read(min(1 << 22, end - at))
                    if not part:
                        break
                    yield tail + part
                    tail = (tail + part)[-overlap:]
                    at += len(part)
            except (OSError, ValueError, OverflowError):
                continue  # memfd_secret, and pages that may not be read


def memory_hits(pid, needle):
    """How often the bytes stand in the readable memory of a process."""
    return sum(chunk.count(needle) for chunk in memory_chunks(pid, len(needle) - 1))


def memory_has(pid, needles):
    """Names of needles ({name: bytes}) that stand in the readable memory of a process."""
    keep = max(len(n) for n in needles.values()) - 1
    found = set()
    for chunk in memory_chunks(pid, keep):
        if chunk.count(0) != len(chunk):
            found.update(name for name, needle in needles.items() if name not in found and needle in chunk)
    return found


def has_secret_pages(pid):
    """Does the process hold pages of memfd_secret?"""
    with open(f"/proc/{pid}/maps") as maps:
        return any("secretmem" in line for line in maps)


def files_have(folder, needles):
    """(name, path) of needles that stand in files under a directory."""
    found = set()
    for where, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(where, name)
            if not os.path.isfile(path):
                continue  # sockets
            with open(path, "rb") as f:
                text = f.read()
            found.update((n, path) for n, needle in needles.items() if needle in text)
    return found


def what_stays(search):
    """What search() still finds (falsy: nothing) a second after the state changed; a busy machine may take its time over that second."""
    time.sleep(1)
    for i in range(60):
        found = search()
        if not found:
            break
        print(f"still there after {i + 1} s: {found}", flush=True)
        time.sleep(1)
    return found
