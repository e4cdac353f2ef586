/* SPDX-License-Identifier: Apache-2.0 */
/* base/chan_frame.c - whole frames over a socket, each with a deadline */
#include "base/chan_frame.h"

#include "base/chan.h"
#include "base/thread.h"
#include "base/time.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#define HEADER_LEN 16
#define DISCARD    65536u /* bytes in one go */

/* --- reading
 * ------------------------------------------------------------------------------------------ */

static bool read_all(int fd, void *to, size_t n)
{
    uint8_t *p = to;
    while (n != 0) {
        ssize_t k = recv(fd, p, n, 0);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return false;
        p += k;
        n -= (size_t)k;
    }
    return true;
}

bool frame_read_header(int fd, struct frame *f, uint32_t *len)
{
    uint8_t header[HEADER_LEN];
    if (!read_all(fd, header, sizeof header)) return false;
    struct rd r = rd_from(bytes_of(header, sizeof header));
    *len = rd_u32(&r);
    *f = (struct frame){.id = rd_u64(&r), .method = rd_u16(&r), .error = rd_u16(&r)};
    return *len <= CHAN_BODY_MAX;
}

bool frame_read_body(int fd, struct frame *f, uint32_t len)
{
    uint8_t *body = buf_extend(&f->body, len);
    if (body != NULL && read_all(fd, body, len)) return true;
    buf_release(&f->body);
    return false;
}

bool frame_discard(int fd, uint32_t len)
{
    CLEANUP_BUF struct buf nowhere = {0};
    uint8_t *p = buf_extend(&nowhere, len < DISCARD ? len : DISCARD);
    for (size_t n = 0; p != NULL && len != 0; len -= (uint32_t)n) {
        n = len < DISCARD ? len : DISCARD;
        if (!read_all(fd, p, n)) return false;
    }
    return p != NULL;
}

/* --- sending
 * ------------------------------------------------------------------------------------------ */

void frame_out_init(struct frame_out *o)
{
    *o = (struct frame_out){0};
    pthread_mutex_init(&o->lock, NULL);
    cond_init(&o->freed);
}

void frame_out_release(struct frame_out *o)
{
    buf_release(&o->rest);
    pthread_cond_destroy(&o->freed);
    pthread_mutex_destroy(&o->lock);
}

bool frame_out_begin(struct frame_out *o, int64_t until)
{
    LOCK_SCOPE(&o->lock);
    while (o->taken) {
        if (!cond_wait_until(&o->freed, &o->lock, until) && o->taken) return false;
    }
    o->taken = true;
    return true;
}

void frame_out_end(struct frame_out *o)
{
    LOCK_SCOPE(&o->lock);
    o->taken = false;
    pthread_cond_signal(&o->freed);
}

void frame_out_forget(struct frame_out *o, uint64_t generation)
{
    if (o->rest_generation == generation) buf_release(&o->rest);
}

static bool wait_writable(int fd, int64_t until)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    for (;;) {
        int64_t left_us = until - time_mono_us();
        if (left_us <= 0) return false;
        int k = poll(&p, 1, (int)(left_us / 1000 < 3600000 ? left_us / 1000 + 1 : 3600000));
        if (k > 0) return true;
        if (k < 0 && errno != EINTR) return false;
    }
}

/* *b is what is left. */
static enum frame_sent send_part(int fd, struct bytes *b, int64_t until)
{
    while (b->len != 0) {
        ssize_t k = send(fd, b->p, b->len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0 && errno == EAGAIN) {
            if (!wait_writable(fd, until)) return FRAME_LATE;
            continue;
        }
        if (k < 0) return FRAME_GONE;
        b->p += k;
        b->len -= (size_t)k;
    }
    return FRAME_SENT;
}

/* What an earlier sender of this generation had to leave. */
static enum frame_sent send_rest(struct frame_out *o, int fd, uint64_t generation, int64_t until)
{
    if (o->rest_generation != generation) buf_release(&o->rest);
    if (o->rest.len == 0) return FRAME_SENT;
    struct bytes left = bytes_of(o->rest.p + o->rest_sent, o->rest.len - o->rest_sent);
    enum frame_sent s = send_part(fd, &left, until);
    o->rest_sent = o->rest.len - left.len;
    if (s == FRAME_SENT) buf_release(&o->rest);
    return s;
}

/* False: there is no memory for it, and the connection has to end. */
static bool keep_rest(struct frame_out *o, uint64_t generation, struct bytes header,
                      struct bytes body)
{
    o->rest_generation = generation;
    o->rest_sent = 0;
    buf_bytes(&o->rest, header);
    buf_bytes(&o->rest, body);
    if (buf_check(&o->rest, NULL) == OK) return true;
    buf_release(&o->rest);
    return false;
}

enum frame_sent frame_out_send(struct frame_out *o, int fd, uint64_t generation,
                               const struct frame *f, struct bytes body, int64_t until)
{
    CLEANUP_BUF struct buf header = {0};
    buf_u32(&header, (uint32_t)body.len);
    buf_u64(&header, f->id);
    buf_u16(&header, f->method);
    buf_u16(&header, f->error);
    if (buf_check(&header, NULL) != OK) return FRAME_LATE;
    struct bytes head = buf_view(&header);
    enum frame_sent s = send_rest(o, fd, generation, until);
    if (s != FRAME_SENT) return s;
    s = send_part(fd, &head, until);
    if (s == FRAME_SENT) s = send_part(fd, &body, until);
    bool begun = head.len != header.len;
    if (s == FRAME_LATE && begun && !keep_rest(o, generation, head, body)) {
        shutdown(fd, SHUT_RDWR); /* half a frame would be read as the beginning of the next */
        return FRAME_GONE;
    }
    return s;
}
