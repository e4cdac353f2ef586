/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net/url.h - absolute URLs, taken apart strictly
 *
 * For addresses that a stranger may have written: a key URI decides where a token is sent. What two
 * parsers could read differently is refused: backslashes, escapes or spaces in a host, IPv4
 * addresses in other than dotted form, a fragment, bytes over 0x7e.
 */
#pragma once

#include "base/bytes.h"

#define URL_TEXT_MAX 8192 /* bytes */
#define URL_HOST_MAX 254  /* bytes, with the terminating zero */

struct url {
    char scheme[12];         /* lower case */
    char host[URL_HOST_MAX]; /* lower case, without a dot at the end, IPv6 without brackets */
    unsigned port;           /* as written, else 443 for https and 80 for http, else 0 */
    bool has_port, has_userinfo, host_is_ip;
    struct bytes path,
        query; /* inside the text, still encoded; path "" or with its slash, query without '?' */
};

enum err url_parse(const char *text, struct url *out, struct diag *d);
bool url_is_loopback(const struct url *u); /* localhost, *.localhost, 127.0.0.0/8, ::1 */
/* Is the host this suffix or below it? "kv.vault.azure.net" is under "vault.azure.net",
 * "avault.azure.net" not. */
bool url_host_under(const struct url *u, const char *suffix);
