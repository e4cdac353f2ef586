/* SPDX-License-Identifier: Apache-2.0 */
/* identity/endpoint.h - one HTTP request on its way through identity; inside identity/ only */
#pragma once

#include "identity/route.h"
#include "identity/state.h"

struct endpoint {
    struct identity *id;
    const struct http_request *req;
    struct http_response *res;
    struct route_match at;
    char caller[GUID_TEXT_MAX]; /* ARM and Graph: whose token it is */
};

/* Sets the response: takes j (NULL becomes a 500). */
void answer_json(struct endpoint *e, int status, json_t *j);
/* {"error":{"code","message"}} */
void answer_error(struct endpoint *e, int status, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

void serve_token_request(struct endpoint *e); /* oauth.c */
void serve_discovery(struct endpoint *e);     /* discovery.c */
void serve_instance(struct endpoint *e);
void serve_key_set(struct endpoint *e);
void serve_assignments(struct endpoint *e); /* arm_assignment.c */
void serve_definitions(struct endpoint *e); /* arm_definition.c */
void serve_federation(struct endpoint *e);  /* federation.c */
void serve_graph(struct endpoint *e);       /* graph.c */
void serve_identities(struct endpoint *e);  /* admin.c */
void serve_signing_keys(struct endpoint *e);
void serve_authorize(struct endpoint *e);    /* login.c */
void serve_device_start(struct endpoint *e); /* device.c */
void serve_device_page(struct endpoint *e);

/* --- oauth.c ---------------------------------------------------------------------------------- */

#define AUDIENCE_MAX 512 /* bytes, with the terminating zero */

struct token_form {
    const struct http_field *fields;
    uint32_t n;
    const char *client_id, *client_secret, *assertion, *assertion_type, *grant_type, *scope,
        *resource;
    char audience[AUDIENCE_MAX];
    bool repeated;
};
/* The one value of that name; NULL when absent or empty. Marks a form with two. */
const char *form_only(struct token_form *f, const char *name);
bool form_require(struct endpoint *e, const char *value, const char *name); /* or 400 */
/* Reads the body; false: answered. */
bool form_read(struct endpoint *e, struct token_form *f);
/* "https://resource/.default openid profile" or "resource": sets audience; false: answered. */
bool form_audience(struct endpoint *e, struct token_form *f);

/* --- people: login.c, grant.c, device.c
 * --------------------------------------------------------------- */

/* The grants of people at the token endpoint. */
void grant_code(struct endpoint *e, struct token_form *f);
void grant_device(struct endpoint *e, struct token_form *f);
void grant_refresh(struct endpoint *e, struct token_form *f);

/* Is the tenant segment ours? Else a 400 is answered, as Entra ID does. generic: "common" and the
 * like too. */
bool check_tenant(struct endpoint *e, bool generic);
void answer_oauth_error(struct endpoint *e, int status, const char *error, int code,
                        const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* --- arm.c ------------------------------------------------------------------------------------ */

/* What both ARM types need: api-version, our subscription, the right to the action. Sets scope;
 * false: answered. */
bool arm_enter(struct endpoint *e, const char *action, char scope[RESOURCE_ID_MAX]);
/* May the caller do this there? Else 403 is answered, in ARM's words. */
bool arm_allow(struct endpoint *e, const char *action, const char *scope);
/* The body as JSON, the caller's; else 400 is answered. */
bool arm_body(struct endpoint *e, json_t **out);
/* Splits "$filter" at " and "; copies the i-th part, trimmed, or returns false when there is none.
 */
bool arm_filter_part(const struct http_request *q, unsigned i, char out[256]);
/* "name eq 'value'" or "name('value')": copies the value. */
bool arm_filter_value(const char *part, const char *name, char out[256]);
