/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity/login.c - the authorization endpoint: code with PKCE (RFC 6749 4.1, RFC 7636), S256
 * alone
 *
 * A browser is sent back only to loopback (RFC 8252 7.3: any port) or to our own address. Whatever
 * is wrong with client or address is told to the person, not to the address.
 */
#include "identity/people.h"

#include "base/log.h"
#include "base/time.h"
#include "net/url.h"

#include <stdio.h>

struct wish {
    const char *client_id, *redirect_uri, *response_type, *state, *challenge, *method, *scope,
        *resource, *nonce, *response_mode;
};

static const char *const wish_names[] = {"client_id",    "redirect_uri",   "response_type",
                                         "state",        "code_challenge", "code_challenge_method",
                                         "scope",        "resource",       "nonce",
                                         "response_mode"};
#define N_WISHES (sizeof wish_names / sizeof *wish_names)

static bool may_return_to(const struct identity *id, const char *uri)
{
    struct url u, own;
    if (uri == NULL || strlen(uri) >= URI_MAX || url_parse(uri, &u, NULL) != OK || u.has_userinfo ||
        u.query.p != NULL || url_parse(id->endpoint, &own, NULL) != OK) {
        return false;
    }
    if (str_eq(u.scheme, "http")) {
        return str_eq(u.host, "localhost") || str_eq(u.host, "127.0.0.1") || str_eq(u.host, "::1");
    }
    return str_eq(u.scheme, "https") && str_eq(u.host, own.host) && u.port == own.port;
}

static void read_wish(struct endpoint *e, struct token_form *f, struct wish *w)
{
    const char **to[] = {&w->client_id, &w->redirect_uri, &w->response_type, &w->state,
                         &w->challenge, &w->method,       &w->scope,         &w->resource,
                         &w->nonce,     &w->response_mode};
    for (size_t i = 0; i < N_WISHES; i++)
        *to[i] = f != NULL ? form_only(f, wish_names[i]) : http_query(e->req, wish_names[i]);
}

static void send_back(struct endpoint *e, const struct wish *w, const char *name, const char *value,
                      const char *about)
{
    CLEANUP_BUF struct buf to = {0};
    buf_fmt(&to, "%s?%s=", w->redirect_uri, name);
    percent_encode(&to, bytes_str(value));
    if (about != NULL) {
        buf_str(&to, "&error_description=");
        percent_encode(&to, bytes_str(about));
    }
    if (w->state != NULL) {
        buf_str(&to, "&state=");
        percent_encode(&to, bytes_str(w->state));
    }
    e->res->status = 302;
    http_set(e->res, "Location", buf_cstr(&to));
    http_set(e->res, "Cache-Control", "no-store");
    http_set(e->res, "Referrer-Policy", "no-referrer");
}

/* false: answered. */
static bool check_wish(struct endpoint *e, const struct wish *w, struct login *l)
{
    if (w->client_id == NULL || !is_public_client(w->client_id)) {
        page_text(e, 400, "This cannot go on", "The program that sent you here is not known.");
    } else if (!may_return_to(e->id, w->redirect_uri)) {
        page_text(e, 400, "This cannot go on",
                  "The program wants the answer at an address that is not allowed.");
    } else if (!str_eq(w->response_type, "code") ||
               (w->response_mode != NULL && !str_eq(w->response_mode, "query"))) {
        send_back(e, w, "error", "unsupported_response_type", "only a code in the query is given");
    } else if (!str_eq(w->method, "S256") || w->challenge == NULL || strlen(w->challenge) != 43) {
        send_back(e, w, "error", "invalid_request", "a code challenge with S256 is needed");
    } else if (!people_scope(e->id, w->scope, w->resource, l)) {
        send_back(e, w, "error", "invalid_scope", "the scope is not understood");
    } else if ((w->nonce != NULL && strlen(w->nonce) >= sizeof l->nonce) ||
               (w->state != NULL && strlen(w->state) > URI_MAX)) {
        send_back(e, w, "error", "invalid_request", "nonce or state is too long");
    } else {
        return true;
    }
    return false;
}

static void show(struct endpoint *e, const struct wish *w, int status, const char *message)
{
    const char *values[] = {w->client_id, w->redirect_uri, w->response_type, w->state,
                            w->challenge, w->method,       w->scope,         w->resource,
                            w->nonce,     w->response_mode};
    struct page_field hidden[N_WISHES];
    size_t n = 0;
    for (size_t i = 0; i < N_WISHES; i++) {
        if (values[i] != NULL) hidden[n++] = (struct page_field){wish_names[i], values[i]};
    }
    page_login(e, status, e->req->path, message, hidden, n, NULL);
}

static void sign_in(struct endpoint *e, struct token_form *f, const struct wish *w, struct login *l)
{
    const char *name = form_only(f, "name"), *password = form_only(f, "password");
    char code[CODE_LEN + 1];
    struct principal p;
    struct diag d = DIAG_INIT;
    if (!page_form_is_ours(e, f) || name == NULL || password == NULL) {
        show(e, w, 400, "Please try again.");
        return;
    }
    if (!people_may_try(e->id, name, e->req->peer)) {
        http_set(e->res, "Retry-After", "900");
        show(e, w, 429, "Too many tries. Wait a quarter of an hour.");
        return;
    }
    if (!people_check(e->id, name, password, e->req->peer, &p)) {
        show(e, w, 401, "Name and password do not fit.");
        return;
    }
    snprintf(l->object_id, sizeof l->object_id, "%s", p.object_id);
    snprintf(l->client_id, sizeof l->client_id, "%s", w->client_id);
    snprintf(l->redirect_uri, sizeof l->redirect_uri, "%s", w->redirect_uri);
    snprintf(l->challenge, sizeof l->challenge, "%s", w->challenge);
    snprintf(l->nonce, sizeof l->nonce, "%s", w->nonce != NULL ? w->nonce : "");
    l->until_us = time_now_us() + CODE_LIFE_S * US_PER_S;
    LOG(INFO, "identity.signed_in", F_STR("name", p.name), F_STR("peer", e->req->peer));
    if (people_keep(e->id, l, code, &d) == OK) {
        send_back(e, w, "code", code, NULL);
        wipe(code, sizeof code);
    } else {
        send_back(e, w, "error", "temporarily_unavailable", d.text);
    }
}

void serve_authorize(struct endpoint *e)
{
    struct token_form f = {0};
    struct login l = {0};
    struct wish w = {0};
    bool post = str_eq(e->req->method, "POST");
    if (!check_tenant(e, true) || (post && !form_read(e, &f))) return;
    read_wish(e, post ? &f : NULL, &w);
    if (!check_wish(e, &w, &l)) return;
    if (post) {
        sign_in(e, &f, &w, &l);
    } else {
        show(e, &w, 200, NULL);
    }
}
