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
#include "crypto/password.h"
#include "identity/identity.h"
#include "identity/role.h"
#include "kvstore/kvstore.h"
#include "net/jwt.h"

#define RESOURCE_ID_MAX 480 /* bytes, with the terminating zero */
#define NAME_MAX_BYTES  256
#define SECRET_LEN      32 /* bytes; the text has twice as many digits */

#define CREDENTIALS_MAX 6   /* of one principal */
#define GROUPS_MAX      32  /* that one principal is in */
#define JWK_MAX         960 /* bytes of a public key as JSON */

enum credential_kind { CREDENTIAL_SECRET, CREDENTIAL_CERTIFICATE };

struct credential {
    enum credential_kind kind;
    char id[GUID_TEXT_MAX];
    int64_t created_us, expires_us; /* 0 = never */
    uint8_t salt[16], hash[32];     /* of a secret */
    char x5t[32], x5t_sha256[48];   /* of a certificate: base64url, as a JWT's header has them */
    char jwk[JWK_MAX];              /* its public key */
};

enum principal_kind { PRINCIPAL_APP, PRINCIPAL_MANAGED, PRINCIPAL_PERSON, PRINCIPAL_GROUP };

struct principal {
    enum principal_kind kind;
    bool is_disabled;
    char object_id[GUID_TEXT_MAX];
    char client_id[GUID_TEXT_MAX];    /* "" for people and groups */
    char name[NAME_MAX_BYTES];        /* nobody else's, but for managed identities */
    char resource[RESOURCE_ID_MAX];   /* of a managed identity; else "" */
    char password[PASSWORD_HASH_MAX]; /* of a person; "" = none yet */
    int64_t created_us, password_us;  /* password_us: when it was set */
    unsigned n_credentials, n_groups;
    struct credential credentials[CREDENTIALS_MAX];
    char groups[GROUPS_MAX][GUID_TEXT_MAX]; /* object ids */
};

struct assignment {
    char name[GUID_TEXT_MAX], principal_id[GUID_TEXT_MAX];
    char created_by[GUID_TEXT_MAX], updated_by[GUID_TEXT_MAX];
    char principal_type[32], description[1024];
    char scope[RESOURCE_ID_MAX]; /* canonical: arm_scope_canonical() */
    char role_id[GUID_TEXT_MAX];
    int64_t created_us, updated_us;
};

#define SIGNERS_MAX 16

struct signer {
    struct rsa_key *key;
    char kid[64];
    int64_t created_us, until_us; /* until_us: its last token's end; 0 = it signs */
};

struct foreign;
struct people;
struct watch;

struct identity {
    struct kvstore *store;
    char endpoint[200]; /* without a slash at the end */
    char tenant_id[GUID_TEXT_MAX], subscription_id[GUID_TEXT_MAX];
    char founder_object_id[GUID_TEXT_MAX], founder_client_id[GUID_TEXT_MAX];
    char platform_object_id[GUID_TEXT_MAX];

    pthread_rwlock_t signer_lock;       /* over the next four; after lock, before the store's */
    struct signer signers[SIGNERS_MAX]; /* the first signs */
    unsigned n_signers;
    struct jwt_keys *keys;
    struct buf key_set; /* {"keys":[...]} */

    pthread_mutex_t
        lock; /* recursive: held around the founding transaction; before the store's own */
    struct map by_object, by_client, by_resource,
        by_name;             /* to struct principal; keys lower case */
    struct map assignments;  /* name to struct assignment */
    struct map roles;        /* id to struct custom_role */
    struct map visitors;     /* object id to struct visitor: foreign.c */
    struct foreign *foreign; /* NULL: no foreign issuer is configured */
    struct people *people;
    struct watch *watch;
};

/* --- principal.c ------------------------------------------------------------------------------ */

enum err principals_load(struct identity *id, struct diag *d);
void principals_release(struct identity *id);

/* Makes p as it is, with ids of its own where it is to have some. ERR_CONFLICT tag "NameExists";
 * ERR_LIMIT. Durable when it returns, unless in a transaction. */
