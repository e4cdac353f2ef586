/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody/anchor_pkcs11.c - an anchor in a PKCS#11 token: one data object, docs/formats/anchor.md
 *
 *      pkcs11:token=LABEL;object=LABEL?module-path=/PATH&pin-source=/PATH
 *
 * as RFC 7512 writes it, percent-encoded. The module is loaded and the token logged in to at open:
 * what the module opens later is its own business, and a hardened keyd must allow it (harden.c).
 */
#include "base/str.h"
#include "custody/anchor.h"
#include "vault/token.h"

#include <stdlib.h>

struct anchor_token {
    struct token *token;
    char *object;
};

struct where { /* what a name says; each NULL or of its own */
    char *token, *object, *module, *pin;
};

static void where_release(struct where *w)
{
    free(w->token);
    free(w->object);
    free(w->module);
    free(w->pin);
}

/* One attribute, "name=value"; an unknown one is a mistake, not a hint. */
static enum err take(struct where *w, struct bytes part, struct diag *d)
{
    const struct {
        const char *name;
        char **place;
    } names[] = {{"token=", &w->token},
                 {"object=", &w->object},
                 {"module-path=", &w->module},
                 {"pin-source=", &w->pin}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t n = strlen(names[i].name);
        if (part.len <= n || memcmp(part.p, names[i].name, n) != 0 || *names[i].place != NULL)
            continue;
        CLEANUP_BUF struct buf value = {0};
        TRY(percent_decode(&value, bytes_of(part.p + n, part.len - n), false, d));
        *names[i].place = str_dup(buf_cstr(&value));
        return *names[i].place != NULL ? OK : FAIL(d, ERR_LIMIT, "out of memory");
    }
    return FAIL(d, ERR_INVALID, "an anchor in a token does not know '%.*s'",
                (int)(part.len < 80 ? part.len : 80), (const char *)part.p);
}

static enum err parse(const char *name, struct where *w, struct diag *d)
{
    for (const char *at = name; *at != '\0';) {
        size_t n = strcspn(at, ";?&");
        TRY(take(w, bytes_of(at, n), d));
        at += n + (at[n] != '\0');
    }
    if (w->token != NULL && w->object != NULL && w->module != NULL && w->pin != NULL) return OK;
    return FAIL(d, ERR_INVALID,
                "an anchor in a token is named pkcs11:token=LABEL;object=LABEL?module-path=/PATH&"
                "pin-source=/PATH");
}

static void token_anchor_close(void *self)
{
    struct anchor_token *a = self;
    if (a == NULL) return;
    token_close(a->token);
    free(a->object);
    free(a);
}

static enum err token_anchor_open(void **self, const char *where, bool read_only, struct diag *d)
{
    CLEANUP_LOCAL(where_release) struct where w = {0};
    (void)read_only; /* nothing is made before the first write */
    TRY(parse(where, &w, d));
    struct anchor_token *a = calloc(1, sizeof *a);
    if (a == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    const struct token_config c = {.module = w.module, .label = w.token, .pin_file = w.pin};
    enum err e = token_open(&a->token, &c, d);
    if (e != OK) {
        free(a);
        return e;
    }
    a->object = TAKE(w.object);
    *self = a;
    return OK;
}

static enum err token_anchor_read(void *self, struct buf *out, struct diag *d)
{
    struct anchor_token *a = self;
    struct diag why = DIAG_INIT;
    enum err e = token_record_read(a->token, a->object, out, &why);
    return e == OK || e == ERR_NOT_FOUND ? OK : FAIL_TAG(d, e, why.tag, "%s", why.text);
}

static enum err token_anchor_write(void *self, struct bytes value, struct diag *d)
{
    struct anchor_token *a = self;
    return token_record_replace(a->token, a->object, value, d);
}

const struct anchor_ops anchor_pkcs11_ops = {.scheme = "pkcs11",
                                             .open = token_anchor_open,
                                             .close = token_anchor_close,
                                             .read = token_anchor_read,
                                             .write = token_anchor_write};
