/* SPDX-License-Identifier: Apache-2.0 */
/* keyvault/identity_auth.c - the vault's questions about callers, answered by identity */
#include "keyvault/keyvault.h"

static enum err verify(void *ctx, const char *token, const char *const *audiences,
                       struct caller *out, struct diag *d)
{
    return identity_verify(ctx, token, audiences, out, d);
}

static enum err authorize(void *ctx, const char *object_id, const char *action, bool is_data,
                          const char *scope, struct diag *d)
{
    return identity_authorize(ctx, object_id, action, is_data, scope, d);
}

static enum err groups(void *ctx, const char *object_id, char (**out)[GUID_TEXT_MAX], size_t *out_n,
                       struct diag *d)
{
    return identity_groups(ctx, object_id, out, out_n, d);
}

void keyvault_use_identity(struct keyvault_config *c, struct identity_client *identity)
{
    c->verify = verify;
    c->authorize = authorize;
    c->groups = groups;
    c->ctx = identity;
}
