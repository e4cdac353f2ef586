/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity/signing.c - the keys that sign tokens: made, rotated, dropped
 *
 * One signs; those before it stay in the key set until the last token they signed has expired.
 * Rotation is one transaction, and memory follows the store. signer_lock is held for reading while
 * signing and verifying, so that no key goes away in use.
 */
#include "identity/state.h"

#include "base/log.h"
#include "base/time.h"

#include <stdio.h>

#define TABLE        "signing"
#define SIGNING_BITS 2048
#define VERIFY_US    ((TOKEN_LIFE_S + JWT_SKEW_S) * US_PER_S)

static void signer_release(struct signer *s)
{
    rsa_free(s->key);
    *s = (struct signer){0};
}

/* kid is the modulus' digest: the same key has the same name for ever. */
static enum err name_key(struct signer *s, struct diag *d)
{
    CLEANUP_BUF struct buf n = {0}, e = {0}, kid = {0};
    uint8_t digest[32];
    TRY(rsa_public_parts(s->key, &n, &e, d));
    sha256(buf_view(&n), digest);
    base64url_encode(&kid, BYTES_OF(digest));
    snprintf(s->kid, sizeof s->kid, "%s", buf_cstr(&kid));
    return OK;
}

static enum err store_one(struct identity *id, const struct signer *s, struct diag *d)
{
    CLEANUP(secret_free) struct secret *der = NULL;
    CLEANUP_BUF struct buf text = {0};
    TRY(rsa_to_der(s->key, &der, d));
    base64_encode(&text, secret_view(der));
    return row_put(id, TABLE, s->kid,
                   json_pack("{s:s, s:I, s:I}", "pkcs8", buf_cstr(&text), "createdUs",
                             (json_int_t)s->created_us, "untilUs", (json_int_t)s->until_us),
                   d);
}

/* --- the public side
 * --------------------------------------------------------------------------------- */

static json_t *jwk_of(const struct signer *s)
{
    CLEANUP_BUF struct buf n = {0}, e = {0}, n64 = {0}, e64 = {0};
    if (rsa_public_parts(s->key, &n, &e, NULL) != OK) return NULL;
    base64url_encode(&n64, buf_view(&n));
    base64url_encode(&e64, buf_view(&e));
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "kty", "RSA", "use", "sig", "alg",
                     "RS256", "kid", s->kid, "x5t", s->kid, "n", buf_cstr(&n64), "e",
                     buf_cstr(&e64));
}

/* Builds key set and verifier anew. Under signer_lock for writing, or before anybody reads. */
static enum err publish(struct identity *id, struct diag *d)
{
    json_t *list = json_array();
    CLEANUP_JSON json_t *set = json_pack("{s:o}", "keys", list);
    CLEANUP_BUF struct buf text = {0};
    CLEANUP(jwt_keys_free) struct jwt_keys *keys = NULL;
    bool good = set != NULL;
    for (unsigned i = 0; good && i < id->n_signers; i++)
        good = json_array_append_new(list, jwk_of(&id->signers[i])) == 0;
    if (!good) return FAIL(d, ERR_LIMIT, "out of memory");
    TRY(jwt_keys_new(&keys, set, d));
    TRY(json_write(set, &text, d));
    jwt_keys_free(id->keys);
    buf_release(&id->key_set);
    id->keys = TAKE(keys);
    id->key_set = text;
    text = (struct buf){0};
    return OK;
}

/* --- loading and making
 * ------------------------------------------------------------------------------ */

static enum err load_one(void *ctx, const char *key, struct bytes value, struct diag *d)
{
    struct identity *id = ctx;
    struct signer s = {0};
    CLEANUP_JSON json_t *j = NULL;
    CLEANUP_BUF struct buf der = {0};
    TRY(json_read(value, &j, d));
    const char *text = json_string_value(json_object_get(j, "pkcs8"));
    if (text == NULL || id->n_signers == SIGNERS_MAX ||
        base64_decode(&der, bytes_str(text), NULL) != OK) {
        return FAIL(d, ERR_CORRUPT, "signing key %s cannot be read", key);
    }
    TRY(rsa_from_der(&s.key, buf_view(&der), d));
    s.created_us = json_integer_value(json_object_get(j, "createdUs"));
    s.until_us = json_integer_value(json_object_get(j, "untilUs"));
    snprintf(s.kid, sizeof s.kid, "%s", key);
    unsigned at = s.until_us == 0 ? 0 : id->n_signers;
    if (at == 0 && id->n_signers != 0) id->signers[id->n_signers] = id->signers[0];
    id->signers[at] = s;
    id->n_signers++;
    return OK;
}

static enum err make(struct signer *out, struct diag *d)
{
    struct signer s = {.created_us = time_now_us()};
    TRY(rsa_generate(&s.key, SIGNING_BITS, d));
    enum err e = name_key(&s, d);
    if (e != OK) signer_release(&s);
    if (e == OK) *out = s;
    return e;
}

enum err signers_load(struct identity *id, struct diag *d)
{
    TRY(kvstore_each(id->store, TABLE, "", load_one, id, d));
    if (id->n_signers == 0) {
        TRY(make(&id->signers[0], d));
        id->n_signers = 1;
        TRY(store_one(id, &id->signers[0], d));
    }
    return publish(id, d);
}

