/* SPDX-License-Identifier: Apache-2.0 */
/* cli/drill_steps.c - what each drill does to the key, and how it sees what came of it */
#include "cli/drill.h"

#include <stdio.h>

#define API_CLUSTERS "2022-10-01"
#define REVOKED_CODE "CustomerManagedKeyUnavailable"
#define FOLLOW_S     120

/* --- calls ------------------------------------------------------------------------------------ */

struct ask {
    const char *method, *resource, *url;
    json_t *body; /* taken */
};

/* *out may be NULL. */
static enum err call(struct drill *r, const struct ask *a, json_t **out, struct diag *d)
{
    CLEANUP_JSON json_t *body = a->body;
    const struct session_call c = {
        .method = a->method, .resource = a->resource, .url = a->url, .json = body};
    CLEANUP_ANSWER struct http_answer answer = {0};
    TRY(session_do(r->s, &c, &answer, d));
    TRY(session_follow(r->s, &answer, FOLLOW_S, d));
    if (out == NULL) return OK;
    *out = NULL;
    return answer.body.len != 0 ? json_read(buf_view(&answer.body), out, d) : OK;
}

static enum err read_cluster(struct drill *r, json_t **out, struct diag *d)
{
    CLEANUP_FREE char *url = str_fmt("%s?api-version=" API_CLUSTERS, r->cluster_id);
    return call(r, &(struct ask){"GET", RESOURCE_ARM, url, NULL}, out, d);
}

static enum err vault_key(struct drill *r, const char *method, const char *tail, json_t *body,
                          json_t **out, struct diag *d)
{
    CLEANUP_FREE char *url = str_fmt("%s/keys/%s%s?api-version=7.4", r->vault_uri, r->key, tail);
    return call(r, &(struct ask){method, RESOURCE_VAULT, url, body}, out, d);
}

static enum err set_enabled(struct drill *r, bool enabled, struct diag *d)
{
    CLEANUP_FREE char *tail = str_fmt("/%s", r->version);
    return vault_key(r, "PATCH", tail,
                     json_pack("{s:{s:b}}", "attributes", "enabled", (int)enabled), NULL, d);
}

static enum err set_version(struct drill *r, const char *version, struct diag *d)
{
    CLEANUP_FREE char *url = str_fmt("%s?api-version=" API_CLUSTERS, r->cluster_id);
    json_t *body = json_pack("{s:{s:{s:s, s:s, s:s}}}", "properties", "keyVaultProperties",
                             "keyVaultUri", r->vault_uri, "keyName", r->key, "keyVersion", version);
    return call(r, &(struct ask){"PATCH", RESOURCE_ARM, url, body}, NULL, d);
}

static enum err faults(struct drill *r, const char *method, const char *tail, json_t *body,
                       json_t **out, struct diag *d)
{
    /* "vault.localhost:8444": the vaults' address is the name behind the first dot, and their port.
     */
    const char *suffix = session_credentials(r->s)->vault_suffix, *dot = strchr(suffix, '.');
    CLEANUP_FREE char *url =
        str_fmt("https://%s/admin/faults%s", dot != NULL ? dot + 1 : suffix, tail);
    return call(r, &(struct ask){method, RESOURCE_ARM, url, body}, out, d);
}

/* --- looking ---------------------------------------------------------------------------------- */

/* With one trivial query on each linked workspace: the first failure, or OK. */
static enum err query_all(struct drill *r, struct diag *d)
{
    size_t i;
    json_t *w;
    json_array_foreach (r->workspaces, i, w) {
        CLEANUP_JSON json_t *table = NULL;
        TRY(session_query(r->s, json_get_str(w, "id"), "print 1", &table, NULL, d));
    }
    return OK;
}

static bool all_answer(struct drill *r, struct diag *d)
{
    return query_all(r, d) == OK;
}

static bool all_refuse(struct drill *r, struct diag *d)
{
    size_t i;
    json_t *w;
    json_array_foreach (r->workspaces, i, w) {
        CLEANUP_JSON json_t *table = NULL;
        struct diag why = DIAG_INIT;
        enum err e = session_query(r->s, json_get_str(w, "id"), "print 1", &table, NULL, &why);
        if (e != OK && str_eq(why.tag, REVOKED_CODE)) continue;
        (void)FAIL(d, ERR_UNAVAILABLE, "workspace %s is not refused: %s", json_get_str(w, "name"),
                   e == OK ? "its query is answered" : why.text);
        return false;
    }
    return true;
}

