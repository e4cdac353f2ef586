/* SPDX-License-Identifier: Apache-2.0 */
/* crypto/password.c - Argon2id through libsodium */
#include "crypto/password.h"

#include "base/thread.h"

#include <sodium.h>

static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

/* A hash that no password has: its work is done for names that nobody has. */
static const char *nobodys(void)
{
    static char hash[PASSWORD_HASH_MAX];
    static const char any[] = "nobody";
    if (hash[0] == 0 &&
        crypto_pwhash_str(hash, any, sizeof any - 1, crypto_pwhash_OPSLIMIT_INTERACTIVE,
                          crypto_pwhash_MEMLIMIT_INTERACTIVE) != 0) {
        hash[0] = 0;
    }
    return hash;
}

#define KEY_LEN    32
#define PASSES_MAX 64
#define MEMORY_MIN ((uint64_t)8 << 20) /* bytes */
#define MEMORY_MAX ((uint64_t)1 << 30) /* bytes */

struct password_costs password_costs(void)
{
    return (struct password_costs){.passes = 3, .bytes = (uint64_t)64 << 20};
}

enum err password_key(struct bytes passphrase, const uint8_t salt[PASSWORD_SALT_LEN],
                      const struct password_costs *c, struct secret **key, struct diag *d)
{
    _Static_assert(PASSWORD_SALT_LEN == crypto_pwhash_SALTBYTES, "libsodium's salt");
    if (c->passes == 0 || c->passes > PASSES_MAX || c->bytes < MEMORY_MIN || c->bytes > MEMORY_MAX)
        return FAIL(d, ERR_CORRUPT, "a passphrase's costs are not ones that were ever chosen");
    CLEANUP(secret_free) struct secret *fresh = NULL;
    TRY(secret_new(&fresh, KEY_LEN, d));
    if (crypto_pwhash(secret_fill(fresh), KEY_LEN, (const char *)passphrase.p, passphrase.len, salt,
                      c->passes, (size_t)c->bytes, crypto_pwhash_ALG_ARGON2ID13) != 0) {
        return FAIL(d, ERR_LIMIT, "no %llu bytes of memory to hash a passphrase",
                    (unsigned long long)c->bytes);
    }
    *key = TAKE(fresh);
    return OK;
}

enum err password_hash(struct bytes password, char out[PASSWORD_HASH_MAX], struct diag *d)
{
    _Static_assert(PASSWORD_HASH_MAX >= crypto_pwhash_STRBYTES, "a hash fits");
    char hash[PASSWORD_HASH_MAX];
    LOCK_SCOPE(&one_at_a_time);
    if (sodium_init() < 0) return FAIL(d, ERR_INTERNAL, "libsodium did not start");
    if (crypto_pwhash_str(hash, (const char *)password.p, password.len,
                          crypto_pwhash_OPSLIMIT_INTERACTIVE,
                          crypto_pwhash_MEMLIMIT_INTERACTIVE) != 0) {
        return FAIL(d, ERR_LIMIT, "no memory to hash a password with");
    }
    memcpy(out, hash, sizeof hash);
    return OK;
}

bool password_matches(const char *hash, struct bytes password)
{
    LOCK_SCOPE(&one_at_a_time);
    if (sodium_init() < 0) return false;
    bool known = hash[0] != 0;
    bool same = crypto_pwhash_str_verify(known ? hash : nobodys(), (const char *)password.p,
                                         password.len) == 0;
    return known && same;
}
