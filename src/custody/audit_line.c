/* SPDX-License-Identifier: Apache-2.0 */
/* custody/audit_line.c - lines read and linked; docs/formats/audit.md */
#include "custody/audit_line.h"

#include "base/str.h"
#include "crypto/hash.h"

#define HASH_FIELD_LEN     (strlen(",\"chain\":\"\"") + 64)
#define TAIL_LEN           (HASH_FIELD_LEN + strlen(",\"mac\":\"\"}") + 64)
#define SIGNATURE_TEXT_LEN (strlen(",\"signature\":\"\"}") + 2 * (size_t)ED25519_SIGNATURE_LEN)

/* Labels end in one zero byte: sizeof counts it. */
static const char label_line[] = "keystead/1 audit-line";
static const char label_seal[] = "keystead/1 audit-seal";

void audit_chain_next(uint8_t chain[AUDIT_CHAIN_LEN], struct bytes body)
{
    CLEANUP_BUF struct buf in = {0};
    buf_bytes(&in, bytes_of(chain, AUDIT_CHAIN_LEN));
    buf_bytes(&in, body);
    sha256(buf_view(&in), chain);
}

void audit_mac_next(struct secret *key, const uint8_t chain[AUDIT_CHAIN_LEN], uint8_t mac[32])
{
    uint8_t both[64];
    hkdf_expand(secret_view(key), bytes_of(label_line, sizeof label_line), both, sizeof both);
    hmac_sha256(bytes_of(both, 32), bytes_of(chain, AUDIT_CHAIN_LEN), mac);
    memcpy(secret_fill(key), both + 32, 32); /* (1) */
    wipe(both, sizeof both);
}

void audit_line_release(struct audit_line *l)
{
    json_decref(l->doc);
    l->doc = NULL;
}

/* `,"name":"<64 hex>"` at p; moves p behind it. */
static bool hash_field(const uint8_t **p, const char *name, uint8_t out[32])
{
    char head[16];
    int n = snprintf(head, sizeof head, ",\"%s\":\"", name);
    if (memcmp(*p, head, (size_t)n) != 0) return false;
    if (hex_decode(bytes_of(*p + n, 64), out, 32, NULL) != OK) return false;
    *p += n + 64;
    return *(*p)++ == '"';
}

static enum err no_line(struct diag *d)
{
    return FAIL(d, ERR_CORRUPT, "this is no line of a key-access audit log");
}

enum err audit_line_read(struct bytes line, uint8_t chain[AUDIT_CHAIN_LEN], struct audit_line *out,
                         struct diag *d)
{
    if (line.len <= TAIL_LEN || line.len > AUDIT_LINE_MAX + TAIL_LEN) return no_line(d);
    CLEANUP_AUDIT_LINE struct audit_line l = {0};
    CLEANUP_BUF struct buf body = {0};
    const uint8_t *tail = line.p + line.len - TAIL_LEN;
    buf_bytes(&body, bytes_of(line.p, line.len - TAIL_LEN));
    buf_u8(&body, '}');
    TRY(buf_check(&body, d));
    if (!hash_field(&tail, "chain", l.chain) || !hash_field(&tail, "mac", l.mac) || *tail != '}')
        return no_line(d);
    if (chain != NULL) {
        uint8_t is[AUDIT_CHAIN_LEN];
        memcpy(l.before, chain, sizeof is);
        memcpy(is, chain, sizeof is);
        audit_chain_next(is, buf_view(&body));
        if (memcmp(is, l.chain, sizeof is) != 0)
            return FAIL(d, ERR_CORRUPT, "the line does not continue the chain");
    }
    TRY(json_read(buf_view(&body), &l.doc, d));
    int64_t seq = json_get_int(l.doc, "seq", -1);
    if (seq < 1) return no_line(d);
    l.seq = (uint64_t)seq;
    if (chain != NULL) memcpy(chain, l.chain, AUDIT_CHAIN_LEN);
    *out = l;
    l.doc = NULL;
    return OK;
}

const char *audit_line_event(const struct audit_line *l)
{
    const char *event = json_get_str(l->doc, "event");
    return event != NULL ? event : "";
}

/* What is signed: the label, and the chain as it would be without the signature. */
static void signed_text(const uint8_t before[AUDIT_CHAIN_LEN], struct bytes body,
                        uint8_t out[sizeof label_seal + AUDIT_CHAIN_LEN])
{
    memcpy(out, label_seal, sizeof label_seal);
    memcpy(out + sizeof label_seal, before, AUDIT_CHAIN_LEN);
    audit_chain_next(out + sizeof label_seal, body);
}

enum err audit_sign(struct buf *body, const uint8_t before[AUDIT_CHAIN_LEN],
                    const struct secret *signer, struct diag *d)
{
    uint8_t text[sizeof label_seal + AUDIT_CHAIN_LEN], signature[ED25519_SIGNATURE_LEN];
    char hex[2 * ED25519_SIGNATURE_LEN + 1];
    signed_text(before, buf_view(body), text);
    TRY(ed25519_sign(signer, bytes_of(text, sizeof text), signature, d));
    hex_encode(bytes_of(signature, sizeof signature), hex);
    buf_shrink(body, body->len - 1); /* the brace */
    buf_fmt(body, ",\"signature\":\"%s\"}", hex);
    return buf_check(body, d);
}

bool audit_signed_by(const struct audit_line *l, const uint8_t signer[ED25519_KEY_LEN])
{
    CLEANUP_BUF struct buf body = {0};
    uint8_t text[sizeof label_seal + AUDIT_CHAIN_LEN], signature[ED25519_SIGNATURE_LEN];
    const char *hex = json_get_str(l->doc, "signature");
    if (hex == NULL || hex_decode(bytes_str(hex), signature, sizeof signature, NULL) != OK ||
        json_write(l->doc, &body, NULL) != OK || body.len <= SIGNATURE_TEXT_LEN) {
        return false;
    }
    buf_shrink(&body, body.len - SIGNATURE_TEXT_LEN);
    buf_u8(&body, '}');
    if (buf_check(&body, NULL) != OK) return false;
    signed_text(l->before, buf_view(&body), text);
    return ed25519_good(signer, bytes_of(text, sizeof text), signature);
}
