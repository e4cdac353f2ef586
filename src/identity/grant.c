/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity/grant.c - tokens for people who have signed in: a code, a device's code, a refresh token
 *
 * A refresh token works once and brings the next one; it is in the store as a digest, lives 14 days
 * from its last use, and ends with a new password, a disabled or a deleted person.
 */
#include "identity/people.h"

#include "base/log.h"
#include "base/rand.h"
#include "base/time.h"

#include <stdio.h>

#define TABLE TABLE_REFRESH

static bool refuse(struct endpoint *e, const char *why)
{
    answer_oauth_error(e, 400, "invalid_grant", 70008, "%s", why);
    return false;
}

/* --- refresh tokens
 * -------------------------------------------------------------------------------------- */

static enum err refresh_make(struct identity *id, const struct principal *p, const char *client_id,
                             char out[CODE_LEN + 1], struct diag *d)
{
    uint8_t random[CODE_LEN / 2];
    char digest[65];
    int64_t now = time_now_us();
    rand_bytes(random, sizeof random);
    hex_encode(BYTES_OF(random), out);
    people_digest(out, digest);
    return row_put(id, TABLE, digest,
                   json_pack("{s:s, s:s, s:I, s:I}", "objectId", p->object_id, "clientId",
                             client_id, "madeUs", (json_int_t)now, "untilUs",
                             (json_int_t)(now + REFRESH_LIFE_S * US_PER_S)),
                   d);
}

/* Takes it out of the store. false: it is none, or not any more. */
static bool refresh_take(struct identity *id, const char *text, const char *client_id,
                         struct principal *out)
{
    char digest[65], object_id[GUID_TEXT_MAX], client[GUID_TEXT_MAX];
    CLEANUP_BUF struct buf value = {0};
    CLEANUP_JSON json_t *row = NULL;
    people_digest(text, digest);
    LOCK_SCOPE(&id->lock);
    if (kvstore_get(id->store, TABLE, digest, &value, NULL) != OK ||
        json_read(buf_view(&value), &row, NULL) != OK ||
        kvstore_delete(id->store, TABLE, digest, NULL) != OK) {
        return false;
    }
    return row_text(row, "objectId", object_id, sizeof object_id) &&
           row_text(row, "clientId", client, sizeof client) && str_eq_nocase(client, client_id) &&
           json_get_int(row, "untilUs", 0) > time_now_us() &&
           principal_by_object(id, object_id, out) && !out->is_disabled &&
           json_get_int(row, "madeUs", 0) >= out->password_us;
}

/* --- answering
 * ------------------------------------------------------------------------------------------- */

/* What MSAL knows an account by. */
static json_t *client_info(const struct identity *id, const struct principal *p)
{
    CLEANUP_BUF struct buf text = {0}, encoded = {0};
    buf_fmt(&text, "{\"uid\":\"%s\",\"utid\":\"%s\"}", p->object_id, id->tenant_id);
    base64url_encode(&encoded, buf_view(&text));
    return json_string(buf_cstr(&encoded));
}

