/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keyvault/service.h - what the files of the vault service share; inside keyvault/ only
 *
 * Documents are JSON, as ARM and the data plane show them, with what is only ours beside it. Tables
 * of the kvstore, all names in lower case:
 *
 *      vault     NAME               ARM resource; "deleted": {"on", "purge"} while soft-deleted
 *      key       NAME/KEY           "name", "versions" (oldest first), "deleted"
 *      version   NAME/KEY/VERSION   "kty", "key_ops", "enabled", "nbf", "exp", "created",
 * "updated", "tags", and the public part "n", "e" material  NAME/KEY/VERSION   PKCS#8, or the bytes
 * of a symmetric key
 *
 * A failure's tag is the code of an error of the API; errors.c knows its status. Times are Unix
 * seconds.
 */
#pragma once

#include "base/time.h"
#include "crypto/keywrap.h"
#include "json/json.h"
#include "keyvault/keyvault.h"
#include "kvstore/kvstore.h"

#define VAULT_NAME_MAX  25   /* bytes, with the terminating zero */
#define KEY_NAME_MAX    128  /* bytes, with the terminating zero */
#define KEY_VERSION_LEN 32   /* hex digits */
#define VERSIONS_MAX    1000 /* of one key */

struct keyvault {
    struct kvstore *store;
    char *suffix, *suffix_host; /* without the port */
    char *endpoint, *tenant_id;
    char *resource; /* "https://" suffix */
    struct tidy *tidy;
    struct keyvault_config config; /* callbacks */
};

/* One request of a verified caller. */
struct call {
    struct keyvault *kv;
    const struct http_request *req;
    struct http_response *res;
    struct caller who;
    json_t *body; /* NULL = none was sent */
};

static inline int64_t now_s(void)
{
    return time_now_us() / US_PER_S;
}

/* --- errors.c --- */
void reply_json(struct http_response *res, int status, const json_t *j);
/* An error in the shape of both planes; what is our own fault is logged and not shown. */
void reply_error(struct http_response *res, enum err e, const struct diag *d);
/* Headers that Key Vault sends with every answer. */
void reply_headers(const struct http_request *req, struct http_response *res);
enum err out_of_memory(struct diag *d);

/* --- docs.c: JSON documents in the store --- */
/* *out is the caller's; NULL when there is none. */
enum err doc_get(struct keyvault *kv, const char *table, const char *key, json_t **out,
                 struct diag *d);
enum err doc_put(struct keyvault *kv, const char *table, const char *key, const json_t *j,
                 struct diag *d);
/* Calls visit for each document whose key starts with prefix, in order of keys. */
typedef enum err doc_visit(void *ctx, const char *key, json_t *j, struct diag *d);
enum err doc_each(struct keyvault *kv, const char *table, const char *prefix, doc_visit *visit,
                  void *ctx, struct diag *d);
bool is_word(const char *s, size_t min, size_t max); /* letters, digits and dashes */

/* --- policy.c --- */
enum permission {
    PERM_GET,
    PERM_LIST,
    PERM_CREATE,
    PERM_UPDATE,
    PERM_ROTATE,
    PERM_DELETE,
    PERM_RECOVER,
    PERM_PURGE,
    PERM_WRAP,
    PERM_UNWRAP,
    PERM_ENCRYPT,
    PERM_DECRYPT,
    PERMISSIONS
};
/* May the caller do this in the vault? key NULL: on all keys. ERR_DENIED tags AccessDenied,
 * ForbiddenByRbac. */
enum err policy_check(const struct call *c, const json_t *vault, const char *key, enum permission p,
                      struct diag *d);
/* Is this an array of access policies? ERR_INVALID tag "BadRequest". */
enum err policy_validate(const json_t *policies, struct diag *d);
/* The vault's policies after "add", "replace" or "remove" of these; a new array. ERR_INVALID:
 * another verb. */
enum err policy_change(const json_t *old, const char *verb, const json_t *change, json_t **out,
                       struct diag *d);

