/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz/token.c - no text that we did not sign is a token */
#include "net/jwt.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct jwt_keys *keys;
    if (keys == NULL) {
        CLEANUP_JSON json_t *none = json_pack("{s:[]}", "keys");
        if (jwt_keys_new(&keys, none, NULL) != OK) abort();
    }
    static const char *const any[] = {"x", NULL};
    const struct jwt_expect want = {.issuers = any, .audiences = any};
    char *text = malloc(size + 1);
    if (text == NULL) return 0;
    memcpy(text, data, size);
    text[size] = 0;
    CLEANUP_JSON json_t *claims = NULL;
    assert(jwt_verify(text, keys, &want, &claims, NULL) != OK && claims == NULL);
    free(text);
    return 0;
}
