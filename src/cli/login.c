/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/login.c - keystead login and logout: a person signs in with a device code
 *
 * What is kept (session_login_path()) has the shape of credentials.json: the client id is this
 * program's, and in the secret's place stands the refresh token, which each use replaces.
 */
#include "cli/cli.h"

#include "base/opt.h"
#include "base/os.h"
#include "base/time.h"
#include "cli/session.h"

#include <stdio.h>

#define FORM       "application/x-www-form-urlencoded"
#define SCOPE      "https%3A%2F%2Fmanagement.azure.com%2F.default%20offline_access"
#define DEVICE     "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code"
#define WAIT_MAX_S 3600

struct login {
    struct http_client *http;
    struct credentials c;
    char *token;
};

static void login_release(struct login *l)
{
    http_client_free(l->http);
    if (l->token != NULL) explicit_bzero(l->token, strlen(l->token));
    free(l->token);
    explicit_bzero(&l->c, sizeof l->c);
}

/* One call; *out is the answer's JSON whatever the status is. */
static enum err call(struct login *l, const char *method, const char *path, const char *form,
                     int *status, json_t **out, struct diag *d)
{
    CLEANUP_FREE char *url = str_fmt("%s%s", l->c.endpoint, path);
    CLEANUP_ANSWER struct http_answer a = {0};
    const struct http_call c = {.method = method,
                                .url = url,
                                .bearer = l->token,
                                .body = bytes_str(form != NULL ? form : ""),
                                .content_type = form != NULL ? FORM : NULL};
    TRY(http_do(l->http, &c, &a, d));
    *status = a.status;
    if (json_read(buf_view(&a.body), out, NULL) == OK) return OK;
    return FAIL(d, ERR_UNAVAILABLE, "%s answered %d without JSON: is that a Keystead server?", url,
                a.status);
}

static enum err keep(const char *text, char *out, size_t size, const char *what, struct diag *d)
{
    if (text != NULL && (size_t)snprintf(out, size, "%s", text) < size) return OK;
    return FAIL(d, ERR_UNAVAILABLE, "the server does not say its %s", what);
}

/* The issuer is ENDPOINT/{tenant}/v2.0. */
static enum err find_tenant(struct login *l, struct diag *d)
{
    CLEANUP_JSON json_t *j = NULL;
    int status = 0;
    struct guid g;
    TRY(call(l, "GET", "/common/v2.0/.well-known/openid-configuration", NULL, &status, &j, d));
    const char *issuer = json_get_str(j, "issuer");
    size_t n = strlen(l->c.endpoint);
    char text[GUID_TEXT_MAX] = "";
    if (issuer != NULL && strlen(issuer) > n + 37)
        snprintf(text, sizeof text, "%.36s", issuer + n + 1);
    if (guid_parse(text, &g, NULL) != OK) {
        return FAIL(d, ERR_UNAVAILABLE, "%s does not say its tenant", l->c.endpoint);
    }
    return keep(text, l->c.tenant_id, sizeof l->c.tenant_id, "tenant", d);
}

static enum err take_tokens(struct login *l, const json_t *j, struct diag *d)
{
    TRY(keep(json_get_str(j, "refresh_token"), l->c.client_secret, sizeof l->c.client_secret,
             "refresh token", d));
    l->token = str_dup(json_get_str(j, "access_token"));
    return l->token != NULL ? OK : FAIL(d, ERR_UNAVAILABLE, "the server gave no token");
}

/* Asks again and again until the person has signed in somewhere. */
static enum err wait_for_person(struct login *l, const json_t *device, struct diag *d)
{
    const char *code = json_get_str(device, "device_code");
    int64_t interval_s = json_get_int(device, "interval", 5);
    int64_t until = time_mono_us() + json_get_int(device, "expires_in", 900) * US_PER_S;
    if (interval_s < 1 || interval_s > WAIT_MAX_S) interval_s = 5;
    CLEANUP_FREE char *form = str_fmt("grant_type=%s&client_id=%s&device_code=%s", DEVICE,
                                      l->c.client_id, code != NULL ? code : "");
    CLEANUP_FREE char *path = str_fmt("/%s/oauth2/v2.0/token", l->c.tenant_id);
    while (time_mono_us() < until) {
        CLEANUP_JSON json_t *j = NULL;
        int status = 0;
        TRY(call(l, "POST", path, form, &status, &j, d));
        if (status == 200) return take_tokens(l, j, d);
        if (!str_eq(json_get_str(j, "error"), "authorization_pending")) {
            const char *why = json_get_str(j, "error_description");
            return FAIL(d, ERR_DENIED, "not signed in: %s", why != NULL ? why : "refused");
        }
        time_sleep_us(interval_s * US_PER_S);
    }
    return FAIL(d, ERR_DENIED, "nobody signed in in time");
}

