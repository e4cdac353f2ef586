/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vault/vault.h - clients of key vaults: one key of one vault, seen from the one who may use it
 *
 * A key URI is https://HOST[:PORT]/keys/NAME[/VERSION], or pkcs11:token=LABEL;object=NAME[;id=%XX];
 * a version in it serves where a call names none. A provider is a struct of functions, found by the
 * URI's scheme with vault_find(). A handle serves any number of threads at once.
 *
 * What a failure means is the point of this module. Tags in diag:
 *
 *   ERR_DENIED, the customer is speaking
 *      AccessDenied ForbiddenByRbac KeyDisabled KeyNotFound    as the vault says
 *      OperationNotPermitted                                   the operation is not among the key's
 *      KeyExpired KeyNotYetValid                               wrap only; such a key still unwraps
 *      IdentityGone                                            from the token source: the principal is gone
 *   ERR_UNAVAILABLE, no verdict
 *      Timeout Network Throttled ServerError TokenRefused BadAnswer Redirect NoChallenge
 *      Firewall BadRequest NoSuchVault Ambiguous               VAULT_BARRED: locks whatever the outage
 *                                                              policy says
 *
 * vault_verdict() reads them for keyd's table.
 */
#pragma once

#include "crypto/secret.h"

struct http_client;
struct token;

struct vault_config {
    struct http_client *http; /* borrowed; knows the CA */
    const char *const *hosts; /* copied. Host suffixes a token may go to, "vault.localhost:8444";
                                 port 443 where none is named; NULL-terminated */
    /* A token for the resource. fresh: not one from a cache. expires_us: wall clock. ERR_DENIED tag
     * "IdentityGone" when the principal no longer exists; any other failure is no verdict. */
    enum err (*token)(void *ctx, const char *resource, bool fresh, struct buf *token,
                      int64_t *expires_us, struct diag *d);
    void *ctx;
    /* A token is asked for anew when it is older, so that a principal that was deleted is noticed;
     * 0 = used until it ends. */
    uint32_t token_age_max_s;
    struct token *hsm; /* borrowed; the one that pkcs11 URIs may name; NULL: none */
};

struct vault_call {
    int64_t deadline_us;     /* monotonic clock; 0 = 30 s from now */
    bool fresh;              /* on a new connection, with a new token: for probes in DOUBT */
    uint32_t *retry_after_s; /* set on 429 and 503 that name a number of seconds; may be NULL */
};

#define VAULT_KID_MAX     512 /* bytes, with the terminating zero */
#define VAULT_VERSION_MAX 64  /* bytes, with the terminating zero */

struct vault_key {
    char kid[VAULT_KID_MAX]; /* with its version */
    char version[VAULT_VERSION_MAX];
    char kty[16];              /* "RSA", "RSA-HSM", "oct", "oct-HSM" */
    bool can_wrap, can_unwrap; /* among key_ops */
    bool enabled;
    int64_t nbf, exp;        /* Unix seconds, 0 = none */
    char recovery_level[64]; /* "Recoverable+Purgeable" */
    struct buf n, e;         /* RSA: public key, big-endian */
};
void vault_key_release(struct vault_key *k);

struct vault_wrapped {
    char kid[VAULT_KID_MAX]; /* the version that was used */
    char version[VAULT_VERSION_MAX];
    struct buf blob;
};
void vault_wrapped_release(struct vault_wrapped *w);

struct vault_ops {
    const char *scheme; /* "https", "pkcs11" */

    /* Takes the URI apart; makes no network call. *self is freed by close.
     * ERR_INVALID  not an absolute https URI of a key, userinfo, an IP literal; or not RFC 7512's
     * ERR_DENIED   tag "HostNotAllowed": the host is under none of c->hosts; not the token c->hsm
     */
    enum err (*open)(void **self, const struct vault_config *c, const char *key_uri,
                     struct diag *d);
    void (*close)(void *self); /* NULL is fine */

    /* version "" is the latest, or the one of the URI. */
    enum err (*describe)(void *self, const struct vault_call *call, const char *version,
                         struct vault_key *out, struct diag *d);

    /* alg: vault_wrap_alg() of the key's type. */
    enum err (*wrap)(void *self, const struct vault_call *call, const char *version,
                     const char *alg, struct bytes plain, struct vault_wrapped *out,
                     struct diag *d);

    /* Unwraps under exactly the named version. Blocks until the deadline at most. */
    enum err (*unwrap)(void *self, const struct vault_call *call, const char *version,
                       const char *alg, struct bytes wrapped, struct secret **out, struct diag *d);
};

extern const struct vault_ops vault_azure, vault_pkcs11;

/* The provider of a vault's or a key's URI, by its scheme; NULL: there is none. */
const struct vault_ops *vault_find(const char *uri);
/* Of a vault's URI ("https://kv1.vault.localhost", "pkcs11:token=hsm") and a key's name: free(). */
char *vault_key_uri(const char *vault_uri, const char *name);
/* A kid of a provider: the key's URI without its version, free(), and the version. ERR_CORRUPT. */
enum err vault_kid_split(const char *kid, char **uri, char version[VAULT_VERSION_MAX],
                         struct diag *d);
/* "RSA-OAEP-256" for RSA keys, "A256KW" for symmetric ones, NULL for others. */
const char *vault_wrap_alg(const char *kty);

enum vault_verdict { VAULT_GOOD, VAULT_DENIED, VAULT_NO_ANSWER, VAULT_BARRED };
enum vault_verdict vault_verdict(enum err e, const struct diag *d);

#define CLEANUP_VAULT_KEY     __attribute__((cleanup(vault_key_release)))
#define CLEANUP_VAULT_WRAPPED __attribute__((cleanup(vault_wrapped_release)))
