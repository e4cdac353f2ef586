#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tests/oracle/compare.py - where our binder and Microsoft's own parser part

compare.py BIND ORACLE.js TABLES.json QUERIES.json ANSWERS.json: asks both, prints how often they agree and each kind of
disagreement with examples. KUSTO_LS names the folder of the npm package. Values of one column (`T | project x = ...`,
`T | summarize x = ...`) are put to the slow one forty at a time, and told apart by where its complaints stand. Its answers are kept in ANSWERS.json, and taken from there the next time.
"""
import collections
import json
import os
import re
import subprocess
import sys
import tempfile

ALONE = re.compile(r"^T \| (project|summarize) x = (.*)$", re.S)
PER_QUERY = 40


def grouped(queries):
    """Queries as the slow one gets them: [(text, [(id, from, to)])], ids None where the text is one query."""
    waiting, out = collections.defaultdict(list), []
    for q in queries:
        m = ALONE.match(q["query"])
        if m and q["id"].split("/")[0] in ("function", "aggregate", "operator", "unary"):
            waiting[m[1]].append((q["id"], m[2]))
        else:
            out.append((q["query"], [(q["id"], None, None)]))
    for how, items in waiting.items():
        for k in range(0, len(items), PER_QUERY):
            text, places = f"T | {how} ", []
            for n, (name, expr) in enumerate(items[k:k + PER_QUERY]):
                text += (", " if n else "") + f"x{n} = "
                places.append((name, len(text), len(text) + len(expr)))
                text += expr
            out.append((text, places))
    return out


def ask_theirs(oracle, tables, queries):
    groups = grouped(queries)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
        json.dump([{"id": str(k), "query": text} for k, (text, _) in enumerate(groups)], f)
        f.flush()
        p = subprocess.Popen(["node", oracle, "-s", tables, "--batch", f.name], stdout=subprocess.PIPE)
        answers = {}
        for line in p.stdout:
            r = json.loads(line)
            for name, answer in apart(r, groups[int(r["id"])][1]):
                answers[name] = answer
    text_of = {q["id"]: q["query"] for q in queries}
    return {text_of[name]: answer for name, answer in answers.items()}


def apart(r, places):
    errors = [e for e in r.get("syntax_errors", []) + r.get("semantic_errors", [])]
    columns = [(c["name"], c["type"]) for c in r.get("columns") or []]
    if places[0][1] is None:
        yield places[0][0], {"ok": r["ok"] and "crash" not in r, "columns": columns if r.get("tabular") else None, "open": r.get("open"),
                             "errors": [(e["code"], e["message"], e["start"]) for e in errors]}
        return
    for n, (name, start, end) in enumerate(places):
        mine = [(e["code"], e["message"], e["start"] - start) for e in errors if start <= e["start"] <= end]
        type_of = dict(columns).get(f"x{n}")
        yield name, {"ok": not mine and type_of is not None, "columns": [("x", type_of)], "open": False, "errors": mine, "first": True}


def ask_ours(bind, tables, queries_file):
    p = subprocess.run([bind, tables, queries_file], stdout=subprocess.PIPE, check=True)
    return {r["id"]: r for r in map(json.loads, p.stdout.splitlines())}


def shape(text):
    """A complaint without the names in it."""
    return re.sub(r"'[^']*'|\"[^\"]*\"|\d+", "_", text)


def same_columns(ours, theirs):
    if len(ours) != len(theirs):
        return False
    return all(a["name"] == b[0] and (a["type"] == b[1] or b[1] in ("unknown", "any")) for a, b in zip(ours, theirs))


def verdict(ours, theirs):
    if ours["ok"] and theirs["ok"]:
        if theirs["columns"] is None or theirs["open"]:
            return "agree", ""
        if same_columns(ours["columns"][:1] if theirs.get("first") else ours["columns"], theirs["columns"]):
            return "agree", ""
        return "columns", ""
    if not ours["ok"] and not theirs["ok"]:
        return "agree", ""
    if ours["ok"]:
        code, message, _ = theirs["errors"][0] if theirs["errors"] else ("?", "no result", 0)
        return "only we accept", f"{code} {shape(message)}"
    if ours["refused"]:
        return "refused by name", shape(ours["error"])
    return "only we refuse", shape(ours["error"])


def main():
    bind, oracle, tables, queries_file, answers_file = sys.argv[1:6]
    queries = json.load(open(queries_file))
    ours = ask_ours(bind, tables, queries_file)
    known = json.load(open(answers_file)) if os.path.exists(answers_file) else {}
    known.update(ask_theirs(oracle, tables, [q for q in queries if q["query"] not in known]))
    json.dump(known, open(answers_file, "w"))
    counts, per_kind, found = collections.Counter(), collections.defaultdict(collections.Counter), collections.defaultdict(list)
    for q in queries:
        a, b = ours[q["id"]], known.get(q["query"])
        if b is None:
            continue
        v, why = verdict(a, b)
        kind = q["id"].split("/")[0]
        counts[v] += 1
        per_kind[kind][v] += 1
        if v != "agree":
            found[v, kind, why].append((q["query"], a.get("columns") or a.get("error"), b["columns"], b["errors"][:2]))
    total = sum(counts.values())
    print(f"{counts['agree']} of {total} alike ({100 * counts['agree'] / max(total, 1):.2f} %):", dict(counts))
    for kind, c in sorted(per_kind.items()):
        print(f"  {kind}: {c['agree']} of {sum(c.values())}", {k: n for k, n in c.items() if k != "agree"})
    for (v, kind, why), examples in sorted(found.items(), key=lambda x: -len(x[1])):
        print(f"\n{len(examples)} x {v}, {kind}: {why}")
        for text, a, b, errors in examples[:int(os.environ.get("EXAMPLES", "3"))]:
            print(f"    {text!r}\n        ours {brief(a)}\n        theirs {brief(b)} {errors}")


def brief(x):
    if isinstance(x, list):
        return ", ".join(f"{c['name']}:{c['type']}" if isinstance(c, dict) else f"{c[0]}:{c[1]}" for c in x)[:300]
    return x


main()
