/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity/page.c - the login page: plain HTML, no script, nothing from elsewhere
 *
 * A form carries a token that is a MAC of the browser's cookie under a key of this process
 * (double submit): a page of another site can neither read the cookie nor make the token. There is
 * no session: who is asked for a token signs in.
 */
#include "identity/people.h"

#include "base/rand.h"

#include <stdio.h>

#define COOKIE "__Host-keystead-form"

static const uint8_t *form_key(void)
{
    static uint8_t key[32];
    static bool made;
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    LOCK_SCOPE(&lock);
    if (!made) rand_bytes(key, sizeof key);
    made = true;
    return key;
}

static void form_token(const char *cookie, char out[65])
{
    uint8_t mac[32];
    hmac_sha256(bytes_of(form_key(), 32), bytes_str(cookie), mac);
    hex_encode(BYTES_OF(mac), out);
}

/* The value of our cookie among "a=b; c=d"; false: none, or not one of ours. */
static bool read_cookie(const struct http_request *q, char out[65])
{
    static const char name[] = COOKIE "=";
    const char *all = http_header(q, "Cookie");
    const char *at = all != NULL ? strstr(all, name) : NULL;
    if (at == NULL) return false;
    at += sizeof name - 1;
    size_t n = strspn(at, "0123456789abcdef");
    if (n != 64) return false;
    memcpy(out, at, 64);
    out[64] = 0;
    return true;
}

bool page_form_is_ours(struct endpoint *e, struct token_form *f)
{
    char cookie[65], token[65];
    const char *sent = form_only(f, "form_token");
    if (sent == NULL || !read_cookie(e->req, cookie)) return false;
    form_token(cookie, token);
    return secret_eq(bytes_str(token), bytes_str(sent));
}

static void put_text(struct buf *b, const char *s)
{
    for (; *s != 0; s++) {
        switch (*s) {
        case '<': buf_str(b, "&lt;"); break;
        case '>': buf_str(b, "&gt;"); break;
        case '&': buf_str(b, "&amp;"); break;
        case '"': buf_str(b, "&quot;"); break;
        case '\'': buf_str(b, "&#39;"); break;
        default: buf_u8(b, (uint8_t)*s);
        }
    }
}

static void begin(struct buf *b, const char *title)
{
    buf_str(b, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
               "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>");
    put_text(b, title);
    buf_str(b,
            "</title><style>body{font:16px/1.5 sans-serif;max-width:22rem;margin:4rem auto;"
            "padding:0 1rem;color:#1b1f24;background:#fff}label{display:block;margin:1rem 0 .2rem}"
            "input{width:100%;box-sizing:border-box;padding:.5rem;font:inherit;border:1px solid "
            "#767d86;border-radius:3px}button{margin-top:1.5rem;padding:.5rem 1.5rem;font:inherit}"
            "p[role=alert]{border-left:4px solid #b3261e;padding-left:.8rem}"
            "@media(prefers-color-scheme:dark){body,input{color:#e6e8eb;background:#14171a}}"
            "</style></head><body><main><h1>");
    put_text(b, title);
    buf_str(b, "</h1>\n");
}

static void finish(struct endpoint *e, int status)
{
    buf_str(&e->res->body, "</main></body></html>\n");
    e->res->status = status;
    http_set(e->res, "Content-Type", "text/html; charset=utf-8");
    http_set(e->res, "Cache-Control", "no-store");
    http_set(e->res, "X-Frame-Options", "DENY");
    http_set(e->res, "X-Content-Type-Options", "nosniff");
    http_set(e->res, "Referrer-Policy", "no-referrer");
    http_set(e->res, "Content-Security-Policy",
             "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors "
             "'none'; form-action 'self' http://localhost:* http://127.0.0.1:*");
}

void page_text(struct endpoint *e, int status, const char *title, const char *text)
{
    buf_clear(&e->res->body);
    begin(&e->res->body, title);
    buf_str(&e->res->body, "<p>");
    put_text(&e->res->body, text);
    buf_str(&e->res->body, "</p>");
    finish(e, status);
}

static void hidden_field(struct buf *b, const char *name, const char *value)
{
    buf_str(b, "<input type=\"hidden\" name=\"");
    put_text(b, name);
    buf_str(b, "\" value=\"");
    put_text(b, value);
    buf_str(b, "\">");
}

void page_login(struct endpoint *e, int status, const char *action, const char *message,
                const struct page_field *hidden, size_t n_hidden, const char *user_code)
{
    struct buf *b = &e->res->body;
    char cookie[65], token[65];
    if (!read_cookie(e->req, cookie)) {
        uint8_t random[32];
        rand_bytes(random, sizeof random);
        hex_encode(BYTES_OF(random), cookie);
        http_setf(e->res, "Set-Cookie", COOKIE "=%s; Path=/; Secure; HttpOnly; SameSite=Strict",
                  cookie);
    }
    form_token(cookie, token);
    buf_clear(b);
    begin(b, "Sign in to Keystead");
    if (message != NULL) {
        buf_str(b, "<p role=\"alert\">");
        put_text(b, message);
        buf_str(b, "</p>");
    }
    buf_str(b, "<form method=\"post\" action=\"");
    put_text(b, action);
    buf_str(b, "\">");
    hidden_field(b, "form_token", token);
    for (size_t i = 0; i < n_hidden; i++)
        hidden_field(b, hidden[i].name, hidden[i].value);
    if (user_code != NULL) {
        buf_str(b, "<label for=\"c\">Code shown by the program</label><input id=\"c\" "
                   "name=\"user_code\" autocomplete=\"off\" required value=\"");
        put_text(b, user_code);
        buf_str(b, "\">");
    }
    buf_str(b, "<label for=\"u\">Name</label><input id=\"u\" name=\"name\" "
               "autocomplete=\"username\" required><label for=\"p\">Password</label><input "
               "id=\"p\" name=\"password\" type=\"password\" autocomplete=\"current-password\" "
               "required><button>Sign in</button></form>");
    finish(e, status);
}