/* --- vaults.c --- */
struct vault_id { /* of an ARM path */
    const char *subscription, *group, *name;
};
/* Its time to be purged has come: nobody sees it any more, and tidy.c will see to it. */
bool is_due(const json_t *vault_or_key);
/* The vault, soft-deleted ones included; *out NULL when there is none. */
enum err vault_find(struct keyvault *kv, const char *name, json_t **out, struct diag *d);
bool vault_is_deleted(const json_t *vault); /* false for NULL */
bool vault_name_valid(const char *name);
/* The vault after a PUT (patch: a PATCH) of body; old NULL: a new one. Nothing is written. */
enum err vault_apply(struct keyvault *kv, const struct vault_id *id, const json_t *body,
                     const json_t *old, bool patch, json_t **out, struct diag *d);
enum err vault_save(struct keyvault *kv, const json_t *vault, struct diag *d);
/* Softly where it may be recovered; inside a transaction. */
enum err vault_delete(struct keyvault *kv, json_t *vault, struct diag *d);
/* For good, with all keys; inside a transaction. */
enum err vault_remove(struct keyvault *kv, const char *name, struct diag *d);
bool vault_soft_deletes(const json_t *vault);
bool vault_purge_protected(const json_t *vault);
int64_t vault_retention_days(const json_t *vault);
const char *vault_recovery_level(const json_t *vault);

/* --- keys.c --- */
struct key_ref {
    const json_t *vault;
    const char *vault_name; /* lower case */
    const char *name;       /* as sent */
    const char *version;    /* "" = the latest */
};
struct key_version { /* a key with one of its versions */
    json_t *key, *doc;
    char version[KEY_VERSION_LEN + 1];
};
void key_version_release(struct key_version *v);
#define CLEANUP_KEY_VERSION __attribute__((cleanup(key_version_release)))

enum err key_find(struct keyvault *kv, const struct key_ref *r, struct key_version *out,
                  struct diag *d);
enum err key_find_deleted(struct keyvault *kv, const struct key_ref *r, struct key_version *out,
                          struct diag *d);
/* A new key, or a new version of one. body: "kty", "key_size", "key_ops", "attributes", "tags". */
enum err key_create(struct keyvault *kv, const struct key_ref *r, const json_t *body,
                    struct key_version *out, struct diag *d);
enum err key_rotate(struct keyvault *kv, const struct key_ref *r, struct key_version *out,
                    struct diag *d);
enum err key_update(struct keyvault *kv, const struct key_ref *r, const json_t *body,
                    struct key_version *out, struct diag *d);
enum err key_delete(struct keyvault *kv, const struct key_ref *r, struct key_version *out,
                    struct diag *d);
enum err key_recover(struct keyvault *kv, const struct key_ref *r, struct key_version *out,
                     struct diag *d);
enum err key_purge(struct keyvault *kv, const struct key_ref *r, struct diag *d);
/* For good; inside a transaction. */
enum err key_remove(struct keyvault *kv, const struct key_ref *r, struct diag *d);
enum err keys_remove_all(struct keyvault *kv, const char *vault_name, struct diag *d);

/* --- keyops.c --- */
/* Runs "wrapkey", "unwrapkey", "encrypt" or "decrypt" with body {"alg","value"}; the result is
 * appended. */
enum err key_operate(struct keyvault *kv, const struct key_version *v, const struct key_ref *r,
                     enum permission op, const json_t *body, struct buf *out, struct diag *d);

/* --- tidy.c: purges what is due, on a timer --- */
struct tidy;
enum err tidy_start(struct tidy **out, struct keyvault *kv, struct diag *d);
void tidy_stop(struct tidy *t); /* NULL is fine */
void tidy_wake(struct tidy *t); /* something was deleted: there may be an earlier time to wake at */
/* Purges all that is due; *next is when something is due again, INT64_MAX if never. Unix seconds.
 */
enum err tidy_once(struct keyvault *kv, int64_t *next, struct diag *d);

/* --- rest.c, arm.c: routing --- */
enum err rest_handle(struct call *c, json_t *vault, struct diag *d);
enum err arm_handle_vaults(struct call *c, struct diag *d);
/* Splits a path at its slashes; at most max segments, empty ones are left out. max + 1 when there
 * are more. */
size_t split_path(struct arena *a, const char *path, const char **out, size_t max);
/* Without case; each "*" of the pattern stands for one segment, which goes to args in order. */
bool path_matches(const char *pattern, const char *const *segments, size_t n, const char **args);
