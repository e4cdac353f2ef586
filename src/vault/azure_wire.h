/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vault/azure_wire.h - what Key Vault's REST answers say, apart from any connection; inside vault/
 * only
 */
#pragma once

#include "json/json.h"
#include "net/url.h"
#include "vault/vault.h"

#define AZURE_NAME_MAX     128 /* bytes, with the terminating zero */
#define AZURE_RESOURCE_MAX 256 /* bytes, with the terminating zero */

enum azure_op { AZURE_GET, AZURE_WRAP, AZURE_UNWRAP };

struct azure_key_uri {
    struct url url;
    char base[URL_HOST_MAX + 16]; /* "https://host:port", without a default port */
    char name[AZURE_NAME_MAX];
    char version[VAULT_VERSION_MAX]; /* "" = none */
};

/* Takes a key URI apart. ERR_INVALID: not https, userinfo, an IP literal, a query, another path. */
enum err azure_key_uri_parse(const char *text, struct azure_key_uri *out, struct diag *d);

bool azure_version_valid(const char *v); /* "" is valid */

/* Is host:port at or under one of the suffixes, each "name" (port 443) or "name:port"? */
bool azure_host_allowed(const struct url *u, const char *const *suffixes);

/* The resource that a 401's WWW-Authenticate names, if a token for it may go to the vault at u.
 * ERR_UNAVAILABLE tags "NoChallenge" and "BadAnswer". */
enum err azure_challenge(const char *header, const struct url *u, const char *const *suffixes,
                         char resource[AZURE_RESOURCE_MAX], struct diag *d);

/* Fails as vault.h says for any answer but 200. */
enum err azure_refusal(enum azure_op op, int status, struct bytes body, struct diag *d);

/* Readers of answers; each checks that the kid is one of this key. tag "BadAnswer". */
enum err azure_read_key(struct bytes body, const struct azure_key_uri *asked, struct vault_key *out,
                        struct diag *d);
enum err azure_read_result(struct bytes body, const struct azure_key_uri *asked,
                           struct vault_wrapped *out, struct diag *d);