static bool state_is(struct drill *r, const char *state, struct diag *d)
{
    CLEANUP_JSON json_t *cluster = NULL;
    if (read_cluster(r, &cluster, d) != OK) return false;
    const char *is = json_string_value(json_at(cluster, "properties", "keystead", "state", NULL));
    if (str_eq(is, state)) return true;
    (void)FAIL(d, ERR_UNAVAILABLE, "the cluster's key is %s", is != NULL ? is : "unknown");
    return false;
}

static bool is_well(struct drill *r, struct diag *d)
{
    return state_is(r, "ACTIVE", d) && all_answer(r, d);
}

static bool is_revoked(struct drill *r, struct diag *d)
{
    return state_is(r, "REVOKED", d) && all_refuse(r, d);
}

/* The vault was noticed to be silent; where the policy drops keys, they are gone. */
static bool is_out(struct drill *r, struct diag *d)
{
    if (!r->suspends) return state_is(r, "STALE", d) && all_answer(r, d);
    struct diag why = DIAG_INIT;
    return state_is(r, "SUSPENDED", d) && query_all(r, &why) != OK;
}

static bool names(const char *kid, const char *version)
{
    const char *slash = kid != NULL ? strrchr(kid, '/') : NULL;
    return str_eq(slash != NULL ? slash + 1 : kid, version);
}

/* Every wrap of the cluster's accounts is on that version, and rows can be read. */
static bool all_wrapped_by(struct drill *r, const char *version, struct diag *d)
{
    CLEANUP_JSON json_t *status = NULL;
    const struct ask a = {"GET", RESOURCE_ARM, "/admin/keys/status", NULL};
    if (call(r, &a, &status, d) != OK) return false;
    size_t i, k;
    json_t *account, *wrap;
    json_array_foreach (json_get(status, "accounts"), i, account) {
        if (!str_eq_nocase(json_get_str(account, "clusterId"), r->cluster_id)) continue;
        json_array_foreach (json_get(account, "wraps"), k, wrap) {
            if (json_get_int(wrap, "count", 0) == 0) continue;
            if (names(json_get_str(wrap, "version"), version)) continue;
            (void)FAIL(d, ERR_UNAVAILABLE, "a wrap is still on version %s",
                       json_get_str(wrap, "version"));
            return false;
        }
    }
    return all_answer(r, d);
}

static bool is_rotated(struct drill *r, struct diag *d)
{
    return all_wrapped_by(r, r->new_version, d);
}

static bool is_rotated_back(struct drill *r, struct diag *d)
{
    bool follows = r->set_version[0] == 0; /* the latest stays: a version cannot be unmade */
    return all_wrapped_by(r, follows ? r->new_version : r->version, d);
}

/* --- striking, and putting back --------------------------------------------------------------- */

static enum err disable(struct drill *r, struct diag *d)
{
    return set_enabled(r, false, d);
}

static enum err enable(struct drill *r, struct diag *d)
{
    return set_enabled(r, true, d);
}

static enum err rotate(struct drill *r, struct diag *d)
{
    CLEANUP_JSON json_t *key = NULL;
    TRY(vault_key(r, "POST", "/rotate", NULL, &key, d));
    const char *kid = json_string_value(json_at(key, "key", "kid", NULL));
    const char *slash = kid != NULL ? strrchr(kid, '/') : NULL;
    if (slash == NULL) return FAIL(d, ERR_CORRUPT, "the vault sent a key without an id");
    snprintf(r->new_version, sizeof r->new_version, "%s", slash + 1);
    return r->set_version[0] != 0 ? set_version(r, r->new_version, d) : OK;
}

static enum err rotate_back(struct drill *r, struct diag *d)
{
    if (r->set_version[0] != 0) return set_version(r, r->set_version, d);
    r->undone = "nothing to put back: the cluster follows the latest version";
    return OK;
}

