/* SPDX-License-Identifier: Apache-2.0 */
/* cli/keys.c - keystead keys status, and the unlocking of a sealed cluster */
#include "cli/cli.h"

#include "base/opt.h"
#include "cli/keys.h"
#include "cli/session.h"
#include "cli/table.h"

#include <stdio.h>

static const char *or_dash(const char *s)
{
    return s != NULL && s[0] != 0 ? s : "-";
}

static json_t *wraps_text(const json_t *wraps)
{
    CLEANUP_BUF struct buf text = {0};
    size_t i;
    json_t *w;
    json_array_foreach (wraps, i, w) {
        buf_fmt(&text, "%s%.8s: %lld%s", i != 0 ? ", " : "", or_dash(json_get_str(w, "version")),
                (long long)json_get_int(w, "count", 0),
                json_get_bool(w, "safeToDisable", false) ? " (safe to disable)" : "");
    }
    return json_string(buf_cstr(&text));
}

/* "retain", "retain for 7200 s", "suspend after 1800 s" */
static json_t *outage_text(const json_t *policy)
{
    CLEANUP_BUF struct buf text = {0};
    const char *name = json_get_str(policy, "outagePolicy");
    int64_t grace = json_get_int(policy, "outageGraceSeconds", 0),
            max = json_get_int(policy, "retainMaxSeconds", 0);
    if (str_eq(name, "suspend")) {
        buf_fmt(&text, "suspend after %lld s", (long long)grace);
    } else if (max != 0) {
        buf_fmt(&text, "retain for %lld s", (long long)max);
    } else {
        buf_str(&text, or_dash(name));
    }
    return json_string(buf_cstr(&text));
}

static void print_accounts(const json_t *status)
{
    static const char *const names[] = {"workspace",  "cluster", "state",  "since",
                                        "lastUnwrap", "bound",   "dropped"};
    CLEANUP_JSON json_t *rows = json_array(), *columns = json_array();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        json_array_append_new(columns, json_pack("{s:s, s:s}", "name", names[i], "type", "string"));
    }
    json_array_append_new(columns, json_pack("{s:s, s:s}", "name", "outage", "type", "string"));
    json_array_append_new(
        columns, json_pack("{s:s, s:s}", "name", "wraps by KEK version", "type", "string"));
    size_t i;
    json_t *a;
    json_array_foreach (json_get(status, "accounts"), i, a) {
        json_t *row = json_array();
        for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
            json_t *v = json_get(a, names[k]);
            json_array_append(row, v != NULL ? v : json_null());
        }
        json_array_append_new(row, outage_text(json_get(a, "policy")));
        json_array_append_new(row, wraps_text(json_get(a, "wraps")));
        json_array_append_new(rows, row);
    }
    CLEANUP_JSON json_t *table = json_pack("{s:O, s:O}", "columns", columns, "rows", rows);
    const struct table_style style = {.colour = colour_wanted(stdout)};
    table_print(stdout, table, &style);
}

/* The last part of an ARM id. */
static const char *short_name(const char *scope)
{
    const char *slash = strrchr(scope, '/');
    return slash != NULL ? slash + 1 : scope;
}

static void print_silence(const char *name, const json_t *scope)
{
    printf("\n%s: its vault is silent since %s; its keys serve", name,
           or_dash(json_get_str(scope, "since")));
    int64_t bound = json_get_int(scope, "boundInForceSeconds", 0);
    if (bound != 0) {
        printf(" until %lld s after the last good unwrap (%s)\n", (long long)bound,
               or_dash(json_get_str(scope, "lastUnwrap")));
    } else {
        printf(", and a revocation is %s\n", or_dash(json_get_str(scope, "notEnforced")));
    }
}

/* What somebody should look at: a silent vault, an alarm, a rotation that is overdue, a seal. */
static void print_banners(const json_t *status)
{
    size_t i;
    json_t *s;
    json_array_foreach (json_get(status, "scopes"), i, s) {
        const char *scope = json_get_str(s, "scope"), *overdue = json_get_str(s, "rotationOverdue");
        const char *name = short_name(or_dash(scope));
        const json_t *alarm = json_get(s, "alarm");
        if (str_eq(json_get_str(s, "state"), "STALE")) print_silence(name, s);
        if (json_is_object(alarm)) {
            printf("\n%s: ALARM %s since %s: %s\n", name, or_dash(json_get_str(alarm, "code")),
                   or_dash(json_get_str(alarm, "since")), or_dash(json_get_str(alarm, "message")));
        }
        if (overdue != NULL) printf("\n%s: rotation overdue: %s\n", name, overdue);
        if (json_get_bool(s, "sealed", false)) {
            printf("\n%s: sealed: its identity was removed (keystead keys unlock)\n", name);
        }
    }
}

static void print_audit(const json_t *a)
{
    const char *key = json_get_str(a, "auditorKeyLiesHere"), *problem = json_get_str(a, "problem");
    printf("audit log: sealed %s, signer %s\n", or_dash(json_get_str(a, "sealed")),
           or_dash(json_get_str(a, "signer")));
    if (problem != NULL) printf("audit log: ALARM: %s\n", problem);
    if (key != NULL)
        printf("audit log: the auditor's private key lies in %s: move it to another machine\n",
               key);
}

