/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/base/chan.c - calls over a real socket pair, with peers that come and go */
#include "test.h"

#include "base/chan.h"
#include "base/thread.h"
#include "base/time.h"

#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ECHO = 1, FAILS, SLOW, CALLS_BACK };

static struct chan *server, *client;

static enum err handle(void *ctx, uint16_t method, struct bytes in, struct buf *out, struct diag *d)
{
    (void)ctx;
    switch (method) {
    case ECHO: buf_bytes(out, in); return OK;
    case FAILS: return FAIL_TAG(d, ERR_DENIED, "KeyDisabled", "the key is disabled");
    case SLOW: time_sleep_us(300000); return OK;
    case CALLS_BACK: return chan_call(server, ECHO, in, out, 1000, d);
    default: return FAIL(d, ERR_UNSUPPORTED, "no method %u", method);
    }
}

static void join(void)
{
    struct diag d = DIAG_INIT;
    int fds[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    REQUIRE_OK(chan_attach(server, fds[0], &d));
    REQUIRE_OK(chan_attach(client, fds[1], &d));
}

static void begin(void)
{
    struct diag d = DIAG_INIT;
    REQUIRE_OK(chan_new(&server, "client", 4, handle, NULL, &d));
    REQUIRE_OK(chan_new(&client, "server", 4, handle, NULL, &d));
    join();
}

static void end(void)
{
    chan_free(client);
    chan_free(server);
}

TEST(chan, an_answer_comes_back_with_its_bytes)
{
    struct diag d = DIAG_INIT;
    begin();
    CLEANUP_BUF struct buf out = {0};
    REQUIRE_OK(chan_call(client, ECHO, BYTES("hello"), &out, 1000, &d));
    REQUIRE(bytes_eq(buf_view(&out), BYTES("hello")));
    end();
}

TEST(chan, a_failure_crosses_with_code_sentence_and_tag)
{
    struct diag d = DIAG_INIT;
    begin();
    REQUIRE_ERR(ERR_DENIED, chan_call(client, FAILS, BYTES(""), NULL, 1000, &d));
    EXPECT_STR(d.text, "the key is disabled");
    EXPECT_STR(d.tag, "KeyDisabled");
    REQUIRE_ERR(ERR_UNSUPPORTED, chan_call(client, 99, BYTES(""), NULL, 1000, &d));
    end();
}

TEST(chan, both_sides_may_call_at_once)
{
    struct diag d = DIAG_INIT;
    begin();
    CLEANUP_BUF struct buf out = {0};
    REQUIRE_OK(chan_call(client, CALLS_BACK, BYTES("round trip"), &out, 2000, &d));
    REQUIRE(bytes_eq(buf_view(&out), BYTES("round trip")));
    end();
}

TEST(chan, a_late_answer_is_a_timeout_and_harms_nobody)
{
    struct diag d = DIAG_INIT;
    begin();
    REQUIRE_ERR(ERR_UNAVAILABLE, chan_call(client, SLOW, BYTES(""), NULL, 30, &d));
    time_sleep_us(400000); /* the answer arrives now, for a call that is gone */
    REQUIRE_OK(chan_call(client, ECHO, BYTES("x"), NULL, 1000, &d));
    end();
}

TEST(chan, calls_fail_while_the_peer_is_away_and_work_when_it_is_back)
{
    struct diag d = DIAG_INIT;
    begin();
    chan_free(server);
    server = NULL;
    while (chan_is_up(client))
        time_sleep_us(1000);
    REQUIRE_ERR(ERR_UNAVAILABLE, chan_call(client, ECHO, BYTES("x"), NULL, 1000, &d));
    REQUIRE_ERR(ERR_UNAVAILABLE, chan_wait_up(client, 10, &d));
    REQUIRE_OK(chan_new(&server, "client", 2, handle, NULL, &d));
    join();
    REQUIRE_OK(chan_wait_up(client, 1000, &d));
    REQUIRE_OK(chan_call(client, ECHO, BYTES("x"), NULL, 1000, &d));
    end();
}

static _Atomic int wrong;

static void many_calls(void *arg, unsigned i)
{
    (void)arg;
    for (uint32_t k = 0; k < 200; k++) {
        uint32_t x = i * 1000 + k;
        CLEANUP_BUF struct buf out = {0};
        if (chan_call(client, ECHO, BYTES_OF(x), &out, 5000, NULL) != OK ||
            !bytes_eq(buf_view(&out), BYTES_OF(x)))
            wrong++;
    }
}

TEST(chan, answers_never_go_to_the_wrong_caller)
{
    struct diag d = DIAG_INIT;
    struct pool *pool = NULL;
    begin();
    REQUIRE_OK(pool_new(&pool, 4, 16, &d));
    wrong = 0;
    pool_each(pool, 8, many_calls, NULL);
    EXPECT_EQ(wrong, 0);
    pool_free(pool);
    end();
}

TEST(chan, a_frame_longer_than_the_limit_ends_the_connection)
{
    struct diag d = DIAG_INIT;
    int fds[2];
    REQUIRE_OK(chan_new(&client, "server", 1, handle, NULL, &d));
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    REQUIRE_OK(chan_attach(client, fds[1], &d));
    uint8_t header[16];
    memset(header, 0xff, sizeof header);
    REQUIRE(write(fds[0], header, sizeof header) == sizeof header);
    for (int i = 0; i < 1000 && chan_is_up(client); i++)
        time_sleep_us(1000);
    REQUIRE(!chan_is_up(client));
    close(fds[0]);
    chan_free(client);
}
