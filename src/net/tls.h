/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net/tls.h - the private CA of a data directory, and the server certificate it signs
 *
 * Both pass strict X.509 checks (RFC 5280: key identifiers, critical basic constraints and key
 * usage, serials of 128 random bits), so that Python's and Node's verifiers take them. ECDSA P-256.
 * Valid 10 years and 2 years. Files are written with os_replace(), keys 0600.
 */
#pragma once

#include "base/bytes.h"

/* Makes ca.pem, ca.key, server.pem (leaf and CA), server.key in dir where they are missing or the
 * server certificate ends within 30 days. names: DNS names and IP literals, NULL-terminated. */
/* Warns when the CA itself ends within 90 days: who trusts it must be given another one. */
enum err tls_ensure_files(const char *dir, const char *const *names, struct diag *d);

/* When the first certificate in the file ends, by the kernel's clock. */
enum err tls_certificate_end(const char *path, int64_t *end_us, struct diag *d);
