/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vault/token_data.c - small records in a token: private data objects of the application "keystead"
 *
 * CKA_OBJECT_ID is a serial number, 8 bytes big-endian: of two objects with one label the higher
 * one is the record, and the other is what a crash left.
 */
#include "vault/token_core.h"

#define LEFT_OVER_MAX 16 /* objects of one label looked at */

static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
static CK_OBJECT_CLASS class_data = CKO_DATA;
static char application[] = "keystead";

struct record {
    const char *label;
    struct bytes value; /* to write */
    struct buf *out;
};

struct found {
    CK_OBJECT_HANDLE objects[LEFT_OVER_MAX];
    CK_ULONG n, newest; /* an index; meaningless for n = 0 */
    uint64_t serial;    /* of the newest */
};

static enum err serial_of(struct session *s, CK_OBJECT_HANDLE o, uint64_t *out, struct diag *d)
{
    CLEANUP_BUF struct buf b = {0};
    TRY(token_attribute(s, o, CKA_OBJECT_ID, &b, d));
    struct rd r = rd_from(buf_view(&b));
    uint64_t serial = rd_u64be(&r);
    *out = rd_done(&r) ? serial : 0;
    return OK;
}

static enum err find(struct session *s, const char *label, struct found *out, struct diag *d)
{
    CK_ATTRIBUTE pattern[] = {
        ATTR(CKA_TOKEN, yes),
        ATTR(CKA_CLASS, class_data),
        {CKA_APPLICATION, application, sizeof application - 1},
        {CKA_LABEL, (void *)label, strlen(label)},
    };
    *out = (struct found){0};
    TRY(token_find_all(s, pattern, 4, out->objects, LEFT_OVER_MAX, &out->n, d));
    for (CK_ULONG i = 0; i < out->n; i++) {
        uint64_t serial = 0;
        TRY(serial_of(s, out->objects[i], &serial, d));
        if (i != 0 && serial <= out->serial) continue;
        out->newest = i;
        out->serial = serial;
    }
    if (out->n != 0) return OK;
    CK_SESSION_INFO info; /* a stranger sees no private objects: that is not "there is none" */
    TRY_CK(s, s->f->C_GetSessionInfo(s->h, &info), "session", d);
    if (info.state == CKS_RW_USER_FUNCTIONS) return OK;
    return token_fail(s, CKR_USER_NOT_LOGGED_IN, "session", d);
}

static enum err read_record(struct session *s, void *arg, struct diag *d)
{
    struct record *r = arg;
    struct found f;
    TRY(find(s, r->label, &f, d));
    if (f.n == 0) return FAIL(d, ERR_NOT_FOUND, "the token has no record '%.64s'", r->label);
    size_t before = r->out->len;
    enum err e = token_attribute(s, f.objects[f.newest], CKA_VALUE, r->out, d);
    if (e != OK) buf_shrink(r->out, before);
    return e;
}

static enum err replace_record(struct session *s, void *arg, struct diag *d)
{
    struct record *r = arg;
    struct found f;
    TRY(find(s, r->label, &f, d));
    uint8_t serial[8];
    struct wr w = wr_into(serial, sizeof serial);
    wr_u64be(&w, f.serial + 1);
    CK_ATTRIBUTE template[] = {
        ATTR(CKA_TOKEN, yes),
        ATTR(CKA_PRIVATE, yes),
        ATTR(CKA_MODIFIABLE, no),
        ATTR(CKA_CLASS, class_data),
        {CKA_APPLICATION, application, sizeof application - 1},
        {CKA_LABEL, (void *)r->label, strlen(r->label)},
        {CKA_OBJECT_ID, serial, sizeof serial},
        {CKA_VALUE, (void *)r->value.p, r->value.len},
    };
    CK_OBJECT_HANDLE made;
    TRY_CK(s, s->f->C_CreateObject(s->h, template, 8, &made), "write a record", d);
    for (CK_ULONG i = 0; i < f.n; i++)
        TRY_CK(s, s->f->C_DestroyObject(s->h, f.objects[i]), "destroy a record", d);
    return OK;
}

static enum err remove_record(struct session *s, void *arg, struct diag *d)
{
    struct record *r = arg;
    struct found f;
    TRY(find(s, r->label, &f, d));
    for (CK_ULONG i = 0; i < f.n; i++)
        TRY_CK(s, s->f->C_DestroyObject(s->h, f.objects[i]), "destroy a record", d);
    return OK;
}

enum err token_record_read(struct token *t, const char *label, struct buf *out, struct diag *d)
{
    struct record r = {.label = label, .out = out};
    return token_run(t, read_record, &r, d);
}

enum err token_record_replace(struct token *t, const char *label, struct bytes value,
                              struct diag *d)
{
    if (value.len == 0 || value.len > TOKEN_RECORD_MAX) {
        return FAIL(d, ERR_LIMIT, "a record of a token has 1 to %d bytes", TOKEN_RECORD_MAX);
    }
    struct record r = {.label = label, .value = value};
    return token_run(t, replace_record, &r, d);
}

enum err token_record_remove(struct token *t, const char *label, struct diag *d)
{
    struct record r = {.label = label};
    return token_run(t, remove_record, &r, d);
}
