/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/coverage_page.h - the sections of docs/kql-coverage.md that list what a corpus shows
 * to be missing
 *
 * With KQL_COVERAGE=write in the environment a section is written anew; else each miss must be on
 * the page: what is better than the page is no failure. Nothing of a corpus but the names of its
 * cases is written: words of its queries are masked.
 */
#pragma once

#include "test.h"

#include "base/str.h"
#include "kql/known.h"
#include "kql/kql.h"

#include <stdio.h>
#include <stdlib.h>

#define COVERAGE_PAGE    KEYSTEAD_SOURCE_DIR "/docs/kql-coverage.md"
#define COVERAGE_SECTION "\n## Corpus: " /* the others come before the first of these */

struct misses {
    const char *title;
    struct buf page, rows;
    unsigned n, unlisted;
    const char *first; /* of those that are not listed */
};

/* The section's part of the page; empty: there is none. */
static inline struct bytes section_of(const struct buf *page, const char *title)
{
    CLEANUP_BUF struct buf head = {0};
    buf_fmt(&head, "%s%s\n", COVERAGE_SECTION, title);
    struct bytes all = buf_view(page);
    const uint8_t *at = all.len != 0 ? memmem(all.p, all.len, head.p, head.len) : NULL;
    if (at == NULL) return (struct bytes){0};
    size_t left = all.len - (size_t)(at - all.p);
    const uint8_t *next = memmem(at + 1, left - 1, "\n## ", 4);
    return bytes_of(at, next != NULL ? (size_t)(next - at) : left);
}

static inline void misses_begin(struct misses *m, const char *title)
{
    struct diag d = DIAG_INIT;
    *m = (struct misses){.title = title};
    REQUIRE_OK(os_read_file(COVERAGE_PAGE, (size_t)1 << 22, &m->page, &d));
}

static inline bool is_kql_name(const char *name)
{
    bool there;
    const char *op;
    if (known_function(name) || kql_has_function(name)) return true;
    for (uint32_t i = 0; (op = kql_operator_at(i, &there)) != NULL; i++) {
        if (str_eq(op, name)) return true;
    }
    for (uint32_t i = 0; (op = known_operator_at(i)) != NULL; i++) {
        if (str_eq(op, name)) return true;
    }
    return false;
}

/* A sentence of ours, without the names in it that the query made up. */
static inline void put_masked(struct buf *out, const char *text)
{
    while (*text != 0) {
        const char *end = *text == '\'' ? strchr(text + 1, '\'') : NULL;
        char name[80] = "";
        if (end != NULL && (size_t)(end - text) < sizeof name)
            snprintf(name, sizeof name, "%.*s", (int)(end - text - 1), text + 1);
        if (end != NULL) {
            buf_fmt(out, "`%s`", is_kql_name(name) ? name : "...");
            text = end + 1;
        } else {
            if (*text == '|') buf_u8(out, '\\');
            buf_u8(out, *text == '\n' ? ' ' : (uint8_t)*text);
            text++;
        }
    }
}

static inline void misses_add(struct misses *m, const char *id, const char *why)
{
    CLEANUP_BUF struct buf key = {0};
    struct bytes section = section_of(&m->page, m->title);
    buf_fmt(&key, "\n| %s |", id);
    if (section.len == 0 || memmem(section.p, section.len, key.p, key.len) == NULL) {
        if (m->unlisted++ == 0) m->first = id;
    }
    buf_fmt(&m->rows, "| %s | ", id);
    put_masked(&m->rows, why);
    buf_str(&m->rows, " |\n");
    m->n++;
}

/* score: a sentence or two under the title. The ids must still be there. */
static inline void misses_end(struct misses *m, const char *score)
{
    struct diag d = DIAG_INIT;
    const char *mode = getenv("KQL_COVERAGE");
    if (mode != NULL) {
        CLEANUP_BUF struct buf out = {0};
        struct bytes all = buf_view(&m->page), old = section_of(&m->page, m->title);
        size_t before = old.len != 0 ? (size_t)(old.p - all.p) : all.len;
        buf_bytes(&out, bytes_of(all.p, before));
        buf_fmt(&out, "%s%s\n\n%s\n", COVERAGE_SECTION, m->title, score);
        if (m->n != 0) buf_str(&out, "\n| case | why |\n|---|---|\n");
        buf_bytes(&out, buf_view(&m->rows));
        buf_bytes(&out, bytes_of(all.p + before + old.len, all.len - before - old.len));
        REQUIRE_OK(os_replace(COVERAGE_PAGE, buf_view(&out), &d));
    }
    unsigned unlisted = m->unlisted;
    CLEANUP_BUF struct buf first = {0};
    if (m->first != NULL) buf_str(&first, m->first);
    buf_release(&m->page);
    buf_release(&m->rows);
    if (mode == NULL && unlisted != 0) {
        fail_msg("%u misses are not in docs/kql-coverage.md, the first is %s: mend them, or run "
                 "`make kql-coverage`",
                 unlisted, buf_cstr(&first));
    }
}
