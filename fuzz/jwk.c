/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz/jwk.c - keys that are brought: what is taken is a whole key of a size that is served, and no
 * secret part of it is in the document
 *
 * First byte: 0 the rest is JSON; else a good key of that kind, of which the member that the second
 * byte names becomes the text that follows.
 */
#include "base/str.h"
#include "crypto/ec.h"
#include "keyvault/service.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* RFC 7517 A.2, and made for this. */
static const char *const good[] = {
    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4\","
    "\"y\":\"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM\","
    "\"d\":\"870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE\"}",
    "{\"kty\":\"oct\",\"k\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\"}",
};
static const char *const members[] = {"kty", "crv", "x", "y", "d", "k", "n", "e", "key_ops", "kid"};

static json_t *read_input(const uint8_t *data, size_t size)
{
    json_t *j = NULL;
    if (data[0] % 3 == 0) return json_read(bytes_of(data + 1, size - 1), &j, NULL) == OK ? j : NULL;
    if (json_read(bytes_str(good[data[0] % 3 - 1]), &j, NULL) != OK) abort();
    if (size < 2) return j;
    const char *name = members[data[1] % (sizeof members / sizeof members[0])];
    json_t *text = json_stringn((const char *)data + 2, size - 2);
    if (text != NULL) json_object_set_new(j, name, text);
    return j;
}

static void check(const struct key_kind *k, const json_t *doc, const struct secret *s)
{
    static const char *const secrets[] = {"d", "p", "q", "dp", "dq", "qi", "k"};
    assert(s != NULL && secret_len(s) != 0);
    for (size_t i = 0; i < sizeof secrets / sizeof secrets[0]; i++)
        assert(json_object_get(doc, secrets[i]) == NULL);
    if (str_eq(k->kty, "oct")) {
        assert(secret_len(s) == 16 || secret_len(s) == 24 || secret_len(s) == 32);
        assert((int64_t)secret_len(s) * 8 == k->size);
    } else if (str_eq(k->kty, "EC")) {
        assert(json_get_str(doc, "x") != NULL && json_get_str(doc, "y") != NULL && k->crv != NULL);
        CLEANUP(ec_free) struct ec_key *key = NULL;
        assert(ec_from_der(&key, k->curve, secret_view(s), NULL) == OK);
    } else {
        assert(str_eq(k->kty, "RSA") && k->size >= 2048 && k->size <= 4096);
        assert(json_get_str(doc, "n") != NULL && json_get_str(doc, "e") != NULL);
    }
    assert(!k->hsm);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) return 0;
    CLEANUP_JSON json_t *jwk = read_input(data, size);
    CLEANUP_JSON json_t *doc = json_object();
    CLEANUP(secret_free) struct secret *s = NULL;
    struct key_kind kind = {0};
    struct diag d = DIAG_INIT;
    if (jwk == NULL) return 0;
    if (kv_material_import(jwk, &kind, doc, &s, &d) == OK) {
        check(&kind, doc, s);
    } else {
        assert(s == NULL && d.text[0] != 0);
    }
    return 0;
}
