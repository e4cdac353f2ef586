/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net/http_client.c - libcurl, with a pool of handles that keep their connections
 *
 * (1) A handle serves one call at a time; between calls it lies in the pool, reset, with its open
 *     connections. Last in, first out: few handles see all the traffic of a quiet time.
 * (2) Nothing from the environment (proxies, ~/.netrc, CURL_CA_BUNDLE) changes where a token goes.
 * (3) Names under ".localhost" need no rule of ours: libcurl never asks a resolver for them.
 */
#include "net/http_client.h"

#include "base/os.h"
#include "base/str.h"
#include "base/thread.h"
#include "net/url.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

#define HANDLES_KEPT       32
#define TIMEOUT_MS_DEFAULT 30000
#define ANSWER_MAX_DEFAULT ((size_t)64 << 20)  /* bytes */
#define ANSWER_HEADERS_MAX ((size_t)256 << 10) /* bytes */

struct route {
    char *suffix, *unix_socket;
};

struct http_client {
    char *ca_file;
    struct route routes[HTTP_ROUTES_MAX]; /* not changed once there are calls */
    unsigned n_routes;
    pthread_mutex_t lock; /* guards the pool */
    CURL *idle[HANDLES_KEPT];
    unsigned n_idle;
};

static void curl_start(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

enum err http_client_new(struct http_client **out, const char *ca_file, struct diag *d)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, curl_start);
    if (ca_file != NULL && !os_exists(ca_file)) {
        return FAIL(d, ERR_NOT_FOUND, "CA file %s does not exist", ca_file);
    }
    struct http_client *c = calloc(1, sizeof *c);
    if (c == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    pthread_mutex_init(&c->lock, NULL);
    c->ca_file = str_dup(ca_file);
    if (ca_file != NULL && c->ca_file == NULL) {
        http_client_free(c);
        return FAIL(d, ERR_LIMIT, "out of memory");
    }
    *out = c;
    return OK;
}

void http_client_free(struct http_client *c)
{
    if (c == NULL) return;
    for (unsigned i = 0; i < c->n_idle; i++)
        curl_easy_cleanup(c->idle[i]);
    for (unsigned i = 0; i < c->n_routes; i++) {
        free(c->routes[i].suffix);
        free(c->routes[i].unix_socket);
    }
    pthread_mutex_destroy(&c->lock);
    free(c->ca_file);
    free(c);
}

enum err http_client_route(struct http_client *c, const char *suffix, const char *unix_socket,
                           struct diag *d)
{
    if (c->n_routes == HTTP_ROUTES_MAX) {
        return FAIL(d, ERR_LIMIT, "more than %d routes", HTTP_ROUTES_MAX);
    }
    struct route *r = &c->routes[c->n_routes++];
    *r = (struct route){str_dup(suffix), str_dup(unix_socket)};
    return r->suffix != NULL && r->unix_socket != NULL ? OK : FAIL(d, ERR_LIMIT, "out of memory");
}

/* The Unix socket that leads to the host; NULL: the network does. */
static const char *find_route(const struct http_client *c, const struct url *u)
{
    for (unsigned i = 0; i < c->n_routes; i++) {
        if (url_host_under(u, c->routes[i].suffix)) return c->routes[i].unix_socket;
    }
    return NULL;
}

/* (1) */
static CURL *take_handle(struct http_client *c)
{
    pthread_mutex_lock(&c->lock);
    CURL *h = c->n_idle != 0 ? c->idle[--c->n_idle] : NULL;
    pthread_mutex_unlock(&c->lock);
    return h != NULL ? h : curl_easy_init();
}

static void give_handle(struct http_client *c, CURL *h)
{
    curl_easy_reset(h); /* forgets the token and every pointer, not the connections */
    pthread_mutex_lock(&c->lock);
    bool kept = c->n_idle < HANDLES_KEPT;
    if (kept) c->idle[c->n_idle++] = h;
    pthread_mutex_unlock(&c->lock);
    if (!kept) curl_easy_cleanup(h);
}

/* --- one call --------------------------------------------------------------------------------- */

struct call {
    const struct http_call *in;
    struct http_client *c;
    CURL *h;
    struct curl_slist *headers;
    struct buf body, header_lines;
    size_t answer_max;
    const char *unix_socket; /* NULL: over the network */
    bool tls, head_whole, too_long;
    char error[CURL_ERROR_SIZE];
};

