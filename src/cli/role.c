/* SPDX-License-Identifier: Apache-2.0 */
/* cli/role.c - keystead role: who may do what, where */
#include "cli/cli.h"

#include "base/opt.h"
#include "base/os.h"
#include "cli/remote.h"

#include <stdio.h>
#include <stdlib.h>

#define VERSION  "?api-version=2022-04-01"
#define PROVIDER "/providers/Microsoft.Authorization"

struct role_options {
    struct remote r;
    const char *role, *to, *type;
    char *scope; /* absolute; the subscription unless asked otherwise */
};

static enum err read_scope(struct session *s, struct role_options *o, const char *asked,
                           struct diag *d)
{
    const char *subscription = session_credentials(s)->subscription_id;
    bool absolute = asked != NULL && (str_starts_nocase(asked, "/subscriptions/"));
    if (asked != NULL && asked[0] != '/') {
        return FAIL(d, ERR_INVALID, "a scope starts with a slash, not '%.60s'", asked);
    }
    o->scope = absolute ? str_dup(asked)
                        : str_fmt("/subscriptions/%s%s", subscription, asked != NULL ? asked : "");
    return o->scope != NULL ? OK : FAIL(d, ERR_LIMIT, "out of memory");
}

/* The id of a role by its name, or the id itself. */
static enum err find_role(struct session *s, const struct role_options *o, char **out,
                          struct diag *d)
{
    CLEANUP_BUF struct buf path = {0};
    CLEANUP_JSON json_t *j = NULL;
    struct guid g;
    if (guid_parse(o->role, &g, NULL) == OK) {
        *out = str_fmt("%s" PROVIDER "/roleDefinitions/%s", o->scope, o->role);
        return OK;
    }
    buf_fmt(&path, "%s" PROVIDER "/roleDefinitions" VERSION "&$filter=", o->scope);
    CLEANUP_FREE char *filter = str_fmt("roleName eq '%s'", o->role);
    percent_encode(&path, bytes_str(filter));
    TRY(remote_call(s, "GET", buf_cstr(&path), NULL, &j, d));
    const char *id = json_get_str(json_array_get(json_get(j, "value"), 0), "id");
    if (id == NULL) return FAIL(d, ERR_NOT_FOUND, "there is no role '%.100s'", o->role);
    *out = str_dup(id);
    return OK;
}

/* A name or id of this server's, else an object id of another directory whose type is given. */
static enum err find_principal(struct session *s, const struct role_options *o, char **id,
                               const char **type, struct diag *d)
{
    CLEANUP_BUF struct buf path = {0};
    CLEANUP_JSON json_t *j = NULL;
    struct guid g;
    struct diag why = DIAG_INIT;
    buf_str(&path, "/admin/identities");
    remote_segment(&path, o->to);
    if (remote_call(s, "GET", buf_cstr(&path), NULL, &j, &why) == OK) {
        const char *kind = json_get_str(j, "kind");
        *type = str_eq(kind, "person")  ? "User"
                : str_eq(kind, "group") ? "Group"
                                        : "ServicePrincipal";
        *id = str_dup(json_get_str(j, "objectId"));
        return OK;
    }
    if (o->type == NULL || guid_parse(o->to, &g, NULL) != OK) {
        return FAIL(d, ERR_NOT_FOUND,
                    "%s (for somebody of another directory give an object id and --type)",
                    why.text);
    }
    *type = o->type;
    *id = str_dup(o->to);
    return OK;
}

static enum err assign(struct session *s, const struct role_options *o, struct diag *d)
{
    CLEANUP_FREE char *role = NULL, *principal = NULL;
    CLEANUP_JSON json_t *j = NULL;
    const char *type = NULL;
    struct guid g;
    char name[GUID_TEXT_MAX];
    if (o->role == NULL || o->to == NULL) {
        return FAIL(d, ERR_INVALID, "--role NAME and --to NAME are needed");
    }
    TRY(find_role(s, o, &role, d));
    TRY(find_principal(s, o, &principal, &type, d));
    guid_random(&g);
    guid_format(&g, name);
    CLEANUP_FREE char *path = str_fmt("%s" PROVIDER "/roleAssignments/%s" VERSION, o->scope, name);
    CLEANUP_JSON json_t *body = json_pack("{s:{s:s, s:s, s:s}}", "properties", "roleDefinitionId",
                                          role, "principalId", principal, "principalType", type);
    TRY(remote_call(s, "PUT", path, body, &j, d));
    CLEANUP_JSON json_t *shown = json_pack("{s:s, s:s, s:s, s:s}", "name", name, "role", o->role,
                                           "principal", principal, "scope", o->scope);
    return remote_object(&o->r, shown, d);
}

/* --- listing and removing
 * ------------------------------------------------------------------------------- */

