/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net/http_server.c - libmicrohttpd, one thread per connection
 *
 * (1) A request is an exchange: made when its first line is read, freed when its answer is out or
 *     its connection is gone. Its arena and body are wiped as soon as the handler has returned.
 * (2) s->lock guards the numbers below it and is never held over a call.
 * (3) Between count_in() and the end of the exchange the request is running: stop waits for it, and
 *     its connection stays open until the answer is out.
 */
#include "net/http_server.h"

#include "base/log.h"
#include "base/os.h"
#include "base/str.h"
#include "base/thread.h"
#include "net/http_recall.h"
#include "net/http_target.h"
#include "net/listen.h"
#include "net/served_cert.h"

#include <assert.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define BODY_MAX_DEFAULT        ((size_t)64 << 20) /* bytes */
#define CONNECTIONS_MAX_DEFAULT 512u
#define CONNECTIONS_SPARE       64u /* taken beyond the limit, to be told so */
#define IDLE_TIMEOUT_S_DEFAULT  120u
#define CONNECTION_MEMORY       ((size_t)128 << 10) /* bytes: target and headers, tokens among them */
#define BODIES_HELD_MAX         8 /* times body_max, over all connections: nobody has shown a token yet */
#define BODY_SKIPPED_MAX        2 /* times body_max: read and dropped, so that the 413 arrives */
#define HEADERS_MAX             256
#define PEM_MAX                 ((size_t)1 << 20) /* bytes */

struct http_server {
    struct MHD_Daemon *daemon;
    char *address;
    struct served_cert *cert; /* NULL: plain HTTP */
    http_handler *handler;
    void *ctx;
    size_t body_max;
    unsigned connections_max, port;
    pthread_mutex_t lock; /* (2) */
    pthread_cond_t change;
    unsigned n_connections, n_running;
    size_t bodies_held;
    bool stopping;
};

struct exchange {
    struct http_server *s;
    struct arena a;
    struct http_request req;
    struct buf body;
    size_t held, skipped; /* bytes: counted in bodies_held; read but not kept */
    uintptr_t target_end; /* address behind the target in the library's buffer */
    int refuse;           /* the status that answers this request, 0 = the handler does */
    char why[256];
    bool seen, running;
};

/* --- limits and life -------------------------------------------------------------------------- */

static bool hold(struct exchange *x, size_t n)
{
    LOCK_SCOPE(&x->s->lock);
    if (n > x->s->body_max * BODIES_HELD_MAX - x->s->bodies_held) return false;
    x->s->bodies_held += n;
    x->held += n;
    return true;
}

static bool count_in(struct exchange *x)
{
    LOCK_SCOPE(&x->s->lock);
    if (x->s->stopping) return false;
    x->s->n_running++;
    x->running = true;
    return true;
}

static void exchange_wipe(struct exchange *x)
{
    arena_release(&x->a);
    buf_release(&x->body);
    x->req = (struct http_request){.a = &x->a};
    LOCK_SCOPE(&x->s->lock);
    x->s->bodies_held -= x->held;
    x->held = 0;
}

static void on_completed(void *cls, struct MHD_Connection *c, void **own,
                         enum MHD_RequestTerminationCode code)
{
    (void)cls, (void)c, (void)code;
    struct exchange *x = *own;
    if (x == NULL) return;
    *own = NULL;
    exchange_wipe(x);
    if (x->running) {
        LOCK_SCOPE(&x->s->lock);
        x->s->n_running--;
        pthread_cond_broadcast(&x->s->change);
    }
    free(x);
}

static void on_connection(void *cls, struct MHD_Connection *c, void **own,
                          enum MHD_ConnectionNotificationCode code)
{
    (void)c;
    struct http_server *s = cls;
    LOCK_SCOPE(&s->lock);
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        s->n_connections--;
        return;
    }
    *own = ++s->n_connections > s->connections_max ? s : NULL; /* not NULL: one too many */
}

/* --- reading ---------------------------------------------------------------------------------- */

