/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz/rows.c - a log record and the entries of the catalogue: what decodes is in bounds and
 * encodes again */
#include "storage/manifest.h"
#include "storage/rows.h"

#include <assert.h>
#include <stdlib.h>

static const struct column cols[] = {
    {"T", T_DATETIME}, {"L", T_LONG}, {"S", T_STRING}, {"B", T_BOOL}};
static const struct schema schema = {4, cols};

static void entries(struct bytes in, struct arena *a)
{
    CLEANUP_BUF struct buf out = {0};
    struct table_entry table;
    struct segment_entry segment;
    CLEANUP_LOCAL(log_entry_release) struct log_entry log = {0};
    if (table_entry_decode(in, a, &table, NULL) == OK && strlen(table.name) != 0) {
        assert(table_entry_encode(&table, &out, NULL) == OK && out.len <= in.len);
    }
    buf_clear(&out);
    if (segment_entry_decode(in, &segment, NULL) == OK) {
        assert(segment_entry_encode(&segment, &out, NULL) == OK && bytes_eq(in, buf_view(&out)));
    }
    buf_clear(&out);
    if (log_entry_decode(in, &log, NULL) == OK) {
        assert(log_entry_encode(&log, &out, NULL) == OK && out.len == in.len);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes in = bytes_of(data, size);
    CLEANUP_ARENA struct arena a;
    arena_init(&a, (size_t)64 << 20);
    struct batch b;
    entries(in, &a);
    if (rows_decode(in, &schema, &a, &b, NULL) != OK) return 0;
    assert(b.n_cols == 4);
    for (uint32_t i = 0; i < 4; i++) {
        assert(b.cols[i].n == b.n_rows && b.cols[i].type == cols[i].type);
        for (uint32_t row = 0; row < b.n_rows; row += 1 + b.n_rows / 64)
            (void)vec_value(&b.cols[i], row);
    }
    return 0;
}
