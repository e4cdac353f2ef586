/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keyvault/service.h - what the files of the vault service share; inside keyvault/ only
 *
 * Documents are JSON, as ARM and the data plane show them, with what is only ours beside it. Tables
 * of the kvstore, all names in lower case:
 *
 *      vault     NAME              the ARM resource; "deleted": {"on", "purge"} while soft-deleted
 *      key       NAME/KEY          "name", "versions" (oldest first), "deleted"
 *      version   NAME/KEY/VERSION  "kty", "size", "crv", "key_ops", "enabled", "nbf", "exp", "tags",
 *                                  "created", "updated", and the public part "n", "e" or "x", "y"
 *      material  NAME/KEY/VERSION  PKCS#8, or the bytes of a symmetric key, or a reference into the
 *                                  token (hsm.c)
 *      rotation  NAME/KEY          the rotation policy, as it is shown, without its id
 *      secret    backup            the key under which backups are sealed
 *
 * A failure's tag is the code of an error of the API; errors.c knows its status. Times are in Unix
 * seconds.
 */
#pragma once

#include "base/time.h"
#include "crypto/sign.h"
#include "json/json.h"
#include "keyvault/audit_log.h"
#include "keyvault/keyvault.h"
#include "kvstore/kvstore.h"
#include "vault/token.h"

#define VAULT_NAME_MAX  29   /* bytes of a row's name, with the terminating zero: 24, and ".hsm" */
#define KEY_NAME_MAX    128  /* bytes, with the terminating zero */
#define KEY_VERSION_LEN 32   /* hex digits */
#define VERSIONS_MAX    1000 /* of one key */

struct keyvault {
    struct kvstore *store;
    char *suffix, *suffix_host;         /* without the port */
    char *hsm_suffix, *hsm_suffix_host; /* "" when there are no pools */
    char *endpoint, *tenant_id;
    char *resource, *hsm_resource; /* "https://" suffix */
    struct tidy *tidy;
    struct audit_log *audit;
    struct throttle *throttle;
    struct doc_cache *docs;
    struct loaded_keys *loaded;
    struct faults *faults;         /* NULL: started without them */
    struct keyvault_config config; /* callbacks */
};

/* One request of a verified caller. */
struct call {
    struct keyvault *kv;
    const struct http_request *req;
    struct http_response *res;
    struct caller who;
    json_t *body; /* NULL = none was sent */
    /* for the audit; NULL as long as it is not known */
    const char *operation, *vault_id, *object; /* "KeyGet", ARM path, "keys/NAME/VERSION" */
    const char *fault;                         /* the kind of fault that answered, if one did */
    bool pool;                                 /* at the host of a managed HSM */
    bool reads;                                /* a POST that changes nothing */
    bool wrong_key;                            /* by a fault: the result is another key's */
};

static inline int64_t now_s(void)
{
    return time_now_us() / US_PER_S;
}

/* --- errors.c --- */
void kv_reply_json(struct http_response *res, int status, const json_t *j);
/* An error in the shape of both planes; what is our own fault is logged and not shown. */
void kv_reply_error(struct http_response *res, enum err e, const struct diag *d);
/* Headers that Key Vault sends with every answer. */
void kv_reply_headers(const struct http_request *req, struct http_response *res);
/* Inline, so that analyzers see that it is not OK. */
static inline enum err kv_out_of_memory(struct diag *d)
{
    return FAIL(d, ERR_LIMIT, "out of memory");
}

/* --- audit.c --- */
/* Before the answer leaves. ERR_IO: there is no record, so there must be no answer either. */
enum err kv_audit_request(const struct call *c, const char *description, int64_t took_us,
                          struct diag *d);
/* What the clock did: "KeyRotateIfDue" with the object's path. failure NULL: it worked. */
void kv_audit_clock(struct keyvault *kv, const char *operation, const char *vault_id,
                    const char *object, const struct diag *failure);

