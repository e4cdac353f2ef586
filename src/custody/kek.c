/* SPDX-License-Identifier: Apache-2.0 */
/* custody/kek.c - what a vault's answer means */
#include "custody/kek.h"

#include "base/str.h"
#include "vault/vault.h"

enum key_event kek_verdict(enum err e, const struct diag *d)
{
    switch (vault_verdict(e, d)) {
    case VAULT_GOOD: return KEY_GOOD;
    case VAULT_DENIED: return KEY_DENIED;
    case VAULT_BARRED: return KEY_BARRED;
    case VAULT_NO_ANSWER: break;
    }
    return KEY_NO_ANSWER;
}

const char *kek_alarm(enum err e, const struct diag *d)
{
    if (e == ERR_CORRUPT) return "Mismatch";
    if (e != OK && str_eq(d->tag, "TokenRefused")) return d->tag;
    return vault_verdict(e, d) == VAULT_BARRED ? d->tag : NULL;
}

enum err kek_wraps(const struct kek_info *info, int64_t now_us, struct diag *d)
{
    if (!info->type_usable) {
        return FAIL_TAG(d, ERR_INVALID, "KeyType",
                        "the key must be RSA with 2048, 3072 or 4096 bits, or AES with 256, with "
                        "wrapKey and unwrapKey among its operations");
    }
    if (!info->enabled) return FAIL_TAG(d, ERR_INVALID, "KeyDisabled", "the key is disabled");
    if (info->expires_us != 0 && info->expires_us <= now_us) {
        return FAIL_TAG(d, ERR_INVALID, "KeyExpired", "the key has expired");
    }
    if (info->not_before_us > now_us) {
        return FAIL_TAG(d, ERR_INVALID, "KeyExpired", "the key is not valid yet");
    }
    return OK;
}

enum err kek_acceptable(const struct kek_info *info, int64_t now_us, struct diag *d)
{
    TRY(kek_wraps(info, now_us, d));
    if (!info->recoverable) {
        return FAIL_TAG(d, ERR_INVALID, "KeyNotRecoverable",
                        "the key's vault must have soft delete and purge protection");
    }
    return OK;
}
