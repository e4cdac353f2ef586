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

__attribute__((unused)) static int dial(unsigned port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in sa = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_sec = 20};
    REQUIRE(fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof sa) == 0);
    REQUIRE(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0);
    return fd;
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