/* The first refusal stands. */
static void refuse(struct exchange *x, int status, const char *why)
{
    if (x->refuse != 0) return;
    x->refuse = status;
    snprintf(x->why, sizeof x->why, "%s", why);
}

static void refuse_for(struct exchange *x, int status, enum err e, const struct diag *d)
{
    if (e != OK) refuse(x, status, d->text);
}

/* The first line has been read; nothing is decoded yet. */
static void *on_target(void *cls, const char *uri, struct MHD_Connection *c)
{
    (void)c;
    struct exchange *x = calloc(1, sizeof *x);
    if (x == NULL) return NULL;
    x->s = cls;
    x->body.max = x->s->body_max + 1;
    x->target_end = (uintptr_t)uri + strlen(uri);
    arena_init(&x->a, 0);
    x->req.a = &x->a;
    struct diag d = DIAG_INIT;
    enum err e = http_read_target(&x->req, uri, &d);
    refuse_for(x, e == ERR_LIMIT ? 414 : 400, e, &d);
    return x;
}

static enum MHD_Result on_field(void *cls, enum MHD_ValueKind kind, const char *name,
                                const char *value)
{
    (void)kind;
    struct exchange *x = cls;
    if (x->req.n_headers == HEADERS_MAX) {
        refuse(x, 431, "too many headers");
        return MHD_NO;
    }
    struct http_field *f = (struct http_field *)&x->req.headers[x->req.n_headers++];
    f->name = arena_str(&x->a, bytes_str(name));
    f->value = arena_str(&x->a, bytes_str(value != NULL ? value : ""));
    if (f->name != NULL && f->value != NULL) return MHD_YES;
    refuse(x, 431, "headers too long");
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

/* A message whose length two servers could see differently is refused (RFC 9112 6.3). */
static void check_length(struct exchange *x)
{
    const struct http_request *r = &x->req;
    const char *length = http_header(r, "Content-Length");
    const char *coding = http_header(r, "Transfer-Encoding");
    uint64_t n = 0;
    if (coding != NULL && !str_eq_nocase(coding, "chunked")) {
        refuse(x, 501, "a transfer coding other than chunked");
    }
    if (length == NULL) return;
    if (coding != NULL || count_header(r, "Content-Length") > 1 ||
        str_u64(length, UINT64_MAX, &n, NULL) != OK) {
        refuse(x, 400, "the length of the body is not clear");
    } else if (n > x->s->body_max) {
        refuse(x, 413, "the body is too long");
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
            if (*p <= ' ' || *p >= 127) refuse(x, 400, "a blank in the name of a header");
        }
    }
}

static void read_head(struct exchange *x, struct MHD_Connection *c, const char *method,
                      const char *version)
{
    struct diag d = DIAG_INIT;
    x->req.method = arena_str(&x->a, bytes_str(method));
    x->req.headers = arena_array(&x->a, struct http_field, HEADERS_MAX);
    if (x->req.method == NULL || x->req.headers == NULL) {
        x->req.method = "";
        x->req.headers = NULL;
        refuse(x, 431, "headers too long");
        return;
    }
    (void)MHD_get_connection_values(c, MHD_HEADER_KIND, on_field, x);
    read_peer(x, c);
    if (!str_eq(version, "HTTP/1.1") && !str_eq(version, "HTTP/1.0")) {
        refuse(x, 400, "HTTP/1.1 only");
    }
    if (is_cut(x, version)) refuse(x, 400, "a zero byte in the request target");
    if (count_header(&x->req, "Host") > 1) refuse(x, 400, "two Host headers");
    refuse_for(x, 400, http_read_host(&x->req, http_header(&x->req, "Host"), &d), &d);
    check_names(x);
    check_length(x);

    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    if (info != NULL && info->socket_context != NULL) refuse(x, 503, "too many connections");
}

