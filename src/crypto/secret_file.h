/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto/secret_file.h - a PIN or a passphrase from a file: never from a command line, which all
 * users of the machine can read
 *
 * Beside a path there are "credential:NAME", a file of systemd's $CREDENTIALS_DIRECTORY, and "fd:N", an
 * open descriptor (a pipe, a file without a name): it can be read once and is closed then.
 */
#pragma once

#include "crypto/secret.h"

#define SECRET_LINE_MAX 1023 /* bytes */

/*
 * The first line. what: "PIN file", for the sentence.
 * ERR_NOT_FOUND  no such file or credential
 * ERR_INVALID    others may read it, it is no file, or its first line is empty or too long
 */
enum err secret_from_file(const char *path, const char *what, struct secret **out, struct diag *d);

bool secret_is_fd(const char *path); /* "fd:N"; false for NULL */
/* The reading end of a pipe that holds the secret, closed on exec: for a process to be started. */
enum err secret_pipe(const struct secret *s, int *out, struct diag *d);
