/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net/http_recall.c - bodies that are copied out piece by piece, so that they can vanish in between
 *
 * fd is valid from response to done: the library closes a connection only after it has destroyed
 * the response. What it has copied of the body, a piece at most, goes when it notices the shutdown.
 */
#include "net/http_recall.h"

#include "base/thread.h"

#include <microhttpd.h>
#include <sys/socket.h>

#define PIECE ((size_t)64 << 10) /* bytes copied at a time */

void http_recall_init(struct http_recall *r, void (*done)(struct http_recall *r))
{
    *r = (struct http_recall){.done = done, .fd = -1};
    pthread_mutex_init(&r->lock, NULL);
}

void http_recall_release(struct http_recall *r)
{
    buf_release(&r->body);
    pthread_mutex_destroy(&r->lock);
}

static void forget(struct http_recall *r)
{
    if (r->stored.forget != NULL) r->stored.forget(r->stored.ctx);
    buf_release(&r->body);
}

/* Wakes whoever waits for the client, who then closes: with a linger of zero that sends RST, and the
 * kernel forgets what it still held. A mere FIN would queue behind that, and behind a window that a
 * client which does not read keeps shut. */
static void hang_up(int fd)
{
    const struct linger now = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    (void)shutdown(fd, SHUT_RDWR);
}

void http_recall_now(struct http_recall *r)
{
    LOCK_SCOPE(&r->lock);
    r->recalled = true;
    forget(r);
    if (r->fd >= 0) hang_up(r->fd);
}

static ssize_t read_piece(void *cls, uint64_t at, char *to, size_t max)
{
    struct http_recall *r = cls;
    LOCK_SCOPE(&r->lock);
    uint64_t before = r->stored.len;
    if (r->recalled || at >= before + r->body.len) return MHD_CONTENT_READER_END_WITH_ERROR;
    if (at < before) {
        size_t most = before - at < max ? (size_t)(before - at) : max;
        size_t n = r->stored.read(r->stored.ctx, at, (uint8_t *)to, most);
        return n != 0 ? (ssize_t)n : MHD_CONTENT_READER_END_WITH_ERROR;
    }
    at -= before;
    size_t n = r->body.len - (size_t)at < max ? r->body.len - (size_t)at : max;
    memcpy(to, r->body.p + at, n);
    return (ssize_t)n;
}

static void finish(void *cls)
{
    struct http_recall *r = cls;
    {
        LOCK_SCOPE(&r->lock);
        r->fd = -1;
        forget(r);
    }
    r->done(r);
}

static struct MHD_Response *start(struct http_recall *r, struct MHD_Connection *c, struct buf *body)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
    LOCK_SCOPE(&r->lock);
    if (r->recalled || info == NULL) return NULL;
    struct MHD_Response *m =
        MHD_create_response_from_callback(r->stored.len + body->len, PIECE, read_piece, r, finish);
    if (m == NULL) return NULL;
    r->body = *body;
    *body = (struct buf){0};
    r->fd = info->connect_fd;
    return m;
}

struct MHD_Response *http_recall_response(struct http_recall *r, struct MHD_Connection *c,
                                          struct buf *body)
{
    struct MHD_Response *m = start(r, c, body);
    buf_release(body);
    if (m == NULL) r->done(r);
    return m;
}