void signers_release(struct identity *id)
{
    for (unsigned i = 0; i < id->n_signers; i++)
        signer_release(&id->signers[i]);
    id->n_signers = 0;
    jwt_keys_free(TAKE(id->keys));
    buf_release(&id->key_set);
}

/* --- changing
 * ----------------------------------------------------------------------------------------- */

static enum err store_rotation(struct identity *id, const struct signer *fresh, int64_t until_us,
                               struct diag *d)
{
    struct signer old = id->signers[0];
    old.until_us = until_us;
    CLEANUP_KVSTORE_TXN struct kvstore_txn t = {0};
    TRY(kvstore_begin(id->store, &t, d));
    TRY(store_one(id, &old, d));
    TRY(store_one(id, fresh, d));
    return kvstore_commit(&t, d);
}

enum err signers_rotate(struct identity *id, struct diag *d)
{
    struct signer fresh = {0};
    int64_t now = time_now_us();
    TRY(signers_tidy(id, now, d));
    TRY(make(&fresh, d)); /* before the locks: it takes a while */
    LOCK_SCOPE(&id->lock);
    if (id->n_signers == SIGNERS_MAX) {
        signer_release(&fresh);
        return FAIL_TAG(d, ERR_LIMIT, "TooManySigningKeys",
                        "%d signing keys still verify tokens: rotate again when the oldest of "
                        "them have expired.",
                        SIGNERS_MAX);
    }
    enum err e = store_rotation(id, &fresh, now + VERIFY_US, d);
    if (e != OK) {
        signer_release(&fresh);
        return e;
    }
    pthread_rwlock_wrlock(&id->signer_lock);
    id->signers[0].until_us = now + VERIFY_US;
    memmove(&id->signers[1], &id->signers[0], id->n_signers * sizeof id->signers[0]);
    id->signers[0] = fresh;
    id->n_signers++;
    e = publish(id, d);
    pthread_rwlock_unlock(&id->signer_lock);
    LOG(INFO, "identity.signing_key_rotated", F_STR("kid", fresh.kid));
    watch_wake(id);
    return e;
}

enum err signers_tidy(struct identity *id, int64_t now_us, struct diag *d)
{
    LOCK_SCOPE(&id->lock);
    unsigned before = id->n_signers;
    for (unsigned i = id->n_signers; i-- > 1;) {
        if (id->signers[i].until_us > now_us) continue;
        TRY(kvstore_delete(id->store, TABLE, id->signers[i].kid, d));
        pthread_rwlock_wrlock(&id->signer_lock);
        signer_release(&id->signers[i]);
        memmove(&id->signers[i], &id->signers[i + 1],
                (id->n_signers - i - 1) * sizeof id->signers[0]);
        id->n_signers--;
        pthread_rwlock_unlock(&id->signer_lock);
    }
    if (id->n_signers == before) return OK;
    pthread_rwlock_wrlock(&id->signer_lock);
    enum err e = publish(id, d);
    pthread_rwlock_unlock(&id->signer_lock);
    return e;
}

bool signers_are_due(struct identity *id, int64_t now_us)
{
    pthread_rwlock_rdlock(&id->signer_lock);
    bool due = id->signers[0].created_us + SIGNER_DAYS * 86400 * US_PER_S <= now_us;
    pthread_rwlock_unlock(&id->signer_lock);
    return due;
}

int64_t signers_next_us(struct identity *id)
{
    pthread_rwlock_rdlock(&id->signer_lock);
    int64_t next = id->signers[0].created_us + SIGNER_DAYS * 86400 * US_PER_S;
    for (unsigned i = 1; i < id->n_signers; i++) {
        if (id->signers[i].until_us < next) next = id->signers[i].until_us;
    }
    pthread_rwlock_unlock(&id->signer_lock);
    return next;
}

/* --- using
 * -------------------------------------------------------------------------------------------- */

enum err signer_sign(struct identity *id, const json_t *claims, struct buf *out, struct diag *d)
{
    pthread_rwlock_rdlock(&id->signer_lock);
    enum err e = jwt_sign(id->signers[0].key, id->signers[0].kid, claims, out, d);
    pthread_rwlock_unlock(&id->signer_lock);
    return e;
}

enum err signer_verify(struct identity *id, const char *token, const struct jwt_expect *want,
                       json_t **claims, struct diag *d)
{
    pthread_rwlock_rdlock(&id->signer_lock);
    enum err e = jwt_verify(token, id->keys, want, claims, d);
    pthread_rwlock_unlock(&id->signer_lock);
    return e;
}

enum err signer_key_set(struct identity *id, json_t **out, struct diag *d)
{
    pthread_rwlock_rdlock(&id->signer_lock);
    enum err e = json_read(buf_view(&id->key_set), out, d);
    pthread_rwlock_unlock(&id->signer_lock);
    return e;
}

json_t *signers_json(struct identity *id)
{
    json_t *list = json_array();
    pthread_rwlock_rdlock(&id->signer_lock);
    for (unsigned i = 0; i < id->n_signers; i++) {
        char created[TIME_TEXT_MAX], until[TIME_TEXT_MAX];
        time_format_iso(id->signers[i].created_us, created);
        time_format_iso(id->signers[i].until_us, until);
        json_array_append_new(list, json_pack("{s:s, s:s, s:b, s:o}", "kid", id->signers[i].kid,
                                              "created", created, "signs", i == 0, "verifiesUntil",
                                              i == 0 ? json_null() : json_string(until)));
    }
    pthread_rwlock_unlock(&id->signer_lock);
    return list;
}
