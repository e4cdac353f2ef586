/* SPDX-License-Identifier: Apache-2.0 */
/* server/doorway.c - sockets with mode 0600, and the check of who comes */
#include "server/doorway.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static enum err address(const char *dir, const char *name, struct sockaddr_un *out, struct diag *d)
{
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    int n = snprintf(out->sun_path, sizeof out->sun_path, "%s/%s", dir, name);
    if (n > 0 && (size_t)n < sizeof out->sun_path) return OK;
    return FAIL(d, ERR_LIMIT, "%s/%s: longer than the %zu bytes of a socket's name", dir, name,
                sizeof out->sun_path - 1);
}

static enum err new_socket(int *out, struct diag *d)
{
    *out = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return *out >= 0 ? OK : FAIL(d, ERR_IO, "socket: %s", strerror(errno));
}

enum err doorway_open(const char *dir, const char *name, int *out, struct diag *d)
{
    struct sockaddr_un a;
    int fd;
    TRY(address(dir, name, &a, d));
    TRY(new_socket(&fd, d));
    unlink(a.sun_path);
    mode_t before = umask(0177);
    int rc = bind(fd, (struct sockaddr *)&a, sizeof a);
    umask(before);
    if (rc != 0 || listen(fd, 8) != 0) {
        close(fd);
        return FAIL(d, ERR_IO, "%s: %s", a.sun_path, strerror(errno));
    }
    *out = fd;
    return OK;
}

void doorway_close(const char *dir, const char *name, int fd)
{
    struct sockaddr_un a;
    if (fd < 0) return;
    close(fd);
    if (address(dir, name, &a, NULL) == OK) unlink(a.sun_path);
}

enum err doorway_accept(int fd, int *out, struct diag *d)
{
    int peer_fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    if (peer_fd < 0) return FAIL(d, ERR_UNAVAILABLE, "accept: %s", strerror(errno));
    struct ucred peer;
    socklen_t len = sizeof peer;
    if (getsockopt(peer_fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0 ||
        (peer.uid != 0 && peer.uid != geteuid())) {
        close(peer_fd);
        return FAIL(d, ERR_DENIED, "another user's process came to a socket of the data directory");
    }
    *out = peer_fd;
    return OK;
}

enum err doorway_connect(const char *dir, const char *name, int *out, struct diag *d)
{
    struct sockaddr_un a;
    int fd;
    TRY(address(dir, name, &a, d));
    TRY(new_socket(&fd, d));
    if (connect(fd, (struct sockaddr *)&a, sizeof a) != 0) {
        close(fd);
        return FAIL(d, ERR_NOT_FOUND, "%s: %s", a.sun_path, strerror(errno));
    }
    *out = fd;
    return OK;
}
