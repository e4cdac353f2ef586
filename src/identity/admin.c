/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity/admin.c - /admin/identities: applications, people and groups; /admin/signing-keys
 *
 *      GET    /admin/identities                          all of them
 *      POST   /admin/identities                          {"name","kind","password"?,"secretDays"?}
 *      GET    /admin/identities/{word}                   object id, client id or name
 *      PATCH  /admin/identities/{word}                   {"disabled","groups","password"}
 *      DELETE /admin/identities/{word}
 *      POST   /admin/identities/{word}/secrets           {"days"?,"overlapSeconds"?}: shown once
 *      POST   /admin/identities/{word}/certificates      {"certificate": PEM}
 *      DELETE /admin/identities/{word}/credentials/{id}
 *      GET    /admin/signing-keys;  POST: a new one signs
 *
 * The rights are Microsoft.Authorization/identities/{read|write|delete} at the subscription: a
 * Contributor, who may not grant rights, may not make himself another's secret either.
 */
#include "identity/endpoint.h"

#include "base/log.h"
#include "base/time.h"

#include <stdio.h>
#include <stdlib.h>

#define PASSWORD_MIN  12   /* characters, in bytes */
#define PASSWORD_MAX  1024 /* bytes */
#define NAME_LEN_MAX  128  /* bytes */
#define OVERLAP_S_MAX (30 * 86400)

static bool enter(struct endpoint *e, const char *right)
{
    char scope[64], action[64];
    snprintf(scope, sizeof scope, "/subscriptions/%s", e->id->subscription_id);
    snprintf(action, sizeof action, "Microsoft.Authorization/identities/%s", right);
    return arm_allow(e, action, scope);
}

static void answer_failure(struct endpoint *e, enum err err, const struct diag *d)
{
    int status = err == ERR_NOT_FOUND ? 404 : err == ERR_CONFLICT ? 409 : 400;
    if (err == ERR_INVALID || err == ERR_LIMIT || status != 400) {
        answer_error(e, status, d->tag[0] != 0 ? d->tag : "InvalidRequest", "%s", d->text);
    } else {
        LOG(ERROR, "identity.change_failed", F_ERR(d));
        answer_error(e, 503, "ServiceUnavailable", "The change could not be stored.");
    }
}

/* --- shapes
 * -------------------------------------------------------------------------------------------- */

static json_t *identity_json(const struct principal *p)
{
    char created[TIME_TEXT_MAX];
    json_t *credentials = json_array(), *groups = json_array();
    time_format_iso(p->created_us, created);
    for (unsigned i = 0; i < p->n_credentials; i++)
        json_array_append_new(credentials, credential_json(&p->credentials[i]));
    for (unsigned i = 0; i < p->n_groups; i++)
        json_array_append_new(groups, json_string(p->groups[i]));
    return json_pack("{s:s, s:s, s:s, s:o, s:b, s:s, s:o, s:o, s:o}", "name", p->name, "kind",
                     principal_kind_name(p->kind), "objectId", p->object_id, "clientId",
                     p->client_id[0] != 0 ? json_string(p->client_id) : json_null(), "disabled",
                     p->is_disabled, "created", created, "resource",
                     p->resource[0] != 0 ? json_string(p->resource) : json_null(), "credentials",
                     credentials, "groups", groups);
}

static json_t *with_secret(const struct principal *p, const char *secret)
{
    json_t *j = identity_json(p);
    if (j != NULL && secret[0] != 0) json_object_set_new(j, "secret", json_string(secret));
    return j;
}

/* --- reading bodies
 * --------------------------------------------------------------------------------- */

static bool read_body(struct endpoint *e, json_t **out)
{
    struct diag d = DIAG_INIT;
    if (e->req->body.len == 0) {
        *out = json_object();
        return true;
    }
    if (json_read(e->req->body, out, &d) == OK && json_is_object(*out)) return true;
    answer_error(e, 400, "InvalidRequest", "The body is not a JSON object: %.300s.", d.text);
    return false;
}

static enum err check_name(const char *name, struct diag *d)
{
    struct guid g;
    bool good = name != NULL && name[0] != 0 && strlen(name) <= NAME_LEN_MAX;
    for (const char *p = name; good && *p != 0; p++)
        good = (uint8_t)*p >= 0x20 && *p != 0x7f && *p != '/';
    if (!good || guid_parse(name, &g, NULL) == OK) {
        return FAIL_TAG(d, ERR_INVALID, "InvalidName",
                        "A name has 1 to %d bytes, no slash, and is no GUID.", NAME_LEN_MAX);
    }
    return OK;
}

static enum err set_password(struct principal *p, const char *password, struct diag *d)
{
    if (p->kind != PRINCIPAL_PERSON) {
        return FAIL_TAG(d, ERR_INVALID, "NotAPerson", "Only people have passwords.");
    }
    size_t n = strlen(password);
    if (n < PASSWORD_MIN || n > PASSWORD_MAX) {
        return FAIL_TAG(d, ERR_INVALID, "WeakPassword", "A password has %d to %d bytes.",
                        PASSWORD_MIN, PASSWORD_MAX);
    }
    TRY(password_hash(bytes_str(password), p->password, d));
    p->password_us = time_now_us();
    return OK;
}

