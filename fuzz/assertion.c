/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz/assertion.c - no text that its client did not sign is an assertion */
#include "identity/state.h"

#include <assert.h>
#include <stdlib.h>

/* The public half of a P-256 key whose private half nobody has kept (RFC 7517 A.1). */
#define JWK                                                                                    \
    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4\"," \
    "\"y\":\"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM\"}"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct identity none;
    static struct principal p = {
        .client_id = "x",
        .n_credentials = 1,
        .credentials = {
            {.kind = CREDENTIAL_CERTIFICATE, .x5t = "a", .x5t_sha256 = "b", .jwk = JWK}}};
    static const char *const any[] = {"x", NULL};
    struct diag d = DIAG_INIT;
    char *text = malloc(size + 1);
    if (text == NULL) return 0;
    memcpy(text, data, size);
    text[size] = 0;
    assert(assertion_check(&none, &p, text, any, "x", &d) == ERR_DENIED);
    free(text);
    return 0;
}
