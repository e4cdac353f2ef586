/* SPDX-License-Identifier: Apache-2.0 */
/* net/http_read.c - a request as it comes in: what is malformed or too long is refused here */
#include "net/http_exchange.h"

#include "base/str.h"
#include "base/thread.h"
#include "net/http_target.h"

#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#define BODIES_HELD_MAX  8 /* times body_max, over all connections: nobody has shown a token yet */
#define BODY_SKIPPED_MAX 2 /* times body_max: read and dropped, so that the 413 arrives */
#define HEADERS_MAX      256

void exchange_refuse(struct exchange *x, int status, const char *why)
{
    if (x->refuse != 0) return;
    x->refuse = status;
    snprintf(x->why, sizeof x->why, "%s", why);
}

static void refuse_for(struct exchange *x, int status, enum err e, const struct diag *d)
{
    if (e != OK) exchange_refuse(x, status, d->text);
}

static struct http_connection *connection_of(struct MHD_Connection *c)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info != NULL ? info->socket_context : NULL;
}

struct exchange *exchange_begin(struct http_shared *s, const char *uri, struct MHD_Connection *c)
{
    struct exchange *x = calloc(1, sizeof *x);
    if (x == NULL) return NULL;
    x->shared = s;
    x->connection = connection_of(c);
    x->body.max = s->body_max + 1;
    x->target_end = (uintptr_t)uri + strlen(uri);
    arena_init(&x->a, 0);
    x->req.a = &x->a;
    struct diag d = DIAG_INIT;
    enum err e = http_read_target(&x->req, uri, &d);
    refuse_for(x, e == ERR_LIMIT ? 414 : 400, e, &d);
    return x;
}

void exchange_wipe(struct exchange *x)
{
    arena_release(&x->a);
    buf_release(&x->body);
    x->req = (struct http_request){.a = &x->a};
    LOCK_SCOPE(&x->shared->lock);
    x->shared->bodies_held -= x->held;
    x->held = 0;
}

static enum MHD_Result on_field(void *cls, enum MHD_ValueKind kind, const char *name,
                                const char *value)
{
    (void)kind;
    struct exchange *x = cls;
    if (x->req.n_headers == HEADERS_MAX) {
        exchange_refuse(x, 431, "too many headers");
        return MHD_NO;
    }
    struct http_field *f = (struct http_field *)&x->req.headers[x->req.n_headers++];
    f->name = arena_str(&x->a, bytes_str(name));
    f->value = arena_str(&x->a, bytes_str(value != NULL ? value : ""));
    if (f->name != NULL && f->value != NULL) return MHD_YES;
    exchange_refuse(x, 431, "headers too long");
    x->req.n_headers--;
    return MHD_NO;
}

static unsigned count_header(const struct http_request *r, const char *name)
{
    unsigned n = 0;
    for (uint32_t i = 0; i < r->n_headers; i++)
        n += str_eq_nocase(r->headers[i].name, name);
    return n;
}

static void read_peer(struct exchange *x, struct MHD_Connection *c)
{
    char text[INET6_ADDRSTRLEN] = "";
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    if (info != NULL && info->client_addr != NULL) {
        const struct sockaddr *sa = info->client_addr;
        socklen_t len =
            sa->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
        if (sa->sa_family == AF_UNIX) {
            snprintf(text, sizeof text, "unix");
        } else { /* a failure leaves the text empty */
            (void)getnameinfo(sa, len, text, sizeof text, NULL, 0, NI_NUMERICHOST);
            x->req.peer_port =
                ntohs(sa->sa_family == AF_INET6 ? ((const struct sockaddr_in6 *)sa)->sin6_port
                                                : ((const struct sockaddr_in *)sa)->sin_port);
        }
    }
    x->req.peer = arena_str(&x->a, bytes_str(text));
    if (x->req.peer == NULL) x->req.peer = "";
}

static void read_socket(struct exchange *x, struct MHD_Connection *c)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (info == NULL) return;
    x->client = info->connect_fd;
    x->req.client = &x->client;
}

