/* SPDX-License-Identifier: Apache-2.0 */
/* cli/drill.c - keystead drill: asks, strikes, measures, puts back, reports */
#include "cli/drill.h"

#include "base/opt.h"
#include "base/os.h"
#include "base/time.h"
#include "cli/cli.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#define PAUSE_US   (100 * 1000)
#define MARGIN_S   120 /* beyond the time in which something should happen */
#define ANSWER_MAX 512

/* --- Ctrl-C ----------------------------------------------------------------------------------- */

static volatile sig_atomic_t interrupted;

static void on_signal(int n)
{
    (void)n;
    interrupted = 1; /* what was changed is changed back first; the waits look at this */
}

static void catch_signals(void)
{
    struct sigaction a = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigaction(SIGINT, &a, NULL);
    sigaction(SIGTERM, &a, NULL);
    sigaction(SIGHUP, &a, NULL);
}

/* --- the report ------------------------------------------------------------------------------- */

struct outcome {
    int64_t acted_ms, recovered_ms; /* -1 = never */
    bool restored;
    const char *verdict; /* "passed", "late", "failed", "interrupted" */
    char error[DIAG_TEXT_MAX];
};

static void note(struct drill *r, const char *what)
{
    int64_t at = (time_mono_us() - r->began_us) / 1000;
    printf("%8.1f s  %s\n", (double)at / 1000, what);
    fflush(stdout);
    json_array_append_new(r->steps, json_pack("{s:I, s:s}", "atMs", (json_int_t)at, "what", what));
}

static json_t *ms_or_null(int64_t ms)
{
    return ms < 0 ? json_null() : json_integer(ms);
}

/* The times are those of the address that was asked: one node serves a data directory. */
static json_t *report_json(const struct drill *r, const struct outcome *o, const char *started)
{
    json_t *node =
        json_pack("{s:s, s:o, s:o}", "node", session_credentials(r->s)->endpoint, "enforcementMs",
                  ms_or_null(o->acted_ms), "recoveryMs", ms_or_null(o->recovered_ms));
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:[o], s:O, s:O, s:b, s:s, s:s?}",
                     "drill", r->kind->name, "cluster", r->cluster_id, "vault", r->vault_uri, "key",
                     r->key, "version", r->version, "started", started, "revocationBoundSeconds",
                     (json_int_t)r->bound_s, "outageSeconds", (json_int_t)r->silence_s, "nodes",
                     node, "workspaces", r->workspaces, "steps", r->steps, "restored",
                     (int)o->restored, "outcome", o->verdict, "error",
                     o->error[0] != 0 ? o->error : NULL);
}

static void text_time(struct buf *out, const char *what, int64_t ms)
{
    if (ms < 0) {
        buf_fmt(out, "  %-44s never\n", what);
    } else {
        buf_fmt(out, "  %-44s %.1f s\n", what, (double)ms / 1000);
    }
}

static void report_text(const struct drill *r, const struct outcome *o, const char *started,
                        struct buf *out)
{
    buf_fmt(out, "Drill %s of cluster %s, %s\n\n  key      %s/keys/%s, version %s\n", r->kind->name,
            r->cluster_id, started, r->vault_uri, r->key, r->version);
    buf_fmt(out, "  bound    %lld s\n  outcome  %s%s%s\n  %s\n\nNode %s\n", (long long)r->bound_s,
            o->verdict, o->error[0] != 0 ? ": " : "", o->error,
            o->restored ? "the previous state is restored" : "THE PREVIOUS STATE IS NOT RESTORED",
            session_credentials(r->s)->endpoint);
    text_time(out, r->kind->acted, o->acted_ms);
    text_time(out, r->kind->recovered, o->recovered_ms);
    buf_str(out, "\nSteps\n");
    size_t i;
    json_t *s;
    json_array_foreach (r->steps, i, s) {
        buf_fmt(out, "  %8.1f s  %s\n", (double)json_get_int(s, "atMs", 0) / 1000,
                json_get_str(s, "what"));
    }
}