/* False: more has come than is worth reading; hang up. */
static bool take_body(struct exchange *x, struct bytes b)
{
    if (x->refuse == 0 && b.len > x->s->body_max - x->body.len) {
        refuse(x, 413, "the body is too long");
    }
    if (x->refuse == 0 && !hold(x, b.len)) refuse(x, 503, "too many bytes are under way");
    if (x->refuse != 0) {
        buf_release(&x->body);
        x->skipped += b.len;
        return x->skipped <= x->s->body_max * BODY_SKIPPED_MAX;
    }
    buf_bytes(&x->body, b);
    if (x->body.bad) refuse(x, 503, "out of memory");
    return true;
}

/* --- answering -------------------------------------------------------------------------------- */

static void free_body(void *own)
{
    struct buf *b = own;
    buf_release(b);
    free(b);
}

/* Half of a body, then an end that no client can take for the real one. */
static ssize_t read_half(void *cls, uint64_t at, char *to, size_t max)
{
    const struct buf *b = cls;
    size_t half = b->len / 2;
    if (at >= half) return MHD_CONTENT_READER_END_WITH_ERROR;
    size_t n = half - (size_t)at < max ? half - (size_t)at : max;
    memcpy(to, b->p + at, n);
    return (ssize_t)n;
}

/* Takes the body: it is wiped when the last byte is out. */
static struct MHD_Response *make_response(struct buf *body, bool half)
{
    struct buf *own = malloc(sizeof *own);
    if (own == NULL) return NULL;
    *own = *body;
    *body = (struct buf){0};
    struct MHD_Response *m =
        half ? MHD_create_response_from_callback(own->len, 4096, read_half, own, free_body)
             : MHD_create_response_from_buffer_with_free_callback_cls(
                   own->len, own->p != NULL ? own->p : (void *)"", free_body, own);
    if (m == NULL) free_body(own);
    return m;
}

/* Closing with a linger of zero sends RST. */
static enum MHD_Result reset(struct MHD_Connection *c, struct http_response *r)
{
    const struct linger now = {.l_onoff = 1, .l_linger = 0};
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (info != NULL) (void)setsockopt(info->connect_fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    buf_release(&r->body);
    return MHD_NO;
}

/* Past the TLS library, on the bare socket: no client can read this. */
static enum MHD_Result break_tls(struct MHD_Connection *c, struct http_response *r)
{
    static const char no_record[] = "this is no record of TLS";
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (info != NULL)
        (void)send(info->connect_fd, no_record, sizeof no_record, MSG_NOSIGNAL | MSG_DONTWAIT);
    buf_release(&r->body);
    return MHD_NO;
}

static bool has_no_body(int status)
{
    return status < 200 || status == 204 || status == 304;
}

static enum MHD_Result send_response(struct MHD_Connection *c, struct http_response *r, bool last)
{
    if (r->fault == HTTP_FAULT_RESET) return reset(c, r);
    if (r->fault == HTTP_FAULT_TLS) return break_tls(c, r);
    if (r->body.bad || r->status < 100 || r->status > 599) {
        r->status = 500;
        buf_clear(&r->body);
    }
    if (has_no_body(r->status)) buf_clear(&r->body);
    bool typed = r->body.len == 0;
    struct MHD_Response *m = r->recall != NULL
                                 ? http_recall_response(r->recall, c, &r->body)
                                 : make_response(&r->body, r->fault == HTTP_FAULT_HALF);
    buf_release(&r->body);
    if (m == NULL) return MHD_NO;

