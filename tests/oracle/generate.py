#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tests/oracle/generate.py - queries to put to our binder and to Microsoft's own parser

generate.py CATALOG.json SEED > QUERIES.json: [{"id": "kind/number", "query"}], the same for the same seed.
Every function, aggregate and operator with each type in each place, as column, constant and null; too few and too
many arguments; names that collide; operators with their parameters, and with a token left out, doubled or swapped.
"""
import itertools
import json
import random
import re
import sys

TYPES = ["bool", "int", "long", "real", "decimal", "string", "datetime", "timespan", "guid", "dynamic"]
COLUMN = dict(zip(TYPES, ["b", "i", "l", "r", "m", "s", "t", "p", "g", "d"]))
LITERAL = {
    "bool": "true", "int": "int(3)", "long": "2", "real": "1.5", "decimal": "decimal(1.5)", "string": "'a'",
    "datetime": "datetime(2024-02-03)", "timespan": "1h", "guid": "guid(74be27de-1e4e-49d9-b579-fe0b331d3642)",
    "dynamic": "dynamic([1,2])",
}
NULL = {t: t + "(null)" for t in TYPES if t != "string"}
BINARY = ["+", "-", "*", "/", "%", "==", "!=", "<", ">", "<=", ">=", "<>", "=~", "!~", "and", "or", "has", "!has",
          "has_cs", "contains", "!contains", "contains_cs", "startswith", "!startswith_cs", "endswith", "hasprefix",
          "hassuffix_cs", "matches regex", "in", "!in", "in~", "!in~", "has_any", "has_all", "between", "!between"]
# What stands for a kind of parameter that the catalogue knows.
KIND = {
    "Number": "long", "DynamicArray": "dynamic", "Scalar": "long", "Integer": "long", "Summable": "long",
    "DynamicBag": "dynamic", "NotDynamic": "string", "StringOrDynamic": "string", "Orderable": "long",
    "CommonScalarOrDynamic": "long", "NumberOrBool": "long", "StringOrArray": "string", "IntegerOrArray": "long",
    "CommonOrderable": "long", "NotRealOrBool": "string", "Any": "long", "CommonScalar": "long",
}
OPERATORS = [
    "where l > 1", "where s has 'a' and b", "filter s == 'x'", "where s", "where l", "where d", "where d.x == 1", "where *  has 'a'",
    "extend x = l", "extend l = s", "extend x = l, x = s", "extend l + 1", "extend strlen(s)", "extend (x, y) = d",
    "extend a = l, c = a", "extend toupper(s), tolower(s)", "extend l", "extend d.a.b", "extend d[0]", "extend d['x y']", "extend d[s]",
    "project l, s", "project l, l", "project x = l, l", "project l + 1, s", "project bin(l, 10), floor(r, 1)", "project *",
    "project l1 = l, l, l", "project tostring(l), tolong(s)", "project d.a, d.b", "project strcat(s, 'x')", "project-away l",
    "project-away l, s*", "project-away *", "project-away nope", "project-keep l, s", "project-keep s*", "project-rename x = l",
    "project-rename l = l", "project-rename x = l, y = s", "project-rename s = l", "project-reorder s, l", "project-reorder * asc",
    "project-reorder s, * desc", "project-reorder l granny-asc", "distinct l", "distinct *", "distinct l, s", "distinct strlen(s)", "distinct x = l", "distinct l, l",
    "sort by l", "sort by l asc, s desc", "order by l nulls first", "sort by strlen(s) asc nulls last", "sort by d", "sort by d.x asc", "sort by *",
    "top 3 by l", "top 3 by l asc nulls last", "top l by s", "top 3 by d", "top 2+1 by l, s", "take 3", "limit 3", "take l", "take 1 + 2", "take '3'",
    "take 3.5", "take int(3)", "count", "count as N", "count | extend x = Count + 1", "as X", "as hint.materialized=true X", "sample 3", "sample-distinct 3 of l",
    "sample-distinct 3 of strlen(s)", "serialize", "serialize x = row_number()", "serialize row_number()", "getschema", "consume", "consume decodeblocks=true",
    "summarize count()", "summarize by l", "summarize by bin(t, 1h)", "summarize count() by bin(t, 1h), s", "summarize x = sum(l), y = avg(r) by s",
    "summarize sum(l), sum(l)", "summarize sum(l) by l", "summarize count(), count() by count_ = l", "summarize arg_max(t, *) by s", "summarize arg_max(t, l, r) by s",
    "summarize arg_max(t, x = l) by s", "summarize (a, b2) = arg_max(t, l) by s", "summarize arg_min(l, *)", "summarize take_any(l, s)", "summarize take_any(*) by s",
    "summarize any(l), anyif(l, b)", "summarize percentiles(l, 5, 50, 95)", "summarize percentile(r, 99.9) by s", "summarize x = percentiles(l, 5, 50)", "summarize (x, y) = percentiles(l, 5, 50)",
    "summarize make_list(l), make_set(s, 10) by b", "summarize sum(l) / count()", "summarize 1 + 1", "summarize l", "summarize toint(sum(l))", "summarize round(avg(r), 2)",
    "summarize dcount(s), dcountif(s, b), countif(b)", "summarize max(l), max(s), max(t), max(d)", "summarize min(b)", "summarize sum(s)", "summarize sum(d)", "summarize avg(t)", "summarize avg(p)",
    "summarize hint.strategy=shuffle count() by s", "summarize hint.shufflekey=s count() by s", "summarize hint.num_partitions=4 count() by s", "summarize count() by d", "summarize count() by d.x", "summarize count() by x = d.x", "summarize count() by tostring(d.x)",
    "summarize count() by s, s", "summarize count() by s, s1 = s", "summarize count() by strlen(s), strlen(s)", "summarize count() by startofweek(t)", "summarize count() by l, startofweek(t)", "summarize count() by startofday(t), startofmonth(t)",
    "summarize buildschema(d)", "summarize hll(l)", "summarize tdigest(r)", "summarize stdev(l), variance(r), variancep(i)", "summarize make_bag(d)", "summarize binary_all_or(l)",
    "summarize make_list_with_nulls(l)", "summarize count_distinct(s), count_distinctif(s, b)", "summarize maxif(l, b), minif(l, b), sumif(l, b), avgif(l, b)", "summarize percentilew(l, i, 50)", "summarize percentiles_array(l, 5, 50)", "summarize percentiles_array(l, dynamic([5, 50]))",
    "mv-expand d", "mv-expand x = d", "mv-expand d to typeof(long)", "mv-expand x = d.a to typeof(string), y = d.b", "mv-expand l", "mv-expand s", "mv-expand kind=array d", "mv-expand bagexpansion=bag d", "mv-expand with_itemindex=i0 d", "mv-expand d limit 10",
    "mv-expand d.a", "mv-expand d['a']", "mv-expand split(s, ',')", "mv-expand todynamic(s)", "mv-expand range(1, 3)", "mv-expand x = range(1, 3, 1) to typeof(int)", "mvexpand d", "mv-expand d, d2 = d", "mv-expand d to typeof(nope)",
    "mv-apply d on (summarize sum(tolong(d)))", "mv-apply x = d to typeof(long) on (where x > 1)", "mv-apply d on (extend y = 1)", "mv-apply with_itemindex=i0 d on (project i0, d)", "mv-apply x = d on (top 1 by tolong(x) | project x)", "mv-apply d limit 4 on (count)",
    "make-series count() on t step 1h", "make-series x = sum(l) default=0 on t from ago(1d) to now() step 1h by s", "make-series avg(r) on t step 1h by s, b", "make-series count() on l from 0 to 10 step 1", "make-series kind=nonempty sum(l) on t in range(ago(1d), now(), 1h)", "make-series x = count(), y = sum(l) default=long(null) on t step 1d by bin(l, 3)", "make-series count() on s step 1", "make-series l on t step 1h", "make-series sum(l) + count() on t step 1h", "make-series count() on startofday(t) step 1d", "make-series count() on d step 1",
    "make-series percentile(r, 50) on t step 1h", "make-series percentiles(r, 50, 90) on t step 1h", "make-series max(i), min(s) on t step 1h by strlen(s)",
    "parse s with 'a' x:long 'b' y", "parse kind=relaxed s with * 'a=' x:real *", "parse-where s with x ':' y:datetime", "parse kind=regex flags=U s with 'a' x '.*'", "parse s with x:nope", "parse s with * x y", "parse s with 'a' s", "parse l with 'a' x", "parse d with 'a' x", "parse s with x, y", "parse s with", "parse kind=nope s with x", "parse s with a:int ',' b2:bool", "parse strcat(s, 'a') with x ' ' *", "parse-kv s as (a:string, c:long) with (pair_delimiter=',', kv_delimiter='=')", "parse-kv s as (a:string) with (quote='\"')", "parse-kv l as (a:string)", "parse-kv s as (a:string, a:long)", "parse-kv s as (l:long)", "parse-kv s as (a:string) with (regex='x(a)')",
    "top-nested 3 of s by count()", "top-nested 3 of s by x = sum(l), top-nested of b by max(l)", "top-nested of s with others='o' by count()", "top-nested 2 of strlen(s) by count()", "top-hitters 3 of s", "top-hitters 3 of s by l",
    "partition by s (top 1 by l)", "partition hint.strategy=native by s (summarize count())", "partition hint.strategy=legacy by l { count }", "partition by s (project l)", "partition hint.strategy=shuffle by s (where l > 1 | extend z = 1)",
    "invoke f()", "fork (count) (take 1)", "fork x = (count) y = (take 1)", "facet by s", "facet by s, l with (count)", "reduce by s", "reduce by s with threshold=0.2", "reduce kind=source by s",
    "scan with (step s1: l > 1;)", "scan declare (x:long = 0) with (step s1: true => x = l; step s2: l > s1.x => x = s1.x + 1;)", "scan with_match_id=mid declare (x:long) with (step s1 output=all: true => x = 1;)", "scan order by t asc with (step s1: true;)", "scan partition by s with (step s1: true;)", "scan with (step s1 output=none: true;)",
    "evaluate narrow()", "evaluate bag_unpack(d)", "evaluate bag_unpack(d, 'x_')", "evaluate bag_unpack(s)", "evaluate bag_unpack(d) : (a:long, c:string)", "evaluate bag_unpack(d) : (*, a:long)", "evaluate pivot(s)", "evaluate pivot(s, sum(l))", "evaluate pivot(s, count(), b)", "evaluate pivot(s) : (*, x:long)", "evaluate autocluster()", "evaluate basket()", "evaluate diffpatterns(s, 'a', 'b')", "evaluate rolling_percentile(l, 50, t, 1d, 7)", "evaluate ipv4_lookup(U, s, y)", "evaluate sequence_detect(t, 1d, 1d, a = l > 1, c = s == 'x', s)", "evaluate active_users_count(s, t, ago(1d), now(), 1d, 7d, 2, 7d)", "evaluate activity_counts_metrics(s, t, ago(1d), now(), 1d)", "evaluate activity_engagement(s, t, ago(1d), now(), 1d, 7d)", "evaluate activity_metrics(s, t, ago(1d), now(), 1d)", "evaluate dcount_intersect(d)", "evaluate funnel_sequence(s, t, ago(1d), now(), 1d, 1d, l, dynamic([1]))", "evaluate funnel_sequence_completion(s, t, ago(1d), now(), 1d, l, dynamic([1]), dynamic([1d]))", "evaluate new_activity_metrics(s, t, ago(1d), now(), 1d)", "evaluate preview(5)", "evaluate rows_near(b, 1)", "evaluate session_count(s, t, ago(1d), now(), 1d, 1d)", "evaluate sliding_window_counts(s, t, ago(1d), now(), 1d, 1d)", "evaluate identity()", "evaluate nope()", "evaluate narrow",
    "lookup U on l", "lookup kind=inner U on l", "lookup kind=leftouter (U | project l, z = y) on l", "lookup U on $left.l == $right.l", "lookup kind=anti U on l", "lookup U on l, s", "lookup U",
    "join U on l", "join (U) on l", "join kind=nope U on l", "join U on s", "join U on $left.l == $right.l", "join U on $left.s == $right.y", "join U on $left.l == $right.y", "join U on $left.i == $right.l", "join U on l, $left.s == $right.y", "join U on nope", "join U on l == l", "join hint.strategy=broadcast U on l", "join hint.remote=left U on l", "join hint.shufflekey=l U on l", "join U on l and s", "join U on l where l > 1", "join U",
    "union U", "union kind=inner U", "union kind=outer withsource=src U", "union (U | where l > 1)", "union U, U2", "union isfuzzy=true U, Nope", "union isfuzzy=false Nope", "union U*", "union with_source=l U", "union hint.concurrency=2 U", "union kind=nope U",
    "search 'a'", "search s:'a'", "search kind=case_sensitive 'a'", "search s has 'a' and 'b'", "render timechart", "render timechart with (title='x')", "render columnchart kind=stacked", "render nope", "render timechart with (nope=1)", "render table with (xcolumn=t, ycolumns=l, r, series=s)", "assert-schema (l:long)", "project-smart", "execute-and-cache", "macro-expand",
]
OPERATORS += [f"join kind={k} U on l" for k in
              ["inner", "innerunique", "leftouter", "rightouter", "fullouter", "leftsemi", "rightsemi", "leftanti", "rightanti", "anti", "leftantisemi", "rightantisemi"]]
SOURCES = [
    "T", "print 1", "print x = 1, y = 'a'", "print l = 1, 2, 3", "print 1 + 1, strlen('a'), x = 2, now()", "print print_0 = 1, 2", "range x from 1 to 5 step 1", "range x from 1.0 to 5 step 1", "range t from ago(1d) to now() step 1h",
    "range x from int(1) to 5 step 1", "range x from 1 to 5", "range x from 'a' to 'b' step 1", "range x from decimal(1) to decimal(2) step decimal(1)", "range x from 1h to 2h step 1m", "datatable (a:long, c:string) [1, 'x', 2, 'y']", "datatable (a:int, c:double, e:date, f:time) []", "datatable (a:nope) []", "datatable (a:long) [1, 2, 'x']", "datatable (a:long, a:string) []", "datatable (a:long, c:string) [1]",
    "union T, U", "union kind=inner T, U", "union withsource=src T, U2", "union *", "union T, (U | project y), U2", "union isfuzzy=true Nope, T", "T | union U", "let x = 1; print x", "let X = T; X | count", "let x = 1; let x = 2; print x", "let f = (a:long) { a + 1 }; print f(1)", "let f = (a:long = 3) { a + 1 }; print f(), f(2), f(a = 5)", "let f = (a:long, c:string = 'x') { strcat(a, c) }; print f(1), f(a = 1, c = 'y')", "let f = (X:(l:long)) { X | count }; f(T)", "let f = (X:(*)) { X | count }; T | invoke f()", "let f = (X:(l:long, s:string), n:long) { X | where l > n }; T | invoke f(3)", "let f = (X:(nope:long)) { X }; f(T)", "let f = () { T | take 1 }; f", "let f = () { T | take 1 }; f()", "let f = view () { T }; f", "let f = (a:long) { a }; print f('x')", "let f = (a:long) { a }; print f()", "let f = (a:long) { a }; print f(1, 2)", "let f = (a:int) { a }; print f(1)", "let f = (a:real) { a }; print f(1)", "let f = (a:string) { a }; T | project f(s)", "let f = (a:dynamic) { a.x }; T | project f(d)", "let f = (X:(l:long)) { toscalar(X | summarize max(l)) }; print f(T)", "let x = toscalar(T | count); print x", "let x = toscalar(T | project s, l); print x", "let x = materialize(T); x | join x on l", "let a = dynamic([1, 2]); T | where l in (a)", "let a = T | project l; T | where l in (a)", "let a = datatable (x:long) [1]; T | where l in (a)", "T | where l in ((U | project l))", "T | where l in (1, 2, 'a')", "T | where s in (1, 2)", "T | where s in ('a', 'b')", "T | where s in~ (dynamic(['a']))", "T | where s has_any ('a', 'b')", "T | where s has_all (dynamic(['a']))", "find 'a'", "find in (T, U) where l == 1", "find withsource=X in (T) where l == 1 project l, s", "find in (T, U) where s has 'a' project l:long, pack(*)", "search 'a'", "search in (T, U) 'a'", "declare query_parameters(a:long = 1); print a", "set notruncation; T", "set x = 1; T | count", "alias database x = cluster('a').database('b'); T", "restrict access to (T); T", "externaldata (a:string) ['https://x']", "toscalar(T | count)", "1", "T; U", "T;", ";T", "", "// x", "T // x", "T | // x\n count", "database('db').T", "cluster('x').database('y').T", "table('T')", "table(T)", "workspace('x').T", "app('x').T", "[T]", "['T']", "[\"T\"]", "(T)", "((T))", "(T | count)", "T | (count)", "T |", "| count", "T | T", "T || count", "print", "print x", "print *", "range x", "nope", "nope | count", "nope()", "T | nope", "T where l > 1", "count(T)", "materialize(T)", "materialize(T) | count", "view () { T }", "let T2 = T | where l > 1; union T2, T", "let l = 1; T | where l == 1", "let s = T; T | project s", "datatable (a:long) [1] | as X | union X", "T | as X | join (X) on l", "print a = 1, b = a", "print toscalar(T | count)", "evaluate narrow()", "T | evaluate narrow() | count",
]
LITERALS = """1 -1 0 00 1l 1L 0x10 0xFF 0x 1.0 1. .5 1e3 1e 1.5e-3 1E5 9223372036854775807 9223372036854775808 -9223372036854775808 99999999999999999999 1_000
long(1) long(null) long(-1) long(0x10) long(1.5) long('1') long() long(nope) int(1) int(3000000000) int(null) int(-1) real(1) real(1.5) real(nan) real(+inf) real(-inf) real(null) real(1e5) double(1) real('1') decimal(1) decimal(1.5) decimal(null) decimal(1e5) decimal(0.1e1)
true false True FALSE TRUE bool(true) bool(1) bool(0) bool(null) boolean(false) bool(yes)
'a' "a" 'a"b' "a'b" 'a\\'b' "a\\"b" 'a\\nb' '\\x41' '\\u0041' '\\U00000041' '\\101' '\\q' @'a\\b' @"a""b" @'a''b' h'a' H"a" h@'a' ```a``` ~~~a~~~ 'a 'a'b 'a''b' '' "" "a" "b" 'a'"b" 'é' '\\
1d 1h 1m 1s 1ms 1us 1tick 1ticks 1microsecond 1microseconds 1day 1days 1hour 1hours 1minute 1min 1minutes 1second 1sec 1seconds 1millisecond 1nanosecond 1week 1.5h 0.5d -1d 1y 1x time(1d) time(1.02:03:04) time(1:2:3) time(null) time('1d') time(1) timespan(1h) timespan(1.5h) timespan(01:02:03.1234567) timespan(0) time(1 day) time(-1d)
datetime(2024-01-01) datetime(2024-01-01T01:02:03Z) datetime(2024-01-01 01:02:03.1234567) datetime(null) datetime('2024-01-01') datetime(2024) datetime(2024-01) datetime(01/02/2024) datetime() datetime(2024-1-1) datetime(2024-01-01T00:00:00+02:00) datetime(nope) date(2024-01-01) datetime(2024-12-31T23:59)
guid(74be27de-1e4e-49d9-b579-fe0b331d3642) guid(null) guid('74be27de-1e4e-49d9-b579-fe0b331d3642') guid(74be27de1e4e49d9b579fe0b331d3642) guid(x) guid()
dynamic(1) dynamic('a') dynamic(null) dynamic(true) dynamic([1,'a',null,true,1.5]) dynamic({"a":1}) dynamic({"a":{"b":[1]}}) dynamic({a:1}) dynamic({'a':1}) dynamic([1,]) dynamic([datetime(2024-01-01),1d,guid(null)]) dynamic("x") dynamic() dynamic({}) dynamic([]) dynamic(parse_json('1')) dynamic([-1]) dynamic(1d)
1+1 1-1 1*2 1/2 5%2 -(1) +1 --1 1--1 !true not(true) 1==1 1!=2 1<>2 1<2 'a'<'b' 1=1 (1) ((1)) (1,2) 1..2 1;2 [1] {1} a.b 1.a 'a'.b d dynamic({"a":1}).a dynamic({"a":1})['a'] dynamic([1])[0] dynamic([1])[-1]
null nan inf typeof(long) typeof(string) now ago now() ago(1d) now(-1d) pi() e() newguid() new_guid() rand() rand(1) * $left $right.x""".split("\n")


def forms(t):
    yield COLUMN[t]
    yield LITERAL[t]
    if t in NULL:
        yield NULL[t]


def parameter_type(p):
    types = p["types"]
    if p["kind"] == "Tabular":
        return None
    return types[0] if types and types[0] in TYPES else KIND.get(p["kind"], "long")


def base_arguments(signature, n):
    """So many arguments that fit, as columns (or constants where the catalogue wants a literal)."""
    out = []
    params = signature["params"]
    for k in range(n):
        p = params[min(k, len(params) - 1)] if params else None
        t = (parameter_type(p) or "long") if p else "long"
        out.append(LITERAL[t] if p and p["arg"] in ("Literal", "Constant", "ConstantInteger", "ConstantPositiveInteger") else COLUMN[t])
    return out


def calls(f, limit):
    """Texts of calls of f, several hundreds at most."""
    seen = {}
    for s in f["signatures"]:
        low, high = s["min_args"], min(s["max_args"], s["min_args"] + 3, 6)
        for n in range(max(0, low - 1), high + 2):
            base = base_arguments(s, n)
            seen[", ".join(base)] = 1
            for k in range(n):
                for t in TYPES:
                    for form in forms(t):
                        seen[", ".join(base[:k] + [form] + base[k + 1:])] = 1
    texts = list(seen)
    return [f"{f['name']}({a})" for a in (texts if len(texts) <= limit else random.sample(texts, limit))]


def names(f):
    """What columns are called when the arguments are no plain columns."""
    for s in f["signatures"][:1]:
        for inner in ["bin(l, 2)", "strlen(s)", "tostring(l)", "d.a", "d[0]", "l + 1", "(l)", "startofday(t)", "'x'", "toupper(s)"]:
            base = base_arguments(s, s["min_args"])
            if base:
                yield f"{f['name']}({', '.join([inner] + base[1:])})"


def damaged(text):
    """The text with one of its words left out, doubled, swapped or replaced."""
    words = re.findall(r"'[^']*'|\"[^\"]*\"|[A-Za-z_][\w-]*|\d+\w*|[^\s\w]|\s+", text)
    k = random.randrange(len(words))
    how = random.randrange(4)
    if how == 0:
        del words[k]
    elif how == 1:
        words.insert(k, words[k] + " ")
    elif how == 2 and k + 1 < len(words):
        words[k], words[k + 1] = words[k + 1], words[k]
    else:
        words[k] = random.choice(["by", "=", ",", "(", ")", "|", "1", "'a'", "l", "where", "on", "with", ":", "nope", "null", "[", "*", "kind=inner"])
    return "".join(words)


def queries(catalog):
    for f in catalog["functions"]:
        for c in calls(f, 120):
            yield "function", f"T | project x = {c}"
        for c in names(f):
            yield "name", f"T | extend {c}"
    for f in catalog["aggregates"]:
        for c in calls(f, 200):
            yield "aggregate", f"T | summarize x = {c}"
        for c in names(f):
            yield "name", f"T | summarize {c} by s"
    for f in catalog["plugins"]:
        for c in calls(f, 40):
            yield "plugin", f"T | evaluate {c}"
    for op in BINARY:
        for a, b in itertools.product(TYPES, TYPES):
            for x, y in [(COLUMN[a], COLUMN[b]), (COLUMN[a], LITERAL[b]), (LITERAL[a], COLUMN[b]), (COLUMN[a], NULL.get(b, "''"))]:
                right = f"({y})" if op.strip("!~") in ("in", "has_any", "has_all") else f"({y} .. {y})" if "between" in op else y
                yield "operator", f"T | project x = {x} {op} {right}"
    for a in TYPES:
        for x in forms(a):
            for form in ["-{}", "+{}", "not({})", "{}.a", "{}[0]", "{}['a']", "{}[l]", "iff({}, 1, 2)", "case({}, 1, 2)", "coalesce({}, 1)", "{} in (1, 'a')", "tostring({})"]:
                yield "unary", f"T | project x = {form.format(x)}"
    for line in LITERALS:
        for x in line.split(" "):
            yield "literal", f"print x = {x}"
            yield "literal", f"T | where {x}"
            yield "literal", f"T | extend {x}"
    for s in SOURCES:
        yield "source", s
        for op in random.sample(OPERATORS, 12):
            yield "source", f"{s} | {op}"
    for op in OPERATORS:
        yield "single", f"T | {op}"
        for _ in range(12):
            yield "damaged", damaged(f"T | {op}")
        for other in random.sample(OPERATORS, 12):
            yield "pair", f"T | {op} | {other}"
    for s in SOURCES:
        for _ in range(8):
            if s:
                yield "damaged", damaged(s)
    for _ in range(4000):
        yield "chain", "T | " + " | ".join(random.choice(OPERATORS) for _ in range(3))


def main():
    catalog = json.load(open(sys.argv[1]))
    random.seed(int(sys.argv[2]))
    seen, out = set(), []
    for kind, text in queries(catalog):
        if text not in seen:
            seen.add(text)
            out.append({"id": f"{kind}/{len(out)}", "query": text})
    json.dump(out, sys.stdout)


main()
