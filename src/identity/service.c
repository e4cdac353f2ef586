/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity/service.c - what a peer may ask, and the answers
 *
 * The table is the whole policy between processes: the front door can forward and ask, but only
 * keyd gets a managed identity's token.
 */
#include "identity/state.h"
#include "identity/wire.h"

#include "base/log.h"
#include "base/time.h"

#define LOGS       (1u << IDENTITY_PEER_LOGS)
#define VAULT      (1u << IDENTITY_PEER_VAULT)
#define KEYD       (1u << IDENTITY_PEER_KEYD)
#define SUPERVISOR (1u << IDENTITY_PEER_SUPERVISOR)

struct service_call {
    struct identity *id;
    struct arena *a;
    struct rd in;
    struct buf *out;
};

static enum err bad_message(struct diag *d)
{
    return FAIL(d, ERR_INVALID, "identity: a message that cannot be read");
}

static enum err serve_keys(struct service_call *c, struct diag *d)
{
    char issuer[ISSUER_MAX];
    CLEANUP_JSON json_t *answer = NULL;
    if (!rd_done(&c->in)) return bad_message(d);
    TRY(signer_key_set(c->id, &answer, d));
    CLEANUP_JSON json_t *issuers = json_array();
    for (int kind = TOKEN_V1; kind <= TOKEN_ADFS; kind++) {
        token_issuer(c->id, (enum token_kind)kind, issuer);
        if (json_array_append_new(issuers, json_string(issuer)) != 0) {
            return FAIL(d, ERR_LIMIT, "out of memory");
        }
    }
    if (json_object_set(answer, "issuers", issuers) != 0 ||
        json_object_set_new(answer, "foreign", foreign_issuers(c->id)) != 0)
        return FAIL(d, ERR_LIMIT, "out of memory");
    return json_write(answer, c->out, d);
}

static enum err serve_authorize(struct service_call *c, struct diag *d)
{
    const char *object_id = wire_text(&c->in, c->a), *action = wire_text(&c->in, c->a);
    bool is_data = rd_u8(&c->in) != 0;
    const char *scope = wire_text(&c->in, c->a);
    if (!rd_done(&c->in)) return bad_message(d);
    return rbac_authorize(c->id, object_id, action, is_data, scope, d);
}

/* The identity of a resource: below a subscription, so never the platform's own. */
static enum err read_resource(struct service_call *c, char out[RESOURCE_ID_MAX], struct diag *d)
{
    const char *arm_id = wire_text(&c->in, c->a);
    if (!rd_done(&c->in)) return bad_message(d);
    TRY(scope_canonical(arm_id, out, d));
    if (!str_starts(out, "/subscriptions/") || strstr(out, "/providers/") == NULL) {
        return FAIL(d, ERR_INVALID, "\"%.200s\" is not the ARM id of a resource", arm_id);
    }
    return OK;
}

static enum err serve_managed_ensure(struct service_call *c, struct diag *d)
{
    char resource[RESOURCE_ID_MAX];
    struct principal p;
    TRY(read_resource(c, resource, d));
    TRY(principal_ensure_managed(c->id, resource, &p, d));
    wire_put_text(c->out, p.object_id);
    wire_put_text(c->out, p.client_id);
    wire_put_text(c->out, c->id->tenant_id);
    return OK;
}

static enum err serve_managed_delete(struct service_call *c, struct diag *d)
{
    char resource[RESOURCE_ID_MAX];
    TRY(read_resource(c, resource, d));
    return principal_delete_managed(c->id, resource, d);
}

static enum err serve_token(struct service_call *c, struct diag *d)
{
    const char *principal_id = wire_text(&c->in, c->a), *resource = wire_text(&c->in, c->a);
    struct principal p;
    int64_t expires_us = 0;
    CLEANUP_BUF struct buf token = {0};
    if (!rd_done(&c->in)) return bad_message(d);
    if (!principal_by_object(c->id, principal_id, &p)) {
        return FAIL_TAG(d, ERR_DENIED, "IdentityGone", "no identity %.40s", principal_id);
    }
    if (p.kind != PRINCIPAL_MANAGED) {
        return FAIL(d, ERR_DENIED, "%s is an application: it shows its secret itself", p.object_id);
    }
    if (p.is_disabled) return FAIL(d, ERR_UNAVAILABLE, "the identity %s is disabled", p.name);
    const struct token_wish w = {
        .kind = TOKEN_V1, .principal = &p, .audience = resource, .acr = "2"};
    TRY(token_issue(c->id, &w, &token, &expires_us, d));
    buf_blob(c->out, buf_view(&token));
    buf_u64(c->out, (uint64_t)expires_us);
    return OK;
}

