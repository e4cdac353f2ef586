/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/net/http_client.c - calls over real TLS, and servers that misbehave */
#include "net_test.h"

#include "base/os.h"
#include "base/str.h"
#include "base/thread.h"
#include "base/time.h"

#include <stdlib.h>

/* An answer that comes when the test lets it. */
static _Atomic bool slow_let_go, slow_answered;

static void answer_slowly(void)
{
    for (int i = 0; i < 12000 && !slow_let_go; i++)
        usleep(10000);
    slow_answered = true;
}

static void serve_paths(void *ctx, const struct http_request *q, struct http_response *r)
{
    unsigned *calls = ctx;
    if (calls != NULL) __atomic_add_fetch(calls, 1, __ATOMIC_RELAXED);
    r->status = 200;
    if (str_eq(q->path, "/redirect")) {
        r->status = 302;
        http_set(r, "Location", "/elsewhere");
    } else if (str_eq(q->path, "/slow")) {
        answer_slowly();
    } else if (str_eq(q->path, "/long")) {
        memset(buf_extend(&r->body, 100000), 'a', 100000);
    } else if (str_eq(q->path, "/denied")) {
        r->status = 403;
        http_set(r, "X-Reason", "  because ");
        buf_str(&r->body, "{\"error\":1}");
    } else {
        const char *type = http_header(q, "content-type");
        buf_fmt(&r->body, "%s %s host=%s type=%s bearer=%s x=%s length=%s expect=%s body=%.*s",
                q->method, q->path, q->host, type != NULL ? type : "none",
                http_bearer(q) != NULL ? http_bearer(q) : "none",
                http_header(q, "X-A") != NULL ? http_header(q, "X-A") : "none",
                http_header(q, "Content-Length") != NULL ? http_header(q, "Content-Length")
                                                         : "none",
                http_header(q, "Expect") != NULL ? "yes" : "no", (int)q->body.len,
                (const char *)q->body.p);
    }
}

static struct http_client *client(const char *ca)
{
    struct diag d = DIAG_INIT;
    struct http_client *c = NULL;
    REQUIRE_OK(http_client_new(&c, ca, &d));
    return c;
}

static const char *url(const char *scheme, const char *host, unsigned port, const char *path)
{
    static char text[4][256];
    static unsigned i;
    char *p = text[i++ % 4];
    snprintf(p, sizeof text[0], "%s://%s:%u%s", scheme, host, port, path);
    return p;
}

TEST(http_client, a_call_over_tls_carries_everything_both_ways)
{
    struct diag d = DIAG_INIT;
    struct http_server *s = serve((struct http_server_config){.handler = serve_paths}, true);
    unsigned port = http_server_port(s);
    CLEANUP(http_client_free) struct http_client *c = client(in_dir("ca.pem"));
    CLEANUP_ANSWER struct http_answer a = {0};
    const char *headers[] = {"X-A: 7", NULL};
    struct http_call call = {.method = "PUT",
                             .url = url("https", "localhost", port, "/p"),
                             .bearer = "tok",
                             .headers = headers,
                             .body = BYTES("hello")};
    REQUIRE_OK(http_do(c, &call, &a, &d));
    EXPECT_EQ(a.status, 200);
    EXPECT_STR(buf_cstr(&a.body),
               "PUT /p host=localhost type=application/json bearer=tok x=7 length=5 "
               "expect=no body=hello");
    http_answer_release(&a);

    call = (struct http_call){.method = "POST",
                              .url = url("https", "kv1.vault.localhost", port, "/"),
                              .content_type = "text/x"};
    REQUIRE_OK(http_do(c, &call, &a, &d)); /* no resolver knows this name */
    EXPECT_STR(
        buf_cstr(&a.body),
        "POST / host=kv1.vault.localhost type=none bearer=none x=none length=0 expect=no body=");
    http_answer_release(&a);

    call = (struct http_call){.method = "DELETE", .url = url("https", "127.0.0.1", port, "/d")};
    REQUIRE_OK(http_do(c, &call, &a, &d));
    REQUIRE(str_starts(buf_cstr(&a.body), "DELETE /d host=127.0.0.1 type=none"));
    http_answer_release(&a);

    call.method = "HEAD";
    REQUIRE_OK(http_do(c, &call, &a, &d));
    EXPECT_EQ(a.body.len, 0);
    http_answer_release(&a);

    call = (struct http_call){.method = "GET", .url = url("https", "localhost", port, "/denied")};
    REQUIRE_OK(http_do(c, &call, &a, &d)); /* any status is an answer */
    EXPECT_EQ(a.status, 403);
    EXPECT_STR(http_answer_header(&a, "x-reason"), "because");
    EXPECT_STR(http_answer_header(&a, "Content-Type"), "application/json");
    REQUIRE(http_answer_header(&a, "x-reas") == NULL);
    http_server_stop(s);
}

