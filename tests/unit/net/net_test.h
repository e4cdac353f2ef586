/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/net/net_test.h - a server on loopback with the made CA, and a raw socket to annoy it
 * with */
#pragma once

#include "test.h"

#include "base/bytes.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "net/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static const char *const server_names[] = {"localhost", "*.vault.localhost", "127.0.0.1", "::1",
                                           NULL};

/* A path under the test's directory; few at a time. */
__attribute__((unused)) static const char *in_dir(const char *name)
{
    static char text[4][256];
    static unsigned i;
    char *p = text[i++ % 4];
    snprintf(p, sizeof text[0], "%s/%s", test_dir(), name);
    return p;
}

__attribute__((unused)) static struct http_server *serve(struct http_server_config c, bool tls)
{
    struct diag d = DIAG_INIT;
    struct http_server *s = NULL;
    if (tls) {
        REQUIRE_OK(tls_ensure_files(test_dir(), server_names, &d));
        c.cert_file = in_dir("server.pem");
        c.key_file = in_dir("server.key");
    }
    if (c.address == NULL) c.address = "127.0.0.1:0";
    REQUIRE_OK(http_server_start(&s, &c, &d));
    return s;
}

/* From 127.0.0.HOST. */
__attribute__((unused)) static int dial_from(unsigned host, unsigned port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)},
                       from = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl((INADDR_LOOPBACK & ~0xffu) | host)};
    struct timeval patience = {.tv_sec = 60};
    REQUIRE(fd >= 0 && bind(fd, (struct sockaddr *)&from, sizeof from) == 0);
    REQUIRE(connect(fd, (struct sockaddr *)&to, sizeof to) == 0);
    REQUIRE(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0);
    return fd;
}

__attribute__((unused)) static int dial(unsigned port)
{
    return dial_from(1, port);
}

__attribute__((unused)) static void say(int fd, const void *text, size_t n)
{
    const char *p = text;
    while (n != 0) {
        ssize_t k = send(fd, p, n, MSG_NOSIGNAL);
        if (k <= 0) return; /* it hung up: what it said before is what counts */
        p += k;
        n -= (size_t)k;
    }
}

/* Everything until it hangs up, or falls silent for too long. */
__attribute__((unused)) static const char *hear(int fd)
{
    static char text[1 << 16];
    size_t len = 0;
    ssize_t k;
    while (len < sizeof text - 1 && (k = recv(fd, text + len, sizeof text - 1 - len, 0)) > 0) {
        len += (size_t)k;
    }
    text[len] = 0;
    return text;
}

/* Nothing more will come, and not because patience ran out. */
__attribute__((unused)) static bool is_hung_up(int fd)
{
    char c;
    ssize_t n = recv(fd, &c, 1, 0);
    return n == 0 || (n < 0 && errno == ECONNRESET);
}

/* The status of the answer to these bytes; 0 when there is none. */
__attribute__((unused)) static int status_of(unsigned port, const void *request, size_t n)
{
    int fd = dial(port), status = 0;
    say(fd, request, n);
    shutdown(fd, SHUT_WR);
    if (sscanf(hear(fd), "HTTP/1.1 %d", &status) != 1) status = 0;
    close(fd);
    return status;
}

/* Asked again until it is so: the server is told of the connections before this one in its own time. */
__attribute__((unused)) static bool status_becomes(int status, unsigned port, const void *request,
                                                   size_t n)
{
    for (int i = 0; i < 12000; i++) {
        if (status_of(port, request, n) == status) return true;
        usleep(10000);
    }
    return false;
}
