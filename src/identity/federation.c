/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity/federation.c - federatedIdentityCredentials of user-assigned identities: whose tokens may
 * be exchanged for theirs
 *
 * A row of the table "federation", OBJECT ID/NAME in lower case: "name", "issuer", "subject",
 * "audiences". The issuer must be one of the operator's file (foreign.c): whoever may write an
 * identity says which subject of it is believed, never where keys are fetched and what is signed
 * how. An assertion is good as often as it is shown, until it ends: a pod has one for an hour.
 */
#include "identity/endpoint.h"

#include "base/log.h"

#include <stdio.h>

#define TABLE         "federation"
#define RECORDS_MAX   20 /* of one identity, as documented */
#define AUDIENCES_MAX 8
#define TEXT_MAX      600 /* bytes of an issuer, a subject or an audience */
#define KEY_MAX       (GUID_TEXT_MAX + 128)
#define TYPE          "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials"

static void key_of(const struct principal *p, const char *name, char out[KEY_MAX])
{
    snprintf(out, KEY_MAX, "%s/%s", p->object_id, name);
    str_lower(out);
}

/* --- exchanging ------------------------------------------------------------------------------- */

struct search {
    const char *issuer, *subject;
    json_t *found;
};

static enum err look_at(void *ctx, const char *key, struct bytes value, struct diag *d)
{
    struct search *s = ctx;
    (void)key;
    CLEANUP_JSON json_t *row = NULL;
    TRY(json_read(value, &row, d));
    bool its = str_eq(json_string_value(json_object_get(row, "issuer")), s->issuer) &&
               str_eq(json_string_value(json_object_get(row, "subject")), s->subject);
    if (its && s->found == NULL) s->found = json_incref(row);
    return OK;
}

/* The record of p that the assertion says it is for; nothing of it has been checked yet. */
static enum err find_record(struct identity *id, const struct principal *p, const char *assertion,
                            json_t **out, struct diag *d)
{
    CLEANUP_JSON json_t *claims = NULL;
    char prefix[KEY_MAX];
    TRY(jwt_peek(assertion, &claims, d));
    struct search s = {.issuer = json_string_value(json_object_get(claims, "iss")),
                       .subject = json_string_value(json_object_get(claims, "sub"))};
    key_of(p, "", prefix);
    if (s.issuer != NULL && s.subject != NULL)
        TRY(kvstore_each(id->store, TABLE, prefix, look_at, &s, d));
    if (s.found == NULL) {
        return FAIL_TAG(d, ERR_DENIED, "NoRecord",
                        "No matching federated identity record found for presented assertion. "
                        "Assertion Issuer: '%.200s'. Assertion Subject: '%.200s'.",
                        s.issuer != NULL ? s.issuer : "", s.subject != NULL ? s.subject : "");
    }
    *out = s.found;
    return OK;
}

enum err federation_check(struct identity *id, const struct principal *p, const char *assertion,
                          struct diag *d)
{
    const char *audiences[AUDIENCES_MAX + 1] = {NULL};
    CLEANUP_JSON json_t *record = NULL, *claims = NULL;
    TRY(find_record(id, p, assertion, &record, d));
    const json_t *list = json_object_get(record, "audiences");
    for (size_t i = 0; i < json_array_size(list) && i < AUDIENCES_MAX; i++)
        audiences[i] = json_string_value(json_array_get(list, i));
    TRY(foreign_exchange(id, json_string_value(json_object_get(record, "issuer")), assertion,
                         audiences, &claims, d));
    /* What was looked at is what was verified: both are of the one text. */
    if (str_eq(json_string_value(json_object_get(claims, "sub")),
               json_string_value(json_object_get(record, "subject"))))
        return OK;
    return FAIL_TAG(d, ERR_DENIED, "Subject", "the assertion speaks for somebody else");
}

/* --- the resource ----------------------------------------------------------------------------- */

static json_t *shown(const char *scope, const json_t *row)
{
    const char *name = json_string_value(json_object_get(row, "name"));
    CLEANUP_FREE char *self = str_fmt("%s/federatedIdentityCredentials/%s", scope, name);
    return json_pack("{s:s, s:s, s:s, s:{s:O, s:O, s:O}}", "id", self != NULL ? self : "", "name",
                     name, "type", TYPE, "properties", "issuer", json_object_get(row, "issuer"),
                     "subject", json_object_get(row, "subject"), "audiences",
                     json_object_get(row, "audiences"));
}

