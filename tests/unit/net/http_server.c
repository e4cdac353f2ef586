/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/net/http_server.c - requests as clients send them, and as they should not */
#include "net_test.h"

#include "base/str.h"
#include "base/thread.h"
#include "base/time.h"

#include <stdlib.h>

/* Tells what it was asked, one thing per line. */
static void echo(void *ctx, const struct http_request *q, struct http_response *r)
{
    (void)ctx;
    r->status = 200;
    http_set(r, "Content-Type", "text/plain");
    buf_fmt(&r->body, "%s %s\nhost=%s authority=%s\n", q->method, q->path, q->host, q->authority);
    for (uint32_t i = 0; i < q->n_query; i++) {
        buf_fmt(&r->body, "[%s]=[%s]\n", q->query[i].name, q->query[i].value);
    }
    buf_fmt(&r->body, "body=%zu bearer=%s peer=%s\n", q->body.len,
            http_bearer(q) != NULL ? http_bearer(q) : "none", q->peer);
}

static const char *answer_to(unsigned port, const char *request)
{
    int fd = dial(port);
    say(fd, request, strlen(request));
    shutdown(fd, SHUT_WR);
    const char *text = hear(fd);
    close(fd);
    return text;
}

#define GET(target) "GET " target " HTTP/1.1\r\nHost: LocalHost:8443\r\nConnection: close\r\n\r\n"

#define EXPECT_LINE(request, line)                                                 \
    do {                                                                           \
        const char *answer_ = answer_to(port, request);                            \
        if (strstr(answer_, line) == NULL) fail_msg("no %s in %s", line, answer_); \
    } while (0)
#define EXPECT_STATUS(status, request)                                                       \
    do {                                                                                     \
        int status_ = status_of(port, request, sizeof(request) - 1);                         \
        if (status_ != (status)) fail_msg("%d instead of %d: %s", status_, status, request); \
    } while (0)

