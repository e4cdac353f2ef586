/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody/iek_token.c - the infrastructure key's custodian that is an HSM: wrapped by a key that
 * never leaves its token
 *
 * The file holds what AES key wrap makes of the 32 bytes: 40 bytes that are nothing without the
 * token. A wrong key or a changed file does not unwrap.
 */
#include "custody/iek.h"

#include "base/os.h"
#include "base/rand.h"
#include "base/str.h"
#include "crypto/sealed.h"
#include "vault/token.h"

#include <stdlib.h>

#define WRAPPED_LEN (IEK_LEN + 8)

static enum err find_or_make(struct token *t, const struct token_name *name, struct diag *d)
{
    uint8_t id[16];
    CLEANUP_TOKEN_KEY struct token_key key = {0};
    struct diag why = DIAG_INIT;
    enum err e = token_describe(t, name, &key, &why);
    if (e == OK && key.type == TOKEN_AES && key.bits == 256) return OK;
    if (e == OK) return FAIL(d, ERR_INVALID, "key %s of the token is no AES-256 key", name->label);
    if (!str_eq(why.tag, "KeyNotFound")) return FAIL_TAG(d, e, why.tag, "%s", why.text);
    rand_bytes(id, sizeof id);
    const struct token_name fresh = {.id = BYTES_OF(id), .label = name->label};
    return token_make_aes(t, &fresh, 256, d);
}

static enum err make_file(struct token *t, const struct token_name *name, const char *path,
                          struct diag *d)
{
    CLEANUP(secret_free) struct secret *key = NULL;
    CLEANUP_BUF struct buf wrapped = {0};
    TRY(find_or_make(t, name, d));
    TRY(secret_random(&key, IEK_LEN, d));
    TRY(token_wrap(t, name, secret_view(key), &wrapped, d));
    return os_replace(path, buf_view(&wrapped), d);
}

enum err iek_token_open(struct token *t, const char *label, const char *path, bool make,
                        struct secret **out, struct diag *d)
{
    const struct token_name name = {.label = label};
    CLEANUP_BUF struct buf wrapped = {0};
    CLEANUP(secret_free) struct secret *key = NULL;
    if (make && !os_exists(path)) TRY(make_file(t, &name, path, d));
    struct diag why = DIAG_INIT;
    enum err e = os_read_file(path, WRAPPED_LEN, &wrapped, &why);
    if (e != OK) return FAIL(d, e, "infrastructure key %s: %s", path, why.text);
    if (wrapped.len != WRAPPED_LEN) {
        return FAIL(d, ERR_INVALID, "infrastructure key %s: %zu bytes; a wrapped one has %d", path,
                    wrapped.len, WRAPPED_LEN);
    }
    TRY(token_unwrap(t, &name, buf_view(&wrapped), &key, d));
    if (secret_len(key) != IEK_LEN)
        return FAIL(d, ERR_INVALID, "the token unwrapped %zu bytes", secret_len(key));
    *out = TAKE(key);
    return OK;
}
