/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/golden_cases.h - the cases of tests/kql/<feature>.kqltest as texts, for who runs them
 * and for who asks what they cover; the form is told in exec/golden.c
 */
#pragma once

#include "test.h"

#include "base/str.h"

#include <dirent.h>
#include <stdlib.h>

#define GOLDEN_DIR KEYSTEAD_SOURCE_DIR "/tests/kql"

struct golden_case {
    const char *file;
    struct bytes title, query, want; /* of the call */
};

typedef void golden_each(void *ctx, const struct golden_case *c);

static inline struct bytes golden_line(struct bytes *left)
{
    const uint8_t *end = memchr(left->p, '\n', left->len);
    size_t len = end != NULL ? (size_t)(end - left->p) : left->len;
    struct bytes line = {left->p, len};
    size_t step = end != NULL ? len + 1 : len;
    *left = bytes_of(left->p + step, left->len - step);
    return line;
}

static inline bool golden_is_title(struct bytes line)
{
    return line.len > 3 && memcmp(line.p, "== ", 3) == 0;
}

/* Cuts a case in two at its line "--"; comments are dropped. */
static inline void golden_split(struct bytes body, struct buf *query, struct buf *want)
{
    struct buf *to = query;
    while (body.len != 0) {
        struct bytes line = golden_line(&body);
        if (line.len != 0 && line.p[0] == '#') continue;
        if (bytes_eq(line, BYTES("--"))) {
            to = want;
            continue;
        }
        buf_bytes(to, line);
        buf_u8(to, '\n');
    }
}

static inline bool golden_ends(struct bytes s, const char *end)
{
    size_t n = strlen(end);
    return s.len >= n && memcmp(s.p + s.len - n, end, n) == 0;
}

/* "long 1 | string a" as the table ":long | :string", "1 | a". */
static inline void golden_values(struct bytes typed, struct buf *want)
{
    CLEANUP_BUF struct buf row = {0};
    for (size_t i = 0; i < typed.len; i++) {
        buf_u8(want, ':');
        while (i < typed.len && typed.p[i] != ' ')
            buf_u8(want, typed.p[i++]);
        while (i < typed.len && !(typed.p[i] == '|' && typed.p[i - 1] != '\\'))
            buf_u8(&row, typed.p[i++]);
        if (i >= typed.len) break;
        buf_str(want, " | ");
        buf_str(&row, "|");
        while (i + 1 < typed.len && typed.p[i + 1] == ' ')
            i++;
    }
    buf_u8(want, '\n');
    buf_bytes(want, buf_view(&row));
}

/* The case that a line "x, y => type cell | type cell" or "x => error TEXT" is; false: it is none. */
static inline bool golden_line_case(struct bytes line, struct buf *query, struct buf *want)
{
    size_t at = line.len;
    while (at >= 4 && memcmp(line.p + at - 4, " => ", 4) != 0)
        at--;
    if (at < 4 || line.p[0] == '#') return false;
    struct bytes right = bytes_of(line.p + at, line.len - at);
    buf_str(query, "print ");
    buf_bytes(query, bytes_of(line.p, at - 4));
    if (right.len > 6 && memcmp(right.p, "error ", 6) == 0) {
        buf_bytes(want, right);
    } else {
        golden_values(right, want);
    }
    return true;
}

static inline void golden_lines(const char *name, struct bytes title, struct bytes body,
                                golden_each *each, void *ctx)
{
    while (body.len != 0) {
        CLEANUP_BUF struct buf query = {0}, want = {0};
        struct bytes line = golden_line(&body);
        if (!golden_line_case(line, &query, &want)) {
            REQUIRE(line.len == 0 || line.p[0] == '#');
            continue;
        }
        const struct golden_case c = {
            .file = name, .title = title, .query = buf_view(&query), .want = buf_view(&want)};
        each(ctx, &c);
    }
}