enum err principal_add(struct identity *id, struct principal *p, struct diag *d);
/* Changes a copy through f, stores it and puts it in the place of the old one. *out may be NULL.
 * ERR_NOT_FOUND. */
typedef enum err principal_edit(struct principal *p, void *ctx, struct diag *d);
enum err principal_change(struct identity *id, const char *object_id, principal_edit *f, void *ctx,
                          struct principal *out, struct diag *d);
/* With its role assignments, in one transaction; a group leaves its members. */
enum err principal_remove(struct identity *id, const char *object_id, struct diag *d);
/* The managed identity of a resource, made on first call. */
enum err principal_ensure_managed(struct identity *id, const char *resource, struct principal *out,
                                  struct diag *d);
enum err principal_delete_managed(struct identity *id, const char *resource, struct diag *d);

bool principal_by_object(struct identity *id, const char *object_id, struct principal *out);
bool principal_by_client(struct identity *id, const char *client_id, struct principal *out);
bool principal_by_resource(struct identity *id, const char *resource, struct principal *out);
/* Of a userAssignedIdentities resource. */
bool principal_is_user_assigned(const struct principal *p);
/* By object id, client id or name. */
bool principal_find(struct identity *id, const char *word, struct principal *out);
/* All but managed identities unless asked for; sorted by name; free(). */
enum err principal_list(struct identity *id, bool with_managed, struct principal **out,
                        size_t *out_n, struct diag *d);
const char *principal_kind_name(enum principal_kind k); /* "app" */
bool principal_kind_parse(const char *name, enum principal_kind *out);

/* --- credential.c ----------------------------------------------------------------------------- */

#define CREDENTIAL_DAYS     365
#define CREDENTIAL_DAYS_MAX 3650

/* Adds a secret of 64 digits; dead credentials make room. expires_us 0 = never. */
enum err credential_add_secret(struct principal *p, int64_t expires_us,
                               char secret[2 * SECRET_LEN + 1], struct diag *d);
/* PEM or DER. ERR_INVALID, ERR_CONFLICT: it is there; expires_us is the certificate's end. */
enum err credential_add_certificate(struct principal *p, struct bytes text, struct diag *d);
/* No secret but the newest is good after then_us. */
void credential_retire_secrets(struct principal *p, int64_t then_us);
enum err credential_remove(struct principal *p, const char *id, struct diag *d);

enum secret_verdict { SECRET_WRONG, SECRET_EXPIRED, SECRET_GOOD };
enum secret_verdict credential_check_secret(const struct principal *p, const char *secret);
/* The keys that p may sign assertions with now. */
enum err credential_keys(const struct principal *p, struct jwt_keys **out, struct diag *d);

json_t *credential_row(const struct credential *c); /* as stored */
bool credential_read(const json_t *row, struct credential *out);
json_t *credential_json(const struct credential *c); /* as shown: nothing secret */

/* --- assignment.c ----------------------------------------------------------------------------- */

enum err assignments_load(struct identity *id, struct diag *d);
void assignments_release(struct identity *id);

/* ERR_CONFLICT tag "RoleAssignmentExists" (the same grant under another name) or
 * "RoleAssignmentUpdateNotPermitted" (another grant under this name). *created: it is new. */
enum err assignment_put(struct identity *id, const struct assignment *a, struct assignment *out,
                        bool *created, struct diag *d);
bool assignment_get(struct identity *id, const char *name, const char *scope,
                    struct assignment *out);
enum err assignment_delete(struct identity *id, const char *name, struct diag *d);

/* One page of a list: of those that are wanted the first ones behind a name. */
struct assignment_page {
    bool (*wanted)(const struct assignment *a, const void *ctx);
    const void *ctx;
    const char *after; /* in lower case, as names are kept; "" from the beginning */
    size_t max;
};
/* Copies, by name; the array is the caller's to free(). *more: others come behind the last. */
enum err assignment_list(struct identity *id, const struct assignment_page *page,
                         struct assignment **out, size_t *out_n, bool *more, struct diag *d);

/* Has anybody a right at the subscription itself, or is it the first one? */
bool subscription_is_open(struct identity *id, const char *subscription);
/* Makes the principal its owner, with the founder's rights on rows, unless it is open already. */
enum err subscription_open(struct identity *id, const char *subscription, const char *object_id,
                           struct diag *d);
