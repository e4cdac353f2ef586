/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net/http_recall.h - an answer that can be taken back while it is on its way
 *
 * A client may read as slowly as it likes. Rows whose key has gone must not wait for it: a recall
 * wipes what has not been sent and hangs up, so that the client sees a broken answer, not a short
 * one.
 */
#pragma once

#include "base/bytes.h"

#include <pthread.h>

struct http_recall {
    /* The server is done with the object, sent or not: called once for each that was handed to it
     * in a response, on any thread, under no lock. */
    void (*done)(struct http_recall *r);
    /* private from here */
    pthread_mutex_t lock;
    struct buf body;
    int fd; /* of the connection while the body is on its way, else -1 */
    bool recalled;
};

void http_recall_init(struct http_recall *r, void (*done)(struct http_recall *r));
void http_recall_release(struct http_recall *r);
/* From init to release at any time, also before the server has the body: nothing goes out then. */
void http_recall_now(struct http_recall *r);

struct MHD_Connection;
struct MHD_Response;
/* For the server. Takes body; done() comes when the response is destroyed, or at once where NULL is
 * returned: recalled already, or no memory. */
struct MHD_Response *http_recall_response(struct http_recall *r, struct MHD_Connection *c,
                                          struct buf *body);