/* --- throttle.c: the documented rates --- */
struct throttle;
/* requests per 10 s of one vault; of all vaults of a subscription five times that. */
enum err kv_throttle_new(struct throttle **out, uint32_t requests, struct diag *d);
void kv_throttle_free(struct throttle *t); /* NULL is fine */
/* ERR_LIMIT tag "Throttled", with Retry-After in the answer; such a request does not count. */
enum err kv_throttle_check(struct call *c, const json_t *vault, struct diag *d);
/* The same for a key of an HSM kind that is to be made in a vault (10 in 10 s) or used (half of all
 * requests: 2000). A pool's are free. */
enum err kv_throttle_hsm_create(struct call *c, const json_t *vault, struct diag *d);
enum err kv_throttle_hsm_use(struct call *c, const json_t *vault, struct diag *d);

/* --- network.c: networkAcls and publicNetworkAccess --- */
/* Takes them from a body into a vault's properties. ERR_INVALID names what is not enforced here. */
enum err kv_network_apply(json_t *properties, const json_t *in, struct diag *d);
/* May the caller's address reach this vault? ERR_DENIED tags ForbiddenByFirewall,
 * ForbiddenByConnection. */
enum err kv_network_check(const struct call *c, const json_t *vault, struct diag *d);

/* --- docs.c: JSON documents in the store --- */
/* *out is the caller's; NULL when there is none. */
enum err kv_doc_get(struct keyvault *kv, const char *table, const char *key, json_t **out,
                    struct diag *d);
/* The same for reading alone, outside of transactions: *out is shared, nobody changes it. */
enum err kv_doc_look(struct keyvault *kv, const char *table, const char *key, json_t **out,
                     struct diag *d);
typedef enum err doc_reader(struct keyvault *kv, const char *table, const char *key, json_t **out,
                            struct diag *d); /* one of the two */
struct doc_cache;
enum err kv_doc_cache_new(struct doc_cache **out, struct diag *d);
void kv_doc_cache_free(struct doc_cache *c); /* NULL is fine */
enum err kv_doc_put(struct keyvault *kv, const char *table, const char *key, const json_t *j,
                    struct diag *d);
/* Calls visit for each document whose key starts with prefix, in order of keys. */
typedef enum err doc_visit(void *ctx, const char *key, json_t *j, struct diag *d);
enum err kv_doc_each(struct keyvault *kv, const char *table, const char *prefix, doc_visit *visit,
                     void *ctx, struct diag *d);
/* Only those whose key comes behind `after` in the order of bytes. */
enum err kv_doc_each_after(struct keyvault *kv, const char *table, const char *prefix,
                           const char *after, doc_visit *visit, void *ctx, struct diag *d);
bool kv_is_word(const char *s, size_t min, size_t max); /* letters, digits and dashes */
void kv_copy_member(json_t *to, const json_t *from, const char *name); /* if it is there */

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
    PERM_SIGN,
    PERM_VERIFY,
    PERM_IMPORT,
    PERM_BACKUP,
    PERM_RESTORE,
    PERM_RELEASE,
    PERM_GET_ROTATION,
    PERM_SET_ROTATION,
    PERM_NONE, /* a good token is enough */
    PERMISSIONS
};
/* The caller, and the groups it is in now. Asked of identity each time: a token outlives its owner's
 * membership, and its owner. */
struct holder {
    const struct caller *who;
    bool stands; /* false: disabled or deleted */
    char (*groups)[GUID_TEXT_MAX];
    size_t n_groups;
};
enum err kv_holder_read(const struct call *c, struct holder *out, struct diag *d);
void kv_holder_release(struct holder *h);
#define CLEANUP_HOLDER __attribute__((cleanup(kv_holder_release)))
/* Is this the id of the caller, or of a group of his? */
bool kv_is_holder(const struct holder *h, const char *object_id);
/* May the caller do this in the vault? key NULL: on all keys. ERR_DENIED tags AccessDenied,
 * ForbiddenByRbac. */
enum err kv_policy_check(const struct call *c, const json_t *vault, const char *key,
                         enum permission p, struct diag *d);
/* The refusal that the caller would get who has no such permission. */
enum err kv_policy_refuse(const struct call *c, const json_t *vault, const char *key,
                          enum permission p, struct diag *d);
