/* SPDX-License-Identifier: Apache-2.0 */
/* keyvault/trust.h - opens the vault's store under its root of trust; inside keyvault/ only */
#pragma once

#include "keyvault/keyvault.h"
#include "kvstore/kvstore.h"

struct trust {
    enum keyvault_trust kind;
    const char *path; /* DIR/root.sealed */
    const char *passphrase_file;
    struct token *token;
};

/*
 * ERR_INVALID   the store's root of trust is of another kind, or an option is missing
 * ERR_DENIED    a wrong passphrase; tag KeyNotFound: the token's key is gone
 * ERR_CORRUPT   root.sealed or the store is damaged
 * and kvstore_open()'s
 */
enum err trust_open_store(const struct trust *t, const char *store, const char *key_file,
                          struct kvstore **out, struct diag *d);

/* Seals the root key anew, in one step: the old passphrase or key of the token opens nothing any
 * more (but copies of root.sealed that somebody kept). Both name the same path. ERR_CONFLICT: the
 * vault runs. Else as trust_open_store(). */
enum err trust_change(const struct trust *from, const struct trust *to, const char *store,
                      struct diag *d);
