/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api/external.h - what externaldata may read: files below the URLs that the operator named
 *
 * A query can make this server ask others for a file, so who may be asked is the operator's word
 * alone: https, a prefix that ends with a slash, no redirect, no credentials, certificates checked.
 */
#pragma once

#include "exec/exec.h"

struct external;

#define EXTERNAL_PREFIXES_MAX 32

/* prefixes: "https://feeds.example.com/lists/,..."; ca_file: PEM, NULL = the system's bundle.
 * ERR_INVALID names the prefix that is none. */
enum err external_new(struct external **out, const char *prefixes, const char *ca_file,
                      struct diag *d);
void external_free(struct external *e); /* NULL is fine */
/* For exec_request.external; NULL gives NULL. Lives as long as e. */
const struct external_ops *external_ops(const struct external *e);

DEFINE_CLEANUP(external_free, struct external)