    bool good = true;
    for (uint32_t i = 0; i < r->n_headers; i++) {
        const struct http_field *f = &r->headers[i];
        typed = typed || str_eq_nocase(f->name, "Content-Type");
        good = MHD_add_response_header(m, f->name, f->value) == MHD_YES && good;
    }
    if (!typed) good = MHD_add_response_header(m, "Content-Type", "application/json") && good;
    if (last) good = MHD_add_response_header(m, "Connection", "close") && good;
    if (!good) LOG(WARN, "http.header_lost", F_I64("status", r->status));
    enum MHD_Result sent = MHD_queue_response(c, (unsigned)r->status, m);
    MHD_destroy_response(m);
    return sent;
}

static const char *status_code(int status)
{
    switch (status) {
    case 413: return "RequestEntityTooLarge";
    case 414: return "RequestUriTooLong";
    case 431: return "RequestHeadersTooLarge";
    case 501: return "NotImplemented";
    case 503: return "ServiceUnavailable";
    default: return "BadRequest";
    }
}

static enum MHD_Result send_refusal(struct exchange *x, struct MHD_Connection *c)
{
    struct http_response r = {.status = x->refuse, .a = &x->a};
    buf_str(&r.body, "{\"error\":{\"code\":\"");
    buf_str(&r.body, status_code(x->refuse));
    buf_str(&r.body, "\",\"message\":\"");
    for (const char *p = x->why; *p != 0; p++) {
        if (*p == '"' || *p == '\\') buf_u8(&r.body, '\\');
        buf_u8(&r.body, (uint8_t)*p);
    }
    buf_str(&r.body, "\"}}");
    if (x->refuse == 503) http_set(&r, "Retry-After", "1");
    enum MHD_Result sent = send_response(c, &r, true);
    exchange_wipe(x);
    return sent;
}

static enum MHD_Result run(struct exchange *x, struct MHD_Connection *c)
{
    if (!count_in(x)) { /* (3) */
        refuse(x, 503, "the server is stopping");
        return send_refusal(x, c);
    }
    x->req.body = buf_view(&x->body);
    struct http_response r = {.a = &x->a};
    x->s->handler(x->s->ctx, &x->req, &r);
    if (r.status == 0) LOG(ERROR, "http.answer_forgotten", F_STR("path", x->req.path));
    enum MHD_Result sent = send_response(c, &r, false);
    exchange_wipe(x); /* (1) */
    stack_wipe();
    return sent;
}

/* A body that is far over the limit is not worth reading; a little over it is, so that the client,
 * busy sending, gets to see the answer. */
static bool worth_reading(struct exchange *x)
{
    uint64_t n = 0;
    const char *length = http_header(&x->req, "Content-Length");
    const char *coding = http_header(&x->req, "Transfer-Encoding");
    if (x->refuse == 0) return true;
    if (length == NULL) return coding != NULL && str_eq_nocase(coding, "chunked");
    return str_u64(length, x->s->body_max * BODY_SKIPPED_MAX, &n, NULL) == OK && n != 0;
}

/* First with the headers read, then for each piece of the body, then once with no more to come. */
static enum MHD_Result on_request(void *cls, struct MHD_Connection *c, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *data_len, void **own)
{
    (void)cls, (void)url;
    struct exchange *x = *own;
    if (x == NULL) return MHD_NO;
    if (!x->seen) {
        x->seen = true;
        read_head(x, c, method, version);
        return worth_reading(x) ? MHD_YES : send_refusal(x, c);
    }
    if (*data_len != 0) {
        bool more = take_body(x, bytes_of(data, *data_len));
        *data_len = 0;
        return more ? MHD_YES : MHD_NO;
    }
    return x->refuse != 0 ? send_refusal(x, c) : run(x, c);
}

/* --- start and stop --------------------------------------------------------------------------- */

static size_t keep_escapes(void *cls, struct MHD_Connection *c, char *s)
{
    (void)cls, (void)c;
    return strlen(s); /* http_read_target() decodes, and says what is wrong */
}

static void on_trouble(void *cls, const char *fmt, va_list ap)
{
    (void)cls;
    char text[256];
    vsnprintf(text, sizeof text, fmt, ap);
    text[strcspn(text, "\n")] = 0;
    LOG(DEBUG, "http.trouble", F_STR("text", text));
}

static struct MHD_Daemon *start_daemon(struct http_server *s, const struct http_server_config *c,
                                       int fd)
{
    unsigned flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_ITC |
                     MHD_USE_POLL | MHD_USE_ERROR_LOG | (s->cert != NULL ? MHD_USE_TLS : 0);
    unsigned idle = c->idle_timeout_s != 0 ? c->idle_timeout_s : IDLE_TIMEOUT_S_DEFAULT;
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"},
        {MHD_OPTION_END, 0, NULL},
    };
    struct MHD_OptionItem options[] = {
        {MHD_OPTION_EXTERNAL_LOGGER, (intptr_t)on_trouble,
         NULL}, /* first: it hears of the others */
        {MHD_OPTION_LISTEN_SOCKET, fd, NULL},
        {MHD_OPTION_CONNECTION_LIMIT, s->connections_max + CONNECTIONS_SPARE, NULL},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY, NULL},
        {MHD_OPTION_CONNECTION_TIMEOUT, idle, NULL},
        {MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL},
        {MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)on_target, s},
        {MHD_OPTION_UNESCAPE_CALLBACK, (intptr_t)keep_escapes, NULL},
        {MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)on_completed, NULL},
        {MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)on_connection, s},
        {MHD_OPTION_ARRAY, 0, s->cert != NULL ? tls : &tls[1]},
        {MHD_OPTION_END, 0, NULL},
    };
    if (s->cert == NULL) {
        return MHD_start_daemon(flags, 0, NULL, NULL, on_request, s, MHD_OPTION_ARRAY, options,
                                MHD_OPTION_END);
    }
    /* Not in the array: the library does not look for this one there. */
    return MHD_start_daemon(flags, 0, NULL, NULL, on_request, s, MHD_OPTION_HTTPS_CERT_CALLBACK,
                            served_cert_callback(), MHD_OPTION_ARRAY, options, MHD_OPTION_END);
}

