/* SPDX-License-Identifier: Apache-2.0 */
/* vault/token_keys.c - keys of a token: found, made, described, destroyed */
#include "vault/token_core.h"

#include "base/str.h"

#include <stdio.h>

#define SAME_NAME_MAX 16 /* objects destroyed at once */

static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
static CK_OBJECT_CLASS class_secret = CKO_SECRET_KEY, class_private = CKO_PRIVATE_KEY;

/* --- finding --- */

enum err token_find_all(struct session *s, CK_ATTRIBUTE *template, CK_ULONG n_template,
                        CK_OBJECT_HANDLE *out, CK_ULONG max, CK_ULONG *n, struct diag *d)
{
    TRY_CK(s, s->f->C_FindObjectsInit(s->h, template, n_template), "find", d);
    *n = 0;
    CK_RV rv = CKR_OK;
    CK_ULONG got = 1;
    while (rv == CKR_OK && got != 0 && *n < max) {
        rv = s->f->C_FindObjects(s->h, out + *n, max - *n, &got);
        if (rv == CKR_OK) *n += got;
    }
    CK_RV end = s->f->C_FindObjectsFinal(s->h);
    TRY_CK(s, rv != CKR_OK ? rv : end, "find", d);
    return OK;
}

struct pattern {
    CK_ATTRIBUTE a[4];
    CK_ULONG n;
};

static void add(struct pattern *p, CK_ATTRIBUTE_TYPE type, const void *value, size_t len)
{
    p->a[p->n++] = (CK_ATTRIBUTE){type, (void *)value, len};
}

static struct pattern pattern_of(const struct token_name *name, const CK_OBJECT_CLASS *class)
{
    struct pattern p = {0};
    add(&p, CKA_TOKEN, &yes, sizeof yes);
    add(&p, CKA_CLASS, class, sizeof *class);
    if (name->id.len != 0) add(&p, CKA_ID, name->id.p, name->id.len);
    if (name->label != NULL) add(&p, CKA_LABEL, name->label, strlen(name->label));
    return p;
}

/* Secret and private keys of that name, up to max. */
static enum err find_keys(struct session *s, const struct token_name *name, CK_OBJECT_HANDLE *out,
                          CK_ULONG max, CK_ULONG *n, struct diag *d)
{
    if (name->id.len == 0 && name->label == NULL) {
        return FAIL(d, ERR_INVALID, "a key of a token needs an id or a label");
    }
    CK_ULONG n_secret = 0, n_private = 0;
    struct pattern p = pattern_of(name, &class_secret);
    TRY(token_find_all(s, p.a, p.n, out, max, &n_secret, d));
    p = pattern_of(name, &class_private);
    if (n_secret < max)
        TRY(token_find_all(s, p.a, p.n, out + n_secret, max - n_secret, &n_private, d));
    *n = n_secret + n_private;
    return OK;
}

/* A session that is not logged in sees no private key: what it does not see is not gone. */
static enum err check_logged_in(struct session *s, struct diag *d)
{
    CK_SESSION_INFO info;
    TRY_CK(s, s->f->C_GetSessionInfo(s->h, &info), "session", d);
    if (info.state == CKS_RW_USER_FUNCTIONS) return OK;
    return token_fail(s, CKR_USER_NOT_LOGGED_IN, "session", d);
}

/* "'label'", or the id in hex. */
static void name_text(const struct token_name *name, char out[TOKEN_LABEL_MAX])
{
    if (name->label != NULL) {
        snprintf(out, TOKEN_LABEL_MAX, "'%.200s'", name->label);
        return;
    }
    size_t n = name->id.len < 60 ? name->id.len : 60;
    hex_encode(bytes_of(name->id.p, n), out);
}

enum err token_find(struct session *s, const struct token_name *name, CK_OBJECT_HANDLE *out,
                    struct diag *d)
{
    CK_OBJECT_HANDLE found[2];
    CK_ULONG n = 0;
    char text[TOKEN_LABEL_MAX];
    TRY(find_keys(s, name, found, 2, &n, d));
    name_text(name, text);
    if (n == 0) {
        TRY(check_logged_in(s, d));
        return FAIL_TAG(d, ERR_DENIED, "KeyNotFound", "token: no key %s", text);
    }
    if (n > 1) {
        return FAIL_TAG(d, ERR_UNAVAILABLE, "Ambiguous", "token: more than one key %s", text);
    }
    *out = found[0];
    return OK;
}

