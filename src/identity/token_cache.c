/* SPDX-License-Identifier: Apache-2.0 */
/* identity/token_cache.c - a table of fixed size, a place for each digest */
#include "identity/token_cache.h"

#include "base/thread.h"
#include "base/time.h"
#include "crypto/hash.h"
#include "crypto/secret.h"

#include <stdlib.h>

#define PLACES     1024
#define DIGEST_LEN 32

struct place {
    uint8_t digest[DIGEST_LEN]; /* zero: free */
    struct cached_token token;
};

struct token_cache {
    pthread_mutex_t lock; /* guards the places */
    struct place places[PLACES];
};

enum err token_cache_new(struct token_cache **out, struct diag *d)
{
    struct token_cache *c = calloc(1, sizeof *c);
    if (c == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    pthread_mutex_init(&c->lock, NULL);
    *out = c;
    return OK;
}

void token_cache_free(struct token_cache *c)
{
    if (c == NULL) return;
    pthread_mutex_destroy(&c->lock);
    free(c);
}

static struct place *place_of(struct token_cache *c, const uint8_t digest[DIGEST_LEN])
{
    return &c->places[(digest[0] | digest[1] << 8) % PLACES];
}

static bool digest_of(const char *token, uint8_t out[DIGEST_LEN])
{
    size_t n = strnlen(token, JWT_TEXT_MAX + 1);
    if (n > JWT_TEXT_MAX) return false;
    sha256(bytes_of(token, n), out);
    return true;
}

bool token_cache_find(struct token_cache *c, const char *token, uint64_t keys,
                      const char *const *audiences, int64_t now_us, struct caller *out)
{
    uint8_t digest[DIGEST_LEN];
    int64_t now = now_us / US_PER_S;
    if (!digest_of(token, digest)) return false;
    LOCK_SCOPE(&c->lock);
    const struct place *p = place_of(c, digest);
    const struct cached_token *t = &p->token;
    if (!secret_eq(BYTES_OF(p->digest), BYTES_OF(digest)) || t->keys != keys) return false;
    if (t->until_s <= now - JWT_SKEW_S || t->from_s > now + JWT_SKEW_S) return false;
    if (!jwt_is_for(t->audience, audiences)) return false;
    *out = t->who;
    return true;
}

void token_cache_keep(struct token_cache *c, const char *token, const struct cached_token *t)
{
    uint8_t digest[DIGEST_LEN];
    if (!digest_of(token, digest)) return;
    LOCK_SCOPE(&c->lock);
    struct place *p = place_of(c, digest);
    memcpy(p->digest, digest, sizeof p->digest);
    p->token = *t;
}
