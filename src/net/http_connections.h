/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net/http_connections.h - who is connected, and who has to go when somebody else wants in; inside
 * net/ only
 *
 * When `max` connections are open, a newcomer takes the place of one that runs no request: of the
 * address that holds most places, one that waits for a request before one that is in the middle of
 * sending it, and among those the one that has done so longest. So whoever opens connections and
 * says nothing drives out its own, and nobody else's. Where all are at work the newcomer is one too
 * many: its request is answered 503.
 */
#pragma once

#include "base/err.h"

#include <pthread.h>
#include <sys/socket.h>

enum connection_state {
    CONNECTION_WAITS, /* for a request, or for the end of the TLS handshake */
    CONNECTION_READS, /* a request has begun */
    CONNECTION_RUNS,  /* the handler runs, or the answer is on its way */
    CONNECTION_GOES,  /* hung up on; it does not count any more */
};

struct http_peer;
struct http_connection {
    struct http_connection *prev, *next;
    struct http_peer *peer;
    int fd; /* the library's; valid until the connection leaves */
    enum connection_state state;
    uint64_t since; /* turn of the last change of state */
    bool excess;
};

struct http_connections {
    unsigned max;
    pthread_mutex_t lock; /* of all that follows */
    unsigned n;           /* without those that go */
    uint64_t turn;
    struct http_connection *first;
    struct http_peer *peers;
};

void connections_init(struct http_connections *cs, unsigned max);
void connections_release(struct http_connections *cs); /* all have left */

/* NULL, no memory: the connection is served as one too many. from NULL: all of them are one peer. */
struct http_connection *connections_enter(struct http_connections *cs, int fd,
                                          const struct sockaddr *from);
void connections_leave(struct http_connections *cs, struct http_connection *c); /* NULL is fine */
void connections_mark(struct http_connections *cs, struct http_connection *c,
                      enum connection_state s); /* NULL is fine */
bool connection_is_excess(const struct http_connection *c);
