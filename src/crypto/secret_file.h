/* SPDX-License-Identifier: Apache-2.0 */
/* crypto/secret_file.h - a PIN or a passphrase from a file: never from a command line, which all
 * users of the machine can read */
#pragma once

#include "crypto/secret.h"

#define SECRET_LINE_MAX 1023 /* bytes */

/*
 * The first line of the file. what: "PIN file", for the sentence.
 * ERR_NOT_FOUND  no such file
 * ERR_INVALID    others may read it, it is no file, or its first line is empty or too long
 */
enum err secret_from_file(const char *path, const char *what, struct secret **out, struct diag *d);
