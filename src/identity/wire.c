/* SPDX-License-Identifier: Apache-2.0 */
/* identity/wire.c - requests and responses as bytes */
#include "identity/wire.h"

#define FIELDS_MAX 512

void wire_put_text(struct buf *b, const char *s)
{
    buf_blob(b, bytes_str(s != NULL ? s : ""));
}

const char *wire_text(struct rd *r, struct arena *a)
{
    struct bytes text = rd_blob(r);
    if (text.len != 0 && memchr(text.p, 0, text.len) != NULL) r->bad = true;
    const char *copy = r->bad ? NULL : arena_str(a, text);
    if (copy != NULL) return copy;
    r->bad = true;
    return "";
}

static void put_fields(struct buf *b, const struct http_field *fields, uint32_t n)
{
    buf_u32(b, n);
    for (uint32_t i = 0; i < n; i++) {
        wire_put_text(b, fields[i].name);
        wire_put_text(b, fields[i].value);
    }
}

static const struct http_field *get_fields(struct rd *r, struct arena *a, uint32_t *out_n)
{
    uint32_t n = rd_u32(r);
    struct http_field *fields = n <= FIELDS_MAX ? arena_array(a, struct http_field, n) : NULL;
    if (fields == NULL) r->bad = true;
    for (uint32_t i = 0; !r->bad && i < n; i++) {
        fields[i].name = wire_text(r, a);
        fields[i].value = wire_text(r, a);
    }
    *out_n = r->bad ? 0 : n;
    return fields;
}

void wire_put_request(struct buf *b, const struct http_request *q)
{
    wire_put_text(b, q->method);
    wire_put_text(b, q->path);
    wire_put_text(b, q->target);
    wire_put_text(b, q->host);
    wire_put_text(b, q->authority);
    wire_put_text(b, q->peer);
    put_fields(b, q->query, q->n_query);
    put_fields(b, q->headers, q->n_headers);
    buf_blob(b, q->body);
}

enum err wire_request(struct rd *r, struct arena *a, struct http_request *out, struct diag *d)
{
    struct http_request q = {.a = a};
    q.method = wire_text(r, a);
    q.path = wire_text(r, a);
    q.target = wire_text(r, a);
    q.host = wire_text(r, a);
    q.authority = wire_text(r, a);
    q.peer = wire_text(r, a);
    q.query = get_fields(r, a, &q.n_query);
    q.headers = get_fields(r, a, &q.n_headers);
    q.body = rd_blob(r);
    if (!rd_done(r)) return FAIL(d, ERR_INVALID, "identity: a request that cannot be read");
    *out = q;
    return OK;
}

void wire_put_response(struct buf *b, const struct http_response *s)
{
    buf_u32(b, (uint32_t)s->status);
    put_fields(b, s->headers, s->n_headers);
    buf_blob(b, buf_view(&s->body));
}

enum err wire_response(struct rd *r, struct http_response *out, struct diag *d)
{
    uint32_t status = rd_u32(r), n = 0;
    const struct http_field *fields = get_fields(r, out->a, &n);
    struct bytes body = rd_blob(r);
    if (!rd_done(r) || n > HTTP_RESPONSE_HEADERS_MAX) {
        return FAIL(d, ERR_INTERNAL, "identity: an answer that cannot be read");
    }
    out->status = (int)status;
    for (uint32_t i = 0; i < n; i++)
        http_set(out, fields[i].name, fields[i].value);
    buf_clear(&out->body);
    buf_bytes(&out->body, body);
    return buf_check(&out->body, d);
}