/* Is this an array of access policies? ERR_INVALID tag "BadRequest". */
enum err kv_policy_validate(const json_t *policies, struct diag *d);
/* The vault's policies after "add", "replace" or "remove" of these; a new array. ERR_INVALID:
 * another verb. */
enum err kv_policy_change(const json_t *old, const char *verb, const json_t *change, json_t **out,
                          struct diag *d);

/* --- roles.c: who may do what in a pool (its own roles, as Managed HSM has them) --- */
/* Paths under .../providers/Microsoft.Authorization; *done false: it is none of them. */
enum err kv_roles_handle(struct call *c, const json_t *pool, bool *done, struct diag *d);
void kv_roles_routes(http_route_visit *visit, void *ctx);
enum err kv_roles_check(const struct call *c, const json_t *pool, const char *key,
                        enum permission p, struct diag *d);
enum err kv_roles_remove_all(struct keyvault *kv, const char *row, struct diag *d);
/* The refusal of policy.c's form. */
enum err kv_roles_refuse(const struct call *c, const json_t *pool, const char *key,
                         const char *action, struct diag *d);
const char *kv_permission_action(enum permission p); /* "keys/read" */

/* --- vaults.c --- */
struct vault_id { /* of an ARM path */
    const char *subscription, *group, *name;
    bool pool; /* managedHSMs */
};
/* Its time to be purged has come: nobody sees it any more, and tidy.c will see to it. */
bool kv_is_due(const json_t *vault_or_key);
/* The vault of this row ("kv1", or "pool1.hsm"), soft-deleted ones included; *out NULL when there
 * is none. */
enum err kv_vault_find(struct keyvault *kv, const char *name, json_t **out, struct diag *d);
enum err kv_vault_look(struct keyvault *kv, const char *name, json_t **out,
                       struct diag *d);        /* for reading alone: kv_doc_look() */
bool kv_vault_is_deleted(const json_t *vault); /* false for NULL */
bool kv_vault_name_valid(const char *name);
/* The vault after a PUT (patch: a PATCH) of body; old NULL: a new one. Nothing is written. */
enum err kv_vault_apply(struct keyvault *kv, const struct vault_id *id, const json_t *body,
                        const json_t *old, bool patch, json_t **out, struct diag *d);
enum err kv_vault_save(struct keyvault *kv, const json_t *vault, struct diag *d);
/* Softly where it may be recovered; inside a transaction. */
enum err kv_vault_delete(struct keyvault *kv, json_t *vault, struct diag *d);
/* For good, with all keys; inside a transaction. */
enum err kv_vault_remove(struct keyvault *kv, const char *row, struct diag *d);
bool kv_vault_purge_protected(const json_t *vault);
int64_t kv_vault_retention_days(const json_t *vault);
const char *kv_vault_recovery_level(const json_t *vault);

/* A pool of a managed HSM: the same document with another type, in the row NAME.hsm. */
bool kv_vault_is_pool(const json_t *vault);
/* The name of the row: lower case. */
enum err kv_vault_row(const json_t *vault, char out[VAULT_NAME_MAX], struct diag *d);

/* --- hsm.c: keys that are made in a token and stay there --- */
#define HSM_REF_LEN 22 /* bytes of "material" */
struct key_kind;
bool kv_hsm_is_ref(struct bytes material);
struct token_name kv_hsm_name(struct bytes ref); /* borrows ref */
/* The public part goes into the document, the reference to *out. Outside of transactions. */
enum err kv_hsm_make(struct keyvault *kv, const struct key_kind *k, const char *label, json_t *doc,
                     struct secret **out, struct diag *d);
/* Inside the transaction that stores, or removes, the version. */
enum err kv_hsm_stored(struct keyvault *kv, struct bytes ref, struct diag *d);
enum err kv_hsm_removed(struct keyvault *kv, struct bytes ref, struct diag *d);
/* Destroys what the store does not name any more; *left: the token did not let it. starting: also
 * what was being made when the process ended. */