static int64_t days_from_now(const json_t *body, const char *name)
{
    int64_t days = json_get_int(body, name, CREDENTIAL_DAYS);
    if (days < 1) days = 1;
    if (days > CREDENTIAL_DAYS_MAX) days = CREDENTIAL_DAYS_MAX;
    return time_now_us() + days * 86400 * US_PER_S;
}

/* --- making
 * ------------------------------------------------------------------------------------------ */

static enum err build(const json_t *body, struct principal *p, char secret[2 * SECRET_LEN + 1],
                      struct diag *d)
{
    const char *name = json_get_str(body, "name"), *kind = json_get_str(body, "kind");
    const char *password = json_get_str(body, "password");
    TRY(check_name(name, d));
    snprintf(p->name, sizeof p->name, "%s", name);
    if (kind != NULL && (!principal_kind_parse(kind, &p->kind) || p->kind == PRINCIPAL_MANAGED)) {
        return FAIL_TAG(d, ERR_INVALID, "InvalidKind",
                        "'kind' is app, person or group, not '%.20s'.", kind);
    }
    if (password != NULL) TRY(set_password(p, password, d));
    if (p->kind != PRINCIPAL_APP || json_get(body, "certificate") != NULL) return OK;
    return credential_add_secret(p, days_from_now(body, "secretDays"), secret, d);
}

static void create(struct endpoint *e)
{
    struct principal p = {0};
    char secret[2 * SECRET_LEN + 1] = "";
    struct diag d = DIAG_INIT;
    CLEANUP_JSON json_t *body = NULL;
    if (!read_body(e, &body)) return;
    const char *pem = json_get_str(body, "certificate");
    enum err err = build(body, &p, secret, &d);
    if (err == OK && pem != NULL) err = credential_add_certificate(&p, bytes_str(pem), &d);
    if (err == OK) err = principal_add(e->id, &p, &d);
    if (err == OK) {
        LOG(INFO, "identity.created", F_STR("name", p.name), F_STR("principal", p.object_id),
            F_STR("by", e->caller));
        answer_json(e, 201, with_secret(&p, secret));
    } else {
        answer_failure(e, err, &d);
    }
    wipe(secret, sizeof secret);
    wipe(&p, sizeof p);
}

/* --- changing
 * ----------------------------------------------------------------------------------------- */

struct edit {
    struct identity *id;
    const json_t *body;
    const char *item, *caller;
    char secret[2 * SECRET_LEN + 1];
};

static enum err edit_groups(struct principal *p, const struct edit *x, const json_t *groups,
                            struct diag *d)
{
    struct principal group;
    if (!json_is_array(groups) || json_array_size(groups) > GROUPS_MAX) {
        return FAIL_TAG(d, ERR_INVALID, "InvalidGroups", "'groups' is a list of at most %d groups.",
                        GROUPS_MAX);
    }
    p->n_groups = 0;
    for (size_t i = 0; i < json_array_size(groups); i++) {
        const char *word = json_string_value(json_array_get(groups, i));
        if (word == NULL || !principal_find(x->id, word, &group) || group.kind != PRINCIPAL_GROUP ||
            p->kind == PRINCIPAL_GROUP) {
            return FAIL_TAG(d, ERR_INVALID, "InvalidGroups",
                            "'%.60s' is no group that '%s' can be in.", word != NULL ? word : "",
                            p->name);
        }
        memcpy(p->groups[p->n_groups++], group.object_id, GUID_TEXT_MAX);
    }
    return OK;
}

static enum err edit_fields(struct principal *p, void *ctx, struct diag *d)
{
    const struct edit *x = ctx;
    const json_t *groups = json_get(x->body, "groups");
    const char *password = json_get_str(x->body, "password");
    bool disabled = json_get_bool(x->body, "disabled", p->is_disabled);
    if (disabled && str_eq_nocase(p->object_id, x->caller)) {
        return FAIL_TAG(d, ERR_CONFLICT, "OwnIdentity", "Nobody disables himself.");
    }
    p->is_disabled = disabled;
    if (groups != NULL) TRY(edit_groups(p, x, groups, d));
    return password != NULL ? set_password(p, password, d) : OK;
}

static enum err edit_secret(struct principal *p, void *ctx, struct diag *d)
{
    struct edit *x = ctx;
    int64_t overlap_s = json_get_int(x->body, "overlapSeconds", -1);
    if (overlap_s > OVERLAP_S_MAX) {
        return FAIL_TAG(d, ERR_INVALID, "InvalidRequest", "'overlapSeconds' is at most %d.",
                        OVERLAP_S_MAX);
    }
    TRY(credential_add_secret(p, days_from_now(x->body, "days"), x->secret, d));
    if (overlap_s >= 0) credential_retire_secrets(p, time_now_us() + overlap_s * US_PER_S);
    return OK;
}

