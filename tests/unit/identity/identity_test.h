/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/identity/identity_test.h - an identity service behind real channels, one for each kind
 * of peer */
#pragma once

#include "test.h"

#include "base/bytes.h"
#include "base/str.h"
#include "base/time.h"
#include "identity/identity.h"
#include "identity/identity_client.h"
#include "json/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define ENDPOINT "https://localhost:8443"

struct world {
    char dir[256];
    struct identity *id;
    struct identity_founder founder;
    struct identity_peer peers[4];
    struct chan *inside[4], *outside[4];
    struct identity_client *clients[4]; /* by enum identity_role */
};

__attribute__((unused)) static void world_open(struct world *w, const char *name)
{
    struct diag d = DIAG_INIT;
    *w = (struct world){0};
    snprintf(w->dir, sizeof w->dir, "%s/%s", test_dir(), name);
    struct identity_config c = {.dir = w->dir, .endpoint = ENDPOINT};
    REQUIRE_OK(identity_open(&w->id, &c, &w->founder, &d));
    for (int i = 0; i < 4; i++) {
        int fds[2];
        w->peers[i] = (struct identity_peer){w->id, (enum identity_role)i};
        REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
        REQUIRE_OK(chan_new(&w->inside[i], "peer", 2, identity_serve, &w->peers[i], &d));
        REQUIRE_OK(chan_new(&w->outside[i], "identity", 1, NULL, NULL, &d));
        REQUIRE_OK(chan_attach(w->inside[i], fds[0], &d));
        REQUIRE_OK(chan_attach(w->outside[i], fds[1], &d));
        REQUIRE_OK(identity_client_new(&w->clients[i], w->outside[i], &d));
    }
}

__attribute__((unused)) static void world_close(struct world *w)
{
    for (int i = 0; i < 4; i++) {
        identity_client_free(w->clients[i]);
        chan_free(w->outside[i]);
        chan_free(w->inside[i]);
    }
    identity_close(w->id);
    explicit_bzero(w, sizeof *w);
}

/* --- HTTP through the front door's channel ---------------------------------------------------- */

struct reply {
    struct arena a;
    struct http_response res;
    json_t *json; /* NULL: no JSON */
};

__attribute__((unused)) static void reply_release(struct reply *r)
{
    json_decref(r->json);
    buf_release(&r->res.body);
    arena_release(&r->a);
}
#define CLEANUP_REPLY __attribute__((cleanup(reply_release)))

struct ask {
    const char *method, *path, *query, *body, *bearer, *header, *header_value;
};

/* path is decoded; query is not. */
__attribute__((unused)) static int ask(struct world *w, struct reply *r, struct ask q)
{
    struct diag d = DIAG_INIT;
    json_decref(r->json);
    buf_release(&r->res.body);
    arena_release(&r->a);
    *r = (struct reply){0};
    arena_init(&r->a, 0);
    r->res.a = &r->a;
    struct http_request req = {.a = &r->a,
                               .method = q.method,
                               .path = q.path,
                               .target = q.path,
                               .host = "localhost",
                               .authority = "localhost:8443",
                               .peer = "127.0.0.1",
                               .body = bytes_str(q.body != NULL ? q.body : "")};
    REQUIRE_OK(http_read_form(&r->a, bytes_str(q.query != NULL ? q.query : ""), &req.query,
                              &req.n_query, &d));
    char *authorization = str_fmt("Bearer %s", q.bearer != NULL ? q.bearer : "");
    struct http_field headers[2];
    if (q.bearer != NULL)
        headers[req.n_headers++] = (struct http_field){"authorization", authorization};
    if (q.header != NULL) headers[req.n_headers++] = (struct http_field){q.header, q.header_value};
    req.headers = headers;
    REQUIRE(identity_owns_path(q.path));
    REQUIRE_OK(identity_forward(w->clients[IDENTITY_PEER_LOGS], &req, &r->res, &d));
    free(authorization);
    if (r->res.body.len != 0) REQUIRE_OK(json_read(buf_view(&r->res.body), &r->json, &d));
    return r->res.status;
}

__attribute__((unused)) static const char *text_at(const struct reply *r, const char *name)
{
    const char *text = json_get_str(r->json, name);
    return text != NULL ? text : "(none)";
}

__attribute__((unused)) static const char *error_code(const struct reply *r)
{
    const char *text = json_string_value(json_at(r->json, "error", "code", NULL));
    return text != NULL ? text : "(none)";
}

/* The founder's token for a resource; free(). */
__attribute__((unused)) static char *founder_token(struct world *w, const char *secret,
                                                   const char *resource)
{
    CLEANUP_REPLY struct reply r = {0};
    char *path = str_fmt("/%s/oauth2/token", w->founder.tenant_id);
    char *body = str_fmt("grant_type=client_credentials&client_id=%s&client_secret=%s&resource=%s",
                         w->founder.client_id, secret, resource);
    EXPECT_EQ(ask(w, &r, (struct ask){.method = "POST", .path = path, .body = body}), 200);
    free(path);
    free(body);
    return str_dup(text_at(&r, "access_token"));
}
