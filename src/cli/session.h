/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/session.h - a conversation with a running server, as the owner in credentials.json or as the
 * person who has signed in
 *
 * One session serves several threads. Tokens are fetched once per resource and renewed when they
 * are about to end.
 */
#pragma once

#include "base/str.h"
#include "cli/credentials.h"
#include "json/json.h"
#include "net/http_client.h"

#define RESOURCE_ARM    "https://management.azure.com"
#define RESOURCE_QUERY  "https://api.loganalytics.io"
#define RESOURCE_INGEST "https://monitor.azure.com"
#define RESOURCE_VAULT  "https://vault.azure.net"

struct session;

/* This program's client id */
#define SESSION_PERSON_CLIENT "6b657973-7465-4164-8000-00000000c11e"
char *session_login_path(void); /* what `keystead login` keeps; free(); NULL without a home */

/* data is the data directory; NULL: who has signed in speaks. ERR_NOT_FOUND when nobody has. */
enum err session_open(struct session **out, const char *data, struct diag *d);
void session_close(struct session *s);
const struct credentials *session_credentials(const struct session *s);

/* Appends the token to out. */
enum err session_token(struct session *s, const char *resource, struct buf *out, struct diag *d);

struct session_call {
    const char *method, *resource;
    const char *url; /* absolute, or a path of the endpoint */
    struct bytes body;
    const json_t *json; /* instead of body; borrowed */
    const char *const *headers;
    uint64_t timeout_ms;
};
/* Any HTTP status is OK. *answer must be released. */
enum err session_do(struct session *s, const struct session_call *c, struct http_answer *answer,
                    struct diag *d);
/* As session_do(), and a status of 400 or more is a failure with the server's own words; *out (may
 * be NULL) is the answer's JSON, NULL when it has none. *status may be NULL. */
enum err session_json(struct session *s, const struct session_call *c, int *status, json_t **out,
                      struct diag *d);

/* Turns an answer with an error status into a failure: "403 CustomerManagedKeyUnavailable: ...". */
enum err session_failure(struct http_answer *a, struct diag *d);

/* The workspace of that name or id. ERR_NOT_FOUND; ERR_CONFLICT when two groups have one of that
 * name. */
struct workspace {
    char id[37]; /* customerId */
    char arm_id[512];
};
enum err session_workspace(struct session *s, const char *name_or_id, struct workspace *out,
                           struct diag *d);

/* Follows an asynchronous operation to its end. ERR_UNAVAILABLE after timeout_s. */
enum err session_follow(struct session *s, struct http_answer *first, uint64_t timeout_s,
                        struct diag *d);

/* Runs a query; *out is the primary table {"columns":[..],"rows":[..]}, the caller's. *render may
 * be NULL. */
enum err session_query(struct session *s, const char *workspace_id, const char *kql, json_t **out,
                       json_t **render, struct diag *d);

DEFINE_CLEANUP(session_close, struct session)
