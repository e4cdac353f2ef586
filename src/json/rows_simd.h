/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json/rows_simd.h - the border between rows.c and the one C++ file that sees simdjson: plain types
 * only
 *
 * No exception crosses it. A function that can fail returns NULL or the parser's message, a
 * literal.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum json_cell_kind {
    CELL_ABSENT,
    CELL_NULL,
    CELL_BOOL,
    CELL_LONG,
    CELL_REAL,
    CELL_STRING,
    CELL_COMPOUND, /* object or array */
};

struct json_cell {
    enum json_cell_kind kind;
    union {
        bool b;
        int64_t i;
        double r;
    };
    /* STRING: unescaped. Else as it stands in the JSON. */
    const uint8_t *text;
    size_t text_len;
};

struct simd_rows;
struct simd_rows *simd_rows_new(void); /* NULL: out of memory */
void simd_rows_free(struct simd_rows *s);
size_t simd_rows_padding(void); /* bytes that must be readable behind the text */

/* text is one JSON array; it and the names stay where they are until the next open. */
const char *simd_rows_open(struct simd_rows *s, const char *text, size_t len, size_t cap,
                           const char *const *names, uint32_t n_names);
const char *simd_rows_next(struct simd_rows *s, struct json_cell *cells, bool *more);
/* Wipes what it made of the text. What the parser itself keeps are positions, no contents. */
void simd_rows_forget(struct simd_rows *s);
uint64_t simd_rows_unknown(const struct simd_rows *s);

#ifdef __cplusplus
}
#endif