bool assignment_uses_role(struct identity *id, const char *role_id);
/* Forgets those of a principal; they are deleted in the store too. Under the lock. */
enum err assignments_forget(struct identity *id, const char *principal_id, struct diag *d);

/* ERR_DENIED when no assignment at the scope or above allows the action to the principal or to a
 * group it is in, and when the principal is disabled. */
enum err rbac_authorize(struct identity *id, const char *object_id, const char *action,
                        bool is_data, const char *scope, struct diag *d);

/* The groups it is in, as ID_GROUPS answers them. ERR_DENIED tag "NoStanding": the principal is
 * disabled, or there is none. */
enum err rbac_groups(struct identity *id, const char *object_id, struct buf *out, struct diag *d);

/* --- scope.c ---------------------------------------------------------------------------------- */

/* "/" or "/subscriptions/..." with the casing of ARM's own words. ERR_INVALID, ERR_LIMIT. */
enum err scope_canonical(const char *scope, char out[RESOURCE_ID_MAX], struct diag *d);
bool scope_covers(const char *above, const char *below); /* equal or above, without case */

/* --- row.c ------------------------------------------------------------------------------------ */

void new_id(char out[GUID_TEXT_MAX]);
bool row_text(const json_t *row, const char *name, char *out,
              size_t size); /* false: absent or too long */
/* Writes one row; takes j, NULL is "out of memory". */
enum err row_put(struct identity *id, const char *table, const char *key, json_t *j,
                 struct diag *d);

/* --- role_custom.c ---------------------------------------------------------------------------- */

struct custom_role {
    struct role role;
    int64_t created_us, updated_us;
    char created_by[GUID_TEXT_MAX], updated_by[GUID_TEXT_MAX];
    const char *const *scopes; /* canonical, NULL-terminated */
    json_t *row;               /* holds the texts */
    const char **lists;
};

enum err roles_load(struct identity *id, struct diag *d);
void roles_release(struct identity *id);
/* Built in or custom; NULL. Under the lock, and valid under it. */
const struct role *role_known(struct identity *id, const char *role_id);
const struct custom_role *role_custom(struct identity *id, const char *role_id);
/* Checks the properties of a definition and builds it; the caller frees. ERR_INVALID with a tag.
 * Touches no store: the fuzz target's way in. */
enum err custom_role_read(const char *role_id, const json_t *properties, struct custom_role **out,
                          struct diag *d);
void custom_role_free(struct custom_role *r);
/* Takes r. ERR_CONFLICT tag "RoleDefinitionWithSameNameExists"; ERR_LIMIT. */
enum err role_put(struct identity *id, struct custom_role *r, bool *created, struct diag *d);
/* ERR_CONFLICT tag "RoleDefinitionHasAssignments". */
enum err role_remove(struct identity *id, const char *role_id, struct diag *d);

/* Tables whose rows carry "untilUs". */
#define TABLE_ASSERTION "assertion"
#define TABLE_REFRESH   "refresh"
enum err rows_tidy(struct identity *id, const char *table, int64_t now_us, struct diag *d);

/* --- token.c ---------------------------------------------------------------------------------- */

enum token_kind { TOKEN_V1, TOKEN_V2, TOKEN_ADFS };
#define ISSUER_MAX   300
#define TOKEN_LIFE_S 3600

struct token_wish {
    enum token_kind kind;
    const struct principal *principal;
    const char *audience;
    const char *client_id; /* through which a person speaks; NULL = the principal's own */
    const char *acr;       /* "0" public client, "1" secret, "2" certificate or managed */
};

void token_issuer(const struct identity *id, enum token_kind kind, char out[ISSUER_MAX]);
enum err token_issue(struct identity *id, const struct token_wish *w, struct buf *out,
                     int64_t *expires_us, struct diag *d);
/* Says to the client who signed in (OpenID Connect Core 2). nonce may be NULL. */
enum err token_issue_id(struct identity *id, const struct principal *p, const char *client_id,
                        const char *nonce, struct buf *out, struct diag *d);