static enum err build(struct endpoint *e, const struct principal *p, const struct login *l,
                      json_t **out, struct diag *d)
{
    CLEANUP_BUF struct buf token = {0}, id_token = {0};
    CLEANUP_JSON json_t *j = NULL;
    char refresh[CODE_LEN + 1] = "";
    int64_t expires_us = 0;
    const struct token_wish w = {.kind = e->at.route == ROUTE_TOKEN_V1   ? TOKEN_V1
                                         : e->at.route == ROUTE_TOKEN_V2 ? TOKEN_V2
                                                                         : TOKEN_ADFS,
                                 .principal = p,
                                 .audience = l->audience,
                                 .client_id = l->client_id,
                                 .acr = "0"};
    TRY(token_issue(e->id, &w, &token, &expires_us, d));
    j = json_pack("{s:s, s:i, s:i, s:o, s:s, s:o}", "token_type", "Bearer", "expires_in",
                  TOKEN_LIFE_S - 1, "ext_expires_in", TOKEN_LIFE_S - 1, "scope",
                  json_sprintf("%s/user_impersonation", l->audience), "access_token",
                  buf_cstr(&token), "client_info", client_info(e->id, p));
    if (j == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    if (l->wants_id) {
        TRY(token_issue_id(e->id, p, l->client_id, l->nonce[0] != 0 ? l->nonce : NULL, &id_token,
                           d));
        json_object_set_new(j, "id_token", json_string(buf_cstr(&id_token)));
    }
    if (l->wants_refresh) {
        TRY(refresh_make(e->id, p, l->client_id, refresh, d));
        json_object_set_new(j, "refresh_token", json_string(refresh));
        wipe(refresh, sizeof refresh);
    }
    *out = TAKE(j);
    return OK;
}

static void answer(struct endpoint *e, const struct principal *p, const struct login *l)
{
    json_t *j = NULL;
    struct diag d = DIAG_INIT;
    if (build(e, p, l, &j, &d) == OK) {
        answer_json(e, 200, j);
        return;
    }
    LOG(ERROR, "identity.token_failed", F_ERR(&d));
    answer_oauth_error(e, 503, "temporarily_unavailable", 90033,
                       "A transient error has occurred. Please try again.");
}

static void answer_login(struct endpoint *e, const struct login *l)
{
    struct principal p;
    if (principal_by_object(e->id, l->object_id, &p) && !p.is_disabled) {
        answer(e, &p, l);
    } else {
        refuse(e, "The person cannot sign in any more.");
    }
}

/* --- the grants
 * ------------------------------------------------------------------------------------------ */

static bool challenge_fits(const char *challenge, const char *verifier)
{
    CLEANUP_BUF struct buf text = {0};
    uint8_t digest[32];
    sha256(bytes_str(verifier), digest);
    base64url_encode(&text, BYTES_OF(digest));
    return secret_eq(buf_view(&text), bytes_str(challenge));
}

void grant_code(struct endpoint *e, struct token_form *f)
{
    const char *code = form_only(f, "code"), *verifier = form_only(f, "code_verifier"),
               *uri = form_only(f, "redirect_uri");
    struct login l;
    if (!form_require(e, f->client_id, "client_id") || !form_require(e, code, "code") ||
        !form_require(e, verifier, "code_verifier") || !form_require(e, uri, "redirect_uri")) {
        return;
    }
    /* A code that is shown wrongly is used up: whoever stole it gets one try at the verifier. */
    if (!people_take(e->id, code, &l) || !str_eq_nocase(l.client_id, f->client_id) ||
        !str_eq(l.redirect_uri, uri) || !challenge_fits(l.challenge, verifier)) {
        refuse(e, "The provided authorization code is wrong, used or expired.");
        return;
    }
    answer_login(e, &l);
}

void grant_device(struct endpoint *e, struct token_form *f)
{
    const char *code = form_only(f, "device_code");
    struct login l;
    if (code == NULL) code = form_only(f, "code");
    if (!form_require(e, f->client_id, "client_id") || !form_require(e, code, "device_code")) {
        return;
    }
    switch (people_poll(e->id, code, f->client_id, &l)) {
    case DEVICE_DONE: answer_login(e, &l); return;
    case DEVICE_WAITING:
        answer_oauth_error(e, 400, "authorization_pending", 70016,
                           "OAuth 2.0 device flow error. Authorization is pending. Continue "
                           "polling.");
        return;
    case DEVICE_UNKNOWN:
        answer_oauth_error(e, 400, "expired_token", 70020,
                           "The provided value for the input parameter 'device_code' is not "
                           "valid. This device code has expired.");
    }
}

void grant_refresh(struct endpoint *e, struct token_form *f)
{
    const char *text = form_only(f, "refresh_token");
    struct login l = {.wants_refresh = true};
    struct principal p;
    if (!form_require(e, f->client_id, "client_id") || !form_require(e, text, "refresh_token")) {
        return;
    }
    if (!people_scope(e->id, f->scope, f->resource, &l)) {
        answer_oauth_error(e, 400, "invalid_scope", 70011,
                           "The provided value for the input parameter 'scope' is not valid.");
        return;
    }
    l.wants_refresh = true;
    snprintf(l.client_id, sizeof l.client_id, "%s", f->client_id);
    if (!refresh_take(e->id, text, f->client_id, &p)) {
        refuse(e, "The refresh token is wrong, used or expired.");
        return;
    }
    answer(e, &p, &l);
}
