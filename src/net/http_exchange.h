/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net/http_exchange.h - one request and its answer, while they are under way; inside net/ only
 *
 * An exchange is made when the first line of a request is read, and freed when its answer is out or
 * its connection is gone. Its arena and body are wiped as soon as the handler has returned.
 */
#pragma once

#include "net/http_connections.h"
#include "net/http_server.h"

#include <microhttpd.h>
#include <pthread.h>

#define CONNECTION_MEMORY ((size_t)128 << 10) /* bytes: target and headers, tokens among them */

/* What the exchanges of a server share. */
struct http_shared {
    size_t body_max;
    struct http_connections connections;
    pthread_mutex_t lock; /* of what follows; never held over a call */
    pthread_cond_t change;
    unsigned n_running;
    size_t bodies_held;
    bool stopping;
};

struct exchange {
    struct http_shared *shared;
    struct http_connection *connection;
    struct arena a;
    struct http_request req;
    struct buf body;
    size_t held, skipped; /* bytes: counted in bodies_held; read but not kept */
    int client;           /* the connection's socket */
    uintptr_t target_end; /* address behind the target in the library's buffer */
    int refuse;           /* the status that answers this request, 0 = the handler does */
    char why[256];
    bool seen, running;
};

/* The first line has been read; nothing is decoded yet. NULL: no memory. */
struct exchange *exchange_begin(struct http_shared *s, const char *uri, struct MHD_Connection *c);
void exchange_wipe(struct exchange *x); /* what the client sent, and what it was counted as */

/* http_read.c. What is wrong with a message becomes x->refuse; the first refusal stands. */
void exchange_refuse(struct exchange *x, int status, const char *why);
void exchange_read_head(struct exchange *x, struct MHD_Connection *c, const char *method,
                        const char *version);
/* False: more has come than is worth reading; hang up. */
bool exchange_take_body(struct exchange *x, struct bytes b);
/* A body that is far over the limit is not worth reading; a little over it is, so that the client,
 * busy sending, gets to see the answer. */
bool exchange_worth_reading(const struct exchange *x);

/* http_answer.c */
/* Takes r->body. last: nothing else is said on this connection. */
enum MHD_Result answer_send(struct MHD_Connection *c, struct http_response *r, bool last);
enum MHD_Result answer_refusal(struct exchange *x, struct MHD_Connection *c);
