/* SPDX-License-Identifier: Apache-2.0 */
/* net/http_message.c - looking things up in a request, putting headers on a response */
#include "net/http_server.h"

#include "base/str.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

static const char *find(const struct http_field *fields, uint32_t n, const char *name)
{
    for (uint32_t i = 0; i < n; i++) {
        if (str_eq_nocase(fields[i].name, name)) return fields[i].value;
    }
    return NULL;
}

const char *http_query(const struct http_request *r, const char *name)
{
    return find(r->query, r->n_query, name);
}

const char *http_header(const struct http_request *r, const char *name)
{
    return find(r->headers, r->n_headers, name);
}

const char *http_bearer(const struct http_request *r)
{
    const char *value = http_header(r, "Authorization");
    if (value == NULL || !str_starts_nocase(value, "Bearer ")) return NULL;
    value += strlen("Bearer ");
    return value + strspn(value, " ");
}

/* A value may carry what a client sent: line ends in it must not become headers. */
static char *clean_copy(struct arena *a, const char *value)
{
    char *copy = arena_str(a, bytes_str(value));
    for (char *p = copy; p != NULL && *p != 0; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f) *p = ' ';
    }
    return copy;
}

void http_set(struct http_response *r, const char *name, const char *value)
{
    const char *copy = clean_copy(r->a, value);
    if (copy == NULL) return; /* the arena is full: the response goes without */
    for (uint32_t i = 0; i < r->n_headers; i++) {
        if (!str_eq_nocase(r->headers[i].name, name)) continue;
        r->headers[i].value = copy;
        return;
    }
    assert(r->n_headers < HTTP_RESPONSE_HEADERS_MAX);
    const char *own_name = arena_str(r->a, bytes_str(name));
    if (own_name == NULL) return;
    r->headers[r->n_headers++] = (struct http_field){own_name, copy};
}

void http_setf(struct http_response *r, const char *name, const char *fmt, ...)
{
    char stack[1024];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(stack, sizeof stack, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof stack) {
        http_set(r, name, stack);
        return;
    }
    char *value = n >= 0 ? arena_alloc(r->a, (size_t)n + 1) : NULL;
    if (value == NULL) return;
    va_start(ap, fmt);
    vsnprintf(value, (size_t)n + 1, fmt, ap);
    va_end(ap);
    http_set(r, name, value);
}
