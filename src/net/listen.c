/* SPDX-License-Identifier: Apache-2.0 */
/* net/listen.c - sockets to listen on: TCP on loopback or elsewhere, Unix for this user alone */
#include "net/listen.h"

#include "base/os.h"
#include "base/str.h"

#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 512

static enum err refused(const char *address, int error, struct diag *d)
{
    return FAIL(d, error == EADDRINUSE ? ERR_CONFLICT : ERR_IO, "listen on %s: %s", address,
                strerror(error));
}

static enum err split_address(const char *address, char host[64], char port[8], struct diag *d)
{
    const char *colon = strrchr(address, ':');
    size_t n = colon != NULL ? (size_t)(colon - address) : 0;
    uint64_t number = 0;
    if (n == 0 || n >= 64 || str_u64(colon + 1, 65535, &number, NULL) != OK) {
        return FAIL(d, ERR_INVALID, "\"%s\" is not ADDRESS:PORT", address);
    }
    bool v6 = address[0] == '[' && address[n - 1] == ']';
    snprintf(host, 64, "%.*s", (int)(v6 ? n - 2 : n), address + (v6 ? 1 : 0));
    if (str_eq(host, "localhost")) snprintf(host, 64, "127.0.0.1");
    snprintf(port, 8, "%u", (unsigned)number);
    return OK;
}

static enum err listen_tcp(const char *address, int *out, struct diag *d)
{
    char host[64], port[8];
    TRY(split_address(address, host, port, d));
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
                             .ai_socktype = SOCK_STREAM};
    struct addrinfo *ai = NULL;
    if (getaddrinfo(host, port, &hints, &ai) != 0) {
        return FAIL(d, ERR_INVALID, "\"%s\" is not an IP address", host);
    }
    int fd = socket(ai->ai_family, ai->ai_socktype | SOCK_CLOEXEC, ai->ai_protocol), on = 1;
    /* What is accepted inherits TCP_NODELAY: TLS writes its tickets and the answer one after the
     * other, and Nagle would hold the second until the peer has acknowledged the first, 40 ms
     * later. */
    bool good = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0 &&
                bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0;
    int error = errno;
    freeaddrinfo(ai);
    if (good) {
        *out = fd;
        return OK;
    }
    if (fd >= 0) close(fd);
    return refused(address, error, d);
}

/* --- Unix ------------------------------------------------------------------------------------- */

static const char *unix_path(const char *address)
{
    return str_starts(address, LISTEN_UNIX) ? address + strlen(LISTEN_UNIX) : NULL;
}

static enum err unix_address(const char *path, struct sockaddr_un *out, struct diag *d)
{
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (path[0] != '/') return FAIL(d, ERR_INVALID, "\"%.200s\" is not an absolute path", path);
    if (strlen(path) >= sizeof out->sun_path) {
        return FAIL(d, ERR_INVALID, "%.200s: a socket's path is at most %zu bytes long", path,
                    sizeof out->sun_path - 1);
    }
    snprintf(out->sun_path, sizeof out->sun_path, "%s", path);
    return OK;
}

/* Removes a socket that nobody listens on; nothing else. */
static enum err clear_path(const struct sockaddr_un *sa, struct diag *d)
{
    struct stat st;
    if (lstat(sa->sun_path, &st) != 0) return OK;
    if (!S_ISSOCK(st.st_mode)) {
        return FAIL(d, ERR_INVALID, "%s is there, and not a socket", sa->sun_path);
    }
    CLEANUP_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return FAIL(d, ERR_IO, "socket: %s", strerror(errno));
    bool dead = connect(fd, (const struct sockaddr *)sa, sizeof *sa) != 0 && errno == ECONNREFUSED;
    if (!dead) return FAIL(d, ERR_CONFLICT, "somebody listens on %s", sa->sun_path);
    (void)unlink(sa->sun_path); /* if it fails, bind() says so */
    return OK;
}

static enum err listen_unix(const char *path, int *out, struct diag *d)
{
    struct sockaddr_un sa;
    TRY(unix_address(path, &sa, d));
    TRY(clear_path(&sa, d));
    CLEANUP_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    /* Nobody can connect before listen(), so there is no moment at which others could. */
    if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof sa) != 0 || chmod(path, 0600) != 0 ||
        listen(fd, BACKLOG) != 0) {
        return refused(path, errno, d);
    }
    *out = fd;
    fd = -1;
    return OK;
}

/* --- either ----------------------------------------------------------------------------------- */

enum err listen_on(const char *address, int *out, struct diag *d)
{
    if (!str_starts(address, LISTEN_UNIX)) return listen_tcp(address, out, d);
    return listen_unix(address + strlen(LISTEN_UNIX), out, d);
}

void listen_forget(const char *address)
{
    const char *path = unix_path(address);
    if (path != NULL) (void)unlink(path);
}

unsigned listen_port(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } sa = {0};
    socklen_t len = sizeof sa;
    if (getsockname(fd, &sa.any, &len) != 0) return 0;
    if (sa.any.sa_family == AF_INET6) return ntohs(sa.v6.sin6_port);
    return sa.any.sa_family == AF_INET ? ntohs(sa.v4.sin_port) : 0;
}
