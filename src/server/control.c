/* SPDX-License-Identifier: Apache-2.0 */
/* server/control.c - messages and descriptors over a SOCK_SEQPACKET pair */
#include "server/control.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

enum err control_send(int sock, char kind, const char *text, int fd, struct diag *d)
{
    size_t len = strlen(text);
    if (len >= CONTROL_TEXT_MAX) {
        return FAIL(d, ERR_LIMIT, "control message of more than %d bytes", CONTROL_TEXT_MAX);
    }
    struct iovec parts[2] = {{&kind, 1}, {(void *)text, len}};
    struct msghdr m = {.msg_iov = parts, .msg_iovlen = 2};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    if (fd >= 0) {
        m.msg_control = control.bytes;
        m.msg_controllen = sizeof control.bytes;
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(c), &fd, sizeof fd);
    }
    ssize_t n;
    do {
        n = sendmsg(sock, &m, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    return n >= 0 ? OK : FAIL(d, ERR_UNAVAILABLE, "control socket: %s", strerror(errno));
}

enum err control_receive(int sock, struct control_message *out, struct diag *d)
{
    *out = (struct control_message){.fd = -1};
    struct iovec parts[2] = {{&out->kind, 1}, {out->text, sizeof out->text - 1}};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr m = {.msg_iov = parts,
                       .msg_iovlen = 2,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof control.bytes};
    ssize_t n;
    do {
        n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    if (n == 0 || (n < 0 && errno == ECONNRESET)) {
        return FAIL(d, ERR_NOT_FOUND, "control socket: the other end is gone");
    }
    if (n < 0) return FAIL(d, ERR_IO, "control socket: %s", strerror(errno));
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    if (c != NULL && c->cmsg_type == SCM_RIGHTS) memcpy(&out->fd, CMSG_DATA(c), sizeof out->fd);
    return OK;
}