TEST(http_client, another_ca_is_not_trusted)
{
    struct diag d = DIAG_INIT;
    char other[256];
    snprintf(other, sizeof other, "%s/other", test_dir());
    REQUIRE_OK(tls_ensure_files(other, server_names, &d));
    struct http_server *s = serve((struct http_server_config){.handler = serve_paths}, true);
    snprintf(other, sizeof other, "%s/other/ca.pem", test_dir());
    struct http_call call = {
        .method = "GET", .url = url("https", "localhost", http_server_port(s), "/"), .bearer = "x"};
    CLEANUP_ANSWER struct http_answer a = {0};
    CLEANUP(http_client_free) struct http_client *stranger = client(other);
    REQUIRE_ERR(ERR_UNAVAILABLE, http_do(stranger, &call, &a, &d));
    REQUIRE(strstr(d.text, "certificate") != NULL);
    CLEANUP(http_client_free) struct http_client *system = client(NULL);
    REQUIRE_ERR(ERR_UNAVAILABLE, http_do(system, &call, &a, &d));
    struct http_client *none = NULL;
    REQUIRE_ERR(ERR_NOT_FOUND, http_client_new(&none, "/nowhere/ca.pem", &d));
    http_server_stop(s);
}

TEST(http_client, a_certificate_for_another_name_is_refused)
{
    struct diag d = DIAG_INIT;
    struct http_server *s = serve((struct http_server_config){.handler = serve_paths}, true);
    CLEANUP(http_client_free) struct http_client *c = client(in_dir("ca.pem"));
    CLEANUP_ANSWER struct http_answer a = {0};
    struct http_call call = {.method = "GET",
                             .url = url("https", "other.localhost", http_server_port(s), "/")};
    REQUIRE_ERR(ERR_UNAVAILABLE, http_do(c, &call, &a, &d));
    http_server_stop(s);
}

TEST(http_client, a_redirect_is_an_answer_and_not_followed)
{
    struct diag d = DIAG_INIT;
    unsigned calls = 0;
    struct http_server *s =
        serve((struct http_server_config){.handler = serve_paths, .ctx = &calls}, true);
    CLEANUP(http_client_free) struct http_client *c = client(in_dir("ca.pem"));
    CLEANUP_ANSWER struct http_answer a = {0};
    struct http_call call = {.method = "GET",
                             .url = url("https", "localhost", http_server_port(s), "/redirect")};
    REQUIRE_OK(http_do(c, &call, &a, &d));
    EXPECT_EQ(a.status, 302);
    EXPECT_STR(http_answer_header(&a, "location"), "/elsewhere");
    EXPECT_EQ(calls, 1);
    http_server_stop(s);
}

TEST(http_client, a_slow_server_is_given_up_in_time)
{
    struct diag d = DIAG_INIT;
    struct http_server *s = serve((struct http_server_config){.handler = serve_paths}, true);
    CLEANUP(http_client_free) struct http_client *c = client(in_dir("ca.pem"));
    CLEANUP_ANSWER struct http_answer a = {0};
    struct http_call call = {.method = "GET",
                             .timeout_ms = 300,
                             .url = url("https", "localhost", http_server_port(s), "/slow")};
    REQUIRE_ERR(ERR_UNAVAILABLE, http_do(c, &call, &a, &d));
    REQUIRE(!slow_answered);
    slow_let_go = true;
    REQUIRE(strstr(d.text, "timed out") != NULL || strstr(d.text, "imeout") != NULL);
    http_server_stop(s);
}

