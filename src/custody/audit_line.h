/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody/audit_line.h - one line of the key-access audit log: chain, evolving MAC, signature
 *
 *      {"seq":7,"time":"...","event":"unwrap",...,"chain":"<64 hex>","mac":"<64 hex>"}
 *
 * Byte by byte in docs/formats/audit.md. body = the line without `,"chain":...`, closed by a brace.
 *
 *      chain      SHA-256(chain of the line before, 32 bytes | body)
 *      mac        HMAC-SHA-256(m, chain); m 32 | next key 32 = X(key, "keystead/1 audit-line" 00,
 * 64) signature  the last field of a `sealed` line: Ed25519 over "keystead/1 audit-seal" 00 and
 *                 SHA-256(chain of the line before | body without the signature)
 *
 * (1) The key of a line is gone when the line is written: who breaks in later cannot write an
 * earlier one anew.
 */
#pragma once

#include "crypto/ed25519.h"
#include "json/json.h"

#define AUDIT_CHAIN_LEN 32
#define AUDIT_LINE_MAX  (64 << 10) /* bytes */
#define AUDIT_EPOCH_US  (300 * 1000000LL)

void audit_chain_next(uint8_t chain[AUDIT_CHAIN_LEN], struct bytes body);
/* (1) The MAC of a line, and the next line's key in the place of this one's (32 bytes). */
void audit_mac_next(struct secret *key, const uint8_t chain[AUDIT_CHAIN_LEN], uint8_t mac[32]);

struct audit_line {
    uint64_t seq;
    json_t *doc; /* the body; owned */
    uint8_t before[AUDIT_CHAIN_LEN], chain[AUDIT_CHAIN_LEN], mac[32];
};
void audit_line_release(struct audit_line *l);

/* The line continues `chain`: OK, and chain moves on. ERR_CORRUPT: it does not, or is no line;
 * chain stays. `line` is without its end of line. With chain NULL whatever it names as its own is
 * taken. */
enum err audit_line_read(struct bytes line, uint8_t chain[AUDIT_CHAIN_LEN], struct audit_line *out,
                         struct diag *d);
const char *audit_line_event(const struct audit_line *l); /* "" when it has none */

/* Body (which loses its last brace and gets it back) plus signature. */
enum err audit_sign(struct buf *body, const uint8_t before[AUDIT_CHAIN_LEN],
                    const struct secret *signer, struct diag *d);
/* Is this `sealed` line signed by that key? */
bool audit_signed_by(const struct audit_line *l, const uint8_t signer[ED25519_KEY_LEN]);

#define CLEANUP_AUDIT_LINE __attribute__((cleanup(audit_line_release)))
