/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/base/chan.c - calls over a real socket pair, with peers that come and go */
#include "test.h"

#include "base/chan.h"
#include "base/thread.h"
#include "base/time.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_MS 120000

enum { ECHO = 1, FAILS, SLOW, CALLS_BACK, HOLDS };

static _Atomic bool let_go;
static _Atomic int n_held;

static struct chan *server, *client;

static enum err handle(void *ctx, uint16_t method, struct bytes in, struct buf *out, struct diag *d)
{
    (void)ctx;
    switch (method) {
    case ECHO: buf_bytes(out, in); return OK;
    case FAILS: return FAIL_TAG(d, ERR_DENIED, "KeyDisabled", "the key is disabled");
    case SLOW: time_sleep_us(300000); return OK;
    case CALLS_BACK: return chan_call(server, ECHO, in, out, 1000, d);
    case HOLDS:
        n_held++;
        for (int i = 0; i < PATIENCE_MS && !let_go; i++)
            time_sleep_us(1000);
        n_held--;
        return OK;
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
    REQUIRE_OK(chan_call(client, ECHO, BYTES("hello"), &out, PATIENCE_MS, &d));
    REQUIRE(bytes_eq(buf_view(&out), BYTES("hello")));
    end();
}

TEST(chan, a_failure_crosses_with_code_sentence_and_tag)
{
    struct diag d = DIAG_INIT;
    begin();
    REQUIRE_ERR(ERR_DENIED, chan_call(client, FAILS, BYTES(""), NULL, PATIENCE_MS, &d));
    EXPECT_STR(d.text, "the key is disabled");
    EXPECT_STR(d.tag, "KeyDisabled");
    REQUIRE_ERR(ERR_UNSUPPORTED, chan_call(client, 99, BYTES(""), NULL, PATIENCE_MS, &d));
    end();
}

TEST(chan, both_sides_may_call_at_once)
{
    struct diag d = DIAG_INIT;
    begin();
    CLEANUP_BUF struct buf out = {0};
    REQUIRE_OK(chan_call(client, CALLS_BACK, BYTES("round trip"), &out, PATIENCE_MS, &d));
    REQUIRE(bytes_eq(buf_view(&out), BYTES("round trip")));
    end();
}

TEST(chan, a_late_answer_is_a_timeout_and_harms_nobody)
{
    struct diag d = DIAG_INIT;
    begin();
    REQUIRE_ERR(ERR_UNAVAILABLE, chan_call(client, SLOW, BYTES(""), NULL, 30, &d));
    time_sleep_us(400000); /* the answer arrives now, for a call that is gone */
    REQUIRE_OK(chan_call(client, ECHO, BYTES("x"), NULL, PATIENCE_MS, &d));
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
    REQUIRE_ERR(ERR_UNAVAILABLE, chan_call(client, ECHO, BYTES("x"), NULL, PATIENCE_MS, &d));
    REQUIRE_ERR(ERR_UNAVAILABLE, chan_wait_up(client, 10, &d));
    REQUIRE_OK(chan_new(&server, "client", 2, handle, NULL, &d));
    join();
    REQUIRE_OK(chan_wait_up(client, PATIENCE_MS, &d));
    REQUIRE_OK(chan_call(client, ECHO, BYTES("x"), NULL, PATIENCE_MS, &d));
    end();
}

static _Atomic int wrong;

static void many_calls(void *arg, unsigned i)
{
    (void)arg;
    for (uint32_t k = 0; k < 200; k++) {
        uint32_t x = i * 1000 + k;
        CLEANUP_BUF struct buf out = {0};
        if (chan_call(client, ECHO, BYTES_OF(x), &out, PATIENCE_MS, NULL) != OK ||
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
    for (int i = 0; i < 60000 && chan_is_up(client); i++)
        time_sleep_us(1000);
    REQUIRE(!chan_is_up(client));
    close(fds[0]);
    chan_free(client);
}

TEST(chan, a_peer_that_does_not_read_keeps_a_caller_no_longer_than_his_timeout)
{
    struct diag d = DIAG_INIT;
    int fds[2];
    CLEANUP_FREE uint8_t *big = calloc(1, 4 << 20);
    CLEANUP_BUF struct buf out = {0};
    REQUIRE_OK(chan_new(&server, "client", 4, handle, NULL, &d));
    REQUIRE_OK(chan_new(&client, "server", 4, handle, NULL, &d));
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    REQUIRE_OK(chan_attach(client, fds[1], &d));
    REQUIRE_ERR(ERR_UNAVAILABLE, chan_call(client, ECHO, bytes_of(big, 4 << 20), NULL, 100, &d));
    REQUIRE(strstr(d.text, "does not read") != NULL);
    REQUIRE_ERR(ERR_UNAVAILABLE, chan_call(client, ECHO, BYTES("x"), NULL, 100, &d));

    /* It reads at last: half a frame is not taken for a whole one. */
    REQUIRE_OK(chan_attach(server, fds[0], &d));
    REQUIRE_OK(chan_call(client, ECHO, BYTES("whole"), &out, PATIENCE_MS, &d));
    REQUIRE(bytes_eq(buf_view(&out), BYTES("whole")));
    end();
}

#define BIG ((size_t)50 << 20)

static void *call_big(void *big)
{
    return (void *)(uintptr_t)chan_call(client, HOLDS, bytes_of(big, BIG), NULL, PATIENCE_MS, NULL);
}

TEST(chan, calls_that_wait_hold_no_more_bytes_than_the_limit)
{
    struct diag d = DIAG_INIT;
    pthread_t t[2];
    void *e[2];
    CLEANUP_FREE uint8_t *big = calloc(1, BIG);
    begin();
    let_go = false;
    for (int i = 0; i < 2; i++)
        REQUIRE_OK(thread_start(&t[i], call_big, big, &d));
    while (n_held != 2)
        time_sleep_us(1000);
    REQUIRE_ERR(ERR_UNAVAILABLE,
                chan_call(client, ECHO, bytes_of(big, BIG), NULL, PATIENCE_MS, &d));
    REQUIRE(strstr(d.text, "too many bytes") != NULL);
    REQUIRE_OK(chan_call(client, ECHO, BYTES("small"), NULL, PATIENCE_MS, &d));
    EXPECT_EQ(n_held, 2); /* both still wait */
    let_go = true;
    for (int i = 0; i < 2; i++) {
        pthread_join(t[i], &e[i]);
        EXPECT_EQ((uintptr_t)e[i], OK);
    }
    REQUIRE_OK(chan_call(client, ECHO, bytes_of(big, BIG), NULL, PATIENCE_MS, &d));
    end();
}
