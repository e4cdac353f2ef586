/* SPDX-License-Identifier: Apache-2.0 */
/* identity/imds.c - one path, and everything that must hold before it gives a token */
#include "identity/imds.h"

#include "base/log.h"
#include "base/os.h"
#include "base/time.h"
#include "identity/state.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#define ALLOWED_MAX 64
#define TABLE_MAX   ((size_t)8 << 20) /* bytes of /proc/net/tcp */

struct allowed {
    unsigned user;
    char name[NAME_MAX_BYTES];
};

struct imds {
    struct identity *id;
    struct http_server *server;
    unsigned port, n_allowed;
    struct allowed allowed[ALLOWED_MAX];
};

/* --- who asks
 * ------------------------------------------------------------------------------------------- */

/* A line of /proc/net/tcp: "sl: 0100007F:1F90 0100007F:9C40 st tx:rx tr:tm retr uid ...", the
 * address in the order of the machine's memory; in /proc/net/tcp6 an IPv4 address has 24 digits
 * more in front. */
bool imds_find_user(const char *table, const char *local_address, unsigned local_port,
                    unsigned remote_port, unsigned *user)
{
    struct in_addr want;
    char plain[9], mapped[33];
    if (inet_pton(AF_INET, local_address, &want) != 1) return false;
    snprintf(plain, sizeof plain, "%08X", want.s_addr);
    snprintf(mapped, sizeof mapped, "0000000000000000FFFF0000%s", plain);
    for (const char *line = table; line != NULL && *line != 0; line = strchr(line, '\n')) {
        char address[33] = "";
        unsigned port = 0, peer = 0, uid = 0;
        line += *line == '\n';
        /* NOLINTNEXTLINE(cert-err34-c): the kernel's own line, and widths bound what it converts */
        int n = sscanf(line,
                       " %*u: %32[0-9A-Fa-f]:%4X %*[0-9A-Fa-f]:%4X %*2X %*8X:%*8X %*2X:%*8X %*8X "
                       "%u",
                       address, &port, &peer, &uid);
        bool its = n == 4 && port == local_port && peer == remote_port;
        if (!its || (!str_eq_nocase(address, plain) && !str_eq_nocase(address, mapped))) continue;
        *user = uid;
        return true;
    }
    return false;
}

static bool find_user(const struct imds *m, const struct http_request *q, unsigned *user)
{
    static const char *const tables[] = {"/proc/net/tcp", "/proc/net/tcp6"};
    for (size_t i = 0; i < 2; i++) {
        CLEANUP_BUF struct buf table = {0};
        if (os_read_file(tables[i], TABLE_MAX, &table, NULL) == OK &&
            imds_find_user(buf_cstr(&table), q->peer, q->peer_port, m->port, user)) {
            return true;
        }
    }
    return false;
}

static bool may_have(const struct imds *m, unsigned user, const struct principal *p)
{
    for (unsigned i = 0; i < m->n_allowed; i++) {
        if (m->allowed[i].user == user && str_eq_nocase(m->allowed[i].name, p->name)) return true;
    }
    return false;
}

/* --- answering
 * ------------------------------------------------------------------------------------------ */

static void answer(struct http_response *res, int status, json_t *j)
{
    CLEANUP_JSON json_t *own = j;
    struct diag d = DIAG_INIT;
    res->status = status;
    if (own == NULL || json_write(own, &res->body, &d) != OK) res->status = 500;
    http_set(res, "Content-Type", "application/json; charset=utf-8");
    http_set(res, "Cache-Control", "no-store");
    if (status == 429 || status == 503) http_set(res, "Retry-After", "1");
}

static void refuse(struct http_response *res, int status, const char *error, const char *about)
{
    answer(res, status, json_pack("{s:s, s:s}", "error", error, "error_description", about));
}

static const char *parameter(const struct http_request *q, const struct http_field *form,
                             uint32_t n_form, const char *name)
{
    const char *value = http_query(q, name);
    for (uint32_t i = 0; value == NULL && i < n_form; i++) {
        if (str_eq(form[i].name, name)) value = form[i].value;
    }
    return value != NULL && value[0] != 0 ? value : NULL;
}

/* The one that was asked for; without a name, the only one that this user may have. */
static bool find_identity(const struct imds *m, const struct http_request *q,
                          const struct http_field *form, uint32_t n_form, unsigned user,
                          struct principal *out)
{
    const char *client = parameter(q, form, n_form, "client_id"),
               *object = parameter(q, form, n_form, "object_id"),
               *resource = parameter(q, form, n_form, "mi_res_id");
    if (resource == NULL) resource = parameter(q, form, n_form, "msi_res_id");
    if (client != NULL) return principal_by_client(m->id, client, out);
    if (object != NULL) return principal_by_object(m->id, object, out);
    if (resource != NULL) return principal_by_resource(m->id, resource, out);
    CLEANUP_FREE struct principal *all = NULL;
    size_t n = 0, fit = 0;
    if (principal_list(m->id, true, &all, &n, NULL) != OK) return false;
    for (size_t i = 0; i < n; i++) {
        if (!principal_is_user_assigned(&all[i]) || !may_have(m, user, &all[i])) continue;
        *out = all[i];
        fit++;
    }
    return fit == 1;
}

