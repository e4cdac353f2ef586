/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity/token_cache.h - whom tokens spoke for that were verified before: a client shows the same
 * one for an hour, and a signature costs more than most requests; inside identity/ only
 *
 * What is kept is what the signature vouched for. Time, audience and the key set are looked at each
 * time; rights and whether the principal is disabled are identity's to say, and nothing of them is
 * here. A token is known by its SHA-256; where two want one place, the later one has it.
 */
#pragma once

#include "identity/identity_client.h"

struct token_cache;

struct cached_token {
    struct caller who;
    int64_t from_s, until_s; /* "nbf" (0: none) and "exp" */
    char audience[256];
    uint64_t keys; /* which key set it was verified with */
};

enum err token_cache_new(struct token_cache **out, struct diag *d);
void token_cache_free(struct token_cache *c); /* NULL is fine */

/* False: not there, of another key set, not for these audiences, or not now: verify it. */
bool token_cache_find(struct token_cache *c, const char *token, uint64_t keys,
                      const char *const *audiences, int64_t now_us, struct caller *out);
void token_cache_keep(struct token_cache *c, const char *token, const struct cached_token *t);

DEFINE_CLEANUP(token_cache_free, struct token_cache)
