/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity/device.c - signing in from a program without a browser (RFC 8628)
 *
 * A guess at a code costs a name's password as well, and both are counted: eight consonants are
 * enough.
 */
#include "identity/people.h"

#include "base/log.h"
#include "base/rand.h"
#include "base/time.h"

#include <stdio.h>

static void make_user_code(char out[USER_CODE_MAX])
{
    static const char letters[] = "BCDFGHJKLMNPQRSTVWXZ"; /* no vowels, so no words */
    for (int i = 0; i < 9; i++)
        out[i] = i == 4 ? '-' : letters[rand_below(sizeof letters - 1)];
    out[9] = 0;
}

void serve_device_start(struct endpoint *e)
{
    struct token_form f = {0};
    struct login l = {.until_us = time_now_us() + DEVICE_LIFE_S * US_PER_S};
    char code[CODE_LEN + 1], message[400];
    struct diag d = DIAG_INIT;
    if (!check_tenant(e, true) || !form_read(e, &f) || !form_require(e, f.client_id, "client_id")) {
        return;
    }
    if (!is_public_client(f.client_id)) {
        answer_oauth_error(e, 400, "unauthorized_client", 700016,
                           "Application with identifier '%.60s' was not found in the directory "
                           "'%s'.",
                           f.client_id, e->id->tenant_id);
        return;
    }
    if (!people_scope(e->id, f.scope, f.resource, &l)) {
        answer_oauth_error(e, 400, "invalid_scope", 70011,
                           "The provided value for the input parameter 'scope' is not valid.");
        return;
    }
    snprintf(l.client_id, sizeof l.client_id, "%s", f.client_id);
    make_user_code(l.user_code);
    if (people_keep(e->id, &l, code, &d) != OK) {
        answer_oauth_error(e, 503, "temporarily_unavailable", 90033, "%s.", d.text);
        return;
    }
    snprintf(message, sizeof message,
             "To sign in, use a web browser to open the page %s/device and enter the code %s to "
             "authenticate.",
             e->id->endpoint, l.user_code);
    answer_json(e, 200,
                json_pack("{s:s, s:s, s:o, s:o, s:i, s:i, s:s}", "device_code", code, "user_code",
                          l.user_code, "verification_uri",
                          json_sprintf("%s/device", e->id->endpoint), "verification_url",
                          json_sprintf("%s/device", e->id->endpoint), "expires_in", DEVICE_LIFE_S,
                          "interval", DEVICE_POLL_S, "message", message));
    wipe(code, sizeof code);
}

static void approve(struct endpoint *e, struct token_form *f)
{
    const char *name = form_only(f, "name"), *password = form_only(f, "password"),
               *code = form_only(f, "user_code");
    struct principal p;
    const char *shown = code != NULL ? code : "";
    if (!page_form_is_ours(e, f) || name == NULL || password == NULL || code == NULL) {
        page_login(e, 400, "/device", "Please try again.", NULL, 0, shown);
    } else if (!people_may_try(e->id, name, e->req->peer)) {
        http_set(e->res, "Retry-After", "900");
        page_login(e, 429, "/device", "Too many tries. Wait a quarter of an hour.", NULL, 0, shown);
    } else if (!people_check(e->id, name, password, e->req->peer, &p)) {
        page_login(e, 401, "/device", "Name and password do not fit.", NULL, 0, shown);
    } else if (!people_approve(e->id, code, p.object_id)) {
        page_login(e, 404, "/device", "No program waits for this code any more.", NULL, 0, "");
    } else {
        LOG(INFO, "identity.signed_in", F_STR("name", p.name), F_STR("peer", e->req->peer));
        page_text(e, 200, "You are signed in", "Go back to the program. This page can be closed.");
    }
}

void serve_device_page(struct endpoint *e)
{
    struct token_form f = {0};
    if (str_eq(e->req->method, "POST")) {
        if (form_read(e, &f)) approve(e, &f);
    } else {
        page_login(e, 200, "/device", NULL, NULL, 0, "");
    }
}
