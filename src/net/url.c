/* SPDX-License-Identifier: Apache-2.0 */
/* net/url.c - a parser of absolute URLs that would rather refuse than guess */
#include "net/url.h"

#include "base/str.h"

#include <arpa/inet.h>
#include <stdio.h>

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static enum err check_text(const char *text, struct diag *d)
{
    if (strlen(text) > URL_TEXT_MAX) {
        return FAIL(d, ERR_LIMIT, "a URL of more than %d bytes", URL_TEXT_MAX);
    }
    for (const char *p = text; *p != 0; p++) {
        if (*p <= 0x20 || *p > 0x7e || strchr("\\\"<>^`{|}#", *p) != NULL) {
            return FAIL(d, ERR_INVALID, "url: byte 0x%02x at offset %td has no place in it",
                        (unsigned char)*p, p - text);
        }
        if (*p == '%') {
            uint8_t byte;
            if (strnlen(p, 3) < 3 || hex_decode(bytes_of(p + 1, 2), &byte, 1, NULL) != OK) {
                return FAIL(d, ERR_INVALID, "url: bad escape at offset %td", p - text);
            }
        }
    }
    return OK;
}

static enum err take_scheme(const char **at, struct url *u, struct diag *d)
{
    const char *end = strstr(*at, "://");
    size_t n = end != NULL ? (size_t)(end - *at) : 0;
    if (n == 0 || n >= sizeof u->scheme || !is_alpha(**at)) {
        return FAIL(d, ERR_INVALID, "url: it does not start with a scheme and \"://\"");
    }
    for (size_t i = 0; i < n; i++) {
        char c = (*at)[i];
        if (!is_alpha(c) && !is_digit(c) && strchr("+-.", c) == NULL) {
            return FAIL(d, ERR_INVALID, "url: bad scheme");
        }
    }
    memcpy(u->scheme, *at, n);
    str_lower(u->scheme);
    *at = end + 3;
    return OK;
}

static enum err take_port(struct bytes text, struct url *u, struct diag *d)
{
    char digits[6] = "";
    uint64_t port = 0;
    if (text.len == 0 || text.len >= sizeof digits) return FAIL(d, ERR_INVALID, "url: bad port");
    memcpy(digits, text.p, text.len);
    TRY(str_u64(digits, 65535, &port, d));
    if (port == 0) return FAIL(d, ERR_INVALID, "url: port 0");
    u->port = (unsigned)port;
    u->has_port = true;
    return OK;
}

static enum err check_label(const char *label, size_t n, struct diag *d)
{
    if (n == 0 || n > 63 || label[0] == '-' || label[n - 1] == '-') {
        return FAIL(d, ERR_INVALID, "url: bad host name");
    }
    for (size_t i = 0; i < n; i++) {
        if (!is_alpha(label[i]) && !is_digit(label[i]) && label[i] != '-' && label[i] != '_') {
            return FAIL(d, ERR_INVALID, "url: byte 0x%02x in the host name",
                        (unsigned char)label[i]);
        }
    }
    return OK;
}

/* A last label that starts with a digit is an IPv4 address to some parser ("127.1", "0x7f000001"):
 * only the dotted form passes. */
static enum err check_name(struct url *u, struct diag *d)
{
    size_t n = strlen(u->host);
    if (n > 1 && u->host[n - 1] == '.') u->host[n - 1] = 0;
    const char *last;
    for (const char *label = u->host;;) {
        size_t len = strcspn(label, ".");
        TRY(check_label(label, len, d));
        last = label;
        if (label[len] == 0) break;
        label += len + 1;
    }
    struct in_addr ip;
    u->host_is_ip = inet_pton(AF_INET, u->host, &ip) == 1;
    if (is_digit(*last) && !u->host_is_ip) {
        return FAIL(d, ERR_INVALID, "url: \"%s\" is neither a name nor a dotted address", u->host);
    }
    return OK;
}

static enum err take_host(struct bytes text, struct url *u, struct diag *d)
{
    bool v6 = text.len >= 2 && text.p[0] == '[' && text.p[text.len - 1] == ']';
    if (v6) text = bytes_of(text.p + 1, text.len - 2);
    if (text.len == 0) return FAIL(d, ERR_INVALID, "url: no host");
    if (text.len >= sizeof u->host) {
        return FAIL(d, ERR_LIMIT, "url: a host of more than %d bytes", URL_HOST_MAX - 1);
    }
    memcpy(u->host, text.p, text.len);
    str_lower(u->host);
    if (!v6) return check_name(u, d);

    struct in6_addr ip;
    u->host_is_ip = true;
    if (inet_pton(AF_INET6, u->host, &ip) != 1)
        return FAIL(d, ERR_INVALID, "url: bad IPv6 address");
    return OK;
}

static enum err take_authority(struct bytes text, struct url *u, struct diag *d)
{
    const uint8_t *at = text.len != 0 ? memrchr(text.p, '@', text.len) : NULL;
    if (at != NULL) {
        u->has_userinfo = true;
        text = bytes_of(at + 1, (size_t)(text.p + text.len - at - 1));
    }
    const uint8_t *colon = text.len != 0 ? memrchr(text.p, ':', text.len) : NULL;
    const uint8_t *bracket = text.len != 0 ? memrchr(text.p, ']', text.len) : NULL;
    if (colon != NULL && (bracket == NULL || colon > bracket)) {
        TRY(take_port(bytes_of(colon + 1, (size_t)(text.p + text.len - colon - 1)), u, d));
        text.len = (size_t)(colon - text.p);
    }
    return take_host(text, u, d);
}

enum err url_parse(const char *text, struct url *out, struct diag *d)
{
    struct url u = {0};
    TRY(check_text(text, d));
    TRY(take_scheme(&text, &u, d));
    size_t n = strcspn(text, "/?");
    TRY(take_authority(bytes_of(text, n), &u, d));
    text += n;
    n = strcspn(text, "?");
    u.path = bytes_of(text, n);
    if (text[n] == '?') u.query = bytes_str(text + n + 1);
    if (!u.has_port) {
        u.port = str_eq(u.scheme, "https") ? 443 : str_eq(u.scheme, "http") ? 80 : 0;
    }
    *out = u;
    return OK;
}

bool url_is_loopback(const struct url *u)
{
    if (u->host_is_ip) return str_starts(u->host, "127.") || str_eq(u->host, "::1");
    return url_host_under(u, "localhost");
}

bool url_host_under(const struct url *u, const char *suffix)
{
    size_t n = strlen(u->host), k = strlen(suffix);
    if (k == 0 || n < k || !str_eq_nocase(u->host + n - k, suffix)) return false;
    return n == k || u->host[n - k - 1] == '.';
}
