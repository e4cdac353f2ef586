/* SPDX-License-Identifier: Apache-2.0 */
/* vault/vault.c - the list of providers, and what their failures mean */
#include "vault/vault.h"

#include "base/str.h"

static const struct vault_ops *const providers[] = {&vault_azure};

const struct vault_ops *vault_find(const char *scheme)
{
    for (size_t i = 0; i < sizeof providers / sizeof providers[0]; i++) {
        if (str_eq(providers[i]->scheme, scheme)) return providers[i];
    }
    return NULL;
}

const char *vault_wrap_alg(const char *kty)
{
    if (str_eq(kty, "RSA") || str_eq(kty, "RSA-HSM")) return "RSA-OAEP-256";
    if (str_eq(kty, "oct") || str_eq(kty, "oct-HSM")) return "A256KW";
    return NULL;
}

enum vault_verdict vault_verdict(enum err e, const struct diag *d)
{
    static const char *const barred[] = {"Firewall", "BadRequest", "NoSuchVault", "Ambiguous",
                                         "HostNotAllowed"};
    if (e == OK) return VAULT_GOOD;
    for (size_t i = 0; i < sizeof barred / sizeof barred[0]; i++) {
        if (str_eq(d->tag, barred[i])) return VAULT_BARRED;
    }
    return e == ERR_DENIED ? VAULT_DENIED : VAULT_NO_ANSWER;
}

void vault_key_release(struct vault_key *k)
{
    buf_release(&k->n);
    buf_release(&k->e);
}

void vault_wrapped_release(struct vault_wrapped *w)
{
    buf_release(&w->blob);
}