TEST(http_client, an_answer_may_be_as_long_as_the_limit_and_no_longer)
{
    struct diag d = DIAG_INIT;
    struct http_server *s = serve((struct http_server_config){.handler = serve_paths}, true);
    CLEANUP(http_client_free) struct http_client *c = client(in_dir("ca.pem"));
    CLEANUP_ANSWER struct http_answer a = {0};
    struct http_call call = {.method = "GET",
                             .answer_max = 100000,
                             .url = url("https", "localhost", http_server_port(s), "/long")};
    REQUIRE_OK(http_do(c, &call, &a, &d));
    EXPECT_EQ(a.body.len, 100000);
    http_answer_release(&a);
    call.answer_max = 99999;
    REQUIRE_ERR(ERR_LIMIT, http_do(c, &call, &a, &d));
    http_server_stop(s);
}

TEST(http_client, plain_http_is_for_this_machine_only_and_headers_stay_lines)
{
    struct diag d = DIAG_INIT;
    struct http_server *s = serve((struct http_server_config){.handler = serve_paths}, false);
    CLEANUP(http_client_free) struct http_client *c = client(NULL);
    CLEANUP_ANSWER struct http_answer a = {0};
    struct http_call call = {.method = "GET",
                             .url = url("http", "127.0.0.1", http_server_port(s), "/")};
    REQUIRE_OK(http_do(c, &call, &a, &d));
    EXPECT_EQ(a.status, 200);
    static const char *const bad[] = {"http://vault.example/", "ftp://localhost/",
                                      "file:///etc/passwd", "https://user@localhost/", "localhost"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct http_call x = {.method = "GET", .url = bad[i]};
        REQUIRE_ERR(ERR_INVALID, http_do(c, &x, &a, &d));
    }
    call.bearer = "a\r\nX-Evil: 1";
    REQUIRE_ERR(ERR_INVALID, http_do(c, &call, &a, &d));
    http_server_stop(s);
}

TEST(http_client, the_environment_does_not_redirect_calls)
{
    struct diag d = DIAG_INIT;
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("https_proxy", "http://127.0.0.1:1", 1);
    setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
    struct http_server *s = serve((struct http_server_config){.handler = serve_paths}, true);
    CLEANUP(http_client_free) struct http_client *c = client(in_dir("ca.pem"));
    CLEANUP_ANSWER struct http_answer a = {0};
    struct http_call call = {.method = "GET",
                             .url = url("https", "localhost", http_server_port(s), "/")};
    REQUIRE_OK(http_do(c, &call, &a, &d));
    unsetenv("http_proxy");
    unsetenv("https_proxy");
    unsetenv("ALL_PROXY");
    http_server_stop(s);
}

/* A server of our own making, one connection: says the text and hangs up. */
struct script {
    int fd;
    const char *text;
    unsigned accepted;
};

