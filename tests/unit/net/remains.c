/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/net/remains.c - what a server remembers of a request that is over: nothing
 *
 * The client is a process of its own, so that all copies found are the server's.
 */
#include "memory.h"
#include "net_test.h"

#include <openssl/bio.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <sys/wait.h>

#define MASKED "vbpgaozpvzwa8ve{vpy8fpv8tyy" /* each byte XOR MEMORY_MASK */
#define COPIES 4000

/* --- the client ------------------------------------------------------------------------------- */

struct client {
    pid_t pid;
    int tell, hear; /* pipes: to it, from it */
};

static void put(BIO *bio, const char *text, size_t n)
{
    while (n != 0) {
        int k = BIO_write(bio, text, (int)n);
        if (k <= 0) _exit(2);
        text += k;
        n -= (size_t)k;
    }
}

static BIO *connect_to(unsigned port, bool tls)
{
    char address[32];
    snprintf(address, sizeof address, "127.0.0.1:%u", port);
    BIO *bio =
        tls ? BIO_new_ssl_connect(SSL_CTX_new(TLS_client_method())) : BIO_new_connect(address);
    if (bio == NULL || BIO_set_conn_hostname(bio, address) <= 0 || BIO_do_connect(bio) <= 0)
        _exit(3);
    return bio;
}

static void ask(BIO *bio, const char *word, size_t n_sent)
{
    char head[256];
    int n =
        snprintf(head, sizeof head,
                 "POST /%s?q=%s HTTP/1.1\r\nHost: x\r\nX-Secret: %s\r\nContent-Length: %zu\r\n\r\n",
                 word, word, word, COPIES * strlen(word));
    put(bio, head, (size_t)n);
    for (size_t i = 0; i < n_sent; i++)
        put(bio, word, strlen(word));
}

static void read_answer(BIO *bio, size_t body_len)
{
    static char answer[1 << 20];
    size_t got = 0;
    const char *end = NULL;
    while (end == NULL || got < (size_t)(end + 4 - answer) + body_len) {
        int k = BIO_read(bio, answer + got, (int)(sizeof answer - 1 - got));
        if (k <= 0) _exit(4);
        got += (size_t)k;
        answer[got] = 0;
        end = strstr(answer, "\r\n\r\n");
    }
}

/* Sends the request, or half of it; says so; waits to be told; then is gone without a word, as
 * after kill -9. */
static void client_run(int tell, int hear, bool whole)
{
    struct {
        unsigned port;
        bool tls;
    } where;
    char word[sizeof MASKED] = "", byte = 'x';
    if (read(hear, &where, sizeof where) != sizeof where) _exit(5);
    memory_reveal(word, MASKED);
    BIO *bio = connect_to(where.port, where.tls);
    ask(bio, word, whole ? COPIES : COPIES / 2);
    if (whole) read_answer(bio, COPIES * strlen(word));
    if (write(tell, &byte, 1) != 1 || read(hear, &byte, 1) != 1) _exit(6);
    raise(SIGKILL);
}

/* Before any thread is started. */
static struct client client_start(bool whole)
{
    int to[2], from[2];
    REQUIRE(pipe(to) == 0 && pipe(from) == 0);
    struct client c = {.pid = fork(), .tell = to[1], .hear = from[0]};
    REQUIRE(c.pid >= 0);
    if (c.pid == 0) {
        close(to[1]);
        close(from[0]);
        client_run(from[1], to[0], whole);
    }
    close(to[0]);
    close(from[1]);
    return c;
}

static void client_go(struct client *c, struct http_server *s, bool tls)
{
    struct {
        unsigned port;
        bool tls;
    } where = {http_server_port(s), tls};
    char byte = 0;
    REQUIRE(write(c->tell, &where, sizeof where) == sizeof where);
    REQUIRE(read(c->hear, &byte, 1) == 1); /* else it died: its exit status says where */
}

static void client_vanish(struct client *c)
{
    REQUIRE(write(c->tell, "x", 1) == 1);
    waitpid(c->pid, NULL, 0);
    close(c->tell);
    close(c->hear);
}

/* --- the server ------------------------------------------------------------------------------- */

static size_t n_seen;

static void use_secret(void *ctx, const struct http_request *q, struct http_response *r)
{
    (void)ctx;
    r->status = 200;
    http_set(r, "X-Seen", http_header(q, "X-Secret"));
    buf_bytes(&r->body, q->body);
    REQUIRE(arena_bytes(q->a, q->body).p != NULL);
    n_seen = memory_count(MASKED);
}

/* The server does its part in its own time: how many copies there are in the end. */
static bool comes_to(size_t min, size_t max)
{
    size_t n = 0;
    for (int i = 0; i < 600; i++) {
        n = memory_count(MASKED);
        if (n >= min && n <= max) return true;
        usleep(100000);
    }
    fprintf(stderr, "%zu copies\n", n);
    return false;
}

static void check_idle(bool tls)
{
    if (!MEMORY_SEARCHED) return;
    struct client c = client_start(true);
    n_seen = 0;
    struct http_server *s = serve((struct http_server_config){.handler = use_secret}, tls);
    client_go(&c, s, tls);
    REQUIRE(n_seen >= 3 * COPIES); /* the search can see: body, arena, answer */
    REQUIRE(comes_to(0, 0));
    client_vanish(&c);
    REQUIRE(comes_to(0, 0));
    http_server_stop(s);
    EXPECT_EQ(memory_count(MASKED), 0);
}

TEST(http, an_idle_connection_remembers_nothing)
{
    check_idle(false);
}

TEST(http, an_idle_connection_under_tls_remembers_nothing)
{
    check_idle(true);
}

static void check_vanishing(bool tls)
{
    if (!MEMORY_SEARCHED) return;
    struct client c = client_start(false);
    n_seen = 0;
    struct http_server *s = serve((struct http_server_config){.handler = use_secret}, tls);
    client_go(&c, s, tls);
    REQUIRE(comes_to(COPIES / 4, SIZE_MAX)); /* what has come so far waits for the rest */
    client_vanish(&c);
    REQUIRE(comes_to(0, 0));
    EXPECT_EQ(n_seen, 0);
    http_server_stop(s);
}

TEST(http, half_a_request_is_forgotten_when_its_client_vanishes)
{
    check_vanishing(false);
}

TEST(http, half_a_request_under_tls_is_forgotten_when_its_client_vanishes)
{
    check_vanishing(true);
}