enum err token_attribute(struct session *s, CK_OBJECT_HANDLE o, CK_ATTRIBUTE_TYPE type,
                         struct buf *out, struct diag *d)
{
    CK_ATTRIBUTE a = {type, NULL, 0};
    TRY_CK(s, s->f->C_GetAttributeValue(s->h, o, &a, 1), "attribute", d);
    if (a.ulValueLen == 0) return OK;
    if (a.ulValueLen > 1 << 20) return token_fail(s, CKR_GENERAL_ERROR, "attribute", d);
    size_t before = out->len;
    a.pValue = buf_extend(out, a.ulValueLen);
    if (a.pValue == NULL) return buf_check(out, d);
    TRY_CK(s, s->f->C_GetAttributeValue(s->h, o, &a, 1), "attribute", d);
    buf_shrink(out, before + a.ulValueLen);
    return OK;
}

/* --- making --- */

struct making {
    const struct token_name *name;
    unsigned bits;
    enum ec_curve curve;
    struct buf *first, *second; /* n and e, or x and y */
};

static enum err check_new(struct session *s, const struct token_name *name, struct diag *d)
{
    if (name->id.len == 0 || name->id.len > TOKEN_ID_MAX || name->label == NULL ||
        strlen(name->label) >= TOKEN_LABEL_MAX) {
        return FAIL(d, ERR_INVALID, "a new key of a token needs an id of 1 to %d bytes and a label",
                    TOKEN_ID_MAX);
    }
    CK_OBJECT_HANDLE there;
    CK_ULONG n = 0;
    TRY(find_keys(s, name, &there, 1, &n, d));
    if (n == 0) return OK;
    return FAIL(d, ERR_CONFLICT, "the token has a key '%.200s' already", name->label);
}

#define STAYS                                                               \
    ATTR(CKA_TOKEN, yes), ATTR(CKA_PRIVATE, yes), ATTR(CKA_SENSITIVE, yes), \
        ATTR(CKA_EXTRACTABLE, no)
#define NAMED(name)                                             \
    {CKA_ID, (void *)(name)->id.p, (name)->id.len},             \
    {                                                           \
        CKA_LABEL, (void *)(name)->label, strlen((name)->label) \
    }
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static enum err make_aes(struct session *s, void *arg, struct diag *d)
{
    const struct making *m = arg;
    TRY(check_new(s, m->name, d));
    CK_ULONG len = m->bits / 8;
    CK_MECHANISM how = {CKM_AES_KEY_GEN, NULL, 0};
    CK_ATTRIBUTE template[] = {STAYS,
                               ATTR(CKA_ENCRYPT, yes),
                               ATTR(CKA_DECRYPT, yes),
                               ATTR(CKA_WRAP, yes),
                               ATTR(CKA_UNWRAP, yes),
                               ATTR(CKA_VALUE_LEN, len),
                               NAMED(m->name)};
    CK_OBJECT_HANDLE key;
    TRY_CK(s, s->f->C_GenerateKey(s->h, &how, template, COUNT(template), &key), "make an AES key",
           d);
    return OK;
}

static enum err make_rsa(struct session *s, void *arg, struct diag *d)
{
    const struct making *m = arg;
    TRY(check_new(s, m->name, d));
    CK_ULONG bits = m->bits;
    static uint8_t exponent[] = {1, 0, 1};
    CK_MECHANISM how = {CKM_RSA_PKCS_KEY_PAIR_GEN, NULL, 0};
    /* The public half is read and given up again: the caller keeps it. */
    CK_ATTRIBUTE public_template[] = {ATTR(CKA_TOKEN, no), ATTR(CKA_ENCRYPT, yes),
                                      ATTR(CKA_VERIFY, yes), ATTR(CKA_MODULUS_BITS, bits),
                                      ATTR(CKA_PUBLIC_EXPONENT, exponent)};
    CK_ATTRIBUTE private_template[] = {STAYS, ATTR(CKA_DECRYPT, yes), ATTR(CKA_SIGN, yes),
                                       ATTR(CKA_UNWRAP, yes), NAMED(m->name)};
    CK_OBJECT_HANDLE public, private;
    TRY_CK(s,
           s->f->C_GenerateKeyPair(s->h, &how, public_template, COUNT(public_template),
                                   private_template, COUNT(private_template), &public, &private),
           "make an RSA key", d);
    CLEANUP_BUF struct buf n = {0}, exp = {0};
    enum err e = token_attribute(s, public, CKA_MODULUS, &n, d);
    if (e == OK) e = token_attribute(s, public, CKA_PUBLIC_EXPONENT, &exp, d);
    buf_bytes(m->first, buf_view(&n));
    buf_bytes(m->second, buf_view(&exp));
    if (e == OK) e = buf_check(m->second, d);
    (void)s->f->C_DestroyObject(s->h, public);
    if (e != OK) (void)s->f->C_DestroyObject(s->h, private);
    return e;
}