TEST(http, a_request_arrives_decoded)
{
    struct http_server *s = serve((struct http_server_config){.handler = echo}, false);
    unsigned port = http_server_port(s);
    EXPECT_LINE(GET("/subscriptions/a%20b/"), "GET /subscriptions/a b/\n");
    EXPECT_LINE(GET("/v1//subscriptions///x"), "GET /v1/subscriptions/x\n");
    EXPECT_LINE(GET("/keys/k1/?api%2Dversion=2025-07-01"), "GET /keys/k1/\n");
    EXPECT_LINE(GET("/keys/k1/?api%2Dversion=2025-07-01"), "[api-version]=[2025-07-01]\n");
    EXPECT_LINE(GET("/?a+b=c+d&&e&=f&g=h=i"), "[a b]=[c d]\n[e]=[]\n[]=[f]\n[g]=[h=i]\n");
    EXPECT_LINE(GET("/%D1%84?q=%E2%82%AC%0A"), "GET /\xd1\x84\n");
    EXPECT_LINE(GET("/a+b"), "GET /a+b\n");
    EXPECT_LINE(GET("/?"), "GET /\n");
    EXPECT_LINE(GET("/x"), "host=localhost authority=LocalHost:8443\n");
    EXPECT_LINE("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "host=[::1] authority=[::1]:80\n");
    EXPECT_LINE("GET / HTTP/1.1\r\nHost: x\r\nauthorization: bearer  abc\r\n\r\n",
                "bearer=abc peer=127.0.0.1");
    EXPECT_LINE("PATCH / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", "body=3 ");
    EXPECT_LINE("PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
                "chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
                "body=3 ");
    EXPECT_LINE("GET / HTTP/1.0\r\n\r\n", "host= authority=\n");
    http_server_stop(s);
}

TEST(http, what_is_malformed_never_reaches_the_handler)
{
    struct http_server *s = serve((struct http_server_config){.handler = echo}, false);
    unsigned port = http_server_port(s);
    EXPECT_STATUS(400, GET("/%"));
    EXPECT_STATUS(400, GET("/%4"));
    EXPECT_STATUS(400, GET("/%zz"));
    EXPECT_STATUS(400, GET("/?a=%g0"));
    EXPECT_STATUS(400, GET("/a%00b"));
    EXPECT_STATUS(400, GET("/?a=%00"));
    EXPECT_STATUS(400, GET("/%ff"));
    EXPECT_STATUS(400, GET("/?a=%c3%28"));
    EXPECT_STATUS(400, GET("/%c0%ae"));
    EXPECT_STATUS(400, GET("/a/../b"));
    EXPECT_STATUS(400, GET("/a/%2e%2e/b"));
    EXPECT_STATUS(400, GET("/a/."));
    EXPECT_STATUS(400, GET("/a%0ab"));
    EXPECT_STATUS(400, GET("/a#b"));
    EXPECT_STATUS(400, GET("https://localhost/"));
    EXPECT_STATUS(400, GET("*"));
    EXPECT_STATUS(400, GET("/a\0b"));
    EXPECT_STATUS(400, GET("/a?b\0c"));
    EXPECT_STATUS(400, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
    EXPECT_STATUS(400, "GET / HTTP/1.1\r\nHost: a\"b\r\n\r\n");
    EXPECT_STATUS(400, "GET / HTTP/1.1\r\n\r\n");
    EXPECT_STATUS(
        400, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd");
    EXPECT_STATUS(
        400, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
             "0\r\n\r\n");
    EXPECT_STATUS(400, "GET / HTTP/1.1\r\nHost: x\r\nContent-Length : 0\r\n\r\n");
    EXPECT_STATUS(501, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: foo\r\n\r\nabc");
    static const char odd_length[] = "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n";
    static const char odd_header[] = "GET / HTTP/1.1\r\nHo\0st: x\r\n\r\n";
    static const char tls_hello[] = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n";
    REQUIRE(status_of(port, odd_length, sizeof odd_length - 1) != 200);
    REQUIRE(status_of(port, odd_header, sizeof odd_header - 1) != 200);
    REQUIRE(status_of(port, tls_hello, sizeof tls_hello - 1) != 200);
    http_server_stop(s);
}

TEST(http, long_lines_are_refused_by_name)
{
    struct http_server *s = serve((struct http_server_config){.handler = echo}, false);
    unsigned port = http_server_port(s);
    static const size_t lengths[] = {40000, 200000};
    for (size_t i = 0; i < 2; i++) {
        CLEANUP_BUF struct buf b = {0};
        buf_str(&b, "GET /");
        memset(buf_extend(&b, lengths[i]), 'a', lengths[i]);
        buf_str(&b, " HTTP/1.1\r\nHost: x\r\n\r\n");
        EXPECT_EQ(status_of(port, b.p, b.len), 414);
    }
    CLEANUP_BUF struct buf b = {0};
    buf_str(&b, "GET / HTTP/1.1\r\nHost: x\r\nX: ");
    memset(buf_extend(&b, 200000), 'a', 200000);
    buf_str(&b, "\r\n\r\n");
    EXPECT_EQ(status_of(port, b.p, b.len), 431);

    buf_clear(&b);
    buf_str(&b, "GET / HTTP/1.1\r\nHost: x\r\n");
    for (int i = 0; i < 300; i++)
        buf_str(&b, "X: y\r\n");
    buf_str(&b, "\r\n");
    EXPECT_EQ(status_of(port, b.p, b.len), 431);

    buf_clear(&b);
    buf_str(&b, "GET /?");
    for (int i = 0; i < 300; i++)
        buf_str(&b, "x&");
    buf_str(&b, " HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(status_of(port, b.p, b.len), 414);
    http_server_stop(s);
}

TEST(http, a_body_may_be_as_long_as_the_limit_and_no_longer)
{
    struct http_server *s =
        serve((struct http_server_config){.handler = echo, .body_max = 1000}, false);
    unsigned port = http_server_port(s);
    static const struct {
        size_t len;
        int status;
    } cases[] = {{999, 200}, {1000, 200}, {1001, 413}, {1999, 413}, {5000, 413}, {5000000, 413}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CLEANUP_BUF struct buf b = {0};
        buf_fmt(&b, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n", cases[i].len);
        size_t sent = cases[i].len < 2000 ? cases[i].len : 0;
        if (sent != 0) memset(buf_extend(&b, sent), 'a', sent);
        int fd = dial(port), status = 0;
        say(fd, b.p, b.len);
        if (cases[i].status == 200) shutdown(fd, SHUT_WR);
        REQUIRE(sscanf(hear(fd), "HTTP/1.1 %d", &status) == 1);
        EXPECT_EQ(status, cases[i].status);
        close(fd);
    }
    /* The same without a length: chunks of 500 bytes. */
    for (int n = 1; n <= 4; n++) {
        CLEANUP_BUF struct buf b = {0};
        buf_str(&b, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
        for (int i = 0; i < n; i++) {
            buf_str(&b, "1f4\r\n");
            memset(buf_extend(&b, 500), 'a', 500);
            buf_str(&b, "\r\n");
        }
        buf_str(&b, "0\r\n\r\n");
        EXPECT_EQ(status_of(port, b.p, b.len), n <= 2 ? 200 : 413);
    }
    http_server_stop(s);
}

TEST(http, bodies_of_all_connections_together_have_a_limit)
{
    struct http_server *s =
        serve((struct http_server_config){.handler = echo, .body_max = 1000}, false);
    unsigned port = http_server_port(s);
    const char *head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n";
    char body[1000];
    memset(body, 'a', sizeof body);
    CLEANUP_BUF struct buf b = {0};
    buf_str(&b, head);
    buf_bytes(&b, bytes_of(body, sizeof body));
    int fds[8];
    for (int i = 0; i < 8; i++) {
        fds[i] = dial(port);
        say(fds[i], head, strlen(head));
        say(fds[i], body, 999); /* they wait for their last byte */
    }
    REQUIRE(status_becomes(503, port, b.p, b.len));
    say(fds[0], "a", 1);
    shutdown(fds[0], SHUT_WR);
    REQUIRE(strstr(hear(fds[0]), " 200 ") != NULL);
    for (int i = 0; i < 8; i++)
        close(fds[i]);
    REQUIRE(status_becomes(200, port, b.p, b.len));
    http_server_stop(s);
}

TEST(http, a_connection_serves_many_requests)
{
    struct http_server *s = serve((struct http_server_config){.handler = echo}, false);
    int fd = dial(http_server_port(s));
    for (int i = 0; i < 3; i++) {
        char answer[4096];
        say(fd, "GET /same HTTP/1.1\r\nHost: x\r\n\r\n", 31);
        ssize_t n = recv(fd, answer, sizeof answer - 1, 0);
        REQUIRE(n > 0);
        answer[n] = 0;
        REQUIRE(strstr(answer, "GET /same") != NULL && strstr(answer, "close") == NULL);
    }
    close(fd);
    http_server_stop(s);
}

TEST(http, half_a_request_hinders_nobody_and_is_hung_up_on)
{
    struct http_server *s =
        serve((struct http_server_config){.handler = echo, .idle_timeout_s = 1}, false);
    unsigned port = http_server_port(s);
    int head = dial(port), body = dial(port), silent = dial(port);
    say(head, "GET / HTTP/1.1\r\nHo", 18);
    say(body, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc", 52);
    EXPECT_STATUS(200, GET("/"));
    REQUIRE(strstr(hear(head), " 200 ") == NULL);
    REQUIRE(strstr(hear(body), " 200 ") == NULL);
    REQUIRE(strstr(hear(silent), " 200 ") == NULL);
    REQUIRE(is_hung_up(head) && is_hung_up(body) && is_hung_up(silent));
    close(head);
    close(body);
    close(silent);
    http_server_stop(s);
}

/* --- answers ---------------------------------------------------------------------------------- */

static void answer_oddly(void *ctx, const struct http_request *q, struct http_response *r)
{
    (void)ctx;
    if (str_eq(q->path, "/forgets")) return;
    r->status = 200;
    if (str_eq(q->path, "/bad-buffer")) {
        r->body.max = 10;
        buf_str(&r->body, "more than ten bytes");
    } else if (str_eq(q->path, "/204")) {
        r->status = 204;
        buf_str(&r->body, "not to be seen");
    } else if (str_eq(q->path, "/header")) {
        http_set(r, "X-Mirror", http_query(q, "V"));
        http_set(r, "x-twice", "1");
        http_setf(r, "X-Twice", "%d", 2);
        http_setf(r, "X-Long", "%02000d", 7);
    }
    buf_str(&r->body, "{}");
}

TEST(http, answers_are_well_formed_whatever_the_handler_does)
{
    struct http_server *s = serve((struct http_server_config){.handler = answer_oddly}, false);
    unsigned port = http_server_port(s);
    EXPECT_STATUS(500, GET("/forgets"));
    EXPECT_STATUS(500, GET("/bad-buffer"));
    const char *text = answer_to(port, GET("/204"));
    REQUIRE(strstr(text, " 204 ") != NULL && strstr(text, "not to be seen") == NULL);
    text = answer_to(port, GET("/header?v=a%0d%0aX-Evil:+1"));
    REQUIRE(strstr(text, "X-Mirror: a  X-Evil: 1\r\n") != NULL && strstr(text, "\nX-Evil") == NULL);
    REQUIRE(strcasestr(text, "x-twice: 2\r\n") != NULL && strstr(text, "x-twice: 1") == NULL);
    REQUIRE(strstr(text, "0007\r\n") != NULL);
    REQUIRE(strstr(text, "Content-Type: application/json\r\n") != NULL);
    text = answer_to(port, "HEAD /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    REQUIRE(strstr(text, "Content-Length: 2\r\n") != NULL && strstr(text, "{}") == NULL);
    http_server_stop(s);
}

/* --- stopping --------------------------------------------------------------------------------- */

struct slow {
    pthread_mutex_t lock;
    pthread_cond_t change;
    bool entered, released;
};

static void wait_for_release(void *ctx, const struct http_request *q, struct http_response *r)
{
    (void)q;
    struct slow *w = ctx;
    pthread_mutex_lock(&w->lock);
    w->entered = true;
    pthread_cond_broadcast(&w->change);
    while (!w->released)
        pthread_cond_wait(&w->change, &w->lock);
    pthread_mutex_unlock(&w->lock);
    r->status = 200;
    buf_str(&r->body, "finished");
}

static void *stop_run(void *s)
{
    http_server_stop(s);
    return NULL;
}

TEST(http, stop_lets_a_running_request_finish_and_frees_the_port_at_once)
{
    struct diag d = DIAG_INIT;
    struct slow w = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, false};
    struct http_server_config c = {.handler = wait_for_release, .ctx = &w};
    struct http_server *s = serve(c, false);
    unsigned port = http_server_port(s);
    int idle = dial(port), fd = dial(port);
    say(fd, GET("/"), sizeof GET("/") - 1);
    pthread_mutex_lock(&w.lock);
    while (!w.entered)
        pthread_cond_wait(&w.change, &w.lock);
    pthread_mutex_unlock(&w.lock);

    pthread_t t;
    REQUIRE_OK(thread_start(&t, stop_run, s, &d));
    usleep(300000);
    pthread_mutex_lock(&w.lock);
    w.released = true;
    pthread_cond_broadcast(&w.change);
    pthread_mutex_unlock(&w.lock);
    REQUIRE(strstr(hear(fd), "finished") != NULL);
    pthread_join(t, NULL);

    char address[32];
    snprintf(address, sizeof address, "127.0.0.1:%u", port);
    c.address = address;
    c.handler = echo;
    s = serve(c, false);
    EXPECT_STATUS(200, GET("/"));
    http_server_stop(s);
    close(idle);
    close(fd);
}

TEST(http, a_taken_port_is_a_conflict_and_a_bad_address_is_said)
{
    struct diag d = DIAG_INIT;
    struct http_server *s = serve((struct http_server_config){.handler = echo}, false),
                       *other = NULL;
    char address[32];
    snprintf(address, sizeof address, "127.0.0.1:%u", http_server_port(s));
    struct http_server_config c = {.handler = echo, .address = address};
    REQUIRE_ERR(ERR_CONFLICT, http_server_start(&other, &c, &d));
    static const char *const bad[] = {
        "", "8443", "host.example:1", "127.0.0.1:", "127.0.0.1:99999", ":1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        c.address = bad[i];
        REQUIRE_ERR(ERR_INVALID, http_server_start(&other, &c, &d));
    }
    REQUIRE(other == NULL);
    c.address = "127.0.0.1:0";
    c.cert_file = in_dir("missing.pem");
    c.key_file = in_dir("missing.key");
    REQUIRE(http_server_start(&other, &c, &d) != OK && other == NULL);
    http_server_stop(s);
    http_server_stop(NULL);
}
