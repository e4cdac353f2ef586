/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity/identity_client.h - what the other processes ask of identity, over their channel to it
 *
 * All calls block up to 10 s; ERR_UNAVAILABLE when identity is away. Tokens are verified locally
 * against the cached key set.
 */
#pragma once

#include "base/chan.h"
#include "base/str.h"
#include "net/http_server.h"
#include "net/jwt.h"

struct identity_client;

/* Does not own the channel. */
enum err identity_client_new(struct identity_client **out, struct chan *c, struct diag *d);
void identity_client_free(struct identity_client *c);

struct caller { /* who a verified token speaks for */
    char object_id[37], tenant_id[37], app_id[37];
    char issuer[256];
    char upn[256]; /* of a person; "" */
};

/* Verifies signature, issuer, audience (any of the list), expiry. Fetches the key set when it has
 * none or the kid is new (not often: invented ones must not become traffic). A token of a foreign
 * issuer is shown to identity, which knows its keys. ERR_DENIED with the tags of jwt_verify(). */
enum err identity_verify(struct identity_client *c, const char *token, const char *const *audiences,
                         struct caller *out, struct diag *d);

/* May this principal do the action ("Microsoft.OperationalInsights/clusters/write") at the ARM
 * scope? Data actions ("Microsoft.KeyVault/vaults/keys/wrap/action",
 * "Microsoft.Insights/Telemetry/Write") with is_data. ERR_DENIED if not. */
enum err identity_authorize(struct identity_client *c, const char *object_id, const char *action,
                            bool is_data, const char *scope, struct diag *d);

struct managed_identity {
    char principal_id[37], client_id[37], tenant_id[37];
};
/* The groups that the principal is in, object ids: its own row's, or those that a foreign token
 * named. *out is an array, to be freed. ERR_DENIED tag "NoStanding": it is disabled, deleted or
 * unknown, whatever tokens it still has. */
enum err identity_groups(struct identity_client *c, const char *object_id,
                         char (**out)[GUID_TEXT_MAX], size_t *out_n, struct diag *d);

/* The system-assigned identity of a resource: made on first call, the same afterwards. */
enum err identity_managed_ensure(struct identity_client *c, const char *arm_id,
                                 struct managed_identity *out, struct diag *d);
enum err identity_managed_delete(struct identity_client *c, const char *arm_id, struct diag *d);

/* Makes the principal the owner of a further subscription (a GUID), unless somebody has a right there
 * already: again is fine. */
enum err identity_subscription_open(struct identity_client *c, const char *subscription,
                                    const char *object_id, struct diag *d);

/* A token for a managed identity (by principal id): keyd's channel only. ERR_DENIED tag
 * "IdentityGone" when the principal does not exist (any more): that is the customer speaking.
 * Caches nothing. */
enum err identity_token(struct identity_client *c, const char *principal_id, const char *resource,
                        struct buf *token, int64_t *expires_us, struct diag *d);

/* Secrets and certificates that end within 30 days or have ended: a JSON array of
 * {name, objectId, kind, id, expiresUs}. */
enum err identity_ending(struct identity_client *c, json_t **out, struct diag *d);

/* Passes an HTTP request of the front door on: token, discovery and JWKS endpoints, role
 * assignments and role definitions (ARM), instance discovery. */
enum err identity_forward(struct identity_client *c, const struct http_request *req,
                          struct http_response *res, struct diag *d);
bool identity_owns_path(const char *path); /* true: forward it */
