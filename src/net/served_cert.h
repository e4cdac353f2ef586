/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net/served_cert.h - the certificate a server shows, read anew when its files change; inside net/
 * only
 *
 * Each handshake looks at the files, at most once a second: no restart, no signal. A pair that does
 * not belong together (a key was replaced and its certificate not yet) or cannot be read leaves the
 * one before in its place. Connections that are there keep theirs.
 */
#pragma once

#include "base/err.h"

struct served_cert;

/* ERR_INVALID: the files are not good. */
enum err served_cert_open(struct served_cert **out, const char *cert_file, const char *key_file,
                          struct diag *d);
/* The listening socket whose handshakes it is for; before the first of them. */
void served_cert_bind(struct served_cert *c, int listen_fd);
void served_cert_close(struct served_cert *c); /* after the last handshake; NULL is fine */
/* For MHD_OPTION_HTTPS_CERT_CALLBACK: a gnutls_certificate_retrieve_function2 without a context of
 * its own, so the socket's local address says which one is meant. */
void *served_cert_callback(void);
