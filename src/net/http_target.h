/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net/http_target.h - reads the target and the Host of a request; inside net/ only
 *
 * The path comes out decoded, in UTF-8, without control characters, without "." and ".." as
 * segments, with repeated slashes collapsed: whoever compares it compares what every other part of
 * the program sees.
 */
#pragma once

#include "net/http_server.h"

#define HTTP_TARGET_MAX ((size_t)32 << 10) /* bytes */

/* Fills path, target and query of r, in r->a. */
enum err http_read_target(struct http_request *r, const char *target, struct diag *d);
/* Fills host and authority; value NULL = the header is absent. */
enum err http_read_host(struct http_request *r, const char *value, struct diag *d);
