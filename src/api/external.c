/* SPDX-License-Identifier: Apache-2.0 */
/* api/external.c - what externaldata may read: files below the URLs that the operator named */
#include "api/external.h"

#include "base/str.h"
#include "base/time.h"
#include "net/http_client.h"
#include "net/url.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define WAIT_MS_MAX 60000

struct external {
    struct external_ops ops;
    struct http_client *http;
    char *text; /* the prefixes lie in it */
    struct url prefixes[EXTERNAL_PREFIXES_MAX];
    unsigned n;
};

/* --- what may be read ------------------------------------------------------------------------- */

static bool is_plain(const struct url *u)
{
    return str_eq(u->scheme, "https") && !u->has_userinfo && u->path.len > 0;
}

/* Escaped dots, slashes and backslashes are read differently by different servers: "/lists/..%2fx"
 * could leave the prefix. */
static bool is_devious(struct bytes s)
{
    static const char *const escapes[] = {"%2e", "%2f", "%5c"};
    for (size_t i = 0; s.len >= 3 && i < sizeof escapes / sizeof escapes[0]; i++) {
        if (strncasecmp((const char *)s.p, escapes[i], 3) == 0) return true;
    }
    return false;
}

static bool stays_below(struct bytes path)
{
    for (size_t i = 0; i < path.len; i++) {
        if (is_devious(bytes_of(path.p + i, path.len - i))) return false;
        bool begins = path.p[i] == '/' && path.len - i >= 3 && memcmp(path.p + i, "/..", 3) == 0;
        if (begins && (path.len - i == 3 || path.p[i + 3] == '/')) return false;
    }
    return true;
}

static bool is_below(const struct url *u, const struct url *prefix)
{
    return str_eq(u->host, prefix->host) && u->port == prefix->port &&
           u->path.len >= prefix->path.len &&
           memcmp(u->path.p, prefix->path.p, prefix->path.len) == 0;
}

static bool is_allowed(const struct external *e, const char *uri)
{
    struct url u;
    if (url_parse(uri, &u, NULL) != OK || !is_plain(&u) || !stays_below(u.path)) return false;
    for (unsigned i = 0; i < e->n; i++) {
        if (is_below(&u, &e->prefixes[i])) return true;
    }
    return false;
}

/* --- reading ---------------------------------------------------------------------------------- */

static enum err wait_ms(int64_t deadline_us, uint64_t *out, struct diag *d)
{
    int64_t left = deadline_us != 0 ? (deadline_us - time_mono_us()) / 1000 : WAIT_MS_MAX;
    if (left <= 0) {
        return FAIL_TAG(d, ERR_LIMIT, "E_QUERY_TIMEOUT",
                        "the query has no time left to read files");
    }
    *out = left < WAIT_MS_MAX ? (uint64_t)left : WAIT_MS_MAX;
    return OK;
}

static enum err read_uri(void *ctx, const char *uri, size_t len_max, int64_t deadline_us,
                         struct buf *out, struct diag *d)
{
    const struct external *e = ctx;
    if (!is_allowed(e, uri)) {
        return FAIL(d, ERR_UNSUPPORTED,
                    "externaldata: this server does not read '%.200s': its operator has not named "
                    "that place (--external-data)",
                    uri);
    }
    struct http_call call = {.method = "GET", .url = uri, .answer_max = len_max};
    TRY(wait_ms(deadline_us, &call.timeout_ms, d));
    if (len_max == 0) return FAIL(d, ERR_LIMIT, "externaldata: the files are too long together");
    CLEANUP_ANSWER struct http_answer answer = {0};
    struct diag why = DIAG_INIT;
    enum err err = http_do(e->http, &call, &answer, &why);
    if (err == ERR_LIMIT) {
        return FAIL_TAG(d, err, "E_RUNAWAY_QUERY", "externaldata: '%.200s': %s", uri, why.text);
    }
    /* Not ERR_UNAVAILABLE, which says of a workspace that its key is out of reach. */
    if (err != OK) return FAIL(d, ERR_INVALID, "externaldata: '%.200s': %s", uri, why.text);
    if (answer.status != 200) {
        return FAIL(d, ERR_INVALID, "externaldata: '%.200s' answers %d, not a file", uri,
                    answer.status);
    }
    buf_bytes(out, buf_view(&answer.body));
    return buf_check(out, d);
}

/* --- life ------------------------------------------------------------------------------------- */

static enum err add_prefix(struct external *e, const char *s, struct diag *d)
{
    if (e->n == EXTERNAL_PREFIXES_MAX) {
        return FAIL(d, ERR_INVALID, "--external-data takes %d prefixes", EXTERNAL_PREFIXES_MAX);
    }
    struct url *u = &e->prefixes[e->n];
    bool good = url_parse(s, u, NULL) == OK && is_plain(u) && u->query.len == 0 &&
                u->path.p[u->path.len - 1] == '/' && stays_below(u->path);
    if (!good) {
        return FAIL(d, ERR_INVALID,
                    "--external-data takes prefixes such as https://feeds.example.com/lists/, not "
                    "'%.80s'",
                    s);
    }
    e->n++;
    return OK;
}

enum err external_new(struct external **out, const char *prefixes, const char *ca_file,
                      struct diag *d)
{
    CLEANUP(external_free) struct external *e = calloc(1, sizeof *e);
    if (e == NULL || (e->text = str_dup(prefixes)) == NULL)
        return FAIL(d, ERR_LIMIT, "out of memory");
    e->ops = (struct external_ops){.read = read_uri, .ctx = e};
    char *rest = e->text;
    for (char *s = strsep(&rest, ","); s != NULL; s = strsep(&rest, ","))
        TRY(add_prefix(e, s, d));
    TRY(http_client_new(&e->http, ca_file, d));
    *out = TAKE(e);
    return OK;
}

void external_free(struct external *e)
{
    if (e == NULL) return;
    http_client_free(e->http);
    free(e->text);
    free(e);
}

const struct external_ops *external_ops(const struct external *e)
{
    return e != NULL ? &e->ops : NULL;
}
