/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/net/http_connections.c - who may stay when more are connected than the server takes */
#include "net_test.h"

#include "base/str.h"
#include "base/thread.h"

#define ASK   "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
#define WAIT  "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n"
#define BEGIN "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"

struct gate {
    pthread_mutex_t lock;
    pthread_cond_t change;
    unsigned n_inside;
    bool open;
};

/* What asks for /wait stays inside until the gate opens. */
static void answer(void *ctx, const struct http_request *q, struct http_response *r)
{
    struct gate *g = ctx;
    r->status = 200;
    if (!str_eq(q->path, "/wait")) return;
    LOCK_SCOPE(&g->lock);
    g->n_inside++;
    pthread_cond_broadcast(&g->change);
    while (!g->open)
        pthread_cond_wait(&g->change, &g->lock);
}

static struct http_server *serve_some(struct gate *g, unsigned connections_max)
{
    *g = (struct gate){PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, false};
    return serve((struct http_server_config){.handler = answer,
                                             .ctx = g,
                                             .connections_max = connections_max},
                 false);
}

static void open_gate(struct gate *g)
{
    LOCK_SCOPE(&g->lock);
    g->open = true;
    pthread_cond_broadcast(&g->change);
}

/* The status of the next answer on a connection that stays open; 0 when it is hung up. */
static int next_status(int fd)
{
    char text[4096];
    size_t len = 0;
    int status = 0;
    while (len < sizeof text - 1 && recv(fd, text + len, 1, 0) == 1) {
        text[++len] = 0;
        if (!str_ends(text, "\r\n\r\n")) continue;
        return sscanf(text, "HTTP/1.1 %d", &status) == 1 ? status : 0;
    }
    return 0;
}

static int ask(int fd)
{
    say(fd, ASK, strlen(ASK));
    return next_status(fd);
}

TEST(http_connections, where_all_are_at_work_one_more_is_told_so)
{
    struct gate g;
    struct http_server *s = serve_some(&g, 2);
    int a = dial(http_server_port(s)), b = dial(http_server_port(s));
    say(a, WAIT, strlen(WAIT));
    say(b, WAIT, strlen(WAIT));
    pthread_mutex_lock(&g.lock);
    while (g.n_inside != 2)
        pthread_cond_wait(&g.change, &g.lock);
    pthread_mutex_unlock(&g.lock);
    int c = dial(http_server_port(s));
    EXPECT_EQ(ask(c), 503);
    open_gate(&g);
    EXPECT_EQ(next_status(a), 200);
    EXPECT_EQ(next_status(b), 200);
    int d = dial(http_server_port(s));
    EXPECT_EQ(ask(d), 200);
    close(a);
    close(b);
    close(c);
    close(d);
    http_server_stop(s);
}

TEST(http_connections, an_address_that_holds_many_drives_out_its_own_alone)
{
    struct gate g;
    struct http_server *s = serve_some(&g, 8);
    unsigned port = http_server_port(s);
    int old = dial(port), many[40];
    EXPECT_EQ(ask(old), 200);
    for (int i = 0; i < 40; i++)
        many[i] = dial_from(2, port);
    int fresh = dial_from(3, port);
    EXPECT_EQ(ask(fresh), 200);
    EXPECT_EQ(ask(old), 200); /* the one that has waited longest of all */
    REQUIRE(is_hung_up(many[0]));
    EXPECT_EQ(ask(many[39]), 200);
    for (int i = 0; i < 40; i++)
        close(many[i]);
    close(old);
    close(fresh);
    http_server_stop(s);
}

TEST(http_connections, who_has_begun_a_request_goes_after_who_says_nothing)
{
    struct gate g;
    struct http_server *s = serve_some(&g, 3);
    unsigned port = http_server_port(s);
    int begun = dial(port);
    say(begun, BEGIN, strlen(BEGIN));
    EXPECT_EQ(next_status(begun), 100); /* the server has read so far */
    int first = dial(port), second = dial(port);
    EXPECT_EQ(ask(second), 200);
    int newcomer = dial(port);
    EXPECT_EQ(ask(newcomer), 200);
    REQUIRE(is_hung_up(first));
    say(begun, "{}", 2);
    EXPECT_EQ(next_status(begun), 200);
    EXPECT_EQ(ask(second), 200);
    close(begun);
    close(first);
    close(second);
    close(newcomer);
    http_server_stop(s);
}