/* DER of the curves' object identifiers (RFC 5480, SEC 2). */
static const struct {
    uint8_t der[12];
    size_t len;
} curves[EC_CURVES] = {
    [EC_P256] = {{6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7}, 10},
    [EC_P384] = {{6, 5, 0x2b, 0x81, 4, 0, 34}, 7},
    [EC_P521] = {{6, 5, 0x2b, 0x81, 4, 0, 35}, 7},
    [EC_P256K] = {{6, 5, 0x2b, 0x81, 4, 0, 10}, 7},
};

/* An uncompressed point, by the book in a DER OCTET STRING, of some tokens bare. */
static enum err take_point(struct session *s, struct bytes b, const struct making *m,
                           struct diag *d)
{
    size_t len = ec_field_len(m->curve), point = 1 + 2 * len;
    if (b.len < point || b.len > point + 3 || b.p[b.len - point] != 4) {
        return token_fail(s, CKR_GENERAL_ERROR, "a point that is not on the curve", d);
    }
    const uint8_t *at = b.p + (b.len - point) + 1;
    buf_bytes(m->first, bytes_of(at, len));
    buf_bytes(m->second, bytes_of(at + len, len));
    TRY(buf_check(m->first, d));
    return buf_check(m->second, d);
}

static enum err make_ec(struct session *s, void *arg, struct diag *d)
{
    const struct making *m = arg;
    TRY(check_new(s, m->name, d));
    CK_MECHANISM how = {CKM_EC_KEY_PAIR_GEN, NULL, 0};
    CK_ATTRIBUTE public_template[] = {
        ATTR(CKA_TOKEN, no),
        ATTR(CKA_VERIFY, yes),
        {CKA_EC_PARAMS, (void *)curves[m->curve].der, curves[m->curve].len}};
    CK_ATTRIBUTE private_template[] = {STAYS, ATTR(CKA_SIGN, yes), NAMED(m->name)};
    CK_OBJECT_HANDLE public, private;
    TRY_CK(s,
           s->f->C_GenerateKeyPair(s->h, &how, public_template, COUNT(public_template),
                                   private_template, COUNT(private_template), &public, &private),
           "make an EC key", d);
    CLEANUP_BUF struct buf point = {0};
    enum err e = token_attribute(s, public, CKA_EC_POINT, &point, d);
    if (e == OK) e = take_point(s, buf_view(&point), m, d);
    (void)s->f->C_DestroyObject(s->h, public);
    if (e != OK) (void)s->f->C_DestroyObject(s->h, private);
    return e;
}

enum err token_make_aes(struct token *t, const struct token_name *name, unsigned bits,
                        struct diag *d)
{
    struct making m = {.name = name, .bits = bits};
    return token_run(t, make_aes, &m, d);
}

enum err token_make_rsa(struct token *t, const struct token_name *name, unsigned bits,
                        struct buf *n, struct buf *e, struct diag *d)
{
    struct making m = {.name = name, .bits = bits, .first = n, .second = e};
    return token_run(t, make_rsa, &m, d);
}

enum err token_make_ec(struct token *t, const struct token_name *name, enum ec_curve curve,
                       struct buf *x, struct buf *y, struct diag *d)
{
    struct making m = {.name = name, .curve = curve, .first = x, .second = y};
    return token_run(t, make_ec, &m, d);
}

/* --- destroying --- */

static enum err destroy(struct session *s, void *arg, struct diag *d)
{
    CK_OBJECT_HANDLE found[SAME_NAME_MAX];
    CK_ULONG n = 0;
    TRY(find_keys(s, arg, found, SAME_NAME_MAX, &n, d));
    if (n == 0) return check_logged_in(s, d);
    for (CK_ULONG i = 0; i < n; i++)
        TRY_CK(s, s->f->C_DestroyObject(s->h, found[i]), "destroy", d);
    return OK;
}

