/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net/http_client.h - HTTP calls with keep-alive; never follows a redirect
 *
 * Any number of threads may call at once. Certificates are always checked, against ca_file alone.
 * Names that end in
 * ".localhost" are loopback without asking a resolver. Answer bodies are limited and wiped.
 */
#pragma once

#include "base/bytes.h"

struct http_client;

/* ca_file: PEM bundle; NULL = the system's. */
enum err http_client_new(struct http_client **out, const char *ca_file, struct diag *d);
void http_client_free(struct http_client *c);

/* Calls to this host and those below it go to the Unix socket, whatever their port; certificates
 * are checked for the host's name as ever. Before the first call. ERR_LIMIT: more than
 * HTTP_ROUTES_MAX. */
#define HTTP_ROUTES_MAX 4
enum err http_client_route(struct http_client *c, const char *suffix, const char *unix_socket,
                           struct diag *d);

struct http_call {
    const char *method, *url;
    const char *bearer;         /* token, NULL = none */
    const char *const *headers; /* "Name: value" ..., NULL-terminated; may be NULL */
    struct bytes body;
    const char *content_type; /* NULL = application/json when there is a body */
    uint64_t timeout_ms;      /* connect and answer together; 0 = 30,000 */
    bool fresh_connection;    /* not one that is open already */
    size_t answer_max;        /* bytes; 0 = 64 MiB */
};

struct http_answer {
    int status;
    struct buf body;
    struct buf headers; /* lines as received, lower-case names: use http_answer_header() */
};

/* OK for any HTTP status. ERR_UNAVAILABLE: no whole answer in time (refused, reset, TLS, DNS,
 * timeout); the sentence says which. ERR_LIMIT: the answer is longer than answer_max. */
enum err http_do(struct http_client *c, const struct http_call *call, struct http_answer *out,
                 struct diag *d);
void http_answer_release(struct http_answer *a);
const char *http_answer_header(struct http_answer *a,
                               const char *name); /* NULL; valid until release */

DEFINE_CLEANUP(http_client_free, struct http_client)
#define CLEANUP_ANSWER __attribute__((cleanup(http_answer_release)))
