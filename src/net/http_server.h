/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net/http_server.h - HTTPS on one address; a request in, a response out
 *
 * One thread per connection, so a handler may block. Requests are whole before the handler sees
 * them: path percent-decoded with repeated slashes collapsed (a trailing one kept), query names and
 * values decoded (clients send "api%2Dversion"), all in the request's arena, which wipes.
 *
 * What is malformed never reaches the handler: 400 bad escapes or non-UTF-8 paths, 413 bodies over
 * the limit, 414/431 long lines, 503 when connections_max requests are
 * running. Connections that run none make room for others (http_connections.h).
 */
#pragma once

#include "base/arena.h"

struct http_field {
    const char *name, *value;
};

struct http_request {
    struct arena *a;
    const char *method;    /* "GET" */
    const char *path;      /* "/subscriptions/..." */
    const char *target;    /* as sent, with the query: to pass a request on */
    const char *host;      /* lower case, without port; "" when absent */
    const char *authority; /* Host header as sent: kids and status URLs are built on it */
    const char *peer;      /* "127.0.0.1"; "unix" */
    unsigned peer_port;    /* 0 where there is none */
    struct bytes body;
    uint32_t n_query, n_headers;
    const struct http_field *query, *headers;
    const int *client; /* its socket; NULL: nobody is at the other end of one */
};

const char *http_query(const struct http_request *r, const char *name);  /* without case; NULL */
const char *http_header(const struct http_request *r, const char *name); /* without case; NULL */
const char *http_bearer(const struct http_request *r); /* the token after "Bearer ", NULL */

/* Has the client hung up? Then nobody reads the answer. May be asked by any thread until the handler
 * has returned. One who only says that nothing more will come from him (a FIN) counts as gone: over
 * TLS there is no answer to such a client, and others do not do it. */
bool http_client_gone(const struct http_request *r);

#define HTTP_FORM_MAX 256 /* parameters, of a query too */
/* Reads "a=b&c=d", a query or the body of a form, in order, repeats included. ERR_INVALID for bad
 * escapes, zero bytes and what is not UTF-8. */
enum err http_read_form(struct arena *a, struct bytes text, const struct http_field **out,
                        uint32_t *out_n, struct diag *d);

#define HTTP_RESPONSE_HEADERS_MAX 32

/* How an answer goes wrong on purpose: for rehearsing what clients must survive. */
enum http_fault {
    HTTP_FAULT_NONE,
    HTTP_FAULT_RESET, /* the connection is reset; nothing is sent */
    HTTP_FAULT_TLS,   /* what comes is no record of TLS; then the connection is closed */
    HTTP_FAULT_HALF,  /* headers and half of the body, then the connection is closed */
};

struct http_recall;
struct http_response {
    int status; /* 0 = the handler forgot: becomes 500 */
    struct buf body;
    struct arena *a; /* for header values */
    enum http_fault fault;
    struct http_recall *recall; /* http_recall.h; NULL: what is sent is sent */
    uint32_t n_headers;
    struct http_field headers[HTTP_RESPONSE_HEADERS_MAX];
};

void http_set(struct http_response *r, const char *name, const char *value); /* copies; replaces */
void http_setf(struct http_response *r, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Told of each route of a table: methods "GET, PUT", path as the table has it. For tests that leave
 * none out. */
typedef void http_route_visit(void *ctx, const char *plane, const char *methods, const char *path);

typedef void http_handler(void *ctx, const struct http_request *req, struct http_response *res);

struct http_server_config {
    const char *address; /* "127.0.0.1:8443"; port 0 = any free one; or "unix:/path", mode 0600 */
    const char *cert_file,
        *key_file;   /* PEM chain and key, read again when they change; NULL = plain HTTP */
    size_t body_max; /* bytes; 0 = 64 MiB */
    unsigned connections_max; /* 0 = 512 */
    unsigned idle_timeout_s;  /* 0 = 120 */
    http_handler *handler;
    void *ctx;
};

struct http_server;
/* Listens at once (SO_REUSEADDR: the port can be bound again right after a stop). */
enum err http_server_start(struct http_server **out, const struct http_server_config *c,
                           struct diag *d);
void http_server_stop(
    struct http_server *s); /* finishes running requests, then frees; NULL is fine */
unsigned http_server_port(const struct http_server *s); /* 0 for a Unix socket */