static enum err serve_forward(struct service_call *c, struct diag *d)
{
    struct http_request req;
    struct http_response res = {.a = c->a};
    TRY(wire_request(&c->in, c->a, &req, d));
    identity_http(c->id, &req, &res);
    enum err e = buf_check(&res.body, d);
    if (e == OK) wire_put_response(c->out, &res);
    buf_release(&res.body);
    return e;
}

/* A token that is not ours: identity alone knows the keys of foreign issuers. */
static enum err serve_foreign(struct service_call *c, struct diag *d)
{
    const char *token = wire_text(&c->in, c->a), *audiences[16];
    uint32_t n = rd_u32(&c->in);
    char object_id[GUID_TEXT_MAX];
    if (n >= sizeof audiences / sizeof *audiences) return bad_message(d);
    for (uint32_t i = 0; i < n; i++)
        audiences[i] = wire_text(&c->in, c->a);
    audiences[n] = NULL;
    if (!rd_done(&c->in)) return bad_message(d);
    TRY(foreign_read(c->id, token, audiences, object_id, d));
    wire_put_text(c->out, object_id);
    wire_put_text(c->out, c->id->tenant_id);
    return OK;
}

static enum err serve_groups(struct service_call *c, struct diag *d)
{
    const char *object_id = wire_text(&c->in, c->a);
    if (!rd_done(&c->in)) return bad_message(d);
    return rbac_groups(c->id, object_id, c->out, d);
}

static enum err serve_ending(struct service_call *c, struct diag *d)
{
    if (!rd_done(&c->in)) return bad_message(d);
    CLEANUP_JSON json_t *list = watch_ending(c->id, time_now_us());
    return json_write(list, c->out, d);
}

static enum err serve_subscription_open(struct service_call *c, struct diag *d)
{
    const char *subscription = wire_text(&c->in, c->a), *object_id = wire_text(&c->in, c->a);
    if (!rd_done(&c->in)) return bad_message(d);
    return subscription_open(c->id, subscription, object_id, d);
}

static const struct {
    unsigned peers;
    enum err (*serve)(struct service_call *c, struct diag *d);
} methods[ID_METHODS_END] = {
    [ID_KEYS] = {LOGS | VAULT | KEYD | SUPERVISOR, serve_keys},
    [ID_AUTHORIZE] = {LOGS | VAULT, serve_authorize},
    [ID_MANAGED_ENSURE] = {LOGS, serve_managed_ensure},
    [ID_MANAGED_DELETE] = {LOGS, serve_managed_delete},
    [ID_TOKEN] = {KEYD, serve_token},
    [ID_FORWARD] = {LOGS, serve_forward},
    [ID_FOREIGN] = {LOGS | VAULT, serve_foreign},
    [ID_GROUPS] = {LOGS | VAULT, serve_groups},
    [ID_ENDING] = {LOGS, serve_ending},
    [ID_SUBSCRIPTION_OPEN] = {LOGS, serve_subscription_open},
};

static const char *peer_name(enum identity_role role)
{
    static const char *const names[] = {"logs", "vault", "keyd", "supervisor"};
    return (unsigned)role < 4 ? names[role] : "?";
}

enum err identity_serve(void *peer, uint16_t method, struct bytes in, struct buf *out,
                        struct diag *d)
{
    const struct identity_peer *p = peer;
    if (method >= ID_METHODS_END || methods[method].serve == NULL) {
        return FAIL(d, ERR_UNSUPPORTED, "identity: no method %u", method);
    }
    if ((methods[method].peers & 1u << p->role) == 0) {
        LOG(WARN, "identity.peer_refused", F_STR("peer", peer_name(p->role)),
            F_U64("method", method));
        return FAIL_TAG(d, ERR_DENIED, "Peer", "identity: %s may not ask this", peer_name(p->role));
    }
    CLEANUP_ARENA struct arena a;
    arena_init(&a, 0);
    struct service_call c = {.id = p->id, .a = &a, .in = rd_from(in), .out = out};
    return methods[method].serve(&c, d);
}