enum err kv_hsm_sweep(struct keyvault *kv, bool starting, bool *left, struct diag *d);
enum err kv_hsm_public_rsa(const json_t *doc, struct rsa_key **out, struct diag *d);
enum err kv_hsm_public_ec(const json_t *doc, enum ec_curve curve, struct ec_key **out,
                          struct diag *d);

/* --- keys.c: where keys lie, finding them, deletion and recovery --- */
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
void kv_key_version_release(struct key_version *v);
#define CLEANUP_KEY_VERSION __attribute__((cleanup(kv_key_version_release)))

struct place { /* names of rows */
    char key[VAULT_NAME_MAX + KEY_NAME_MAX];
    char version[VAULT_NAME_MAX + KEY_NAME_MAX + KEY_VERSION_LEN + 1];
};
void kv_place_key(const struct key_ref *r, struct place *p);
void kv_place_version(const struct key_ref *r, const char *version, struct place *p);

/* The key's document, deleted or not; NULL when there is none, or when it is only not yet swept
 * away. */
enum err kv_key_load(struct keyvault *kv, const struct key_ref *r, json_t **out, struct diag *d);
enum err kv_key_not_found(const struct key_ref *r, struct diag *d);
enum err kv_key_find(struct keyvault *kv, const struct key_ref *r, struct key_version *out,
                     struct diag *d);
/* The same for reading alone, outside of transactions: kv_doc_look(). */
enum err kv_key_look(struct keyvault *kv, const struct key_ref *r, struct key_version *out,
                     struct diag *d);
enum err kv_key_find_deleted(struct keyvault *kv, const struct key_ref *r, struct key_version *out,
                             struct diag *d);
/* The vault may have been deleted since the request found it: inside a transaction. */
enum err kv_vault_check_live(struct keyvault *kv, const struct key_ref *r, struct diag *d);
enum err kv_key_update(struct keyvault *kv, const struct key_ref *r, const json_t *body,
                       struct key_version *out, struct diag *d);
enum err kv_key_delete(struct keyvault *kv, const struct key_ref *r, struct key_version *out,
                       struct diag *d);
enum err kv_key_recover(struct keyvault *kv, const struct key_ref *r, struct key_version *out,
                        struct diag *d);
enum err kv_key_purge(struct keyvault *kv, const struct key_ref *r, struct diag *d);
/* For good; inside a transaction. */
enum err kv_key_remove(struct keyvault *kv, const struct key_ref *r, struct diag *d);
/* All rows of a table whose keys start with prefix. */
enum err kv_rows_remove(struct keyvault *kv, const char *table, const char *prefix, struct diag *d);
enum err kv_keys_remove_all(struct keyvault *kv, const char *vault_name, struct diag *d);

/* --- attributes.c: what a body says about a version --- */
enum err kv_attributes_apply(const json_t *body, json_t *doc, struct diag *d);
enum err kv_tags_apply(const json_t *body, json_t *doc, struct diag *d);

/* --- material.c: the kinds of keys, made and imported --- */
struct key_kind {
    const char *kty; /* "RSA", "EC", "oct" */
    bool hsm;        /* "RSA-HSM", "EC-HSM", "oct-HSM": in the token */
    const char *crv; /* "P-256"; NULL for other than EC */
    enum ec_curve curve;
    int64_t size; /* bits */
};
/* What "kty", "key_size" and "crv" of a body ask for. ERR_INVALID names what is not served. */
enum err kv_kind_read(const json_t *body, struct key_kind *out, struct diag *d);
/* Is there an HSM for it, and does this vault or pool take it? ERR_INVALID tag "BadParameter". */
enum err kv_kind_allowed(const struct keyvault *kv, const json_t *vault, const struct key_kind *k,
                         struct diag *d);
enum err kv_kind_of(const json_t *doc, struct key_kind *out, struct diag *d); /* of a version */
/* Make or import: the secret part (of an HSM's key the reference) goes to *out, the public one into
 * the document. label: what a token calls it. */
enum err kv_material_make(struct keyvault *kv, const struct key_kind *k, const char *label,
                          json_t *doc, struct secret **out, struct diag *d);
enum err kv_material_import(const json_t *jwk, struct key_kind *kind, json_t *doc,
                            struct secret **out, struct diag *d);
