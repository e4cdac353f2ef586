/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json/rows.h - rows of JSON text as cells under known names: the fast way in, by simdjson
 *
 * The text is an array of objects, one object, or objects line by line (NDJSON). It is copied;
 * cells borrow from the copy until the next json_rows_open(). Names are looked up first where the
 * row before had them: rows of one source look alike. A name that occurs twice in a row: the last
 * one counts.
 */
#pragma once

#include "base/bytes.h"
#include "json/rows_simd.h"

struct json_rows;

enum err json_rows_new(struct json_rows **out, struct diag *d);
void json_rows_free(struct json_rows *r); /* wipes the copy; NULL is fine */
DEFINE_CLEANUP(json_rows_free, struct json_rows)

/* Names are borrowed until the next open.
 * ERR_INVALID  not JSON, or not UTF-8
 * ERR_LIMIT    out of memory */
enum err json_rows_open(struct json_rows *r, struct bytes text, const char *const *names,
                        uint32_t n_names, struct diag *d);
/* The next row: n_names cells. *more is false after the last one, and then there is none.
 * ERR_INVALID  the row is no object, or not JSON; the sentence has its number, from 1 */
enum err json_rows_next(struct json_rows *r, struct json_cell *cells, bool *more, struct diag *d);
/* Wipes the copy and ends the reading; the memory is kept for the next text. */
void json_rows_forget(struct json_rows *r);
/* Fields so far that have none of the names. */
uint64_t json_rows_unknown(const struct json_rows *r);

static inline struct bytes json_cell_text(const struct json_cell *c)
{
    return (struct bytes){c->text, c->text_len};
}
