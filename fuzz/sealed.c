/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz/sealed.c - a header that decodes encodes to the same bytes, and no made-up block ever opens
 */
#include "crypto/sealed.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes in = bytes_of(data, size);
    struct file_ident f;
    if (file_header_decode(in, &f, NULL) == OK) {
        uint8_t again[FILE_HEADER_LEN];
        file_header_encode(&f, again);
        assert(memcmp(again, data, sizeof again) == 0);
    }
    struct block_header b;
    if (block_header_decode(in, &b, NULL) == OK) assert(b.len >= 1 && b.len <= BLOCK_LEN_MAX);

    static struct file_key *key;
    if (key == NULL) {
        static const uint8_t zeros[FILE_KEY_LEN];
        const struct file_ident ident = {.otype = OTYPE_SEGMENT, .suite = SUITE_0001};
        if (file_key_new(&key, &ident, bytes_of(zeros, sizeof zeros), NULL) != OK) return 0;
    }
    CLEANUP_BUF struct buf out = {0};
    assert(block_open(key, BTYPE_DATA, 0, in, &out, NULL) != OK && out.len == 0);
    return 0;
}
