/* SPDX-License-Identifier: Apache-2.0 */
/* vault/vault.c - the list of providers, and what their failures mean */
#include "vault/vault.h"

#include "base/str.h"

#include <stdio.h>

static const struct vault_ops *const providers[] = {&vault_azure, &vault_pkcs11};

const struct vault_ops *vault_find(const char *uri)
{
    for (size_t i = 0; i < sizeof providers / sizeof providers[0]; i++) {
        size_t n = strlen(providers[i]->scheme);
        if (str_starts_nocase(uri, providers[i]->scheme) && uri[n] == ':') return providers[i];
    }
    return NULL;
}

char *vault_key_uri(const char *vault_uri, const char *name)
{
    CLEANUP_BUF struct buf b = {0};
    size_t n = strlen(vault_uri);
    while (n != 0 && vault_uri[n - 1] == '/')
        n--;
    bool pkcs11 = vault_find(vault_uri) == &vault_pkcs11;
    buf_bytes(&b, bytes_of(vault_uri, n));
    buf_str(&b, pkcs11 ? ";object=" : "/keys/");
    if (pkcs11) {
        percent_encode(&b, bytes_str(name));
    } else {
        buf_str(&b, name);
    }
    return b.bad ? NULL : str_dup(buf_cstr(&b));
}

static enum err split_at(const char *kid, const char *at, const char *version, char **uri,
                         char out[VAULT_VERSION_MAX], struct diag *d)
{
    if (at == NULL || strlen(version) >= VAULT_VERSION_MAX)
        return FAIL(d, ERR_CORRUPT, "the wrap names no key version");
    *uri = str_fmt("%.*s", (int)(at - kid), kid);
    if (*uri == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    snprintf(out, VAULT_VERSION_MAX, "%s", version);
    return OK;
}

enum err vault_kid_split(const char *kid, char **uri, char version[VAULT_VERSION_MAX],
                         struct diag *d)
{
    if (vault_find(kid) != &vault_pkcs11) {
        const char *slash = strrchr(kid, '/');
        return split_at(kid, slash, slash != NULL ? slash + 1 : "", uri, version, d);
    }
    CLEANUP_BUF struct buf id = {0};
    char hex[VAULT_VERSION_MAX] = "";
    const char *at = strstr(kid, ";id=");
    if (at != NULL) TRY(percent_decode(&id, bytes_str(at + strlen(";id=")), false, d));
    if (id.len == 0 || id.len > (sizeof hex - 1) / 2) at = NULL;
    if (at != NULL) hex_encode(buf_view(&id), hex);
    return split_at(kid, at, hex, uri, version, d);
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