static size_t on_body(char *p, size_t one, size_t n, void *ctx)
{
    (void)one; /* always 1 */
    struct call *k = ctx;
    k->too_long = n > k->answer_max - k->body.len;
    if (k->too_long) return 0;
    buf_bytes(&k->body, bytes_of(p, n));
    return k->body.bad ? 0 : n;
}

/* One line at a time; each is kept with a zero at its end. A status line starts the answer that
 * counts. */
static size_t on_header(char *p, size_t one, size_t n, void *ctx)
{
    (void)one;
    struct call *k = ctx;
    size_t len = n;
    while (len != 0 && (p[len - 1] == '\n' || p[len - 1] == '\r' || p[len - 1] == ' '))
        len--;
    if (len >= 5 && memcmp(p, "HTTP/", 5) == 0) {
        buf_clear(&k->header_lines);
        k->head_whole = false;
        return n;
    }
    if (len == 0) k->head_whole = true;
    const char *colon = len != 0 ? memchr(p, ':', len) : NULL;
    if (colon == NULL || memchr(p, 0, len) != NULL) return n;
    size_t start = k->header_lines.len;
    buf_bytes(&k->header_lines, bytes_of(p, len));
    buf_u8(&k->header_lines, 0);
    if (k->header_lines.bad) {
        k->too_long = true;
        return 0;
    }
    for (uint8_t *q = k->header_lines.p + start; *q != ':'; q++) {
        if (*q >= 'A' && *q <= 'Z') *q += 'a' - 'A';
    }
    return n;
}

static bool add_header(struct call *k, const char *line)
{
    struct curl_slist *more = curl_slist_append(k->headers, line);
    if (more != NULL) k->headers = more;
    return more != NULL;
}

static bool add_headers(struct call *k)
{
    const struct http_call *in = k->in;
    bool good = add_header(k, "Expect:"); /* libcurl would wait a second for a 100 */
    if (in->bearer != NULL) {
        CLEANUP_BUF struct buf line = {0};
        buf_fmt(&line, "Authorization: Bearer %s", in->bearer);
        good = good && !line.bad && add_header(k, buf_cstr(&line));
    }
    if (in->body.len != 0) {
        CLEANUP_BUF struct buf line = {0};
        buf_fmt(&line, "Content-Type: %s",
                in->content_type != NULL ? in->content_type : "application/json");
        good = good && !line.bad && add_header(k, buf_cstr(&line));
    } else {
        good = good && add_header(k, "Content-Type:");
    }
    for (const char *const *h = in->headers; h != NULL && *h != NULL; h++) {
        good = good && add_header(k, *h);
    }
    return good;
}