static enum err edit_certificate(struct principal *p, void *ctx, struct diag *d)
{
    const struct edit *x = ctx;
    const char *pem = json_get_str(x->body, "certificate");
    if (pem == NULL) {
        return FAIL_TAG(d, ERR_INVALID, "InvalidRequest", "'certificate' is missing: PEM text.");
    }
    return credential_add_certificate(p, bytes_str(pem), d);
}

static enum err edit_remove(struct principal *p, void *ctx, struct diag *d)
{
    const struct edit *x = ctx;
    return credential_remove(p, x->item, d);
}

static void change(struct endpoint *e, const struct principal *p, principal_edit *f, int status)
{
    CLEANUP_JSON json_t *body = NULL;
    struct principal after;
    struct diag d = DIAG_INIT;
    if (!read_body(e, &body)) return;
    struct edit x = {.id = e->id, .body = body, .item = e->at.item, .caller = e->caller};
    enum err err = principal_change(e->id, p->object_id, f, &x, &after, &d);
    if (err == OK) {
        LOG(INFO, "identity.changed", F_STR("name", after.name),
            F_STR("principal", after.object_id),
            F_STR("what", e->at.part[0] != 0 ? e->at.part : "fields"), F_STR("by", e->caller));
        answer_json(e, status, with_secret(&after, x.secret));
        wipe(&after, sizeof after);
    } else {
        answer_failure(e, err, &d);
    }
    wipe(&x, sizeof x);
}

static void take_away(struct endpoint *e, const struct principal *p)
{
    struct diag d = DIAG_INIT;
    if (str_eq_nocase(p->object_id, e->caller)) {
        answer_error(e, 409, "OwnIdentity", "Nobody deletes himself.");
        return;
    }
    enum err err = principal_remove(e->id, p->object_id, &d);
    if (err == OK) {
        answer_json(e, 200, identity_json(p));
    } else {
        answer_failure(e, err, &d);
    }
}

/* --- the paths
 * ----------------------------------------------------------------------------------------- */

static void list(struct endpoint *e)
{
    CLEANUP_FREE struct principal *all = NULL;
    CLEANUP_JSON json_t *found = json_array();
    size_t n = 0;
    bool managed = http_query(e->req, "managed") != NULL;
    bool good = principal_list(e->id, managed, &all, &n, NULL) == OK;
    for (size_t i = 0; good && i < n; i++)
        good = json_array_append_new(found, identity_json(&all[i])) == 0;
    if (all != NULL) wipe(all, n * sizeof *all);
    answer_json(e, 200, good ? json_pack("{s:O}", "value", found) : NULL);
}

static const struct {
    const char *part, *method;
    principal_edit *edit;
    int status;
} changes[] = {
    {"", "PATCH", edit_fields, 200},
    {"secrets", "POST", edit_secret, 201},
    {"certificates", "POST", edit_certificate, 201},
    {"credentials", "DELETE", edit_remove, 200},
};

static const char *right_of(const struct endpoint *e)
{
    return str_eq(e->req->method, "GET")      ? "read"
           : str_eq(e->req->method, "DELETE") ? "delete"
                                              : "write";
}

/* Managed identities are made and deleted with their resources, through ARM. */
static void serve_one(struct endpoint *e)
{
    struct principal p;
    if (!principal_find(e->id, e->at.word, &p)) {
        answer_error(e, 404, "IdentityNotFound", "There is no identity '%s'.", e->at.word);
        return;
    }
    bool whole = e->at.part[0] == 0;
    if (whole && str_eq(e->req->method, "GET")) {
        answer_json(e, 200, identity_json(&p));
        return;
    }
    if (p.kind == PRINCIPAL_MANAGED && !(whole && str_eq(e->req->method, "PATCH"))) {
        answer_error(e, 409, "ManagedIdentity", "'%s' belongs to the resource %s.", p.name,
                     p.resource);
        return;
    }
    if (whole && str_eq(e->req->method, "DELETE")) {
        take_away(e, &p);
        return;
    }
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        if (!str_eq(changes[i].part, e->at.part) || !str_eq(changes[i].method, e->req->method)) {
            continue;
        }
        change(e, &p, changes[i].edit, changes[i].status);
        return;
    }
    answer_error(e, 404, "NotFound", "There is nothing to %s there.", e->req->method);
}

void serve_identities(struct endpoint *e)
{
    if (!enter(e, right_of(e))) return;
    if (e->at.word[0] != 0) {
        serve_one(e);
    } else if (str_eq(e->req->method, "GET")) {
        list(e);
    } else if (str_eq(e->req->method, "POST")) {
        create(e);
    } else {
        answer_error(e, 405, "MethodNotAllowed", "%s needs an identity.", e->req->method);
    }
}

void serve_signing_keys(struct endpoint *e)
{
    struct diag d = DIAG_INIT;
    bool rotate = str_eq(e->req->method, "POST");
    if (!enter(e, rotate ? "write" : "read")) return;
    enum err err = rotate ? signers_rotate(e->id, &d) : OK;
    if (err != OK) {
        answer_failure(e, err, &d);
        return;
    }
    answer_json(e, 200, json_pack("{s:o}", "value", signers_json(e->id)));
}
