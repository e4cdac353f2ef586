/* SPDX-License-Identifier: Apache-2.0 */
/* identity/token.c - the claims of a token, and whom a token speaks for */
#include "identity/state.h"

#include "base/rand.h"
#include "base/time.h"

#include <stdio.h>

void token_issuer(const struct identity *id, enum token_kind kind, char out[ISSUER_MAX])
{
    switch (kind) {
    case TOKEN_V1: snprintf(out, ISSUER_MAX, "%s/%s/", id->endpoint, id->tenant_id); return;
    case TOKEN_V2: snprintf(out, ISSUER_MAX, "%s/%s/v2.0", id->endpoint, id->tenant_id); return;
    case TOKEN_ADFS: snprintf(out, ISSUER_MAX, "%s/adfs", id->endpoint); return;
    }
}

static json_t *base_claims(const struct identity *id, enum token_kind kind,
                           const struct principal *p, const char *audience, int64_t now_s)
{
    char issuer[ISSUER_MAX], uti[32];
    uint8_t random[12];
    CLEANUP_BUF struct buf text = {0};
    token_issuer(id, kind, issuer);
    rand_bytes(random, sizeof random);
    base64url_encode(&text, BYTES_OF(random));
    snprintf(uti, sizeof uti, "%s", buf_cstr(&text));
    return json_pack("{s:s, s:s, s:I, s:I, s:I, s:s, s:s, s:s, s:s, s:s}", "aud", audience, "iss",
                     issuer, "iat", (json_int_t)now_s, "nbf", (json_int_t)now_s, "exp",
                     (json_int_t)now_s + TOKEN_LIFE_S, "oid", p->object_id, "sub", p->object_id,
                     "tid", id->tenant_id, "uti", uti, "ver", kind == TOKEN_V2 ? "2.0" : "1.0");
}

static bool put(json_t *claims, const char *name, const char *text)
{
    return json_object_set_new(claims, name, json_string(text)) == 0;
}

static bool put_groups(json_t *claims, const struct principal *p)
{
    if (p->n_groups == 0) return true;
    json_t *groups = json_array();
    for (unsigned i = 0; i < p->n_groups; i++)
        json_array_append_new(groups, json_string(p->groups[i]));
    return json_object_set_new(claims, "groups", groups) == 0;
}

static bool put_person(json_t *claims, const struct principal *p)
{
    return put(claims, "name", p->name) && put(claims, "preferred_username", p->name);
}

enum err token_issue(struct identity *id, const struct token_wish *w, struct buf *out,
                     int64_t *expires_us, struct diag *d)
{
    const struct principal *p = w->principal;
    int64_t now_s = time_now_us() / US_PER_S;
    bool is_person = p->kind == PRINCIPAL_PERSON, is_v2 = w->kind == TOKEN_V2;
    const char *client = w->client_id != NULL ? w->client_id : p->client_id;
    CLEANUP_JSON json_t *claims = base_claims(id, w->kind, p, w->audience, now_s);
    bool good = claims != NULL && put(claims, "appid", client) &&
                put(claims, "idtyp", is_person ? "user" : "app") &&
                put(claims, is_v2 ? "azpacr" : "appidacr", w->acr) && put_groups(claims, p);
    if (is_v2) good = good && put(claims, "azp", client);
    if (!is_v2) {
        good = good && put(claims, "idp", json_string_value(json_object_get(claims, "iss")));
    }
    if (p->kind == PRINCIPAL_MANAGED) good = good && put(claims, "xms_mirid", p->resource);
    if (is_person) {
        good = good && put_person(claims, p) && put(claims, "scp", "user_impersonation") &&
               put(claims, "upn", p->name);
    }
    if (!good) return FAIL(d, ERR_LIMIT, "out of memory");
    TRY(signer_sign(id, claims, out, d));
    *expires_us = (now_s + TOKEN_LIFE_S) * US_PER_S;
    return OK;
}

enum err token_issue_id(struct identity *id, const struct principal *p, const char *client_id,
                        const char *nonce, struct buf *out, struct diag *d)
{
    int64_t now_s = time_now_us() / US_PER_S;
    CLEANUP_JSON json_t *claims = base_claims(id, TOKEN_V2, p, client_id, now_s);
    bool good = claims != NULL && put_person(claims, p) && put_groups(claims, p) &&
                (nonce == NULL || put(claims, "nonce", nonce));
    if (!good) return FAIL(d, ERR_LIMIT, "out of memory");
    return signer_sign(id, claims, out, d);
}

enum err token_read(struct identity *id, const char *token, const char *const *audiences,
                    char object_id[GUID_TEXT_MAX], struct diag *d)
{
    char texts[3][ISSUER_MAX];
    for (int i = 0; i < 3; i++)
        token_issuer(id, (enum token_kind)i, texts[i]);
    const char *const issuers[] = {texts[0], texts[1], texts[2], NULL};
    const struct jwt_expect want = {
        .issuers = issuers, .audiences = audiences, .now_us = time_now_us()};
    struct diag why = DIAG_INIT;
    CLEANUP_JSON json_t *claims = NULL;
    enum err e = signer_verify(id, token, &want, &claims, &why);
    bool unknown = str_eq(why.tag, "UnknownKey") || str_eq(why.tag, "Algorithm");
    if (e != OK && unknown && id->foreign != NULL) {
        return foreign_read(id, token, audiences, object_id, d);
    }
    if (e != OK) return FAIL_TAG(d, e, why.tag, "%s", why.text);
    const char *oid = json_string_value(json_object_get(claims, "oid"));
    if (oid == NULL || strlen(oid) >= GUID_TEXT_MAX) {
        return FAIL_TAG(d, ERR_DENIED, "Malformed", "the token names no principal");
    }
    snprintf(object_id, GUID_TEXT_MAX, "%s", oid);
    return OK;
}
