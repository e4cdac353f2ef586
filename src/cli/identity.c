/* SPDX-License-Identifier: Apache-2.0 */
/* cli/identity.c - keystead identity: applications, people, groups and signing keys of a server */
#include "cli/cli.h"

#include "base/opt.h"
#include "base/os.h"
#include "cli/remote.h"

#include <stdio.h>

#define FILE_MAX ((size_t)64 << 10)

struct identity_options {
    struct remote r;
    bool person, group, managed;
    const char *password_file, *certificate;
    uint64_t days, overlap_s;
};

typedef enum err identity_verb(struct session *s, const struct identity_options *o, struct diag *d);

static enum err read_text(const char *path, char **out, struct diag *d)
{
    CLEANUP_BUF struct buf text = {0};
    TRY(os_read_file(path, FILE_MAX, &text, d));
    *out = str_dup(buf_cstr(&text));
    return *out != NULL ? OK : FAIL(d, ERR_LIMIT, "out of memory");
}

/* The first line: a file that an editor or `pass` wrote ends in a newline. */
static enum err read_password(const char *path, char **out, struct diag *d)
{
    TRY(read_text(path, out, d));
    (*out)[strcspn(*out, "\r\n")] = 0;
    return OK;
}

static enum err call_one(struct session *s, const char *method, const char *word, const char *part,
                         const char *item, const json_t *body, json_t **out, struct diag *d)
{
    CLEANUP_BUF struct buf path = {0};
    buf_str(&path, "/admin/identities");
    remote_segment(&path, word);
    if (part != NULL) remote_segment(&path, part);
    if (item != NULL) remote_segment(&path, item);
    TRY(buf_check(&path, d));
    return remote_call(s, method, buf_cstr(&path), body, out, d);
}

static enum err call_and_show(struct session *s, const struct identity_options *o,
                              const char *method, const char *part, const char *item,
                              const json_t *body, struct diag *d)
{
    CLEANUP_JSON json_t *j = NULL;
    const char *word = o->r.words[o->r.n_words - (item != NULL ? 2 : 1)];
    TRY(call_one(s, method, word, part, item, body, &j, d));
    return remote_object(&o->r, j, d);
}

/* --- making and showing
 * --------------------------------------------------------------------------------- */

static enum err create(struct session *s, const struct identity_options *o, struct diag *d)
{
    CLEANUP_FREE char *password = NULL, *pem = NULL;
    CLEANUP_JSON json_t *j = NULL;
    CLEANUP_JSON json_t *body = json_pack("{s:s, s:s, s:I}", "name", o->r.words[1], "kind",
                                          o->person  ? "person"
                                          : o->group ? "group"
                                                     : "app",
                                          "secretDays", (json_int_t)o->days);
    if (o->password_file != NULL) {
        TRY(read_password(o->password_file, &password, d));
        TRY(json_put(body, "password", json_string(password), d));
    }
    if (o->certificate != NULL) {
        TRY(read_text(o->certificate, &pem, d));
        TRY(json_put(body, "certificate", json_string(pem), d));
    }
    TRY(remote_call(s, "POST", "/admin/identities", body, &j, d));
    return remote_object(&o->r, j, d);
}

static enum err list(struct session *s, const struct identity_options *o, struct diag *d)
{
    static const char *const members[] = {"name",     "kind",        "objectId", "clientId",
                                          "disabled", "credentials", NULL};
    CLEANUP_JSON json_t *j = NULL;
    TRY(remote_call(s, "GET", o->managed ? "/admin/identities?managed=true" : "/admin/identities",
                    NULL, &j, d));
    return remote_table(&o->r, json_get(j, "value"), members, d);
}

static enum err show(struct session *s, const struct identity_options *o, struct diag *d)
{
    return call_and_show(s, o, "GET", NULL, NULL, NULL, d);
}

static enum err set_disabled(struct session *s, const struct identity_options *o, bool disabled,
                             struct diag *d)
{
    CLEANUP_JSON json_t *body = json_pack("{s:b}", "disabled", disabled);
    return call_and_show(s, o, "PATCH", NULL, NULL, body, d);
}

static enum err disable(struct session *s, const struct identity_options *o, struct diag *d)
{
    return set_disabled(s, o, true, d);
}

static enum err enable(struct session *s, const struct identity_options *o, struct diag *d)
{
    return set_disabled(s, o, false, d);
}

static enum err delete_one(struct session *s, const struct identity_options *o, struct diag *d)
{
    return call_and_show(s, o, "DELETE", NULL, NULL, NULL, d);
}

