# SPDX-License-Identifier: Apache-2.0
"""tests/http/article.py - an article's requests and the answers it prints, to be found again in what a test has sent and got.

An article's code blocks are read as they stand, slips included: comments, names without quotes, a brace that is missing. A request
is its method, its path with names replaced by stars, its api-version and the members of its body; an answer is its members, and the
values of those that are words of the protocol.
"""
import json
import os
import re
import urllib.parse

from keystead import ROOT, Server

FOLDER = os.path.join(os.path.dirname(ROOT), "shared", "wire", "articles")
WORDS = {"provisioningstate", "type", "clustertype", "status", "billingtype", "dataingestionstatus", "datasourcetype"}
TOKEN = re.compile(r'"((?:[^"\\]|\\.)*)"|([{}\[\],:])|([^\s{}\[\],:"]+)')


def exists(name):
    return os.path.exists(os.path.join(FOLDER, name))


def read_json(text):
    """What is meant: objects as dicts, arrays as lists, all else as text."""
    tokens = [(m.group(2) or "", m.group(1) if m.group(1) is not None else m.group(3)) for m in
              TOKEN.finditer(re.sub(r"(^|\s)//.*", "", text, flags=re.M))]
    at = 0

    def value():
        nonlocal at
        mark, word = tokens[at] if at < len(tokens) else ("}", None)
        at += 1
        if mark == "{":
            return members()
        if mark == "[":
            return items()
        if mark == ",":  # no value at all
            return None
        while at < len(tokens) and tokens[at][0] == "" and tokens[min(at + 1, len(tokens) - 1)][0] != ":":
            at += 1  # several words without quotes
        return word

    def members():
        nonlocal at
        out = {}
        while at < len(tokens) and tokens[at][0] != "}":
            if tokens[at][0] == "" and at + 1 < len(tokens) and tokens[at + 1][0] == ":":
                name = tokens[at][1].lower()
                at += 2
                out[name] = value()
            else:
                at += 1
        at += 1
        return out

    def items():
        nonlocal at
        out = []
        while at < len(tokens) and tokens[at][0] != "]":
            if tokens[at][0] == ",":
                at += 1
            else:
                out.append(value())
        at += 1
        return out
    return value()


def covers(whole, part):
    """All members of part are in whole, and its words are whole's."""
    if isinstance(part, dict):
        low = {k.lower(): v for k, v in whole.items()} if isinstance(whole, dict) else {}
        return all(k in low and (k not in WORDS or not v or str(low[k]).lower() == str(v).lower()) and covers(low[k], v)
                   for k, v in part.items())
    if isinstance(part, list):
        return isinstance(whole, list) and all(any(covers(w, p) for w in whole) for p in part)
    return part in ("", None) or not isinstance(whole, (dict, list))


def general(path):
    """/subscriptions/*/resourcegroups/*/providers/microsoft.operationalinsights/clusters/*"""
    steps = [s for s in path.lower().split("/") if s]
    out, name = [], False
    for s in steps:
        out.append("*" if name else s)
        name = not name if s not in ("providers",) or name else False
        if len(out) > 1 and out[-2] == "providers":
            name = False  # the namespace is followed by a type
    return "/" + "/".join(out)


class Request:
    def __init__(self, line, method, url, body):
        u = urllib.parse.urlsplit(url.replace("<", "").replace(">", "").replace("{", "").replace("}", "").replace(" ", ""))
        self.line, self.method, self.path = line, method, general(u.path)
        self.version = dict(urllib.parse.parse_qsl(u.query)).get("api-version")
        self.body = read_json(body[body.index("{"):]) if "{" in body else {}
        self.answers = []  # (line, what it has)


class Article:
    def __init__(self, name, repairs=()):
        """repairs: (what the article says, what it means)."""
        with open(os.path.join(FOLDER, name), encoding="utf-8") as f:
            text = f.read()
        for wrong, right in repairs:
            assert wrong in text, wrong
            text = text.replace(wrong, right)
        self.name, lines = name, text.split("\n")
        self.requests, self.preface, block, start = [], None, None, 0
        for i, line in enumerate(lines, 1):
            if not line.strip().startswith("```"):
                if block is not None:
                    block.append(line)
            elif block is None:
                block, start = [], i + 1
            else:
                self.add(start, "\n".join(block).strip())
                block = None

    def add(self, line, text):
        m = re.match(r"(GET|PUT|POST|PATCH|DELETE)\s+(https://\S+)(.*)", text, re.S)
        if m:
            self.requests.append(Request(line, m.group(1), m.group(2), m.group(3)))
        elif text.startswith("{"):
            if self.requests:
                self.requests[-1].answers.append((line, read_json(text)))
            else:
                self.preface = (line, read_json(text))

    def missing(self, calls, without=(), other=None):
        """The lines of the article that the calls do not have. without: members that an answer need not have, by their line; other: the
        path that an answer belongs to, by its line."""
        out = []
        if self.preface is not None and not any(covers(c.body, self.preface[1]) for c in calls):
            out.append(f"{self.name}:{self.preface[0]}: no request has {json.dumps(self.preface[1])}")
        for r in self.requests:
            if not any((c.method, c.path, c.version) == (r.method, r.path, r.version) and covers(c.body, r.body) for c in calls):
                out.append(f"{self.name}:{r.line}: {r.method} {r.path}?{r.version} {json.dumps(r.body)}")
            for line, shape in r.answers:
                for member in dict(without).get(line, ()):
                    forget(shape, member)
                path = (other or {}).get(line, r.path)
                if not any(c.path == path and covers(c.answer, shape) for c in calls):
                    out.append(f"{self.name}:{line}: no answer of {path} has {json.dumps(shape)}")
        return out


def forget(shape, member):
    if isinstance(shape, dict):
        shape.pop(member, None)
    for v in (shape.values() if isinstance(shape, dict) else shape if isinstance(shape, list) else ()):
        forget(v, member)


class Call:
    def __init__(self, method, url, body, answer):
        u = urllib.parse.urlsplit(url)
        self.method, self.path = method, general(u.path)
        self.version = dict(urllib.parse.parse_qsl(u.query)).get("api-version")
        self.body = body if isinstance(body, dict) else {}
        try:
            self.answer = answer.json
        except ValueError:
            self.answer = {}


class Recorded(Server):
    """A server that remembers what it was asked."""

    def __init__(self, *options, **more):
        super().__init__(*options, **more)
        self.calls = []

    def call(self, method, url, body=None, *more, **named):
        answer = super().call(method, url, body, *more, **named)
        self.calls.append(Call(method, url, body, answer))
        return answer
