/* SPDX-License-Identifier: Apache-2.0 */
/* net/http_target.c - from the bytes of a request line to a path and parameters that can be trusted
 */
#include "net/http_target.h"

#include "base/str.h"

static enum err copy_text(struct arena *a, const struct buf *b, const char **out, struct diag *d)
{
    TRY(buf_check(b, d));
    if (b->len != 0 && memchr(b->p, 0, b->len) != NULL) {
        return FAIL(d, ERR_INVALID, "the URL holds an escaped zero byte");
    }
    if (!utf8_valid(buf_view(b))) return FAIL(d, ERR_INVALID, "the URL is not UTF-8");
    *out = arena_str(a, buf_view(b));
    return *out != NULL ? OK : arena_full(a, d);
}

static bool is_dots(const char *segment, size_t n)
{
    return (n == 1 && segment[0] == '.') || (n == 2 && segment[0] == '.' && segment[1] == '.');
}

static enum err check_path(const char *path, struct diag *d)
{
    for (const char *p = path; *p != 0; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f) {
            return FAIL(d, ERR_INVALID, "the path holds a control character");
        }
        if (*p == '/' && is_dots(p + 1, strcspn(p + 1, "/"))) {
            return FAIL(d, ERR_INVALID, "the path has \".\" or \"..\" as a segment");
        }
    }
    return OK;
}

static enum err read_path(struct http_request *r, struct bytes raw, struct diag *d)
{
    CLEANUP_BUF struct buf decoded = {0}, path = {0};
    TRY(percent_decode(&decoded, raw, false, d));
    TRY(buf_check(&decoded, d));
    for (size_t i = 0; i < decoded.len; i++) {
        bool repeated = i != 0 && decoded.p[i] == '/' && decoded.p[i - 1] == '/';
        if (!repeated) buf_u8(&path, decoded.p[i]);
    }
    TRY(copy_text(r->a, &path, &r->path, d));
    return check_path(r->path, d);
}

static enum err read_piece(struct arena *a, struct bytes raw, const char **out, struct diag *d)
{
    CLEANUP_BUF struct buf b = {0};
    TRY(percent_decode(&b, raw, true, d));
    return copy_text(a, &b, out, d);
}

static enum err read_parameter(struct arena *a, struct bytes raw, struct http_field *out,
                               struct diag *d)
{
    const uint8_t *eq = memchr(raw.p, '=', raw.len);
    size_t n = eq != NULL ? (size_t)(eq - raw.p) : raw.len;
    struct bytes value = eq != NULL ? bytes_of(eq + 1, raw.len - n - 1) : bytes_of(raw.p, 0);
    TRY(read_piece(a, bytes_of(raw.p, n), &out->name, d));
    return read_piece(a, value, &out->value, d);
}

enum err http_read_form(struct arena *a, struct bytes text, const struct http_field **out,
                        uint32_t *out_n, struct diag *d)
{
    size_t most = 1;
    for (size_t i = 0; i < text.len; i++)
        most += text.p[i] == '&';
    if (most > HTTP_FORM_MAX) return FAIL(d, ERR_LIMIT, "more than %d parameters", HTTP_FORM_MAX);
    struct http_field *fields = arena_array(a, struct http_field, most);
    if (fields == NULL) return arena_full(a, d);
    uint32_t n = 0;
    while (text.len != 0) {
        const uint8_t *end = memchr(text.p, '&', text.len);
        size_t len = end != NULL ? (size_t)(end - text.p) : text.len;
        if (len != 0) TRY(read_parameter(a, bytes_of(text.p, len), &fields[n++], d));
        size_t step = end != NULL ? len + 1 : len;
        text = bytes_of(text.p + step, text.len - step);
    }
    *out = fields;
    *out_n = n;
    return OK;
}

enum err http_read_target(struct http_request *r, const char *target, struct diag *d)
{
    if (target[0] != '/')
        return FAIL(d, ERR_INVALID, "the request target does not start with a slash");
    if (strlen(target) > HTTP_TARGET_MAX) {
        return FAIL(d, ERR_LIMIT, "a request target of more than %zu bytes", HTTP_TARGET_MAX);
    }
    for (const char *p = target; *p != 0; p++) {
        if ((unsigned char)*p <= 0x20 || *p == 0x7f || *p == '#') {
            return FAIL(d, ERR_INVALID, "byte 0x%02x in the request target", (unsigned char)*p);
        }
    }
    r->target = arena_str(r->a, bytes_str(target));
    if (r->target == NULL) return arena_full(r->a, d);
    size_t n = strcspn(target, "?");
    TRY(read_path(r, bytes_of(target, n), d));
    struct bytes query = bytes_str(target[n] == '?' ? target + n + 1 : "");
    return http_read_form(r->a, query, &r->query, &r->n_query, d);
}

enum err http_read_host(struct http_request *r, const char *value, struct diag *d)
{
    if (value == NULL) value = "";
    if (strlen(value) > 261) return FAIL(d, ERR_INVALID, "the Host header is too long");
    for (const char *p = value; *p != 0; p++) {
        bool letter = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z');
        if (!letter && !(*p >= '0' && *p <= '9') && strchr(".-_:[]", *p) == NULL) {
            return FAIL(d, ERR_INVALID, "byte 0x%02x in the Host header", (unsigned char)*p);
        }
    }
    char *authority = arena_str(r->a, bytes_str(value)), *host = arena_str(r->a, bytes_str(value));
    if (authority == NULL || host == NULL) return arena_full(r->a, d);
    char *end = host[0] == '[' ? strchr(host, ']') : NULL;
    char *colon = strchr(end != NULL ? end : host, ':');
    if (colon != NULL) *colon = 0;
    str_lower(host);
    r->authority = authority;
    r->host = host;
    return OK;
}