static enum err add_fault(struct drill *r, struct diag *d)
{
    const char *host = r->vault_uri + strlen("https://"), *dot = strchr(host, '.');
    CLEANUP_FREE char *vault = str_fmt("%.*s", (int)(dot != NULL ? dot - host : 0), host);
    CLEANUP_JSON json_t *fault = NULL;
    json_t *body =
        json_pack("{s:s, s:s, s:s, s:s, s:i}", "kind", "error", "vault", vault != NULL ? vault : "",
                  "key", r->key, "operation", "KeyUnwrap", "seconds", 86400);
    struct diag why = DIAG_INIT;
    enum err e = faults(r, "POST", "", body, &fault, &why);
    if (e == ERR_NOT_FOUND || (e != OK && strstr(why.text, "api-version") != NULL)) {
        return FAIL(d, ERR_UNSUPPORTED,
                    "the vault makes no faults: run keystead up with --faults for this drill");
    }
    if (e != OK) return FAIL_TAG(d, e, why.tag, "%s", why.text);
    const char *id = json_get_str(fault, "id");
    snprintf(r->fault_id, sizeof r->fault_id, "%s", id != NULL ? id : "");
    return OK;
}

static enum err remove_fault(struct drill *r, struct diag *d)
{
    if (r->fault_id[0] == 0) return OK;
    CLEANUP_FREE char *tail = str_fmt("/%s", r->fault_id);
    return faults(r, "DELETE", tail, NULL, NULL, d);
}

const struct drill_kind drill_kinds[] = {
    {.name = "revoke",
     .what = "disable the key in the vault, wait until all queries are refused, enable it again",
     .started = "key disabled",
     .acted = "every query refused",
     .put_back = "key enabled",
     .recovered = "every query answered",
     .can_start = is_well,
     .strike = disable,
     .has_acted = is_revoked,
     .undo = enable,
     .has_recovered = is_well,
     .acts_within_bound = true},
    {.name = "restore",
     .what = "enable the key that is disabled now, wait until all queries are answered, disable it "
             "again",
     .started = "key enabled",
     .acted = "every query answered",
     .put_back = "key disabled",
     .recovered = "every query refused",
     .can_start = is_revoked,
     .strike = enable,
     .has_acted = is_well,
     .undo = disable,
     .has_recovered = is_revoked,
     .recovers_within_bound = true},
    {.name = "rotate",
     .what = "make a new version of the key, wait until it wraps everything, set the old one again "
             "(where the cluster names one; a version that was made stays in the vault)",
     .started = "new version made",
     .acted = "every wrap on the new version",
     .put_back = "old version set",
     .recovered = "every wrap where it belongs",
     .can_start = is_well,
     .strike = rotate,
     .has_acted = is_rotated,
     .undo = rotate_back,
     .has_recovered = is_rotated_back},
    {.name = "outage",
     .what = "make the vault fail each unwrap, wait until the outage policy has acted, let it work "
             "again",
     .started = "vault fails",
     .acted = "outage noticed, and the policy followed",
     .put_back = "vault works",
     .recovered = "every query answered, the key confirmed",
     .can_start = is_well,
     .strike = add_fault,
     .has_acted = is_out,
     .undo = remove_fault,
     .has_recovered = is_well},
};
const uint32_t n_drill_kinds = sizeof drill_kinds / sizeof drill_kinds[0];

/* --- before anything -------------------------------------------------------------------------- */

static enum err find_cluster(struct drill *r, json_t **out, struct diag *d)
{
    CLEANUP_FREE char *url = str_fmt("/subscriptions/%s/providers/Microsoft.OperationalInsights/"
                                     "clusters?api-version=" API_CLUSTERS,
                                     session_credentials(r->s)->subscription_id);
    CLEANUP_JSON json_t *list = NULL;
    TRY(call(r, &(struct ask){"GET", RESOURCE_ARM, url, NULL}, &list, d));
    const char *found = NULL;
    size_t i;
    json_t *c;
    json_array_foreach (json_get(list, "value"), i, c) {
        const char *id = json_get_str(c, "id");
        bool is =
            str_eq_nocase(json_get_str(c, "name"), r->cluster) || str_eq_nocase(id, r->cluster);
        if (!is) continue;
        if (found != NULL) {
            return FAIL(d, ERR_CONFLICT, "more than one cluster is named %s: use its id",
                        r->cluster);
        }
        found = id;
    }
    if (found == NULL) return FAIL(d, ERR_NOT_FOUND, "there is no cluster named %s", r->cluster);
    snprintf(r->cluster_id, sizeof r->cluster_id, "%s", found);
    return read_cluster(r, out, d);
}

