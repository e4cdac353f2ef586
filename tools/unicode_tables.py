#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes src/func/unicode_tables.h from Python's copy of the Unicode database: simple case mappings as
ranges with a step, and the ranges of letters and digits. Run by hand when Unicode moves on."""
import sys
import unicodedata

LIMIT = 0x20000


def mapping(change):
    pairs = []
    for c in range(0x80, LIMIT):
        if 0xD800 <= c <= 0xDFFF:
            continue
        other = change(chr(c))
        if len(other) == 1 and ord(other) != c and ord(other) >= 0x80:
            pairs.append((c, ord(other) - c))
    ranges = []
    for c, delta in pairs:
        if ranges:
            first, last, d, step = ranges[-1]
            if d == delta and c - last in (1, 2) and (first == last or c - last == step):
                ranges[-1] = (first, c, d, c - last)
                continue
        ranges.append((c, c, delta, 1))
    return ranges


def members(test):
    ranges = []
    for c in range(0x80, LIMIT):
        if 0xD800 <= c <= 0xDFFF or not test(unicodedata.category(chr(c))):
            continue
        if ranges and ranges[-1][1] == c - 1:
            ranges[-1] = (ranges[-1][0], c)
        else:
            ranges.append((c, c))
    # The ideographs of the further planes, all of them letters.
    ranges.append((0x20000, 0x3FFFF))
    return ranges


def emit(name, type_, rows, out):
    out.write(f"static const struct {type_} {name}[] = {{\n")
    line = "   "
    for row in rows:
        cell = " {" + ", ".join(hex(x) if i < 2 else str(x) for i, x in enumerate(row)) + "},"
        if len(line) + len(cell) > 100:
            out.write(line + "\n")
            line = "   "
        line += cell
    out.write(line + "\n};\n\n")


out = sys.stdout
out.write(f"""/* SPDX-License-Identifier: Apache-2.0 */
/*
 * func/unicode_tables.h - case and letters of Unicode {unicodedata.unidata_version}, without ASCII
 *
 * Written by tools/unicode_tables.py; included by text.c alone.
 */
#pragma once

#include <stdint.h>

struct case_range {{
    uint32_t first, last;
    int32_t delta, step;
}};
struct char_range {{
    uint32_t first, last;
}};

/* clang-format off */
""")
emit("to_lower", "case_range", mapping(str.lower), out)
emit("to_upper", "case_range", mapping(str.upper), out)
emit("letters", "char_range", members(lambda c: c[0] == "L" or c == "Nd"), out)
out.write("/* clang-format on */\n")
