/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz/logformat.c - any file becomes rows, a line each, that are checked without a crash; or is
 * refused with a sentence */
#include "cli/infer.h"
#include "json/json.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const formats[] = {"auto", "dpkg", "apt", "syslog", "text"};
    if (size == 0) return 0;
    CLEANUP_LOG_ROWS struct log_rows r = {0};
    struct diag d = DIAG_INIT;
    if (log_rows_parse(bytes_of(data + 1, size - 1), formats[data[0] % 5], &r, &d) != OK) {
        assert(d.text[0] != 0);
        return 0;
    }
    for (size_t i = 0; i < log_rows_count(&r); i++) {
        struct bytes row = log_rows_at(&r, i);
        assert(row.len != 0 && memchr(row.p, '\n', row.len) == NULL);
    }
    CLEANUP_JSON json_t *columns = NULL;
    if (infer_columns(&r, &columns, NULL) == OK) assert(infer_check(&r, NULL) == OK);
    return 0;
}