static enum err sign_in(struct login *l, struct diag *d)
{
    CLEANUP_JSON json_t *device = NULL;
    int status = 0;
    CLEANUP_FREE char *path = str_fmt("/%s/oauth2/v2.0/devicecode", l->c.tenant_id);
    CLEANUP_FREE char *form = str_fmt("client_id=%s&scope=%s", l->c.client_id, SCOPE);
    TRY(call(l, "POST", path, form, &status, &device, d));
    const char *message = json_get_str(device, "message");
    if (status != 200 || message == NULL) {
        return FAIL(d, ERR_UNAVAILABLE, "the server gives no code to sign in with: %d", status);
    }
    fprintf(stderr, "%s\n", message);
    return wait_for_person(l, device, d);
}

/* What the other commands need to know: the subscription, where the vaults are. */
static enum err look_around(struct login *l, struct diag *d)
{
    CLEANUP_JSON json_t *subscriptions = NULL, *places = NULL;
    int status = 0;
    TRY(call(l, "GET", "/subscriptions?api-version=2021-04-01", NULL, &status, &subscriptions, d));
    const json_t *first = json_array_get(json_get(subscriptions, "value"), 0);
    if (first == NULL) {
        return FAIL(d, ERR_DENIED, "signed in, but without a role: have one assigned, then again");
    }
    TRY(keep(json_get_str(first, "subscriptionId"), l->c.subscription_id,
             sizeof l->c.subscription_id, "subscription", d));
    TRY(call(l, "GET", "/metadata/endpoints?api-version=2022-09-01", NULL, &status, &places, d));
    return keep(json_string_value(json_at(places, "suffixes", "keyVaultDns", NULL)),
                l->c.vault_suffix, sizeof l->c.vault_suffix, "vaults", d);
}

static enum err login(const char *endpoint, const char *ca_file, struct diag *d)
{
    CLEANUP_LOCAL(login_release) struct login l = {0};
    CLEANUP_FREE char *path = session_login_path();
    size_t n = strlen(endpoint);
    if (!str_starts(endpoint, "https://") || n >= sizeof l.c.endpoint) {
        return FAIL(d, ERR_INVALID, "--endpoint is an https address, not '%.100s'", endpoint);
    }
    if (path == NULL) return FAIL(d, ERR_INVALID, "neither XDG_CONFIG_HOME nor HOME is set");
    snprintf(l.c.endpoint, sizeof l.c.endpoint, "%.*s", (int)(n - (endpoint[n - 1] == '/')),
             endpoint);
    snprintf(l.c.client_id, sizeof l.c.client_id, "%s", SESSION_PERSON_CLIENT);
    TRY(keep(ca_file != NULL ? ca_file : "", l.c.ca_file, sizeof l.c.ca_file, "CA", d));
    TRY(http_client_new(&l.http, ca_file, d));
    TRY(find_tenant(&l, d));
    TRY(sign_in(&l, d));
    TRY(look_around(&l, d));
    CLEANUP_FREE char *dir = str_dup(path);
    if (dir == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    *strrchr(dir, '/') = 0;
    TRY(os_mkdir(dir, d));
    TRY(credentials_write(path, &l.c, d));
    printf("signed in; commands without --data now speak to %s for you\n", l.c.endpoint);
    return OK;
}

int cli_login(int argc, char **argv, struct diag *d)
{
    const char *endpoint = NULL, *ca_file = NULL;
    const struct opt opts[] = {
        {.name = "endpoint",
         .value = "URL",
         .help = "address of the server, e.g. https://logs.example.org:8443",
         .text = &endpoint},
        {.name = "ca-file",
         .value = "FILE",
         .help = "what its certificate is checked with (the system's bundle)",
         .text = &ca_file},
    };
    const struct opt_command c = {
        .usage = "keystead login --endpoint URL [--ca-file FILE]",
        .about = "Signs a person in: shows a code to be entered in a browser, here or elsewhere.\n"
                 "Commands without --data then speak for that person. `keystead logout` forgets.",
        .opts = opts,
        .n_opts = 2};
    uint32_t n;
    bool helped;
    if (opt_parse(&c, argc, argv, &n, &helped, d) != OK) return EXIT_USAGE;
    if (helped) return EXIT_OK;
    if (endpoint == NULL) {
        (void)FAIL(d, ERR_INVALID, "--endpoint URL is missing");
        return EXIT_USAGE;
    }
    return exit_of(login(endpoint, ca_file, d));
}

int cli_logout(int argc, char **argv, struct diag *d)
{
    const struct opt_command c = {.usage = "keystead logout",
                                  .about = "Forgets who signed in with `keystead login`."};
    uint32_t n;
    bool helped;
    if (opt_parse(&c, argc, argv, &n, &helped, d) != OK) return EXIT_USAGE;
    if (helped) return EXIT_OK;
    CLEANUP_FREE char *path = session_login_path();
    if (path == NULL || !os_exists(path)) return EXIT_OK;
    return exit_of(os_remove(path, d));
}
