/* SPDX-License-Identifier: Apache-2.0 */
/* custody/anchor.c - which anchor a name means, and the value in it; docs/formats/anchor.md */
#include "custody/anchor.h"

#include "base/str.h"
#include "crypto/hash.h"

#include <stdio.h>

#define SIGNED_LEN (4 + 1 + 3 + 16 + 8 + 32 + 8 + 32 + 32 + 8)
#define VALUE_LEN  (SIGNED_LEN + ED25519_SIGNATURE_LEN + 32)

static const char label[] = "keystead/1 anchor"; /* sizeof counts its zero byte */

static const struct anchor_ops *const all_ops[] = {&anchor_file_ops, &anchor_pkcs11_ops};

enum err anchor_open(struct anchor *out, const char *name, bool read_only, struct diag *d)
{
    struct anchor a = {0};
    const char *colon = strchr(name, ':');
    if (colon == NULL || (size_t)snprintf(a.name, sizeof a.name, "%s", name) >= sizeof a.name)
        return FAIL(d, ERR_INVALID,
                    "an anchor is named file:/path or pkcs11:token=..., not '%.80s'", name);
    for (size_t i = 0; i < sizeof all_ops / sizeof all_ops[0]; i++) {
        size_t n = strlen(all_ops[i]->scheme);
        if (n == (size_t)(colon - name) && memcmp(name, all_ops[i]->scheme, n) == 0)
            a.ops = all_ops[i];
    }
    if (a.ops == NULL) return FAIL(d, ERR_INVALID, "no anchor of the kind '%.80s'", name);
    TRY(a.ops->open(&a.self, colon + 1, read_only, d));
    *out = a;
    return OK;
}

void anchor_close(struct anchor *a)
{
    if (a->ops != NULL) a->ops->close(a->self);
    *a = (struct anchor){0};
}

static void value_mac(const struct secret *mk, struct bytes value, uint8_t out[32])
{
    CLEANUP_BUF struct buf in = {0};
    uint8_t full[64];
    buf_bytes(&in, bytes_of(label, sizeof label));
    buf_bytes(&in, value);
    hmac_sha512(secret_view(mk), buf_view(&in), full);
    memcpy(out, full, 32);
    wipe(full, sizeof full);
}

static enum err sign(const struct secret *signer, struct bytes value,
                     uint8_t out[ED25519_SIGNATURE_LEN], struct diag *d)
{
    CLEANUP_BUF struct buf text = {0};
    buf_bytes(&text, bytes_of(label, sizeof label));
    buf_bytes(&text, value);
    TRY(buf_check(&text, d));
    return ed25519_sign(signer, buf_view(&text), out, d);
}

static bool is_signed(const uint8_t signer[32], struct bytes value, const uint8_t *signature)
{
    CLEANUP_BUF struct buf text = {0};
    buf_bytes(&text, bytes_of(label, sizeof label));
    buf_bytes(&text, value);
    return buf_check(&text, NULL) == OK && ed25519_good(signer, buf_view(&text), signature);
}

enum err anchor_encode(const struct anchor_value *v, const struct secret *signer,
                       const struct secret *mk, struct buf *out, struct diag *d)
{
    CLEANUP_BUF struct buf b = {0};
    uint8_t mac[32], signature[ED25519_SIGNATURE_LEN];
    buf_bytes(&b, BYTES("KSAN"));
    buf_u8(&b, 1);
    buf_bytes(&b, bytes_of("\0\0\0", 3));
    buf_bytes(&b, bytes_of(v->store, sizeof v->store));
    buf_u64be(&b, v->generation);
    buf_bytes(&b, bytes_of(v->root_mac, sizeof v->root_mac));
    buf_u64be(&b, v->audit_seq);
    buf_bytes(&b, bytes_of(v->audit_chain, sizeof v->audit_chain));
    buf_bytes(&b, bytes_of(v->signer, sizeof v->signer));
    buf_u64be(&b, v->entries);
    TRY(sign(signer, buf_view(&b), signature, d));
    buf_bytes(&b, bytes_of(signature, sizeof signature));
    value_mac(mk, buf_view(&b), mac);
    buf_bytes(out, buf_view(&b));
    buf_bytes(out, bytes_of(mac, sizeof mac));
    return buf_check(out, d);
}

enum err anchor_decode(struct bytes in, const struct secret *mk, struct anchor_value *out,
                       struct diag *d)
{
    struct anchor_value v;
    struct rd r = rd_from(in);
    bool ours = in.len == VALUE_LEN && bytes_eq(rd_bytes(&r, 4), BYTES("KSAN"));
    ours = ours && rd_u8(&r) == 1 && bytes_eq(rd_bytes(&r, 3), bytes_of("\0\0\0", 3));
    if (!ours) return FAIL(d, ERR_CORRUPT, "what lies in the anchor is none of ours");
    rd_copy(&r, v.store, sizeof v.store);
    v.generation = rd_u64be(&r);
    rd_copy(&r, v.root_mac, sizeof v.root_mac);
    v.audit_seq = rd_u64be(&r);
    rd_copy(&r, v.audit_chain, sizeof v.audit_chain);
    rd_copy(&r, v.signer, sizeof v.signer);
    v.entries = rd_u64be(&r);
    if (!is_signed(v.signer, bytes_of(in.p, SIGNED_LEN), in.p + SIGNED_LEN))
        return FAIL(d, ERR_CORRUPT, "the anchor's signature is wrong");
    if (mk != NULL) {
        uint8_t mac[32];
        value_mac(mk, bytes_of(in.p, in.len - sizeof mac), mac);
        if (!secret_eq(bytes_of(mac, sizeof mac), bytes_of(in.p + in.len - sizeof mac, sizeof mac)))
            return FAIL(d, ERR_CORRUPT, "the anchor was not written by this store's keyd");
    }
    *out = v;
    return OK;
}