/* --- credentials
 * ---------------------------------------------------------------------------------------- */

/* The command line's own secret is what credentials.json holds: a new one goes there first. */
static enum err keep_own(struct session *s, const struct identity_options *o, const json_t *j,
                         struct diag *d)
{
    struct credentials mine = *session_credentials(s);
    const char *client = json_get_str(j, "clientId"), *secret = json_get_str(j, "secret");
    if (!str_eq(client, mine.client_id) || secret == NULL ||
        strlen(secret) >= sizeof mine.client_secret) {
        return OK;
    }
    CLEANUP_FREE char *path = os_path(o->r.data, "credentials.json");
    snprintf(mine.client_secret, sizeof mine.client_secret, "%s", secret);
    enum err e = credentials_write(path, &mine, d);
    explicit_bzero(&mine, sizeof mine);
    return e;
}

static enum err secret_rotate(struct session *s, const struct identity_options *o, struct diag *d)
{
    CLEANUP_JSON json_t *j = NULL;
    CLEANUP_JSON json_t *body = json_pack("{s:I, s:I}", "days", (json_int_t)o->days,
                                          "overlapSeconds", (json_int_t)o->overlap_s);
    TRY(call_one(s, "POST", o->r.words[2], "secrets", NULL, body, &j, d));
    TRY(keep_own(s, o, j, d));
    return remote_object(&o->r, j, d);
}

static enum err certificate_add(struct session *s, const struct identity_options *o, struct diag *d)
{
    CLEANUP_FREE char *pem = NULL;
    CLEANUP_JSON json_t *j = NULL;
    TRY(read_text(o->r.words[3], &pem, d));
    CLEANUP_JSON json_t *body = json_pack("{s:s}", "certificate", pem);
    TRY(call_one(s, "POST", o->r.words[2], "certificates", NULL, body, &j, d));
    return remote_object(&o->r, j, d);
}

static enum err credential_remove(struct session *s, const struct identity_options *o,
                                  struct diag *d)
{
    return call_and_show(s, o, "DELETE", "credentials", o->r.words[3], NULL, d);
}

static enum err password_set(struct session *s, const struct identity_options *o, struct diag *d)
{
    CLEANUP_FREE char *password = NULL;
    if (o->password_file == NULL) return FAIL(d, ERR_INVALID, "--password-file FILE is missing");
    TRY(read_password(o->password_file, &password, d));
    CLEANUP_JSON json_t *body = json_pack("{s:s}", "password", password);
    return call_and_show(s, o, "PATCH", NULL, NULL, body, d);
}

/* --- groups
 * ------------------------------------------------------------------------------------------ */

static enum err change_group(struct session *s, const struct identity_options *o, bool joins,
                             struct diag *d)
{
    CLEANUP_JSON json_t *group = NULL, *who = NULL, *after = NULL, *kept = json_array();
    TRY(call_one(s, "GET", o->r.words[2], NULL, NULL, NULL, &group, d));
    TRY(call_one(s, "GET", o->r.words[3], NULL, NULL, NULL, &who, d));
    const char *id = json_get_str(group, "objectId");
    size_t i;
    json_t *one;
    json_array_foreach (json_get(who, "groups"), i, one) {
        if (!str_eq(json_string_value(one), id)) json_array_append(kept, one);
    }
    if (joins) json_array_append_new(kept, json_string(id != NULL ? id : ""));
    CLEANUP_JSON json_t *body = json_pack("{s:O}", "groups", kept);
    TRY(call_one(s, "PATCH", o->r.words[3], NULL, NULL, body, &after, d));
    return remote_object(&o->r, after, d);
}

static enum err group_add(struct session *s, const struct identity_options *o, struct diag *d)
{
    return change_group(s, o, true, d);
}

static enum err group_remove(struct session *s, const struct identity_options *o, struct diag *d)
{
    return change_group(s, o, false, d);
}

/* --- signing keys
 * ---------------------------------------------------------------------------------------- */

static enum err signing_keys(struct session *s, const struct identity_options *o,
                             const char *method, struct diag *d)
{
    static const char *const members[] = {"kid", "created", "signs", "verifiesUntil", NULL};
    CLEANUP_JSON json_t *j = NULL;
    TRY(remote_call(s, method, "/admin/signing-keys", NULL, &j, d));
    return remote_table(&o->r, json_get(j, "value"), members, d);
}

static enum err signing_key_list(struct session *s, const struct identity_options *o,
                                 struct diag *d)
{
    return signing_keys(s, o, "GET", d);
}