static enum err write_report(const struct drill *r, const struct outcome *o, const char *started,
                             struct diag *d)
{
    CLEANUP_FREE char *json_path = str_fmt("%s.json", r->report),
                      *text_path = str_fmt("%s.txt", r->report);
    CLEANUP_BUF struct buf json = {0}, text = {0};
    CLEANUP_JSON json_t *j = report_json(r, o, started);
    if (j == NULL || json_path == NULL || text_path == NULL) {
        return FAIL(d, ERR_LIMIT, "out of memory");
    }
    TRY(json_write(j, &json, d));
    buf_str(&json, "\n");
    report_text(r, o, started, &text);
    TRY(buf_check(&json, d));
    TRY(buf_check(&text, d));
    TRY(os_replace(json_path, buf_view(&json), d));
    TRY(os_replace(text_path, buf_view(&text), d));
    printf("\nreport: %s and %s\n", text_path, json_path);
    return OK;
}

/* --- one drill -------------------------------------------------------------------------------- */

/* Until it is so; *ms counts from the call. ERR_CANCELLED: Ctrl-C, where that may end the wait. */
static enum err wait_until(struct drill *r, bool (*is_so)(struct drill *, struct diag *),
                           bool may_stop, int64_t *ms, struct diag *d)
{
    int64_t since = time_mono_us(), until = since + (int64_t)r->timeout_s * US_PER_S;
    for (;;) {
        struct diag why = DIAG_INIT;
        if (is_so(r, &why)) {
            *ms = (time_mono_us() - since) / 1000;
            return OK;
        }
        if (may_stop && interrupted != 0) return FAIL(d, ERR_CANCELLED, "interrupted");
        if (time_mono_us() > until) {
            return FAIL(d, ERR_UNAVAILABLE, "nothing changed within %llu s; last: %s",
                        (unsigned long long)r->timeout_s, why.text);
        }
        time_sleep_us(PAUSE_US);
    }
}

/* Once more where the first try failed: a drill must not end as the accident it rehearses. */
static enum err put_back(struct drill *r, struct diag *d)
{
    enum err e = ERR_UNAVAILABLE;
    for (int attempt = 0; attempt < 5 && e != OK; attempt++) {
        struct diag why = DIAG_INIT;
        if (attempt != 0) time_sleep_us(US_PER_S);
        e = r->kind->undo(r, &why);
        if (e != OK && attempt == 4) return FAIL_TAG(d, e, why.tag, "%s", why.text);
    }
    r->disturbed = false;
    note(r, r->undone != NULL ? r->undone : r->kind->put_back);
    return OK;
}

static enum err strike(struct drill *r, struct outcome *o, struct diag *d)
{
    r->disturbed = true; /* a call that fails may have been heard all the same */
    TRY(r->kind->strike(r, d));
    note(r, r->kind->started);
    TRY(wait_until(r, r->kind->has_acted, true, &o->acted_ms, d));
    note(r, r->kind->acted);
    return OK;
}

static void rehearse(struct drill *r, struct outcome *o)
{
    struct diag d = DIAG_INIT, back = DIAG_INIT;
    enum err e = strike(r, o, &d);
    enum err b = r->disturbed ? put_back(r, &back) : OK;
    o->restored = b == OK;
    if (b == OK) b = wait_until(r, r->kind->has_recovered, false, &o->recovered_ms, &back);
    if (b == OK) note(r, r->kind->recovered);
    bool late = (r->kind->acts_within_bound && o->acted_ms > r->bound_s * 1000) ||
                (r->kind->recovers_within_bound && o->recovered_ms > r->bound_s * 1000);
    o->verdict = e == ERR_CANCELLED   ? "interrupted"
                 : e != OK || b != OK ? "failed"
                 : late               ? "late"
                                      : "passed";
    const struct diag *why = b != OK ? &back : &d;
    if (e != OK || b != OK) snprintf(o->error, sizeof o->error, "%s", why->text);
}

/* --- before ----------------------------------------------------------------------------------- */

static bool agrees(const struct drill *r)
{
    char answer[ANSWER_MAX];
    printf("drill %s on cluster %s (key %s/keys/%s, %zu workspaces):\n%s.\n", r->kind->name,
           r->cluster, r->vault_uri, r->key, json_array_size(r->workspaces), r->kind->what);
    if (r->yes) return true;
    printf("Type the cluster's name to go on: ");
    fflush(stdout);
    if (fgets(answer, sizeof answer, stdin) == NULL) return false;
    answer[strcspn(answer, "\r\n")] = '\0';
    return str_eq(answer, r->cluster);
}

