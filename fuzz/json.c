/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz/json.c - what reads as JSON writes and reads again as the same; a dynamic made of any text
 * is valid */
#include "base/str.h"
#include "column/dyn.h"
#include "json/json.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes in = bytes_of(data, size);
    CLEANUP_JSON json_t *j = NULL, *again = NULL;
    if (json_read(in, &j, NULL) == OK) {
        CLEANUP_BUF struct buf text = {0};
        assert(json_write(j, &text, NULL) == OK);
        assert(json_read(buf_view(&text), &again, NULL) == OK && json_equal(j, again));
    }
    CLEANUP_BUF struct buf dyn = {0}, shown = {0};
    if (utf8_valid(in) && dyn_from_json(in, &dyn, NULL) == OK) { /* a string column is UTF-8 */
        assert(dyn_valid(buf_view(&dyn)));
        dyn_to_json(buf_view(&dyn), &shown);
    }
    if (dyn_valid(in)) dyn_to_json(in, &shown);
    return 0;
}
