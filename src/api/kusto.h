/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api/kusto.h - the Kusto REST endpoint: what its files share
 *
 *      GET  /v1/rest/auth/metadata             where to log in; needs no token
 *      GET, POST /v1/rest/query                tables: {"Tables":[...]}
 *      GET, POST /v2/rest/query                frames: [{"FrameType":...},...], never progressive
 *      POST /v1/rest/mgmt                      .show commands; nothing is changed by one
 *
 * A database is a workspace, by its name, its customer id or its ARM id. A name that two workspaces
 * have means neither. Rights, keys, limits and cancellation are query_execute()'s.
 *
 * (1) A failure that comes once rows are written is told inside the answer, as Kusto does: status
 *     200, the rows up to there, then the failure. Not so for a key that has gone: nothing of the
 *     rows is sent then.
 * (2) Every answer has x-ms-activity-id and x-ms-client-request-id.
 */
#pragma once

#include "api/query.h"

struct kusto_request {
    struct front_call *front;
    bool v2;
    json_t *body;                              /* owns the strings below */
    const char *db, *csl;                      /* db may be NULL */
    json_t *properties, *options, *given;      /* given: the parameters */
    char activity[GUID_TEXT_MAX], client[160]; /* ids */
};

/* --- kusto_request.c -------------------------------------------------------------------------- */

/* Sets the ids and their headers. False: the answer is written. */
bool kusto_read(struct kusto_request *r, struct front_call *c);
void kusto_request_release(struct kusto_request *r);
/* The options and parameters of the request as limits and values of the query. False: the answer is
 * written. */
bool kusto_options(const struct kusto_request *r, struct query_call *q);
bool kusto_flag(const struct kusto_request *r, const char *option);

/* --- kusto_error.c ---------------------------------------------------------------------------- */

struct kusto_problem {
    int status;
    const char *code, *type, *text;   /* type: the exception of the original's */
    const char *inner, *inner_text;   /* may be NULL */
    uint32_t line, column;            /* 0 = no place */
    bool transient;                   /* may work later */
    char buffer[DIAG_TEXT_MAX + 160]; /* for text */
};

json_t *kusto_problem_json(struct front_call *c, const struct kusto_problem *p); /* {"error":{}} */
void kusto_error(struct front_call *c, const struct kusto_problem *p);
void kusto_bad_request(struct front_call *c, const char *text);
void kusto_problem_of(const struct query_call *q, enum query_fault fault, const struct diag *d,
                      struct kusto_problem *out);
/* For auth.c: the caller may not; he may not for another reason, with a code of its own. */
void kusto_forbidden(struct front_call *c, const char *scope);
void kusto_denied(struct front_call *c, const char *text, const char *inner,
                  const char *inner_text);

/* --- kusto_table.c ---------------------------------------------------------------------------- */

/* Up to and with "Rows":[ - in frames of v2 with id and kind, in tables of v1 with .NET's names of
 * types. */
void kusto_table_begin(struct buf *out, bool v2, uint32_t id, const char *kind, const char *name,
                       const struct schema *s);
void kusto_table_end(struct buf *out);
/* A whole table; rows: arrays in an array, which is taken. */
void kusto_table(struct buf *out, bool v2, uint32_t id, const char *kind, const char *name,
                 const struct schema *s, json_t *rows);
const char *kusto_net_type(enum type t); /* "Int64" */

/* --- kusto_write.c ---------------------------------------------------------------------------- */

void kusto_query_run(struct kusto_request *r, const struct workspace *w);

/* --- kusto_command.c -------------------------------------------------------------------------- */

void kusto_command(struct kusto_request *r);
/* kusto.c: the workspace that a request names. False: the answer is written. */
bool kusto_database(struct front_call *c, const char *name, struct workspace *out);
