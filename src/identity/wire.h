/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity/wire.h - methods and messages of identity's channels; inside identity/ only
 *
 * A message is a run of blobs (u32 length, bytes) and integers, little-endian, in the order given
 * here. Both ends come from one build and start together: there is no version.
 */
#pragma once

#include "base/chan.h"
#include "net/http_server.h"

enum identity_method {
    ID_KEYS = 1,          /* -> JSON {"keys":[...],"issuers":[...],"foreign":[...]} */
    ID_AUTHORIZE,         /* object id, action, u8 is data, scope -> nothing */
    ID_MANAGED_ENSURE,    /* ARM id -> principal id, client id, tenant id */
    ID_MANAGED_DELETE,    /* ARM id -> nothing */
    ID_TOKEN,             /* principal id, resource -> token, u64 expiry in us */
    ID_FORWARD,           /* request -> response */
    ID_FOREIGN,           /* token, u32 count, audiences -> object id, tenant id */
    ID_GROUPS,            /* object id -> u32 count, object ids of its groups */
    ID_ENDING,            /* -> JSON [{name, objectId, kind, id, expiresUs}] */
    ID_SUBSCRIPTION_OPEN, /* subscription, object id -> nothing */
    ID_METHODS_END
};

/* The next blob as text in the arena; marks r bad when it holds a zero byte or memory is out. */
const char *wire_text(struct rd *r, struct arena *a);
void wire_put_text(struct buf *b, const char *s); /* NULL as "" */

void wire_put_request(struct buf *b, const struct http_request *q);
enum err wire_request(struct rd *r, struct arena *a, struct http_request *out, struct diag *d);
void wire_put_response(struct buf *b, const struct http_response *s);
/* Fills status, headers and body of *out, whose arena is set. */
enum err wire_response(struct rd *r, struct http_response *out, struct diag *d);