static void *script_run(void *arg)
{
    struct script *p = arg;
    int fd;
    while ((fd = accept4(p->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        char drain[4096];
        p->accepted++;
        if (recv(fd, drain, sizeof drain, 0) > 0) say(fd, p->text, strlen(p->text));
        shutdown(fd, SHUT_WR);
        while (recv(fd, drain, sizeof drain, 0) > 0)
            continue;
        close(fd);
    }
    return NULL;
}

static enum err call_script(const char *text, struct http_answer *a, struct diag *d)
{
    struct script p = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .text = text};
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof sa;
    REQUIRE(bind(p.fd, (struct sockaddr *)&sa, len) == 0 && listen(p.fd, 8) == 0);
    REQUIRE(getsockname(p.fd, (struct sockaddr *)&sa, &len) == 0);
    pthread_t t;
    REQUIRE(thread_start(&t, script_run, &p, NULL) == OK);
    CLEANUP(http_client_free) struct http_client *c = client(NULL);
    struct http_call call = {.method = "GET",
                             .timeout_ms = 120000,
                             .url = url("http", "127.0.0.1", ntohs(sa.sin_port), "/")};
    enum err e = http_do(c, &call, a, d);
    http_client_free(TAKE(c)); /* ends the connection that the script waits for */
    shutdown(p.fd, SHUT_RDWR);
    pthread_join(t, NULL);
    close(p.fd);
    return e;
}

TEST(http_client, half_an_answer_is_no_answer)
{
    struct diag d = DIAG_INIT;
    CLEANUP_ANSWER struct http_answer a = {0};
    REQUIRE_ERR(ERR_UNAVAILABLE, call_script("", &a, &d));
    REQUIRE_ERR(ERR_UNAVAILABLE, call_script("HTTP/1.1 200 OK\r\nContent-Le", &a, &d));
    REQUIRE_ERR(ERR_UNAVAILABLE,
                call_script("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", &a, &d));
    REQUIRE_ERR(ERR_UNAVAILABLE, call_script("SSH-2.0-OpenSSH\r\n", &a, &d));
    REQUIRE_OK(call_script("HTTP/1.1 100 Continue\r\nX-Old: 1\r\n\r\nHTTP/1.1 200 OK\r\n"
                           "X-NEW:2\r\nContent-Length: 2\r\n\r\nok",
                           &a, &d));
    REQUIRE(http_answer_header(&a, "x-old") == NULL);
    EXPECT_STR(http_answer_header(&a, "x-new"), "2");
    EXPECT_STR(buf_cstr(&a.body), "ok");
}

TEST(http_client, headers_without_end_are_cut_off)
{
    struct diag d = DIAG_INIT;
    CLEANUP_ANSWER struct http_answer a = {0};
    CLEANUP_BUF struct buf b = {0};
    buf_str(&b, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 20000; i++)
        buf_str(&b, "X-Some: bytes of a header line\r\n");
    REQUIRE_ERR(ERR_LIMIT, call_script(buf_cstr(&b), &a, &d));
}

TEST(http_client, a_refused_connection_is_unavailable)
{
    struct diag d = DIAG_INIT;
    CLEANUP(http_client_free) struct http_client *c = client(NULL);
    CLEANUP_ANSWER struct http_answer a = {0};
    struct http_call call = {.method = "GET", .url = "http://127.0.0.1:1/"};
    REQUIRE_ERR(ERR_UNAVAILABLE, http_do(c, &call, &a, &d));
}

/* --- connections ------------------------------------------------------------------------------ */

struct crowd {
    struct http_client *c;
    const char *url;
    unsigned good;
};

static void call_many(void *arg, unsigned i)
{
    (void)i;
    struct crowd *w = arg;
    for (int k = 0; k < 10; k++) {
        CLEANUP_ANSWER struct http_answer a = {0};
        struct http_call call = {.method = "GET", .url = w->url};
        if (http_do(w->c, &call, &a, NULL) == OK && a.status == 200) {
            __atomic_add_fetch(&w->good, 1, __ATOMIC_RELAXED);
        }
    }
}

TEST(http_client, many_threads_share_a_client)
{
    struct diag d = DIAG_INIT;
    struct http_server *s = serve((struct http_server_config){.handler = serve_paths}, true);
    CLEANUP(http_client_free) struct http_client *c = client(in_dir("ca.pem"));
    struct crowd w = {.c = c, .url = url("https", "localhost", http_server_port(s), "/")};
    struct pool *pool = NULL;
    REQUIRE_OK(pool_new(&pool, 8, 100, &d));
    pool_each(pool, 8, call_many, &w);
    pool_free(pool);
    EXPECT_EQ(w.good, 80);
    http_server_stop(s);
}

static void tell_port(void *ctx, const struct http_request *q, struct http_response *r)
{
    (void)ctx;
    r->status = 200;
    buf_fmt(&r->body, "%u", q->peer_port);
}

TEST(http_client, connections_are_kept_unless_a_fresh_one_is_asked_for)
{
    struct diag d = DIAG_INIT;
    struct http_server *s = serve((struct http_server_config){.handler = tell_port}, false);
    const char *u = url("http", "127.0.0.1", http_server_port(s), "/");
    CLEANUP(http_client_free) struct http_client *c = client(NULL);
    struct http_call call = {.method = "GET", .url = u};
    char ports[4][16];
    for (int i = 0; i < 4; i++) {
        CLEANUP_ANSWER struct http_answer a = {0};
        call.fresh_connection = i == 3;
        REQUIRE_OK(http_do(c, &call, &a, &d));
        snprintf(ports[i], sizeof ports[i], "%s", buf_cstr(&a.body));
    }
    EXPECT_STR(ports[1], ports[0]);
    EXPECT_STR(ports[2], ports[0]);
    REQUIRE(!str_eq(ports[3], ports[0]));
    http_server_stop(s);
}
