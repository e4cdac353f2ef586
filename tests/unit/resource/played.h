/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/resource/played.h - custody and identity, played: for tests of the plane without its
 * other processes. Their functions come before the libraries' (CMakeLists.txt).
 */
#pragma once

#include "resource/plane.h"

static bool vault_denies;

enum err custody_kek_check(struct custody *c, const struct custody_kek *k,
                           struct custody_kek_found *out, struct diag *d)
{
    (void)c;
    (void)k;
    if (vault_denies) return FAIL_TAG(d, ERR_DENIED, "ForbiddenByRbac", "the vault says no");
    *out = (struct custody_kek_found){.rsa_bits = 2048};
    return OK;
}

enum err custody_scope_set(struct custody *c, const char *scope, const struct custody_kek *k,
                           uint64_t *wraps, struct diag *d)
{
    (void)c;
    (void)scope;
    (void)k;
    *wraps = 0;
    if (vault_denies) return FAIL_TAG(d, ERR_DENIED, "ForbiddenByRbac", "the vault says no");
    return OK;
}

enum err custody_scope_clear(struct custody *c, const char *scope, bool sealed, struct diag *d)
{
    (void)c;
    (void)scope;
    (void)sealed;
    (void)d;
    return OK;
}

enum err custody_scope_policy(struct custody *c, const char *scope, const struct key_policy *p,
                              const char *by, struct diag *d)
{
    (void)c;
    (void)scope;
    (void)p;
    (void)by;
    (void)d;
    return OK;
}

enum err custody_scope_unlock(struct custody *c, const char *scope, const char *by, struct diag *d)
{
    (void)c;
    (void)scope;
    (void)by;
    (void)d;
    return OK;
}

enum err custody_scope_state(struct custody *c, const char *scope, json_t **out, struct diag *d)
{
    (void)c;
    return FAIL(d, ERR_NOT_FOUND, "no state of %s%s", scope, out != NULL ? "" : "?");
}

enum err custody_scope_remove(struct custody *c, const char *scope, struct diag *d)
{
    (void)c;
    (void)scope;
    (void)d;
    return OK;
}

enum err custody_account_add(struct custody *c, const char *scope, const uint8_t account[16],
                             const char *workspace, struct diag *d)
{
    (void)c;
    (void)scope;
    (void)account;
    (void)workspace;
    (void)d;
    return OK;
}

/* What the plane may ask besides, and these requests never do. */
enum err custody_scope_rewrap(struct custody *c, const char *scope, const char *by, uint64_t *wraps,
                              struct diag *d)
{
    (void)c, (void)by, (void)wraps;
    return FAIL(d, ERR_UNSUPPORTED, "not played: rewrap of %s", scope);
}

enum err custody_aek_rotate(struct custody *c, const uint8_t account[16], const char *by,
                            uint32_t *generation, uint8_t aek_id[16], struct diag *d)
{
    (void)c, (void)account, (void)by, (void)generation, (void)aek_id;
    return FAIL(d, ERR_UNSUPPORTED, "not played: rotation of an account key");
}

enum err custody_aek_drop(struct custody *c, const uint8_t account[16], const uint8_t aek_id[16],
                          struct diag *d)
{
    (void)c, (void)account, (void)aek_id;
    return FAIL(d, ERR_UNSUPPORTED, "not played: end of an account key");
}

enum err custody_status(struct custody *c, json_t **out, struct diag *d)
{
    (void)c, (void)out;
    return FAIL(d, ERR_UNSUPPORTED, "not played: status");
}

enum key_state custody_account_state(struct custody *c, const uint8_t account[16])
{
    (void)c;
    (void)account;
    return KEY_ACTIVE;
}

enum err identity_authorize(struct identity_client *c, const char *object_id, const char *action,
                            bool is_data, const char *scope, struct diag *d)
{
    (void)c;
    (void)object_id;
    (void)action;
    (void)is_data;
    (void)scope;
    (void)d;
    return OK;
}

enum err identity_managed_ensure(struct identity_client *c, const char *arm_id,
                                 struct managed_identity *out, struct diag *d)
{
    (void)c;
    (void)arm_id;
    (void)d;
    *out = (struct managed_identity){"principal", "client", "tenant"};
    return OK;
}

enum err identity_managed_delete(struct identity_client *c, const char *arm_id, struct diag *d)
{
    (void)c;
    (void)arm_id;
    (void)d;
    return OK;
}
