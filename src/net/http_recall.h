/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net/http_recall.h - an answer that can be taken back while it is on its way
 *
 * A client may read as slowly as it likes. Rows whose key has gone must not wait for it: a recall
 * wipes what has not been sent and resets the connection, so that the client sees a broken answer,
 * not a short one, and sees it whether it reads or not.
 */
#pragma once

#include "base/bytes.h"

#include <pthread.h>

/* The beginning of a body that does not lie in memory; what is in the response's buffer follows it. */
struct http_stored {
    uint64_t len; /* bytes; 0 = there is none */
    /* Copies at least one byte from `at` on, at most max; 0: that is not to be had any more. Called
     * on the connection's thread, one piece after the other. */
    size_t (*read)(void *ctx, uint64_t at, uint8_t *to, size_t max);
    /* Forgets what was read, at once: the answer is recalled, or sent. */
    void (*forget)(void *ctx);
    void *ctx;
};

struct http_recall {
    struct http_stored stored; /* set before the response is handed over */
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