static enum err find_key(struct drill *r, const json_t *cluster, struct diag *d)
{
    const json_t *k = json_at(cluster, "properties", "keyVaultProperties", NULL);
    const char *uri = json_get_str(k, "keyVaultUri"), *name = json_get_str(k, "keyName"),
               *version = json_get_str(k, "keyVersion");
    if (uri == NULL || name == NULL || version == NULL) {
        return FAIL(d, ERR_INVALID, "cluster %s has no key: there is nothing to rehearse",
                    r->cluster);
    }
    snprintf(r->vault_uri, sizeof r->vault_uri, "%s", uri);
    size_t n = strlen(r->vault_uri);
    if (n != 0 && r->vault_uri[n - 1] == '/') r->vault_uri[n - 1] = '\0';
    snprintf(r->key, sizeof r->key, "%s", name);
    snprintf(r->set_version, sizeof r->set_version, "%s", version);
    snprintf(r->version, sizeof r->version, "%s", version);
    return OK;
}

/* Where the cluster follows the latest version: which one its wraps are on. */
static enum err find_version(struct drill *r, struct diag *d)
{
    if (r->version[0] != 0) return OK;
    CLEANUP_JSON json_t *status = NULL;
    TRY(call(r, &(struct ask){"GET", RESOURCE_ARM, "/admin/keys/status", NULL}, &status, d));
    size_t i;
    json_t *a;
    json_array_foreach (json_get(status, "accounts"), i, a) {
        const char *kek = json_get_str(a, "kek");
        if (!str_eq_nocase(json_get_str(a, "clusterId"), r->cluster_id) || kek == NULL) continue;
        const char *slash = strrchr(kek, '/');
        snprintf(r->version, sizeof r->version, "%s", slash != NULL ? slash + 1 : kek);
    }
    if (r->version[0] != 0) return OK;
    return FAIL(d, ERR_INVALID, "cluster %s protects nothing yet: link a workspace first",
                r->cluster);
}

static enum err find_times(struct drill *r, struct diag *d)
{
    CLEANUP_JSON json_t *status = NULL;
    TRY(call(r, &(struct ask){"GET", RESOURCE_ARM, "/admin/keys/status", NULL}, &status, d));
    size_t i;
    json_t *s;
    json_array_foreach (json_get(status, "scopes"), i, s) {
        if (!str_eq_nocase(json_get_str(s, "scope"), r->cluster_id)) continue;
        const json_t *p = json_get(s, "policy");
        r->bound_s = json_get_int(p, "revocationBoundSeconds", 0);
        bool suspend = str_eq(json_get_str(p, "outagePolicy"), "suspend");
        r->silence_s = json_get_int(p, suspend ? "outageGraceSeconds" : "retainMaxSeconds", 0);
        r->suspends = r->silence_s != 0;
        return OK;
    }
    return FAIL(d, ERR_NOT_FOUND, "the key daemon knows nothing of cluster %s", r->cluster);
}

enum err drill_look(struct drill *r, struct diag *d)
{
    CLEANUP_JSON json_t *cluster = NULL;
    TRY(find_cluster(r, &cluster, d));
    TRY(find_key(r, cluster, d));
    TRY(find_version(r, d));
    TRY(find_times(r, d));
    size_t i;
    json_t *w;
    json_array_foreach (json_at(cluster, "properties", "associatedWorkspaces", NULL), i, w) {
        json_array_append_new(r->workspaces,
                              json_pack("{s:s?, s:s?}", "name", json_get_str(w, "workspaceName"),
                                        "id", json_get_str(w, "workspaceId")));
    }
    if (json_array_size(r->workspaces) != 0) return OK;
    return FAIL(d, ERR_INVALID, "no workspace is linked to cluster %s: nobody would notice",
                r->cluster);
}
