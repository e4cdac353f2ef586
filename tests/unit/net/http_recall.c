/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/net/http_recall.c - answers that are taken back while they are on their way */
#include "net_test.h"

#include "base/thread.h"
#include "base/time.h"
#include "net/http_recall.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>

#define BODY ((size_t)16 << 20) /* bytes: more than the sockets of both sides hold */

struct fixture {
    struct http_recall recall;
    bool at_once; /* recalled before the server has the answer */
    bool stored;  /* as many bytes again come first, and lie elsewhere */
    _Atomic int n_forgotten;
    _Atomic int n_done;
};

static void count_done(struct http_recall *r)
{
    struct fixture *f = (struct fixture *)r; /* its first member */
    atomic_fetch_add(&f->n_done, 1);
}

static size_t read_stored(void *ctx, uint64_t at, uint8_t *to, size_t max)
{
    (void)ctx;
    size_t n = max < 1000 ? max : 1000;
    for (size_t i = 0; i < n; i++)
        to[i] = (uint8_t)('a' + (at + i) % 16);
    return n;
}

static void forget_stored(void *ctx)
{
    atomic_fetch_add(&((struct fixture *)ctx)->n_forgotten, 1);
}

static void answer(void *ctx, const struct http_request *q, struct http_response *r)
{
    (void)q;
    struct fixture *f = ctx;
    r->status = 200;
    r->recall = &f->recall;
    if (f->stored) f->recall.stored = (struct http_stored){BODY, read_stored, forget_stored, f};
    for (size_t i = 0; i < BODY; i += 16)
        buf_str(&r->body, "0123456789abcdef");
    if (f->at_once) http_recall_now(&f->recall);
}

static int ask(unsigned port)
{
    static const char text[] = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    int fd = dial(port), small = 65536;
    REQUIRE(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small) == 0);
    say(fd, text, sizeof text - 1);
    return fd;
}

static size_t rest(int fd)
{
    static char piece[1 << 16];
    size_t n = 0;
    ssize_t k;
    while ((k = recv(fd, piece, sizeof piece, 0)) > 0)
        n += (size_t)k;
    close(fd);
    return n;
}

static void wait_done(struct fixture *f)
{
    for (int i = 0; i < 12000 && atomic_load(&f->n_done) == 0; i++)
        time_sleep_us(10000);
    REQUIRE(atomic_load(&f->n_done) == 1);
}

static struct http_server *start(struct fixture *f, bool tls)
{
    http_recall_init(&f->recall, count_done);
    return serve((struct http_server_config){.handler = answer, .ctx = f}, tls);
}

TEST(http_recall, an_answer_that_is_not_recalled_arrives_whole)
{
    struct fixture f = {0};
    struct http_server *s = start(&f, false);
    REQUIRE(rest(ask(http_server_port(s))) > BODY);
    wait_done(&f);
    http_recall_now(&f.recall); /* too late, and harmless */
    http_server_stop(s);
    REQUIRE(atomic_load(&f.n_done) == 1);
    http_recall_release(&f.recall);
}

TEST(http_recall, what_is_stored_elsewhere_comes_before_the_body)
{
    struct fixture f = {.stored = true};
    struct http_server *s = start(&f, false);
    int fd = ask(http_server_port(s));
    size_t at = 0, head = 0, line = 0;
    char c[1 << 16];
    for (ssize_t n; (n = recv(fd, c, sizeof c, 0)) > 0;) {
        for (ssize_t i = 0; i < n; i++) {
            if (head == 0) { /* up to the empty line */
                line = c[i] == '\n' ? line + 1 : c[i] == '\r' ? line : 0;
                head = line == 2;
                continue;
            }
            REQUIRE(c[i] == (at < BODY ? (char)('a' + at % 16) : "0123456789abcdef"[at % 16]));
            at++;
        }
    }
    close(fd);
    EXPECT_EQ(at, 2 * BODY);
    wait_done(&f);
    EXPECT_EQ(atomic_load(&f.n_forgotten), 1);
    http_server_stop(s);
    http_recall_release(&f.recall);
}

TEST(http_recall, a_recall_forgets_what_was_read_from_elsewhere)
{
    struct fixture f = {.stored = true};
    struct http_server *s = start(&f, false);
    int fd = ask(http_server_port(s));
    char first[512];
    REQUIRE(recv(fd, first, sizeof first, 0) > 0);
    http_recall_now(&f.recall);
    REQUIRE(atomic_load(&f.n_forgotten) >= 1);
    wait_done(&f);
    REQUIRE(rest(fd) < BODY / 2);
    http_server_stop(s);
    http_recall_release(&f.recall);
}

TEST(http_recall, a_slow_reader_gets_nothing_after_a_recall)
{
    struct fixture f = {0};
    struct http_server *s = start(&f, false);
    int fd = ask(http_server_port(s));
    char first[512];
    REQUIRE(recv(fd, first, sizeof first, 0) > 0);
    http_recall_now(&f.recall);
    REQUIRE(f.recall.body.len == 0); /* wiped at once, not when the client reads on */
    wait_done(&f);                   /* though the client does not */
    REQUIRE(rest(fd) < BODY / 2);
    http_server_stop(s);
    http_recall_release(&f.recall);
}

/* With its window shut a client is told of an end only when it opens it again, and TCP may ask for that
 * as rarely as twice a minute; a reset needs no window, and takes along what the kernel held. */
TEST(http_recall, a_client_that_does_not_read_sees_the_end_all_the_same)
{
    struct fixture f = {0};
    struct http_server *s = start(&f, false);
    int fd = ask(http_server_port(s));
    char first[512];
    REQUIRE(recv(fd, first, sizeof first, 0) > 0);
    http_recall_now(&f.recall);
    struct pollfd ends = {.fd = fd}; /* POLLERR and POLLHUP, not what there is to read */
    REQUIRE(poll(&ends, 1, 60000) == 1);
    wait_done(&f);
    close(fd);
    http_server_stop(s);
    http_recall_release(&f.recall);
}

TEST(http_recall, what_is_recalled_before_it_is_sent_is_not_sent)
{
    struct fixture f = {.at_once = true};
    struct http_server *s = start(&f, false);
    REQUIRE(rest(ask(http_server_port(s))) == 0);
    wait_done(&f);
    http_server_stop(s);
    http_recall_release(&f.recall);
}

TEST(http_recall, a_client_that_hangs_up_ends_it)
{
    struct fixture f = {0};
    struct http_server *s = start(&f, false);
    int fd = ask(http_server_port(s));
    char first[512];
    REQUIRE(recv(fd, first, sizeof first, 0) > 0);
    close(fd);
    wait_done(&f);
    http_server_stop(s);
    http_recall_release(&f.recall);
}