static enum err signing_key_rotate(struct session *s, const struct identity_options *o,
                                   struct diag *d)
{
    return signing_keys(s, o, "POST", d);
}

/* --- the command
 * ---------------------------------------------------------------------------------------- */

static const struct {
    const char *first, *second; /* second NULL: one word names the verb */
    uint32_t words;             /* with the verb's own */
    identity_verb *run;
} verbs[] = {
    {"create", NULL, 2, create},
    {"list", NULL, 1, list},
    {"show", NULL, 2, show},
    {"disable", NULL, 2, disable},
    {"enable", NULL, 2, enable},
    {"delete", NULL, 2, delete_one},
    {"password", NULL, 2, password_set},
    {"secret", "rotate", 3, secret_rotate},
    {"certificate", "add", 4, certificate_add},
    {"credential", "remove", 4, credential_remove},
    {"group", "add", 4, group_add},
    {"group", "remove", 4, group_remove},
    {"signing-key", "list", 2, signing_key_list},
    {"signing-key", "rotate", 2, signing_key_rotate},
};

static identity_verb *find_verb(const struct remote *r)
{
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (!str_eq(verbs[i].first, r->words[0]) || verbs[i].words != r->n_words) continue;
        if (verbs[i].second == NULL || str_eq(verbs[i].second, r->words[1])) return verbs[i].run;
    }
    return NULL;
}

static enum err run(identity_verb *verb, const struct identity_options *o, struct diag *d)
{
    CLEANUP(session_close) struct session *s = NULL;
    TRY(session_open(&s, o->r.data, d));
    return verb(s, o, d);
}

int cli_identity(int argc, char **argv, struct diag *d)
{
    struct identity_options o = {.r.format = "table", .days = 365, .overlap_s = 86400};
    const struct opt opts[] = {
        {.name = "data",
         .value = "DIR",
         .help = "data directory of the running server; without it who has signed in speaks",
         .text = &o.r.data},
        {.name = "output",
         .letter = 'o',
         .value = "FORMAT",
         .help = "table or json (table)",
         .text = &o.r.format},
        {.name = "person", .help = "create: a person, who signs in by hand", .flag = &o.person},
        {.name = "group", .help = "create: a group, to give roles to", .flag = &o.group},
        {.name = "password-file",
         .value = "FILE",
         .help = "a person's password, 12 bytes or more: the first line of the file",
         .text = &o.password_file},
        {.name = "certificate",
         .value = "FILE",
         .help = "create: a certificate (PEM) instead of a secret",
         .text = &o.certificate},
        {.name = "days",
         .value = "N",
         .help = "how long a new secret is good, 1 to 3650 (365)",
         .number = &o.days,
         .min = 1,
         .max = 3650},
        {.name = "overlap",
         .value = "SECONDS",
         .help = "rotate: how long the older secrets are good yet, 0 to 2592000 (86400)",
         .number = &o.overlap_s,
         .max = 2592000},
        {.name = "managed", .help = "list: identities of resources too", .flag = &o.managed},
    };
    const struct opt_command c = {
        .usage = "keystead identity VERB [WORD...] --data DIR [options]",
        .about = "Applications, people and groups that this server knows.\n\n"
                 "  create NAME [--person|--group]      a secret is shown once\n"
                 "  list, show NAME                     NAME may be a client or object id\n"
                 "  disable NAME, enable NAME           no new tokens, no rights, at once\n"
                 "  delete NAME                         with its role assignments\n"
                 "  password NAME --password-file FILE\n"
                 "  secret rotate NAME                  the older ones end after --overlap\n"
                 "  certificate add NAME FILE           for signed assertions instead of secrets\n"
                 "  credential remove NAME ID           a secret or a certificate, at once\n"
                 "  group add GROUP NAME, group remove GROUP NAME\n"
                 "  signing-key list, signing-key rotate",
        .opts = opts,
        .n_opts = sizeof opts / sizeof opts[0],
        .args = o.r.words,
        .args_min = 1,
        .args_max = REMOTE_WORDS_MAX};
    bool helped;
    if (opt_parse(&c, argc, argv, &o.r.n_words, &helped, d) != OK) return EXIT_USAGE;
    if (helped) return EXIT_OK;
    identity_verb *verb = find_verb(&o.r);
    if (verb == NULL) (void)FAIL(d, ERR_INVALID, "usage: %s; --help lists the verbs", c.usage);
    if (verb == NULL || !remote_format_is_good(&o.r, d)) return EXIT_USAGE;
    return exit_of(run(verb, &o, d));
}
