/* SPDX-License-Identifier: Apache-2.0 */
/* net/http_answer.c - an answer on its way out: whole, broken on purpose, or a refusal */
#include "net/http_exchange.h"

#include "base/log.h"
#include "base/str.h"
#include "net/http_recall.h"

#include <stdlib.h>
#include <sys/socket.h>

static void free_body(void *own)
{
    struct buf *b = own;
    buf_release(b);
    free(b);
}

/* Half of a body, then an end that no client can take for the real one. */
static ssize_t read_half(void *cls, uint64_t at, char *to, size_t max)
{
    const struct buf *b = cls;
    size_t half = b->len / 2;
    if (at >= half) return MHD_CONTENT_READER_END_WITH_ERROR;
    size_t n = half - (size_t)at < max ? half - (size_t)at : max;
    memcpy(to, b->p + at, n);
    return (ssize_t)n;
}

/* Takes the body: it is wiped when the last byte is out. */
static struct MHD_Response *make_response(struct buf *body, bool half)
{
    struct buf *own = malloc(sizeof *own);
    if (own == NULL) return NULL;
    *own = *body;
    *body = (struct buf){0};
    struct MHD_Response *m =
        half ? MHD_create_response_from_callback(own->len, 4096, read_half, own, free_body)
             : MHD_create_response_from_buffer_with_free_callback_cls(
                   own->len, own->p != NULL ? own->p : (void *)"", free_body, own);
    if (m == NULL) free_body(own);
    return m;
}

/* Closing with a linger of zero sends RST. */
static enum MHD_Result reset(struct MHD_Connection *c, struct http_response *r)
{
    const struct linger now = {.l_onoff = 1, .l_linger = 0};
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (info != NULL) (void)setsockopt(info->connect_fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    buf_release(&r->body);
    return MHD_NO;
}

/* Past the TLS library, on the bare socket: no client can read this. */
static enum MHD_Result break_tls(struct MHD_Connection *c, struct http_response *r)
{
    static const char no_record[] = "this is no record of TLS";
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (info != NULL)
        (void)send(info->connect_fd, no_record, sizeof no_record, MSG_NOSIGNAL | MSG_DONTWAIT);
    buf_release(&r->body);
    return MHD_NO;
}

static bool has_no_body(int status)
{
    return status < 200 || status == 204 || status == 304;
}

enum MHD_Result answer_send(struct MHD_Connection *c, struct http_response *r, bool last)
{
    if (r->fault == HTTP_FAULT_RESET) return reset(c, r);
    if (r->fault == HTTP_FAULT_TLS) return break_tls(c, r);
    if (r->body.bad || r->status < 100 || r->status > 599) {
        r->status = 500;
        buf_clear(&r->body);
    }
    if (has_no_body(r->status)) buf_clear(&r->body);
    bool typed = r->body.len == 0;
    struct MHD_Response *m = r->recall != NULL
                                 ? http_recall_response(r->recall, c, &r->body)
                                 : make_response(&r->body, r->fault == HTTP_FAULT_HALF);
    buf_release(&r->body);
    if (m == NULL) return MHD_NO;

    bool good = true;
    for (uint32_t i = 0; i < r->n_headers; i++) {
        const struct http_field *f = &r->headers[i];
        typed = typed || str_eq_nocase(f->name, "Content-Type");
        good = MHD_add_response_header(m, f->name, f->value) == MHD_YES && good;
    }
    if (!typed) good = MHD_add_response_header(m, "Content-Type", "application/json") && good;
    if (last) good = MHD_add_response_header(m, "Connection", "close") && good;
    if (!good) LOG(WARN, "http.header_lost", F_I64("status", r->status));
    enum MHD_Result sent = MHD_queue_response(c, (unsigned)r->status, m);
    MHD_destroy_response(m);
    return sent;
}

static const char *status_code(int status)
{
    switch (status) {
    case 413: return "RequestEntityTooLarge";
    case 414: return "RequestUriTooLong";
    case 431: return "RequestHeadersTooLarge";
    case 501: return "NotImplemented";
    case 503: return "ServiceUnavailable";
    default: return "BadRequest";
    }
}

enum MHD_Result answer_refusal(struct exchange *x, struct MHD_Connection *c)
{
    struct http_response r = {.status = x->refuse, .a = &x->a};
    buf_str(&r.body, "{\"error\":{\"code\":\"");
    buf_str(&r.body, status_code(x->refuse));
    buf_str(&r.body, "\",\"message\":\"");
    for (const char *p = x->why; *p != 0; p++) {
        if (*p == '"' || *p == '\\') buf_u8(&r.body, '\\');
        buf_u8(&r.body, (uint8_t)*p);
    }
    buf_str(&r.body, "\"}}");
    if (x->refuse == 503) http_set(&r, "Retry-After", "1");
    enum MHD_Result sent = answer_send(c, &r, true);
    exchange_wipe(x);
    return sent;
}
