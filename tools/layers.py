#!/usr/bin/env python3
"""tools/layers.py - fails when an #include crosses tools/layers.txt.

Also fails when a library's header stands where only some modules may see it, and when a header is not found under src/.
"""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]')


def rules():
    modules, libraries = {}, {}
    with open(os.path.join(ROOT, "tools", "layers.txt")) as f:
        for line in f:
            line = line.split("#")[0].strip()
            if not line:
                continue
            if line.startswith("@"):
                prefix, *allowed = line[1:].split()
                libraries[prefix] = set(allowed)
            else:
                name, allowed = line.split(":")
                modules[name.strip()] = set(allowed.split())
    return modules, libraries


def wrong(module, path, kind, header, modules, libraries):
    if kind == '"':
        target = header.split("/")[0]
        if target != module and "*" not in modules[module] and target not in modules[module]:
            return f"{module} may not include {header}"
        if not os.path.exists(os.path.join(ROOT, "src", header)):
            return f"{header} is not under src/"
        return None
    for prefix, allowed in libraries.items():
        if header.startswith(prefix) and module not in allowed:
            return f"{module} may not see <{header}>: only {', '.join(sorted(allowed))}"
    return None


def main():
    modules, libraries = rules()
    failures, files = [], 0
    for module in sorted(os.listdir(os.path.join(ROOT, "src"))):
        folder = os.path.join(ROOT, "src", module)
        sources = [n for n in sorted(os.listdir(folder)) if n.endswith((".c", ".h", ".cc"))]
        if sources and module not in modules:
            failures.append(f"src/{module}: not in tools/layers.txt")
            continue
        for name in sources:
            files += 1
            with open(os.path.join(folder, name), encoding="utf-8") as f:
                for number, line in enumerate(f, 1):
                    m = INCLUDE.match(line)
                    if m is None:
                        continue
                    why = wrong(module, name, m.group(1), m.group(2), modules, libraries)
                    if why:
                        failures.append(f"src/{module}/{name}:{number}: {why}")
    for f in failures:
        print(f, file=sys.stderr)
    print(f"layers: {files} files, {len(failures)} crossings")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
