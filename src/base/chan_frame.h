/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/chan_frame.h - whole frames over a socket, each with a deadline; for base/chan.c only
 *
 * (1) A peer that does not read costs a sender no more than his deadline, and no frame its wholeness:
 *     what is left of one that was begun is kept, and goes before the next.
 */
#pragma once

#include "base/bytes.h"

#include <pthread.h>

struct frame { /* base/chan.h has its bytes */
    uint64_t id;
    uint16_t method, error;
    struct buf body;
};

/* --- reading; false: the peer is gone, or says what is not a frame */

bool frame_read_header(int fd, struct frame *f, uint32_t *len); /* len <= CHAN_BODY_MAX */
bool frame_read_body(int fd, struct frame *f, uint32_t len);    /* false too: out of memory */
bool frame_discard(int fd, uint32_t len);                       /* reads a body, and forgets it */

/* --- sending */

struct frame_out {
    pthread_mutex_t lock; /* guards taken */
    pthread_cond_t freed;
    bool taken;      /* from begin to end; what follows is whose it is */
    struct buf rest; /* (1) */
    size_t rest_sent;
    uint64_t rest_generation;
};

enum frame_sent {
    FRAME_SENT,
    FRAME_LATE, /* the deadline is over: the frame was not sent, or its rest goes later */
    FRAME_GONE, /* the peer is gone */
};

void frame_out_init(struct frame_out *o);
void frame_out_release(struct frame_out *o);
/* Deadlines are of time_mono_us(); 0: now or never. False: somebody else sends until then. */
bool frame_out_begin(struct frame_out *o, int64_t until);
void frame_out_end(struct frame_out *o);
void frame_out_forget(struct frame_out *o, uint64_t generation); /* its rest: it is over */
/* A rest goes to the generation only that it was for. f->body is not read, body is. */
enum frame_sent frame_out_send(struct frame_out *o, int fd, uint64_t generation,
                               const struct frame *f, struct bytes body, int64_t until);
