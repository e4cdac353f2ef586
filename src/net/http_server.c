/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net/http_server.c - libmicrohttpd, one thread per connection
 *
 * Between count_in() and the end of the exchange the request is running: stop waits for it, and its
 * connection stays open until the answer is out.
 */
#include "net/http_server.h"

#include "base/log.h"
#include "base/os.h"
#include "base/str.h"
#include "base/thread.h"
#include "net/http_exchange.h"
#include "net/listen.h"
#include "net/served_cert.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define BODY_MAX_DEFAULT        ((size_t)64 << 20) /* bytes */
#define CONNECTIONS_MAX_DEFAULT 512u
#define CONNECTIONS_SPARE       64u /* taken beyond the limit: on their way out, or to be told so */
#define IDLE_TIMEOUT_S_DEFAULT  120u

struct http_server {
    struct MHD_Daemon *daemon;
    char *address;
    struct served_cert *cert; /* NULL: plain HTTP */
    http_handler *handler;
    void *ctx;
    struct http_shared shared;
    unsigned port;
};

/* --- the life of a connection and of an exchange ---------------------------------------------- */

static void on_connection(void *cls, struct MHD_Connection *c, void **own,
                          enum MHD_ConnectionNotificationCode code)
{
    struct http_server *s = cls;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        connections_leave(&s->shared.connections, *own);
        *own = NULL;
        return;
    }
    const union MHD_ConnectionInfo *fd =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
    const union MHD_ConnectionInfo *from =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    *own = connections_enter(&s->shared.connections, fd != NULL ? fd->connect_fd : -1,
                             from != NULL ? from->client_addr : NULL);
}

static void *on_target(void *cls, const char *uri, struct MHD_Connection *c)
{
    struct http_server *s = cls;
    struct exchange *x = exchange_begin(&s->shared, uri, c);
    if (x != NULL) connections_mark(&s->shared.connections, x->connection, CONNECTION_READS);
    return x;
}

static bool count_in(struct exchange *x)
{
    LOCK_SCOPE(&x->shared->lock);
    if (x->shared->stopping) return false;
    x->shared->n_running++;
    x->running = true;
    return true;
}

static void on_completed(void *cls, struct MHD_Connection *c, void **own,
                         enum MHD_RequestTerminationCode code)
{
    (void)cls, (void)c, (void)code;
    struct exchange *x = *own;
    if (x == NULL) return;
    *own = NULL;
    exchange_wipe(x);
    connections_mark(&x->shared->connections, x->connection, CONNECTION_WAITS);
    if (x->running) {
        LOCK_SCOPE(&x->shared->lock);
        x->shared->n_running--;
        pthread_cond_broadcast(&x->shared->change);
    }
    free(x);
}

/* --- requests --------------------------------------------------------------------------------- */

static enum MHD_Result run(struct http_server *s, struct exchange *x, struct MHD_Connection *c)
{
    connections_mark(&s->shared.connections, x->connection, CONNECTION_RUNS);
    if (!count_in(x)) {
        exchange_refuse(x, 503, "the server is stopping");
        return answer_refusal(x, c);
    }
    x->req.body = buf_view(&x->body);
    struct http_response r = {.a = &x->a};
    s->handler(s->ctx, &x->req, &r);
    if (r.status == 0) LOG(ERROR, "http.answer_forgotten", F_STR("path", x->req.path));
    enum MHD_Result sent = answer_send(c, &r, false);
    exchange_wipe(x);
    stack_wipe();
    return sent;
}

/* First with the headers read, then for each piece of the body, then once with no more to come. */
static enum MHD_Result on_request(void *cls, struct MHD_Connection *c, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *data_len, void **own)
{
    (void)url;
    struct exchange *x = *own;
    if (x == NULL) return MHD_NO;
    if (!x->seen) {
        x->seen = true;
        exchange_read_head(x, c, method, version);
        return exchange_worth_reading(x) ? MHD_YES : answer_refusal(x, c);
    }
    if (*data_len != 0) {
        bool more = exchange_take_body(x, bytes_of(data, *data_len));
        *data_len = 0;
        return more ? MHD_YES : MHD_NO;
    }
    return x->refuse != 0 ? answer_refusal(x, c) : run(cls, x, c);
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
        {MHD_OPTION_CONNECTION_LIMIT, s->shared.connections.max + CONNECTIONS_SPARE, NULL},
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
    connections_release(&s->shared.connections);
    pthread_cond_destroy(&s->shared.change);
    pthread_mutex_destroy(&s->shared.lock);
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
    s->shared.body_max = c->body_max != 0 ? c->body_max : BODY_MAX_DEFAULT;
    connections_init(&s->shared.connections,
                     c->connections_max != 0 ? c->connections_max : CONNECTIONS_MAX_DEFAULT);
    pthread_mutex_init(&s->shared.lock, NULL);
    cond_init(&s->shared.change);
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

static void wait_for_running(struct http_shared *s)
{
    LOCK_SCOPE(&s->lock);
    s->stopping = true;
    while (s->n_running != 0)
        pthread_cond_wait(&s->change, &s->lock);
}

void http_server_stop(struct http_server *s)
{
    if (s == NULL) return;
    listen_forget(s->address);
    int fd = MHD_quiesce_daemon(s->daemon);
    wait_for_running(&s->shared);
    MHD_stop_daemon(s->daemon);
    if (fd >= 0) close(fd); /* not before: the daemon's thread may still be polling it */
    server_free(s);
}

unsigned http_server_port(const struct http_server *s)
{
    return s->port;
}