bool http_client_gone(const struct http_request *r)
{
    struct pollfd p = {.fd = r->client != NULL ? *r->client : -1, .events = POLLRDHUP};
    return poll(&p, 1, 0) == 1 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

/* A message whose length two servers could see differently is refused (RFC 9112 6.3). */
static void check_length(struct exchange *x)
{
    const struct http_request *r = &x->req;
    const char *length = http_header(r, "Content-Length");
    const char *coding = http_header(r, "Transfer-Encoding");
    uint64_t n = 0;
    if (coding != NULL && !str_eq_nocase(coding, "chunked")) {
        exchange_refuse(x, 501, "a transfer coding other than chunked");
    }
    if (length == NULL) return;
    if (coding != NULL || count_header(r, "Content-Length") > 1 ||
        str_u64(length, UINT64_MAX, &n, NULL) != OK) {
        exchange_refuse(x, 400, "the length of the body is not clear");
    } else if (n > x->shared->body_max) {
        exchange_refuse(x, 413, "the body is too long");
    }
}

/* The library hands out C strings: a raw zero byte would silently cut the target. Between target
 * and version there is the one byte that parted them, unless the version lies elsewhere. */
static bool is_cut(const struct exchange *x, const char *version)
{
    uintptr_t v = (uintptr_t)version;
    return v > x->target_end && v - x->target_end < CONNECTION_MEMORY && v - x->target_end != 1;
}

/* "Content-Length : 5" is a length to some servers and an unknown header to others (RFC 9112 5.1).
 */
static void check_names(struct exchange *x)
{
    for (uint32_t i = 0; i < x->req.n_headers; i++) {
        for (const char *p = x->req.headers[i].name; *p != 0; p++) {
            if (*p <= ' ' || *p >= 127) exchange_refuse(x, 400, "a blank in the name of a header");
        }
    }
}

void exchange_read_head(struct exchange *x, struct MHD_Connection *c, const char *method,
                        const char *version)
{
    struct diag d = DIAG_INIT;
    x->req.method = arena_str(&x->a, bytes_str(method));
    x->req.headers = arena_array(&x->a, struct http_field, HEADERS_MAX);
    if (x->req.method == NULL || x->req.headers == NULL) {
        x->req.method = "";
        x->req.headers = NULL;
        exchange_refuse(x, 431, "headers too long");
        return;
    }
    (void)MHD_get_connection_values(c, MHD_HEADER_KIND, on_field, x);
    read_peer(x, c);
    read_socket(x, c);
    if (!str_eq(version, "HTTP/1.1") && !str_eq(version, "HTTP/1.0")) {
        exchange_refuse(x, 400, "HTTP/1.1 only");
    }
    if (is_cut(x, version)) exchange_refuse(x, 400, "a zero byte in the request target");
    if (count_header(&x->req, "Host") > 1) exchange_refuse(x, 400, "two Host headers");
    refuse_for(x, 400, http_read_host(&x->req, http_header(&x->req, "Host"), &d), &d);
    check_names(x);
    check_length(x);
    if (connection_is_excess(x->connection)) exchange_refuse(x, 503, "too many connections");
}

static bool hold(struct exchange *x, size_t n)
{
    struct http_shared *s = x->shared;
    LOCK_SCOPE(&s->lock);
    if (n > s->body_max * BODIES_HELD_MAX - s->bodies_held) return false;
    s->bodies_held += n;
    x->held += n;
    return true;
}

bool exchange_take_body(struct exchange *x, struct bytes b)
{
    if (x->refuse == 0 && b.len > x->shared->body_max - x->body.len) {
        exchange_refuse(x, 413, "the body is too long");
    }
    if (x->refuse == 0 && !hold(x, b.len)) exchange_refuse(x, 503, "too many bytes are under way");
    if (x->refuse != 0) {
        buf_release(&x->body);
        x->skipped += b.len;
        return x->skipped <= x->shared->body_max * BODY_SKIPPED_MAX;
    }
    buf_bytes(&x->body, b);
    if (x->body.bad) exchange_refuse(x, 503, "out of memory");
    return true;
}

bool exchange_worth_reading(const struct exchange *x)
{
    uint64_t n = 0;
    const char *length = http_header(&x->req, "Content-Length");
    const char *coding = http_header(&x->req, "Transfer-Encoding");
    if (x->refuse == 0) return true;
    if (length == NULL) return coding != NULL && str_eq_nocase(coding, "chunked");
    return str_u64(length, x->shared->body_max * BODY_SKIPPED_MAX, &n, NULL) == OK && n != 0;
}