static json_t *map_of(struct session *s, const char *path, const char *key, const char *value,
                      bool in_properties)
{
    CLEANUP_JSON json_t *j = NULL;
    json_t *map = json_object(), *one;
    struct diag d = DIAG_INIT;
    size_t i;
    if (remote_call(s, "GET", path, NULL, &j, &d) != OK) return map;
    json_array_foreach (json_get(j, "value"), i, one) {
        const char *k = json_get_str(one, key);
        const char *v = json_get_str(in_properties ? json_get(one, "properties") : one, value);
        if (k != NULL && v != NULL) json_object_set_new(map, k, json_string(v));
    }
    return map;
}

static const char *last_part(const char *id)
{
    const char *slash = id != NULL ? strrchr(id, '/') : NULL;
    return slash != NULL ? slash + 1 : "";
}

static const char *named(const json_t *map, const char *key)
{
    const char *name = json_string_value(json_object_get(map, key));
    return name != NULL ? name : key;
}

/* [{name, role, principal, type, scope}] with names where ids have them. */
static enum err read_list(struct session *s, const struct role_options *o, json_t **out,
                          struct diag *d)
{
    CLEANUP_FREE char *path = str_fmt("%s" PROVIDER "/roleAssignments" VERSION, o->scope);
    CLEANUP_FREE char *roles_path = str_fmt("%s" PROVIDER "/roleDefinitions" VERSION, o->scope);
    CLEANUP_JSON json_t *j = NULL;
    TRY(remote_call(s, "GET", path, NULL, &j, d));
    CLEANUP_JSON json_t *roles = map_of(s, roles_path, "name", "roleName", true),
                        *people =
                            map_of(s, "/admin/identities?managed=true", "objectId", "name", false);
    json_t *list = json_array(), *one;
    size_t i;
    json_array_foreach (json_get(j, "value"), i, one) {
        const json_t *p = json_get(one, "properties");
        const char *role = last_part(json_get_str(p, "roleDefinitionId"));
        const char *who = json_get_str(p, "principalId");
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "name",
                                              json_get_str(one, "name"), "role", named(roles, role),
                                              "principal", named(people, who), "principalId", who,
                                              "type", json_get_str(p, "principalType"), "scope",
                                              json_get_str(p, "scope")));
    }
    *out = list;
    return OK;
}

static bool is_meant(const struct role_options *o, const json_t *one)
{
    const char *role = json_get_str(one, "role"), *who = json_get_str(one, "principal"),
               *id = json_get_str(one, "principalId");
    return (o->role == NULL || str_eq_nocase(o->role, role)) &&
           (o->to == NULL || str_eq_nocase(o->to, who) || str_eq_nocase(o->to, id));
}

static enum err list(struct session *s, const struct role_options *o, struct diag *d)
{
    static const char *const members[] = {"name", "role", "principal", "type", "scope", NULL};
    CLEANUP_JSON json_t *all = NULL, *shown = json_array();
    size_t i;
    json_t *one;
    TRY(read_list(s, o, &all, d));
    json_array_foreach (all, i, one) {
        if (is_meant(o, one)) json_array_append(shown, one);
    }
    return remote_table(&o->r, shown, members, d);
}

/* By name, or the one that role, principal and scope say. */
static enum err take_away(struct session *s, const struct role_options *o, struct diag *d)
{
    CLEANUP_JSON json_t *all = NULL, *j = NULL;
    const json_t *found = NULL;
    const char *name = o->r.n_words > 1 ? o->r.words[1] : NULL;
    size_t i, n = 0;
    json_t *one;
    if (name == NULL && (o->role == NULL || o->to == NULL)) {
        return FAIL(d, ERR_INVALID, "the assignment's name, or --role and --to, are needed");
    }
    TRY(read_list(s, o, &all, d));
    json_array_foreach (all, i, one) {
        bool its = name != NULL
                       ? str_eq_nocase(name, json_get_str(one, "name"))
                       : is_meant(o, one) && str_eq_nocase(o->scope, json_get_str(one, "scope"));
        if (its) found = one;
        n += its;
    }
    if (n != 1) return FAIL(d, ERR_NOT_FOUND, "%zu such role assignments", n);
    const char *scope = json_get_str(found, "scope");
    CLEANUP_FREE char *path = str_fmt("%s" PROVIDER "/roleAssignments/%s" VERSION,
                                      str_eq(scope, "/") ? "" : scope, json_get_str(found, "name"));
    TRY(remote_call(s, "DELETE", path, NULL, &j, d));
    return remote_object(&o->r, found, d);
}

/* --- defining
 * ----------------------------------------------------------------------------------------- */