struct listing {
    const char *scope;
    json_t *items;
};

static enum err list_one(void *ctx, const char *key, struct bytes value, struct diag *d)
{
    struct listing *l = ctx;
    (void)key;
    CLEANUP_JSON json_t *row = NULL;
    TRY(json_read(value, &row, d));
    json_array_append_new(l->items, shown(l->scope, row));
    return OK;
}

static void answer_lost(struct endpoint *e)
{
    answer_error(e, 503, "ServiceUnavailable", "The store of identities does not answer.");
}

static void list(struct endpoint *e, const struct principal *p, const char *scope)
{
    char prefix[KEY_MAX];
    key_of(p, "", prefix);
    struct listing l = {scope, json_array()};
    enum err err = kvstore_each(e->id->store, TABLE, prefix, list_one, &l, NULL);
    CLEANUP_JSON json_t *j = json_pack("{s:o}", "value", l.items);
    if (err == OK) {
        answer_json(e, 200, json_incref(j));
    } else {
        answer_lost(e);
    }
}

static enum err read_row(struct identity *id, const char *key, json_t **out, struct diag *d)
{
    CLEANUP_BUF struct buf text = {0};
    TRY(kvstore_get(id->store, TABLE, key, &text, d));
    return json_read(buf_view(&text), out, d);
}

static void get(struct endpoint *e, const char *scope, const char *key)
{
    CLEANUP_JSON json_t *row = NULL;
    enum err err = read_row(e->id, key, &row, NULL);
    if (err == OK) {
        answer_json(e, 200, shown(scope, row));
    } else if (err == ERR_NOT_FOUND) {
        answer_error(e, 404, "ResourceNotFound",
                     "The federated identity credential '%s' was not found.", e->at.name);
    } else {
        answer_lost(e);
    }
}

static void take_away(struct endpoint *e, const struct principal *p, const char *key)
{
    LOCK_SCOPE(&e->id->lock);
    CLEANUP_JSON json_t *row = NULL;
    enum err err = read_row(e->id, key, &row, NULL);
    if (err == OK) err = kvstore_delete(e->id->store, TABLE, key, NULL);
    if (err != OK && err != ERR_NOT_FOUND) {
        answer_lost(e);
        return;
    }
    if (err == OK) {
        LOG(INFO, "identity.federation_removed", F_STR("identity", p->resource),
            F_STR("name", e->at.name), F_STR("by", e->caller));
    }
    e->res->status = err == OK ? 200 : 204;
}