static inline void golden_file(const char *name, golden_each *each, void *ctx)
{
    struct diag d = DIAG_INIT;
    CLEANUP_BUF struct buf text = {0};
    char *path = os_path(GOLDEN_DIR, name);
    REQUIRE_OK(os_read_file(path, (size_t)1 << 24, &text, &d));
    free(path);
    struct bytes left = buf_view(&text);
    while (left.len != 0) {
        struct bytes title = golden_line(&left);
        if (!golden_is_title(title)) continue;
        struct bytes rest = left, body = {left.p, 0};
        while (rest.len != 0) {
            struct bytes ahead = rest;
            if (golden_is_title(golden_line(&ahead))) break;
            rest = ahead;
        }
        body.len = (size_t)(rest.p - left.p);
        left = rest;
        if (golden_ends(title, "(each line)")) {
            golden_lines(name, bytes_of(title.p + 3, title.len - 3), body, each, ctx);
            continue;
        }
        CLEANUP_BUF struct buf query = {0}, want = {0};
        golden_split(body, &query, &want);
        const struct golden_case c = {.file = name,
                                      .title = bytes_of(title.p + 3, title.len - 3),
                                      .query = buf_view(&query),
                                      .want = buf_view(&want)};
        each(ctx, &c);
    }
}

/* Every case, file after file; of files whose name contains `only`, when that is not NULL. */
static inline void golden_cases(const char *only, golden_each *each, void *ctx)
{
    struct dirent **entries;
    int n = scandir(GOLDEN_DIR, &entries, NULL, alphasort);
    REQUIRE(n >= 0);
    for (int i = 0; i < n; i++) {
        const char *name = entries[i]->d_name;
        if (str_ends(name, ".kqltest") && (only == NULL || strstr(name, only) != NULL))
            golden_file(name, each, ctx);
        free(entries[i]);
    }
    free(entries);
}

/* --- what a case shows ------------------------------------------------------------------------ */

enum golden_aspect {
    GOLDEN_VALUES = 1,  /* gives a row with something in it */
    GOLDEN_NULLS = 2,   /* a null goes in or comes out */
    GOLDEN_EMPTY = 4,   /* reads a table without rows */
    GOLDEN_REFUSED = 8, /* is refused */
};
#define GOLDEN_ASPECTS 4
static const char *const golden_aspect_names[GOLDEN_ASPECTS] = {"values", "nulls", "empty input",
                                                                "refusal"};

static inline bool golden_has(struct bytes text, const char *what)
{
    return text.len != 0 && memmem(text.p, text.len, what, strlen(what)) != NULL;
}

/* A row in which a cell is neither null nor empty text. */
static inline bool golden_has_value(struct bytes want)
{
    golden_line(&want); /* the columns */
    while (want.len != 0) {
        struct bytes line = golden_line(&want);
        for (size_t i = 0, from = 0; i <= line.len; i++) {
            if (i < line.len && line.p[i] != '|') continue;
            struct bytes cell = bytes_of(line.p + from, i - from);
            while (cell.len != 0 && cell.p[0] == ' ')
                cell = bytes_of(cell.p + 1, cell.len - 1);
            while (cell.len != 0 && cell.p[cell.len - 1] == ' ')
                cell.len--;
            if (cell.len != 0 && !bytes_eq(cell, BYTES("null")) && !bytes_eq(cell, BYTES("\"\"")))
                return true;
            from = i + 1;
        }
    }
    return false;
}

/* Bits of enum golden_aspect. */
static inline unsigned golden_aspects(const struct golden_case *c)
{
    if (c->want.len > 6 && memcmp(c->want.p, "error ", 6) == 0) return GOLDEN_REFUSED;
    unsigned bits = golden_has_value(c->want) ? GOLDEN_VALUES : 0;
    if (golden_has(c->query, "null") || golden_has(c->want, "null")) bits |= GOLDEN_NULLS;
    if (golden_has(c->query, ")[]") || golden_has(c->query, "take 0") ||
        golden_has(c->query, "where false"))
        bits |= GOLDEN_EMPTY;
    return bits;
}

static inline bool golden_in_name(uint8_t ch)
{
    return ch == '_' || (ch >= '0' && ch <= '9') || ((ch | 32) >= 'a' && (ch | 32) <= 'z');
}

/* The query calls it: name(...). */
static inline bool golden_calls(struct bytes q, const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i + len < q.len; i++) {
        if (memcmp(q.p + i, name, len) != 0 || q.p[i + len] != '(') continue;
        if (i == 0 || !golden_in_name(q.p[i - 1])) return true;
    }
    return false;
}