/* A token of ours, or of a foreign issuer, for one of the audiences: who it speaks for. */
enum err token_read(struct identity *id, const char *token, const char *const *audiences,
                    char object_id[GUID_TEXT_MAX], struct diag *d);

/* --- signing.c -------------------------------------------------------------------------------- */

#define SIGNER_DAYS 30

enum err signers_load(struct identity *id, struct diag *d);
void signers_release(struct identity *id);
/* A new key signs from here on; the old one verifies until its last token has expired. ERR_LIMIT:
 * too many that still verify. */
enum err signers_rotate(struct identity *id, struct diag *d);
enum err signers_tidy(struct identity *id, int64_t now_us, struct diag *d); /* drops dead ones */
bool signers_are_due(struct identity *id, int64_t now_us);
int64_t signers_next_us(struct identity *id); /* when a key is due, or dead */
enum err signer_sign(struct identity *id, const json_t *claims, struct buf *out, struct diag *d);
enum err signer_verify(struct identity *id, const char *token, const struct jwt_expect *want,
                       json_t **claims, struct diag *d);
enum err signer_key_set(struct identity *id, json_t **out, struct diag *d);
json_t *signers_json(struct identity *id);

/* --- assertion.c ------------------------------------------------------------------------------ */

/* A signed assertion of p (RFC 7523) for one of the audiences, to be exchanged for a token for
 * `wanted`: each works once for each. ERR_DENIED with the tags of jwt_verify(), "Lifetime" or
 * "Replay". */
enum err assertion_check(struct identity *id, const struct principal *p, const char *assertion,
                         const char *const *audiences, const char *wanted, struct diag *d);

/* --- federation.c ----------------------------------------------------------------------------- */

/* An assertion of a foreign issuer in the place of the managed identity p: one of its federated
 * credentials names issuer, subject and audience. ERR_DENIED with the tags of jwt_verify(),
 * "NoRecord" or "Subject". */
enum err federation_check(struct identity *id, const struct principal *p, const char *assertion,
                          struct diag *d);
/* Removes those of p. Under the lock, in the transaction that removes p. */
enum err federation_forget(struct identity *id, const struct principal *p, struct diag *d);

/* --- foreign.c -------------------------------------------------------------------------------- */

#define VISITORS_MAX 10000

enum err foreign_open(struct identity *id, const char *file, struct diag *d); /* NULL: none */
void foreign_close(struct identity *id);
json_t *foreign_issuers(struct identity *id); /* whose tokens are shown to planes: their names */
bool foreign_knows(struct identity *id, const char *issuer);
/* A token of this issuer for one of the audiences and no other; its claims are the caller's. */
enum err foreign_exchange(struct identity *id, const char *issuer, const char *token,
                          const char *const *audiences, json_t **claims, struct diag *d);
/* A token of a foreign issuer: as token_read(). Remembers its groups for rbac_authorize(). */
enum err foreign_read(struct identity *id, const char *token, const char *const *audiences,
                      char object_id[GUID_TEXT_MAX], struct diag *d);
/* Groups of the last good token of that foreigner. Under the lock. */
struct visitor {
    int64_t until_us;
    unsigned n_groups;
    char groups[][GUID_TEXT_MAX];
};

/* --- people.c --------------------------------------------------------------------------------- */

enum err people_open(struct identity *id, struct diag *d);
void people_close(struct identity *id);
void people_tidy(struct identity *id, int64_t now_us);

/* --- watch.c ---------------------------------------------------------------------------------- */

enum err watch_start(struct identity *id, struct diag *d);
void watch_stop(struct identity *id);
void watch_wake(struct identity *id); /* keys have changed: it looks when the next is due */
/* Credentials that end within 30 days or have ended: [{name, objectId, kind, id, expiresUs}] */
json_t *watch_ending(struct identity *id, int64_t now_us);

/* --- HTTP ------------------------------------------------------------------------------------- */

/* Answers a request of the front door. */
void identity_http(struct identity *id, const struct http_request *req, struct http_response *res);

DEFINE_CLEANUP(identity_close, struct identity)