/* Letters, digits, dashes and underscores, beginning with one of the first two: 3 to 120. */
static bool name_is_good(const char *s)
{
    size_t n = strlen(s);
    size_t k = strspn(s, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_");
    return k == n && n >= 3 && n <= 120 && s[0] != '-' && s[0] != '_';
}

static bool text_is_good(const char *s)
{
    return s != NULL && s[0] != 0 && strlen(s) <= TEXT_MAX;
}

static bool audiences_are_good(const json_t *list)
{
    bool good = json_array_size(list) >= 1 && json_array_size(list) <= AUDIENCES_MAX;
    for (size_t i = 0; good && i < json_array_size(list); i++)
        good = text_is_good(json_string_value(json_array_get(list, i)));
    return good;
}

/* The row that a body asks for; NULL: answered. */
static json_t *read_body(struct endpoint *e)
{
    CLEANUP_JSON json_t *body = NULL;
    if (json_read(e->req->body, &body, NULL) != OK || !json_is_object(body)) {
        answer_error(e, 400, "InvalidRequestContent",
                     "The request content was invalid and could not be deserialized.");
        return NULL;
    }
    const json_t *p = json_get(body, "properties"), *audiences = json_get(p, "audiences");
    const char *issuer = json_get_str(p, "issuer"), *subject = json_get_str(p, "subject");
    if (!name_is_good(e->at.name) || !text_is_good(issuer) || !text_is_good(subject) ||
        !audiences_are_good(audiences)) {
        answer_error(e, 400, "BadRequest",
                     "A federated identity credential has a name of 3 to 120 letters, digits, "
                     "dashes and underscores, an issuer, a subject and 1 to %d audiences, of at "
                     "most %d bytes each.",
                     AUDIENCES_MAX, TEXT_MAX);
        return NULL;
    }
    if (!foreign_knows(e->id, issuer)) {
        answer_error(e, 400, "BadRequest",
                     "The issuer '%.200s' is not one that this server believes: its operator names "
                     "them (--issuers).",
                     issuer);
        return NULL;
    }
    return json_pack("{s:s, s:s, s:s, s:O}", "name", e->at.name, "issuer", issuer, "subject",
                     subject, "audiences", audiences);
}

struct census {
    const char *key;
    const json_t *row;
    unsigned others;
    bool same; /* another record of this issuer and subject */
};

static enum err count_one(void *ctx, const char *key, struct bytes value, struct diag *d)
{
    struct census *c = ctx;
    CLEANUP_JSON json_t *row = NULL;
    TRY(json_read(value, &row, d));
    if (str_eq(key, c->key)) return OK;
    c->others++;
    c->same = c->same ||
              (json_equal(json_object_get(row, "issuer"), json_object_get(c->row, "issuer")) &&
               json_equal(json_object_get(row, "subject"), json_object_get(c->row, "subject")));
    return OK;
}

static void put(struct endpoint *e, const struct principal *p, const char *scope, const char *key)
{
    CLEANUP_JSON json_t *row = read_body(e), *old = NULL;
    char prefix[KEY_MAX];
    if (row == NULL) return;
    key_of(p, "", prefix);
    struct census c = {.key = key, .row = row};
    LOCK_SCOPE(&e->id->lock);
    enum err err = kvstore_each(e->id->store, TABLE, prefix, count_one, &c, NULL);
    if (err == OK && c.same) {
        answer_error(e, 409, "Conflict",
                     "Issuer and subject combination already exists for this Managed Identity.");
        return;
    }
    if (err == OK && c.others >= RECORDS_MAX) {
        answer_error(e, 400, "BadRequest",
                     "Too many Federated Identity Credentials: a Managed Identity has at most %d.",
                     RECORDS_MAX);
        return;
    }
    bool is_new = read_row(e->id, key, &old, NULL) != OK;
    if (err == OK) err = row_put(e->id, TABLE, key, json_incref(row), NULL);
    if (err != OK) {
        answer_lost(e);
        return;
    }
    LOG(INFO, "identity.federation_written", F_STR("identity", p->resource),
        F_STR("name", e->at.name), F_STR("issuer", json_get_str(row, "issuer")),
        F_STR("subject", json_get_str(row, "subject")), F_STR("by", e->caller));
    answer_json(e, is_new ? 201 : 200, shown(scope, row));
}

void serve_federation(struct endpoint *e)
{
    char scope[RESOURCE_ID_MAX], key[KEY_MAX];
    const char *method = e->req->method;
    bool reads = str_eq(method, "GET"), one = e->at.name[0] != 0;
    struct principal p;
    if (!arm_enter(e,
                   reads                   ? TYPE "/read"
                   : str_eq(method, "PUT") ? TYPE "/write"
                                           : TYPE "/delete",
                   scope)) {
        return;
    }
    if (!principal_by_resource(e->id, scope, &p)) {
        answer_error(e, 404, "ParentResourceNotFound",
                     "Failed to perform '%s' on resource(s) of type "
                     "'userAssignedIdentities/federatedIdentityCredentials', because the parent "
                     "resource '%s' could not be found.",
                     reads ? "read" : "write", scope);
        return;
    }
    key_of(&p, e->at.name, key);
    if (!one && !reads) {
        answer_error(e, 405, "MethodNotAllowed", "%s needs the name of a credential.", method);
    } else if (!one) {
        list(e, &p, scope);
    } else if (reads) {
        get(e, scope, key);
    } else if (str_eq(method, "PUT")) {
        put(e, &p, scope, key);
    } else {
        take_away(e, &p, key);
    }
}

/* --- with its identity ------------------------------------------------------------------------ */

static enum err remove_one(void *ctx, const char *key, struct bytes value, struct diag *d)
{
    (void)value;
    return kvstore_delete(((struct identity *)ctx)->store, TABLE, key, d);
}

enum err federation_forget(struct identity *id, const struct principal *p, struct diag *d)
{
    char prefix[KEY_MAX];
    key_of(p, "", prefix);
    return kvstore_each(id->store, TABLE, prefix, remove_one, id, d);
}
