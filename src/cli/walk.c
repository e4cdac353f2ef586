/* SPDX-License-Identifier: Apache-2.0 */
/* cli/walk.c - keystead walk: the story, its clock, and its two kinds of calls */
#include "cli/walk.h"

#include "base/opt.h"
#include "base/time.h"
#include "cli/cli.h"

#include <stdarg.h>
#include <stdio.h>

#define BOLD  "\033[1m"
#define DIM   "\033[2m"
#define RESET "\033[0m"

void walk_step(struct walk *w, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    printf("\n%s", w->colour ? BOLD : "");
    vprintf(fmt, ap);
    puts(w->colour ? RESET : "");
    va_end(ap);
    fflush(stdout);
    w->step_us = time_mono_us();
}

void walk_done(struct walk *w, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    printf("   ");
    vprintf(fmt, ap);
    va_end(ap);
    double took = (double)(time_mono_us() - w->step_us) / US_PER_S;
    printf("%s  (%.2f s)%s\n", w->colour ? DIM : "", took, w->colour ? RESET : "");
    fflush(stdout);
    w->step_us = time_mono_us();
}

void walk_note(struct walk *w, const char *fmt, ...)
{
    (void)w;
    va_list ap;
    va_start(ap, fmt);
    printf("   ");
    vprintf(fmt, ap);
    putchar('\n');
    va_end(ap);
    fflush(stdout);
}

void walk_add_word(struct walk *w, struct bytes word)
{
    if (w->n_words == WALK_WORDS || word.len < 6 || word.len >= sizeof w->words[0]) return;
    memcpy(w->words[w->n_words++], word.p, word.len);
}

static enum err call(struct walk *w, const char *resource, const char *method, const char *url,
                     json_t *body, json_t **out, struct diag *d)
{
    CLEANUP_JSON json_t *taken = body;
    const struct session_call c = {
        .method = method, .resource = resource, .url = url, .json = taken};
    CLEANUP_ANSWER struct http_answer a = {0};
    TRY(session_do(w->s, &c, &a, d));
    TRY(session_follow(w->s, &a, 120, d));
    if (out == NULL) return OK;
    *out = NULL;
    return a.body.len != 0 ? json_read(buf_view(&a.body), out, d) : OK;
}

enum err walk_arm(struct walk *w, const char *method, const char *path, const char *api_version,
                  json_t *body, json_t **out, struct diag *d)
{
    CLEANUP_FREE char *url =
        str_fmt("/subscriptions/%s/resourceGroups/" WALK_GROUP "%s?api-version=%s",
                session_credentials(w->s)->subscription_id, path, api_version);
    return call(w, RESOURCE_ARM, method, url, body, out, d);
}

enum err walk_vault(struct walk *w, const char *method, const char *path, json_t *body,
                    json_t **out, struct diag *d)
{
    CLEANUP_FREE char *url = str_fmt("https://" WALK_VAULT ".%s%s?api-version=7.4",
                                     session_credentials(w->s)->vault_suffix, path);
    return call(w, RESOURCE_VAULT, method, url, body, out, d);
}

/* Each line works as it is printed (tests/clients/test_az.py runs them). One variable tells az of
 * all the addresses; its own directory keeps other logins apart. */
static void say_how_to_use_az(const struct walk *w, const struct credentials *c)
{
    static const char in[] = "               ";
    const char *e = c->endpoint;
    printf("%smkdir -p \"$HOME/.azure-keystead\"\n", in);
    printf("%sexport AZURE_CONFIG_DIR=\"$HOME/.azure-keystead\" AZURE_CORE_COLLECT_TELEMETRY=no\n",
           in);
    printf("%sexport REQUESTS_CA_BUNDLE='%s' SSL_CERT_FILE='%s'\n", in, c->ca_file, c->ca_file);
    printf("%sexport ARM_CLOUD_METADATA_URL='%s/metadata/endpoints?api-version=2019-05-01'\n", in,
           e);
    printf("%saz login --service-principal --tenant %s -u %s \\\n", in, c->tenant_id, c->client_id);
    printf("%s  -p \"$(sed 's/.*\"clientSecret\":\"//; s/\".*//' '%s/credentials.json')\"\n", in,
           w->data);
    printf("%saz monitor log-analytics cluster show -g " WALK_GROUP " -n " WALK_CLUSTER "\n", in);
    printf("%saz monitor log-analytics workspace list -o table\n", in);
    printf("%sW=$(az monitor log-analytics workspace show -g " WALK_GROUP " -n " WALK_WORKSPACE
           " --query customerId -o tsv)\n",
           in);
    printf("%saz rest --method post --resource %s --url %s/v1/workspaces/$W/query \\\n", in, e, e);
    printf("%s  --body '{\"query\": \"" WALK_TABLE " | count\"}'\n", in);
}

static void where_to_go(struct walk *w)
{
    const struct credentials *c = session_credentials(w->s);
    walk_step(w, "8. The server is yours");
    printf("   address     %s   (vaults: https://NAME.%s; certificate authority: %s)\n",
           c->endpoint, c->vault_suffix, c->ca_file);
    printf("   a token     build/keystead token --data %s --resource %s\n", w->data, RESOURCE_ARM);
    printf("   a query     build/keystead query --data %s --workspace " WALK_WORKSPACE
           " '" WALK_TABLE " | count'\n",
           w->data);
    printf("   az CLI      apt-get install azure-cli, then:\n");
    say_how_to_use_az(w, c);
}

static enum err run(struct walk *w, struct diag *d)
{
    TRY(session_open(&w->s, w->data, d));
    w->began_us = time_mono_us();
    TRY(walk_resources(w, d));
    TRY(walk_logs(w, d));
    TRY(walk_queries(w, d));
    TRY(walk_opacity(w, d));
    TRY(walk_revocation(w, d));
    TRY(walk_rotation(w, d));
    TRY(walk_verify(w, d));
    where_to_go(w);
    printf("\nThe walk took %.1f s.\n", (double)(time_mono_us() - w->began_us) / US_PER_S);
    return OK;
}

int cli_walk(int argc, char **argv, struct diag *d)
{
    struct walk w = {.colour = colour_wanted(stdout)};
    const struct opt opts[] = {{.name = "data",
                                .value = "DIR",
                                .help = "data directory of the running server",
                                .text = &w.data}};
    const struct opt_command c = {
        .usage = "keystead walk --data DIR",
        .about =
            "Shows the main job on a running server: a key of your own, this machine's logs under "
            "it, queries,\n"
            "the proof that nothing is readable on the disk, revocation, rotation, verification.",
        .opts = opts,
        .n_opts = 1};
    uint32_t n;
    bool helped;
    if (opt_parse(&c, argc, argv, &n, &helped, d) != OK) return EXIT_USAGE;
    if (helped) return EXIT_OK;
    if (w.data == NULL) {
        (void)FAIL(d, ERR_INVALID, "--data DIR is missing");
        return EXIT_USAGE;
    }
    enum err e = run(&w, d);
    session_close(w.s);
    return exit_of(e);
}
