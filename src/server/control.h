/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server/control.h - the socket between the supervisor and each of its processes
 *
 * A SOCK_SEQPACKET pair; one packet is one message, the first byte says which:
 *
 *      'P' name + descriptor   supervisor to child: here is a new socket to that peer
 *      'R' JSON                child to supervisor: serving; what others need to know
 *      'Q'                     supervisor to child: stop
 *      'K' name                keyd to supervisor: that process did not acknowledge a wipe, kill it
 *
 * The child holds it as descriptor CONTROL_FD. Its end is the supervisor's death: the child stops.
 */
#pragma once

#include "base/bytes.h"

#define CONTROL_FD       3
#define CONTROL_TEXT_MAX 4096 /* bytes of one message */

struct control_message {
    char kind;
    char text[CONTROL_TEXT_MAX];
    int fd; /* -1 = none; the receiver owns it */
};

enum err control_send(int sock, char kind, const char *text, int fd, struct diag *d);
/* ERR_NOT_FOUND: the other end is gone. Blocks. */
enum err control_receive(int sock, struct control_message *out, struct diag *d);