static void choose_times(struct drill *r)
{
    if (r->timeout_s != 0) return;
    r->timeout_s = (uint64_t)(r->bound_s + MARGIN_S);
    if (str_eq(r->kind->name, "outage")) r->timeout_s += (uint64_t)r->silence_s;
}

static enum err check_start(struct drill *r, struct diag *d)
{
    struct diag why = DIAG_INIT;
    if (r->kind->can_start(r, &why)) return OK;
    return FAIL(d, ERR_CONFLICT, "drill %s cannot start from here: %s", r->kind->name, why.text);
}

static enum err run(struct drill *r, struct outcome *o, struct diag *d)
{
    TRY(session_open(&r->s, r->data, d));
    TRY(drill_look(r, d));
    choose_times(r);
    TRY(check_start(r, d));
    if (!agrees(r)) return FAIL(d, ERR_CANCELLED, "nothing was done");
    char started[TIME_TEXT_MAX];
    time_format_iso(time_kernel_us(), started);
    catch_signals();
    r->began_us = time_mono_us();
    rehearse(r, o);
    TRY(write_report(r, o, started, d));
    if (str_eq(o->verdict, "passed") || str_eq(o->verdict, "late")) return OK;
    return FAIL(d, ERR_UNAVAILABLE, "%s: %s; %s", o->verdict, o->error,
                o->restored ? "the previous state is restored"
                            : "the previous state is not restored");
}

static const struct drill_kind *find_kind(const char *name)
{
    for (uint32_t i = 0; i < n_drill_kinds; i++) {
        if (str_eq(drill_kinds[i].name, name)) return &drill_kinds[i];
    }
    return NULL;
}

int cli_drill(int argc, char **argv, struct diag *d)
{
    struct drill r = {0};
    const char *what = NULL;
    const struct opt opts[] = {
        {.name = "data",
         .value = "DIR",
         .help = "data directory of the running server",
         .text = &r.data},
        {.name = "cluster", .value = "NAME", .help = "its name or resource id", .text = &r.cluster},
        {.name = "report",
         .value = "PATH",
         .help = "writes PATH.json and PATH.txt (keystead-drill)",
         .text = &r.report},
        {.name = "timeout",
         .value = "SECONDS",
         .help = "gives up a wait after this (the cluster's own times and two minutes)",
         .number = &r.timeout_s,
         .min = 1,
         .max = 86400},
        {.name = "yes", .help = "does not ask", .flag = &r.yes},
    };
    const struct opt_command c = {
        .usage = "keystead drill revoke|restore|rotate|outage --data DIR --cluster NAME [--yes]",
        .about =
            "Rehearses on a running server what it must survive: takes the key of a cluster away, "
            "gives it back,\n"
            "rotates it, or lets the embedded vault fail (keystead up --faults), measures how long "
            "the server\n"
            "takes to act and to recover, and puts the previous state back at the end, also on "
            "Ctrl-C. Exit\n"
            "status: 0 passed; 1 failed, refused or interrupted; 5 a revocation took longer than "
            "its bound.",
        .opts = opts,
        .n_opts = sizeof opts / sizeof opts[0],
        .args = &what,
        .args_min = 1,
        .args_max = 1};
    uint32_t n;
    bool helped;
    if (opt_parse(&c, argc, argv, &n, &helped, d) != OK) return EXIT_USAGE;
    if (helped) return EXIT_OK;
    r.kind = find_kind(what);
    if (r.kind == NULL || r.data == NULL || r.cluster == NULL) {
        (void)FAIL(d, ERR_INVALID, "usage: %s", c.usage);
        return EXIT_USAGE;
    }
    if (r.report == NULL) r.report = "keystead-drill";
    r.workspaces = json_array();
    r.steps = json_array();
    struct outcome o = {.acted_ms = -1, .recovered_ms = -1, .verdict = "failed"};
    enum err e = run(&r, &o, d);
    json_decref(r.workspaces);
    json_decref(r.steps);
    session_close(r.s);
    return e != OK ? EXIT_FAILED : str_eq(o.verdict, "late") ? EXIT_LATE : EXIT_OK;
}