static void server_free(struct http_server *s)
{
    if (s == NULL) return;
    pthread_cond_destroy(&s->change);
    pthread_mutex_destroy(&s->lock);
    served_cert_close(s->cert);
    free(s->address);
    free(s);
}
DEFINE_CLEANUP(server_free, struct http_server)

static struct http_server *server_new(const struct http_server_config *c)
{
    struct http_server *s = calloc(1, sizeof *s);
    if (s == NULL) return NULL;
    s->handler = c->handler;
    s->ctx = c->ctx;
    s->body_max = c->body_max != 0 ? c->body_max : BODY_MAX_DEFAULT;
    s->connections_max = c->connections_max != 0 ? c->connections_max : CONNECTIONS_MAX_DEFAULT;
    pthread_mutex_init(&s->lock, NULL);
    cond_init(&s->change);
    s->address = str_dup(c->address);
    if (s->address != NULL) return s;
    server_free(s);
    return NULL;
}

enum err http_server_start(struct http_server **out, const struct http_server_config *c,
                           struct diag *d)
{
    CLEANUP(server_free) struct http_server *s = server_new(c);
    if (s == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    if (c->cert_file != NULL) TRY(served_cert_open(&s->cert, c->cert_file, c->key_file, d));
    CLEANUP_FD int fd = -1;
    TRY(listen_on(c->address, &fd, d));
    s->port = listen_port(fd);
    if (s->cert != NULL) served_cert_bind(s->cert, fd);
    s->daemon = start_daemon(s, c, fd);
    if (s->daemon == NULL) {
        return FAIL(d, ERR_INVALID, "the server on %s did not start: no memory or no threads",
                    c->address);
    }
    fd = -1; /* the daemon's */
    *out = TAKE(s);
    return OK;
}

void http_server_stop(struct http_server *s)
{
    if (s == NULL) return;
    listen_forget(s->address);
    int fd = MHD_quiesce_daemon(s->daemon);
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    while (s->n_running != 0)
        pthread_cond_wait(&s->change, &s->lock);
    pthread_mutex_unlock(&s->lock);
    MHD_stop_daemon(s->daemon);
    if (fd >= 0) close(fd); /* not before: the daemon's thread may still be polling it */
    server_free(s);
}

unsigned http_server_port(const struct http_server *s)
{
    return s->port;
}
