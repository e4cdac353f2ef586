/* SPDX-License-Identifier: Apache-2.0 */
/* json/json.c - jansson with Azure's rules for names */
#include "json/json.h"

#include "base/str.h"

#include <stdarg.h>

/* jansson's own limit is 2048 and cannot be set; count before it builds anything. */
static bool too_deep(struct bytes text)
{
    int depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.p[i];
        if (in_string) {
            if (c == '\\') i++;
            if (c == '"') in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > JSON_DEPTH_MAX) return true;
        } else if (c == '}' || c == ']') {
            depth--;
        }
    }
    return false;
}

enum err json_read(struct bytes text, json_t **out, struct diag *d)
{
    if (too_deep(text)) {
        return FAIL(d, ERR_LIMIT, "the JSON is nested deeper than %d levels", JSON_DEPTH_MAX);
    }
    json_error_t error;
    json_t *j = json_loadb((const char *)text.p, text.len,
                           JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (j == NULL) {
        return FAIL(d, ERR_INVALID, "the JSON is not valid: %s at line %d, column %d", error.text,
                    error.line, error.column);
    }
    *out = j;
    return OK;
}

static int append(const char *p, size_t n, void *ctx)
{
    struct buf *out = ctx;
    buf_bytes(out, bytes_of(p, n));
    return out->bad ? -1 : 0;
}

enum err json_write(const json_t *j, struct buf *out, struct diag *d)
{
    if (json_dump_callback(j, append, out, JSON_COMPACT | JSON_ENCODE_ANY) != 0) out->bad = true;
    return buf_check(out, d);
}

json_t *json_get(const json_t *o, const char *name)
{
    json_t *exact = json_object_get(o, name);
    if (exact != NULL) return exact;
    const char *key;
    json_t *v;
    json_object_foreach ((json_t *)o, key, v) {
        if (str_eq_nocase(key, name)) return v;
    }
    return NULL;
}

json_t *json_at(const json_t *o, ...)
{
    va_list ap;
    va_start(ap, o);
    json_t *j = (json_t *)o;
    for (const char *name; j != NULL && (name = va_arg(ap, const char *)) != NULL;) {
        j = json_get(j, name);
    }
    va_end(ap);
    return j;
}

const char *json_get_str(const json_t *o, const char *name)
{
    return json_string_value(json_get(o, name));
}

bool json_get_bool(const json_t *o, const char *name, bool otherwise)
{
    json_t *v = json_get(o, name);
    return json_is_boolean(v) ? json_is_true(v) : otherwise;
}

int64_t json_get_int(const json_t *o, const char *name, int64_t otherwise)
{
    json_t *v = json_get(o, name);
    return json_is_integer(v) ? json_integer_value(v) : otherwise;
}

enum err json_put(json_t *o, const char *name, json_t *v, struct diag *d)
{
    const char *key;
    json_t *old;
    void *next;
    json_object_foreach_safe(o, next, key, old)
    {
        if (str_eq_nocase(key, name) && !str_eq(key, name)) json_object_del(o, key);
    }
    if (v == NULL || json_object_set_new(o, name, v) != 0)
        return FAIL(d, ERR_LIMIT, "out of memory");
    return OK;
}

/* --- strings without a document --- */

/* The length of the well-formed UTF-8 sequence at p, 0 if there is none. */
static size_t utf8_length(const uint8_t *p, size_t left)
{
    size_t n = p[0] < 0x80   ? 1
               : p[0] < 0xc2 ? 0
               : p[0] < 0xe0 ? 2
               : p[0] < 0xf0 ? 3
               : p[0] < 0xf5 ? 4
                             : 0;
    if (n == 0 || n > left) return 0;
    return utf8_valid(bytes_of(p, n)) ? n : 0;
}

static void escape(struct buf *out, uint8_t c)
{
    switch (c) {
    case '"': buf_str(out, "\\\""); break;
    case '\\': buf_str(out, "\\\\"); break;
    case '\n': buf_str(out, "\\n"); break;
    case '\r': buf_str(out, "\\r"); break;
    case '\t': buf_str(out, "\\t"); break;
    default: buf_fmt(out, "\\u%04x", c); break;
    }
}

void json_quote(struct buf *out, struct bytes s)
{
    buf_u8(out, '"');
    for (size_t i = 0; i < s.len;) {
        size_t plain = i;
        while (plain < s.len && s.p[plain] >= 0x20 && s.p[plain] < 0x7f && s.p[plain] != '"' &&
               s.p[plain] != '\\') {
            plain++;
        }
        buf_bytes(out, bytes_of(s.p + i, plain - i));
        i = plain;
        if (i == s.len) break;
        if (s.p[i] < 0x80) {
            escape(out, s.p[i++]);
            continue;
        }
        size_t n = utf8_length(s.p + i, s.len - i);
        buf_bytes(out, n != 0 ? bytes_of(s.p + i, n) : BYTES("\xef\xbf\xbd"));
        i += n != 0 ? n : 1;
    }
    buf_u8(out, '"');
}
