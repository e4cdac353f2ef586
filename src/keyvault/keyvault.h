/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keyvault/keyvault.h - the embedded vault service: vaults, keys, policies, and the REST API of
 * Azure Key Vault
 *
 * Answers on three kinds of host: NAME.SUFFIX is the data plane of one vault (wire/arm.md section
 * 19), NAME.HSM_SUFFIX that of one pool of a managed HSM, SUFFIX itself and any other host take ARM
 * paths of Microsoft.KeyVault (section 11), which the front door passes on. Keys never leave this
 * process. Everything that was answered is on disk: a sealed kvstore in dir, under its root of
 * trust, and a record of each request in dir/audit. Any number of threads may call the handler.
 * Invariants: README.md.
 */
#pragma once

#include "identity/identity_client.h"
#include "net/http_server.h"
#include "vault/token.h"

struct keyvault;

/* What the store's root key lies under: a file of its own beside it (root.key), or sealed beside it
 * (root.sealed) under a passphrase or a key of the token. Chosen at the first start, for good. */
enum keyvault_trust { TRUST_FILE, TRUST_PASSPHRASE, TRUST_TOKEN };
bool keyvault_trust_parse(const char *text, enum keyvault_trust *out); /* "file" ... */

struct keyvault_config {
    const char *dir;        /* DIR/vault; made if missing */
    const char *suffix;     /* "vault.localhost:8444": port unless 443 */
    const char *hsm_suffix; /* "managedhsm.localhost:8444": of pools */
    const char
        *endpoint; /* "https://localhost:8443": authority of challenges, an audience of ARM */
    const char *tenant_id;
    /* As identity_verify() and identity_authorize(): see keyvault_use_identity(). */
    enum err (*verify)(void *ctx, const char *token, const char *const *audiences,
                       struct caller *out, struct diag *d);
    enum err (*authorize)(void *ctx, const char *object_id, const char *action, bool is_data,
                          const char *scope, struct diag *d);
    /* As identity_groups(); NULL: nobody is in a group, and nobody is asked about. */
    enum err (*groups)(void *ctx, const char *object_id, char (**out)[GUID_TEXT_MAX], size_t *out_n,
                       struct diag *d);
    void *ctx;
    struct token *token; /* HSM kinds of keys are made in it; NULL: there are none. Borrowed */
    enum keyvault_trust trust;
    const char *passphrase_file; /* TRUST_PASSPHRASE: its first line */
    bool faults;                 /* /admin/faults is there: for rehearsals and tests */
    uint32_t requests_per_10s;   /* of one vault; more are answered 429. 0 = 4000, as documented */
    size_t audit_file_max;       /* bytes, after which another file is begun; 0 = 16 MiB */
};

/* Sets verify, authorize and ctx to ask identity. */
void keyvault_use_identity(struct keyvault_config *c, struct identity_client *identity);

/* Changes the passphrase, or between passphrase and token; of both only dir (the same), trust,
 * passphrase_file and token are read. ERR_CONFLICT: the vault runs. ERR_DENIED: the old passphrase is
 * another. */
enum err keyvault_rekey(const struct keyvault_config *from, const struct keyvault_config *to,
                        struct diag *d);

enum err keyvault_open(struct keyvault **out, const struct keyvault_config *c, struct diag *d);
void keyvault_close(struct keyvault *kv);
/* Lets go of requests that a fault holds: before the server that calls the handler is stopped. */
void keyvault_quit(struct keyvault *kv);

#define KEYVAULT_PLATFORM "keystead-platform" /* the vault of the platform's own key */
#define KEYVAULT_PMK      "pmk"

/* Every path of vaults and of their ARM resources. */
void keyvault_routes(http_route_visit *visit, void *ctx);

/* The platform's vault with its key (oct, 256 bits; in the token where there is one) and a policy
 * that lets this principal get, wrap and unwrap. There already: only the policy is brought up to
 * date. No ARM call reaches it. */
enum err keyvault_ensure_platform(struct keyvault *kv, const char *object_id, struct diag *d);

http_handler keyvault_handle; /* ctx: the struct keyvault */

DEFINE_CLEANUP(keyvault_close, struct keyvault)