enum err kv_doc_new(const struct key_kind *k, json_t **out, struct diag *d);

/* --- make.c: new keys and new versions --- */
struct fresh { /* a version that is not in the store yet */
    char version[KEY_VERSION_LEN + 1];
    json_t *doc;
    struct secret *material;
};
void kv_fresh_release(struct fresh *f);
#define CLEANUP_FRESH __attribute__((cleanup(kv_fresh_release)))
/* Writes the version, its material and its key. Inside a transaction. */
enum err kv_fresh_write(struct keyvault *kv, const struct key_ref *r, const struct fresh *f,
                        json_t *key, struct diag *d);
/* A version as the latest one was made, with its ops and tags. */
enum err kv_fresh_like(struct keyvault *kv, const struct key_ref *r, const struct key_version *old,
                       struct fresh *f, struct diag *d);
/* A document for a key of this name. ERR_CONFLICT: it is deleted but recoverable. *out NULL: none.
 */
enum err kv_key_for_write(struct keyvault *kv, const struct key_ref *r, json_t **out,
                          struct diag *d);
enum err kv_key_check_name(const struct key_ref *r, struct diag *d);
enum err kv_key_create(struct keyvault *kv, const struct key_ref *r, const json_t *body,
                       struct key_version *out, struct diag *d);
enum err kv_key_import(struct keyvault *kv, const struct key_ref *r, const json_t *body,
                       struct key_version *out, struct diag *d);
/* Also under the key's rotation policy: it may give the new version an end. */
enum err kv_key_rotate(struct keyvault *kv, const struct key_ref *r, struct key_version *out,
                       struct diag *d);

/* --- rotation.c: rotation policies --- */
/* The policy as it is shown; a default where none was set. */
enum err kv_rotation_get(struct keyvault *kv, const struct key_ref *r, json_t **out,
                         struct diag *d);
enum err kv_rotation_set(struct keyvault *kv, const struct key_ref *r, const json_t *body,
                         json_t **out, struct diag *d);
/* Gives a new version the end that the policy says; policy may be NULL. */
enum err kv_rotation_stamp(const json_t *policy, json_t *doc, struct diag *d);
enum err kv_rotation_load(struct keyvault *kv, const struct key_ref *r, json_t **out,
                          struct diag *d); /* *out NULL: none was set */
/* Something about this key has changed: the clock may have to wake earlier. */
void kv_rotation_changed(struct keyvault *kv, const struct key_ref *r);
/* Rotates every key whose policy says so now; *next as in kv_tidy_once(). */
enum err kv_rotation_sweep(struct keyvault *kv, int64_t *next, struct diag *d);

/* --- backup.c --- */
/* A key with all its versions and its policy, sealed for this vault service only; base64url. */
enum err kv_backup(struct keyvault *kv, const struct key_ref *r, struct buf *out, struct diag *d);
enum err kv_restore(struct keyvault *kv, const struct key_ref *r, const char *blob,
                    struct key_version *out, struct diag *d);

/* --- loaded.c: RSA keys in OpenSSL's form --- */
struct loaded_keys;
struct loaded_key;
enum err kv_loaded_new(struct loaded_keys **out, struct diag *d);
void kv_loaded_free(struct loaded_keys *l);                       /* NULL is fine */
void kv_loaded_forget(struct loaded_keys *l, const char *prefix); /* of the names of rows */
/* The key of this row of "material"; the caller gives it back with kv_loaded_put(). */
enum err kv_loaded_get(struct keyvault *kv, const char *place, struct loaded_key **out,
                       struct diag *d);
const struct rsa_key *kv_loaded_rsa(const struct loaded_key *k);
void kv_loaded_put(struct keyvault *kv, struct loaded_key *k); /* NULL is fine */

