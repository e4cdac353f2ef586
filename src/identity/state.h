/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity/state.h - what identity knows: principals, role assignments, the signing key; inside
 * identity/ only
 *
 * Everything lies in the kvstore and, for reading, in memory. lock guards the maps and lists;
 * functions that take a struct identity take it themselves and hand out copies. Invariants:
 * README.md.
 */
#pragma once

#include "base/map.h"
#include "base/str.h"
#include "base/thread.h"
#include "crypto/hash.h"
#include "identity/identity.h"
#include "identity/role.h"
#include "kvstore/kvstore.h"
#include "net/jwt.h"

#define RESOURCE_ID_MAX 480 /* bytes, with the terminating zero */
#define NAME_MAX_BYTES  256
#define SECRET_LEN      32 /* bytes; the text has twice as many digits */

struct principal {
    char object_id[GUID_TEXT_MAX], client_id[GUID_TEXT_MAX];
    char name[NAME_MAX_BYTES];
    char resource[RESOURCE_ID_MAX]; /* of a managed identity; "" = an application with a secret */
    uint8_t salt[16], secret_hash[32];
};

struct assignment {
    char name[GUID_TEXT_MAX], principal_id[GUID_TEXT_MAX];
    char created_by[GUID_TEXT_MAX], updated_by[GUID_TEXT_MAX];
    char principal_type[32], description[1024];
    char scope[RESOURCE_ID_MAX]; /* canonical: arm_scope_canonical() */
    const struct role *role;
    int64_t created_us, updated_us;
};

struct identity {
    struct kvstore *store;
    char endpoint[200]; /* without a slash at the end */
    char tenant_id[GUID_TEXT_MAX], subscription_id[GUID_TEXT_MAX];
    char founder_object_id[GUID_TEXT_MAX], founder_client_id[GUID_TEXT_MAX];
    char platform_object_id[GUID_TEXT_MAX];

    struct rsa_key *signing_key; /* this and the next three never change after open */
    char kid[64];
    struct jwt_keys *keys;
    struct buf key_set; /* {"keys":[...]} */

    pthread_mutex_t
        lock; /* recursive: held around the founding transaction; before the store's own */
    struct map by_object, by_client, by_resource; /* to struct principal; keys lower case */
    struct map assignments;                       /* name to struct assignment */
};

/* --- principal.c --------------------------------------------------------------------------------
 */

enum err principals_load(struct identity *id, struct diag *d);
void principals_release(struct identity *id);

/* A new application; *secret gets 64 digits and a zero. Durable when it returns, unless in a
 * transaction. */
enum err principal_add_app(struct identity *id, const char *name, struct principal *out,
                           char secret[2 * SECRET_LEN + 1], struct diag *d);
/* The managed identity of a resource, made on first call. */
enum err principal_ensure_managed(struct identity *id, const char *resource, struct principal *out,
                                  struct diag *d);
enum err principal_delete_managed(struct identity *id, const char *resource, struct diag *d);

bool principal_by_object(struct identity *id, const char *object_id, struct principal *out);
bool principal_by_client(struct identity *id, const char *client_id, struct principal *out);
bool principal_secret_is(const struct principal *p, const char *secret); /* constant time */

/* --- assignment.c -------------------------------------------------------------------------------
 */

enum err assignments_load(struct identity *id, struct diag *d);
void assignments_release(struct identity *id);

/* ERR_CONFLICT tag "RoleAssignmentExists" (the same grant under another name) or
 * "RoleAssignmentUpdateNotPermitted" (another grant under this name). *created: it is new. */
enum err assignment_put(struct identity *id, const struct assignment *a, struct assignment *out,
                        bool *created, struct diag *d);
bool assignment_get(struct identity *id, const char *name, const char *scope,
                    struct assignment *out);
enum err assignment_delete(struct identity *id, const char *name, struct diag *d);

/* Copies; the array is the caller's to free(). */
enum err assignment_list(struct identity *id, struct assignment **out, size_t *out_n,
                         struct diag *d);

/* ERR_DENIED when no assignment at the scope or above allows the action. */
enum err rbac_authorize(struct identity *id, const char *object_id, const char *action,
                        bool is_data, const char *scope, struct diag *d);

/* --- scope.c ------------------------------------------------------------------------------------
 */

/* "/" or "/subscriptions/..." with the casing of ARM's own words. ERR_INVALID, ERR_LIMIT. */
enum err scope_canonical(const char *scope, char out[RESOURCE_ID_MAX], struct diag *d);
bool scope_covers(const char *above, const char *below); /* equal or above, without case */

/* --- row.c --------------------------------------------------------------------------------------
 */

void new_id(char out[GUID_TEXT_MAX]);
bool row_text(const json_t *row, const char *name, char *out,
              size_t size); /* false: absent or too long */
/* Writes one row; takes j, NULL is "out of memory". */
enum err row_put(struct identity *id, const char *table, const char *key, json_t *j,
                 struct diag *d);

/* --- token.c ------------------------------------------------------------------------------------
 */

enum token_kind { TOKEN_V1, TOKEN_V2, TOKEN_ADFS };
#define ISSUER_MAX   300
#define TOKEN_LIFE_S 3600

void token_issuer(const struct identity *id, enum token_kind kind, char out[ISSUER_MAX]);
enum err token_issue(struct identity *id, enum token_kind kind, const struct principal *p,
                     const char *audience, struct buf *out, int64_t *expires_us, struct diag *d);
/* A token of ours for one of the audiences: who it speaks for. */
enum err token_read(struct identity *id, const char *token, const char *const *audiences,
                    char object_id[GUID_TEXT_MAX], struct diag *d);
enum err signing_key_load(struct identity *id, struct diag *d);

/* --- HTTP ---------------------------------------------------------------------------------------
 */

/* Answers a request of the front door. */
void identity_http(struct identity *id, const struct http_request *req, struct http_response *res);

DEFINE_CLEANUP(identity_close, struct identity)