/* Where the key of the second layer lies, and what is being re-encrypted. */
static void print_layers(const json_t *status)
{
    const json_t *iek = json_get(status, "infrastructureKey");
    printf("\ninfrastructure key (double encryption): %s; %s\n",
           or_dash(json_get_str(iek, "state")), or_dash(json_get_str(iek, "custodian")));
    size_t i;
    json_t *job;
    json_array_foreach (json_get(status, "rewraps"), i, job) {
        if (!str_eq(json_get_str(job, "state"), "Running")) continue;
        const char *waits = json_get_str(job, "waits");
        printf("rewrap of %s: %lld segments moved, %lld left%s%s\n",
               short_name(or_dash(json_get_str(job, "cluster"))),
               (long long)json_get_int(job, "segmentsMoved", 0),
               (long long)json_get_int(job, "segmentsLeft", 0), waits != NULL ? "; waits: " : "",
               waits != NULL ? waits : "");
    }
}

static enum err status(const char *data, const char *format, struct diag *d)
{
    CLEANUP(session_close) struct session *s = NULL;
    TRY(session_open(&s, data, d));
    const struct session_call call = {
        .method = "GET", .resource = RESOURCE_ARM, .url = "/admin/keys/status"};
    CLEANUP_JSON json_t *j = NULL;
    TRY(session_json(s, &call, NULL, &j, d));
    if (str_eq(format, "json")) {
        CLEANUP_BUF struct buf text = {0};
        TRY(json_write(j, &text, d));
        puts(buf_cstr(&text));
        return OK;
    }
    print_accounts(j);
    print_banners(j);
    print_layers(j);
    CLEANUP_BUF struct buf anchor = {0};
    const json_t *a = json_get(j, "anchor");
    if (json_is_string(a))
        buf_str(&anchor, json_string_value(a));
    else if (a != NULL && !json_is_null(a))
        TRY(json_write(a, &anchor, d));
    printf("\nanchor: %s\n",
           anchor.len != 0 ? buf_cstr(&anchor) : "none: rollback of the catalog is not detected");
    print_audit(json_get(j, "audit"));
    return OK;
}

static enum err unlock(const char *data, const char *cluster, struct diag *d)
{
    CLEANUP(session_close) struct session *s = NULL;
    TRY(session_open(&s, data, d));
    CLEANUP_JSON json_t *body = json_pack("{s:s}", "cluster", cluster);
    const struct session_call call = {
        .method = "POST", .resource = RESOURCE_ARM, .url = "/admin/keys/unlock", .json = body};
    TRY(session_json(s, &call, NULL, NULL, d));
    printf("%s may be given an identity and a key again; until then it stays revoked\n", cluster);
    return OK;
}

int cli_keys(int argc, char **argv, struct diag *d)
{
    const char *data = NULL, *format = "table", *cluster = NULL, *workspace = NULL, *what = NULL;
    bool data_too = false, no_wait = false;
    const struct opt opts[] = {
        {.name = "data",
         .value = "DIR",
         .help = "data directory of the running server",
         .text = &data},
        {.name = "cluster",
         .value = "NAME",
         .help = "unlock, rewrap, rotate-aek: the cluster's name or resource id",
         .text = &cluster},
        {.name = "workspace",
         .value = "NAME",
         .help = "rotate-aek: the workspace's name or id",
         .text = &workspace},
        {.name = "data-too",
         .help = "rewrap: also re-encrypt old rows of the cluster's workspaces under its keys",
         .flag = &data_too},
        {.name = "no-wait", .help = "rewrap: do not wait for the rows", .flag = &no_wait},
        {.name = "output",
         .letter = 'o',
         .value = "FORMAT",
         .help = "status: table or json (table)",
         .text = &format},
    };
    const struct opt_command c = {
        .usage = "keystead keys status --data DIR [-o table|json]\n"
                 "       keystead keys rewrap --data DIR --cluster NAME [--data-too] [--no-wait]\n"
                 "       keystead keys rotate-aek --data DIR (--cluster NAME | --workspace NAME)\n"
                 "       keystead keys unlock --data DIR --cluster NAME",
        .about =
            "status shows each account: its key's state, since when, the last good unwrap, how "
            "long it serves a silent\n"
            "vault, and how many wraps are on each version of the KEK. rewrap wraps a cluster's "
            "account keys under the\n"
            "present version of its key; with --data-too the server also re-encrypts, in the "
            "background, what lies under\n"
            "the platform's key or under older account keys, and drops those that nothing lies "
            "under any more. rotate-aek\n"
            "makes new account keys for new files. unlock lifts the seal of a "
            "cluster whose identity\n"
            "was removed (type None) while it had a key: it may then be given an identity and a "
            "key again. The order is\n"
            "written to the key-access audit log with the name of who gave it.",
        .opts = opts,
        .n_opts = sizeof opts / sizeof opts[0],
        .args = &what,
        .args_min = 1,
        .args_max = 1};
    uint32_t n;
    bool helped;
    if (opt_parse(&c, argc, argv, &n, &helped, d) != OK) return EXIT_USAGE;
    if (helped) return EXIT_OK;
    bool good = data != NULL && (str_eq(format, "table") || str_eq(format, "json"));
    if (good && str_eq(what, "status") && cluster == NULL) return exit_of(status(data, format, d));
    if (good && str_eq(what, "rewrap") && cluster != NULL && workspace == NULL)
        return exit_of(keys_rewrap(data, cluster, data_too, !no_wait, d));
    if (good && str_eq(what, "rotate-aek") && (cluster == NULL) != (workspace == NULL))
        return exit_of(keys_rotate(data, cluster, workspace, d));
    if (good && str_eq(what, "unlock") && cluster != NULL) return exit_of(unlock(data, cluster, d));
    (void)FAIL(d, ERR_INVALID, "usage: %s", c.usage);
    return EXIT_USAGE;
}
