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