static void give_token(const struct imds *m, const struct principal *p, const char *resource,
                       struct http_response *res)
{
    CLEANUP_BUF struct buf token = {0};
    struct diag d = DIAG_INIT;
    int64_t expires_us = 0;
    char on[24], before[24];
    const struct token_wish w = {
        .kind = TOKEN_V1, .principal = p, .audience = resource, .acr = "2"};
    if (token_issue(m->id, &w, &token, &expires_us, &d) != OK) {
        LOG(ERROR, "imds.failed", F_ERR(&d));
        refuse(res, 500, "unknown", "Failed to retrieve token. Please try again.");
        return;
    }
    snprintf(on, sizeof on, "%lld", (long long)(expires_us / US_PER_S));
    snprintf(before, sizeof before, "%lld", (long long)(expires_us / US_PER_S - TOKEN_LIFE_S));
    LOG(INFO, "imds.token_given", F_STR("identity", p->resource), F_STR("resource", resource));
    answer(res, 200,
           json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "access_token", buf_cstr(&token),
                     "client_id", p->client_id, "refresh_token", "", "expires_in", "3599",
                     "expires_on", on, "not_before", before, "resource", resource, "token_type",
                     "Bearer"));
}

static bool is_resource(const char *s)
{
    size_t n = 0;
    for (; s != NULL && s[n] != 0; n++) {
        if (s[n] <= 0x20 || s[n] > 0x7e || strchr("\"\\<>", s[n]) != NULL) return false;
    }
    return n != 0 && n < 512;
}

static bool same_path(const char *path, const char *want)
{
    size_t n = strlen(want);
    return strncasecmp(path, want, n) == 0 && (path[n] == 0 || str_eq(path + n, "/"));
}

/* What a server that was tricked into calling us would not send, or could not keep from sending. */
static bool is_direct(const struct http_request *q, struct http_response *res)
{
    const char *metadata = http_header(q, "Metadata");
    if (metadata == NULL || !str_eq(metadata, "true")) {
        refuse(res, 400, "bad_request_102", "Required metadata header not specified");
    } else if (http_header(q, "X-Forwarded-For") != NULL || http_header(q, "Forwarded") != NULL ||
               http_header(q, "Via") != NULL) {
        refuse(res, 400, "invalid_request", "A request that was passed on is refused");
    } else {
        return true;
    }
    return false;
}

static void handle(void *ctx, const struct http_request *q, struct http_response *res)
{
    const struct imds *m = ctx;
    const struct http_field *form = NULL;
    uint32_t n_form = 0;
    unsigned user = 0;
    struct principal p;
    bool is_post = str_eq(q->method, "POST"); /* as az asks */
    bool known = same_path(q->path, is_post ? "/msi/token" : "/metadata/identity/oauth2/token");
    if (!known || (!is_post && !str_eq(q->method, "GET"))) {
        refuse(res, 404, "not_found", "There is only /metadata/identity/oauth2/token here");
        return;
    }
    if (!is_direct(q, res)) return;
    if (is_post && http_read_form(q->a, q->body, &form, &n_form, NULL) != OK) {
        refuse(res, 400, "invalid_request", "The body is not a form");
        return;
    }
    const char *resource = parameter(q, form, n_form, "resource");
    if (!is_post && parameter(q, form, n_form, "api-version") == NULL) {
        refuse(res, 400, "bad_request", "api-version is required");
    } else if (!is_resource(resource)) {
        refuse(res, 400, "invalid_resource", "A resource is required");
    } else if (!find_user(m, q, &user)) {
        refuse(res, 403, "access_denied", "Who asks is not known");
    } else if (!find_identity(m, q, form, n_form, user, &p) || !principal_is_user_assigned(&p) ||
               p.is_disabled || !may_have(m, user, &p)) {
        LOG(WARN, "imds.refused", F_U64("user", user));
        refuse(res, 400, "invalid_request", "Identity not found"); /* of others nothing is told */
    } else {
        give_token(m, &p, resource, res);
    }
}

/* --- start and stop
 * -------------------------------------------------------------------------------------- */

static enum err read_allowed(struct imds *m, const char *text, struct diag *d)
{
    for (const char *p = text; p != NULL && *p != 0;) {
        size_t n = strcspn(p, ",");
        const char *colon = memchr(p, ':', n);
        char number[12];
        uint64_t user = 0;
        size_t digits = colon != NULL ? (size_t)(colon - p) : sizeof number;
        if (digits >= sizeof number || m->n_allowed == ALLOWED_MAX) {
            return FAIL(d, ERR_INVALID, "\"%.200s\" is not a list of UID:NAME, at most %d", text,
                        ALLOWED_MAX);
        }
        snprintf(number, sizeof number, "%.*s", (int)digits, p);
        TRY(str_u64(number, UINT32_MAX, &user, d));
        struct allowed *a = &m->allowed[m->n_allowed++];
        a->user = (unsigned)user;
        snprintf(a->name, sizeof a->name, "%.*s", (int)(n - digits - 1), colon + 1);
        p += n + (p[n] == ',');
    }
    return OK;
}

enum err imds_start(struct imds **out, struct identity *id, const struct imds_config *c,
                    struct diag *d)
{
    if (!str_starts(c->address, "127.") && !str_starts(c->address, "169.254.169.254:")) {
        return FAIL(d, ERR_INVALID, "--imds: %s is not on loopback: others could ask for tokens",
                    c->address);
    }
    struct imds *m = calloc(1, sizeof *m);
    if (m == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    m->id = id;
    enum err e = read_allowed(m, c->allow, d);
    const struct http_server_config http = {.address = c->address,
                                            .body_max = 64 << 10,
                                            .connections_max = 64,
                                            .handler = handle,
                                            .ctx = m};
    if (e == OK) e = http_server_start(&m->server, &http, d);
    if (e != OK) {
        free(m);
        return e;
    }
    m->port = http_server_port(m->server);
    *out = m;
    return OK;
}

void imds_stop(struct imds *m)
{
    if (m == NULL) return;
    http_server_stop(m->server);
    free(m);
}

unsigned imds_port(const struct imds *m)
{
    return m->port;
}