/* As `az role definition` takes it ({"Name","Actions",...}), or with "properties". */
static enum err define(struct session *s, const struct role_options *o, struct diag *d)
{
    CLEANUP_BUF struct buf text = {0};
    CLEANUP_JSON json_t *j = NULL, *answer = NULL, *body = NULL;
    struct guid g;
    char id[GUID_TEXT_MAX];
    TRY(os_read_file(o->r.words[1], 1 << 20, &text, d));
    TRY(json_read(buf_view(&text), &j, d));
    const char *given = json_get_str(j, "id");
    if (given == NULL || guid_parse(given, &g, NULL) != OK) guid_random(&g);
    guid_format(&g, id);
    if (json_get(j, "properties") != NULL) {
        body = json_incref(j);
    } else {
        static const char *const lists[] = {"actions", "notActions", "dataActions",
                                            "notDataActions"};
        json_t *permission = json_object(), *scopes = json_get(j, "assignableScopes");
        for (size_t i = 0; i < 4; i++) {
            if (json_get(j, lists[i]) != NULL)
                json_object_set(permission, lists[i], json_get(j, lists[i]));
        }
        body = json_pack("{s:{s:s*, s:s*, s:[o], s:o}}", "properties", "roleName",
                         json_get_str(j, "name"), "description", json_get_str(j, "description"),
                         "permissions", permission, "assignableScopes",
                         scopes != NULL ? json_incref(scopes) : json_pack("[s]", o->scope));
    }
    CLEANUP_FREE char *path = str_fmt("%s" PROVIDER "/roleDefinitions/%s" VERSION, o->scope, id);
    TRY(remote_call(s, "PUT", path, body, &answer, d));
    CLEANUP_JSON json_t *shown = json_pack(
        "{s:s, s:s}", "id", id, "name", json_get_str(json_get(answer, "properties"), "roleName"));
    return remote_object(&o->r, shown, d);
}

/* --- the command
 * ---------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    uint32_t words_min, words_max;
    enum err (*run)(struct session *s, const struct role_options *o, struct diag *d);
} verbs[] = {{"assign", 1, 1, assign},
             {"list", 1, 1, list},
             {"remove", 1, 2, take_away},
             {"define", 2, 2, define}};

static enum err run(size_t verb, struct role_options *o, const char *scope, struct diag *d)
{
    CLEANUP(session_close) struct session *s = NULL;
    TRY(session_open(&s, o->r.data, d));
    TRY(read_scope(s, o, scope, d));
    enum err e = verbs[verb].run(s, o, d);
    free(o->scope);
    return e;
}

int cli_role(int argc, char **argv, struct diag *d)
{
    struct role_options o = {.r.format = "table"};
    const char *scope = NULL;
    const struct opt opts[] = {
        {.name = "data",
         .value = "DIR",
         .help = "data directory of the running server; without it who has signed in speaks",
         .text = &o.r.data},
        {.name = "role", .value = "NAME", .help = "a role's name or id", .text = &o.role},
        {.name = "to",
         .value = "NAME",
         .help = "an identity's name, client id or object id",
         .text = &o.to},
        {.name = "type",
         .value = "TYPE",
         .help = "of an object id of another directory: User, Group, ServicePrincipal",
         .text = &o.type},
        {.name = "scope",
         .value = "PATH",
         .help = "an ARM id, or what follows the subscription's (the subscription)",
         .text = &scope},
        {.name = "output",
         .letter = 'o',
         .value = "FORMAT",
         .help = "table or json (table)",
         .text = &o.r.format},
    };
    const struct opt_command c = {
        .usage = "keystead role assign|list|remove|define --data DIR [options]",
        .about = "Who may do what, where. A role holds at its scope and below.\n\n"
                 "  assign --role 'Log Analytics Reader' --to NAME [--scope PATH]\n"
                 "  list [--role NAME] [--to NAME] [--scope PATH]\n"
                 "  remove ASSIGNMENT, or remove --role NAME --to NAME [--scope PATH]\n"
                 "  define FILE                         a role of your own: JSON with Name,\n"
                 "                                      Actions, DataActions, AssignableScopes",
        .opts = opts,
        .n_opts = sizeof opts / sizeof opts[0],
        .args = o.r.words,
        .args_min = 1,
        .args_max = 2};
    bool helped;
    if (opt_parse(&c, argc, argv, &o.r.n_words, &helped, d) != OK) return EXIT_USAGE;
    if (helped) return EXIT_OK;
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (!str_eq(verbs[i].name, o.r.words[0]) || o.r.n_words < verbs[i].words_min ||
            o.r.n_words > verbs[i].words_max) {
            continue;
        }
        return remote_format_is_good(&o.r, d) ? exit_of(run(i, &o, scope, d)) : EXIT_USAGE;
    }
    (void)FAIL(d, ERR_INVALID, "usage: %s", c.usage);
    return EXIT_USAGE;
}