static void set_security(struct call *k)
{
    curl_easy_setopt(k->h, CURLOPT_PROTOCOLS_STR, k->tls ? "https" : "http");
    curl_easy_setopt(k->h, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(k->h, CURLOPT_PROXY, ""); /* (2) */
    curl_easy_setopt(k->h, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(k->h, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(k->h, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(k->h, CURLOPT_SSL_VERIFYHOST, 2L);
    if (k->c->ca_file == NULL) return;
    curl_easy_setopt(k->h, CURLOPT_CAINFO, k->c->ca_file);
    /* Debian's libcurl has a default directory, which would let every public CA vouch too. */
    curl_easy_setopt(k->h, CURLOPT_CAPATH, NULL);
}

static void set_request(struct call *k)
{
    const struct http_call *in = k->in;
    bool post = in->body.len != 0 || str_eq(in->method, "POST") || str_eq(in->method, "PUT") ||
                str_eq(in->method, "PATCH");
    curl_easy_setopt(k->h, CURLOPT_URL, in->url);
    if (post) { /* an empty one says Content-Length: 0 */
        curl_easy_setopt(k->h, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)in->body.len);
        curl_easy_setopt(k->h, CURLOPT_POSTFIELDS,
                         in->body.len != 0 ? (const char *)in->body.p : "");
    }
    if (str_eq(in->method, "HEAD")) curl_easy_setopt(k->h, CURLOPT_NOBODY, 1L);
    curl_easy_setopt(k->h, CURLOPT_CUSTOMREQUEST, in->method);
    curl_easy_setopt(k->h, CURLOPT_HTTPHEADER, k->headers);
    curl_easy_setopt(k->h, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    if (k->unix_socket != NULL) curl_easy_setopt(k->h, CURLOPT_UNIX_SOCKET_PATH, k->unix_socket);
    if (!in->fresh_connection) return;
    curl_easy_setopt(k->h, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(k->h, CURLOPT_FORBID_REUSE, 1L);
}

static void set_answer(struct call *k)
{
    uint64_t ms = k->in->timeout_ms != 0 ? k->in->timeout_ms : TIMEOUT_MS_DEFAULT;
    curl_easy_setopt(k->h, CURLOPT_TIMEOUT_MS, (long)ms);
    curl_easy_setopt(k->h, CURLOPT_CONNECTTIMEOUT_MS, (long)ms);
    curl_easy_setopt(k->h, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(k->h, CURLOPT_ERRORBUFFER, k->error);
    curl_easy_setopt(k->h, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(k->h, CURLOPT_WRITEDATA, k);
    curl_easy_setopt(k->h, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(k->h, CURLOPT_HEADERDATA, k);
}

static enum err perform(struct call *k, int *status, struct diag *d)
{
    const char *url = k->in->url;
    CURLcode e = curl_easy_perform(k->h);
    if (k->too_long) {
        return FAIL(d, ERR_LIMIT, "%.200s: the answer is longer than %zu bytes", url,
                    k->header_lines.bad ? ANSWER_HEADERS_MAX : k->answer_max);
    }
    if (e != CURLE_OK) {
        return FAIL(d, ERR_UNAVAILABLE, "%.200s: %s", url,
                    k->error[0] != 0 ? k->error : curl_easy_strerror(e));
    }
    /* To libcurl a connection that ends within the headers ends an answer without a body. */
    if (!k->head_whole) return FAIL(d, ERR_UNAVAILABLE, "%.200s: the answer has no end", url);
    long code = 0;
    curl_easy_getinfo(k->h, CURLINFO_RESPONSE_CODE, &code);
    *status = (int)code;
    return OK;
}

/* Where the call goes, and whether a token may go there (5 in README.md). */
static enum err read_url(struct call *k, struct diag *d)
{
    const char *text = k->in->url;
    struct url u;
    TRY(url_parse(text, &u, d));
    k->tls = str_eq(u.scheme, "https");
    k->unix_socket = find_route(k->c, &u);
    if (u.has_userinfo) return FAIL(d, ERR_INVALID, "url: a user name has no place in it");
    bool is_here = k->unix_socket != NULL || url_is_loopback(&u);
    if (k->tls || (str_eq(u.scheme, "http") && is_here)) return OK;
    return FAIL(d, ERR_INVALID, "%.200s: not https, nor http on this machine", text);
}

/* A line end in what the caller passes on would become a header of its own. */
static bool is_line(const char *s)
{
    for (; s != NULL && *s != 0; s++) {
        if (((unsigned char)*s < 0x20 && *s != '\t') || *s == 0x7f) return false;
    }
    return true;
}

static enum err check_lines(const struct http_call *in, struct diag *d)
{
    bool good = is_line(in->bearer) && is_line(in->content_type) && is_line(in->method);
    for (const char *const *h = in->headers; h != NULL && *h != NULL; h++)
        good = good && is_line(*h);
    return good ? OK : FAIL(d, ERR_INVALID, "a header with a control character");
}

enum err http_do(struct http_client *c, const struct http_call *in, struct http_answer *out,
                 struct diag *d)
{
    struct call k = {.in = in, .c = c};
    TRY(read_url(&k, d));
    TRY(check_lines(in, d));
    k.h = take_handle(c);
    if (k.h == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    k.answer_max = in->answer_max != 0 ? in->answer_max : ANSWER_MAX_DEFAULT;
    k.header_lines.max = ANSWER_HEADERS_MAX;

    int status = 0;
    enum err e = OK;
    if (add_headers(&k)) {
        set_security(&k);
        set_request(&k);
        set_answer(&k);
        e = perform(&k, &status, d);
    } else {
        e = FAIL(d, ERR_LIMIT, "out of memory");
    }
    give_handle(c, k.h);
    curl_slist_free_all(k.headers);
    if (e != OK) {
        buf_release(&k.body);
        buf_release(&k.header_lines);
        return e;
    }
    *out = (struct http_answer){.status = status, .body = k.body, .headers = k.header_lines};
    return OK;
}

void http_answer_release(struct http_answer *a)
{
    buf_release(&a->body);
    buf_release(&a->headers);
    a->status = 0;
}

const char *http_answer_header(struct http_answer *a, const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < a->headers.len;) {
        const char *line = (const char *)a->headers.p + i;
        i += strlen(line) + 1;
        if (!str_starts_nocase(line, name) || line[n] != ':') continue;
        line += n + 1;
        return line + strspn(line, " \t");
    }
    return NULL;
}
