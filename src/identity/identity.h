/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity/identity.h - the identity service: it alone signs tokens and knows who may do what
 *
 * Runs in a process of its own (`keystead identity`). Its peers reach it over channels
 * (base/chan.h), each with a role; what a role may ask stands in identity/service.c as a table.
 * State is a sealed kvstore in its own directory, under its own root key.
 */
#pragma once

#include "base/chan.h"
#include "net/http_server.h"

struct identity;

struct identity_config {
    const char *dir;          /* DIR/identity */
    const char *endpoint;     /* "https://localhost:8443": issuer and discovery URLs */
    const char *issuers_file; /* foreign issuers (docs/operate/identity.md); NULL: none */
    bool has_watch;           /* keys are rotated and ends are warned of by the clock */
};

/* What a data directory is born with; the supervisor writes it to credentials.json. */
struct identity_founder {
    char tenant_id[37], subscription_id[37], client_id[37], object_id[37];
    char client_secret[65];      /* set only by the call that made it; else "" */
    char platform_object_id[37]; /* the platform's own identity: owns the PMK */
};

/* Opens the store; on first start makes tenant, signing key, owner principal (Owner of the
 * subscription) and the platform's identity. */
enum err identity_open(struct identity **out, const struct identity_config *c,
                       struct identity_founder *founder, struct diag *d);
void identity_close(struct identity *id);

/* Every path that identity answers; plane "open" needs no token. */
void identity_routes(http_route_visit *visit, void *ctx);

enum identity_role {
    IDENTITY_PEER_LOGS,
    IDENTITY_PEER_VAULT,
    IDENTITY_PEER_KEYD,
    IDENTITY_PEER_SUPERVISOR
};

/* Handler for one channel: chan_new(..., identity_serve, &peer). */
struct identity_peer {
    struct identity *id;
    enum identity_role role;
};
enum err identity_serve(void *peer, uint16_t method, struct bytes in, struct buf *out,
                        struct diag *d);