/* --- algorithms.c --- */
struct crypt { /* one operation; all but the results are borrowed */
    enum permission op;
    struct key_kind kind;
    const struct rsa_key *rsa;      /* of an RSA key; of an HSM's the public half */
    const struct ec_key *ec_public; /* of an HSM's EC key */
    struct bytes material;          /* of others, and of all of an HSM */
    struct token *token;            /* of an HSM's key */
    struct bytes value;             /* sign, verify: the digest */
    struct bytes signature, iv, aad, tag;
    struct buf result, out_iv, out_tag;
    bool verdict; /* verify */
};
void kv_crypt_release(struct crypt *c);
#define CLEANUP_CRYPT __attribute__((cleanup(kv_crypt_release)))
/* ERR_INVALID tag "BadParameter": no such algorithm for this key and operation, or bad values. */
enum err kv_crypt_run(const char *alg, struct crypt *c, struct diag *d);

/* --- keyops.c --- */
/* Runs an operation on a version under the rules of its attributes and writes the answer. */
enum err kv_key_operate(struct call *c, const struct key_version *v, const struct key_ref *r,
                        enum permission op, const char *kid, struct diag *d);

/* --- shapes.c: how keys are shown --- */
/* https://HOST AS ADDRESSED/COLLECTION/NAME[/VERSION]; free() */
char *kv_key_url(const struct call *c, const char *collection, const char *name,
                 const char *version);
/* The same where there is no request: for the audit of what the clock did. */
char *kv_object_url(const struct keyvault *kv, const struct key_ref *r, const char *version);
const char *kv_shown_name(const struct key_version *v);
json_t *kv_show_bundle(const struct call *c, const struct key_ref *r, const struct key_version *v);
json_t *kv_show_item(const struct call *c, const struct key_ref *r, const struct key_version *v,
                     const char *version);

/* --- lists.c --- */
enum err kv_list_keys(struct call *c, const struct key_ref *r, bool deleted, struct diag *d);
enum err kv_list_versions(struct call *c, const struct key_ref *r, struct diag *d);
/* Where a page goes on: a name of a row in base64url, as $skiptoken carries it. No query parameter
 * of that name: "". False: it is none of ours. */
bool kv_skip_read(const struct http_request *req, char *out, size_t size);

/* --- faults.c: failures on demand --- */
struct faults;
enum err kv_faults_new(struct faults **out, struct diag *d);
void kv_faults_free(struct faults *f); /* NULL is fine */
void kv_faults_quit(struct faults *f); /* what hangs is let go, now and from here on */
/* May play a fault on a request of this operation: fails as it says, or *done with an answer in
 * place.
 */
enum err kv_faults_play(struct call *c, const struct key_ref *r, enum permission p, bool *done,
                        struct diag *d);
enum err kv_faults_admin(struct call *c, struct diag *d); /* /admin/faults */

/* --- tidy.c: purges and rotates what is due, on a timer --- */
struct tidy;
enum err kv_tidy_start(struct tidy **out, struct keyvault *kv, struct diag *d);
void kv_tidy_stop(struct tidy *t); /* NULL is fine */
/* Something is due at this time: the thread may have to wake earlier. */
void kv_tidy_at(struct tidy *t, int64_t due_s);
/* Does all that is due; *next is when something is due again, INT64_MAX if never. Unix seconds. */
enum err kv_tidy_once(struct keyvault *kv, int64_t *next, struct diag *d);

/* --- rest.c, arm.c: routing --- */
/* ERR_DENIED tag "AuthorizationFailed". */
enum err kv_arm_may(const struct call *c, const char *action, const char *scope, struct diag *d);
enum err kv_rest_handle(struct call *c, json_t *vault, struct diag *d);
/* N of an api-version 7.N; of one that is a date a great number; -1: it is none. */
int kv_version_minor(const struct http_request *req);
void kv_rest_routes(http_route_visit *visit, void *ctx);
void kv_arm_routes(http_route_visit *visit, void *ctx);
enum err kv_arm_handle_vaults(struct call *c, struct diag *d);
/* Splits a path at its slashes; at most max segments, empty ones are left out. max + 1 when there
 * are more. */
size_t kv_split_path(struct arena *a, const char *path, const char **out, size_t max);
/* Without case; each "*" of the pattern stands for one segment, which goes to args in order. */
bool kv_path_matches(const char *pattern, const char *const *segments, size_t n, const char **args);