enum err token_destroy(struct token *t, const struct token_name *name, struct diag *d)
{
    return token_run(t, destroy, (void *)name, d);
}

/* --- describing --- */

struct describing {
    const struct token_name *name;
    struct token_key key;
};

/* A flag that a token does not have is no. */
static bool flag(struct session *s, CK_OBJECT_HANDLE o, CK_ATTRIBUTE_TYPE type)
{
    CK_BBOOL b = CK_FALSE;
    CK_ATTRIBUTE a = ATTR(type, b);
    return s->f->C_GetAttributeValue(s->h, o, &a, 1) == CKR_OK && a.ulValueLen == sizeof b &&
           b != CK_FALSE;
}

static enum err number(struct session *s, CK_OBJECT_HANDLE o, CK_ATTRIBUTE_TYPE type, CK_ULONG *out,
                       struct diag *d)
{
    CK_ATTRIBUTE a = ATTR(type, *out);
    TRY_CK(s, s->f->C_GetAttributeValue(s->h, o, &a, 1), "attribute", d);
    return OK;
}

static enum err read_names(struct session *s, CK_OBJECT_HANDLE o, struct token_key *k,
                           struct diag *d)
{
    CLEANUP_BUF struct buf id = {0}, label = {0};
    TRY(token_attribute(s, o, CKA_ID, &id, d));
    TRY(token_attribute(s, o, CKA_LABEL, &label, d));
    if (id.len > sizeof k->id || label.len >= sizeof k->label) {
        return FAIL_TAG(d, ERR_UNAVAILABLE, "TokenError",
                        "token: a key's id is longer than %d bytes, or its label than %d",
                        TOKEN_ID_MAX, TOKEN_LABEL_MAX - 1);
    }
    if (id.len != 0) memcpy(k->id, id.p, id.len);
    k->id_len = id.len;
    if (label.len != 0) memcpy(k->label, label.p, label.len);
    return OK;
}

static enum err read_type(struct session *s, CK_OBJECT_HANDLE o, struct token_key *k,
                          struct diag *d)
{
    CK_ULONG type = 0, len = 0;
    TRY(number(s, o, CKA_KEY_TYPE, &type, d));
    k->type = type == CKK_AES   ? TOKEN_AES
              : type == CKK_RSA ? TOKEN_RSA
              : type == CKK_EC  ? TOKEN_EC
                                : TOKEN_OTHER;
    if (k->type == TOKEN_AES) {
        TRY(number(s, o, CKA_VALUE_LEN, &len, d));
        k->bits = (unsigned)len * 8;
    }
    if (k->type != TOKEN_RSA) return OK;
    TRY(token_attribute(s, o, CKA_MODULUS, &k->n, d));
    TRY(token_attribute(s, o, CKA_PUBLIC_EXPONENT, &k->e, d));
    k->bits = (unsigned)k->n.len * 8;
    return OK;
}

static enum err describe(struct session *s, void *arg, struct diag *d)
{
    struct describing *g = arg;
    CK_OBJECT_HANDLE o;
    TRY(token_find(s, g->name, &o, d));
    token_key_release(&g->key);
    g->key = (struct token_key){
        .wraps = flag(s, o, CKA_WRAP),
        .unwraps = flag(s, o, CKA_UNWRAP),
        .encrypts = flag(s, o, CKA_ENCRYPT),
        .decrypts = flag(s, o, CKA_DECRYPT),
        .signs = flag(s, o, CKA_SIGN),
        .sensitive = flag(s, o, CKA_SENSITIVE),
        .extractable = flag(s, o, CKA_EXTRACTABLE),
        .never_extractable = flag(s, o, CKA_NEVER_EXTRACTABLE),
    };
    TRY(read_names(s, o, &g->key, d));
    return read_type(s, o, &g->key, d);
}

enum err token_describe(struct token *t, const struct token_name *name, struct token_key *out,
                        struct diag *d)
{
    struct describing g = {.name = name};
    enum err e = token_run(t, describe, &g, d);
    if (e == OK) {
        *out = g.key;
    } else {
        token_key_release(&g.key);
    }
    return e;
}

void token_key_release(struct token_key *k)
{
    buf_release(&k->n);
    buf_release(&k->e);
}
